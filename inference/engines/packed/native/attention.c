/* Attention over the KV cache, and the way into it. */
#include "vectors.h"

/* Keys that are scored at a time, counted from the first token of a sequence. They lie together, number by number:
 * [dim][TILE]. */
#define TILE 64
#define VECTORS 4     /* of keys, or of a value, beside each other in a loop */
#define QUERIES (LANES == 16 ? 6 : 3) /* that share what was read; their sums fit into the registers */

typedef struct {
    void *keys, *values;         /* [slots x heads][dim], a region's heads one after the other; keys in tiles */
    int64_t kv_heads, group;     /* query heads per KV head */
    int64_t key_dim, value_dim;  /* multiples of LANES */
    int64_t half;                /* keys and values are 1: bfloat16, 0: float32 */
    int64_t window;              /* tokens that a query sees, itself included; 0: all */
    float scale;
} Layer;

/* One block of query tokens of one sequence: tokens [begin, begin + count) of the pack at positions from
 * `position` on; its region begins at slot `start` and holds `capacity` tokens. */
typedef struct { int64_t begin, count, position, start, capacity; } Block;

/* A row to `memory`, its numbers `apart` from each other. */
static void put_(void *memory, int64_t at, int64_t apart, const float *row, int64_t size, int64_t half) {
    for (int64_t i = 0; i < size; i++)
        if (half) ((uint16_t *)memory)[at + i * apart] = bfloat_(row[i]);
        else ((float *)memory)[at + i * apart] = row[i];
}

/* Keys and values [token][head][dim] (strides from token to token, and from head to head) of all blocks. */
void store(const Layer *layer, const Block *blocks, int64_t count, const float *key, int64_t key_token, int64_t key_head, const float *value, int64_t value_token, int64_t value_head) {
    for (int64_t b = 0; b < count; b++)
        for (int64_t t = 0; t < blocks[b].count; t++)
            for (int64_t h = 0; h < layer->kv_heads; h++) {
                const int64_t place = blocks[b].start * layer->kv_heads + h * blocks[b].capacity + blocks[b].position + t;
                const int64_t token = blocks[b].begin + t, first = place / TILE * TILE;
                put_(layer->keys, first * layer->key_dim + place - first, TILE, key + token * key_token + h * key_head, layer->key_dim, layer->half);
                put_(layer->values, place * layer->value_dim, 1, value + token * value_token + h * value_head, layer->value_dim, layer->half);
            }
}

INLINE vec load_(const void *memory, int64_t at, const int half) {
    return half ? widen_((const uint16_t *)memory + at) : *(const vec *)((const float *)memory + at);
}

/* `count` numbers from `at` on: as they lie there or, where many will read them, as float32 in `room`. */
static const void *read_(const void *memory, int64_t at, int64_t count, int64_t half, float *room) {
    if (!half) return (const float *)memory + at;
    const uint16_t *from = (const uint16_t *)memory + at;
    if (!room) return from;
    for (int64_t i = 0; i < count; i += LANES) *(vec *)(room + i) = widen_(from + i);
    return room;
}

/* scores[n][t] = q[n] . k[t], each summed from the first number to the last. */
INLINE void score_(const int queries, const int half, const float *q, const void *k, float (*scores)[TILE], int64_t size) {
    for (int64_t t = 0; t < TILE; t += VECTORS * LANES) {
        vec sum[QUERIES * VECTORS];
        EACH(i, queries * VECTORS) sum[i] = (vec){0};
        for (int64_t i = 0; i < size; i++)
            EACH(v, VECTORS) {
                const vec keys = load_(k, i * TILE + t + v * LANES, half);
                EACH(n, queries) sum[n * VECTORS + v] += q[n * size + i] * keys;
            }
        EACH(n, queries)
            EACH(v, VECTORS) *(vec *)(scores[n] + t + v * LANES) = sum[n * VECTORS + v];
    }
}

/* sums[n][:vectors * LANES] += p[n][t] * v[t], in the order of t; `at` is the first number of v that counts. */
INLINE void gather_(const int queries, const int vectors, const int half, float (*p)[TILE], const void *v, int64_t at, float *sums, int64_t count, int64_t size) {
    vec sum[QUERIES * VECTORS];
    EACH(i, queries * vectors) sum[i] = *(vec *)(sums + i / vectors * size + i % vectors * LANES);
    for (int64_t t = 0; t < count; t++)
        EACH(i, vectors) {
            const vec value = load_(v, at + t * size + i * LANES, half);
            EACH(n, queries) sum[n * vectors + i] += p[n][t] * value;
        }
    EACH(i, queries * vectors) *(vec *)(sums + i / vectors * size + i % vectors * LANES) = sum[i];
}

/* What one query has seen of its keys: the largest score, and the total of their weights. */
typedef struct { float most, total; } Seen;

/* Scores, of which the query sees p[first:last], become weights, and what it has seen before fades accordingly
 * (online softmax, Milakov and Gimelshein 2018). */
static void weigh_(float *p, int first, int last, int64_t size, Seen *seen, float *sums) {
    if (first >= last) {
        memset(p, 0, TILE * sizeof *p);
        return;
    }
    vec *scores = (vec *)p, all = {0}, most = {0};
    for (int t = 0; t < TILE; t++) p[t] = t >= first && t < last ? p[t] : -INFINITY;
    most += seen->most;
    for (int i = 0; i < TILE / LANES; i++) most = larger_(scores[i], most);
    const float top = largest_of_(most), fade = exp_(seen->most - top);
    for (int t = 0; t < TILE; t++) p[t] = exp_(p[t] - top);
    for (int i = 0; i < TILE / LANES; i++) all += scores[i];
    if (fade != 1)
        for (int64_t i = 0; i < size; i++) sums[i] *= fade;
    seen->total = seen->total * fade + sum_(all), seen->most = top;
}

/* Some queries of a block, the first of which is number `from`, over one tile of keys. */
INLINE void take_(const int queries, const int half, const Layer *layer, const Block *block, int64_t from, int64_t tile, int64_t there, const float *q, const void *k, const void *v, Seen *seen, float *sums) {
    const int64_t size = layer->value_dim;
    float p[QUERIES][TILE];
    score_(queries, half, q, k, p, layer->key_dim);
    EACH(n, queries) {
        const int64_t position = block->position + (from + n) / layer->group - tile;
        const int64_t first = layer->window && position >= layer->window ? position - layer->window + 1 : 0;
        weigh_(p[n], first, position + 1 < there ? position + 1 : there, size, seen + n, sums + n * size);
    }
    int64_t i = 0;
    for (; i + VECTORS * LANES <= size; i += VECTORS * LANES) gather_(queries, VECTORS, half, p, v, i, sums + i, there, size);
    for (; i < size; i += LANES) gather_(queries, 1, half, p, v, i, sums + i, there, size);
}

/* All queries of one block that share one KV head. */
static void attend_(const Layer *layer, const Block *block, int64_t head, const float *query, int64_t query_token, int64_t query_head, float *out) {
    const int64_t key_dim = layer->key_dim, value_dim = layer->value_dim, group = layer->group;
    const int64_t queries = block->count * group, heads = layer->kv_heads * group;
    const int64_t base = block->start * layer->kv_heads + head * block->capacity;
    const int64_t end = block->position + block->count;
    const int64_t begin = layer->window && block->position >= layer->window ? block->position - layer->window + 1 : 0;
    float q[queries * key_dim], sums[queries * value_dim];
    const int many = queries > QUERIES, half = layer->half && !many;
    float key_room[TILE * key_dim], value_room[TILE * value_dim];
    Seen seen[queries];
    memset(sums, 0, sizeof sums);
    for (int64_t n = 0; n < queries; n++) {
        const float *from = query + (block->begin + n / group) * query_token + (head * group + n % group) * query_head;
        for (int64_t i = 0; i < key_dim; i++) q[n * key_dim + i] = from[i] * layer->scale;
        seen[n] = (Seen){-INFINITY, 0};
    }
    for (int64_t tile = begin / TILE * TILE; tile < end; tile += TILE) {
        const int64_t there = end - tile < TILE ? end - tile : TILE;
        const void *k = read_(layer->keys, (base + tile) * key_dim, TILE * key_dim, layer->half, many ? key_room : NULL);
        const void *v = read_(layer->values, (base + tile) * value_dim, there * value_dim, layer->half, many ? value_room : NULL);
        for (int64_t n = 0; n < queries; n += QUERIES) {
#define CASE(count) case count: \
                if (half) take_(count, 1, layer, block, n, tile, there, q + n * key_dim, k, v, seen + n, sums + n * value_dim); \
                else take_(count, 0, layer, block, n, tile, there, q + n * key_dim, k, v, seen + n, sums + n * value_dim); \
                break
            switch (queries - n < QUERIES ? queries - n : QUERIES) {
                CASE(1); CASE(2); CASE(3);
#if LANES == 16
                CASE(4); CASE(5); CASE(6);
#endif
            }
#undef CASE
        }
    }
    for (int64_t n = 0; n < queries; n++) {
        float *to = out + ((block->begin + n / group) * heads + head * group + n % group) * value_dim;
        for (int64_t i = 0; i < value_dim; i++) to[i] = sums[n * value_dim + i] / seen[n].total;
    }
}

/* out[token][head][value_dim]; query with strides from token to token and from head to head. */
void attend(const Layer *layer, const Block *blocks, int64_t count, const float *query, int64_t query_token, int64_t query_head, float *out) {
    const int64_t tasks = count * layer->kv_heads;
#pragma omp parallel for schedule(dynamic)
    for (int64_t task = 0; task < tasks; task++)
        attend_(layer, blocks + task / layer->kv_heads, task % layer->kv_heads, query, query_token, query_head, out);
}
