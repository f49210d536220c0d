/* usb: the host's end, by libusb.
 *
 * A connection opens the device's node itself, so that what is wrong with it can be said, and gives
 * it to a libusb context of its own, whose descriptors the loop polls. A device that is not there
 * yet is waited for; then GET_INFO asks whether the device speaks as we do, SET_RESET ends what was
 * before, and the pipe begins.
 */
#include <stdio.h>

#include "posix/links/usb/usb.h"

#ifdef PST_WITH_LIBUSB
#include <errno.h>
#include <fcntl.h>
#include <libusb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/links/usb/bulk.h"

#define LOOK_MS 100
#define WAIT_MS 4000   /* wait for the device to appear */
#define DENIED_MS 1000 /* wait for udev to grant access to the node of a new device */
#define ASK_MS 4000
#define RESET_MS 500
#define POLLS 8

struct watch { /* a descriptor of libusb's */
    uv_poll_t poll;
    struct host *host;
    int events;
    bool used;
};

struct host {
    struct pst_usb_bulk bulk;
    struct pst_carrier *carrier; /* until its end is reported */
    struct pst_usb_wanted wanted;
    struct pst_usb_device device;
    uint64_t began, denied; /* denied: since when the node cannot be opened, or 0 */
    uv_timer_t timer;
    int fd;
    libusb_context *context;
    libusb_device_handle *handle;
    struct libusb_transfer *request, *transfers[PST_USB_READS + PST_USB_WRITES];
    uint8_t setup[LIBUSB_CONTROL_SETUP_SIZE + PST_USB_INFO_LEN];
    bool asking, claimed, ending, freed, told;
    char text[160]; /* the text of the end, if not the pipe's */
    uint8_t to_close;
    struct watch watches[POLLS];
};

static void tear_down(struct host *h);

static void end(struct host *h, pst_err why, const char *text)
{
    pst_usb_bulk_end(&h->bulk, why, text);
}

/* --- libusb's descriptors in the loop --- */

static void handle_events(struct host *h)
{
    struct timeval none = {0, 0};

    if (h->context != NULL) {
        (void)libusb_handle_events_timeout_completed(h->context, &none, NULL);
    }
    if (h->ending) {
        tear_down(h);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;

    (void)events;
    if (status < 0 && w->used) { /* an error stops libuv's poll; libusb decides what it means */
        (void)uv_poll_start(&w->poll, w->events, on_poll);
    }
    handle_events(w->host);
}

static void release(struct host *h)
{
    if (--h->to_close == 0 && h->freed) {
        free(h);
    }
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    w->poll.data = NULL; /* free again */
    release(w->host);
}

static void LIBUSB_CALL on_fd_added(int fd, short events, void *ctx)
{
    struct host *h = ctx;

    for (unsigned i = 0; i < POLLS; i++) {
        struct watch *w = &h->watches[i];
        if (w->poll.data != NULL || uv_poll_init(h->bulk.loop, &w->poll, fd) != 0) {
            continue;
        }
        w->poll.data = w;
        w->host = h;
        w->used = true;
        w->events = ((events & POLLIN) != 0 ? UV_READABLE : 0) |
                    ((events & POLLOUT) != 0 ? UV_WRITABLE : 0);
        h->to_close++;
        (void)uv_poll_start(&w->poll, w->events, on_poll);
        return;
    }
}

static void LIBUSB_CALL on_fd_removed(int fd, void *ctx)
{
    struct host *h = ctx;

    for (unsigned i = 0; i < POLLS; i++) {
        struct watch *w = &h->watches[i];
        uv_os_fd_t own;
        if (w->used && uv_fileno((uv_handle_t *)&w->poll, &own) == 0 && own == fd) {
            w->used = false;
            uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        }
    }
}

static void watch_all(struct host *h)
{
    const struct libusb_pollfd **fds = libusb_get_pollfds(h->context);

    for (unsigned i = 0; fds != NULL && fds[i] != NULL; i++) {
        on_fd_added(fds[i]->fd, fds[i]->events, h);
    }
    libusb_free_pollfds(fds);
    libusb_set_pollfd_notifiers(h->context, on_fd_added, on_fd_removed, h);
}

static void unwatch_all(struct host *h)
{
    libusb_set_pollfd_notifiers(h->context, NULL, NULL, NULL);
    for (unsigned i = 0; i < POLLS; i++) {
        if (h->watches[i].used) {
            h->watches[i].used = false;
            uv_close((uv_handle_t *)&h->watches[i].poll, on_watch_closed);
        }
    }
}

/* --- the end --- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct host *h = handle->data;

    if (h->carrier != NULL) {
        /* An unplugged device shows as a failed transfer; its node has disappeared by then. */
        const bool gone = h->text[0] != '\0' && access(h->device.node, F_OK) != 0;
        struct pst_carrier *c = h->carrier;
        h->carrier = NULL;
        pst_usb_carrier_down(c, gone ? "the device was unplugged" : NULL);
    }
    release(h);
}

static void on_bulk_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void close_device(struct host *h)
{
    if (h->claimed) {
        (void)libusb_release_interface(h->handle, h->device.function.data);
        if (h->device.function.has_control) {
            (void)libusb_release_interface(h->handle, h->device.function.control);
        }
    }
    if (h->context != NULL) {
        unwatch_all(h);
    }
    for (unsigned i = 0; i < PST_USB_READS + PST_USB_WRITES; i++) {
        libusb_free_transfer(h->transfers[i]);
    }
    libusb_free_transfer(h->request);
    if (h->handle != NULL) {
        libusb_close(h->handle);
    }
    if (h->context != NULL) {
        libusb_exit(h->context);
        h->context = NULL;
    }
    if (h->fd >= 0) {
        close(h->fd);
    }
}

static void LIBUSB_CALL on_last_request(struct libusb_transfer *t)
{
    struct host *h = t->user_data;
    h->asking = false;
}

/* Tells the device about the end, even when its pipe is stuck. */
static void say_reset(struct host *h)
{
    pst_usb_setup_put(h->setup, PST_USB_SET_RESET, 0, h->device.function.control, 0);
    libusb_fill_control_transfer(h->request, h->handle, h->setup, on_last_request, h, RESET_MS);
    h->asking = libusb_submit_transfer(h->request) == 0;
}

/* Everything under way is cancelled and must complete before anything is freed. */
static void tear_down(struct host *h)
{
    if (h->freed) {
        return;
    }
    if (h->asking || !pst_usb_bulk_idle(&h->bulk)) {
        return;
    }
    if (h->claimed && !h->told) {
        h->told = true;
        say_reset(h);
        if (h->asking) {
            return;
        }
    }
    h->freed = true;
    close_device(h);
    h->to_close = (uint8_t)(h->to_close + 2);
    h->bulk.timer.data = h;
    uv_close((uv_handle_t *)&h->timer, on_timer_closed);
    pst_usb_bulk_close(&h->bulk, on_bulk_closed);
}

static void on_timer_end(uv_timer_t *timer)
{
    handle_events(timer->data);
}

static void on_ended(void *ctx, struct pst_carrier *c, bool told)
{
    struct host *h = ctx;

    h->carrier = c;
    h->ending = true;
    h->bulk.running = false;
    for (unsigned i = 0; i < PST_USB_READS + PST_USB_WRITES; i++) {
        if (h->transfers[i] != NULL) {
            (void)libusb_cancel_transfer(h->transfers[i]); /* of one that is not under way: nothing
                                                            */
        }
    }
    if (h->asking) {
        (void)libusb_cancel_transfer(h->request);
    }
    h->told = told;
    /* Not from here: the pipes are still in use. */
    (void)uv_timer_start(&h->timer, on_timer_end, 0, 0);
}

/* --- bulk transfers --- */

/* A device that fails while its node exists may have been reset, by another program or its hub. */
#define GONE "the device was unplugged, or was reset"

static const char *failure(enum libusb_transfer_status status)
{
    return status == LIBUSB_TRANSFER_NO_DEVICE   ? GONE
           : status == LIBUSB_TRANSFER_TIMED_OUT ? "the device does not answer"
           : status == LIBUSB_TRANSFER_STALL     ? "the device refuses: it halted the pipe"
                                                 : "a transfer on the bus failed";
}

static void fail(struct host *h, enum libusb_transfer_status status)
{
    if (!h->ending) {
        snprintf(h->text, sizeof h->text, "%s", failure(status));
        end(h, PST_ERR_IO, h->text);
    }
}

static void LIBUSB_CALL on_moved(struct libusb_transfer *t)
{
    struct pst_usb_slot *slot = t->user_data;
    struct host *h = slot->bulk->ctx;
    const bool good = t->status == LIBUSB_TRANSFER_COMPLETED;

    if (!good) {
        fail(h, t->status);
    }
    pst_usb_bulk_moved(slot, !good, good ? (size_t)t->actual_length : 0);
}

static bool start(struct host *h, struct pst_usb_slot *slot, uint8_t endpoint, size_t len)
{
    struct libusb_transfer *t = slot->io;

    if (h->handle == NULL || h->ending) {
        return false;
    }
    libusb_fill_bulk_transfer(t, h->handle, endpoint, slot->buffer, (int)len, on_moved, slot, 0);
    const int rc = libusb_submit_transfer(t);
    if (rc != 0) {
        snprintf(h->text, sizeof h->text, "%s",
                 rc == LIBUSB_ERROR_NO_DEVICE ? GONE : "the host controller refused a transfer");
    }
    return rc == 0;
}

static bool move_in(void *ctx, struct pst_usb_slot *slot)
{
    struct host *h = ctx;
    return start(h, slot, h->device.function.in, PST_USB_TRANSFER);
}

static bool move_out(void *ctx, struct pst_usb_slot *slot)
{
    struct host *h = ctx;
    return start(h, slot, h->device.function.out, slot->len);
}

static void on_news(void *ctx)
{
    struct host *h = ctx;
    if (h->text[0] != '\0' && !h->ending) {
        end(h, PST_ERR_IO, h->text); /* a transfer was not taken */
    }
}

static const struct pst_usb_mover mover = {
    .read = move_in, .write = move_out, .ended = on_ended, .news = on_news};

/* --- before the pipe --- */

static void begin_pipe(struct host *h)
{
    uint32_t stream;

    if (uv_random(NULL, NULL, &stream, sizeof stream, 0, NULL) != 0) {
        end(h, PST_ERR_RANDOM, "no random number");
        return;
    }
    pst_usb_pipe_call(&h->bulk.pipe, stream, uv_now(h->bulk.loop));
    pst_usb_bulk_go(&h->bulk);
}

static void ask(struct host *h, uint8_t request, uint16_t len, libusb_transfer_cb_fn done)
{
    const struct pst_usb_found *f = &h->device.function;

    pst_usb_setup_put(h->setup, request, 0, f->has_control ? f->control : f->data, len);
    libusb_fill_control_transfer(h->request, h->handle, h->setup, done, h, ASK_MS);
    h->asking = libusb_submit_transfer(h->request) == 0;
    if (!h->asking) {
        end(h, PST_ERR_IO, "the host controller refused a control request");
    }
}

static void on_alive_due(uv_timer_t *timer);

static void LIBUSB_CALL on_alive(struct libusb_transfer *t)
{
    struct host *h = t->user_data;

    h->asking = false;
    if (h->ending) {
        return;
    }
    if (t->status != LIBUSB_TRANSFER_COMPLETED) {
        fail(h, t->status);
        return;
    }
    (void)uv_timer_start(&h->timer, on_alive_due, PST_USB_ALIVE_MS, 0);
}

static void on_alive_due(uv_timer_t *timer)
{
    ask(timer->data, PST_USB_GET_INFO, PST_USB_INFO_LEN, on_alive);
}

static void LIBUSB_CALL on_reset(struct libusb_transfer *t)
{
    struct host *h = t->user_data;

    h->asking = false;
    if (h->ending) {
        return;
    }
    if (t->status != LIBUSB_TRANSFER_COMPLETED && t->status != LIBUSB_TRANSFER_STALL) {
        fail(h, t->status);
        return;
    }
    (void)uv_timer_start(&h->timer, on_alive_due, PST_USB_ALIVE_MS, 0);
    begin_pipe(h); /* refused: OPEN does the rest */
}

static void LIBUSB_CALL on_info(struct libusb_transfer *t)
{
    struct host *h = t->user_data;

    h->asking = false;
    if (h->ending) {
        return;
    }
    if (t->status != LIBUSB_TRANSFER_COMPLETED && t->status != LIBUSB_TRANSFER_STALL) {
        fail(h, t->status);
        return;
    }
    const size_t len = t->status == LIBUSB_TRANSFER_COMPLETED ? (size_t)t->actual_length : 0;
    const pst_err err = pst_usb_info_get(libusb_control_transfer_get_data(t), len);
    if (err == PST_ERR_PROFILE) {
        end(h, err, "the device has an incompatible Postern wire profile");
    } else if (err != PST_OK) {
        end(h, err, "its debug function does not speak Postern");
    } else {
        ask(h, PST_USB_SET_RESET, 0, on_reset);
    }
}

static bool claim(struct host *h, uint8_t interface)
{
    const int rc = libusb_claim_interface(h->handle, interface);

    if (rc == LIBUSB_ERROR_BUSY) {
        end(h, PST_ERR_BUSY, "another program uses the device");
    } else if (rc != 0) {
        end(h, PST_ERR_IO, libusb_error_name(rc));
    }
    return rc == 0;
}

static bool make_transfers(struct host *h)
{
    for (unsigned i = 0; i < PST_USB_READS + PST_USB_WRITES; i++) {
        h->transfers[i] = libusb_alloc_transfer(0);
        struct pst_usb_slot *slot =
            i < PST_USB_READS ? &h->bulk.reads[i] : &h->bulk.writes[i - PST_USB_READS];
        slot->io = h->transfers[i];
        if (h->transfers[i] == NULL) {
            return false;
        }
    }
    h->request = libusb_alloc_transfer(0);
    return h->request != NULL;
}

static void use_device(struct host *h)
{
    const struct pst_usb_found *f = &h->device.function;

    (void)libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
    if (libusb_init(&h->context) != 0) {
        h->context = NULL;
        end(h, PST_ERR_IO, "libusb cannot be initialised");
        return;
    }
    watch_all(h);
    if (libusb_wrap_sys_device(h->context, (intptr_t)h->fd, &h->handle) != 0) {
        h->handle = NULL;
        end(h, PST_ERR_IO, "libusb cannot open the device");
        return;
    }
    if (!make_transfers(h)) {
        end(h, PST_ERR_IO, "no memory for transfers");
        return;
    }
    (void)libusb_set_auto_detach_kernel_driver(h->handle, 1);
    h->claimed = (!f->has_control || claim(h, f->control)) && claim(h, f->data);
    if (!h->claimed) {
        return;
    }
    if (f->alternate != 0 &&
        libusb_set_interface_alt_setting(h->handle, f->data, f->alternate) != 0) {
        end(h, PST_ERR_IO, "the device refused the alternate setting of its debug function");
        return;
    }
    snprintf(h->carrier->peer, sizeof h->carrier->peer, "%s", h->bulk.name);
    ask(h, PST_USB_GET_INFO, PST_USB_INFO_LEN, on_info);
}

/* --- finding the device --- */

static void look(struct host *h);

static void on_look(uv_timer_t *timer)
{
    look(timer->data);
}

static bool denied_too_long(struct host *h, uint64_t now)
{
    h->denied = h->denied == 0 ? now : h->denied;
    return now - h->denied >= DENIED_MS;
}

static void end_words(struct host *h, pst_err why, const char *a, const char *b, const char *c)
{
    char text[160];
    snprintf(text, sizeof text, "%s%s%s", a, b, c);
    end(h, why, text);
}

static void open_node(struct host *h, uint64_t now)
{
    h->fd = open(h->device.node, O_RDWR | O_CLOEXEC);
    if (h->fd >= 0) {
        pst_usb_device_link(&h->device, h->bulk.name, sizeof h->bulk.name);
        use_device(h);
    } else if (errno == EACCES && denied_too_long(h, now)) {
        end_words(h, PST_ERR_IO, "permission denied on ", h->device.node,
                  ": a udev rule can grant it");
    } else if (errno != EACCES && errno != ENOENT && errno != ENODEV) {
        end_words(h, PST_ERR_IO, h->device.node, ": ", strerror(errno));
    }
}

static void look(struct host *h)
{
    const uint64_t now = uv_now(h->bulk.loop);
    const unsigned n = pst_usb_device_find(&h->wanted, &h->device);

    if (n > 1) {
        char link[100];
        pst_usb_device_link(&h->device, link, sizeof link);
        end_words(h, PST_ERR_ARGUMENT, "several devices match; name one, for example ", link, "");
        return;
    }
    if (n == 1) {
        open_node(h, now);
    }
    if (h->fd >= 0 || h->ending) {
        return;
    }
    if (now - h->began >= WAIT_MS) {
        end(h, PST_ERR_TIMEOUT,
            n == 0 ? "no such device with a debug function is plugged in"
                   : "the device's node did not appear");
        return;
    }
    (void)uv_timer_start(&h->timer, on_look, LOOK_MS, 0);
}

pst_err pst_usb_host_connect(uv_loop_t *loop, const struct pst_address *to,
                             const struct pst_carrier_events *events, void *ctx,
                             struct pst_carrier **carrier, char *why, size_t why_cap)
{
    struct host *h = malloc(sizeof *h);

    if (h == NULL) {
        snprintf(why, why_cap, "link '%s': no memory for a connection", to->text);
        return PST_ERR_IO;
    }
    memset(h, 0, sizeof *h);
    h->fd = -1;
    h->began = uv_now(loop);
    if (pst_usb_wanted_parse(to, &h->wanted, why, why_cap) != PST_OK) {
        free(h);
        return PST_ERR_DECODE;
    }
    if (uv_timer_init(loop, &h->timer) != 0 ||
        pst_usb_bulk_init(&h->bulk, loop, &mover, h, to->text) != PST_OK ||
        (h->carrier = pst_usb_bulk_carrier(&h->bulk)) == NULL) {
        snprintf(why, why_cap, "link '%s': no resources for a connection", to->text);
        return PST_ERR_IO;
    }
    h->timer.data = h;
    pst_carrier_own(h->carrier, events, ctx);
    (void)uv_timer_start(&h->timer, on_look, 0, 0);
    *carrier = h->carrier;
    return PST_OK;
}
#else
pst_err pst_usb_host_connect(uv_loop_t *loop, const struct pst_address *to,
                             const struct pst_carrier_events *events, void *ctx,
                             struct pst_carrier **carrier, char *why, size_t why_cap)
{
    (void)loop;
    (void)events;
    (void)ctx;
    *carrier = NULL;
    snprintf(why, why_cap, "link '%s': not built in: libusb-1.0 was missing", to->text);
    return PST_ERR_IO;
}
#endif
