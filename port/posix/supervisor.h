/* The supervisor: a small process that holds the connection to a gdb stub for the TS agent.
 *
 * A CPU must not be left halted, or full of breakpoints that halt it later with nobody there,
 * because the agent was killed. So a process of its own session holds the stub's stream, passes
 * packets between the two, and watches them: which breakpoints are in, whether the CPU runs. When
 * the agent vanishes, or lets go of the stub without having detached, it interrupts if needed,
 * removes every breakpoint, lets the CPU go on (or holds it), detaches, and closes. Without an
 * agent it ends, at the latest after PST_SUPERVISOR_PATIENCE_MS.
 *
 * The stub is connected only on the agent's demand, which comes after FINISH. Addresses:
 * `unix:PATH`, `tcp:HOST:PORT`, `tcp:[HOST]:PORT`.
 *
 * Between agent and supervisor run frames on a socket pair, not part of any protocol on a wire:
 * kind u8, length u16, payload.
 */
#ifndef PST_POSIX_SUPERVISOR_H
#define PST_POSIX_SUPERVISOR_H

#include <sys/types.h>

#include "postern/stub.h"

#define PST_SUPERVISOR_PATIENCE_MS 5000
#define PST_SUPERVISOR_FRAME 3
#define PST_SUPERVISOR_PAYLOAD 16384 /* more than one packet of any stub known */

enum pst_supervisor_kind {
    PST_SUPERVISOR_OPEN = 'O',   /* agent: connect to the stub */
    PST_SUPERVISOR_OPENED = 'o', /* it is connected */
    PST_SUPERVISOR_FAILED = 'f', /* it could not be; payload: why, as text */
    PST_SUPERVISOR_NEXT = 'N',   /* agent: bytes for the stub as soon as it reports the next stop */
    PST_SUPERVISOR_CLOSE = 'C',  /* agent: clean up and close */
    PST_SUPERVISOR_CLOSED = 'c', /* done */
    PST_SUPERVISOR_LOST = 'l',   /* the stub closed the stream */
    PST_SUPERVISOR_DATA = 'D',   /* bytes of the stream, either way */
};

/* The process itself: returns when the agent's end is closed or on SIGTERM, with everything cleaned
 * up. 0, or 1 when the stub did not let itself be cleaned up. */
int pst_supervisor_run(int agent_fd, const char *stub_address, bool hold);

struct pst_supervisor {
    int fd; /* the agent's end; non-blocking, close-on-exec */
    pid_t pid;
};
/* Starts it in a session of its own, with no descriptor but its socket and stderr. With `program`
 * (a path) it is executed as `program supervisor FD ADDRESS resume|hold`, so that it shares no
 * memory with the agent; NULL forks only, so do that before any key is loaded. PST_ERR_IO: see
 * errno. */
PST_MUST_CHECK pst_err pst_supervisor_start(struct pst_supervisor *s, const char *program,
                                            const char *stub_address, bool hold);

/* --- the agent's half of the frames, sans-I/O --- */
struct pst_supervisor_link {
    struct pst_stub *stub;
    uint8_t state, closes;
    uint8_t head[PST_SUPERVISOR_FRAME], head_len;
    uint16_t body_left;
    char why[128]; /* the last failure, as text */
    size_t why_len;
    uint8_t out[4 * PST_SUPERVISOR_FRAME + PST_STUB_FOLLOW + PST_SUPERVISOR_PAYLOAD];
    size_t out_at, out_len;
};
void pst_supervisor_link_init(struct pst_supervisor_link *l, struct pst_stub *stub);
/* `open` of pst_stub_config; `ctx` is the link. Letting go never waits. */
pst_err pst_supervisor_open(void *ctx, bool on);
/* `follow` of pst_stub_config; `ctx` is the link. */
bool pst_supervisor_follow(void *ctx, struct pst_bytes bytes);
/* Bytes read from the supervisor; goes on to the stub's client. */
void pst_supervisor_receive(struct pst_supervisor_link *l, const uint8_t *bytes, size_t len);
/* Bytes for the supervisor, taken from the stub's client; report with `sent`. */
struct pst_bytes pst_supervisor_pending(struct pst_supervisor_link *l);
void pst_supervisor_sent(struct pst_supervisor_link *l, size_t len);
/* The supervisor is gone: the stub is lost, and cannot be opened again. */
void pst_supervisor_gone(struct pst_supervisor_link *l);

#endif
