/* The gdb server between a gdb that sends any bytes and a target that gives any answers.
 *
 * The input is a list of steps: bytes from gdb, complete packets, answers of the target, stop
 * reports, time, the end. The first byte selects whether operations complete later or inside
 * submit. pst-link: gdb stub spp wire */
#include "fuzz/fuzz.h"

#include "postern/parts/gdb_server.h"

enum { PACKET = 1024, DESCRIPTION = 512, QUEUE = 16 };
#define MEMORY (PST_GDB_MEMORY(PACKET, DESCRIPTION))

struct target {
    struct pst_reader in;
    struct pst_spp_op *queue[QUEUE];
    size_t queued;
    bool at_once;
};

static void require(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* Completes an operation with any error and any number of bytes up to the requested one. */
static void complete(struct target *t, struct pst_spp_op *op)
{
    static const pst_err results[] = {
        PST_OK,        PST_OK,         PST_OK,        PST_OK,
        PST_OK,        PST_ERR_DENIED, PST_ERR_FAULT, PST_ERR_UNSUPPORTED,
        PST_ERR_STATE, PST_ERR_CLOSED};
    uint8_t how = pst_get_u8(&t->in);
    op->result = results[how % (sizeof results / sizeof results[0])];
    op->moved = op->len;
    if (op->opcode == PST_SPP_READ) {
        uint32_t len = pst_get_u16(&t->in);
        len = len < op->len ? len : op->len;
        size_t given = len < t->in.left ? len : t->in.left;
        memset(op->data, 0, len);
        pst_get_copy(&t->in, op->data, given);
        op->moved = len;
    } else {
        volatile uint8_t sum = 0; /* the sanitizer checks that the bytes to send are readable */
        for (uint32_t i = 0; i < op->len; i++) {
            sum = (uint8_t)(sum + op->data[i]);
        }
    }
    op->done(op->ctx, op);
}

static void submit(void *ctx, struct pst_spp_op *op)
{
    struct target *t = ctx;
    require(op->space == PST_AS_RUN || op->space == PST_AS_MEMORY);
    require(op->opcode == PST_SPP_READ || op->opcode == PST_SPP_WRITE);
    if (t->at_once) {
        complete(t, op);
        return;
    }
    require(t->queued < QUEUE);
    t->queue[t->queued++] = op;
}

static void turn(struct target *t)
{
    struct pst_spp_op *batch[QUEUE];
    size_t n = t->queued;
    memcpy(batch, t->queue, sizeof batch);
    t->queued = 0;
    for (size_t i = 0; i < n; i++) {
        complete(t, batch[i]);
    }
}

static void drain(struct pst_gdb_server *g, size_t most)
{
    struct pst_bytes out = pst_gdb_server_pending(g);
    volatile uint8_t sum = 0;
    require(out.len <= 3 * PACKET);
    for (size_t i = 0; i < out.len; i++) {
        sum = (uint8_t)(sum + out.at[i]);
    }
    pst_gdb_server_sent(g, out.len < most ? out.len : most);
}

static void feed(struct pst_gdb_server *g, const uint8_t *at, size_t len)
{
    size_t used = pst_gdb_server_receive(g, at, len);
    require(used <= len);
}

static void packet(struct pst_gdb_server *g, struct pst_bytes payload)
{
    uint8_t bytes[600];
    struct pst_writer w = pst_writer_of(bytes, sizeof bytes);
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_binary(&p, payload.at, payload.len);
    pst_rsp_end(&p);
    require(!w.failed);
    feed(g, bytes, w.used);
}

static void event(struct pst_gdb_server *g, struct pst_bytes report)
{
    uint8_t *copy =
        malloc(report.len + 1); /* exact size, so that the sanitizer finds reads past its end */
    require(copy != NULL);
    if (report.len > 0) {
        memcpy(copy, report.at, report.len);
    }
    pst_gdb_server_event(g, (struct pst_bytes){copy, report.len});
    free(copy);
}

static void move(struct pst_gdb_server *g, struct target *t, uint64_t *now)
{
    uint8_t what = pst_get_u8(&t->in);
    size_t len = pst_get_u8(&t->in);
    struct pst_bytes bytes = {NULL, 0};
    if (what % 8 < 3) {
        bytes = pst_get_block(&t->in, len < t->in.left ? len : t->in.left);
    }
    switch (what % 8) {
    case 0:
        feed(g, bytes.at, bytes.len);
        break;
    case 1:
        packet(g, bytes);
        break;
    case 2:
        event(g, bytes);
        break;
    case 3:
    case 4:
        turn(t);
        break;
    case 5:
        drain(g, len);
        break;
    case 6:
        *now += len * 20;
        (void)pst_gdb_server_poll(g, *now);
        break;
    default:
        if (len == 7) {
            pst_gdb_server_lost(g, NULL);
        }
        drain(g, SIZE_MAX);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t memory[MEMORY];
    static struct pst_gdb_server g;
    struct target t = {.in = pst_reader_of(data, size)};
    uint8_t flags = pst_get_u8(&t.in);
    const struct pst_gdb_server_config config = {
        .backend = {.ctx = &t, .submit = submit},
        .memory = memory,
        .memory_len = sizeof memory,
        .packet_size = PACKET,
        .description_size = DESCRIPTION,
        .bare_metal = (flags & 2) != 0,
    };
    uint64_t now = 1;
    memset(memory, 0, sizeof memory);
    require(pst_gdb_server_init(&g, &config) == PST_OK);
    t.at_once = (flags & 1) != 0;
    pst_gdb_server_start(&g);
    while (t.in.left > 0 && pst_reader_ok(&t.in)) {
        move(&g, &t, &now);
    }
    /* In the end all operations must complete and a packet must be answered. */
    for (int i = 0; i < 64 && t.queued > 0; i++) {
        turn(&t);
    }
    require(t.queued == 0);
    pst_gdb_server_lost(&g, NULL);
    drain(&g, SIZE_MAX);
    drain(&g, SIZE_MAX);
    if (!pst_gdb_server_ended(&g)) {
        feed(&g, (const uint8_t *)"#00#00", 6); /* closes what was left open */
        drain(&g, SIZE_MAX);
        packet(&g, (struct pst_bytes){(const uint8_t *)"?", 1});
        for (int i = 0; i < 64 && t.queued > 0; i++) {
            turn(&t);
        }
        require(pst_gdb_server_pending(&g).len >= 4 || pst_gdb_server_ended(&g));
    }
    return 0;
}
