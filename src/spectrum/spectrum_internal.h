/* spectrum_internal.h - what the files of this room share: exact roots of unity. */
#ifndef SPECTRUM_INTERNAL_H
#define SPECTRUM_INTERNAL_H

#include <math.h>
#include <stdint.h>

#define SQRT2 1.41421356237309504880

/* cos and sin of 2 pi j / n for any integer j. The angle is reduced in integers to [0, pi/4], so that multiples of a quarter turn are exact
 * and mirrored bins agree to the last bit: symmetry of a spectrum is then a property of the tables, not of luck. */
static inline void unit_root(int64_t j, int64_t n, double *c, double *s)
{
    int64_t turn = j % n;
    if (turn < 0)
        turn += n;
    int64_t quarter = 4 * turn / n, rest = 4 * turn - quarter * n; /* angle = (quarter + rest/n) * pi/2 */
    double half_pi = 1.57079632679489661923, a, b;
    if (2 * rest <= n) {
        a = cos(half_pi * (double)rest / (double)n);
        b = sin(half_pi * (double)rest / (double)n);
    } else {
        a = sin(half_pi * (double)(n - rest) / (double)n);
        b = cos(half_pi * (double)(n - rest) / (double)n);
    }
    *c = quarter == 0 ? a : quarter == 1 ? -b : quarter == 2 ? -a : b;
    *s = quarter == 0 ? b : quarter == 1 ? a : quarter == 2 ? -b : -a;
}

/* k = -k on an axis of n: index 0, and n/2 of an even axis. */
static inline int is_own_mirror(int k, int n)
{
    return k == 0 || 2 * k == n;
}

#endif
