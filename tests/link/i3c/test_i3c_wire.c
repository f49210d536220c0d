/* I3C on the wire: commands, fragments byte by byte, foreign devices, and the public TinySPP
 * vectors, unchanged, to a real SPP engine. pst-link: spp posix */
#include "link/i3c/i3c_rig.h"
#include "spp/fake_space.h"

/* Computed bit by bit from RFC 1662's polynomial. */
static uint16_t fcs(const uint8_t *at, size_t len)
{
    unsigned crc = 0xFFFF;

    for (size_t i = 0; i < 8 * len; i++) {
        const unsigned bit = at[i / 8] >> i % 8 & 1;

        crc = crc >> 1 ^ ((crc & 1) != bit ? 0x8408U : 0);
    }
    return (uint16_t)~crc;
}

static size_t fragment(uint8_t *out, uint8_t flags, uint8_t stream, uint16_t sequence, uint16_t ack,
                       const void *bytes, size_t len)
{
    out[0] = flags;
    out[1] = stream;
    pst_poke_u16(out + 2, sequence);
    pst_poke_u16(out + 4, ack);
    if (len > 0) {
        memcpy(out + 6, bytes, len);
    }
    pst_poke_u16(out + 6 + len, fcs(out, 6 + len));
    return len + 8;
}

/* A device whose answers the test chooses. */
struct stranger {
    const char *caps, *status; /* 4 bytes each */
    uint8_t port;
    unsigned resets, reads;
    bool mends; /* a reset gives it a good status */
    bool deaf;  /* always reports that it has no stream */
};

static pst_err stranger_find(void *ctx, uint64_t id, uint8_t *address)
{
    (void)ctx;
    (void)id;
    *address = 9;
    return PST_OK;
}

static pst_err stranger_ccc(void *ctx, uint8_t address, struct pst_i3c_ccc *c)
{
    struct stranger *s = ctx;

    CHECK_EQ(address, 9);
    c->read_len = c->read_cap;
    if (c->read_cap == 1) {
        c->read[0] = s->port;
    } else if (c->read_cap == 4) {
        memcpy(c->read, c->defining == PST_I3C_CAPABILITIES ? s->caps : s->status, 4);
    }
    return PST_OK;
}

static pst_err stranger_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)address;
    (void)data;
    (void)len;
    return PST_OK;
}

static pst_err stranger_read(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len)
{
    struct stranger *s = ctx;

    (void)address;
    s->reads++;
    if (s->deaf) {
        *len = fragment(out, 0x08, 0, 0, 0, NULL, 0);
        return PST_OK;
    }
    memset(out, 0x5A, cap);
    *len = cap;
    return PST_OK;
}

static pst_err stranger_reset(void *ctx, uint8_t address, uint8_t action)
{
    struct stranger *s = ctx;

    (void)address;
    CHECK_EQ(action, 0x03);
    s->resets++;
    if (s->mends) {
        s->status = "\x2B\0\0";
    }
    return PST_OK;
}

static pst_err meet(struct stranger *s, uint8_t port)
{
    const struct pst_i3c_bus bus = {
        .ctx = s,
        .find = stranger_find,
        .ccc = stranger_ccc,
        .write = stranger_write,
        .read = stranger_read,
        .reset = stranger_reset,
    };
    struct pair *p = &rig.pairs[0];
    const struct pst_i3c_debugger_config config = {
        .bus = &bus, .buffers = buffers_of(&p->dts), .port = port};

    rig.count = 0;
    CHECK_EQ(pst_i3c_debugger_init(&p->debugger, &config, rig.now), PST_OK);
    for (int i = 0; i < 3000; i++) {
        const pst_err err = turn(1);

        if (err != PST_OK || pst_i3c_debugger_is_up(&p->debugger)) {
            return err;
        }
    }
    return PST_PENDING;
}

static void test_strangers(void **state)
{
    struct stranger intel = {.caps = "\x10\x10\x31\x42", .status = "\x2B\0\0"};
    struct stranger other = {.caps = "\x10\x10\x31\x43", .status = "\x0B\0\0"};
    struct stranger ill = {.caps = "\x10\x10\x31\0", .status = "\x0B\0\1"};
    struct stranger dazed = {.caps = "\x10\x10\x31\0", .status = "\x0F\0\0", .mends = true};
    struct stranger deviant = {.caps = "\x10\x10\x31\0", .status = "\x0B\0\0", .port = 1};
    struct stranger noisy = {.caps = "\x10\x10\x31\0", .status = "\x0B\0\0", .port = 1};

    (void)state;
    start(15, false, PST_I3C_PORT_SPP);
    CHECK_EQ(meet(&intel, PST_I3C_PORT_SPP), PST_OK);
    CHECK(intel.reads <= 4); /* the drain is bounded */
    CHECK_EQ(intel.resets, 0);
    CHECK_EQ(meet(&other, PST_I3C_PORT_SPP), PST_ERR_UNSUPPORTED);
    CHECK_EQ(meet(&ill, PST_I3C_PORT_SPP), PST_ERR_PEER);
    CHECK_EQ(ill.resets, 1);
    CHECK_EQ(meet(&dazed, PST_I3C_PORT_SPP), PST_OK);
    CHECK_EQ(dazed.resets, 1);
    CHECK_EQ(meet(&deviant, PST_I3C_PORT_SPP), PST_ERR_UNSUPPORTED);
    CHECK_EQ(meet(&noisy, PST_I3C_PORT_MESSAGES), PST_ERR_TIMEOUT);
    noisy.deaf = true;
    CHECK_EQ(meet(&noisy, PST_I3C_PORT_MESSAGES), PST_ERR_TIMEOUT);
}

/* --- the SPP port --- */

/* Public exchanges of TinySPP, in an order in which a real engine answers them as printed. The
 * JTAG answers are the fake space's: what was written, inverted. */
static const struct {
    const char *command, *response;
} vectors[] = {
    {"22300000 11EE7788A5C3C3A5",  "22000000 11EE7744A5C3C3A5"},
    {"12300000 11EE7788A5C3C3A5",  "12000000 11EE7744A5C3C3A5"},
    {"32300000 11EE7788A5C3C3A5",  "32000000 11EE7744A5C3C3A5"},
    {"42300400 00000000",          "42000400 00010000"        },
    {"42300400 04000000",          "42000400 34120000"        },
    {"42300400 20000000",          "42000400 78560000"        },
    {"42300400 60000000",          "42000400 01000000"        },
    {"52300400 D8000000 01000000", "52000400"                 },
    {"42300400 D0000000",          "42000400 01000000"        },
    {"52300400 C8000000 01000000", "52000400"                 },
    {"42300400 C0000000",          "42000400 01000000"        },
    {"72300200 04100000 AABB",     "72000200"                 },
    {"82300300 24180000 010203",   "82000300 FEFDFC"          },
    {"52300400 CC000000 FFFFFFFF", "52000400"                 },
    {"42300400 C0000000",          "42000400 00000000"        },
};

struct spp_rig {
    struct pst_spp_engine engine;
    struct fake jtag;
    struct fake_gate gate;
    uint8_t queue[512];
    unsigned commands;
};

static pst_err shift(void *ctx, struct pst_access *a)
{
    struct fake *f = ctx;

    f->performed++;
    CHECK(a->write && a->len <= 3);
    for (uint32_t i = 0; a->exchange && i < a->len; i++) {
        a->data[i] ^= 0xFF;
    }
    return PST_OK;
}

static void spp_init(struct spp_rig *s)
{
    fake_init(&s->jtag);
    s->jtag.space.perform = shift;
    fake_gate_init(&s->gate);
    s->commands = 0;
    const struct pst_spp_engine_config config = {
        .spaces = {[PST_AS_JTAG] = &s->jtag.space},
        .gate = &s->gate.gate,
        .queue = s->queue,
        .queue_len = sizeof s->queue,
        .idcode = 0x1234,
        .product = 0x5678,
    };
    CHECK_EQ(pst_spp_engine_init(&s->engine, &config), PST_OK);
}

/* The firmware's loop: packets in, packets out; each command is as in the vector. */
static void spp_serve(struct spp_rig *s, struct pst_i3c_target *t)
{
    uint8_t kind, *payload, out[PST_I3C_MAX], expected[64];
    size_t len;

    if (pst_i3c_target_receive(t, &kind, &payload, &len) == PST_OK) {
        CHECK_EQ(pst_test_hex(vectors[s->commands++].command, expected, sizeof expected), len);
        CHECK_BYTES(payload, expected, len);
        CHECK_EQ(pst_spp_engine_receive(&s->engine, payload, len), PST_OK);
    }
    while ((len = pst_spp_engine_output(&s->engine, out, sizeof out)) > 0) {
        CHECK_EQ(pst_i3c_target_send(t, PST_LINK_CLEAR, out, len), PST_OK);
    }
}

static void exchange(struct spp_rig *s, size_t n)
{
    struct pair *p = &rig.pairs[0];
    uint8_t bytes[64], kind, *payload;
    size_t len = pst_test_hex(vectors[n].command, bytes, sizeof bytes);

    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, bytes, len), PST_OK);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(turn(1), PST_OK);
        spp_serve(s, &p->target->engine);
        if (pst_i3c_debugger_receive(&p->debugger, &kind, &payload, &len) != PST_OK) {
            continue;
        }
        CHECK_EQ(pst_test_hex(vectors[n].response, bytes, sizeof bytes), len);
        CHECK_BYTES(payload, bytes, len);
        CHECK_EQ(kind, PST_LINK_CLEAR);
        return;
    }
    fail_msg("it was not answered");
}

static void test_tinyspp(void **state)
{
    (void)state;
    /* Polling; IBIs; the reply inside the IBI; IBIs that never arrive; NACKs and slow transfers. */
    for (int variant = 0; variant < 5; variant++) {
        struct spp_rig s;

        start(20, variant != 0, PST_I3C_PORT_SPP);
        rig.model.along = variant == 2;
        rig.model.faults.drop_ibi = variant == 3 ? 1000 : 0;
        rig.model.faults.nack = variant == 4 ? 300 : 0;
        rig.model.faults.pend = variant == 4 ? 300 : 0;
        spp_init(&s);
        for (size_t n = 0; n < sizeof vectors / sizeof vectors[0]; n++) {
            exchange(&s, n);
            /* One write, one packet, byte for byte. */
            uint8_t bytes[64];
            CHECK_EQ(pst_test_hex(vectors[n].command, bytes, sizeof bytes), rig.model.last_len);
            CHECK_BYTES(rig.model.last_write, bytes, rig.model.last_len);
        }
        CHECK_EQ(rig.model.writes, sizeof vectors / sizeof vectors[0]);
        CHECK_EQ(s.jtag.performed, 2);
    }
}

static void test_plain_limits(void **state)
{
    uint8_t bytes[PST_I3C_MAX + 1] = {0}, ibi[2], kind, *payload;
    size_t len;

    (void)state;
    start(21, true, PST_I3C_PORT_SPP);
    struct pair *p = &rig.pairs[0];
    struct pst_i3c_target *t = &p->target->engine;
    CHECK_EQ(pst_i3c_target_write(t, bytes, 4), PST_ERR_STATE);
    CHECK(!pst_i3c_target_ready(t));
    run_until_up(1);
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_RECORD, bytes, 4), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, bytes, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, bytes, 256), PST_ERR_SPACE);
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, bytes, 255), PST_OK);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK(!pst_i3c_target_ready(t));
    CHECK_EQ(pst_i3c_target_write(t, bytes, 4), PST_ERR_BUSY);
    CHECK_EQ(pst_i3c_target_ibi(t, ibi), 0);
    CHECK_EQ(pst_i3c_target_receive(t, &kind, &payload, &len), PST_OK);
    CHECK_EQ(len, 255);
    CHECK_EQ(pst_i3c_target_ibi(t, ibi), 2);
    CHECK_BYTES(ibi, "\x5C\x00", 2);
    pst_i3c_target_ibi_done(t, ibi);
    CHECK_EQ(pst_i3c_target_ibi(t, ibi), 0);
    /* Longer than the maximum transfer: the DTS gets an error that data was lost. */
    CHECK_EQ(pst_i3c_target_write(t, bytes, 256), PST_ERR_DECODE);
    CHECK_EQ(pst_i3c_target_ibi(t, ibi), 2);
    CHECK_BYTES(ibi, "\x5C\xFF", 2);
    CHECK_EQ(run_until_error(), PST_ERR_LIMIT);

    start(22, true, PST_I3C_PORT_SPP);
    run_until_up(1);
    rig.model.faults.broken = 1000;
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, bytes, 4), PST_OK);
    CHECK_EQ(run_until_error(), PST_ERR_IO);

    start(23, true, PST_I3C_PORT_SPP);
    run_until_up(1);
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, bytes, 4), PST_OK);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    rig.model.faults.broken = 1000;
    CHECK_EQ(pst_i3c_target_send(t, PST_LINK_CLEAR, bytes, 4), PST_OK);
    CHECK_EQ(run_until_error(), PST_ERR_IO);
}

/* A TS that does not read for a long time is still present: NACK does not mean that it is gone. */
static void test_plain_backpressure(void **state)
{
    uint8_t kind, *payload;
    size_t len;

    (void)state;
    start(24, true, PST_I3C_PORT_SPP);
    struct pair *p = &rig.pairs[0];
    struct pst_i3c_target *t = &p->target->engine;
    run_until_up(1);
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, (const uint8_t *)"one!", 4),
             PST_OK);
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, (const uint8_t *)"two!", 4),
             PST_OK);
    while (rig.now < 20000) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK_EQ(pst_i3c_target_receive(t, &kind, &payload, &len), PST_OK);
    CHECK_BYTES(payload, "one!", 4);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    CHECK_EQ(pst_i3c_target_receive(t, &kind, &payload, &len), PST_OK);
    CHECK_BYTES(payload, "two!", 4);
}

/* Replies inside IBIs wait until the owner has taken the previous one. */
static void test_plain_along(void **state)
{
    uint8_t kind, *payload;
    size_t len;

    (void)state;
    start(25, true, PST_I3C_PORT_SPP);
    struct pair *p = &rig.pairs[0];
    struct pst_i3c_target *t = &p->target->engine;
    run_until_up(1);
    rig.model.along = true;
    CHECK_EQ(pst_i3c_debugger_send(&p->debugger, PST_LINK_CLEAR, (const uint8_t *)"one!", 4),
             PST_OK);
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(turn(1), PST_OK);
    }
    for (uint8_t n = 0; n < 5; n++) {
        CHECK_EQ(pst_i3c_target_send(t, PST_LINK_CLEAR, &n, 1), PST_OK);
    }
    for (uint8_t n = 0; n < 5; n++) {
        for (int i = 0; i < 100; i++) {
            CHECK_EQ(turn(1), PST_OK);
        }
        CHECK_EQ(pst_i3c_debugger_receive(&p->debugger, &kind, &payload, &len), PST_OK);
        CHECK_EQ(len, 1);
        CHECK_EQ(payload[0], n);
    }
}

/* A device whose IBIs are not handled does not block those of another device. */
static void test_unheard_ibis(void **state)
{
    uint8_t kind = 0, *payload;
    size_t len;

    (void)state;
    start(26, true, PST_I3C_PORT_SPP);
    run_until_up(2);
    rig.model.along = true;
    const bool first = rig.targets[0].device.address < rig.targets[1].device.address;
    struct pair *unheard = &rig.pairs[!first], *other = &rig.pairs[first];
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pst_i3c_debugger_send(&rig.pairs[i].debugger, PST_LINK_CLEAR,
                                       (const uint8_t *)"one!", 4),
                 PST_OK);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(turn(2), PST_OK);
    }
    for (uint8_t n = 0; n < 2 * PST_I3C_MODEL_IBIS; n++) {
        CHECK_EQ(pst_i3c_target_send(&unheard->target->engine, PST_LINK_CLEAR, &n, 1), PST_OK);
    }
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(turn(2), PST_OK);
    }
    const unsigned before = other->target->device.ibis;
    CHECK_EQ(pst_i3c_target_send(&other->target->engine, PST_LINK_CLEAR, &kind, 1), PST_OK);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(turn(2), PST_OK);
    }
    CHECK_EQ(other->target->device.ibis, before + 1);
    CHECK_EQ(pst_i3c_debugger_receive(&other->debugger, &kind, &payload, &len), PST_OK);
}

/* --- the target, byte by byte --- */

static void init_target(struct pst_i3c_target *t, struct side *s)
{
    static const uint8_t port = PST_I3C_PORT_MESSAGES;
    const struct pst_i3c_target_config config = {.buffers = buffers_of(s), .ports = PST_I3C_PORTS};

    CHECK_EQ(pst_i3c_target_init(t, &config), PST_OK);
    CHECK_EQ(pst_i3c_target_ccc(t, PST_I3C_DBGOPCODE, PST_I3C_START, &port, 1), PST_OK);
    CHECK_EQ(pst_i3c_target_ccc(t, PST_I3C_DBGOPCODE, PST_I3C_SELECT, &port, 1), PST_OK);
}

static void test_fragment(void **state)
{
    static const uint8_t message[] = {3, 0, 0, 0xD3, 'a', 'b', 'c'};
    struct pst_i3c_target t;
    uint8_t in[PST_I3C_MAX], out[PST_I3C_MAX], expected[PST_I3C_MAX], kind, *payload;
    size_t len, n;

    (void)state;
    CHECK_EQ(fcs((const uint8_t *)"123456789", 9), 0x906E); /* the usual check value */
    init_target(&t, &rig.pairs[0].ts);
    CHECK_EQ(pst_i3c_target_send(&t, PST_LINK_RECORD, message, 3), PST_ERR_STATE);
    n = fragment(expected, 0x08, 0, 0, 0, NULL, 0); /* no stream */
    CHECK_EQ(pst_i3c_target_read(&t, out), n);
    CHECK_BYTES(out, expected, n);

    n = fragment(in, 0x01, 1, 0, 0, NULL, 0);
    CHECK_EQ(pst_i3c_target_write(&t, in, n), PST_OK);
    CHECK_EQ(pst_i3c_target_send(&t, PST_LINK_RECORD, (const uint8_t *)"xyz", 3), PST_OK);
    n = fragment(expected, 0, 1, 0, 0, "\3\0\0\xD3xyz", 7);
    CHECK_EQ(pst_i3c_target_read(&t, out), n);
    CHECK_BYTES(out, expected, n);
    n = fragment(expected, 0x04, 1, 7, 0, NULL, 0); /* not acknowledged yet */
    CHECK_EQ(pst_i3c_target_read(&t, out), n);
    CHECK_BYTES(out, expected, n);

    n = fragment(in, 0, 1, 0, 8, message, 7); /* acknowledges what was never sent */
    CHECK_EQ(pst_i3c_target_write(&t, in, n), PST_ERR_DECODE);
    n = fragment(in, 0, 2, 0, 7, message, 7); /* another stream */
    CHECK_EQ(pst_i3c_target_write(&t, in, n), PST_ERR_DECODE);
    n = fragment(in, 0, 1, 1, 7, message, 7); /* not the next: dropped, but it acknowledges */
    CHECK_EQ(pst_i3c_target_write(&t, in, n), PST_OK);
    n = fragment(expected, 0, 1, 7, 0, NULL, 0);
    CHECK_EQ(pst_i3c_target_read(&t, out), n);
    CHECK_BYTES(out, expected, n);
    n = fragment(in, 0, 1, 0, 7, message, 3);
    CHECK_EQ(pst_i3c_target_write(&t, in, n), PST_OK);
    n = fragment(in, 0, 1, 0, 7, message, 7); /* overlaps: the rest is new, when there is room */
    CHECK_EQ(pst_i3c_target_write(&t, in, n), PST_ERR_BUSY);
    CHECK_EQ(pst_i3c_target_receive(&t, &kind, &payload, &len), PST_PENDING);
    CHECK_EQ(pst_i3c_target_write(&t, in, n), PST_OK);
    CHECK_EQ(pst_i3c_target_receive(&t, &kind, &payload, &len), PST_OK);
    CHECK_EQ(kind, PST_LINK_RECORD);
    CHECK_EQ(len, 3);
    CHECK_BYTES(payload, "abc", 3);
}

static void test_every_change(void **state)
{
    static const uint8_t message[] = {3, 0, 0, 0xD3, 'a', 'b', 'c'};
    struct pst_i3c_target t;
    uint8_t in[PST_I3C_MAX], changed[PST_I3C_MAX];
    const size_t n = fragment(in, 0x01, 1, 0, 0, message, sizeof message);

    (void)state;
    init_target(&t, &rig.pairs[0].ts);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(pst_i3c_target_write(&t, in, i), PST_ERR_DECODE);
    }
    for (size_t i = 0; i < n; i++) {
        for (unsigned change = 1; change < 256; change++) {
            memcpy(changed, in, n);
            changed[i] ^= (uint8_t)change;
            CHECK_EQ(pst_i3c_target_write(&t, changed, n), PST_ERR_DECODE);
        }
    }
    /* Whole, but with flags that are not defined, or without a stream. */
    CHECK_EQ(pst_i3c_target_write(&t, in, fragment(in, 0x11, 1, 0, 0, message, 7)), PST_ERR_DECODE);
    CHECK_EQ(pst_i3c_target_write(&t, in, fragment(in, 0x01, 0, 0, 0, message, 7)), PST_ERR_DECODE);
    CHECK_EQ(pst_i3c_target_send(&t, PST_LINK_CLEAR, message, 1), PST_ERR_STATE);
}

static void test_commands(void **state)
{
    static const uint8_t port = 1, none = 2, polling = 1, interrupt = 3;
    struct pst_i3c_target t;
    uint8_t out[PST_I3C_STATUS_LEN];
    size_t len;

    (void)state;
    init_target(&t, &rig.pairs[0].ts);
    CHECK_EQ(pst_i3c_target_ccc_read(&t, 0xD7, 0x00, out, &len), PST_OK);
    CHECK_EQ(len, 4);
    CHECK_BYTES(out, "\x10\x10\x31\x00", 4);
    CHECK_EQ(pst_i3c_target_ccc_read(&t, 0xD7, 0x02, out, &len), PST_OK);
    CHECK_BYTES(out, "\x0B\x00\x00\x00", 4);
    CHECK_EQ(pst_i3c_target_ccc_read(&t, 0xD7, 0x06, out, &len), PST_OK);
    CHECK(len == 1 && out[0] == 1);
    CHECK_EQ(pst_i3c_target_ccc_read(&t, 0xD7, 0x01, out, &len), PST_ERR_UNSUPPORTED);
    CHECK_EQ(pst_i3c_target_ccc_read(&t, 0xD8, 0xFD, out, &len), PST_ERR_UNSUPPORTED);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0xD7, 0x01, &polling, 1), PST_OK);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0xD7, 0x01, &interrupt, 1), PST_OK);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0xD7, 0x01, &none, 1), PST_ERR_UNSUPPORTED);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0xD7, 0x02, &none, 1), PST_ERR_UNSUPPORTED);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0xD7, 0x06, &none, 1), PST_ERR_UNSUPPORTED);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0xD7, 0x06, &port, 0), PST_ERR_DECODE);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0xD7, 0x05, &port, 1), PST_ERR_UNSUPPORTED);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0xD8, 0xFD, NULL, 0), PST_OK);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0x58, 0xFD, NULL, 0), PST_OK);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0x58, 0x00, NULL, 0), PST_ERR_UNSUPPORTED);
    CHECK_EQ(pst_i3c_target_ccc(&t, 0x07, 0, NULL, 0), PST_ERR_UNSUPPORTED);
}

static void test_arguments(void **state)
{
    struct pst_i3c_target t;
    struct pst_i3c_debugger d;
    struct pst_i3c_view view;
    struct side *s = &rig.pairs[0].ts;
    struct pst_i3c_target_config ts = {.buffers = buffers_of(s), .ports = 0};
    struct pst_i3c_debugger_config dts = {.bus = &view.bus, .buffers = buffers_of(s), .port = 2};

    (void)state;
    pst_i3c_model_look(&view, &rig.model, true);
    CHECK_EQ(pst_i3c_target_init(&t, &ts), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_i3c_debugger_init(&d, &dts, 0), PST_ERR_ARGUMENT);
    ts.ports = 3;
    dts.port = 1;
    CHECK_EQ(pst_i3c_target_init(&t, &ts), PST_ERR_ARGUMENT);
    ts.ports = 2;
    CHECK_EQ(pst_i3c_target_init(&t, &ts), PST_OK);
    CHECK_EQ(pst_i3c_debugger_init(&d, &dts, 0), PST_OK);
    ts.buffers.send_cap = dts.buffers.send_cap = 259;
    CHECK_EQ(pst_i3c_target_init(&t, &ts), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_i3c_debugger_init(&d, &dts, 0), PST_ERR_ARGUMENT);
    ts.buffers.send_cap = 260;
    ts.buffers.receive_cap = 255;
    CHECK_EQ(pst_i3c_target_init(&t, &ts), PST_ERR_ARGUMENT);
    CHECK(pst_i3c_traits.ordered && !pst_i3c_traits.lossy && pst_i3c_traits.shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),    cmocka_unit_test(test_commands),
        cmocka_unit_test(test_fragment),     cmocka_unit_test(test_every_change),
        cmocka_unit_test(test_strangers),    cmocka_unit_test(test_tinyspp),
        cmocka_unit_test(test_plain_limits), cmocka_unit_test(test_plain_backpressure),
        cmocka_unit_test(test_plain_along),  cmocka_unit_test(test_unheard_ibis),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
