/* Between the files of the stub client. Work is done in *tasks*: each looks whether there is
 * something for it to do while nothing is in flight and the CPU is halted, and either sends one
 * request, naming who takes the answer, or changes the state. `psti_stub_advance` goes round them.
 */
#ifndef PST_STUB_STUB_H
#define PST_STUB_STUB_H

#include "postern/parts/stub.h"

enum { LINK_CLOSED, LINK_OPENING, LINK_OPEN, LINK_CLOSING, LINK_LOST };

typedef void pst_stub_answer(struct pst_stub *s, struct pst_bytes reply);

/* stub.c */
void psti_stub_advance(struct pst_stub *s);
void psti_stub_lose(struct pst_stub *s);
bool psti_stub_is_ok(struct pst_bytes reply);
bool psti_stub_is_error(struct pst_bytes reply);

/* stub_talk.c: a request is begun, put and sent; an interrupt goes out behind it at any time. */
struct pst_rsp_writer psti_stub_begin(struct pst_stub *s);
void psti_stub_send(struct pst_stub *s, struct pst_rsp_writer *p, pst_stub_answer *answer);
void psti_stub_ask(struct pst_stub *s, const char *text, pst_stub_answer *answer);
void pst_stub_break(struct pst_stub *s);
/* Characters of payload that fit one packet. */
size_t psti_stub_room(const struct pst_stub *s);
/* Asks for the first bytes of a range in one packet. */
void psti_stub_ask_memory(struct pst_stub *s, uint64_t address, size_t len,
                          pst_stub_answer *answer);
/* Bytes of a range that one packet asks for. */
size_t psti_stub_memory_chunk(const struct pst_stub *s, uint64_t address, size_t len);
void psti_stub_put_memory(const struct pst_stub *s, struct pst_rsp_writer *p, uint64_t address,
                          size_t len);
/* Asks behind a request that was just sent; its answer comes next but the ones before it. false:
 * no room. */
bool psti_stub_follow_memory(struct pst_stub *s, uint64_t address, size_t len);
/* Makes `hart` the one that g and p speak about. true: a request was sent, call again. */
bool psti_stub_select(struct pst_stub *s, uint32_t hart);

/* stub_ahead.c: asks at a stop, along with the registers, for what the last report gathered. */
void psti_stub_ahead_send(struct pst_stub *s);
/* Behind a request that was just made: these too, at most PST_STUB_AHEAD. */
void psti_stub_ahead_follow(struct pst_stub *s, const struct pst_stub_range *ranges, size_t count);
/* Was it asked for? Then its answer is the next that is not skipped. */
bool psti_stub_ahead_take(struct pst_stub *s, uint64_t address, uint32_t len);
/* Nothing of it is wanted any more. */
void psti_stub_ahead_drop(struct pst_stub *s);
/* Something that may be asked for at the next stop. */
void psti_stub_ahead_want(struct pst_stub *s, uint64_t address, uint32_t len);

/* stub_open.c */
bool psti_stub_open_task(struct pst_stub *s);
uint32_t psti_stub_hart(const struct pst_stub *s, size_t slot);
uint32_t psti_stub_hart_of(struct pst_stub *s, uint64_t thread);       /* adds it if it is new */
uint64_t psti_stub_thread_of(const struct pst_stub *s, uint32_t hart); /* 0: none */
uint32_t psti_stub_first_hart(const struct pst_stub *s);
/* Asks for the threads again; `true` while it does. */
bool psti_stub_list_threads(struct pst_stub *s, uint8_t *step);
/* Sends qXfer for `len` bytes of an annex at `at`. */
void psti_stub_ask_annex(struct pst_stub *s, size_t annex, uint32_t at, size_t len,
                         pst_stub_answer *answer);

/* stub_xml.c: looks for the architecture and for included annexes in what passes. */
void psti_stub_xml_begin(struct pst_stub *s);
void psti_stub_xml_scan(struct pst_stub *s, const uint8_t *at, size_t len);
void psti_stub_annex_add(struct pst_stub *s, const char *name, size_t len);

/* stub_stop.c: running, stopping, and what is reported of it. */
pst_err pst_stub_resume(struct pst_stub *s, struct pst_reader *list);
void psti_stub_on_stop(struct pst_stub *s, struct pst_bytes reply);
bool psti_stub_parse_stop(struct pst_stub *s, struct pst_bytes reply);
bool psti_stub_check_task(struct pst_stub *s);
bool psti_stub_go_task(struct pst_stub *s);

/* stub_report.c */
void psti_stub_report_head(struct pst_stub *s, uint8_t state);
void psti_stub_report_begin(struct pst_stub *s, bool event);
bool psti_stub_report_task(struct pst_stub *s);
size_t psti_stub_report_copy(const struct pst_stub *s, uint8_t *out, size_t cap);
uint64_t psti_stub_get_value(const uint8_t *at, size_t size);
/* Hex of a register block, where x stands for what is not available (taken as 0); up to `cap`
 * bytes. 0: malformed or too long. */
size_t psti_stub_get_registers(struct pst_bytes reply, uint8_t *out, size_t cap);

/* stub_access.c: the access at hand, and the map of RUN. */
bool psti_stub_access_task(struct pst_stub *s);
void psti_stub_finish(struct pst_stub *s, pst_err result);
/* The access waits for the CPU to be halted. */
bool psti_stub_wants_halt(const struct pst_stub *s);
pst_err psti_stub_perform(struct pst_stub *s, struct pst_access *a, uint8_t space);
uint8_t psti_stub_right(uint64_t address, bool write);

/* Steps: what to do next for the access, with the CPU halted. Each sends a request or finishes. */
void psti_stub_memory_step(struct pst_stub *s);
void psti_stub_registers_step(struct pst_stub *s);
void psti_stub_register_step(struct pst_stub *s);
void psti_stub_break_step(struct pst_stub *s);
void psti_stub_description_step(struct pst_stub *s);
void psti_stub_harts_step(struct pst_stub *s);

/* Sends the removal of one breakpoint; false: none is left. */
bool psti_stub_break_clear(struct pst_stub *s);

/* stub.c: opening and letting go */
pst_err psti_stub_ensure_open(struct pst_stub *s, const struct pst_gate *gate);
pst_err psti_stub_release(struct pst_stub *s);
bool psti_stub_may_run(const struct pst_gate *gate);
/* The CPU runs as far as anybody else can tell, also between the steps of a range. */
bool psti_stub_is_running(const struct pst_stub *s);

#endif
