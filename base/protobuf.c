#include "base/protobuf.h"

void mcf_protobuf_varint(mcf_text *message, uint64_t value)
{
    char bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (char)(value | 0x80);
    bytes[size++] = (char)value;
    mcf_text_append(message, bytes, size);
}

void mcf_protobuf_key(mcf_text *message, int number, int wire_type)
{
    mcf_protobuf_varint(message, (uint64_t)number << 3 | (uint64_t)wire_type);
}

void mcf_protobuf_integer(mcf_text *message, int number, uint64_t value)
{
    mcf_protobuf_key(message, number, MCF_WIRE_VARINT);
    mcf_protobuf_varint(message, value);
}

void mcf_protobuf_double(mcf_text *message, int number, double value)
{
    mcf_protobuf_key(message, number, MCF_WIRE_FIXED64);
    mcf_text_append(message, (const char *)&value, sizeof value);
}

void mcf_protobuf_float(mcf_text *message, int number, float value)
{
    mcf_protobuf_key(message, number, MCF_WIRE_FIXED32);
    mcf_text_append(message, (const char *)&value, sizeof value);
}

void mcf_protobuf_bytes(mcf_text *message, int number, const void *bytes, size_t size)
{
    mcf_protobuf_key(message, number, MCF_WIRE_DELIMITED);
    mcf_protobuf_varint(message, size);
    mcf_text_append(message, bytes, size);
}
