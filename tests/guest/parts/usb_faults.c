/* Faults in the bulk transfers of a USB device, at the host. A unit is a transfer that has data. A
 * transfer to the device is changed before it is submitted, one from it before it is reported. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "guest/faults.h"
#include "postern/links/usb.h"

#if __has_include(<libusb.h>)
#include <libusb.h>

#define REPLAY_MS 800 /* time for a replay to take effect, if it does */

struct pass { /* a transfer in progress, as its owner submitted it */
    libusb_transfer_cb_fn callback;
    void *user_data;
    int length;
    bool twice, cancelled;
};

static bool deaf;                    /* nothing passes any more */
static struct libusb_transfer *held; /* to the device, behind the next one */
static struct {                      /* from the device: comes in place of a later one, */
    int len;                         /* which then comes in place of the one behind it */
    unsigned wait;
    uint8_t bytes[PST_USB_TRANSFER];
} kept;

static int submit(struct libusb_transfer *t)
{
    static int (*real)(struct libusb_transfer *t);

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "libusb_submit_transfer");
    }
    return real(t);
}

static void release_held(void)
{
    struct libusb_transfer *t = held;

    held = NULL;
    if (t != NULL && submit(t) != 0) { /* the next one will fail too: it reports the error */
        (void)libusb_cancel_transfer(t);
    }
}

/* Applies the faults that are the same in both directions. Returns the new length. */
static int mangle(enum fault what, libusb_device_handle *device, uint8_t *bytes, int length)
{
    switch (what) {
    case CORRUPT:
        bytes[faults_below((unsigned)length)] ^= (uint8_t)(1u << faults_below(8));
        break;
    case TRUNCATE:
        return (int)faults_below((unsigned)length);
    case DELAY:
        faults_delay();
        break;
    case STALL:
        deaf = true;
        break;
    case RESET:
        (void)libusb_reset_device(device);
        break;
    case DROP:
    case DUPLICATE:
    case REORDER:
    case NONE:
        break;
    }
    return length;
}

/* --- from the device --- */

static void keep(const struct libusb_transfer *t, unsigned wait)
{
    kept.len = t->actual_length;
    kept.wait = wait;
    memcpy(kept.bytes, t->buffer, (size_t)kept.len);
}

static void swap_with_kept(struct libusb_transfer *t)
{
    for (size_t i = 0; i < sizeof kept.bytes && i < (size_t)t->length; i++) {
        const uint8_t byte = kept.bytes[i];
        kept.bytes[i] = t->buffer[i];
        t->buffer[i] = byte;
    }
    const int len = kept.len;
    kept.len = t->actual_length;
    t->actual_length = len;
}

/* Returns false if the transfer is dropped and submitted again. */
static bool comes(struct libusb_transfer *t, bool cancelled)
{
    const enum fault what = faults_choose();

    if (deaf || what == DROP) {
        return cancelled || submit(t) != 0;
    }
    if (kept.len > 0 && kept.wait-- == 0) {
        kept.wait = 0;
        swap_with_kept(t);
    } else if (what == DUPLICATE) {
        keep(t, 0);
    } else if (what == REORDER && !cancelled) {
        keep(t, 1);
        return submit(t) != 0;
    }
    t->actual_length = mangle(what, t->dev_handle, t->buffer, t->actual_length);
    return true;
}

static void LIBUSB_CALL on_done(struct libusb_transfer *t)
{
    struct pass *p = t->user_data;
    const bool in = (t->endpoint & LIBUSB_ENDPOINT_IN) != 0;

    if (t->status == LIBUSB_TRANSFER_COMPLETED) {
        if (in && t->actual_length > 0 && !comes(t, p->cancelled)) {
            return;
        }
        if (!in && p->twice && !p->cancelled) {
            p->twice = false;
            if (submit(t) == 0) {
                return;
            }
        }
        t->actual_length = in ? t->actual_length : p->length;
    }
    t->callback = p->callback;
    t->user_data = p->user_data;
    t->length = p->length;
    free(p);
    t->callback(t);
}

/* --- to the device --- */

static void LIBUSB_CALL on_said(struct libusb_transfer *t)
{
    libusb_free_transfer(t);
}

static void say_again(libusb_device_handle *device, uint8_t endpoint)
{
    const struct said *s = faults_replay();
    const bool any = s != NULL;

    for (; s != NULL; s = s->next) {
        struct libusb_transfer *t = libusb_alloc_transfer(0);
        uint8_t *bytes = malloc(s->len);
        if (t == NULL || bytes == NULL) {
            abort();
        }
        memcpy(bytes, s->bytes, s->len);
        libusb_fill_bulk_transfer(t, device, endpoint, bytes, (int)s->len, on_said, NULL, 0);
        t->flags = LIBUSB_TRANSFER_FREE_BUFFER;
        if (submit(t) != 0) {
            libusb_free_transfer(t);
        }
    }
    faults_pause(any ? REPLAY_MS : 0);
}

static int go_out(struct libusb_transfer *t, struct pass *p)
{
    const enum fault what = faults_choose();

    say_again(t->dev_handle, t->endpoint);
    faults_record(t->buffer, (size_t)t->length);
    p->twice = what == DUPLICATE;
    t->length = deaf || what == DROP ? 0 : mangle(what, t->dev_handle, t->buffer, t->length);
    if (what == REORDER && held == NULL) {
        held = t;
        return 0;
    }
    const int rc = submit(t);
    release_held();
    return rc;
}

int libusb_submit_transfer(struct libusb_transfer *t)
{
    struct pass *p = t->type == LIBUSB_TRANSFER_TYPE_BULK ? malloc(sizeof *p) : NULL;

    if (p == NULL) {
        release_held();
        return submit(t);
    }
    *p = (struct pass){t->callback, t->user_data, t->length, false, false};
    t->callback = on_done;
    t->user_data = p;
    const int rc =
        (t->endpoint & LIBUSB_ENDPOINT_IN) == 0 && t->length > 0 ? go_out(t, p) : submit(t);
    if (rc != 0) {
        t->callback = p->callback;
        t->user_data = p->user_data;
        t->length = p->length;
        free(p);
    }
    return rc;
}

int libusb_cancel_transfer(struct libusb_transfer *t)
{
    static int (*real)(struct libusb_transfer *t);

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "libusb_cancel_transfer");
    }
    if (t->callback == on_done) {
        ((struct pass *)t->user_data)->cancelled = true;
        if (t == held) {
            release_held();
        }
    }
    return real(t);
}

int libusb_wrap_sys_device(libusb_context *ctx, intptr_t sys_dev, libusb_device_handle **device)
{
    static int (*real)(libusb_context *ctx, intptr_t sys_dev, libusb_device_handle **device);

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "libusb_wrap_sys_device");
    }
    faults_begin("usb");
    deaf = false;
    held = NULL;
    kept.len = 0;
    return real(ctx, sys_dev, device);
}

#endif
