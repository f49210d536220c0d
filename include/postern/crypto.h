/* The crypto port: what Postern needs of a cryptographic library, as one struct of functions.
 *
 * Postern computes no primitive of its own. A port (port/openssl on a host, port/psa in firmware)
 * fills in `struct pst_crypto` and every engine is given a pointer to it. Objects are storage that
 * the caller owns: a port keeps either its state or a handle to it there. Whatever has an `init`
 * or `generate` has a `wipe`, which may be called on zeroed storage and more than once.
 *
 * Algorithms are the rows of registries (src/crypto/registry.c): the bit that SPDM negotiates, its
 * sizes, its name. An algorithm that the port lacks is left out of what is offered.
 */
#ifndef POSTERN_CRYPTO_H
#define POSTERN_CRYPTO_H

#include "postern/parts/wire.h"

#define PST_MAX_HASH 48      /* bytes of the largest digest that is registered */
#define PST_MAX_SIGNATURE 96 /* P-384: r and s */
#define PST_MAX_DH 96        /* P-384: X and Y */
#define PST_MAX_Z 48         /* shared secret of the largest group */
#define PST_MAX_KEY 32       /* AEAD key */
#define PST_IV_LEN 12
#define PST_TAG_LEN 16
#define PST_MAX_INFO 128 /* bytes of the info of an HKDF expansion */

/* 0 is "none" in each; the others index the registries. */
typedef enum { PST_HASH_NONE, PST_SHA256, PST_SHA384 } pst_hash_id;
typedef enum { PST_SIG_NONE, PST_ECDSA_P256, PST_ECDSA_P384, PST_ED25519 } pst_sig_id;
typedef enum { PST_DH_NONE, PST_SECP256R1, PST_SECP384R1 } pst_dh_id;
typedef enum { PST_AEAD_NONE, PST_AES_128_GCM, PST_AES_256_GCM, PST_CHACHA20_POLY1305 } pst_aead_id;

/* One row of a registry. `spdm_bit` is the bit value in NEGOTIATE_ALGORITHMS (spec: DSP0274,
 * NEGOTIATE_ALGORITHMS request). Sizes in bytes; what does not apply is 0. */
struct pst_algorithm {
    uint32_t spdm_bit;
    uint8_t id;
    uint8_t since_minor; /* first SPDM minor version that defines it */
    uint16_t size;       /* digest, signature, exchange data, or AEAD key */
    uint16_t secret;     /* shared secret (DH) */
    const char *name;    /* as people write it: "ecdsa-p256" */
};

const struct pst_algorithm *pst_hash_row(pst_hash_id id); /* NULL for none or unknown */
const struct pst_algorithm *pst_sig_row(pst_sig_id id);
const struct pst_algorithm *pst_dh_row(pst_dh_id id);
const struct pst_algorithm *pst_aead_row(pst_aead_id id);
/* Measurement hash: the same digests under other bits. */
uint32_t pst_measurement_hash_bit(pst_hash_id id);
/* The id whose bit is exactly `bit`, or 0. */
pst_hash_id pst_hash_from_bit(uint32_t bit);
pst_sig_id pst_sig_from_bit(uint32_t bit);
pst_dh_id pst_dh_from_bit(uint32_t bit);
pst_aead_id pst_aead_from_bit(uint32_t bit);
/* By name, for configuration; 0 when unknown. */
pst_hash_id pst_hash_from_name(const char *name);
pst_sig_id pst_sig_from_name(const char *name);
pst_dh_id pst_dh_from_name(const char *name);
pst_aead_id pst_aead_from_name(const char *name);

/* A running hash. No pointers into itself: a copy of the struct is a clone. */
struct pst_hash {
    uint64_t store[28];
    uint8_t id; /* pst_hash_id; 0 when not started */
};

/* Storage for a key or cipher of the port: its state or a handle. */
struct pst_aead {
    uint64_t store[4];
};
struct pst_dh_key {
    uint64_t store[4];
};
struct pst_public_key {
    uint64_t store[4];
    uint8_t sig_id; /* what it verifies: pst_sig_id; 0 when empty */
};

struct pst_crypto {
    void *ctx; /* handed to every function */

    /* PST_ERR_RANDOM when there is none: the caller stops. */
    pst_err (*random)(void *ctx, void *out, size_t len);

    pst_err (*hash_init)(void *ctx, struct pst_hash *h, pst_hash_id id);
    pst_err (*hash_update)(void *ctx, struct pst_hash *h, const void *data, size_t len);
    /* Writes the digest; `h` is used up. To look at a running hash, finish a copy. */
    pst_err (*hash_final)(void *ctx, struct pst_hash *h, uint8_t *digest);

    /* HMAC over one piece of data; `out` takes the digest's size. */
    pst_err (*hmac)(void *ctx, pst_hash_id id, const void *key, size_t key_len, const void *data,
                    size_t len, uint8_t *out);

    /* An ephemeral key; its public value in SPDM's form (X ‖ Y, fixed width, big-endian). */
    pst_err (*dh_generate)(void *ctx, pst_dh_id id, struct pst_dh_key *key, uint8_t *public_value);
    /* The shared secret, fixed width, leading zeros kept. PST_ERR_DECODE: the peer's value is not
     * a point of the group. */
    pst_err (*dh_shared)(void *ctx, const struct pst_dh_key *key, const uint8_t *peer_value,
                         uint8_t *secret);
    void (*dh_wipe)(void *ctx, struct pst_dh_key *key);

    /* A cipher under one key, kept ready: sealing and opening never set the key up again. */
    pst_err (*aead_init)(void *ctx, struct pst_aead *a, pst_aead_id id, const uint8_t *key);
    /* In place. `data` may be empty (MAC only). */
    pst_err (*aead_seal)(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                         const void *aad, size_t aad_len, void *data, size_t len,
                         uint8_t tag[PST_TAG_LEN]);
    /* In place. PST_ERR_AUTH: the tag is wrong; `data` then holds nothing of use. */
    pst_err (*aead_open)(void *ctx, struct pst_aead *a, const uint8_t iv[PST_IV_LEN],
                         const void *aad, size_t aad_len, void *data, size_t len,
                         const uint8_t tag[PST_TAG_LEN]);
    void (*aead_wipe)(void *ctx, struct pst_aead *a);

    /* A key that verifies, from its bytes: X ‖ Y, fixed width and big-endian, for ECDSA; 32 bytes
     * for Ed25519. PST_ERR_DECODE: not a point of the curve, `key` is untouched.
     * PST_ERR_UNSUPPORTED: an algorithm that the port lacks. May answer PST_PENDING; it is then
     * called again with the same arguments until it answers otherwise. `public_key_wipe` gives the
     * work up. */
    pst_err (*public_key)(void *ctx, struct pst_public_key *key, pst_sig_id id,
                          const uint8_t *bytes);
    /* PST_OK or PST_ERR_AUTH. `hash` is the negotiated base hash (EdDSA ignores it). The signature
     * is in SPDM's form: r ‖ s fixed width, or R ‖ S. */
    pst_err (*verify)(void *ctx, const struct pst_public_key *key, pst_hash_id hash,
                      const void *message, size_t len, const uint8_t *signature);
    void (*public_key_wipe)(void *ctx, struct pst_public_key *key);
};

/* A private key that signs: a file, a keystore, a token. `sign` may answer PST_PENDING; it is then
 * called again with the same arguments until it answers otherwise, or `cancel` is called. */
struct pst_signer {
    void *ctx;
    pst_sig_id sig_id;
    pst_err (*sign)(void *ctx, pst_hash_id hash, const void *message, size_t len,
                    uint8_t *signature);
    void (*cancel)(void *ctx); /* may be NULL */
};

/* HKDF (RFC 5869) with the port's HMAC. `out_len` is at most one digest: SPDM never needs more.
 * PST_ERR_ARGUMENT: it is more, the hash is unknown, or `info` exceeds PST_MAX_INFO. */
PST_MUST_CHECK pst_err pst_hkdf_extract(const struct pst_crypto *c, pst_hash_id id,
                                        const uint8_t *salt, size_t salt_len, const uint8_t *ikm,
                                        size_t ikm_len, uint8_t *prk);
PST_MUST_CHECK pst_err pst_hkdf_expand(const struct pst_crypto *c, pst_hash_id id,
                                       const uint8_t *prk, const uint8_t *info, size_t info_len,
                                       uint8_t *out, size_t out_len);
/* HKDF-Expand with SPDM's BinConcat (spec: DSP0274, key schedule): `label` without NUL; `context`
 * is a digest, or NULL for none. `minor` is the negotiated SPDM minor version. */
PST_MUST_CHECK pst_err pst_spdm_expand(const struct pst_crypto *c, pst_hash_id id, uint8_t minor,
                                       const uint8_t *secret, const char *label,
                                       const uint8_t *context, uint8_t *out, size_t out_len);
/* One digest over one piece. */
PST_MUST_CHECK pst_err pst_hash_once(const struct pst_crypto *c, pst_hash_id id, const void *data,
                                     size_t len, uint8_t *digest);
/* The digest so far, leaving `h` running. */
PST_MUST_CHECK pst_err pst_hash_peek(const struct pst_crypto *c, const struct pst_hash *h,
                                     uint8_t *digest);

#endif
