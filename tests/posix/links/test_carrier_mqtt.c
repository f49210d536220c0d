/* The mqtt carrier through a real mosquitto: what must happen although the peer sends nothing.
 * pst-link: all */
#define _GNU_SOURCE
#include "posix/links/carriers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix/links/mqtt/mqtt.h"

extern char **environ;

enum { LARGE = 100000, SOON_MS = 3000 }; /* less than anything is said unasked in */

static struct {
    char dir[64], config[96], link[96];
    pid_t pid;
    uint16_t port;
} broker;

static int dial(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(broker.port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int rc = connect(fd, (const struct sockaddr *)&at, sizeof at);
    (void)close(fd);
    return rc;
}

static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(fd, (const struct sockaddr *)&at, sizeof at) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

/* False: there is none on this machine. */
static bool broker_start(void)
{
    char *argv[] = {(char[]){"mosquitto"}, (char[]){"-c"}, broker.config, NULL};
    const char *path = getenv("PATH");
    struct pst_address a;
    char more[4096];

    link_of(&a, "mqtt-listen:127.0.0.1/A:B:C");
    if (a.scheme->listen == NULL) {
        return false; /* nor libmosquitto */
    }
    snprintf(more, sizeof more, "%s:/usr/sbin", path != NULL ? path : "");
    (void)setenv("PATH", more, 1);
    snprintf(broker.dir, sizeof broker.dir, "/tmp/postern-mqtt.XXXXXX");
    CHECK(mkdtemp(broker.dir) != NULL);
    snprintf(broker.config, sizeof broker.config, "%s/conf", broker.dir);
    broker.port = free_port();
    snprintf(broker.link, sizeof broker.link, "127.0.0.1:%u/A:B:C", broker.port);
    FILE *f = fopen(broker.config, "w");
    CHECK(f != NULL);
    fprintf(f, "listener %u 127.0.0.1\nallow_anonymous true\nlog_dest none\n", broker.port);
    fprintf(f, "set_tcp_nodelay true\nuser root\n");
    CHECK(fclose(f) == 0);
    if (posix_spawnp(&broker.pid, argv[0], NULL, NULL, argv, environ) != 0) {
        return false;
    }
    for (int i = 0; i < 200 && dial() != 0; i++) {
        uv_sleep(50);
    }
    return dial() == 0;
}

static void broker_stop(void)
{
    if (broker.pid > 0) {
        (void)kill(broker.pid, SIGTERM);
        (void)waitpid(broker.pid, NULL, 0);
    }
    (void)unlink(broker.config);
    (void)rmdir(broker.dir);
}

/* An end that offers more than a carrier accepts at once, and reads when told to. */
struct side {
    struct pst_carrier *carrier;
    size_t offered, taken, got, read_when_writable;
    bool open, down;
    pst_err why;
};

static void side_push(struct side *s)
{
    static const uint8_t bytes[LARGE];

    while (s->open && s->taken < s->offered) {
        const size_t left = s->offered - s->taken, len = left < LARGE ? left : LARGE;
        const size_t n = pst_carrier_write(s->carrier, bytes, len);
        s->taken += n;
        if (n < len) {
            return;
        }
    }
}

static void side_open(void *ctx)
{
    struct side *s = ctx;

    s->open = true;
    side_push(s);
}

static void side_receive(void *ctx, const uint8_t *bytes, size_t len)
{
    struct side *s = ctx;

    (void)bytes;
    s->got += len;
}

static void side_writable(void *ctx)
{
    struct side *s = ctx;

    if (s->read_when_writable > 0 && s->taken >= s->read_when_writable) {
        pst_carrier_read(s->carrier, true);
    }
    side_push(s);
}

static void side_down(void *ctx, pst_err why, const char *text)
{
    struct side *s = ctx;

    (void)text;
    s->why = why;
    s->down = true;
}

static const struct pst_carrier_events side_events = {
    .open = side_open, .receive = side_receive, .writable = side_writable, .down = side_down};

static void side_peer(void *ctx, struct pst_carrier *c)
{
    struct side *s = ctx;

    s->carrier = c;
    pst_carrier_own(c, &side_events, s);
    side_open(s);
}

static const struct pst_listener_events side_listens = {.peer = side_peer};

struct both {
    uv_loop_t loop;
    struct pst_listener *listener;
    struct side caller, called;
};

static void both_join(struct both *b)
{
    struct pst_address a;
    char text[128], why[TEXT];

    CHECK(uv_loop_init(&b->loop) == 0);
    snprintf(text, sizeof text, "mqtt-listen:%s", broker.link);
    link_of(&a, text);
    CHECK_EQ(
        pst_carrier_listen(&b->loop, &a, &side_listens, &b->called, &b->listener, why, sizeof why),
        PST_OK);
    const uint64_t until = clock_ms() + 10000;
    snprintf(text, sizeof text, "mqtt:%s", broker.link);
    link_of(&a, text);
    while (!b->caller.open && clock_ms() < until) { /* until it is announced */
        b->caller.down = false;
        CHECK_EQ(pst_carrier_connect(&b->loop, &a, &side_events, &b->caller, &b->caller.carrier,
                                     why, sizeof why),
                 PST_OK);
        UNTIL(&b->loop, b->caller.open || b->caller.down, 10000);
    }
    CHECK(b->caller.open);
    UNTIL(&b->loop, b->called.open, SOON_MS);
}

static void both_leave(struct both *b)
{
    pst_carrier_read(b->called.carrier, true); /* the end comes after what is still to be read */
    pst_carrier_close(b->caller.carrier);
    UNTIL(&b->loop, b->caller.down && b->called.down, 10000);
    pst_listener_close(b->listener);
    loop_end(&b->loop);
}

/* There is credit, so a partial write continues although nothing is received. */
static void test_writable(void **state)
{
    struct both b = {.caller = {.offered = 0}};

    (void)state;
    if (broker.pid <= 0) {
        skip();
    }
    both_join(&b);
    b.caller.offered = 400000; /* less than a window, which nobody reads */
    side_push(&b.caller);
    UNTIL(&b.loop, b.caller.taken == b.caller.offered, SOON_MS);
    both_leave(&b);
}

/* Received data is delivered when reading is enabled in `writable`. */
static void test_read_in_writable(void **state)
{
    const size_t most = 32 * 16384 + 65536; /* a window, and what is kept to be sent */
    struct both b = {.caller = {.offered = 0}};

    (void)state;
    if (broker.pid <= 0) {
        skip();
    }
    both_join(&b);
    b.called.offered = 1000;
    side_push(&b.called);
    b.caller.offered = most + 1;
    b.caller.read_when_writable = most;
    side_push(&b.caller);
    UNTIL(&b.loop, b.caller.taken == most, 15000);
    CHECK_EQ(b.caller.got, 0);
    b.caller.offered = most;
    pst_carrier_read(b.called.carrier, true);
    UNTIL(&b.loop, b.caller.got == 1000, SOON_MS);
    UNTIL(&b.loop, b.called.got == most, SOON_MS);
    both_leave(&b);
}

/* An end that cannot deliver its data in time reports it, so the other end need not wait for a
 * timeout.
 */
static void test_finish_late(void **state)
{
    const size_t most = 32 * 16384 + 65536;
    struct both b = {.caller = {.offered = 0}};

    (void)state;
    if (broker.pid <= 0) {
        skip();
    }
    both_join(&b);
    b.caller.offered = most;
    side_push(&b.caller);
    UNTIL(&b.loop, b.caller.taken == most, 15000);
    pst_carrier_finish(b.caller.carrier);
    UNTIL(&b.loop, b.caller.down, PST_CARRIER_FINISH_MS + SOON_MS);
    UNTIL(&b.loop, b.called.down, SOON_MS);
    CHECK(b.called.why != PST_OK);
    pst_listener_close(b.listener);
    loop_end(&b.loop);
}

int main(int argc, char **argv)
{
    pst_mqtt_enter(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writable),
        cmocka_unit_test(test_read_in_writable),
        cmocka_unit_test(test_finish_late),
    };
    if (!broker_start()) {
        fprintf(stderr, "no mosquitto, or it does not start: skipped\n");
        broker.pid = 0;
    }
    const int rc = cmocka_run_group_tests(tests, NULL, NULL);
    broker_stop();
    return rc;
}
