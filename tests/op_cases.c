/* op_cases.c - two runs of a case, the comparison, and the report. See op_cases.h. */
#include "op_private.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hs_base.h"
#include "hs_rng.h"

struct op_suite {
    op_side ref, tested;
    const char *filter, *program;
    uint64_t seed, drawn;
    const char *only, *without, *reason, *precision;
    double least;
    int every, offered;
    char topic[64];
    int lines, failed_lines, cases, failed, skipped, failures;
    double worst;
    bool quiet, half;
    op_run run[2];
};

/* ---- one run and the comparison ----------------------------------------------------------------------------------------------------- */

static void release(op_run *run)
{
    for (int i = 0; i < run->buffers; i++) {
        op_backend(run)->memory->free(op_device(run), run->buffer[i].memory);
        hs_free(run->buffer[i].sent);
        hs_free(run->buffer[i].back);
    }
}

static hs_status run_once(op_run *run, const op_side *where, bool half, uint64_t seed, op_function function, const void *parameters)
{
    *run = (op_run){.side = where, .half = half, .seed = seed};
    op_limit(run, 1e-5, "sums in single precision");
    hs_fail_clear();
    HS_TRY(function(run, parameters));
    HS_TRY(op_backend(run)->device->stream_sync(op_stream(run)));
    for (int i = 0; i < run->buffers; i++) {
        op_buffer *b = &run->buffer[i];
        HS_TRY(op_backend(run)->memory->download(op_stream(run), b->back, b->memory, op_extent(b)));
    }
    return HS_OK;
}

/* What is wrong with a buffer by itself: overrun, or an input that was written. */
static bool intact(const op_buffer *b, char *why, size_t room)
{
    for (size_t i = 0; i < op_extent(b); i++) {
        bool outside = i < b->start || i >= b->start + b->bytes;
        if (outside && (unsigned char)b->back[i] != OP_SENTINEL) {
            snprintf(why, room, "%s: written outside, at byte %ld of %zu", b->what, (long)i - (long)b->start, b->bytes);
            return false;
        }
    }
    if (b->role == OP_ROLE_IN && memcmp(b->sent, b->back, op_extent(b)) != 0) {
        snprintf(why, room, "%s: an input was changed", b->what);
        return false;
    }
    return true;
}

/* The reference as the tested backend could store it at best. */
static double stored(const op_run *run, const op_buffer *b, double value)
{
    if (b->kind == OP_HALF)
        return op_from_half(op_to_half(value));
    return b->kind == OP_REAL && op_backend(run)->real == HS_F32 ? (double)(float)value : value;
}

static bool same_class(double x, double y)
{
    if (isnan(x) || isnan(y))
        return isnan(x) && isnan(y);
    return isfinite(x) && isfinite(y) ? true : x == y;
}

/* Error of output B against REF, relative to the greater of rms(ref) and the floor. */
static bool agrees(const op_run *run, const op_buffer *b, const op_run *ref_run, const op_buffer *ref, double *error, char *why, size_t room)
{
    double gap = 0, norm = 0, largest = 0;
    size_t at = 0;
    for (size_t i = 0; i < b->count; i++) {
        double x = op_number(run, b, b->back, i), y = stored(run, b, op_number(ref_run, ref, ref->back, i));
        if (!same_class(x, y)) {
            snprintf(why, room, "%s[%zu of %zu] = %.9g, ref has %.9g", b->what, i, b->count, x, y);
            return false;
        }
        if (!isfinite(y))
            continue;
        if (fabs(x - y) > largest)
            largest = fabs(x - y), at = i;
        gap += (x - y) * (x - y);
        norm += y * y;
    }
    double floor = b->floor * sqrt((double)b->count), size = sqrt(norm) > floor ? sqrt(norm) : floor;
    *error = gap == 0 ? 0 : sqrt(gap) / size;
    if (*error <= b->limit)
        return true;
    snprintf(why, room, "%s: relative rms error %.2e, limit %.0e (%s); worst [%zu of %zu] = %.9g, ref has %.9g", b->what, *error, b->limit,
             b->reason, at, b->count, op_number(run, b, b->back, at), op_number(ref_run, ref, ref->back, at));
    return false;
}

/* Limits of numbers that this suite's precision rounds. */
static void relax(const op_suite *s, op_run *run)
{
    for (int i = 0; i < run->buffers; i++) {
        op_buffer *b = &run->buffer[i];
        if ((b->kind == OP_REAL || b->kind == OP_HALF) && b->limit > 0 && b->limit < s->least) {
            b->limit = s->least;
            b->reason = s->reason;
        }
    }
}

static bool compare(const op_run *run, const op_run *ref, double *worst, char *why, size_t room)
{
    for (int i = 0; i < run->buffers; i++)
        if (!intact(&run->buffer[i], why, room))
            return false;
    for (int i = 0, j = 0; i < run->buffers; i++) {
        double error;
        if (run->buffer[i].role != OP_ROLE_OUT)
            continue;
        while (j < ref->buffers && ref->buffer[j].role != OP_ROLE_OUT) /* scratch and saved may differ between backends, outputs not */
            j++;
        if (j == ref->buffers || strcmp(run->buffer[i].what, ref->buffer[j].what) != 0) {
            snprintf(why, room, "%s: the two runs have different outputs", run->buffer[i].what);
            return false;
        }
        if (!agrees(run, &run->buffer[i], ref, &ref->buffer[j++], &error, why, room))
            return false;
        *worst = error > *worst ? error : *worst;
    }
    return true;
}

/* ---- suites ------------------------------------------------------------------------------------------------------------------------- */

static hs_status open_side(const hs_backend *backend, const char *precision, op_side *out)
{
    hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = precision};
    HS_TRY(backend->device->open(backend, &options, &out->device));
    return backend->device->stream_create(out->device, &out->stream);
}

static void close_side(op_side *s)
{
    const hs_device_ops *ops = s->device->backend->device;
    ops->stream_destroy(&s->stream);
    ops->close(&s->device);
}

static uint64_t choose_seed(void)
{
    const char *given = getenv("HS_TEST_SEED");
    return given && *given ? strtoull(given, NULL, 10) : (uint64_t)(hs_now() * 1e6) % 1000000;
}

bool op_suite_open(const hs_backend *backend, const char *filter, const char *program, op_suite **suite, const char **why)
{
    return op_suite_open_as(backend, "fp32", filter, program, suite, why);
}

bool op_suite_open_as(const hs_backend *backend, const char *precision, const char *filter, const char *program, op_suite **suite,
                      const char **why)
{
    const hs_backend *ref = NULL;
    op_suite *s = NULL;
    op_must(hs_backend_find("ref", &ref), "ref");
    op_must(hs_calloc(1, sizeof *s, "suite", &s), "suite");
    op_must(open_side(ref, "fp32", &s->ref), "ref");
    if (!backend || open_side(backend, precision, &s->tested) != HS_OK) {
        *why = hs_fail_text();
        close_side(&s->ref);
        hs_free(s);
        return false;
    }
    s->filter = filter;
    s->program = program;
    s->seed = choose_seed();
    s->every = 1;
    s->precision = precision;
    *suite = s;
    return true;
}

void op_suite_close(op_suite **suite)
{
    close_side(&(*suite)->ref);
    close_side(&(*suite)->tested);
    hs_free(*suite);
    *suite = NULL;
}

uint64_t op_suite_seed(const op_suite *suite)
{
    return suite->seed;
}

void op_suite_relax(op_suite *suite, double least, const char *reason)
{
    suite->least = least;
    suite->reason = reason;
}

void op_suite_some(op_suite *suite, int every, const char *only, const char *without)
{
    suite->every = every;
    suite->only = only;
    suite->without = without;
}

void op_suite_half(op_suite *suite)
{
    suite->half = true;
}

bool op_suite_is_half(const op_suite *suite)
{
    return suite->half;
}

void op_suite_quiet(op_suite *suite)
{
    suite->quiet = true;
}

int op_suite_failures(const op_suite *suite)
{
    return suite->failures;
}

static void end_topic(op_suite *s)
{
    if (s->cases == 0)
        return;
    s->lines++;
    s->failed_lines += s->failed > 0;
    if (!s->quiet)
        printf("%sok %d - %s%s%s: %d cases, %d failed, %d not supported, worst relative error %.1e\n", s->failed ? "not " : "", s->lines,
               s->least > 0 ? s->precision : "", s->least > 0 ? ": " : "", s->topic, s->cases, s->failed, s->skipped, s->worst);
    fflush(stdout);
}

void op_topic(op_suite *suite, const char *topic)
{
    end_topic(suite);
    snprintf(suite->topic, sizeof suite->topic, "%s", topic);
    suite->cases = suite->failed = suite->skipped = 0;
    suite->worst = 0;
}

int op_random(op_suite *suite, int lo, int hi)
{
    hs_words draw = hs_random(suite->seed, HS_DRAW_TEST, 0, 0, suite->drawn++);
    return lo + (int)(draw.w[0] % (uint32_t)(hi - lo + 1));
}

static bool run_case(op_suite *s, op_function function, const void *parameters, uint64_t seed, double *worst, char *why, size_t room)
{
    op_run *run = &s->run[0], *ref = &s->run[1];
    ref->buffers = 0;
    ref->again = false;
    *worst = 0;
    hs_status st = run_once(run, &s->tested, s->half, seed, function, parameters);
    bool good = st == HS_OK;
    if (good && !run->skipped) {
        st = run_once(ref, &s->ref, s->half, seed, function, parameters);
        relax(s, run);
        good = st == HS_OK && compare(run, ref, worst, why, room);
    }
    if (st != HS_OK)
        snprintf(why, room, "returned '%s': %s (%s)", hs_status_name(st), hs_fail_text(), hs_fail_place());
    release(run);
    if (ref->buffers)
        release(ref);
    return good;
}

bool op_case(op_suite *suite, op_function function, const void *parameters, const char *format, ...)
{
    char name[240], why[512] = "";
    double worst = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    if ((suite->filter && !strstr(name, suite->filter)) || (suite->only && !strstr(name, suite->only)) ||
        (suite->without && strstr(name, suite->without)))
        return true;
    if (suite->offered++ % suite->every != 0)
        return true;
    bool good = run_case(suite, function, parameters, suite->seed, &worst, why, sizeof why);
    for (uint64_t i = 1; suite->run[1].again && suite->least == 0 && i < OP_DRAWS; i++)
        good = run_case(suite, function, parameters, suite->seed + i * 1000003, &worst, why, sizeof why);
    suite->cases++;
    suite->skipped += suite->run[0].skipped;
    suite->failed += !good;
    suite->failures += !good;
    suite->worst = worst > suite->worst ? worst : suite->worst;
    if (!suite->quiet && !good)
        printf("# FAILED %s\n#   %s\n#   repeat: HS_TEST_SEED=%llu %s '%s'\n", name, why, (unsigned long long)suite->seed, suite->program, name);
    else if (!suite->quiet && suite->filter)
        printf("# %s  %s (worst %.1e)\n", suite->run[0].skipped ? "not supported" : "good", name, worst);
    return good;
}

int op_suite_done(op_suite *suite)
{
    op_topic(suite, "");
    if (!suite->quiet)
        printf("%s1..%d\n", suite->lines ? "" : "# no case has such a name\n", suite->lines);
    return suite->failed_lines != 0 || suite->lines == 0;
}

void ops_all(op_suite *suite)
{
    ops_gemm(suite);
    ops_transform(suite);
    ops_conv(suite);
    ops_conv_pool(suite);
    ops_pool(suite);
    ops_spool(suite);
    ops_element(suite);
    ops_norm(suite);
    ops_loss(suite);
    ops_optim(suite);
}
