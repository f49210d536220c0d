/* USB: descriptors encoded and parsed, every request, and the pipe with stale and truncated
 * transfers.
 */
#include "pst_test.h"

#include "postern/links/usb.h"

enum { CAP = 1024, STREAM = 0x11223344 };

static const struct pst_usb_function gp = {.subclass = PST_USB_DVC_GP, .in = 0x81, .out = 0x01};

/* --- descriptors --- */

static void test_bytes(void **state)
{
    static const char want[] = "08 0b 00 02 dc 05 00 02" /* association */
                               "09 04 00 00 00 dc 08 00 01"
                               "09 04 01 00 02 dc 05 00 02"
                               "07 05 81 02 00 02 00"
                               "07 05 01 02 00 02 00";
    struct pst_usb_function f = gp;
    uint8_t out[CAP], expected[CAP];
    size_t len;
    unsigned count = 0;

    (void)state;
    f.control_text = 1;
    f.data_text = 2;
    CHECK_EQ(pst_usb_function_put(&f, PST_USB_HIGH, out, sizeof out, &len, &count), PST_OK);
    CHECK_EQ(len, pst_test_hex(want, expected, sizeof expected));
    CHECK_EQ(count, 5);
    CHECK_BYTES(out, expected, len);
    f.attributes = true;
    CHECK_EQ(pst_usb_function_put(&f, PST_USB_SUPER, out, sizeof out, &len, &count), PST_OK);
    CHECK_EQ(len, PST_USB_FUNCTION_MAX);
    CHECK_EQ(count, 5 + 8);
    CHECK_BYTES(out + 17, ((const uint8_t[]){39, 0x24, 4, 0, 1, 39, 0}), 7);
    CHECK_BYTES(out + len - 13, ((const uint8_t[]){7, 5, 1, 2, 0, 4, 0, 6, 0x30, 0, 0, 0, 0}), 13);
    for (size_t cap = 0; cap < PST_USB_FUNCTION_MAX; cap++) {
        CHECK_EQ(pst_usb_function_put(&f, PST_USB_SUPER, out, cap, &len, &count), PST_ERR_SPACE);
    }
    CHECK_EQ(count, 13);
}

static pst_err put(uint8_t subclass, uint8_t in, uint8_t to, uint8_t first)
{
    const struct pst_usb_function f = {.subclass = subclass, .in = in, .out = to, .first = first};
    uint8_t out[CAP];
    size_t len;
    unsigned count = 0;

    return pst_usb_function_put(&f, PST_USB_FULL, out, CAP, &len, &count);
}

static void test_contradictions(void **state)
{
    uint8_t out[CAP];
    size_t len;

    (void)state;
    CHECK_EQ(put(PST_USB_DVC_GP, 0x81, 0x01, 254), PST_OK);
    CHECK_EQ(put(PST_USB_DVC_GP, 0x81, 0x01, 255), PST_ERR_ARGUMENT);
    CHECK_EQ(put(PST_USB_DVC_GP, 0x81, 0, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(put(PST_USB_DVC_GP, 0x01, 0x02, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(put(PST_USB_DVC_GP, 0x81, 0x82, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(put(PST_USB_DVC_TRACE, 0x81, 0x02, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(put(PST_USB_CONTROL, 0x81, 0x02, 0), PST_ERR_ARGUMENT);
    CHECK_EQ(pst_usb_config_put(&gp, 0, PST_USB_FULL, out, CAP, &len), PST_ERR_ARGUMENT);
}

static size_t two_functions(uint8_t *out, enum pst_usb_speed speed)
{
    struct pst_usb_function both[2] = {
        {.subclass = PST_USB_DVC_TRACE, .in = 0x83},
        gp
    };
    size_t len = 0;

    both[0].attributes = both[1].attributes = true;
    both[1].first = 2;
    both[1].out = 0x02;
    CHECK_EQ(pst_usb_config_put(both, 2, speed, out, CAP, &len), PST_OK);
    CHECK_EQ(pst_peek_u16(out + 2), len);
    CHECK_EQ(out[4], 4);
    return len;
}

static void test_find(void **state)
{
    static const uint16_t packets[] = {64, 512, 1024};
    struct pst_usb_found f;
    uint8_t out[CAP];

    (void)state;
    for (int speed = PST_USB_FULL; speed <= PST_USB_SUPER; speed++) {
        const size_t len = two_functions(out, (enum pst_usb_speed)speed);
        CHECK_EQ(pst_usb_find(out, len, PST_USB_DVC_GP, &f), PST_OK);
        CHECK(f.configuration == 1 && f.has_control && f.control == 2 && f.data == 3);
        CHECK(f.in == 0x81 && f.out == 2 && f.alternate == 0 && f.protocol == 0);
        CHECK_EQ(f.packet, packets[speed]);
        CHECK_EQ(pst_usb_find(out, len, PST_USB_DVC_TRACE, &f), PST_OK);
        CHECK(f.control == 0 && f.data == 1 && f.in == 0x83 && f.out == 0);
        CHECK_EQ(pst_usb_find(out, len, 6, &f), PST_ERR_UNSUPPORTED);
    }
}

/* Truncated descriptors are malformed. With any changed byte, the interface is found at a valid
 * place or not at all. */
static void test_hostile(void **state)
{
    struct pst_usb_found f;
    uint8_t out[CAP];
    const size_t len = two_functions(out, PST_USB_HIGH);

    (void)state;
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = test_malloc(cut + 1);
        memcpy(copy, out, cut);
        CHECK_EQ(pst_usb_find(copy, cut, PST_USB_DVC_GP, &f), PST_ERR_DECODE);
        test_free(copy);
    }
    for (size_t i = 0; i < len; i++) {
        const uint8_t was = out[i];
        for (unsigned v = 0; v < 256; v++) {
            out[i] = (uint8_t)v;
            if (pst_usb_find(out, len, PST_USB_DVC_GP, &f) == PST_OK) {
                CHECK((f.in & 0x80) != 0 && (f.in & 0x7F) != 0 && (f.out & 0x80) == 0 && f.out > 0);
                CHECK(f.packet % PST_USB_PACKET == 0 && f.packet > 0);
            }
        }
        out[i] = was;
    }
}

/* A setting without endpoints is skipped for one that has them. Small packets are not used. A
 * second configuration is separate. */
static void test_find_odd(void **state)
{
    uint8_t bytes[CAP];
    struct pst_usb_found f;
    size_t len = pst_test_hex("09 02 37 00 02 07 00 80 32"
                              "09 04 04 00 00 dc 05 01 00"
                              "09 04 04 01 03 dc 05 01 00 07 05 82 03 40 00 01"
                              "07 05 83 02 40 00 00 07 05 04 02 40 00 00"
                              "07 05 85 02 40 00 00",
                              bytes, CAP);

    (void)state;
    CHECK_EQ(len, 0x37);
    CHECK_EQ(pst_usb_find(bytes, len, PST_USB_DVC_GP, &f), PST_OK);
    CHECK(f.configuration == 7 && !f.has_control && f.data == 4 && f.alternate == 1);
    CHECK(f.in == 0x83 && f.out == 4 && f.protocol == 1);
    bytes[38] = 8; /* packets of 8 bytes, in */
    CHECK_EQ(pst_usb_find(bytes, len, PST_USB_DVC_GP, &f), PST_OK);
    CHECK_EQ(f.in, 0x85);
    bytes[2] = 9 + 9; /* the rest belongs to nobody */
    CHECK_EQ(pst_usb_find(bytes, len, PST_USB_DVC_GP, &f), PST_ERR_UNSUPPORTED);
}

/* --- requests --- */

static pst_usb_verdict ask(struct pst_usb_control *c, uint8_t request, uint16_t value, uint16_t len,
                           uint8_t *out, size_t *got, bool *reset)
{
    uint8_t setup[PST_USB_SETUP];

    pst_usb_setup_put(setup, request, value, 0, len);
    return pst_usb_control_run(c, setup, out, got, reset);
}

static void test_requests(void **state)
{
    struct pst_usb_control c = {0};
    uint8_t out[PST_USB_INFO_LEN], setup[PST_USB_SETUP];
    size_t n;
    bool reset;

    (void)state;
    CHECK_EQ(ask(&c, PST_USB_GET_INFO, 0, 64, out, &n, &reset), PST_USB_ANSWER);
    CHECK_EQ(n, PST_USB_INFO_LEN);
    CHECK_EQ(pst_usb_info_get(out, n), PST_OK);
    CHECK_EQ(pst_usb_info_get(out, n - 1), PST_ERR_UNSUPPORTED);
    out[4]++;
    CHECK_EQ(pst_usb_info_get(out, n), PST_ERR_PROFILE);
    out[0]++;
    CHECK_EQ(pst_usb_info_get(out, n), PST_ERR_UNSUPPORTED);
    CHECK_EQ(ask(&c, PST_USB_GET_INFO, 0, 3, out, &n, &reset), PST_USB_ANSWER);
    CHECK_EQ(n, 3);
    CHECK_EQ(ask(&c, PST_USB_SET_OPERATING_MODE, PST_USB_MODE_DEBUG, 0, out, &n, &reset),
             PST_USB_ACCEPT);
    CHECK_EQ(ask(&c, PST_USB_SET_OPERATING_MODE, 9, 0, out, &n, &reset), PST_USB_STALL);
    CHECK_EQ(ask(&c, PST_USB_GET_ERROR, 0, 1, out, &n, &reset), PST_USB_ANSWER);
    CHECK(n == 1 && out[0] == PST_USB_BAD_VALUE);
    CHECK_EQ(ask(&c, PST_USB_GET_ERROR, 0, 1, out, &n, &reset), PST_USB_ANSWER);
    CHECK_EQ(out[0], PST_USB_NO_ERROR);
    CHECK_EQ(ask(&c, PST_USB_GET_OPERATING_MODE, 0, 1, out, &n, &reset), PST_USB_ANSWER);
    CHECK(!reset);
    CHECK_EQ(ask(&c, PST_USB_SET_RESET, 0, 0, out, &n, &reset), PST_USB_ACCEPT);
    CHECK(reset);
    CHECK_EQ(ask(&c, PST_USB_SET_RESET, 0, 1, out, &n, &reset), PST_USB_STALL); /* has data */
    CHECK(!reset);
    for (unsigned type = 0; type < 256; type++) { /* nothing else is ever accepted */
        for (unsigned request = 0; request < 256; request++) {
            pst_usb_setup_put(setup, (uint8_t)request, 0, 0, 0);
            setup[0] = (uint8_t)type;
            const pst_usb_verdict v = pst_usb_control_run(&c, setup, out, &n, &reset);
            CHECK(v == PST_USB_STALL || type == 0x21 || type == 0xA1);
            CHECK(!reset || (type == 0x21 && request == PST_USB_SET_RESET));
        }
    }
}

/* --- the pipe --- */

struct rig {
    struct pst_usb_pipe host, device;
    uint64_t now;
};

/* Passes one transfer of a side to the other. Returns the result. */
static pst_usb_event pass(struct rig *rig, struct pst_usb_pipe *from, struct pst_usb_pipe *to)
{
    uint8_t out[PST_USB_OWN];
    struct pst_bytes bytes;
    size_t len;

    CHECK_EQ(pst_usb_pipe_output(from, rig->now, out, &len), PST_OK);
    return pst_usb_pipe_receive(to, rig->now, out, len, &bytes);
}

static void connect_them(struct rig *rig, uint32_t stream)
{
    pst_usb_pipe_call(&rig->host, stream, rig->now);
    CHECK_EQ(pass(rig, &rig->host, &rig->device), PST_USB_OPENED);
    CHECK_EQ(pass(rig, &rig->device, &rig->host), PST_USB_OPENED);
}

static void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    pst_usb_pipe_listen(&rig->device);
    connect_them(rig, STREAM);
}

static uint8_t transfer[PST_USB_TRANSFER];

static size_t send_some(struct pst_usb_pipe *p, size_t n)
{
    static uint8_t bytes[PST_USB_TRANSFER * 2];
    size_t taken, len;

    memset(bytes, (int)n, sizeof bytes);
    pst_usb_pipe_send(p, bytes, n, transfer, sizeof transfer, &taken, &len);
    CHECK_EQ(taken, n < PST_USB_PAYLOAD ? n : PST_USB_PAYLOAD);
    return len;
}

/* Every length in both directions: a transfer is never a multiple of the packet size, and arrives
 * complete. */
static void test_lengths(void **state)
{
    struct rig rig;
    struct pst_bytes bytes;

    (void)state;
    rig_init(&rig);
    for (size_t n = 1; n < PST_USB_TRANSFER + 100; n += n < 300 ? 1 : 61) {
        struct pst_usb_pipe *from = n % 2 == 0 ? &rig.host : &rig.device;
        struct pst_usb_pipe *to = n % 2 == 0 ? &rig.device : &rig.host;
        const size_t len = send_some(from, n);

        CHECK(len > 0 && len < PST_USB_TRANSFER && len % PST_USB_PACKET != 0);
        CHECK_EQ(pst_usb_pipe_receive(to, rig.now, transfer, len, &bytes), PST_USB_BYTES);
        CHECK_EQ(bytes.len, n < PST_USB_PAYLOAD ? n : PST_USB_PAYLOAD);
        CHECK(bytes.at[0] == (uint8_t)n && bytes.at[bytes.len - 1] == (uint8_t)n);
    }
}

/* A truncated transfer, or one with extra bytes, is dropped. The next one shows that it was lost.
 */
static void test_cut(void **state)
{
    struct rig rig;
    struct pst_bytes bytes;

    (void)state;
    rig_init(&rig);
    size_t len = send_some(&rig.host, 200);
    for (size_t n = 0; n < len; n++) {
        CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, transfer, n, &bytes), PST_USB_NOTHING);
    }
    transfer[len] = 0;
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, transfer, len + 1, &bytes),
             PST_USB_NOTHING);
    CHECK(rig.device.open);
    len = send_some(&rig.host, 10);
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, transfer, len, &bytes), PST_USB_LOST);
    CHECK(!rig.device.open);
    CHECK_EQ(pass(&rig, &rig.device, &rig.host), PST_USB_LOST);
    CHECK(!rig.host.open);
}

static void test_close(void **state)
{
    struct rig rig;
    struct pst_bytes bytes;
    uint8_t out[PST_USB_OWN];
    size_t len, taken;

    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        rig_init(&rig);
        struct pst_usb_pipe *from = turn == 0 ? &rig.host : &rig.device;
        struct pst_usb_pipe *to = turn == 0 ? &rig.device : &rig.host;
        pst_usb_pipe_close(from);
        CHECK_EQ(pst_usb_pipe_wake(from), 0);
        CHECK_EQ(pass(&rig, from, to), PST_USB_CLOSED);
        CHECK(!to->open);
        CHECK_EQ(pst_usb_pipe_output(from, 0, out, &len), PST_WANT_MORE);
        pst_usb_pipe_send(to, (const uint8_t *)"x", 1, transfer, sizeof transfer, &taken, &len);
        CHECK(taken == 0 && len == 0);
        pst_usb_pipe_close(to); /* nothing to say any more */
        CHECK_EQ(pst_usb_pipe_output(to, 0, out, &len), PST_WANT_MORE);
        CHECK_EQ(pst_usb_pipe_receive(to, rig.now, out, 0, &bytes), PST_USB_NOTHING);
    }
}

/* A device without room answers by closing the stream. */
static void test_refused(void **state)
{
    struct rig rig = {.now = 5};
    struct pst_bytes bytes;
    uint8_t out[PST_USB_OWN];
    size_t len;

    (void)state;
    pst_usb_pipe_listen(&rig.device);
    pst_usb_pipe_call(&rig.host, STREAM, rig.now);
    CHECK_EQ(pass(&rig, &rig.host, &rig.device), PST_USB_OPENED);
    pst_usb_pipe_close(&rig.device);
    CHECK_EQ(pst_usb_pipe_output(&rig.device, rig.now, out, &len), PST_OK);
    out[4] ^= 1; /* of another stream */
    CHECK_EQ(pst_usb_pipe_receive(&rig.host, rig.now, out, len, &bytes), PST_USB_NOTHING);
    out[4] ^= 1;
    CHECK_EQ(pst_usb_pipe_receive(&rig.host, rig.now, out, len, &bytes), PST_USB_CLOSED);
    rig.now += PST_USB_OPEN_MS;
    CHECK_EQ(pst_usb_pipe_output(&rig.host, rig.now, out, &len), PST_WANT_MORE);
}

/* A host disappeared without closing: pending data of both sides does not reach the next stream. */
static void test_stale(void **state)
{
    struct rig rig;
    struct pst_bytes bytes;
    uint8_t from_host[100], from_device[100], opens[PST_USB_OWN];
    size_t host_len, device_len, opens_len;

    (void)state;
    rig_init(&rig);
    host_len = send_some(&rig.host, 20);
    memcpy(from_host, transfer, host_len);
    device_len = send_some(&rig.device, 20);
    memcpy(from_device, transfer, device_len);

    pst_usb_pipe_drop(&rig.device); /* SET_RESET */
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, from_host, host_len, &bytes),
             PST_USB_NOTHING);
    CHECK_EQ(pass(&rig, &rig.device, &rig.host), PST_USB_LOST); /* told once */
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, from_host, host_len, &bytes),
             PST_USB_NOTHING);
    CHECK_EQ(pst_usb_pipe_output(&rig.device, 0, opens, &opens_len), PST_WANT_MORE);

    pst_usb_pipe_call(&rig.host, STREAM + 77, 0);
    CHECK_EQ(pass(&rig, &rig.host, &rig.device), PST_USB_OPENED);
    CHECK_EQ(pst_usb_pipe_receive(&rig.host, rig.now, from_device, device_len, &bytes),
             PST_USB_NOTHING);
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, from_host, host_len, &bytes),
             PST_USB_NOTHING);
    CHECK(rig.device.open);
    CHECK_EQ(pass(&rig, &rig.device, &rig.host), PST_USB_OPENED);
    host_len = send_some(&rig.host, 20);
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, transfer, host_len, &bytes), PST_USB_BYTES);
    CHECK_EQ(bytes.len, 20);

    /* A host that opens a stream again without a reset ends the old stream. */
    pst_usb_pipe_call(&rig.host, STREAM, 0);
    CHECK_EQ(pass(&rig, &rig.host, &rig.device), PST_USB_OPENED);
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, from_host, host_len, &bytes),
             PST_USB_BYTES);
}

static void test_retry(void **state)
{
    struct rig rig = {.now = 5};
    struct pst_bytes bytes;
    uint8_t out[PST_USB_OWN], opens[PST_USB_OWN];
    size_t len, opens_len;

    (void)state;
    pst_usb_pipe_listen(&rig.device);
    CHECK_EQ(pst_usb_pipe_wake(&rig.device), UINT64_MAX);
    pst_usb_pipe_call(&rig.host, UINT32_MAX, rig.now);
    CHECK_EQ(pst_usb_pipe_output(&rig.host, rig.now, out, &len), PST_OK); /* lost, or slow */
    CHECK_EQ(pst_usb_pipe_output(&rig.host, rig.now, opens, &opens_len), PST_WANT_MORE);
    CHECK_EQ(pst_usb_pipe_wake(&rig.host), 5 + PST_USB_OPEN_MS);
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, out, len, &bytes), PST_USB_OPENED);
    CHECK_EQ(pst_usb_pipe_output(&rig.device, rig.now, opens, &opens_len), PST_OK);
    rig.now += PST_USB_OPEN_MS;
    CHECK_EQ(pst_usb_pipe_output(&rig.host, rig.now, out, &len), PST_OK);
    CHECK_EQ(pst_usb_pipe_receive(&rig.host, rig.now, opens, opens_len, &bytes), PST_USB_NOTHING);
    CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, out, len, &bytes),
             PST_USB_OPENED); /* anew */
    CHECK_EQ(pass(&rig, &rig.device, &rig.host), PST_USB_OPENED);

    pst_usb_pipe_call(&rig.host, 1, rig.now);
    for (int i = 0; i < PST_USB_OPEN_TRIES; i++) {
        CHECK_EQ(pst_usb_pipe_output(&rig.host, rig.now, out, &len), PST_OK);
        rig.now = pst_usb_pipe_wake(&rig.host);
    }
    CHECK_EQ(pst_usb_pipe_output(&rig.host, rig.now, opens, &opens_len), PST_ERR_TIMEOUT);
    CHECK_EQ(pst_usb_pipe_wake(&rig.host), UINT64_MAX);
    out[0] = PST_USB_OPENS; /* of the last try: too late */
    CHECK_EQ(pst_usb_pipe_receive(&rig.host, rig.now, out, len, &bytes), PST_USB_NOTHING);
    CHECK_EQ(pst_usb_pipe_output(&rig.host, rig.now, opens, &opens_len), PST_ERR_TIMEOUT);
}

/* Any changed byte of the header: the transfer is dropped or lost, and no other stream ends. */
static void test_head(void **state)
{
    struct rig rig;
    struct pst_bytes bytes;
    uint8_t copy[100];

    (void)state;
    rig_init(&rig);
    const size_t len = send_some(&rig.host, 20);
    for (size_t i = 0; i < PST_USB_HEAD; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct rig other = rig;
            memcpy(copy, transfer, len);
            copy[i] = (uint8_t)(copy[i] ^ 1U << bit);
            const pst_usb_event e = pst_usb_pipe_receive(&other.device, rig.now, copy, len, &bytes);
            CHECK_EQ(e, i >= 8 ? PST_USB_LOST : PST_USB_NOTHING);
        }
    }
}

/* A host that makes no requests and sends nothing is treated as gone. */
static void test_alive(void **state)
{
    struct rig rig;
    struct pst_bytes bytes;
    uint8_t out[PST_USB_OWN];
    size_t len;

    (void)state;
    rig_init(&rig);
    CHECK_EQ(pst_usb_pipe_wake(&rig.host), UINT64_MAX);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(pst_usb_pipe_wake(&rig.device), rig.now + PST_USB_DEAD_MS);
        rig.now += PST_USB_DEAD_MS - 1;
        CHECK_EQ(pst_usb_pipe_output(&rig.device, rig.now, out, &len), PST_WANT_MORE);
        if (i % 2 == 0) {
            pst_usb_pipe_heard(&rig.device, rig.now);
        } else {
            len = send_some(&rig.host, 10);
            CHECK_EQ(pst_usb_pipe_receive(&rig.device, rig.now, transfer, len, &bytes),
                     PST_USB_BYTES);
        }
    }
    rig.now += PST_USB_DEAD_MS;
    CHECK_EQ(pst_usb_pipe_output(&rig.device, rig.now, out, &len), PST_ERR_TIMEOUT);
    CHECK(!rig.device.open);
    CHECK_EQ(pst_usb_pipe_output(&rig.device, rig.now, out, &len), PST_WANT_MORE);
    CHECK_EQ(pst_usb_pipe_wake(&rig.device), UINT64_MAX);
    connect_them(&rig, STREAM + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),    cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_find),     cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_find_odd), cmocka_unit_test(test_requests),
        cmocka_unit_test(test_lengths),  cmocka_unit_test(test_cut),
        cmocka_unit_test(test_close),    cmocka_unit_test(test_stale),
        cmocka_unit_test(test_retry),    cmocka_unit_test(test_alive),
        cmocka_unit_test(test_head),     cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
