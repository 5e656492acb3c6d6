/* What `furnishing.furnish` does: the same draws of the same generator in the same order, and the same products and sums of
   doubles (-ffp-contract=off), so the same things. `layout.py` takes it only where both furnish some rooms alike. Nothing is
   checked here. */

#include <math.h>
#include <stdint.h>

#include "../../../core/native.h"

typedef struct { /* numpy's bitgen_t */
    void *state;
    uint64_t (*next_uint64)(void *state);
    uint32_t (*next_uint32)(void *state);
    double (*next_double)(void *state);
    uint64_t (*next_raw)(void *state);
} generator;

enum { MOST_THINGS = 16, MOST_PARTS = 8, MOST_SIDES = 64 };

typedef struct {
    int32_t fewest, most, tries, primitives, furniture, colours;
    double shares[4]; /* chances of no piece of furniture, of at most one, and so on */
    double clearance, steady, least, largest, hidden, cut, cut_chance, nearest, stacked, contact;
} rules;

typedef struct {
    int32_t corners, parts, carries, share[3]; /* whether width, height and depth are shares of the width */
    double low[3], high[3];                    /* of them, metres or shares */
    double mass_centre[3];
    const double *corner;  /* [corners, 3]: what bounds it, in the unit cube */
    const double *outline; /* [sides, 2]: (x, z) of all parts */
    const int32_t *first;  /* [parts + 1]: the first side of each */
    const double *height;  /* [parts, 2]: top and bottom */
} kind;

typedef struct {
    double width, height, fx, fy, cx, cy, altitude;
    double axes[9];         /* right, down, ahead, levelled frame */
    double to_x[2], to_z[2]; /* the room's axes as (x, z) */
    double low[2], high[2]; /* its walls along them */
    double half, near, far; /* of `floor_places` */
} place;

typedef struct {
    int32_t kind, colour, below, unused; /* below: the thing that it stands on, or -1 */
    double rgb[3], centre[3], size[3], yaw;
} thing;

typedef struct {
    double x0, y0, x1, y1, depth;
} view;

typedef struct { /* the outlines of a thing's parts, in the room, and the lines through their sides */
    double x[MOST_SIDES], z[MOST_SIDES], right[MOST_SIDES], ahead[MOST_SIDES], offset[MOST_SIDES];
    double top[MOST_PARTS], bottom[MOST_PARTS];
} bodies;

typedef struct {
    const rules *r;
    const kind *kinds;
    const double *colours; /* [colours, 3] */
    const place *p;
    generator *random;
    thing *things;
    int count;
    view views[MOST_THINGS];
    bodies body[MOST_THINGS];
} furnishing;

static double draw(furnishing *f) { return f->random->next_double(f->random->state); }
static double between(furnishing *f, double low, double high) { return low + (high - low) * draw(f); }

/* A whole number below `count`, as numpy draws one. */
static int below(furnishing *f, uint32_t count) {
    if (count == 1) return 0;
    uint64_t product = (uint64_t)f->random->next_uint32(f->random->state) * count;
    if ((uint32_t)product < count) {
        const uint32_t threshold = -count % count;
        while ((uint32_t)product < threshold) product = (uint64_t)f->random->next_uint32(f->random->state) * count;
    }
    return (int)(product >> 32);
}

static double least(double a, double b) { return b < a ? b : a; }
static double most(double a, double b) { return b > a ? b : a; }
static double reach(const thing *t) { return hypot(t->size[0], t->size[2]) / 2; }

static void shade(furnishing *f, const double *colour, double *rgb) {
    const double lighter = between(f, -0.04, 0.04);
    for (int i = 0; i < 3; i++) rgb[i] = least(most(colour[i] / 255 + (lighter + between(f, -0.012, 0.012)), 0), 1);
}

/* Sizes on a supporter that is not narrower; 0 if even the smallest is too wide. */
static int choose_size(furnishing *f, thing *t) {
    const kind *k = f->kinds + t->kind;
    const double *under = t->below < 0 ? 0 : f->things[t->below].size;
    const double top = under ? 0.9 * least(under[0], under[2]) : INFINITY;
    const double bounds[3] = {top, 1.5 * top, top};
    for (int i = 0; i < 3; i++) {
        const double low = k->share[i] ? k->low[i] * t->size[0] : k->low[i], high = k->share[i] ? low : k->high[i];
        if (low > bounds[i]) return 0;
        t->size[i] = low * pow(least(high, bounds[i]) / low, draw(f));
    }
    return 1;
}

static void choose_spot(furnishing *f, thing *t) {
    if (t->below < 0) {
        t->centre[2] = exp(between(f, f->p->near, f->p->far));
        t->centre[0] = between(f, -0.9, 0.9) * f->p->half * t->centre[2];
        return;
    }
    const thing *under = f->things + t->below;
    const double far = (1 - f->r->steady) / 2, across = between(f, -far, far), along = between(f, -far, far);
    const double right = across * under->size[0], ahead = along * under->size[2], c = cos(under->yaw), s = sin(under->yaw);
    t->centre[0] = right * c - ahead * s + under->centre[0];
    t->centre[2] = right * s + ahead * c + under->centre[2];
}

/* The thing somewhere on the floor or on another thing; 0 if that is too narrow. */
static int propose(furnishing *f, thing *t) {
    int carriers[MOST_THINGS], count = 0;
    for (int i = 0; i < f->count; i++)
        if (f->kinds[f->things[i].kind].carries && f->things[i].colour != t->colour) carriers[count++] = i;
    const int stacked = t->kind < f->r->primitives && count && draw(f) < f->r->stacked;
    t->below = stacked ? carriers[below(f, count)] : -1;
    const int sized = choose_size(f, t);
    choose_spot(f, t);
    if (!sized) return 0;
    const double base = stacked ? f->body[t->below].top[0] : f->p->altitude;
    t->centre[1] = base - t->size[1] / 2;
    t->yaw = between(f, -M_PI, M_PI);
    return 1;
}

static double overlap(const view *a, const view *b) {
    const double width = least(a->x1, b->x1) - most(a->x0, b->x0), height = least(a->y1, b->y1) - most(a->y0, b->y0);
    return width > 0 && height > 0 ? width * height : 0;
}

static double area(const view *v) { return (v->x1 - v->x0) * (v->y1 - v->y0); }

/* Whether the nearer of the two covers too much of the other. */
static int clash(const view *a, const view *b, double hidden) {
    const double both = overlap(a, b);
    return both > 0 && ((a->depth <= b->depth && both > hidden * area(b)) || (b->depth <= a->depth && both > hidden * area(a)));
}

/* Its box in the image; 0 if it shows badly. */
static int see(furnishing *f, const thing *t, view *v) {
    const rules *r = f->r;
    const place *p = f->p;
    const kind *k = f->kinds + t->kind;
    const double c = cos(t->yaw), s = sin(t->yaw);
    double to[3][4], nearest = INFINITY, farthest = -INFINITY;
    for (int i = 0; i < 3; i++) {
        const double right = p->axes[3 * i], down = p->axes[3 * i + 1], ahead = p->axes[3 * i + 2];
        to[i][0] = t->size[0] * (c * right + s * ahead), to[i][1] = t->size[1] * down, to[i][2] = t->size[2] * (c * ahead - s * right);
        to[i][3] = t->centre[0] * right + t->centre[1] * down + t->centre[2] * ahead;
    }
    *v = (view){INFINITY, INFINITY, -INFINITY, -INFINITY, 0};
    for (int i = 0; i < k->corners; i++) {
        double at[3];
        for (int axis = 0; axis < 3; axis++) {
            const double *a = to[axis], *corner = k->corner + 3 * i;
            at[axis] = a[0] * corner[0] + a[1] * corner[1] + a[2] * corner[2] + a[3];
        }
        const double x = at[0] / at[2], y = at[1] / at[2];
        v->x0 = least(v->x0, x), v->x1 = most(v->x1, x), v->y0 = least(v->y0, y), v->y1 = most(v->y1, y);
        nearest = least(nearest, at[2]), farthest = most(farthest, at[2]);
    }
    if (nearest < r->nearest) return 0;
    *v = (view){p->fx * v->x0 + p->cx, p->fy * v->y0 + p->cy, p->fx * v->x1 + p->cx, p->fy * v->y1 + p->cy, (nearest + farthest) / 2};
    const view image = {0, 0, p->width, p->height, 0};
    const double shown = overlap(v, &image), share = shown / (p->width * p->height);
    const double border = draw(f) < r->cut_chance ? r->cut : 0;
    if (!(r->least < share && share < r->largest) || shown < (1 - border) * area(v)) return 0;
    for (int i = 0; i < f->count; i++)
        if (clash(v, f->views + i, r->hidden)) return 0;
    return 1;
}

/* Where a point of its cube is, seen from above. */
static void put(const thing *t, double c, double s, double x, double z, double *to) {
    const double right = x * t->size[0], ahead = z * t->size[2];
    to[0] = right * c - ahead * s + t->centre[0];
    to[1] = right * s + ahead * c + t->centre[2];
}

static void stand(const kind *k, const thing *t, bodies *b) {
    const double c = cos(t->yaw), s = sin(t->yaw);
    for (int part = 0; part < k->parts; part++) {
        const int from = k->first[part], end = k->first[part + 1];
        b->top[part] = k->height[2 * part] * t->size[1] + t->centre[1];
        b->bottom[part] = k->height[2 * part + 1] * t->size[1] + t->centre[1];
        for (int i = from; i < end; i++) {
            double at[2];
            put(t, c, s, k->outline[2 * i], k->outline[2 * i + 1], at);
            b->x[i] = at[0], b->z[i] = at[1];
        }
        for (int i = from; i < end; i++) {
            const int next = i + 1 < end ? i + 1 : from;
            const double x = b->x[next] - b->x[i], z = b->z[next] - b->z[i], length = hypot(x, z);
            b->right[i] = z / length, b->ahead[i] = -x / length;
            b->offset[i] = b->x[i] * b->right[i] + b->z[i] * b->ahead[i];
        }
    }
}

/* Whether it is clear of the walls. */
static int inside(const furnishing *f, const thing *t) {
    const place *p = f->p;
    const kind *k = f->kinds + t->kind;
    const double gap = f->r->clearance, far = reach(t) + gap + 1e-6, x = t->centre[0], z = t->centre[2];
    const double across = x * p->to_x[0] + z * p->to_x[1], along = x * p->to_z[0] + z * p->to_z[1];
    if (p->low[0] + far < across && across < p->high[0] - far && p->low[1] + far < along && along < p->high[1] - far) return 1;
    const double c = cos(t->yaw), s = sin(t->yaw);
    for (int i = 0; i < k->corners; i++) {
        double at[2];
        put(t, c, s, k->corner[3 * i], k->corner[3 * i + 2], at);
        const double right = at[0] * p->to_x[0] + at[1] * p->to_x[1], ahead = at[0] * p->to_z[0] + at[1] * p->to_z[1];
        if (right < p->low[0] + gap || right > p->high[0] - gap || ahead < p->low[1] + gap || ahead > p->high[1] - gap) return 0;
    }
    return 1;
}

/* Whether its centre of mass is well over every thing below it. */
static int steady(const furnishing *f, const thing *t) {
    const double *middle = f->kinds[t->kind].mass_centre;
    double at[2];
    put(t, cos(t->yaw), sin(t->yaw), middle[0], middle[2], at);
    for (int under = t->below; under >= 0; under = f->things[under].below) {
        const thing *u = f->things + under;
        const bodies *b = f->body + under;
        const double margin = f->r->steady * least(u->size[0], u->size[2]) / 2;
        for (int i = 0; i < f->kinds[u->kind].first[1]; i++)
            if (at[0] * b->right[i] + at[1] * b->ahead[i] - b->offset[i] > -margin) return 0;
    }
    return 1;
}

/* Whether a side of one outline parts it from the other. */
static int parts(const bodies *a, int from, int end, const bodies *b, int other, int last, double gap) {
    for (int side = from; side < end; side++) {
        int clear = 1;
        for (int i = other; i < last && clear; i++)
            clear = b->x[i] * a->right[side] + b->z[i] * a->ahead[side] - a->offset[side] >= gap;
        if (clear) return 1;
    }
    return 0;
}

/* Whether two things come too close sideways anywhere that they share a height. */
static int meet(const furnishing *f, const thing *t, const bodies *a, int other) {
    const thing *o = f->things + other;
    const bodies *b = f->body + other;
    const kind *mine = f->kinds + t->kind, *its = f->kinds + o->kind;
    const double gap = f->r->clearance, contact = f->r->contact;
    if (hypot(t->centre[0] - o->centre[0], t->centre[2] - o->centre[2]) > reach(t) + reach(o) + gap) return 0;
    for (int i = 0; i < mine->parts; i++)
        for (int k = 0; k < its->parts; k++) {
            if (a->top[i] >= b->bottom[k] - contact || b->top[k] >= a->bottom[i] - contact) continue;
            const int from = mine->first[i], end = mine->first[i + 1], first = its->first[k], last = its->first[k + 1];
            if (!parts(a, from, end, b, first, last, gap) && !parts(b, first, last, a, from, end, gap)) return 1;
        }
    return 0;
}

/* Whether it is inside the room, steady, and clear of all other things; then it has its bodies. */
static int fits(furnishing *f, const thing *t) {
    if (!inside(f, t) || !steady(f, t)) return 0;
    bodies *b = f->body + f->count;
    stand(f->kinds + t->kind, t, b);
    for (int i = 0; i < f->count; i++)
        if (meet(f, t, b, i)) return 0;
    return 1;
}

/* A thing in the first place that will do; it is left out if none does. */
static void add(furnishing *f, int kind, int colour) {
    thing *t = f->things + f->count;
    *t = (thing){.kind = kind, .colour = colour};
    shade(f, f->colours + 3 * colour, t->rgb);
    for (int i = 0; i < f->r->tries; i++)
        if (propose(f, t) && see(f, t, f->views + f->count) && fits(f, t)) {
            f->count++;
            return;
        }
}

/* Furnishes a room; returns how many things there are. `things` has a place more than there may be. */
int furnish(const rules *r, const kind *kinds, const double *colours, const place *p, generator *random, thing *things) {
    furnishing f = {.r = r, .kinds = kinds, .colours = colours, .p = p, .random = random, .things = things};
    uint32_t used[MOST_THINGS] = {0}; /* colours, of each kind */
    const int wanted = r->fewest + below(&f, r->most - r->fewest + 1);
    const double chance = draw(&f);
    int pieces = 0;
    while (pieces < 4 && chance >= r->shares[pieces]) pieces++;
    for (int labels = 0; labels < wanted;) {
        const int piece = labels < pieces;
        const int kind = piece ? r->primitives + below(&f, r->furniture) : below(&f, r->primitives), colour = below(&f, r->colours);
        if (used[kind] >> colour & 1) continue;
        used[kind] |= 1u << colour;
        labels++;
        add(&f, kind, colour);
    }
    return f.count;
}
