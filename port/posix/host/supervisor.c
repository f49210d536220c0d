#include "posix/host/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PACKET_MAX = 16384, REPLY_MS = 1500 };

struct supervisor {
    int agent, stub;
    const char *address;
    bool hold;
    struct pst_stub_cleanup *cleanup; /* shared with the agent while the stub is connected */
    struct pst_rsp_reader from_stub;
    uint8_t packet[PACKET_MAX];
    bool clean; /* the last clean-up succeeded */
};

static volatile sig_atomic_t terminated;

static void on_signal(int number)
{
    (void)number;
    terminated = 1;
}

static long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000L + t.tv_nsec / 1000000L;
}

/* --- the stub's address --- */

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static int connect_first(const struct addrinfo *list)
{
    int fd = -1;
    for (; list != NULL && fd < 0; list = list->ai_next) {
        fd = socket(list->ai_family, list->ai_socktype, list->ai_protocol);
        if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) != 0) {
            int why = errno;
            close(fd);
            errno = why;
            fd = -1;
        }
    }
    if (fd >= 0) {
        int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

static int connect_tcp(const char *where)
{
    char host[256];
    const char *colon = strrchr(where, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - where);
    if (len > 2 && where[0] == '[' && where[len - 1] == ']') {
        where++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof host) {
        errno = EINVAL;
        return -1;
    }
    memcpy(host, where, len);
    host[len] = 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(host, colon + 1, &hints, &list) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = connect_first(list);
    freeaddrinfo(list);
    return fd;
}

static int connect_stub(const char *address)
{
    if (strncmp(address, "unix:", 5) == 0) {
        return connect_unix(address + 5);
    }
    if (strncmp(address, "tcp:", 4) == 0) {
        return connect_tcp(address + 4);
    }
    errno = EINVAL;
    return -1;
}

/* --- plain input and output --- */

static bool write_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR && !terminated) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            if (poll(&p, 1, PST_SUPERVISOR_PATIENCE_MS) > 0) {
                continue;
            }
        }
        if (n <= 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

/* --- messages to the agent; that it has gone is noticed when reading --- */

static void tell(const struct supervisor *s, uint8_t kind, const char *text)
{
    char message[128];
    int n = snprintf(message, sizeof message, "%c%s", kind, text);
    size_t len = n < (int)sizeof message ? (size_t)n : sizeof message - 1;
    (void)send(s->agent, message, len, MSG_NOSIGNAL);
}

static void tell_opened(const struct supervisor *s, int cleanup)
{
    uint8_t kind = PST_SUPERVISOR_OPENED;
    const int fds[2] = {s->stub, cleanup};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof fds)];
    } rights = {0};
    struct iovec part = {.iov_base = &kind, .iov_len = 1};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(c), fds, sizeof fds);
    (void)sendmsg(s->agent, &m, MSG_NOSIGNAL);
}

/* --- cleaning up without an agent --- */

/* Waits for packets from the stub; with `stop`, only stop reports count. Returns how many arrived
   before the timeout. The last one is in the reader. */
static bool await(struct supervisor *s, unsigned count, bool stop, long ms)
{
    long end = now_ms() + ms;
    while (count > 0) {
        uint8_t byte; /* one at a time: the next wait needs the packets that follow */
        enum pst_rsp_item item;
        long left = end - now_ms();
        struct pollfd p = {.fd = s->stub, .events = POLLIN};
        if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR)) {
            return false;
        }
        if (p.revents == 0) {
            continue;
        }
        if (read(s->stub, &byte, 1) != 1) {
            return false;
        }
        (void)pst_rsp_read(&s->from_stub, &byte, 1, &item);
        if (item == PST_RSP_PACKET) {
            count -= !stop || strchr("TSWX", s->packet[0]) != NULL;
        }
    }
    return true;
}

static bool request(struct supervisor *s, char kind, const struct pst_stub_break *b)
{
    uint8_t packet[64];
    struct pst_writer w = pst_writer_of(packet, sizeof packet);
    if (s->cleanup->acks) {
        pst_put_u8(&w, '+'); /* of the last answer */
    }
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_char(&p, kind);
    if (b != NULL) {
        pst_rsp_put_number(&p, b->type);
        pst_rsp_put_char(&p, ',');
        pst_rsp_put_number(&p, b->address);
        pst_rsp_put_char(&p, ',');
        pst_rsp_put_number(&p, b->kind);
    }
    pst_rsp_end(&p);
    return write_all(s->stub, packet, w.used) && await(s, 1, false, REPLY_MS);
}

/* The stub has halted and answered all requests. Answers that a killed agent had already read do
   not come again, so this continues after a timeout. */
static bool quiet(struct supervisor *s)
{
    const struct pst_stub_cleanup *cleanup = s->cleanup;
    if (cleanup->cut &&
        !write_all(s->stub, "#00", 3)) { /* ends an incomplete packet, as a bad one */
        return false;
    }
    if (cleanup->running) {
        if (!write_all(s->stub, "\x03", 1)) {
            return false;
        }
        (void)await(s, 1, true, REPLY_MS);
    } else {
        (void)await(s, cleanup->expected, false, REPLY_MS);
    }
    return true;
}

static bool clean_up(struct supervisor *s)
{
    const struct pst_stub_cleanup *cleanup = s->cleanup;
    if (cleanup->left) {
        return true; /* after its OK to D, any further byte crashes QEMU 7.2 */
    }
    bool ok = quiet(s);
    for (size_t i = 0; i < cleanup->count && i < PST_STUB_BREAKS + 1 && ok; i++) {
        ok = request(s, 'z', &cleanup->breaks[i]);
    }
    if (ok && !s->hold) {
        ok = request(s, 'D', NULL) && strcmp((const char *)s->packet, "OK") == 0;
    }
    return ok;
}

static void close_stub(struct supervisor *s, bool lost)
{
    if (s->stub >= 0) {
        s->clean = lost || clean_up(s);
        close(s->stub);
        (void)munmap(s->cleanup, sizeof *s->cleanup);
        s->stub = -1;
    }
}

/* --- opening --- */

/* Unnamed shared memory; -1: see errno. */
static int make_cleanup(struct supervisor *s)
{
    char name[32];
    snprintf(name, sizeof name, "/postern-%ld", (long)getpid());
    (void)shm_unlink(name);
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    (void)shm_unlink(name);
    if (fd < 0) {
        return -1;
    }
    void *cleanup = ftruncate(fd, sizeof *s->cleanup) != 0
                        ? MAP_FAILED
                        : mmap(NULL, sizeof *s->cleanup, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (cleanup == MAP_FAILED) {
        close(fd);
        return -1;
    }
    s->cleanup = cleanup;
    s->cleanup->acks = true;
    return fd;
}

static void open_stub(struct supervisor *s)
{
    close_stub(s, false);
    s->stub = connect_stub(s->address);
    int cleanup = s->stub < 0 ? -1 : make_cleanup(s);
    if (cleanup < 0) {
        const char *why = strerror(errno);
        if (s->stub >= 0) {
            close(s->stub);
        }
        s->stub = -1;
        tell(s, PST_SUPERVISOR_FAILED, why);
        return;
    }
    (void)fcntl(s->stub, F_SETFL, O_NONBLOCK);
    pst_rsp_reader_init(&s->from_stub, s->packet, sizeof s->packet, true);
    tell_opened(s, cleanup);
    close(cleanup);
}

/* False: the agent has exited. */
static bool on_agent(struct supervisor *s)
{
    uint8_t kind;
    ssize_t n = recv(s->agent, &kind, 1, 0);
    if (n <= 0) {
        return n < 0 && errno == EINTR && !terminated;
    }
    if (kind == PST_SUPERVISOR_OPEN) {
        open_stub(s);
    } else if (kind == PST_SUPERVISOR_CLOSE || kind == PST_SUPERVISOR_LOST) {
        close_stub(s, kind == PST_SUPERVISOR_LOST);
        tell(s, PST_SUPERVISOR_CLOSED, "");
    }
    return true;
}

static void serve(struct supervisor *s)
{
    while (!terminated && on_agent(s)) {
    }
    bool open = s->stub >= 0;
    terminated = 0; /* clean up once, without interruption */
    close_stub(s, false);
    if (open && s->clean) {
        fprintf(stderr, "postern supervisor: the agent has exited; breakpoints removed, CPU %s\n",
                s->hold ? "held" : "resumed");
    } else if (open) {
        fprintf(stderr,
                "postern supervisor: the agent has exited and the debug stub %s does not answer; "
                "breakpoints may remain: restart the stub\n",
                s->address);
    }
}

int pst_supervisor_run(int agent_fd, const char *stub_address, bool hold)
{
    struct supervisor *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return 1;
    }
    s->agent = agent_fd;
    s->stub = -1;
    s->address = stub_address;
    s->hold = hold;
    s->clean = true;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, end = {.sa_handler = on_signal};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGTERM, &end, NULL);
    serve(s);
    int result = s->clean ? 0 : 1;
    free(s);
    return result;
}

/* --- starting it --- */

static void close_others(int keep)
{
    long most = sysconf(_SC_OPEN_MAX);
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        (void)dup2(null, STDIN_FILENO);
        (void)dup2(null, STDOUT_FILENO);
    }
    most = most < 0 || most > 65536 ? 65536 : most;
    for (int fd = STDERR_FILENO + 1; fd < most; fd++) {
        if (fd != keep) {
            close(fd);
        }
    }
}

static void become(int fd, const char *program, const char *address, bool hold)
{
    char number[16];
    (void)setsid();
    close_others(fd);
    if (program == NULL) {
        _exit(pst_supervisor_run(fd, address, hold));
    }
    snprintf(number, sizeof number, "%d", fd);
    execl(program, program, "supervisor", number, address, hold ? "hold" : "resume", (char *)NULL);
    fprintf(stderr, "postern supervisor: cannot execute %s: %s\n", program, strerror(errno));
    _exit(127);
}

pst_err pst_supervisor_start(struct pst_supervisor *s, const char *program,
                             const char *stub_address, bool hold)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0) {
        return PST_ERR_IO;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(pair[1], program, stub_address, hold);
    }
    close(pair[1]);
    if (pid < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0 ||
        fcntl(pair[0], F_SETFD, FD_CLOEXEC) != 0) {
        close(pair[0]);
        return PST_ERR_IO;
    }
    s->fd = pair[0];
    s->pid = pid;
    return PST_OK;
}
