#include "postern/links/serial.h"

#include <string.h>

#include "link/pace.h"
#include "link/reliable/reliable.h"
#include "postern/links/checksum.h"

#define BAUD_MAX 4000000

const struct pst_link_traits pst_serial_traits = {
    .mtu = PST_LINK_MAX_MESSAGE,
    .ordered = true,
    .lossy = false,
    .shared = false,
    .pushes = true,
    .sequence_len = 0,
};

struct pst_reliable_timing pst_serial_timing(uint32_t baud, uint16_t mtu)
{
    const uint64_t us = psti_pace_us(baud == 0 ? BAUD_MAX : baud, PST_COBS_ROOM(mtu) + 2);
    const uint32_t frame = (uint32_t)((us + 999) / 1000);

    /* A round trip takes a frame, a frame that the other side is still sending, and the answer. */
    return (struct pst_reliable_timing){
        .first_rto = 200 + 6 * frame,
        .least_rto = 30 + 4 * frame,
        .most_rto = 2000 + 16 * frame,
        .ack_delay = 2 + frame,
        .keepalive = 3000 + 10 * frame,
        .dead = 15000 + 100 * frame,
    };
}

pst_err pst_serial_open(struct pst_serial *s, const struct pst_serial_config *cfg, uint64_t now_ms)
{
    const size_t mtu = cfg->link.mtu_most;

    if (cfg->work_len < PST_SERIAL_WORK(mtu) || mtu > PST_SERIAL_MOST_MTU ||
        cfg->link.mtu_first != mtu) {
        return PST_ERR_ARGUMENT;
    }
    memset(s, 0, sizeof *s);
    /* A listener's configuration too is checked here, so that errors show now and not when a client
     * connects. */
    PST_TRY(pst_reliable_connect(&s->link, &cfg->link, now_ms));
    s->cfg = *cfg;
    s->pace.baud = cfg->baud;
    s->quiet = true;
    pst_cobs_init(&s->in, cfg->work, mtu);
    s->datagram = cfg->work + mtu;
    s->frame = s->datagram + mtu;
    return PST_OK;
}

static bool waiting(const struct pst_serial *s)
{
    return s->cfg.listens && s->link.state == PST_PENDING;
}

/* There is only one peer, so a stranger with a good cookie is the restarted client. */
static void stranger(struct pst_serial *s, struct pst_bytes d, uint64_t now_ms)
{
    static const struct pst_bytes nowhere = {NULL, 0};
    const pst_err err =
        pst_reliable_greet(&s->cfg.door, nowhere, d.at, d.len, now_ms, s->reply, &s->reply_len);

    if (err != PST_OK) {
        return;
    }
    if (!waiting(s)) {
        if (s->link.state == PST_OK) { /* otherwise it had already ended, and the reason stays */
            s->link.forgotten = true;
        }
        pst_reliable_abort(&s->link, PST_ERR_CLOSED);
        s->link.last_words = false; /* the old peer no longer exists, so there is nobody to tell */
        return;
    }
    if (pst_reliable_accept(&s->link, &s->cfg.link, d.at, d.len, now_ms) != PST_OK) {
        s->link.state = PST_PENDING;
    }
}

static void on_frame(struct pst_serial *s, struct pst_bytes d, uint64_t now_ms)
{
    uint8_t type;
    struct pst_reader r;

    if (psti_datagram_open(s->cfg.link.crc32c, d.at, d.len, &type, &r) != PST_OK) {
        s->damaged++;
        return;
    }
    if (!waiting(s) && pst_reliable_mine(&s->link, d.at, d.len)) {
        (void)pst_reliable_input(&s->link, d.at, d.len, now_ms);
    } else if (s->cfg.listens) {
        stranger(s, d, now_ms);
    }
}

void pst_serial_input(struct pst_serial *s, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
    while (len > 0) {
        struct pst_bytes frame;
        size_t used = 0;

        if (pst_cobs_receive(&s->in, bytes, len, &used, &frame) == PST_OK) {
            on_frame(s, frame, now_ms);
        }
        bytes += used;
        len -= used;
    }
}

static size_t next_datagram(struct pst_serial *s, const uint8_t **at, uint64_t now_ms)
{
    const size_t n = s->reply_len;

    if (n > 0) {
        s->reply_len = 0;
        *at = s->reply;
        return n;
    }
    *at = s->datagram;
    return waiting(s) ? 0
                      : pst_reliable_output(&s->link, s->datagram, s->cfg.link.mtu_most, now_ms);
}

/* Makes the next frame, if there is something to send and the line is ready for it. */
static void make_frame(struct pst_serial *s, uint64_t now_ms)
{
    const uint8_t *datagram;
    size_t n = 0;

    if (!psti_pace_free(&s->pace, now_ms)) {
        return;
    }
    const size_t len = next_datagram(s, &datagram, now_ms);
    const size_t lead = s->quiet ? 1 : 0;
    s->quiet = len == 0;
    if (len == 0 ||
        pst_cobs_put(datagram, len, s->frame + lead, PST_COBS_ROOM(len), &n) != PST_OK) {
        return;
    }
    s->frame[0] = lead > 0 ? 0 : s->frame[0];
    s->frame[lead + n] = 0;
    s->frame_len = lead + n + 1;
    s->frame_at = 0;
    psti_pace_take(&s->pace, s->frame_len, now_ms);
}

size_t pst_serial_output(struct pst_serial *s, uint8_t *out, size_t cap, uint64_t now_ms)
{
    if (s->frame_at == s->frame_len) {
        make_frame(s, now_ms);
    }
    const size_t left = s->frame_len - s->frame_at;
    const size_t n = left < cap ? left : cap;
    if (n > 0) {
        memcpy(out, s->frame + s->frame_at, n);
    }
    s->frame_at += n;
    return n;
}

uint64_t pst_serial_wake(const struct pst_serial *s)
{
    if (s->pace.held) {
        return psti_pace_wake(&s->pace);
    }
    return waiting(s) ? UINT64_MAX : pst_reliable_wake(&s->link);
}
