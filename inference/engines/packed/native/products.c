/* Matrix products. */
#include "vectors.h"

/* A weight [out][in] lies in panels of COLUMNS outputs: for each input the numbers of the panel side by side,
 * as float32, as bfloat16 (the upper half of a float32) or as int8 with one scale per output. They become
 * float32 as they are read: memory and its time are saved, and nothing of x is rounded. Each result is one sum
 * in the order of the inputs, however many rows there are. */
#define COLUMNS (2 * LANES)
#define DEEP (4096 / COLUMNS) /* inputs of a panel that stay in the first cache while the rows pass by */
#define ROWS 96               /* rows that pass by at a time */
enum { FLOAT32, BFLOAT16, INT8 };
typedef uint32_t uvec __attribute__((vector_size(LANES * 4)));
typedef uint16_t hvec __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
static const int64_t width_[] = {4, 2, 1};

typedef struct {
    const char *panels;
    const float *scale, *bias; /* per output; NULL: none */
    int64_t in, out, kind;
} Weight;

INLINE vec signed_(const char *from) {
#if defined __AVX512F__
    return (vec)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)));
#elif defined __AVX2__
    return (vec)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)from)));
#else
    vec v;
    for (int i = 0; i < LANES; i++) v[i] = ((const int8_t *)from)[i];
    return v;
#endif
}

INLINE vec load_(const char *from, int kind) {
    if (kind == FLOAT32) return *(const vec *)from;
    if (kind == BFLOAT16) return (vec)(__builtin_convertvector(*(const hvec *)from, uvec) << 16);
    return signed_(from);
}

/* sums[row][COLUMNS] += `rows` rows of x (`in` numbers apart) times `count` inputs of `panels` panels, which lie
 * `apart` bytes from each other. `rows` and `panels` are constants where this is called, so that the sums stay
 * in registers. */
INLINE void tile_(const int rows, const int panels, const int kind, const char *panel, int64_t apart, const float *x, int64_t in, int64_t count, float *sums) {
    vec sum[rows * panels * 2];
    for (int i = 0; i < rows * panels * 2; i++) sum[i] = *(const vec *)(sums + i * LANES);
    for (int64_t i = 0; i < count; i++)
        for (int p = 0; p < panels; p++) {
            const char *at = panel + p * apart + i * COLUMNS * width_[kind];
            const vec left = load_(at, kind), right = load_(at + LANES * width_[kind], kind);
            for (int r = 0; r < rows; r++) {
                const float number = x[r * in + i];
                sum[(r * panels + p) * 2] += number * left;
                sum[(r * panels + p) * 2 + 1] += number * right;
            }
        }
    for (int i = 0; i < rows * panels * 2; i++) *(vec *)(sums + i * LANES) = sum[i];
}

static void finish_(const Weight *weight, const float *sums, float *y, int64_t panel) {
    const int64_t column = panel * COLUMNS, there = weight->out - column < COLUMNS ? weight->out - column : COLUMNS;
    for (int64_t c = 0; c < there; c++) {
        float number = sums[c];
        if (weight->scale) number *= weight->scale[column + c];
        if (weight->bias) number += weight->bias[column + c];
        y[column + c] = number;
    }
}

/* One or two rows: the weight passes by once, several panels at a time, for one has few sums under way. */
INLINE void few_(const int rows, const int panels, const int kind, const Weight *weight, const float *x, float *y, int64_t panel) {
    const int64_t apart = weight->in * COLUMNS * width_[kind];
    float sums[rows * panels * COLUMNS];
    memset(sums, 0, sizeof sums);
    tile_(rows, panels, kind, weight->panels + panel * apart, apart, x, weight->in, weight->in, sums);
    for (int r = 0; r < rows; r++)
        for (int p = 0; p < panels; p++)
            finish_(weight, sums + (r * panels + p) * COLUMNS, y + r * weight->out, panel + p);
}

/* Many rows: a piece of the panel is made float32 once, then all rows pass by. */
static void many_(const Weight *weight, const float *x, float *y, int64_t rows, int64_t panel) {
    const int64_t in = weight->in, bytes = width_[weight->kind] * COLUMNS;
    const char *from = weight->panels + panel * in * bytes;
    float sums[ROWS * COLUMNS], room[DEEP * COLUMNS];
    memset(sums, 0, rows * COLUMNS * sizeof *sums);
    for (int64_t i = 0; i < in; i += DEEP) {
        const int64_t count = in - i < DEEP ? in - i : DEEP;
        const char *piece = from + i * bytes;
        if (weight->kind != FLOAT32) {
            for (int64_t n = 0; n < count * COLUMNS; n += LANES)
                *(vec *)(room + n) = weight->kind == BFLOAT16 ? load_(piece + 2 * n, BFLOAT16) : signed_(piece + n);
            piece = (const char *)room;
        }
        for (int64_t r = 0; r < rows; r += 6) {
            const float *xs = x + r * in + i;
            float *to = sums + r * COLUMNS;
            switch (rows - r) {
            case 1: tile_(1, 1, FLOAT32, piece, 0, xs, in, count, to); break;
            case 2: tile_(2, 1, FLOAT32, piece, 0, xs, in, count, to); break;
            case 3: tile_(3, 1, FLOAT32, piece, 0, xs, in, count, to); break;
            case 4: tile_(4, 1, FLOAT32, piece, 0, xs, in, count, to); break;
            case 5: tile_(5, 1, FLOAT32, piece, 0, xs, in, count, to); break;
            default: tile_(6, 1, FLOAT32, piece, 0, xs, in, count, to);
            }
        }
    }
    for (int64_t r = 0; r < rows; r++) finish_(weight, sums + r * COLUMNS, y + r * weight->out, panel);
}

INLINE void share_(const int kind, const Weight *weight, const float *x, float *y, int64_t rows, int64_t panel, int64_t end) {
    for (; rows == 1 && panel + 4 <= end; panel += 4) few_(1, 4, kind, weight, x, y, panel);
    for (; rows == 2 && panel + 2 <= end; panel += 2) few_(2, 2, kind, weight, x, y, panel);
    for (; rows == 3 && panel < end; panel++) few_(3, 1, kind, weight, x, y, panel);
    for (; rows == 4 && panel < end; panel++) few_(4, 1, kind, weight, x, y, panel);
    for (; panel < end; panel++)
        for (int64_t r = 0; r < rows; r += ROWS)
            many_(weight, x + r * weight->in, y + r * weight->out, rows - r < ROWS ? rows - r : ROWS, panel);
}

/* y[rows][out] = x[rows][in] times the weight, by scale, plus bias. */
void multiply(const Weight *weight, const float *x, float *y, int64_t rows) {
    const int64_t panels = (weight->out + COLUMNS - 1) / COLUMNS, share = 4, tasks = (panels + share - 1) / share;
#pragma omp parallel for schedule(static)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t begin = task * share, end = begin + share < panels ? begin + share : panels;
        if (weight->kind == FLOAT32) share_(FLOAT32, weight, x, y, rows, begin, end);
        else if (weight->kind == BFLOAT16) share_(BFLOAT16, weight, x, y, rows, begin, end);
        else share_(INT8, weight, x, y, rows, begin, end);
    }
}

/* Bytes of the panels of a weight. */
int64_t panels_size(int64_t out, int64_t in, int64_t kind) {
    return (out + COLUMNS - 1) / COLUMNS * COLUMNS * in * width_[kind];
}

/* Lays a float32 weight [out][in] out in panels; for int8 writes the scales too. On the calling thread alone:
 * layers are packed side by side. */
void pack(const float *weight, char *panels, float *scale, int64_t out, int64_t in, int64_t kind) {
    memset(panels, 0, panels_size(out, in, kind));
    for (int64_t o = 0; o < out; o++) {
        const float *row = weight + o * in;
        const int64_t at = o / COLUMNS * COLUMNS * in + o % COLUMNS;
        if (kind == INT8) {
            const float top = largest_(row, in);
            scale[o] = top > 0 ? top / 127 : 1;
        }
        for (int64_t i = 0; i < in; i++) {
            const int64_t to = at + i * COLUMNS;
            if (kind == FLOAT32) ((float *)panels)[to] = row[i];
            else if (kind == BFLOAT16) ((uint16_t *)panels)[to] = bfloat_(row[i]);
            else ((int8_t *)panels)[to] = (int8_t)rintf(row[i] / scale[o]);
        }
    }
}
