/* examples/firmware as a program of its own: a debugger connects to its "UART" and reads memory
 * through a session. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "examples/firmware/board.h"
#include "examples/firmware/fake_crypto.c"
#include "firmware/dts.h"

struct device {
    pid_t pid;
    int uart, log;
    char said[8192]; /* the audit log */
    size_t said_len;
    bool closed;
    struct dts dts;
};

static uint64_t now_ms(void *ctx)
{
    struct timespec now;

    (void)ctx;
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* BUILD/examples/firmware-host, beside BUILD/tests/test_host. */
static void program(char path[4096])
{
    const ssize_t n = readlink("/proc/self/exe", path, 4000);

    CHECK(n > 0);
    path[n] = '\0';
    for (int up = 0; up < 2; up++) {
        *strrchr(path, '/') = '\0';
    }
    strcat(path, "/examples/firmware-host");
}

static void start(struct device *d)
{
    int uart[2], log[2];
    char path[4096];

    memset(d, 0, sizeof *d);
    program(path);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, uart), 0);
    CHECK_EQ(pipe(log), 0);
    d->pid = fork();
    CHECK(d->pid >= 0);
    if (d->pid == 0) {
        dup2(uart[1], 0);
        dup2(uart[1], 1);
        dup2(log[1], 2);
        close(uart[0]);
        close(uart[1]);
        close(log[0]);
        close(log[1]);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    close(uart[1]);
    close(log[1]);
    d->uart = uart[0];
    d->log = log[0];
    dts_open(&d->dts, now_ms, NULL);
}

static void read_log(struct device *d)
{
    ssize_t n;

    while ((n = read(d->log, d->said + d->said_len, sizeof d->said - 1 - d->said_len)) > 0) {
        d->said_len += (size_t)n;
    }
}

/* The device ends in order when its UART does. */
static void stop(struct device *d)
{
    int status;

    close(d->uart);
    CHECK_EQ(waitpid(d->pid, &status, 0), d->pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    read_log(d);
    close(d->log);
    pst_debugger_link_down(&d->dts.debugger);
    pst_debugger_wipe(&d->dts.debugger);
}

/* Moves bytes, at most `chunk` at a time. */
static void turn(struct device *d, size_t chunk)
{
    struct pollfd in = {.fd = d->uart, .events = POLLIN};
    uint8_t bytes[4096];
    struct pst_bytes out;

    while ((out = dts_pending(&d->dts)).len > 0) {
        const ssize_t n = send(d->uart, out.at, out.len < chunk ? out.len : chunk, MSG_NOSIGNAL);

        d->closed = d->closed || n <= 0;
        if (d->closed) {
            return;
        }
        pst_link_end_sent(&d->dts.end, (size_t)n);
    }
    if (poll(&in, 1, 50) > 0) {
        const ssize_t n = read(d->uart, bytes, chunk < sizeof bytes ? chunk : sizeof bytes);

        d->closed = n <= 0;
        if (n > 0) {
            dts_input(&d->dts, bytes, (size_t)n);
        }
    }
    (void)pst_debugger_poll(&d->dts.debugger);
}

static void until_ready(struct device *d, size_t chunk)
{
    const uint64_t end = now_ms(NULL) + 30000;

    while (pst_debugger_state(&d->dts.debugger) != PST_DEBUGGER_READY) {
        CHECK(!d->closed && now_ms(NULL) < end);
        CHECK(pst_debugger_state(&d->dts.debugger) != PST_DEBUGGER_CLOSED);
        turn(d, chunk);
    }
}

static pst_err access_ram(struct device *d, bool write, uint64_t address, void *data, uint32_t len)
{
    struct pst_spp_op op = {.space = PST_AS_MEMORY, .address = address, .data = data, .len = len};

    (write ? pst_debugger_write : pst_debugger_read)(&d->dts.debugger, &op);
    while (op.result == PST_PENDING) {
        CHECK(!d->closed);
        turn(d, 4096);
    }
    return op.result;
}

static void check_session(size_t chunk)
{
    struct device d;
    uint8_t back[BOARD_RAM_LEN];
    char word[] = "hello from the debugger";

    start(&d);
    until_ready(&d, chunk);
    CHECK_EQ(access_ram(&d, false, BOARD_RAM_AT, back, sizeof back), PST_OK);
    CHECK(strcmp((const char *)back, "hello from the pump") == 0);
    CHECK_EQ(access_ram(&d, true, BOARD_RAM_AT, word, sizeof word), PST_OK);
    CHECK_EQ(access_ram(&d, false, BOARD_RAM_AT, back, sizeof back), PST_OK);
    CHECK(strcmp((const char *)back, word) == 0);
    CHECK_EQ(access_ram(&d, false, BOARD_RAM_AT + BOARD_RAM_LEN, back, 1), PST_ERR_FAULT);
    pst_debugger_stop(&d.dts.debugger);
    while (pst_debugger_state(&d.dts.debugger) != PST_DEBUGGER_CLOSED) {
        turn(&d, 4096);
    }
    CHECK_EQ(pst_debugger_why(&d.dts.debugger), PST_OK);
    stop(&d);
    CHECK(strstr(d.said, "\"event\":\"open\"") != NULL);
    CHECK(strstr(d.said, "\"engineer\":\"ada\"") != NULL);
    CHECK(strstr(d.said, "\"event\":\"effect\"") != NULL);
    CHECK(strstr(d.said, "\"event\":\"end\"") != NULL);
}

static void test_session(void **state)
{
    (void)state;
    check_session(4096);
    check_session(7);
}

static void test_not_trusted(void **state)
{
    struct device d;
    (void)state;

    start(&d);
    d.dts.certs[sizeof d.dts.certs - 1] ^= 1;
    while (pst_debugger_state(&d.dts.debugger) != PST_DEBUGGER_CLOSED && !d.closed) {
        turn(&d, 4096);
    }
    stop(&d);
    CHECK(strstr(d.said, "\"event\":\"open\"") == NULL);
}

static void test_stranger(void **state)
{
    struct device d;
    uint8_t bytes[64];
    (void)state;

    start(&d);
    CHECK_EQ(send(d.uart, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    CHECK_EQ(read(d.uart, bytes, 16), 16); /* its HELLO, */
    CHECK(read(d.uart, bytes, 1) <= 0);    /* and it hangs up */
    stop(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_not_trusted),
        cmocka_unit_test(test_stranger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
