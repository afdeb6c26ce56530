/* check.h - private to src/store: what the parts of `halfspec check` share. */
#ifndef HS_STORE_CHECK_H
#define HS_STORE_CHECK_H

#include <stdio.h>

#include "parts.h"

typedef struct hs_check {
    FILE *out;
    int findings;
    hid_t file;
} hs_check;

/* One line "PATH: what is wrong". */
void hs_finding(hs_check *check, const char *where, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The recorded failure becomes a finding. */
void hs_finding_recorded(hs_check *check, const char *where);

/* Rules for one data set (opened through the whitelist): storage, checksums of all data, scales. */
void hs_check_data(hs_check *check, hid_t group, const char *name, const char *where);
/* Rules for a group that says NX_class = NXdata. */
void hs_check_nxdata(hs_check *check, hid_t group, const char *where);
/* Half spectra in GROUP must be those of real filters, to the last bit. */
void hs_check_hermitian(hs_check *check, hid_t group, const char *name, const char *where);
/* What a file of each kind must hold. */
void hs_check_run(hs_check *check);
void hs_check_checkpoint(hs_check *check);

#endif
