#include "posix/supervisor.h"

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
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PACKET_MAX = 256 * 1024, BREAKS_MAX = 256, BREAK_TEXT = 64, REPLY_MS = 1500 };

struct supervisor {
    int agent, stub;
    const char *address;
    bool hold;
    struct pst_rsp_reader from_agent, from_stub;
    uint8_t agent_bytes[PST_SUPERVISOR_FRAME + PST_SUPERVISOR_PAYLOAD]; /* no whole frame yet */
    size_t agent_len;
    uint8_t *raw; /* the packet that the agent is sending: passed on whole or not at all */
    size_t raw_len;
    char breaks[BREAKS_MAX][BREAK_TEXT]; /* "type,address,kind" of each Z */
    size_t break_count;
    char change[BREAK_TEXT + 1];   /* the Z or z that is not answered yet */
    uint8_t next[PST_STUB_FOLLOW]; /* for the stub when it has stopped */
    size_t next_len, held;         /* bytes of a stop report that waits for what `next` brings */
    uint8_t stub_bytes[PST_SUPERVISOR_PAYLOAD];
    bool stopped;
    unsigned unanswered; /* requests, which may be several: only a resume is never followed */
    bool running, acks, waiting, asked_no_ack, detaching, detached;
    bool clean; /* the last clean-up went through */
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

static void tell(struct supervisor *s, uint8_t kind, const void *payload, size_t len)
{
    uint8_t frame[PST_SUPERVISOR_FRAME + PST_SUPERVISOR_PAYLOAD];
    frame[0] = kind;
    pst_poke_u16(frame + 1, (uint16_t)len);
    if (len > 0) {
        memcpy(frame + PST_SUPERVISOR_FRAME, payload, len);
    }
    /* An agent that is gone is noticed where it is read. */
    (void)write_all(s->agent, frame, PST_SUPERVISOR_FRAME + len);
}

/* --- watching what passes --- */

static size_t find_break(const struct supervisor *s, const char *text)
{
    size_t i = 0;
    while (i < s->break_count && strcmp(s->breaks[i], text) != 0) {
        i++;
    }
    return i;
}

static void add_break(struct supervisor *s, const char *text)
{
    if (find_break(s, text) == s->break_count && s->break_count < BREAKS_MAX) {
        memcpy(s->breaks[s->break_count++], text, strlen(text) + 1);
    }
}

static void drop_break(struct supervisor *s, const char *text)
{
    size_t at = find_break(s, text);
    if (at < s->break_count) {
        memmove(s->breaks[at], s->breaks[--s->break_count], BREAK_TEXT);
    }
}

static bool resumes(const char *p)
{
    return strncmp(p, "vCont;", 6) == 0 || (p[0] != 0 && strchr("csCS", p[0]) != NULL);
}

static void on_request(struct supervisor *s)
{
    const char *p = (const char *)s->from_agent.buffer;
    s->change[0] = 0;
    if (resumes(p)) {
        s->running = true;
        s->unanswered = 0;
    } else {
        s->unanswered++;
    }
    s->waiting = s->unanswered > 0;
    if ((p[0] == 'Z' || p[0] == 'z') && s->from_agent.len < sizeof s->change) {
        memcpy(s->change, p, s->from_agent.len + 1);
    }
    s->asked_no_ack = strcmp(p, "QStartNoAckMode") == 0;
    s->detaching = p[0] == 'D';
}

static void on_reply(struct supervisor *s)
{
    const char *p = (const char *)s->from_stub.buffer;
    bool ok = strcmp(p, "OK") == 0;
    if (s->running) {
        s->running = p[0] == 'O' || p[0] == 'F';
        s->stopped = p[0] == 'T' || p[0] == 'S';
        return;
    }
    if (!s->waiting) {
        return;
    }
    s->waiting = --s->unanswered > 0;
    if (s->waiting) {
        return; /* that was the answer to an earlier one, and those change nothing */
    }
    if (s->change[0] == 'Z' && ok) {
        add_break(s, s->change + 1);
    } else if (s->change[0] == 'z' && ok) {
        drop_break(s, s->change + 1);
    }
    s->change[0] = 0;
    s->acks = s->acks && !(s->asked_no_ack && ok);
    s->detached = s->detaching && ok;
}

/* In one write, which wakes the stub once. */
static bool pass_to_stub(struct supervisor *s, const uint8_t *at, size_t len)
{
    size_t whole = 0; /* of `raw`, how much is whole packets */
    while (len > 0) {
        enum pst_rsp_item item;
        size_t n = pst_rsp_read(&s->from_agent, at, len, &item);
        if (n > PACKET_MAX - s->raw_len) {
            return false;
        }
        memcpy(s->raw + s->raw_len, at, n);
        s->raw_len += n;
        at += n;
        len -= n;
        if (item == PST_RSP_PACKET) {
            on_request(s);
        }
        whole = item != PST_RSP_NOTHING ? s->raw_len : whole;
    }
    if (whole > 0 && !write_all(s->stub, s->raw, whole)) {
        return false;
    }
    s->raw_len -= whole;
    memmove(s->raw, s->raw + whole, s->raw_len);
    return true;
}

static void watch_stub(struct supervisor *s, const uint8_t *at, size_t len)
{
    while (len > 0) {
        enum pst_rsp_item item;
        size_t n = pst_rsp_read(&s->from_stub, at, len, &item);
        at += n;
        len -= n;
        if (item == PST_RSP_PACKET) {
            on_reply(s);
        }
    }
}

/* --- cleaning up, with nobody to ask --- */

/* Waits until the stub has answered, or the time is up. */
static bool await(struct supervisor *s, const bool *still, long ms)
{
    long end = now_ms() + ms;
    while (*still) {
        uint8_t bytes[PST_SUPERVISOR_PAYLOAD];
        long left = end - now_ms();
        struct pollfd p = {.fd = s->stub, .events = POLLIN};
        if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR)) {
            return false;
        }
        if (p.revents == 0) {
            continue;
        }
        ssize_t n = read(s->stub, bytes, sizeof bytes);
        if (n <= 0) {
            return false;
        }
        watch_stub(s, bytes, (size_t)n);
    }
    return true;
}

static bool request(struct supervisor *s, char kind, const char *text)
{
    uint8_t packet[BREAK_TEXT + 8];
    struct pst_writer w = pst_writer_of(packet, sizeof packet);
    if (s->acks) {
        pst_put_u8(&w, '+'); /* of the last answer */
    }
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_char(&p, kind);
    pst_rsp_put_text(&p, text);
    pst_rsp_end(&p);
    s->waiting = true;
    s->unanswered = 1;
    s->detaching = kind == 'D';
    s->change[0] = 0;
    return write_all(s->stub, packet, w.used) && await(s, &s->waiting, REPLY_MS);
}

static bool halt(struct supervisor *s)
{
    const uint8_t interrupt = 0x03;
    if (!s->running) {
        return !s->waiting || await(s, &s->waiting, REPLY_MS);
    }
    return write_all(s->stub, &interrupt, 1) && await(s, &s->running, REPLY_MS);
}

static bool clean_up(struct supervisor *s)
{
    if (s->detached) {
        return true; /* after its OK to D, QEMU 7.2 crashes on any further byte */
    }
    if (s->change[0] == 'Z') {
        add_break(s, s->change + 1); /* perhaps */
    }
    if (!halt(s)) {
        return false;
    }
    bool ok = true;
    while (s->break_count > 0 && ok) {
        ok = request(s, 'z', s->breaks[--s->break_count]);
    }
    if (ok && !s->hold) {
        ok = request(s, 'D', "") && s->detached;
    }
    return ok;
}

static void close_stub(struct supervisor *s)
{
    if (s->stub >= 0) {
        s->clean = clean_up(s);
        close(s->stub);
        s->stub = -1;
    }
}

static void open_stub(struct supervisor *s)
{
    close_stub(s);
    s->stub = connect_stub(s->address);
    if (s->stub < 0) {
        const char *why = strerror(errno);
        tell(s, PST_SUPERVISOR_FAILED, why, strlen(why));
        return;
    }
    (void)fcntl(s->stub, F_SETFL, O_NONBLOCK);
    pst_rsp_reader_init(&s->from_agent, s->from_agent.buffer, PACKET_MAX, false);
    pst_rsp_reader_init(&s->from_stub, s->from_stub.buffer, PACKET_MAX, true);
    s->raw_len = s->break_count = 0;
    s->unanswered = 0;
    s->next_len = s->held = 0;
    s->stopped = false;
    s->change[0] = 0;
    s->acks = true;
    s->running = s->waiting = s->asked_no_ack = s->detaching = s->detached = false;
    tell(s, PST_SUPERVISOR_OPENED, NULL, 0);
}

static void lose_stub(struct supervisor *s)
{
    close(s->stub);
    s->stub = -1;
    tell(s, PST_SUPERVISOR_LOST, NULL, 0);
}

/* --- the two streams --- */

static void on_frame(struct supervisor *s, uint8_t kind, const uint8_t *payload, size_t len)
{
    if (kind == PST_SUPERVISOR_OPEN) {
        open_stub(s);
    } else if (kind == PST_SUPERVISOR_NEXT && len <= sizeof s->next) {
        memcpy(s->next, payload, len);
        s->next_len = len;
    } else if (kind == PST_SUPERVISOR_CLOSE) {
        close_stub(s);
        tell(s, PST_SUPERVISOR_CLOSED, NULL, 0);
    } else if (kind == PST_SUPERVISOR_DATA && s->stub >= 0 && !pass_to_stub(s, payload, len)) {
        lose_stub(s);
    }
}

/* false: the agent is gone. */
static bool on_agent(struct supervisor *s)
{
    ssize_t n = read(s->agent, s->agent_bytes + s->agent_len, sizeof s->agent_bytes - s->agent_len);
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    s->agent_len += (size_t)n;
    size_t at = 0;
    while (s->agent_len - at >= PST_SUPERVISOR_FRAME) {
        const uint8_t *frame = s->agent_bytes + at;
        size_t len = pst_peek_u16(frame + 1);
        if (len > PST_SUPERVISOR_PAYLOAD) {
            return false;
        }
        if (s->agent_len - at < PST_SUPERVISOR_FRAME + len) {
            break;
        }
        on_frame(s, frame[0], frame + PST_SUPERVISOR_FRAME, len);
        at += PST_SUPERVISOR_FRAME + len;
    }
    s->agent_len -= at;
    memmove(s->agent_bytes, s->agent_bytes + at, s->agent_len);
    return true;
}

/* Asks at once what the agent would ask now, and keeps the report back until that is answered. */
static bool ask_next(struct supervisor *s)
{
    size_t len = s->next_len;
    s->next_len = 0;
    return len == 0 || pass_to_stub(s, s->next, len);
}

static void on_stub(struct supervisor *s)
{
    uint8_t *bytes = s->stub_bytes;
    ssize_t n = read(s->stub, bytes + s->held, sizeof s->stub_bytes - s->held);
    if (n <= 0) {
        if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            lose_stub(s);
        }
        return;
    }
    size_t len = s->held + (size_t)n;
    s->stopped = false;
    watch_stub(s, bytes + s->held, (size_t)n);
    s->held = 0;
    if (s->stopped && s->next_len > 0) {
        s->held = len < sizeof s->stub_bytes / 2 ? len : 0;
        if (!ask_next(s)) {
            lose_stub(s);
            return;
        }
    }
    /* QEMU acknowledges at once and answers later; the agent waits for answers alone. */
    size_t acks = 0;
    while (acks < len && bytes[acks] == '+') {
        acks++;
    }
    if (s->held == 0 && acks < len) {
        tell(s, PST_SUPERVISOR_DATA, bytes, len);
    }
}

static void serve(struct supervisor *s)
{
    bool alive = true;
    while (alive && !terminated) {
        struct pollfd p[2] = {
            {.fd = s->agent, .events = POLLIN},
            {.fd = s->stub,  .events = POLLIN}
        };
        if (poll(p, s->stub >= 0 ? 2 : 1, -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            break;
        }
        /* The stub first: what it said before the agent went away is watched. */
        if (s->stub >= 0 && p[1].revents != 0) {
            on_stub(s);
        }
        if (p[0].revents != 0) {
            alive = on_agent(s);
        }
    }
    bool open = s->stub >= 0;
    terminated = 0; /* clean up once, undisturbed */
    close_stub(s);
    if (open && s->clean) {
        fprintf(stderr, "postern supervisor: the agent is gone; breakpoints removed, CPU %s\n",
                s->hold ? "held" : "resumed");
    } else if (open) {
        fprintf(stderr, "postern supervisor: the agent is gone, and %s does not answer\n",
                s->address);
    }
}

int pst_supervisor_run(int agent_fd, const char *stub_address, bool hold)
{
    struct supervisor *s = calloc(1, sizeof *s);
    uint8_t *memory = malloc(3 * (size_t)PACKET_MAX);
    if (s == NULL || memory == NULL) {
        free(s);
        free(memory);
        return 1;
    }
    s->agent = agent_fd;
    s->stub = -1;
    s->address = stub_address;
    s->hold = hold;
    s->clean = true;
    s->from_agent.buffer = memory;
    s->from_stub.buffer = memory + PACKET_MAX;
    s->raw = memory + 2 * (size_t)PACKET_MAX;
    struct sigaction ignore = {.sa_handler = SIG_IGN}, end = {.sa_handler = on_signal};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGTERM, &end, NULL);
    serve(s);
    int result = s->clean ? 0 : 1;
    free(memory);
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
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
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
