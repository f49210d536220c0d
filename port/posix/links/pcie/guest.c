/* Guests of pcie-listen: the connections of emulators, and a mailbox for whoever debugs one.
 *
 * QEMU hands over each object that the guest writes into the device's mailbox, in the emulators'
 * framing (spdm_socket.h). The whole machine stands still until the answer is there. So every
 * object is answered soon, whatever becomes of the target behind it. An empty answer makes QEMU
 * report an error in the mailbox.
 *
 * One connection outlives many debuggers. A carrier begins with HELLO, or with GET_VERSION of a
 * requester that does not speak HELLO. It ends when the next one begins.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/pcie/guest.h"
#include "posix/links/pcie/pcie.h"
#include "posix/loop/spdm_socket.h"

#define HEADER 12
#define BUFFER (HEADER + PST_DOE_MOST)
#define ANSWER_MS 4000 /* the guest's CPU waits meanwhile */
#define GET_VERSION 0x84
#define MOST_GUESTS 16 /* which may all stay silent */
#define KEEPALIVE_S 60

struct mailbox {
    struct pst_carrier base;
    struct pst_pcie_guest *guest;     /* NULL: closed, or replaced by another mailbox */
    struct pst_pcie_guest *successor; /* whose next mailbox opens when this one is down */
    struct pst_link_traits traits;
    struct pst_doe_end end;
    uv_async_t kick;
    bool reading, wanted, finishing, closing, closed;
    pst_err why;
    char text[128];
    uint8_t *buffer, *object; /* of the owner's, and of the guest's */
};

struct pst_pcie_guest { /* a connection of an emulator */
    struct pst_pcie_server *server;
    struct pst_pcie_guest *next;
    struct pst_socket socket;
    uv_timer_t timer;
    uv_write_t write;
    struct mailbox *mailbox; /* NULL: no debug connection */
    struct mailbox *leaving; /* the one before, while it closes */
    bool waiting;            /* waiting for an answer */
    bool held;               /* the object is held until the mailbox has taken the earlier ones */
    bool assumed;            /* the mailbox began without HELLO */
    bool writing, closing;
    uint8_t to_close;
    size_t have, message; /* bytes in `in`, and of them the first message */
    uint8_t *in, *out;    /* BUFFER bytes each */
};

static void parse(struct pst_pcie_guest *g);

/* --- the emulator's connection --- */

void pst_pcie_server_free(struct pst_pcie_server *s)
{
    if (s->closed && s->guests == NULL) {
        free(s);
    }
}

static void on_guest_closed(uv_handle_t *handle)
{
    struct pst_pcie_guest *g = handle->data;
    struct pst_pcie_server *s = g->server;
    struct pst_pcie_guest **at = &s->guests;

    if (--g->to_close > 0) {
        return;
    }
    while (*at != NULL && *at != g) {
        at = &(*at)->next;
    }
    if (*at == g) {
        *at = g->next;
        s->count--;
    }
    free(g->in);
    free(g->out);
    free(g);
    pst_pcie_server_free(s);
}

static void end(struct mailbox *m, pst_err why, const char *text);

static void close_guest(struct pst_pcie_guest *g, pst_err why, const char *text)
{
    if (g->closing) {
        return;
    }
    g->closing = true;
    if (g->mailbox != NULL) {
        end(g->mailbox, why, text);
    }
    if (g->leaving != NULL) {
        g->leaving->successor = NULL;
    }
    g->to_close = g->socket.open ? 2 : 1;
    g->socket.io.handle.data = g;
    pst_socket_close(&g->socket, on_guest_closed);
    uv_close((uv_handle_t *)&g->timer, on_guest_closed);
}

static void on_written(uv_write_t *request, int status)
{
    struct pst_pcie_guest *g = request->data;

    g->writing = false;
    g->have -= g->message;
    memmove(g->in, g->in + g->message, g->have);
    if (status != 0) {
        close_guest(g, PST_ERR_IO, uv_strerror(status));
    } else if (!g->closing) {
        parse(g);
    }
}

/* Answers the pending request; an empty body means "no". The next request is processed later: this
   may be called from within an operation. */
static void answer(struct pst_pcie_guest *g, const uint8_t *object, size_t len)
{
    struct pst_writer w = pst_writer_of(g->out, BUFFER);

    if (!g->waiting || g->writing || g->closing) {
        return;
    }
    pst_put_be32(&w, PST_SPDM_SOCKET_NORMAL);
    pst_put_be32(&w, pst_binding_find("doe")->socket_code);
    pst_put_be32(&w, (uint32_t)len);
    pst_put_bytes(&w, object, len);
    g->waiting = g->held = false;
    g->writing = true;
    g->write.data = g;
    (void)uv_timer_stop(&g->timer);
    uv_buf_t buf = uv_buf_init((char *)g->out, (unsigned)w.used);
    if (w.failed || uv_write(&g->write, &g->socket.io.stream, &buf, 1, on_written) != 0) {
        g->writing = false;
        close_guest(g, PST_ERR_IO, "the emulator's connection cannot be written to");
    }
}

static void answer_bye(struct pst_pcie_guest *g, pst_err why)
{
    uint8_t object[64];
    size_t total = 0;
    const size_t len = pst_link_put_bye(object + PST_DOE_HEAD, why);

    if (pst_doe_wrap(PST_LINK_CONTROL, true, object, sizeof object, len, &total) != PST_OK) {
        total = 0;
    }
    answer(g, object, total);
}

static void on_late(uv_timer_t *timer)
{
    struct pst_pcie_guest *g = timer->data;

    if (g->mailbox != NULL) {
        end(g->mailbox, PST_ERR_TIMEOUT,
            "no answer in time, while the debugger's machine was halted");
    }
    answer_bye(g, PST_ERR_TIMEOUT);
}

/* --- the carrier --- */

static void open_mailbox(struct pst_pcie_guest *g);

static void on_closed(uv_handle_t *handle)
{
    struct mailbox *m = handle->data;

    if (m->base.events != NULL) {
        m->base.events->down(m->base.ctx, m->why, m->text);
    }
    struct pst_pcie_guest *g = m->successor;
    free(m->buffer);
    free(m->object);
    free(m);
    if (g != NULL) {
        g->leaving = NULL;
        open_mailbox(g);
    }
}

/* From now on the guest has no mailbox. `down` follows from the loop. */
static void end(struct mailbox *m, pst_err why, const char *text)
{
    if (m->closing) {
        return;
    }
    m->closing = true;
    m->why = why;
    snprintf(m->text, sizeof m->text, "%s", text);
    if (m->guest != NULL) {
        struct pst_pcie_guest *g = m->guest;
        m->guest = NULL;
        g->mailbox = NULL;
        answer_bye(g, why == PST_OK ? PST_ERR_CLOSED : why);
        if (g->server->closing) {
            close_guest(g, PST_OK, ""); /* it was kept for this carrier only */
        }
    }
    (void)uv_async_send(&m->kick);
}

/* The owner's output is sent as the answer. */
static void send_answer(struct mailbox *m)
{
    size_t len;
    const uint8_t *object = pst_doe_end_object(&m->end, &len);

    if (object == NULL || m->guest == NULL) {
        return;
    }
    if (m->guest->held) {
        return; /* its HELLO comes before it has received the peer's */
    }
    if (!m->guest->waiting) {
        end(m, PST_ERR_UNEXPECTED, "the target sent an answer without a request");
        return;
    }
    answer(m->guest, object, len);
    pst_doe_end_drop(&m->end);
}

static void give_out(struct mailbox *m)
{
    for (struct pst_bytes out; (out = pst_doe_end_peek(&m->end)).len > 0;) {
        if (!m->reading || m->finishing || m->closing) {
            return;
        }
        pst_doe_end_read(&m->end, pst_carrier_give(&m->base, out));
    }
}

static void take_held(struct mailbox *m)
{
    struct pst_pcie_guest *g = m->guest;

    if (g == NULL || !g->held || pst_doe_end_peek(&m->end).len > 0) {
        return;
    }
    g->held = false;
    const size_t len = g->message - HEADER; /* at most server->object: on_object saw to it */
    memcpy(m->object, g->in + HEADER, len);
    if (pst_doe_end_take(&m->end, m->object, len) != PST_OK) {
        answer(g, NULL, 0);
    }
}

static void turn(struct mailbox *m)
{
    size_t len;

    if (!m->closing) {
        give_out(m);
    }
    if (!m->closing) {
        take_held(m);
        send_answer(m);
        give_out(m);
    }
    if (!m->closing && m->finishing) {
        end(m, PST_OK, "");
    }
    if (m->closing) {
        if (!m->closed) {
            m->closed = true;
            uv_close((uv_handle_t *)&m->kick, on_closed);
        }
        return;
    }
    if (m->wanted && pst_doe_end_object(&m->end, &len) == NULL &&
        m->base.events->writable != NULL) {
        m->wanted = false;
        m->base.events->writable(m->base.ctx);
    }
}

static void on_kick(uv_async_t *kick)
{
    turn(kick->data);
}

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct mailbox *m = (struct mailbox *)base;
    size_t total = 0, taken = 0, object;

    if (m->finishing || m->closing) {
        return 0;
    }
    while (total < len && !m->closing && pst_doe_end_object(&m->end, &object) == NULL) {
        const pst_err err = pst_doe_end_write(&m->end, bytes + total, len - total, &taken);
        if (err != PST_OK) {
            end(m, err, "a mailbox carries SPDM messages and records only");
            return total;
        }
        total += taken;
        send_answer(m);
    }
    m->wanted = total < len;
    return total;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct mailbox *m = (struct mailbox *)base;

    m->reading = on;
    if (on && !m->closing) {
        (void)uv_async_send(&m->kick);
    }
}

static void finish(struct pst_carrier *base)
{
    struct mailbox *m = (struct mailbox *)base;

    m->finishing = true; /* what was taken is sent: there is one answer, and it went at once */
    read_on_off(base, true);
}

static void close_now(struct pst_carrier *base)
{
    end((struct mailbox *)base, PST_OK, "");
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

static struct mailbox *make(struct pst_pcie_guest *g)
{
    const size_t cap = g->server->object + PST_DOE_SPARE;
    struct mailbox *m = calloc(1, sizeof *m);

    if (m == NULL) {
        return NULL;
    }
    m->buffer = malloc(cap);
    m->object = malloc(cap);
    if (m->buffer == NULL || m->object == NULL ||
        uv_async_init(g->timer.loop, &m->kick, on_kick) != 0) {
        free(m->buffer);
        free(m->object);
        free(m);
        return NULL;
    }
    m->kick.data = m;
    m->guest = g;
    m->base.ops = &ops;
    m->traits = pst_doe_traits;
    m->traits.mtu = (uint32_t)(g->server->object - PST_DOE_HEAD);
    m->base.traits = &m->traits;
    snprintf(m->base.peer, sizeof m->base.peer, "%s", g->server->address.text);
    pst_doe_end_init(&m->end, true, m->buffer, cap);
    return m;
}

/* --- objects of the guest --- */

static void open_mailbox(struct pst_pcie_guest *g)
{
    struct pst_pcie_server *s = g->server;
    struct mailbox *m = s->closing || g->closing ? NULL : make(g);

    if (m == NULL) {
        answer_bye(g, PST_ERR_CLOSED);
        return;
    }
    g->mailbox = m;
    if (g->assumed && pst_doe_end_assume(&m->end) != PST_OK) {
        end(m, PST_ERR_STATE, ""); /* cannot happen: the mailbox is new */
        return;
    }
    s->base.events->peer(s->base.ctx, &m->base);
    if (m->base.events == NULL) {
        end(m, PST_OK, "");
    }
    turn(m);
}

/* The object that is held begins a new connection, once the one before is down. */
static void begin(struct pst_pcie_guest *g, bool assume)
{
    struct mailbox *old = g->mailbox;

    g->assumed = assume;
    if (old != NULL) {
        g->mailbox = NULL;
        g->leaving = old;
        old->guest = NULL;
        old->successor = g;
        end(old, PST_ERR_CLOSED, "another debugger connected to the mailbox");
    } else if (g->leaving == NULL) {
        open_mailbox(g);
    }
}

/* This needs no answer. */
static void on_bye(struct pst_pcie_guest *g)
{
    if (g->held && g->mailbox != NULL) {
        end(g->mailbox, PST_OK, "closed by the peer");
    }
    answer_bye(g, PST_OK);
}

static void on_message(struct pst_pcie_guest *g, uint8_t kind, const struct pst_bytes *body)
{
    const uint8_t op = kind == PST_LINK_CONTROL && body->len > 0 ? body->at[0] : 0;
    const bool version = kind == PST_LINK_SPDM && body->len > 1 && body->at[1] == GET_VERSION;

    g->held = true;
    if (op == PST_CONTROL_HELLO) {
        begin(g, false);
    } else if (version && (g->mailbox == NULL || g->assumed)) {
        begin(g, true);
    } else if (g->mailbox == NULL) {
        answer_bye(g, PST_ERR_CLOSED);
    } else {
        turn(g->mailbox);
        if (op == PST_CONTROL_BYE) {
            on_bye(g);
        }
    }
}

static void on_object(struct pst_pcie_guest *g, const uint8_t *object, size_t len)
{
    struct pst_bytes body;
    uint8_t kind, list[12];

    /* NOLINTNEXTLINE(bugprone-branch-clone): two reasons for one answer */
    if (len > g->server->object || pst_doe_unwrap(object, len, &kind, &body) != PST_OK) {
        answer(g, NULL, 0);
    } else if (kind != 0) {
        on_message(g, kind, &body);
    } else if (pst_binding_discover(pst_binding_find("doe"), body.at[0], list) == PST_OK) {
        answer(g, list, sizeof list);
    } else {
        answer(g, NULL, 0);
    }
}

/* A whole message of the emulator lies in `in`, and goes once it was worked on. */
static void on_command(struct pst_pcie_guest *g, uint32_t command, uint32_t transport, size_t len)
{
    g->waiting = true;
    if (command == PST_SPDM_SOCKET_SHUTDOWN) {
        close_guest(g, PST_OK, "the emulator's machine is gone");
    } else if (command != PST_SPDM_SOCKET_NORMAL) {
        answer(g, NULL, 0); /* a greeting of other emulators, or an unknown command */
    } else if (transport != pst_binding_find("doe")->socket_code) {
        close_guest(g, PST_ERR_PROFILE, "the emulator uses another transport than DOE");
    } else {
        (void)uv_timer_start(&g->timer, on_late, ANSWER_MS, 0);
        on_object(g, g->in + HEADER, len);
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf);

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct pst_pcie_guest *g = handle->data;

    (void)hint;
    *buf = uv_buf_init((char *)g->in + g->have, (unsigned)(BUFFER - g->have));
}

/* Takes the message that was answered out of the buffer, and looks for the next one. */
static void parse(struct pst_pcie_guest *g)
{
    struct pst_reader r = pst_reader_of(g->in, g->have);
    const uint32_t command = pst_get_be32(&r), transport = pst_get_be32(&r);
    const size_t len = pst_get_be32(&r);

    if (g->have >= HEADER && len > BUFFER - HEADER) {
        close_guest(g, PST_ERR_DECODE,
                    "not the emulators' framing: is the client another program?");
    } else if (g->have < HEADER || g->have - HEADER < len) {
        const int rc = uv_read_start(&g->socket.io.stream, on_alloc, on_read);
        if (rc < 0 && rc != UV_EALREADY) {
            close_guest(g, PST_ERR_IO, "the emulator's connection cannot be read");
        }
    } else {
        g->message = HEADER + len;
        (void)uv_read_stop(&g->socket.io.stream);
        on_command(g, command, transport, len);
    }
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct pst_pcie_guest *g = stream->data;

    (void)buf;
    if (got < 0) {
        close_guest(g, got == UV_EOF ? PST_OK : PST_ERR_IO,
                    got == UV_EOF ? "the emulator's machine is gone" : uv_strerror((int)got));
    } else if (got > 0) {
        g->have += (size_t)got;
        parse(g);
    }
}

/* --- accepting and leaving --- */

void pst_pcie_guest_accept(struct pst_pcie_server *s, uv_stream_t *stream)
{
    struct pst_pcie_guest *g = calloc(1, sizeof *g);

    if (g == NULL) {
        return;
    }
    g->server = s;
    g->in = malloc(BUFFER);
    g->out = malloc(BUFFER);
    if (g->in == NULL || g->out == NULL || uv_timer_init(stream->loop, &g->timer) != 0) {
        free(g->in);
        free(g->out);
        free(g);
        return;
    }
    g->timer.data = g;
    g->next = s->guests;
    s->guests = g;
    s->count++;
    if (pst_socket_accept(stream, &g->socket, g) != PST_OK) {
        close_guest(g, PST_ERR_IO, "the connection was gone before it was accepted");
    } else if (s->count > MOST_GUESTS) {
        close_guest(g, PST_OK, "");
    } else {
        /* A guest that vanished without a close gives up its place. */
        (void)uv_tcp_keepalive(&g->socket.io.tcp, 1, KEEPALIVE_S);
        parse(g);
    }
}

void pst_pcie_guests_leave(struct pst_pcie_server *s)
{
    for (struct pst_pcie_guest *g = s->guests; g != NULL; g = g->next) {
        if (g->mailbox == NULL) {
            close_guest(g, PST_OK, "");
        }
    }
}
