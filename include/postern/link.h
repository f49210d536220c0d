/* Links: what carries whole messages between a DTS and a TS.
 *
 * A link is described by its traits, and the layers above depend on nothing else. On a link of
 * bytes in order (TCP, a Unix socket, a UART) this header frames the messages. Every message has a
 * kind (mipi_profile.h: control, clear SPP, clear SPDM, record), so none can be mistaken for
 * another. The first message in each direction is HELLO. It states the profile, the largest message
 * that the sender takes, and the traits of the sender's own hop: with bridges between them, each
 * end only knows its own hop. pst_link_agree combines both HELLOs into the traits of the path, with
 * the same result at both ends.
 *
 * `struct pst_link_end` does all of this for one end: bytes in, events and messages out. It is
 * sans-I/O. For a target on such a link, stream.h is simpler. */
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
    bool shared; /* others can write to it: a record with a bad tag is dropped, and does not end the
                    session */
    bool pushes; /* the TS may send without being asked */
    bool native; /* carries SPDM messages and records only, one answer to each request, such as PCIe
                    DOE. Debug data travels in VENDOR_DEFINED messages (target.h) */
    uint8_t sequence_len; /* bytes of sequence number in records: 0 on ordered reliable links, else
                             2 or 8 */
    uint8_t inner; /* the byte before an SPDM message inside a record: PST_LINK_INNER on a native
                      hop of MCTP, whose records have 2-byte numbers; 0: none */
};
extern const struct pst_link_traits pst_stream_traits; /* TCP and Unix sockets */

#define PST_LINK_INNER 0x05      /* MCTP's message type for SPDM */
#define PST_LINK_MIN_MESSAGE 256 /* every end takes at least this */
#define PST_LINK_CONTROL_MAX 12  /* bytes of the longest control message */

struct pst_hello {
    uint8_t profile; /* not ours: the rest is 0, and the link must be ended */
    bool target;
    bool shared;      /* the sender's own hop: others can write to it, or it loses messages */
    bool native;      /* the hop carries SPDM messages and records only */
    bool polled;      /* the TS cannot send on it without being asked */
    bool mctp;        /* records have the form of MCTP's binding: 2-byte numbers, and `inner` */
    uint32_t largest; /* largest message that the sender takes, >= PST_LINK_MIN_MESSAGE */
};

/* Framing of a byte stream. The receive buffer belongs to the caller and holds one message without
 * its header. The `largest` of HELLO must not exceed `cap`. */
struct pst_framing { /* private */
    uint8_t *buffer;
    size_t cap, have;
    uint8_t header[PST_LINK_HEADER];
    bool broken;
};
void pst_framing_init(struct pst_framing *s, uint8_t *buffer, size_t cap);
/* Takes bytes until one message is complete; `*used` is how many bytes of `in` were taken. PST_OK:
 * `kind` and `payload` are set (in the buffer, writable, valid until the next call; it may be
 * empty). PST_WANT_MORE: all of `in` was taken. PST_ERR_DECODE: this is not our framing (unknown
 * kind, or too long). Every later call fails too: close the link. */
PST_MUST_CHECK pst_err pst_framing_receive(struct pst_framing *s, const uint8_t *in, size_t len,
                                           size_t *used, uint8_t *kind, uint8_t **payload,
                                           size_t *payload_len);
/* Writes the header of a message of `len` bytes. PST_ERR_SPACE: longer than the framing allows. */
PST_MUST_CHECK pst_err pst_framing_header(uint8_t out[PST_LINK_HEADER], uint8_t kind, size_t len);

/* The HELLO of an end whose own hop has the traits `mine`, and that takes messages of `largest`
 * bytes. */
struct pst_hello pst_link_hello_of(const struct pst_link_traits *mine, bool target,
                                   uint32_t largest);
/* Computes the traits of the path from those of the own hop and the HELLO of the other end (which
 * has our profile). If one end cannot do or cannot trust something, neither end relies on it. `mtu`
 * is the largest message that the peer takes. Both ends get the same `shared`, `pushes`, `native`,
 * `sequence_len` and `inner`. An MCTP hop decides the form of records, because its far end may know
 * no other form; otherwise records on a shared path have 8-byte numbers. */
void pst_link_agree(struct pst_link_traits *out, const struct pst_link_traits *mine,
                    const struct pst_hello *peer);

/* Write control messages, and return their length. `out` needs PST_LINK_CONTROL_MAX bytes. */
size_t pst_link_put_hello(uint8_t *out, const struct pst_hello *hello);
size_t pst_link_put_bye(uint8_t *out, pst_err why);
/* Reads a control message. PST_OK: `*op` (enum pst_link_control), and `*hello` or `*why`.
 * PST_ERR_DECODE: malformed. */
PST_MUST_CHECK pst_err pst_link_get_control(const uint8_t *msg, size_t len, uint8_t *op,
                                            struct pst_hello *hello, pst_err *why);

/* --- one end of a link --- */

#define PST_LINK_CLOSE_MS 2000 /* time limit for closing */

/* What a call found. */
typedef enum {
    PST_LINK_IDLE,    /* nothing: give it more bytes, or wait */
    PST_LINK_UP,      /* once: HELLOs were exchanged, `traits` are those of the path */
    PST_LINK_MESSAGE, /* `kind`, `message` and `len` describe a message of the peer */
    PST_LINK_CLOSING, /* once: the peer's HELLO is not acceptable. Send what is pending (it ends
                         with a BYE that tells the peer why), then close the carrier */
    PST_LINK_DOWN,    /* the link has ended, `why` and `text` say why: close the carrier now */
} pst_link_event;

/* One end of a link over a carrier of bytes: framing, HELLO, BYE. The first message must be the
 * peer's HELLO: if it is anything else (a flood, HTTP), the link ends.
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
 * It holds at most one message that the carrier has not taken. An end that is down can be opened
 * again, for example when the peer on a UART comes back. */
struct pst_link_end {
    struct pst_link_traits traits; /* of the path, once the link is up */
    pst_err why;          /* set when closing or down; PST_OK: the peer ended the link in order */
    pst_err bye;          /* the reason in the peer's BYE; a hint, not authenticated */
    const char *text;     /* set when closing or down, for people: a constant, or the text given to
                             pst_link_end_down */
    uint8_t peer_profile; /* the peer's profile if it is not ours, otherwise 0 */
    uint8_t kind;         /* of PST_LINK_MESSAGE; so are the next two */
    uint8_t *message;     /* writable, valid until the next `receive`; with a shared
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

/* `target`: this end is a TS. `in` holds one message (PST_LINK_MIN_MESSAGE bytes or more), `out` a
 * header and one message. Both belong to the caller and must outlive the end. To save memory `in`
 * may be `out + PST_LINK_HEADER`: then nothing is received while anything is pending, and nothing
 * is sent while a message has arrived only in part. PST_ERR_ARGUMENT: a buffer is too small. */
PST_MUST_CHECK pst_err pst_link_end_init(struct pst_link_end *e, bool target, uint8_t *in,
                                         size_t in_cap, uint8_t *out, size_t out_cap);
/* Call this when the carrier is connected: HELLO is then pending. `hop` (outlives the link) gives
 * the traits of the carrier. `largest`, if not 0, limits messages in both directions. If the peer's
 * HELLO has not come by `deadline_ms`, the link ends. */
void pst_link_end_open(struct pst_link_end *e, const struct pst_link_traits *hop, uint32_t largest,
                       uint64_t deadline_ms);
/* Takes bytes up to the next event; `*used` is how many. PST_LINK_IDLE: all were taken, unless the
 * buffers are shared and something is pending: then give the rest again once that is sent. An end
 * that is closing or down takes all bytes and ignores them. */
pst_link_event pst_link_end_receive(struct pst_link_end *e, const uint8_t *in, size_t len,
                                    size_t *used);
/* Where to write the next message, and in `*cap` its maximum length. NULL: not possible now (the
 * link is not up, or the last message is still pending). */
uint8_t *pst_link_end_room(struct pst_link_end *e, size_t *cap);
/* Sends the `len` bytes that were written there. PST_ERR_STATE: there was no room;
 * PST_ERR_SPACE: longer than `cap`. */
PST_MUST_CHECK pst_err pst_link_end_send(struct pst_link_end *e, uint8_t kind, size_t len);
/* `pending` returns the bytes to give to the carrier next; `sent` notes how many of them it
 * took. */
struct pst_bytes pst_link_end_pending(const struct pst_link_end *e);
void pst_link_end_sent(struct pst_link_end *e, size_t len);
/* Ends the link: BYE with `why` follows what is pending. If the link is not up yet, it is down at
 * once. */
void pst_link_end_close(struct pst_link_end *e, pst_err why, uint64_t now_ms);
/* True if the link is closing and everything is sent: the carrier may be closed. */
bool pst_link_end_finished(const struct pst_link_end *e);
/* Call this when the carrier has ended by itself. Sets `why` and `text`, unless the end was
 * closing: then they keep their values. */
void pst_link_end_down(struct pst_link_end *e, pst_err why, const char *text);
/* Checks the time: PST_LINK_DOWN after the deadline, otherwise PST_LINK_IDLE. */
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
