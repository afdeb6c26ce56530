/* kernels_pool.h - maxima of windows and their gradient, a part of kernels_body.h. A pixel of the result is made whole, in registers, from all it
 * depends on: forward the cells of one window, backward the windows over one cell, so that both write every number once. */

typedef int32_t places __attribute__((vector_size(HS_LANES * 4)));

#define EACH_CELL(w, row, col) for (int row = 0; row < (w)->rows; row++) for (int col = 0; col < (w)->cols; col++)

INLINE vec chosen(places take, vec a, vec b)
{
    return (vec)((take & (places)a) | (~take & (places)b));
}

/* Ties keep the first; NaN is above all, and the first of them stays. */
static void max_window(int c, const hs_cpu_cells *w, float *y, uint8_t *arg)
{
    const int whole = c / HS_LANES * HS_LANES;
    LOOP(l, whole)
    {
        vec best = LOAD(w->x + l);
        places at = (places){0} + w->cell;
        EACH_CELL(w, row, col)
        {
            const vec v = LOAD(w->x + row * w->x_row + col * w->x_col + l);
            const places take = (v > best) | ((v != v) & (best == best));
            best = chosen(take, v, best);
            at = (take & ((places){0} + (w->cell + row * w->cell_row + col * w->cell_col))) | (~take & at);
        }
        STORE(y + l, best);
        NARROW(arg + l, at);
    }
    for (int l = whole; l < c; l++) {
        float best = w->x[l];
        int at = w->cell;
        EACH_CELL(w, row, col)
        {
            const float v = w->x[row * w->x_row + col * w->x_col + l];
            const bool take = v > best || (v != v && best == best);
            best = take ? v : best;
            at = take ? w->cell + row * w->cell_row + col * w->cell_col : at;
        }
        y[l] = best;
        arg[l] = (uint8_t)at;
    }
}

/* The sum of x over the windows whose winner is this cell. */
static void max_cell(int c, const hs_cpu_cells *w, float *dx, bool stream)
{
    const int whole = c / HS_LANES * HS_LANES;
    LOOP(l, whole)
    {
        vec sum = {0};
        EACH_CELL(w, row, col)
        {
            const ptrdiff_t from = row * w->x_row + col * w->x_col + l;
            const places won = (places)WIDEN(w->arg + from);
            sum += (vec)((won == w->cell + row * w->cell_row + col * w->cell_col) & (places)LOAD(w->x + from));
        }
        PUT(stream, dx + l, sum);
    }
    for (int l = whole; l < c; l++) {
        dx[l] = 0;
        EACH_CELL(w, row, col)
        {
            const ptrdiff_t from = row * w->x_row + col * w->x_col + l;
            dx[l] += w->arg[from] == w->cell + row * w->cell_row + col * w->cell_col ? w->x[from] : 0;
        }
    }
}
