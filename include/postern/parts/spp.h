/* SneakPeek Protocol: debug as address-mapped reads and writes (MIPI SPP; see docs/wire.md for what
 * is public and what is provisional).
 *
 * A *batch* is the content of one link message or record: whole command packets, one after another.
 * The command engine (TS) takes batches, runs the commands in order on its access spaces, and gives
 * response packets, batch by batch. The client (DTS) splits operations of any length into packets,
 * pipelines them, and matches the answers.
 *
 * Both speak TinySPP (4-byte header, at most 127 data bytes, no tag: answers in order) and FullSPP
 * (provisional header with a tag: urgent commands may overtake a pending one).
 *
 * Life of an engine: InitializeSPEngine first; then AVAIL_REQ_SET and AS_EN_SET open access spaces
 * (SCM is always open). AS_EN_SET answers at once; AS_EN_STAT tells what is open, and in FullSPP
 * its read waits until every space has been opened or has failed. A space that failed, or that no
 * grant covers, is no longer in AVAIL_STAT. A system command that fails without continue-on-fault
 * blocks the engine: what follows answers BLOCKED, undone, until UnblockSPEngine. SCM and urgent
 * commands are exempt, so that heartbeats and interrupts always get through.
 */
#ifndef POSTERN_PARTS_SPP_H
#define POSTERN_PARTS_SPP_H

#include "postern/mipi_profile.h"
#include "postern/parts/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum { PST_SPP_TINY = 2, PST_SPP_FULL = 3 } pst_spp_style;
typedef enum {
    PST_SPP_PAD = 0,
    PST_SPP_NOP = 1,
    PST_SPP_INIT = 2,
    PST_SPP_UNBLOCK = 3,
    PST_SPP_READ_CONFIG = 4,
    PST_SPP_WRITE_CONFIG = 5,
    PST_SPP_READ = 6,
    PST_SPP_WRITE = 7,
    PST_SPP_WRITE_READ = 8,
    PST_SPP_LOOP = 9,
} pst_spp_opcode;

/* Public SP configuration registers (SP_*), 32 bits each. */
enum pst_sp_config {
    PST_SPC_VERSIONS = 0x000,
    PST_SPC_IDCODE = 0x004,
    PST_SPC_PROD_ID = 0x020,
    PST_SPC_AS_PRESENT = 0x060,
    PST_SPC_AS_EN_STAT = 0x0C0,
    PST_SPC_AS_EN_SET = 0x0C8,
    PST_SPC_AS_EN_CLEAR = 0x0CC,
    PST_SPC_AS_AVAIL_STAT = 0x0D0,
    PST_SPC_AS_AVAIL_REQ_SET = 0x0D8,
    PST_SPC_SESSION_MGMT_0 = 0x180,
    PST_SPC_SESSION_MGMT_1 = 0x184,
};

/* One packet, decoded; `data` aliases the input. */
struct pst_spp_packet {
    pst_spp_style style;
    uint8_t opcode;
    uint8_t space;  /* command */
    uint8_t status; /* response: error type */
    uint8_t action; /* command: 0; its meaning is not public */
    bool proceed;   /* command: continue on fault */
    bool immediate; /* command: respond at once */
    bool last;      /* command: of a batch; response: nothing more answers this command */
    uint16_t tag;   /* FullSPP; 0 in TinySPP */
    uint32_t count; /* the packet's byte count field */
    uint64_t address;
    uint32_t code; /* response: error code */
    struct pst_bytes data;
};
/* Take one packet from `r`. PST_ERR_DECODE: malformed; `r` is then at its end. `data` is what
 * follows the header and, in TinySPP, the address: bytes to write, a loop's operand, or bytes that
 * were read. Putting: where a packet has data, `count` and `data.len` are equal; with `data.at`
 * NULL the caller puts the bytes next. */
PST_MUST_CHECK pst_err pst_spp_get_command(struct pst_reader *r, struct pst_spp_packet *p);
PST_MUST_CHECK pst_err pst_spp_get_response(struct pst_reader *r, struct pst_spp_packet *p);
void pst_spp_put_command(struct pst_writer *w, const struct pst_spp_packet *p);
void pst_spp_put_response(struct pst_writer *w, const struct pst_spp_packet *p);

/* What a grant allows (policy.h). */
enum pst_right { PST_RIGHT_READ = 1, PST_RIGHT_WRITE = 2, PST_RIGHT_RUN = 4, PST_RIGHT_TRACE = 8 };

/* A command and what was decided about it. The decision is made once, when the batch arrives, and
 * stays with the command in the queue: the audit line, the gate and the access space read the same
 * one. */
struct pst_spp_command {
    struct pst_spp_packet packet;
    uint8_t rights; /* PST_RIGHT_* that it needs; 0: none (configuration, SCM), or it is invalid */
    bool allowed;   /* it is valid, and the grants cover it (SCM: it is valid) */
    uint32_t len;   /* bytes that one access of it reaches; 0: none */
    uint8_t marks;  /* private to the engine */
};
/* The commands of one batch, decided and not yet queued. */
struct pst_spp_batch {
    const uint8_t *at; /* private */
    size_t left;
};
/* Takes the next command; false at the end. */
bool pst_spp_batch_next(struct pst_spp_batch *b, struct pst_spp_command *c);

/* The one gate between an engine and its access spaces; the target implements it (src/ts/gate.c).
 * The engine never asks it about SCM. All four functions are required. */
struct pst_gate {
    void *ctx;
    /* When a batch arrives, once for each command that needs a right: whether the grants cover all
     * of `rights` on `len` bytes (0 counts as 1) at `address`. Only answers: it logs nothing. */
    bool (*covers)(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len);
    /* When a batch arrives, once, after all of it was decided: writes what it will change to the
     * audit log. On an error nothing of the batch is queued. */
    pst_err (*announce)(void *ctx, struct pst_spp_batch batch);
    /* Once for each command that needs a right, right before it runs. PST_ERR_DENIED: it was not
     * allowed, or the session is no longer live. PST_ERR_AUDIT: the log has failed since. */
    pst_err (*admit)(void *ctx, const struct pst_spp_command *c);
    /* For an access that no command names: what a command implies (gathered memory, breakpoints,
     * step ranges), later attempts of a polling loop. It is decided and, if it changes something,
     * logged at once. `rights` of 0 asks whether `space` may be opened at all, that is, whether
     * anything in it is granted. PST_ERR_DENIED, PST_ERR_AUDIT: do nothing. */
    pst_err (*allow)(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len);
};

/* One access that an access space performs. */
struct pst_access {
    uint64_t address;
    uint8_t *data; /* bytes to write; receives bytes read */
    uint32_t len;  /* bytes. A space may shorten a read. In MEMORY the rest is read next, until
                      nothing is left or a read gives 0; in other spaces no more data follows */
    bool write;    /* `data` holds bytes to write; otherwise it receives */
    bool exchange; /* JTAG's WriteRead, with `write`: on PST_OK `data` also received as many */
    const struct pst_gate *gate; /* to ask for what the access implies; outlives it */
};

/* An access space: what the engine reads and writes. */
struct pst_space {
    void *ctx;
    /* Which right a command to this address needs (PST_RIGHT_*); 0: there is no such register.
     * Asked once for each command (twice for WRITE_READ: as a read too), when its batch arrives,
     * whether the space is open or not. Never asked for SCM. */
    uint8_t (*right)(void *ctx, uint64_t address, bool write);
    /* Performs one access. PST_PENDING: it is called again with the same access until it answers
     * otherwise; `data` may have moved by then, so it keeps no pointer to it, and an urgent access
     * may come in between. PST_ERR_FAULT: the device could not; PST_ERR_ARGUMENT: no such register
     * or wrong length; PST_ERR_DENIED. */
    pst_err (*perform)(void *ctx, struct pst_access *a);
    /* Gives up the pending access, if there is one (teardown, AS_EN_CLEAR). May be NULL. */
    void (*cancel)(void *ctx);
    /* AS_EN_SET, or teardown: opens or releases what is behind (a debug stub is opened here, never
     * earlier). PST_PENDING: it is called again. May be NULL. */
    pst_err (*enable)(void *ctx, bool on, const struct pst_gate *gate);
    /* Writes an unsolicited event, at most `cap` bytes; 0: there is none. May be NULL. */
    size_t (*event)(void *ctx, uint8_t *out, size_t cap);
    /* Commands to [urgent_first, urgent_last] overtake a pending one (FullSPP). 1, 0: none do. */
    uint64_t urgent_first, urgent_last;
};

struct pst_spp_engine_config {
    const struct pst_space *spaces[PST_AS_COUNT]; /* NULL: absent */
    const struct pst_gate *gate;                  /* NULL: the bootstrap engine, see below */
    uint8_t *queue;                               /* commands wait here; outlives the engine */
    size_t queue_len;                             /* also the credit that PST_SPC_CREDIT reports */
    uint32_t idcode, product;
    bool bootstrap; /* only Nop, Init, VERSIONS, AS_PRESENT, PROFILE, CREDIT, and space SCM */
};
struct pst_spp_engine { /* private; a command's decision and progress are kept in the queue, in
                           bits of its header that are constant on the wire */
    struct pst_spp_engine_config config;
    size_t head, tail; /* queue[head..tail) waits */
    uint16_t events;
    uint8_t style;                                   /* of the last InitializeSPEngine */
    uint8_t enabled, available, enabling, releasing; /* bit n: access space n */
    bool initialized, blocked, stopped;
    bool full;  /* the last output had no room for the first command */
    bool quiet; /* set by the owner: events wait (during a key update) */
};

/* PST_ERR_ARGUMENT: no queue, one of fewer than PST_SPP_QUEUE_MIN bytes, or an incomplete gate. */
#define PST_SPP_QUEUE_MIN 64
PST_MUST_CHECK pst_err pst_spp_engine_init(struct pst_spp_engine *e,
                                           const struct pst_spp_engine_config *config);
/* Decodes a batch, decides about each of its commands, announces it at the gate and queues it.
 * PST_ERR_DECODE: malformed. PST_ERR_LIMIT: more than the credit. PST_ERR_CLOSED: stopped. Any
 * other error is the gate's (PST_ERR_AUDIT: the log cannot be written). After an error nothing was
 * queued; after all but the gate's nothing was logged either. */
PST_MUST_CHECK pst_err pst_spp_engine_receive(struct pst_spp_engine *e, const uint8_t *batch,
                                              size_t len);
/* Runs commands and writes responses and events, whole packets, at most `cap` bytes; 0: nothing
 * now. Call it until it returns 0. `cap` is at least 64 (else it returns 0) and the same in every
 * call. A read that does not fit is answered in several packets, of which only the last has `last`.
 * A JTAG shift cannot be split: it fails with the code PST_ERR_SPACE. */
size_t pst_spp_engine_output(struct pst_spp_engine *e, uint8_t *out, size_t cap);
/* After output returned 0: commands still wait, for an access space or for the next attempts of a
 * polling loop. Call output again after some time. */
bool pst_spp_engine_waiting(const struct pst_spp_engine *e);
/* Teardown: cancels the pending access, releases every open access space, drops the queue.
 * PST_PENDING: call again. The engine stays stopped until it is initialised again. */
pst_err pst_spp_engine_stop(struct pst_spp_engine *e);

/* --- client --- */

/* One operation: caller-owned, in use until `done`. It starts zeroed.
 *
 * READ, WRITE: any length, split as needed; to JTAG it must fit into one packet. WRITE_READ: JTAG,
 * `data` is written and then receives as many bytes. LOOP: `data` holds the operand
 * (PST_SPP_LOOP_OPERAND bytes, `len`) and receives the last value in its first 8. READ_CONFIG,
 * WRITE_CONFIG: 4 bytes. INIT, NOP, UNBLOCK: no data.
 *
 * Reads continue on a fault. Any other failure blocks the engine: operations behind it that are not
 * reads, or that were already sent, complete with PST_ERR_STATE and are not performed. So a resume
 * never follows a breakpoint that could not be set. The client unblocks the engine by itself. SCM
 * operations are exempt. */
struct pst_spp_op {
    struct pst_spp_op *next; /* private */
    pst_spp_opcode opcode;
    uint8_t space;
    bool urgent; /* goes before operations that are not sent yet; SCM always does */
    uint64_t address;
    uint8_t *data;  /* source of writes, destination of reads; may be NULL when len is 0 */
    uint32_t len;   /* bytes, any number */
    uint32_t moved; /* bytes answered so far; for reads possibly fewer than len at the end */
    pst_err result; /* PST_PENDING until done; PST_ERR_ARGUMENT: cannot be sent like this */
    void (*done)(void *ctx, struct pst_spp_op *op); /* may be NULL; may submit operations */
    void *ctx;
    uint32_t sent;     /* private */
    uint16_t tags;     /* private: commands in flight */
    bool begun, ended; /* private: something was sent; nothing more will be */
    pst_err fault;     /* private: the first failure */
};
#define PST_SPP_FLIGHTS 64
struct pst_spp_flight {    /* private: a command that was not answered yet */
    struct pst_spp_op *op; /* NULL: our own UnblockSPEngine */
    uint32_t offset, len;  /* what of op->data it still has to move */
    uint16_t size;         /* bytes it holds of the credit */
    uint16_t tag;
    uint8_t opcode;
};
struct pst_spp_client { /* private but for `event` and `ctx`, which the caller sets after init */
    pst_spp_style style;
    uint32_t max_data;
    size_t credit, in_flight;
    uint16_t tag;
    bool blocked;
    struct pst_spp_op *first, *last;
    struct pst_spp_flight flight[PST_SPP_FLIGHTS]; /* oldest first */
    uint8_t flights;
    void (*event)(void *ctx, struct pst_bytes payload, uint8_t space);
    void *ctx;
};
/* `max_data`: bytes of data in one packet, so that a response fits the TS's messages; cut to what
 * the style can say. `credit`: bytes that the engine's queue takes (PST_SPC_CREDIT), at least
 * PST_SPP_QUEUE_MIN. */
void pst_spp_client_init(struct pst_spp_client *c, pst_spp_style style, uint32_t max_data,
                         size_t credit);
/* Queues `op`; the caller sets the fields above `moved`, and `done` and `ctx`. An operation that
 * cannot be sent completes here, with PST_ERR_ARGUMENT. */
void pst_spp_client_submit(struct pst_spp_client *c, struct pst_spp_op *op);
/* The next batch, at most `cap` bytes; 0: nothing can be sent now. An operation that fits no batch
 * of `cap` bytes (a long JTAG shift) completes with PST_ERR_SPACE. */
size_t pst_spp_client_batch(struct pst_spp_client *c, uint8_t *out, size_t cap);
/* Takes the responses and events of one message; operations complete in this call. PST_ERR_DECODE:
 * malformed, or a response that no command asked for; what came before it counts. */
PST_MUST_CHECK pst_err pst_spp_client_receive(struct pst_spp_client *c, const uint8_t *msg,
                                              size_t len);
/* Completes all operations with `why`; responses that still arrive are errors. What a callback
 * submits meanwhile stays queued. */
void pst_spp_client_abort(struct pst_spp_client *c, pst_err why);

#ifdef __cplusplus
}
#endif

#endif
