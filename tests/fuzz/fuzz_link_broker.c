/* Both ends of a connection through a broker, without a seal: the input is inserted between their
 * messages. What they deliver must stay within its bounds. */
#include "fuzz.h"

#include "postern/links/broker.h"

enum { CHUNK = 64, WINDOW = 2, MOST = 128 };

struct end {
    struct pst_broker b;
    uint8_t receive[CHUNK * WINDOW], send[CHUNK];
};

static struct pst_broker_config config(struct end *e)
{
    return (struct pst_broker_config){
        .timing = pst_broker_usual,
        .chunk = CHUNK,
        .window = WINDOW,
        .receive = e->receive,
        .send = e->send,
        .send_cap = sizeof e->send,
    };
}

/* Makes a copy of exactly its size, so that the sanitizer finds reads past its end. */
static void give(struct end *e, const uint8_t *msg, size_t len, uint64_t now)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    need(copy != NULL);
    if (len > 0) {
        memcpy(copy, msg, len);
    }
    pst_broker_input(&e->b, copy, len, now);
    free(copy);
}

static void turn(struct end *from, struct end *to, uint64_t now)
{
    uint8_t msg[MOST];
    struct pst_bytes in;
    size_t len = 0;
    int qos = 2, messages = 0;

    while ((in = pst_broker_peek(&from->b)).len > 0) {
        need(in.len <= CHUNK && in.at >= from->receive &&
             in.at + in.len <= from->receive + sizeof from->receive);
        pst_broker_taken(&from->b, in.len > 3 ? 3 : in.len);
    }
    (void)pst_broker_write(&from->b, (const uint8_t *)"hello", 5);
    while ((len = pst_broker_output(&from->b, msg, sizeof msg, &qos, now)) > 0) {
        need(len <= PST_BROKER_MESSAGE(CHUNK) && (qos == 0 || qos == 1));
        need(++messages <= PST_BROKER_MOST_WINDOW + 4);
        give(to, msg, len, now);
    }
}

static void accept_any(const uint8_t *data, size_t size)
{
    struct end e;
    const struct pst_broker_config cfg = config(&e);
    uint8_t *copy = malloc(size > 0 ? size : 1);

    need(copy != NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    if (size > 0 && pst_broker_accept(&e.b, &cfg, copy, size, 0) == PST_OK) {
        need(pst_broker_is_open(data, size) && e.b.state == PST_OK);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct end caller, listener;
    struct pst_broker_config cfg = config(&caller);
    uint8_t msg[MOST];
    uint64_t now = 0;
    int qos;

    accept_any(data, size);
    need(pst_broker_connect(&caller.b, &cfg, 0) == PST_OK);
    const size_t len = pst_broker_output(&caller.b, msg, sizeof msg, &qos, 0);
    cfg = config(&listener);
    need(pst_broker_accept(&listener.b, &cfg, msg, len, 0) == PST_OK);
    while (size > 0) { /* receiver, length, bytes */
        const size_t n = (size_t)(data[0] & 0x7F) < size - 1 ? data[0] & 0x7F : size - 1;

        give((data[0] & 0x80) != 0 ? &caller : &listener, data + 1, n, now);
        data += n + 1;
        size -= n + 1;
        turn(&caller, &listener, now);
        turn(&listener, &caller, now);
        now += 300;
    }
    return 0;
}
