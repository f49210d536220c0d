/* The character device of OpenBMC's "MIPI Debug for I3C" driver; see i3c_backend.h. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/links/i3c/backend.h"

#define ONLY_ADDRESS 1 /* known to the driver, not needed here */

/* --- the bus --- */

static bool is_unplugged(int error)
{
    return error == ENODEV || error == ENXIO || error == ESHUTDOWN || error == EBADF;
}

/* The errors that public I3C controller drivers return for a NACK. */
static bool nack_of(int error)
{
    return error == EAGAIN || error == EBUSY || error == EREMOTEIO || error == EINVAL ||
           error == ENODATA;
}

static pst_err failed(struct pst_i3c_debug_bus *d)
{
    const int error = errno;

    if (is_unplugged(error)) {
        d->unplugged = error;
        return PST_ERR_FAULT; /* ends the link */
    }
    /* ENOTTY: the driver lacks these ioctls, as its first public version does. */
    if (error == ENOTTY || error == EOPNOTSUPP) {
        return PST_ERR_UNSUPPORTED;
    }
    return nack_of(error) ? PST_ERR_BUSY : PST_ERR_IO;
}

static pst_err find(void *ctx, uint64_t id, uint8_t *address)
{
    (void)ctx;
    (void)id;
    *address = ONLY_ADDRESS;
    return PST_OK;
}

static pst_err action(struct pst_i3c_debug_bus *d, uint8_t what)
{
    struct pst_i3c_action_ccc arg = {.action = what};
    return d->calls->ioctl(d->ctx, d->fd, PST_I3C_IOCTL_ACTION, &arg) < 0 ? failed(d) : PST_OK;
}

static pst_err opcode(struct pst_i3c_debug_bus *d, struct pst_i3c_ccc *c)
{
    struct pst_i3c_opcode_ccc arg;

    memset(&arg, 0, sizeof arg); /* its padding is passed to the kernel */
    arg.opcode = c->defining;
    if (c->write_len > 0) {
        arg.write_len = (uint16_t)c->write_len;
        arg.write_ptr = (uintptr_t)c->write;
    }
    if (c->read_cap > 0) {
        arg.read_len = (uint16_t)c->read_cap;
        arg.read_ptr = (uintptr_t)c->read;
    }
    c->read_len = 0;
    if (d->calls->ioctl(d->ctx, d->fd, PST_I3C_IOCTL_OPCODE, &arg) < 0) {
        return failed(d);
    }
    c->read_len = arg.read_len < c->read_cap ? arg.read_len : c->read_cap;
    return PST_OK;
}

static pst_err ccc(void *ctx, uint8_t address, struct pst_i3c_ccc *c)
{
    (void)address;
    if (c->code == PST_I3C_DBGACTION) {
        return action(ctx, c->defining);
    }
    return c->code == PST_I3C_DBGOPCODE ? opcode(ctx, c) : PST_ERR_UNSUPPORTED;
}

static pst_err private_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    struct pst_i3c_debug_bus *d = ctx;
    const long n = d->calls->write(d->ctx, d->fd, data, len);

    (void)address;
    if (n < 0) {
        return failed(d);
    }
    return (size_t)n == len ? PST_OK : PST_ERR_IO;
}

static pst_err private_read(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len)
{
    struct pst_i3c_debug_bus *d = ctx;
    const long n = d->calls->read(d->ctx, d->fd, out, cap < PST_I3C_MAX ? cap : PST_I3C_MAX);

    (void)address;
    if (n < 0) {
        return failed(d);
    }
    *len = (size_t)n;
    return n == 0 ? PST_ERR_BUSY : PST_OK;
}

static pst_err poll_ibi(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi)
{
    struct pst_i3c_debug_bus *d = ctx;
    struct pst_i3c_event_data arg;

    (void)address;
    memset(&arg, 0, sizeof arg);
    arg.data_len = sizeof ibi->bytes;
    arg.data_ptr = (uintptr_t)ibi->bytes;
    if (d->calls->ioctl(d->ctx, d->fd, PST_I3C_IOCTL_EVENT, &arg) < 0) {
        const pst_err err = failed(d);
        return err == PST_ERR_UNSUPPORTED || err == PST_ERR_FAULT ? err : PST_PENDING;
    }
    if (arg.data_len == 0) {
        return PST_PENDING;
    }
    ibi->len = arg.data_len < sizeof ibi->bytes ? arg.data_len : sizeof ibi->bytes;
    return PST_OK;
}

/* --- the real calls --- */

static int real_ioctl(void *ctx, int fd, unsigned long request, void *argument)
{
    (void)ctx;
    return ioctl(fd, request, argument);
}

static long real_read(void *ctx, int fd, void *out, size_t len)
{
    (void)ctx;
    return read(fd, out, len);
}

static long real_write(void *ctx, int fd, const void *bytes, size_t len)
{
    (void)ctx;
    return write(fd, bytes, len);
}

static const struct pst_i3c_syscalls real_calls = {
    .ioctl = real_ioctl, .read = real_read, .write = real_write};

void pst_i3c_debug_bus_init(struct pst_i3c_debug_bus *d, int fd,
                            const struct pst_i3c_syscalls *calls, void *ctx)
{
    *d = (struct pst_i3c_debug_bus){
        .calls = calls != NULL ? calls : &real_calls, .ctx = ctx, .fd = fd};
    d->bus = (struct pst_i3c_bus){
        .ctx = d,
        .find = find,
        .ccc = ccc,
        .write = private_write,
        .read = private_read,
        .poll_ibi = poll_ibi,
    };
}

/* --- the backend --- */

struct device {
    struct pst_i3c_backend base;
    struct pst_i3c_debug_bus bus;
    uv_poll_t poll;
    void (*closed)(void *ctx);
};

static void on_event(uv_poll_t *poll, int status, int events)
{
    struct device *d = poll->data;

    (void)events;
    if (status == 0 && d->base.over) {
        (void)uv_poll_stop(
            poll); /* nobody takes the event, so poll would report it again and again */
    } else if (status == 0) {
        d->base.events->woken(d->base.ctx);
    } else {
        d->base.events->lost(d->base.ctx,
                             status == UV_EBADF /* libuv reports POLLERR alone as this */
                                 ? "the device was unplugged"
                                 : uv_strerror(status));
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct device *d = handle->data;
    void (*closed)(void *) = d->closed;
    void *ctx = d->base.ctx;

    close(d->bus.fd);
    free(d);
    closed(ctx);
}

static void close_device(struct pst_i3c_backend *b, void (*closed)(void *ctx))
{
    struct device *d = (struct device *)b;

    d->closed = closed;
    uv_close((uv_handle_t *)&d->poll, on_closed);
}

static pst_err cannot(int fd, const char *path, const char *reason, char *why, size_t why_cap)
{
    if (fd >= 0) {
        close(fd);
    }
    snprintf(why, why_cap, "cannot open %s: %s", path, reason);
    return PST_ERR_IO;
}

static pst_err debug_open(uv_loop_t *loop, const char *path,
                          const struct pst_i3c_backend_events *events, void *ctx,
                          struct pst_i3c_backend **backend, char *why, size_t why_cap)
{
    struct stat st;
    const int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        return cannot(fd, path, strerror(errno), why, why_cap);
    }
    if (fstat(fd, &st) != 0 || !S_ISCHR(st.st_mode)) {
        return cannot(fd, path, "expected a character device like /dev/i3c-debug-0", why, why_cap);
    }
    struct device *d = calloc(1, sizeof *d);
    if (d == NULL || uv_poll_init(loop, &d->poll, fd) != 0) {
        free(d);
        return cannot(fd, path, "it does not support poll()", why, why_cap);
    }
    pst_i3c_debug_bus_init(&d->bus, fd, NULL, NULL);
    d->poll.data = d;
    d->base = (struct pst_i3c_backend){
        .bus = &d->bus.bus, .events = events, .ctx = ctx, .close = close_device};
    (void)uv_poll_start(&d->poll, UV_READABLE, on_event);
    *backend = &d->base;
    return PST_OK;
}

void pst_i3c_debug_present(void (*found)(void *ctx, const char *path), void *ctx)
{
    glob_t paths;

    if (glob("/dev/i3c-debug-*", 0, NULL, &paths) == 0) {
        for (size_t i = 0; i < paths.gl_pathc; i++) {
            found(ctx, paths.gl_pathv[i]);
        }
        globfree(&paths);
    }
}

/* --- both backends --- */

#define DEFAULT_ID UINT64_C(0x020A01280001) /* this manufacturer and part, instance 0 */
#define MODEL "model:"

const char *pst_i3c_model_path(const struct pst_address *a)
{
    const size_t len = strlen(MODEL);
    return strncmp(a->place, MODEL, len) == 0 ? a->place + len : NULL;
}

uint64_t pst_i3c_id(const struct pst_address *a)
{
    uint64_t id = DEFAULT_ID;
    char why[160];

    if (pst_address_number(a, "id", 1, UINT64_C(0xFFFFFFFFFFFF), &id, why, sizeof why) != PST_OK) {
        return DEFAULT_ID; /* excluded by pst_i3c_check */
    }
    return id;
}

pst_err pst_i3c_check(const struct pst_address *a, char *why, size_t why_cap)
{
    const char *path = pst_i3c_model_path(a);
    uint64_t id = 0, khz = 0;

    if (path != NULL && (*path == '\0' || strlen(path) >= 108)) { /* sun_path of sockaddr_un */
        return pst_address_bad(a, "not the path of a socket", why, why_cap);
    }
    if (path == NULL && a->place[0] != '/') {
        return pst_address_bad(a, "neither a device nor model:PATH", why, why_cap);
    }
    PST_TRY(pst_address_number(a, "id", 1, UINT64_C(0xFFFFFFFFFFFF), &id, why, why_cap));
    PST_TRY(pst_address_number(a, "khz", 1, PST_I3C_KHZ_MAX, &khz, why, why_cap));
    if (khz > 0 && !a->listen) {
        return pst_address_bad(a, "only the end that listens takes khz: it makes the bus", why,
                               why_cap);
    }
    return PST_OK;
}

pst_err pst_i3c_backend_open(uv_loop_t *loop, const struct pst_address *to,
                             const struct pst_i3c_backend_events *events, void *ctx,
                             struct pst_i3c_backend **backend, char *why, size_t why_cap)
{
    const char *path = pst_i3c_model_path(to);

    if (path == NULL) {
        return debug_open(loop, to->place, events, ctx, backend, why, why_cap);
    }
    const pst_err err = pst_i3c_client_open(loop, path, events, ctx, backend);
    if (err != PST_OK) {
        snprintf(why, why_cap, "no resources for a connection");
    }
    return err;
}
