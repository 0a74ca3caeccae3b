// Functions of elements:
//   add   alpha a + beta b         mul   a b             scale  alpha x + beta
//   relu  max(x, 0)                relu_grad  dy where x > 0, else 0
//   gelu  x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2
//   gelu_grad  dy (Phi(x) + x phi(x)), phi(x) = exp(-x^2/2) / sqrt(2 pi)
//   sigmoid  1/(1 + exp(-x))       sigmoid_grad  dy y (1 - y), y the sigmoid
#include "device.h"
#include "functions.h"

#define FLAT_1(name, value)                                                                                            \
    KERNEL void name(GRID INPUT(T0, a), TENSOR(TO, out), I64 n, float alpha, float beta)                               \
    {                                                                                                                  \
        const I64 i = GLOBAL_ID(0);                                                                                    \
        AT(a);                                                                                                         \
        AT(out);                                                                                                       \
        if (i < n) {                                                                                                   \
            const float x = LOAD(T0, a, i);                                                                            \
            STORE(TO, out, i, value);                                                                                  \
        }                                                                                                              \
    }
#define STRIDED_1(name, value)                                                                                         \
    KERNEL void name(GRID INPUT(T0, a), TENSOR(TO, out), layout s, float alpha, float beta)                            \
    {                                                                                                                  \
        const I64 i = GLOBAL_ID(0), row = GLOBAL_ID(1), last = s.rank - 1;                                             \
        I64 from;                                                                                                      \
        AT(a);                                                                                                         \
        AT(out);                                                                                                       \
        ROW_PLACE(from, s, a, row);                                                                                    \
        if (i < s.dim[last]) {                                                                                         \
            const float x = LOAD(T0, a, from + i * s.a[last]);                                                         \
            STORE(TO, out, row *s.dim[last] + i, value);                                                               \
        }                                                                                                              \
    }
#define FLAT_2(name, value)                                                                                            \
    KERNEL void name(GRID INPUT(T0, a), INPUT(T1, b), TENSOR(TO, out), I64 n, float alpha, float beta)                 \
    {                                                                                                                  \
        const I64 i = GLOBAL_ID(0);                                                                                    \
        AT(a);                                                                                                         \
        AT(b);                                                                                                         \
        AT(out);                                                                                                       \
        if (i < n) {                                                                                                   \
            const float x = LOAD(T0, a, i), y = LOAD(T1, b, i);                                                        \
            STORE(TO, out, i, value);                                                                                  \
        }                                                                                                              \
    }
#define STRIDED_2(name, value)                                                                                         \
    KERNEL void name(GRID INPUT(T0, a), INPUT(T1, b), TENSOR(TO, out), layout s, float alpha, float beta)              \
    {                                                                                                                  \
        const I64 i = GLOBAL_ID(0), row = GLOBAL_ID(1), last = s.rank - 1;                                             \
        I64 from_a, from_b;                                                                                            \
        AT(a);                                                                                                         \
        AT(b);                                                                                                         \
        AT(out);                                                                                                       \
        ROW_PLACE(from_a, s, a, row);                                                                                  \
        ROW_PLACE(from_b, s, b, row);                                                                                  \
        if (i < s.dim[last]) {                                                                                         \
            const float x = LOAD(T0, a, from_a + i * s.a[last]);                                                       \
            const float y = LOAD(T1, b, from_b + i * s.b[last]);                                                       \
            STORE(TO, out, row *s.dim[last] + i, value);                                                               \
        }                                                                                                              \
    }

#ifdef T1
FLAT_2(add_flat, alpha *x + beta * y)
STRIDED_2(add_strided, alpha *x + beta * y)
FLAT_2(mul_flat, x *y)
STRIDED_2(mul_strided, x *y)
FLAT_2(relu_grad, x > 0 ? y : 0.0f)
FLAT_2(gelu_grad, y *gelu_slope(x))
FLAT_2(sigmoid_grad, y *x *(1.0f - x))
#else
FLAT_1(scale_flat, alpha *x + beta)
STRIDED_1(scale_strided, alpha *x + beta)
FLAT_1(relu, x <= 0 ? 0.0f : x)
FLAT_1(gelu, gelu_value(x))
FLAT_1(sigmoid, 1.0f / (1.0f + exp_value(-x)))
#endif
