/* A link: messages over a carrier. Framing, HELLO, and backpressure.
 *
 * The first message each way is HELLO. Until the peer's has come nothing else is taken, and a peer
 * that sends anything else (a flood, HTTP) is closed; one whose HELLO does not fit hears in a BYE
 * why. From then on the owner hears `message`, and is asked for `output` whenever there is room for
 * some: a link holds at most one message that its carrier has not taken. It reads on meanwhile, or
 * a session on a slow link would miss its heartbeats: what comes to a TS is bounded by the credit
 * that it gave, and what comes to a DTS by what it asked for.
 *
 * A link is closed once and says so once: `down`, after which its memory is the owner's again.
 * `why` in it quotes the link and is meant for people.
 */
#ifndef POSTERN_POSIX_LOOP_LINK_H
#define POSTERN_POSIX_LOOP_LINK_H

#include "posix/loop/carrier.h"

#define PST_LINK_HELLO_MS 5000

struct pst_link;

struct pst_link_config { /* const, outlives the link */
    bool target;         /* which side we are */
    uint32_t hello_ms;   /* longest wait for connection and HELLO; 0: PST_LINK_HELLO_MS */
    void *ctx;
    /* HELLO was exchanged; `link->traits` holds. */
    void (*up)(void *ctx, struct pst_link *link);
    /* One message; `msg` is writable and valid during the call. An error closes the link once what
     * is pending is sent. */
    pst_err (*message)(void *ctx, struct pst_link *link, uint8_t kind, uint8_t *msg, size_t len);
    /* The next message to send, whole; 0: none now. */
    size_t (*output)(void *ctx, struct pst_link *link, uint8_t *kind, uint8_t *out, size_t cap);
    /* The link is gone. PST_OK: closed as we asked, or by the peer between messages. */
    void (*down)(void *ctx, struct pst_link *link, pst_err why, const char *text);
};

struct pst_link_counts {
    uint64_t messages_in, messages_out, records_in, records_out, bytes_in, bytes_out;
    uint64_t round_trips; /* times that we spoke and then heard */
};

struct pst_link {
    void *owner;                   /* the owner's to use */
    struct pst_link_traits traits; /* of the whole path; valid once up */
    struct pst_link_counts counts;
    pst_err bye;                 /* why the peer says it closed; a hint, nobody vouches for it */
    char name[PST_ADDRESS_TEXT]; /* where it goes; for accepted ones, where it came from */
    /* private */
    const struct pst_link_config *config;
    struct pst_carrier *carrier;   /* NULL: not there yet, or gone */
    struct pst_listener *listener; /* while we wait to be called */
    uv_timer_t timer;
    struct pst_framing stream;
    bool is_up, opened, reading, closing, draining, said_bye, spoke, pumping;
    uint8_t to_close;
    pst_err why;
    char text[PST_ADDRESS_TEXT + 160];
    size_t out_at, out_len;
    uint8_t message[PST_LINK_MAX_MESSAGE];
    uint8_t out[PST_LINK_HEADER + PST_LINK_MAX_MESSAGE];
};

/* Connects; or, where `to` is written so, listens and takes the first peer that comes, however long
 * that takes unless config->hello_ms says so. PST_ERR_IO with `why`: nothing was started. Otherwise
 * `down` will be called, once. */
PST_MUST_CHECK pst_err pst_link_connect(struct pst_link *link, uv_loop_t *loop,
                                        const struct pst_link_config *config,
                                        const struct pst_address *to, char *why, size_t why_cap);
/* Owns what a listener has handed over. PST_ERR_IO: it does not, and the carrier closes. */
PST_MUST_CHECK pst_err pst_link_accept(struct pst_link *link, uv_loop_t *loop,
                                       const struct pst_link_config *config,
                                       struct pst_carrier *carrier);
/* Asks `output` until it has nothing or there is no room. Call it whenever there may be something
 * new to say; harmless on a link that is not up. */
void pst_link_pump(struct pst_link *link);
/* Sends what is queued, a BYE, and closes. */
void pst_link_end(struct pst_link *link, pst_err why);
/* Closes now. */
void pst_link_drop(struct pst_link *link, pst_err why, const char *text);

#endif
