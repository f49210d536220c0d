/* Sealing and opening one session's records in place. */
#include <string.h>

#include "crypto/check.h"
#include "postern/parts/record.h"

#define DEFAULT_LIMIT (UINT64_C(1) << 23)
#define DEFAULT_FORGERIES (UINT32_C(1) << 16)
#define WINDOW 64

static size_t header_len(const struct pst_record *r)
{
    return 4u + r->config.sequence_len + 2u;
}

size_t pst_record_head(const struct pst_record *r)
{
    return header_len(r) + (r->encrypt ? 2u : 0u);
}

/* spec: DSP0277, nonce: the sequence number, little-endian, over bytes 0 to 7 of the IV. */
static void make_nonce(uint8_t nonce[PST_IV_LEN], const uint8_t iv[PST_IV_LEN], uint64_t sequence)
{
    memcpy(nonce, iv, PST_IV_LEN);
    for (size_t i = 0; i < 8; i++) {
        nonce[i] = (uint8_t)(nonce[i] ^ (sequence >> (8 * i)));
    }
}

static void put_sequence(uint8_t *at, uint8_t len, uint64_t sequence)
{
    if (len == 2) {
        pst_poke_u16(at, (uint16_t)sequence);
    } else if (len == 8) {
        pst_poke_u64(at, sequence);
    }
}

static bool shape_fits(const struct pst_record_config *config)
{
    uint8_t len = config->sequence_len;

    return len == 2 || len == 8 || (len == 0 && !config->window);
}

const char *pst_record_config_check(const struct pst_record_config *config)
{
    const char *why = psti_crypto_text(psti_check_ciphers(config->crypto));

    return why == NULL && !shape_fits(config)
               ? "sequence_len is not 0, 2 or 8, or is 0 with window set"
               : why;
}

pst_err pst_record_init(struct pst_record *r, const struct pst_record_config *config)
{
    if (psti_check_ciphers(config->crypto) != 0 || !shape_fits(config)) {
        return PST_ERR_CONFIG;
    }
    memset(r, 0, sizeof *r);
    r->config = *config;
    if (r->config.limit == 0) {
        r->config.limit = DEFAULT_LIMIT;
    }
    if (r->config.forgery_limit == 0) {
        r->config.forgery_limit = DEFAULT_FORGERIES;
    }
    return PST_OK;
}

static void half_wipe(const struct pst_crypto *crypto, struct pst_record_half *half)
{
    crypto->aead_wipe(crypto->ctx, &half->aead);
    pst_wipe(half, sizeof *half);
}

pst_err pst_record_place(struct pst_record *r, uint32_t session_id, pst_key_phase phase,
                         pst_direction direction, bool encrypt, const struct pst_traffic_key *key)
{
    const struct pst_crypto *crypto = r->config.crypto;
    bool sends = direction == r->config.sends;
    struct pst_record_half *half = sends ? &r->send : &r->receive;
    struct pst_record_half *other = sends ? &r->receive : &r->send;

    if ((half->ready || other->ready) && session_id != r->session_id) {
        return PST_ERR_STATE;
    }
    if (other->ready && encrypt != r->encrypt) {
        return PST_ERR_ARGUMENT;
    }
    half_wipe(crypto, half);
    r->session_id = session_id;
    r->encrypt = encrypt;
    PST_TRY(crypto->aead_init(crypto->ctx, &half->aead, key->aead, key->key));
    memcpy(half->iv, key->iv, PST_IV_LEN);
    half->phase = (uint8_t)phase;
    half->ready = true;
    return PST_OK;
}

void pst_record_wipe(struct pst_record *r)
{
    if (r->config.crypto == NULL) {
        return; /* zeroed storage that was never initialised */
    }
    half_wipe(r->config.crypto, &r->send);
    half_wipe(r->config.crypto, &r->receive);
    r->session_id = 0;
    r->encrypt = false;
}

/* Writes everything around the payload (header, lengths, padding), then seals the record. `body` is
 * the value of the Length field. */
static pst_err seal_body(struct pst_record *r, uint8_t *buf, size_t payload_len, size_t random_len,
                         size_t body)
{
    const struct pst_crypto *crypto = r->config.crypto;
    size_t header = header_len(r);
    size_t aad_len = r->encrypt ? header : header + payload_len;
    uint8_t *tag = buf + header + body - PST_TAG_LEN;
    uint8_t nonce[PST_IV_LEN];

    pst_poke_u32(buf, r->session_id);
    put_sequence(buf + 4, r->config.sequence_len, r->send.sequence);
    pst_poke_u16(buf + header - 2, (uint16_t)body);
    if (r->encrypt) {
        pst_poke_u16(buf + header, (uint16_t)payload_len);
    }
    if (random_len > 0) {
        PST_TRY(crypto->random(crypto->ctx, tag - random_len, random_len));
    }
    make_nonce(nonce, r->send.iv, r->send.sequence);
    return crypto->aead_seal(crypto->ctx, &r->send.aead, nonce, buf, aad_len, buf + aad_len,
                             (size_t)(tag - (buf + aad_len)), tag);
}

pst_err pst_record_seal(struct pst_record *r, uint8_t *buf, size_t cap, size_t payload_len,
                        size_t random_len, size_t *record_len)
{
    size_t header = header_len(r);
    size_t body;

    if (!r->send.ready) {
        return PST_ERR_STATE;
    }
    if (r->send.sequence >= r->config.limit) {
        return PST_ERR_LIMIT;
    }
    if (!r->encrypt) {
        random_len = 0;
    }
    if (payload_len > PST_RECORD_MAX_PAYLOAD || random_len > PST_RECORD_MAX_PAYLOAD - payload_len) {
        return PST_ERR_SPACE;
    }
    body = (r->encrypt ? 2u : 0u) + payload_len + random_len + PST_TAG_LEN;
    if (cap < header + body) {
        return PST_ERR_SPACE;
    }
    PST_TRY(seal_body(r, buf, payload_len, random_len, body));
    r->send.sequence++;
    *record_len = header + body;
    return PST_OK;
}

pst_err pst_record_session(const uint8_t *rec, size_t len, uint32_t *session_id)
{
    if (len < 4u + 2u + PST_TAG_LEN) {
        return PST_ERR_DECODE;
    }
    *session_id = pst_peek_u32(rec);
    return PST_OK;
}

/* The number nearest to the expected one whose low 16 bits are `wire`. */
static uint64_t nearest(uint64_t expected, uint16_t wire)
{
    uint16_t ahead = (uint16_t)(wire - (uint16_t)expected);
    uint64_t number = expected + ahead;

    if (ahead > 0x8000u && number >= 0x10000u) {
        number -= 0x10000u;
    }
    return number;
}

/* Finds the record's sequence number, and checks whether it may still be accepted. */
static pst_err check_number(const struct pst_record *r, const uint8_t *at, uint64_t *number)
{
    const struct pst_record_half *half = &r->receive;
    uint64_t expected = half->sequence;
    uint64_t n = expected;

    if (r->config.sequence_len == 2) {
        n = nearest(expected, pst_peek_u16(at));
    } else if (r->config.sequence_len == 8) {
        n = pst_peek_u64(at);
    }
    *number = n;
    if (n != expected && !r->config.window) {
        return PST_ERR_REPLAY;
    }
    /* No sender exceeds the limit. So such a number alone does not prove that the key is used up;
     * `expected` does. */
    if (n >= r->config.limit) {
        return expected >= r->config.limit ? PST_ERR_LIMIT : PST_ERR_REPLAY;
    }
    if (n >= expected) {
        return PST_OK;
    }
    n = expected - 1 - n;
    return n >= WINDOW || (half->seen >> n & 1) != 0 ? PST_ERR_REPLAY : PST_OK;
}

static void note_number(struct pst_record_half *half, uint64_t number)
{
    if (number >= half->sequence) {
        uint64_t ahead = number - half->sequence + 1;

        half->seen = ahead < WINDOW ? half->seen << ahead : 0;
        half->sequence = number + 1;
    }
    half->seen |= UINT64_C(1) << (half->sequence - 1 - number);
}

/* Opens a record whose header is followed by `body` bytes, tag included. */
static pst_err open_body(struct pst_record *r, uint8_t *rec, size_t header, size_t body,
                         uint64_t number)
{
    const struct pst_crypto *crypto = r->config.crypto;
    struct pst_record_half *half = &r->receive;
    uint8_t *tag = rec + header + body - PST_TAG_LEN;
    size_t aad_len = r->encrypt ? header : header + body - PST_TAG_LEN;
    uint8_t nonce[PST_IV_LEN];
    pst_err err;

    make_nonce(nonce, half->iv, number);
    err = crypto->aead_open(crypto->ctx, &half->aead, nonce, rec, aad_len, rec + aad_len,
                            (size_t)(tag - (rec + aad_len)), tag);
    if (err == PST_ERR_AUTH && ++half->forgeries >= r->config.forgery_limit) {
        return PST_ERR_LIMIT;
    }
    return err;
}

pst_err pst_record_open(struct pst_record *r, uint8_t *rec, size_t len, struct pst_bytes *payload,
                        pst_key_phase *phase)
{
    size_t header = header_len(r);
    size_t head = pst_record_head(r);
    size_t body;
    size_t used;
    uint64_t number;

    if (!r->receive.ready) {
        return PST_ERR_STATE;
    }
    if (r->receive.forgeries >= r->config.forgery_limit) {
        return PST_ERR_LIMIT;
    }
    if (len < head + PST_TAG_LEN || pst_peek_u32(rec) != r->session_id) {
        return PST_ERR_DECODE;
    }
    body = pst_peek_u16(rec + header - 2);
    if (body > len - header || body < head - header + PST_TAG_LEN) {
        return PST_ERR_DECODE;
    }
    PST_TRY(check_number(r, rec + 4, &number));
    PST_TRY(open_body(r, rec, header, body, number));
    used = body - (head - header) - PST_TAG_LEN;
    if (r->encrypt) {
        if (pst_peek_u16(rec + header) > used) {
            return PST_ERR_DECODE;
        }
        used = pst_peek_u16(rec + header);
    }
    note_number(&r->receive, number);
    payload->at = rec + head;
    payload->len = used;
    *phase = (pst_key_phase)r->receive.phase;
    return PST_OK;
}

static uint64_t half_left(const struct pst_record *r, const struct pst_record_half *half)
{
    return half->sequence < r->config.limit ? r->config.limit - half->sequence : 0;
}

uint64_t pst_record_left(const struct pst_record *r)
{
    uint64_t send = half_left(r, &r->send);
    uint64_t receive = half_left(r, &r->receive);

    if (!r->send.ready && !r->receive.ready) {
        return 0;
    }
    if (!r->send.ready) {
        return receive;
    }
    return r->receive.ready && receive < send ? receive : send;
}
