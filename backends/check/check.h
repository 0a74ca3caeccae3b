// Judges a backend by cpu-reference: every operation of the table, over odd shapes, strides, absent operands
// and element types, and the collectives over several devices. Behind `mcf check` and a test.
//
// For a case the same rounded inputs go to the backend and, as f64, to cpu-reference. Compared are
// - the relative L2 error of each output with the tolerance of the operation's row (ops.def);
// - each element: no more than MCF_CHECK_WORST times the tolerance away, relative to its size and the tensor's;
// - bytes around every operand (nothing may be written there), inputs (nothing may change), and gaps between
//   strided elements (they hold NaN, nothing may read them). Outputs hold NaN before the call.
#ifndef MCF_BACKENDS_CHECK_CHECK_H
#define MCF_BACKENDS_CHECK_CHECK_H

#include <signal.h>

#include "backends/backend.h"

enum { MCF_CHECK_WORST = 30 };

typedef struct {
    uint64_t seed;                     // of the operands' values
    const char *only;                  // an operation's name, "memory" or "group"; NULL: everything
    bool tiny;                         // the smallest shapes of each operation: a second instead of a minute
    uint32_t dtypes;                   // bit per mcf_dtype of f32, bf16, f16; 0: all that the device computes in
    int members;                       // most devices in a group; 0: 4
    const volatile sig_atomic_t *stop; // NULL, or: non-zero asks to give up after the case at work
} mcf_check_options;

typedef enum { MCF_CHECK_PASSED, MCF_CHECK_FAILED, MCF_CHECK_UNSUPPORTED } mcf_check_verdict;

typedef struct {
    const char *op;
    const char *text; // shapes, types and attributes
    mcf_check_verdict verdict;
    double error; // largest relative L2 error of the outputs
    double tolerance;
    const char *message; // what is wrong; "" otherwise
} mcf_check_result;

// Called after each case; the strings live until it returns.
typedef void (*mcf_check_callback)(void *context, const mcf_check_result *result);

typedef struct {
    int passed, failed, unsupported;
    double worst; // largest error / tolerance of all that passed
} mcf_check_summary;

// MCF_OK when the check ran, whatever it found: summary->failed says that. An operation without a case, and a
// case in one plain type (f32, or what the device lists) that the backend does not support, count as failed.
// Fails where the device cannot be opened or used, and with MCF_ERR_INTERRUPTED where asked to stop. callback may be
// NULL.
mcf_status mcf_check_backend(const mcf_backend *backend, int device_index, const mcf_check_options *options,
                             mcf_check_callback callback, void *context, mcf_check_summary *summary, mcf_error *err);

#endif
