// Runs a fuzz target over files and folders given as arguments: the corpus as an ordinary test, with any compiler.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count;

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    if (!file || fstat(fileno(file), &info) != 0) {
        fprintf(stderr, "replay: %s: cannot be read\n", path);
        return 1;
    }
    // exactly as large as the input, so that a sanitizer sees a read past its end
    uint8_t *bytes = malloc(info.st_size ? (size_t)info.st_size : 1);
    size_t size = bytes ? fread(bytes, 1, (size_t)info.st_size, file) : 0;
    fclose(file);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    count++;
    return 0;
}

static int replay(const char *path)
{
    struct dirent *entry;
    DIR *folder = opendir(path);
    int failed = 0;
    if (!folder)
        return replay_file(path);
    while ((entry = readdir(folder))) {
        char inner[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        failed |= replay(inner);
    }
    closedir(folder);
    return failed;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= replay(argv[i]);
    printf("%d inputs replayed\n", count);
    return failed || count == 0;
}
