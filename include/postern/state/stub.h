/* The state of a stub client. Private: use parts/stub.h; this is public only so that callers can
 * own the memory. */
#ifndef POSTERN_STATE_STUB_H
#define POSTERN_STATE_STUB_H

#include "postern/parts/rsp.h"
#include "postern/space.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_STUB_HARTS 16   /* most harts that are listed */
#define PST_STUB_BREAKS 48  /* most breakpoints and watchpoints at a time */
#define PST_STUB_ANNEXES 10 /* files of the target description; more are left out */
#define PST_STUB_NAME 40    /* room for the name of a file or an architecture, with the NUL */
#define PST_STUB_RESUMES 6  /* most entries of one RESUME */
#define PST_STUB_GATHERS 16 /* most entries of the gather list */
#define PST_STUB_AHEAD 12   /* most requests sent ahead */
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

struct pst_stub_row; /* a row of the register map of RUN */

struct pst_stub {
    struct pst_stub_config config;
    const struct pst_gate *gate; /* of the session that enabled the spaces */
    uint8_t link, enabled, opening;
    bool closing, open_failed;

    /* the stream */
    struct pst_rsp_reader in;
    struct pst_writer out;
    size_t sent, packet_at, packet_len;
    uint8_t retries;
    bool acks, noack_offered;
    bool detached; /* D was sent, so nothing may follow */
    void (*answer)(struct pst_stub *s, struct pst_bytes reply); /* NULL: no answer is expected */
    bool pipelines;                                             /* the stub supports pipelining */
    uint8_t skip;      /* answers still to come that will be dropped */
    uint8_t followers; /* more requests under way for the same read */
    struct pst_stub_range
        ahead[PST_STUB_AHEAD]; /* requested ahead; [ahead_at, ahead_len) are not answered */
    uint8_t ahead_at, ahead_len;
    struct pst_stub_range wanted[PST_STUB_AHEAD]; /* what the last report gathered */
    uint8_t wanted_len;

    /* what the stub supports */
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
    uint64_t general; /* the thread selected with Hg */

    /* run state */
    bool running;    /* resumed, and its stop has not been reported */
    bool breaking;   /* an interrupt was sent */
    bool quiet;      /* interrupted for an access: the stop is not reported */
    bool interrupt;  /* an interrupt was requested */
    bool resume_due; /* resume when no access is under way */
    bool stepping;   /* single-stepping through a range */
    bool step_check; /* compare the pc after a step */
    bool exited;
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

    /* the current access */
    struct {
        const struct pst_stub_row *row;
        uint64_t address;
        uint32_t asked, len, at; /* len: as much as fits into `stage` */
        uint8_t space, step;
        bool write, used, done;
        bool deferred; /* a resume that was sent but is not answered yet */
        pst_err result;
    } access;
    bool stale; /* the answer to a cancelled access is still to come */
    const struct pst_gate *access_gate;
    uint32_t chunk; /* bytes of a write in flight */
    struct pst_stub_break setting;
    bool setting_on;
    const uint8_t *source;   /* the data to write; valid only during a call to perform */
    struct pst_writer stage; /* the data that was read */
};

#ifdef __cplusplus
}
#endif

#endif
