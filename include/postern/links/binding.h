/* SPDM bindings: how an SPDM message or a record is wrapped in one message of a transport.
 *
 * MCTP (spec: DSP0275, DSP0276): a type byte, 05 for SPDM and 06 for a record; inside a record the
 * data begins with a type byte again. PCI DOE (spec: PCIe base specification, DOE): a data object
 * of whole 32-bit words, type 1 or 2, padded with zeros. Bindings do not fragment: MCTP packets and
 * DOE mailbox words are layers below them. */
#ifndef POSTERN_LINKS_BINDING_H
#define POSTERN_LINKS_BINDING_H

#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { PST_BINDING_NONE, PST_BINDING_MCTP, PST_BINDING_DOE } pst_binding_id;

struct pst_binding {
    pst_binding_id id;
    const char *name;     /* "mctp" */
    uint8_t socket_code;  /* transport number in the socket framing of the SPDM emulator */
    uint8_t sequence_len; /* bytes of the sequence number in records */
    uint8_t head;         /* bytes before an SPDM message or record */
    uint8_t inner;        /* bytes before the SPDM message inside a record */
};
#define PST_BINDING_HEAD 8  /* the largest head */
#define PST_BINDING_INNER 1 /* the largest inner */

/* Finds a binding by name. NULL: unknown. */
const struct pst_binding *pst_binding_find(const char *name);

typedef enum {
    PST_BOUND_SPDM,
    PST_BOUND_RECORD,
    PST_BOUND_DISCOVERY, /* DOE discovery; `body` is its one word */
} pst_bound;

/* Wraps a body of `len` bytes that lies at `buf + head`. Send `*total` bytes of `buf`.
 * PST_ERR_SPACE: `cap` leaves no room for padding. */
PST_MUST_CHECK pst_err pst_binding_wrap(const struct pst_binding *b, pst_bound kind, uint8_t *buf,
                                        size_t cap, size_t len, size_t *total);
/* Unwraps a message. `body` aliases `msg`; a DOE body may end in up to three bytes of padding.
 * PST_ERR_DECODE: not a message of this binding. */
PST_MUST_CHECK pst_err pst_binding_unwrap(const struct pst_binding *b, const uint8_t *msg,
                                          size_t len, pst_bound *kind, struct pst_bytes *body);
/* Writes, or checks and removes, the bytes before the SPDM message inside a record. */
void pst_binding_put_inner(const struct pst_binding *b, uint8_t *at);
PST_MUST_CHECK pst_err pst_binding_get_inner(const struct pst_binding *b, struct pst_bytes *data);
/* Writes the answer to a DOE discovery request for object type `index` (0 to 2): an 8-byte header
 * and 4 bytes. */
PST_MUST_CHECK pst_err pst_binding_discover(const struct pst_binding *b, uint8_t index,
                                            uint8_t out[12]);

#ifdef __cplusplus
}
#endif

#endif
