/* The keys of a data link, and their ratchet. */
#include <string.h>

#include "postern/parts/data.h"

static pst_err expand(const struct pst_data *d, const uint8_t *secret, const char *label,
                      uint8_t *out, size_t len)
{
    return pst_spdm_expand(d->record.config.crypto, (pst_hash_id)d->hash, d->minor, secret, label,
                           NULL, out, len);
}

/* Derives the key of a direction from its secret, and places it. */
static pst_err place(struct pst_data *d, pst_direction direction, bool encrypt)
{
    const uint8_t *secret = d->secret[direction];
    struct pst_traffic_key key = {.aead = (pst_aead_id)d->aead};
    pst_err err = expand(d, secret, "key", key.key, pst_aead_row(key.aead)->size);

    if (err == PST_OK) {
        err = expand(d, secret, "iv", key.iv, sizeof key.iv);
    }
    if (err == PST_OK) {
        err = pst_record_place(&d->record, d->record.session_id, PST_KEYS_APPLICATION, direction,
                               encrypt, &key);
    }
    pst_wipe(&key, sizeof key);
    return err;
}

static pst_err first_keys(struct pst_data *d, const struct pst_export *from)
{
    const size_t len = pst_hash_row(from->hash)->size;

    PST_TRY(expand(d, from->secret, PST_DATA_TO_RESPONDER, d->secret[PST_TO_RESPONDER], len));
    PST_TRY(expand(d, from->secret, PST_DATA_TO_REQUESTER, d->secret[PST_TO_REQUESTER], len));
    PST_TRY(place(d, PST_TO_RESPONDER, from->encrypt));
    return place(d, PST_TO_REQUESTER, from->encrypt);
}

pst_err pst_data_init(struct pst_data *d, const struct pst_record_config *config,
                      uint32_t session_id, const struct pst_export *from)
{
    if (config->window || pst_hash_row(from->hash) == NULL || pst_aead_row(from->aead) == NULL) {
        return PST_ERR_ARGUMENT;
    }
    memset(d, 0, sizeof *d);
    PST_TRY(pst_record_init(&d->record, config));
    d->record.config.limit = PST_DATA_RATCHET;
    d->record.session_id = session_id;
    d->hash = (uint8_t)from->hash;
    d->minor = from->minor;
    d->aead = (uint8_t)from->aead;
    pst_err err = first_keys(d, from);
    if (err != PST_OK) {
        pst_data_wipe(d);
    }
    return err;
}

void pst_data_shape(struct pst_data *d, uint8_t sequence_len)
{
    d->record.config.sequence_len = sequence_len;
}

static pst_err ratchet(struct pst_data *d, pst_direction direction)
{
    struct pst_record_half *half =
        direction == d->record.config.sends ? &d->record.send : &d->record.receive;
    uint8_t next[PST_MAX_HASH];
    pst_err err;

    if (half->sequence < PST_DATA_RATCHET) {
        return PST_OK;
    }
    err = expand(d, d->secret[direction], "traffic upd", next,
                 pst_hash_row((pst_hash_id)d->hash)->size);
    if (err == PST_OK) {
        memcpy(d->secret[direction], next, sizeof next);
        err = place(d, direction, d->record.encrypt);
    }
    pst_wipe(next, sizeof next);
    return err;
}

static pst_direction other(pst_direction direction)
{
    return direction == PST_TO_RESPONDER ? PST_TO_REQUESTER : PST_TO_RESPONDER;
}

pst_err pst_data_seal(struct pst_data *d, uint8_t *buf, size_t cap, size_t payload_len,
                      size_t *record_len)
{
    PST_TRY(pst_record_seal(&d->record, buf, cap, payload_len, 0, record_len));
    return ratchet(d, d->record.config.sends);
}

pst_err pst_data_open(struct pst_data *d, uint8_t *rec, size_t len, struct pst_bytes *payload)
{
    pst_key_phase phase;

    PST_TRY(pst_record_open(&d->record, rec, len, payload, &phase));
    return ratchet(d, other(d->record.config.sends));
}

size_t pst_data_head(const struct pst_data *d)
{
    return pst_record_head(&d->record);
}

void pst_data_wipe(struct pst_data *d)
{
    pst_record_wipe(&d->record);
    pst_wipe(d->secret, sizeof d->secret);
}
