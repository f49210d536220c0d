/* udp: over loopback, IPv4 and IPv6: bulk data in both directions, backpressure, several peers, and
 * all ways in which a connection fails or ends. pst-link: all */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "posix/links/carriers.h"
#include "posix/links/table.h"
#include "posix/loop/carrier_reliable.h"
#include "posix/loop/crc32c.h"
#include "postern/links/checksum.h"

static uv_loop_t loop;
static struct door door;
static struct end client, server, client2, server2;

static void start(const char *at)
{
    CHECK_EQ(uv_loop_init(&loop), 0);
    end_init(&client, &loop);
    end_init(&server, &loop);
    end_init(&client2, &loop);
    end_init(&server2, &loop);
    door = (struct door){
        .ends = {&server, &server2},
          .count = 2
    };
    door_open(&door, &loop, at);
}

static void stop(void)
{
    struct end *const all[] = {&client, &server, &client2, &server2};

    if (door.listener != NULL) {
        pst_listener_close(door.listener);
    }
    door.listener = NULL;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i]->carrier != NULL) {
            pst_carrier_close(all[i]->carrier);
        }
    }
    loop_end(&loop);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        CHECK(all[i]->carrier == NULL);
    }
}

static void bulk(const char *at, const char *options, uint64_t bytes)
{
    char to[TEXT];

    start(at);
    snprintf(to, sizeof to, "%s%s", door.listener->place, options);
    end_owes(&client, &server, bytes);
    end_owes(&server, &client, bytes);
    end_connect(&client, to);
    CHECK(strcmp(client.carrier->peer, to) == 0);
    const uint64_t since = uv_hrtime();
    UNTIL(&loop, client.got == bytes && server.got == bytes, 20000);
    printf("%s: %.0f MB/s each way\n", to, (double)bytes * 1e3 / (double)(uv_hrtime() - since));
    CHECK(strncmp(server.carrier->peer, "udp:", 4) == 0);
    CHECK(server.carrier->traits->shared);
    pst_carrier_finish(client.carrier);
    UNTIL(&loop, client.down && server.down, 3000);
    CHECK_EQ(client.why, PST_OK);
    CHECK_EQ(server.why, PST_OK);
    CHECK(strcmp(server.text, "closed by the peer") == 0);
    stop();
}

/* A container without a hosts file may not know the name. */
static bool knows_localhost(void)
{
    struct addrinfo *found = NULL;
    const bool known = getaddrinfo("localhost", NULL, NULL, &found) == 0;

    if (known) {
        freeaddrinfo(found);
    }
    return known;
}

static void test_bulk(void **state)
{
    (void)state;
    bulk("udp-listen::0", "", 10000000);
    bulk("udp-listen:127.0.0.1:0", ",mtu=1472", 3000000);
    bulk("udp-listen::0", ",mtu=100", 100000);
    bulk("udp-listen:[::1]:0", "", 10000000);
    if (knows_localhost()) {
        bulk("udp-listen:localhost:0", "", 1000);
    }
}

/* Data written before `finish` arrives, even if the reader starts late. */
static void test_finish(void **state)
{
    (void)state;
    start("udp-listen::0");
    server.paused = true;
    end_owes(&client, &server, 200000);
    end_connect(&client, door.listener->place);
    UNTIL(&loop, client.sent == 200000 && client.chunk_at == client.chunk_len, 2000);
    pst_carrier_finish(client.carrier);
    UNTIL(&loop, client.down, 3000);
    CHECK_EQ(client.why, PST_OK);
    CHECK(!server.down);
    server.paused = false;
    pst_carrier_read(server.carrier, true);
    UNTIL(&loop, server.down, 1000);
    CHECK_EQ(server.got, 200000);
    CHECK_EQ(server.why, PST_OK);
    stop();
}

/* A reader that stops blocks the writer, and no buffer grows. */
static void test_backpressure(void **state)
{
    (void)state;
    start("udp-listen::0");
    server.paused = true;
    end_owes(&client, &server, 5000000);
    end_connect(&client, door.listener->place);
    UNTIL(&loop, client.sent > 400000, 2000);
    const uint64_t until = clock_ms() + 300;
    UNTIL(&loop, clock_ms() >= until, 1000);
    CHECK(client.sent <= 2 * 262144 + CHUNK);
    CHECK_EQ(server.got, 0);
    server.paused = false;
    pst_carrier_read(server.carrier, true);
    UNTIL(&loop, server.got == 5000000, 10000);
    stop();
}

/* `finish` has a time limit if the reader has stopped. */
static void test_finish_in_time(void **state)
{
    (void)state;
    start("udp-listen::0");
    server.paused = true;
    end_owes(&client, &server, 5000000);
    end_connect(&client, door.listener->place);
    UNTIL(&loop, client.sent > 400000, 2000);
    pst_carrier_finish(client.carrier);
    const uint64_t since = clock_ms();
    UNTIL(&loop, client.down, PST_CARRIER_FINISH_MS + 500);
    CHECK(clock_ms() - since >= PST_CARRIER_FINISH_MS - 100);
    CHECK_EQ(client.why, PST_ERR_TIMEOUT);
    stop();
}

static void test_two_peers(void **state)
{
    (void)state;
    start("udp-listen::0");
    end_owes(&client, &server, 1000000);
    end_owes(&server2, &client2, 1000000);
    end_connect(&client, door.listener->place);
    UNTIL(&loop, server.open, 1000);
    end_connect(&client2, door.listener->place);
    UNTIL(&loop, server.got == 1000000 && client2.got == 1000000, 10000);
    end_owes(&client2, &server2, 1000);
    pst_carrier_close(client.carrier);
    UNTIL(&loop, server.down && client.down, 1000);
    pst_listener_close(door.listener); /* connections stay */
    door.listener = NULL;
    end_owes(&server2, &client2, 300000);
    UNTIL(&loop, client2.got == 1300000 && server2.got == 1000, 3000);
    stop();
}

static void test_more_than_it_takes(void **state)
{
    enum { MOST = 64 };
    static struct end many[MOST + 1], other[MOST];
    static struct door wide;

    (void)state;
    start("udp-listen::0");
    for (size_t i = 0; i < MOST; i++) {
        end_init(&many[i], &loop);
        end_init(&other[i], &loop);
        wide = (struct door){.listener = door.listener, .ends = {&other[i]}, .count = 1};
        door.listener->ctx = &wide;
        end_connect(&many[i], door.listener->place);
        UNTIL(&loop, other[i].open && many[i].open, 2000);
    }
    end_init(&many[MOST], &loop);
    end_connect(&many[MOST], door.listener->place);
    UNTIL(&loop, many[MOST].down, 2000);
    CHECK_EQ(many[MOST].why, PST_ERR_BUSY);
    printf("%s\n", many[MOST].text);
    for (size_t i = 0; i < MOST; i++) {
        pst_carrier_close(many[i].carrier);
    }
    UNTIL(&loop, other[MOST - 1].down && other[0].down, 2000);
    stop();
}

static void test_nobody(void **state)
{
    (void)state;
    start("udp-listen::0");
    end_connect(&client, "udp:127.0.0.1:9");
    UNTIL(&loop, client.down, 1000);
    CHECK_EQ(client.why, PST_ERR_IO);
    CHECK(strcmp(client.text, "nothing listens at UDP 127.0.0.1:9") == 0);
    if (knows_localhost()) {
        end_connect(&client2, "udp:localhost:9"); /* each of its addresses */
        UNTIL(&loop, client2.down, 1000);
        CHECK(strstr(client2.text, "nothing listens at UDP ") != NULL);
    }
    end_init(&client, &loop);
    end_connect(&client, "udp:[100::1]:9"); /* discarded, or no route: closed while it tries */
    UNTIL(&loop, client.carrier != NULL || client.down, 1);
    end_init(&client2, &loop);
    end_connect(&client2, "udp:no.such.host.invalid:9");
    pst_carrier_close(client2.carrier); /* while the name is looked up */
    UNTIL(&loop, client2.down, 10000);
    CHECK_EQ(client2.why, PST_OK);
    stop();
}

/* --- a path that drops, duplicates, changes, delays or truncates datagrams --- */

struct relay {
    int in, out; /* bound for the client; connected to the server */
    struct sockaddr_in client;
    struct pst_test_rng rng;
    uv_poll_t polls[2];
    uint8_t kept[2][65536]; /* each way */
    size_t kept_len[2];
    size_t longest; /* longer ones do not pass */
};

static void relay_send(struct relay *r, int way, const uint8_t *bytes, size_t len)
{
    if (way == 0) {
        (void)!send(r->out, bytes, len, MSG_DONTWAIT);
    } else {
        (void)!sendto(r->in, bytes, len, MSG_DONTWAIT, (struct sockaddr *)&r->client,
                      sizeof r->client);
    }
}

static void relay_pass(struct relay *r, int way, uint8_t *bytes, size_t len)
{
    const size_t fate = pst_test_rng_below(&r->rng, 100);

    if (fate < 2 || len > r->longest) {
        return;
    }
    if (fate == 2) {
        bytes[pst_test_rng_below(&r->rng, len)] ^= 4;
    }
    if (fate == 3) {
        len = pst_test_rng_below(&r->rng, len);
    }
    if (fate == 4 && r->kept_len[way] == 0) {
        memcpy(r->kept[way], bytes, len);
        r->kept_len[way] = len;
        return;
    }
    relay_send(r, way, bytes, len);
    if (fate == 5) {
        relay_send(r, way, bytes, len);
    }
    if (fate > 80 && r->kept_len[way] > 0) {
        relay_send(r, way, r->kept[way], r->kept_len[way]);
        r->kept_len[way] = 0;
    }
}

static void on_relay(uv_poll_t *poll, int status, int events)
{
    static uint8_t bytes[65536];
    struct relay *r = poll->data;
    const int way = poll == &r->polls[0] ? 0 : 1;
    struct sockaddr_in from;
    socklen_t from_len = sizeof from;

    (void)status;
    (void)events;
    const ssize_t n = recvfrom(way == 0 ? r->in : r->out, bytes, sizeof bytes, MSG_DONTWAIT,
                               (struct sockaddr *)&from, &from_len);
    if (n > 0 && way == 0) {
        r->client = from;
    }
    if (n > 0) {
        relay_pass(r, way, bytes, (size_t)n);
    }
}

static void relay_open(struct relay *r, const char *server_place, char *place)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof sa;

    r->in = socket(AF_INET, SOCK_DGRAM, 0);
    r->out = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(bind(r->in, (struct sockaddr *)&sa, sizeof sa), 0);
    CHECK_EQ(getsockname(r->in, (struct sockaddr *)&sa, &len), 0);
    snprintf(place, 100, "udp:127.0.0.1:%u", ntohs(sa.sin_port));
    sa.sin_port = htons((uint16_t)atoi(strrchr(server_place, ':') + 1));
    CHECK_EQ(connect(r->out, (struct sockaddr *)&sa, sizeof sa), 0);
    for (int i = 0; i < 2; i++) {
        uv_poll_init(&loop, &r->polls[i], i == 0 ? r->in : r->out);
        r->polls[i].data = r;
        uv_poll_start(&r->polls[i], UV_READABLE, on_relay);
    }
}

static void test_faults(void **state)
{
    static struct relay relay;
    static const size_t longest[] = {65536, 1300};
    char place[100];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        memset(&relay, 0, sizeof relay);
        relay.rng.state = 5 + i;
        relay.longest = longest[i];
        start("udp-listen::0");
        relay_open(&relay, door.listener->place, place);
        end_owes(&client, &server, 500000);
        end_owes(&server, &client, 500000);
        end_connect(&client, place);
        UNTIL(&loop, client.got == 500000 && server.got == 500000, 20000);
        pst_carrier_finish(client.carrier);
        UNTIL(&loop, client.down, 3000);
        CHECK_EQ(client.why, PST_OK);
        for (int k = 0; k < 2; k++) {
            uv_close((uv_handle_t *)&relay.polls[k], NULL);
        }
        close(relay.in);
        close(relay.out);
        stop();
    }
}

/* A peer disappears without BYE: its socket is closed, as if its process was killed. */
static void test_killed(void **state)
{
    (void)state;
    start("udp-listen::0");
    end_connect(&client, door.listener->place);
    UNTIL(&loop, server.open && client.open, 1000);
    uv_os_fd_t fd = -1;
    for (int i = 3; i < 64 && fd < 0; i++) { /* the listener's socket: bound, not connected */
        struct sockaddr_in sa;
        socklen_t len = sizeof sa;
        if (getsockname(i, (struct sockaddr *)&sa, &len) == 0 && sa.sin_family == AF_INET &&
            getpeername(i, (struct sockaddr *)&sa, &len) != 0) {
            fd = i;
        }
    }
    CHECK(fd >= 0);
    const int other = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(dup2(other, fd) == fd);
    close(other);
    end_owes(&client, &server, 10);
    UNTIL(&loop, client.down, 1000);
    CHECK_EQ(client.why, PST_ERR_CLOSED);
    printf("%s\n", client.text);
    stop();
}

/* Callers made by the test, without a carrier: one after another from the same port. */
struct caller {
    struct pst_reliable link;
    uint8_t message[PST_LINK_MIN_MESSAGE], send[2048], receive[2048];
    struct pst_reliable_sent sent[8];
};

static void caller_init(struct caller *c, uint32_t id)
{
    const struct pst_reliable_config cfg = {.id = id,
                                            .start = id,
                                            .mtu_first = PST_RELIABLE_MTU,
                                            .mtu_most = PST_RELIABLE_MTU,
                                            .timing = pst_reliable_ip,
                                            .message = c->message,
                                            .message_cap = sizeof c->message,
                                            .send = c->send,
                                            .send_cap = sizeof c->send,
                                            .receive = c->receive,
                                            .receive_cap = sizeof c->receive,
                                            .sent = c->sent,
                                            .sent_count = 8};

    CHECK_EQ(pst_reliable_connect(&c->link, &cfg, clock_ms()), PST_OK);
}

static pst_err caller_turn(struct caller *c, int fd)
{
    uint8_t bytes[PST_RELIABLE_MTU];
    ssize_t n;

    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        (void)pst_reliable_input(&c->link, bytes, (size_t)n, clock_ms());
    }
    while ((n = (ssize_t)pst_reliable_output(&c->link, bytes, sizeof bytes, clock_ms())) > 0) {
        CHECK_EQ(send(fd, bytes, (size_t)n, 0), n);
    }
    return c->link.state;
}

/* The next caller has the address of the previous one, which has closed: its data is still read. */
static void test_next_caller(void **state)
{
    static struct caller first, second;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct pst_test_rng rng = {.state = 3};
    uint8_t bytes[1000];

    (void)state;
    start("udp-listen::0");
    server.paused = true;
    server.to_get = sizeof bytes;
    server.in_rng = rng;
    to.sin_port = htons((uint16_t)atoi(strrchr(door.listener->place, ':') + 1));
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    caller_init(&first, 1);
    UNTIL(&loop, caller_turn(&first, fd) == PST_OK, 1000);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)pst_test_rng_u64(&rng);
    }
    CHECK_EQ(pst_reliable_write(&first.link, bytes, sizeof bytes), sizeof bytes);
    pst_reliable_close(&first.link);
    UNTIL(&loop, caller_turn(&first, fd) == PST_ERR_CLOSED, 1000);
    caller_init(&second, 2);
    UNTIL(&loop, caller_turn(&second, fd) == PST_OK && server2.open, 1000);
    CHECK(!server.down);
    server.paused = false;
    pst_carrier_read(server.carrier, true);
    UNTIL(&loop, server.down, 1000);
    CHECK_EQ(server.got, sizeof bytes);
    CHECK_EQ(server.why, PST_OK);
    caller_init(&first, 3); /* a caller that has not closed was restarted */
    UNTIL(&loop, caller_turn(&first, fd) != PST_PENDING && server2.down, 1000);
    CHECK_EQ(server2.why, PST_ERR_CLOSED);
    CHECK(strcmp(server2.text, "the peer was restarted") == 0);
    close(fd);
    stop();
}

static void short_peer(void *ctx, struct pst_carrier *c)
{
    door_peer(ctx, c);
    pst_carrier_close(c);
}

/* A listener sends data and leaves: welcome, data and end arrive together. */
static void test_short_answer(void **state)
{
    static const struct pst_listener_events events = {.peer = short_peer, .note = door_note};

    (void)state;
    start("udp-listen::0");
    door.listener->events = &events;
    end_owes(&server, &client, 100);
    end_connect(&client, door.listener->place);
    UNTIL(&loop, client.down, 1000);
    CHECK(client.open);
    CHECK_EQ(client.got, 100);
    CHECK_EQ(client.why, PST_OK);
    stop();
}

/* --- a carrier without a path: it never receives anything --- */

struct lonely {
    struct pst_rcarrier rc;
    struct pst_reliable link;
    struct end *end;
    bool blocked;
};

static void lonely_flush(struct pst_rcarrier *rc)
{
    uint8_t out[PST_RELIABLE_MTU];

    while (!((struct lonely *)rc)->blocked &&
           pst_reliable_output(rc->link, out, sizeof out, pst_rcarrier_now()) > 0) {
    }
}

static uint64_t lonely_wake(const struct pst_rcarrier *rc)
{
    return pst_reliable_wake(rc->link);
}

static void lonely_opened(struct pst_rcarrier *rc)
{
    end_open(((struct lonely *)rc)->end);
}

static void lonely_silence(const struct pst_rcarrier *rc, char *text, size_t cap)
{
    (void)rc;
    snprintf(text, cap, "silence");
}

static void lonely_release(struct pst_rcarrier *rc)
{
    pst_rcarrier_free(rc);
}

static struct pst_carrier *lonely_open(struct end *e, uint32_t dead_ms)
{
    static const struct pst_rcarrier_hop hop = {.flush = lonely_flush,
                                                .wake = lonely_wake,
                                                .opened = lonely_opened,
                                                .silence = lonely_silence,
                                                .release = lonely_release};
    uint8_t hello[PST_RELIABLE_MTU];
    struct lonely *l = calloc(1, sizeof *l);
    struct pst_reliable caller;
    struct pst_reliable_config cfg = {
        .mtu_first = PST_RELIABLE_MTU, .mtu_most = PST_RELIABLE_MTU, .timing = pst_reliable_ip};

    CHECK(l != NULL);
    l->end = e;
    cfg.timing.dead = dead_ms;
    CHECK_EQ(pst_rcarrier_buffers(&l->rc, &cfg, 4096, 4096), PST_OK);
    CHECK_EQ(pst_reliable_connect(&caller, &cfg, pst_rcarrier_now()), PST_OK);
    const size_t n = pst_reliable_output(&caller, hello, sizeof hello, pst_rcarrier_now());
    CHECK_EQ(pst_rcarrier_init(&l->rc, &loop, &hop, &l->link, &pst_udp_traits), PST_OK);
    CHECK_EQ(pst_reliable_accept(&l->link, &cfg, hello, n, pst_rcarrier_now()), PST_OK);
    pst_carrier_own(&l->rc.base, &end_events, e);
    pst_rcarrier_kick(&l->rc);
    return &l->rc.base;
}

/* A write detects the peer's silence first, as after a pause of the process. */
static void test_dead_in_a_write(void **state)
{
    (void)state;
    start("udp-listen::0");
    client.carrier = lonely_open(&client, 300);
    UNTIL(&loop, client.open, 1000);
    uv_sleep(350);
    CHECK_EQ(pst_carrier_write(client.carrier, (const uint8_t *)"word", 4), 4);
    UNTIL(&loop, client.down, 1000);
    CHECK_EQ(client.why, PST_ERR_TIMEOUT);
    stop();
}

/* The path accepts nothing any more, like a serial line whose other end has stopped: the peer's
 * silence is still detected. */
static void test_dead_while_blocked(void **state)
{
    (void)state;
    start("udp-listen::0");
    client.carrier = lonely_open(&client, 300);
    UNTIL(&loop, client.open, 1000);
    ((struct lonely *)client.carrier)->blocked = true;
    UNTIL(&loop, client.down, 1000);
    CHECK_EQ(client.why, PST_ERR_TIMEOUT);
    stop();
}

/* The same port, once the first listener is gone. */
static void test_listens_again(void **state)
{
    char place[100], at[120];

    (void)state;
    start("udp-listen::0");
    snprintf(place, sizeof place, "%.99s", door.listener->place);
    snprintf(at, sizeof at, "udp-listen:%s", place + strlen("udp:"));
    end_connect(&client, place);
    UNTIL(&loop, server.open && client.open, 1000);
    pst_listener_close(door.listener);
    pst_carrier_close(server.carrier);
    UNTIL(&loop, server.down && client.down, 1000);
    CHECK_EQ(client.why, PST_OK);
    end_init(&client, &loop);
    end_init(&server, &loop);
    door.taken = 0;
    door_open(&door, &loop, at);
    end_owes(&client, &server, 1000);
    end_connect(&client, place);
    UNTIL(&loop, server.got == 1000, 2000);
    stop();
}

/* Random bytes, and truncated or repeated parts of a real handshake, from many addresses. */
static void test_strangers(void **state)
{
    struct pst_test_rng rng = {.state = 4};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    uint8_t bytes[2000];

    (void)state;
    start("udp-listen::0");
    to.sin_port = htons((uint16_t)atoi(strrchr(door.listener->place, ':') + 1));
    end_connect(&client, door.listener->place);
    for (unsigned i = 0; i < 2000; i++) {
        const int fd = socket(AF_INET, SOCK_DGRAM, 0);
        const size_t len = pst_test_rng_below(&rng, sizeof bytes);

        pst_test_rng_fill(&rng, bytes, len);
        if (len > 0) {
            bytes[0] = (uint8_t)(0xE1 + i % 6);
        }
        (void)!sendto(fd, bytes, len, 0, (struct sockaddr *)&to, sizeof to);
        close(fd);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
    end_owes(&client, &server, 100000);
    UNTIL(&loop, server.got == 100000, 3000);
    CHECK_EQ(door.taken, 1);
    stop();
}

static void test_crc32c(void **state)
{
    struct pst_test_rng rng = {.state = 9};
    uint8_t bytes[200];

    (void)state;
    pst_test_rng_fill(&rng, bytes, sizeof bytes);
    for (size_t len = 0; len <= sizeof bytes - 8; len++) {
        for (size_t from = 0; from < 8; from++) {
            const uint32_t before = (uint32_t)pst_test_rng_u64(&rng);
            CHECK_EQ(pst_crc32c_fast(before, bytes + from, len),
                     pst_crc32c(before, bytes + from, len));
        }
    }
}

static void test_written_badly(void **state)
{
    static const char *const bad[] = {"udp:[::1", "udp:x:99999", "udp::1,mtu=3", "udp::1,mtu=70000",
                                      "udp::1,what=1"};
    struct pst_address a;
    char why[TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQ(pst_address_parse(&a, pst_schemes, bad[i], why, sizeof why), PST_ERR_DECODE);
        CHECK(strstr(why, bad[i]) != NULL);
    }
    start("udp-listen::0");
    snprintf(why, sizeof why, "udp-listen:%s", strchr(door.listener->place, ':') + 1);
    link_of(&a, why);
    struct pst_listener *l = NULL;
    CHECK_EQ(pst_carrier_listen(&loop, &a, &door_events, &door, &l, why, sizeof why), PST_ERR_IO);
    CHECK(strstr(why, "in use") != NULL);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_finish_in_time),
        cmocka_unit_test(test_two_peers),
        cmocka_unit_test(test_more_than_it_takes),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_next_caller),
        cmocka_unit_test(test_short_answer),
        cmocka_unit_test(test_dead_in_a_write),
        cmocka_unit_test(test_dead_while_blocked),
        cmocka_unit_test(test_listens_again),
        cmocka_unit_test(test_strangers),
        cmocka_unit_test(test_written_badly),
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
