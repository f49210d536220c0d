/* A simulated network for the tests of the SCM: one TS and several DTSs. The clock moves only when
 * the test advances it. A test can read and change the messages on the links. The identities are
 * real ones, made once. */
#ifndef PST_TESTS_SCM_NET_H
#define PST_TESTS_SCM_NET_H

#include <stdlib.h>
#include <unistd.h>

#include "openssl/openssl_port.h"
#include "openssl/pki.h"
#include "postern/debugger.h"
#include "postern/target.h"
#include "pst_test.h"
#include "spdm/codes.h"

#define NET_CONTEXTS 3
#define NET_SIDES 3
#define NET_RAM 0x10000u
#define NET_RAM_AT 0x80000000u
#define NET_DEVICE "Acme:Pump:0042"
#ifndef NET_QUEUE /* of the TS; test_small.c uses fewer */
#define NET_QUEUE 8192
#define NET_TRANSFER 4096
#endif

struct net_keys { /* identities and trust anchors, from files made once */
    struct pst_identity pump, pump43, impostor, ada, olga, eve, nobody;
    struct pst_trust devices, engineers, other_devices;
};

struct net;

struct net_side { /* one DTS and its link */
    struct net *net;
    struct pst_debugger dts;
    struct pst_debugger_config config;
    struct pst_spdm_config spdm;
    uint8_t mailbox[3 * 4096];
    bool up;
    unsigned events;
    unsigned messages_out, messages_in;
};

struct net {
    uint64_t now;
    struct pst_target target;
    struct pst_target_config config;
    struct pst_target_context contexts[NET_CONTEXTS];
    struct pst_target_buffers buffers[NET_CONTEXTS];
    struct pst_target_path paths[2];
    uint8_t queue[NET_CONTEXTS][NET_QUEUE], mailbox[NET_CONTEXTS][2 * NET_TRANSFER];
    struct pst_policy policy;
    struct pst_spdm_config spdm;
    struct pst_space memory, run;
    struct net_side sides[NET_SIDES];
    uint8_t ram[NET_RAM];
    /* what the parts of the TS observed */
    char log[256][PST_AUDIT_LINE];
    unsigned lines, durable_lines;
    char line[PST_AUDIT_LINE]; /* an audit line that is not complete yet */
    size_t line_len;
    bool log_fails;
    unsigned effects,
        unlogged_effects; /* effects performed; those of them without an earlier audit line */
    unsigned lines_at_effect;
    unsigned reads, opened, released;
    bool run_event;      /* RUN has an event to report */
    bool memory_pending; /* MEMORY answers PENDING */
    /* tampers with the link: may change a message, or drop it (return false) */
    bool (*tamper)(struct net *n, bool to_target, uint8_t *kind, uint8_t *msg, size_t *len);
    unsigned seen; /* for the tamper function */
    uint8_t kept[8192];
    size_t kept_len;
    struct pst_link_traits traits;
};

static struct net_keys net_keys;

static inline uint64_t net_now(void *ctx)
{
    return ((struct net *)ctx)->now;
}

static inline uint64_t net_wall(void *ctx)
{
    return 1700000000u + ((struct net *)ctx)->now / 1000;
}

static inline pst_err net_line(void *ctx, const char *piece, size_t len, enum pst_audit_when when)
{
    struct net *n = ctx;
    char *line = n->line;
    n->durable_lines += when == PST_AUDIT_DURABLE;
    if (n->log_fails) {
        n->line_len = 0;
        return PST_ERR_IO;
    }
    CHECK(len <= 128 && len < PST_AUDIT_LINE - n->line_len);
    memcpy(line + n->line_len, piece, len);
    n->line_len += len;
    if (when == PST_AUDIT_MORE) {
        return PST_OK;
    }
    CHECK(line[0] == '{' && line[n->line_len - 1] == '}');
    if (n->lines < 256) {
        memcpy(n->log[n->lines], line, n->line_len);
        n->log[n->lines][n->line_len] = '\0';
    }
    n->line_len = 0;
    n->lines++;
    return PST_OK;
}

static inline bool net_logged(const struct net *n, const char *text)
{
    for (unsigned i = 0; i < n->lines && i < 256; i++) {
        if (strstr(n->log[i], text) != NULL) {
            return true;
        }
    }
    return false;
}

static inline bool net_held(const struct net *n)
{
    for (unsigned i = 0; i < NET_CONTEXTS; i++) {
        if (n->contexts[i].phase == PST_CONTEXT_LIVE && !n->contexts[i].observer) {
            return true;
        }
    }
    return false;
}

/* --- access spaces of the fake device --- */

static inline uint8_t net_memory_right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static inline uint8_t net_run_right(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_RUN : PST_RIGHT_READ;
}

static inline void net_effect(struct net *n)
{
    n->effects++;
    if (n->lines == n->lines_at_effect) {
        n->unlogged_effects++;
    }
}

static inline pst_err net_memory(void *ctx, struct pst_access *a)
{
    struct net *n = ctx;
    if (n->memory_pending) {
        return PST_PENDING;
    }
    if (a->address < NET_RAM_AT || a->address - NET_RAM_AT > NET_RAM - a->len) {
        return PST_ERR_FAULT;
    }
    uint8_t *at = n->ram + (a->address - NET_RAM_AT);
    if (a->write) {
        net_effect(n);
        memcpy(at, a->data, a->len);
    } else {
        n->reads++;
        memcpy(a->data, at, a->len);
    }
    return PST_OK;
}

static inline pst_err net_run(void *ctx, struct pst_access *a)
{
    struct net *n = ctx;
    if (a->write) {
        net_effect(n);
    } else {
        n->reads++;
        memset(a->data, 0, a->len);
    }
    return PST_OK;
}

static inline pst_err net_enable(void *ctx, bool on, const struct pst_gate *gate)
{
    struct net *n = ctx;
    (void)gate;
    if (on) {
        n->opened++;
    } else {
        n->released++;
    }
    return PST_OK;
}

static inline size_t net_event(void *ctx, uint8_t *out, size_t cap)
{
    struct net *n = ctx;
    if (!n->run_event || cap < 4) {
        return 0;
    }
    n->run_event = false;
    memcpy(out, "stop", 4);
    return 4;
}

/* --- setup --- */

static inline void net_must(pst_err err, const char *why)
{
    if (err != PST_OK) {
        fprintf(stderr, "net: %s\n", why);
    }
    CHECK_EQ(err, PST_OK);
}

static inline int net_keys_make(void **state)
{
    char dir[] = "/tmp/postern-scm.XXXXXX", path[64], why[256] = "";
    const struct pst_pki_options o = {.algorithm = PST_ECDSA_P256};
    struct net_keys *k = &net_keys;
    (void)state;

    CHECK(mkdtemp(dir) != NULL);
    CHECK(chdir(dir) == 0);
    (void)path;
    net_must(pst_pki_init("ca", &o, why, sizeof why), why);
    net_must(pst_pki_init("other", &o, why, sizeof why), why);
    net_must(pst_pki_target("ca", NET_DEVICE, "pump", &o, why, sizeof why), why);
    net_must(pst_pki_target("ca", "Acme:Pump:0043", "pump43", &o, why, sizeof why), why);
    net_must(pst_pki_target("other", NET_DEVICE, "impostor", &o, why, sizeof why), why);
    net_must(pst_pki_engineer("ca", "ada", "debug", "ada", &o, why, sizeof why), why);
    net_must(pst_pki_engineer("ca", "olga", "observe", "olga", &o, why, sizeof why), why);
    net_must(pst_pki_engineer("ca", "nobody", "debug device=Acme:Valve:*", "nobody", &o, why,
                              sizeof why),
             why);
    net_must(pst_pki_engineer("other", "eve", "debug", "eve", &o, why, sizeof why), why);
    net_must(pst_identity_load(&k->pump, "pump", why, sizeof why), why);
    net_must(pst_identity_load(&k->pump43, "pump43", why, sizeof why), why);
    net_must(pst_identity_load(&k->impostor, "impostor", why, sizeof why), why);
    net_must(pst_identity_load(&k->ada, "ada", why, sizeof why), why);
    net_must(pst_identity_load(&k->olga, "olga", why, sizeof why), why);
    net_must(pst_identity_load(&k->nobody, "nobody", why, sizeof why), why);
    net_must(pst_identity_load(&k->eve, "eve", why, sizeof why), why);
    net_must(pst_trust_init(&k->devices), "trust");
    net_must(pst_trust_init(&k->engineers), "trust");
    net_must(pst_trust_add(&k->devices, "ca/devices.pem", why, sizeof why), why);
    net_must(pst_trust_add(&k->engineers, "ca/engineers.pem", why, sizeof why), why);
    return 0;
}

static inline int net_keys_free(void **state)
{
    struct net_keys *k = &net_keys;
    struct pst_identity *all[] = {&k->pump, &k->pump43, &k->impostor, &k->ada,
                                  &k->olga, &k->eve,    &k->nobody};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        pst_identity_free(all[i]);
    }
    pst_trust_free(&k->devices);
    pst_trust_free(&k->engineers);
    return 0;
}

static inline struct pst_spdm_config net_spdm(struct net *n, const struct pst_identity *id,
                                              struct pst_trust *trust, uint32_t capabilities)
{
    static const uint8_t hashes[] = {PST_SHA256, PST_SHA384, 0};
    static const uint8_t sigs[] = {PST_ECDSA_P256, PST_ECDSA_P384, PST_ED25519, 0};
    static const uint8_t dhs[] = {PST_SECP256R1, PST_SECP384R1, 0};
    static const uint8_t aeads[] = {PST_AES_256_GCM, PST_AES_128_GCM, PST_CHACHA20_POLY1305, 0};
    return (struct pst_spdm_config){
        .crypto = pst_openssl_crypto(),
        .verifier = &trust->verifier,
        .slots = {&id->slot},
        .now_ms = net_now,
        .now_ctx = n,
        .min_minor = 2,
        .max_minor = 3,
        .capabilities = capabilities,
        .ct_exponent = 20,
        .transfer_size = NET_TRANSFER,
        .hashes = hashes,
        .sigs = sigs,
        .peer_sigs = sigs,
        .dhs = dhs,
        .aeads = aeads,
    };
}

#define NET_COMMON_CAPS                                                                            \
    (PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX |            \
     PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD)

static inline void net_on_event(void *ctx, uint8_t space, struct pst_bytes payload)
{
    struct net_side *s = ctx;
    CHECK_EQ(space, PST_AS_RUN);
    CHECK_EQ(payload.len, 4);
    s->events++;
}

/* Sets up a TS with the identity `id` and a policy given as text. */
static inline struct net *net_new(const struct pst_identity *id, const char *policy)
{
    struct net *n = calloc(1, sizeof *n);
    size_t at;
    CHECK(n != NULL);
    n->now = 1000;
    n->traits = pst_stream_traits;
    n->spdm = net_spdm(n, id, &net_keys.engineers, NET_COMMON_CAPS);
    n->spdm.mutual = PST_MUTUAL_ENCAP;
    n->spdm.heartbeat_s = 5;
    CHECK_EQ(pst_grants_parse(&n->policy.allow, policy, strlen(policy), false, &at), PST_OK);
    n->memory = (struct pst_space){.ctx = n,
                                   .right = net_memory_right,
                                   .perform = net_memory,
                                   .enable = net_enable,
                                   .urgent_first = 1};
    n->run = (struct pst_space){.ctx = n,
                                .right = net_run_right,
                                .perform = net_run,
                                .enable = net_enable,
                                .event = net_event,
                                .urgent_first = PST_RUN_INTERRUPT,
                                .urgent_last = PST_RUN_INTERRUPT};
    n->config = (struct pst_target_config){
        .spdm = &n->spdm,
        .policy = &n->policy,
        .device = id->name,
        .native = &pst_target_native,
        .data = &pst_target_data,
        .paths = n->paths,
        .path_count = 2,
        .spaces = {[PST_AS_MEMORY] = &n->memory, [PST_AS_RUN] = &n->run},
        .audit = {.ctx = n, .line = net_line, .wall_s = net_wall},
    };
    for (size_t i = 0; i < NET_CONTEXTS; i++) {
        n->buffers[i] = (struct pst_target_buffers){n->queue[i], sizeof n->queue[i], n->mailbox[i],
                                                    sizeof n->mailbox[i]};
    }
    CHECK_EQ(pst_target_init(&n->target, &n->config, n->contexts, n->buffers, NET_CONTEXTS),
             PST_OK);
    return n;
}

static inline void net_free(struct net *n)
{
    while (pst_target_stop(&n->target, PST_OK) == PST_PENDING) {
    }
    for (unsigned i = 0; i < NET_SIDES; i++) {
        pst_debugger_wipe(&n->sides[i].dts);
    }
    CHECK_EQ(n->opened, n->released); /* in every test: no context stays open */
    CHECK_EQ(n->unlogged_effects, 0); /* and no effect is missing in the audit log */
    free(n);
}

/* Sets up a DTS on link `i` and connects it. */
static inline struct net_side *net_join(struct net *n, unsigned i, const struct pst_identity *id,
                                        struct pst_trust *trust)
{
    struct net_side *s = &n->sides[i];
    pst_debugger_wipe(&s->dts);
    memset(s, 0, sizeof *s);
    s->net = n;
    s->spdm = net_spdm(n, id, trust, NET_COMMON_CAPS);
    s->config = (struct pst_debugger_config){
        .spdm = &s->spdm,
        .device = NET_DEVICE,
        .spaces = (1u << PST_AS_MEMORY) | (1u << PST_AS_RUN),
        .event = net_on_event,
        .ctx = s,
        .mailbox = s->mailbox,
        .mailbox_len = sizeof s->mailbox,
    };
    return s;
}

static inline void net_start(struct net_side *s)
{
    unsigned i = (unsigned)(s - s->net->sides);
    CHECK_EQ(pst_debugger_init(&s->dts, &s->config), PST_OK);
    CHECK_EQ(pst_target_link_up(&s->net->target, i, &s->net->traits), PST_OK);
    s->up = true;
    CHECK_EQ(pst_debugger_start(&s->dts, &s->net->traits), PST_OK);
}

static inline void net_cut(struct net_side *s)
{
    if (!s->up) {
        return;
    }
    s->up = false;
    pst_debugger_link_down(&s->dts);
    pst_target_link_down(&s->net->target, (uint32_t)(s - s->net->sides));
}

/* Delivers all waiting messages. Returns whether there were any. */
static inline bool net_move(struct net_side *s)
{
    static uint8_t msg[65600];
    struct net *n = s->net;
    uint32_t link = (uint32_t)(s - n->sides);
    uint8_t kind;
    bool moved = false;
    size_t len;

    if (!s->up) {
        return false;
    }
    while (s->up && (len = pst_debugger_output(&s->dts, &kind, msg, sizeof msg)) > 0) {
        moved = true;
        s->messages_out++;
        if (n->tamper != NULL && !n->tamper(n, true, &kind, msg, &len)) {
            continue;
        }
        if (pst_target_receive(&n->target, link, kind, msg, len) != PST_OK) {
            net_cut(s);
        }
    }
    while (s->up && (len = pst_target_output(&n->target, link, &kind, msg, sizeof msg)) > 0) {
        moved = true;
        s->messages_in++;
        if (n->tamper != NULL && !n->tamper(n, false, &kind, msg, &len)) {
            continue;
        }
        (void)!pst_debugger_receive(&s->dts, kind, msg, len);
    }
    if (s->up && pst_target_wants_close(&n->target, link)) {
        moved = true;
        net_cut(s);
    }
    return moved;
}

/* Delivers messages until none is left, then advances the clock by `ms` in steps. */
static inline void net_run_for(struct net *n, uint64_t ms)
{
    uint64_t end = n->now + ms;
    for (;;) {
        bool moved = true;
        while (moved) {
            moved = false;
            for (unsigned i = 0; i < NET_SIDES; i++) {
                moved = (n->sides[i].up && net_move(&n->sides[i])) || moved;
            }
        }
        (void)pst_target_poll(&n->target);
        for (unsigned i = 0; i < NET_SIDES; i++) {
            if (n->sides[i].up) {
                (void)pst_debugger_poll(&n->sides[i].dts);
            }
        }
        if (n->now >= end) {
            return;
        }
        n->now += 250 < end - n->now ? 250 : end - n->now;
    }
}

static inline struct net_side *net_connect(struct net *n, unsigned i, const struct pst_identity *id)
{
    struct net_side *s = net_join(n, i, id, &net_keys.devices);
    net_start(s);
    net_run_for(n, 0);
    return s;
}

static inline pst_err net_op(struct net_side *s, bool write, uint8_t space, uint64_t address,
                             void *data, uint32_t len)
{
    struct pst_spp_op op = {.space = space, .address = address, .data = data, .len = len};
    if (write) {
        s->net->lines_at_effect = s->net->lines;
        pst_debugger_write(&s->dts, &op);
    } else {
        pst_debugger_read(&s->dts, &op);
    }
    for (unsigned i = 0; i < 40 && op.result == PST_PENDING; i++) {
        net_run_for(s->net, i < 2 ? 0 : 250);
    }
    if (op.result == PST_PENDING) {
        net_cut(s); /* releases the operation */
        CHECK(op.result != PST_PENDING);
    }
    return op.result;
}

#endif
