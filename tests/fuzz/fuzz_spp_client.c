/* The SPP client with any answers. Input: a byte of setup, then messages, each after a length byte.
 * Operations must complete once and never write beyond their buffers. */
#include "fuzz.h"

#include "postern/parts/spp.h"

enum { OPS = 5, LEN = 40, GUARD = 8 };

struct world {
    struct pst_spp_client client;
    struct pst_spp_op ops[OPS];
    uint8_t data[OPS][LEN + GUARD];
    unsigned done[OPS];
};

static void on_done(void *ctx, struct pst_spp_op *op)
{
    (*(unsigned *)ctx)++;
    need(op->result != PST_PENDING);
    need(op->moved <= LEN);
}

static void set_up(struct world *w, uint8_t how)
{
    static const pst_spp_opcode opcodes[OPS] = {PST_SPP_READ, PST_SPP_WRITE, PST_SPP_READ_CONFIG,
                                                PST_SPP_LOOP, PST_SPP_READ};
    static const uint32_t lens[OPS] = {LEN, LEN, 4, PST_SPP_LOOP_OPERAND, 7};

    pst_spp_client_init(&w->client, (how & 1) != 0 ? PST_SPP_FULL : PST_SPP_TINY,
                        (how & 2) != 0 ? 16 : 100, 400);
    for (unsigned i = 0; i < OPS; i++) {
        const unsigned k = (i + (how >> 2)) % OPS;

        memset(w->data[i], 0xA5, sizeof w->data[i]);
        w->ops[i] = (struct pst_spp_op){.opcode = opcodes[k],
                                        .space = PST_AS_MEMORY,
                                        .data = w->data[i],
                                        .len = lens[k],
                                        .done = on_done,
                                        .ctx = &w->done[i]};
        pst_spp_client_submit(&w->client, &w->ops[i]);
    }
}

static void check(const struct world *w)
{
    for (unsigned i = 0; i < OPS; i++) {
        need(w->done[i] <= 1);
        need((w->done[i] == 1) == (w->ops[i].result != PST_PENDING));
        for (size_t k = w->ops[i].len; k < LEN + GUARD; k++) {
            need(w->data[i][k] == 0xA5);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct pst_reader r = pst_reader_of(data, size);
    uint8_t batch[200];

    memset(&w, 0, sizeof w);
    set_up(&w, pst_get_u8(&r));
    while (r.left > 0) {
        const uint8_t wanted = pst_get_u8(&r);
        const size_t len = wanted < r.left ? wanted : r.left;

        need(pst_spp_client_batch(&w.client, batch, sizeof batch) <= sizeof batch);
        const struct pst_bytes msg = pst_get_block(&r, len);
        const pst_err err = pst_spp_client_receive(&w.client, msg.at, msg.len);
        need(err == PST_OK || err == PST_ERR_DECODE);
        check(&w);
    }
    pst_spp_client_abort(&w.client, PST_ERR_CLOSED);
    check(&w);
    for (unsigned i = 0; i < OPS; i++) {
        need(w.done[i] == 1);
    }
    return 0;
}
