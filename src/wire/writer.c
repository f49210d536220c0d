#include <string.h>

#include "postern/parts/wire.h"

struct pst_writer pst_writer_of(void *at, size_t cap)
{
    return (struct pst_writer){.start = at, .cap = cap};
}

uint8_t *pst_put_room(struct pst_writer *w, size_t len)
{
    if (w->failed || len > w->cap - w->used) {
        w->failed = true;
        return NULL;
    }
    uint8_t *at = w->used == 0 ? w->start : w->start + w->used;

    w->used += len;
    return at;
}

static void put_little(struct pst_writer *w, uint64_t v, size_t len)
{
    uint8_t *at = pst_put_room(w, len);

    for (size_t i = 0; at != NULL && i < len; i++) {
        at[i] = (uint8_t)(v >> (8 * i));
    }
}

static void put_big(struct pst_writer *w, uint32_t v, size_t len)
{
    uint8_t *at = pst_put_room(w, len);

    for (size_t i = 0; at != NULL && i < len; i++) {
        at[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
    }
}

void pst_put_u8(struct pst_writer *w, uint8_t v)
{
    put_little(w, v, 1);
}

void pst_put_u16(struct pst_writer *w, uint16_t v)
{
    put_little(w, v, 2);
}

void pst_put_u24(struct pst_writer *w, uint32_t v)
{
    if (v > 0xFFFFFF) {
        w->failed = true;
    }
    put_little(w, v, 3);
}

void pst_put_u32(struct pst_writer *w, uint32_t v)
{
    put_little(w, v, 4);
}

void pst_put_u64(struct pst_writer *w, uint64_t v)
{
    put_little(w, v, 8);
}

void pst_put_be16(struct pst_writer *w, uint16_t v)
{
    put_big(w, v, 2);
}

void pst_put_be32(struct pst_writer *w, uint32_t v)
{
    put_big(w, v, 4);
}

void pst_put_bytes(struct pst_writer *w, const void *at, size_t len)
{
    uint8_t *room = pst_put_room(w, len);

    if (room != NULL && len > 0) {
        memcpy(room, at, len);
    }
}

void pst_put_zeros(struct pst_writer *w, size_t len)
{
    uint8_t *room = pst_put_room(w, len);

    if (room != NULL && len > 0) {
        memset(room, 0, len);
    }
}

pst_err pst_written(const struct pst_writer *w, size_t *len)
{
    if (w->failed) {
        return PST_ERR_SPACE;
    }
    *len = w->used;
    return PST_OK;
}
