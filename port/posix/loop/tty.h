/* Serial devices: opened raw and exclusively, at any speed that the driver supports.

   A device is a tty, the slave end of a pseudo-terminal (which has no speed), or `unix:PATH`: a
   Unix socket that stands for a line, as virtual machines offer for their UARTs. */
#ifndef POSTERN_POSIX_LOOP_TTY_H
#define POSTERN_POSIX_LOOP_TTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "postern/error.h"

struct pst_tty {
    int fd;       /* non-blocking; -1: closed */
    bool virtual; /* no UART on this side: it takes bytes as fast as they are read */
    /* private */
    bool socket;
    uint32_t before[4]; /* the original modes, restored on close */
};
struct pst_tty_settings {
    uint32_t baud; /* 0: unchanged */
    bool rtscts;
};
/* PST_ERR_IO: nothing is open, and `why` gives the reason without naming the device. */
PST_MUST_CHECK pst_err pst_tty_open(struct pst_tty *t, const char *device,
                                    const struct pst_tty_settings *settings, char *why,
                                    size_t why_cap);
/* Does it have no speed? False also when it does not exist. */
bool pst_tty_virtual(const char *device);
void pst_tty_close(struct pst_tty *t);
/* As write(2), but never raises a signal. */
ssize_t pst_tty_write(const struct pst_tty *t, const uint8_t *bytes, size_t len);

/* Calls `found` for each serial port of this machine, with a description. */
void pst_tty_list(void (*found)(void *ctx, const char *device, const char *what), void *ctx);

#endif
