#include "postern/links/doe.h"

#include <string.h>

#define FIRST 0x100 /* offset of the first extended capability */
#define LAST 0xFFC
#define MOST_CAPABILITIES ((0x1000 - FIRST) / 8)

/* spec: DOE extended capability: register offsets from its start */
#define CONTROL 0x08
#define STATUS 0x0C
#define WRITE_WORD 0x10
#define READ_WORD 0x14
#define CONTROL_ABORT 0x00000001u
#define CONTROL_GO 0x80000000u
#define STATUS_BUSY 0x00000001u
#define STATUS_ERROR 0x00000004u
#define STATUS_READY 0x80000000u
#define GONE 0xFFFFFFFFu

#define MOST_WORDS 0x40000
#define VENDOR_PCI_SIG 0x0001
#define ABORT_MS 1000 /* spec: an abort takes at most one second */
#define BUSY_MS 1000  /* another user's object may take this long, then it is aborted */
#define MOST_WAIT_MS 32

enum state { IDLE, BEGIN, BUSY, ABORTING, WAITING };

/* --- the list of extended capabilities --- */

static pst_err no_list(const struct pst_doe_port *port)
{
    uint32_t id;
    PST_TRY(port->read(port->ctx, 0, &id));
    return id == GONE ? PST_ERR_CLOSED : PST_ERR_UNSUPPORTED;
}

static uint16_t next_of(uint32_t header)
{
    return (uint16_t)(header >> 20 & LAST);
}

pst_err pst_doe_find(const struct pst_doe_port *port, uint16_t after, uint16_t *at,
                     uint8_t *version)
{
    uint16_t here = FIRST;
    uint32_t header;

    if (after != 0) {
        PST_TRY(port->read(port->ctx, after, &header));
        here = next_of(header);
    }
    for (unsigned i = 0; i < MOST_CAPABILITIES; i++) {
        if (here < FIRST) {
            return PST_ERR_UNSUPPORTED;
        }
        PST_TRY(port->read(port->ctx, here, &header));
        if (header == GONE) {
            return no_list(port);
        }
        if ((header & 0xFFFF) == PST_DOE_CAPABILITY && here <= LAST - READ_WORD) {
            *at = here;
            *version = (uint8_t)(header >> 16 & 0xF);
            return PST_OK;
        }
        here = next_of(header);
    }
    return PST_ERR_DECODE;
}

/* --- one request --- */

void pst_doe_init(struct pst_doe *d, const struct pst_doe_port *port, uint16_t at,
                  uint32_t limit_ms, uint8_t *buffer, size_t cap)
{
    *d = (struct pst_doe){
        .port = *port, .at = at, .limit_ms = limit_ms, .buffer = buffer, .cap = cap};
}

static pst_err get(const struct pst_doe *d, unsigned reg, uint32_t *word)
{
    return d->port.read(d->port.ctx, (uint16_t)(d->at + reg), word);
}

static pst_err put(const struct pst_doe *d, unsigned reg, uint32_t word)
{
    return d->port.write(d->port.ctx, (uint16_t)(d->at + reg), word);
}

static pst_err get_status(const struct pst_doe *d, uint32_t *status)
{
    PST_TRY(get(d, STATUS, status));
    return *status == GONE ? PST_ERR_CLOSED : PST_OK;
}

static size_t words_of(uint32_t length)
{
    const uint32_t words = length % MOST_WORDS;
    return words == 0 ? MOST_WORDS : words;
}

pst_err pst_doe_start(struct pst_doe *d, const uint8_t *object, size_t len, uint64_t now_ms)
{
    if (d->state != IDLE) {
        return PST_ERR_STATE;
    }
    if (len < PST_DOE_HEAD || len % 4 != 0 || words_of(pst_peek_u32(object + 4)) != len / 4) {
        return PST_ERR_ARGUMENT;
    }
    d->object = object;
    d->len = len;
    d->state = BEGIN;
    d->failing = PST_OK;
    d->wake_ms = now_ms;
    return PST_OK;
}

uint64_t pst_doe_wake(const struct pst_doe *d)
{
    return d->state == IDLE ? UINT64_MAX : d->wake_ms;
}

static void wait_in(struct pst_doe *d, enum state state, uint32_t limit_ms, uint64_t now_ms)
{
    d->state = (uint8_t)state;
    d->deadline_ms = now_ms + limit_ms;
    d->wait_ms = 1;
    d->wake_ms = now_ms;
}

/* Sets the time of the next look, with a growing pause. False: the deadline has passed. */
static bool back_off(struct pst_doe *d, uint64_t now_ms)
{
    if (now_ms >= d->deadline_ms) {
        return false;
    }
    d->wake_ms = now_ms + d->wait_ms;
    if (d->wake_ms > d->deadline_ms) {
        d->wake_ms = d->deadline_ms;
    }
    d->wait_ms = d->wait_ms * 2 > MOST_WAIT_MS ? MOST_WAIT_MS : d->wait_ms * 2;
    return true;
}

/* Aborts what is in the mailbox. If `failing` is PST_OK the request is sent afterwards, otherwise
 * it ends with `failing`. */
static pst_err begin_abort(struct pst_doe *d, pst_err failing, uint64_t now_ms)
{
    d->aborts++;
    d->cleared = true;
    d->failing = failing;
    PST_TRY(put(d, CONTROL, CONTROL_ABORT));
    wait_in(d, ABORTING, ABORT_MS, now_ms);
    return PST_PENDING;
}

static pst_err send(struct pst_doe *d, uint64_t now_ms)
{
    for (size_t i = 0; i < d->len; i += 4) {
        PST_TRY(put(d, WRITE_WORD, pst_peek_u32(d->object + i)));
    }
    PST_TRY(put(d, CONTROL, CONTROL_GO));
    d->objects++;
    wait_in(d, WAITING, d->limit_ms, now_ms);
    return PST_PENDING;
}

static pst_err on_begin(struct pst_doe *d, uint64_t now_ms)
{
    uint32_t status;

    PST_TRY(get_status(d, &status));
    if ((status & STATUS_BUSY) != 0) {
        if (d->state == BEGIN) {
            wait_in(d, BUSY, BUSY_MS, now_ms);
        }
        return back_off(d, now_ms) ? PST_PENDING : begin_abort(d, PST_OK, now_ms);
    }
    /* A ready answer belongs to a request that somebody gave up. Nothing shows the words of an
     * object that somebody left unfinished, so the first request always aborts. */
    if (!d->cleared || (status & (STATUS_ERROR | STATUS_READY)) != 0) {
        return begin_abort(d, PST_OK, now_ms);
    }
    return send(d, now_ms);
}

static pst_err on_abort(struct pst_doe *d, uint64_t now_ms)
{
    uint32_t status;

    PST_TRY(get_status(d, &status));
    if ((status & (STATUS_BUSY | STATUS_ERROR | STATUS_READY)) == 0) {
        return d->failing == PST_OK ? send(d, now_ms) : d->failing;
    }
    if (back_off(d, now_ms)) {
        return PST_PENDING;
    }
    return d->failing == PST_OK ? PST_ERR_TIMEOUT : d->failing;
}

/* Reads one word and advances to the next. */
static pst_err fetch(struct pst_doe *d, size_t index)
{
    uint32_t word;

    PST_TRY(get(d, READ_WORD, &word));
    pst_poke_u32(d->buffer + 4 * index, word);
    return put(d, READ_WORD, 0);
}

static pst_err read_object(struct pst_doe *d, size_t *len)
{
    uint32_t status;
    size_t words = 2;

    for (size_t i = 0; i < words; i++) {
        if (i + 1 == words && i > 1) { /* a truncated object reads as zeros */
            PST_TRY(get_status(d, &status));
            if ((status & STATUS_READY) == 0) {
                return (status & STATUS_ERROR) != 0 ? PST_ERR_PEER : PST_ERR_DECODE;
            }
        }
        PST_TRY(fetch(d, i));
        if (i != 1) {
            continue;
        }
        if (pst_peek_u32(d->buffer) == GONE) {
            return PST_ERR_CLOSED;
        }
        words = words_of(pst_peek_u32(d->buffer + 4));
        if (words < 2) {
            return PST_ERR_DECODE;
        }
        if (words * 4 > d->cap) {
            return PST_ERR_LIMIT;
        }
    }
    *len = words * 4;
    PST_TRY(get_status(d, &status));
    if ((status & STATUS_ERROR) != 0) {
        return PST_ERR_PEER;
    }
    return (status & STATUS_READY) != 0 ? PST_ERR_DECODE : PST_OK; /* words remain */
}

static pst_err on_answer(struct pst_doe *d, uint64_t now_ms, struct pst_bytes *answer)
{
    size_t len = 0;
    pst_err err = d->cap < PST_DOE_HEAD ? PST_ERR_LIMIT : read_object(d, &len);

    /* spec: vendor and type of the answer are those of the request */
    if (err == PST_OK && memcmp(d->buffer, d->object, 3) != 0) {
        err = PST_ERR_UNEXPECTED;
    }
    if (err == PST_OK) {
        *answer = (struct pst_bytes){d->buffer, len};
        return PST_OK;
    }
    return err == PST_ERR_CLOSED ? err : begin_abort(d, err, now_ms);
}

static pst_err on_wait(struct pst_doe *d, uint64_t now_ms, struct pst_bytes *answer)
{
    uint32_t status;

    PST_TRY(get_status(d, &status));
    if ((status & STATUS_ERROR) != 0) {
        return begin_abort(d, PST_ERR_PEER, now_ms);
    }
    if ((status & STATUS_READY) != 0) {
        return on_answer(d, now_ms, answer);
    }
    return back_off(d, now_ms) ? PST_PENDING : begin_abort(d, PST_ERR_TIMEOUT, now_ms);
}

static pst_err go_on(struct pst_doe *d, uint64_t now_ms, struct pst_bytes *answer)
{
    switch ((enum state)d->state) {
    case BEGIN:
    case BUSY:
        return on_begin(d, now_ms);
    case ABORTING:
        return on_abort(d, now_ms);
    case WAITING:
        return on_wait(d, now_ms, answer);
    case IDLE:
        break;
    }
    return PST_ERR_STATE;
}

pst_err pst_doe_step(struct pst_doe *d, uint64_t now_ms, struct pst_bytes *answer)
{
    if (d->state != IDLE && now_ms < d->wake_ms) {
        return PST_PENDING;
    }
    const pst_err err = go_on(d, now_ms, answer);
    if (err != PST_PENDING) {
        d->state = IDLE;
    }
    return err;
}

void pst_doe_cancel(struct pst_doe *d)
{
    if (d->state == IDLE) {
        return;
    }
    d->state = IDLE;
    d->aborts++;
    (void)!put(d, CONTROL, CONTROL_ABORT); /* the next start notices a failure */
}

/* --- discovery --- */

void pst_doe_survey_init(struct pst_doe_survey *s, uint8_t version)
{
    *s = (struct pst_doe_survey){.version = version};
}

size_t pst_doe_survey_ask(const struct pst_doe_survey *s, uint8_t out[12])
{
    pst_poke_u32(out, VENDOR_PCI_SIG);
    pst_poke_u32(out + 4, 3);
    /* spec: the second byte is reserved in version 1 of the capability, and 2 from there on */
    pst_poke_u32(out + 8, s->next | (s->version >= 2 ? 2u << 8 : 0));
    return 12;
}

pst_err pst_doe_survey_take(struct pst_doe_survey *s, const uint8_t *object, size_t len)
{
    struct pst_reader r = pst_reader_of(object, len);

    pst_require(&r, pst_get_u16(&r) == VENDOR_PCI_SIG);
    pst_require(&r, pst_get_u16(&r) == 0);
    pst_require(&r, words_of(pst_get_u32(&r)) == 3);
    const uint16_t vendor = pst_get_u16(&r);
    const uint8_t type = pst_get_u8(&r), next = pst_get_u8(&r);
    PST_TRY(pst_finish(&r));
    if (next != 0 && next <= s->next) {
        return PST_ERR_DECODE; /* otherwise the survey would never end */
    }
    s->spdm = s->spdm || (vendor == VENDOR_PCI_SIG && type == 1);
    s->secured = s->secured || (vendor == VENDOR_PCI_SIG && type == 2);
    s->next = next;
    return next == 0 ? PST_OK : PST_PENDING;
}
