/* SPDM messages as link messages, with debug data in VENDOR_DEFINED messages or on a data link.
 * Both SCMs get any messages, in the clear or under either side's keys, on either link. fake_net.h
 * checks that nothing is reached before a session is live and that each effect is logged first.
 * pst-link: ts spp spdm record cert crypto link wire
 *
 * Input: two bytes of setup, then commands. */
#include "fuzz/fuzz.h"

#include "fuzz/fake_net.h"

#define OPS 4
#define DATA_LINK 9u

struct world {
    struct fnet n;
    struct pst_target_path paths[2];
    struct pst_link_traits data_traits;
    struct pst_spp_op ops[OPS];
    uint8_t data[OPS][64];
    bool busy[OPS], two_links;
};

static void done(void *ctx, struct pst_spp_op *op)
{
    bool *busy = ctx;

    need(*busy && op->result != PST_PENDING);
    *busy = false;
}

/* --- both links --- */

static void start(struct world *w)
{
    struct fnet *n = &w->n;

    need(pst_debugger_init(&n->dts, &n->dts_config) == PST_OK);
    need(pst_target_link_up(&n->target, 0, &n->traits) == PST_OK);
    need(pst_target_link_up(&n->target, DATA_LINK, &w->data_traits) == PST_OK);
    need((w->two_links ? pst_debugger_start_data(&n->dts, &n->traits, &w->data_traits)
                       : pst_debugger_start(&n->dts, &n->traits)) == PST_OK);
    n->up = true;
}

static void cut(struct world *w)
{
    fnet_cut(&w->n);
    pst_target_link_down(&w->n.target, DATA_LINK);
}

static void to_target(struct world *w, uint32_t link, uint8_t kind, const uint8_t *at, size_t len)
{
    if (w->n.up && fnet_to_target(&w->n, link, kind, at, len) != PST_OK) {
        cut(w);
    }
}

/* Takes a message from the data link, in a buffer of exactly its size. */
static void data_to_debugger(struct world *w, uint8_t kind, const uint8_t *at, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (len > 0) {
        memcpy(copy, at, len);
    }
    (void)!pst_debugger_receive_data(&w->n.dts, kind, copy, len);
    free(copy);
}

static bool move_data(struct world *w)
{
    uint8_t msg[2048], kind = 0;
    bool moved = false;
    size_t len;

    for (unsigned i = 0; w->n.up && i < 32 &&
                         (len = pst_debugger_output_data(&w->n.dts, &kind, msg, sizeof msg)) > 0;
         i++) {
        need(w->two_links && kind == PST_LINK_RECORD && len <= w->data_traits.mtu);
        moved = true;
        to_target(w, DATA_LINK, kind, msg, len);
    }
    for (unsigned i = 0;
         w->n.up && i < 32 &&
         (len = pst_target_output(&w->n.target, DATA_LINK, &kind, msg, sizeof msg)) > 0;
         i++) {
        need(len <= w->data_traits.mtu);
        moved = true;
        data_to_debugger(w, kind, msg, len);
    }
    return moved;
}

static void run(struct world *w, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        fnet_run(&w->n, 1);
        if (!w->n.up) {
            cut(w);
        }
        if (!move_data(w) && !w->n.up) {
            return;
        }
    }
}

/* --- invented messages --- */

static const uint64_t addresses[] = {
    FNET_RAM_AT,    FNET_RAM_AT + 0x3c, UINT64_MAX - 2,      PST_SCM_DATA,
    PST_SCM_GO,     PST_SCM_RESPONSE,   PST_SCM_WHO,         PST_SCM_HOLD,
    PST_SPC_CREDIT, PST_SPC_AS_EN_SET,  PST_SPC_AS_EN_CLEAR, PST_RUN_INTERRUPT,
};

/* Makes a batch of up to four commands from the script, or of bytes from the input. */
static void put_batch(struct pst_writer *out, struct pst_reader *r, uint8_t how)
{
    if ((how & 0x80) != 0) {
        pst_put_bytes(out, r->at, r->left < 24 ? r->left : 24);
        return;
    }
    for (unsigned i = 0; i <= (how & 3u); i++) {
        const uint8_t what = pst_get_u8(r), where = pst_get_u8(r);
        static const uint8_t zeros[PST_SPP_LOOP_OPERAND];
        struct pst_spp_packet p = {
            .style = PST_SPP_FULL,
            .opcode = (uint8_t)((what & 15u) % (PST_SPP_LOOP + 1u)),
            .space = what >> 5,
            .immediate = true,
            .last = true,
            .tag = what,
            .address = addresses[where % (sizeof addresses / sizeof *addresses)],
            .count = where >> 4,
        };
        if (p.opcode < PST_SPP_READ_CONFIG) {
            p.count = 0;
        } else if (p.opcode < PST_SPP_READ) {
            p.count = 4;
        } else if (p.opcode == PST_SPP_LOOP) {
            p.count = PST_SPP_LOOP_OPERAND;
        }
        if (p.opcode == PST_SPP_WRITE || p.opcode == PST_SPP_WRITE_READ ||
            p.opcode == PST_SPP_LOOP || p.opcode == PST_SPP_WRITE_CONFIG) {
            p.data = (struct pst_bytes){zeros, p.count};
        }
        pst_spp_put_command(out, &p);
    }
}

/* Makes an SPDM message: any code and contents, or VENDOR_DEFINED with a batch. */
static size_t put_spdm(uint8_t *out, size_t cap, struct pst_reader *r, uint8_t code)
{
    static const uint8_t id[PST_VENDOR_ID_LEN] = PST_VENDOR_ID;
    struct pst_writer w = pst_writer_of(out, cap);
    const uint8_t how = pst_get_u8(r);
    size_t len = 0;

    pst_put_u8(&w, (how & 0x40) != 0 ? 0x12 : 0x13);
    if ((how & 0x20) != 0) {
        const struct pst_bytes rest = pst_get_block(r, r->left < 40 ? r->left : 40);
        pst_put_bytes(&w, rest.at, rest.len);
    } else {
        pst_put_u8(&w, code);
        pst_put_u16(&w, 0);
        pst_put_u16(&w, (how & 0x10) != 0 ? how : PST_VENDOR_STANDARD);
        pst_put_u8(&w, sizeof id);
        pst_put_bytes(&w, id, sizeof id);
        uint8_t *length = pst_put_room(&w, 2);
        const size_t before = w.used;
        put_batch(&w, r, how);
        if (length != NULL) {
            pst_poke_u16(length, (uint16_t)(w.used - before + ((how & 0x08) != 0)));
        }
    }
    return pst_written(&w, &len) == PST_OK ? len : 0;
}

static void clear(struct world *w, struct pst_reader *r, uint8_t value)
{
    static const uint8_t kinds[] = {PST_LINK_SPDM, PST_LINK_SPDM, PST_LINK_CLEAR, PST_LINK_RECORD};
    uint8_t buf[512];
    const uint32_t link = (value & 4) != 0 ? DATA_LINK : 0;
    const size_t len = put_spdm(buf, sizeof buf, r, PST_VENDOR_DEFINED_REQUEST);

    if ((value & 8) == 0) {
        to_target(w, link, kinds[value & 3], buf, len);
    } else if (link == 0) {
        fnet_to_debugger(&w->n, kinds[value & 3], buf, len);
    } else {
        data_to_debugger(w, kinds[value & 3], buf, len);
    }
}

static struct pst_target_context *context(struct world *w)
{
    for (size_t i = 0; i < FNET_CONTEXTS; i++) {
        struct pst_target_context *c = &w->n.contexts[i];
        if (c->link == 0 && c->protected_ && c->phase != PST_CONTEXT_FREE &&
            c->phase != PST_CONTEXT_ENDING) {
            return c;
        }
    }
    return NULL;
}

/* Seals with the management keys of either side. */
static void sealed(struct world *w, struct pst_reader *r, uint8_t value)
{
    struct pst_target_context *c = context(w);
    const bool by_target = (value & 1) != 0;
    struct pst_record *keys = by_target ? (c != NULL ? &c->record : NULL) : &w->n.dts.record;
    uint8_t buf[1024];

    if (keys == NULL || !keys->send.ready) {
        return;
    }
    const size_t head = pst_record_head(keys);
    size_t len = put_spdm(buf + head, 600, r,
                          by_target ? PST_VENDOR_DEFINED_RESPONSE : PST_VENDOR_DEFINED_REQUEST);
    if (pst_record_seal(keys, buf, sizeof buf, len, 0, &len) != PST_OK) {
        return;
    }
    if (by_target) {
        fnet_to_debugger(&w->n, PST_LINK_RECORD, buf, len);
    } else {
        to_target(w, (value & 2) != 0 ? DATA_LINK : 0, PST_LINK_RECORD, buf, len);
    }
}

/* Seals with the keys of the data link. */
static void sealed_data(struct world *w, struct pst_reader *r, uint8_t value)
{
    const bool by_target = (value & 1) != 0;
    struct pst_data *keys = by_target ? &w->paths[0].records : &w->n.dts.data.records;
    uint8_t buf[1024];

    if (!keys->record.send.ready) {
        return;
    }
    const size_t head = pst_data_head(keys);
    struct pst_writer batch = pst_writer_of(buf + head, 600);
    put_batch(&batch, r, value);
    size_t len = batch.used;
    if (pst_data_seal(keys, buf, sizeof buf, len, &len) != PST_OK) {
        return;
    }
    if (by_target) {
        data_to_debugger(w, PST_LINK_RECORD, buf, len);
    } else {
        to_target(w, (value & 2) != 0 ? 0 : DATA_LINK, PST_LINK_RECORD, buf, len);
    }
}

/* Changes a message in transit. */
static void changed(struct world *w, uint8_t value, uint16_t at)
{
    uint8_t msg[2048], kind = 0;
    const size_t len = (value & 1) != 0
                           ? pst_debugger_output(&w->n.dts, &kind, msg, sizeof msg)
                           : pst_target_output(&w->n.target, 0, &kind, msg, sizeof msg);

    if (!w->n.up || len == 0) {
        return;
    }
    need(kind == PST_LINK_SPDM || kind == PST_LINK_RECORD);
    msg[at % len] ^= value | 1;
    if ((value & 1) != 0) {
        to_target(w, 0, kind, msg, len);
    } else {
        fnet_to_debugger(&w->n, kind, msg, len);
    }
}

static void submit(struct world *w, uint8_t value)
{
    const unsigned i = value & 3;

    if (w->busy[i]) {
        return;
    }
    w->busy[i] = true;
    w->ops[i] = (struct pst_spp_op){
        .space = (value & 4) != 0 ? PST_AS_RUN : PST_AS_MEMORY,
        .address = (value & 4) == 0    ? FNET_RAM_AT + value
                   : (value & 16) != 0 ? (uint64_t)PST_RUN_RESUME
                                       : (uint64_t)PST_RUN_INTERRUPT,
        .data = w->data[i],
        .len = value % 64u,
        .done = done,
        .ctx = &w->busy[i],
    };
    if ((value & 8) != 0) {
        pst_debugger_write(&w->n.dts, &w->ops[i]);
    } else {
        pst_debugger_read(&w->n.dts, &w->ops[i]);
    }
}

static void toggle(struct world *w, uint8_t value)
{
    struct fnet *n = &w->n;

    switch (value & 7) {
    case 0:
        n->memory.pending = value >> 4;
        break;
    case 1:
        n->run.event = true;
        break;
    case 2:
        n->log_fails = !n->log_fails;
        break;
    case 3:
        n->memory.fails = !n->memory.fails;
        break;
    case 4:
        n->ts_signer.pending = value >> 4 & 7;
        break;
    case 5:
        n->config.path_count = value >> 6;
        n->config.path_count = n->config.path_count > 2 ? 2 : n->config.path_count;
        break;
    case 6:
        pst_debugger_stop(&n->dts);
        break;
    default:
        (void)!pst_target_stop(&n->target, PST_ERR_LIMIT);
        break;
    }
}

static void command(struct world *w, struct pst_reader *r)
{
    const uint8_t op = pst_get_u8(r), value = pst_get_u8(r);

    switch (op % 10) {
    case 0:
        run(w, value % 32 + 1u);
        break;
    case 1:
        clear(w, r, value);
        break;
    case 2:
        sealed(w, r, value);
        break;
    case 3:
        sealed_data(w, r, value);
        break;
    case 4:
        w->n.now += (uint64_t)value * 50;
        (void)pst_target_poll(&w->n.target);
        (void)pst_debugger_poll(&w->n.dts);
        break;
    case 5:
        toggle(w, value);
        break;
    case 6:
        submit(w, value);
        break;
    case 7:
        changed(w, value, pst_get_u16(r));
        break;
    case 8:
        (void)move_data(w);
        break;
    default:
        if (w->n.up) {
            cut(w);
        } else {
            cut(w); /* the data link may have survived the management link */
            pst_debugger_wipe(&w->n.dts);
            start(w);
        }
        break;
    }
}

static void check(const struct world *w)
{
    for (size_t i = 0; i < FNET_CONTEXTS; i++) {
        const struct pst_target_context *c = &w->n.contexts[i];
        need(c->phase != PST_CONTEXT_LIVE || (c->protected_ && c->name[0] != '\0'));
        need(c->phase != PST_CONTEXT_PENDING || c->engine.config.bootstrap || c->closing != PST_OK);
        need(c->data == NULL || c->data->context == c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct pst_reader r = pst_reader_of(data, size);

    memset(&w, 0, sizeof w);
    fnet_init(&w.n, pst_get_u8(&r) & (uint8_t)~FNET_LOSSY);
    w.two_links = (pst_get_u8(&r) & 1) != 0;
    w.n.traits.native = true;
    w.n.traits.pushes = false;
    w.n.config.native = &pst_target_native;
    w.n.config.data = &pst_target_data;
    w.n.config.paths = w.paths;
    w.n.config.path_count = 2;
    need(pst_target_init(&w.n.target, &w.n.config, w.n.contexts, w.n.buffers, FNET_CONTEXTS) ==
         PST_OK);
    w.data_traits = w.n.traits;
    w.data_traits.native = false;
    start(&w);
    for (unsigned i = 0; r.left > 0 && !r.failed && i < 100; i++) {
        command(&w, &r);
        check(&w);
    }
    w.n.log_fails = false;
    fnet_end(&w.n);
    for (size_t i = 0; i < OPS; i++) {
        need(!w.busy[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        need(w.paths[i].context == NULL && !w.paths[i].records.record.send.ready);
    }
    return 0;
}
