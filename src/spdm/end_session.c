/* END_SESSION, END_SESSION_ACK (spec: DSP0274): the ACK still goes under the session's keys. */
#include "spdm/messages.h"
#include "spdm/session.h"

pst_err psti_rsp_end_session(struct pst_exchange *x)
{
    psti_put_header(x, PST_END_SESSION_ACK, 0, 0);
    psti_responder_after(x->r, PST_AFTER_END, x->session->id, PST_ERR_CLOSED);
    return PST_OK;
}

pst_err psti_put_end_session(struct pst_exchange *x)
{
    psti_put_header(x, PST_END_SESSION, 0, 0);
    return PST_OK;
}

pst_err psti_take_end_session(struct pst_exchange *x)
{
    psti_session_end(x->c, x->session, PST_ERR_CLOSED);
    psti_requester_done(x->q);
    return PST_OK;
}
