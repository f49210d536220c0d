/* The security agent in another process. It has the identity, speaks SPDM and passes traffic keys
 * through a key port that is a socket. This process has the records and no private key. The agent
 * gets no key back, and this process never sees the secrets that keys are derived from. */
#include <sys/socket.h>
#include <sys/wait.h>

#include "postern/parts/responder.h"
#include "ts/net.h"

enum tag { HANDLE = 1, SENT, RESULT, PLACE, DROP };

static void send_frame(int fd, enum tag tag, uint32_t word, const void *data, uint32_t len)
{
    uint32_t head[3] = {(uint32_t)tag, word, len};
    CHECK(send(fd, head, sizeof head, MSG_NOSIGNAL) == (ssize_t)sizeof head);
    CHECK(len == 0 || send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static bool receive_frame(int fd, uint32_t head[3], uint8_t *data, size_t cap)
{
    if (recv(fd, head, 12, MSG_WAITALL) != 12 || head[2] > cap) {
        return false;
    }
    return head[2] == 0 || recv(fd, data, head[2], MSG_WAITALL) == (ssize_t)head[2];
}

/* --- the agent's process --- */

struct placed {
    uint8_t phase, direction, encrypt;
    struct pst_traffic_key key;
};

static pst_err agent_place(void *ctx, uint32_t session_id, pst_key_phase phase,
                           pst_direction direction, bool encrypt, const struct pst_traffic_key *key)
{
    struct placed p = {(uint8_t)phase, (uint8_t)direction, encrypt, *key};
    send_frame(*(int *)ctx, PLACE, session_id, &p, sizeof p);
    pst_wipe(&p, sizeof p);
    return PST_OK;
}

static void agent_drop(void *ctx, uint32_t session_id)
{
    send_frame(*(int *)ctx, DROP, session_id, NULL, 0);
}

static void run_agent(int fd)
{
    static struct pst_responder responder;
    static uint8_t in[8192], out[8192];
    struct net n = {.now = 1};
    struct pst_spdm_config config =
        net_spdm(&n, &net_keys.pump, &net_keys.engineers, NET_COMMON_CAPS);
    uint32_t head[3];
    size_t len;

    config.mutual = PST_MUTUAL_ENCAP;
    config.require_mutual = true;
    config.heartbeat_s = 5;
    config.keys = (struct pst_key_port){.ctx = &fd, .place = agent_place, .drop = agent_drop};
    if (pst_responder_init(&responder, &config) != PST_OK) {
        _exit(2);
    }
    while (receive_frame(fd, head, in, sizeof in)) {
        if (head[0] == HANDLE) {
            if (pst_responder_handle(&responder, head[1], in, head[2], out, sizeof out, &len) !=
                PST_OK) {
                _exit(3);
            }
            send_frame(fd, RESULT, 0, out, (uint32_t)len);
        } else {
            pst_responder_sent(&responder);
            send_frame(fd, RESULT, 0, NULL, 0);
        }
    }
    pst_responder_wipe(&responder);
    _exit(0);
}

/* --- the encryption function's process --- */

static struct pst_record ts_record, dts_record;
static unsigned placed_count, dropped_count;

/* Keys arrive before the result of what they belong to. */
static size_t ask_agent(int fd, enum tag tag, uint32_t context, const uint8_t *msg, size_t len,
                        uint8_t *answer, size_t cap)
{
    uint32_t head[3];
    struct placed p;
    uint8_t data[8192];

    send_frame(fd, tag, context, msg, (uint32_t)len);
    for (;;) {
        CHECK(receive_frame(fd, head, data, sizeof data));
        if (head[0] == RESULT) {
            CHECK(head[2] <= cap);
            memcpy(answer, data, head[2]);
            return head[2];
        }
        if (head[0] == PLACE) {
            CHECK_EQ(head[2], sizeof p);
            memcpy(&p, data, sizeof p);
            CHECK_EQ(pst_record_place(&ts_record, head[1], (pst_key_phase)p.phase,
                                      (pst_direction)p.direction, p.encrypt != 0, &p.key),
                     PST_OK);
            placed_count++;
        } else {
            pst_record_wipe(&ts_record);
            dropped_count++;
        }
    }
}

static pst_err dts_place(void *ctx, uint32_t session_id, pst_key_phase phase,
                         pst_direction direction, bool encrypt, const struct pst_traffic_key *key)
{
    (void)ctx;
    return pst_record_place(&dts_record, session_id, phase, direction, encrypt, key);
}

static void dts_drop(void *ctx, uint32_t session_id)
{
    (void)ctx;
    (void)session_id;
    pst_record_wipe(&dts_record);
}

static void exchange(int fd, struct pst_requester *q, uint32_t context, uint8_t *msg, size_t len)
{
    static uint8_t buf[16384];
    struct pst_bytes body = {msg, len};
    pst_key_phase phase;
    size_t head;

    if (context != PST_SPDM_CLEAR) {
        head = pst_record_head(&dts_record);
        memcpy(buf + head, msg, len);
        CHECK_EQ(pst_record_seal(&dts_record, buf, sizeof buf, len, 0, &len), PST_OK);
        CHECK_EQ(pst_record_open(&ts_record, buf, len, &body, &phase), PST_OK);
        memmove(msg, body.at, body.len);
    }
    pst_requester_sent(q);
    head = context == PST_SPDM_CLEAR ? 0 : 16;
    len = ask_agent(fd, HANDLE, context, msg, body.len, buf + head, sizeof buf - 64);
    body = (struct pst_bytes){buf + head, len};
    if (context != PST_SPDM_CLEAR) {
        memmove(buf + pst_record_head(&ts_record), buf + head, len);
        CHECK_EQ(pst_record_seal(&ts_record, buf, sizeof buf, len, 0, &len), PST_OK);
        CHECK_EQ(pst_record_open(&dts_record, buf, len, &body, &phase), PST_OK);
    }
    uint8_t nothing[8];
    CHECK_EQ(ask_agent(fd, SENT, 0, NULL, 0, nothing, sizeof nothing), 0);
    (void)!pst_requester_receive(q, context, body.at, body.len);
}

static void run_op(int fd, struct pst_requester *q, const struct pst_op *op)
{
    uint8_t msg[8192], code = 0;
    uint32_t context;
    size_t len;
    CHECK_EQ(pst_requester_start(q, op), PST_OK);
    while (pst_requester_next(q, &context, msg, sizeof msg, &len) == PST_OK) {
        exchange(fd, q, context, msg, len);
    }
    CHECK_EQ(pst_requester_result(q, &code), PST_OK);
}

static void test_agent_process(void **state)
{
    static struct pst_requester q;
    struct net n = {.now = 1};
    struct pst_spdm_config config = net_spdm(&n, &net_keys.ada, &net_keys.devices, NET_COMMON_CAPS);
    const struct pst_record_config ts = {.crypto = config.crypto, .sends = PST_TO_REQUESTER};
    const struct pst_record_config dts = {.crypto = config.crypto, .sends = PST_TO_RESPONDER};
    int fds[2], status;
    (void)state;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    pid_t agent = fork();
    CHECK(agent >= 0);
    if (agent == 0) {
        (void)close(fds[0]);
        run_agent(fds[1]);
    }
    (void)close(fds[1]);
    CHECK_EQ(pst_record_init(&ts_record, &ts), PST_OK);
    CHECK_EQ(pst_record_init(&dts_record, &dts), PST_OK);
    config.keys = (struct pst_key_port){.place = dts_place, .drop = dts_drop};
    CHECK_EQ(pst_requester_init(&q, &config), PST_OK);
    run_op(fds[0], &q, &(struct pst_op){.kind = PST_OP_CONNECT});
    run_op(fds[0], &q, &(struct pst_op){.kind = PST_OP_DIGESTS});
    run_op(fds[0], &q, &(struct pst_op){.kind = PST_OP_CERTIFICATE});
    run_op(fds[0], &q, &(struct pst_op){.kind = PST_OP_SESSION});
    uint32_t session = pst_requester_session(&q);
    CHECK_EQ(placed_count, 4); /* handshake and application, both directions */
    run_op(fds[0], &q, &(struct pst_op){.kind = PST_OP_HEARTBEAT, .context = session});
    run_op(fds[0], &q,
           &(struct pst_op){.kind = PST_OP_KEY_UPDATE, .context = session, .all = true});
    CHECK_EQ(placed_count, 6);
    run_op(fds[0], &q, &(struct pst_op){.kind = PST_OP_HEARTBEAT, .context = session});
    run_op(fds[0], &q, &(struct pst_op){.kind = PST_OP_END_SESSION, .context = session});
    CHECK(dropped_count > 0);
    (void)close(fds[0]);
    CHECK(waitpid(agent, &status, 0) == agent && WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
    pst_requester_wipe(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_agent_process)};
    return cmocka_run_group_tests(tests, net_keys_make, net_keys_free);
}
