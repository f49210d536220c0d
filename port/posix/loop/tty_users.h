/* Who has a serial device open, and which there are. */
#ifndef POSTERN_POSIX_LOOP_TTY_USERS_H
#define POSTERN_POSIX_LOOP_TTY_USERS_H

#include <stdbool.h>
#include <stddef.h>

/* One process that has it open, "NAME (process 123)". False: none that we may look into. */
bool pst_tty_user(const char *device, char *who, size_t cap);

#endif
