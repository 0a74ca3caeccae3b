// Layer norm (Ba et al. 2016), batch norm (Ioffe & Szegedy 2015) in the parts that a group of devices shares,
// and L2 normalisation.
#include "backends/reference/reference.h"

#include <math.h>

// --- layer norm over the rows of [R,C]

static void normalize_row(const double *x, const double *gamma, const double *beta, int64_t width, double eps,
                          double *y, double *mean, double *rstd)
{
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < width; c++)
        sum += x[c];
    *mean = sum / (double)width;
    for (int64_t c = 0; c < width; c++)
        squares += (x[c] - *mean) * (x[c] - *mean);
    *rstd = 1 / sqrt(squares / (double)width + eps);
    for (int64_t c = 0; c < width; c++)
        y[c] = (x[c] - *mean) * *rstd * gamma[c] + beta[c];
}

mcf_status ref_layer_norm(ref_call *call, mcf_error *err)
{
    int64_t rows = ref_in_dim(call, 0)[0], width = ref_in_dim(call, 0)[1];
    for (int64_t r = 0; r < rows; r++)
        normalize_row(call->in[0] + r * width, call->in[1], call->in[2], width, call->launch->attr.norm.eps,
                      call->out[0] + r * width, call->out[1] + r, call->out[2] + r);
    return MCF_OK;
}

mcf_status ref_add_layer_norm(ref_call *call, mcf_error *err)
{
    int64_t rows = ref_in_dim(call, 0)[0], width = ref_in_dim(call, 0)[1];
    double *sum = call->out[0];
    for (int64_t i = 0; i < rows * width; i++)
        sum[i] = call->in[0][i] + call->in[1][i];
    for (int64_t r = 0; r < rows; r++)
        normalize_row(sum + r * width, call->in[2], call->in[3], width, call->launch->attr.norm.eps,
                      call->out[1] + r * width, call->out[2] + r, call->out[3] + r);
    return MCF_OK;
}

// With xhat = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - xhat mean(g xhat)) + dsum,
// dgamma = sum of dy xhat, dbeta = sum of dy over the rows.
mcf_status ref_layer_norm_grad(ref_call *call, mcf_error *err)
{
    int64_t rows = ref_in_dim(call, 0)[0], width = ref_in_dim(call, 0)[1];
    const double *gamma = call->in[1];
    for (int64_t r = 0; r < rows; r++) {
        const double *x = call->in[0] + r * width, *dy = call->in[4] + r * width;
        double mean = call->in[2][r], rstd = call->in[3][r], mean_g = 0, mean_gx = 0;
        for (int64_t c = 0; c < width; c++) {
            double xhat = (x[c] - mean) * rstd;
            mean_g += dy[c] * gamma[c];
            mean_gx += dy[c] * gamma[c] * xhat;
            call->out[1][c] += dy[c] * xhat;
            call->out[2][c] += dy[c];
        }
        mean_g /= (double)width;
        mean_gx /= (double)width;
        for (int64_t c = 0; c < width; c++) {
            double xhat = (x[c] - mean) * rstd;
            double other = call->in[5] ? call->in[5][r * width + c] : 0;
            call->out[0][r * width + c] = rstd * (dy[c] * gamma[c] - mean_g - xhat * mean_gx) + other;
        }
    }
    return MCF_OK;
}

// --- batch norm over R of [G,R,C]; statistics [G,1,C]

mcf_status ref_batch_variance(ref_call *call, mcf_error *err)
{
    const int64_t *dim = ref_in_dim(call, 0);
    for (int64_t g = 0; g < dim[0]; g++)
        for (int64_t c = 0; c < dim[2]; c++) {
            double mean = call->in[1][g * dim[2] + c], sum = 0;
            for (int64_t r = 0; r < dim[1]; r++) {
                double centred = call->in[0][(g * dim[1] + r) * dim[2] + c] - mean;
                sum += centred * centred;
            }
            call->out[0][g * dim[2] + c] = sum / (double)dim[1];
        }
    return MCF_OK;
}

// xhat of element i = (g, r, c), whose statistics are at s = (g, c).
static double batch_normalized(const ref_call *call, int64_t i, int64_t s)
{
    return (call->in[0][i] - call->in[1][s]) / sqrt(call->in[2][s] + call->launch->attr.norm.eps);
}

mcf_status ref_batch_norm(ref_call *call, mcf_error *err)
{
    const int64_t *dim = ref_in_dim(call, 0);
    for (int64_t g = 0; g < dim[0]; g++)
        for (int64_t r = 0; r < dim[1]; r++)
            for (int64_t c = 0; c < dim[2]; c++) {
                int64_t i = (g * dim[1] + r) * dim[2] + c;
                double y = batch_normalized(call, i, g * dim[2] + c);
                if (call->in[3])
                    y = y * call->in[3][c] + call->in[4][c];
                call->out[0][i] = y;
            }
    return MCF_OK;
}

mcf_status ref_batch_norm_sums(ref_call *call, mcf_error *err)
{
    const int64_t *dim = ref_in_dim(call, 0);
    for (int64_t g = 0; g < dim[0]; g++)
        for (int64_t c = 0; c < dim[2]; c++) {
            int64_t s = g * dim[2] + c;
            double sum = 0, sum_xhat = 0;
            for (int64_t r = 0; r < dim[1]; r++) {
                int64_t i = (g * dim[1] + r) * dim[2] + c;
                sum += call->in[3][i];
                sum_xhat += call->in[3][i] * batch_normalized(call, i, s);
            }
            call->out[0][s] = sum / (double)dim[1];
            call->out[1][s] = sum_xhat / (double)dim[1];
        }
    return MCF_OK;
}

mcf_status ref_batch_norm_grad(ref_call *call, mcf_error *err)
{
    const int64_t *dim = ref_in_dim(call, 0);
    for (int64_t g = 0; g < dim[0]; g++)
        for (int64_t r = 0; r < dim[1]; r++)
            for (int64_t c = 0; c < dim[2]; c++) {
                int64_t i = (g * dim[1] + r) * dim[2] + c, s = g * dim[2] + c;
                double rstd = 1 / sqrt(call->in[2][s] + call->launch->attr.norm.eps);
                double gamma = call->in[6] ? call->in[6][c] : 1;
                call->out[0][i] =
                    gamma * rstd * (call->in[3][i] - call->in[4][s] - batch_normalized(call, i, s) * call->in[5][s]);
            }
    return MCF_OK;
}

// --- L2 normalisation along an axis: lines of n elements, `step` apart

typedef struct {
    int64_t lines, n, step;
} ref_lines;

static ref_lines lines_of(const ref_call *call)
{
    const mcf_shape *shape = &call->launch->in[0].shape;
    int axis = call->launch->attr.l2_normalize.axis;
    ref_lines lines = {1, shape->dim[axis], 1};
    for (int i = 0; i < shape->rank; i++) {
        if (i != axis)
            lines.lines *= shape->dim[i];
        if (i > axis)
            lines.step *= shape->dim[i];
    }
    return lines;
}

static int64_t line_start(ref_lines lines, int64_t line)
{
    return line / lines.step * lines.n * lines.step + line % lines.step;
}

static double line_norm(const double *x, ref_lines lines)
{
    double squares = 0;
    for (int64_t i = 0; i < lines.n; i++)
        squares += x[i * lines.step] * x[i * lines.step];
    return sqrt(squares);
}

mcf_status ref_l2_normalize(ref_call *call, mcf_error *err)
{
    ref_lines lines = lines_of(call);
    for (int64_t line = 0; line < lines.lines; line++) {
        int64_t start = line_start(lines, line);
        double norm = fmax(line_norm(call->in[0] + start, lines), call->launch->attr.l2_normalize.eps);
        for (int64_t i = 0; i < lines.n; i++)
            call->out[0][start + i * lines.step] = call->in[0][start + i * lines.step] / norm;
    }
    return MCF_OK;
}

mcf_status ref_l2_normalize_grad(ref_call *call, mcf_error *err)
{
    ref_lines lines = lines_of(call);
    double eps = call->launch->attr.l2_normalize.eps;
    for (int64_t line = 0; line < lines.lines; line++) {
        int64_t start = line_start(lines, line);
        const double *x = call->in[0] + start, *dy = call->in[1] + start;
        double *dx = call->out[0] + start, norm = line_norm(x, lines), along = 0;
        for (int64_t i = 0; i < lines.n * lines.step; i += lines.step)
            along += x[i] / norm * dy[i];
        for (int64_t i = 0; i < lines.n * lines.step; i += lines.step)
            dx[i] = norm <= eps ? dy[i] / eps : (dy[i] - x[i] / norm * along) / norm;
    }
    return MCF_OK;
}
