/* Where a link goes, as people write it: `tcp:HOST:PORT`, `unix:PATH`.
 *
 * PORT is 7606 when it is left out; an IPv6 address stands in brackets: `tcp:[::1]:7606`. HOST left
 * out means loopback (`tcp::7606`). `tcp-listen:` and `unix-listen:` say that the peer comes to us;
 * where the direction is clear from the command, both forms mean the same.
 */
#ifndef POSTERN_POSIX_ADDRESS_H
#define POSTERN_POSIX_ADDRESS_H

#include <uv.h>

#include "postern/link.h"

#define PST_ADDRESS_TEXT 280

struct pst_address {
    char text[PST_ADDRESS_TEXT]; /* as it was written; for messages */
    bool local;                  /* Unix socket: `host` is its path */
    bool listen;                 /* the written form asks to listen */
    char host[256];
    char port[6];
};

/* PST_ERR_DECODE with `why` quoting the text and saying what was expected. */
PST_MUST_CHECK pst_err pst_address_parse(struct pst_address *a, const char *text, char *why,
                                         size_t why_cap);

/* The two kinds of stream behind one name. Zero it before use. */
struct pst_socket {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } io;
    bool open; /* uv_close has not been called */
};

/* Listens at `a` (a name is resolved here and now; port 0 asks for any). A stale Unix socket file
 * that nobody answers is replaced; the new one is 0600. `s->io.handle.data` is `data`.
 * PST_ERR_IO with `why`; the handle may then need uv_close if `s->open`. */
PST_MUST_CHECK pst_err pst_socket_listen(uv_loop_t *loop, struct pst_socket *s,
                                         const struct pst_address *a, uv_connection_cb on_peer,
                                         void *data, char *why, size_t why_cap);
/* Accepts into `s`. PST_ERR_IO: nothing was opened, or `s->open` and uv_close is needed. */
PST_MUST_CHECK pst_err pst_socket_accept(uv_stream_t *listener, struct pst_socket *s, void *data);
/* The port that a TCP listener got; 0 for a Unix socket. */
int pst_socket_port(const struct pst_socket *s);
/* Closes once; `on_close` may be NULL. */
void pst_socket_close(struct pst_socket *s, uv_close_cb on_close);

/* A connection being made: names are resolved off the loop, addresses tried one after another.
 * `done` is called once, never from within pst_dial_start; after an error the socket is closed for
 * good and its memory free for use. */
struct pst_dial {
    struct pst_socket *socket;
    const struct pst_address *address; /* outlives the dial */
    void (*done)(void *ctx, pst_err err, const char *why);
    void *ctx;
    bool busy; /* `done` has not been called: keep this struct */
    /* private */
    uv_getaddrinfo_t resolve;
    uv_connect_t connect;
    struct addrinfo *found, *next;
    uv_loop_t *loop;
    int last;
    bool cancelled, closing;
};
/* Set `socket`, `address`, `done` and `ctx` before. */
PST_MUST_CHECK pst_err pst_dial_start(uv_loop_t *loop, struct pst_dial *d);
/* `done` is called with PST_ERR_CLOSED, soon. */
void pst_dial_cancel(struct pst_dial *d);

#endif
