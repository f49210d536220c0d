/* The OpenSSL port: implements crypto.h and cert.h with libcrypto, and reads keys and chains from
 * files.
 *
 * Crypto objects are handles to OpenSSL objects; hash states are in the caller's memory. `src/`
 * uses nothing of this header: hosts and tests pass `pst_openssl_crypto()` to the engines. */
#ifndef POSTERN_OPENSSL_OPENSSL_PORT_H
#define POSTERN_OPENSSL_OPENSSL_PORT_H

#include "postern/cert.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the crypto port. It has no state, so all engines share it. */
const struct pst_crypto *pst_openssl_crypto(void);

/* An identity loaded from a directory: `chain.pem` (root first, leaf last) and `key.pem`. Do not
 * move or copy it: it has pointers into itself. */
struct pst_identity {
    struct pst_slot slot;     /* ready for pst_spdm_config.slots */
    struct pst_signer signer; /* its private key */
    char name[PST_MAX_NAME];  /* device id of the leaf, or its common name */
    void *priv;
};
/* Loads an identity. On failure `why` (capacity `why_cap`) names the file and the error. A private
 * key that group or others can read is refused. */
PST_MUST_CHECK pst_err pst_identity_load(struct pst_identity *id, const char *dir, char *why,
                                         size_t why_cap);
void pst_identity_free(struct pst_identity *id); /* wipes the key */

#define PST_MAX_CERT (16 * 1024) /* size limit of a certificate in bytes */

/* Trust anchors from PEM files, and memory for the verifier of cert.h. It checks any number of
 * chains at the same time, in one thread. Add all anchors before the first check begins. */
struct pst_trust {
    struct pst_cert_verifier verifier; /* ready for pst_spdm_config.verifier */
    void *priv;
};
PST_MUST_CHECK pst_err pst_trust_init(struct pst_trust *trust);
PST_MUST_CHECK pst_err pst_trust_add(struct pst_trust *trust, const char *pem_path, char *why,
                                     size_t why_cap);
/* Adds one DER certificate from memory. */
PST_MUST_CHECK pst_err pst_trust_add_der(struct pst_trust *trust, const uint8_t *der, size_t len);
/* Sets the clock for validity checks, in seconds since 1970; 0: no trusted clock. Default: the
 * system clock. */
void pst_trust_set_time(struct pst_trust *trust, uint64_t now);
/* Accepts leaves without the SPDM role EKU, requester chains with any EKU, and certificates without
 * keyUsage, as in sample certificates of other implementations. Default: strict. */
void pst_trust_set_lenient(struct pst_trust *trust, bool lenient);
void pst_trust_free(struct pst_trust *trust);

#ifdef __cplusplus
}
#endif

#endif
