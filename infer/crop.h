// Aligned faces out of photographs, as shards: `mcf crop`. Files, keys, filters and their order: docs/crop.md.
//
// The input is cut into units: every tar shard is one, pictures of folders and lists are taken `shard_size` at a time. Unit
// n becomes OUT/NNNNN.tar, its index, and last NNNNN.stats.json, which alone says that the unit is done. A unit depends on
// nothing but its pictures and the options, so any number of processes makes the same bytes, and a killed job goes on.
#ifndef MCF_INFER_CROP_H
#define MCF_INFER_CROP_H

#include <signal.h>

#include "data/faces/crop_face.h"
#include "infer/detect.h"

// Why a face is left out, in the order of the questions.
typedef enum {
    MCF_DROP_OUTSIDE = 0, // more points outside the picture than allowed
    MCF_DROP_SCORE,
    MCF_DROP_SIDE,
    MCF_DROP_ENLARGED,
    MCF_DROP_INSIDE,
    MCF_DROP_SHARPNESS,
    MCF_DROP_RESIDUAL,
    MCF_DROP_NUMBER,    // more faces than allowed in one picture
    MCF_DROP_POINTS,    // no similarity fits
    MCF_DROP_DUPLICATE, // near an earlier face of the input (dedup)
    MCF_DROPS
} mcf_crop_drop;
extern const char *const mcf_drop_names[MCF_DROPS];

// Why a picture is refused: mcf_image_refusal, and one that could not be read at all.
enum { MCF_CROP_UNREADABLE = MCF_IMAGE_REFUSALS, MCF_CROP_REFUSALS };
const char *mcf_crop_refusal_name(int reason);

typedef struct {
    int64_t pictures, refused[MCF_CROP_REFUSALS], without_face, turned;
    int64_t found, dropped[MCF_DROPS], kept, captions, latin1;
} mcf_crop_counts;
void mcf_crop_counts_add(mcf_crop_counts *to, const mcf_crop_counts *more);

typedef struct {
    int max_outside; // points of a face that may lie outside the picture
    double min_score, min_side, max_enlarge, min_inside, min_sharp, max_residual; // 0: no such question
    int max_faces;                                                                // 0: all
} mcf_crop_filters;

enum { MCF_DEDUP_MOST = 16 };

typedef struct {
    const char *const *paths; // pictures, folders, shards or lists
    size_t path_count;
    const char *out;               // a folder; with detect_only a file
    bool detect_only;              // boxes and points as JSON, no crops
    mcf_detector_options detector; // job.threads is not used: every worker has one thread of its own
    int threads;                   // workers; 0: as many as processors
    int batch;                     // pictures that a worker looks at together; 0: 16
    mcf_face_template face_template;
    mcf_border border;
    bool png;
    mcf_crop_filters filters;
    bool rotations; // where no face is found, the picture is tried turned by 90, 180 and 270 degrees
    bool retry;     // units with refused pictures are done again; not with dedup
    bool dedup;     // faces within dedup_bits (0 .. MCF_DEDUP_MOST) of an earlier one's dhash are left out
    int dedup_bits;
    int64_t shard_size; // 0: 10000
    int shard, shards;  // units n with n mod shards = shard; shards 0: all
    void (*progress)(void *context, int64_t done, int64_t total, int64_t faces);
    // NULL, or called with what the user should know of the input and the output: cut shards, what is left out, indices
    // of other programs. From the calling thread.
    void (*notice)(void *context, const char *line);
    void *context;
    const volatile sig_atomic_t *stop; // NULL, or: non-zero asks to give up
} mcf_crop_options;

typedef struct {
    int64_t units, done_before,
        others;               // of this process: all, done by an earlier run, just worked on by another process
    mcf_crop_counts counts;   // of the units that this run did
    mcf_detector_times times; // sum over workers
    double decode, sample;    // seconds, sum over workers: decoding and reading; crops, hashes, encoding
    int64_t waiting;          // dedup: units that wait for the hashes of other processes' earlier units
    double seconds;
} mcf_crop_result;

mcf_status mcf_crop(const mcf_crop_options *options, mcf_crop_result *result, mcf_error *err);

#endif
