/* kernels_product.h - matrix products in register tiles, a part of kernels_body.h.
 *
 * TILE_WIDE and TILE_MID are columns of a product's register tile in vectors, ROWS_WIDE and ROWS_MID its rows: rows x vectors of accumulators,
 * one vector of B per column and one broadcast of A must fit the register file (32 with AVX-512, 16 otherwise), and at least 8 accumulators are
 * needed to hide the latency of 4 cycles on two multiply-add pipes. */

enum { MOST_ROWS = MAX_MID > MAX_WIDE ? MAX_MID : MAX_WIDE };

/* LEFT lines still to be fetched: COUNT in a row, then SKIP numbers further. */
typedef struct walk {
    const float *at;
    int left, line, count;
    ptrdiff_t skip;
} walk;

INLINE void walk_on(walk *w)
{
    if (w->left <= 0)
        return;
    __builtin_prefetch(w->at, 0, 2);
    w->left--;
    w->at += 16;
    if (++w->line == w->count) {
        w->line = 0;
        w->at += w->skip;
    }
}

/* acc [R][NV] += A [R][k] B [k][NV vectors]. The arrays have constant sizes and every index is constant after unrolling: they are registers.
 * AHEAD_STEP and WALK are constants 0 where nothing is to be fetched: no code then. */
INLINE void multiply(const int R, const int NV, vec acc[][TILE_WIDE], int k, const float *a, ptrdiff_t ai, ptrdiff_t ak, const float *b,
                     ptrdiff_t ldb, const float *ahead, ptrdiff_t ahead_step, walk *w)
{
    for (int i = 0; i < k; i++, a += ak, b += ldb) {
        if (ahead_step) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_step;
        }
        if (w)
            walk_on(w);
        vec row[TILE_WIDE];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            row[v] = LOAD(b + v * HS_LANES);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            const float f = a[r * ai];
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                acc[r][v] += f * row[v];
        }
    }
}

INLINE void tile_load(const int R, const int NV, vec acc[][TILE_WIDE], const float *c, ptrdiff_t ldc)
{
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            acc[r][v] = c ? LOAD(c + r * ldc + v * HS_LANES) : (vec){0};
}

INLINE void tile_store(const int R, const int NV, vec acc[][TILE_WIDE], float *c, ptrdiff_t ldc)
{
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            STORE(c + r * ldc + v * HS_LANES, acc[r][v]);
}

INLINE void tile_stream(const int R, const int NV, vec acc[][TILE_WIDE], float *c, ptrdiff_t ldc)
{
#pragma GCC unroll 16
    for (int r = 0; r < R; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            PUT(true, c + r * ldc + v * HS_LANES, acc[r][v]);
}

INLINE void tile_put(const int R, const int NV, vec acc[][TILE_WIDE], float *c, ptrdiff_t ldc, bool stream)
{
    if (stream)
        tile_stream(R, NV, acc, c, ldc);
    else
        tile_store(R, NV, acc, c, ldc);
}

/* One tile; the walk is the tile's own. */
typedef struct dense_tile_of {
    const hs_cpu_dense *p;
    const float *a, *b;
    float *c;
    walk ahead;
} dense_tile_of;

INLINE void dense_tile(const int R, const int NV, const dense_tile_of *t)
{
    const hs_cpu_dense *p = t->p;
    vec acc[MOST_ROWS][TILE_WIDE];
    walk w = t->ahead;
    tile_load(R, NV, acc, p->add ? t->c : NULL, p->ldc);
    if (w.left > 0)
        multiply(R, NV, acc, p->k, t->a, p->ai, p->ak, t->b, p->ldb, NULL, 0, &w);
    else
        multiply(R, NV, acc, p->k, t->a, p->ai, p->ak, t->b, p->ldb, NULL, 0, NULL);
    tile_put(R, NV, acc, t->c, p->ldc, p->stream);
}

/* next.floats is here what each of the three products fetches, a multiple of its k steps. */
INLINE void bin_tile(const int R, const int NV, const hs_cpu_bin *b)
{
    float t[MOST_ROWS * TILE_WIDE * HS_LANES] __attribute__((aligned(64)));
    vec acc[MOST_ROWS][TILE_WIDE];
    const ptrdiff_t share = (ptrdiff_t)b->next.floats, step = share / b->k;
    tile_load(R, NV, acc, NULL, 0);
    multiply(R, NV, acc, b->k, b->xs, b->xs_row, 1, b->w1, b->width, b->next.at, step, NULL);
    tile_store(R, NV, acc, t, NV * HS_LANES);
    multiply(R, NV, acc, b->k, b->x + b->x_im, b->x_row, 1, b->w2, b->width, b->next.at + share, step, NULL);
    tile_put(R, NV, acc, b->y, b->y_row, b->stream);
    tile_load(R, NV, acc, t, NV * HS_LANES);
    multiply(R, NV, acc, b->k, b->x, b->x_row, 1, b->w3, b->width, b->next.at + 2 * share, step, NULL);
    tile_put(R, NV, acc, b->y + b->y_im, b->y_row, b->stream);
}

INLINE void bin_adjoint_tile(const int R, const int NV, const hs_cpu_bin_adjoint *b)
{
    vec acc[MOST_ROWS][TILE_WIDE];
    tile_load(R, NV, acc, NULL, 0);
    multiply(R, NV, acc, b->rows, b->xs, 1, b->xs_row, b->d, b->d_row, NULL, 0, NULL);
    tile_store(R, NV, acc, b->products, b->width);
    tile_load(R, NV, acc, NULL, 0);
    multiply(R, NV, acc, b->rows, b->x + b->x_im, 1, b->x_row, b->diff, b->sum_row, NULL, 0, NULL);
    tile_store(R, NV, acc, b->products + b->size, b->width);
    tile_load(R, NV, acc, NULL, 0);
    multiply(R, NV, acc, b->rows, b->x, 1, b->x_row, b->sum, b->sum_row, NULL, 0, NULL);
    tile_store(R, NV, acc, b->products + 2 * b->size, b->width);
}

/* Row counts are split evenly (17 = 6 + 6 + 5, not 8 + 8 + 1), so every count up to the tile's rows has its own unrolled body. */
#define BODY(R, NV, FUNCTION, ARG) \
    case R:                        \
        FUNCTION(R, NV, ARG);      \
        break;
#define DISPATCH_WIDE(rows, FUNCTION, ARG) switch (rows) { ROWS_WIDE(BODY, TILE_WIDE, FUNCTION, ARG) }
#define DISPATCH_MID(rows, FUNCTION, ARG) switch (rows) { ROWS_MID(BODY, TILE_MID, FUNCTION, ARG) }
#define DISPATCH_ONE(rows, FUNCTION, ARG) switch (rows) { ROWS_ONE(BODY, 1, FUNCTION, ARG) }
#define ROWS_4(X, NV, F, A) X(1, NV, F, A) X(2, NV, F, A) X(3, NV, F, A) X(4, NV, F, A)
#define ROWS_6(X, NV, F, A) ROWS_4(X, NV, F, A) X(5, NV, F, A) X(6, NV, F, A)
#define ROWS_8(X, NV, F, A) ROWS_6(X, NV, F, A) X(7, NV, F, A) X(8, NV, F, A)
#define ROWS_12(X, NV, F, A) ROWS_8(X, NV, F, A) X(9, NV, F, A) X(10, NV, F, A) X(11, NV, F, A) X(12, NV, F, A)

/* Vectors of the widest tile for LEFT columns: whole wide tiles, then mid ones, so that 64 columns go as 2 x 2 and not as 3 + 1. */
INLINE int tile_vectors(int left)
{
    const int v = left / HS_LANES;
    if (v >= TILE_WIDE && v != TILE_WIDE + 1)
        return TILE_WIDE;
    return v >= TILE_MID ? TILE_MID : 1;
}

INLINE int tile_rows(int vectors)
{
    return vectors == TILE_WIDE ? MAX_WIDE : vectors == TILE_MID ? MAX_MID : MAX_ONE;
}

static __attribute__((noinline)) void dense_rows(int rows, int vectors, const dense_tile_of *p)
{
    if (vectors == TILE_WIDE)
        DISPATCH_WIDE(rows, dense_tile, p)
    else if (vectors == TILE_MID)
        DISPATCH_MID(rows, dense_tile, p)
    else
        DISPATCH_ONE(rows, dense_tile, p)
}

static __attribute__((noinline)) void bin_rows(int rows, int vectors, const hs_cpu_bin *b)
{
    if (vectors == TILE_WIDE)
        DISPATCH_WIDE(rows, bin_tile, b)
    else if (vectors == TILE_MID)
        DISPATCH_MID(rows, bin_tile, b)
    else
        DISPATCH_ONE(rows, bin_tile, b)
}

static __attribute__((noinline)) void bin_adjoint_rows(int rows, int vectors, const hs_cpu_bin_adjoint *b)
{
    if (vectors == TILE_WIDE)
        DISPATCH_WIDE(rows, bin_adjoint_tile, b)
    else if (vectors == TILE_MID)
        DISPATCH_MID(rows, bin_adjoint_tile, b)
    else
        DISPATCH_ONE(rows, bin_adjoint_tile, b)
}

/* Rows of tile T when M rows are cut evenly. */
typedef struct cut {
    int tiles, size, longer; /* the first LONGER tiles have one row more */
} cut;

INLINE cut cut_rows(int m, int vectors)
{
    const int most = tile_rows(vectors), tiles = (m + most - 1) / most;
    return (cut){tiles, tiles ? m / tiles : 0, tiles ? m % tiles : 0};
}

/* Lines that tile T of TILES fetches: its share of a panel to come, or the rows of A behind its own SIZE. */
static walk walk_of(const hs_cpu_dense *p, int t, int tiles, int size, const float *a)
{
    walk w = {.count = p->lines, .skip = p->ahead_ld - 16 * (ptrdiff_t)p->lines};
    if (p->ahead) {
        const int first = p->rows * t / tiles, last = p->rows * (t + 1) / tiles;
        w.at = p->ahead + first * p->ahead_ld;
        w.left = (last - first) * p->lines;
    } else {
        w.at = a + size * p->ai;
        w.left = t + 1 < tiles ? size * p->lines : 0;
    }
    return w;
}

static void dense(const hs_cpu_dense *p)
{
    for (int col = 0; col < p->n;) {
        const int vectors = tile_vectors(p->n - col);
        const cut rows = cut_rows(p->m, vectors);
        dense_tile_of tile = {.p = p, .a = p->a, .b = p->b + col, .c = p->c + col};
        for (int t = 0; t < rows.tiles; t++) {
            const int size = rows.size + (t < rows.longer);
            if (p->lines && col == 0)
                tile.ahead = walk_of(p, t, rows.tiles, size, tile.a);
            dense_rows(size, vectors, &tile);
            tile.a += size * p->ai;
            tile.c += size * p->ldc;
        }
        tile.ahead.left = 0;
        col += vectors * HS_LANES;
    }
}

static void product(int m, int n, int k, const float *a, ptrdiff_t ai, ptrdiff_t ak, const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc,
                    bool add)
{
    const hs_cpu_dense p = {.m = m, .n = n, .k = k, .a = a, .b = b, .ai = ai, .ak = ak, .ldb = ldb, .c = c, .ldc = ldc, .add = add};
    dense(&p);
}

/* What each product of each of the tiles fetches so that all of NEXT comes, in whole numbers a step of k. */
static size_t ahead_share(hs_cpu_ahead next, int tiles, int k)
{
    const size_t steps = 3 * (size_t)tiles * (size_t)k;
    return next.at && steps ? (next.floats + steps - 1) / steps * (size_t)k : 0;
}

static void bin(const hs_cpu_bin *whole)
{
    for (int col = 0; col < whole->width;) {
        const int vectors = tile_vectors(whole->width - col);
        const cut rows = cut_rows(whole->rows, vectors);
        const size_t share = col == 0 ? ahead_share(whole->next, rows.tiles, whole->k) : 0;
        hs_cpu_bin b = *whole;
        b.w1 += col, b.w2 += col, b.w3 += col;
        b.y += col;
        b.next.floats = share;
        for (int t = 0; t < rows.tiles; t++) {
            const int size = rows.size + (t < rows.longer);
            bin_rows(size, vectors, &b);
            b.x += size * b.x_row;
            b.xs += size * b.xs_row;
            b.y += size * b.y_row;
            b.next.at += 3 * share;
        }
        col += vectors * HS_LANES;
    }
}

static void fetch_rows(int first, int last, int width, const float *at, ptrdiff_t row, ptrdiff_t im)
{
    for (int r = first; r < last; r++)
        for (int l = 0; l < width; l += 16) {
            __builtin_prefetch(at + r * row + l, 0, 2);
            __builtin_prefetch(at + r * row + im + l, 0, 2);
        }
}

/* Between tiles a part of the next operands is fetched. */
static void bin_adjoint(const hs_cpu_bin_adjoint *whole)
{
    for (int col = 0; col < whole->width;) {
        const int vectors = tile_vectors(whole->width - col);
        const cut rows = cut_rows(whole->m, vectors);
        hs_cpu_bin_adjoint b = *whole;
        b.size = (ptrdiff_t)b.m * b.width;
        b.d += col, b.sum += col, b.diff += col, b.products += col;
        for (int t = 0; t < rows.tiles; t++) {
            const int size = rows.size + (t < rows.longer);
            if (col == 0) {
                const int r0 = b.rows * t / rows.tiles, r1 = b.rows * (t + 1) / rows.tiles;
                fetch_rows(r0, r1, b.ahead_width, b.ahead_x, b.x_row, b.x_im);
                fetch_rows(r0, r1, b.width, b.ahead_d, b.d_row, b.d_im);
            }
            bin_adjoint_rows(size, vectors, &b);
            b.x += size, b.xs += size;
            b.products += (ptrdiff_t)size * b.width;
        }
        col += vectors * HS_LANES;
    }
}

static void sums(int rows, int width, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *sum, float *diff, ptrdiff_t ldo)
{
    for (int r = 0; r < rows; r++, a += lda, b += ldb, sum += ldo) {
        if (diff) {
#pragma GCC unroll 3
            LOOP(l, width)
            {
                const vec x = LOAD(a + l), y = LOAD(b + l);
                STORE(sum + l, x + y);
                STORE(diff + l, x - y);
            }
            diff += ldo;
        } else {
#pragma GCC unroll 3
            LOOP(l, width) STORE(sum + l, LOAD(a + l) + LOAD(b + l));
        }
    }
}
