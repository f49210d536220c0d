#include "gdb/gdb.h"

#include <string.h>

void psti_gdb_reply_begin(struct pst_gdb_server *g, struct psti_gdb_reply *r)
{
    memmove(g->out, g->out + g->out_head, g->out_tail - g->out_head);
    g->out_tail -= g->out_head;
    g->out_head = 0;
    r->w = pst_writer_of(g->out + g->out_tail, g->out_cap - g->out_tail);
    r->p = pst_rsp_begin(&r->w);
}

static bool finish(struct pst_gdb_server *g, struct psti_gdb_reply *r)
{
    size_t len = 0;
    pst_rsp_end(&r->p);
    if (pst_written(&r->w, &len) != PST_OK) {
        return false;
    }
    g->last_at = g->out_tail;
    g->last_len = len;
    g->out_tail += len;
    return true;
}

void psti_gdb_reply_end(struct pst_gdb_server *g, struct psti_gdb_reply *r)
{
    g->asked = false;
    if (!finish(g, r)) { /* gdb does not read its replies */
        struct psti_gdb_reply small;
        psti_gdb_reply_begin(g, &small);
        pst_rsp_put_text(&small.p, "E0c");
        (void)finish(g, &small);
    }
}

void psti_gdb_reply_text(struct pst_gdb_server *g, const char *text)
{
    struct psti_gdb_reply r;
    psti_gdb_reply_begin(g, &r);
    pst_rsp_put_text(&r.p, text);
    psti_gdb_reply_end(g, &r);
}

/* --- error texts --- */

static const char *reason(pst_err err)
{
    if (err == PST_ERR_DENIED) {
        return "refused by the target's policy";
    }
    if (err == PST_ERR_FAULT || err == PST_ERR_ARGUMENT) {
        return "the CPU or its debug stub cannot do it";
    }
    if (err == PST_ERR_CLOSED) {
        return "the session with the target has ended";
    }
    if (err == PST_ERR_AUDIT) {
        return "refused because the target cannot write its audit log";
    }
    if (err == PST_ERR_STATE) {
        return "the CPU is not halted";
    }
    return pst_err_text(err);
}

static void put_text(struct pst_writer *w, const char *text)
{
    pst_put_bytes(w, text, strlen(text));
}

static void put_hex(struct pst_writer *w, uint64_t v)
{
    char digits[PST_DIGITS];
    pst_put_bytes(w, digits, pst_digits(v, 16, digits));
}

static void put_decimal(struct pst_writer *w, uint64_t v)
{
    char digits[PST_DIGITS];
    pst_put_bytes(w, digits, pst_digits(v, 10, digits));
}

void psti_gdb_reply_error(struct pst_gdb_server *g, const char *what, pst_err err)
{
    struct psti_gdb_reply r;
    g->counters.errors++;
    psti_gdb_reply_begin(g, &r);
    pst_rsp_put_text(&r.p, "E.");
    pst_rsp_put_text(&r.p, what);
    if (err != PST_OK) {
        pst_rsp_put_text(&r.p, ": ");
        pst_rsp_put_text(&r.p, reason(err));
    }
    psti_gdb_reply_end(g, &r);
}

void psti_gdb_notice(struct pst_gdb_server *g, const char *text)
{
    if (g->config.backend.notice != NULL) {
        g->config.backend.notice(g->config.backend.ctx, text);
    }
    size_t len = strlen(text);
    len = len < sizeof g->message - 1 ? len : sizeof g->message - 1;
    memcpy(g->message, text, len);
    g->message[len] = '\0';
}

void psti_gdb_notice_error(struct pst_gdb_server *g, const char *what, uint64_t address, size_t len,
                           pst_err err)
{
    char text[PST_GDB_TEXT];
    struct pst_writer w = pst_writer_of(text, sizeof text - 1);
    put_text(&w, "cannot ");
    put_text(&w, what);
    if (len != 0) {
        put_text(&w, ", ");
        put_decimal(&w, len);
        put_text(&w, len == 1 ? " byte at 0x" : " bytes at 0x");
        put_hex(&w, address);
    }
    put_text(&w, ": ");
    put_text(&w, reason(err));
    text[w.used] = '\0';
    psti_gdb_notice(g, text);
}

void psti_gdb_reply_fault(struct pst_gdb_server *g, const char *what, uint64_t address, size_t len,
                          pst_err err)
{
    g->counters.errors++;
    /* gdb prints the address itself, so a plain fault needs no notice. */
    if (err != PST_ERR_FAULT) {
        psti_gdb_notice_error(g, what, address, len, err);
    }
    psti_gdb_reply_text(g, err == PST_ERR_DENIED ? "E0d" : err == PST_ERR_FAULT ? "E0e" : "E05");
}

void psti_gdb_console(struct pst_gdb_server *g, const char *text, size_t len)
{
    struct psti_gdb_reply r;
    size_t most = (g->config.packet_size - 8) / 2;
    while (len > 0) {
        size_t n = len < most ? len : most;
        psti_gdb_reply_begin(g, &r);
        pst_rsp_put_char(&r.p, 'O');
        pst_rsp_put_hex(&r.p, text, n);
        (void)finish(g, &r);
        text += n;
        len -= n;
    }
}

void psti_gdb_tell(struct pst_gdb_server *g)
{
    if (g->message[0] != '\0' && g->config.backend.notice == NULL) {
        psti_gdb_console(g, "postern: ", 9);
        psti_gdb_console(g, g->message, strlen(g->message));
        psti_gdb_console(g, "\n", 1);
    }
    g->message[0] = '\0';
}

/* --- stop replies --- */

/* With these, gdb need not ask for registers after the stop. */
static void put_registers(struct pst_gdb_server *g, struct pst_rsp_writer *p)
{
    size_t len = 0, word = 0;
    const uint8_t *regs = psti_gdb_regs_of(g, g->hart, &len);
    size_t n = regs == NULL ? 0 : psti_gdb_uniform(g, len, &word);
    for (size_t i = 0; i < n; i++) {
        pst_rsp_put_char(p, "0123456789abcdef"[i >> 4 & 15]);
        pst_rsp_put_char(p, "0123456789abcdef"[i & 15]);
        pst_rsp_put_char(p, ':');
        pst_rsp_put_hex(p, regs + i * word, word);
        pst_rsp_put_char(p, ';');
    }
}

static void put_reason(const struct pst_gdb_server *g, struct pst_rsp_writer *p)
{
    if ((g->reason == PST_STOP_SW_BREAK && g->gdb_swbreak) ||
        (g->reason == PST_STOP_HW_BREAK && g->gdb_hwbreak)) {
        pst_rsp_put_text(p, g->reason == PST_STOP_SW_BREAK ? "swbreak:;" : "hwbreak:;");
    } else if (g->reason >= PST_STOP_WATCH && g->reason <= PST_STOP_ACCESS_WATCH) {
        static const char *const words[] = {"watch:", "rwatch:", "awatch:"};
        pst_rsp_put_text(p, words[g->reason - PST_STOP_WATCH]);
        pst_rsp_put_number(p, g->watch);
        pst_rsp_put_char(p, ';');
    }
}

static void put_byte_hex(struct pst_rsp_writer *p, uint8_t v)
{
    pst_rsp_put_hex(p, &v, 1);
}

void psti_gdb_reply_stop(struct pst_gdb_server *g)
{
    struct psti_gdb_reply r;
    psti_gdb_reply_begin(g, &r);
    if (g->state == PST_GDB_ENDED || g->state == PST_GDB_DETACHED) {
        bool exited = g->reason == PST_STOP_EXITED || g->state == PST_GDB_DETACHED;
        pst_rsp_put_char(&r.p, exited ? 'W' : 'X');
        put_byte_hex(&r.p,
                     exited ? g->signal : 9); /* X09: gdb prints that the program was killed */
    } else {
        pst_rsp_put_char(&r.p, 'T');
        put_byte_hex(&r.p, g->signal);
        pst_rsp_put_text(&r.p, "thread:");
        pst_rsp_put_number(&r.p, g->hart);
        pst_rsp_put_char(&r.p, ';');
        put_reason(g, &r.p);
        put_registers(g, &r.p);
    }
    psti_gdb_reply_end(g, &r);
}

void psti_gdb_stopped(struct pst_gdb_server *g)
{
    bool asked = g->asked; /* the stop reply does not answer a packet that may be under way */
    if (g->state == PST_GDB_RUNNING) {
        g->state = g->reason == PST_STOP_EXITED ? PST_GDB_ENDED : PST_GDB_HALTED;
    }
    g->awaiting_stop = false;
    psti_gdb_tell(g);
    psti_gdb_reply_stop(g);
    g->asked = asked;
}
