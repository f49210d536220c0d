/* What the files of the stub client share. Work is done in *tasks*: each looks whether there is
 * something for it to do while no request is in flight and the CPU is halted, and either sends one
 * request, naming who takes the answer, or changes the state. `psti_stub_advance` goes round them.
 *
 * Each file uses only files below it:
 *
 * spaces.c                                   the two access spaces
 * stub.c                                     bytes from the stub, the round of tasks, opening,
 *                                            detaching
 * access.c                                   the access at hand, and the map of RUN
 * memory.c  breaks.c  registers.c  stop.c    what an access does
 * open.c  report.c                           what the stub can do; the stop report
 * ahead.c                                    reads that are requested ahead
 * talk.c                                     requests
 * state.c  xml.c                             replies, results, the loss of the stub
 * harts.c  arch.c                            numbers of harts, register files
 */
#ifndef PST_STUB_STUB_H
#define PST_STUB_STUB_H

#include "postern/parts/stub.h"

enum { LINK_CLOSED, LINK_OPENING, LINK_OPEN, LINK_CLOSING, LINK_LOST };
enum { ENABLED_MEMORY = 1, ENABLED_RUN = 2 };
enum { CHUNK_HEAD = 12 /* address and length of gathered memory in a stop report */ };

typedef void psti_stub_answer(struct pst_stub *s, struct pst_bytes reply);

/* --- harts.c --- */
uint32_t psti_stub_hart(const struct pst_stub *s, size_t slot);
uint32_t psti_stub_hart_of(struct pst_stub *s, uint64_t thread);       /* adds it if it is new */
uint64_t psti_stub_thread_of(const struct pst_stub *s, uint32_t hart); /* 0: none */
uint32_t psti_stub_first_hart(const struct pst_stub *s);

/* --- state.c --- */
bool psti_stub_is_ok(struct pst_bytes reply);
bool psti_stub_is_error(struct pst_bytes reply);
/* Little-endian, `size` at most 8. */
uint64_t psti_stub_get_value(const uint8_t *at, size_t size);
/* Hex of a register block, where "xx" stands for a byte that is not available (taken as 0); up to
 * `cap` bytes. 0: malformed or too long. */
size_t psti_stub_get_registers(struct pst_bytes reply, uint8_t *out, size_t cap);
/* The CPU runs as far as anybody else can tell, also between the steps of a range. */
bool psti_stub_is_running(const struct pst_stub *s);
bool psti_stub_may_run(const struct pst_gate *gate);
/* The access at hand is done. */
void psti_stub_finish(struct pst_stub *s, pst_err result);
/* Begins a stop report: everything but registers and memory. */
void psti_stub_report_head(struct pst_stub *s, uint8_t state);
size_t psti_stub_report_copy(const struct pst_stub *s, uint8_t *out, size_t cap);
/* The stream is lost, or given up because the stub broke the protocol. */
void psti_stub_lose(struct pst_stub *s);

/* --- xml.c: looks for the architecture and for included annexes in what passes --- */
void psti_stub_xml_begin(struct pst_stub *s);
void psti_stub_xml_scan(struct pst_stub *s, const uint8_t *at, size_t len);
void psti_stub_annex_add(struct pst_stub *s, const char *name, size_t len);

/* --- talk.c: a request is begun, put and sent; an interrupt goes out behind it at any time --- */
struct pst_rsp_writer psti_stub_begin(struct pst_stub *s);
void psti_stub_send(struct pst_stub *s, struct pst_rsp_writer *p, psti_stub_answer *answer);
void psti_stub_ask(struct pst_stub *s, const char *text, psti_stub_answer *answer);
void psti_stub_interrupt(struct pst_stub *s);
/* Characters of payload that fit one packet. */
size_t psti_stub_room(const struct pst_stub *s);
/* Requests the first bytes of a range, as many as one packet can bring. */
void psti_stub_ask_memory(struct pst_stub *s, uint64_t address, size_t len,
                          psti_stub_answer *answer);
/* How many bytes of a range that are. */
size_t psti_stub_memory_chunk(const struct pst_stub *s, uint64_t address, size_t len);
/* Requests memory behind a request that was just sent. Its answer comes after those of all requests
 * before it. False: no room. */
bool psti_stub_follow_memory(struct pst_stub *s, uint64_t address, size_t len);
/* Makes `hart` the one that g and p are about. True: a request was sent, call again. */
bool psti_stub_select(struct pst_stub *s, uint32_t hart);

/* --- ahead.c: at a stop, requests along with the registers what the last report gathered --- */
void psti_stub_ahead_send(struct pst_stub *s);
/* Requests these behind the last request, at most PST_STUB_AHEAD. */
void psti_stub_ahead_follow(struct pst_stub *s, const struct pst_stub_range *ranges, size_t count);
/* True: the range was requested, and its answer is the next that is not skipped. */
bool psti_stub_ahead_take(struct pst_stub *s, uint64_t address, uint32_t len);
/* Answers to all of them are to be skipped. */
void psti_stub_ahead_drop(struct pst_stub *s);
/* Notes a range to be requested at the next stop. */
void psti_stub_ahead_want(struct pst_stub *s, uint64_t address, uint32_t len);

/* --- open.c --- */
bool psti_stub_open_task(struct pst_stub *s);
/* Reads the list of threads again. True: a request was sent, call again. */
bool psti_stub_list_threads(struct pst_stub *s, uint8_t *step);
/* Sends qXfer for `len` bytes of an annex at `at`. */
void psti_stub_ask_annex(struct pst_stub *s, size_t annex, uint32_t at, size_t len,
                         psti_stub_answer *answer);

/* --- report.c --- */
void psti_stub_report_begin(struct pst_stub *s, bool event);
bool psti_stub_report_task(struct pst_stub *s);

/* --- stop.c: resuming and stopping --- */
pst_err psti_stub_resume(struct pst_stub *s, struct pst_reader *list);
void psti_stub_on_stop(struct pst_stub *s, struct pst_bytes reply);
bool psti_stub_parse_stop(struct pst_stub *s, struct pst_bytes reply);
bool psti_stub_check_task(struct pst_stub *s);
bool psti_stub_go_task(struct pst_stub *s);

/* --- breaks.c --- */
/* Sends the removal of one breakpoint. False: none is left. */
bool psti_stub_break_clear(struct pst_stub *s);

/* --- what the table of access.c runs for an access, with the CPU halted; each sends a request or
 * finishes the access --- */
void psti_stub_memory_step(struct pst_stub *s);
void psti_stub_registers_step(struct pst_stub *s);
void psti_stub_register_step(struct pst_stub *s);
void psti_stub_break_step(struct pst_stub *s);

/* --- access.c --- */
bool psti_stub_access_task(struct pst_stub *s);
/* The access waits for the CPU to be halted. */
bool psti_stub_wants_halt(const struct pst_stub *s);
/* The right that an access to RUN needs. */
uint8_t psti_stub_right(uint64_t address, bool write);
/* Whether the access can be made at all, and may be made now. */
PST_MUST_CHECK pst_err psti_stub_access_check(const struct pst_stub *s, const struct pst_access *a,
                                              uint8_t space);
void psti_stub_access_begin(struct pst_stub *s, const struct pst_access *a, uint8_t space);

/* --- stub.c --- */
void psti_stub_advance(struct pst_stub *s);
/* Opens the stub if it is not open and `gate` lets it be. PST_PENDING: call again. */
PST_MUST_CHECK pst_err psti_stub_ensure_open(struct pst_stub *s, const struct pst_gate *gate);
/* Lets go of the stream once nothing is left to be sent. PST_PENDING: call again. */
pst_err psti_stub_release(struct pst_stub *s);

#endif
