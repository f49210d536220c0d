/* GET_MEASUREMENTS, MEASUREMENTS, and the measurement summary hash (spec: DSP0274). */
#include "crypto/hash.h"
#include "spdm/messages.h"
#include "spdm/transcript.h"

enum { ASK_SIGNATURE = 1, ASK_RAW = 2 };
enum { COUNT = 0, ALL = 0xff };
#define SUMMARY_TCB 1
#define BLOCK_HEAD 7       /* index, specification, size; value type, value size */
#define LAST_DIGEST_TYPE 3 /* ROM, firmware, hardware and firmware configuration may be digests */

static pst_err get(const struct pst_spdm *c, size_t n, struct pst_measurement *m)
{
    const struct pst_measurements *source = c->config->measurements;

    return source == NULL ? PST_ERR_ARGUMENT
                          : source->get(source->ctx, n, (pst_hash_id)c->measurement_hash, m);
}

static bool as_digest(const struct pst_measurement *m, bool raw)
{
    return m->raw && !raw && m->type <= LAST_DIGEST_TYPE;
}

static size_t value_len(const struct pst_spdm *c, const struct pst_measurement *m, bool raw)
{
    const struct pst_algorithm *row = pst_hash_row((pst_hash_id)c->measurement_hash);

    return as_digest(m, raw) && row != NULL ? row->size : m->value.len;
}

static pst_err put_block(const struct pst_spdm *c, struct pst_writer *w,
                         const struct pst_measurement *m, bool raw)
{
    size_t len = value_len(c, m, raw);
    bool digest = as_digest(m, raw) && c->measurement_hash != 0;

    pst_put_u8(w, m->index);
    pst_put_u8(w, 1);
    pst_put_u16(w, (uint16_t)(3 + len));
    pst_put_u8(w, (uint8_t)(m->type | (m->raw && !digest ? 0x80 : 0)));
    pst_put_u16(w, (uint16_t)len);
    if (!digest) {
        pst_put_bytes(w, m->value.at, m->value.len);
        return w->failed ? PST_ERR_SPACE : PST_OK;
    }
    uint8_t *room = pst_put_room(w, len);
    if (room == NULL) {
        return PST_ERR_SPACE;
    }
    return pst_hash_once(c->config->crypto, (pst_hash_id)c->measurement_hash, m->value.at,
                         m->value.len, room);
}

bool psti_summary_valid(const struct pst_spdm *c, uint8_t type)
{
    return type == 0 ||
           ((type == SUMMARY_TCB || type == ALL) && c->measurements && c->config->measurements);
}

static pst_err hash_blocks(const struct pst_spdm *c, uint8_t type, struct pst_hash *h)
{
    const struct pst_crypto *crypto = c->config->crypto;
    struct pst_measurement m;

    for (size_t n = 0; get(c, n, &m) == PST_OK; n++) {
        uint8_t bytes[BLOCK_HEAD + PST_MAX_HASH];
        struct pst_writer w = pst_writer_of(bytes, sizeof bytes);

        if (type == SUMMARY_TCB && !m.tcb) {
            continue;
        }
        /* a raw value may be long, so only its head goes through the buffer */
        struct pst_bytes value = m.value;
        bool digest = as_digest(&m, false) && c->measurement_hash != 0;
        if (digest) {
            PST_TRY(put_block(c, &w, &m, false));
            value.len = 0;
        } else {
            pst_put_u8(&w, m.index);
            pst_put_u8(&w, 1);
            pst_put_u16(&w, (uint16_t)(3 + value.len));
            pst_put_u8(&w, (uint8_t)(m.type | (m.raw ? 0x80 : 0)));
            pst_put_u16(&w, (uint16_t)value.len);
        }
        PST_TRY(crypto->hash_update(crypto->ctx, h, bytes, w.used));
        if (value.len > 0) {
            PST_TRY(crypto->hash_update(crypto->ctx, h, value.at, value.len));
        }
    }
    return PST_OK;
}

pst_err psti_put_summary(struct pst_exchange *x, uint8_t type)
{
    const struct pst_spdm *c = x->c;
    const struct pst_crypto *crypto = c->config->crypto;
    struct pst_hash h;

    if (type == 0) {
        return PST_OK;
    }
    uint8_t *room = pst_put_room(&x->out, psti_hash_len(c));
    if (room == NULL) {
        return PST_ERR_SPACE;
    }
    PST_TRY(crypto->hash_init(crypto->ctx, &h, (pst_hash_id)c->hash));
    return psti_hash_end(crypto, &h, hash_blocks(c, type, &h), room);
}

/* -- responder -- */

struct record {
    size_t total;  /* blocks that exist */
    size_t blocks; /* blocks that are asked for */
    size_t len;    /* bytes of those */
};

static bool wanted(const struct pst_measurement *m, uint8_t operation)
{
    return operation == ALL || m->index == operation;
}

static void survey(const struct pst_spdm *c, uint8_t operation, bool raw, struct record *rec)
{
    struct pst_measurement m;

    memset(rec, 0, sizeof *rec);
    for (size_t n = 0; n < UINT8_MAX && get(c, n, &m) == PST_OK; n++) {
        rec->total++;
        if (operation != COUNT && wanted(&m, operation)) {
            rec->blocks++;
            rec->len += BLOCK_HEAD + value_len(c, &m, raw);
        }
    }
}

static pst_err put_record(struct pst_exchange *x, uint8_t operation, bool raw)
{
    struct pst_measurement m;

    for (size_t n = 0; n < UINT8_MAX && get(x->c, n, &m) == PST_OK; n++) {
        if (operation != COUNT && wanted(&m, operation)) {
            PST_TRY(put_block(x->c, &x->out, &m, raw));
        }
    }
    return PST_OK;
}

struct ask {
    uint8_t operation, slot;
    bool sign, raw;
    struct pst_bytes context;
};

static pst_err read_ask(struct pst_exchange *x, struct ask *a)
{
    struct pst_spdm *c = x->c;
    struct pst_reader r = psti_body(x);

    a->sign = (x->in[2] & ASK_SIGNATURE) != 0;
    a->raw = (x->in[2] & ASK_RAW) != 0;
    a->operation = x->in[3];
    a->slot = 0;
    if (a->sign) {
        pst_skip(&r, PST_NONCE_LEN);
        a->slot = pst_get_u8(&r) & 0xf;
        const struct pst_slot *s = psti_own_slot(c, a->slot);
        pst_require(&r, (c->ours & PST_CAP_MEAS) == PST_CAP_MEAS_SIGNED && s != NULL &&
                            psti_own_may(c, s, PST_USE_MEASUREMENT));
    }
    a->context = pst_get_block(&r, c->minor >= 3 ? PST_CONTEXT_LEN : 0);
    pst_require(&r, c->measurements);
    return psti_close(x, &r);
}

/* spec: DSP0274, MEASUREMENTS: the content changed field. */
static unsigned content_change(const struct pst_spdm *c)
{
    const struct pst_measurements *source = c->config->measurements;

    return source == NULL ? 0 : (source->change & 3u) << 4;
}

static pst_err write_measurements(struct pst_exchange *x, const struct ask *a)
{
    struct pst_spdm *c = x->c;
    struct pst_writer *w = &x->out;
    struct record rec;
    size_t signature = a->sign ? psti_signature_len(c, PST_ROLE_RESPONDER) : 0;

    survey(c, a->operation, a->raw, &rec);
    if (a->operation != COUNT && rec.blocks == 0) {
        return PST_ERR_DECODE;
    }
    size_t need = 8 + rec.len + PST_NONCE_LEN + 2 + a->context.len + signature;
    x->refusal_size = (uint32_t)need;
    if (need > w->cap - w->used) {
        return PST_ERR_SPACE;
    }
    psti_put_header(x, PST_MEASUREMENTS, a->operation == COUNT ? (uint8_t)rec.total : 0,
                    a->sign ? (uint8_t)(a->slot | content_change(c)) : 0);
    pst_put_u8(w, (uint8_t)rec.blocks);
    pst_put_u24(w, (uint32_t)rec.len);
    PST_TRY(put_record(x, a->operation, a->raw));
    PST_TRY(psti_put_random(x, PST_NONCE_LEN));
    pst_put_u16(w, 0);
    pst_put_bytes(w, a->context.at, a->context.len);
    return w->failed ? PST_ERR_SPACE : PST_OK;
}

static pst_err signed_measurements(struct pst_exchange *x)
{
    psti_l_clear(x->c, x->context == PST_SPDM_CLEAR ? NULL : x->session);
    return PST_OK;
}

static pst_err respond(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->context == PST_SPDM_CLEAR ? NULL : x->session;
    uint8_t digest[PST_MAX_HASH];
    struct ask a;

    PST_TRY(read_ask(x, &a));
    PST_TRY(write_measurements(x, &a));
    PST_TRY(psti_l_add(c, s, x->in, x->in_len));
    PST_TRY(psti_l_add(c, s, psti_out_bytes(x).at, psti_out_bytes(x).len));
    if (!a.sign) {
        return PST_OK;
    }
    PST_TRY(psti_l_digest(c, s, digest));
    return psti_sign(x, a.slot, PST_SIGN_MEASUREMENTS, digest, signed_measurements);
}

/* spec: DSP0274, L1/L2: an ERROR in answer to GET_MEASUREMENTS starts the log again */
static pst_err ended(struct pst_exchange *x, pst_err err)
{
    if (err != PST_OK) {
        (void)signed_measurements(x);
    }
    return err;
}

pst_err psti_rsp_measurements(struct pst_exchange *x)
{
    x->end = ended;
    return respond(x);
}

/* -- requester -- */

pst_err psti_put_measurements(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    const struct pst_op *op = &x->q->state.op;
    unsigned ask = (op->sign ? ASK_SIGNATURE : 0) | (op->raw ? ASK_RAW : 0);

    if (op->sign && (!c->chain.known || c->chain.slot != op->slot)) {
        return PST_ERR_STATE;
    }
    if (op->sign && (c->theirs & PST_CAP_MEAS) != PST_CAP_MEAS_SIGNED) {
        return PST_ERR_UNSUPPORTED;
    }
    psti_put_header(x, PST_GET_MEASUREMENTS, (uint8_t)ask, op->index);
    if (op->sign) {
        PST_TRY(psti_put_random(x, PST_NONCE_LEN));
        pst_put_u8(&x->out, op->slot);
    }
    if (c->minor >= 3) {
        PST_TRY(psti_put_random(x, PST_CONTEXT_LEN));
    }
    return PST_OK;
}

/* The record consists of `blocks` whole blocks. */
static bool record_holds(struct pst_bytes record, uint8_t blocks)
{
    struct pst_reader r = pst_reader_of(record.at, record.len);

    for (; blocks > 0 && !r.failed; blocks--) {
        pst_skip(&r, 2);
        pst_skip(&r, pst_get_u16(&r));
    }
    return pst_finish(&r) == PST_OK;
}

struct answer {
    struct pst_bytes record, context;
    const uint8_t *signature; /* NULL: none was asked for */
};

static pst_err read_answer(struct pst_exchange *x, struct answer *a)
{
    struct pst_spdm *c = x->c;
    const struct pst_op *op = &x->q->state.op;
    struct pst_reader r = psti_body(x);

    uint8_t blocks = pst_get_u8(&r);
    a->record = pst_get_block(&r, pst_get_u24(&r));
    pst_skip(&r, PST_NONCE_LEN);
    (void)psti_get_opaque(&r, c);
    a->context = pst_get_block(&r, c->minor >= 3 ? PST_CONTEXT_LEN : 0);
    struct pst_bytes signature =
        pst_get_block(&r, op->sign ? psti_signature_len(c, PST_ROLE_RESPONDER) : 0);
    a->signature = op->sign ? signature.at : NULL;
    pst_require(&r, record_holds(a->record, blocks));
    pst_require(&r, !op->sign || (x->in[3] & 0xf) == op->slot);
    pst_require(&r, op->index != COUNT || blocks == 0);
    return psti_close(x, &r);
}

static pst_err accept(struct pst_exchange *x)
{
    struct pst_requester_state *q = &x->q->state;
    struct answer a;

    PST_TRY(read_answer(x, &a));
    q->answer = q->op.index == COUNT ? (struct pst_bytes){x->in + 2, 1} : a.record;
    psti_requester_done(x->q);
    return PST_OK;
}

static pst_err verify_log(struct pst_exchange *x, const uint8_t *signature)
{
    struct pst_spdm *c = x->c;
    struct pst_spdm_session *s = x->context == PST_SPDM_CLEAR ? NULL : x->session;
    uint8_t digest[PST_MAX_HASH];
    size_t len = signature == NULL ? x->in_len : (size_t)(signature - x->in);

    PST_TRY(psti_l_add(c, s, x->q->state.request, x->q->state.request_len));
    PST_TRY(psti_l_add(c, s, x->in, len));
    if (signature == NULL) {
        return accept(x);
    }
    PST_TRY(psti_l_digest(c, s, digest));
    psti_l_clear(c, s);
    return psti_verify(x, PST_SIGN_MEASUREMENTS, digest, signature, accept);
}

pst_err psti_take_measurements(struct pst_exchange *x)
{
    const struct pst_requester_state *q = &x->q->state;
    const uint8_t *sent = q->request + q->request_len - PST_CONTEXT_LEN;
    struct answer a;

    PST_TRY(read_answer(x, &a));
    if (a.context.len > 0 && memcmp(a.context.at, sent, PST_CONTEXT_LEN) != 0) {
        return PST_ERR_AUTH;
    }
    return verify_log(x, a.signature);
}
