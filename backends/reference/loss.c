// token_mse (the feature loss of MCF), cross_entropy and their gradients.
#include "backends/reference/reference.h"

#include <math.h>

// --- token_mse: a, b [B,N,D], norms [B,D] along N

static double token_norm(const double *x, int64_t tokens, int64_t width, double eps)
{
    double squares = 0;
    for (int64_t n = 0; n < tokens; n++)
        squares += x[n * width] * x[n * width];
    return fmax(sqrt(squares), eps);
}

mcf_status ref_token_mse(ref_call *call, mcf_error *err)
{
    double *norm_b = call->out[TOKEN_MSE_OUT_norm_b], *loss = call->out[TOKEN_MSE_OUT_loss];
    const int64_t *dim = ref_in_dim(call, TOKEN_MSE_IN_a);
    int64_t batch = dim[0], tokens = dim[1], width = dim[2];
    double eps = call->launch->attr.norm.eps, sum = 0;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t d = 0; d < width; d++) {
            const double *a = call->in[TOKEN_MSE_IN_a] + b * tokens * width + d,
                         *t = call->in[TOKEN_MSE_IN_b] + b * tokens * width + d;
            double norm_a = token_norm(a, tokens, width, eps), norm_t = token_norm(t, tokens, width, eps);
            for (int64_t n = 0; n < tokens; n++) {
                double difference = a[n * width] / norm_a - t[n * width] / norm_t;
                sum += difference * difference;
            }
            call->out[TOKEN_MSE_OUT_norm_a][b * width + d] = norm_a;
            norm_b[b * width + d] = norm_t;
        }
    loss[0] = sum / (double)ref_in_count(call, TOKEN_MSE_IN_a);
    return MCF_OK;
}

// With u = a/|a|, w = b/|b| and e = 2/count dloss (u - w): da = (e - u <u,e>)/|a|; e/eps where |a| <= eps.
mcf_status ref_token_mse_grad(ref_call *call, mcf_error *err)
{
    const double *dloss = call->in[TOKEN_MSE_GRAD_IN_dloss], *norm_b = call->in[TOKEN_MSE_GRAD_IN_norm_b];
    double *da = call->out[TOKEN_MSE_GRAD_OUT_da];
    const int64_t *dim = ref_in_dim(call, TOKEN_MSE_GRAD_IN_a);
    int64_t batch = dim[0], tokens = dim[1], width = dim[2];
    double factor = 2 * dloss[0] / (double)ref_in_count(call, TOKEN_MSE_GRAD_IN_a);
    // A norm at its lower bound has been rounded to f32 with it.
    double bound = call->launch->attr.norm.eps * (1 + 1e-6);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t d = 0; d < width; d++) {
            int64_t start = b * tokens * width + d;
            const double *a = call->in[TOKEN_MSE_GRAD_IN_a] + start, *t = call->in[TOKEN_MSE_GRAD_IN_b] + start;
            double norm_a = call->in[TOKEN_MSE_GRAD_IN_norm_a][b * width + d], norm_t = norm_b[b * width + d],
                   along = 0;
            if (norm_a > bound)
                for (int64_t n = 0; n < tokens * width; n += width)
                    along += a[n] / norm_a * factor * (a[n] / norm_a - t[n] / norm_t);
            for (int64_t n = 0; n < tokens * width; n += width) {
                double u = a[n] / norm_a;
                da[start + n] = (factor * (u - t[n] / norm_t) - u * along) / norm_a;
            }
        }
    return MCF_OK;
}

// --- cross_entropy: logits [R,C], labels [R]

static double log_sum_exp(const double *x, int64_t n)
{
    double largest = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (int64_t i = 0; i < n; i++)
        sum += exp(x[i] - largest);
    return largest + log(sum);
}

mcf_status ref_check_label(double label, int64_t classes, int64_t row, mcf_error *err)
{
    if (label < 0 || label >= (double)classes)
        return mcf_fail(err, MCF_ERR_SHAPE, "labels[%lld] is %.0f, there are %lld classes", (long long)row, label,
                        (long long)classes);
    return MCF_OK;
}

mcf_status ref_cross_entropy(ref_call *call, mcf_error *err)
{
    const double *labels = call->in[CROSS_ENTROPY_IN_labels];
    double *loss = call->out[CROSS_ENTROPY_OUT_loss];
    int64_t rows = ref_in_dim(call, CROSS_ENTROPY_IN_logits)[0], classes = ref_in_dim(call, CROSS_ENTROPY_IN_logits)[1];
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) {
        MCF_TRY(ref_check_label(labels[r], classes, r, err));
        const double *logits = call->in[CROSS_ENTROPY_IN_logits] + r * classes;
        double lse = log_sum_exp(logits, classes);
        sum += lse - logits[(int64_t)labels[r]];
        call->out[CROSS_ENTROPY_OUT_lse][r] = lse;
    }
    loss[0] = sum / (double)rows;
    return MCF_OK;
}

mcf_status ref_cross_entropy_grad(ref_call *call, mcf_error *err)
{
    const double *dloss = call->in[CROSS_ENTROPY_GRAD_IN_dloss], *labels = call->in[CROSS_ENTROPY_GRAD_IN_labels],
                 *logits = call->in[CROSS_ENTROPY_GRAD_IN_logits], *lse = call->in[CROSS_ENTROPY_GRAD_IN_lse];
    double *dlogits = call->out[CROSS_ENTROPY_GRAD_OUT_dlogits];
    int64_t rows = ref_in_dim(call, CROSS_ENTROPY_GRAD_IN_logits)[0],
            classes = ref_in_dim(call, CROSS_ENTROPY_GRAD_IN_logits)[1];
    double factor = dloss[0] / (double)rows;
    for (int64_t r = 0; r < rows; r++) {
        MCF_TRY(ref_check_label(labels[r], classes, r, err));
        for (int64_t c = 0; c < classes; c++) {
            double p = exp(logits[r * classes + c] - lse[r]);
            dlogits[r * classes + c] = factor * (p - (c == (int64_t)labels[r] ? 1 : 0));
        }
    }
    return MCF_OK;
}
