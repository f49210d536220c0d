/* Access spaces that Postern brings: memory and run control behind a gdb stub, memory in a file.
 *
 * `struct pst_stub` is a client of the gdb remote serial protocol, sans-I/O: bytes from the stub
 * go in, bytes for it come out. It gives the engine two access spaces, MEMORY and RUN. It speaks to
 * any server of the protocol (QEMU, gdbserver, OpenOCD, Black Magic) and asks it what it can do.
 * The stub is reached only between `enable(true)` and `enable(false)`: merely connecting stops a
 * QEMU machine.
 */
#ifndef POSTERN_SPACE_H
#define POSTERN_SPACE_H

#include "postern/parts/spp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a register file looks, by the <architecture> of the target description. */
struct pst_arch {
    const char *name;    /* "riscv:rv32" */
    uint16_t pc, sp, fp; /* byte offsets in the g block */
    uint8_t word;        /* bytes of a register */
    uint16_t g_len;      /* shortest g block that holds them */
};
const struct pst_arch *pst_arch_find(const char *name, size_t len); /* NULL: unknown */

/* A region of the TS's memory map; what none lists is device memory. */
struct pst_region {
    uint64_t first, last;
    uint8_t kind; /* enum pst_region_kind */
};

struct pst_stub_config {
    const struct pst_region *map;
    size_t map_len;
    /* Opens (true) or lets go of (false) the byte stream to the stub. PST_PENDING allowed. */
    pst_err (*open)(void *ctx, bool on);
    void *ctx;
    uint8_t *buffer; /* packets and gathered memory; >= 4096 bytes on a host, >= 1024 in firmware */
    size_t buffer_len;
    bool hold; /* leave the CPU halted at the end; default: resume */
    /* The answer to a resume may be deferred until the CPU stops, which mostly is at once, so that
     * both travel together. The owner then calls pst_stub_answer_now (parts/stub.h) in time. */
    bool defer_resume;
};

/* struct pst_stub and its functions are in stub.h; a file-backed MEMORY in port/posix. */

#ifdef __cplusplus
}
#endif

#endif
