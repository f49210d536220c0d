/* The MCTP link on a serial line, in the frames of DSP0253. */
#include "link/pace.h"
#include "postern/links/mctp_link.h"
#include "postern/links/serial.h"

#include <string.h>

#define FRAME 6  /* flags, revision, count, FCS */
#define SPARE 16 /* timeouts allow one escaped byte in this many */

struct pst_reliable_timing pst_mctp_line_timing(uint32_t baud, uint16_t mtu, size_t unit,
                                                uint32_t *pause_ms)
{
    const size_t message = (size_t)mtu + PST_MCTP_LINK_HEAD;
    size_t line = message + (message + unit - 1) / unit * (PST_MCTP_HEADER + FRAME);

    line += line / SPARE;
    const struct pst_reliable_timing t =
        pst_serial_timing(baud, line < UINT16_MAX ? (uint16_t)line : UINT16_MAX);
    if (pause_ms != NULL) {
        *pause_ms = t.first_rto;
    }
    return t;
}

pst_err pst_mctp_line_open(struct pst_mctp_line *l, const struct pst_mctp_link_config *cfg,
                           uint32_t baud, uint64_t now_ms)
{
    if (cfg->unit > PST_MCTP_LINK_UNIT) {
        return PST_ERR_ARGUMENT;
    }
    PST_TRY(pst_mctp_link_open(&l->mctp, cfg, now_ms));
    pst_mctp_serial_init(&l->in);
    l->pace = (struct pst_pace){.baud = baud};
    l->frame_len = l->frame_at = 0;
    return PST_OK;
}

void pst_mctp_line_input(struct pst_mctp_line *l, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
    while (len > 0) {
        struct pst_bytes packet;
        size_t used = 0;

        if (pst_mctp_serial_receive(&l->in, bytes, len, &used, &packet) == PST_OK) {
            (void)pst_mctp_link_input(&l->mctp, packet.at, packet.len, now_ms);
        }
        bytes += used;
        len -= used;
    }
}

/* Makes the next frame, if there is something to send and the line is ready for it. */
static void make_frame(struct pst_mctp_line *l, uint64_t now_ms)
{
    if (!psti_pace_free(&l->pace, now_ms)) {
        return;
    }
    const size_t len = pst_mctp_link_output(&l->mctp, l->packet, sizeof l->packet, now_ms);
    size_t n = 0;
    if (len == 0 || pst_mctp_serial_put(l->packet, len, l->frame, sizeof l->frame, &n) != PST_OK) {
        return;
    }
    l->frame_len = n;
    l->frame_at = 0;
    psti_pace_take(&l->pace, n, now_ms);
}

size_t pst_mctp_line_output(struct pst_mctp_line *l, uint8_t *out, size_t cap, uint64_t now_ms)
{
    if (l->frame_at == l->frame_len) {
        make_frame(l, now_ms);
    }
    const size_t left = l->frame_len - l->frame_at;
    const size_t n = left < cap ? left : cap;
    if (n > 0) {
        memcpy(out, l->frame + l->frame_at, n);
    }
    l->frame_at += n;
    return n;
}

uint64_t pst_mctp_line_wake(const struct pst_mctp_line *l)
{
    return l->pace.held ? psti_pace_wake(&l->pace) : pst_mctp_link_wake(&l->mctp);
}
