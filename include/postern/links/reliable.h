/* Reliable messages over datagrams that may be lost, duplicated, reordered, damaged or late.
 *
 * A provisional stand-in for MRUDP, whose text is not public (mipi_profile.h, docs/wire.md). Both
 * directions carry one stream of link messages (link.h: length, kind, payload), cut into datagrams
 * that fit the path. Every datagram that matters has a number of its own and is acknowledged by it.
 * What was lost is sent again under a new number, in smaller datagrams if the path has shrunk.
 *
 * **Connecting.** The client repeats HELLO until it gets WELCOME. The server keeps no state about
 * it until the client has sent back a cookie, which proves that it receives at its address. Until
 * then no answer is longer than its question. Both state profile, role, largest message, largest
 * datagram and free buffer, and choose a random id by which they are addressed: an attacker who
 * cannot see the traffic cannot take part in it. One who can see it can end it: nothing here is
 * authenticated, records are.
 *
 * **Flow.** A receiver states up to which offset it has room, and takes no more: this is the
 * credit. A sender keeps what is not acknowledged in its own buffer; when that is full,
 * pst_reliable_send returns PST_PENDING. A congestion window grows and shrinks as TCP's does.
 *
 * **Size.** Datagrams begin at `mtu_first` bytes, which must pass on any path. Larger sizes are
 * probed with padding only, so a probe costs no data. After several timeouts in a row, or if large
 * datagrams are lost repeatedly while small ones arrive, the size falls back.
 *
 * **Ending.** A peer that is silent for `dead` milliseconds is gone; one with nothing to send is
 * asked every `keepalive` milliseconds. A server that was restarted answers datagrams of former
 * connections with RESET. A client that was restarted sends a new HELLO, which the caller sees
 * through pst_reliable_greet. Messages that had arrived whole can still be received after the end;
 * then look at `state`.
 *
 * Sans-I/O: the caller passes in datagrams and the time (monotonic milliseconds, any origin). After
 * that, and after every send, receive and close, it asks for output until there is none, and again
 * at pst_reliable_wake. All memory is the caller's; nothing grows.
 */
#ifndef POSTERN_LINKS_RELIABLE_H
#define POSTERN_LINKS_RELIABLE_H

#include "postern/link.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct pst_link_traits pst_udp_traits;

#define PST_RELIABLE_MTU 1200     /* passes on any path of IPv6, and all but odd ones of IPv4 */
#define PST_RELIABLE_LEAST_MTU 64 /* the handshake fits */
#define PST_RELIABLE_MAX_SENT 64  /* datagrams under way, that an acknowledgement can tell apart */
#define PST_RELIABLE_REPLY 64     /* bytes of the longest answer to a stranger */
#define PST_RELIABLE_ISLANDS 16   /* gaps in what was received that are kept track of */

/* All in milliseconds. */
struct pst_reliable_timing {
    uint32_t first_rto; /* retransmission timeout before a round trip was measured */
    uint32_t least_rto, most_rto;
    uint32_t ack_delay; /* an acknowledgement waits so long for data to travel with */
    uint32_t keepalive;
    uint32_t dead; /* silence that ends the connection; also how long connecting may take */
};
extern const struct pst_reliable_timing pst_reliable_ip;

struct pst_reliable_sent { /* private: one datagram under way */
    uint64_t at_ms;
    uint32_t number, offset;
    uint16_t len, size; /* of data; of the datagram */
    uint8_t state, what;
};

struct pst_reliable_config {
    bool target;        /* this side is a TS */
    uint32_t id, start; /* random, fresh for each connection */
    uint16_t mtu_first; /* >= PST_RELIABLE_LEAST_MTU */
    uint16_t mtu_most;  /* largest datagram to send or take, >= mtu_first */
    struct pst_reliable_timing timing;
    /* A faster pst_crc32c, or NULL. */
    uint32_t (*crc32c)(uint32_t crc, const void *at, size_t len);
    /* The caller's, and outlive the connection. */
    uint8_t *message; /* one received message; its size is told as the largest taken */
    size_t message_cap;
    uint8_t *send, *receive; /* the two buffers; 256 bytes to 1 GiB each */
    size_t send_cap, receive_cap;
    struct pst_reliable_sent *sent;
    size_t sent_count; /* 8 .. PST_RELIABLE_MAX_SENT */
};

struct pst_reliable_counters {
    uint64_t sent, received;   /* datagrams */
    uint64_t lost, spurious;   /* declared lost; of these, acknowledged after all */
    uint64_t damaged, refused; /* CRC or form; beyond credit or memory, or not of this connection */
    uint64_t repeated;         /* bytes received more than once */
};

struct pst_reliable {
    pst_err state;  /* PST_PENDING: connecting; PST_OK; else why it ended */
    bool forgotten; /* PST_ERR_CLOSED because the peer was restarted: it knows nothing of it */
    struct pst_hello peer; /* once PST_OK */
    uint16_t mtu;          /* of the path, as known */
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
        limit;                         /* our stream: not acknowledged, not sent, end, credit */
    uint32_t consumed, in_order, told; /* theirs: given out, whole up to, credit told */
    size_t send_head, receive_head;    /* where oldest and consumed lie in the buffers */
    uint32_t next_number, recovery;
    uint32_t window, threshold, var_ms, rto_ms;
    uint32_t island_from[PST_RELIABLE_ISLANDS], island_to[PST_RELIABLE_ISLANDS];
    uint16_t mtu_peak, large; /* large: shortest of what was lost `large_lost` times in a row */
    uint8_t large_lost, islands, owed, backoff, probes, reason;
    bool server, known, cookie_known, welcome_due, credit_due, ping_due, closing, last_words;
};

/* Both return PST_ERR_ARGUMENT when the configuration contradicts its comments; accept also
 * PST_ERR_DECODE when `hello` is none. The configuration is copied. */
PST_MUST_CHECK pst_err pst_reliable_connect(struct pst_reliable *r,
                                            const struct pst_reliable_config *cfg, uint64_t now_ms);
PST_MUST_CHECK pst_err pst_reliable_accept(struct pst_reliable *r,
                                           const struct pst_reliable_config *cfg,
                                           const uint8_t *hello, size_t len, uint64_t now_ms);

/* What a server keeps for strangers: a random key, never changed while it runs. */
struct pst_reliable_door {
    uint8_t key[16];
};
/* A datagram that no connection claims (pst_reliable_mine). `from` is the sender's address in any
 * fixed form. PST_OK: a HELLO with a good cookie: pst_reliable_accept it. PST_WANT_MORE: send
 * `reply` to `from`; it is never longer than the datagram. Anything else: drop it. */
PST_MUST_CHECK pst_err pst_reliable_greet(const struct pst_reliable_door *door,
                                          struct pst_bytes from, const uint8_t *datagram,
                                          size_t len, uint64_t now_ms,
                                          uint8_t reply[PST_RELIABLE_REPLY], size_t *reply_len);
/* Does this datagram belong to the connection? With several peers, compare addresses as well. */
bool pst_reliable_mine(const struct pst_reliable *r, const uint8_t *datagram, size_t len);

/* One datagram. Errors are for counting only: whatever comes in, the connection goes on, unless
 * `state` says otherwise afterwards. PST_ERR_DECODE: damaged. PST_ERR_UNEXPECTED: not of this
 * connection or its phase. PST_ERR_LIMIT: beyond credit, or too many gaps; it will come again. */
pst_err pst_reliable_input(struct pst_reliable *r, const uint8_t *datagram, size_t len,
                           uint64_t now_ms);
/* The next datagram to send, or 0. `cap` is at least `mtu_most`. */
size_t pst_reliable_output(struct pst_reliable *r, uint8_t *out, size_t cap, uint64_t now_ms);
/* Ends a connection whose peer has been silent for too long, as output does: for an owner that
 * cannot send, and so does not ask for output. */
void pst_reliable_look(struct pst_reliable *r, uint64_t now_ms);
/* When to ask for output again though nothing happened; UINT64_MAX: never. */
uint64_t pst_reliable_wake(const struct pst_reliable *r);

/* Queues a whole message. PST_PENDING: no room at the moment, nothing was queued. PST_ERR_SPACE:
 * longer than the peer takes or than the send buffer. PST_ERR_STATE: closed by us, or not yet
 * connected. An ended connection: why it ended. */
PST_MUST_CHECK pst_err pst_reliable_send(struct pst_reliable *r, uint8_t kind,
                                         const uint8_t *payload, size_t len);
/* The next message. PST_OK: `payload` aliases the message buffer, until the next call.
 * PST_WANT_MORE: none yet. Otherwise why the connection ended; PST_ERR_DECODE: the peer's stream
 * is no messages of ours. */
PST_MUST_CHECK pst_err pst_reliable_receive(struct pst_reliable *r, uint8_t *kind,
                                            uint8_t **payload, size_t *len);
/* The same as bytes, for owners who frame messages themselves (pst_link's own framing, a bridge
 * that does not look). How many were taken or given. Do not mix with the two above. */
size_t pst_reliable_write(struct pst_reliable *r, const uint8_t *bytes, size_t len);
size_t pst_reliable_read(struct pst_reliable *r, uint8_t *out, size_t cap);
/* Reading without a copy: what comes next in one piece, valid until the next call that takes or
 * skips; then skip what was used of it. */
struct pst_bytes pst_reliable_peek(const struct pst_reliable *r);
void pst_reliable_skip(struct pst_reliable *r, size_t len);
/* How many bytes a write would take. */
size_t pst_reliable_room(const struct pst_reliable *r);

/* Ends the connection once everything queued has arrived; the peer sees PST_ERR_CLOSED. */
void pst_reliable_close(struct pst_reliable *r);
/* Ends it now, telling the peer `why` once. */
void pst_reliable_abort(struct pst_reliable *r, pst_err why);

#ifdef __cplusplus
}
#endif

#endif
