/* postern spdm: the security agent alone, in the socket framing of the DMTF emulator, to test
 * against other implementations. No debug access is behind it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "openssl/pki.h"
#include "postern/parts/responder.h"
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
        /* bare messages cannot be told from records, so there would be no sessions */
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
    c->wait_for_signer = true;
    return true;
}

/* --- link --- */

int spdm_open_link(const char *text, bool listening)
{
    struct pst_address a;
    char why[512];
    if (pst_address_parse_socket(&a, text, why, sizeof why) != PST_OK) {
        tool_say(NAME, "%s", why);
        return -1;
    }
    int fd = pst_spdm_socket_open(&a, listening);
    if (fd < 0) {
        tool_say(NAME, "%s: %s", text, strerror(errno));
    }
    return fd;
}

/* --- responder --- */

static pst_err answer(struct spdm_peer *p, struct pst_responder *r, uint32_t context,
                      const struct pst_bytes *message, pst_err opened)
{
    static uint8_t out[SPDM_TRANSFER];
    size_t len = 0, cap;
    pst_err err = opened == PST_OK ? pst_responder_handle(r, context, message->at, message->len,
                                                          out, sizeof out, &len)
                                   : pst_responder_bad_record(r, context, out, sizeof out, &len);
    while (err == PST_PENDING) {
        err = pst_responder_resume(r, out, sizeof out, &len);
    }
    PST_TRY(err);
    if (len > 0) {
        /* The head may have changed with the keys, so the room is found only now. */
        uint8_t *room = pst_spdm_wire_room(&p->wire, context, &cap);
        memcpy(room, out, len);
        PST_TRY(pst_spdm_wire_send(&p->wire, context, len));
    }
    pst_responder_sent(r);
    return PST_OK;
}

static pst_err on_message(struct spdm_peer *p, struct pst_responder *r, uint8_t *payload,
                          size_t len)
{
    struct pst_bytes message;
    uint32_t context;
    /* Between two messages nothing happens here: what timed out ends before the next is read. */
    (void)pst_responder_poll(r);
    pst_err err = pst_spdm_wire_take(&p->wire, payload, len, &context, &message);
    if (err == PST_WANT_MORE || err == PST_ERR_UNEXPECTED) {
        return PST_OK; /* discovery, answered; or an unknown session, dropped */
    }
    if (err != PST_OK && context == PST_SPDM_CLEAR) {
        return err;
    }
    return answer(p, r, context, &message, err);
}

/* One connection, until the peer says that it is done, or leaves (PST_ERR_CLOSED). */
static pst_err serve(struct spdm_peer *p)
{
    static struct pst_responder r;
    static const uint8_t hello[] = "Server Hello!";
    uint32_t command;
    uint8_t *payload;
    size_t len;

    PST_TRY(pst_responder_init(&r, &p->config));
    pst_err err;
    while ((err = pst_spdm_socket_receive(&p->socket, &command, &payload, &len)) == PST_OK) {
        switch (command) {
        case PST_SPDM_SOCKET_NORMAL:
            err = on_message(p, &r, payload, len);
            break;
        case PST_SPDM_SOCKET_TEST:
            err = pst_spdm_socket_send(&p->socket, command, hello, sizeof hello);
            break;
        case PST_SPDM_SOCKET_KEY_UPDATE:
            if (len == 4) {
                (void)!pst_responder_want_key_update(&r, pst_peek_u32(payload));
            }
            err = pst_spdm_socket_send(&p->socket, command, NULL, 0);
            break;
        case PST_SPDM_SOCKET_CONTINUE:
        case PST_SPDM_SOCKET_SHUTDOWN:
            err = pst_spdm_socket_send(&p->socket, command, NULL, 0);
            pst_responder_wipe(&r);
            p->shutdown = command == PST_SPDM_SOCKET_SHUTDOWN;
            return err;
        default:
            err = pst_spdm_socket_send(&p->socket, PST_SPDM_SOCKET_UNKNOWN, NULL, 0);
            break;
        }
        if (err != PST_OK) {
            break;
        }
    }
    pst_responder_wipe(&r);
    return err;
}

static int run_responder(struct spdm_peer *p, const char *link)
{
    int listener = spdm_open_link(link, true);
    if (listener < 0) {
        return PST_EXIT_LINK;
    }
    pst_err err;
    do {
        p->socket.fd = accept(listener, NULL, NULL);
        if (p->socket.fd < 0) {
            tool_say(NAME, "accept: %s", strerror(errno));
            return PST_EXIT_LINK;
        }
        err = serve(p);
        (void)close(p->socket.fd);
        pst_spdm_wire_wipe(&p->wire);
    } while (!p->o->once && !p->shutdown);
    (void)close(listener);
    if (strncmp(link, "unix:", 5) == 0) {
        (void)unlink(link + 5);
    }
    if (err != PST_OK && err != PST_ERR_CLOSED) {
        tool_say(NAME, "%s", pst_err_text(err));
        return PST_EXIT_LOST;
    }
    return PST_EXIT_OK;
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
               : responder             ? run_responder(&p, link)
                                       : spdm_run_requester(&p, link);
        pst_identity_free(&p.identity);
        pst_trust_free(&p.trust);
        free(p.known_chain);
    }
    poptFreeContext(popt);
    free_options(&o);
    return code;
}
