// The committed configs: every one loads, is fit to run, reads back from its dump, and says what its row says.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/config.h"

static int seen;

static int check_file(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    mcf_config config, back;
    mcf_error err = {0};
    char *text;
    size_t length = strlen(path);
    if (kind != FTW_F || length < 5 || strcmp(path + length - 5, ".yaml") != 0)
        return 0;
    // Some leave the images to the command line.
    const char *sets[] = {"data.train=[some/faces]"};
    if (mcf_config_load(&config, path, sets, 1, &err) != MCF_OK)
        fail_msg("%s", err.message);
    if (mcf_config_check_run(&config, &err) != MCF_OK)
        fail_msg("%s: %s", path, err.message);
    assert_int_equal(mcf_config_dump(&config, &text, &err), MCF_OK);
    assert_int_equal(mcf_config_parse(&back, text, strlen(text), "dump", NULL, 0, &err), MCF_OK);
    assert_memory_equal(&config.model, &back.model, sizeof(back.model));
    assert_memory_equal(&config.objective, &back.objective, sizeof(back.objective));
    free(text);
    mcf_config_free(&config);
    mcf_config_free(&back);
    seen++;
    return 0;
}

static void all_files_load(void **state)
{
    assert_int_equal(nftw(MCF_SOURCE_DIR "/configs", check_file, 8, FTW_PHYS), 0);
    assert_true(seen >= 20);
}

// Tables 7, 8, 11 and 12, and method.md's rows.
static void rows_say_what_they_change(void **state)
{
    static const struct {
        const char *name;
        double fraction, feature, pixel, contrastive;
        int decoder_depth, epochs;
        mcf_contrast_tokens tokens;
        double peak; // on 8 devices
    } rows[] = {
        {"mcf_full", 1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"mcf_light", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"mcf_full_paper_rate", 1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.016},
        {"mcf_light_paper_rate", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.016},
        {"mcf_in1k", 1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"l2", 0.1, 0, 1, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"l2_patch_norm", 0.1, 0, 1, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"l2_mim", 0.1, 1000, 1, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"mim_8", 0.1, 1000, 0, 0, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"mim_2", 0.1, 1000, 0, 0, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"mim_con_p", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_PATCH, 0.0024},
        {"mim_con_cls", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"depth_1", 0.1, 1000, 0, 1, 1, 16, MCF_TOKENS_CLS, 0.0024},
        {"depth_2", 0.1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
        {"depth_4", 0.1, 1000, 0, 1, 4, 16, MCF_TOKENS_CLS, 0.0024},
        {"depth_8", 0.1, 1000, 0, 1, 8, 16, MCF_TOKENS_CLS, 0.0024},
        {"epochs_1", 1, 1000, 0, 1, 2, 1, MCF_TOKENS_CLS, 0.0024},
        {"epochs_2", 1, 1000, 0, 1, 2, 2, MCF_TOKENS_CLS, 0.0024},
        {"epochs_4", 1, 1000, 0, 1, 2, 4, MCF_TOKENS_CLS, 0.0024},
        {"epochs_8", 1, 1000, 0, 1, 2, 8, MCF_TOKENS_CLS, 0.0024},
        {"epochs_16", 1, 1000, 0, 1, 2, 16, MCF_TOKENS_CLS, 0.0024},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mcf_config c;
        mcf_error err = {0};
        char path[512];
        snprintf(path, sizeof(path), MCF_SOURCE_DIR "/configs/pretrain/%s.yaml", rows[i].name);
        if (mcf_config_load(&c, path, NULL, 0, &err) != MCF_OK)
            fail_msg("%s", err.message);
        bool same = c.data.fraction == rows[i].fraction && c.objective.feature_weight == rows[i].feature &&
                    c.objective.pixel_weight == rows[i].pixel &&
                    c.objective.contrastive_weight == rows[i].contrastive &&
                    c.model.decoder.depth == rows[i].decoder_depth && c.schedule.epochs == rows[i].epochs &&
                    c.objective.tokens == rows[i].tokens &&
                    fabs(mcf_config_peak_rate(&c, 8) - rows[i].peak) < 1e-12 &&
                    mcf_config_effective_batch(&c, 8) == 4096 && c.model.encoder.depth == 12;
        if (!same)
            fail_msg("%s is not its row", path);
        assert_int_equal(c.model.init[0] != '\0', strcmp(rows[i].name, "mcf_in1k") == 0);
        assert_int_equal(c.objective.per_patch_norm, strcmp(rows[i].name, "l2_patch_norm") == 0);
        mcf_config_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_files_load),
        cmocka_unit_test(rows_say_what_they_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
