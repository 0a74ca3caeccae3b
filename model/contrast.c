#include "model/contrast.h"

// Equation (6): L_con = -log(exp(q k+/T) / sum_i exp(q k_i/T)), times 2T as the authors' code has it; k of
// all devices, `labels` say which is the own one.
mcf_value mcf_contrastive_loss(mcf_graph *graph, mcf_value q, mcf_value k, mcf_value labels, double temperature)
{
    mcf_value logits = mcf_matmul(graph, q, mcf_all_gather(graph, k), false, true, MCF_F32);
    logits = mcf_scale(graph, logits, 1 / temperature, 0);
    return mcf_scale(graph, mcf_cross_entropy(graph, logits, labels), 2 * temperature, 0);
}

mcf_status mcf_contrastive_labels(int64_t first, mcf_inputs *to, mcf_error *err)
{
    int64_t *labels = mcf_inputs_take(to, "labels", sizeof *labels, err);
    if (!labels)
        return MCF_ERR_NOMEM;
    for (int64_t i = 0; i < to->rows; i++)
        labels[i] = first + i;
    return MCF_OK;
}
