/* t_base_sha256.c - digests against published answers (FIPS 180-4 examples; XXH64 from its reference implementation). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hs_base.h"

/* Both ways, if the processor has both, must give the same. */
static void digest_by(bool plain, const void *data, size_t bytes, size_t piece, char out[65])
{
    hs_sha256 h;
    hs_sha256_init(&h);
    h.plain = h.plain || plain;
    for (size_t at = 0; at < bytes; at += piece)
        hs_sha256_add(&h, (const char *)data + at, bytes - at < piece ? bytes - at : piece);
    hs_sha256_hex(&h, out);
}

static void digest(const void *data, size_t bytes, size_t piece, char out[65])
{
    char plain[65];
    digest_by(true, data, bytes, piece, plain);
    digest_by(false, data, bytes, piece, out);
    assert_string_equal(out, plain);
}

static void known_answers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *hex;
    } known[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[65];
    for (size_t i = 0; i < 3; i++) {
        digest(known[i].text, strlen(known[i].text), 1000, hex);
        assert_string_equal(hex, known[i].hex);
    }
}

static void a_million_letters(void **state)
{
    (void)state;
    char hex[65], *text = malloc(1000000);
    assert_non_null(text);
    memset(text, 'a', 1000000);
    for (size_t piece = 1; piece < 200000; piece = piece * 7 + 1) {
        digest(text, 1000000, piece, hex);
        assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    free(text);
}

/* Every length around the padding's borders, against the digest of the same bytes in other pieces. */
static void pieces_do_not_matter(void **state)
{
    (void)state;
    unsigned char text[260];
    char whole[65], pieces[65];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)(i * 37 + 1);
    for (size_t n = 0; n < sizeof text; n++)
        for (size_t piece = 1; piece < 70; piece += 3) {
            digest(text, n, 1000, whole);
            digest(text, n, piece, pieces);
            assert_string_equal(whole, pieces);
        }
}

static void hash_known_answers(void **state)
{
    (void)state;
    assert_true(hs_hash64("", 0, 0) == 0xEF46DB3751D8E999u);
    assert_true(hs_hash64("a", 1, 0) == 0xD24EC4F1A98C6E5Bu);
    assert_true(hs_hash64("abc", 3, 0) == 0x44BC2CF5AD770999u);
    assert_true(hs_hash64("Nobody inspects the spammish repetition", 39, 0) == 0xFBCEA83C8A378BF1u);
}

static void hash_sees_every_bit(void **state)
{
    (void)state;
    unsigned char text[100] = {0};
    for (size_t n = 1; n <= sizeof text; n++) {
        uint64_t before = hs_hash64(text, n, 7);
        assert_true(before != hs_hash64(text, n, 8));
        for (size_t bit = 0; bit < 8 * n; bit++) {
            text[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_true(hs_hash64(text, n, 7) != before);
            text[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),      cmocka_unit_test(a_million_letters),   cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(hash_known_answers), cmocka_unit_test(hash_sees_every_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
