/* t_base_claim.c - one owner at a time: a live one keeps what it has, a dead one does not, and one on another machine is judged by its signs of life. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "hs_base.h"

static char path[200], scratch[160];

static hs_claim *take(hs_claim_look *look)
{
    hs_claim *claim = NULL;
    if (hs_claim_try(path, "77", look, &claim) != HS_OK)
        fail_msg("%s", hs_fail_text());
    return claim;
}

/* The file of an owner that sits elsewhere, whose last sign of life is AGE seconds old. */
static void put_foreign(long age)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("host = far\npid = 1\nboot = another\njob = 12\nsince = then\n", f);
    assert_int_equal(fclose(f), 0);
    struct timespec times[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void mine_and_given_back(void **state)
{
    (void)state;
    hs_claim_look look = {0};
    hs_claim *claim = take(&look);
    assert_non_null(claim);
    assert_true(hs_file_exists(path));
    assert_int_equal(hs_claim_check(claim), HS_OK);
    hs_claim_drop(&claim);
    assert_null(claim);
    assert_false(hs_file_exists(path));
    hs_claim_drop(&claim);
}

static void a_live_owner_stays(void **state)
{
    (void)state;
    hs_claim_look first = {0}, second = {0};
    hs_claim *claim = take(&first), *other = take(&second);
    assert_null(other);
    assert_true(second.wait); /* it may be about to end */
    assert_non_null(strstr(second.owner, "Slurm job 77"));
    second.since -= 100;
    assert_int_equal(hs_claim_try(path, "", &second, &other), HS_EUSAGE);
    assert_non_null(strstr(hs_fail_text(), "in use by process"));
    assert_non_null(strstr(hs_fail_text(), "run=DIR"));
    assert_int_equal(hs_claim_check(claim), HS_OK);
    hs_claim_drop(&claim);
}

static void a_killed_owner_does_not(void **state)
{
    (void)state;
    hs_claim_look look = {0};
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        hs_claim *claim = take(&look);
        (void)!write(ready[1], claim ? "y" : "n", 1);
        pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    hs_claim *claim = take(&look);
    assert_null(claim);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(hs_file_exists(path));
    claim = take(&look);
    assert_non_null(claim);
    hs_claim_drop(&claim);
    close(ready[0]);
    close(ready[1]);
}

static void an_owner_elsewhere(void **state)
{
    (void)state;
    hs_claim_look look = {0};
    hs_claim *claim = NULL;
    put_foreign(5);
    assert_null(take(&look)); /* nobody knows yet */
    assert_true(look.wait);
    put_foreign(0); /* a sign of life */
    look.since -= 10;
    assert_int_equal(hs_claim_try(path, "", &look, &claim), HS_EUSAGE);
    assert_non_null(strstr(hs_fail_text(), "process 1 on far (Slurm job 12), since then"));

    look = (hs_claim_look){0};
    put_foreign(30);
    assert_null(take(&look));
    look.since -= 50; /* watched for so long without a sign */
    claim = take(&look);
    assert_non_null(claim);
    assert_true(look.elsewhere);
    hs_claim_drop(&claim);

    look = (hs_claim_look){0};
    put_foreign(3600);
    claim = take(&look); /* no clock is that wrong */
    assert_non_null(claim);
    hs_claim_drop(&claim);
}

static void taken_over_or_removed(void **state)
{
    (void)state;
    hs_claim_look look = {0};
    hs_claim *claim = take(&look);
    assert_non_null(claim);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(hs_claim_check(claim), HS_OK); /* by hand: ours again */
    assert_true(hs_file_exists(path));
    assert_int_equal(unlink(path), 0);
    put_foreign(0);
    assert_int_equal(hs_claim_check(claim), HS_EIO);
    assert_non_null(strstr(hs_fail_text(), "another job"));
    hs_claim_drop(&claim);
    assert_true(hs_file_exists(path)); /* the other's */
    unlink(path);
}

static void what_is_no_file(void **state)
{
    (void)state;
    hs_claim_look look = {0};
    hs_claim *claim = NULL;
    assert_int_equal(mkdir(path, 0777), 0);
    assert_int_equal(hs_claim_try(path, "", &look, &claim), HS_EIO);
    rmdir(path);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(hs_claim_try(path, "", &look, &claim), HS_EIO);
    unlink(path);
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_int_equal(hs_claim_try(path, "", &look, &claim), HS_EIO);
    unlink(path);
    assert_int_equal(hs_claim_try("/nowhere/at/all", "", &look, &claim), HS_EIO);
    assert_null(claim);
    FILE *f = fopen(path, "w"); /* an owner that died before it had written its name, long ago */
    assert_non_null(f);
    fclose(f);
    struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    claim = take(&look);
    assert_non_null(claim);
    hs_claim_drop(&claim);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%.100s/t_base_claim_XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(scratch))
        return 99;
    snprintf(path, sizeof path, "%s/lock", scratch);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mine_and_given_back), cmocka_unit_test(a_live_owner_stays),    cmocka_unit_test(a_killed_owner_does_not),
        cmocka_unit_test(an_owner_elsewhere),  cmocka_unit_test(taken_over_or_removed), cmocka_unit_test(what_is_no_file),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(scratch);
    return rc;
}
