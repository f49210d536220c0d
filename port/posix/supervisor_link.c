#include <string.h>

#include "posix/supervisor.h"

enum { IDLE, OPENING, OPENED, DEAD, FAILED, GONE };

void pst_supervisor_link_init(struct pst_supervisor_link *l, struct pst_stub *stub)
{
    memset(l, 0, sizeof *l);
    l->stub = stub;
}

/* Control frames are few: at most a CLOSE and an OPEN wait behind a full DATA frame. */
static bool put_frame(struct pst_supervisor_link *l, uint8_t kind, struct pst_bytes payload)
{
    memmove(l->out, l->out + l->out_at, l->out_len - l->out_at);
    l->out_len -= l->out_at;
    l->out_at = 0;
    if (payload.len + PST_SUPERVISOR_FRAME > sizeof l->out - l->out_len) {
        return false;
    }
    uint8_t *at = l->out + l->out_len;
    at[0] = kind;
    pst_poke_u16(at + 1, (uint16_t)payload.len);
    if (payload.len > 0) {
        memcpy(at + PST_SUPERVISOR_FRAME, payload.at, payload.len);
    }
    l->out_len += PST_SUPERVISOR_FRAME + payload.len;
    return true;
}

static pst_err let_go(struct pst_supervisor_link *l)
{
    if (l->state == OPENING || l->state == OPENED) {
        if (!put_frame(l, PST_SUPERVISOR_CLOSE, (struct pst_bytes){0})) {
            return PST_PENDING;
        }
        l->closes++;
    }
    l->state = l->state == GONE ? GONE : IDLE;
    return PST_OK;
}

pst_err pst_supervisor_open(void *ctx, bool on)
{
    struct pst_supervisor_link *l = ctx;
    if (!on) {
        return let_go(l);
    }
    switch (l->state) {
    case IDLE:
        if (put_frame(l, PST_SUPERVISOR_OPEN, (struct pst_bytes){0})) {
            l->state = OPENING;
        }
        return PST_PENDING;
    case OPENING:
        return PST_PENDING;
    case OPENED:
        return PST_OK;
    case GONE:
        return PST_ERR_IO;
    default:
        l->state = IDLE;
        return PST_ERR_IO;
    }
}

bool pst_supervisor_follow(void *ctx, struct pst_bytes bytes)
{
    struct pst_supervisor_link *l = ctx;
    return l->state == OPENED && put_frame(l, PST_SUPERVISOR_NEXT, bytes);
}

static void on_head(struct pst_supervisor_link *l)
{
    l->body_left = pst_peek_u16(l->head + 1);
    switch (l->head[0]) {
    case PST_SUPERVISOR_OPENED:
        l->state = l->state == OPENING && l->closes == 0 ? OPENED : l->state;
        break;
    case PST_SUPERVISOR_FAILED:
        l->state = l->state == OPENING && l->closes == 0 ? FAILED : l->state;
        l->why_len = 0;
        break;
    case PST_SUPERVISOR_CLOSED:
        l->closes = l->closes > 0 ? (uint8_t)(l->closes - 1) : 0;
        break;
    case PST_SUPERVISOR_LOST:
        if (l->state == OPENED && l->closes == 0) {
            l->state = DEAD;
            pst_stub_closed(l->stub);
        }
        break;
    default:
        break;
    }
}

static void on_body(struct pst_supervisor_link *l, const uint8_t *at, size_t len)
{
    if (l->head[0] == PST_SUPERVISOR_DATA && l->state == OPENED && l->closes == 0) {
        pst_stub_receive(l->stub, at, len);
    } else if (l->head[0] == PST_SUPERVISOR_FAILED) {
        size_t room = sizeof l->why - 1 - l->why_len;
        size_t n = len < room ? len : room;
        memcpy(l->why + l->why_len, at, n);
        l->why_len += n;
        l->why[l->why_len] = 0;
    }
}

void pst_supervisor_receive(struct pst_supervisor_link *l, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t n = 1;
        if (l->body_left > 0) {
            n = len < l->body_left ? len : l->body_left;
            l->body_left = (uint16_t)(l->body_left - n);
            on_body(l, bytes, n);
        } else {
            l->head[l->head_len++] = *bytes;
            if (l->head_len == PST_SUPERVISOR_FRAME) {
                l->head_len = 0;
                on_head(l);
            }
        }
        bytes += n;
        len -= n;
    }
}

struct pst_bytes pst_supervisor_pending(struct pst_supervisor_link *l)
{
    struct pst_bytes more = {0};
    if (l->state == OPENED && l->out_len - l->out_at <= PST_SUPERVISOR_FRAME + PST_STUB_FOLLOW) {
        more = pst_stub_pending(l->stub);
    }
    if (more.len > 0) {
        more.len = more.len < PST_SUPERVISOR_PAYLOAD ? more.len : PST_SUPERVISOR_PAYLOAD;
        if (put_frame(l, PST_SUPERVISOR_DATA, more)) {
            pst_stub_sent(l->stub, more.len);
        }
    }
    return (struct pst_bytes){l->out + l->out_at, l->out_len - l->out_at};
}

void pst_supervisor_sent(struct pst_supervisor_link *l, size_t len)
{
    size_t left = l->out_len - l->out_at;
    l->out_at += len < left ? len : left;
}

void pst_supervisor_gone(struct pst_supervisor_link *l)
{
    bool open = l->state == OPENED;
    l->state = GONE;
    l->out_at = l->out_len = 0;
    if (open) {
        pst_stub_closed(l->stub);
    }
}
