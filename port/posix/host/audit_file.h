/* The audit log in a file: one JSON line for each event, append-only, mode 0600. */
#ifndef POSTERN_POSIX_HOST_AUDIT_FILE_H
#define POSTERN_POSIX_HOST_AUDIT_FILE_H

#include "postern/audit.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_AUDIT_FILE_KEEP (8 * PST_AUDIT_LINE)

struct pst_audit_file {
    int fd;
    bool failed;      /* buffered lines could not be written: nothing more is buffered */
    uint64_t kept_ms; /* time of the oldest buffered byte */
    size_t kept;      /* bytes of complete lines */
    size_t part;      /* bytes of an incomplete line after them */
    char lines[PST_AUDIT_FILE_KEEP];
};
/* Creates it if needed. PST_ERR_AUDIT: see errno. */
PST_MUST_CHECK pst_err pst_audit_file_open(struct pst_audit_file *f, const char *path);
void pst_audit_file_close(struct pst_audit_file *f);
/* A line that does not reach the file (or, when it must be durable, the disk) is PST_ERR_AUDIT.
 * Lines that were announced are kept, at most PST_AUDIT_KEEP_MS if pst_audit_file_poll is called.
 * `f` outlives the sink. */
struct pst_audit_sink pst_audit_file_sink(struct pst_audit_file *f);
/* Writes lines that were buffered long enough. Returns the milliseconds until the next call is
   needed; UINT64_MAX: none. */
uint64_t pst_audit_file_poll(struct pst_audit_file *f);

#ifdef __cplusplus
}
#endif

#endif
