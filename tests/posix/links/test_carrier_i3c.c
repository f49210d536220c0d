/* i3c: owners that stop reading and continue, and clients of a modelled bus that never read.
 * pst-link: all */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix/links/carriers.h"
#include "posix/links/i3c/host.h"

static char dir[64], path[TEXT];

static void make_place(void)
{
    snprintf(dir, sizeof dir, "/tmp/postern-i3c.XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/bus", dir);
}

/* The debugger's owner pauses reading: waiting data arrives as soon as it reads again, not at the
 * next poll of the target. */
static void reading_goes_on_at_once(void **state)
{
    enum { TURNS = 20, EACH = 600 };
    static struct end dts, ts;
    struct door door = {.ends = {&ts}, .count = 1};
    char link[TEXT + 32];
    uint64_t fastest = UINT64_MAX;
    uv_loop_t loop;

    (void)state;
    make_place();
    CHECK_EQ(uv_loop_init(&loop), 0);
    end_init(&dts, &loop);
    end_init(&ts, &loop);
    snprintf(link, sizeof link, "i3c-listen:model:%s", path);
    door_open(&door, &loop, link);
    snprintf(link, sizeof link, "i3c:model:%s", path);
    end_connect(&dts, link);
    UNTIL(&loop, dts.open && ts.open, 3000);

    end_owes(&ts, &dts, 2 * TURNS * EACH);
    for (uint64_t n = 1; n <= TURNS; n++) {
        const uint64_t since = clock_ms();
        UNTIL(&loop, dts.got >= n * EACH, 8000);
        if (n > 1 && clock_ms() - since < fastest) {
            fastest = clock_ms() - since;
        }
        dts.paused = true;
        pst_carrier_read(dts.carrier, false);
        for (int i = 0; i < 20; i++) { /* what comes now waits in the engine */
            uv_run(&loop, UV_RUN_NOWAIT);
            uv_sleep(1);
        }
        dts.paused = false;
        pst_carrier_read(dts.carrier, true);
    }
    CHECK(fastest < 100); /* one of them, on however busy a machine: else it is 128 ms each time */
    UNTIL(&loop, dts.got == dts.to_get, 5000);
    pst_carrier_close(dts.carrier);
    pst_carrier_close(ts.carrier);
    pst_listener_close(door.listener);
    UNTIL(&loop, dts.down && ts.down, 3000);
    loop_end(&loop);
    CHECK_EQ(rmdir(dir), 0);
}

/* Data that the target sent before it closed, or before the bus disappeared, is kept for an owner
 * that reads later. An owner that still writes does not wait forever. */
static void last_words(bool in_order)
{
    enum { WORDS = 200 };
    static struct end dts, ts;
    struct door door = {.ends = {&ts}, .count = 1};
    struct pst_i3c_host *host;
    char link[TEXT + 32], why[TEXT];
    uv_loop_t loop;

    make_place();
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_EQ(pst_i3c_host_start(&loop, path, 0, 1, &host, why, sizeof why), PST_OK);
    end_init(&dts, &loop);
    end_init(&ts, &loop);
    dts.paused = true;
    snprintf(link, sizeof link, "i3c-listen:model:%s", path);
    door_open(&door, &loop, link);
    snprintf(link, sizeof link, "i3c:model:%s", path);
    end_connect(&dts, link);
    UNTIL(&loop, dts.open && ts.open, 3000);
    end_owes(&ts, &dts, WORDS);
    for (int i = 0; i < 50; i++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    if (in_order) {
        pst_carrier_finish(ts.carrier);
    } else {
        pst_i3c_host_stop(host);
    }
    UNTIL(&loop, ts.down, 3000);
    end_owes(&dts, &ts, 3 * CHUNK);
    UNTIL(&loop, dts.chunk_at == dts.chunk_len && dts.sent == dts.to_send, 3000);
    CHECK(!dts.down);
    dts.paused = false;
    pst_carrier_read(dts.carrier, true);
    UNTIL(&loop, dts.down, 3000);
    CHECK_EQ(dts.got, WORDS);
    CHECK_EQ(dts.why, in_order ? PST_OK : PST_ERR_IO);
    pst_listener_close(door.listener);
    if (in_order) {
        pst_i3c_host_stop(host);
    }
    loop_end(&loop);
    CHECK_EQ(rmdir(dir), 0);
}

static void the_last_words_are_heard(void **state)
{
    (void)state;
    last_words(true);
    last_words(false);
}

/* The kind of client of the bus, and the request that it repeats. */
static const uint8_t look[] = {PST_I3C_OP_LOOK, 0, 0};
static const uint8_t ask[] = {PST_I3C_OP_FIND, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0};

static int meet_bus(uv_loop_t *loop, const uint8_t *first, size_t len)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    memcpy(at.sun_path, path, strlen(path));
    CHECK_EQ(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(send(fd, first, len, MSG_NOSIGNAL), len);
    for (int i = 0; i < 10; i++) {
        uv_run(loop, UV_RUN_NOWAIT);
    }
    return fd;
}

/* A controller that sends requests but does not read must wait. When it reads, all answers are
 * there. */
static void who_does_not_read_waits(void **state)
{
    enum { QUIET = 200, MOST = 4 << 20 };
    struct pst_i3c_host *host;
    uint8_t many[4 * sizeof ask * 256], heard[4096];
    size_t at = 0, taken = 0, answers = 0;
    char why[TEXT];
    uv_loop_t loop;

    (void)state;
    make_place();
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_EQ(pst_i3c_host_start(&loop, path, 0, 1, &host, why, sizeof why), PST_OK);
    const int fd = meet_bus(&loop, look, sizeof look);
    for (size_t i = 0; i < sizeof many; i += sizeof ask) {
        memcpy(many + i, ask, sizeof ask);
    }
    for (int quiet = 0; quiet < QUIET && taken < MOST; quiet++) {
        const ssize_t n = send(fd, many + at, sizeof many - at, MSG_NOSIGNAL);

        if (n > 0) {
            quiet = 0;
            taken += (size_t)n;
            at = (at + (size_t)n) % sizeof many;
        }
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    CHECK(taken < MOST);
    /* An answer: NACK, since nobody is on the bus. */
    for (int quiet = 0; quiet < QUIET; quiet++) {
        const ssize_t n = read(fd, heard, sizeof heard);

        if (n > 0) {
            quiet = 0;
            answers += (size_t)n;
        }
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    CHECK_EQ(answers, taken / sizeof ask * 4);
    CHECK_EQ(close(fd), 0);
    pst_i3c_host_stop(host);
    loop_end(&loop);
    CHECK_EQ(rmdir(dir), 0);
}

static uint8_t attach(uv_loop_t *loop, int *fd)
{
    static const uint8_t device[] = {PST_I3C_OP_ATTACH, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                                     PST_I3C_KIND_DEBUG};
    uint8_t answer[4] = {0};

    *fd = meet_bus(loop, device, sizeof device);
    CHECK_EQ(read(*fd, answer, sizeof answer), sizeof answer);
    CHECK_EQ(answer[0], PST_I3C_OP_ATTACHED);
    return answer[3];
}

/* A target dies with much unread data: the next target can use its id. */
static void the_dead_give_up_their_id(void **state)
{
    enum { DATA = 1000 };
    struct pst_i3c_host *host;
    static struct end dts;
    char why[TEXT], link[TEXT + 32];
    uint8_t open[4], data[3 + DATA] = {PST_I3C_OP_DATA, DATA % 256, DATA / 256};
    uv_loop_t loop;
    int first, other;

    (void)state;
    make_place();
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_EQ(pst_i3c_host_start(&loop, path, 0, 1, &host, why, sizeof why), PST_OK);
    CHECK_EQ(attach(&loop, &first), 0);
    CHECK_EQ(attach(&loop, &other), (uint8_t)-PST_ERR_BUSY);
    CHECK_EQ(close(other), 0);
    end_init(&dts, &loop);
    dts.paused = true;
    snprintf(link, sizeof link, "i3c:model:%s,id=1", path);
    end_connect(&dts, link);
    UNTIL(&loop, dts.open, 3000);
    CHECK_EQ(read(first, open, sizeof open), sizeof open);
    CHECK_EQ(open[0], PST_I3C_OP_OPEN);
    data[3] = open[3];
    for (int i = 0; i < 100; i++) {
        (void)!send(first, data, sizeof data, MSG_NOSIGNAL);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    CHECK_EQ(attach(&loop, &other), (uint8_t)-PST_ERR_BUSY);
    CHECK_EQ(close(other), 0);
    CHECK_EQ(close(first), 0);
    CHECK_EQ(attach(&loop, &other), 0);
    CHECK_EQ(close(other), 0);
    pst_carrier_close(dts.carrier);
    UNTIL(&loop, dts.down, 3000);
    pst_i3c_host_stop(host);
    loop_end(&loop);
    CHECK_EQ(rmdir(dir), 0);
}

/* Only one process creates a bus: a socket that is about to listen is not mistaken for one left by
 * a killed process. */
static void one_makes_the_bus(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct pst_i3c_host *host = NULL;
    char why[TEXT];
    uv_loop_t loop;

    (void)state;
    make_place();
    CHECK_EQ(uv_loop_init(&loop), 0);
    const int lock = open(dir, O_RDONLY | O_DIRECTORY);
    CHECK_EQ(flock(lock, LOCK_EX), 0);
    const int other = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(at.sun_path, path, strlen(path));
    CHECK_EQ(bind(other, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(pst_i3c_host_start(&loop, path, 0, 1, &host, why, sizeof why), PST_ERR_BUSY);
    CHECK_EQ(access(path, F_OK), 0);
    CHECK_EQ(close(lock), 0);
    CHECK_EQ(pst_i3c_host_start(&loop, path, 0, 1, &host, why, sizeof why), PST_OK);
    CHECK_EQ(close(other), 0);
    pst_i3c_host_stop(host);
    loop_end(&loop);
    CHECK_EQ(rmdir(dir), 0);
}

/* A bus process hangs while more data waits than it can hold: its clients do not hang. */
static void a_hanging_bus_hangs_alone(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int waiting[8], count = 0;
    struct door door = {.count = 0};
    char link[TEXT + 32];
    uv_loop_t loop;

    (void)state;
    make_place();
    CHECK_EQ(uv_loop_init(&loop), 0);
    const int bus = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(at.sun_path, path, strlen(path));
    CHECK_EQ(bind(bus, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(bus, 1), 0);
    do {
        CHECK(count < 8);
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    } while (connect(waiting[count++], (struct sockaddr *)&at, sizeof at) == 0);
    CHECK_EQ(errno, EAGAIN);
    (void)alarm(10);
    snprintf(link, sizeof link, "i3c-listen:model:%s", path);
    door_open(&door, &loop, link);
    UNTIL(&loop, door.notes > 0, 3000);
    (void)alarm(0);
    pst_listener_close(door.listener);
    while (count > 0) {
        CHECK_EQ(close(waiting[--count]), 0);
    }
    CHECK_EQ(close(bus), 0);
    loop_end(&loop);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_goes_on_at_once),   cmocka_unit_test(the_last_words_are_heard),
        cmocka_unit_test(who_does_not_read_waits),   cmocka_unit_test(one_makes_the_bus),
        cmocka_unit_test(the_dead_give_up_their_id), cmocka_unit_test(a_hanging_bus_hangs_alone),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    srand(11);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
