/* serial: COBS and CRC-32C on a serial line (postern/serial.h). */
#include <stdio.h>

#include "posix/links/line/line.h"
#include "postern/links/serial.h"

/* Longer frames have less overhead, but lose more where bytes are lost. */
static uint16_t default_mtu(uint32_t baud)
{
    static const struct {
        uint32_t most;
        uint16_t mtu;
    } table[] = {
        {57600,      256 },
        {460800,     512 },
        {1000000,    1024},
        {UINT32_MAX, 2048},
    };
    size_t i = 0;

    while (baud > table[i].most) {
        i++;
    }
    return baud == 0 ? PST_SERIAL_MOST_MTU : table[i].mtu;
}

static pst_err options(const struct pst_address *a, struct pst_line_setup *s, char *why,
                       size_t why_cap)
{
    static const char *const keys[] = {"baud", "flow", "mtu", NULL};

    (void)s;
    return pst_address_options(a, keys, why, why_cap);
}

static struct pst_reliable_timing timing(const struct pst_line_setup *s)
{
    return pst_serial_timing(s->baud, s->mtu);
}

static size_t work_len(const struct pst_line_setup *s)
{
    return PST_SERIAL_WORK(s->mtu);
}

static pst_err open_engine(void *engine, const struct pst_line_setup *s,
                           const struct pst_reliable_config *link, uint8_t *work, size_t len,
                           uint64_t now_ms)
{
    const struct pst_serial_config cfg = {.link = *link,
                                          .listens = s->listens,
                                          .door = s->door,
                                          .baud = s->baud,
                                          .work = work,
                                          .work_len = len};

    return pst_serial_open(engine, &cfg, now_ms);
}

static void input(void *engine, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
    pst_serial_input(engine, bytes, len, now_ms);
}

static size_t output(void *engine, uint8_t *out, size_t cap, uint64_t now_ms)
{
    return pst_serial_output(engine, out, cap, now_ms);
}

static uint64_t wake(const void *engine)
{
    return pst_serial_wake(engine);
}

static struct pst_reliable *link_of(void *engine)
{
    return &((struct pst_serial *)engine)->link;
}

static void heard(const void *engine, uint64_t *good, uint64_t *bad)
{
    const struct pst_serial *s = engine;

    *good = s->in.frames - s->damaged;
    *bad = (uint64_t)s->damaged + s->in.malformed;
}

static const struct pst_line_kind kind = {
    .name = "serial",
    .traits = &pst_serial_traits,
    .engine_size = sizeof(struct pst_serial),
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

struct wish {
    void (*found)(void *ctx, const char *link, const char *what);
    void *ctx;
};

static void on_port(void *ctx, const char *device, const char *what)
{
    const struct wish *w = ctx;
    char link[PST_ADDRESS_TEXT];

    snprintf(link, sizeof link, "serial:%s", device);
    w->found(w->ctx, link, what);
}

static void present(void (*found)(void *ctx, const char *link, const char *what), void *ctx)
{
    struct wish w = {found, ctx};

    pst_tty_list(on_port, &w);
}

const struct pst_scheme pst_scheme_serial = {
    .name = "serial",
    .form = "serial:DEVICE[,baud=N][,flow=rtscts][,mtu=N]",
    .summary = "serial line; default 115200 baud, none for a pseudo-terminal or unix:PATH",
    .traits = &pst_serial_traits,
    .exclusive = true,
    .check = check,
    .connect = connect_to,
    .listen = listen_at,
    .present = present,
};
