#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */
#include "posix/host/process.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <uv.h>

#include "postern/parts/wire.h"

uint64_t pst_process_now_ms(void *ctx)
{
    (void)ctx;
    return uv_hrtime() / 1000000;
}

void pst_process_harden(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void pst_process_soften(void)
{
    (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

void *pst_secret_alloc(size_t len)
{
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(at, len, MADV_DONTDUMP);
    return at;
}

void pst_secret_free(void *at, size_t len)
{
    if (at != NULL) {
        pst_wipe(at, len);
        (void)munmap(at, len);
    }
}
