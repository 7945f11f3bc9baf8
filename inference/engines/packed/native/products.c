/* Matrix products. */
#include "vectors.h"

/* A weight [out][in] lies in panels of COLUMNS outputs: for each input the numbers of the panel side by side, as
 * float32 or as bfloat16 (the upper half of a float32), which become float32 as they are read. Each result is one
 * sum in the order of the inputs, however many rows there are. */
#define DEEP (4096 / COLUMNS) /* inputs of a panel that stay in the first cache while the rows pass by */
#define ROWS 96               /* rows that pass by at a time */
enum { FLOAT32, BFLOAT16 };
static const int64_t width_[] = {4, 2};

typedef struct {
    const char *panels;
    const float *bias; /* NULL: none */
    int64_t in, out, kind;
} Weight;

INLINE vec load_(const char *from, int kind) {
    return kind == FLOAT32 ? *(const vec *)from : widen_((const uint16_t *)from);
}

/* sums[row][COLUMNS] += `rows` rows of x (`in` numbers apart) times `count` inputs of `panels` panels, which lie
 * `apart` bytes from each other. `rows` and `panels` are constants where this is called, so that the sums stay
 * in registers. */
INLINE void tile_(const int rows, const int panels, const int kind, const char *panel, int64_t apart, const float *x, int64_t in, int64_t count, float *sums) {
    vec sum[12]; /* as many as fit into the registers */
    EACH(i, rows * panels * 2) sum[i] = *(const vec *)(sums + i * LANES);
    for (int64_t i = 0; i < count; i++)
        EACH(p, panels) {
            const char *at = panel + p * apart + i * COLUMNS * width_[kind];
            const vec left = load_(at, kind), right = load_(at + LANES * width_[kind], kind);
            EACH(r, rows) {
                const float number = x[r * in + i];
                sum[(r * panels + p) * 2] += number * left;
                sum[(r * panels + p) * 2 + 1] += number * right;
            }
        }
    EACH(i, rows * panels * 2) *(vec *)(sums + i * LANES) = sum[i];
}

static void finish_(const Weight *weight, const float *sums, float *y, int64_t panel) {
    const int64_t column = panel * COLUMNS, there = weight->out - column < COLUMNS ? weight->out - column : COLUMNS;
    for (int64_t c = 0; c < there; c++) y[column + c] = sums[c] + (weight->bias ? weight->bias[column + c] : 0);
}

/* One or two rows: the weight passes by once, several panels at a time, for one has few sums under way. */
INLINE void few_(const int rows, const int panels, const int kind, const Weight *weight, const float *x, float *y, int64_t panel) {
    const int64_t apart = weight->in * COLUMNS * width_[kind];
    float sums[4 * COLUMNS];
    memset(sums, 0, sizeof sums);
    tile_(rows, panels, kind, weight->panels + panel * apart, apart, x, weight->in, weight->in, sums);
    EACH(r, rows)
        EACH(p, panels)
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
                *(vec *)(room + n) = load_(piece + 2 * n, BFLOAT16);
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

/* y[rows][out] = x[rows][in] times the weight, plus bias. */
void multiply(const Weight *weight, const float *x, float *y, int64_t rows) {
    const int64_t panels = (weight->out + COLUMNS - 1) / COLUMNS;
#pragma omp parallel
    {
        if (weight->kind == FLOAT32) share_(FLOAT32, weight, x, y, rows, BEGIN(panels), END(panels));
        else share_(BFLOAT16, weight, x, y, rows, BEGIN(panels), END(panels));
    }
}

/* Bytes of the panels of a weight. */
int64_t panels_size(int64_t out, int64_t in, int64_t kind) {
    return (out + COLUMNS - 1) / COLUMNS * COLUMNS * in * width_[kind];
}

/* Lays a float32 weight [out][in] out in panels. On the calling thread alone: layers are packed side by side. */
void pack(const float *weight, char *panels, int64_t out, int64_t in, int64_t kind) {
    memset(panels, 0, panels_size(out, in, kind));
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            const int64_t to = (o / COLUMNS * in + i) * COLUMNS + o % COLUMNS;
            if (kind == FLOAT32) ((float *)panels)[to] = weight[o * in + i];
            else ((uint16_t *)panels)[to] = bfloat_(weight[o * in + i]);
        }
}
