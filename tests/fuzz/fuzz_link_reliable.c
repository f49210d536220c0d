/* The reliable link: an open connection and a listener's door get any datagrams, with and without a
 * correct CRC. Answers must stay short, buffers intact and timers finite.
 *
 * Input: n × {control u8, length u8, bytes}. Control bits: 01 to the client (else the server), 02
 * unchanged (else the last four bytes become the CRC), F0 how much time passes. */
#include "fuzz.h"

#include "postern/links/checksum.h"
#include "postern/links/reliable.h"

enum {
    MESSAGE = 300,
    BUFFER = 512,
    SENT = 8,
    MTU = 1500,
    CLIENT = 0x01010101,
    SERVER = 0x02020202
};

struct end {
    struct pst_reliable r;
    uint8_t *message, *send, *receive;
    struct pst_reliable_sent *sent;
};

static const struct pst_reliable_door door = {.key = "fifteen letters"};

/* On the heap, so that the sanitizer checks the bounds of each. */
static struct pst_reliable_config prepare(struct end *e, uint32_t id)
{
    memset(e, 0, sizeof *e);
    e->message = malloc(MESSAGE);
    e->send = malloc(BUFFER);
    e->receive = malloc(BUFFER);
    e->sent = malloc(SENT * sizeof *e->sent);
    need(e->message != NULL && e->send != NULL && e->receive != NULL && e->sent != NULL);
    return (struct pst_reliable_config){
        .id = id,
        .start = 0,
        .mtu_first = 100,
        .mtu_most = MTU,
        .timing = pst_reliable_ip,
        .message = e->message,
        .message_cap = MESSAGE,
        .send = e->send,
        .send_cap = BUFFER,
        .receive = e->receive,
        .receive_cap = BUFFER,
        .sent = e->sent,
        .sent_count = SENT,
    };
}

static void discard(struct end *e)
{
    free(e->message);
    free(e->send);
    free(e->receive);
    free(e->sent);
}

static pst_err greet(const uint8_t *at, size_t len, uint64_t now, uint8_t *reply, size_t *n)
{
    return pst_reliable_greet(&door, (struct pst_bytes){(const uint8_t *)"a", 1}, at, len, now,
                              reply, n);
}

static void connect(struct end *client, struct end *server)
{
    const struct pst_reliable_config c = prepare(client, CLIENT), s = prepare(server, SERVER);
    uint8_t out[MTU], reply[PST_RELIABLE_REPLY];
    size_t n = 0;

    need(pst_reliable_connect(&client->r, &c, 0) == PST_OK);
    size_t len = pst_reliable_output(&client->r, out, sizeof out, 0);
    need(greet(out, len, 0, reply, &n) == PST_WANT_MORE);
    need(pst_reliable_input(&client->r, reply, n, 0) == PST_OK);
    len = pst_reliable_output(&client->r, out, sizeof out, 0);
    need(greet(out, len, 0, reply, &n) == PST_OK);
    need(pst_reliable_accept(&server->r, &s, out, len, 0) == PST_OK);
    len = pst_reliable_output(&server->r, out, sizeof out, 0);
    need(pst_reliable_input(&client->r, out, len, 0) == PST_OK);
    need(client->r.state == PST_OK);
    need(pst_reliable_send(&client->r, PST_LINK_RECORD, out, 250) == PST_OK);
    need(pst_reliable_send(&server->r, PST_LINK_CLEAR, out, 250) == PST_OK);
}

static void live(struct end *e, uint64_t now)
{
    uint8_t out[MTU], *payload = NULL, kind = 0;
    size_t len = 0, rounds = 0, n;

    while ((n = pst_reliable_output(&e->r, out, sizeof out, now)) > 0) {
        need(n <= MTU && ++rounds < 100);
    }
    while (pst_reliable_receive(&e->r, &kind, &payload, &len) == PST_OK) {
        need(payload == e->message && len <= MESSAGE);
    }
    while ((n = pst_reliable_output(&e->r, out, sizeof out, now)) > 0) {
        need(n <= MTU && ++rounds < 100);
    }
    need(pst_reliable_wake(&e->r) > now);
    need(e->r.mtu >= 64 && e->r.mtu <= MTU);
}

static void give(struct end *e, uint8_t *datagram, size_t len, uint64_t now)
{
    uint8_t reply[PST_RELIABLE_REPLY];
    size_t n = 0;

    if (greet(datagram, len, now, reply, &n) == PST_WANT_MORE) {
        need(n <= len && n <= sizeof reply);
    }
    (void)pst_reliable_mine(&e->r, datagram, len);
    (void)pst_reliable_input(&e->r, datagram, len, now);
    live(e, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pst_reader r = pst_reader_of(data, size);
    struct end client, server;
    uint64_t now = 0;

    connect(&client, &server);
    live(&client, now);
    live(&server, now);
    while (r.left >= 2) {
        const uint8_t control = pst_get_u8(&r), len = pst_get_u8(&r);
        const struct pst_bytes bytes = pst_get_block(&r, len < r.left ? len : r.left);
        uint8_t *copy = malloc(bytes.len + 1);

        need(copy != NULL);
        if (bytes.len > 0) {
            memcpy(copy, bytes.at, bytes.len);
        }
        if ((control & 2) == 0 && bytes.len > 4) {
            pst_poke_u32(copy + bytes.len - 4, pst_crc32c(0, copy, bytes.len - 4));
        }
        now += (control >> 4) * (control >> 4) * UINT64_C(40);
        give((control & 1) != 0 ? &client : &server, copy, bytes.len, now);
        free(copy);
    }
    discard(&client);
    discard(&server);
    return 0;
}
