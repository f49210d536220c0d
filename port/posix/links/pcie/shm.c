/* pcie-shm: memory that two machines share as the BAR of a PCIe device (QEMU's ivshmem-plain), for
   bulk data and trace.

   `pcie-shm:DOMAIN:BUS:DEV.FN` on the side that has the device, or `pcie-shm:` if it has exactly
   one; `pcie-shm-listen:FILE` on the other side, where a file of the host is that memory. Either
   side may call: `pcie-shm:FILE` and `pcie-shm-listen:BUS:DEV.FN` work as well. A file's name
   contains a slash.

   There are no interrupts. While bytes move, the loop polls without a pause; then it polls at
   growing intervals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "posix/links/pcie/device.h"
#include "posix/links/pcie/shm_memory.h"
#include "posix/loop/carrier.h"
#include "postern/links/ring.h"

#define BUFFER 65536
#define SPIN_NS 300000 /* after the last byte, until pauses begin */
#define LEAST_MS 1
#define MOST_MS 8
#define RETRY_MS 1000
#define CALL_MS 4000 /* wait for a peer: less than the link's own limit, whose text says less */

struct shm_listener;

struct shm {
    struct pst_carrier base;
    struct pst_shm *memory;
    struct shm_listener
        *listener; /* the listener that waits with it, or that gets its place back */
    struct pst_ring ring;
    uv_timer_t timer;
    uv_idle_t idle;
    bool up, reading, wanted, finishing, closing;
    uint8_t to_close;
    unsigned pause_ms;
    uint64_t moved_ns, limit_ms;
    pst_err why;
    char text[128];
    uint8_t in[BUFFER];
};

struct shm_listener {
    struct pst_listener base;
    struct pst_address address;
    struct pst_shm *memory; /* NULL: it is gone and being looked for */
    uv_loop_t *loop;
    uv_timer_t retry;
    struct shm *waiting;
    bool closing, has_peer;
};

static const struct pst_link_traits shm_traits = {
    .mtu = PST_LINK_MAX_MESSAGE,
    .ordered = true,
    .lossy = false,
    .shared = false,
    .pushes = true,
    .native = false,
    .sequence_len = 0,
};

/* --- a connection --- */

static struct shm *make(uv_loop_t *loop, struct pst_shm *memory, const struct pst_address *a,
                        bool listens);
static void turn(struct shm *c);
static void wait_again(struct shm_listener *l);

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void on_retry_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void free_listener(struct shm_listener *l)
{
    if (l->closing && l->waiting == NULL && !l->has_peer) {
        if (l->memory != NULL) {
            pst_shm_release(l->memory);
        }
        uv_close((uv_handle_t *)&l->retry, on_retry_closed);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct shm *c = handle->data;
    struct shm_listener *l = c->listener;

    if (--c->to_close > 0) {
        return;
    }
    pst_shm_release(c->memory); /* its owner may reconnect at once */
    if (c->base.events != NULL) {
        c->base.events->down(c->base.ctx, c->why, c->text);
    }
    if (l != NULL) {
        l->has_peer = l->waiting == c ? l->has_peer : false;
        l->waiting = l->waiting == c ? NULL : l->waiting;
        if (l->closing) {
            free_listener(l);
        } else {
            wait_again(l);
        }
    }
    free(c);
}

static void end(struct shm *c, pst_err why, const char *text)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    c->why = why;
    snprintf(c->text, sizeof c->text, "%s", text);
    pst_ring_close(&c->ring);
    c->to_close = 2;
    uv_close((uv_handle_t *)&c->timer, on_closed);
    uv_close((uv_handle_t *)&c->idle, on_closed);
}

static void end_as(struct shm *c, pst_err err)
{
    switch ((int)err) {
    case PST_ERR_CLOSED:
        end(c, PST_OK, "closed by the peer");
        break;
    case PST_ERR_UNEXPECTED:
        end(c, PST_ERR_CLOSED, "the peer restarted, or another process replaced it");
        break;
    case PST_ERR_TIMEOUT:
        end(c, err, "nothing is received from the peer any more");
        break;
    case PST_ERR_PROFILE:
        end(c, err, "the peer has an incompatible Postern wire profile");
        break;
    default:
        end(c, err,
            c->up ? "the peer wrote invalid data into the shared memory"
                  : "the peer's shared memory has another size");
        break;
    }
}

static void on_idle(uv_idle_t *idle)
{
    turn(idle->data);
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

/* When to poll again. */
static void arm(struct shm *c, bool moved)
{
    const uint64_t now = uv_hrtime();

    if (moved) {
        c->moved_ns = now;
        c->pause_ms = 0;
    }
    if (now - c->moved_ns < SPIN_NS) {
        (void)uv_idle_start(&c->idle, on_idle);
        return;
    }
    c->pause_ms = c->pause_ms == 0            ? LEAST_MS
                  : c->pause_ms * 2 > MOST_MS ? MOST_MS
                                              : c->pause_ms * 2;
    (void)uv_idle_stop(&c->idle);
    (void)uv_timer_start(&c->timer, on_timer, c->pause_ms, 0);
}

static void connected(struct shm *c)
{
    struct shm_listener *l = c->listener;

    c->up = true;
    if (l == NULL) {
        c->base.events->open(c->base.ctx);
        return;
    }
    l->waiting = NULL;
    l->has_peer = true;
    l->base.events->peer(l->base.ctx, &c->base);
    if (c->base.events == NULL) {
        end(c, PST_OK, "");
    }
}

/* Moves input and reports room. Returns whether any bytes moved. */
static bool move(struct shm *c)
{
    size_t n = 0;

    if (c->reading || c->finishing) {
        n = pst_ring_read(&c->ring, c->in, sizeof c->in);
    }
    if (n > 0 && !c->finishing) {
        c->base.events->receive(c->base.ctx, c->in, n);
    }
    if (c->wanted && !c->closing && !c->finishing && c->base.events->writable != NULL) {
        c->wanted = false;
        c->base.events->writable(c->base.ctx);
        return n > 0 || !c->wanted;
    }
    return n > 0;
}

static void turn(struct shm *c)
{
    bool moved = false;

    if (c->closing) {
        return;
    }
    const pst_err err = pst_ring_turn(&c->ring, now_ms());
    if (c->memory->lost) {
        end(c, PST_ERR_IO,
            "the shared memory is gone: its file was cut short, or it was unplugged");
        return;
    }
    if (err == PST_OK && !c->up) {
        connected(c);
        moved = true;
    } else if (err == PST_OK) {
        moved = move(c);
    } else if (err != PST_PENDING) {
        end_as(c, err);
        return;
    } else if (c->limit_ms > 0 && now_ms() > c->limit_ms) {
        end(c, PST_ERR_TIMEOUT, "no peer uses the other side of the shared memory");
        return;
    }
    if (!c->closing && c->finishing && (pst_ring_is_drained(&c->ring) || now_ms() > c->limit_ms)) {
        end(c, PST_OK, "");
    }
    if (!c->closing) {
        arm(c, moved);
    }
}

/* --- the four operations --- */

static size_t write_bytes(struct pst_carrier *base, const uint8_t *bytes, size_t len)
{
    struct shm *c = (struct shm *)base;

    if (!c->up || c->closing || c->finishing) {
        return 0;
    }
    const size_t n = pst_ring_write(&c->ring, bytes, len);
    c->wanted = n < len;
    if (n > 0) {
        arm(c, true);
    }
    return n;
}

static void read_on_off(struct pst_carrier *base, bool on)
{
    struct shm *c = (struct shm *)base;

    c->reading = on;
    if (on && !c->closing) {
        arm(c, true);
    }
}

static void finish(struct pst_carrier *base)
{
    struct shm *c = (struct shm *)base;

    if (c->finishing || c->closing) {
        return;
    }
    c->finishing = true;
    c->limit_ms = now_ms() + PST_CARRIER_FINISH_MS;
    pst_ring_finish(&c->ring);
    arm(c, true);
}

static void close_now(struct pst_carrier *base)
{
    end((struct shm *)base, PST_OK, "");
}

static const struct pst_carrier_ops ops = {
    .write = write_bytes, .read = read_on_off, .finish = finish, .close = close_now};

/* --- opening --- */

static void no_idle(uv_handle_t *handle)
{
    free(handle->data);
}

static struct shm *make(uv_loop_t *loop, struct pst_shm *memory, const struct pst_address *a,
                        bool listens)
{
    const struct pst_ring_port port = pst_shm_port(memory);
    struct shm *c = malloc(sizeof *c);
    uint32_t generation = 0;

    if (c == NULL) {
        return NULL;
    }
    memset(c, 0, offsetof(struct shm, in));
    while (generation == 0 && uv_random(NULL, NULL, &generation, sizeof generation, 0, NULL) == 0) {
    }
    if (pst_ring_open(&c->ring, &port, memory->len, listens, generation, now_ms()) != PST_OK ||
        uv_timer_init(loop, &c->timer) != 0) {
        free(c);
        return NULL;
    }
    c->timer.data = c->idle.data = c;
    if (uv_idle_init(loop, &c->idle) != 0) {
        uv_close((uv_handle_t *)&c->timer, no_idle);
        return NULL;
    }
    c->base.ops = &ops;
    c->base.traits = &shm_traits;
    snprintf(c->base.peer, sizeof c->base.peer, "%s", a->text);
    c->memory = memory;
    memory->users++;
    arm(c, true);
    return c;
}

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    struct pst_shm *memory;

    PST_TRY(pst_shm_open(to, false, &memory, why, why_cap));
    struct shm *c = make(loop, memory, to, false);
    pst_shm_release(memory);
    if (c == NULL) {
        return pst_shm_refuse(to, "the shared memory is too small (8 KiB at least)", why, why_cap);
    }
    pst_carrier_own(&c->base, events, ctx);
    c->limit_ms = now_ms() + CALL_MS;
    *carrier = &c->base;
    return PST_OK;
}

static void note(struct shm_listener *l, const char *text)
{
    if (l->base.events->note != NULL) {
        l->base.events->note(l->base.ctx, text);
    }
}

static void on_retry(uv_timer_t *timer)
{
    struct shm_listener *l = timer->data;
    char why[PST_ADDRESS_TEXT + 160];

    if (l->closing || pst_shm_open(&l->address, true, &l->memory, why, sizeof why) != PST_OK) {
        return;
    }
    l->waiting = make(l->loop, l->memory, &l->address, true);
    if (l->waiting == NULL) { /* it exists, but is too small */
        pst_shm_release(l->memory);
        l->memory = NULL;
        return;
    }
    l->waiting->listener = l;
    (void)uv_timer_stop(timer);
    note(l, "the shared memory is back");
}

static void wait_again(struct shm_listener *l)
{
    if (l->memory->lost) {
        pst_shm_release(l->memory);
        l->memory = NULL;
        (void)uv_timer_start(&l->retry, on_retry, RETRY_MS, RETRY_MS);
        note(l, "the shared memory is gone; waiting for it to come back");
        return;
    }
    l->waiting = make(l->loop, l->memory, &l->address, true);
    if (l->waiting != NULL) {
        l->waiting->listener = l;
    } else {
        note(l, "no memory to listen again");
    }
}

static void close_listener(struct pst_listener *base)
{
    struct shm_listener *l = (struct shm_listener *)base;

    l->closing = true;
    if (l->waiting != NULL) {
        end(l->waiting, PST_OK, "");
    } else {
        free_listener(l);
    }
}

static pst_err listen_at(uv_loop_t *loop, const struct pst_address *at,
                         const struct pst_listener_events *events, void *ctx,
                         struct pst_listener **listener, char *why, size_t why_cap)
{
    struct pst_shm *memory;

    PST_TRY(pst_shm_open(at, true, &memory, why, why_cap));
    struct shm_listener *l = calloc(1, sizeof *l);
    if (l != NULL) {
        l->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
        snprintf(l->base.place, sizeof l->base.place, "pcie-shm:%.400s", at->place);
        l->address = *at;
        l->memory = memory;
        l->loop = loop;
        l->waiting = make(loop, memory, at, true);
    }
    if (l == NULL || l->waiting == NULL) {
        free(l);
        pst_shm_release(memory);
        return pst_shm_refuse(at, "the shared memory is too small (8 KiB at least)", why, why_cap);
    }
    l->waiting->listener = l;
    l->retry.data = l;
    (void)uv_timer_init(loop, &l->retry); /* it cannot fail */
    *listener = &l->base;
    return PST_OK;
}

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    static const char *const keys[] = {"sysfs", NULL};
    char name[PST_PCIE_NAME];

    PST_TRY(pst_address_options(a, keys, why, why_cap));
    if (!pst_shm_is_file(a) && a->place[0] != '\0' && pst_pcie_name(a->place, name) != PST_OK) {
        return pst_address_bad(a, "neither the name of a PCI device nor a file", why, why_cap);
    }
    return PST_OK;
}

struct present {
    void (*found)(void *ctx, const char *link, const char *what);
    void *ctx;
};

static bool show(void *ctx, const char *name)
{
    const struct present *p = ctx;
    char link[PST_PCIE_NAME + 16], what[64];
    struct stat st;
    const int fd = pst_pcie_open(PST_PCIE_ROOT, name, "resource2", O_RDONLY);

    if (pst_pcie_id(PST_PCIE_ROOT, name) == PST_SHM_IVSHMEM) {
        const bool known = fd >= 0 && fstat(fd, &st) == 0;
        snprintf(link, sizeof link, "pcie-shm:%s", name);
        snprintf(what, sizeof what, known ? "ivshmem, %llu KiB" : "ivshmem, for root",
                 known ? (unsigned long long)st.st_size / 1024 : 0ULL);
        p->found(p->ctx, link, what);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return true;
}

static void present(void (*found)(void *ctx, const char *link, const char *what), void *ctx)
{
    struct present p = {found, ctx};
    (void)pst_pcie_each(PST_PCIE_ROOT, show, &p);
}

const struct pst_scheme pst_scheme_pcie_shm = {
    .name = "pcie-shm",
    .form = "pcie-shm:[DOMAIN:]BUS:DEV.FN or pcie-shm:/FILE",
    .summary = "memory shared with another machine, a PCIe BAR here and a file there (ivshmem)",
    .traits = &shm_traits,
    .exclusive = true,
    .check = check,
    .connect = connect_to,
    .listen = listen_at,
    .present = present,
};
