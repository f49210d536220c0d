/* usb-listen: the device's end, a Linux FunctionFS gadget.
 *
 * The place is a mounted FunctionFS. Its descriptors are written when we begin to listen; then
 * somebody binds the gadget to a device controller (docs/links.md), and hosts come and go. Bulk
 * transfers are kernel AIO: several under way, and nothing that could block the loop.
 */
#ifdef __linux__
#define _GNU_SOURCE /* syscall */
#endif
#include <stdio.h>
#include <string.h>

#include "posix/links/usb/usb.h"

#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/usb/functionfs.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "posix/links/usb/bulk.h"
#include "posix/links/usb/ep0.h"

#define SLOTS (PST_USB_READS + PST_USB_WRITES)
#define RETRY_MS 100

struct gadget {
    struct pst_listener base;
    struct pst_usb_bulk bulk;
    struct pst_usb_ep0 *ep0;
    struct pst_usb_news seen;
    uv_poll_t done;
    uv_timer_t retry;
    aio_context_t aio;
    int event, in, out; /* eventfd of finished transfers; endpoints as the device sees them */
    bool stopped, closing;
    uint8_t to_close;
    struct iocb blocks[SLOTS];
};

/* --- transfers --- */

static bool submit(struct gadget *g, struct pst_usb_slot *slot, uint16_t op, int fd, size_t len)
{
    struct iocb *block = slot->io;

    memset(block, 0, sizeof *block);
    block->aio_data = (uintptr_t)slot;
    block->aio_lio_opcode = op;
    block->aio_fildes = (uint32_t)fd;
    block->aio_buf = (uintptr_t)slot->buffer;
    block->aio_nbytes = len;
    block->aio_flags = IOCB_FLAG_RESFD;
    block->aio_resfd = (uint32_t)g->event;
    if (syscall(SYS_io_submit, g->aio, 1, &block) == 1) {
        return true;
    }
    (void)uv_timer_start(&g->retry, g->retry.timer_cb, RETRY_MS, 0);
    return false;
}

static bool move_in(void *ctx, struct pst_usb_slot *slot)
{
    struct gadget *g = ctx;
    return submit(g, slot, IOCB_CMD_PREAD, g->out, PST_USB_TRANSFER); /* OUT: from the host */
}

static bool move_out(void *ctx, struct pst_usb_slot *slot)
{
    struct gadget *g = ctx;
    return submit(g, slot, IOCB_CMD_PWRITE, g->in, slot->len);
}

static const char away[] = "unplugged, or the host reset it";

static void on_done(uv_poll_t *poll, int status, int events)
{
    struct gadget *g = poll->data;
    struct io_event ended[SLOTS];
    struct timespec no_wait = {0, 0};
    uint64_t count;

    (void)status;
    (void)events;
    if (read(g->event, &count, sizeof count) < 0) {
        return;
    }
    const long n = syscall(SYS_io_getevents, g->aio, 0L, (long)SLOTS, ended, &no_wait);
    for (long i = 0; i < n; i++) {
        struct pst_usb_slot *slot = (struct pst_usb_slot *)(uintptr_t)ended[i].data;
        if (ended[i].res < 0) {
            pst_usb_bulk_end(&g->bulk, PST_ERR_CLOSED, away);
            (void)uv_timer_start(&g->retry, g->retry.timer_cb, RETRY_MS, 0);
        }
        pst_usb_bulk_moved(slot, ended[i].res < 0, ended[i].res < 0 ? 0 : (size_t)ended[i].res);
    }
}

/* --- events of the bus --- */

static void note(struct gadget *g, const char *text)
{
    if (!g->stopped && g->base.events->note != NULL) {
        g->base.events->note(g->base.ctx, text);
    }
}

static void on_news(void *ctx)
{
    struct gadget *g = ctx;
    const struct pst_usb_news was = g->seen;

    if (g->closing) {
        return;
    }
    g->seen = pst_usb_ep0_news(g->ep0);
    if (g->seen.ends != was.ends) {
        pst_usb_bulk_end(&g->bulk, PST_ERR_CLOSED,
                         g->seen.reset ? "the host ended the connection" : away);
    }
    if (g->seen.heard != was.heard) {
        pst_usb_bulk_heard(&g->bulk);
    }
    if (g->seen.enabled != was.enabled) {
        note(g, g->seen.enabled ? "a host is attached" : "no host is attached");
    }
    if (g->seen.turns != was.turns && g->seen.enabled) {
        pst_usb_bulk_go(&g->bulk);
    }
}

static void on_woken(void *ctx)
{
    on_news(ctx);
}

static void on_retry(uv_timer_t *timer)
{
    struct gadget *g = timer->data;
    if (g->seen.enabled && !g->closing) {
        pst_usb_bulk_go(&g->bulk);
    }
}

/* --- the end --- */

static void on_closed(uv_handle_t *handle)
{
    struct gadget *g = handle->data;
    if (--g->to_close == 0) {
        free(g);
    }
}

static void close_files(struct gadget *g)
{
    (void)syscall(SYS_io_destroy, g->aio); /* cancels the transfers under way */
    close(g->in);
    close(g->out);
    close(g->event);
}

static void shut(struct gadget *g)
{
    if (g->closing) {
        return;
    }
    g->closing = true;
    g->to_close = 3;
    pst_usb_ep0_stop(g->ep0);
    (void)uv_poll_stop(&g->done);
    close_files(g);
    g->bulk.timer.data = g; /* the timer no longer fires */
    uv_close((uv_handle_t *)&g->done, on_closed);
    uv_close((uv_handle_t *)&g->retry, on_closed);
    pst_usb_bulk_close(&g->bulk, on_closed);
}

static void on_opened(void *ctx, struct pst_carrier *c)
{
    struct gadget *g = ctx;
    if (!g->stopped) {
        g->base.events->peer(g->base.ctx, c);
    }
}

static void on_ended(void *ctx, struct pst_carrier *c, bool told)
{
    struct gadget *g = ctx;
    (void)told; /* if the host was not told, that is still sent */
    pst_usb_carrier_down(c, NULL);
    if (g->stopped) {
        shut(g);
    }
}

static void close_listener(struct pst_listener *base)
{
    struct gadget *g = (struct gadget *)base;

    g->stopped = true;
    if (!pst_usb_bulk_used(&g->bulk)) {
        shut(g);
    }
}

static const struct pst_usb_mover mover = {
    .read = move_in, .write = move_out, .opened = on_opened, .ended = on_ended, .news = on_news};

/* --- opening --- */

static const char control_text[] = "Postern control", data_text[] = "Postern debug";

static size_t put_descriptors(uint8_t *out, size_t cap)
{
    static const struct pst_usb_function function = {
        .subclass = PST_USB_DVC_GP, .in = 0x81, .out = 0x02, .control_text = 1, .data_text = 2};
    const size_t head = 6 * 4;
    size_t used = head, len;

    pst_poke_u32(out, FUNCTIONFS_DESCRIPTORS_MAGIC_V2);
    pst_poke_u32(out + 8, FUNCTIONFS_HAS_FS_DESC | FUNCTIONFS_HAS_HS_DESC | FUNCTIONFS_HAS_SS_DESC);
    for (int speed = PST_USB_FULL; speed <= PST_USB_SUPER; speed++) {
        unsigned count = 0;
        if (pst_usb_function_put(&function, (enum pst_usb_speed)speed, out + used, cap - used, &len,
                                 &count) != PST_OK) {
            return 0;
        }
        pst_poke_u32(out + 12 + 4 * speed, count);
        used += len;
    }
    pst_poke_u32(out + 4, (uint32_t)used);
    return used;
}

static size_t put_strings(uint8_t *out, size_t cap)
{
    struct pst_writer w = pst_writer_of(out, cap);
    size_t len = 0;

    pst_put_u32(&w, FUNCTIONFS_STRINGS_MAGIC);
    pst_put_u32(&w, (uint32_t)(18 + sizeof control_text + sizeof data_text));
    pst_put_u32(&w, 2);
    pst_put_u32(&w, 1);
    pst_put_u16(&w, 0x0409);
    pst_put_bytes(&w, control_text, sizeof control_text);
    pst_put_bytes(&w, data_text, sizeof data_text);
    return pst_written(&w, &len) == PST_OK ? len : 0;
}

static pst_err refused(const struct pst_address *at, const char *what, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "link '%s': %s: %s", at->text, what, strerror(errno));
    return PST_ERR_IO;
}

static int open_file(const struct pst_address *at, const char *name, int flags)
{
    char path[PST_ADDRESS_TEXT + 8];
    snprintf(path, sizeof path, "%s/%s", at->place, name);
    return open(path, O_RDWR | O_CLOEXEC | flags);
}

/* Opens ep0 and writes what the function is; then the endpoints are there. */
static pst_err open_ep0(const struct pst_address *at, int *fd, char *why, size_t why_cap)
{
    uint8_t bytes[512];

    *fd = open_file(at, "ep0", 0);
    if (*fd < 0) {
        return refused(at, errno == ENOENT ? "no FunctionFS is mounted there, its ep0" : "its ep0",
                       why, why_cap);
    }
    const size_t descriptors = put_descriptors(bytes, sizeof bytes);
    if (descriptors == 0 || write(*fd, bytes, descriptors) < 0) {
        const bool served = errno == ESRCH;
        errno = served ? EBUSY : errno; /* ESRCH describes a process, which misleads here */
        (void)refused(at, served ? "another program serves it" : "its ep0 refuses the descriptors",
                      why, why_cap);
    } else {
        const size_t strings = put_strings(bytes, sizeof bytes);
        if (strings > 0 && write(*fd, bytes, strings) >= 0) {
            return PST_OK;
        }
        (void)refused(at, "its ep0 refuses the strings", why, why_cap);
    }
    close(*fd);
    return PST_ERR_IO;
}

static pst_err open_files(struct gadget *g, const struct pst_address *at, char *why, size_t why_cap)
{
    g->in = open_file(at, "ep1", O_NONBLOCK);
    g->out = open_file(at, "ep2", O_NONBLOCK);
    g->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (g->in >= 0 && g->out >= 0 && g->event >= 0 &&
        syscall(SYS_io_setup, (unsigned)SLOTS, &g->aio) == 0) {
        return PST_OK;
    }
    (void)refused(at, "its endpoints", why, why_cap);
    close(g->in);
    close(g->out);
    close(g->event);
    return PST_ERR_IO;
}

static pst_err start(struct gadget *g, uv_loop_t *loop, int ep0)
{
    if (uv_poll_init(loop, &g->done, g->event) != 0 || uv_timer_init(loop, &g->retry) != 0 ||
        pst_usb_bulk_init(&g->bulk, loop, &mover, g, g->base.place) != PST_OK) {
        close(ep0);
        return PST_ERR_IO; /* no cleanup: libuv fails here only when out of memory */
    }
    g->done.data = g->retry.data = g;
    g->retry.timer_cb = on_retry;
    pst_usb_pipe_listen(&g->bulk.pipe);
    for (unsigned i = 0; i < PST_USB_READS; i++) {
        g->bulk.reads[i].io = &g->blocks[i];
    }
    for (unsigned i = 0; i < PST_USB_WRITES; i++) {
        g->bulk.writes[i].io = &g->blocks[PST_USB_READS + i];
    }
    PST_TRY(pst_usb_ep0_start(loop, ep0, on_woken, g, &g->ep0));
    return uv_poll_start(&g->done, UV_READABLE, on_done) == 0 ? PST_OK : PST_ERR_IO;
}

pst_err pst_usb_gadget_listen(uv_loop_t *loop, const struct pst_address *at,
                              const struct pst_listener_events *events, void *ctx,
                              struct pst_listener **listener, char *why, size_t why_cap)
{
    struct gadget *g = malloc(sizeof *g);
    int ep0;

    if (g == NULL) {
        snprintf(why, why_cap, "link '%s': no memory to listen", at->text);
        return PST_ERR_IO;
    }
    memset(g, 0, sizeof *g);
    g->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    snprintf(g->base.place, sizeof g->base.place, "usb-listen:%.500s", at->place);
    pst_err err = open_ep0(at, &ep0, why, why_cap);
    if (err == PST_OK) {
        err = open_files(g, at, why, why_cap);
        if (err != PST_OK) {
            close(ep0);
        }
    }
    if (err != PST_OK) {
        free(g);
        return err;
    }
    if (start(g, loop, ep0) != PST_OK) {
        snprintf(why, why_cap, "link '%s': no resources to listen", at->text);
        return PST_ERR_IO;
    }
    *listener = &g->base;
    return PST_OK;
}
#else
pst_err pst_usb_gadget_listen(uv_loop_t *loop, const struct pst_address *at,
                              const struct pst_listener_events *events, void *ctx,
                              struct pst_listener **listener, char *why, size_t why_cap)
{
    (void)loop;
    (void)events;
    (void)ctx;
    *listener = NULL;
    snprintf(why, why_cap, "link '%s': not built in: only Linux has FunctionFS", at->text);
    return PST_ERR_IO;
}
#endif
