// SHA-256 (FIPS 180-4), for naming files by their bytes.
#ifndef MCF_BASE_SHA256_H
#define MCF_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

// Writes 64 hexadecimal digits and a NUL.
void mcf_sha256(const void *bytes, size_t size, char digits[65]);

#endif
