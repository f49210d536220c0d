/* The SPDM requester: the debugger's side. The chapter is in spdm.h.
 *
 * One operation at a time: start it, then carry messages back and forth until it is done.
 *
 *     err = pst_requester_start(&q, &op);
 *     while ((err = pst_requester_next(&q, &context, out, sizeof out, &len)) == PST_OK) {
 *         ... send in that context, receive ...
 *         err = pst_requester_receive(&q, context, in, in_len);
 *     }
 *     err is PST_ERR_STATE when the operation is done; pst_requester_result tells how it went.
 */
#ifndef POSTERN_PARTS_REQUESTER_H
#define POSTERN_PARTS_REQUESTER_H

#include "postern/parts/spdm.h"
#include "postern/state/spdm.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    PST_OP_CONNECT,      /* GET_VERSION, GET_CAPABILITIES, NEGOTIATE_ALGORITHMS */
    PST_OP_DIGESTS,      /* GET_DIGESTS */
    PST_OP_CERTIFICATE,  /* GET_CERTIFICATE until whole and verified: `slot` */
    PST_OP_CHALLENGE,    /* `slot`, `summary` */
    PST_OP_MEASUREMENTS, /* `slot`, `index`, `sign`, `raw`; `context` */
    PST_OP_SESSION,      /* KEY_EXCHANGE … FINISH with whatever mutual authentication is asked */
    PST_OP_HEARTBEAT,    /* `context`, as the ones below */
    PST_OP_KEY_UPDATE,   /* `all`: both directions; otherwise ours */
    PST_OP_ENCAPSULATED, /* GET_ENCAPSULATED_REQUEST: answers what the responder asks */
    PST_OP_END_SESSION,
    PST_OP_VENDOR, /* `standard`, `vendor_id`, `payload` */
} pst_op_kind;

struct pst_op {
    pst_op_kind kind;
    uint32_t context;
    uint8_t slot;
    uint8_t summary; /* measurement summary hash, where the peer has one: 0, 1 (TCB), 0xFF (all) */
    uint8_t index;   /* measurement operation: 0 count, 0xFF all, else index */
    bool sign, raw, all;
    bool hold;        /* (set by the SCM) nothing else is in flight while keys change */
    uint16_t portion; /* bytes asked of each CERTIFICATE; 0: what fits */
    uint16_t standard;
    struct pst_bytes vendor_id, payload; /* outlive the operation */
};

/* What the requester keeps beside the connection. */
struct pst_requester_state {
    struct pst_op op;
    struct pst_hash ad; /* A and D of a multi-key connection */
    struct pst_dh_key dh;
    uint8_t digests[PST_MAX_SLOTS][PST_MAX_HASH];
    uint8_t request[256]; /* as sent: for transcripts and retries */
    uint8_t inner[64];    /* the encapsulated request that is to be answered */
    struct pst_bytes answer;
    struct pst_bytes taking; /* the answer that a slow operation still works on */
    uint64_t wait_until_ms;
    uint32_t session; /* of PST_OP_SESSION */
    uint32_t context; /* of the message under way */
    uint16_t request_len;
    pst_err result;
    uint8_t step; /* enum pst_step */
    uint8_t error_code, retries, not_ready_left;
    uint8_t digest_mask, token;
    uint8_t encap, encap_id, inner_len; /* enum pst_encap */
    uint8_t update;                     /* encapsulated KEY_UPDATE: operation just acknowledged */
    uint8_t tag;
    bool awaiting;  /* an answer is awaited */
    bool repeat;    /* Busy: the same bytes again */
    bool not_ready; /* RESPOND_IF_READY comes next */
    bool dh_live;
    bool encap_d_taken;
};

struct pst_requester { /* private; sizeof is all its memory */
    struct pst_spdm spdm;
    struct pst_requester_state state;
};

/* PST_ERR_CONFIG: pst_spdm_config_check says why; `q` is untouched. `config` is only read. */
PST_MUST_CHECK pst_err pst_requester_init(struct pst_requester *q,
                                          const struct pst_spdm_config *config);
/* PST_ERR_STATE: another operation runs, or this one needs an earlier one (CONNECT, CERTIFICATE).
 */
PST_MUST_CHECK pst_err pst_requester_start(struct pst_requester *q, const struct pst_op *op);
/* The next message to send and its context. PST_PENDING: an operation takes time (leave `out`, and
 * the message last given to `receive`, as they are and call again), or an answer is awaited, or
 * (ResponseNotReady, Busy) a wait runs: see pst_requester_wait. PST_ERR_STATE: nothing to send, the
 * operation is over. */
PST_MUST_CHECK pst_err pst_requester_next(struct pst_requester *q, uint32_t *context, uint8_t *out,
                                          size_t cap, size_t *len);
/* The message from `next` was sealed and handed to the link: key changes that follow sending. */
void pst_requester_sent(struct pst_requester *q);
/* An answer. It stays where it is until `next` answers other than PST_PENDING. Errors end the
 * operation (the result says which) but for those that only need a retry; a failed session
 * operation has dropped the session. */
PST_MUST_CHECK pst_err pst_requester_receive(struct pst_requester *q, uint32_t context,
                                             const uint8_t *msg, size_t len);
/* Milliseconds until `next` should be called again while it answers PST_PENDING; 0: at once. */
uint64_t pst_requester_wait(const struct pst_requester *q);
/* PST_PENDING while it runs; PST_OK; PST_ERR_PEER with the peer's ERROR code in *error_code; any
 * other failure. */
pst_err pst_requester_result(const struct pst_requester *q, uint8_t *error_code);
/* Valid after PST_OP_SESSION succeeded. */
uint32_t pst_requester_session(const struct pst_requester *q);
/* Seconds of the session's heartbeat period; 0: none. */
uint8_t pst_requester_heartbeat_s(const struct pst_requester *q, uint32_t session_id);
/* Valid after PST_OP_CERTIFICATE. */
const struct pst_peer *pst_requester_peer(const struct pst_requester *q);
/* The measurement record, or vendor payload, of the last operation: aliases the message that was
 * last given to `receive`. */
struct pst_bytes pst_requester_answer(const struct pst_requester *q);
/* Gives up the operation; a session in handshake is dropped. */
void pst_requester_cancel(struct pst_requester *q, pst_err why);
void pst_requester_end(struct pst_requester *q, uint32_t session_id, pst_err why);
void pst_requester_wipe(struct pst_requester *q);

#ifdef __cplusplus
}
#endif

#endif
