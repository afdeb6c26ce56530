/* t_ref_backends.c - the list of backends, finding one by name, opening a device, and the memory of `ref`. */
#include "ref_help.h"

static void the_list_ends_with_ref(void **state)
{
    (void)state;
    const hs_backend *const *b = hs_backends(), *last = NULL;
    for (; *b; b++) {
        const hs_backend *found = NULL;
        assert_ok(hs_backend_find((*b)->name, &found));
        assert_ptr_equal(found, *b);
        assert_true((*b)->device && (*b)->memory && (*b)->gemm && (*b)->transform && (*b)->conv && (*b)->pool && (*b)->element && (*b)->norm &&
                    (*b)->loss && (*b)->optim);
        last = *b;
    }
    assert_non_null(last);
    assert_string_equal(last->name, "ref");
    assert_int_equal(last->real, HS_F64);
}

static bool is_filled(const void *table, size_t at)
{
    void *entry;
    memcpy(&entry, (const char *)table + at, sizeof entry);
    return entry != NULL;
}

/* Whether a backend may leave the entry at AT of table T empty. */
static bool is_optional(size_t t, size_t at)
{
    const size_t conv[] = {offsetof(hs_conv_ops, ways), offsetof(hs_conv_ops, way_name), offsetof(hs_conv_ops, seals), offsetof(hs_conv_ops, grid)};
    for (size_t i = 0; t == 4 && i < sizeof conv / sizeof *conv; i++)
        if (at == conv[i])
            return true;
    return false;
}

/* Every entry of every table of every backend is filled but the optional ones: tables hold function pointers and at most one bool at the end. */
static void no_entry_is_empty(void **state)
{
    (void)state;
    for (const hs_backend *const *b = hs_backends(); *b; b++) {
        const struct {
            const void *table;
            size_t bytes;
        } tables[] = {{(*b)->device, offsetof(hs_device_ops, record_begin)}, {(*b)->memory, offsetof(hs_memory_ops, host_visible)},
                      {(*b)->gemm, sizeof(hs_gemm_ops)},                     {(*b)->transform, sizeof(hs_transform_ops)},
                      {(*b)->conv, offsetof(hs_conv_ops, dense)},            {(*b)->pool, sizeof(hs_pool_ops)},
                      {(*b)->element, sizeof(hs_element_ops)},               {(*b)->norm, sizeof(hs_norm_ops)},
                      {(*b)->loss, sizeof(hs_loss_ops)},                     {(*b)->optim, offsetof(hs_optim_ops, penalised_squares)}};
        for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
            for (size_t at = 0; at < tables[t].bytes; at += sizeof(void *))
                if (!is_filled(tables[t].table, at) && !is_optional(t, at))
                    fail_msg("backend %s: table %zu, entry %zu is empty", (*b)->name, t, at / sizeof(void *));
    }
}

/* Recording, and updates that wait for nobody, are of use only whole. */
static void some_entries_come_together(void **state)
{
    (void)state;
    for (const hs_backend *const *b = hs_backends(); *b; b++) {
        for (size_t at = offsetof(hs_device_ops, record_begin); at < sizeof(hs_device_ops); at += sizeof(void *))
            assert_int_equal(is_filled((*b)->device, at), (*b)->device->record_begin != NULL);
        for (size_t at = offsetof(hs_optim_ops, penalised_squares); at < sizeof(hs_optim_ops); at += sizeof(void *))
            assert_int_equal(is_filled((*b)->optim, at), (*b)->optim->penalised_squares != NULL);
    }
}

static void unknown_names_are_explained(void **state)
{
    (void)state;
    const hs_backend *found = ref;
    assert_int_equal(hs_backend_find("rfe", &found), HS_EUSAGE);
    assert_non_null(strstr(hs_fail_text(), "rfe"));
    assert_non_null(strstr(hs_fail_text(), "did you mean 'ref'?"));
    assert_ptr_equal(found, ref);
    assert_int_equal(hs_backend_find("abacus", &found), HS_EUSAGE);
    assert_null(strstr(hs_fail_text(), "did you mean"));
    if (hs_backend_find("cuda", &found) != HS_OK)
        assert_non_null(strstr(hs_fail_text(), "--with-cuda"));
}

static void devices_open_by_name(void **state)
{
    (void)state;
    const hs_device_options options = {.ordinal = -1, .local_size = 1, .precision = "fp32"};
    hs_device *d = NULL;
    assert_ok(hs_device_open("ref", &options, &d));
    assert_string_equal(d->backend->name, "ref");
    char text[128] = "";
    d->backend->device->describe(d, text, sizeof text);
    assert_non_null(strstr(text, "ref"));
    hs_device_close(&d);
    assert_null(d);
    hs_device_close(&d); /* nothing to close: nothing happens */
    assert_ok(hs_device_open("auto", &options, &d));
    assert_non_null(d);
    hs_device_close(&d);
    assert_int_equal(hs_device_open("ref:x", &options, &d), HS_EUSAGE);
    assert_int_equal(hs_device_open("ref:", &options, &d), HS_EUSAGE);
    assert_int_equal(hs_device_open("a-name-that-is-far-too-long-for-any-backend-there-is", &options, &d), HS_EUSAGE);
    assert_null(d);
}

static void memory_is_zeroed_aligned_and_counted(void **state)
{
    (void)state;
    const long before = hs_live_blocks();
    for (size_t bytes = 0; bytes < 5000; bytes = 2 * bytes + 1) {
        void *memory = NULL;
        assert_ok(ref->memory->alloc(device, bytes, &memory));
        assert_int_equal((uintptr_t)memory % 256, 0);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(((char *)memory)[i], 0);
        memset(memory, 1, bytes);
        ref->memory->free(device, memory);
    }
    ref->memory->free(device, NULL);
    assert_int_equal(hs_live_blocks(), before);
    void *const mark = device;
    void *memory = mark;
    assert_int_equal(ref->memory->alloc(device, SIZE_MAX - 8, &memory), HS_EINTERNAL);
    assert_ptr_equal(memory, mark); /* written only on success */
}

static void memory_moves(void **state)
{
    (void)state;
    const float from[3] = {1.5f, -2, 0.1f};
    double wide[3], copy[3], back[3];
    assert_ok(ref->memory->from_float(stream, 3, from, wide));
    assert_true(wide[0] == 1.5 && wide[1] == -2 && wide[2] == (double)0.1f);
    assert_ok(ref->memory->upload(stream, copy, wide, sizeof wide));
    assert_ok(ref->memory->copy(stream, copy + 1, copy, 2 * sizeof *copy));
    assert_ok(ref->memory->download(stream, back, copy, sizeof copy));
    assert_true(back[0] == 1.5 && back[1] == 1.5 && back[2] == -2);
    assert_ok(ref->memory->zero(stream, back, 2 * sizeof *back));
    assert_true(back[0] == 0 && back[1] == 0 && back[2] == -2);
    assert_true(ref->memory->host_visible);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_ends_with_ref),
        cmocka_unit_test(no_entry_is_empty),
        cmocka_unit_test(some_entries_come_together),
        cmocka_unit_test(unknown_names_are_explained),
        cmocka_unit_test(devices_open_by_name),
        cmocka_unit_test(memory_is_zeroed_aligned_and_counted),
        cmocka_unit_test(memory_moves),
    };
    return cmocka_run_group_tests(tests, ref_open, ref_close);
}
