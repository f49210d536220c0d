/* VENDOR_DEFINED_REQUEST, VENDOR_DEFINED_RESPONSE (spec: DSP0274): the application's own messages.
 */
#include "spdm/messages.h"

struct vendor {
    uint16_t standard;
    struct pst_bytes id, payload;
};

static pst_err read_vendor(struct pst_exchange *x, struct vendor *v)
{
    struct pst_reader r = psti_body(x);

    v->standard = pst_get_u16(&r);
    v->id = pst_get_block(&r, pst_get_u8(&r));
    v->payload = pst_get_block(&r, pst_get_u16(&r));
    return psti_close(x, &r);
}

static void put_head(struct pst_exchange *x, uint8_t code, uint16_t standard, struct pst_bytes id)
{
    psti_put_header(x, code, 0, 0);
    pst_put_u16(&x->out, standard);
    pst_put_u8(&x->out, (uint8_t)id.len);
    pst_put_bytes(&x->out, id.at, id.len);
}

pst_err psti_rsp_vendor(struct pst_exchange *x)
{
    const struct pst_spdm_hooks *hooks = &x->c->config->hooks;
    struct pst_writer *w = &x->out;
    struct vendor v;
    size_t len = 0;

    if (hooks->vendor == NULL) {
        return PST_ERR_UNSUPPORTED;
    }
    PST_TRY(read_vendor(x, &v));
    put_head(x, PST_VENDOR_DEFINED_RESPONSE, v.standard, v.id);
    uint8_t *length = pst_put_room(w, 2);
    if (length == NULL) {
        return PST_ERR_SPACE;
    }
    size_t room = w->cap - w->used;
    if (room > UINT16_MAX) {
        room = UINT16_MAX;
    }
    PST_TRY(hooks->vendor(hooks->ctx, x->context, v.standard, v.id, v.payload, w->start + w->used,
                          room, &len));
    if (len > room) {
        return PST_ERR_SPACE;
    }
    w->used += len;
    pst_poke_u16(length, (uint16_t)len);
    return PST_OK;
}

pst_err psti_put_vendor(struct pst_exchange *x)
{
    const struct pst_op *op = &x->q->state.op;

    if (op->vendor_id.len > UINT8_MAX || op->payload.len > UINT16_MAX) {
        return PST_ERR_ARGUMENT;
    }
    put_head(x, PST_VENDOR_DEFINED_REQUEST, op->standard, op->vendor_id);
    pst_put_u16(&x->out, (uint16_t)op->payload.len);
    pst_put_bytes(&x->out, op->payload.at, op->payload.len);
    return PST_OK;
}

pst_err psti_take_vendor(struct pst_exchange *x)
{
    const struct pst_op *op = &x->q->state.op;
    struct vendor v;

    PST_TRY(read_vendor(x, &v));
    if (v.standard != op->standard || v.id.len != op->vendor_id.len ||
        (v.id.len > 0 && memcmp(v.id.at, op->vendor_id.at, v.id.len) != 0)) {
        return PST_ERR_DECODE;
    }
    x->q->state.answer = v.payload;
    psti_requester_done(x->q);
    return PST_OK;
}
