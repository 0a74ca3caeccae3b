// Paths as text, what stands at them, and what the system says of them.
#ifndef MCF_BASE_PATH_H
#define MCF_BASE_PATH_H

#include <stdbool.h>

#include "base/error.h"

bool mcf_path_exists(const char *path);
bool mcf_path_is_directory(const char *path);
// malloc'd "a/b"; b alone when a is "" or b is absolute. NULL without memory.
char *mcf_path_join(const char *a, const char *b);
// malloc'd directory part: "." for a bare name. NULL without memory.
char *mcf_path_parent(const char *path);

// errno as a value: "PATH: cannot WHAT: why; what to do". MCF_ERR_NOMEM for ENOMEM, else MCF_ERR_IO.
mcf_status mcf_fail_errno(mcf_error *err, const char *what, const char *path);

#endif
