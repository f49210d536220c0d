/* A connection through a message broker: chunks with numbers, credit, and a way to end.
 *
 * A broker (MQTT) carries messages by topic, to many readers, from everybody who may write. It may
 * lose, duplicate or reorder them, especially when it restarts. The engine turns this into one
 * ordered stream of bytes in each direction. Chunks are numbered: a repeated one is dropped, and a
 * missing one ends the connection. The engine never resends. A broker that keeps the promises of
 * its quality of service (below) loses nothing.
 *
 * **Connecting.** The caller chooses a random id for the connection, which is part of its topics,
 * and sends OPEN. The listener answers with OPENED. Both messages state the sender's largest chunk
 * and window.
 *
 * **Credit.** A receiver keeps at most `window` chunks that its owner has not read, and states up
 * to which number it accepts chunks. So at most window × chunk bytes of a connection wait in each
 * direction, including those in the broker. Chunks are counted, not bytes, because brokers count
 * messages. Bytes that wait for credit are combined into larger chunks.
 *
 * **Quality of service**, by kind of traffic (pst_broker_output tells):
 *   - OPEN, OPENED, DATA, CLOSE: 1, at least once. The broker keeps order within a topic, and the
 *     number shows duplicates. 2, exactly once, would cost two more round trips per chunk and
 *     add nothing.
 *   - CREDIT, which is also the keepalive: 0, at most once. It is cumulative, so a later one
 *     repairs a lost one: it is sent every `keepalive`, and a sender that waits asks for it.
 *   - Presence (not sent by this engine): 1 and retained; LOST, a last will: 1.
 *
 * **Who else can write here.** Everybody whom the broker lets write. Without a seal, anyone who
 * learns the connection's id can end it, inject bytes (which the records inside then refuse), or
 * forge a listener's answers. With a seal (both ends share a secret; struct pst_broker_seal) a
 * message that is not from the other end is dropped and counted, and has no effect. The broker
 * itself can always lose everything.
 *
 * **Hints.** Anybody can send LOST (the other end's last will) or end a presence. So these are only
 * hints: the engine then asks the other end, which has `hint` milliseconds to answer.
 *
 * Sans-I/O: messages in, messages out, time in monotonic milliseconds of any origin. After each
 * call ask for output until there is none, and again at pst_broker_wake. All memory is the caller's
 * and has a fixed size. */
#ifndef POSTERN_LINKS_BROKER_H
#define POSTERN_LINKS_BROKER_H

#include "postern/link.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct pst_link_traits pst_broker_traits;

#define PST_BROKER_ID 16       /* bytes of a connection's id, and of a listener's nonce */
#define PST_BROKER_CHUNK 16384 /* bytes; brokers that limit messages allow more */
#define PST_BROKER_WINDOW 32
#define PST_BROKER_MOST_WINDOW 64
#define PST_BROKER_TAG 16
/* Size of the longest message if chunks have up to `chunk` bytes. */
#define PST_BROKER_MESSAGE(chunk) (1 + 8 + 8 + (size_t)(chunk) + PST_BROKER_TAG)
#define PST_BROKER_LOST_LEN 1

struct pst_broker_timing { /* milliseconds */
    uint32_t connect;      /* longest wait for OPENED */
    uint32_t keepalive;    /* something is sent at least this often */
    uint32_t dead;         /* silence that ends the connection */
    uint32_t ask;          /* from one question of a sender without credit to the next */
    uint32_t hint;         /* time to answer after a hint */
};
extern const struct pst_broker_timing pst_broker_usual;

/* Authenticated encryption under a secret that both ends share, implemented by the port. Each
 * direction has its own key. (up, type, number) never repeats under one key. `up`: sent by the
 * caller. */
struct pst_broker_seal {
    void *ctx;
    /* Derives the keys from the secret, the connection's id and the listener's nonce. `listener` is
     * NULL for the key of OPEN, because there is no nonce yet. */
    pst_err (*key)(void *ctx, const uint8_t caller[PST_BROKER_ID],
                   const uint8_t listener[PST_BROKER_ID]);
    pst_err (*seal)(void *ctx, bool up, uint8_t type, uint64_t number, struct pst_bytes head,
                    uint8_t *data, size_t len, uint8_t tag[PST_BROKER_TAG]);
    pst_err (*open)(void *ctx, bool up, uint8_t type, uint64_t number, struct pst_bytes head,
                    uint8_t *data, size_t len, const uint8_t tag[PST_BROKER_TAG]);
};

struct pst_broker_config {
    uint8_t id[PST_BROKER_ID];    /* random and new for each connection; the caller chooses it */
    uint8_t nonce[PST_BROKER_ID]; /* of a listener: random and new for each connection */
    const struct pst_broker_seal *seal; /* NULL: none; its ctx belongs to this connection alone */
    struct pst_broker_timing timing;
    uint16_t chunk; /* largest chunk to accept and to send, >= 64 */
    uint8_t window; /* chunks, 2 .. PST_BROKER_MOST_WINDOW */
    /* Buffers of the caller; they outlive the connection. */
    uint8_t *receive; /* window × chunk bytes */
    uint8_t *send;
    size_t send_cap; /* >= chunk */
};

struct pst_broker {
    pst_err state; /* PST_PENDING: connecting; PST_OK: connected; else why it ended (PST_ERR_CLOSED:
                      in order) */
    uint32_t repeated; /* chunks received more than once */
    uint32_t refused;  /* messages that were malformed or had a wrong tag */
    /* private */
    struct pst_broker_config cfg;
    uint16_t lens[PST_BROKER_MOST_WINDOW];
    uint64_t next_in, consumed, told; /* chunks received; given to the owner; limit sent */
    uint64_t next_out, limit;         /* chunks sent; limit received */
    uint64_t credit_out, credit_in;   /* numbers of CREDIT: next to send; next to accept */
    uint64_t heard_ms, said_ms, asked_ms, hint_ms;
    size_t read_at;              /* in the oldest slot */
    size_t send_head, send_used; /* the ring */
    uint16_t chunk_out;
    uint8_t reason;
    bool listener, greet_due, credit_due, ask_due, closing, close_due, hinted;
};

/* PST_ERR_ARGUMENT: the configuration contradicts its comments. PST_ERR_CRYPTO: the seal's. */
PST_MUST_CHECK pst_err pst_broker_connect(struct pst_broker *b, const struct pst_broker_config *cfg,
                                          uint64_t now_ms);
/* `open` is the first message of a new connection, which is modified in place. Errors as above, and
 * PST_ERR_DECODE: not an OPEN; PST_ERR_AUTH: sent without the secret; PST_ERR_PROFILE: incompatible
 * wire profile. */
PST_MUST_CHECK pst_err pst_broker_accept(struct pst_broker *b, const struct pst_broker_config *cfg,
                                         uint8_t *open, size_t len, uint64_t now_ms);
/* True if a message looks like an OPEN. A cheap check for messages that belong to no connection. */
bool pst_broker_is_open(const uint8_t *msg, size_t len);

/* Takes one message from the other end's topic, and modifies it in place. Bad messages are
 * counted. */
void pst_broker_input(struct pst_broker *b, uint8_t *msg, size_t len, uint64_t now_ms);
/* Writes the next message to publish and returns its length, or 0. `cap` >=
 * PST_BROKER_MESSAGE(chunk). `*qos` is its quality of service. */
size_t pst_broker_output(struct pst_broker *b, uint8_t *out, size_t cap, int *qos, uint64_t now_ms);
/* When to ask for output again if nothing else happens. UINT64_MAX: never. */
uint64_t pst_broker_wake(const struct pst_broker *b);
/* Call this when there is a hint that the other end is gone. */
void pst_broker_hint(struct pst_broker *b, uint64_t now_ms);

/* Queues bytes; returns how many fitted. 0 after close. */
size_t pst_broker_write(struct pst_broker *b, const uint8_t *bytes, size_t len);
size_t pst_broker_room(const struct pst_broker *b);
/* Received bytes, the oldest first, valid until `taken`; empty if there are none. What was received
 * before the end can still be read after it. */
struct pst_bytes pst_broker_peek(const struct pst_broker *b);
void pst_broker_taken(struct pst_broker *b, size_t len); /* at most what peek returned */

/* Ends the connection once everything queued has been sent. `state` is then PST_ERR_CLOSED. */
void pst_broker_close(struct pst_broker *b);
/* Ends the connection now. Output gives one last message, which tells the other end why. */
void pst_broker_abort(struct pst_broker *b, pst_err why);

/* The message for a last will. */
size_t pst_broker_lost(uint8_t out[PST_BROKER_LOST_LEN]);

#ifdef __cplusplus
}
#endif

#endif
