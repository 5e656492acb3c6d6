/* The nano's decoder, a Llama, for many rows at once: ragged rows, each of any number of tokens, with kept keys and values.

   A decoder this small is over before a general library has prepared its products. Here each product runs over weights that
   were put into panels beforehand, norms are folded into weights, and a row's keys lie in blocks, so that one instruction
   compares a query with eight of them. Vectors are those of GCC and Clang, which every processor has; the panels' width suits
   256 bits. No function allocates, and none checks its arguments: `kernel.py` does. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../../core/native.h"

typedef float vec __attribute__((vector_size(32)));
typedef float loose __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(32)));

enum { LANES = 8, PANEL = 2 * LANES, TALL = 6, BLOCK = 16, STRETCH = 96 };

typedef struct {
    const float *attend, *attended, *expand, *contract; /* panels */
} nano_layer;

typedef struct {
    int32_t layers, hidden, inner, heads, width, vocabulary, slots, blocks; /* blocks: of each slot, of BLOCK tokens */
    float eps;
    const nano_layer *layer;
    const float *head;      /* panels, the last norm folded in */
    const float *cos, *sin; /* [places, width / 2] */
    float *keys, *values;   /* [layers, slots, blocks, heads, width, BLOCK] and [..., BLOCK, width] */
} nano_decoder;

static inline vec load(const float *from) { return *(const loose *)from; }
static inline void store(float *to, vec value) { *(loose *)to = value; }
static inline vec all(float value) { return (vec){value, value, value, value, value, value, value, value}; }
static inline float sum(vec v) { return ((v[0] + v[4]) + (v[1] + v[5])) + ((v[2] + v[6]) + (v[3] + v[7])); }

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

/* Panels of PANEL rows of a matrix [rows, columns], transposed; missing rows are 0. */
void nano_pack(const float *matrix, int32_t rows, int32_t columns, float *panels) {
    for (int32_t first = 0; first < rows; first += PANEL)
        for (int32_t column = 0; column < columns; column++)
            for (int32_t row = first; row < first + PANEL; row++)
                *panels++ = row < rows ? matrix[(int64_t)row * columns + column] : 0.0f;
}

/* `tall` rows of a product with one panel; added to what is there, or instead of it. */
static inline __attribute__((always_inline)) void tile(
    const int tall, const float *rows, int64_t stride, const float *panel, int32_t depth, float *out, int64_t out_stride,
    int added) {
    vec found[TALL][2];
#pragma GCC unroll 6
    for (int row = 0; row < tall; row++) found[row][0] = found[row][1] = (vec){0};
    for (int32_t k = 0; k < depth; k++, panel += PANEL) {
        vec left = load(panel), right = load(panel + LANES);
#pragma GCC unroll 6
        for (int row = 0; row < tall; row++) {
            vec each = all(rows[row * stride + k]);
            found[row][0] += each * left;
            found[row][1] += each * right;
        }
    }
#pragma GCC unroll 6
    for (int row = 0; row < tall; row++)
        for (int half = 0; half < 2; half++) {
            float *to = out + row * out_stride + half * LANES;
            store(to, added ? load(to) + found[row][half] : found[row][half]);
        }
}

/* rows [count, depth] times panels: [count, panels * PANEL]. */
static void product(
    const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out, int64_t out_stride,
    int added) {
    for (int32_t first = 0; first < columns; first += PANEL, panels += (int64_t)depth * PANEL) {
        const float *from = rows;
        float *to = out + first;
        int32_t left = count;
        for (; left >= TALL; left -= TALL, from += (int64_t)TALL * depth, to += TALL * out_stride)
            tile(6, from, depth, panels, depth, to, out_stride, added);
        switch (left) {
            case 5: tile(5, from, depth, panels, depth, to, out_stride, added); break;
            case 4: tile(4, from, depth, panels, depth, to, out_stride, added); break;
            case 3: tile(3, from, depth, panels, depth, to, out_stride, added); break;
            case 2: tile(2, from, depth, panels, depth, to, out_stride, added); break;
            case 1: tile(1, from, depth, panels, depth, to, out_stride, added); break;
        }
    }
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

/* What a query finds among the first `places` tokens of its row; `scores` has room for all of them, of all heads. */
static void attend(
    const nano_decoder *d, const float *query, const float *keys, const float *values, int32_t places, float *scores,
    float *out) {
    const int32_t blocks = (places + BLOCK - 1) / BLOCK, columns = blocks * BLOCK, width = d->width;
    const float scale = 1.0f / sqrtf((float)width);
    for (int32_t block = 0; block < blocks; block++)
        for (int32_t head = 0; head < d->heads; head++) {
            vec found[4][2] = {{{0}}};
            const float *q = query + head * width;
            for (int32_t i = 0; i < width; i += 4, keys += 4 * BLOCK)
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) {
                    found[j][0] += load(keys + j * BLOCK) * q[i + j];
                    found[j][1] += load(keys + j * BLOCK + LANES) * q[i + j];
                }
            for (int half = 0; half < 2; half++)
                store(scores + (int64_t)head * columns + block * BLOCK + half * LANES,
                      ((found[0][half] + found[1][half]) + (found[2][half] + found[3][half])) * scale);
        }
    for (int32_t head = 0; head < d->heads; head++) {
        float *row = scores + (int64_t)head * columns;
        for (int32_t i = places; i < columns; i++) row[i] = -INFINITY;
        vec most = load(row);
        for (int32_t i = LANES; i < columns; i += LANES) {
            vec next = load(row + i);
            ivec more = next > most;
            most = (vec)(((ivec)next & more) | ((ivec)most & ~more));
        }
        float top = most[0];
        for (int i = 1; i < LANES; i++) top = most[i] > top ? most[i] : top;
        vec total = {0};
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
        for (int32_t head = 0; head < d->heads; head++, values += BLOCK * width) {
            const float *weight = scores + (int64_t)head * columns + block * BLOCK;
            const int32_t last = places - block * BLOCK < BLOCK ? places - block * BLOCK : BLOCK;
            for (int32_t i = 0; i < width; i += 4 * LANES) {
                vec found[4];
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) found[j] = load(out + head * width + i + j * LANES);
                for (int32_t place = 0; place < last; place++) {
                    vec each = all(weight[place]);
#pragma GCC unroll 4
                    for (int j = 0; j < 4; j++) found[j] += each * load(values + place * width + i + j * LANES);
                }
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) store(out + head * width + i + j * LANES, found[j]);
            }
        }
}

static void gated(const float *both, int32_t count, int32_t inner, float *out) {
    for (int32_t row = 0; row < count; row++, both += 2 * inner, out += inner)
        for (int32_t i = 0; i < inner; i += LANES) {
            vec gate = load(both + i);
            store(out + i, gate / (1.0f + exponential(-gate)) * load(both + inner + i));
        }
}

static int64_t kept(const nano_decoder *d, int32_t layer, int32_t slot) {
    return ((int64_t)layer * d->slots + slot) * d->blocks * d->heads * d->width * BLOCK;
}

/* Floats of working memory that `nano_read` and `nano_tell` need. */
int64_t nano_work(const nano_decoder *d) {
    int64_t widest = 2 * d->inner > 3 * d->hidden ? 2 * d->inner : 3 * d->hidden;
    return STRETCH * (widest + d->inner + 2 * d->hidden) + (int64_t)d->heads * d->blocks * BLOCK;
}

/* Read tokens that are embedded already [count, hidden]; tokens of a row come in their order. `hidden` is what the decoder
   makes of them, before its last norm. Layers are the outer loop: a token sees all that its row has read. */
void nano_read(
    const nano_decoder *d, int32_t count, const int32_t *slots, const int32_t *places, float *hidden, float *work) {
    const int32_t wide = d->hidden, inner = d->inner;
    float *rows = work, *found = rows + (int64_t)STRETCH * wide;
    float *both = found + (int64_t)STRETCH * wide;
    float *gate = both + (int64_t)STRETCH * (2 * inner > 3 * wide ? 2 * inner : 3 * wide), *scores = gate + (int64_t)STRETCH * inner;
    for (int32_t index = 0; index < d->layers; index++) {
        const nano_layer *layer = d->layer + index;
        for (int32_t first = 0; first < count; first += STRETCH) {
            int32_t some = count - first < STRETCH ? count - first : STRETCH;
            float *part = hidden + (int64_t)first * wide;
            normed(part, some, wide, d->eps, rows);
            product(rows, some, wide, layer->attend, 3 * wide, both, 3 * wide, 0);
            for (int32_t token = 0; token < some; token++) {
                int32_t place = places[first + token];
                float *query = both + (int64_t)token * 3 * wide;
                const float *cos = d->cos + (int64_t)place * d->width / 2, *sin = d->sin + (int64_t)place * d->width / 2;
                int64_t at = kept(d, index, slots[first + token]);
                turn(query, cos, sin, 2 * d->heads, d->width);
                keep(d, query + wide, query + 2 * wide, d->keys + at, d->values + at, place);
                attend(d, query, d->keys + at, d->values + at, place + 1, scores, found + (int64_t)token * wide);
            }
            product(found, some, wide, layer->attended, wide, part, wide, 1);
            normed(part, some, wide, d->eps, rows);
            product(rows, some, wide, layer->expand, 2 * inner, both, 2 * inner, 0);
            gated(both, some, inner, gate);
            product(gate, some, inner, layer->contract, wide, part, wide, 1);
        }
    }
}

/* Logits [count, columns] of the tokens after hidden states; columns is the vocabulary, rounded up to whole panels. */
void nano_tell(const nano_decoder *d, int32_t count, const float *hidden, float *logits, float *work) {
    const int64_t columns = (d->vocabulary + PANEL - 1) / PANEL * PANEL;
    for (int32_t first = 0; first < count; first += STRETCH) {
        int32_t some = count - first < STRETCH ? count - first : STRETCH;
        normed(hidden + (int64_t)first * d->hidden, some, d->hidden, d->eps, work);
        product(work, some, d->hidden, d->head, columns, logits + first * columns, columns, 0);
    }
}

/* Tokens by chance: the first whose share of the softmax and of those before it is more than `chance`, in [0, 1).
   At a temperature of 0, or below, the likeliest. The logits are spoiled. */
void nano_choose(
    const nano_decoder *d, int32_t count, float *logits, float temperature, const double *chance, int32_t *tokens) {
    const int64_t columns = (d->vocabulary + PANEL - 1) / PANEL * PANEL;
    for (int32_t row = 0; row < count; row++, logits += columns) {
        int32_t best = 0;
        for (int32_t i = 1; i < d->vocabulary; i++) best = logits[i] > logits[best] ? i : best;
        tokens[row] = best;
        if (temperature <= 0) continue;
        for (int64_t i = d->vocabulary; i < columns; i++) logits[i] = -INFINITY;
        const float top = logits[best], sharper = 1.0f / temperature;
        double total = 0, before = 0;
        for (int64_t i = 0; i < columns; i += LANES) {
            vec share = exponential((load(logits + i) - top) * sharper);
            store(logits + i, share);
            total += sum(share);
        }
        for (int32_t i = 0; i < d->vocabulary; i++) {
            before += logits[i];
            if (before > chance[row] * total) {
                tokens[row] = i;
                break;
            }
        }
    }
}

/* Let a slot begin as another one does: its first `places` tokens, rounded up to whole blocks. */
void nano_copy(const nano_decoder *d, int32_t from, int32_t to, int32_t places) {
    const size_t bytes = sizeof(float) * ((places + BLOCK - 1) / BLOCK) * d->heads * d->width * BLOCK;
    for (int32_t layer = 0; layer < d->layers; layer++) {
        memcpy(d->keys + kept(d, layer, to), d->keys + kept(d, layer, from), bytes);
        memcpy(d->values + kept(d, layer, to), d->values + kept(d, layer, from), bytes);
    }
}
