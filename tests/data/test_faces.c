// Readers of labelled faces on files written here and, where they are there, on those of ../shared/data.
#include "tests/data/helpers.h"

#include <jansson.h>
#include <math.h>

#include "data/faces/augment.h"
#include "data/faces/mask.h"
#include "data/faces/read.h"
#include "data/faces/sample.h"
#include "data/loader.h"

#define SHARED MCF_SOURCE_DIR "/../shared/data/"

static mcf_error err;

static mcf_status read_set(mcf_face_set *set, const char *layout, const char *path, const char *split)
{
    const char *paths[] = {path};
    return mcf_face_set_read(set, &(mcf_face_query){.layout = layout, .paths = paths, .path_count = 1, .split = split},
                             &err);
}

static char folder[512];

static const char *put(const char *name, const char *text)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *parent = mcf_path_parent(path);
    assert_int_equal(mcf_directory_make(parent, &err), MCF_OK);
    free(parent);
    assert_int_equal(mcf_file_write(path, text, strlen(text), &err), MCF_OK);
    return path;
}

static int open_folder(void **state)
{
    snprintf(folder, sizeof folder, "%s/mcf-faces.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int close_folder(void **state)
{
    return mcf_tree_remove(folder, &err);
}

#define REFUSED(status, text)                                                                                          \
    do {                                                                                                               \
        assert_int_not_equal(status, MCF_OK);                                                                          \
        if (!strstr(err.message, text))                                                                                \
            fail_msg("\"%s\" is not in: %s", text, err.message);                                                       \
    } while (0)

// --- files

static void pts_files(void **state)
{
    mcf_face_set set;
    put("p/a b.pts", "version: 1\nn_points:  3\n{\n1 1\n11.5 2\r\n3 21\n}\n");
    put("p/a b.png", "");
    put("p/c.pts", "n_points: 3\n{\n1 1\n1 1\n1 1\n}\n"); // no area
    assert_int_equal(read_set(&set, "points", folder, ""), MCF_OK);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.points, 3);
    assert_int_equal(set.fault_count, 1);
    assert_non_null(strstr(set.faces[0].image, "p/a b.png"));
    assert_true(set.xy[0] == 0 && set.xy[2] == 10.5 && set.xy[5] == 20);
    // floor(1), ceil(11.5) and 1, 21 counted from 1: half = 10, centres 6.5 and 11, less 1
    assert_true(set.faces[0].box[0] == -4.5 && set.faces[0].box[1] == 0 && set.faces[0].box[2] == 15.5 &&
                set.faces[0].box[3] == 20);
    mcf_face_set_free(&set);
    char path[1024];
    snprintf(path, sizeof path, "%s", put("q/a.pts", "version: 1\nn_points: 3\n{\n1 1\nx 2\n3 2\n}\n"));
    REFUSED(read_set(&set, "points", folder, ""), "a.pts: line 5");
    put("q/a.pts", "version: 1\nn_points: 3\n{\n1 1\n3 2\n}\n");
    REFUSED(read_set(&set, "points", folder, ""), "ends after 2 of 3");
    put("q/a.pts", "version: 1\nn_points: 2\n{\n1 1\n3 2\n}\n");
    REFUSED(read_set(&set, "points", folder, ""), "has 2 points, not 3");
    put("q/a.pts", "version: 1\nn_points: 2\n{\n1 1\nnan 2\n}\n");
    REFUSED(read_set(&set, "points", folder, ""), "line 5");
}

static void csv_files(void **state)
{
    mcf_face_set set;
    const char *path =
        put("table.csv", "image_name,scale,center_w,center_h,original_0_x,original_0_y,original_1_x,original_1_y\n"
                         "one.jpg,0.1,20,30,1.25,2,3,4\n"
                         "two.jpg,0,20,30,1,2,3,4\n");
    assert_int_equal(read_set(&set, "points", path, ""), MCF_OK);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.fault_count, 1);
    assert_int_equal(set.faults[0].line, 3);
    assert_true(set.faces[0].box[0] == 10 && set.faces[0].box[3] == 40 && set.xy[0] == 1.25);
    assert_int_equal(set.faces[0].line, 2);
    mcf_face_set_free(&set);
    // 300W's tables count from 2
    assert_int_equal(read_set(&set, "300w", put("t68.csv", "a,b\n"), "private"), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "t68.csv: line 1"));
    path = put("table.csv", "one.jpg,1,2,3,4\ntwo.jpg,1,2,3\n");
    REFUSED(read_set(&set, "points", path, ""), "table.csv: line 2: has 4 columns, not 5");
    path = put("table.csv", "image,x1,y1,x2,y2,a,b\none.jpg,0,0,10,20,5,6\ntwo.jpg,0,0,10,20,5,six\n");
    REFUSED(read_set(&set, "points", path, ""), "table.csv: line 3: column 7");
    path = put("table.csv", "image,x1,y1,x2,y2,a,b\none.jpg,0,0,10,20,5,6\n");
    assert_int_equal(read_set(&set, "points", path, ""), MCF_OK);
    assert_true(set.points == 1 && set.faces[0].box[3] == 20 && set.xy[1] == 6);
    mcf_face_set_free(&set);
    path = put("list.json", "[{\"image\": \"x.png\", \"points\": [[1, 2], [5, 9]]},\n {\"image\": \"y.png\", "
                            "\"points\": [[1, 2], [5, 9]], \"box\": [0, 0, 8, 8]}]");
    assert_int_equal(read_set(&set, "points", path, ""), MCF_OK);
    assert_true(set.count == 2 && set.faces[1].box[2] == 8 && set.xy[3] == 9);
    mcf_face_set_free(&set);
    path = put("list.json", "[{\"image\": \"x.png\", \"points\": [[1, 2], [5]]}]");
    REFUSED(read_set(&set, "points", path, ""), "face 1 (x.png)");
    REFUSED(read_set(&set, "points", put("list.json", "[{]"), ""), "list.json: line 1");
}

static void wflw_and_celeba_files(void **state)
{
    mcf_face_set set;
    char line[8192] = "";
    for (int i = 0; i < 196; i++)
        sprintf(line + strlen(line), "%d ", i);
    strcat(line, "0 0 9 9 1 0 0 1 0 1 a/b c.jpg\n");
    const char *path = put("w/list_98pt_rect_attr_test.txt", line);
    assert_int_equal(read_set(&set, "wflw", path, "test"), MCF_OK);
    assert_int_equal(set.faces[0].subsets, 1 + 8 + 32);
    assert_string_equal(set.subset_names[3], "make-up");
    assert_non_null(strstr(set.faces[0].image, "/a/b c.jpg"));
    mcf_face_set_free(&set);
    *strstr(line, " 1 0 0 1") = '\0';
    REFUSED(read_set(&set, "wflw", put("w/list_98pt_rect_attr_test.txt", line), "test"), "line 1: column 201");
    put("c/list_eval_partition.txt", "000001.jpg 0\n000002.jpg 2\n");
    char root[1024];
    snprintf(root, sizeof root, "%s/c", folder);
    for (int header = 0; header < 2; header++) {
        put("c/CelebA-HQ-to-CelebA-mapping.txt", header ? "idx orig_idx orig_file\n0 0 000001.jpg\n2010  1 000002.jpg\n"
                                                        : "0\t0\t000001.jpg\n2010\t1\t000002.jpg\n");
        assert_int_equal(read_set(&set, "celebamask-hq", root, "test"), MCF_OK);
        assert_int_equal(set.count, 1);
        assert_non_null(strstr(set.faces[0].mask, "CelebAMask-HQ-mask-anno/1/02010_"));
        mcf_face_set_free(&set);
    }
    put("c/list_eval_partition.txt", "000001.jpg 0\n000002.jpg 3\n");
    REFUSED(read_set(&set, "celebamask-hq", root, "test"), "list_eval_partition.txt: line 2");
    REFUSED(read_set(&set, "celebamask-hq", root, "all"), "no split");
    REFUSED(read_set(&set, "celeba", root, ""), "celebamask-hq");
}

// --- published files

static void needs(const char *path)
{
    if (mcf_path_exists(path))
        return;
    print_message("%s is not there: skipped\n", path);
    skip();
}

static double sum_of(const mcf_face_set *set)
{
    double sum = 0;
    for (int64_t i = 0; i < set->count * set->points * 2; i++)
        sum += set->xy[i];
    return sum;
}

static void expect_count(const json_t *counts, const char *set_name, const char *layout, const char *split)
{
    mcf_face_set set;
    char path[1024], key[64];
    snprintf(path, sizeof path, SHARED "published/%s", set_name);
    assert_int_equal(read_set(&set, layout, path, split), MCF_OK);
    const json_t *row = json_object_get(counts, set_name);
    assert_int_equal(set.count, json_integer_value(json_object_get(row, split)));
    assert_int_equal(set.fault_count, 0);
    snprintf(key, sizeof key, "%s_sum_of_coordinates", split);
    if (json_object_get(row, key))
        assert_true(fabs(sum_of(&set) - json_real_value(json_object_get(row, key))) < 1e-6);
    mcf_face_set_free(&set);
}

static void published_counts(void **state)
{
    needs(SHARED "published/expected_counts.json");
    json_t *counts = json_load_file(SHARED "published/expected_counts.json", 0, NULL);
    assert_non_null(counts);
    expect_count(counts, "AFLW-19", "aflw-19", "train");
    expect_count(counts, "AFLW-19", "aflw-19", "test");
    expect_count(counts, "AFLW-19", "aflw-19", "frontal");
    expect_count(counts, "CelebAMask-HQ", "celebamask-hq", "train");
    expect_count(counts, "CelebAMask-HQ", "celebamask-hq", "val");
    expect_count(counts, "CelebAMask-HQ", "celebamask-hq", "test");
    const json_t *row = json_object_get(counts, "AFLW-19");
    mcf_face_set set;
    assert_int_equal(read_set(&set, "aflw-19", SHARED "published/AFLW-19", "test"), MCF_OK);
    const char *first = json_string_value(json_object_get(row, "first_test_name"));
    assert_non_null(strstr(set.faces[0].image, first));
    mcf_face_set_free(&set);
    bool found = false;
    for (int part = 0; part < 2 && !found; part++) {
        assert_int_equal(read_set(&set, "aflw-19", SHARED "published/AFLW-19", part ? "test" : "train"), MCF_OK);
        for (int64_t i = 0; i < set.count; i++) {
            if (!strstr(set.faces[i].image, json_string_value(json_object_get(row, "real_name"))))
                continue;
            found = true;
            for (int k = 0; k < 4; k++)
                assert_true(set.faces[i].box[k] ==
                            json_real_value(json_array_get(json_object_get(row, "real_box_x1y1x2y2"), (size_t)k)));
            for (int k = 0; k < 2; k++)
                assert_true(fabs(set.xy[i * 38 + k] -
                                 json_real_value(json_array_get(json_object_get(row, "real_first_point"), (size_t)k))) <
                            1e-9);
        }
        mcf_face_set_free(&set);
    }
    assert_true(found);
    json_decref(counts);
}

// HRNet's boxes are those of the points, in every row.
static void boxes_follow_points(void **state)
{
    static const struct {
        const char *layout, *path, *split;
        int64_t count;
        int challenge;
    } rows[] = {{"300w", "published/300W", "full", 689, 135},
                {"300w", "published/300W", "common", 554, 0},
                {"300w", "published/300W", "challenge", 135, 135},
                {"300w", "published/300W", "private", 600, 0},
                {"wflw", "published/WFLW", "test", 4, 0},
                {"wflw", "published/WFLW/face_landmarks_wflw_test.csv", "test", 3, 0},
                {"300w", "300w_part", "train", 1207, 0},
                {"300w", "300w_part", "common", 163, 0},
                {"points", "published/300W_pts", "", 11, 0}};
    needs(SHARED "published/300W");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        mcf_face_set set;
        char path[1024];
        int challenge = 0;
        snprintf(path, sizeof path, SHARED "%s", rows[r].path);
        assert_int_equal(read_set(&set, rows[r].layout, path, rows[r].split), MCF_OK);
        assert_int_equal(set.count, rows[r].count);
        for (int64_t i = 0; i < set.count; i++) {
            double box[4];
            mcf_face_box_of_points(set.xy + i * set.points * 2, set.points, 0, box);
            for (int k = 0; k < 4; k++)
                assert_true(fabs(box[k] - set.faces[i].box[k]) < 1e-9);
            challenge += strcmp(rows[r].layout, "300w") == 0 && set.faces[i].subsets == 2;
        }
        assert_int_equal(challenge, rows[r].challenge);
        mcf_face_set_free(&set);
    }
}

static void parts_are_painted(void **state)
{
    mcf_face_set set;
    mcf_mask_scratch scratch = {0};
    mcf_face_mask mask;
    int seen = 0;
    needs(SHARED "published/CelebAMask-HQ");
    for (int part = 0; part < 2; part++) {
        assert_int_equal(read_set(&set, "celebamask-hq", SHARED "published/CelebAMask-HQ", part ? "test" : "train"),
                         MCF_OK);
        for (int64_t i = 0; i < set.count; i++) {
            if (!mcf_path_exists(set.faces[i].image))
                continue;
            char path[1024], *bytes;
            size_t size;
            mcf_bytes expected = {0};
            int width, height;
            const char *id = strrchr(set.faces[i].image, '/') + 1;
            snprintf(path, sizeof path, SHARED "published/CelebAMask-HQ/expected_labels/%.4s.png", id);
            assert_int_equal(mcf_file_read(path, 1 << 24, &bytes, &size, &err), MCF_OK);
            assert_int_equal(mcf_png_decode_indices((uint8_t *)bytes, size, &expected, &width, &height, &err), MCF_OK);
            assert_int_equal(mcf_face_mask_read(&set, i, 19, 1024, 1024, &scratch, &mask, &err), MCF_OK);
            assert_true(mask.width == width && mask.height == height);
            assert_memory_equal(mask.labels, expected.data, (size_t)width * (size_t)height);
            mcf_bytes_free(&expected);
            free(bytes);
            seen++;
        }
        mcf_face_set_free(&set);
    }
    assert_int_equal(seen, 2);
    mcf_mask_scratch_free(&scratch);
}

static void every_shared_set_reads(void **state)
{
    static const struct {
        const char *layout, *path;
        int64_t count;
        int points, classes;
    } rows[] = {{"points", "face68/train", 1200, 68, 0},        {"points", "face68/test", 200, 68, 0},
                {"points", "landmarks68/train.csv", 18, 68, 0}, {"points", "300w_part", 1370, 68, 0},
                {"masks", "celebamask_mini", 620, 0, 19},       {"masks", "parsing6", 20, 0, 6}};
    needs(SHARED "face68");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        mcf_face_set set;
        mcf_mask_scratch scratch = {0};
        mcf_face_mask mask;
        char path[1024];
        snprintf(path, sizeof path, SHARED "%s", rows[r].path);
        assert_int_equal(read_set(&set, rows[r].layout, path, ""), MCF_OK);
        assert_int_equal(set.count, rows[r].count);
        assert_int_equal(set.points, rows[r].points);
        for (int64_t i = 0; i < set.count; i += 7)
            assert_true(mcf_path_exists(set.faces[i].image));
        for (int64_t i = 0; rows[r].classes && i < set.count; i += 10)
            assert_int_equal(mcf_face_mask_read(&set, i, rows[r].classes, 0, 0, &scratch, &mask, &err), MCF_OK);
        if (rows[r].classes == 6)
            REFUSED(mcf_face_mask_read(&set, 0, 4, 0, 0, &scratch, &mask, &err), "there are 4 classes");
        mcf_mask_scratch_free(&scratch);
        mcf_face_set_free(&set);
    }
}

static void mirrors(void **state)
{
    static const int counts[] = {5, 19, 68, 98, 106};
    for (int k = 0; k < 5; k++) {
        const int *mirror = mcf_face_mirror(counts[k]);
        for (int i = 0; i < counts[k]; i++)
            assert_int_equal(mirror[mirror[i]], i);
    }
    assert_null(mcf_face_mirror(7));
    uint8_t classes[MCF_FACE_MAX_CLASSES];
    assert_true(mcf_face_mirror_classes(mcf_face_layout_find("lapa"), 11, classes));
    assert_true(classes[2] == 3 && classes[5] == 4 && classes[6] == 6);
    assert_false(mcf_face_mirror_classes(mcf_face_layout_find("masks"), 11, classes));
    needs(SHARED "published/mirrored_points.json");
    static const char *const names[] = {"aflw", "300w", "wflw", "lapa"};
    json_t *published = json_load_file(SHARED "published/mirrored_points.json", 0, NULL);
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < counts[k + 1]; i++)
            assert_int_equal(mcf_face_mirror(counts[k + 1])[i],
                             json_integer_value(json_array_get(json_object_get(published, names[k]), (size_t)i)));
    json_decref(published);
}

// --- the loader

static void faces_through_the_loader(void **state)
{
    mcf_face_set set;
    needs(SHARED "300w_part");
    assert_int_equal(read_set(&set, "300w", SHARED "300w_part", "common"), MCF_OK);
    set.count = 5; // the other paths are freed below
    mcf_face_sample_options options = {.set = &set, .augment = mcf_face_augment_align(set.layout), .random = true};
    options.augment.size = 128;
    options.augment.out_size = 112;
    const mcf_transform transform = mcf_face_transform(&options);
    mcf_source *source;
    assert_int_equal(mcf_face_source(&set, 8, &source, &err), MCF_OK);
    uint8_t *kept = NULL;
    for (int workers = 0; workers < 3; workers += 2) {
        mcf_loader *loader;
        const mcf_batch *batch;
        assert_int_equal(mcf_loader_create(&loader, source, &transform,
                                           &(mcf_loader_options){.seed = 2, .batch = 8, .workers = workers}, &err),
                         MCF_OK);
        assert_int_equal(mcf_loader_next(loader, &batch, &err), MCF_OK);
        assert_int_equal(batch->count, 8);
        assert_int_equal(batch->width, 112);
        for (int i = 0; i < 8; i++) {
            const uint8_t *extra = batch->extra + (size_t)i * mcf_face_extra_size(&options);
            const mcf_face_extra *head = (const void *)extra;
            const float *points = (const void *)(head + 1);
            assert_int_equal(head->face, i % 5);
            mcf_face_affine crop;
            mcf_face_map map;
            double back[136];
            memcpy(crop.m, head->crop, sizeof crop.m);
            assert_int_equal(mcf_face_map_make(&crop, 0, 128, 128, &map, &err), MCF_OK);
            mcf_face_points_back(&map, points, 68, back);
            for (int k = 0; k < 136; k++)
                assert_true(fabs(back[k] - set.xy[(i % 5) * 136 + k]) < 1e-2);
        }
        const size_t size = 8 * 112 * 112 * 3;
        if (!kept) {
            kept = malloc(size);
            memcpy(kept, batch->pixels, size);
        } else {
            assert_memory_equal(kept, batch->pixels, size);
        }
        mcf_loader_destroy(loader);
    }
    free(kept);
    mcf_source_close(source);
    set.count = 163;
    mcf_face_set_free(&set);
}

static void subsets_of_a_set(void **state)
{
    mcf_face_set a, b;
    const char *path = put("s/points.csv", "a.jpg,1,2,3,5\nb.jpg,1,2,3,5\nc.jpg,1,2,3,6\nd.jpg,1,2,3,7\n");
    assert_int_equal(read_set(&a, "points", path, ""), MCF_OK);
    assert_int_equal(read_set(&b, "points", path, ""), MCF_OK);
    assert_int_equal(mcf_face_set_subset(&a, 0.5, 4, &err), MCF_OK);
    assert_int_equal(a.count, 2);
    for (int64_t i = 0, k = 0; i < a.count; i++) {
        while (strcmp(b.faces[k].image, a.faces[i].image) != 0)
            k++;
        assert_memory_equal(a.xy + 4 * i, b.xy + 4 * k, 4 * sizeof *a.xy);
    }
    mcf_face_set_free(&a);
    mcf_face_set_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pts_files, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(csv_files, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(wflw_and_celeba_files, open_folder, close_folder),
        cmocka_unit_test_setup_teardown(subsets_of_a_set, open_folder, close_folder),
        cmocka_unit_test(published_counts),
        cmocka_unit_test(boxes_follow_points),
        cmocka_unit_test(parts_are_painted),
        cmocka_unit_test(every_shared_set_reads),
        cmocka_unit_test(mirrors),
        cmocka_unit_test(faces_through_the_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
