/* Secured messages: recorded ones, and every error that one may have. */
#include "pst_test.h"

#include "openssl/openssl_port.h"
#include "postern/parts/record.h"

#define SESSION 0xFFFFFFFFu
#define ROOM 512

/* A record that the reference implementation sent, and what it protects. `sequence` records were
 * sent under the key before it. */
struct known {
    const char *key, *iv, *wire, *plain;
    pst_aead_id aead;
    uint8_t sequence_len;
    bool encrypt;
    bool exact; /* no random bytes inside, so that sealing gives the same bytes */
    uint8_t sequence;
};

/* Version 14 cannot align this one. */
/* clang-format off */
static const struct known known[] = {
    {.key = "7226e0fe7f12230ab95304f8d3537304",
     .iv = "d251fc11cd5bce307e4a37c5",
     .wire = "ffffffff36000358656c01d74d5055b3bd677ce632fa468c803834d92b8b044d580dc859660c"
             "981b7951f0453ff7a059f53ffda9e4d79f67ce55b520",
     .plain = "12e50000ce65753eb7b263b96c89e5df38851ef9ccbdad3dae0951c9ae58b85b6deaa49e",
     .aead = PST_AES_128_GCM,
     .sequence_len = 0,
     .encrypt = true,
     .exact = true,
     .sequence = 0},
    {.key = "38743a8daf02d3682cb33d59b08b0f94",
     .iv = "3b32f781dc32ccc26608f243",
     .wire = "ffffffff1600fc27c28091f16ef2d7ff998603f52568fe6b1853a2a5",
     .plain = "1269010e",
     .aead = PST_AES_128_GCM,
     .sequence_len = 0,
     .encrypt = true,
     .exact = true,
     .sequence = 0},
    {.key = "38743a8daf02d3682cb33d59b08b0f94",
     .iv = "3b32f781dc32ccc26608f243",
     .wire = "ffffffff160061b558a409474e7317cc155c4d11ba74641a2a3d0e56",
     .plain = "126c0000",
     .aead = PST_AES_128_GCM,
     .sequence_len = 0,
     .encrypt = true,
     .exact = true,
     .sequence = 2},
    {.key = "7fd67113918ac9b1007d56a6ab316adbff676ff890e5ef66ec706f209e5cf15f",
     .iv = "1ca4891f8685a14d20a43eb4",
     .wire = "ffffffff00005b00a3269793e09600e2fff0de3de8d45039061f012362e5bbbba9365f3f7f69"
             "c9dd78e9fe6d0ca3145859638abbfb38d25017813efb3d8bd175865fb391bae17bb48875a9e0"
             "85406ea0280dfc3c2fe63e835bf642e2655651e33b937e",
     .plain = "0513e5000070ff64273b138afc37298c7356346e2216811e85c1deb42622e693bc8f998f89d3"
              "b9663392986445655bf72cd90d15aa",                                                   .aead = PST_AES_256_GCM,
     .sequence_len = 2,
     .encrypt = true,
     .exact = false,
     .sequence = 0},
    {.key = "cd4221969bac7c26ef7ec5930a9976156ec2a98ffb938874a209c888c950fc62",
     .iv = "62ff908925f30620c42f8afb",
     .wire = "ffffffff03003300222422591d76b866eee6e6f4eef88840e59dddc0291ed9381daeabb244ce"
             "1446463a2e11fdca0eefc29865f507dc2482b6f5d4",
     .plain = "05136c0000",
     .aead = PST_AES_256_GCM,
     .sequence_len = 2,
     .encrypt = true,
     .exact = false,
     .sequence = 3},
    {.key = "52abd49abd13951acaaac9d81d85df63",
     .iv = "1e1f3fb6a9c071dfa868f13a",
     .wire = "ffffffff000015000512e903f0f58d054109d3dbe7df946d40eda7da42",
     .plain = "0512e903f0",
     .aead = PST_AES_128_GCM,
     .sequence_len = 2,
     .encrypt = false,
     .exact = true,
     .sequence = 0},
    {.key = "997f9131e8bf84d2e3f43341f09293ba",
     .iv = "66243b1444ea021acbc6a3f9",
     .wire = "ffffffff0300150005126c00008be08c28e87ec120476085f34e5a4ab4",
     .plain = "05126c0000",
     .aead = PST_AES_128_GCM,
     .sequence_len = 2,
     .encrypt = false,
     .exact = true,
     .sequence = 3},
};
/* clang-format on */

static struct pst_traffic_key key_of(const struct known *k)
{
    struct pst_traffic_key key = {.aead = k->aead};

    pst_test_hex(k->key, key.key, sizeof key.key);
    CHECK_EQ(pst_test_hex(k->iv, key.iv, sizeof key.iv), PST_IV_LEN);
    return key;
}

/* Both ends of a session's one direction: `from` seals, `to` opens. */
struct pair {
    struct pst_record from, to;
};

struct shape {
    uint8_t sequence_len;
    bool window;
    bool encrypt;
    uint64_t limit;
    uint32_t forgery_limit;
};

static const uint8_t some_iv[PST_IV_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void place(struct pst_record *r, pst_direction direction, bool encrypt, uint8_t fill)
{
    struct pst_traffic_key key = {.aead = PST_AES_256_GCM};

    memset(key.key, fill, sizeof key.key);
    memcpy(key.iv, some_iv, sizeof key.iv);
    CHECK_EQ(pst_record_place(r, SESSION, PST_KEYS_APPLICATION, direction, encrypt, &key), PST_OK);
}

static void pair_open(struct pair *p, struct shape shape)
{
    struct pst_record_config config = {
        .crypto = pst_openssl_crypto(),
        .sends = PST_TO_RESPONDER,
        .sequence_len = shape.sequence_len,
        .window = shape.window,
        .limit = shape.limit,
        .forgery_limit = shape.forgery_limit,
    };

    CHECK_EQ(pst_record_init(&p->from, &config), PST_OK);
    config.sends = PST_TO_REQUESTER;
    CHECK_EQ(pst_record_init(&p->to, &config), PST_OK);
    place(&p->from, PST_TO_RESPONDER, shape.encrypt, 7);
    place(&p->to, PST_TO_RESPONDER, shape.encrypt, 7);
}

static void pair_close(struct pair *p)
{
    pst_record_wipe(&p->from);
    pst_record_wipe(&p->to);
}

/* Seals `payload` and returns the record's length. */
static size_t seal(struct pst_record *r, uint8_t rec[ROOM], const char *payload)
{
    size_t len = 0;

    memcpy(rec + pst_record_head(r), payload, strlen(payload));
    CHECK_EQ(pst_record_seal(r, rec, ROOM, strlen(payload), 0, &len), PST_OK);
    return len;
}

/* Opens a copy, so that `rec` may be used again. */
static pst_err try_open(struct pst_record *r, const uint8_t *rec, size_t len, const char *expected)
{
    uint8_t copy[ROOM];
    struct pst_bytes payload = {NULL, 0};
    pst_key_phase phase = PST_KEYS_HANDSHAKE;
    pst_err err;

    memcpy(copy, rec, len);
    err = pst_record_open(r, copy, len, &payload, &phase);
    if (err == PST_OK) {
        CHECK_EQ(phase, PST_KEYS_APPLICATION);
        CHECK_EQ(payload.len, strlen(expected));
        CHECK_BYTES(payload.at, expected, payload.len);
        CHECK(payload.at >= copy && payload.at + payload.len <= copy + len);
    }
    return err;
}

static void open_known(const struct known *k)
{
    struct pst_record_config config = {
        .crypto = pst_openssl_crypto(), .sends = PST_TO_REQUESTER, .sequence_len = k->sequence_len};
    struct pst_traffic_key key = key_of(k);
    struct pst_record to, from;
    uint8_t wire[ROOM], plain[ROOM], rec[ROOM];
    size_t wire_len = pst_test_hex(k->wire, wire, sizeof wire);
    size_t plain_len = pst_test_hex(k->plain, plain, sizeof plain);
    size_t len;
    struct pst_bytes payload;
    pst_key_phase phase;

    CHECK_EQ(pst_record_init(&to, &config), PST_OK);
    config.sends = PST_TO_RESPONDER;
    CHECK_EQ(pst_record_init(&from, &config), PST_OK);
    CHECK_EQ(pst_record_place(&to, SESSION, PST_KEYS_HANDSHAKE, PST_TO_RESPONDER, k->encrypt, &key),
             PST_OK);
    CHECK_EQ(
        pst_record_place(&from, SESSION, PST_KEYS_HANDSHAKE, PST_TO_RESPONDER, k->encrypt, &key),
        PST_OK);
    for (int i = 0; i < k->sequence; i++) {
        CHECK_EQ(pst_record_seal(&from, rec, sizeof rec, 1, 0, &len), PST_OK);
        CHECK_EQ(pst_record_open(&to, rec, len, &payload, &phase), PST_OK);
    }
    memcpy(rec + pst_record_head(&from), plain, plain_len);
    CHECK_EQ(pst_record_seal(&from, rec, sizeof rec, plain_len, 0, &len), PST_OK);
    if (k->exact) {
        CHECK_EQ(len, wire_len);
        CHECK_BYTES(rec, wire, len);
    }
    CHECK_EQ(pst_record_open(&to, wire, wire_len, &payload, &phase), PST_OK);
    CHECK_EQ(phase, PST_KEYS_HANDSHAKE);
    CHECK_EQ(payload.len, plain_len);
    CHECK_BYTES(payload.at, plain, plain_len);
    pst_record_wipe(&to);
    pst_record_wipe(&from);
}

static void test_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        open_known(&known[i]);
    }
}

/* No recording has 8 bytes: the layout by hand, the AEAD by the port. */
static void test_eight_bytes(void **state)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    uint8_t key[32], nonce[PST_IV_LEN], rec[ROOM], body[5] = {3, 0, 'a', 'b', 'c'}, tag[16];
    static const uint8_t header[14] = {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 21, 0};
    struct pst_aead aead;
    struct pair p;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 8, .encrypt = true});
    (void)seal(&p.from, rec, "first");
    CHECK_EQ(seal(&p.from, rec, "abc"), sizeof header + 21);
    memset(key, 7, sizeof key);
    memcpy(nonce, some_iv, sizeof nonce);
    nonce[0] ^= 1;
    CHECK_EQ(c->aead_init(c->ctx, &aead, PST_AES_256_GCM, key), PST_OK);
    CHECK_EQ(c->aead_seal(c->ctx, &aead, nonce, header, sizeof header, body, sizeof body, tag),
             PST_OK);
    c->aead_wipe(c->ctx, &aead);
    CHECK_BYTES(rec, header, sizeof header);
    CHECK_BYTES(rec + sizeof header, body, sizeof body);
    CHECK_BYTES(rec + sizeof header + sizeof body, tag, sizeof tag);
    pair_close(&p);
}

static const struct shape shapes[] = {
    {.sequence_len = 0, .window = false, .encrypt = true },
    {.sequence_len = 0, .window = false, .encrypt = false},
    {.sequence_len = 2, .window = false, .encrypt = true },
    {.sequence_len = 2, .window = false, .encrypt = false},
    {.sequence_len = 8, .window = false, .encrypt = true },
    {.sequence_len = 8, .window = false, .encrypt = false},
    {.sequence_len = 2, .window = true,  .encrypt = true },
    {.sequence_len = 8, .window = true,  .encrypt = true },
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static void test_truncated(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct pair p;
        uint8_t rec[ROOM];

        pair_open(&p, shapes[i]);
        size_t len = seal(&p.from, rec, "truncate me");
        for (size_t n = 0; n < len; n++) {
            CHECK_EQ(try_open(&p.to, rec, n, ""), PST_ERR_DECODE);
        }
        memset(rec + len, 0xA5, 3); /* a transport's padding does no harm */
        CHECK_EQ(try_open(&p.to, rec, len + 3, "truncate me"), PST_OK);
        pair_close(&p);
    }
}

static void test_flipped(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct pair p;
        uint8_t rec[ROOM];

        pair_open(&p, shapes[i]);
        size_t len = seal(&p.from, rec, "change me");
        for (size_t n = 0; n < len; n++) {
            for (int change = 1; change < 256; change++) {
                rec[n] = (uint8_t)(rec[n] ^ change);
                pst_err err = try_open(&p.to, rec, len, "");
                CHECK(err == PST_ERR_DECODE || err == PST_ERR_AUTH || err == PST_ERR_REPLAY);
                rec[n] = (uint8_t)(rec[n] ^ change);
            }
        }
        CHECK_EQ(try_open(&p.to, rec, len, "change me"), PST_OK);
        pair_close(&p);
    }
}

/* Correctly sealed by the peer, but with a length that is too large. */
static void test_inner_length(void **state)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    uint8_t key[32], rec[ROOM] = {0xff, 0xff, 0xff, 0xff, 21, 0, 4, 0, 'a', 'b', 'c'};
    struct pst_aead aead;
    struct pair p;

    (void)state;
    pair_open(&p, (struct shape){.encrypt = true});
    memset(key, 7, sizeof key);
    CHECK_EQ(c->aead_init(c->ctx, &aead, PST_AES_256_GCM, key), PST_OK);
    CHECK_EQ(c->aead_seal(c->ctx, &aead, some_iv, rec, 6, rec + 6, 5, rec + 11), PST_OK);
    c->aead_wipe(c->ctx, &aead);
    CHECK_EQ(try_open(&p.to, rec, 27, ""), PST_ERR_DECODE);
    CHECK_EQ(try_open(&p.to, rec, seal(&p.from, rec, "fine"), "fine"), PST_OK);
    pair_close(&p);
}

static void test_replay_exact(void **state)
{
    static const uint8_t lens[] = {0, 2, 8};

    (void)state;
    for (size_t i = 0; i < sizeof lens; i++) {
        struct pair p;
        uint8_t one[ROOM], two[ROOM];
        pst_err wrong = lens[i] == 0 ? PST_ERR_AUTH : PST_ERR_REPLAY;

        pair_open(&p, (struct shape){.sequence_len = lens[i], .encrypt = true});
        size_t one_len = seal(&p.from, one, "one");
        size_t two_len = seal(&p.from, two, "two");
        CHECK_EQ(try_open(&p.to, two, two_len, "two"), wrong);
        CHECK_EQ(try_open(&p.to, one, one_len, "one"), PST_OK);
        CHECK_EQ(try_open(&p.to, one, one_len, "one"), wrong);
        CHECK_EQ(try_open(&p.to, two, two_len, "two"), PST_OK);
        pair_close(&p);
    }
}

#define MANY 200

static void window_of(uint8_t sequence_len)
{
    static uint8_t recs[MANY][ROOM];
    struct pair p;
    size_t len = 0;

    pair_open(&p, (struct shape){.sequence_len = sequence_len, .window = true, .encrypt = true});
    for (size_t i = 0; i < MANY; i++) {
        len = seal(&p.from, recs[i], "x");
    }
    CHECK_EQ(try_open(&p.to, recs[100], len, "x"), PST_OK); /* a gap */
    CHECK_EQ(try_open(&p.to, recs[100], len, "x"), PST_ERR_REPLAY);
    CHECK_EQ(try_open(&p.to, recs[37], len, "x"), PST_OK); /* the oldest of 64 */
    CHECK_EQ(try_open(&p.to, recs[36], len, "x"), PST_ERR_REPLAY);
    CHECK_EQ(try_open(&p.to, recs[0], len, "x"), PST_ERR_REPLAY);
    for (size_t i = 99; i > 37; i--) {
        CHECK_EQ(try_open(&p.to, recs[i], len, "x"), PST_OK);
    }
    for (size_t i = 0; i <= 100; i++) {
        CHECK_EQ(try_open(&p.to, recs[i], len, "x"), PST_ERR_REPLAY);
    }
    CHECK_EQ(try_open(&p.to, recs[163], len, "x"), PST_OK); /* shifts 63: 100 is still known */
    CHECK_EQ(try_open(&p.to, recs[100], len, "x"), PST_ERR_REPLAY);
    CHECK_EQ(try_open(&p.to, recs[101], len, "x"), PST_OK);
    CHECK_EQ(try_open(&p.to, recs[199], len, "x"), PST_OK);
    CHECK_EQ(try_open(&p.to, recs[163], len, "x"), PST_ERR_REPLAY);
    CHECK_EQ(try_open(&p.to, recs[164], len, "x"), PST_OK);
    pair_close(&p);
}

static void test_window(void **state)
{
    (void)state;
    window_of(2);
    window_of(8);
}

/* The 16-bit number comes around; records around it are lost and swapped. */
static void test_wrap(void **state)
{
    struct pair p;
    uint8_t rec[ROOM], late[ROOM];
    size_t len, late_len = 0;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 2, .window = true, .encrypt = true});
    for (uint32_t n = 0; n < 0x20010u; n++) {
        bool around = (n & 0xFFFF) >= 0xFFF0u || (n & 0xFFFF) < 0x10u;

        if (n % 0x7000u != 0 && !around) {
            /* lost: the sender's number moves on, the receiver sees nothing */
            CHECK_EQ(pst_record_seal(&p.from, rec, sizeof rec, 0, 0, &len), PST_OK);
            continue;
        }
        if ((n & 0xFFFF) == 0xFFFFu) {
            late_len = seal(&p.from, late, "late");
            continue;
        }
        len = seal(&p.from, rec, "now");
        CHECK_EQ(try_open(&p.to, rec, len, "now"), PST_OK);
        CHECK_EQ(try_open(&p.to, rec, len, "now"), PST_ERR_REPLAY);
        if ((n & 0xFFFF) == 3 && late_len > 0) {
            CHECK_EQ(try_open(&p.to, late, late_len, "late"), PST_OK);
            CHECK_EQ(try_open(&p.to, late, late_len, "late"), PST_ERR_REPLAY);
        }
    }
    pair_close(&p);
}

static void test_wrap_exact(void **state)
{
    struct pair p;
    uint8_t rec[ROOM], first[ROOM];
    size_t len, first_len;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 2, .encrypt = true});
    first_len = seal(&p.from, first, "first");
    CHECK_EQ(try_open(&p.to, first, first_len, "first"), PST_OK);
    for (uint32_t n = 1; n < 0x10000u; n++) {
        len = seal(&p.from, rec, "x");
        CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_OK);
    }
    /* the same wire number as the first, another nonce */
    CHECK_EQ(try_open(&p.to, first, first_len, "first"), PST_ERR_AUTH);
    len = seal(&p.from, rec, "again");
    CHECK_EQ(pst_peek_u16(rec + 4), 0);
    CHECK_EQ(try_open(&p.to, rec, len, "again"), PST_OK);
    pair_close(&p);
}

static void test_limit(void **state)
{
    struct pair p;
    uint8_t rec[ROOM];
    size_t len;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 2, .encrypt = true, .limit = 3});
    CHECK_EQ(pst_record_left(&p.from), 3);
    for (int i = 0; i < 3; i++) {
        len = seal(&p.from, rec, "x");
        CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_OK);
    }
    CHECK_EQ(pst_record_left(&p.from), 0);
    CHECK_EQ(pst_record_left(&p.to), 0);
    CHECK_EQ(pst_record_seal(&p.from, rec, sizeof rec, 1, 0, &len), PST_ERR_LIMIT);
    pst_poke_u16(rec + 4, 3);
    CHECK_EQ(try_open(&p.to, rec, len, ""), PST_ERR_LIMIT);
    /* a new key starts again */
    place(&p.from, PST_TO_RESPONDER, true, 8);
    place(&p.to, PST_TO_RESPONDER, true, 8);
    len = seal(&p.from, rec, "y");
    CHECK_EQ(try_open(&p.to, rec, len, "y"), PST_OK);
    CHECK_EQ(pst_record_left(&p.from), 2);
    pair_close(&p);
}

/* A sequence number beyond the limit is refused before decryption and does not change the state. */
static void test_limit_window(void **state)
{
    struct pair p;
    uint8_t rec[ROOM];
    size_t len;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 8, .window = true, .encrypt = true, .limit = 100});
    len = seal(&p.from, rec, "x");
    pst_poke_u64(rec + 4, 100);
    CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_ERR_REPLAY);
    pst_poke_u64(rec + 4, UINT64_MAX);
    CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_ERR_REPLAY);
    pst_poke_u64(rec + 4, 99);
    CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_ERR_AUTH);
    pst_poke_u64(rec + 4, 0);
    CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_OK);
    pair_close(&p);
}

static void test_forgeries(void **state)
{
    struct pair p;
    uint8_t rec[ROOM];
    size_t len;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 2, .encrypt = true, .forgery_limit = 4});
    len = seal(&p.from, rec, "x");
    rec[len - 1] ^= 1;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(try_open(&p.to, rec, len, ""), PST_ERR_AUTH);
    }
    rec[len - 1] ^= 1;
    CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_OK);
    len = seal(&p.from, rec, "y");
    rec[len - 1] ^= 1;
    CHECK_EQ(try_open(&p.to, rec, len, ""), PST_ERR_LIMIT);
    rec[len - 1] ^= 1;
    CHECK_EQ(try_open(&p.to, rec, len, "y"), PST_ERR_LIMIT); /* this key is finished */
    place(&p.to, PST_TO_RESPONDER, true, 7);
    place(&p.from, PST_TO_RESPONDER, true, 7);
    len = seal(&p.from, rec, "z");
    CHECK_EQ(try_open(&p.to, rec, len, "z"), PST_OK);
    pair_close(&p);
}

static void test_wrong_session(void **state)
{
    struct pair p;
    uint8_t rec[ROOM];
    uint32_t id = 0;
    struct pst_traffic_key key = {.aead = PST_AES_256_GCM};

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 2, .encrypt = true});
    size_t len = seal(&p.from, rec, "x");
    CHECK_EQ(pst_record_session(rec, len, &id), PST_OK);
    CHECK_EQ(id, SESSION);
    CHECK_EQ(pst_record_session(rec, 21, &id), PST_ERR_DECODE);
    pst_poke_u32(rec, 5);
    CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_ERR_DECODE);
    CHECK_EQ(pst_record_place(&p.to, 5, PST_KEYS_HANDSHAKE, PST_TO_RESPONDER, true, &key),
             PST_ERR_STATE);
    CHECK_EQ(pst_record_place(&p.to, SESSION, PST_KEYS_HANDSHAKE, PST_TO_REQUESTER, false, &key),
             PST_ERR_ARGUMENT);
    pst_poke_u32(rec, SESSION);
    CHECK_EQ(try_open(&p.to, rec, len, "x"), PST_OK);
    pair_close(&p);
}

/* One direction changes keys, the other goes on. */
static void test_rekey(void **state)
{
    struct pair p;
    uint8_t rec[ROOM], old[ROOM];
    size_t len, old_len;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 2, .encrypt = true});
    place(&p.from, PST_TO_REQUESTER, true, 9);
    place(&p.to, PST_TO_REQUESTER, true, 9);
    len = seal(&p.to, rec, "back");
    CHECK_EQ(try_open(&p.from, rec, len, "back"), PST_OK);
    old_len = seal(&p.from, old, "old");
    place(&p.from, PST_TO_RESPONDER, true, 8);
    place(&p.to, PST_TO_RESPONDER, true, 8);
    CHECK_EQ(try_open(&p.to, old, old_len, "old"), PST_ERR_AUTH);
    len = seal(&p.from, rec, "new");
    CHECK_EQ(pst_peek_u16(rec + 4), 0);
    CHECK_EQ(try_open(&p.to, rec, len, "new"), PST_OK);
    len = seal(&p.to, rec, "still");
    CHECK_EQ(pst_peek_u16(rec + 4), 1);
    CHECK_EQ(try_open(&p.from, rec, len, "still"), PST_OK);
    pair_close(&p);
}

static bool holds(const void *memory, size_t len, const void *what, size_t what_len)
{
    const uint8_t *at = memory;

    for (size_t i = 0; i + what_len <= len; i++) {
        if (memcmp(at + i, what, what_len) == 0) {
            return true;
        }
    }
    return false;
}

static void test_wipe(void **state)
{
    struct pair p;
    uint8_t rec[ROOM];
    size_t len = 0;
    struct pst_bytes payload;
    pst_key_phase phase;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 2, .encrypt = true});
    len = seal(&p.from, rec, "x");
    CHECK(holds(&p.from, sizeof p.from, some_iv, sizeof some_iv));
    pst_record_wipe(&p.from);
    pst_record_wipe(&p.to);
    CHECK(!holds(&p.from, sizeof p.from, some_iv, sizeof some_iv));
    CHECK_EQ(pst_record_seal(&p.from, rec, sizeof rec, 1, 0, &len), PST_ERR_STATE);
    CHECK_EQ(pst_record_open(&p.to, rec, len, &payload, &phase), PST_ERR_STATE);
    CHECK_EQ(pst_record_left(&p.from), 0);
    pst_record_wipe(&p.from);
    place(&p.from, PST_TO_RESPONDER, false, 7); /* and it can serve the next session */
    (void)seal(&p.from, rec, "y");
    pair_close(&p);
}

static void test_space(void **state)
{
    static uint8_t big[65536 + 64];
    struct pair p;
    size_t len = 99;
    struct pst_bytes payload;
    pst_key_phase phase;

    (void)state;
    pair_open(&p, (struct shape){.sequence_len = 8, .encrypt = true});
    CHECK_EQ(pst_record_seal(&p.from, big, 16 + 10 + 15, 10, 0, &len), PST_ERR_SPACE);
    CHECK_EQ(pst_record_seal(&p.from, big, 0, 0, 0, &len), PST_ERR_SPACE);
    CHECK_EQ(pst_record_seal(&p.from, big, sizeof big, PST_RECORD_MAX_PAYLOAD + 1, 0, &len),
             PST_ERR_SPACE);
    CHECK_EQ(pst_record_seal(&p.from, big, sizeof big, PST_RECORD_MAX_PAYLOAD, 1, &len),
             PST_ERR_SPACE);
    CHECK_EQ(pst_record_seal(&p.from, big, SIZE_MAX, SIZE_MAX - 8, 0, &len), PST_ERR_SPACE);
    CHECK_EQ(pst_record_seal(&p.from, big, SIZE_MAX, 1, SIZE_MAX, &len), PST_ERR_SPACE);
    CHECK_EQ(len, 99);
    CHECK_EQ(pst_record_seal(&p.from, big, sizeof big, PST_RECORD_MAX_PAYLOAD, 0, &len), PST_OK);
    CHECK_EQ(len, 14 + 65535);
    CHECK_EQ(pst_peek_u64(big + 4), 0); /* no failure used a number */
    CHECK_EQ(pst_record_open(&p.to, big, len, &payload, &phase), PST_OK);
    CHECK_EQ(payload.len, PST_RECORD_MAX_PAYLOAD);
    pair_close(&p);
}

static void test_init(void **state)
{
    struct pst_record r;

    (void)state;
    for (unsigned n = 0; n < 256; n++) {
        struct pst_record_config config = {.crypto = pst_openssl_crypto(),
                                           .sequence_len = (uint8_t)n};
        bool good = n == 0 || n == 2 || n == 8;

        CHECK_EQ(pst_record_init(&r, &config), good ? PST_OK : PST_ERR_CONFIG);
        config.window = true;
        CHECK_EQ(pst_record_init(&r, &config), good && n > 0 ? PST_OK : PST_ERR_CONFIG);
    }
}

static void test_key_port(void **state)
{
    struct pst_record_config config = {.crypto = pst_openssl_crypto(), .sequence_len = 2};
    struct pst_record records[2];
    struct pst_record_set set = {records, 2};
    struct pst_key_port port = pst_record_key_port(&set);
    struct pst_traffic_key key = {.aead = PST_CHACHA20_POLY1305};
    uint8_t rec[ROOM];
    size_t len;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQ(pst_record_init(&records[i], &config), PST_OK);
    }
    for (uint32_t id = 1; id <= 3; id++) {
        pst_err want = id < 3 ? PST_OK : PST_ERR_LIMIT;

        CHECK_EQ(port.place(port.ctx, id, PST_KEYS_HANDSHAKE, PST_TO_RESPONDER, true, &key), want);
        CHECK_EQ(port.place(port.ctx, id, PST_KEYS_HANDSHAKE, PST_TO_REQUESTER, true, &key), want);
    }
    CHECK(pst_record_find(&set, 1) == &records[0]);
    CHECK(pst_record_find(&set, 3) == NULL);
    port.drop(port.ctx, 3);
    port.drop(port.ctx, 1);
    CHECK(pst_record_find(&set, 1) == NULL);
    CHECK_EQ(pst_record_seal(&records[0], rec, sizeof rec, 1, 0, &len), PST_ERR_STATE);
    CHECK_EQ(port.place(port.ctx, 3, PST_KEYS_HANDSHAKE, PST_TO_RESPONDER, true, &key), PST_OK);
    CHECK(pst_record_find(&set, 3) == &records[0]);
    CHECK(pst_record_find(&set, 2) == &records[1]);
    port.drop(port.ctx, 2);
    port.drop(port.ctx, 3);
}

/* A slow model of the records that a receiver must have accepted. */
struct model {
    bool seen[600];
    int64_t newest;
};

static pst_err model_expect(const struct model *m, size_t n, bool window)
{
    if (!window) {
        return (int64_t)n == m->newest + 1 ? PST_OK : PST_ERR_REPLAY;
    }
    if (m->seen[n] || (int64_t)n <= m->newest - 64) {
        return PST_ERR_REPLAY;
    }
    return PST_OK;
}

/* Lost, repeated, swapped, changed and foreign records: exactly those of the model are accepted. */
static void property(struct shape shape, uint64_t seed)
{
    static uint8_t recs[600][64];
    static size_t lens[600];
    struct pst_test_rng rng = {seed};
    struct model model = {.newest = -1};
    struct pair p;
    size_t sent = 0;

    pair_open(&p, shape);
    for (int step = 0; step < 2000; step++) {
        uint8_t copy[64];
        struct pst_bytes payload;
        pst_key_phase phase;

        if (sent < 600 && pst_test_rng_below(&rng, 3) == 0) {
            size_t n = pst_test_rng_below(&rng, 16);

            memset(recs[sent] + pst_record_head(&p.from), (int)(sent & 0xFF), n);
            CHECK_EQ(pst_record_seal(&p.from, recs[sent], 64, n,
                                     shape.encrypt ? pst_test_rng_below(&rng, 9) : 0, &lens[sent]),
                     PST_OK);
            sent++;
        }
        if (sent == 0) {
            continue;
        }
        size_t back = pst_test_rng_below(&rng, pst_test_rng_below(&rng, 4) == 0 ? 100 : 4);
        size_t n = back < sent ? sent - 1 - back : 0;

        if (!shape.window && pst_test_rng_below(&rng, 2) == 0 && model.newest + 1 < (int64_t)sent) {
            n = (size_t)(model.newest + 1);
        }
        memcpy(copy, recs[n], lens[n]);
        if (pst_test_rng_below(&rng, 3) == 0) {
            copy[pst_test_rng_below(&rng, lens[n])] ^= (uint8_t)(1u << pst_test_rng_below(&rng, 8));
            CHECK(pst_record_open(&p.to, copy, lens[n], &payload, &phase) != PST_OK);
            continue;
        }
        pst_err want = model_expect(&model, n, shape.window);
        CHECK_EQ(pst_record_open(&p.to, copy, lens[n], &payload, &phase), want);
        if (want == PST_OK) {
            model.seen[n] = true;
            if ((int64_t)n > model.newest) {
                model.newest = (int64_t)n;
            }
            for (size_t i = 0; i < payload.len; i++) {
                CHECK_EQ(payload.at[i], n & 0xFF);
            }
        }
    }
    CHECK(model.newest > 100);
    pair_close(&p);
}

static void test_property(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        property((struct shape){.sequence_len = 2, .window = true, .encrypt = true}, seed);
        property((struct shape){.sequence_len = 8, .window = true}, seed);
        property((struct shape){.sequence_len = 2, .encrypt = true}, seed);
        property((struct shape){.sequence_len = 8}, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),         cmocka_unit_test(test_eight_bytes),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_inner_length),  cmocka_unit_test(test_replay_exact),
        cmocka_unit_test(test_window),        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_wrap_exact),    cmocka_unit_test(test_limit),
        cmocka_unit_test(test_limit_window),  cmocka_unit_test(test_forgeries),
        cmocka_unit_test(test_wrong_session), cmocka_unit_test(test_rekey),
        cmocka_unit_test(test_wipe),          cmocka_unit_test(test_space),
        cmocka_unit_test(test_init),          cmocka_unit_test(test_key_port),
        cmocka_unit_test(test_property),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
