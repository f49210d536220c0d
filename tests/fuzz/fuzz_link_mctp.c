/* MCTP on a serial line. The packets must not depend on how the bytes are split, every decoded
 * packet must encode again, and messages must stay inside their slots. */
#include "fuzz.h"

#include "postern/links/checksum.h"
#include "postern/links/mctp.h"

enum { CAP = 200 };

static void again(struct pst_bytes packet)
{
    uint8_t line[PST_MCTP_SERIAL_ROOM(PST_MCTP_SERIAL_MAX)];
    struct pst_mctp_serial s;
    struct pst_bytes got;
    size_t n = 0, used = 0;

    need(pst_mctp_serial_put(packet.at, packet.len, line, sizeof line, &n) == PST_OK);
    pst_mctp_serial_init(&s);
    need(pst_mctp_serial_receive(&s, line, n, &used, &got) == PST_OK && used == n);
    need(got.len == packet.len && memcmp(got.at, packet.at, got.len) == 0);
}

static uint32_t run(const uint8_t *data, size_t size, size_t step)
{
    uint8_t buffer[CAP];
    struct pst_mctp_slot slot = {.buffer = buffer, .cap = CAP};
    struct pst_mctp_receiver rx = {.slots = &slot, .slot_count = 1, .timeout_ms = 100};
    struct pst_mctp_header from;
    struct pst_bytes packet, message;
    struct pst_mctp_serial s;
    uint32_t sum = 0;
    size_t at = 0;

    pst_mctp_serial_init(&s);
    while (at < size) {
        const size_t len = step < size - at ? step : size - at;
        size_t used = 0;
        const pst_err err = pst_mctp_serial_receive(&s, data + at, len, &used, &packet);

        need(used <= len && (err == PST_OK || used == len));
        at += used;
        if (err != PST_OK) {
            continue;
        }
        sum = pst_crc32c(sum, packet.at, packet.len);
        again(packet);
        if (pst_mctp_receive(&rx, packet.at, packet.len, at, &from, &message) == PST_OK) {
            need(message.len > 0 && message.len <= PST_MCTP_SERIAL_MAX + CAP);
            sum = pst_crc32c(sum, message.at, message.len);
        }
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint32_t whole = run(data, size, size);

    need(whole == run(data, size, 1));
    need(whole == run(data, size, 7));
    return 0;
}
