#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_CAP 4096

pst_err pst_why_fail(struct pst_why *why, pst_err err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (why->cap > 0) {
        vsnprintf(why->text, why->cap, format, args);
    }
    va_end(args);
    ERR_clear_error();
    return err;
}

/* Never asks for a passphrase: there may be no terminal. */
static int no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)ctx;
    return 0;
}

static pst_err open_private(const char *path, FILE **out, struct pst_why *why)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return pst_why_fail(why, PST_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
        close(fd);
        return pst_why_fail(why, PST_ERR_DENIED,
                            "%s: mode %03o lets other users read the private key, expected 600",
                            path, (unsigned)st.st_mode & 0777u);
    }
    *out = fdopen(fd, "r");
    if (*out != NULL) {
        return PST_OK;
    }
    close(fd);
    return pst_why_fail(why, PST_ERR_IO, "%s: %s", path, strerror(errno));
}

pst_err pst_keyfile_read(const char *path, EVP_PKEY **key, pst_sig_id *id, struct pst_why *why)
{
    FILE *f = NULL;

    PST_TRY(open_private(path, &f, why));
    EVP_PKEY *k = PEM_read_PrivateKey(f, NULL, no_passphrase, NULL);
    fclose(f);
    if (k == NULL) {
        return pst_why_fail(why, PST_ERR_CERT, "%s: no unencrypted PEM private key in it", path);
    }
    *id = pst_ossl_sig_of(k);
    if (*id == PST_SIG_NONE) {
        EVP_PKEY_free(k);
        return pst_why_fail(why, PST_ERR_UNSUPPORTED,
                            "%s: the key is none of ECDSA P-256, ECDSA P-384, Ed25519", path);
    }
    *key = k;
    return PST_OK;
}

static bool write_all(int fd, const uint8_t *at, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0;
}

/* A new file name is durable only after its directory is synced. */
static bool sync_directory_of(const char *path)
{
    char copy[PATH_CAP];

    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool ok = fsync(fd) == 0;
    close(fd);
    return ok;
}

pst_err pst_file_write(const char *path, unsigned mode, const void *bytes, size_t len, bool replace,
                       struct pst_why *why)
{
    char fresh[PATH_CAP];

    if (snprintf(fresh, sizeof fresh, replace ? "%s.new" : "%s", path) >= (int)sizeof fresh) {
        return pst_why_fail(why, PST_ERR_ARGUMENT, "%s: the path is too long", path);
    }
    if (replace) {
        unlink(fresh); /* left by a run that was interrupted */
    }
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        return pst_why_fail(why, PST_ERR_IO, "%s: %s", fresh, strerror(errno));
    }
    bool ok = write_all(fd, bytes, len);
    int saved = errno;
    ok = close(fd) == 0 && ok;
    if (ok && replace && rename(fresh, path) != 0) {
        saved = errno;
        ok = false;
    }
    if (!ok) {
        unlink(fresh);
        return pst_why_fail(why, PST_ERR_IO, "%s: %s", path, strerror(saved));
    }
    if (!sync_directory_of(path)) {
        return pst_why_fail(why, PST_ERR_IO, "%s: its directory: %s", path, strerror(errno));
    }
    return PST_OK;
}

pst_err pst_directory_make(const char *path, struct pst_why *why)
{
    struct stat st;

    if (mkdir(path, 0700) == 0) {
        return sync_directory_of(path)
                   ? PST_OK
                   : pst_why_fail(why, PST_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (errno != EEXIST) {
        return pst_why_fail(why, PST_ERR_IO, "%s: %s", path, strerror(errno));
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return pst_why_fail(why, PST_ERR_IO, "%s: is not a directory", path);
    }
    return PST_OK;
}
