// MTCNN's networks over pictures: P over canvases into which a picture's pyramid is packed, R and O over batches of
// windows.
#include "infer/detect_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static mcf_status no_memory(mcf_error *err)
{
    return mcf_fail(err, MCF_ERR_NOMEM, "no memory for a picture's candidates");
}

// --- P: packing

// A rectangle of a level's cells, and where its pixels lie on a canvas. Places are even, so that the cells' stride fits.
typedef struct {
    int level;
    int column, row, columns, rows; // cells
    int width, height;              // pixels of the level that they see
    int canvas, x, y;
} piece;

typedef struct {
    piece *items;
    int count, canvases, width;
    int *heights; // of each canvas
} packing;

static void free_packing(packing *p)
{
    free(p->items);
    free(p->heights);
    *p = (packing){0};
}

static int cells_of(int side)
{
    const int64_t cells = mcf_mtcnn_cells(side);
    return cells < 0 ? 0 : (int)cells;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

// Cuts the levels into pieces of at most `side` pixels. False: no memory.
static bool cut(packing *p, const mcf_level *levels, int count, int side)
{
    const int most = (side - MCF_MTCNN_CELL) / 2 + 1; // cells
    int total = 0;
    for (int i = 0; i < count; i++)
        total += (cells_of(levels[i].width) / most + 1) * (cells_of(levels[i].height) / most + 1);
    p->items = malloc((size_t)(total + 1) * sizeof *p->items);
    if (!p->items)
        return false;
    for (int i = 0; i < count; i++) {
        const int columns = cells_of(levels[i].width), rows = cells_of(levels[i].height);
        for (int row = 0; row < rows; row += most)
            for (int column = 0; column < columns; column += most) {
                const int c = least(most, columns - column), r = least(most, rows - row);
                p->items[p->count++] = (piece){.level = i,
                                               .column = column,
                                               .row = row,
                                               .columns = c,
                                               .rows = r,
                                               .width = least(levels[i].width - 2 * column, 2 * c + MCF_MTCNN_CELL - 2),
                                               .height = least(levels[i].height - 2 * row, 2 * r + MCF_MTCNN_CELL - 2)};
            }
    }
    return true;
}

static int even(int x)
{
    return (x + 1) & ~1;
}

// Puts the pieces, as they come, where the skyline of the current canvas is lowest; begins a canvas where one fits no
// more. `sky`: width/2 numbers. Returns the pixels of all canvases, rounded up as they will be.
static int64_t pack(packing *p, int width, int tallest, int *sky)
{
    enum { STEP = 32 };
    const int slots = width / 2;
    int64_t area = 0;
    int top = 0;
    p->canvases = 0;
    p->width = width;
    for (int i = 0; i < p->count; i++) {
        piece *one = &p->items[i];
        const int wide = even(one->width) / 2;
        int best = -1, best_y = tallest;
        for (int attempt = 0; attempt < 2 && best < 0; attempt++) {
            if (attempt || p->canvases == 0) { // a new canvas
                area += (int64_t)width * top;
                memset(sky, 0, (size_t)slots * sizeof *sky);
                top = 0;
                p->canvases++;
            }
            for (int x = 0; x + wide <= slots; x++) {
                int y = 0;
                for (int k = x; k < x + wide && y < best_y; k++)
                    y = sky[k] > y ? sky[k] : y;
                if (y < best_y && y + even(one->height) <= tallest) {
                    best = x;
                    best_y = y;
                }
            }
        }
        one->canvas = p->canvases - 1;
        one->x = 2 * best;
        one->y = best_y;
        const int bottom = best_y + even(one->height);
        for (int k = best; k < best + wide; k++)
            sky[k] = bottom;
        top = bottom > top ? (bottom + STEP - 1) / STEP * STEP : top;
        if (p->heights)
            p->heights[one->canvas] = top;
    }
    return area + (int64_t)width * top;
}

// Packs a picture's pyramid into canvases of one of a few widths, that which leaves least empty.
static mcf_status pack_pyramid(packing *p, const mcf_level *levels, int count, int canvas, mcf_error *err)
{
    *p = (packing){0};
    int *sky = malloc((size_t)canvas / 2 * sizeof *sky);
    const bool done = sky && cut(p, levels, count, canvas);
    int64_t best = INT64_MAX;
    int best_width = canvas, widest = 0;
    for (int i = 0; i < p->count; i++)
        widest = p->items[i].width > widest ? p->items[i].width : widest;
    for (int width = canvas / 4; done && width <= canvas; width += canvas / 8) {
        if (width < even(widest))
            continue;
        const int64_t area = pack(p, width, canvas, sky);
        if (area < best) {
            best = area;
            best_width = width;
        }
    }
    if (done) {
        p->heights = calloc((size_t)p->count + 1, sizeof *p->heights);
        if (p->heights)
            pack(p, best_width, canvas, sky);
    }
    free(sky);
    if (done && p->heights)
        return MCF_OK;
    free_packing(p);
    return no_memory(err);
}

// --- P: running

static mcf_status program_of_p(mcf_detector *d, int height, int width, mcf_program **program, mcf_error *err)
{
    char key[64];
    snprintf(key, sizeof key, "P %dx%d", height, width);
    *program = mcf_runtime_cached(d->device.runtime, key);
    if (*program)
        return MCF_OK;
    mcf_graph *graph;
    MCF_TRY(mcf_mtcnn_p_graph(&d->mtcnn, &d->store, height, width, &graph, err));
    MCF_TRY(mcf_program_create(d->device.runtime, graph, program, err));
    return mcf_runtime_cache(d->device.runtime, key, *program, err);
}

// The cells of one piece that may be faces.
static bool collect(const mcf_detector *d, const piece *one, const mcf_level *level, int columns, const float *out,
                    mcf_candidates *list)
{
    const float threshold = (float)d->options.threshold[0], scale = (float)level->scale;
    // what is clearly below needs no exponential
    const float clear = logf(threshold / (1 - threshold)) - 0.01f;
    for (int row = 0; row < one->rows; row++)
        for (int column = 0; column < one->columns; column++) {
            const float *cell =
                out + 6 * ((size_t)(one->y / 2 + row) * (size_t)columns + (size_t)(one->x / 2 + column));
            if (!(cell[1] - cell[0] >= clear))
                continue;
            mcf_candidate box = {.score = mcf_face_probability(cell[0], cell[1])};
            if (!(box.score >= threshold))
                continue;
            mcf_cell_box(one->column + column, one->row + row, scale, &box);
            memcpy(box.offset, cell + 2, sizeof box.offset);
            // where it came from, for the order: rows, then columns of its level
            box.points[0][0] = (float)(one->row + row);
            box.points[0][1] = (float)(one->column + column);
            if (!mcf_candidates_add(list, &box))
                return false;
        }
    return true;
}

static mcf_status run_canvas(mcf_detector *d, const mcf_image *image, const packing *p, int canvas,
                             const mcf_level *levels, mcf_candidates *of_levels, mcf_error *err)
{
    const float never = -1e20f; // far below any activation, far from overflow in the layers behind
    const int width = p->width, height = p->heights[canvas], columns = cells_of(width), rows = cells_of(height);
    const double begin = mcf_now();
    MCF_TRY(mcf_bytes_resize(&d->image, (size_t)width * (size_t)height * 3 * sizeof(float), err));
    MCF_TRY(mcf_bytes_resize(&d->edge, (size_t)(width - 2) * (size_t)(height - 2) * sizeof(float), err));
    MCF_TRY(mcf_bytes_resize(&d->out, (size_t)columns * (size_t)rows * 6 * sizeof(float), err));
    float *pixels = (float *)d->image.data, *edge = (float *)d->edge.data, *out = (float *)d->out.data;
    memset(pixels, 0, d->image.size);
    for (size_t i = 0; i < d->edge.size / sizeof *edge; i++)
        edge[i] = never;
    for (int i = 0; i < p->count; i++) {
        const piece *one = &p->items[i];
        if (one->canvas != canvas)
            continue;
        const mcf_level *level = &levels[one->level];
        const mcf_window whole = {.width = image->width, .height = image->height};
        const mcf_window part = {
            .left = 2 * one->column, .top = 2 * one->row, .width = one->width, .height = one->height};
        MCF_TRY(mcf_area_resize(&d->area, image, whole, level->width, level->height, part,
                                pixels + 3 * ((size_t)one->y * (size_t)width + (size_t)one->x), (size_t)width * 3,
                                err));
        for (int y = 0; y < one->height - 2; y++)
            memset(edge + (size_t)(one->y + y) * (size_t)(width - 2) + one->x, 0,
                   (size_t)(one->width - 2) * sizeof *edge);
        d->spent.cells += (int64_t)one->columns * one->rows;
    }
    d->spent.resize += mcf_now() - begin;
    mcf_program *program;
    MCF_TRY(program_of_p(d, height, width, &program, err));
    const double started = mcf_now();
    MCF_TRY(mcf_program_write(program, "image", pixels, d->image.size, err));
    MCF_TRY(mcf_program_write(program, "edge", edge, d->edge.size, err));
    MCF_TRY(mcf_program_run(program, false, false, err));
    MCF_TRY(mcf_program_read(program, "out", out, (int64_t)columns * rows * 6, err));
    d->spent.p += mcf_now() - started;
    for (int i = 0; i < p->count; i++)
        if (p->items[i].canvas == canvas &&
            !collect(d, &p->items[i], &levels[p->items[i].level], columns, out, &of_levels[p->items[i].level]))
            return no_memory(err);
    return MCF_OK;
}

static int by_place(const void *a, const void *b)
{
    const mcf_candidate *x = a, *y = b;
    for (int i = 0; i < 2; i++)
        if (x->points[0][i] != y->points[0][i])
            return x->points[0][i] < y->points[0][i] ? -1 : 1;
    return 0;
}

mcf_status mcf_detect_p(mcf_detector *d, mcf_detection *picture, mcf_error *err)
{
    mcf_level levels[MCF_PYRAMID_MAX];
    mcf_candidates of_levels[MCF_PYRAMID_MAX] = {0};
    const int count = mcf_pyramid(picture->image->width, picture->image->height, d->options.min_face, levels);
    if (count == 0)
        return MCF_OK;
    packing p;
    MCF_TRY(pack_pyramid(&p, levels, count, d->canvas, err));
    mcf_status status = MCF_OK;
    for (int canvas = 0; canvas < p.canvases && status == MCF_OK; canvas++)
        status = run_canvas(d, picture->image, &p, canvas, levels, of_levels, err);
    free_packing(&p);
    for (int i = 0; i < count; i++) {
        mcf_candidates *level = &of_levels[i];
        if (status == MCF_OK) {
            if (level->count) // qsort takes no NULL
                qsort(level->items, (size_t)level->count, sizeof *level->items, by_place);
            bool done = mcf_suppress(level, 0, MCF_OVERLAP_UNION, 0.5f);
            for (int k = 0; k < level->count && done; k++)
                done = mcf_candidates_add(&picture->boxes, &level->items[k]);
            if (!done)
                status = no_memory(err);
        }
        mcf_candidates_free(level);
    }
    MCF_TRY(status);
    if (!mcf_suppress(&picture->boxes, 0, MCF_OVERLAP_UNION, 0.7f))
        return no_memory(err);
    for (int i = 0; i < picture->boxes.count; i++) {
        mcf_move_box(&picture->boxes.items[i], 0);
        mcf_square_box(&picture->boxes.items[i]);
    }
    return MCF_OK;
}

// --- R and O

static mcf_status program_of_windows(mcf_detector *d, bool last, mcf_program **program, mcf_error *err)
{
    const char *key = last ? "O" : "R";
    *program = mcf_runtime_cached(d->device.runtime, key);
    if (*program)
        return MCF_OK;
    mcf_graph *graph;
    if (last)
        MCF_TRY(mcf_mtcnn_o_graph(&d->mtcnn, &d->store, d->o_batch, &graph, err));
    else
        MCF_TRY(mcf_mtcnn_r_graph(&d->mtcnn, &d->store, d->r_batch, &graph, err));
    MCF_TRY(mcf_program_create(d->device.runtime, graph, program, err));
    return mcf_runtime_cache(d->device.runtime, key, *program, err);
}

// Windows waiting for a run, and whose they are.
typedef struct {
    mcf_detector *detector;
    bool last;
    int side, batch, outputs, waiting;
    float *pixels, *out;
    mcf_candidate **owners; // [batch]
} window_batch;

static mcf_status flush(window_batch *b, mcf_error *err)
{
    mcf_detector *d = b->detector;
    if (b->waiting == 0)
        return MCF_OK;
    mcf_program *program;
    MCF_TRY(program_of_windows(d, b->last, &program, err));
    const double begin = mcf_now();
    MCF_TRY(mcf_program_write(program, "image", b->pixels, d->image.size, err));
    MCF_TRY(mcf_program_run(program, false, false, err));
    MCF_TRY(mcf_program_read(program, "out", b->out, (int64_t)b->batch * b->outputs, err));
    *(b->last ? &d->spent.o : &d->spent.r) += mcf_now() - begin;
    *(b->last ? &d->spent.o_windows : &d->spent.r_windows) += b->waiting;
    for (int i = 0; i < b->waiting; i++) {
        const float *out = b->out + (size_t)i * (size_t)b->outputs;
        mcf_candidate *box = b->owners[i];
        box->score = mcf_face_probability(out[0], out[1]);
        memcpy(box->offset, out + 2, sizeof box->offset);
        if (!b->last)
            continue;
        const float width = box->x2 - box->x1 + 1, height = box->y2 - box->y1 + 1;
        for (int k = 0; k < 5; k++) {
            box->points[k][0] = width * out[6 + k] + box->x1 - 1;
            box->points[k][1] = height * out[11 + k] + box->y1 - 1;
        }
    }
    b->waiting = 0;
    return MCF_OK;
}

static mcf_status add_window(window_batch *b, const mcf_image *image, mcf_candidate *box, mcf_error *err)
{
    mcf_window window;
    if (!mcf_box_window(box, image->width, image->height, &window)) {
        box->score = -1; // no pixels: it goes
        return MCF_OK;
    }
    const size_t row = (size_t)b->side * 3;
    const double begin = mcf_now();
    MCF_TRY(mcf_area_resize(&b->detector->area, image, window, b->side, b->side,
                            (mcf_window){.width = b->side, .height = b->side},
                            b->pixels + (size_t)b->waiting * (size_t)b->side * row, row, err));
    b->detector->spent.resize += mcf_now() - begin;
    b->owners[b->waiting++] = box;
    return b->waiting == b->batch ? flush(b, err) : MCF_OK;
}

static void keep_above(mcf_candidates *boxes, float threshold)
{
    int kept = 0;
    for (int i = 0; i < boxes->count; i++)
        if (boxes->items[i].score > threshold)
            boxes->items[kept++] = boxes->items[i];
    boxes->count = kept;
}

mcf_status mcf_detect_windows(mcf_detector *d, mcf_detection *pictures, int count, bool last, double threshold,
                              mcf_error *err)
{
    window_batch b = {.detector = d,
                      .last = last,
                      .side = last ? MCF_MTCNN_O_SIDE : MCF_MTCNN_R_SIDE,
                      .batch = last ? d->o_batch : d->r_batch,
                      .outputs = last ? MCF_MTCNN_O_OUT : 6};
    const size_t size = (size_t)b.batch * (size_t)b.side * (size_t)b.side * 3 * sizeof(float);
    MCF_TRY(mcf_bytes_resize(&d->image, size, err));
    MCF_TRY(mcf_bytes_resize(&d->out, (size_t)b.batch * (size_t)b.outputs * sizeof(float), err));
    b.pixels = (float *)d->image.data;
    b.out = (float *)d->out.data;
    memset(b.pixels, 0, size);
    b.owners = malloc((size_t)b.batch * sizeof *b.owners);
    mcf_status status = b.owners ? MCF_OK : no_memory(err);
    for (int i = 0; i < count && status == MCF_OK; i++)
        for (int k = 0; k < pictures[i].boxes.count && status == MCF_OK; k++)
            status = add_window(&b, pictures[i].image, &pictures[i].boxes.items[k], err);
    if (status == MCF_OK)
        status = flush(&b, err);
    free(b.owners);
    for (int i = 0; i < count && status == MCF_OK; i++)
        keep_above(&pictures[i].boxes, (float)threshold);
    return status;
}
