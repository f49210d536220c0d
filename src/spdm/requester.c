/* The requester's engine: an operation is a sequence of steps, and the table has a row for each. */
#include "spdm/chain.h"
#include "spdm/config.h"
#include "spdm/messages.h"
#include "spdm/session.h"
#include "spdm/table.h"

#define SLOW_MS 5 /* until a slow operation is asked again */

static const uint8_t first_step[] = {
    [PST_OP_CONNECT] = PST_STEP_VERSION,
    [PST_OP_DIGESTS] = PST_STEP_DIGESTS,
    [PST_OP_CERTIFICATE] = PST_STEP_CERTIFICATE,
    [PST_OP_CHALLENGE] = PST_STEP_CHALLENGE,
    [PST_OP_MEASUREMENTS] = PST_STEP_MEASUREMENTS,
    [PST_OP_SESSION] = PST_STEP_KEY_EXCHANGE,
    [PST_OP_HEARTBEAT] = PST_STEP_HEARTBEAT,
    [PST_OP_KEY_UPDATE] = PST_STEP_KEY_UPDATE,
    [PST_OP_ENCAPSULATED] = PST_STEP_GET_ENCAPSULATED,
    [PST_OP_END_SESSION] = PST_STEP_END_SESSION,
    [PST_OP_VENDOR] = PST_STEP_VENDOR,
};

pst_err pst_requester_init(struct pst_requester *q, const struct pst_spdm_config *config)
{
    if (psti_config_rule(config, PST_ROLE_REQUESTER) != 0) {
        return PST_ERR_CONFIG;
    }
    memset(q, 0, sizeof *q);
    psti_spdm_start(&q->spdm, config, PST_ROLE_REQUESTER);
    return PST_OK;
}

static void drop_dh(struct pst_requester *q)
{
    const struct pst_crypto *crypto = q->spdm.config->crypto;

    if (q->state.dh_live) {
        crypto->dh_wipe(crypto->ctx, &q->state.dh);
    }
    q->state.dh_live = false;
}

void pst_requester_wipe(struct pst_requester *q)
{
    if (q->spdm.config != NULL) {
        drop_dh(q);
        psti_requester_forget(q);
    }
    pst_wipe(q, sizeof *q);
}

/* The session that ends when the operation fails, or 0. A handshake cannot be repeated; a session
 * is of no use when only some of its keys were updated, or when it was to end. */
static uint32_t session_lost(const struct pst_requester *q)
{
    const struct pst_requester_state *s = &q->state;

    switch (s->op.kind) {
    case PST_OP_SESSION:
        return s->session;
    case PST_OP_KEY_UPDATE:
    case PST_OP_ENCAPSULATED:
    case PST_OP_END_SESSION:
        return s->op.context;
    case PST_OP_CONNECT:
    case PST_OP_DIGESTS:
    case PST_OP_CERTIFICATE:
    case PST_OP_CHALLENGE:
    case PST_OP_MEASUREMENTS:
    case PST_OP_HEARTBEAT:
    case PST_OP_VENDOR:
    default:
        return 0;
    }
}

static pst_err fail(struct pst_requester *q, pst_err err)
{
    struct pst_requester_state *s = &q->state;
    struct pst_spdm *c = &q->spdm;

    if (s->step == PST_STEP_IDLE) {
        return err;
    }
    s->step = PST_STEP_IDLE;
    s->encap = PST_ENCAP_NONE;
    s->awaiting = false;
    s->result = err;
    s->taking = (struct pst_bytes){NULL, 0};
    psti_wait_cancel(c);
    drop_dh(q);
    if (psti_chain_arrives(c)) {
        psti_chain_forget(c);
    }
    pst_requester_end(q, session_lost(q), err);
    if (err == PST_ERR_PEER && s->error_code == PST_SPDM_REQUEST_RESYNCH) {
        psti_requester_forget(q);
    }
    return err;
}

void pst_requester_end(struct pst_requester *q, uint32_t session_id, pst_err why)
{
    struct pst_spdm_session *s = psti_session_find(&q->spdm, session_id);

    if (s != NULL) {
        psti_session_end(&q->spdm, s, why);
    }
}

void pst_requester_cancel(struct pst_requester *q, pst_err why)
{
    (void)fail(q, why);
}

/* The session of the step under way: PST_OP_SESSION creates its own, others name one. */
static struct pst_spdm_session *session_of(struct pst_requester *q)
{
    struct pst_requester_state *s = &q->state;

    if (s->op.kind == PST_OP_SESSION) {
        return s->session != 0 ? psti_session_find(&q->spdm, s->session) : NULL;
    }
    return psti_session_find(&q->spdm, s->op.context);
}

static struct pst_exchange exchange_of(struct pst_requester *q)
{
    struct pst_exchange x = {.c = &q->spdm, .q = q, .session = session_of(q)};
    bool in_clear = x.session == NULL || x.session->clear_handshake;

    x.context = in_clear ? PST_SPDM_CLEAR : x.session->id;
    x.code = psti_step_rows[q->state.step].row.code;
    return x;
}

static pst_err gate(const struct pst_requester *q, const struct pst_exchange *x)
{
    const struct pst_spdm *c = &q->spdm;
    const struct pst_row *row = &psti_step_rows[q->state.step].row;
    /* GET_VERSION comes before there is a version */
    uint8_t minor = x->code == PST_GET_VERSION ? 0 : c->minor;
    uint8_t refusal = psti_row_gate(row, minor, x);

    if (refusal == 0) {
        return PST_OK;
    }
    return refusal == PST_SPDM_UNSUPPORTED_REQUEST ? PST_ERR_UNSUPPORTED : PST_ERR_STATE;
}

/* The operation has what it needs of earlier ones. */
static bool ready(const struct pst_requester *q, const struct pst_op *op)
{
    const struct pst_spdm *c = &q->spdm;
    bool by_chain = op->kind == PST_OP_CHALLENGE || op->kind == PST_OP_SESSION ||
                    (op->kind == PST_OP_MEASUREMENTS && op->sign);

    if (op->kind == PST_OP_ENCAPSULATED && op->context == PST_SPDM_CLEAR) {
        return false;
    }
    return !by_chain || (c->chain.known && c->chain.slot == op->slot);
}

pst_err pst_requester_start(struct pst_requester *q, const struct pst_op *op)
{
    struct pst_requester_state *s = &q->state;

    if (s->step != PST_STEP_IDLE) {
        return PST_ERR_STATE;
    }
    if ((size_t)op->kind >= sizeof first_step || op->slot >= PST_MAX_SLOTS) {
        return PST_ERR_ARGUMENT;
    }
    if (op->context != PST_SPDM_CLEAR && psti_session_find(&q->spdm, op->context) == NULL) {
        return PST_ERR_STATE;
    }
    s->op = *op;
    if ((q->spdm.theirs & PST_CAP_MEAS) == 0) {
        s->op.summary = 0; /* a peer without measurements refuses the request */
    }
    if (op->kind == PST_OP_SESSION) {
        s->session = 0;
    }
    s->step = first_step[op->kind];
    struct pst_exchange x = exchange_of(q);
    pst_err err = gate(q, &x);
    if (err == PST_OK && !ready(q, op)) {
        err = PST_ERR_STATE;
    }
    if (err != PST_OK) {
        s->step = PST_STEP_IDLE;
        return err;
    }
    s->result = PST_PENDING;
    s->answer = (struct pst_bytes){NULL, 0};
    s->encap = op->kind == PST_OP_ENCAPSULATED ? PST_ENCAP_UPDATE : PST_ENCAP_NONE;
    s->error_code = 0;
    s->awaiting = s->repeat = s->not_ready = false;
    s->retries = 0;
    s->update = 0;
    s->wait_until_ms = 0;
    return PST_OK;
}

/* Keeps the complete message for transcripts and retries. */
static void remember(struct pst_requester *q, const struct pst_exchange *x)
{
    struct pst_requester_state *s = &q->state;

    s->request_len = 0;
    if (s->step != PST_STEP_DELIVER && x->out.used <= sizeof s->request) {
        memcpy(s->request, x->out.start, x->out.used);
        s->request_len = (uint16_t)x->out.used;
    }
    s->retries = 0;
}

static pst_err build(struct pst_requester *q, struct pst_exchange *x)
{
    struct pst_requester_state *s = &q->state;
    const struct pst_step_row *row = &psti_step_rows[s->step];

    if (s->repeat) {
        pst_put_bytes(&x->out, s->request, s->request_len);
        s->repeat = false;
        return x->out.failed ? PST_ERR_SPACE : PST_OK;
    }
    if (s->not_ready) {
        psti_put_respond_if_ready(x);
        return x->out.failed ? PST_ERR_SPACE : PST_OK;
    }
    if (q->spdm.wait.step != NULL) {
        PST_TRY(psti_wait_again(x));
    } else {
        PST_TRY(gate(q, x));
        psti_row_note(&row->row, x->c, x->context == PST_SPDM_CLEAR ? NULL : x->session);
        PST_TRY(row->row.run(x));
    }
    if (x->out.failed) {
        return PST_ERR_SPACE;
    }
    remember(q, x);
    return PST_OK;
}

/* Goes on with an answer that a slow operation works on. */
static pst_err take_again(struct pst_requester *q)
{
    struct pst_requester_state *s = &q->state;
    struct pst_exchange x = exchange_of(q);

    x.in = s->taking.at;
    x.in_len = s->taking.len;
    pst_err err = q->spdm.wait.step != NULL ? psti_wait_again(&x) : PST_ERR_CLOSED;
    if (err == PST_PENDING) {
        return err;
    }
    s->taking = (struct pst_bytes){NULL, 0};
    return err == PST_OK ? PST_OK : fail(q, err);
}

static uint64_t left_to_wait(const struct pst_requester *q)
{
    uint64_t now = psti_now(&q->spdm);

    return q->state.wait_until_ms > now ? q->state.wait_until_ms - now : 0;
}

pst_err pst_requester_next(struct pst_requester *q, uint32_t *context, uint8_t *out, size_t cap,
                           size_t *len)
{
    struct pst_requester_state *s = &q->state;
    uint32_t most = q->spdm.peer_transfer;

    *len = 0;
    if (s->step == PST_STEP_IDLE) {
        return PST_ERR_STATE;
    }
    if (s->awaiting || left_to_wait(q) > 0) {
        return PST_PENDING;
    }
    if (s->taking.at != NULL) {
        pst_err err = take_again(q);
        if (err != PST_OK || s->step == PST_STEP_IDLE) {
            return err == PST_PENDING ? err : PST_ERR_STATE;
        }
    }
    struct pst_exchange x = exchange_of(q);
    x.out = pst_writer_of(out, most != 0 && most < cap ? most : cap);
    pst_err err = build(q, &x);
    if (err == PST_PENDING) {
        return err;
    }
    if (err != PST_OK) {
        (void)fail(q, err);
        return PST_ERR_STATE;
    }
    s->awaiting = true;
    s->context = x.context;
    *context = x.context;
    *len = x.out.used;
    return PST_OK;
}

void pst_requester_sent(struct pst_requester *q)
{
    struct pst_requester_state *s = &q->state;
    struct pst_spdm_session *session = session_of(q);
    bool all = s->step == PST_STEP_KEY_UPDATE && s->op.all;
    bool asked = s->step == PST_STEP_DELIVER && s->update == PST_UPDATE_KEY;

    if (!s->awaiting || session == NULL || !(all || asked)) {
        return;
    }
    s->update = 0;
    pst_err err = psti_session_update(&q->spdm, session, PST_TO_REQUESTER);
    if (err != PST_OK) {
        (void)fail(q, err);
    }
}

static pst_err accept(struct pst_requester *q, struct pst_exchange *x)
{
    struct pst_requester_state *s = &q->state;
    const struct pst_step_row *row = &psti_step_rows[s->step];
    uint8_t version = s->step == PST_STEP_VERSION ? 0x10 : (uint8_t)(0x10 | q->spdm.minor);

    if (x->in_len < 4) {
        return PST_ERR_DECODE;
    }
    if (x->in[1] == PST_ERROR && (x->in[0] == version || x->in[0] == 0x10)) {
        return psti_take_error(x);
    }
    if (x->in[0] != version) {
        return PST_ERR_VERSION;
    }
    s->not_ready = false;
    if (x->in[1] != row->answer) {
        return PST_ERR_UNEXPECTED;
    }
    if (!psti_row_fits(&row->row, x)) {
        return PST_ERR_DECODE;
    }
    return row->accept(x);
}

pst_err pst_requester_receive(struct pst_requester *q, uint32_t context, const uint8_t *msg,
                              size_t len)
{
    struct pst_requester_state *s = &q->state;

    if (!s->awaiting) {
        return PST_ERR_STATE;
    }
    if (context != s->context) {
        return PST_ERR_UNEXPECTED;
    }
    s->awaiting = false;
    struct pst_exchange x = exchange_of(q);
    x.in = msg;
    x.in_len = len;
    pst_err err = psti_ended(&x, accept(q, &x));
    if (err == PST_PENDING) {
        s->taking = (struct pst_bytes){msg, len};
        return PST_OK;
    }
    return err == PST_OK ? PST_OK : fail(q, err);
}

uint64_t pst_requester_wait(const struct pst_requester *q)
{
    uint64_t left = left_to_wait(q);

    return left == 0 && q->spdm.wait.step != NULL ? SLOW_MS : left;
}

pst_err pst_requester_result(const struct pst_requester *q, uint8_t *error_code)
{
    if (error_code != NULL) {
        *error_code = q->state.error_code;
    }
    return q->state.result;
}

uint32_t pst_requester_session(const struct pst_requester *q)
{
    return q->state.session;
}

uint8_t pst_requester_heartbeat_s(const struct pst_requester *q, uint32_t session_id)
{
    for (size_t i = 0; session_id != 0 && i < PST_SPDM_SESSIONS; i++) {
        if (q->spdm.sessions[i].phase != PST_SESSION_FREE && q->spdm.sessions[i].id == session_id) {
            return q->spdm.sessions[i].heartbeat_s;
        }
    }
    return 0;
}

const struct pst_peer *pst_requester_peer(const struct pst_requester *q)
{
    return q->spdm.chain.known ? &q->spdm.chain.u.peer : NULL;
}

struct pst_bytes pst_requester_answer(const struct pst_requester *q)
{
    return q->state.answer;
}
