#include "posix/host/target_host.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STOP_MS 3000       /* time to release spaces when the process is asked to end */
#define RELEASE_MS 2000    /* time for the stub to detach when any session ends */
#define IDLE_LINK_MS 15000 /* longest life of a link without a context */
#define IDLE_MORE_MS 5000  /* or the time for a handshake plus this, if longer */
#define CALL_FIRST_MS 500  /* pause after a failed call, doubled up to the maximum */
#define CALL_MOST_MS 30000
#define CALL_WAIT_MS 60000 /* longest wait for HELLO: a bridge may wait for its peer */

static void note(struct pst_target_host *h, const char *text)
{
    if (h->note != NULL && text != NULL && text[0] != '\0') {
        h->note(h->note_ctx, text);
    }
}

/* --- links --- */

static void link_up(void *ctx, struct pst_link *link)
{
    struct pst_target_host *h = ctx;
    struct pst_target_host_link *l = link->owner;

    if (pst_target_link_up(&h->target, l->id, &link->traits) != PST_OK) {
        pst_link_drop(link, PST_ERR_LIMIT, "too many links");
        return;
    }
    l->up = true;
    l->up_ms = uv_now(h->loop);
    if (l->call != NULL) {
        l->call->pause_ms = CALL_FIRST_MS;
    }
}

static pst_err link_message(void *ctx, struct pst_link *link, uint8_t kind, uint8_t *msg,
                            size_t len)
{
    struct pst_target_host *h = ctx;
    const struct pst_target_host_link *l = link->owner;
    return pst_target_receive(&h->target, l->id, kind, msg, len);
}

static size_t link_output(void *ctx, struct pst_link *link, uint8_t *kind, uint8_t *out, size_t cap)
{
    struct pst_target_host *h = ctx;
    const struct pst_target_host_link *l = link->owner;
    size_t n = pst_target_output(&h->target, l->id, kind, out, cap);
    if (h->stub_on) {
        pst_stub_host_flush(&h->stub); /* the engine continues while the answer is sent */
    }
    return n;
}

static void call_again(struct pst_target_host *h, struct pst_target_host_call *call)
{
    call->busy = false;
    if (uv_now(h->loop) - call->since_ms >= CALL_WAIT_MS) {
        call->pause_ms = CALL_FIRST_MS; /* not a refusal */
    }
    call->next_ms = uv_now(h->loop) + call->pause_ms;
    call->pause_ms = call->pause_ms * 2 < CALL_MOST_MS ? call->pause_ms * 2 : CALL_MOST_MS;
}

static void link_down(void *ctx, struct pst_link *link, pst_err why, const char *text)
{
    struct pst_target_host *h = ctx;
    struct pst_target_host_link *l = link->owner;

    if (l->up) {
        pst_target_link_down(&h->target, l->id);
    }
    if (why != PST_OK && why != PST_ERR_CLOSED) {
        note(h, text);
    }
    if (l->call != NULL) {
        call_again(h, l->call);
    }
    l->used = l->up = false;
}

static struct pst_target_host_link *free_link(struct pst_target_host *h)
{
    for (size_t i = 0; i < PST_TARGET_LINKS; i++) {
        if (!h->links[i].used) {
            return &h->links[i];
        }
    }
    return NULL;
}

static struct pst_target_host_link *take_link(struct pst_target_host *h)
{
    struct pst_target_host_link *l = h->stopping ? NULL : free_link(h);

    if (l != NULL) {
        l->id = ++h->next_id;
        l->used = true;
        l->up = l->ending = false;
        l->call = NULL;
        l->link.owner = l;
    }
    return l;
}

static void on_peer(void *ctx, struct pst_carrier *carrier)
{
    struct pst_target_host *h = ctx;
    struct pst_target_host_link *l = take_link(h);

    if (l != NULL && pst_link_accept(&l->link, h->loop, &h->link_config, carrier) != PST_OK) {
        l->used = false;
    }
}

static void listener_note(void *ctx, const char *text)
{
    note(ctx, text);
}

static const struct pst_listener_events listener_events = {.peer = on_peer, .note = listener_note};

static void call_out(struct pst_target_host *h, struct pst_target_host_call *call)
{
    char why[PST_ADDRESS_TEXT + 160];
    struct pst_target_host_link *l = take_link(h);

    if (l == NULL) {
        return;
    }
    call->busy = true;
    call->since_ms = uv_now(h->loop);
    l->call = call;
    if (pst_link_connect(&l->link, h->loop, &h->call_config, call->to, why, sizeof why) != PST_OK) {
        note(h, why);
        l->used = false;
        call_again(h, call);
    }
}

/* Milliseconds until the next call is due. */
static uint64_t serve_calls(struct pst_target_host *h)
{
    uint64_t wait = UINT64_MAX, now = uv_now(h->loop);

    for (size_t i = 0; i < h->settings->calls && !h->stopping; i++) {
        struct pst_target_host_call *call = &h->calls[i];
        if (!call->busy && now >= call->next_ms) {
            call_out(h, call);
        }
        if (!call->busy && call->next_ms > now && call->next_ms - now < wait) {
            wait = call->next_ms - now;
        }
    }
    return wait;
}

static bool has_context(const struct pst_target_host *h, uint32_t id)
{
    for (size_t i = 0; i < PST_TARGET_HOST_CONTEXTS; i++) {
        if (h->contexts[i].phase != PST_CONTEXT_FREE && h->contexts[i].link == id) {
            return true;
        }
        if (h->paths[i].context != NULL && h->paths[i].bound && h->paths[i].link == id) {
            return true;
        }
    }
    return false;
}

/* A future data link has no context until the handshake on the other link is over. */
static uint64_t idle_ms(const struct pst_target_host *h)
{
    const uint64_t handshake = (uint64_t)h->settings->handshake_ms + IDLE_MORE_MS;
    return handshake > IDLE_LINK_MS ? handshake : IDLE_LINK_MS;
}

static void serve_links(struct pst_target_host *h)
{
    for (size_t i = 0; i < PST_TARGET_LINKS; i++) {
        struct pst_target_host_link *l = &h->links[i];
        if (!l->used || !l->up) {
            continue;
        }
        pst_link_pump(&l->link);
        if (l->ending || !l->up) {
            continue;
        }
        bool idle = uv_now(h->loop) - l->up_ms > idle_ms(h) && !has_context(h, l->id);
        if (pst_target_wants_close(&h->target, l->id) || idle || h->stopped) {
            l->ending = true;
            pst_link_close(&l->link, idle ? PST_ERR_TIMEOUT : PST_ERR_CLOSED);
        }
    }
}

/* --- the loop --- */

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void stop_if_asked(struct pst_target_host *h)
{
    if (!h->stopping || h->stopped) {
        return;
    }
    bool late = uv_now(h->loop) >= h->stop_ms;
    if (pst_target_stop(&h->target, PST_ERR_CLOSED) != PST_PENDING || late) {
        h->stopped = true; /* the supervisor cleans up what is late */
    }
}

/* A stub that does not answer must not keep the target from the next engineer. */
static void limit_release(struct pst_target_host *h)
{
    if (!h->stub_on || !pst_target_releasing(&h->target)) {
        h->release_ms = 0;
    } else if (h->release_ms == 0) {
        h->release_ms = uv_now(h->loop) + RELEASE_MS;
    } else if (uv_now(h->loop) >= h->release_ms) {
        pst_stub_abandon(&h->stub.stub); /* the supervisor does the rest */
    }
}

/* Before the loop sleeps: all input has been taken, so everything is polled once. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct pst_target_host *h = prepare->data;

    stop_if_asked(h);
    limit_release(h);
    uint64_t wait = pst_target_poll(&h->target);
    serve_links(h);
    uint64_t due = serve_calls(h);
    wait = due < wait ? due : wait;
    due = pst_audit_file_poll(&h->audit);
    wait = due < wait ? due : wait;
    if (h->stub_on) {
        pst_stub_host_flush(&h->stub);
    }
    uint64_t most = h->stopping ? 50 : 1000;
    (void)uv_timer_start(&h->timer, on_timer, wait < most ? (wait > 0 ? wait : 1) : most, 0);
    if (h->stopped) {
        uv_stop(h->loop);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct pst_target_host *h = handle->data;
    (void)number;
    if (!h->stopping) {
        h->stopping = true;
        h->stop_ms = uv_now(h->loop) + STOP_MS;
    }
}

/* --- setting up --- */

static pst_err open_files(struct pst_target_host *h, char *why, size_t why_cap)
{
    for (size_t i = 0; i < h->settings->file_count; i++) {
        const struct pst_config_file *f = &h->settings->files[i];
        errno = 0;
        pst_err err = pst_file_memory_open(&h->memory.files[i], f->path, f->base, f->size,
                                           f->offset, !f->write);
        if (err != PST_OK) {
            snprintf(why, why_cap, "[file %s] %s: %s", f->name, f->path,
                     err == PST_ERR_IO
                         ? strerror(errno)
                         : "expected base and size within the file and the addresses");
            return PST_ERR_IO;
        }
        h->memory.count++;
    }
    return PST_OK;
}

static void stub_note(void *ctx, const char *text)
{
    note(ctx, text);
}

static pst_err start_stub(struct pst_target_host *h, const char *program, char *why, size_t why_cap)
{
    const struct pst_target_settings *s = h->settings;
    h->stub_config = (struct pst_stub_host_config){
        .program = program,
        .address = s->stub.text,
        .map = s->map,
        .map_len = s->map_len,
        .hold = s->policy.hold_on_end,
        .note = stub_note,
        .ctx = h,
    };
    if (pst_stub_host_start(&h->stub, &h->stub_config) != PST_OK) {
        snprintf(why, why_cap, "the supervisor of the debug stub cannot be started: %s",
                 strerror(errno));
        return PST_ERR_IO;
    }
    h->stub_on = true;
    h->memory.stub = pst_stub_memory(&h->stub.stub);
    h->run_space = pst_stub_run(&h->stub.stub);
    return PST_OK;
}

pst_err pst_target_host_prepare(struct pst_target_host *h,
                                const struct pst_target_settings *settings, const char *program,
                                char *why, size_t why_cap)
{
    h->settings = settings;
    h->policy = settings->policy;
    h->audit.fd = -1;
    if (settings->has_stub) {
        PST_TRY(start_stub(h, program, why, why_cap));
    }
    if (pst_audit_file_open(&h->audit, settings->audit) != PST_OK) {
        snprintf(why, why_cap, "audit %s: %s", settings->audit, strerror(errno));
        return PST_ERR_AUDIT;
    }
    PST_TRY(open_files(h, why, why_cap));
    h->memory_space = pst_memory_space(&h->memory);
    return PST_OK;
}

static pst_err init_target(struct pst_target_host *h, const struct pst_identity *identity,
                           const struct pst_trust *trust, char *why, size_t why_cap)
{
    const struct pst_target_settings *s = h->settings;

    const struct pst_profile_parts parts = {
        .crypto = pst_openssl_crypto(),
        .slot = &identity->slot,
        .verifier = &trust->verifier,
        .now_ms = pst_process_now_ms,
    };

    pst_profile_target(&h->spdm, &parts);
    h->spdm.heartbeat_s = (uint8_t)s->heartbeat_s;
    h->config = (struct pst_target_config){
        .native = &pst_target_native,
        .spdm = &h->spdm,
        .policy = &h->policy,
        .device = s->device[0] != '\0' ? s->device : identity->name,
        .audit = pst_audit_file_sink(&h->audit),
        .handshake_ms = s->handshake_ms,
        .session_s = s->session_s,
        .audit_ahead = (uint8_t)s->audit_ahead,
        .data = &pst_target_data,
        .paths = h->paths,
        .path_count = PST_TARGET_HOST_CONTEXTS,
    };
    h->config.spaces[PST_AS_MEMORY] = &h->memory_space;
    if (h->stub_on) {
        h->config.spaces[PST_AS_RUN] = &h->run_space;
    }
    for (size_t i = 0; i < PST_TARGET_HOST_CONTEXTS; i++) {
        h->buffers[i] = (struct pst_target_buffers){
            .queue = h->queues[i],
            .queue_len = sizeof h->queues[i],
            .mailbox = h->mailboxes[i],
            .mailbox_len = sizeof h->mailboxes[i],
        };
    }
    const char *wrong = pst_target_config_check(&h->config, h->buffers, PST_TARGET_HOST_CONTEXTS);
    if (wrong != NULL) {
        snprintf(why, why_cap, "the target cannot start: %s", wrong);
    }
    return pst_target_init(&h->target, &h->config, h->contexts, h->buffers,
                           PST_TARGET_HOST_CONTEXTS);
}

static pst_err listen_all(struct pst_target_host *h, char *why, size_t why_cap)
{
    char text[2 * PST_ADDRESS_TEXT];

    for (size_t i = 0; i < h->settings->listens; i++) {
        const struct pst_address *at = &h->settings->listen[i];
        if (at->scheme->names != NULL && !at->scheme->names(at, h->config.device)) {
            snprintf(why, why_cap, "link '%s' announces another device than this one, '%s'",
                     at->text, h->config.device);
            return PST_ERR_IO;
        }
        PST_TRY(
            pst_carrier_listen(h->loop, at, &listener_events, h, &h->listeners[i], why, why_cap));
        snprintf(text, sizeof text, "%s listens at %s", h->config.device, h->listeners[i]->place);
        note(h, text);
    }
    for (size_t i = 0; i < h->settings->calls; i++) {
        h->calls[i] =
            (struct pst_target_host_call){.to = &h->settings->call[i], .pause_ms = CALL_FIRST_MS};
        snprintf(text, sizeof text, "%s calls %s", h->config.device, h->calls[i].to->text);
        note(h, text);
    }
    return PST_OK;
}

pst_err pst_target_host_start(struct pst_target_host *h, uv_loop_t *loop,
                              const struct pst_identity *identity, const struct pst_trust *trust,
                              char *why, size_t why_cap)
{
    static const int numbers[2] = {SIGTERM, SIGINT};

    snprintf(why, why_cap, "no resources");
    PST_TRY(init_target(h, identity, trust, why, why_cap));
    h->link_config = (struct pst_link_config){
        .target = true,
        .ctx = h,
        .up = link_up,
        .message = link_message,
        .output = link_output,
        .down = link_down,
    };
    h->call_config = h->link_config;
    h->call_config.hello_ms = CALL_WAIT_MS;
    if (uv_timer_init(loop, &h->timer) != 0 || uv_prepare_init(loop, &h->prepare) != 0 ||
        uv_signal_init(loop, &h->signals[0]) != 0 || uv_signal_init(loop, &h->signals[1]) != 0) {
        return PST_ERR_IO;
    }
    h->loop = loop;
    h->timer.data = h->prepare.data = h->signals[0].data = h->signals[1].data = h;
    for (size_t i = 0; i < 2; i++) {
        if (uv_signal_start(&h->signals[i], on_signal, numbers[i]) != 0) {
            return PST_ERR_IO;
        }
    }
    if (h->stub_on) {
        PST_TRY(pst_stub_host_attach(&h->stub, loop));
    }
    PST_TRY(listen_all(h, why, why_cap));
    return uv_prepare_start(&h->prepare, on_prepare) == 0 ? PST_OK : PST_ERR_IO;
}

void pst_target_host_run(struct pst_target_host *h)
{
    while (!h->stopped) {
        (void)uv_run(h->loop, UV_RUN_DEFAULT);
    }
}

static void close_listeners(struct pst_target_host *h)
{
    for (size_t i = 0; i < h->settings->listens; i++) {
        if (h->listeners[i] != NULL) {
            pst_listener_close(h->listeners[i]);
            h->listeners[i] = NULL;
        }
    }
}

void pst_target_host_close(struct pst_target_host *h)
{
    if (h->loop != NULL) {
        close_listeners(h);
        serve_links(h); /* h->stopped: sends BYE */
        uv_close((uv_handle_t *)&h->timer, NULL);
        uv_close((uv_handle_t *)&h->prepare, NULL);
        uv_close((uv_handle_t *)&h->signals[0], NULL);
        uv_close((uv_handle_t *)&h->signals[1], NULL);
        for (size_t i = 0; i < PST_TARGET_LINKS; i++) {
            if (h->links[i].used && !h->links[i].up) {
                pst_link_drop(&h->links[i].link, PST_ERR_CLOSED, NULL);
            }
        }
        pst_stub_host_close(&h->stub);
        (void)uv_run(h->loop, UV_RUN_DEFAULT); /* bounded: a link drains for two seconds at most */
    } else if (h->stub_on) {
        close(h->stub.supervisor.fd);
    }
    for (size_t i = 0; i < h->memory.count; i++) {
        pst_file_memory_close(&h->memory.files[i]);
    }
    pst_audit_file_close(&h->audit);
}
