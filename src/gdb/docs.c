/* qXfer: target description, memory map and list of threads, in portions of any size.
 *
 * No document is held in memory: it is generated again for each request, and all but the portion
 * that was asked for is dropped. */
#include "gdb/gdb.h"

#include <string.h>

struct portion {
    uint64_t skip;
    uint64_t left;            /* unescaped bytes that gdb still wants */
    size_t room;              /* escaped bytes that still fit */
    struct pst_rsp_writer *p; /* NULL: only determines `more` */
    bool more;
};

static void put(struct portion *d, const void *at, size_t len)
{
    const uint8_t *bytes = at;
    size_t from = d->skip < len ? (size_t)d->skip : len;
    size_t to = from;
    d->skip -= from;
    while (to < len && d->left > 0 && !d->more) {
        size_t cost = pst_rsp_binary_len(bytes + to, 1);
        if (cost > d->room) {
            break;
        }
        d->room -= cost;
        d->left--;
        to++;
    }
    d->more = d->more || to < len;
    if (d->p != NULL) {
        pst_rsp_put_binary(d->p, bytes + from, to - from);
    }
}

static void put_text(struct portion *d, const char *text)
{
    put(d, text, strlen(text));
}

static void put_hex(struct portion *d, uint64_t v)
{
    char digits[PST_DIGITS];
    put(d, digits, pst_digits(v, 16, digits));
}

static void put_decimal(struct portion *d, uint64_t v)
{
    char digits[PST_DIGITS];
    put(d, digits, pst_digits(v, 10, digits));
}

/* --- target description --- */

/* Next file of the archive; false at its end or where it is malformed. */
static bool next_file(struct pst_reader *r, struct pst_bytes *name, struct pst_bytes *text)
{
    if (r->left == 0) {
        return false;
    }
    uint8_t name_len = pst_get_u8(r);
    *name = pst_get_block(r, name_len);
    uint32_t text_len = pst_get_u32(r);
    *text = pst_get_block(r, text_len);
    return pst_reader_ok(r);
}

bool psti_gdb_annex_ok(const struct pst_gdb_server *g)
{
    struct pst_reader r = pst_reader_of(g->archive, g->archive_len);
    struct pst_bytes name, text;
    while (next_file(&r, &name, &text)) {
    }
    return pst_finish(&r) == PST_OK;
}

struct pst_bytes psti_gdb_annex(const struct pst_gdb_server *g, struct pst_bytes wanted)
{
    struct pst_reader r = pst_reader_of(g->archive, g->archive_len);
    struct pst_bytes name, text;
    while (next_file(&r, &name, &text)) {
        if (name.len == wanted.len && name.len > 0 && memcmp(name.at, wanted.at, name.len) == 0) {
            return text.at != NULL ? text : (struct pst_bytes){g->archive, 0};
        }
    }
    return (struct pst_bytes){NULL, 0};
}

/* Offset behind `word`, or 0 if it is not there. */
static size_t behind(struct pst_bytes text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= text.len; i++) {
        if (memcmp(text.at + i, word, n) == 0) {
            return i + n;
        }
    }
    return 0;
}

static bool put_features(struct pst_gdb_server *g, struct portion *d, struct pst_bytes annex)
{
    struct pst_bytes text = psti_gdb_annex(g, annex);
    if (text.at == NULL) {
        return false;
    }
    size_t at = 0;
    bool first = annex.len == 10 && memcmp(annex.at, "target.xml", 10) == 0;
    if (first && g->config.bare_metal && behind(text, "<osabi>") == 0) {
        at = behind(text, "</architecture>"); /* the DTD demands this place */
    }
    put(d, text.at, at);
    if (at != 0) {
        put_text(d, "<osabi>none</osabi>");
    }
    put(d, text.at + at, text.len - at);
    return true;
}

/* --- memory map --- */

static void put_region(struct portion *d, const char *type, uint64_t first, uint64_t len)
{
    put_text(d, "<memory type=\"");
    put_text(d, type);
    put_text(d, "\" start=\"0x");
    put_hex(d, first);
    put_text(d, "\" length=\"0x");
    put_hex(d, len);
    put_text(d, "\"/>\n");
}

/* gdb accesses nothing that its map does not list. So device memory is listed too, as RAM: the
 * grants decide, not gdb. */
static void put_map(struct pst_gdb_server *g, struct portion *d)
{
    uint64_t next = 0;
    bool full = false;
    put_text(d, "<?xml version=\"1.0\"?>\n<!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB "
                "Memory Map V1.0//EN\" \"http://sourceware.org/gdb/gdb-memory-map.dtd\">\n"
                "<memory-map>\n");
    for (size_t i = 0; i < g->cache.map_len && !full; i++) {
        const struct pst_region *r = &g->cache.map[i];
        if (r->first > next) {
            put_region(d, "ram", next, r->first - next);
        }
        /* Flash is listed as ROM: it cannot be erased or programmed here. */
        put_region(d, r->kind == PST_REGION_RAM ? "ram" : "rom", r->first, r->last - r->first + 1);
        next = r->last + 1;
        full = next == 0;
    }
    if (!full) {
        put_region(d, "ram", next, 0 - next); /* up to the end of 64 bits */
    }
    put_text(d, "</memory-map>\n");
}

/* --- threads --- */

static void put_threads(struct pst_gdb_server *g, struct portion *d)
{
    put_text(d, "<?xml version=\"1.0\"?>\n<threads>\n");
    for (size_t i = 0; i < g->hart_count; i++) {
        put_text(d, "<thread id=\"");
        put_hex(d, g->harts[i]); /* as in packets: gdb 13 crashes on "0x" here */
        put_text(d, "\" core=\"");
        put_decimal(d, i);
        put_text(d, "\" name=\"hart ");
        put_decimal(d, g->harts[i]);
        put_text(d, "\">");
        put_text(d, g->state == PST_GDB_HALTED ? "halted" : "running");
        put_text(d, "</thread>\n");
    }
    put_text(d, "</threads>\n");
}

/* --- the packet --- */

enum document { FEATURES, MEMORY_MAP, THREADS, UNKNOWN };

static enum document get_object(struct pst_reader *r)
{
    if (pst_rsp_take(r, "features:read:")) {
        return FEATURES;
    }
    if (pst_rsp_take(r, "memory-map:read:")) {
        return MEMORY_MAP;
    }
    if (pst_rsp_take(r, "threads:read:")) {
        return THREADS;
    }
    return UNKNOWN;
}

static bool generate(struct pst_gdb_server *g, enum document what, struct pst_bytes annex,
                     struct portion *d)
{
    switch (what) {
    case FEATURES:
        return put_features(g, d, annex);
    case MEMORY_MAP:
        put_map(g, d);
        return annex.len == 0 && g->cache.map_len > 0;
    case THREADS:
        put_threads(g, d);
        return annex.len == 0;
    case UNKNOWN:
        break;
    }
    return false;
}

void psti_gdb_on_xfer(struct pst_gdb_server *g, struct pst_reader *r)
{
    enum document what = get_object(r);
    if (what == UNKNOWN) {
        psti_gdb_reply_text(g, "");
        return;
    }
    struct pst_bytes annex = pst_rsp_get_until(r, ':');
    uint64_t offset = pst_rsp_get_number(r);
    pst_require(r, pst_rsp_take_char(r, ','));
    uint64_t len = pst_rsp_get_number(r);
    struct portion dry = {.skip = offset, .left = len, .room = g->config.packet_size - 8};
    if (pst_finish(r) != PST_OK || !generate(g, what, annex, &dry)) {
        g->counters.errors++;
        psti_gdb_reply_text(g, "E00");
        return;
    }
    struct psti_gdb_reply reply;
    struct portion wet = {.skip = offset, .left = len, .room = g->config.packet_size - 8};
    psti_gdb_reply_begin(g, &reply);
    wet.p = &reply.p;
    pst_rsp_put_char(&reply.p, dry.more ? 'm' : 'l');
    (void)generate(g, what, annex, &wet);
    psti_gdb_reply_end(g, &reply);
}
