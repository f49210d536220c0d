/* A link on a libuv loop: a carrier, a timer, and the engine of one end (struct pst_link_end in
 * postern/link.h), which frames messages and exchanges HELLO and BYE.
 *
 * The owner hears `up` once HELLO was exchanged, and `message` from then on. It is asked for
 * `output` whenever there is room: a link keeps at most one message that its carrier has not taken.
 * Reading goes on meanwhile, because a session on a slow link would otherwise miss its heartbeats.
 * What comes to a TS is bounded by the credit that it gave, what comes to a DTS by what it asked
 * for.
 *
 * A link ends once and says so once: `down`, after which its memory is the owner's again. The text
 * in it names the link and is for people.
 */
#ifndef POSTERN_POSIX_LOOP_LINK_H
#define POSTERN_POSIX_LOOP_LINK_H

#include "posix/loop/carrier.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_LINK_HELLO_MS 5000

struct pst_link;

struct pst_link_config { /* const, outlives the link */
    bool target;         /* which side we are */
    uint32_t hello_ms;   /* longest wait for connection and HELLO; 0: PST_LINK_HELLO_MS */
    void *ctx;
    /* HELLO was exchanged; `link->traits` holds. */
    void (*up)(void *ctx, struct pst_link *link);
    /* One message; `msg` is writable and valid during the call. After an error the link sends what
     * is pending and closes. */
    pst_err (*message)(void *ctx, struct pst_link *link, uint8_t kind, uint8_t *msg, size_t len);
    /* The next message to send, whole; 0: none now. */
    size_t (*output)(void *ctx, struct pst_link *link, uint8_t *kind, uint8_t *out, size_t cap);
    /* The link is gone. PST_OK: closed as we asked, or by the peer between messages. */
    void (*down)(void *ctx, struct pst_link *link, pst_err why, const char *text);
};

struct pst_link_counts {
    uint64_t records_in, records_out, bytes_in, bytes_out;
    uint64_t round_trips; /* times that we sent and then received */
};

struct pst_link {
    void *owner;                   /* the owner's to use */
    struct pst_link_traits traits; /* of the whole path; valid once up */
    struct pst_link_counts counts;
    pst_err bye; /* the reason that the peer gave for closing; an unauthenticated hint */
    char name[PST_ADDRESS_TEXT]; /* where it goes; for accepted ones, where it came from */
    /* private */
    const struct pst_link_config *config;
    struct pst_carrier *carrier;   /* NULL: not there yet, or gone */
    struct pst_listener *listener; /* while we wait to be called */
    uv_timer_t timer;
    uint64_t hello_by_ms; /* on the loop's clock */
    struct pst_link_end end;
    bool opened, reading, closing, pumping, spoke;
    uint8_t to_close;
    pst_err why;
    char text[PST_ADDRESS_TEXT + 160];
    uint8_t in[PST_LINK_MAX_MESSAGE];
    uint8_t out[PST_LINK_HEADER + PST_LINK_MAX_MESSAGE];
};

/* Connects; or, if `to` says so, listens and takes the first peer that comes: without a limit of
 * time, unless config->hello_ms sets one. PST_ERR_IO with `why`: nothing was started. Otherwise
 * `down` will be called, once. */
PST_MUST_CHECK pst_err pst_link_connect(struct pst_link *link, uv_loop_t *loop,
                                        const struct pst_link_config *config,
                                        const struct pst_address *to, char *why, size_t why_cap);
/* Takes over a carrier that a listener handed out. PST_ERR_IO: it does not, and the carrier closes.
 */
PST_MUST_CHECK pst_err pst_link_accept(struct pst_link *link, uv_loop_t *loop,
                                       const struct pst_link_config *config,
                                       struct pst_carrier *carrier);
/* Asks `output` until it has nothing or there is no room. Call it whenever there may be something
 * new to say; harmless on a link that is not up. */
void pst_link_pump(struct pst_link *link);
/* Sends what is queued, a BYE, and closes. */
void pst_link_close(struct pst_link *link, pst_err why);
/* Closes now. `text`, if not NULL, is passed to `down`. */
void pst_link_drop(struct pst_link *link, pst_err why, const char *text);

#ifdef __cplusplus
}
#endif

#endif
