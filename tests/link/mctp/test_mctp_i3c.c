/* MCTP over I3C: the PEC, queues, NACK and IBI, and the reliable link over all of it.
 * pst-link: posix */
#include "posix/links/i3c/model.h"
#include "postern/links/mctp_i3c.h"
#include "postern/links/mctp_link.h"
#include "pst_test.h"

static void test_pec(void **state)
{
    uint8_t packet[PST_MCTP_I3C_PACKET + 1], out[PST_I3C_MAX], bit;
    struct pst_bytes got;
    size_t len;

    (void)state;
    /* CRC-8 of "123456789" is F4; '1' is 0x31 = address 0x18, read. */
    CHECK_EQ(pst_mctp_i3c_put(0x18, true, (const uint8_t *)"23456789", 8, out, &len), PST_OK);
    CHECK_EQ(len, 9);
    CHECK_EQ(out[8], 0xF4);
    memset(packet, 0x5A, sizeof packet);
    CHECK_EQ(pst_mctp_i3c_put(9, false, packet, 3, out, &len), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_mctp_i3c_put(9, false, packet, sizeof packet, out, &len), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_mctp_i3c_put(9, false, packet, sizeof packet - 1, out, &len), PST_OK);
    CHECK_EQ(len, PST_I3C_MAX);
    CHECK_EQ(pst_mctp_i3c_get(9, false, out, len, &got), PST_OK);
    CHECK_EQ(got.len, PST_MCTP_I3C_PACKET);
    CHECK_EQ(pst_mctp_i3c_get(9, true, out, len, &got), PST_ERR_DECODE);
    CHECK_EQ(pst_mctp_i3c_get(8, false, out, len, &got), PST_ERR_DECODE);
    CHECK_EQ(pst_mctp_i3c_put(9, false, packet, 20, out, &len), PST_OK);
    for (size_t n = 0; n < len; n++) {
        CHECK_EQ(pst_mctp_i3c_get(9, false, out, n, &got), PST_ERR_DECODE);
    }
    for (size_t i = 0; i < 8 * len; i++) {
        bit = (uint8_t)(1u << i % 8);
        out[i / 8] ^= bit;
        CHECK_EQ(pst_mctp_i3c_get(9, false, out, len, &got), PST_ERR_DECODE);
        out[i / 8] ^= bit;
    }
}

/* --- a device for the model --- */

static bool dev_ready(void *ctx)
{
    return pst_mctp_i3c_target_ready(ctx);
}
static void dev_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    const pst_err err = pst_mctp_i3c_target_write(ctx, address, data, len);
    CHECK(err == PST_OK || err == PST_ERR_DECODE || err == PST_ERR_BUSY);
}
static size_t dev_read(void *ctx, uint8_t address, uint8_t out[PST_I3C_MAX])
{
    return pst_mctp_i3c_target_read(ctx, address, out);
}
static pst_err dev_ccc(void *ctx, uint8_t code, uint8_t defining, const uint8_t *data, size_t len)
{
    (void)ctx, (void)code, (void)defining, (void)data, (void)len;
    return PST_ERR_UNSUPPORTED;
}
static pst_err dev_ccc_read(void *ctx, uint8_t code, uint8_t defining,
                            uint8_t out[PST_I3C_STATUS_LEN], size_t *len)
{
    (void)ctx, (void)code, (void)defining, (void)out, (void)len;
    return PST_ERR_UNSUPPORTED;
}
static size_t dev_ibi(void *ctx, uint8_t out[2])
{
    return pst_mctp_i3c_target_ibi(ctx, out);
}
static void dev_ibi_done(void *ctx, const uint8_t ibi[2])
{
    CHECK_EQ(ibi[0], 0xAE);
    pst_mctp_i3c_target_ibi_done(ctx);
}
static bool dev_pattern(void *ctx)
{
    (void)ctx;
    return false;
}
static const struct pst_i3c_device_ops dev_ops = {
    dev_ready, dev_write, dev_read, dev_ccc, dev_ccc_read, dev_ibi, dev_ibi_done, dev_pattern};

static struct rig {
    struct pst_i3c_model model;
    struct pst_i3c_view view;
    struct pst_i3c_device device;
    struct pst_mctp_i3c_target target;
    struct pst_mctp_i3c_controller controller;
    uint64_t now;
} rig;

static void start(uint64_t seed, bool interrupts)
{
    memset(&rig, 0, sizeof rig);
    pst_i3c_model_init(&rig.model, seed);
    pst_mctp_i3c_target_init(&rig.target);
    rig.device = (struct pst_i3c_device){.ops = &dev_ops, .ctx = &rig.target, .id = 5};
    CHECK_EQ(pst_i3c_model_attach(&rig.model, &rig.device), PST_OK);
    pst_i3c_model_look(&rig.view, &rig.model, interrupts);
    CHECK_EQ(pst_mctp_i3c_controller_init(&rig.controller, &rig.view.bus, 5), PST_OK);
}

static pst_err turn(void)
{
    uint32_t wait;
    const pst_err err = pst_mctp_i3c_controller_step(&rig.controller, rig.now, &wait);

    CHECK_EQ(rig.model.misused, 0);
    rig.now += wait < 3 ? wait : 3;
    return err;
}

/* Each packet once and in order; a bus reset between them does not matter. */
static void test_packets(void **state)
{
    (void)state;
    for (int interrupts = 0; interrupts < 2; interrupts++) {
        uint8_t packet[68] = {0};
        unsigned out[2] = {0}, in[2] = {0};
        struct pst_bytes got;

        start(1, interrupts != 0);
        rig.model.faults.nack = 200;
        rig.model.faults.pend = 200;
        for (int i = 0; i < 100000 && (in[0] < 200 || in[1] < 200); i++) {
            CHECK_EQ(turn(), PST_OK);
            if (i % 97 == 0) {
                pst_i3c_model_reset(&rig.model);
            }
            packet[4] = (uint8_t)out[0];
            if (out[0] < 200) {
                out[0] += pst_mctp_i3c_controller_send(&rig.controller, packet, 5) == PST_OK;
            }
            packet[4] = (uint8_t)out[1];
            if (out[1] < 200) {
                out[1] += pst_mctp_i3c_target_send(&rig.target, packet, 68) == PST_OK;
            }
            if (pst_mctp_i3c_target_receive(&rig.target, &got) == PST_OK) {
                CHECK_EQ(got.len, 5);
                CHECK_EQ(got.at[4], in[0]++);
            }
            if (pst_mctp_i3c_controller_receive(&rig.controller, &got) == PST_OK) {
                CHECK_EQ(got.len, 68);
                CHECK_EQ(got.at[4], in[1]++);
            }
        }
        CHECK_EQ(in[0], 200);
        CHECK_EQ(in[1], 200);
        CHECK(rig.device.ibis > 0); /* it raises IBIs even if nobody handles them */
    }
}

static void test_limits(void **state)
{
    uint8_t packet[PST_I3C_MAX] = {0};
    pst_err err = PST_OK;

    (void)state;
    start(2, true);
    CHECK_EQ(pst_mctp_i3c_target_send(&rig.target, packet, 3), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_mctp_i3c_target_send(&rig.target, packet, 255), PST_ERR_ARGUMENT);
    for (int i = 0; i < PST_MCTP_I3C_QUEUE; i++) {
        CHECK_EQ(pst_mctp_i3c_target_send(&rig.target, packet, 254), PST_OK);
    }
    CHECK_EQ(pst_mctp_i3c_target_send(&rig.target, packet, 254), PST_ERR_BUSY);
    /* No device. */
    rig.device.absent = true;
    for (int i = 0; i < 10000 && err == PST_OK; i++) {
        err = turn();
    }
    CHECK_EQ(err, PST_ERR_TIMEOUT);
    CHECK_EQ(pst_mctp_i3c_controller_send(&rig.controller, packet, 5), PST_ERR_CLOSED);
}

/* The reliable link over it, on a bus with all faults: every byte arrives. */
enum { MTU = 4 * PST_MCTP_BASELINE - PST_MCTP_LINK_HEAD, BUFFER = 8192, STREAM = 40000 };
static struct {
    struct pst_mctp_link link[2];
    struct pst_reliable_sent sent[2][PST_RELIABLE_MAX_SENT];
    uint8_t message[2][PST_LINK_MAX_MESSAGE], send[2][BUFFER], receive[2][BUFFER];
    uint8_t work[2][PST_MCTP_LINK_WORK(MTU)];
    uint8_t stream[STREAM];
} ends;

static void open_end(int i)
{
    const struct pst_mctp_link_config config = {
        .link = {.target = i == 0,
                 .id = 10u + (uint32_t)i,
                 .start = 20,
                 .mtu_first = MTU,
                 .mtu_most = MTU,
                 .timing = pst_mctp_line_timing(0, MTU, PST_MCTP_BASELINE, NULL),
                 .message = ends.message[i],
                 .message_cap = PST_LINK_MAX_MESSAGE,
                 .send = ends.send[i],
                 .send_cap = BUFFER,
                 .receive = ends.receive[i],
                 .receive_cap = BUFFER,
                 .sent = ends.sent[i],
                 .sent_count = PST_RELIABLE_MAX_SENT},
        .listens = i == 0,
        .eid = (uint8_t)(9 - i),
        .unit = PST_MCTP_BASELINE,
        .pause_ms = 200,
        .work = ends.work[i],
        .work_len = sizeof ends.work[i],
    };
    CHECK_EQ(pst_mctp_link_open(&ends.link[i], &config, rig.now), PST_OK);
}

static void carry(void)
{
    uint8_t packet[PST_MCTP_I3C_PACKET];
    struct pst_bytes got;
    size_t len;

    while (pst_mctp_i3c_controller_room(&rig.controller) &&
           (len = pst_mctp_link_output(&ends.link[1], packet, sizeof packet, rig.now)) > 0) {
        CHECK_EQ(pst_mctp_i3c_controller_send(&rig.controller, packet, len), PST_OK);
    }
    while (pst_mctp_i3c_target_room(&rig.target) &&
           (len = pst_mctp_link_output(&ends.link[0], packet, sizeof packet, rig.now)) > 0) {
        CHECK_EQ(pst_mctp_i3c_target_send(&rig.target, packet, len), PST_OK);
    }
    while (pst_mctp_i3c_target_receive(&rig.target, &got) == PST_OK) {
        (void)pst_mctp_link_input(&ends.link[0], got.at, got.len, rig.now);
    }
    while (pst_mctp_i3c_controller_receive(&rig.controller, &got) == PST_OK) {
        (void)pst_mctp_link_input(&ends.link[1], got.at, got.len, rig.now);
    }
}

static void test_link(void **state)
{
    struct pst_test_rng rng = {9};

    (void)state;
    pst_test_rng_fill(&rng, ends.stream, STREAM);
    for (int faults = 0; faults < 2; faults++) {
        uint8_t piece[500];
        size_t put[2] = {0}, got[2] = {0};

        start(3, true);
        if (faults != 0) {
            rig.model.faults = (struct pst_i3c_faults){.nack = 50,
                                                       .pend = 50,
                                                       .lose = 10,
                                                       .twice = 10,
                                                       .broken = 10,
                                                       .write = 10,
                                                       .read = 10,
                                                       .cut = 10,
                                                       .drop_ibi = 100,
                                                       .bus_reset = 2};
        }
        open_end(0);
        open_end(1);
        for (int i = 0; i < 2000000 && (got[0] < STREAM || got[1] < STREAM); i++) {
            CHECK_EQ(turn(), PST_OK);
            rig.now += i % 8 == 0;
            carry();
            for (int e = 0; e < 2; e++) {
                if (ends.link[e].link.state != PST_OK) {
                    continue;
                }
                put[e] +=
                    pst_reliable_write(&ends.link[e].link, ends.stream + put[e], STREAM - put[e]);
                const size_t n = pst_reliable_read(&ends.link[e].link, piece, sizeof piece);
                CHECK_BYTES(piece, ends.stream + got[e], n);
                got[e] += n;
            }
        }
        CHECK_EQ(got[0], STREAM);
        CHECK_EQ(got[1], STREAM);
    }
}

/* --- a slow bus --- */

static struct {
    int reads, ibis;
    bool done; /* with the read that is under way */
} slow;

static pst_err slow_find(void *ctx, uint64_t id, uint8_t *address)
{
    (void)ctx, (void)id;
    *address = 9;
    return PST_OK;
}
static pst_err slow_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    (void)ctx, (void)address, (void)data, (void)len;
    return PST_OK;
}
static pst_err slow_read(void *ctx, uint8_t address, uint8_t *data, size_t cap, size_t *len)
{
    (void)ctx;
    CHECK(cap >= PST_I3C_MAX);
    if (!slow.done) {
        return PST_PENDING;
    }
    slow.done = false;
    slow.reads++;
    return pst_mctp_i3c_put(address, true, (const uint8_t *)"packet", 6, data, len);
}
static pst_err slow_ibi(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi)
{
    (void)ctx, (void)address;
    if (slow.ibis == 0) {
        return PST_PENDING;
    }
    slow.ibis--;
    *ibi = (struct pst_i3c_ibi){.bytes = {PST_MCTP_I3C_IBI}, .len = 1};
    return PST_OK;
}

/* An IBI reported before the end of the previous read refers to the next packet. */
static void test_early_ibi(void **state)
{
    const struct pst_i3c_bus bus = {
        .find = slow_find, .write = slow_write, .read = slow_read, .poll_ibi = slow_ibi};

    (void)state;
    memset(&slow, 0, sizeof slow);
    memset(&rig, 0, sizeof rig);
    CHECK_EQ(pst_mctp_i3c_controller_init(&rig.controller, &bus, 5), PST_OK);
    CHECK_EQ(turn(), PST_OK);
    CHECK_EQ(turn(), PST_OK); /* reads what may be there */
    for (int i = 1; i < 5; i++) {
        struct pst_bytes packet;
        const uint64_t began = rig.now;

        slow.ibis = 1;
        CHECK_EQ(turn(), PST_OK);
        slow.done = true;
        CHECK_EQ(turn(), PST_OK);
        CHECK_EQ(slow.reads, i);
        CHECK_EQ(pst_mctp_i3c_controller_receive(&rig.controller, &packet), PST_OK);
        CHECK_EQ(turn(), PST_OK); /* the next one is under way */
        CHECK(rig.now - began <= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pec),       cmocka_unit_test(test_packets),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_link),
        cmocka_unit_test(test_early_ibi),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
