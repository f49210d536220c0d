/* The supervisor: a small process that cleans up at a gdb stub when the TS agent cannot.
 *
 * A CPU must not be left halted, or full of breakpoints that halt it later with nobody there,
 * because the agent was killed. So a process of its own session connects to the stub, keeps the
 * connection and gives the agent a duplicate of it, together with shared memory in which the agent
 * notes what must be undone at the stub (struct pst_stub_cleanup). The agent talks to the stub
 * directly and updates the note before each byte that it sends. When the agent dies, or closes the
 * stub without having detached, the supervisor interrupts the CPU if needed, removes
 * every breakpoint, lets the CPU go on (or holds it), detaches, and closes. Without an agent it
 * ends, at the latest after PST_SUPERVISOR_PATIENCE_MS.
 *
 * The stub is connected only on the agent's demand, which comes after FINISH. Addresses:
 * `unix:PATH`, `tcp:HOST:PORT`, `tcp:[HOST]:PORT`.
 *
 * Between agent and supervisor run messages on a pair of sockets that keep their boundaries, not
 * part of any protocol on a wire: one byte of kind, then a payload.
 */
#ifndef POSTERN_POSIX_HOST_SUPERVISOR_H
#define POSTERN_POSIX_HOST_SUPERVISOR_H

#include <sys/types.h>

#include "postern/parts/stub.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_SUPERVISOR_PATIENCE_MS 5000

enum pst_supervisor_kind {
    PST_SUPERVISOR_OPEN = 'O',   /* agent: connect to the stub */
    PST_SUPERVISOR_OPENED = 'o', /* connected; with descriptors of the stream and of the note */
    PST_SUPERVISOR_FAILED = 'f', /* connecting failed; payload: the reason, as text */
    PST_SUPERVISOR_CLOSE = 'C',  /* agent: clean up and close */
    PST_SUPERVISOR_LOST = 'L',   /* agent: the stub closed the stream, close it too */
    PST_SUPERVISOR_CLOSED = 'c', /* answer to both: done */
};

/* The supervisor process: returns when the agent's end is closed or on SIGTERM, after the clean-up.
   0, or 1 when the clean-up at the stub failed. */
int pst_supervisor_run(int agent_fd, const char *stub_address, bool hold);

struct pst_supervisor {
    int fd; /* the agent's end; non-blocking, close-on-exec */
    pid_t pid;
};
/* Starts it in a session of its own, with no descriptor but its socket and stderr. With `program`
 * (a path) it is executed as `program supervisor FD ADDRESS resume|hold`, so that it shares nothing
 * with the agent but the note; NULL forks only, so do that before any key is loaded. PST_ERR_IO:
 * see errno. */
PST_MUST_CHECK pst_err pst_supervisor_start(struct pst_supervisor *s, const char *program,
                                            const char *stub_address, bool hold);

/* --- the agent's half: no function here blocks --- */
struct pst_supervisor_link {
    struct pst_stub *stub;
    int control;                      /* to the supervisor, owned by the caller */
    int fd;                           /* to the stub, owned by this struct; -1: none */
    struct pst_stub_cleanup *cleanup; /* shared with the supervisor */
    uint8_t state, closes;
    char why[128];                             /* the last failure, as text */
    void (*watch)(void *ctx, int fd, bool on); /* `fd` is new, or about to be closed; may be NULL */
    void *ctx;
};
void pst_supervisor_link_init(struct pst_supervisor_link *l, struct pst_stub *stub, int control);
/* `open` of pst_stub_config; `ctx` is the link. Closing never blocks. */
pst_err pst_supervisor_open(void *ctx, bool on);
/* Call it when the control socket is readable. False: the supervisor has exited. */
PST_MUST_CHECK bool pst_supervisor_heard(struct pst_supervisor_link *l);
/* Call it when the stub's stream is readable: passes the input to the stub client and sends its
   output. Returns as pst_supervisor_write does. */
bool pst_supervisor_read(struct pst_supervisor_link *l);
/* Sends the pending output of the stub client. True: more is pending; call again when the stream is
   writable. */
bool pst_supervisor_write(struct pst_supervisor_link *l);
/* The supervisor has exited: the stub is lost and cannot be opened again. */
void pst_supervisor_gone(struct pst_supervisor_link *l);

#ifdef __cplusplus
}
#endif

#endif
