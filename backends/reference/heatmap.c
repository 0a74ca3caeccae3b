// heatmap_points, point_distance, heatmap_bce, pixel_cross_entropy and their gradients (downstream.md).
#include "backends/reference/reference.h"

#include <math.h>
#include <stdlib.h>

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

// --- heatmap_points: logits [B,h,w,N]

static const double least_mass = 1e-6;

mcf_status ref_heatmap_points(ref_call *call, mcf_error *err)
{
    const int64_t *dim = ref_in_dim(call, HEATMAP_POINTS_IN_logits), height = dim[1], width = dim[2], points = dim[3];
    for (int64_t b = 0; b < dim[0]; b++)
        for (int64_t n = 0; n < points; n++) {
            double mass = 0, sum[2] = {0};
            for (int64_t y = 0; y < height; y++)
                for (int64_t x = 0; x < width; x++) {
                    double s = sigmoid(call->in[HEATMAP_POINTS_IN_logits][((b * height + y) * width + x) * points + n]);
                    mass += s;
                    sum[0] += s * (double)x;
                    sum[1] += s * (double)y;
                }
            for (int i = 0; i < 2; i++)
                call->out[HEATMAP_POINTS_OUT_points][(b * points + n) * 2 + i] =
                    (sum[i] / fmax(mass, least_mass) + 0.5) / (double)(i ? height : width);
            call->out[HEATMAP_POINTS_OUT_mass][b * points + n] = mass;
        }
    return MCF_OK;
}

// ds = sum over both axes of dpoint/size (place - centroid)/mass; where the mass is held at its least, place/mass.
mcf_status ref_heatmap_points_grad(ref_call *call, mcf_error *err)
{
    const int64_t *dim = ref_in_dim(call, HEATMAP_POINTS_GRAD_IN_logits), height = dim[1], width = dim[2],
                  points = dim[3];
    for (int64_t i = 0, count = ref_in_count(call, HEATMAP_POINTS_GRAD_IN_logits); i < count; i++) {
        int64_t n = i % points, x = i / points % width, y = i / points / width % height;
        int64_t at = i / points / width / height * points + n;
        double mass = call->in[HEATMAP_POINTS_GRAD_IN_mass][at],
               s = sigmoid(call->in[HEATMAP_POINTS_GRAD_IN_logits][i]), ds = 0;
        for (int axis = 0; axis < 2; axis++) {
            double size = (double)(axis ? height : width), place = (double)(axis ? y : x);
            double centroid =
                mass > least_mass ? call->in[HEATMAP_POINTS_GRAD_IN_points][at * 2 + axis] * size - 0.5 : 0;
            ds += call->in[HEATMAP_POINTS_GRAD_IN_dpoints][at * 2 + axis] / size * (place - centroid) /
                  fmax(mass, least_mass);
        }
        call->out[HEATMAP_POINTS_GRAD_OUT_dlogits][i] = ds * s * (1 - s);
    }
    return MCF_OK;
}

// --- point_distance: a, b [B,N,2]

mcf_status ref_point_distance(ref_call *call, mcf_error *err)
{
    int64_t count = ref_in_count(call, POINT_DISTANCE_IN_a) / 2;
    for (int64_t i = 0; i < count; i++)
        call->out[POINT_DISTANCE_OUT_distance][0] +=
            hypot(call->in[POINT_DISTANCE_IN_a][2 * i] - call->in[POINT_DISTANCE_IN_b][2 * i],
                  call->in[POINT_DISTANCE_IN_a][2 * i + 1] - call->in[POINT_DISTANCE_IN_b][2 * i + 1]);
    call->out[POINT_DISTANCE_OUT_distance][0] /= (double)count;
    return MCF_OK;
}

mcf_status ref_point_distance_grad(ref_call *call, mcf_error *err)
{
    int64_t count = ref_in_count(call, POINT_DISTANCE_GRAD_IN_a) / 2;
    for (int64_t i = 0; i < count; i++) {
        double dx = call->in[POINT_DISTANCE_GRAD_IN_a][2 * i] - call->in[POINT_DISTANCE_GRAD_IN_b][2 * i],
               dy = call->in[POINT_DISTANCE_GRAD_IN_a][2 * i + 1] - call->in[POINT_DISTANCE_GRAD_IN_b][2 * i + 1];
        double distance = hypot(dx, dy),
               factor = distance > 0 ? call->in[POINT_DISTANCE_GRAD_IN_dloss][0] / ((double)count * distance) : 0;
        call->out[POINT_DISTANCE_GRAD_OUT_da][2 * i] = factor * dx;
        call->out[POINT_DISTANCE_GRAD_OUT_da][2 * i + 1] = factor * dy;
    }
    return MCF_OK;
}

// --- heatmap_bce: logits [B,S,S,N], points [B,N,2]

// The target of element i.
static double target(const ref_call *call, int64_t i)
{
    const int64_t *dim = ref_in_dim(call, HEATMAP_BCE_IN_logits), points = dim[3], size = dim[1];
    const double radius = call->launch->attr.heatmap.radius;
    int64_t n = i % points, b = i / points / size / size;
    double x = (double)(i / points % size), y = (double)(i / points / size % size);
    const double *p = call->in[HEATMAP_BCE_IN_points] + (b * points + n) * 2;
    double dx = x - ((double)size * p[0] - 0.5), dy = y - ((double)size * p[1] - 0.5), square = dx * dx + dy * dy;
    return square <= radius * radius ? exp(-8 * square / (radius * radius)) : 0;
}

mcf_status ref_heatmap_bce(ref_call *call, mcf_error *err)
{
    int64_t count = ref_in_count(call, HEATMAP_BCE_IN_logits);
    for (int64_t i = 0; i < count; i++) {
        double x = call->in[HEATMAP_BCE_IN_logits][i];
        call->out[HEATMAP_BCE_OUT_loss][0] += fmax(x, 0) - x * target(call, i) + log1p(exp(-fabs(x)));
    }
    call->out[HEATMAP_BCE_OUT_loss][0] /= (double)count;
    return MCF_OK;
}

mcf_status ref_heatmap_bce_grad(ref_call *call, mcf_error *err)
{
    int64_t count = ref_in_count(call, HEATMAP_BCE_GRAD_IN_logits);
    for (int64_t i = 0; i < count; i++)
        call->out[HEATMAP_BCE_GRAD_OUT_dlogits][i] =
            call->in[HEATMAP_BCE_GRAD_IN_dloss][0] / (double)count *
            (sigmoid(call->in[HEATMAP_BCE_GRAD_IN_logits][i]) - target(call, i));
    return MCF_OK;
}

// --- pixel_cross_entropy: logits [B,h,w,C], labels [B,H,W]

// The logits of pixel i of the labels.
static void pixel(const ref_call *call, int64_t i, double *logits)
{
    const int64_t *small = ref_in_dim(call, PIXEL_CROSS_ENTROPY_IN_logits),
                  *large = ref_in_dim(call, PIXEL_CROSS_ENTROPY_IN_labels);
    int64_t x = i % large[2], y = i / large[2] % large[1], b = i / large[2] / large[1];
    for (int64_t c = 0; c < small[3]; c++)
        logits[c] = ref_bilinear(call->in[PIXEL_CROSS_ENTROPY_IN_logits] + b * small[1] * small[2] * small[3], small[1],
                                 small[2], small[3], y, x, c, large[1], large[2]);
}

mcf_status ref_pixel_cross_entropy(ref_call *call, mcf_error *err)
{
    const int64_t classes = ref_in_dim(call, PIXEL_CROSS_ENTROPY_IN_logits)[3],
                  count = ref_in_count(call, PIXEL_CROSS_ENTROPY_IN_labels);
    double *logits = malloc((size_t)classes * sizeof *logits);
    mcf_status status = logits ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %lld logits", (long long)classes);
    for (int64_t i = 0; i < count && status == MCF_OK; i++) {
        status = ref_check_label(call->in[PIXEL_CROSS_ENTROPY_IN_labels][i], classes, i, err);
        if (status != MCF_OK)
            break;
        pixel(call, i, logits);
        call->out[PIXEL_CROSS_ENTROPY_OUT_lse][i] = ref_softmax_row(logits, classes, NULL);
        call->out[PIXEL_CROSS_ENTROPY_OUT_loss][0] +=
            (call->out[PIXEL_CROSS_ENTROPY_OUT_lse][i] - logits[(int64_t)call->in[PIXEL_CROSS_ENTROPY_IN_labels][i]]) /
            (double)count;
    }
    free(logits);
    return status;
}

mcf_status ref_pixel_cross_entropy_grad(ref_call *call, mcf_error *err)
{
    const int64_t *small = ref_in_dim(call, PIXEL_CROSS_ENTROPY_GRAD_IN_logits),
                  *large = ref_in_dim(call, PIXEL_CROSS_ENTROPY_GRAD_IN_labels), classes = small[3];
    const int64_t count = ref_in_count(call, PIXEL_CROSS_ENTROPY_GRAD_IN_labels);
    double *logits = malloc((size_t)classes * sizeof *logits);
    mcf_status status = logits ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory for %lld logits", (long long)classes);
    for (int64_t i = 0; i < count && status == MCF_OK; i++) {
        int64_t x = i % large[2], y = i / large[2] % large[1], b = i / large[2] / large[1];
        status = ref_check_label(call->in[PIXEL_CROSS_ENTROPY_GRAD_IN_labels][i], classes, i, err);
        if (status != MCF_OK)
            break;
        pixel(call, i, logits);
        for (int64_t c = 0; c < classes; c++)
            ref_bilinear_add(call->out[PIXEL_CROSS_ENTROPY_GRAD_OUT_dlogits] + b * small[1] * small[2] * classes,
                             small[1], small[2], classes, y, x, c, large[1], large[2],
                             call->in[PIXEL_CROSS_ENTROPY_GRAD_IN_dloss][0] / (double)count *
                                 (exp(logits[c] - call->in[PIXEL_CROSS_ENTROPY_GRAD_IN_lse][i]) -
                                  (c == (int64_t)call->in[PIXEL_CROSS_ENTROPY_GRAD_IN_labels][i] ? 1 : 0)));
    }
    free(logits);
    return status;
}
