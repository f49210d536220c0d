/* The control endpoint of a FunctionFS gadget: answers class requests, and tells what happens on
 * the bus. A thread of its own, since the kernel may keep whoever answers a host waiting for as
 * long as the host likes. Linux. */
#ifndef POSTERN_POSIX_LINKS_USB_EP0_H
#define POSTERN_POSIX_LINKS_USB_EP0_H

#include <uv.h>

#include "postern/links/usb.h"

struct pst_usb_ep0;

struct pst_usb_news {
    bool enabled;   /* the host uses the function */
    unsigned heard; /* requests of the host */
    unsigned turns; /* how often it began to use it */
    unsigned ends;  /* how often whatever stream there was has ended by it */
    bool reset;     /* the last of those: the host said so (SET_RESET), else it went away */
};

/* Owns `fd`, the open ep0 with descriptors written, from now on, whatever is returned. `woken` is
 * called in the loop's thread when there is news. */
PST_MUST_CHECK pst_err pst_usb_ep0_start(uv_loop_t *loop, int fd, void (*woken)(void *ctx),
                                         void *ctx, struct pst_usb_ep0 **ep0);
/* It includes a SET_RESET before the host gets the acknowledgement. */
struct pst_usb_news pst_usb_ep0_news(struct pst_usb_ep0 *ep0);
/* `woken` is not called any more; the rest is freed when the thread has noticed. */
void pst_usb_ep0_stop(struct pst_usb_ep0 *ep0);

#endif
