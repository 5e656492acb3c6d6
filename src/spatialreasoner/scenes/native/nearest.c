/* What error bars ask for each time that a region is measured again: which of a point's neighbours, or of another cloud, are nearest.
   The same products and sums of doubles as by numpy, so the same distances (-ffp-contract=off). Nothing is checked here. */

#include <math.h>
#include <stdint.h>

#include "../../core/native.h"

/* For each kept point its `nearest` smallest distances, ascending, NaN where it has fewer kept neighbours.

   points     [n, 3]
   near       [n, k], the neighbours of each, itself among them
   kept       [n], 0 or 1
   distances  [kept points, nearest], written */
void nearest_distances(const double *points, const int64_t *near, const uint8_t *kept, int64_t n, int64_t k, int64_t nearest, double *distances) {
    for (int64_t one = 0; one < n; one++, near += k) {
        if (!kept[one]) continue;
        const double *here = points + 3 * one;
        int64_t found = 0;
        for (int64_t place = 0; place < k; place++) {
            if (!kept[near[place]]) continue;
            const double *there = points + 3 * near[place];
            const double x = there[0] - here[0], y = there[1] - here[1], z = there[2] - here[2];
            const double square = x * x + y * y + z * z;
            if (found == nearest && square >= distances[nearest - 1]) continue;
            int64_t slot = found < nearest ? found++ : nearest - 1;
            for (; slot > 0 && distances[slot - 1] > square; slot--) distances[slot] = distances[slot - 1];
            distances[slot] = square;
        }
        for (int64_t place = 0; place < nearest; place++) distances[place] = place < found ? sqrt(distances[place]) : NAN;
        distances += nearest;
    }
}

/* The square of the distance of each point of two clouds to the nearest point of the other.

   one      [m, 3]
   other    [3, n], its columns
   squares  [n + m], written: those of `other`, then those of `one` */
void nearest_squares(const double *one, const double *other, int64_t m, int64_t n, double *squares) {
    enum { LANES = 4 };
    for (int64_t place = 0; place < n; place++) squares[place] = INFINITY;
    for (int64_t here = 0; here < m; here++, one += 3) {
        double least[LANES] = {INFINITY, INFINITY, INFINITY, INFINITY};
        for (int64_t start = 0; start < n; start += LANES) {
            const int64_t lanes = n - start < LANES ? n - start : LANES;
            for (int64_t lane = 0; lane < lanes; lane++) {
                const int64_t there = start + lane;
                const double x = one[0] - other[there], y = one[1] - other[n + there], z = one[2] - other[2 * n + there];
                const double square = x * x + y * y + z * z;
                squares[there] = square < squares[there] ? square : squares[there];
                least[lane] = square < least[lane] ? square : least[lane];
            }
        }
        for (int64_t lane = 1; lane < LANES; lane++) least[0] = least[lane] < least[0] ? least[lane] : least[0];
        squares[n + here] = least[0];
    }
}
