/* MCTP over I3C: packets with a PEC, and a queue of them at each end. */
#include "postern/links/mctp_i3c.h"

#include <string.h>

#define TRIES 40 /* attempts at a transfer, or to find the target, until it is lost */
#define PAUSE_MAX_MS 64
#define POLL_MAX_MS 16 /* longest interval between polls without IBIs */
#define WATCH_MS 128   /* interval between polls with IBIs */
#define PROMISE 6      /* NACKs after an IBI before the IBI is ignored */
#define IBIS 4         /* handled in one step */

enum { IDLE, FIND, WRITE, READ };

/* spec: SMBus, x^8 + x^2 + x + 1, from 0, not reflected */
static uint8_t pec_byte(uint8_t pec, uint8_t byte)
{
    unsigned crc = (unsigned)pec ^ byte;

    for (int i = 0; i < 8; i++) {
        crc = (crc & 0x80) != 0 ? crc << 1 ^ 0x07 : crc << 1;
    }
    return (uint8_t)crc;
}

static uint8_t pec_of(uint8_t address, bool read, const uint8_t *at, size_t len)
{
    uint8_t pec = pec_byte(0, (uint8_t)(address << 1 | (read ? 1 : 0)));

    for (size_t i = 0; i < len; i++) {
        pec = pec_byte(pec, at[i]);
    }
    return pec;
}

pst_err pst_mctp_i3c_put(uint8_t address, bool read, const uint8_t *packet, size_t len,
                         uint8_t out[PST_I3C_MAX], size_t *out_len)
{
    if (len < PST_MCTP_HEADER || len > PST_MCTP_I3C_PACKET) {
        return PST_ERR_ARGUMENT;
    }
    memcpy(out, packet, len);
    out[len] = pec_of(address, read, packet, len);
    *out_len = len + 1;
    return PST_OK;
}

pst_err pst_mctp_i3c_get(uint8_t address, bool read, const uint8_t *in, size_t len,
                         struct pst_bytes *packet)
{
    if (len < PST_MCTP_HEADER + 1 || len > PST_I3C_MAX ||
        in[len - 1] != pec_of(address, read, in, len - 1)) {
        return PST_ERR_DECODE;
    }
    *packet = (struct pst_bytes){in, len - 1};
    return PST_OK;
}

/* --- queues --- */

static pst_err push(struct pst_mctp_i3c_queue *q, const uint8_t *packet, size_t len)
{
    if (len < PST_MCTP_HEADER || len > PST_MCTP_I3C_PACKET) {
        return PST_ERR_ARGUMENT;
    }
    if (q->count == PST_MCTP_I3C_QUEUE) {
        return PST_ERR_BUSY;
    }
    const size_t at = (size_t)(q->head + q->count) % PST_MCTP_I3C_QUEUE;
    memcpy(q->packets[at], packet, len);
    q->len[at] = (uint8_t)len;
    q->count++;
    return PST_OK;
}

/* The oldest packet, {NULL, 0} if there is none. */
static struct pst_bytes peek(const struct pst_mctp_i3c_queue *q)
{
    if (q->count == 0) {
        return (struct pst_bytes){NULL, 0};
    }
    return (struct pst_bytes){q->packets[q->head], q->len[q->head]};
}

static void drop(struct pst_mctp_i3c_queue *q)
{
    q->head = (uint8_t)((q->head + 1) % PST_MCTP_I3C_QUEUE);
    q->count--;
}

static pst_err pop(struct pst_mctp_i3c_queue *q, struct pst_bytes *packet)
{
    if (q->count == 0) {
        return PST_PENDING;
    }
    *packet = peek(q);
    drop(q); /* its bytes stay valid until the slot is reused */
    return PST_OK;
}

/* --- TS --- */

void pst_mctp_i3c_target_init(struct pst_mctp_i3c_target *t)
{
    memset(t, 0, sizeof *t);
}

bool pst_mctp_i3c_target_ready(const struct pst_mctp_i3c_target *t)
{
    return t->in.count < PST_MCTP_I3C_QUEUE;
}

pst_err pst_mctp_i3c_target_write(struct pst_mctp_i3c_target *t, uint8_t address,
                                  const uint8_t *data, size_t len)
{
    struct pst_bytes packet;

    if (pst_mctp_i3c_get(address, false, data, len, &packet) != PST_OK) {
        t->damaged++;
        return PST_ERR_DECODE;
    }
    return push(&t->in, packet.at, packet.len);
}

size_t pst_mctp_i3c_target_read(struct pst_mctp_i3c_target *t, uint8_t address,
                                uint8_t out[PST_I3C_MAX])
{
    const struct pst_bytes packet = peek(&t->out);
    size_t len;

    t->told = false;
    if (packet.len == 0 ||
        pst_mctp_i3c_put(address, true, packet.at, packet.len, out, &len) != PST_OK) {
        return 0;
    }
    drop(&t->out);
    return len;
}

size_t pst_mctp_i3c_target_ibi(const struct pst_mctp_i3c_target *t, uint8_t out[1])
{
    if (t->told || t->out.count == 0) {
        return 0;
    }
    out[0] = PST_MCTP_I3C_IBI;
    return 1;
}

void pst_mctp_i3c_target_ibi_done(struct pst_mctp_i3c_target *t)
{
    t->told = true;
}

bool pst_mctp_i3c_target_room(const struct pst_mctp_i3c_target *t)
{
    return t->out.count < PST_MCTP_I3C_QUEUE;
}

pst_err pst_mctp_i3c_target_send(struct pst_mctp_i3c_target *t, const uint8_t *packet, size_t len)
{
    return push(&t->out, packet, len);
}

pst_err pst_mctp_i3c_target_receive(struct pst_mctp_i3c_target *t, struct pst_bytes *packet)
{
    return pop(&t->in, packet);
}

/* --- the controller's side --- */

pst_err pst_mctp_i3c_controller_init(struct pst_mctp_i3c_controller *c,
                                     const struct pst_i3c_bus *bus, uint64_t id)
{
    if (bus == NULL || bus->find == NULL || bus->write == NULL || bus->read == NULL) {
        return PST_ERR_ARGUMENT;
    }
    memset(c, 0, sizeof *c);
    c->bus = bus;
    c->id = id;
    c->interrupts = bus->poll_ibi != NULL;
    return PST_OK;
}

static void read_soon(struct pst_mctp_i3c_controller *c)
{
    c->want_read = true;
    c->poll_ms = 0;
}

static void listen(struct pst_mctp_i3c_controller *c)
{
    struct pst_i3c_ibi ibi;

    for (int i = 0; i < IBIS && c->interrupts && c->known; i++) {
        ibi.len = 0;
        const pst_err err = c->bus->poll_ibi(c->bus->ctx, c->address, &ibi);
        if (err == PST_ERR_UNSUPPORTED) {
            c->interrupts = false;
        }
        if (err != PST_OK) {
            return;
        }
        if (ibi.len > 0 && ibi.bytes[0] == PST_MCTP_I3C_IBI) {
            c->promised = PROMISE;
        }
        if (c->promised > 0) {
            read_soon(c);
        }
    }
}

static void begin(struct pst_mctp_i3c_controller *c)
{
    const struct pst_bytes packet = peek(&c->out);
    const bool room = c->in.count < PST_MCTP_I3C_QUEUE;
    const bool read = room && (c->want_read || c->now >= c->read_at);

    if (c->now < c->hold_at) {
        return;
    }
    if (!c->known) {
        c->action = FIND;
    } else if (packet.len > 0 && !(read && c->wrote_last) &&
               pst_mctp_i3c_put(c->address, false, packet.at, packet.len, c->write,
                                &c->write_len) == PST_OK) {
        c->action = WRITE;
    } else if (read) {
        c->action = READ;
        c->read_len = 0;
    }
}

static pst_err run(struct pst_mctp_i3c_controller *c)
{
    const struct pst_i3c_bus *bus = c->bus;

    if (c->action == FIND) {
        return bus->find(bus->ctx, c->id, &c->address);
    }
    if (c->action == WRITE) {
        return bus->write(bus->ctx, c->address, c->write, c->write_len);
    }
    return bus->read(bus->ctx, c->address, c->read, sizeof c->read, &c->read_len);
}

/* Nothing to read: poll more slowly. */
static void rest(struct pst_mctp_i3c_controller *c)
{
    c->want_read = false;
    c->poll_ms = c->poll_ms == 0 ? 1 : c->poll_ms * 2;
    if (c->poll_ms > POLL_MAX_MS) {
        c->poll_ms = POLL_MAX_MS;
    }
    c->read_at = c->now + (c->interrupts ? WATCH_MS : c->poll_ms);
}

static void took(struct pst_mctp_i3c_controller *c)
{
    struct pst_bytes packet;

    c->promised = 0;
    read_soon(c);
    if (c->interrupts) { /* the target raises another IBI if it has more */
        c->want_read = false;
        c->read_at = c->now + WATCH_MS;
    }
    if (pst_mctp_i3c_get(c->address, true, c->read, c->read_len, &packet) != PST_OK ||
        push(&c->in, packet.at, packet.len) != PST_OK) {
        c->damaged++;
    }
}

static void again(struct pst_mctp_i3c_controller *c)
{
    if (++c->tries > TRIES) {
        c->dead = PST_ERR_TIMEOUT;
        return;
    }
    c->pause_ms = c->pause_ms == 0 ? 1 : c->pause_ms * 2;
    if (c->pause_ms > PAUSE_MAX_MS) {
        c->pause_ms = PAUSE_MAX_MS;
    }
    c->hold_at = c->now + c->pause_ms;
}

static void failed(struct pst_mctp_i3c_controller *c, unsigned action, pst_err err)
{
    c->nacks += err == PST_ERR_BUSY;
    if (err == PST_ERR_CLOSED) {
        c->known = false;
        c->recoveries++;
        again(c);
    } else if (err != PST_ERR_BUSY && err != PST_ERR_IO) {
        c->dead = err;
    } else if (action == READ && err == PST_ERR_BUSY && c->promised > 0) {
        c->promised--;
        c->hold_at = c->now + 1;
    } else if (action == READ && err == PST_ERR_BUSY) {
        rest(c);
    } else if (action == WRITE && err == PST_ERR_IO) {
        drop(&c->out); /* it may have arrived, and it must not arrive twice */
    } else {
        again(c);
    }
}

static void end(struct pst_mctp_i3c_controller *c, pst_err err)
{
    const unsigned action = c->action;

    c->action = IDLE;
    c->wrote_last = action == WRITE;
    if (err != PST_OK) {
        failed(c, action, err);
        return;
    }
    c->tries = 0;
    c->pause_ms = 0;
    if (action == FIND) {
        c->known = true;
        read_soon(c);
    } else if (action == WRITE) {
        drop(&c->out);
        if (!c->interrupts) {
            read_soon(c);
        }
    } else {
        took(c);
    }
}

static uint32_t until(const struct pst_mctp_i3c_controller *c)
{
    const bool room = c->in.count < PST_MCTP_I3C_QUEUE;
    uint64_t at = c->now + WATCH_MS;

    if (room && c->read_at < at) {
        at = c->read_at;
    }
    if (!c->known || c->out.count > 0 || (room && c->want_read)) {
        at = c->hold_at;
    }
    at = at > c->hold_at ? at : c->hold_at;
    return at > c->now ? (uint32_t)(at - c->now) : 1;
}

pst_err pst_mctp_i3c_controller_step(struct pst_mctp_i3c_controller *c, uint64_t now_ms,
                                     uint32_t *wait_ms)
{
    *wait_ms = 0;
    if (c->dead != PST_OK) {
        return c->dead;
    }
    c->now = now_ms;
    if (c->action == IDLE) { /* an IBI during a read announces data for the next read */
        listen(c);
        begin(c);
    }
    if (c->action == IDLE) {
        *wait_ms = until(c);
        return PST_OK;
    }
    const pst_err err = run(c);
    if (err == PST_PENDING) {
        *wait_ms = 1;
    } else {
        end(c, err);
    }
    return c->dead;
}

bool pst_mctp_i3c_controller_room(const struct pst_mctp_i3c_controller *c)
{
    return c->out.count < PST_MCTP_I3C_QUEUE;
}

pst_err pst_mctp_i3c_controller_send(struct pst_mctp_i3c_controller *c, const uint8_t *packet,
                                     size_t len)
{
    return c->dead != PST_OK ? PST_ERR_CLOSED : push(&c->out, packet, len);
}

pst_err pst_mctp_i3c_controller_receive(struct pst_mctp_i3c_controller *c, struct pst_bytes *packet)
{
    return pop(&c->in, packet);
}
