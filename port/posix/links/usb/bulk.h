/* The bulk pipes of a debug function as a carrier: what both ends of a cable have in common.
 *
 * It owns the transfers, the pipe of postern/usb.h and the carrier on it; what starts transfers is
 * a struct of functions, libusb's on the host's side and FunctionFS's on the device's. A host's
 * pipes serve one carrier, a device's one after the other, each begun by the host.
 */
#ifndef POSTERN_POSIX_LINKS_USB_BULK_H
#define POSTERN_POSIX_LINKS_USB_BULK_H

#include "posix/loop/carrier.h"
#include "postern/links/usb.h"

#define PST_USB_READS 4
#define PST_USB_WRITES 8

struct pst_usb_bulk;

struct pst_usb_slot { /* a transfer */
    struct pst_usb_bulk *bulk;
    void *io; /* the mover's */
    size_t len;
    bool busy, held; /* held: read, not processed yet */
    uint8_t buffer[PST_USB_TRANSFER];
};

struct pst_usb_mover { /* const */
    /* Starts a transfer; true: the mover calls pst_usb_bulk_moved, later, from the loop. */
    bool (*read)(void *ctx, struct pst_usb_slot *slot);
    bool (*write)(void *ctx, struct pst_usb_slot *slot); /* slot->len bytes */
    /* A host began a stream, and a carrier is on it: own it, or it is closed. Devices only. */
    void (*opened)(void *ctx, struct pst_carrier *c);
    /* The carrier has ended; call pst_usb_carrier_down when that is to be told, now or later. The
     * bulk may be freed from the next turn of the loop on. */
    void (*ended)(void *ctx, struct pst_carrier *c, bool told);
    /* Called before the pipe is processed: the mover reports its events (pst_usb_bulk_end). */
    void (*news)(void *ctx);
};

struct pst_usb_bulk {
    struct pst_usb_pipe pipe;
    bool running; /* transfers may be started */
    /* private */
    const struct pst_usb_mover *mover;
    void *ctx;
    char name[PST_ADDRESS_TEXT]; /* of the link, for carriers */
    uv_loop_t *loop;
    uv_timer_t timer;
    struct pst_usb_carrier *carrier;
    unsigned next_read, next_held, next_write;
    bool closing, broken;
    struct pst_usb_slot reads[PST_USB_READS], writes[PST_USB_WRITES];
};

/* Zeroes everything except the buffers. */
PST_MUST_CHECK pst_err pst_usb_bulk_init(struct pst_usb_bulk *b, uv_loop_t *loop,
                                         const struct pst_usb_mover *mover, void *ctx,
                                         const char *name);
/* A host's only carrier; it is open once the device takes the stream that pst_usb_pipe_call asks
 * for. NULL: no memory. */
struct pst_carrier *pst_usb_bulk_carrier(struct pst_usb_bulk *b);
/* From the loop: a transfer has ended, with so many bytes; or it failed: the mover calls
 * pst_usb_bulk_end before, and none is started before the next pst_usb_bulk_go. */
void pst_usb_bulk_moved(struct pst_usb_slot *slot, bool failed, size_t len);
/* A device's host made a class request. */
void pst_usb_bulk_heard(struct pst_usb_bulk *b);
/* Transfers may start (again). */
void pst_usb_bulk_go(struct pst_usb_bulk *b);
/* The stream and the carrier end; the peer is not told. */
void pst_usb_bulk_end(struct pst_usb_bulk *b, pst_err why, const char *text);
bool pst_usb_bulk_idle(const struct pst_usb_bulk *b); /* no transfer is under way */
bool pst_usb_bulk_used(const struct pst_usb_bulk *b); /* there is a carrier that has not ended */
/* Stops; `closed` when the timer is. The carrier has ended before, and no transfer is under way. */
void pst_usb_bulk_close(struct pst_usb_bulk *b, uv_close_cb closed);
/* Reports the end to its owner and frees it. `text`: NULL for the recorded one. */
void pst_usb_carrier_down(struct pst_carrier *c, const char *text);

#endif
