/* Operations that take longer than a call. At most one is under way in a connection: a message is
 * handled to its end, or given up, before the next one begins. */
#include "spdm/engine.h"

pst_err psti_await(struct pst_exchange *x, pst_err err, pst_handler *step,
                   void (*give_up)(struct pst_spdm *c))
{
    struct pst_wait *w = &x->c->wait;

    if (err != PST_PENDING) {
        w->step = NULL;
        return err;
    }
    w->step = step;
    w->give_up = give_up;
    w->end = x->end;
    w->context = x->context;
    w->session_id = x->session != NULL ? x->session->id : 0;
    w->at = (uint16_t)x->out.used;
    w->code = x->code;
    w->in_at = x->in_at;
    w->reads = true;
    return PST_PENDING;
}

pst_err psti_wait_again(struct pst_exchange *x)
{
    const struct pst_wait *w = &x->c->wait;

    x->code = w->code;
    x->end = w->end;
    x->out.used = w->at;
    if (w->reads && x->in_len >= w->in_at) {
        x->in_at = w->in_at;
        x->in += w->in_at;
        x->in_len -= w->in_at;
    }
    pst_err err = w->step(x);
    if (err != PST_PENDING) {
        psti_wait_cancel(x->c); /* a step that failed before it asked again */
    }
    return psti_ended(x, err);
}

pst_err psti_ended(struct pst_exchange *x, pst_err err)
{
    pst_err (*end)(struct pst_exchange *x, pst_err err) = x->end;

    if (err == PST_PENDING) {
        return err;
    }
    x->end = NULL;
    return end == NULL ? err : end(x, err);
}

void psti_wait_cancel(struct pst_spdm *c)
{
    struct pst_wait *w = &c->wait;

    if (w->step != NULL && w->give_up != NULL) {
        w->give_up(c);
    }
    w->step = NULL;
}
