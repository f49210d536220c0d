/* TinySPP and FullSPP packets. */
#include <string.h>

#include "packet.h"

#define TINY_HEAD 4
#define PATTERN_LEN 8 /* follows the header of a few TinySPP packets, uncounted */
#define CONFIG_WORD 4

static const uint8_t command_pattern[PATTERN_LEN] = {0x11, 0xEE, 0x77, 0x88,
                                                     0xA5, 0xC3, 0xC3, 0xA5};
static const uint8_t response_pattern[PATTERN_LEN] = {0x11, 0xEE, 0x77, 0x44,
                                                      0xA5, 0xC3, 0xC3, 0xA5};

enum { SPACE = 0x07, PROCEED = 0x08, IMMEDIATE = 0x10, LAST = 0x20, MORE = 0x10 };

bool psti_spp_is_system(unsigned opcode)
{
    return opcode >= PST_SPP_READ && opcode <= PST_SPP_LOOP;
}

bool psti_spp_sends_data(unsigned opcode)
{
    return opcode == PST_SPP_WRITE_CONFIG || opcode == PST_SPP_WRITE ||
           opcode == PST_SPP_WRITE_READ || opcode == PST_SPP_LOOP;
}

bool psti_spp_returns_data(unsigned opcode)
{
    return opcode == PST_SPP_READ_CONFIG || opcode == PST_SPP_READ ||
           opcode == PST_SPP_WRITE_READ || opcode == PST_SPP_LOOP || opcode == PST_SPP_EVENT;
}

static bool has_pattern(pst_spp_style style, unsigned opcode)
{
    return style == PST_SPP_TINY && opcode >= PST_SPP_NOP && opcode <= PST_SPP_UNBLOCK;
}

/* TinySPP: bytes of the address after the header. */
static size_t tiny_word(unsigned opcode, unsigned space)
{
    if (opcode == PST_SPP_READ_CONFIG || opcode == PST_SPP_WRITE_CONFIG) {
        return CONFIG_WORD;
    }
    if (!psti_spp_is_system(opcode)) {
        return 0;
    }
    return space == PST_AS_JTAG ? CONFIG_WORD : PST_SPP_TINY_ADDRESS;
}

size_t psti_spp_command_head(pst_spp_style style, unsigned opcode, unsigned space)
{
    if (style == PST_SPP_FULL) {
        return PST_SPP_FULL_HEADER;
    }
    return TINY_HEAD + tiny_word(opcode, space) + (has_pattern(style, opcode) ? PATTERN_LEN : 0);
}

size_t psti_spp_response_head(pst_spp_style style, unsigned opcode)
{
    if (style == PST_SPP_FULL) {
        return PST_SPP_FULL_HEADER;
    }
    return TINY_HEAD + (has_pattern(style, opcode) ? PATTERN_LEN : 0);
}

/* --- queued commands --- */

enum { KEPT_FULL = 0x01, KEPT_ALLOWED = 0x02 };
#define KEPT_MARKS 2
#define KEPT_RIGHTS 4

void psti_spp_keep(uint8_t *at, uint8_t rights, bool allowed)
{
    const bool full = (at[0] & 0x0F) == PST_SPP_FULL;

    at[0] = (uint8_t)((at[0] & 0xF0) | (full ? KEPT_FULL : 0) | (allowed ? KEPT_ALLOWED : 0));
    at[1] = (uint8_t)((at[1] & (SPACE | PROCEED)) | rights << KEPT_RIGHTS);
}

void psti_spp_mark(uint8_t *at, unsigned marks)
{
    at[0] |= (uint8_t)(marks << KEPT_MARKS);
}

static void load_head(const uint8_t *at, struct pst_spp_packet *p)
{
    if (p->style == PST_SPP_FULL) {
        p->tag = pst_peek_u16(at + 2);
        p->count = pst_peek_u32(at + 4);
        p->address = pst_peek_u64(at + 8);
        return;
    }
    p->count = at[2];
    switch (tiny_word(p->opcode, p->space)) {
    case CONFIG_WORD:
        p->address = pst_peek_u32(at + TINY_HEAD);
        break;
    case PST_SPP_TINY_ADDRESS:
        p->address = pst_peek_u64(at + TINY_HEAD);
        break;
    default:
        break;
    }
}

size_t psti_spp_load(const uint8_t *at, struct pst_spp_command *c)
{
    struct pst_spp_packet *p = &c->packet;

    *c = (struct pst_spp_command){
        .packet = {.style = (at[0] & KEPT_FULL) != 0 ? PST_SPP_FULL : PST_SPP_TINY,
                   .opcode = at[0] >> 4,
                   .space = at[1] & SPACE,
                   .proceed = (at[1] & PROCEED) != 0},
        .rights = at[1] >> KEPT_RIGHTS,
        .allowed = (at[0] & KEPT_ALLOWED) != 0,
        .marks = (at[0] >> KEPT_MARKS) & (PST_MARK_BEGUN | PST_MARK_DONE),
    };
    const size_t head = psti_spp_command_head(p->style, p->opcode, p->space);
    load_head(at, p);
    if (psti_spp_sends_data(p->opcode)) {
        p->data = (struct pst_bytes){at + head, p->count};
    }
    c->len = p->opcode == PST_SPP_LOOP ? p->data.at[0] : p->count;
    return head + p->data.len;
}

void psti_spp_poke_rest(uint8_t *at, pst_spp_style style, uint64_t address, uint32_t count)
{
    if (style == PST_SPP_FULL) {
        pst_poke_u32(at + 4, count);
        pst_poke_u64(at + 8, address);
    } else {
        at[2] = (uint8_t)count;
        pst_poke_u64(at + TINY_HEAD, address);
    }
}

static void get_first(struct pst_reader *r, struct pst_spp_packet *p)
{
    const uint8_t first = pst_get_u8(r);

    p->opcode = first >> 4;
    p->style = (first & 0x0F) == PST_SPP_FULL ? PST_SPP_FULL : PST_SPP_TINY;
    pst_require(r, (first & 0x0F) == PST_SPP_TINY || (first & 0x0F) == PST_SPP_FULL);
}

static void get_pattern(struct pst_reader *r, const struct pst_spp_packet *p,
                        const uint8_t pattern[PATTERN_LEN])
{
    uint8_t found[PATTERN_LEN];

    if (!has_pattern(p->style, p->opcode)) {
        return;
    }
    pst_get_copy(r, found, sizeof found);
    pst_require(r, memcmp(found, pattern, sizeof found) == 0);
}

/* The count that an opcode demands, where it does. */
static bool count_fits(unsigned opcode, uint32_t count)
{
    if (opcode < PST_SPP_READ_CONFIG) {
        return count == 0;
    }
    if (opcode < PST_SPP_READ) {
        return count == CONFIG_WORD;
    }
    return opcode != PST_SPP_LOOP || count == PST_SPP_LOOP_OPERAND;
}

static void get_tiny_command(struct pst_reader *r, struct pst_spp_packet *p)
{
    p->count = pst_get_u8(r);
    pst_require(r, p->count <= PST_SPP_TINY_MAX);
    pst_require(r, pst_get_u8(r) == 0); /* short addresses: not public */
    get_pattern(r, p, command_pattern);
    switch (tiny_word(p->opcode, p->space)) {
    case CONFIG_WORD:
        p->address = pst_get_u32(r);
        break;
    case PST_SPP_TINY_ADDRESS:
        p->address = pst_get_u64(r);
        break;
    default:
        break;
    }
}

pst_err pst_spp_get_command(struct pst_reader *r, struct pst_spp_packet *p)
{
    memset(p, 0, sizeof *p);
    get_first(r, p);
    const uint8_t flags = pst_get_u8(r);
    p->space = flags & SPACE;
    p->proceed = (flags & PROCEED) != 0;
    p->immediate = (flags & IMMEDIATE) != 0;
    p->last = (flags & LAST) != 0;
    p->action = flags >> 6;
    if (p->style == PST_SPP_TINY) {
        get_tiny_command(r, p);
    } else {
        p->tag = pst_get_u16(r);
        p->count = pst_get_u32(r);
        p->address = pst_get_u64(r);
    }
    pst_require(r, p->opcode <= PST_SPP_LOOP && count_fits(p->opcode, p->count));
    if (psti_spp_sends_data(p->opcode)) {
        p->data = pst_get_block(r, p->count);
    }
    return pst_reader_ok(r) ? PST_OK : PST_ERR_DECODE;
}

pst_err pst_spp_get_response(struct pst_reader *r, struct pst_spp_packet *p)
{
    memset(p, 0, sizeof *p);
    get_first(r, p);
    const uint8_t status = pst_get_u8(r);
    p->status = status & 0x0F;
    if (p->style == PST_SPP_TINY) {
        p->last = (status & MORE) == 0;
        pst_require(r, (status & 0xC0) == 0); /* events have an opcode of their own */
        p->count = pst_get_u8(r);
        pst_require(r, p->count <= PST_SPP_TINY_MAX);
        p->code = pst_get_u8(r);
        get_pattern(r, p, response_pattern);
    } else {
        p->last = (status & LAST) != 0;
        pst_require(r, (status & 0xD0) == 0);
        p->tag = pst_get_u16(r);
        p->count = pst_get_u32(r);
        p->code = pst_get_u32(r);
        pst_require(r, pst_get_u32(r) == 0);
    }
    pst_require(r, p->opcode <= PST_SPP_LOOP || p->opcode == PST_SPP_EVENT);
    if (psti_spp_returns_data(p->opcode)) {
        p->data = pst_get_block(r, p->count);
    }
    return pst_reader_ok(r) ? PST_OK : PST_ERR_DECODE;
}

static void put_first(struct pst_writer *w, const struct pst_spp_packet *p)
{
    pst_put_u8(w, (uint8_t)((unsigned)p->opcode << 4 | (unsigned)p->style));
}

static void put_tiny_count(struct pst_writer *w, uint32_t count)
{
    if (count > PST_SPP_TINY_MAX) {
        w->failed = true;
    }
    pst_put_u8(w, (uint8_t)count);
}

static void put_data(struct pst_writer *w, const struct pst_spp_packet *p)
{
    if (p->data.at != NULL) {
        pst_put_bytes(w, p->data.at, p->data.len);
    }
}

void pst_spp_put_command(struct pst_writer *w, const struct pst_spp_packet *p)
{
    put_first(w, p);
    pst_put_u8(w,
               (uint8_t)((p->space & SPACE) | (p->proceed ? PROCEED : 0) |
                         (p->immediate ? IMMEDIATE : 0) | (p->last ? LAST : 0) | p->action << 6));
    if (p->style == PST_SPP_TINY) {
        const size_t word = tiny_word(p->opcode, p->space);

        put_tiny_count(w, p->count);
        pst_put_u8(w, 0);
        if (has_pattern(p->style, p->opcode)) {
            pst_put_bytes(w, command_pattern, PATTERN_LEN);
        }
        if (word == CONFIG_WORD) {
            pst_put_u32(w, (uint32_t)p->address);
        } else if (word != 0) {
            pst_put_u64(w, p->address);
        }
    } else {
        pst_put_u16(w, p->tag);
        pst_put_u32(w, p->count);
        pst_put_u64(w, p->address);
    }
    put_data(w, p);
}

void pst_spp_put_response(struct pst_writer *w, const struct pst_spp_packet *p)
{
    put_first(w, p);
    if (p->style == PST_SPP_TINY) {
        pst_put_u8(w, (uint8_t)((p->status & 0x0F) | (p->last ? 0 : MORE)));
        put_tiny_count(w, p->count);
        pst_put_u8(w, (uint8_t)p->code);
        if (has_pattern(p->style, p->opcode)) {
            pst_put_bytes(w, response_pattern, PATTERN_LEN);
        }
    } else {
        pst_put_u8(w, (uint8_t)((p->status & 0x0F) | (p->last ? LAST : 0)));
        pst_put_u16(w, p->tag);
        pst_put_u32(w, p->count);
        pst_put_u32(w, p->code);
        pst_put_u32(w, 0);
    }
    put_data(w, p);
}
