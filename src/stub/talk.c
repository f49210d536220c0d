#include <string.h>

#include "stub/stub.h"

enum { RESERVE = 16 /* for acknowledgements and an interrupt behind a packet */ };

size_t psti_stub_room(const struct pst_stub *s)
{
    size_t room = s->out.cap - 2 * RESERVE;
    size_t theirs = s->packet_size - 8;
    return theirs < room ? theirs : room;
}

struct pst_rsp_writer psti_stub_begin(struct pst_stub *s)
{
    /* What was sent is kept until now, because a stub may ask for it again. */
    memmove(s->out.start, s->out.start + s->sent, s->out.used - s->sent);
    s->out.used -= s->sent;
    s->sent = 0;
    s->packet_at = s->out.used;
    return pst_rsp_begin(&s->out);
}

void psti_stub_send(struct pst_stub *s, struct pst_rsp_writer *p, pst_stub_answer *answer)
{
    pst_rsp_end(p);
    s->packet_len = s->out.used - s->packet_at;
    s->retries = 0;
    s->answer = answer;
    if (s->out.failed) {
        psti_stub_lose(s);
    }
}

void psti_stub_ask(struct pst_stub *s, const char *text, pst_stub_answer *answer)
{
    struct pst_rsp_writer p = psti_stub_begin(s);
    pst_rsp_put_text(&p, text);
    psti_stub_send(s, &p, answer);
}

/* Only a running CPU answers an interrupt, and once is enough. */
void pst_stub_break(struct pst_stub *s)
{
    if (s->running && !s->breaking) {
        s->breaking = true;
        pst_put_u8(&s->out, 0x03);
    }
}

/* A chunk ends on a multiple of 8 unless it is the last, so that no aligned word is torn. */
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

void psti_stub_put_memory(const struct pst_stub *s, struct pst_rsp_writer *p, uint64_t address,
                          size_t len)
{
    pst_rsp_put_char(p, 'm');
    pst_rsp_put_number(p, address);
    pst_rsp_put_char(p, ',');
    pst_rsp_put_number(p, psti_stub_memory_chunk(s, address, len));
}

void psti_stub_ask_memory(struct pst_stub *s, uint64_t address, size_t len, pst_stub_answer *answer)
{
    struct pst_rsp_writer p = psti_stub_begin(s);
    psti_stub_put_memory(s, &p, address, len);
    psti_stub_send(s, &p, answer);
}

bool psti_stub_follow_memory(struct pst_stub *s, uint64_t address, size_t len)
{
    if (s->out.cap - s->out.used < 4 * RESERVE) {
        return false;
    }
    struct pst_rsp_writer p = pst_rsp_begin(&s->out);
    psti_stub_put_memory(s, &p, address, len);
    pst_rsp_end(&p);
    return !s->out.failed;
}

static void on_selected(struct pst_stub *s, struct pst_bytes reply)
{
    /* A stub without threads may not know H: what it says then is about its only hart. A thread
     * that does not exist any more is the stub's E, and g would speak of another. */
    if (psti_stub_is_error(reply)) {
        s->general = 0;
        if (s->access.used && !s->access.tarries && !s->report_active) {
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
    /* Who may be asked ahead does not wait for acknowledgements: they go with the next request. */
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

static bool is_ahead(const struct pst_stub *s)
{
    return s->skip > 0 || s->followers > 0 || s->ahead_at < s->ahead_len;
}

static void again(struct pst_stub *s)
{
    /* After a lost packet nothing of it ran, and what came behind it is void. */
    bool waiting = s->answer != NULL || s->running;
    if (!s->acks || !waiting || s->sent < s->packet_at + s->packet_len) {
        return;
    }
    if (++s->retries > 3 || is_ahead(s)) {
        psti_stub_lose(s);
        return;
    }
    s->sent = s->packet_at;
    s->out.used = s->packet_at + s->packet_len;
    if (s->breaking) {
        pst_put_u8(&s->out, 0x03);
    }
}

/* QEMU answers the opening of its stub by a stop report that nobody asked for. */
static bool is_stray(const struct pst_stub *s, struct pst_bytes b)
{
    return !s->running && b.len >= 3 && b.at[0] == 'T' && s->opening != 0 &&
           s->general != PST_RSP_ALL;
}

static void on_packet(struct pst_stub *s)
{
    struct pst_bytes reply = {s->in.buffer, s->in.len};
    /* After its OK to D, QEMU 7.2 crashes on any further byte. */
    if (s->acks && !s->farewell) {
        pst_put_u8(&s->out, '+');
    }
    if (s->skip > 0) {
        s->skip--;
    } else if (s->running) {
        psti_stub_on_stop(s, reply);
    } else if (s->answer != NULL && !is_stray(s, reply)) {
        pst_stub_answer *answer = s->answer;
        s->answer = NULL;
        answer(s, reply);
    }
}

static void on_item(struct pst_stub *s, enum pst_rsp_item item)
{
    switch (item) {
    case PST_RSP_PACKET:
        on_packet(s);
        break;
    case PST_RSP_NAK:
        again(s);
        break;
    case PST_RSP_BAD:
        /* Without acknowledgements nothing can be asked again, and which of several is unknown. */
        if (!s->acks || ++s->retries > 3 || is_ahead(s)) {
            psti_stub_lose(s);
        } else if (!s->farewell) {
            pst_put_u8(&s->out, '-');
        }
        break;
    case PST_RSP_NOTHING:
    case PST_RSP_NOTICE:
    case PST_RSP_ACK:
    case PST_RSP_BREAK:
        break;
    }
    /* A stub that talks and does not listen. */
    if (s->out.failed) {
        psti_stub_lose(s);
    }
}

void pst_stub_receive(struct pst_stub *s, const uint8_t *bytes, size_t len)
{
    while (len > 0 && s->link == LINK_OPEN) {
        enum pst_rsp_item item;
        size_t n = pst_rsp_read(&s->in, bytes, len, &item);
        bytes += n;
        len -= n;
        on_item(s, item);
        psti_stub_advance(s);
    }
}
