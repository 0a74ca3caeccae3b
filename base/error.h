// Errors as values. Nothing below cli/ prints or exits: a function that can
// fail returns an mcf_status and describes the failure in an mcf_error.
#ifndef MCF_BASE_ERROR_H
#define MCF_BASE_ERROR_H

#include <stdarg.h>

typedef enum {
    MCF_OK = 0,
    MCF_ERR_USAGE,  // wrong usage or config; the program exits with 2
    MCF_ERR_IO,     // the system refused: message holds strerror
    MCF_ERR_FORMAT, // bytes that are not what they should be
    MCF_ERR_SHAPE,  // tensors that do not fit together
    MCF_ERR_NOMEM,
    MCF_ERR_UNSUPPORTED, // a backend or build cannot do this
    MCF_ERR_DEVICE,      // a device, driver or peer failed
    MCF_ERR_NUMERIC,     // a non-finite loss
    MCF_ERR_INTERRUPTED, // a signal asked to stop; the program exits with 130
    MCF_ERR_INTERNAL     // a broken invariant: a bug of ours
} mcf_status;

// One line: what, where (file and place), what to do. No trailing newline. Printable whatever names it quotes
// (base/printable.h).
typedef struct {
    mcf_status status;
    char message[1024];
} mcf_error;

// Sets *err (NULL allowed) and returns status, so that callers write
// `return mcf_fail(err, MCF_ERR_IO, "%s: %s", path, strerror(errno));`
mcf_status mcf_fail(mcf_error *err, mcf_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
mcf_status mcf_vfail(mcf_error *err, mcf_status status, const char *format, va_list args);

// Puts "context: " in front of a message that is already there; returns its status.
mcf_status mcf_add_context(mcf_error *err, mcf_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Leaves the enclosing function when an expression fails.
#define MCF_TRY(expression)                                                                                            \
    do {                                                                                                               \
        mcf_status mcf_try_status = (expression);                                                                      \
        if (mcf_try_status != MCF_OK)                                                                                  \
            return mcf_try_status;                                                                                     \
    } while (0)

#endif
