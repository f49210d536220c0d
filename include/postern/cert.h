/* Certificates: whom a chain names, and whether it may be believed.
 *
 * A peer's chain arrives in portions. The verifier takes the bytes as they come, validates each
 * certificate against the one before it as soon as it is whole, and keeps only the issuer's key
 * and the rules for the next one: memory does not grow with the chain, and nothing is parsed
 * twice. What the rest of the library learns is one `struct pst_peer`.
 *
 * Acceptance (spec: DSP0274, certificates; our profile in docs/SECURITY.md): the first certificate
 * is, byte for byte, one of the trust anchors; each next one is signed by the one before, which is
 * a CA with keyCertSign and path length to spare; validity covers `now` (0: no trusted clock, not
 * checked and reported); no unknown critical extension; the leaf is not a CA, may sign, and its
 * EKU fits the role.
 */
#ifndef POSTERN_CERT_H
#define POSTERN_CERT_H

#include "postern/crypto.h"

#define PST_MAX_NAME 96   /* bytes of a device id or an engineer's name, NUL included */
#define PST_MAX_GRANT 512 /* bytes of the grant extension */
#define PST_MAX_SLOTS 8
#define PST_MAX_CHAIN 65535

typedef enum {
    PST_ROLE_REQUESTER, /* an engineer: the DTS */
    PST_ROLE_RESPONDER, /* a device: the TS */
} pst_role;

/* What was learnt from a verified chain. */
struct pst_peer {
    struct pst_public_key key;    /* of the leaf; wiped by whoever owns this struct */
    char device[PST_MAX_NAME];    /* SAN otherName Manufacturer:Product:Serial; "" when absent */
    char name[PST_MAX_NAME];      /* subject common name */
    uint8_t fingerprint[32];      /* SHA-256 of the leaf's DER */
    uint8_t grant[PST_MAX_GRANT]; /* value of the grant extension; see policy.h */
    uint16_t grant_len;           /* 0: the certificate has none, so it grants nothing */
    uint64_t not_before;          /* seconds since 1970 */
    uint64_t not_after;           /* seconds since 1970 */
    bool time_checked;            /* false: there was no trusted clock */
    bool role_eku;                /* the leaf carries the EKU of its SPDM role */
};

/* Storage of a verifier: a handle of the port. */
struct pst_chain_check {
    uint64_t store[4];
};

struct pst_cert_verifier {
    void *ctx; /* trust anchors and the clock live behind this */
    /* Begins a chain of a peer in `peer_role`. `root_hash` under `hash` is what the chain's header
     * claims of its first certificate. */
    pst_err (*begin)(void *ctx, struct pst_chain_check *check, pst_role peer_role, pst_hash_id hash,
                     const uint8_t *root_hash);
    /* DER bytes, any split. PST_ERR_CERT as soon as something is not acceptable. */
    pst_err (*feed)(void *ctx, struct pst_chain_check *check, const uint8_t *bytes, size_t len);
    /* The chain is complete. PST_OK fills `peer`; PST_ERR_CERT otherwise. Ends the check. */
    pst_err (*finish)(void *ctx, struct pst_chain_check *check, struct pst_peer *peer);
    /* Ends the check without a result; harmless on zeroed storage. */
    void (*abort)(void *ctx, struct pst_chain_check *check);
    /* Which certificate failed and why, for people and the log; valid until the next begin. */
    const char *(*reason)(void *ctx);
};

/* One of our own certificate slots: const, outlives every engine that uses it. */
struct pst_slot {
    const uint8_t *certs; /* DER, root first, leaf last, concatenated */
    size_t certs_len;
    size_t root_len; /* bytes of the root among them */
    const struct pst_signer *signer;
    uint8_t key_pair_id; /* multi-key connections */
    uint8_t model;       /* 1 DeviceCert, 2 AliasCert, 3 GenericCert */
    uint16_t key_usage;  /* multi-key: SPDM KeyUsageMask */
};

#endif
