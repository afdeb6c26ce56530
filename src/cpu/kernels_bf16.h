/* kernels_bf16.h - the products of a frequency with factors rounded to bf16, two multiply-adds a lane; included after kernels_body.h by the
 * instruction sets that have them.
 *
 * The including file says how: DOT(acc, a, b), in each lane acc + a1 b1 + a0 b0, where a and b hold a1 | a0 in 32 bits; ROUND(low, high), 2 HS_LANES
 * numbers in a row to bf16; PAIR(even, odd), two rows to one of pairs. Sums are fp32, in tiles of the same shape as those of fp32 products. */

static void pair_along(int rows, int k, const float *a, const float *b, ptrdiff_t ld, uint32_t *to, ptrdiff_t ldo)
{
    const int kp = hs_cpu_pad(k);
    for (int r = 0; r < rows; r++, a += ld, to += ldo) {
        for (int l = 0; l < kp; l += 2 * HS_LANES) {
            const bool both = l + HS_LANES < kp;
            vec low = LOAD(a + l), high = both ? LOAD(a + l + HS_LANES) : (vec){0};
            if (b) {
                low += LOAD(b + l);
                high += both ? LOAD(b + l + HS_LANES) : (vec){0};
            }
            ISTORE(to + l / 2, ROUND(low, high));
        }
        if (k % 2)
            to[k / 2] &= 0xFFFFu;
        b = b ? b + ld : NULL;
    }
}

static void pair_across(int rows, int width, const float *a, const float *b, float factor, ptrdiff_t ld, uint32_t *to, ptrdiff_t ldo)
{
    for (int r = 0; r < rows; r += 2, a += 2 * ld, to += ldo) {
        const bool both = r + 1 < rows;
        LOOP(l, width)
        {
            vec even = LOAD(a + l), odd = both ? LOAD(a + ld + l) : (vec){0};
            if (b) {
                even += factor * LOAD(b + l);
                odd += both ? factor * LOAD(b + ld + l) : (vec){0};
            }
            ISTORE(to + l, PAIR(even, odd));
        }
        b = b ? b + 2 * ld : NULL;
    }
}

/* acc [R][NV] += A B as multiply() in kernels_product.h, two steps of the sum at once. AHEAD_STEP is constant 0 where nothing is to be fetched. */
INLINE void multiply_pairs(const int R, const int NV, vec acc[][TILE_WIDE], int pairs, const uint32_t *a, ptrdiff_t ai, ptrdiff_t ak,
                           const uint32_t *b, ptrdiff_t ldb, const float *ahead, ptrdiff_t ahead_step)
{
    for (int i = 0; i < pairs; i++, a += ak, b += ldb) {
        if (ahead_step) {
            __builtin_prefetch(ahead, 0, 2);
            ahead += ahead_step;
        }
        ivec row[TILE_WIDE];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            row[v] = ILOAD(b + v * HS_LANES);
#pragma GCC unroll 16
        for (int r = 0; r < R; r++) {
            const uint32_t f = a[r * ai];
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                acc[r][v] = DOT(acc[r][v], f, row[v]);
        }
    }
}

/* One tile: the bin and its pairs moved to the tile's rows and columns. next.floats is what each of the three products fetches. */
typedef struct pairs_tile {
    hs_cpu_bin bin;
    hs_cpu_pairs p;
} pairs_tile;

INLINE void bin_pairs_tile(const int R, const int NV, const pairs_tile *tile)
{
    float t[MOST_ROWS * TILE_WIDE * HS_LANES] __attribute__((aligned(64)));
    vec acc[MOST_ROWS][TILE_WIDE];
    const hs_cpu_bin *b = &tile->bin;
    const hs_cpu_pairs *p = &tile->p;
    const ptrdiff_t share = (ptrdiff_t)b->next.floats, step = share / p->count;
    tile_load(R, NV, acc, NULL, 0);
    multiply_pairs(R, NV, acc, p->count, p->a[0], p->a_row, 1, p->b[0], p->b_row, b->next.at, step);
    tile_store(R, NV, acc, t, NV * HS_LANES);
    multiply_pairs(R, NV, acc, p->count, p->a[1], p->a_row, 1, p->b[1], p->b_row, b->next.at + share, step);
    tile_put(R, NV, acc, b->y, b->y_row, b->stream);
    tile_load(R, NV, acc, t, NV * HS_LANES);
    multiply_pairs(R, NV, acc, p->count, p->a[2], p->a_row, 1, p->b[2], p->b_row, b->next.at + 2 * share, step);
    tile_put(R, NV, acc, b->y + b->y_im, b->y_row, b->stream);
}

typedef struct pairs_adjoint_tile {
    const hs_cpu_bin_adjoint *bin;
    hs_cpu_pairs p;
    float *products;
} pairs_adjoint_tile;

INLINE void bin_adjoint_pairs_tile(const int R, const int NV, const pairs_adjoint_tile *t)
{
    vec acc[MOST_ROWS][TILE_WIDE];
    const hs_cpu_pairs *p = &t->p;
    const ptrdiff_t size = (ptrdiff_t)t->bin->m * t->bin->width;
#pragma GCC unroll 1
    for (int i = 0; i < 3; i++) {
        tile_load(R, NV, acc, NULL, 0);
        multiply_pairs(R, NV, acc, p->count, p->a[i], 1, p->a_row, p->b[i], p->b_row, NULL, 0);
        tile_store(R, NV, acc, t->products + i * size, t->bin->width);
    }
}

static __attribute__((noinline)) void bin_pairs_rows(int rows, int vectors, const pairs_tile *t)
{
    if (vectors == TILE_WIDE)
        DISPATCH_WIDE(rows, bin_pairs_tile, t)
    else if (vectors == TILE_MID)
        DISPATCH_MID(rows, bin_pairs_tile, t)
    else
        DISPATCH_ONE(rows, bin_pairs_tile, t)
}

static __attribute__((noinline)) void bin_adjoint_pairs_rows(int rows, int vectors, const pairs_adjoint_tile *t)
{
    if (vectors == TILE_WIDE)
        DISPATCH_WIDE(rows, bin_adjoint_pairs_tile, t)
    else if (vectors == TILE_MID)
        DISPATCH_MID(rows, bin_adjoint_pairs_tile, t)
    else
        DISPATCH_ONE(rows, bin_adjoint_pairs_tile, t)
}

static void bin_pairs(const hs_cpu_bin *b, const hs_cpu_pairs *p)
{
    for (int col = 0; col < b->width;) {
        const int vectors = tile_vectors(b->width - col);
        const cut rows = cut_rows(b->rows, vectors);
        const size_t share = col == 0 ? ahead_share(b->next, rows.tiles, p->count) : 0;
        pairs_tile t = {*b, *p};
        t.bin.y += col;
        t.bin.next.floats = share;
        for (int i = 0; i < 3; i++)
            t.p.b[i] += col;
        for (int tile = 0; tile < rows.tiles; tile++) {
            const int size = rows.size + (tile < rows.longer);
            bin_pairs_rows(size, vectors, &t);
            for (int i = 0; i < 3; i++)
                t.p.a[i] += size * p->a_row;
            t.bin.y += size * b->y_row;
            t.bin.next.at += 3 * share;
        }
        col += vectors * HS_LANES;
    }
}

static void bin_adjoint_pairs(const hs_cpu_bin_adjoint *b, const hs_cpu_pairs *p)
{
    for (int col = 0; col < b->width;) {
        const int vectors = tile_vectors(b->width - col);
        const cut rows = cut_rows(b->m, vectors);
        pairs_adjoint_tile t = {b, *p, b->products + col};
        for (int i = 0; i < 3; i++)
            t.p.b[i] += col;
        for (int tile = 0; tile < rows.tiles; tile++) {
            const int size = rows.size + (tile < rows.longer);
            if (col == 0) {
                const int r0 = b->rows * tile / rows.tiles, r1 = b->rows * (tile + 1) / rows.tiles;
                fetch_rows(r0, r1, b->ahead_width, b->ahead_x, b->x_row, b->x_im);
                fetch_rows(r0, r1, b->width, b->ahead_d, b->d_row, b->d_im);
            }
            bin_adjoint_pairs_rows(size, vectors, &t);
            for (int i = 0; i < 3; i++)
                t.p.a[i] += size;
            t.products += (ptrdiff_t)size * b->width;
        }
        col += vectors * HS_LANES;
    }
}

const hs_cpu_bf16 HS_BF16 = {
    .along = pair_along,
    .across = pair_across,
    .bin = bin_pairs,
    .bin_adjoint = bin_adjoint_pairs,
};
