/* GET_CAPABILITIES, CAPABILITIES (spec: DSP0274). */
#include "spdm/messages.h"
#include "spdm/transcript.h"

#define CT_EXPONENT_MAX 31

/* The flags that a version defines for a role; all others are reserved. */
static uint32_t defined(pst_role role, uint8_t minor)
{
    uint32_t flags = role == PST_ROLE_RESPONDER ? 0x003fffffu : 0x0003ffc6u;

    if (minor >= 3) {
        flags |= role == PST_ROLE_RESPONDER ? 0x3fc00000u : 0x0ec00000u;
    }
    return flags;
}

static bool any(uint32_t flags, uint32_t mask)
{
    return (flags & mask) != 0;
}

/* spec: DSP0274, capability flags: what each flag demands of others */
static bool consistent(uint32_t f, pst_role role)
{
    bool rsp = role == PST_ROLE_RESPONDER;
    bool identity = any(f, PST_CAP_CERT | PST_CAP_PUB_KEY_ID);
    bool signs = any(f, PST_CAP_CHAL | PST_CAP_KEY_EX) || (rsp && any(f, PST_CAP_MEAS_SIGNED)) ||
                 any(f, PST_CAP_EP_INFO_SIGNED);
    uint32_t session = PST_CAP_MAC | PST_CAP_ENCRYPT;
    uint32_t needs_session =
        session | PST_CAP_CLEAR_HANDSHAKE | PST_CAP_HBEAT | PST_CAP_KEY_UPD | PST_CAP_EVENT;
    uint32_t needs_identity = PST_CAP_CHAL | PST_CAP_MUT_AUTH | PST_CAP_EP_INFO_SIGNED;

    if (rsp) {
        needs_identity |= PST_CAP_KEY_EX | PST_CAP_MEAS_SIGNED;
    }
    if ((f & PST_CAP_PSK) == PST_CAP_PSK || (!rsp && any(f, 2u << 10)) ||
        (f & PST_CAP_MEAS) == PST_CAP_MEAS || (f & PST_CAP_EP_INFO) == PST_CAP_EP_INFO ||
        (f & PST_CAP_MULTI_KEY) == PST_CAP_MULTI_KEY) {
        return false;
    }
    if (any(f, PST_CAP_KEY_EX | PST_CAP_PSK) ? !any(f, session) : any(f, needs_session)) {
        return false;
    }
    if (!any(f, PST_CAP_KEY_EX) && any(f, PST_CAP_CLEAR_HANDSHAKE)) {
        return false;
    }
    if (any(f, PST_CAP_CERT) && any(f, PST_CAP_PUB_KEY_ID)) {
        return false;
    }
    if (identity ? !signs : any(f, needs_identity)) {
        return false;
    }
    if (any(f, PST_CAP_MUT_AUTH) && !any(f, PST_CAP_KEY_EX | PST_CAP_CHAL)) {
        return false;
    }
    if (any(f, PST_CAP_ENCRYPT) && !any(f, PST_CAP_MAC)) {
        return false;
    }
    if (any(f, PST_CAP_MULTI_KEY) &&
        (!any(f, PST_CAP_CERT) || (rsp && !any(f, PST_CAP_GET_KEY_PAIR_INFO)))) {
        return false;
    }
    if (!rsp) {
        return true;
    }
    return (any(f, PST_CAP_MEAS) || !any(f, PST_CAP_MEAS_FRESH)) &&
           (any(f, PST_CAP_CERT) || !any(f, PST_CAP_ALIAS_CERT | PST_CAP_SET_CERT)) &&
           (any(f, PST_CAP_SET_CERT) || !any(f, PST_CAP_CSR)) &&
           (any(f, PST_CAP_CSR | PST_CAP_SET_CERT) || !any(f, PST_CAP_CERT_INSTALL_RESET)) &&
           (!any(f, PST_CAP_PUB_KEY_ID) ||
            !any(f, PST_CAP_GET_KEY_PAIR_INFO | PST_CAP_SET_KEY_PAIR_INFO));
}

bool psti_capabilities_fit(uint32_t flags, pst_role role, uint8_t minor)
{
    return consistent(flags & defined(role, minor), role);
}

/* In 1.2 mutual authentication implies encapsulation: 1.3 says so, and libspdm does so. */
static uint32_t effective(uint32_t flags, uint8_t minor)
{
    return minor == 2 && any(flags, PST_CAP_MUT_AUTH) ? flags | PST_CAP_ENCAP : flags;
}

static void put(struct pst_exchange *x, uint8_t code)
{
    struct pst_spdm *c = x->c;
    const struct pst_spdm_config *config = c->config;
    uint32_t flags = config->capabilities & defined((pst_role)c->role, c->minor);
    uint32_t message = config->message_size != 0 ? config->message_size : config->transfer_size;

    psti_put_header(x, code, 0, 0);
    pst_put_u8(&x->out, 0);
    pst_put_u8(&x->out, config->ct_exponent);
    pst_put_u16(&x->out, 0);
    pst_put_u32(&x->out, flags);
    pst_put_u32(&x->out, config->transfer_size);
    pst_put_u32(&x->out, message);
    c->ours = effective(flags, c->minor);
}

/* `minor`: of the message that was received. */
static pst_err take(struct pst_exchange *x, uint8_t minor)
{
    struct pst_spdm *c = x->c;
    pst_role peer = c->role == PST_ROLE_RESPONDER ? PST_ROLE_REQUESTER : PST_ROLE_RESPONDER;
    struct pst_reader r = psti_body(x);

    pst_skip(&r, 1);
    uint8_t ct = pst_get_u8(&r);
    pst_skip(&r, 2);
    uint32_t flags = pst_get_u32(&r) & defined(peer, minor);
    uint32_t transfer = pst_get_u32(&r);
    uint32_t message = pst_get_u32(&r);
    pst_require(&r, ct <= CT_EXPONENT_MAX && consistent(flags, peer));
    pst_require(&r, transfer >= PST_SPDM_MIN_TRANSFER && message >= transfer);
    pst_require(&r, any(flags, PST_CAP_CHUNK) || message == transfer);
    PST_TRY(psti_close(x, &r));
    c->peer_ct = ct;
    c->peer_transfer = transfer;
    c->theirs = effective(flags, minor);
    return PST_OK;
}

pst_err psti_rsp_capabilities(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    uint8_t minor = x->in[0] & 0xf; /* dispatch has checked that we speak it */

    /* the algorithms may be in the same message only if both sides support chunks */
    if (minor >= 3 && (x->in[2] & 1) != 0 && !any(pst_peek_u32(x->in + 8), PST_CAP_CHUNK)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(take(x, minor));
    c->minor = minor;
    put(x, PST_CAPABILITIES);
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    PST_TRY(psti_vca_add(c, x->in, x->in_len));
    PST_TRY(psti_vca_add(c, psti_out_bytes(x).at, psti_out_bytes(x).len));
    c->phase = PST_AT_CAPABILITIES;
    return PST_OK;
}

pst_err psti_put_capabilities(struct pst_exchange *x)
{
    put(x, PST_GET_CAPABILITIES);
    return PST_OK;
}

pst_err psti_take_capabilities(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *s = &x->q->state;

    PST_TRY(take(x, c->minor));
    PST_TRY(psti_vca_add(c, s->request, s->request_len));
    PST_TRY(psti_vca_add(c, x->in, x->in_len));
    c->phase = PST_AT_CAPABILITIES;
    s->step = PST_STEP_ALGORITHMS;
    return PST_OK;
}
