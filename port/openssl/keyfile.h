/* Private keys in files, and words about what went wrong with them. */
#ifndef POSTERN_OPENSSL_KEYFILE_H
#define POSTERN_OPENSSL_KEYFILE_H

#include "internal.h"

/* Where words about a failure go. */
struct pst_why {
    char *text;
    size_t cap;
};
/* Writes them and returns `err`. */
pst_err pst_why_fail(struct pst_why *why, pst_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* An unencrypted PEM private key of one of our algorithms. PST_ERR_IO: cannot be read;
 * PST_ERR_DENIED: others than the owner can read it; PST_ERR_CERT: not a key;
 * PST_ERR_UNSUPPORTED: of another algorithm. */
pst_err pst_keyfile_read(const char *path, EVP_PKEY **key, pst_sig_id *id, struct pst_why *why);

/* A file of `len` bytes, on the disk before return; `mode` as in open(2). Without `replace` a file
 * that is there stays, and PST_ERR_IO says so; with it the file is replaced in one step. */
pst_err pst_file_write(const char *path, unsigned mode, const void *bytes, size_t len, bool replace,
                       struct pst_why *why);
/* Makes a directory of mode 0700, unless there is one. */
pst_err pst_directory_make(const char *path, struct pst_why *why);

#endif
