/* dft.h - planes of real numbers to and from half spectra, all channels of a pixel side by side.
 *
 * A plane [h][w] is zero-padded to a grid [ph][pw] (both may be equal). The spectrum is in orthonormal coordinates over the unique bins of the
 * grid, in hs_spectrum.h's order: bin u of sample i at at + u*bin + i*sample, re first, im IM numbers later. Inverse = transpose = forward
 * cut to the plane. */
#ifndef HS_CPU_DFT_H
#define HS_CPU_DFT_H

#include "cpu.h"

typedef struct hs_cpu_dft hs_cpu_dft;

typedef struct hs_cpu_spectrum {
    float *at;
    ptrdiff_t bin, sample, im;
} hs_cpu_spectrum;

/* A rectifier in the way of a map [n][h][w][c], with one bit a number in rows of padded channels, [n][h][w][cp / 16] words. WRITE: negative numbers
 * become 0 and the bits say which did not, NaN among these; READ: numbers without a bit become 0. Neither: all pass. */
typedef struct hs_cpu_gate {
    uint16_t *write;
    const uint16_t *read;
} hs_cpu_gate;
size_t hs_cpu_gate_bytes(int n, int h, int w, int c);

hs_status hs_cpu_dft_plan(const hs_cpu_device *device, int h, int w, int ph, int pw, int c, hs_cpu_dft **out);
/* At most CHANNELS of a plane go together from now on: for whoever has two plans, or buffers of one panel, to take through the same tasks. */
void hs_cpu_dft_limit(hs_cpu_dft *plan, int channels);
void hs_cpu_dft_destroy(hs_cpu_dft **plan);
size_t hs_cpu_dft_scratch_bytes(const hs_cpu_dft *plan); /* of all threads; aligned to 64 bytes */
/* First bin of column v (0 <= v <= pw/2), and whether it is its own mirror (rows 0 .. ph/2 only). */
int hs_cpu_dft_column(const hs_cpu_dft *plan, int v, bool *self);

/* X [n][h][w][c]. With IM a multiple of HS_CPU_PAD rows are written whole, channels c .. padded being zero; otherwise IM = c exactly. */
void hs_cpu_dft_forward(const hs_cpu_dft *plan, int n, const float *x, hs_cpu_gate gate, hs_cpu_spectrum spectrum, void *scratch);
/* BIAS [c padded with zeros to HS_CPU_PAD], or NULL. */
void hs_cpu_dft_inverse(const hs_cpu_dft *plan, int n, hs_cpu_spectrum spectrum, const float *bias, hs_cpu_gate gate, float *x, void *scratch);
/* Both in one pass: the map between two spectra, which may be the same, stays in L1 and L2. */
void hs_cpu_dft_turn(const hs_cpu_dft *plan, int n, hs_cpu_spectrum from, const float *bias, hs_cpu_gate gate, hs_cpu_spectrum to, void *scratch);

#endif
