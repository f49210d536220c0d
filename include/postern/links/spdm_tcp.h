/* SPDM over TCP (spec: DSP0287): an out-of-band management path to a security agent, on port 4194.
 *
 * Each SPDM message, in the clear or in a record, is one frame: `length u16 | version 01 | type u8
 * | message`. The length counts version and type too (as in the reference implementation; the
 * specification can be read otherwise). Nothing else is on the wire: no HELLO, no profile. So this
 * engine translates between frames and the stream of link messages (link.h) that a TS or a DTS
 * sends and receives. SPDM messages and records pass. HELLO and BYE are not sent: the owner reads a
 * HELLO in the peer's name, for a link that carries SPDM only (`native`).
 *
 * A record holds the SPDM message itself. (libspdm puts a second frame header before it.)
 *
 * Sans-I/O, without buffers: both headers have four bytes, and the bytes after them are the
 * same. */
#ifndef POSTERN_LINKS_SPDM_TCP_H
#define POSTERN_LINKS_SPDM_TCP_H

#include "postern/link.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_SPDM_TCP_PORT 4194
#define PST_SPDM_TCP_MORE 4
#define PST_SPDM_TCP_GREETING (PST_LINK_HEADER + PST_LINK_CONTROL_MAX)

extern const struct pst_link_traits pst_spdm_tcp_traits;

struct pst_spdm_tcp { /* private but for `peer_error` */
    struct {
        uint8_t head[4], control[PST_LINK_CONTROL_MAX];
        uint8_t have;
        uint32_t left; /* bytes left of the current message */
        bool passes;   /* the current message is passed on; otherwise it is not */
    } out, in;
    uint8_t peer_error; /* C0 too large, C1 unsupported, C2, C3: cannot be requester, responder */
};

void pst_spdm_tcp_init(struct pst_spdm_tcp *t);
/* Writes the HELLO that the owner reads in the peer's name, and returns its length. `target`: the
 * owner is a TS. */
size_t pst_spdm_tcp_greet(bool target, uint8_t out[PST_SPDM_TCP_GREETING]);
/* Translates link messages from the owner into frames. `out` is another buffer of in_len +
 * PST_SPDM_TCP_MORE bytes; `*len` is how many were written. PST_ERR_DECODE: not link messages.
 * PST_ERR_UNSUPPORTED: frames do not carry this kind or length. PST_ERR_PROFILE: the owner's hop
 * needs sequence numbers in records, and the peer does not speak HELLO. */
PST_MUST_CHECK pst_err pst_spdm_tcp_out(struct pst_spdm_tcp *t, const uint8_t *in, size_t in_len,
                                        uint8_t *out, size_t *len);
/* Translates frames from the peer into link messages; buffers as above. PST_ERR_VERSION: unknown
 * frame version. PST_ERR_DECODE: not a frame, or one of an unknown type. PST_ERR_PEER: the peer
 * reports an error, which is in `peer_error`. */
PST_MUST_CHECK pst_err pst_spdm_tcp_in(struct pst_spdm_tcp *t, const uint8_t *in, size_t in_len,
                                       uint8_t *out, size_t *len);

#ifdef __cplusplus
}
#endif

#endif
