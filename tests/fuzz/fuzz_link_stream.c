/* Stream framing and control messages. The output must not depend on how the bytes are split. */
#include "fuzz.h"

#include "postern/link.h"

enum { CAP = 64 };

struct outcome {
    size_t messages, bytes;
    uint32_t sum;
    pst_err err;
};

static void control(const uint8_t *msg, size_t len)
{
    struct pst_hello hello = {0};
    uint8_t again[PST_LINK_CONTROL_MAX], op = 0;
    pst_err why = PST_OK;

    if (pst_link_get_control(msg, len, &op, &hello, &why) != PST_OK) {
        return;
    }
    if (op == PST_CONTROL_HELLO && hello.profile == PST_PROFILE_VERSION) {
        need(pst_link_put_hello(again, &hello) == len && memcmp(again, msg, len) == 0);
    }
    need(op == PST_CONTROL_HELLO || op == PST_CONTROL_BYE);
}

static struct outcome run(const uint8_t *data, size_t size, size_t step)
{
    uint8_t buffer[CAP];
    struct pst_framing s;
    struct outcome o = {.sum = 1};
    size_t at = 0;

    pst_framing_init(&s, buffer, sizeof buffer);
    while (at < size && o.err != PST_ERR_DECODE) {
        const size_t len = step < size - at ? step : size - at;
        uint8_t *payload = NULL;
        size_t used = 0, n = 0;
        uint8_t kind = 0;

        o.err = pst_framing_receive(&s, data + at, len, &used, &kind, &payload, &n);
        need(used <= len);
        at += used;
        if (o.err != PST_OK) {
            continue;
        }
        need(payload == buffer && n <= CAP);
        o.messages++;
        o.bytes += n;
        o.sum = o.sum * 31 + kind;
        for (size_t i = 0; i < n; i++) {
            o.sum = o.sum * 31 + payload[i];
        }
        if (kind == PST_LINK_CONTROL) {
            control(payload, n);
        }
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct outcome whole = run(data, size, size);
    const struct outcome bytes = run(data, size, 1);
    const struct outcome threes = run(data, size, 3);

    need(whole.sum == bytes.sum && whole.messages == bytes.messages && whole.err == bytes.err);
    need(whole.sum == threes.sum && whole.bytes == threes.bytes && whole.err == threes.err);
    control(data, size);
    return 0;
}
