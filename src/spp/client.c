/* The client: operations of any length become pipelined commands within the engine's credit. */
#include <string.h>

#include "packet.h"

/* Kept free for urgent operations, so that an interrupt never waits for credit. */
#define URGENT_CREDIT 96
#define URGENT_FLIGHTS 4

void pst_spp_client_init(struct pst_spp_client *c, pst_spp_style style, uint32_t max_data,
                         size_t credit)
{
    memset(c, 0, sizeof *c);
    c->style = style;
    c->max_data = max_data > 0 ? max_data : 1;
    if (style == PST_SPP_TINY && c->max_data > PST_SPP_TINY_MAX) {
        c->max_data = PST_SPP_TINY_MAX;
    }
    if (c->max_data > UINT16_MAX - PST_SPP_FULL_HEADER) { /* it must fit flight.size */
        c->max_data = UINT16_MAX - PST_SPP_FULL_HEADER;
    }
    c->credit = credit > PST_SPP_QUEUE_MIN ? credit : PST_SPP_QUEUE_MIN;
}

/* --- the list of operations --- */

/* InitializeSPEngine counts as urgent: otherwise urgent operations would overtake it and find no
 * engine. */
static bool is_urgent(const struct pst_spp_op *op)
{
    return op->urgent || op->space == PST_AS_SCM || op->opcode == PST_SPP_INIT;
}

static bool may_fail_alone(const struct pst_spp_op *op)
{
    return op->opcode == PST_SPP_READ || op->space == PST_AS_SCM || !psti_spp_is_system(op->opcode);
}

/* Must fit one packet: a TAP cannot pause between two, and a loop is one command. */
static bool is_whole(const struct pst_spp_op *op)
{
    return (op->opcode != PST_SPP_READ && op->opcode != PST_SPP_WRITE) || op->space == PST_AS_JTAG;
}

static bool can_send(const struct pst_spp_client *c, const struct pst_spp_op *op)
{
    const size_t head = psti_spp_command_head(c->style, op->opcode, op->space);

    if (op->opcode < PST_SPP_NOP || op->opcode > PST_SPP_LOOP || op->space >= PST_AS_COUNT ||
        (op->len > 0 && op->data == NULL)) {
        return false;
    }
    if (op->opcode < PST_SPP_READ_CONFIG) {
        return op->len == 0;
    }
    if (op->opcode < PST_SPP_READ) {
        return op->len == 4;
    }
    if (op->opcode == PST_SPP_LOOP) {
        return op->len == PST_SPP_LOOP_OPERAND;
    }
    if (!is_whole(op)) {
        return true;
    }
    return op->len <= c->max_data &&
           head + (psti_spp_sends_data(op->opcode) ? op->len : 0) <= c->credit;
}

static void append(struct pst_spp_client *c, struct pst_spp_op *op)
{
    struct pst_spp_op **at = &c->first;

    if (!is_urgent(op) && c->last != NULL) {
        at = &c->last->next;
    } else {
        while (*at != NULL && (is_urgent(*at) || !is_urgent(op))) {
            at = &(*at)->next;
        }
    }
    op->next = *at;
    *at = op;
    if (op->next == NULL) {
        c->last = op;
    }
}

static void unlink_op(struct pst_spp_client *c, struct pst_spp_op *op)
{
    struct pst_spp_op **at = &c->first;
    struct pst_spp_op *before = NULL;

    while (*at != NULL && *at != op) {
        before = *at;
        at = &(*at)->next;
    }
    if (*at == NULL) {
        return;
    }
    *at = op->next;
    if (c->last == op) {
        c->last = before;
    }
}

static void complete(struct pst_spp_op *op, pst_err result)
{
    op->next = NULL;
    op->result = result;
    if (op->done != NULL) {
        op->done(op->ctx, op);
    }
}

void pst_spp_client_submit(struct pst_spp_client *c, struct pst_spp_op *op)
{
    op->next = NULL;
    op->moved = op->sent = 0;
    op->tags = 0;
    op->begun = op->ended = false;
    op->fault = PST_OK;
    op->result = PST_PENDING;
    if (!can_send(c, op)) {
        complete(op, PST_ERR_ARGUMENT);
    } else {
        append(c, op);
    }
}

static bool is_unsent(const struct pst_spp_op *op)
{
    return !op->ended && (!op->begun || op->sent < op->len);
}

static void complete_if_over(struct pst_spp_client *c, struct pst_spp_op *op)
{
    if (op->tags > 0 || is_unsent(op)) {
        return;
    }
    unlink_op(c, op);
    complete(op, op->fault);
}

/* --- sending --- */

static bool tag_in_use(const struct pst_spp_client *c, uint16_t tag)
{
    for (uint8_t i = 0; i < c->flights; i++) {
        if (c->flight[i].tag == tag) {
            return true;
        }
    }
    return false;
}

static uint16_t next_tag(struct pst_spp_client *c)
{
    do {
        c->tag++;
    } while (tag_in_use(c, c->tag));
    return c->tag;
}

static void fly(struct pst_spp_client *c, const struct pst_spp_flight *f)
{
    c->flight[c->flights++] = *f;
    c->in_flight += f->size;
    if (f->op != NULL) {
        f->op->tags++;
    }
}

static size_t credit_of(const struct pst_spp_client *c, const struct pst_spp_op *op)
{
    return c->credit >= 8 * URGENT_CREDIT && !is_urgent(op) ? c->credit - URGENT_CREDIT : c->credit;
}

/* Bytes that the next command of `op` carries in batches of `cap` bytes. Independent of how full
 * batch and credit are now: a full packet later is better than a small one now. */
static uint32_t portion(const struct pst_spp_client *c, const struct pst_spp_op *op, size_t cap)
{
    const size_t head = psti_spp_command_head(c->style, op->opcode, op->space);
    /* At most half of the credit, so that one command travels while another runs. */
    const size_t half = credit_of(c, op) / 2;
    const size_t share = half >= 2 * head ? half : credit_of(c, op);
    const size_t most = cap < share ? cap : share;
    uint32_t len = op->len - op->sent;

    if (is_whole(op)) {
        return len;
    }
    if (len > c->max_data) {
        len = c->max_data;
    }
    if (psti_spp_sends_data(op->opcode) && head < most && len > most - head) {
        len = (uint32_t)(most - head);
    }
    return len;
}

static void put_command(struct pst_spp_client *c, struct pst_writer *w, struct pst_spp_op *op,
                        uint32_t len)
{
    const bool write = psti_spp_sends_data(op->opcode);
    const bool step = op->opcode == PST_SPP_READ || op->opcode == PST_SPP_WRITE;
    const struct pst_spp_packet p = {
        .style = c->style,
        .opcode = (uint8_t)op->opcode,
        .space = op->space,
        .proceed = op->opcode == PST_SPP_READ,
        .immediate = true,
        .last = true,
        .tag = c->style == PST_SPP_FULL ? next_tag(c) : 0,
        .count = len,
        .address = op->address + (step ? op->sent : 0),
        .data = {write ? op->data + op->sent : NULL, write ? len : 0},
    };
    const size_t before = w->used;

    pst_spp_put_command(w, &p);
    fly(c, &(struct pst_spp_flight){
               .op = op,
               .offset = op->sent,
               .len = op->opcode == PST_SPP_LOOP ? 8 : len,
               .size = (uint16_t)(w->used - before),
               .tag = p.tag,
               .opcode = p.opcode,
           });
    op->begun = true;
    op->sent += len;
}

static bool flight_left(const struct pst_spp_client *c, const struct pst_spp_op *op)
{
    return c->flights + (is_urgent(op) ? 0 : URGENT_FLIGHTS) < PST_SPP_FLIGHTS;
}

static size_t size_of(const struct pst_spp_client *c, const struct pst_spp_op *op, uint32_t len)
{
    const size_t head = psti_spp_command_head(c->style, op->opcode, op->space);

    return head + (psti_spp_sends_data(op->opcode) ? len : 0);
}

/* Sends as many commands of `op` as fit; false: some are left. */
static bool send_op(struct pst_spp_client *c, struct pst_writer *w, struct pst_spp_op *op)
{
    while (is_unsent(op)) {
        const uint32_t len = portion(c, op, w->cap);
        const size_t size = size_of(c, op, len);

        if (size > w->cap - w->used || c->in_flight + size > credit_of(c, op) ||
            !flight_left(c, op)) {
            return false;
        }
        put_command(c, w, op, len);
    }
    return true;
}

/* Goes behind every command that the engine refuses as blocked, and before the next one. */
static bool send_unblock(struct pst_spp_client *c, struct pst_writer *w)
{
    const size_t size = psti_spp_command_head(c->style, PST_SPP_UNBLOCK, 0);
    const struct pst_spp_packet p = {
        .style = c->style,
        .opcode = PST_SPP_UNBLOCK,
        .immediate = true,
        .last = true,
        .tag = c->style == PST_SPP_FULL ? next_tag(c) : 0,
    };

    if (w->cap - w->used < size || c->in_flight + size > c->credit ||
        c->flights == PST_SPP_FLIGHTS) {
        return false;
    }
    pst_spp_put_command(w, &p);
    fly(c,
        &(struct pst_spp_flight){.size = (uint16_t)size, .tag = p.tag, .opcode = PST_SPP_UNBLOCK});
    c->blocked = false;
    return true;
}

/* Completes operations that do not fit any batch of `cap` bytes. */
static void drop_oversize(struct pst_spp_client *c, size_t cap)
{
    struct pst_spp_op *op = c->first;

    while (op != NULL) {
        if (!op->begun && !op->ended && size_of(c, op, portion(c, op, cap)) > cap) {
            unlink_op(c, op);
            complete(op, PST_ERR_SPACE);
            op = c->first;
        } else {
            op = op->next;
        }
    }
}

size_t pst_spp_client_batch(struct pst_spp_client *c, uint8_t *out, size_t cap)
{
    struct pst_writer w = pst_writer_of(out, cap);

    drop_oversize(c, cap);
    for (struct pst_spp_op *op = c->first; op != NULL; op = op->next) {
        if (!is_unsent(op)) {
            continue;
        }
        if (c->blocked && op->space != PST_AS_SCM && !send_unblock(c, &w)) {
            break;
        }
        if (!send_op(c, &w, op)) {
            break;
        }
    }
    return w.used;
}

/* --- receiving --- */

/* NULL: it answers nothing that is in flight. */
static struct pst_spp_flight *find_flight(struct pst_spp_client *c, const struct pst_spp_packet *p)
{
    const uint8_t reach = c->style == PST_SPP_TINY && c->flights > 0 ? 1 : c->flights;

    for (uint8_t i = 0; i < reach; i++) {
        if (c->flight[i].tag == p->tag) {
            return c->flight[i].opcode == p->opcode ? &c->flight[i] : NULL;
        }
    }
    return NULL;
}

static void land(struct pst_spp_client *c, struct pst_spp_flight *f)
{
    const size_t behind = (size_t)(&c->flight[c->flights] - (f + 1));

    c->in_flight -= f->size;
    memmove(f, f + 1, behind * sizeof *f);
    c->flights--;
}

static pst_err fault_of(int code)
{
    switch (code) {
    case PST_ERR_ARGUMENT:
    case PST_ERR_SPACE:
    case PST_ERR_UNSUPPORTED:
    case PST_ERR_BUSY:
    case PST_ERR_CLOSED:
    case PST_ERR_TIMEOUT:
    case PST_ERR_LIMIT:
        return (pst_err)code;
    default:
        return PST_ERR_FAULT;
    }
}

/* Turns the peer's error type and code into a pst_err; never PST_OK, never a state. */
static pst_err error_of(const struct pst_spp_packet *p)
{
    switch (p->status) {
    case PST_SPP_BAD_SPACE:
        return PST_ERR_UNSUPPORTED;
    case PST_SPP_DENIED:
        return p->code == (uint8_t) - (int)PST_ERR_AUDIT ? PST_ERR_AUDIT : PST_ERR_DENIED;
    case PST_SPP_FAULT:
        return fault_of(-(int)(uint8_t)p->code);
    case PST_SPP_BLOCKED:
        return PST_ERR_STATE;
    case PST_SPP_TIMEOUT:
        return PST_ERR_TIMEOUT;
    default:
        return PST_ERR_PEER;
    }
}

/* Drops operations behind a failure that would change something. */
static void drop_unsent(struct pst_spp_client *c)
{
    for (struct pst_spp_op *op = c->first; op != NULL; op = op->next) {
        if (is_unsent(op) && !may_fail_alone(op) && !is_urgent(op)) {
            op->ended = true;
            op->fault = PST_ERR_STATE;
        }
    }
}

/* Starts over each time, because callbacks may change the list. */
static void complete_dropped(struct pst_spp_client *c)
{
    struct pst_spp_op *op = c->first;

    while (op != NULL) {
        if (op->ended && op->tags == 0) {
            unlink_op(c, op);
            complete(op, op->fault);
            op = c->first;
        } else {
            op = op->next;
        }
    }
}

static void fail_op(struct pst_spp_client *c, struct pst_spp_op *op, const struct pst_spp_packet *p)
{
    if (!op->ended) { /* else it was shortened or dropped, and the rest is ignored */
        op->fault = error_of(p);
    }
    op->ended = true;
    if (p->status == PST_SPP_BLOCKED || may_fail_alone(op)) {
        return;
    }
    c->blocked = true;
    drop_unsent(c);
}

/* Copies the bytes of `p` to where `f` wants them. Bytes behind a gap are not counted. */
static pst_err take_data(struct pst_spp_flight *f, const struct pst_spp_packet *p)
{
    struct pst_spp_op *op = f->op;
    const bool returns = psti_spp_returns_data(f->opcode);

    if (p->count > f->len || (!returns && p->count != f->len)) {
        return PST_ERR_DECODE;
    }
    if (!p->last && (f->opcode != PST_SPP_READ || p->count == 0)) {
        return PST_ERR_DECODE;
    }
    if (op == NULL || op->ended) {
        return PST_OK;
    }
    if (p->data.len > 0) {
        memcpy(op->data + f->offset, p->data.at, p->data.len);
    }
    op->moved += p->count;
    f->offset += p->count;
    f->len -= p->count;
    if (p->last && returns && f->len > 0) {
        if (f->opcode != PST_SPP_READ) {
            return PST_ERR_DECODE;
        }
        op->ended = true; /* shortened: no more data follows */
    }
    return PST_OK;
}

static pst_err take_response(struct pst_spp_client *c, const struct pst_spp_packet *p)
{
    struct pst_spp_flight *f = find_flight(c, p);
    struct pst_spp_op *op;

    if (f == NULL) {
        return PST_ERR_DECODE;
    }
    op = f->op;
    if (p->status == PST_SPP_OK) {
        PST_TRY(take_data(f, p));
    } else if (!p->last) {
        return PST_ERR_DECODE;
    }
    if (!p->last) {
        return PST_OK;
    }
    if (p->status == PST_SPP_TIMEOUT && op != NULL && f->opcode == PST_SPP_LOOP &&
        p->data.len == 8) {
        memcpy(op->data, p->data.at, 8);
    }
    land(c, f);
    if (op == NULL) {
        return PST_OK;
    }
    op->tags--;
    if (p->status != PST_SPP_OK) {
        fail_op(c, op, p);
    }
    complete_if_over(c, op);
    if (p->status != PST_SPP_OK) {
        complete_dropped(c);
    }
    return PST_OK;
}

pst_err pst_spp_client_receive(struct pst_spp_client *c, const uint8_t *msg, size_t len)
{
    struct pst_reader r = pst_reader_of(msg, len);
    struct pst_spp_packet p;

    while (r.left > 0) {
        PST_TRY(pst_spp_get_response(&r, &p));
        if (p.style != c->style) {
            return PST_ERR_DECODE;
        }
        if (p.opcode == PST_SPP_PAD) {
            continue;
        }
        if (p.opcode != PST_SPP_EVENT) {
            PST_TRY(take_response(c, &p));
        } else if (p.code >= PST_AS_COUNT || p.status != PST_SPP_OK) {
            return PST_ERR_DECODE;
        } else if (c->event != NULL) {
            c->event(c->ctx, p.data, (uint8_t)p.code);
        }
    }
    return PST_OK;
}

void pst_spp_client_abort(struct pst_spp_client *c, pst_err why)
{
    struct pst_spp_op *op = c->first;

    c->first = c->last = NULL;
    c->flights = 0;
    c->in_flight = 0;
    c->blocked = false;
    while (op != NULL) {
        struct pst_spp_op *const next = op->next;

        op->tags = 0;
        op->ended = true;
        complete(op, why);
        op = next;
    }
}
