#include "infer/detect_boxes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool mcf_candidates_add(mcf_candidates *list, const mcf_candidate *one)
{
    if (list->count == list->room) {
        const int room = list->room ? 2 * list->room : 64;
        mcf_candidate *grown = realloc(list->items, (size_t)room * sizeof *grown);
        if (!grown)
            return false;
        list->items = grown;
        list->room = room;
    }
    list->items[list->count++] = *one;
    return true;
}

void mcf_candidates_free(mcf_candidates *list)
{
    free(list->items);
    *list = (mcf_candidates){0};
}

float mcf_face_probability(float logit_other, float logit_face)
{
    const float most = logit_other > logit_face ? logit_other : logit_face;
    const float other = expf(logit_other - most), face = expf(logit_face - most);
    const float sum = other + face;
    return face / sum;
}

void mcf_cell_box(int column, int row, float scale, mcf_candidate *box)
{
    box->x1 = floorf((float)(2 * column + 1) / scale);
    box->y1 = floorf((float)(2 * row + 1) / scale);
    box->x2 = floorf((float)(2 * column + 12) / scale);
    box->y2 = floorf((float)(2 * row + 12) / scale);
}

static float overlap_of(const mcf_candidate *a, const mcf_candidate *b, mcf_overlap kind)
{
    const float extra = kind == MCF_OVERLAP_LEAST ? 1 : 0;
    const float left = a->x1 > b->x1 ? a->x1 : b->x1, right = a->x2 < b->x2 ? a->x2 : b->x2;
    const float top = a->y1 > b->y1 ? a->y1 : b->y1, bottom = a->y2 < b->y2 ? a->y2 : b->y2;
    const float width = right - left + extra, height = bottom - top + extra;
    const float inter = (width > 0 ? width : 0) * (height > 0 ? height : 0);
    const float area_a = (a->x2 - a->x1 + extra) * (a->y2 - a->y1 + extra);
    const float area_b = (b->x2 - b->x1 + extra) * (b->y2 - b->y1 + extra);
    if (kind == MCF_OVERLAP_LEAST)
        return inter / (area_a < area_b ? area_a : area_b);
    return inter / (area_a + area_b - inter);
}

typedef struct {
    float score;
    int place;
    bool gone;
} ranked;

static int earlier_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->place - y->place;
}

static int later_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return y->place - x->place;
}

bool mcf_suppress(mcf_candidates *list, int from, mcf_overlap kind, float limit)
{
    const int count = list->count - from;
    if (count < 2)
        return true;
    ranked *order = malloc((size_t)count * sizeof *order);
    mcf_candidate *kept = malloc((size_t)count * sizeof *kept);
    if (order && kept) {
        for (int i = 0; i < count; i++)
            order[i] = (ranked){.score = list->items[from + i].score, .place = from + i};
        qsort(order, (size_t)count, sizeof *order, kind == MCF_OVERLAP_LEAST ? later_first : earlier_first);
        int n = 0;
        for (int i = 0; i < count; i++) {
            if (order[i].gone)
                continue;
            const mcf_candidate *best = &list->items[order[i].place];
            kept[n++] = *best;
            for (int j = i + 1; j < count; j++)
                if (!order[j].gone && overlap_of(best, &list->items[order[j].place], kind) > limit)
                    order[j].gone = true;
        }
        memcpy(list->items + from, kept, (size_t)n * sizeof *kept);
        list->count = from + n;
    }
    const bool done = order && kept;
    free(order);
    free(kept);
    return done;
}

void mcf_move_box(mcf_candidate *box, float extra)
{
    const float width = box->x2 - box->x1 + extra, height = box->y2 - box->y1 + extra;
    box->x1 = box->x1 + box->offset[0] * width;
    box->y1 = box->y1 + box->offset[1] * height;
    box->x2 = box->x2 + box->offset[2] * width;
    box->y2 = box->y2 + box->offset[3] * height;
}

void mcf_square_box(mcf_candidate *box)
{
    const float width = box->x2 - box->x1, height = box->y2 - box->y1, side = width > height ? width : height;
    box->x1 = box->x1 + width * 0.5f - side * 0.5f;
    box->y1 = box->y1 + height * 0.5f - side * 0.5f;
    box->x2 = box->x1 + side;
    box->y2 = box->y1 + side;
}

// Truncation toward zero that is defined for every float.
static int whole(float x)
{
    return x >= 1e9f ? 1000000000 : x <= -1e9f ? -1000000000 : x == x ? (int)x : 0;
}

bool mcf_box_window(const mcf_candidate *box, int width, int height, mcf_window *window)
{
    int x1 = whole(box->x1), y1 = whole(box->y1), x2 = whole(box->x2), y2 = whole(box->y2);
    x1 = x1 < 1 ? 1 : x1;
    y1 = y1 < 1 ? 1 : y1;
    x2 = x2 > width ? width : x2;
    y2 = y2 > height ? height : y2;
    *window = (mcf_window){.left = x1 - 1, .top = y1 - 1, .width = x2 - x1 + 1, .height = y2 - y1 + 1};
    return window->width > 0 && window->height > 0;
}
