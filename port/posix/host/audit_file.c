#include "posix/host/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

pst_err pst_audit_file_open(struct pst_audit_file *f, const char *path)
{
    struct stat st;
    char last = '\n';

    memset(f, 0, sizeof *f);
    f->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (f->fd < 0) {
        return PST_ERR_AUDIT;
    }
    /* An agent that was killed may have left half a line. */
    if (fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        pread(f->fd, &last, 1, st.st_size - 1) != 1) {
        last = '\0';
    }
    if (last != '\n') {
        f->lines[f->kept++] = '\n';
    }
    return PST_OK;
}

/* One write call, so that lines of two agents never mix. After a short write the next call
   continues there. */
static bool write_kept(struct pst_audit_file *f)
{
    ssize_t n;
    do {
        n = write(f->fd, f->lines, f->kept);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        f->kept -= (size_t)n;
        memmove(f->lines, f->lines + n, f->kept);
    }
    f->failed = f->kept > 0;
    return !f->failed;
}

void pst_audit_file_close(struct pst_audit_file *f)
{
    if (f->fd >= 0) {
        (void)write_kept(f);
        (void)fdatasync(f->fd);
        close(f->fd);
    }
    f->fd = -1;
}

uint64_t pst_audit_file_poll(struct pst_audit_file *f)
{
    if (f->kept == 0 || f->failed) { /* the next line reports it if it still fails */
        return UINT64_MAX;
    }
    const uint64_t age = now_ms() - f->kept_ms;
    if (age < PST_AUDIT_KEEP_MS) {
        return PST_AUDIT_KEEP_MS - age;
    }
    (void)write_kept(f);
    return UINT64_MAX;
}

/* Appends a piece to the buffer. False: the line is dropped. */
static bool add_piece(struct pst_audit_file *f, const char *piece, size_t len)
{
    const bool first = f->part == 0;

    if ((first && sizeof f->lines - f->kept <= PST_AUDIT_LINE && !write_kept(f)) ||
        len > PST_AUDIT_LINE - f->part) {
        f->part = 0;
        return false;
    }
    memcpy(f->lines + f->kept + f->part, piece, len);
    f->part += len;
    return true;
}

static pst_err line(void *ctx, const char *piece, size_t len, enum pst_audit_when when)
{
    struct pst_audit_file *f = ctx;

    if (!add_piece(f, piece, len)) {
        return PST_ERR_AUDIT;
    }
    if (when == PST_AUDIT_MORE) {
        return PST_OK;
    }
    const size_t before = f->kept;
    if (before == 0) {
        f->kept_ms = now_ms();
    }
    f->kept += f->part;
    f->part = 0;
    f->lines[f->kept++] = '\n';
    if (when == PST_AUDIT_ANNOUNCED && !f->failed) {
        return PST_OK;
    }
    const size_t whole = f->kept;
    if (!write_kept(f)) {
        const size_t written = whole - f->kept;
        if (written <= before) { /* the line is refused, so none of it may be written later */
            f->kept = before - written;
        }
        return PST_ERR_AUDIT;
    }
    /* A pipe or a terminal cannot be synced and stores nothing. */
    return when != PST_AUDIT_DURABLE || fdatasync(f->fd) == 0 || errno == EINVAL || errno == EROFS
               ? PST_OK
               : PST_ERR_AUDIT;
}

static uint64_t wall_s(void *ctx)
{
    time_t now = time(NULL);
    (void)ctx;
    return now > 0 ? (uint64_t)now : 0;
}

struct pst_audit_sink pst_audit_file_sink(struct pst_audit_file *f)
{
    return (struct pst_audit_sink){.ctx = f, .line = line, .wall_s = wall_s};
}
