/* Makes identities: two root CAs, certificates of devices and of engineers. And checks chains.
 *
 * A CA directory contains `devices.pem` with `devices.key`, which certifies devices, and
 * `engineers.pem` with `engineers.key`, which certifies engineers. Devices trust engineers.pem;
 * engineers trust devices.pem. An identity directory contains `chain.pem` (root first, leaf last)
 * and `key.pem`. Existing keys are overwritten only with `force`. Directories have mode 0700, keys
 * 0600.
 */
#ifndef POSTERN_OPENSSL_PKI_H
#define POSTERN_OPENSSL_PKI_H

#include "postern/cert.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_pki_options {
    pst_sig_id algorithm;
    uint32_t days; /* 0: the default, limited to the validity of the CA */
    bool force;
};

/* Makes both root CAs in `dir`. */
PST_MUST_CHECK pst_err pst_pki_init(const char *dir, const struct pst_pki_options *options,
                                    char *why, size_t why_cap);
/* Makes a device's identity in `out_dir`; `id` is Manufacturer:Product:Serial. */
PST_MUST_CHECK pst_err pst_pki_target(const char *ca_dir, const char *id, const char *out_dir,
                                      const struct pst_pki_options *options, char *why,
                                      size_t why_cap);
/* Makes an engineer's identity in `out_dir`. `grant` is text as in policy.h; the caller has checked
 * it. */
PST_MUST_CHECK pst_err pst_pki_engineer(const char *ca_dir, const char *name, const char *grant,
                                        const char *out_dir, const struct pst_pki_options *options,
                                        char *why, size_t why_cap);

/* Facts about one certificate of a chain. The strings are valid until `each` returns. */
struct pst_chain_entry {
    unsigned index; /* 0: the root */
    bool leaf;
    const char *subject, *issuer;
    const char *key; /* such as "ecdsa-p256"; "?" if Postern does not support it */
    const char *device, *name;
    const uint8_t *grant;
    size_t grant_len;
    uint64_t not_before, not_after; /* seconds since 1970 */
    bool is_ca, eku_requester, eku_responder, hardware_identity;
    uint8_t fingerprint[32]; /* SHA-256 */
};
struct pst_chain_visitor {
    void *ctx;
    void (*each)(void *ctx, const struct pst_chain_entry *entry); /* or NULL */
    /* or NULL; `entry` is NULL if the certificate cannot be parsed */
    void (*broken)(void *ctx, const struct pst_chain_entry *entry,
                   const struct pst_cert_refusal *refusal);
};
/* Walks a chain in DER, root first, and reports each certificate and every rule that it breaks for
 * `role` at `now` (0: dates are not checked). PST_ERR_DECODE: the bytes are not a chain of
 * certificates; the certificates before the error have been reported. */
PST_MUST_CHECK pst_err pst_chain_walk(const uint8_t *chain, size_t len, pst_role role, uint64_t now,
                                      const struct pst_chain_visitor *visitor);
/* Reads a chain from `path`: a PEM file, a DER file or an identity directory. The caller frees
 * `*chain` with free(). */
PST_MUST_CHECK pst_err pst_chain_read(const char *path, uint8_t **chain, size_t *len, char *why,
                                      size_t why_cap);

#ifdef __cplusplus
}
#endif

#endif
