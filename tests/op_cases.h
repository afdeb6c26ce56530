/* op_cases.h - op cases: one op with parameters and seeded inputs, run on a backend and on `ref`, outputs compared.
 *
 * A case is a function that makes buffers, calls the op and returns its status; it runs once on each side and sees the same inputs, which
 * are rounded to float first, so that only the op's own error is measured. Around every buffer lie sentinels; outputs and scratch start
 * as NaN; inputs must come back unchanged. An output passes if
 *   NaN and infinities stand at the same places, and
 *   rms(y - ref) <= limit * max(rms(ref), floor)      limit 0: every number equal.
 * The seed is HS_TEST_SEED or taken from the clock; what fails prints the command that repeats it. */
#ifndef OP_CASES_H
#define OP_CASES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hs_backend.h"

/* OP_REAL: the backend's own. OP_HALF: bf16, of sealed edges; cases ask for OP_REAL. */
typedef enum op_kind { OP_REAL, OP_DOUBLE, OP_INT32, OP_BYTE, OP_HALF } op_kind;
typedef struct op_run op_run;
typedef hs_status (*op_function)(op_run *run, const void *parameters);

/* ---- inside a case ------------------------------------------------------------------------------------------------------------------ */

const hs_backend *op_backend(const op_run *run);
hs_device *op_device(const op_run *run);
hs_stream *op_stream(const op_run *run);

/* Limit and its reason for the outputs made after this call. Floor: the size that a sum of this op usually has, for outputs whose terms may
 * cancel; for the outputs made after this call too, 0 at first. */
void op_limit(op_run *run, double limit, const char *reason);
void op_floor(op_run *run, double floor);

/* Buffers made after op_slab(run, true) begin one number behind an aligned address: parameters, gradients and moments lie anywhere in a slab.
 * Others are aligned to 256 bytes, as the planner's are. */
void op_slab(op_run *run, bool on);

/* Real buffers made after op_seal(run, true, ..) belong to a sealed edge (hs_conv_desc): a suite of op_suite_half has them in bf16, in DOMAIN
 * SPECTRUM those of planes h x w up to 40. Ref gets inputs that are rounded to bf16, and what it makes is rounded before it is compared. */
void op_seal(op_run *run, bool sealed, hs_domain domain, int h, int w);
/* What bf16 does to a number that was computed well: the same rounding as ref's, seldom, next to a tie, the other one. */
void op_limit_stored(op_run *run, bool sealed, double limit, const char *reason);

/* Inputs. WHAT keys the draw: equal on both sides, different from buffer to buffer. Normal numbers times SCALE. */
void *op_in(op_run *run, const char *what, size_t count, double scale);
/* The same, with NaN, infinities, zeros of both signs, the greatest and the smallest numbers in between. */
void *op_in_special(op_run *run, const char *what, size_t count);
/* Spectra [U][n][2c] of n real planes h x w: imaginary halves of self-conjugate bins are zero. */
void *op_in_spectrum(op_run *run, const char *what, int n, int h, int w, int c);
/* Given values: OP_REAL takes doubles, the other kinds their own type. */
void *op_in_values(op_run *run, const char *what, op_kind kind, size_t count, const void *values);

/* Outputs: fresh (NaN, 0xFF), or in place: starting as op_in would make them. */
void *op_out(op_run *run, const char *what, op_kind kind, size_t count);
void *op_inout(op_run *run, const char *what, size_t count, double scale);
void *op_inout_special(op_run *run, const char *what, size_t count);
void *op_inout_values(op_run *run, const char *what, op_kind kind, size_t count, const void *values);
void *op_scratch(op_run *run, size_t bytes);

/* Outputs that jump where one of VALUES [count] (of ref: others are not looked at) passes through zero cannot be compared if one is nearly zero:
 * the case runs again with other inputs. */
void op_kinks(op_run *run, size_t count, const void *values);

/* This backend does not support the case: not a failure. */
hs_status op_skip(op_run *run);

/* A normal number of the draw WHAT, as op_in makes it, for values that a case computes. */
double op_normal(const op_run *run, const char *what, size_t index);

/* ---- suites ------------------------------------------------------------------------------------------------------------------------- */

typedef struct op_suite op_suite;

/* Open both sides. BACKEND NULL or absent from this build: false, and a reason in *WHY. FILTER: only cases whose name contains it. */
bool op_suite_open(const hs_backend *backend, const char *filter, const char *program, op_suite **suite, const char **why);
/* The same with the key precision of the tested side; op_suite_open takes fp32. */
bool op_suite_open_as(const hs_backend *backend, const char *precision, const char *filter, const char *program, op_suite **suite,
                      const char **why);
void op_suite_close(op_suite **suite);
/* Limits of reals below LEAST are raised to it: what precision rounds. Signs near 0 may then differ from ref's. */
void op_suite_relax(op_suite *suite, double least, const char *reason);
/* From here on every EVERY-th of the cases whose names contain ONLY and not WITHOUT; NULL: all, none. */
void op_suite_some(op_suite *suite, int every, const char *only, const char *without);
uint64_t op_suite_seed(const op_suite *suite);
/* The tested side stores sealed edges as bf16; only such suites have cases of them. */
void op_suite_half(op_suite *suite);
bool op_suite_is_half(const op_suite *suite);

/* The cases that follow belong to TOPIC: one TAP line each topic. */
void op_topic(op_suite *suite, const char *topic);
/* Run one case now; PARAMETERS is borrowed for the call. The name says all parameters. Returns whether it passed (or was left out). */
bool op_case(op_suite *suite, op_function function, const void *parameters, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* A number in lo .. hi for the shape of the next case; a function of the seed and of how many were drawn. */
int op_random(op_suite *suite, int lo, int hi);
/* Ends the last topic, prints the plan; exit status for main. */
int op_suite_done(op_suite *suite);
int op_suite_failures(const op_suite *suite);
void op_suite_quiet(op_suite *suite); /* print nothing: for tests of this harness */

/* ---- the cases, by table ------------------------------------------------------------------------------------------------------------ */

void ops_gemm(op_suite *suite);
void ops_transform(op_suite *suite);
void ops_conv(op_suite *suite);
void ops_conv_pool(op_suite *suite);
void ops_pool(op_suite *suite);
void ops_spool(op_suite *suite);
void ops_element(op_suite *suite);
void ops_norm(op_suite *suite);
void ops_loss(op_suite *suite);
void ops_optim(op_suite *suite);
void ops_all(op_suite *suite);

#endif
