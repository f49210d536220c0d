/* The character device of OpenBMC's driver, behind a seam of system calls: what is asked of it,
 * byte by byte, and a whole link over it, to a modelled target. pst-link: posix */
#include <errno.h>
#include <sys/ioctl.h>

#include "posix/links/i3c/backend.h"
#include "posix/links/i3c/model.h"
#include "pst_test.h"

enum { FD = 7, LOG = 32 };

/* A model of the driver, as far as its users show its behaviour, with one target on the bus. */
static struct driver {
    struct pst_i3c_model model;
    struct pst_i3c_adaptor adaptor;
    struct pst_i3c_view view;
    uint8_t address;
    uint8_t send[8192], receive[PST_LINK_MIN_MESSAGE];
    int unplugged;  /* errno that every call returns */
    bool no_ioctls; /* as in the driver's first public version */
    bool no_events;
    uint16_t log[LOG]; /* request number << 8 | opcode or action */
    size_t logged;
} driver;

static int refuse(pst_err err)
{
    if (err == PST_OK) {
        return 0;
    }
    errno = err == PST_ERR_BUSY ? EREMOTEIO : EIO;
    return -1;
}

/* Converts a pointer that a program stored in a structure for the kernel. */
static uint8_t *user(uint64_t pointer)
{
    return (uint8_t *)(uintptr_t)pointer;
}

static int on_opcode(struct driver *d, struct pst_i3c_opcode_ccc *a)
{
    struct pst_i3c_ccc ccc = {
        .code = PST_I3C_DBGOPCODE,
        .defining = a->opcode,
        .write = user(a->write_ptr),
        .write_len = a->write_len,
        .read = user(a->read_ptr),
        .read_cap = a->read_len,
    };
    const pst_err err = d->view.bus.ccc(&d->view, d->address, &ccc);

    CHECK((a->write_len == 0) == (a->write_ptr == 0) && (a->read_len == 0) == (a->read_ptr == 0));
    a->read_len = (uint16_t)ccc.read_len;
    return refuse(err);
}

static int on_event(struct driver *d, struct pst_i3c_event_data *a)
{
    struct pst_i3c_ibi ibi;

    if (d->no_events || d->view.bus.poll_ibi(&d->view, d->address, &ibi) != PST_OK) {
        errno = ENOENT;
        return -1;
    }
    CHECK(ibi.len <= a->data_len);
    memcpy(user(a->data_ptr), ibi.bytes, ibi.len);
    a->data_len = (uint16_t)ibi.len;
    return 0;
}

static int fake_ioctl(void *ctx, int fd, unsigned long request, void *argument)
{
    struct driver *d = ctx;
    const uint8_t first = *(const uint8_t *)argument;

    CHECK_EQ(fd, FD);
    errno = d->no_ioctls ? ENOTTY : d->unplugged;
    if (errno != 0) {
        return -1;
    }
    if (request == PST_I3C_IOCTL_EVENT) {
        return on_event(d, argument);
    }
    if (d->logged < LOG) {
        d->log[d->logged++] = (uint16_t)((request & 0xFF) << 8 | first);
    }
    if (request == PST_I3C_IOCTL_OPCODE) {
        return on_opcode(d, argument);
    }
    CHECK_EQ(request, PST_I3C_IOCTL_ACTION);
    struct pst_i3c_ccc ccc = {.code = PST_I3C_DBGACTION, .defining = first};
    return refuse(d->view.bus.ccc(&d->view, d->address, &ccc));
}

static long fake_read(void *ctx, int fd, void *out, size_t len)
{
    struct driver *d = ctx;
    uint8_t bytes[PST_I3C_MAX];
    size_t got;

    CHECK(fd == FD && len <= PST_I3C_MAX);
    errno = d->unplugged;
    if (errno != 0 ||
        refuse(d->view.bus.read(&d->view, d->address, bytes, sizeof bytes, &got)) != 0) {
        return -1;
    }
    CHECK(got <= len);
    memcpy(out, bytes, got);
    return (long)got;
}

static long fake_write(void *ctx, int fd, const void *bytes, size_t len)
{
    struct driver *d = ctx;

    CHECK_EQ(fd, FD);
    errno = d->unplugged;
    if (errno != 0 || refuse(d->view.bus.write(&d->view, d->address, bytes, len)) != 0) {
        return -1;
    }
    return (long)len;
}

static const struct pst_i3c_syscalls calls = {
    .ioctl = fake_ioctl, .read = fake_read, .write = fake_write};

static struct {
    struct pst_i3c_debug_bus bus;
    struct pst_i3c_debugger engine;
    uint8_t send[8192], receive[PST_LINK_MIN_MESSAGE];
    uint64_t now;
} dts;

static void start(uint8_t port)
{
    struct driver *d = &driver;

    memset(d, 0, sizeof *d);
    pst_i3c_model_init(&d->model, 3);
    pst_i3c_adaptor_init(&d->adaptor, 1);
    const struct pst_i3c_target_config ts = {
        .buffers = {d->send, sizeof d->send, d->receive, sizeof d->receive},
        .ports = PST_I3C_PORTS,
    };
    CHECK_EQ(pst_i3c_target_init(&d->adaptor.engine, &ts), PST_OK);
    CHECK_EQ(pst_i3c_model_attach(&d->model, &d->adaptor.device), PST_OK);
    pst_i3c_model_look(&d->view, &d->model, true);
    CHECK_EQ(d->view.bus.find(&d->view, 1, &d->address), PST_OK);

    memset(&dts, 0, sizeof dts);
    pst_i3c_debug_bus_init(&dts.bus, FD, &calls, d);
    const struct pst_i3c_debugger_config config = {
        .bus = &dts.bus.bus,
        .buffers = {dts.send, sizeof dts.send, dts.receive, sizeof dts.receive},
        .port = port,
    };
    CHECK_EQ(pst_i3c_debugger_init(&dts.engine, &config, 0), PST_OK);
}

static pst_err turn(void)
{
    uint32_t wait;
    const pst_err err = pst_i3c_debugger_step(&dts.engine, dts.now, &wait);

    dts.now += wait < 5 ? wait : 5;
    return err;
}

static pst_err bring_up(void)
{
    pst_err err = PST_OK;

    for (int i = 0; i < 3000 && err == PST_OK && !pst_i3c_debugger_is_up(&dts.engine); i++) {
        err = turn();
    }
    return err;
}

/* The ioctl numbers on a 64-bit machine: direction, size, 0x79, and 41 to 43. */
static void test_numbers(void **state)
{
    (void)state;
    if (sizeof(void *) != 8) {
        skip();
    }
    CHECK_EQ(PST_I3C_IOCTL_OPCODE, 0xC0207941UL);
    CHECK_EQ(PST_I3C_IOCTL_ACTION, 0x40017942UL);
    CHECK_EQ(PST_I3C_IOCTL_EVENT, 0xC0107943UL);
    CHECK_EQ(offsetof(struct pst_i3c_opcode_ccc, write_len), 2);
    CHECK_EQ(offsetof(struct pst_i3c_opcode_ccc, write_ptr), 8);
    CHECK_EQ(offsetof(struct pst_i3c_opcode_ccc, read_len), 16);
    CHECK_EQ(offsetof(struct pst_i3c_opcode_ccc, read_ptr), 24);
    CHECK_EQ(offsetof(struct pst_i3c_event_data, data_ptr), 8);
}

static void test_bring_up(void **state)
{
    static const uint16_t order[] = {0x4100, 0x4102, 0x4102, 0x42FD, 0x4106, 0x4106, 0x4101};

    (void)state;
    start(PST_I3C_PORT_MESSAGES);
    CHECK_EQ(bring_up(), PST_OK);
    CHECK_EQ(driver.logged, sizeof order / sizeof order[0]);
    for (size_t i = 0; i < driver.logged; i++) {
        CHECK_EQ(driver.log[i], order[i]);
    }
}

/* Bytes in both directions, with and without events, on a bus that refuses and aborts transfers. */
static void test_bytes(void **state)
{
    static uint8_t out[20000], in[20000];
    struct pst_test_rng rng = {4};

    (void)state;
    pst_test_rng_fill(&rng, out, sizeof out);
    for (int variant = 0; variant < 3; variant++) {
        struct pst_i3c_target *t = &driver.adaptor.engine;
        size_t put = 0, back = 0, len;
        uint8_t piece[300];

        start(PST_I3C_PORT_MESSAGES);
        driver.no_events = variant == 1;
        driver.model.faults.nack = variant == 2 ? 200 : 0;
        driver.model.faults.broken = variant == 2 ? 30 : 0;
        CHECK_EQ(bring_up(), PST_OK);
        for (int i = 0; i < 100000 && back < sizeof out; i++) {
            CHECK_EQ(turn(), PST_OK);
            put += pst_i3c_debugger_put(&dts.engine, out + put, sizeof out - put);
            if (pst_i3c_target_room(t) >= sizeof piece &&
                pst_i3c_target_get(t, piece, sizeof piece, &len) == PST_OK) {
                CHECK_EQ(pst_i3c_target_put(t, piece, len), len); /* an echo */
            }
            back += pst_i3c_debugger_get(&dts.engine, in + back, sizeof in - back);
        }
        CHECK_EQ(back, sizeof out);
        CHECK_BYTES(in, out, sizeof out);
        CHECK_EQ(dts.engine.counts.ibis > 0, variant != 1);
    }
}

/* SPP packets pass read() and write() unchanged. */
static void test_spp(void **state)
{
    uint8_t command[64], kind, *payload;
    size_t len = pst_test_hex("2230000011EE7788A5C3C3A5", command, sizeof command), got;

    (void)state;
    start(PST_I3C_PORT_SPP);
    CHECK_EQ(bring_up(), PST_OK);
    CHECK_EQ(pst_i3c_debugger_send(&dts.engine, PST_LINK_CLEAR, command, len), PST_OK);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(turn(), PST_OK);
    }
    CHECK_EQ(pst_i3c_target_receive(&driver.adaptor.engine, &kind, &payload, &got), PST_OK);
    CHECK_EQ(got, len);
    CHECK_BYTES(payload, command, len);
    CHECK_EQ(pst_i3c_target_send(&driver.adaptor.engine, PST_LINK_CLEAR, command, 9), PST_OK);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(turn(), PST_OK);
    }
    CHECK_EQ(pst_i3c_debugger_receive(&dts.engine, &kind, &payload, &got), PST_OK);
    CHECK_EQ(got, 9);
}

static void test_unplugged(void **state)
{
    static const int errors[] = {ENODEV, ENXIO, ESHUTDOWN};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        pst_err err = PST_OK;

        start(PST_I3C_PORT_MESSAGES);
        CHECK_EQ(bring_up(), PST_OK);
        driver.unplugged = errors[i];
        for (int n = 0; n < 1000 && err == PST_OK; n++) {
            err = turn();
        }
        CHECK_EQ(err, PST_ERR_FAULT);
        CHECK_EQ(dts.bus.unplugged, errors[i]);
    }
}

/* An owner that takes no data notices it too, although there is no transfer. */
static void test_unplugged_unread(void **state)
{
    struct pst_i3c_target *t = &driver.adaptor.engine;
    static const uint8_t bytes[600];
    pst_err err = PST_OK;

    (void)state;
    start(PST_I3C_PORT_MESSAGES);
    CHECK_EQ(bring_up(), PST_OK);
    CHECK_EQ(pst_i3c_target_put(t, bytes, sizeof bytes), sizeof bytes);
    for (int n = 0; n < 1000; n++) {
        CHECK_EQ(turn(), PST_OK);
    }
    driver.unplugged = ENODEV;
    for (int n = 0; n < 1000 && err == PST_OK; n++) {
        err = turn();
    }
    CHECK_EQ(err, PST_ERR_FAULT);
}

/* The driver's first public version has no ioctls: this is an immediate error, not a timeout. */
static void test_old_driver(void **state)
{
    (void)state;
    start(PST_I3C_PORT_MESSAGES);
    driver.no_ioctls = true;
    CHECK_EQ(bring_up(), PST_ERR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bring_up),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_spp),
        cmocka_unit_test(test_unplugged),
        cmocka_unit_test(test_old_driver),
        cmocka_unit_test(test_unplugged_unread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
