#include <string.h>

#include "postern/parts/wire.h"

struct pst_reader pst_reader_of(const void *at, size_t len)
{
    return (struct pst_reader){.at = at, .left = len};
}

struct pst_bytes pst_get_block(struct pst_reader *r, size_t len)
{
    struct pst_bytes block = {0};

    if (r->failed || len > r->left) {
        r->failed = true;
        return block;
    }
    block.at = r->at;
    if (len == 0) {
        return block;
    }
    block.len = len;
    r->at += len;
    r->left -= len;
    return block;
}

/* `len` is at most 8. */
static uint64_t get_little(struct pst_reader *r, size_t len)
{
    struct pst_bytes b = pst_get_block(r, len);
    uint64_t v = 0;

    for (size_t i = b.len; i > 0; i--) {
        v = v << 8 | b.at[i - 1];
    }
    return v;
}

static uint32_t get_big(struct pst_reader *r, size_t len)
{
    struct pst_bytes b = pst_get_block(r, len);
    uint32_t v = 0;

    for (size_t i = 0; i < b.len; i++) {
        v = v << 8 | b.at[i];
    }
    return v;
}

uint8_t pst_get_u8(struct pst_reader *r)
{
    return (uint8_t)get_little(r, 1);
}

uint16_t pst_get_u16(struct pst_reader *r)
{
    return (uint16_t)get_little(r, 2);
}

uint32_t pst_get_u24(struct pst_reader *r)
{
    return (uint32_t)get_little(r, 3);
}

uint32_t pst_get_u32(struct pst_reader *r)
{
    return (uint32_t)get_little(r, 4);
}

uint64_t pst_get_u64(struct pst_reader *r)
{
    return get_little(r, 8);
}

uint16_t pst_get_be16(struct pst_reader *r)
{
    return (uint16_t)get_big(r, 2);
}

uint32_t pst_get_be32(struct pst_reader *r)
{
    return get_big(r, 4);
}

void pst_get_copy(struct pst_reader *r, void *out, size_t len)
{
    struct pst_bytes b = pst_get_block(r, len);

    if (b.len > 0) {
        memcpy(out, b.at, b.len);
    } else if (len > 0) {
        memset(out, 0, len);
    }
}

void pst_skip(struct pst_reader *r, size_t len)
{
    (void)pst_get_block(r, len);
}

void pst_require(struct pst_reader *r, bool ok)
{
    if (!ok) {
        r->failed = true;
    }
}

bool pst_reader_ok(const struct pst_reader *r)
{
    return !r->failed;
}

pst_err pst_finish(const struct pst_reader *r)
{
    return r->failed || r->left > 0 ? PST_ERR_DECODE : PST_OK;
}
