/* sha256.h - the two ways to compress a block: sha256.c has the plain one, sha256_x86.c the processor's. */
#ifndef HS_BASE_SHA256_H
#define HS_BASE_SHA256_H

#include <stdbool.h>
#include <stdint.h>

bool hs_sha256_has_instructions(void);
/* Only where it has: STATE after the 64 bytes of BLOCK. */
void hs_sha256_by_instructions(uint32_t state[8], const unsigned char *block, const uint32_t constants[64]);

#endif
