#include "posix/host/debugger_host.h"

#include <stdio.h>
#include <string.h>

#define STOP_MS 2000 /* for END_SESSION and its answer */

/* --- the reason of the end, as text --- */

static void certificate_text(const struct pst_debugger_host *h, char *out, size_t cap)
{
    pst_cert_refusal_text(pst_debugger_refusal(&h->debugger), out, cap);
    if (out[0] == '\0') {
        snprintf(out, cap, "its certificate chain does not fit the connection");
    }
}

/* The text for an ERROR of the security agent (spec: DSP0274, error codes). */
static const char *peer_error_text(uint8_t code)
{
    switch (code) {
    case 0x03:
        return "it is busy with another connection; try again later";
    case 0x05:
    case 0x06:
        return "it does not accept this engineer's certificate, or has an error of its own";
    case 0x0B:
        return "session limit exceeded";
    default:
        return "authentication was refused";
    }
}

static pst_end explain_opening(const struct pst_debugger_host *h, pst_err why, char *text,
                               size_t cap)
{
    const char *link = h->link.name;
    const char *device = h->config.device != NULL ? h->config.device : "the device";
    char refusal[PST_MAX_REFUSAL];

    switch ((int)why) {
    case PST_ERR_CERT:
        certificate_text(h, refusal, sizeof refusal);
        snprintf(text, cap, "the certificate chain of the device was refused: %s", refusal);
        return PST_END_AUTH;
    case PST_ERR_IDENTITY:
        snprintf(text, cap, "this is another device: %s, expected %s",
                 h->debugger.who[0] != '\0' ? h->debugger.who : "one without an id", device);
        return PST_END_AUTH;
    case PST_ERR_BUSY:
        snprintf(text, cap, "%s is busy with another connection; try again later", device);
        return PST_END_REFUSED;
    case PST_ERR_PEER:
        snprintf(text, cap, "%s refused the connection: %s (SPDM error 0x%02x)", device,
                 peer_error_text(h->debugger.peer_error), h->debugger.peer_error);
        return h->debugger.peer_error == 0x03 ? PST_END_REFUSED : PST_END_AUTH;
    case PST_ERR_PROFILE:
    case PST_ERR_TIMEOUT:
        snprintf(text, cap, "link '%s': %s", link, pst_err_text(why));
        return PST_END_LINK;
    case PST_ERR_IO:
        if (h->data_lost || (h->link_why != PST_OK && h->link_why != PST_ERR_CLOSED)) {
            snprintf(text, cap, "%s",
                     h->link_text); /* not closed by the management link, which authenticates */
            return PST_END_LINK;
        }
        snprintf(
            text, cap,
            "%.360s during authentication: the device probably refused this engineer, and gives no "
            "reason before authentication; check that it trusts the CA of this engineer",
            h->link_text[0] != '\0' ? h->link_text : "the link was closed");
        return PST_END_AUTH;
    default:
        snprintf(text, cap, "authentication with %s failed: %s", device, pst_err_text(why));
        return PST_END_AUTH;
    }
}

static pst_end explain(const struct pst_debugger_host *h, char *text, size_t cap)
{
    pst_err why = pst_debugger_why(&h->debugger);

    text[0] = '\0';
    if (h->stopping &&
        (why == PST_OK || why == PST_ERR_CLOSED || h->reached != PST_DEBUGGER_READY)) {
        return PST_END_ASKED;
    }
    if (!h->link_up) {
        snprintf(text, cap, "%s", h->link_text);
        return PST_END_LINK;
    }
    if (h->link.bye == PST_ERR_BUSY && h->reached <= PST_DEBUGGER_AUTHENTICATING) {
        why = PST_ERR_BUSY;
    }
    switch (h->reached) {
    case PST_DEBUGGER_READY:
    case PST_DEBUGGER_ENDING:
        if (why == PST_ERR_IO && h->link_text[0] != '\0') {
            snprintf(text, cap, "the session was lost: %s", h->link_text);
        } else {
            snprintf(text, cap, "the session was lost: %s", pst_err_text(why));
        }
        return PST_END_LOST;
    case PST_DEBUGGER_ENABLING:
        if (h->debugger.who[0] != '\0') {
            snprintf(text, cap, "refused: %s", h->debugger.who);
            return PST_END_REFUSED;
        }
        snprintf(text, cap, "the session ended before it could be used: %s",
                 why == PST_ERR_IO && h->link_text[0] != '\0' ? h->link_text : pst_err_text(why));
        return why == PST_ERR_DENIED || why == PST_ERR_BUSY ? PST_END_REFUSED : PST_END_LOST;
    case PST_DEBUGGER_IDLE:
    case PST_DEBUGGER_CONNECTING:
        if (why == PST_ERR_IO) {
            snprintf(text, cap, "%s", h->link_text);
            return PST_END_LINK;
        }
        return explain_opening(h, why, text, cap) == PST_END_REFUSED ? PST_END_REFUSED
                                                                     : PST_END_LINK;
    case PST_DEBUGGER_AUTHENTICATING:
    case PST_DEBUGGER_CLOSED:
        break;
    }
    return explain_opening(h, why, text, cap);
}

/* --- the loop --- */

static void note_state(struct pst_debugger_host *h)
{
    pst_debugger_state_id state = pst_debugger_state(&h->debugger);
    if (state != PST_DEBUGGER_CLOSED) {
        h->reached = state;
    }
}

static void changed(void *ctx)
{
    note_state(ctx);
}

static void tell_ended(struct pst_debugger_host *h)
{
    char text[PST_DEBUGGER_HOST_TEXT];
    if (!h->told_ended) {
        h->told_ended = true;
        pst_end end = explain(h, text, sizeof text);
        h->config.ended(h->config.ctx, end, text);
    }
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* its only purpose is to wake the loop */
}

static void end_links(struct pst_debugger_host *h)
{
    pst_link_close(&h->link, pst_debugger_why(&h->debugger));
    if (h->two && !h->data_gone) {
        pst_link_close(&h->data, pst_debugger_why(&h->debugger));
    }
}

/* Before the loop sleeps: sends submitted operations, reports to waiting callers, sets the next
   timer. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct pst_debugger_host *h = prepare->data;
    uint64_t wait = pst_debugger_poll(&h->debugger);

    if (h->stopping && h->link_up && uv_now(h->loop) >= h->stop_ms) {
        pst_debugger_link_down(&h->debugger);
    }
    if (pst_debugger_state(&h->debugger) == PST_DEBUGGER_READY && !h->told_ready) {
        h->told_ready = true;
        h->config.ready(h->config.ctx);
    }
    pst_debugger_host_flush(h);
    if (pst_debugger_state(&h->debugger) == PST_DEBUGGER_CLOSED && h->link_up) {
        end_links(h);
        tell_ended(h);
    }
    if (wait != UINT64_MAX && !uv_is_closing((uv_handle_t *)&h->timer)) {
        uv_update_time(h->loop);
        (void)uv_timer_start(&h->timer, on_timer, wait > 0 ? wait : 1, 0);
    }
}

static void on_event(void *ctx, uint8_t space, struct pst_bytes payload)
{
    struct pst_debugger_host *h = ctx;
    if (h->config.event != NULL) {
        h->config.event(h->config.ctx, space, payload);
    }
}

/* False: not possible, and link_text says why. */
static bool begin_data(struct pst_debugger_host *h)
{
    char why[sizeof h->link_text];

    h->data_begun = true;
    h->data_gone = pst_link_connect(&h->data, h->loop, &h->link_config, &h->data_to, why,
                                    sizeof why) != PST_OK;
    if (h->data_gone) {
        snprintf(h->link_text, sizeof h->link_text, "%s", why);
    }
    return !h->data_gone;
}

static void link_up(void *ctx, struct pst_link *link)
{
    struct pst_debugger_host *h = ctx;
    pst_err err = PST_OK;

    h->link_up = h->link_up || link == &h->link;
    h->data_up = h->data_up || link == &h->data;
    if (h->two && !h->data_begun && !begin_data(h)) {
        pst_link_drop(link, PST_ERR_IO, NULL);
        return;
    }
    if (h->two && h->link_up && h->data_up) {
        err = pst_debugger_start_data(&h->debugger, &h->link.traits, &h->data.traits);
    } else if (!h->two) {
        err = pst_debugger_start(&h->debugger, &link->traits);
    }
    if (err != PST_OK) {
        pst_link_drop(link, PST_ERR_STATE,
                      err == PST_ERR_ARGUMENT && h->two
                          ? "the data link is lossy or carries SPDM only: choose another data link"
                          : "the debugger cannot start");
    }
}

static pst_err link_message(void *ctx, struct pst_link *link, uint8_t kind, uint8_t *msg,
                            size_t len)
{
    struct pst_debugger_host *h = ctx;
    return link == &h->data ? pst_debugger_receive_data(&h->debugger, kind, msg, len)
                            : pst_debugger_receive(&h->debugger, kind, msg, len);
}

static size_t link_output(void *ctx, struct pst_link *link, uint8_t *kind, uint8_t *out, size_t cap)
{
    struct pst_debugger_host *h = ctx;
    return link == &h->data ? pst_debugger_output_data(&h->debugger, kind, out, cap)
                            : pst_debugger_output(&h->debugger, kind, out, cap);
}

static void link_down(void *ctx, struct pst_link *link, pst_err why, const char *text)
{
    struct pst_debugger_host *h = ctx;
    struct pst_link *other = link == &h->data ? &h->link : &h->data;

    if (h->link_text[0] == '\0') { /* of two links, the one that caused the end */
        h->link_why = why;
        h->data_lost = link == &h->data;
        snprintf(h->link_text, sizeof h->link_text, "%s", text);
    }
    h->link_gone = h->link_gone || link == &h->link;
    h->data_gone = h->data_gone || link == &h->data;
    pst_debugger_link_down(&h->debugger);
    tell_ended(h);
    if (!h->link_gone || !h->data_gone) {
        pst_link_drop(other, PST_ERR_CLOSED, NULL);
    } else {
        uv_close((uv_handle_t *)&h->timer, NULL);
        uv_close((uv_handle_t *)&h->prepare, NULL);
    }
}

pst_err pst_debugger_host_start(struct pst_debugger_host *h, uv_loop_t *loop,
                                const struct pst_debugger_host_config *config,
                                const struct pst_address *to, const struct pst_address *data,
                                char *why, size_t why_cap)
{
    memset(h, 0, sizeof *h);
    snprintf(why, why_cap, "no resources");
    h->loop = loop;
    h->config = *config;
    pst_profile_debugger(&h->spdm, &(const struct pst_profile_parts){
                                       .crypto = pst_openssl_crypto(),
                                       .slot = &config->identity->slot,
                                       .verifier = &config->trust->verifier,
                                       .now_ms = pst_process_now_ms,
                                   });
    h->debugger_config = (struct pst_debugger_config){
        .spdm = &h->spdm,
        .device = config->device,
        .spaces = config->spaces,
        .event = on_event,
        .changed = changed,
        .ctx = h,
        .mailbox = h->mailbox,
        .mailbox_len = sizeof h->mailbox,
        .answer_ms = config->answer_ms,
    };
    h->link_config = (struct pst_link_config){
        .hello_ms = config->answer_ms,
        .ctx = h,
        .up = link_up,
        .message = link_message,
        .output = link_output,
        .down = link_down,
    };
    if (pst_debugger_init(&h->debugger, &h->debugger_config) != PST_OK) {
        snprintf(why, why_cap, "%s", pst_debugger_config_check(&h->debugger_config));
        return PST_ERR_CONFIG;
    }
    if (uv_timer_init(loop, &h->timer) != 0 || uv_prepare_init(loop, &h->prepare) != 0 ||
        uv_prepare_start(&h->prepare, on_prepare) != 0) {
        return PST_ERR_IO;
    }
    h->timer.data = h->prepare.data = h;
    if (pst_link_connect(&h->link, loop, &h->link_config, to, why, why_cap) != PST_OK) {
        h->link_gone = h->data_gone = true; /* already stopped */
        uv_close((uv_handle_t *)&h->timer, NULL);
        uv_close((uv_handle_t *)&h->prepare, NULL);
        return PST_ERR_IO;
    }
    h->two = data != NULL;
    h->data_gone = true;
    if (h->two) {
        h->data_to = *data;
    }
    if (h->two && data->listen && !begin_data(h)) { /* `ended` reports it */
        pst_link_drop(&h->link, PST_ERR_IO, NULL);
    }
    return PST_OK;
}

void pst_debugger_host_submit(struct pst_debugger_host *h, struct pst_spp_op *op)
{
    h->commands++;
    if (op->opcode == PST_SPP_WRITE) {
        pst_debugger_write(&h->debugger, op);
    } else {
        pst_debugger_read(&h->debugger, op);
    }
}

void pst_debugger_host_flush(struct pst_debugger_host *h)
{
    pst_link_pump(&h->link);
    if (h->two && !h->data_gone) {
        pst_link_pump(&h->data);
    }
}

void pst_debugger_host_stop(struct pst_debugger_host *h)
{
    if (h->stopping || h->link_gone) {
        return;
    }
    h->stopping = true;
    uv_update_time(h->loop);
    h->stop_ms = uv_now(h->loop) + STOP_MS;
    if (h->link_up) {
        pst_debugger_stop(&h->debugger);
    } else {
        pst_link_drop(&h->link, PST_OK, NULL);
    }
}

bool pst_debugger_host_gone(const struct pst_debugger_host *h)
{
    return h->link_gone && h->data_gone;
}

void pst_debugger_host_wipe(struct pst_debugger_host *h)
{
    pst_debugger_wipe(&h->debugger);
    pst_wipe(h->mailbox, sizeof h->mailbox);
}
