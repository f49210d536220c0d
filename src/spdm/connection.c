/* What every message needs: what was agreed on, the clock, reading and writing a message. Calls
 * nothing else of this folder. */
#include "spdm/session.h"

#define BINDING_PADDING 3 /* a PCIe DOE object is padded to four bytes */

struct pst_reader psti_body(const struct pst_exchange *x)
{
    struct pst_reader r = pst_reader_of(x->in, x->in_len);

    pst_skip(&r, 4);
    return r;
}

pst_err psti_close(struct pst_exchange *x, const struct pst_reader *r)
{
    if (!pst_reader_ok(r)) {
        return PST_ERR_DECODE;
    }
    if (x->context != PST_SPDM_CLEAR || r->left > BINDING_PADDING) {
        return pst_finish(r);
    }
    for (size_t i = 0; i < r->left; i++) {
        if (r->at[i] != 0) {
            return PST_ERR_DECODE;
        }
    }
    x->in_len -= r->left;
    return PST_OK;
}

void psti_put_header(struct pst_exchange *x, uint8_t code, uint8_t param1, uint8_t param2)
{
    pst_put_u8(&x->out, (uint8_t)(0x10 | x->c->minor));
    pst_put_u8(&x->out, code);
    pst_put_u8(&x->out, param1);
    pst_put_u8(&x->out, param2);
}

pst_err psti_put_random(struct pst_exchange *x, size_t len)
{
    const struct pst_crypto *crypto = x->c->config->crypto;
    uint8_t *at = pst_put_room(&x->out, len);

    return at == NULL ? PST_ERR_SPACE : crypto->random(crypto->ctx, at, len);
}

struct pst_bytes psti_out_bytes(const struct pst_exchange *x)
{
    return (struct pst_bytes){x->out.start + x->base, x->out.used - x->base};
}

bool psti_both(const struct pst_spdm *c, uint32_t flag)
{
    return (c->ours & flag) != 0 && (c->theirs & flag) != 0;
}

size_t psti_hash_len(const struct pst_spdm *c)
{
    const struct pst_algorithm *row = pst_hash_row((pst_hash_id)c->hash);

    return row == NULL ? 0 : row->size;
}

uint64_t psti_now(const struct pst_spdm *c)
{
    return c->config->now_ms == NULL ? 0 : c->config->now_ms(c->config->now_ctx);
}

uint64_t psti_exponent_ms(uint8_t exponent)
{
    /* 32 bits suffice, and a small target needs no 64-bit division */
    return ((UINT32_C(1) << (exponent & 31)) + 999u) / 1000u;
}

void psti_spdm_start(struct pst_spdm *c, const struct pst_spdm_config *config, pst_role role)
{
    memset(c, 0, sizeof *c);
    c->config = config;
    c->role = (uint8_t)role;
    c->phase = PST_AT_START;
}

enum pst_phase psti_phase_of(const struct pst_spdm *c, const struct pst_exchange *x)
{
    const struct pst_spdm_session *s = x->session;

    if (x->context == PST_SPDM_CLEAR) {
        return s != NULL ? PST_AT_CLEAR_HANDSHAKE : (enum pst_phase)c->phase;
    }
    return s->phase == PST_SESSION_APPLICATION ? PST_AT_APPLICATION : PST_AT_HANDSHAKE;
}
