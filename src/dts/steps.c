/* The steps of the DTS, from a link to a session with enabled access spaces, and back. CONNECTING
 * sets up the bootstrap engine; AUTHENTICATING runs SPDM operations one after another, the last of
 * which opens the session; ENABLING asks for grants and access spaces in the session's own engine;
 * READY carries the caller's operations, heartbeats and key updates. */
#include <string.h>

#include "dts/dts.h"
#include "spdm/codes.h"

#define FIRST_CREDIT 256 /* until the TS reports its own */
#define DEFAULT_REKEY_AFTER 8000000u

/* --- setup: reads and writes of registers, sent as one batch --- */

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
    d->setup_ms = psti_dts_now(d);
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

/* --- the steps of each state; true: there was something to do --- */

static const pst_op_kind opening[] = {PST_OP_CONNECT, PST_OP_DIGESTS, PST_OP_CERTIFICATE,
                                      PST_OP_SESSION};

static bool enter_session(struct pst_debugger *d)
{
    size_t credit = d->client.credit;
    psti_dts_start_client(d, credit); /* the session has an engine of its own */
    d->protected_ = true;
    psti_dts_set_state(d, PST_DEBUGGER_ENABLING);
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
        psti_dts_close(d, d->setup_err);
    } else if (pst_peek_u32(d->words[1]) != PST_PROFILE_VERSION) {
        psti_dts_close(d, PST_ERR_PROFILE);
    } else {
        psti_dts_start_client(d, pst_peek_u32(d->words[2]));
        psti_dts_set_state(d, PST_DEBUGGER_AUTHENTICATING);
    }
    return true;
}

static bool step_authenticate(struct pst_debugger *d)
{
    if (psti_dts_pump(d) || d->state == PST_DEBUGGER_CLOSED) {
        return false;
    }
    if (d->step > 0) {
        pst_err err = pst_requester_result(&d->requester, &d->peer_error);
        if (err != PST_OK) {
            bool busy = err == PST_ERR_PEER && d->peer_error == PST_SPDM_BUSY;
            psti_dts_close(d, err == PST_PENDING ? PST_ERR_STATE : busy ? PST_ERR_BUSY : err);
            return false;
        }
    }
    if (d->step == sizeof opening / sizeof *opening) {
        return enter_session(d);
    }
    psti_dts_start_op(d, &(struct pst_op){.kind = opening[d->step], .context = PST_SPDM_CLEAR});
    d->step++;
    return d->state != PST_DEBUGGER_CLOSED;
}

static void take_text(char *out, const struct pst_spp_op *op)
{
    uint32_t len = op->moved < PST_DEBUGGER_TEXT - 1 ? op->moved : PST_DEBUGGER_TEXT - 1;
    out[len] = '\0';
    for (uint32_t i = 0; i < len; i++) { /* no escape sequences from a compromised TS */
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
    if (d->native.on) { /* there was no bootstrap engine to ask */
        setup_read(d, PST_SPC_PROFILE);
        setup_read(d, PST_SPC_CREDIT);
    }
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

/* In a session: the SPDM operation under way; a heartbeat if nothing was sent for half its period;
 * on a native link, whatever else is to be sent. False: there is nothing more to do now. */
static bool keep_alive(struct pst_debugger *d)
{
    if (psti_dts_pump(d) || d->state == PST_DEBUGGER_CLOSED) {
        return false;
    }
    if (pst_requester_result(&d->requester, &d->peer_error) != PST_OK) {
        psti_dts_close(d, PST_ERR_CLOSED); /* a heartbeat without a valid answer */
        return false;
    }
    uint8_t period = pst_requester_heartbeat_s(&d->requester, d->record.session_id);
    if (period > 0 && psti_dts_now(d) - d->sent_ms >= (uint64_t)period * 500) {
        psti_dts_start_op(
            d, &(struct pst_op){.kind = PST_OP_HEARTBEAT, .context = d->record.session_id});
        (void)(d->state != PST_DEBUGGER_CLOSED && psti_dts_pump(d));
        return false;
    }
    if (d->native.on && psti_dts_native_begin(d)) {
        (void)(d->state != PST_DEBUGGER_CLOSED && psti_dts_pump(d));
        return false;
    }
    return true;
}

/* On other links the bootstrap engine has told this. */
static bool take_engine(struct pst_debugger *d)
{
    const uint32_t credit = pst_peek_u32(d->words[5]);

    if (pst_peek_u32(d->words[4]) != PST_PROFILE_VERSION) {
        psti_dts_close(d, PST_ERR_PROFILE);
        return false;
    }
    d->client.credit = credit > d->client.credit ? credit : d->client.credit;
    return true;
}

static bool step_enable(struct pst_debugger *d)
{
    if (d->step > 0 && (!keep_alive(d) || d->setup_left > 0)) {
        return false; /* opening a space may take longer than a heartbeat period */
    }
    if (d->step > 0 && d->setup_err != PST_OK) {
        psti_dts_close(d, d->setup_err);
        return false;
    }
    switch (d->step++) {
    case 0:
        ask_about_session(d);
        return true;
    case 1:
        take_text(d->who, &d->setup[2]);
        take_text(d->grants, &d->setup[3]);
        if (d->native.on && !take_engine(d)) {
            return false;
        }
        if (d->who[0] != '\0') {
            psti_dts_close(d, strncmp(d->who, "held by", 7) == 0 ? PST_ERR_BUSY : PST_ERR_DENIED);
            return false;
        }
        ask_for_spaces(d);
        return true;
    default:
        d->enabled = (uint8_t)pst_peek_u32(d->words[3]);
        psti_dts_set_state(d, PST_DEBUGGER_READY);
        psti_dts_release_waiting(d);
        return true;
    }
}

/* During a key update nothing else is in flight: operations wait, and so do events of the TS. */
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
        psti_dts_start_op(d, &update);
        break;
    case 2:
        if (psti_dts_pump(d) || d->state == PST_DEBUGGER_CLOSED) {
            return false;
        }
        if (pst_requester_result(&d->requester, &d->peer_error) != PST_OK) {
            psti_dts_close(d, PST_ERR_LIMIT);
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
        psti_dts_release_waiting(d);
        return true;
    }
    d->step++;
    return true;
}

static void end_in_order(struct pst_debugger *d)
{
    const struct pst_op end = {.kind = PST_OP_END_SESSION, .context = d->record.session_id};
    d->rekeying = false;
    psti_dts_fail_waiting(d, PST_ERR_CLOSED);
    psti_dts_set_state(d, PST_DEBUGGER_ENDING);
    psti_dts_start_op(d, &end);
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
    if (!d->native.on && !d->rekeying && pst_record_left(&d->record) <= REKEY_SPARE) {
        d->rekeying = true; /* heartbeats continue until what is in flight is answered */
        d->step = 0;
        return true;
    }
    return false;
}

static bool step_ending(struct pst_debugger *d)
{
    if (psti_dts_pump(d) || d->state == PST_DEBUGGER_CLOSED) {
        return false;
    }
    psti_dts_close(d, PST_OK);
    return false;
}

static bool step(struct pst_debugger *d)
{
    switch (d->state) {
    case PST_DEBUGGER_CONNECTING:
        return step_bootstrap(d);
    case PST_DEBUGGER_AUTHENTICATING:
        return step_authenticate(d);
    case PST_DEBUGGER_ENABLING:
        return step_enable(d);
    case PST_DEBUGGER_READY:
        return step_ready(d);
    case PST_DEBUGGER_ENDING:
        return step_ending(d);
    case PST_DEBUGGER_IDLE:
    case PST_DEBUGGER_CLOSED:
        break;
    }
    return false;
}

void psti_dts_run(struct pst_debugger *d)
{
    while (step(d)) {
    }
}

/* --- the beginning --- */

static uint64_t rekey_after(const struct pst_debugger *d)
{
    return d->config->rekey_after > 0 ? d->config->rekey_after : DEFAULT_REKEY_AFTER;
}

pst_err psti_dts_start(struct pst_debugger *d, const struct pst_link_traits *traits, bool native)
{
    if (d->state != PST_DEBUGGER_IDLE) {
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
    if (native) {
        psti_dts_native_start(d);
    }
    psti_dts_start_client(d, FIRST_CREDIT);
    psti_dts_set_state(d, native ? PST_DEBUGGER_AUTHENTICATING : PST_DEBUGGER_CONNECTING);
    psti_dts_run(d);
    return PST_OK;
}
