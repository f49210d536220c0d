/* What a controller's engine drives: a modelled bus in another process, or the character device of
 * OpenBMC's "MIPI Debug for I3C" driver.
 *
 * The device: opcodes and actions are ioctls, private transfers are read() and write(), and POLLIN
 * says that there is an event to get, which is an IBI. These ioctls, their numbers and structures
 * are those that Intel's at-scale debug (github.com/Intel-BMC/asd, its debug-over-i3c.h) calls. Of
 * the kernel's side only a first version without them is public (drivers/i3c/i3c-debug.c of an
 * OpenBMC fork), and no such hardware was at hand: tests/links/i3c_cuse.c stands in for it in a
 * guest. So these are guesses: that a NACK comes back as one of the errors of nack_of() in
 * i3c_debug.c; that GET_EVENT_DATA fails at once when there is no event; that a read gives what the
 * target sent, and not more. The driver binds to one device, so it is found already; RSTACT is not
 * among its ioctls, so there is no Debug Network Adaptor Reset.
 */
#ifndef POSTERN_POSIX_LINKS_I3C_BACKEND_H
#define POSTERN_POSIX_LINKS_I3C_BACKEND_H

#include "posix/loop/address.h"
#include "postern/links/i3c.h"

#include <uv.h>

struct pst_i3c_backend_events { /* const, outlives the backend; called from the loop only */
    void (*woken)(void *ctx);   /* a transfer is done, or an IBI has arrived: step the engine */
    void (*lost)(void *ctx, const char *text); /* the bus is gone: close */
};

struct pst_i3c_backend { /* the first member of each kind */
    const struct pst_i3c_bus *bus;
    const struct pst_i3c_backend_events *events;
    void *ctx;
    bool waits; /* for `woken`: an earlier step has no effect */
    bool over;  /* set by the owner: it starts no more transfers and needs no `woken` */
    /* Frees it, then calls `closed`, soon. */
    void (*close)(struct pst_i3c_backend *b, void (*closed)(void *ctx));
};

/* The part of the place after "model:"; NULL when it does not begin so. */
const char *pst_i3c_model_path(const struct pst_address *a);
/* Checks place and the options that both schemes of I3C know. */
PST_MUST_CHECK pst_err pst_i3c_check(const struct pst_address *a, char *why, size_t why_cap);
/* Option `id`, or the id that is used when there is none. */
uint64_t pst_i3c_id(const struct pst_address *a);

#define PST_I3C_KHZ_MAX 12500 /* SCL of a bus at its fastest */

/* By the place. PST_ERR_IO with `why`: nothing was started. */
PST_MUST_CHECK pst_err pst_i3c_backend_open(uv_loop_t *loop, const struct pst_address *to,
                                            const struct pst_i3c_backend_events *events, void *ctx,
                                            struct pst_i3c_backend **backend, char *why,
                                            size_t why_cap);
PST_MUST_CHECK pst_err pst_i3c_client_open(uv_loop_t *loop, const char *path,
                                           const struct pst_i3c_backend_events *events, void *ctx,
                                           struct pst_i3c_backend **backend);

/* --- the character device; its system calls are a seam for tests --- */

struct pst_i3c_syscalls {
    int (*ioctl)(void *ctx, int fd, unsigned long request, void *argument);
    long (*read)(void *ctx, int fd, void *out, size_t len); /* as read(2), with errno */
    long (*write)(void *ctx, int fd, const void *bytes, size_t len);
};

/* As the driver's users declare them; natural alignment, 32 and 16 bytes on 64-bit machines. */
struct pst_i3c_opcode_ccc {
    uint8_t opcode;
    uint16_t write_len;
    uint64_t write_ptr;
    uint16_t read_len;
    uint64_t read_ptr;
};
struct pst_i3c_action_ccc {
    uint8_t action;
};
struct pst_i3c_event_data {
    uint16_t data_len; /* room, then length */
    uint64_t data_ptr;
};
#define PST_I3C_IOCTL_OPCODE _IOWR(0x79, 0x41, struct pst_i3c_opcode_ccc)
#define PST_I3C_IOCTL_ACTION _IOW(0x79, 0x42, struct pst_i3c_action_ccc)
#define PST_I3C_IOCTL_EVENT _IOWR(0x79, 0x43, struct pst_i3c_event_data)

struct pst_i3c_debug_bus { /* a bus with one target on it: the device */
    struct pst_i3c_bus bus;
    const struct pst_i3c_syscalls *calls;
    void *ctx;
    int fd;
    int unplugged; /* errno, once the device is gone */
};
/* `calls` NULL: the real ones. */
void pst_i3c_debug_bus_init(struct pst_i3c_debug_bus *d, int fd,
                            const struct pst_i3c_syscalls *calls, void *ctx);
/* Calls `found` for each /dev/i3c-debug-N. */
void pst_i3c_debug_present(void (*found)(void *ctx, const char *path), void *ctx);

#endif
