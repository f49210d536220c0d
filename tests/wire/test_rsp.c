/* The packet codec of the remote serial protocol. pst-link: stub */
#include "postern/parts/rsp.h"
#include "pst_test.h"

static size_t feed(struct pst_rsp_reader *r, const char *text, size_t len, enum pst_rsp_item *items,
                   size_t most)
{
    size_t n = 0;
    const uint8_t *at = (const uint8_t *)text;
    while (len > 0) {
        enum pst_rsp_item item;
        size_t taken = pst_rsp_read(r, at, len, &item);
        CHECK(taken > 0 && taken <= len);
        at += taken;
        len -= taken;
        if (item != PST_RSP_NOTHING) {
            CHECK(n < most);
            items[n++] = item;
        }
    }
    return n;
}

static enum pst_rsp_item one(struct pst_rsp_reader *r, const char *text)
{
    enum pst_rsp_item items[4] = {PST_RSP_NOTHING};
    size_t n = feed(r, text, strlen(text), items, 4);
    CHECK(n <= 1);
    return items[0];
}

static void test_known(void **state)
{
    (void)state;
    uint8_t buffer[64];
    struct pst_rsp_reader r;
    pst_rsp_reader_init(&r, buffer, sizeof buffer, true);
    CHECK_EQ(one(&r, "$OK#9a"), PST_RSP_PACKET);
    CHECK(r.len == 2 && strcmp((char *)buffer, "OK") == 0);
    CHECK_EQ(one(&r, "$#00"), PST_RSP_PACKET);
    CHECK_EQ(r.len, 0);
    /* from the manual: "0* " is four zeros */
    CHECK_EQ(one(&r, "$0* #7a"), PST_RSP_PACKET);
    CHECK(strcmp((char *)buffer, "0000") == 0);
    CHECK_EQ(one(&r, "$}\x03#80"), PST_RSP_PACKET);
    CHECK(r.len == 1 && buffer[0] == '#');
    CHECK_EQ(one(&r, "$OK#9b"), PST_RSP_BAD);
    CHECK_EQ(one(&r, "$OK#9g"), PST_RSP_BAD);
    CHECK_EQ(one(&r, "$* #4a"), PST_RSP_BAD); /* a run of nothing */
    CHECK_EQ(one(&r, "+"), PST_RSP_ACK);
    CHECK_EQ(one(&r, "-"), PST_RSP_NAK);
    CHECK_EQ(one(&r, "\x03"), PST_RSP_BREAK);
    CHECK_EQ(one(&r, "%Stop:T05#99"), PST_RSP_NOTICE);
    CHECK_EQ(one(&r, "$abc$OK#9a"), PST_RSP_PACKET); /* one that was cut short */
    CHECK_EQ(r.len, 2);
    CHECK_EQ(one(&r, "$0*~0*~#24"), PST_RSP_BAD); /* does not fit */
    CHECK_EQ(one(&r, "$OK#9a"), PST_RSP_PACKET);
    pst_rsp_reader_init(&r, buffer, sizeof buffer, false);
    CHECK_EQ(one(&r, "$0* #7a"), PST_RSP_PACKET);
    CHECK(strcmp((char *)buffer, "0* ") == 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t all[256], out[1024], buffer[600];
    for (size_t i = 0; i < sizeof all; i++) {
        all[i] = (uint8_t)i;
    }
    struct pst_writer w = pst_writer_of(out, sizeof out);
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_binary(&p, all, sizeof all);
    pst_rsp_end(&p);
    CHECK_EQ(w.used, pst_rsp_binary_len(all, sizeof all) + 4);
    for (size_t cut = 0; cut <= w.used; cut++) {
        struct pst_rsp_reader r;
        enum pst_rsp_item items[2];
        pst_rsp_reader_init(&r, buffer, sizeof buffer, true);
        size_t n = feed(&r, (const char *)out, cut, items, 2);
        CHECK_EQ(n, cut == w.used);
        CHECK_EQ(feed(&r, (const char *)out + cut, w.used - cut, items, 2), 1 - n);
        CHECK_EQ(items[0], PST_RSP_PACKET);
        CHECK(r.len == sizeof all && memcmp(buffer, all, sizeof all) == 0);
    }
    /* every single-byte change is noticed or harmless: never a longer packet than the buffer */
    for (size_t i = 0; i < w.used; i++) {
        struct pst_rsp_reader r;
        enum pst_rsp_item items[600];
        out[i] ^= 0x01;
        pst_rsp_reader_init(&r, buffer, 300, true);
        (void)feed(&r, (const char *)out, w.used, items, 600);
        CHECK(r.len < 300);
        out[i] ^= 0x01;
    }
}

static void test_words(void **state)
{
    (void)state;
    uint8_t out[128], bytes[4];
    struct pst_writer w = pst_writer_of(out, sizeof out);
    struct pst_rsp_writer p = pst_rsp_begin(&w);
    pst_rsp_put_number(&p, 0);
    pst_rsp_put_char(&p, ',');
    pst_rsp_put_number(&p, UINT64_MAX);
    pst_rsp_put_char(&p, ';');
    pst_rsp_put_text(&p, "p1.-1;1f");
    pst_rsp_end(&p);
    struct pst_reader r = pst_reader_of(out + 1, w.used - 4);
    CHECK_EQ(pst_rsp_get_number(&r), 0);
    CHECK(pst_rsp_take_char(&r, ','));
    CHECK(pst_rsp_get_number(&r) == UINT64_MAX && pst_rsp_take(&r, ";"));
    struct pst_rsp_thread t = pst_rsp_get_thread(&r);
    CHECK(t.has_pid && t.pid == 1 && t.tid == PST_RSP_ALL && pst_rsp_take(&r, ";"));
    CHECK_EQ(pst_rsp_get_hex(&r, bytes, 4), 1);
    CHECK_EQ(pst_finish(&r), PST_OK);
    static const char *const bad[] = {"", "x", "10000000000000000", "-", NULL};
    for (size_t i = 0; bad[i] != NULL; i++) {
        r = pst_reader_of(bad[i], strlen(bad[i]));
        (void)pst_rsp_get_number(&r);
        CHECK(!pst_reader_ok(&r));
    }
    r = pst_reader_of("123", 3);
    CHECK_EQ(pst_rsp_get_hex(&r, bytes, 4), 0);
    CHECK(!pst_reader_ok(&r));
    r = pst_reader_of("p2", 2);
    t = pst_rsp_get_thread(&r);
    CHECK(t.pid == 2 && t.tid == PST_RSP_ALL);
    r = pst_reader_of("a;b", 3);
    CHECK_EQ(pst_rsp_get_until(&r, ';').len, 1);
    CHECK_EQ(pst_rsp_get_until(&r, ';').len, 1);
    CHECK_EQ(pst_rsp_get_until(&r, ';').len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
