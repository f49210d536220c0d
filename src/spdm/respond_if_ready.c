/* RESPOND_IF_READY (spec: DSP0274): fetches a response whose signer was slow. The token belongs to
 * the context that the request came from. */
#include "spdm/messages.h"
#include "spdm/session.h"

pst_err psti_rsp_respond_if_ready(struct pst_exchange *x)
{
    struct pst_responder_state *st = &x->r->state;
    struct pst_signing *s = &x->c->signing;

    if (st->deferred == 0 || !s->active || s->context != x->context) {
        return PST_ERR_UNEXPECTED;
    }
    if (x->in[2] != s->code || x->in[3] != st->token) {
        return PST_ERR_DECODE;
    }
    pst_put_bytes(&x->out, st->defer, st->deferred);
    x->code = s->code;
    x->session = psti_session_find(x->c, s->session_id);
    return x->out.failed ? PST_ERR_SPACE : psti_sign_again(x);
}

void psti_put_respond_if_ready(struct pst_exchange *x)
{
    const struct pst_requester_state *s = &x->q->state;

    psti_put_header(x, PST_RESPOND_IF_READY, s->request[1], s->token);
}
