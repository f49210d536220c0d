/* Links: what carries whole messages between a DTS and a TS.
 *
 * A link is described by its traits, and the layers above depend on those alone. On a link of bytes
 * in order (TCP, a Unix socket, a UART) messages are framed here. Every message has a kind
 * (mipi_profile.h: control, clear SPP, clear SPDM, record) that cannot be mistaken for another. The
 * first message each way is HELLO. It compares profiles, and says how large a message the sender
 * takes and what the sender's own hop is like: with bridges between, each end knows only its own.
 * pst_link_agree combines both HELLOs into the traits of the path; both ends compute the same.
 *
 * `struct pst_link_end` does all of this for one end: bytes in, events and messages out. It is
 * sans-I/O. A target on such a link is easier to have from stream.h.
 */
#ifndef POSTERN_LINK_H
#define POSTERN_LINK_H

#include "postern/mipi_profile.h"
#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_link_traits {
    uint32_t mtu; /* largest message, bytes */
    bool ordered, lossy;
    bool shared; /* others can write to it: a bad tag is dropped, not fatal */
    bool pushes; /* the TS may speak unasked */
    bool native; /* carries SPDM messages and records only, one answer to each request: PCIe
                    DOE. Debug data goes in VENDOR_DEFINED messages (target.h) */
    uint8_t sequence_len; /* of records: 0 on ordered reliable links, else 2 or 8 */
    uint8_t inner;        /* what stands before an SPDM message inside a record: PST_LINK_INNER on
                             a native hop of MCTP, whose records have 2-byte numbers; 0: nothing */
};
extern const struct pst_link_traits pst_stream_traits; /* TCP and Unix sockets */

#define PST_LINK_INNER 0x05      /* MCTP's message type of SPDM */
#define PST_LINK_MIN_MESSAGE 256 /* no side may take less */
#define PST_LINK_CONTROL_MAX 12  /* bytes of the longest control message */

struct pst_hello {
    uint8_t profile; /* another one than ours: the rest is 0, and the link is to be ended */
    bool target;
    bool shared;      /* of the sender's own hop: others can write to it, or it loses messages */
    bool native;      /* it carries SPDM messages and records only */
    bool polled;      /* the TS cannot speak unasked on it */
    bool mctp;        /* records as MCTP's binding has them: 2-byte numbers, and `inner` */
    uint32_t largest; /* message that the sender takes, >= PST_LINK_MIN_MESSAGE */
};

/* Framing of a byte stream. The receive buffer is the caller's and holds one message without its
 * header: `cap` bytes is the `largest` that HELLO may tell. */
struct pst_framing { /* private */
    uint8_t *buffer;
    size_t cap, have;
    uint8_t header[PST_LINK_HEADER];
    bool broken;
};
void pst_framing_init(struct pst_framing *s, uint8_t *buffer, size_t cap);
/* Takes bytes until one message is whole; `*used` says how many of `in` were taken. PST_OK: `kind`
 * and `payload` (in the buffer, writable, valid until the next call; it may be empty).
 * PST_WANT_MORE: all of `in` was taken. PST_ERR_DECODE: this is not our framing (unknown kind, too
 * long), now and in every later call: close the link. */
PST_MUST_CHECK pst_err pst_framing_receive(struct pst_framing *s, const uint8_t *in, size_t len,
                                           size_t *used, uint8_t *kind, uint8_t **payload,
                                           size_t *payload_len);
/* The header of a message of `len` bytes. PST_ERR_SPACE: longer than the framing allows. */
PST_MUST_CHECK pst_err pst_framing_header(uint8_t out[PST_LINK_HEADER], uint8_t kind, size_t len);

/* The HELLO of an end whose own hop is `mine` and that takes messages of `largest` bytes. */
struct pst_hello pst_link_hello_of(const struct pst_link_traits *mine, bool target,
                                   uint32_t largest);
/* The traits of the path, from those of the own hop and the HELLO of the other end (which has our
 * profile). What either end cannot do, or cannot trust, neither relies on. `mtu` is the largest
 * message that the peer takes. Both ends find the same `shared`, `pushes`, `native`,
 * `sequence_len` and `inner`. A hop of MCTP decides the form of records, because its far end may
 * know no other; otherwise records on a shared path have 8-byte numbers. */
void pst_link_agree(struct pst_link_traits *out, const struct pst_link_traits *mine,
                    const struct pst_hello *peer);

/* Control messages; `out` needs PST_LINK_CONTROL_MAX bytes. */
size_t pst_link_put_hello(uint8_t *out, const struct pst_hello *hello);
size_t pst_link_put_bye(uint8_t *out, pst_err why);
/* PST_OK with `*op` (enum pst_link_control) and what it carries; PST_ERR_DECODE otherwise. */
PST_MUST_CHECK pst_err pst_link_get_control(const uint8_t *msg, size_t len, uint8_t *op,
                                            struct pst_hello *hello, pst_err *why);

/* --- one end of a link --- */

#define PST_LINK_CLOSE_MS 2000 /* longest time that closing may take */

/* What a call found. */
typedef enum {
    PST_LINK_IDLE,    /* nothing: it needs more bytes, or time */
    PST_LINK_UP,      /* once: HELLO was exchanged, `traits` are those of the path */
    PST_LINK_MESSAGE, /* `kind`, `message` and `len` are a message of the peer */
    PST_LINK_CLOSING, /* once: the peer's HELLO does not fit. Send what is pending (it ends with a
                         BYE that tells the peer why), then close the carrier */
    PST_LINK_DOWN,    /* it is over, `why` and `text` say why: close the carrier now */
} pst_link_event;

/* One end of a link over a carrier of bytes: framing, HELLO, BYE. Until the peer's HELLO has come
 * nothing else is taken; a peer that sends anything else (a flood, HTTP) ends the link.
 *
 *     pst_link_end_init(&e, true, in, sizeof in, out, sizeof out);
 *     pst_link_end_open(&e, &traits, 0, now + 5000);           // the carrier is connected
 *     for (;;) {
 *         pending = pst_link_end_pending(&e);                  // give it to the carrier
 *         pst_link_end_sent(&e, what the carrier took);
 *         event = pst_link_end_receive(&e, bytes, len, &used); // what came from it
 *         event = pst_link_end_poll(&e, now);                  // no later than pst_link_end_wake
 *     }
 *
 * It keeps at most one message that the carrier has not taken. An end that is down can be opened
 * again: a UART whose peer comes back. */
struct pst_link_end {
    struct pst_link_traits traits; /* of the path, once up */
    pst_err why;                   /* of closing and down; PST_OK: the peer ended it in order */
    pst_err bye;                   /* the reason in the peer's BYE; a hint, not authenticated */
    const char *text;              /* of closing and down, for people: a constant, or the one that
                                      pst_link_end_down was given */
    uint8_t peer_profile;          /* not ours: what the peer speaks; 0 otherwise */
    uint8_t kind;                  /* of PST_LINK_MESSAGE, as the next two */
    uint8_t *message;              /* writable, valid until the next `receive`; with a shared
                                      buffer also only until the next message is written */
    size_t len;
    /* private */
    struct pst_framing framing;
    const struct pst_link_traits *hop;
    uint8_t *out;
    size_t out_cap, out_at, out_len;
    uint64_t deadline_ms;
    uint32_t largest;
    uint8_t phase;
    bool target, said_bye;
};

/* `target`: this end is a TS. `in` takes one message (PST_LINK_MIN_MESSAGE bytes or more), `out` a
 * header and one message; both are the caller's for as long as the end is used. To save memory `in`
 * may be `out + PST_LINK_HEADER`: then nothing is received while anything is pending, and nothing
 * is sent while a message has come in part. PST_ERR_ARGUMENT: a buffer is too small. */
PST_MUST_CHECK pst_err pst_link_end_init(struct pst_link_end *e, bool target, uint8_t *in,
                                         size_t in_cap, uint8_t *out, size_t out_cap);
/* The carrier is connected: HELLO is pending. `hop` (outlives the link) is what the carrier is
 * like; `largest`, if not 0, bounds messages each way. Without the peer's HELLO by `deadline_ms`
 * the link ends. */
void pst_link_end_open(struct pst_link_end *e, const struct pst_link_traits *hop, uint32_t largest,
                       uint64_t deadline_ms);
/* Takes bytes up to the next event; `*used` says how many. PST_LINK_IDLE: all were taken, unless
 * the buffers are shared and something is pending: then give the rest again once it is sent. An end
 * that is closing or down takes everything and looks at nothing. */
pst_link_event pst_link_end_receive(struct pst_link_end *e, const uint8_t *in, size_t len,
                                    size_t *used);
/* Where the next message is to be written, and how long it may be; NULL: not now (not up, or the
 * last one is still pending). */
uint8_t *pst_link_end_room(struct pst_link_end *e, size_t *cap);
/* Sends the `len` bytes that were written there. PST_ERR_STATE: there was no room;
 * PST_ERR_SPACE: longer than `cap`. */
PST_MUST_CHECK pst_err pst_link_end_send(struct pst_link_end *e, uint8_t kind, size_t len);
/* What the carrier is to be given next, and how many bytes of it the carrier took. */
struct pst_bytes pst_link_end_pending(const struct pst_link_end *e);
void pst_link_end_sent(struct pst_link_end *e, size_t len);
/* Ends the link: what is pending, then a BYE with `why`. Before it is up it is down at once. */
void pst_link_end_close(struct pst_link_end *e, pst_err why, uint64_t now_ms);
/* Closing, and everything is sent: the carrier may be closed. */
bool pst_link_end_finished(const struct pst_link_end *e);
/* The carrier ended by itself. Sets `why` and `text`, which stay what they were if the end was
 * closing. */
void pst_link_end_down(struct pst_link_end *e, pst_err why, const char *text);
/* Time passes: PST_LINK_DOWN after the deadline, otherwise PST_LINK_IDLE. */
pst_link_event pst_link_end_poll(struct pst_link_end *e, uint64_t now_ms);
/* When to poll next, UINT64_MAX: never. */
uint64_t pst_link_end_wake(const struct pst_link_end *e);
bool pst_link_end_is_up(const struct pst_link_end *e);
bool pst_link_end_is_closing(const struct pst_link_end *e);
bool pst_link_end_is_down(const struct pst_link_end *e);

#ifdef __cplusplus
}
#endif

#endif
