/* Vectors, and products of many rows with weights that were put into panels beforehand.

   Vectors are those of GCC and Clang, as wide as the processors that this is built for have them: `native.py` builds what includes
   this more than once. Arrays begin at multiples of 64 bytes. Nothing of a row's results depends on the other rows, not even its
   rounding. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../../core/native.h"

#ifdef __AVX512F__
enum { LANES = 16, TALL = 12 };
#else
enum { LANES = 8, TALL = 6 };
#endif
enum { PANEL = 2 * LANES, STRETCH = 96, AHEAD = 128 };

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float loose __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));

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

/* Parts of memory that products fetch meanwhile, one per tile: `count` of them, `offset` after these places, each of `size` floats. */
typedef struct {
    float *const *parts;
    int32_t count;
    int64_t offset, size;
} nano_ahead;

/* `tall` rows of a product with one panel. Meanwhile what comes AHEAD of it is fetched, and what is `beyond` it by so many floats. */
static inline __attribute__((always_inline)) void tile(
    const int tall, int end, const float *rows, int64_t stride, const float *panel, int32_t depth, int64_t beyond, float *out,
    int64_t out_stride) {
    vec found[TALL][2];
    const float *from[4] = {rows, rows + stride, rows + 2 * stride, rows + 3 * stride};
#pragma GCC unroll 12
    for (int row = 0; row < tall; row++) found[row][0] = found[row][1] = (vec){0};
    for (int32_t k = depth; k; k--, panel += PANEL) {
#pragma GCC unroll 2
        for (int i = 0; i < PANEL; i += 16) {
            __builtin_prefetch(panel + AHEAD * PANEL + i, 0, 2);
            __builtin_prefetch(panel + beyond + i, 0, 2);
        }
        vec left = load(panel), right = load(panel + LANES);
#pragma GCC unroll 12
        for (int row = 0; row < tall; row++) {
            vec each = all(from[row % 4][row / 4 * 4 * stride]);
            found[row][0] += each * left;
            found[row][1] += each * right;
        }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            from[i]++;
            __asm__("" : "+r"(from[i])); /* or each row has an index of its own, for which registers are taken from the products */
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

/* Functions of their own: within a loop over tiles, what that needs takes registers from the products, which makes them 10 % slower. */
#ifdef __AVX512F__
#define EACH_HEIGHT(OF) OF(12) OF(11) OF(10) OF(9) OF(8) OF(7) OF(6) OF(5) OF(4) OF(3) OF(2) OF(1)
#else
#define EACH_HEIGHT(OF) OF(6) OF(5) OF(4) OF(3) OF(2) OF(1)
#endif
#define OF(tall) \
    static __attribute__((noinline)) void tile_of_##tall( \
        int end, const float *rows, int64_t stride, const float *panel, int32_t depth, int64_t beyond, float *out, \
        int64_t out_stride) { \
        tile(tall, end, rows, stride, panel, depth, beyond, out, out_stride); \
    }
EACH_HEIGHT(OF)
#undef OF

/* rows [count, depth] times panels: [count, columns], or half as many with GATE. Tiles are equally tall: low ones are slow. */
static void product(
    int end, const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out, int64_t out_stride,
    nano_ahead *ahead) {
    const int32_t tiles = (count + TALL - 1) / TALL;
    for (int32_t first = 0; first < columns; first += PANEL, panels += (int64_t)depth * PANEL, out += end == GATE ? LANES : PANEL)
        for (int32_t index = 0, row = 0, next; index < tiles; index++, row = next) {
            next = (int32_t)((int64_t)count * (index + 1) / tiles);
            const float *from = rows + (int64_t)row * depth;
            float *to = out + row * out_stride;
            int64_t beyond = AHEAD * PANEL;
            if (ahead && ahead->count && (int64_t)depth * PANEL <= ahead->size) {
                beyond = *ahead->parts++ + ahead->offset - panels;
                ahead->count--;
            }
            switch (next - row) {
#define OF(tall) case tall: tile_of_##tall(end, from, depth, panels, depth, beyond, to, out_stride); break;
                EACH_HEIGHT(OF)
#undef OF
            }
        }
}

static void put(
    const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out, nano_ahead *ahead) {
    product(PUT, rows, count, depth, panels, columns, out, columns, ahead);
}

static void add(
    const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out, nano_ahead *ahead) {
    product(ADD, rows, count, depth, panels, columns, out, columns, ahead);
}

static void gate(
    const float *rows, int32_t count, int32_t depth, const float *panels, int32_t columns, float *out, nano_ahead *ahead) {
    product(GATE, rows, count, depth, panels, columns, out, columns / 2, ahead);
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

