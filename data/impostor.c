#include "data/impostor.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool begins(const char *text, size_t size, const char *with)
{
    const size_t length = strlen(with);
    return size >= length && !strncasecmp(text, with, length);
}

const char *mcf_impostor(const void *bytes, size_t size)
{
    const char *text = bytes;
    if (begins(text, size, "\xef\xbb\xbf")) {
        text += 3;
        size -= 3;
    }
    while (size > 0 && isspace((unsigned char)*text)) {
        text++;
        size--;
    }
    if (begins(text, size, "version https://git-lfs.github.com/spec/") || begins(text, size, "version https://hawser."))
        return "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`";
    if (begins(text, size, "<!doctype html") || begins(text, size, "<html"))
        return "a web page saved under this name, not the file itself; fetch it again with the link behind the "
               "download";
    if (begins(text, size, "<?xml"))
        return "an XML answer of a server, not the file itself; fetch it again";
    return NULL;
}
