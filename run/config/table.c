#include "run/config/table.h"

#include <math.h>

#define AT(field) offsetof(mcf_config, field)
#define ANY .low = -HUGE_VAL, .high = HUGE_VAL
#define RANGE(a, b) .low = (a), .high = (b)
#define AT_LEAST(a) .low = (a), .high = HUGE_VAL, .high_open = true
#define ABOVE(a) .low = (a), .low_open = true, .high = HUGE_VAL, .high_open = true
#define OVER_TO(a, b) .low = (a), .low_open = true, .high = (b)
#define BETWEEN(a, b) .low = (a), .high = (b), .low_open = true, .high_open = true

#define INT(path, uses, field, standard, range, text)                                                                  \
    {                                                                                                                  \
        path, MCF_KEY_INT, uses, AT(field), standard, range, .doc = text                                               \
    }
#define NUMBER(path, uses, field, standard, range, text)                                                               \
    {                                                                                                                  \
        path, MCF_KEY_NUMBER, uses, AT(field), standard, range, .doc = text                                            \
    }
#define OPTIONAL(path, uses, field, range, text)                                                                       \
    {                                                                                                                  \
        path, MCF_KEY_OPTIONAL, uses, AT(field), NULL, range, .doc = text                                              \
    }
#define BOOL(path, uses, field, standard, text)                                                                        \
    {                                                                                                                  \
        path, MCF_KEY_BOOL, uses, AT(field), standard, ANY, .doc = text                                                \
    }
#define STRING(path, uses, field, text)                                                                                \
    {                                                                                                                  \
        path, MCF_KEY_STRING, uses, AT(field), "\"\"", ANY, .doc = text                                                \
    }
#define CHOICE(path, uses, field, standard, words, text)                                                               \
    {                                                                                                                  \
        path, MCF_KEY_CHOICE, uses, AT(field), standard, ANY, .names = words, .doc = text                              \
    }
#define PATHS(path, uses, field, text)                                                                                 \
    {                                                                                                                  \
        path, MCF_KEY_PATHS, uses, AT(field), "[]", ANY, .doc = text                                                   \
    }

#define VIT(path, uses, field, width, blocks, head_count, text)                                                        \
    INT(path ".dim", uses, field.dim, width, RANGE(4, 65536), "Width" text "; a multiple of 4 and of heads."),         \
        INT(path ".depth", uses, field.depth, blocks, RANGE(1, 1024), "Transformer blocks."),                          \
        INT(path ".heads", uses, field.heads, head_count, RANGE(1, 1024), "Attention heads."),                         \
        NUMBER(path ".mlp_ratio", uses, field.mlp_ratio, "4", BETWEEN(0, 64), "Hidden width of the MLP over dim.")

// What CLIP's and FaRL's encoders do otherwise.
#define VIT_VARIANT(path, uses, field)                                                                                 \
    CHOICE(path ".activation", uses, field.activation, "gelu", "gelu quick-gelu",                                      \
           "Of the MLPs; quick-gelu is x sigmoid(1.702 x), CLIP's and FaRL's."),                                       \
        BOOL(path ".pre_norm", uses, field.pre_norm, "false",                                                          \
             "A LayerNorm before the first block: CLIP's and FaRL's."),                                                \
        CHOICE(path ".patch_bias", uses, field.patch_bias, "true", "true false",                                       \
               "Whether the patch projection has a bias: CLIP's and FaRL's has none."),                                \
        NUMBER(path ".norm_eps", uses, field.norm_eps, "1e-6", OVER_TO(0, 1),                                          \
               "Of the LayerNorms; CLIP's and FaRL's have 1e-5.")

// In the order of the contract; keys of one section stand together.
const mcf_config_key mcf_config_keys[] = {
    CHOICE("task", MCF_USE_ALL, task, "pretrain", "pretrain align parse", "What is trained."),
    CHOICE("method", MCF_USE_PRETRAIN, objective.method, "mcf", "mcf moco-v3",
           "mcf: any mix of the feature, pixel and contrastive terms; moco-v3: what makes M_1."),
    {"seed", MCF_KEY_SEED, MCF_USE_ALL, AT(seed), "0", ANY, .doc = "Key of all random numbers."},
    CHOICE("precision", MCF_USE_ALL, precision, "fp32", "fp32 fp16 bf16",
           "Type of the products; weights, statistics and losses stay fp32."),

    PATHS("data.train", MCF_USE_ALL, data.train, "Folders, tar shards or lists of images."),
    PATHS("data.validation", MCF_USE_ALL, data.validation, "The same, to measure on."),
    CHOICE("data.format", MCF_USE_ALL, data.format, "auto", "auto folder shards list",
           "What the paths are; auto looks at each."),
    PATHS(
        "data.image_keys", MCF_USE_ALL, data.image_keys,
        "Shards: the extensions of a key's picture, as in [jpg, image.png]; the first that a key has is taken. Empty: "
        "any picture, a plain .jpg or .png before one such as .seg.png."),
    NUMBER("data.fraction", MCF_USE_ALL, data.fraction, "1.0", OVER_TO(0, 1),
           "Part of the training images, chosen by the seed."),
    INT("data.workers", MCF_USE_ALL, data.workers, "4", RANGE(1, 1024), "Threads that decode."),
    BOOL("data.fast_decode", MCF_USE_ALL, data.fast_decode, "true",
         "Decode a JPEG at the nearest larger DCT scale, where the whole picture is used; off, the resize equals "
         "PIL's."),
    CHOICE("data.crop", MCF_USE_MCF, data.crop, "center", "center random",
           "center: the shorter side is made image_size and the middle cut out; random: a random part, resized."),
    NUMBER("data.crop_min", MCF_USE_PRETRAIN, data.crop_min, "0.08", OVER_TO(0, 1),
           "Least part of the picture's area in a random crop (MoCo-v3: 0.08, MAE as published: 0.2)."),
    CHOICE("data.filter", MCF_USE_PRETRAIN, data.filter, "bilinear", "bilinear bicubic", "Of the resize."),
    INT("data.crop_size", MCF_USE_DOWNSTREAM, data.crop_size, "512", RANGE(8, 4096),
        "Side of a face's crop, which is resized to image_size on the device; parsing's labels have it too."),
    NUMBER("data.crop_pct", MCF_USE_PRETRAIN, data.crop_pct, "1", OVER_TO(0, 1),
           "Of the centre crop, as timm says it: the shorter side is made image_size over this, rounded down."),

    CHOICE(
        "data.layout", MCF_USE_DOWNSTREAM, data.layout, "auto",
        "auto points masks aflw-19 wflw 300w lapa celebamask-hq",
        "How labelled faces lie below data.train and data.validation (docs/data.md); auto: points for align, masks for "
        "parse."),
    STRING("data.train_split", MCF_USE_DOWNSTREAM, data.train_split,
           "Part of a published set to train on; empty: its training part."),
    STRING("data.validation_split", MCF_USE_DOWNSTREAM, data.validation_split,
           "Part of a published set to measure on; empty: its test part."),

    CHOICE("crop.from", MCF_USE_DOWNSTREAM, crop.from, "auto", "auto box points image",
           "What the crop follows: the face's box, the similarity of its eyes, nose and mouth, or the whole picture; "
           "auto: "
           "the layout's."),
    OPTIONAL("crop.scale", MCF_USE_DOWNSTREAM, crop.scale, OVER_TO(0, 10),
             "Size of the face in the crop (mu); else the layout's: 0.8 for wflw, 300w and points, 1 for the others."),
    OPTIONAL("crop.warp", MCF_USE_DOWNSTREAM, crop.warp, RANGE(0, 1),
             "Factor of the tanh warp, 0: none; else the layout's: 0.8 for lapa, 0 for the others."),

    CHOICE(
        "augment.draw", MCF_USE_DOWNSTREAM, augment.draw, "auto", "auto uniform normal",
        "Whether augment.scale and augment.rotation are half widths or standard deviations; auto: uniform for align, "
        "normal for parse."),
    OPTIONAL("augment.scale", MCF_USE_DOWNSTREAM, augment.scale, RANGE(0, 1),
             "Change of the face's size, added to crop.scale; else 0.1."),
    OPTIONAL("augment.rotation", MCF_USE_DOWNSTREAM, augment.rotation, RANGE(0, 4),
             "Rotation in radians; else 0.174 for align, 0.314 for parse."),
    OPTIONAL("augment.shift", MCF_USE_DOWNSTREAM, augment.shift, RANGE(0, 1),
             "Shift in shares of the crop, uniform; else 0.05 for align, 0.01 for parse."),
    OPTIONAL("augment.occlusion", MCF_USE_DOWNSTREAM, augment.occlusion, RANGE(0, 1),
             "Probability of a black rectangle; else 1 for align, 0 for parse."),
    {"augment.occlusion_size", MCF_KEY_NUMBERS, MCF_USE_DOWNSTREAM, AT(augment.occlusion_range), "[0.2, 0.8]",
     RANGE(0, 2), .most = 2, .doc = "Its height in shares of half the crop, least and most."},
    NUMBER("augment.occlusion_aspect", MCF_USE_DOWNSTREAM, augment.occlusion_aspect, "0.2", RANGE(0, 2),
           "By how much its width may differ from its height."),
    OPTIONAL("augment.noise", MCF_USE_DOWNSTREAM, augment.noise, RANGE(0, 1),
             "Probability of a blend with noise; else 0.5 for align, 0 for parse."),
    NUMBER("augment.noise_weight", MCF_USE_DOWNSTREAM, augment.noise_weight, "0.5", RANGE(0, 1),
           "Most weight of the noise."),
    NUMBER("augment.grey", MCF_USE_DOWNSTREAM, augment.grey, "0.1", RANGE(0, 1), "Probability of a grey picture."),
    NUMBER("augment.gamma", MCF_USE_DOWNSTREAM, augment.gamma, "0.6666666666666666", RANGE(0, 1),
           "Probability of a gamma change, half of it a root, half a power."),
    NUMBER("augment.gamma_power", MCF_USE_DOWNSTREAM, augment.gamma_power, "2", RANGE(1, 10), "That power."),
    NUMBER("augment.blur", MCF_USE_DOWNSTREAM, augment.blur, "0.01", RANGE(0, 0.1),
           "Most side of the box blur in shares of the crop; sides of 0 and 1 pixel do nothing."),
    NUMBER("augment.flip", MCF_USE_DOWNSTREAM, augment.flip, "0", RANGE(0, 1),
           "Probability of a mirrored picture; points and classes change sides with it (5, 19, 68, 98, 106 points)."),
    {"augment.mirrored_classes", MCF_KEY_INTS, MCF_USE_PARSE, AT(augment.mirrored), "[]", RANGE(0, 255),
     .count_offset = AT(augment.mirrored_count), .most = MCF_MAX_MIRRORED,
     .doc = "Pairs of classes that a mirrored picture exchanges, [left, right, left, right, ...]; [] for lapa and "
            "celebamask-hq: the set's own."},

    INT("model.image_size", MCF_USE_ALL, model.image_size, "224", RANGE(1, 8192), "Side of the input in pixels."),
    INT("model.patch_size", MCF_USE_ALL, model.patch_size, "16", RANGE(1, 1024),
        "Side of a patch; divides image_size."),
    {"model.mean", MCF_KEY_NUMBERS, MCF_USE_ALL, AT(model.mean), "[0.485, 0.456, 0.406]", RANGE(-10, 10), .most = 3,
     .doc = "Subtracted from the images' channels, which are in 0 to 1; the default is ImageNet's."},
    {"model.std", MCF_KEY_NUMBERS, MCF_USE_ALL, AT(model.std), "[0.229, 0.224, 0.225]", OVER_TO(0, 10), .most = 3,
     .doc = "What they are divided by then."},
    STRING("model.init", MCF_USE_ALL, model.init, "Safetensors file the encoder starts from; empty: random."),
    BOOL("model.allow_nonfinite", MCF_USE_ALL, model.allow_nonfinite, "false",
         "Take weights to start from that are NaN or infinite, which are refused otherwise."),
    VIT("model.encoder", MCF_USE_ALL, model.encoder, "768", "12", "12", " of the encoder"),
    VIT_VARIANT("model.encoder", MCF_USE_ALL, model.encoder),
    VIT("model.decoder", MCF_USE_MCF, model.decoder, "512", "2", "16", " of the decoder M_0"),
    VIT("model.teacher", MCF_USE_MCF, model.teacher, "768", "12", "12", " of M_1"),
    VIT_VARIANT("model.teacher", MCF_USE_MCF, model.teacher),
    {"model.teacher.blocks", MCF_KEY_INTS, MCF_USE_MCF, AT(model.teacher_blocks), "[3, 6, 9, 12]", RANGE(1, 1024),
     .count_offset = AT(model.teacher_block_count), .most = MCF_MAX_TEACHER_BLOCKS,
     .doc = "Blocks of M_1 whose outputs are compared, counted from 1, rising."},
    STRING("model.teacher.checkpoint", MCF_USE_MCF, model.teacher_checkpoint,
           "Safetensors file of M_1; `random` for random weights. Needed where the feature term is on."),
    INT("model.teacher.image_size", MCF_USE_MCF, model.teacher_image_size, "0", RANGE(0, 8192),
        "M_1's own input side, reached by nearest resize; 0: image_size."),
    INT("model.projector.hidden", MCF_USE_PRETRAIN, model.projector_hidden, "4096", RANGE(1, 65536),
        "Hidden width of head and projector."),
    INT("model.projector.out", MCF_USE_PRETRAIN, model.projector_out, "256", RANGE(1, 65536),
        "Width of the contrasted vectors."),
    {"model.features", MCF_KEY_INTS, MCF_USE_DOWNSTREAM, AT(dense.features), "[2, 4, 8, 12]", RANGE(1, 1024),
     .count_offset = AT(dense.feature_count), .most = MCF_MAX_FEATURES,
     .doc = "The four blocks that feed the pyramid, counted from 1, rising."},
    INT("model.head.channels", MCF_USE_DOWNSTREAM, dense.head.channels, "768", RANGE(1, 65536),
        "Width of the UperNet head."),
    {"model.head.pool_scales", MCF_KEY_INTS, MCF_USE_DOWNSTREAM, AT(dense.head.pool_scales), "[1, 2, 3, 6]",
     RANGE(1, 64), .count_offset = AT(dense.head.pool_scale_count), .most = MCF_MAX_POOL_SCALES,
     .doc = "Bins of the pyramid pooling."},
    NUMBER("model.head.dropout", MCF_USE_DOWNSTREAM, dense.head.dropout, "0.1", RANGE(0, 0.999),
           "Whole maps, training only."),
    INT("model.head.outputs", MCF_USE_DOWNSTREAM, dense.head.outputs, "19", RANGE(1, 4096), "Points or classes."),
    BOOL("model.freeze_backbone", MCF_USE_DOWNSTREAM, dense.freeze_backbone, "false", "Train pyramid and head only."),
    BOOL("model.sync_batchnorm", MCF_USE_ALL, model.sync_batchnorm, "false",
         "BatchNorm statistics over all devices of the job; else each device for itself."),
    INT("model.batchnorm_groups", MCF_USE_MCF, model.batchnorm_groups, "1", RANGE(1, 4096),
        "BatchNorm statistics over this many equal groups of a device's batch: one device can stand for "
        "several."),
    CHOICE("model.recompute", MCF_USE_ALL, model.recompute, "none", "none blocks",
           "blocks: transformer blocks are computed again in the backward pass, for less memory."),

    NUMBER("objective.mask_ratio", MCF_USE_MCF, objective.mask_ratio, "0.75", BETWEEN(0, 1),
           "Part of the patches that is hidden."),
    NUMBER("objective.feature.weight", MCF_USE_MCF, objective.feature_weight, "1000", AT_LEAST(0),
           "Of L_mim; 0 switches the term off."),
    NUMBER("objective.pixel.weight", MCF_USE_MCF, objective.pixel_weight, "0", AT_LEAST(0),
           "Of L_2; 0 switches the term off."),
    BOOL("objective.pixel.per_patch_norm", MCF_USE_MCF, objective.per_patch_norm, "false",
         "Targets of L_2 are normalised within each patch."),
    NUMBER("objective.contrastive.weight", MCF_USE_MCF, objective.contrastive_weight, "1", AT_LEAST(0),
           "Of L_con; 0 switches the term off."),
    CHOICE("objective.contrastive.tokens", MCF_USE_MCF, objective.tokens, "cls", "cls patch",
           "What is contrasted: the cls token or the mean of the visible patch tokens."),
    NUMBER("objective.contrastive.temperature", MCF_USE_PRETRAIN, objective.temperature, "0.2", ABOVE(0),
           "Of the softmax."),
    NUMBER("objective.contrastive.momentum", MCF_USE_PRETRAIN, objective.momentum, "0.99", RANGE(0, 1),
           "Of the target's average; moco-v3: its start."),
    CHOICE("objective.contrastive.momentum_update", MCF_USE_MCF, objective.momentum_update, "micro-batch",
           "micro-batch step", "When the target is averaged."),
    NUMBER("objective.coordinate", MCF_USE_ALIGN, dense.coordinate_weight, "1", AT_LEAST(0),
           "Weight of the distance of the points."),
    NUMBER("objective.heatmap", MCF_USE_ALIGN, dense.heatmap_weight, "1", AT_LEAST(0),
           "Weight of the heatmaps' cross-entropy."),
    INT("objective.heatmap_size", MCF_USE_ALIGN, dense.heatmap_size, "128", RANGE(1, 4096),
        "Side of the maps in that loss."),
    NUMBER("objective.heatmap_radius", MCF_USE_ALIGN, dense.heatmap_radius, "5", ABOVE(0),
           "Radius of a point's spot in pixels."),
    NUMBER("objective.cross_entropy", MCF_USE_PARSE, dense.cross_entropy_weight, "1", AT_LEAST(0),
           "Weight of the classes' cross-entropy."),

    CHOICE("optimizer.name", MCF_USE_ALL, optimizer.name, "adamw", "adamw", "AdamW with decoupled decay."),
    NUMBER("optimizer.base_lr", MCF_USE_ALL, optimizer.base_lr, "1.5e-4", AT_LEAST(0),
           "Rate per 256 images: the peak is base_lr * images of a step / 256."),
    OPTIONAL("optimizer.lr", MCF_USE_ALL, optimizer.lr, AT_LEAST(0), "The peak itself, in place of base_lr."),
    OPTIONAL("optimizer.rates.backbone", MCF_USE_DOWNSTREAM, optimizer.rate_backbone, AT_LEAST(0),
             "Peak of the backbone's rate."),
    OPTIONAL("optimizer.rates.fpn", MCF_USE_DOWNSTREAM, optimizer.rate_fpn, AT_LEAST(0), "Peak of the pyramid's rate."),
    OPTIONAL("optimizer.rates.head", MCF_USE_DOWNSTREAM, optimizer.rate_head, AT_LEAST(0), "Peak of the head's rate."),
    {"optimizer.betas", MCF_KEY_NUMBERS, MCF_USE_ALL, AT(optimizer.betas), "[0.9, 0.95]", .low = 0, .high = 1,
     .high_open = true, .most = 2, .doc = "Decay of the two moments."},
    NUMBER("optimizer.eps", MCF_USE_ALL, optimizer.eps, "1e-8", ABOVE(0), "Added to the root of the second moment."),
    NUMBER("optimizer.weight_decay", MCF_USE_ALL, optimizer.weight_decay, "0.05", AT_LEAST(0),
           "Not on tensors of one dimension (moco-v3, align, parse: on all)."),
    NUMBER("optimizer.clip_norm", MCF_USE_ALL, optimizer.clip_norm, "0", AT_LEAST(0),
           "Largest global norm of the gradient; 0: no clipping."),

    NUMBER("ema", MCF_USE_DOWNSTREAM, dense.ema, "0.999", RANGE(0, 1), "Of the averaged network that is evaluated."),

    INT("schedule.epochs", MCF_USE_ALL, schedule.epochs, "16", RANGE(1, 1000000), "Length of the run."),
    {"schedule.milestones", MCF_KEY_INTS, MCF_USE_DOWNSTREAM, AT(schedule.milestones), "[]", RANGE(1, 1000000),
     .count_offset = AT(schedule.milestone_count), .most = MCF_MAX_MILESTONES,
     .doc = "Epochs after which the rate is multiplied by factor, rising; before the first it is the peak."},
    NUMBER("schedule.factor", MCF_USE_DOWNSTREAM, schedule.factor, "0.1", OVER_TO(0, 1),
           "What the rate is multiplied by at each milestone."),
    NUMBER("schedule.warmup_epochs", MCF_USE_PRETRAIN, schedule.warmup_epochs, "1", AT_LEAST(0),
           "The rate rises in a line from 0 over these; then it falls by half a cosine."),
    NUMBER("schedule.min_lr", MCF_USE_PRETRAIN, schedule.min_lr, "0", AT_LEAST(0), "The rate at the end."),

    INT("batch.per_device", MCF_USE_ALL, batch.per_device, "64", RANGE(1, 65536),
        "Images of a micro-batch on one device."),
    INT("batch.accumulate", MCF_USE_ALL, batch.accumulate, "8", RANGE(1, 65536), "Micro-batches of an optimiser step."),

    {"checkpoint.every", MCF_KEY_PERIOD, MCF_USE_ALL, AT(checkpoint.every), "1 epoch", ANY,
     .doc = "`N epoch` or `N steps`."},
    INT("checkpoint.keep", MCF_USE_ALL, checkpoint.keep, "3", RANGE(1, 1000000), "Newest checkpoints that stay."),
};

const size_t mcf_config_key_count = sizeof(mcf_config_keys) / sizeof(mcf_config_keys[0]);

int mcf_config_use(const mcf_config *config)
{
    if (config->task == MCF_TASK_ALIGN)
        return MCF_USE_ALIGN;
    if (config->task == MCF_TASK_PARSE)
        return MCF_USE_PARSE;
    return config->objective.method == MCF_METHOD_MOCO_V3 ? MCF_USE_MOCO : MCF_USE_MCF;
}

const char *mcf_config_job_name(int use)
{
    switch (use) {
    case MCF_USE_MCF:
        return "task pretrain, method mcf";
    case MCF_USE_MOCO:
        return "task pretrain, method moco-v3";
    case MCF_USE_ALIGN:
        return "task align";
    case MCF_USE_PARSE:
        return "task parse";
    case MCF_USE_PRETRAIN:
        return "task pretrain";
    case MCF_USE_DOWNSTREAM:
        return "tasks align and parse";
    default:
        return "every task";
    }
}
