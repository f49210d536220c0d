/* What the gdb server remembers of a halted CPU, and what it asks the target to send along with the
 * next stop report.
 *
 * **The cache** holds memory in blocks of 256 bytes, with a bit for each valid byte, in memory of
 * the caller. It keeps only addresses that the TS's memory map lists. Everything else is device
 * memory, where reads may have effects and their width matters. All of it is forgotten when a hart
 * runs, except ROM, which nothing changes. Writes go to the target first, and reach the cache when
 * the target has confirmed them, so the cache is never ahead of memory.
 *
 * **The gather list** names ranges that the TS reads when the CPU stops, and sends with the stop
 * report. Two are always in it: around the stack pointer, and around the return address. Others are
 * learned from what gdb read at the last stops, and forgotten when gdb no longer reads them. A
 * debugger reads much the same at every stop, so after a few stops the memory is there before it is
 * asked for.
 */
#ifndef POSTERN_PARTS_CACHE_H
#define POSTERN_PARTS_CACHE_H

#include "postern/parts/wire.h"
#include "postern/space.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_CACHE_BLOCK 256
#define PST_CACHE_REGIONS 64

struct pst_cache_block { /* private */
    uint64_t base;
    uint64_t valid[PST_CACHE_BLOCK / 64];
    uint32_t epoch;
    uint32_t turn; /* when it was taken */
    bool constant; /* ROM: outlives a resume */
    uint8_t data[PST_CACHE_BLOCK];
};

struct pst_cache { /* private, but `map` may be read */
    struct pst_cache_block *blocks;
    size_t count;
    uint32_t epoch, turn;
    struct pst_region map[PST_CACHE_REGIONS]; /* sorted, no overlaps */
    size_t map_len;
};

/* `blocks` outlives the cache. The map is empty: nothing is kept. PST_ERR_ARGUMENT: no blocks, or
 * fewer than 4. */
PST_MUST_CHECK pst_err pst_cache_init(struct pst_cache *c, struct pst_cache_block *blocks,
                                      size_t count);
/* Takes the map as PST_RUN_MEMORY_MAP has it; it is not trusted. After an error the map is empty.
 * PST_ERR_DECODE: malformed, or regions overlap. PST_ERR_LIMIT: more than PST_CACHE_REGIONS. */
PST_MUST_CHECK pst_err pst_cache_set_map(struct pst_cache *c, const uint8_t *map, size_t len);
/* The one region that holds all of [address, address + len), or NULL. */
const struct pst_region *pst_cache_region(const struct pst_cache *c, uint64_t address, size_t len);
/* True and the bytes, if every one is valid. False: `out` is unspecified. */
bool pst_cache_get(struct pst_cache *c, uint64_t address, uint8_t *out, size_t len);
bool pst_cache_has(const struct pst_cache *c, uint64_t address, size_t len);
/* Takes bytes that were read, or written and confirmed. Bytes outside the map are not kept. */
void pst_cache_fill(struct pst_cache *c, uint64_t address, const uint8_t *data, size_t len);
/* These bytes are no longer known. */
void pst_cache_forget(struct pst_cache *c, uint64_t address, size_t len);
/* A hart is about to run: forgets everything but ROM. */
void pst_cache_resume(struct pst_cache *c);

#define PST_GATHER_LEARNED 12
#define PST_GATHER_FIXED 2
#define PST_GATHER_ENTRY 16 /* bytes of one, as PST_RUN_GATHER has it */
#define PST_GATHER_BYTES ((PST_GATHER_LEARNED + PST_GATHER_FIXED) * PST_GATHER_ENTRY)

struct pst_gather { /* private */
    struct {
        uint64_t add; /* an address, or a signed distance from the register */
        uint32_t len; /* 0: free */
        uint32_t seen;
        uint16_t reg; /* offset in the g block; UINT16_MAX: absolute */
    } learned[PST_GATHER_LEARNED];
    uint32_t stops;
    uint16_t pc, sp, fp, ra; /* UINT16_MAX: not known */
    uint8_t word;
};

void pst_gather_init(struct pst_gather *g);
/* Starts again for an architecture. NULL: it is unknown, and ranges are absolute only. */
void pst_gather_arch(struct pst_gather *g, const struct pst_arch *arch);
/* gdb read this range, inside `region`, with the registers as in the g block `regs`. */
void pst_gather_note(struct pst_gather *g, const struct pst_region *region, uint64_t address,
                     size_t len, const uint8_t *regs, size_t regs_len);
/* The CPU has stopped: forgets ranges that were not read lately. */
void pst_gather_stop(struct pst_gather *g);
/* Writes the list for PST_RUN_GATHER, at most PST_GATHER_BYTES; returns its length. */
size_t pst_gather_list(const struct pst_gather *g, uint8_t *out);

#ifdef __cplusplus
}
#endif

#endif
