/* A QEMU `virt` machine with the pump, its gdb stub and its monitor on Unix sockets in a directory.
 */
#ifndef PST_TEST_QEMU_H
#define PST_TEST_QEMU_H

#include <signal.h>
#include <sys/prctl.h>

#include "stub/live.h"

struct qemu {
    pid_t pid;
    char dir[64], stub[96], monitor[96];
    uint8_t elf[256 * 1024];
    size_t elf_len;
};

/* A Unix socket exists after bind(), but refuses connections until listen(). */
static inline bool qemu_listens(const char *path)
{
    char line[256];
    bool found = false;
    FILE *f = fopen("/proc/net/unix", "r");
    CHECK(f != NULL);
    while (!found && fgets(line, sizeof line, f) != NULL) {
        found = strstr(line, " 00010000 ") != NULL && strstr(line, path) != NULL;
    }
    fclose(f);
    return found;
}

static inline void qemu_wait_for(const char *path)
{
    for (int i = 0; !qemu_listens(path); i++) {
        CHECK(i < 1000);
        poll(NULL, 0, 20);
    }
}

static inline void qemu_start(struct qemu *q, bool halted)
{
    const char *pump = getenv("PUMP");
    char stub[160], monitor[160];
    snprintf(q->dir, sizeof q->dir, "/tmp/pst-qemu-XXXXXX");
    CHECK(pump != NULL && mkdtemp(q->dir) != NULL);
    snprintf(q->stub, sizeof q->stub, "%s/gdb", q->dir);
    snprintf(q->monitor, sizeof q->monitor, "%s/mon", q->dir);
    snprintf(stub, sizeof stub, "unix:%s,server=on,wait=off", q->stub);
    snprintf(monitor, sizeof monitor, "unix:%s,server=on,wait=off", q->monitor);
    FILE *f = fopen(pump, "rb");
    CHECK(f != NULL);
    q->elf_len = fread(q->elf, 1, sizeof q->elf, f);
    fclose(f);
    q->pid = fork();
    if (q->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that failed leaves nothing behind */
        execlp("qemu-system-riscv32", "qemu-system-riscv32", "-accel", "tcg", "-M", "virt", "-bios",
               "none", "-kernel", pump, "-display", "none", "-serial", "null", "-chardev",
               "null,id=n", "-monitor", monitor, "-gdb", stub, halted ? "-S" : NULL, (char *)NULL);
        _exit(127);
    }
    qemu_wait_for(q->stub);
    qemu_wait_for(q->monitor);
}

static inline void qemu_stop(struct qemu *q)
{
    if (q->pid > 0) {
        kill(q->pid, SIGKILL);
        waitpid(q->pid, NULL, 0);
        q->pid = 0;
    }
    unlink(q->stub);
    unlink(q->monitor);
    rmdir(q->dir);
}

/* Sends a command to the monitor and returns the answer. */
static inline void qemu_ask(const struct qemu *q, const char *command, char *out, size_t cap)
{
    int fd = live_connect(q->monitor);
    CHECK(fd >= 0);
    size_t n = 0;
    for (int prompts = 0; prompts < 2;) {
        ssize_t got = read(fd, out + n, cap - 1 - n);
        CHECK(got > 0);
        n += (size_t)got;
        out[n] = 0;
        if (n >= 7 && strcmp(out + n - 7, "(qemu) ") == 0 && ++prompts == 1) {
            char line[128];
            snprintf(line, sizeof line, "%s\n", command);
            CHECK(write(fd, line, strlen(line)) == (ssize_t)strlen(line));
            n = 0;
        }
    }
    close(fd);
}

static inline bool qemu_runs(const struct qemu *q)
{
    char out[4096];
    qemu_ask(q, "info status", out, sizeof out);
    return strstr(out, "VM status: running") != NULL;
}

/* Returns the address of a symbol of the pump, from its ELF file (ELF32, little-endian). */
static inline uint32_t qemu_symbol(const struct qemu *q, const char *name)
{
    const uint8_t *e = q->elf;
    size_t sections = pst_peek_u32(e + 32), n = pst_peek_u16(e + 48);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *h = e + sections + 40 * i;
        if (pst_peek_u32(h + 4) != 2) { /* SHT_SYMTAB */
            continue;
        }
        const uint8_t *names = e + pst_peek_u32(e + sections + 40 * pst_peek_u32(h + 24) + 16);
        const uint8_t *at = e + pst_peek_u32(h + 16);
        for (size_t left = pst_peek_u32(h + 20); left >= 16; left -= 16, at += 16) {
            if (strcmp((const char *)names + pst_peek_u32(at), name) == 0) {
                return pst_peek_u32(at + 4);
            }
        }
    }
    CHECK(!"symbol");
    return 0;
}

#endif
