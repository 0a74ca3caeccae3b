// Parts of the check: cases, their values, groups. For backends/check/, the gradient test and bench/ops.c.
#ifndef MCF_BACKENDS_CHECK_CASES_H
#define MCF_BACKENDS_CHECK_CASES_H

#include "backends/backend.h"

// What an input holds.
typedef enum {
    MCF_VALUES_NORMAL,    // mean 0, deviation 1
    MCF_VALUES_SHIFTED,   // mean 8: a variance as a difference of squares goes wrong
    MCF_VALUES_LARGE,     // deviation 30: an exponential without a shift overflows
    MCF_VALUES_POSITIVE,  // 0.25 to 2: variances, norms, squares
    MCF_VALUES_ZERO_LINE, // normal, with every third line that is normalised all zeros
    MCF_VALUES_UNIT,      // 0.75
    MCF_VALUES_COUNT,     // the number of elements of input 0: a loss scale that keeps a mean's gradient in 16 bits
    MCF_VALUES_ROWS,      // ids: a permutation's beginning, repeated past its end; of case->limit rows
    MCF_VALUES_LABELS,    // ids drawn freely from case->limit
    MCF_VALUES_BYTES,     // 0..255
    MCF_VALUES_FLAGS,     // 0 or 1
    MCF_VALUES_RANGES,    // of adamw, with a hole
    MCF_VALUES_RATES,
    MCF_VALUES_SCALARS,
    MCF_VALUES_SCALARS_CLIP,
    MCF_VALUES_SCALARS_INFINITE,
    MCF_VALUES_SCALARS_NAN,
    MCF_VALUES_OUTPUT // what the operation that this one is the gradient of makes of the other inputs: its output of this name
} mcf_check_values;

typedef struct {
    mcf_launch launch; // shapes, strides, types, attributes; no buffers. Absent inputs have rank 0
    mcf_check_values values[MCF_MAX_INPUTS];
    uint32_t unwanted; // bit per output
    int64_t limit;     // what ids and ranges stay below; mcf_case_emit sets it
    double floor;      // results smaller than this (root mean square) count as zero: where the exact result is
    bool required;     // the backend must support these types
} mcf_check_case;

typedef struct mcf_case_maker mcf_case_maker;
struct mcf_case_maker {
    mcf_dtype type; // f32, bf16, f16
    bool tiny;
    mcf_status (*emit)(mcf_case_maker *maker, const mcf_check_case *c, mcf_error *err);
    void *context;
};

// For makers of cases: a case with the operation's number of operands, all absent; an operand of this shape,
// contiguous; the case emitted in the maker's type and, where `mixed`, in the mixtures that a graph with an
// fp32 residual stream makes (those a backend may refuse).
enum { MCF_CASE_LENGTHS = 18 };
extern const int64_t mcf_case_lengths[MCF_CASE_LENGTHS];
static inline int mcf_case_some(const mcf_case_maker *m, int all, int few)
{
    return m->tiny && few < all ? few : all;
}
mcf_check_case mcf_case_start(mcf_op op);
void mcf_case_shape(mcf_check_case *c, int input, mcf_shape shape);
mcf_status mcf_case_emit(mcf_case_maker *m, const mcf_check_case *c, bool mixed, mcf_error *err);
// Rows that there are to be picked, classes of labels, elements that ranges lie in: by the kinds of values and the shapes.
int64_t mcf_case_limit(const mcf_check_case *c);

// The list of cases: which function makes those of an operation. Check, gradient test and `mcf bench ops` read it.
typedef struct {
    mcf_op op;
    mcf_status (*make)(mcf_case_maker *maker, mcf_op op, mcf_error *err);
} mcf_case_row;
extern const mcf_case_row mcf_plain_cases[], mcf_network_cases[], mcf_image_cases[]; // up to MCF_OP_COUNT

// Emits all cases of an operation. Fails where emit does, or where a case breaks the shape rules (a bug).
mcf_status mcf_check_make_cases(mcf_case_maker *maker, mcf_op op, mcf_error *err);

// Values of the inputs as doubles in row-major order of their shapes, rounded to the inputs' types;
// malloc'ed. Absent inputs stay NULL. `number` keeps cases apart.
mcf_status mcf_check_draw(const mcf_check_case *c, uint64_t seed, uint64_t number, double *values[MCF_MAX_INPUTS],
                          mcf_error *err);

// Runs launch in f64 on cpu-reference: values in, results out (malloc'ed; unwanted ones NULL). `before`: what
// accumulated outputs start from. An operation that changes input i leaves the new values in values[i].
mcf_status mcf_check_reference(const mcf_check_case *c, double *values[MCF_MAX_INPUTS],
                               double *const before[MCF_MAX_OUTPUTS], double *results[MCF_MAX_OUTPUTS], mcf_error *err);

#endif
