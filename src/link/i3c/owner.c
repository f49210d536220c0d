/* I3C: the calls of both engines' owners, for messages and for bytes. */
#include "link/i3c/pipe.h"

pst_err pst_i3c_target_send(struct pst_i3c_target *t, uint8_t kind, const uint8_t *payload,
                            size_t len)
{
    if (t->ended || !t->live) {
        return PST_ERR_STATE;
    }
    return psti_i3c_pipe_send(&t->pipe, kind, payload, len);
}

pst_err pst_i3c_target_receive(struct pst_i3c_target *t, uint8_t *kind, uint8_t **payload,
                               size_t *len)
{
    if (t->ended) {
        t->ended = false;
        return PST_ERR_CLOSED;
    }
    return psti_i3c_pipe_receive(&t->pipe, kind, payload, len);
}

size_t pst_i3c_target_put(struct pst_i3c_target *t, const uint8_t *bytes, size_t len)
{
    return pst_i3c_target_is_open(t) ? psti_i3c_pipe_put_bytes(&t->pipe, bytes, len) : 0;
}

size_t pst_i3c_target_room(const struct pst_i3c_target *t)
{
    return t->pipe.send_cap - (t->pipe.tail - t->pipe.head);
}

pst_err pst_i3c_target_get(struct pst_i3c_target *t, uint8_t *out, size_t cap, size_t *len)
{
    if (t->ended) {
        t->ended = false;
        return PST_ERR_CLOSED;
    }
    *len = psti_i3c_pipe_get_bytes(&t->pipe, out, cap);
    return *len > 0 ? PST_OK : PST_PENDING;
}

bool pst_i3c_target_is_open(const struct pst_i3c_target *t)
{
    return t->live && !t->ended;
}

bool pst_i3c_target_is_sent(const struct pst_i3c_target *t)
{
    return t->pipe.tail == t->pipe.head;
}

pst_err pst_i3c_debugger_send(struct pst_i3c_debugger *d, uint8_t kind, const uint8_t *payload,
                              size_t len)
{
    if (d->dead != PST_OK || d->closing) {
        return PST_ERR_CLOSED;
    }
    const bool idle = d->pipe.tail == d->pipe.head;
    PST_TRY(psti_i3c_pipe_send(&d->pipe, kind, payload, len));
    if (idle) {
        d->progress_at = d->now;
    }
    return PST_OK;
}

pst_err pst_i3c_debugger_receive(struct pst_i3c_debugger *d, uint8_t *kind, uint8_t **payload,
                                 size_t *len)
{
    return psti_i3c_pipe_receive(&d->pipe, kind, payload, len);
}

size_t pst_i3c_debugger_put(struct pst_i3c_debugger *d, const uint8_t *bytes, size_t len)
{
    const bool idle = d->pipe.tail == d->pipe.head;

    if (d->dead != PST_OK || d->closing) {
        return 0;
    }
    const size_t n = psti_i3c_pipe_put_bytes(&d->pipe, bytes, len);
    if (n > 0 && idle) {
        d->progress_at = d->now;
    }
    return n;
}

size_t pst_i3c_debugger_room(const struct pst_i3c_debugger *d)
{
    return d->pipe.send_cap - (d->pipe.tail - d->pipe.head);
}

size_t pst_i3c_debugger_get(struct pst_i3c_debugger *d, uint8_t *out, size_t cap)
{
    return psti_i3c_pipe_get_bytes(&d->pipe, out, cap);
}

bool pst_i3c_debugger_has_bytes(const struct pst_i3c_debugger *d)
{
    return !d->pipe.plain && !psti_i3c_pipe_has_room(&d->pipe);
}

void pst_i3c_debugger_close(struct pst_i3c_debugger *d)
{
    if (d->closing || d->pipe.plain) {
        return;
    }
    d->closing = true;
    if (d->pipe.tail == d->pipe.head) {
        d->progress_at = d->now;
    }
}
