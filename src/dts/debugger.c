/* The DTS: messages in and out, and the caller's operations. They wait until READY, and while keys
 * change. */
#include "dts/dts.h"

#include <string.h>

#define DEFAULT_ANSWER_MS 10000

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

/* The device is named: any other is refused, even if its certificate is genuine. */
static pst_err check_device(void *ctx, const struct pst_peer *peer)
{
    struct pst_debugger *d = ctx;
    if (d->config->device == NULL || strcmp(d->config->device, peer->device) == 0) {
        return PST_OK;
    }
    size_t len = 0; /* for the error text: which device it is */
    for (; len < PST_MAX_NAME - 1 && peer->device[len] != '\0'; len++) {
        char c = peer->device[len];
        d->who[len] = c >= 0x20 && c < 0x7F ? c : '?';
    }
    d->who[len] = '\0';
    return PST_ERR_IDENTITY;
}

static void chain_refused(void *ctx, const struct pst_cert_refusal *refusal)
{
    struct pst_debugger *d = ctx;
    d->refusal = *refusal;
}

pst_err pst_debugger_init(struct pst_debugger *d, const struct pst_debugger_config *config)
{
    if (!psti_dts_config_fits(config)) {
        return PST_ERR_CONFIG;
    }
    memset(d, 0, sizeof *d);
    d->config = config;
    d->waiting_end = &d->waiting;
    d->request = config->mailbox;
    d->answer = config->mailbox + config->mailbox_len / 2;
    d->half = config->mailbox_len / 2;
    d->spdm = *config->spdm;
    d->spdm.keys = (struct pst_key_port){.ctx = d, .place = place, .drop = drop};
    d->spdm.hooks = (struct pst_spdm_hooks){
        .ctx = d,
        .peer = check_device,
        .chain_refused = chain_refused,
    };
    return pst_requester_init(&d->requester, &d->spdm);
}

pst_err pst_debugger_start(struct pst_debugger *d, const struct pst_link_traits *traits)
{
    return psti_dts_start(d, traits, traits->native);
}

static pst_err receive_record(struct pst_debugger *d, uint8_t *msg, size_t len)
{
    struct pst_bytes batch;
    pst_err err = psti_dts_open_record(d, msg, len, &batch);
    if (err == PST_WANT_MORE) {
        return PST_OK;
    }
    return err == PST_OK ? pst_spp_client_receive(&d->client, batch.at, batch.len) : err;
}

pst_err pst_debugger_receive(struct pst_debugger *d, uint8_t kind, uint8_t *msg, size_t len)
{
    pst_err err = PST_OK;

    if (d->state == PST_DEBUGGER_IDLE || d->state == PST_DEBUGGER_CLOSED) {
        return PST_ERR_CLOSED;
    }
    if (d->native.on) {
        err = psti_dts_native_receive(d, kind, msg, len);
    } else if (kind == PST_LINK_RECORD) {
        err = receive_record(d, msg, len);
    } else if (kind == PST_LINK_CLEAR && !d->protected_) {
        err = pst_spp_client_receive(&d->client, msg, len);
    } /* a clear message in a session is ignored */
    if (err != PST_OK) {
        psti_dts_close(d, err);
        return err;
    }
    psti_dts_run(d);
    return PST_OK;
}

static bool in_session(const struct pst_debugger *d)
{
    return d->state == PST_DEBUGGER_ENABLING || d->state == PST_DEBUGGER_READY;
}

/* Only one heartbeat is in flight, and its answer may come after those to many operations. An empty
 * record shows the TS meanwhile that the DTS is alive. None is sent while keys change. */
static bool owes_sign_of_life(const struct pst_debugger *d)
{
    return in_session(d) && d->exchanging && !(d->rekeying && d->step > 0) &&
           pst_requester_heartbeat_s(&d->requester, d->record.session_id) > 0 &&
           psti_dts_now(d) - d->sent_ms >=
               500u * (uint64_t)pst_requester_heartbeat_s(&d->requester, d->record.session_id);
}

size_t pst_debugger_output(struct pst_debugger *d, uint8_t *kind, uint8_t *out, size_t cap)
{
    psti_dts_run(d);
    if (d->state == PST_DEBUGGER_IDLE || d->state == PST_DEBUGGER_CLOSED) {
        return 0;
    }
    if (d->native.on) {
        return psti_dts_native_output(d, kind, out, cap);
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
    if (len == 0 && !owes_sign_of_life(d)) {
        return 0;
    }
    if (record) {
        pst_err err = pst_record_seal(&d->record, out, cap, len, 0, &len);
        if (err != PST_OK) {
            psti_dts_close(d, err);
            return 0;
        }
    }
    *kind = record ? PST_LINK_RECORD : PST_LINK_CLEAR;
    d->sent_ms = psti_dts_now(d);
    if (d->exchanging && !d->handed && d->spdm_read.begun) {
        d->handed = true;
        pst_requester_sent(&d->requester);
    }
    return len;
}

uint64_t pst_debugger_poll(struct pst_debugger *d)
{
    uint32_t limit = d->config->answer_ms > 0 ? d->config->answer_ms : DEFAULT_ANSWER_MS;

    if (d->state == PST_DEBUGGER_IDLE || d->state == PST_DEBUGGER_CLOSED) {
        return UINT64_MAX;
    }
    bool setting_up = (d->state != PST_DEBUGGER_READY || d->rekeying) && d->setup_left > 0;
    /* A TS that still answers earlier operations is alive. */
    const uint64_t since = in_session(d) && d->heard_ms > d->asked_ms ? d->heard_ms : d->asked_ms;
    if ((d->exchanging && psti_dts_now(d) - since > limit) ||
        (setting_up && psti_dts_now(d) - d->setup_ms > limit)) {
        psti_dts_close(d, PST_ERR_TIMEOUT);
        return UINT64_MAX;
    }
    psti_dts_data_watch(d);
    psti_dts_run(d);
    uint64_t wait = pst_requester_wait(&d->requester), now = psti_dts_now(d);
    if (d->native.on && d->data.traits == NULL && !d->exchanging) {
        uint64_t ask = d->native.poll_ms > now ? d->native.poll_ms - now : 1;
        wait = wait == 0 || ask < wait ? ask : wait;
    }
    return wait > 0 && wait < 250 ? wait : 250;
}

void pst_debugger_link_down(struct pst_debugger *d)
{
    psti_dts_close(d, d->state == PST_DEBUGGER_ENDING ? PST_OK : PST_ERR_IO);
}

pst_debugger_state_id pst_debugger_state(const struct pst_debugger *d)
{
    return d->state;
}

pst_err pst_debugger_why(const struct pst_debugger *d)
{
    return d->why;
}

const struct pst_cert_refusal *pst_debugger_refusal(const struct pst_debugger *d)
{
    return &d->refusal;
}

void pst_debugger_stop(struct pst_debugger *d)
{
    d->stopping = true;
    if (d->state != PST_DEBUGGER_READY && d->state != PST_DEBUGGER_ENDING) {
        psti_dts_close(d, PST_OK);
        return;
    }
    psti_dts_run(d);
}

void pst_debugger_wipe(struct pst_debugger *d)
{
    if (d->config == NULL) {
        return;
    }
    psti_dts_close(d, PST_ERR_CLOSED);
    pst_requester_wipe(&d->requester);
}

static void submit(struct pst_debugger *d, struct pst_spp_op *op)
{
    op->result = PST_PENDING;
    op->next = NULL;
    if (d->state == PST_DEBUGGER_CLOSED || d->state == PST_DEBUGGER_ENDING) {
        op->result = PST_ERR_CLOSED;
        if (op->done != NULL) {
            op->done(op->ctx, op);
        }
    } else if (d->state != PST_DEBUGGER_READY || d->rekeying) {
        *d->waiting_end = op;
        d->waiting_end = &op->next;
    } else {
        psti_dts_submit(d, op);
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
