/* postern spdm: the security agent alone, in the socket framing of the DMTF emulator, to test
 * against other implementations. No debug access is behind it. */
#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "openssl/pki.h"
#include "posix/spdm_socket.h"
#include "postern/requester.h"
#include "postern/responder.h"
#include "spdm/codes.h"
#include "tools/spdm_measure.h"
#include "tools/tool.h"

#define NAME "spdm"
#define TRANSFER 4608 /* what the reference implementation uses */
#define MAX_ALGORITHMS 8

struct options {
    char *identity, **trust, *binding, *mutual, *peer_chain, *versions, *algorithms, *steps,
        *measure;
    int lenient, clear_handshake, mac_only, once, json, heartbeat, portion;
};

struct peer { /* everything that one run is made of */
    struct options *o;
    struct pst_spdm_config config;
    struct pst_identity identity;
    struct pst_trust trust;
    struct pst_slot known_peer;
    uint8_t *known_chain; /* ours to free */
    struct spdm_measured measured;
    struct pst_spdm_socket socket;
    struct pst_spdm_wire wire;
    uint8_t hashes[MAX_ALGORITHMS], sigs[MAX_ALGORITHMS], dhs[MAX_ALGORITHMS],
        aeads[MAX_ALGORITHMS];
    bool authenticated;
};

static uint64_t now_ms(void *ctx)
{
    struct timespec t;
    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- options --- */

static bool add_algorithm(struct peer *p, const char *name)
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
            if (n + 1 < MAX_ALGORITHMS) {
                kinds[i].list[n] = kinds[i].id;
            }
            return true;
        }
    }
    tool_say(NAME, "--algorithms: %s is not known; expected such as ecdsa-p256,sha256", name);
    return false;
}

static bool take_algorithms(struct peer *p, char *text)
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
    p->config.sigs = p->config.peer_sigs = p->sigs[0] != 0 ? p->sigs : sigs;
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

static uint32_t capabilities(const struct options *o, bool responder)
{
    uint32_t caps = PST_CAP_CERT | PST_CAP_CHAL | PST_CAP_MAC | PST_CAP_MUT_AUTH | PST_CAP_KEY_EX |
                    PST_CAP_ENCAP | PST_CAP_HBEAT | PST_CAP_KEY_UPD;
    caps |= o->mac_only ? 0 : PST_CAP_ENCRYPT;
    caps |= o->clear_handshake ? PST_CAP_CLEAR_HANDSHAKE : 0;
    caps |= responder ? PST_CAP_MEAS_SIGNED : 0;
    return caps;
}

static bool load_files(struct peer *p)
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

static bool load_known_peer(struct peer *p)
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
    struct peer *p = ctx;
    if (peer != NULL) {
        p->authenticated = true;
    }
    fprintf(stderr, "postern spdm: session 0x%08x open, the peer %s\n", session_id,
            peer != NULL ? "is authenticated" : "is not authenticated");
}

static bool take_measurements(struct peer *p)
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

static bool prepare(struct peer *p, bool responder)
{
    struct pst_spdm_config *c = &p->config;
    p->socket.binding = pst_binding_find(p->o->binding != NULL ? p->o->binding : "mctp");
    if (p->socket.binding == NULL) {
        tool_say(NAME, "--binding %s: expected mctp, doe or none", p->o->binding);
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
    c->keys = pst_spdm_wire_keys(&p->wire);
    c->hooks.ctx = p;
    c->hooks.established = on_established;
    c->now_ms = now_ms;
    c->capabilities = capabilities(p->o, responder);
    c->ct_exponent = 20;
    c->transfer_size = TRANSFER;
    c->heartbeat_s = (uint8_t)p->o->heartbeat;
    c->certificate_portion = (uint16_t)p->o->portion;
    c->wait_for_signer = true;
    return true;
}

/* --- sockets --- */

static int open_tcp(const struct pst_address *a, bool listening)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = listening ? AI_PASSIVE : 0};
    struct addrinfo *found = NULL;
    int one = 1, fd = -1;
    if (getaddrinfo(a->host, a->port, &hints, &found) != 0) {
        return -1;
    }
    for (struct addrinfo *i = found; i != NULL && fd < 0; i = i->ai_next) {
        fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            continue;
        }
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        int rc = listening ? bind(fd, i->ai_addr, i->ai_addrlen)
                           : connect(fd, i->ai_addr, i->ai_addrlen);
        if (rc < 0 || (listening && listen(fd, 4) < 0)) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

static int open_unix(const struct pst_address *a, bool listening)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(a->host) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(at.sun_path, a->host, strlen(a->host));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr *sa = (const struct sockaddr *)(const void *)&at;
    int rc = fd < 0 ? -1 : listening ? bind(fd, sa, sizeof at) : connect(fd, sa, sizeof at);
    if (fd >= 0 && (rc < 0 || (listening && listen(fd, 4) < 0))) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static int open_link(const char *text, bool listening)
{
    struct pst_address a;
    char why[512];
    if (pst_address_parse(&a, text, why, sizeof why) != PST_OK) {
        tool_say(NAME, "%s", why);
        return -1;
    }
    int fd = a.local ? open_unix(&a, listening) : open_tcp(&a, listening);
    if (fd < 0) {
        tool_say(NAME, "%s: %s", text, strerror(errno));
    }
    return fd;
}

/* --- responder --- */

static pst_err answer(struct peer *p, struct pst_responder *r, uint32_t context,
                      const struct pst_bytes *message, pst_err opened)
{
    static uint8_t out[TRANSFER];
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

static pst_err on_message(struct peer *p, struct pst_responder *r, uint8_t *payload, size_t len)
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

/* One connection. PST_OK: the peer wants us to go on listening. */
static pst_err serve(struct peer *p)
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
            return command == PST_SPDM_SOCKET_CONTINUE ? err : PST_ERR_CLOSED;
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

static int run_responder(struct peer *p, const char *link)
{
    int listener = open_link(link, true);
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
    } while (!p->o->once && err != PST_ERR_CLOSED);
    (void)close(listener);
    if (err != PST_OK && err != PST_ERR_CLOSED) {
        tool_say(NAME, "%s", pst_err_text(err));
        return PST_EXIT_LOST;
    }
    return PST_EXIT_OK;
}

/* --- requester --- */

static pst_err exchange(struct peer *p, struct pst_requester *q, uint32_t context, size_t len)
{
    struct pst_bytes message;
    uint32_t command;
    uint8_t *payload;

    PST_TRY(pst_spdm_wire_send(&p->wire, context, len));
    pst_requester_sent(q);
    PST_TRY(pst_spdm_socket_receive(&p->socket, &command, &payload, &len));
    if (command != PST_SPDM_SOCKET_NORMAL) {
        return PST_ERR_UNEXPECTED;
    }
    PST_TRY(pst_spdm_wire_take(&p->wire, payload, len, &context, &message));
    (void)!pst_requester_receive(q, context, message.at, message.len); /* the result tells */
    return PST_OK;
}

static pst_err run_op(struct peer *p, struct pst_requester *q, const struct pst_op *op,
                      uint8_t *code)
{
    static uint8_t out[TRANSFER];
    uint32_t context;
    size_t len, cap;

    PST_TRY(pst_requester_start(q, op));
    for (;;) {
        pst_err err = pst_requester_next(q, &context, out, sizeof out, &len);
        if (err == PST_PENDING) {
            uint64_t ms = pst_requester_wait(q);
            struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
                                     .tv_nsec = (long)(ms % 1000) * 1000000 + 100000};
            (void)nanosleep(&pause, NULL);
            continue;
        }
        if (err != PST_OK) {
            break;
        }
        memcpy(pst_spdm_wire_room(&p->wire, context, &cap), out, len);
        PST_TRY(exchange(p, q, context, len));
    }
    return pst_requester_result(q, code);
}

#define ASK_KEY_UPDATE "responder-key-update"
struct step {
    const char *name;
    struct pst_op op;
    bool in_session;
};
static const struct step steps[] = {
    {"connect",               {.kind = PST_OP_CONNECT},                                   false},
    {"digests",               {.kind = PST_OP_DIGESTS},                                   false},
    {"certificate",           {.kind = PST_OP_CERTIFICATE},                               false},
    {"challenge",             {.kind = PST_OP_CHALLENGE, .summary = 0xFF},                false},
    {"measurements",          {.kind = PST_OP_MEASUREMENTS, .index = 0xFF, .sign = true}, false},
    {"measurement-count",     {.kind = PST_OP_MEASUREMENTS},                              false},
    {"measurements-unsigned", {.kind = PST_OP_MEASUREMENTS, .index = 0xFF},               false},
    {"session",               {.kind = PST_OP_SESSION},                                   false},
    {"heartbeat",             {.kind = PST_OP_HEARTBEAT},                                 true },
    {"session-measurements",  {.kind = PST_OP_MEASUREMENTS, .index = 0xFF, .sign = true}, true },
    {"key-update",            {.kind = PST_OP_KEY_UPDATE},                                true },
    {"key-update-all",        {.kind = PST_OP_KEY_UPDATE, .all = true},                   true },
    {"encapsulated",          {.kind = PST_OP_ENCAPSULATED},                              true },
    {ASK_KEY_UPDATE,          {.kind = PST_OP_ENCAPSULATED},                              true },
    {"end",                   {.kind = PST_OP_END_SESSION},                               true },
};
#define ALL_STEPS                                                                                  \
    "connect,digests,certificate,challenge,measurements,session,heartbeat,session-measurements,"   \
    "key-update-all,heartbeat,key-update,heartbeat,end"

/* spec: the emulator's framing: out of band, the responder is made to want new keys. */
static pst_err ask_key_update(struct peer *p, uint32_t session_id)
{
    uint8_t id[4], *payload;
    uint32_t command;
    size_t len;
    struct pst_writer w = pst_writer_of(id, sizeof id);

    pst_put_u32(&w, session_id);
    PST_TRY(pst_spdm_socket_send(&p->socket, PST_SPDM_SOCKET_KEY_UPDATE, id, sizeof id));
    PST_TRY(pst_spdm_socket_receive(&p->socket, &command, &payload, &len));
    return command == PST_SPDM_SOCKET_KEY_UPDATE ? PST_OK : PST_ERR_UNSUPPORTED;
}

static const struct step *find_step(const char *name)
{
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (strcmp(steps[i].name, name) == 0) {
            return &steps[i];
        }
    }
    return NULL;
}

static void tell_json(const char *name, pst_err err, uint8_t code, const char *hex)
{
    json_t *line =
        json_pack("{s:s, s:b, s:s}", "step", name, "ok", err == PST_OK, "text", pst_err_text(err));
    if (err == PST_ERR_PEER) {
        (void)json_object_set_new(line, "error_code", json_integer(code));
    }
    if (*hex != '\0') {
        (void)json_object_set_new(line, "answer", json_string(hex));
    }
    (void)json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

static void tell(const struct options *o, const char *name, pst_err err, uint8_t code,
                 struct pst_bytes answer)
{
    static char hex[2 * TRANSFER + 1];
    size_t len = err == PST_OK && answer.len <= TRANSFER ? answer.len : 0;
    for (size_t i = 0; i < len; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", answer.at[i]);
    }
    hex[2 * len] = '\0';
    if (o->json) {
        tell_json(name, err, code, hex);
    } else if (err == PST_ERR_PEER) {
        printf("%-20s the peer answered ERROR 0x%02x\n", name, code);
    } else {
        printf("%-20s %s%s%s\n", name, err == PST_OK ? "ok" : pst_err_text(err),
               len > 0 ? "  " : "", hex);
    }
    (void)fflush(stdout);
}

static pst_err run_steps(struct peer *p, struct pst_requester *q, char *text)
{
    char *rest = NULL;
    for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        const struct step *step = find_step(word);
        uint8_t code = 0;
        if (step == NULL) {
            tool_say(NAME, "--steps: %s is not known; expected some of " ALL_STEPS, word);
            return PST_ERR_ARGUMENT;
        }
        struct pst_op op = step->op;
        op.context = step->in_session ? pst_requester_session(q) : PST_SPDM_CLEAR;
        op.portion = (uint16_t)p->o->portion;
        pst_err err = PST_OK;
        if (strcmp(word, ASK_KEY_UPDATE) == 0) {
            err = ask_key_update(p, op.context);
        }
        if (err == PST_OK) {
            err = run_op(p, q, &op, &code);
        }
        tell(p->o, word, err, code, pst_requester_answer(q));
        if (err == PST_ERR_CERT) {
            tool_say(NAME, "%s", p->trust.verifier.reason(p->trust.verifier.ctx));
        }
        PST_TRY(err);
    }
    return PST_OK;
}

static int exit_code(pst_err err)
{
    if (err == PST_OK || err == PST_ERR_ARGUMENT) {
        return err == PST_OK ? PST_EXIT_OK : PST_EXIT_USAGE;
    }
    bool broke = err == PST_ERR_IO || err == PST_ERR_CLOSED || err == PST_ERR_TIMEOUT;
    return broke ? PST_EXIT_LOST : PST_EXIT_AUTH;
}

static int run_requester(struct peer *p, const char *link)
{
    static struct pst_requester q;
    static const uint8_t hello[] = "Client Hello!";
    uint32_t command;
    uint8_t *payload;
    size_t len;
    char *text = strdup(p->o->steps != NULL ? p->o->steps : ALL_STEPS);

    p->socket.fd = open_link(link, false);
    if (p->socket.fd < 0 || text == NULL) {
        free(text);
        return PST_EXIT_LINK;
    }
    pst_err err = pst_spdm_socket_send(&p->socket, PST_SPDM_SOCKET_TEST, hello, sizeof hello);
    if (err == PST_OK) {
        err = pst_spdm_socket_receive(&p->socket, &command, &payload, &len);
    }
    if (err == PST_OK && (err = pst_requester_init(&q, &p->config)) == PST_OK) {
        err = run_steps(p, &q, text);
        pst_requester_wipe(&q);
        (void)!pst_spdm_socket_send(&p->socket, PST_SPDM_SOCKET_SHUTDOWN, NULL, 0);
        (void)!pst_spdm_socket_receive(&p->socket, &command, &payload, &len);
    }
    (void)close(p->socket.fd);
    pst_spdm_wire_wipe(&p->wire);
    free(text);
    if (err != PST_OK) {
        tool_say(NAME, "%s", pst_err_text(err));
    }
    return exit_code(err);
}

static void free_options(struct options *o)
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
    struct options o = {0};
    static struct peer p;
    const struct poptOption options[] = {
        {"identity",        'i', POPT_ARG_STRING, &o.identity,        0, "who I am: chain.pem and key.pem",
         "DIR"                                                                                                                    },
        {"trust",           't', POPT_ARG_ARGV,   &o.trust,           0, "CA certificates of the peer; repeatable",
         "PEM"                                                                                                                    },
        {"binding",         'b', POPT_ARG_STRING, &o.binding,         0, "mctp (default), doe or none",                  "NAME"   },
        {"versions",        0,   POPT_ARG_STRING, &o.versions,        0, "1.2, 1.3 or 1.2-1.3 (default)",                "RANGE"  },
        {"algorithms",      0,   POPT_ARG_STRING, &o.algorithms,      0,
         "only these, best first: ecdsa-p256,sha256,…",                                                               "LIST"   },
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
                                       : run_requester(&p, link);
        pst_identity_free(&p.identity);
        pst_trust_free(&p.trust);
        free(p.known_chain);
    }
    poptFreeContext(popt);
    free_options(&o);
    return code;
}
