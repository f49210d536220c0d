#include "wired.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "openssl/pki.h"

/* -- identities, made once per algorithm -- */

static char base_dir[] = "/tmp/pst-spdm-XXXXXX";
static struct pst_trust trust[2];
static struct pst_identity identities[2][4];

static void remove_all(void)
{
    char command[64];

    for (int role = 0; role < 2; role++) {
        for (int sig = 1; sig < 4; sig++) {
            if (identities[role][sig].slot.certs_len > 0) {
                pst_identity_free(&identities[role][sig]);
            }
        }
    }
    pst_trust_free(&trust[0]);
    pst_trust_free(&trust[1]);
    snprintf(command, sizeof command, "rm -rf %s", base_dir);
    if (system(command) != 0) {
        fprintf(stderr, "%s is left\n", base_dir);
    }
}

static void make_ca(void)
{
    char why[256] = "", path[128];
    struct pst_pki_options options = {.algorithm = PST_ECDSA_P256};

    CHECK(mkdtemp(base_dir) != NULL);
    snprintf(path, sizeof path, "%s/ca", base_dir);
    if (pst_pki_init(path, &options, why, sizeof why) != PST_OK) {
        fprintf(stderr, "%s\n", why);
    }
    /* trust[role]: of peers in that role */
    for (int role = 0; role < 2; role++) {
        CHECK_EQ(pst_trust_init(&trust[role]), PST_OK);
        snprintf(path, sizeof path, "%s/ca/%s.pem", base_dir,
                 role == PST_ROLE_RESPONDER ? "devices" : "engineers");
        CHECK_EQ(pst_trust_add(&trust[role], path, why, sizeof why), PST_OK);
    }
    atexit(remove_all);
}

const struct pst_identity *wired_identity(pst_role role, pst_sig_id sig)
{
    struct pst_identity *id = &identities[role][sig];
    struct pst_pki_options options = {.algorithm = sig};
    char ca[128], dir[128], why[256] = "";

    if (trust[0].priv == NULL) {
        make_ca();
    }
    if (id->slot.certs_len > 0) {
        return id;
    }
    snprintf(ca, sizeof ca, "%s/ca", base_dir);
    snprintf(dir, sizeof dir, "%s/%d-%d", base_dir, role, sig);
    pst_err err = role == PST_ROLE_RESPONDER
                      ? pst_pki_target(ca, WIRED_DEVICE, dir, &options, why, sizeof why)
                      : pst_pki_engineer(ca, "ada", "role = debug", dir, &options, why, sizeof why);
    if (err == PST_OK) {
        err = pst_identity_load(id, dir, why, sizeof why);
    }
    if (err != PST_OK) {
        fprintf(stderr, "identity: %s: %s\n", pst_err_text(err), why);
    }
    CHECK_EQ(err, PST_OK);
    return id;
}

/* -- key ports and hooks -- */

static pst_err place(void *ctx, uint32_t id, pst_key_phase phase, pst_direction d, bool encrypt,
                     const struct pst_traffic_key *key)
{
    struct wired_keys *k = ctx;
    int at = -1;

    for (int i = 0; i < 4 && at < 0; i++) {
        if (k->session[i].id == 0) {
            at = i;
        }
    }
    for (int i = 0; i < 4; i++) {
        if (k->session[i].id == id) {
            at = i;
        }
    }
    CHECK(at >= 0 && id != 0);
    k->session[at].id = id;
    k->session[at].live[d] = true;
    k->session[at].key[d] = *key;
    k->session[at].phase[d] = phase;
    k->session[at].encrypt = encrypt;
    k->placed++;
    return PST_OK;
}

static void drop(void *ctx, uint32_t id)
{
    struct wired_keys *k = ctx;

    for (int i = 0; i < 4; i++) {
        if (k->session[i].id == id) {
            memset(&k->session[i], 0, sizeof k->session[i]);
        }
    }
    k->dropped++;
}

static int find(const struct wired_keys *k, uint32_t id)
{
    for (int i = 0; i < 4; i++) {
        if (k->session[i].id == id) {
            return i;
        }
    }
    return -1;
}

static pst_err on_peer(void *ctx, const struct pst_peer *peer)
{
    struct wired_side *s = ctx;

    s->log.accepted++;
    snprintf(s->log.name, sizeof s->log.name, "%s",
             peer->device[0] != '\0' ? peer->device : peer->name);
    return s->log.refuse;
}

static void on_established(void *ctx, uint32_t id, const struct pst_peer *peer)
{
    struct wired_side *s = ctx;

    (void)peer;
    s->log.established++;
    s->log.id = id;
}

static void on_ended(void *ctx, uint32_t id, pst_err why)
{
    struct wired_side *s = ctx;

    s->log.ended++;
    s->log.why = why;
    CHECK(find(&s->keys, id) < 0); /* the keys went first */
}

static pst_err on_vendor(void *ctx, uint32_t context, uint16_t standard, struct pst_bytes id,
                         struct pst_bytes payload, uint8_t *out, size_t cap, size_t *len)
{
    (void)ctx;
    (void)context;
    (void)standard;
    (void)id;
    if (payload.len > cap) {
        return PST_ERR_SPACE;
    }
    for (size_t i = 0; i < payload.len; i++) {
        out[i] = (uint8_t)(payload.at[i] ^ 0xff);
    }
    *len = payload.len;
    return PST_OK;
}

static uint64_t clock_of(void *ctx)
{
    const struct wired *w = ctx;

    return w->now;
}

static pst_err sign(void *ctx, pst_hash_id hash, const void *message, size_t len, uint8_t *out)
{
    struct wired_signer *s = ctx;

    s->calls++;
    if (s->broken) {
        return PST_ERR_CRYPTO;
    }
    if (s->pending > 0) {
        s->pending--;
        return PST_PENDING;
    }
    s->waits = s->asked < s->of->slow_signers;
    s->asked = s->waits != 0 ? s->asked + 1 : 0;
    if (s->waits != 0) {
        return PST_PENDING;
    }
    return s->real->sign(s->real->ctx, hash, message, len, out);
}

static void cancel(void *ctx)
{
    struct wired_signer *s = ctx;

    s->cancelled++;
    s->asked = s->waits = 0;
}

static void wrap(struct wired *w, struct wired_signer *s, const struct pst_identity *id)
{
    s->of = w;
    s->real = id->slot.signer;
    s->signer =
        (struct pst_signer){.ctx = s, .sig_id = s->real->sig_id, .sign = sign, .cancel = cancel};
}

static const uint8_t rom[] = "rom", fw[300] = {1, 2, 3}, svn[8] = {7};
static pst_err measure(void *ctx, size_t n, pst_hash_id hash, struct pst_measurement *out)
{
    static const struct pst_measurement blocks[] = {
        {.index = 1, .type = 0, .raw = true, .tcb = true, .value = {rom, sizeof rom}},
        {.index = 2, .type = 1, .raw = true, .value = {fw, sizeof fw}},
        {.index = 0x10, .type = 7, .raw = true, .tcb = true, .value = {svn, sizeof svn}},
    };

    (void)ctx;
    (void)hash;
    if (n >= 3) {
        return PST_ERR_ARGUMENT;
    }
    *out = blocks[n];
    return PST_OK;
}
static const struct pst_measurements measurements = {.get = measure};

/* -- set-up -- */

struct wired_options wired_defaults(void)
{
    return (struct wired_options){
        .minor = 3,
        .hash = PST_SHA256,
        .rsp_sig = PST_ECDSA_P256,
        .req_sig = PST_ECDSA_P256,
        .dh = PST_SECP256R1,
        .aead = PST_AES_256_GCM,
        .mutual = PST_MUTUAL_ENCAP,
        .transfer = 2048,
    };
}

static void common(struct wired *w, struct wired_side *s, const struct wired_options *o,
                   pst_role peer)
{
    uint32_t flags = PST_CAP_CERT | PST_CAP_CHAL | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX |
                     PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD;

    if (!o->mac_only) {
        flags |= PST_CAP_ENCRYPT;
    }
    if (o->clear_handshake) {
        flags |= PST_CAP_CLEAR_HANDSHAKE;
    }
    if (o->multi_key) {
        flags |= PST_CAP_MULTI_KEY_NEG;
    }
    strict_init(&s->strict, pst_openssl_crypto(), &trust[peer].verifier);
    s->config = (struct pst_spdm_config){
        .crypto = &s->strict.crypto,
        .verifier = &s->strict.verifier,
        .keys = {.ctx = &s->keys, .place = place, .drop = drop},
        .hooks = {.ctx = s,
                 .peer = on_peer,
                 .established = on_established,
                 .ended = on_ended,
                 .vendor = on_vendor},
        .now_ms = clock_of,
        .now_ctx = w,
        .min_minor = o->minor,
        .max_minor = o->minor,
        .capabilities = flags,
        .ct_exponent = 14,
        .transfer_size = o->transfer,
        .multi_key = o->multi_key,
        .hashes = w->hashes,
        .dhs = w->dhs,
        .aeads = w->aeads,
        .measurement_hash = PST_SHA256,
        .mutual = o->mutual,
        .heartbeat_s = 5,
        .certificate_portion = o->portion,
        .measurements = &measurements,
    };
}

void wired_setup(struct wired *w, const struct wired_options *o)
{
    memset(w, 0, sizeof *w);
    w->now = 1000;
    w->hashes[0] = (uint8_t)o->hash;
    w->dhs[0] = (uint8_t)o->dh;
    w->aeads[0] = (uint8_t)o->aead;
    w->sigs[0] = (uint8_t)o->rsp_sig;
    w->peer_sigs[0] = (uint8_t)o->req_sig;
    const struct pst_identity *device = wired_identity(PST_ROLE_RESPONDER, o->rsp_sig);
    const struct pst_identity *engineer = wired_identity(PST_ROLE_REQUESTER, o->req_sig);
    common(w, &w->ts, o, PST_ROLE_REQUESTER);
    common(w, &w->dts, o, PST_ROLE_RESPONDER);
    w->ts.config.sigs = w->sigs;
    w->ts.config.peer_sigs = w->peer_sigs;
    w->dts.config.sigs = w->peer_sigs;
    w->dts.config.peer_sigs = w->sigs;
    w->ts.config.capabilities |= PST_CAP_MEAS_SIGNED;
    if (o->multi_key) {
        w->ts.config.capabilities |= PST_CAP_GET_KEY_PAIR_INFO;
    }
    wrap(w, &w->ts_signer, device);
    wrap(w, &w->dts_signer, engineer);
    w->ts_slot = device->slot;
    w->ts_slot.signer = &w->ts_signer.signer;
    w->dts_slot = engineer->slot;
    w->dts_slot.signer = &w->dts_signer.signer;
    w->ts_slot.key_pair_id = w->dts_slot.key_pair_id = 1;
    w->ts_slot.model = w->dts_slot.model = 1;
    w->ts_slot.key_usage = w->dts_slot.key_usage = 7;
    w->ts.config.slots[o->ts_slot] = &w->ts_slot;
    w->dts.config.slots[o->dts_slot] = &w->dts_slot;
    if (!o->defer) {
        w->ts.config.caller_waits = true;
    }
}

void wired_start(struct wired *w)
{
    CHECK_EQ(pst_requester_init(&w->q, &w->dts.config), PST_OK);
    CHECK_EQ(pst_responder_init(&w->r, &w->ts.config), PST_OK);
    pst_responder_defer(&w->r, w->defer, sizeof w->defer);
}

void wired_end(struct wired *w)
{
    pst_requester_wipe(&w->q);
    pst_responder_wipe(&w->r);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(w->dts.keys.session[i].id, 0);
        CHECK_EQ(w->ts.keys.session[i].id, 0);
    }
    CHECK_EQ(w->ts_signer.waits + w->dts_signer.waits, 0);
    strict_check(&w->dts.strict);
    strict_check(&w->ts.strict);
}

/* -- running -- */

static void take_key(const struct wired_side *s, uint32_t id, pst_direction d,
                     struct pst_traffic_key *out)
{
    int at = find(&s->keys, id);

    CHECK(at >= 0);
    CHECK(s->keys.session[at].live[d]);
    *out = s->keys.session[at].key[d];
}

/* Would the record open? */
static bool opens(const struct wired *w, const struct wired_side *s, uint32_t id, pst_direction d,
                  const struct pst_traffic_key *sealed)
{
    int at = find(&s->keys, id);

    if (!w->tolerant) {
        return true;
    }
    return at >= 0 && s->keys.session[at].live[d] &&
           memcmp(s->keys.session[at].key[d].key, sealed->key, sizeof sealed->key) == 0;
}

static void same_key(const struct wired_side *s, uint32_t id, pst_direction d,
                     const struct pst_traffic_key *sealed)
{
    struct pst_traffic_key mine;

    take_key(s, id, d, &mine);
    CHECK_BYTES(&mine.key, &sealed->key, sizeof mine.key);
    CHECK_BYTES(&mine.iv, &sealed->iv, sizeof mine.iv);
}

static size_t answer(struct wired *w, uint32_t context, uint8_t *req, size_t len, uint8_t *out)
{
    size_t out_len = 0;
    pst_err err = pst_responder_handle(&w->r, context, req, len, out, WIRED_BUFFER, &out_len);

    for (int i = 0; err == PST_PENDING && i < 100; i++) {
        if (w->turn != NULL && w->turn(w)) {
            return 0;
        }
        err = pst_responder_resume(&w->r, out, WIRED_BUFFER, &out_len);
    }
    CHECK_EQ(err, PST_OK);
    return out_len;
}

/* One exchange; returns false when the responder stayed silent. */
static bool exchange(struct wired *w, uint32_t context, uint8_t *req, size_t len)
{
    static uint8_t rsp[WIRED_BUFFER];
    struct pst_traffic_key key;
    size_t rsp_len = 0;

    w->messages++;
    if (context != 0) {
        w->in_session++;
        take_key(&w->dts, context, PST_TO_RESPONDER, &key);
    }
    pst_requester_sent(&w->q);
    if (context != 0 && !opens(w, &w->ts, context, PST_TO_RESPONDER, &key)) {
        CHECK_EQ(pst_responder_bad_record(&w->r, context, rsp, sizeof rsp, &rsp_len), PST_OK);
        pst_responder_sent(&w->r);
        return false;
    }
    if (context != 0) {
        same_key(&w->ts, context, PST_TO_RESPONDER, &key);
    }
    if (w->tap != NULL) {
        w->tap(w, PST_ROLE_RESPONDER, context, req, &len);
    }
    rsp_len = answer(w, context, req, len, rsp);
    if (rsp_len == 0) {
        return false;
    }
    if (context != 0) {
        take_key(&w->ts, context, PST_TO_REQUESTER, &key);
    }
    pst_responder_sent(&w->r);
    if (context != 0 && !opens(w, &w->dts, context, PST_TO_REQUESTER, &key)) {
        pst_requester_end(&w->q, context, PST_ERR_AUTH);
        return false;
    }
    if (context != 0) {
        same_key(&w->dts, context, PST_TO_REQUESTER, &key);
    }
    if (w->tap != NULL) {
        w->tap(w, PST_ROLE_REQUESTER, context, rsp, &rsp_len);
    }
    if (rsp_len >= 3 && rsp[1] == PST_ERROR) {
        w->last_error = rsp[2];
    }
    pst_err err = pst_requester_receive(&w->q, context, rsp, rsp_len);
    if (w->turn == NULL || err != PST_ERR_STATE) { /* given up meanwhile */
        CHECK(err == PST_OK || pst_requester_result(&w->q, NULL) == err);
    }
    return true;
}

static pst_err pump(struct wired *w)
{
    static uint8_t req[WIRED_BUFFER];

    for (int turns = 0; turns < 200000; turns++) {
        uint32_t context = 0;
        size_t len = 0;
        pst_err err = pst_requester_next(&w->q, &context, req, sizeof req, &len);

        if (err == PST_ERR_STATE) {
            return pst_requester_result(&w->q, NULL);
        }
        if (err == PST_PENDING) {
            if (w->turn != NULL && w->turn(w)) {
                return PST_ERR_CLOSED;
            }
            w->now += pst_requester_wait(&w->q);
            continue;
        }
        CHECK_EQ(err, PST_OK);
        if (!exchange(w, context, req, len)) {
            pst_requester_cancel(&w->q, PST_ERR_TIMEOUT);
        }
    }
    CHECK(!"it never ends");
    return PST_ERR_STATE;
}

pst_err wired_run(struct wired *w, const struct pst_op *op)
{
    pst_err err = pst_requester_start(&w->q, op);

    return err != PST_OK ? err : pump(w);
}

pst_err wired_op(struct wired *w, pst_op_kind kind)
{
    struct pst_op op = {.kind = kind, .portion = w->dts.config.certificate_portion};

    for (uint8_t i = 0; i < 8; i++) {
        if (w->ts.config.slots[i] != NULL) {
            op.slot = i;
        }
    }
    if (kind >= PST_OP_HEARTBEAT) {
        op.context = pst_requester_session(&w->q);
    }
    return wired_run(w, &op);
}

pst_err wired_try_session(struct wired *w)
{
    static const pst_op_kind ops[] = {PST_OP_CONNECT, PST_OP_DIGESTS, PST_OP_CERTIFICATE,
                                      PST_OP_SESSION};

    for (size_t i = 0; i < 4; i++) {
        pst_err err = wired_op(w, ops[i]);
        if (err != PST_OK) {
            return err;
        }
    }
    return PST_OK;
}

uint32_t wired_session(struct wired *w)
{
    CHECK_EQ(wired_try_session(w), PST_OK);
    uint32_t id = pst_requester_session(&w->q);
    struct pst_traffic_key key;
    for (int d = 0; d < 2; d++) {
        take_key(&w->dts, id, (pst_direction)d, &key);
        same_key(&w->ts, id, (pst_direction)d, &key);
        CHECK_EQ(w->ts.keys.session[find(&w->ts.keys, id)].phase[d], PST_KEYS_APPLICATION);
    }
    return id;
}

size_t wired_request(struct wired *w, uint32_t context, const void *req, size_t len, uint8_t *out)
{
    static uint8_t copy[WIRED_BUFFER];

    CHECK(len <= sizeof copy);
    memcpy(copy, req, len);
    size_t n = answer(w, context, copy, len, out);
    pst_responder_sent(&w->r);
    return n;
}
