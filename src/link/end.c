/* One end of a link: framing, HELLO, BYE. */
#include <string.h>

#include "postern/link.h"

enum { PHASE_DOWN, PHASE_HELLO, PHASE_UP, PHASE_CLOSING };

pst_err pst_link_end_init(struct pst_link_end *e, bool target, uint8_t *in, size_t in_cap,
                          uint8_t *out, size_t out_cap)
{
    if (in_cap < PST_LINK_MIN_MESSAGE || out_cap < PST_LINK_HEADER + PST_LINK_MIN_MESSAGE) {
        return PST_ERR_ARGUMENT;
    }
    memset(e, 0, sizeof *e);
    e->target = target;
    e->out = out;
    e->out_cap = out_cap;
    e->text = "";
    pst_framing_init(&e->framing, in, in_cap);
    return PST_OK;
}

static bool is_pending(const struct pst_link_end *e)
{
    return e->out_at < e->out_len;
}

/* Both directions use one buffer. */
static bool is_shared(const struct pst_link_end *e)
{
    return e->framing.buffer == e->out + PST_LINK_HEADER;
}

/* The largest message that this end sends or takes. */
static uint32_t largest_of(const struct pst_link_end *e)
{
    uint32_t largest =
        e->largest > 0 && e->largest < PST_LINK_MAX_MESSAGE ? e->largest : PST_LINK_MAX_MESSAGE;

    return largest < e->framing.cap ? largest : (uint32_t)e->framing.cap;
}

/* Writes the header of a message whose `len` payload bytes are already behind it in `out`. */
static pst_err queue(struct pst_link_end *e, uint8_t kind, size_t len)
{
    PST_TRY(pst_framing_header(e->out, kind, len));
    e->out_at = 0;
    e->out_len = PST_LINK_HEADER + len;
    return PST_OK;
}

static pst_link_event go_down(struct pst_link_end *e, pst_err why, const char *text)
{
    e->phase = PHASE_DOWN;
    e->why = why;
    e->text = text;
    e->out_at = e->out_len = 0;
    return PST_LINK_DOWN;
}

void pst_link_end_open(struct pst_link_end *e, const struct pst_link_traits *hop, uint32_t largest,
                       uint64_t deadline_ms)
{
    e->hop = hop;
    e->largest = largest;
    e->deadline_ms = deadline_ms;
    e->phase = PHASE_HELLO;
    e->said_bye = false;
    e->why = e->bye = PST_OK;
    e->text = "";
    e->peer_profile = 0;
    pst_framing_init(&e->framing, e->framing.buffer, e->framing.cap);

    const struct pst_hello hello = pst_link_hello_of(hop, e->target, largest_of(e));
    (void)!queue(e, PST_LINK_CONTROL, pst_link_put_hello(e->out + PST_LINK_HEADER, &hello));
}

/* --- closing --- */

/* Queues BYE after what is pending. */
static void say_bye(struct pst_link_end *e)
{
    if (!e->said_bye && !is_pending(e)) {
        e->said_bye = true;
        (void)!queue(e, PST_LINK_CONTROL, pst_link_put_bye(e->out + PST_LINK_HEADER, e->why));
    }
}

static void start_closing(struct pst_link_end *e, pst_err why, const char *text)
{
    e->phase = PHASE_CLOSING;
    e->why = why;
    e->text = text;
    e->deadline_ms = 0; /* set by the next poll: it knows the time */
    say_bye(e);
}

void pst_link_end_close(struct pst_link_end *e, pst_err why, uint64_t now_ms)
{
    if (e->phase == PHASE_UP) {
        start_closing(e, why, "");
        e->deadline_ms = now_ms + PST_LINK_CLOSE_MS;
    } else if (e->phase == PHASE_HELLO) {
        (void)go_down(e, why, "");
    }
}

bool pst_link_end_finished(const struct pst_link_end *e)
{
    return e->phase == PHASE_CLOSING && e->said_bye && !is_pending(e);
}

void pst_link_end_down(struct pst_link_end *e, pst_err why, const char *text)
{
    const bool whole = e->framing.have == 0;

    if (e->phase == PHASE_DOWN) {
        return;
    }
    if (e->phase == PHASE_CLOSING) { /* the peer does not need our BYE */
        (void)go_down(e, e->why, e->text);
    } else if (why == PST_OK && e->phase == PHASE_HELLO) {
        (void)go_down(e, PST_ERR_IO, "closed by the peer before HELLO");
    } else {
        (void)go_down(e, why == PST_OK && !whole ? PST_ERR_IO : why, text);
    }
}

/* --- input --- */

static pst_link_event refuse(struct pst_link_end *e, pst_err why, const char *text)
{
    start_closing(e, why, text);
    return PST_LINK_CLOSING;
}

static pst_link_event take_hello(struct pst_link_end *e, const struct pst_hello *hello)
{
    if (e->phase == PHASE_UP) {
        return go_down(e, PST_ERR_UNEXPECTED, "a second HELLO");
    }
    if (hello->profile != PST_PROFILE_VERSION) {
        e->peer_profile = hello->profile;
        return refuse(e, PST_ERR_PROFILE, "incompatible Postern wire profile");
    }
    if (hello->target == e->target) {
        return refuse(e, PST_ERR_UNEXPECTED,
                      e->target ? "the peer is a target too, expected a debugger"
                                : "the peer is a debugger too, expected a target");
    }
    pst_link_agree(&e->traits, e->hop, hello);
    if (e->traits.mtu > largest_of(e)) {
        e->traits.mtu = largest_of(e);
    }
    if (e->traits.mtu > e->out_cap - PST_LINK_HEADER) {
        e->traits.mtu = (uint32_t)(e->out_cap - PST_LINK_HEADER);
    }
    e->phase = PHASE_UP;
    return PST_LINK_UP;
}

static pst_link_event take_control(struct pst_link_end *e, const uint8_t *msg, size_t len)
{
    struct pst_hello hello;
    uint8_t op;
    pst_err why;

    if (pst_link_get_control(msg, len, &op, &hello, &why) != PST_OK) {
        return go_down(e, PST_ERR_DECODE, "a malformed control message");
    }
    if (op == PST_CONTROL_HELLO) {
        return take_hello(e, &hello);
    }
    e->bye = why;
    return go_down(e, PST_OK, "closed by the peer");
}

pst_link_event pst_link_end_receive(struct pst_link_end *e, const uint8_t *in, size_t len,
                                    size_t *used)
{
    *used = len;
    if (e->phase != PHASE_HELLO && e->phase != PHASE_UP) {
        return PST_LINK_IDLE;
    }
    if (is_shared(e) && is_pending(e)) {
        *used = 0;
        return PST_LINK_IDLE;
    }
    pst_err err = pst_framing_receive(&e->framing, in, len, used, &e->kind, &e->message, &e->len);
    if (err == PST_WANT_MORE) {
        return PST_LINK_IDLE;
    }
    if (err != PST_OK) {
        return go_down(e, err, "not Postern's framing: is this another service?");
    }
    if (e->kind == PST_LINK_CONTROL) {
        return take_control(e, e->message, e->len);
    }
    if (e->phase == PHASE_HELLO) {
        return go_down(e, PST_ERR_UNEXPECTED, "traffic before HELLO: not a Postern peer");
    }
    return PST_LINK_MESSAGE;
}

/* --- output --- */

uint8_t *pst_link_end_room(struct pst_link_end *e, size_t *cap)
{
    *cap = 0;
    if (e->phase != PHASE_UP || is_pending(e) || (is_shared(e) && e->framing.have > 0)) {
        return NULL;
    }
    *cap = e->traits.mtu;
    return e->out + PST_LINK_HEADER;
}

pst_err pst_link_end_send(struct pst_link_end *e, uint8_t kind, size_t len)
{
    size_t cap;

    if (pst_link_end_room(e, &cap) == NULL) {
        return PST_ERR_STATE;
    }
    return len <= cap ? queue(e, kind, len) : PST_ERR_SPACE;
}

struct pst_bytes pst_link_end_pending(const struct pst_link_end *e)
{
    return (struct pst_bytes){.at = e->out + e->out_at, .len = e->out_len - e->out_at};
}

void pst_link_end_sent(struct pst_link_end *e, size_t len)
{
    const size_t left = e->out_len - e->out_at;

    e->out_at += len < left ? len : left;
    if (e->phase == PHASE_CLOSING) {
        say_bye(e);
    }
}

/* --- time --- */

pst_link_event pst_link_end_poll(struct pst_link_end *e, uint64_t now_ms)
{
    if (e->phase == PHASE_HELLO && now_ms >= e->deadline_ms) {
        return go_down(e, PST_ERR_TIMEOUT, "no HELLO in time");
    }
    if (e->phase == PHASE_CLOSING && e->deadline_ms == 0) {
        e->deadline_ms = now_ms + PST_LINK_CLOSE_MS;
    }
    if (e->phase == PHASE_CLOSING && now_ms >= e->deadline_ms) {
        return go_down(e, e->why, e->text);
    }
    return PST_LINK_IDLE;
}

uint64_t pst_link_end_wake(const struct pst_link_end *e)
{
    return e->phase == PHASE_HELLO || e->phase == PHASE_CLOSING ? e->deadline_ms : UINT64_MAX;
}

bool pst_link_end_is_up(const struct pst_link_end *e)
{
    return e->phase == PHASE_UP;
}

bool pst_link_end_is_closing(const struct pst_link_end *e)
{
    return e->phase == PHASE_CLOSING;
}

bool pst_link_end_is_down(const struct pst_link_end *e)
{
    return e->phase == PHASE_DOWN;
}
