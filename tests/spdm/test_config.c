/* An incomplete or inconsistent configuration is refused at init with a sentence that names the
 * field.
 */
#include "parts/wired.h"

#include "postern/parts/record.h"

static struct wired w;

/* What a test may spoil, all of it copied. */
struct parts {
    struct pst_spdm_config config;
    struct pst_crypto crypto;
    struct pst_cert_verifier verifier;
    struct pst_slot slot;
    struct pst_signer signer;
    struct pst_measurements measurements;
};

static void good(struct parts *p, const struct wired_side *side)
{
    p->config = side->config;
    p->crypto = *side->config.crypto;
    p->verifier = *side->config.verifier;
    p->slot = *side->config.slots[0];
    p->signer = *p->slot.signer;
    p->measurements = *side->config.measurements;
    p->slot.signer = &p->signer;
    p->config.slots[0] = &p->slot;
    p->config.crypto = &p->crypto;
    p->config.verifier = &p->verifier;
    p->config.measurements = &p->measurements;
}

#define SPOIL(name, what)                                                                          \
    static void name(struct parts *p)                                                              \
    {                                                                                              \
        what;                                                                                      \
    }
SPOIL(no_crypto, p->config.crypto = NULL)
SPOIL(no_random, p->crypto.random = NULL)
SPOIL(no_hash_init, p->crypto.hash_init = NULL)
SPOIL(no_hash_update, p->crypto.hash_update = NULL)
SPOIL(no_hash_final, p->crypto.hash_final = NULL)
SPOIL(no_hash_clone, p->crypto.hash_clone = NULL)
SPOIL(no_hash_abort, p->crypto.hash_abort = NULL)
SPOIL(no_hmac, p->crypto.hmac = NULL)
SPOIL(no_dh_generate, p->crypto.dh_generate = NULL)
SPOIL(no_dh_shared, p->crypto.dh_shared = NULL)
SPOIL(no_dh_wipe, p->crypto.dh_wipe = NULL)
SPOIL(no_verify, p->crypto.verify = NULL)
SPOIL(no_key_wipe, p->crypto.public_key_wipe = NULL)
SPOIL(no_hash_bytes, p->crypto.bytes.hash = 0)
SPOIL(hash_bytes, p->crypto.bytes.hash = PST_HASH_BYTES + 1)
SPOIL(no_dh_bytes, p->crypto.bytes.dh_key = 0)
SPOIL(dh_bytes, p->crypto.bytes.dh_key = PST_DH_KEY_BYTES + 1)
SPOIL(no_key_bytes, p->crypto.bytes.public_key = 0)
SPOIL(key_bytes, p->crypto.bytes.public_key = PST_PUBLIC_KEY_BYTES + 1)
SPOIL(no_min, p->config.min_minor = 0)
SPOIL(no_max, p->config.max_minor = 0)
SPOIL(max_4, p->config.max_minor = 4)
SPOIL(no_transfer, p->config.transfer_size = 0)
SPOIL(message, p->config.message_size = p->config.transfer_size - 1)
SPOIL(exponent, p->config.ct_exponent = 32)
SPOIL(no_mac, p->config.capabilities &= ~PST_CAP_MAC)
SPOIL(no_clock, p->config.now_ms = NULL)
SPOIL(no_place, p->config.keys.place = NULL)
SPOIL(no_drop, p->config.keys.drop = NULL)
SPOIL(no_slot, p->config.slots[0] = NULL)
SPOIL(no_certs, p->slot.certs = NULL)
SPOIL(no_certs_len, p->slot.certs_len = 0)
SPOIL(long_certs, p->slot.certs_len = PST_MAX_CHAIN)
SPOIL(no_root, p->slot.root_len = 0)
SPOIL(long_root, p->slot.root_len = p->slot.certs_len + 1)
SPOIL(no_signer, p->slot.signer = NULL)
SPOIL(no_sign, p->signer.sign = NULL)
SPOIL(sig_id, p->signer.sig_id = (pst_sig_id)9)
SPOIL(other_sig, p->signer.sig_id = PST_ED25519; p->config.sigs = (const uint8_t *)"\1")
SPOIL(no_hashes, p->config.hashes = NULL)
SPOIL(no_sigs, p->config.sigs = (const uint8_t *)"")
SPOIL(no_peer_sigs, p->config.peer_sigs = NULL)
SPOIL(no_dhs, p->config.dhs = NULL)
SPOIL(unknown_dh, p->config.dhs = (const uint8_t *)"\1\x09")
SPOIL(no_aeads, p->config.aeads = NULL)
SPOIL(no_verifier, p->config.verifier = NULL)
SPOIL(no_begin, p->verifier.begin = NULL)
SPOIL(no_feed, p->verifier.feed = NULL)
SPOIL(no_finish, p->verifier.finish = NULL)
SPOIL(no_abort, p->verifier.abort = NULL)
SPOIL(mutual_3, p->config.mutual = (pst_mutual)3)
SPOIL(require, p->config.require_mutual = true; p->config.mutual = PST_MUTUAL_NONE)
SPOIL(no_mut_auth, p->config.capabilities &= ~PST_CAP_MUT_AUTH)
SPOIL(no_hbeat, p->config.capabilities &= ~PST_CAP_HBEAT)
SPOIL(no_measurements, p->config.measurements = NULL)
SPOIL(no_get, p->measurements.get = NULL)
SPOIL(no_measurement_hash, p->config.measurement_hash = PST_HASH_NONE)

enum { BOTH, RESPONDER };

static const struct {
    void (*spoil)(struct parts *p);
    const char *names;
    int who;
} rows[] = {
    {no_crypto,           "crypto is not set",       BOTH     },
    {no_random,           "crypto.random",           BOTH     },
    {no_hash_init,        "crypto.hash_init",        BOTH     },
    {no_hash_update,      "crypto.hash_update",      BOTH     },
    {no_hash_final,       "crypto.hash_final",       BOTH     },
    {no_hash_clone,       "crypto.hash_clone",       BOTH     },
    {no_hash_abort,       "crypto.hash_abort",       BOTH     },
    {no_hmac,             "crypto.hmac",             BOTH     },
    {no_dh_generate,      "crypto.dh_generate",      BOTH     },
    {no_dh_shared,        "crypto.dh_shared",        BOTH     },
    {no_dh_wipe,          "crypto.dh_wipe",          BOTH     },
    {no_verify,           "crypto.verify",           BOTH     },
    {no_key_wipe,         "crypto.public_key_wipe",  BOTH     },
    {no_hash_bytes,       "crypto.bytes.hash",       BOTH     },
    {hash_bytes,          "crypto.bytes.hash",       BOTH     },
    {no_dh_bytes,         "crypto.bytes.dh_key",     BOTH     },
    {dh_bytes,            "crypto.bytes.dh_key",     BOTH     },
    {no_key_bytes,        "crypto.bytes.public_key", BOTH     },
    {key_bytes,           "crypto.bytes.public_key", BOTH     },
    {no_min,              "min_minor",               BOTH     },
    {no_max,              "max_minor",               BOTH     },
    {max_4,               "max_minor",               BOTH     },
    {no_transfer,         "transfer_size",           BOTH     },
    {message,             "message_size",            BOTH     },
    {exponent,            "ct_exponent",             BOTH     },
    {no_mac,              "capabilities",            BOTH     },
    {no_clock,            "now_ms",                  BOTH     },
    {no_place,            "keys.place",              BOTH     },
    {no_drop,             "keys.drop",               BOTH     },
    {no_slot,             "slots",                   RESPONDER},
    {no_certs,            "slots",                   BOTH     },
    {no_certs_len,        "slots",                   BOTH     },
    {long_certs,          "slots",                   BOTH     },
    {no_root,             "root_len",                BOTH     },
    {long_root,           "root_len",                BOTH     },
    {no_signer,           "signer",                  BOTH     },
    {no_sign,             "signer",                  BOTH     },
    {sig_id,              "signer.sig_id",           BOTH     },
    {other_sig,           "of no signer in",         BOTH     },
    {no_hashes,           "hashes",                  BOTH     },
    {no_sigs,             "sigs",                    BOTH     },
    {no_peer_sigs,        "peer_sigs",               BOTH     },
    {no_dhs,              "dhs",                     BOTH     },
    {unknown_dh,          "dhs",                     BOTH     },
    {no_aeads,            "aeads",                   BOTH     },
    {no_verifier,         "verifier",                BOTH     },
    {no_begin,            "verifier lacks begin",    BOTH     },
    {no_feed,             "verifier lacks begin",    BOTH     },
    {no_finish,           "verifier lacks begin",    BOTH     },
    {no_abort,            "verifier lacks begin",    BOTH     },
    {mutual_3,            "mutual",                  RESPONDER},
    {require,             "require_mutual",          RESPONDER},
    {no_mut_auth,         "PST_CAP_MUT_AUTH",        RESPONDER},
    {no_hbeat,            "PST_CAP_HBEAT",           RESPONDER},
    {no_measurements,     "measurements",            RESPONDER},
    {no_get,              "measurements",            RESPONDER},
    {no_measurement_hash, "measurement_hash",        RESPONDER},
};

static void refused(const struct parts *p, pst_role role, const char *names)
{
    const char *why = pst_spdm_config_check(&p->config, role);

    if (why == NULL || strstr(why, names) == NULL) {
        fprintf(stderr, "%s: %s\n", names, why != NULL ? why : "accepted");
    }
    CHECK(why != NULL && strstr(why, names) != NULL);
    memset(&w.r, 0x5a, sizeof w.r);
    memset(&w.q, 0x5a, sizeof w.q);
    CHECK_EQ(role == PST_ROLE_RESPONDER ? pst_responder_init(&w.r, &p->config)
                                        : pst_requester_init(&w.q, &p->config),
             PST_ERR_CONFIG);
    for (size_t i = 0; i < sizeof w.r; i++) {
        CHECK_EQ(((const uint8_t *)&w.r)[i], 0x5a);
    }
    for (size_t i = 0; i < sizeof w.q; i++) {
        CHECK_EQ(((const uint8_t *)&w.q)[i], 0x5a);
    }
}

static void each_field(void **state)
{
    struct wired_options o = wired_defaults();
    struct parts p;

    (void)state;
    wired_setup(&w, &o);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        good(&p, &w.ts);
        CHECK(pst_spdm_config_check(&p.config, PST_ROLE_RESPONDER) == NULL);
        rows[i].spoil(&p);
        refused(&p, PST_ROLE_RESPONDER, rows[i].names);
        if (rows[i].who == BOTH) {
            good(&p, &w.dts);
            CHECK(pst_spdm_config_check(&p.config, PST_ROLE_REQUESTER) == NULL);
            rows[i].spoil(&p);
            refused(&p, PST_ROLE_REQUESTER, rows[i].names);
        }
    }
}

/* Regression test: with a missing port function every message was once answered with ERROR. */
static void records(void **state)
{
    static const size_t functions[] = {
        offsetof(struct pst_crypto, random),    offsetof(struct pst_crypto, aead_init),
        offsetof(struct pst_crypto, aead_seal), offsetof(struct pst_crypto, aead_open),
        offsetof(struct pst_crypto, aead_wipe),
    };
    struct pst_crypto crypto = *pst_openssl_crypto();
    struct pst_record_config config = {.crypto = &crypto};
    struct pst_record r;

    (void)state;
    CHECK_EQ(pst_record_init(&r, &config), PST_OK);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        crypto = *pst_openssl_crypto();
        memset((uint8_t *)&crypto + functions[i], 0, sizeof(void *));
        CHECK(strstr(pst_record_config_check(&config), "crypto.") != NULL);
        CHECK_EQ(pst_record_init(&r, &config), PST_ERR_CONFIG);
    }
    crypto = *pst_openssl_crypto();
    crypto.bytes.aead = PST_AEAD_BYTES + 1;
    CHECK(strstr(pst_record_config_check(&config), "crypto.bytes.aead") != NULL);
    CHECK_EQ(pst_record_init(&r, &config), PST_ERR_CONFIG);
    config.crypto = NULL;
    CHECK_EQ(pst_record_init(&r, &config), PST_ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field),
        cmocka_unit_test(records),
    };

    return cmocka_run_group_tests_name("spdm.config", tests, NULL, NULL);
}
