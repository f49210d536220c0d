/* The SCM access space: the security agent's mailbox, and what a session may read about itself. The
 * register map is in mipi_profile.h (provisional). */
#include <string.h>

#include "ts/ts.h"

static uint8_t right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

void psti_ts_mailbox_clear(struct pst_target_context *c)
{
    struct pst_mailbox *m = &c->mailbox;
    m->request_len = 0;
    m->answer_len = 0;
    m->running = false;
    m->delivered = false;
}

static pst_err write_data(struct pst_mailbox *m, uint64_t offset, const struct pst_access *a)
{
    if (offset > m->half || a->len > m->half - offset) {
        return PST_ERR_ARGUMENT;
    }
    if (m->running) {
        return PST_ERR_BUSY;
    }
    memcpy(m->request + offset, a->data, a->len);
    if (offset + a->len > m->request_len) {
        m->request_len = (size_t)offset + a->len;
    }
    return PST_OK;
}

static void finish(struct pst_mailbox *m, pst_err err)
{
    if (err != PST_PENDING) {
        m->running = false;
        m->request_len = 0;
    }
}

/* spec: DSP0274: a message travels in the context of its session, or in none. */
static pst_err go(struct pst_target_context *c, uint32_t len)
{
    struct pst_mailbox *m = &c->mailbox;
    if (m->running) {
        return PST_ERR_BUSY;
    }
    if (len == 0 || len > m->request_len) {
        return PST_ERR_ARGUMENT;
    }
    uint32_t context = c->protected_ ? c->session_id : PST_SPDM_CLEAR;
    m->answer_len = 0;
    m->delivered = false;
    m->running = true;
    pst_err err = pst_responder_handle(&c->responder, context, m->request, len, m->answer, m->half,
                                       &m->answer_len);
    finish(m, err);
    return err == PST_PENDING ? PST_OK : err;
}

static pst_err read_answer(struct pst_target_context *c, uint64_t offset, struct pst_access *a)
{
    struct pst_mailbox *m = &c->mailbox;
    if (m->running) {
        pst_err err = pst_responder_resume(&c->responder, m->answer, m->half, &m->answer_len);
        finish(m, err);
        if (err != PST_OK) {
            return err;
        }
    }
    if (offset > m->answer_len) {
        return PST_ERR_ARGUMENT;
    }
    size_t left = m->answer_len - (size_t)offset;
    /* After a read that was filled, another one may follow, and keys must not change in between. */
    m->delivered =
        m->answer_len > 0 && (a->len > left || (a->len == left && m->answer_len == m->half));
    a->len = a->len < left ? a->len : (uint32_t)left;
    memcpy(a->data, m->answer + offset, a->len);
    return PST_OK;
}

static pst_err read_text(struct pst_access *a, const char *text)
{
    size_t len = strlen(text);
    a->len = a->len < len ? a->len : (uint32_t)len;
    memcpy(a->data, text, a->len);
    return PST_OK;
}

static void who(const struct pst_target_context *c, struct psti_text *s)
{
    if (c->phase != PST_CONTEXT_REFUSED) {
        return;
    }
    const struct pst_target_context *holder = psti_ts_holder(c->target);
    if (c->refusal != NULL || holder == NULL) {
        psti_put(s, c->refusal != NULL ? c->refusal : "the target is being released");
        return;
    }
    psti_put(s, "held by ");
    psti_put(s, holder->name);
    psti_put(s, " for ");
    psti_put_u64(s, (psti_ts_now(c->target) - holder->since_ms) / 1000);
    psti_put(s, " s");
    if (holder->since_s > 0) {
        psti_put(s, ", since ");
        psti_put_u64(s, holder->since_s);
    }
}

static pst_err read_about(struct pst_target_context *c, struct pst_access *a)
{
    char text[256];
    struct psti_text s = psti_text_of(text, sizeof text);

    if (c->phase != PST_CONTEXT_LIVE && c->phase != PST_CONTEXT_REFUSED) {
        return PST_ERR_DENIED; /* nothing is told before FINISH */
    }
    if (a->address == PST_SCM_WHO) {
        who(c, &s);
    } else if (a->address == PST_SCM_GRANTS) {
        (void)pst_grants_text(&c->grants, text, sizeof text);
    } else {
        psti_put(&s, c->target->config->device);
    }
    return read_text(a, text);
}

static pst_err write_register(struct pst_target_context *c, const struct pst_access *a)
{
    if (a->address >= PST_SCM_DATA && a->address < PST_SCM_RESPONSE) {
        return write_data(&c->mailbox, a->address - PST_SCM_DATA, a);
    }
    if (a->len != 4) {
        return PST_ERR_ARGUMENT;
    }
    uint32_t value = pst_peek_u32(a->data);
    if (a->address == PST_SCM_GO) {
        return go(c, value);
    }
    if (a->address == PST_SCM_HOLD && c->phase == PST_CONTEXT_LIVE) {
        c->engine.quiet = value != 0;
        return PST_OK;
    }
    return PST_ERR_ARGUMENT;
}

static pst_err perform(void *ctx, struct pst_access *a)
{
    struct pst_target_context *c = ctx;

    /* A native link has no mailbox: its messages come through native.c, and the responder must not
     * be entered twice. */
    if (c->native && (a->address < PST_SCM_HOLD || a->address >= PST_SCM_DATA)) {
        return PST_ERR_ARGUMENT;
    }
    if (a->write) {
        return write_register(c, a);
    }
    if (a->address >= PST_SCM_RESPONSE) {
        return read_answer(c, a->address - PST_SCM_RESPONSE, a);
    }
    switch (a->address) {
    case PST_SCM_STATUS:
        if (a->len != 4) {
            return PST_ERR_ARGUMENT;
        }
        pst_poke_u32(a->data, (uint32_t)c->mailbox.answer_len);
        return PST_OK;
    case PST_SCM_WHO:
    case PST_SCM_GRANTS:
    case PST_SCM_DEVICE:
        return read_about(c, a);
    default:
        return PST_ERR_ARGUMENT;
    }
}

void psti_ts_mailbox_init(struct pst_target_context *c, const struct pst_target_buffers *b)
{
    c->mailbox = (struct pst_mailbox){
        .request = b->mailbox,
        .answer = b->mailbox + b->mailbox_len / 2,
        .half = b->mailbox_len / 2,
    };
    c->scm = (struct pst_space){
        .ctx = c,
        .right = right,
        .perform = perform,
        .urgent_first = 0,
        .urgent_last = UINT64_MAX,
    };
}
