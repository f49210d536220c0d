/* A crypto port and a verifier that wrap real ones and check that the engines keep the contract:
 * every object knows its own address, so a byte copy is detected, and every object that was begun
 * must be ended. Any call can be made to fail, and any slow operation to answer PST_PENDING. */
#ifndef TESTS_SPDM_STRICT_H
#define TESTS_SPDM_STRICT_H

#include "postern/cert.h"

struct strict {
    struct pst_crypto crypto;
    struct pst_cert_verifier verifier;
    const struct pst_crypto *real;
    const struct pst_cert_verifier *real_verifier;
    unsigned hashes, ciphers, dh_keys, public_keys, checks; /* live objects */
    unsigned most_hashes;
    unsigned calls;   /* calls of functions that can fail */
    unsigned fail_at; /* the number of the call that fails; 0: none */
    unsigned pending; /* number of PST_PENDING answers before each slow operation finishes */
    unsigned
        waits; /* operations that answered PST_PENDING and are neither finished nor cancelled */
    unsigned cancelled; /* cancelled operations */
};

void strict_init(struct strict *s, const struct pst_crypto *real,
                 const struct pst_cert_verifier *verifier);
/* Checks that no object lives and no operation is pending. */
void strict_check(const struct strict *s);

#endif
