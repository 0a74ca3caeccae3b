// mcf crop: aligned faces out of photographs.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "infer/crop.h"

static void on_progress(void *context, int64_t done, int64_t total, int64_t faces)
{
    char detail[48];
    snprintf(detail, sizeof detail, "%lld faces", (long long)faces);
    mcf_bar_update(context, (double)done, total > 0 ? (double)total : 0, 0, detail);
}

static mcf_status choose(const mcf_call *call, const char *option, const char *const *names, int count, int *to,
                         mcf_error *err)
{
    const char *word = mcf_call_value(call, option);
    char all[200] = "";
    for (int i = 0; i < count; i++) {
        if (word && !strcmp(word, names[i])) {
            *to = i;
            return MCF_OK;
        }
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", names[i]);
    }
    if (!word)
        return MCF_OK;
    return mcf_fail(err, MCF_ERR_USAGE, "crop: --%s '%s' is none of %s", option, word, all);
}

static mcf_status read_thresholds(const mcf_call *call, double to[3], mcf_error *err)
{
    const char *text = mcf_call_value(call, "thresholds");
    int used = 0;
    if (!text)
        return MCF_OK;
    if (sscanf(text, "%lf,%lf,%lf%n", &to[0], &to[1], &to[2], &used) != 3 || text[used])
        return mcf_fail(err, MCF_ERR_USAGE, "crop: --thresholds '%s': give three numbers as in 0.6,0.7,0.7", text);
    for (int i = 0; i < 3; i++)
        if (!(to[i] > 0 && to[i] < 1))
            return mcf_fail(err, MCF_ERR_USAGE, "crop: --thresholds '%s': each lies between 0 and 1", text);
    return MCF_OK;
}

// --shard i/n, or the place among the processes of an MPI job.
static mcf_status read_shard(const mcf_call *call, mcf_crop_options *o, mcf_error *err)
{
    const char *text = mcf_call_value(call, "shard");
    int used = 0;
    if (call->job.cluster) {
        if (text)
            return mcf_fail(err, MCF_ERR_USAGE, "crop: --shard is for jobs without MPI, which shares the shards out");
        o->shard = mcf_cluster_rank(call->job.cluster);
        o->shards = mcf_cluster_count(call->job.cluster);
        return MCF_OK;
    }
    if (text && (sscanf(text, "%d/%d%n", &o->shard, &o->shards, &used) != 2 || text[used] || o->shards < 1 ||
                 o->shard < 0 || o->shard >= o->shards))
        return mcf_fail(err, MCF_ERR_USAGE, "crop: --shard '%s': give i/n with i from 0 to n - 1", text);
    return MCF_OK;
}

static mcf_status read_filters(const mcf_call *call, mcf_crop_filters *f, mcf_error *err)
{
    int64_t outside, faces;
    MCF_TRY(mcf_call_integer(call, "max-outside", 1, 0, 5, &outside, err));
    MCF_TRY(mcf_call_integer(call, "max-faces", 0, 1, 1000000, &faces, err));
    MCF_TRY(mcf_call_number(call, "min-score", 0, 0, 1, &f->min_score, err));
    MCF_TRY(mcf_call_number(call, "min-side", 64, 0, 1e6, &f->min_side, err));
    MCF_TRY(mcf_call_number(call, "max-enlarge", 0, 0, 1e6, &f->max_enlarge, err));
    MCF_TRY(mcf_call_number(call, "min-inside", 0, 0, 1, &f->min_inside, err));
    MCF_TRY(mcf_call_number(call, "min-sharp", 0, 0, 1e9, &f->min_sharp, err));
    MCF_TRY(mcf_call_number(call, "max-residual", 0, 0, 1e6, &f->max_residual, err));
    f->max_outside = (int)outside;
    f->max_faces = (int)faces;
    return MCF_OK;
}

static mcf_status read_options(const mcf_call *call, mcf_crop_options *o, mcf_error *err)
{
    static const char *const formats[] = {"jpg", "png"};
    int face_template = 0, border = 0, format = 0;
    int64_t batch, shard_size, dedup;
    MCF_TRY(choose(call, "template", mcf_template_names, MCF_TEMPLATE_COUNT, &face_template, err));
    MCF_TRY(choose(call, "border", mcf_border_names, MCF_BORDER_COUNT, &border, err));
    MCF_TRY(choose(call, "format", formats, 2, &format, err));
    MCF_TRY(mcf_call_number(call, "min-face", 20, 12, 65500, &o->detector.min_face, err));
    MCF_TRY(mcf_call_integer(call, "batch", 16, 1, 1024, &batch, err));
    MCF_TRY(mcf_call_integer(call, "shard-size", 10000, 1, 100000000, &shard_size, err));
    MCF_TRY(mcf_call_integer(call, "dedup", 0, 0, MCF_DEDUP_MOST, &dedup, err));
    MCF_TRY(read_thresholds(call, o->detector.threshold, err));
    MCF_TRY(read_filters(call, &o->filters, err));
    MCF_TRY(read_shard(call, o, err));
    o->face_template = (mcf_face_template)face_template;
    o->border = (mcf_border)border;
    o->png = format == 1;
    o->batch = (int)batch;
    o->shard_size = shard_size;
    o->threads = call->job.threads;
    o->detector.job = call->job;
    o->detector.path =
        mcf_call_value(call, "detector") ? mcf_call_value(call, "detector") : "weights/mtcnn.safetensors";
    o->out = mcf_call_value(call, "out");
    o->detect_only = mcf_call_flag(call, "detect-only");
    o->rotations = mcf_call_flag(call, "rotations");
    o->retry = mcf_call_flag(call, "retry");
    o->dedup = mcf_call_value(call, "dedup") != NULL;
    o->dedup_bits = (int)dedup;
    if (o->detect_only && o->shards > 1)
        return mcf_fail(err, MCF_ERR_USAGE, "crop: --detect-only writes one file, so one process must do it");
    return MCF_OK;
}

static void print(const mcf_call *call, const mcf_crop_options *o, const mcf_crop_result *r)
{
    const mcf_crop_counts *c = &r->counts;
    int64_t refused = 0, dropped = 0;
    for (int i = 0; i < MCF_CROP_REFUSALS; i++)
        refused += c->refused[i];
    for (int i = 0; i < MCF_DROPS; i++)
        dropped += c->dropped[i];
    if (call->quiet)
        return;
    FILE *to = mcf_words_beside(o->out);
    if (r->waiting)
        mcf_say(to,
                "%lld of %lld units wait for the hashes of units before them, which other processes make; run the same "
                "command again when they are through",
                (long long)r->waiting, (long long)r->units);
    if (r->done_before || r->others)
        mcf_say(to, "%lld of %lld units were done before, %lld are another process's", (long long)r->done_before,
                (long long)r->units, (long long)r->others);
    mcf_say(to, "%lld pictures: %lld refused, %lld without a face; %lld faces found, %lld left out%s%s",
            (long long)c->pictures, (long long)refused, (long long)c->without_face, (long long)c->found,
            (long long)dropped, o->detect_only ? "; written to " : ", the others written to ", o->out);
    for (int i = 0; i < MCF_CROP_REFUSALS; i++)
        if (c->refused[i])
            mcf_say(to, "  refused, %s: %lld", mcf_crop_refusal_name(i), (long long)c->refused[i]);
    for (int i = 0; i < MCF_DROPS; i++)
        if (c->dropped[i])
            mcf_say(to, "  left out, %s: %lld", mcf_drop_names[i], (long long)c->dropped[i]);
    const mcf_detector_times *t = &r->times;
    const double sum = r->decode + r->sample + t->resize + t->p + t->r + t->o + t->other;
    if (r->seconds > 0 && sum > 0 && c->pictures > 0)
        mcf_say(
            to,
            "%.1f pictures a second; of the workers' time: reading %.0f %%, resizing %.0f %%, first network %.0f %%, "
            "second %.0f %%, third %.0f %%, boxes %.0f %%, crops %.0f %%",
            (double)c->pictures / r->seconds, 100 * r->decode / sum, 100 * t->resize / sum, 100 * t->p / sum,
            100 * t->r / sum, 100 * t->o / sum, 100 * t->other / sum, 100 * r->sample / sum);
}

static mcf_status run(const mcf_call *call, mcf_error *err)
{
    mcf_crop_options o = {0};
    mcf_crop_result result;
    const size_t count = (size_t)call->argument_count + 1;
    const char **paths = malloc(count * sizeof *paths);
    if (!paths)
        return mcf_fail(err, MCF_ERR_NOMEM, "crop: out of memory");
    paths[0] = mcf_call_value(call, "images");
    for (int i = 0; i < call->argument_count; i++)
        paths[i + 1] = call->arguments[i];
    mcf_status status = read_options(call, &o, err);
    if (status == MCF_OK) {
        mcf_bar *progress = mcf_bar_start(call->quiet, "img");
        o.paths = paths;
        o.path_count = count;
        o.progress = on_progress;
        o.notice = mcf_bar_notice;
        o.context = progress;
        o.stop = mcf_interrupt_flag();
        mcf_interrupt_install(MCF_PATIENCE);
        status = mcf_crop(&o, &result, err);
        mcf_bar_end(progress);
    }
    if (status == MCF_OK)
        print(call, &o, &result);
    free(paths);
    return status;
}

static const mcf_option options[] = {
    {"images", "PATH", "A folder, a tar shard, a folder of shards, or a list; more may follow as arguments", true},
    {"out", "DIR", "Receives the shards; with --detect-only a file", true},
    {"detector", "FILE",
     "Weights, MTCNN's or YuNet's (default weights/mtcnn.safetensors; ci/detector-weights makes it)", false},
    {"min-face", "PX", "Smallest face looked for (default 20)", false},
    {"thresholds", "A,B,C", "Of the three stages (default 0.6,0.7,0.7; YuNet uses the first)", false},
    {"template", "NAME", "lapa (default), ffhq or arcface", false},
    {"border", "NAME", "Beyond the picture: black (default), edge or reflect", false},
    {"format", "NAME", "jpg (default, quality 95) or png", false},
    {"max-outside", "N", "Points of a face that may lie outside the picture (default 1)", false},
    {"min-score", "S", "Lowest score of a face that is kept (default: the last threshold)", false},
    {"min-side", "PX", "Smallest side of the square of the picture that a crop shows (default 64)", false},
    {"max-enlarge", "F", "Largest enlargement of a crop (default: any)", false},
    {"min-inside", "SHARE", "Least share of a crop that comes from inside the picture (default 0)", false},
    {"min-sharp", "V", "Least variance of the crop's Laplacian (default 0)", false},
    {"max-residual", "PX", "Largest mean distance of the aligned points to the template (default: any)", false},
    {"max-faces", "N", "At most this many faces a picture, by score (default: all)", false},
    {"dedup", "N",
     "Leave out faces whose dhash lies within N of 64 bits of an earlier face's, 0 to 16 (default: keep all)", false},
    {"rotations", NULL, "Where no face is found, try the picture turned by 90, 180 and 270 degrees", false},
    {"shard-size", "N", "Pictures of folders and lists that make one shard (default 10000)", false},
    {"shard", "I/N", "Do only the shards n with n mod N = I: one process of N", false},
    {"retry", NULL, "Do units with refused pictures again", false},
    {"batch", "N", "Pictures that a thread looks at together (default 16)", false},
    {"detect-only", NULL, "Write boxes and points as JSON instead of crops", false},
    {0},
};

const mcf_command mcf_command_crop = {
    .name = "crop",
    .arguments = "[IMAGE...]",
    .least = 0,
    .most = -1,
    .summary = "Cut aligned faces out of photographs",
    .description =
        "Finds faces and five points of each, brings them to a template, samples 256 x 256 pixels and writes them as "
        "tar "
        "shards with captions and JSON (docs/crop.md). Every input shard becomes one output shard, pictures of folders "
        "and lists are taken --shard-size at a time; a shard is done when its .stats.json is there, so a killed job "
        "goes "
        "on with the same command, and data files may be moved away meanwhile. Several processes share the shards out "
        "by "
        "--shard i/n or under mpirun; the bytes do not depend on their number.\n\n"
        "Pictures that cannot be read are counted by reason and listed in the .stats.json; --retry does their shards "
        "again. OUT/index.html shows what became of all pictures.",
    .options = options,
    .common = MCF_TAKES_BACKEND | MCF_TAKES_DEVICES | MCF_TAKES_QUIET | MCF_TAKES_MACHINES,
    .examples = "mcf crop --images photos/ --out faces/\n"
                "mcf crop --images laion/shards/ --out faces/ --shard $SLURM_ARRAY_TASK_ID/64\n"
                "mcf crop --images photos/ --detect-only --out detections.json",
    .run = run,
};
