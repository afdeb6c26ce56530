/* bins.c - unique bins of a real plane's spectrum: counting them, finding them, and where their coordinates start. Only integers. */
#include "hs_spectrum.h"

#include "spectrum_internal.h"

/* Bins stored in column kx: a column that is its own mirror keeps ky = 0 .. h/2, any other keeps all. */
static int column_bins(int h, int w, int kx)
{
    return is_own_mirror(kx, w) ? h / 2 + 1 : h;
}

/* Columns between the first and kx all hold h bins: only kx = 0 and the last one of an even width are their own mirrors. */
static int column_start(int h, int kx)
{
    return kx == 0 ? 0 : h / 2 + 1 + (kx - 1) * h;
}

int hs_bins_count(int h, int w)
{
    return column_start(h, w / 2) + column_bins(h, w, w / 2);
}

static int modulo(int a, int n)
{
    int r = a % n;
    return r < 0 ? r + n : r;
}

bool hs_bin_is_self(int h, int w, int ky, int kx)
{
    return is_own_mirror(modulo(ky, h), h) && is_own_mirror(modulo(kx, w), w);
}

int hs_bin_index(int h, int w, int ky, int kx, bool *conj)
{
    int y = modulo(ky, h), x = modulo(kx, w);
    bool mirrored = x > w / 2 || (is_own_mirror(x, w) && y > h / 2);
    if (mirrored) {
        y = modulo(-y, h);
        x = modulo(-x, w);
    }
    if (conj)
        *conj = mirrored;
    return column_start(h, x) + y;
}

void hs_bin_at(int h, int w, int u, int *ky, int *kx)
{
    int first = h / 2 + 1;
    int x = u < first ? 0 : 1 + (u - first) / h;
    if (x > w / 2) /* cannot happen for u < U; keeps a wrong U inside the plane */
        x = w / 2;
    *kx = x;
    *ky = u - column_start(h, x);
}

/* Two coordinates a bin, less one for every self-conjugate bin before U: the first and (even h) last of the columns 0 and w/2. */
int hs_bin_coord(int h, int w, int u)
{
    int selfs = (u > 0) + (h % 2 == 0 && u > h / 2);
    if (w % 2 == 0) {
        int last = column_start(h, w / 2);
        selfs += (u > last) + (h % 2 == 0 && u > last + h / 2);
    }
    return 2 * u - selfs;
}
