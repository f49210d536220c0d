/* Drives pst_responder and pst_requester along a recording. */
#include "engines.h"

#include <stdio.h>
#include <string.h>

#include "fakes.h"
#include "postern/parts/requester.h"
#include "postern/parts/responder.h"

static uint8_t answer[65536];

bool engines_left_out(struct recording *c)
{
    if (c->responder_public_key.len == 0) {
        return false;
    }
    (void)snprintf(c->partly, sizeof c->partly,
                   "the engines: a provisioned public key in place of a chain");
    return true;
}

static uint32_t context_of(const struct message *m)
{
    return m->secured ? FAKES_SESSION : PST_SPDM_CLEAR;
}

/* An SPDM message; not discovery, not application data. */
static bool is_spdm(const struct message *m)
{
    return m->spdm.len >= 4;
}

static bool same(struct recording *c, const struct message *m, const char *who, size_t len)
{
    size_t at = 0;

    while (at < len && at < m->spdm.len && answer[at] == m->spdm.at[at]) {
        at++;
    }
    if (at == len && at == m->spdm.len) {
        return true;
    }
    return case_fail(c,
                     "message %d (%s): the %s says %02x at byte %zu of %zu, recorded %02x of %zu",
                     m->n, m->name, who, at < len ? answer[at] : 0, at, len,
                     at < m->spdm.len ? m->spdm.at[at] : 0, m->spdm.len);
}

/* The responder requests a key update where the recorded one did. */
static bool wants_key_update(const struct message *rsp)
{
    return rsp->spdm.len >= 8 && rsp->spdm.at[1] == 0x6A && rsp->spdm.at[5] == 0xE9;
}

static bool respond(struct recording *c, struct pst_responder *r, struct fakes *f,
                    const struct message *req, const struct message *rsp)
{
    size_t len = 0;

    f->outgoing = rsp;
    if (wants_key_update(rsp) && pst_responder_want_key_update(r, FAKES_SESSION) != PST_OK) {
        return case_fail(c, "message %d: the responder refuses to want a key update", rsp->n);
    }
    pst_err err = pst_responder_handle(r, context_of(req), req->spdm.at, req->spdm.len, answer,
                                       sizeof answer, &len);
    if (err != PST_OK) {
        return case_fail(c, "message %d (%s): the responder: %s", req->n, req->name,
                         pst_err_text(err));
    }
    if (!same(c, rsp, "responder", len)) {
        return false;
    }
    pst_responder_sent(r);
    return c->why[0] == '\0';
}

bool engines_responder(struct recording *c)
{
    static struct pst_responder r;
    struct fakes f;
    bool good = fakes_init(c, true, &f);

    if (good && pst_responder_init(&r, &f.config) != PST_OK) {
        good = case_fail(c, "the responder refuses the configuration: %s",
                         pst_spdm_config_check(&f.config, PST_ROLE_RESPONDER));
    } else if (good) {
        for (size_t i = 0; good && i + 1 < c->message_count; i += 2) {
            if (is_spdm(&c->messages[i])) {
                good = respond(c, &r, &f, &c->messages[i], &c->messages[i + 1]);
            }
        }
        good = good && fakes_complete(&f);
        pst_responder_wipe(&r);
    }
    fakes_free(&f);
    return good;
}

/* Derives the operation of the recorded application from its first request. */
static bool operation_of(const struct recording *c, const struct message *m, struct pst_op *op)
{
    struct pst_reader r = pst_reader_of(m->spdm.at, m->spdm.len);
    uint8_t code, first, second;

    pst_skip(&r, 1);
    code = pst_get_u8(&r);
    first = pst_get_u8(&r);
    second = pst_get_u8(&r);
    *op = (struct pst_op){.context = context_of(m)};
    switch (code) {
    case 0x84:
        op->kind = PST_OP_CONNECT;
        return true;
    case 0x81:
        op->kind = PST_OP_DIGESTS;
        return true;
    case 0x82:
        op->kind = PST_OP_CERTIFICATE;
        op->slot = first & 0x0F;
        pst_skip(&r, 2);
        op->portion = pst_get_u16(&r);
        return true;
    case 0x83:
        op->kind = PST_OP_CHALLENGE;
        op->slot = first;
        op->summary = second;
        return true;
    case 0xE0:
        op->kind = PST_OP_MEASUREMENTS;
        op->sign = (first & 1) != 0;
        op->raw = (first & 2) != 0;
        op->index = second;
        pst_skip(&r, op->sign ? 32 : 0);
        op->slot = op->sign ? pst_get_u8(&r) & 0x0F : 0;
        return true;
    case 0xE4:
        op->kind = PST_OP_SESSION;
        op->summary = first;
        op->slot = second;
        return true;
    case 0xE8:
        op->kind = PST_OP_HEARTBEAT;
        return true;
    case 0xE9:
        op->kind = PST_OP_KEY_UPDATE;
        op->all = first == 2;
        return true;
    case 0xEA:
        op->kind = PST_OP_ENCAPSULATED;
        return true;
    case 0xEC:
        op->kind = PST_OP_END_SESSION;
        return true;
    default:
        (void)c;
        return false;
    }
}

/* One message of the requester, and its recorded answer. */
static pst_err request(struct recording *c, struct pst_requester *q, struct fakes *f, size_t i)
{
    const struct message *req = &c->messages[i];
    const struct message *rsp = &c->messages[i + 1];
    uint32_t context = 0;
    size_t len = 0;

    f->outgoing = req;
    pst_err err = pst_requester_next(q, &context, answer, sizeof answer, &len);
    if (err == PST_ERR_STATE) {
        return err;
    }
    if (err != PST_OK || context != context_of(req)) {
        (void)case_fail(c, "message %d (%s): the requester: %s", req->n, req->name,
                        err != PST_OK ? pst_err_text(err) : "in another context");
        return PST_ERR_ARGUMENT;
    }
    if (!same(c, req, "requester", len)) {
        return PST_ERR_ARGUMENT;
    }
    pst_requester_sent(q);
    /* The result and the next request show how it handled the answer. */
    (void)!pst_requester_receive(q, context, rsp->spdm.at, rsp->spdm.len);
    return PST_OK;
}

/* The operation needs a chain that was fetched, but not last: the requester keeps one. */
static bool chain_given_up(struct recording *c, size_t i, const struct pst_op *op)
{
    size_t at = i;
    bool fetched = false, last = true;

    if (op->kind != PST_OP_CHALLENGE && op->kind != PST_OP_SESSION &&
        !(op->kind == PST_OP_MEASUREMENTS && op->sign)) {
        return false;
    }
    while (at-- > 0) {
        struct pst_bytes m = c->messages[at].spdm;

        if (!c->messages[at].request || m.len < 4 || m.at[1] != 0x82) {
            continue;
        }
        fetched = fetched || (m.at[2] & 0x0F) == op->slot;
        if (!fetched) {
            last = false;
        }
    }
    if (fetched && !last) {
        (void)snprintf(c->partly, sizeof c->partly,
                       "the requester from message %d on: it keeps one chain at a time",
                       c->messages[i].n);
    }
    return fetched && !last;
}

/* Runs the operation that message `*i` begins, and moves `*i` behind it. */
static bool operate(struct recording *c, struct pst_requester *q, struct fakes *f, size_t *i)
{
    const struct message *first = &c->messages[*i];
    struct pst_op op;
    uint8_t code = 0;
    pst_err err;

    if (!operation_of(c, first, &op)) {
        return case_fail(c, "message %d (%s): no such operation", first->n, first->name);
    }
    if (chain_given_up(c, *i, &op)) {
        *i = c->message_count;
        return true;
    }
    f->outgoing = first;
    err = pst_requester_start(q, &op);
    if (err != PST_OK) {
        return case_fail(c, "message %d (%s): not started: %s", first->n, first->name,
                         pst_err_text(err));
    }
    while (*i + 1 < c->message_count && (err = request(c, q, f, *i)) == PST_OK) {
        *i += 2;
    }
    if (c->why[0] != '\0') {
        return false;
    }
    bool refused = c->messages[*i - 1].spdm.at[1] == 0x7F;
    err = pst_requester_result(q, &code);
    if (err != (refused ? PST_ERR_PEER : PST_OK)) {
        return case_fail(c, "message %d (%s): the operation ended with: %s", c->messages[*i - 1].n,
                         c->messages[*i - 1].name, pst_err_text(err));
    }
    return true;
}

bool engines_requester(struct recording *c)
{
    static struct pst_requester q;
    struct fakes f;
    bool good = fakes_init(c, false, &f);
    size_t i = 0;

    if (good && pst_requester_init(&q, &f.config) != PST_OK) {
        good = case_fail(c, "the requester refuses the configuration: %s",
                         pst_spdm_config_check(&f.config, PST_ROLE_REQUESTER));
    } else if (good) {
        while (good && i + 1 < c->message_count) {
            if (is_spdm(&c->messages[i])) {
                good = operate(c, &q, &f, &i);
            } else {
                i += 2;
            }
        }
        good = good && (c->partly[0] != '\0' || fakes_complete(&f));
        pst_requester_wipe(&q);
    }
    fakes_free(&f);
    return good;
}
