/* gen_codelets.c - writes straight-line Fourier transforms of short axes, at build time: gen_codelets SIDE... > codelets.h
 *
 * A transform is built symbolically: numbers are nodes of a graph of sums, differences and multiples, shared wherever two are equal (hash
 * consing) and simplified as they are made, so that zero imaginary parts of real input vanish by themselves. Splitting: coprime factors by
 * Good and Thomas, which needs no twiddle factors; powers by Cooley and Tukey; primes by even and odd parts. What no output needs is never
 * written. The transform of a Hermitian axis back to real numbers is the real one's graph transposed: the adjoint, with as many operations.
 * After Frigo, A fast Fourier transform compiler, PLDI 1999. The code is in vectors of channels; a multiply-add is left to the compiler. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NODES = 1 << 18, TABLE = 1 << 20, MOST_SIDE = 128, PRUNED = 6 };

typedef enum operation { ZERO, INPUT, SUM, DIFFERENCE, MULTIPLE, NEGATIVE } operation;
typedef struct node {
    operation kind;
    int a, b;      /* operands; INPUT: a is its number */
    double factor; /* MULTIPLE */
    int name;      /* of the variable that holds it, 0 while it has none */
} node;

static node nodes[MOST_NODES];
static int count, table[TABLE], names;

static void restart(void)
{
    memset(table, 0, sizeof table);
    nodes[0] = (node){.kind = ZERO};
    count = 1;
    names = 0;
}

static int make(operation kind, int a, int b, double factor)
{
    const long long rounded = llround(factor * 1e12);
    unsigned long long h = (unsigned long long)kind * 0x9E3779B97F4A7C15u ^ (unsigned long long)a * 0xBF58476D1CE4E5B9u ^
                           (unsigned long long)b * 0x94D049BB133111EBu ^ (unsigned long long)rounded * 0xD6E8FEB86659FD93u;
    h ^= h >> 29;
    for (h %= TABLE; table[h]; h = (h + 1) % TABLE) {
        const node *n = nodes + table[h];
        if (n->kind == kind && n->a == a && n->b == b && llround(n->factor * 1e12) == rounded)
            return table[h];
    }
    if (count == MOST_NODES) {
        fprintf(stderr, "gen_codelets: too many nodes\n");
        exit(1);
    }
    nodes[count] = (node){kind, a, b, factor, 0};
    return table[h] = count++;
}

static int input(int which)
{
    return make(INPUT, which, 0, 0);
}

static int negative(int a)
{
    return a == 0 ? 0 : nodes[a].kind == NEGATIVE ? nodes[a].a : make(NEGATIVE, a, 0, 0);
}

static int difference(int a, int b);

static int sum(int a, int b)
{
    if (a == 0 || b == 0)
        return a + b;
    if (nodes[b].kind == NEGATIVE)
        return difference(a, nodes[b].a);
    if (nodes[a].kind == NEGATIVE)
        return difference(b, nodes[a].a);
    return a < b ? make(SUM, a, b, 0) : make(SUM, b, a, 0);
}

/* a - b is stored as -(b - a) where b came first, so that both are one node. */
static int difference(int a, int b)
{
    if (b == 0 || a == b)
        return a == b ? 0 : a;
    if (a == 0)
        return negative(b);
    if (nodes[b].kind == NEGATIVE)
        return sum(a, nodes[b].a);
    if (nodes[a].kind == NEGATIVE)
        return negative(sum(nodes[a].a, b));
    return a < b ? make(DIFFERENCE, a, b, 0) : negative(make(DIFFERENCE, b, a, 0));
}

static int multiple(double f, int a)
{
    if (a == 0 || fabs(f) < 1e-13)
        return 0;
    if (fabs(f - 1) < 1e-13)
        return a;
    if (f < 0)
        return negative(multiple(-f, a));
    if (nodes[a].kind == NEGATIVE)
        return negative(multiple(f, nodes[a].a));
    if (nodes[a].kind == MULTIPLE)
        return multiple(f * nodes[a].factor, nodes[a].a);
    return make(MULTIPLE, a, 0, f);
}

/* ---- transforms of complex numbers --------------------------------------------------------------------------------------------------- */

typedef struct number {
    int re, im;
} number;

static number plus(number a, number b)
{
    return (number){sum(a.re, b.re), sum(a.im, b.im)};
}

static number minus(number a, number b)
{
    return (number){difference(a.re, b.re), difference(a.im, b.im)};
}

static number times(double f, number a)
{
    return (number){multiple(f, a.re), multiple(f, a.im)};
}

static double turn(int n, int k)
{
    return 6.283185307179586476925 * (k % n) / n;
}

/* a e^{-2 pi i k / n} */
static number twiddled(number a, int n, int k)
{
    const double c = cos(turn(n, k)), s = sin(turn(n, k));
    return (number){sum(multiple(c, a.re), multiple(s, a.im)), difference(multiple(c, a.im), multiple(s, a.re))};
}

static void transform(int n, const number *x, number *out);

static void prime(int n, const number *x, number *out)
{
    number even[MOST_SIDE], odd[MOST_SIDE];
    out[0] = x[0];
    for (int j = 1; j <= n / 2; j++) {
        even[j] = plus(x[j], x[n - j]), odd[j] = minus(x[j], x[n - j]);
        out[0] = plus(out[0], even[j]);
    }
    for (int k = 1; k <= n / 2; k++) {
        number a = x[0], b = {0, 0};
        for (int j = 1; j <= n / 2; j++) {
            a = plus(a, times(cos(turn(n, j * k)), even[j]));
            b = plus(b, times(sin(turn(n, j * k)), odd[j]));
        }
        out[k] = (number){sum(a.re, b.im), difference(a.im, b.re)};
        out[n - k] = (number){difference(a.re, b.im), sum(a.im, b.re)};
    }
}

static void coprime(int a, int b, const number *x, number *out)
{
    const int n = a * b;
    number mid[MOST_SIDE], in[MOST_SIDE], col[MOST_SIDE];
    for (int j2 = 0; j2 < b; j2++) {
        for (int j1 = 0; j1 < a; j1++)
            in[j1] = x[(b * j1 + a * j2) % n];
        transform(a, in, mid + j2 * a);
    }
    for (int k1 = 0; k1 < a; k1++) {
        for (int j2 = 0; j2 < b; j2++)
            in[j2] = mid[j2 * a + k1];
        transform(b, in, col);
        for (int k = 0; k < n; k++) /* the one k with k = k1 (mod a), k = k2 (mod b) */
            if (k % a == k1)
                out[k] = col[k % b];
    }
}

static void power(int r, int m, const number *x, number *out)
{
    const int n = r * m;
    number mid[MOST_SIDE], in[MOST_SIDE], col[MOST_SIDE];
    for (int j1 = 0; j1 < r; j1++) {
        for (int j2 = 0; j2 < m; j2++)
            in[j2] = x[r * j2 + j1];
        transform(m, in, mid + j1 * m);
    }
    for (int k1 = 0; k1 < m; k1++) {
        for (int j1 = 0; j1 < r; j1++)
            in[j1] = twiddled(mid[j1 * m + k1], n, j1 * k1);
        transform(r, in, col);
        for (int k2 = 0; k2 < r; k2++)
            out[k1 + m * k2] = col[k2];
    }
}

static void transform(int n, const number *x, number *out)
{
    int p = 2, whole = 1;
    while (n % p && p < n)
        p++;
    for (int left = n; left % p == 0 && left > 1; left /= p)
        whole *= p;
    if (n == 1)
        out[0] = x[0];
    else if (n == 2)
        out[0] = plus(x[0], x[1]), out[1] = minus(x[0], x[1]);
    else if (p == n)
        prime(n, x, out);
    else if (whole < n)
        coprime(whole, n / whole, x, out);
    else
        power(p == 2 && n > 4 ? 4 : p, n / (p == 2 && n > 4 ? 4 : p), x, out);
}

/* ---- writing ----------------------------------------------------------------------------------------------------------------------------- */

/* Numbers of inputs: real axis j; complex axis COMPLEX + 2 j, + 1 for the imaginary part; half spectrum RE + v and IM + v. */
enum { COMPLEX = 1000, RE = 2000, IM = 3000 };

/* Only the last PRUNED inputs and outputs of an axis may be beyond its length: the others are read and written unasked. Each load fetches its
 * counterpart of the axis that comes next. */
static void load(int side, int which)
{
    const int j = which < COMPLEX ? which : (which - COMPLEX) / 2;
    if (which >= RE) {
        printf("LOAD(%s + %d * ldv + l);\n", which >= IM ? "im" : "re", which >= IM ? which - IM : which - RE);
        return;
    }
    const char *from = which < COMPLEX ? "x" : which % 2 ? "xi" : "xr";
    if (j >= side - PRUNED)
        printf("%d < len ? ", j);
    printf("LOAD(%s + %d * ldx + l)", from, j);
    printf(j >= side - PRUNED ? " : (vec){0};\n" : ";\n");
    if (which < COMPLEX)
        printf("        __builtin_prefetch(next + %d * ld_next + l, 0, 2);\n", j);
    else
        printf("        __builtin_prefetch(%s + ahead + %d * ldx + l, 0, 2);\n", from, j);
}

/* The variable of node I, written with all that it needs unless it has been. */
static int variable(int side, int i)
{
    const node n = nodes[i];
    if (n.name)
        return n.name;
    const int a = n.kind == INPUT || n.kind == ZERO ? 0 : variable(side, n.a), b = n.kind == SUM || n.kind == DIFFERENCE ? variable(side, n.b) : 0;
    nodes[i].name = ++names;
    printf("        const vec t%d = ", names);
    if (n.kind == ZERO)
        printf("{0};\n");
    else if (n.kind == INPUT)
        load(side, n.a);
    else if (n.kind == MULTIPLE)
        printf("%.9ef * t%d;\n", n.factor, a);
    else if (n.kind == NEGATIVE)
        printf("-t%d;\n", a);
    else
        printf("t%d %c t%d;\n", a, n.kind == SUM ? '+' : '-', b);
    return names;
}

static void write_complex(int n)
{
    number x[MOST_SIDE] = {{0, 0}}, out[MOST_SIDE];
    restart();
    for (int j = 0; j < n; j++)
        x[j] = (number){input(COMPLEX + 2 * j), input(COMPLEX + 2 * j + 1)};
    transform(n, x, out);
    printf("static void complex_%d(int width, int len, const float *xr, const float *xi, ptrdiff_t ldx, ptrdiff_t ahead, float scale,\n"
           "    int to, float *yr, float *yi, ptrdiff_t ldy, bool stream)\n{\n    LOOP(l, width)\n    {\n", n);
    for (int k = 0; k < n; k++) {
        const int re = variable(n, out[k].re), im = variable(n, out[k].im);
        if (k >= n - PRUNED)
            printf("        if (%d < to) {\n", k);
        printf("        PUT(stream, yr + %d * ldy + l, scale * t%d);\n        PUT(stream, yi + %d * ldy + l, scale * t%d);\n", k, re, k, im);
        if (k >= n - PRUNED)
            printf("        }\n");
    }
    printf("    }\n}\n\n");
}

/* Graph of the transform of a real axis; RE_OUT [n/2+1], IM_OUT [(n-1)/2 + 1]. */
static void build_real(int n, number out[MOST_SIDE])
{
    number x[MOST_SIDE] = {{0, 0}};
    restart();
    for (int j = 0; j < n; j++)
        x[j] = (number){input(j), 0};
    transform(n, x, out);
}

static void write_real(int n)
{
    number out[MOST_SIDE];
    build_real(n, out);
    printf("static void real_%d(int width, int len, const float *x, ptrdiff_t ldx, const float *next, ptrdiff_t ld_next, float *re,\n    float *im, ptrdiff_t ldv)\n{\n"
           "    (void)im;\n    LOOP(l, width)\n    {\n", n);
    for (int v = 0; v <= n / 2; v++) {
        const int a = variable(n, out[v].re);
        printf("        STORE(re + %d * ldv + l, t%d);\n", v, a);
        if (v == 0 || 2 * v == n)
            continue;
        const int b = variable(n, out[v].im);
        printf("        STORE(im + %d * ldv + l, t%d);\n", v, b);
    }
    printf("    }\n}\n\n");
}

/* Every node passes what it got from those who used it back to what it was made of. */
static void transpose(int n, const number out[MOST_SIDE], int result[MOST_SIDE])
{
    static int back[MOST_NODES];
    const int last = count;
    memset(back, 0, sizeof back);
    for (int v = 0; v <= n / 2; v++) {
        back[out[v].re] = sum(back[out[v].re], input(RE + v));
        if (v > 0 && 2 * v < n)
            back[out[v].im] = sum(back[out[v].im], input(IM + v));
    }
    for (int i = last - 1; i > 0; i--) {
        const node p = nodes[i];
        const int g = back[i];
        if (p.kind == INPUT)
            result[p.a] = g;
        else if (p.kind == MULTIPLE)
            back[p.a] = sum(back[p.a], multiple(p.factor, g));
        else if (p.kind == NEGATIVE)
            back[p.a] = difference(back[p.a], g);
        else if (g) {
            back[p.a] = sum(back[p.a], g);
            back[p.b] = p.kind == SUM ? sum(back[p.b], g) : difference(back[p.b], g);
        }
    }
}

static void write_adjoint(int n)
{
    number out[MOST_SIDE];
    int result[MOST_SIDE];
    build_real(n, out);
    transpose(n, out, result);
    printf("static void adjoint_%d(int width, int len, const float *re, const float *im, ptrdiff_t ldv, const float *bias, float *x, ptrdiff_t ldx,\n    bool stream)\n"
           "{\n    (void)im;\n    LOOP(l, width)\n    {\n        const vec add = bias ? LOAD(bias + l) : (vec){0};\n", n);
    for (int j = 0; j < n; j++) {
        const int a = variable(n, result[j]);
        if (j >= n - PRUNED)
            printf("        if (%d < len)\n    ", j);
        printf("        PUT(stream, x + %d * ldx + l, t%d + add);\n", j, a);
    }
    printf("    }\n}\n\n");
}

int main(int argc, char **argv)
{
    printf("/* codelets.h - written by gen_codelets: do not edit. */\n\n");
    for (int i = 1; i < argc; i++) {
        const int n = atoi(argv[i]);
        if (n < 2 || n >= MOST_SIDE) {
            fprintf(stderr, "gen_codelets: %s is not a side from 2 to %d\n", argv[i], MOST_SIDE - 1);
            return 1;
        }
        write_complex(n);
        write_real(n);
        write_adjoint(n);
    }
    printf("const hs_cpu_codelet HS_CODELETS[] = {\n");
    for (int i = 1; i < argc; i++)
        printf("    {%s, %d, complex_%s, real_%s, adjoint_%s},\n", argv[i], PRUNED, argv[i], argv[i], argv[i]);
    printf("    {0, 0, NULL, NULL, NULL},\n};\n");
    return ferror(stdout) || fflush(stdout) ? 1 : 0;
}
