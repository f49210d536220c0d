/* SPDM over TCP: frames and link messages, split anywhere, and messages that a side must not send.
 */
#include "pst_test.h"

#include "postern/links/spdm_tcp.h"

typedef pst_err converter(struct pst_spdm_tcp *, const uint8_t *, size_t, uint8_t *, size_t *);

/* Feeds pieces of `step` bytes. The output of each must fit the documented size. */
static pst_err convert(converter *way, const uint8_t *in, size_t len, size_t step, uint8_t *out,
                       size_t *total, struct pst_spdm_tcp *t)
{
    pst_err err = PST_OK;
    size_t made;

    pst_spdm_tcp_init(t);
    *total = 0;
    for (size_t at = 0; at < len && err == PST_OK; at += step) {
        const size_t n = len - at < step ? len - at : step;
        uint8_t piece[128];

        err = way(t, in + at, n, piece, &made);
        CHECK(err != PST_OK || made <= n + PST_SPDM_TCP_MORE);
        if (err == PST_OK && made > 0) {
            memcpy(out + *total, piece, made);
            *total += made;
        }
    }
    return err;
}

/* HELLO, an SPDM message of 4, a record of 3, an empty SPDM message, BYE. */
static const uint8_t said[] = {12,   0,    0, 0xD1, 1,    'M', 'D', 'B',  'G',  PST_PROFILE_VERSION,
                               0x01, 0,    0, 1,    0,    0,   4,   0,    0,    0xD4,
                               0x10, 0x84, 0, 0,    3,    0,   0,   0xD3, 'a',  'b',
                               'c',  0,    0, 0,    0xD4, 2,   0,   0,    0xD1, 2,
                               0};
static const uint8_t framed[] = {6, 0,    1,   5,   0x10, 0x84, 0, 0, 5, 0,
                                 1, 0x06, 'a', 'b', 'c',  2,    0, 1, 5};
static const uint8_t heard[] = {4, 0,    0,   0xD4, 0x10, 0x84, 0, 0, 3,   0,
                                0, 0xD3, 'a', 'b',  'c',  0,    0, 0, 0xD4};

static void test_every_step(void **state)
{
    struct pst_spdm_tcp t;
    uint8_t out[256];
    size_t len;

    (void)state;
    for (size_t step = 1; step <= sizeof said; step++) {
        CHECK_EQ(convert(pst_spdm_tcp_out, said, sizeof said, step, out, &len, &t), PST_OK);
        CHECK_EQ(len, sizeof framed);
        CHECK_BYTES(out, framed, len);
        CHECK_EQ(convert(pst_spdm_tcp_in, framed, sizeof framed, step, out, &len, &t), PST_OK);
        CHECK_EQ(len, sizeof heard);
        CHECK_BYTES(out, heard, len);
    }
}

static void test_greeting(void **state)
{
    uint8_t out[PST_SPDM_TCP_GREETING];
    struct pst_hello hello;
    uint8_t op;
    pst_err why;

    (void)state;
    CHECK_EQ(pst_spdm_tcp_greet(true, out), sizeof out);
    CHECK_EQ(pst_link_get_control(out + PST_LINK_HEADER, sizeof out - PST_LINK_HEADER, &op, &hello,
                                  &why),
             PST_OK);
    CHECK_EQ(op, PST_CONTROL_HELLO);
    CHECK(hello.native && hello.polled && !hello.shared && !hello.target);
    CHECK_EQ(hello.largest, 65533);
}

static void test_refused(void **state)
{
    static const struct {
        converter *way;
        pst_err err;
        uint8_t bytes[20];
        size_t len;
    } rows[] = {
        {pst_spdm_tcp_in,  PST_ERR_VERSION,     {6, 0, 2, 5},                                                                      4},
        {pst_spdm_tcp_in,  PST_ERR_DECODE,      {6, 0, 1, 7},                                                                      4},
        {pst_spdm_tcp_in,  PST_ERR_DECODE,      {1, 0, 1, 5},                                                                      4},
        {pst_spdm_tcp_in,  PST_ERR_PEER,        {0, 0, 1, 0xC1},                                                                   4},
        {pst_spdm_tcp_in,  PST_OK,              {4, 0, 1, 0xBF, 1, 2},                                                             6},
        {pst_spdm_tcp_out, PST_ERR_UNSUPPORTED, {1, 0, 0, 0xD2},                                                                   4},
        {pst_spdm_tcp_out, PST_ERR_UNSUPPORTED, {0xFE, 0xFF, 0, 0xD4},                                                             4},
        {pst_spdm_tcp_out, PST_ERR_DECODE,      {1, 0, 0, 0xD5},                                                                   4},
        {pst_spdm_tcp_out, PST_ERR_DECODE,      {13, 0, 0, 0xD1},                                                                  4},
        {pst_spdm_tcp_out, PST_ERR_DECODE,      {1, 0, 0, 0xD1, 9},                                                                5},
 /* a HELLO of a shared hop */
        {pst_spdm_tcp_out,
         PST_ERR_PROFILE,                       {12, 0, 0, 0xD1, 1, 'M', 'D', 'B', 'G', PST_PROFILE_VERSION, 0x02, 0, 0, 1, 0, 0},
         16                                                                                                                         },
    };
    struct pst_spdm_tcp t;
    uint8_t out[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t step = 1; step <= rows[i].len; step++) {
            CHECK_EQ(convert(rows[i].way, rows[i].bytes, rows[i].len, step, out, &len, &t),
                     rows[i].err);
            CHECK_EQ(len, 0);
        }
        CHECK(rows[i].err != PST_ERR_PEER || t.peer_error == 0xC1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_step),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
