/* Link messages in data objects, and one end of a mailbox as a stream of link messages. */
#include "postern/links/doe.h"

#include <string.h>

#define SPDM_HEAD 4
#define VENDOR_REQUEST 0xFE
#define VENDOR_RESPONSE 0x7E
#define SPDM_ERROR 0x7F
#define SPDM_VERSION 0x10 /* of messages before a version is negotiated */
#define CONTROL_HEAD (SPDM_HEAD + 2 + 1 + PST_VENDOR_ID_LEN + 2)

static const uint8_t vendor_id[PST_VENDOR_ID_LEN] = PST_VENDOR_ID;

/* The MTU allows for a record with its sequence number, its Length and its tag. The mailbox itself
 * carries more. */
const struct pst_link_traits pst_doe_traits = {
    .mtu = PST_DOE_OBJECT - PST_DOE_HEAD,
    .ordered = true,
    .lossy = false,
    .shared = false,
    .pushes = false,
    .native = true,
    .sequence_len = 0,
};

static const struct pst_binding *doe(void)
{
    return pst_binding_find("doe");
}

/* Moves the control message up and puts the head of a VENDOR_DEFINED message before it. */
static pst_err wrap_control(bool answer, uint8_t *buf, size_t cap, size_t *len)
{
    uint8_t control[PST_LINK_CONTROL_MAX];
    struct pst_writer w = pst_writer_of(buf + PST_DOE_HEAD, cap - PST_DOE_HEAD);

    if (*len > sizeof control) {
        return PST_ERR_UNSUPPORTED;
    }
    memcpy(control, buf + PST_DOE_HEAD, *len);
    pst_put_u8(&w, SPDM_VERSION);
    pst_put_u8(&w, answer ? VENDOR_RESPONSE : VENDOR_REQUEST);
    pst_put_u16(&w, 0);
    pst_put_u16(&w, PST_VENDOR_STANDARD);
    pst_put_u8(&w, PST_VENDOR_ID_LEN);
    pst_put_bytes(&w, vendor_id, sizeof vendor_id);
    pst_put_u16(&w, (uint16_t)*len);
    pst_put_bytes(&w, control, *len);
    return pst_written(&w, len);
}

pst_err pst_doe_wrap(uint8_t kind, bool answer, uint8_t *buf, size_t cap, size_t len, size_t *total)
{
    if (cap < PST_DOE_HEAD || len > cap - PST_DOE_HEAD) {
        return PST_ERR_SPACE;
    }
    if (len == 0) {
        return PST_ERR_UNSUPPORTED; /* an object is never empty */
    }
    if (kind == PST_LINK_CONTROL) {
        PST_TRY(wrap_control(answer, buf, cap, &len));
    } else if (kind != PST_LINK_SPDM && kind != PST_LINK_RECORD) {
        return PST_ERR_UNSUPPORTED;
    }
    return pst_binding_wrap(doe(), kind == PST_LINK_RECORD ? PST_BOUND_RECORD : PST_BOUND_SPDM, buf,
                            cap, len, total);
}

/* True if `body` is a VENDOR_DEFINED message with a control message in it. `body` is then set to
 * the control message. */
static bool is_control(struct pst_bytes *body)
{
    struct pst_reader r = pst_reader_of(body->at, body->len);

    pst_skip(&r, 1);
    const uint8_t code = pst_get_u8(&r);
    pst_require(&r, code == VENDOR_REQUEST || code == VENDOR_RESPONSE);
    pst_skip(&r, 2);
    pst_require(&r, pst_get_u16(&r) == PST_VENDOR_STANDARD);
    pst_require(&r, pst_get_u8(&r) == PST_VENDOR_ID_LEN);
    const struct pst_bytes id = pst_get_block(&r, PST_VENDOR_ID_LEN);
    const struct pst_bytes control = pst_get_block(&r, pst_get_u16(&r));
    if (!pst_reader_ok(&r) || memcmp(id.at, vendor_id, sizeof vendor_id) != 0 || r.left > 3) {
        return false;
    }
    *body = control;
    return true;
}

pst_err pst_doe_unwrap(const uint8_t *object, size_t len, uint8_t *kind, struct pst_bytes *payload)
{
    pst_bound bound;

    PST_TRY(pst_binding_unwrap(doe(), object, len, &bound, payload));
    if (bound == PST_BOUND_DISCOVERY) {
        *kind = 0;
    } else if (bound == PST_BOUND_RECORD) {
        *kind = PST_LINK_RECORD;
    } else {
        *kind = is_control(payload) ? PST_LINK_CONTROL : PST_LINK_SPDM;
    }
    return PST_OK;
}

/* --- an end as a stream --- */

void pst_doe_end_init(struct pst_doe_end *e, bool target, uint8_t *buffer, size_t cap)
{
    memset(e, 0, sizeof *e);
    e->target = target;
    e->buffer = buffer;
    e->cap = cap;
    pst_framing_init(&e->stream, buffer + PST_DOE_HEAD, cap - PST_DOE_HEAD - PST_DOE_SPARE);
}

/* The largest message that fits into an object. */
static uint32_t most(const struct pst_doe_end *e)
{
    return (uint32_t)(e->cap - PST_DOE_SPARE - PST_DOE_HEAD);
}

/* Limits the message size in a HELLO that passes through, so that no end sends more than the
 * mailbox takes. */
static void fit_hello(const struct pst_doe_end *e, struct pst_hello *hello)
{
    if (hello->largest > most(e)) {
        hello->largest = most(e);
    }
}

static pst_err on_own_control(struct pst_doe_end *e, uint8_t *msg, size_t *len)
{
    struct pst_hello hello;
    uint8_t op;
    pst_err why;

    PST_TRY(pst_link_get_control(msg, *len, &op, &hello, &why));
    if (op == PST_CONTROL_HELLO &&
        hello.profile == PST_PROFILE_VERSION) { /* the other end refuses another profile */
        e->numbered = hello.shared || hello.mctp;
        fit_hello(e, &hello);
        *len = pst_link_put_hello(msg, &hello);
    }
    return PST_OK;
}

pst_err pst_doe_end_write(struct pst_doe_end *e, const uint8_t *bytes, size_t len, size_t *taken)
{
    uint8_t *payload;
    size_t n;

    *taken = 0;
    if (e->full || len == 0) {
        return PST_OK;
    }
    const pst_err err = pst_framing_receive(&e->stream, bytes, len, taken, &e->kind, &payload, &n);
    if (err == PST_WANT_MORE) {
        return PST_OK;
    }
    PST_TRY(err);
    if (e->kind == PST_LINK_CONTROL) {
        PST_TRY(on_own_control(e, payload, &n));
    }
    if (e->swallow && e->kind == PST_LINK_CONTROL) {
        e->swallow = false;
        return PST_OK;
    }
    PST_TRY(pst_doe_wrap(e->kind, e->target, e->buffer, e->cap, n, &e->len));
    e->full = true;
    return PST_OK;
}

const uint8_t *pst_doe_end_object(const struct pst_doe_end *e, size_t *len)
{
    *len = e->full ? e->len : 0;
    return e->full ? e->buffer : NULL;
}

void pst_doe_end_drop(struct pst_doe_end *e)
{
    e->full = false;
}

static void give_control(struct pst_doe_end *e, const uint8_t *control, size_t len)
{
    memcpy(e->small + PST_LINK_HEADER, control, len);
    (void)!pst_framing_header(e->small, PST_LINK_CONTROL, len);
    e->out = e->small;
    e->out_len = PST_LINK_HEADER + len;
}

/* Gives the owner a HELLO in the name of a peer that sends none. */
static void give_hello(struct pst_doe_end *e, bool of_target)
{
    const struct pst_hello hello = pst_link_hello_of(&pst_doe_traits, of_target, most(e));
    uint8_t control[PST_LINK_CONTROL_MAX] = {0};
    const size_t len = pst_link_put_hello(control, &hello);

    give_control(e, control, len);
}

/* Answers the owner's HELLO for a device that speaks SPDM but not HELLO. */
static pst_err answer_for_device(struct pst_doe_end *e)
{
    if (e->numbered) {
        return PST_ERR_PROFILE;
    }
    e->up = true;
    give_hello(e, true);
    return PST_OK;
}

static pst_err take_control(struct pst_doe_end *e, struct pst_bytes control)
{
    struct pst_hello hello;
    uint8_t copy[PST_LINK_CONTROL_MAX], op;
    size_t len = control.len;
    pst_err why;

    PST_TRY(pst_link_get_control(control.at, control.len, &op, &hello, &why));
    if (len > sizeof copy) {
        return PST_ERR_DECODE;
    }
    memcpy(copy, control.at, len);
    if (op == PST_CONTROL_HELLO && hello.profile == PST_PROFILE_VERSION) {
        fit_hello(e, &hello);
        hello.native = true; /* whatever the HELLO says: the mailbox is a native, polled hop */
        hello.polled = true;
        len = pst_link_put_hello(copy, &hello);
    }
    e->up = true;
    give_control(e, copy, len);
    return PST_OK;
}

pst_err pst_doe_end_take(struct pst_doe_end *e, uint8_t *object, size_t len)
{
    struct pst_bytes payload;
    uint8_t kind;

    if (e->out_len > 0) {
        return PST_ERR_STATE;
    }
    PST_TRY(pst_doe_unwrap(object, len, &kind, &payload));
    if (kind == 0) {
        return PST_ERR_DECODE;
    }
    if (kind == PST_LINK_CONTROL) {
        return take_control(e, payload);
    }
    if (!e->target && !e->up) { /* the answer to our HELLO */
        const bool error = kind == PST_LINK_SPDM && payload.len > 1 && payload.at[1] == SPDM_ERROR;
        return error ? answer_for_device(e) : PST_ERR_DECODE;
    }
    /* An object's head is longer than the header of a link message, so the header fits before the
     * body. */
    uint8_t *const header = object + PST_DOE_HEAD - PST_LINK_HEADER;
    PST_TRY(pst_framing_header(header, kind, payload.len));
    e->out = header;
    e->out_len = PST_LINK_HEADER + payload.len;
    return PST_OK;
}

pst_err pst_doe_end_assume(struct pst_doe_end *e)
{
    if (e->out_len > 0) {
        return PST_ERR_STATE;
    }
    e->swallow = true;
    give_hello(e, !e->target);
    return PST_OK;
}

struct pst_bytes pst_doe_end_peek(const struct pst_doe_end *e)
{
    return (struct pst_bytes){e->out, e->out_len};
}

void pst_doe_end_read(struct pst_doe_end *e, size_t len)
{
    e->out += len;
    e->out_len -= len;
}
