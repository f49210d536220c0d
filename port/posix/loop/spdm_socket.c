#include "posix/loop/spdm_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "postern/parts/spdm.h"

#define HEADER 12
#define PATIENCE_MS 30000

static int open_tcp(const struct pst_address *a, bool listening)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = listening ? AI_PASSIVE : 0};
    struct addrinfo *found = NULL;
    int one = 1, fd = -1;
    const int rc = getaddrinfo(a->host, a->port, &hints, &found);
    if (rc != 0) {
        errno = rc == EAI_SYSTEM ? errno : ENXIO;
        return -1;
    }
    for (struct addrinfo *i = found; i != NULL && fd < 0; i = i->ai_next) {
        fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            continue;
        }
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        const bool open = (listening ? bind(fd, i->ai_addr, i->ai_addrlen)
                                     : connect(fd, i->ai_addr, i->ai_addrlen)) == 0;
        if (!open || (listening && listen(fd, 4) < 0)) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

static int open_unix(const struct pst_address *a, bool listening)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(a->host) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(at.sun_path, a->host, strlen(a->host));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *sa = (const struct sockaddr *)(const void *)&at;
    int rc = fd < 0 ? -1 : listening ? bind(fd, sa, sizeof at) : connect(fd, sa, sizeof at);
    if (fd >= 0 && (rc < 0 || (listening && listen(fd, 4) < 0))) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

int pst_spdm_socket_open(const struct pst_address *a, bool listening)
{
    return a->local ? open_unix(a, listening) : open_tcp(a, listening);
}

static pst_err wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int ready;
    do {
        ready = poll(&p, 1, PATIENCE_MS);
    } while (ready < 0 && errno == EINTR);
    return ready > 0 ? PST_OK : ready == 0 ? PST_ERR_TIMEOUT : PST_ERR_IO;
}

static pst_err send_all(int fd, const uint8_t *at, size_t len, int flags)
{
    while (len > 0) {
        PST_TRY(wait_for(fd, POLLOUT));
        ssize_t n = send(fd, at, len, flags | MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return PST_ERR_IO;
        }
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return PST_OK;
}

static pst_err receive_all(int fd, uint8_t *at, size_t len)
{
    while (len > 0) {
        PST_TRY(wait_for(fd, POLLIN));
        ssize_t n = recv(fd, at, len, 0);
        if (n == 0) {
            return PST_ERR_CLOSED;
        }
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return PST_ERR_IO;
        }
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
    return PST_OK;
}

pst_err pst_spdm_socket_send(struct pst_spdm_socket *s, uint32_t command, const uint8_t *payload,
                             size_t len)
{
    uint8_t header[HEADER];
    struct pst_writer w = pst_writer_of(header, sizeof header);
    pst_put_be32(&w, command);
    pst_put_be32(&w, s->binding->socket_code);
    pst_put_be32(&w, (uint32_t)len);
    PST_TRY(send_all(s->fd, header, sizeof header, len > 0 ? MSG_MORE : 0));
    return send_all(s->fd, payload, len, 0);
}

pst_err pst_spdm_socket_receive(struct pst_spdm_socket *s, uint32_t *command, uint8_t **payload,
                                size_t *len)
{
    uint8_t header[HEADER];
    PST_TRY(receive_all(s->fd, header, sizeof header));
    struct pst_reader r = pst_reader_of(header, sizeof header);
    *command = pst_get_be32(&r);
    uint32_t transport = pst_get_be32(&r);
    *len = pst_get_be32(&r);
    if (*len > sizeof s->buffer) {
        return PST_ERR_DECODE;
    }
    *payload = s->buffer;
    PST_TRY(receive_all(s->fd, s->buffer, *len));
    bool message = *command == PST_SPDM_SOCKET_NORMAL;
    return message && transport != s->binding->socket_code ? PST_ERR_PROFILE : PST_OK;
}

pst_err pst_spdm_wire_init(struct pst_spdm_wire *w, struct pst_spdm_socket *socket,
                           const struct pst_crypto *crypto, pst_direction sends)
{
    const struct pst_record_config config = {
        .crypto = crypto,
        .sends = sends,
        .sequence_len = socket->binding->sequence_len,
    };
    memset(w, 0, sizeof *w);
    w->socket = socket;
    w->set = (struct pst_record_set){.records = w->records, .count = PST_SPDM_SOCKET_SESSIONS};
    for (size_t i = 0; i < PST_SPDM_SOCKET_SESSIONS; i++) {
        PST_TRY(pst_record_init(&w->records[i], &config));
    }
    return PST_OK;
}

struct pst_key_port pst_spdm_wire_keys(struct pst_spdm_wire *w)
{
    return pst_record_key_port(&w->set);
}

static struct pst_record *record_of(const struct pst_spdm_wire *w, uint32_t context)
{
    return context == PST_SPDM_CLEAR ? NULL : pst_record_find(&w->set, context);
}

static size_t head_of(const struct pst_spdm_wire *w, const struct pst_record *r)
{
    const struct pst_binding *b = w->socket->binding;
    return b->head + (r != NULL ? pst_record_head(r) + b->inner : 0);
}

uint8_t *pst_spdm_wire_room(struct pst_spdm_wire *w, uint32_t context, size_t *cap)
{
    size_t head = head_of(w, record_of(w, context));
    *cap = sizeof w->out - head - PST_TAG_LEN - 4;
    return w->out + head;
}

pst_err pst_spdm_wire_send(struct pst_spdm_wire *w, uint32_t context, size_t len)
{
    const struct pst_binding *b = w->socket->binding;
    struct pst_record *r = record_of(w, context);
    size_t total;

    if (context != PST_SPDM_CLEAR) {
        if (r == NULL) {
            return PST_ERR_CLOSED;
        }
        pst_binding_put_inner(b, w->out + b->head + pst_record_head(r));
        PST_TRY(
            pst_record_seal(r, w->out + b->head, sizeof w->out - b->head, len + b->inner, 0, &len));
    }
    PST_TRY(pst_binding_wrap(b, r != NULL ? PST_BOUND_RECORD : PST_BOUND_SPDM, w->out,
                             sizeof w->out, len, &total));
    return pst_spdm_socket_send(w->socket, PST_SPDM_SOCKET_NORMAL, w->out, total);
}

static pst_err answer_discovery(struct pst_spdm_wire *w, const struct pst_bytes *body)
{
    uint8_t answer[12];
    PST_TRY(pst_binding_discover(w->socket->binding, body->at[0], answer));
    PST_TRY(pst_spdm_socket_send(w->socket, PST_SPDM_SOCKET_NORMAL, answer, sizeof answer));
    return PST_WANT_MORE;
}

pst_err pst_spdm_wire_take(struct pst_spdm_wire *w, uint8_t *payload, size_t len, uint32_t *context,
                           struct pst_bytes *message)
{
    const struct pst_binding *b = w->socket->binding;
    pst_key_phase phase;
    pst_bound kind;

    *context = PST_SPDM_CLEAR;
    PST_TRY(pst_binding_unwrap(b, payload, len, &kind, message));
    if (kind == PST_BOUND_DISCOVERY) {
        return answer_discovery(w, message);
    }
    if (kind == PST_BOUND_SPDM) {
        return PST_OK;
    }
    PST_TRY(pst_record_session(message->at, message->len, context));
    struct pst_record *r = record_of(w, *context);
    if (r == NULL) {
        return PST_ERR_UNEXPECTED;
    }
    PST_TRY(pst_record_open(r, payload + b->head, message->len, message, &phase));
    return pst_binding_get_inner(b, message);
}

void pst_spdm_wire_wipe(struct pst_spdm_wire *w)
{
    for (size_t i = 0; i < PST_SPDM_SOCKET_SESSIONS; i++) {
        pst_record_wipe(&w->records[i]);
    }
}
