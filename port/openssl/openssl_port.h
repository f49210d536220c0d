/* The OpenSSL port: crypto.h and cert.h on libcrypto, and the files that keys and chains live in.
 *
 * Objects are handles to OpenSSL's own; hashes are kept in the caller's memory. Nothing here is
 * used by `src/`; hosts and tests hand `pst_openssl_crypto()` to the engines.
 */
#ifndef POSTERN_OPENSSL_OPENSSL_PORT_H
#define POSTERN_OPENSSL_OPENSSL_PORT_H

#include "postern/cert.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The one crypto port; no state, so one is enough. */
const struct pst_crypto *pst_openssl_crypto(void);

/* An identity loaded from a directory: `chain.pem` (root first, leaf last) and `key.pem`. It has
 * pointers into itself: it stays where it was loaded. */
struct pst_identity {
    struct pst_slot slot;     /* ready for pst_spdm_config.slots */
    struct pst_signer signer; /* private key behind it */
    char name[PST_MAX_NAME];  /* of the leaf: device id, else common name */
    void *priv;
};
/* On failure `why` (capacity `why_cap`) names the file and what is wrong with it. A private key
 * that group or others can read is refused. */
PST_MUST_CHECK pst_err pst_identity_load(struct pst_identity *id, const char *dir, char *why,
                                         size_t why_cap);
void pst_identity_free(struct pst_identity *id); /* wipes the key */

#define PST_MAX_CERT (16 * 1024) /* bytes of the largest certificate that is accepted */

/* Trust anchors from PEM files, and memory for the verifier of cert.h: it checks any number of
 * chains at a time, in one thread. Anchors are added before the first begins. */
struct pst_trust {
    struct pst_cert_verifier verifier; /* ready for pst_spdm_config.verifier */
    void *priv;
};
PST_MUST_CHECK pst_err pst_trust_init(struct pst_trust *trust);
PST_MUST_CHECK pst_err pst_trust_add(struct pst_trust *trust, const char *pem_path, char *why,
                                     size_t why_cap);
/* From memory, one DER certificate. */
PST_MUST_CHECK pst_err pst_trust_add_der(struct pst_trust *trust, const uint8_t *der, size_t len);
/* Seconds since 1970 for validity checks; 0: no trusted clock. Default: the system's clock. */
void pst_trust_set_time(struct pst_trust *trust, uint64_t now);
/* Accept leaves without the SPDM role EKU, requester chains with any EKU, and certificates without
 * keyUsage (interoperability with other implementations' sample certificates). Default: strict. */
void pst_trust_set_lenient(struct pst_trust *trust, bool lenient);
void pst_trust_free(struct pst_trust *trust);

#ifdef __cplusplus
}
#endif

#endif
