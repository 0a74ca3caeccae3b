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

const char *mcf_impostor_weights(const void *bytes, size_t size)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *what;
    } starts[] = {
        {"PK\3\4", 4, "a zip, as PyTorch's checkpoints are; mcf import reads them and writes what is wanted here"},
        {"\x80\2\x8a\nl\xfc\x9c\x46\xf9", 9,
         "a PyTorch checkpoint; mcf import reads it and writes what is wanted here"},
        {"\x1f\x8b", 2, "compressed (gzip); unpack it first"},
        {"\x28\xb5\x2f\xfd", 4, "compressed (zstd); unpack it first"},
        {"\xfd"
         "7zXZ",
         5, "compressed (xz); unpack it first"},
        {"BZh", 3, "compressed (bzip2); unpack it first"},
        {"7z\xbc\xaf", 4, "compressed (7z); unpack it first"},
        {"\x93NUMPY", 6, "an array of NumPy; save the tensors as safetensors"},
        {"\x89HDF", 4, "an HDF5 file (Keras, MATLAB); save the tensors as safetensors"},
        {"GGUF", 4, "a GGUF file; save the tensors as safetensors"},
        {"\xff\xd8\xff", 3, "a picture"},
        {"\x89PNG", 4, "a picture"},
    };
    const unsigned char *at = bytes;
    const char *known = mcf_impostor(bytes, size);
    if (known || (size > 8 && at[8] == '{')) // the length of the header, then JSON
        return known;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (size >= starts[i].size && !memcmp(bytes, starts[i].bytes, starts[i].size))
            return starts[i].what;
    if (size >= 262 && !memcmp(at + 257, "ustar", 5))
        return "a tar; unpack it first";
    for (size_t i = 0; i < size; i++)
        if (at[i] < ' ' && !isspace(at[i]))
            return NULL;
    return size ? "a text (a server's answer, an index, a config?), not weights; fetch the file itself" : NULL;
}
