/* Attention of many tokens at once to what their rows have read.

   What a row has read lies in blocks of BLOCK tokens, which rows that begin alike have in common: keys of a block so that one
   instruction compares a query with many of them. Neighbouring tokens whose rows have a block in common look at it together, for
   fetching it takes longer than comparing. */

enum { BLOCK = 16, PARTS = BLOCK / LANES, TOGETHER = LANES == 16 ? 6 : 1, WAVE = 24 };

/* Tokens that look, each [3, heads, width]: query, key, value; for each the blocks of its row, and its place there. */
typedef struct {
    int32_t heads, width;
    int64_t offset; /* of a layer within a block: keys [heads, width, BLOCK], then values [heads, BLOCK, width] */
    const float *tokens;
    float *const *const *blocks;
    const int32_t *places;
} nano_gaze;

/* Scores of one head's queries and a block; the next block is fetched meanwhile. */
static inline __attribute__((always_inline)) void compare(
    const int some, const nano_gaze *g, const float *query, const float *keys, const float *next, float *scores, int64_t stride) {
    const int64_t apart = 3 * (int64_t)g->heads * g->width;
    const float scale = 1.0f / sqrtf((float)g->width);
    vec found[TOGETHER][4][PARTS];
#pragma GCC unroll 6
    for (int each = 0; each < some; each++)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
#pragma GCC unroll 2
            for (int part = 0; part < PARTS; part++) found[each][j][part] = (vec){0};
    for (int32_t i = 0; i < g->width; i += 4, keys += 4 * BLOCK, next += 4 * BLOCK)
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            __builtin_prefetch(next + j * BLOCK, 0, 2);
#pragma GCC unroll 2
            for (int part = 0; part < PARTS; part++) {
                vec key = load(keys + j * BLOCK + part * LANES);
#pragma GCC unroll 6
                for (int each = 0; each < some; each++) found[each][j][part] += key * query[each * apart + i + j];
            }
        }
#pragma GCC unroll 6
    for (int each = 0; each < some; each++)
#pragma GCC unroll 2
        for (int part = 0; part < PARTS; part++)
            store(scores + each * stride + part * LANES,
                  ((found[each][0][part] + found[each][1][part]) + (found[each][2][part] + found[each][3][part])) * scale);
}

/* Sums of a block's first values by their weights, of one head, added to `out`; an even number of values, and the weights of those
   that a token does not see are 0. */
static inline __attribute__((always_inline)) void gather(
    const int some, const nano_gaze *g, const float *weights, int64_t stride, int32_t last, const float *values, const float *next,
    float *out) {
    const int64_t apart = (int64_t)g->heads * g->width;
    for (int32_t i = 0; i < g->width; i += PANEL) {
        vec found[TOGETHER][2][2]; /* of every other token, for a sum takes longer than the time between two of them */
#pragma GCC unroll 6
        for (int each = 0; each < some; each++)
            found[each][0][0] = found[each][0][1] = found[each][1][0] = found[each][1][1] = (vec){0};
        for (int32_t place = 0; place < last; place += 2)
#pragma GCC unroll 2
            for (int odd = 0; odd < 2; odd++) {
                const int32_t at = (place + odd) * g->width + i;
                vec left = load(values + at), right = load(values + at + LANES);
                __builtin_prefetch(next + at, 0, 2);
                __builtin_prefetch(next + at + LANES, 0, 2);
#pragma GCC unroll 6
                for (int each = 0; each < some; each++) {
                    vec weight = all(weights[each * stride + place + odd]);
                    found[each][odd][0] += weight * left;
                    found[each][odd][1] += weight * right;
                }
            }
#pragma GCC unroll 6
        for (int each = 0; each < some; each++) {
            float *to = out + each * apart + i;
            store(to, load(to) + (found[each][0][0] + found[each][1][0]));
            store(to + LANES, load(to + LANES) + (found[each][0][1] + found[each][1][1]));
        }
    }
}

static void softmax(float *scores, int32_t count, int32_t columns) {
    for (int32_t i = count; i < columns; i++) scores[i] = -INFINITY;
    vec highest = load(scores), total = {0};
    for (int32_t i = LANES; i < columns; i += LANES) highest = most_of(highest, load(scores + i));
    const float top = most(highest);
    for (int32_t i = 0; i < columns; i += LANES) {
        vec weight = exponential(load(scores + i) - top);
        total += weight;
        store(scores + i, weight);
    }
    vec share = all(1.0f / sum(total));
    for (int32_t i = 0; i < columns; i += LANES) store(scores + i, load(scores + i) * share);
}

static int sees(const nano_gaze *g, int32_t token, int32_t block) { return g->places[token] / BLOCK >= block; }

/* How many tokens from this one on have a block in common, and look at it together. */
static int32_t alike(const nano_gaze *g, int32_t token, int32_t count, int32_t block) {
    int32_t next = token + 1;
    while (next < count && next - token < TOGETHER && sees(g, next, block) && g->blocks[next][block] == g->blocks[token][block])
        next++;
    return next - token;
}

/* The block that is looked at from this token of this block on; NULL after the last. */
static const float *coming(const nano_gaze *g, int32_t token, int32_t count, int32_t block) {
    for (int last = 0; !last; block++, token = 0) {
        last = !token;
        for (; token < count; token++)
            if (sees(g, token, block)) return g->blocks[token][block] + g->offset;
    }
    return 0;
}

/* What `count` tokens, WAVE at most, find among the tokens of their rows up to their own: `out` [count, heads, width]. `scores` has room
   for [count, heads] times the longest of them in whole blocks. */
static void attend(const nano_gaze *g, int32_t count, float *scores, float *out) {
    const int64_t half = (int64_t)g->heads * g->width * BLOCK, wide = (int64_t)g->heads * g->width;
    int32_t blocks = 0;
    for (int32_t token = 0; token < count; token++)
        if (sees(g, token, blocks)) blocks = g->places[token] / BLOCK + 1;
    const int64_t columns = (int64_t)blocks * BLOCK, stride = g->heads * columns;
    memset(out, 0, sizeof(float) * count * wide);
    for (int pass = 0; pass < 2; pass++) { /* first keys, then values */
        for (int32_t block = 0; block < blocks; block++)
            for (int32_t token = 0, some; token < count; token += some) {
                some = 1;
                if (!sees(g, token, block)) continue;
                some = alike(g, token, count, block);
                const float *from = g->blocks[token][block] + g->offset + pass * half;
                const float *next = coming(g, token + some, count, block);
                next = next ? next + pass * half : pass ? from : g->blocks[0][0] + g->offset + half;
                int32_t last = 0; /* of the block's tokens, how many any of these sees */
                for (int32_t each = token; each < token + some; each++)
                    if (g->places[each] - block * BLOCK >= last) last = g->places[each] - block * BLOCK + 1;
                last = last > BLOCK ? BLOCK : last + last % 2;
                for (int32_t head = 0; head < g->heads; head++, from += half / g->heads, next += half / g->heads) {
                    float *at = scores + token * stride + head * columns + block * BLOCK;
                    const float *query = g->tokens + token * 3 * wide + head * g->width;
                    float *to = out + token * wide + head * g->width;
                    switch (some) {
#define OF(n) case n: if (pass) gather(n, g, at, stride, last, from, next, to); else compare(n, g, query, from, next, at, stride); break;
#ifdef __AVX512F__
                        OF(6) OF(5) OF(4) OF(3) OF(2)
#endif
                        OF(1)
#undef OF
                    }
                }
            }
        if (!pass)
            for (int32_t token = 0; token < count; token++)
                for (int32_t head = 0; head < g->heads; head++)
                    softmax(scores + token * stride + head * columns, g->places[token] + 1,
                            (g->places[token] / BLOCK + 1) * BLOCK);
    }
}
