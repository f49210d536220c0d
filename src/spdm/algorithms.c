/* NEGOTIATE_ALGORITHMS, ALGORITHMS (spec: DSP0274). The responder picks, by its own preference. */
#include "spdm/messages.h"
#include "spdm/transcript.h"

enum class { HASH, SIG, DH, AEAD };
enum { TYPE_DHE = 2, TYPE_AEAD, TYPE_REQ_ASYM, TYPE_KEY_SCHEDULE, TYPES = 4 };
#define DMTF_MEASUREMENTS 1u
#define DMTF_MEL 1u /* measurement extension log */
#define SPDM_KEY_SCHEDULE 1u
#define REQUEST_MAX 128

/* AlgStructures of one message, by type: what is offered or selected. */
struct tables {
    uint16_t bits[TYPES];
    uint8_t present; /* bit 0: TYPE_DHE */
};

static const struct pst_algorithm *row_of(enum class k, uint8_t id)
{
    switch (k) {
    case HASH:
        return pst_hash_row((pst_hash_id)id);
    case SIG:
        return pst_sig_row((pst_sig_id)id);
    case DH:
        return pst_dh_row((pst_dh_id)id);
    case AEAD:
        return pst_aead_row((pst_aead_id)id);
    default:
        return NULL;
    }
}

/* The bits of a preference list. With `within`: only the bit, and in `chosen` the id, of the first
 * one that is in there. */
static uint32_t offer(const struct pst_spdm *c, enum class k, const uint8_t *ids, uint32_t within,
                      uint8_t *chosen)
{
    uint32_t bits = 0;

    for (; ids != NULL && *ids != 0; ids++) {
        const struct pst_algorithm *row = row_of(k, *ids);

        if (row == NULL || row->since_minor > c->minor) {
            continue;
        }
        bits |= row->spdm_bit;
        if ((row->spdm_bit & within) != 0) {
            *chosen = *ids;
            return row->spdm_bit;
        }
    }
    return within != 0 ? 0 : bits;
}

static uint32_t choose(const struct pst_spdm *c, enum class k, const uint8_t *ids, uint32_t offered,
                       uint8_t *chosen)
{
    *chosen = 0;
    return offered == 0 ? 0 : offer(c, k, ids, offered, chosen);
}

static void read_tables(struct pst_reader *r, uint8_t count, struct tables *t)
{
    uint8_t last = 0;

    memset(t, 0, sizeof *t);
    for (; count > 0 && !r->failed; count--) {
        uint8_t type = pst_get_u8(r);
        uint8_t sizes = pst_get_u8(r);
        uint16_t bits = pst_get_u16(r);

        pst_skip(r, 4u * (sizes & 0xf)); /* external algorithms are not supported */
        pst_require(r, type >= TYPE_DHE && type <= TYPE_KEY_SCHEDULE && type > last &&
                           sizes >> 4 == 2);
        if (r->failed) {
            return;
        }
        last = type;
        t->bits[type - TYPE_DHE] = bits;
        t->present |= (uint8_t)(1u << (type - TYPE_DHE));
    }
}

static void put_tables(struct pst_writer *w, const struct tables *t)
{
    for (unsigned i = 0; i < TYPES; i++) {
        if ((t->present >> i & 1) == 0) {
            continue;
        }
        pst_put_u8(w, (uint8_t)(TYPE_DHE + i));
        pst_put_u8(w, 0x20);
        pst_put_u16(w, t->bits[i]);
    }
}

static uint8_t table_count(const struct tables *t)
{
    return (uint8_t)((t->present & 1) + (t->present >> 1 & 1) + (t->present >> 2 & 1) +
                     (t->present >> 3 & 1));
}

/* -- responder -- */

struct offered {
    uint32_t asym, hash;
    struct tables tables;
    uint8_t measurement, other, mel;
};

static pst_err read_request(struct pst_exchange *x, struct offered *o)
{
    struct pst_reader r = psti_body(x);
    uint16_t length = pst_get_u16(&r);

    o->measurement = pst_get_u8(&r);
    o->other = pst_get_u8(&r);
    o->asym = pst_get_u32(&r);
    o->hash = pst_get_u32(&r);
    pst_skip(&r, 12);
    size_t ext = pst_get_u8(&r);
    ext += pst_get_u8(&r);
    pst_skip(&r, 1);
    o->mel = pst_get_u8(&r);
    pst_skip(&r, 4 * ext);
    read_tables(&r, x->in[2], &o->tables);
    for (unsigned i = 0; i < TYPES; i++) {
        pst_require(&r, (o->tables.present >> i & 1) == 0 || o->tables.bits[i] != 0);
    }
    pst_require(&r, ext <= 20);
    PST_TRY(psti_close(x, &r));
    return length == x->in_len && length <= REQUEST_MAX ? PST_OK : PST_ERR_DECODE;
}

/* One table: the selection replaces the offer, 0 when nothing matches. */
static void select_table(struct pst_spdm *c, struct tables *t, unsigned type, enum class k,
                         const uint8_t *ids, uint8_t *chosen)
{
    uint16_t *bits = &t->bits[type - TYPE_DHE];

    *bits = (uint16_t)choose(c, k, ids, *bits, chosen);
}

static bool select_tables(struct pst_spdm *c, struct tables *t)
{
    const struct pst_spdm_config *config = c->config;
    uint16_t *schedule = &t->bits[TYPE_KEY_SCHEDULE - TYPE_DHE];

    select_table(c, t, TYPE_DHE, DH, config->dhs, &c->dh);
    select_table(c, t, TYPE_AEAD, AEAD, config->aeads, &c->aead);
    select_table(c, t, TYPE_REQ_ASYM, SIG, config->peer_sigs, &c->req_sig);
    *schedule &= SPDM_KEY_SCHEDULE;
    if (psti_both(c, PST_CAP_KEY_EX) && (c->dh == 0 || c->aead == 0 || *schedule == 0)) {
        return false;
    }
    return !psti_both(c, PST_CAP_MUT_AUTH) || c->req_sig != 0;
}

/* False: a side's MULTI_KEY_CAP does not allow what the other side chose. */
static bool multi_key(uint32_t caps, bool said, bool *conn)
{
    uint32_t cap = caps & PST_CAP_MULTI_KEY;

    *conn = said;
    return cap == PST_CAP_MULTI_KEY_NEG || said == (cap == PST_CAP_MULTI_KEY_ONLY);
}

static bool want_multi_key(const struct pst_spdm *c)
{
    uint32_t cap = c->theirs & PST_CAP_MULTI_KEY;

    return cap == PST_CAP_MULTI_KEY_ONLY || (cap == PST_CAP_MULTI_KEY_NEG && c->config->multi_key);
}

static uint8_t our_mel(const struct pst_spdm *c)
{
    return c->minor >= 3 && c->config->mel_format ? DMTF_MEL : 0;
}

static uint8_t other_params(struct pst_spdm *c, uint8_t offered)
{
    unsigned other = offered & PST_OPAQUE_FMT1;

    c->opaque = (uint8_t)other;
    if (c->minor >= 3) {
        c->multi_req = want_multi_key(c);
        if (c->multi_req) {
            other |= PST_MULTI_KEY_CONN;
        }
    }
    return (uint8_t)other;
}

static pst_err write_response(struct pst_exchange *x, struct offered *o, uint32_t asym,
                              uint32_t hash)
{
    struct pst_spdm *c = x->c;
    struct pst_writer *w = &x->out;
    uint8_t count = table_count(&o->tables);

    c->measurements = (c->ours & PST_CAP_MEAS) != 0 && (o->measurement & DMTF_MEASUREMENTS) != 0;
    c->measurement_hash = c->measurements ? (uint8_t)c->config->measurement_hash : 0;
    psti_put_header(x, PST_ALGORITHMS, count, 0);
    pst_put_u16(w, (uint16_t)(36 + 4 * count));
    pst_put_u8(w, c->measurements ? DMTF_MEASUREMENTS : 0);
    pst_put_u8(w, other_params(c, o->other));
    pst_put_u32(w, pst_measurement_hash_bit((pst_hash_id)c->measurement_hash));
    pst_put_u32(w, asym);
    pst_put_u32(w, hash);
    pst_put_zeros(w, 11);
    pst_put_u8(w, o->mel & our_mel(c));
    pst_put_zeros(w, 4);
    put_tables(w, &o->tables);
    return w->failed ? PST_ERR_SPACE : PST_OK;
}

static pst_err negotiated(struct pst_exchange *x, struct pst_bytes request,
                          struct pst_bytes response)
{
    struct pst_spdm *c = x->c;

    PST_TRY(psti_vca_add(c, request.at, request.len));
    PST_TRY(psti_vca_add(c, response.at, response.len));
    PST_TRY(psti_vca_close(c));
    c->phase = PST_AT_CLEAR;
    c->d_open = true;
    return PST_OK;
}

pst_err psti_rsp_algorithms(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    const struct pst_spdm_config *config = c->config;
    struct offered o;

    PST_TRY(read_request(x, &o));
    uint32_t hash = choose(c, HASH, config->hashes, o.hash, &c->hash);
    uint32_t asym = choose(c, SIG, config->sigs, o.asym, &c->rsp_sig);
    bool signs = (c->ours & (PST_CAP_CERT | PST_CAP_CHAL | PST_CAP_MEAS_SIGNED)) != 0;
    if (hash == 0 || (signs && asym == 0) || !select_tables(c, &o.tables)) {
        return PST_ERR_ALGORITHM;
    }
    if (c->minor >= 3 && !multi_key(c->ours, (o.other & PST_MULTI_KEY_CONN) != 0, &c->multi_rsp)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(write_response(x, &o, asym, hash));
    return negotiated(x, (struct pst_bytes){x->in, x->in_len}, psti_out_bytes(x));
}

/* -- requester -- */

static void our_tables(const struct pst_spdm *c, struct tables *t)
{
    const struct pst_spdm_config *config = c->config;

    t->bits[0] = (uint16_t)offer(c, DH, config->dhs, 0, NULL);
    t->bits[TYPE_AEAD - TYPE_DHE] = (uint16_t)offer(c, AEAD, config->aeads, 0, NULL);
    t->bits[TYPE_REQ_ASYM - TYPE_DHE] = (uint16_t)offer(c, SIG, config->sigs, 0, NULL);
    t->bits[TYPE_KEY_SCHEDULE - TYPE_DHE] = SPDM_KEY_SCHEDULE;
    t->present = 0;
    for (unsigned i = 0; i < TYPES; i++) {
        if (t->bits[i] != 0) {
            t->present |= (uint8_t)(1u << i);
        }
    }
}

pst_err psti_put_algorithms(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_writer *w = &x->out;
    struct tables t;

    our_tables(c, &t);
    c->multi_rsp = c->minor >= 3 && want_multi_key(c);
    psti_put_header(x, PST_NEGOTIATE_ALGORITHMS, table_count(&t), 0);
    pst_put_u16(w, (uint16_t)(32 + 4 * table_count(&t)));
    pst_put_u8(w, DMTF_MEASUREMENTS);
    pst_put_u8(w, PST_OPAQUE_FMT1 | (c->multi_rsp ? PST_MULTI_KEY_CONN : 0));
    pst_put_u32(w, offer(c, SIG, c->config->peer_sigs, 0, NULL));
    pst_put_u32(w, offer(c, HASH, c->config->hashes, 0, NULL));
    pst_put_zeros(w, 15);
    pst_put_u8(w, our_mel(c));
    put_tables(w, &t);
    return PST_OK;
}

/* The selection is one of what was offered, or none. */
static bool picked(const struct pst_spdm *c, enum class k, const uint8_t *ids, uint32_t bits,
                   uint8_t *chosen)
{
    return (bits & (bits - 1)) == 0 && choose(c, k, ids, bits, chosen) == bits;
}

static bool take_selection(struct pst_spdm *c, const struct tables *t, uint32_t asym, uint32_t hash,
                           uint32_t measurement)
{
    const struct pst_spdm_config *config = c->config;
    struct tables ours;
    uint16_t schedule = t->bits[TYPE_KEY_SCHEDULE - TYPE_DHE];

    our_tables(c, &ours);
    if ((t->present & ~(unsigned)ours.present) != 0 || schedule > SPDM_KEY_SCHEDULE) {
        return false;
    }
    if (!picked(c, HASH, config->hashes, hash, &c->hash) || c->hash == 0 ||
        !picked(c, SIG, config->peer_sigs, asym, &c->rsp_sig) ||
        !picked(c, DH, config->dhs, t->bits[0], &c->dh) ||
        !picked(c, AEAD, config->aeads, t->bits[1], &c->aead) ||
        !picked(c, SIG, config->sigs, t->bits[2], &c->req_sig)) {
        return false;
    }
    if ((measurement & (measurement - 1)) != 0) {
        return false;
    }
    c->measurement_hash = (uint8_t)pst_hash_from_bit(measurement >> 1);
    bool signs = (c->theirs & (PST_CAP_CERT | PST_CAP_CHAL | PST_CAP_MEAS_SIGNED)) != 0;
    if (signs && c->rsp_sig == 0) {
        return false;
    }
    return !psti_both(c, PST_CAP_KEY_EX) || (c->dh != 0 && c->aead != 0 && schedule != 0);
}

pst_err psti_take_algorithms(struct pst_exchange *x)
{
    struct pst_spdm *c = x->c;
    struct pst_requester_state *s = &x->q->state;
    struct pst_reader r = psti_body(x);
    struct tables t;

    uint16_t length = pst_get_u16(&r);
    uint8_t specification = pst_get_u8(&r);
    uint8_t other = pst_get_u8(&r);
    uint32_t measurement = pst_get_u32(&r);
    uint32_t asym = pst_get_u32(&r);
    uint32_t hash = pst_get_u32(&r);
    pst_skip(&r, 12);
    pst_require(&r, pst_get_u16(&r) == 0); /* no external algorithm: none was offered */
    pst_skip(&r, 2);
    read_tables(&r, x->in[2], &t);
    pst_require(&r, specification <= DMTF_MEASUREMENTS && (other & 0xf & ~PST_OPAQUE_FMT1) == 0);
    PST_TRY(psti_close(x, &r));
    if (length != x->in_len) {
        return PST_ERR_DECODE;
    }
    if (!take_selection(c, &t, asym, hash, measurement)) {
        return PST_ERR_ALGORITHM;
    }
    if (c->minor >= 3 && !multi_key(c->ours, (other & PST_MULTI_KEY_CONN) != 0, &c->multi_req)) {
        return PST_ERR_DECODE;
    }
    c->opaque = other & PST_OPAQUE_FMT1;
    c->measurements = specification != 0;
    PST_TRY(negotiated(x, (struct pst_bytes){s->request, s->request_len},
                       (struct pst_bytes){x->in, x->in_len}));
    PST_TRY(
        c->config->crypto->hash_clone(c->config->crypto->ctx, &s->ad, &c->transcript.u.hash.vca));
    psti_requester_done(x->q);
    return PST_OK;
}
