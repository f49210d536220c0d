#include "postern/parts/cache.h"

#include <string.h>

#define NO_REGISTER UINT16_MAX
#define LINE 64u        /* gdb 13 reads stack and code in lines of 64 bytes */
#define LARGEST 512u    /* longer reads are dumps, which are not repeated at each stop */
#define LIFETIME 8u     /* stops for which an unused range is kept */
#define NEAR_BELOW 256u /* addresses this close to a register are relative to it */
#define NEAR_ABOVE 2048u

/* What is read at every stop. gdb reads the whole line that holds SP, which may begin up to 63
 * bytes below it; the same holds for code. */
static const struct {
    int16_t below;
    uint16_t len;
} window_sp = {64, 512}, window_pc = {64, 192}, window_ra = {64, 128}, window_fp = {192, 256};

void pst_gather_init(struct pst_gather *g)
{
    memset(g, 0, sizeof *g);
    g->pc = g->sp = g->fp = g->ra = NO_REGISTER;
}

/* The register with the return address, for architectures that have one. */
static uint16_t link_register(const struct pst_arch *arch)
{
    if (strncmp(arch->name, "riscv", 5) == 0) {
        return arch->word;
    }
    if (strncmp(arch->name, "aarch64", 7) == 0) {
        return 30 * 8;
    }
    if (strncmp(arch->name, "arm", 3) == 0) {
        return 14 * 4;
    }
    return NO_REGISTER;
}

/* A range close to one in the list extends that one: each range costs a request at the stub. */
static bool extend(struct pst_gather *g, uint64_t first, uint32_t len)
{
    for (size_t i = 0; i < PST_GATHER_LEARNED; i++) {
        if (g->learned[i].len == 0 || g->learned[i].reg != NO_REGISTER) {
            continue;
        }
        uint64_t at = g->learned[i].add;
        uint64_t last = at + (g->learned[i].len - 1);
        uint64_t low = first < at ? first : at;
        uint64_t high = first + (len - 1) > last ? first + (len - 1) : last;
        if (high - low < LARGEST) {
            g->learned[i].add = low;
            g->learned[i].len = (uint32_t)(high - low) + 1;
            g->learned[i].seen = g->stops;
            return true;
        }
    }
    return false;
}

static void learn(struct pst_gather *g, uint16_t reg, uint64_t add, uint32_t len)
{
    size_t at = 0;
    for (size_t i = 0; i < PST_GATHER_LEARNED; i++) {
        if (g->learned[i].len != 0 && g->learned[i].reg == reg && g->learned[i].add == add) {
            at = i;
            break;
        }
        bool free_slot = g->learned[i].len == 0;
        if (g->learned[at].len != 0 && (free_slot || g->learned[i].seen < g->learned[at].seen)) {
            at = i;
        }
    }
    bool same = g->learned[at].len != 0 && g->learned[at].reg == reg && g->learned[at].add == add;
    g->learned[at].len = same && g->learned[at].len > len ? g->learned[at].len : len;
    g->learned[at].reg = reg;
    g->learned[at].add = add;
    g->learned[at].seen = g->stops;
}

void pst_gather_arch(struct pst_gather *g, const struct pst_arch *arch)
{
    pst_gather_init(g);
    if (arch == NULL) {
        return;
    }
    g->pc = arch->pc;
    g->sp = arch->sp;
    g->fp = arch->fp;
    g->ra = link_register(arch);
    g->word = arch->word;
    /* For a gdb that shows code at each stop, and for code with frame pointers. They are dropped if
     * gdb does not read them. */
    learn(g, g->pc, (uint64_t) - (int64_t)window_pc.below, window_pc.len);
    learn(g, g->fp, (uint64_t) - (int64_t)window_fp.below, window_fp.len);
}

/* Little-endian, as every architecture in pst_arch_find is. */
static bool register_value(const struct pst_gather *g, uint16_t reg, const uint8_t *regs,
                           size_t regs_len, uint64_t *value)
{
    if (reg == NO_REGISTER || g->word == 0 || g->word > 8 || (size_t)reg + g->word > regs_len) {
        return false;
    }
    *value = 0;
    for (unsigned i = g->word; i > 0; i--) {
        *value = *value << 8 | regs[reg + i - 1];
    }
    return true;
}

/* True: it lies in a window around `value` that is gathered in any case. */
static bool covered(uint64_t value, int16_t below, uint16_t len, uint64_t address, size_t n)
{
    uint64_t at = address - (value - (uint64_t)below);
    return at < len && n <= len - at;
}

void pst_gather_note(struct pst_gather *g, const struct pst_region *region, uint64_t address,
                     size_t len, const uint8_t *regs, size_t regs_len)
{
    uint64_t sp = 0, other = 0;
    bool has_sp = register_value(g, g->sp, regs, regs_len, &sp);
    if (len == 0 || len > LARGEST ||
        (has_sp && covered(sp, window_sp.below, window_sp.len, address, len)) ||
        (register_value(g, g->ra, regs, regs_len, &other) &&
         covered(other, window_ra.below, window_ra.len, address, len))) {
        return;
    }
    if (has_sp && address - (sp - NEAR_BELOW) < NEAR_BELOW + NEAR_ABOVE) {
        /* The distance varies with the alignment of SP, so it is rounded, and a line is added. */
        uint64_t distance = (address - sp) & ~(uint64_t)(LINE - 1);
        uint32_t span = (uint32_t)((address - sp) - distance + len);
        learn(g, g->sp, distance, (span + 2 * LINE - 1) / LINE * LINE);
        return;
    }
    if (register_value(g, g->pc, regs, regs_len, &other) &&
        covered(other, window_pc.below, window_pc.len, address, len)) {
        learn(g, g->pc, (uint64_t) - (int64_t)window_pc.below, window_pc.len);
        return;
    }
    if (register_value(g, g->fp, regs, regs_len, &other) &&
        covered(other, window_fp.below, window_fp.len, address, len)) {
        learn(g, g->fp, (uint64_t) - (int64_t)window_fp.below, window_fp.len);
        return;
    }
    uint64_t first = address & ~(uint64_t)(LINE - 1);
    uint64_t last = (address + (len - 1)) | (LINE - 1);
    first = first < region->first ? region->first : first;
    last = last > region->last ? region->last : last;
    if (!extend(g, first, (uint32_t)(last - first) + 1)) {
        learn(g, NO_REGISTER, first, (uint32_t)(last - first) + 1);
    }
}

void pst_gather_stop(struct pst_gather *g)
{
    g->stops++;
    for (size_t i = 0; i < PST_GATHER_LEARNED; i++) {
        if (g->stops - g->learned[i].seen > LIFETIME) {
            g->learned[i].len = 0;
        }
    }
}

static void put_entry(struct pst_writer *w, const struct pst_gather *g, uint16_t reg, uint64_t add,
                      uint32_t len)
{
    bool absolute = reg == NO_REGISTER;
    pst_put_u8(w, absolute ? PST_GATHER_ABSOLUTE : PST_GATHER_REGISTER);
    pst_put_u8(w, absolute ? 0 : g->word);
    pst_put_u16(w, absolute ? 0 : reg);
    pst_put_u32(w, len);
    pst_put_u64(w, add);
}

size_t pst_gather_list(const struct pst_gather *g, uint8_t *out)
{
    struct pst_writer w = pst_writer_of(out, PST_GATHER_BYTES);
    if (g->sp != NO_REGISTER) {
        put_entry(&w, g, g->sp, (uint64_t) - (int64_t)window_sp.below, window_sp.len);
    }
    if (g->ra != NO_REGISTER) {
        put_entry(&w, g, g->ra, (uint64_t) - (int64_t)window_ra.below, window_ra.len);
    }
    for (size_t i = 0; i < PST_GATHER_LEARNED; i++) {
        if (g->learned[i].len != 0) {
            put_entry(&w, g, g->learned[i].reg, g->learned[i].add, g->learned[i].len);
        }
    }
    return w.used;
}
