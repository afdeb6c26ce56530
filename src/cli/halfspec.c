/* halfspec.c - the program: start the ranks if the command needs them, run it, print a failure once, leave. */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__ /* known behind the first header of the C library */
#include <malloc.h>
#endif

#include "cli.h"

/* A command that needs no other ranks runs without MPI. If a launcher started several of us all the same, the first alone speaks, and the others
 * leave with 0: a launcher that sees a bad code may end the first before it has spoken. */
static bool is_first_process(void)
{
    static const char *const rank[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof rank / sizeof *rank; i++) {
        const char *value = getenv(rank[i]);
        if (value && *value)
            return strcmp(value, "0") == 0;
    }
    return true;
}

static bool wants_help(char **word, int count)
{
    for (int i = 0; i < count && strcmp(word[i], "--") != 0; i++)
        if (strcmp(word[i], "--help") == 0 || strcmp(word[i], "-h") == 0)
            return true;
    return false;
}

static hs_status run_words(const cli_command *command, hs_comm *comm, char **word, int count)
{
    hs_log log = {stdout, stderr, comm->rank == 0 ? HS_LOG_INFO : HS_LOG_WARN, ""};
    hs_text line = {0};
    cli_words words = {0};
    cli c = {.comm = comm, .log = &log};
    if (comm->rank > 0)
        snprintf(log.who, sizeof log.who, "rank %d on %.40s", comm->rank, comm->host);
    hs_text_add(&line, "halfspec %s", command->name);
    for (int i = 0; i < count; i++)
        hs_text_add(&line, " %s", word[i]);
    HS_TRY(line.status);
    c.line = line.data;
    hs_status st = cli_words_split(command, word, count, &words);
    if (st == HS_OK)
        st = command->run(&c, &words);
    if ((fflush(stdout) != 0 || ferror(stdout)) && st == HS_OK) /* most lines were flushed before, and one of those may have failed */
        st = hs_fail(HS_EIO, "cannot write to standard output; is the disk full?");
    cli_words_free(&words);
    hs_free(line.data);
    return st;
}

/* All ranks. The second communicator is for the end: whatever was left open on the first cannot disturb it. */
static int run_collective(const cli_command *command, int *argc, char ***argv)
{
    hs_comm *comm = NULL, *meeting = NULL;
    hs_status st = hs_comm_start(argc, argv);
    if (st == HS_OK)
        st = hs_comm_world(&comm);
    if (st == HS_OK)
        st = hs_comm_world(&meeting);
    if (st == HS_OK)
        st = run_words(command, comm, *argv + 2, *argc - 2);
    int code = cli_conclude(meeting, st);
    hs_comm_destroy(&comm);
    hs_comm_destroy(&meeting);
    hs_comm_finish();
    return code;
}

static int run_alone(const cli_command *command, hs_status found, char **word, int count)
{
    hs_comm *comm = NULL;
    if (!is_first_process())
        return 0;
    if (found == HS_OK)
        found = hs_comm_self(&comm);
    if (found == HS_OK)
        found = run_words(command, comm, word, count);
    int code = cli_conclude(NULL, found);
    hs_comm_destroy(&comm);
    return code;
}

/* Large blocks go back to the system when they are freed. Left alone, glibc keeps ever larger ones for itself once one was freed, and what initial
 * filters took at the start is still resident when files are built: 16 to 40 MiB above the plan, and never twice the same. */
static void return_large_blocks(void)
{
#ifdef M_MMAP_THRESHOLD
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 17);
#endif
}

/* A standard stream that was closed would be the number of the next file that is opened, and what we print would stand in it. */
static void open_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return; /* a system without it: nothing is lost that we could save */
}

/* What asks training to save waits until training can hear it: while MPI starts, and when all is done and MPI ends, it would kill. hs_signals_catch lets
 * it in for as long as it can be heard. */
static void hold_signals(void)
{
    sigset_t asks;
    sigemptyset(&asks);
    sigaddset(&asks, SIGUSR1);
    sigaddset(&asks, SIGUSR2);
    (void)sigprocmask(SIG_BLOCK, &asks, NULL);
}

int main(int argc, char **argv)
{
    const cli_command *command = &cli_help;
    hs_status found = HS_OK;
    open_streams();
    return_large_blocks();
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes shall be an error of write, not our end in the middle of a step */
    if (argc < 2) {
        if (is_first_process())
            cli_help_program(stderr);
        return is_first_process() ? hs_status_exit_code(HS_EUSAGE) : 0;
    }
    found = cli_command_find(argv[1], &command);
    if (found == HS_OK && wants_help(argv + 2, argc - 2)) { /* the same as `halfspec help COMMAND` */
        char *name[] = {argv[1]};
        return run_alone(&cli_help, HS_OK, name, command == &cli_help ? 0 : 1);
    }
    if (found == HS_OK && command == &cli_train)
        hold_signals();
    if (found == HS_OK && command->collective)
        return run_collective(command, &argc, &argv);
    return run_alone(command, found, argv + 2, argc - 2);
}
