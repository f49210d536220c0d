#include "postern/links/broker.h"

#include <string.h>

#define OPEN_LEN (1 + 4 + 1 + 2 + 1)
#define OPENED_LEN (1 + 1 + PST_BROKER_ID + 2 + 1)
#define DATA_HEAD (1 + 8 + 8)
#define CREDIT_LEN (1 + 8 + 8 + 1)
#define CLOSE_LEN (1 + 8 + 1)
#define LEAST_CHUNK 64

const struct pst_link_traits pst_broker_traits = {
    .mtu = PST_LINK_MAX_MESSAGE,
    .ordered = true,
    .lossy = false,
    .shared = true,
    .pushes = true,
    .sequence_len = 8,
};

const struct pst_broker_timing pst_broker_usual = {
    .connect = 10000,
    .keepalive = 5000,
    .dead = 20000,
    .ask = 1000,
    .hint = 3000,
};

static bool over(const struct pst_broker *b)
{
    return b->state != PST_OK && b->state != PST_PENDING;
}

static size_t tag_len(const struct pst_broker *b)
{
    return b->cfg.seal != NULL ? PST_BROKER_TAG : 0;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void end(struct pst_broker *b, pst_err why, bool tell)
{
    if (over(b)) {
        return;
    }
    b->close_due = tell && b->state == PST_OK;
    b->reason = (uint8_t)-why;
    b->state = why;
}

/* --- tags --- */

/* Checks and removes the tag, and decrypts what follows the head. */
static pst_err unseal(const struct pst_broker *b, bool up, uint64_t number, size_t head,
                      uint8_t *msg, size_t *len)
{
    const struct pst_broker_seal *seal = b->cfg.seal;

    if (*len < head + tag_len(b)) {
        return PST_ERR_DECODE;
    }
    *len -= tag_len(b);
    if (seal == NULL) {
        return PST_OK;
    }
    const struct pst_bytes first = {msg, head};
    return seal->open(seal->ctx, up, msg[0], number, first, msg + head, *len - head, msg + *len);
}

/* Encrypts and adds the tag; returns the new length. 0: that failed, and the connection has
 * ended. */
static size_t sealed(struct pst_broker *b, uint64_t number, size_t head, uint8_t *msg, size_t len)
{
    const struct pst_broker_seal *seal = b->cfg.seal;
    const struct pst_bytes first = {msg, head};

    if (seal == NULL) {
        return len;
    }
    if (seal->seal(seal->ctx, !b->listener, msg[0], number, first, msg + head, len - head,
                   msg + len) != PST_OK) {
        end(b, PST_ERR_CRYPTO, false);
        return 0;
    }
    return len + PST_BROKER_TAG;
}

static pst_err set_keys(const struct pst_broker *b, const uint8_t *nonce)
{
    const struct pst_broker_seal *seal = b->cfg.seal;

    return seal == NULL ? PST_OK : seal->key(seal->ctx, b->cfg.id, nonce);
}

/* --- beginning --- */

static bool limits_ok(uint16_t chunk, uint8_t window)
{
    return chunk >= LEAST_CHUNK && window >= 2 && window <= PST_BROKER_MOST_WINDOW;
}

static pst_err begin(struct pst_broker *b, const struct pst_broker_config *cfg, uint64_t now_ms)
{
    if (!limits_ok(cfg->chunk, cfg->window) || cfg->receive == NULL || cfg->send == NULL ||
        cfg->send_cap < cfg->chunk) {
        return PST_ERR_ARGUMENT;
    }
    memset(b, 0, sizeof *b);
    b->state = PST_PENDING;
    b->cfg = *cfg;
    b->heard_ms = b->said_ms = b->asked_ms = now_ms;
    b->greet_due = true;
    b->told = cfg->window;
    return set_keys(b, NULL);
}

pst_err pst_broker_connect(struct pst_broker *b, const struct pst_broker_config *cfg,
                           uint64_t now_ms)
{
    return begin(b, cfg, now_ms);
}

/* Applies the other end's limits. Its chunk size is bounded by ours. */
static void meet(struct pst_broker *b, uint16_t chunk, uint8_t window)
{
    b->chunk_out = chunk < b->cfg.chunk ? chunk : b->cfg.chunk;
    b->limit = window;
    b->state = PST_OK;
}

bool pst_broker_is_open(const uint8_t *msg, size_t len)
{
    return (len == OPEN_LEN || len == OPEN_LEN + PST_BROKER_TAG) && msg[0] == PST_BROKER_OPEN &&
           memcmp(msg + 1, PST_BROKER_MAGIC, 4) == 0;
}

pst_err pst_broker_accept(struct pst_broker *b, const struct pst_broker_config *cfg, uint8_t *open,
                          size_t len, uint64_t now_ms)
{
    PST_TRY(begin(b, cfg, now_ms));
    b->listener = true;
    if (!pst_broker_is_open(open, len) || len != OPEN_LEN + tag_len(b)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(unseal(b, true, 0, OPEN_LEN, open, &len));
    struct pst_reader r = pst_reader_of(open + 1 + 4, len - 1 - 4);
    const uint8_t profile = pst_get_u8(&r);
    const uint16_t chunk = pst_get_u16(&r);
    const uint8_t window = pst_get_u8(&r);
    PST_TRY(pst_finish(&r));
    if (profile != PST_PROFILE_VERSION) {
        return PST_ERR_PROFILE;
    }
    if (!limits_ok(chunk, window)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(set_keys(b, cfg->nonce));
    meet(b, chunk, window);
    return PST_OK;
}

/* --- input --- */

static pst_err on_opened(struct pst_broker *b, uint8_t *msg, size_t len)
{
    struct pst_reader r = pst_reader_of(msg + 1, len - 1);
    const uint8_t profile = pst_get_u8(&r);
    const struct pst_bytes nonce = pst_get_block(&r, PST_BROKER_ID);
    const uint16_t chunk = pst_get_u16(&r);
    const uint8_t window = pst_get_u8(&r);

    if (b->listener || b->state != PST_PENDING || !pst_reader_ok(&r) ||
        len != OPENED_LEN + tag_len(b)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(set_keys(b, nonce.at));
    PST_TRY(unseal(b, false, 0, OPENED_LEN, msg, &len));
    if (profile != PST_PROFILE_VERSION) {
        end(b, PST_ERR_PROFILE, false);
        return PST_OK;
    }
    if (!limits_ok(chunk, window)) {
        return PST_ERR_DECODE;
    }
    meet(b, chunk, window);
    return PST_OK;
}

static void heard(struct pst_broker *b, uint64_t limit, uint64_t now_ms)
{
    b->heard_ms = now_ms;
    b->hinted = false;
    if (limit > b->limit) {
        b->limit = limit;
    }
}

/* False for more credit than any window allows. It would let us flood the broker. */
static bool limit_ok(const struct pst_broker *b, uint64_t limit)
{
    return limit <= b->next_out + PST_BROKER_MOST_WINDOW;
}

static pst_err on_data(struct pst_broker *b, uint8_t *msg, size_t len, uint64_t now_ms)
{
    struct pst_reader r = pst_reader_of(msg + 1, len - 1);
    const uint64_t number = pst_get_u64(&r);
    const uint64_t limit = pst_get_u64(&r);

    if (!pst_reader_ok(&r)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(unseal(b, b->listener, number, DATA_HEAD, msg, &len));
    const size_t n = len - DATA_HEAD;
    if (n == 0 || n > b->cfg.chunk || !limit_ok(b, limit)) {
        return PST_ERR_DECODE;
    }
    if (number < b->next_in) {
        b->repeated++;
        return PST_OK;
    }
    if (number > b->next_in || number >= b->told) { /* a gap, or beyond its credit */
        end(b, number > b->next_in ? PST_ERR_IO : PST_ERR_LIMIT, true);
        return PST_OK;
    }
    const size_t slot = (size_t)(number % b->cfg.window);
    memcpy(b->cfg.receive + slot * b->cfg.chunk, msg + DATA_HEAD, n);
    b->lens[slot] = (uint16_t)n;
    b->next_in++;
    heard(b, limit, now_ms);
    return PST_OK;
}

static pst_err on_credit(struct pst_broker *b, uint8_t *msg, size_t len, uint64_t now_ms)
{
    struct pst_reader r = pst_reader_of(msg + 1, len - 1);
    const uint64_t number = pst_get_u64(&r);
    const uint64_t limit = pst_get_u64(&r);
    const uint8_t flags = pst_get_u8(&r);

    if (!pst_reader_ok(&r) || len != CREDIT_LEN + tag_len(b)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(unseal(b, b->listener, number, CREDIT_LEN, msg, &len));
    if (!limit_ok(b, limit) || number == UINT64_MAX) {
        return PST_ERR_DECODE;
    }
    if (number < b->credit_in) {
        return PST_OK; /* an older message that was overtaken or replayed */
    }
    b->credit_in = number + 1;
    b->credit_due = b->credit_due || (flags & PST_BROKER_ASK) != 0;
    heard(b, limit, now_ms);
    return PST_OK;
}

static pst_err on_close(struct pst_broker *b, uint8_t *msg, size_t len)
{
    struct pst_reader r = pst_reader_of(msg + 1, len - 1);
    const uint64_t number = pst_get_u64(&r);
    const pst_err why = (pst_err) - (int)pst_get_u8(&r);

    if (!pst_reader_ok(&r) || len != CLOSE_LEN + tag_len(b)) {
        return PST_ERR_DECODE;
    }
    PST_TRY(unseal(b, b->listener, number, CLOSE_LEN, msg, &len));
    if (number < b->next_in) {
        return PST_ERR_DECODE;
    }
    if (why != PST_ERR_CLOSED) {
        end(b, why == PST_ERR_BUSY || why == PST_ERR_IO ? why : PST_ERR_PEER, false);
    } else {
        end(b, number > b->next_in ? PST_ERR_IO : PST_ERR_CLOSED, false);
    }
    return PST_OK;
}

static pst_err on_message(struct pst_broker *b, uint8_t *msg, size_t len, uint64_t now_ms)
{
    if (len == 0) {
        return PST_ERR_DECODE;
    }
    if (msg[0] == PST_BROKER_OPENED) {
        const pst_err err = on_opened(b, msg, len);
        if (err == PST_OK) {
            heard(b, 0, now_ms);
        }
        return err;
    }
    if (msg[0] == PST_BROKER_OPEN && b->listener) {
        return PST_OK; /* a duplicate */
    }
    if (b->state != PST_OK) {
        return PST_ERR_UNEXPECTED;
    }
    switch (msg[0]) {
    case PST_BROKER_DATA:
        return on_data(b, msg, len, now_ms);
    case PST_BROKER_CREDIT:
        return on_credit(b, msg, len, now_ms);
    case PST_BROKER_CLOSE:
        return on_close(b, msg, len);
    case PST_BROKER_LOST:
        pst_broker_hint(b, now_ms);
        return PST_OK;
    default:
        return PST_ERR_DECODE;
    }
}

void pst_broker_input(struct pst_broker *b, uint8_t *msg, size_t len, uint64_t now_ms)
{
    if (!over(b) && on_message(b, msg, len, now_ms) != PST_OK) {
        b->refused++;
    }
}

void pst_broker_hint(struct pst_broker *b, uint64_t now_ms)
{
    if (b->state != PST_OK || b->hinted) {
        return;
    }
    b->hinted = true;
    b->hint_ms = b->asked_ms = now_ms;
    b->ask_due = true;
}

/* --- output --- */

static uint64_t credit_limit(const struct pst_broker *b)
{
    return b->consumed + b->cfg.window;
}

static bool blocked(const struct pst_broker *b)
{
    return b->state == PST_OK && b->send_used > 0 && b->next_out >= b->limit;
}

/* True while an answer of the other end is needed. A question may be lost, so it is repeated. */
static bool asking(const struct pst_broker *b)
{
    return b->hinted || blocked(b);
}

/* Handles the timeouts. */
static void on_time(struct pst_broker *b, uint64_t now_ms)
{
    if (b->state == PST_PENDING) {
        if (now_ms - b->heard_ms >= b->cfg.timing.connect) {
            end(b, PST_ERR_TIMEOUT, false);
        }
        return;
    }
    if (b->state != PST_OK) {
        return;
    }
    if (now_ms - b->heard_ms >= b->cfg.timing.dead ||
        (b->hinted && now_ms - b->hint_ms >= b->cfg.timing.hint)) {
        end(b, PST_ERR_TIMEOUT, true);
        return;
    }
    if (now_ms - b->said_ms >= b->cfg.timing.keepalive) {
        b->credit_due = true;
    }
    if (asking(b) && now_ms - b->asked_ms >= b->cfg.timing.ask) {
        b->ask_due = true;
    }
    if (credit_limit(b) - b->told >= b->cfg.window / 2u) {
        b->credit_due = true;
    }
}

static size_t put_greeting(struct pst_broker *b, uint8_t *out, size_t cap)
{
    struct pst_writer w = pst_writer_of(out, cap);
    size_t len = 0;

    b->greet_due = false;
    pst_put_u8(&w, b->listener ? PST_BROKER_OPENED : PST_BROKER_OPEN);
    if (!b->listener) {
        pst_put_bytes(&w, PST_BROKER_MAGIC, 4);
    }
    pst_put_u8(&w, PST_PROFILE_VERSION);
    if (b->listener) {
        pst_put_bytes(&w, b->cfg.nonce, sizeof b->cfg.nonce);
    }
    pst_put_u16(&w, b->cfg.chunk);
    pst_put_u8(&w, b->cfg.window);
    return pst_written(&w, &len) == PST_OK ? sealed(b, 0, len, out, len) : 0;
}

static void from_ring(struct pst_broker *b, uint8_t *out, size_t n)
{
    const size_t first = least(n, b->cfg.send_cap - b->send_head);

    memcpy(out, b->cfg.send + b->send_head, first);
    memcpy(out + first, b->cfg.send, n - first);
    b->send_head = (b->send_head + n) % b->cfg.send_cap;
    b->send_used -= n;
}

static size_t put_data(struct pst_broker *b, uint8_t *out, size_t cap)
{
    struct pst_writer w = pst_writer_of(out, cap);
    const size_t n = least(b->send_used, b->chunk_out);
    const uint64_t number = b->next_out;

    pst_put_u8(&w, PST_BROKER_DATA);
    pst_put_u64(&w, number);
    pst_put_u64(&w, credit_limit(b));
    uint8_t *room = pst_put_room(&w, n);
    if (room == NULL) {
        return 0;
    }
    from_ring(b, room, n);
    b->next_out++;
    b->told = credit_limit(b);
    return sealed(b, number, DATA_HEAD, out, DATA_HEAD + n);
}

static size_t put_credit(struct pst_broker *b, uint8_t *out, size_t cap, uint64_t now_ms)
{
    struct pst_writer w = pst_writer_of(out, cap);
    const uint64_t number = b->credit_out++;
    size_t len = 0;

    pst_put_u8(&w, PST_BROKER_CREDIT);
    pst_put_u64(&w, number);
    pst_put_u64(&w, credit_limit(b));
    pst_put_u8(&w, b->ask_due ? PST_BROKER_ASK : 0);
    if (b->ask_due) {
        b->asked_ms = now_ms;
    }
    b->told = credit_limit(b);
    b->credit_due = b->ask_due = false;
    return pst_written(&w, &len) == PST_OK ? sealed(b, number, len, out, len) : 0;
}

static size_t put_close(struct pst_broker *b, uint8_t *out, size_t cap)
{
    struct pst_writer w = pst_writer_of(out, cap);
    size_t len = 0;

    b->close_due = false;
    pst_put_u8(&w, PST_BROKER_CLOSE);
    pst_put_u64(&w, b->next_out);
    pst_put_u8(&w, b->reason);
    return pst_written(&w, &len) == PST_OK ? sealed(b, b->next_out, len, out, len) : 0;
}

static size_t next_message(struct pst_broker *b, uint8_t *out, size_t cap, uint64_t now_ms)
{
    if (b->greet_due && (!over(b) || b->close_due)) {
        return put_greeting(b, out, cap);
    }
    if (b->close_due) {
        return put_close(b, out, cap);
    }
    if (b->state != PST_OK) {
        return 0;
    }
    if (b->send_used > 0 && b->next_out < b->limit) {
        return put_data(b, out, cap);
    }
    if (b->closing && b->send_used == 0) {
        end(b, PST_ERR_CLOSED, true);
        return put_close(b, out, cap);
    }
    return b->credit_due || b->ask_due ? put_credit(b, out, cap, now_ms) : 0;
}

size_t pst_broker_output(struct pst_broker *b, uint8_t *out, size_t cap, int *qos, uint64_t now_ms)
{
    if (cap < PST_BROKER_MESSAGE(b->cfg.chunk)) {
        return 0;
    }
    on_time(b, now_ms);
    const size_t len = next_message(b, out, cap, now_ms);
    if (len > 0) {
        b->said_ms = now_ms;
        *qos = out[0] == PST_BROKER_CREDIT ? 0 : 1;
    }
    return len;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pst_broker_wake(const struct pst_broker *b)
{
    const struct pst_broker_timing *t = &b->cfg.timing;

    if (b->state == PST_PENDING) {
        return b->heard_ms + t->connect;
    }
    if (b->state != PST_OK) {
        return UINT64_MAX;
    }
    uint64_t at = sooner(b->heard_ms + t->dead, b->said_ms + t->keepalive);
    if (b->hinted) {
        at = sooner(at, b->hint_ms + t->hint);
    }
    return asking(b) ? sooner(at, b->asked_ms + t->ask) : at;
}

/* --- the owner's side --- */

size_t pst_broker_room(const struct pst_broker *b)
{
    return over(b) || b->closing ? 0 : b->cfg.send_cap - b->send_used;
}

size_t pst_broker_write(struct pst_broker *b, const uint8_t *bytes, size_t len)
{
    const size_t n = least(len, pst_broker_room(b));
    const size_t at = (b->send_head + b->send_used) % b->cfg.send_cap;
    const size_t first = least(n, b->cfg.send_cap - at);

    if (n == 0) {
        return 0;
    }
    memcpy(b->cfg.send + at, bytes, first);
    memcpy(b->cfg.send, bytes + first, n - first);
    b->send_used += n;
    return n;
}

struct pst_bytes pst_broker_peek(const struct pst_broker *b)
{
    const size_t slot = (size_t)(b->consumed % b->cfg.window);

    if (b->consumed == b->next_in) {
        return (struct pst_bytes){NULL, 0};
    }
    return (struct pst_bytes){b->cfg.receive + slot * b->cfg.chunk + b->read_at,
                              b->lens[slot] - b->read_at};
}

void pst_broker_taken(struct pst_broker *b, size_t len)
{
    b->read_at += least(len, pst_broker_peek(b).len);
    if (b->consumed < b->next_in && pst_broker_peek(b).len == 0) {
        b->consumed++;
        b->read_at = 0;
    }
}

void pst_broker_close(struct pst_broker *b)
{
    if (b->state == PST_PENDING) {
        end(b, PST_ERR_CLOSED, false);
    }
    b->closing = true;
}

void pst_broker_abort(struct pst_broker *b, pst_err why)
{
    b->send_used = 0;
    end(b, why, true);
}

size_t pst_broker_lost(uint8_t out[PST_BROKER_LOST_LEN])
{
    out[0] = PST_BROKER_LOST;
    return PST_BROKER_LOST_LEN;
}
