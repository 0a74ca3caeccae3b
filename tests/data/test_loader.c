// The loader's promises: exact permutations, the same stream whatever the workers, ranks that add up,
// positions that can be taken up, broken samples named and replaced.
#include "tests/data/helpers.h"

#include "base/rng.h"
#include "data/loader.h"

enum { SIDE = 8 };
static const mcf_center_crop_options crop = {.side = SIDE, .flip = true};

static mcf_source *open_folder(const char *path)
{
    mcf_source *source;
    assert_int_equal(mcf_source_open(&source, &path, 1, MCF_SOURCE_FOLDER, NULL), MCF_OK);
    return source;
}

static mcf_loader *make_loader(const mcf_source *source, mcf_loader_options options)
{
    mcf_transform transform = mcf_transform_center_crop(&crop);
    mcf_loader *loader;
    mcf_error err = {0};
    if (mcf_loader_create(&loader, source, &transform, &options, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return loader;
}

static const mcf_batch *next_batch(mcf_loader *loader)
{
    const mcf_batch *batch;
    mcf_error err = {0};
    if (mcf_loader_next(loader, &batch, &err) != MCF_OK)
        fail_msg("%s", err.message);
    return batch;
}

// Rows show their sample: make_png's colour.
static void check_rows(const mcf_batch *batch)
{
    assert_int_equal(batch->views, 1);
    assert_int_equal(batch->width, SIDE);
    for (int r = 0; r < batch->count; r++) {
        int id = (int)batch->sample[r];
        const uint8_t *pixel = batch->pixels + (size_t)r * SIDE * SIDE * 3;
        for (int i = 0; i < SIDE * SIDE; i++, pixel += 3)
            assert_true(pixel[0] == (uint8_t)id && pixel[1] == (uint8_t)(7 * id) && pixel[2] == (uint8_t)(255 - id));
        assert_int_equal(batch->original[2 * r], 9 + id % 5);
        assert_int_equal(batch->original[2 * r + 1], 9 + id % 3);
        assert_true(batch->inverse[6 * r] > 1 && batch->inverse[6 * r + 1] == 0);
        mcf_rng rng = mcf_rng_make(5, MCF_RNG_FLIP, (uint32_t)batch->epoch, (uint64_t)id);
        assert_int_equal(batch->flip[r], mcf_rng_u32(&rng) >> 31);
    }
}

// Samples and flips of `batches` batches in a row.
typedef struct {
    int count;
    int64_t sample[512];
    uint8_t flip[512];
} stream;

static stream record(mcf_loader *loader, int batches)
{
    stream s = {0};
    for (int b = 0; b < batches; b++) {
        const mcf_batch *batch = next_batch(loader);
        assert_non_null(batch);
        check_rows(batch);
        for (int r = 0; r < batch->count; r++, s.count++) {
            s.sample[s.count] = batch->sample[r];
            s.flip[s.count] = batch->flip[r];
        }
    }
    return s;
}

static void every_epoch_is_a_permutation(void **state)
{
    const mcf_source *source = *state;
    mcf_loader *loader =
        make_loader(source, (mcf_loader_options){.seed = 5, .batch = 5, .workers = 2, .shuffle = true});
    assert_int_equal(mcf_loader_batches_per_epoch(loader), 8);
    stream epochs[3];
    int flips = 0;
    for (int e = 0; e < 3; e++) {
        epochs[e] = record(loader, 8);
        char seen[40] = {0};
        for (int i = 0; i < 40; i++) {
            assert_false(seen[epochs[e].sample[i]]);
            seen[epochs[e].sample[i]] = 1;
            flips += epochs[e].flip[i];
        }
    }
    assert_true(memcmp(epochs[0].sample, epochs[1].sample, sizeof epochs[0].sample) != 0);
    assert_true(flips > 30 && flips < 90);
    const mcf_loader_stats *stats = mcf_loader_get_stats(loader);
    assert_int_equal(stats->batches, 24);
    assert_int_equal(stats->samples, 120);
    assert_int_equal(stats->broken, 0);
    mcf_loader_destroy(loader);
}

static void workers_change_nothing(void **state)
{
    stream expected = {0};
    for (int workers = 0; workers <= 5; workers++) {
        mcf_loader *loader = make_loader(
            *state,
            (mcf_loader_options){.seed = 5, .batch = 7, .workers = workers, .ahead = 1 + workers % 3, .shuffle = true});
        stream got = record(loader, 13);
        if (workers == 0)
            expected = got;
        assert_memory_equal(&got, &expected, sizeof got);
        mcf_loader_destroy(loader);
    }
}

static void positions_are_taken_up(void **state)
{
    mcf_loader_options options = {.seed = 5, .batch = 6, .workers = 3, .shuffle = true};
    mcf_loader *whole = make_loader(*state, options);
    int64_t epoch[15], index[15];
    stream all = {0};
    for (int b = 0; b < 15; b++) {
        const mcf_batch *batch = next_batch(whole);
        epoch[b] = batch->next_epoch;
        index[b] = batch->next_index;
        assert_int_equal(batch->epoch, b / 6);
        assert_int_equal(batch->index, b % 6);
        memcpy(all.sample + 6 * b, batch->sample, 6 * sizeof *all.sample);
        memcpy(all.flip + 6 * b, batch->flip, 6);
    }
    mcf_loader_destroy(whole);
    for (int b = 0; b < 12; b++) {
        options.epoch = epoch[b];
        options.index = index[b];
        mcf_loader *rest = make_loader(*state, options);
        stream got = record(rest, 3);
        assert_memory_equal(got.sample, all.sample + 6 * (b + 1), 18 * sizeof *got.sample);
        assert_memory_equal(got.flip, all.flip + 6 * (b + 1), 18);
        mcf_loader_destroy(rest);
    }
}

static void ranks_add_up(void **state)
{
    mcf_loader *one = make_loader(*state, (mcf_loader_options){.seed = 5, .batch = 6, .workers = 1, .shuffle = true});
    mcf_loader *ranks[3];
    for (int r = 0; r < 3; r++)
        ranks[r] = make_loader(
            *state, (mcf_loader_options){.seed = 5, .batch = 2, .workers = r, .shuffle = true, .rank = r, .world = 3});
    for (int b = 0; b < 9; b++) {
        const mcf_batch *global = next_batch(one);
        for (int r = 0; r < 3; r++) {
            const mcf_batch *part = next_batch(ranks[r]);
            assert_int_equal(part->epoch, global->epoch);
            assert_int_equal(part->index, global->index);
            assert_memory_equal(part->sample, global->sample + 2 * r, 2 * sizeof(int64_t));
            assert_memory_equal(part->flip, global->flip + 2 * r, 2);
            assert_memory_equal(part->pixels, global->pixels + 2 * r * SIDE * SIDE * 3, 2 * SIDE * SIDE * 3);
        }
    }
    for (int r = 0; r < 3; r++)
        mcf_loader_destroy(ranks[r]);
    mcf_loader_destroy(one);
}

static void ends_multiples_and_last_batches(void **state)
{
    for (int workers = 0; workers <= 2; workers += 2) {
        // 40 samples: 4 batches of 9, of which a multiple of 3 is kept.
        mcf_loader *loader = make_loader(
            *state, (mcf_loader_options){
                        .seed = 5, .batch = 9, .workers = workers, .shuffle = true, .multiple = 3, .end_epoch = 2});
        assert_int_equal(mcf_loader_batches_per_epoch(loader), 3);
        record(loader, 6);
        assert_null(next_batch(loader));
        assert_null(next_batch(loader));
        mcf_loader_destroy(loader);
        // Evaluation: everything once, in order, on two ranks; the second has no row of the last batch.
        for (int rank = 0; rank < 2; rank++) {
            loader = make_loader(*state, (mcf_loader_options){.seed = 5,
                                                              .batch = 6,
                                                              .workers = workers,
                                                              .end_epoch = 1,
                                                              .keep_last = true,
                                                              .rank = rank,
                                                              .world = 2});
            stream got = record(loader, 4);
            assert_int_equal(got.count, rank == 0 ? 22 : 18);
            for (int i = 0; i < got.count; i++)
                assert_int_equal(got.sample[i], i / 6 * 12 + rank * 6 + i % 6);
            assert_null(next_batch(loader));
            mcf_loader_destroy(loader);
        }
    }
}

static void impossible_options(void **state)
{
    mcf_transform transform = mcf_transform_center_crop(&crop);
    const mcf_loader_options wrong[] = {
        {.batch = 41},
        {.batch = 0},
        {.batch = 8, .world = 6},
        {.batch = 8, .rank = 1, .world = 1},
        {.batch = 8, .index = 5},
        {.batch = 8, .multiple = 6},
        {.batch = 8, .workers = -1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        mcf_loader *loader;
        assert_int_equal(mcf_loader_create(&loader, *state, &transform, &wrong[i], NULL), MCF_ERR_USAGE);
        assert_null(loader);
    }
}

// Leaving with workers in any state.
static void early_exit(void **state)
{
    for (int i = 0; i < 30; i++) {
        mcf_loader *loader = make_loader(
            *state,
            (mcf_loader_options){.seed = 5, .batch = 3, .workers = 1 + i % 4, .ahead = 1 + i % 5, .shuffle = true});
        for (int b = 0; b < i % 3; b++)
            next_batch(loader);
        mcf_loader_destroy(loader);
    }
    mcf_loader_destroy(NULL);
}

// Three kinds of damage among 40; the stream, the replacements and the counts do not depend on the workers.
static void broken_samples_are_replaced(void **state)
{
    (void)state;
    char *dir = make_temp_directory();
    make_folder(dir, 40);
    mcf_bytes half = make_png(7, 50, 50);
    write_file(dir, "007.png", half.data, half.size / 2);
    write_file(dir, "008.png", "", 0);
    write_file(dir, "039.png", "some words\n", 11);
    mcf_bytes_free(&half);
    mcf_source *source = open_folder(dir);
    stream expected = {0};
    for (int workers = 0; workers <= 4; workers++) {
        mcf_loader *loader =
            make_loader(source, (mcf_loader_options){.seed = 5, .batch = 10, .workers = workers, .shuffle = true});
        stream got = record(loader, 8);
        if (workers == 0)
            expected = got;
        assert_memory_equal(&got, &expected, sizeof got);
        for (int i = 0; i < got.count; i++)
            assert_true(got.sample[i] != 7 && got.sample[i] != 8 && got.sample[i] != 39);
        const mcf_loader_stats *stats = mcf_loader_get_stats(loader);
        assert_int_equal(stats->broken, 8); // 7 also meets 8: four an epoch
        assert_int_equal(stats->broken_distinct, 3);
        assert_int_equal(stats->recent_count, 8);
        int met[3] = {0};
        for (int i = 0; i < 8; i++) {
            const mcf_broken_sample *b = &stats->recent[i];
            assert_int_equal(b->replacement, b->sample == 39 ? 0 : 9);
            assert_int_equal(b->epoch, i / 4);
            met[b->sample == 7 ? 0 : b->sample == 8 ? 1 : 2]++;
            char text[1024], name[300];
            mcf_broken_describe(source, b, text, sizeof text);
            assert_non_null(strstr(text, mcf_source_name(source, b->sample, name, sizeof name)));
            assert_non_null(strstr(text, b->sample == 7 ? "truncated PNG" : b->sample == 8 ? "empty" : "text, not"));
        }
        assert_true(met[0] == 2 && met[1] == 4 && met[2] == 2);
        mcf_loader_destroy(loader);

        // None allowed: the first one stops the loader, for good.
        loader = make_loader(
            source,
            (mcf_loader_options){.seed = 5, .batch = 40, .workers = workers, .shuffle = true, .broken_min = -1});
        const mcf_batch *batch;
        mcf_error err = {0};
        assert_int_equal(mcf_loader_next(loader, &batch, &err), MCF_ERR_FORMAT);
        assert_null(batch);
        assert_non_null(strstr(err.message, "3 of 40 samples are broken"));
        assert_int_equal(mcf_loader_next(loader, &batch, NULL), MCF_ERR_FORMAT);
        mcf_loader_destroy(loader);
    }
    mcf_source_close(source);
    remove_temp_directory(dir);
}

static void too_many_broken(void **state)
{
    (void)state;
    char *dir = make_temp_directory(), name[32];
    make_folder(dir, 30);
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "%03d.png", 2 * i);
        write_file(dir, name, "no", 2);
    }
    mcf_source *source = open_folder(dir);
    mcf_loader *loader = make_loader(source, (mcf_loader_options){.seed = 5, .batch = 10, .workers = 2});
    const mcf_batch *batch;
    mcf_error err = {0};
    assert_non_null(next_batch(loader));
    assert_non_null(next_batch(loader)); // ten so far: allowed
    assert_int_equal(mcf_loader_get_stats(loader)->broken_distinct, 10);
    assert_int_equal(mcf_loader_next(loader, &batch, &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, "11 of 30"));
    assert_non_null(strstr(err.message, "020.png"));
    mcf_loader_destroy(loader);
    mcf_source_close(source);
    remove_temp_directory(dir);

    dir = make_temp_directory();
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "%03d.png", i);
        write_file(dir, name, "no", 2);
    }
    source = open_folder(dir);
    loader = make_loader(source, (mcf_loader_options){.seed = 5, .batch = 4, .workers = 3, .shuffle = true});
    assert_int_equal(mcf_loader_next(loader, &batch, &err), MCF_ERR_FORMAT);
    assert_non_null(strstr(err.message, " picture; with it 64 samples in a row"));
    mcf_loader_destroy(loader);
    mcf_source_close(source);
    remove_temp_directory(dir);
}

// For work on every sample of a set: broken ones keep their rows, however many there are.
static void broken_samples_are_kept(void **state)
{
    (void)state;
    char *dir = make_temp_directory(), name[32];
    make_folder(dir, 100);
    for (int i = 5; i < 90; i++) {
        snprintf(name, sizeof name, "%03d.png", i);
        write_file(dir, name, "no", 2);
    }
    mcf_source *source = open_folder(dir);
    mcf_loader *loader = make_loader(
        source,
        (mcf_loader_options){
            .batch = 8, .workers = 3, .keep_last = true, .keep_broken = true, .end_epoch = 1, .broken_min = INT64_MAX});
    for (int64_t at = 0; at < 100;) {
        const mcf_batch *batch = next_batch(loader);
        for (int r = 0; r < batch->count; r++, at++)
            assert_int_equal(batch->sample[r], at < 5 || at >= 90 ? at : -1);
    }
    assert_int_equal(mcf_loader_get_stats(loader)->broken_distinct, 85);
    mcf_loader_destroy(loader);
    mcf_source_close(source);
    remove_temp_directory(dir);
}

// A transform with two views and extra bytes, as crops with labels will be.
static mcf_status paint(const void *options, const mcf_transform_input *in, mcf_transform_output *out, mcf_error *err)
{
    (void)err;
    const int *marks = options;
    for (int v = 0; v < 2; v++) {
        memset(out->view[v].pixels, marks[v] + (int)in->sample, 4 * 3 * 3);
        *out->view[v].flip = (uint8_t)v;
        for (int i = 0; i < 6; i++)
            out->view[v].inverse[i] = v + i;
    }
    out->original[0] = out->original[1] = 1;
    memcpy(out->extra, &in->sample, sizeof in->sample);
    return MCF_OK;
}

static void other_transforms(void **state)
{
    const int marks[2] = {0, 100};
    mcf_transform transform = {.views = 2, .width = 4, .height = 3, .extra_size = 8, .apply = paint, .options = marks};
    mcf_loader_options options = {.seed = 5, .batch = 5, .workers = 2, .shuffle = true};
    mcf_loader *loader;
    assert_int_equal(mcf_loader_create(&loader, *state, &transform, &options, NULL), MCF_OK);
    for (int b = 0; b < 10; b++) {
        const mcf_batch *batch = next_batch(loader);
        for (int r = 0; r < 5; r++) {
            int64_t extra;
            memcpy(&extra, batch->extra + 8 * r, 8);
            assert_int_equal(extra, batch->sample[r]);
            for (int v = 0; v < 2; v++) {
                assert_int_equal(batch->pixels[(v * 5 + r) * 36 + 35], marks[v] + extra);
                assert_int_equal(batch->flip[v * 5 + r], v);
                assert_true(batch->inverse[(v * 5 + r) * 6 + 5] == v + 5);
            }
        }
    }
    mcf_loader_destroy(loader);
}

static char *group_directory;

static int open_group(void **state)
{
    group_directory = make_temp_directory();
    make_folder(group_directory, 40);
    *state = open_folder(group_directory);
    return 0;
}

static int close_group(void **state)
{
    mcf_source_close(*state);
    remove_temp_directory(group_directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_epoch_is_a_permutation),
        cmocka_unit_test(workers_change_nothing),
        cmocka_unit_test(positions_are_taken_up),
        cmocka_unit_test(ranks_add_up),
        cmocka_unit_test(ends_multiples_and_last_batches),
        cmocka_unit_test(impossible_options),
        cmocka_unit_test(early_exit),
        cmocka_unit_test(broken_samples_are_replaced),
        cmocka_unit_test(too_many_broken),
        cmocka_unit_test(broken_samples_are_kept),
        cmocka_unit_test(other_transforms),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
