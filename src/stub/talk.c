#include <string.h>

#include "stub/stub.h"

enum { RESERVE = 16 /* for acknowledgements, and an interrupt behind a packet */ };

size_t psti_stub_room(const struct pst_stub *s)
{
    size_t room = s->out.cap - 2 * RESERVE;
    size_t theirs = s->packet_size - 8;
    return theirs < room ? theirs : room;
}

struct pst_rsp_writer psti_stub_begin(struct pst_stub *s)
{
    /* The last packet was kept until now, because a stub may ask for it again. */
    memmove(s->out.start, s->out.start + s->sent, s->out.used - s->sent);
    s->out.used -= s->sent;
    s->sent = 0;
    s->packet_at = s->out.used;
    return pst_rsp_begin(&s->out);
}

void psti_stub_send(struct pst_stub *s, struct pst_rsp_writer *p, psti_stub_answer *answer)
{
    pst_rsp_end(p);
    s->packet_len = s->out.used - s->packet_at;
    s->retries = 0;
    s->answer = answer;
    if (s->out.failed) {
        psti_stub_lose(s);
    }
}

void psti_stub_ask(struct pst_stub *s, const char *text, psti_stub_answer *answer)
{
    struct pst_rsp_writer p = psti_stub_begin(s);
    pst_rsp_put_text(&p, text);
    psti_stub_send(s, &p, answer);
}

/* A halted CPU does not answer an interrupt, and one is enough. */
void psti_stub_interrupt(struct pst_stub *s)
{
    if (s->running && !s->breaking) {
        s->breaking = true;
        pst_put_u8(&s->out, 0x03);
    }
}

/* A chunk ends on a multiple of 8 unless it is the last, so that no aligned word is read in two. */
static size_t chunk_of(uint64_t address, size_t len, size_t most)
{
    if (len <= most) {
        return len;
    }
    size_t n = most - (size_t)((address + most) % 8);
    return n > 0 ? n : most;
}

size_t psti_stub_memory_chunk(const struct pst_stub *s, uint64_t address, size_t len)
{
    size_t most = (s->in.cap - 1) / 2;
    if (most > s->packet_size / 2) {
        most = s->packet_size / 2;
    }
    return chunk_of(address, len, most);
}

static void put_memory(const struct pst_stub *s, struct pst_rsp_writer *p, uint64_t address,
                       size_t len)
{
    pst_rsp_put_char(p, 'm');
    pst_rsp_put_number(p, address);
    pst_rsp_put_char(p, ',');
    pst_rsp_put_number(p, psti_stub_memory_chunk(s, address, len));
}

void psti_stub_ask_memory(struct pst_stub *s, uint64_t address, size_t len,
                          psti_stub_answer *answer)
{
    struct pst_rsp_writer p = psti_stub_begin(s);
    put_memory(s, &p, address, len);
    psti_stub_send(s, &p, answer);
}

bool psti_stub_follow_memory(struct pst_stub *s, uint64_t address, size_t len)
{
    if (s->out.cap - s->out.used < 4 * RESERVE) {
        return false;
    }
    struct pst_rsp_writer p = pst_rsp_begin(&s->out);
    put_memory(s, &p, address, len);
    pst_rsp_end(&p);
    return !s->out.failed;
}

static void on_selected(struct pst_stub *s, struct pst_bytes reply)
{
    /* A stub without threads may not know H, and has one hart only. If a thread no longer exists,
     * the answer is an error, and g would be about another one. */
    if (psti_stub_is_error(reply)) {
        s->general = 0;
        if (s->access.used && !s->access.deferred && !s->report_active) {
            psti_stub_finish(s, PST_ERR_FAULT);
        }
    }
}

bool psti_stub_select(struct pst_stub *s, uint32_t hart)
{
    uint64_t thread = psti_stub_thread_of(s, hart);
    if (!s->has_threads || thread == 0 || thread == s->general) {
        return false;
    }
    s->general = thread;
    struct pst_rsp_writer p = psti_stub_begin(s);
    pst_rsp_put_text(&p, "Hg");
    pst_rsp_put_number(&p, thread);
    psti_stub_send(s, &p, on_selected);
    return true;
}

struct pst_bytes pst_stub_pending(const struct pst_stub *s)
{
    if (s->link != LINK_OPEN && s->link != LINK_CLOSING) {
        return (struct pst_bytes){0};
    }
    struct pst_bytes p = {s->out.start + s->sent, s->out.used - s->sent};
    /* A stub that supports pipelining does not wait for acknowledgements: they are sent with the
     * next request. */
    size_t acks = 0;
    while (s->pipelines && acks < p.len && p.at[acks] == '+') {
        acks++;
    }
    p.len = acks == p.len ? 0 : p.len;
    return p;
}

void pst_stub_sent(struct pst_stub *s, size_t len)
{
    size_t left = s->out.used - s->sent;
    s->sent += len < left ? len : left;
}
