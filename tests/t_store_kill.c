/* t_store_kill.c - SIGKILL at random moments of saving: what was acknowledged is there afterwards, whole, and the run file is sound. */
#include "store_fixture.h"

#include <signal.h>
#include <sys/wait.h>

enum { KILLS = 25 };
static const hs_run_layer layer[] = {{"conv1", "C4k3", 3, 3, 1, 4, 40, HS_ARM_SPECTRAL, true}};

/* Parameters that tell their step. */
static void mark(model *m, int64_t step)
{
    m->ck.state.step = step;
    for (size_t i = 0; i < m->count; i++)
        ((float *)m->slab)[i] = (float)step + (float)i;
}

/* Saves step after step, as training does, and tells PIPE which are done; until it is killed. */
static void save_forever(const char *dir, int64_t resume, int pipe)
{
    model *m = model_make(HS_F32, 10);
    hs_provenance p = provenance_make();
    hs_run_options o = {.dir = dir, .provenance = &p, .layer = layer, .layers = 1, .history_filters = "all",
                        .resume_step = resume > 0 ? resume : -1};
    hs_run *run = NULL;
    double spectrum[36] = {0};
    if (hs_run_open(&o, &run) != HS_OK)
        _exit(1);
    for (int64_t step = resume + 1;; step++) {
        hs_train_row row = {.step = step, .loss = 1.0};
        hs_snapshot shot = {.step = step, .layer = 0, .spectrum = spectrum};
        mark(m, step);
        if (hs_run_train(run, &row) != HS_OK || hs_run_snapshot(run, &shot) != HS_OK || hs_run_flush(run) != HS_OK ||
            hs_checkpoint_write(dir, &m->ck, &p, 2, step % 7 == 0, 0.5) != HS_OK ||
            write(pipe, &step, sizeof step) != (ssize_t)sizeof step)
            _exit(1);
    }
}

static int64_t killed_after(const char *dir, int64_t resume, unsigned microseconds)
{
    int ends[2], status;
    int64_t step, last = resume;
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        save_forever(dir, resume, ends[1]);
    }
    close(ends[1]);
    usleep(microseconds);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* an exit would be an error of its own */
    while (read(ends[0], &step, sizeof step) == (ssize_t)sizeof step)
        last = step;
    close(ends[0]);
    return last;
}

static void check_run(const char *dir)
{
    char path[128];
    int findings = -1;
    FILE *out = tmpfile();
    snprintf(path, sizeof path, "%s/run.h5", dir);
    if (hs_file_exists(path)) {
        OK(hs_store_check(path, out, &findings));
        assert_int_equal(findings, 0);
    }
    fclose(out);
}

static void kills(void **state)
{
    (void)state;
    char *dir = scratch_make(), path[256], *warnings = NULL;
    model *back = model_make(HS_F32, 50), *want = model_make(HS_F32, 10);
    int64_t resume = 0;
    test_seed();
    for (uint64_t k = 0; k < KILLS; k++) {
        int64_t last = killed_after(dir, resume, (unsigned)(1000 + test_draw(1, k, 300000)));
        OK(hs_checkpoint_find(dir, path, sizeof path, &warnings));
        if (warnings && hs_file_exists(path))
            fail_msg("kill %d: %s", (int)k, warnings);
        hs_free(warnings);
        warnings = NULL;
        check_run(dir);
        if (path[0] == '\0') {
            assert_int_equal(last, 0); /* nothing was acknowledged yet */
            continue;
        }
        OK(hs_checkpoint_read(path, &back->ck));
        resume = back->ck.state.step;
        assert_true(resume >= last && resume <= last + 1); /* one more may be on disk than was told */
        mark(want, resume);
        assert_memory_equal(back->slab, want->slab, want->count * sizeof(float));
    }
    printf("# %d kills, %lld steps saved\n", KILLS, (long long)resume);
    assert_true(resume > 0);
    model_free(back);
    model_free(want);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kills)};
    if (hs_store_start() != HS_OK)
        return 99;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
