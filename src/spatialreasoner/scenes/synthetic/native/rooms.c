/* What `render.Caster` computes with numpy, ray by ray: the same operations of float32 in the same order, so the same bytes.

   Embree meets the things, by the functions that `caster.py` finds in its library. A ray that passes by the outlines of
   all parts of things is not sent: their outlines in the image, or across the rays of the sun. Sums of products must not be
   fused (-ffp-contract=off): `casting.py` takes this library only where both give the same. No function checks its arguments. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../../core/native.h"

typedef struct {
    _Alignas(16) float origin[3];
    float near, direction[3], time, far;
    uint32_t mask, id, flags;
    float normal[3], u, v;
    uint32_t face, geometry, instance[8]; /* as many as any release writes */
} embree_ray;

typedef struct {
    void *(*new_scene)(void *device);
    void (*set_flags)(void *scene, int flags);
    void *(*new_geometry)(void *device, int kind);
    void (*share)(void *geometry, int kind, unsigned slot, int format, const void *data, size_t offset, size_t stride, size_t count);
    void (*commit_geometry)(void *geometry);
    unsigned (*attach)(void *scene, void *geometry);
    void (*release_geometry)(void *geometry);
    void (*commit_scene)(void *scene);
    void (*release_scene)(void *scene);
    void (*intersect)(void *scene, embree_ray *ray, void *arguments);
    void (*occluded)(void *scene, embree_ray *ray, void *arguments);
} embree;

enum { TRIANGLES = 0, INDICES = 0, CORNERS = 1, THREE_WHOLE = 0x5003, THREE_FLOATS = 0x9003, ROBUST = 4, FINER = 3, RAYS = 64, MOST_PARTS = 256, MOST_THINGS = 64 };

typedef struct {
    int32_t width, height, things, parts, corners, faces, patterned;
    double fx, fy, cx, cy;
    double finer[2 * FINER];  /* (u, v) of the rays of a pixel at an edge, from its centre */
    const float *corner;      /* [corners, 3], and a float more, for Embree reads four */
    const int32_t *face;      /* [faces, 3] */
    const float *normal;      /* [faces, 3, 3] */
    const uint8_t *curved;    /* [faces] */
    const int16_t *owner;     /* [faces] */
    const int32_t *part;      /* [faces] */
    const int32_t *first;     /* [parts + 1]: the first corner of each */
    const int32_t *of;        /* [parts]: the thing that it belongs to */
    const float *palette;     /* [things + 4, 3] */
    const uint8_t *srgb;      /* of linear light in steps of 1 / 4095 */
    float axes[9];            /* right, down, forward of the camera, levelled frame */
    float turn[9], tiles[9];  /* points into the room's frame, and into its tiles */
    float side_normal[18];    /* inward, low and high x, y, z */
    float low[3], high[3], towards[3];
    float sun, glow, gloss, lift, nudge, skirting, contrast;
} room;

/* What bounds a part of a thing, seen along some rays: least and most x, y, x + y, x - y, and how far it goes along them. */
typedef struct {
    float least[4], most[4], farthest;
} outline;

typedef struct {
    const room *r;
    const embree *with;
    void *scene;
    float across[6]; /* two directions across the sun's rays */
    outline seen[MOST_PARTS], lit[MOST_PARTS]; /* in the image; from the sun */
} view;

/* Rays of the camera, through (x, y) at a metre's depth, and where they end. */
typedef struct {
    float x[RAYS], y[RAYS], direction[3][RAYS];
    float depth[RAYS], point[3][RAYS], normal[3][RAYS], bright[RAYS];
    int32_t owner[RAYS], sunlit[RAYS]; /* owner: a thing, -1 the floor, -2 a wall */
    int32_t part[RAYS];                /* that cannot shade where the ray ends, or -1 */
    int32_t chosen[RAYS];              /* which may meet something */
} rays;

static inline float plain(const float *a, const float *b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

static inline void unit(float *v) {
    float length = sqrtf(plain(v, v));
    for (int i = 0; i < 3; i++) v[i] /= length;
}

/* Outlines are wider than the parts by this share of a metre, or of depth, that no ray is left out for its rounding. */
static const float MARGIN = 2e-3f;

static const outline NOWHERE = {{INFINITY, INFINITY, INFINITY, INFINITY}, {-INFINITY, -INFINITY, -INFINITY, -INFINITY}, -INFINITY};
static const outline ANYWHERE = {{-INFINITY, -INFINITY, -INFINITY, -INFINITY}, {INFINITY, INFINITY, INFINITY, INFINITY}, INFINITY};

static void include(outline *o, float x, float y, float along) {
    float sides[4] = {x, y, x + y, x - y};
    for (int i = 0; i < 4; i++) {
        o->least[i] = fminf(o->least[i], sides[i] - MARGIN);
        o->most[i] = fmaxf(o->most[i], sides[i] + MARGIN);
    }
    o->farthest = fmaxf(o->farthest, along + MARGIN);
}

static void outline_parts(view *w) {
    const room *r = w->r;
    const float *s = r->towards;
    float *a = w->across, *b = w->across + 3;
    int along = fabsf(s[1]) < 0.7f ? 1 : 0; /* an axis that is not the sun's */
    for (int i = 0; i < 3; i++) a[i] = (i == along) - s[along] * s[i];
    unit(a);
    b[0] = s[1] * a[2] - s[2] * a[1], b[1] = s[2] * a[0] - s[0] * a[2], b[2] = s[0] * a[1] - s[1] * a[0];
    for (int part = 0; part < r->parts; part++) {
        outline *seen = w->seen + part, *lit = w->lit + part;
        float nearest = INFINITY;
        *seen = *lit = NOWHERE;
        for (int k = r->first[part]; k < r->first[part + 1]; k++) {
            const float *p = r->corner + 3 * (int64_t)k;
            float depth = plain(p, r->axes + 6);
            nearest = fminf(nearest, depth);
            include(seen, plain(p, r->axes) / depth, plain(p, r->axes + 3) / depth, depth);
            include(lit, plain(p, a), plain(p, b), plain(p, s));
        }
        if (nearest < 0.1f) *seen = ANYWHERE; /* beside the camera or behind it */
    }
}

/* Adds the rays through (x, y) that pass within an outline to `found`. `along` is how far they begin, or NULL. */
static void within(
    const outline *from, const float *restrict x, const float *restrict y, const float *restrict along, int32_t *restrict found) {
    const outline o = *from;
    for (int i = 0; i < RAYS; i++) {
        float sum = x[i] + y[i], difference = x[i] - y[i];
        found[i] += (x[i] >= o.least[0]) & (x[i] <= o.most[0]) & (y[i] >= o.least[1]) & (y[i] <= o.most[1]) &
                    (sum >= o.least[2]) & (sum <= o.most[2]) & (difference >= o.least[3]) & (difference <= o.most[3]) &
                    (along[i] <= o.farthest);
    }
}

static int holds(const outline *o, float x, float y) {
    return (x >= o->least[0]) & (x <= o->most[0]) & (y >= o->least[1]) & (y <= o->most[1]) & (x + y >= o->least[2]) &
           (x + y <= o->most[2]) & (x - y >= o->least[3]) & (x - y <= o->most[3]);
}

/* How many of the parts each ray may meet. */
static void may_meet(const outline *parts, int count, const float *x, const float *y, const float *along, int32_t *found) {
    float left = x[0], right = x[0], upper = y[0], lower = y[0];
    for (int i = 1; i < RAYS; i++) {
        left = x[i] < left ? x[i] : left, right = x[i] > right ? x[i] : right;
        upper = y[i] < upper ? y[i] : upper, lower = y[i] > lower ? y[i] : lower;
    }
    memset(found, 0, RAYS * sizeof *found);
    for (const outline *o = parts; o < parts + count; o++)
        if (right >= o->least[0] && left <= o->most[0] && lower >= o->least[1] && upper <= o->most[1]) within(o, x, y, along, found);
}

static inline void aim(embree_ray *ray, const float *from, const float *direction) {
    for (int i = 0; i < 3; i++) ray->origin[i] = from[i], ray->direction[i] = direction[i];
    ray->near = ray->time = 0;
    ray->far = 1e37f;
    ray->mask = ray->face = ray->geometry = ray->instance[0] = ray->instance[1] = UINT32_MAX;
    ray->id = ray->flags = 0;
}

/* Where rays leave the room, which is a box. */
static void leave(const room *r, rays *s) {
    float along[3][RAYS], reach[3][RAYS];
    int32_t side[RAYS];
    for (int axis = 0; axis < 3; axis++) {
        const float a = r->turn[axis], b = r->turn[3 + axis], c = r->turn[6 + axis], high = r->high[axis], low = r->low[axis];
        for (int i = 0; i < RAYS; i++) {
            float to = s->direction[0][i] * a + s->direction[1][i] * b + s->direction[2][i] * c;
            along[axis][i] = to;
            reach[axis][i] = fabsf((to > 0 ? high : low) / to);
        }
    }
    for (int i = 0; i < RAYS; i++) {
        float nearer = reach[0][i] < reach[1][i] ? reach[0][i] : reach[1][i];
        float depth = nearer < reach[2][i] ? nearer : reach[2][i];
        int32_t x = along[0][i] > 0, y = 2 + (along[1][i] > 0), z = 4 + (along[2][i] > 0);
        int32_t upright = reach[0][i] <= depth ? x : z;
        side[i] = reach[1][i] <= depth ? y : upright;
        s->owner[i] = side[i] == 3 ? -1 : -2;
        s->part[i] = -1;
        s->depth[i] = depth;
    }
    for (int i = 0; i < RAYS; i++)
        for (int axis = 0; axis < 3; axis++) s->normal[axis][i] = r->side_normal[3 * side[i] + axis];
}

/* Where a ray meets a thing. */
static void meet(const room *r, const embree_ray *ray, rays *s, int i) {
    const float *of = r->normal + 9 * (int64_t)ray->face;
    float normal[3] = {of[0], of[1], of[2]}, first = 1.0f - ray->u - ray->v;
    s->depth[i] = ray->far;
    s->owner[i] = r->owner[ray->face];
    s->part[i] = r->part[ray->face]; /* convex, and the ray to the sun leaves one of its flat faces */
    if (r->curved[ray->face]) {
        s->part[i] = -1;
        for (int axis = 0; axis < 3; axis++) normal[axis] = first * of[axis] + ray->u * of[3 + axis] + ray->v * of[6 + axis];
        unit(normal);
    }
    for (int axis = 0; axis < 3; axis++) s->normal[axis][i] = normal[axis];
}

static void cast(const view *w, rays *s) {
    const room *r = w->r;
    const float centre[3] = {0}, none[RAYS] = {0};
    embree_ray ray;
    for (int axis = 0; axis < 3; axis++) {
        const float right = r->axes[axis], below = r->axes[3 + axis], forward = r->axes[6 + axis];
        for (int i = 0; i < RAYS; i++) s->direction[axis][i] = s->x[i] * right + s->y[i] * below + forward;
    }
    leave(r, s);
    may_meet(w->seen, r->parts, s->x, s->y, none, s->chosen);
    for (int i = 0; i < RAYS; i++) {
        if (!s->chosen[i]) continue;
        float direction[3] = {s->direction[0][i], s->direction[1][i], s->direction[2][i]};
        aim(&ray, centre, direction);
        w->with->intersect(w->scene, &ray, NULL);
        if (ray.face != UINT32_MAX) meet(r, &ray, s, i);
    }
}

/* Whether the sun reaches where the rays end, and how bright that makes it. */
static void lighten(const view *w, rays *s) {
    const room *r = w->r;
    const float lift = r->lift;
    float sun[3], a[3], b[3];
    memcpy(sun, r->towards, sizeof sun), memcpy(a, w->across, sizeof a), memcpy(b, w->across + 3, sizeof b);
    float from[3][RAYS], x[RAYS], y[RAYS], ahead[RAYS], facing[RAYS];
    embree_ray ray;
    for (int axis = 0; axis < 3; axis++)
        for (int i = 0; i < RAYS; i++) {
            s->point[axis][i] = s->direction[axis][i] * s->depth[i];
            from[axis][i] = s->point[axis][i] + lift * s->normal[axis][i];
        }
    for (int i = 0; i < RAYS; i++) {
        facing[i] = s->normal[0][i] * sun[0] + s->normal[1][i] * sun[1] + s->normal[2][i] * sun[2];
        s->sunlit[i] = facing[i] > 0;
        x[i] = from[0][i] * a[0] + from[1][i] * a[1] + from[2][i] * a[2];
        y[i] = from[0][i] * b[0] + from[1][i] * b[1] + from[2][i] * b[2];
        ahead[i] = from[0][i] * sun[0] + from[1][i] * sun[1] + from[2][i] * sun[2];
    }
    may_meet(w->lit, r->parts, x, y, ahead, s->chosen);
    for (int i = 0; i < RAYS; i++) {
        if (!s->chosen[i] || !s->sunlit[i]) continue;
        if (s->part[i] >= 0 && s->chosen[i] == holds(w->lit + s->part[i], x[i], y[i])) continue;
        float start[3] = {from[0][i], from[1][i], from[2][i]};
        aim(&ray, start, sun);
        w->with->occluded(w->scene, &ray, NULL);
        s->sunlit[i] = !(ray.far < 0);
    }
    const float strength = r->sun, glow = r->glow;
    for (int i = 0; i < RAYS; i++)
        s->bright[i] = strength * facing[i] * (float)s->sunlit[i] + glow * (0.8f - 0.2f * s->normal[1][i]);
}

/* The sun's reflection on a thing. */
static float shine(const room *r, const rays *s, int i) {
    float half[3] = {s->direction[0][i], s->direction[1][i], s->direction[2][i]};
    float normal[3] = {s->normal[0][i], s->normal[1][i], s->normal[2][i]};
    unit(half);
    for (int axis = 0; axis < 3; axis++) half[axis] = r->towards[axis] - half[axis];
    unit(half);
    float mirrored = plain(normal, half), cosine = mirrored > 0 ? mirrored : 0;
    float third = cosine * cosine * cosine, sixth = third * third, twelfth = sixth * sixth;
    return r->gloss * (twelfth * twelfth);
}

/* What the ends of rays are made of: a row of the palette, counted from the end where it is below 0. */
static void choose_materials(const room *r, const rays *s, int32_t *material) {
    const float skirting = r->skirting, a = r->tiles[0], b = r->tiles[3], c = r->tiles[6], d = r->tiles[2], e = r->tiles[5], f = r->tiles[8];
    const int both = r->patterned == 2;
    for (int i = 0; i < RAYS; i++) {
        int32_t wall = s->point[1][i] > skirting ? -4 : -2;
        material[i] = s->owner[i] == -2 ? wall : s->owner[i];
    }
    if (!r->patterned) return;
    for (int i = 0; i < RAYS; i++) {
        float across = floorf(s->point[0][i] * a + s->point[1][i] * b + s->point[2][i] * c);
        float along = floorf(s->point[0][i] * d + s->point[1][i] * e + s->point[2][i] * f);
        int32_t other = (int32_t)(across + (both ? along : 0.0f)) & 1;
        material[i] = (material[i] == -1) & other ? -3 : material[i];
    }
}

/* The light that comes along rays [RAYS, 3], and where it comes from. */
static void look(const view *w, rays *s, float *light) {
    const room *r = w->r;
    int32_t material[RAYS];
    cast(w, s);
    lighten(w, s);
    choose_materials(r, s, material);
    for (int i = 0; i < RAYS; i++) {
        const float *albedo = r->palette + 3 * (material[i] < 0 ? r->things + 4 + material[i] : material[i]);
        for (int channel = 0; channel < 3; channel++) light[3 * i + channel] = albedo[channel] * s->bright[i];
        if (!s->sunlit[i] || s->owner[i] < 0) continue;
        float gloss = shine(r, s, i);
        for (int channel = 0; channel < 3; channel++) light[3 * i + channel] += gloss;
    }
}

static inline float across(const room *r, double u) { return (float)((u - r->cx) / r->fx); }
static inline float down(const room *r, double v) { return (float)((v - r->cy) / r->fy); }

static void see_centres(const view *w, float *light, float *depth, int16_t *owner) {
    const room *r = w->r;
    const int64_t pixels = (int64_t)r->width * r->height;
    float found[3 * RAYS];
    rays s = {0};
    for (int64_t first = 0; first < pixels; first += RAYS) {
        int some = pixels - first < RAYS ? (int)(pixels - first) : RAYS;
        int32_t column = (int32_t)(first % r->width), row = (int32_t)(first / r->width), columns[RAYS], rows[RAYS];
        for (int i = 0; i < RAYS; i++) {
            columns[i] = column, rows[i] = row;
            if (++column == r->width) column = 0, row++;
        }
        const double fx = r->fx, fy = r->fy, cx = r->cx, cy = r->cy;
        for (int i = 0; i < RAYS; i++) s.x[i] = (float)((columns[i] - cx) / fx), s.y[i] = (float)((rows[i] - cy) / fy);
        look(w, &s, found);
        memcpy(light + 3 * first, found, sizeof(float) * 3 * some);
        memcpy(depth + first, s.depth, sizeof(float) * some);
        for (int i = 0; i < some; i++) owner[first + i] = (int16_t)s.owner[i];
    }
}

static int differ(const float *a, const float *b, float contrast) {
    return (fabsf(a[0] - b[0]) > contrast) | (fabsf(a[1] - b[1]) > contrast) | (fabsf(a[2] - b[2]) > contrast);
}

/* Pixels that differ clearly from a neighbour. */
static void find_edges(const room *r, const float *light, uint8_t *edge) {
    const int64_t width = r->width;
    memset(edge, 0, width * r->height);
    for (int row = 0; row < r->height; row++, light += 3 * width, edge += width)
        for (int column = 0; column < width; column++) {
            const float *here = light + 3 * column;
            int right = column + 1 < width && differ(here + 3, here, r->contrast);
            int below = row + 1 < r->height && differ(here + 3 * width, here, r->contrast);
            if (!(right | below)) continue;
            edge[column] = 1;
            if (right) edge[column + 1] = 1;
            if (below) edge[column + width] = 1;
        }
}

/* Means over the rays of so many pixels at edges. */
static void smooth(const view *w, const int64_t *pixels, int count, float *light) {
    const room *r = w->r;
    float found[3 * RAYS];
    rays s = {0};
    for (int k = 0; k < count; k++)
        for (int i = 0; i < FINER; i++) {
            s.x[FINER * k + i] = across(r, pixels[k] % r->width + r->finer[2 * i]);
            s.y[FINER * k + i] = down(r, pixels[k] / r->width + r->finer[2 * i + 1]);
        }
    for (int i = FINER * count; i < RAYS; i++) s.x[i] = s.x[0], s.y[i] = s.y[0];
    look(w, &s, found);
    for (int k = 0; k < count; k++)
        for (int channel = 0; channel < 3; channel++) {
            const float *around = found + 3 * FINER * k + channel;
            float *to = light + 3 * pixels[k] + channel;
            *to = (*to + (around[0] + around[3] + around[6])) / 4.0f;
        }
}

static void smooth_edges(const view *w, const uint8_t *edge, float *light) {
    const int64_t all = (int64_t)w->r->width * w->r->height;
    int64_t pixels[RAYS / FINER];
    int count = 0;
    for (int64_t pixel = 0; pixel < all; pixel++) {
        if (edge[pixel]) pixels[count++] = pixel;
        if (count == RAYS / FINER) smooth(w, pixels, count, light), count = 0;
    }
    if (count) smooth(w, pixels, count, light);
}

static void develop(const room *r, const float *light, uint8_t *image) {
    const int64_t values = 3 * (int64_t)r->width * r->height;
    const uint8_t *srgb = r->srgb;
    for (int64_t i = 0; i < values; i++) {
        float least = light[i] < 0 ? 0 : light[i], level = least > 1 ? 1 : least;
        image[i] = srgb[(int32_t)(level * 4095.0f)];
    }
}

/* Whether a ray may meet another thing. */
static int others(const view *w, float x, float y, int thing) {
    for (int part = 0; part < w->r->parts; part++) {
        const outline *o = w->seen + part;
        if (w->r->of[part] != thing && holds(o, x, y)) return 1;
    }
    return 0;
}

/* A ray goes on through what it hit at `reached`; the things on its way. */
static uint64_t go_on(const view *w, const float *direction, float reached) {
    uint64_t met = 0;
    float from[3];
    embree_ray ray;
    for (;;) {
        reached += w->r->nudge;
        for (int axis = 0; axis < 3; axis++) from[axis] = direction[axis] * reached;
        aim(&ray, from, direction);
        w->with->intersect(w->scene, &ray, NULL);
        if (ray.face == UINT32_MAX) return met;
        met |= 1ull << w->r->owner[ray.face];
        reached += ray.far;
    }
}

/* The pixels that each thing would cover were it alone; `owner` and `depth` are known. */
static void measure_whole(const view *w, const float *depth, const int16_t *owner, int64_t *areas) {
    const room *r = w->r;
    const int64_t all = (int64_t)r->width * r->height;
    memset(areas, 0, sizeof(int64_t) * r->things);
    for (int64_t pixel = 0; pixel < all; pixel++) {
        if (owner[pixel] < 0) continue;
        float x = across(r, pixel % r->width), y = down(r, pixel / r->width), direction[3];
        uint64_t met = 1ull << owner[pixel];
        for (int axis = 0; axis < 3; axis++) direction[axis] = x * r->axes[axis] + y * r->axes[3 + axis] + r->axes[6 + axis];
        if (others(w, x, y, owner[pixel])) met |= go_on(w, direction, depth[pixel]);
        for (; met; met &= met - 1) areas[__builtin_ctzll(met)]++;
    }
}

/* Renders a room; 0 where Embree refuses it, or it holds too many things.

   light [h, w, 3] and edge [h, w] are working memory; image [h, w, 3], depth and owner [h, w], areas [things] are the results. */
int rooms_render(
    const room *r, const embree *with, void *device, float *light, uint8_t *edge, uint8_t *image, float *depth, int16_t *owner,
    int64_t *areas) {
    if (r->things > MOST_THINGS || r->parts > MOST_PARTS) return 0;
    view w = {.r = r, .with = with, .scene = with->new_scene(device)};
    void *geometry = with->new_geometry(device, TRIANGLES);
    if (!w.scene || !geometry) return 0;
    with->set_flags(w.scene, ROBUST);
    with->share(geometry, INDICES, 0, THREE_WHOLE, r->face, 0, 12, (size_t)r->faces);
    with->share(geometry, CORNERS, 0, THREE_FLOATS, r->corner, 0, 12, (size_t)r->corners);
    with->commit_geometry(geometry);
    with->attach(w.scene, geometry);
    with->release_geometry(geometry);
    with->commit_scene(w.scene);
    outline_parts(&w);
    see_centres(&w, light, depth, owner);
    find_edges(r, light, edge);
    smooth_edges(&w, edge, light);
    develop(r, light, image);
    measure_whole(&w, depth, owner, areas);
    with->release_scene(w.scene);
    return 1;
}
