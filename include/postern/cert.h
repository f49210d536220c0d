/* Certificates: whom a chain names, and whether it may be believed.
 *
 * A peer's chain arrives in portions. The verifier takes the bytes as they come and holds one
 * certificate at a time, in memory of the caller. As soon as a certificate is whole it is decoded,
 * held to the rules (parts/certificate.h) and its signature is checked with the key of the one
 * before; of that one only the key and two digests are left. So memory does not grow with the
 * chain, and what is larger than the buffer is refused. What the rest of the library learns is one
 * `struct pst_peer`.
 *
 * Acceptance (spec: DSP0274, certificates; our profile in docs/SECURITY.md): the first certificate
 * is, byte for byte, one of the trust anchors; each next one is signed by the one before, which is
 * a CA with keyCertSign and path length to spare; validity covers `now` (0: no trusted clock, not
 * checked and reported); no unknown critical extension; the leaf is not a CA, may sign, and its
 * EKU fits the role.
 *
 * The crypto port brings three functions: a hash, `public_key` (a key object from raw bytes) and
 * `verify`. Both of the latter may answer PST_PENDING, when hardware works on it. Then `feed` and
 * `finish` answer PST_PENDING as well, and are called again later with the same arguments, until
 * they answer otherwise. The verifier remembers how many of those bytes it has taken and takes none
 * twice; the caller keeps them as they are. `abort` ends a check at any time, pending or not.
 *
 * A firmware that trusts one root needs no more than this:
 *
 *     static const struct pst_bytes roots[] = {{engineers_root, sizeof engineers_root}};
 *     static const struct pst_chain_config trust = {
 *         .crypto = &crypto, .anchors = roots, .anchor_count = 1};
 *     static struct pst_chain chain;             one check at a time
 *     static uint8_t buffer[1024];               the largest certificate that is accepted
 *     static struct pst_chain_verifier verifier;
 *     static struct pst_cert_verifier face;      ready for pst_spdm_config.verifier
 *     err = pst_chain_verifier_init(&verifier, &trust, &chain, 1, buffer, sizeof buffer, &face);
 */
#ifndef POSTERN_CERT_H
#define POSTERN_CERT_H

#include "postern/parts/certificate.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_MAX_SLOTS 8
#define PST_MAX_CHAIN 65535

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

/* Storage of a verifier: a handle. */
struct pst_chain_check {
    uint64_t store[4];
};

/* The interface that the SPDM engines use. All functions but `begin` and `refusal` may answer
 * PST_PENDING (above). */
struct pst_cert_verifier {
    void *ctx; /* trust anchors and the clock live behind this */
    /* Begins a chain of a peer in `peer_role`. `root_hash` under `hash` is what the chain's header
     * claims of its first certificate. PST_ERR_BUSY: as many checks run as there is memory for. */
    pst_err (*begin)(void *ctx, struct pst_chain_check *check, pst_role peer_role, pst_hash_id hash,
                     const uint8_t *root_hash);
    /* DER bytes, any split. PST_ERR_CERT as soon as something is not acceptable; the check is then
     * failed and still has to be ended. PST_PENDING: again with the same bytes. */
    pst_err (*feed)(void *ctx, struct pst_chain_check *check, const uint8_t *bytes, size_t len);
    /* The chain is complete. PST_OK fills `peer`; PST_ERR_CERT otherwise, and peer->key is empty.
     * Ends the check, unless it answers PST_PENDING: then again with the same `peer`. Who gives it
     * up instead, by `abort`, also wipes peer->key. */
    pst_err (*finish)(void *ctx, struct pst_chain_check *check, struct pst_peer *peer);
    /* Ends the check without a result; harmless on zeroed storage. */
    void (*abort)(void *ctx, struct pst_chain_check *check);
    /* Of the last check that was refused; valid until the next begin. */
    const struct pst_cert_refusal *(*refusal)(void *ctx);
};

/* -- the verifier of this library -- */

struct pst_chain_config { /* const, outlives its verifiers */
    const struct pst_crypto *crypto;
    const struct pst_bytes *anchors; /* trusted roots, one DER certificate each */
    size_t anchor_count;
    uint64_t (*now)(void *ctx); /* seconds since 1970, 0: not known; NULL: no trusted clock */
    void *now_ctx;
    /* Accept leaves without the EKU of their role, requesters with any EKU, and certificates
     * without keyUsage: for sample certificates of other implementations. */
    bool lenient;
};

#include "postern/state/cert.h"

/* One chain, in memory of the caller. `buffer` holds one certificate and so limits its size; it
 * stays untouched by others until the check has ended. PST_ERR_ARGUMENT: an unknown hash, or no
 * buffer. The other functions are those of the interface above. */
PST_MUST_CHECK pst_err pst_chain_begin(struct pst_chain *c, const struct pst_chain_config *config,
                                       uint8_t *buffer, size_t cap, pst_role peer_role,
                                       pst_hash_id hash, const uint8_t *root_hash);
PST_MUST_CHECK pst_err pst_chain_feed(struct pst_chain *c, const uint8_t *bytes, size_t len);
PST_MUST_CHECK pst_err pst_chain_finish(struct pst_chain *c, struct pst_peer *peer);
/* Wipes the key and everything else; the object may begin another chain. */
void pst_chain_abort(struct pst_chain *c);

/* The interface over `count` chains, of which each gets an equal share of `buffer`: as many chains
 * as peers authenticate at the same time. With fewer, the next peer is told to come back
 * (PST_ERR_BUSY). Fills `face`. PST_ERR_ARGUMENT: no chain, or less than 256 bytes for each.
 * PST_ERR_CONFIG: the crypto port lacks a function or its objects are too large, or `anchors` is
 * not set. */
PST_MUST_CHECK pst_err pst_chain_verifier_init(struct pst_chain_verifier *v,
                                               const struct pst_chain_config *config,
                                               struct pst_chain *chains, size_t count,
                                               uint8_t *buffer, size_t len,
                                               struct pst_cert_verifier *face);

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

#ifdef __cplusplus
}
#endif

#endif
