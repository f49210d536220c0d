/* GET_CERTIFICATE, CERTIFICATE (spec: DSP0274). */
#include "spdm/chain.h"
#include "spdm/messages.h"
#include "spdm/transcript.h"

#define HEADER 8

static bool clear(const struct pst_exchange *x)
{
    return x->context == PST_SPDM_CLEAR && x->session == NULL;
}

/* Bytes of the next portion: what is asked for, limited by what is left, what fits and the
 * configuration. */
static size_t portion_of(const struct pst_exchange *x, size_t asked, size_t left)
{
    size_t room = x->out.cap - x->out.used;
    size_t most = room > HEADER ? room - HEADER : 0;
    uint16_t wanted = x->c->config->certificate_portion;

    if (wanted != 0 && wanted < most) {
        most = wanted;
    }
    if (most > UINT16_MAX) {
        most = UINT16_MAX;
    }
    if (asked < most) {
        most = asked;
    }
    return left < most ? left : most;
}

static pst_err put_portion(struct pst_exchange *x, unsigned slot, size_t offset, size_t portion,
                           size_t remainder)
{
    struct pst_spdm *c = x->c;
    const struct pst_slot *s = psti_own_slot(c, slot);
    bool multi = c->role == PST_ROLE_RESPONDER ? c->multi_rsp : c->multi_req;

    psti_put_header(x, PST_CERTIFICATE, (uint8_t)slot, multi ? s->model & 7 : 0);
    pst_put_u16(&x->out, (uint16_t)portion);
    pst_put_u16(&x->out, (uint16_t)remainder);
    uint8_t *room = pst_put_room(&x->out, portion);
    return room == NULL ? PST_ERR_SPACE : psti_own_chain_read(c, s, offset, room, portion);
}

pst_err psti_serve_certificate(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_reader r = psti_body(x);
    unsigned slot = x->in[2] & 0xf;
    bool size_only = c->minor >= 3 && (x->in[3] & 1) != 0;
    size_t offset = pst_get_u16(&r), length = pst_get_u16(&r);
    const struct pst_slot *s = psti_own_slot(c, slot);

    if (s == NULL) {
        return PST_ERR_DECODE;
    }
    size_t total = psti_own_chain_len(c, s), portion = 0, remainder = total;
    if (!size_only && length > 0) {
        if (offset >= total) {
            return PST_ERR_DECODE;
        }
        portion = portion_of(x, length, total - offset);
        remainder = total - offset - portion;
        if (portion == 0) {
            return PST_ERR_SPACE;
        }
    }
    PST_TRY(put_portion(x, slot, offset, portion, remainder));
    if (!clear(x)) {
        return PST_OK;
    }
    PST_TRY(psti_m_add(c, x->in, x->in_len));
    return psti_m_add(c, psti_out_bytes(x).at, psti_out_bytes(x).len);
}

void psti_put_get_certificate(struct pst_exchange *x, unsigned slot, size_t portion)
{
    psti_put_header(x, PST_GET_CERTIFICATE, (uint8_t)slot, 0);
    pst_put_u16(&x->out, x->c->chain.offset);
    pst_put_u16(&x->out, (uint16_t)(portion > UINT16_MAX ? UINT16_MAX : portion));
}

pst_err psti_certificate_read(struct pst_exchange *x)
{
    struct pst_reader r = psti_body(x);
    uint16_t portion = pst_get_u16(&r);
    uint16_t remainder = pst_get_u16(&r);
    struct pst_bytes bytes = pst_get_block(&r, portion);

    pst_require(&r, (x->in[2] & 0xf) == x->c->chain.slot);
    PST_TRY(psti_close(x, &r));
    return psti_chain_feed(x->c, bytes, remainder);
}

pst_err psti_put_certificate(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *s = &x->q->state;
    size_t fits = c->config->transfer_size - HEADER;

    if (!c->chain.fetching) {
        bool told = (s->digest_mask >> s->op.slot & 1) != 0;
        PST_TRY(psti_chain_begin(c, s->op.slot, told ? s->digests[s->op.slot] : NULL));
    }
    psti_put_get_certificate(x, s->op.slot, s->op.portion != 0 ? s->op.portion : fits);
    return PST_OK;
}

pst_err psti_take_certificate(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;
    uint16_t asked = pst_peek_u16(s->request + 6);
    pst_err err = psti_await(x, psti_certificate_read(x), psti_take_certificate, psti_chain_forget);

    if (err != PST_OK && err != PST_WANT_MORE) {
        return err;
    }
    if (pst_peek_u16(x->in + 4) > asked) {
        return PST_ERR_DECODE;
    }
    if (clear(x)) {
        PST_TRY(psti_m_add(x->c, s->request, s->request_len));
        PST_TRY(psti_m_add(x->c, x->in, x->in_len));
    }
    if (err == PST_OK) {
        psti_requester_done(x->q);
    }
    return PST_OK;
}
