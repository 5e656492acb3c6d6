/* How the nano sees regions of an image, and what it tells its decoder of them; `nano.vision` tells what its parts are for. */

enum { MEASURES = 6, SHAPE = 11, CELL = 8, OCTAVES = 5, FINE_OCTAVES = 6, READ = SHAPE * (1 + 2 * FINE_OCTAVES) };
enum { WORDS = 24 }; /* kinds and colours */

typedef struct {
    nano_linear pooled[2], query, found, think[2], judge, words, features[2], estimates, pair[2], offsets;
    const float *quiet[2];
    int32_t side, heads;
} nano_reader;

/* A region that was seen: what it looks like, where it is and how large, and what is told of it but for where it lies from another. */
typedef struct {
    float *features, *measures, *told;
} nano_region;

/* Values, and sines and cosines of them. */
static void fourier(const float *values, int32_t count, int32_t octaves, float *to) {
    memcpy(to, values, sizeof(float) * count);
    for (int32_t i = 0; i < count; i++)
        for (int32_t octave = 0; octave < octaves; octave++) {
            float angle = values[i] * (1.57079633f * (float)(1 << octave));
            to[count + i * octaves + octave] = sinf(angle), to[count * (1 + octaves) + i * octaves + octave] = cosf(angle);
        }
}

/* Where the first and the last pixel are, the mean and the spread of counts along one side of an image. */
static void along(const int32_t *counts, int32_t side, double total, float *first, float *last, float *mean, float *spread) {
    double sums[2] = {0, 0};
    int32_t begin = 0, end = side - 1;
    for (int32_t i = 0; i < side; i++) {
        double step = (double)i / (side - 1);
        sums[0] += counts[i] * step, sums[1] += counts[i] * step * step;
    }
    while (begin < side - 1 && !counts[begin]) begin++;
    while (end > 0 && !counts[end]) end--;
    *first = counts[begin] ? (float)begin / (float)(side - 1) : 1, *last = (float)end / (float)(side - 1);
    *mean = (float)(sums[0] / total);
    *spread = (float)sqrt(fmax(0, sums[1] / total - sums[0] / total * (sums[0] / total)));
}

/* Box, middle, spread and size of a mask, shares of the image's side. */
static void shape(const uint8_t *mask, int32_t side, float *to) {
    int32_t across[side], down[side], total = 0;
    memset(across, 0, sizeof across);
    memset(down, 0, sizeof down);
    for (int32_t y = 0; y < side; y++)
        for (int32_t x = 0; x < side; x++) across[x] += mask[y * side + x], down[y] += mask[y * side + x];
    for (int32_t y = 0; y < side; y++) total += down[y];
    const double counted = total ? total : 1;
    along(across, side, counted, to, to + 2, to + 4, to + 6);
    along(down, side, counted, to + 1, to + 3, to + 5, to + 7);
    to[8] = (float)sqrt(counted) / (float)side, to[9] = to[2] - to[0], to[10] = to[3] - to[1];
}

/* The fine map [cells, width] and its depths, as far as they are under the mask. */
static void pool(const uint8_t *mask, int32_t side, const float *fine, const float *depth, int32_t width, float *to) {
    const int32_t cells = side / CELL;
    float share[cells * cells], total = 0;
    for (int32_t cell = 0; cell < cells * cells; cell++) {
        const uint8_t *corner = mask + (cell / cells * side + cell % cells) * CELL;
        int32_t covered = 0;
        for (int32_t i = 0; i < CELL * CELL; i++) covered += corner[i / CELL * side + i % CELL];
        total += share[cell] = (float)covered / (CELL * CELL);
    }
    memset(to, 0, sizeof(float) * (width + 1));
    for (int32_t cell = 0; cell < cells * cells; cell++) {
        const float each = share[cell] / fmaxf(total, 1e-4f);
        if (each == 0) continue;
        for (int32_t i = 0; i < width; i += LANES) store(to + i, load(to + i) + each * load(fine + (int64_t)cell * width + i));
        to[width] += each * depth[cell];
    }
}

/* What queries [heads, width] find among tokens, whose keys and values are [count, 2, heads, width]. */
static void search(const float *query, const float *around, int32_t count, int32_t heads, int32_t width, float *out) {
    float scores[count];
    const int64_t wide = (int64_t)heads * width;
    for (int32_t head = 0; head < heads; head++, query += width, around += width, out += width) {
        for (int32_t token = 0; token < count; token++) {
            vec same = {0};
            for (int32_t i = 0; i < width; i += LANES) same += load(query + i) * load(around + 2 * wide * token + i);
            scores[token] = sum(same) / sqrtf((float)width);
        }
        weigh(scores, count, count);
        vec total = {0};
        for (int32_t token = 0; token < count; token += LANES) total += load(scores + token);
        const float share = 1.0f / sum(total);
        memset(out, 0, sizeof(float) * width);
        for (int32_t token = 0; token < count; token++)
            for (int32_t i = 0; i < width; i += LANES)
                store(out + i, load(out + i) + scores[token] * share * load(around + 2 * wide * token + wide + i));
    }
}

static float within(float value, float least, float most_allowed) { return fminf(fmaxf(value, least), most_allowed); }

/* Shares of `count` logits. */
static void shares(float *logits, int32_t count) {
    float top = logits[0], total = 0;
    for (int32_t i = 1; i < count; i++) top = fmaxf(top, logits[i]);
    for (int32_t i = 0; i < count; i++) total += logits[i] = expf(logits[i] - top);
    for (int32_t i = 0; i < count; i++) logits[i] /= total;
}

/* Middle and extents, metres. */
static void metres(const float *measures, float *to) {
    to[2] = expf(within(measures[2], -3, 4));
    to[0] = measures[0] * to[2], to[1] = measures[1] * to[2];
    for (int i = 3; i < MEASURES; i++) to[i] = expf(within(measures[i], -5, 3));
}

static int32_t larger(int32_t one, int32_t other) { return one > other ? one : other; }

/* Floats that any layer of `nano_look` is given; and that any of those between makes of them. */
static int32_t given_room(const nano_reader *r) {
    return larger(larger(r->pooled[0].depth + r->pooled[0].depth % 2, r->pooled[1].columns), READ);
}

static int32_t inner_room(const nano_reader *r) {
    const int32_t width = larger(r->query.columns, r->judge.columns);
    return larger(larger(r->pooled[0].columns, r->think[0].columns), larger(r->features[0].columns, width));
}

/* Floats of working memory of the functions below. */
int64_t nano_look_work(const nano_reader *r) {
    const int32_t width = r->pooled[1].columns;
    return larger(given_room(r) + inner_room(r) + width, 2 * width + r->pair[0].columns + r->pair[1].columns + READ);
}

/* Look at a region: a mask [side, side] on what `nano_see` saw. */
void nano_look(
    const nano_reader *r, const float *fine, const float *around, const float *depth, const uint8_t *mask, nano_region *region,
    float *work) {
    const int32_t width = r->pooled[1].columns, channels = r->pooled[0].depth - 1 - SHAPE * (1 + 2 * OCTAVES);
    const int32_t tokens = r->side / 16 * (r->side / 16);
    float *given = work, *inner = given + given_room(r), *rest = inner + inner_room(r);
    float form[SHAPE], readable[SHAPE], *features = region->features, *measures = region->measures;
    pool(mask, r->side, fine, depth, channels, given);
    shape(mask, r->side, form);
    fourier(form, SHAPE, OCTAVES, given + channels + 1);
    const float deep = given[channels];
    linear(r->pooled, GELU, given, 1, inner);
    linear(r->pooled + 1, PLAIN, inner, 1, features);
    standard(features, width, 1, given);
    linear(&r->query, PLAIN, given, 1, inner);
    search(inner, around, tokens, r->heads, width / r->heads, rest);
    linear(&r->found, MORE, rest, 1, features);
    standard(features, width, 1, given);
    linear(r->think, GELU, given, 1, inner);
    linear(r->think + 1, MORE, inner, 1, features);
    linear(&r->judge, PLAIN, features, 1, inner);
    for (int i = 0; i < MEASURES; i++) measures[i] = inner[i] + (i > 1 ? deep : 0);
    shares(inner + MEASURES, WORDS / 2);
    shares(inner + MEASURES + WORDS / 2, WORDS / 2);
    linear(&r->words, PLAIN, inner + MEASURES, 1, region->told);
    linear(r->features, GELU, features, 1, inner);
    linear(r->features + 1, MORE, inner, 1, region->told);
    metres(measures, readable);
    memcpy(readable + MEASURES, measures + 2, sizeof(float) * 4);
    readable[10] = measures[3] + measures[4] + measures[5];
    fourier(readable, SHAPE, FINE_OCTAVES, given);
    linear(&r->estimates, MORE, given, 1, region->told);
}

/* What the decoder reads at the name of a region, seen from the first one; or of that itself, where `first` is NULL. */
void nano_name(const nano_reader *r, const nano_region *first, const nano_region *region, float *out, float *work) {
    const int32_t width = r->pooled[1].columns, hidden = r->words.columns;
    memcpy(out, region->told, sizeof(float) * hidden);
    if (first) {
        float *both = work, *inner = both + 2 * width, *found = inner + r->pair[0].columns, *given = found + r->pair[1].columns;
        float from[MEASURES], to[MEASURES];
        metres(first->measures, from);
        metres(region->measures, to);
        const float right = to[0] - from[0], down = to[1] - from[1], ahead = to[2] - from[2];
        const float apart = logf(fmaxf(right * right + down * down + ahead * ahead, 0.01f)) / 2;
        memcpy(both, first->features, sizeof(float) * width);
        memcpy(both + width, region->features, sizeof(float) * width);
        linear(r->pair, GELU, both, 1, inner);
        linear(r->pair + 1, PLAIN, inner, 1, found);
        found[0] += right, found[1] += down, found[2] += right, found[3] += ahead;
        found[4] += ahead - (to[5] - from[5]) / 2, found[5] += apart;
        const float larger[3] = {
            region->measures[3] - first->measures[3], region->measures[4] - first->measures[4],
            region->measures[5] - first->measures[5]};
        const float related[SHAPE] = {
            found[0], found[1], found[2], found[3], found[4], expf(within(found[5], -4, 3)), found[5],
            atan2f(found[2], found[3]) / 1.57079633f, larger[0], larger[1], larger[0] + larger[1] + larger[2]};
        fourier(related, SHAPE, FINE_OCTAVES, given);
        linear(&r->offsets, MORE, given, 1, out);
    }
    standard(out, hidden, 1, out);
    weighed(out, 1, hidden, r->quiet[0], r->quiet[1]);
}
