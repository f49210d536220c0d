/* The reliable link: acknowledgements, loss, timers, and what goes out. */
#include <string.h>

#include "link/reliable/reliable.h"

#define OUT_OF_ORDER 3 /* a datagram that so many later ones overtook is lost */
#define BACKOFF_MAX 10
#define PROBES_MAX 3
#define PROBE_AGAIN_MS 600000
#define SHRINK_AFTER 2 /* timeouts in a row, before the path is taken to have shrunk, */
#define SHRINK_LOST 4  /* or times that large ones were lost and no such one arrived */
#define WINDOW_MAX (UINT32_C(1) << 26)

/* Payloads of usual paths: IPv6's least, PPPoE, Ethernet with IPv6 and IPv4, jumbo frames,
 * loopback. */
static const uint16_t ladder[] = {1232, 1392, 1452, 1472, 4000, 8952, 16000, 32000, 65000};

void psti_reliable_end(struct pst_reliable *r, pst_err why, bool tell)
{
    r->state = why;
    r->last_words = tell;
    r->reason = (uint8_t) - (int)why;
}

/* --- what is under way --- */

/* Of what was lost, the earliest in the stream: a receiver that cannot keep track of more gaps
 * takes that one and no other. */
static struct pst_reliable_sent *find(struct pst_reliable *r, uint8_t state)
{
    struct pst_reliable_sent *first = NULL;

    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        struct pst_reliable_sent *s = &r->cfg.sent[i];

        if (s->state == state && (first == NULL || pst_gap(s->offset, first->offset) < 0)) {
            first = s;
        }
    }
    return first;
}

static size_t free_slots(const struct pst_reliable *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        n += r->cfg.sent[i].state == SENT_FREE;
    }
    return n;
}

static bool flying(const struct pst_reliable *r, uint8_t what)
{
    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        if (r->cfg.sent[i].state == SENT_FLYING && r->cfg.sent[i].what == what) {
            return true;
        }
    }
    return false;
}

/* Bytes of data under way; trying a size is not counted against the path. */
static uint32_t in_flight(const struct pst_reliable *r)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        if (r->cfg.sent[i].state == SENT_FLYING && r->cfg.sent[i].what == SENT_DATA) {
            sum += r->cfg.sent[i].size;
        }
    }
    return sum;
}

/* Gives back the part of the send buffer that nobody can ask for again. */
static void release(struct pst_reliable *r)
{
    uint32_t oldest = r->unsent;

    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        const struct pst_reliable_sent *s = &r->cfg.sent[i];

        if (s->state != SENT_FREE && s->what == SENT_DATA && pst_gap(s->offset, oldest) < 0) {
            oldest = s->offset;
        }
    }
    r->send_head = (r->send_head + (oldest - r->oldest)) % r->cfg.send_cap;
    r->oldest = oldest;
}

/* --- round trip, window --- */

static void measured(struct pst_reliable *r, uint32_t rtt_ms)
{
    const struct pst_reliable_timing *t = &r->cfg.timing;
    const uint32_t off = rtt_ms > r->rtt_ms ? rtt_ms - r->rtt_ms : r->rtt_ms - rtt_ms;

    if (rtt_ms == 0) {
        rtt_ms = 1;
    }
    if (r->rtt_ms == 0) {
        r->rtt_ms = rtt_ms;
        r->var_ms = rtt_ms / 2;
    } else {
        r->var_ms = (3 * r->var_ms + off + 2) / 4;
        r->rtt_ms = (7 * r->rtt_ms + rtt_ms + 4) / 8;
    }
    const uint64_t rto = (uint64_t)r->rtt_ms + 4 * (uint64_t)r->var_ms + t->ack_delay;
    r->rto_ms = rto < t->least_rto ? t->least_rto : rto > t->most_rto ? t->most_rto : (uint32_t)rto;
}

/* The way there and back is open: what it took is known if there was but one HELLO, and the next
 * one goes out at once. */
void psti_reliable_greeted(struct pst_reliable *r, uint64_t now_ms)
{
    if (r->backoff == 1) {
        measured(r, (uint32_t)(now_ms - (r->hello_ms - r->rto_ms)));
    }
    r->backoff = 0;
    r->hello_ms = now_ms;
}

static void window_grow(struct pst_reliable *r, uint32_t size)
{
    if (r->window >= WINDOW_MAX) {
        return;
    }
    if (r->window < r->threshold) {
        r->window += size;
    } else {
        r->window += (uint32_t)((uint64_t)r->mtu * size / r->window) + 1;
    }
}

static void shrink_path(struct pst_reliable *r, uint64_t now_ms)
{
    if (r->mtu <= r->cfg.mtu_first) {
        return;
    }
    r->mtu = r->cfg.mtu_first;
    r->probes = r->large_lost = 0;
    r->probe_ms = now_ms + PROBE_AGAIN_MS;
}

/* Small ones that arrive hide from the timeouts that large ones do not. */
static void suspect_path(struct pst_reliable *r, uint16_t size, uint64_t now_ms)
{
    if (size <= r->cfg.mtu_first) {
        return;
    }
    if (r->large_lost == 0 || size < r->large) {
        r->large = size;
    }
    if (++r->large_lost >= SHRINK_LOST) {
        shrink_path(r, now_ms);
    }
}

/* Once for what was under way at the same time; true: this is that once. */
static bool window_shrink(struct pst_reliable *r, uint32_t number)
{
    if (pst_gap(number, r->recovery) < 0) {
        return false;
    }
    r->recovery = r->next_number;
    r->window = r->window / 10 * 7;
    if (r->window < 2 * (uint32_t)r->mtu) {
        r->window = 2 * (uint32_t)r->mtu;
    }
    r->threshold = r->window;
    return true;
}

static void lost(struct pst_reliable *r, struct pst_reliable_sent *s, uint64_t now_ms)
{
    r->counters.lost++;
    s->state = s->what == SENT_DATA ? SENT_LOST : SENT_FREE;
    if (s->what == SENT_DATA) {
        if (window_shrink(r, s->number)) {
            suspect_path(r, s->size, now_ms);
        }
    } else if (s->what == SENT_CREDIT) {
        r->credit_due = true;
    } else if (s->what == SENT_PROBE) {
        r->probes++;
        r->probe_ms = now_ms;
        if (r->probes >= PROBES_MAX) {
            r->probes = 0;
            r->probe_ms = now_ms + PROBE_AGAIN_MS;
        }
    }
}

static void arrived(struct pst_reliable *r, struct pst_reliable_sent *s, uint64_t now_ms)
{
    if (s->state == SENT_LOST) {
        r->counters.spurious++;
    }
    if (s->what == SENT_DATA) {
        window_grow(r, s->size);
    }
    if (s->what == SENT_PROBE && s->size > r->mtu && s->size <= r->mtu_peak) {
        r->mtu = s->size;
        r->probes = 0;
        r->probe_ms = now_ms;
    }
    if (s->size >= r->large) {
        r->large_lost = 0;
    }
    s->state = SENT_FREE;
    r->backoff = 0;
}

void psti_reliable_acked(struct pst_reliable *r, const struct data *d, uint64_t now_ms)
{
    if (pst_gap(d->credit, r->limit) > 0) {
        r->limit = d->credit;
    }
    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        struct pst_reliable_sent *s = &r->cfg.sent[i];
        const int32_t behind = pst_gap(d->ack, s->number);

        if (s->state == SENT_FREE || behind < 0) {
            continue;
        }
        if (behind == 0 && s->state == SENT_FLYING) {
            measured(r, (uint32_t)(now_ms - s->at_ms));
        }
        if (behind == 0 || (behind <= 64 && (d->missing >> (behind - 1) & 1) == 0)) {
            arrived(r, s, now_ms);
        } else if (s->state == SENT_FLYING && behind >= OUT_OF_ORDER) {
            lost(r, s, now_ms);
        }
    }
    release(r);
}

/* --- timers --- */

static uint64_t expires(const struct pst_reliable *r, const struct pst_reliable_sent *s)
{
    const uint64_t rto = (uint64_t)r->rto_ms << r->backoff;
    const uint64_t most = r->cfg.timing.most_rto;

    return s->at_ms + (rto < most ? rto : most);
}

static void expire(struct pst_reliable *r, uint64_t now_ms)
{
    bool any = false;

    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        struct pst_reliable_sent *s = &r->cfg.sent[i];

        if (s->state != SENT_FLYING || expires(r, s) > now_ms) {
            continue;
        }
        any = any || s->what != SENT_PROBE;
        lost(r, s, now_ms);
    }
    if (!any) {
        return;
    }
    r->window = 2 * (uint32_t)r->mtu;
    if (r->backoff < BACKOFF_MAX) {
        r->backoff++;
    }
    if (r->backoff >= SHRINK_AFTER) {
        shrink_path(r, now_ms);
    }
}

/* Nothing under way, or its timeout would tell. */
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
    expire(r, now_ms);
    if (keepalive_at(r) <= now_ms) {
        r->ping_due = true;
    }
    if (r->closing && r->written == r->oldest) {
        psti_reliable_end(r, PST_ERR_CLOSED, true);
    }
}

static bool may_probe(const struct pst_reliable *r)
{
    return r->mtu < r->mtu_peak && !flying(r, SENT_PROBE);
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
            at = sooner(at, expires(r, &r->cfg.sent[i]));
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

/* Lets an acknowledgement travel along when there is one to give and `room` for it. */
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

/* Sends what `s` says, anew. */
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
    const uint32_t under_way = in_flight(r);

    return under_way == 0 || under_way + len <= r->window;
}

/* What a datagram can carry when an acknowledgement that is owed comes along. */
static size_t data_room(const struct pst_reliable *r, bool with_ack)
{
    const size_t ack = with_ack && r->owed > 0 ? ACK_SIZE(psti_mask_len(r->missing)) : 0;

    return r->mtu - (size_t)DATA_HEAD - DATAGRAM_CRC - ack;
}

/* The path has shrunk: the first `room` bytes go out on their own. */
static struct pst_reliable_sent *cut_off(struct pst_reliable *r, struct pst_reliable_sent *s,
                                         size_t room)
{
    struct pst_reliable_sent *part = find(r, SENT_FREE);

    if (part == NULL) {
        for (size_t i = 0; i < r->cfg.sent_count; i++) { /* what fits makes room */
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
    struct pst_reliable_sent *s = find(r, SENT_LOST);
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
    struct pst_reliable_sent *s = find(r, SENT_FREE);

    if (credit <= 0 || len == 0 || s == NULL || free_slots(r) <= r->cfg.sent_count / 4) {
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
    struct pst_reliable_sent *s = find(r, SENT_FREE);
    uint16_t size = r->mtu_peak;

    if (!may_probe(r) || r->probe_ms > now_ms) {
        return 0;
    }
    if (s == NULL) {
        r->probe_ms = now_ms + r->rto_ms; /* later, rather than being woken for nothing */
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
    struct pst_reliable_sent *s = find(r, SENT_FREE);

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
