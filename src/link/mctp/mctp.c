/* MCTP packets. spec: DSP0236, "MCTP packet fields" and "Message assembly". */
#include "postern/links/mctp.h"

#include <string.h>

#define VERSION 0x01 /* low nibble; the high one is reserved */
#define SOM 0x80
#define EOM 0x40
#define OWNER 0x08
#define SEQUENCES 4

pst_err pst_mctp_get(const uint8_t *packet, size_t len, struct pst_mctp_header *h,
                     struct pst_bytes *body)
{
    struct pst_reader r = pst_reader_of(packet, len);
    const uint8_t version = pst_get_u8(&r);
    struct pst_mctp_header got = {0};

    got.destination = pst_get_u8(&r);
    got.source = pst_get_u8(&r);
    const uint8_t flags = pst_get_u8(&r);
    if (!pst_reader_ok(&r)) {
        return PST_ERR_DECODE;
    }
    if ((version & 0x0F) != VERSION) {
        return PST_ERR_VERSION;
    }
    got.som = (flags & SOM) != 0;
    got.eom = (flags & EOM) != 0;
    got.sequence = flags >> 4 & (SEQUENCES - 1);
    got.owner = (flags & OWNER) != 0;
    got.tag = flags & 7;
    *h = got;
    *body = pst_get_block(&r, r.left);
    return PST_OK;
}

void pst_mctp_put(uint8_t out[PST_MCTP_HEADER], const struct pst_mctp_header *h)
{
    out[0] = VERSION;
    out[1] = h->destination;
    out[2] = h->source;
    out[3] =
        (uint8_t)((h->som ? SOM : 0) | (h->eom ? EOM : 0) | (h->sequence & (SEQUENCES - 1)) << 4 |
                  (h->owner ? OWNER : 0) | (h->tag & 7));
}

pst_err pst_mctp_send(struct pst_mctp_sender *s, const struct pst_mctp_header *to,
                      const uint8_t *message, size_t len, size_t unit)
{
    if (len == 0 || unit < PST_MCTP_BASELINE) {
        return PST_ERR_ARGUMENT;
    }
    *s = (struct pst_mctp_sender){
        .next = *to, .message = {message, len},
             .unit = unit
    };
    s->next.som = true;
    s->next.sequence = 0;
    return PST_OK;
}

pst_err pst_mctp_next(struct pst_mctp_sender *s, uint8_t *out, size_t cap, size_t *len)
{
    const size_t n = s->message.len < s->unit ? s->message.len : s->unit;

    if (n == 0) {
        return PST_ERR_STATE;
    }
    if (cap < PST_MCTP_HEADER + n) {
        return PST_ERR_SPACE;
    }
    s->next.eom = n == s->message.len;
    pst_mctp_put(out, &s->next);
    memcpy(out + PST_MCTP_HEADER, s->message.at, n);
    s->message.at += n;
    s->message.len -= n;
    s->next.som = false;
    s->next.sequence = (uint8_t)((s->next.sequence + 1) % SEQUENCES);
    *len = PST_MCTP_HEADER + n;
    return PST_OK;
}

static void abandon(struct pst_mctp_receiver *rx, struct pst_mctp_slot *slot)
{
    slot->busy = false;
    rx->counters.abandoned++;
}

static struct pst_mctp_slot *find(struct pst_mctp_receiver *rx, const struct pst_mctp_header *h)
{
    for (size_t i = 0; i < rx->slot_count; i++) {
        struct pst_mctp_slot *slot = &rx->slots[i];

        if (slot->busy && slot->from.source == h->source && slot->from.tag == h->tag &&
            slot->from.owner == h->owner && slot->from.destination == h->destination) {
            return slot;
        }
    }
    return NULL;
}

static void expire(struct pst_mctp_receiver *rx, uint64_t now_ms)
{
    for (size_t i = 0; i < rx->slot_count; i++) {
        struct pst_mctp_slot *slot = &rx->slots[i];

        if (slot->busy && now_ms - slot->since_ms > rx->timeout_ms) {
            abandon(rx, slot);
        }
    }
}

static struct pst_mctp_slot *vacant(struct pst_mctp_receiver *rx)
{
    for (size_t i = 0; i < rx->slot_count; i++) {
        if (!rx->slots[i].busy) {
            return &rx->slots[i];
        }
    }
    return NULL;
}

static pst_err append(struct pst_mctp_receiver *rx, struct pst_mctp_slot *slot,
                      struct pst_bytes body, uint64_t now_ms)
{
    if (body.len > slot->cap - slot->have) {
        abandon(rx, slot);
        return PST_ERR_SPACE;
    }
    memcpy(slot->buffer + slot->have, body.at, body.len);
    slot->have += body.len;
    slot->since_ms = now_ms;
    return PST_OK;
}

static pst_err start(struct pst_mctp_receiver *rx, const struct pst_mctp_header *h,
                     struct pst_bytes body, uint64_t now_ms)
{
    struct pst_mctp_slot *slot = vacant(rx);

    if (slot == NULL) {
        return PST_ERR_BUSY;
    }
    slot->from = *h;
    slot->have = 0;
    slot->unit = body.len;
    slot->busy = true;
    PST_TRY(append(rx, slot, body, now_ms));
    return PST_WANT_MORE;
}

static bool continues(const struct pst_mctp_slot *slot, const struct pst_mctp_header *h, size_t len)
{
    return h->sequence == (slot->from.sequence + 1) % SEQUENCES &&
           (h->eom ? len <= slot->unit : len == slot->unit);
}

static pst_err go_on(struct pst_mctp_receiver *rx, struct pst_mctp_slot *slot,
                     const struct pst_mctp_header *h, struct pst_bytes body, uint64_t now_ms)
{
    if (!continues(slot, h, body.len)) {
        abandon(rx, slot);
        return PST_ERR_UNEXPECTED;
    }
    PST_TRY(append(rx, slot, body, now_ms));
    slot->from.sequence = h->sequence;
    if (!h->eom) {
        return PST_WANT_MORE;
    }
    slot->busy = false;
    return PST_OK;
}

static pst_err take(struct pst_mctp_receiver *rx, const struct pst_mctp_header *h,
                    struct pst_bytes body, uint64_t now_ms, struct pst_bytes *message)
{
    struct pst_mctp_slot *slot = find(rx, h);

    if (h->som && slot != NULL) {
        abandon(rx, slot); /* a new start abandons the unfinished message */
    }
    if (h->som && h->eom) {
        *message = body;
        return PST_OK;
    }
    if (h->som) {
        return start(rx, h, body, now_ms);
    }
    if (slot == NULL) {
        return PST_ERR_UNEXPECTED;
    }
    PST_TRY(go_on(rx, slot, h, body, now_ms));
    *message = (struct pst_bytes){slot->buffer, slot->have};
    return PST_OK;
}

static bool is_ours(const struct pst_mctp_receiver *rx, uint8_t destination)
{
    return rx->eid == PST_MCTP_EID_NULL || destination == PST_MCTP_EID_NULL ||
           destination == rx->eid;
}

static pst_err receive(struct pst_mctp_receiver *rx, const uint8_t *packet, size_t len,
                       uint64_t now_ms, struct pst_mctp_header *from, struct pst_bytes *message)
{
    struct pst_mctp_header h;
    struct pst_bytes body;

    PST_TRY(pst_mctp_get(packet, len, &h, &body));
    if (body.len == 0) {
        return PST_ERR_DECODE;
    }
    if (!is_ours(rx, h.destination)) {
        return PST_ERR_IDENTITY;
    }
    PST_TRY(take(rx, &h, body, now_ms, message));
    *from = h;
    return PST_OK;
}

pst_err pst_mctp_receive(struct pst_mctp_receiver *rx, const uint8_t *packet, size_t len,
                         uint64_t now_ms, struct pst_mctp_header *from, struct pst_bytes *message)
{
    expire(rx, now_ms);
    const pst_err err = receive(rx, packet, len, now_ms, from, message);
    if (err == PST_OK) {
        rx->counters.messages++;
    } else if (err != PST_WANT_MORE) {
        rx->counters.dropped++;
    }
    return err;
}
