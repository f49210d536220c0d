/* mctp-serial: MCTP in the frames of DSP0253 on a serial line (postern/mctp_link.h). */
#include "posix/links/line/line.h"
#include "postern/links/mctp_link.h"
#include "postern/links/serial.h"

#define CALLER_EID 8 /* the lowest EID that may be assigned */
#define LISTENER_EID 9
#define SHORT_MTU (4 * PST_MCTP_BASELINE - PST_MCTP_LINK_HEAD)
#define LONG_MTU (16 * PST_MCTP_BASELINE - PST_MCTP_LINK_HEAD)
#define FAST 1000000

/* Whole packets of the baseline, a few of them: what loses one is lost. */
static uint16_t default_mtu(uint32_t baud)
{
    return baud == 0 || baud >= FAST ? LONG_MTU : SHORT_MTU;
}

static pst_err options(const struct pst_address *a, struct pst_line_setup *s, char *why,
                       size_t why_cap)
{
    static const char *const keys[] = {"baud", "flow", "mtu", "eid", "peer", "unit", NULL};
    uint64_t eid = s->listens ? LISTENER_EID : CALLER_EID, peer = PST_MCTP_EID_NULL,
             unit = PST_MCTP_BASELINE;

    PST_TRY(pst_address_options(a, keys, why, why_cap));
    PST_TRY(pst_address_number(a, "eid", 1, PST_MCTP_EID_ALL - 1, &eid, why, why_cap));
    PST_TRY(pst_address_number(a, "peer", 0, PST_MCTP_EID_ALL - 1, &peer, why, why_cap));
    PST_TRY(
        pst_address_number(a, "unit", PST_MCTP_BASELINE, PST_MCTP_LINK_UNIT, &unit, why, why_cap));
    s->eid = (uint8_t)eid;
    s->peer = (uint8_t)peer;
    s->unit = (size_t)unit;
    return PST_OK;
}

static struct pst_reliable_timing timing(const struct pst_line_setup *s)
{
    return pst_mctp_line_timing(s->baud, s->mtu, s->unit, NULL);
}

static size_t work_len(const struct pst_line_setup *s)
{
    return PST_MCTP_LINK_WORK(s->mtu);
}

static pst_err open_engine(void *engine, const struct pst_line_setup *s,
                           const struct pst_reliable_config *link, uint8_t *work, size_t len,
                           uint64_t now_ms)
{
    struct pst_mctp_link_config cfg = {.link = *link,
                                       .listens = s->listens,
                                       .door = s->door,
                                       .eid = s->eid,
                                       .peer = s->peer,
                                       .unit = s->unit,
                                       .work = work,
                                       .work_len = len};

    (void)pst_mctp_line_timing(s->baud, s->mtu, s->unit, &cfg.pause_ms);
    return pst_mctp_line_open(engine, &cfg, s->baud, now_ms);
}

static void input(void *engine, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
    pst_mctp_line_input(engine, bytes, len, now_ms);
}

static size_t output(void *engine, uint8_t *out, size_t cap, uint64_t now_ms)
{
    return pst_mctp_line_output(engine, out, cap, now_ms);
}

static uint64_t wake(const void *engine)
{
    return pst_mctp_line_wake(engine);
}

static struct pst_reliable *link_of(void *engine)
{
    return &((struct pst_mctp_line *)engine)->mctp.link;
}

static void heard(const void *engine, uint64_t *good, uint64_t *bad)
{
    const struct pst_mctp_line *l = engine;

    *good = l->in.frames;
    *bad = l->in.damaged;
}

static const struct pst_line_kind kind = {
    .name = "mctp-serial",
    .traits = &pst_serial_traits,
    .engine_size = sizeof(struct pst_mctp_line),
    .options = options,
    .default_mtu = default_mtu,
    .timing = timing,
    .work_len = work_len,
    .open = open_engine,
    .input = input,
    .output = output,
    .wake = wake,
    .link = link_of,
    .heard = heard,
};

static pst_err check(struct pst_address *a, char *why, size_t why_cap)
{
    return pst_line_check(&kind, a, why, why_cap);
}

static pst_err connect_to(uv_loop_t *loop, const struct pst_address *to,
                          const struct pst_carrier_events *events, void *ctx,
                          struct pst_carrier **carrier, char *why, size_t why_cap)
{
    return pst_line_connect(&kind, loop, to, events, ctx, carrier, why, why_cap);
}

static pst_err listen_at(uv_loop_t *loop, const struct pst_address *at,
                         const struct pst_listener_events *events, void *ctx,
                         struct pst_listener **listener, char *why, size_t why_cap)
{
    return pst_line_listen(&kind, loop, at, events, ctx, listener, why, why_cap);
}

const struct pst_scheme pst_scheme_mctp_serial = {
    .name = "mctp-serial",
    .form = "mctp-serial:DEVICE[,baud=N][,flow=rtscts][,mtu=N][,unit=N][,eid=N][,peer=N]",
    .summary = "MCTP on a serial line (DSP0253), with retransmission inside",
    .traits = &pst_serial_traits,
    .exclusive = true,
    .check = check,
    .connect = connect_to,
    .listen = listen_at,
};
