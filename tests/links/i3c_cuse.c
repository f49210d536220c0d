/* i3c_cuse NAME BUS: a character device /dev/NAME like that of OpenBMC's driver, for the first
 * target on a modelled I3C bus (the socket BUS). It speaks CUSE with the kernel (linux/fuse.h), so
 * programs use the kernel's open, ioctl, read, write and poll. The driver's answers are assumed as
 * in posix/i3c_backend.h. SIGTERM unplugs the device.
 *
 * pst-link: posix */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "posix/links/i3c/backend.h"

enum { MOST = 4096, BUFFER = FUSE_MIN_READ_BUFFER + MOST };

static struct {
    uv_loop_t loop;
    uv_poll_t poll;
    struct pst_i3c_backend *bus;
    int fd;
    uint8_t address;
    uint64_t waiter; /* poll handle to notify of an event; 0: none */
    bool has_ibi, busy, opened;
    struct pst_i3c_ibi ibi;
    struct fuse_in_header head; /* the current request, while `busy` */
    union {
        uint64_t align;
        uint8_t bytes[BUFFER];
    } in;
} driver;

/* --- to the kernel --- */

static void send_to_kernel(uint64_t unique, int error, const void *a, size_t a_len, const void *b,
                           size_t b_len)
{
    uint8_t out[sizeof(struct fuse_out_header) + BUFFER];
    const struct fuse_out_header head = {
        .len = (uint32_t)(sizeof head + a_len + b_len), .error = error, .unique = unique};

    memcpy(out, &head, sizeof head);
    if (a_len > 0) {
        memcpy(out + sizeof head, a, a_len);
    }
    if (b_len > 0) {
        memcpy(out + sizeof head + a_len, b, b_len);
    }
    if (write(driver.fd, out, head.len) < 0 && errno != ENOENT) { /* ENOENT: it was interrupted */
        perror("i3c_cuse: write");
        exit(1);
    }
}

static void answer(const void *a, size_t a_len, const void *b, size_t b_len)
{
    driver.busy = false;
    send_to_kernel(driver.head.unique, 0, a, a_len, b, b_len);
}

static void refuse(int error)
{
    driver.busy = false;
    send_to_kernel(driver.head.unique, -error, NULL, 0, NULL, 0);
}

static int errno_of(pst_err err)
{
    return err == PST_ERR_BUSY ? EREMOTEIO : EIO; /* not acknowledged; something else */
}

/* --- ioctls: the kernel copies only memory that it is told of, so each takes two or three steps
 * --- */

struct area {
    uint64_t at;
    size_t len;
};

/* Data is missing: asks the kernel to retry with these areas. */
static void want(const struct area *in, uint32_t in_count, const struct area *out,
                 uint32_t out_count)
{
    const struct fuse_ioctl_out again = {
        .flags = FUSE_IOCTL_RETRY, .in_iovs = in_count, .out_iovs = out_count};
    struct fuse_ioctl_iovec all[4];
    uint32_t n = 0;

    for (uint32_t i = 0; i < in_count; i++) {
        all[n++] = (struct fuse_ioctl_iovec){.base = in[i].at, .len = in[i].len};
    }
    for (uint32_t i = 0; i < out_count; i++) {
        all[n++] = (struct fuse_ioctl_iovec){.base = out[i].at, .len = out[i].len};
    }
    answer(&again, sizeof again, all, n * sizeof all[0]);
}

/* `a` is written back to the argument, `b` to the memory that the argument points to. */
static void answer_ioctl(const void *a, size_t a_len, const void *b, size_t b_len)
{
    uint8_t bytes[sizeof(struct fuse_ioctl_out) + 64] = {0}; /* a result of 0 */

    if (a_len > 0) {
        memcpy(bytes + sizeof(struct fuse_ioctl_out), a, a_len);
    }
    answer(bytes, sizeof(struct fuse_ioctl_out) + a_len, b, b_len);
}

static void run_opcode(const struct fuse_ioctl_in *io, const uint8_t *data)
{
    struct pst_i3c_opcode_ccc arg;
    uint8_t read[PST_I3C_MAX];
    const struct area whole = {io->arg, sizeof arg};

    if (io->in_size < sizeof arg) {
        want(&whole, 1, NULL, 0);
        return;
    }
    memcpy(&arg, data, sizeof arg);
    const struct area in[] = {
        whole, {arg.write_ptr, arg.write_len}
    };
    const struct area out[] = {
        whole, {arg.read_ptr, arg.read_len}
    };
    if (arg.write_len > MOST || arg.read_len > sizeof read) {
        refuse(EINVAL);
        return;
    }
    if (io->in_size < sizeof arg + arg.write_len || io->out_size < sizeof arg + arg.read_len) {
        want(in, arg.write_len > 0 ? 2 : 1, out, arg.read_len > 0 ? 2 : 1);
        return;
    }
    struct pst_i3c_ccc ccc = {
        .code = PST_I3C_DBGOPCODE,
        .defining = arg.opcode,
        .write = data + sizeof arg,
        .write_len = arg.write_len,
        .read = read,
        .read_cap = arg.read_len,
    };
    const pst_err err = driver.bus->bus->ccc(driver.bus->bus->ctx, driver.address, &ccc);
    if (err == PST_OK) {
        arg.read_len = (uint16_t)ccc.read_len;
        answer_ioctl(&arg, sizeof arg, read, ccc.read_len);
    } else if (err != PST_PENDING) {
        refuse(errno_of(err));
    }
}

static void run_action(const struct fuse_ioctl_in *io, const uint8_t *data)
{
    struct pst_i3c_ccc ccc = {.code = PST_I3C_DBGACTION};
    const struct area whole = {io->arg, sizeof(struct pst_i3c_action_ccc)};

    if (io->in_size < whole.len) {
        want(&whole, 1, NULL, 0);
        return;
    }
    ccc.defining = data[0];
    const pst_err err = driver.bus->bus->ccc(driver.bus->bus->ctx, driver.address, &ccc);
    if (err == PST_OK) {
        answer_ioctl(NULL, 0, NULL, 0);
    } else if (err != PST_PENDING) {
        refuse(errno_of(err));
    }
}

static void run_event(const struct fuse_ioctl_in *io, const uint8_t *data)
{
    struct pst_i3c_event_data arg;
    const struct area whole = {io->arg, sizeof arg};

    if (io->in_size < sizeof arg) {
        want(&whole, 1, NULL, 0);
        return;
    }
    memcpy(&arg, data, sizeof arg);
    const struct area out[] = {
        whole, {arg.data_ptr, arg.data_len}
    };
    if (io->out_size < sizeof arg + arg.data_len) {
        want(&whole, 1, out, 2);
        return;
    }
    if (!driver.has_ibi || driver.ibi.len > arg.data_len) {
        refuse(driver.has_ibi ? EINVAL : ENOENT);
        return;
    }
    driver.has_ibi = false;
    arg.data_len = (uint16_t)driver.ibi.len;
    answer_ioctl(&arg, sizeof arg, driver.ibi.bytes, driver.ibi.len);
}

/* --- the other requests --- */

static void run_ioctl(const uint8_t *body)
{
    struct fuse_ioctl_in io;

    memcpy(&io, body, sizeof io);
    if (io.cmd == PST_I3C_IOCTL_OPCODE) {
        run_opcode(&io, body + sizeof io);
    } else if (io.cmd == PST_I3C_IOCTL_ACTION) {
        run_action(&io, body + sizeof io);
    } else if (io.cmd == PST_I3C_IOCTL_EVENT) {
        run_event(&io, body + sizeof io);
    } else {
        refuse(ENOTTY);
    }
}

static void run_read(const uint8_t *body)
{
    struct fuse_read_in ask;
    uint8_t bytes[PST_I3C_MAX];
    size_t len = 0;

    memcpy(&ask, body, sizeof ask);
    const pst_err err =
        driver.bus->bus->read(driver.bus->bus->ctx, driver.address, bytes,
                              ask.size < sizeof bytes ? ask.size : sizeof bytes, &len);
    if (err == PST_OK) {
        answer(bytes, len, NULL, 0);
    } else if (err != PST_PENDING) {
        refuse(errno_of(err));
    }
}

static void run_write(const uint8_t *body)
{
    struct fuse_write_in ask;

    memcpy(&ask, body, sizeof ask);
    const pst_err err =
        driver.bus->bus->write(driver.bus->bus->ctx, driver.address, body + sizeof ask, ask.size);
    if (err == PST_OK) {
        const struct fuse_write_out all = {.size = ask.size};
        answer(&all, sizeof all, NULL, 0);
    } else if (err != PST_PENDING) {
        refuse(errno_of(err));
    }
}

/* One client at a time; opening looks for the device on the bus. */
static void run_open(void)
{
    const struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO};

    if (driver.opened) {
        refuse(EBUSY);
        return;
    }
    const pst_err err =
        driver.bus->bus->find(driver.bus->bus->ctx, UINT64_C(0x020A01280001), &driver.address);
    if (err == PST_OK) {
        driver.opened = true;
        driver.has_ibi = false;
        answer(&out, sizeof out, NULL, 0);
    } else if (err != PST_PENDING) {
        refuse(ENXIO);
    }
}

static void run_poll(const uint8_t *body)
{
    struct fuse_poll_in ask;
    const struct fuse_poll_out out = {.revents = POLLOUT | (driver.has_ibi ? POLLIN : 0u)};

    memcpy(&ask, body, sizeof ask);
    if ((ask.flags & FUSE_POLL_SCHEDULE_NOTIFY) != 0) {
        driver.waiter = ask.kh;
    }
    answer(&out, sizeof out, NULL, 0);
}

static void run_init(const char *name)
{
    const struct cuse_init_out init = {
        .major = FUSE_KERNEL_VERSION,
        .minor = FUSE_KERNEL_MINOR_VERSION,
        .flags = CUSE_UNRESTRICTED_IOCTL,
        .max_read = MOST,
        .max_write = MOST,
    };
    char info[64];
    const int len = snprintf(info, sizeof info, "DEVNAME=%.40s", name);

    answer(&init, sizeof init, info, (size_t)len + 1);
}

/* Retries the current request until the bus has answered. */
static void run(void)
{
    const uint8_t *body = driver.in.bytes + sizeof driver.head;

    switch (driver.head.opcode) {
    case FUSE_OPEN:
        run_open();
        break;
    case FUSE_READ:
        run_read(body);
        break;
    case FUSE_WRITE:
        run_write(body);
        break;
    case FUSE_IOCTL:
        run_ioctl(body);
        break;
    case FUSE_POLL:
        run_poll(body);
        break;
    case FUSE_RELEASE:
        driver.opened = false;
        driver.waiter = 0;
        answer(NULL, 0, NULL, 0);
        break;
    default:
        refuse(ENOSYS);
        break;
    }
}

static bool hear(void)
{
    const ssize_t n = read(driver.fd, driver.in.bytes, sizeof driver.in.bytes);

    if (n < (ssize_t)sizeof driver.head) {
        return false;
    }
    memcpy(&driver.head, driver.in.bytes, sizeof driver.head);
    driver.busy = true;
    return true;
}

/* --- the loop --- */

static void on_request(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)events;
    if (status == 0 && !driver.busy && hear()) {
        run();
    }
}

static void woken(void *ctx)
{
    const struct pst_i3c_bus *bus = driver.bus->bus;

    (void)ctx;
    if (driver.busy) {
        run();
    }
    if (!driver.has_ibi && bus->poll_ibi(bus->ctx, driver.address, &driver.ibi) == PST_OK) {
        driver.has_ibi = true;
    }
    if (driver.has_ibi && driver.waiter != 0) {
        const struct fuse_notify_poll_wakeup_out wake = {.kh = driver.waiter};
        driver.waiter = 0;
        send_to_kernel(0, FUSE_NOTIFY_POLL, &wake, sizeof wake, NULL, 0);
    }
}

static void lost(void *ctx, const char *text)
{
    (void)ctx;
    fprintf(stderr, "i3c_cuse: %s\n", text);
    exit(1);
}

int main(int argc, char **argv)
{
    static const struct pst_i3c_backend_events events = {.woken = woken, .lost = lost};

    if (argc != 3 || (driver.fd = open("/dev/cuse", O_RDWR | O_CLOEXEC)) < 0 || !hear()) {
        perror("i3c_cuse: /dev/cuse");
        return 1;
    }
    run_init(argv[1]);
    if (uv_loop_init(&driver.loop) != 0 ||
        pst_i3c_client_open(&driver.loop, argv[2], &events, NULL, &driver.bus) != PST_OK ||
        uv_poll_init(&driver.loop, &driver.poll, driver.fd) != 0 ||
        uv_poll_start(&driver.poll, UV_READABLE, on_request) != 0) {
        fprintf(stderr, "i3c_cuse: no event loop\n");
        return 1;
    }
    return uv_run(&driver.loop, UV_RUN_DEFAULT);
}
