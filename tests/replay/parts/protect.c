/* Opens and reseals recorded records. */
#include "protect.h"

#include <string.h>

#include "openssl/openssl_port.h"

#define SESSION 0xFFFFFFFFu /* what every recording has */

static pst_err recorded_padding(void *ctx, void *out, size_t len)
{
    const struct protect *p = ctx;

    if (len != p->padding.len) {
        return PST_ERR_RANDOM;
    }
    memcpy(out, p->padding.at, len);
    return PST_OK;
}

bool protect_init(struct recording *c, struct protect *p)
{
    struct pst_record_config config = {.crypto = &p->crypto};

    *p = (struct protect){.crypto = *pst_openssl_crypto()};
    p->crypto.ctx = p; /* the OpenSSL port keeps no state behind it */
    p->crypto.random = recorded_padding;
    config.sequence_len = c->binding == BINDING_MCTP ? 2 : 0;
    config.sends = PST_TO_RESPONDER;
    if (pst_record_init(&p->requester, &config) != PST_OK) {
        return case_fail(c, "record init");
    }
    config.sends = PST_TO_REQUESTER;
    if (pst_record_init(&p->responder, &config) != PST_OK) {
        return case_fail(c, "record init");
    }
    return true;
}

bool protect_place(struct recording *c, struct protect *p, pst_key_phase phase,
                   pst_direction direction, const struct pst_traffic_key *key)
{
    p->open = true;
    if (pst_record_place(&p->requester, SESSION, phase, direction, c->encrypt, key) != PST_OK ||
        pst_record_place(&p->responder, SESSION, phase, direction, c->encrypt, key) != PST_OK) {
        return case_fail(c, "placing keys");
    }
    return true;
}

void protect_wipe(struct protect *p)
{
    pst_record_wipe(&p->requester);
    pst_record_wipe(&p->responder);
    p->open = false;
}

/* spec: DSP0276, DSP0287: what precedes the message inside a record. */
static void inner_prefix(const struct recording *c, const struct message *m, struct blob *plain)
{
    uint8_t tcp[4] = {0, 0, 1, 5};

    if (m->app.len > 0) {
        return;
    }
    if (c->binding == BINDING_MCTP) {
        blob_add(plain, "\x05", 1);
    }
    if (c->binding == BINDING_TCP) {
        pst_poke_u16(tcp, (uint16_t)(m->spdm.len + 2));
        blob_add(plain, tcp, sizeof tcp);
    }
}

static bool reseal(struct recording *c, struct pst_record *from, const struct message *m,
                   struct pst_bytes record, struct pst_bytes plain, size_t padding)
{
    static uint8_t out[65536 + PST_RECORD_OVERHEAD];
    size_t len = 0;

    memcpy(out + pst_record_head(from), plain.at, plain.len);
    if (pst_record_seal(from, out, sizeof out, plain.len, padding, &len) != PST_OK) {
        return case_fail(c, "message %d: not sealed", m->n);
    }
    if (len > record.len || memcmp(out, record.at, len) != 0) {
        return case_fail(c, "message %d: sealing gives other bytes", m->n);
    }
    return true;
}

bool protect_message(struct recording *c, struct protect *p, const struct message *m,
                     struct pst_bytes record)
{
    struct pst_record *to = m->request ? &p->responder : &p->requester;
    struct pst_record *from = m->request ? &p->requester : &p->responder;
    struct blob copy = {NULL, 0, 0}, plain = {NULL, 0, 0};
    struct pst_bytes payload;
    pst_key_phase phase;
    bool good = true;

    blob_put(&copy, record);
    pst_err err = pst_record_open(to, copy.at, copy.len, &payload, &phase);
    inner_prefix(c, m, &plain);
    blob_put(&plain, m->app.len > 0 ? m->app : m->spdm);
    if (err != PST_OK) {
        good = case_fail(c, "message %d (%s): record: %s", m->n, m->name, pst_err_text(err));
    } else if (payload.len != plain.len || memcmp(payload.at, plain.at, plain.len) != 0) {
        good = case_fail(c, "message %d (%s): the record holds something else", m->n, m->name);
    }
    if (good) {
        const uint8_t *end = payload.at + payload.len;
        size_t body = pst_peek_u16(record.at + (c->binding == BINDING_MCTP ? 6 : 4));
        const uint8_t *tag = copy.at + (c->binding == BINDING_MCTP ? 8 : 6) + body - PST_TAG_LEN;

        p->padding = (struct pst_bytes){end, (size_t)(tag - end)};
        good = reseal(c, from, m, record, payload, p->padding.len);
    }
    blob_free(&copy);
    blob_free(&plain);
    return good;
}
