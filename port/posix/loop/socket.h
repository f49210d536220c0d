/* Stream sockets: TCP and Unix, behind one name, on a libuv loop. */
#ifndef POSTERN_POSIX_LOOP_SOCKET_H
#define POSTERN_POSIX_LOOP_SOCKET_H

#include <uv.h>

#include "posix/loop/address.h"

/* The two kinds of stream. Zero it before use. */
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
/* Accepts a connection into `s`. PST_ERR_IO: nothing was opened, or `s->open` is set and uv_close
   is needed. */
PST_MUST_CHECK pst_err pst_socket_accept(uv_stream_t *listener, struct pst_socket *s, void *data);
/* The port that a TCP listener got; 0 for a Unix socket. */
int pst_socket_port(const struct pst_socket *s);
/* Closes it; safe to call again. `on_close` may be NULL. */
void pst_socket_close(struct pst_socket *s, uv_close_cb on_close);

/* A connection being made: names are resolved off the loop, addresses tried one after another.
 * `done` is called once, never from within pst_dial_start; after an error the socket is closed for
 * good and its memory free for use. `why` does not name the link. */
struct pst_dial {
    struct pst_socket *socket;
    const struct pst_address *address; /* outlives the dial */
    void (*done)(void *ctx, pst_err err, const char *why);
    void *ctx;
    bool busy; /* `done` has not been called: this struct must stay */
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
