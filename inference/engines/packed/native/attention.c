/* Attention over the KV cache, and the way into it. */
#include "vectors.h"

#define TILE 64       /* keys that are scored at a time, counted from the first token of a sequence */

typedef float vec4 __attribute__((vector_size(16)));
typedef int32_t places4 __attribute__((vector_size(16)));

static inline vec4 fold_(vec v) {
    vec4 part[LANES / 4];
    memcpy(part, &v, sizeof part);
#if LANES == 16
    part[0] += part[2], part[1] += part[3];
#endif
    return part[0] + part[1];
}

/* The sums of the numbers of four vectors, each added in the same order. */
static inline vec4 sums_(vec a, vec b, vec c, vec d) {
    const vec4 p = fold_(a), q = fold_(b), r = fold_(c), s = fold_(d);
    const vec4 left = __builtin_shuffle(p, q, (places4){0, 4, 1, 5}) + __builtin_shuffle(p, q, (places4){2, 6, 3, 7});
    const vec4 right = __builtin_shuffle(r, s, (places4){0, 4, 1, 5}) + __builtin_shuffle(r, s, (places4){2, 6, 3, 7});
    return __builtin_shuffle(left, right, (places4){0, 1, 4, 5}) + __builtin_shuffle(left, right, (places4){2, 3, 6, 7});
}

typedef struct {
    float *keys, *values;        /* [slots x heads][dim], a region's heads one after the other */
    int64_t kv_heads, group;     /* query heads per KV head */
    int64_t key_dim, value_dim;  /* multiples of LANES */
    int64_t half;                /* keys and values are 1: bfloat16, 0: float32 */
    int64_t window;              /* tokens that a query sees, itself included; 0: all */
    float scale;
} Layer;

/* One block of query tokens of one sequence: tokens [begin, begin + count) of the pack at positions from
 * `position` on; its region begins at slot `start` and holds `capacity` tokens. */
typedef struct { int64_t begin, count, position, start, capacity; } Block;

static void put_(void *memory, int64_t place, const float *row, int64_t size, int64_t half) {
    if (half) {
        uint16_t *to = (uint16_t *)memory + place * size;
        for (int64_t i = 0; i < size; i++) to[i] = bfloat_(row[i]);
    } else
        memcpy((float *)memory + place * size, row, size * sizeof *row);
}

/* Keys and values [token][head][dim] (strides from token to token, and from head to head) of all blocks. */
void store(const Layer *layer, const Block *blocks, int64_t count, const float *key, int64_t key_token, int64_t key_head, const float *value, int64_t value_token, int64_t value_head) {
    for (int64_t b = 0; b < count; b++)
        for (int64_t t = 0; t < blocks[b].count; t++)
            for (int64_t h = 0; h < layer->kv_heads; h++) {
                const int64_t place = blocks[b].start * layer->kv_heads + h * blocks[b].capacity + blocks[b].position + t;
                const int64_t token = blocks[b].begin + t;
                put_(layer->keys, place, key + token * key_token + h * key_head, layer->key_dim, layer->half);
                put_(layer->values, place, value + token * value_token + h * value_head, layer->value_dim, layer->half);
            }
}

/* `count` rows from `place` on as float32, in `room` where they are not already. */
static const float *rows_(const float *memory, int64_t place, int64_t count, int64_t size, int64_t half, float *room) {
    if (!half) return memory + place * size;
    const uint16_t *from = (const uint16_t *)memory + place * size;
    for (int64_t i = 0; i < count * size; i++) {
        const uint32_t bits = (uint32_t)from[i] << 16;
        memcpy(room + i, &bits, 4);
    }
    return room;
}

/* scores[n][t] = q[n] . k[t] for `queries` (one or two) queries; the last keys one by one. */
INLINE void score_(const int queries, const float *q, const float *k, float (*scores)[TILE], int64_t count, int64_t size) {
    int64_t t = 0;
    for (; t + 4 <= count; t += 4) {
        const float *k0 = k + t * size, *k1 = k0 + size, *k2 = k1 + size, *k3 = k2 + size;
        vec a[2] = {{0}, {0}}, b[2] = {{0}, {0}}, c[2] = {{0}, {0}}, d[2] = {{0}, {0}};
        for (int64_t i = 0; i < size; i += LANES)
            for (int n = 0; n < queries; n++) {
                const vec x = *(const vec *)(q + n * size + i);
                a[n] += x * *(const vec *)(k0 + i), b[n] += x * *(const vec *)(k1 + i);
                c[n] += x * *(const vec *)(k2 + i), d[n] += x * *(const vec *)(k3 + i);
            }
        for (int n = 0; n < queries; n++) {
            const vec4 four = sums_(a[n], b[n], c[n], d[n]);
            memcpy(&scores[n][t], &four, sizeof four);
        }
    }
    for (; t < count; t++)
        for (int n = 0; n < queries; n++) {
            vec a = {0};
            for (int64_t i = 0; i < size; i += LANES) a += *(const vec *)(q + n * size + i) * *(const vec *)(k + t * size + i);
            scores[n][t] = sums_(a, a, a, a)[0];
        }
}

/* out[:vectors * LANES] += sum of p[t] * v[t], in the order of t. */
INLINE void gather_part_(const int vectors, const float *p, const float *v, float *out, int64_t count, int64_t size) {
    vec sum[vectors];
    for (int i = 0; i < vectors; i++) sum[i] = *(vec *)(out + i * LANES);
    for (int64_t t = 0; t < count; t++)
        for (int i = 0; i < vectors; i++) sum[i] += p[t] * *(const vec *)(v + t * size + i * LANES);
    for (int i = 0; i < vectors; i++) *(vec *)(out + i * LANES) = sum[i];
}

static void gather_(const float *p, const float *v, float *out, int64_t count, int64_t size) {
    int64_t i = 0;
    for (; i + 8 * LANES <= size; i += 8 * LANES) gather_part_(8, p, v + i, out + i, count, size);
    for (; i + 4 * LANES <= size; i += 4 * LANES) gather_part_(4, p, v + i, out + i, count, size);
    for (; i < size; i += LANES) gather_part_(1, p, v + i, out + i, count, size);
}

/* Takes the scores p[first:last] of one query and their values into what it has seen before: the largest score,
 * the total of its weights and the weighted sum (online softmax, Milakov and Gimelshein 2018). */
static void take_(float *p, const float *v, int64_t first, int64_t last, int64_t size, float *most, float *total, float *sum) {
    float top = *most, weights = 0;
    for (int64_t t = first; t < last; t++) top = p[t] > top ? p[t] : top;
    const float fade = exp_(*most - top);
    for (int64_t t = first; t < last; t++) weights += p[t] = exp_(p[t] - top);
    if (fade != 1)
        for (int64_t i = 0; i < size; i++) sum[i] *= fade;
    gather_(p + first, v + first * size, sum, last - first, size);
    *total = *total * fade + weights, *most = top;
}

/* All queries of one block that share one KV head. */
static void attend_(const Layer *layer, const Block *block, int64_t head, const float *query, int64_t query_token, int64_t query_head, float *out) {
    const int64_t key_dim = layer->key_dim, value_dim = layer->value_dim, group = layer->group;
    const int64_t queries = block->count * group, heads = layer->kv_heads * group;
    const int64_t base = block->start * layer->kv_heads + head * block->capacity;
    const int64_t end = block->position + block->count;
    const int64_t seen = layer->window && block->position >= layer->window ? block->position - layer->window + 1 : 0;
    float q[queries * key_dim], sums[queries * value_dim], most[queries], total[queries], p[2][TILE];
    float key_room[layer->half ? TILE * key_dim : 1], value_room[layer->half ? TILE * value_dim : 1];
    memset(sums, 0, sizeof sums);
    for (int64_t n = 0; n < queries; n++) {
        const float *from = query + (block->begin + n / group) * query_token + (head * group + n % group) * query_head;
        for (int64_t i = 0; i < key_dim; i++) q[n * key_dim + i] = from[i] * layer->scale;
        most[n] = -INFINITY, total[n] = 0;
    }
    for (int64_t tile = seen / TILE * TILE; tile < end; tile += TILE) {
        const int64_t there = end - tile < TILE ? end - tile : TILE;
        const float *k = rows_(layer->keys, base + tile, there, key_dim, layer->half, key_room);
        const float *v = rows_(layer->values, base + tile, there, value_dim, layer->half, value_room);
        for (int64_t pair = 0; pair < queries; pair += 2) {
            const int both = pair + 1 < queries;
            if (both) score_(2, q + pair * key_dim, k, p, there, key_dim);
            else score_(1, q + pair * key_dim, k, p, there, key_dim);
            for (int64_t n = pair; n <= pair + both; n++) {
                /* What this query sees of the tile. */
                const int64_t position = block->position + n / group - tile;
                const int64_t first = layer->window && position >= layer->window ? position - layer->window + 1 : 0;
                const int64_t last = position + 1 < there ? position + 1 : there;
                if (first < last) take_(p[n - pair], v, first, last, value_dim, most + n, total + n, sums + n * value_dim);
            }
        }
    }
    for (int64_t n = 0; n < queries; n++) {
        float *to = out + ((block->begin + n / group) * heads + head * group + n % group) * value_dim;
        for (int64_t i = 0; i < value_dim; i++) to[i] = sums[n * value_dim + i] / total[n];
    }
}

/* out[token][head][value_dim]; query with strides from token to token and from head to head. */
void attend(const Layer *layer, const Block *blocks, int64_t count, const float *query, int64_t query_token, int64_t query_head, float *out) {
    const int64_t tasks = count * layer->kv_heads;
#pragma omp parallel for schedule(dynamic)
    for (int64_t task = 0; task < tasks; task++)
        attend_(layer, blocks + task / layer->kv_heads, task % layer->kv_heads, query, query_token, query_head, out);
}
