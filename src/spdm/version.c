/* GET_VERSION, VERSION (spec: DSP0274): the connection starts anew. */
#include "spdm/chain.h"
#include "spdm/messages.h"
#include "spdm/transcript.h"

pst_err psti_rsp_version(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    const struct pst_spdm_config *config = c->config;
    struct pst_writer *w = &x->out;

    psti_responder_forget(x->r);
    x->session = NULL;
    psti_put_header(x, PST_VERSION, 0, 0);
    pst_put_u8(w, 0);
    pst_put_u8(w, (uint8_t)(config->max_minor - config->min_minor + 1));
    for (unsigned minor = config->min_minor; minor <= config->max_minor; minor++) {
        pst_put_u16(w, (uint16_t)(0x1000 | minor << 8));
    }
    if (w->failed) {
        return PST_ERR_SPACE;
    }
    PST_TRY(psti_vca_add(c, x->in, x->in_len));
    PST_TRY(psti_vca_add(c, psti_out_bytes(x).at, psti_out_bytes(x).len));
    c->phase = PST_AT_VERSION;
    return PST_OK;
}

pst_err psti_put_version(struct pst_exchange *x)
{
    psti_requester_forget(x->q);
    psti_put_header(x, PST_GET_VERSION, 0, 0);
    return PST_OK;
}

pst_err psti_take_version(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    const struct pst_spdm_config *config = c->config;
    struct pst_requester_state *s = &x->q->state;
    struct pst_reader r = psti_body(x);
    uint8_t best = 0;

    pst_skip(&r, 1);
    uint8_t count = pst_get_u8(&r);
    struct pst_bytes entries = pst_get_block(&r, 2u * count);
    PST_TRY(psti_close(x, &r));
    for (size_t i = 0; i < entries.len; i += 2) {
        uint16_t version = pst_peek_u16(entries.at + i);
        uint8_t minor = (version >> 8) & 0xf;

        if (version >> 12 == 1 && minor >= config->min_minor && minor <= config->max_minor &&
            minor > best) {
            best = minor;
        }
    }
    if (best == 0) {
        return PST_ERR_VERSION;
    }
    PST_TRY(psti_vca_add(c, s->request, s->request_len));
    PST_TRY(psti_vca_add(c, x->in, x->in_len));
    c->minor = best;
    c->phase = PST_AT_VERSION;
    s->step = PST_STEP_CAPABILITIES;
    return PST_OK;
}
