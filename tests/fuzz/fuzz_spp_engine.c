/* The command engine with any batches. Input: a byte of setup, then batches, each after a length
 * byte. Answers must be well-formed and fit. A bootstrap engine must reach no access space. */
#include "fuzz.h"

#include "spp/fake_space.h"

struct world {
    struct pst_spp_engine engine;
    struct fake spaces[PST_AS_COUNT];
    struct fake_gate gate;
    uint8_t queue[300];
    uint8_t out[300];
    size_t cap;
};

static void set_up(struct world *w, uint8_t how)
{
    struct pst_spp_engine_config config = {
        .queue = w->queue,
        .queue_len = sizeof w->queue,
        .gate = (how & 1) != 0 ? NULL : &w->gate.gate,
        .bootstrap = (how & 2) != 0,
    };

    fake_gate_init(&w->gate);
    for (size_t i = 0; i < PST_AS_COUNT; i++) {
        fake_init(&w->spaces[i]);
        w->spaces[i].delay = how >> 2 & 3U;
        w->spaces[i].enable_delay = how >> 4 & 1U;
        w->spaces[i].event_len = how >> 5 & 1U;
        w->spaces[i].bad = 0x80;
        config.spaces[i] = i == 6 ? NULL : &w->spaces[i].space;
    }
    w->cap = (how & 0x40) != 0 ? sizeof w->out : 64;
    need(pst_spp_engine_init(&w->engine, &config) == PST_OK);
}

static void drain(struct world *w)
{
    for (unsigned calls = 0; calls < 64; calls++) {
        const size_t len = pst_spp_engine_output(&w->engine, w->out, w->cap);
        struct pst_reader r = pst_reader_of(w->out, len);
        struct pst_spp_packet p;

        need(len <= w->cap);
        while (r.left > 0) {
            need(pst_spp_get_response(&r, &p) == PST_OK);
        }
        if (len == 0 && !pst_spp_engine_waiting(&w->engine)) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct pst_reader r = pst_reader_of(data, size);
    const uint8_t how = pst_get_u8(&r);

    memset(&w, 0, sizeof w);
    set_up(&w, how);
    while (r.left > 0) {
        const uint8_t wanted = pst_get_u8(&r);
        const size_t len = wanted < r.left ? wanted : r.left;
        const struct pst_bytes batch = pst_get_block(&r, len);
        const pst_err err = pst_spp_engine_receive(&w.engine, batch.at, batch.len);

        need(err == PST_OK || err == PST_ERR_DECODE || err == PST_ERR_LIMIT);
        drain(&w);
    }
    for (size_t i = 0; i < PST_AS_SCM && (how & 3) != 0; i++) {
        need(w.spaces[i].performed + w.spaces[i].urgent + w.spaces[i].enabled == 0);
    }
    for (unsigned i = 0; i < 4 && pst_spp_engine_stop(&w.engine) == PST_PENDING; i++)
        ;
    need(pst_spp_engine_stop(&w.engine) == PST_OK);
    return 0;
}
