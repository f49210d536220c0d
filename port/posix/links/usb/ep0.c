#ifdef __linux__
#include "posix/links/usb/ep0.h"

#include <errno.h>
#include <linux/usb/functionfs.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pst_usb_ep0 {
    uv_async_t async; /* owned by the loop's thread */
    void (*woken)(void *ctx);
    void *ctx;
    int fd, stop[2]; /* a pipe: closing its end stops the thread */
    pthread_mutex_t lock;
    /* Under the lock: */
    struct pst_usb_news news;
    unsigned owners; /* the thread, and the loop's until `async` is closed */
    bool stopped;
};

static void release(struct pst_usb_ep0 *e)
{
    pthread_mutex_lock(&e->lock);
    const bool last = --e->owners == 0;
    pthread_mutex_unlock(&e->lock);
    if (last) {
        close(e->fd);
        close(e->stop[0]);
        (void)pthread_mutex_destroy(&e->lock);
        free(e);
    }
}

/* --- the thread --- */

static void tell(struct pst_usb_ep0 *e, bool enabled, bool ended, bool asked)
{
    pthread_mutex_lock(&e->lock);
    e->news.heard += asked ? 1 : 0;
    e->news.turns += enabled && !asked ? 1 : 0;
    e->news.enabled = enabled;
    if (ended) {
        e->news.ends++;
        e->news.reset = asked;
    }
    if (!e->stopped) {
        (void)uv_async_send(&e->async);
    }
    pthread_mutex_unlock(&e->lock);
}

/* On ep0, an empty transfer in the wrong direction refuses a request; in the right direction it
   acknowledges it. */
static void answer(struct pst_usb_ep0 *e, struct pst_usb_control *control,
                   const struct usb_ctrlrequest *request)
{
    uint8_t setup[PST_USB_SETUP], out[PST_USB_INFO_LEN];
    const bool to_host = (request->bRequestType & USB_DIR_IN) != 0;
    size_t len;
    bool reset;
    ssize_t ignored;

    memcpy(setup, request, sizeof setup); /* as on the wire */
    const pst_usb_verdict verdict = pst_usb_control_run(control, setup, out, &len, &reset);
    tell(e, true, reset, true);
    if (verdict == PST_USB_ANSWER) {
        ignored = write(e->fd, out, len);
    } else if ((verdict == PST_USB_ACCEPT) == to_host) {
        ignored = write(e->fd, out, 0);
    } else {
        ignored = read(e->fd, out, 0);
    }
    (void)ignored; /* the host may have given up; the next event tells */
}

static void on_event(struct pst_usb_ep0 *e, struct pst_usb_control *control,
                     const struct usb_functionfs_event *event)
{
    switch ((enum usb_functionfs_event_type)event->type) {
    case FUNCTIONFS_ENABLE:
        tell(e, true, false, false);
        break;
    case FUNCTIONFS_DISABLE:
    case FUNCTIONFS_UNBIND:
        memset(control, 0, sizeof *control);
        tell(e, false, true, false);
        break;
    case FUNCTIONFS_SETUP:
        answer(e, control, &event->u.setup);
        break;
    case FUNCTIONFS_BIND:
    case FUNCTIONFS_SUSPEND:
    case FUNCTIONFS_RESUME:
        break;
    }
}

static void *serve(void *arg)
{
    struct pst_usb_ep0 *e = arg;
    struct pst_usb_control control = {0};
    struct usb_functionfs_event events[4];

    for (;;) {
        struct pollfd fds[2] = {
            {.fd = e->fd, .events = POLLIN},
            {.fd = e->stop[0]}
        };
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            break;
        }
        if (fds[1].revents != 0) {
            break;
        }
        if ((fds[0].revents & POLLIN) == 0) {
            continue;
        }
        const ssize_t got = read(e->fd, events, sizeof events);
        if (got < 0 && errno != EINTR && errno != EAGAIN && errno != EIDRM) {
            break; /* EIDRM: the host cancelled the request */
        }
        for (ssize_t i = 0; i < got / (ssize_t)sizeof *events; i++) {
            on_event(e, &control, &events[i]);
        }
    }
    tell(e, false, true, false);
    release(e);
    return NULL;
}

/* --- the loop's side --- */

static void on_async(uv_async_t *async)
{
    struct pst_usb_ep0 *e = async->data;
    if (!e->stopped) {
        e->woken(e->ctx);
    }
}

static void on_async_closed(uv_handle_t *handle)
{
    release(handle->data);
}

struct pst_usb_news pst_usb_ep0_news(struct pst_usb_ep0 *e)
{
    pthread_mutex_lock(&e->lock);
    const struct pst_usb_news news = e->news;
    pthread_mutex_unlock(&e->lock);
    return news;
}

void pst_usb_ep0_stop(struct pst_usb_ep0 *e)
{
    pthread_mutex_lock(&e->lock);
    e->stopped = true;
    pthread_mutex_unlock(&e->lock);
    close(e->stop[1]);
    uv_close((uv_handle_t *)&e->async, on_async_closed);
}

static bool start_thread(struct pst_usb_ep0 *e)
{
    pthread_t thread;

    e->owners = 2;
    if (pthread_create(&thread, NULL, serve, e) != 0) {
        e->owners = 1;
        return false;
    }
    (void)pthread_detach(thread); /* it may be stuck until the process ends */
    return true;
}

pst_err pst_usb_ep0_start(uv_loop_t *loop, int fd, void (*woken)(void *ctx), void *ctx,
                          struct pst_usb_ep0 **ep0)
{
    struct pst_usb_ep0 *e = calloc(1, sizeof *e);

    if (e == NULL || pipe(e->stop) != 0) {
        free(e);
        close(fd);
        return PST_ERR_IO;
    }
    e->fd = fd;
    e->woken = woken;
    e->ctx = ctx;
    e->async.data = e;
    if (pthread_mutex_init(&e->lock, NULL) != 0 || uv_async_init(loop, &e->async, on_async) != 0) {
        close(e->stop[0]);
        close(e->stop[1]);
        free(e);
        close(fd);
        return PST_ERR_IO;
    }
    if (!start_thread(e)) {
        pst_usb_ep0_stop(e);
        return PST_ERR_IO;
    }
    *ep0 = e;
    return PST_OK;
}
#else
typedef int pst_usb_no_ep0; /* nothing: FunctionFS is Linux's */
#endif
