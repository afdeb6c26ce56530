/* t_store_damage.c - which checkpoint is chosen when files are damaged, missing or unlisted; what is kept; what a full disk
 * leaves behind. */
#include "store_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void save(const char *dir, model *m, int64_t step, int keep, bool best)
{
    hs_provenance p = provenance_make();
    m->ck.state.step = step;
    OK(hs_checkpoint_write(dir, &m->ck, &p, keep, best, 0.5));
}

static char *path_of(const char *dir, int64_t step)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/ckpt/step-%08lld.h5", dir, (long long)step);
    return path;
}

/* The step that find chooses, 0 if none; WORD must be in the warnings (NULL: there must be none). */
static long found(const char *dir, const char *word)
{
    char path[256], *warnings = NULL;
    OK(hs_checkpoint_find(dir, path, sizeof path, &warnings));
    if (word && (!warnings || !strstr(warnings, word)))
        fail_msg("warnings \"%s\" lack \"%s\"", warnings ? warnings : "", word);
    if (!word && warnings)
        fail_msg("unexpected warnings: %s", warnings);
    hs_free(warnings);
    return path[0] ? strtol(strstr(path, "step-") + 5, NULL, 10) : 0;
}

static void damage(const char *path, size_t at, unsigned char flip)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, (long)at, SEEK_SET);
    int c = fgetc(f);
    fseek(f, (long)at, SEEK_SET);
    fputc(c ^ flip, f);
    assert_int_equal(fclose(f), 0);
}

static size_t size_of(const char *path)
{
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    return (size_t)s.st_size;
}

/* Names in DIR/ckpt, sorted and joined. */
static const char *listing(const char *dir)
{
    static char text[2048];
    char folder[256];
    struct dirent **names;
    snprintf(folder, sizeof folder, "%s/ckpt", dir);
    int n = scandir(folder, &names, NULL, alphasort);
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.' || names[i]->d_name[1] == 'h')
            strcat(strcat(text, text[0] ? " " : ""), names[i]->d_name);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return text;
}

/* ---- retention ------------------------------------------------------------------------------------------------------------- */

static void retention(void **state)
{
    (void)state;
    char *dir = scratch_make(), stray[400];
    model *m = model_make(HS_F32, 10);
    assert_int_equal(found(dir, NULL), 0);
    save(dir, m, 10, 2, false);
    save(dir, m, 20, 2, true);
    save(dir, m, 30, 2, false);
    assert_string_equal(listing(dir), "MANIFEST step-00000020.h5 step-00000030.h5");
    save(dir, m, 40, 2, false);
    save(dir, m, 50, 2, false);
    assert_string_equal(listing(dir), "MANIFEST step-00000020.h5 step-00000040.h5 step-00000050.h5");
    save(dir, m, 60, 2, true); /* a new best: the old one goes */
    assert_string_equal(listing(dir), "MANIFEST step-00000050.h5 step-00000060.h5");
    /* What a killed save leaves is cleared by the next one. */
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    assert_int_equal(waitpid(gone, NULL, 0), gone);
    char host[32] = "";
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    for (char *c = host; *c; c++)
        *c = *c == '-' ? '_' : *c;
    snprintf(stray, sizeof stray, "%s/ckpt/.halfspec-%s-%ld-0.tmp", dir, host, (long)gone);
    spill_file(stray, "x", 1);
    snprintf(stray, sizeof stray, "%s/ckpt/.halfspec-%s-%ld-7.tmp", dir, host,
             (long)getpid()); /* of a process that lives: not ours to touch */
    spill_file(stray, "x", 1);
    spill_file(path_of(dir, 55), "torn", 4);
    save(dir, m, 70, 1, false);
    assert_int_equal(unlink(stray), 0);
    assert_string_equal(listing(dir), "MANIFEST step-00000060.h5 step-00000070.h5");
    /* Going on from an older state gives the newer ones up. */
    save(dir, m, 65, 2, false);
    assert_string_equal(listing(dir), "MANIFEST step-00000060.h5 step-00000065.h5");
    assert_int_equal(found(dir, NULL), 65);
    model_free(m);
    scratch_remove(dir);
}

static void manifest_text(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256], want[300], *text, hex[65];
    size_t bytes, size;
    hs_sha256 sha;
    model *m = model_make(HS_F32, 10);
    save(dir, m, 10, 2, true);
    char *data = slurp(path_of(dir, 10), &size);
    hs_sha256_init(&sha);
    hs_sha256_add(&sha, data, size);
    hs_sha256_hex(&sha, hex);
    snprintf(path, sizeof path, "%s/ckpt/MANIFEST", dir);
    text = slurp(path, &bytes);
    snprintf(want, sizeof want, "halfspec-manifest 1\nstep-00000010.h5 bytes=%zu sha256=%s error=0.5 best\n", size, hex);
    assert_string_equal(text, want);
    hs_free(text);
    hs_free(data);
    model_free(m);
    scratch_remove(dir);
}

/* ---- damage ---------------------------------------------------------------------------------------------------------------- */

static void damaged_newest(void **state)
{
    (void)state;
    char *dir = scratch_make();
    model *m = model_make(HS_F32, 10);
    for (int s = 10; s <= 30; s += 10)
        save(dir, m, s, 3, false);
    size_t size = size_of(path_of(dir, 30));
    for (uint64_t i = 0; i < 100; i++) { /* data and metadata alike */
        size_t at = test_draw(1, i, size);
        unsigned char bit = (unsigned char)(1u << test_draw(2, i, 8));
        damage(path_of(dir, 30), at, bit);
        assert_int_equal(found(dir, "SHA-256"), 20);
        damage(path_of(dir, 30), at, bit);
    }
    assert_int_equal(found(dir, NULL), 30);
    assert_int_equal(truncate(path_of(dir, 30), (off_t)(size / 2)), 0);
    assert_int_equal(found(dir, "MANIFEST says"), 20);
    damage(path_of(dir, 20), size / 2, 1);
    assert_int_equal(found(dir, "SHA-256"), 10);
    unlink(path_of(dir, 10));
    assert_int_equal(found(dir, "step-00000010.h5"), 0);
    model_free(m);
    scratch_remove(dir);
}

static void manifest_lost(void **state)
{
    (void)state;
    char *dir = scratch_make(), manifest[128];
    model *m = model_make(HS_F32, 10);
    for (int s = 10; s <= 30; s += 10)
        save(dir, m, s, 3, false);
    snprintf(manifest, sizeof manifest, "%s/ckpt/MANIFEST", dir);
    spill_file(manifest, "halfspec-manifest 1\nrubbish\n", 28);
    assert_int_equal(found(dir, "MANIFEST"), 30);
    spill_file(manifest, "halfspec-manifest 1\n", 20); /* cut off behind its first line: sound, but it cannot be all */
    assert_int_equal(found(dir, "MANIFEST"), 30);
    unlink(manifest);
    assert_int_equal(found(dir, "MANIFEST"), 30);
    assert_int_equal(truncate(path_of(dir, 30), 100000), 0);
    assert_int_equal(found(dir, "damaged"), 20);
    /* The next save makes a new MANIFEST of what opens. */
    save(dir, m, 40, 9, false);
    assert_string_equal(listing(dir), "MANIFEST step-00000010.h5 step-00000020.h5 step-00000040.h5");
    assert_int_equal(found(dir, NULL), 40);
    model_free(m);
    scratch_remove(dir);
}

/* A checkpoint that cannot be read now may be sound: nothing older is taken in its place, which would be the end of it. */
static void not_readable(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256];
    model *m = model_make(HS_F32, 10);
    int status;
    save(dir, m, 10, 3, false);
    save(dir, m, 20, 3, false);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chmod(path_of(dir, 20), 0), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && setuid(65534) != 0) /* root reads anything */
            _exit(9);
        hs_status st = hs_checkpoint_find(dir, path, sizeof path, NULL);
        _exit(st == HS_EIO && strstr(hs_fail_text(), "step-00000020.h5: Permission denied") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    model_free(m);
    scratch_remove(dir);
}

/* Without MANIFEST only HDF5's own checks stand: in a child, as a damaged file may also bring the library down. A flip must be
 * found or harmless. */
static void flips_without_manifest(void **state)
{
    (void)state;
    const char *wanted = getenv("HS_TEST_FLIPS"); /* more of them by hand */
    uint64_t flips = wanted ? strtoull(wanted, NULL, 10) : 100;
    char *dir = scratch_make(), manifest[128], path[256];
    model *m = model_make(HS_F32, 10);
    int found_out = 0, harmless = 0, crashed = 0;
    save(dir, m, 10, 3, false);
    snprintf(manifest, sizeof manifest, "%s/ckpt/MANIFEST", dir);
    unlink(manifest);
    snprintf(path, sizeof path, "%s", path_of(dir, 10));
    size_t size = size_of(path);
    fflush(stdout);
    for (uint64_t i = 0; i < flips; i++) {
        size_t at = test_draw(3, i, size);
        unsigned char bit = (unsigned char)(1u << test_draw(4, i, 8));
        damage(path, at, bit);
        pid_t child = fork();
        if (child == 0) {
            model *back = model_make(HS_F32, 50);
            alarm(20);
            hs_status st = hs_checkpoint_read(path, &back->ck);
            _exit(st != HS_OK ? 1 : model_equal(m, back) ? 0 : 2);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        damage(path, at, bit);
        if (WIFSIGNALED(status))
            crashed++;
        else if (WEXITSTATUS(status) == 1)
            found_out++;
        else if (WEXITSTATUS(status) == 0)
            harmless++;
        else
            fail_msg("bit flip %u at byte %zu of %zu was read as another state", bit, at, size);
    }
    printf("# %d flips without MANIFEST: %d found out, %d harmless, %d crashes of the HDF5 library\n", (int)flips, found_out,
           harmless, crashed);
    assert_true(found_out > 0);
    model_free(m);
    scratch_remove(dir);
}

/* ---- a disk that takes no more --------------------------------------------------------------------------------------------- */

static void full_disk(void **state)
{
    (void)state;
    char *dir = scratch_make();
    struct rlimit old, tight;
    model *m = model_make(HS_F32, 10);
    hs_provenance p = provenance_make();
    save(dir, m, 10, 2, false);
    size_t bytes, again;
    char *before = slurp(path_of(dir, 10), &bytes), *after;
    signal(SIGXFSZ, SIG_IGN); /* then a write beyond the limit fails as on a full disk */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (int i = 0; i < 8; i++) {
        tight = old;
        tight.rlim_cur = (rlim_t)(bytes * (size_t)i / 8);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        m->ck.state.step = 20;
        hs_status st = hs_checkpoint_write(dir, &m->ck, &p, 1, true, 0.1);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(st, HS_EIO);
        assert_string_equal(listing(dir), "MANIFEST step-00000010.h5");
        assert_int_equal(found(dir, NULL), 10);
    }
    after = slurp(path_of(dir, 10), &again);
    assert_int_equal(bytes, again);
    assert_memory_equal(before, after, bytes);
    save(dir, m, 20, 1, true); /* room again */
    assert_int_equal(found(dir, NULL), 20);
    hs_free(before);
    hs_free(after);
    model_free(m);
    scratch_remove(dir);
}

static void no_directory(void **state)
{
    (void)state;
    char *dir = scratch_make(), file[128];
    model *m = model_make(HS_F32, 10);
    hs_provenance p = provenance_make();
    snprintf(file, sizeof file, "%s/ckpt", dir);
    spill_file(file, "x", 1); /* a file where the directory should be */
    assert_int_equal(hs_checkpoint_write(dir, &m->ck, &p, 1, false, 0.1), HS_EIO);
    assert_non_null(strstr(hs_fail_text(), file));
    unlink(file);
    if (geteuid() != 0) { /* root writes anywhere */
        assert_int_equal(chmod(dir, 0500), 0);
        assert_int_equal(hs_checkpoint_write(dir, &m->ck, &p, 1, false, 0.1), HS_EIO);
        assert_int_equal(chmod(dir, 0700), 0);
    }
    model_free(m);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retention),
        cmocka_unit_test(manifest_text),
        cmocka_unit_test(not_readable),
        cmocka_unit_test(damaged_newest),
        cmocka_unit_test(manifest_lost),
        cmocka_unit_test(flips_without_manifest),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(no_directory),
        cmocka_unit_test(no_leaks),
    };
    if (hs_store_start() != HS_OK)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
