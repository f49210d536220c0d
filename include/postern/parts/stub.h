/* MEMORY and RUN access spaces behind a gdb stub: a client of the remote serial protocol.
 *
 * Sans-I/O. The owner carries bytes between the stub's stream and this object. Nothing here waits:
 * an access whose answer is outstanding stays PST_PENDING, and a silent stub blocks nobody else. An
 * interrupt is sent at once. If the stub supports pipelining (it does without acknowledgements, and
 * QEMU's does with them), all pieces of a long read are requested together, and so are, at a stop,
 * the registers and the ranges that the last stop report gathered. Otherwise one request is in
 * flight at a time. Nothing is ever sent behind a resume.
 *
 * **Opening.** The stub is opened when an access space is enabled by a session that may control the
 * CPU, because opening stops a QEMU machine. When the last access space is disabled, the
 * breakpoints that were set here are removed, the CPU is resumed (or held), and the stub is told to
 * detach. For a session without that right, enabling succeeds without opening anything. Its
 * accesses are then refused, unless another session has opened the stub and halted the CPU.
 *
 * **While the CPU runs**, an access that needs the stub halts the CPU, is performed, and resumes
 * it. The gate is asked for PST_RIGHT_RUN on PST_RUN_INTERRUPT. If the CPU
 * stops meanwhile for a reason of its own, the stop is reported and the CPU stays halted.
 *
 * **Range steps** use the stub's `vCont;r`. If it has none, they are single steps until the pc
 * leaves the range or meets a breakpoint, something else stops the hart, an interrupt comes, or
 * PST_STUB_RANGE_STEPS were taken. The last is reported as a plain step, and the debugger asks
 * again.
 *
 * **Stop reports** bring what the gather list names and what watchpoints watch, if the memory map
 * lists it, the gate allows it and there is room.
 *
 * **The stub is not trusted.** If it breaks the protocol, by mistake or on purpose, the access
 * fails, or the stream is given up (PST_RUN_LOST). Nothing worse happens.
 */
#ifndef POSTERN_PARTS_STUB_H
#define POSTERN_PARTS_STUB_H

#include "postern/state/stub.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What must be undone at the stub if the client's owner dies now. */
struct pst_stub_cleanup {
    uint8_t count;    /* breakpoints that are set, or may be */
    uint8_t expected; /* answers to come */
    bool acks, running;
    bool left; /* it was told to detach: nothing more may be sent */
    bool cut;  /* half a packet was sent; set by the owner */
    struct pst_stub_break breaks[PST_STUB_BREAKS + 1];
};

/* `config` is copied; what it points to outlives the client. A read longer than a quarter of the
 * buffer is shortened to that. A `g` block must fit a seventh of the buffer, and a sixteenth to be
 * written in part. PST_ERR_ARGUMENT: no `open`, a buffer below PST_STUB_BUFFER_MIN, or a map
 * without regions; `s` is unchanged. */
PST_MUST_CHECK pst_err pst_stub_init(struct pst_stub *s, const struct pst_stub_config *config);
/* The two access spaces for a command engine; `s` outlives them. */
struct pst_space pst_stub_memory(struct pst_stub *s);
struct pst_space pst_stub_run(struct pst_stub *s);

/* Takes bytes from the stub, any number. */
void pst_stub_receive(struct pst_stub *s, const uint8_t *bytes, size_t len);
/* Bytes for the stub, valid until the next call. Report with pst_stub_sent how many were taken. */
struct pst_bytes pst_stub_pending(const struct pst_stub *s);
void pst_stub_sent(struct pst_stub *s, size_t len);
/* True: a resume was sent, and its answer is deferred until the CPU stops (config.defer_resume).
 * The owner calls pst_stub_answer_now a few milliseconds later, so that the debugger learns in time
 * that the CPU runs. It does nothing if no answer is deferred. */
bool pst_stub_deferred(const struct pst_stub *s);
void pst_stub_answer_now(struct pst_stub *s);
/* Brings `cleanup` up to date, except `cut`. False: no stub is open, and `cleanup` is unchanged. */
bool pst_stub_cleanup(const struct pst_stub *s, struct pst_stub_cleanup *cleanup);
/* The stream is gone: accesses fail and RUN reports PST_RUN_LOST, until disabled and enabled again.
 */
void pst_stub_closed(struct pst_stub *s);
/* Closes the stream now, even if the stub has not answered: for an owner that cannot wait for
 * `enable(false)` any longer. The supervisor (port/posix), or a reset, has to clean up. */
void pst_stub_abandon(struct pst_stub *s);

#ifdef __cplusplus
}
#endif

#endif
