/* A debug stub behind its supervisor, on a libuv loop; and the MEMORY space of a target: files and
   devices at their addresses, the stub's memory everywhere else. */
#ifndef POSTERN_POSIX_HOST_STUB_HOST_H
#define POSTERN_POSIX_HOST_STUB_HOST_H

#include <uv.h>

#include "posix/host/file_memory.h"
#include "posix/host/supervisor.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_STUB_HOST_BUFFER (576 * 1024) /* four reads of the largest size */

struct pst_stub_host_config { /* const, outlives it */
    const char *program;      /* see pst_supervisor_start */
    const char *address;
    const struct pst_region *map;
    size_t map_len;
    bool hold;
    void (*note)(void *ctx, const char *text); /* human-readable; may be NULL */
    void *ctx;
};

struct pst_stub_host {
    struct pst_stub stub;
    /* private */
    const struct pst_stub_host_config *config;
    uv_loop_t *loop;
    struct pst_supervisor supervisor;
    struct pst_supervisor_link link;
    uv_poll_t control; /* the supervisor's messages */
    uv_poll_t *stream; /* the stub's stream, while there is one */
    uv_timer_t tell;   /* a resume without a stop yet */
    bool open, writing, closing;
    uint64_t started_ms;
    char told[128];
    uint8_t buffer[PST_STUB_HOST_BUFFER];
};

/* Starts the supervisor without connecting to the stub. Call it before any key is loaded.
   PST_ERR_IO: see errno. */
PST_MUST_CHECK pst_err pst_stub_host_start(struct pst_stub_host *h,
                                           const struct pst_stub_host_config *config);
/* Attaches to the loop. */
PST_MUST_CHECK pst_err pst_stub_host_attach(struct pst_stub_host *h, uv_loop_t *loop);
/* Sends the pending output of the stub client. */
void pst_stub_host_flush(struct pst_stub_host *h);
/* Closes the connection to the supervisor, which then cleans up. */
void pst_stub_host_close(struct pst_stub_host *h);

#define PST_MEMORY_FILES 4
struct pst_memory {
    struct pst_file_memory files[PST_MEMORY_FILES];
    size_t count;
    bool has_stub;
    struct pst_space stub; /* MEMORY of a stub, when there is one */
};
struct pst_space pst_memory_space(struct pst_memory *m);

#ifdef __cplusplus
}
#endif

#endif
