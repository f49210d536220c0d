/* The record layer: two ends with fake tags, and a script. A payload may open only if the other end
 * sealed it under the current keys, and only once. A sealed payload must open unless the rules of
 * the binding forbid it. With `any_tag` only the layer's own checks protect the payload.
 *
 * pst-link: crypto wire
 *
 * Input: a byte of setup, then commands. */
#include "fuzz.h"

#include "fuzz/fake_crypto.h"
#include "postern/parts/record.h"

#define CAP 700
#define SENT 64

struct sent {
    uint8_t at[CAP];
    size_t len, payload;
    unsigned keys; /* which generation of keys */
    bool opened;
};

struct world {
    struct fake_crypto fake;
    struct pst_record a, b;
    struct sent sent[SENT];
    unsigned count, keys;
    uint8_t how;
};

static void place(struct world *w, uint8_t value)
{
    struct pst_traffic_key key = {.aead = (pst_aead_id)(PST_AES_128_GCM + value % 3)};
    bool encrypt = (w->how & 4) == 0;
    pst_key_phase phase = (value & 8) != 0 ? PST_KEYS_APPLICATION : PST_KEYS_HANDSHAKE;
    uint32_t id = (value & 16) != 0 ? 0xFFFFFFFF : 7;

    memset(key.key, value, sizeof key.key);
    key.key[0] = (uint8_t)(w->keys + 1);
    pst_err err = pst_record_place(&w->a, id, phase, PST_TO_RESPONDER, encrypt, &key);
    if (err == PST_OK) {
        err = pst_record_place(&w->b, id, phase, PST_TO_RESPONDER, encrypt, &key);
    }
    need(err == PST_OK || err == PST_ERR_STATE);
    if (err == PST_OK) {
        w->keys++;
    }
}

static void seal(struct world *w, uint8_t value)
{
    struct sent *s = &w->sent[w->count % SENT];
    size_t head = pst_record_head(&w->a);

    *s = (struct sent){.payload = value * 2u, .keys = w->keys};
    memset(s->at + head, value, s->payload);
    pst_err err = pst_record_seal(&w->a, s->at, CAP - (value & 1u) * 600u, s->payload,
                                  value % 5u == 0 ? value % 7u : 0, &s->len);
    need(err == PST_OK || err == PST_ERR_STATE || err == PST_ERR_SPACE || err == PST_ERR_LIMIT);
    if (err == PST_OK) {
        w->count++;
    }
}

/* Opens a copy in a buffer of exactly its size. */
static pst_err open_copy(struct world *w, const uint8_t *at, size_t len, struct pst_bytes *payload,
                         uint8_t *first)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    uint64_t left = pst_record_left(&w->b);
    pst_key_phase phase;
    uint32_t id;

    if (len > 0) {
        memcpy(copy, at, len);
    }
    pst_err err = pst_record_session(copy, len, &id);
    if (err == PST_OK) {
        err = pst_record_open(&w->b, copy, len, payload, &phase);
    }
    if (err == PST_OK) {
        need(id == w->b.session_id);
        need(payload->at >= copy && payload->len <= len &&
             payload->at + payload->len + PST_TAG_LEN <= copy + len);
        *first = payload->len > 0 ? payload->at[0] : 0;
    } else {
        need(pst_record_left(&w->b) == left); /* the receive state is as before */
    }
    free(copy);
    return err;
}

static void deliver(struct world *w, uint8_t which, struct pst_reader *r, bool change)
{
    struct pst_bytes payload;
    uint8_t copy[CAP], first = 0;

    if (w->count == 0) {
        return;
    }
    struct sent *s = &w->sent[which % (w->count < SENT ? w->count : SENT)];
    size_t len = s->len;
    if (len == 0) { /* nothing was sealed here */
        return;
    }
    memcpy(copy, s->at, len);
    if (change) {
        copy[pst_get_u16(r) % len] ^= pst_get_u8(r);
        len -= pst_get_u8(r) % 3u == 0 ? pst_get_u8(r) % len : 0;
    }
    bool same = len == s->len && memcmp(copy, s->at, len) == 0;
    pst_err err = open_copy(w, copy, len, &payload, &first);
    if (w->fake.any_tag) {
        return;
    }
    if (err == PST_OK) {
        need(same && s->keys == w->keys && !s->opened && payload.len == s->payload);
        need(s->payload == 0 || first == s->at[pst_record_head(&w->a)]);
        s->opened = true;
    }
}

static void raw(struct world *w, struct pst_reader *r, uint8_t len)
{
    struct pst_bytes payload, msg = pst_get_block(r, len < r->left ? len : r->left);
    uint8_t first;

    pst_err err = open_copy(w, msg.at, msg.len, &payload, &first);
    need(w->fake.any_tag || err != PST_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t lengths[] = {0, 2, 8, 8};
    static struct world w;
    struct pst_reader r = pst_reader_of(data, size);

    memset(&w, 0, sizeof w);
    w.how = pst_get_u8(&r);
    fake_crypto_init(&w.fake);
    w.fake.any_tag = (w.how & 16) != 0;
    struct pst_record_config config = {
        .crypto = &w.fake.crypto,
        .sends = PST_TO_RESPONDER,
        .sequence_len = lengths[w.how & 3],
        .window = (w.how & 8) != 0 && (w.how & 3) != 0,
        .limit = (w.how & 64) != 0 ? 10 : 0,
        .forgery_limit = (w.how & 128) != 0 ? 3 : 0,
    };
    need(pst_record_init(&w.a, &config) == PST_OK);
    config.sends = PST_TO_REQUESTER;
    need(pst_record_init(&w.b, &config) == PST_OK);
    while (r.left > 0 && !r.failed) {
        uint8_t op = pst_get_u8(&r), value = pst_get_u8(&r);

        switch (op & 7) {
        case 0:
            place(&w, value);
            break;
        case 1:
        case 2:
            seal(&w, value);
            break;
        case 3:
        case 4:
            deliver(&w, value, &r, false);
            break;
        case 5:
            deliver(&w, value, &r, true);
            break;
        case 6:
            raw(&w, &r, value);
            break;
        default:
            if (value < 16) {
                pst_record_wipe(&w.a);
                pst_record_wipe(&w.b);
            }
            break;
        }
    }
    pst_record_wipe(&w.a);
    pst_record_wipe(&w.b);
    fake_crypto_check(&w.fake);
    return 0;
}
