/* Shared by the two I3C engines: fragments and the bytes that they carry. */
#ifndef PST_LINK_I3C_PIPE_H
#define PST_LINK_I3C_PIPE_H

#include "postern/links/i3c.h"

struct pst_i3c_fragment { /* decoded; `bytes` aliases the input */
    uint8_t flags, stream;
    uint16_t sequence, ack;
    struct pst_bytes bytes;
};

bool psti_i3c_buffers_ok(const struct pst_i3c_buffers *b);
void psti_i3c_pipe_init(struct pst_i3c_pipe *p, const struct pst_i3c_buffers *b);
/* Forgets everything, and begins stream `id` (0: none) or, if `plain`, plain packets. */
void psti_i3c_pipe_begin(struct pst_i3c_pipe *p, bool plain, uint8_t id);
PST_MUST_CHECK pst_err psti_i3c_pipe_send(struct pst_i3c_pipe *p, uint8_t kind,
                                          const uint8_t *payload, size_t len);
PST_MUST_CHECK pst_err psti_i3c_pipe_receive(struct pst_i3c_pipe *p, uint8_t *kind,
                                             uint8_t **payload, size_t *len);
/* Queues bytes; returns how many fitted. Not for plain packets. */
size_t psti_i3c_pipe_put_bytes(struct pst_i3c_pipe *p, const uint8_t *at, size_t len);
size_t psti_i3c_pipe_get_bytes(struct pst_i3c_pipe *p, uint8_t *out, size_t cap);
/* True if the bytes of one transfer can be taken. */
bool psti_i3c_pipe_has_room(const struct pst_i3c_pipe *p);
/* True if bytes, or a packet, could be sent now. */
bool psti_i3c_pipe_has_data(const struct pst_i3c_pipe *p);

/* For plain packets: `peek` gives the oldest one, {NULL, 0} for none; `drop` removes it. */
struct pst_bytes psti_i3c_pipe_peek(const struct pst_i3c_pipe *p);
void psti_i3c_pipe_drop(struct pst_i3c_pipe *p);
/* PST_ERR_BUSY: no room. `len` is 1 to PST_I3C_MAX. */
PST_MUST_CHECK pst_err psti_i3c_pipe_take_plain(struct pst_i3c_pipe *p, const uint8_t *in,
                                                size_t len);

/* Makes the next fragment, with as many bytes as the window allows (maybe none). `flags` are
 * added. */
size_t psti_i3c_pipe_put(struct pst_i3c_pipe *p, uint8_t flags, uint8_t out[PST_I3C_MAX]);
/* PST_ERR_DECODE: damaged, or no fragment at all. */
PST_MUST_CHECK pst_err psti_i3c_fragment_get(const uint8_t *in, size_t len,
                                             struct pst_i3c_fragment *f);
/* Takes a fragment of our stream. What it acknowledges is forgotten, everything after that will be
 * sent again, and its bytes are taken if they are the next ones. PST_ERR_BUSY: there was no room
 * for its bytes. PST_WANT_MORE: they were not the next ones, so the peer needs an acknowledgement.
 * PST_ERR_DECODE: it acknowledges what was never sent; nothing was done. */
PST_MUST_CHECK pst_err psti_i3c_pipe_take(struct pst_i3c_pipe *p, const struct pst_i3c_fragment *f);

#endif
