/* SPDM over TCP in both directions. The output must not depend on how the bytes are split, and must
 * stay within the documented size. */
#include "fuzz.h"

#include "postern/links/spdm_tcp.h"

struct outcome {
    pst_err err;
    size_t len;
    uint32_t sum;
};

static struct outcome run(bool out_way, const uint8_t *data, size_t size, size_t step)
{
    struct pst_spdm_tcp t;
    struct outcome o = {.sum = 1};

    pst_spdm_tcp_init(&t);
    for (size_t at = 0; at < size && o.err == PST_OK; at += step) {
        const size_t n = size - at < step ? size - at : step;
        uint8_t *out = malloc(n + PST_SPDM_TCP_MORE);
        size_t len = 0;

        o.err = (out_way ? pst_spdm_tcp_out : pst_spdm_tcp_in)(&t, data + at, n, out, &len);
        if (o.err == PST_OK) {
            for (size_t i = 0; i < len; i++) {
                o.sum = o.sum * 31 + out[i];
            }
            o.len += len;
        }
        free(out);
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int way = 0; way < 2; way++) {
        const struct outcome whole = run(way != 0, data, size, size > 0 ? size : 1);
        const struct outcome bytes = run(way != 0, data, size, 1);

        if (whole.err != bytes.err ||
            (whole.err == PST_OK && (whole.len != bytes.len || whole.sum != bytes.sum))) {
            abort();
        }
    }
    return 0;
}
