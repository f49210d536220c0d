/* The reliable link: datagrams under way, acknowledgements, loss, round trip, congestion window. */
#include "link/reliable/reliable.h"

#define OUT_OF_ORDER 3 /* a datagram is lost once this many later ones were acknowledged */
#define PROBES_MAX 3
#define PROBE_AGAIN_MS 600000
#define SHRINK_AFTER 2 /* timeouts in a row after which the path counts as shrunk, */
#define SHRINK_LOST 4  /* or losses of large datagrams without one that arrived */
#define WINDOW_MAX (UINT32_C(1) << 26)

struct pst_reliable_sent *psti_sent_find(struct pst_reliable *r, uint8_t state)
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

size_t psti_sent_free(const struct pst_reliable *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        n += r->cfg.sent[i].state == SENT_FREE;
    }
    return n;
}

bool psti_sent_flying(const struct pst_reliable *r, uint8_t what)
{
    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        if (r->cfg.sent[i].state == SENT_FLYING && r->cfg.sent[i].what == what) {
            return true;
        }
    }
    return false;
}

/* Bytes of data under way. Probes are not counted. */
uint32_t psti_sent_in_flight(const struct pst_reliable *r)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        if (r->cfg.sent[i].state == SENT_FLYING && r->cfg.sent[i].what == SENT_DATA) {
            sum += r->cfg.sent[i].size;
        }
    }
    return sum;
}

/* Frees the part of the send buffer that will not be sent again. */
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

/* Counts losses of large datagrams in a row. Timeouts do not show them while small ones arrive. */
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

/* Shrinks the window, once for all datagrams that were under way at the same time. True: it
 * shrank. */
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

/* --- timeouts --- */

uint64_t psti_sent_expires(const struct pst_reliable *r, const struct pst_reliable_sent *s)
{
    const uint64_t rto = (uint64_t)r->rto_ms << r->backoff;
    const uint64_t most = r->cfg.timing.most_rto;

    return s->at_ms + (rto < most ? rto : most);
}

void psti_sent_expire(struct pst_reliable *r, uint64_t now_ms)
{
    bool any = false;

    for (size_t i = 0; i < r->cfg.sent_count; i++) {
        struct pst_reliable_sent *s = &r->cfg.sent[i];

        if (s->state != SENT_FLYING || psti_sent_expires(r, s) > now_ms) {
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
