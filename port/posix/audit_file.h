/* The audit log in a file: one JSON line an event, only ever appended, 0600. */
#ifndef POSTERN_POSIX_AUDIT_FILE_H
#define POSTERN_POSIX_AUDIT_FILE_H

#include "postern/audit.h"

struct pst_audit_file {
    int fd;
    bool cut; /* a line was written in part: the next one begins with a newline */
};
/* Creates it if needed. PST_ERR_AUDIT: see errno. */
PST_MUST_CHECK pst_err pst_audit_file_open(struct pst_audit_file *f, const char *path);
void pst_audit_file_close(struct pst_audit_file *f);
/* A line that does not reach the file (or, when it must be durable, the disk) is PST_ERR_AUDIT.
 * `f` outlives the sink. */
struct pst_audit_sink pst_audit_file_sink(struct pst_audit_file *f);

#endif
