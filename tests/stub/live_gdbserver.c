/* The stub client against a real gdbserver, with a program of this machine:
 * live_gdbserver PROGRAM TICK COUNTER. Run by test_gdbserver.sh. pst-link: posix stub */
#include <signal.h>

#include "stub/live.h"

static const char *program;
static uint64_t tick, counter;

enum { RIP = 128 };

static uint64_t pc_of(const struct live *l)
{
    return pst_peek_u64(l->event + PST_STOP_REPORT_HEAD + 4 * pst_peek_u16(l->event + 16) + RIP);
}

static void test_gdbserver(void **state)
{
    int pair[2];
    uint8_t text[32], then[4], now[4], none[4] = {0};
    uint32_t len = sizeof text;
    (void)state;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        dup2(pair[1], 0);
        dup2(pair[1], 1);
        close(pair[0]);
        execlp("gdbserver", "gdbserver", "--once", "-", program, (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    struct live *l = calloc(1, sizeof *l);
    l->fd = pair[0];
    live_start(l, false);
    CHECK_EQ(live_enable(l, &l->memory, true), PST_OK);
    CHECK_EQ(live_enable(l, &l->run, true), PST_OK);
    CHECK_EQ(live_run_read(l, PST_RUN_ARCH, text, &len), PST_OK);
    CHECK(len == 11 && memcmp(text, "i386:x86-64", 11) == 0);
    len = 4;
    CHECK_EQ(live_run_read(l, PST_RUN_HARTS, text, &len), PST_OK);
    CHECK_EQ(len, 4);
    uint32_t hart = pst_peek_u32(text);
    CHECK(hart > 0 && hart < 256);
    CHECK_EQ(live_break(l, true, 0, 1, tick), PST_OK);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    CHECK(live_event(l, LIVE_MS) > 0);
    CHECK_EQ(l->event[0], PST_RUN_HALTED);
    CHECK_EQ(l->event[1], PST_STOP_SW_BREAK);
    CHECK_EQ(pc_of(l), tick);
    CHECK_EQ(live_break(l, false, 0, 1, tick), PST_OK);
    CHECK_EQ(live_resume(l, hart, PST_RUN_STEP_RANGE, tick, tick + 12), PST_OK);
    CHECK(live_event(l, LIVE_MS) > 0);
    CHECK(pc_of(l) < tick || pc_of(l) >= tick + 12);
    CHECK_EQ(live_write(l, counter, none, 4), PST_OK);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    CHECK_EQ(live_event(l, 100), 0);
    CHECK_EQ(live_read(l, counter, then, 4), PST_OK);
    CHECK_EQ(live_event(l, 100), 0);
    CHECK_EQ(live_read(l, counter, now, 4), PST_OK);
    CHECK(pst_peek_u32(now) > pst_peek_u32(then));
    CHECK_EQ(live_run_write(l, PST_RUN_INTERRUPT, none, 4), PST_OK);
    CHECK(live_event(l, LIVE_MS) > 0);
    CHECK_EQ(l->event[2], 2);
    CHECK_EQ(live_enable(l, &l->memory, false), PST_OK);
    CHECK_EQ(live_enable(l, &l->run, false), PST_OK);
    kill(-pid, SIGKILL); /* the program, which goes on by itself */
    waitpid(pid, NULL, 0);
    free(l);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gdbserver)};
    if (argc != 4) {
        return 2;
    }
    program = argv[1];
    tick = strtoull(argv[2], NULL, 16);
    counter = strtoull(argv[3], NULL, 16);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
