/* The nano's decoder, a Llama, for many rows at once: ragged rows, each of any number of tokens, with kept keys and values.

   A decoder this small is over before a general library has prepared its products. Here each product runs over weights that
   were put into panels beforehand, norms are folded into weights, and rows that begin alike look at what they have in common
   together. No function allocates, and none checks its arguments: `kernel.py` does. */

#include <float.h>

#include "panels.h"

#include "attention.h"

#include "sketch.h"

typedef struct {
    /* panels: of `attend` those of keys, values, queries; of `expand` half of each is the gate's, half what it lets pass */
    const float *attend, *attended, *expand, *contract;
} nano_layer;

typedef struct {
    int32_t layers, hidden, inner, heads, width, vocabulary, most; /* most: blocks of a row */
    float eps;
    const nano_layer *layer;
    const float *head;      /* panels, the last norm folded in */
    const nano_sketch *sketch; /* of the head, or NULL */
    const float *cos, *sin; /* [places, width / 2] */
    float *const *blocks;   /* [slots, most]: those of each row, each [layers, 2, heads * width * BLOCK] */
} nano_decoder;

typedef struct {
    const float *table;    /* [vocabulary, hidden]: what each token is read as */
    const float *first;    /* [vocabulary, 3, hidden]: what the first product of the first layer makes of that */
    const int32_t *number; /* [vocabulary]: the region that each names, or -1 */
    const uint8_t *ends;   /* [vocabulary]: whether it ends an answer */
} nano_words;

typedef struct {
    const float *image;   /* [tokens, hidden]: what tokens -1, -2, ... are read as */
    const float *regions; /* [named, hidden]: what is added to the names of the first, the second, ... region */
    int32_t named;
} nano_told;

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

/* Floats of working memory that `nano_write` and `nano_begin` need. */
int64_t nano_work(const nano_decoder *d) {
    return STRETCH * (5 * (int64_t)d->hidden + d->inner) + scores_room(d->heads, d->most * (int64_t)BLOCK) +
           STRETCH * (int64_t)d->most * sizeof(float *) / sizeof(float);
}

static void turn_at(const nano_decoder *d, int32_t place, float *heads) {
    turn(heads, d->cos + (int64_t)place * d->width / 2, d->sin + (int64_t)place * d->width / 2, d->heads, d->width);
}

static int64_t offset_of(const nano_decoder *d, int32_t layer) { return 2 * layer * (int64_t)d->heads * d->width * BLOCK; }

/* Copy what a block holds of its first tokens to another one. */
void nano_copy(const nano_decoder *d, const float *block, float *to, int32_t tokens) {
    for (int32_t layer = 0; layer < d->layers; layer++)
        repeat(d->heads, d->width, block + offset_of(d, layer), to + offset_of(d, layer), tokens);
}

/* Keep the keys and values of tokens that are [some, 3, heads, width] after the first product of a layer: keys, values, queries. */
static void remember(
    const nano_decoder *d, int32_t layer, int32_t some, const int32_t *slots, const int32_t *places, float *three) {
    const int64_t wide = (int64_t)d->heads * d->width;
    for (int32_t token = 0; token < some; token++, three += 3 * wide) {
        const int32_t place = places[token];
        float *block = d->blocks[(int64_t)slots[token] * d->most + place / BLOCK];
        turn_at(d, place, three);
        keep(d->heads, d->width, three, three + wide, block + offset_of(d, layer), place);
    }
}

/* What the queries of such tokens find: `found` [some, heads, width]. */
static void look(
    const nano_decoder *d, int32_t layer, int32_t some, const int32_t *slots, const int32_t *places, float *three, float *scores,
    float *found) {
    const int64_t wide = (int64_t)d->heads * d->width;
    for (int32_t first = 0, after; first < some; first = after) {
        for (after = first; after < some && slots[after] == slots[first] && after - first < WAVE; after++)
            turn_at(d, places[after], three + (after * 3 + 2) * wide);
        const nano_gaze gaze = {d->heads,
                                d->width,
                                offset_of(d, layer),
                                three + (first * 3 + 2) * wide,
                                d->blocks + (int64_t)slots[first] * d->most,
                                places + first};
        attend(&gaze, after - first, scores, found + first * wide);
    }
}

/* Whether a token is the last of its row; those of a row come in their order. */
static int is_last(const int32_t *slots, int32_t token, int32_t count) {
    return token + 1 == count || slots[token + 1] != slots[token];
}

/* The blocks that tokens look at, each once for neighbours that have it in common, as far as there is room; how many. Those of the
   last rows come first, for what was fetched first leaves the cache first, and the first rows look first. */
static int32_t looked_at(const nano_decoder *d, int32_t count, const int32_t *slots, const int32_t *places, float **parts) {
    int32_t found = 0;
    float *const *before = 0;
    for (int32_t token = count - 1; token >= 0; token--) {
        if (!is_last(slots, token, count)) continue; /* that one looks at all of them */
        float *const *blocks = d->blocks + (int64_t)slots[token] * d->most;
        for (int32_t block = blocks_to(places[token]) - 1; block >= 0 && found < STRETCH * d->most; block--)
            if (!before || blocks[block] != before[block]) parts[found++] = blocks[block];
        before = blocks;
    }
    return found;
}

/* The first product of a layer for tokens whose `begun` is NULL; of the others it is that. */
static void begin(
    const nano_decoder *d, const nano_layer *layer, int32_t some, const float *const *begun, const float *hidden, float *rows,
    float *three, nano_ahead *ahead) {
    const int64_t wide = d->hidden;
    int32_t left = 0, at[STRETCH];
    for (int32_t token = 0; token < some; token++)
        if (!begun[token]) {
            normed(hidden + token * wide, 1, d->hidden, d->eps, rows + left * wide);
            at[left++] = token;
        }
    put(rows, left, d->hidden, layer->attend, 3 * d->hidden, three, ahead);
    for (int32_t i = left - 1; i >= 0 && at[i] > i; i--) memcpy(three + at[i] * 3 * wide, three + i * 3 * wide, sizeof(float) * 3 * wide);
    for (int32_t token = 0; token < some; token++)
        if (begun[token]) memcpy(three + token * 3 * wide, begun[token], sizeof(float) * 3 * wide);
}

/* Read tokens that are embedded already [count, hidden]; tokens of a row come in their order. `begun` are their first products,
   or NULL where those are not known; keys and values that are looked at next are `ahead`. `hidden` becomes what the decoder
   makes of the last of each row, before its last norm; of the others the last layer only keeps keys and values, and what stands in
   their places is of no use. Layers are the outer loop: a token sees all that its row has read. */
static void read_on(
    const nano_decoder *d, int32_t count, const int32_t *slots, const int32_t *places, const float *const *begun, float *hidden,
    float *work, nano_ahead *ahead) {
    const int32_t wide = d->hidden, inner = d->inner;
    float *rows = work, *found = rows + (int64_t)STRETCH * wide, *three = found + (int64_t)STRETCH * wide;
    float *inside = three + (int64_t)STRETCH * 3 * wide, *scores = inside + (int64_t)STRETCH * inner;
    float **parts = (float **)(scores + scores_room(d->heads, d->most * (int64_t)BLOCK));
    const int32_t all_parts = looked_at(d, count, slots, places, parts);
    for (int32_t index = 0; index < d->layers; index++) {
        const nano_layer *layer = d->layer + index;
        for (int32_t first = 0; first < count; first += STRETCH) {
            const int32_t some = count - first < STRETCH ? count - first : STRETCH;
            int32_t lasts = 0, at[STRETCH], whose[STRETCH], where[STRETCH];
            float *part = hidden + (int64_t)first * wide;
            const int is_top = index + 1 == d->layers;
            if (!index && !is_top) {
                begin(d, layer, some, begun + first, part, rows, three, ahead);
            } else {
                normed(part, some, wide, d->eps, rows);
                product(PUT, rows, some, wide, layer->attend, (is_top ? 2 : 3) * wide, three, 3 * wide, ahead);
            }
            remember(d, index, some, slots + first, places + first, three);
            for (int32_t token = 0; token < some; token++) {
                if (is_top && !is_last(slots, first + token, count)) continue;
                at[lasts] = token, whose[lasts] = slots[first + token], where[lasts] = places[first + token];
                if (lasts < token) {
                    memcpy(rows + (int64_t)lasts * wide, rows + (int64_t)token * wide, sizeof(float) * wide);
                    memcpy(part + (int64_t)lasts * wide, part + (int64_t)token * wide, sizeof(float) * wide);
                }
                lasts++;
            }
            if (is_top) {
                const float *queries = layer->attend + 2 * (int64_t)wide * wide;
                product(PUT, rows, lasts, wide, queries, wide, three + 2 * wide, 3 * wide, ahead);
            }
            look(d, index, lasts, whose, where, three, scores, found);
            if (!first) *ahead = (nano_ahead){parts, all_parts, offset_of(d, (index + 1) % d->layers), offset_of(d, 1)};
            add(found, lasts, wide, layer->attended, wide, part, ahead);
            normed(part, lasts, wide, d->eps, rows);
            gate(rows, lasts, wide, layer->expand, 2 * inner, inside, ahead);
            add(inside, lasts, inner, layer->contract, wide, part, ahead);
            for (int32_t last = lasts - 1; last >= 0 && at[last] > last; last--)
                memcpy(part + (int64_t)at[last] * wide, part + (int64_t)last * wide, sizeof(float) * wide);
        }
    }
}

/* What the first product of the first layer makes of tokens [count, hidden]: `first` [count, 3, hidden]. */
void nano_begin(const nano_decoder *d, int32_t count, const float *hidden, float *first, float *work) {
    for (int32_t row = 0; row < count; row += STRETCH) {
        const int32_t some = count - row < STRETCH ? count - row : STRETCH;
        normed(hidden + (int64_t)row * d->hidden, some, d->hidden, d->eps, work);
        put(work, some, d->hidden, d->layer->attend, 3 * d->hidden, first + 3 * (int64_t)row * d->hidden, 0);
    }
}

static int64_t columns_of(const nano_decoder *d) { return ((int64_t)d->vocabulary + PANEL - 1) / PANEL * PANEL; }

/* Logits [count, columns] of the tokens after hidden states; columns is the vocabulary, rounded up to whole panels. */
static void tell(const nano_decoder *d, int32_t count, const float *hidden, float *logits, float *work, nano_ahead *ahead) {
    const int64_t columns = columns_of(d);
    for (int32_t first = 0; first < count; first += STRETCH) {
        int32_t some = count - first < STRETCH ? count - first : STRETCH;
        normed(hidden + (int64_t)first * d->hidden, some, d->hidden, d->eps, work);
        put(work, some, d->hidden, d->head, (int32_t)columns, logits + first * columns, ahead);
        for (int32_t row = first; row < first + some; row++)
            for (int64_t i = d->vocabulary; i < columns; i++) logits[row * columns + i] = -INFINITY;
    }
}

/* The likeliest tokens after hidden states, by the sketch of the head; 0 if they must be found by all logits. */
static int32_t tell_likeliest(
    const nano_decoder *d, int32_t count, const float *hidden, float *logits, int32_t *tokens, float *work) {
    for (int32_t first = 0; first < count; first += STRETCH) {
        int32_t some = count - first < STRETCH ? count - first : STRETCH;
        normed(hidden + (int64_t)first * d->hidden, some, d->hidden, d->eps, work);
        uint8_t *bytes = (uint8_t *)(work + (int64_t)STRETCH * d->hidden);
        if (!d->sketch || !sketched(d->sketch, some, d->hidden, work, d->head, d->vocabulary, logits, tokens + first, bytes)) return 0;
    }
    return 1;
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
    for (; first + LANES < count; first += LANES) { /* to the last token, whatever the shares: they may be no numbers */
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
   At a temperature of 0, or below, or whose inverse is too large, the first of the likeliest. The logits are spoiled. */
static void choose(
    const nano_decoder *d, int32_t count, float *logits, float temperature, const double *chance, int32_t *tokens) {
    const int64_t columns = columns_of(d);
    for (int32_t row = 0; row < count; row++, logits += columns) {
        const float top = highest_of(logits, columns), sharper = 1.0f / temperature;
        if (temperature < FLT_MIN) {
            int32_t best = 0;
            while (best + 1 < d->vocabulary && logits[best] != top) best++;
            tokens[row] = best;
            continue;
        }
        for (int64_t i = 0; i < columns; i += LANES) store(logits + i, exponential((load(logits + i) - top) * sharper));
        tokens[row] = drawn(logits, d->vocabulary, columns, chance[row]);
    }
}

/* What a token is read as: a token of the image; or its row of the table, and, where it names one of the regions of its answer's
   image, what is told of that one added to it. The first product, where that is known: only of rows of the table. */
static const float *embed(const nano_words *w, int32_t hidden, int32_t token, const nano_told *told, float *to) {
    const float *row = token < 0 ? told->image - (token + 1) * (int64_t)hidden : w->table + token * (int64_t)hidden;
    memcpy(to, row, sizeof(float) * hidden);
    if (token < 0) return 0;
    const int32_t number = w->number[token];
    if (number < 0 || number >= told->named) return w->first + 3 * (int64_t)token * hidden;
    for (int32_t i = 0; i < hidden; i++) to[i] += told->regions[(int64_t)number * hidden + i];
    return 0;
}

/* Leave of tokens that were read, and of their hidden states, only the last of each row; how many these are. */
static int32_t leave_lasts(
    int32_t count, int32_t wide, int32_t *slots, int32_t *places, const nano_told **told, float *hidden) {
    int32_t lasts = 0;
    for (int32_t token = 0; token < count; token++) {
        if (!is_last(slots, token, count)) continue;
        slots[lasts] = slots[token], places[lasts] = places[token], told[lasts] = told[token];
        if (lasts < token) memcpy(hidden + (int64_t)lasts * wide, hidden + (int64_t)token * wide, sizeof(float) * wide);
        lasts++;
    }
    return lasts;
}

/* Read `count` tokens, those of each row in their order and at their `places`, and write on: up to so many tokens of each row,
   until one of them ends its answer; how many that were. `told` is of each token, `chance` [steps, rows]. `begun` [count],
   `hidden` [count, hidden] and `logits` [rows, columns] are working memory; the result is `written` [steps, rows]. */
int32_t nano_write(
    const nano_decoder *d, const nano_words *w, int32_t count, int32_t steps, int32_t *slots, int32_t *places,
    const int32_t *tokens, const nano_told **told, float temperature, const double *chance, const float **begun, float *hidden,
    float *logits, int32_t *written, float *work) {
    nano_ahead ahead = {0};
    for (int32_t step = 0, ended = 0; step < steps; chance += count, written += count) {
        for (int32_t token = 0; token < count; token++)
            begun[token] = embed(w, d->hidden, tokens[token], told[token], hidden + (int64_t)token * d->hidden);
        read_on(d, count, slots, places, begun, hidden, work, &ahead);
        count = leave_lasts(count, d->hidden, slots, places, told, hidden);
        if (temperature >= FLT_MIN || !tell_likeliest(d, count, hidden, logits, written, work)) {
            tell(d, count, hidden, logits, work, &ahead);
            choose(d, count, logits, temperature, chance, written);
        }
        step++;
        for (int32_t row = 0; row < count; row++) places[row]++, ended |= w->ends[written[row]];
        if (ended) return step;
        tokens = written;
    }
    return steps;
}

#include "seeing.h"

#include "regions.h"
