/* Stop reports, memory maps and descriptions from a hostile target.
 *
 * Input: length u16 and bytes of the memory map, of the description and of the first status; then
 * stop reports, each after a length u16. After each report gdb reads everything.
 *
 * pst-link: gdb stub spp wire */
#include "fuzz/fuzz.h"

#include "postern/parts/gdb_server.h"

enum { PACKET = 2048, DESCRIPTION = 1024 };

struct target {
    struct pst_bytes map, description, status;
};

static void submit(void *ctx, struct pst_spp_op *op)
{
    const struct target *t = ctx;
    struct pst_bytes give = {NULL, 0};
    op->result = PST_OK;
    op->moved = 0;
    if (op->opcode == PST_SPP_READ && op->space == PST_AS_RUN) {
        if (op->address == PST_RUN_ARCH) {
            give = (struct pst_bytes){(const uint8_t *)"riscv:rv32", 10};
        } else if (op->address == PST_RUN_MEMORY_MAP) {
            give = t->map;
        } else if (op->address == PST_RUN_DESCRIPTION) {
            give = t->description;
        } else if (op->address == PST_RUN_STATUS) {
            give = t->status;
        } else {
            op->result = PST_ERR_FAULT;
        }
        op->moved = give.len < op->len ? (uint32_t)give.len : op->len;
        if (op->moved > 0) {
            memcpy(op->data, give.at, op->moved);
        }
    } else if (op->opcode == PST_SPP_READ) {
        memset(op->data, 0, op->len);
        op->moved = op->len;
    }
    op->done(op->ctx, op);
}

static void ask(struct pst_gdb_server *g, const char *text)
{
    uint8_t bytes[128];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_text(&p, text);
    pst_rsp_end(&p);
    if (pst_gdb_server_receive(g, bytes, w.used) != w.used) {
        abort();
    }
    struct pst_bytes out = pst_gdb_server_pending(g);
    if (out.len < 4 || out.len > 3 * PACKET) {
        abort();
    }
    pst_gdb_server_sent(g, out.len);
}

static void ask_all(struct pst_gdb_server *g)
{
    static const char *const packets[] = {"?",
                                          "g",
                                          "p20",
                                          "qfThreadInfo",
                                          "qXfer:threads:read::0,400",
                                          "qXfer:memory-map:read::0,7f0",
                                          "qXfer:features:read:target.xml:0,7f0",
                                          "m80000000,40",
                                          "m0,10"};
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        ask(g, packets[i]);
    }
}

static struct pst_bytes get_part(struct pst_reader *r)
{
    size_t len = pst_get_u16(r);
    return pst_get_block(r, len < r->left ? len : r->left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[PST_GDB_MEMORY(PACKET, DESCRIPTION)];
    static struct pst_gdb_server g;
    struct target t;
    struct pst_reader r = pst_reader_of(data, size);
    const struct pst_gdb_server_config config = {
        .backend = {.ctx = &t, .submit = submit},
        .memory = memory,
        .memory_len = sizeof memory,
        .packet_size = PACKET,
        .description_size = DESCRIPTION,
        .bare_metal = true,
    };
    t.map = get_part(&r);
    t.description = get_part(&r);
    t.status = get_part(&r);
    memset(memory, 0, sizeof memory);
    if (pst_gdb_server_init(&g, &config) != PST_OK) {
        abort();
    }
    pst_gdb_server_start(&g);
    while (r.left > 0 && pst_reader_ok(&r)) {
        struct pst_bytes report = get_part(&r);
        pst_gdb_server_event(&g, report);
        struct pst_bytes out = pst_gdb_server_pending(&g);
        pst_gdb_server_sent(&g, out.len);
        if (pst_gdb_server_state(&g) != PST_GDB_ATTACHING) {
            ask_all(&g);
        }
        if (pst_gdb_server_state(&g) == PST_GDB_HALTED) {
            (void)pst_gdb_server_receive(&g, (const uint8_t *)"$c#63", 5);
        }
    }
    return 0;
}
