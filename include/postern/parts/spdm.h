/* SPDM: the security agent's protocol (spec: DSP0274 1.2 and 1.3), both roles.
 *
 * One `struct pst_responder` or `struct pst_requester` is one *connection*: what GET_VERSION starts
 * and the next GET_VERSION forgets, with at most PST_SPDM_SESSIONS sessions. The engines work on
 * whole SPDM messages, from the version byte on: bindings, records and reassembly are outside.
 * With every message travels its *context*: the session id whose record carried it, or
 * PST_SPDM_CLEAR. Keys leave through `struct pst_key_port` (keys.h).
 *
 * What may come when is decided in one place: the dispatch tables (src/spdm/table.c), one per
 * role, which check version, phase, in or out of session, session kind, capability and size before
 * any handler runs. docs/spdm-table.md is printed from them.
 *
 * All randomness is drawn from crypto->random and crypto->dh_generate, in the order in which the
 * fields stand in the message: KEY_EXCHANGE and its response take 2 bytes of session id, 32 of
 * RandomData and an ephemeral key; CHALLENGE and GET_MEASUREMENTS the nonce, then (1.3) the
 * context; their responses the nonce; KEY_UPDATE one byte of tag.
 *
 * Nothing here blocks. A signer, the crypto port (crypto.h) and the verifier of certificates may
 * answer PST_PENDING: the responder then answers ResponseNotReady (or PST_PENDING, when
 * `config.caller_waits`), the requester's `next` returns PST_PENDING. What is waited for is
 * given up when the session, the operation or the connection ends, or another request comes
 * instead.
 */
#ifndef POSTERN_PARTS_SPDM_H
#define POSTERN_PARTS_SPDM_H

#include "postern/cert.h"
#include "postern/parts/keys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Context: not in a session. Never a session id here; 0xFFFFFFFF is one (the reference
 * implementation's first session has it). */
#define PST_SPDM_CLEAR 0u
#ifndef PST_SPDM_SESSIONS /* at a time, of one engine; a TS of scm has one engine a session */
#define PST_SPDM_SESSIONS 2
#endif
#define PST_SPDM_MIN_TRANSFER 42

/* Capability flags (spec: DSP0274, GET_CAPABILITIES). A field of two bits has a mask for both and a
 * name for each value. */
#define PST_CAP_CACHE (1u << 0) /* responder */
#define PST_CAP_CERT (1u << 1)
#define PST_CAP_CHAL (1u << 2)
#define PST_CAP_MEAS (3u << 3) /* responder */
#define PST_CAP_MEAS_PLAIN (1u << 3)
#define PST_CAP_MEAS_SIGNED (2u << 3)
#define PST_CAP_MEAS_FRESH (1u << 5) /* responder */
#define PST_CAP_ENCRYPT (1u << 6)
#define PST_CAP_MAC (1u << 7)
#define PST_CAP_MUT_AUTH (1u << 8)
#define PST_CAP_KEY_EX (1u << 9)
#define PST_CAP_PSK (3u << 10)
#define PST_CAP_ENCAP (1u << 12)
#define PST_CAP_HBEAT (1u << 13)
#define PST_CAP_KEY_UPD (1u << 14)
#define PST_CAP_CLEAR_HANDSHAKE (1u << 15)
#define PST_CAP_PUB_KEY_ID (1u << 16)
#define PST_CAP_CHUNK (1u << 17)
#define PST_CAP_ALIAS_CERT (1u << 18)         /* responder */
#define PST_CAP_SET_CERT (1u << 19)           /* responder */
#define PST_CAP_CSR (1u << 20)                /* responder */
#define PST_CAP_CERT_INSTALL_RESET (1u << 21) /* responder */
#define PST_CAP_EP_INFO (3u << 22)            /* 1.3, as those below */
#define PST_CAP_EP_INFO_SIGNED (2u << 22)
#define PST_CAP_MEL (1u << 24) /* responder */
#define PST_CAP_EVENT (1u << 25)
#define PST_CAP_MULTI_KEY (3u << 26)
#define PST_CAP_MULTI_KEY_ONLY (1u << 26)
#define PST_CAP_MULTI_KEY_NEG (2u << 26)
#define PST_CAP_GET_KEY_PAIR_INFO (1u << 28) /* responder */
#define PST_CAP_SET_KEY_PAIR_INFO (1u << 29) /* responder */

/* How the responder asks for mutual authentication (MutAuthRequested). */
typedef enum {
    PST_MUTUAL_NONE = 0,
    PST_MUTUAL_PLAIN = 1,   /* the responder already knows the requester's chain */
    PST_MUTUAL_ENCAP = 2,   /* encapsulated requests */
    PST_MUTUAL_DIGESTS = 4, /* encapsulated, GET_DIGESTS implied */
} pst_mutual;

/* What the application is told. All may be NULL. */
struct pst_spdm_hooks {
    void *ctx;
    /* The peer's chain was verified; may refuse it: PST_ERR_IDENTITY, PST_ERR_DENIED. Runs before
     * the requester sends FINISH, and before the responder accepts one. */
    pst_err (*peer)(void *ctx, const struct pst_peer *peer);
    /* The verifier refused the peer's chain. `refusal` is valid during the call. */
    void (*chain_refused)(void *ctx, const struct pst_cert_refusal *refusal);
    /* The session may carry application data from now on. `peer` is NULL without mutual
     * authentication (responder side). */
    void (*established)(void *ctx, uint32_t session_id, const struct pst_peer *peer);
    /* The session has ended and its keys are dropped; `why` is for the log. */
    void (*ended)(void *ctx, uint32_t session_id, pst_err why);
    /* A VENDOR_DEFINED request (responder side): answer into `out`. */
    pst_err (*vendor)(void *ctx, uint32_t context, uint16_t standard, struct pst_bytes vendor_id,
                      struct pst_bytes payload, uint8_t *out, size_t cap, size_t *out_len);
};

/* One measurement block of the device (spec: DSP0274, measurement block). */
struct pst_measurement {
    uint8_t index;
    uint8_t type; /* DMTFSpecMeasurementValueType [6:0] */
    bool raw;     /* `value` is a raw bit stream; otherwise a digest under the measurement hash */
    bool tcb;     /* part of the TCB summary */
    struct pst_bytes value;
};
struct pst_measurements {
    void *ctx;
    uint8_t change; /* what signed answers say: 0 not known, 1 changed since start, 2 unchanged */
    /* Block number `n` (ascending index), or PST_ERR_ARGUMENT past the last. A digest value must
     * fit `hash`; raw ones may be given too and are hashed by the engine when a digest is asked. */
    pst_err (*get)(void *ctx, size_t n, pst_hash_id hash, struct pst_measurement *out);
};

/* The configuration of an engine, for both roles: const, outlives the engine. */
struct pst_spdm_config {
    const struct pst_crypto *crypto;
    const struct pst_cert_verifier *verifier;    /* of the peer's chain; NULL: none is accepted */
    const struct pst_slot *slots[PST_MAX_SLOTS]; /* ours; NULL: empty */
    struct pst_key_port keys;
    struct pst_spdm_hooks hooks;
    uint64_t (*now_ms)(void *ctx); /* monotonic milliseconds */
    void *now_ctx;

    uint8_t min_minor, max_minor; /* SPDM versions 1.min … 1.max; 2 and 3 */
    uint32_t capabilities;        /* our flags, by role */
    uint8_t ct_exponent;          /* 2^n microseconds for cryptography */
    uint32_t transfer_size;       /* DataTransferSize */
    uint32_t message_size;        /* MaxSPDMmsgSize; 0: the same */
    bool multi_key;               /* a multi-key connection, if the peer leaves the choice to us */
    /* Preferences, best first, ended by 0 */
    const uint8_t *hashes, *sigs, *peer_sigs, *dhs, *aeads; /* ids of crypto.h */
    pst_hash_id measurement_hash;
    bool mel_format; /* 1.3: name the DMTF format of a measurement extension log */

    /* requester */
    uint8_t session_policy; /* SessionPolicy of KEY_EXCHANGE: bit 0, the session may outlive an
                               update of what is measured, as the device's policy says */

    /* responder */
    pst_mutual mutual;                 /* what it asks for, where the peer can */
    const struct pst_slot *known_peer; /* PST_MUTUAL_PLAIN: the requester's chain, slot 0 */
    bool require_mutual;               /* refuse a requester that cannot */
    uint8_t heartbeat_s;               /* 0: none */
    uint16_t certificate_portion;      /* most bytes of one CERTIFICATE; 0: what fits */
    const struct pst_measurements *measurements; /* NULL: none */
    bool caller_waits; /* pst_responder_handle answers PST_PENDING, not ResponseNotReady */
    bool basic_mutual; /* 1.2 CHALLENGE_AUTH may ask for the requester's challenge */
};

/* What is missing or wrong in a configuration of this role, in a sentence that names the field;
 * NULL: nothing. An algorithm that the lists name but the crypto port lacks is not found here. */
const char *pst_spdm_config_check(const struct pst_spdm_config *config, pst_role role);

/* The rest of the interface (struct pst_responder, struct pst_requester and their functions) is in
 * responder.h and requester.h. */

#ifdef __cplusplus
}
#endif

#endif
