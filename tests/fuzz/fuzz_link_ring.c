/* Shared memory with a hostile other side: before each access the input may change any word or
 * byte, those of this side included. */
#include "fuzz.h"

#include "postern/links/ring.h"

enum { LEN = PST_RING_RINGS + 2 * PST_RING_LEAST };

struct shared {
    uint8_t *bytes; /* LEN bytes on the heap, so that the sanitizer checks the bounds */
    struct input in;
    bool listens;
};

static void scribble(struct shared *s)
{
    static const uint16_t favourites[] = {PST_RING_HEAD,  PST_RING_TAIL, PST_RING_GENERATION,
                                          PST_RING_STATE, PST_RING_PEER, PST_RING_BEAT};
    const uint8_t what = next(&s->in);
    const size_t block = s->listens ? PST_RING_BLOCK : 0;

    if (what < 0x60) {
        return;
    }
    if (what < 0xF0) { /* plausible words, close to their old values */
        uint8_t *word = s->bytes + block + favourites[what % 6];
        pst_poke_u32(word, pst_peek_u32(word) + (uint32_t)(next(&s->in) - 0x40));
    } else {
        const size_t at = (size_t)next(&s->in) << 5 | next(&s->in);
        s->bytes[at % LEN] = next(&s->in);
    }
}

static uint32_t load(void *ctx, size_t at)
{
    struct shared *s = ctx;
    need(at % 4 == 0 && at + 4 <= 2 * PST_RING_BLOCK);
    scribble(s);
    return pst_peek_u32(s->bytes + at);
}

static void store(void *ctx, size_t at, uint32_t value)
{
    struct shared *s = ctx;
    need(at % 4 == 0 && at / PST_RING_BLOCK == (s->listens ? 0u : 1u));
    scribble(s);
    pst_poke_u32(s->bytes + at, value);
}

static bool in_ring(const struct shared *s, bool mine, size_t at, size_t len)
{
    const size_t first = PST_RING_RINGS + (s->listens == mine ? 0 : PST_RING_LEAST);
    return len > 0 && at >= first && len <= PST_RING_LEAST && at - first <= PST_RING_LEAST - len;
}

static void take(void *ctx, size_t at, uint8_t *out, size_t len)
{
    struct shared *s = ctx;
    need(in_ring(s, false, at, len));
    scribble(s);
    memcpy(out, s->bytes + at, len);
}

static void put(void *ctx, size_t at, const uint8_t *bytes, size_t len)
{
    struct shared *s = ctx;
    need(in_ring(s, true, at, len));
    scribble(s);
    memcpy(s->bytes + at, bytes, len);
}

/* Writes the other side's block as an honest side would. */
static void honest(struct shared *s)
{
    uint8_t *block = s->bytes + (s->listens ? PST_RING_BLOCK : 0);

    pst_poke_u32(block + PST_RING_MAGIC, PST_RING_MAGIC_VALUE);
    pst_poke_u32(block + PST_RING_PROFILE, PST_PROFILE_VERSION);
    pst_poke_u32(block + PST_RING_SIZE, PST_RING_LEAST);
    pst_poke_u32(block + PST_RING_GENERATION, 7);
    pst_poke_u32(block + PST_RING_PEER, 5);
}

static void talk(struct shared *s)
{
    const struct pst_ring_port port = {s, load, store, take, put};
    uint8_t bytes[400];
    struct pst_ring r;
    bool ended = false;

    memset(s->bytes, 0, LEN);
    honest(s);
    need(pst_ring_open(&r, &port, LEN, s->listens, 5, 0) == PST_OK);
    for (uint64_t now = 0; s->in.left > 0; now++) {
        const uint8_t what = next(&s->in);
        const size_t n = (size_t)what * 3 / 2;
        const pst_err err = pst_ring_turn(&r, now);
        need(!ended || err < PST_WANT_MORE); /* an end is final */
        ended = err < PST_WANT_MORE;
        if (what % 2 == 0) {
            memset(bytes, what, n);
            need(pst_ring_write(&r, bytes, n) <= n);
        } else {
            need(pst_ring_read(&r, bytes, n) <= n);
        }
        if (what == 0xFF) {
            pst_ring_finish(&r);
        }
    }
    (void)pst_ring_is_drained(&r);
    pst_ring_close(&r);
    need(pst_ring_read(&r, bytes, sizeof bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int listens = 0; listens < 2; listens++) {
        struct shared s = {.bytes = malloc(LEN), .listens = listens != 0};

        need(s.bytes != NULL);
        s.in = (struct input){data, size};
        talk(&s);
        free(s.bytes);
    }
    return 0;
}
