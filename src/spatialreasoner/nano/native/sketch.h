/* The likeliest tokens without most of the head's product: a sketch of the head in bytes tells every logit but for an error that has a
   bound, and only those that may be the highest are computed. So the tokens are those that all logits give, to the last bit. */

typedef struct {
    const int8_t *weights;  /* [columns / LANES, hidden / 4, LANES, 4] */
    const float *units;     /* [columns]: what a one of each column's bytes stands for */
    const int32_t *sums;    /* [columns]: of each column's bytes, times 128 */
    float longest, farthest; /* of all columns, as vectors: the longest, and the longest difference between it and its bytes */
} nano_sketch;

/* Whether the processor has instructions for a sketch. */
int32_t nano_sketches(void) {
#ifdef __AVX512F__
    return __builtin_cpu_supports("avx512vnni");
#else
    return 0;
#endif
}

#ifdef __AVX512F__
#include <immintrin.h>

enum { ABREAST = 4 }; /* rows whose sums grow in turn, for each sum takes as long as that */

/* A row as bytes, 128 added, and what a one of them stands for; the most by which two logits of the sketch may be off together. It is
   infinite, or no number, where the row is not of usual numbers. */
static float sketch_row(const nano_sketch *s, int32_t depth, const float *row, uint8_t *bytes, float *unit) {
    vec length = {0}, off = {0}, top = {0};
    for (int32_t i = 0; i < depth; i += LANES) {
        vec some = load(row + i);
        length += some * some, top = most_of(top, most_of(some, -some));
    }
    *unit = most(top) / 127;
    for (int32_t i = 0; i < depth; i += LANES) {
        vec some = load(row + i), whole = some / *unit + 12582912.0f; /* 1.5 * 2^23: rounds to the nearest whole number */
        vec rest = some - (whole - 12582912.0f) * *unit;
        off += rest * rest;
        _mm_storeu_si128((__m128i *)(bytes + i), _mm512_cvtepi32_epi8((__m512i)((ivec)whole - 0x4B400000 + 128)));
    }
    const float rounding = FLT_EPSILON * (float)depth; /* of sums of so many products, at most half of that */
    return 2 * (sqrtf(sum(off)) * s->longest + sqrtf(sum(length)) * (s->farthest + rounding * s->longest));
}

/* Logits by the sketch: [rows, columns]. There are as many bytes as for a multiple of ABREAST. */
static __attribute__((target("avx512vnni"))) void sketch_logits(
    const nano_sketch *s, int32_t rows, int32_t depth, const uint8_t *bytes, const float *units, int64_t columns, float *logits) {
    const int8_t *weights = s->weights;
    for (int64_t column = 0; column < columns; column += LANES, weights += LANES * depth)
        for (int32_t row = 0; row < rows; row += ABREAST) {
            __m512i found[ABREAST] = {0};
            for (int32_t k = 0; k < depth; k += 4) {
                const __m512i four = _mm512_loadu_si512(weights + k * LANES);
#pragma GCC unroll 4
                for (int i = 0; i < ABREAST; i++) {
                    int32_t given;
                    memcpy(&given, bytes + (int64_t)(row + i) * depth + k, sizeof given);
                    found[i] = _mm512_dpbusd_epi32(found[i], _mm512_set1_epi32(given), four);
                }
            }
            const __m512i sums = _mm512_loadu_si512(s->sums + column);
            const vec units_here = load(s->units + column);
#pragma GCC unroll 4
            for (int i = 0; i < ABREAST; i++)
                if (row + i < rows)
                    store(
                        logits + (row + i) * columns + column,
                        (vec)_mm512_cvtepi32_ps(_mm512_sub_epi32(found[i], sums)) * units_here * units[row + i]);
        }
}

/* The first of a row's likeliest tokens, which is among those whose sketched logits are at most `off` below the highest. */
static int32_t likeliest(
    const float *row, int32_t depth, const float *head, const float *logits, float off, int32_t vocabulary) {
    vec top = all(-INFINITY);
    for (int32_t i = 0; i < vocabulary; i += LANES) top = most_of(top, load(logits + i));
    const __m512 limit = _mm512_set1_ps(most(top) - off);
    float highest = 0;
    int32_t best = -1;
    for (int32_t first = 0; first < vocabulary; first += LANES) {
        uint32_t some = _mm512_cmp_ps_mask(_mm512_loadu_ps(logits + first), limit, _CMP_GE_OQ);
        if (!some) continue;
        const float *panel = head + (int64_t)(first / PANEL) * PANEL * depth + first % PANEL;
        vec found = {0}; /* summed up as in `tile` */
        for (int32_t k = 0; k < depth; k++, panel += PANEL) found += all(row[k]) * load(panel);
        float exact[LANES];
        store(exact, found);
        for (; some; some &= some - 1) {
            const int32_t lane = __builtin_ctz(some);
            if (best < 0 || exact[lane] > highest) best = first + lane, highest = exact[lane];
        }
    }
    return best;
}

/* The likeliest token after each row [rows, depth], STRETCH at most; 0 if they must be found by all logits. */
static int32_t sketched(
    const nano_sketch *s, int32_t rows, int32_t depth, const float *normed, const float *head, int32_t vocabulary, float *logits,
    int32_t *tokens, uint8_t *bytes) {
    const int64_t columns = ((int64_t)vocabulary + PANEL - 1) / PANEL * PANEL;
    float units[STRETCH], off[STRETCH];
    for (int32_t row = 0; row < rows; row++) {
        off[row] = sketch_row(s, depth, normed + (int64_t)row * depth, bytes + (int64_t)row * depth, units + row);
        if (!(off[row] < FLT_MAX && units[row] > FLT_MIN)) return 0;
    }
    sketch_logits(s, rows, depth, bytes, units, columns, logits);
    for (int32_t row = 0; row < rows; row++) {
        for (int64_t i = vocabulary; i < columns; i++) logits[row * columns + i] = -INFINITY;
        tokens[row] = likeliest(normed + (int64_t)row * depth, depth, head, logits + row * columns, off[row], vocabulary);
    }
    return 1;
}
#else
static int32_t sketched(
    const nano_sketch *s, int32_t rows, int32_t depth, const float *normed, const float *head, int32_t vocabulary, float *logits,
    int32_t *tokens, uint8_t *bytes) {
    return 0;
}
#endif
