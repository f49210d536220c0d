/* How processes share a modelled I3C bus: frames on a Unix socket.
 *
 * One process holds the bus (i3c_host.h); controllers and devices are its clients. This is the
 * inside of a simulator: the format is no part of any protocol and changes with the program.
 * Frame: operation u8, length u16, payload.
 */
#ifndef POSTERN_POSIX_LINKS_I3C_WIRE_H
#define POSTERN_POSIX_LINKS_I3C_WIRE_H

#include "posix/loop/socket.h"

enum pst_i3c_op {
    /* The first of a connection: what the client is. */
    PST_I3C_OP_ATTACH = 1, /* id u64, enum pst_i3c_kind u8; answered with ATTACHED */
    PST_I3C_OP_LOOK,       /* a controller's view; not answered */
    PST_I3C_OP_ATTACHED,   /* negated pst_err u8 */
    /* A controller's transfer, one at a time; each is answered with DONE. */
    PST_I3C_OP_FIND,  /* id u64 */
    PST_I3C_OP_CCC,   /* address u8, code u8, defining u8, bytes to read u8, bytes to write */
    PST_I3C_OP_WRITE, /* address u8, bytes */
    PST_I3C_OP_READ,  /* address u8 */
    PST_I3C_OP_RESET, /* address u8, action u8 */
    PST_I3C_OP_DONE,  /* negated pst_err u8, what was read (of FIND: the address) */
    PST_I3C_OP_IBI,   /* bytes; sent without a request */
    /* Between an adaptor and its owner. Each stream has a number, which tells late bytes of an
     * earlier one from those of this one. */
    PST_I3C_OP_OPEN, /* to the owner: stream u8 */
    PST_I3C_OP_DATA, /* stream u8, bytes */
    PST_I3C_OP_END,  /* stream u8 */
    /* Between an MCTP device and its owner. */
    PST_I3C_OP_PACKET, /* one packet, without PEC */
};
enum pst_i3c_kind { PST_I3C_KIND_DEBUG = 0, PST_I3C_KIND_MCTP = 1 };

#define PST_I3C_WIRE_HEAD 3
#define PST_I3C_WIRE_MAX 2048   /* bytes of a payload */
#define PST_I3C_WIRE_QUEUE 8192 /* bytes queued in one direction before a sender stops */

struct pst_i3c_wire;

struct pst_i3c_wire_events { /* const */
    /* One frame; `payload` is valid during the call. */
    void (*frame)(void *ctx, uint8_t op, const uint8_t *payload, size_t len);
    /* Queued output was sent. May be NULL. */
    void (*drained)(void *ctx);
    /* It failed, or the other side closed; close it. */
    void (*lost)(void *ctx, const char *text);
};

struct pst_i3c_wire { /* private but for `socket`, into which the owner connects or accepts */
    struct pst_socket socket;
    const struct pst_i3c_wire_events *events;
    void *ctx;
    void (*closed)(void *ctx);
    uv_timer_t kick;
    uint8_t handles;
    size_t have;
    bool running, reading, closing, failed, broken;
    uint8_t in[2 * (PST_I3C_WIRE_HEAD + PST_I3C_WIRE_MAX)];
};

/* Before the socket is opened. PST_ERR_IO: no timer. */
PST_MUST_CHECK pst_err pst_i3c_wire_init(struct pst_i3c_wire *w, uv_loop_t *loop,
                                         const struct pst_i3c_wire_events *events, void *ctx);
/* The socket is open now; reading is on. */
void pst_i3c_wire_start(struct pst_i3c_wire *w);
/* Events come from the loop only, never from within. */
void pst_i3c_wire_read(struct pst_i3c_wire *w, bool on);
/* `head` and `body` follow each other. A failure shows as `lost`. */
void pst_i3c_wire_send(struct pst_i3c_wire *w, uint8_t op, const uint8_t *head, size_t head_len,
                       const uint8_t *body, size_t body_len);
/* Bytes that the other side has not taken yet. */
size_t pst_i3c_wire_queued(const struct pst_i3c_wire *w);
/* Closes the socket, if it is open, and the rest; no event follows but `closed`, soon, after which
 * the memory is the owner's. */
void pst_i3c_wire_close(struct pst_i3c_wire *w, void (*closed)(void *ctx));

#endif
