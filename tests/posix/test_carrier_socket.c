/* unix: a peer that has gone still has the last word. pst-link: all */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix/carriers.h"

enum { LAST_WORDS = 500 };

/* A peer that says its last words and is gone, before its owner at this end has read any of it or
 * written all that it wants to. */
static void last_words(bool reading)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct end e, peer;
    uv_loop_t loop;
    char dir[] = "/tmp/postern-socket.XXXXXX", link[TEXT];
    uint8_t bytes[LAST_WORDS];

    CHECK(mkdtemp(dir) != NULL);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir);
    snprintf(link, sizeof link, "unix:%s", at.sun_path);
    const int server = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK_EQ(bind(server, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(server, 1), 0);

    CHECK_EQ(uv_loop_init(&loop), 0);
    end_init(&e, &loop);
    end_init(&peer, &loop);
    end_owes(&peer, &e, sizeof bytes);
    e.paused = !reading;
    end_connect(&e, link);
    const int fd = accept(server, NULL, NULL);
    CHECK(fd >= 0);
    UNTIL(&loop, e.open, 3000);
    pst_test_rng_fill(&peer.out_rng, bytes, sizeof bytes);
    CHECK_EQ(write(fd, bytes, sizeof bytes), sizeof bytes);
    CHECK_EQ(close(fd), 0);

    end_owes(&e, &peer, 3 * CHUNK);
    CHECK_EQ(e.chunk_at, e.chunk_len); /* nobody waits for room at a peer that is gone */
    e.paused = false;
    pst_carrier_read(e.carrier, true);
    UNTIL(&loop, e.down, 3000);
    CHECK_EQ(e.got, sizeof bytes);
    CHECK_EQ(e.why, PST_ERR_IO);
    CHECK(strcmp(e.text, "broken pipe") == 0);
    loop_end(&loop);
    CHECK_EQ(close(server), 0);
    CHECK_EQ(unlink(at.sun_path), 0);
    CHECK_EQ(rmdir(dir), 0);
}

static void the_last_words_are_heard(void **state)
{
    (void)state;
    last_words(true);
    last_words(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_words_are_heard),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
