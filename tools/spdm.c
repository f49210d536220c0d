/* postern spdm: the security agent alone, in the socket framing of the DMTF emulator, to test
 * against other implementations. No debug access is behind it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "openssl/pki.h"
#include "tools/spdm.h"

#define NAME SPDM_NAME

static uint64_t now_ms(void *ctx)
{
    struct timespec t;
    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- options --- */

static bool add_algorithm(struct spdm_peer *p, const char *name)
{
    struct {
        uint8_t *list;
        uint8_t id;
    } kinds[] = {
        {p->hashes, (uint8_t)pst_hash_from_name(name)},
        {p->sigs,   (uint8_t)pst_sig_from_name(name) },
        {p->dhs,    (uint8_t)pst_dh_from_name(name)  },
        {p->aeads,  (uint8_t)pst_aead_from_name(name)}
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].id != 0) {
            size_t n = strlen((char *)kinds[i].list);
            if (n + 1 < SPDM_MAX_ALGORITHMS) {
                kinds[i].list[n] = kinds[i].id;
            }
            return true;
        }
    }
    tool_say(NAME, "--algorithms: %s is not known; expected such as ecdsa-p256,sha256", name);
    return false;
}

static bool take_algorithms(struct spdm_peer *p, char *text)
{
    static const uint8_t hashes[] = {PST_SHA256, PST_SHA384, 0};
    static const uint8_t sigs[] = {PST_ECDSA_P256, PST_ECDSA_P384, PST_ED25519, 0};
    static const uint8_t dhs[] = {PST_SECP256R1, PST_SECP384R1, 0};
    static const uint8_t aeads[] = {PST_AES_256_GCM, PST_AES_128_GCM, PST_CHACHA20_POLY1305, 0};
    char *rest = NULL;
    for (char *word = text == NULL ? NULL : strtok_r(text, ",", &rest); word != NULL;
         word = strtok_r(NULL, ",", &rest)) {
        if (!add_algorithm(p, word)) {
            return false;
        }
    }
    p->config.hashes = p->hashes[0] != 0 ? p->hashes : hashes;
    p->config.peer_sigs = p->sigs[0] != 0 ? p->sigs : sigs;
    p->config.dhs = p->dhs[0] != 0 ? p->dhs : dhs;
    p->config.aeads = p->aeads[0] != 0 ? p->aeads : aeads;
    return true;
}

static bool take_versions(struct pst_spdm_config *c, const char *text)
{
    c->min_minor = 2;
    c->max_minor = 3;
    if (text == NULL || strcmp(text, "1.2-1.3") == 0) {
        return true;
    }
    if (strcmp(text, "1.2") == 0 || strcmp(text, "1.3") == 0) {
        c->min_minor = c->max_minor = (uint8_t)(text[2] - '0');
        return true;
    }
    tool_say(NAME, "--versions %s: expected 1.2, 1.3 or 1.2-1.3", text);
    return false;
}

static bool take_mutual(struct pst_spdm_config *c, const char *text)
{
    static const struct {
        const char *name;
        pst_mutual value;
    } names[] = {
        {"none",    PST_MUTUAL_NONE   },
        {"plain",   PST_MUTUAL_PLAIN  },
        {"encap",   PST_MUTUAL_ENCAP  },
        {"digests", PST_MUTUAL_DIGESTS}
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(text == NULL ? "encap" : text, names[i].name) == 0) {
            c->mutual = names[i].value;
            return true;
        }
    }
    tool_say(NAME, "--mutual %s: expected none, plain, encap or digests", text);
    return false;
}

static uint32_t capabilities(const struct spdm_options *o, bool responder)
{
    uint32_t caps = PST_CAP_CERT | PST_CAP_CHAL | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX |
                    PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD;
    caps |= o->mac_only ? 0 : PST_CAP_ENCRYPT;
    caps |= o->clear_handshake ? PST_CAP_CLEAR_HANDSHAKE : 0;
    caps |= responder ? PST_CAP_MEAS_SIGNED : 0;
    return caps;
}

static bool load_files(struct spdm_peer *p)
{
    char why[512];
    if (p->o->identity == NULL || p->o->trust == NULL) {
        tool_say(NAME, "expected --identity DIR and --trust PEM");
        return false;
    }
    if (pst_identity_load(&p->identity, p->o->identity, why, sizeof why) != PST_OK) {
        tool_say(NAME, "%s", why);
        return false;
    }
    if (pst_trust_init(&p->trust) != PST_OK) {
        return false;
    }
    pst_trust_set_lenient(&p->trust, p->o->lenient != 0);
    for (char **t = p->o->trust; *t != NULL; t++) {
        if (pst_trust_add(&p->trust, *t, why, sizeof why) != PST_OK) {
            tool_say(NAME, "%s", why);
            return false;
        }
    }
    return true;
}

/* Length of the DER object that `at` begins with, 0 when it is not whole. */
static size_t first_certificate(const uint8_t *at, size_t len)
{
    struct pst_reader r = pst_reader_of(at, len);
    (void)pst_get_u8(&r);
    size_t n = pst_get_u8(&r);
    if (n >= 0x80) {
        size_t octets = n & 0x7f;
        for (n = 0; octets > 0 && octets <= 3; octets--) {
            n = n << 8 | pst_get_u8(&r);
        }
    }
    pst_skip(&r, n);
    return r.failed ? 0 : len - r.left;
}

static bool load_known_peer(struct spdm_peer *p)
{
    struct pst_slot *s = &p->known_peer;
    char why[512];
    if (p->o->peer_chain == NULL) {
        if (p->config.mutual == PST_MUTUAL_PLAIN) {
            tool_say(NAME, "--mutual plain: expected --peer-chain with the requester's chain");
            return false;
        }
        return true;
    }
    if (pst_chain_read(p->o->peer_chain, &p->known_chain, &s->certs_len, why, sizeof why) !=
        PST_OK) {
        tool_say(NAME, "%s", why);
        return false;
    }
    s->certs = p->known_chain;
    s->root_len = first_certificate(s->certs, s->certs_len);
    s->model = 1;
    p->config.known_peer = s;
    return true;
}

static void on_established(void *ctx, uint32_t session_id, const struct pst_peer *peer)
{
    (void)ctx;
    fprintf(stderr, "postern spdm: session 0x%08x open, the peer %s\n", session_id,
            peer != NULL ? "is authenticated" : "is not authenticated");
}

static bool take_measurements(struct spdm_peer *p)
{
    const char *path = p->o->measure != NULL ? p->o->measure : "/proc/self/exe";
    p->config.measurement_hash = (pst_hash_id)p->config.hashes[0];
    if (spdm_measure(&p->measured, pst_openssl_crypto(), p->config.measurement_hash, path) !=
        PST_OK) {
        tool_say(NAME, "--measure %s: %s", path, strerror(errno));
        return false;
    }
    p->config.measurements = &p->measured.source;
    return true;
}

static bool prepare(struct spdm_peer *p, bool responder)
{
    struct pst_spdm_config *c = &p->config;
    p->socket.binding = pst_binding_find(p->o->binding != NULL ? p->o->binding : "mctp");
    if (p->socket.binding == NULL || p->socket.binding->id == PST_BINDING_NONE) {
        /* Bare messages cannot be told from records, so sessions would be impossible. */
        tool_say(NAME, "--binding %s: expected mctp or doe", p->o->binding);
        return false;
    }
    if (!take_versions(c, p->o->versions) || !take_mutual(c, p->o->mutual) ||
        !take_algorithms(p, p->o->algorithms) || !load_files(p)) {
        return false;
    }
    if (responder && (!take_measurements(p) || !load_known_peer(p))) {
        return false;
    }
    if (pst_spdm_wire_init(&p->wire, &p->socket, pst_openssl_crypto(),
                           responder ? PST_TO_REQUESTER : PST_TO_RESPONDER) != PST_OK) {
        return false;
    }
    c->crypto = pst_openssl_crypto();
    c->verifier = &p->trust.verifier;
    c->slots[0] = &p->identity.slot;
    p->own_sigs[0] = (uint8_t)p->identity.signer.sig_id;
    c->sigs = p->own_sigs;
    c->keys = pst_spdm_wire_keys(&p->wire);
    c->hooks.established = on_established;
    c->now_ms = now_ms;
    c->capabilities = capabilities(p->o, responder);
    c->ct_exponent = 20;
    c->transfer_size = SPDM_TRANSFER;
    c->heartbeat_s = (uint8_t)p->o->heartbeat;
    c->certificate_portion = (uint16_t)p->o->portion;
    c->caller_waits = true;
    const char *why = pst_spdm_config_check(c, responder ? PST_ROLE_RESPONDER : PST_ROLE_REQUESTER);
    if (why != NULL) {
        tool_say(NAME, "%s", why);
    }
    return why == NULL;
}

/* --- the command --- */

static void free_options(struct spdm_options *o)
{
    char *texts[] = {o->identity, o->binding,    o->mutual, o->peer_chain,
                     o->versions, o->algorithms, o->steps,  o->measure};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        free(texts[i]);
    }
    for (char **t = o->trust; t != NULL && *t != NULL; t++) {
        free(*t);
    }
    free(o->trust);
}

int pst_cmd_spdm(int argc, char **argv)
{
    struct spdm_options o = {0};
    static struct spdm_peer p;
    const struct poptOption options[] = {
        {"identity",        'i', POPT_ARG_STRING, &o.identity,        0, "who I am: chain.pem and key.pem",
         "DIR"                                                                                                                    },
        {"trust",           't', POPT_ARG_ARGV,   &o.trust,           0, "CA certificates of the peer; repeatable",
         "PEM"                                                                                                                    },
        {"binding",         'b', POPT_ARG_STRING, &o.binding,         0, "mctp (default) or doe",                        "NAME"   },
        {"versions",        0,   POPT_ARG_STRING, &o.versions,        0, "1.2, 1.3 or 1.2-1.3 (default)",                "RANGE"  },
        {"algorithms",      0,   POPT_ARG_STRING, &o.algorithms,      0,
         "only these, best first: ecdsa-p256,sha256,…",                                                                "LIST"   },
        {"mutual",          0,   POPT_ARG_STRING, &o.mutual,          0,
         "responder: none, plain, encap (default) or digests",                                                           "FORM"   },
        {"peer-chain",      0,   POPT_ARG_STRING, &o.peer_chain,      0,
         "responder: the requester's chain, for plain",                                                                  "PATH"   },
        {"clear-handshake", 0,   POPT_ARG_NONE,   &o.clear_handshake, 0,
         "offer the handshake in the clear",                                                                             NULL     },
        {"mac-only",        0,   POPT_ARG_NONE,   &o.mac_only,        0, "offer no encryption",                          NULL     },
        {"lenient",         0,   POPT_ARG_NONE,   &o.lenient,         0, "accept sample certificates without role EKUs",
         NULL                                                                                                                     },
        {"heartbeat",       0,   POPT_ARG_INT,    &o.heartbeat,       0, "responder: period",                            "SECONDS"},
        {"portion",         0,   POPT_ARG_INT,    &o.portion,         0, "most certificate bytes in one message",        "N"      },
        {"measure",         0,   POPT_ARG_STRING, &o.measure,         0, "responder: file to measure (own program)",
         "FILE"                                                                                                                   },
        {"once",            0,   POPT_ARG_NONE,   &o.once,            0, "responder: end after one connection",          NULL     },
        {"steps",           0,   POPT_ARG_STRING, &o.steps,           0, "requester: what to do, in order",              "LIST"   },
        {"json",            0,   POPT_ARG_NONE,   &o.json,            0, "requester: one JSON object a step",            NULL     },
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt =
        tool_options(NAME, argc, argv, options, "responder|requester [OPTION...] LINK");
    int code = tool_take_options(NAME, popt);
    const char *role = poptGetArg(popt), *link = poptGetArg(popt);

    if (code == PST_EXIT_OK &&
        (role == NULL || link == NULL || poptPeekArg(popt) != NULL ||
         (strcmp(role, "responder") != 0 && strcmp(role, "requester") != 0))) {
        tool_say(NAME, "expected: responder|requester LINK, such as responder tcp:127.0.0.1:2323");
        code = PST_EXIT_USAGE;
    }
    if (code == PST_EXIT_OK) {
        bool responder = strcmp(role, "responder") == 0;
        p.o = &o;
        code = !prepare(&p, responder) ? PST_EXIT_USAGE
               : responder             ? spdm_run_responder(&p, link)
                                       : spdm_run_requester(&p, link);
        pst_identity_free(&p.identity);
        pst_trust_free(&p.trust);
        free(p.known_chain);
    }
    poptFreeContext(popt);
    free_options(&o);
    return code;
}
