/* A target at the end of a stream of bytes. */
#include "postern/stream.h"

#include <string.h>

#define LINK 1 /* the target's number for it */

static uint64_t now_of(const struct pst_stream *s)
{
    const struct pst_spdm_config *spdm = s->target.config->spdm;

    return spdm->now_ms(spdm->now_ctx);
}

/* Gives the contexts their part of `buffer`. Returns how many bytes that takes; 0: it is too small.
 */
static size_t lay_out(const struct pst_spdm_config *spdm, uint8_t *buffer, size_t len,
                      struct pst_target_buffers buffers[PST_STREAM_CONTEXTS])
{
    const size_t mailbox = 2 * (size_t)spdm->transfer_size;
    const size_t contexts = PST_STREAM_CONTEXTS * (PST_STREAM_QUEUE + mailbox);

    if (len < contexts || len - contexts < PST_LINK_HEADER + PST_LINK_MIN_MESSAGE) {
        return 0;
    }
    for (size_t i = 0; i < PST_STREAM_CONTEXTS; i++) {
        buffers[i] = (struct pst_target_buffers){
            .queue = buffer,
            .queue_len = PST_STREAM_QUEUE,
            .mailbox = buffer + PST_STREAM_QUEUE,
            .mailbox_len = mailbox,
        };
        buffer += PST_STREAM_QUEUE + mailbox;
    }
    return contexts;
}

const char *pst_stream_config_check(const struct pst_target_config *config, uint8_t *buffer,
                                    size_t len)
{
    struct pst_target_buffers buffers[PST_STREAM_CONTEXTS];

    if (config->spdm == NULL) {
        return "spdm is missing";
    }
    if (lay_out(config->spdm, buffer, len, buffers) == 0) {
        return "the buffer is smaller than PST_STREAM_BUFFER says";
    }
    return pst_target_config_check(config, buffers, PST_STREAM_CONTEXTS);
}

pst_err pst_stream_init(struct pst_stream *s, const struct pst_target_config *config,
                        const struct pst_link_traits *hop, uint8_t *buffer, size_t len)
{
    struct pst_target_buffers buffers[PST_STREAM_CONTEXTS];

    if (config->spdm == NULL) {
        return PST_ERR_CONFIG;
    }
    const size_t contexts = lay_out(config->spdm, buffer, len, buffers);
    if (contexts == 0) {
        return PST_ERR_SPACE;
    }
    memset(s, 0, sizeof *s);
    s->hop = hop != NULL ? hop : &pst_stream_traits;
    buffer += contexts;
    len -= contexts;
    PST_TRY(pst_link_end_init(&s->end, true, buffer + PST_LINK_HEADER, len - PST_LINK_HEADER,
                              buffer, len));
    return pst_target_init(&s->target, config, s->contexts, buffers, PST_STREAM_CONTEXTS);
}

static void end_session(struct pst_stream *s)
{
    if (s->linked) {
        s->linked = false;
        pst_target_link_down(&s->target, LINK);
    }
}

void pst_stream_carrier(struct pst_stream *s, bool connected)
{
    if (connected == s->connected) {
        return;
    }
    s->connected = connected;
    if (connected) {
        pst_link_end_open(&s->end, s->hop, 0, now_of(s) + PST_STREAM_HELLO_MS);
    } else {
        pst_link_end_down(&s->end, PST_OK, "");
        end_session(s);
    }
}

/* --- output --- */

static void fill(struct pst_stream *s)
{
    uint8_t kind;
    size_t cap;
    uint8_t *at = pst_link_end_room(&s->end, &cap);

    if (at == NULL) {
        return;
    }
    const size_t len = pst_target_output(&s->target, LINK, &kind, at, cap);
    if (len > 0) {
        (void)!pst_link_end_send(&s->end, kind, len);
    } else if (pst_target_wants_close(&s->target, LINK)) {
        pst_link_end_close(&s->end, PST_ERR_CLOSED, now_of(s));
    }
}

struct pst_bytes pst_stream_pending(struct pst_stream *s)
{
    fill(s);
    return pst_link_end_pending(&s->end);
}

void pst_stream_sent(struct pst_stream *s, size_t len)
{
    pst_link_end_sent(&s->end, len);
}

/* --- input --- */

static void take_event(struct pst_stream *s, pst_link_event event)
{
    struct pst_link_end *e = &s->end;
    pst_err err = PST_OK;

    switch (event) {
    case PST_LINK_UP:
        s->up_ms = now_of(s);
        err = pst_target_link_up(&s->target, LINK, &e->traits);
        s->linked = err == PST_OK;
        break;
    case PST_LINK_MESSAGE:
        err = pst_target_receive(&s->target, LINK, e->kind, e->message, e->len);
        break;
    case PST_LINK_CLOSING:
    case PST_LINK_DOWN:
        end_session(s);
        break;
    case PST_LINK_IDLE:
        break;
    }
    if (err != PST_OK) {
        pst_link_end_close(e, err, now_of(s));
    }
}

size_t pst_stream_receive(struct pst_stream *s, const uint8_t *bytes, size_t len)
{
    size_t at = 0, used;

    while (at < len) {
        const pst_link_event event = pst_link_end_receive(&s->end, bytes + at, len - at, &used);

        at += used;
        if (event == PST_LINK_IDLE) {
            break;
        }
        take_event(s, event);
    }
    return at;
}

/* --- time --- */

/* Somebody's session or handshake runs. */
static bool is_used(const struct pst_stream *s)
{
    for (size_t i = 0; i < PST_STREAM_CONTEXTS; i++) {
        if (s->contexts[i].phase != PST_CONTEXT_FREE) {
            return true;
        }
    }
    return false;
}

/* When the link itself is to be looked at, UINT64_MAX: never. */
static uint64_t link_wake(const struct pst_stream *s)
{
    if (!pst_link_end_is_up(&s->end)) {
        return pst_link_end_wake(&s->end);
    }
    return is_used(s) ? UINT64_MAX : s->up_ms + PST_STREAM_IDLE_MS;
}

uint64_t pst_stream_poll(struct pst_stream *s)
{
    const uint64_t wait = pst_target_poll(&s->target), now = now_of(s);

    take_event(s, pst_link_end_poll(&s->end, now));
    if (pst_link_end_is_up(&s->end) && link_wake(s) <= now) {
        pst_link_end_close(&s->end, PST_ERR_TIMEOUT, now);
    }
    if (s->connected && (pst_link_end_is_down(&s->end) || pst_link_end_finished(&s->end))) {
        end_session(s);
        return PST_STREAM_HANG_UP;
    }
    const uint64_t wake = link_wake(s);
    const uint64_t link_wait = wake > now ? wake - now : 1;
    const uint64_t least = link_wait < wait ? link_wait : wait;
    return least > 0 ? least : 1;
}
