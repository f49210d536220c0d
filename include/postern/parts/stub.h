/* MEMORY and RUN access spaces behind a gdb stub: a client of the remote serial protocol.
 *
 * Sans-I/O. The owner carries bytes between the stub's stream and this object, and nothing here
 * waits: an access whose answer is outstanding stays PST_PENDING, and a stub that says nothing
 * keeps nobody else waiting. An interrupt is sent at once. Of a stub that lets itself be asked
 * ahead (any without acknowledgements, and QEMU) the pieces of a long read are asked for together,
 * and at a stop the ranges that the last one gathered, along with the registers. With any other,
 * one request is in flight at a time. Nothing is ever sent behind a resume.
 *
 * The stub is opened when an access space is enabled by a session that may control the CPU (opening
 * stops a QEMU machine), and it is let go of when the last one is disabled: the breakpoints that
 * were set here are removed, the CPU is resumed (or held), the stub is told to detach. For a
 * session without that right, enabling succeeds without opening anything; its accesses are then
 * refused unless somebody else has opened the stub and halted the CPU.
 *
 * While the CPU runs, whatever needs the stub halts it, is performed and resumes it; the gate is
 * asked (`allow`) for PST_RIGHT_RUN on PST_RUN_INTERRUPT. A stop in between that is not
 * ours is reported, and the CPU stays halted.
 *
 * Range steps use the stub's own `vCont;r` or else loop over single steps: until the pc leaves the
 * range or meets a breakpoint, something else stops the hart, an interrupt comes, or
 * PST_STUB_RANGE_STEPS were taken (reported as a plain step; the debugger asks again).
 *
 * Stop events carry what the gather list names and what watchpoints watch, as far as the memory map
 * lists it, the gate allows it and there is room.
 *
 * Deviations of a stub, whether bugs or malice, are errors of the access, or the stream is given up
 * (PST_RUN_LOST): never more.
 */
#ifndef POSTERN_PARTS_STUB_H
#define POSTERN_PARTS_STUB_H

#include "postern/parts/rsp.h"
#include "postern/space.h"

#define PST_STUB_HARTS 16   /* more are not listed */
#define PST_STUB_BREAKS 48  /* breakpoints and watchpoints at a time */
#define PST_STUB_ANNEXES 10 /* files of the target description; more are left out */
#define PST_STUB_NAME 40    /* longest name of one, and of an architecture, + 1 */
#define PST_STUB_RESUMES 6  /* entries of one RESUME */
#define PST_STUB_GATHERS 16 /* entries of the gather list */
#define PST_STUB_AHEAD 12   /* requests sent before their turn */
#define PST_STUB_RANGE_STEPS 10000
#define PST_STUB_BUFFER_MIN 1024

struct pst_stub_resume {
    uint32_t hart;
    uint8_t action, signal;
    uint64_t first, end;
};
struct pst_stub_break {
    uint64_t address;
    uint16_t kind;
    uint8_t type;
};
struct pst_stub_gather {
    uint8_t base, size;
    uint16_t offset;
    uint32_t len;
    uint64_t add;
};

struct pst_stub_range {
    uint64_t address;
    uint32_t len;
};

/* What would have to be undone at the stub if its owner vanished now. */
struct pst_stub_cleanup {
    uint8_t count;    /* breakpoints that are in, or may be */
    uint8_t expected; /* answers to come */
    bool acks, running;
    bool left; /* it was told to detach: nothing may be sent any more */
    bool cut;  /* half a packet was sent; the owner's to say */
    struct pst_stub_break breaks[PST_STUB_BREAKS + 1];
};

struct pst_stub_row; /* of the map of RUN */

struct pst_stub { /* private */
    struct pst_stub_config config;
    const struct pst_gate *gate; /* of the session that enabled us */
    uint8_t link, enabled, opening;
    bool closing, open_failed;

    /* the stream */
    struct pst_rsp_reader in;
    struct pst_writer out;
    size_t sent, packet_at, packet_len;
    uint8_t retries;
    bool acks, detached, noack_offered;
    void (*answer)(struct pst_stub *s, struct pst_bytes reply); /* NULL: not waited for */
    bool pipelines;                                             /* may be asked ahead */
    uint8_t skip;      /* answers to come first that nobody wants any more */
    uint8_t followers; /* pieces of the same read that were asked for behind this one */
    struct pst_stub_range ahead[PST_STUB_AHEAD]; /* asked for ahead; ahead_at..ahead_len to come */
    uint8_t ahead_at, ahead_len;
    struct pst_stub_range wanted[PST_STUB_AHEAD]; /* what the last report gathered */
    uint8_t wanted_len;

    /* what the stub can */
    uint32_t packet_size;
    uint8_t binary; /* X: 0 unknown, 1 yes, 2 no */
    bool has_vcont, has_range, has_xml, has_threads, no_p;
    const struct pst_arch *arch;
    char arch_name[PST_STUB_NAME];
    struct {
        char name[PST_STUB_NAME];
        uint32_t len;
    } annexes[PST_STUB_ANNEXES];
    uint8_t annex_count, annex;
    uint32_t annex_at;
    struct {
        char tag[PST_STUB_NAME + 24];
        uint8_t len;
        bool inside, text;
    } xml;
    struct {
        uint64_t thread;
        bool used, seen;
    } harts[PST_STUB_HARTS];
    uint8_t listing, listed;
    uint64_t general; /* the thread that Hg chose */

    /* run state */
    bool running, breaking, quiet, interrupt, resume_due, step_check, stepping, exited;
    uint32_t steps;
    struct pst_stub_resume resumes[PST_STUB_RESUMES];
    uint8_t resume_count, range; /* index of the range step */
    struct {
        uint8_t reason, signal;
        uint32_t hart;
        uint64_t address, pc;
        bool has_pc;
    } stop;
    struct pst_stub_break breaks[PST_STUB_BREAKS];
    uint8_t break_count;
    struct pst_stub_gather gathers[PST_STUB_GATHERS];
    uint8_t gather_count;

    /* the stop report */
    struct pst_writer report;
    size_t chunk_at;
    uint64_t chunk_address;
    uint32_t chunk_left;
    uint8_t report_phase, report_index;
    bool report_active, report_valid, event_due, event_ready;

    /* the access at hand */
    struct {
        const struct pst_stub_row *row;
        uint64_t address;
        uint32_t asked, len, at; /* len: as far as the stage reaches */
        uint8_t space, step;
        bool write, used, done;
        bool deferred; /* a resume that was sent and is not told yet */
        pst_err result;
    } access;
    bool stale; /* an answer to an access that was cancelled is to come */
    const struct pst_gate *access_gate;
    uint32_t chunk; /* bytes of a write in flight */
    struct pst_stub_break setting;
    bool setting_on;
    const uint8_t *source;   /* what it writes; only during a call to perform */
    struct pst_writer stage; /* what it read */
};

/* PST_ERR_ARGUMENT: no opener, or a buffer below PST_STUB_BUFFER_MIN. A read of more than a quarter
 * of the buffer is shortened to that; a `g` block must fit a seventh, and a sixteenth to be written
 * in parts. */
PST_MUST_CHECK pst_err pst_stub_init(struct pst_stub *s, const struct pst_stub_config *config);
/* The two access spaces; `s` outlives them. */
struct pst_space pst_stub_memory(struct pst_stub *s);
struct pst_space pst_stub_run(struct pst_stub *s);

/* Bytes from the stub, any number. */
void pst_stub_receive(struct pst_stub *s, const uint8_t *bytes, size_t len);
/* Bytes for the stub, valid until the next call; report with `sent` how many were taken. */
struct pst_bytes pst_stub_pending(const struct pst_stub *s);
void pst_stub_sent(struct pst_stub *s, size_t len);
/* A resume was sent, and is answered at the next stop or when hurried: a few milliseconds later. */
bool pst_stub_deferred(const struct pst_stub *s);
void pst_stub_answer_now(struct pst_stub *s);
/* Brought up to date; `cut` is not touched. false: the last one still holds. */
bool pst_stub_cleanup(const struct pst_stub *s, struct pst_stub_cleanup *will);
/* The stream is gone: accesses fail, RUN reports PST_RUN_LOST, until disabled and enabled again. */
void pst_stub_closed(struct pst_stub *s);
/* Lets go of the stream now, whatever the stub has not yet answered: for an owner whose patience
 * with `enable(false)` has ended. The supervisor (port/posix) or a reset has to clean up. */
void pst_stub_abandon(struct pst_stub *s);

#endif
