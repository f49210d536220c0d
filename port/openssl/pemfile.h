/* Reads certificates from PEM files as DER. */
#ifndef POSTERN_OPENSSL_PEMFILE_H
#define POSTERN_OPENSSL_PEMFILE_H

#include <stddef.h>
#include <stdint.h>

#include "postern/error.h"

/* Called for each certificate of a file, in order. Any result other than PST_OK ends the reading.
 */
typedef pst_err pst_der_fn(void *ctx, const uint8_t *der, size_t len);

/* PST_ERR_IO: the file cannot be read; PST_ERR_CERT: it contains no certificate, or more than
 * PST_MAX_CHAIN bytes of certificates; otherwise the result of `each`. On an error `why` gets the
 * message, except if `each` failed: then `why` is unchanged. */
PST_MUST_CHECK pst_err pst_pem_certificates(const char *path, pst_der_fn *each, void *ctx,
                                            char *why, size_t why_cap);

#endif
