#include "posix/loop/socket.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* --- listening --- */

static pst_err cannot(const struct pst_address *a, const char *what, const char *reason, char *why,
                      size_t why_cap)
{
    snprintf(why, why_cap, "link '%s': cannot %s: %s", a->text, what, reason);
    return PST_ERR_IO;
}

static bool answers(const struct sockaddr_un *sa)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* EAGAIN: it listens, but its queue is full */
    bool yes =
        fd >= 0 && (connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0 || errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    return yes;
}

static int bind_local(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct stat st;

    memcpy(sa.sun_path, path, strnlen(path, sizeof sa.sun_path - 1));
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !answers(&sa)) {
        (void)unlink(path); /* left behind by a process that was killed */
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    mode_t before = umask(0177); /* created with mode 0600 */
    int rc = bind(fd, (const struct sockaddr *)&sa, sizeof sa);
    int saved = errno;
    (void)umask(before);
    if (rc != 0) {
        close(fd);
        return -saved;
    }
    return fd;
}

static pst_err listen_local(uv_loop_t *loop, struct pst_socket *s, const struct pst_address *a,
                            char *why, size_t why_cap)
{
    int fd = bind_local(a->host);
    if (fd < 0) {
        return cannot(a, "listen", strerror(-fd), why, why_cap);
    }
    int rc = uv_pipe_init(loop, &s->io.pipe, 0);
    s->open = rc == 0;
    rc = rc == 0 ? uv_pipe_open(&s->io.pipe, fd) : rc;
    if (rc != 0) {
        close(fd);
        return cannot(a, "listen", uv_strerror(rc), why, why_cap);
    }
    return PST_OK;
}

static pst_err listen_tcp(uv_loop_t *loop, struct pst_socket *s, const struct pst_address *a,
                          char *why, size_t why_cap)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    int rc = getaddrinfo(a->host, a->port, &hints, &found);
    if (rc != 0) {
        return cannot(a, "listen", gai_strerror(rc), why, why_cap);
    }
    rc = uv_tcp_init(loop, &s->io.tcp);
    s->open = rc == 0;
    rc = rc == 0 ? uv_tcp_bind(&s->io.tcp, found->ai_addr, 0) : rc;
    freeaddrinfo(found);
    return rc == 0 ? PST_OK : cannot(a, "listen", uv_strerror(rc), why, why_cap);
}

pst_err pst_socket_listen(uv_loop_t *loop, struct pst_socket *s, const struct pst_address *a,
                          uv_connection_cb on_peer, void *data, char *why, size_t why_cap)
{
    s->open = false;
    PST_TRY(a->local ? listen_local(loop, s, a, why, why_cap)
                     : listen_tcp(loop, s, a, why, why_cap));
    s->io.handle.data = data;
    int rc = uv_listen(&s->io.stream, 16, on_peer);
    return rc == 0 ? PST_OK : cannot(a, "listen", uv_strerror(rc), why, why_cap);
}

pst_err pst_socket_accept(uv_stream_t *listener, struct pst_socket *s, void *data)
{
    bool local = listener->type == UV_NAMED_PIPE;
    int rc = local ? uv_pipe_init(listener->loop, &s->io.pipe, 0)
                   : uv_tcp_init(listener->loop, &s->io.tcp);
    s->open = rc == 0;
    if (rc != 0) {
        return PST_ERR_IO;
    }
    s->io.handle.data = data;
    if (uv_accept(listener, &s->io.stream) != 0) {
        return PST_ERR_IO;
    }
    if (!local) {
        (void)uv_tcp_nodelay(&s->io.tcp, 1); /* without it the link is slower, but correct */
    }
    return PST_OK;
}

int pst_socket_port(const struct pst_socket *s)
{
    struct sockaddr_storage sa;
    char port[NI_MAXSERV];
    int len = sizeof sa;

    if (s->io.handle.type != UV_TCP ||
        uv_tcp_getsockname(&s->io.tcp, (struct sockaddr *)&sa, &len) != 0 ||
        getnameinfo((struct sockaddr *)&sa, (socklen_t)len, NULL, 0, port, sizeof port,
                    NI_NUMERICSERV) != 0) {
        return 0;
    }
    return atoi(port);
}

void pst_socket_close(struct pst_socket *s, uv_close_cb on_close)
{
    if (s->open) {
        s->open = false;
        uv_close(&s->io.handle, on_close);
    }
}

/* --- connecting --- */

static void try_next(struct pst_dial *d);

/* The last step; after an error the socket is closed for good. */
static void finish(struct pst_dial *d, pst_err err, int status)
{
    char why[160];
    snprintf(why, sizeof why, "cannot connect: %s", status != 0 ? uv_strerror(status) : "given up");
    if (d->found != NULL) {
        uv_freeaddrinfo(d->found);
        d->found = NULL;
    }
    d->busy = false;
    d->done(d->ctx, err, err == PST_OK ? NULL : why);
}

static void after_failure(struct pst_dial *d)
{
    if (d->cancelled) {
        finish(d, PST_ERR_CLOSED, 0);
    } else if (d->next != NULL) {
        try_next(d);
    } else {
        finish(d, PST_ERR_IO, d->last);
    }
}

static void on_closed(uv_handle_t *handle)
{
    after_failure(handle->data);
}

static void failed(struct pst_dial *d, int status)
{
    d->last = status;
    if (d->socket->open) {
        d->socket->io.handle.data = d;
        pst_socket_close(d->socket, on_closed);
    } else if (!d->closing) {
        after_failure(d);
    }
}

static void on_connect(uv_connect_t *req, int status)
{
    struct pst_dial *d = req->data;
    if (status != 0 || d->cancelled) {
        failed(d, status);
        return;
    }
    if (!d->address->local) {
        (void)uv_tcp_nodelay(&d->socket->io.tcp, 1);
    }
    finish(d, PST_OK, 0);
}

static void try_next(struct pst_dial *d)
{
    struct addrinfo *to = d->next;
    d->next = to->ai_next;
    int rc = uv_tcp_init(d->loop, &d->socket->io.tcp);
    d->socket->open = rc == 0;
    d->connect.data = d;
    rc = rc == 0 ? uv_tcp_connect(&d->connect, &d->socket->io.tcp, to->ai_addr, on_connect) : rc;
    if (rc != 0) {
        failed(d, rc);
    }
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct pst_dial *d = req->data;
    d->found = d->next = found;
    if (d->cancelled) {
        finish(d, PST_ERR_CLOSED, 0);
    } else if (status != 0 || found == NULL) {
        finish(d, PST_ERR_IO, status != 0 ? status : UV_EAI_NONAME);
    } else {
        try_next(d);
    }
}

pst_err pst_dial_start(uv_loop_t *loop, struct pst_dial *d)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int rc;

    d->loop = loop;
    d->found = d->next = NULL;
    d->last = 0;
    d->cancelled = d->closing = false;
    d->socket->open = false;
    d->resolve.data = d->connect.data = d;
    if (d->address->local) {
        rc = uv_pipe_init(loop, &d->socket->io.pipe, 0);
        if (rc == 0) {
            d->socket->open = true;
            uv_pipe_connect(&d->connect, &d->socket->io.pipe, d->address->host, on_connect);
        }
    } else {
        rc = uv_getaddrinfo(loop, &d->resolve, on_resolved, d->address->host, d->address->port,
                            &hints);
    }
    d->busy = rc == 0;
    return rc == 0 ? PST_OK : PST_ERR_IO;
}

void pst_dial_cancel(struct pst_dial *d)
{
    if (!d->busy || d->cancelled) {
        return;
    }
    d->cancelled = true;
    if (d->socket->open) {
        d->closing = true; /* on_connect follows, and must leave the cleanup to on_closed */
        d->socket->io.handle.data = d;
        pst_socket_close(d->socket, on_closed);
    } else {
        (void)uv_cancel((uv_req_t *)&d->resolve);
    }
}
