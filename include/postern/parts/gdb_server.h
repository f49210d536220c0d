/* The server that gdb connects to, on the DTS.
 *
 * Sans-I/O: bytes from gdb (a pipe, a Unix socket, loopback TCP) go in, bytes for gdb come out. The
 * CPU is reached through `struct pst_gdb_backend`: reads and writes of the access spaces MEMORY and
 * RUN, as mipi_profile.h lists them. Behind it is a pst_debugger, or a fake in tests.
 *
 * **One round trip for each vCont, none for anything else.** The target may be far away, and gdb
 * asks many questions. So a stop report brings everything that gdb is about to ask for: the reason,
 * harts, registers, memory around SP, PC and the return address, and what gdb read at the last
 * stops (cache.h). While the harts are halted gdb is answered from the cache. Breakpoints that gdb
 * sets and removes around every stop are acknowledged here and sent with the next resume; pairs
 * that cancel out are not sent at all. A resume is one batch: breakpoints, the gather list if it
 * changed, resume.
 *
 * **What is acknowledged is true.** Writes of memory and registers are sent at once and answered
 * when the target has confirmed them, because gdb cannot be told of an error later. A breakpoint is
 * acknowledged before it is set only if its type has worked before, and its address lies in the
 * memory map or has worked before. Otherwise the target is asked at once. If the target then
 * refuses one together with a resume, the CPU is halted again and gdb is told, so that no program
 * runs past a breakpoint in silence.
 *
 * **The target is not trusted.** Stop reports, descriptions and maps are decoded with bounds. A
 * malformed stop report ends gdb's session with a message. No address that is read is chosen by the
 * target.
 *
 * **Errors.** gdb 13 prints the text of `E.text` replies to register packets and vCont. For memory
 * it accepts only `Enn`; then the text goes to `notice`. Without `notice` the text is printed when
 * gdb next takes console output: at the next stop, or at any `monitor` command. (gdb prints the
 * stderr of `target remote | command`. But as long as stderr is open, gdb polls it before every
 * single character: a step takes twice as long, a dump fifty times. A tool behind a pipe should
 * close its stderr once the session is open, and leave `notice` NULL or write to the terminal.)
 *
 * **Waiting.** gdb gives up on a packet after 2 s of silence, except while the program runs. As
 * long as an answer is outstanding, a lone `+`, which gdb ignores, is sent every second.
 */
#ifndef POSTERN_PARTS_GDB_SERVER_H
#define POSTERN_PARTS_GDB_SERVER_H

#include "postern/parts/cache.h"
#include "postern/parts/rsp.h"
#include "postern/parts/spp.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_gdb_server; /* state/gdb_server.h */

struct pst_gdb_backend {
    void *ctx;
    /* Performs op (PST_SPP_READ or PST_SPP_WRITE; space, address, data, len, done and ctx are set)
     * and calls op->done, possibly before it returns. Operations that are submitted without a
     * return to the event loop should travel together, in order. If a write fails, later writes of
     * the same batch must have no effect, if the transport can provide that. */
    void (*submit)(void *ctx, struct pst_spp_op *op);
    /* Writes the text for `monitor whoami`, `session` or `policy`; lines end in '\n'. May be NULL.
     */
    void (*monitor)(void *ctx, const char *what, struct pst_writer *text);
    /* A line for the engineer, without '\n'. NULL: gdb prints it at the next stop. */
    void (*notice)(void *ctx, const char *text);
};

struct pst_gdb_server_config {
    struct pst_gdb_backend backend;
    uint8_t *memory; /* everything of variable size; outlives the server; any alignment */
    size_t memory_len;
    uint32_t packet_size;      /* largest packet of gdb; at least 16384 on a host */
    uint32_t description_size; /* largest target description; 64 KiB suits all known stubs */
    bool bare_metal; /* adds <osabi>none</osabi> to a description that names none: otherwise gdb
                        assumes GNU/Linux on RISC-V and steps in software */
};
/* The least `memory_len`. 256 KiB more make a good cache. */
#define PST_GDB_MEMORY(packet_size, description_size)                                              \
    (7 * (size_t)(packet_size) + (size_t)(description_size) + 64 * sizeof(struct pst_cache_block))

struct pst_gdb_counters {
    uint64_t packets;      /* of gdb */
    uint64_t round_trips;  /* batches that gdb had to wait for */
    uint64_t resumes;      /* of these, resumes */
    uint64_t hits, misses; /* reads of memory answered from the cache, or not */
    uint64_t ahead;        /* reads ahead */
    uint64_t gathered;     /* bytes of memory in stop reports */
    uint64_t errors;       /* replies to gdb that were errors */
};

typedef enum {
    PST_GDB_IDLE,      /* before pst_gdb_server_start */
    PST_GDB_ATTACHING, /* the first batch is under way, or the CPU is being halted */
    PST_GDB_HALTED,
    PST_GDB_RUNNING,   /* gdb waits for a stop reply */
    PST_GDB_OBSERVING, /* the CPU runs and may not be halted: memory only */
    PST_GDB_DETACHED,
    PST_GDB_ENDED, /* the program exited, or the target is lost */
} pst_gdb_state;

#include "postern/state/gdb_server.h"

/* `config` is copied; what it points to outlives the server. PST_ERR_ARGUMENT: no `submit`, sizes
 * out of range, or less memory than PST_GDB_MEMORY. */
PST_MUST_CHECK pst_err pst_gdb_server_init(struct pst_gdb_server *g,
                                           const struct pst_gdb_server_config *config);
/* The target is reachable: learns what it is, and halts the CPU. Packets of gdb wait until that is
 * done. Once after init. */
void pst_gdb_server_start(struct pst_gdb_server *g);
/* Takes bytes from gdb and returns how many it took. Fewer than `len` while a packet is being
 * worked on: offer the rest again after the next operation, event or poll. */
size_t pst_gdb_server_receive(struct pst_gdb_server *g, const uint8_t *in, size_t len);
/* Bytes for gdb; valid until the next call of anything but pst_gdb_server_sent. */
struct pst_bytes pst_gdb_server_pending(const struct pst_gdb_server *g);
void pst_gdb_server_sent(struct pst_gdb_server *g, size_t len);
/* Takes an event of the RUN access space: a stop report. If it is malformed, gdb is told and the
 * server ends. */
void pst_gdb_server_event(struct pst_gdb_server *g, struct pst_bytes report);
/* The session with the target is over. Call it after all operations were completed. gdb is told
 * `why` (NULL: a text of ours) at once if it waits, otherwise with its next packet. */
void pst_gdb_server_lost(struct pst_gdb_server *g, const char *why);
/* Keepalive. Returns the ms until the next call is needed; UINT64_MAX: no answer is outstanding. */
uint64_t pst_gdb_server_poll(struct pst_gdb_server *g, uint64_t now_ms);
/* gdb has left (k): close once everything pending is sent. */
bool pst_gdb_server_ended(const struct pst_gdb_server *g);
pst_gdb_state pst_gdb_server_state(const struct pst_gdb_server *g);
const struct pst_gdb_counters *pst_gdb_server_counts(const struct pst_gdb_server *g);

#ifdef __cplusplus
}
#endif

#endif
