// Named data of a shared library: its bytes are read, nothing of it is run or loaded.
#ifndef MCF_DATA_FORMATS_ELF_SYMBOLS_H
#define MCF_DATA_FORMATS_ELF_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// A data object of the symbol table: `size` bytes at bytes + offset, inside the file.
typedef struct {
    const char *name; // inside the file
    uint64_t offset, size;
} mcf_elf_object;

// The data objects of a 64-bit little-endian ELF file in memory, in the order of .symtab; *objects is malloc'd. `label`
// stands for the path in messages. Every number of the file is checked. Errors: MCF_ERR_FORMAT for what is no such file
// or has no symbol table, MCF_ERR_NOMEM.
mcf_status mcf_elf_objects(const uint8_t *bytes, size_t size, const char *label, mcf_elf_object **objects,
                           size_t *count, mcf_error *err);

#endif
