/* fault_bus PATH SEED [FAULT=N...]: a modelled I3C bus with faults, for faults.py. FAULT is a field
 * of struct pst_i3c_faults and happens N times in a thousand. SIGUSR1 ends the faults, SIGTERM the
 * bus; then it prints the number of transfers. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/links/i3c/host.h"

static struct pst_i3c_host *host;

static unsigned *fault_of(struct pst_i3c_faults *f, const char *name, size_t len)
{
    const struct {
        const char *name;
        unsigned *rate;
    } table[] = {
        {"nack",       &f->nack      },
        {"pend",       &f->pend      },
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

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0) {
            return table[i].rate;
        }
    }
    return NULL;
}

static void on_signal(uv_signal_t *handle, int number)
{
    if (number == SIGTERM) {
        uv_stop(handle->loop);
    } else {
        memset(&pst_i3c_host_model(host)->faults, 0, sizeof(struct pst_i3c_faults));
        pst_i3c_host_pump(host);
    }
}

int main(int argc, char **argv)
{
    struct pst_i3c_faults faults = {0};
    uv_loop_t loop;
    uv_signal_t off, term;
    char why[512] = "wrong usage";

    (void)signal(SIGPIPE, SIG_IGN); /* SIGPIPE: the bus survives a debugger that is gone */
    for (int i = 3; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        unsigned *rate =
            value != NULL ? fault_of(&faults, argv[i], (size_t)(value - argv[i])) : NULL;
        if (rate == NULL) {
            fprintf(stderr, "fault_bus: %s: no such fault\n", argv[i]);
            return 1;
        }
        *rate = (unsigned)strtoul(value + 1, NULL, 10);
    }
    if (argc < 3 || uv_loop_init(&loop) != 0 || uv_signal_init(&loop, &off) != 0 ||
        uv_signal_init(&loop, &term) != 0 ||
        pst_i3c_host_start(&loop, argv[1], 0, strtoul(argv[2], NULL, 10), &host, why, sizeof why) !=
            PST_OK) {
        fprintf(stderr, "fault_bus: %s\n", why);
        return 1;
    }
    (void)uv_signal_start(&off, on_signal, SIGUSR1);
    (void)uv_signal_start(&term, on_signal, SIGTERM);
    pst_i3c_host_model(host)->faults = faults;
    puts("ready");
    (void)fflush(stdout);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    const struct pst_i3c_model *m = pst_i3c_host_model(host);
    printf("%u writes, %u reads, %u resets\n", m->writes, m->reads, m->resets);
    pst_i3c_host_stop(host);
    uv_close((uv_handle_t *)&off, NULL);
    uv_close((uv_handle_t *)&term, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
