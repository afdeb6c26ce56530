/* claim.c - a directory of one job: a file that says who has it, held by a kernel's lock and kept fresh by a thread.
 *
 * Two facts, as no single one is enough on every file system. On the owner's own machine (known by the boot id, which containers share) the kernel
 * knows best: the lock of flock ends with its process, however that ended, so a file that can be locked belongs to nobody. Where the owner is on
 * another machine, locks may not cross the network or may outlive a crashed client; there only the file's time counts, which the owner renews every
 * few seconds. It is compared with itself over a while, not with this machine's clock, unless it is so old that no clock can be that wrong.
 *
 * Taking over is unlink and an exclusive create. Two other machines could do both at the same moment, one removing the newcomer's file: so whoever
 * took over from another machine looks again after a pause, and an owner looks before it writes (hs_claim_check). */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hs_base.h"

enum {
    BEAT = 10,       /* s between signs of life */
    SILENCE = 45,    /* s without one, watched, after which an owner on another machine is gone */
    LONG_GONE = 600, /* s that the last one may be old by this machine's clock before it need not be watched */
    PATIENCE = 8,    /* s for a live owner to end: ranks outlive a killed mpirun by two or three */
    SETTLE = 2,      /* s for others who took over at the same moment */
    TEXT = 512
};

struct hs_claim {
    char path[PATH_MAX], job[64];
    int fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool beating, leave; /* leave: under lock */
};

/* Who holds a claim, as its file says; empty fields: it does not. */
typedef struct owner {
    char host[64], boot[64], job[64], since[40];
    long pid;
} owner;

/* ---- the file ------------------------------------------------------------------------------------------------------------- */

/* Differs between machines and between starts of one; "" where the system does not tell. */
static void boot_of(char boot[64])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, boot, 63) : 0;
    boot[got > 0 ? got : 0] = '\0';
    boot[strcspn(boot, "\n")] = '\0';
    if (fd >= 0)
        close(fd);
}

/* The value behind "NAME = " in TEXT, cut to CAPACITY and to what can be shown. */
static void field(const char *text, const char *name, char *value, size_t capacity)
{
    size_t used = 0;
    const char *at = strstr(text, name);
    for (at = at ? at + strlen(name) : ""; *at && *at != '\n' && used + 1 < capacity; at++)
        value[used++] = isgraph((unsigned char)*at) ? *at : '?';
    value[used] = '\0';
}

static void read_owner(int fd, owner *o)
{
    char text[TEXT], pid[24];
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    field(text, "host = ", o->host, sizeof o->host);
    field(text, "pid = ", pid, sizeof pid);
    field(text, "boot = ", o->boot, sizeof o->boot);
    field(text, "job = ", o->job, sizeof o->job);
    field(text, "since = ", o->since, sizeof o->since);
    o->pid = strtol(pid, NULL, 10);
}

/* 0 or an errno. The lock comes first: who can read our name can also see that we live. */
static int write_owner(hs_claim *c)
{
    char text[TEXT], boot[64], date[32], host[64] = "";
    boot_of(boot);
    hs_date_iso(date);
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    int n = snprintf(text, sizeof text, "host = %s\npid = %ld\nboot = %s\njob = %s\nsince = %s\n", host, (long)getpid(), boot, c->job, date);
    (void)flock(c->fd, LOCK_EX); /* others hold it for moments only; a file system without locks has the file's time */
    ssize_t put = write(c->fd, text, (size_t)n);
    if (put != n)
        return put < 0 ? errno : ENOSPC;
    return fsync(c->fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno; /* so that other clients of a file server see it */
}

/* 0, or an errno: EEXIST if somebody was faster. */
static int create(hs_claim *c)
{
    c->fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (c->fd < 0)
        return errno;
    int error = write_owner(c);
    if (error) {
        unlink(c->path);
        close(c->fd);
        c->fd = -1;
    }
    return error;
}

/* Is what PATH names now the file that FD has open? Opening it makes clients of a file server ask again. */
static bool is_at(const char *path, int fd)
{
    struct stat named, held;
    int now = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool same = now >= 0 && fstat(now, &named) == 0 && fstat(fd, &held) == 0 && named.st_dev == held.st_dev && named.st_ino == held.st_ino;
    if (now >= 0)
        close(now);
    return same;
}

/* ---- is the owner alive? --------------------------------------------------------------------------------------------------- */

typedef enum verdict { GONE, GONE_ELSEWHERE, ALIVE, UNCLEAR } verdict;

static verdict judge_here(int fd, const owner *o)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return GONE;
    if (errno == EWOULDBLOCK)
        return ALIVE;
    return o->pid > 0 && kill((pid_t)o->pid, 0) != 0 && errno == ESRCH ? GONE : ALIVE; /* a file system without locks */
}

static verdict judge_elsewhere(const struct stat *info, hs_claim_look *look)
{
    int64_t stamp = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
    if (time(NULL) - info->st_mtim.tv_sec > LONG_GONE)
        return GONE_ELSEWHERE;
    if (look->stamp == 0)
        look->stamp = stamp;
    if (look->stamp != stamp)
        return ALIVE;
    return hs_now() - look->since > SILENCE ? GONE_ELSEWHERE : UNCLEAR;
}

static void name_owner(const owner *o, hs_claim_look *look)
{
    snprintf(look->owner, sizeof look->owner, "process %ld on %s%s%s%s, since %s", o->pid, o->host[0] ? o->host : "an unknown host",
             o->job[0] ? " (Slurm job " : "", o->job, o->job[0] ? ")" : "", o->since[0] ? o->since : "a moment ago");
}

static hs_status held(const hs_claim *c, const hs_claim_look *look)
{
    return hs_fail(HS_EUSAGE, "%s: the run is in use by %s. Wait for it or stop it (a signal USR2 makes it save and leave), or choose another "
                   "directory with run=DIR", c->path, look->owner);
}

/* Look at the file that is there. *AGAIN: it is away now, try to create one. */
static hs_status judge(hs_claim *c, int fd, hs_claim_look *look, bool *again)
{
    owner o;
    char boot[64];
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return hs_fail(HS_EIO, "%s: is no regular file; move it away: the name is for the file that says who uses this run", c->path);
    read_owner(fd, &o);
    name_owner(&o, look);
    boot_of(boot);
    bool here = boot[0] && strcmp(boot, o.boot) == 0;
    verdict v = here ? judge_here(fd, &o) : judge_elsewhere(&info, look);
    if (v == UNCLEAR || (v == ALIVE && hs_now() - look->since < PATIENCE)) {
        look->wait = true;
        return HS_OK;
    }
    if (v == ALIVE)
        return held(c, look);
    if (is_at(c->path, fd) && unlink(c->path) != 0 && errno != ENOENT)
        return hs_file_failed("remove", c->path, errno);
    look->elsewhere = v == GONE_ELSEWHERE;
    *again = true;
    return HS_OK;
}

/* ---- signs of life ---------------------------------------------------------------------------------------------------------- */

static void *beat(void *argument)
{
    hs_claim *c = argument;
    pthread_mutex_lock(&c->lock);
    while (!c->leave) {
        if (hs_wait(&c->wake, &c->lock, BEAT) && !c->leave)
            (void)futimens(c->fd, NULL); /* a server that is away for a while is not our end: hs_claim_check decides before we write */
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static hs_status start_beating(hs_claim *c)
{
    sigset_t all, old; /* signals are for the thread that trains */
    pthread_mutex_init(&c->lock, NULL);
    hs_wait_init(&c->wake);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int error = pthread_create(&c->thread, NULL, beat, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    c->beating = error == 0;
    return error ? hs_fail(HS_EINTERNAL, "cannot start the thread that keeps %s fresh: %s", c->path, strerror(error)) : HS_OK;
}

/* ---- public ------------------------------------------------------------------------------------------------------------------- */

/* c->fd < 0 afterwards: look->wait, or a failure. */
static hs_status take(hs_claim *c, hs_claim_look *look)
{
    for (int i = 0; i < 100; i++) {
        bool again = false;
        int error = create(c);
        if (error == 0)
            return HS_OK;
        if (error != EEXIST)
            return hs_file_failed("write", c->path, error);
        int fd = open(c->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT)
            continue; /* its owner has just left */
        if (fd < 0)
            return hs_file_failed("open", c->path, errno);
        hs_status st = judge(c, fd, look, &again);
        close(fd);
        if (st != HS_OK || !again)
            return st;
    }
    look->wait = true; /* others come and go faster than we look */
    return HS_OK;
}

hs_status hs_claim_try(const char *path, const char *job, hs_claim_look *look, hs_claim **claim)
{
    hs_claim *c = NULL;
    hs_status st;
    look->wait = look->elsewhere = false;
    if (look->since <= 0)
        look->since = hs_now();
    HS_TRY(hs_calloc(1, sizeof *c, path, &c));
    c->fd = -1;
    snprintf(c->job, sizeof c->job, "%s", job);
    if (snprintf(c->path, sizeof c->path, "%s", path) >= (int)sizeof c->path)
        HS_TRY_GOTO(st, hs_file_failed("write", path, ENAMETOOLONG), undo);
    HS_TRY_GOTO(st, take(c, look), undo);
    if (c->fd < 0)
        goto undo;
    if (look->elsewhere) {
        sleep(SETTLE);
        HS_TRY_GOTO(st, is_at(c->path, c->fd) ? HS_OK : held(c, look), undo);
    }
    HS_TRY_GOTO(st, start_beating(c), undo);
    *claim = c;
    return HS_OK;
undo:
    hs_claim_drop(&c);
    return st;
}

hs_status hs_claim_check(hs_claim *c)
{
    if (is_at(c->path, c->fd))
        return HS_OK;
    pthread_mutex_lock(&c->lock); /* the thread uses fd */
    int old = c->fd, error = create(c); /* somebody removed the file by hand, and nobody else came: it is ours again */
    if (error)
        c->fd = old;
    else
        close(old);
    pthread_mutex_unlock(&c->lock);
    if (error && error != EEXIST)
        return hs_file_failed("write", c->path, error);
    return error ? hs_fail(HS_EIO, "%s: another job has taken this run over while this one did not move for long; nothing more is written by this one",
                           c->path)
                 : HS_OK;
}

void hs_claim_drop(hs_claim **claim)
{
    hs_claim *c = *claim;
    if (!c)
        return;
    if (c->beating) {
        pthread_mutex_lock(&c->lock);
        c->leave = true;
        pthread_cond_signal(&c->wake);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
        pthread_cond_destroy(&c->wake);
        pthread_mutex_destroy(&c->lock);
    }
    if (c->fd >= 0 && is_at(c->path, c->fd))
        unlink(c->path); /* if that fails, the lock below goes all the same, and the next one takes over */
    if (c->fd >= 0)
        close(c->fd);
    hs_free(c);
    *claim = NULL;
}
