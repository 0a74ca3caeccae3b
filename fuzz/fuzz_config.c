// A config from foreign bytes; what stands behind a first zero byte is one --set. What is taken must come back
// from its own dump, word for word.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "run/config/check.h"
#include "run/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mcf_config config, back;
    mcf_error err = {.status = MCF_OK};
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t length = zero ? (size_t)(zero - data) : size;
    char *set = NULL;
    if (zero) {
        set = calloc(1, size - length);
        if (!set)
            return 0;
        memcpy(set, zero + 1, size - length - 1);
    }
    const char *sets[] = {set};
    mcf_status status = mcf_config_parse(&config, (const char *)data, length, "fuzz", sets, set ? 1 : 0, &err);
    free(set);
    if (status != MCF_OK) {
        if (err.status != status || !err.message[0])
            abort();
        return 0;
    }
    mcf_config_check_run(&config, &err);
    char *text, *again;
    if (mcf_config_dump(&config, &text, &err) != MCF_OK)
        abort();
    if (mcf_config_parse(&back, text, strlen(text), "dump", NULL, 0, &err) != MCF_OK)
        abort();
    if (mcf_config_dump(&back, &again, &err) != MCF_OK || strcmp(text, again) != 0)
        abort();
    free(text);
    free(again);
    mcf_config_free(&config);
    mcf_config_free(&back);
    return 0;
}
