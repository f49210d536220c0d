/* The state of a chain that is being verified. Private: use cert.h; this is public only so that
 * callers can own the memory. */
#ifndef POSTERN_STATE_CERT_H
#define POSTERN_STATE_CERT_H

#include "postern/parts/certificate.h"

struct pst_chain_config;

#ifdef __cplusplus
extern "C" {
#endif

struct pst_chain {
    const struct pst_chain_config *config; /* NULL: no check runs */
    uint8_t *buffer;
    size_t cap, have;
    size_t taken; /* bytes taken by the call that returned PST_PENDING */
    uint64_t now;
    struct pst_certificate last;   /* aliases the buffer; valid in the phases that follow WHOLE */
    struct pst_cert_issuer issuer; /* of the certificate that is arriving */
    struct pst_public_key key;     /* the issuer's; sig_id 0: none yet */
    uint8_t root_hash[PST_MAX_HASH];
    struct pst_cert_refusal refusal;
    uint32_t fed;      /* bytes of the whole chain so far */
    int32_t path_left; /* CAs that may still follow; -1: any number */
    uint8_t role, hash, phase;
    bool failed;
};

struct pst_chain_verifier {
    const struct pst_chain_config *config;
    struct pst_chain *chains;
    size_t count;
    uint8_t *buffer;
    size_t share; /* bytes of the buffer for each chain */
    struct pst_cert_refusal refusal;
};

#ifdef __cplusplus
}
#endif

#endif
