/* t_base_file.c - whole files: replaced at once, and left alone when writing fails. Failures are made so that they also happen to root: a limit
 * on file sizes, /dev/full's relatives, parents that are no directories. */
#include "config.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hs_base.h"

static char scratch[160];

static const char *in_scratch(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

static void assert_holds(const char *path, const char *text)
{
    char *data = NULL;
    size_t bytes = 0;
    assert_int_equal(hs_file_read(path, 1 << 20, &data, &bytes), HS_OK);
    assert_int_equal(bytes, strlen(text));
    assert_string_equal(data, text); /* the zero behind it is promised */
    hs_free(data);
}

static int entries(void)
{
    int count = 0;
    DIR *dir = opendir(scratch);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(dir);
    return count;
}

static void assert_fails(hs_status got, hs_status want, const char *part)
{
    assert_int_equal(got, want);
    if (!strstr(hs_fail_text(), part))
        fail_msg("\"%s\" is not in \"%s\"", part, hs_fail_text());
}

static void written_and_replaced(void **state)
{
    (void)state;
    char path[256];
    strcpy(path, in_scratch("a"));
    umask(027);
    assert_int_equal(hs_file_replace(path, "one", 3), HS_OK);
    assert_holds(path, "one");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal((int)info.st_mode & 0777, 0640);
    assert_int_equal(hs_file_replace(path, "", 0), HS_OK);
    assert_holds(path, "");
    assert_int_equal(hs_file_replace(path, "three", 5), HS_OK);
    assert_holds(path, "three");
    assert_int_equal(entries(), 1);
    assert_true(hs_file_exists(path));
    assert_int_equal(unlink(path), 0);
    assert_false(hs_file_exists(path));
}

static void a_name_without_directory(void **state)
{
    (void)state;
    char old[1024];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(scratch), 0);
    hs_status st = hs_file_replace("plain", "x", 1);
    assert_int_equal(chdir(old), 0);
    assert_int_equal(st, HS_OK);
    assert_holds(in_scratch("plain"), "x");
    unlink(in_scratch("plain"));
}

/* A name so long that no temporary name could be made by adding to it. */
static void the_longest_name(void **state)
{
    (void)state;
    char path[512], name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    assert_int_equal(hs_file_replace(path, "x", 1), HS_OK);
    assert_int_equal(unlink(path), 0);
}

static void a_full_disk(void **state)
{
    (void)state;
    static char big[100000];
    char path[256];
    struct rlimit old, small = {4096, RLIM_INFINITY};
    strcpy(path, in_scratch("full"));
    assert_int_equal(hs_file_replace(path, "old", 3), HS_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN); /* else the kernel ends us instead of saying EFBIG */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    hs_status st = hs_file_replace(path, big, sizeof big);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_fails(st, HS_EIO, "File too large; the file is larger than allowed here: see `ulimit -f`");
    assert_holds(path, "old");
    assert_int_equal(entries(), 1); /* the temporary is gone */
    unlink(path);
}

/* A disk that is really full: a small tmpfs, if this user may mount one in a name space of his own. */
static void a_full_file_system(void **state)
{
    (void)state;
    char command[2048], self[1024] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    snprintf(command, sizeof command, "unshare -rm sh -c 'mount -t tmpfs -o size=64k none %s/disk && HS_TEST_FULL=%s/disk \"$0\"' '%s' >/dev/null 2>&1",
             scratch, scratch, self);
    assert_int_equal(hs_dir_make(in_scratch("disk")), HS_OK);
    int rc = system(command);
    rmdir(in_scratch("disk"));
    if (rc != 0 && WEXITSTATUS(rc) != 42) {
        printf("# no mount name space for this user: skipped\n");
        skip();
    }
    assert_int_equal(rc, 0);
}

/* What the child of the test above does: 0 good, 42 bad. */
static int on_full_disk(const char *dir)
{
    static char big[200000];
    char path[256];
    snprintf(path, sizeof path, "%s/file", dir);
    if (hs_file_replace(path, "old", 3) != HS_OK || hs_file_replace(path, big, sizeof big) != HS_EIO)
        return 42;
    if (!strstr(hs_fail_text(), "No space left on device; the disk is full: free some space"))
        return 42;
    char *data = NULL;
    size_t bytes = 0;
    bool kept = hs_file_read(path, 100, &data, &bytes) == HS_OK && strcmp(data, "old") == 0;
    hs_free(data);
    unlink(path);
    return kept && rmdir(dir) != 0 ? 0 : 42;
}

static void paths_that_cannot_be(void **state)
{
    (void)state;
    char path[256];
    strcpy(path, in_scratch("file"));
    assert_int_equal(hs_file_replace(path, "x", 1), HS_OK);
    assert_fails(hs_file_replace(in_scratch("file/below"), "x", 1), HS_EIO, "a part of the path is a file, not a directory");
    assert_fails(hs_file_replace(in_scratch("none/below"), "x", 1), HS_EIO, "its directory does not exist: create it first");
    assert_fails(hs_dir_make(in_scratch("file")), HS_EIO, "Not a directory");
    assert_fails(hs_dir_make(in_scratch("file/below")), HS_EIO, "Not a directory");
    assert_fails(hs_dir_make(""), HS_EUSAGE, "empty");
    assert_int_equal(hs_dir_make(in_scratch("dir")), HS_OK);
    assert_fails(hs_file_replace(in_scratch("dir"), "x", 1), HS_EIO, "directory");
    assert_int_equal(entries(), 2);
    assert_int_equal(rmdir(in_scratch("dir")), 0);
    /* /proc refuses new files to everybody, as a read-only disk does. */
    assert_fails(hs_file_replace("/proc/halfspec-test", "x", 1), HS_EIO, "cannot write /proc/halfspec-test");
    unlink(path);
}

static void directories_with_parents(void **state)
{
    (void)state;
    assert_int_equal(hs_dir_make(in_scratch("a//b/c/")), HS_OK);
    assert_true(hs_file_exists(in_scratch("a/b/c")));
    assert_int_equal(hs_dir_make(in_scratch("a/b/c")), HS_OK);
    assert_int_equal(hs_dir_make("/"), HS_OK);
    rmdir(in_scratch("a/b/c"));
    rmdir(in_scratch("a/b"));
    rmdir(in_scratch("a"));
}

static void reading_refuses(void **state)
{
    (void)state;
    char *data = NULL, path[256];
    size_t bytes = 0;
    long blocks = hs_live_blocks();
    strcpy(path, in_scratch("r"));
    assert_int_equal(hs_file_replace(path, "12345", 5), HS_OK);
    assert_fails(hs_file_read(path, 4, &data, &bytes), HS_EINPUT, "it has 5 bytes where at most 4 are expected");
    assert_fails(hs_file_read(scratch, 100, &data, &bytes), HS_EINPUT, "it is a directory, not a regular file");
    assert_fails(hs_file_read("/dev/zero", 100, &data, &bytes), HS_EINPUT, "it is a device or pipe, not a regular file");
    assert_fails(hs_file_read(in_scratch("nothing"), 100, &data, &bytes), HS_EINPUT, "No such file or directory; check the name");
    assert_int_equal(mkfifo(in_scratch("fifo"), 0600), 0);
    alarm(5); /* a reader that waits for a writer would stand here for ever */
    assert_fails(hs_file_read(in_scratch("fifo"), 100, &data, &bytes), HS_EINPUT, "pipe");
    alarm(0);
    assert_null(data);
    assert_int_equal(hs_live_blocks(), blocks);
    unlink(in_scratch("fifo"));
    unlink(path);
}

static int set_up(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%.100s/hs-file-XXXXXX", base && *base ? base : "/tmp");
    return mkdtemp(scratch) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(scratch); /* fails if anything was left behind */
}

static void put_temporary(char path[256], const char *host, long pid)
{
    snprintf(path, 256, "%s/.halfspec-%s-%ld-0.tmp", scratch, host, pid);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void only_orphans_are_swept(void **state)
{
    (void)state;
    char host[32] = "", dead[256], alive[256], foreign[256], other[256];
    assert_int_equal(gethostname(host, 31), 0);
    for (char *c = host; *c; c++)
        if (*c == '-')
            *c = '_';
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child); /* from here nobody has this number */
    put_temporary(dead, host, (long)child);
    put_temporary(alive, host, (long)getpid());
    put_temporary(foreign, "another_host", (long)child);
    snprintf(other, sizeof other, "%s/.halfspec-notes", scratch);
    fclose(fopen(other, "w"));
    assert_int_equal(hs_dir_sweep(scratch), 1);
    assert_false(hs_file_exists(dead));
    assert_true(hs_file_exists(alive) && hs_file_exists(foreign) && hs_file_exists(other));
    assert_int_equal(hs_dir_sweep("/nowhere/at/all"), 0);
    unlink(alive);
    unlink(foreign);
    unlink(other);
}

int main(void)
{
    if (getenv("HS_TEST_FULL"))
        return on_full_disk(getenv("HS_TEST_FULL"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_replaced), cmocka_unit_test(a_name_without_directory), cmocka_unit_test(the_longest_name),
        cmocka_unit_test(a_full_disk),          cmocka_unit_test(a_full_file_system),       cmocka_unit_test(paths_that_cannot_be),
        cmocka_unit_test(directories_with_parents), cmocka_unit_test(only_orphans_are_swept), cmocka_unit_test(reading_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
