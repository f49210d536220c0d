/* The flows that messages start, move on and end: the requester's operation, what a responder does
 * once its answer is sent, encapsulated requests; and forgetting all of it. */
#include "spdm/chain.h"
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/transcript.h"

static void reset(struct pst_spdm *c)
{
    const struct pst_spdm_config *config = c->config;
    pst_role role = (pst_role)c->role;

    psti_wait_cancel(c);
    for (size_t i = 0; i < PST_SPDM_SESSIONS; i++) {
        psti_session_end(c, &c->sessions[i], PST_ERR_CLOSED);
    }
    psti_chain_forget(c);
    psti_transcript_end(c);
    pst_wipe(c, sizeof *c);
    psti_spdm_start(c, config, role);
}

void psti_requester_forget(struct pst_requester *q)
{
    const struct pst_crypto *crypto = q->spdm.config->crypto;

    reset(&q->spdm);
    crypto->hash_abort(crypto->ctx, &q->state.ad);
    q->state.digest_mask = 0;
}

void psti_requester_done(struct pst_requester *q)
{
    q->state.step = PST_STEP_IDLE;
    q->state.encap = PST_ENCAP_NONE;
    q->state.result = PST_OK;
}

void pst_responder_defer(struct pst_responder *r, uint8_t *buffer, size_t cap)
{
    r->state.defer = buffer;
    r->state.defer_cap = cap;
}

static void forget_flows(struct pst_responder *r)
{
    uint8_t *defer = r->state.defer;
    size_t cap = r->state.defer_cap;

    memset(&r->state, 0, sizeof r->state);
    pst_responder_defer(r, defer, cap);
}

void psti_responder_forget(struct pst_responder *r)
{
    reset(&r->spdm);
    forget_flows(r);
}

void psti_responder_after(struct pst_responder *r, enum pst_after after, uint32_t session,
                          pst_err why)
{
    r->state.after = (uint8_t)after;
    r->state.after_session = session;
    r->state.after_why = (int16_t)why;
}

void psti_encap_arm(struct pst_responder *r, enum pst_encap what, struct pst_spdm_session *s)
{
    struct pst_responder_state *st = &r->state;

    st->encap = (uint8_t)what;
    st->encap_session = s != NULL ? s->id : 0;
    st->encap_context = s != NULL && !s->clear_handshake ? s->id : PST_SPDM_CLEAR;
    st->encap_step = PST_INNER_NONE;
    /* with the implied GET_DIGESTS the first delivery carries RequestID 0 */
    st->encap_id = 0;
    if (s != NULL && s->mutual == PST_MUTUAL_DIGESTS && what == PST_ENCAP_SESSION) {
        st->encap_step = PST_INNER_DIGESTS;
    }
}

bool psti_encap_in_flight(const struct pst_responder *r, uint32_t context)
{
    const struct pst_responder_state *st = &r->state;

    return st->encap != PST_ENCAP_NONE && st->encap_context == context &&
           (st->encap_step != PST_INNER_NONE || st->encap == PST_ENCAP_SESSION);
}
