// The folder of faces: the same for any number of threads, read back from every layout, and left in a state
// that says so when something goes wrong.
#include "tests/data/helpers.h"

#include <dirent.h>
#include <math.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>

#include "data/source.h"
#include "data/synth/write.h"

enum { COUNT = 18, EACH = 3, SIZE = 64 };

static mcf_synth_write_options options_for(const char *out, int workers)
{
    return (mcf_synth_write_options){.out = out,
                                     .count = COUNT,
                                     .per_identity = EACH,
                                     .size = SIZE,
                                     .seed = 7,
                                     .test_fraction = 0.34,
                                     .layouts = MCF_SYNTH_ALL,
                                     .workers = workers};
}

static void write_faces(const mcf_synth_write_options *o)
{
    mcf_error err = {0};
    if (mcf_synth_write(o, &err) != MCF_OK)
        fail_msg("%s", err.message);
}

static char *read_text(const char *directory, const char *name, size_t *size)
{
    char path[1024], *bytes;
    size_t length;
    mcf_error err = {0};
    snprintf(path, sizeof path, "%s/%s", directory, name);
    if (mcf_file_read(path, 1 << 24, &bytes, &length, &err) != MCF_OK)
        fail_msg("%s", err.message);
    if (size)
        *size = length;
    return bytes;
}

static int lines_of(const char *text)
{
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static char *line_of(char *text, int which)
{
    while (which--)
        text = strchr(text, '\n') + 1;
    return text;
}

// Every file below a, links not followed, has the same bytes below b. Returns how many.
static int compare_trees(const char *a, const char *b)
{
    int files = 0;
    DIR *directory = opendir(a);
    assert_non_null(directory);
    for (struct dirent *e; (e = readdir(directory));) {
        char pa[1024], pb[1024];
        struct stat info;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(pa, sizeof pa, "%s/%s", a, e->d_name);
        snprintf(pb, sizeof pb, "%s/%s", b, e->d_name);
        assert_int_equal(lstat(pa, &info), 0);
        if (S_ISDIR(info.st_mode)) {
            files += compare_trees(pa, pb);
        } else if (S_ISREG(info.st_mode)) {
            uint64_t ha, hb, sa, sb;
            if (mcf_file_hash(pa, &ha, &sa, NULL) != MCF_OK || mcf_file_hash(pb, &hb, &sb, NULL) != MCF_OK ||
                ha != hb || sa != sb)
                fail_msg("%s and %s differ", pa, pb);
            files++;
        }
    }
    closedir(directory);
    return files;
}

static void threads_make_no_difference(void **state)
{
    (void)state;
    char *one = make_temp_directory(), *four = make_temp_directory();
    mcf_synth_write_options a = options_for(one, 1), b = options_for(four, 4);
    write_faces(&a);
    write_faces(&b);
    int files = compare_trees(one, four);
    assert_int_equal(files, compare_trees(four, one));
    assert_true(files > COUNT * 15);
    remove_temp_directory(one);
    remove_temp_directory(four);
}

static json_t *labels_of(const char *out)
{
    char *text = read_text(out, "labels.jsonl", NULL), *at = text;
    json_t *all = json_array();
    for (int i = 0; i < COUNT; i++, at = strchr(at, '\n') + 1) {
        json_t *line = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
        assert_non_null(line);
        json_array_append_new(all, line);
    }
    assert_int_equal(*at, 0);
    free(text);
    return all;
}

// Coordinate `axis` of point i of a set of picture n.
static double coordinate(json_t *labels, int n, const char *set, int i, int axis)
{
    json_t *points = json_object_get(json_object_get(json_array_get(labels, (size_t)n), "points"), set);
    return json_number_value(json_array_get(json_array_get(points, (size_t)i), (size_t)axis));
}

static bool is_test(json_t *labels, int n)
{
    return !strcmp(json_string_value(json_object_get(json_array_get(labels, (size_t)n), "split")), "test");
}

static const char *image_of(json_t *labels, int n)
{
    const char *path = json_string_value(json_object_get(json_array_get(labels, (size_t)n), "image"));
    assert_int_equal(strncmp(path, "images/", 7), 0);
    return path + 7;
}

// Picture n's row in the list of its split.
static char *row_of(json_t *labels, int n, char *train, char *test, int head)
{
    int row = head;
    for (int i = 0; i < n; i++)
        row += is_test(labels, i) == is_test(labels, n);
    return line_of(is_test(labels, n) ? test : train, row);
}

static void check_labels(const char *out, json_t *labels)
{
    int tests = 0;
    for (int n = 0; n < COUNT; n++) {
        json_t *line = json_array_get(labels, (size_t)n);
        assert_int_equal(json_integer_value(json_object_get(line, "identity")), n / EACH);
        assert_int_equal(json_integer_value(json_object_get(line, "number")), n % EACH);
        static const char *const sets[5] = {"5", "19", "68", "98", "106"};
        for (int s = 0; s < 5; s++)
            assert_int_equal(json_array_size(json_object_get(json_object_get(line, "points"), sets[s])), atoi(sets[s]));
        tests += is_test(labels, n);
        // people are not in both splits
        assert_true(is_test(labels, n) == is_test(labels, n / EACH * EACH));
    }
    assert_int_equal(tests, 2 * EACH);
    char path[1024];
    snprintf(path, sizeof path, "%s/images", out);
    const char *const paths[1] = {path};
    mcf_source *source;
    assert_int_equal(mcf_source_open(&source, paths, 1, MCF_SOURCE_AUTO, NULL), MCF_OK);
    assert_int_equal(mcf_source_count(source), COUNT);
    mcf_source_close(source);
}

static void check_wflw(const char *out, json_t *labels)
{
    const char *folder = "WFLW/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_";
    char name[256];
    snprintf(name, sizeof name, "%strain.txt", folder);
    char *train = read_text(out, name, NULL);
    snprintf(name, sizeof name, "%stest.txt", folder);
    char *test = read_text(out, name, NULL);
    assert_int_equal(lines_of(train) + lines_of(test), COUNT);
    for (int n = 0; n < COUNT; n++) {
        char *at = row_of(labels, n, train, test, 0), image[200];
        for (int i = 0; i < 196; i++)
            assert_true(fabs(strtod(at, &at) - coordinate(labels, n, "98", i / 2, i % 2)) < 0.0061);
        long box[4], flag;
        for (int i = 0; i < 4; i++)
            box[i] = strtol(at, &at, 10);
        assert_true(box[0] < box[2] && box[1] < box[3]);
        for (int i = 0; i < 6; i++) {
            flag = strtol(at, &at, 10);
            assert_true(flag == 0 || flag == 1);
        }
        assert_int_equal(sscanf(at, " %199s", image), 1);
        assert_string_equal(image, image_of(labels, n));
        // the path leads somewhere from WFLW's own folder of images
        snprintf(name, sizeof name, "WFLW/WFLW_images/%s", image);
        free(read_text(out, name, NULL));
    }
    free(train);
    free(test);
}

static void check_table(const char *out, json_t *labels, const char *kind, const char *set, double shift)
{
    char name[256];
    snprintf(name, sizeof name, "%s_train.csv", kind);
    char *train = read_text(out, name, NULL);
    snprintf(name, sizeof name, "%s_test.csv", kind);
    char *test = read_text(out, name, NULL);
    assert_int_equal(strncmp(train, "image_name,scale,center_w,center_h,original_0_x,original_0_y,", 61), 0);
    assert_int_equal(lines_of(train) + lines_of(test), COUNT + 2);
    for (int n = 0; n < COUNT; n++) {
        char *at = row_of(labels, n, train, test, 1);
        size_t length = strlen(image_of(labels, n));
        assert_int_equal(strncmp(at, image_of(labels, n), length), 0);
        at += length;
        double number[3 + 2 * 98], low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9};
        int count = 3 + 2 * atoi(set);
        for (int i = 0; i < count; i++) {
            assert_int_equal(*at, ',');
            number[i] = strtod(at + 1, &at);
        }
        assert_int_equal(*at, '\n');
        for (int i = 0; i < count - 3; i++) {
            double v = coordinate(labels, n, set, i / 2, i % 2);
            assert_true(fabs(number[3 + i] - shift - v) < 0.0061);
            low[i % 2] = v < low[i % 2] ? v : low[i % 2];
            high[i % 2] = v > high[i % 2] ? v : high[i % 2];
        }
        // centre +-100 scale holds all points
        for (int axis = 0; axis < 2; axis++) {
            assert_true(number[1 + axis] - shift - 100 * number[0] <= low[axis]);
            assert_true(number[1 + axis] - shift + 100 * number[0] >= high[axis]);
        }
    }
    free(train);
    free(test);
}

static void check_aflw(const char *out, json_t *labels)
{
    char *train = read_text(out, "AFLW/aflw19_train.csv", NULL), *test = read_text(out, "AFLW/aflw19_test.csv", NULL);
    assert_int_equal(strncmp(train, "image_name,x1,y1,x2,y2,original_0_x,original_0_y,", 49), 0);
    for (int n = 0; n < COUNT; n++) {
        char *at = row_of(labels, n, train, test, 1);
        assert_int_equal(strncmp(at, image_of(labels, n), strlen(image_of(labels, n))), 0);
        at += strlen(image_of(labels, n));
        double number[4 + 38];
        for (int i = 0; i < 4 + 38; i++) {
            assert_int_equal(*at, ',');
            number[i] = strtod(at + 1, &at);
        }
        assert_int_equal(*at, '\n');
        assert_true(number[0] < number[2] && number[1] < number[3]);
        for (int i = 0; i < 38; i++)
            assert_true(fabs(number[4 + i] - coordinate(labels, n, "19", i / 2, i % 2)) < 0.0061);
    }
    free(train);
    free(test);
}

static mcf_decoded decode(const char *out, const char *name, mcf_bytes *pixels)
{
    size_t size;
    char *bytes = read_text(out, name, &size);
    mcf_decoded d;
    mcf_error err = {0};
    if (mcf_image_decode((const uint8_t *)bytes, size, NULL, pixels, &d, &err) != MCF_OK)
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(d.image.width, SIZE);
    assert_int_equal(d.image.height, SIZE);
    free(bytes);
    return d;
}

// The masks of both sets against the renderer's own.
static void check_masks(const char *out, json_t *labels)
{
    mcf_synth *synth;
    mcf_bytes pixels = {0};
    assert_int_equal(mcf_synth_create(&synth, SIZE, NULL), MCF_OK);
    for (int n = 0; n < COUNT; n++) {
        mcf_synth_face face;
        char name[256], path[1200];
        uint8_t painted[SIZE * SIZE] = {0};
        assert_int_equal(mcf_synth_render(synth, 7, (uint64_t)(n / EACH), (uint32_t)(n % EACH), &face, NULL), MCF_OK);
        for (int c = 1; c < MCF_SYNTH_CLASSES; c++) {
            snprintf(name, sizeof name, "CelebAMask-HQ/CelebAMask-HQ-mask-anno/0/%05d_%s.png", n,
                     mcf_synth_part_names[c]);
            snprintf(path, sizeof path, "%s/%s", out, name);
            if (!mcf_path_exists(path))
                continue;
            mcf_decoded d = decode(out, name, &pixels);
            int set = 0;
            for (int i = 0; i < SIZE * SIZE; i++)
                if (d.image.pixels[(size_t)(i / SIZE) * d.image.stride + 3 * (size_t)(i % SIZE)] > 0) {
                    painted[i] = (uint8_t)c;
                    set++;
                }
            assert_true(set > 0);
        }
        assert_memory_equal(painted, face.celeba, sizeof painted);

        const char *split = is_test(labels, n) ? "test" : "train";
        snprintf(name, sizeof name, "LaPa/%s/labels/%06d_%03d.png", split, n / EACH, n % EACH);
        mcf_decoded d = decode(out, name, &pixels);
        for (int i = 0; i < SIZE * SIZE; i++)
            assert_int_equal(d.image.pixels[(size_t)(i / SIZE) * d.image.stride + 3 * (size_t)(i % SIZE)],
                             face.lapa[i]);
        snprintf(name, sizeof name, "LaPa/%s/landmarks/%06d_%03d.txt", split, n / EACH, n % EACH);
        char *text = read_text(out, name, NULL), *at = text;
        assert_int_equal(strtol(at, &at, 10), 106);
        for (int i = 0; i < 212; i++)
            assert_true(fabs(strtod(at, &at) - coordinate(labels, n, "106", i / 2, i % 2)) < 0.0061);
        assert_string_equal(at, "\n");
        free(text);

        // the three names of a picture hold the same bytes
        size_t size[3];
        char *image[3];
        snprintf(name, sizeof name, "images/%s", image_of(labels, n));
        image[0] = read_text(out, name, &size[0]);
        snprintf(name, sizeof name, "LaPa/%s/images/%06d_%03d.jpg", split, n / EACH, n % EACH);
        image[1] = read_text(out, name, &size[1]);
        snprintf(name, sizeof name, "CelebAMask-HQ/CelebA-HQ-img/%d.jpg", n);
        image[2] = read_text(out, name, &size[2]);
        assert_true(size[0] == size[1] && size[0] == size[2]);
        assert_memory_equal(image[0], image[1], size[0]);
        assert_memory_equal(image[0], image[2], size[0]);
        for (int i = 0; i < 3; i++)
            free(image[i]);
    }
    mcf_bytes_free(&pixels);
    mcf_synth_free(synth);
}

static void check_celeba_splits(const char *out, json_t *labels)
{
    char *mapping = read_text(out, "CelebAMask-HQ/CelebA-HQ-to-CelebA-mapping.txt", NULL);
    char *partition = read_text(out, "CelebAMask-HQ/list_eval_partition.txt", NULL);
    assert_int_equal(lines_of(mapping), COUNT + 1);
    assert_int_equal(lines_of(partition), COUNT);
    for (int n = 0; n < COUNT; n++) {
        int index, original, kind;
        char file[64], other[64];
        assert_int_equal(sscanf(line_of(mapping, n + 1), "%d %d %63s", &index, &original, file), 3);
        assert_int_equal(sscanf(line_of(partition, n), "%63s %d", other, &kind), 2);
        assert_int_equal(index, n);
        assert_string_equal(file, other);
        assert_int_equal(atoi(file), original + 1);
        assert_int_equal(kind, is_test(labels, n) ? 2 : 0);
        // by CelebA's own numbers, too
        assert_true(is_test(labels, n) ? original >= 182637 : original < 162770);
    }
    free(mapping);
    free(partition);
}

static void layouts_read_back(void **state)
{
    (void)state;
    char *out = make_temp_directory();
    mcf_synth_write_options o = options_for(out, 2);
    write_faces(&o);
    json_t *labels = labels_of(out);
    check_labels(out, labels);
    check_wflw(out, labels);
    check_table(out, labels, "WFLW/face_landmarks_wflw", "98", 0);
    check_table(out, labels, "300W/face_landmarks_300w", "68", 2);
    check_aflw(out, labels);
    check_masks(out, labels);
    check_celeba_splits(out, labels);
    json_decref(labels);
    remove_temp_directory(out);
}

static void layouts_by_name(void **state)
{
    (void)state;
    unsigned layouts;
    mcf_error err = {0};
    assert_int_equal(mcf_synth_layouts_parse("all", &layouts, &err), MCF_OK);
    assert_int_equal(layouts, MCF_SYNTH_ALL);
    assert_int_equal(mcf_synth_layouts_parse("none", &layouts, &err), MCF_OK);
    assert_int_equal(layouts, 0);
    assert_int_equal(mcf_synth_layouts_parse("LaPa,300w", &layouts, &err), MCF_OK);
    assert_int_equal(layouts, MCF_SYNTH_LAPA | MCF_SYNTH_300W);
    assert_int_equal(mcf_synth_layouts_parse("wflw,helen", &layouts, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "'helen'"));
    assert_int_equal(mcf_synth_layouts_parse("", &layouts, &err), MCF_ERR_USAGE);
    assert_int_equal(mcf_synth_layouts_parse("wflw,", &layouts, &err), MCF_ERR_USAGE);

    char *out = make_temp_directory(), path[1024];
    mcf_synth_write_options o = options_for(out, 1);
    o.layouts = 0;
    o.count = 2;
    write_faces(&o);
    snprintf(path, sizeof path, "%s/images/000000/000000_001.jpg", out);
    assert_true(mcf_path_exists(path));
    static const char *const absent[5] = {"WFLW", "300W", "AFLW", "LaPa", "CelebAMask-HQ"};
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", out, absent[i]);
        assert_false(mcf_path_exists(path));
    }
    remove_temp_directory(out);
}

static void a_finished_folder_is_left_alone(void **state)
{
    (void)state;
    char *out = make_temp_directory();
    mcf_error err = {0};
    mcf_synth_write_options o = options_for(out, 1);
    o.layouts = 0;
    o.count = 1;
    write_faces(&o);
    assert_int_equal(mcf_synth_write(&o, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, out));
    o.count = 0;
    assert_int_equal(mcf_synth_write(&o, &err), MCF_ERR_USAGE);
    o.count = 200000;
    o.layouts = MCF_SYNTH_CELEBA;
    assert_int_equal(mcf_synth_write(&o, &err), MCF_ERR_USAGE);
    o.test_fraction = 2;
    assert_int_equal(mcf_synth_write(&o, &err), MCF_ERR_USAGE);
    remove_temp_directory(out);
}

typedef struct {
    volatile sig_atomic_t flag;
    int64_t at;
} stop_at;

static void stop_then(void *context, int64_t done, int64_t total)
{
    stop_at *s = context;
    assert_true(total == COUNT && done <= total);
    if (done >= s->at)
        s->flag = 1;
}

static void an_interrupted_run_begins_anew(void **state)
{
    (void)state;
    char *out = make_temp_directory(), *whole = make_temp_directory(), path[1024];
    mcf_error err = {0};
    stop_at s = {.at = 7};
    mcf_synth_write_options o = options_for(out, 2), w = options_for(whole, 2);
    o.progress = stop_then;
    o.context = &s;
    o.stop = &s.flag;
    assert_int_equal(mcf_synth_write(&o, &err), MCF_ERR_INTERRUPTED);
    assert_non_null(strstr(err.message, out));
    snprintf(path, sizeof path, "%s/labels.jsonl", out);
    assert_false(mcf_path_exists(path));
    o.stop = NULL;
    o.progress = NULL;
    write_faces(&o);
    write_faces(&w);
    compare_trees(whole, out);
    compare_trees(out, whole);
    remove_temp_directory(out);
    remove_temp_directory(whole);
}

// A file cannot grow: what a full disk looks like, on any file system.
static void failures_name_the_file(void **state)
{
    (void)state;
    char *out = make_temp_directory(), path[1024];
    mcf_error err = {0};
    struct rlimit before, low;
    mcf_synth_write_options o = options_for(out, 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    low = before;
    low.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    mcf_status status = mcf_synth_write(&o, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, MCF_ERR_IO);
    assert_non_null(strstr(err.message, out));
    snprintf(path, sizeof path, "%s/images/000000/000000_000.jpg", out);
    assert_false(mcf_path_exists(path));
    strcat(path, ".part");
    assert_false(mcf_path_exists(path));
    snprintf(path, sizeof path, "%s/labels.jsonl", out);
    assert_false(mcf_path_exists(path));

    // a file where a folder should be
    write_file(out, "file", "x", 1);
    snprintf(path, sizeof path, "%s/file/faces", out);
    o.out = path;
    assert_int_equal(mcf_synth_write(&o, &err), MCF_ERR_IO);
    assert_non_null(strstr(err.message, "file"));
    remove_temp_directory(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_make_no_difference),
        cmocka_unit_test(layouts_read_back),
        cmocka_unit_test(layouts_by_name),
        cmocka_unit_test(a_finished_folder_is_left_alone),
        cmocka_unit_test(an_interrupted_run_begins_anew),
        cmocka_unit_test(failures_name_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
