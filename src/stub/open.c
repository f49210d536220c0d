#include <string.h>

#include "stub/stub.h"

enum { ANNEX_MOST = 1 << 20 };
enum { LIST_BEGIN, LIST_MORE, LIST_DONE };

/* --- the list of threads --- */

static void forget_unseen(struct pst_stub *s)
{
    for (size_t i = 0; i < PST_STUB_HARTS; i++) {
        s->harts[i].used = s->harts[i].used && s->harts[i].seen;
    }
}

static void on_threads(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    if (!pst_rsp_take_char(&r, 'm') || s->listed++ > PST_STUB_HARTS) {
        s->has_threads = s->has_threads || pst_rsp_take_char(&r, 'l');
        s->listing = LIST_DONE;
        return;
    }
    s->has_threads = true;
    do {
        struct pst_rsp_thread t = pst_rsp_get_thread(&r);
        if (!r.failed && t.tid != 0 && t.tid != PST_RSP_ALL) {
            (void)psti_stub_hart_of(s, t.tid);
        }
    } while (!r.failed && pst_rsp_take_char(&r, ','));
    s->listing = LIST_MORE;
}

bool psti_stub_list_threads(struct pst_stub *s, uint8_t *step)
{
    if (s->listing == LIST_DONE) {
        forget_unseen(s);
        if (!s->has_threads) {
            (void)psti_stub_hart_of(s, 1); /* the only hart */
        }
        s->listing = LIST_BEGIN;
        (*step)++;
        return false;
    }
    if (s->listing == LIST_BEGIN) {
        s->listed = 0;
        for (size_t i = 0; i < PST_STUB_HARTS; i++) {
            s->harts[i].seen = false;
        }
    }
    psti_stub_ask(s, s->listing == LIST_BEGIN ? "qfThreadInfo" : "qsThreadInfo", on_threads);
    return true;
}

/* --- what the stub supports --- */

static void on_feature(struct pst_stub *s, struct pst_bytes f)
{
    struct pst_reader r = pst_reader_of(f.at, f.len);
    if (pst_rsp_take(&r, "PacketSize=")) {
        uint64_t size = pst_rsp_get_number(&r);
        if (!r.failed && size >= 64) {
            s->packet_size = size < 0x100000 ? (uint32_t)size : 0x100000;
        }
    } else if (pst_rsp_take(&r, "QStartNoAckMode+")) {
        s->noack_offered = true;
    } else if (pst_rsp_take(&r, "qXfer:features:read+")) {
        s->has_xml = true;
    }
}

static void on_supported(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    while (r.left > 0) {
        on_feature(s, pst_rsp_get_until(&r, ';'));
    }
    s->opening++;
}

static void on_no_ack(struct pst_stub *s, struct pst_bytes reply)
{
    s->acks = !psti_stub_is_ok(reply);
    s->pipelines = !s->acks;
    s->opening++;
}

/* QEMU acknowledges packets, but does not wait for acknowledgements. */
static void on_qemu(struct pst_stub *s, struct pst_bytes reply)
{
    s->pipelines = reply.len > 7 && memcmp(reply.at, "ENABLE=", 7) == 0;
    s->opening++;
}

static void on_vcont(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    if (pst_rsp_take(&r, "vCont")) {
        bool c = false, step = false;
        while (r.left > 0) {
            struct pst_bytes action = pst_rsp_get_until(&r, ';');
            c |= action.len == 1 && action.at[0] == 'c';
            step |= action.len == 1 && action.at[0] == 's';
            s->has_range |= action.len == 1 && action.at[0] == 'r';
        }
        s->has_vcont = c && step;
    }
    s->opening++;
}

static void on_any(struct pst_stub *s, struct pst_bytes reply)
{
    (void)reply;
    s->opening++;
}

void psti_stub_ask_annex(struct pst_stub *s, size_t annex, uint32_t at, size_t len,
                         psti_stub_answer *answer)
{
    size_t most = s->in.cap - 2;
    if (most > s->packet_size / 2) {
        most = s->packet_size / 2;
    }
    struct pst_rsp_writer p = psti_stub_begin(s);
    pst_rsp_put_text(&p, "qXfer:features:read:");
    pst_rsp_put_text(&p, s->annexes[annex].name);
    pst_rsp_put_char(&p, ':');
    pst_rsp_put_number(&p, at);
    pst_rsp_put_char(&p, ',');
    pst_rsp_put_number(&p, len < most ? len : most);
    psti_stub_send(s, &p, answer);
}

static void on_annex(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    bool more = pst_rsp_take_char(&r, 'm');
    bool last = !more && pst_rsp_take_char(&r, 'l');
    if ((!more && !last) || (more && r.left == 0) || s->annex_at > ANNEX_MOST) {
        /* The stub does not give it: as if it did not exist. */
        s->annexes[s->annex].len = 0;
        s->annex++;
        s->annex_at = 0;
        return;
    }
    psti_stub_xml_scan(s, r.at, r.left);
    s->annex_at += (uint32_t)r.left;
    if (last) {
        s->annexes[s->annex].len = s->annex_at;
        s->annex++;
        s->annex_at = 0;
    }
}

static bool read_description(struct pst_stub *s)
{
    if (!s->has_xml || s->annex >= s->annex_count) {
        s->opening++;
        return true;
    }
    if (s->annex_at == 0) {
        psti_stub_xml_begin(s);
    }
    psti_stub_ask_annex(s, s->annex, s->annex_at, SIZE_MAX, on_annex);
    return true;
}

static void on_why(struct pst_stub *s, struct pst_bytes reply)
{
    if (!psti_stub_parse_stop(s, reply) || s->exited) {
        psti_stub_lose(s);
        return;
    }
    s->opening = 0;
}

enum { OPEN_SUPPORTED = 1, OPEN_NO_ACK, OPEN_VCONT, OPEN_SELECT, OPEN_XML, OPEN_THREADS, OPEN_WHY };

bool psti_stub_open_task(struct pst_stub *s)
{
    struct pst_rsp_writer p;
    switch (s->opening) {
    case OPEN_SUPPORTED:
        p = psti_stub_begin(s);
        pst_rsp_put_text(&p, "qSupported:swbreak+;hwbreak+;vContSupported+;xmlRegisters=i386");
        psti_stub_send(s, &p, on_supported);
        return true;
    case OPEN_NO_ACK:
        if (s->noack_offered) {
            psti_stub_ask(s, "QStartNoAckMode", on_no_ack);
        } else {
            psti_stub_ask(s, "qqemu.sstepbits", on_qemu);
        }
        return true;
    case OPEN_VCONT:
        psti_stub_ask(s, "vCont?", on_vcont);
        return true;
    case OPEN_SELECT:
        /* gdbserver 13 fails when it is asked about registers while no thread is chosen. */
        psti_stub_ask(s, "Hg0", on_any);
        return true;
    case OPEN_XML:
        return read_description(s);
    case OPEN_THREADS:
        (void)psti_stub_list_threads(s, &s->opening);
        return true;
    case OPEN_WHY:
        s->general = PST_RSP_ALL; /* from here on a stop report is an answer */
        psti_stub_ask(s, "?", on_why);
        return true;
    default:
        return false;
    }
}
