/* t_train_misuse - what cannot work ends on all ranks within 5 s, with the right code and a message that says why on the rank that found it,
 * and leaves no partial file behind.
 * ranks: 1 3 */
#include "train_ranks.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>


/* Train; is the status WANT where it was found (a rank that did not find it: HS_EREMOTE), in time, and does a message hold PART? */
static void expect(const char *what, const char *run, const char *const *words, hs_status want, const char *part)
{
    hs_train_result result;
    double begin = hs_now();
    hs_fail_clear();
    hs_status st = fixture_train_with(tap_comm, run, words, NULL, NULL, &result);
    double spent = hs_now() - begin;
    bool said = st == want && strstr(hs_fail_text(), part);
    if (st != want && st != HS_EREMOTE)
        fprintf(stderr, "# %s: got %s: %s\n", what, hs_status_name(st), hs_fail_text());
    else if (st == want && !said)
        fprintf(stderr, "# %s: no '%s' in: %s\n", what, part, hs_fail_text());
    tap_ok(st == want || st == HS_EREMOTE, "%s: code %d", what, hs_status_exit_code(want));
    double found = said;
    if (hs_allreduce(tap_comm, &found, 1, HS_COMM_F64, HS_MAX) != HS_OK)
        found = 0;
    tap_ok(found > 0, "%s: somebody says '%s'", what, part);
    tap_ok(spent < 5, "%s: within 5 s (%.2f)", what, spent);
}

/* Files in DIR whose name looks unfinished. */
static int partial_files(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        count += strstr(e->d_name, ".tmp") != NULL || strstr(e->d_name, ".part") != NULL;
    if (dir)
        closedir(dir);
    return count;
}

static void other_configuration(const char *scratch)
{
    char run[400];
    snprintf(run, sizeof run, "%s/other", scratch);
    tap_ok(fixture_train(tap_comm, run, (const char *const[]){"max-steps=3", NULL}, NULL) == HS_OK, "a first run");
    expect("another configuration", run, (const char *const[]){"max-steps=6", "batch=16", NULL}, HS_EUSAGE, "batch: 32 -> 16");
    char path[420];
    snprintf(path, sizeof path, "%s/config", run);
    if (tap_comm->rank == 0)
        unlink(path);
    expect("another configuration than the checkpoint's", run, (const char *const[]){"max-steps=6", "lr=0.5", NULL}, HS_EUSAGE, "lr: 0.001 -> 0.5");
    tap_ok(fixture_train(tap_comm, run, (const char *const[]){"max-steps=6", "log-every=1", NULL}, NULL) == HS_OK,
           "what does not matter for the result may differ");
    (void)hs_agree(tap_comm, HS_OK);
    snprintf(path, sizeof path, "%s/run.h5", run);
    tap_ok(tap_comm->rank != 0 || truncate(path, 0) == 0, "a run file without content");
    expect("an empty run.h5", run, (const char *const[]){"max-steps=9", NULL}, HS_EINPUT, "move it away");
}

static long size_of(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (long)info.st_size : -1;
}

/* All checkpoints are damaged: log and history of the run are all that is left, and beginning anew would empty them. */
static void no_sound_checkpoint(const char *scratch)
{
    char run[400], path[440], log[440];
    snprintf(run, sizeof run, "%s/damaged", scratch);
    snprintf(path, sizeof path, "%s/ckpt/step-00000003.h5", run);
    snprintf(log, sizeof log, "%s/log.jsonl", run);
    tap_ok(fixture_train(tap_comm, run, (const char *const[]){"max-steps=3", "log-every=1", NULL}, NULL) == HS_OK, "a run of three steps");
    const long before = size_of(log);
    (void)hs_agree(tap_comm, HS_OK);
    tap_ok(tap_comm->rank != 0 || (before > 0 && truncate(path, 1000) == 0), "whose only checkpoint is cut short");
    expect("no sound checkpoint", run, (const char *const[]){"max-steps=6", NULL}, HS_EINPUT, "none of its checkpoints is sound");
    tap_ok(tap_comm->rank != 0 || size_of(log) == before, "and its log is as it was");
}

static void put_big(FILE *f, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        fputc((int)(value >> shift & 255), f);
}

/* An IDX set of COUNT noise images, different for each SALT. */
static void put_idx(const char *dir, const char *part, uint32_t count, uint32_t salt)
{
    char path[600];
    enum { SIDE = 8 };
    for (int labels = 0; labels < 2; labels++) {
        snprintf(path, sizeof path, "%s/%s-%s", dir, part, labels ? "labels-idx1-ubyte" : "images-idx3-ubyte");
        FILE *f = fopen(path, "wb");
        if (!f)
            exit(99);
        put_big(f, labels ? 0x801 : 0x803);
        put_big(f, count);
        for (int i = 0; !labels && i < 2; i++)
            put_big(f, SIDE);
        for (uint32_t i = 0; i < count * (labels ? 1 : SIDE * SIDE); i++)
            fputc((int)(labels ? i % 4 : (i * 2654435761u + (salt << 24)) >> 24), f);
        fclose(f);
    }
}

/* A resume on other samples, and ranks whose hosts hold other samples. */
static void other_data(const char *scratch)
{
    char run[400], dir[400], data[420], own[420];
    const char *words[] = {data, "net=C4k3 R F4", "max-steps=3", NULL, NULL};
    snprintf(run, sizeof run, "%s/data-run", scratch);
    snprintf(dir, sizeof dir, "%s/set", scratch);
    snprintf(data, sizeof data, "data=idx:%s", dir);
    if (tap_comm->rank == 0) {
        hs_dir_make(dir);
        put_idx(dir, "train", 64, 1);
        put_idx(dir, "t10k", 16, 2);
    }
    tap_ok(hs_agree(tap_comm, HS_OK) == HS_OK && fixture_train(tap_comm, run, words, NULL) == HS_OK, "a run on data in files");
    (void)hs_agree(tap_comm, HS_OK);
    if (tap_comm->rank == 0)
        put_idx(dir, "train", 64, 3);
    (void)hs_agree(tap_comm, HS_OK);
    words[2] = "max-steps=6";
    expect("other training data", run, words, HS_EINPUT, "other training data");
    words[3] = "data.verify=no";
    tap_ok(fixture_train(tap_comm, run, words, NULL) == HS_OK, "data.verify = no goes on with them");
    (void)hs_agree(tap_comm, HS_OK);
    if (tap_comm->rank == 0)
        put_idx(dir, "t10k", 16, 4);
    (void)hs_agree(tap_comm, HS_OK);
    words[2] = "max-steps=9", words[3] = NULL;
    expect("other test data", run, words, HS_EINPUT, "other test data");
    if (tap_comm->size == 1)
        return;
    snprintf(own, sizeof own, "%s/host%d", scratch, tap_comm->rank == 1);
    hs_dir_make(own);
    int st = chdir(own);
    snprintf(own + strlen(own), sizeof own - strlen(own), "/set");
    hs_dir_make(own);
    if (tap_comm->rank < 2) {
        put_idx(own, "train", 64, (uint32_t)tap_comm->rank);
        put_idx(own, "t10k", 16, 2);
    }
    (void)hs_agree(tap_comm, HS_OK);
    snprintf(data, sizeof data, "data=idx:set");
    snprintf(run, sizeof run, "%s/data-hosts", scratch);
    expect("a host with other files", run, words, HS_EINPUT, "not those of rank 0");
    tap_ok(st == 0 && chdir("/") == 0, "back again");
}

/* While the run is held by somebody alive. */
static void in_use(const char *scratch)
{
    char run[400], lock[420];
    hs_claim_look look = {0};
    hs_claim *claim = NULL;
    snprintf(run, sizeof run, "%s/used", scratch);
    snprintf(lock, sizeof lock, "%s/lock", run);
    hs_status st = HS_OK;
    if (tap_comm->rank == 0 && (st = hs_dir_make(run)) == HS_OK)
        st = hs_claim_try(lock, "4711", &look, &claim);
    tap_ok(st == HS_OK, "somebody works in a run");
    double begin = hs_now();
    hs_status got = fixture_train_with(tap_comm, run, (const char *const[]){"max-steps=3", NULL}, NULL, NULL, NULL);
    double spent = hs_now() - begin;
    tap_ok(got == (tap_comm->rank == 0 ? HS_EUSAGE : HS_EREMOTE), "a second job is refused on all ranks (%s)", hs_status_name(got));
    tap_ok(tap_comm->rank != 0 || strstr(hs_fail_text(), "(Slurm job 4711)"), "and told by whom");
    tap_ok(spent > 5 && spent < 15, "after it has waited a while (%.1f s)", spent);
    hs_claim_drop(&claim);
    (void)hs_agree(tap_comm, HS_OK);
    tap_ok(fixture_train(tap_comm, run, (const char *const[]){"max-steps=3", NULL}, NULL) == HS_OK, "then it can have it");
    tap_ok(tap_comm->rank != 0 || !hs_file_exists(lock), "and leaves no lock behind");
}

/* A directory that cannot be made: its parent is a file. (Permissions do not stop root, who may run this.) */
static void no_directory(const char *scratch)
{
    char file[400], run[420];
    snprintf(file, sizeof file, "%s/file", scratch);
    FILE *f = tap_comm->rank == 0 ? fopen(file, "w") : NULL;
    if (f)
        fclose(f);
    snprintf(run, sizeof run, "%s/run", file);
    expect("a target that cannot be made", run, (const char *const[]){"max-steps=3", NULL}, HS_EIO, file);
}

static void limit_files(void *context, int64_t step, double loss)
{
    (void)context, (void)loss;
    struct rlimit limit = {2048, RLIM_INFINITY};
    if (step == 2 && tap_comm->rank == 0)
        setrlimit(RLIMIT_FSIZE, &limit);
}

/* A full disk, played by a limit on the size of files that begins in the middle of the run. */
static void full_disk(const char *scratch)
{
    char run[400], folder[420];
    hs_train_result result;
    struct rlimit free_again = {RLIM_INFINITY, RLIM_INFINITY};
    const char *words[] = {"max-steps=6", "checkpoint.every=3", NULL};
    snprintf(run, sizeof run, "%s/full", scratch);
    snprintf(folder, sizeof folder, "%s/ckpt", run);
    signal(SIGXFSZ, SIG_IGN);
    double begin = hs_now();
    hs_status st = fixture_train_with(tap_comm, run, words, limit_files, NULL, &result);
    double spent = hs_now() - begin;
    setrlimit(RLIMIT_FSIZE, &free_again);
    tap_ok(st == (tap_comm->rank == 0 ? HS_EIO : HS_EREMOTE), "full disk: code 74 where it was found, the others told");
    tap_ok(spent < 5, "full disk: all ranks end in time");
    tap_ok(tap_comm->rank != 0 || (partial_files(run) == 0 && partial_files(folder) == 0), "full disk: no partial file");
    tap_ok(fixture_train(tap_comm, run, words, NULL) == HS_OK, "full disk: when there is room again the same command works");
}

int main(int argc, char **argv)
{
    char scratch[256], run[400];
    ranks_begin(&argc, &argv, scratch);
    snprintf(run, sizeof run, "%s/none", scratch);
    expect("missing data", run, (const char *const[]){"data=idx:/nonexistent/folder", NULL}, HS_EINPUT, "/nonexistent/folder");
    expect("a pooling larger than its map", run, (const char *const[]){"net=C4k3 SP99 F4", NULL}, HS_EUSAGE, "SP99");
    expect("a layer that is not there", run, (const char *const[]){"lr.conv9=1", NULL}, HS_EUSAGE, "conv9");
    expect("a set too small to hold something out", run, (const char *const[]){"data=synthetic:1,8,8,2,4", "data.validation=0.9", NULL}, HS_EUSAGE,
           "data.validation");
    expect("milestones that are none", run, (const char *const[]){"lr.schedule=step", "lr.milestones=1,x", NULL}, HS_EUSAGE, "lr.milestones");
    expect("a warm start from nothing", run, (const char *const[]){"warm-start=/nonexistent.h5", NULL}, HS_EINPUT, "/nonexistent.h5");
    tap_ok(tap_comm->rank != 0 || !hs_file_exists(run), "none of them made a run directory");
    other_configuration(scratch);
    no_sound_checkpoint(scratch);
    other_data(scratch);
    in_use(scratch);
    no_directory(scratch);
    full_disk(scratch);
    return ranks_end(scratch);
}
