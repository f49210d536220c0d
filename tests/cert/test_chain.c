/* The verifier in the caller's memory: a slow port, few chains, small buffers. */
#include "openssl/chain_maker.h"

static struct maker_chain made;

/* --- a port that answers PST_PENDING twice before each answer --- */

static struct {
    unsigned asked, answered, cancelled;
} slow;

static bool waits(void)
{
    return ++slow.asked % 3 != 0;
}

static pst_err slow_key(void *ctx, struct pst_public_key *key, pst_sig_id id, const uint8_t *bytes)
{
    if (waits()) {
        return PST_PENDING;
    }
    slow.answered++;
    return pst_openssl_crypto()->public_key(ctx, key, id, bytes);
}

static pst_err slow_verify(void *ctx, const struct pst_public_key *key, pst_hash_id hash,
                           const void *message, size_t len, const uint8_t *signature)
{
    if (waits()) {
        return PST_PENDING;
    }
    slow.answered++;
    return pst_openssl_crypto()->verify(ctx, key, hash, message, len, signature);
}

static void slow_cancel(void *ctx, const struct pst_public_key *key)
{
    (void)ctx;
    CHECK(key->sig_id != PST_SIG_NONE);
    slow.cancelled++;
}

static uint64_t now(void *ctx)
{
    (void)ctx;
    return MAKER_NOW;
}

static struct pst_crypto crypto;
static struct pst_bytes anchor;
static struct pst_chain_config config;
static uint8_t root_hash[PST_MAX_HASH];

static void make(bool is_slow)
{
    maker_good(&made, PST_ROLE_RESPONDER);
    maker_make(&made);
    crypto = *pst_openssl_crypto();
    memset(&slow, 0, sizeof slow);
    if (is_slow) {
        crypto.public_key = slow_key;
        crypto.verify = slow_verify;
        crypto.verify_cancel = slow_cancel;
    }
    anchor = (struct pst_bytes){made.der, made.at[1]};
    config = (struct pst_chain_config){
        .crypto = &crypto, .anchors = &anchor, .anchor_count = 1, .now = now};
    CHECK_EQ(pst_hash_once(&crypto, PST_SHA256, made.der, made.at[1], root_hash), PST_OK);
}

static void what_is_pending_is_asked_again(void **state)
{
    static const size_t portions[] = {1, 7, 333, 100000};
    static struct pst_chain chain;
    static uint8_t buffer[1024];

    (void)state;
    for (size_t p = 0; p < sizeof portions / sizeof portions[0]; p++) {
        struct pst_peer peer;
        size_t len = 0;
        pst_err err;
        make(true);
        CHECK_EQ(pst_chain_begin(&chain, &config, buffer, sizeof buffer, PST_ROLE_RESPONDER,
                                 PST_SHA256, root_hash),
                 PST_OK);
        for (size_t at = 0; at < made.at[3]; at += len) {
            len = made.at[3] - at < portions[p] ? made.at[3] - at : portions[p];
            while ((err = pst_chain_feed(&chain, made.der + at, len)) == PST_PENDING) {
            }
            CHECK_EQ(err, PST_OK);
        }
        while ((err = pst_chain_finish(&chain, &peer)) == PST_PENDING) {
        }
        CHECK_EQ(err, PST_OK);
        CHECK(strcmp(peer.device, "Acme:Pump:0042") == 0);
        /* two issuers' keys and the leaf's, two signatures; each once */
        CHECK_EQ(slow.answered, 5);
        CHECK_EQ(slow.asked, 15);
        pst_chain_abort(&chain);
        crypto.public_key_wipe(crypto.ctx, &peer.key);
    }
}

static void what_is_pending_can_be_given_up(void **state)
{
    static struct pst_chain chain;
    static uint8_t buffer[1024];
    unsigned cancelled = 0;

    (void)state;
    for (unsigned stop = 1; stop <= 15; stop++) {
        struct pst_peer peer;
        pst_err err = PST_PENDING;
        make(true);
        CHECK_EQ(pst_chain_begin(&chain, &config, buffer, sizeof buffer, PST_ROLE_RESPONDER,
                                 PST_SHA256, root_hash),
                 PST_OK);
        while (err == PST_PENDING && slow.asked < stop) {
            err = pst_chain_feed(&chain, made.der, made.at[3]);
        }
        if (err == PST_OK) {
            err = PST_PENDING;
            while (err == PST_PENDING && slow.asked < stop) {
                err = pst_chain_finish(&chain, &peer);
            }
        }
        pst_chain_abort(&chain);
        CHECK(err == PST_PENDING || err == PST_OK);
        if (err == PST_OK) {
            crypto.public_key_wipe(crypto.ctx, &peer.key);
        }
        cancelled += slow.cancelled;
    }
    CHECK(cancelled > 0);
}

static void as_many_chains_as_there_is_memory_for(void **state)
{
    static struct pst_chain chains[2];
    static uint8_t buffer[2048];
    struct pst_chain_verifier verifier;
    struct pst_cert_verifier v;
    struct pst_chain_check a = {0}, b = {0}, c = {0};
    struct pst_peer peer = {0};

    (void)state;
    make(false);
    CHECK_EQ(pst_chain_verifier_init(&verifier, &config, chains, 0, buffer, sizeof buffer, &v),
             PST_ERR_ARGUMENT);
    CHECK_EQ(pst_chain_verifier_init(&verifier, &config, chains, 2, buffer, 511, &v),
             PST_ERR_ARGUMENT);
    CHECK_EQ(pst_chain_verifier_init(&verifier, &config, chains, 2, buffer, sizeof buffer, &v),
             PST_OK);
    CHECK_EQ(v.begin(v.ctx, &a, PST_ROLE_RESPONDER, PST_SHA256, root_hash), PST_OK);
    CHECK_EQ(v.begin(v.ctx, &b, PST_ROLE_RESPONDER, PST_SHA256, root_hash), PST_OK);
    CHECK_EQ(v.begin(v.ctx, &c, PST_ROLE_RESPONDER, PST_SHA256, root_hash), PST_ERR_BUSY);
    for (size_t i = 0; i < made.at[3]; i++) {
        CHECK_EQ(v.feed(v.ctx, &a, made.der + i, 1), PST_OK);
        CHECK_EQ(v.feed(v.ctx, &b, made.der + i, 1), PST_OK);
    }
    v.abort(v.ctx, &b);
    CHECK_EQ(v.begin(v.ctx, &c, PST_ROLE_RESPONDER, PST_SHA256, root_hash), PST_OK);
    CHECK_EQ(v.finish(v.ctx, &a, &peer), PST_OK);
    crypto.public_key_wipe(crypto.ctx, &peer.key);
    CHECK_EQ(v.feed(v.ctx, &a, made.der, 1), PST_ERR_STATE);
    v.abort(v.ctx, &c);
    v.abort(v.ctx, &c);
}

/* Any peer could send the root, which is not secret, and reach the missing function. */
static void a_port_that_lacks_a_function_is_refused(void **state)
{
    static struct pst_chain chain;
    static uint8_t buffer[1024];
    struct pst_chain_verifier verifier;
    struct pst_cert_verifier v;

    (void)state;
    for (int lacks = 0; lacks < 8; lacks++) {
        make(false);
        crypto.hash_init = lacks == 0 ? NULL : crypto.hash_init;
        crypto.hash_update = lacks == 1 ? NULL : crypto.hash_update;
        crypto.hash_final = lacks == 2 ? NULL : crypto.hash_final;
        crypto.public_key = lacks == 3 ? NULL : crypto.public_key;
        crypto.verify = lacks == 4 ? NULL : crypto.verify;
        crypto.public_key_wipe = lacks == 5 ? NULL : crypto.public_key_wipe;
        config.crypto = lacks == 6 ? NULL : config.crypto;
        config.anchors = lacks == 7 ? NULL : config.anchors;
        CHECK_EQ(pst_chain_verifier_init(&verifier, &config, &chain, 1, buffer, sizeof buffer, &v),
                 PST_ERR_CONFIG);
    }
    make(false);
    crypto.bytes.public_key = PST_PUBLIC_KEY_BYTES + 1;
    CHECK_EQ(pst_chain_verifier_init(&verifier, &config, &chain, 1, buffer, sizeof buffer, &v),
             PST_ERR_CONFIG);
}

static void what_exceeds_the_buffer_is_told_its_limit(void **state)
{
    static struct pst_chain chain;
    static uint8_t buffer[1024];
    struct pst_peer peer;
    char text[PST_MAX_REFUSAL];

    (void)state;
    for (size_t cap = 256; cap <= sizeof buffer; cap += 256) {
        make(false);
        bool fits = made.at[1] <= cap && made.at[3] - made.at[2] <= cap;
        CHECK_EQ(pst_chain_begin(&chain, &config, buffer, cap, PST_ROLE_RESPONDER, PST_SHA256,
                                 root_hash),
                 PST_OK);
        pst_err err = pst_chain_feed(&chain, made.der, made.at[3]);
        CHECK_EQ(err, fits ? PST_OK : PST_ERR_CERT);
        if (fits) {
            CHECK_EQ(pst_chain_finish(&chain, &peer), PST_OK);
            crypto.public_key_wipe(crypto.ctx, &peer.key);
        } else {
            char expected[64];
            snprintf(expected, sizeof expected, ": is too large (limit: %zu bytes)", cap);
            pst_cert_refusal_text(&chain.refusal, text, sizeof text);
            CHECK(strstr(text, expected) != NULL);
        }
        pst_chain_abort(&chain);
    }
}

/* OIDs are bytes in the core and text where certificates are made. */
static void object_identifiers_agree(void **state)
{
    static const uint8_t grant[] = {PST_OID_GRANT_DER};
    static const uint8_t usage[] = {PST_OID_DMTF(PST_DMTF_REQUESTER_AUTH)};
    static const struct {
        const char *text;
        const uint8_t *der;
        size_t len;
    } cases[] = {
        {PST_OID_GRANT,          grant, sizeof grant},
        {PST_OID_REQUESTER_AUTH, usage, sizeof usage},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ASN1_OBJECT *object = OBJ_txt2obj(cases[i].text, 1);
        CHECK(object != NULL && OBJ_length(object) == cases[i].len);
        CHECK_BYTES(OBJ_get0_data(object), cases[i].der, cases[i].len);
        ASN1_OBJECT_free(object);
    }
}

static void a_refusal_is_cut_to_its_room(void **state)
{
    const struct pst_cert_refusal r = {"keyUsage", "digitalSignature is missing", 0, 2};
    const char *whole = "certificate 2: keyUsage: digitalSignature is missing";
    char text[PST_MAX_REFUSAL];

    (void)state;
    pst_cert_refusal_text(&r, text, sizeof text);
    CHECK(strcmp(text, whole) == 0);
    for (size_t cap = 1; cap < sizeof text; cap++) {
        memset(text, 'x', sizeof text);
        pst_cert_refusal_text(&r, text, cap);
        CHECK(strlen(text) < cap && strncmp(text, whole, strlen(text)) == 0 && text[cap] == 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pending_is_asked_again),
        cmocka_unit_test(what_is_pending_can_be_given_up),
        cmocka_unit_test(as_many_chains_as_there_is_memory_for),
        cmocka_unit_test(a_port_that_lacks_a_function_is_refused),
        cmocka_unit_test(what_exceeds_the_buffer_is_told_its_limit),
        cmocka_unit_test(object_identifiers_agree),
        cmocka_unit_test(a_refusal_is_cut_to_its_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
