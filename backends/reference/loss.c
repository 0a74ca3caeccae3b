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
    const int64_t *dim = ref_in_dim(call, 0);
    int64_t batch = dim[0], tokens = dim[1], width = dim[2];
    double eps = call->launch->attr.token_mse.eps, sum = 0;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t d = 0; d < width; d++) {
            const double *a = call->in[0] + b * tokens * width + d, *t = call->in[1] + b * tokens * width + d;
            double norm_a = token_norm(a, tokens, width, eps), norm_t = token_norm(t, tokens, width, eps);
            for (int64_t n = 0; n < tokens; n++) {
                double difference = a[n * width] / norm_a - t[n * width] / norm_t;
                sum += difference * difference;
            }
            call->out[1][b * width + d] = norm_a;
            call->out[2][b * width + d] = norm_t;
        }
    call->out[0][0] = sum / (double)ref_in_count(call, 0);
    return MCF_OK;
}

// With u = a/|a|, w = b/|b| and e = 2/count dloss (u - w): da = (e - u <u,e>)/|a|; e/eps where |a| <= eps.
mcf_status ref_token_mse_grad(ref_call *call, mcf_error *err)
{
    const int64_t *dim = ref_in_dim(call, 0);
    int64_t batch = dim[0], tokens = dim[1], width = dim[2];
    double factor = 2 * call->in[4][0] / (double)ref_in_count(call, 0);
    // A norm at its lower bound has been rounded to f32 with it.
    double bound = call->launch->attr.token_mse.eps * (1 + 1e-6);
    for (int64_t b = 0; b < batch; b++)
        for (int64_t d = 0; d < width; d++) {
            int64_t start = b * tokens * width + d;
            const double *a = call->in[0] + start, *t = call->in[1] + start;
            double norm_a = call->in[2][b * width + d], norm_t = call->in[3][b * width + d], along = 0;
            if (norm_a > bound)
                for (int64_t n = 0; n < tokens * width; n += width)
                    along += a[n] / norm_a * factor * (a[n] / norm_a - t[n] / norm_t);
            for (int64_t n = 0; n < tokens * width; n += width) {
                double u = a[n] / norm_a;
                call->out[0][start + n] = (factor * (u - t[n] / norm_t) - u * along) / norm_a;
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

static mcf_status check_label(double label, int64_t classes, int64_t row, mcf_error *err)
{
    if (label < 0 || label >= (double)classes)
        return mcf_fail(err, MCF_ERR_SHAPE, "labels[%lld] is %.0f, there are %lld classes", (long long)row, label,
                        (long long)classes);
    return MCF_OK;
}

mcf_status ref_cross_entropy(ref_call *call, mcf_error *err)
{
    int64_t rows = ref_in_dim(call, 0)[0], classes = ref_in_dim(call, 0)[1];
    double sum = 0;
    for (int64_t r = 0; r < rows; r++) {
        MCF_TRY(check_label(call->in[1][r], classes, r, err));
        const double *logits = call->in[0] + r * classes;
        double lse = log_sum_exp(logits, classes);
        sum += lse - logits[(int64_t)call->in[1][r]];
        call->out[1][r] = lse;
    }
    call->out[0][0] = sum / (double)rows;
    return MCF_OK;
}

mcf_status ref_cross_entropy_grad(ref_call *call, mcf_error *err)
{
    int64_t rows = ref_in_dim(call, 0)[0], classes = ref_in_dim(call, 0)[1];
    double factor = call->in[3][0] / (double)rows;
    for (int64_t r = 0; r < rows; r++) {
        MCF_TRY(check_label(call->in[1][r], classes, r, err));
        for (int64_t c = 0; c < classes; c++) {
            double p = exp(call->in[0][r * classes + c] - call->in[2][r]);
            call->out[0][r * classes + c] = factor * (p - (c == (int64_t)call->in[1][r] ? 1 : 0));
        }
    }
    return MCF_OK;
}
