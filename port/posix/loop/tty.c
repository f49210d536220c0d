#define _GNU_SOURCE /* flock */

#include "posix/loop/tty.h"

#include <asm/ioctls.h>
#include <asm/termbits.h> /* instead of termios.h: allows any speed, not just the named ones */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix/loop/tty_users.h"

#define PTY_MAJOR 136 /* and seven more */
#define PTY_MAJORS 8
#define SOCKET "unix:"
#define OFF_BY_PERCENT 2 /* a larger deviation loses bytes */

static bool is_socket(const char *device)
{
    return strncmp(device, SOCKET, strlen(SOCKET)) == 0;
}

static bool is_pty(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && major(st->st_rdev) >= PTY_MAJOR &&
           major(st->st_rdev) < PTY_MAJOR + PTY_MAJORS;
}

bool pst_tty_virtual(const char *device)
{
    struct stat st;

    return is_socket(device) || (stat(device, &st) == 0 && is_pty(&st));
}

/* --- errors --- */

static void denied(const char *device, char *why, size_t why_cap)
{
    struct stat st;

    if (stat(device, &st) != 0) {
        snprintf(why, why_cap, "permission denied");
        return;
    }
    const struct group *group = getgrgid(st.st_gid);
    const struct passwd *user = getpwuid(st.st_uid);
    if (group != NULL && (st.st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP)) {
        snprintf(why, why_cap, "permission denied: only members of the group '%s' may open it",
                 group->gr_name);
    } else {
        snprintf(why, why_cap, "permission denied: only '%s' may open it",
                 user != NULL ? user->pw_name : "another user");
    }
}

static void busy(const char *device, char *why, size_t why_cap)
{
    char who[80];

    if (pst_tty_user(device, who, sizeof who)) {
        snprintf(why, why_cap, "busy: %s has it open", who);
    } else {
        snprintf(why, why_cap, "busy: it is open already");
    }
}

static pst_err explain(const char *device, int error, char *why, size_t why_cap)
{
    if (error == EACCES || error == EPERM) {
        denied(device, why, why_cap);
    } else if (error == EBUSY || error == EWOULDBLOCK) {
        busy(device, why, why_cap);
    } else if (error == ENOENT) {
        snprintf(why, why_cap, "no such device");
    } else if (error == ENOTTY) {
        snprintf(why, why_cap, "not a serial device (tty)");
    } else if (error == EIO || error == ENXIO || error == ENODEV) {
        snprintf(why, why_cap, "there is no hardware behind this device (%s)", strerror(error));
    } else {
        snprintf(why, why_cap, "%s", strerror(error));
    }
    return PST_ERR_IO;
}

/* --- opening --- */

static int set_modes(struct pst_tty *t, const struct pst_tty_settings *s)
{
    struct termios2 m;

    if (ioctl(t->fd, TCGETS2, &m) != 0) {
        return errno;
    }
    t->before[0] = m.c_iflag;
    t->before[1] = m.c_oflag;
    t->before[2] = m.c_cflag;
    t->before[3] = m.c_lflag;
    m.c_iflag = IGNBRK;
    m.c_oflag = 0;
    m.c_lflag = 0;
    /* Hanging up on close would reset many boards. */
    m.c_cflag &= ~(tcflag_t)(CSIZE | PARENB | CSTOPB | CRTSCTS | HUPCL);
    m.c_cflag |= CS8 | CREAD | CLOCAL | (s->rtscts ? CRTSCTS : 0);
    m.c_cc[VMIN] = 1;
    m.c_cc[VTIME] = 0;
    if (s->baud != 0) {
        m.c_cflag &= ~(tcflag_t)(CBAUD | CBAUD << IBSHIFT);
        m.c_cflag |= BOTHER | BOTHER << IBSHIFT;
        m.c_ispeed = m.c_ospeed = s->baud;
    }
    /* Output is not flushed: it is the BYE of the previous user of the line. */
    return ioctl(t->fd, TCSETS2, &m) == 0 && ioctl(t->fd, TCFLSH, TCIFLUSH) == 0 ? 0 : errno;
}

/* What the driver actually set. */
static pst_err check_modes(const struct pst_tty *t, const struct pst_tty_settings *s, char *why,
                           size_t why_cap)
{
    struct termios2 m;

    if (ioctl(t->fd, TCGETS2, &m) != 0 || t->virtual) {
        return PST_OK;
    }
    const uint64_t off = m.c_ospeed > s->baud ? m.c_ospeed - s->baud : s->baud - m.c_ospeed;
    if (s->baud != 0 && off * 100 > (uint64_t)s->baud * OFF_BY_PERCENT) {
        snprintf(why, why_cap, "the device does not support %u baud (its driver offers %u)",
                 (unsigned)s->baud, (unsigned)m.c_ospeed);
        return PST_ERR_IO;
    }
    if (s->rtscts && (m.c_cflag & CRTSCTS) == 0) {
        snprintf(why, why_cap, "the device has no RTS/CTS flow control");
        return PST_ERR_IO;
    }
    return PST_OK;
}

/* Two locks: flock for programs that check it, TIOCEXCL for those that do not. */
static int lock(const struct pst_tty *t)
{
    if (flock(t->fd, LOCK_EX | LOCK_NB) != 0) {
        return errno;
    }
    return ioctl(t->fd, TIOCEXCL) == 0 ? 0 : errno;
}

static int open_socket(struct pst_tty *t, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof sa.sun_path) {
        return ENAMETOOLONG;
    }
    memcpy(sa.sun_path, path, strlen(path));
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    t->socket = t->virtual = true;
    return t->fd >= 0 && connect(t->fd, (const struct sockaddr *)&sa, sizeof sa) == 0 ? 0 : errno;
}

static int open_device(struct pst_tty *t, const char *device, const struct pst_tty_settings *s)
{
    struct stat st;

    t->fd = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0 || fstat(t->fd, &st) != 0) {
        return errno;
    }
    t->virtual = is_pty(&st);
    if (!isatty(t->fd)) {
        return errno == EINVAL ? ENOTTY : errno;
    }
    const int error = lock(t);
    return error != 0 ? error : set_modes(t, s);
}

pst_err pst_tty_open(struct pst_tty *t, const char *device, const struct pst_tty_settings *settings,
                     char *why, size_t why_cap)
{
    *t = (struct pst_tty){.fd = -1};
    const int error = is_socket(device) ? open_socket(t, device + strlen(SOCKET))
                                        : open_device(t, device, settings);
    if (error == ECONNREFUSED) {
        snprintf(why, why_cap, "no process listens on this socket");
    } else if (error != 0) {
        (void)explain(device, error, why, why_cap);
    }
    if (error == 0 && (t->socket || check_modes(t, settings, why, why_cap) == PST_OK)) {
        return PST_OK;
    }
    if (error == 0) {
        pst_tty_close(t); /* with its original modes */
    } else if (t->fd >= 0) {
        close(t->fd);
    }
    t->fd = -1;
    return PST_ERR_IO;
}

void pst_tty_close(struct pst_tty *t)
{
    struct termios2 m;

    if (t->fd < 0) {
        return;
    }
    if (!t->socket && ioctl(t->fd, TCGETS2, &m) == 0) {
        m.c_iflag = t->before[0];
        m.c_oflag = t->before[1];
        m.c_lflag = t->before[3];
        m.c_cflag = (m.c_cflag & (CBAUD | CBAUD << IBSHIFT)) |
                    (t->before[2] & ~(tcflag_t)(CBAUD | CBAUD << IBSHIFT));
        (void)ioctl(t->fd, TCSETS2, &m);
        (void)ioctl(t->fd, TIOCNXCL); /* on a pseudo-terminal it would remain */
    }
    close(t->fd);
    t->fd = -1;
}

ssize_t pst_tty_write(const struct pst_tty *t, const uint8_t *bytes, size_t len)
{
    return t->socket ? send(t->fd, bytes, len, MSG_NOSIGNAL) : write(t->fd, bytes, len);
}
