#include "ops/error.h"

#include <stdio.h>
#include <string.h>

mcf_status mcf_vfail(mcf_error *err, mcf_status status, const char *format, va_list args)
{
    if (err) {
        err->status = status;
        vsnprintf(err->message, sizeof err->message, format, args);
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
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    // The tail of an over-long message is cut; the outermost context matters most.
    int used = snprintf(err->message, sizeof err->message, "%s: ", context);
    if (used > 0 && (size_t)used < sizeof err->message)
        snprintf(err->message + used, sizeof err->message - (size_t)used, "%s", old);
    return status;
}
