/* Memory that two machines share: the BAR of a device here (ivshmem), or a file that is such a BAR
   in a guest. */
#ifndef POSTERN_POSIX_LINKS_PCIE_SHM_MEMORY_H
#define POSTERN_POSIX_LINKS_PCIE_SHM_MEMORY_H

#include <signal.h>

#include "posix/loop/address.h"
#include "postern/links/ring.h"

#define PST_SHM_IVSHMEM 0x1AF41110u /* vendor and device */

struct pst_shm { /* of the listener and of its connections, of which there is one at a time */
    void *map;
    size_t len;
    int fd;     /* holds the lock on our side of it */
    int device; /* file "enable" of a device; -1 */
    unsigned users;
    volatile sig_atomic_t lost; /* it is gone: the file was truncated, or the device unplugged */
    struct pst_shm *next;       /* private */
};

/* A place with a slash in it is a file. */
bool pst_shm_is_file(const struct pst_address *a);
/* Maps it for the side that listens, or the other one: each is there once on this machine, for this
 * process or another. One user has it. PST_ERR_IO or PST_ERR_DECODE with `why`. */
PST_MUST_CHECK pst_err pst_shm_open(const struct pst_address *a, bool listens, struct pst_shm **out,
                                    char *why, size_t cap);
/* The last user unmaps and frees it. */
void pst_shm_release(struct pst_shm *m);
/* The memory for a ring; it stays while the port is used. */
struct pst_ring_port pst_shm_port(struct pst_shm *m);
/* Reports why the link `a` cannot be opened; PST_ERR_IO. */
pst_err pst_shm_refuse(const struct pst_address *a, const char *what, char *why, size_t cap);

#endif
