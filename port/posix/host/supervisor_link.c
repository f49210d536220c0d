#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "posix/host/supervisor.h"

enum { IDLE, OPENING, OPENED, DEAD, FAILED, GONE };

void pst_supervisor_link_init(struct pst_supervisor_link *l, struct pst_stub *stub, int control)
{
    memset(l, 0, sizeof *l);
    l->stub = stub;
    l->control = control;
    l->fd = -1;
}

static bool tell(const struct pst_supervisor_link *l, uint8_t kind)
{
    return send(l->control, &kind, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

/* --- the note of what must be undone at the stub --- */

/* The supervisor may read the note after any instruction here. So a breakpoint is in the list
   before the count includes it, and one being removed may be listed twice for a moment. */
static void write_cleanup(struct pst_supervisor_link *l)
{
    struct pst_stub_cleanup now, *cleanup = l->cleanup;
    if (!pst_stub_cleanup(l->stub, &now)) {
        return; /* unchanged */
    }
    memcpy(cleanup->breaks, now.breaks, now.count * sizeof *now.breaks);
    atomic_signal_fence(memory_order_seq_cst);
    cleanup->count = now.count;
    cleanup->expected = now.expected;
    cleanup->acks = now.acks;
    cleanup->running = now.running;
    cleanup->left = now.left;
    atomic_signal_fence(memory_order_seq_cst);
}

/* --- the stream --- */

static void drop_stream(struct pst_supervisor_link *l)
{
    if (l->fd < 0) {
        return;
    }
    if (l->watch != NULL) {
        l->watch(l->ctx, l->fd, false);
    }
    close(l->fd);
    (void)munmap(l->cleanup, sizeof *l->cleanup);
    l->fd = -1;
    l->cleanup = NULL;
}

static void lose(struct pst_supervisor_link *l)
{
    l->state = DEAD;
    drop_stream(l);
    l->closes += tell(l, PST_SUPERVISOR_LOST);
    pst_stub_closed(l->stub);
}

bool pst_supervisor_write(struct pst_supervisor_link *l)
{
    struct pst_bytes p;
    while (l->fd >= 0) {
        write_cleanup(l);
        p = pst_stub_pending(l->stub);
        if (p.len == 0) {
            return false;
        }
        ssize_t n = send(l->fd, p.at, p.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return true;
        }
        if (n < 0 && errno != EINTR) {
            lose(l);
        } else if (n > 0) {
            l->cleanup->cut = (size_t)n < p.len;
            pst_stub_sent(l->stub, (size_t)n);
        }
    }
    return false;
}

bool pst_supervisor_read(struct pst_supervisor_link *l)
{
    uint8_t bytes[16384];
    ssize_t n = l->fd < 0 ? -1 : recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
        pst_stub_receive(l->stub, bytes, (size_t)n);
    } else if (l->fd >= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
        lose(l);
    }
    return pst_supervisor_write(l);
}

/* --- the supervisor --- */

static pst_err let_go(struct pst_supervisor_link *l)
{
    if (l->state == OPENING || l->state == OPENED) {
        drop_stream(l);
        if (!tell(l, PST_SUPERVISOR_CLOSE)) {
            l->state = GONE;
            return PST_OK;
        }
        l->closes++;
    }
    l->state = l->state == GONE ? GONE : IDLE;
    return PST_OK;
}

pst_err pst_supervisor_open(void *ctx, bool on)
{
    struct pst_supervisor_link *l = ctx;
    if (!on) {
        return let_go(l);
    }
    switch (l->state) {
    case IDLE:
        if (tell(l, PST_SUPERVISOR_OPEN)) {
            l->state = OPENING;
        }
        return PST_PENDING;
    case OPENING:
        return PST_PENDING;
    case OPENED:
        return PST_OK;
    case GONE:
        return PST_ERR_IO;
    default:
        l->state = IDLE;
        return PST_ERR_IO;
    }
}

static void opened(struct pst_supervisor_link *l, int stream, int cleanup)
{
    void *shared = MAP_FAILED;
    if (l->state == OPENING && l->closes == 0) {
        shared = mmap(NULL, sizeof *l->cleanup, PROT_READ | PROT_WRITE, MAP_SHARED, cleanup, 0);
        l->state = shared != MAP_FAILED ? OPENED : FAILED;
    }
    close(cleanup);
    if (shared == MAP_FAILED) {
        close(stream); /* of a stub that was closed meanwhile */
        return;
    }
    (void)fcntl(stream, F_SETFD, FD_CLOEXEC);
    l->fd = stream;
    l->cleanup = shared;
    if (l->watch != NULL) {
        l->watch(l->ctx, l->fd, true);
    }
}

static void take(struct pst_supervisor_link *l, const char *message, size_t len, const int fds[2])
{
    switch (message[0]) {
    case PST_SUPERVISOR_OPENED:
        if (fds[0] >= 0) {
            opened(l, fds[0], fds[1]);
        }
        break;
    case PST_SUPERVISOR_FAILED:
        l->state = l->state == OPENING && l->closes == 0 ? FAILED : l->state;
        memcpy(l->why, message + 1, len - 1);
        l->why[len - 1] = '\0';
        break;
    case PST_SUPERVISOR_CLOSED:
        l->closes = l->closes > 0 ? (uint8_t)(l->closes - 1) : 0;
        break;
    default:
        break;
    }
}

bool pst_supervisor_heard(struct pst_supervisor_link *l)
{
    char message[sizeof l->why] = "";
    int fds[2] = {-1, -1};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof fds)];
    } rights;
    struct iovec part = {.iov_base = message, .iov_len = sizeof message};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    ssize_t n = recvmsg(l->control, &m, MSG_DONTWAIT);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    }
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fds)) {
        memcpy(fds, CMSG_DATA(c), sizeof fds);
    }
    take(l, message, (size_t)n, fds);
    return true;
}

void pst_supervisor_gone(struct pst_supervisor_link *l)
{
    bool open = l->state == OPENED;
    l->state = GONE;
    drop_stream(l);
    if (open) {
        pst_stub_closed(l->stub);
    }
}
