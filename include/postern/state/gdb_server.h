/* The state of a gdb server. Private: use parts/gdb_server.h; this is public only so that callers
 * can own the memory. */
#ifndef POSTERN_STATE_GDB_SERVER_H
#define POSTERN_STATE_GDB_SERVER_H

#include "postern/parts/gdb_server.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_GDB_REGS 2048  /* largest g block */
#define PST_GDB_SLOTS 4    /* harts whose registers are kept at once */
#define PST_GDB_SINGLES 32 /* single registers that are kept */
#define PST_GDB_HARTS 64   /* most harts that are reported to gdb */
#define PST_GDB_BREAKS 128
#define PST_GDB_TEXT 200

struct pst_gdb_break {
    uint64_t address;
    uint16_t kind;
    uint8_t type;
    bool used, wanted, placed;
    bool known; /* the stub accepted it before */
};

struct pst_gdb_server {
    struct pst_gdb_server_config config;
    struct pst_gdb_counters counters;
    pst_gdb_state state;

    /* gdb's side */
    struct pst_rsp_reader in;
    uint8_t *out;
    size_t out_cap, out_head, out_tail;
    size_t last_at, last_len; /* the last packet sent, to repeat it after a NAK */
    bool no_ack, asked, held, awaiting_stop, ending;
    bool gdb_swbreak, gdb_hwbreak;
    uint64_t beat_ms;
    char message[PST_GDB_TEXT]; /* printed as soon as gdb takes console output */

    /* operations on the target */
    struct pst_spp_op ops[6], interrupt, ahead;
    uint8_t interrupt_data[4];
    uint8_t op_count;
    unsigned outstanding;
    bool turning, interrupting, interrupt_wanted, break_failed, resume_pending, ahead_pending;
    bool stop_came, ahead_awaited, gather_off;
    void (*then)(struct pst_gdb_server *g);       /* called when no operation is outstanding */
    void (*not_halted)(struct pst_gdb_server *g); /* called if the interrupt is refused */
    uint8_t *work, *report, *ahead_data, *archive;
    size_t archive_len;
    uint8_t map_bytes[PST_CACHE_REGIONS * 24];
    char arch_name[64];
    const struct pst_arch *arch;

    /* what is known of the halted CPU */
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
    struct pst_gdb_break probe; /* the breakpoint of a Z or z packet */
    uint64_t seq_next;          /* where a sequential read would continue */
    uint64_t ahead_address;
    uint32_t ahead_epoch;
    uint8_t ahead_failures;
};

#ifdef __cplusplus
}
#endif

#endif
