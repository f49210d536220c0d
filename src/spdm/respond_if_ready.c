/* RESPOND_IF_READY (spec: DSP0274): fetches a response that was not ready. The token belongs to the
 * context that the request came from. */
#include "spdm/messages.h"
#include "spdm/session.h"

pst_err psti_rsp_respond_if_ready(struct pst_exchange *x)
{
    struct pst_responder_state *st = &x->r->state;
    const struct pst_wait *w = &x->c->wait;

    if (!st->deferred || w->step == NULL || w->context != x->context) {
        return PST_ERR_UNEXPECTED;
    }
    if (x->in[2] != w->code || x->in[3] != st->token) {
        return PST_ERR_DECODE;
    }
    pst_put_bytes(&x->out, st->defer + st->deferred_in, st->deferred_out);
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    x->in = st->defer;
    x->in_len = st->deferred_in;
    x->session = psti_session_find(x->c, w->session_id);
    return psti_wait_again(x);
}

void psti_put_respond_if_ready(struct pst_exchange *x)
{
    const struct pst_requester_state *s = &x->q->state;

    psti_put_header(x, PST_RESPOND_IF_READY, s->request[1], s->token);
}
