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
    const double *x = call->in[LAYER_NORM_IN_x], *gamma = call->in[LAYER_NORM_IN_gamma],
                 *beta = call->in[LAYER_NORM_IN_beta];
    double *y = call->out[LAYER_NORM_OUT_y], *mean = call->out[LAYER_NORM_OUT_mean],
           *rstd = call->out[LAYER_NORM_OUT_rstd];
    int64_t rows = ref_in_dim(call, LAYER_NORM_IN_x)[0], width = ref_in_dim(call, LAYER_NORM_IN_x)[1];
    for (int64_t r = 0; r < rows; r++)
        normalize_row(x + r * width, gamma, beta, width, call->launch->attr.norm.eps, y + r * width, mean + r,
                      rstd + r);
    return MCF_OK;
}

mcf_status ref_add_layer_norm(ref_call *call, mcf_error *err)
{
    const double *x = call->in[ADD_LAYER_NORM_IN_x], *gamma = call->in[ADD_LAYER_NORM_IN_gamma],
                 *beta = call->in[ADD_LAYER_NORM_IN_beta];
    double *sum = call->out[ADD_LAYER_NORM_OUT_s], *y = call->out[ADD_LAYER_NORM_OUT_y],
           *mean = call->out[ADD_LAYER_NORM_OUT_mean], *rstd = call->out[ADD_LAYER_NORM_OUT_rstd];
    int64_t rows = ref_in_dim(call, ADD_LAYER_NORM_IN_x)[0], width = ref_in_dim(call, ADD_LAYER_NORM_IN_x)[1];
    for (int64_t i = 0; i < rows * width; i++)
        sum[i] = x[i] + call->in[ADD_LAYER_NORM_IN_r][i];
    for (int64_t r = 0; r < rows; r++)
        normalize_row(sum + r * width, gamma, beta, width, call->launch->attr.norm.eps, y + r * width, mean + r,
                      rstd + r);
    return MCF_OK;
}

// With xhat = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - xhat mean(g xhat)) + dsum,
// dgamma = sum of dy xhat, dbeta = sum of dy over the rows.
mcf_status ref_layer_norm_grad(ref_call *call, mcf_error *err)
{
    const double *dsum = call->in[LAYER_NORM_GRAD_IN_dsum];
    double *dgamma = call->out[LAYER_NORM_GRAD_OUT_dgamma], *dbeta = call->out[LAYER_NORM_GRAD_OUT_dbeta],
           *dx = call->out[LAYER_NORM_GRAD_OUT_dx];
    int64_t rows = ref_in_dim(call, LAYER_NORM_GRAD_IN_x)[0], width = ref_in_dim(call, LAYER_NORM_GRAD_IN_x)[1];
    const double *gamma = call->in[LAYER_NORM_GRAD_IN_gamma];
    for (int64_t r = 0; r < rows; r++) {
        const double *x = call->in[LAYER_NORM_GRAD_IN_x] + r * width, *dy = call->in[LAYER_NORM_GRAD_IN_dy] + r * width;
        double mean = call->in[LAYER_NORM_GRAD_IN_mean][r], rstd = call->in[LAYER_NORM_GRAD_IN_rstd][r], mean_g = 0,
               mean_gx = 0;
        for (int64_t c = 0; c < width; c++) {
            double xhat = (x[c] - mean) * rstd;
            mean_g += dy[c] * gamma[c];
            mean_gx += dy[c] * gamma[c] * xhat;
            dgamma[c] += dy[c] * xhat;
            dbeta[c] += dy[c];
        }
        mean_g /= (double)width;
        mean_gx /= (double)width;
        for (int64_t c = 0; c < width; c++) {
            double xhat = (x[c] - mean) * rstd;
            double other = dsum ? dsum[r * width + c] : 0;
            dx[r * width + c] = rstd * (dy[c] * gamma[c] - mean_g - xhat * mean_gx) + other;
        }
    }
    return MCF_OK;
}

// --- batch norm over R of [G,R,C]; statistics [G,1,C]

mcf_status ref_batch_variance(ref_call *call, mcf_error *err)
{
    const double *x = call->in[BATCH_VARIANCE_IN_x];
    double *var = call->out[BATCH_VARIANCE_OUT_var];
    const int64_t *dim = ref_in_dim(call, BATCH_VARIANCE_IN_x);
    for (int64_t g = 0; g < dim[0]; g++)
        for (int64_t c = 0; c < dim[2]; c++) {
            double mean = call->in[BATCH_VARIANCE_IN_mean][g * dim[2] + c], sum = 0;
            for (int64_t r = 0; r < dim[1]; r++) {
                double centred = x[(g * dim[1] + r) * dim[2] + c] - mean;
                sum += centred * centred;
            }
            var[g * dim[2] + c] = sum / (double)dim[1];
        }
    return MCF_OK;
}

static double normalized(const ref_call *call, double x, double mean, double var)
{
    return (x - mean) / sqrt(var + call->launch->attr.norm.eps);
}

mcf_status ref_batch_norm(ref_call *call, mcf_error *err)
{
    const double *x = call->in[BATCH_NORM_IN_x], *mean = call->in[BATCH_NORM_IN_mean],
                 *var = call->in[BATCH_NORM_IN_var];
    const double *gamma = call->in[BATCH_NORM_IN_gamma], *beta = call->in[BATCH_NORM_IN_beta];
    const int64_t *dim = ref_in_dim(call, BATCH_NORM_IN_x);
    for (int64_t g = 0; g < dim[0]; g++)
        for (int64_t r = 0; r < dim[1]; r++)
            for (int64_t c = 0; c < dim[2]; c++) {
                int64_t i = (g * dim[1] + r) * dim[2] + c, s = g * dim[2] + c;
                double y = normalized(call, x[i], mean[s], var[s]);
                if (gamma)
                    y = y * gamma[c] + beta[c];
                call->out[BATCH_NORM_OUT_y][i] = y;
            }
    return MCF_OK;
}

mcf_status ref_batch_norm_sums(ref_call *call, mcf_error *err)
{
    const double *x = call->in[BATCH_NORM_SUMS_IN_x], *mean = call->in[BATCH_NORM_SUMS_IN_mean];
    const double *var = call->in[BATCH_NORM_SUMS_IN_var], *dy = call->in[BATCH_NORM_SUMS_IN_dy];
    double *mean_dy = call->out[BATCH_NORM_SUMS_OUT_mean_dy],
           *mean_dy_xhat = call->out[BATCH_NORM_SUMS_OUT_mean_dy_xhat];
    const int64_t *dim = ref_in_dim(call, BATCH_NORM_SUMS_IN_x);
    for (int64_t g = 0; g < dim[0]; g++)
        for (int64_t c = 0; c < dim[2]; c++) {
            int64_t s = g * dim[2] + c;
            double sum = 0, sum_xhat = 0;
            for (int64_t r = 0; r < dim[1]; r++) {
                int64_t i = (g * dim[1] + r) * dim[2] + c;
                sum += dy[i];
                sum_xhat += dy[i] * normalized(call, x[i], mean[s], var[s]);
            }
            mean_dy[s] = sum / (double)dim[1];
            mean_dy_xhat[s] = sum_xhat / (double)dim[1];
        }
    return MCF_OK;
}

mcf_status ref_batch_norm_grad(ref_call *call, mcf_error *err)
{
    const double *x = call->in[BATCH_NORM_GRAD_IN_x], *mean = call->in[BATCH_NORM_GRAD_IN_mean],
                 *gamma = call->in[BATCH_NORM_GRAD_IN_gamma];
    const double *var = call->in[BATCH_NORM_GRAD_IN_var], *dy = call->in[BATCH_NORM_GRAD_IN_dy],
                 *mean_dy = call->in[BATCH_NORM_GRAD_IN_mean_dy],
                 *mean_dy_xhat = call->in[BATCH_NORM_GRAD_IN_mean_dy_xhat];
    double *dx = call->out[BATCH_NORM_GRAD_OUT_dx];
    const int64_t *dim = ref_in_dim(call, BATCH_NORM_GRAD_IN_x);
    for (int64_t g = 0; g < dim[0]; g++)
        for (int64_t r = 0; r < dim[1]; r++)
            for (int64_t c = 0; c < dim[2]; c++) {
                int64_t i = (g * dim[1] + r) * dim[2] + c, s = g * dim[2] + c;
                double rstd = 1 / sqrt(var[s] + call->launch->attr.norm.eps);
                double xhat = normalized(call, x[i], mean[s], var[s]);
                dx[i] = (gamma ? gamma[c] : 1) * rstd * (dy[i] - mean_dy[s] - xhat * mean_dy_xhat[s]);
            }
    return MCF_OK;
}

// --- L2 normalisation along an axis: lines of n elements, `step` apart

typedef struct {
    int64_t lines, n, step;
} ref_lines;

static ref_lines lines_of(const ref_call *call, int input)
{
    const mcf_shape *shape = &call->launch->in[input].shape;
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
    const double *x = call->in[L2_NORMALIZE_IN_x];
    double *y = call->out[L2_NORMALIZE_OUT_y];
    ref_lines lines = lines_of(call, L2_NORMALIZE_IN_x);
    for (int64_t line = 0; line < lines.lines; line++) {
        int64_t start = line_start(lines, line);
        double norm = fmax(line_norm(x + start, lines), call->launch->attr.l2_normalize.eps);
        for (int64_t i = 0; i < lines.n; i++)
            y[start + i * lines.step] = x[start + i * lines.step] / norm;
    }
    return MCF_OK;
}

mcf_status ref_l2_normalize_grad(ref_call *call, mcf_error *err)
{
    ref_lines lines = lines_of(call, L2_NORMALIZE_GRAD_IN_x);
    double eps = call->launch->attr.l2_normalize.eps;
    for (int64_t line = 0; line < lines.lines; line++) {
        int64_t start = line_start(lines, line);
        const double *x = call->in[L2_NORMALIZE_GRAD_IN_x] + start, *dy = call->in[L2_NORMALIZE_GRAD_IN_dy] + start;
        double *dx = call->out[L2_NORMALIZE_GRAD_OUT_dx] + start, norm = line_norm(x, lines), along = 0;
        for (int64_t i = 0; i < lines.n * lines.step; i += lines.step)
            along += x[i] / norm * dy[i];
        for (int64_t i = 0; i < lines.n * lines.step; i += lines.step)
            dx[i] = norm <= eps ? dy[i] / eps : (dy[i] - x[i] / norm * along) / norm;
    }
    return MCF_OK;
}
