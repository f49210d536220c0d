/* SPDM over TCP (spec: DSP0287): the way to a security agent out of band, on port 4194.
 *
 * Each SPDM message, clear or a record, is one frame: `length u16 | version 01 | type u8 |
 * message`, where the length counts version and type too (as the reference implementation does; the
 * specification can be read otherwise). Nothing else is on the wire: no HELLO, no profile. So this
 * translates between frames and the stream of link messages (link.h) that a TS or a DTS speaks.
 * SPDM messages and records pass. HELLO and BYE stop here: the owner reads a HELLO that stands for
 * the peer, of a link that carries SPDM alone (`native`).
 *
 * Inside a record there is the SPDM message itself. (libspdm puts a second frame header before it.)
 *
 * Sans-I/O, and without buffers: both headers have four bytes, what follows them is the same.
 */
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
        uint32_t left; /* of the message in hand */
        bool passes;   /* it goes on; otherwise it stops here */
    } out, in;
    uint8_t peer_error; /* C0 too large, C1 unsupported, C2, C3: cannot be requester, responder */
};

void pst_spdm_tcp_init(struct pst_spdm_tcp *t);
/* HELLO in the peer's name, as the owner reads it; `target`: the owner is a TS. Its length. */
size_t pst_spdm_tcp_greet(bool target, uint8_t out[PST_SPDM_TCP_GREETING]);
/* What the owner says becomes frames. `out` is another buffer, of in_len + PST_SPDM_TCP_MORE bytes;
 * `*len` of them were written. PST_ERR_DECODE: no link messages. PST_ERR_UNSUPPORTED: of a kind, or
 * of a length, that this way does not carry. PST_ERR_PROFILE: the owner's own hop needs numbers in
 * records, and the peer cannot be told. */
PST_MUST_CHECK pst_err pst_spdm_tcp_out(struct pst_spdm_tcp *t, const uint8_t *in, size_t in_len,
                                        uint8_t *out, size_t *len);
/* What the peer says becomes link messages; as above. PST_ERR_VERSION: another version of frames.
 * PST_ERR_DECODE: no frame, or of an unknown type. PST_ERR_PEER: it reports an error, and
 * `peer_error` tells which. */
PST_MUST_CHECK pst_err pst_spdm_tcp_in(struct pst_spdm_tcp *t, const uint8_t *in, size_t in_len,
                                       uint8_t *out, size_t *len);

#ifdef __cplusplus
}
#endif

#endif
