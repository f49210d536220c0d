/* SPDM over MCTP on a serial line: any bytes, any packets and any messages of the owners. An owner
 * must always receive complete link messages within the limits. */
#include "fuzz.h"

#include "postern/links/mctp_spdm.h"

enum { MOST = 300, STEP = 24, LINE = 2048, TURNS = 40 };

struct end {
    struct pst_mctp_spdm_line line;
    struct pst_framing heard;
    uint8_t message[MOST];
    uint8_t *work;
};

static void open_end(struct end *e, bool listens)
{
    struct pst_mctp_spdm_config cfg = {
        .listens = listens,
        .eid = listens ? 9 : 8,
        .unit = PST_MCTP_BASELINE,
        .most = MOST,
        .tries = 3,
        .work_len = PST_MCTP_SPDM_WORK(MOST),
    };

    e->work = cfg.work = malloc(cfg.work_len);
    need(e->work != NULL);
    pst_mctp_spdm_timing(&cfg, 0);
    need(pst_mctp_spdm_line_open(&e->line, &cfg, 0) == PST_OK);
    pst_framing_init(&e->heard, e->message, MOST);
}

/* The owner receives in pieces. The TS echoes. */
static void hear(struct end *e, bool echo)
{
    uint8_t bytes[64], kind, *payload, head[PST_LINK_HEADER];
    size_t n, used, len;

    while ((n = pst_mctp_spdm_read(&e->line.mctp, bytes, sizeof bytes)) > 0) {
        for (size_t at = 0; at < n; at += used) {
            const pst_err err =
                pst_framing_receive(&e->heard, bytes + at, n - at, &used, &kind, &payload, &len);
            need(err == PST_OK || err == PST_WANT_MORE);
            if (err == PST_OK && echo && kind != PST_LINK_CONTROL) {
                need(pst_framing_header(head, kind, len) == PST_OK);
                (void)pst_mctp_spdm_write(&e->line.mctp, head, sizeof head);
                (void)pst_mctp_spdm_write(&e->line.mctp, payload, len);
            }
        }
    }
}

static size_t turn(struct end *e, const uint8_t *in, size_t len, uint64_t now, bool echo,
                   uint8_t *out, size_t cap)
{
    size_t n = 0, total = 0;

    pst_mctp_spdm_line_input(&e->line, in, len, now);
    hear(e, echo);
    while (total < cap &&
           (n = pst_mctp_spdm_line_output(&e->line, out + total, cap - total, now)) > 0) {
        total += n;
    }
    return total;
}

/* A DTS repeats the same three requests, and the input is inserted piece by piece: as bytes of the
 * line (0), as packets of the target's bus (1), or as messages of the DTS (2). */
static void talk(const uint8_t *data, size_t size, int how)
{
    static const uint8_t says[] = {4, 0, 0, 0xD4, 0x10, 0x84, 0, 0,    5,    0,    0, 0xD3, 1,
                                   2, 3, 4, 5,    4,    0,    0, 0xD4, 0x11, 0xE1, 0, 0};
    struct end client, server;
    uint8_t up[LINE], back[LINE], noisy[STEP + LINE];
    size_t up_len = 0, at = 0, said = 0;

    open_end(&client, false);
    open_end(&server, true);
    for (uint64_t now = 0, i = 0; i < TURNS || at < size; i++, now += 200) {
        const size_t n = size - at < STEP ? size - at : STEP;
        const size_t lead = how == 0 ? n : 0;

        if (how == 1 && n > 0) {
            (void)pst_mctp_spdm_input(&server.line.mctp, data + at, n, now);
        }
        if (how == 2 && n > 0) {
            (void)pst_mctp_spdm_write(&client.line.mctp, data + at, n);
        } else if (how != 2) {
            said += pst_mctp_spdm_write(&client.line.mctp, says + said, sizeof says - said);
        }
        said = said == sizeof says ? 0 : said;
        if (lead > 0) {
            memcpy(noisy, data + at, lead);
        }
        memcpy(noisy + lead, up, up_len);
        at += n;
        const size_t back_len = turn(&server, noisy, lead + up_len, now, true, back, sizeof back);
        up_len = turn(&client, back, back_len, now, false, up, sizeof up);
    }
    need(size > 0 || (server.line.mctp.state == PST_OK) == (how != 2));
    free(client.work);
    free(server.work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int how = 0; how < 3; how++) {
        talk(data, size, how);
    }
    return 0;
}
