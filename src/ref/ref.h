/* ref.h - names of both builds of the reference: tables, and every function, so that another host backend can put single ones into
 * its own tables. Contracts are in hs_backend.h. Plans (hs_transform, hs_conv, hs_spool) are private: whoever takes a plan function takes
 * all functions that work on its plans. Functions without a plan look at neither stream nor device. */
#ifndef HS_REF_H
#define HS_REF_H

#include "hs_backend.h"

#define HS_REF_NAME(name) hs_ref64_##name
#include "ref_names.h"
#undef HS_REF_NAME

#define HS_REF_NAME(name) hs_ref32_##name
#include "ref_names.h"
#undef HS_REF_NAME

extern const hs_backend hs_backend_ref;   /* "ref", numbers stored as double */
extern const hs_backend hs_backend_ref32; /* "ref32", as float; on no list: for those who inherit, and for tests of tests */

#endif
