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
#include <omp.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
#define WORTH 8192          /* numbers that are worth waking the other threads for */
/* A loop of a few turns, known when it is built, over what stays in registers. */
#define EACH(i, count) _Pragma("GCC unroll 32") for (int i = 0; i < (count); i++)
/* What a thread of several takes of `count` things. */
#define BEGIN(count) ((count) * omp_get_thread_num() / omp_get_num_threads())
#define END(count) ((count) * (omp_get_thread_num() + 1) / omp_get_num_threads())
#define COLUMNS (2 * LANES) /* outputs of a weight that lie side by side */
typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(LANES * 4)));
typedef uint16_t hvec __attribute__((vector_size(LANES * 2), aligned(2), may_alias));

/* bfloat16 numbers, each the upper half of a float32. */
INLINE vec widen_(const uint16_t *from) { return (vec)(__builtin_convertvector(*(const hvec *)from, uvec) << 16); }

static inline float exp_(float x) {
    /* e^x = 2^n e^r with |r| <= ln2/2, e^r as its Taylor series to r^7 (relative error below 1e-7); 0 below e^-87. */
    const float high = x > 88.0f ? 88.0f : x;
    const float n = rintf(high * 1.44269504f);
    const float r = (high - n * 0.693359375f) + n * 2.12194440e-4f;
    const float e = 1 + r * (1 + r * (0.5f + r * (1.0f / 6 + r * (1.0f / 24 + r * (1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040)))))));
    const int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, 4);
    return x < -87.0f ? 0 : e * power;
}

static inline uint16_t bfloat_(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0; /* NaN stays one */
    return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

/* a * b + c, fused where the processor can: said so, for a compiler is free to fuse either product of two. */
INLINE vec fused_(vec a, vec b, vec c) {
#if LANES == 16
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined __FMA__
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

INLINE vec larger_(vec a, vec b) {
    const ivec first = a > b;
    return (vec)((first & (ivec)a) | (~first & (ivec)b));
}

/* All numbers of a vector together, half by half. */
static inline float sum_(vec v) {
    float all[LANES];
    memcpy(all, &v, sizeof v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) all[i] += all[i + half];
    return all[0];
}

static inline float largest_of_(vec v) {
    float all[LANES];
    memcpy(all, &v, sizeof v);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) all[i] = all[i] > all[i + half] ? all[i] : all[i + half];
    return all[0];
}

static inline int32_t largest_int_(ivec v) {
#if LANES == 16
    return _mm512_reduce_max_epi32((__m512i)v);
#else
    int32_t most = v[0];
    for (int i = 1; i < LANES; i++) most = v[i] > most ? v[i] : most;
    return most;
#endif
}

static inline int32_t sum_of_(ivec v) {
#if LANES == 16
    return _mm512_reduce_add_epi32((__m512i)v);
#else
    int32_t sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
#endif
}

/* The largest size of a number in the row; NaN where one is not finite. Without their sign, float32 numbers are in the
 * order of their bits as integers, infinity and NaN above all others. */
static inline float largest_(const float *x, int64_t size) {
    ivec most = {0};
    int64_t i = 0;
    for (; i + LANES <= size; i += LANES) {
        const ivec bits = *(const ivec *)(x + i) & 0x7fffffff, more = bits > most;
        most = (more & bits) | (~more & most);
    }
    int32_t top = largest_int_(most), bits;
    for (; i < size; i++) {
        memcpy(&bits, x + i, 4);
        top = (bits & 0x7fffffff) > top ? bits & 0x7fffffff : top;
    }
    float largest;
    memcpy(&largest, &top, 4);
    return top >= 0x7f800000 ? NAN : largest;
}
