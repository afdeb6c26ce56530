/* report.c - one line a measurement: a table for people, and for programs one JSON object a line with the same numbers. Rank 0 prints. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "bench.h"

void hs_report_say(hs_report *r, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (r->speaks)
        hs_info(r->log, "%s", line);
}

void hs_report_fact(hs_report *r, const char *name, const char *value)
{
    char quoted[HS_TEXT_MAX + 64] = "";
    hs_report_say(r, "%-9s %s", name, value);
    if (hs_json_quote(quoted, sizeof quoted, value))
        hs_text_add(&r->json, "{\"part\":\"head\",\"name\":\"%s\",\"value\":%s}\n", name, quoted);
}

void hs_report_figure(hs_report *r, const char *part, const char *name, double value, const char *unit)
{
    hs_text_add(&r->json, "{\"part\":\"%s\",\"name\":\"%s\",\"value\":%.9g,\"unit\":\"%s\"}\n", part, name, value, unit);
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------------- */

/* What is printed of a row. NAN: does not apply. */
typedef struct figures {
    double seconds, spread, gflops, gbs, percent;
    const char *bound;
} figures;

static double positive(double x)
{
    return x > 0 ? x : (double)NAN;
}

static figures find_figures(const hs_report *r, const hs_bench_row *row)
{
    figures f = {.seconds = hs_timing_median(row->timing), .spread = row->timing->count > 1 ? hs_timing_spread(row->timing) : (double)NAN};
    double limit = row->limit > 0 ? row->limit : hs_work_limit(&r->peaks, row->work, &f.bound);
    if (row->limit > 0)
        f.bound = "sum";
    f.gflops = positive(row->work.flop / f.seconds * 1e-9);
    f.gbs = positive(row->work.bytes / f.seconds * 1e-9);
    f.percent = strcmp(row->part, "peaks") == 0 ? (double)NAN : positive(100 * limit / f.seconds);
    return f;
}

typedef char cell[24];
static const char *show(cell text, const char *format, double value) __attribute__((format(printf, 2, 0)));
static const char *show(cell text, const char *format, double value)
{
    if (!isfinite(value))
        return "-";
    snprintf(text, sizeof(cell), format, value);
    return text;
}

static void print_row(const hs_report *r, const hs_bench_row *row, const figures *f)
{
    cell ms, spread, flop, byte, share, error, rate;
    hs_info(r->log, "%-14s %-34s %10s %6s %9s %8s %8s %-4s %9s %8s%s%s", row->name, row->what, show(ms, "%.3f", f->seconds * 1e3),
            show(spread, "%.1f", f->spread * 100), show(flop, "%.1f", f->gflops), show(byte, "%.1f", f->gbs), show(share, "%.1f", f->percent),
            isfinite(f->percent) ? f->bound : "", show(error, "%.1e", row->error), show(rate, "%.1f", positive(row->rate)), row->note ? "  " : "",
            row->note ? row->note : "");
}

static void number(hs_text *t, const char *name, double value)
{
    if (isfinite(value))
        hs_text_add(t, ",\"%s\":%.6g", name, value);
}

static void write_row(hs_text *json, const hs_bench_row *row, const figures *f)
{
    hs_text_add(json, "{\"part\":\"%s\",\"name\":\"%s\",\"what\":\"%s\"", row->part, row->name, row->what);
    number(json, "seconds", f->seconds);
    number(json, "spread", f->spread);
    number(json, "gflops", f->gflops);
    number(json, "gbs", f->gbs);
    number(json, "percent", f->percent);
    if (isfinite(f->percent))
        hs_text_add(json, ",\"bound\":\"%s\"", f->bound);
    number(json, "error", row->error);
    number(json, "img_per_s", positive(row->rate));
    hs_text_add(json, ",\"samples\":%d}\n", row->timing->count);
}

void hs_report_row(hs_report *r, const hs_bench_row *row)
{
    figures f = find_figures(r, row);
    if (row->error > r->worst) {
        r->worst = row->error;
        snprintf(r->worst_at, sizeof r->worst_at, "%s %s, %s", row->part, row->name, row->what);
    }
    if (!r->speaks)
        return;
    if (!r->part || strcmp(r->part, row->part) != 0)
        hs_info(r->log, "\n%-14s %-34s %10s %6s %9s %8s %8s %-4s %9s %8s", row->part, "", "ms", "+-%", "GFLOP/s", "GB/s", "% peak", "of", "error", "img/s");
    r->part = row->part;
    print_row(r, row, &f);
    write_row(&r->json, row, &f);
}
