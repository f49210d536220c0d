/* The handlers that the tables name; each message's file documents its own. `rsp` is the
 * responder's half, `serve` serves both roles (encapsulated), `put` and `take` are the requester's:
 * write the request, accept the answer. */
#ifndef PST_SPDM_MESSAGES_H
#define PST_SPDM_MESSAGES_H

#include "spdm/engine.h"

pst_handler pst_rsp_version, pst_put_version, pst_take_version;
pst_handler pst_rsp_capabilities, pst_put_capabilities, pst_take_capabilities;
pst_handler pst_rsp_algorithms, pst_put_algorithms, pst_take_algorithms;
pst_handler pst_serve_digests, pst_put_digests, pst_take_digests;
pst_handler pst_serve_certificate, pst_put_certificate, pst_take_certificate;
pst_handler pst_serve_challenge, pst_put_challenge, pst_take_challenge;
pst_handler pst_rsp_measurements, pst_put_measurements, pst_take_measurements;
pst_handler pst_rsp_key_exchange, pst_put_key_exchange, pst_take_key_exchange;
pst_handler pst_rsp_finish, pst_put_finish, pst_take_finish;
pst_handler pst_rsp_heartbeat, pst_put_heartbeat, pst_take_heartbeat;
pst_handler pst_rsp_key_update, pst_put_key_update, pst_take_key_update, pst_put_verify_key,
    pst_take_verify_key, pst_serve_key_update;
pst_handler pst_rsp_end_session, pst_put_end_session, pst_take_end_session;
pst_handler pst_rsp_vendor, pst_put_vendor, pst_take_vendor;
pst_handler pst_rsp_get_encapsulated, pst_rsp_deliver, pst_put_get_encapsulated,
    pst_take_encapsulated, pst_put_deliver, pst_take_ack;
pst_handler pst_rsp_respond_if_ready;

/* -- the steps of the requester; pst_step_rows is indexed by it -- */
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

/* -- responder (responder.c) -- */
enum pst_after { PST_AFTER_NONE, PST_AFTER_ESTABLISH, PST_AFTER_END };
void pst_responder_forget(struct pst_responder *r); /* connection and flows */
void pst_responder_after(struct pst_responder *r, enum pst_after after, uint32_t session,
                         pst_err why);
void pst_encap_arm(struct pst_responder *r, enum pst_encap what, struct pst_spdm_session *s);
/* The answer to an encapsulated request is awaited in this context. */
bool pst_encap_in_flight(const struct pst_responder *r, uint32_t context);

/* -- requester (requester.c) -- */
void pst_requester_done(struct pst_requester *q);
/* ERROR (error.c): what the requester does about it. PST_OK: only a wait. */
PST_MUST_CHECK pst_err pst_take_error(struct pst_exchange *x);
/* RESPOND_IF_READY (respond_if_ready.c). */
void pst_put_respond_if_ready(struct pst_exchange *x);

/* -- pieces that several messages share -- */
struct pst_digests { /* a DIGESTS message; aliases it */
    uint8_t mask;
    const uint8_t *digests;
    const uint8_t *usage; /* u16 each; NULL: no multi-key connection */
};
PST_MUST_CHECK pst_err pst_digests_read(struct pst_exchange *x, bool multi, struct pst_digests *d);
/* The digest of `slot`, or NULL. */
const uint8_t *pst_digests_of(const struct pst_digests *d, unsigned slot, size_t hash_len);
bool pst_digests_may(const struct pst_digests *d, unsigned slot, uint16_t usage);
/* A and, in a multi-key connection, D: what TH starts with (responder). */
PST_MUST_CHECK pst_err pst_digests_start(struct pst_spdm *c, struct pst_hash *start);

void pst_put_get_certificate(struct pst_exchange *x, unsigned slot, size_t portion);
/* Feeds a CERTIFICATE into the chain: PST_WANT_MORE or the verdict. */
PST_MUST_CHECK pst_err pst_certificate_read(struct pst_exchange *x);

PST_MUST_CHECK pst_err pst_put_challenge_request(struct pst_exchange *x, unsigned slot,
                                                 uint8_t summary);
/* Checks CHALLENGE_AUTH of a known peer; M holds the request already. */
PST_MUST_CHECK pst_err pst_challenge_auth_read(struct pst_exchange *x, uint8_t summary,
                                               bool *wants_mutual);

bool pst_summary_valid(const struct pst_spdm *c, uint8_t type);
/* The measurement summary hash into the response; nothing for type 0. */
PST_MUST_CHECK pst_err pst_put_summary(struct pst_exchange *x, uint8_t type);

#endif
