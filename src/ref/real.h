/* real.h - the storage type of this compilation of src/ref, and the prefix of its names.
 *
 * Every file of this folder is compiled twice, with HS_REAL_BITS = 64 and 32. Arithmetic is double in both: float is only how numbers are
 * kept between calls, so the float build is the truth rounded once per op. */
#ifndef HS_REF_REAL_H
#define HS_REF_REAL_H

#include "hs_backend.h"

#if HS_REAL_BITS == 64
typedef double real;
#define REF(name) hs_ref64_##name
#define REF_REAL HS_F64
#define REF_BACKEND hs_backend_ref
#define REF_BACKEND_NAME "ref"
#elif HS_REAL_BITS == 32
typedef float real;
#define REF(name) hs_ref32_##name
#define REF_REAL HS_F32
#define REF_BACKEND hs_backend_ref32
#define REF_BACKEND_NAME "ref32"
#else
#error "compile src/ref with -DHS_REAL_BITS=64 or 32"
#endif

#include "ref.h"

#endif
