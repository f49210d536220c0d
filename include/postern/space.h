/* The access spaces that Postern implements: MEMORY and RUN through a gdb stub.
 *
 * `struct pst_stub` is a client of the gdb remote serial protocol, sans-I/O: bytes from the stub go
 * in, bytes for it come out. It gives the engine two access spaces, MEMORY and RUN. It works with
 * any server of the protocol (QEMU, gdbserver, OpenOCD, Black Magic) and asks it which features it
 * supports. It connects to the stub only between `enable(true)` and `enable(false)`, because
 * connecting alone stops a QEMU machine. */
#ifndef POSTERN_SPACE_H
#define POSTERN_SPACE_H

#include "postern/parts/spp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The layout of the register block, by the <architecture> of the target description. */
struct pst_arch {
    const char *name;    /* "riscv:rv32" */
    uint16_t pc, sp, fp; /* byte offsets in the g block */
    uint8_t word;        /* bytes of a general register */
    uint16_t g_len;      /* shortest g block that holds pc, sp and fp */
};
const struct pst_arch *pst_arch_find(const char *name, size_t len); /* NULL: unknown */

/* A region of the TS's memory map. Addresses outside all regions are device memory. */
struct pst_region {
    uint64_t first, last;
    uint8_t kind; /* enum pst_region_kind */
};

struct pst_stub_config {
    const struct pst_region *map;
    size_t map_len;
    /* Opens (true) or closes (false) the byte stream to the stub. It may return PST_PENDING. */
    pst_err (*open)(void *ctx, bool on);
    void *ctx;
    uint8_t *buffer; /* packets and gathered memory; >= 4096 bytes on a host, >= 1024 in firmware */
    size_t buffer_len;
    bool hold; /* leave the CPU halted at the end of a session; otherwise it is resumed */
    /* The answer to a resume may be deferred until the CPU stops, which is usually at once, so that
     * both travel together. The owner must then call pst_stub_answer_now (parts/stub.h) in time. */
    bool defer_resume;
};

/* struct pst_stub and its functions are in parts/stub.h. A file-backed MEMORY is in port/posix. */

#ifdef __cplusplus
}
#endif

#endif
