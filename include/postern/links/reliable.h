/* Reliable messages over datagrams that may be lost, duplicated, reordered, damaged or late.
 *
 * A provisional stand-in for MRUDP, whose text is not public (mipi_profile.h, docs/wire.md). Both
 * directions carry one stream of link messages (link.h: length, kind, payload), cut into datagrams
 * that fit the path. Every datagram that must arrive has its own number, which the receiver
 * acknowledges. Lost data is sent again under a new number, in smaller datagrams if the path has
 * shrunk.
 *
 * **Connecting.** The client repeats HELLO until it gets WELCOME. The server keeps no state about a
 * client until the client has sent back a cookie, which proves that it receives at its address.
 * Until then no answer is longer than the datagram that it answers. Both ends state profile, role,
 * largest message, largest datagram and free buffer. Each chooses a random id by which it is
 * addressed, so an attacker who cannot see the traffic cannot inject datagrams. An attacker who can
 * see it can end the connection: nothing here is authenticated, records are.
 *
 * **Flow.** A receiver states up to which offset it has room, and accepts no more: this is the
 * credit. A sender keeps unacknowledged data in its own buffer. When that is full,
 * pst_reliable_send returns PST_PENDING. A congestion window grows and shrinks as in TCP.
 *
 * **Size.** Datagrams begin at `mtu_first` bytes, which must pass on any path. Larger sizes are
 * probed with padding only, so a probe costs no data. After several timeouts in a row, or if large
 * datagrams are lost repeatedly while small ones arrive, the size falls back.
 *
 * **Ending.** A peer that is silent for `dead` milliseconds is gone. A connection without traffic
 * sends a keepalive every `keepalive` milliseconds. A restarted server answers datagrams of former
 * connections with RESET. A restarted client sends a new HELLO, which the caller notices through
 * pst_reliable_greet. Messages that arrived completely can still be received after the end; after
 * them pst_reliable_receive returns why the connection ended.
 *
 * Sans-I/O: the caller passes in datagrams and the time (monotonic milliseconds, any origin). After
 * that, and after every send, receive and close, it asks for output until there is none, and again
 * at pst_reliable_wake. All memory is the caller's and has a fixed size. */
#ifndef POSTERN_LINKS_RELIABLE_H
#define POSTERN_LINKS_RELIABLE_H

#include "postern/link.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct pst_link_traits pst_udp_traits;

#define PST_RELIABLE_MTU 1200     /* fits any IPv6 path, and almost any IPv4 path */
#define PST_RELIABLE_LEAST_MTU 64 /* the handshake fits into it */
#define PST_RELIABLE_MAX_SENT 64  /* most datagrams under way that an acknowledgement covers */
#define PST_RELIABLE_REPLY 64     /* bytes of the longest answer to a stranger */
#define PST_RELIABLE_ISLANDS 16   /* most gaps in the received stream that are tracked */

/* All in milliseconds. */
struct pst_reliable_timing {
    uint32_t first_rto; /* retransmission timeout until a round trip is measured */
    uint32_t least_rto, most_rto;
    uint32_t ack_delay; /* how long an acknowledgement waits for data to travel with */
    uint32_t keepalive;
    uint32_t dead; /* silence that ends the connection; also the limit for connecting */
};
extern const struct pst_reliable_timing pst_reliable_ip;

struct pst_reliable_sent { /* private: one datagram under way */
    uint64_t at_ms;
    uint32_t number, offset;
    uint16_t len, size; /* bytes of data; bytes of the datagram */
    uint8_t state, what;
};

struct pst_reliable_config {
    bool target;        /* this side is a TS */
    uint32_t id, start; /* random, new for each connection */
    uint16_t mtu_first; /* >= PST_RELIABLE_LEAST_MTU */
    uint16_t mtu_most;  /* largest datagram to send or accept, >= mtu_first */
    struct pst_reliable_timing timing;
    /* A faster pst_crc32c, or NULL. */
    uint32_t (*crc32c)(uint32_t crc, const void *at, size_t len);
    /* Memory of the caller; it outlives the connection. */
    uint8_t *message; /* one received message; its size is the largest in HELLO */
    size_t message_cap;
    uint8_t *send, *receive; /* the two buffers; 256 bytes to 1 GiB each */
    size_t send_cap, receive_cap;
    struct pst_reliable_sent *sent;
    size_t sent_count; /* 8 .. PST_RELIABLE_MAX_SENT */
};

struct pst_reliable_counters {
    uint64_t sent, received;   /* datagrams */
    uint64_t lost, spurious;   /* declared lost; of these, acknowledged later */
    uint64_t damaged, refused; /* bad CRC or form; beyond credit or memory, or foreign */
    uint64_t repeated;         /* bytes received more than once */
};

struct pst_reliable {
    pst_err state;         /* PST_PENDING: connecting; PST_OK: connected; else why it ended */
    bool forgotten;        /* PST_ERR_CLOSED because the peer restarted and does not know it */
    struct pst_hello peer; /* once PST_OK */
    uint16_t mtu;          /* largest datagram known to fit the path */
    uint32_t rtt_ms;       /* smoothed; 0: not measured */
    struct pst_reliable_counters counters;
    /* private */
    struct pst_reliable_config cfg;
    struct pst_framing stream;
    uint64_t heard_ms, hello_ms, ack_ms, probe_ms;
    uint64_t cookie;
    uint64_t missing; /* bit i: number seen - 1 - i did not arrive */
    uint32_t peer_id, seen;
    uint32_t oldest, unsent, written,
        limit; /* our stream: first unacknowledged, first unsent, end, end of credit */
    uint32_t consumed, in_order, told; /* theirs: read, complete up to, credit sent */
    size_t send_head, receive_head;    /* where oldest and consumed lie in the buffers */
    uint32_t next_number, recovery;
    uint32_t window, threshold, var_ms, rto_ms;
    uint32_t island_from[PST_RELIABLE_ISLANDS], island_to[PST_RELIABLE_ISLANDS];
    uint16_t mtu_peak, large; /* large: smallest of `large_lost` losses in a row */
    uint8_t large_lost, islands, owed, backoff, probes, reason;
    bool server, known, cookie_known, welcome_due, credit_due, ping_due, closing, last_words;
};

/* Start a connection; the configuration is copied. PST_ERR_ARGUMENT: the configuration contradicts
 * its comments. PST_ERR_DECODE, from accept: `hello` is not a HELLO. */
PST_MUST_CHECK pst_err pst_reliable_connect(struct pst_reliable *r,
                                            const struct pst_reliable_config *cfg, uint64_t now_ms);
PST_MUST_CHECK pst_err pst_reliable_accept(struct pst_reliable *r,
                                           const struct pst_reliable_config *cfg,
                                           const uint8_t *hello, size_t len, uint64_t now_ms);

/* The server's key for cookies: random, and constant while the server runs. */
struct pst_reliable_door {
    uint8_t key[16];
};
/* Handles a datagram that belongs to no connection (pst_reliable_mine). `from` is the sender's
 * address in any fixed form. PST_OK: a HELLO with a valid cookie: pass it to pst_reliable_accept.
 * PST_WANT_MORE: send `reply` to `from`; it is never longer than the datagram. Anything else: drop
 * the datagram. */
PST_MUST_CHECK pst_err pst_reliable_greet(const struct pst_reliable_door *door,
                                          struct pst_bytes from, const uint8_t *datagram,
                                          size_t len, uint64_t now_ms,
                                          uint8_t reply[PST_RELIABLE_REPLY], size_t *reply_len);
/* True if this datagram belongs to the connection. With several peers, compare addresses as
 * well. */
bool pst_reliable_mine(const struct pst_reliable *r, const uint8_t *datagram, size_t len);

/* Takes one datagram. Its errors are only of interest for statistics: the connection goes on unless
 * `state` has changed. PST_ERR_DECODE: damaged. PST_ERR_UNEXPECTED: not of this connection, or not
 * in this phase. PST_ERR_LIMIT: beyond credit, or too many gaps; the peer will send it again. */
pst_err pst_reliable_input(struct pst_reliable *r, const uint8_t *datagram, size_t len,
                           uint64_t now_ms);
/* Writes the next datagram to send and returns its length, or 0. `cap` is at least `mtu_most`. */
size_t pst_reliable_output(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms);
/* Ends the connection if the peer has been silent for too long. Output does so too; this is for an
 * owner that cannot send, and therefore does not ask for output. */
void pst_reliable_look(struct pst_reliable *r, uint64_t now_ms);
/* When to ask for output again if nothing else happens. UINT64_MAX: never. */
uint64_t pst_reliable_wake(const struct pst_reliable *r);

/* Queues a complete message. PST_PENDING: no room at the moment, nothing was queued. PST_ERR_SPACE:
 * longer than the peer accepts, or than the send buffer. PST_ERR_STATE: closed by us, or not
 * connected yet. If the connection has ended, it returns why. */
PST_MUST_CHECK pst_err pst_reliable_send(struct pst_reliable *r, uint8_t kind,
                                         const uint8_t *payload, size_t len);
/* The next message. PST_OK: `payload` aliases the message buffer, until the next call.
 * PST_WANT_MORE: none yet. Otherwise why the connection ended. PST_ERR_DECODE: the peer's stream
 * does not consist of link messages. */
PST_MUST_CHECK pst_err pst_reliable_receive(struct pst_reliable *r, uint8_t *kind,
                                            uint8_t **payload, size_t *len);
/* The same for bytes, for owners that frame messages themselves (struct pst_link_end) or only copy
 * bytes (a bridge). Return how many bytes were written or read. Do not mix with the two functions
 * above. */
size_t pst_reliable_write(struct pst_reliable *r, const uint8_t *bytes, size_t len);
size_t pst_reliable_read(struct pst_reliable *r, uint8_t *out, size_t cap);
/* Reading without a copy: `peek` returns the next bytes that are contiguous, valid until the next
 * read or skip; `skip` drops those that were used. */
struct pst_bytes pst_reliable_peek(const struct pst_reliable *r);
void pst_reliable_skip(struct pst_reliable *r, size_t len);
/* How many bytes pst_reliable_write would take. */
size_t pst_reliable_room(const struct pst_reliable *r);

/* Ends the connection once everything queued has arrived. The peer sees PST_ERR_CLOSED. */
void pst_reliable_close(struct pst_reliable *r);
/* Ends the connection now, and tells the peer `why` once. */
void pst_reliable_abort(struct pst_reliable *r, pst_err why);

#ifdef __cplusplus
}
#endif

#endif
