/* The agent is killed during a session: the supervisor removes breakpoints and resumes or holds the
 * CPU. With a real QEMU; PUMP names the program. Run by test_qemu.sh.
 *
 * pst-link: posix */
#include "stub/qemu.h"

/* The agent process: attaches, sets a breakpoint, resumes or halts the CPU, reports that, and waits
 * to be killed. */
static void agent(const struct qemu *q, struct pst_supervisor sup, bool running, bool hit, int tell)
{
    struct live *l = calloc(1, sizeof *l);
    l->supervised = true;
    l->fd = sup.fd;
    live_start(l, false);
    CHECK_EQ(live_enable(l, &l->run, true), PST_OK);
    CHECK_EQ(live_break(l, true, 0, 2, qemu_symbol(q, hit ? "sensor_read" : "_start")), PST_OK);
    CHECK_EQ(live_break(l, true, 1, 2, qemu_symbol(q, "park")), PST_OK);
    CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    size_t n = live_event(l, hit ? LIVE_MS : 100);
    CHECK_EQ(n > 0, hit);
    if (running && hit) {
        CHECK_EQ(live_break(l, false, 0, 2, qemu_symbol(q, "sensor_read")), PST_OK);
        CHECK_EQ(live_resume(l, 0, PST_RUN_CONTINUE, 0, 0), PST_OK);
    }
    live_pump(l, 20);
    CHECK(write(tell, "!", 1) == 1);
    for (;;) {
        pause();
    }
}

static void kills(bool running, bool hit, bool hold)
{
    struct qemu *q = calloc(1, sizeof *q);
    struct pst_supervisor sup;
    char address[128], byte;
    int tell[2], status;
    qemu_start(q, false);
    snprintf(address, sizeof address, "unix:%s", q->stub);
    CHECK_EQ(pst_supervisor_start(&sup, NULL, address, hold), PST_OK);
    CHECK(qemu_runs(q)); /* nothing is opened before it is asked for */
    CHECK_EQ(pipe(tell), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        agent(q, sup, running, hit, tell[1]);
    }
    close(sup.fd); /* the agent's end is in the agent alone */
    close(tell[1]);
    CHECK(read(tell[0], &byte, 1) == 1);
    CHECK_EQ(qemu_runs(q), running);
    kill(-pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK_EQ(waitpid(sup.pid, &status, 0), sup.pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    poll(NULL, 0, 200);
    CHECK_EQ(qemu_runs(q), !hold);
    /* A second connection runs past the address of the breakpoint. (`?` would remove it.) */
    int fd = live_connect(q->stub);
    CHECK(fd >= 0);
    poll(NULL, 0, 100);
    CHECK(write(fd, "+$vCont;c#a8", 12) == 12);
    poll(NULL, 0, 300);
    CHECK(qemu_runs(q));
    close(fd);
    close(tell[0]);
    qemu_stop(q);
    free(q);
}

static void test_halted(void **state)
{
    (void)state;
    kills(false, true, false);
}

static void test_running(void **state)
{
    (void)state;
    kills(true, false, false);
    kills(true, true, false);
}

static void test_hold(void **state)
{
    (void)state;
    kills(false, true, true);
    kills(true, false, true);
}

/* No CPU to resume: it ends at once. */
static void test_idle(void **state)
{
    struct pst_supervisor sup;
    int status;
    (void)state;
    CHECK_EQ(pst_supervisor_start(&sup, NULL, "unix:/nonexistent", false), PST_OK);
    for (int i = 0; i < 100 && getsid(sup.pid) != sup.pid; i++) {
        poll(NULL, 0, 10);
    }
    CHECK_EQ(getsid(sup.pid),
             sup.pid); /* so a signal to the agent's process group does not reach it */
    close(sup.fd);
    CHECK_EQ(waitpid(sup.pid, &status, 0), sup.pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A stub that cannot be reached is an error of enabling, with the reason. */
static void test_absent(void **state)
{
    struct live *l = calloc(1, sizeof *l);
    struct pst_supervisor sup;
    (void)state;
    CHECK_EQ(pst_supervisor_start(&sup, NULL, "unix:/nonexistent/gdb", false), PST_OK);
    l->supervised = true;
    l->fd = sup.fd;
    live_start(l, false);
    CHECK_EQ(live_enable(l, &l->run, true), PST_ERR_FAULT);
    CHECK(strstr(l->link.why, "No such file") != NULL);
    CHECK_EQ(live_enable(l, &l->run, true), PST_ERR_FAULT);
    close(l->fd);
    waitpid(sup.pid, NULL, 0);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halted), cmocka_unit_test(test_running), cmocka_unit_test(test_hold),
        cmocka_unit_test(test_idle),   cmocka_unit_test(test_absent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
