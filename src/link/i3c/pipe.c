/* I3C fragments: sequence, acknowledgement, FCS, and the byte stream that they carry. */
#include <string.h>

#include "link/i3c/pipe.h"
#include "postern/links/checksum.h"

#define OVERHEAD (PST_I3C_FRAGMENT_HEAD + PST_I3C_FRAGMENT_TAIL)
#define BYTES_MAX (PST_I3C_MAX - OVERHEAD)
#define WINDOW_BYTES (PST_I3C_WINDOW * BYTES_MAX)
#define FLAGS (PST_I3C_OPEN | PST_I3C_MORE | PST_I3C_WAIT | PST_I3C_NONE)

const struct pst_link_traits pst_i3c_traits = {
    .mtu = PST_LINK_MAX_MESSAGE,
    .ordered = true,
    .lossy = false,
    .shared = true,
    .pushes = true,
    .sequence_len = 0,
};

static uint16_t check_of(const uint8_t *at, size_t len)
{
    return (uint16_t)~pst_fcs16(PST_FCS16_START, at, len);
}

bool psti_i3c_buffers_ok(const struct pst_i3c_buffers *b)
{
    return b->send != NULL && b->receive != NULL && b->receive_cap >= PST_LINK_MIN_MESSAGE &&
           b->send_cap >= PST_LINK_HEADER + PST_LINK_MIN_MESSAGE;
}

void psti_i3c_pipe_init(struct pst_i3c_pipe *p, const struct pst_i3c_buffers *b)
{
    memset(p, 0, sizeof *p);
    p->send = b->send;
    p->send_cap = b->send_cap;
    pst_framing_init(&p->stream, b->receive, b->receive_cap);
}

void psti_i3c_pipe_begin(struct pst_i3c_pipe *p, bool plain, uint8_t id)
{
    p->head = p->tail = 0;
    p->first = p->sent = p->high = p->next = 0;
    p->in_at = p->in_len = 0;
    p->plain = plain;
    p->id = id;
    pst_framing_init(&p->stream, p->stream.buffer, p->stream.cap);
}

/* Makes room for `len` bytes at the end of send[]. */
static pst_err make_room(struct pst_i3c_pipe *p, size_t len)
{
    if (len > p->send_cap) {
        return PST_ERR_SPACE;
    }
    if (len > p->send_cap - (p->tail - p->head)) {
        return PST_ERR_BUSY;
    }
    if (len > p->send_cap - p->tail) {
        memmove(p->send, p->send + p->head, p->tail - p->head);
        p->tail -= p->head;
        p->head = 0;
    }
    return PST_OK;
}

static void append(struct pst_i3c_pipe *p, const uint8_t *at, size_t len)
{
    if (len > 0) {
        memcpy(p->send + p->tail, at, len);
    }
    p->tail += len;
}

static pst_err send_plain(struct pst_i3c_pipe *p, const uint8_t *payload, size_t len)
{
    const uint8_t head = (uint8_t)len;

    if (len == 0) {
        return PST_ERR_ARGUMENT;
    }
    if (len > PST_I3C_MAX) {
        return PST_ERR_SPACE;
    }
    PST_TRY(make_room(p, 1 + len));
    append(p, &head, 1);
    append(p, payload, len);
    return PST_OK;
}

pst_err psti_i3c_pipe_send(struct pst_i3c_pipe *p, uint8_t kind, const uint8_t *payload, size_t len)
{
    uint8_t header[PST_LINK_HEADER];

    if (p->plain ? kind != PST_LINK_CLEAR : kind < PST_LINK_CONTROL || kind > PST_LINK_SPDM) {
        return PST_ERR_ARGUMENT;
    }
    if (p->plain) {
        return send_plain(p, payload, len);
    }
    PST_TRY(pst_framing_header(header, kind, len));
    PST_TRY(make_room(p, sizeof header + len));
    append(p, header, sizeof header);
    append(p, payload, len);
    return PST_OK;
}

static pst_err receive_plain(struct pst_i3c_pipe *p, uint8_t *kind, uint8_t **payload, size_t *len)
{
    if (p->in_len == 0) {
        return PST_PENDING;
    }
    memcpy(p->stream.buffer, p->in, p->in_len);
    *kind = PST_LINK_CLEAR;
    *payload = p->stream.buffer;
    *len = p->in_len;
    p->in_len = 0;
    return PST_OK;
}

pst_err psti_i3c_pipe_receive(struct pst_i3c_pipe *p, uint8_t *kind, uint8_t **payload, size_t *len)
{
    size_t used = 0;

    if (p->plain) {
        return receive_plain(p, kind, payload, len);
    }
    const pst_err err = pst_framing_receive(
        &p->stream, p->in + p->in_at, (size_t)(p->in_len - p->in_at), &used, kind, payload, len);
    p->in_at = (uint8_t)(p->in_at + used);
    if (p->in_at == p->in_len) {
        p->in_at = p->in_len = 0;
    }
    return err == PST_WANT_MORE ? PST_PENDING : err;
}

size_t psti_i3c_pipe_put_bytes(struct pst_i3c_pipe *p, const uint8_t *at, size_t len)
{
    const size_t room = p->send_cap - (p->tail - p->head);
    const size_t n = len < room ? len : room;

    if (p->plain || make_room(p, n) != PST_OK) {
        return 0;
    }
    append(p, at, n);
    return n;
}

size_t psti_i3c_pipe_get_bytes(struct pst_i3c_pipe *p, uint8_t *out, size_t cap)
{
    const size_t waiting = (size_t)(p->in_len - p->in_at);
    const size_t n = waiting < cap ? waiting : cap;

    if (p->plain || n == 0) {
        return 0;
    }
    memcpy(out, p->in + p->in_at, n);
    p->in_at = (uint8_t)(p->in_at + n);
    if (p->in_at == p->in_len) {
        p->in_at = p->in_len = 0;
    }
    return n;
}

bool psti_i3c_pipe_has_room(const struct pst_i3c_pipe *p)
{
    return p->in_len == 0;
}

bool psti_i3c_pipe_has_data(const struct pst_i3c_pipe *p)
{
    if (p->plain) {
        return p->tail > p->head;
    }
    return p->tail - p->head > p->sent && p->sent < WINDOW_BYTES;
}

struct pst_bytes psti_i3c_pipe_peek(const struct pst_i3c_pipe *p)
{
    if (p->tail == p->head) {
        return (struct pst_bytes){NULL, 0};
    }
    return (struct pst_bytes){p->send + p->head + 1, p->send[p->head]};
}

void psti_i3c_pipe_drop(struct pst_i3c_pipe *p)
{
    if (p->tail > p->head) {
        p->head += (size_t)1 + p->send[p->head];
    }
}

pst_err psti_i3c_pipe_take_plain(struct pst_i3c_pipe *p, const uint8_t *in, size_t len)
{
    if (!psti_i3c_pipe_has_room(p)) {
        return PST_ERR_BUSY;
    }
    if (len == 0 || len > PST_I3C_MAX) {
        return PST_ERR_DECODE;
    }
    memcpy(p->in, in, len);
    p->in_len = (uint8_t)len;
    return PST_OK;
}

size_t psti_i3c_pipe_put(struct pst_i3c_pipe *p, uint8_t flags, uint8_t out[PST_I3C_MAX])
{
    struct pst_writer w = pst_writer_of(out, PST_I3C_MAX);
    const size_t waiting = p->tail - p->head - p->sent;
    const size_t window = (size_t)(WINDOW_BYTES - p->sent);
    size_t n = waiting < window ? waiting : window;

    if (n > BYTES_MAX) {
        n = BYTES_MAX;
    }
    pst_put_u8(
        &w, (uint8_t)(flags | (n < waiting ? PST_I3C_MORE : 0) | (p->sent > 0 ? PST_I3C_WAIT : 0)));
    pst_put_u8(&w, p->id);
    pst_put_u16(&w, (uint16_t)(p->first + p->sent));
    pst_put_u16(&w, p->next);
    if (n > 0) {
        pst_put_bytes(&w, p->send + p->head + p->sent, n);
    }
    pst_put_u16(&w, check_of(out, w.used));
    p->sent = (uint16_t)(p->sent + n);
    if (p->high < p->sent) {
        p->high = p->sent;
    }
    return w.used;
}

pst_err psti_i3c_fragment_get(const uint8_t *in, size_t len, struct pst_i3c_fragment *f)
{
    if (len < OVERHEAD || len > PST_I3C_MAX) {
        return PST_ERR_DECODE;
    }
    struct pst_reader r = pst_reader_of(in, len);
    struct pst_i3c_fragment got;
    got.flags = pst_get_u8(&r);
    got.stream = pst_get_u8(&r);
    got.sequence = pst_get_u16(&r);
    got.ack = pst_get_u16(&r);
    got.bytes = pst_get_block(&r, len - OVERHEAD);
    pst_require(&r, pst_get_u16(&r) == check_of(in, len - PST_I3C_FRAGMENT_TAIL));
    pst_require(&r, (got.flags & ~FLAGS) == 0);
    PST_TRY(pst_finish(&r));
    *f = got;
    return PST_OK;
}

/* Takes an acknowledgement. False: it covers bytes that were never sent. */
static bool take_ack(struct pst_i3c_pipe *p, uint16_t ack)
{
    const uint16_t n = (uint16_t)(ack - p->first);

    if (n > p->high) {
        return false;
    }
    p->head += n;
    p->first = ack;
    p->high = (uint16_t)(p->high - n);
    p->sent = 0; /* a bus does one transfer at a time, so what is not acknowledged did not arrive */
    return true;
}

pst_err psti_i3c_pipe_take(struct pst_i3c_pipe *p, const struct pst_i3c_fragment *f)
{
    const uint16_t known = (uint16_t)(p->next - f->sequence);

    if (!take_ack(p, f->ack)) {
        return PST_ERR_DECODE;
    }
    if (f->bytes.len == 0) {
        return known == 0 ? PST_OK : PST_WANT_MORE;
    }
    if (known >= f->bytes.len) {
        return PST_WANT_MORE;
    }
    if (!psti_i3c_pipe_has_room(p)) {
        return PST_ERR_BUSY;
    }
    const size_t n = f->bytes.len - known;
    memcpy(p->in, f->bytes.at + known, n);
    p->in_at = 0;
    p->in_len = (uint8_t)n;
    p->next = (uint16_t)(p->next + n);
    return PST_OK;
}
