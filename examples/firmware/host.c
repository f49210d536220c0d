/* Drivers for a host: the UART is standard input and output (a pipe, a socket, a pseudo-terminal),
 * the log is standard error. The program ends when its input does. */
#include "board.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static bool gone, told;

bool uart_connected(void)
{
    if (told) {
        exit(0);
    }
    (void)signal(SIGPIPE, SIG_IGN); /* whoever is gone is noticed by `write` */
    told = gone;
    return !gone;
}

void uart_hang_up(void)
{
    gone = true;
}

size_t uart_read(void *to, size_t cap)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

    if (gone || poll(&in, 1, 20) <= 0) {
        return 0;
    }
    const ssize_t n = read(STDIN_FILENO, to, cap);
    gone = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
    return n > 0 ? (size_t)n : 0;
}

size_t uart_write(const void *from, size_t len)
{
    const ssize_t n = gone ? (ssize_t)len : write(STDOUT_FILENO, from, len);

    if (n < 0 && errno != EINTR && errno != EAGAIN) {
        gone = true;
        return len;
    }
    return n > 0 ? (size_t)n : 0;
}

uint64_t board_ms(void *ctx)
{
    struct timespec now;

    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

pst_err board_log(void *ctx, const char *piece, size_t len, enum pst_audit_when when)
{
    const char *end = when == PST_AUDIT_MORE ? "" : "\n";

    (void)ctx;
    return fprintf(stderr, "%.*s%s", (int)len, piece, end) >= 0 ? PST_OK : PST_ERR_IO;
}

void board_check(pst_err err)
{
    if (err != PST_OK) {
        fprintf(stderr, "firmware: %s\n", pst_err_text(err));
        exit(1);
    }
}
