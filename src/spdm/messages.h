/* The handlers that the tables name, and what messages share. `rsp` handlers answer in the
 * responder; `serve` handlers answer in both roles, in the requester encapsulated; `put` and `take`
 * are the requester's: write the request, accept the answer. */
#ifndef PST_SPDM_MESSAGES_H
#define PST_SPDM_MESSAGES_H

#include "spdm/engine.h"

pst_handler psti_rsp_version, psti_put_version, psti_take_version;
pst_handler psti_rsp_capabilities, psti_put_capabilities, psti_take_capabilities;
pst_handler psti_rsp_algorithms, psti_put_algorithms, psti_take_algorithms;
pst_handler psti_serve_digests, psti_put_digests, psti_take_digests;
pst_handler psti_serve_certificate, psti_put_certificate, psti_take_certificate;
pst_handler psti_serve_challenge, psti_put_challenge, psti_take_challenge;
pst_handler psti_rsp_measurements, psti_put_measurements, psti_take_measurements;
pst_handler psti_rsp_key_exchange, psti_put_key_exchange, psti_take_key_exchange;
pst_handler psti_rsp_finish, psti_put_finish, psti_take_finish;
pst_handler psti_rsp_heartbeat, psti_put_heartbeat, psti_take_heartbeat;
pst_handler psti_rsp_key_update, psti_put_key_update, psti_take_key_update, psti_put_verify_key,
    psti_take_verify_key, psti_serve_key_update;
pst_handler psti_rsp_end_session, psti_put_end_session, psti_take_end_session;
pst_handler psti_rsp_vendor, psti_put_vendor, psti_take_vendor;
pst_handler psti_rsp_get_encapsulated, psti_rsp_deliver, psti_put_get_encapsulated,
    psti_take_encapsulated, psti_put_deliver, psti_take_ack;
pst_handler psti_rsp_respond_if_ready;

/* -- the steps of the requester; psti_step_rows is indexed by it -- */
enum pst_step {
    PST_STEP_IDLE,
    PST_STEP_VERSION,
    PST_STEP_CAPABILITIES,
    PST_STEP_ALGORITHMS,
    PST_STEP_DIGESTS,
    PST_STEP_CERTIFICATE,
    PST_STEP_CHALLENGE,
    PST_STEP_MEASUREMENTS,
    PST_STEP_KEY_EXCHANGE,
    PST_STEP_GET_ENCAPSULATED,
    PST_STEP_DELIVER,
    PST_STEP_FINISH,
    PST_STEP_HEARTBEAT,
    PST_STEP_KEY_UPDATE,
    PST_STEP_VERIFY_KEY,
    PST_STEP_END_SESSION,
    PST_STEP_VENDOR,
    PST_STEPS,
};

/* What an encapsulated flow is for. */
enum pst_encap { PST_ENCAP_NONE, PST_ENCAP_SESSION, PST_ENCAP_CHALLENGE, PST_ENCAP_UPDATE };

/* The inner request that is out. NONE: the flow waits for GET_ENCAPSULATED_REQUEST. */
enum pst_inner {
    PST_INNER_NONE,
    PST_INNER_DIGESTS,
    PST_INNER_CERTIFICATE,
    PST_INNER_CHALLENGE,
    PST_INNER_UPDATE,
    PST_INNER_VERIFY,
};

/* -- flows (flow.c) -- */
void psti_requester_done(struct pst_requester *q);
/* Everything back to before GET_VERSION, but for the operation under way. */
void psti_requester_forget(struct pst_requester *q);
enum pst_after { PST_AFTER_NONE, PST_AFTER_ESTABLISH, PST_AFTER_END };
void psti_responder_forget(struct pst_responder *r); /* connection and flows */
void psti_responder_after(struct pst_responder *r, enum pst_after after, uint32_t session,
                          pst_err why);
void psti_encap_arm(struct pst_responder *r, enum pst_encap what, struct pst_spdm_session *s);
/* The answer to an encapsulated request is awaited in this context. */
bool psti_encap_in_flight(const struct pst_responder *r, uint32_t context);

/* -- requester -- */
/* ERROR (error.c): what the requester does about it. PST_OK: only a wait. */
PST_MUST_CHECK pst_err psti_take_error(struct pst_exchange *x);
/* RESPOND_IF_READY (respond_if_ready.c). */
void psti_put_respond_if_ready(struct pst_exchange *x);

/* -- pieces that several messages share -- */
struct pst_digests { /* a DIGESTS message; aliases it */
    uint8_t mask;
    const uint8_t *digests;
    const uint8_t *usage; /* u16 each; NULL: no multi-key connection */
};
PST_MUST_CHECK pst_err psti_digests_read(struct pst_exchange *x, bool multi, struct pst_digests *d);
/* The digest of `slot`, or NULL. */
const uint8_t *psti_digests_of(const struct pst_digests *d, unsigned slot, size_t hash_len);
bool psti_digests_may(const struct pst_digests *d, unsigned slot, uint16_t usage);
/* Starts TH with A and, in a multi-key connection, D (responder). */
PST_MUST_CHECK pst_err psti_digests_start(struct pst_spdm *c, struct pst_spdm_session *s);

void psti_put_get_certificate(struct pst_exchange *x, unsigned slot, size_t portion);
/* Feeds a CERTIFICATE into the chain: PST_WANT_MORE or the verdict. PST_PENDING: call again. */
PST_MUST_CHECK pst_err psti_certificate_read(struct pst_exchange *x);

PST_MUST_CHECK pst_err psti_put_challenge_request(struct pst_exchange *x, unsigned slot,
                                                  uint8_t summary);
/* Checks CHALLENGE_AUTH of a known peer, then runs `done`; M holds the request, and is cleared. */
PST_MUST_CHECK pst_err psti_challenge_auth_read(struct pst_exchange *x, uint8_t summary,
                                                pst_handler *done);

/* The flags that `minor` defines for the role do not contradict each other. */
bool psti_capabilities_fit(uint32_t flags, pst_role role, uint8_t minor);

bool psti_summary_valid(const struct pst_spdm *c, uint8_t type);
/* The measurement summary hash into the response; nothing for type 0. */
PST_MUST_CHECK pst_err psti_put_summary(struct pst_exchange *x, uint8_t type);

#endif
