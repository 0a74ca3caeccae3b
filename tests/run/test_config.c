// Config: every key checked, includes and overrides merged, what is dumped reads back the same.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "run/config/check.h"
#include "run/config/config.h"
#include "train/schedule.h"

static mcf_status parse(mcf_config *config, const char *text, mcf_error *err)
{
    return mcf_config_parse(config, text, strlen(text), "c.yaml", NULL, 0, err);
}

// Dumps, reads back, dumps again: the same struct (but for the lists' addresses) and the same text.
static void assert_dump_reads_back(const mcf_config *config)
{
    mcf_error err = {0};
    mcf_config back;
    char *text, *again;
    assert_int_equal(mcf_config_dump(config, &text, &err), MCF_OK);
    if (mcf_config_parse(&back, text, strlen(text), "dump", NULL, 0, &err) != MCF_OK)
        fail_msg("%s in:\n%s", err.message, text);
    assert_int_equal(mcf_config_dump(&back, &again, &err), MCF_OK);
    assert_string_equal(text, again);
    assert_memory_equal(&config->model, &back.model, sizeof(back.model));
    assert_memory_equal(&config->objective, &back.objective, sizeof(back.objective));
    assert_memory_equal(&config->dense, &back.dense, sizeof(back.dense));
    assert_int_equal(config->task, back.task);
    assert_true(config->seed == back.seed && config->checkpoint.every.count == back.checkpoint.every.count);
    assert_int_equal(config->data.train.count, back.data.train.count);
    for (int i = 0; i < back.data.train.count; i++)
        assert_string_equal(config->data.train.items[i], back.data.train.items[i]);
    free(text);
    free(again);
    mcf_config_free(&back);
}

static void defaults_are_the_contracts(void **state)
{
    mcf_config c;
    mcf_error err = {0};
    assert_int_equal(parse(&c, "", &err), MCF_OK);
    assert_true(c.task == MCF_TASK_PRETRAIN && c.objective.method == MCF_METHOD_MCF &&
                c.precision == MCF_PRECISION_FP32);
    assert_true(c.model.image_size == 224 && c.model.patch_size == 16 && c.model.encoder.dim == 768);
    assert_true(c.model.decoder.dim == 512 && c.model.decoder.depth == 2 && c.model.decoder.heads == 16);
    assert_true(c.model.teacher_block_count == 4 && c.model.teacher_blocks[3] == 12);
    assert_true(c.model.projector_hidden == 4096 && c.model.projector_out == 256);
    assert_true(c.objective.mask_ratio == 0.75 && c.objective.feature_weight == 1000);
    assert_true(c.objective.contrastive_weight == 1 && c.objective.pixel_weight == 0);
    assert_true(c.objective.temperature == 0.2 && c.objective.momentum == 0.99);
    assert_true(c.objective.momentum_update == MCF_EMA_MICRO_BATCH && c.objective.tokens == MCF_TOKENS_CLS);
    assert_true(c.optimizer.base_lr == 1.5e-4 && c.optimizer.lr < 0 && c.optimizer.betas[1] == 0.95);
    assert_true(c.optimizer.eps == 1e-8 && c.optimizer.weight_decay == 0.05 && c.optimizer.clip_norm == 0);
    assert_true(c.schedule.epochs == 16 && c.schedule.warmup_epochs == 1 && c.schedule.min_lr == 0);
    assert_true(c.batch.per_device == 64 && c.batch.accumulate == 8);
    assert_true(c.checkpoint.every.count == 1 && c.checkpoint.every.epochs && c.checkpoint.keep == 3);
    assert_true(c.model.batchnorm_groups == 1 && !c.model.sync_batchnorm);
    // 8 devices: 4,096 images a step, the published command's 0.0024
    assert_int_equal(mcf_config_effective_batch(&c, 8), 4096);
    assert_true(fabs(mcf_config_peak_rate(&c, 8) - 0.0024) < 1e-15);
    assert_dump_reads_back(&c);
    mcf_config_free(&c);
}

static void every_kind_is_read(void **state)
{
    static const char text[] =
        "seed: 9223372036854775807\n"
        "precision: bf16\n"
        "data: {train: [a b, \"c\\td\\u2028\\\"\\\\\", \xc3\xa9], validation: v, format: list, fraction: "
        "0.1,\n"
        "       workers: 2, fast_decode: false}\n"
        "model:\n"
        "  image_size: 32\n"
        "  patch_size: 8\n"
        "  init: \"x # y.safetensors\"\n"
        "  encoder: {dim: 48, depth: 4, heads: 3, mlp_ratio: 2.5}\n"
        "  teacher: {dim: 36, depth: 4, heads: 3, blocks: [1, 4], checkpoint: random, image_size: 64}\n"
        "  sync_batchnorm: true\n"
        "  recompute: blocks\n"
        "objective:\n"
        "  contrastive: {tokens: patch, momentum_update: step, temperature: 0.07}\n"
        "optimizer: {lr: 0.016}\n"
        "checkpoint: {every: 200 steps, keep: 1}\n";
    mcf_config c;
    mcf_error err = {0};
    if (parse(&c, text, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_true(c.seed == INT64_MAX && c.precision == MCF_PRECISION_BF16);
    assert_int_equal(c.data.train.count, 3);
    assert_string_equal(c.data.train.items[0], "a b");
    assert_string_equal(c.data.train.items[1], "c\td\xe2\x80\xa8\"\\");
    assert_string_equal(c.data.validation.items[0], "v");
    assert_true(c.data.format == MCF_SOURCE_LIST && c.data.fraction == 0.1 && !c.data.fast_decode);
    assert_string_equal(c.model.init, "x # y.safetensors");
    assert_true(c.model.encoder.mlp_ratio == 2.5 && c.model.teacher_block_count == 2);
    assert_true(c.model.teacher_image_size == 64 && c.model.recompute == MCF_RECOMPUTE_BLOCKS);
    assert_true(c.objective.tokens == MCF_TOKENS_PATCH && c.objective.momentum_update == MCF_EMA_STEP);
    assert_true(c.checkpoint.every.count == 200 && !c.checkpoint.every.epochs);
    assert_true(mcf_config_peak_rate(&c, 8) == 0.016);
    assert_dump_reads_back(&c);
    mcf_config_free(&c);
}

static void tasks_to_come_are_read(void **state)
{
    mcf_config c;
    mcf_error err = {0};
    assert_int_equal(parse(&c,
                           "task: align\nmodel: {features: [1, 2, 4, 5], encoder: {depth: 5}, "
                           "freeze_backbone: true, head: {channels: 24, pool_scales: [1, 3], dropout: 0, "
                           "outputs: 5}}\nobjective: {coordinate: 2, heatmap: 0.5, heatmap_size: 40, "
                           "heatmap_radius: 3}\noptimizer: {rates: {backbone: 1e-4, head: 1e-2}}\nema: 0.9\n"
                           "schedule: {epochs: 250, milestones: [200, 230], factor: 0.5}\n",
                           &err),
                     MCF_OK);
    assert_true(c.dense.features[3] == 5 && c.dense.freeze_backbone && c.dense.head.pool_scale_count == 2 &&
                c.dense.head.outputs == 5);
    assert_true(c.dense.coordinate_weight == 2 && c.dense.heatmap_weight == 0.5 && c.dense.heatmap_size == 40);
    assert_true(c.dense.task == MCF_DENSE_ALIGN && c.schedule.milestone_count == 2 && c.schedule.milestones[1] == 230);
    assert_true(c.dense.heatmap_radius == 3 && c.dense.ema == 0.9);
    assert_true(c.optimizer.rate_backbone == 1e-4 && c.optimizer.rate_fpn < 0 && c.optimizer.rate_head == 1e-2);
    assert_dump_reads_back(&c);
    mcf_config_free(&c);
    assert_int_equal(parse(&c, "task: parse\nobjective: {cross_entropy: 2}\n", &err), MCF_OK);
    assert_true(c.dense.cross_entropy_weight == 2);
    assert_dump_reads_back(&c);
    mcf_config_free(&c);
    assert_int_equal(parse(&c, "method: moco-v3\nobjective: {contrastive: {momentum: 0.99}}\n", &err), MCF_OK);
    assert_true(c.objective.method == MCF_METHOD_MOCO_V3);
    assert_dump_reads_back(&c);
    mcf_config_free(&c);
}

static void wrong_configs_are_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"sed: 1", "c.yaml:1: unknown key 'sed'; the nearest known name is 'seed'"},
        {"seed: 1\nmodel:\n  encodr: {dim: 4}",
         "c.yaml:3: unknown key 'model.encodr'; the nearest known name is 'model.encoder'"},
        {"model: {encoder: {dims: 4}}", "nearest known name is 'model.encoder.dim'"},
        {"mask_ratio: 0.5", "nearest known name is 'objective.mask_ratio'"},
        {"optimizer:\n  beta: [0.9, 0.9]",
         "c.yaml:2: unknown key 'optimizer.beta'; the nearest known name is 'optimizer.betas'"},
        {"task: segment", "task is 'segment', must be one of: pretrain align parse"},
        {"seed: -1", "c.yaml:1: seed must be a whole number from 0"},
        {"seed: 1e3", "seed must be a whole number"},
        {"batch:\n  per_device: 64.5", "c.yaml:2: batch.per_device must be a whole number, not '64.5'"},
        {"batch: {per_device: 0}", "batch.per_device is 0, must be 1 to 65536"},
        {"batch: {per_device: 99999999999999999999}", "must be a whole number"},
        {"batch: {per_device: [1]}", "not a list"},
        {"batch: 64", "batch must be a map"},
        {"batch: {per_device: }", "has no value"},
        {"objective: {mask_ratio: 1}", "objective.mask_ratio is 1, must be above 0 and below 1"},
        {"objective: {mask_ratio: 0}", "must be above 0 and below 1"},
        {"objective: {mask_ratio: nan}", "must be a number, not 'nan'"},
        {"objective: {mask_ratio: 0x1p-1}", "must be a number"},
        {"objective: {mask_ratio: 0,75}", "c.yaml:1:"},
        {"objective: {mask_ratio: 0.999}", "leaves none of 196 patches visible"},
        {"objective: {mask_ratio: 1e-17}", "hides none of 196 patches"},
        {"objective: {feature: {weight: 0}, contrastive: {weight: 0}}", "every term of the objective"},
        {"objective: {pixel: {per_patch_norm: yes}}", "must be true or false, not 'yes'"},
        {"data: {fraction: 0}", "data.fraction is 0, must be above 0 and at most 1"},
        {"data: {fraction: 1.01}", "data.fraction is 1.01"},
        {"data: {train: [[a]]}", "not a list"},
        {"data: {train: [\"\"]}", "empty path"},
        {"model: {image_size: 225}", "model.image_size (225) must be a multiple of model.patch_size (16)"},
        {"model: {encoder: {heads: 7}}", "model.encoder.dim (768) must be a multiple of model.encoder.heads (7)"},
        {"model: {decoder: {dim: 30, heads: 3}}", "multiple of 4"},
        {"model: {encoder: {mlp_ratio: 0.3333}}", "must be a whole number"},
        {"model: {teacher: {depth: 8}}", "model.teacher.blocks names block 9, but model.teacher is 8 blocks deep"},
        {"model: {teacher: {blocks: [3, 3]}}", "must rise"},
        {"model: {teacher: {blocks: []}}", "has 0 items"},
        {"model: {teacher: {blocks: 3}}", "must be a list of numbers such as [3, 6, 9, 12]"},
        {"model: {teacher: {image_size: 100}}", "multiple of model.patch_size"},
        {"model: {init: }", "\"\" for none"},
        {"model: {sync_batchnorm: true, batchnorm_groups: 2}", "give one of them"},
        {"model: {features: [1, 2, 3, 4]}", "model.features is a key of tasks align and parse, this is task pretrain"},
        {"ema: 0.9", "ema is a key of tasks align and parse"},
        {"objective: {coordinate: 1}", "is a key of task align"},
        {"task: align\nmethod: mcf", "method is a key of task pretrain"},
        {"task: align\nmodel: {features: [1, 2, 3]}", "must name 4 blocks"},
        {"task: align\nmodel: {features: [1, 2, 3, 13]}", "names block 13"},
        {"task: align\nobjective: {coordinate: 0, heatmap: 0}", "give one a weight"},
        {"task: parse\nobjective: {cross_entropy: 0}", "nothing to train on"},
        {"method: moco-v3\nobjective: {mask_ratio: 0.5}", "this is task pretrain, method moco-v3"},
        {"optimizer: {lr: 1, base_lr: 1}", "exclude each other"},
        {"optimizer: {lr: -1}", "must be at least 0"},
        {"optimizer: {betas: [0.9]}", "has 1 items, must have 2"},
        {"optimizer: {betas: [0.9, 1]}", "optimizer.betas is 1, must be at least 0 and below 1"},
        {"optimizer: {name: sgd}", "must be one of: adamw"},
        {"schedule: {epochs: 1, warmup_epochs: 2}", "schedule.warmup_epochs (2) is longer"},
        {"task: align\nschedule: {milestones: [20, 10]}", "schedule.milestones must rise: 10 stands behind 20"},
        {"optimizer: {lr: 0.1}\nschedule: {min_lr: 0.2}", "schedule.min_lr (0.2) is above optimizer.lr"},
        {"checkpoint: {every: epoch}", "must be a period such as '1 epoch'"},
        {"checkpoint: {every: 0 steps}", "must be a period"},
        {"checkpoint: {every: 1 epoch more}", "must be a period"},
        {"checkpoint: {every: 2 weeks}", "must be a period"},
        {"seed: 1\nseed: 2", "c.yaml:2: the key 'seed' is given twice"},
        {"[1, 2]", "a config is a map of keys"},
        {"seed: [", "c.yaml:"},
        {"seed: &a 1", "anchors are not supported"},
        {"seed: *a", "aliases are not supported"},
        {"seed: !!int 1", "tags are not supported"},
        {"seed: 1\n---\nseed: 2", "a second document"},
        {"? [a]\n: 1", "a key must be a name"},
        {"model: [[[[[[[[[[[[[[[[[[[[", "nested too deeply"},
        {"seed: \xff", "c.yaml"},
        {"model: {init: \"a\\0b\"}", "zero byte"},
        {"include: other.yaml", "include is only possible in a file"},
        // What YAML would lose, or reads as another kind than what stands there.
        {"data:\n  train: faces #1", "c.yaml:2: data.train: YAML takes '#1' for a comment and loses it"},
        {"data:\n  train: faces #1 # two", "YAML takes '#1 # two' for a comment"},
        {"data:\n  train:\n  - \xc3\xa9\xc3\xa9 a\n  - b\t#2\n", "YAML takes '#2' for a comment"},
        {"data:\n  train: [a, b #2\n  , c]", "YAML takes '#2' for a comment"},
        {"data:\n  train: [a,#2\n  c]", "YAML takes '#2' for a comment"},
        {"data:\n  train: [\"a\", #2, b\n  c]", "YAML takes '#2, b' for a comment"},
        {"data:\n  train: #1", "data.train has no value"},
        {"data:\n  train:\n  - #1", "data.train has no value"},
        {"data: {image_keys: [jpg #x\n]}", "YAML takes '#x' for a comment"},
        {"model: {init: weights #3\n}", "model.init: YAML takes '#3' for a comment"},
        {"data: {train: ~}", "data.train is '~', which is nothing to YAML"},
        {"data: {train: [a, null]}", "data.train is 'null', which is nothing to YAML"},
        {"model: {init: Null}", "model.init is 'Null', which is nothing"},
        {"data: {train: yes}", "data.train is 'yes', which is true or false to YAML"},
        {"data: {train: [No]}", "data.train is 'No', which is true or false"},
        {"model: {teacher: {checkpoint: false}}", "is 'false', which is true or false"},
        {"data:\n  train: !faces\n", "a value that begins with ! needs quotes"},
        {"data:\n  train: &faces\n", "a value that begins with & needs quotes"},
        {"data:\n  train: *faces\n", "a value that begins with * needs quotes"},
        {"data: {train: !!str 1}", "tags are not supported"},
        {"model: {image_size: \"224\"}", "model.image_size must be a whole number, not a text in quotes ('224')"},
        {"optimizer: {lr: '0.1'}", "optimizer.lr must be a number, not a text in quotes"},
        {"optimizer: {betas: ['0.9', 0.95]}", "must be a number, not a text in quotes"},
        {"objective: {pixel: {per_patch_norm: \"true\"}}", "must be true or false, not a text in quotes"},
        {"seed: 010", "seed is '010', which is octal to some readers of YAML"},
        {"batch: {per_device: 0_64}", "octal"},
        {"batch: {per_device: 1_000}", "must be a whole number, not '1_000'"},
        {"batch: {per_device: 0x10}", "must be a whole number, not '0x10'"},
        {"schedule: {epochs: 1:30}", "must be a whole number, not '1:30'"},
        {"optimizer: {lr: .inf}", "must be a number, not '.inf'"},
        {"seed: ~", "seed must be a whole number from 0 to 2^63 - 1, not '~'"},
        {"precision: ~", "precision is '~', must be one of"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mcf_error err = {0};
        mcf_config c;
        if (parse(&c, cases[i].text, &err) != MCF_ERR_USAGE)
            fail_msg("'%s' is taken", cases[i].text);
        if (!strstr(err.message, cases[i].words))
            fail_msg("'%s' says '%s'", cases[i].text, err.message);
        assert_ptr_equal(strstr(err.message, "c.yaml"), err.message);
        assert_null(strchr(err.message, '\n'));
    }
}

// What looks like those above and loses nothing.
static void values_with_marks_are_whole(void **state)
{
    static const struct {
        const char *text, *path;
    } cases[] = {
        {"data:\n  train: faces # the small set", "faces"},
        {"data:\n  train: faces #", "faces"},
        {"data:\n  train: \"faces #1\" #2", "faces #1"},
        {"data:\n  train: 'faces #1'", "faces #1"},
        {"data:\n  train: faces#1", "faces#1"},
        {"data:\n  train: [faces] #1", "faces"},
        {"data:\n  train: [ # first the small\n    faces, # then none\n  ]", "faces"},
        {"data:\n  train: [\n    #old,\n    faces]", "faces"},
        {"data:\n  #train: old\n  train: faces\n  #fraction: 1", "faces"},
        {"data:\n  train: 010", "010"},
        {"data:\n  train: 1e3", "1e3"},
        {"data:\n  train: \"~\"", "~"},
        {"data:\n  train: 'no'", "no"},
        {"data:\n  train: ~/faces", "~/faces"},
        {"data:\n  train: |-\n    faces #1\n", "faces #1"},
        {"data:\r\n  train: faces # x\r\n  workers: 1\r\n", "faces"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mcf_error err = {0};
        mcf_config c;
        if (parse(&c, cases[i].text, &err) != MCF_OK)
            fail_msg("'%s' says '%s'", cases[i].text, err.message);
        assert_int_equal(c.data.train.count, 1);
        assert_string_equal(c.data.train.items[0], cases[i].path);
        mcf_config_free(&c);
    }
    // A comment with its blank, but the whole is the name of what is there.
    char folder[] = "/tmp/mcf_config_XXXXXX", path[64], text[160];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/faces # 1", folder);
    snprintf(text, sizeof text, "data:\n  train: %s", path);
    mcf_error err = {0};
    mcf_config c;
    assert_int_equal(parse(&c, text, &err), MCF_OK);
    mcf_config_free(&c);
    assert_int_equal(mcf_directory_make(path, &err), MCF_OK);
    assert_int_equal(parse(&c, text, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "YAML takes '# 1' for a comment"));
    assert_int_equal(mcf_tree_remove(folder, NULL), MCF_OK);
}

static char directory[] = "/tmp/mcf_config_XXXXXX";

static int group_setup(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int group_teardown(void **state)
{
    return mcf_tree_remove(directory, NULL) == MCF_OK ? 0 : -1;
}

static const char *put(const char *name, const char *text)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    char *parent = mcf_path_parent(path);
    mcf_error err;
    assert_int_equal(mcf_directory_make(parent, &err), MCF_OK);
    assert_int_equal(mcf_file_write(path, text, strlen(text), &err), MCF_OK);
    free(parent);
    return path;
}

static void includes_are_merged(void **state)
{
    mcf_config c;
    mcf_error err = {0};
    put("base.yaml", "seed: 1\nmodel: {encoder: {dim: 48, heads: 3}, teacher: {blocks: [1, 2]}}\n"
                     "optimizer: {base_lr: 1e-3}\ndata: {train: [a, b]}\n");
    put("deep/middle.yaml", "include: ../base.yaml\nseed: 2\nmodel: {encoder: {depth: 3}}\n");
    const char *path = put("top.yaml", "include: deep/middle.yaml\nmodel: {encoder: {dim: 24}}\n"
                                       "optimizer: {lr: 0.5}\ndata: {train: [c]}\n");
    if (mcf_config_load(&c, path, NULL, 0, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_true(c.seed == 2 && c.model.encoder.dim == 24 && c.model.encoder.depth == 3);
    assert_true(c.model.encoder.heads == 3 && c.model.teacher_block_count == 2 && c.optimizer.lr == 0.5);
    assert_int_equal(c.data.train.count, 1);
    assert_string_equal(c.data.train.items[0], "c");
    assert_dump_reads_back(&c);
    mcf_config_free(&c);

    const char *sets[] = {"seed=7", "model.encoder={dim: 36, mlp_ratio: 2}", "data.train=[x, y]",
                          "optimizer.base_lr=0.25", "model.init="};
    assert_int_equal(mcf_config_load(&c, path, sets, 5, &err), MCF_OK);
    assert_true(c.seed == 7 && c.model.encoder.dim == 36 && c.model.encoder.depth == 3);
    assert_true(c.optimizer.lr < 0 && c.optimizer.base_lr == 0.25 && c.data.train.count == 2);
    mcf_config_free(&c);
    static const char *const wrong[][2] = {
        {"seed", "--set seed: must be key.path=value"},
        {"=1", "must be key.path=value"},
        {"seed=x", "--set seed: seed must be a whole number"},
        {"sed=1", "--set sed: unknown key 'sed'"},
        {"seed=[1", "--set seed: "},
        {"include=a.yaml", "by a file only"},
        {"model..dim=1", "unknown key"},
        {"model.=1", "unknown key"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(mcf_config_load(&c, path, &wrong[i][0], 1, &err), MCF_ERR_USAGE);
        if (!strstr(err.message, wrong[i][1]))
            fail_msg("'%s' says '%s'", wrong[i][0], err.message);
    }
}

static void bad_includes_are_refused(void **state)
{
    mcf_config c;
    mcf_error err = {0};
    assert_int_equal(mcf_config_load(&c, "/nowhere/c.yaml", NULL, 0, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "/nowhere/c.yaml: cannot read the config: No such file"));
    put("a.yaml", "include: b.yaml\n");
    assert_int_equal(mcf_config_load(&c, put("b.yaml", "include: a.yaml\n"), NULL, 0, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "circle"));
    assert_int_equal(mcf_config_load(&c, put("c.yaml", "include: none.yaml\n"), NULL, 0, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "c.yaml:1: "));
    assert_non_null(strstr(err.message, "none.yaml: cannot read"));
    assert_int_equal(mcf_config_load(&c, put("d.yaml", "include: [a.yaml]\n"), NULL, 0, &err), MCF_ERR_USAGE);
    put("bad.yaml", "seed: 1\nsed: 2\n");
    assert_int_equal(mcf_config_load(&c, put("e.yaml", "include: bad.yaml\n"), NULL, 0, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "bad.yaml:2: unknown key 'sed'"));
    for (int i = 0; i < 20; i++) {
        char name[32], text[48];
        snprintf(name, sizeof(name), "n%d.yaml", i);
        snprintf(text, sizeof(text), "include: n%d.yaml\n", i - 1);
        put(name, i ? text : "seed: 1\n");
    }
    char path[512];
    snprintf(path, sizeof(path), "%s/n19.yaml", directory);
    assert_int_equal(mcf_config_load(&c, path, NULL, 0, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "deep in includes"));
    snprintf(path, sizeof(path), "%s/n15.yaml", directory);
    assert_int_equal(mcf_config_load(&c, path, NULL, 0, &err), MCF_OK);
    mcf_config_free(&c);
}

static void a_run_needs_more(void **state)
{
    mcf_config c;
    mcf_error err = {0};
    assert_int_equal(parse(&c, "", &err), MCF_OK);
    assert_int_equal(mcf_config_check_run(&c, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "data.train"));
    assert_int_equal(parse(&c, "data: {train: [a]}", &err), MCF_OK);
    assert_int_equal(mcf_config_check_run(&c, &err), MCF_ERR_USAGE);
    assert_non_null(strstr(err.message, "model.teacher.checkpoint"));
    mcf_config_free(&c);
    static const char *const texts[] = {"data: {train: [a]}\nmodel: {teacher: {checkpoint: random}}",
                                        "data: {train: [a]}\nobjective: {feature: {weight: 0}}"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(parse(&c, texts[i], &err), MCF_OK);
        assert_int_equal(mcf_config_check_run(&c, &err), MCF_OK);
        c.batch.per_device = 1;
        assert_int_equal(mcf_config_check_run(&c, &err), MCF_ERR_USAGE);
        c.batch.per_device = 6;
        c.model.batchnorm_groups = 4;
        assert_int_equal(mcf_config_check_run(&c, &err), MCF_ERR_USAGE);
        mcf_config_free(&c);
    }
}

// A locale with a decimal comma, made on the spot since few machines have one installed.
static void numbers_ignore_the_locale(void **state)
{
    char command[1200], number[16];
    mcf_config c;
    mcf_error err = {0};
    put("comma", "LC_NUMERIC\ndecimal_point \"<U002C>\"\nthousands_sep \"\"\ngrouping -1\nEND LC_NUMERIC\n");
    snprintf(command, sizeof(command), "localedef -c -i %s/comma %s/xx_XX >/dev/null 2>&1", directory, directory);
    int made = system(command); // warns of what the locale lacks and fails, but makes it
    setenv("LOCPATH", directory, 1);
    if (made == -1 || !setlocale(LC_NUMERIC, "xx_XX"))
        skip();
    snprintf(number, sizeof(number), "%g", 1.5);
    assert_string_equal(number, "1,5");
    assert_int_equal(parse(&c, "objective: {mask_ratio: 0.625}", &err), MCF_OK);
    assert_true(c.objective.mask_ratio == 0.625);
    assert_dump_reads_back(&c);
    char *text;
    assert_int_equal(mcf_config_dump(&c, &text, &err), MCF_OK);
    assert_non_null(strstr(text, "mask_ratio: 0.625\n"));
    snprintf(number, sizeof(number), "%g", 1.5);
    assert_string_equal(number, "1,5"); // the program's own locale is as it was
    free(text);
    mcf_config_free(&c);
    setlocale(LC_ALL, "C");
}

static void golden_configs_parse(void **state)
{
    static const char *const names[] = {"mcf", "mcf_3steps", "mae_pixel", "align", "parse"};
    const char *shared = getenv("MCF_SHARED");
    char path[1024];
    if (!shared)
        shared = MCF_SOURCE_DIR "/../shared";
    if (!mcf_path_is_directory(shared))
        skip();
    for (int i = 0; i < 5; i++) {
        mcf_config c;
        mcf_error err = {0};
        snprintf(path, sizeof(path), "%s/golden/%s/config.yaml", shared, names[i]);
        if (mcf_config_load(&c, path, NULL, 0, &err) != MCF_OK)
            fail_msg("%s", err.message);
        assert_true(c.optimizer.lr == 0.001);
        assert_dump_reads_back(&c);
        mcf_config_free(&c);
    }
}

// docs/config.md is the table's own words; MCF_WRITE_DOCS=1 writes it.
static void document_is_current(void **state)
{
    mcf_error err = {0};
    char *text, *file;
    size_t size;
    const char *path = MCF_SOURCE_DIR "/docs/config.md";
    assert_int_equal(mcf_config_document(&text, &err), MCF_OK);
    if (getenv("MCF_WRITE_DOCS"))
        assert_int_equal(mcf_file_write(path, text, strlen(text), &err), MCF_OK);
    if (mcf_file_read(path, 1 << 20, &file, &size, &err) != MCF_OK)
        fail_msg("%s", err.message);
    assert_string_equal(text, file);
    free(text);
    free(file);
}

static void schedule_follows_the_formula(void **state)
{
    assert_true(mcf_schedule_momentum(0, 300, 0.99) == 0.99);
    assert_true(fabs(mcf_schedule_momentum(150, 300, 0.99) - 0.995) < 1e-12);
    assert_true(fabs(mcf_schedule_momentum(75, 300, 0.99) - (1 - 0.005 * (1 + M_SQRT1_2))) < 1e-12);
    assert_true(mcf_schedule_momentum(300, 300, 0.99) == 1);
    assert_true(mcf_schedule_rate(0, 16, 1, 0.0024, 0) == 0);
    assert_true(mcf_schedule_rate(0.5, 16, 1, 0.0024, 0) == 0.0012);
    assert_true(mcf_schedule_rate(1, 16, 1, 0.0024, 0) == 0.0024);
    assert_true(fabs(mcf_schedule_rate(8.5, 16, 1, 0.0024, 0) - 0.0012) < 1e-12);
    assert_true(fabs(mcf_schedule_rate(4.75, 16, 1, 1, 0) - (0.5 + M_SQRT1_2 / 2)) < 1e-12);
    assert_true(mcf_schedule_rate(16, 16, 1, 0.0024, 0) == 0);
    assert_true(fabs(mcf_schedule_rate(8.5, 16, 1, 1, 0.5) - 0.75) < 1e-12);
    assert_true(mcf_schedule_rate(16, 16, 1, 1, 0.5) == 0.5);
    assert_true(mcf_schedule_rate(0, 4, 0, 1, 0) == 1); // no warm-up: the first step has the peak
    assert_true(mcf_schedule_rate(0.25, 1, 1, 1, 0) == 0.25);
    double before = 2;
    for (double epoch = 1; epoch <= 16; epoch += 0.125) {
        double rate = mcf_schedule_rate(epoch, 16, 1, 1, 0);
        assert_true(rate < before);
        before = rate;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_contracts),  cmocka_unit_test(every_kind_is_read),
        cmocka_unit_test(tasks_to_come_are_read),      cmocka_unit_test(wrong_configs_are_refused),
        cmocka_unit_test(values_with_marks_are_whole), cmocka_unit_test(includes_are_merged),
        cmocka_unit_test(bad_includes_are_refused),    cmocka_unit_test(a_run_needs_more),
        cmocka_unit_test(numbers_ignore_the_locale),   cmocka_unit_test(golden_configs_parse),
        cmocka_unit_test(document_is_current),         cmocka_unit_test(schedule_follows_the_formula),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
