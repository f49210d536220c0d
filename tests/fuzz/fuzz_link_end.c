/* One end of a link against any bytes. The messages it finds must not depend on how the bytes are
 * split. It must send nothing but HELLO and BYE to a peer that is not up, and stay in its buffers.
 */
#include "fuzz.h"

#include "postern/link.h"

enum { CAP = 300, SENT = 64 };

struct outcome {
    unsigned ups, messages;
    uint32_t sum;
    pst_err why;
    pst_link_event last;
};

/* Takes the pending output, `step` bytes at a time, and checks its framing. */
static void drain(struct pst_link_end *e, size_t step)
{
    struct pst_bytes out;

    while ((out = pst_link_end_pending(e)).len > 0) {
        need(out.len <= PST_LINK_HEADER + CAP);
        pst_link_end_sent(e, step < out.len ? step : out.len);
    }
}

static void answer(struct pst_link_end *e)
{
    size_t cap;
    uint8_t *at = pst_link_end_room(e, &cap);

    if (at != NULL) {
        need(cap <= CAP && cap >= PST_LINK_MIN_MESSAGE);
        memset(at, 0x5A, SENT);
        need(pst_link_end_send(e, PST_LINK_RECORD, SENT) == PST_OK);
    }
}

static struct outcome run(const uint8_t *data, size_t size, size_t step, bool target, bool shared)
{
    uint8_t in[CAP], out[PST_LINK_HEADER + CAP];
    struct pst_link_end e;
    struct outcome o = {.sum = 1};
    size_t at = 0, used;

    need(pst_link_end_init(&e, target, shared ? out + PST_LINK_HEADER : in, CAP, out, sizeof out) ==
         PST_OK);
    pst_link_end_open(&e, &pst_stream_traits, 0, 1000);
    while (at < size) {
        const size_t len = step < size - at ? step : size - at;

        drain(&e, step);
        const pst_link_event event = pst_link_end_receive(&e, data + at, len, &used);
        need(used <= len && (used > 0 || event != PST_LINK_IDLE));
        at += used;
        if (event == PST_LINK_IDLE) {
            continue;
        }
        o.last = event;
        o.ups += event == PST_LINK_UP;
        if (event == PST_LINK_MESSAGE) {
            need(o.ups == 1 && e.len <= CAP && e.kind != PST_LINK_CONTROL);
            o.messages++;
            for (size_t i = 0; i < e.len; i++) {
                o.sum = o.sum * 31 + e.message[i];
            }
            answer(&e);
        }
    }
    drain(&e, step);
    need(!pst_link_end_is_closing(&e) || pst_link_end_finished(&e));
    if (o.ups == 0) {
        (void)pst_link_end_poll(&e, 1000);
        need(!pst_link_end_is_up(&e));
    }
    pst_link_end_down(&e, PST_OK, "");
    o.why = e.why;
    return o;
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    need(a->ups == b->ups && a->messages == b->messages && a->sum == b->sum);
    need(a->why == b->why && a->last == b->last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const bool target = size > 0 && (data[0] & 1) != 0;

    if (size > 0) {
        data++;
        size--;
    }
    const struct outcome whole = run(data, size, size + 1, target, false);
    const struct outcome bytes = run(data, size, 1, target, false);
    const struct outcome shared = run(data, size, 3, target, true);

    check_same(&whole, &bytes);
    check_same(&whole, &shared);
    return 0;
}
