/* What is done to single rows between the matrix products, each in one pass over memory. */
#include "vectors.h"

#define WORTH 8192    /* numbers that are worth waking the other threads for */

static inline float silu_(float x) { return x / (1 + exp_(-x)); }

/* y = x * factor / sqrt(mean(x^2) + eps), row by row. */
void rms_norm(const float *x, const float *factor, float *y, int64_t rows, int64_t size, float eps) {
#pragma omp parallel for if (rows * size > WORTH)
    for (int64_t r = 0; r < rows; r++) {
        const float *in = x + r * size;
        float *out = y + r * size, squares = 0;
        for (int64_t i = 0; i < size; i++) squares += in[i] * in[i];
        const float scale = 1 / sqrtf(squares / size + eps);
        for (int64_t i = 0; i < size; i++) out[i] = in[i] * scale * factor[i];
    }
}

/* Llama's rotation in place: x[token][head][size] with cos and sin [token][size]. `stride`: from token to token. */
void rotate(float *x, const float *cosine, const float *sine, int64_t tokens, int64_t stride, int64_t heads, int64_t size) {
    const int64_t half = size / 2;
#pragma omp parallel for if (tokens * heads * size > WORTH)
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t h = 0; h < heads; h++) {
            float *a = x + t * stride + h * size, *b = a + half;
            const float *c = cosine + t * size, *s = sine + t * size;
            for (int64_t i = 0; i < half; i++) {
                const float left = a[i], right = b[i];
                a[i] = left * c[i] - right * s[i];
                b[i] = right * c[half + i] + left * s[half + i];
            }
        }
}

/* Rows for an int8 product: [-1, 1], with the `more` places of `extra` once more at the end, all times `shrink`. */
void scale_rows(const float *x, const int64_t *extra, const float *shrink, float *y, float *most, int64_t rows, int64_t size, int64_t more) {
    const int64_t wide = size + more;
#pragma omp parallel for if (rows * wide > WORTH)
    for (int64_t r = 0; r < rows; r++) {
        const float *in = x + r * size;
        float *out = y + r * wide;
        if (shrink) {
            for (int64_t i = 0; i < size; i++) out[i] = in[i] * shrink[i];
            for (int64_t i = 0; i < more; i++) out[size + i] = in[extra[i]] * shrink[size + i];
        } else
            memcpy(out, in, size * sizeof *in);
        const float top = largest_(out, wide), by = top > 0 ? 1 / top : 0;
        for (int64_t i = 0; i < wide; i++) out[i] *= by;
        most[r] = top;
    }
}

/* y[row][i] = y * most[row] (+ bias[i]). */
void rescale_rows(float *y, const float *most, const float *bias, int64_t rows, int64_t size) {
#pragma omp parallel for if (rows * size > WORTH)
    for (int64_t r = 0; r < rows; r++) {
        float *out = y + r * size;
        const float by = most[r];
        if (bias)
            for (int64_t i = 0; i < size; i++) out[i] = out[i] * by + bias[i];
        else
            for (int64_t i = 0; i < size; i++) out[i] *= by;
    }
}

/* A row of 15 bits as two of int8: whole steps, and what is left of each. */
static void split_(const float *x, float *steps, float *rests, float *step, int64_t size, float levels) {
    const float top = largest_(x, size), by = top > 0 ? levels / top : 0;
    for (int64_t i = 0; i < size; i++) {
        const float a = x[i] * by, whole = rintf(a);
        steps[i] = whole;
        rests[i] = (a - whole) * (2 * levels);
    }
    *step = top / levels;
}

/* both[2][rows][size] and step[rows] of x. */
void split_rows(const float *x, float *both, float *step, int64_t rows, int64_t size, float levels) {
#pragma omp parallel for if (rows * size > WORTH)
    for (int64_t r = 0; r < rows; r++)
        split_(x + r * size, both + r * size, both + (rows + r) * size, step + r, size, levels);
}

/* y[row] = (y[row] + y[rows + row] / (2 levels)) * step[row] (+ bias), for y[2][rows][size]. */
void join_rows(float *y, const float *step, const float *bias, int64_t rows, int64_t size, float levels) {
    const float half = 0.5f / levels;
#pragma omp parallel for if (rows * size > WORTH)
    for (int64_t r = 0; r < rows; r++) {
        float *a = y + r * size;
        const float *b = y + (rows + r) * size, by = step[r];
        for (int64_t i = 0; i < size; i++) a[i] = (a[i] + b[i] * half) * by + (bias ? bias[i] : 0.0f);
    }
}

/* y[row] = silu(x[row][:size]) * x[row][size:]. */
void silu_gate(const float *x, float *y, int64_t rows, int64_t size) {
#pragma omp parallel for if (rows * size > WORTH)
    for (int64_t r = 0; r < rows; r++) {
        const float *gate = x + 2 * r * size, *up = gate + size;
        float *out = y + r * size;
        for (int64_t i = 0; i < size; i++) out[i] = silu_(gate[i]) * up[i];
    }
}
