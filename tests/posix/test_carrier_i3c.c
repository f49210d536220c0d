/* i3c: an owner that stops reading and goes on. pst-link: all */
#include <signal.h>
#include <unistd.h>

#include "posix/carriers.h"

static char dir[64], path[TEXT];

static void make_place(void)
{
    snprintf(dir, sizeof dir, "/tmp/postern-i3c.XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/bus", dir);
}

/* A debugger whose owner reads in turns: what waits goes on at once when it reads again, and not
 * when the target is polled next. */
static void reading_goes_on_at_once(void **state)
{
    enum { TURNS = 60, EACH = 600 };
    static struct end dts, ts;
    struct door door = {.ends = {&ts}, .count = 1};
    char link[TEXT + 32];
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
    const uint64_t limit = clock_ms() + 4000;
    for (uint64_t n = 1; n <= TURNS; n++) {
        UNTIL(&loop, dts.got >= n * EACH || clock_ms() > limit, 5000);
        dts.paused = true;
        pst_carrier_read(dts.carrier, false);
        for (int i = 0; i < 20; i++) { /* what comes now waits in the engine */
            uv_run(&loop, UV_RUN_NOWAIT);
            uv_sleep(1);
        }
        dts.paused = false;
        pst_carrier_read(dts.carrier, true);
    }
    CHECK(clock_ms() < limit);
    UNTIL(&loop, dts.got == dts.to_get, 5000);
    pst_carrier_close(dts.carrier);
    pst_carrier_close(ts.carrier);
    pst_listener_close(door.listener);
    UNTIL(&loop, dts.down && ts.down, 3000);
    loop_end(&loop);
    CHECK_EQ(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_goes_on_at_once),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    srand(11);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
