/* The SPDM responder: the target's side. The chapter is in spdm.h. */
#ifndef POSTERN_PARTS_RESPONDER_H
#define POSTERN_PARTS_RESPONDER_H

#include "postern/parts/spdm.h"
#include "postern/state/spdm.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_responder { /* private; sizeof is all its memory */
    struct pst_spdm spdm;
    struct pst_responder_state state;
};

/* PST_ERR_CONFIG: pst_spdm_config_check says why; `r` is untouched. `config` is only read. */
PST_MUST_CHECK pst_err pst_responder_init(struct pst_responder *r,
                                          const struct pst_spdm_config *config);

/* Memory where a response that is not ready waits for RESPOND_IF_READY: transfer_size bytes are
 * enough while only the signer is slow, twice that where the crypto port or the verifier is, since
 * the request is kept as well. Without it, or when it is too small, or with
 * `config.caller_waits`, pst_responder_handle answers PST_PENDING. It always does so where a
 * chain or signature of an encapsulated response is slow to verify: SPDM has no ResponseNotReady
 * there. */
void pst_responder_defer(struct pst_responder *r, uint8_t *buffer, size_t cap);

/* One request in, one response out. `context` is the session whose record carried it, or
 * PST_SPDM_CLEAR. `out` may not overlap `req`. PST_OK: send `out[0..*out_len)` in the same context
 * (an ERROR message is such an answer; *out_len 0 means: stay silent), then call
 * pst_responder_sent. PST_PENDING: an operation takes time; leave `req` and `out` as they are
 * and call pst_responder_resume. No other value is returned. */
PST_MUST_CHECK pst_err pst_responder_handle(struct pst_responder *r, uint32_t context,
                                            const uint8_t *req, size_t len, uint8_t *out,
                                            size_t cap, size_t *out_len);
/* After PST_PENDING, with the same `out`. `*out_len` is 0 when the session ended meanwhile. */
PST_MUST_CHECK pst_err pst_responder_resume(struct pst_responder *r, uint8_t *out, size_t cap,
                                            size_t *out_len);
/* The answer has been sealed and handed to the link: key changes that follow it happen now. */
void pst_responder_sent(struct pst_responder *r);
/* A record of this session failed to open. Writes the ERROR to send, if any; pst_responder_sent
 * then ends the session. */
PST_MUST_CHECK pst_err pst_responder_bad_record(struct pst_responder *r, uint32_t session_id,
                                                uint8_t *out, size_t cap, size_t *out_len);
/* Ends sessions whose heartbeat stopped or whose handshake took too long. Returns the milliseconds
 * until it is to be called again, UINT64_MAX for never. */
uint64_t pst_responder_poll(struct pst_responder *r);
/* A record of this session was opened that carries no SPDM message: it restarts the heartbeat
 * period. */
void pst_responder_heard(struct pst_responder *r, uint32_t session_id);
/* Ends one session now (policy, AEAD limit, revocation): keys dropped, `ended` called. */
void pst_responder_end(struct pst_responder *r, uint32_t session_id, pst_err why);
/* Asks the peer to rekey its receive side: the next GET_ENCAPSULATED_REQUEST gets KEY_UPDATE. */
PST_MUST_CHECK pst_err pst_responder_want_key_update(struct pst_responder *r, uint32_t session_id);
/* Forgets everything, keys first. */
void pst_responder_wipe(struct pst_responder *r);

#ifdef __cplusplus
}
#endif

#endif
