/* How the nano sees an image: `nano.vision` tells what its parts are for.

   Maps are [rows, columns, channels]. Convolutions of 3 x 3 are made for 4 x 4 cells at once, as Winograd's F(4 x 4, 3 x 3) has them:
   36 small products of tiles where there would be 144. Norms before products are folded into these. */

typedef struct {
    const float *panels, *bias; /* of a convolution of 3 x 3: 36 matrices, one after the other */
    int32_t depth, columns;     /* of a whole number of panels: missing columns are 0 */
} nano_linear;

typedef struct {
    const float *weight, *bias; /* of its norm */
    nano_linear first, second;
} nano_residual;

typedef struct {
    nano_linear attend, attended, expand, contract;
} nano_sight;

typedef struct {
    int32_t side, heads, sights; /* pixels of the image's side; layers of the transformer */
    nano_linear stem, cells, patches, context, around, join, depth;
    nano_residual narrow[2], wide[3], fuse;
    const nano_sight *sight;
    const float *position, *norm[2], *quiet[2]; /* positions [tokens, width]; weights and biases of norms */
} nano_tower;

enum { TILE = 36, PLAIN, MORE, GELU };

/* GELU, whose error function has an absolute error of 1.5e-7: Abramowitz and Stegun, 7.1.26. */
static inline vec gelu(vec x) {
    ivec sign = (ivec)x & (int32_t)0x80000000;
    vec size = (vec)((ivec)x & 0x7fffffff) * 0.70710678f;
    vec t = 1.0f / (1.0f + 0.3275911f * size);
    vec rest = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
    vec erf = 1.0f - rest * exponential(-size * size);
    return 0.5f * x * (1.0f + (vec)((ivec)erf | sign));
}

/* A linear layer for rows [count, depth]: put down, added to what is there, or put through GELU. */
static void linear(const nano_linear *l, int how, const float *rows, int32_t count, float *out) {
    (how == MORE ? add : put)(rows, count, l->depth, l->panels, l->columns, out, 0);
    for (int32_t row = 0; row < count; row++, out += l->columns)
        for (int32_t i = 0; i < l->columns; i += LANES) {
            vec found = load(out + i) + load(l->bias + i);
            store(out + i, how == GELU ? gelu(found) : found);
        }
}

/* Mean 0 and variance 1 of `count` numbers, in so many rows. */
static void standard(const float *from, int32_t count, int32_t rows, float *to) {
    double total = 0, squares = 0;
    for (int64_t at = 0; at < (int64_t)count * rows; at += count) {
        vec some = {0};
        for (int32_t i = 0; i < count; i += LANES) some += load(from + at + i);
        total += sum(some);
    }
    const vec mean = all((float)(total / count / rows));
    for (int64_t at = 0; at < (int64_t)count * rows; at += count) {
        vec some = {0};
        for (int32_t i = 0; i < count; i += LANES) some += (load(from + at + i) - mean) * (load(from + at + i) - mean);
        squares += sum(some);
    }
    const vec scale = all((float)(1.0 / sqrt(squares / count / rows + 1e-5)));
    for (int64_t i = 0; i < (int64_t)count * rows; i += LANES) store(to + i, (load(from + i) - mean) * scale);
}

static void weighed(float *rows, int32_t count, int32_t width, const float *weight, const float *bias) {
    for (; count; count--, rows += width)
        for (int32_t i = 0; i < width; i += LANES) store(rows + i, load(rows + i) * load(weight + i) + load(bias + i));
}

static inline void six_in(const vec *d, int step, vec *to) {
    vec a = d[4 * step] - 4.0f * d[2 * step], b = d[3 * step] - 4.0f * d[step];
    vec e = d[4 * step] - d[2 * step], f = 2.0f * (d[3 * step] - d[step]);
    to[0] = 4.0f * d[0] - 5.0f * d[2 * step] + d[4 * step];
    to[1] = a + b, to[2] = a - b, to[3] = e + f, to[4] = e - f;
    to[5] = 4.0f * d[step] - 5.0f * d[3 * step] + d[5 * step];
}

static inline void four_out(const vec *m, int step, vec *to) {
    vec a = m[step] + m[2 * step], b = m[step] - m[2 * step], e = m[3 * step] + m[4 * step], f = m[3 * step] - m[4 * step];
    to[0] = m[0] + a + e, to[1] = b + 2.0f * f, to[2] = a + 4.0f * e, to[3] = b + 8.0f * f + m[5 * step];
}

/* A convolution of 3 x 3 of a map, with zeros around it; `work` has room for 36 times the map's 16th, in and out. */
static void convolve(const nano_linear *l, int how, const float *map, int32_t side, int32_t width, float *out, float *work) {
    const int32_t across = side / 4, tiles = across * across;
    float *in = work, *found = in + (int64_t)TILE * tiles * width;
    for (int32_t tile = 0; tile < tiles; tile++)
        for (int32_t c = 0; c < width; c += LANES) {
            vec six[6], half[6][6], whole[6];
            for (int32_t j = 0, x = tile % across * 4 - 1; j < 6; j++, x++) {
                for (int32_t i = 0, y = tile / across * 4 - 1; i < 6; i++, y++)
                    six[i] = x < 0 || y < 0 || x == side || y == side ? (vec){0} : load(map + ((int64_t)y * side + x) * width + c);
                six_in(six, 1, half[j]);
            }
            for (int32_t i = 0; i < 6; i++) {
                six_in(&half[0][i], 6, whole);
                for (int32_t j = 0; j < 6; j++) store(in + ((int64_t)(6 * i + j) * tiles + tile) * width + c, whole[j]);
            }
        }
    for (int32_t k = 0; k < TILE; k++)
        put(in + (int64_t)k * tiles * width, tiles, width, l->panels + (int64_t)k * width * l->columns, l->columns,
            found + (int64_t)k * tiles * l->columns, 0);
    for (int32_t tile = 0; tile < tiles; tile++)
        for (int32_t c = 0; c < width; c += LANES) {
            vec six[6], half[6][4], whole[4];
            for (int32_t i = 0; i < 6; i++) {
                for (int32_t j = 0; j < 6; j++) six[j] = load(found + ((int64_t)(6 * i + j) * tiles + tile) * l->columns + c);
                four_out(six, 1, half[i]);
            }
            for (int32_t j = 0; j < 4; j++) {
                four_out(&half[0][j], 4, whole);
                for (int32_t i = 0; i < 4; i++) {
                    float *to = out + ((int64_t)(tile / across * 4 + i) * side + tile % across * 4 + j) * width + c;
                    vec value = whole[i] + load(l->bias + c);
                    store(to, how == GELU ? gelu(value) : load(to) + value);
                }
            }
        }
}

static void refine(const nano_residual *r, float *map, int32_t side, int32_t width, float *work) {
    const int64_t size = (int64_t)side * side * width;
    float *normed = work, *inner = normed + size, *rest = inner + size;
    standard(map, width, side * side, normed);
    weighed(normed, side * side, width, r->weight, r->bias);
    convolve(&r->first, GELU, normed, side, width, inner, rest);
    convolve(&r->second, MORE, inner, side, width, map, rest);
}

/* Blocks of 2 x 2 cells of a map as rows [cells / 4, 4, width]. */
static void paired(const float *map, int32_t side, int32_t width, float *to) {
    for (int32_t y = 0; y < side; y += 2)
        for (int32_t x = 0; x < side; x += 2)
            for (int32_t down = 0; down < 2; down++, to += 2 * width)
                memcpy(to, map + ((int64_t)(y + down) * side + x) * width, sizeof(float) * 2 * width);
}

/* All tokens look at all. */
static void look_around(const nano_sight *s, int32_t heads, int32_t count, int32_t width, float *tokens, float *work) {
    float *rows = work, *three = rows + (int64_t)count * width, *inner = three + 3 * (int64_t)count * width;
    float *scores = inner + (int64_t)count * s->expand.columns, *kept = scores + scores_room(heads, count);
    const int64_t size = 2 * (int64_t)width * BLOCK;
    float *blocks[count / BLOCK];
    int32_t last[count];
    for (int32_t token = 0; token < count; token++) standard(tokens + token * width, width, 1, rows + token * width);
    linear(&s->attend, PLAIN, rows, count, three);
    for (int32_t token = 0; token < count; token++) {
        float *block = blocks[token / BLOCK] = kept + token / BLOCK * size, *key = three + (3 * (int64_t)token + 1) * width;
        last[token] = count - 1;
        keep(heads, width / heads, key, key + width, block, token);
    }
    for (int32_t first = 0; first < count; first += WAVE) {
        const nano_gaze gaze = {heads, width / heads, 0, three + 3 * (int64_t)first * width, blocks, last};
        attend(&gaze, count - first < WAVE ? count - first : WAVE, scores, rows + (int64_t)first * width);
    }
    linear(&s->attended, MORE, rows, count, tokens);
    for (int32_t token = 0; token < count; token++) standard(tokens + token * width, width, 1, rows + token * width);
    linear(&s->expand, GELU, rows, count, inner);
    linear(&s->contract, MORE, inner, count, tokens);
}

/* Floats of the largest of the maps that are refined, after which come those that are worked with. */
static int64_t map_room(const nano_tower *t) {
    const int64_t cells = (int64_t)t->side * t->side / 16, of_cells = cells * t->stem.columns, of_tokens = cells / 16 * t->patches.columns;
    return of_cells > of_tokens ? of_cells : of_tokens;
}

/* Floats of working memory that `nano_see` needs. */
int64_t nano_see_work(const nano_tower *t) {
    const int64_t cells = (int64_t)t->side * t->side / 16, tokens = cells / 16, width = t->patches.columns;
    return map_room(t) + cells * (t->stem.depth + t->stem.columns * (2 + 2 * TILE / 16 + 1)) +
           tokens * (8 * width + t->sight->expand.columns) + scores_room(t->heads, tokens);
}

/* See an image [3, side, side]: the fine map [cells, cells, width], and logarithms of the depths of its cells; keys and values of its
   tokens, for who looks around among them; and what the decoder reads of it. */
void nano_see(
    const nano_tower *t, const float *pixels, float *fine, float *depth, float *around, float *told, float *work) {
    int32_t side = t->side / 4;
    const int32_t half = t->cells.depth / 4, width = t->patches.columns;
    float *map = work, *rows = map + map_room(t), *rest = rows + (int64_t)side * side * t->stem.depth;
    for (int32_t y = 0, at = 0; y < side; y++)
        for (int32_t x = 0; x < side; x++)
            for (int32_t line = 0; line < 12; line++, at += 4)
                memcpy(rows + at, pixels + ((int64_t)(line / 4 * t->side) + 4 * y + line % 4) * t->side + 4 * x, 4 * sizeof(float));
    linear(&t->stem, PLAIN, rows, side * side, rest);
    for (int32_t cell = 0; cell < side * side; cell++) memcpy(map + cell * half, rest + cell * t->stem.columns, sizeof(float) * half);
    for (int i = 0; i < 2; i++) refine(t->narrow + i, map, side, half, rows);
    paired(map, side, half, rows);
    side /= 2;
    linear(&t->cells, PLAIN, rows, side * side, fine);
    for (int i = 0; i < 3; i++) refine(t->wide + i, fine, side, 2 * half, rows);
    paired(fine, side, 2 * half, rows);
    side /= 2;
    const int32_t count = side * side;
    linear(&t->patches, PLAIN, rows, count, map);
    for (int64_t i = 0; i < (int64_t)count * width; i += LANES) store(map + i, load(map + i) + load(t->position + i));
    for (int32_t i = 0; i < t->sights; i++) look_around(t->sight + i, t->heads, count, width, map, rows);
    for (int32_t token = 0; token < count; token++) standard(map + token * width, width, 1, map + token * width);
    weighed(map, count, width, t->norm[0], t->norm[1]);
    linear(&t->around, PLAIN, map, count, around);
    paired(map, side, width, rows);
    linear(&t->join, PLAIN, rows, count / 4, told);
    for (int32_t token = 0; token < count / 4; token++)
        standard(told + token * t->join.columns, t->join.columns, 1, told + token * t->join.columns);
    weighed(told, count / 4, t->join.columns, t->quiet[0], t->quiet[1]);
    linear(&t->context, PLAIN, map, count, rows);
    for (int32_t y = 0; y < 2 * side; y++)
        for (int32_t x = 0; x < side; x++) {
            const float *from = rows + ((int64_t)(y / 2 * side + x) * 2 + y % 2) * 4 * half;
            float *to = fine + (int64_t)(y * side + x) * 4 * half;
            for (int32_t i = 0; i < 4 * half; i += LANES) store(to + i, load(to + i) + load(from + i));
        }
    refine(&t->fuse, fine, 2 * side, 2 * half, rows);
    linear(&t->depth, PLAIN, fine, 4 * count, rows);
    for (int32_t cell = 0; cell < 4 * count; cell++) depth[cell] = rows[cell * t->depth.columns];
}
