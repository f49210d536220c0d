/* The stub client between an engine that does anything and a stub that sends anything. Each piece
 * of input: what (u8), length (u8), bytes. `what` 0..15 is an operation of the engine. Any other
 * value is data from the stub: the bytes unchanged, or framed with a correct checksum.
 *
 * pst-link: stub */
#include "fuzz/fuzz.h"
#include "postern/parts/stub.h"

struct rig {
    struct pst_stub stub;
    struct pst_space spaces[2];
    struct pst_gate gate;
    uint8_t gates;
};

static pst_err allow(void *ctx, uint8_t space, uint8_t rights, uint64_t address, uint64_t len)
{
    struct rig *t = ctx;
    (void)space, (void)rights, (void)len;
    return t->gates & 0x80 && address & 1 ? PST_ERR_DENIED : PST_OK;
}

static pst_err open_stream(void *ctx, bool on)
{
    const struct rig *t = ctx;
    return on && t->gates == 0xFF ? PST_ERR_IO : PST_OK;
}

static void say(struct rig *t, const uint8_t *at, size_t len, bool framed)
{
    uint8_t packet[600];
    struct pst_writer w = pst_writer_of(packet, sizeof packet);
    if (!framed) {
        pst_stub_receive(&t->stub, at, len);
        return;
    }
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_binary(&p, at, len);
    pst_rsp_end(&p);
    pst_stub_receive(&t->stub, packet, w.used);
}

static void access_space(struct rig *t, uint8_t what, const uint8_t *at, size_t len)
{
    static const uint64_t places[] = {
        PST_RUN_STATUS,
        PST_RUN_INTERRUPT,
        PST_RUN_RESUME,
        PST_RUN_BREAK,
        PST_RUN_GATHER,
        PST_RUN_HARTS,
        PST_RUN_ARCH,
        PST_RUN_REGISTERS + 0x10004,
        PST_RUN_REGISTER + 0x10200,
        PST_RUN_DESCRIPTION,
        PST_RUN_MEMORY_MAP,
        PST_RUN_DETACH,
    };
    struct pst_reader r = pst_reader_of(at, len);
    uint8_t flags = pst_get_u8(&r);
    uint64_t place = flags >> 1 < 12 ? places[flags >> 1] : pst_get_u64(&r);
    uint32_t n = r.left > 0 || flags & 1 ? (uint32_t)r.left : 100;
    uint8_t *copy = malloc(n > 0 ? n : 1);
    if (r.left > 0) {
        memcpy(copy, r.at, r.left);
    }
    struct pst_access a = {
        .address = place, .data = copy, .len = n, .write = flags & 1, .gate = &t->gate};
    const struct pst_space *space = &t->spaces[what & 1];
    (void)space->right(space->ctx, place, a.write);
    if (space->perform(space->ctx, &a) == PST_OK && a.len > n) {
        abort();
    }
    free(copy);
}

static void act(struct rig *t, uint8_t what, const uint8_t *at, size_t len)
{
    uint8_t event[300];
    const struct pst_space *space = &t->spaces[what & 1];
    switch (what >> 1) {
    case 0:
    case 1:
        access_space(t, what, at, len);
        break;
    case 2:
        (void)space->enable(space->ctx, true, &t->gate);
        break;
    case 3:
        (void)space->enable(space->ctx, false, NULL);
        break;
    case 4:
        space->cancel(space->ctx);
        break;
    case 5:
        if (t->spaces[1].event(t->spaces[1].ctx, event, len < 64 ? 64 : len) > sizeof event) {
            abort();
        }
        break;
    case 6:
        pst_stub_closed(&t->stub);
        break;
    default:
        if (len > 0) {
            pst_stub_answer_now(&t->stub);
            break;
        }
        pst_stub_abandon(&t->stub);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pst_region map[] = {
        {0x1000, 0x1FFF, PST_REGION_RAM}
    };
    if (size == 0) {
        return 0;
    }
    size_t cap = data[0] & 1 ? PST_STUB_BUFFER_MIN : 4096;
    uint8_t *buffer = malloc(cap);
    struct rig t = {.gates = data[0]};
    struct pst_stub_cleanup cleanup;
    struct pst_stub_config config = {.map = map,
                                     .map_len = 1,
                                     .open = open_stream,
                                     .ctx = &t,
                                     .buffer = buffer,
                                     .buffer_len = cap,
                                     .hold = data[0] & 2,
                                     .defer_resume = data[0] & 8};
    if (pst_stub_init(&t.stub, &config) != PST_OK) {
        abort();
    }
    t.spaces[0] = pst_stub_memory(&t.stub);
    t.spaces[1] = pst_stub_run(&t.stub);
    t.gate = (struct pst_gate){.ctx = &t, .allow = allow};
    struct pst_reader r = pst_reader_of(data + 1, size - 1);
    while (r.left >= 2) {
        uint8_t what = pst_get_u8(&r), len = pst_get_u8(&r);
        struct pst_bytes b = pst_get_block(&r, len < r.left ? len : r.left);
        if (what < 16) {
            act(&t, what, b.at, b.len);
        } else {
            say(&t, b.at, b.len, what & 1);
        }
        if (pst_stub_cleanup(&t.stub, &cleanup) && cleanup.count > PST_STUB_BREAKS + 1) {
            abort();
        }
        if ((what & 0xC0) != 0x40) { /* or it does not drain */
            pst_stub_sent(&t.stub, pst_stub_pending(&t.stub).len);
        }
    }
    free(buffer);
    return 0;
}
