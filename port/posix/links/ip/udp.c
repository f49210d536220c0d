/* udp: the reliable link over UDP, IPv4 and IPv6.
 *
 * One socket of a listener serves all its peers; a client has a connected one of its own, so that
 * the kernel tells when nobody listens. Nothing is kept about an address until it has sent back its
 * cookie. Datagrams are never fragmented on the way: the engine looks for the path's size, and what
 * the socket refuses as too long is lost to it.
 */
#define _GNU_SOURCE /* struct mmsghdr */

#include "posix/links/ip/udp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the client --- */

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct udp_peer *p = request->data;
    char text[PST_RCARRIER_TEXT];

    p->resolving = false;
    p->found = p->at = found;
    if (p->released) {
        pst_udp_free(p);
        return;
    }
    if (status != 0 || found == NULL) {
        snprintf(text, sizeof text, "cannot find '%.120s': %s", p->to.host,
                 uv_strerror(status != 0 ? status : UV_EAI_NONAME));
        pst_rcarrier_fail(&p->rc, PST_ERR_IO, text);
    } else if (!pst_udp_next(p)) {
        snprintf(text, sizeof text, "cannot reach '%.120s': %s", p->to.host, strerror(p->trouble));
        pst_rcarrier_fail(&p->rc, PST_ERR_IO, text);
    }
    pst_rcarrier_calls(&p->rc);
    pst_rcarrier_turn(&p->rc);
}

static pst_err mtu_of(const struct pst_address *a, uint64_t *mtu, char *why, size_t why_cap)
{
    *mtu = PST_UDP_LONGEST;
    return pst_address_number(a, "mtu", PST_RELIABLE_LEAST_MTU, PST_UDP_LONGEST, mtu, why, why_cap);
}

static pst_err cannot(const struct pst_address *a, const char *what, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "link '%s': %s", a->text, what);
    return PST_ERR_IO;
}

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    uint64_t mtu;

    PST_TRY(mtu_of(to, &mtu, why, why_cap));
    struct udp_peer *p = pst_udp_peer(loop, mtu);
    if (p == NULL) {
        return cannot(to, "no memory for a connection", why, why_cap);
    }
    p->client = true;
    p->to = *to;
    p->resolve.data = p;
    snprintf(p->rc.base.peer, sizeof p->rc.base.peer, "%s", to->text);
    pst_carrier_own(&p->rc.base, events, ctx);
    const int rc = uv_getaddrinfo(loop, &p->resolve, on_resolved, to->host, to->port, &hints);
    if (rc != 0) {
        pst_rcarrier_free(&p->rc);
        return cannot(to, uv_strerror(rc), why, why_cap);
    }
    p->resolving = true;
    *carrier = &p->rc.base;
    return PST_OK;
}

/* --- the listener --- */

static void close_listener(struct pst_listener *base)
{
    struct udp_listener *l = (struct udp_listener *)base;

    l->socket->listener = NULL;
    pst_udp_socket_leave(l->socket);
    free(l);
}

static pst_err listen_on(uv_loop_t *loop, struct udp_listener *l, const struct addrinfo *at,
                         char *why, size_t why_cap)
{
    struct udp_address own = {.len = sizeof own.u};
    char text[200];
    int error = 0;

    l->socket = pst_udp_open(loop, at, true, &error);
    if (l->socket == NULL) {
        snprintf(text, sizeof text, "cannot listen: %s", strerror(error));
        return cannot(&l->address, text, why, why_cap);
    }
    l->socket->listener = l;
    (void)getsockname(l->socket->fd, &own.u.any, &own.len);
    pst_udp_name(&own.u.any, own.len, text, sizeof text);
    snprintf(l->base.place, sizeof l->base.place, "udp:%s", text);
    if (uv_random(NULL, NULL, l->socket->door.key, sizeof l->socket->door.key, 0, NULL) != 0) {
        pst_udp_socket_leave(l->socket);
        return cannot(&l->address, "no random numbers", why, why_cap);
    }
    return PST_OK;
}

static pst_err listen_at(uv_loop_t *loop, const struct pst_address *at,
                         const struct pst_listener_events *events, void *ctx,
                         struct pst_listener **listener, char *why, size_t why_cap)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    uint64_t mtu;

    PST_TRY(mtu_of(at, &mtu, why, why_cap));
    const int rc = getaddrinfo(at->host, at->port, &hints, &found);
    if (rc != 0) {
        return cannot(at, gai_strerror(rc), why, why_cap);
    }
    struct udp_listener *l = calloc(1, sizeof *l);
    if (l == NULL) {
        freeaddrinfo(found);
        return cannot(at, "no memory to listen", why, why_cap);
    }
    l->base = (struct pst_listener){.close = close_listener, .events = events, .ctx = ctx};
    l->address = *at;
    l->mtu = mtu;
    const pst_err err = listen_on(loop, l, found, why, why_cap);
    freeaddrinfo(found);
    if (err != PST_OK) {
        free(l);
        return err;
    }
    *listener = &l->base;
    return PST_OK;
}

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    static const char *const keys[] = {"mtu", NULL};
    uint64_t mtu;

    PST_TRY(pst_address_options(a, keys, why, why_cap));
    PST_TRY(mtu_of(a, &mtu, why, why_cap));
    return pst_address_host(a, PST_LINK_PORT, why, why_cap);
}

const struct pst_scheme pst_scheme_udp = {
    .name = "udp",
    .form = "udp:HOST:PORT[,mtu=N]",
    .summary = "UDP with retransmission; defaults: 127.0.0.1, port 7606",
    .traits = &pst_udp_traits,
    .check = check,
    .connect = connect_to,
    .listen = listen_at,
};
