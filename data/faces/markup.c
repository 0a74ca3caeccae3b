#include "data/faces/markup.h"

#include <math.h>
#include <string.h>

// Mirrored points; every row twice is the identity. Facts of the sets' markup.
static const int mirror_5[] = {1, 0, 2, 4, 3};
static const int mirror_19[] = {5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6, 14, 13, 12, 17, 16, 15, 18};
static const int mirror_68[] = {16, 15, 14, 13, 12, 11, 10, 9,  8,  7,  6,  5,  4,  3,  2,  1,  0,
                                26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 27, 28, 29, 30, 35, 34, 33,
                                32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52,
                                51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65};
static const int mirror_98[] = {32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13,
                                12, 11, 10, 9,  8,  7,  6,  5,  4,  3,  2,  1,  0,  46, 45, 44, 43, 42, 50, 49,
                                48, 47, 37, 36, 35, 34, 33, 41, 40, 39, 38, 51, 52, 53, 54, 59, 58, 57, 56, 55,
                                72, 71, 70, 69, 68, 75, 74, 73, 64, 63, 62, 61, 60, 67, 66, 65, 82, 81, 80, 79,
                                78, 77, 76, 87, 86, 85, 84, 83, 92, 91, 90, 89, 88, 95, 94, 93, 97, 96};
static const int mirror_106[] = {
    32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17,  16, 15, 14, 13, 12,  11,  10,  9,   8,  7,  6,
    5,  4,  3,  2,  1,  0,  46, 45, 44, 43, 42, 50, 49, 48, 47, 37,  36, 35, 34, 33, 41,  40,  39,  38,  51, 52, 53,
    54, 65, 64, 63, 62, 61, 60, 59, 58, 57, 56, 55, 79, 78, 77, 76,  75, 82, 81, 80, 83,  70,  69,  68,  67, 66, 73,
    72, 71, 74, 90, 89, 88, 87, 86, 85, 84, 95, 94, 93, 92, 91, 100, 99, 98, 97, 96, 103, 102, 101, 105, 104};

const int *mcf_face_mirror(int points)
{
    switch (points) {
    case 5:
        return mirror_5;
    case 19:
        return mirror_19;
    case 68:
        return mirror_68;
    case 98:
        return mirror_98;
    case 106:
        return mirror_106;
    default:
        return NULL;
    }
}

bool mcf_face_mirror_classes(const mcf_face_layout *layout, int classes, uint8_t *mirror)
{
    static const uint8_t lapa[][2] = {{2, 3}, {4, 5}}, celeba[][2] = {{4, 5}, {6, 7}, {8, 9}};
    const bool is_lapa = strcmp(layout->name, "lapa") == 0, is_celeba = strcmp(layout->name, "celebamask-hq") == 0;
    const uint8_t(*pairs)[2] = is_lapa ? lapa : celeba;
    for (int c = 0; c < MCF_FACE_MAX_CLASSES && c < classes; c++)
        mirror[c] = (uint8_t)c;
    for (int i = 0; (is_lapa && i < 2) || (is_celeba && i < 3); i++) {
        mirror[pairs[i][0]] = pairs[i][1];
        mirror[pairs[i][1]] = pairs[i][0];
    }
    return is_lapa || is_celeba;
}

bool mcf_face_five(const double *xy, int points, double five[5][2])
{
    static const struct {
        int points;
        int first[5], count[5]; // each of the five is the mean of so many points
    } rows[] = {{5, {0, 1, 2, 3, 4}, {1, 1, 1, 1, 1}},
                {19, {7, 10, 13, 15, 17}, {1, 1, 1, 1, 1}},
                {68, {36, 42, 30, 48, 54}, {6, 6, 1, 1, 1}},
                {98, {96, 97, 54, 76, 82}, {1, 1, 1, 1, 1}},
                {106, {104, 105, 54, 84, 90}, {1, 1, 1, 1, 1}}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        if (rows[r].points != points)
            continue;
        for (int p = 0; p < 5; p++) {
            five[p][0] = five[p][1] = 0;
            for (int i = 0; i < rows[r].count[p]; i++)
                for (int axis = 0; axis < 2; axis++)
                    five[p][axis] += xy[2 * (rows[r].first[p] + i) + axis] / rows[r].count[p];
        }
        return true;
    }
    return false;
}

void mcf_face_box_of_points(const double *xy, int points, double first, double box[4])
{
    double low[2] = {HUGE_VAL, HUGE_VAL}, high[2] = {-HUGE_VAL, -HUGE_VAL};
    for (int i = 0; i < 2 * points; i++) {
        low[i & 1] = fmin(low[i & 1], xy[i]);
        high[i & 1] = fmax(high[i & 1], xy[i]);
    }
    const double half = fmax(ceil(high[0]) - floor(low[0]), ceil(high[1]) - floor(low[1])) / 2;
    for (int axis = 0; axis < 2; axis++) {
        const double centre = (floor(low[axis]) + ceil(high[axis])) / 2 - first;
        box[axis] = centre - half;
        box[axis + 2] = centre + half;
    }
}
