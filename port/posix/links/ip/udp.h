/* udp, inside: sockets with their peers (udp_peers.c), used by connecting and listening (udp.c).
 * Define _GNU_SOURCE before including this header.
 */
#ifndef POSTERN_POSIX_LINKS_IP_UDP_H
#define POSTERN_POSIX_LINKS_IP_UDP_H

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "posix/loop/carrier_reliable.h"

#define PST_UDP_LONGEST 65000 /* datagram */
#define PST_UDP_BATCH_IN 8
#define PST_UDP_BATCH_OUT 64

struct udp_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } u;
    socklen_t len;
};

struct udp_peer;

struct udp_socket {
    uv_poll_t poll;
    int fd;
    unsigned users;
    bool blocked;
    struct udp_listener *listener; /* NULL: a client's, or no longer listening */
    struct pst_reliable_door door;
    struct udp_peer *peers;
    unsigned peer_count;
    uint8_t *out, *in;
    size_t out_used, out_count, out_sent;
    struct mmsghdr out_msg[PST_UDP_BATCH_OUT], in_msg[PST_UDP_BATCH_IN];
    struct iovec out_at[PST_UDP_BATCH_OUT], in_at[PST_UDP_BATCH_IN];
    struct udp_address in_from[PST_UDP_BATCH_IN], out_to[PST_UDP_BATCH_OUT];
};

struct udp_peer {
    struct pst_rcarrier rc;
    struct pst_reliable link;
    struct pst_reliable_config cfg;
    struct udp_socket *socket;
    struct udp_address address; /* of a listener's peer; a client's socket is connected */
    struct udp_peer *next;
    bool touched;
    /* of a client */
    struct pst_address to;
    uv_loop_t *loop;
    uv_getaddrinfo_t resolve;
    struct addrinfo *found, *at;
    uint64_t since_ms;
    int trouble; /* errno of the last datagram that could not be sent */
    bool client, resolving, released;
};

struct udp_listener {
    struct pst_listener base;
    struct pst_address address;
    struct udp_socket *socket;
    uint64_t mtu;
};

/* A socket bound or connected to `to`, with one user. NULL: `*error` is an errno. */
struct udp_socket *pst_udp_open(uv_loop_t *loop, const struct addrinfo *to, bool listens,
                                int *error);
void pst_udp_socket_leave(struct udp_socket *s);
/* A peer without a socket; its link is pending. NULL: no memory. */
struct udp_peer *pst_udp_peer(uv_loop_t *loop, uint64_t mtu);
/* The end of a released peer, once its name is no longer looked up. */
void pst_udp_free(struct udp_peer *p);
void pst_udp_name(const struct sockaddr *sa, socklen_t len, char *out, size_t cap);

/* A client tries the next address of the name. False: there is no other. */
bool pst_udp_next(struct udp_peer *p);

#endif
