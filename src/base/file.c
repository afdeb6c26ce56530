/* file.c - whole files in, whole files out, durable. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hs_base.h"

/* What a user can do about ERROR while writing. */
static const char *write_advice(int error)
{
    switch (error) {
    case ENOSPC: return "the disk is full: free some space, or choose another directory with run=DIR; then start again, nothing was lost";
    case EDQUOT: return "your quota is used up: free some space, or choose another directory with run=DIR; then start again";
    case EROFS: return "the file system is read-only: choose a directory that can be written with run=DIR";
    case EACCES:
    case EPERM: return "check the permissions of the directory, or choose another one with run=DIR";
    case ENOENT: return "its directory does not exist: create it first";
    case ENOTDIR: return "a part of the path is a file, not a directory: correct the path";
    case EFBIG: return "the file is larger than allowed here: see `ulimit -f`";
    case ENAMETOOLONG: return "use a shorter path";
    case EISDIR: return "there is a directory of that name: move it away";
    case EIO: return "the disk or its server failed: look at the system log before trying again";
    default: return "check the path and the disk, then try again";
    }
}

hs_status hs_file_failed(const char *verb, const char *path, int error)
{
    return hs_fail(HS_EIO, "cannot %s %s: %s; %s", verb, path, strerror(error), write_advice(error));
}

/* ---- reading ------------------------------------------------------------------------------------------------------------- */

static hs_status read_failed(const char *path, int error)
{
    if (error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG)
        return hs_fail(HS_EINPUT, "cannot read %s: %s; check the name", path, strerror(error));
    return hs_fail(HS_EIO, "cannot read %s: %s; check its permissions and the disk", path, strerror(error));
}

static hs_status check_kind(const char *path, const struct stat *info, size_t limit)
{
    if (!S_ISREG(info->st_mode))
        return hs_fail(HS_EINPUT, "cannot read %s: it is %s, not a regular file; name a file", path,
                       S_ISDIR(info->st_mode) ? "a directory" : "a device or pipe");
    if ((uintmax_t)info->st_size > limit)
        return hs_fail(HS_EINPUT, "cannot read %s: it has %jd bytes where at most %zu are expected; is it the right file?", path,
                       (intmax_t)info->st_size, limit);
    return HS_OK;
}

/* Read up to WANTED bytes; fewer if the file has shrunk. */
static hs_status read_all(int fd, const char *path, char *data, size_t wanted, size_t *got)
{
    for (*got = 0; *got < wanted;) {
        ssize_t n = read(fd, data + *got, wanted - *got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return read_failed(path, errno);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return HS_OK;
}

hs_status hs_file_read(const char *path, size_t limit, char **data, size_t *bytes)
{
    struct stat info;
    char *text = NULL;
    size_t got = 0;
    hs_status st = HS_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* NONBLOCK: a pipe must not make us wait before we can refuse it */
    if (fd < 0)
        return read_failed(path, errno);
    if (fstat(fd, &info) != 0)
        HS_TRY_GOTO(st, read_failed(path, errno), close_file);
    HS_TRY_GOTO(st, check_kind(path, &info, limit), close_file);
    HS_TRY_GOTO(st, hs_calloc((size_t)info.st_size + 1, 1, path, &text), close_file);
    st = read_all(fd, path, text, (size_t)info.st_size, &got);
    if (st == HS_OK) {
        *data = text;
        *bytes = got;
    } else {
        hs_free(text);
    }
close_file:
    close(fd); /* nothing was written: its result says nothing */
    return st;
}

bool hs_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------- */

/* "a/b/c" -> "a/b", "c" -> ".", "/c" -> "/". */
static hs_status directory_of(const char *path, char dir[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 1;
    if (length >= PATH_MAX)
        return hs_file_failed("write", path, ENAMETOOLONG);
    memcpy(dir, slash ? path : ".", length);
    dir[length] = '\0';
    if (slash == path)
        strcpy(dir, "/");
    return HS_OK;
}

/* Who wrote a temporary stands in its name, ".halfspec-HOST-PID-I.tmp", so that hs_dir_sweep can tell what a killed process left behind. */
static const char temporary_stem[] = ".halfspec-";

static void host_of(char host[32])
{
    memset(host, 0, 32);
    if (gethostname(host, 31) != 0 || !host[0])
        strcpy(host, "host");
    for (char *c = host; *c; c++)
        if (*c == '/' || *c == '-')
            *c = '_';
}

/* A new file in DIR that nobody else has. Its short name cannot be longer than a file system allows. */
static int open_temporary(const char *dir, char *name, size_t capacity)
{
    char host[32];
    host_of(host);
    for (int i = 0; i < 1000; i++) {
        int n = snprintf(name, capacity, "%s/%s%s-%ld-%d.tmp", dir, temporary_stem, host, (long)getpid(), i);
        if (n < 0 || (size_t)n >= capacity) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    errno = EEXIST;
    return -1;
}

static int write_all(int fd, const char *data, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

/* fsync of a directory makes a rename durable. File systems that know no such thing say EINVAL; that is not a fault. */
static int sync_directory(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : errno; /* writable but not readable is legal: then nothing can be synced */
    int error = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
    close(fd);
    return error;
}

/* Returns 0 or an errno. A failed fsync is never tried again: the kernel may have dropped the pages and would then say yes. */
static int fill_temporary(int fd, const void *data, size_t bytes)
{
    int error = write_all(fd, data, bytes);
    if (!error && fsync(fd) != 0)
        error = errno;
    if (close(fd) != 0 && !error)
        error = errno;
    return error;
}

hs_status hs_file_replace(const char *path, const void *data, size_t bytes)
{
    char dir[PATH_MAX], temporary[PATH_MAX + 64];
    HS_TRY(directory_of(path, dir));
    int fd = open_temporary(dir, temporary, sizeof temporary);
    if (fd < 0)
        return hs_file_failed("write", path, errno);
    int error = fill_temporary(fd, data, bytes);
    if (!error && rename(temporary, path) != 0)
        error = errno;
    if (error) {
        unlink(temporary);
        return hs_file_failed("write", path, error);
    }
    /* From here the new file is in place and whole; a failure only means that a power cut may still bring the old one back. */
    error = sync_directory(dir);
    return error ? hs_file_failed("make durable", path, error) : HS_OK;
}

/* Is NAME a temporary of a process that is gone? Another host's processes cannot be asked: theirs count as gone after a day. */
static bool is_orphan(int dirfd, const char *name, const char *host)
{
    size_t stem = strlen(temporary_stem), length = strlen(name), own = strlen(host);
    struct stat info;
    if (strncmp(name, temporary_stem, stem) != 0 || length < 4 || strcmp(name + length - 4, ".tmp") != 0)
        return false;
    if (strncmp(name + stem, host, own) == 0 && name[stem + own] == '-') {
        long pid = strtol(name + stem + own + 1, NULL, 10);
        return pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
    }
    return fstatat(dirfd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - info.st_mtime > 24 * 3600;
}

int hs_dir_sweep(const char *path)
{
    char host[32];
    int swept = 0;
    DIR *dir = opendir(path);
    if (!dir)
        return 0;
    host_of(host);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (is_orphan(dirfd(dir), entry->d_name, host) && unlinkat(dirfd(dir), entry->d_name, 0) == 0)
            swept++;
    closedir(dir);
    return swept;
}

/* Make the directory whose name is the first LENGTH characters of PATH. */
static hs_status make_one(const char *path, size_t length)
{
    char part[PATH_MAX];
    struct stat info;
    memcpy(part, path, length);
    part[length] = '\0';
    if (mkdir(part, 0777) == 0)
        return HS_OK;
    int error = errno; /* a parent that exists may answer EROFS or EACCES before EEXIST: look before complaining */
    if (stat(part, &info) != 0)
        return hs_file_failed("make directory", path, error);
    return S_ISDIR(info.st_mode) ? HS_OK : hs_file_failed("make directory", path, ENOTDIR);
}

hs_status hs_dir_make(const char *path)
{
    size_t length = strlen(path);
    if (length == 0)
        return hs_fail(HS_EUSAGE, "a directory's name is empty; give one, e.g. run=run");
    if (length >= PATH_MAX)
        return hs_file_failed("make directory", path, ENAMETOOLONG);
    for (size_t i = 1; i <= length; i++)
        if ((path[i] == '/' && path[i - 1] != '/') || (path[i] == '\0' && path[i - 1] != '/'))
            HS_TRY(make_one(path, i));
    return HS_OK;
}
