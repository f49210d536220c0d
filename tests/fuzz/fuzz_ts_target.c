/* The TS's SCM: links come and go, clear and sealed messages are invented, and an honest DTS opens
 * sessions and lends its keys. fake_net.h checks that nothing is reached before a session is live,
 * that every effect was announced, and that nothing stays open or unwiped.
 * pst-link: ts spp spdm record cert crypto link wire
 *
 * Input: a byte of setup, then commands. */
#include "fuzz/fuzz.h"

#include "fuzz/fake_net.h"

#define OPS 4

struct world {
    struct fnet n;
    struct pst_spp_op ops[OPS];
    uint8_t data[OPS][64];
    bool busy[OPS], link[4];
};

static void done(void *ctx, struct pst_spp_op *op)
{
    bool *busy = ctx;

    need(*busy && op->result != PST_PENDING); /* once */
    *busy = false;
}

static const uint64_t addresses[] = {
    FNET_RAM_AT,
    FNET_RAM_AT + 0x3c,
    FNET_RAM_AT + 0x40,
    UINT64_MAX - 2,
    0xBAD,
    PST_SCM_DATA,
    PST_SCM_GO,
    PST_SCM_RESPONSE,
    PST_SCM_STATUS,
    PST_SCM_WHO,
    PST_SCM_HOLD,
    PST_SCM_GRANTS,
    PST_SCM_RESPONSE + 9,
    PST_SCM_DATA + 500,
    PST_RUN_INTERRUPT,
    PST_SPC_AS_EN_SET,
    PST_SPC_AS_AVAIL_REQ_SET,
    PST_SPC_AS_EN_STAT,
    PST_SPC_AS_EN_CLEAR,
    PST_SPC_CREDIT,
};

#define ADDRESSES (sizeof addresses / sizeof *addresses)

/* A batch of well-formed commands, as the script wants them. */
static size_t compose(struct pst_reader *r, uint8_t *out, size_t cap)
{
    struct pst_writer w = pst_writer_of(out, cap);
    unsigned count = pst_get_u8(r) % 6u + 1;
    size_t len;

    for (unsigned i = 0; i < count; i++) {
        uint8_t what = pst_get_u8(r), where = pst_get_u8(r), data_len = pst_get_u8(r) % 80;
        struct pst_spp_packet p = {
            .style = PST_SPP_FULL,
            .opcode = (uint8_t)((what & 15u) % (PST_SPP_LOOP + 1u)),
            .space = where & 7,
            .proceed = (what & 16) != 0,
            .immediate = true,
            .last = true,
            .tag = (uint16_t)(0x8000 + what),
            .address = addresses[(size_t)(what >> 5 | (where >> 3) << 3) % ADDRESSES],
            .count = data_len,
        };
        if (p.opcode == PST_SPP_WRITE_CONFIG || p.opcode == PST_SPP_READ_CONFIG) {
            p.count = 4;
        }
        if (p.opcode == PST_SPP_LOOP) {
            p.count = PST_SPP_LOOP_OPERAND;
        }
        if (p.opcode < PST_SPP_READ_CONFIG) {
            p.count = 0;
        }
        bool sends = p.opcode == PST_SPP_WRITE || p.opcode == PST_SPP_WRITE_READ ||
                     p.opcode == PST_SPP_LOOP || p.opcode == PST_SPP_WRITE_CONFIG;
        if (sends) {
            p.data = pst_get_block(r, p.count < r->left ? p.count : r->left);
            if (p.data.len < p.count) {
                break;
            }
        }
        pst_spp_put_command(&w, &p);
    }
    return pst_written(&w, &len) == PST_OK ? len : 0;
}

/* Under the DTS's own keys. */
static void seal_and_send(struct world *w, uint8_t *buf, size_t cap, size_t payload)
{
    struct fnet *n = &w->n;
    size_t len;

    if (n->up && n->dts.protected_ &&
        pst_record_seal(&n->dts.record, buf, cap, payload, 0, &len) == PST_OK &&
        fnet_to_target(n, 0, PST_LINK_RECORD, buf, len) != PST_OK) {
        fnet_cut(n);
    }
}

static void sealed(struct world *w, struct pst_reader *r, bool composed)
{
    uint8_t buf[1024];
    size_t head = pst_record_head(&w->n.dts.record), len;

    if (w->n.dts.record.config.crypto == NULL) {
        return;
    }
    if (composed) {
        len = compose(r, buf + head, sizeof buf - head - PST_TAG_LEN);
    } else {
        struct pst_bytes b = pst_get_block(r, pst_get_u8(r) < r->left ? 40 % (r->left + 1) : 0);
        len = b.len;
        if (len > 0) {
            memcpy(buf + head, b.at, len);
        }
    }
    seal_and_send(w, buf, sizeof buf, len);
}

static void clear(struct world *w, struct pst_reader *r, uint8_t link, bool composed)
{
    static const uint8_t kinds[] = {PST_LINK_CLEAR, PST_LINK_RECORD, PST_LINK_CLEAR,
                                    PST_LINK_CONTROL};
    uint8_t buf[1024], kind = PST_LINK_CLEAR;
    size_t len;

    if (composed) {
        len = compose(r, buf, sizeof buf);
    } else {
        kind = kinds[pst_get_u8(r) & 3];
        len = pst_get_u8(r);
        struct pst_bytes b = pst_get_block(r, len < r->left ? len : r->left);
        len = b.len;
        if (len > 0) {
            memcpy(buf, b.at, len);
        }
    }
    pst_err err = fnet_to_target(&w->n, link, kind, buf, len);
    if (err != PST_OK && link == 0) {
        fnet_cut(&w->n);
    }
}

static void plug(struct world *w, uint8_t link)
{
    if (link == 0) {
        if (w->n.up) {
            fnet_cut(&w->n);
        } else {
            pst_debugger_wipe(&w->n.dts);
            fnet_start(&w->n);
        }
    } else if (w->link[link]) {
        pst_target_link_down(&w->n.target, link);
        w->link[link] = false;
    } else {
        w->link[link] = pst_target_link_up(&w->n.target, link, &w->n.traits) == PST_OK;
    }
}

/* What the TS says on a link where nobody honest listens. */
static void drain(struct world *w, uint8_t link, uint8_t value)
{
    uint8_t out[2048], kind = 0;
    size_t cap = (value & 1) != 0 ? 256 : sizeof out, len;

    for (unsigned i = 0; i < 8; i++) {
        len = pst_target_output(&w->n.target, link, &kind, out, cap);
        need(len <= cap && len <= w->n.traits.mtu);
        need(len == 0 || kind == PST_LINK_CLEAR || kind == PST_LINK_RECORD);
        if (len > 0 && link == 0 && w->n.up && (value & 2) != 0) {
            fnet_to_debugger(&w->n, kind, out, len);
        }
    }
}

/* One message of the DTS, changed, and not sealed again. */
static void changed(struct world *w, uint16_t at, uint8_t value)
{
    uint8_t msg[2048], kind;
    size_t len = w->n.up ? pst_debugger_output(&w->n.dts, &kind, msg, sizeof msg) : 0;

    if (len == 0) {
        return;
    }
    msg[at % len] ^= value;
    if (fnet_to_target(&w->n, 0, kind, msg, len) != PST_OK) {
        fnet_cut(&w->n);
    }
}

static void toggle(struct fnet *n, uint8_t value)
{
    switch (value & 15) {
    case 0:
        n->memory.pending = value >> 4;
        break;
    case 1:
        n->run.pending = value >> 4;
        break;
    case 2:
        n->run.event = true;
        break;
    case 3:
        n->memory.fails = !n->memory.fails;
        break;
    case 4:
        n->memory.releasing = value >> 4;
        break;
    case 5:
        n->log_fails = !n->log_fails;
        break;
    case 6:
        n->ts_signer.pending = value >> 4 & 7;
        break;
    case 7:
        n->fake.chain_fails = !n->fake.chain_fails;
        break;
    case 8:
        n->fake.random_fails = !n->fake.random_fails;
        break;
    case 9:
        n->ts_signer.broken = !n->ts_signer.broken;
        break;
    default:
        (void)!pst_target_stop(&n->target, PST_ERR_LIMIT);
        break;
    }
}

static void submit(struct world *w, uint8_t value, uint8_t where)
{
    unsigned i = value & 3;
    struct pst_spp_op *op = &w->ops[i];

    if (w->busy[i]) {
        return;
    }
    w->busy[i] = true;
    *op = (struct pst_spp_op){
        .space = (value & 4) != 0 ? PST_AS_RUN : PST_AS_MEMORY,
        .address = (value & 4) != 0 ? PST_RUN_INTERRUPT : FNET_RAM_AT + where,
        .data = w->data[i],
        .len = where % 64u,
        .done = done,
        .ctx = &w->busy[i],
    };
    if ((value & 8) != 0) {
        pst_debugger_write(&w->n.dts, op);
    } else {
        pst_debugger_read(&w->n.dts, op);
    }
}

static void check(const struct world *w)
{
    unsigned holders = 0;

    for (size_t i = 0; i < FNET_CONTEXTS; i++) {
        const struct pst_target_context *c = &w->n.contexts[i];
        holders += c->phase == PST_CONTEXT_LIVE && !c->observer;
        need(c->phase != PST_CONTEXT_LIVE || (c->protected_ && c->name[0] != '\0'));
        need(c->phase != PST_CONTEXT_PENDING || c->engine.config.bootstrap || c->closing != PST_OK);
    }
    need(holders <= 1);
    need(w->n.opened >= w->n.ended);
}

static void command(struct world *w, struct pst_reader *r)
{
    uint8_t op = pst_get_u8(r), value = pst_get_u8(r);

    switch (op % 12) {
    case 0:
        fnet_run(&w->n, value % 32 + 1u);
        break;
    case 1:
    case 2:
        clear(w, r, value & 3, op % 12 == 1);
        break;
    case 3:
    case 4:
    case 5:
        sealed(w, r, op % 12 != 3);
        break;
    case 6:
        w->n.now += (uint64_t)value * 50;
        (void)pst_target_poll(&w->n.target);
        (void)pst_debugger_poll(&w->n.dts);
        break;
    case 7:
        toggle(&w->n, value);
        break;
    case 8:
        submit(w, value, pst_get_u8(r));
        break;
    case 9:
        plug(w, value & 3);
        break;
    case 10:
        drain(w, value & 3, value >> 2);
        break;
    default:
        if (value == 0) {
            pst_debugger_stop(&w->n.dts);
        } else {
            changed(w, pst_get_u16(r), value);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct pst_reader r = pst_reader_of(data, size);

    memset(&w, 0, sizeof w);
    fnet_init(&w.n, pst_get_u8(&r));
    fnet_start(&w.n);
    for (unsigned i = 0; r.left > 0 && !r.failed && i < 100; i++) {
        command(&w, &r);
        check(&w);
    }
    w.n.log_fails = false;
    fnet_end(&w.n);
    for (size_t i = 0; i < OPS; i++) {
        need(!w.busy[i]);
    }
    return 0;
}
