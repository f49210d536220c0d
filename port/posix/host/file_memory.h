/* A MEMORY access space over a file, or over a device that can be mapped (`/dev/mem`, a UIO
 * region): bytes [base, base + size) are the file's, from `offset` on. A regular file is mapped
 * too, so writes last. Aligned accesses of 1, 2, 4 and 8 bytes reach the mapping as one access of
 * that width. */
#ifndef POSTERN_POSIX_HOST_FILE_MEMORY_H
#define POSTERN_POSIX_HOST_FILE_MEMORY_H

#include "postern/parts/spp.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pst_file_memory {
    uint64_t base, size;
    uint8_t *at; /* the mapping; its first `skip` bytes precede `offset` in the page */
    size_t mapped, skip;
    bool read_only;
};
/* `size` 0: to the end of the file. PST_ERR_IO: see errno. PST_ERR_ARGUMENT: the range is empty, or
   exceeds the file or the address space. */
PST_MUST_CHECK pst_err pst_file_memory_open(struct pst_file_memory *m, const char *path,
                                            uint64_t base, uint64_t size, uint64_t offset,
                                            bool read_only);
void pst_file_memory_close(struct pst_file_memory *m);
/* A write to a read-only file returns PST_ERR_DENIED, an address outside PST_ERR_FAULT. A read that
   begins inside and ends outside is shortened. `m` outlives the space. */
struct pst_space pst_file_memory_space(struct pst_file_memory *m);

#ifdef __cplusplus
}
#endif

#endif
