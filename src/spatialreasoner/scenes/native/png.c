/* The lines of a PNG, each filtered in the way whose bytes are nearest to zero, as Pillow chooses it: as they are, less those
   above, less those to the left, or less Paeth's prediction, the first of equals. Nothing is checked here. */

#include <stdint.h>
#include <string.h>

#include "../../core/native.h"

/* How far bytes are from zero, as numbers from -128 to 127. */
static int64_t distance(const uint8_t *values, int64_t count) {
    int64_t sum = 0;
    for (int64_t start = 0; start < count; start += 4096) { /* that the inner sum fits 32 bits */
        const int64_t end = start + 4096 < count ? start + 4096 : count;
        int32_t some = 0;
        for (int64_t i = start; i < end; i++) some += values[i] < 128 ? values[i] : 256 - values[i];
        sum += some;
    }
    return sum;
}

/* `here` and `above` have `step` zeros before them. */
static void predict(const uint8_t *restrict here, const uint8_t *restrict above, int64_t count, int64_t step, uint8_t *restrict less) {
    for (int64_t i = 0; i < count; i++) {
        const int16_t a = here[i - step], b = above[i], c = above[i - step], to_b = b - c, to_a = a - c, sum = to_b + to_a;
        const int16_t pa = to_b < 0 ? -to_b : to_b, pb = to_a < 0 ? -to_a : to_a, pc = sum < 0 ? -sum : sum;
        const int16_t nearer = pb <= pc ? b : c;
        less[i] = (uint8_t)(here[i] - ((pa <= pb) & (pa <= pc) ? a : nearer));
    }
}

static void subtract(const uint8_t *restrict here, const uint8_t *restrict other, int64_t count, uint8_t *restrict less) {
    for (int64_t i = 0; i < count; i++) less[i] = (uint8_t)(here[i] - other[i]);
}

/* pixels [rows, bytes], of `step` bytes each; work [5, step + bytes]; lines [rows, 1 + bytes], written */
void png_lines(const uint8_t *pixels, int64_t rows, int64_t bytes, int64_t step, uint8_t *work, uint8_t *lines) {
    const int64_t wide = step + bytes;
    uint8_t *here = work + step, *above = here + wide, *less[3];
    const uint8_t kinds[3] = {2, 1, 4};
    for (int k = 0; k < 3; k++) less[k] = work + (2 + k) * wide;
    memset(work, 0, 2 * wide);
    for (int64_t row = 0; row < rows; row++, lines += 1 + bytes) {
        memcpy(here, pixels + row * bytes, bytes);
        subtract(here, above, bytes, less[0]);
        subtract(here, here - step, bytes, less[1]);
        predict(here, above, bytes, step, less[2]);
        const uint8_t *best = here;
        int64_t least = distance(here, bytes);
        lines[0] = 0;
        for (int k = 0; k < 3; k++) {
            const int64_t sum = distance(less[k], bytes);
            if (sum < least) least = sum, best = less[k], lines[0] = kinds[k];
        }
        memcpy(lines + 1, best, bytes);
        uint8_t *other = here;
        here = above, above = other;
    }
}
