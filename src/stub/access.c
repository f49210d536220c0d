#include <string.h>

#include "stub/stub.h"

enum { GATHER_ENTRY = 16, REGION_ENTRY = 24, BREAK_ENTRY = 16 };

/* For a document that is read in pieces: appends those of the `len` bytes at `*place` that belong
 * to the piece that was asked for, and moves `*place` past all of them. */
static void put_part(struct pst_stub *s, uint64_t *place, const void *at, size_t len)
{
    uint64_t want = (s->access.address & 0xFFFFFFF) + s->stage.used;
    size_t room = s->access.len - s->stage.used;
    if (want >= *place && want - *place < len) {
        size_t skip = (size_t)(want - *place);
        size_t n = len - skip < room ? len - skip : room;
        pst_put_bytes(&s->stage, (const uint8_t *)at + skip, n);
    }
    *place += len;
}

/* --- steps --- */

static void status_step(struct pst_stub *s)
{
    uint8_t state = PST_RUN_RUNNING;
    if (s->link == LINK_LOST) {
        state = PST_RUN_LOST;
    } else if (s->link == LINK_OPEN && !psti_stub_is_running(s)) {
        state = PST_RUN_HALTED;
    }
    if (state == PST_RUN_HALTED && !s->report_valid) {
        if (!s->report_active) {
            psti_stub_report_begin(s, false);
        }
        return;
    }
    if (state != PST_RUN_HALTED && !s->event_ready) {
        memset(&s->stop, 0, sizeof s->stop);
        psti_stub_report_head(s, state);
    }
    s->stage.used = psti_stub_report_copy(s, s->stage.start, s->access.len);
    psti_stub_finish(s, PST_OK);
}

static void resume_step(struct pst_stub *s)
{
    if (s->access.deferred) {
        if (!psti_stub_is_running(s) && !s->report_active) {
            pst_stub_answer_now(s);
        }
    } else if (s->source != NULL) {
        struct pst_reader r = pst_reader_of(s->source, s->access.len);
        pst_err err = psti_stub_is_running(s) ? PST_ERR_STATE : psti_stub_resume(s, &r);
        s->access.deferred = err == PST_OK && s->config.defer_resume;
        if (!s->access.deferred) {
            psti_stub_finish(s, err);
        }
    }
}

static void gather_step(struct pst_stub *s)
{
    struct pst_stub_gather list[PST_STUB_GATHERS];
    if (s->source == NULL) {
        return;
    }
    struct pst_reader r = pst_reader_of(s->source, s->access.len);
    uint8_t n = 0;
    while (r.left >= GATHER_ENTRY && n < PST_STUB_GATHERS) {
        struct pst_stub_gather *g = &list[n++];
        g->base = pst_get_u8(&r);
        g->size = pst_get_u8(&r);
        g->offset = pst_get_u16(&r);
        g->len = pst_get_u32(&r);
        g->add = pst_get_u64(&r);
        pst_require(&r, g->base <= PST_GATHER_REGISTER && g->size <= 8);
    }
    if (pst_finish(&r) != PST_OK) {
        psti_stub_finish(s, PST_ERR_ARGUMENT);
        return;
    }
    memcpy(s->gathers, list, n * sizeof *list);
    s->gather_count = n;
    s->report_valid = false;
    psti_stub_finish(s, PST_OK);
}

static void harts_step(struct pst_stub *s)
{
    if (!psti_stub_is_running(s) && s->access.step == 0 &&
        psti_stub_list_threads(s, &s->access.step)) {
        return;
    }
    for (size_t i = 0; i < PST_STUB_HARTS && s->stage.used + 4 <= s->access.len; i++) {
        if (s->harts[i].used) {
            pst_put_u32(&s->stage, psti_stub_hart(s, i));
        }
    }
    psti_stub_finish(s, PST_OK);
}

static void arch_step(struct pst_stub *s)
{
    size_t len = strlen(s->arch_name);
    pst_put_bytes(&s->stage, s->arch_name, len < s->access.len ? len : s->access.len);
    psti_stub_finish(s, PST_OK);
}

static void map_step(struct pst_stub *s)
{
    uint64_t place = 0;
    for (size_t i = 0; i < s->config.map_len; i++) {
        uint8_t entry[REGION_ENTRY];
        struct pst_writer w = pst_writer_of(entry, sizeof entry);
        pst_put_u64(&w, s->config.map[i].first);
        pst_put_u64(&w, s->config.map[i].last);
        pst_put_u8(&w, s->config.map[i].kind);
        pst_put_zeros(&w, 7);
        put_part(s, &place, entry, sizeof entry);
    }
    psti_stub_finish(s, PST_OK);
}

static void on_annex(struct pst_stub *s, struct pst_bytes reply)
{
    struct pst_reader r = pst_reader_of(reply.at, reply.len);
    if (!s->access.used || s->access.done) {
        return;
    }
    bool some = pst_rsp_take_char(&r, 'm') || pst_rsp_take_char(&r, 'l');
    if (!some || r.left == 0 || r.left > s->access.len - s->stage.used) {
        psti_stub_finish(s, PST_ERR_FAULT);
        return;
    }
    pst_put_bytes(&s->stage, r.at, r.left);
}

/* No file is kept here: each piece is read from the stub again. */
static void description_step(struct pst_stub *s)
{
    uint64_t place = 0;
    for (size_t i = 0; i < s->annex_count; i++) {
        size_t name = strlen(s->annexes[i].name);
        uint8_t len[4], name_len = (uint8_t)name;
        if (s->annexes[i].len == 0) {
            continue; /* the stub did not give it */
        }
        pst_poke_u32(len, s->annexes[i].len);
        put_part(s, &place, &name_len, 1);
        put_part(s, &place, s->annexes[i].name, name);
        put_part(s, &place, len, 4);
        uint64_t want = (s->access.address & 0xFFFFFFF) + s->stage.used;
        size_t room = s->access.len - s->stage.used;
        if (room == 0) {
            break;
        }
        if (want >= place && want - place < s->annexes[i].len) {
            uint32_t at = (uint32_t)(want - place), left = s->annexes[i].len - at;
            psti_stub_ask_annex(s, i, at, left < room ? left : room, on_annex);
            return;
        }
        place += s->annexes[i].len;
    }
    psti_stub_finish(s, PST_OK);
}

/* --- the map of RUN --- */

struct pst_stub_row {
    uint64_t first, last;
    uint8_t read, write; /* the right that it needs; 0: it cannot be read, or written */
    uint8_t unit;        /* a write is a whole number of these; 0: any length */
    bool halted;         /* needs the CPU halted */
    void (*step)(struct pst_stub *s);
};
enum { R = PST_RIGHT_READ, W = PST_RIGHT_WRITE, X = PST_RIGHT_RUN };
static const struct pst_stub_row rows[] = {
    {PST_RUN_STATUS,      PST_RUN_STATUS,                 R, 0, 0,           false, status_step             },
    {PST_RUN_RESUME,      PST_RUN_RESUME,                 0, X, 24,          false, resume_step             },
    {PST_RUN_BREAK,       PST_RUN_BREAK,                  0, X, BREAK_ENTRY, true,  psti_stub_break_step    },
    {PST_RUN_GATHER,      PST_RUN_GATHER,                 0, X, 0,           false, gather_step             },
    {PST_RUN_HARTS,       PST_RUN_HARTS,                  R, 0, 0,           false, harts_step              },
    {PST_RUN_ARCH,        PST_RUN_ARCH,                   R, 0, 0,           false, arch_step               },
    {PST_RUN_REGISTERS,   PST_RUN_REGISTER - 1,           R, W, 0,           true,  psti_stub_registers_step},
    {PST_RUN_REGISTER,    PST_RUN_DESCRIPTION - 1,        R, W, 0,           true,  psti_stub_register_step },
    {PST_RUN_DESCRIPTION, PST_RUN_MEMORY_MAP - 1,         R, 0, 0,           true,  description_step        },
    {PST_RUN_MEMORY_MAP,  PST_RUN_MEMORY_MAP + 0xFFFFFFF, R, 0, 0,           false, map_step                },
    {PST_RUN_INTERRUPT,   PST_RUN_INTERRUPT,              0, X, 4,           false, NULL                    },
    {PST_RUN_DETACH,      PST_RUN_DETACH,                 0, X, 1,           false, NULL                    },
};
static const struct pst_stub_row memory = {0, UINT64_MAX, R, W, 0, true, psti_stub_memory_step};

static const struct pst_stub_row *find(uint8_t space, uint64_t address)
{
    if (space == PST_AS_MEMORY) {
        return &memory;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (address >= rows[i].first && address <= rows[i].last) {
            return &rows[i];
        }
    }
    return NULL;
}

uint8_t psti_stub_right(uint64_t address, bool write)
{
    const struct pst_stub_row *row = find(PST_AS_RUN, address);
    uint8_t right = row == NULL ? 0 : write ? row->write : row->read;
    return right != 0 ? right : X; /* a register that does not exist needs the strongest right */
}

bool psti_stub_wants_halt(const struct pst_stub *s)
{
    return s->access.used && !s->access.done && s->access.row->halted;
}

bool psti_stub_access_task(struct pst_stub *s)
{
    if (!s->access.used || s->access.done) {
        return false;
    }
    uint32_t at = s->access.at;
    s->access.row->step(s);
    /* Waiting for the bytes that are to be written is no progress. */
    return s->answer != NULL || s->access.done || s->access.at != at || s->report_active;
}

/* --- performing --- */

static pst_err check_memory(const struct pst_stub *s, const struct pst_access *a)
{
    uint64_t last;
    if (!pst_add_u64(a->address, a->len - 1, &last)) {
        return PST_ERR_ARGUMENT;
    }
    /* A stub may truncate an address to its word, and access what was not granted. */
    return s->arch != NULL && s->arch->word == 4 && last > UINT32_MAX ? PST_ERR_FAULT : PST_OK;
}

pst_err psti_stub_access_check(const struct pst_stub *s, const struct pst_access *a, uint8_t space)
{
    const struct pst_stub_row *row = find(space, a->address);
    if (row == NULL || (a->write ? row->write : row->read) == 0 ||
        (row->unit != 0 && (a->len == 0 || a->len % row->unit != 0))) {
        return PST_ERR_ARGUMENT;
    }
    if (row->step == psti_stub_register_step && (a->address & 0xF) != 0) {
        return PST_ERR_ARGUMENT;
    }
    if (space == PST_AS_MEMORY && a->len > 0) {
        PST_TRY(check_memory(s, a));
    }
    bool running = psti_stub_is_running(s);
    if (row->step == resume_step && running) {
        return PST_ERR_STATE;
    }
    return row->halted && running && !psti_stub_may_run(a->gate) ? PST_ERR_DENIED : PST_OK;
}

void psti_stub_access_begin(struct pst_stub *s, const struct pst_access *a, uint8_t space)
{
    memset(&s->access, 0, sizeof s->access);
    s->access.used = true;
    s->access.row = find(space, a->address);
    s->access.space = space;
    s->access.address = a->address;
    s->access.write = a->write;
    s->access.asked = s->access.len = a->len;
    if (!a->write && a->len > s->stage.cap) {
        s->access.len = (uint32_t)s->stage.cap;
    }
    s->stage.used = 0;
    s->stage.failed = false;
    s->access_gate = a->gate;
}
