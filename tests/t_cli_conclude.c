/* t_cli_conclude.c - the end of a command on one and on three processes, what is printed how often, and the one exit code.
 * ranks: 1 3
 * With the word "stuck": rank 1 fails while the others wait for it in a barrier; the job must end with its message and code 74. */
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "hs_tap.h"

/* COLLECTIVE. Conclude with MINE and catch what this process prints to stderr in TEXT [capacity]. */
static int caught(hs_comm *meeting, hs_status mine, char *text, size_t capacity)
{
    FILE *catch = tmpfile();
    int old = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(catch), STDERR_FILENO);
    int code = cli_conclude(meeting, mine);
    fflush(stderr);
    dup2(old, STDERR_FILENO);
    close(old);
    rewind(catch);
    text[fread(text, 1, capacity - 1, catch)] = '\0';
    fclose(catch);
    return code;
}

/* COLLECTIVE. One case: exit code CODE everywhere, rank 0 prints exactly TEXT, the others nothing. */
static void expect(hs_comm *meeting, const char *what, hs_status mine, int code, const char *text)
{
    char got[4096];
    int got_code = caught(meeting, mine, got, sizeof got);
    bool good = got_code == code && strcmp(got, meeting->rank == 0 ? text : "") == 0;
    if (!good)
        fprintf(stderr, "# rank %d: code %d, text \"%s\"\n", meeting->rank, got_code, got);
    tap_ok(good, "%s", what);
}

static void three_ranks(hs_comm *m)
{
    char text[1024];
    hs_status mine = m->rank == 1 ? hs_fail(HS_EIO, "disk full") : hs_fail(HS_EREMOTE, "another rank failed");
    snprintf(text, sizeof text, "halfspec: rank 1 on %s: error: disk full\n", m->host);
    expect(m, "one rank failed: its name, its code everywhere", mine, 74, text);

    mine = m->rank == 0 ? HS_OK : hs_fail(HS_EINPUT, "no such file");
    snprintf(text, sizeof text, "halfspec: rank 1 on %s and 1 other: error: no such file\n", m->host);
    expect(m, "two ranks failed alike", mine, 65, text);

    mine = hs_fail(m->rank == 2 ? HS_EDESYNC : HS_ENONFINITE, "rank %d says so", m->rank);
    snprintf(text, sizeof text,
             "halfspec: rank 0 on %s: error: rank 0 says so\nhalfspec: rank 1 on %s: error: rank 1 says so\nhalfspec: rank 2 on %s: error: rank 2 says so\n",
             m->host, m->host, m->host);
    expect(m, "different reasons: each is printed, the first decides the code", mine, 78, text);

    expect(m, "some stopped early, some are done", m->rank == 1 ? HS_STOPPED : HS_OK, 75, "");
}

static int stuck(hs_comm *comm, hs_comm *meeting)
{
    hs_status st = comm->rank == 1 ? hs_fail(HS_EIO, "only this rank") : hs_barrier(comm);
    return cli_conclude(meeting, st);
}

int main(int argc, char **argv)
{
    hs_comm *comm = NULL, *meeting = NULL;
    if (hs_comm_start(&argc, &argv) != HS_OK || hs_comm_world(&comm) != HS_OK || hs_comm_world(&meeting) != HS_OK)
        return 99;
    if (argc > 1 && strcmp(argv[1], "stuck") == 0)
        return stuck(comm, meeting);
    tap_comm = comm;
    expect(meeting, "nothing failed", HS_OK, 0, "");
    expect(meeting, "stopped early on all ranks", HS_STOPPED, 75, "");
    expect(meeting, "all failed alike: one line without a rank", hs_fail(HS_EUSAGE, "x.conf:3: wrong"), 2, "halfspec: error: x.conf:3: wrong\n");
    hs_fail_clear();
    expect(meeting, "a failure without words is still named", HS_EHANG, 76, "halfspec: error: hang\n");
    char inner[256];
    hs_status st = hs_fail_at("file.c", 12, HS_EINTERNAL, "our mistake");
    snprintf(inner, sizeof inner, "halfspec: error: our mistake [file.c:12]\n");
    expect(meeting, "our own mistakes say where", st, 1, inner);
    if (meeting->size == 3)
        three_ranks(meeting);
    int code = tap_done();
    hs_comm_destroy(&comm);
    hs_comm_destroy(&meeting);
    hs_comm_finish();
    return code;
}
