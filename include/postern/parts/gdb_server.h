/* The server that gdb speaks to, on the DTS.
 *
 * Sans-I/O: bytes of gdb (from a pipe, a Unix socket, loopback TCP) go in, bytes for gdb come out,
 * and the target is driven through `struct pst_gdb_backend`: reads and writes of the access spaces
 * MEMORY and RUN as mipi_profile.h lists them. Behind it stands a pst_debugger, or in tests a fake.
 *
 * **One round trip for each vCont, none for anything else.** The target may be far away, and gdb is
 * chatty. So a stop report brings everything that gdb is about to ask (reason, harts, registers,
 * memory around SP, PC and the return address, and what gdb asked at the last stops; cache.h), and
 * while the harts are halted gdb is answered from the cache. Breakpoints that gdb sets and removes
 * around every stop are acknowledged here and travel with the next resume, pairs that cancel out
 * not at all. A resume is one batch: breakpoints, gather list if changed, resume.
 *
 * **What is acknowledged is true.** Writes of memory and registers are sent at once and answered
 * when the target has confirmed them: gdb could not be told of a late error. A breakpoint is
 * acknowledged before it is placed only when its type has worked before and its address lies in
 * the memory map or has worked before; otherwise the target is asked at once. Should the target
 * then still refuse one together with a resume, it is halted again and gdb is told, so that a
 * program never runs off past a breakpoint in silence.
 *
 * **The target is not trusted.** Reports, archive and maps are decoded with bounds; a malformed one
 * ends the session of gdb with a message. Nothing the target says chooses an address that is read.
 *
 * **Errors.** gdb 13 shows the text of `E.text` replies to register packets and vCont, but only
 * accepts `Enn` where memory is concerned; then the text goes to `notice`. Without one it waits for
 * a moment when gdb takes console output: the next stop, or any `monitor` command. (gdb shows the
 * stderr of `target remote | command`, but as long as that is open it looks at it before each
 * single character: a step takes twice, a dump fifty times as long. A tool behind a pipe had better
 * close its stderr once the session is open, and leave `notice` NULL or write to the terminal.)
 *
 * **Waiting.** gdb gives up a packet after 2 s of silence, except while the program runs. As long
 * as an answer is awaited, a lone `+` (which gdb ignores) goes out each second.
 */
#ifndef POSTERN_PARTS_GDB_SERVER_H
#define POSTERN_PARTS_GDB_SERVER_H

#include "postern/parts/cache.h"
#include "postern/parts/rsp.h"
#include "postern/parts/spp.h"

struct pst_gdb_backend {
    void *ctx;
    /* Performs op (PST_SPP_READ or PST_SPP_WRITE; space, address, data, len, done and ctx are set)
     * and calls op->done, possibly before it returns. What is submitted without going back to the
     * event loop should travel together, in order. A failed write must not let a later write of
     * the same batch have an effect, if the transport can see to that. */
    void (*submit)(void *ctx, struct pst_spp_op *op);
    /* Text for `monitor whoami`, `session`, `policy`; lines end in '\n'. May be NULL. */
    void (*monitor)(void *ctx, const char *what, struct pst_writer *text);
    /* A line for the person at gdb, without '\n'. May be NULL: told with the next stop. */
    void (*notice)(void *ctx, const char *text);
};

struct pst_gdb_server_config {
    struct pst_gdb_backend backend;
    uint8_t *memory; /* everything of variable size; outlives the server; any alignment */
    size_t memory_len;
    uint32_t packet_size;      /* largest packet of gdb; at least 16384 on a host */
    uint32_t description_size; /* largest archive of the target's XML: 64 KiB suits all known */
    bool bare_metal; /* say <osabi>none</osabi> when the description names none: without it gdb
                        takes RISC-V for GNU/Linux and steps in software */
};
/* What `memory_len` must at least be; a good size is 256 KiB more, for the cache. */
#define PST_GDB_MEMORY(packet_size, description_size)                                              \
    (7 * (size_t)(packet_size) + (size_t)(description_size) + 64 * sizeof(struct pst_cache_block))

struct pst_gdb_counters {
    uint64_t packets;      /* of gdb */
    uint64_t round_trips;  /* batches whose answer gdb had to wait for */
    uint64_t resumes;      /* of these, resumes */
    uint64_t hits, misses; /* reads of memory answered here, or not */
    uint64_t ahead;        /* reads ahead */
    uint64_t gathered;     /* bytes of memory that came with stop reports */
    uint64_t errors;       /* replies to gdb that were errors */
};

#define PST_GDB_REGS 2048  /* largest g block */
#define PST_GDB_SLOTS 4    /* harts whose registers are kept at once */
#define PST_GDB_SINGLES 32 /* registers read one by one that are kept */
#define PST_GDB_HARTS 64   /* harts that gdb is told of */
#define PST_GDB_BREAKS 128
#define PST_GDB_TEXT 200

typedef enum {
    PST_GDB_IDLE,      /* before pst_gdb_server_start */
    PST_GDB_ATTACHING, /* first batch under way, or the hart is being halted */
    PST_GDB_HALTED,
    PST_GDB_RUNNING,   /* gdb awaits a stop reply */
    PST_GDB_OBSERVING, /* runs, and may not be halted: memory only */
    PST_GDB_DETACHED,
    PST_GDB_ENDED, /* the program exited, or the target is lost */
} pst_gdb_state;

struct pst_gdb_break { /* private */
    uint64_t address;
    uint16_t kind;
    uint8_t type;
    bool used, wanted, placed;
    bool known; /* the target has accepted it before */
};

struct pst_gdb_server { /* private */
    struct pst_gdb_server_config config;
    struct pst_gdb_counters counters;
    pst_gdb_state state;

    /* gdb's side */
    struct pst_rsp_reader in;
    uint8_t *out;
    size_t out_cap, out_head, out_tail;
    size_t last_at, last_len; /* the newest packet, for a NAK */
    bool no_ack, asked, held, awaiting_stop, ending;
    bool gdb_swbreak, gdb_hwbreak;
    uint64_t beat_ms;
    char message[PST_GDB_TEXT]; /* waits for a moment when gdb takes console output */

    /* the target's side */
    struct pst_spp_op ops[6], interrupt, ahead;
    uint8_t interrupt_data[4];
    uint8_t op_count;
    unsigned outstanding;
    bool turning, interrupting, interrupt_wanted, break_failed, resume_pending, ahead_pending;
    bool stop_came, ahead_awaited, gather_off;
    void (*then)(struct pst_gdb_server *g);       /* once no operation is outstanding */
    void (*not_halted)(struct pst_gdb_server *g); /* if the interrupt is refused */
    uint8_t *work, *report, *ahead_data, *archive;
    size_t archive_len;
    uint8_t map_bytes[PST_CACHE_REGIONS * 24];
    char arch_name[64];
    const struct pst_arch *arch;

    /* what is known of the halted target */
    uint8_t reason, signal;
    uint32_t hart, hart_g, hart_c;
    uint64_t watch;
    uint32_t harts[PST_GDB_HARTS];
    uint16_t hart_count;
    struct {
        uint32_t hart;
        uint16_t len; /* 0: free */
        uint8_t bytes[PST_GDB_REGS];
    } slots[PST_GDB_SLOTS];
    struct {
        uint32_t hart, number;
        uint8_t len; /* 0: free */
        uint8_t bytes[16];
    } singles[PST_GDB_SINGLES];
    uint8_t next_slot, next_single;
    uint16_t regs_len; /* of the newest g block */
    struct pst_cache cache;
    struct pst_gather gather;
    uint8_t gather_sent[PST_GATHER_BYTES];
    uint8_t gather_next[PST_GATHER_BYTES];
    size_t gather_sent_len, gather_next_len;
    struct pst_gdb_break breaks[PST_GDB_BREAKS];
    uint8_t break_bytes[PST_GDB_BREAKS * 16];
    uint8_t resume_bytes[8 * 24];
    size_t resume_len;
    uint8_t types_known; /* bit n: a breakpoint of type n was accepted before */

    /* the packet under way */
    uint64_t mem_address, fetch_address;
    uint32_t mem_len, fetch_len;
    uint64_t crc_left;
    uint32_t crc;
    uint32_t reg_hart, reg_number;
    struct pst_gdb_break probe;
    uint64_t seq_next; /* where a sequential reader would go on */
    uint64_t ahead_address;
    uint32_t ahead_epoch;
    uint8_t ahead_failures;
};

/* PST_ERR_ARGUMENT: too little memory (PST_GDB_MEMORY), or no submit. */
PST_MUST_CHECK pst_err pst_gdb_server_init(struct pst_gdb_server *g,
                                           const struct pst_gdb_server_config *config);
/* The target is reachable: learns what it is, and halts it. Packets of gdb wait until that is
 * done. Once after init. */
void pst_gdb_server_start(struct pst_gdb_server *g);
/* Takes bytes of gdb and returns how many it took. Fewer than `len` while a packet is being worked
 * on: offer the rest again after anything else happened. */
size_t pst_gdb_server_receive(struct pst_gdb_server *g, const uint8_t *in, size_t len);
/* Bytes for gdb; valid until the next call of anything but pst_gdb_server_sent. */
struct pst_bytes pst_gdb_server_pending(const struct pst_gdb_server *g);
void pst_gdb_server_sent(struct pst_gdb_server *g, size_t len);
/* An event of the RUN access space: a stop report. Malformed: the server ends, with a message. */
void pst_gdb_server_event(struct pst_gdb_server *g, struct pst_bytes report);
/* The session with the target is over. Call it after all operations were completed. gdb is told
 * `why` (NULL: a text of ours) at once if it waits, otherwise with its next packet. */
void pst_gdb_server_lost(struct pst_gdb_server *g, const char *why);
/* Time passes: keepalive. ms until the next call is of use; UINT64_MAX when nothing is awaited. */
uint64_t pst_gdb_server_poll(struct pst_gdb_server *g, uint64_t now_ms);
/* gdb has left (k), or nothing more will come: close once everything pending is sent. */
bool pst_gdb_server_ended(const struct pst_gdb_server *g);
pst_gdb_state pst_gdb_server_state(const struct pst_gdb_server *g);
const struct pst_gdb_counters *pst_gdb_server_counts(const struct pst_gdb_server *g);

#endif
