/* A serial line: COBS must decode to what was encoded, frames must not depend on how the bytes are
 * split, and both ends of a line get any bytes. */
#include "fuzz.h"

#include "postern/links/checksum.h"
#include "postern/links/serial.h"

enum { MESSAGE = 256, BUFFER = 256, SENT = 8, MTU = 64, CAP = 48 };

struct end {
    struct pst_serial s;
    uint8_t message[MESSAGE], send[BUFFER], receive[BUFFER];
    struct pst_reliable_sent sent[SENT];
    uint8_t *work;
};

static void there_and_back(const uint8_t *data, size_t size)
{
    uint8_t *coded = malloc(PST_COBS_ROOM(size) + 1), *plain = malloc(size + 1);
    struct pst_cobs c;
    struct pst_bytes frame;
    size_t n = 0, used = 0;

    need(coded != NULL && plain != NULL);
    need(pst_cobs_put(data, size, coded, PST_COBS_ROOM(size), &n) == PST_OK);
    need(memchr(coded, 0, n) == NULL);
    coded[n] = 0;
    pst_cobs_init(&c, plain, size);
    const pst_err err = pst_cobs_receive(&c, coded, n + 1, &used, &frame);
    need(used == n + 1 && err == (size > 0 ? PST_OK : PST_WANT_MORE));
    if (size > 0) {
        need(frame.len == size && memcmp(frame.at, data, size) == 0);
    }
    free(coded);
    free(plain);
}

static uint32_t frames(const uint8_t *data, size_t size, size_t step)
{
    uint8_t buffer[CAP];
    struct pst_cobs c;
    uint32_t sum = 0;
    size_t at = 0;

    pst_cobs_init(&c, buffer, CAP);
    while (at < size) {
        struct pst_bytes frame = {0};
        size_t used = 0;

        if (pst_cobs_receive(&c, data + at, step < size - at ? step : size - at, &used, &frame) ==
            PST_OK) {
            need(frame.len > 0 && frame.len <= CAP);
            sum = pst_crc32c(sum, frame.at, frame.len) + 1;
        }
        need(used > 0);
        at += used;
    }
    return sum + c.malformed;
}

static void open_end(struct end *e, bool listens)
{
    e->work = malloc(PST_SERIAL_WORK(MTU));
    need(e->work != NULL);
    const struct pst_serial_config cfg = {
        .link = {.id = listens ? 2 : 1,
                 .mtu_first = MTU,
                 .mtu_most = MTU,
                 .timing = pst_serial_timing(9600, MTU),
                 .message = e->message,
                 .message_cap = MESSAGE,
                 .send = e->send,
                 .send_cap = BUFFER,
                 .receive = e->receive,
                 .receive_cap = BUFFER,
                 .sent = e->sent,
                 .sent_count = SENT},
        .listens = listens,
        .door = {.key = "fifteen letters"},
        .baud = 9600,
        .work = e->work,
        .work_len = PST_SERIAL_WORK(MTU),
    };
    need(pst_serial_open(&e->s, &cfg, 0) == PST_OK);
}

/* Writes the output of an end to `out` and returns its length. */
static size_t turn(struct end *e, const uint8_t *in, size_t len, uint64_t now, uint8_t *out,
                   size_t cap)
{
    uint8_t *payload = NULL, kind = 0;
    size_t n = 0, total = 0, message_len = 0;

    pst_serial_input(&e->s, in, len, now);
    while (pst_reliable_receive(&e->s.link, &kind, &payload, &message_len) == PST_OK) {
        need(message_len <= MESSAGE);
    }
    (void)!pst_reliable_send(&e->s.link, PST_LINK_CLEAR, (const uint8_t *)"hello", 5);
    while (total < cap && (n = pst_serial_output(&e->s, out + total, cap - total, now)) > 0) {
        total += n;
    }
    return total;
}

/* Both ends communicate, and the input is inserted 16 bytes at a time. */
static void line(const uint8_t *data, size_t size)
{
    struct end client, server;
    uint8_t up[512], down[512];
    size_t up_len = 0, down_len = 0, at = 0;

    open_end(&client, false);
    open_end(&server, true);
    for (uint64_t now = 0; now < 2000 || at < size; now += 100) {
        const size_t n = size - at < 16 ? size - at : 16;
        uint8_t noisy[528];

        if (n > 0) {
            memcpy(noisy, data + at, n);
        }
        memcpy(noisy + n, up, up_len);
        at += n;
        down_len = turn(&server, noisy, n + up_len, now, down, sizeof down);
        up_len = turn(&client, down, down_len, now, up, sizeof up);
    }
    free(client.work);
    free(server.work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    there_and_back(data, size);
    const uint32_t whole = frames(data, size, size > 0 ? size : 1);
    need(whole == frames(data, size, 1) && whole == frames(data, size, 5));
    line(data, size);
    return 0;
}
