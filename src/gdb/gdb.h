/* What the files of the gdb server share; see include/postern/parts/gdb_server.h. Each file uses
 * only files below it, but for the table of packets.c, which names the handlers of all others:
 *
 * server.c                                       bytes in and out, attach, the end
 * packets.c                                      the table of packets, and packets that need no
 *                                                target
 * run.c (vCont and the like, detach)  memory.c (m, M, X, qCRC)  regs.c (g, G, p, P)  docs.c (qXfer)
 * breaks.c                                       Z, z
 * reply.c                                        replies, messages, stop replies
 * ops.c  state.c                                 operations on the target; what is known of it
 * cache.c  gather.c                              parts of their own: cache.h
 */
#ifndef PST_GDB_GDB_H
#define PST_GDB_GDB_H

#include "postern/parts/gdb_server.h"

typedef void (*psti_gdb_then)(struct pst_gdb_server *g);

/* --- operations: begin, any number of read and write, then end --- */
void psti_gdb_ops_begin(struct pst_gdb_server *g);
/* Submits one and returns its index. `data` stays in use until it is done. */
size_t psti_gdb_ops_add(struct pst_gdb_server *g, pst_spp_opcode opcode, uint8_t space,
                        uint64_t address, uint8_t *data, size_t len);
/* `then` runs once all of them are done. Counts a round trip. */
void psti_gdb_ops_end(struct pst_gdb_server *g, psti_gdb_then then);
/* Halts every hart, unless an interrupt is under way already. If the target refuses, `not_halted`
 * runs and g->interrupt.result says why. */
void psti_gdb_interrupt(struct pst_gdb_server *g, psti_gdb_then not_halted);
/* Reads ahead into the cache. */
void psti_gdb_ahead(struct pst_gdb_server *g, uint64_t address, uint32_t len);
/* `then` runs once the read ahead is done. */
void psti_gdb_ahead_await(struct pst_gdb_server *g, psti_gdb_then then);

/* --- replies --- */
struct psti_gdb_reply {
    struct pst_writer w;
    struct pst_rsp_writer p;
};
/* The object must stay where it is from begin to end. */
void psti_gdb_reply_begin(struct pst_gdb_server *g, struct psti_gdb_reply *r);
void psti_gdb_reply_end(struct pst_gdb_server *g, struct psti_gdb_reply *r);
void psti_gdb_reply_text(struct pst_gdb_server *g, const char *text);
/* `E.`, `what` was asked for, and the reason in words. */
void psti_gdb_reply_error(struct pst_gdb_server *g, const char *what, pst_err err);
/* `Enn`, and a notice with the address. */
void psti_gdb_reply_fault(struct pst_gdb_server *g, const char *what, uint64_t address, size_t len,
                          pst_err err);
void psti_gdb_reply_stop(struct pst_gdb_server *g);
/* The stop that gdb waits for has come, or the end of the session: tells gdb. */
void psti_gdb_stopped(struct pst_gdb_server *g);
/* Console output; only between a resume and its stop reply, or in answer to qRcmd. */
void psti_gdb_console(struct pst_gdb_server *g, const char *text, size_t len);
/* Prints a notice that waits for console output. */
void psti_gdb_tell(struct pst_gdb_server *g);
void psti_gdb_notice(struct pst_gdb_server *g, const char *text);
void psti_gdb_notice_error(struct pst_gdb_server *g, const char *what, uint64_t address, size_t len,
                           pst_err err);

/* --- run.c --- */
/* An interrupt was refused while the program runs: says so. */
void psti_gdb_not_halted(struct pst_gdb_server *g);

/* --- packets --- */
void psti_gdb_dispatch(struct pst_gdb_server *g);
typedef void (*psti_gdb_handler)(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_read(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_write(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_binary(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_crc(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_regs(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_set_regs(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_reg(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_set_reg(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_insert(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_remove(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_vcont(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_continue(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_continue_sig(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_step(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_step_sig(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_detach(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_kill(struct pst_gdb_server *g, struct pst_reader *r);
void psti_gdb_on_xfer(struct pst_gdb_server *g, struct pst_reader *r);

/* --- what is known of the target --- */
/* Takes registers, memory and the reason of a stop. PST_ERR_DECODE: malformed. */
PST_MUST_CHECK pst_err psti_gdb_take_report(struct pst_gdb_server *g, struct pst_bytes report,
                                            uint8_t *state);
/* The g block of a hart; NULL: not known. */
const uint8_t *psti_gdb_regs_of(const struct pst_gdb_server *g, uint32_t hart, size_t *len);
void psti_gdb_regs_keep(struct pst_gdb_server *g, uint32_t hart, struct pst_bytes regs);
/* One register, from the g block; NULL: not known, or not part of it. */
const uint8_t *psti_gdb_block_reg(const struct pst_gdb_server *g, uint32_t hart, uint32_t number,
                                  size_t *len);
/* The same, also if it was read by itself. */
const uint8_t *psti_gdb_reg_of(const struct pst_gdb_server *g, uint32_t hart, uint32_t number,
                               size_t *len);
void psti_gdb_reg_keep(struct pst_gdb_server *g, uint32_t hart, uint32_t number,
                       struct pst_bytes reg);
/* Changes one register of the g block. False: it is not part of it, or has another length. */
bool psti_gdb_reg_patch(struct pst_gdb_server *g, uint32_t hart, uint32_t number,
                        struct pst_bytes reg);
/* Forgets registers that were read by themselves, or all. */
void psti_gdb_singles_forget(struct pst_gdb_server *g);
void psti_gdb_regs_forget(struct pst_gdb_server *g);
/* Registers 0 … n-1 of the g block all have one word: how many, and the word. */
size_t psti_gdb_uniform(const struct pst_gdb_server *g, size_t regs_len, size_t *word);
bool psti_gdb_has_hart(const struct pst_gdb_server *g, uint64_t hart);
/* Writes PST_RUN_BREAK records for every breakpoint that is wanted but not set, or set but not
 * wanted; `all`: removes every one. Returns their length. */
size_t psti_gdb_break_list(struct pst_gdb_server *g, bool all);
void psti_gdb_break_done(struct pst_gdb_server *g, bool accepted);
/* The archive's file of that name; {NULL, 0} if there is none. */
struct pst_bytes psti_gdb_annex(const struct pst_gdb_server *g, struct pst_bytes name);
bool psti_gdb_annex_ok(const struct pst_gdb_server *g);

#endif
