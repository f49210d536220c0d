#include "posix/links/i3c/host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "postern/links/mctp_i3c.h"

#define SEND_BUFFER 8192

enum role { STRANGER, CONTROLLER, ADAPTOR, MCTP };

/* An answer that is delayed to model the speed of the bus. */
struct answer {
    uint8_t bytes[PST_I3C_MAX + 1];
    size_t len; /* 0: none */
};

struct client {
    struct client *next;
    struct pst_i3c_host *host;
    enum role role;
    struct pst_i3c_wire wire;
    /* a controller */
    struct pst_i3c_view view;
    uint8_t address; /* of the target that it found last */
    struct answer answer;
    /* a device */
    struct pst_i3c_adaptor adaptor;
    struct pst_i3c_device device; /* MCTP */
    struct pst_mctp_i3c_target mctp;
    uint8_t stream;
    bool attached, open, ending; /* ending: the owner closed, once all has arrived */
    uint8_t send[SEND_BUFFER], receive[PST_LINK_MIN_MESSAGE];
};

struct pst_i3c_host {
    struct pst_i3c_model model;
    struct pst_address address;
    struct pst_socket socket;
    uv_timer_t timer;
    unsigned khz;
    uint64_t busy_until_ns;
    struct client *clients;
    uint8_t handles;
    bool stopping;
};

/* --- messages from and to a device's owner --- */

static void to_owner(struct client *c)
{
    uint8_t bytes[PST_I3C_MAX];
    size_t len;
    pst_err err = PST_OK;

    if (!c->open && pst_i3c_target_is_open(&c->adaptor.engine)) {
        c->open = true;
        c->ending = false;
        c->stream++;
        pst_i3c_wire_send(&c->wire, PST_I3C_OP_OPEN, &c->stream, 1, NULL, 0);
    }
    while (pst_i3c_wire_queued(&c->wire) < PST_I3C_WIRE_QUEUE && err == PST_OK) {
        err = pst_i3c_target_get(&c->adaptor.engine, bytes, sizeof bytes, &len);
        if (err == PST_OK) {
            pst_i3c_wire_send(&c->wire, PST_I3C_OP_DATA, &c->stream, 1, bytes, len);
        }
    }
    if (err == PST_ERR_CLOSED && c->open) {
        c->open = false;
        pst_i3c_wire_send(&c->wire, PST_I3C_OP_END, &c->stream, 1, NULL, 0);
    }
    if (c->open && c->ending && pst_i3c_target_is_sent(&c->adaptor.engine)) {
        c->open = false;
        pst_i3c_target_close(&c->adaptor.engine);
        pst_i3c_wire_send(&c->wire, PST_I3C_OP_END, &c->stream, 1, NULL, 0);
    }
}

static void packets_to_owner(struct client *c)
{
    struct pst_bytes packet;

    while (pst_i3c_wire_queued(&c->wire) < PST_I3C_WIRE_QUEUE &&
           pst_mctp_i3c_target_receive(&c->mctp, &packet) == PST_OK) {
        pst_i3c_wire_send(&c->wire, PST_I3C_OP_PACKET, packet.at, packet.len, NULL, 0);
    }
}

/* Reading from an owner stops while the bus has not taken its output. Reading from a controller
   stops while it does not read its answers. */
static void hold_back(struct client *c)
{
    bool room = pst_i3c_wire_queued(&c->wire) < PST_I3C_WIRE_QUEUE;

    if (c->role == ADAPTOR) {
        room = pst_i3c_target_room(&c->adaptor.engine) >= PST_I3C_WIRE_MAX;
    } else if (c->role == MCTP) {
        room = pst_mctp_i3c_target_room(&c->mctp);
    }
    pst_i3c_wire_read(&c->wire, room);
}

static void from_owner(struct client *c, uint8_t op, const uint8_t *at, size_t len)
{
    if (len < 1 || at[0] != c->stream || !c->open) {
        return; /* of an earlier stream */
    }
    if (op == PST_I3C_OP_END) {
        c->ending = true;
    } else if (op == PST_I3C_OP_DATA) {
        (void)pst_i3c_target_put(&c->adaptor.engine, at + 1, len - 1);
    }
}

/* --- controllers --- */

static void send_answer(struct client *c)
{
    if (c->answer.len > 0) {
        pst_i3c_wire_send(&c->wire, PST_I3C_OP_DONE, c->answer.bytes, c->answer.len, NULL, 0);
        c->answer.len = 0;
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct pst_i3c_host *h = timer->data;

    for (struct client *c = h->clients; c != NULL; c = c->next) {
        send_answer(c);
    }
    pst_i3c_host_pump(h);
}

/* The bus was busy for this many bits; the answer is delayed if that is a tick of the clock. */
static void pace(struct pst_i3c_host *h, struct client *c, uint64_t bits)
{
    const uint64_t now = uv_hrtime();

    if (h->khz > 0) {
        if (h->busy_until_ns < now) {
            h->busy_until_ns = now;
        }
        h->busy_until_ns += bits * 1000000 / h->khz;
    }
    if (h->khz == 0 || h->busy_until_ns < now + 1000000) {
        send_answer(c);
    } else if (!uv_is_active((uv_handle_t *)&h->timer)) {
        uv_update_time(h->timer.loop);
        (void)uv_timer_start(&h->timer, on_timer, (h->busy_until_ns - now) / 1000000, 0);
    }
}

static pst_err run_ccc(struct client *c, struct pst_reader *r, uint8_t *out, size_t *len)
{
    const struct pst_i3c_bus *bus = &c->view.bus;
    const uint8_t address = pst_get_u8(r);
    struct pst_i3c_ccc ccc = {.code = pst_get_u8(r), .defining = pst_get_u8(r)};

    ccc.read_cap = pst_get_u8(r);
    ccc.read = out;
    ccc.write_len = r->left;
    ccc.write = pst_get_block(r, r->left).at;
    if (!pst_reader_ok(r)) {
        return PST_ERR_ARGUMENT;
    }
    const pst_err err = bus->ccc(bus->ctx, address, &ccc);
    *len = err == PST_OK ? ccc.read_len : 0;
    return err;
}

/* `out` has PST_I3C_MAX bytes. */
static pst_err run_transfer(struct client *c, uint8_t op, struct pst_reader *r, uint8_t *out,
                            size_t *len)
{
    const struct pst_i3c_bus *bus = &c->view.bus;

    if (op == PST_I3C_OP_FIND) {
        const pst_err err = bus->find(bus->ctx, pst_get_u64(r), &c->address);
        out[0] = c->address;
        *len = err == PST_OK ? 1 : 0;
        return err;
    }
    if (op == PST_I3C_OP_CCC) {
        return run_ccc(c, r, out, len);
    }
    const uint8_t address = pst_get_u8(r);
    if (op == PST_I3C_OP_READ) {
        return bus->read(bus->ctx, address, out, PST_I3C_MAX, len);
    }
    if (op == PST_I3C_OP_RESET) {
        return bus->reset(bus->ctx, address, pst_get_u8(r));
    }
    const size_t left = r->left;
    return bus->write(bus->ctx, address, pst_get_block(r, left).at, left);
}

static void on_transfer(struct client *c, uint8_t op, const uint8_t *at, size_t len)
{
    struct pst_i3c_host *h = c->host;
    const uint64_t before = pst_i3c_model_bits(&h->model);
    size_t got = 0;
    pst_err err = PST_PENDING;

    if (c->answer.len > 0 || op < PST_I3C_OP_FIND || op > PST_I3C_OP_RESET) {
        return; /* one at a time */
    }
    /* The model's bus may say that it takes longer; over a socket everything does. */
    for (int i = 0; i < 100 && err == PST_PENDING; i++) {
        struct pst_reader r = pst_reader_of(at, len);
        err = run_transfer(c, op, &r, c->answer.bytes + 1, &got);
    }
    err = err == PST_PENDING ? PST_ERR_IO : err;
    c->answer.bytes[0] = (uint8_t)-err;
    c->answer.len = 1 + (err == PST_OK ? got : 0);
    pace(h, c, pst_i3c_model_bits(&h->model) - before);
}

static void tell_ibis(struct client *c)
{
    struct pst_i3c_ibi ibi;

    while (c->address != 0 && pst_i3c_wire_queued(&c->wire) < PST_I3C_WIRE_QUEUE &&
           c->view.bus.poll_ibi(c->view.bus.ctx, c->address, &ibi) == PST_OK) {
        pst_i3c_wire_send(&c->wire, PST_I3C_OP_IBI, ibi.bytes, ibi.len, NULL, 0);
    }
}

void pst_i3c_host_pump(struct pst_i3c_host *h)
{
    for (struct client *c = h->clients; c != NULL; c = c->next) {
        if (c->role == ADAPTOR && c->attached) {
            to_owner(c);
        } else if (c->role == MCTP && c->attached) {
            packets_to_owner(c);
        }
        hold_back(c);
    }
    for (struct client *c = h->clients; c != NULL; c = c->next) {
        if (c->role == CONTROLLER) {
            tell_ibis(c);
        }
    }
}

/* --- MCTP devices, as the model sees them --- */

static bool mctp_ready(void *ctx)
{
    return pst_mctp_i3c_target_ready(ctx);
}

static void mctp_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    const pst_err err = pst_mctp_i3c_target_write(ctx, address, data, len);
    (void)err; /* it counts damaged packets */
}

static size_t mctp_read(void *ctx, uint8_t address, uint8_t out[PST_I3C_MAX])
{
    return pst_mctp_i3c_target_read(ctx, address, out);
}

static pst_err mctp_ccc(void *ctx, uint8_t code, uint8_t defining, const uint8_t *data, size_t len)
{
    (void)ctx, (void)code, (void)defining, (void)data, (void)len;
    return PST_ERR_UNSUPPORTED;
}

static pst_err mctp_ccc_read(void *ctx, uint8_t code, uint8_t defining,
                             uint8_t out[PST_I3C_STATUS_LEN], size_t *len)
{
    (void)ctx, (void)code, (void)defining, (void)out, (void)len;
    return PST_ERR_UNSUPPORTED;
}

static size_t mctp_ibi(void *ctx, uint8_t out[2])
{
    return pst_mctp_i3c_target_ibi(ctx, out);
}

static void mctp_ibi_done(void *ctx, const uint8_t ibi[2])
{
    (void)ibi;
    pst_mctp_i3c_target_ibi_done(ctx);
}

static bool mctp_pattern(void *ctx)
{
    (void)ctx;
    return false;
}

static const struct pst_i3c_device_ops mctp_ops = {
    .ready = mctp_ready,
    .write = mctp_write,
    .read = mctp_read,
    .ccc = mctp_ccc,
    .ccc_read = mctp_ccc_read,
    .ibi = mctp_ibi,
    .ibi_done = mctp_ibi_done,
    .pattern = mctp_pattern,
};

/* --- clients --- */

static void drop_client(struct client *c);

/* Its process has exited: this shows even while we do not read from it. */
static bool is_dead(const struct client *c)
{
    struct pollfd fd = {0};

    return uv_fileno(&c->wire.socket.io.handle, &fd.fd) == 0 && poll(&fd, 1, 0) == 1 &&
           (fd.revents & POLLHUP) != 0;
}

/* A dead owner of whom there is still something to read does not keep its device on the bus. */
static void bury(const struct pst_i3c_host *h, uint64_t id)
{
    for (struct client *c = h->clients; c != NULL; c = c->next) {
        const struct pst_i3c_device *d = c->role == MCTP ? &c->device : &c->adaptor.device;

        if (c->attached && d->id == id && is_dead(c)) {
            drop_client(c);
        }
    }
}

static pst_err make_device(struct client *c, uint64_t id, uint8_t kind)
{
    const struct pst_i3c_target_config config = {
        .buffers = {c->send, sizeof c->send, c->receive, sizeof c->receive},
        .ports = PST_I3C_PORTS,
    };

    c->role = kind == PST_I3C_KIND_MCTP ? MCTP : ADAPTOR;
    if (kind == PST_I3C_KIND_MCTP) {
        pst_mctp_i3c_target_init(&c->mctp);
        c->device = (struct pst_i3c_device){.ops = &mctp_ops, .ctx = &c->mctp, .id = id};
        return pst_i3c_model_attach(&c->host->model, &c->device);
    }
    pst_i3c_adaptor_init(&c->adaptor, id);
    PST_TRY(pst_i3c_target_init(&c->adaptor.engine, &config));
    return pst_i3c_model_attach(&c->host->model, &c->adaptor.device);
}

static void on_attach(struct client *c, const uint8_t *at, size_t len)
{
    struct pst_reader r = pst_reader_of(at, len);
    const uint64_t id = pst_get_u64(&r);
    const uint8_t kind = pst_get_u8(&r);
    pst_err err = pst_finish(&r);

    bury(c->host, id);
    err = err == PST_OK ? make_device(c, id, kind) : err;
    c->attached = err == PST_OK;
    const uint8_t answer = (uint8_t)-err;
    pst_i3c_wire_send(&c->wire, PST_I3C_OP_ATTACHED, &answer, 1, NULL, 0);
}

static void on_frame(void *ctx, uint8_t op, const uint8_t *at, size_t len)
{
    struct client *c = ctx;

    if (c->role == STRANGER && op == PST_I3C_OP_ATTACH) {
        on_attach(c, at, len);
    } else if (c->role == STRANGER && op == PST_I3C_OP_LOOK) {
        c->role = CONTROLLER;
        pst_i3c_model_look(&c->view, &c->host->model, true);
    } else if (c->role == CONTROLLER) {
        on_transfer(c, op, at, len);
    } else if (c->role == ADAPTOR && c->attached) {
        from_owner(c, op, at, len);
    } else if (c->role == MCTP && c->attached && op == PST_I3C_OP_PACKET) {
        /* Reading stops while there is no room, so what fails is no packet. */
        const pst_err err = pst_mctp_i3c_target_send(&c->mctp, at, len);
        (void)err;
    }
    pst_i3c_host_pump(c->host);
}

static void on_drained(void *ctx)
{
    struct client *c = ctx;
    pst_i3c_host_pump(c->host);
}

static void maybe_free(struct pst_i3c_host *h)
{
    if (h->stopping && h->handles == 0 && h->clients == NULL) {
        free(h);
    }
}

static void on_client_closed(void *ctx)
{
    struct client *c = ctx;
    struct pst_i3c_host *h = c->host;
    struct client **at = &h->clients;

    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    free(c);
    maybe_free(h);
}

static void drop_client(struct client *c)
{
    if (c->attached) {
        pst_i3c_model_detach(&c->host->model, c->role == MCTP ? &c->device : &c->adaptor.device);
    }
    c->attached = false;
    c->role = STRANGER;
    pst_i3c_wire_close(&c->wire, on_client_closed);
}

static void on_lost(void *ctx, const char *text)
{
    (void)text;
    drop_client(ctx);
}

static const struct pst_i3c_wire_events client_events = {
    .frame = on_frame, .drained = on_drained, .lost = on_lost};

static void on_peer(uv_stream_t *server, int status)
{
    struct pst_i3c_host *h = server->data;
    struct client *c = status == 0 ? calloc(1, sizeof *c) : NULL;

    if (c == NULL || pst_i3c_wire_init(&c->wire, server->loop, &client_events, c) != PST_OK) {
        free(c);
        return;
    }
    c->host = h;
    c->next = h->clients;
    h->clients = c;
    if (pst_socket_accept(server, &c->wire.socket, &c->wire) == PST_OK) {
        pst_i3c_wire_start(&c->wire);
    } else {
        drop_client(c);
    }
}

/* --- the bus --- */

struct pst_i3c_model *pst_i3c_host_model(struct pst_i3c_host *h)
{
    return &h->model;
}

static void on_closed(uv_handle_t *handle)
{
    struct pst_i3c_host *h = handle->data;
    h->handles--;
    maybe_free(h);
}

void pst_i3c_host_stop(struct pst_i3c_host *h)
{
    if (h->stopping) {
        return;
    }
    h->stopping = true;
    if (h->socket.open) {
        (void)unlink(h->address.host);
    }
    h->handles = h->socket.open ? 2 : 1;
    h->socket.io.handle.data = h;
    pst_socket_close(&h->socket, on_closed);
    uv_close((uv_handle_t *)&h->timer, on_closed);
    for (struct client *c = h->clients; c != NULL; c = c->next) {
        drop_client(c);
    }
}

/* Locks the directory of `path` until `*fd` is closed; -1: the directory cannot be locked. False:
   another process has the lock. */
static bool lock_place(const char *path, int *fd)
{
    char dir[sizeof((struct pst_address *)0)->host];
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        snprintf(dir, sizeof dir, ".");
    } else {
        snprintf(dir, sizeof dir, "%.*s/", (int)(slash - path), path);
    }
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(*fd);
        return false;
    }
    return true;
}

/* When the process that held a bus is killed, all its clients try to recreate it at the same
   moment. Without a lock, one could remove the socket of another that does not listen yet, as a
   stale one. */
static pst_err listen_alone(uv_loop_t *loop, struct pst_i3c_host *h, char *why, size_t why_cap)
{
    int lock;

    if (!lock_place(h->address.host, &lock)) {
        snprintf(why, why_cap, "another process is creating this bus; try again");
        return PST_ERR_BUSY;
    }
    const pst_err err = pst_socket_listen(loop, &h->socket, &h->address, on_peer, h, why, why_cap);
    if (lock >= 0) {
        close(lock);
    }
    return err;
}

pst_err pst_i3c_host_start(uv_loop_t *loop, const char *path, unsigned khz, uint64_t seed,
                           struct pst_i3c_host **host, char *why, size_t why_cap)
{
    struct pst_i3c_host *h = calloc(1, sizeof *h);

    if (h == NULL || uv_timer_init(loop, &h->timer) != 0) {
        free(h);
        snprintf(why, why_cap, "no memory for a bus");
        return PST_ERR_IO;
    }
    h->timer.data = h;
    h->khz = khz;
    h->address.local = true;
    snprintf(h->address.text, sizeof h->address.text, "model:%s", path);
    snprintf(h->address.host, sizeof h->address.host, "%s", path);
    pst_i3c_model_init(&h->model, seed);
    const pst_err err = listen_alone(loop, h, why, why_cap);
    if (err != PST_OK) {
        pst_i3c_host_stop(h);
        return err;
    }
    *host = h;
    return PST_OK;
}
