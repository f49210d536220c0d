/* How to end a hash when one of its steps may have failed. */
#ifndef PST_CRYPTO_HASH_H
#define PST_CRYPTO_HASH_H

#include "postern/crypto.h"

/* Ends `h`. If `err` is PST_OK, the digest is computed; otherwise the hash is aborted. Returns the
 * first error. */
PST_MUST_CHECK pst_err psti_hash_end(const struct pst_crypto *c, struct pst_hash *h, pst_err err,
                                     uint8_t *digest);

#endif
