/* The reliable link: timers and output. */
#include <string.h>

#include "link/reliable/reliable.h"

/* Datagram sizes to probe, from common paths: the IPv6 minimum, PPPoE, Ethernet with IPv6 and IPv4,
 * jumbo frames, loopback. */
static const uint16_t ladder[] = {1232, 1392, 1452, 1472, 4000, 8952, 16000, 32000, 65000};

void psti_reliable_end(struct pst_reliable *r, pst_err why, bool tell)
{
    r->state = why;
    r->last_words = tell;
    r->reason = (uint8_t) - (int)why;
}

/* --- timers --- */

/* When to send a keepalive. Never while something is under way, because its timeout shows whether
 * the peer is there. */
static uint64_t keepalive_at(const struct pst_reliable *r)
{
    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        if (r->cfg.sent[i].state == SENT_FLYING) {
            return UINT64_MAX;
        }
    }
    return r->heard_ms + r->cfg.timing.keepalive;
}

void pst_reliable_look(struct pst_reliable *r, uint64_t now_ms)
{
    const bool alive = r->state == PST_OK || r->state == PST_PENDING;

    if (alive && now_ms - r->heard_ms >= r->cfg.timing.dead) {
        psti_reliable_end(r, PST_ERR_TIMEOUT, r->state == PST_OK);
    }
}

static void run_timers(struct pst_reliable *r, uint64_t now_ms)
{
    pst_reliable_look(r, now_ms);
    if (r->state != PST_OK) {
        return;
    }
    psti_sent_expire(r, now_ms);
    if (keepalive_at(r) <= now_ms) {
        r->ping_due = true;
    }
    if (r->closing && r->written == r->oldest) {
        psti_reliable_end(r, PST_ERR_CLOSED, true);
    }
}

static bool may_probe(const struct pst_reliable *r)
{
    return r->mtu < r->mtu_peak && !psti_sent_flying(r, SENT_PROBE);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pst_reliable_wake(const struct pst_reliable *r)
{
    uint64_t at = r->heard_ms + r->cfg.timing.dead;

    if (r->last_words) {
        return 0;
    }
    if (r->state == PST_PENDING) {
        return sooner(at, r->hello_ms);
    }
    if (r->state != PST_OK) {
        return UINT64_MAX;
    }
    if (r->owed > 0) {
        at = sooner(at, r->ack_ms);
    }
    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        if (r->cfg.sent[i].state == SENT_FLYING) {
            at = sooner(at, psti_sent_expires(r, &r->cfg.sent[i]));
        }
    }
    if (may_probe(r)) {
        at = sooner(at, r->probe_ms);
    }
    return sooner(at, keepalive_at(r));
}

/* --- output --- */

static struct greeting own_greeting(const struct pst_reliable *r)
{
    return (struct greeting){
        .id = r->server ? r->peer_id : r->cfg.id,
        .sender = r->cfg.id,
        .hello = {.profile = PST_PROFILE_VERSION,
                  .target = r->cfg.target,
                  .largest = (uint32_t)r->cfg.message_cap},
        .mtu = r->cfg.mtu_most,
        .start = r->cfg.start,
        .credit = (uint32_t)r->cfg.receive_cap,
        .cookie = r->cookie,
    };
}

static size_t put_hello(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms)
{
    const struct greeting g = own_greeting(r);
    const uint64_t wait = (uint64_t)r->rto_ms << r->backoff;

    if (r->hello_ms > now_ms) {
        return 0;
    }
    r->hello_ms = now_ms + (wait < r->cfg.timing.most_rto ? wait : r->cfg.timing.most_rto);
    if (r->backoff < BACKOFF_MAX) {
        r->backoff++;
    }
    return psti_greeting_put(out, cap, false, &g);
}

static size_t put_welcome(struct pst_reliable *r, uint8_t *out, size_t cap)
{
    const struct greeting g = own_greeting(r);

    r->welcome_due = false;
    return psti_greeting_put(out, cap, true, &g);
}

static size_t put_close(struct pst_reliable *r, uint8_t *out, size_t cap)
{
    struct pst_writer w = pst_writer_of(out, cap);

    r->last_words = false;
    pst_put_u8(&w, PST_DATAGRAM_CLOSE);
    pst_put_u32(&w, r->peer_id);
    pst_put_u8(&w, r->reason);
    return psti_datagram_seal(r->cfg.crc32c, &w);
}

/* Adds an acknowledgement to `d` if `room` suffices. */
static void add_ack(struct pst_reliable *r, struct data *d, size_t room)
{
    if (room < ACK_SIZE(psti_mask_len(r->missing))) {
        return;
    }
    d->flags |= PST_DATAGRAM_ACK;
    d->ack = r->seen;
    d->missing = r->missing;
    d->credit = r->consumed + (uint32_t)r->cfg.receive_cap;
    r->told = d->credit;
    r->owed = 0;
}

static void copy_out(const struct pst_reliable *r, struct pst_writer *w, uint32_t offset,
                     size_t len)
{
    const size_t cap = r->cfg.send_cap, index = (r->send_head + (offset - r->oldest)) % cap;
    const size_t first = len < cap - index ? len : cap - index;

    pst_put_bytes(w, r->cfg.send + index, first);
    if (len > first) {
        pst_put_bytes(w, r->cfg.send, len - first);
    }
}

/* Sends what `s` describes, under a new number. */
static size_t put_sent(struct pst_reliable *r, struct pst_reliable_sent *s, uint8_t *out,
                       size_t cap, uint64_t now_ms)
{
    const bool bytes = s->what == SENT_DATA;
    struct pst_writer w = pst_writer_of(out, cap);
    struct data d = {.id = r->peer_id, .flags = PST_DATAGRAM_ASK, .offset = s->offset};

    s->number = d.number = r->next_number++;
    s->at_ms = now_ms;
    s->state = SENT_FLYING;
    if (bytes) {
        d.flags |= PST_DATAGRAM_BYTES;
    }
    if (s->what == SENT_PROBE) {
        d.flags |= PST_DATAGRAM_PAD;
    } else if (r->owed > 0 || s->what == SENT_CREDIT || s->what == SENT_PING) {
        add_ack(r, &d, r->mtu - (size_t)DATA_HEAD - DATAGRAM_CRC - s->len);
    }
    psti_data_put(&w, &d);
    if (bytes) {
        copy_out(r, &w, s->offset, s->len);
    }
    if (s->what == SENT_PROBE) {
        pst_put_zeros(&w, s->size - w.used - DATAGRAM_CRC);
    }
    const size_t n = psti_datagram_seal(r->cfg.crc32c, &w);
    if (s->what != SENT_PROBE) {
        s->size = (uint16_t)n;
    }
    return n;
}

static bool window_open(const struct pst_reliable *r, size_t len)
{
    const uint32_t under_way = psti_sent_in_flight(r);

    return under_way == 0 || under_way + len <= r->window;
}

/* The bytes of data that fit into a datagram, if it also carries the acknowledgement that is
 * owed. */
static size_t data_room(const struct pst_reliable *r, bool with_ack)
{
    const size_t ack = with_ack && r->owed > 0 ? ACK_SIZE(psti_mask_len(r->missing)) : 0;

    return r->mtu - (size_t)DATA_HEAD - DATAGRAM_CRC - ack;
}

/* The path has shrunk: splits off the first `room` bytes, to be sent separately. */
static struct pst_reliable_sent *cut_off(struct pst_reliable *r, struct pst_reliable_sent *s,
                                         size_t room)
{
    struct pst_reliable_sent *part = psti_sent_find(r, SENT_FREE);

    if (part == NULL) {
        for (size_t i = 0; i < r->cfg.sent_count; i++) { /* one that fits frees a slot */
            if (r->cfg.sent[i].state == SENT_LOST && r->cfg.sent[i].len <= room) {
                return &r->cfg.sent[i];
            }
        }
        return NULL;
    }
    *part = *s;
    part->len = (uint16_t)room;
    s->offset += (uint32_t)room;
    s->len = (uint16_t)(s->len - room);
    return part;
}

static size_t put_again(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms)
{
    struct pst_reliable_sent *s = psti_sent_find(r, SENT_LOST);
    const size_t room = data_room(r, false);

    if (s == NULL || !window_open(r, s->len < room ? s->len : room)) {
        return 0;
    }
    if (s->len > room) {
        s = cut_off(r, s, room);
        if (s == NULL) {
            return 0;
        }
    }
    return put_sent(r, s, out, cap, now_ms);
}

static size_t put_new(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms)
{
    const int32_t credit = pst_gap(r->limit, r->unsent);
    size_t len = r->written - r->unsent;
    const size_t room = data_room(r, true);
    struct pst_reliable_sent *s = psti_sent_find(r, SENT_FREE);

    if (credit <= 0 || len == 0 || s == NULL || psti_sent_free(r) <= r->cfg.sent_count / 4) {
        return 0;
    }
    len = len < (size_t)credit ? len : (size_t)credit;
    len = len < room ? len : room;
    if (!window_open(r, len)) {
        return 0;
    }
    *s = (struct pst_reliable_sent){.what = SENT_DATA, .offset = r->unsent, .len = (uint16_t)len};
    r->unsent += (uint32_t)len;
    return put_sent(r, s, out, cap, now_ms);
}

static size_t put_probe(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms)
{
    struct pst_reliable_sent *s = psti_sent_find(r, SENT_FREE);
    uint16_t size = r->mtu_peak;

    if (!may_probe(r) || r->probe_ms > now_ms) {
        return 0;
    }
    if (s == NULL) {
        r->probe_ms = now_ms + r->rto_ms; /* retry later, to avoid useless wakes */
        return 0;
    }
    for (size_t i = 0; i < sizeof ladder / sizeof *ladder; i++) {
        if (ladder[i] > r->mtu && ladder[i] < size) {
            size = ladder[i];
            break;
        }
    }
    if (size > cap) {
        return 0;
    }
    *s = (struct pst_reliable_sent){.what = SENT_PROBE, .size = size};
    return put_sent(r, s, out, cap, now_ms);
}

static size_t put_small(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms)
{
    struct pst_reliable_sent *s = psti_sent_find(r, SENT_FREE);

    if (s == NULL || !(r->credit_due || r->ping_due)) {
        return 0;
    }
    *s = (struct pst_reliable_sent){.what = r->credit_due ? SENT_CREDIT : SENT_PING};
    r->credit_due = r->ping_due = false;
    return put_sent(r, s, out, cap, now_ms);
}

static size_t put_ack(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms)
{
    struct pst_writer w = pst_writer_of(out, cap);
    struct data d = {.id = r->peer_id};

    if (r->owed == 0 || r->ack_ms > now_ms) {
        return 0;
    }
    add_ack(r, &d, cap);
    psti_data_put(&w, &d);
    return psti_datagram_seal(r->cfg.crc32c, &w);
}

static size_t next(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms)
{
    static size_t (*const open[])(struct pst_reliable *, uint8_t *, size_t, uint64_t) = {
        put_again, put_new, put_small, put_ack, put_probe,
    };
    size_t n = 0;

    if (r->last_words) {
        return put_close(r, out, cap);
    }
    if (r->state == PST_PENDING) {
        return put_hello(r, out, cap, now_ms);
    }
    if (r->state != PST_OK) {
        return 0;
    }
    if (r->welcome_due) {
        return put_welcome(r, out, cap);
    }
    for (size_t i = 0; i < sizeof open / sizeof *open && n == 0; i++) {
        n = open[i](r, out, cap, now_ms);
    }
    return n;
}

size_t pst_reliable_output(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms)
{
    if (cap < r->cfg.mtu_most) {
        return 0;
    }
    run_timers(r, now_ms);
    const size_t n = next(r, out, cap, now_ms);
    if (n > 0) {
        r->counters.sent++;
    }
    return n;
}
