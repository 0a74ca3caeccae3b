// Layouts: System V ABI, "Object files" (gabi), 64-bit classes.
#include "data/formats/elf_symbols.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const uint8_t *bytes;
    size_t size;
} file_view;

static bool inside(const file_view *f, uint64_t offset, uint64_t size)
{
    return offset <= f->size && size <= f->size - offset;
}

static bool section(const file_view *f, const Elf64_Ehdr *header, uint64_t index, Elf64_Shdr *to)
{
    if (index >= header->e_shnum)
        return false;
    memcpy(to, f->bytes + header->e_shoff + index * sizeof *to, sizeof *to);
    return true;
}

// Where a symbol's bytes lie in the file; false: nowhere.
static bool place(const file_view *f, const Elf64_Ehdr *header, const Elf64_Sym *symbol, uint64_t *offset)
{
    Elf64_Shdr home;
    if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT || symbol->st_size == 0 ||
        !section(f, header, symbol->st_shndx, &home) || home.sh_type != SHT_PROGBITS)
        return false;
    if (symbol->st_value < home.sh_addr || symbol->st_value - home.sh_addr > home.sh_size ||
        symbol->st_size > home.sh_size - (symbol->st_value - home.sh_addr))
        return false;
    const uint64_t within = symbol->st_value - home.sh_addr;
    if (home.sh_offset > f->size || within > f->size - home.sh_offset)
        return false;
    *offset = home.sh_offset + within;
    return inside(f, *offset, symbol->st_size);
}

mcf_status mcf_elf_objects(const uint8_t *bytes, size_t size, const char *label, mcf_elf_object **objects,
                           size_t *count, mcf_error *err)
{
    const file_view f = {bytes, size};
    Elf64_Ehdr header;
    *objects = NULL;
    *count = 0;
    if (size < sizeof header || memcmp(bytes, ELFMAG, SELFMAG) != 0 || bytes[EI_CLASS] != ELFCLASS64 ||
        bytes[EI_DATA] != ELFDATA2LSB)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: no 64-bit little-endian shared library", label);
    memcpy(&header, bytes, sizeof header);
    if (header.e_shentsize != sizeof(Elf64_Shdr) ||
        !inside(&f, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr)))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: a shared library whose sections lie outside it", label);
    Elf64_Shdr table = {0}, strings = {0};
    for (uint64_t i = 0; i < header.e_shnum && table.sh_type != SHT_SYMTAB; i++)
        section(&f, &header, i, &table);
    if (table.sh_type != SHT_SYMTAB || !section(&f, &header, table.sh_link, &strings))
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: a shared library without a symbol table (it was stripped)", label);
    if (!inside(&f, table.sh_offset, table.sh_size) || !inside(&f, strings.sh_offset, strings.sh_size) ||
        strings.sh_size == 0 || bytes[strings.sh_offset + strings.sh_size - 1] != 0)
        return mcf_fail(err, MCF_ERR_FORMAT, "%s: a shared library whose symbol table lies outside it", label);
    const size_t symbols = table.sh_size / sizeof(Elf64_Sym);
    mcf_elf_object *found = malloc((symbols + 1) * sizeof *found);
    if (!found)
        return mcf_fail(err, MCF_ERR_NOMEM, "%s: out of memory for %zu symbols", label, symbols);
    for (size_t i = 0; i < symbols; i++) {
        Elf64_Sym symbol;
        uint64_t offset;
        memcpy(&symbol, bytes + table.sh_offset + i * sizeof symbol, sizeof symbol);
        if (symbol.st_name < strings.sh_size && place(&f, &header, &symbol, &offset))
            found[(*count)++] = (mcf_elf_object){.name = (const char *)bytes + strings.sh_offset + symbol.st_name,
                                                 .offset = offset,
                                                 .size = symbol.st_size};
    }
    *objects = found;
    return MCF_OK;
}
