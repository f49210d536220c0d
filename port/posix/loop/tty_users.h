/* Finds the processes that have a serial device open, and lists the serial ports. */
#ifndef POSTERN_POSIX_LOOP_TTY_USERS_H
#define POSTERN_POSIX_LOOP_TTY_USERS_H

#include <stdbool.h>
#include <stddef.h>

/* One process that has the device open, "NAME (process 123)". False: none that we may inspect. */
bool pst_tty_user(const char *device, char *who, size_t cap);

#endif
