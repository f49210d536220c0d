/* spec: DSP0274, key schedule. */
#include "schedule.h"

#include <stdio.h>
#include <string.h>

static bool compare(struct schedule *s, const char *name, int nth, const uint8_t *value, size_t len)
{
    struct secret *secret = case_secret(s->c, s->session, name, nth);

    if (secret == NULL) {
        return case_fail(s->c, "session %d: no %s recorded", s->session, name);
    }
    secret->used = true;
    if (secret->value.len != len || memcmp(secret->value.at, value, len) != 0) {
        return case_fail(s->c, "session %d: %s differs", s->session, name);
    }
    return true;
}

static bool expand(struct schedule *s, const uint8_t *secret, const char *label,
                   const uint8_t *context, uint8_t *out, size_t len)
{
    pst_err err =
        pst_spdm_expand(s->crypto, s->c->hash, s->c->minor, secret, label, context, out, len);

    return err == PST_OK || case_fail(s->c, "expanding \"%s\"", label);
}

static const char *const side[2] = {"request", "response"};

static const char *name_of(char name[64], pst_direction d, const char *rest)
{
    (void)snprintf(name, 64, "%s_%s", side[d], rest);
    return name;
}

/* Key and IV from a direction's secret. */
static bool traffic(struct schedule *s, pst_direction d, const uint8_t *secret, const char *stage,
                    const char *suffix, int nth)
{
    struct pst_traffic_key *key = &s->key[d];
    size_t key_len = pst_aead_row(s->c->aead)->size;
    char rest[48], name[64];

    key->aead = s->c->aead;
    if (!expand(s, secret, "key", NULL, key->key, key_len) ||
        !expand(s, secret, "iv", NULL, key->iv, PST_IV_LEN)) {
        return false;
    }
    (void)snprintf(rest, sizeof rest, "%s_key%s", stage, suffix);
    if (!compare(s, name_of(name, d, rest), nth, key->key, key_len)) {
        return false;
    }
    (void)snprintf(rest, sizeof rest, "%s_iv%s", stage, suffix);
    return compare(s, name_of(name, d, rest), nth, key->iv, PST_IV_LEN);
}

static bool handshake_direction(struct schedule *s, pst_direction d, const uint8_t *th1)
{
    size_t len = pst_hash_row(s->c->hash)->size;
    uint8_t secret[PST_MAX_HASH];
    char name[64];

    return expand(s, s->handshake, d == PST_TO_RESPONDER ? "req hs data" : "rsp hs data", th1,
                  secret, len) &&
           compare(s, name_of(name, d, "handshake_secret"), 0, secret, len) &&
           expand(s, secret, "finished", NULL, s->finished[d], len) &&
           compare(s, name_of(name, d, "finished_key"), 0, s->finished[d], len) &&
           traffic(s, d, secret, "handshake", "", 0);
}

bool schedule_handshake(struct schedule *s, const uint8_t *th1)
{
    static const uint8_t zeros[PST_MAX_HASH];
    size_t len = pst_hash_row(s->c->hash)->size;
    struct secret *z = case_secret(s->c, s->session, "shared_secret", 0);

    if (z == NULL) {
        return case_fail(s->c, "session %d: no shared_secret recorded", s->session);
    }
    z->used = true;
    if (pst_hkdf_extract(s->crypto, s->c->hash, zeros, len, z->value.at, z->value.len,
                         s->handshake) != PST_OK) {
        return case_fail(s->c, "HKDF-Extract");
    }
    return compare(s, "th1", 0, th1, len) && compare(s, "handshake_secret", 0, s->handshake, len) &&
           handshake_direction(s, PST_TO_RESPONDER, th1) &&
           handshake_direction(s, PST_TO_REQUESTER, th1);
}

static bool data_direction(struct schedule *s, pst_direction d, const uint8_t *master,
                           const uint8_t *th2)
{
    size_t len = pst_hash_row(s->c->hash)->size;
    char name[64];

    return expand(s, master, d == PST_TO_RESPONDER ? "req app data" : "rsp app data", th2,
                  s->data[d], len) &&
           compare(s, name_of(name, d, "data_secret"), 0, s->data[d], len) &&
           traffic(s, d, s->data[d], "data", "", 0);
}

bool schedule_application(struct schedule *s, const uint8_t *th2)
{
    static const uint8_t zeros[PST_MAX_HASH];
    size_t len = pst_hash_row(s->c->hash)->size;
    uint8_t salt[PST_MAX_HASH], master[PST_MAX_HASH], exported[PST_MAX_HASH];

    if (!expand(s, s->handshake, "derived", NULL, salt, len)) {
        return false;
    }
    if (pst_hkdf_extract(s->crypto, s->c->hash, salt, len, zeros, len, master) != PST_OK) {
        return case_fail(s->c, "HKDF-Extract");
    }
    return compare(s, "th2", 0, th2, len) && compare(s, "master_secret", 0, master, len) &&
           expand(s, master, "exp master", th2, exported, len) &&
           compare(s, "export_master_secret", 0, exported, len) &&
           data_direction(s, PST_TO_RESPONDER, master, th2) &&
           data_direction(s, PST_TO_REQUESTER, master, th2);
}

bool schedule_update(struct schedule *s, pst_direction d)
{
    size_t len = pst_hash_row(s->c->hash)->size;
    uint8_t next[PST_MAX_HASH];
    int nth = s->updates[d]++;
    char name[64];

    if (!expand(s, s->data[d], "traffic upd", NULL, next, len) ||
        !compare(s, name_of(name, d, "data_secret_updated"), nth, next, len)) {
        return false;
    }
    memcpy(s->data[d], next, len);
    return traffic(s, d, s->data[d], "data", "_updated", nth);
}
