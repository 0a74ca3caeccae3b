// Protocol buffers' wire format, written: fields of a message one after another into a growing text.
#ifndef MCF_BASE_PROTOBUF_H
#define MCF_BASE_PROTOBUF_H

#include <stdint.h>

#include "base/text.h"

// As a field's key says it.
enum { MCF_WIRE_VARINT = 0, MCF_WIRE_FIXED64 = 1, MCF_WIRE_DELIMITED = 2, MCF_WIRE_FIXED32 = 5 };

// Want of memory stays in message->failed. `number`: of the field.
void mcf_protobuf_varint(mcf_text *message, uint64_t value); // alone, without a key
void mcf_protobuf_key(mcf_text *message, int number, int wire_type);
void mcf_protobuf_integer(mcf_text *message, int number, uint64_t value);
void mcf_protobuf_double(mcf_text *message, int number, double value);
void mcf_protobuf_float(mcf_text *message, int number, float value);
// Bytes, a string or a message of its own.
void mcf_protobuf_bytes(mcf_text *message, int number, const void *bytes, size_t size);

#endif
