/* The datagrams of the reliable link, and the answers to strangers. */
#include <string.h>

#include "link/reliable/reliable.h"
#include "link/reliable/siphash.h"
#include "postern/links/checksum.h"

#define COOKIE_PERIOD_MS 16384 /* a cookie is valid for one to two periods */
#define ADDRESS_MAX 64
#define MASK_BITS 0x0F
#define MASK_MAX 8

static const uint8_t magic[4] = {'M', 'D', 'B', 'G'};

static uint32_t crc_of(pst_crc_fn *crc, const uint8_t *at, size_t len)
{
    return crc != NULL ? crc(0, at, len) : pst_crc32c(0, at, len);
}

pst_err psti_datagram_open(pst_crc_fn *crc, const uint8_t *datagram, size_t len, uint8_t *type,
                           struct pst_reader *r)
{
    if (len < 1 + DATAGRAM_CRC) {
        return PST_ERR_DECODE;
    }
    len -= DATAGRAM_CRC;
    if (crc_of(crc, datagram, len) != pst_peek_u32(datagram + len)) {
        return PST_ERR_DECODE;
    }
    *r = pst_reader_of(datagram, len);
    *type = pst_get_u8(r);
    return PST_OK;
}

size_t psti_datagram_seal(pst_crc_fn *crc, struct pst_writer *w)
{
    size_t len = 0;

    pst_put_u32(w, crc_of(crc, w->start, w->used));
    return pst_written(w, &len) == PST_OK ? len : 0;
}

pst_err psti_greeting_get(struct pst_reader *r, bool welcome, struct greeting *g)
{
    uint8_t name[sizeof magic];

    memset(g, 0, sizeof *g);
    g->id = pst_get_u32(r);
    if (welcome) {
        g->sender = pst_get_u32(r);
    } else {
        pst_get_copy(r, name, sizeof name);
        pst_require(r, memcmp(name, magic, sizeof magic) == 0);
    }
    g->hello.profile = pst_get_u8(r);
    if (pst_reader_ok(r) && g->hello.profile != PST_PROFILE_VERSION) {
        return PST_ERR_PROFILE;
    }
    const uint8_t flags = pst_get_u8(r);
    pst_require(r, (flags & ~PST_LINK_FLAG_TARGET) == 0);
    g->hello.target = (flags & PST_LINK_FLAG_TARGET) != 0;
    g->mtu = pst_get_u16(r);
    pst_require(r, g->mtu >= PST_RELIABLE_LEAST_MTU);
    g->hello.largest = pst_get_u32(r);
    pst_require(r, g->hello.largest >= PST_LINK_MIN_MESSAGE);
    g->start = pst_get_u32(r);
    g->credit = pst_get_u32(r);
    pst_require(r, g->credit <= UINT32_C(1) << 30);
    g->cookie = welcome ? 0 : pst_get_u64(r);
    return pst_finish(r);
}

size_t psti_greeting_put(uint8_t *out, size_t cap, bool welcome, const struct greeting *g)
{
    struct pst_writer w = pst_writer_of(out, cap);

    pst_put_u8(&w, welcome ? PST_DATAGRAM_WELCOME : PST_DATAGRAM_HELLO);
    pst_put_u32(&w, g->id);
    if (welcome) {
        pst_put_u32(&w, g->sender);
    } else {
        pst_put_bytes(&w, magic, sizeof magic);
    }
    pst_put_u8(&w, g->hello.profile);
    pst_put_u8(&w, g->hello.target ? PST_LINK_FLAG_TARGET : 0);
    pst_put_u16(&w, g->mtu);
    pst_put_u32(&w, g->hello.largest);
    pst_put_u32(&w, g->start);
    pst_put_u32(&w, g->credit);
    if (!welcome) {
        pst_put_u64(&w, g->cookie);
    }
    return psti_datagram_seal(NULL, &w);
}

size_t psti_mask_len(uint64_t missing)
{
    size_t n = 0;

    for (; missing != 0; missing >>= 8) {
        n++;
    }
    return n;
}

static void get_ack(struct pst_reader *r, struct data *d)
{
    const size_t mask_len = d->flags & MASK_BITS;

    d->ack = pst_get_u32(r);
    d->credit = pst_get_u32(r);
    pst_require(r, mask_len <= MASK_MAX);
    const struct pst_bytes mask = pst_get_block(r, mask_len);
    for (size_t i = mask.len; i > 0; i--) {
        d->missing = d->missing << 8 | mask.at[i - 1];
    }
}

pst_err psti_data_get(struct pst_reader *r, struct data *d)
{
    memset(d, 0, sizeof *d);
    d->id = pst_get_u32(r);
    d->flags = pst_get_u8(r);
    const bool bytes = (d->flags & PST_DATAGRAM_BYTES) != 0;
    const bool pad = (d->flags & PST_DATAGRAM_PAD) != 0;
    const bool ask = (d->flags & PST_DATAGRAM_ASK) != 0;
    const bool ack = (d->flags & PST_DATAGRAM_ACK) != 0;

    pst_require(r, (ask || ack) && (ask || !bytes) && !(bytes && pad));
    pst_require(r, ack || (d->flags & MASK_BITS) == 0);
    if (ask) {
        d->number = pst_get_u32(r);
    }
    if (ack) {
        get_ack(r, d);
    }
    if (bytes) {
        d->offset = pst_get_u32(r);
        pst_require(r, r->left > 0);
        d->bytes = pst_get_block(r, r->left);
    } else if (pad) {
        pst_skip(r, r->left);
    }
    return pst_finish(r);
}

void psti_data_put(struct pst_writer *w, const struct data *d)
{
    const bool ack = (d->flags & PST_DATAGRAM_ACK) != 0;
    const size_t mask_len = ack ? psti_mask_len(d->missing) : 0;

    pst_put_u8(w, PST_DATAGRAM_DATA);
    pst_put_u32(w, d->id);
    pst_put_u8(w, (uint8_t)(d->flags | mask_len));
    if ((d->flags & PST_DATAGRAM_ASK) != 0) {
        pst_put_u32(w, d->number);
    }
    if (ack) {
        pst_put_u32(w, d->ack);
        pst_put_u32(w, d->credit);
        for (size_t i = 0; i < mask_len; i++) {
            pst_put_u8(w, (uint8_t)(d->missing >> 8 * i));
        }
    }
    if ((d->flags & PST_DATAGRAM_BYTES) != 0) {
        pst_put_u32(w, d->offset);
    }
}

/* The cookie binds the client's address and random numbers to our key and the time. */
static uint64_t cookie_of(const struct pst_reliable_door *door, struct pst_bytes from,
                          const struct greeting *g, uint64_t period)
{
    uint8_t text[ADDRESS_MAX + 16];
    struct pst_writer w = pst_writer_of(text, sizeof text);

    pst_put_u64(&w, period);
    pst_put_u32(&w, g->id);
    pst_put_u32(&w, g->start);
    pst_put_bytes(&w, from.at, from.len);
    const uint64_t cookie = psti_siphash(door->key, text, w.used);
    return cookie != 0 ? cookie : 1; /* 0 means "no cookie yet" */
}

static pst_err answer_hello(const struct pst_reliable_door *door, struct pst_bytes from,
                            struct pst_reader *r, uint64_t now_ms, struct pst_writer *reply)
{
    const uint64_t period = now_ms / COOKIE_PERIOD_MS;
    struct greeting g;
    const pst_err err = psti_greeting_get(r, false, &g);

    if (err == PST_ERR_PROFILE) {
        pst_put_u8(reply, PST_DATAGRAM_CLOSE);
        pst_put_u32(reply, g.id);
        pst_put_u8(reply, (uint8_t)-PST_ERR_PROFILE);
        return PST_WANT_MORE;
    }
    PST_TRY(err);
    const uint64_t good = cookie_of(door, from, &g, period);
    if (g.cookie == good || (period > 0 && g.cookie == cookie_of(door, from, &g, period - 1))) {
        return PST_OK;
    }
    pst_put_u8(reply, PST_DATAGRAM_COOKIE);
    pst_put_u32(reply, g.id);
    pst_put_u64(reply, good);
    return PST_WANT_MORE;
}

pst_err pst_reliable_greet(const struct pst_reliable_door *door, struct pst_bytes from,
                           const uint8_t *datagram, size_t len, uint64_t now_ms,
                           uint8_t reply[PST_RELIABLE_REPLY], size_t *reply_len)
{
    struct pst_writer w = pst_writer_of(reply, PST_RELIABLE_REPLY);
    struct pst_reader r;
    uint8_t type = 0;
    pst_err err = PST_WANT_MORE;

    if (from.len > ADDRESS_MAX) {
        return PST_ERR_ARGUMENT;
    }
    PST_TRY(psti_datagram_open(NULL, datagram, len, &type, &r));
    if (type == PST_DATAGRAM_HELLO) {
        err = answer_hello(door, from, &r, now_ms, &w);
    } else if (type == PST_DATAGRAM_DATA && r.left > 4) {
        pst_put_u8(&w, PST_DATAGRAM_RESET);
        pst_put_u32(&w, pst_get_u32(&r));
    } else {
        return PST_ERR_UNEXPECTED;
    }
    if (err != PST_WANT_MORE) {
        return err;
    }
    const size_t n = psti_datagram_seal(NULL, &w);
    if (n > len) {
        return PST_ERR_DECODE;
    }
    *reply_len = n;
    return PST_WANT_MORE;
}
