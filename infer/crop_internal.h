// Private to infer/crop*.c.
#ifndef MCF_INFER_CROP_INTERNAL_H
#define MCF_INFER_CROP_INTERNAL_H

#include <jansson.h>

#include "data/source.h"
#include "infer/crop.h"

// --- inputs (crop_units.c)

// All input as units. Shards are opened one at a time; folders and lists are one source that stays open.
typedef struct crop_inputs crop_inputs;

mcf_status crop_inputs_open(crop_inputs **inputs, const mcf_crop_options *options, mcf_error *err);
void crop_inputs_close(crop_inputs *inputs); // NULL is fine
int64_t crop_inputs_units(const crop_inputs *inputs);
int64_t crop_inputs_pictures(const crop_inputs *inputs); // -1: shards, not counted before they are opened
// That nothing written at options->out replaces an input, the detector's weights, or would be taken for an input.
mcf_status crop_inputs_check_out(const crop_inputs *inputs, const mcf_crop_options *options, mcf_error *err);
// Tells two inputs apart: number, names and order of units and, of folders and lists, of pictures.
uint64_t crop_inputs_fingerprint(const crop_inputs *inputs);

// The pictures of one unit: [begin, end) of a source.
typedef struct {
    const crop_inputs *inputs;
    mcf_source *source;
    bool owned; // the source is this unit's own (a shard)
    int64_t number, begin, end;
    char prefix[80]; // of keys: the shard's name; "" of folders and lists
    uint64_t *keys;  // hashes of the source's keys, sorted, of shards
    int64_t key_count;
} crop_unit;

mcf_status crop_unit_open(const crop_inputs *inputs, int64_t number, crop_unit *unit, mcf_error *err);
void crop_unit_close(crop_unit *unit); // zeros are fine

enum { CROP_KEY = 88, CROP_NAME = 4200 };
// Names of a picture: `source` for people and JSON (relative to the folder given, or shard:member; the whole path where
// several inputs may have that name), source_key (the name
// without its extension), and the key its faces' files begin with, unique over all units.
typedef struct {
    char source[CROP_NAME], source_key[CROP_NAME], key[CROP_KEY];
} crop_names;
void crop_name_picture(const crop_unit *unit, int64_t sample, crop_names *names);

// --- pictures (crop_picture.c)

// A face to be written. Everything is malloc'd.
typedef struct {
    char *key;
    mcf_bytes image;
    char *caption; // UTF-8; NULL: none
    size_t caption_size;
    char *json;
    uint64_t dhash;
} crop_record;

typedef struct {
    char *source, *reason, *message;
} crop_failure;

// What came of a few pictures.
typedef struct {
    crop_record *records;
    int record_count, record_room;
    crop_failure *failures;
    int failure_count, failure_room;
    char *detections; // detect_only: "path": {...} lines, separated by ",\n"
    size_t detections_size, detections_room;
    mcf_crop_counts counts;
} crop_result;
void crop_result_free(crop_result *result);

// One thread's tools.
typedef struct {
    const mcf_crop_options *options;
    mcf_detector *detector;
    double decode, sample; // seconds
    uint8_t *crop;         // [256,256,3]
} crop_worker;
mcf_status crop_worker_open(crop_worker *worker, const mcf_crop_options *options, mcf_error *err);
void crop_worker_close(crop_worker *worker);

// Pictures [begin, end) of the unit's source. A picture that cannot be read or decoded is counted and listed; an error is
// one of memory, of the device, or a stop.
mcf_status crop_pictures(crop_worker *worker, const crop_unit *unit, int64_t begin, int64_t end, crop_result *result,
                         mcf_error *err);

// A name as JSON, told from any other also where it is no UTF-8 (crop_json.c); NULL: no memory.
json_t *crop_name_json(const char *name);
// A JSON file of this command's own; NULL where it is none, or not there. Waits for no pipe.
json_t *crop_read_json(const char *path, mcf_error *err);

// A face's JSON (crop_json.c); malloc'd, NULL: no memory.
typedef struct {
    const crop_names *names;
    int width, height, orientation, turned; // turned: the EXIF value of the rotation that showed the faces; 1: none
    const mcf_face *face;
    const mcf_similarity *fit;
    const char *template_name, *source_sha256, *detector, *detector_sha256, *caption_encoding; // encoding NULL: none
    double inside, sharpness, residual;                                                        // residual below 0: none
    uint64_t dhash;
    const char *source_meta; // JSON text of the source; NULL: none
    size_t source_meta_size;
} crop_facts;
char *crop_face_json(const crop_facts *facts);
// "path": {"boxes": ..., "points": ...} or {"refused": reason}; malloc'd.
char *crop_detections_json(const char *path, const mcf_faces *faces, const char *refused);

// --- outputs (crop_write.c)

// Fills path: OUT/NNNNN + ending.
void crop_unit_path(const char *out, int64_t number, const char *ending, char *path, size_t size);
bool crop_unit_is_done(const mcf_crop_options *options, int64_t number);
// Keeps other processes from a unit while it is worked on. *lock is -1 where another process has it.
mcf_status crop_claim(const char *out, int64_t number, int *lock, mcf_error *err);
void crop_release(int lock);
// Removes what a killed process left of the unit.
void crop_sweep(const char *out, int64_t number);
// Makes OUT, and writes or compares its crop.json. A folder without one must hold none of the files that the job writes.
mcf_status crop_prepare_out(const mcf_crop_options *options, const crop_inputs *inputs, const char *detector_sha256,
                            mcf_error *err);
// A unit's statistics; NULL: no memory.
json_t *crop_stats_json(int64_t unit, const mcf_crop_counts *counts, const crop_failure *failures, int failure_count);
json_t *crop_counts_json(const mcf_crop_counts *counts);
void crop_counts_read(json_t *json, mcf_crop_counts *counts); // what is not there is 0
// Writes json and drops the reference; NULL is an error.
mcf_status crop_write_json(const char *path, json_t *json, mcf_error *err);
// The index beside a shard, so that whoever reads it finds it ready; an empty shard needs none.
mcf_status crop_index_shard(const mcf_crop_options *options, const char *path, int64_t faces, mcf_error *err);

// --- near-duplicates (crop_dedup.c)

// duplicate [count]: whether a hash before lies within `bits` (0 .. 63). 25 bytes of memory a face.
mcf_status crop_mark_duplicates(const uint64_t *hashes, int64_t count, int bits, bool *duplicate, mcf_error *err);
// The first pass's statistics with the unit's hashes; drops the reference to stats.
mcf_status crop_write_hashes(const char *path, json_t *stats, const uint64_t *hashes, int64_t count, mcf_error *err);
// The second pass over this process's units. wait: until other processes are through the first, which only those of an MPI
// job are sure to be. result's counts become those of the second pass.
mcf_status crop_settle_units(const mcf_crop_options *options, const crop_inputs *inputs, bool wait,
                             mcf_crop_result *result, mcf_error *err);

// --- the page (crop_sheet.c): OUT/index.html, counts over all units and faces spread over them. Only when all are done.
mcf_status crop_write_sheet(const mcf_crop_options *options, const crop_inputs *inputs, mcf_error *err);

#endif
