/* The DTS against a hostile TS. An honest TS takes the DTS to a state that the script selects and
 * lends its keys. Then any messages arrive, clear or sealed, well-formed or not. Every operation of
 * the caller must complete exactly once, none may succeed outside READY, and nothing may be sent
 * after the end.
 * pst-link: dts spp spdm record crypto link wire
 *
 * Input: a byte of setup, then commands. */
#include "fuzz/fuzz.h"

#include "fuzz/fake_net.h"
#include "spp/packet.h"

#define OPS 6

struct world {
    struct fnet n;
    struct pst_spp_op ops[OPS];
    uint8_t data[OPS][256];
    bool busy[OPS];
    bool was_ready, resubmits;
    unsigned events;
};

static struct world w; /* callbacks of an operation know only their flag */

static void done(void *ctx, struct pst_spp_op *op)
{
    bool *busy = ctx;

    need(*busy && op->result != PST_PENDING);
    need(op->result != PST_OK || w.was_ready);
    *busy = false;
    if (w.resubmits && op->result == PST_OK) {
        *busy = true;
        pst_debugger_read(&w.n.dts, op);
    }
}

static void on_changed(void *ctx)
{
    (void)ctx;
    w.was_ready = w.was_ready || pst_debugger_state(&w.n.dts) == PST_DEBUGGER_READY;
}

static void on_event(void *ctx, uint8_t space, struct pst_bytes payload)
{
    (void)ctx;
    need(space < PST_AS_COUNT && (payload.len == 0 || payload.at != NULL));
    need(w.was_ready);
    w.events++;
}

/* Makes a batch of responses; if the script says so, to the commands in flight. */
static size_t compose(struct pst_reader *r, uint8_t *out, size_t cap)
{
    struct pst_writer writer = pst_writer_of(out, cap);
    unsigned count = pst_get_u8(r) % 6u + 1;
    static const uint8_t zeros[256];
    size_t len;

    for (unsigned i = 0; i < count; i++) {
        uint8_t what = pst_get_u8(r), how = pst_get_u8(r);
        const struct pst_spp_client *c = &w.n.dts.client;
        struct pst_spp_packet p = {
            .style = (how & 0x80) != 0 ? PST_SPP_TINY : PST_SPP_FULL,
            .opcode = what & 15,
            .status = (how & 1) != 0 ? what >> 4 : 0,
            .last = (how & 2) == 0,
            .tag = what,
            .code = how >> 4,
        };
        if ((how & 4) == 0 && c->flights > 0) {
            const struct pst_spp_flight *f = &c->flight[what % c->flights];
            p.opcode = f->opcode;
            p.tag = f->tag;
            p.count = f->len;
        }
        if ((how & 8) != 0) {
            p.count = pst_get_u8(r);
        }
        if (psti_spp_returns_data(p.opcode) || p.opcode == PST_SPP_EVENT) {
            if (p.count > sizeof zeros) {
                p.count = sizeof zeros;
            }
            p.data = (struct pst_bytes){zeros, p.count};
            if ((what & 0x80) != 0 && p.count <= r->left) {
                p.data = pst_get_block(r, p.count);
            }
        }
        if (p.status != 0) {
            p.data = (struct pst_bytes){NULL, 0};
        }
        pst_spp_put_response(&writer, &p);
    }
    return pst_written(&writer, &len) == PST_OK ? len : 0;
}

/* The TS's context that the DTS talks with. */
static struct pst_target_context *context(void)
{
    for (size_t i = 0; i < FNET_CONTEXTS; i++) {
        struct pst_target_context *c = &w.n.contexts[i];
        if (c->link == 0 && c->protected_ &&
            (c->phase == PST_CONTEXT_LIVE || c->phase == PST_CONTEXT_PENDING ||
             c->phase == PST_CONTEXT_REFUSED)) {
            return c;
        }
    }
    return NULL;
}

static void say(struct pst_reader *r, bool composed, bool sealed)
{
    struct pst_target_context *c = sealed ? context() : NULL;
    uint8_t buf[2048], kind = PST_LINK_CLEAR;
    size_t head = c != NULL ? pst_record_head(&c->record) : 0;
    size_t room = sizeof buf - head - PST_TAG_LEN, len;

    if (composed) {
        len = compose(r, buf + head, room);
    } else {
        uint8_t how = pst_get_u8(r);
        struct pst_bytes b = pst_get_block(r, how / 2u < r->left ? how / 2u : r->left);
        len = b.len;
        if (len > 0) {
            memcpy(buf + head, b.at, len);
        }
        kind = (how & 1) != 0 ? PST_LINK_RECORD : PST_LINK_CLEAR;
    }
    if (c != NULL) {
        kind = PST_LINK_RECORD;
        if (pst_record_seal(&c->record, buf, sizeof buf, len, 0, &len) != PST_OK) {
            return;
        }
    }
    fnet_to_debugger(&w.n, kind, buf, len);
}

/* Delivers one message of the TS with changes. */
static void changed(uint16_t at, uint8_t value)
{
    uint8_t msg[2048], kind = 0;
    size_t len = pst_target_output(&w.n.target, 0, &kind, msg, sizeof msg);

    if (len == 0) {
        return;
    }
    msg[at % len] ^= value;
    fnet_to_debugger(&w.n, kind, msg, len);
}

static void submit(uint8_t value, uint8_t where)
{
    unsigned i = value % OPS;
    struct pst_spp_op *op = &w.ops[i];

    if (w.busy[i]) {
        return;
    }
    w.busy[i] = true;
    *op = (struct pst_spp_op){
        .space = (value & 64) != 0 ? PST_AS_RUN : PST_AS_MEMORY,
        .address = (value & 64) != 0 ? PST_RUN_INTERRUPT : FNET_RAM_AT + where,
        .data = w.data[i],
        .len = where,
        .done = done,
        .ctx = &w.busy[i],
    };
    if ((value & 128) != 0) {
        pst_debugger_write(&w.n.dts, op);
    } else {
        pst_debugger_read(&w.n.dts, op);
    }
}

static void take_output(void)
{
    uint8_t msg[2048], kind = 0;

    for (unsigned i = 0; i < 64; i++) {
        bool over = pst_debugger_state(&w.n.dts) == PST_DEBUGGER_CLOSED;
        size_t len = pst_debugger_output(&w.n.dts, &kind, msg, sizeof msg);
        need(len <= w.n.traits.mtu && (len == 0 || !over));
        need(len == 0 || kind == PST_LINK_CLEAR || kind == PST_LINK_RECORD);
        if (len == 0) {
            return;
        }
    }
}

static void command(struct pst_reader *r)
{
    uint8_t op = pst_get_u8(r), value = pst_get_u8(r);

    switch (op % 10) {
    case 0:
        fnet_run(&w.n, value % 32 + 1u);
        break;
    case 1:
    case 2:
    case 3:
        say(r, (value & 3) != 0, (value & 4) == 0);
        break;
    case 4:
        submit(value, pst_get_u8(r));
        break;
    case 5:
        w.n.now += (uint64_t)value * 50;
        (void)pst_debugger_poll(&w.n.dts);
        break;
    case 6:
        changed(pst_get_u16(r), value);
        break;
    case 7:
        fnet_move(&w.n, value % 4u + 1);
        break;
    case 8:
        take_output();
        break;
    default:
        w.resubmits = (value & 1) != 0;
        w.n.memory.pending = value >> 4;
        w.n.run.event = (value & 2) != 0;
        if (value == 0xFF) {
            pst_debugger_stop(&w.n.dts);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_reader r = pst_reader_of(data, size);
    uint8_t how = pst_get_u8(&r);

    memset(&w, 0, sizeof w);
    fnet_init(&w.n, how);
    w.n.dts_config.changed = on_changed;
    w.n.dts_config.event = on_event;
    if ((how & FNET_NARROW) != 0) {
        w.n.dts_config.device = (how & FNET_SHARE) != 0 ? "Acme:Pump:0043" : NULL;
    }
    fnet_start(&w.n);
    for (unsigned i = 0; r.left > 0 && !r.failed && i < 100; i++) {
        command(&r);
    }
    w.resubmits = false;
    need((how & (FNET_NARROW | FNET_SHARE)) != (FNET_NARROW | FNET_SHARE) || !w.was_ready);
    fnet_end(&w.n);
    for (size_t i = 0; i < OPS; i++) {
        need(!w.busy[i]);
    }
    return 0;
}
