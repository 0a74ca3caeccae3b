// The EXIF orientation out of foreign bytes: as a TIFF structure and as a whole file of each format.
#include <stdint.h>
#include <stdlib.h>

#include "data/image/exif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int alone = mcf_exif_orientation(data, size), whole = mcf_exif_orientation_of(data, size);
    if (alone < 1 || alone > 8 || whole < 1 || whole > 8)
        abort();
    return 0;
}
