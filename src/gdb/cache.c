#include "postern/parts/cache.h"

#include <string.h>

#define WAYS 4

pst_err pst_cache_init(struct pst_cache *c, struct pst_cache_block *blocks, size_t count)
{
    if (blocks == NULL || count < WAYS) {
        return PST_ERR_ARGUMENT;
    }
    *c = (struct pst_cache){.blocks = blocks, .count = count, .epoch = 1};
    memset(blocks, 0, count * sizeof *blocks);
    return PST_OK;
}

/* Keeps the map sorted; false if `r` overlaps a region that is there. */
static bool insert_region(struct pst_cache *c, const struct pst_region *r)
{
    size_t at = c->map_len;
    while (at > 0 && c->map[at - 1].first > r->first) {
        at--;
    }
    if ((at > 0 && c->map[at - 1].last >= r->first) ||
        (at < c->map_len && c->map[at].first <= r->last)) {
        return false;
    }
    memmove(&c->map[at + 1], &c->map[at], (c->map_len - at) * sizeof *r);
    c->map[at] = *r;
    c->map_len++;
    return true;
}

static pst_err read_map(struct pst_cache *c, struct pst_reader *in)
{
    while (in->left > 0) {
        struct pst_region r = {0};
        r.first = pst_get_u64(in);
        r.last = pst_get_u64(in);
        r.kind = pst_get_u8(in);
        pst_skip(in, 7);
        if (!pst_reader_ok(in) || r.last < r.first) {
            return PST_ERR_DECODE;
        }
        if (r.kind < PST_REGION_RAM || r.kind > PST_REGION_FLASH) {
            continue; /* an unknown kind: treated as device memory */
        }
        if (c->map_len == PST_CACHE_REGIONS) {
            return PST_ERR_LIMIT;
        }
        if (!insert_region(c, &r)) {
            return PST_ERR_DECODE;
        }
    }
    return PST_OK;
}

pst_err pst_cache_set_map(struct pst_cache *c, const uint8_t *map, size_t len)
{
    struct pst_reader in = pst_reader_of(map, len);
    c->map_len = 0;
    memset(c->blocks, 0, c->count * sizeof *c->blocks);
    pst_err err = read_map(c, &in);
    if (err != PST_OK) {
        c->map_len = 0;
    }
    return err;
}

const struct pst_region *pst_cache_region(const struct pst_cache *c, uint64_t address, size_t len)
{
    uint64_t last = address + (len == 0 ? 0 : len - 1);
    if (last < address) {
        return NULL;
    }
    for (size_t i = 0; i < c->map_len; i++) {
        if (address >= c->map[i].first && last <= c->map[i].last) {
            return &c->map[i];
        }
    }
    return NULL;
}

/* --- blocks --- */

static bool live(const struct pst_cache *c, const struct pst_cache_block *b)
{
    return b->epoch == c->epoch || (b->constant && b->epoch != 0);
}

static struct pst_cache_block *way(const struct pst_cache *c, uint64_t base, size_t n)
{
    return &c->blocks[((size_t)(base / PST_CACHE_BLOCK) % c->count + n) % c->count];
}

static struct pst_cache_block *find(const struct pst_cache *c, uint64_t base)
{
    for (size_t n = 0; n < WAYS; n++) {
        struct pst_cache_block *b = way(c, base, n);
        if (live(c, b) && b->base == base) {
            return b;
        }
    }
    return NULL;
}

static struct pst_cache_block *find_or_make(struct pst_cache *c, uint64_t base)
{
    struct pst_cache_block *b = find(c, base);
    if (b != NULL) {
        return b;
    }
    /* The oldest is replaced. Neighbours share slots, and blocks that were read ahead are the
     * newest. */
    b = way(c, base, 0);
    for (size_t n = 0; n < WAYS && live(c, b); n++) {
        struct pst_cache_block *other = way(c, base, n);
        if (!live(c, other) || c->turn - other->turn > c->turn - b->turn) {
            b = other;
        }
    }
    b->turn = ++c->turn;
    memset(b->valid, 0, sizeof b->valid);
    b->base = base;
    b->epoch = c->epoch;
    b->constant = false;
    return b;
}

/* Bits [from, to) of the 64 that start at bit 64 × `word`. */
static uint64_t mask(size_t word, size_t from, size_t to)
{
    size_t low = word * 64;
    size_t a = from > low ? from - low : 0;
    size_t b = to > low ? to - low : 0;
    if (a >= 64 || b <= a) {
        return 0;
    }
    uint64_t high = b >= 64 ? UINT64_MAX : (UINT64_C(1) << b) - 1;
    return high & ~((UINT64_C(1) << a) - 1);
}

/* One step of a walk over blocks: the part of [address, address + len) in its first block. */
struct part {
    uint64_t base;
    size_t from, to;
};

static struct part first_part(uint64_t address, size_t len)
{
    size_t from = (size_t)(address % PST_CACHE_BLOCK);
    size_t room = PST_CACHE_BLOCK - from;
    return (struct part){
        .base = address - from, .from = from, .to = from + (len < room ? len : room)};
}

static const struct pst_cache_block *valid_part(const struct pst_cache *c, const struct part *p)
{
    const struct pst_cache_block *b = find(c, p->base);
    for (size_t i = 0; b != NULL && i < PST_CACHE_BLOCK / 64; i++) {
        uint64_t want = mask(i, p->from, p->to);
        if ((b->valid[i] & want) != want) {
            b = NULL;
        }
    }
    return b;
}

bool pst_cache_has(const struct pst_cache *c, uint64_t address, size_t len)
{
    while (len > 0) {
        struct part p = first_part(address, len);
        if (valid_part(c, &p) == NULL) {
            return false;
        }
        address += p.to - p.from;
        len -= p.to - p.from;
    }
    return true;
}

bool pst_cache_get(struct pst_cache *c, uint64_t address, uint8_t *out, size_t len)
{
    while (len > 0) {
        struct part p = first_part(address, len);
        const struct pst_cache_block *b = valid_part(c, &p);
        if (b == NULL) {
            return false;
        }
        memcpy(out, b->data + p.from, p.to - p.from);
        out += p.to - p.from;
        address += p.to - p.from;
        len -= p.to - p.from;
    }
    return true;
}

static void fill_region(struct pst_cache *c, const struct pst_region *r, uint64_t address,
                        const uint8_t *data, size_t len)
{
    while (len > 0) {
        struct part p = first_part(address, len);
        size_t n = p.to - p.from;
        struct pst_cache_block *b = find_or_make(c, p.base);
        /* A block that is only partly in ROM is not constant. */
        b->constant = r->kind == PST_REGION_ROM && r->first <= p.base &&
                      r->last - p.base >= PST_CACHE_BLOCK - 1;
        memcpy(b->data + p.from, data, n);
        for (size_t i = 0; i < PST_CACHE_BLOCK / 64; i++) {
            b->valid[i] |= mask(i, p.from, p.to);
        }
        address += n;
        data += n;
        len -= n;
    }
}

void pst_cache_fill(struct pst_cache *c, uint64_t address, const uint8_t *data, size_t len)
{
    if (len == 0 || address + (len - 1) < address) {
        return;
    }
    uint64_t last = address + (len - 1);
    for (size_t i = 0; i < c->map_len; i++) {
        const struct pst_region *r = &c->map[i];
        if (r->first > last || r->last < address) {
            continue;
        }
        uint64_t from = r->first > address ? r->first : address;
        uint64_t to = r->last < last ? r->last : last;
        fill_region(c, r, from, data + (size_t)(from - address), (size_t)(to - from) + 1);
    }
}

void pst_cache_forget(struct pst_cache *c, uint64_t address, size_t len)
{
    while (len > 0) {
        struct part p = first_part(address, len);
        struct pst_cache_block *b = find(c, p.base);
        for (size_t i = 0; b != NULL && i < PST_CACHE_BLOCK / 64; i++) {
            b->valid[i] &= ~mask(i, p.from, p.to);
        }
        address += p.to - p.from;
        len -= p.to - p.from;
    }
}

void pst_cache_resume(struct pst_cache *c)
{
    c->epoch++;
    if (c->epoch == 0) { /* old blocks would become valid again */
        memset(c->blocks, 0, c->count * sizeof *c->blocks);
        c->epoch = 1;
    }
}
