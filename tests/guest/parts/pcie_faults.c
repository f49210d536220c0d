/* Faults in the accesses to a DOE mailbox in configuration space. A unit is a data object, written
 * or read; a fault affects one of its words. The capability list gives the address of the mailbox.
 */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>
#include <uv.h>

#include "guest/faults.h"
#include "postern/links/doe.h"

enum { CONTROL = 0x08, STATUS = 0x0C, WRITE_WORD = 0x10, READ_WORD = 0x14 };
#define ABORT 0x00000001u
#define GO 0x80000000u
#define BUSY 0x00000001u
#define ERROR 0x00000004u
#define READY 0x80000000u
#define FAR 96 /* a fault is in one of so many words, usually one of the first */
#define GONE_NS 50000000
#define REPLAY_MS 5000

static struct {
    int fd;
    off_t at;
    enum fault fault;       /* the chosen fault, after so many words */
    unsigned strike, index; /* index: words of the object so far */
    bool deaf;              /* the mailbox stays busy */
    bool cut;               /* the rest of the object is lost */
    bool has_held, no_next; /* a word for later; its successor is there already */
    uint32_t held;
    uint64_t back_ns; /* the device is gone until then */
    size_t said;      /* bytes of the object that is written */
    uint8_t object[PST_DOE_OBJECT];
} box = {.fault = NONE};

/* --- the real ones --- */

static ssize_t real_read(int fd, void *out, size_t len, off_t at)
{
    static ssize_t (*real)(int, void *, size_t, off_t);

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pread64");
    }
    return real(fd, out, len, at);
}

static ssize_t real_write(int fd, const void *bytes, size_t len, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
    }
    return real(fd, bytes, len, at);
}

static uint32_t get(unsigned reg)
{
    uint8_t bytes[4] = {0};
    (void)!real_read(box.fd, bytes, sizeof bytes, box.at + (off_t)reg);
    return pst_peek_u32(bytes);
}

static void put(unsigned reg, uint32_t word)
{
    uint8_t bytes[4];
    pst_poke_u32(bytes, word);
    (void)!real_write(box.fd, bytes, sizeof bytes, box.at + (off_t)reg);
}

/* --- replay --- */

static void say_object(const struct said *s)
{
    for (size_t i = 0; i + 4 <= s->len; i += 4) {
        put(WRITE_WORD, pst_peek_u32(s->bytes + i));
    }
    put(CONTROL, GO);
    for (unsigned ms = 0; ms < REPLAY_MS && (get(STATUS) & (READY | ERROR)) == 0; ms++) {
        faults_pause(1);
    }
    while ((get(STATUS) & READY) != 0) {
        put(READ_WORD, 0);
    }
    put(CONTROL, ABORT);
}

static void say_again(void)
{
    for (const struct said *s = faults_replay(); s != NULL; s = s->next) {
        say_object(s);
    }
}

/* --- faults --- */

static bool is_gone(void)
{
    return uv_hrtime() < box.back_ns;
}

static void reset_device(void)
{
    put(CONTROL, ABORT);
    box.back_ns = uv_hrtime() + GONE_NS;
}

/* Chooses the fault of the next word. */
static enum fault strike(void)
{
    if (box.index == 0 && box.fault == NONE) {
        box.fault = faults_choose();
        box.strike = faults_below(1 + faults_below(FAR));
    } else if (box.index == 0) {
        box.strike /= 2; /* the last object was too short for it */
    }
    if (box.index++ < box.strike) {
        return NONE;
    }
    const enum fault what = box.fault;
    box.fault = NONE;
    return what;
}

static uint32_t flip(uint32_t word)
{
    return word ^ 1u << faults_below(32);
}

static void begin_object(void)
{
    box.index = 0;
    box.cut = box.has_held = box.no_next = false;
}

static void write_word(uint32_t word)
{
    const enum fault what = strike();

    if (box.cut) {
        return;
    }
    switch (what) {
    case DROP:
        return;
    case DUPLICATE:
        put(WRITE_WORD, word);
        break;
    case REORDER:
        box.held = word;
        box.has_held = true;
        return;
    case CORRUPT:
        word = flip(word);
        break;
    case TRUNCATE:
        box.cut = true;
        return;
    case DELAY:
        faults_delay();
        break;
    case STALL:
        box.deaf = true;
        return;
    case RESET:
        reset_device();
        return;
    case NONE:
        break;
    }
    put(WRITE_WORD, word);
    if (box.has_held) {
        box.has_held = false;
        put(WRITE_WORD, box.held);
    }
}

static uint32_t read_word(void)
{
    const enum fault what = strike();
    const uint32_t word = box.has_held ? box.held : get(READ_WORD);

    box.has_held = false;
    switch (what) {
    case DROP:
        put(READ_WORD, 0);
        return get(READ_WORD);
    case DUPLICATE:
        box.no_next = true;
        break;
    case REORDER:
        put(READ_WORD, 0);
        box.held = word;
        box.has_held = box.no_next = true;
        return get(READ_WORD);
    case CORRUPT:
        return flip(word);
    case TRUNCATE:
        put(CONTROL, ABORT);
        break;
    case DELAY:
        faults_delay();
        break;
    case STALL:
        box.deaf = true;
        return 0;
    case RESET:
        reset_device();
        return UINT32_MAX;
    case NONE:
        break;
    }
    return word;
}

static void next_word(void)
{
    if (!box.no_next) {
        put(READ_WORD, 0);
    }
    box.no_next = false;
}

static void control(uint32_t word)
{
    if (word == GO && box.has_held) {
        put(WRITE_WORD, box.held);
    }
    if (word == GO) {
        faults_record(box.object, box.said);
    }
    box.said = 0;
    begin_object();
    put(CONTROL, word);
}

/* --- functions that replace the library's --- */

static void begin(int fd, off_t at)
{
    box.fd = fd;
    box.at = at;
    box.deaf = false;
    box.fault = NONE;
    box.said = 0;
    begin_object();
    faults_begin("pcie");
}

static bool is_of_mailbox(int fd, size_t len, off_t at)
{
    return box.at != 0 && fd == box.fd && len == 4 && at >= box.at + CONTROL &&
           at <= box.at + READ_WORD;
}

ssize_t pread(int fd, void *out, size_t len, off_t at)
{
    const off_t reg = at - box.at;

    if (is_of_mailbox(fd, len, at)) {
        const uint32_t word = is_gone()          ? UINT32_MAX
                              : box.deaf         ? (reg == STATUS ? BUSY : 0)
                              : reg == READ_WORD ? read_word()
                                                 : get((unsigned)reg);
        pst_poke_u32(out, word);
        return 4;
    }
    const ssize_t n = real_read(fd, out, len, at);
    if (n == 4 && at >= 0x100 && (pst_peek_u32(out) & 0xFFFF) == PST_DOE_CAPABILITY) {
        begin(fd, at);
    }
    return n;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    const uint32_t word = len == 4 ? pst_peek_u32(bytes) : 0;

    if (!is_of_mailbox(fd, len, at)) {
        return real_write(fd, bytes, len, at);
    }
    if (is_gone() || box.deaf) {
        return 4;
    }
    if (at == box.at + CONTROL) {
        control(word);
    } else if (at == box.at + READ_WORD) {
        next_word();
    } else if (at == box.at + WRITE_WORD) {
        if (box.said == 0) {
            say_again();
        }
        if (box.said + 4 <= sizeof box.object) {
            pst_poke_u32(box.object + box.said, word);
            box.said += 4;
        }
        write_word(word);
    }
    return 4;
}
