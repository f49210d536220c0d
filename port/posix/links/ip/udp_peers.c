/* udp: the sockets and the peers that share them: sending, receiving, strangers. */
#define _GNU_SOURCE /* sendmmsg, recvmmsg */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/links/ip/udp.h"

#define BUFFER 262144 /* of a connection, each way */
#define ROOM 65536
#define OUT_BYTES (4 * ROOM)
#define TURNS 4               /* batches before the rest of the loop runs */
#define SOCKET_BUFFER 4194304 /* the kernel grants what it allows */
#define PEERS_MAX 64
#define NEXT_ADDRESS_MS 1500 /* of a name that has several */

/* --- sockets --- */

static void on_socket_closed(uv_handle_t *handle)
{
    struct udp_socket *s = handle->data;

    free(s->out);
    free(s->in);
    free(s);
}

void pst_udp_socket_leave(struct udp_socket *s)
{
    if (--s->users == 0) {
        uv_close((uv_handle_t *)&s->poll, on_socket_closed);
        close(s->fd);
    }
}

static void set_options(int fd, int family)
{
    const int size = SOCKET_BUFFER, probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE;

    /* Each is optional. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof probe4);
    if (family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof probe6);
    }
}

static void set_buffers(struct udp_socket *s)
{
    for (size_t i = 0; i < PST_UDP_BATCH_IN; i++) {
        s->in_at[i] = (struct iovec){.iov_base = s->in + i * ROOM, .iov_len = ROOM};
        s->in_msg[i].msg_hdr =
            (struct msghdr){.msg_name = &s->in_from[i].u, .msg_iov = &s->in_at[i], .msg_iovlen = 1};
    }
    for (size_t i = 0; i < PST_UDP_BATCH_OUT; i++) {
        s->out_msg[i].msg_hdr = (struct msghdr){.msg_iov = &s->out_at[i], .msg_iovlen = 1};
    }
}

static void on_poll(uv_poll_t *poll, int status, int events);

static int start_polling(uv_loop_t *loop, struct udp_socket *s)
{
    const int rc = uv_poll_init(loop, &s->poll, s->fd);

    s->poll.data = s;
    return rc == 0 ? uv_poll_start(&s->poll, UV_READABLE, on_poll) : rc;
}

struct udp_socket *pst_udp_open(uv_loop_t *loop, const struct addrinfo *to, bool listens,
                                int *error)
{
    struct udp_socket *s = calloc(1, sizeof *s);
    const int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *error = fd < 0 ? errno : ENOMEM;
    if (s != NULL && fd >= 0) {
        s->fd = fd;
        s->users = 1;
        s->out = malloc(OUT_BYTES);
        s->in = malloc((size_t)PST_UDP_BATCH_IN * ROOM);
        set_options(fd, to->ai_family);
        const int rc = listens ? bind(fd, to->ai_addr, to->ai_addrlen)
                               : connect(fd, to->ai_addr, to->ai_addrlen);
        *error = rc != 0 ? errno : ENOMEM;
        if (rc == 0 && s->out != NULL && s->in != NULL && start_polling(loop, s) == 0) {
            set_buffers(s);
            return s;
        }
        free(s->out);
        free(s->in);
    }
    free(s);
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

/* --- clients --- */

/* It no longer uses its socket. */
static void leave(struct udp_peer *p)
{
    struct udp_socket *s = p->socket;

    if (s == NULL) {
        return;
    }
    for (struct udp_peer **at = &s->peers; *at != NULL; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            s->peer_count--;
            break;
        }
    }
    p->socket = NULL;
    pst_udp_socket_leave(s);
}

bool pst_udp_next(struct udp_peer *p)
{
    int error = 0;

    for (; p->at != NULL; p->trouble = error) {
        const struct addrinfo *to = p->at;
        p->at = to->ai_next;
        struct udp_socket *s = pst_udp_open(p->loop, to, false, &error);
        if (s == NULL) {
            continue;
        }
        p->since_ms = pst_rcarrier_now();
        if (pst_rcarrier_numbers(&p->cfg) != PST_OK ||
            pst_reliable_connect(&p->link, &p->cfg, p->since_ms) != PST_OK) {
            pst_udp_socket_leave(s);
            return false;
        }
        leave(p);
        pst_udp_name(to->ai_addr, to->ai_addrlen, p->to.place, sizeof p->to.place);
        s->peers = p;
        s->peer_count = 1;
        p->next = NULL;
        p->socket = s;
        return true;
    }
    return false;
}

/* The kernel's errors for the datagrams of a client. */
static void refused(struct udp_peer *p, int error)
{
    char text[PST_RCARRIER_TEXT];

    p->trouble = error;
    if (error != ECONNREFUSED && error != ENETUNREACH && error != EHOSTUNREACH) {
        return;
    }
    if (p->link.state == PST_OK) {
        if (error == ECONNREFUSED) {
            pst_rcarrier_fail(&p->rc, PST_ERR_CLOSED, "the peer is gone: its port was closed");
        }
        return;
    }
    if (p->link.state != PST_PENDING) {
        return;
    }
    if (p->at != NULL) {
        p->since_ms = 0; /* the next address, at the next turn */
        pst_rcarrier_kick(&p->rc);
    } else if (error == ECONNREFUSED) {
        snprintf(text, sizeof text, "nothing listens at UDP %.200s", p->to.place);
        pst_rcarrier_fail(&p->rc, PST_ERR_IO, text);
    } else {
        snprintf(text, sizeof text, "cannot reach UDP %.200s: %s", p->to.place, strerror(error));
        pst_rcarrier_fail(&p->rc, PST_ERR_IO, text);
    }
}

/* --- sending --- */

static void watch(struct udp_socket *s, bool blocked)
{
    if (s->blocked != blocked) {
        s->blocked = blocked;
        (void)uv_poll_start(&s->poll, UV_READABLE | (blocked ? UV_WRITABLE : 0), on_poll);
    }
}

/* Sends what is queued; what the socket does not take for another reason than being full is lost,
 * as on the way. */
static void send_queue(struct udp_socket *s)
{
    while (s->out_sent < s->out_count) {
        const int n = sendmmsg(s->fd, s->out_msg + s->out_sent,
                               (unsigned)(s->out_count - s->out_sent), MSG_DONTWAIT);
        if (n > 0) {
            s->out_sent += (size_t)n;
        } else if (errno == EAGAIN) {
            watch(s, true);
            return;
        } else if (errno != EINTR) {
            if (s->peers != NULL && s->peers->client && errno != EMSGSIZE) {
                refused(s->peers, errno);
            }
            s->out_sent++;
        }
    }
    s->out_sent = s->out_count = s->out_used = 0;
    watch(s, false);
}

static void queue(struct udp_socket *s, struct udp_peer *p, size_t len)
{
    struct msghdr *m = &s->out_msg[s->out_count].msg_hdr;

    s->out_at[s->out_count] = (struct iovec){.iov_base = s->out + s->out_used, .iov_len = len};
    s->out_to[s->out_count] = p->address;
    m->msg_name = p->client ? NULL : &s->out_to[s->out_count].u;
    m->msg_namelen = p->client ? 0 : p->address.len;
    s->out_count++;
    s->out_used += len;
    if (s->out_count == PST_UDP_BATCH_OUT || OUT_BYTES - s->out_used < ROOM) {
        send_queue(s);
    }
}

static void flush(struct pst_rcarrier *rc)
{
    struct udp_peer *p = (struct udp_peer *)rc;
    const uint64_t now = pst_rcarrier_now();

    if (p->at != NULL && p->link.state == PST_PENDING && now - p->since_ms > NEXT_ADDRESS_MS) {
        (void)pst_udp_next(p);
    }
    struct udp_socket *s = p->socket;
    for (size_t n; s != NULL && !s->blocked;) {
        n = pst_reliable_output(&p->link, s->out + s->out_used, OUT_BYTES - s->out_used, now);
        if (n == 0) {
            send_queue(s);
            return;
        }
        queue(s, p, n);
    }
}

static uint64_t wake(const struct pst_rcarrier *rc)
{
    const struct udp_peer *p = (const struct udp_peer *)rc;
    const uint64_t at = pst_reliable_wake(&p->link);
    const uint64_t next = p->since_ms + NEXT_ADDRESS_MS + 1;

    if (p->socket == NULL) {
        return UINT64_MAX;
    }
    if (p->socket->blocked) {
        const uint64_t later = pst_rcarrier_now() + 100;
        return at > later ? at : later;
    }
    return p->at != NULL && p->link.state == PST_PENDING && next < at ? next : at;
}

/* --- the end of a peer --- */

void pst_udp_free(struct udp_peer *p)
{
    if (!p->resolving) {
        if (p->found != NULL) {
            uv_freeaddrinfo(p->found);
        }
        pst_rcarrier_free(&p->rc);
    }
}

static void release(struct pst_rcarrier *rc)
{
    struct udp_peer *p = (struct udp_peer *)rc;

    if (p->link.known && p->socket != NULL) {
        p->link.last_words = true; /* CLOSE is not acknowledged, so it is sent twice */
        flush(rc);
    }
    leave(p);
    p->released = true;
    if (p->resolving) {
        (void)uv_cancel((uv_req_t *)&p->resolve);
    }
    pst_udp_free(p);
}

void pst_udp_name(const struct sockaddr *sa, socklen_t len, char *out, size_t cap)
{
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

    (void)getnameinfo(sa, len, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(out, cap, sa->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void silence(const struct pst_rcarrier *rc, char *text, size_t cap)
{
    const struct udp_peer *p = (const struct udp_peer *)rc;
    char name[300] = "there";

    if (p->client && p->to.host[0] != '\0') {
        snprintf(name, sizeof name, "%s, UDP port %s", p->to.host, p->to.port);
    }
    snprintf(text, cap, "no answer from %s within %d s%s%s", name, PST_RCARRIER_CALL_MS / 1000,
             p->trouble != 0 ? ": " : "", p->trouble != 0 ? strerror(p->trouble) : "");
}

/* --- receiving --- */

static bool same(const struct udp_address *a, const struct udp_address *b)
{
    if (a->u.any.sa_family != b->u.any.sa_family) {
        return false;
    }
    if (a->u.any.sa_family == AF_INET) {
        return a->u.v4.sin_port == b->u.v4.sin_port &&
               a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
    }
    return a->u.v6.sin6_port == b->u.v6.sin6_port &&
           a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id &&
           memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr, sizeof a->u.v6.sin6_addr) == 0;
}

static struct pst_bytes fixed_form(const struct udp_address *a, uint8_t out[24])
{
    if (a->u.any.sa_family == AF_INET) {
        memcpy(out, &a->u.v4.sin_addr, 4);
        memcpy(out + 4, &a->u.v4.sin_port, 2);
        return (struct pst_bytes){out, 6};
    }
    memcpy(out, &a->u.v6.sin6_addr, 16);
    memcpy(out + 16, &a->u.v6.sin6_port, 2);
    memcpy(out + 18, &a->u.v6.sin6_scope_id, 4);
    return (struct pst_bytes){out, 22};
}

static void answer(struct udp_socket *s, struct udp_address *to, const uint8_t *bytes, size_t len)
{
    (void)!sendto(s->fd, bytes, len, MSG_DONTWAIT, &to->u.any, to->len);
}

/* Accepted only to send one datagram, which reports that there is no room. */
static void turn_away(struct udp_socket *s, struct udp_address *from, const uint8_t *hello,
                      size_t len, uint64_t now)
{
    uint8_t message[PST_LINK_MIN_MESSAGE], send[256], receive[256], out[256];
    struct pst_reliable_sent sent[8];
    struct pst_reliable r;
    struct pst_reliable_config cfg = {.target = true,
                                      .mtu_first = sizeof out,
                                      .mtu_most = sizeof out,
                                      .timing = pst_reliable_ip,
                                      .message = message,
                                      .message_cap = sizeof message,
                                      .send = send,
                                      .send_cap = sizeof send,
                                      .receive = receive,
                                      .receive_cap = sizeof receive,
                                      .sent = sent,
                                      .sent_count = 8};

    if (pst_reliable_accept(&r, &cfg, hello, len, now) == PST_OK) {
        pst_reliable_abort(&r, PST_ERR_BUSY);
        answer(s, from, out, pst_reliable_output(&r, out, sizeof out, now));
    }
}

static void opened(struct pst_rcarrier *rc)
{
    struct udp_peer *p = (struct udp_peer *)rc;
    struct udp_listener *l = p->client ? NULL : p->socket->listener;

    p->at = NULL;
    if (p->client) {
        rc->base.events->open(rc->base.ctx);
        return;
    }
    if (l != NULL) {
        l->base.events->peer(l->base.ctx, &rc->base);
    }
    if (rc->base.events == NULL) {
        pst_carrier_close(&rc->base);
    }
}

static const struct pst_rcarrier_hop hop = {
    .flush = flush, .wake = wake, .opened = opened, .silence = silence, .release = release};

struct udp_peer *pst_udp_peer(uv_loop_t *loop, uint64_t mtu)
{
    struct udp_peer *p = calloc(1, sizeof *p);

    if (p == NULL) {
        return NULL;
    }
    p->loop = loop;
    p->cfg.timing = pst_reliable_ip;
    p->cfg.mtu_most = (uint16_t)mtu;
    p->cfg.mtu_first = mtu < PST_RELIABLE_MTU ? (uint16_t)mtu : PST_RELIABLE_MTU;
    p->link.state = PST_PENDING;
    if (pst_rcarrier_buffers(&p->rc, &p->cfg, BUFFER, BUFFER) != PST_OK ||
        pst_rcarrier_init(&p->rc, loop, &hop, &p->link, &pst_udp_traits) != PST_OK) {
        free(p->rc.memory);
        free(p);
        return NULL;
    }
    return p;
}

static void welcome(struct udp_socket *s, const struct udp_address *from, const uint8_t *hello,
                    size_t len, uint64_t now)
{
    char name[80];
    struct udp_peer *p = pst_udp_peer(s->poll.loop, s->listener->mtu);

    if (p == NULL) {
        return;
    }
    p->cfg.target = true; /* whoever listens; nothing depends on it */
    p->address = *from;
    if (pst_reliable_accept(&p->link, &p->cfg, hello, len, now) != PST_OK) {
        pst_rcarrier_free(&p->rc);
        return;
    }
    pst_udp_name(&from->u.any, from->len, name, sizeof name);
    snprintf(p->rc.base.peer, sizeof p->rc.base.peer, "udp:%s", name);
    p->socket = s;
    p->next = s->peers;
    p->touched = true;
    s->peers = p;
    s->peer_count++;
    s->users++;
}

/* Its caller was restarted. Input received from it is still delivered. */
static void replaced(struct udp_peer *p)
{
    if (p->link.state == PST_OK) { /* otherwise it has ended before, for another reason */
        p->link.forgotten = true;
        pst_reliable_abort(&p->link, PST_ERR_CLOSED);
        p->link.last_words = false; /* its owner is gone */
    }
    p->touched = true;
}

static void stranger(struct udp_socket *s, struct udp_address *from, const uint8_t *bytes,
                     size_t len, uint64_t now)
{
    uint8_t reply[PST_RELIABLE_REPLY], form[24];
    size_t reply_len = 0;
    const pst_err err =
        pst_reliable_greet(&s->door, fixed_form(from, form), bytes, len, now, reply, &reply_len);

    if (err == PST_WANT_MORE) {
        answer(s, from, reply, reply_len);
    }
    if (err != PST_OK || s->listener == NULL) {
        return;
    }
    for (struct udp_peer *p = s->peers; p != NULL; p = p->next) {
        if (same(&p->address, from)) {
            replaced(p);
        }
    }
    if (s->peer_count >= PEERS_MAX) {
        turn_away(s, from, bytes, len, now);
    } else {
        welcome(s, from, bytes, len, now);
    }
}

static void on_datagram(struct udp_socket *s, struct udp_address *from, const uint8_t *bytes,
                        size_t len, uint64_t now)
{
    struct udp_peer *p = s->peers;

    for (; p != NULL && !p->client; p = p->next) {
        if (pst_reliable_mine(&p->link, bytes, len) && same(&p->address, from)) {
            break;
        }
    }
    if (p != NULL) {
        p->touched = true;
        (void)pst_reliable_input(&p->link, bytes, len, now);
    } else {
        stranger(s, from, bytes, len, now);
    }
}

/* True: more may be waiting. */
static bool receive_batch(struct udp_socket *s)
{
    const uint64_t now = pst_rcarrier_now();

    for (size_t i = 0; i < PST_UDP_BATCH_IN; i++) {
        s->in_msg[i].msg_hdr.msg_namelen = sizeof s->in_from[i].u;
    }
    const int n = recvmmsg(s->fd, s->in_msg, PST_UDP_BATCH_IN, MSG_DONTWAIT, NULL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR && s->peers != NULL && s->peers->client) {
            refused(s->peers, errno);
        }
        return false;
    }
    for (int i = 0; i < n; i++) {
        s->in_from[i].len = s->in_msg[i].msg_hdr.msg_namelen;
        on_datagram(s, &s->in_from[i], s->in_at[i].iov_base, s->in_msg[i].msg_len, now);
    }
    return n == PST_UDP_BATCH_IN;
}

static void turns(struct udp_socket *s, bool all)
{
    for (struct udp_peer *p = s->peers, *next; p != NULL; p = next) {
        next = p->next;
        if (p->touched || all) {
            p->touched = false;
            pst_rcarrier_turn(&p->rc);
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct udp_socket *s = poll->data;
    bool more = true;

    s->users++;       /* the last peer may end in here */
    if (status < 0) { /* an error of the socket: the next receive returns it */
        (void)uv_poll_start(&s->poll, UV_READABLE | (s->blocked ? UV_WRITABLE : 0), on_poll);
    }
    if ((events & UV_WRITABLE) != 0 && s->blocked) {
        send_queue(s);
        turns(s, !s->blocked);
    }
    for (int i = 0; i < TURNS && more && s->users > 1; i++) {
        more = receive_batch(s);
        turns(s, false);
    }
    pst_udp_socket_leave(s);
}
