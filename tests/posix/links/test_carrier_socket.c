/* unix: the last bytes of a peer that is gone still arrive; spdm: on top of tcp. pst-link: all */
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix/links/carriers.h"

enum { LAST_WORDS = 500 };

/* A peer sends its last bytes and disconnects before the owner at this end has read any of them or
 * finished writing. */
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
    CHECK_EQ(e.chunk_at, e.chunk_len); /* no write waits for a peer that is gone */
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

static void on_writable(void *ctx)
{
    *(bool *)ctx = true;
}

static void on_bytes(void *ctx, const uint8_t *bytes, size_t len)
{
    (void)ctx;
    (void)bytes;
    (void)len;
}

static void on_end(void *ctx, pst_err why, const char *text)
{
    (void)ctx;
    (void)why;
    (void)text;
}

/* spdm: an owner that offers the maximum at once is told when the rest was accepted. */
static void the_rest_is_asked_for(void **state)
{
    static const struct pst_carrier_events owner = {
        .open = on_writable, .receive = on_bytes, .writable = on_writable, .down = on_end};
    static uint8_t bytes[PST_CARRIER_CHUNK], back[PST_CARRIER_CHUNK];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_len = sizeof at;
    struct pst_carrier *c;
    struct pst_address a;
    char link[TEXT], why[TEXT];
    bool writable = false;
    uv_loop_t loop;
    (void)state;

    const int server = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(bind(server, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(server, 1), 0);
    CHECK_EQ(getsockname(server, (struct sockaddr *)&at, &at_len), 0);
    snprintf(link, sizeof link, "spdm:127.0.0.1:%u", ntohs(at.sin_port));
    link_of(&a, link);
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_EQ(pst_carrier_connect(&loop, &a, &owner, &writable, &c, why, sizeof why), PST_OK);
    UNTIL(&loop, writable, 3000); /* it is open */
    const int fd = accept(server, NULL, NULL);
    CHECK(fd >= 0);
    for (size_t i = 0; i < sizeof bytes; i += 4100) {
        CHECK_EQ(pst_framing_header(bytes + i, PST_LINK_SPDM, 4096), PST_OK);
    }
    size_t taken = 0, got = 0;
    while (taken < sizeof bytes) {
        writable = false;
        taken += pst_carrier_write(c, bytes + taken, sizeof bytes - taken);
        while (got < taken) {
            const ssize_t n = recv(fd, back + got, sizeof back - got, MSG_DONTWAIT);
            got += n > 0 ? (size_t)n : 0;
            uv_run(&loop, UV_RUN_NOWAIT);
        }
        if (taken < sizeof bytes) {
            UNTIL(&loop, writable, 1000);
        }
    }
    CHECK_EQ(got, sizeof back);
    pst_carrier_close(c);
    loop_end(&loop);
    CHECK(close(fd) == 0 && close(server) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_words_are_heard),
        cmocka_unit_test(the_rest_is_asked_for),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
