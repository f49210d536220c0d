/* The reliable link: input, and the owner's calls to send and receive. */
#include <string.h>

#include "link/reliable/reliable.h"

#define BUFFER_MIN 256
#define BUFFER_MAX ((size_t)1 << 30)
#define SENT_MIN 8
#define MASK_SPAN 64
#define WINDOW_START 10 /* datagrams */

const struct pst_link_traits pst_udp_traits = {
    .mtu = PST_LINK_MAX_MESSAGE,
    .ordered = true,
    .lossy = false,
    .shared = true,
    .pushes = true,
    .sequence_len = 8,
};

const struct pst_reliable_timing pst_reliable_ip = {
    .first_rto = 500,
    .least_rto = 30,
    .most_rto = 4000,
    .ack_delay = 5,
    .keepalive = 5000,
    .dead = 30000,
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* --- beginning --- */

static bool config_ok(const struct pst_reliable_config *cfg)
{
    return cfg->mtu_first >= PST_RELIABLE_LEAST_MTU && cfg->mtu_most >= cfg->mtu_first &&
           cfg->message_cap >= PST_LINK_MIN_MESSAGE && cfg->message_cap <= UINT32_MAX &&
           cfg->send_cap >= BUFFER_MIN && cfg->send_cap <= BUFFER_MAX &&
           cfg->receive_cap >= BUFFER_MIN && cfg->receive_cap <= BUFFER_MAX &&
           cfg->sent_count >= SENT_MIN && cfg->sent_count <= PST_RELIABLE_MAX_SENT &&
           cfg->timing.least_rto > 0 && cfg->timing.most_rto >= cfg->timing.least_rto;
}

static pst_err begin(struct pst_reliable *r, const struct pst_reliable_config *cfg, uint64_t now_ms)
{
    if (!config_ok(cfg)) {
        return PST_ERR_ARGUMENT;
    }
    memset(r, 0, sizeof *r);
    r->cfg = *cfg;
    r->state = PST_PENDING;
    r->mtu = r->mtu_peak = cfg->mtu_first;
    r->heard_ms = r->hello_ms = now_ms;
    r->oldest = r->unsent = r->written = r->limit = cfg->start;
    r->next_number = r->recovery = cfg->start;
    r->rto_ms = cfg->timing.first_rto;
    r->window = WINDOW_START * (uint32_t)cfg->mtu_first;
    r->threshold = UINT32_MAX;
    memset(cfg->sent, 0, cfg->sent_count * sizeof *cfg->sent);
    pst_framing_init(&r->stream, cfg->message, cfg->message_cap);
    return PST_OK;
}

static void opened(struct pst_reliable *r, const struct greeting *g, uint32_t peer_id,
                   uint64_t now_ms)
{
    r->peer = g->hello;
    r->peer_id = peer_id;
    r->mtu_peak = g->mtu < r->cfg.mtu_most ? g->mtu : r->cfg.mtu_most;
    if (r->mtu > r->mtu_peak) {
        r->mtu = r->mtu_peak;
    }
    r->limit = r->cfg.start + g->credit;
    r->consumed = r->in_order = g->start;
    r->told = g->start + (uint32_t)r->cfg.receive_cap;
    r->seen = g->start - 1;
    r->heard_ms = r->probe_ms = now_ms;
    r->state = PST_OK;
    r->known = true;
    r->backoff = 0;
}

pst_err pst_reliable_connect(struct pst_reliable *r, const struct pst_reliable_config *cfg,
                             uint64_t now_ms)
{
    return begin(r, cfg, now_ms);
}

pst_err pst_reliable_accept(struct pst_reliable *r, const struct pst_reliable_config *cfg,
                            const uint8_t *hello, size_t len, uint64_t now_ms)
{
    struct pst_reader in;
    struct greeting g;
    uint8_t type = 0;

    PST_TRY(psti_datagram_open(cfg->crc32c, hello, len, &type, &in));
    if (type != PST_DATAGRAM_HELLO || psti_greeting_get(&in, false, &g) != PST_OK) {
        return PST_ERR_DECODE;
    }
    PST_TRY(begin(r, cfg, now_ms));
    r->server = true;
    r->welcome_due = true;
    opened(r, &g, g.id, now_ms);
    return PST_OK;
}

bool pst_reliable_mine(const struct pst_reliable *r, const uint8_t *datagram, size_t len)
{
    if (len < 5) {
        return false;
    }
    const uint32_t id = pst_peek_u32(datagram + 1);
    if (datagram[0] == PST_DATAGRAM_HELLO) {
        return r->server && id == r->peer_id;
    }
    return id == (datagram[0] == PST_DATAGRAM_RESET ? r->peer_id : r->cfg.id);
}

/* --- receiving --- */

static void into_ring(struct pst_reliable *r, uint32_t offset, const uint8_t *at, size_t len)
{
    const size_t cap = r->cfg.receive_cap;
    const size_t index = (r->receive_head + (offset - r->consumed)) % cap;
    const size_t first = least(len, cap - index);

    memcpy(r->cfg.receive + index, at, first);
    if (len > first) {
        memcpy(r->cfg.receive, at + first, len - first);
    }
}

static void island_drop(struct pst_reliable *r, size_t i)
{
    r->islands--;
    for (; i < r->islands; i++) {
        r->island_from[i] = r->island_from[i + 1];
        r->island_to[i] = r->island_to[i + 1];
    }
}

/* Notes that the bytes [from, to) have arrived. Islands neither touch nor overlap. False: no island
 * is free. */
static bool island_add(struct pst_reliable *r, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < r->islands;) {
        if (pst_gap(r->island_from[i], to) > 0 || pst_gap(from, r->island_to[i]) > 0) {
            i++;
            continue;
        }
        if (pst_gap(r->island_from[i], from) < 0) {
            from = r->island_from[i];
        }
        if (pst_gap(r->island_to[i], to) > 0) {
            to = r->island_to[i];
        }
        island_drop(r, i);
    }
    if (r->islands == PST_RELIABLE_ISLANDS) {
        return false;
    }
    r->island_from[r->islands] = from;
    r->island_to[r->islands] = to;
    r->islands++;
    return true;
}

static void swallow_islands(struct pst_reliable *r)
{
    for (size_t i = 0; i < r->islands;) {
        if (pst_gap(r->island_from[i], r->in_order) > 0) {
            i++;
            continue;
        }
        if (pst_gap(r->island_to[i], r->in_order) > 0) {
            r->in_order = r->island_to[i];
        }
        island_drop(r, i);
        i = 0;
    }
}

/* PST_ERR_LIMIT: more than can be kept, so it is not acknowledged. */
static pst_err store(struct pst_reliable *r, uint32_t offset, struct pst_bytes b)
{
    const uint32_t end = offset + (uint32_t)b.len;
    const uint32_t limit = r->consumed + (uint32_t)r->cfg.receive_cap;
    const int32_t old = pst_gap(r->in_order, offset);

    if (pst_gap(end, limit) > 0 || pst_gap(offset, limit) > 0) {
        return PST_ERR_LIMIT;
    }
    if (pst_gap(end, r->in_order) <= 0) {
        r->counters.repeated += b.len;
        return PST_OK;
    }
    if (old > 0) {
        r->counters.repeated += (uint32_t)old;
        b.at += old;
        b.len -= (size_t)old;
        offset = r->in_order;
    }
    if (offset == r->in_order) {
        r->in_order = end;
    } else if (!island_add(r, offset, end)) {
        return PST_ERR_LIMIT;
    }
    into_ring(r, offset, b.at, b.len);
    swallow_islands(r);
    return PST_OK;
}

/* Notes a received number. True: it came in order. */
static bool note_number(struct pst_reliable *r, uint32_t number)
{
    const int32_t ahead = pst_gap(number, r->seen);

    if (ahead <= 0) {
        if (ahead < 0 && ahead >= -MASK_SPAN) {
            r->missing &= ~(UINT64_C(1) << (-ahead - 1));
        }
        return false;
    }
    r->missing = ahead >= MASK_SPAN ? 0 : r->missing << ahead;
    r->missing |= ahead > MASK_SPAN ? UINT64_MAX : (UINT64_C(1) << (ahead - 1)) - 1;
    r->seen = number;
    return ahead == 1;
}

static void owe_ack(struct pst_reliable *r, bool in_turn, uint64_t now_ms)
{
    if (r->owed == 0) {
        r->ack_ms = now_ms + r->cfg.timing.ack_delay;
    }
    if (r->owed < UINT8_MAX) {
        r->owed++;
    }
    if (r->owed >= 2 || !in_turn) {
        r->ack_ms = now_ms;
    }
}

static pst_err on_data(struct pst_reliable *r, struct pst_reader *in, uint64_t now_ms)
{
    struct data d;

    PST_TRY(psti_data_get(in, &d));
    if (d.id != r->cfg.id || r->state != PST_OK) {
        return PST_ERR_UNEXPECTED;
    }
    if ((d.flags & PST_DATAGRAM_ACK) != 0 && pst_gap(d.ack, r->next_number) >= 0) {
        return PST_ERR_UNEXPECTED; /* never sent */
    }
    r->heard_ms = now_ms;
    if ((d.flags & PST_DATAGRAM_ACK) != 0) {
        psti_reliable_acked(r, &d, now_ms);
    }
    if ((d.flags & PST_DATAGRAM_BYTES) != 0) {
        PST_TRY(store(r, d.offset, d.bytes));
    }
    if ((d.flags & PST_DATAGRAM_ASK) != 0) {
        owe_ack(r, note_number(r, d.number), now_ms);
    }
    return PST_OK;
}

static pst_err on_cookie(struct pst_reliable *r, struct pst_reader *in, uint64_t now_ms)
{
    const uint32_t id = pst_get_u32(in);
    const uint64_t cookie = pst_get_u64(in);

    PST_TRY(pst_finish(in));
    if (id != r->cfg.id || r->server || r->state != PST_PENDING) {
        return PST_ERR_UNEXPECTED;
    }
    /* Only the first cookie is answered at once. Otherwise a hostile server could keep us busy. */
    if (!r->cookie_known) {
        psti_reliable_greeted(r, now_ms);
    }
    r->cookie_known = true;
    r->cookie = cookie;
    return PST_OK;
}

static pst_err on_hello(struct pst_reliable *r, struct pst_reader *in, bool welcome,
                        uint64_t now_ms)
{
    struct greeting g;
    const pst_err err = psti_greeting_get(in, welcome, &g);
    const bool wanted = welcome ? !r->server && g.id == r->cfg.id && r->state == PST_PENDING
                                : r->server && g.id == r->peer_id && r->state == PST_OK;

    if (err != PST_OK && err != PST_ERR_PROFILE) {
        return err;
    }
    if (!wanted) {
        return PST_ERR_UNEXPECTED;
    }
    if (err == PST_ERR_PROFILE) {
        psti_reliable_end(r, PST_ERR_PROFILE, false);
        return PST_OK;
    }
    if (welcome) {
        opened(r, &g, g.sender, now_ms);
    } else {
        r->welcome_due = true;
    }
    return PST_OK;
}

static pst_err on_close(struct pst_reliable *r, struct pst_reader *in)
{
    const uint32_t id = pst_get_u32(in);
    const int reason = -(int)pst_get_u8(in);

    PST_TRY(pst_finish(in));
    if (id != r->cfg.id) {
        return PST_ERR_UNEXPECTED;
    }
    /* PST_OK, PST_PENDING and PST_WANT_MORE are no reasons, and count as PST_ERR_CLOSED. */
    psti_reliable_end(r, reason > PST_ERR_ARGUMENT ? PST_ERR_CLOSED : (pst_err)reason, false);
    return PST_OK;
}

static pst_err on_reset(struct pst_reliable *r, struct pst_reader *in)
{
    const uint32_t id = pst_get_u32(in);

    PST_TRY(pst_finish(in));
    if (r->state != PST_OK || id != r->peer_id) {
        return PST_ERR_UNEXPECTED;
    }
    psti_reliable_end(r, PST_ERR_CLOSED, false);
    r->forgotten = true;
    return PST_OK;
}

/* After the end, a peer that missed our CLOSE gets it again, but only in answer to what expects
 * one. */
static pst_err after_end(struct pst_reliable *r, uint8_t type, struct pst_reader *in)
{
    if (type == PST_DATAGRAM_DATA && pst_get_u32(in) == r->cfg.id && r->known) {
        r->last_words = true;
    }
    return PST_ERR_UNEXPECTED;
}

static pst_err dispatch(struct pst_reliable *r, const uint8_t *datagram, size_t len,
                        uint64_t now_ms)
{
    struct pst_reader in;
    uint8_t type = 0;

    PST_TRY(psti_datagram_open(r->cfg.crc32c, datagram, len, &type, &in));
    if (r->state != PST_OK && r->state != PST_PENDING) {
        return after_end(r, type, &in);
    }
    switch (type) {
    case PST_DATAGRAM_HELLO:
        return on_hello(r, &in, false, now_ms);
    case PST_DATAGRAM_WELCOME:
        return on_hello(r, &in, true, now_ms);
    case PST_DATAGRAM_COOKIE:
        return on_cookie(r, &in, now_ms);
    case PST_DATAGRAM_DATA:
        return on_data(r, &in, now_ms);
    case PST_DATAGRAM_CLOSE:
        return on_close(r, &in);
    case PST_DATAGRAM_RESET:
        return on_reset(r, &in);
    default:
        return PST_ERR_DECODE;
    }
}

pst_err pst_reliable_input(struct pst_reliable *r, const uint8_t *datagram, size_t len,
                           uint64_t now_ms)
{
    const pst_err err = dispatch(r, datagram, len, now_ms);

    r->counters.received++;
    if (err == PST_ERR_DECODE) {
        r->counters.damaged++;
    } else if (err != PST_OK) {
        r->counters.refused++;
    }
    return err;
}

/* --- the owner's side --- */

/* The number of bytes that are in order and contiguous in the buffer. */
static size_t ready(const struct pst_reliable *r)
{
    return least(r->in_order - r->consumed, r->cfg.receive_cap - r->receive_head);
}

static void consume(struct pst_reliable *r, size_t n)
{
    r->consumed += (uint32_t)n;
    r->receive_head = (r->receive_head + n) % r->cfg.receive_cap;
    /* Credit for half of the buffer is worth a datagram of its own. */
    if (r->consumed + (uint32_t)r->cfg.receive_cap - r->told >= r->cfg.receive_cap / 2) {
        r->credit_due = true;
    }
}

size_t pst_reliable_read(struct pst_reliable *r, uint8_t *out, size_t cap)
{
    size_t total = 0;

    for (size_t n; (n = least(ready(r), cap - total)) > 0; total += n) {
        memcpy(out + total, r->cfg.receive + r->receive_head, n);
        consume(r, n);
    }
    return total;
}

struct pst_bytes pst_reliable_peek(const struct pst_reliable *r)
{
    return (struct pst_bytes){r->cfg.receive + r->receive_head, ready(r)};
}

void pst_reliable_skip(struct pst_reliable *r, size_t len)
{
    consume(r, least(len, ready(r)));
}

pst_err pst_reliable_receive(struct pst_reliable *r, uint8_t *kind, uint8_t **payload, size_t *len)
{
    for (size_t n; (n = ready(r)) > 0;) {
        size_t used = 0;
        const pst_err err = pst_framing_receive(&r->stream, r->cfg.receive + r->receive_head, n,
                                                &used, kind, payload, len);

        consume(r, used);
        if (err == PST_OK) {
            return PST_OK;
        }
        if (err != PST_WANT_MORE) {
            pst_reliable_abort(r, err);
            return err;
        }
    }
    return r->state == PST_OK || r->state == PST_PENDING ? PST_WANT_MORE : r->state;
}

size_t pst_reliable_room(const struct pst_reliable *r)
{
    return r->state != PST_OK || r->closing ? 0 : r->cfg.send_cap - (r->written - r->oldest);
}

size_t pst_reliable_write(struct pst_reliable *r, const uint8_t *bytes, size_t len)
{
    const size_t cap = r->cfg.send_cap, queued = r->written - r->oldest;

    len = least(len, pst_reliable_room(r));
    if (len == 0) {
        return 0;
    }
    const size_t index = (r->send_head + queued) % cap, first = least(len, cap - index);
    memcpy(r->cfg.send + index, bytes, first);
    if (len > first) {
        memcpy(r->cfg.send, bytes + first, len - first);
    }
    r->written += (uint32_t)len;
    return len;
}

pst_err pst_reliable_send(struct pst_reliable *r, uint8_t kind, const uint8_t *payload, size_t len)
{
    uint8_t header[PST_LINK_HEADER];

    if (r->state == PST_PENDING || r->closing) {
        return PST_ERR_STATE;
    }
    if (r->state != PST_OK) {
        return r->state;
    }
    if (len > r->peer.largest || len > r->cfg.send_cap - sizeof header) {
        return PST_ERR_SPACE;
    }
    PST_TRY(pst_framing_header(header, kind, len));
    if (r->cfg.send_cap - (r->written - r->oldest) < sizeof header + len) {
        return PST_PENDING;
    }
    pst_reliable_write(r, header, sizeof header);
    pst_reliable_write(r, payload, len);
    return PST_OK;
}

void pst_reliable_close(struct pst_reliable *r)
{
    if (r->state == PST_PENDING) {
        psti_reliable_end(r, PST_ERR_CLOSED, false);
    }
    r->closing = true;
}

void pst_reliable_abort(struct pst_reliable *r, pst_err why)
{
    if (r->state == PST_OK || r->state == PST_PENDING) {
        psti_reliable_end(r, why, r->state == PST_OK);
    }
}
