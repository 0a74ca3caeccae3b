#include "model/position.h"

#include <math.h>
#include <string.h>

void mcf_position_table(float *table, int64_t dim, int64_t rows, int64_t columns)
{
    int64_t quarter = dim / 4;
    memset(table, 0, (size_t)dim * sizeof(float));
    for (int64_t p = 0; p < rows * columns; p++) {
        float *row = table + (1 + p) * dim;
        double place[2] = {(double)(p % columns), (double)(p / columns)};
        for (int half = 0; half < 2; half++) {
            for (int64_t i = 0; i < quarter; i++) {
                double angle = place[half] * pow(10000.0, -2.0 * (double)i / ((double)dim / 2));
                row[half * 2 * quarter + i] = (float)sin(angle);
                row[half * 2 * quarter + quarter + i] = (float)cos(angle);
            }
        }
    }
}

// Keys' (1981) cubic convolution at distances 1+t, t, 1-t, 2-t.
static void cubic_weights(double t, double w[4])
{
    const double a = -0.75;
    for (int k = 0; k < 4; k++) {
        double x = fabs(t + 1 - k);
        w[k] = x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    }
}

static int64_t clamp(int64_t x, int64_t last)
{
    return x < 0 ? 0 : x > last ? last : x;
}

// Where cell `i` of `to` cells lies among `from` cells: the four cells around it and their weights.
static void taps(int64_t i, int64_t to, int64_t from, int64_t at[4], double w[4])
{
    double centre = ((double)i + 0.5) * (double)from / (double)to - 0.5;
    double floor_centre = floor(centre);
    cubic_weights(centre - floor_centre, w);
    for (int k = 0; k < 4; k++)
        at[k] = clamp((int64_t)floor_centre - 1 + k, from - 1);
}

void mcf_position_resize(const float *from, int64_t from_rows, int64_t from_columns, float *to, int64_t to_rows,
                         int64_t to_columns, int64_t dim)
{
    memcpy(to, from, (size_t)dim * sizeof(float));
    from += dim;
    to += dim;
    if (from_rows == to_rows && from_columns == to_columns) {
        memcpy(to, from, (size_t)(to_rows * to_columns * dim) * sizeof(float));
        return;
    }
    for (int64_t y = 0; y < to_rows; y++) {
        int64_t rows[4], columns[4];
        double wy[4], wx[4];
        taps(y, to_rows, from_rows, rows, wy);
        for (int64_t x = 0; x < to_columns; x++) {
            taps(x, to_columns, from_columns, columns, wx);
            float *out = to + (y * to_columns + x) * dim;
            for (int64_t d = 0; d < dim; d++) {
                double sum = 0;
                for (int j = 0; j < 4; j++)
                    for (int k = 0; k < 4; k++)
                        sum += wy[j] * wx[k] * from[(rows[j] * from_columns + columns[k]) * dim + d];
                out[d] = (float)sum;
            }
        }
    }
}
