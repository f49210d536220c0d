#include "cert/der.h"

#include <string.h>

/* spec: ITU-T X.690, 10.1: the shortest form. Nothing that Postern reads needs more than two bytes
 * of length. */
static size_t get_length(struct pst_reader *r)
{
    size_t len = pst_get_u8(r);

    if (len < 0x80) {
        return len;
    }
    if (len == 0x81) {
        len = pst_get_u8(r);
        pst_require(r, len >= 0x80);
        return len;
    }
    pst_require(r, len == 0x82);
    len = pst_get_be16(r);
    pst_require(r, len >= 0x100);
    return len;
}

uint8_t psti_der_peek(const struct pst_reader *r)
{
    return r->failed || r->left == 0 ? 0 : r->at[0];
}

/* An element of whichever tag. */
static struct pst_bytes get_element(struct pst_reader *r, uint8_t *tag)
{
    *tag = pst_get_u8(r);
    pst_require(r, *tag != 0 && (*tag & 0x1F) != 0x1F);
    return pst_get_block(r, get_length(r));
}

struct pst_bytes psti_der_get(struct pst_reader *r, uint8_t tag)
{
    uint8_t found;

    pst_require(r, psti_der_peek(r) == tag);
    return get_element(r, &found);
}

struct pst_bytes psti_der_whole(struct pst_reader *r, uint8_t tag)
{
    const uint8_t *start = r->at;
    size_t before = r->left;

    (void)psti_der_get(r, tag);
    return r->failed ? (struct pst_bytes){0} : (struct pst_bytes){start, before - r->left};
}

struct pst_reader psti_der_enter(struct pst_reader *r, uint8_t tag)
{
    struct pst_bytes inner = psti_der_get(r, tag);
    struct pst_reader reader = pst_reader_of(inner.at, inner.len);

    reader.failed = r->failed;
    return reader;
}

void psti_der_leave(struct pst_reader *r, const struct pst_reader *inner)
{
    pst_require(r, pst_finish(inner) == PST_OK);
}

static bool is_shortest_integer(struct pst_bytes b)
{
    return b.len == 1 || (b.len > 1 && !(b.at[0] == 0 && b.at[1] < 0x80) &&
                          !(b.at[0] == 0xFF && b.at[1] >= 0x80));
}

/* Every part of an OID ends with a byte below 0x80 and does not begin with a padding 0x80. */
static bool is_sound_oid(struct pst_bytes b)
{
    bool fresh = true;

    for (size_t i = 0; i < b.len; i++) {
        if (fresh && b.at[i] == 0x80) {
            return false;
        }
        fresh = b.at[i] < 0x80;
    }
    return b.len > 0 && fresh;
}

/* The bits that are unused are zero. */
static bool is_sound_bits(struct pst_bytes b)
{
    return b.len > 0 && b.at[0] < 8 &&
           (b.len == 1 ? b.at[0] == 0 : (b.at[b.len - 1] & ((1u << b.at[0]) - 1)) == 0);
}

static bool is_sound(uint8_t tag, struct pst_bytes b)
{
    switch (tag) {
    case DER_BOOLEAN:
        return b.len == 1 && (b.at[0] == 0 || b.at[0] == 0xFF);
    case DER_INTEGER:
    case DER_ENUMERATED:
        return is_shortest_integer(b);
    case DER_BITS:
        return is_sound_bits(b);
    case DER_NULL:
        return b.len == 0;
    case DER_OID:
        return is_sound_oid(b);
    case DER_BMP:
        return b.len % 2 == 0;
    case DER_UNIVERSAL:
        return b.len % 4 == 0;
    default: /* strings are not constructed; sequences and sets always are */
        return tag >= 0x40 || tag < 0x20 ? tag != 0x10 && tag != 0x11
                                         : tag == DER_SEQUENCE || tag == DER_SET;
    }
}

struct pst_bytes psti_der_any(struct pst_reader *r, uint8_t *tag)
{
    struct pst_bytes contents = get_element(r, tag);

    pst_require(r, is_sound(*tag, contents));
    return contents;
}

struct pst_bytes psti_der_integer(struct pst_reader *r)
{
    struct pst_bytes b = psti_der_get(r, DER_INTEGER);

    pst_require(r, is_shortest_integer(b));
    return b;
}

bool psti_der_flag(struct pst_reader *r)
{
    if (psti_der_peek(r) != DER_BOOLEAN) {
        return false;
    }
    struct pst_bytes b = psti_der_get(r, DER_BOOLEAN);
    pst_require(r, b.len == 1 && b.at[0] == 0xFF);
    return !r->failed;
}

struct pst_bytes psti_der_bytes(struct pst_reader *r)
{
    struct pst_bytes b = psti_der_get(r, DER_BITS);

    pst_require(r, b.len > 0 && b.at[0] == 0);
    return r->failed ? (struct pst_bytes){0} : (struct pst_bytes){b.at + 1, b.len - 1};
}

struct pst_bytes psti_der_oid(struct pst_reader *r)
{
    struct pst_bytes b = psti_der_get(r, DER_OID);

    pst_require(r, is_sound_oid(b));
    return b;
}

bool psti_der_same(struct pst_bytes a, struct pst_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}
