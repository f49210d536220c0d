/* Making identities: the two roots, devices' certificates and engineers'. And judging them.
 *
 * A CA directory holds `devices.pem` with `devices.key`, which vouches for what a device is, and
 * `engineers.pem` with `engineers.key`, which vouches for who may debug. Devices are given
 * engineers.pem to trust, engineers devices.pem. An identity directory holds `chain.pem` (root
 * first, leaf last) and `key.pem`. Keys are never overwritten unless `force` is given; directories
 * are 0700 and keys 0600.
 */
#ifndef POSTERN_OPENSSL_PKI_H
#define POSTERN_OPENSSL_PKI_H

#include "postern/cert.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_pki_options {
    pst_sig_id algorithm;
    uint32_t days; /* 0: the default, but never longer than the CA */
    bool force;
};

/* Makes both roots in `dir`. */
PST_MUST_CHECK pst_err pst_pki_init(const char *dir, const struct pst_pki_options *options,
                                    char *why, size_t why_cap);
/* A device's identity in `out_dir`; `id` is Manufacturer:Product:Serial. */
PST_MUST_CHECK pst_err pst_pki_target(const char *ca_dir, const char *id, const char *out_dir,
                                      const struct pst_pki_options *options, char *why,
                                      size_t why_cap);
/* An engineer's identity in `out_dir`; `grant` is the text of policy.h, which the caller checked.
 */
PST_MUST_CHECK pst_err pst_pki_engineer(const char *ca_dir, const char *name, const char *grant,
                                        const char *out_dir, const struct pst_pki_options *options,
                                        char *why, size_t why_cap);

/* What is to be known of one certificate of a chain. The strings last until `each` returns. */
struct pst_chain_entry {
    unsigned index; /* 0: the root */
    bool leaf;
    const char *subject, *issuer;
    const char *key; /* "ecdsa-p256"; "?" for a kind that Postern does not use */
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
    /* or NULL; `entry` is NULL when the certificate cannot be read at all */
    void (*broken)(void *ctx, const struct pst_chain_entry *entry,
                   const struct pst_cert_refusal *refusal);
};
/* Walks a chain in DER, root first, telling of each certificate and of every rule that it breaks
 * for `role` at `now` (0: dates are not compared). PST_ERR_DECODE: it is not a chain of
 * certificates; what came before the bad place was told. */
PST_MUST_CHECK pst_err pst_chain_walk(const uint8_t *chain, size_t len, pst_role role, uint64_t now,
                                      const struct pst_chain_visitor *visitor);
/* The chain in `path`: a PEM file, a DER file or an identity directory. Free `*chain` with free().
 */
PST_MUST_CHECK pst_err pst_chain_read(const char *path, uint8_t **chain, size_t *len, char *why,
                                      size_t why_cap);

#ifdef __cplusplus
}
#endif

#endif
