/* usb: how debug functions are found on this machine (find.c), and the two ends (host.c, gadget.c).
 */
#ifndef POSTERN_POSIX_LINKS_USB_USB_H
#define POSTERN_POSIX_LINKS_USB_USB_H

#include "posix/loop/carrier.h"
#include "postern/links/usb.h"

/* A device with a debug function (DvC.GP), as Linux describes it; nothing was opened. */
struct pst_usb_device {
    unsigned bus, number, vendor, product;
    char serial[128], text[128]; /* "" for none; text: manufacturer and product */
    char node[32];               /* what has to be opened */
    struct pst_usb_found function;
};
/* Calls `found` for each. */
void pst_usb_devices(void (*found)(void *ctx, const struct pst_usb_device *device), void *ctx);
/* The link to it, as text. */
void pst_usb_device_link(const struct pst_usb_device *device, char *out, size_t cap);

/* Which devices a link means; numbers are -1 and serial "" for any. */
struct pst_usb_wanted {
    long vendor, product;
    char serial[128];
};
PST_MUST_CHECK pst_err pst_usb_wanted_parse(const struct pst_address *a, struct pst_usb_wanted *w,
                                            char *why, size_t why_cap);
/* The number of matching devices; the first one in `*device`. */
unsigned pst_usb_device_find(const struct pst_usb_wanted *w, struct pst_usb_device *device);

/* `connect` and `listen` of the scheme (carrier.h). */
pst_err pst_usb_host_connect(uv_loop_t *loop, const struct pst_address *to,
                             const struct pst_carrier_events *events, void *ctx,
                             struct pst_carrier **carrier, char *why, size_t why_cap);
pst_err pst_usb_gadget_listen(uv_loop_t *loop, const struct pst_address *at,
                              const struct pst_listener_events *events, void *ctx,
                              struct pst_listener **listener, char *why, size_t why_cap);

#endif
