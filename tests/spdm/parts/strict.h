/* A crypto port and a verifier over real ones that hold the engines to their contract: every object
 * knows its own address, so that a byte copy of it is found; every object that was begun must have
 * ended; any call can be made to fail, and every operation that may be slow can be made so. */
#ifndef TESTS_SPDM_STRICT_H
#define TESTS_SPDM_STRICT_H

#include "postern/cert.h"

struct strict {
    struct pst_crypto crypto;
    struct pst_cert_verifier verifier;
    const struct pst_crypto *real;
    const struct pst_cert_verifier *real_verifier;
    unsigned hashes, ciphers, dh_keys, public_keys, checks; /* that live */
    unsigned most_hashes;
    unsigned calls;     /* of functions that can fail */
    unsigned fail_at;   /* the number of the call that fails; 0: none */
    unsigned pending;   /* how often each slow operation answers PST_PENDING first */
    unsigned waits;     /* operations that answered it and are neither done nor given up */
    unsigned cancelled; /* of those, given up */
};

void strict_init(struct strict *s, const struct pst_crypto *real,
                 const struct pst_cert_verifier *verifier);
/* Nothing lives any more, and nothing is waited for. */
void strict_check(const struct strict *s);

#endif
