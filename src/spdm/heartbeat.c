/* HEARTBEAT, HEARTBEAT_ACK (spec: DSP0274). Every message of the session restarts the period. */
#include "spdm/messages.h"
#include "spdm/session.h"

pst_err psti_rsp_heartbeat(struct pst_exchange *x)
{
    if (x->session->heartbeat_s == 0) {
        return PST_ERR_UNEXPECTED;
    }
    psti_put_header(x, PST_HEARTBEAT_ACK, 0, 0);
    return PST_OK;
}

pst_err psti_put_heartbeat(struct pst_exchange *x)
{
    psti_put_header(x, PST_HEARTBEAT, 0, 0);
    return PST_OK;
}

pst_err psti_take_heartbeat(struct pst_exchange *x)
{
    psti_requester_done(x->q);
    return PST_OK;
}
