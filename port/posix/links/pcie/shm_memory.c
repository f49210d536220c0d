#ifdef __linux__
#define _GNU_SOURCE /* F_OFD_SETLK, MAP_ANONYMOUS */
#endif
#include "posix/links/pcie/shm_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/links/pcie/device.h"

static uint32_t load(void *ctx, size_t at)
{
    const struct pst_shm *m = ctx;
    const _Atomic uint32_t *words = m->map;
    const uint32_t value = atomic_load_explicit(&words[at / 4], memory_order_acquire);
    uint8_t bytes[4];

    memcpy(bytes, &value, sizeof bytes);
    return pst_peek_u32(bytes);
}

static void store(void *ctx, size_t at, uint32_t value)
{
    const struct pst_shm *m = ctx;
    _Atomic uint32_t *words = m->map;
    uint8_t bytes[4];

    pst_poke_u32(bytes, value);
    memcpy(&value, bytes, sizeof value);
    atomic_store_explicit(&words[at / 4], value, memory_order_release);
}

static void take(void *ctx, size_t at, uint8_t *out, size_t len)
{
    const struct pst_shm *m = ctx;
    memcpy(out, (const uint8_t *)m->map + at, len);
}

static void put(void *ctx, size_t at, const uint8_t *bytes, size_t len)
{
    const struct pst_shm *m = ctx;
    memcpy((uint8_t *)m->map + at, bytes, len);
}

struct pst_ring_port pst_shm_port(struct pst_shm *m)
{
    return (struct pst_ring_port){m, load, store, take, put};
}

/* --- memory that goes away --- */

static struct pst_shm
    *mapped; /* all mappings of this process; changed only where no mapping is accessed */

/* A file was truncated or a device unplugged: zero pages replace the lost memory, so the ring shows
   no peer. Any other SIGBUS ends the process, as without this handler. */
static void on_bus_error(int number, siginfo_t *info, void *context)
{
    const uintptr_t at = (uintptr_t)info->si_addr;
    const int saved = errno;

    (void)context;
    for (struct pst_shm *m = mapped; m != NULL; m = m->next) {
        const uintptr_t first = (uintptr_t)m->map;
        if (at >= first && at - first < m->len &&
            mmap(m->map, m->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                 -1, 0) == m->map) {
            m->lost = 1;
            errno = saved;
            return;
        }
    }
    (void)signal(number, SIG_DFL);
}

static void hold(struct pst_shm *m)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL);
    m->next = mapped;
    mapped = m;
}

static void let_go(const struct pst_shm *m)
{
    struct pst_shm **at = &mapped;

    while (*at != NULL && *at != m) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = m->next;
    }
}

/* The system counts the users of the device. */
static void disable(int device)
{
    if (device >= 0) {
        (void)!write(device, "0", 1);
        (void)close(device);
    }
}

void pst_shm_release(struct pst_shm *m)
{
    if (--m->users > 0) {
        return;
    }
    let_go(m);
    (void)munmap(m->map, m->len);
    (void)close(m->fd);
    disable(m->device);
    free(m);
}

pst_err pst_shm_refuse(const struct pst_address *a, const char *what, char *why, size_t cap)
{
    snprintf(why, cap, "link '%s': %s", a->text, what);
    return PST_ERR_IO;
}

struct search {
    const char *root;
    unsigned found;
    char name[PST_PCIE_NAME];
};

static bool look(void *ctx, const char *name)
{
    struct search *s = ctx;

    if (pst_pcie_id(s->root, name) == PST_SHM_IVSHMEM) {
        memcpy(s->name, name, strlen(name) + 1);
        s->found++;
    }
    return true;
}

bool pst_shm_is_file(const struct pst_address *a)
{
    return strchr(a->place, '/') != NULL;
}

/* Opens the device's memory: `enable` first, which must have no other user. */
static pst_err open_device(const struct pst_address *a, int *fd, int *enable, char *why, size_t cap)
{
    char root[PST_ADDRESS_TEXT];
    struct search s = {.root = root};

    PST_TRY(pst_address_string(a, "sysfs", root, sizeof root, why, cap));
    if (root[0] == '\0') {
        snprintf(root, sizeof root, "%s", PST_PCIE_ROOT);
    }
    if (a->place[0] == '\0') {
        if (!pst_pcie_each(root, look, &s) || s.found == 0) {
            return pst_shm_refuse(a, "this machine has no device with shared memory (ivshmem)", why,
                                  cap);
        }
        if (s.found > 1) {
            return pst_shm_refuse(a, "several devices have shared memory; name one", why, cap);
        }
    } else if (pst_pcie_name(a->place, s.name) != PST_OK) {
        return pst_address_bad(a, "not the name of a PCI device", why, cap);
    } else if (pst_pcie_id(root, s.name) == 0) {
        return pst_shm_refuse(a, "no such device (`postern links` lists what there is)", why, cap);
    } else if (pst_pcie_id(root, s.name) != PST_SHM_IVSHMEM) {
        return pst_shm_refuse(a, "the device has no shared memory (it is not ivshmem, 1af4:1110)",
                              why, cap);
    }
    *enable = pst_pcie_open(root, s.name, "enable", O_WRONLY);
    if (*enable >= 0) {
        (void)!write(*enable, "1", 1); /* if this is refused, the memory reads as all ones */
    }
    *fd = pst_pcie_open(root, s.name, "resource2", O_RDWR);
    return PST_OK;
}

/* A side belongs to one connection of this machine: two would take it from each other forever. A
   process's own locks do not exclude a second connection in the same process. */
#ifdef F_OFD_SETLK
#define SET_LOCK F_OFD_SETLK
#else
#define SET_LOCK F_SETLK
#endif
static bool lock_side(int fd, bool listens)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = listens ? 0 : 1, .l_len = 1};
    return fcntl(fd, SET_LOCK, &lock) == 0;
}

static bool map_file(struct pst_shm *m)
{
    struct stat st;

    if (fstat(m->fd, &st) != 0) {
        return false;
    }
    m->len = (size_t)st.st_size;
    if (m->len == 0) {
        errno = ENODATA;
        return false;
    }
    m->map = mmap(NULL, m->len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
    return m->map != MAP_FAILED;
}

pst_err pst_shm_open(const struct pst_address *a, bool listens, struct pst_shm **out, char *why,
                     size_t cap)
{
    struct pst_shm m = {.fd = -1, .device = -1, .users = 1};
    char what[160];

    if (pst_shm_is_file(a)) {
        m.fd = open(a->place, O_RDWR | O_CLOEXEC);
    } else {
        PST_TRY(open_device(a, &m.fd, &m.device, why, cap));
    }
    const bool locked = m.fd >= 0 && lock_side(m.fd, listens);
    const int busy = m.fd >= 0 && !locked && (errno == EAGAIN || errno == EACCES);
    *out = locked && map_file(&m) ? malloc(sizeof m) : NULL;
    if (*out != NULL) {
        **out = m;
        hold(*out);
        return PST_OK;
    }
    snprintf(what, sizeof what, "%s%s",
             busy ? "another program on this machine uses it" : strerror(errno),
             !busy && (errno == EACCES || errno == EPERM) ? ": only root may open a device's memory"
                                                          : "");
    (void)(m.fd >= 0 ? close(m.fd) : 0);
    disable(m.device);
    return pst_shm_refuse(a, what, why, cap);
}
