/* postern spdm requester: one operation of the engine after another, as the steps say. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "postern/parts/requester.h"
#include "tools/spdm.h"

#define NAME SPDM_NAME

static pst_err exchange(struct spdm_peer *p, struct pst_requester *q, uint32_t context, size_t len)
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
    (void)!pst_requester_receive(q, context, message.at, message.len); /* the result reports it */
    return PST_OK;
}

static pst_err run_op(struct spdm_peer *p, struct pst_requester *q, const struct pst_op *op,
                      uint8_t *code)
{
    static uint8_t out[SPDM_TRANSFER];
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
    {"session",               {.kind = PST_OP_SESSION, .summary = 0xFF},                  false},
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

/* spec: the emulator's framing: an out-of-band command makes the responder request new keys. */
static pst_err ask_key_update(struct spdm_peer *p, uint32_t session_id)
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

static void tell(const struct spdm_options *o, const char *name, pst_err err, uint8_t code,
                 struct pst_bytes answer)
{
    static char hex[2 * SPDM_TRANSFER + 1];
    size_t len = err == PST_OK && answer.len <= SPDM_TRANSFER ? answer.len : 0;
    for (size_t i = 0; i < len; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", answer.at[i]);
    }
    hex[2 * len] = '\0';
    if (o->json) {
        tell_json(name, err, code, hex);
    } else if (err == PST_ERR_PEER) {
        printf("%-22s the peer answered ERROR 0x%02x\n", name, code);
    } else {
        printf("%-22s %s%s%s\n", name, err == PST_OK ? "ok" : pst_err_text(err),
               len > 0 ? "  " : "", hex);
    }
    (void)fflush(stdout);
}

/* Checked before anything is sent. */
static bool steps_known(const char *text)
{
    bool known = true;
    char *copy = strdup(text), *rest = NULL;
    for (char *word = copy == NULL ? NULL : strtok_r(copy, ",", &rest); word != NULL && known;
         word = strtok_r(NULL, ",", &rest)) {
        known = find_step(word) != NULL;
        if (!known) {
            tool_say(NAME, "--steps: %s is not known; postern-spdm(1) lists them", word);
        }
    }
    free(copy);
    return known;
}

static pst_err run_steps(struct spdm_peer *p, struct pst_requester *q, char *text)
{
    char *rest = NULL;
    for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        const struct step *step = find_step(word);
        uint8_t code = 0;
        if (step == NULL) {
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
            char refusal[PST_MAX_REFUSAL];
            pst_cert_refusal_text(p->trust.verifier.refusal(p->trust.verifier.ctx), refusal,
                                  sizeof refusal);
            tool_say(NAME, "%s", refusal);
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

int spdm_run_requester(struct spdm_peer *p, const char *link)
{
    static struct pst_requester q;
    static const uint8_t hello[] = "Client Hello!";
    uint32_t command;
    uint8_t *payload;
    size_t len;
    const char *list = p->o->steps != NULL ? p->o->steps : ALL_STEPS;
    if (!steps_known(list)) {
        return PST_EXIT_USAGE;
    }

    char *text = strdup(list);
    p->socket.fd = spdm_open_link(link, false);
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
