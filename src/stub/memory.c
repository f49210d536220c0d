#include <string.h>

#include "stub/stub.h"

enum { SMALL = 8 /* largest single bus access */, HEAD = 28 /* "X", address, length */ };

static void on_read(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    struct pst_writer *w = &s->stage;
    if (!s->access.used || s->access.done) {
        psti_stub_ahead_drop(s);
        return; /* the access was cancelled */
    }
    uint64_t address = s->access.address + s->access.at;
    size_t n = 0, asked = psti_stub_memory_chunk(s, address, s->access.len - s->access.at);
    if (!psti_stub_is_error(reply)) {
        n = pst_rsp_get_hex(&r, w->start + w->used, s->access.len - s->access.at);
    }
    if (n == 0 || r.left > 0) {
        /* The bytes before a hole are an answer, though a shorter one. */
        psti_stub_ahead_drop(s);
        psti_stub_finish(s, w->used > 0 ? PST_OK : PST_ERR_FAULT);
        return;
    }
    w->used += n;
    s->access.at += (uint32_t)n;
    if (n != asked) {
        psti_stub_ahead_drop(s); /* what follows would leave a gap */
    }
    if (s->access.at == s->access.len) {
        psti_stub_finish(s, PST_OK);
    } else if (s->followers > 0) {
        s->followers--;
        s->answer = on_read;
    }
}

/* All of it at once if the stub supports pipelining. */
static void ask_read(struct pst_stub *s)
{
    uint64_t address = s->access.address + s->access.at;
    uint32_t left = s->access.len - s->access.at;
    psti_stub_ask_memory(s, address, left, on_read);
    while (s->pipelines && s->followers < PST_STUB_AHEAD) {
        size_t n = psti_stub_memory_chunk(s, address, left);
        address += n;
        left -= (uint32_t)n;
        if (left == 0 || !psti_stub_follow_memory(s, address, left)) {
            break;
        }
        s->followers++;
    }
}

static void on_probe(struct pst_stub *s, struct pst_bytes reply)
{
    s->binary = psti_stub_is_ok(reply) ? 1 : 2;
}

static void on_written(struct pst_stub *s, struct pst_bytes reply)
{
    if (!s->access.used || s->access.done) {
        return;
    }
    if (!psti_stub_is_ok(reply)) {
        psti_stub_finish(s, PST_ERR_FAULT);
        return;
    }
    s->access.at += s->chunk;
    if (s->access.at == s->access.len) {
        psti_stub_finish(s, PST_OK);
    }
}

/* How many of the bytes left fit one packet when escaped. */
static size_t binary_chunk(const struct pst_stub *s, const uint8_t *from, size_t left)
{
    size_t room = psti_stub_room(s) - HEAD, n = 0;
    for (size_t used = 0; n < left; n++) {
        used += pst_rsp_binary_len(from + n, 1);
        if (used > room) {
            break;
        }
    }
    return n;
}

static size_t write_chunk(const struct pst_stub *s, const uint8_t *from, bool binary)
{
    size_t left = s->access.len - s->access.at;
    size_t n = (psti_stub_room(s) - HEAD) / 2;
    if (binary) {
        n = binary_chunk(s, from, left);
    }
    if (n >= left) {
        return left;
    }
    size_t tail = (size_t)((s->access.address + s->access.at + n) % 8);
    return n > tail ? n - tail : n;
}

static void put_head(struct pst_rsp_writer *p, char kind, uint64_t address, size_t len)
{
    pst_rsp_put_char(p, kind);
    pst_rsp_put_number(p, address);
    pst_rsp_put_char(p, ',');
    pst_rsp_put_number(p, len);
    pst_rsp_put_char(p, ':');
}

static void ask_write(struct pst_stub *s)
{
    const uint8_t *from = s->source + s->access.at;
    uint64_t address = s->access.address + s->access.at;
    struct pst_rsp_writer p;
    if (s->binary == 0 && s->access.len > SMALL) {
        p = psti_stub_begin(s);
        put_head(&p, 'X', address, 0);
        psti_stub_send(s, &p, on_probe);
        return;
    }
    bool binary = s->binary == 1 && s->access.len > SMALL;
    s->chunk = (uint32_t)write_chunk(s, from, binary);
    s->report_valid = false;
    p = psti_stub_begin(s);
    put_head(&p, binary ? 'X' : 'M', address, s->chunk);
    if (binary) {
        pst_rsp_put_binary(&p, from, s->chunk);
    } else {
        pst_rsp_put_hex(&p, from, s->chunk);
    }
    psti_stub_send(s, &p, on_written);
}

void psti_stub_memory_step(struct pst_stub *s)
{
    if (!s->access.write) {
        ask_read(s);
    } else if (s->source != NULL) {
        ask_write(s);
    }
}
