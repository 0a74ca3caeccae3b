/* libmcf: features of face images from an encoder that `mcf pretrain` has made.
 *
 * Threads: different encoders may be used at the same time; one encoder by one thread at a time.
 * Memory: what a function fills belongs to the caller, encoders to the library until they are closed.
 * Errors: functions return MCF_SUCCESS or another mcf_result and, where `failure` is not NULL, put one line there
 * that says what, where and what to do. Nothing exits, nothing prints.
 * Compatibility: structures begin with their size, filled by the caller with sizeof, so that a program built with
 * an older header works with a newer library of the same MCF_API_VERSION.
 */
#ifndef MCF_H
#define MCF_H

#include <stddef.h>
#include <stdint.h>

#define MCF_API_VERSION 1

#if defined(__GNUC__)
#define MCF_API __attribute__((visibility("default")))
#else
#define MCF_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mcf_result {
    MCF_SUCCESS = 0,
    MCF_WRONG_USE = 1,  /* an argument that cannot be */
    MCF_BAD_INPUT = 2,  /* a file or image that is not what it should be, or cannot be read */
    MCF_NOT_USABLE = 3, /* a backend, device or precision that this machine lacks */
    MCF_OUT_OF_MEMORY = 4,
    MCF_FAILURE = 5 /* anything else */
} mcf_result;

typedef struct mcf_failure {
    mcf_result result;
    char message[1024]; /* one line, no newline */
} mcf_failure;

/* "0.1.0", and MCF_API_VERSION of the library that is loaded. */
MCF_API const char *mcf_version(void);
MCF_API int mcf_api_version(void);

/* --- devices */

enum { MCF_HAS_FP32 = 1, MCF_HAS_BF16 = 2, MCF_HAS_FP16 = 4, MCF_HAS_FP64 = 8 };

typedef struct mcf_device_entry {
    size_t size; /* sizeof(mcf_device_entry) of the caller */
    char backend[32];
    int index; /* for mcf_encoder_options.device; -1: the backend as a whole is not usable */
    int usable;
    char name[128];
    char detail[256];      /* instruction set, driver */
    char reason[512];      /* why it is not usable */
    uint64_t memory_total; /* bytes; 0: not known */
    uint64_t memory_free;
    unsigned precisions; /* MCF_HAS_* */
} mcf_device_entry;

/* Fills at most `capacity` entries, entries[0].size apart, and returns how many there are in all. entries may be
 * NULL with capacity 0. */
MCF_API int mcf_list_devices(mcf_device_entry *entries, int capacity);

/* --- encoders */

typedef struct mcf_encoder mcf_encoder;

typedef struct mcf_encoder_options {
    size_t size;         /* sizeof(mcf_encoder_options) of the caller */
    const char *backend; /* NULL: "auto" */
    int device;          /* index of the backend's device */
    int threads;         /* of a CPU device; 0: all cores */
    int batch;           /* most images of one call that are computed at once; 0: 1 */
} mcf_encoder_options;

/* Opens a run directory, a checkpoint directory or a safetensors file that mcf has written.
 * options may be NULL. On failure *encoder is NULL. */
MCF_API mcf_result mcf_encoder_open(mcf_encoder **encoder, const char *path, const mcf_encoder_options *options,
                                    mcf_failure *failure);
MCF_API void mcf_encoder_close(mcf_encoder *encoder); /* NULL is fine */

/* Floats of one feature, and the side in pixels of the square images that the network sees. */
MCF_API int mcf_encoder_dim(const mcf_encoder *encoder);
MCF_API int mcf_encoder_image_size(const mcf_encoder *encoder);

/* Features of one picture, [dim] floats each; either may be NULL. cls: the class token; mean: the mean of the patch
 * tokens; both after the final norm. The picture is resized (shorter side, antialiased) and cropped to its centre. */

/* pixels: 8-bit RGB, rows of width*3 bytes, `stride` bytes from one to the next (0: width*3). */
MCF_API mcf_result mcf_encoder_embed_rgb(mcf_encoder *encoder, const uint8_t *pixels, int width, int height,
                                         size_t stride, float *cls, float *mean, mcf_failure *failure);
/* bytes: a whole JPEG or PNG file. */
MCF_API mcf_result mcf_encoder_embed_bytes(mcf_encoder *encoder, const void *bytes, size_t size, float *cls,
                                           float *mean, mcf_failure *failure);
/* The same from a file. */
MCF_API mcf_result mcf_encoder_embed_file(mcf_encoder *encoder, const char *path, float *cls, float *mean,
                                          mcf_failure *failure);
/* Many pictures that have the network's size already: images [count, S, S, 3], cls and mean [count, dim]. */
MCF_API mcf_result mcf_encoder_embed_batch(mcf_encoder *encoder, const uint8_t *images, size_t count, float *cls,
                                           float *mean, mcf_failure *failure);

#ifdef __cplusplus
}
#endif

#endif
