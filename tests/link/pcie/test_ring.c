/* Rings in shared memory: bytes in both directions with every interleaving, restarts of each side,
 * a hostile peer, and two threads. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pst_test.h"

#include "postern/links/ring.h"

enum { SMALL = PST_RING_RINGS + 2 * PST_RING_LEAST, LARGE = PST_RING_RINGS + 2 * 4096 };

static _Atomic uint32_t memory[LARGE / 4];

static uint32_t load(void *ctx, size_t at)
{
    (void)ctx;
    CHECK(at % 4 == 0 && at < PST_RING_RINGS);
    return atomic_load_explicit(&memory[at / 4], memory_order_acquire);
}

static void store(void *ctx, size_t at, uint32_t value)
{
    CHECK(at % 4 == 0 && at < PST_RING_RINGS);
    CHECK(at / PST_RING_BLOCK == (ctx == NULL ? 0u : 1u)); /* its own block */
    atomic_store_explicit(&memory[at / 4], value, memory_order_release);
}

static void take(void *ctx, size_t at, uint8_t *out, size_t len)
{
    (void)ctx;
    CHECK(at >= PST_RING_RINGS && at + len <= sizeof memory);
    for (size_t i = 0; i < len; i++) {
        const size_t byte = at + i;
        out[i] = (uint8_t)(atomic_load_explicit(&memory[byte / 4], memory_order_relaxed) >>
                           (byte % 4 * 8));
    }
}

static void put(void *ctx, size_t at, const uint8_t *bytes, size_t len)
{
    (void)ctx;
    CHECK(at >= PST_RING_RINGS && at + len <= sizeof memory);
    for (size_t i = 0; i < len; i++) {
        const unsigned shift = (unsigned)((at + i) % 4 * 8);
        _Atomic uint32_t *word = &memory[(at + i) / 4];
        const uint32_t old = atomic_load_explicit(word, memory_order_relaxed);
        atomic_store_explicit(word, (old & ~(0xFFu << shift)) | (uint32_t)bytes[i] << shift,
                              memory_order_relaxed);
    }
}

static int caller_mark;
static const struct pst_ring_port listener_port = {NULL, load, store, take, put};
static const struct pst_ring_port caller_port = {&caller_mark, load, store, take, put};
static struct pst_ring listener, caller;

static void clear(void)
{
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        atomic_store(&memory[i], 0);
    }
}

static void listen(uint32_t generation)
{
    CHECK_EQ(pst_ring_open(&listener, &listener_port, SMALL, true, generation, 0), PST_OK);
}

static void call(uint32_t generation)
{
    CHECK_EQ(pst_ring_open(&caller, &caller_port, SMALL, false, generation, 0), PST_OK);
}

static void join(void)
{
    pst_err a = PST_PENDING, b = PST_PENDING;

    for (int i = 0; i < 4 && (a == PST_PENDING || b == PST_PENDING); i++) {
        a = pst_ring_turn(&listener, 0);
        b = pst_ring_turn(&caller, 0);
    }
    CHECK_EQ(a, PST_OK);
    CHECK_EQ(b, PST_OK);
}

static void poke(size_t block, enum pst_ring_word word, uint32_t value)
{
    atomic_store(&memory[(block + (size_t)word) / 4], value);
}

static void test_open(void **state)
{
    struct pst_ring r;

    (void)state;
    clear();
    CHECK_EQ(pst_ring_open(&r, &listener_port, 0, true, 1, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_ring_open(&r, &listener_port, SMALL - 1, true, 1, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_ring_open(&r, &listener_port, SMALL, true, 0, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_ring_open(&r, &listener_port, SMALL, true, 1, 0), PST_OK);
    CHECK_EQ(pst_ring_turn(&r, 0), PST_PENDING);
    CHECK_EQ(pst_ring_write(&r, (const uint8_t *)"x", 1), 0);
    CHECK_EQ(pst_ring_turn(&r, 100 * PST_RING_SILENCE_MS), PST_PENDING); /* it can wait */
}

/* Random turns, sizes and pauses on both sides; bytes come out as they went in. */
static void test_interleavings(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 40; seed++) {
        struct pst_test_rng rng = {.state = seed};
        uint8_t out[2] = {0}, in[2] = {0}, bytes[700];
        size_t sent[2] = {0}, got[2] = {0};

        clear();
        if (seed % 2 == 0) {
            call(2);
        }
        listen(1);
        if (seed % 2 != 0) {
            call(2);
        }
        for (unsigned step = 0; step < 20000 && (got[0] < 20000 || got[1] < 20000); step++) {
            const int side = (int)pst_test_rng_below(&rng, 2);
            struct pst_ring *r = side == 0 ? &listener : &caller;
            const size_t n = pst_test_rng_below(&rng, sizeof bytes + 1);
            size_t done;
            CHECK(pst_ring_turn(r, step) >= PST_PENDING);
            if (pst_test_rng_below(&rng, 2) == 0) {
                for (size_t i = 0; i < n; i++) {
                    bytes[i] = (uint8_t)(out[side] + i * 7);
                }
                done = pst_ring_write(r, bytes, n);
                CHECK(done <= n && done <= PST_RING_LEAST);
                out[side] = (uint8_t)(out[side] + done * 7);
                sent[side] += done;
            } else {
                done = pst_ring_read(r, bytes, n);
                for (size_t i = 0; i < done; i++) {
                    CHECK_EQ(bytes[i], (uint8_t)(in[side] + i * 7));
                }
                in[side] = (uint8_t)(in[side] + done * 7);
                got[side] += done;
                CHECK(got[side] <= sent[1 - side]);
            }
        }
        CHECK(got[0] >= 20000 && got[1] >= 20000);
    }
}

static void test_finish(void **state)
{
    uint8_t byte;

    (void)state;
    clear();
    listen(1);
    call(2);
    join();
    CHECK_EQ(pst_ring_write(&caller, (const uint8_t *)"ab", 2), 2);
    pst_ring_finish(&caller);
    CHECK_EQ(pst_ring_write(&caller, (const uint8_t *)"c", 1), 0);
    CHECK(!pst_ring_is_drained(&caller));
    CHECK_EQ(pst_ring_turn(&listener, 0), PST_OK);
    CHECK_EQ(pst_ring_read(&listener, &byte, 1), 1);
    CHECK_EQ(pst_ring_turn(&listener, 0), PST_OK);
    CHECK_EQ(pst_ring_read(&listener, &byte, 1), 1);
    CHECK_EQ(byte, 'b');
    CHECK(pst_ring_is_drained(&caller));
    CHECK_EQ(pst_ring_turn(&listener, 0), PST_ERR_CLOSED);
    pst_ring_close(&caller);
    CHECK_EQ(pst_ring_turn(&caller, 0), PST_ERR_CLOSED);
}

/* A side that ends before all is read: the rest is still read, or lost. */
static void test_unread(void **state)
{
    uint8_t bytes[8];

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        clear();
        listen(1);
        call(2);
        join();
        CHECK_EQ(pst_ring_write(&caller, (const uint8_t *)"last", 4), 4);
        pst_ring_finish(&caller);
        pst_ring_close(&caller);
        CHECK_EQ(pst_ring_turn(&listener, 1), PST_OK);
        CHECK_EQ(pst_ring_read(&listener, bytes, 3), 3);
        CHECK_EQ(pst_ring_turn(&listener, PST_RING_SILENCE_MS), PST_OK);
        CHECK_EQ(pst_ring_read(&listener, bytes, turn == 0 ? 8 : 0), turn == 0 ? 1 : 0);
        CHECK_EQ(pst_ring_turn(&listener, PST_RING_SILENCE_MS + 2),
                 turn == 0 ? PST_ERR_CLOSED : PST_ERR_TIMEOUT);
    }
}

static void test_restarts(void **state)
{
    uint8_t bytes[8];

    (void)state;
    clear();
    listen(1);
    call(2);
    join();
    CHECK_EQ(pst_ring_write(&caller, (const uint8_t *)"old", 3), 3);
    call(3); /* without telling the peer */
    CHECK_EQ(pst_ring_turn(&listener, 0), PST_ERR_UNEXPECTED);
    CHECK_EQ(pst_ring_turn(&caller, 0), PST_PENDING);
    CHECK_EQ(pst_ring_read(&listener, bytes, sizeof bytes), 0);
    listen(4);
    join();
    CHECK_EQ(pst_ring_read(&listener, bytes, sizeof bytes), 0); /* nothing of the old one */
    listen(5);
    CHECK_EQ(pst_ring_turn(&caller, 0), PST_ERR_UNEXPECTED);
    call(6);
    join();
    pst_ring_close(&listener);
    CHECK_EQ(pst_ring_turn(&caller, 0), PST_ERR_CLOSED);
    call(7); /* what a dead listener left behind is no listener */
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(pst_ring_turn(&caller, 0), PST_PENDING);
    }
    poke(0, PST_RING_GENERATION, 5);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(pst_ring_turn(&caller, 0), PST_PENDING);
    }
}

/* A caller corrupts the block of a waiting listener: the next caller can still connect. */
static void test_scribbled(void **state)
{
    static const enum pst_ring_word words[] = {PST_RING_MAGIC, PST_RING_PROFILE, PST_RING_SIZE,
                                               PST_RING_PEER,  PST_RING_STATE,   PST_RING_HEAD,
                                               PST_RING_TAIL};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        clear();
        listen(1);
        poke(0, words[i], 77);
        CHECK_EQ(pst_ring_turn(&listener, 0), PST_PENDING);
        call(2);
        join();
        CHECK_EQ(pst_ring_write(&listener, (const uint8_t *)"a", 1), 1);
        CHECK_EQ(pst_ring_turn(&caller, 0), PST_OK);
    }
}

/* Another caller replaces the first one, which must not write to the memory any more. */
static void test_taken(void **state)
{
    struct pst_ring second;

    (void)state;
    clear();
    listen(1);
    call(2);
    join();
    CHECK_EQ(pst_ring_open(&second, &caller_port, SMALL, false, 9, 0), PST_OK);
    CHECK_EQ(pst_ring_turn(&caller, 0), PST_ERR_UNEXPECTED);
    pst_ring_close(&caller);
    CHECK_EQ(load(NULL, PST_RING_BLOCK + PST_RING_GENERATION), 9);
}

static void test_silence(void **state)
{
    (void)state;
    clear();
    listen(1);
    call(2);
    join();
    for (uint64_t now = 0; now < 5 * PST_RING_SILENCE_MS; now += 1000) {
        CHECK_EQ(pst_ring_turn(&listener, now), PST_OK);
        CHECK_EQ(pst_ring_turn(&caller, now), PST_OK);
    }
    CHECK_EQ(pst_ring_turn(&caller, 5 * PST_RING_SILENCE_MS + 500), PST_OK);
    CHECK_EQ(pst_ring_turn(&caller, 7 * PST_RING_SILENCE_MS), PST_ERR_TIMEOUT);
}

static void test_lies(void **state)
{
    static const struct {
        enum pst_ring_word word;
        uint32_t value;
    } lies[] = {
        {PST_RING_HEAD, PST_RING_LEAST + 1},
        {PST_RING_HEAD, 0xFFFFFFFF        },
        {PST_RING_HEAD, 2                 }, /* it was 3 */
        {PST_RING_TAIL, 4                 }, /* of 3 */
        {PST_RING_TAIL, 0xFFFFFFFF        },
    };
    uint8_t bytes[PST_RING_LEAST];

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        clear();
        listen(1);
        call(2);
        join();
        CHECK_EQ(pst_ring_write(&caller, (const uint8_t *)"abc", 3), 3);
        CHECK_EQ(pst_ring_write(&listener, (const uint8_t *)"abc", 3), 3);
        CHECK_EQ(pst_ring_turn(&listener, 0), PST_OK);
        poke(PST_RING_BLOCK, lies[i].word, lies[i].value);
        if (lies[i].word == PST_RING_TAIL) {
            CHECK_EQ(pst_ring_write(&listener, bytes, 1), 0);
        } else {
            CHECK_EQ(pst_ring_read(&listener, bytes, sizeof bytes), 0);
        }
        CHECK_EQ(pst_ring_turn(&listener, 0), PST_ERR_DECODE);
    }
}

static void test_greeting_lies(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        clear();
        listen(1);
        call(2);
        CHECK_EQ(pst_ring_turn(&caller, 0), PST_PENDING);
        poke(PST_RING_BLOCK,
             i == 0   ? PST_RING_MAGIC
             : i == 1 ? PST_RING_PROFILE
                      : PST_RING_SIZE,
             PST_PROFILE_VERSION + 1);
        CHECK_EQ(pst_ring_turn(&listener, 0), i == 0   ? PST_PENDING
                                              : i == 1 ? PST_ERR_PROFILE
                                                       : PST_ERR_DECODE);
    }
}

/* --- two threads --- */

enum { THREADED = 200000 };

static void *other_side(void *arg)
{
    struct pst_test_rng rng = {.state = 77};
    uint8_t bytes[1500];
    size_t got = 0;

    (void)arg;
    while (got < THREADED) {
        if (pst_ring_turn(&caller, 0) < PST_PENDING) {
            return NULL;
        }
        const size_t n = pst_ring_read(&caller, bytes, 1 + pst_test_rng_below(&rng, 1500));
        for (size_t i = 0; i < n; i++) {
            if (bytes[i] != (uint8_t)((got + i) * 11)) {
                return NULL;
            }
        }
        for (size_t at = 0; at < n;) {
            at += pst_ring_write(&caller, bytes + at, n - at);
        }
        got += n;
    }
    return &caller;
}

static void test_threads(void **state)
{
    uint8_t bytes[1500];
    size_t sent = 0, got = 0;
    pthread_t thread;
    void *result = NULL;

    (void)state;
    clear();
    CHECK_EQ(pst_ring_open(&listener, &listener_port, LARGE, true, 1, 0), PST_OK);
    CHECK_EQ(pst_ring_open(&caller, &caller_port, LARGE, false, 2, 0), PST_OK);
    CHECK_EQ(pthread_create(&thread, NULL, other_side, NULL), 0);
    while (got < THREADED) {
        CHECK(pst_ring_turn(&listener, 0) >= PST_PENDING);
        const size_t want = THREADED - sent < sizeof bytes ? THREADED - sent : sizeof bytes;
        for (size_t i = 0; i < want; i++) {
            bytes[i] = (uint8_t)((sent + i) * 11);
        }
        sent += pst_ring_write(&listener, bytes, want);
        const size_t n = pst_ring_read(&listener, bytes, sizeof bytes);
        for (size_t i = 0; i < n; i++) {
            CHECK_EQ(bytes[i], (uint8_t)((got + i) * 11));
        }
        got += n;
    }
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == &caller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),      cmocka_unit_test(test_interleavings),
        cmocka_unit_test(test_finish),    cmocka_unit_test(test_unread),
        cmocka_unit_test(test_scribbled), cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_taken),     cmocka_unit_test(test_silence),
        cmocka_unit_test(test_lies),      cmocka_unit_test(test_greeting_lies),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
