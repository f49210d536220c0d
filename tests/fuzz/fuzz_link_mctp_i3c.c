/* MCTP over I3C: a hostile controller against the target's queues, and a hostile bus against the
 * controller's side. Transfers may get a correct PEC, to reach the code behind the check. */
#include "fuzz.h"

#include "postern/links/mctp_i3c.h"

#define ADDRESS 9

/* Makes a transfer, usually with a correct PEC. */
static size_t transfer(struct input *in, bool read, uint8_t out[PST_I3C_MAX])
{
    uint8_t packet[PST_I3C_MAX];
    const bool whole = next(in) % 4 != 0;
    size_t len = some(in, packet, sizeof packet);

    if (whole && pst_mctp_i3c_put(ADDRESS, read, packet, len, out, &len) == PST_OK) {
        return len;
    }
    memcpy(out, packet, len);
    return len;
}

static void check_packet(pst_err err, struct pst_bytes p)
{
    need(err == PST_PENDING ||
         (err == PST_OK && p.len >= PST_MCTP_HEADER && p.len <= PST_MCTP_I3C_PACKET));
}

static void fuzz_target(struct input *in)
{
    struct pst_mctp_i3c_target t;
    uint8_t bytes[PST_I3C_MAX];

    pst_mctp_i3c_target_init(&t);
    while (in->left > 0) {
        struct pst_bytes packet = {0};
        const uint8_t what = next(in);
        size_t len;

        switch (what % 4) {
        case 0:
            len = transfer(in, false, bytes);
            (void)!pst_mctp_i3c_target_write(&t, ADDRESS, bytes, len);
            break;
        case 1:
            need(pst_mctp_i3c_target_read(&t, ADDRESS, bytes) <= PST_I3C_MAX);
            if (pst_mctp_i3c_target_ibi(&t, bytes) == 1) {
                pst_mctp_i3c_target_ibi_done(&t);
            }
            break;
        case 2:
            len = some(in, bytes, sizeof bytes);
            need(pst_mctp_i3c_target_send(&t, bytes, len) != PST_OK || len >= PST_MCTP_HEADER);
            break;
        default:
            check_packet(pst_mctp_i3c_target_receive(&t, &packet), packet);
            (void)pst_mctp_i3c_target_ready(&t);
            break;
        }
    }
}

static pst_err answer(struct input *in)
{
    static const pst_err answers[] = {PST_OK,     PST_OK,         PST_OK,      PST_ERR_BUSY,
                                      PST_ERR_IO, PST_ERR_CLOSED, PST_PENDING, PST_OK};

    return answers[next(in) % (sizeof answers / sizeof answers[0])];
}

static pst_err bus_find(void *ctx, uint64_t id, uint8_t *address)
{
    (void)id;
    *address = ADDRESS;
    return answer(ctx);
}

static pst_err bus_write(void *ctx, uint8_t address, const uint8_t *data, size_t len)
{
    need(address == ADDRESS && len > PST_MCTP_HEADER && len <= PST_I3C_MAX && data != NULL);
    return answer(ctx);
}

static pst_err bus_read(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len)
{
    need(address == ADDRESS && cap == PST_I3C_MAX);
    *len = transfer(ctx, true, out);
    return answer(ctx);
}

static pst_err bus_poll(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi)
{
    struct input *in = ctx;

    need(address == ADDRESS);
    if (next(in) % 4 != 0) {
        return PST_PENDING;
    }
    ibi->len = some(in, ibi->bytes, sizeof ibi->bytes);
    if (ibi->len > 0 && ibi->bytes[0] % 2 == 0) {
        ibi->bytes[0] = PST_MCTP_I3C_IBI;
    }
    return PST_OK;
}

static void fuzz_controller(struct input *in)
{
    const struct pst_i3c_bus bus = {
        .ctx = in, .find = bus_find, .write = bus_write, .read = bus_read, .poll_ibi = bus_poll};
    struct pst_mctp_i3c_controller c;
    uint8_t bytes[PST_I3C_MAX];
    uint64_t now = 0;
    uint32_t wait = 0;

    need(pst_mctp_i3c_controller_init(&c, &bus, 1) == PST_OK);
    for (int i = 0; i < 1000 && in->left > 0; i++) {
        struct pst_bytes packet = {0};

        if (pst_mctp_i3c_controller_step(&c, now, &wait) != PST_OK) {
            return;
        }
        now += wait;
        if (next(in) % 4 == 0) {
            const size_t len = some(in, bytes, sizeof bytes);
            (void)!pst_mctp_i3c_controller_send(&c, bytes, len);
        }
        check_packet(pst_mctp_i3c_controller_receive(&c, &packet), packet);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    if (next(&in) % 2 == 0) {
        fuzz_target(&in);
    } else {
        fuzz_controller(&in);
    }
    return 0;
}
