// Products by a warp on tiles of 16 x 16 (nvcuda::wmma). Which lane holds which element is not the same as on any card
// and changes with the seed, so that a kernel which counts on a place goes wrong. Neither loads nor stores wait for
// the other lanes: a kernel that forgets __syncwarp reads what is not there yet.
#ifndef MCF_EMULATOR_MMA_H
#define MCF_EMULATOR_MMA_H

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "cuda_runtime.h"

enum { EMULATOR_TILE = 16, EMULATOR_HELD = 8 }; // elements of a fragment that a lane holds

// Row * 16 + column of the element that a lane holds at i; use: 0 a, 1 b, 2 accumulator.
unsigned emulator_fragment_place(int use, unsigned lane, unsigned i);
// c += a b, by the whole warp.
void emulator_fragment_product(const float a[EMULATOR_HELD], const float b[EMULATOR_HELD], float c[EMULATOR_HELD]);
// The kernel fails where a tile begins at no multiple of 32 bytes, or its lines are no multiple of `step` apart.
void emulator_check_tile(const void *address, unsigned ld, unsigned step);

// mma.sync.m8n8k4 with fp32 sums, by the layout of the PTX ISA: four products of 8 x 8 over 4, each by eight lanes
// {4q .. 4q+3, 16+4q .. 16+4q+3}; turned: column by column, else row by row.
void emulator_mma_884(bool turned_a, bool turned_b, float c[8], const unsigned a[2], const unsigned b[2]);

inline float emulator_float(__half x)
{
    return __half2float(x);
}
inline float emulator_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

namespace nvcuda
{
namespace wmma
{

struct matrix_a {
    enum { use = 0 };
};
struct matrix_b {
    enum { use = 1 };
};
struct accumulator {
    enum { use = 2 };
};
struct row_major {
    enum { columns = 0 };
};
struct col_major {
    enum { columns = 1 };
};
enum layout_t { mem_row_major, mem_col_major };

template <typename Use, int m, int n, int k, typename T, typename Layout = void> struct fragment {
    static_assert(m == 16 && n == 16 && k == 16, "the emulator knows tiles of 16 x 16");
    enum { num_elements = EMULATOR_HELD };
    T x[num_elements];
};

template <typename U, typename T, typename L> void fill_fragment(fragment<U, 16, 16, 16, T, L> &f, T value)
{
    for (T &x : f.x)
        x = value;
}

template <typename U, typename T, typename L>
void load_matrix_sync(fragment<U, 16, 16, 16, T, L> &f, const T *from, unsigned ld)
{
    emulator_check_tile(from, ld, 16 / sizeof(T));
    for (unsigned i = 0; i < EMULATOR_HELD; i++) {
        const unsigned place = emulator_fragment_place(U::use, emulator_lane(), i), row = place / 16,
                       column = place % 16;
        f.x[i] = from[L::columns ? row + column * ld : row * ld + column];
    }
}

inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float> &f, const float *from, unsigned ld,
                             layout_t layout)
{
    emulator_check_tile(from, ld, 4);
    for (unsigned i = 0; i < EMULATOR_HELD; i++) {
        const unsigned place = emulator_fragment_place(2, emulator_lane(), i), row = place / 16, column = place % 16;
        f.x[i] = from[layout == mem_col_major ? row + column * ld : row * ld + column];
    }
}

inline void store_matrix_sync(float *to, const fragment<accumulator, 16, 16, 16, float> &f, unsigned ld,
                              layout_t layout)
{
    emulator_check_tile(to, ld, 4);
    for (unsigned i = 0; i < EMULATOR_HELD; i++) {
        const unsigned place = emulator_fragment_place(2, emulator_lane(), i), row = place / 16, column = place % 16;
        to[layout == mem_col_major ? row + column * ld : row * ld + column] = f.x[i];
    }
}

template <typename T, typename LA, typename LB>
void mma_sync(fragment<accumulator, 16, 16, 16, float> &d, const fragment<matrix_a, 16, 16, 16, T, LA> &a,
              const fragment<matrix_b, 16, 16, 16, T, LB> &b, const fragment<accumulator, 16, 16, 16, float> &c)
{
    float left[EMULATOR_HELD], right[EMULATOR_HELD], sum[EMULATOR_HELD];
    for (int i = 0; i < EMULATOR_HELD; i++) {
        left[i] = emulator_float(a.x[i]);
        right[i] = emulator_float(b.x[i]);
        sum[i] = c.x[i];
    }
    emulator_fragment_product(left, right, sum);
    for (int i = 0; i < EMULATOR_HELD; i++)
        d.x[i] = sum[i];
}

} // namespace wmma
} // namespace nvcuda

#endif
