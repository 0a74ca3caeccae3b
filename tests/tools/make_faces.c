// make_faces OUT PEOPLE PICTURES SIZE SEED: draws PICTURES pictures of each of PEOPLE people, OUT/person_NNN/NN.jpg.
// A person is proportions and colours; a picture adds pose, light, expression and background.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/file.h"
#include "data/image.h"

typedef struct {
    double r, g, b;
} colour;

typedef struct {
    colour skin, hair, iris, lips;
    double width, height; // of the face, in half pictures
    double eye_gap, eye_size, eye_height;
    double nose_length, nose_width, mouth_width, mouth_height, brow_tilt, brow_thickness;
    double hair_line, hair_side;
    int glasses, beard;
} person;

typedef struct {
    double x, y, scale, angle, turn; // pose
    double light, light_x, light_y, open; // open: of the mouth
    colour ground, ground2, shirt;
} picture;

static uint64_t state;

// splitmix64
static double uniform(double from, double to)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return from + (to - from) * (double)(z >> 11) * 0x1p-53;
}

static colour mix(colour a, colour b, double t)
{
    return (colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

static colour random_colour(double from, double to)
{
    colour c = {uniform(from, to), 0, 0};
    c.g = uniform(from, to);
    c.b = uniform(from, to);
    return c;
}

static person random_person(void)
{
    static const colour dark = {70, 42, 30}, pale = {245, 208, 182}, black = {25, 20, 20},
                        blond = {215, 175, 100}, red = {150, 60, 30}, brown = {70, 40, 20},
                        blue = {70, 120, 180};
    person p;
    p.skin = mix(dark, pale, uniform(0, 1));
    p.hair = uniform(0, 1) < 0.3 ? mix(red, blond, uniform(0, 1)) : mix(black, blond, uniform(0, 0.8));
    p.iris = mix(brown, blue, uniform(0, 1));
    p.lips = mix(p.skin, (colour){170, 50, 60}, uniform(0.3, 0.9));
    p.width = uniform(0.42, 0.58);
    p.height = uniform(0.58, 0.74);
    p.eye_gap = uniform(0.34, 0.48);
    p.eye_size = uniform(0.055, 0.09);
    p.eye_height = uniform(-0.16, -0.02);
    p.nose_length = uniform(0.18, 0.34);
    p.nose_width = uniform(0.05, 0.12);
    p.mouth_width = uniform(0.14, 0.27);
    p.mouth_height = uniform(0.30, 0.42);
    p.brow_tilt = uniform(-0.25, 0.25);
    p.brow_thickness = uniform(0.012, 0.04);
    p.hair_line = uniform(-0.55, -0.25);
    p.hair_side = uniform(0.9, 1.35);
    p.glasses = uniform(0, 1) < 0.2;
    p.beard = uniform(0, 1) < 0.25;
    return p;
}

static picture random_picture(void)
{
    picture v;
    v.x = uniform(-0.08, 0.08);
    v.y = uniform(-0.08, 0.08);
    v.scale = uniform(0.9, 1.12);
    v.angle = uniform(-0.2, 0.2);
    v.turn = uniform(-0.12, 0.12);
    v.light = uniform(0.85, 1.1);
    v.light_x = uniform(-0.2, 0.2);
    v.light_y = uniform(-0.1, 0.1);
    v.open = uniform(0.015, 0.07);
    v.ground = random_colour(125, 140); // dull, so that a person's colours are what sets pictures apart
    v.ground2 = random_colour(125, 140);
    v.shirt = random_colour(60, 80);
    return v;
}

// Less than 1 inside.
static double ellipse(double x, double y, double cx, double cy, double rx, double ry)
{
    return (x - cx) * (x - cx) / (rx * rx) + (y - cy) * (y - cy) / (ry * ry);
}

static colour eye(const person *p, double x, double y, double side, colour under)
{
    double cx = side * p->eye_gap / 2, cy = p->eye_height, r = p->eye_size;
    double distance = ellipse(x, y, cx, cy, r * 0.45, r * 0.45);
    double brow = cy - 1.7 * r + side * (x - cx) * p->brow_tilt;
    if (p->glasses && fabs(sqrt(ellipse(x, y, cx, cy, r * 1.7, r * 1.5)) - 1) < 0.1)
        return (colour){20, 20, 25};
    if (distance < 0.2)
        return (colour){10, 10, 10};
    if (distance < 1)
        return p->iris;
    if (ellipse(x, y, cx, cy, r, r * 0.55) < 1)
        return (colour){240, 240, 240};
    if (fabs(x - cx) < 1.3 * r && fabs(y - brow) < p->brow_thickness)
        return mix(p->hair, (colour){0, 0, 0}, 0.3);
    return under;
}

// The colour at (x, y), the picture being [-1, 1] squared with y downwards.
static colour shade(const person *p, const picture *v, double px, double py)
{
    double c = cos(v->angle), s = sin(v->angle), dx = (px - v->x) / v->scale, dy = (py - v->y) / v->scale;
    double x = c * dx + s * dy, y = -s * dx + c * dy;
    colour out = mix(v->ground, v->ground2, (py + 1) / 2);
    if (ellipse(x, y, 0, 1.35, 0.95, 0.55) < 1)
        out = v->shirt;
    if (fabs(x) < p->width * 0.5 && y > 0.3 && y < 0.95)
        out = mix(p->skin, (colour){0, 0, 0}, 0.2);
    if (ellipse(x, y, 0, -0.12, p->width * 1.2, p->height * 1.12) < 1 && y < p->hair_side - 0.9)
        out = p->hair;
    if (ellipse(x, y, 0, 0, p->width, p->height) < 1) {
        double rim = ellipse(x, y, 0, 0, p->width, p->height);
        out = mix(p->skin, (colour){0, 0, 0}, 0.25 * rim * rim);
        x -= v->turn * (1 - rim); // features move over the face when it turns
        if (y < p->hair_line + 0.25 * x * x)
            out = p->hair;
        if (p->beard && y > p->mouth_height - 0.08 && ellipse(x, y, 0, 0, p->width, p->height) > 0.35)
            out = mix(out, p->hair, 0.7);
        out = eye(p, x, y, -1, eye(p, x, y, 1, out));
        if (fabs(x) < p->nose_width * (y - p->eye_height) / p->nose_length && y > p->eye_height &&
            y < p->eye_height + p->nose_length)
            out = mix(out, (colour){0, 0, 0}, x > 0 ? 0.22 : 0.08);
        if (ellipse(x, y, 0, p->mouth_height, p->mouth_width, v->open + 0.03) < 1)
            out = p->lips;
        if (ellipse(x, y, 0, p->mouth_height, p->mouth_width * 0.85, v->open) < 1)
            out = (colour){60, 20, 25};
    }
    double light = v->light + v->light_x * px + v->light_y * py;
    return (colour){out.r * light, out.g * light, out.b * light};
}

static uint8_t byte_of(double value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value + 0.5);
}

static void draw(const person *p, const picture *v, int size, uint8_t *pixels)
{
    enum { SUB = 2 }; // samples a side of a pixel
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            colour sum = {0, 0, 0};
            for (int i = 0; i < SUB * SUB; i++) {
                colour c = shade(p, v, 2 * (x + (i % SUB + 0.5) / SUB) / size - 1,
                                 2 * (y + ((double)(i / SUB) + 0.5) / SUB) / size - 1);
                sum = (colour){sum.r + c.r, sum.g + c.g, sum.b + c.b};
            }
            double noise = uniform(-6, 6);
            uint8_t *at = pixels + 3 * ((size_t)y * (size_t)size + (size_t)x);
            at[0] = byte_of(sum.r / (SUB * SUB) + noise);
            at[1] = byte_of(sum.g / (SUB * SUB) + noise);
            at[2] = byte_of(sum.b / (SUB * SUB) + noise);
        }
}

static mcf_status make(const char *out, int people, int pictures, int size, mcf_error *err)
{
    mcf_bytes file = {0};
    uint8_t *pixels = malloc((size_t)size * (size_t)size * 3);
    mcf_status status = pixels ? MCF_OK : mcf_fail(err, MCF_ERR_NOMEM, "no memory");
    for (int i = 0; i < people && status == MCF_OK; i++) {
        char path[4096];
        person p = random_person();
        snprintf(path, sizeof path, "%s/person_%03d", out, i);
        status = mcf_directory_make(path, err);
        for (int j = 0; j < pictures && status == MCF_OK; j++) {
            picture v = random_picture();
            mcf_image image = {size, size, 3, (size_t)size * 3, pixels};
            draw(&p, &v, size, pixels);
            snprintf(path, sizeof path, "%s/person_%03d/%02d.jpg", out, i, j);
            status = mcf_image_encode_jpeg(&image, 92, &file, err);
            FILE *to = status == MCF_OK ? fopen(path, "wb") : NULL;
            if (status == MCF_OK &&
                (!to || fwrite(file.data, 1, file.size, to) != file.size || fclose(to) != 0))
                status = mcf_fail(err, MCF_ERR_IO, "%s: could not be written", path);
        }
    }
    mcf_bytes_free(&file);
    free(pixels);
    return status;
}

int main(int argc, char **argv)
{
    mcf_error err = {0};
    if (argc != 6) {
        fprintf(stderr, "usage: make_faces OUT PEOPLE PICTURES SIZE SEED\n");
        return 2;
    }
    int people = atoi(argv[2]), pictures = atoi(argv[3]), size = atoi(argv[4]);
    state = strtoull(argv[5], NULL, 10);
    if (people < 1 || people > 1000 || pictures < 1 || pictures > 100 || size < 8 || size > 4096) {
        fprintf(stderr, "make_faces: 1 to 1000 people, 1 to 100 pictures, 8 to 4096 pixels\n");
        return 2;
    }
    if (make(argv[1], people, pictures, size, &err) != MCF_OK) {
        fprintf(stderr, "make_faces: %s\n", err.message);
        return 1;
    }
    return 0;
}
