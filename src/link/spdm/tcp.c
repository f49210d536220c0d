#include "postern/links/spdm_tcp.h"

#include <string.h>

#define VERSION 1
#define COUNTED 2 /* version and type: the header bytes that its length counts */
#define MOST (0xFFFF - COUNTED)

enum type { CLEAR = 0x05, SECURED = 0x06, ROLE = 0xBF, ERROR_FIRST = 0xC0, ERROR_LAST = 0xC3 };

const struct pst_link_traits pst_spdm_tcp_traits = {
    .mtu = MOST,
    .ordered = true,
    .lossy = false,
    .shared = false,
    .pushes = false,
    .native = true,
    .sequence_len = 0,
};

void pst_spdm_tcp_init(struct pst_spdm_tcp *t)
{
    memset(t, 0, sizeof *t);
}

size_t pst_spdm_tcp_greet(bool target, uint8_t out[PST_SPDM_TCP_GREETING])
{
    const struct pst_hello hello = pst_link_hello_of(&pst_spdm_tcp_traits, !target, MOST);
    const size_t len = pst_link_put_hello(out + PST_LINK_HEADER, &hello);

    return pst_framing_header(out, PST_LINK_CONTROL, len) == PST_OK ? PST_LINK_HEADER + len : 0;
}

/* Turns the header of the owner's link message into that of a frame. */
static pst_err frame_head(struct pst_spdm_tcp *t)
{
    struct pst_reader r = pst_reader_of(t->out.head, sizeof t->out.head);
    const uint32_t len = pst_get_u24(&r);
    const uint8_t kind = pst_get_u8(&r);

    t->out.left = len;
    t->out.passes = kind != PST_LINK_CONTROL;
    if (!t->out.passes) {
        return len <= PST_LINK_CONTROL_MAX ? PST_OK : PST_ERR_DECODE;
    }
    if (kind == PST_LINK_CLEAR || len > MOST) {
        return PST_ERR_UNSUPPORTED;
    }
    if (kind != PST_LINK_SPDM && kind != PST_LINK_RECORD) {
        return PST_ERR_DECODE;
    }
    pst_poke_u16(t->out.head, (uint16_t)(len + COUNTED));
    t->out.head[2] = VERSION;
    t->out.head[3] = kind == PST_LINK_SPDM ? CLEAR : SECURED;
    return PST_OK;
}

/* Turns the header of a frame into that of a link message. */
static pst_err link_head(struct pst_spdm_tcp *t)
{
    const uint16_t counted = pst_peek_u16(t->in.head);
    const uint8_t type = t->in.head[3];

    if (t->in.head[2] != VERSION) {
        return PST_ERR_VERSION;
    }
    if (type >= ERROR_FIRST && type <= ERROR_LAST) {
        t->peer_error = type;
        return PST_ERR_PEER;
    }
    t->in.passes = type != ROLE;
    if ((type != CLEAR && type != SECURED && type != ROLE) || (counted < COUNTED && t->in.passes)) {
        return PST_ERR_DECODE;
    }
    t->in.left = counted >= COUNTED ? counted - COUNTED : 0;
    return pst_framing_header(t->in.head, type == CLEAR ? PST_LINK_SPDM : PST_LINK_RECORD,
                              t->in.left);
}

/* Handles a complete control message of the owner. It is not sent. */
static pst_err stop_here(const struct pst_spdm_tcp *t, size_t len)
{
    struct pst_hello hello;
    uint8_t op;
    pst_err why;

    PST_TRY(pst_link_get_control(t->out.control, len, &op, &hello, &why));
    return op == PST_CONTROL_HELLO && (hello.shared || hello.mctp) ? PST_ERR_PROFILE : PST_OK;
}

pst_err pst_spdm_tcp_out(struct pst_spdm_tcp *t, const uint8_t *in, size_t in_len, uint8_t *out,
                         size_t *len)
{
    size_t at = 0;

    *len = 0;
    while (at < in_len) {
        if (t->out.have < sizeof t->out.head) {
            t->out.head[t->out.have++] = in[at++];
            if (t->out.have < sizeof t->out.head) {
                continue;
            }
            PST_TRY(frame_head(t));
            if (t->out.passes) {
                memcpy(out + *len, t->out.head, sizeof t->out.head);
                *len += sizeof t->out.head;
            }
        }
        const size_t n = in_len - at < t->out.left ? in_len - at : t->out.left;
        if (t->out.passes) {
            memcpy(out + *len, in + at, n);
            *len += n;
        } else {
            memcpy(t->out.control + (t->out.head[0] - t->out.left), in + at, n);
        }
        at += n;
        t->out.left -= (uint32_t)n;
        if (t->out.left == 0) {
            t->out.have = 0;
            if (!t->out.passes) {
                PST_TRY(stop_here(t, t->out.head[0]));
            }
        }
    }
    return PST_OK;
}

pst_err pst_spdm_tcp_in(struct pst_spdm_tcp *t, const uint8_t *in, size_t in_len, uint8_t *out,
                        size_t *len)
{
    size_t at = 0;

    *len = 0;
    while (at < in_len) {
        if (t->in.have < sizeof t->in.head) {
            t->in.head[t->in.have++] = in[at++];
            if (t->in.have < sizeof t->in.head) {
                continue;
            }
            PST_TRY(link_head(t));
            if (t->in.passes) {
                memcpy(out + *len, t->in.head, sizeof t->in.head);
                *len += sizeof t->in.head;
            }
        }
        const size_t n = in_len - at < t->in.left ? in_len - at : t->in.left;
        if (t->in.passes) {
            memcpy(out + *len, in + at, n);
            *len += n;
        }
        at += n;
        t->in.left -= (uint32_t)n;
        if (t->in.left == 0) {
            t->in.have = 0;
        }
    }
    return PST_OK;
}
