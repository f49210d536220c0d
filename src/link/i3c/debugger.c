/* I3C, the controller's side: bring-up, transfers, polling, recovery. */
#include <string.h>

#include "link/i3c/debugger.h"
#include "link/i3c/pipe.h"
#include "link/i3c/stages.h"

#define POLL_MS 16
#define WATCH_MS 128
#define TRIES 12     /* attempts at a transfer before the target is lost */
#define RECOVERIES 5 /* in a row before the link ends */
#define DRAINS 4     /* reads that empty the target during the bring-up */
#define ACK_EVERY (PST_I3C_WINDOW / 2)
#define IBIS 4 /* handled in one step */

static bool is_running(const struct pst_i3c_debugger *d)
{
    return d->stage == PST_I3C_STAGES;
}

pst_err pst_i3c_debugger_init(struct pst_i3c_debugger *d,
                              const struct pst_i3c_debugger_config *config, uint64_t now_ms)
{
    const struct pst_i3c_bus *bus = config->bus;

    if (bus == NULL || bus->find == NULL || bus->ccc == NULL || bus->write == NULL ||
        bus->read == NULL || config->port >= PST_I3C_PORTS ||
        !psti_i3c_buffers_ok(&config->buffers)) {
        return PST_ERR_ARGUMENT;
    }
    memset(d, 0, sizeof *d);
    d->config = *config;
    d->now = d->progress_at = now_ms;
    if (config->poll_ms == 0) {
        d->config.poll_ms = POLL_MS;
    }
    if (config->watch_ms == 0) {
        d->config.watch_ms = WATCH_MS;
    }
    psti_i3c_pipe_init(&d->pipe, &config->buffers);
    d->interrupts = bus->poll_ibi != NULL;
    d->opening = config->port == PST_I3C_PORT_MESSAGES;
    d->opened = !d->opening;
    const uint8_t stream = config->stream != 0 ? config->stream : 1;
    psti_i3c_pipe_begin(&d->pipe, d->opened, d->opened ? 0 : stream);
    return PST_OK;
}

bool pst_i3c_debugger_is_up(const struct pst_i3c_debugger *d)
{
    return d->dead == PST_OK && is_running(d) && d->opened;
}

/* Goes to the first stage from `at` on that applies now. */
static void go_to(struct pst_i3c_debugger *d, size_t at)
{
    while (at < PST_I3C_STAGES && d->resuming && psti_i3c_stages[at].fresh) {
        at++;
    }
    d->stage = (uint8_t)at;
    psti_i3c_calm(d);
    if (!is_running(d)) {
        return;
    }
    if (d->pipe.plain) { /* the target is there, even if it refuses packets with NACK */
        d->recoveries = 0;
    }
    d->write_at = d->hold_at = d->now;
    d->must_ack = d->opened && !d->pipe.plain; /* it may have missed our last acknowledgement */
    psti_i3c_poll_soon(d);
}

/* Searches for the target again. The pipe then resends what the target's next acknowledgement does
 * not cover. */
static void recover(struct pst_i3c_debugger *d)
{
    d->resuming = d->resuming || is_running(d);
    if (++d->recoveries > RECOVERIES) {
        d->dead = PST_ERR_TIMEOUT;
        return;
    }
    d->counts.recoveries++;
    go_to(d, 0);
    d->drained = 0;
    psti_i3c_pause_writes(d);
}

/* The bring-up has failed: resets the adaptor, or ends the link if that was done already or cannot
 * help. */
static void give_up(struct pst_i3c_debugger *d, pst_err why)
{
    const bool helps = !d->resuming && psti_i3c_stages[d->stage].action == COMMAND;

    if (!helps || d->was_reset || d->config.bus->reset == NULL) {
        d->dead = why;
        return;
    }
    d->was_reset = true;
    d->action = RESET;
}

/* A transfer failed: counts the attempt. After too many the target is lost. */
static void again(struct pst_i3c_debugger *d)
{
    if (++d->tries <= TRIES) {
        return;
    }
    if (is_running(d)) {
        recover(d);
    } else {
        give_up(d, d->resuming ? PST_ERR_TIMEOUT : psti_i3c_stages[d->stage].refused);
    }
}

static void begin_stage(struct pst_i3c_debugger *d)
{
    const struct pst_i3c_stage *s = &psti_i3c_stages[d->stage];
    const bool configures = s->defining == PST_I3C_CONFIGURE;

    d->action = s->action;
    if (s->action != COMMAND) {
        return;
    }
    d->out[0] = d->config.port;
    if (configures) {
        d->out[0] = d->interrupts ? PST_I3C_INTERRUPT : PST_I3C_POLLING;
    }
    d->ccc = (struct pst_i3c_ccc){
        .code = s->code,
        .defining = s->defining,
        .write = d->out,
        .write_len = s->write,
        .read = d->in,
        .read_cap = s->read,
    };
}

/* Ends the stream with DBGACTION "clear". */
static void begin_close(struct pst_i3c_debugger *d)
{
    if (d->now >= d->write_at) {
        d->ccc = (struct pst_i3c_ccc){.code = PST_I3C_DBGACTION, .defining = PST_I3C_CLEAR};
        d->action = CLOSE;
    }
}

/* Acknowledgements are read even without room for bytes. Otherwise our writes would wait until our
 * owner reads. */
static bool can_read(const struct pst_i3c_debugger *d)
{
    const bool asks = d->pipe.sent > 0 || (d->flushed && !d->ours);

    return psti_i3c_pipe_has_room(&d->pipe) || (!d->pipe.plain && asks);
}

static bool may_read(const struct pst_i3c_debugger *d)
{
    const bool wanted = d->want_read || d->pipe.sent > 0 || !d->opened;

    if (d->opening || d->now < d->hold_at || (!wanted && d->now < d->read_at)) {
        return false;
    }
    return can_read(d);
}

static bool may_write(const struct pst_i3c_debugger *d)
{
    if (d->now < d->write_at) {
        return false;
    }
    if (d->opening) {
        return true;
    }
    return d->opened && (d->must_ack || psti_i3c_pipe_has_data(&d->pipe));
}

static void begin_write(struct pst_i3c_debugger *d)
{
    d->action = WRITE;
    if (d->pipe.plain) {
        const struct pst_bytes packet = psti_i3c_pipe_peek(&d->pipe);

        memcpy(d->out, packet.at, packet.len);
        d->out_len = packet.len;
        return;
    }
    d->before = d->pipe.sent;
    d->out_len = psti_i3c_pipe_put(&d->pipe, d->opening ? PST_I3C_OPEN : 0, d->out);
}

/* Chooses the next transfer, if there is one to do now. */
static void begin(struct pst_i3c_debugger *d)
{
    if (!is_running(d)) {
        if (d->now >= d->write_at) {
            begin_stage(d);
        }
        return;
    }
    if (d->missed && psti_i3c_pipe_has_room(&d->pipe)) {
        d->missed = false;
        d->must_ack = d->stuck = true;
    }
    /* The target acknowledges a write only when it has room. So an acknowledged empty write proves
     * that the target's owner took the last byte. */
    const bool last = d->closing && d->opened && d->pipe.tail == d->pipe.head;
    d->must_ack = d->must_ack || (last && !d->flushed);
    if (last && d->flushed && d->ours) {
        begin_close(d);
        return;
    }
    const bool write = may_write(d), read = may_read(d);
    /* A read that only fetches an acknowledgement waits until the window is full. */
    const bool due = d->want_read || !psti_i3c_pipe_has_data(&d->pipe) || d->must_ack;

    if (write && !(read && due && d->wrote_last)) {
        begin_write(d);
    } else if (read) {
        d->action = READ;
        d->in_len = 0;
    }
}

static pst_err run(struct pst_i3c_debugger *d)
{
    const struct pst_i3c_bus *bus = d->config.bus;

    switch ((enum pst_i3c_action)d->action) {
    case FIND:
        return bus->find(bus->ctx, d->config.id, &d->address);
    case COMMAND:
    case CLOSE:
        return bus->ccc(bus->ctx, d->address, &d->ccc);
    case WRITE:
        return bus->write(bus->ctx, d->address, d->out, d->out_len);
    case DRAIN:
    case READ:
        return bus->read(bus->ctx, d->address, d->in, sizeof d->in, &d->in_len);
    case RESET:
        return bus->reset(bus->ctx, d->address, PST_I3C_RESET);
    case IDLE:
    default:
        return PST_ERR_STATE;
    }
}

/* The drained bytes may belong to another debugger's stream. If it has our number, we choose
 * another one. Otherwise that debugger would not notice that its stream has ended, and would
 * continue in ours. */
static void differ(struct pst_i3c_debugger *d)
{
    struct pst_i3c_fragment f;

    if (d->in_len > sizeof d->in || psti_i3c_fragment_get(d->in, d->in_len, &f) != PST_OK) {
        return;
    }
    if (f.stream != 0 && f.stream == d->pipe.id) {
        d->pipe.id = f.stream < UINT8_MAX ? (uint8_t)(f.stream + 1) : 1;
    }
}

static void end_stage(struct pst_i3c_debugger *d)
{
    const struct pst_i3c_stage *s = &psti_i3c_stages[d->stage];

    if (s->action == DRAIN) {
        differ(d);
    }
    if (s->action == DRAIN && ++d->drained < DRAINS) {
        return;
    }
    if (s->action == COMMAND && d->ccc.read_len != s->read) {
        psti_i3c_pause_writes(d);
        again(d);
        return;
    }
    const pst_err err = s->check == NULL ? PST_OK : s->check(d);
    if (err == PST_OK) {
        go_to(d, (size_t)d->stage + 1);
    } else {
        give_up(d, err);
    }
}

static void end_write(struct pst_i3c_debugger *d)
{
    d->wrote_last = true;
    if (d->pipe.plain) {
        psti_i3c_pipe_drop(&d->pipe);
        d->progress_at = d->now;
        d->recoveries = 0;
        psti_i3c_calm(d);
        psti_i3c_poll_soon(d);
        return;
    }
    d->flushed = d->closing && d->opened && d->pipe.tail == d->pipe.head;
    d->opening = false;
    d->must_ack = false;
    d->reads = 0;
    d->ours = false;
    if (d->stuck || d->flushed) {
        psti_i3c_poll_soon(d);
    }
    d->stuck = false;
}

static void damaged(struct pst_i3c_debugger *d)
{
    d->counts.damaged++;
    d->must_ack = d->opened;
    d->want_read = true;
    psti_i3c_pause_reads(d);
    again(d);
}

static void take_bytes(struct pst_i3c_debugger *d, const struct pst_i3c_fragment *f, pst_err err)
{
    const bool more = (f->flags & PST_I3C_MORE) != 0;

    if (err == PST_ERR_BUSY) { /* they come again when we acknowledge after making room */
        d->missed = true;
        psti_i3c_rest(d);
        return;
    }
    const bool stuck =
        f->bytes.len == 0 && (err != PST_OK || more || (f->flags & PST_I3C_WAIT) != 0);

    if (f->bytes.len > 0) {
        d->reads++;
    }
    if (err != PST_OK || stuck || (f->bytes.len > 0 && (!more || d->reads >= ACK_EVERY))) {
        d->must_ack = true;
    }
    d->stuck = d->stuck || stuck;
    if (f->bytes.len > 0) {
        psti_i3c_poll_soon(d);
    } else {
        psti_i3c_rest(d); /* if the target is stuck, our acknowledgement lets it go on */
    }
}

static void take_fragment(struct pst_i3c_debugger *d, const uint8_t *at, size_t len)
{
    const uint16_t first = d->pipe.first;
    const bool asked = d->pipe.sent > 0;
    struct pst_i3c_fragment f;

    if (psti_i3c_fragment_get(at, len, &f) != PST_OK) {
        damaged(d);
        return;
    }
    if (f.stream != d->pipe.id) {
        if (d->opened) {
            d->dead = PST_ERR_CLOSED;
            return;
        }
        d->opening = true; /* our OPEN was lost */
        d->pipe.sent = 0;
        psti_i3c_pause_writes(d);
        again(d);
        return;
    }
    const pst_err err = psti_i3c_pipe_take(&d->pipe, &f);
    if (err == PST_ERR_DECODE) {
        damaged(d);
        return;
    }
    d->ours = true;
    d->tries = d->recoveries = 0;
    d->read_pause_ms = 0;
    if (!d->opened || first != d->pipe.first) {
        d->progress_at = d->now;
        d->write_pause_ms = 0;
    } else if (asked) {
        psti_i3c_pause_writes(d); /* the target took nothing that we wrote */
    }
    d->opened = true;
    take_bytes(d, &f, err);
}

static void take(struct pst_i3c_debugger *d, const uint8_t *at, size_t len)
{
    if (!d->pipe.plain) {
        take_fragment(d, at, len);
        return;
    }
    if (psti_i3c_pipe_take_plain(&d->pipe, at, len) != PST_OK) {
        psti_i3c_rest(d);
        return;
    }
    psti_i3c_calm(d);
    d->recoveries = 0;
    psti_i3c_poll_soon(d);
}

static void end_read(struct pst_i3c_debugger *d)
{
    d->wrote_last = false;
    take(d, d->in, d->in_len <= sizeof d->in ? d->in_len : 0);
}

static void failed_write(struct pst_i3c_debugger *d, pst_err err)
{
    d->wrote_last = true;
    d->want_read = true; /* a read shows whether the target is there at all */
    psti_i3c_pause_writes(d);
    if (d->pipe.plain && err == PST_ERR_IO) {
        d->dead = PST_ERR_IO; /* it is not known whether the packet was taken */
        return;
    }
    if (!d->pipe.plain) {
        d->pipe.sent = d->before;
    }
    again(d);
}

static void failed_read(struct pst_i3c_debugger *d, pst_err err)
{
    d->wrote_last = false;
    /* On the SPP port a NACK means that there is nothing to read. A read that broke off has lost
     * data. */
    if (d->pipe.plain && err == PST_ERR_BUSY) {
        psti_i3c_rest(d);
        return;
    }
    if (d->pipe.plain) {
        d->dead = err;
        return;
    }
    d->must_ack = d->opened;
    d->want_read = true;
    psti_i3c_pause_reads(d);
    again(d);
}

static void failed(struct pst_i3c_debugger *d, enum pst_i3c_action action, pst_err err)
{
    if (err == PST_ERR_BUSY) {
        d->counts.nacks++;
    } else {
        d->counts.faults++;
    }
    if (err == PST_ERR_CLOSED) {
        recover(d);
    } else if (err != PST_ERR_BUSY && err != PST_ERR_IO) {
        d->dead = err;
    } else if (action == DRAIN) {
        go_to(d, (size_t)d->stage + 1); /* the target is empty */
    } else if (action == WRITE) {
        failed_write(d, err);
    } else if (action == READ) {
        failed_read(d, err);
    } else {
        psti_i3c_pause_writes(d);
        again(d);
    }
}

static void end(struct pst_i3c_debugger *d, pst_err err)
{
    const enum pst_i3c_action action = (enum pst_i3c_action)d->action;

    d->action = IDLE;
    if (action == RESET) {
        /* The second bring-up shows whether the reset worked. */
        go_to(d, 0);
        d->drained = 0;
        d->write_at = d->now + PAUSE_MAX_MS;
    } else if (err != PST_OK) {
        failed(d, action, err);
    } else if (action == CLOSE) {
        d->dead = PST_ERR_CLOSED;
    } else if (action == WRITE) {
        end_write(d);
    } else if (action == READ) {
        end_read(d);
    } else {
        end_stage(d);
    }
}

static void take_ibi(struct pst_i3c_debugger *d, const struct pst_i3c_ibi *ibi)
{
    const uint8_t kind = ibi->len > 0 ? ibi->bytes[0] : 0;
    const uint8_t detail = ibi->len > 1 ? ibi->bytes[1] : 0;

    d->counts.ibis++;
    if (kind == PST_I3C_IBI_DATA && detail == PST_I3C_IBI_READY && ibi->len > 2 &&
        ibi->len <= PST_I3C_MAX && d->action == IDLE && psti_i3c_pipe_has_room(&d->pipe)) {
        take(d, ibi->bytes + 2, ibi->len - 2); /* the IBI carries the reply */
    } else if (kind == PST_I3C_IBI_DATA) {
        psti_i3c_poll_soon(d);
    } else if (kind == PST_I3C_IBI_STATUS && detail == PST_I3C_IBI_OVERFLOW && d->pipe.plain) {
        d->dead = PST_ERR_LIMIT;
    } else if (kind == PST_I3C_IBI_STATUS) {
        d->write_at = d->now;
        psti_i3c_poll_soon(d);
    }
}

/* On the SPP port a reply inside an IBI is sent only there. So the IBI stays with the bus until the
 * reply can be taken. */
static bool can_listen(const struct pst_i3c_debugger *d)
{
    const bool now = d->action == IDLE && psti_i3c_pipe_has_room(&d->pipe);

    return d->interrupts && is_running(d) && d->dead == PST_OK && (now || !d->pipe.plain);
}

static void listen(struct pst_i3c_debugger *d)
{
    const struct pst_i3c_bus *bus = d->config.bus;
    struct pst_i3c_ibi ibi;

    for (int i = 0; i < IBIS && can_listen(d); i++) {
        ibi.len = 0;
        const pst_err err = bus->poll_ibi(bus->ctx, d->address, &ibi);
        if (err == PST_OK) {
            take_ibi(d, &ibi);
        } else if (err == PST_ERR_UNSUPPORTED && d->action == IDLE) {
            d->interrupts = false;
            d->resuming = true;
            go_to(d, CONFIGURE_STAGE);
        } else {
            if (err == PST_ERR_FAULT) { /* a transfer may never show it */
                d->dead = err;
            }
            return;
        }
    }
}

static bool is_waiting(const struct pst_i3c_debugger *d)
{
    return !pst_i3c_debugger_is_up(d) || d->pipe.tail > d->pipe.head || d->closing;
}

static uint32_t until(const struct pst_i3c_debugger *d)
{
    const bool writes = !is_running(d) || d->opening || d->must_ack || (d->flushed && d->ours) ||
                        psti_i3c_pipe_has_data(&d->pipe);
    const bool reads = is_running(d) && !d->opening && can_read(d);
    const bool soon = d->want_read || d->pipe.sent > 0 || !d->opened;
    const uint64_t read_at = soon || d->read_at < d->hold_at ? d->hold_at : d->read_at;
    uint64_t at = d->now + d->config.watch_ms;

    if (reads && read_at < at) {
        at = read_at;
    }
    if (writes && d->write_at < at) {
        at = d->write_at;
    }
    return at > d->now ? (uint32_t)(at - d->now) : 1;
}

pst_err pst_i3c_debugger_step(struct pst_i3c_debugger *d, uint64_t now_ms, uint32_t *wait_ms)
{
    *wait_ms = 0;
    if (d->dead != PST_OK) {
        return d->dead;
    }
    d->now = now_ms;
    if (!is_waiting(d)) {
        d->progress_at = now_ms;
    } else if (d->config.give_up_ms != 0 && now_ms - d->progress_at > d->config.give_up_ms) {
        d->dead = PST_ERR_TIMEOUT;
    }
    listen(d);
    if (d->dead == PST_OK && d->action == IDLE) {
        begin(d);
    }
    if (d->dead == PST_OK && d->action == IDLE) {
        *wait_ms = until(d);
    } else if (d->dead == PST_OK) {
        const pst_err err = run(d);

        if (err == PST_PENDING) {
            *wait_ms = 1;
        } else {
            end(d, err);
        }
    }
    return d->dead;
}
