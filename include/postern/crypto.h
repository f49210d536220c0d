/* The crypto port: what Postern needs of a cryptographic library, as one struct of functions.
 *
 * Postern computes no primitive of its own. A port (port/openssl on a host; in firmware one that
 * you write) fills in `struct pst_crypto`, and every engine is given a pointer to it.
 *
 * Objects (a running hash, a cipher, keys) live in storage that the engines own. The port keeps its
 * state there, or a handle to it. An object never moves and is never copied byte by byte: it may
 * hold pointers to itself and stand for a slot of hardware. Every object that was begun is ended:
 * a hash by `hash_final` or `hash_abort`, the others by their `wipe`. The ending functions are
 * harmless on zeroed storage and on an object that has ended; they leave the storage zeroed.
 *
 * Operations with keys may take longer than a call: `dh_generate`, `dh_shared`, `public_key`,
 * `verify` and a signer's `sign` may answer PST_PENDING. They are then called again with the same
 * arguments until they answer otherwise. "The same" are objects and values; inputs and results may
 * lie at another address each time, so a port that works on between the calls keeps copies. Nothing
 * is written to a result before PST_OK. Who gives an operation up wipes its object, or calls
 * `verify_cancel`. A connection waits for one operation at a time, but connections that share a
 * port may wait at the same time. Everything else is done when it returns.
 *
 * How large the storage is, is decided when Postern is compiled (PST_HASH_BYTES and the like
 * below); `pst_crypto.bytes` says what the port needs, and every init compares the two.
 *
 * How many objects live at once, for ports with a fixed number of slots:
 *
 *   hashes       in an SPDM connection 3, in each of its sessions 1, while the peer's chain arrives
 *                1; in a requester 1 more. Beside them at most 2 for the length of one call.
 *   ciphers      2 in each session (one per direction), 2 in each data link
 *   DH keys      1 in a connection, from KEY_EXCHANGE until the shared secret is known
 *   public keys  the peer's, 1 in a connection; what the certificate verifier needs comes on top
 *
 * A target has one connection with one session per context.
 *
 * Algorithms are the rows of registries (src/crypto/registry.c): the bit that SPDM negotiates, its
 * sizes, its name. An algorithm that the port lacks is left out of what is offered.
 */
#ifndef POSTERN_CRYPTO_H
#define POSTERN_CRYPTO_H

#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

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
/* By name, for configuration; 0 when unknown. */
pst_hash_id pst_hash_from_name(const char *name);
pst_sig_id pst_sig_from_name(const char *name);
pst_dh_id pst_dh_from_name(const char *name);
pst_aead_id pst_aead_from_name(const char *name);

/* Bytes of storage of each kind of object. The defaults fit port/openssl: the state of SHA-384, and
 * handles. A port that needs more is compiled together with the core with larger ones, for example
 * -DPST_HASH_BYTES=232 for PSA's hash operations. The core and everything that includes its headers
 * must agree. */
#ifndef PST_HASH_BYTES
#define PST_HASH_BYTES 216
#endif
#ifndef PST_AEAD_BYTES
#define PST_AEAD_BYTES 32
#endif
#ifndef PST_DH_KEY_BYTES
#define PST_DH_KEY_BYTES 32
#endif
#ifndef PST_PUBLIC_KEY_BYTES
#define PST_PUBLIC_KEY_BYTES 32
#endif
#define PST_STORE(bytes) (((bytes) + 7) / 8) /* in words of 64 bits, for alignment */

/* A running hash. */
struct pst_hash {
    uint64_t store[PST_STORE(PST_HASH_BYTES)];
    uint8_t id; /* pst_hash_id; 0 when not running */
};

struct pst_aead {
    uint64_t store[PST_STORE(PST_AEAD_BYTES)];
};
struct pst_dh_key {
    uint64_t store[PST_STORE(PST_DH_KEY_BYTES)];
};
struct pst_public_key {
    uint64_t store[PST_STORE(PST_PUBLIC_KEY_BYTES)];
    uint8_t sig_id; /* what it verifies: pst_sig_id; 0 when empty */
};

struct pst_crypto {
    void *ctx; /* handed to every function */

    /* What the port keeps in the storage of each object: not 0, and at most what was compiled in.
     */
    struct {
        uint16_t hash, aead, dh_key, public_key;
    } bytes;

    /* PST_ERR_RANDOM when there is none: the caller stops. */
    pst_err (*random)(void *ctx, void *out, size_t len);

    /* Begins a hash in `h`, whatever was there. On an error `h` is zeroed. */
    pst_err (*hash_init)(void *ctx, struct pst_hash *h, pst_hash_id id);
    /* After an error `h` still has to be ended. PST_ERR_STATE: it is not running. */
    pst_err (*hash_update)(void *ctx, struct pst_hash *h, const void *data, size_t len);
    /* Writes the digest and ends `h`, also when it fails. PST_ERR_STATE: it is not running. */
    pst_err (*hash_final)(void *ctx, struct pst_hash *h, uint8_t *digest);
    /* Begins in `to`, whatever was there, a hash of what `from` has seen; `from` goes on. On an
     * error `to` is zeroed. PST_ERR_STATE: `from` is not running. */
    pst_err (*hash_clone)(void *ctx, struct pst_hash *to, const struct pst_hash *from);
    /* Ends `h` without a digest. */
    void (*hash_abort)(void *ctx, struct pst_hash *h);

    /* HMAC over one piece of data; `out` takes the digest's size. */
    pst_err (*hmac)(void *ctx, pst_hash_id id, const void *key, size_t key_len, const void *data,
                    size_t len, uint8_t *out);

    /* An ephemeral key; its public value in SPDM's form (X ‖ Y, fixed width, big-endian). `key` is
     * zeroed storage, or what PST_PENDING left there. */
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
     * PST_ERR_UNSUPPORTED: an algorithm that the port lacks. */
    pst_err (*public_key)(void *ctx, struct pst_public_key *key, pst_sig_id id,
                          const uint8_t *bytes);
    /* PST_OK or PST_ERR_AUTH. `hash` is the negotiated base hash (EdDSA ignores it). The signature
     * is in SPDM's form: r ‖ s fixed width, or R ‖ S. */
    pst_err (*verify)(void *ctx, const struct pst_public_key *key, pst_hash_id hash,
                      const void *message, size_t len, const uint8_t *signature);
    /* Gives up a `verify` with `key` that answered PST_PENDING; the key stays. NULL where none
     * does. */
    void (*verify_cancel)(void *ctx, const struct pst_public_key *key);
    void (*public_key_wipe)(void *ctx, struct pst_public_key *key);
};

/* A private key that signs: a file, a keystore, a token. `cancel` gives up a `sign` that answered
 * PST_PENDING. */
struct pst_signer {
    void *ctx;
    pst_sig_id sig_id;
    pst_err (*sign)(void *ctx, pst_hash_id hash, const void *message, size_t len,
                    uint8_t *signature);
    void (*cancel)(void *ctx); /* NULL where it never does */
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
/* The digest so far; `h` goes on. */
PST_MUST_CHECK pst_err pst_hash_peek(const struct pst_crypto *c, const struct pst_hash *h,
                                     uint8_t *digest);

#ifdef __cplusplus
}
#endif

#endif
