/* GET_DIGESTS, DIGESTS (spec: DSP0274). */
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/transcript.h"

#define KEYS_MAX (PST_MAX_SLOTS * 4) /* key pair, model, usage of each slot */

static bool own_multi(const struct pst_spdm *c)
{
    return c->role == PST_ROLE_RESPONDER ? c->multi_rsp : c->multi_req;
}

static pst_err put_digests(struct pst_exchange *x, uint8_t mask)
{
    struct pst_spdm *c = x->c;

    for (unsigned i = 0; i < PST_MAX_SLOTS; i++) {
        if ((mask >> i & 1) == 0) {
            continue;
        }
        uint8_t *room = pst_put_room(&x->out, psti_hash_len(c));
        if (room == NULL) {
            return PST_ERR_SPACE;
        }
        PST_TRY(psti_own_digest(c, i, room));
    }
    return PST_OK;
}

/* The three lists of a multi-key connection. */
static void put_keys(const struct pst_spdm *c, struct pst_writer *w, uint8_t mask)
{
    for (unsigned field = 0; field < 3; field++) {
        for (unsigned i = 0; i < PST_MAX_SLOTS; i++) {
            const struct pst_slot *s = c->config->slots[i];

            if ((mask >> i & 1) == 0) {
                continue;
            }
            if (field == 0) {
                pst_put_u8(w, s->key_pair_id);
            } else if (field == 1) {
                pst_put_u8(w, s->model & 7);
            } else {
                pst_put_u16(w, s->key_usage);
            }
        }
    }
}

static void put_head(const struct pst_spdm *c, struct pst_writer *w, uint8_t mask)
{
    pst_put_u8(w, (uint8_t)(0x10 | c->minor));
    pst_put_u8(w, PST_DIGESTS);
    pst_put_u8(w, c->minor >= 3 ? mask : 0);
    pst_put_u8(w, mask);
}

static pst_err put_message(struct pst_exchange *x)
{
    uint8_t mask = psti_own_mask(x->c);

    if (mask == 0) {
        return psti_refuse(x, PST_SPDM_UNSPECIFIED);
    }
    put_head(x->c, &x->out, mask);
    PST_TRY(put_digests(x, mask));
    if (own_multi(x->c)) {
        put_keys(x->c, &x->out, mask);
    }
    return x->out.failed ? PST_ERR_SPACE : PST_OK;
}

/* The first DIGESTS that the requester delivers in a handshake follows KEY_EXCHANGE_RSP in TH
 * (encapD). The responder adds it when it arrives. */
static pst_err note_encapsulated(struct pst_exchange *x)
{
    struct pst_requester_state *s = &x->q->state;

    if (s->encap != PST_ENCAP_SESSION || s->encap_d_taken || !x->c->multi_req) {
        return PST_OK;
    }
    s->encap_d_taken = true;
    return psti_th_add(x->c, x->session, psti_out_bytes(x).at, psti_out_bytes(x).len);
}

pst_err psti_serve_digests(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;

    PST_TRY(put_message(x));
    if (x->q != NULL) {
        PST_TRY(note_encapsulated(x));
    }
    if (x->context != PST_SPDM_CLEAR || x->session != NULL) {
        return PST_OK;
    }
    if (c->role == PST_ROLE_RESPONDER) {
        psti_m_clear(c);
        c->d_taken = c->d_taken || c->d_open;
        c->d_open = false;
    }
    PST_TRY(psti_m_add(c, x->in, x->in_len));
    return psti_m_add(c, psti_out_bytes(x).at, psti_out_bytes(x).len);
}

/* D is not kept: it is the same message each time. It is hashed in pieces, because no buffer here
 * holds all of it. */
static pst_err add_digests(struct pst_spdm *c, struct pst_spdm_session *s)
{
    uint8_t mask = psti_own_mask(c), piece[PST_MAX_HASH > KEYS_MAX ? PST_MAX_HASH : KEYS_MAX];
    struct pst_writer w = pst_writer_of(piece, sizeof piece);

    put_head(c, &w, mask);
    PST_TRY(psti_th_add(c, s, piece, w.used));
    for (unsigned i = 0; i < PST_MAX_SLOTS; i++) {
        if ((mask >> i & 1) != 0) {
            PST_TRY(psti_own_digest(c, i, piece));
            PST_TRY(psti_th_add(c, s, piece, psti_hash_len(c)));
        }
    }
    w = pst_writer_of(piece, sizeof piece);
    put_keys(c, &w, mask);
    return psti_th_add(c, s, piece, w.used);
}

pst_err psti_digests_start(struct pst_spdm *c, struct pst_spdm_session *s)
{
    PST_TRY(psti_th_start(c, s, &c->transcript.u.hash.vca));
    return c->multi_rsp && c->d_taken ? add_digests(c, s) : PST_OK;
}

static unsigned count_bits(uint8_t mask)
{
    unsigned n = 0;

    for (; mask != 0; mask &= (uint8_t)(mask - 1)) {
        n++;
    }
    return n;
}

pst_err psti_digests_read(struct pst_exchange *x, bool multi, struct pst_digests *d)
{
    struct pst_reader r = psti_body(x);
    uint8_t supported = x->in[2];

    d->mask = x->in[3];
    size_t n = count_bits(d->mask);
    d->digests = pst_get_block(&r, n * psti_hash_len(x->c)).at;
    d->usage = NULL;
    if (multi) {
        pst_skip(&r, 2 * n);
        d->usage = pst_get_block(&r, 2 * n).at;
    }
    pst_require(&r, n > 0);
    pst_require(&r, x->c->minor < 3 || (d->mask & ~(unsigned)supported) == 0);
    return psti_close(x, &r);
}

static unsigned place_of(const struct pst_digests *d, unsigned slot)
{
    return count_bits((uint8_t)(d->mask & ((1u << slot) - 1)));
}

const uint8_t *psti_digests_of(const struct pst_digests *d, unsigned slot, size_t hash_len)
{
    if (slot >= PST_MAX_SLOTS || (d->mask >> slot & 1) == 0) {
        return NULL;
    }
    return d->digests + place_of(d, slot) * hash_len;
}

bool psti_digests_may(const struct pst_digests *d, unsigned slot, uint16_t usage)
{
    return d->usage == NULL || (pst_peek_u16(d->usage + 2 * place_of(d, slot)) & usage) != 0;
}

pst_err psti_put_digests(struct pst_exchange *x)
{
    psti_put_header(x, PST_GET_DIGESTS, 0, 0);
    return PST_OK;
}

static pst_err remember(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *s = &x->q->state;
    const struct pst_crypto *crypto = c->config->crypto;

    if (c->d_open && c->multi_rsp) {
        PST_TRY(crypto->hash_update(crypto->ctx, &s->ad, x->in, x->in_len));
        c->d_taken = true;
    }
    c->d_open = false;
    psti_m_clear(c);
    PST_TRY(psti_m_add(c, s->request, s->request_len));
    return psti_m_add(c, x->in, x->in_len);
}

pst_err psti_take_digests(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *s = &x->q->state;
    struct pst_digests d;

    PST_TRY(psti_digests_read(x, c->multi_rsp, &d));
    for (unsigned i = 0; i < PST_MAX_SLOTS; i++) {
        const uint8_t *digest = psti_digests_of(&d, i, psti_hash_len(c));

        if (digest != NULL) {
            memcpy(s->digests[i], digest, psti_hash_len(c));
        }
    }
    s->digest_mask = d.mask;
    if (x->context == PST_SPDM_CLEAR) {
        PST_TRY(remember(x));
    }
    psti_requester_done(x->q);
    return PST_OK;
}
