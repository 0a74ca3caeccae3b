// Shape rules of operations on images [B,H,W,C], heatmaps and points.
#include "ops/shape_images.h"

#include "ops/rules.h"

// Sides, strides and borders beyond this are mistakes, and sums of a few of them do not overflow.
#define MOST ((int64_t)1 << 40)

typedef struct {
    char text[160];
} shown;

static shown show(const mcf_shape *shape)
{
    shown s;
    mcf_shape_print(shape, s.text, sizeof s.text);
    return s;
}
#define SHOW(i) show(&l->in[i].shape).text
#define NAME(i) mcf_op_describe(l->op)->in[i]

static mcf_status want_shape(const mcf_launch *l, int i, mcf_shape shape, mcf_error *err)
{
    if (!mcf_shape_equal(&l->in[i].shape, &shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "%s must be %s, is %s", NAME(i), show(&shape).text, SHOW(i));
    return MCF_OK;
}

static mcf_status want_same(const mcf_launch *l, int i, int j, mcf_error *err)
{
    if (!mcf_shape_equal(&l->in[i].shape, &l->in[j].shape))
        return mcf_fail(err, MCF_ERR_SHAPE, "shapes of %s and %s differ: %s and %s", NAME(i), NAME(j), SHOW(i),
                        SHOW(j));
    return MCF_OK;
}

// [B,H,W,C] with at least one pixel and channel; B may be 0.
static mcf_status want_images(const mcf_launch *l, int i, mcf_error *err)
{
    const mcf_shape *x = &l->in[i].shape;
    if (x->rank != 4 || x->dim[1] < 1 || x->dim[2] < 1 || x->dim[3] < 1 || x->dim[1] > MOST || x->dim[2] > MOST)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s must be [B, H, W, C] with H, W and C at least 1, is %s", NAME(i),
                        SHOW(i));
    return MCF_OK;
}

static mcf_status want_batch(const mcf_launch *l, int i, mcf_error *err)
{
    MCF_TRY(want_images(l, i, err));
    return l->in[i].shape.dim[0] > 0 ? MCF_OK : mcf_fail(err, MCF_ERR_SHAPE, "a mean over no image: %s", SHOW(i));
}

static mcf_status want_size(int64_t height, int64_t width, mcf_error *err)
{
    if (height < 1 || width < 1 || height > MOST || width > MOST)
        return mcf_fail(err, MCF_ERR_SHAPE, "an image cannot be %lld x %lld", (long long)height, (long long)width);
    return MCF_OK;
}

static mcf_status out_like(mcf_launch *l, int i)
{
    l->out[0].shape = l->in[i].shape;
    return MCF_OK;
}

// --- convolution

// The output's size for images and kernels (height, width), or a refusal.
static mcf_status convolved(const mcf_launch *l, const int64_t *image, const int64_t *kernel, int64_t size[2],
                            mcf_error *err)
{
    const int64_t stride = l->attr.conv2d.stride, pad = l->attr.conv2d.pad;
    if (stride < 1 || stride > MOST || pad < 0 || pad > MOST)
        return mcf_fail(err, MCF_ERR_SHAPE, "a stride of %lld with a border of %lld", (long long)stride,
                        (long long)pad);
    MCF_TRY(want_size(kernel[0], kernel[1], err));
    for (int i = 0; i < 2; i++) {
        if (pad >= kernel[i])
            return mcf_fail(err, MCF_ERR_SHAPE, "a border of %lld is wider than the kernel %lld x %lld needs",
                            (long long)pad, (long long)kernel[0], (long long)kernel[1]);
        if (image[i] + 2 * pad < kernel[i])
            return mcf_fail(err, MCF_ERR_SHAPE,
                            "a kernel of %lld x %lld is larger than the image, %lld x %lld with a border of %lld",
                            (long long)kernel[0], (long long)kernel[1], (long long)image[0], (long long)image[1],
                            (long long)pad);
        size[i] = (image[i] + 2 * pad - kernel[i]) / stride + 1;
    }
    return MCF_OK;
}

// channels -> outputs in groups; weight [O, C/groups, kh, kw] at input i.
static mcf_status want_weight(const mcf_launch *l, int i, mcf_error *err)
{
    const mcf_shape *w = &l->in[i].shape;
    const int64_t groups = l->attr.conv2d.groups;
    if (w->rank != 4 || w->dim[0] < 1 || w->dim[1] < 1 || w->dim[1] > MOST)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s must be [O, C/groups, kh, kw], is %s", NAME(i), SHOW(i));
    if (groups < 1 || groups > MOST || w->dim[0] % groups)
        return mcf_fail(err, MCF_ERR_SHAPE, "the weight %s does not make %lld groups", SHOW(i), (long long)groups);
    return MCF_OK;
}

mcf_status shape_conv2d(mcf_launch *l, int world, mcf_error *err)
{
    const int64_t *x = l->in[CONV2D_IN_x].shape.dim, *w = l->in[CONV2D_IN_weight].shape.dim;
    int64_t size[2];
    MCF_TRY(want_images(l, CONV2D_IN_x, err));
    MCF_TRY(want_weight(l, CONV2D_IN_weight, err));
    if (x[3] % l->attr.conv2d.groups || x[3] / l->attr.conv2d.groups != w[1])
        return mcf_fail(err, MCF_ERR_SHAPE, "images %s do not fit the weight %s in %lld groups", SHOW(CONV2D_IN_x),
                        SHOW(CONV2D_IN_weight), (long long)l->attr.conv2d.groups);
    if (mcf_input_is_present(l, CONV2D_IN_bias))
        MCF_TRY(want_shape(l, CONV2D_IN_bias, MCF_SHAPE(w[0]), err));
    MCF_TRY(convolved(l, x + 1, w + 2, size, err));
    l->out[CONV2D_OUT_y].shape = MCF_SHAPE(x[0], size[0], size[1], w[0]);
    return MCF_OK;
}

mcf_status shape_conv2d_grad_x(mcf_launch *l, int world, mcf_error *err)
{
    const int64_t image[2] = {l->attr.conv2d.height, l->attr.conv2d.width},
                  *w = l->in[CONV2D_GRAD_X_IN_weight].shape.dim;
    int64_t size[2];
    MCF_TRY(want_images(l, CONV2D_GRAD_X_IN_dy, err));
    MCF_TRY(want_weight(l, CONV2D_GRAD_X_IN_weight, err));
    MCF_TRY(want_size(image[0], image[1], err));
    MCF_TRY(convolved(l, image, w + 2, size, err));
    MCF_TRY(want_shape(l, CONV2D_GRAD_X_IN_dy,
                       MCF_SHAPE(l->in[CONV2D_GRAD_X_IN_dy].shape.dim[0], size[0], size[1], w[0]), err));
    l->out[CONV2D_GRAD_X_OUT_dx].shape = MCF_SHAPE(l->in[CONV2D_GRAD_X_IN_dy].shape.dim[0], image[0], image[1], w[1]);
    return __builtin_mul_overflow(w[1], l->attr.conv2d.groups, &l->out[CONV2D_GRAD_X_OUT_dx].shape.dim[3])
               ? mcf_fail(err, MCF_ERR_SHAPE, "sizes overflow 64 bits")
               : MCF_OK;
}

mcf_status shape_conv2d_grad_weight(mcf_launch *l, int world, mcf_error *err)
{
    const int64_t kernel[2] = {l->attr.conv2d.height, l->attr.conv2d.width}, groups = l->attr.conv2d.groups;
    const int64_t *x = l->in[CONV2D_GRAD_WEIGHT_IN_x].shape.dim, *dy = l->in[CONV2D_GRAD_WEIGHT_IN_dy].shape.dim;
    int64_t size[2];
    MCF_TRY(want_images(l, CONV2D_GRAD_WEIGHT_IN_x, err));
    MCF_TRY(want_images(l, CONV2D_GRAD_WEIGHT_IN_dy, err));
    MCF_TRY(convolved(l, x + 1, kernel, size, err));
    MCF_TRY(want_shape(l, CONV2D_GRAD_WEIGHT_IN_dy, MCF_SHAPE(x[0], size[0], size[1], dy[3]), err));
    if (groups < 1 || x[3] % groups || dy[3] % groups)
        return mcf_fail(err, MCF_ERR_SHAPE, "%s and %s do not make %lld groups", SHOW(CONV2D_GRAD_WEIGHT_IN_x),
                        SHOW(CONV2D_GRAD_WEIGHT_IN_dy), (long long)groups);
    l->out[CONV2D_GRAD_WEIGHT_OUT_dweight].shape = MCF_SHAPE(dy[3], x[3] / groups, kernel[0], kernel[1]);
    return MCF_OK;
}

// --- pools and resizing

mcf_status shape_max_pool(mcf_launch *l, int world, mcf_error *err)
{
    const int64_t kernel = l->attr.pool.kernel, stride = l->attr.pool.stride, *x = l->in[MAX_POOL_IN_x].shape.dim;
    MCF_TRY(want_images(l, MAX_POOL_IN_x, err));
    if (kernel < 1 || stride < 1 || stride > MOST || (l->attr.pool.ceil != 0 && l->attr.pool.ceil != 1))
        return mcf_fail(err, MCF_ERR_SHAPE, "a pool of %lld with stride %lld and ceil %lld", (long long)kernel,
                        (long long)stride, (long long)l->attr.pool.ceil);
    out_like(l, MAX_POOL_IN_x);
    for (int i = 1; i < 3; i++) {
        if (kernel > x[i])
            return mcf_fail(err, MCF_ERR_SHAPE, "a pool of %lld x %lld is larger than the image %s", (long long)kernel,
                            (long long)kernel, SHOW(MAX_POOL_IN_x));
        int64_t steps = (x[i] - kernel + (l->attr.pool.ceil ? stride - 1 : 0)) / stride;
        // A window that would begin behind the image is left out.
        l->out[MAX_POOL_OUT_y].shape.dim[i] = steps + (steps * stride < x[i]);
    }
    return MCF_OK;
}

mcf_status shape_max_pool_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(shape_max_pool(l, world, err));
    MCF_TRY(want_shape(l, MAX_POOL_GRAD_IN_dy, l->out[MAX_POOL_GRAD_OUT_dx].shape, err));
    return out_like(l, MAX_POOL_GRAD_IN_x);
}

static mcf_status resized(mcf_launch *l, int i, mcf_error *err)
{
    MCF_TRY(want_images(l, i, err));
    MCF_TRY(want_size(l->attr.resize.height, l->attr.resize.width, err));
    const int64_t *from = l->in[i].shape.dim;
    l->out[0].shape = MCF_SHAPE(from[0], l->attr.resize.height, l->attr.resize.width, from[3]);
    return MCF_OK;
}

mcf_status shape_adaptive_avg_pool(mcf_launch *l, int world, mcf_error *err)
{
    return resized(l, ADAPTIVE_AVG_POOL_IN_x, err);
}
mcf_status shape_adaptive_avg_pool_grad(mcf_launch *l, int world, mcf_error *err)
{
    return resized(l, ADAPTIVE_AVG_POOL_GRAD_IN_dy, err);
}
mcf_status shape_resize_bilinear(mcf_launch *l, int world, mcf_error *err)
{
    return resized(l, RESIZE_BILINEAR_IN_x, err);
}
mcf_status shape_resize_bilinear_grad(mcf_launch *l, int world, mcf_error *err)
{
    return resized(l, RESIZE_BILINEAR_GRAD_IN_dy, err);
}

// --- PReLU

mcf_status shape_prelu(mcf_launch *l, int world, mcf_error *err)
{
    if (l->in[PRELU_IN_x].shape.rank != 2 || l->in[PRELU_IN_x].shape.dim[1] < 1)
        return mcf_fail(err, MCF_ERR_SHAPE, "x must be [R, C] with C at least 1, is %s", SHOW(PRELU_IN_x));
    MCF_TRY(want_shape(l, PRELU_IN_slope, MCF_SHAPE(l->in[PRELU_IN_x].shape.dim[1]), err));
    return out_like(l, PRELU_IN_x);
}

mcf_status shape_prelu_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(shape_prelu(l, world, err));
    l->out[PRELU_GRAD_OUT_dslope].shape = l->in[PRELU_GRAD_IN_slope].shape;
    return want_same(l, PRELU_GRAD_IN_x, PRELU_GRAD_IN_dy, err);
}

// --- heatmaps and points

mcf_status shape_heatmap_points(mcf_launch *l, int world, mcf_error *err)
{
    const int64_t *x = l->in[HEATMAP_POINTS_IN_logits].shape.dim;
    MCF_TRY(want_images(l, HEATMAP_POINTS_IN_logits, err));
    l->out[HEATMAP_POINTS_OUT_points].shape = MCF_SHAPE(x[0], x[3], 2);
    l->out[HEATMAP_POINTS_OUT_mass].shape = MCF_SHAPE(x[0], x[3]);
    return MCF_OK;
}

mcf_status shape_heatmap_points_grad(mcf_launch *l, int world, mcf_error *err)
{
    const int64_t *x = l->in[HEATMAP_POINTS_GRAD_IN_logits].shape.dim;
    MCF_TRY(want_images(l, HEATMAP_POINTS_GRAD_IN_logits, err));
    MCF_TRY(want_shape(l, HEATMAP_POINTS_GRAD_IN_points, MCF_SHAPE(x[0], x[3], 2), err));
    MCF_TRY(want_shape(l, HEATMAP_POINTS_GRAD_IN_mass, MCF_SHAPE(x[0], x[3]), err));
    MCF_TRY(want_shape(l, HEATMAP_POINTS_GRAD_IN_dpoints, MCF_SHAPE(x[0], x[3], 2), err));
    return out_like(l, HEATMAP_POINTS_GRAD_IN_logits);
}

static mcf_status want_points(const mcf_launch *l, mcf_error *err)
{
    const mcf_shape *a = &l->in[POINT_DISTANCE_IN_a].shape;
    if (a->rank != 3 || a->dim[0] < 1 || a->dim[1] < 1 || a->dim[2] != 2)
        return mcf_fail(err, MCF_ERR_SHAPE, "a must be points [B, N, 2] with B and N at least 1, is %s",
                        SHOW(POINT_DISTANCE_IN_a));
    return want_same(l, POINT_DISTANCE_IN_a, POINT_DISTANCE_IN_b, err);
}

mcf_status shape_point_distance(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_points(l, err));
    l->out[POINT_DISTANCE_OUT_distance].shape = MCF_SHAPE(1);
    return MCF_OK;
}

mcf_status shape_point_distance_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_points(l, err));
    MCF_TRY(want_shape(l, POINT_DISTANCE_GRAD_IN_dloss, MCF_SHAPE(1), err));
    return out_like(l, POINT_DISTANCE_GRAD_IN_a);
}

static mcf_status want_heatmaps(const mcf_launch *l, mcf_error *err)
{
    const int64_t *x = l->in[HEATMAP_BCE_IN_logits].shape.dim;
    MCF_TRY(want_batch(l, HEATMAP_BCE_IN_logits, err));
    if (x[1] != x[2])
        return mcf_fail(err, MCF_ERR_SHAPE, "logits must be square maps [B, S, S, N], is %s",
                        SHOW(HEATMAP_BCE_IN_logits));
    if (!(l->attr.heatmap.radius > 0) || l->attr.heatmap.radius > (double)MOST)
        return mcf_fail(err, MCF_ERR_SHAPE, "a radius of %g pixels", l->attr.heatmap.radius);
    return want_shape(l, HEATMAP_BCE_IN_points, MCF_SHAPE(x[0], x[3], 2), err);
}

mcf_status shape_heatmap_bce(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_heatmaps(l, err));
    l->out[HEATMAP_BCE_OUT_loss].shape = MCF_SHAPE(1);
    return MCF_OK;
}

mcf_status shape_heatmap_bce_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_heatmaps(l, err));
    MCF_TRY(want_shape(l, HEATMAP_BCE_GRAD_IN_dloss, MCF_SHAPE(1), err));
    return out_like(l, HEATMAP_BCE_GRAD_IN_logits);
}

// --- pixels

static mcf_status want_labels(const mcf_launch *l, mcf_error *err)
{
    const mcf_shape *labels = &l->in[PIXEL_CROSS_ENTROPY_IN_labels].shape;
    MCF_TRY(want_batch(l, PIXEL_CROSS_ENTROPY_IN_logits, err));
    if (labels->rank != 3 || labels->dim[0] != l->in[PIXEL_CROSS_ENTROPY_IN_logits].shape.dim[0])
        return mcf_fail(err, MCF_ERR_SHAPE, "labels must be [B, H, W] for logits %s, are %s",
                        SHOW(PIXEL_CROSS_ENTROPY_IN_logits), SHOW(PIXEL_CROSS_ENTROPY_IN_labels));
    return want_size(labels->dim[1], labels->dim[2], err);
}

mcf_status shape_pixel_cross_entropy(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_labels(l, err));
    l->out[PIXEL_CROSS_ENTROPY_OUT_loss].shape = MCF_SHAPE(1);
    l->out[PIXEL_CROSS_ENTROPY_OUT_lse].shape = l->in[PIXEL_CROSS_ENTROPY_IN_labels].shape;
    return MCF_OK;
}

mcf_status shape_pixel_cross_entropy_grad(mcf_launch *l, int world, mcf_error *err)
{
    MCF_TRY(want_labels(l, err));
    MCF_TRY(want_same(l, PIXEL_CROSS_ENTROPY_GRAD_IN_labels, PIXEL_CROSS_ENTROPY_GRAD_IN_lse, err));
    MCF_TRY(want_shape(l, PIXEL_CROSS_ENTROPY_GRAD_IN_dloss, MCF_SHAPE(1), err));
    return out_like(l, PIXEL_CROSS_ENTROPY_GRAD_IN_logits);
}
