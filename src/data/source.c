/* source.c - a file from outside, gzip or plain (zlib tells them apart), with its length checked and its content hashed on the
 * way. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data_impl.h"

bool hs_source_find(const char *dir, const char *name, char path[HS_PATH_MAX])
{
    static const char *const ending[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        int n = snprintf(path, HS_PATH_MAX, "%s/%s%s", dir, name, ending[i]);
        if (n > 0 && n < HS_PATH_MAX && access(path, F_OK) == 0)
            return true;
    }
    return false;
}

static hs_status fail_errno(const char *path, const char *what)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return hs_fail(HS_EINPUT, "%s: %s: %s; check the path of the data set", path, what, strerror(errno));
    return hs_fail(HS_EIO, "%s: %s: %s; check permissions and the disk", path, what, strerror(errno));
}

hs_status hs_source_open(hs_source *s, const char *path, hs_sha256 *digest)
{
    struct stat info;
    memset(s, 0, sizeof *s);
    s->digest = digest;
    if (snprintf(s->path, sizeof s->path, "%s", path) >= (int)sizeof s->path)
        return hs_fail(HS_EINPUT, "%.100s...: the path is longer than %d bytes", path, HS_PATH_MAX - 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* NONBLOCK: a pipe without writer must not hang us */
    if (fd < 0)
        return fail_errno(path, "cannot be opened");
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return hs_fail(HS_EINPUT, "%s: is not a regular file", path);
    }
    s->size = (int64_t)info.st_size;
    s->gz = gzdopen(fd, "rb");
    if (!s->gz) {
        close(fd);
        return hs_fail(HS_EINTERNAL, "%s: no memory to read it", path);
    }
    gzbuffer(s->gz, 1 << 17);
    s->plain = gzdirect(s->gz);
    return HS_OK;
}

void hs_source_close(hs_source *s)
{
    if (s->gz)
        gzclose_r(s->gz); /* only read: what it could report, hs_source_end has asked for */
    s->gz = NULL;
}

/* What zlib holds against the file after a read that brought too little. */
static hs_status fail_read(hs_source *s, uint64_t wanted)
{
    int code = Z_OK;
    const char *text = gzerror(s->gz, &code);
    if (code == Z_ERRNO)
        return hs_fail(HS_EIO, "%s: reading failed at byte %llu: %s", s->path, (unsigned long long)s->offset, strerror(errno));
    if (code == Z_DATA_ERROR)
        return hs_fail(HS_EINPUT, "%s: damaged gzip data near byte %llu of its content (%s); fetch the file again", s->path,
                       (unsigned long long)s->offset, text);
    return hs_fail(HS_EINPUT, "%s: truncated: ends at byte %llu of its content, %llu more were expected; fetch the file again",
                   s->path, (unsigned long long)s->offset, (unsigned long long)wanted);
}

hs_status hs_source_read(hs_source *s, void *data, size_t bytes)
{
    unsigned char *at = data;
    while (bytes > 0) {
        unsigned piece = bytes < (1u << 20) ? (unsigned)bytes : 1u << 20; /* small enough to be hashed while it is in the cache */
        int got = gzread(s->gz, at, piece);
        if (got <= 0)
            return fail_read(s, bytes);
        if (s->digest)
            hs_sha256_add(s->digest, at, (size_t)got);
        s->offset += (uint64_t)got;
        at += got;
        bytes -= (size_t)got;
    }
    return HS_OK;
}

hs_status hs_source_end(hs_source *s)
{
    unsigned char more;
    int code = Z_OK, got = gzread(s->gz, &more, 1);
    if (got == 1)
        return hs_fail(HS_EINPUT,
                       "%s: bytes follow behind byte %llu, where its header says it ends; the file or its header is damaged",
                       s->path, (unsigned long long)s->offset);
    gzerror(s->gz, &code);
    return code == Z_OK || code == Z_STREAM_END ? HS_OK : fail_read(s, 0);
}

hs_status hs_source_expect(const hs_source *s, uint64_t total)
{
    uint64_t size = (uint64_t)s->size;
    if (s->plain && size < total)
        return hs_fail(HS_EINPUT, "%s: truncated: %llu bytes, but its header asks for %llu; fetch the file again", s->path,
                       (unsigned long long)size, (unsigned long long)total);
    if (s->plain && size > total)
        return hs_fail(HS_EINPUT, "%s: %llu bytes too many: its header asks for %llu; the file or its header is damaged", s->path,
                       (unsigned long long)(size - total), (unsigned long long)total);
    /* Deflate cannot do better than 1032 : 1 (zlib's technical notes), so a small file cannot make us reserve a lot. */
    if (!s->plain && total / 1032 > size)
        return hs_fail(HS_EINPUT,
                       "%s: its header asks for %llu bytes, which %llu compressed bytes cannot hold; the file is damaged",
                       s->path, (unsigned long long)total, (unsigned long long)size);
    return HS_OK;
}

static hs_status count_through(hs_source *s, uint64_t limit, uint64_t *bytes)
{
    unsigned char buffer[16384];
    int got, code = Z_OK;
    while ((got = gzread(s->gz, buffer, sizeof buffer)) > 0) {
        s->offset += (uint64_t)got;
        if (s->offset > limit)
            return hs_fail(HS_EINPUT, "%s: its content is longer than %llu bytes", s->path, (unsigned long long)limit);
    }
    gzerror(s->gz, &code);
    if (got < 0 || (code != Z_OK && code != Z_STREAM_END))
        return fail_read(s, 1);
    *bytes = s->offset;
    return HS_OK;
}

hs_status hs_source_length(const char *path, uint64_t limit, uint64_t *bytes)
{
    hs_source s;
    HS_TRY(hs_source_open(&s, path, NULL));
    hs_status st = HS_OK;
    if (!s.plain)
        st = count_through(&s, limit, bytes);
    else if ((uint64_t)s.size > limit)
        st = hs_fail(HS_EINPUT, "%s: longer than %llu bytes", path, (unsigned long long)limit);
    else
        *bytes = (uint64_t)s.size;
    hs_source_close(&s);
    return st;
}
