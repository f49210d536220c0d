/* I3C: a hostile controller against the target's engine, and a hostile bus against the debugger's.
 * The input decides what they do. Fragments may get a correct FCS, to reach the code behind the
 * check. */
#include "fuzz.h"

#include "postern/links/checksum.h"
#include "postern/links/i3c.h"

enum { SEND = 600, RECEIVE = 300 };

static void mend(uint8_t *at, size_t len)
{
    if (len >= 2) {
        pst_poke_u16(at + len - 2, (uint16_t)~pst_fcs16(PST_FCS16_START, at, len - 2));
    }
}

static size_t fragment(struct input *in, uint8_t out[PST_I3C_MAX])
{
    const bool whole = next(in) % 4 != 0;
    const size_t len = some(in, out, PST_I3C_MAX);

    if (whole) {
        mend(out, len);
    }
    return len;
}

static void check_message(pst_err err, uint8_t kind, const uint8_t *payload, size_t len,
                          const uint8_t *buffer)
{
    if (err != PST_OK) {
        return;
    }
    need(payload == buffer && len <= RECEIVE);
    need(kind >= PST_LINK_CONTROL && kind <= PST_LINK_SPDM);
}

/* As bytes, and the end from our side. */
static void use_target_bytes(struct pst_i3c_target *t, struct input *in, unsigned what)
{
    uint8_t bytes[PST_I3C_MAX];
    size_t len = some(in, bytes, sizeof bytes), got = 0;
    const size_t room = pst_i3c_target_room(t);

    need(room <= SEND);
    if (what == 4) {
        need(pst_i3c_target_put(t, bytes, len) <= len);
    } else if (what == 5) {
        need(pst_i3c_target_get(t, bytes, len, &got) != PST_OK || (got > 0 && got <= len));
    } else if (next(in) % 4 == 0) {
        pst_i3c_target_close(t);
    }
    if (!pst_i3c_target_is_open(t)) {
        need(pst_i3c_target_put(t, bytes, len) == 0);
    }
}

static void use_target(struct pst_i3c_target *t, struct input *in, const uint8_t *receive)
{
    static const uint8_t codes[] = {PST_I3C_DBGOPCODE, PST_I3C_DBGACTION, PST_I3C_DBGACTION_ALL,
                                    PST_I3C_RSTACT};
    uint8_t bytes[PST_I3C_MAX], kind = 0, *payload = NULL;
    const uint8_t what = next(in);
    size_t len = 0;
    pst_err err;

    switch (what % 8) {
    case 0:
        kind = next(in);
        len = some(in, bytes, 2);
        (void)!pst_i3c_target_ccc(t, codes[what / 8 % sizeof codes], kind, bytes, len);
        break;
    case 1:
        err = pst_i3c_target_ccc_read(t, codes[what / 8 % sizeof codes], next(in), bytes, &len);
        need(err != PST_OK || (len > 0 && len <= PST_I3C_STATUS_LEN));
        break;
    case 2:
    case 3:
        len = fragment(in, bytes);
        (void)!pst_i3c_target_write(t, bytes, len);
        break;
    case 4:
        need(pst_i3c_target_read(t, bytes) <= PST_I3C_MAX);
        break;
    case 5:
        err = pst_i3c_target_receive(t, &kind, &payload, &len);
        check_message(err, kind, payload, len, receive);
        break;
    case 6:
        len = some(in, bytes, sizeof bytes);
        (void)!pst_i3c_target_send(t, PST_LINK_CLEAR, bytes, len);
        break;
    default:
        if (what / 8 >= 4 && what / 8 < 7) {
            use_target_bytes(t, in, what / 8);
        } else if (pst_i3c_target_ibi(t, bytes) == 2) {
            pst_i3c_target_ibi_done(t, bytes);
        } else if (what / 8 == 3) {
            pst_i3c_target_pattern(t);
        } else {
            pst_i3c_target_ready(t);
        }
        break;
    }
}

static void fuzz_target(struct input *in)
{
    uint8_t send[SEND], receive[RECEIVE];
    const uint8_t port = next(in) % PST_I3C_PORTS;
    const struct pst_i3c_target_config config = {
        .buffers = {send, sizeof send, receive, sizeof receive},
        .ports = PST_I3C_PORTS,
    };
    struct pst_i3c_target t;

    need(pst_i3c_target_init(&t, &config) == PST_OK);
    need(pst_i3c_target_ccc(&t, PST_I3C_DBGOPCODE, PST_I3C_START, &port, 1) == PST_OK);
    need(pst_i3c_target_ccc(&t, PST_I3C_DBGOPCODE, PST_I3C_SELECT, &port, 1) == PST_OK);
    while (in->left > 0) {
        use_target(&t, in, receive);
    }
}

static pst_err answer(struct input *in)
{
    static const pst_err answers[] = {PST_OK,        PST_OK,         PST_OK, PST_OK,
                                      PST_ERR_BUSY,  PST_ERR_IO,     PST_OK, PST_PENDING,
                                      PST_ERR_BUSY,  PST_ERR_CLOSED, PST_OK, PST_OK,
                                      PST_ERR_FAULT, PST_OK,         PST_OK, PST_OK};

    return answers[next(in) % (sizeof answers / sizeof answers[0])];
}

static pst_err bus_find(void *ctx, uint64_t id, uint8_t *address)
{
    (void)id;
    *address = 9;
    return answer(ctx);
}

/* Usually answers correctly; otherwise the input would have to contain the whole bring-up. */
static pst_err bus_ccc(void *ctx, uint8_t address, struct pst_i3c_ccc *c)
{
    static const uint8_t caps[4] = {0x10, 0x10, 0x31, 0}, status[4] = {0x0B, 0, 0, 0};
    struct input *in = ctx;

    need(address == 9 && c->write_len <= 1 && c->read_cap <= 4);
    if (next(in) % 16 == 15) {
        c->read_len = some(in, c->read, c->read_cap);
        return answer(in);
    }
    c->read_len = c->read_cap;
    if (c->read_cap == 1) {
        c->read[0] = PST_I3C_PORT_MESSAGES;
    } else if (c->read_cap == 4) {
        memcpy(c->read, c->defining == PST_I3C_CAPABILITIES ? caps : status, 4);
    }
    return PST_OK;
}

static pst_err bus_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    need(address == 9 && len > 0 && len <= PST_I3C_MAX && data != NULL);
    return answer(ctx);
}

static pst_err bus_read(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len)
{
    need(address == 9 && cap == PST_I3C_MAX);
    *len = fragment(ctx, out);
    return answer(ctx);
}

static pst_err bus_poll(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi)
{
    struct input *in = ctx;

    need(address == 9);
    if (next(in) % 4 != 0) {
        return PST_PENDING;
    }
    ibi->len = fragment(in, ibi->bytes);
    if (ibi->len > 10) {
        ibi->bytes[0] = PST_I3C_IBI_DATA;
        ibi->bytes[1] = 0;
        mend(ibi->bytes + 2, ibi->len - 2);
    }
    return PST_OK;
}

static pst_err bus_reset(void *ctx, uint8_t address, uint8_t action)
{
    need(address == 9 && action == PST_I3C_RESET);
    return answer(ctx);
}

static void fuzz_debugger(struct input *in, uint8_t port)
{
    uint8_t send[SEND], receive[RECEIVE], bytes[PST_I3C_MAX];
    const struct pst_i3c_bus bus = {in,       bus_find, bus_ccc,  bus_write,
                                    bus_read, bus_poll, bus_reset};
    const struct pst_i3c_debugger_config config = {
        .bus = &bus,
        .buffers = {send, sizeof send, receive, sizeof receive},
        .port = port,
        .give_up_ms = 100000,
    };
    struct pst_i3c_debugger d;
    uint64_t now = 0;
    uint32_t wait = 0;

    need(pst_i3c_debugger_init(&d, &config, now) == PST_OK);
    for (int i = 0; i < 1000 && in->left > 0; i++) {
        uint8_t kind = 0, *payload = NULL;
        size_t len = 0;

        if (pst_i3c_debugger_step(&d, now, &wait) != PST_OK) {
            return;
        }
        now += wait;
        const uint8_t what = next(in);
        if (what % 8 == 0) {
            len = some(in, bytes, sizeof bytes);
            (void)!pst_i3c_debugger_send(&d, PST_LINK_CLEAR, bytes, len);
        } else if (what == 0xF1) {
            pst_i3c_debugger_close(&d);
        } else if (what > 0xF1) {
            len = some(in, bytes, sizeof bytes);
            need(pst_i3c_debugger_put(&d, bytes, len) <= len);
            need(pst_i3c_debugger_get(&d, bytes, len) <= len);
            need(pst_i3c_debugger_room(&d) <= SEND);
            continue;
        }
        const pst_err err = pst_i3c_debugger_receive(&d, &kind, &payload, &len);
        check_message(err, kind, payload, len, receive);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    const uint8_t which = next(&in);

    if (which % 2 == 0) {
        fuzz_target(&in);
    } else {
        fuzz_debugger(&in, which / 2 % PST_I3C_PORTS);
    }
    return 0;
}
