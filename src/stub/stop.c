#include <string.h>

#include "stub/stub.h"

enum { SIGNAL_INT = 2, SIGNAL_TRAP = 5 };

/* --- resuming --- */

static pst_err decode_resume(struct pst_stub *s, struct pst_reader *list)
{
    struct pst_stub_resume entries[PST_STUB_RESUMES];
    uint8_t n = 0;
    while (list->left > 0 && n < PST_STUB_RESUMES) {
        struct pst_stub_resume *e = &entries[n++];
        e->hart = pst_get_u32(list);
        e->action = pst_get_u8(list);
        e->signal = pst_get_u8(list);
        pst_require(list, pst_get_u16(list) == 0 && e->action <= PST_RUN_STAY);
        e->first = pst_get_u64(list);
        e->end = pst_get_u64(list);
        pst_require(list, e->hart == 0 || psti_stub_thread_of(s, e->hart) != 0);
    }
    if (n == 0 || pst_finish(list) != PST_OK) {
        return PST_ERR_ARGUMENT;
    }
    memcpy(s->resumes, entries, n * sizeof *entries);
    s->resume_count = n;
    return PST_OK;
}

static void put_action(const struct pst_stub *s, struct pst_rsp_writer *p,
                       const struct pst_stub_resume *e)
{
    bool step = e->action != PST_RUN_CONTINUE;
    if (e->action == PST_RUN_STEP_RANGE && s->has_range) {
        pst_rsp_put_char(p, 'r');
        pst_rsp_put_number(p, e->first);
        pst_rsp_put_char(p, ',');
        pst_rsp_put_number(p, e->end);
    } else if (e->signal != 0) {
        const uint8_t signal = e->signal;
        pst_rsp_put_char(p, step ? 'S' : 'C');
        pst_rsp_put_hex(p, &signal, 1);
    } else {
        pst_rsp_put_char(p, step ? 's' : 'c');
    }
}

static bool is_named(const struct pst_stub *s, uint32_t hart)
{
    for (size_t i = 0; i < s->resume_count; i++) {
        if (s->resumes[i].hart == hart) {
            return true;
        }
    }
    return false;
}

static void put_entry(const struct pst_stub *s, struct pst_rsp_writer *p,
                      const struct pst_stub_resume *e, uint64_t thread)
{
    pst_rsp_put_char(p, ';');
    put_action(s, p, e);
    if (thread != 0 && s->has_threads) {
        pst_rsp_put_char(p, ':');
        pst_rsp_put_number(p, thread);
    }
}

/* vCont leaves a hart halted that it does not name. So if one is to stay, all others are named. */
static void put_list(const struct pst_stub *s, struct pst_rsp_writer *p)
{
    bool stays = false;
    for (size_t i = 0; i < s->resume_count; i++) {
        const struct pst_stub_resume *e = &s->resumes[i];
        stays |= e->action == PST_RUN_STAY;
        if (e->action == PST_RUN_STAY) {
            continue;
        }
        if (e->hart != 0 || !stays) {
            put_entry(s, p, e, psti_stub_thread_of(s, e->hart));
            continue;
        }
        for (size_t slot = 0; slot < PST_STUB_HARTS; slot++) {
            if (s->harts[slot].used && !is_named(s, psti_stub_hart(s, slot))) {
                put_entry(s, p, e, s->harts[slot].thread);
            }
        }
    }
}

/* A stub without vCont: the first entry, for its current hart. */
static void put_plain(const struct pst_stub *s, struct pst_rsp_writer *p)
{
    const struct pst_stub_resume *e = &s->resumes[0];
    const uint8_t signal = e->signal;
    bool step = e->action == PST_RUN_STEP || e->action == PST_RUN_STEP_RANGE;
    pst_rsp_put_char(p, signal != 0 ? (step ? 'S' : 'C') : (step ? 's' : 'c'));
    if (signal != 0) {
        pst_rsp_put_hex(p, &signal, 1);
    }
}

static void run(struct pst_stub *s)
{
    struct pst_rsp_writer p = psti_stub_begin(s);
    if (s->has_vcont) {
        pst_rsp_put_text(&p, "vCont");
        put_list(s, &p);
    } else {
        put_plain(s, &p);
    }
    s->running = true;
    s->breaking = s->quiet = s->resume_due = s->step_check = false;
    s->report_valid = false;
    psti_stub_send(s, &p, NULL);
    for (size_t i = 0; i < s->resume_count; i++) {
        s->resumes[i].signal = 0; /* a signal is delivered once */
    }
}

pst_err psti_stub_resume(struct pst_stub *s, struct pst_reader *list)
{
    if (s->exited) {
        return PST_ERR_FAULT;
    }
    PST_TRY(decode_resume(s, list));
    s->stepping = false;
    for (uint8_t i = 0; i < s->resume_count && !s->stepping; i++) {
        s->stepping = s->resumes[i].action == PST_RUN_STEP_RANGE && !s->has_range;
        s->range = i;
    }
    s->steps = 0;
    s->interrupt = false;
    s->event_ready = false;
    s->report_active = false;
    run(s);
    return PST_OK;
}

bool psti_stub_go_task(struct pst_stub *s)
{
    if (!s->resume_due || (s->access.used && !s->access.done && !s->access.deferred)) {
        return false;
    }
    if (s->interrupt) {
        /* The interrupt came while an access had halted the CPU. */
        s->resume_due = s->stepping = s->interrupt = false;
        s->stop.signal = SIGNAL_INT;
        psti_stub_report_begin(s, true);
        return true;
    }
    run(s);
    return true;
}

/* --- stopping --- */

static bool get_reason(struct pst_stub *s, struct pst_bytes key)
{
    static const struct {
        const char *word;
        uint8_t reason;
    } words[] = {
        {"watch",   PST_STOP_WATCH       },
        {"rwatch",  PST_STOP_READ_WATCH  },
        {"awatch",  PST_STOP_ACCESS_WATCH},
        {"swbreak", PST_STOP_SW_BREAK    },
        {"hwbreak", PST_STOP_HW_BREAK    },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i].word) == key.len && memcmp(key.at, words[i].word, key.len) == 0) {
            s->stop.reason = words[i].reason;
            return true;
        }
    }
    return false;
}

static void get_pc(struct pst_stub *s, struct pst_bytes key, struct pst_bytes value)
{
    struct pst_reader k = pst_reader_of(key.at, key.len);
    struct pst_reader v = pst_reader_of(value.at, value.len);
    uint8_t bytes[8] = {0};
    uint64_t number = pst_rsp_get_number(&k);
    if (s->arch == NULL || pst_finish(&k) != PST_OK || number != s->arch->pc / s->arch->word ||
        pst_rsp_get_hex(&v, bytes, sizeof bytes) != s->arch->word || v.left > 0) {
        return;
    }
    s->stop.pc = psti_stub_get_value(bytes, s->arch->word);
    s->stop.has_pc = true;
}

static void on_pair(struct pst_stub *s, struct pst_bytes pair)
{
    struct pst_reader r = pst_reader_of(pair.at, pair.len);
    struct pst_bytes key = pst_rsp_get_until(&r, ':');
    struct pst_bytes value = {r.at, r.left};
    if (key.len == 6 && memcmp(key.at, "thread", 6) == 0) {
        struct pst_rsp_thread t = pst_rsp_get_thread(&r);
        if (!r.failed && t.tid != 0 && t.tid != PST_RSP_ALL) {
            s->stop.hart = psti_stub_hart_of(s, t.tid);
            s->general = t.tid; /* a stop reply selects its thread, for gdb too */
        }
    } else if (key.len > 0 && get_reason(s, key)) {
        if (s->stop.reason >= PST_STOP_WATCH) {
            s->stop.address = pst_rsp_get_number(&r);
        }
    } else if (key.len > 0) {
        get_pc(s, key, value);
    }
}

bool psti_stub_parse_stop(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    char kind = (char)pst_get_u8(&r);
    uint8_t code = 0;
    struct pst_bytes digits = pst_get_block(&r, 2);
    struct pst_reader d = pst_reader_of(digits.at, digits.len);
    if ((kind != 'S' && kind != 'T' && kind != 'W' && kind != 'X') ||
        pst_rsp_get_hex(&d, &code, 1) != 1) {
        return false;
    }
    memset(&s->stop, 0, sizeof s->stop);
    s->stop.signal = code;
    s->stop.hart = psti_stub_first_hart(s);
    if (kind == 'W' || kind == 'X') {
        s->stop.reason = PST_STOP_EXITED;
        s->exited = true;
    }
    while (kind == 'T' && r.left > 0) {
        on_pair(s, pst_rsp_get_until(&r, ';'));
    }
    return true;
}

/* A halt of our own, or the end of a step, and nothing else. */
static bool is_ours(const struct pst_stub *s)
{
    return s->quiet && s->stop.reason == PST_STOP_SIGNAL &&
           (s->stop.signal == SIGNAL_INT || s->stop.signal == 0);
}

static bool is_step(const struct pst_stub *s)
{
    uint32_t hart = s->resumes[s->range].hart;
    return s->stop.reason == PST_STOP_SIGNAL && s->stop.signal == SIGNAL_TRAP &&
           (hart == 0 || hart == s->stop.hart);
}

static void settle(struct pst_stub *s)
{
    bool ours = is_ours(s), step = s->stepping && is_step(s);
    s->breaking = s->quiet = false;
    if (s->closing) {
        return;
    }
    if (s->interrupt && step) {
        s->stop.signal = SIGNAL_INT; /* the interrupt ended the range, not this step */
    } else if (!s->interrupt && s->stepping && (ours || step)) {
        s->step_check = true;
        return;
    } else if (!s->interrupt && ours) {
        s->resume_due = true;
        return;
    }
    s->interrupt = false;
    s->stepping = false;
    psti_stub_report_begin(s, true);
}

void psti_stub_on_stop(struct pst_stub *s, struct pst_bytes reply)
{
    /* Console output of the program, and its file requests, which are refused. */
    if (reply.len > 0 && reply.at[0] == 'O') {
        return;
    }
    if (reply.len > 0 && reply.at[0] == 'F') {
        psti_stub_ask(s, "F-1,270f", NULL);
        return;
    }
    s->running = false;
    if (!psti_stub_parse_stop(s, reply)) {
        /* The stub could not resume the CPU: it is where it was. */
        memset(&s->stop, 0, sizeof s->stop);
        s->stop.hart = psti_stub_first_hart(s);
    }
    settle(s);
}

/* --- after each step of a range: where is the pc? --- */

static bool is_break(const struct pst_stub *s, uint64_t pc)
{
    for (size_t i = 0; i < s->break_count; i++) {
        if (s->breaks[i].type <= 1 && s->breaks[i].address == pc) {
            return true;
        }
    }
    return false;
}

static void judge(struct pst_stub *s, uint64_t pc)
{
    const struct pst_stub_resume *e = &s->resumes[s->range];
    s->step_check = false;
    bool on = pc >= e->first && pc < e->end && !is_break(s, pc) && !s->interrupt &&
              ++s->steps < PST_STUB_RANGE_STEPS;
    if (on) {
        s->resume_due = true;
        return;
    }
    s->stop.signal = s->interrupt ? SIGNAL_INT : SIGNAL_TRAP;
    s->interrupt = false;
    s->stepping = false;
    psti_stub_report_begin(s, true);
}

static void on_pc(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    uint8_t value[8] = {0};
    if (reply.len == 0 && !s->no_p) {
        s->no_p = true; /* g is used instead */
        return;
    }
    bool ok = !s->no_p && pst_rsp_get_hex(&r, value, sizeof value) == s->arch->word &&
              pst_finish(&r) == PST_OK;
    /* In a g block the pc may lie behind registers that are not available. */
    size_t at = 2 * (size_t)s->arch->pc, len = 2 * (size_t)s->arch->word;
    if (s->no_p && reply.len >= at + len) {
        r = pst_reader_of(reply.at + at, len);
        ok = pst_rsp_get_hex(&r, value, sizeof value) == s->arch->word;
    }
    if (!ok) {
        s->resumes[s->range].end = s->resumes[s->range].first; /* an empty range: stop */
    }
    judge(s, psti_stub_get_value(value, s->arch->word));
}

bool psti_stub_check_task(struct pst_stub *s)
{
    if (!s->step_check) {
        return false;
    }
    if (s->stop.has_pc) {
        judge(s, s->stop.pc);
        return true;
    }
    if (s->arch == NULL) {
        s->resumes[s->range].end = s->resumes[s->range].first;
        judge(s, 0);
        return true;
    }
    uint32_t hart = s->resumes[s->range].hart;
    if (psti_stub_select(s, hart != 0 ? hart : s->stop.hart)) {
        return true;
    }
    struct pst_rsp_writer p = psti_stub_begin(s);
    pst_rsp_put_char(&p, s->no_p ? 'g' : 'p');
    if (!s->no_p) {
        pst_rsp_put_number(&p, s->arch->pc / s->arch->word);
    }
    psti_stub_send(s, &p, on_pc);
    return true;
}
