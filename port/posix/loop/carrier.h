/* Carriers: one connection of any kind of link. Bytes arrive in order in both directions, or the
 * carrier ends.
 *
 * A socket, two USB endpoints, an I3C bus, a serial line, a topic of a broker: above this header
 * they look the same. What a carrier is made of (datagrams, fragments, retransmission) stays in it;
 * the bytes are those of link messages (postern/link.h), which only the two ends look into. A
 * bridge moves bytes from one carrier to another.
 *
 * **Who calls whom.** A carrier is made by `connect` of its scheme, or handed over by a listener.
 * The owner calls the four operations below, from the loop's thread. Events come from the loop,
 * never from within an operation, and `down` is always the last: after it returns the carrier is
 * freed. Until `open` nothing is received, and a write takes nothing.
 *
 * **Backpressure.** A carrier keeps a bounded number of bytes each way. A write takes what there is
 * room for, and `writable` follows once there is more. While its owner has reading switched off a
 * carrier takes nothing more from its peer than its own window allows.
 *
 * A new kind of link is a struct pst_scheme in a folder of links/, and a line in links/table.c.
 */
#ifndef POSTERN_POSIX_LOOP_CARRIER_H
#define POSTERN_POSIX_LOOP_CARRIER_H

#include <uv.h>

#include "posix/loop/address.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_carrier;

struct pst_carrier_events {  /* const, outlives the carrier; all but `writable` are required */
    void (*open)(void *ctx); /* connected; not called for what a listener hands over */
    /* At most PST_CARRIER_CHUNK bytes, valid during the call; all of it is taken. The owner may
     * switch reading off in it, and gets nothing more then. */
    void (*receive)(void *ctx, const uint8_t *bytes, size_t len);
    void (*writable)(void *ctx); /* after a write that took less than it was given */
    /* The end, once. PST_OK: closed as asked, or by the peer in order. `text` is for people, never
     * NULL, and does not name the link: the owner does. */
    void (*down)(void *ctx, pst_err why, const char *text);
};

/* `finish` and `close` may both be called, more than once. */
struct pst_carrier_ops {
    /* Accepts bytes to send, and returns how many. They are copied or sent when it returns. */
    size_t (*write)(struct pst_carrier *c, const uint8_t *bytes, size_t len);
    /* Reading is off until it is switched on. */
    void (*read)(struct pst_carrier *c, bool on);
    /* Closes once everything taken is sent, within PST_CARRIER_FINISH_MS; `down` follows. Nothing
     * is received any more. */
    void (*finish)(struct pst_carrier *c);
    /* Closes now; `down` follows. */
    void (*close)(struct pst_carrier *c);
};
#define PST_CARRIER_FINISH_MS 2000
#define PST_CARRIER_READ 65536                    /* what a socket reads at once, */
#define PST_CARRIER_CHUNK (PST_CARRIER_READ + 64) /* and a framing on top makes of it */

struct pst_carrier { /* the first member of each kind of carrier */
    const struct pst_carrier_ops *ops;
    const struct pst_carrier_events *events; /* see pst_carrier_own */
    void *ctx;
    const struct pst_link_traits *traits; /* of the hop, from `open` on; mtu: of one transfer */
    uint32_t largest; /* message that is not under way for long on a slow hop; 0: any is fine */
    char peer[PST_ADDRESS_TEXT]; /* who it goes to, for people: a link as it is written */
};

static inline size_t pst_carrier_write(struct pst_carrier *c, const uint8_t *bytes, size_t len)
{
    return c->ops->write(c, bytes, len);
}
static inline void pst_carrier_read(struct pst_carrier *c, bool on)
{
    c->ops->read(c, on);
}
static inline void pst_carrier_finish(struct pst_carrier *c)
{
    c->ops->finish(c);
}
static inline void pst_carrier_close(struct pst_carrier *c)
{
    c->ops->close(c);
}
/* For carriers: gives the owner as many bytes as `receive` may get, and returns how many. The owner
 * may switch reading off in it: check before giving it the rest. */
static inline size_t pst_carrier_give(struct pst_carrier *c, struct pst_bytes bytes)
{
    const size_t n = bytes.len < PST_CARRIER_CHUNK ? bytes.len : PST_CARRIER_CHUNK;

    c->events->receive(c->ctx, bytes.at, n);
    return n;
}
/* Who hears the events from now on; a new owner has to switch reading on. */
static inline void pst_carrier_own(struct pst_carrier *c, const struct pst_carrier_events *events,
                                   void *ctx)
{
    c->events = events;
    c->ctx = ctx;
}

struct pst_listener_events { /* const, outlives the listener */
    /* A connection, open, with reading off. Own it in this call, or it is closed. */
    void (*peer)(void *ctx, struct pst_carrier *c);
    /* The listener lost what it listens on (a device unplugged, a broker unreachable), or has it
     * back. It retries by itself until it is closed. May be NULL. */
    void (*note)(void *ctx, const char *text);
};
struct pst_listener {                      /* the first member of each kind of listener */
    void (*close)(struct pst_listener *l); /* stops listening and frees, soon; connections stay */
    const struct pst_listener_events *events;
    void *ctx;
    char place[PST_ADDRESS_TEXT]; /* where it listens in fact: a port that was 0 is known here */
};
static inline void pst_listener_close(struct pst_listener *l)
{
    l->close(l);
}

/* A kind of link. `why` is a line for people that quotes the bad value and says what was expected.
 * Where a direction is not there the function is NULL. */
struct pst_scheme {
    const char *name;    /* "serial" */
    const char *form;    /* "serial:DEVICE[,baud=N]" */
    const char *summary; /* one line for `postern links` */
    const struct pst_link_traits *traits;
    bool exclusive; /* a call takes a device of this machine for itself, until it is down */
    /* Is `a` written well? It looks at nothing but the text, with pst_address_host and _options;
     * whatever it wants to find again stays in `a`. */
    pst_err (*check)(struct pst_address *a, char *why, size_t why_cap);
    /* Is it this device that a link listens for? NULL: links of this kind name none. */
    bool (*names)(const struct pst_address *a, const char *device);
    /* PST_ERR_IO with `why`: nothing was started. What takes time fails later, in `down`. */
    pst_err (*connect)(uv_loop_t *loop, const struct pst_address *to,
                       const struct pst_carrier_events *events, void *ctx,
                       struct pst_carrier **carrier, char *why, size_t why_cap);
    pst_err (*listen)(uv_loop_t *loop, const struct pst_address *at,
                      const struct pst_listener_events *events, void *ctx,
                      struct pst_listener **listener, char *why, size_t why_cap);
    /* Calls `found` for each thing on this machine that such a link could use: the link as it would
     * be written, and what it is. May be NULL. Looks only, opens nothing for writing. */
    void (*present)(void (*found)(void *ctx, const char *link, const char *what), void *ctx);
};

/* `connect` and `listen` of the address's scheme. PST_ERR_IO with `why`: also when links of that
 * kind cannot do it. */
PST_MUST_CHECK pst_err pst_carrier_connect(uv_loop_t *loop, const struct pst_address *to,
                                           const struct pst_carrier_events *events, void *ctx,
                                           struct pst_carrier **carrier, char *why, size_t why_cap);
PST_MUST_CHECK pst_err pst_carrier_listen(uv_loop_t *loop, const struct pst_address *at,
                                          const struct pst_listener_events *events, void *ctx,
                                          struct pst_listener **listener, char *why,
                                          size_t why_cap);

#ifdef __cplusplus
}
#endif

#endif
