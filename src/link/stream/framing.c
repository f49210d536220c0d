/* Framing: messages on a byte stream. */
#include <string.h>

#include "postern/link.h"

const struct pst_link_traits pst_stream_traits = {
    .mtu = PST_LINK_MAX_MESSAGE,
    .ordered = true,
    .lossy = false,
    .shared = false,
    .pushes = true,
    .sequence_len = 0,
};

void pst_framing_init(struct pst_framing *s, uint8_t *buffer, size_t cap)
{
    *s = (struct pst_framing){.buffer = buffer, .cap = cap};
}

static bool is_kind(uint8_t kind)
{
    return kind >= PST_LINK_CONTROL && kind <= PST_LINK_SPDM;
}

static size_t header_len(const struct pst_framing *s)
{
    struct pst_reader r = pst_reader_of(s->header, sizeof s->header);

    return pst_get_u24(&r);
}

/* Copies input to `to` until `wanted` bytes are there, and counts what was copied. */
static void take(struct pst_framing *s, uint8_t *to, size_t wanted, const uint8_t *in, size_t len,
                 size_t *used)
{
    const size_t left = len - *used;
    const size_t n = left < wanted ? left : wanted;

    if (n > 0) {
        memcpy(to, in + *used, n);
    }
    s->have += n;
    *used += n;
}

pst_err pst_framing_receive(struct pst_framing *s, const uint8_t *in, size_t len, size_t *used,
                            uint8_t *kind, uint8_t **payload, size_t *payload_len)
{
    const size_t head = sizeof s->header;

    *used = 0;
    if (s->broken) {
        return PST_ERR_DECODE;
    }
    if (s->have < head) {
        take(s, s->header + s->have, head - s->have, in, len, used);
    }
    if (s->have < head) {
        return PST_WANT_MORE;
    }
    const size_t total = header_len(s);
    if (!is_kind(s->header[3]) || total > s->cap || total > PST_LINK_MAX_MESSAGE) {
        s->broken = true;
        return PST_ERR_DECODE;
    }
    const size_t got = s->have - head;
    if (total > got) {
        take(s, s->buffer + got, total - got, in, len, used);
    }
    if (s->have - head < total) {
        return PST_WANT_MORE;
    }
    s->have = 0;
    *kind = s->header[3];
    *payload = s->buffer;
    *payload_len = total;
    return PST_OK;
}

pst_err pst_framing_header(uint8_t out[PST_LINK_HEADER], uint8_t kind, size_t len)
{
    struct pst_writer w = pst_writer_of(out, PST_LINK_HEADER);

    if (len > PST_LINK_MAX_MESSAGE) {
        return PST_ERR_SPACE;
    }
    pst_put_u24(&w, (uint32_t)len);
    pst_put_u8(&w, kind);
    return PST_OK;
}
