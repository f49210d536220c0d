/* I3C, the controller's side: when it polls, and how long it pauses after a failure. */
#include "link/i3c/debugger.h"

#define POLL_MIN_MS 1

void psti_i3c_calm(struct pst_i3c_debugger *d)
{
    d->tries = 0;
    d->write_pause_ms = d->read_pause_ms = 0;
}

void psti_i3c_poll_soon(struct pst_i3c_debugger *d)
{
    d->want_read = true;
    d->poll_ms = 0;
    d->read_at = d->now;
}

static uint64_t longer(const struct pst_i3c_debugger *d, uint32_t *pause_ms)
{
    *pause_ms = *pause_ms == 0 ? 1 : *pause_ms * 2;
    if (*pause_ms > PAUSE_MAX_MS) {
        *pause_ms = PAUSE_MAX_MS;
    }
    return d->now + *pause_ms;
}

void psti_i3c_pause_writes(struct pst_i3c_debugger *d)
{
    d->write_at = longer(d, &d->write_pause_ms);
}

void psti_i3c_pause_reads(struct pst_i3c_debugger *d)
{
    d->hold_at = longer(d, &d->read_pause_ms);
}

void psti_i3c_rest(struct pst_i3c_debugger *d)
{
    d->want_read = false;
    d->counts.polls++;
    d->poll_ms = d->poll_ms == 0 ? POLL_MIN_MS : d->poll_ms * 2;
    if (d->poll_ms > d->config.poll_ms) {
        d->poll_ms = d->config.poll_ms;
    }
    if (d->interrupts) {
        d->poll_ms = d->config.watch_ms;
    }
    d->read_at = d->now + d->poll_ms;
}
