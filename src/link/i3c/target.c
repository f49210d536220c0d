/* I3C, the target's side. */
#include <string.h>

#include "link/i3c/pipe.h"

/* spec: the values that public clients of Debug-over-I3C accept; their bits are not public. */
static const uint8_t capabilities[PST_I3C_STATUS_LEN] = {0x10, 0x10, 0x31, 0x00};
#define STATUS_STARTED 0x0B

static bool is_started(const struct pst_i3c_target *t)
{
    return (t->started >> t->port & 1) != 0;
}

/* Forgets what was under way. The owner is told if something had come in. */
static void restart(struct pst_i3c_target *t, uint8_t stream)
{
    t->ended = t->ended || t->live;
    t->live = t->told = t->refused = t->overflow = false;
    psti_i3c_pipe_begin(&t->pipe, t->port == PST_I3C_PORT_SPP, stream);
}

static void reset(struct pst_i3c_target *t)
{
    t->port = PST_I3C_PORT_SPP;
    t->mode = PST_I3C_POLLING;
    t->started = 0;
    t->armed = false;
    restart(t, 0);
}

pst_err pst_i3c_target_init(struct pst_i3c_target *t, const struct pst_i3c_target_config *config)
{
    if (config->ports == 0 || config->ports > PST_I3C_PORTS ||
        !psti_i3c_buffers_ok(&config->buffers)) {
        return PST_ERR_ARGUMENT;
    }
    memset(t, 0, sizeof *t);
    t->config = *config;
    psti_i3c_pipe_init(&t->pipe, &config->buffers);
    reset(t);
    return PST_OK;
}

static pst_err configure(struct pst_i3c_target *t, uint8_t mode)
{
    if (mode != PST_I3C_POLLING && mode != PST_I3C_INTERRUPT) {
        return PST_ERR_UNSUPPORTED;
    }
    t->mode = mode;
    return PST_OK;
}

static pst_err use_port(struct pst_i3c_target *t, uint8_t opcode, uint8_t port)
{
    if (port >= t->config.ports) {
        return PST_ERR_UNSUPPORTED;
    }
    if (opcode == PST_I3C_START) {
        t->started = (uint8_t)(t->started | 1U << port);
    } else if (port != t->port) {
        t->port = port;
        restart(t, 0);
    }
    return PST_OK;
}

static pst_err on_opcode(struct pst_i3c_target *t, uint8_t opcode, const uint8_t *data, size_t len)
{
    if (opcode != PST_I3C_CONFIGURE && opcode != PST_I3C_START && opcode != PST_I3C_SELECT) {
        return PST_ERR_UNSUPPORTED;
    }
    if (len != 1) {
        return PST_ERR_DECODE;
    }
    return opcode == PST_I3C_CONFIGURE ? configure(t, data[0]) : use_port(t, opcode, data[0]);
}

pst_err pst_i3c_target_ccc(struct pst_i3c_target *t, uint8_t code, uint8_t defining,
                           const uint8_t *data, size_t len)
{
    t->armed = false; /* spec: I3C, a reset action is void after the next START */
    switch (code) {
    case PST_I3C_DBGOPCODE:
        return on_opcode(t, defining, data, len);
    case PST_I3C_DBGACTION:
    case PST_I3C_DBGACTION_ALL:
        if (defining != PST_I3C_CLEAR) {
            return PST_ERR_UNSUPPORTED;
        }
        if (len != 0) {
            return PST_ERR_DECODE;
        }
        restart(t, 0);
        return PST_OK;
    case PST_I3C_RSTACT:
    case PST_I3C_RSTACT_ALL:
        t->armed = defining == PST_I3C_RESET;
        return t->armed ? PST_OK : PST_ERR_UNSUPPORTED;
    default:
        return PST_ERR_UNSUPPORTED;
    }
}

static pst_err read_opcode(const struct pst_i3c_target *t, uint8_t opcode,
                           uint8_t out[PST_I3C_STATUS_LEN], size_t *len)
{
    switch (opcode) {
    case PST_I3C_CAPABILITIES:
        memcpy(out, capabilities, sizeof capabilities);
        *len = sizeof capabilities;
        return PST_OK;
    case PST_I3C_START:
        memset(out, 0, PST_I3C_STATUS_LEN);
        out[0] = t->started != 0 ? STATUS_STARTED : PST_I3C_STATUS_STOPPED;
        *len = PST_I3C_STATUS_LEN;
        return PST_OK;
    case PST_I3C_SELECT:
        out[0] = t->port;
        *len = 1;
        return PST_OK;
    default:
        return PST_ERR_UNSUPPORTED;
    }
}

pst_err pst_i3c_target_ccc_read(struct pst_i3c_target *t, uint8_t code, uint8_t defining,
                                uint8_t out[PST_I3C_STATUS_LEN], size_t *len)
{
    t->armed = false;
    if (code == PST_I3C_DBGOPCODE) {
        return read_opcode(t, defining, out, len);
    }
    if (code != PST_I3C_RSTACT || defining != PST_I3C_RESET_TIME) {
        return PST_ERR_UNSUPPORTED;
    }
    out[0] = t->config.reset_time;
    *len = 1;
    return PST_OK;
}

bool pst_i3c_target_ready(struct pst_i3c_target *t)
{
    const bool ready = is_started(t) && psti_i3c_pipe_has_room(&t->pipe);

    t->refused = t->refused || (is_started(t) && !ready);
    return ready;
}

static pst_err write_plain(struct pst_i3c_target *t, const uint8_t *data, size_t len)
{
    PST_TRY(psti_i3c_pipe_take_plain(&t->pipe, data, len));
    t->live = true;
    return PST_OK;
}

static pst_err write_fragment(struct pst_i3c_target *t, const uint8_t *data, size_t len)
{
    struct pst_i3c_fragment f;

    PST_TRY(psti_i3c_fragment_get(data, len, &f));
    if (f.stream == 0) {
        return PST_ERR_DECODE;
    }
    /* A repeated OPEN, sent because its answer was lost, does not start a new stream. */
    if ((f.flags & PST_I3C_OPEN) != 0 && f.stream != t->pipe.id) {
        restart(t, f.stream);
    }
    if (f.stream != t->pipe.id) {
        return PST_ERR_DECODE;
    }
    t->live = true;
    const bool had_sent = t->pipe.sent > 0;
    const pst_err err = psti_i3c_pipe_take(&t->pipe, &f);
    if (had_sent && psti_i3c_pipe_has_data(&t->pipe)) {
        t->told = false;
    }
    /* Bytes out of sequence are no error: our acknowledgement tells the DTS which come next. */
    return err == PST_WANT_MORE ? PST_OK : err;
}

pst_err pst_i3c_target_write(struct pst_i3c_target *t, const uint8_t *data, size_t len)
{
    t->armed = false;
    if (!is_started(t)) {
        return PST_ERR_STATE;
    }
    if (len > PST_I3C_MAX) {
        t->overflow = true;
        return PST_ERR_DECODE;
    }
    const pst_err err = t->pipe.plain ? write_plain(t, data, len) : write_fragment(t, data, len);
    t->refused = t->refused || err == PST_ERR_BUSY;
    return err;
}

static size_t read_plain(struct pst_i3c_target *t, uint8_t out[PST_I3C_MAX])
{
    const struct pst_bytes packet = psti_i3c_pipe_peek(&t->pipe);

    if (packet.len > 0) {
        memcpy(out, packet.at, packet.len);
    }
    psti_i3c_pipe_drop(&t->pipe);
    t->told = false;
    return packet.len;
}

size_t pst_i3c_target_read(struct pst_i3c_target *t, uint8_t out[PST_I3C_MAX])
{
    if (!is_started(t)) {
        return 0;
    }
    if (t->pipe.plain) {
        return read_plain(t, out);
    }
    const size_t len = psti_i3c_pipe_put(&t->pipe, t->pipe.id == 0 ? PST_I3C_NONE : 0, out);
    /* While there is more, the MORE flag says so and no IBI is needed. */
    if (!psti_i3c_pipe_has_data(&t->pipe)) {
        t->told = false;
    }
    return len;
}

size_t pst_i3c_target_ibi(const struct pst_i3c_target *t, uint8_t out[2])
{
    if (!is_started(t) || t->mode != PST_I3C_INTERRUPT) {
        return 0;
    }
    if (t->overflow || (t->refused && psti_i3c_pipe_has_room(&t->pipe))) {
        out[0] = PST_I3C_IBI_STATUS;
        out[1] = t->overflow ? PST_I3C_IBI_OVERFLOW : PST_I3C_IBI_READY;
        return 2;
    }
    if (t->told || !psti_i3c_pipe_has_data(&t->pipe)) {
        return 0;
    }
    out[0] = PST_I3C_IBI_DATA;
    out[1] = PST_I3C_IBI_READY;
    return 2;
}

void pst_i3c_target_ibi_done(struct pst_i3c_target *t, const uint8_t ibi[2])
{
    if (ibi[0] == PST_I3C_IBI_DATA) {
        t->told = true;
    } else if (ibi[1] == PST_I3C_IBI_OVERFLOW) {
        t->overflow = false;
    } else {
        t->refused = false;
    }
}

bool pst_i3c_target_pattern(struct pst_i3c_target *t)
{
    const bool ours = t->armed;

    if (ours) {
        reset(t);
    }
    return ours;
}

void pst_i3c_target_close(struct pst_i3c_target *t)
{
    if (!pst_i3c_target_is_open(t)) {
        return;
    }
    restart(t, 0);
    t->ended = false;
    t->refused = true; /* raises an IBI, so that the DTS reads and sees that there is no stream */
}
