/* What the kernels share: the vector type, and a few functions of single numbers.
 *
 * In all of them every result row is computed by the same operations in the same order, whatever stands beside
 * it: so an answer is the same in any company, and reading a text again gives what writing it gave. Arrays are
 * float32 unless said otherwise; sizes count numbers. NaN passes through: it is how a broken row is found.
 * Built by build.py with gcc or clang, whose vector types are used. */
#pragma once
#ifdef __AVX2__
#include <immintrin.h>
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));


static inline float exp_(float x) {
    /* e^x = 2^n e^r with |r| <= ln2/2, e^r as its Taylor series to r^7 (relative error below 1e-7). */
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const float n = rintf(x * 1.44269504f);
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    const float e = 1 + r * (1 + r * (0.5f + r * (1.0f / 6 + r * (1.0f / 24 + r * (1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040)))))));
    const int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return e * power;
}

static inline uint16_t bfloat_(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0; /* NaN stays one */
    return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

/* The largest size of a number in the row; NaN where one is not finite. */
static inline float largest_(const float *x, int64_t size) {
    float most = 0, poison = 0;
    for (int64_t i = 0; i < size; i++) {
        const float a = fabsf(x[i]);
        most = a > most ? a : most;
        poison += x[i] * 0.0f;
    }
    return most + poison;
}
