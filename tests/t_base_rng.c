/* t_base_rng.c - the generator: Philox4x32-10 against the known answers of the Random123 distribution (kat_vectors), the permutation, the
 * moments of the normal numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_rng.h"

static void known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < 3; i++) {
        hs_words ctr;
        memcpy(ctr.w, known[i].ctr, sizeof ctr.w);
        hs_words got = hs_philox(known[i].key[0], known[i].key[1], ctr);
        assert_memory_equal(got.w, known[i].out, sizeof got.w);
    }
}

/* Where seed, purpose, a, b and index stand in counter and key is part of every file ever written. */
static void the_counter_is_laid_out(void **state)
{
    (void)state;
    hs_words ctr = {{0x89abcdef, 0x01234567, 77, 3u << 24 | 0xabcdef}};
    hs_words want = hs_philox(0x55667788, 0x11223344, ctr);
    hs_words got = hs_random(0x1122334455667788u, HS_DRAW_AUGMENT, 77, 0xffabcdef, 0x0123456789abcdefu);
    assert_memory_equal(got.w, want.w, sizeof got.w);
}

static void permutations_are_bijections(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 2, 3, 4, 5, 7, 15, 16, 17, 63, 64, 65, 100, 255, 256, 257, 1000, 4095, 4096, 4097, 50000, 60000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (uint32_t epoch = 0; epoch < 3; epoch++) {
            unsigned char *seen = calloc(counts[i], 1);
            assert_non_null(seen);
            for (uint64_t p = 0; p < counts[i]; p++) {
                uint64_t x = hs_permute(42, epoch, counts[i], p);
                assert_true(x < counts[i] && !seen[x]);
                seen[x] = 1;
            }
            free(seen);
        }
}

/* Two epochs share about one position of a random permutation, and neighbours do not stay together. */
static void permutations_mix(void **state)
{
    (void)state;
    int same = 0, fixed = 0, together = 0;
    for (uint64_t p = 0; p < 10000; p++) {
        uint64_t x = hs_permute(1, 0, 10000, p), next = hs_permute(1, 0, 10000, (p + 1) % 10000);
        same += x == hs_permute(1, 1, 10000, p);
        fixed += x == p;
        together += next == x + 1;
    }
    assert_true(same < 8 && fixed < 8 && together < 8); /* each is Poisson with mean 1: 8 and more has probability 1e-5 */
}

static void uniforms_keep_their_ends(void **state)
{
    (void)state;
    assert_true(hs_uniform(0, 0) == 0);
    assert_true(hs_uniform(0xffffffff, 0xffffffff) < 1);
    assert_true(hs_uniform_open(0, 0) == 1);
    assert_true(hs_uniform_open(0xffffffff, 0xffffffff) > 0);
}

/* Moments 1 to 4 of N numbers: standard errors are sqrt(1, 2, 15, 96) / sqrt(N); five of them allowed. */
static void normal_moments(void **state)
{
    (void)state;
    enum { N = 400000 };
    double m[4] = {0}, want[4] = {0, 1, 0, 3}, variance[4] = {1, 2, 15, 96};
    for (uint64_t i = 0; i < N; i++) {
        double x = hs_normal(hs_random(12345, HS_DRAW_TEST, 0, 0, i)), power = x;
        for (int k = 0; k < 4; k++, power *= x)
            m[k] += power / N;
    }
    for (int k = 0; k < 4; k++)
        assert_true(fabs(m[k] - want[k]) < 5 * sqrt(variance[k] / N));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),    cmocka_unit_test(the_counter_is_laid_out),  cmocka_unit_test(permutations_are_bijections),
        cmocka_unit_test(permutations_mix), cmocka_unit_test(uniforms_keep_their_ends), cmocka_unit_test(normal_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
