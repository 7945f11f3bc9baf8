/* What is done to single rows between the matrix products, each in one pass over memory. */
#include "vectors.h"

static inline float silu_(float x) { return x / (1 + exp_(-x)); }

/* y = x * factor / sqrt(mean(x^2) + eps), row by row. */
void rms_norm(const float *x, const float *factor, float *y, int64_t rows, int64_t size, float eps) {
#pragma omp parallel for if (rows * size > WORTH)
    for (int64_t r = 0; r < rows; r++) {
        const float *in = x + r * size;
        float *out = y + r * size;
        vec sums = {0};
        int64_t n = 0;
        for (; n + LANES <= size; n += LANES) sums += *(const vec *)(in + n) * *(const vec *)(in + n);
        float squares = sum_(sums);
        for (; n < size; n++) squares += in[n] * in[n];
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

/* y[row] = silu(x[row][:size]) * x[row][size:]. */
void silu_gate(const float *x, float *y, int64_t rows, int64_t size) {
#pragma omp parallel for if (rows * size > WORTH)
    for (int64_t r = 0; r < rows; r++) {
        const float *gate = x + 2 * r * size, *up = gate + size;
        float *out = y + r * size;
        for (int64_t i = 0; i < size; i++) out[i] = silu_(gate[i]) * up[i];
    }
}
