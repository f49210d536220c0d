/* The reliable link over MCTP on a serial line: any bytes or packets are inserted between both
 * ends. */
#include "fuzz.h"

#include "postern/links/mctp_link.h"

enum { MESSAGE = 256, BUFFER = 256, SENT = 8, MTU = 64, STEP = 16, LINE = 1024 };

struct end {
    struct pst_mctp_line line;
    uint8_t message[MESSAGE], send[BUFFER], receive[BUFFER];
    struct pst_reliable_sent sent[SENT];
    uint8_t *work;
};

static void open_end(struct end *e, bool listens)
{
    e->work = malloc(PST_MCTP_LINK_WORK(MTU));
    need(e->work != NULL);
    struct pst_mctp_link_config cfg = {
        .link = {.id = listens ? 2 : 1,
                 .mtu_first = MTU,
                 .mtu_most = MTU,
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
        .eid = listens ? 9 : 8,
        .unit = PST_MCTP_BASELINE,
        .work = e->work,
        .work_len = PST_MCTP_LINK_WORK(MTU),
    };
    cfg.link.timing = pst_mctp_line_timing(9600, MTU, cfg.unit, &cfg.pause_ms);
    need(pst_mctp_line_open(&e->line, &cfg, 9600, 0) == PST_OK);
}

/* Writes the output of an end to `out` and returns its length. */
static size_t turn(struct end *e, const uint8_t *in, size_t len, uint64_t now, uint8_t *out,
                   size_t cap)
{
    struct pst_reliable *link = &e->line.mctp.link;
    uint8_t *payload = NULL, kind = 0;
    size_t n = 0, total = 0, message_len = 0;

    pst_mctp_line_input(&e->line, in, len, now);
    while (pst_reliable_receive(link, &kind, &payload, &message_len) == PST_OK) {
        need(message_len <= MESSAGE);
    }
    (void)!pst_reliable_send(link, PST_LINK_CLEAR, (const uint8_t *)"hello", 5);
    while (total < cap && (n = pst_mctp_line_output(&e->line, out + total, cap - total, now)) > 0) {
        total += n;
    }
    return total;
}

/* Both ends communicate, and the input is inserted piece by piece: as bytes of the line, or
 * (`whole`) as packets of the listener's bus. */
static void talk(const uint8_t *data, size_t size, bool whole)
{
    struct end client, server;
    uint8_t up[LINE], back[LINE], noisy[STEP + LINE];
    size_t up_len = 0, at = 0;

    open_end(&client, false);
    open_end(&server, true);
    for (uint64_t now = 0; now < 2000 || at < size; now += 100) {
        const size_t n = size - at < STEP ? size - at : STEP;
        const size_t lead = whole ? 0 : n;

        if (whole && n > 0) {
            (void)pst_mctp_link_input(&server.line.mctp, data + at, n, now);
        }
        if (lead > 0) {
            memcpy(noisy, data + at, lead);
        }
        memcpy(noisy + lead, up, up_len);
        at += n;
        const size_t back_len = turn(&server, noisy, lead + up_len, now, back, sizeof back);
        up_len = turn(&client, back, back_len, now, up, sizeof up);
    }
    free(client.work);
    free(server.work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    talk(data, size, false);
    talk(data, size, true);
    return 0;
}
