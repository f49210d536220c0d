/* SPDM messages and records as MCTP messages, and the recovery of lost ones. */
#include "postern/links/mctp_spdm.h"

#include <string.h>

#define SECURED 0x06
#define GET_VERSION 0x84
#define GET_MEASUREMENTS 0xE0
#define CODE 1 /* offset of the request code in an SPDM message */
#define TAGS 8

enum fate { HELD, PASSES, STOPS, DROPPED }; /* what becomes of the owner's message */

/* The state of the one exchange. */
enum phase {
    IDLE,     /* requester: no request; responder: nothing to answer */
    SENDING,  /* requester: the request is being sent; responder: the answer is */
    WAITING,  /* requester: for the peer's answer; responder: for the owner's */
    ANSWERED, /* responder: `said` was sent as the answer to `heard` */
};

const struct pst_link_traits pst_mctp_spdm_traits = {
    .mtu = PST_MCTP_SPDM_MOST,
    .ordered = true,
    .lossy = false, /* this engine repeats what was lost */
    .shared = true,
    .pushes = false,
    .native = true,
    .sequence_len = 2,
    .inner = PST_LINK_INNER,
};

static bool over(const struct pst_mctp_spdm *m)
{
    return m->state != PST_OK && m->state != PST_PENDING;
}

static pst_err greet(struct pst_mctp_spdm *m)
{
    const struct pst_hello hello =
        pst_link_hello_of(&pst_mctp_spdm_traits, !m->cfg.listens, (uint32_t)m->cfg.most);
    const size_t len = pst_link_put_hello(m->greeting + PST_LINK_HEADER, &hello);

    return pst_framing_header(m->greeting, PST_LINK_CONTROL, len);
}

pst_err pst_mctp_spdm_open(struct pst_mctp_spdm *m, const struct pst_mctp_spdm_config *cfg)
{
    const size_t message = cfg->most + 1;

    if (cfg->most < PST_MCTP_SPDM_LEAST || cfg->most > PST_MCTP_SPDM_MOST ||
        cfg->work_len < PST_MCTP_SPDM_WORK(cfg->most) || cfg->unit < PST_MCTP_BASELINE ||
        cfg->tries == 0) {
        return PST_ERR_ARGUMENT;
    }
    memset(m, 0, sizeof *m);
    m->cfg = *cfg;
    m->said = cfg->work;
    m->heard = cfg->work + (1 + PST_MCTP_SPDM_SLOTS) * message;
    for (size_t i = 0; i < PST_MCTP_SPDM_SLOTS; i++) {
        m->slots[i] =
            (struct pst_mctp_slot){.buffer = cfg->work + (1 + i) * message, .cap = message};
    }
    m->in = (struct pst_mctp_receiver){.eid = cfg->eid,
                                       .slots = m->slots,
                                       .slot_count = PST_MCTP_SPDM_SLOTS,
                                       .timeout_ms = cfg->pause_ms};
    m->state = cfg->listens ? PST_PENDING : PST_OK;
    return greet(m);
}

/* --- to the bus --- */

static void transmit(struct pst_mctp_spdm *m)
{
    const struct pst_mctp_header to = {
        .destination = m->cfg.listens ? m->from.source : m->cfg.peer,
        .source = m->cfg.eid,
        .owner = !m->cfg.listens,
        .tag = m->from.tag,
    };

    if (pst_mctp_send(&m->out, &to, m->said, m->said_len, m->cfg.unit) == PST_OK) {
        m->phase = SENDING;
    }
}

static void again(struct pst_mctp_spdm *m)
{
    if (m->tries >= m->cfg.tries) {
        m->state = PST_ERR_TIMEOUT;
        return;
    }
    m->tries++;
    m->repeated++;
    transmit(m);
}

size_t pst_mctp_spdm_output(struct pst_mctp_spdm *m, uint8_t *out, size_t cap, uint64_t now_ms)
{
    const bool asks = !m->cfg.listens;
    size_t n = 0;

    if (over(m)) {
        return 0;
    }
    if (asks && m->phase == WAITING && now_ms >= m->until_ms) {
        again(m);
    }
    if (m->phase != SENDING || pst_mctp_next(&m->out, out, cap, &n) != PST_OK) {
        return 0;
    }
    if (m->out.message.len == 0) {
        m->phase = asks ? WAITING : ANSWERED;
        m->until_ms = now_ms + m->cfg.answer_ms;
    }
    return n;
}

uint64_t pst_mctp_spdm_wake(const struct pst_mctp_spdm *m)
{
    if (over(m)) {
        return UINT64_MAX;
    }
    if (m->phase == SENDING) {
        return 0;
    }
    return !m->cfg.listens && m->phase == WAITING ? m->until_ms : UINT64_MAX;
}

/* --- from the bus --- */

/* Hands a message to the owner. False: the owner has not read the one before. */
static bool give(struct pst_mctp_spdm *m, struct pst_bytes message)
{
    const uint8_t kind = *message.at == SECURED ? PST_LINK_RECORD : PST_LINK_SPDM;
    const size_t len = message.len - 1;

    if (m->heard_at < m->heard_len || len > m->cfg.most ||
        pst_framing_header(m->heard, kind, len) != PST_OK) {
        return false;
    }
    memcpy(m->heard + PST_LINK_HEADER, message.at + 1, len);
    m->heard_len = PST_LINK_HEADER + len;
    m->heard_at = 0;
    return true;
}

static bool from_peer(const struct pst_mctp_spdm *m, const struct pst_mctp_header *h)
{
    return m->cfg.peer == PST_MCTP_EID_NULL || m->cfg.peer == h->source;
}

static bool is_answer(const struct pst_mctp_spdm *m, const struct pst_mctp_header *h)
{
    const bool asked = m->phase == WAITING || (m->phase == SENDING && m->tries > 1);

    return asked && !h->owner && h->tag == m->from.tag && from_peer(m, h);
}

static pst_err take_answer(struct pst_mctp_spdm *m, const struct pst_mctp_header *from,
                           struct pst_bytes message)
{
    if (!is_answer(m, from) || *message.at != *m->said || !give(m, message)) {
        m->foreign++;
        return PST_ERR_UNEXPECTED;
    }
    m->answers++;
    m->cfg.peer = from->source;
    m->phase = IDLE;
    return PST_OK;
}

/* Sets how long to wait for the rest of an answer, after a part of it or a damaged one came. */
static void watch(struct pst_mctp_spdm *m, const uint8_t *packet, size_t len, pst_err err,
                  uint64_t now_ms)
{
    struct pst_mctp_header h;
    struct pst_bytes body;

    if (m->phase != WAITING || pst_mctp_get(packet, len, &h, &body) != PST_OK ||
        !is_answer(m, &h)) {
        return;
    }
    m->until_ms = now_ms + (err != PST_WANT_MORE && h.eom ? 0 : m->cfg.pause_ms);
}

static bool has_code(struct pst_bytes message, uint8_t code)
{
    return *message.at == PST_LINK_INNER && message.len > 1 + CODE && message.at[1 + CODE] == code;
}

/* True if the request is a repetition of the last one. */
static bool came_again(const struct pst_mctp_spdm *m, const struct pst_mctp_header *from,
                       struct pst_bytes message)
{
    const uint8_t kind = *message.at == SECURED ? PST_LINK_RECORD : PST_LINK_SPDM;

    return m->phase != IDLE && from->source == m->from.source && from->tag == m->from.tag &&
           m->heard_len == PST_LINK_HEADER + message.len - 1 &&
           m->heard[PST_LINK_HEADER - 1] == kind &&
           memcmp(m->heard + PST_LINK_HEADER, message.at + 1, message.len - 1) == 0;
}

static pst_err take_request(struct pst_mctp_spdm *m, const struct pst_mctp_header *from,
                            struct pst_bytes message)
{
    const bool saying = m->phase == SENDING || m->fate == PASSES;

    if (!from->owner || !from_peer(m, from) ||
        (m->state == PST_PENDING && !has_code(message, GET_VERSION))) {
        m->foreign++;
        return PST_ERR_UNEXPECTED;
    }
    if (came_again(m, from, message)) {
        m->repeated++;
        const bool anew = has_code(message, GET_VERSION) || has_code(message, GET_MEASUREMENTS);
        if (m->phase != ANSWERED) { /* the owner still works on the answer, or it is being sent */
            return PST_OK;
        }
        if (!anew) {
            transmit(m);
            return PST_OK;
        }
    }
    if (saying || !give(m, message)) { /* the requester will repeat it */
        return PST_ERR_BUSY;
    }
    m->from = *from;
    m->phase = WAITING;
    m->state = PST_OK;
    return PST_OK;
}

pst_err pst_mctp_spdm_input(struct pst_mctp_spdm *m, const uint8_t *packet, size_t len,
                            uint64_t now_ms)
{
    struct pst_mctp_header from;
    struct pst_bytes message = {0};

    if (over(m)) {
        return PST_ERR_CLOSED;
    }
    const pst_err err = pst_mctp_receive(&m->in, packet, len, now_ms, &from, &message);
    if (err != PST_OK) {
        if (!m->cfg.listens) {
            watch(m, packet, len, err, now_ms);
        }
        return err == PST_WANT_MORE ? PST_OK : err;
    }
    if (message.len < 2 || (*message.at != PST_LINK_INNER && *message.at != SECURED)) {
        m->foreign++;
        return PST_ERR_UNSUPPORTED;
    }
    return m->cfg.listens ? take_request(m, &from, message) : take_answer(m, &from, message);
}

/* --- the owner --- */

static size_t copy(const uint8_t *from, size_t len, size_t *at, uint8_t *out, size_t cap)
{
    const size_t n = len - *at < cap ? len - *at : cap;

    if (n > 0) {
        memcpy(out, from + *at, n);
    }
    *at += n;
    return n;
}

size_t pst_mctp_spdm_read(struct pst_mctp_spdm *m, uint8_t *out, size_t cap)
{
    if (over(m)) {
        return 0;
    }
    if (m->greeting_at < sizeof m->greeting) {
        return copy(m->greeting, sizeof m->greeting, &m->greeting_at, out, cap);
    }
    return copy(m->heard, m->heard_len, &m->heard_at, out, cap);
}

/* Handles the complete header of a message from the owner. */
static pst_err begin(struct pst_mctp_spdm *m)
{
    struct pst_reader r = pst_reader_of(m->head, sizeof m->head);

    m->left = pst_get_u24(&r);
    const uint8_t kind = pst_get_u8(&r);
    m->fate = HELD;
    if (kind == PST_LINK_CONTROL) {
        m->fate = STOPS;
        return m->left <= PST_LINK_CONTROL_MAX ? PST_OK : PST_ERR_DECODE;
    }
    if (kind == PST_LINK_CLEAR || m->left > m->cfg.most) {
        return PST_ERR_UNSUPPORTED;
    }
    if (m->left == 0) {
        m->fate = DROPPED;
    }
    return kind == PST_LINK_SPDM || kind == PST_LINK_RECORD ? PST_OK : PST_ERR_DECODE;
}

/* Decides what to do with a held message. False: decide later. */
static bool admit(struct pst_mctp_spdm *m)
{
    const uint8_t kind = m->head[PST_LINK_HEADER - 1];

    if (m->cfg.listens ? m->phase == SENDING : m->phase != IDLE) {
        return false;
    }
    /* A responder only answers requests, in the clear or in a record as the request was. */
    if (m->cfg.listens && (m->phase != WAITING || kind != m->heard[PST_LINK_HEADER - 1])) {
        m->fate = DROPPED;
        return true;
    }
    m->fate = PASSES;
    m->said[0] = kind == PST_LINK_RECORD ? SECURED : PST_LINK_INNER;
    m->said_len = 1;
    return true;
}

static size_t take(struct pst_mctp_spdm *m, const uint8_t *bytes, size_t len)
{
    const size_t n = len < m->left ? len : m->left;

    if (m->fate == PASSES && n > 0) {
        memcpy(m->said + m->said_len, bytes, n);
        m->said_len += n;
    } else if (m->fate == STOPS && n > 0) {
        memcpy(m->control + (m->head[0] - m->left), bytes, n);
    }
    m->left -= (uint32_t)n;
    return n;
}

static pst_err finish(struct pst_mctp_spdm *m)
{
    const uint8_t fate = m->fate;
    struct pst_hello hello;
    uint8_t op;
    pst_err why;

    m->have = 0;
    m->fate = HELD;
    if (fate == STOPS) {
        return pst_link_get_control(m->control, m->head[0], &op, &hello, &why);
    }
    if (fate == DROPPED) {
        return PST_OK;
    }
    if (!m->cfg.listens) {
        m->from.tag = (uint8_t)((m->from.tag + 1) % TAGS);
        m->tries = 1;
    }
    transmit(m);
    return PST_OK;
}

size_t pst_mctp_spdm_write(struct pst_mctp_spdm *m, const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    pst_err err = PST_OK;

    while (!over(m)) {
        if (m->have < sizeof m->head) {
            if (at == len) {
                break;
            }
            m->head[m->have++] = bytes[at++];
            err = m->have == sizeof m->head ? begin(m) : PST_OK;
        } else {
            if (m->fate == HELD && !admit(m)) {
                break;
            }
            at += take(m, bytes + at, len - at);
            if (m->left > 0) {
                break;
            }
            err = finish(m);
        }
        if (err != PST_OK) {
            m->state = err;
        }
    }
    return at;
}

bool pst_mctp_spdm_sent(const struct pst_mctp_spdm *m)
{
    return over(m) || (m->have == 0 && m->phase != SENDING);
}
