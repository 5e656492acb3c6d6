/* The nano's decoder, a Llama, for many rows at once: ragged rows, each of any number of tokens, with kept keys and values.

   A decoder this small is over before a general library has prepared its products. Here each product runs over weights that
   were put into panels beforehand, norms are folded into weights, and a row's keys lie in blocks, so that one instruction
   compares a query with many of them. Vectors are those of GCC and Clang, as wide as the processors that this is built for
   have them: `native.py` builds this more than once. Arrays begin at multiples of 64 bytes. No function allocates, and none checks its arguments: `kernel.py` does. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../../core/native.h"

#ifdef __AVX512F__
enum { LANES = 16, TALL = 12 };
#else
enum { LANES = 8, TALL = 6 };
#endif
enum { PANEL = 2 * LANES, BLOCK = 16, PARTS = BLOCK / LANES, STRETCH = 96 };

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

typedef struct {
    const float *attend, *attended, *expand, *contract; /* panels; of `expand` half of each is the gate's, half what it lets pass */
} nano_layer;

typedef struct {
    int32_t layers, hidden, inner, heads, width, vocabulary, slots, blocks; /* blocks: of each slot, of BLOCK tokens */
    float eps;
    const nano_layer *layer;
    const float *head;      /* panels, the last norm folded in */
    const float *cos, *sin; /* [places, width / 2] */
    float *keys, *values;   /* [layers, slots, blocks, heads, width, BLOCK] and [..., BLOCK, width] */
} nano_decoder;

typedef struct {
    const float *table;    /* [vocabulary, hidden]: what each token is read as */
    const int32_t *number; /* [vocabulary]: the region that each names, or -1 */
    const uint8_t *ends;   /* [vocabulary]: whether it ends an answer */
} nano_words;

static inline vec load(const float *from) { return *(const loose *)from; }
static inline void store(float *to, vec value) { *(loose *)to = value; }
static inline vec all(float value) { return value - (vec){0}; }
static inline vec most_of(vec a, vec b) {
    ivec more = b > a;
    return (vec)(((ivec)b & more) | ((ivec)a & ~more));
}

static inline float sum(vec v) {
    float parts[LANES];
    store(parts, v);
#pragma GCC unroll 4
    for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++) parts[i] += parts[i + half];
    return parts[0];
}

static inline float most(vec v) {
    float parts[LANES];
    store(parts, v);
#pragma GCC unroll 4
    for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++) parts[i] = parts[i + half] > parts[i] ? parts[i + half] : parts[i];
    return parts[0];
}

/* e to the power of each, relative error 2e-7; 0 below -87 */
static inline vec exponential(vec x) {
    ivec tiny = x < -87.0f;
    x = (vec)(((ivec)x & ~tiny) | ((ivec)all(-87.0f) & tiny));
    vec shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to the nearest whole number */
    vec whole = shifted - 12582912.0f;
    vec rest = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    vec power = all(1.9875691500e-4f);
    power = power * rest + 1.3981999507e-3f;
    power = power * rest + 8.3334519073e-3f;
    power = power * rest + 4.1665795894e-2f;
    power = power * rest + 1.6666665459e-1f;
    power = power * rest + 5.0000001201e-1f;
    power = power * rest * rest + rest + 1.0f;
    ivec exponent = ((ivec)shifted - 0x4B400000 + 127) << 23;
    vec result = power * (vec)exponent;
    return (vec)((ivec)result & ~tiny);
}

/* Rows of a panel. */
int32_t nano_panel(void) { return PANEL; }

/* Panels of PANEL rows of a matrix [rows, columns], transposed; missing rows are 0. */
void nano_pack(const float *matrix, int32_t rows, int32_t columns, float *panels) {
    for (int32_t first = 0; first < rows; first += PANEL)
        for (int32_t column = 0; column < columns; column++)
            for (int32_t row = first; row < first + PANEL; row++)
                *panels++ = row < rows ? matrix[(int64_t)row * columns + column] : 0.0f;
}

/* What becomes of a product: it is put down, added to what is there, or half of it is let pass by the other half. */
enum { PUT, ADD, GATE };

/* What gates let pass of rows of panels; a function of its own, for it would take the registers of the products before it. */
static __attribute__((noinline)) void passed(const float *both, int tall, float *out, int64_t out_stride) {
    for (int row = 0; row < tall; row++, both += PANEL, out += out_stride) {
        vec gate = load(both);
        store(out, gate / (1.0f + exponential(-gate)) * load(both + LANES));
    }
}

/* `tall` rows of a product with one panel; the next one is fetched meanwhile. */
static inline __attribute__((always_inline)) void tile(
    const int tall, const int end, const float *rows, int64_t stride, const float *panel, int32_t depth, float *out,
    int64_t out_stride) {
    vec found[TALL][2];
#pragma GCC unroll 12
    for (int row = 0; row < tall; row++) found[row][0] = found[row][1] = (vec){0};
    for (int32_t k = 0; k < depth; k++, panel += PANEL) {
        const float *next = panel + (int64_t)depth * PANEL;
        __builtin_prefetch(next, 0, 2);
        if (PANEL > 16) __builtin_prefetch(next + 16, 0, 2);
        vec left = load(panel), right = load(panel + LANES);
#pragma GCC unroll 12
        for (int row = 0; row < tall; row++) {
            vec each = all(rows[row * stride + k]);
            found[row][0] += each * left;
            found[row][1] += each * right;
        }
    }
    if (end == GATE) {
        float both[TALL * PANEL];
#pragma GCC unroll 12
        for (int row = 0; row < tall; row++) store(both + row * PANEL, found[row][0]), store(both + row * PANEL + LANES, found[row][1]);
        passed(both, tall, out, out_stride);
        return;
    }
#pragma GCC unroll 12
    for (int row = 0; row < tall; row++) {
        float *to = out + row * out_stride;
        store(to, end == ADD ? load(to) + found[row][0] : found[row][0]);
        store(to + LANES, end == ADD ? load(to + LANES) + found[row][1] : found[row][1]);
    }
}

/* rows [count, depth] times panels: [count, columns], or half as many with GATE. Tiles are equally tall: low ones are slow. */
static inline __attribute__((always_inline)) void product(
    const int end, const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out,
    int64_t out_stride) {
    const int32_t tiles = (count + TALL - 1) / TALL;
    for (int32_t first = 0; first < columns; first += PANEL, panels += (int64_t)depth * PANEL, out += end == GATE ? LANES : PANEL)
        for (int32_t index = 0, row = 0, next; index < tiles; index++, row = next) {
            next = (int32_t)((int64_t)count * (index + 1) / tiles);
            const float *from = rows + (int64_t)row * depth;
            float *to = out + row * out_stride;
            switch (next - row) {
#define OF(tall) case tall: tile(tall, end, from, depth, panels, depth, to, out_stride); break;
#ifdef __AVX512F__
                OF(12) OF(11) OF(10) OF(9) OF(8) OF(7)
#endif
                OF(6) OF(5) OF(4) OF(3) OF(2) OF(1)
#undef OF
            }
        }
}

static void put(const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out) {
    product(PUT, rows, count, depth, panels, columns, out, columns);
}

static void add(const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out) {
    product(ADD, rows, count, depth, panels, columns, out, columns);
}

static void gate(const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out) {
    product(GATE, rows, count, depth, panels, columns, out, columns / 2);
}

/* Llama's norm without its weight, which is in the panels. */
static void normed(const float *rows, int32_t count, int32_t width, float eps, float *out) {
    for (int32_t row = 0; row < count; row++, rows += width, out += width) {
        vec squares = {0};
        for (int32_t i = 0; i < width; i += LANES) squares += load(rows + i) * load(rows + i);
        float scale = 1.0f / sqrtf(sum(squares) / (float)width + eps);
        for (int32_t i = 0; i < width; i += LANES) store(out + i, load(rows + i) * scale);
    }
}

/* Rotary positions: halves of a head are the two parts of complex numbers. */
static void turn(float *vector, const float *cos, const float *sin, int32_t heads, int32_t width) {
    int32_t half = width / 2;
    for (; heads; heads--, vector += width)
        for (int32_t i = 0; i < half; i += LANES) {
            vec left = load(vector + i), right = load(vector + half + i), c = load(cos + i), s = load(sin + i);
            store(vector + i, left * c - right * s);
            store(vector + half + i, right * c + left * s);
        }
}

static void keep(const nano_decoder *d, const float *key, const float *value, float *keys, float *values, int32_t place) {
    int64_t at = (int64_t)(place / BLOCK) * d->heads * d->width * BLOCK;
    int32_t within = place % BLOCK;
    for (int32_t i = 0; i < d->heads * d->width; i++) keys[at + (int64_t)i * BLOCK + within] = key[i];
    for (int32_t head = 0; head < d->heads; head++)
        memcpy(values + at + ((int64_t)head * BLOCK + within) * d->width, value + head * d->width, sizeof(float) * d->width);
}

/* What a query finds among the first `places` tokens of its row; `scores` has room for all of them, of all heads. The keys and
   values of the row that comes next are fetched meanwhile. */
static void attend(
    const nano_decoder *d, const float *query, const float *keys, const float *values, const float *next_keys,
    const float *next_values, int32_t places, float *scores, float *out) {
    const int32_t blocks = (places + BLOCK - 1) / BLOCK, columns = blocks * BLOCK, width = d->width;
    const float scale = 1.0f / sqrtf((float)width);
    for (int32_t block = 0; block < blocks; block++)
        for (int32_t head = 0; head < d->heads; head++) {
            vec found[4][PARTS] = {{{0}}};
            const float *q = query + head * width;
            for (int32_t i = 0; i < width; i += 4, keys += 4 * BLOCK, next_keys += 4 * BLOCK)
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) {
                    __builtin_prefetch(next_keys + j * BLOCK, 0, 2);
#pragma GCC unroll 2
                    for (int part = 0; part < PARTS; part++) found[j][part] += load(keys + j * BLOCK + part * LANES) * q[i + j];
                }
#pragma GCC unroll 2
            for (int part = 0; part < PARTS; part++)
                store(scores + (int64_t)head * columns + block * BLOCK + part * LANES,
                      ((found[0][part] + found[1][part]) + (found[2][part] + found[3][part])) * scale);
        }
    for (int32_t head = 0; head < d->heads; head++) {
        float *row = scores + (int64_t)head * columns;
        for (int32_t i = places; i < columns; i++) row[i] = -INFINITY;
        vec highest = load(row), total = {0};
        for (int32_t i = LANES; i < columns; i += LANES) highest = most_of(highest, load(row + i));
        const float top = most(highest);
        for (int32_t i = 0; i < columns; i += LANES) {
            vec weight = exponential(load(row + i) - top);
            total += weight;
            store(row + i, weight);
        }
        vec share = all(1.0f / sum(total));
        for (int32_t i = 0; i < columns; i += LANES) store(row + i, load(row + i) * share);
    }
    memset(out, 0, sizeof(float) * d->heads * width);
    for (int32_t block = 0; block < blocks; block++)
        for (int32_t head = 0; head < d->heads; head++, values += BLOCK * width, next_values += BLOCK * width) {
            const float *weight = scores + (int64_t)head * columns + block * BLOCK;
            const int32_t last = places - block * BLOCK < BLOCK ? places - block * BLOCK : BLOCK;
            for (int32_t i = 0; i < width; i += PANEL) {
                vec found[2][2] = {{{0}}}; /* of every other token, for a sum takes longer than the time between two of them */
                for (int32_t place = 0; place < last; place++) {
                    const float *value = values + place * width + i, *next = next_values + place * width + i;
                    vec each = all(weight[place]);
                    __builtin_prefetch(next, 0, 2);
                    __builtin_prefetch(next + LANES, 0, 2);
                    found[0][0] += each * load(value);
                    found[0][1] += each * load(value + LANES);
                    if (++place == last) break;
                    each = all(weight[place]);
                    __builtin_prefetch(next + width, 0, 2);
                    __builtin_prefetch(next + width + LANES, 0, 2);
                    found[1][0] += each * load(value + width);
                    found[1][1] += each * load(value + width + LANES);
                }
                float *to = out + head * width + i;
                store(to, load(to) + (found[0][0] + found[1][0]));
                store(to + LANES, load(to + LANES) + (found[0][1] + found[1][1]));
            }
        }
}

static int64_t kept(const nano_decoder *d, int32_t layer, int32_t slot) {
    return ((int64_t)layer * d->slots + slot) * d->blocks * d->heads * d->width * BLOCK;
}

/* Floats of working memory that `nano_read` and `nano_tell` need. */
int64_t nano_work(const nano_decoder *d) {
    return STRETCH * (5 * (int64_t)d->hidden + d->inner) + (int64_t)d->heads * d->blocks * BLOCK;
}

/* Read tokens that are embedded already [count, hidden]; tokens of a row come in their order. `hidden` is what the decoder
   makes of them, before its last norm. Layers are the outer loop: a token sees all that its row has read. */
void nano_read(
    const nano_decoder *d, int32_t count, const int32_t *slots, const int32_t *places, float *hidden, float *work) {
    const int32_t wide = d->hidden, inner = d->inner;
    float *rows = work, *found = rows + (int64_t)STRETCH * wide, *three = found + (int64_t)STRETCH * wide;
    float *inside = three + (int64_t)STRETCH * 3 * wide, *scores = inside + (int64_t)STRETCH * inner;
    for (int32_t index = 0; index < d->layers; index++) {
        const nano_layer *layer = d->layer + index;
        for (int32_t first = 0; first < count; first += STRETCH) {
            int32_t some = count - first < STRETCH ? count - first : STRETCH;
            float *part = hidden + (int64_t)first * wide;
            normed(part, some, wide, d->eps, rows);
            put(rows, some, wide, layer->attend, 3 * wide, three);
            for (int32_t token = 0; token < some; token++) {
                int32_t place = places[first + token];
                float *query = three + (int64_t)token * 3 * wide;
                const float *cos = d->cos + (int64_t)place * d->width / 2, *sin = d->sin + (int64_t)place * d->width / 2;
                int64_t at = kept(d, index, slots[first + token]);
                int64_t next = kept(d, index, slots[first + (token + 1 < some ? token + 1 : token)]);
                turn(query, cos, sin, 2 * d->heads, d->width);
                keep(d, query + wide, query + 2 * wide, d->keys + at, d->values + at, place);
                attend(d, query, d->keys + at, d->values + at, d->keys + next, d->values + next, place + 1, scores,
                       found + (int64_t)token * wide);
            }
            add(found, some, wide, layer->attended, wide, part);
            normed(part, some, wide, d->eps, rows);
            gate(rows, some, wide, layer->expand, 2 * inner, inside);
            add(inside, some, inner, layer->contract, wide, part);
        }
    }
}

static int64_t columns_of(const nano_decoder *d) { return ((int64_t)d->vocabulary + PANEL - 1) / PANEL * PANEL; }

/* Logits [count, columns] of the tokens after hidden states; columns is the vocabulary, rounded up to whole panels. */
void nano_tell(const nano_decoder *d, int32_t count, const float *hidden, float *logits, float *work) {
    const int64_t columns = columns_of(d);
    for (int32_t first = 0; first < count; first += STRETCH) {
        int32_t some = count - first < STRETCH ? count - first : STRETCH;
        normed(hidden + (int64_t)first * d->hidden, some, d->hidden, d->eps, work);
        put(work, some, d->hidden, d->head, (int32_t)columns, logits + first * columns);
        for (int32_t row = first; row < first + some; row++)
            for (int64_t i = d->vocabulary; i < columns; i++) logits[row * columns + i] = -INFINITY;
    }
}

static float highest_of(const float *logits, int64_t columns) {
    vec highest = load(logits);
    for (int64_t i = LANES; i < columns; i += LANES) highest = most_of(highest, load(logits + i));
    return most(highest);
}

/* The first of shares by which they and those before add up to more than `chance` of all, in [0, 1). They are added up by
   vectors, and only within one of them one by one. */
static int32_t drawn(const float *shares, int32_t count, int64_t columns, double chance) {
    double total = 0, before = 0;
    for (int64_t i = 0; i < columns; i += LANES) total += sum(load(shares + i));
    const double limit = chance * total;
    int64_t first = 0;
    for (; first + LANES < columns; first += LANES) {
        double next = before + sum(load(shares + first));
        if (next > limit) break;
        before = next;
    }
    int32_t last = (int32_t)first;
    for (int32_t i = (int32_t)first; i < count; i++) {
        if (shares[i] > 0) last = i;
        before += shares[i];
        if (before > limit) return i;
    }
    return last; /* what rounding has left over */
}

/* Tokens by chance: the first whose share of the softmax and of those before it is more than `chance`, in [0, 1).
   At a temperature of 0, or below, the first of the likeliest. The logits, of `nano_tell`, are spoiled. */
void nano_choose(
    const nano_decoder *d, int32_t count, float *logits, float temperature, const double *chance, int32_t *tokens) {
    const int64_t columns = columns_of(d);
    for (int32_t row = 0; row < count; row++, logits += columns) {
        const float top = highest_of(logits, columns), sharper = 1.0f / temperature;
        if (temperature <= 0) {
            int32_t best = 0;
            while (best + 1 < d->vocabulary && logits[best] != top) best++;
            tokens[row] = best;
            continue;
        }
        for (int64_t i = 0; i < columns; i += LANES) store(logits + i, exponential((load(logits + i) - top) * sharper));
        tokens[row] = drawn(logits, d->vocabulary, columns, chance[row]);
    }
}

/* What a token is read as: its row of the table; and, where it names one of the regions of its answer's image, what is told of
   that one added to it. */
static void embed(const nano_words *w, int32_t hidden, int32_t token, const float *regions, int32_t count, float *to) {
    memcpy(to, w->table + (int64_t)token * hidden, sizeof(float) * hidden);
    const int32_t number = w->number[token];
    if (number < 0 || number >= count) return;
    for (int32_t i = 0; i < hidden; i++) to[i] += regions[(int64_t)number * hidden + i];
}

/* Write on: up to so many tokens of each row, until one of them ends its answer; how many that were. `tokens` are those before,
   which are not read yet, `places` theirs, `chance` is [steps, rows]. `hidden` [rows, hidden] and `logits` [rows, columns] are
   working memory; the result is `written` [steps, rows]. */
int32_t nano_write(
    const nano_decoder *d, const nano_words *w, int32_t rows, int32_t steps, const int32_t *slots, int32_t *places,
    const int32_t *tokens, const float *const *regions, const int32_t *counts, float temperature, const double *chance,
    float *hidden, float *logits, int32_t *written, float *work) {
    for (int32_t step = 0, ended = 0; step < steps; chance += rows, written += rows) {
        for (int32_t row = 0; row < rows; row++)
            embed(w, d->hidden, tokens[row], regions[row], counts[row], hidden + (int64_t)row * d->hidden);
        nano_read(d, rows, slots, places, hidden, work);
        nano_tell(d, rows, hidden, logits, work);
        nano_choose(d, rows, logits, temperature, chance, written);
        step++;
        for (int32_t row = 0; row < rows; row++) places[row]++, ended |= w->ends[written[row]];
        if (ended) return step;
        tokens = written;
    }
    return steps;
}

/* Let a slot begin as another one does: its first `places` tokens, rounded up to whole blocks. */
void nano_copy(const nano_decoder *d, int32_t from, int32_t to, int32_t places) {
    const size_t bytes = sizeof(float) * ((places + BLOCK - 1) / BLOCK) * d->heads * d->width * BLOCK;
    for (int32_t layer = 0; layer < d->layers; layer++) {
        memcpy(d->keys + kept(d, layer, to), d->keys + kept(d, layer, from), bytes);
        memcpy(d->values + kept(d, layer, to), d->values + kept(d, layer, from), bytes);
    }
}
