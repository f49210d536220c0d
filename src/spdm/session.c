#include "spdm/session.h"

struct pst_spdm_session *psti_session_find(struct pst_spdm *c, uint32_t id)
{
    for (size_t i = 0; id != PST_SPDM_CLEAR && i < PST_SPDM_SESSIONS; i++) {
        if (c->sessions[i].phase != PST_SESSION_FREE && c->sessions[i].id == id) {
            return &c->sessions[i];
        }
    }
    return NULL;
}

struct pst_spdm_session *psti_session_clear(struct pst_spdm *c)
{
    for (size_t i = 0; i < PST_SPDM_SESSIONS; i++) {
        if (c->sessions[i].phase == PST_SESSION_HANDSHAKE && c->sessions[i].clear_handshake) {
            return &c->sessions[i];
        }
    }
    return NULL;
}

struct pst_spdm_session *psti_session_vacant(struct pst_spdm *c)
{
    for (size_t i = 0; i < PST_SPDM_SESSIONS; i++) {
        if (c->sessions[i].phase == PST_SESSION_FREE) {
            return &c->sessions[i];
        }
    }
    return NULL;
}

void psti_session_create(struct pst_spdm *c, struct pst_spdm_session *s, uint32_t id)
{
    memset(s, 0, sizeof *s);
    s->id = id;
    s->phase = PST_SESSION_HANDSHAKE;
    s->kind = PST_KIND_CERT;
    s->clear_handshake = psti_both(c, PST_CAP_CLEAR_HANDSHAKE);
}

void psti_session_end(struct pst_spdm *c, struct pst_spdm_session *s, pst_err why)
{
    const struct pst_crypto *crypto = c->config->crypto;
    const struct pst_key_port *keys = &c->config->keys;
    const struct pst_spdm_hooks *hooks = &c->config->hooks;
    uint32_t id = s->id;
    bool placed = s->placed, open = s->open;

    if (s->phase == PST_SESSION_FREE) {
        return;
    }
    if (c->wait.session_id == id) {
        psti_wait_cancel(c);
    }
    if (s->dh_live) {
        crypto->dh_wipe(crypto->ctx, &s->u.dh);
    } else {
        crypto->hash_abort(crypto->ctx, &s->u.hash);
    }
    pst_wipe(s, sizeof *s);
    if (placed && keys->drop != NULL) {
        keys->drop(keys->ctx, id);
    }
    if (open && hooks->ended != NULL) {
        hooks->ended(hooks->ctx, id, why);
    }
}

pst_err psti_th_start(struct pst_spdm *c, struct pst_spdm_session *s, const struct pst_hash *start)
{
    const struct pst_crypto *crypto = c->config->crypto;

    return crypto->hash_clone(crypto->ctx, &s->u.hash, start);
}

pst_err psti_th_add(struct pst_spdm *c, struct pst_spdm_session *s, const uint8_t *at, size_t len)
{
    const struct pst_crypto *crypto = c->config->crypto;

    return crypto->hash_update(crypto->ctx, &s->u.hash, at, len);
}

pst_err psti_th_digest(struct pst_spdm *c, struct pst_spdm_session *s, uint8_t *digest)
{
    return pst_hash_peek(c->config->crypto, &s->u.hash, digest);
}

static pst_err expand(struct pst_spdm *c, const uint8_t *secret, const char *label,
                      const uint8_t *context, uint8_t *out, size_t len)
{
    return pst_spdm_expand(c->config->crypto, (pst_hash_id)c->hash, c->minor, secret, label,
                           context, out, len);
}

static pst_err fill_key(struct pst_spdm *c, const uint8_t *secret, struct pst_traffic_key *key)
{
    PST_TRY(expand(c, secret, "key", NULL, key->key, pst_aead_row(key->aead)->size));
    return expand(c, secret, "iv", NULL, key->iv, sizeof key->iv);
}

static pst_err place(struct pst_spdm *c, struct pst_spdm_session *s, pst_key_phase phase,
                     pst_direction direction, const uint8_t *secret)
{
    const struct pst_key_port *keys = &c->config->keys;
    struct pst_traffic_key key = {.aead = (pst_aead_id)c->aead};
    pst_err err = fill_key(c, secret, &key);

    if (err == PST_OK) {
        s->placed = true;
        err = keys->place(keys->ctx, s->id, phase, direction, psti_both(c, PST_CAP_ENCRYPT), &key);
    }
    pst_wipe(&key, sizeof key);
    return err;
}

/* One direction of the handshake: its record key, and its finished key into `finished`. */
static pst_err handshake_side(struct pst_spdm *c, struct pst_spdm_session *s,
                              pst_direction direction, const uint8_t *handshake, const uint8_t *th1,
                              uint8_t *finished)
{
    const char *label = direction == PST_TO_RESPONDER ? "req hs data" : "rsp hs data";
    size_t h = psti_hash_len(c);
    uint8_t side[PST_MAX_HASH];
    pst_err err = expand(c, handshake, label, th1, side, h);

    if (err == PST_OK) {
        err = expand(c, side, "finished", NULL, finished, h);
    }
    if (err == PST_OK && !s->clear_handshake) {
        err = place(c, s, PST_KEYS_HANDSHAKE, direction, side);
    }
    pst_wipe(side, sizeof side);
    return err;
}

static pst_err schedule(struct pst_spdm *c, struct pst_spdm_session *s, uint8_t *handshake,
                        uint8_t *salt)
{
    static const uint8_t zeros[PST_MAX_HASH];
    const struct pst_crypto *crypto = c->config->crypto;
    pst_hash_id hash = (pst_hash_id)c->hash;
    size_t h = psti_hash_len(c);
    uint8_t th1[PST_MAX_HASH];

    PST_TRY(psti_th_digest(c, s, th1));
    PST_TRY(pst_hkdf_extract(crypto, hash, zeros, h, s->secret[0],
                             pst_dh_row((pst_dh_id)c->dh)->secret, handshake));
    PST_TRY(handshake_side(c, s, PST_TO_RESPONDER, handshake, th1, s->secret[1]));
    PST_TRY(handshake_side(c, s, PST_TO_REQUESTER, handshake, th1, s->secret[2]));
    PST_TRY(expand(c, handshake, "derived", NULL, salt, h));
    return pst_hkdf_extract(crypto, hash, salt, h, zeros, h, s->secret[0]);
}

pst_err psti_session_handshake(struct pst_spdm *c, struct pst_spdm_session *s)
{
    uint8_t handshake[PST_MAX_HASH], salt[PST_MAX_HASH];
    pst_err err = schedule(c, s, handshake, salt);

    pst_wipe(handshake, sizeof handshake);
    pst_wipe(salt, sizeof salt);
    return err;
}

pst_err psti_session_verify_data(struct pst_spdm *c, struct pst_spdm_session *s, pst_role role,
                                 uint8_t *out)
{
    const struct pst_crypto *crypto = c->config->crypto;
    const uint8_t *key = s->secret[role == PST_ROLE_REQUESTER ? 1 : 2];
    uint8_t th[PST_MAX_HASH];
    size_t h = psti_hash_len(c);

    PST_TRY(psti_th_digest(c, s, th));
    return crypto->hmac(crypto->ctx, (pst_hash_id)c->hash, key, h, th, h, out);
}

pst_err psti_session_master(struct pst_spdm *c, struct pst_spdm_session *s)
{
    size_t h = psti_hash_len(c);
    uint8_t th2[PST_MAX_HASH], master[PST_MAX_HASH];
    pst_err err;

    PST_TRY(psti_th_digest(c, s, th2));
    memcpy(master, s->secret[0], h);
    pst_wipe(s->secret[2], sizeof s->secret[2]);
    err = expand(c, master, "req app data", th2, s->secret[0], h);
    if (err == PST_OK) {
        err = expand(c, master, "rsp app data", th2, s->secret[1], h);
    }
    if (err == PST_OK && c->config->keys.exported != NULL) {
        err = expand(c, master, "exp master", th2, s->secret[2], h);
    }
    pst_wipe(master, sizeof master);
    return err;
}

static pst_err export(struct pst_spdm *c, struct pst_spdm_session *s)
{
    const struct pst_key_port *keys = &c->config->keys;
    const struct pst_export e = {
        .hash = (pst_hash_id)c->hash,
        .minor = c->minor,
        .aead = (pst_aead_id)c->aead,
        .encrypt = psti_both(c, PST_CAP_ENCRYPT),
        .secret = s->secret[2],
    };
    pst_err err = keys->exported == NULL ? PST_OK : keys->exported(keys->ctx, s->id, &e);

    pst_wipe(s->secret[2], sizeof s->secret[2]);
    return err;
}

pst_err psti_session_establish(struct pst_spdm *c, struct pst_spdm_session *s)
{
    const struct pst_crypto *crypto = c->config->crypto;
    const struct pst_spdm_hooks *hooks = &c->config->hooks;

    PST_TRY(place(c, s, PST_KEYS_APPLICATION, PST_TO_RESPONDER, s->secret[0]));
    PST_TRY(place(c, s, PST_KEYS_APPLICATION, PST_TO_REQUESTER, s->secret[1]));
    PST_TRY(export(c, s));
    crypto->hash_abort(crypto->ctx, &s->u.hash); /* TH is complete */
    s->phase = PST_SESSION_APPLICATION;
    s->clear_handshake = false;
    s->deadline_ms = s->heartbeat_s == 0 ? 0 : psti_now(c) + UINT64_C(2000) * s->heartbeat_s;
    s->open = true;
    if (hooks->established != NULL) {
        bool known = c->role == PST_ROLE_REQUESTER || s->mutual != PST_MUTUAL_NONE;
        hooks->established(hooks->ctx, s->id, known && c->chain.known ? &c->chain.u.peer : NULL);
    }
    return PST_OK;
}

pst_err psti_session_update(struct pst_spdm *c, struct pst_spdm_session *s, pst_direction direction)
{
    uint8_t next[PST_MAX_HASH];
    uint8_t *secret = s->secret[direction == PST_TO_RESPONDER ? 0 : 1];
    pst_err err = expand(c, secret, "traffic upd", NULL, next, psti_hash_len(c));

    if (err == PST_OK) {
        memcpy(secret, next, psti_hash_len(c));
        err = place(c, s, PST_KEYS_APPLICATION, direction, secret);
    }
    pst_wipe(next, sizeof next);
    return err;
}
