/* Attention of tokens to what their row has read.

   What a row has read lies in blocks of BLOCK tokens, which rows that begin alike have in common. Of a block's keys four numbers of
   each token lie together, so that one instruction compares a query with several tokens, and a new token writes to few lines of
   memory. Blocks are fetched during the products before (`nano_ahead`): attention itself is over before they would be there. */

enum { BLOCK = 16, WAVE = 24, GROUPS = BLOCK / LANES, HEAD = 32 };

/* Tokens of one row that look; the blocks of their row, and their places there. */
typedef struct {
    int32_t heads, width;
    int64_t offset; /* of a layer within a block: keys [heads, width / 4, BLOCK, 4], then values [heads, BLOCK, width] */
    const float *queries; /* [heads, width] of each, 3 * heads * width apart */
    float *const *blocks;
    const int32_t *places;
} nano_gaze;

/* Four numbers of each of the vector's four; of the second vector, from LANES on. */
#ifdef __AVX512F__
#define EACH(a, b, c, d) a, b, c, d, a + 4, b + 4, c + 4, d + 4, a + 8, b + 8, c + 8, d + 8, a + 12, b + 12, c + 12, d + 12
#define FIRST 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3
#else
#define EACH(a, b, c, d) a, b, c, d, a + 4, b + 4, c + 4, d + 4
#define FIRST 0, 1, 2, 3, 0, 1, 2, 3
#endif
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLED(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#else
#define SHUFFLED(one, other, ...) __builtin_shuffle(one, other, (ivec){__VA_ARGS__})
#endif

/* Sums of fours: those of the first vector's first four, of the second's, third's, fourth's; then of their second fours. */
static inline vec sums_of_four(const vec *each) {
    vec two[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        vec left = each[2 * i], right = each[2 * i + 1];
        two[i] = SHUFFLED(left, right, EACH(0, LANES, 1, LANES + 1)) + SHUFFLED(left, right, EACH(2, LANES + 2, 3, LANES + 3));
    }
    return SHUFFLED(two[0], two[1], EACH(0, 1, LANES, LANES + 1)) + SHUFFLED(two[0], two[1], EACH(2, 3, LANES + 2, LANES + 3));
}

/* Where in a block's keys a token is, so that `sums_of_four` are in the order of tokens. */
static inline int32_t seat(int32_t token) {
    return ((token / LANES * 4 + token % 4) * LANES + token % LANES / 4 * 4) / 4;
}

/* Keep a token's key and value at its place. */
static void keep(int32_t heads, int32_t width, const float *key, const float *value, float *block, int32_t place) {
    float *keys = block + seat(place % BLOCK) * 4, *values = block + (int64_t)heads * width * BLOCK + place % BLOCK * width;
    for (int32_t i = 0; i < heads * width; i += 4) memcpy(keys + (int64_t)i * BLOCK, key + i, sizeof(float) * 4);
    for (int32_t head = 0; head < heads; head++, values += width * BLOCK, value += width)
        memcpy(values, value, sizeof(float) * width);
}

/* Keep what a block holds of its first tokens in another one, too. */
static void repeat(int32_t heads, int32_t width, const float *block, float *to, int32_t tokens) {
    const int64_t head = (int64_t)width * BLOCK, keys = heads * head;
    for (int64_t i = 0; i < keys; i += 4 * BLOCK)
        for (int32_t token = 0; token < tokens; token++) memcpy(to + i + seat(token) * 4, block + i + seat(token) * 4, sizeof(float) * 4);
    for (int64_t i = keys; i < 2 * keys; i += head) memcpy(to + i, block + i, sizeof(float) * tokens * width);
}

/* Scores of one head's query and the keys of blocks. */
static void compare(const nano_gaze *g, int32_t token, int32_t head, int32_t blocks, float *scores) {
    const float *query = g->queries + ((int64_t)token * 3 * g->heads + head) * g->width, scale = 1.0f / sqrtf((float)g->width);
    for (int32_t side = 0; side < g->width; side += HEAD) {
        vec asked[HEAD / 4];
#pragma GCC unroll 8
        for (int i = 0; i < HEAD / 4; i++) {
            vec four = load(query + side + 4 * i);
            asked[i] = SHUFFLED(four, four, FIRST) * scale;
        }
        for (int32_t block = 0; block < blocks; block++) {
            const float *keys = g->blocks[block] + g->offset + ((int64_t)head * g->width + side) * BLOCK;
            float *to = scores + block * BLOCK;
#pragma GCC unroll 2
            for (int group = 0; group < GROUPS; group++, to += LANES) {
                vec found[4] = {{0}, {0}, {0}, {0}};
#pragma GCC unroll 8
                for (int i = 0; i < HEAD / 4; i++)
#pragma GCC unroll 4
                    for (int j = 0; j < 4; j++) found[j] += asked[i] * load(keys + i * 4 * BLOCK + (group * 4 + j) * LANES);
                vec four = sums_of_four(found);
                store(to, side ? load(to) + four : four);
            }
        }
    }
}

/* e to the power of scores, in place, as far as the highest is 0; of those after the first `count` it is 0. */
static void weigh(float *scores, int32_t count, int32_t columns) {
    for (int32_t i = count; i < columns; i++) scores[i] = -INFINITY;
    vec highest = load(scores);
    for (int32_t i = LANES; i < columns; i += LANES) highest = most_of(highest, load(scores + i));
    const float top = most(highest);
    for (int32_t i = 0; i < columns; i += LANES) store(scores + i, exponential(load(scores + i) - top));
}

/* The mean of one head's first `count` values by their weights. */
static void gather(const nano_gaze *g, int32_t head, const float *weights, int32_t count, float *out) {
    for (int32_t side = 0; side < g->width; side += HEAD) {
        vec found[2][HEAD / LANES], total[2] = {{0}, {0}}; /* of every other token, for a sum takes longer than the time between two */
#pragma GCC unroll 4
        for (int i = 0; i < HEAD / LANES; i++) found[0][i] = found[1][i] = (vec){0};
        for (int32_t first = 0; first < count; first += BLOCK) {
            const float *values = g->blocks[first / BLOCK] + g->offset + ((int64_t)g->heads + head) * g->width * BLOCK + side;
            const int32_t last = count - first < BLOCK ? count - first : BLOCK;
            int32_t place = 0;
#define ONE(odd) \
    { \
        vec weight = all(weights[first + place + odd]); \
        total[odd] += weight; \
        _Pragma("GCC unroll 4") for (int i = 0; i < HEAD / LANES; i++) found[odd][i] += weight * load(values + odd * g->width + i * LANES); \
    }
            for (; place + 1 < last; place += 2, values += 2 * g->width) {
                ONE(0)
                ONE(1)
            }
            if (place < last) ONE(0)
#undef ONE
        }
        const vec share = 1.0f / (total[0] + total[1]);
#pragma GCC unroll 4
        for (int i = 0; i < HEAD / LANES; i++) store(out + side + i * LANES, (found[0][i] + found[1][i]) * share);
    }
}

static int32_t blocks_to(int32_t place) { return place / BLOCK + 1; }

/* Floats that `attend` needs for rows of so many tokens, in whole blocks. */
static int64_t scores_room(int32_t heads, int64_t tokens) { return (heads > WAVE ? heads : WAVE) * tokens; }

/* What `count` tokens, WAVE at most, find among those of their row up to their own: `out` [count, heads, width]. One token alone
   looks by all heads before it sums up, for what is compared must be known before; several do so head by head, at the same blocks. */
static void attend(const nano_gaze *g, int32_t count, float *scores, float *out) {
    const int32_t together = count == 1 ? g->heads : 1;
    int32_t blocks = 0;
    for (int32_t token = 0; token < count; token++)
        if (blocks_to(g->places[token]) > blocks) blocks = blocks_to(g->places[token]);
    const int64_t columns = (int64_t)blocks * BLOCK;
    for (int32_t first = 0; first < g->heads; first += together) {
        float *line = scores;
        for (int32_t head = first; head < first + together; head++)
            for (int32_t token = 0; token < count; token++, line += columns)
                compare(g, token, head, blocks_to(g->places[token]), line);
        line = scores;
        for (int32_t head = first; head < first + together; head++)
            for (int32_t token = 0; token < count; token++, line += columns)
                weigh(line, g->places[token] + 1, blocks_to(g->places[token]) * BLOCK);
        line = scores;
        for (int32_t head = first; head < first + together; head++)
            for (int32_t token = 0; token < count; token++, line += columns)
                gather(g, head, line, g->places[token] + 1, out + ((int64_t)token * g->heads + head) * g->width);
    }
}
