#include "pemfile.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "postern/cert.h"

static pst_err read_all(FILE *f, const char *path, pst_der_fn *each, void *ctx, char *why,
                        size_t why_cap)
{
    size_t count = 0, sum = 0;
    pst_err err = PST_OK;
    char *name, *header;
    unsigned char *der;
    long len;

    while (err == PST_OK && PEM_read(f, &name, &header, &der, &len) == 1) {
        if (strcmp(name, PEM_STRING_X509) == 0) {
            count++;
            sum += (size_t)len;
            if (sum > PST_MAX_CHAIN) {
                snprintf(why, why_cap, "%s: more than %d bytes of certificates", path,
                         PST_MAX_CHAIN);
                err = PST_ERR_CERT;
            } else {
                err = each(ctx, der, (size_t)len);
            }
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    unsigned long last = ERR_peek_last_error();
    bool ended = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    if (err == PST_OK && (count == 0 || !ended)) {
        snprintf(why, why_cap, count == 0 ? "%s: no PEM certificate in it" : "%s: damaged PEM",
                 path);
        return PST_ERR_CERT;
    }
    return err;
}

pst_err pst_pem_certificates(const char *path, pst_der_fn *each, void *ctx, char *why,
                             size_t why_cap)
{
    FILE *f = fopen(path, "re");

    if (f == NULL) {
        snprintf(why, why_cap, "%s: %s", path, strerror(errno));
        return PST_ERR_IO;
    }
    pst_err err = read_all(f, path, each, ctx, why, why_cap);
    fclose(f);
    return err;
}
