/* Links: what carries whole messages between a DTS and a TS.
 *
 * A link is described by its traits; the layers above act on those alone. A *stream* link (TCP,
 * Unix socket, pty) frames messages itself: this is the framing engine, sans-I/O. Every message
 * has a kind (mipi_profile.h: control, clear SPP, clear SPDM, record) that cannot be mistaken for
 * another. The first message each way is HELLO, which compares profiles, tells the largest message
 * and what the sender's own hop is like: with bridges between, each end knows only its own.
 * `pst_link_agree` makes of both what the whole path is, the same at both ends.
 */
#ifndef POSTERN_LINK_H
#define POSTERN_LINK_H

#include "postern/mipi_profile.h"
#include "postern/parts/wire.h"

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

/* Framing of a byte stream. The receive buffer is the caller's and holds one message, without its
 * header: `cap` is the `largest` to tell in HELLO. */
struct pst_framing { /* private */
    uint8_t *buffer;
    size_t cap, have;
    uint8_t header[PST_LINK_HEADER];
    bool broken;
};
void pst_framing_init(struct pst_framing *s, uint8_t *buffer, size_t cap);
/* Takes bytes until one message is whole; `*used` says how many of `in`. PST_OK: `kind` and
 * `payload` (aliases the buffer, writable, valid until the next call). PST_WANT_MORE: all of `in`
 * was taken. PST_ERR_DECODE: not our framing (unknown kind, too long), now and ever after: close
 * the stream. A payload may be empty. */
PST_MUST_CHECK pst_err pst_framing_receive(struct pst_framing *s, const uint8_t *in, size_t len,
                                           size_t *used, uint8_t *kind, uint8_t **payload,
                                           size_t *payload_len);
/* The header of a message of `len` bytes. PST_ERR_SPACE: longer than the framing allows. */
PST_MUST_CHECK pst_err pst_framing_header(uint8_t out[PST_LINK_HEADER], uint8_t kind, size_t len);

/* What an end with such a hop says of itself; it takes messages of `largest` bytes. */
struct pst_hello pst_link_hello_of(const struct pst_link_traits *mine, bool target,
                                   uint32_t largest);
/* The whole path, from the own hop and the HELLO of the other end (which has our profile): what
 * either end cannot do or trust, neither relies on. `mtu` is the largest message that the peer
 * takes. Both ends find the same `shared`, `pushes`, `native`, `sequence_len` and `inner`. A hop of
 * MCTP settles the shape of records, for its far end may know no other; else what is shared has
 * 8-byte numbers. */
void pst_link_agree(struct pst_link_traits *out, const struct pst_link_traits *mine,
                    const struct pst_hello *peer);

/* Control messages; `out` needs PST_LINK_CONTROL_MAX bytes. */
size_t pst_link_put_hello(uint8_t *out, const struct pst_hello *hello);
size_t pst_link_put_bye(uint8_t *out, pst_err why);
/* PST_OK with `*op` (enum pst_link_control) and what it carries; PST_ERR_DECODE otherwise. */
PST_MUST_CHECK pst_err pst_link_get_control(const uint8_t *msg, size_t len, uint8_t *op,
                                            struct pst_hello *hello, pst_err *why);

#endif
