/* Compares the CPU time of a session setup with that of the cryptographic primitives it needs.
 *
 * The setup runs from VERSION to FINISH, with encapsulated mutual authentication and an encrypted
 * handshake, both sides in one thread. The primitives are two key generations, two ECDH, two
 * signatures and their verification, the verification of each certificate below the root, and one
 * parse of each certificate. Both are timed in alternating turns. The result is the median of the
 * ratios of all turns. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "openssl/openssl_port.h"
#include "openssl/pki.h"
#include "postern/parts/record.h"
#include "postern/parts/requester.h"
#include "postern/parts/responder.h"

#define TURNS 101
#define REPEAT 4

static void die(const char *what)
{
    fprintf(stderr, "bench session: %s failed\n", what);
    exit(1);
}

static void must(pst_err err, const char *what)
{
    if (err != PST_OK) {
        die(what);
    }
}

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

/* --- Postern --- */

struct suite {
    const char *name;
    uint8_t sig, hash, dh, aead;
};

struct ends {
    struct pst_identity pump, ada;
    struct pst_trust devices, engineers;
    struct pst_spdm_config dts, ts;
    struct pst_requester requester;
    struct pst_responder responder;
    struct pst_record dts_record, ts_record;
    uint8_t lists[4][2];
};

static pst_err place(void *ctx, uint32_t id, pst_key_phase phase, pst_direction direction,
                     bool encrypt, const struct pst_traffic_key *key)
{
    return pst_record_place(ctx, id, phase, direction, encrypt, key);
}

static void drop(void *ctx, uint32_t id)
{
    (void)id;
    pst_record_wipe(ctx);
}

static struct pst_spdm_config config_of(struct ends *e, const struct pst_identity *id,
                                        struct pst_trust *trust, struct pst_record *record)
{
    struct pst_spdm_config c = {
        .crypto = pst_openssl_crypto(),
        .verifier = &trust->verifier,
        .slots = {&id->slot},
        .keys = {.ctx = record, .place = place, .drop = drop},
        .now_ms = no_time,
        .min_minor = 2,
        .max_minor = 2,
        .capabilities = PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH |
                        PST_CAP_KEY_EX | PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD,
        .ct_exponent = 20,
        .transfer_size = 4096,
        .sigs = e->lists[0],
        .peer_sigs = e->lists[0],
        .hashes = e->lists[1],
        .dhs = e->lists[2],
        .aeads = e->lists[3],
        .mutual = PST_MUTUAL_ENCAP,
    };
    return c;
}

static void ends_init(struct ends *e, const struct suite *s)
{
    const struct pst_pki_options o = {.algorithm = (pst_sig_id)s->sig};
    char dir[] = "/tmp/postern-bench.XXXXXX", why[256] = "";

    memset(e, 0, sizeof *e);
    if (mkdtemp(dir) == NULL || chdir(dir) != 0) {
        die("a temporary directory");
    }
    must(pst_pki_init("ca", &o, why, sizeof why), "pki init");
    must(pst_pki_target("ca", "Acme:Pump:0042", "pump", &o, why, sizeof why), "pki target");
    must(pst_pki_engineer("ca", "ada", "debug", "ada", &o, why, sizeof why), "pki engineer");
    must(pst_identity_load(&e->pump, "pump", why, sizeof why), "identity");
    must(pst_identity_load(&e->ada, "ada", why, sizeof why), "identity");
    must(pst_trust_init(&e->devices), "trust");
    must(pst_trust_init(&e->engineers), "trust");
    must(pst_trust_add(&e->devices, "ca/devices.pem", why, sizeof why), "trust");
    must(pst_trust_add(&e->engineers, "ca/engineers.pem", why, sizeof why), "trust");
    e->lists[0][0] = s->sig;
    e->lists[1][0] = s->hash;
    e->lists[2][0] = s->dh;
    e->lists[3][0] = s->aead;
    e->dts = config_of(e, &e->ada, &e->devices, &e->dts_record);
    e->ts = config_of(e, &e->pump, &e->engineers, &e->ts_record);
    e->ts.require_mutual = true;
    (void)!system("rm -rf ca pump ada");
}

/* Delivers one request and its response, each in a record if it belongs to a session. */
static void exchange(struct ends *e, uint32_t context, uint8_t *buf, size_t cap, size_t len)
{
    static uint8_t answer[8192];
    size_t head = context == PST_SPDM_CLEAR ? 0 : pst_record_head(&e->dts_record);
    size_t out_len;
    struct pst_bytes message = {buf + head, len};
    pst_key_phase phase;

    if (context != PST_SPDM_CLEAR) {
        must(pst_record_seal(&e->dts_record, buf, cap, len, 0, &len), "seal");
        must(pst_record_open(&e->ts_record, buf, len, &message, &phase), "open");
    }
    pst_requester_sent(&e->requester);
    must(pst_responder_handle(&e->responder, context, message.at, message.len, answer + head,
                              sizeof answer - head - PST_TAG_LEN, &out_len),
         "handle");
    message = (struct pst_bytes){answer + head, out_len};
    if (context != PST_SPDM_CLEAR) {
        must(pst_record_seal(&e->ts_record, answer, sizeof answer, out_len, 0, &out_len), "seal");
        must(pst_record_open(&e->dts_record, answer, out_len, &message, &phase), "open");
    }
    pst_responder_sent(&e->responder);
    must(pst_requester_receive(&e->requester, context, message.at, message.len), "receive");
}

static void run_op(struct ends *e, pst_op_kind kind)
{
    static uint8_t buf[8192], message[4096];
    const struct pst_op op = {.kind = kind, .context = PST_SPDM_CLEAR};
    uint32_t context;
    size_t len;

    must(pst_requester_start(&e->requester, &op), "start");
    while (pst_requester_next(&e->requester, &context, message, sizeof message, &len) == PST_OK) {
        size_t head = context == PST_SPDM_CLEAR ? 0 : pst_record_head(&e->dts_record);
        memcpy(buf + head, message, len);
        exchange(e, context, buf, sizeof buf, len);
    }
    must(pst_requester_result(&e->requester, &buf[0]), "operation");
}

static void setup(struct ends *e)
{
    const struct pst_record_config dts = {.crypto = pst_openssl_crypto(),
                                          .sends = PST_TO_RESPONDER};
    const struct pst_record_config ts = {.crypto = pst_openssl_crypto(), .sends = PST_TO_REQUESTER};
    must(pst_record_init(&e->dts_record, &dts), "record");
    must(pst_record_init(&e->ts_record, &ts), "record");
    must(pst_requester_init(&e->requester, &e->dts), "requester");
    must(pst_responder_init(&e->responder, &e->ts), "responder");
    run_op(e, PST_OP_CONNECT);
    run_op(e, PST_OP_DIGESTS);
    run_op(e, PST_OP_CERTIFICATE);
    run_op(e, PST_OP_SESSION);
    pst_requester_wipe(&e->requester);
    pst_responder_wipe(&e->responder);
    pst_record_wipe(&e->dts_record);
    pst_record_wipe(&e->ts_record);
}

/* --- the bare primitives --- */

/* The cheapest known way to run each primitive: the port's calls, which bypass OpenSSL's provider
 * layer. EVP and d2i_X509 are slower, and comparing with them would make Postern look better. */
struct bare {
    const struct suite *suite;
    const struct pst_slot *chains[2];
    struct pst_public_key leaf; /* of chains[0]; its private key signs */
    uint8_t signature[PST_MAX_SIGNATURE];
};

static const uint8_t message[148]; /* about as long as what SPDM signs */

/* Parses each certificate of a chain and its key. Returns the number of certificates below the
 * root. Stores the leaf's key in `leaf` unless that is NULL. */
static unsigned parse(const struct pst_slot *chain, struct pst_public_key *leaf)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    const uint8_t *at = chain->certs, *end = at + chain->certs_len;
    struct pst_certificate one;
    struct pst_public_key key = {0};
    unsigned count = 0;
    size_t len;
    while (at < end) {
        must(pst_certificate_extent(at, (size_t)(end - at), &len), "extent");
        must(pst_certificate_parse(&one, at, len), "parse");
        must(c->public_key(c->ctx, &key, (pst_sig_id)one.sig_id, one.key.at), "public key");
        at += len;
        if (at == end && leaf != NULL) {
            *leaf = key;
        } else {
            c->public_key_wipe(c->ctx, &key);
        }
        count++;
    }
    return count - 1;
}

static void sign(struct bare *b)
{
    const struct pst_signer *signer = b->chains[0]->signer;
    must(signer->sign(signer->ctx, (pst_hash_id)b->suite->hash, message, sizeof message,
                      b->signature),
         "sign");
}

static void verify(struct bare *b)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    must(c->verify(c->ctx, &b->leaf, (pst_hash_id)b->suite->hash, message, sizeof message,
                   b->signature),
         "verify");
}

static void primitives(struct bare *b)
{
    const struct pst_crypto *c = pst_openssl_crypto();
    struct pst_dh_key keys[2];
    uint8_t values[2][PST_MAX_DH], secret[PST_MAX_Z];
    unsigned below = parse(b->chains[0], NULL) + parse(b->chains[1], NULL);

    for (int i = 0; i < 2; i++) {
        must(c->dh_generate(c->ctx, (pst_dh_id)b->suite->dh, &keys[i], values[i]), "generate");
    }
    for (int i = 0; i < 2; i++) {
        must(c->dh_shared(c->ctx, &keys[i], values[1 - i], secret), "derive");
        c->dh_wipe(c->ctx, &keys[i]);
    }
    sign(b);
    sign(b);
    for (unsigned i = 0; i < 2 + below; i++) {
        verify(b);
    }
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void measure(const struct suite *s)
{
    static struct ends ends;
    double ratios[TURNS];
    struct bare b = {.suite = s};

    ends_init(&ends, s);
    b.chains[0] = &ends.pump.slot;
    b.chains[1] = &ends.ada.slot;
    (void)parse(b.chains[0], &b.leaf);
    for (int i = -3; i < TURNS; i++) { /* the first turns are warm-up */
        double start = cpu_ns();
        for (int j = 0; j < REPEAT; j++) {
            primitives(&b);
        }
        double middle = cpu_ns();
        for (int j = 0; j < REPEAT; j++) {
            setup(&ends);
        }
        if (i >= 0) {
            ratios[i] = (cpu_ns() - middle) / (middle - start);
        }
    }
    qsort(ratios, TURNS, sizeof *ratios, compare);
    double value = ratios[TURNS / 2];
    printf("{\"name\": \"session setup / primitives, %s\", \"value\": %.3f, \"unit\": \"times\", "
           "\"goal\": 1.25, \"holds\": %s}\n",
           s->name, value, value <= 1.25 ? "true" : "false");
    (void)fflush(stdout);
}

int main(void)
{
    static const struct suite suites[] = {
        {"P-256", PST_ECDSA_P256, PST_SHA256, PST_SECP256R1, PST_AES_256_GCM},
        {"P-384", PST_ECDSA_P384, PST_SHA384, PST_SECP384R1, PST_AES_256_GCM},
    };
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        measure(&suites[i]);
    }
    return 0;
}
