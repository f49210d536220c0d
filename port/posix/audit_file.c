#include "posix/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

pst_err pst_audit_file_open(struct pst_audit_file *f, const char *path)
{
    struct stat st;
    char last = '\n';

    f->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (f->fd < 0) {
        return PST_ERR_AUDIT;
    }
    /* One that was killed may have left half a line. */
    if (fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        pread(f->fd, &last, 1, st.st_size - 1) != 1) {
        last = '\0';
    }
    f->cut = last != '\n';
    return PST_OK;
}

void pst_audit_file_close(struct pst_audit_file *f)
{
    if (f->fd >= 0) {
        (void)fdatasync(f->fd);
        close(f->fd);
    }
    f->fd = -1;
}

static pst_err line(void *ctx, const char *text, size_t len, bool durable)
{
    struct pst_audit_file *f = ctx;
    char whole[PST_AUDIT_LINE + 2];
    size_t at = 0;

    if (len > PST_AUDIT_LINE) {
        return PST_ERR_AUDIT;
    }
    if (f->cut) {
        whole[at++] = '\n';
    }
    memcpy(whole + at, text, len);
    at += len;
    whole[at++] = '\n';
    ssize_t n; /* in one write: lines of two agents never mix */
    do {
        n = write(f->fd, whole, at);
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)at) {
        f->cut = f->cut || n > 0;
        return PST_ERR_AUDIT;
    }
    f->cut = false;
    /* A pipe or a terminal cannot be synced, and keeps nothing. */
    return !durable || fdatasync(f->fd) == 0 || errno == EINVAL || errno == EROFS ? PST_OK
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
