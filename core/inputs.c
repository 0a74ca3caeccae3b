#include "core/inputs.h"

#include <stdlib.h>
#include <string.h>

void mcf_inputs_begin(mcf_inputs *inputs, int64_t rows)
{
    inputs->count = 0;
    inputs->rows = rows;
}

void mcf_inputs_free(mcf_inputs *inputs)
{
    for (int i = 0; i < MCF_MAX_HOST_INPUTS; i++)
        free(inputs->input[i].own);
    *inputs = (mcf_inputs){0};
}

static mcf_host_input *add(mcf_inputs *inputs, const char *name, size_t row, mcf_error *err)
{
    if (inputs->count == MCF_MAX_HOST_INPUTS) {
        mcf_fail(err, MCF_ERR_INTERNAL, "input %s: more than %d inputs", name, MCF_MAX_HOST_INPUTS);
        return NULL;
    }
    mcf_host_input *input = &inputs->input[inputs->count++];
    input->name = name;
    input->row = row;
    input->shared = false;
    return input;
}

mcf_status mcf_inputs_point(mcf_inputs *inputs, const char *name, const void *data, size_t row, mcf_error *err)
{
    mcf_host_input *input = add(inputs, name, row, err);
    if (!input)
        return MCF_ERR_INTERNAL;
    input->data = data;
    return MCF_OK;
}

static void *own(mcf_host_input *input, size_t bytes, mcf_error *err)
{
    if (input->capacity < bytes || !input->own) {
        free(input->own);
        input->own = malloc(bytes ? bytes : 1);
        input->capacity = input->own ? bytes : 0;
    }
    if (!input->own)
        mcf_fail(err, MCF_ERR_NOMEM, "no memory for the input %s", input->name);
    input->data = input->own;
    return input->own;
}

void *mcf_inputs_take(mcf_inputs *inputs, const char *name, size_t row, mcf_error *err)
{
    mcf_host_input *input = add(inputs, name, row, err);
    return input ? own(input, (size_t)inputs->rows * row, err) : NULL;
}

mcf_status mcf_inputs_share(mcf_inputs *inputs, const char *name, const void *value, size_t size, mcf_error *err)
{
    mcf_host_input *input = add(inputs, name, size, err);
    if (!input)
        return MCF_ERR_INTERNAL;
    input->shared = true;
    if (!own(input, size, err))
        return MCF_ERR_NOMEM;
    memcpy(input->own, value, size);
    return MCF_OK;
}

void mcf_inputs_skip(mcf_inputs *inputs, int64_t rows)
{
    for (int i = 0; i < inputs->count; i++)
        if (!inputs->input[i].shared)
            inputs->input[i].data = (const char *)inputs->input[i].data + (size_t)rows * inputs->input[i].row;
    inputs->rows -= rows;
}

mcf_status mcf_inputs_write(const mcf_inputs *inputs, mcf_program *program, int64_t first, int64_t rows, mcf_error *err)
{
    if (first + rows > inputs->rows)
        return mcf_fail(err, MCF_ERR_INTERNAL, "%lld images are wanted from the %lldth on, %lld are there",
                        (long long)rows, (long long)first, (long long)inputs->rows);
    for (int i = 0; i < inputs->count; i++) {
        const mcf_host_input *input = &inputs->input[i];
        if (input->shared)
            MCF_TRY(mcf_program_write(program, input->name, input->data, input->row, err));
        else
            MCF_TRY(mcf_program_write(program, input->name, (const char *)input->data + (size_t)first * input->row,
                                      (size_t)rows * input->row, err));
    }
    return MCF_OK;
}
