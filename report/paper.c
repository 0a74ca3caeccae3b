// Tables 2 to 6, 8, 11, 12 and 14, 15 of the paper. For CelebAMask-HQ, +IN1K at 448, the mean is that of the 18 printed
// classes.
#include "report/paper.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "run/config/faces.h"
#include "run/weights.h"

const mcf_paper_measure mcf_paper_measures[MCF_PAPER_MEASURES] = {
    {"LaPa", "F1, mean of 10 classes", "Table 5", true, 2},
    {"CelebAMask-HQ", "F1, mean of 18 classes", "Table 6", true, 2},
    {"AFLW-19", "NME, box diagonal, all", "Table 2", false, 3},
    {"AFLW-19", "NME, box diagonal, frontal", "Table 2", false, 3},
    {"AFLW-19", "NME, box side", "Table 2", false, 3},
    {"AFLW-19", "AUC at 7 %", "Table 2", true, 1},
    {"WFLW", "NME, inter-ocular", "Table 3", false, 2},
    {"WFLW", "failures at 10 %", "Table 3", false, 2},
    {"WFLW", "AUC at 10 %", "Table 3", true, 2},
    {"300W", "NME, inter-ocular, common", "Table 4", false, 2},
    {"300W", "NME, inter-ocular, challenge", "Table 4", false, 2},
    {"300W", "NME, inter-ocular, full", "Table 4", false, 2},
};

const mcf_paper_row mcf_paper_scratch = {"scratch",
                                         "Scratch",
                                         "Tables 2-6",
                                         {91.43, 84.74, 1.047, 0.884, 1.481, 79.3, 4.80, 5.72, 54.54, 2.90, 5.19, 3.35},
                                         {0}};

static const mcf_paper_row rows[] = {
    {"mcf_full",
     "MCF on all faces (Ours)",
     "Tables 2-6",
     {92.93, 87.91, 0.950, 0.820, 1.344, 81.2, 3.96, 1.40, 60.90, 2.60, 4.51, 2.98},
     {93.96, 89.77, 0.932, 0.810, 1.318, 81.5, 3.90, 1.60, 61.44, 2.51, 4.47, 2.90}},
    {"mcf_light",
     "MCF on a tenth of the faces (Ours<sub>0.1</sub>)",
     "Tables 2-6",
     {92.48, 86.69, 0.968, 0.827, 1.368, 80.8, 4.16, 2.56, 59.19, 2.65, 4.68, 3.06},
     {93.55, 88.83, 0.951, 0.825, 1.345, 81.2, 4.13, 2.44, 60.18, 2.57, 4.66, 2.98}},
    {"mcf_in1k",
     "MCF from ImageNet weights (Ours<sub>+IN1K</sub>)",
     "Tables 9, 10, 13-15",
     {93.09, 88.17, 0.949, 0.827, 1.342, 81.2, 3.94, 1.44, 60.94, 2.60, 4.55, 2.98},
     {93.99, 89.68, 0.933, 0.810, 1.320, 81.6, 3.88, 1.36, 61.57, 2.50, 4.46, 2.89}},
    {"l2", "L<sub>2</sub>", "Table 8", {91.65, 0, 1.031, 0.873, 1.459, 79.6}, {0}},
    {"l2_mim", "L<sub>2</sub> + L<sub>mim</sub>", "Table 8", {91.55, 0, 1.021, 0.868, 1.447, 79.8}, {0}},
    {"mim_8", "L<sub>mim</sub>, M<sub>0</sub> 8 deep", "Table 8", {92.22, 0, 0.998, 0.848, 1.411, 80.2}, {0}},
    {"mim_2", "L<sub>mim</sub>, M<sub>0</sub> 2 deep", "Table 8", {92.39, 0, 0.972, 0.831, 1.374, 80.8}, {0}},
    {"mim_con_p", "L<sub>mim</sub> + Con<sub>p</sub>", "Table 8", {92.41, 0, 0.968, 0.830, 1.368, 80.8}, {0}},
    {"depth_1", "MCF, M<sub>0</sub> 1 deep", "Table 11", {92.40, 0, 0.967, 0.825, 1.368, 80.8}, {0}},
    {"depth_4", "MCF, M<sub>0</sub> 4 deep", "Table 11", {92.24, 0, 0.971, 0.834, 1.373, 80.7}, {0}},
    {"depth_8", "MCF, M<sub>0</sub> 8 deep", "Table 11", {92.21, 0, 0.978, 0.837, 1.384, 80.6}, {0}},
    {"epochs_1", "MCF, 1 epoch", "Table 12", {92.48, 0, 0.975, 0.838, 1.380, 80.7}, {0}},
    {"epochs_2", "MCF, 2 epochs", "Table 12", {92.64, 0, 0.962, 0.827, 1.361, 80.9}, {0}},
    {"epochs_4", "MCF, 4 epochs", "Table 12", {92.71, 0, 0.960, 0.831, 1.358, 81.0}, {0}},
    {"epochs_8", "MCF, 8 epochs", "Table 12", {92.87, 0, 0.957, 0.825, 1.354, 81.0}, {0}},
};

// Kept out of line: gcc 12 warns of every comparison it can settle itself.
__attribute__((noinline)) static const mcf_paper_row *named(const char *id)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].id, id) == 0)
            return &rows[i];
    return NULL;
}

// Feature and contrastive term on the class token: what else is not as usual decides.
static const mcf_paper_row *mcf_row(const mcf_config *c)
{
    char id[32];
    if (c->model.init[0])
        return named("mcf_in1k");
    if (c->model.decoder.depth != 2) {
        snprintf(id, sizeof id, "depth_%d", c->model.decoder.depth);
        return named(id);
    }
    if (c->data.fraction < 1)
        return named("mcf_light");
    snprintf(id, sizeof id, "epochs_%d", c->schedule.epochs);
    const mcf_paper_row *row = named(id);
    return row ? row : named("mcf_full");
}

const mcf_paper_row *mcf_paper_row_of(const mcf_config *c)
{
    const mcf_objective_options *o = &c->objective;
    const bool feature = o->feature_weight > 0, pixel = o->pixel_weight > 0, contrast = o->contrastive_weight > 0;
    if (c->task != MCF_TASK_PRETRAIN || c->objective.method != MCF_METHOD_MCF || (pixel && o->per_patch_norm))
        return NULL;
    if (pixel)
        return contrast ? NULL : named(feature ? "l2_mim" : "l2");
    if (!feature)
        return NULL;
    if (contrast)
        return o->tokens == MCF_TOKENS_PATCH ? named("mim_con_p") : mcf_row(c);
    return named(c->model.decoder.depth > 2 ? "mim_8" : "mim_2");
}

static void note(char *text, size_t size, bool differs, const char *what)
{
    const size_t used = strlen(text);
    if (differs)
        snprintf(text + used, size - used, "%s%s", used ? ", " : "", what);
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

void mcf_paper_differences(const mcf_config *c, const mcf_paper_row *row, char *text, size_t size)
{
    const mcf_model_options *m = &c->model;
    const bool full =
        strcmp(row->id, "mcf_full") == 0 || strcmp(row->id, "mcf_in1k") == 0 || starts(row->id, "epochs_");
    int epochs = 16, depth = 2;
    char line[128];
    sscanf(row->id, "epochs_%d", &epochs);
    if (starts(row->id, "l2") || strcmp(row->id, "mim_8") == 0)
        depth = 8;
    sscanf(row->id, "depth_%d", &depth);
    text[0] = '\0';
    snprintf(line, sizeof line, "images of %d pixels (224)", m->image_size);
    note(text, size, m->image_size != 224, line);
    snprintf(line, sizeof line, "patches of %d pixels (16)", m->patch_size);
    note(text, size, m->patch_size != 16, line);
    snprintf(line, sizeof line, "an encoder of %d blocks of width %d (12 of 768)", m->encoder.depth, m->encoder.dim);
    note(text, size, m->encoder.depth != 12 || m->encoder.dim != 768, line);
    snprintf(line, sizeof line, "a decoder of %d blocks of width %d (%d of 512)", m->decoder.depth, m->decoder.dim,
             depth);
    note(text, size, m->decoder.depth != depth || m->decoder.dim != 512, line);
    snprintf(line, sizeof line, "mask ratio %g (0.75)", c->objective.mask_ratio);
    note(text, size, c->objective.mask_ratio != 0.75, line);
    snprintf(line, sizeof line, "%d epochs (%d)", c->schedule.epochs, epochs);
    note(text, size, c->schedule.epochs != epochs, line);
    snprintf(line, sizeof line, "%.3g of the faces (%s)", c->data.fraction, full ? "all" : "0.1");
    note(text, size, full ? c->data.fraction != 1 : fabs(c->data.fraction - 0.1) > 1e-9, line);
}

// --- alignment and parsing

void mcf_paper_dense_row(const mcf_config *c, mcf_report_dense_row *row)
{
    mcf_weights start = {0};
    mcf_error err = {0};
    const bool freeze = c->dense.freeze_backbone;
    *row = (mcf_report_dense_row){0};
    if (!c->model.init[0]) {
        row->name = freeze ? NULL : "Scratch";
        snprintf(row->why, sizeof row->why, "random weights are not frozen there");
        return;
    }
    if (mcf_weights_open(&start, c->model.init, &err) != MCF_OK) {
        snprintf(row->why, sizeof row->why, "what model.init was trained for cannot be read: %.500s", err.message);
        return;
    }
    const mcf_paper_row *of = start.config.task == MCF_TASK_PRETRAIN ? mcf_paper_row_of(&start.config) : NULL;
    const char *id = of ? of->id : "";
    if (strcmp(id, "mcf_in1k") == 0)
        row->name = freeze ? "Ours_+IN1K&Freeze" : "Ours_+IN1K";
    else if (freeze)
        snprintf(row->why, sizeof row->why, "of this start it has none with a frozen encoder");
    else if (strcmp(id, "mcf_full") == 0 || strcmp(id, "mcf_light") == 0)
        row->name = id[4] == 'f' ? "Ours" : "Ours_0.1";
    else if (of)
        row->other = of;
    else
        snprintf(row->why, sizeof row->why, "it has none that starts from such a pre-training");
    mcf_weights_close(&start);
}

double mcf_paper_value(const mcf_paper_row *row, const char *layout, const char *measure)
{
    static const char *const names[MCF_PAPER_MEASURES][2] = {{"lapa", "f1"},
                                                             {"celebamask-hq", "f1"},
                                                             {"aflw-19", "nme.diagonal"},
                                                             {"aflw-19", "nme.diagonal.frontal"},
                                                             {"aflw-19", "nme.box"},
                                                             {"aflw-19", "auc"},
                                                             {"wflw", "nme.inter-ocular"},
                                                             {"wflw", "fr"},
                                                             {"wflw", "auc"},
                                                             {"300w", "nme.inter-ocular.common"},
                                                             {"300w", "nme.inter-ocular.challenge"},
                                                             {"300w", "nme.inter-ocular"}};
    for (int i = 0; i < MCF_PAPER_MEASURES; i++)
        if (strcmp(names[i][0], layout) == 0 && strcmp(names[i][1], measure) == 0)
            return row->at_224[i];
    return 0;
}

void mcf_paper_dense_differences(const mcf_config *c, int64_t faces, char *text, size_t size)
{
    static const struct {
        const char *layout;
        int faces, epochs;
    } sets[] = {{"aflw-19", 4386, 150},
                {"wflw", 2500, 150},
                {"300w", 689, 250},
                {"lapa", 2000, 300},
                {"celebamask-hq", 2824, 300}};
    const mcf_model_options *m = &c->model;
    char line[128];
    text[0] = '\0';
    snprintf(line, sizeof line, "images of %d pixels (224 and 448)", m->image_size);
    note(text, size, m->image_size != 224 && m->image_size != 448, line);
    snprintf(line, sizeof line, "patches of %d pixels (16)", m->patch_size);
    note(text, size, m->patch_size != 16, line);
    snprintf(line, sizeof line, "an encoder of %d blocks of width %d (12 of 768)", m->encoder.depth, m->encoder.dim);
    note(text, size, m->encoder.depth != 12 || m->encoder.dim != 768, line);
    snprintf(line, sizeof line, "a head of width %d (768)", c->dense.head.channels);
    note(text, size, c->dense.head.channels != 768, line);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (strcmp(sets[i].layout, mcf_config_face_layout(c)->name) != 0)
            continue;
        snprintf(line, sizeof line, "%d epochs (%d)", c->schedule.epochs, sets[i].epochs);
        note(text, size, c->schedule.epochs != sets[i].epochs, line);
        snprintf(line, sizeof line, "scored on %lld faces (%d)", (long long)faces, sets[i].faces);
        note(text, size, faces > 0 && faces != sets[i].faces, line);
    }
}
