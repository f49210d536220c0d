/* The state of an SPDM connection. Private: use requester.h and responder.h; this is public only so
 * that callers can own the memory.
 *
 * Members that are not needed at the same time share memory: the raw bytes of the first messages
 * and the hashes of them; a session's DH key, its transcript and later its measurement transcript;
 * the hash of an arriving chain and the peer that it names. */
#ifndef POSTERN_STATE_SPDM_H
#define POSTERN_STATE_SPDM_H

#include "postern/parts/spdm.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_VCA_MAX 384 /* most bytes of the six VCA messages, kept until a hash is agreed on */

struct pst_transcript { /* src/spdm/transcript.h */
    union {
        uint8_t raw[PST_VCA_MAX];
        struct {
            struct pst_hash vca; /* A */
            struct pst_hash m;   /* M1/M2; after CHALLENGE_AUTH the one of the mutual challenge */
        } hash;
    } u;
    struct pst_hash l; /* L1/L2 outside sessions */
    uint16_t raw_len;
    bool hashed, m_on, l_on;
};

struct pst_peer_chain { /* src/spdm/chain.h */
    union {
        struct {
            struct pst_hash hash;
            uint8_t head[4 + PST_MAX_HASH]; /* Length, reserved, RootHash */
        } arriving;
        struct pst_peer peer;
    } u;
    struct pst_chain_check check;
    uint8_t digest[PST_MAX_HASH]; /* from DIGESTS; once `known`, as computed */
    uint16_t total, offset;
    uint8_t slot;
    bool announced; /* `digest` came from DIGESTS */
    bool checking;  /* `check` has begun */
    bool fetching;  /* u.arriving is valid */
    bool known;     /* u.peer is valid */
    uint8_t wait;   /* enum in chain.c: what the verifier is working on */
};

struct pst_spdm_session { /* src/spdm/session.h */
    union {
        struct pst_dh_key dh; /* a responder's, while `dh_live` */
        struct pst_hash hash; /* TH; once the session is established, its L1/L2 */
    } u;
    /* KEY_EXCHANGE: [0] shared secret. Handshake: master, finished key of requester, of responder.
     * Application: data secret of requester, of responder; until it is established also the export
     * secret. */
    uint8_t secret[3][PST_MAX_HASH];
    uint64_t deadline_ms; /* when the handshake, and later the heartbeat, times out (0: never) */
    uint32_t id;
    uint8_t phase;    /* enum pst_session_phase */
    uint8_t kind;     /* which message created it, PST_KIND_*; never changes */
    uint8_t mutual;   /* pst_mutual */
    uint8_t req_slot; /* the requester's slot, for FINISH */
    uint8_t heartbeat_s;
    uint8_t update;       /* KEY_UPDATE: awaiting VerifyNewKey; 1 by requester, 2 by responder */
    bool authenticated;   /* the authentication that `mutual` demands before FINISH is done */
    bool clear_handshake; /* FINISH travels in the clear */
    bool l_on;
    bool dh_live;
    bool placed; /* the key port holds keys of the session */
    bool open;   /* hooks.established was called */
};

struct pst_exchange;
struct pst_spdm;

/* An operation that returned PST_PENDING, and how the work on its message continues
 * (src/spdm/wait.c). */
struct pst_wait {
    pst_err (*step)(struct pst_exchange *x); /* retries, then continues; NULL: nothing is pending */
    void (*give_up)(struct pst_spdm *c);     /* may be NULL */
    pst_err (*end)(struct pst_exchange *x, pst_err err); /* as in pst_exchange */
    pst_err (*done)(struct pst_exchange *x);             /* called after a signature */
    uint8_t digest[PST_MAX_HASH];                        /* the digest that is signed or verified */
    uint32_t context;
    uint32_t session_id; /* the session that the message belongs to or creates; 0: none */
    uint32_t signature;  /* offset of the signature in the message that is read */
    uint16_t at;         /* bytes of the message written so far */
    uint8_t code, slot, purpose;
    uint8_t in_at; /* as in pst_exchange */
    bool reads;    /* the step reads the message that was received */
};

struct pst_spdm {
    const struct pst_spdm_config *config;
    struct pst_transcript transcript;
    struct pst_peer_chain chain;
    struct pst_spdm_session sessions[PST_SPDM_SESSIONS];
    struct pst_wait wait;
    uint8_t own_digest[PST_MAX_HASH];
    uint32_t ours, theirs;   /* capability flags as negotiated */
    uint32_t peer_transfer;  /* largest message that the peer takes, bytes; 0: not known yet */
    uint8_t own_digest_slot; /* slot of own_digest + 1; 0: none yet */
    uint8_t role;            /* our pst_role */
    uint8_t phase;           /* a bit of enum pst_phase, for the connection only */
    uint8_t minor;           /* 1.minor; 0: not agreed */
    uint8_t hash, rsp_sig, req_sig, dh, aead, measurement_hash; /* ids as in crypto.h */
    uint8_t opaque, peer_ct;
    bool multi_rsp, multi_req; /* that side uses a multi-key connection */
    bool measurements;         /* DMTF measurement specification selected */
    bool challenged;           /* CHALLENGE_AUTH is done: M is no longer cleared */
    bool d_open, d_taken;      /* DIGESTS right after ALGORITHMS: may come, came */
};

struct pst_responder_state {
    uint8_t *defer; /* caller's memory for a response that waits for RESPOND_IF_READY */
    size_t defer_cap;
    const uint8_t *request; /* caller's memory, for pst_responder_resume */
    size_t request_len;
    uint32_t after_session; /* the session that pst_responder_sent acts on */
    int16_t after_why;      /* why the session ends, pst_err */
    uint8_t after;          /* enum in responder.c */
    uint8_t token;
    bool token_given;                   /* the requester knows `token` for the waiting response */
    bool deferred;                      /* a response waits for RESPOND_IF_READY. In `defer`: */
    uint16_t deferred_in, deferred_out; /* bytes of the request, then of the response */
    /* encapsulated requests (src/spdm/encap.c) */
    uint32_t encap_context, encap_session; /* where it runs, which session it serves */
    uint32_t want_update;                  /* session whose peer must update its keys; 0: none */
    uint8_t encap, encap_step, encap_next; /* enum pst_encap; enum pst_inner: now, next */
    uint8_t encap_id, encap_tag;
};

#ifdef __cplusplus
}
#endif

#endif
