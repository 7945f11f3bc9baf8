/* Matrix products of which both sides are int8. */
#include "vectors.h"
#include <stdlib.h>

/* A row is rounded in groups of GROUP numbers, each with a scale of its own, so that a large number costs only its
 * neighbours precision; each output of a weight has a scale for every DEEP inputs. Within a group the sum is one of
 * integers, exact in whatever order; the groups are added in theirs. A panel holds COLUMNS outputs: for every DEEP
 * inputs their scales, then FOLD inputs of each output side by side. */
#define GROUP 32
#define DEEP 64
#define BYTES ((DEEP + sizeof(float)) * COLUMNS) /* of DEEP inputs of a panel */
#if defined __AVX512VNNI__ || (defined __AVXVNNI__ && LANES == 8)
/* The processor multiplies four unsigned by four signed numbers and adds them. Weights are moved up by 128 to be
 * unsigned, and 128 times the sum of the row's numbers is taken off. */
#define FOLD 4
#define UP 128
typedef int8_t Number;
#else
#define FOLD 2
#define UP 0
typedef int16_t Number;
#endif
typedef Number nvec __attribute__((vector_size(LANES * sizeof(Number)), aligned(2), may_alias));

typedef struct {
    const char *panels;
    const float *bias; /* NULL: none */
    int64_t in, out;
} Int8Weight;

#define SUMS 12       /* vectors of sums that fit into the registers */
#define TALL (SUMS / 2) /* rows of them */

/* Rows, in tiles of TALL (the last may be lower): [tile][groups], and therein all rows of the tile. */
typedef struct {
    Number *numbers; /* [GROUP / FOLD][rows][FOLD] */
    float *worth;    /* [rows]: of one of the row's numbers */
    float *moved;    /* [rows]: what UP adds to its sum, to be taken off */
    int64_t groups;
} Rows;

/* Weights of LANES outputs, ready to be multiplied. */
INLINE ivec load_(const char *from) {
#if FOLD == 4
    return *(const ivec *)from;
#elif defined __AVX512BW__
    return (ivec)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)from));
#elif defined __AVX2__
    return (ivec)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)from));
#else
    int16_t wide[LANES * 2];
    for (int i = 0; i < LANES * 2; i++) wide[i] = ((const int8_t *)from)[i];
    ivec v;
    memcpy(&v, wide, sizeof v);
    return v;
#endif
}

/* sum += FOLD products, for LANES outputs; `numbers` are FOLD numbers of a row. */
INLINE ivec add_(ivec sum, ivec weights, int32_t numbers) {
    const ivec all = numbers - (ivec){0};
#if FOLD == 4 && LANES == 16
    return (ivec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)weights, (__m512i)all);
#elif FOLD == 4
    return (ivec)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)weights, (__m256i)all);
#elif defined __AVX512BW__
    return sum + (ivec)_mm512_madd_epi16((__m512i)weights, (__m512i)all);
#elif defined __AVX2__
    return sum + (ivec)_mm256_madd_epi16((__m256i)weights, (__m256i)all);
#else
    return sum + (weights << 16 >> 16) * (all << 16 >> 16) + (weights >> 16) * (all >> 16);
#endif
}

#define TIES 12582912.0f /* 1.5 * 2^23: what is added to it becomes whole, ties to even */

/* Rounds GROUP numbers. Returns what one is worth; `sum` is theirs. */
static float round_group_(const float *x, Number *numbers, int32_t *sum) {
    const float most = largest_(x, GROUP), by = most > 0 ? 127 / most : 0;
    ivec sums = {0};
    for (int i = 0; i < GROUP; i += LANES) {
        const ivec whole = (ivec)(*(const vec *)(x + i) * by + TIES) - (ivec)(TIES - (vec){0});
        *(nvec *)(numbers + i) = __builtin_convertvector(whole, nvec);
        sums += whole;
    }
    *sum = sum_of_(sums);
    return most / 127;
}

/* Row number `row` of a tile of `rows`, into the places that begin at the tile's. */
static void round_(const float *x, int64_t in, const Rows *to, int64_t tile, int64_t rows, int64_t row) {
    for (int64_t g = 0; g < to->groups; g++) {
        const int64_t i = g * GROUP, left = in > i ? in - i : 0, at = tile * to->groups + g * rows;
        float part[GROUP] = {0};
        Number numbers[GROUP];
        int32_t sum;
        if (left < GROUP) memcpy(part, x + i, left * sizeof *x);
        const float worth = round_group_(left < GROUP ? part : x + i, numbers, &sum);
        for (int64_t n = 0; n < GROUP; n += FOLD) memcpy(to->numbers + at * GROUP + n * rows + row * FOLD, numbers + n, FOLD * sizeof(Number));
        to->worth[at + row] = worth, to->moved[at + row] = -UP * worth * sum;
    }
}

/* y of the tile of `rows` rows from row `tile` on, for `panels` panels from `panel` on. Both counts are constants where
 * this is called. */
INLINE void tile_(const int rows, const int panels, const Int8Weight *weight, const Rows *x, float *y, int64_t tile, int64_t panel) {
    const int64_t apart = x->groups / (DEEP / GROUP) * BYTES;
    const char *at = weight->panels + panel * apart;
    const Number *numbers = x->numbers + tile * x->groups * GROUP;
    const float *worth = x->worth + tile * x->groups;
    const float *moved = x->moved + tile * x->groups;
    vec total[SUMS];
    EACH(i, rows * panels * 2) total[i] = (vec){0};
    for (int64_t g = 0; g < x->groups; g += DEEP / GROUP, at += BYTES) {
        vec part[SUMS];
        EACH(i, rows * panels * 2) part[i] = moved[i / (panels * 2)] + moved[rows + i / (panels * 2)] - (vec){0};
        EACH(half, DEEP / GROUP) {
            ivec sum[SUMS];
            EACH(i, rows * panels * 2) sum[i] = (ivec){0};
            for (int64_t i = 0; i < GROUP; i += FOLD)
                EACH(p, panels) {
                    const char *weights = at + p * apart + sizeof(float) * COLUMNS + (half * GROUP + i) * COLUMNS;
                    const ivec left = load_(weights), right = load_(weights + LANES * FOLD);
                    if (panels == 1) /* the next panel comes from memory while this one is multiplied */
                        __builtin_prefetch(weights + apart), __builtin_prefetch(weights + apart + LANES * FOLD);
                    EACH(r, rows) {
                        int32_t fold;
                        memcpy(&fold, numbers + i * rows + r * FOLD, sizeof fold);
                        sum[(r * panels + p) * 2] = add_(sum[(r * panels + p) * 2], left, fold);
                        sum[(r * panels + p) * 2 + 1] = add_(sum[(r * panels + p) * 2 + 1], right, fold);
                    }
                }
            EACH(i, rows * panels * 2) part[i] = fused_(worth[i / (panels * 2)] - (vec){0}, __builtin_convertvector(sum[i], vec), part[i]);
            worth += rows, moved += rows, numbers += GROUP * rows;
        }
        EACH(i, rows * panels * 2) total[i] = fused_(part[i], ((const vec *)(at + i / 2 % panels * apart))[i % 2], total[i]);
    }
    EACH(r, rows)
        EACH(p, panels) {
            const float *sums = (const float *)(total + (r * panels + p) * 2);
            const int64_t column = (panel + p) * COLUMNS, there = weight->out - column < COLUMNS ? weight->out - column : COLUMNS;
            float *to = y + (tile + r) * weight->out + column;
            for (int64_t c = 0; c < there; c++) to[c] = sums[c] + (weight->bias ? weight->bias[column + c] : 0);
        }
}

/* Panels [panel, end) for all rows: one or two rows take several panels at a time, for they have few sums under way. */
static void share_(const Int8Weight *weight, const Rows *x, float *y, int64_t rows, int64_t panel, int64_t end) {
    for (; rows == 1 && panel + 4 <= end; panel += 4) tile_(1, 4, weight, x, y, 0, panel);
    for (; rows == 2 && panel + 2 <= end; panel += 2) tile_(2, 2, weight, x, y, 0, panel);
    for (; rows == 3 && panel + 2 <= end; panel += 2) tile_(3, 2, weight, x, y, 0, panel);
    for (; panel < end; panel++)
        for (int64_t tile = 0; tile < rows; tile += TALL)
            switch (rows - tile < TALL ? rows - tile : TALL) {
#define CASE(rows) case rows: tile_(rows, 1, weight, x, y, tile, panel); break
            CASE(1); CASE(2); CASE(3); CASE(4); CASE(5); CASE(6);
#undef CASE
            }
}

static int64_t groups_(int64_t in) { return (in + DEEP - 1) / DEEP * (DEEP / GROUP); }

/* Bytes of the room that `multiply_int8` needs beside it. */
int64_t int8_room(int64_t in, int64_t rows) { return rows * groups_(in) * (GROUP * sizeof(Number) + 2 * sizeof(float)); }

/* y[rows][out] = x[rows][in] times the weight, plus bias. */
void multiply_int8(const Int8Weight *weight, const float *x, float *y, int64_t rows, char *room) {
    const int64_t groups = groups_(weight->in), all = rows * groups;
    float *worth = (float *)room, *moved = worth + all;
    const Rows rounded = {(Number *)(moved + all), worth, moved, groups};
#pragma omp parallel for schedule(static) if (rows * weight->in > WORTH)
    for (int64_t r = 0; r < rows; r++) {
        const int64_t tile = r / TALL * TALL;
        round_(x + r * weight->in, weight->in, &rounded, tile, rows - tile < TALL ? rows - tile : TALL, r - tile);
    }
    const int64_t panels = (weight->out + COLUMNS - 1) / COLUMNS;
#pragma omp parallel
    share_(weight, &rounded, y, rows, BEGIN(panels), END(panels));
}

/* Bytes of the panels of a weight. */
int64_t int8_size(int64_t out, int64_t in) { return (out + COLUMNS - 1) / COLUMNS * ((in + DEEP - 1) / DEEP) * BYTES; }

/* Rounds a float32 weight [out][in] and lays it out in panels. On the calling thread alone. */
void pack_int8(const float *weight, char *panels, int64_t out, int64_t in) {
    memset(panels, 0, int8_size(out, in));
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i += DEEP) {
            char *block = panels + (o / COLUMNS * ((in + DEEP - 1) / DEEP) + i / DEEP) * BYTES;
            const int64_t count = in - i < DEEP ? in - i : DEEP;
            const float *row = weight + o * in + i, scale = largest_(row, count) / 127, by = scale > 0 ? 1 / scale : 0;
            memcpy(block + o % COLUMNS * sizeof scale, &scale, sizeof scale);
            for (int64_t n = 0; n < count; n++)
                block[sizeof scale * COLUMNS + n / FOLD * FOLD * COLUMNS + o % COLUMNS * FOLD + n % FOLD] = (char)((int32_t)rintf(row[n] * by) + UP);
        }
}
