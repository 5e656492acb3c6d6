/* What `uncertainty.Pixels` asks for each time that it measures a region again: which of a point's neighbours are nearest now.
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
