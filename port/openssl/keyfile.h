/* Private keys in files, and messages about errors with them. */
#ifndef POSTERN_OPENSSL_KEYFILE_H
#define POSTERN_OPENSSL_KEYFILE_H

#include "internal.h"

/* Buffer for an error message. */
struct pst_why {
    char *text;
    size_t cap;
};
/* Writes the message and returns `err`. */
pst_err pst_why_fail(struct pst_why *why, pst_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads an unencrypted PEM private key. PST_ERR_IO: the file cannot be read; PST_ERR_DENIED: users
 * other than the owner can read it; PST_ERR_CERT: not a key; PST_ERR_UNSUPPORTED: Postern does not
 * support the algorithm. */
pst_err pst_keyfile_read(const char *path, EVP_PKEY **key, pst_sig_id *id, struct pst_why *why);

/* Writes a file of `len` bytes and syncs it to disk; `mode` as in open(2). Without `replace` an
 * existing file is kept and the result is PST_ERR_IO. With `replace` it is replaced atomically. */
pst_err pst_file_write(const char *path, unsigned mode, const void *bytes, size_t len, bool replace,
                       struct pst_why *why);
/* Makes a directory of mode 0700 unless it exists. */
pst_err pst_directory_make(const char *path, struct pst_why *why);

#endif
