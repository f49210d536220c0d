/* KEY_UPDATE, KEY_UPDATE_ACK (spec: DSP0274). No key is found by trying: the messages alone tell
 * each side which key comes next.
 *
 *   UpdateKey      sent under the old request key, acknowledged under the response key as it was;
 *                  VerifyNewKey comes under the new request key
 *   UpdateAllKeys  acknowledged under the new response key already
 *   encapsulated   the responder's own UpdateKey: once the ACK is delivered it uses the new
 * response key, first for the ACK that carries VerifyNewKey
 */
#include "spdm/messages.h"
#include "spdm/session.h"

enum { BY_REQUESTER = 1, BY_RESPONDER };

/* -- responder -- */

pst_err psti_rsp_key_update(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->session;
    uint8_t operation = x->in[2];
    bool update = operation == PST_UPDATE_KEY || operation == PST_UPDATE_ALL_KEYS;

    if ((!update && operation != PST_VERIFY_NEW_KEY) || update != (s->update == 0)) {
        return PST_ERR_DECODE;
    }
    psti_put_header(x, PST_KEY_UPDATE_ACK, operation, x->in[3]);
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    s->update = update ? BY_REQUESTER : 0;
    if (!update) {
        return PST_OK;
    }
    pst_err err = psti_session_update(c, s, PST_TO_RESPONDER);
    if (err == PST_OK && operation == PST_UPDATE_ALL_KEYS) {
        err = psti_session_update(c, s, PST_TO_REQUESTER);
    }
    if (err != PST_OK) {
        psti_responder_after(x->r, PST_AFTER_END, s->id, err);
    }
    return err;
}

/* -- requester -- */

pst_err psti_put_key_update(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;
    const struct pst_crypto *crypto = x->c->config->crypto;

    PST_TRY(crypto->random(crypto->ctx, &s->tag, 1));
    psti_put_header(x, PST_KEY_UPDATE, s->op.all ? PST_UPDATE_ALL_KEYS : PST_UPDATE_KEY, s->tag);
    return PST_OK;
}

static bool echoed(const struct pst_exchange *x)
{
    return memcmp(x->in + 2, x->q->state.request + 2, 2) == 0;
}

pst_err psti_take_key_update(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;

    if (!echoed(x)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(psti_session_update(x->c, x->session, PST_TO_RESPONDER));
    s->step = PST_STEP_VERIFY_KEY;
    return PST_OK;
}

pst_err psti_put_verify_key(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;
    const struct pst_crypto *crypto = x->c->config->crypto;

    PST_TRY(crypto->random(crypto->ctx, &s->tag, 1));
    psti_put_header(x, PST_KEY_UPDATE, PST_VERIFY_NEW_KEY, s->tag);
    return PST_OK;
}

pst_err psti_take_verify_key(struct pst_exchange *x)
{
    if (!echoed(x)) {
        return PST_ERR_DECODE;
    }
    psti_requester_done(x->q);
    return PST_OK;
}

/* The encapsulated one. The new key is placed once the ACK is handed to the link. */
pst_err psti_serve_key_update(struct pst_exchange *x)
{
    struct pst_spdm_session *s = x->session;
    uint8_t operation = x->in[2];

    if (operation != (s->update == BY_RESPONDER ? PST_VERIFY_NEW_KEY : PST_UPDATE_KEY)) {
        return PST_ERR_DECODE;
    }
    psti_put_header(x, PST_KEY_UPDATE_ACK, operation, x->in[3]);
    s->update = operation == PST_UPDATE_KEY ? BY_RESPONDER : 0;
    x->q->state.update = operation;
    return PST_OK;
}
