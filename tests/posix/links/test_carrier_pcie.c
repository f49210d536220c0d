/* pcie: a hostile device in place of the one in configuration space.
 * pst-link: all */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link/pcie/doe_model.h"
#include "posix/links/carriers.h"

static struct doe_model device;

/* These functions replace those of the C library. */
ssize_t pread(int fd, void *out, size_t len, off_t at)
{
    uint32_t word;

    (void)fd;
    CHECK_EQ(len, 4);
    CHECK_EQ(doe_model_read(&device, (uint16_t)at, &word), PST_OK);
    pst_poke_u32(out, word);
    return 4;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    (void)fd;
    CHECK_EQ(len, 4);
    CHECK_EQ(doe_model_write(&device, (uint16_t)at, pst_peek_u32(bytes)), PST_OK);
    return 4;
}

static size_t knows_discovery_only(struct doe_model *m)
{
    m->ready[0] = m->ready[2] = 1;
    m->ready[1] = 3;
    return 3;
}

/* Its capability list is a loop: the mailbox links to itself. */
static void test_round(void **state)
{
    char root[] = "/tmp/postern-pcie.XXXXXX", path[64], link[80];
    struct end e;
    uv_loop_t loop;

    (void)state;
    doe_model_init(&device, knows_discovery_only);
    device.words[DOE_AT / 4] = (uint32_t)DOE_AT << 20 | 0x0002002E;
    CHECK(mkdtemp(root) != NULL);
    snprintf(path, sizeof path, "%s/0000:00:05.0", root);
    CHECK_EQ(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/0000:00:05.0/config", root);
    CHECK_EQ(close(open(path, O_CREAT | O_RDWR, 0600)), 0);
    snprintf(link, sizeof link, "pcie:00:05.0,sysfs=%s", root);

    CHECK_EQ(uv_loop_init(&loop), 0);
    end_init(&e, &loop);
    end_connect(&e, link);
    UNTIL(&loop, e.down, 5000);
    CHECK_EQ(e.why, PST_ERR_IO);
    CHECK(strstr(e.text, "does not support SPDM") != NULL);
    loop_end(&loop);
    CHECK_EQ(unlink(path), 0);
    path[strlen(path) - strlen("/config")] = '\0';
    CHECK_EQ(rmdir(path), 0);
    CHECK_EQ(rmdir(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
