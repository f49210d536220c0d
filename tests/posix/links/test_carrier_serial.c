/* serial: and mctp-serial: between two pseudo-terminals, with a simulated cable that changes, loses
 * and adds bytes, or is unplugged. pst-link: all */
#define _GNU_SOURCE /* openpty, unshare */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/links/carriers.h"
#include "posix/links/table.h"
#include "posix/loop/tty.h"
#include "posix/loop/tty_users.h"
#include "postern/links/serial.h"

enum { PIECE = 2048 };

struct noise {
    unsigned lose, change, add; /* of 100,000 bytes */
    bool wrong_speed;
};

struct cable {
    int master[2], slave[2];
    char name[2][64];
    struct noise noise;
    atomic_bool pulled;
    uv_thread_t threads[2];
    atomic_ullong moved[2];
};

struct way {
    struct cable *cable;
    int from;
};

static uv_loop_t loop;
static struct door door;
static struct end client, server;
static struct cable cable;
static struct way ways[2];
static char dir[64];

static size_t spoil(struct pst_test_rng *rng, const struct noise *noise, const uint8_t *in,
                    size_t len, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = in[i];

        if (pst_test_rng_below(rng, 100000) < noise->lose) {
            continue;
        }
        if (pst_test_rng_below(rng, 100000) < noise->change) {
            byte ^= (uint8_t)(1u << pst_test_rng_below(rng, 8));
        }
        if (noise->wrong_speed) { /* twice as many samples of half a byte each */
            out[n++] = (uint8_t)((byte & 0x0F) * 0x11) & 0x66;
        }
        out[n++] = noise->wrong_speed ? (uint8_t)((byte >> 4) * 0x11) & 0x66 : byte;
        if (pst_test_rng_below(rng, 100000) < noise->add) {
            out[n++] = (uint8_t)pst_test_rng_u64(rng);
        }
    }
    return n;
}

static void carry(void *arg)
{
    const struct way *w = arg;
    struct cable *c = w->cable;
    struct pst_test_rng rng = {.state = 77 + (uint64_t)w->from};
    uint8_t in[PIECE], out[3 * PIECE];

    while (!c->pulled) {
        struct pollfd p = {.fd = c->master[w->from], .events = POLLIN};
        if (poll(&p, 1, 20) <= 0) {
            continue;
        }
        const ssize_t got = read(c->master[w->from], in, sizeof in);
        const size_t len = got > 0 ? spoil(&rng, &c->noise, in, (size_t)got, out) : 0;
        for (size_t at = 0; at < len && !c->pulled;) {
            struct pollfd room = {.fd = c->master[!w->from], .events = POLLOUT};
            const ssize_t n = write(c->master[!w->from], out + at, len - at);
            if (n > 0) {
                at += (size_t)n;
            } else {
                (void)poll(&room, 1, 20);
            }
        }
        c->moved[w->from] += len;
    }
}

static void plug(struct cable *c, const struct noise *noise)
{
    static const struct noise none;

    c->noise = noise != NULL ? *noise : none;
    c->pulled = false;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(openpty(&c->master[i], &c->slave[i], c->name[i], NULL, NULL), 0);
        (void)fcntl(c->master[i], F_SETFL, O_NONBLOCK);
        c->moved[i] = 0;
        ways[i] = (struct way){.cable = c, .from = i};
    }
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(uv_thread_create(&c->threads[i], carry, &ways[i]), 0);
    }
}

static void pull(struct cable *c)
{
    if (c->pulled) {
        return;
    }
    c->pulled = true;
    for (int i = 0; i < 2; i++) {
        uv_thread_join(&c->threads[i]);
    }
    for (int i = 0; i < 2; i++) {
        close(c->master[i]);
        close(c->slave[i]);
    }
}

static char *at(char *out, const char *scheme, int side, const char *options)
{
    snprintf(out, TEXT, "%s%s:%s%s", scheme, side == 1 ? "-listen" : "", cable.name[side], options);
    return out;
}

static void start(const char *scheme, const char *options, const struct noise *noise)
{
    char text[TEXT];

    CHECK_EQ(uv_loop_init(&loop), 0);
    plug(&cable, noise);
    end_init(&client, &loop);
    end_init(&server, &loop);
    door = (struct door){
        .ends = {&server, &server},
          .count = 2
    };
    door_open(&door, &loop, at(text, scheme, 1, options));
}

static void call(const char *scheme, const char *options)
{
    char text[TEXT];

    end_connect(&client, at(text, scheme, 0, options));
}

static void stop(void)
{
    if (client.carrier != NULL) {
        pst_carrier_close(client.carrier);
    }
    if (server.carrier != NULL) {
        pst_carrier_close(server.carrier);
    }
    pst_listener_close(door.listener);
    loop_end(&loop);
    pull(&cable);
    CHECK(client.carrier == NULL && server.carrier == NULL);
}

static void bulk(const char *scheme, const char *options, const struct noise *noise, uint64_t bytes,
                 unsigned limit_ms)
{
    start(scheme, options, noise);
    end_owes(&client, &server, bytes);
    end_owes(&server, &client, bytes);
    call(scheme, options);
    const uint64_t since = uv_hrtime();
    UNTIL(&loop, client.got == bytes && server.got == bytes, limit_ms);
    const double seconds = (double)(uv_hrtime() - since) / 1e9;
    printf("%s%s: %.0f kB/s each way, %.2f bytes of line for each\n", scheme, options,
           (double)bytes / seconds / 1e3, (double)cable.moved[0] / (double)bytes);
    CHECK(!client.carrier->traits->shared);
    pst_carrier_finish(client.carrier);
    UNTIL(&loop, client.down && server.down, 3000);
    CHECK_EQ(client.why, PST_OK);
    CHECK_EQ(server.why, PST_OK);
    stop();
}

static void test_bulk(void **state)
{
    (void)state;
    bulk("serial", "", NULL, 3000000, 20000);
    bulk("mctp-serial", "", NULL, 1000000, 20000);
    bulk("mctp-serial", ",unit=251,eid=20,peer=0,mtu=2000", NULL, 1000000, 20000);
}

static void test_speed(void **state)
{
    const uint64_t since = clock_ms();

    (void)state;
    bulk("serial", ",baud=9600", NULL, 800, 5000);
    CHECK(clock_ms() - since >= 800 * 1000 / 960);
    bulk("mctp-serial", ",baud=19200", NULL, 1000, 5000);
    CHECK(clock_ms() - since >= 800 * 1000 / 960 + 1000 * 1000 / 1920);
    bulk("serial", ",baud=4000000", NULL, 100000, 3000);
    bulk("serial", ",baud=123456", NULL, 2000, 3000); /* any number */
}

static void test_noise(void **state)
{
    static const struct noise table[] = {
        {20, 0,  0,  false},
        {0,  20, 0,  false},
        {0,  0,  20, false},
        {10, 10, 10, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bulk("serial", ",mtu=256", &table[i], 60000, 20000);
        bulk("mctp-serial", ",mtu=250", &table[i], 30000, 20000);
    }
}

static void test_backpressure(void **state)
{
    (void)state;
    start("serial", "", NULL);
    server.paused = true;
    end_owes(&client, &server, 1000000);
    call("serial", "");
    UNTIL(&loop, client.sent > 100000, 2000);
    const uint64_t until = clock_ms() + 300;
    UNTIL(&loop, clock_ms() >= until, 1000);
    CHECK(client.sent <= 2 * 65536 + CHUNK);
    CHECK_EQ(server.got, 0);
    server.paused = false;
    pst_carrier_read(server.carrier, true);
    UNTIL(&loop, server.got == 1000000, 10000);
    stop();
}

/* One client after another; the first one disappears without closing. */
static void test_callers(void **state)
{
    const char *const schemes[] = {"serial", "mctp-serial"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        start(schemes[i], "", NULL);
        end_owes(&client, &server, 1000);
        call(schemes[i], "");
        UNTIL(&loop, server.got == 1000, 2000);
        pst_carrier_finish(client.carrier);
        UNTIL(&loop, server.down && client.down, 2000);
        CHECK_EQ(server.why, PST_OK);
        end_init(&client, &loop);
        end_init(&server, &loop);
        end_owes(&server, &client, 1000);
        call(schemes[i], "");
        UNTIL(&loop, client.got == 1000, 2000);
        CHECK_EQ(door.taken, 2);
        stop();
    }
}

/* A caller made by the test at the listener's end of the cable, without loop or carrier. */
struct caller {
    struct pst_serial serial;
    uint8_t work[PST_SERIAL_WORK(256)], message[4096], send[4096], receive[4096];
    struct pst_reliable_sent sent[16];
};

static void caller_init(struct caller *c, uint32_t id)
{
    const struct pst_serial_config cfg = {
        .link = {.id = id,
                 .start = id,
                 .mtu_first = 256,
                 .mtu_most = 256,
                 .timing = pst_serial_timing(0, 256),
                 .message = c->message,
                 .message_cap = sizeof c->message,
                 .send = c->send,
                 .send_cap = sizeof c->send,
                 .receive = c->receive,
                 .receive_cap = sizeof c->receive,
                 .sent = c->sent,
                 .sent_count = 16},
        .work = c->work,
        .work_len = sizeof c->work,
    };
    CHECK_EQ(pst_serial_open(&c->serial, &cfg, clock_ms()), PST_OK);
}

static void caller_says(struct caller *c)
{
    uint8_t out[1024];
    const size_t n = pst_serial_output(&c->serial, out, sizeof out, clock_ms());

    CHECK(n > 0);
    CHECK_EQ(write(cable.master[1], out, n), n);
}

/* Sends the pending bytes. Returns the listener's answer. */
static size_t caller_asks(struct caller *c, uint8_t *answer, size_t cap)
{
    struct pollfd p = {.fd = cable.master[1], .events = POLLIN};

    caller_says(c);
    UNTIL(&loop, poll(&p, 1, 0) == 1, 2000);
    const ssize_t got = read(cable.master[1], answer, cap);
    CHECK(got > 0);
    return (size_t)got;
}

static void caller_hears(struct caller *c, const uint8_t *bytes, size_t len)
{
    pst_serial_input(&c->serial, bytes, len, clock_ms());
}

/* A cookie stays valid while another caller connects and leaves. */
static void test_cookie_lasts(void **state)
{
    static struct caller early, other;
    uint8_t cookie[1024], answer[1024];

    (void)state;
    start("serial", ",mtu=256", NULL);
    cable.pulled = true; /* nobody carries: we are at the listener's end ourselves */
    for (int i = 0; i < 2; i++) {
        uv_thread_join(&cable.threads[i]);
    }
    caller_init(&early, 0x11111111);
    caller_init(&other, 0x22222222);
    const size_t cookie_len = caller_asks(&early, cookie, sizeof cookie);
    caller_hears(&other, answer, caller_asks(&other, answer, sizeof answer));
    caller_hears(&other, answer, caller_asks(&other, answer, sizeof answer));
    CHECK_EQ(other.serial.link.state, PST_OK);
    CHECK_EQ(door.taken, 1);
    pst_reliable_close(&other.serial.link);
    caller_says(&other);
    UNTIL(&loop, server.down, 2000);
    end_init(&server, &loop);
    caller_hears(&early, cookie, cookie_len);
    caller_hears(&early, answer, caller_asks(&early, answer, sizeof answer));
    CHECK_EQ(early.serial.link.state, PST_OK);
    CHECK_EQ(door.taken, 2);
    pst_carrier_close(server.carrier);
    server.carrier = NULL;
    pst_listener_close(door.listener);
    loop_end(&loop);
    for (int i = 0; i < 2; i++) {
        close(cable.master[i]);
        close(cable.slave[i]);
    }
}

/* A client is killed and calls again: the listener learns that the first connection has ended. */
static void test_client_restarts(void **state)
{
    char text[TEXT];
    int status;

    (void)state;
    start("serial", "", NULL);
    const pid_t child = fork();
    if (child == 0) {
        uv_loop_t own;
        (void)uv_loop_init(&own);
        end_init(&client, &own);
        end_connect(&client, at(text, "serial", 0, ""));
        for (;;) {
            uv_run(&own, UV_RUN_ONCE);
        }
    }
    UNTIL(&loop, server.open, 3000);
    kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, &status, 0), child);
    static struct end first;
    first = server;
    pst_carrier_own(first.carrier, &end_events, &first);
    end_init(&server, &loop);
    end_owes(&client, &server, 3000);
    call("serial", "");
    UNTIL(&loop, server.got == 3000, 3000);
    CHECK(first.down);
    CHECK_EQ(first.why, PST_ERR_CLOSED);
    CHECK(strcmp(first.text, "the peer was restarted") == 0);
    stop();
}

static void test_unplugged(void **state)
{
    char text[TEXT], link[TEXT];

    (void)state;
    start("serial", "", NULL);
    pst_listener_close(door.listener); /* once more, with a name that stays */
    snprintf(link, sizeof link, "%s/tty", dir);
    CHECK_EQ(symlink(cable.name[1], link), 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_sleep(5);
    uv_run(&loop, UV_RUN_NOWAIT);
    snprintf(text, sizeof text, "serial-listen:%.400s", link);
    door_open(&door, &loop, text);
    call("serial", "");
    UNTIL(&loop, server.open && client.open, 3000);
    pull(&cable);
    UNTIL(&loop, server.down && client.down, 2000);
    CHECK_EQ(client.why, PST_ERR_IO);
    CHECK_EQ(server.why, PST_ERR_IO);
    printf("%s; %s\n", client.text, door.note);
    CHECK_EQ(door.notes, 1);
    plug(&cable, NULL);
    unlink(link);
    CHECK_EQ(symlink(cable.name[1], link), 0);
    UNTIL(&loop, door.notes == 2, 2000);
    printf("%s\n", door.note);
    end_init(&client, &loop);
    end_init(&server, &loop);
    end_owes(&client, &server, 1000);
    call("serial", "");
    UNTIL(&loop, server.got == 1000, 2000);
    stop();
    unlink(link);
}

static void test_wrong_speed(void **state)
{
    static const struct noise wrong = {.wrong_speed = true};

    (void)state;
    start("serial", "", &wrong);
    call("serial", "");
    for (int i = 0; i < 600; i++) { /* foreign bytes that each end may receive */
        CHECK_EQ(write(cable.master[i % 2], "\x12\x66\x00\x41", 4), 4);
    }
    UNTIL(&loop, client.down && door.notes == 1, 6000);
    CHECK(strstr(door.note, "baud rate") != NULL);
    printf("%s\n", client.text);
    CHECK_EQ(client.why, PST_ERR_TIMEOUT);
    CHECK(strstr(client.text, "baud rate") != NULL);
    stop();
}

/* Console text before and in the middle of the traffic. */
static void test_something_else(void **state)
{
    static const char text[] = "[    0.000000] Linux version 6.1.0 (nobody@nowhere)\r\n";

    (void)state;
    start("serial", "", NULL);
    for (int i = 0; i < 60; i++) {
        CHECK_EQ(write(cable.master[1], text, sizeof text - 1), sizeof text - 1);
    }
    uv_run(&loop, UV_RUN_NOWAIT);
    end_owes(&client, &server, 100000);
    call("serial", "");
    UNTIL(&loop, server.got > 30000, 3000);
    CHECK(write(cable.master[1], text, sizeof text - 1) > 0);
    UNTIL(&loop, server.got == 100000, 3000);
    stop();
}

static void refuses(const char *text, const char *says)
{
    struct pst_address a;
    struct pst_carrier *c = NULL;
    char why[TEXT] = "";

    pst_err err = pst_address_parse(&a, pst_schemes, text, why, sizeof why);
    if (err == PST_OK) {
        err = pst_carrier_connect(&loop, &a, &end_events, &client, &c, why, sizeof why);
    }
    printf("%s\n", why);
    CHECK(err != PST_OK);
    CHECK(strstr(why, text) != NULL);
    CHECK(strstr(why, says) != NULL);
}

static void test_refused(void **state)
{
    char text[TEXT];

    (void)state;
    start("serial", "", NULL);
    refuses("serial:", "no device");
    refuses("serial:/dev/x,baud=fast", "baud");
    refuses("serial:/dev/x,baud=5000000", "baud");
    refuses("serial:/dev/x,parity=even", "unknown option 'parity'");
    refuses("serial:/dev/x,flow=xon", "rtscts");
    refuses("serial:/dev/x,flow=rtscts-and-xon-xoff", "at most 15 ");
    refuses("serial:/dev/x,baud=0000000000000000000009600", "at most 23 ");
    refuses("mctp-spdm:/dev/x,flow=rtscts-and-xon-xoff", "at most 15 ");
    refuses("serial:/dev/x,mtu=5000", "mtu");
    refuses("serial:/dev/x,eid=5", "unknown option 'eid'");
    refuses("mctp-serial:/dev/x,eid=255", "eid");
    refuses("mctp-serial:/dev/x,unit=63", "unit");
    refuses("serial:/dev/no-such-device", "no such device");
    refuses("serial:/dev/null", "not a serial device");
    snprintf(text, sizeof text, "serial:%s", cable.name[1]);
    refuses(text, "busy");
    snprintf(text, sizeof text, "serial:%s/plain", dir);
    close(open(text + strlen("serial:"), O_CREAT | O_WRONLY, 0600));
    refuses(text, "not a serial device");
    if (geteuid() != 0) {
        CHECK_EQ(chmod(text + strlen("serial:"), 0), 0);
        refuses(text, "permission denied");
    }
    unlink(text + strlen("serial:"));
    snprintf(text, sizeof text, "serial:unix:%s/none", dir);
    refuses(text, "no such");
    stop();
}

/* The error names the other process that has the line open. */
static void test_busy_with(void **state)
{
    char text[TEXT], byte;
    int ready[2], status;
    struct pst_tty tty;

    (void)state;
    start("serial", "", NULL);
    CHECK_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        const struct pst_tty_settings settings = {.baud = 0};
        const pst_err err = pst_tty_open(&tty, cable.name[0], &settings, text, sizeof text);
        (void)!write(ready[1], &err, 1);
        pause();
        _exit(0);
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK_EQ(byte, 0);
    snprintf(text, sizeof text, "serial:%s", cable.name[0]);
    refuses(text, "test_carrier_se (process ");
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    close(ready[0]);
    close(ready[1]);
    stop();
}

/* Another file system whose files have the same numbers as devices here; one of them is locked. */
static void lock_a_namesake(const char *device, int ready)
{
    char path[TEXT];
    struct stat wanted, st = {.st_ino = 0};
    int fd = -1;

    close(cable.master[0]);
    close(cable.slave[0]);
    if (stat(device, &wanted) == 0 && unshare(CLONE_NEWNS) == 0 &&
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("none", dir, "tmpfs", 0, NULL) == 0) {
        for (unsigned i = 0; i < 1000 && st.st_ino != wanted.st_ino; i++) {
            snprintf(path, sizeof path, "%s/%u", dir, i);
            close(fd);
            fd = open(path, O_CREAT | O_RDWR, 0600);
            if (fstat(fd, &st) != 0) {
                break;
            }
        }
    }
    const char byte = st.st_ino == wanted.st_ino && flock(fd, LOCK_EX) == 0;
    (void)!write(ready, &byte, 1);
    pause();
    _exit(0);
}

static void test_busy_namesake(void **state)
{
    char who[80], byte;
    int ready[2], status;

    (void)state;
    CHECK_EQ(openpty(&cable.master[0], &cable.slave[0], cable.name[0], NULL, NULL), 0);
    CHECK_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        lock_a_namesake(cable.name[0], ready[1]);
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    if (byte == 0) {
        printf("not tried: only root makes another file system\n");
    }
    const bool somebody = pst_tty_user(cable.name[0], who, sizeof who);
    kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, &status, 0), child);
    close(ready[0]);
    close(ready[1]);
    close(cable.master[0]);
    close(cable.slave[0]);
    if (somebody) {
        printf("%s\n", who);
    }
    CHECK(!somebody);
}

/* The last bytes of the previous owner may still be in transit when the next one opens the line. */
static void test_last_words(void **state)
{
    static uint8_t out[16384];
    const struct pst_tty_settings settings = {.baud = 0};
    struct pst_tty tty;
    char text[TEXT];
    uint8_t in[1024];
    ssize_t taken, n;
    size_t got = 0;

    (void)state;
    CHECK_EQ(openpty(&cable.master[0], &cable.slave[0], cable.name[0], NULL, NULL), 0);
    CHECK_EQ(pst_tty_open(&tty, cable.name[0], &settings, text, sizeof text), PST_OK);
    taken =
        pst_tty_write(&tty, out, sizeof out); /* more than the reader at the other end can hold */
    CHECK(taken > 4096);
    pst_tty_close(&tty);
    CHECK_EQ(pst_tty_open(&tty, cable.name[0], &settings, text, sizeof text), PST_OK);
    struct pollfd p = {.fd = cable.master[0], .events = POLLIN};
    while (poll(&p, 1, 100) > 0 && (n = read(cable.master[0], in, sizeof in)) > 0) {
        got += (size_t)n;
    }
    CHECK_EQ(got, taken);
    pst_tty_close(&tty);
    close(cable.master[0]);
    close(cable.slave[0]);
}

/* The socket that a virtual machine offers for its UART. */
static void test_socket(void **state)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char text[TEXT];

    (void)state;
    start("serial", "", NULL);
    snprintf(sa.sun_path, sizeof sa.sun_path, "%.40s/uart", dir);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    CHECK_EQ(listen(fd, 1), 0);
    snprintf(text, sizeof text, "serial:unix:%s", sa.sun_path);
    end_owes(&client, &server, 100000);
    end_connect(&client, text);
    const int peer = accept(fd, NULL, NULL);
    CHECK(peer >= 0);
    /* The cable's first side is that socket from now on. */
    const int flags = fcntl(cable.master[0], F_GETFL);
    CHECK(dup2(peer, cable.master[0]) >= 0);
    (void)fcntl(cable.master[0], F_SETFL, flags);
    UNTIL(&loop, server.got == 100000, 3000);
    shutdown(peer, SHUT_RDWR);
    UNTIL(&loop, client.down, 1000);
    CHECK_EQ(client.why, PST_ERR_IO);
    printf("%s\n", client.text);
    close(peer);
    close(fd);
    unlink(sa.sun_path);
    stop();
}

static int make_dir(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    snprintf(dir, sizeof dir, "/tmp/postern-serial-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_speed),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_callers),
        cmocka_unit_test(test_cookie_lasts),
        cmocka_unit_test(test_client_restarts),
        cmocka_unit_test(test_unplugged),
        cmocka_unit_test(test_wrong_speed),
        cmocka_unit_test(test_something_else),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_busy_with),
        cmocka_unit_test(test_busy_namesake),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_socket),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
