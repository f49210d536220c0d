/* The device's measurement blocks, as far as its recorded answers tell them. */
#include <string.h>

#include "fakes.h"

/* Whether a value is a digest unless its raw form is asked for; the others are always raw. */
static bool digestible(uint8_t type)
{
    return type <= 3 || type == 8;
}

/* The same index again: a raw value tells more than a digest. */
static void keep(struct fakes *f, const struct pst_measurement *block)
{
    size_t at = 0;

    while (at < f->block_count && f->blocks[at].index < block->index) {
        at++;
    }
    if (at < f->block_count && f->blocks[at].index == block->index) {
        if (block->raw) {
            f->blocks[at] = *block;
        }
        return;
    }
    if (f->block_count == FAKES_BLOCKS) {
        return;
    }
    memmove(&f->blocks[at + 1], &f->blocks[at], (f->block_count - at) * sizeof f->blocks[0]);
    f->blocks[at] = *block;
    f->block_count++;
}

static void keep_record(struct fakes *f, struct pst_bytes record)
{
    struct pst_reader r = pst_reader_of(record.at, record.len);

    while (r.left > 0 && pst_reader_ok(&r)) {
        struct pst_measurement block = {.index = pst_get_u8(&r)};

        pst_skip(&r, 3);
        uint8_t type = pst_get_u8(&r);
        block.type = type & 0x7F;
        block.raw = (type & 0x80) != 0;
        block.value = pst_get_block(&r, pst_get_u16(&r));
        if (pst_reader_ok(&r)) {
            keep(f, &block);
        }
    }
}

static void put_block(struct fakes *f, const struct pst_measurement *m, struct blob *out)
{
    uint8_t digest[PST_MAX_HASH];
    uint8_t head[7] = {m->index, 1, 0, 0, m->type, 0, 0};
    struct pst_bytes value = m->value;

    if (m->raw && digestible(m->type) && f->c->measurement_hash != PST_HASH_NONE) {
        size_t len = pst_hash_row(f->c->measurement_hash)->size;

        if (pst_hash_once(f->real, f->c->measurement_hash, value.at, value.len, digest) != PST_OK) {
            return;
        }
        value = (struct pst_bytes){digest, len};
    } else if (m->raw) {
        head[4] |= 0x80;
    }
    pst_poke_u16(head + 2, (uint16_t)(value.len + 3));
    pst_poke_u16(head + 5, (uint16_t)value.len);
    blob_add(out, head, sizeof head);
    blob_put(out, value);
}

/* The summary over the blocks whose bit is set. */
static void summarise(struct fakes *f, uint32_t set, uint8_t *summary)
{
    struct blob all = {NULL, 0, 0};

    for (size_t i = 0; i < f->block_count; i++) {
        if ((set >> i & 1) != 0) {
            put_block(f, &f->blocks[i], &all);
        }
    }
    (void)!pst_hash_once(f->real, f->c->hash, all.at, all.len, summary);
    blob_free(&all);
}

/* Which blocks are of the TCB is not recorded, only what their summary is. */
static bool find_tcb(struct fakes *f, struct pst_bytes summary)
{
    for (uint32_t set = 1; set < UINT32_C(1) << f->block_count && f->block_count <= 12; set++) {
        summarise(f, set, f->summary_made);
        if (memcmp(f->summary_made, summary.at, summary.len) != 0) {
            continue;
        }
        for (size_t i = 0; i < f->block_count; i++) {
            f->blocks[i].tcb = (set >> i & 1) != 0;
        }
        return true;
    }
    return false;
}

/* The summary in a response, and its type. */
static struct pst_bytes summary_of(const struct fakes *f, const struct message *req,
                                   const struct message *rsp, uint8_t *type)
{
    size_t hash = pst_hash_row(f->c->hash)->size;
    size_t at = 0;

    *type = 0;
    if (req->spdm.len < 8 || rsp->spdm.len < 40) {
        return (struct pst_bytes){NULL, 0};
    }
    if (req->spdm.at[1] == 0x83) {
        *type = req->spdm.at[3];
        at = 4 + hash + 32;
    } else if (req->spdm.at[1] == 0xE4) {
        *type = req->spdm.at[2];
        at = 40 + pst_dh_row(f->c->dh)->size;
    }
    if (*type == 0 || rsp->spdm.len < at + hash) {
        return (struct pst_bytes){NULL, 0};
    }
    return (struct pst_bytes){rsp->spdm.at + at, hash};
}

static void settle_summary(struct fakes *f, struct pst_bytes summary, uint8_t type)
{
    uint32_t all = (uint32_t)((UINT64_C(1) << f->block_count) - 1);

    if (type == 1 && find_tcb(f, summary)) {
        return;
    }
    for (size_t i = 0; type == 1 && i < f->block_count; i++) {
        f->blocks[i].tcb = true;
    }
    summarise(f, all, f->summary_made);
    memcpy(f->summary_recorded, summary.at, summary.len);
    f->substitute = memcmp(f->summary_made, summary.at, summary.len) != 0;
}

void measured_gather(struct fakes *f)
{
    static const uint8_t unknown[] = "unknown";
    struct recording *c = f->c;

    keep_record(f, c->all_record);
    for (size_t i = 0; i < c->message_count; i++) {
        struct pst_bytes m = c->messages[i].spdm;
        size_t len = m.len < 8 ? 0 : (size_t)pst_peek_u16(m.at + 5) + ((size_t)m.at[7] << 16);

        if (m.len >= 8 + len && m.at[1] == 0x60) {
            keep_record(f, (struct pst_bytes){m.at + 8, len});
        }
    }
    if (f->block_count == 0) {
        keep(f, &(struct pst_measurement){
                    .index = 1, .raw = true, .value = {unknown, 7}
        });
    }
    for (size_t i = 0; i + 1 < c->message_count; i++) {
        uint8_t type;
        struct pst_bytes summary = summary_of(f, &c->messages[i], &c->messages[i + 1], &type);

        if (type != 0 && summary.len > 0) {
            settle_summary(f, summary, type);
        }
    }
}
