/* The DTS: from a link to a session with its access spaces enabled, and back.
 *
 * Each state has its work: CONNECTING sets up the bootstrap engine, then runs SPDM operations one
 * after another; the last of them opens the session; ENABLING asks for grants and access spaces in
 * the session's own engine; READY carries the caller's operations. Operations of the caller wait in
 * a list of ours until READY, and again while keys change. */
#include "postern/debugger.h"

#include <string.h>

#define DEFAULT_ANSWER_MS 10000
#define FIRST_CREDIT 256 /* before the TS has told its own */
#define DEFAULT_REKEY_AFTER 8000000u
#define REKEY_SPARE                                                                                \
    65536u /* records that an exchange of keys and what is in flight may still use */

static uint64_t now_ms(const struct pst_debugger *d)
{
    return d->spdm.now_ms(d->spdm.now_ctx);
}

static uint64_t rekey_after(const struct pst_debugger *d)
{
    return d->config->rekey_after > 0 ? d->config->rekey_after : DEFAULT_REKEY_AFTER;
}

static void set_state(struct pst_debugger *d, pst_debugger_state_id state)
{
    d->state = state;
    d->step = 0;
    if (d->config->changed != NULL) {
        d->config->changed(d->config->ctx);
    }
}

static void release_waiting(struct pst_debugger *d)
{
    while (d->waiting != NULL) {
        struct pst_spp_op *op = d->waiting;
        d->waiting = op->next;
        pst_spp_client_submit(&d->client, op);
    }
    d->waiting_end = &d->waiting;
}

static void fail_waiting(struct pst_debugger *d, pst_err why)
{
    struct pst_spp_op *op = d->waiting;
    d->waiting = NULL;
    d->waiting_end = &d->waiting;
    while (op != NULL) {
        struct pst_spp_op *next = op->next;
        op->result = why;
        if (op->done != NULL) {
            op->done(op->ctx, op);
        }
        op = next;
    }
}

/* The one way a session ends on this side. */
static void close_session(struct pst_debugger *d, pst_err why)
{
    if (d->state == PST_DBG_CLOSED) {
        return;
    }
    d->why = why;
    d->exchanging = d->rekeying = false;
    if (d->spdm.crypto != NULL) { /* the requester tells who it was; its secrets go */
        pst_requester_cancel(&d->requester, why);
        pst_requester_end(&d->requester, pst_requester_session(&d->requester), why);
    }
    if (d->record.config.crypto != NULL) {
        pst_record_wipe(&d->record);
    }
    pst_wipe(d->request, d->half);
    set_state(d, PST_DBG_CLOSED);
    pst_spp_client_abort(&d->client, PST_ERR_CLOSED);
    fail_waiting(d, PST_ERR_CLOSED);
}

/* --- keys and hooks of the security agent --- */

static pst_err place(void *ctx, uint32_t session_id, pst_key_phase phase, pst_direction direction,
                     bool encrypt, const struct pst_traffic_key *key)
{
    struct pst_debugger *d = ctx;
    if (!encrypt && !d->config->allow_mac_only) {
        return PST_ERR_ALGORITHM;
    }
    return pst_record_place(&d->record, session_id, phase, direction, encrypt, key);
}

static void drop(void *ctx, uint32_t session_id)
{
    struct pst_debugger *d = ctx;
    (void)session_id;
    pst_record_wipe(&d->record);
}

/* The device is named; another one, also a genuine one, is not debugged. */
static pst_err check_device(void *ctx, const struct pst_peer *peer)
{
    struct pst_debugger *d = ctx;
    if (d->config->device == NULL || strcmp(d->config->device, peer->device) == 0) {
        return PST_OK;
    }
    size_t len = 0; /* who it was instead, for people */
    for (; peer->device[len] != '\0' && len < PST_MAX_NAME - 1; len++) {
        char c = peer->device[len];
        d->who[len] = c >= 0x20 && c < 0x7F ? c : '?';
    }
    d->who[len] = '\0';
    return PST_ERR_IDENTITY;
}

pst_err pst_debugger_init(struct pst_debugger *d, const struct pst_debugger_config *config)
{
    if (config->spdm == NULL || config->mailbox_len / 2 < config->spdm->transfer_size) {
        return PST_ERR_ARGUMENT;
    }
    memset(d, 0, sizeof *d);
    d->config = config;
    d->waiting_end = &d->waiting;
    d->request = config->mailbox;
    d->answer = config->mailbox + config->mailbox_len / 2;
    d->half = config->mailbox_len / 2;
    d->spdm = *config->spdm;
    d->spdm.keys = (struct pst_key_port){.ctx = d, .place = place, .drop = drop};
    d->spdm.hooks = (struct pst_spdm_hooks){.ctx = d, .peer = check_device};
    return pst_requester_init(&d->requester, &d->spdm);
}

static void on_event(void *ctx, struct pst_bytes payload, uint8_t space)
{
    struct pst_debugger *d = ctx;
    if (d->state == PST_DBG_READY && d->config->event != NULL) {
        d->config->event(d->config->ctx, space, payload);
    }
}

static void start_client(struct pst_debugger *d, size_t credit)
{
    pst_spp_client_init(&d->client, PST_SPP_FULL,
                        d->traits->mtu - PST_RECORD_OVERHEAD - PST_SPP_FULL_HEADER, credit);
    d->client.event = on_event;
    d->client.ctx = d;
}

/* --- setup: register reads and writes that go out as one batch --- */

static void setup_done(void *ctx, struct pst_spp_op *op)
{
    struct pst_debugger *d = ctx;
    if (op->result != PST_OK && d->setup_err == PST_OK) {
        d->setup_err = op->result;
    }
    d->setup_left--;
}

static void setup_begin(struct pst_debugger *d)
{
    d->setup_count = d->setup_left = 0;
    d->setup_err = PST_OK;
    d->setup_ms = now_ms(d);
}

static void setup_add(struct pst_debugger *d, pst_spp_opcode opcode, uint8_t space,
                      uint64_t address, uint8_t *data, uint32_t len)
{
    struct pst_spp_op *op = &d->setup[d->setup_count++];
    *op = (struct pst_spp_op){
        .opcode = opcode,
        .space = space,
        .address = address,
        .data = data,
        .len = len,
        .result = PST_PENDING,
        .done = setup_done,
        .ctx = d,
    };
    d->setup_left++;
    pst_spp_client_submit(&d->client, op);
}

static void setup_read(struct pst_debugger *d, uint64_t address)
{
    setup_add(d, PST_SPP_READ_CONFIG, 0, address, d->words[d->setup_count], 4);
}

static void setup_write(struct pst_debugger *d, uint64_t address, uint32_t value)
{
    pst_poke_u32(d->words[d->setup_count], value);
    setup_add(d, PST_SPP_WRITE_CONFIG, 0, address, d->words[d->setup_count], 4);
}

/* --- SPDM: one message there and back through the mailbox --- */

static void exchange_done(void *ctx, struct pst_spp_op *op)
{
    struct pst_debugger *d = ctx;
    d->exchange_left--;
    if (op->result != PST_OK && d->exchange_err == PST_OK) {
        d->exchange_err = op->result;
    }
}

static struct pst_spp_op mailbox_op(struct pst_debugger *d, bool write, uint64_t address,
                                    uint8_t *data, size_t len)
{
    return (struct pst_spp_op){
        .opcode = write ? PST_SPP_WRITE : PST_SPP_READ,
        .space = PST_AS_SCM,
        .address = address,
        .data = data,
        .len = (uint32_t)len,
        .result = PST_PENDING,
        .done = exchange_done,
        .ctx = d,
    };
}

/* One packet's worth: the end of the answer may change the keys, so nothing is asked behind it. */
static void read_answer(struct pst_debugger *d)
{
    size_t left = d->half - d->answer_len;
    size_t len = left < d->client.max_data ? left : d->client.max_data;
    d->spdm_read =
        mailbox_op(d, false, PST_SCM_RESPONSE + d->answer_len, d->answer + d->answer_len, len);
    pst_spp_client_submit(&d->client, &d->spdm_read);
}

/* True when the answer goes on behind what was read. */
static bool read_on(struct pst_debugger *d)
{
    d->answer_len += d->spdm_read.moved;
    if (d->spdm_read.moved < d->spdm_read.len || d->answer_len == d->half) {
        return false;
    }
    d->exchange_left = 1;
    read_answer(d);
    return true;
}

static void begin_exchange(struct pst_debugger *d, uint32_t context, size_t len)
{
    d->exchanging = true;
    d->handed = false;
    d->exchange_left = 3;
    d->answer_len = 0;
    d->exchange_err = PST_OK;
    d->protected_ = context != PST_SPDM_CLEAR;
    d->asked_ms = now_ms(d);
    pst_poke_u32(d->go, (uint32_t)len);
    d->spdm_data = mailbox_op(d, true, PST_SCM_DATA, d->request, len);
    d->spdm_go = mailbox_op(d, true, PST_SCM_GO, d->go, sizeof d->go);
    pst_spp_client_submit(&d->client, &d->spdm_data);
    pst_spp_client_submit(&d->client, &d->spdm_go);
    read_answer(d);
}

static void start_op(struct pst_debugger *d, const struct pst_op *op)
{
    pst_err err = pst_requester_start(&d->requester, op);
    if (err != PST_OK) {
        close_session(d, err);
    }
}

/* Gives the running SPDM operation its next message, if it has one. True while it runs. */
static bool pump_spdm(struct pst_debugger *d)
{
    uint32_t context;
    size_t len;

    if (d->exchanging) {
        if (d->exchange_err != PST_OK) {
            close_session(d, d->exchange_err);
            return false;
        }
        if (d->exchange_left > 0 || read_on(d)) { /* in whatever order a TS answers them */
            return true;
        }
        d->exchanging = false;
        context = d->protected_ ? d->record.session_id : PST_SPDM_CLEAR;
        if (pst_requester_receive(&d->requester, context, d->answer, d->answer_len) != PST_OK) {
            /* What went wrong is the operation's result. */
        }
    }
    pst_err err = pst_requester_next(&d->requester, &context, d->request, d->half, &len);
    if (err == PST_OK) {
        begin_exchange(d, context, len);
        return true;
    }
    return err == PST_PENDING;
}

/* --- the steps of each state; each returns true when there was something to do --- */

static const pst_op_kind opening[] = {PST_OP_CONNECT, PST_OP_DIGESTS, PST_OP_CERTIFICATE,
                                      PST_OP_SESSION};

static bool enter_session(struct pst_debugger *d)
{
    size_t credit = d->client.credit;
    start_client(d, credit); /* the session has an engine of its own */
    d->protected_ = true;
    set_state(d, PST_DBG_ENABLING);
    return true;
}

static bool step_bootstrap(struct pst_debugger *d)
{
    if (d->step == 0) {
        setup_begin(d);
        setup_add(d, PST_SPP_INIT, 0, 0, NULL, 0);
        setup_read(d, PST_SPC_PROFILE);
        setup_read(d, PST_SPC_CREDIT);
        d->step = 1;
        return true;
    }
    if (d->setup_left > 0) {
        return false;
    }
    if (d->setup_err != PST_OK) {
        close_session(d, d->setup_err);
    } else if (pst_peek_u32(d->words[1]) != PST_PROFILE_VERSION) {
        close_session(d, PST_ERR_PROFILE);
    } else {
        start_client(d, pst_peek_u32(d->words[2]));
        set_state(d, PST_DBG_AUTHENTICATING);
    }
    return true;
}

static bool step_authenticate(struct pst_debugger *d)
{
    if (pump_spdm(d) || d->state == PST_DBG_CLOSED) {
        return false;
    }
    if (d->step > 0) {
        pst_err err = pst_requester_result(&d->requester, &d->peer_error);
        if (err != PST_OK) {
            close_session(d, err == PST_PENDING ? PST_ERR_STATE : err);
            return false;
        }
    }
    if (d->step == sizeof opening / sizeof *opening) {
        return enter_session(d);
    }
    start_op(d, &(struct pst_op){.kind = opening[d->step], .context = PST_SPDM_CLEAR});
    d->step++;
    return d->state != PST_DBG_CLOSED;
}

static void take_text(char *out, const struct pst_spp_op *op)
{
    uint32_t len = op->moved < PST_DEBUGGER_TEXT - 1 ? op->moved : PST_DEBUGGER_TEXT - 1;
    out[len] = '\0';
    for (uint32_t i = 0; i < len; i++) { /* a compromised TS gets no escape sequences through */
        out[i] = out[i] >= 0x20 && out[i] < 0x7F ? out[i] : '?';
    }
}

static void ask_about_session(struct pst_debugger *d)
{
    setup_begin(d);
    setup_add(d, PST_SPP_INIT, 0, 0, NULL, 0);
    setup_read(d, PST_SPC_AS_PRESENT);
    setup_add(d, PST_SPP_READ, PST_AS_SCM, PST_SCM_WHO, (uint8_t *)d->who, PST_DEBUGGER_TEXT - 1);
    setup_add(d, PST_SPP_READ, PST_AS_SCM, PST_SCM_GRANTS, (uint8_t *)d->grants,
              PST_DEBUGGER_TEXT - 1);
}

static void ask_for_spaces(struct pst_debugger *d)
{
    uint32_t spaces = d->config->spaces & pst_peek_u32(d->words[1]);
    setup_begin(d);
    setup_write(d, PST_SPC_AS_AVAIL_REQ_SET, spaces);
    setup_read(d, PST_SPC_AS_AVAIL_STAT);
    setup_write(d, PST_SPC_AS_EN_SET, spaces);
    setup_read(d, PST_SPC_AS_EN_STAT);
}

/* In a session: what SPDM has under way, and a heartbeat when none of our records was sent for half
 * its period. False: nothing more is to be done now. */
static bool keep_alive(struct pst_debugger *d)
{
    if (pump_spdm(d) || d->state == PST_DBG_CLOSED) {
        return false;
    }
    if (pst_requester_result(&d->requester, &d->peer_error) != PST_OK) {
        close_session(d, PST_ERR_CLOSED); /* a heartbeat that was not answered as it must be */
        return false;
    }
    uint8_t period = pst_requester_heartbeat_s(&d->requester, d->record.session_id);
    if (period > 0 && now_ms(d) - d->sent_ms >= (uint64_t)period * 500) {
        start_op(d, &(struct pst_op){.kind = PST_OP_HEARTBEAT, .context = d->record.session_id});
        (void)(d->state != PST_DBG_CLOSED && pump_spdm(d));
        return false;
    }
    return true;
}

static bool step_enable(struct pst_debugger *d)
{
    if (d->step > 0 && (!keep_alive(d) || d->setup_left > 0)) {
        return false; /* opening a space may take longer than a heartbeat */
    }
    if (d->step > 0 && d->setup_err != PST_OK) {
        close_session(d, d->setup_err);
        return false;
    }
    switch (d->step++) {
    case 0:
        ask_about_session(d);
        return true;
    case 1:
        take_text(d->who, &d->setup[2]);
        take_text(d->grants, &d->setup[3]);
        if (d->who[0] != '\0') {
            close_session(d, strncmp(d->who, "held by", 7) == 0 ? PST_ERR_BUSY : PST_ERR_DENIED);
            return false;
        }
        ask_for_spaces(d);
        return true;
    default:
        d->enabled = (uint8_t)pst_peek_u32(d->words[3]);
        set_state(d, PST_DBG_READY);
        release_waiting(d);
        return true;
    }
}

/* Around a key update nothing else is in flight: operations wait, and so do the TS's events. */
static bool step_rekey(struct pst_debugger *d)
{
    const struct pst_op update = {
        .kind = PST_OP_KEY_UPDATE, .context = d->record.session_id, .all = true};

    switch (d->step) {
    case 0:
        setup_begin(d);
        pst_poke_u32(d->words[0], 1);
        setup_add(d, PST_SPP_WRITE, PST_AS_SCM, PST_SCM_HOLD, d->words[0], 4);
        break;
    case 1:
        if (d->setup_left > 0) {
            return false;
        }
        start_op(d, &update);
        break;
    case 2:
        if (pump_spdm(d) || d->state == PST_DBG_CLOSED) {
            return false;
        }
        if (pst_requester_result(&d->requester, &d->peer_error) != PST_OK) {
            close_session(d, PST_ERR_LIMIT);
            return false;
        }
        setup_begin(d);
        pst_poke_u32(d->words[0], 0);
        setup_add(d, PST_SPP_WRITE, PST_AS_SCM, PST_SCM_HOLD, d->words[0], 4);
        break;
    default:
        if (d->setup_left > 0) {
            return false;
        }
        d->rekeying = false;
        d->step = 0;
        release_waiting(d);
        return true;
    }
    d->step++;
    return true;
}

static void end_in_order(struct pst_debugger *d)
{
    const struct pst_op end = {.kind = PST_OP_END_SESSION, .context = d->record.session_id};
    d->rekeying = false;
    fail_waiting(d, PST_ERR_CLOSED);
    set_state(d, PST_DBG_ENDING);
    start_op(d, &end);
}

static bool is_quiet(const struct pst_debugger *d)
{
    return !d->exchanging && d->client.first == NULL && d->client.flights == 0;
}

static bool step_ready(struct pst_debugger *d)
{
    if (d->rekeying && (d->step > 0 || is_quiet(d))) {
        return step_rekey(d);
    }
    if (!keep_alive(d)) {
        return false;
    }
    if (d->stopping) {
        end_in_order(d);
        return true;
    }
    if (!d->rekeying && pst_record_left(&d->record) <= REKEY_SPARE) {
        d->rekeying = true; /* heartbeats go on until what is in flight is over */
        d->step = 0;
        return true;
    }
    return false;
}

static bool step_ending(struct pst_debugger *d)
{
    if (pump_spdm(d) || d->state == PST_DBG_CLOSED) {
        return false;
    }
    close_session(d, PST_OK);
    return false;
}

static bool step(struct pst_debugger *d)
{
    switch (d->state) {
    case PST_DBG_CONNECTING:
        return step_bootstrap(d);
    case PST_DBG_AUTHENTICATING:
        return step_authenticate(d);
    case PST_DBG_ENABLING:
        return step_enable(d);
    case PST_DBG_READY:
        return step_ready(d);
    case PST_DBG_ENDING:
        return step_ending(d);
    case PST_DBG_IDLE:
    case PST_DBG_CLOSED:
        break;
    }
    return false;
}

static void run(struct pst_debugger *d)
{
    while (step(d)) {
    }
}

pst_err pst_debugger_start(struct pst_debugger *d, const struct pst_link_traits *traits)
{
    if (d->state != PST_DBG_IDLE) {
        return PST_ERR_STATE;
    }
    d->traits = traits;
    const struct pst_record_config record = {
        .crypto = d->spdm.crypto,
        .sends = PST_TO_RESPONDER,
        .sequence_len = traits->sequence_len,
        .window = traits->lossy,
        .limit = rekey_after(d) + REKEY_SPARE,
    };
    PST_TRY(pst_record_init(&d->record, &record));
    start_client(d, FIRST_CREDIT);
    set_state(d, PST_DBG_CONNECTING);
    run(d);
    return PST_OK;
}

static pst_err receive_record(struct pst_debugger *d, uint8_t *msg, size_t len)
{
    struct pst_bytes batch;
    pst_key_phase phase;
    pst_err err = pst_record_open(&d->record, msg, len, &batch, &phase);
    if (err == PST_OK) {
        return pst_spp_client_receive(&d->client, batch.at, batch.len);
    }
    /* spec: design, "A bad tag" */
    bool tolerated = (d->traits->shared || d->traits->lossy) && err != PST_ERR_LIMIT;
    return tolerated ? PST_OK : err;
}

pst_err pst_debugger_receive(struct pst_debugger *d, uint8_t kind, uint8_t *msg, size_t len)
{
    pst_err err = PST_OK;

    if (d->state == PST_DBG_IDLE || d->state == PST_DBG_CLOSED) {
        return PST_ERR_CLOSED;
    }
    if (kind == PST_LINK_RECORD) {
        err = receive_record(d, msg, len);
    } else if (kind == PST_LINK_CLEAR && !d->protected_) {
        err = pst_spp_client_receive(&d->client, msg, len);
    } /* a clear message in a session means nothing and changes nothing */
    if (err != PST_OK) {
        close_session(d, err);
        return err;
    }
    run(d);
    return PST_OK;
}

size_t pst_debugger_output(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap)
{
    run(d);
    if (d->state == PST_DBG_IDLE || d->state == PST_DBG_CLOSED) {
        return 0;
    }
    bool record = d->protected_;
    size_t head = record ? pst_record_head(&d->record) : 0;
    size_t tail = record ? PST_TAG_LEN : 0;
    cap = cap < d->traits->mtu ? cap : d->traits->mtu;
    if (cap <= head + tail) {
        return 0;
    }
    size_t room = cap - head - tail;
    if (record && room > PST_RECORD_MAX_PAYLOAD) {
        room = PST_RECORD_MAX_PAYLOAD;
    }
    size_t len = pst_spp_client_batch(&d->client, out + head, room);
    if (len == 0) {
        return 0;
    }
    if (record) {
        pst_err err = pst_record_seal(&d->record, out, cap, len, 0, &len);
        if (err != PST_OK) {
            close_session(d, err);
            return 0;
        }
    }
    *kind = record ? PST_LINK_RECORD : PST_LINK_CLEAR;
    d->sent_ms = now_ms(d);
    if (d->exchanging && !d->handed && d->spdm_read.begun) {
        d->handed = true;
        pst_requester_sent(&d->requester);
    }
    return len;
}

uint64_t pst_debugger_poll(struct pst_debugger *d)
{
    uint32_t limit = d->config->answer_ms > 0 ? d->config->answer_ms : DEFAULT_ANSWER_MS;

    if (d->state == PST_DBG_IDLE || d->state == PST_DBG_CLOSED) {
        return UINT64_MAX;
    }
    bool setting_up = (d->state != PST_DBG_READY || d->rekeying) && d->setup_left > 0;
    if ((d->exchanging && now_ms(d) - d->asked_ms > limit) ||
        (setting_up && now_ms(d) - d->setup_ms > limit)) {
        close_session(d, PST_ERR_TIMEOUT);
        return UINT64_MAX;
    }
    run(d);
    uint64_t wait = pst_requester_wait(&d->requester);
    return wait > 0 && wait < 250 ? wait : 250;
}

void pst_debugger_link_down(struct pst_debugger *d)
{
    close_session(d, d->state == PST_DBG_ENDING ? PST_OK : PST_ERR_IO);
}

pst_debugger_state_id pst_debugger_state(const struct pst_debugger *d)
{
    return d->state;
}

pst_err pst_debugger_why(const struct pst_debugger *d)
{
    return d->why;
}

void pst_debugger_stop(struct pst_debugger *d)
{
    d->stopping = true;
    if (d->state != PST_DBG_READY && d->state != PST_DBG_ENDING) {
        close_session(d, PST_OK);
        return;
    }
    run(d);
}

void pst_debugger_wipe(struct pst_debugger *d)
{
    if (d->config == NULL) {
        return;
    }
    close_session(d, PST_ERR_CLOSED);
    pst_requester_wipe(&d->requester);
}

static void submit(struct pst_debugger *d, struct pst_spp_op *op)
{
    op->result = PST_PENDING;
    op->next = NULL;
    if (d->state == PST_DBG_CLOSED || d->state == PST_DBG_ENDING) {
        op->result = PST_ERR_CLOSED;
        if (op->done != NULL) {
            op->done(op->ctx, op);
        }
    } else if (d->state != PST_DBG_READY || d->rekeying) {
        *d->waiting_end = op;
        d->waiting_end = &op->next;
    } else {
        pst_spp_client_submit(&d->client, op);
    }
}

void pst_debugger_read(struct pst_debugger *d, struct pst_spp_op *op)
{
    op->opcode = PST_SPP_READ;
    submit(d, op);
}

void pst_debugger_write(struct pst_debugger *d, struct pst_spp_op *op)
{
    op->opcode = PST_SPP_WRITE;
    op->urgent = op->space == PST_AS_RUN && op->address == PST_RUN_INTERRUPT;
    submit(d, op);
}

static const char *name_of(const struct pst_algorithm *row)
{
    return row != NULL ? row->name : "none";
}

void pst_debugger_info(const struct pst_debugger *d, struct pst_session_info *info)
{
    const struct pst_spdm *c = &d->requester.spdm;
    *info = (struct pst_session_info){
        .device = pst_requester_peer(&d->requester),
        .spdm_minor = c->minor,
        .signature = name_of(pst_sig_row((pst_sig_id)c->rsp_sig)),
        .peer_signature = name_of(pst_sig_row((pst_sig_id)c->req_sig)),
        .exchange = name_of(pst_dh_row((pst_dh_id)c->dh)),
        .hash = name_of(pst_hash_row((pst_hash_id)c->hash)),
        .aead = name_of(pst_aead_row((pst_aead_id)c->aead)),
        .encrypted = d->record.encrypt,
        .session_id = d->record.session_id,
        .spaces = d->enabled,
    };
}
