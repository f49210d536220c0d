/* A stub client on a real stream: a socket to a stub, or a supervisor. Calls block with a timeout.
 */
#ifndef PST_TEST_LIVE_H
#define PST_TEST_LIVE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "posix/host/supervisor.h"
#include "pst_test.h"

enum { LIVE_MS = 20000 };

struct live {
    struct pst_stub stub;
    struct pst_space memory, run;
    struct pst_gate gate;
    struct pst_supervisor_link link;
    struct pst_region map[4];
    size_t map_len;
    int fd;
    bool supervised;
    const char *path;               /* of the stub's Unix socket */
    uint64_t deny_first, deny_last; /* reads of memory that the gate refuses */
    bool deny_run;
    unsigned asked;
    uint8_t buffer[64 * 1024];
    uint8_t event[32 * 1024];
};

static inline long live_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000L + t.tv_nsec / 1000000L;
}

static inline int live_connect(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline pst_err live_allow(void *ctx, uint8_t space, uint8_t rights, uint64_t address,
                                 uint64_t len)
{
    struct live *l = ctx;
    l->asked++;
    if (space == PST_AS_RUN) {
        return (rights & PST_RIGHT_RUN) != 0 && l->deny_run ? PST_ERR_DENIED : PST_OK;
    }
    bool hit = address <= l->deny_last && address + len - 1 >= l->deny_first;
    return hit ? PST_ERR_DENIED : PST_OK;
}

static inline pst_err live_open(void *ctx, bool on)
{
    struct live *l = ctx;
    if (!on) {
        close(l->fd);
        l->fd = -1;
        return PST_OK;
    }
    if (l->path != NULL) {
        l->fd = live_connect(l->path);
    } /* else it is given */
    return l->fd >= 0 ? PST_OK : PST_ERR_IO;
}

static inline void live_start(struct live *l, bool hold)
{
    struct pst_stub_config config = {
        .map = l->map,
        .map_len = l->map_len,
        .open = l->supervised ? pst_supervisor_open : live_open,
        .ctx = l->supervised ? (void *)&l->link : (void *)l,
        .buffer = l->buffer,
        .buffer_len = sizeof l->buffer,
        .hold = hold,
    };
    l->deny_first = 1;
    l->deny_last = 0;
    l->gate = (struct pst_gate){.ctx = l, .allow = live_allow};
    CHECK_EQ(pst_stub_init(&l->stub, &config), PST_OK);
    pst_supervisor_link_init(&l->link, &l->stub, l->fd);
    l->memory = pst_stub_memory(&l->stub);
    l->run = pst_stub_run(&l->stub);
}

static inline void live_gone(struct live *l)
{
    if (l->supervised) {
        pst_supervisor_gone(&l->link);
    } else {
        pst_stub_closed(&l->stub);
    }
    close(l->fd);
    l->fd = -1;
}

/* TRACE in the environment prints all traffic. */
static inline void live_trace(const char *way, const uint8_t *at, ssize_t len)
{
    if (getenv("TRACE") != NULL) {
        fprintf(stderr, "%s %.*s\n", way, (int)(len > 0 ? len : 0), (const char *)at);
    }
}

static inline void live_pump_supervised(struct live *l, int ms)
{
    struct pollfd p[2] = {
        {.fd = l->fd, .events = POLLIN},
        {.events = POLLIN}
    };
    if (pst_supervisor_write(&l->link)) {
        p[1].events |= POLLOUT;
    }
    p[1].fd = l->link.fd; /* -1 is ignored */
    if (l->fd < 0 || poll(p, 2, ms) <= 0) {
        return;
    }
    if (p[1].revents != 0) {
        (void)pst_supervisor_read(&l->link);
    }
    if (p[0].revents != 0 && !pst_supervisor_heard(&l->link)) {
        live_gone(l);
    }
}

/* Moves bytes for at most `ms`, or until some came. */
static inline void live_pump(struct live *l, int ms)
{
    uint8_t in[4096];
    struct pst_bytes out;
    if (l->supervised) {
        live_pump_supervised(l, ms);
        return;
    }
    while (l->fd >= 0 && (out = pst_stub_pending(&l->stub)).len > 0) {
        ssize_t n = send(l->fd, out.at, out.len, MSG_NOSIGNAL);
        live_trace(">", out.at, n);
        if (n <= 0) {
            break;
        }
        pst_stub_sent(&l->stub, (size_t)n);
    }
    if (l->fd < 0) {
        return;
    }
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    if (poll(&p, 1, ms) <= 0) {
        return;
    }
    ssize_t n = read(l->fd, in, sizeof in);
    live_trace("<", in, n);
    if (n <= 0) {
        live_gone(l);
    } else {
        pst_stub_receive(&l->stub, in, (size_t)n);
    }
}

static inline pst_err live_perform(struct live *l, const struct pst_space *space, uint64_t address,
                                   void *data, uint32_t *len, bool write)
{
    long end = live_now() + LIVE_MS;
    for (;;) {
        /* Like the engine: a new access each time. */
        struct pst_access a = {
            .address = address, .data = data, .len = *len, .write = write, .gate = &l->gate};
        pst_err err = space->perform(space->ctx, &a);
        if (err != PST_PENDING) {
            *len = a.len;
            return err;
        }
        CHECK(live_now() < end);
        live_pump(l, 100);
    }
}

static inline pst_err live_read(struct live *l, uint64_t address, void *data, uint32_t len)
{
    uint32_t got = len;
    pst_err err = live_perform(l, &l->memory, address, data, &got, false);
    return err == PST_OK && got != len ? PST_ERR_FAULT : err;
}

static inline pst_err live_write(struct live *l, uint64_t address, const void *data, uint32_t len)
{
    uint8_t *copy = malloc(len);
    memcpy(copy, data, len);
    pst_err err = live_perform(l, &l->memory, address, copy, &len, true);
    free(copy);
    return err;
}

static inline pst_err live_run_write(struct live *l, uint64_t address, const void *data,
                                     uint32_t len)
{
    uint8_t copy[512];
    memcpy(copy, data, len);
    return live_perform(l, &l->run, address, copy, &len, true);
}

static inline pst_err live_run_read(struct live *l, uint64_t address, void *data, uint32_t *len)
{
    return live_perform(l, &l->run, address, data, len, false);
}

static inline pst_err live_enable(struct live *l, const struct pst_space *space, bool on)
{
    long end = live_now() + LIVE_MS;
    pst_err err;
    while ((err = space->enable(space->ctx, on, on ? &l->gate : NULL)) == PST_PENDING) {
        CHECK(live_now() < end);
        live_pump(l, 100);
    }
    return err;
}

static inline pst_err live_resume(struct live *l, uint32_t hart, uint8_t action, uint64_t first,
                                  uint64_t end)
{
    uint8_t entry[24];
    struct pst_writer w = pst_writer_of(entry, sizeof entry);
    pst_put_u32(&w, hart);
    pst_put_u8(&w, action);
    pst_put_zeros(&w, 3);
    pst_put_u64(&w, first);
    pst_put_u64(&w, end);
    return live_run_write(l, PST_RUN_RESUME, entry, sizeof entry);
}

static inline pst_err live_break(struct live *l, bool on, uint8_t type, uint16_t kind,
                                 uint64_t address)
{
    uint8_t entry[16];
    struct pst_writer w = pst_writer_of(entry, sizeof entry);
    pst_put_u8(&w, on);
    pst_put_u8(&w, type);
    pst_put_u16(&w, kind);
    pst_put_u32(&w, 0);
    pst_put_u64(&w, address);
    return live_run_write(l, PST_RUN_BREAK, entry, sizeof entry);
}

static inline void live_put_gather(struct pst_writer *w, uint8_t base, uint16_t offset,
                                   uint32_t len, uint64_t add)
{
    pst_put_u8(w, base);
    pst_put_u8(w, base == PST_GATHER_REGISTER ? 4 : 0);
    pst_put_u16(w, offset);
    pst_put_u32(w, len);
    pst_put_u64(w, add);
}

/* The event if one comes within `ms`; its length. */
static inline size_t live_event(struct live *l, int ms)
{
    long end = live_now() + ms;
    for (;;) {
        size_t n = l->run.event(l->run.ctx, l->event, sizeof l->event);
        if (n > 0 || live_now() >= end) {
            return n;
        }
        live_pump(l, 20);
    }
}

/* A register of the last event's block. */
static inline uint32_t live_register(const struct live *l, size_t offset)
{
    return pst_peek_u32(l->event + PST_STOP_REPORT_HEAD + 4 * pst_peek_u16(l->event + 16) + offset);
}

/* The gathered chunk that holds an address, or NULL. */
static inline const uint8_t *live_chunk(const struct live *l, size_t len, uint64_t address)
{
    size_t at = PST_STOP_REPORT_HEAD + 4 * (size_t)pst_peek_u16(l->event + 16) +
                pst_peek_u16(l->event + 18);
    while (at < len) {
        uint64_t first = pst_peek_u64(l->event + at);
        uint32_t n = pst_peek_u32(l->event + at + 8);
        if (address >= first && address - first < n) {
            return l->event + at + 12 + (address - first);
        }
        at += 12 + n;
    }
    CHECK_EQ(at, len);
    return NULL;
}

#endif
