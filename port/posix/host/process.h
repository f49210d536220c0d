/* What a process with secrets needs from the system: no core dumps, memory that is excluded from
   them, and a monotonic clock. */
#ifndef POSTERN_POSIX_HOST_PROCESS_H
#define POSTERN_POSIX_HOST_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Disables core dumps and keeps other processes of the same user from reading this one. */
void pst_process_harden(void);
/* Lets other processes read this one again. Call it at the end, after every secret was wiped, for
   tools that examine an exiting process. */
void pst_process_soften(void);

/* Monotonic milliseconds; `ctx` is ignored. */
uint64_t pst_process_now_ms(void *ctx);

/* Zeroed memory that is excluded from core dumps; NULL if there is none. */
void *pst_secret_alloc(size_t len);
/* Wipes and frees what pst_secret_alloc returned for the same `len`; NULL is allowed. */
void pst_secret_free(void *at, size_t len);

#ifdef __cplusplus
}
#endif

#endif
