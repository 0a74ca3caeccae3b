// Text of others made fit for a terminal, a log or a report: names of files may hold anything.
#ifndef MCF_BASE_PRINTABLE_H
#define MCF_BASE_PRINTABLE_H

#include <stddef.h>

// Writes `text` into `out` (cut at a whole character, always terminated) with everything escaped that would not show as
// itself: control characters as \n, \t, \r, \xNN; bytes that are no UTF-8 as \xNN; the invisible characters that break
// lines or turn the direction of writing as \u{N}. A second pass changes nothing. Returns `out`.
char *mcf_printable(char *out, size_t size, const char *text);
// malloc'd and whole; NULL without memory.
char *mcf_printable_copy(const char *text);
// The same in place: what does not fit into size bytes is cut.
void mcf_printable_in_place(char *text, size_t size);

// malloc'd UTF-8 by which any name can be told from any other: the name itself where it is UTF-8 without a backslash;
// else its backslashes are doubled, and bytes that are no UTF-8 are written \xNN. NULL without memory.
char *mcf_name_as_utf8(const char *name);

#endif
