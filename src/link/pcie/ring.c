#include "postern/links/ring.h"

#include <string.h>

static uint32_t theirs(const struct pst_ring *r, enum pst_ring_word word)
{
    return r->port.load(r->port.ctx, r->theirs + (size_t)word);
}

static void put(const struct pst_ring *r, enum pst_ring_word word, uint32_t value)
{
    r->port.store(r->port.ctx, r->mine + (size_t)word, value);
}

/* The size of a ring: the largest power of two that fits twice. */
static uint32_t ring_size(size_t len)
{
    uint32_t size = PST_RING_MOST;

    if (len < PST_RING_RINGS) {
        return 0;
    }
    while (size > (len - PST_RING_RINGS) / 2) {
        size /= 2;
    }
    return size;
}

/* Writes the words that the other side must find when it arrives. */
static void introduce(const struct pst_ring *r)
{
    put(r, PST_RING_HEAD, 0);
    put(r, PST_RING_TAIL, 0);
    put(r, PST_RING_STATE, PST_RING_IS_OPEN);
    put(r, PST_RING_SIZE, r->size);
    put(r, PST_RING_PROFILE, PST_PROFILE_VERSION);
    put(r, PST_RING_MAGIC, PST_RING_MAGIC_VALUE);
}

pst_err pst_ring_open(struct pst_ring *r, const struct pst_ring_port *port, size_t len,
                      bool listens, uint32_t generation, uint64_t now_ms)
{
    const uint32_t size = ring_size(len);

    if (size < PST_RING_LEAST || generation == 0) {
        return PST_ERR_ARGUMENT;
    }
    memset(r, 0, sizeof *r);
    r->port = *port;
    r->size = size;
    r->listens = listens;
    r->mine = listens ? 0 : PST_RING_BLOCK;
    r->theirs = listens ? PST_RING_BLOCK : 0;
    r->ring_mine = PST_RING_RINGS + (listens ? 0 : size);
    r->ring_theirs = PST_RING_RINGS + (listens ? size : 0);
    r->generation = generation;
    r->heard_ms = now_ms;
    put(r, PST_RING_GENERATION, 0); /* no generation until all other words are valid */
    put(r, PST_RING_PEER, 0);
    introduce(r);
    put(r, PST_RING_GENERATION, generation);
    return PST_OK;
}

static pst_err end(struct pst_ring *r, pst_err why)
{
    r->up = false;
    if (r->ended == PST_OK) {
        r->ended = why;
    }
    return r->ended;
}

/* Each side confirms the other's generation. The caller does so first, because a listener draws a
 * new generation for each connection. */
static pst_err greet(struct pst_ring *r, uint64_t now_ms)
{
    const uint32_t generation = theirs(r, PST_RING_GENERATION);

    introduce(r); /* again, because another process may have written there in the meantime */
    if (generation == 0 || theirs(r, PST_RING_MAGIC) != PST_RING_MAGIC_VALUE) {
        return PST_PENDING;
    }
    const uint32_t named = theirs(r, PST_RING_PEER);
    if (r->listens && named != r->generation) {
        return PST_PENDING;
    }
    if (theirs(r, PST_RING_PROFILE) != PST_PROFILE_VERSION) {
        return end(r, PST_ERR_PROFILE);
    }
    if (theirs(r, PST_RING_SIZE) != r->size) {
        return end(r, PST_ERR_DECODE);
    }
    if (r->peer != generation) {
        r->peer = generation;
        put(r, PST_RING_PEER, generation);
    }
    if (named != r->generation) {
        return PST_PENDING;
    }
    r->up = true;
    r->heard_ms = now_ms;
    return PST_OK;
}

/* Reads how much the other side has written. False: the value is impossible, and the connection has
 * ended. */
static bool see_head(struct pst_ring *r)
{
    const uint32_t head = theirs(r, PST_RING_HEAD);

    if (head - r->tail > r->size || head - r->tail < r->known - r->tail) {
        (void)end(r, PST_ERR_DECODE);
        return false;
    }
    r->known = head;
    return true;
}

static bool see_tail(struct pst_ring *r)
{
    const uint32_t tail = theirs(r, PST_RING_TAIL);

    if (tail - r->acked > r->head - r->acked) {
        (void)end(r, PST_ERR_DECODE);
        return false;
    }
    r->acked = tail;
    return true;
}

static pst_err listen_to_beat(struct pst_ring *r, uint64_t now_ms)
{
    const uint32_t beat = theirs(r, PST_RING_BEAT);

    if (beat != r->heard) {
        r->heard = beat;
        r->heard_ms = now_ms;
    }
    return now_ms - r->heard_ms > PST_RING_SILENCE_MS ? end(r, PST_ERR_TIMEOUT) : PST_OK;
}

/* Checks the other side. Bytes that it wrote before it closed are still read. */
static pst_err look(struct pst_ring *r, uint64_t now_ms)
{
    const uint32_t state = theirs(r, PST_RING_STATE);
    const uint32_t generation = theirs(r, PST_RING_GENERATION);

    if (generation != 0 && generation != r->peer) {
        return end(r, PST_ERR_UNEXPECTED);
    }
    if (!see_head(r)) {
        return r->ended;
    }
    if ((generation == 0 || state == PST_RING_IS_FINISHED) && r->known == r->tail) {
        return end(r, PST_ERR_CLOSED);
    }
    return listen_to_beat(r, now_ms);
}

pst_err pst_ring_turn(struct pst_ring *r, uint64_t now_ms)
{
    if (r->ended != PST_OK) {
        return r->ended;
    }
    if (r->port.load(r->port.ctx, r->mine + PST_RING_GENERATION) != r->generation) {
        return end(r, PST_ERR_UNEXPECTED);
    }
    put(r, PST_RING_BEAT, ++r->beat);
    return r->up ? look(r, now_ms) : greet(r, now_ms);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t pst_ring_write(struct pst_ring *r, const uint8_t *bytes, size_t len)
{
    if (!r->up || r->finished || !see_tail(r)) {
        return 0;
    }
    const size_t n = least(len, r->size - (r->head - r->acked));
    const size_t at = r->head & (r->size - 1), first = least(n, r->size - at);
    if (n == 0) {
        return 0;
    }
    r->port.put(r->port.ctx, r->ring_mine + at, bytes, first);
    if (n > first) {
        r->port.put(r->port.ctx, r->ring_mine, bytes + first, n - first);
    }
    r->head += (uint32_t)n;
    put(r, PST_RING_HEAD, r->head);
    return n;
}

size_t pst_ring_read(struct pst_ring *r, uint8_t *out, size_t cap)
{
    if (!r->up || !see_head(r)) {
        return 0;
    }
    const size_t n = least(cap, r->known - r->tail);
    const size_t at = r->tail & (r->size - 1), first = least(n, r->size - at);
    if (n == 0) {
        return 0;
    }
    r->port.take(r->port.ctx, r->ring_theirs + at, out, first);
    if (n > first) {
        r->port.take(r->port.ctx, r->ring_theirs, out + first, n - first);
    }
    r->tail += (uint32_t)n;
    put(r, PST_RING_TAIL, r->tail);
    return n;
}

void pst_ring_finish(struct pst_ring *r)
{
    r->finished = true;
    if (r->up) {
        put(r, PST_RING_STATE, PST_RING_IS_FINISHED);
    }
}

bool pst_ring_is_drained(struct pst_ring *r)
{
    return !r->up || !see_tail(r) || r->acked == r->head;
}

void pst_ring_close(struct pst_ring *r)
{
    /* Only if no other process has taken our place. */
    if (r->generation != 0 &&
        r->port.load(r->port.ctx, r->mine + PST_RING_GENERATION) == r->generation) {
        put(r, PST_RING_GENERATION, 0);
    }
    (void)end(r, PST_ERR_CLOSED);
    r->generation = 0;
}
