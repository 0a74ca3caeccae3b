#include "base/error.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"

mcf_status mcf_vfail(mcf_error *err, mcf_status status, const char *format, va_list args)
{
    if (err) {
        err->status = status;
        vsnprintf(err->message, sizeof err->message, format, args);
        mcf_printable_in_place(err->message, sizeof err->message);
    }
    return status;
}

mcf_status mcf_fail(mcf_error *err, mcf_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    mcf_vfail(err, status, format, args);
    va_end(args);
    return status;
}

mcf_status mcf_add_context(mcf_error *err, mcf_status status, const char *format, ...)
{
    if (!err)
        return status;
    char context[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    mcf_printable_in_place(context, sizeof context);
    // The tail of an over-long message is cut; the outermost context matters most.
    const size_t room = sizeof err->message - 1, first = strlen(context), old = strlen(err->message);
    if (first + 2 <= room) {
        const size_t kept = old < room - first - 2 ? old : room - first - 2;
        memmove(err->message + first + 2, err->message, kept);
        memcpy(err->message + first, ": ", 2);
        err->message[first + 2 + kept] = 0;
        memcpy(err->message, context, first);
    } else {
        memcpy(err->message, context, first + 1);
    }
    return status;
}
