/* SPDM over MCTP on a serial line, in the frames of DSP0253. */
#include "link/pace.h"
#include "postern/links/mctp_spdm.h"

#include <string.h>

#define ANSWER_MS 1000 /* time for the responder's work and for buffers on the way */
#define PAUSE_MS 250
#define FRAMES 4 /* frames that may wait in buffers */

void pst_mctp_spdm_timing(struct pst_mctp_spdm_config *cfg, uint32_t baud)
{
    const size_t frame = PST_MCTP_SERIAL_ROOM(PST_MCTP_HEADER + cfg->unit);
    const uint32_t line_ms = (uint32_t)(psti_pace_us(baud, FRAMES * frame) / 1000);

    cfg->answer_ms = ANSWER_MS + line_ms;
    cfg->pause_ms = PAUSE_MS + line_ms;
}

pst_err pst_mctp_spdm_line_open(struct pst_mctp_spdm_line *l,
                                const struct pst_mctp_spdm_config *cfg, uint32_t baud)
{
    if (cfg->unit > PST_MCTP_SPDM_UNIT) {
        return PST_ERR_ARGUMENT;
    }
    PST_TRY(pst_mctp_spdm_open(&l->mctp, cfg));
    pst_mctp_serial_init(&l->in);
    l->pace = (struct pst_pace){.baud = baud};
    l->frame_len = l->frame_at = 0;
    return PST_OK;
}

void pst_mctp_spdm_line_input(struct pst_mctp_spdm_line *l, const uint8_t *bytes, size_t len,
                              uint64_t now_ms)
{
    while (len > 0) {
        struct pst_bytes packet;
        size_t used = 0;

        if (pst_mctp_serial_receive(&l->in, bytes, len, &used, &packet) == PST_OK) {
            (void)pst_mctp_spdm_input(&l->mctp, packet.at, packet.len, now_ms);
        }
        bytes += used;
        len -= used;
    }
}

static void make_frame(struct pst_mctp_spdm_line *l, uint64_t now_ms)
{
    size_t n = 0;

    if (!psti_pace_free(&l->pace, now_ms)) {
        return;
    }
    const size_t len = pst_mctp_spdm_output(&l->mctp, l->packet, sizeof l->packet, now_ms);
    if (len == 0 || pst_mctp_serial_put(l->packet, len, l->frame, sizeof l->frame, &n) != PST_OK) {
        return;
    }
    l->frame_len = n;
    l->frame_at = 0;
    psti_pace_take(&l->pace, n, now_ms);
}

size_t pst_mctp_spdm_line_output(struct pst_mctp_spdm_line *l, uint8_t *out, size_t cap,
                                 uint64_t now_ms)
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

uint64_t pst_mctp_spdm_line_wake(const struct pst_mctp_spdm_line *l)
{
    return l->pace.held ? psti_pace_wake(&l->pace) : pst_mctp_spdm_wake(&l->mctp);
}
