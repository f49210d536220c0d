/* A TS and a DTS, both complete SCMs, with fake cryptography and fake access spaces. The fuzz
 * targets of both sides use it to reach a state and then attack. The access spaces check every
 * access: it must be to an open space, and an effect must have an earlier line in the audit log. */
#ifndef PST_FUZZ_FAKE_NET_H
#define PST_FUZZ_FAKE_NET_H

#include <stdio.h>

#include "fuzz/fake_crypto.h"
#include "postern/debugger.h"
#include "postern/target.h"
#include "spdm/codes.h"

#define FNET_CONTEXTS 3
#define FNET_BUFFER 512
#define FNET_RAM 256u
#define FNET_RAM_AT 0x80000000u

struct fnet;

struct fnet_space {
    struct pst_space space;
    struct fnet *net;
    unsigned enables; /* granted enable(true) calls minus releases */
    unsigned pending; /* number of PENDING answers left */
    unsigned releasing;
    bool event, fails;
};

struct fnet {
    struct fake_crypto fake;
    uint64_t now;
    struct pst_link_traits traits;
    /* the TS */
    struct pst_target target;
    struct pst_target_config config;
    struct pst_target_context contexts[FNET_CONTEXTS];
    struct pst_target_buffers buffers[FNET_CONTEXTS];
    uint8_t queue[FNET_CONTEXTS][600], mailbox[FNET_CONTEXTS][2 * FNET_BUFFER];
    struct pst_policy policy;
    struct pst_spdm_config ts_spdm;
    struct fake_signer ts_signer;
    struct pst_slot ts_slot;
    struct fnet_space memory, run;
    uint8_t ram[FNET_RAM];
    bool log_fails;
    char line[PST_AUDIT_LINE]; /* an audit line that is not complete yet */
    size_t line_len;
    uint64_t announced, performed; /* bytes of effects */
    unsigned opened, ended;        /* lines */
    unsigned ahead;                /* effects announced by a durable line */
    /* the DTS, on link 0 */
    struct pst_debugger dts;
    struct pst_debugger_config dts_config;
    struct pst_spdm_config dts_spdm;
    struct fake_signer dts_signer;
    struct pst_slot dts_slot;
    uint8_t dts_mailbox[3 * FNET_BUFFER];
    uint8_t hashes[2], sigs[2], dhs[2], aeads[2];
    bool up;
};

static inline uint64_t fnet_now(void *ctx)
{
    return ((const struct fnet *)ctx)->now;
}

static inline uint64_t fnet_wall(void *ctx)
{
    return 1700000000u + ((const struct fnet *)ctx)->now / 1000;
}

/* Adds up the effects of an audit line: {..."effects":["memory 0x80000000+4",...]}. */
static inline pst_err fnet_line(void *ctx, const char *piece, size_t len, enum pst_audit_when when)
{
    struct fnet *n = ctx;
    char copy[PST_AUDIT_LINE + 1];

    need(len <= PST_AUDIT_LINE - n->line_len);
    for (size_t i = 0; i < len; i++) {
        need(piece[i] >= 0x20 && piece[i] < 0x7F);
    }
    memcpy(n->line + n->line_len, piece, len);
    n->line_len = n->log_fails ? 0 : n->line_len + len;
    if (n->log_fails || when == PST_AUDIT_MORE) {
        return n->log_fails ? PST_ERR_IO : PST_OK;
    }
    len = n->line_len;
    n->line_len = 0;
    need(len > 2 && n->line[0] == '{' && n->line[len - 1] == '}');
    memcpy(copy, n->line, len);
    copy[len] = '\0';
    if (strstr(copy, "\"event\":\"open\"") != NULL) {
        n->ahead = 0;
    }
    n->opened += strstr(copy, "\"event\":\"open\"") != NULL;
    n->ended += strstr(copy, "\"event\":\"end\"") != NULL;
    if (strstr(copy, "\"event\":\"effect\"") != NULL) {
        const char *again = strstr(copy, "\"announces\":");
        if (when == PST_AUDIT_ANNOUNCED) { /* announced in advance, in this session */
            need(n->ahead-- > 0 && strstr(copy, "\"announced_by\":") != NULL);
        } else if (again != NULL) {
            n->ahead = (unsigned)strtoul(again + 12, NULL, 10);
        }
        char *rest = strchr(copy, ']'); /* an effect that may be repeated is not done yet */
        need(rest != NULL);
        *rest = '\0';
        for (const char *at = strchr(copy, '+'); at != NULL; at = strchr(at + 1, '+')) {
            n->announced += strtoull(at + 1, NULL, 10);
        }
        for (const char *at = copy; (at = strpbrk(at, "Zz")) != NULL; at++) {
            n->announced += at[-1] == '"' ? 16 : 0;
        }
    }
    return PST_OK;
}

static inline uint8_t fnet_right(void *ctx, uint64_t address, bool write)
{
    const struct fnet_space *s = ctx;

    if (address == 0xBAD) {
        return 0;
    }
    if (!write) {
        return PST_RIGHT_READ;
    }
    return s == &s->net->run ? PST_RIGHT_RUN : PST_RIGHT_WRITE;
}

/* Returns whether an authenticated session exists. Only then spaces may be reached. */
static inline bool fnet_live(const struct fnet *n)
{
    for (size_t i = 0; i < FNET_CONTEXTS; i++) {
        if (n->contexts[i].phase == PST_CONTEXT_LIVE) {
            return true;
        }
    }
    return false;
}

static inline pst_err fnet_perform(void *ctx, struct pst_access *a)
{
    struct fnet_space *s = ctx;
    struct fnet *n = s->net;

    need(fnet_live(n) && s->enables > 0);
    need(a->gate != NULL);
    if (s->pending > 0) {
        s->pending--;
        return PST_PENDING;
    }
    if (s->fails) {
        return PST_ERR_FAULT;
    }
    if (a->write) {
        n->performed += a->len > 0 ? a->len : 1;
        need(n->performed <= n->announced);
    }
    for (uint32_t i = 0; i < a->len; i++) {
        uint8_t *at = &n->ram[(a->address + i) % FNET_RAM];
        if (a->write) {
            *at = a->data[i];
        } else {
            a->data[i] = *at;
        }
    }
    return PST_OK;
}

static inline pst_err fnet_enable(void *ctx, bool on, const struct pst_gate *gate)
{
    struct fnet_space *s = ctx;

    (void)gate;
    if (on) {
        need(fnet_live(s->net));
        if (s->fails) {
            return PST_ERR_FAULT;
        }
        need(s->enables == 0); /* at most one holder */
        s->enables = 1;
        return PST_OK;
    }
    if (s->releasing > 0) {
        s->releasing--;
        return PST_PENDING;
    }
    s->enables = 0;
    return PST_OK;
}

static inline size_t fnet_event(void *ctx, uint8_t *out, size_t cap)
{
    struct fnet_space *s = ctx;

    need(s->enables > 0);
    if (!s->event || cap < 4) {
        return 0;
    }
    s->event = false;
    memcpy(out, "stop", 4);
    return 4;
}

static inline void fnet_cancel(void *ctx)
{
    ((struct fnet_space *)ctx)->pending = 0;
}

static inline void fnet_space_init(struct fnet_space *s, struct fnet *n, uint64_t urgent)
{
    *s = (struct fnet_space){.net = n};
    s->space = (struct pst_space){
        .ctx = s,
        .right = fnet_right,
        .perform = fnet_perform,
        .cancel = fnet_cancel,
        .enable = fnet_enable,
        .event = fnet_event,
        .urgent_first = urgent,
        .urgent_last = urgent,
    };
}

static inline struct pst_spdm_config fnet_spdm(struct fnet *n, const struct pst_slot *slot)
{
    return (struct pst_spdm_config){
        .crypto = &n->fake.crypto,
        .verifier = &n->fake.verifier,
        .slots = {slot},
        .now_ms = fnet_now,
        .now_ctx = n,
        .min_minor = 2,
        .max_minor = 3,
        .capabilities = PST_CAP_CERT | PST_CAP_ENCRYPT | PST_CAP_MAC | PST_CAP_MUT_AUTH |
                        PST_CAP_KEY_EX | PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD,
        .ct_exponent = 10,
        .transfer_size = FNET_BUFFER,
        .hashes = n->hashes,
        .sigs = n->sigs,
        .peer_sigs = n->sigs,
        .dhs = n->dhs,
        .aeads = n->aeads,
    };
}

enum {
    FNET_SHARE = 1,
    FNET_NARROW = 2,
    FNET_SHARED_LINK = 4,
    FNET_LOSSY = 8,
    FNET_SMALL = 16,
    FNET_SLOW = 32,
    FNET_REKEY = 64,
    FNET_WAIT = 128
};

static inline void fnet_init_target(struct fnet *n, uint8_t how)
{
    const char *policy = (how & FNET_NARROW) != 0 ? "memory:rw:0x80000000-0x8000003f" : "debug";

    n->ts_spdm = fnet_spdm(n, &n->ts_slot);
    n->ts_spdm.mutual = PST_MUTUAL_ENCAP;
    n->ts_spdm.heartbeat_s = 5;
    n->ts_spdm.caller_waits = (how & FNET_WAIT) != 0;
    need(pst_grants_parse(&n->policy.allow, policy, strlen(policy), false, NULL) == PST_OK);
    n->policy.share_read_only = (how & FNET_SHARE) != 0;
    fnet_space_init(&n->memory, n, UINT64_MAX);
    fnet_space_init(&n->run, n, PST_RUN_INTERRUPT);
    n->config = (struct pst_target_config){
        .spdm = &n->ts_spdm,
        .policy = &n->policy,
        .device = "Acme:Pump:0042",
        .audit_ahead = (how & FNET_REKEY) != 0 ? 4 : 0,
        .spaces = {[PST_AS_MEMORY] = &n->memory.space, [PST_AS_RUN] = &n->run.space},
        .audit = {.ctx = n, .line = fnet_line, .wall_s = fnet_wall},
    };
    for (size_t i = 0; i < FNET_CONTEXTS; i++) {
        n->buffers[i] = (struct pst_target_buffers){n->queue[i], sizeof n->queue[i], n->mailbox[i],
                                                    sizeof n->mailbox[i]};
    }
    need(pst_target_init(&n->target, &n->config, n->contexts, n->buffers, FNET_CONTEXTS) == PST_OK);
}

static inline void fnet_init(struct fnet *n, uint8_t how)
{
    memset(n, 0, sizeof *n);
    fake_crypto_init(&n->fake);
    n->now = 1000;
    n->hashes[0] = PST_SHA256;
    n->sigs[0] = PST_ECDSA_P256;
    n->dhs[0] = PST_SECP256R1;
    n->aeads[0] = PST_AES_128_GCM;
    n->traits = (struct pst_link_traits){
        .mtu = (how & FNET_SMALL) != 0 ? 256 : 2048,
        .ordered = (how & FNET_LOSSY) == 0,
        .lossy = (how & FNET_LOSSY) != 0,
        .shared = (how & FNET_SHARED_LINK) != 0,
        .pushes = true,
        .sequence_len = (how & FNET_LOSSY) != 0 ? 2 : 0,
    };
    fake_signer_init(&n->ts_signer, PST_ECDSA_P256);
    fake_signer_init(&n->dts_signer, PST_ECDSA_P256);
    n->ts_signer.pending = (how & FNET_SLOW) != 0 ? 2 : 0;
    n->fake.slow = n->ts_signer.pending;
    n->ts_slot = fake_slot(&n->ts_signer);
    n->dts_slot = fake_slot(&n->dts_signer);
    fnet_init_target(n, how);
    n->dts_spdm = fnet_spdm(n, &n->dts_slot);
    n->dts_config = (struct pst_debugger_config){
        .spdm = &n->dts_spdm,
        .device = "Acme:Pump:0042",
        .spaces = (1u << PST_AS_MEMORY) | (1u << PST_AS_RUN),
        .mailbox = n->dts_mailbox,
        .mailbox_len = sizeof n->dts_mailbox,
        .rekey_after = (how & FNET_REKEY) != 0 ? 20 : 0,
    };
}

static inline void fnet_start(struct fnet *n)
{
    need(pst_debugger_init(&n->dts, &n->dts_config) == PST_OK);
    need(pst_target_link_up(&n->target, 0, &n->traits) == PST_OK);
    need(pst_debugger_start(&n->dts, &n->traits) == PST_OK);
    n->up = true;
}

static inline void fnet_cut(struct fnet *n)
{
    if (!n->up) {
        return;
    }
    n->up = false;
    pst_target_link_down(&n->target, 0);
    pst_debugger_link_down(&n->dts);
}

/* Copies the message to a buffer of exactly its size, so that the sanitizer finds reads past its
 * end. */
static inline pst_err fnet_to_target(struct fnet *n, uint32_t link, uint8_t kind, const uint8_t *at,
                                     size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (len > 0) {
        memcpy(copy, at, len);
    }
    pst_err err = pst_target_receive(&n->target, link, kind, copy, len);
    free(copy);
    return err;
}

static inline void fnet_to_debugger(struct fnet *n, uint8_t kind, const uint8_t *at, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (len > 0) {
        memcpy(copy, at, len);
    }
    (void)!pst_debugger_receive(&n->dts, kind, copy, len);
    free(copy);
}

/* Delivers up to `most` messages between both ends. Returns whether any was delivered. */
static inline bool fnet_move(struct fnet *n, unsigned most)
{
    uint8_t msg[2048], kind;
    bool moved = false;
    size_t len;

    while (n->up && most > 0 && (len = pst_debugger_output(&n->dts, &kind, msg, sizeof msg)) > 0) {
        moved = true;
        most--;
        if (fnet_to_target(n, 0, kind, msg, len) != PST_OK) {
            fnet_cut(n);
        }
    }
    while (n->up && most > 0 &&
           (len = pst_target_output(&n->target, 0, &kind, msg, sizeof msg)) > 0) {
        moved = true;
        most--;
        need(len <= n->traits.mtu);
        fnet_to_debugger(n, kind, msg, len);
    }
    if (n->up && pst_target_wants_close(&n->target, 0)) {
        fnet_cut(n);
    }
    return moved;
}

static inline void fnet_run(struct fnet *n, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        if (!fnet_move(n, 64)) {
            n->now += 50;
            (void)pst_target_poll(&n->target);
            (void)pst_debugger_poll(&n->dts);
            if (!fnet_move(n, 64)) {
                return;
            }
        }
    }
}

static inline void fnet_end(struct fnet *n)
{
    for (unsigned i = 0; i < 600 && pst_target_stop(&n->target, PST_ERR_CLOSED) == PST_PENDING; i++)
        ;
    need(pst_target_stop(&n->target, PST_ERR_CLOSED) == PST_OK);
    need(n->memory.enables == 0 && n->run.enables == 0);
    for (size_t i = 0; i < FNET_CONTEXTS; i++) {
        need(n->contexts[i].phase == PST_CONTEXT_FREE);
        for (size_t j = 0; j < sizeof n->mailbox[i]; j++) {
            need(n->mailbox[i][j] == 0);
        }
    }
    pst_debugger_wipe(&n->dts);
    fake_crypto_check(&n->fake);
}

#endif
