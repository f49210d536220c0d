/* END_SESSION, END_SESSION_ACK (spec: DSP0274): the ACK still goes under the session's keys. */
#include "spdm/messages.h"
#include "spdm/session.h"

pst_err pst_rsp_end_session(struct pst_exchange *x)
{
    pst_put_header(x, PST_END_SESSION_ACK, 0, 0);
    pst_responder_after(x->r, PST_AFTER_END, x->session->id, PST_ERR_CLOSED);
    return PST_OK;
}

pst_err pst_put_end_session(struct pst_exchange *x)
{
    pst_put_header(x, PST_END_SESSION, 0, 0);
    return PST_OK;
}

pst_err pst_take_end_session(struct pst_exchange *x)
{
    pst_session_end(x->c, x->session, PST_ERR_CLOSED);
    pst_requester_done(x->q);
    return PST_OK;
}
