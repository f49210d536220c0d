#include "gdb/gdb.h"

#include <string.h>

#define RESUME_RECORD 24u
#define MAX_ACTIONS 8u

/* --- halting --- */

void psti_gdb_not_halted(struct pst_gdb_server *g)
{
    if (g->state == PST_GDB_RUNNING) {
        psti_gdb_notice_error(g, "halt the CPU", 0, 0, g->interrupt.result);
    }
}

/* --- resuming --- */

static void resume(struct pst_gdb_server *g, size_t len);

static void resumed(struct pst_gdb_server *g)
{
    g->asked = false; /* the reply to vCont is the stop */
    g->awaiting_stop = true;
    if (g->break_failed) {
        /* The program runs without a breakpoint that gdb takes for set: halt it. */
        g->interrupt_wanted = true;
    }
    if (g->stop_came) {
        psti_gdb_stopped(g);
    } else if (g->interrupt_wanted) {
        psti_gdb_interrupt(g, psti_gdb_not_halted);
    }
}

static void resume_done(struct pst_gdb_server *g)
{
    pst_err result = g->ops[g->op_count - 1].result;
    bool gather_failed = false;
    g->resume_pending = false;
    g->break_failed = false;
    for (size_t i = 0; i < g->op_count; i++) {
        const struct pst_spp_op *op = &g->ops[i];
        if (op->address == PST_RUN_BREAK) {
            g->break_failed = op->result != PST_OK;
            psti_gdb_break_done(g, op->result == PST_OK);
            if (g->break_failed) {
                psti_gdb_notice_error(g, "set or remove a breakpoint", 0, 0, op->result);
            }
        } else if (op->address == PST_RUN_GATHER && op->result == PST_OK) {
            memcpy(g->gather_sent, g->gather_next, g->gather_next_len);
            g->gather_sent_len = g->gather_next_len;
        } else if (op->address == PST_RUN_GATHER && !g->break_failed) {
            gather_failed = true;
        }
    }
    if (g->state == PST_GDB_ENDED) {
        g->asked = false; /* the stop reply is the answer */
        psti_gdb_stopped(g);
    } else if (result == PST_OK) {
        resumed(g);
    } else if (gather_failed && !g->gather_off) {
        g->gather_off = true; /* debugging works without it */
        resume(g, g->resume_len);
    } else {
        g->state = PST_GDB_HALTED;
        psti_gdb_reply_error(
            g, g->break_failed ? "a breakpoint was not accepted" : "cannot resume the CPU", result);
        g->message[0] = '\0';
    }
}

/* One batch. Breakpoints go first: if they fail, the target drops the rest. */
static void resume(struct pst_gdb_server *g, size_t len)
{
    g->resume_len = len;
    size_t breaks = psti_gdb_break_list(g, false);
    g->gather_next_len = pst_gather_list(&g->gather, g->gather_next);
    bool gather =
        !g->gather_off && (g->gather_next_len != g->gather_sent_len ||
                           memcmp(g->gather_next, g->gather_sent, g->gather_next_len) != 0);
    g->state = PST_GDB_RUNNING;
    g->resume_pending = true;
    g->stop_came = g->interrupt_wanted = false;
    g->counters.resumes++;
    psti_gdb_regs_forget(g);
    pst_cache_resume(&g->cache);
    psti_gdb_ops_begin(g);
    if (breaks > 0) {
        psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_RUN, PST_RUN_BREAK, g->break_bytes, breaks);
    }
    if (gather) {
        psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_RUN, PST_RUN_GATHER, g->gather_next,
                         g->gather_next_len);
    }
    psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_RUN, PST_RUN_RESUME, g->resume_bytes, len);
    psti_gdb_ops_end(g, resume_done);
}

/* --- vCont --- */

struct action {
    uint8_t what, signal;
    uint64_t first, end;
    uint32_t hart;
};

static void put_action(struct pst_writer *w, const struct action *a)
{
    pst_put_u32(w, a->hart);
    pst_put_u8(w, a->what);
    pst_put_u8(w, a->signal);
    pst_put_u16(w, 0);
    pst_put_u64(w, a->first);
    pst_put_u64(w, a->end);
}

static uint8_t get_signal(struct pst_reader *r)
{
    uint64_t v = pst_rsp_get_number(r);
    pst_require(r, v <= UINT8_MAX);
    return (uint8_t)v;
}

static void get_action(struct pst_gdb_server *g, struct pst_reader *r, struct action *a)
{
    uint8_t c = pst_get_u8(r);
    *a = (struct action){.what = PST_RUN_CONTINUE};
    if (c == 'C' || c == 'S') {
        a->signal = get_signal(r);
    } else if (c == 'r') {
        a->first = pst_rsp_get_number(r);
        pst_require(r, pst_rsp_take_char(r, ','));
        a->end = pst_rsp_get_number(r);
    } else if (c == 't') {
        a->what = PST_RUN_STAY;
    } else {
        pst_require(r, c == 'c' || c == 's');
    }
    if (c == 's' || c == 'S') {
        a->what = PST_RUN_STEP;
    } else if (c == 'r') {
        a->what = PST_RUN_STEP_RANGE;
    }
    if (pst_rsp_take_char(r, ':')) {
        struct pst_rsp_thread t = pst_rsp_get_thread(r);
        bool all = t.tid == PST_RSP_ALL;
        pst_require(r, all || t.tid == 0 || psti_gdb_has_hart(g, t.tid));
        a->hart = all ? 0 : t.tid == 0 ? g->hart : (uint32_t)t.tid;
    }
}

void psti_gdb_on_vcont(struct pst_gdb_server *g, struct pst_reader *r)
{
    struct pst_writer w = pst_writer_of(g->resume_bytes, sizeof g->resume_bytes);
    bool runs = false;
    for (size_t n = 0; n < MAX_ACTIONS && pst_rsp_take_char(r, ';'); n++) {
        struct action a;
        get_action(g, r, &a);
        runs = runs || a.what != PST_RUN_STAY;
        put_action(&w, &a);
    }
    if (pst_finish(r) != PST_OK || w.failed || w.used == 0) {
        psti_gdb_reply_error(g, "malformed vCont", PST_OK);
    } else if (!runs) {
        psti_gdb_reply_stop(g); /* every hart stays halted */
    } else {
        resume(g, w.used);
    }
}

static void run_one(struct pst_gdb_server *g, struct pst_reader *r, uint8_t what, bool has_signal)
{
    struct action a = {.what = what};
    struct pst_writer w = pst_writer_of(g->resume_bytes, sizeof g->resume_bytes);
    if (has_signal) {
        a.signal = get_signal(r);
    }
    if (pst_finish(r) != PST_OK) {
        /* `c ADDRESS` is not used by gdb: it writes the pc itself. */
        psti_gdb_reply_error(g, "resuming at an address is not supported", PST_OK);
        return;
    }
    a.hart = what == PST_RUN_STEP ? (g->hart_c != 0 ? g->hart_c : g->hart) : 0;
    put_action(&w, &a);
    resume(g, w.used);
}

void psti_gdb_on_continue(struct pst_gdb_server *g, struct pst_reader *r)
{
    run_one(g, r, PST_RUN_CONTINUE, false);
}

void psti_gdb_on_continue_sig(struct pst_gdb_server *g, struct pst_reader *r)
{
    run_one(g, r, PST_RUN_CONTINUE, true);
}

void psti_gdb_on_step(struct pst_gdb_server *g, struct pst_reader *r)
{
    run_one(g, r, PST_RUN_STEP, false);
}

void psti_gdb_on_step_sig(struct pst_gdb_server *g, struct pst_reader *r)
{
    run_one(g, r, PST_RUN_STEP, true);
}

/* --- leaving --- */

/* Removes all breakpoints: a CPU that meets one later would stop with nobody there. */
static void detach(struct pst_gdb_server *g, psti_gdb_then then)
{
    size_t breaks = psti_gdb_break_list(g, true);
    if (g->state == PST_GDB_ENDED || g->state == PST_GDB_DETACHED) {
        then(g);
        return;
    }
    psti_gdb_ops_begin(g);
    if (breaks > 0) {
        psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_RUN, PST_RUN_BREAK, g->break_bytes, breaks);
    }
    g->work[0] = 0;
    psti_gdb_ops_add(g, PST_SPP_WRITE, PST_AS_RUN, PST_RUN_DETACH, g->work, 1);
    psti_gdb_ops_end(g, then);
}

static void left(struct pst_gdb_server *g)
{
    if (g->state == PST_GDB_ENDED || g->state == PST_GDB_DETACHED) {
        return;
    }
    pst_err err = g->ops[g->op_count - 1].result;
    if (err != PST_OK && err != PST_ERR_CLOSED && g->state != PST_GDB_OBSERVING) {
        psti_gdb_notice_error(
            g,
            "resume the CPU (the target's policy decides what happens to it when the session ends)",
            0, 0, err);
    }
    memset(g->breaks, 0, sizeof g->breaks);
    g->awaiting_stop = false;
    g->state = PST_GDB_DETACHED;
    g->signal = 0;
}

static void detach_done(struct pst_gdb_server *g)
{
    left(g);
    psti_gdb_reply_text(g,
                        "OK"); /* gdb may leave in any case: the end of the session does the rest */
}

static void kill_done(struct pst_gdb_server *g)
{
    left(g);
    g->asked = false;
    g->ending = true;
}

void psti_gdb_on_detach(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    detach(g, detach_done);
}

/* A device in the field is not killed: it is left as the policy says. */
void psti_gdb_on_kill(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    detach(g, kill_done);
}
