#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/table.h"
#include "tools/tool.h"

void tool_session_options_free(struct tool_session_options *o)
{
    for (char **t = o->trust; t != NULL && *t != NULL; t++) {
        free(*t);
    }
    free(o->trust);
    free(o->identity);
    free(o->device);
    free(o->scm);
    free(o->data);
}

static int load(struct tool_session *s, const struct tool_session_options *o, const char *link)
{
    char why[512];

    if (o->identity == NULL) {
        tool_say(s->name, "no identity; expected --identity DIR, made by 'postern pki engineer'");
        return PST_EXIT_USAGE;
    }
    if (o->trust == NULL) {
        tool_say(s->name, "no trust anchor; expected --trust PEM with the CA of the devices");
        return PST_EXIT_USAGE;
    }
    if ((o->device == NULL) == (o->any_device == 0)) {
        tool_say(s->name, "expected --device MANUFACTURER:PRODUCT:SERIAL, or else --any-device");
        return PST_EXIT_USAGE;
    }
    if (o->timeout_s < 0 || o->timeout_s > 3600) {
        tool_say(s->name, "--timeout %d: expected seconds from 1 to 3600", o->timeout_s);
        return PST_EXIT_USAGE;
    }
    if ((o->scm == NULL) != (o->data == NULL)) {
        tool_say(s->name, "--scm and --data belong together: manage here, debug there");
        return PST_EXIT_USAGE;
    }
    s->two = o->scm != NULL;
    if ((link == NULL) != s->two) {
        tool_say(s->name, "expected one link, such as tcp:HOST:PORT (`postern links` lists the "
                          "kinds), or --scm LINK --data LINK");
        return PST_EXIT_USAGE;
    }
    if (pst_address_parse(&s->address, pst_schemes, s->two ? o->scm : link, why, sizeof why) !=
            PST_OK ||
        (s->two && pst_address_parse(&s->data, pst_schemes, o->data, why, sizeof why) != PST_OK)) {
        tool_say(s->name, "%s", why);
        return PST_EXIT_USAGE;
    }
    if (pst_trust_init(&s->trust) != PST_OK) {
        tool_say(s->name, "no memory for trust anchors");
        return PST_EXIT_LOCAL;
    }
    for (char **path = o->trust; *path != NULL; path++) {
        if (pst_trust_add(&s->trust, *path, why, sizeof why) != PST_OK) {
            tool_say(s->name, "%s", why);
            return PST_EXIT_LOCAL;
        }
    }
    if (pst_identity_load(&s->identity, o->identity, why, sizeof why) != PST_OK) {
        tool_say(s->name, "%s", why);
        return PST_EXIT_LOCAL;
    }
    return PST_EXIT_OK;
}

static void on_ready(void *ctx)
{
    struct tool_session *s = ctx;
    s->is_ready = true;
    pst_debugger_info(&s->host->debugger, &s->info);
    s->device = *s->info.device;
    s->info.device = &s->device;
    if (s->ready != NULL) {
        s->ready(s->ctx);
    }
}

static void on_event(void *ctx, uint8_t space, struct pst_bytes payload)
{
    struct tool_session *s = ctx;
    if (s->event != NULL) {
        s->event(s->ctx, space, payload);
    }
}

static void on_ended(void *ctx, pst_end end, const char *text)
{
    static const int codes[] = {
        [PST_END_ASKED] = PST_EXIT_OK,  [PST_END_LINK] = PST_EXIT_LINK,
        [PST_END_AUTH] = PST_EXIT_AUTH, [PST_END_REFUSED] = PST_EXIT_REFUSED,
        [PST_END_LOST] = PST_EXIT_LOST,
    };
    struct tool_session *s = ctx;
    s->over = true;
    s->exit_code = codes[end];
    snprintf(s->text, sizeof s->text, "%s", text);
    tool_humanise_since(s->text, sizeof s->text);
    if (s->ended != NULL) {
        s->ended(s->ctx);
    }
}

int tool_session_init(struct tool_session *s, const char *name,
                      const struct tool_session_options *o, const char *link, uint8_t spaces)
{
    memset(s, 0, sizeof *s);
    s->name = name;
    int code = load(s, o, link);
    if (code != PST_EXIT_OK) {
        return code;
    }
    pst_process_harden();
    s->host = pst_secret_alloc(sizeof *s->host);
    if (s->host == NULL || uv_loop_init(&s->loop) != 0) {
        tool_say(name, "out of memory, or cannot create an event loop");
        return PST_EXIT_LOCAL;
    }
    s->config = (struct pst_debugger_host_config){
        .identity = &s->identity,
        .trust = &s->trust,
        .device = o->device,
        .spaces = spaces,
        .answer_ms = (uint32_t)o->timeout_s * 1000,
        .ctx = s,
        .ready = on_ready,
        .event = on_event,
        .ended = on_ended,
    };
    return PST_EXIT_OK;
}

int tool_session_open(struct tool_session *s)
{
    char why[PST_ADDRESS_TEXT + 160];
    pst_err err = pst_debugger_host_start(s->host, &s->loop, &s->config, &s->address,
                                          s->two ? &s->data : NULL, why, sizeof why);
    if (err != PST_OK) {
        tool_say(s->name, "%s", why);
        s->over = true;
        return err == PST_ERR_IO ? PST_EXIT_LINK : PST_EXIT_LOCAL;
    }
    if (s->host->link.listener != NULL) { /* already closed if the other link could not be opened */
        tool_say(s->name, "waits for the device to call at %s", s->host->link.listener->place);
    }
    return PST_EXIT_OK;
}

int tool_session_wait(struct tool_session *s)
{
    while (!s->is_ready && !s->over) {
        (void)uv_run(&s->loop, UV_RUN_ONCE);
    }
    if (s->over) {
        tool_say(s->name, "%s", s->text);
        return s->exit_code;
    }
    return PST_EXIT_OK;
}

pst_err tool_session_do(struct tool_session *s, struct pst_spp_op *op)
{
    op->result = PST_PENDING;
    pst_debugger_host_submit(s->host, op);
    while (op->result == PST_PENDING) {
        (void)uv_run(&s->loop, UV_RUN_ONCE);
    }
    /* The operation was in the session when that ended. The reason is reported a moment later. */
    while (op->result == PST_ERR_CLOSED && !s->over && uv_run(&s->loop, UV_RUN_ONCE) != 0) {
    }
    return op->result;
}

pst_err tool_session_read(struct tool_session *s, uint8_t space, uint64_t address, void *data,
                          uint32_t len, uint32_t *moved)
{
    struct pst_spp_op op = {
        .opcode = PST_SPP_READ, .space = space, .address = address, .data = data, .len = len};
    pst_err err = tool_session_do(s, &op);
    if (moved != NULL) {
        *moved = op.moved;
    }
    return err;
}

void tool_session_close(struct tool_session *s)
{
    if (s->host != NULL && s->host->loop != NULL) {
        pst_debugger_host_stop(s->host);
        while (!pst_debugger_host_gone(s->host)) {
            (void)uv_run(&s->loop, UV_RUN_ONCE);
        }
        (void)uv_run(&s->loop, UV_RUN_DEFAULT);
        pst_debugger_host_wipe(s->host);
    }
    if (s->host != NULL) {
        (void)uv_run(&s->loop, UV_RUN_NOWAIT);
        (void)uv_loop_close(&s->loop);
        pst_secret_free(s->host, sizeof *s->host);
        s->host = NULL;
    }
    pst_identity_free(&s->identity);
    if (s->trust.priv != NULL) {
        pst_trust_free(&s->trust);
    }
    pst_process_soften();
}

void tool_session_introduce(const struct tool_session *s)
{
    const struct pst_session_info info = s->info;
    tool_say(s->name, "%s and %s have authenticated each other; SPDM 1.%u, %s, %s, %s",
             s->identity.name,
             info.device->device[0] != '\0' ? info.device->device : info.device->name,
             info.spdm_minor, info.signature, info.exchange, info.aead);
}
