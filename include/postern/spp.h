/* SneakPeek Protocol: debug as address-mapped reads and writes (MIPI SPP; see docs/wire.md for what
 * is public and what is provisional).
 *
 * A *batch* is what one link message or record carries: whole command packets one after another.
 * The command engine (TS) takes batches, performs the commands in order against its access spaces,
 * and yields response packets, batch by batch. The client (DTS) splits operations of any length
 * into packets, pipelines them, and matches the answers.
 *
 * Both speak TinySPP (4-byte header, at most 127 data bytes, no tag: answers in order) and FullSPP
 * (provisional header with a tag: urgent commands may overtake a pending one).
 */
#ifndef POSTERN_SPP_H
#define POSTERN_SPP_H

#include "postern/mipi_profile.h"
#include "postern/wire.h"

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
    uint8_t space;     /* command */
    uint8_t status;    /* response: error type */
    bool proceed;      /* command: continue on fault */
    bool immediate, last;
    uint16_t tag;      /* FullSPP; 0 in TinySPP */
    uint32_t count;    /* the packet's byte count field */
    uint64_t address;
    uint32_t code;     /* response: error code */
    struct pst_bytes data;
};
/* Take one packet off `r`. PST_ERR_DECODE: malformed. A TinySPP response can only be told apart
 * knowing its command, so the client passes it (opcode and count asked). */
PST_MUST_CHECK pst_err pst_spp_get_command(struct pst_reader *r, struct pst_spp_packet *p);
PST_MUST_CHECK pst_err pst_spp_get_response(struct pst_reader *r, struct pst_spp_packet *p);
void pst_spp_put_command(struct pst_writer *w, const struct pst_spp_packet *p);
void pst_spp_put_response(struct pst_writer *w, const struct pst_spp_packet *p);

/* What a grant allows; the words of policy.h too. */
enum pst_right { PST_RIGHT_READ = 1, PST_RIGHT_WRITE = 2, PST_RIGHT_RUN = 4, PST_RIGHT_TRACE = 8 };

/* The one gate. The SCM implements it; the engine asks it before each command, and an access space
 * asks it before each access that a command implies (gathered memory, breakpoints, step ranges).
 * PST_OK: allowed and, where it has an effect, already in the audit log. PST_ERR_DENIED,
 * PST_ERR_AUDIT: do nothing. */
struct pst_gate {
    void *ctx;
    pst_err (*allow)(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len,
                     bool implied);
};

/* One access that an access space performs. */
struct pst_access {
    uint64_t address;
    uint8_t *data;  /* bytes to write; receives bytes read */
    uint32_t len;   /* bytes; an access space may shorten a read */
    bool write;     /* `data` holds bytes to write; otherwise it receives */
    const struct pst_gate *gate; /* for what it implies; outlives the access */
};

/* An access space: address-mapped peripherals behind the engine. */
struct pst_space {
    void *ctx;
    /* Which right a command to this address needs (PST_RIGHT_*). */
    uint8_t (*right)(void *ctx, uint64_t address, bool write);
    /* PST_PENDING: call again with the same access until it answers otherwise. PST_ERR_FAULT: the
     * target could not; PST_ERR_ARGUMENT: no such register or wrong length; PST_ERR_DENIED. */
    pst_err (*perform)(void *ctx, struct pst_access *a);
    /* The engine gives up a pending access (teardown, timeout). May be NULL. */
    void (*cancel)(void *ctx);
    /* AS_EN_SET, or teardown: open or release what is behind (a debug stub is opened here, never
     * earlier). PST_PENDING is allowed; it is called again. May be NULL. */
    pst_err (*enable)(void *ctx, bool on, const struct pst_gate *gate);
    /* Bytes of an unsolicited event, at most `cap`; 0 when there is none. May be NULL. */
    size_t (*event)(void *ctx, uint8_t *out, size_t cap);
    /* Commands to [urgent_first, urgent_last] overtake a pending one (FullSPP). 1, 0 for none. */
    uint64_t urgent_first, urgent_last;
};

struct pst_spp_engine_config {
    const struct pst_space *spaces[PST_AS_COUNT]; /* NULL: absent */
    const struct pst_gate *gate;                  /* NULL: the bootstrap engine, see below */
    uint8_t *queue; /* commands wait here; outlives the engine */
    size_t queue_len; /* also the credit that PST_SPC_CREDIT reports */
    uint32_t idcode, product;
    bool bootstrap; /* only Nop, Init, VERSIONS, AS_PRESENT, PROFILE, CREDIT, and space SCM */
};
struct pst_spp_engine { /* private */
    struct pst_spp_engine_config config;
    size_t head, tail;      /* queue[head..tail) waits */
    uint32_t offset;        /* progress of a long access */
    uint32_t attempts;      /* progress of a polling loop */
    uint16_t events;
    uint8_t enabled, available; /* bit n: access space n */
    uint8_t enabling;       /* access spaces whose enable is pending */
    bool initialized, blocked, pending, fatal;
};

PST_MUST_CHECK pst_err pst_spp_engine_init(struct pst_spp_engine *e,
                                           const struct pst_spp_engine_config *config);
/* Queues a batch. PST_ERR_DECODE: malformed, nothing was queued. PST_ERR_LIMIT: more than the
 * credit, nothing was queued. */
PST_MUST_CHECK pst_err pst_spp_engine_receive(struct pst_spp_engine *e, const uint8_t *batch,
                                              size_t len);
/* Runs what can run and writes responses and events, whole packets, at most `cap` bytes; 0 when
 * there is nothing to say now. Call until it returns 0. `cap` is at least 64. */
size_t pst_spp_engine_output(struct pst_spp_engine *e, uint8_t *out, size_t cap);
/* Commands wait for something outside. */
bool pst_spp_engine_waiting(const struct pst_spp_engine *e);
/* Teardown: cancels what is pending, releases every enabled access space, forgets the queue.
 * PST_PENDING: call again. */
pst_err pst_spp_engine_stop(struct pst_spp_engine *e);

/* --- client --- */

struct pst_spp_op { /* caller-owned, in use until `done` */
    struct pst_spp_op *next;
    pst_spp_opcode opcode;
    uint8_t space;
    uint64_t address;
    uint8_t *data;       /* source of writes, destination of reads; may be NULL when len is 0 */
    uint32_t len;        /* bytes, any number */
    uint32_t moved;      /* bytes answered so far; for reads possibly fewer than len at the end */
    pst_err result;      /* PST_PENDING until done */
    void (*done)(void *ctx, struct pst_spp_op *op); /* may be NULL */
    void *ctx;
    uint32_t sent;       /* private */
    uint16_t tags;       /* private: commands in flight */
};
struct pst_spp_client { /* private */
    pst_spp_style style;
    uint32_t max_data;   /* bytes of data in one packet */
    size_t credit, in_flight;
    uint16_t tag;
    struct pst_spp_op *first, *last;
    struct { struct pst_spp_op *op; uint32_t offset, len; uint16_t tag; uint16_t size; } flight[64];
    uint8_t flights;
    void (*event)(void *ctx, struct pst_bytes payload, uint8_t space);
    void *ctx;
};
void pst_spp_client_init(struct pst_spp_client *c, pst_spp_style style, uint32_t max_data,
                         size_t credit);
/* Queues `op`; fields above `moved` and `done`, `ctx` are the caller's. */
void pst_spp_client_submit(struct pst_spp_client *c, struct pst_spp_op *op);
/* The next batch, at most `cap` bytes; 0 when nothing can be sent now. */
size_t pst_spp_client_batch(struct pst_spp_client *c, uint8_t *out, size_t cap);
/* Responses and events of one message. PST_ERR_DECODE: something that no command asked for. */
PST_MUST_CHECK pst_err pst_spp_client_receive(struct pst_spp_client *c, const uint8_t *msg,
                                              size_t len);
/* Completes everything that is queued or in flight with `why`. */
void pst_spp_client_abort(struct pst_spp_client *c, pst_err why);

#endif
