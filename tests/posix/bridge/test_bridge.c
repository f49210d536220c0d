/* Bridges: bytes stay in order, none is lost, and no connection is left open. pst-link: all */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix/bridge/bridge.h"
#include "posix/links/carriers.h"

enum { SHARED = 16384 }; /* of memory: rings of 4 KiB */

struct play { /* the bridge runs the loop, so a timer in it runs the steps of a test */
    uv_loop_t loop;
    uv_timer_t timer;
    uv_prepare_t prepare;
    struct pst_bridge_config config;
    void (*act)(struct play *p);
    unsigned step, ticks; /* ticks: in this step */
    struct end near, far; /* the caller of the bridge, and the end that it calls */
    struct door door;
    int fd;
    size_t got;
    uint64_t sent; /* by the far side, at the last look */
    bool stop_again;
    char dir[32], place[TEXT], notes[4096];
};

static void on_play(uv_timer_t *timer)
{
    struct play *p = timer->data;
    const unsigned step = p->step;

    p->ticks++;
    CHECK(p->ticks < 12000); /* a minute: something hangs */
    p->act(p);
    if (p->step != step) {
        p->ticks = 0;
    }
}

/* The bridge runs the loop until it has closed everything. No test step runs in that time. */
static void play_over(struct play *p)
{
    (void)uv_timer_stop(&p->timer);
    uv_stop(&p->loop);
}

static void on_note(void *ctx, const char *text)
{
    struct play *p = ctx;

    if (p->place[0] == '\0') {
        snprintf(p->place, sizeof p->place, "%s", text);
    }
    const size_t len = strlen(p->notes);
    snprintf(p->notes + len, sizeof p->notes - len, "%s\n", text);
}

/* Like a user who presses Ctrl-C repeatedly. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct play *p = prepare->data;

    if (p->stop_again) {
        uv_stop(&p->loop);
    }
}

/* The address of `scheme` at `name`, which lies in the directory if it begins with a slash. */
static void side(const struct play *p, struct pst_address *a, const char *scheme, const char *name)
{
    char text[TEXT];

    snprintf(text, sizeof text, "%s:%s%s", scheme, name[0] == '/' ? p->dir : "", name);
    link_of(a, text);
}

static void play(struct play *p, void (*act)(struct play *p))
{
    char why[TEXT];

    CHECK_EQ(uv_loop_init(&p->loop), 0);
    CHECK_EQ(uv_timer_init(&p->loop, &p->timer), 0);
    CHECK_EQ(uv_prepare_init(&p->loop, &p->prepare), 0);
    p->timer.data = p->prepare.data = p;
    CHECK_EQ(uv_timer_start(&p->timer, on_play, 5, 5), 0);
    CHECK_EQ(uv_prepare_start(&p->prepare, on_prepare), 0);
    uv_unref((uv_handle_t *)&p->timer);
    uv_unref((uv_handle_t *)&p->prepare);
    end_init(&p->near, &p->loop);
    end_init(&p->far, &p->loop);
    p->config.note = on_note;
    p->config.ctx = p;
    p->act = act;
    p->fd = -1;
    CHECK_EQ(pst_bridge_run(&p->loop, &p->config, why, sizeof why), PST_OK);
}

static void play_end(struct play *p)
{
    char path[64];

    CHECK(!uv_loop_alive(&p->loop)); /* the bridge has gone, and all of it */
    uv_close((uv_handle_t *)&p->timer, NULL);
    uv_close((uv_handle_t *)&p->prepare, NULL);
    loop_end(&p->loop);
    if (p->fd >= 0) {
        CHECK_EQ(close(p->fd), 0);
    }
    snprintf(path, sizeof path, "%s/memory", p->dir);
    (void)unlink(path);
    CHECK_EQ(rmdir(p->dir), 0);
    free(p);
}

static struct play *play_new(void)
{
    struct play *p = calloc(1, sizeof *p);
    char path[64];

    CHECK(p != NULL);
    snprintf(p->dir, sizeof p->dir, "/tmp/postern-bridge.XXXXXX");
    CHECK(mkdtemp(p->dir) != NULL);
    snprintf(path, sizeof path, "%s/memory", p->dir);
    const int fd = open(path, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, SHARED) == 0 && close(fd) == 0);
    return p;
}

/* The listener at the far side starts late and reads little at a time. */
static void open_far(struct play *p)
{
    char text[TEXT];

    p->door.ends[0] = &p->far;
    p->door.count = 1;
    snprintf(text, sizeof text, "pcie-shm-listen:%s/memory", p->dir);
    door_open(&p->door, &p->loop, text);
}

static void act_in_order(struct play *p)
{
    char text[TEXT];

    switch (p->step) {
    case 0:
        p->far.paused = true;
        end_owes(&p->near, &p->far, 40000);
        snprintf(text, sizeof text, "unix:%s/in", p->dir);
        end_connect(&p->near, text);
        p->step++;
        break;
    case 1: /* long enough for the bridge to keep them; it calls for 4 s */
        if (p->ticks == 20) {
            open_far(p);
            p->step++;
        }
        break;
    case 2:
        if (p->far.open && p->ticks >= 40) { /* and the bridge knows */
            end_owes(&p->near, &p->far, 40000);
            p->step++;
        }
        break;
    case 3:
        if (p->ticks == 20) {
            p->far.paused = false;
            pst_carrier_read(p->far.carrier, true);
            p->step++;
        }
        break;
    default:
        if (p->far.got == p->far.to_get) {
            pst_listener_close(p->door.listener);
            play_over(p);
        }
    }
}

/* Bytes that a peer sent before the other side was connected go first, however long it takes. */
static void first_words_are_first(void **state)
{
    struct play *p = play_new();
    (void)state;

    side(p, &p->config.a, "unix-listen", "/in");
    side(p, &p->config.b, "pcie-shm", "/memory");
    play(p, act_in_order);
    CHECK_EQ(p->far.got, 80000);
    play_end(p);
}

static int dial(const struct play *p)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    snprintf(at.sun_path, sizeof at.sun_path, "%s/in", p->dir);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
    return fd;
}

static void act_last_words(struct play *p)
{
    static uint8_t bytes[100000];
    ssize_t n = 0;

    switch (p->step) {
    case 0:
        open_far(p);
        p->fd = dial(p);
        p->step++;
        break;
    case 1:
        if (p->far.open) {
            end_owes(&p->far, &p->near, 4 << 20);
            p->step++;
        }
        break;
    case 2: /* until nothing moves any more, because nobody reads */
        if (p->far.sent != p->sent) {
            p->sent = p->far.sent;
            p->ticks = 0;
        } else if (p->ticks == 100) {
            pst_listener_close(p->door.listener);
            pst_carrier_close(p->far.carrier);
            p->step++;
        }
        break;
    case 3:
        if (p->far.down && p->ticks >= 20) {
            n = write(p->fd, bytes, sizeof bytes);
            CHECK(n > 0);
            p->step++;
        }
        break;
    case 4: /* which nobody takes */
        if (p->ticks == 20) {
            p->step++;
        }
        break;
    default:
        while ((n = read(p->fd, bytes, sizeof bytes)) > 0) {
            for (ssize_t i = 0; i < n; i++) {
                CHECK_EQ(bytes[i], (uint8_t)pst_test_rng_u64(&p->near.in_rng));
            }
            p->got += (size_t)n;
        }
        if (n == 0) {
            play_over(p);
        }
    }
}

/* A side disconnects while the bridge holds its bytes: the other side still gets them, even if it
 * sends at the same time. */
static void last_words_are_heard(void **state)
{
    struct play *p = play_new();
    (void)state;

    side(p, &p->config.a, "unix-listen", "/in");
    side(p, &p->config.b, "pcie-shm", "/memory");
    play(p, act_last_words);
    CHECK(strstr(p->notes, "sent too much before") == NULL);
    play_end(p);
}

static void act_stop(struct play *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (p->step == 0) {
        p->fd = socket(AF_INET, SOCK_STREAM, 0);
        at.sin_port = htons((uint16_t)atoi(strrchr(p->place, ':') + 1));
        CHECK(connect(p->fd, (struct sockaddr *)&at, sizeof at) == 0);
        p->step++;
    } else if (strstr(p->notes, "waits") != NULL) {
        p->stop_again = true;
    }
}

/* A second stop while it stops must not leave connections open. */
static void stopped_twice(void **state)
{
    struct play *p = play_new();
    (void)state;

    side(p, &p->config.a, "spdm-listen", "127.0.0.1:0");
    side(p, &p->config.b, "unix-listen", "/other");
    play(p, act_stop);
    play_end(p);
}

/* Only the owner can read a recording, even if it replaces a file that everybody could read. */
static void a_recording_is_private(void **state)
{
    char path[] = "/tmp/postern-bridge.XXXXXX";
    struct pst_pcapng file;
    struct stat st;
    const int fd = mkstemp(path);
    (void)state;

    CHECK(fd >= 0 && fchmod(fd, 0644) == 0 && close(fd) == 0);
    CHECK_EQ(pst_pcapng_open(&file, path), PST_OK);
    CHECK_EQ(pst_pcapng_close(&file), PST_OK);
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_words_are_first),
        cmocka_unit_test(last_words_are_heard),
        cmocka_unit_test(stopped_twice),
        cmocka_unit_test(a_recording_is_private),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
