/* A modelled I3C bus as a program of its own: `i3c_bus PATH [KHZ [SEED]]`. Lines on stdin:
 *   reset            the bus is reset; all addresses are void
 *   adaptor ID       Debug Network Adaptor Reset of the device with this id: RSTACT and the pattern
 *   unplug ID, plug ID
 *   FAULT N          so often in a thousand (nack, lose, ...: struct pst_i3c_faults)
 *   stats            a line of counters on stdout
 * The end of stdin ends it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/i3c/host.h"

struct program {
    struct pst_i3c_host *host;
    uv_pipe_t in;
    char line[128];
    size_t have;
};

static struct pst_i3c_device *device_of(struct pst_i3c_model *m, uint64_t id)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->devices[i]->id == id) {
            return m->devices[i];
        }
    }
    return NULL;
}

static unsigned *fault_of(struct pst_i3c_faults *f, const char *name)
{
    const struct {
        const char *name;
        unsigned *at;
    } faults[] = {
        {"nack",       &f->nack      },
        {"lose",       &f->lose      },
        {"twice",      &f->twice     },
        {"broken",     &f->broken    },
        {"write",      &f->write     },
        {"read",       &f->read      },
        {"cut",        &f->cut       },
        {"drop_ibi",   &f->drop_ibi  },
        {"refuse_ibi", &f->refuse_ibi},
        {"bus_reset",  &f->bus_reset },
    };

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strcmp(faults[i].name, name) == 0) {
            return faults[i].at;
        }
    }
    return NULL;
}

static void stats(const struct pst_i3c_model *m)
{
    unsigned ibis = 0, lost = 0;

    for (size_t i = 0; i < m->count; i++) {
        ibis += m->devices[i]->ibis;
        lost += m->devices[i]->lost_arbitration;
    }
    printf("devices %zu finds %u joins %u resets %u patterns %u writes %u reads %u ibis %u lost "
           "%u misused %u bits %llu\n",
           m->count, m->finds, m->joins, m->resets, m->patterns, m->writes, m->reads, ibis, lost,
           m->misused, (unsigned long long)pst_i3c_model_bits(m));
    fflush(stdout);
}

static bool on_device(struct pst_i3c_model *m, const char *what, uint64_t id)
{
    struct pst_i3c_device *d = device_of(m, id);

    if (d == NULL) {
        return false;
    }
    if (strcmp(what, "adaptor") == 0) {
        return d->ops->ccc(d->ctx, PST_I3C_RSTACT, PST_I3C_RESET, NULL, 0) == PST_OK &&
               pst_i3c_model_pattern(m) == 1;
    }
    d->absent = strcmp(what, "unplug") == 0;
    if (!d->absent) {
        d->address = 0; /* a device that is plugged in again needs a new address */
    }
    return d->absent || strcmp(what, "plug") == 0;
}

static void command(struct program *p, const char *line)
{
    struct pst_i3c_model *m = pst_i3c_host_model(p->host);
    char what[32] = "", value[32] = "";

    if (sscanf(line, "%31s %31s", what, value) < 1) {
        return;
    }
    unsigned *fault = fault_of(&m->faults, what);
    if (fault != NULL) {
        *fault = (unsigned)strtoul(value, NULL, 0);
    } else if (strcmp(what, "reset") == 0) {
        pst_i3c_model_reset(m);
    } else if (strcmp(what, "stats") == 0) {
        stats(m);
    } else if (!on_device(m, what, strtoull(value, NULL, 0))) {
        fprintf(stderr, "i3c_bus: '%s': unknown, or no such device\n", line);
    }
    pst_i3c_host_pump(p->host);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct program *p = handle->data;
    (void)hint;
    *buf = uv_buf_init(p->line + p->have, (unsigned)(sizeof p->line - 1 - p->have));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct program *p = stream->data;
    char *end;

    (void)buf;
    if (got < 0) {
        uv_close((uv_handle_t *)stream, NULL);
        pst_i3c_host_stop(p->host);
        return;
    }
    p->have += (size_t)got;
    p->line[p->have] = '\0';
    while ((end = strchr(p->line, '\n')) != NULL) {
        *end = '\0';
        command(p, p->line);
        p->have -= (size_t)(end + 1 - p->line);
        memmove(p->line, end + 1, p->have + 1);
    }
    if (p->have == sizeof p->line - 1) {
        p->have = 0;
    }
}

int main(int argc, char **argv)
{
    static struct program p;
    uv_loop_t *loop = uv_default_loop();
    const unsigned khz = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    const uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    char why[256];

    (void)signal(SIGPIPE, SIG_IGN); /* SIGPIPE: the bus survives a client that is gone */
    if (argc < 2) {
        fprintf(stderr, "usage: i3c_bus PATH [KHZ [SEED]]\n");
        return 2;
    }
    if (pst_i3c_host_start(loop, argv[1], khz, seed, &p.host, why, sizeof why) != PST_OK) {
        fprintf(stderr, "i3c_bus: %s\n", why);
        return 1;
    }
    p.in.data = &p;
    if (uv_pipe_init(loop, &p.in, 0) != 0 || uv_pipe_open(&p.in, 0) != 0 ||
        uv_read_start((uv_stream_t *)&p.in, on_alloc, on_read) != 0) {
        return 1;
    }
    (void)uv_run(loop, UV_RUN_DEFAULT);
    return uv_loop_close(loop) == 0 ? 0 : 1;
}
