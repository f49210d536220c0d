/* The responder of `postern spdm`: one connection after another. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "postern/parts/responder.h"
#include "tools/spdm.h"

#define NAME SPDM_NAME

static pst_err answer(struct spdm_peer *p, struct pst_responder *r, uint32_t context,
                      const struct pst_bytes *message, pst_err opened)
{
    static uint8_t out[SPDM_TRANSFER];
    size_t len = 0, cap;
    pst_err err = opened == PST_OK ? pst_responder_handle(r, context, message->at, message->len,
                                                          out, sizeof out, &len)
                                   : pst_responder_bad_record(r, context, out, sizeof out, &len);
    while (err == PST_PENDING) {
        err = pst_responder_resume(r, out, sizeof out, &len);
    }
    PST_TRY(err);
    if (len > 0) {
        /* The header size may have changed with the keys, so the room is computed here. */
        uint8_t *room = pst_spdm_wire_room(&p->wire, context, &cap);
        memcpy(room, out, len);
        PST_TRY(pst_spdm_wire_send(&p->wire, context, len));
    }
    pst_responder_sent(r);
    return PST_OK;
}

static pst_err on_message(struct spdm_peer *p, struct pst_responder *r, uint8_t *payload,
                          size_t len)
{
    struct pst_bytes message;
    uint32_t context;
    /* Nothing runs between two messages: an expired session ends before the next message is read.
     */
    (void)pst_responder_poll(r);
    pst_err err = pst_spdm_wire_take(&p->wire, payload, len, &context, &message);
    if (err == PST_WANT_MORE || err == PST_ERR_UNEXPECTED) {
        return PST_OK; /* discovery, answered; or an unknown session, dropped */
    }
    if (err != PST_OK && context == PST_SPDM_CLEAR) {
        return err;
    }
    return answer(p, r, context, &message, err);
}

/* Serves one connection until the peer says that it is done or closes (PST_ERR_CLOSED). */
static pst_err serve(struct spdm_peer *p)
{
    static struct pst_responder r;
    static const uint8_t hello[] = "Server Hello!";
    uint32_t command;
    uint8_t *payload;
    size_t len;

    PST_TRY(pst_responder_init(&r, &p->config));
    pst_err err;
    while ((err = pst_spdm_socket_receive(&p->socket, &command, &payload, &len)) == PST_OK) {
        switch (command) {
        case PST_SPDM_SOCKET_NORMAL:
            err = on_message(p, &r, payload, len);
            break;
        case PST_SPDM_SOCKET_TEST:
            err = pst_spdm_socket_send(&p->socket, command, hello, sizeof hello);
            break;
        case PST_SPDM_SOCKET_KEY_UPDATE:
            if (len == 4) {
                (void)!pst_responder_want_key_update(&r, pst_peek_u32(payload));
            }
            err = pst_spdm_socket_send(&p->socket, command, NULL, 0);
            break;
        case PST_SPDM_SOCKET_CONTINUE:
        case PST_SPDM_SOCKET_SHUTDOWN:
            err = pst_spdm_socket_send(&p->socket, command, NULL, 0);
            pst_responder_wipe(&r);
            p->shutdown = command == PST_SPDM_SOCKET_SHUTDOWN;
            return err;
        default:
            err = pst_spdm_socket_send(&p->socket, PST_SPDM_SOCKET_UNKNOWN, NULL, 0);
            break;
        }
        if (err != PST_OK) {
            break;
        }
    }
    pst_responder_wipe(&r);
    return err;
}

int spdm_run_responder(struct spdm_peer *p, const char *link)
{
    int listener = spdm_open_link(link, true);
    if (listener < 0) {
        return PST_EXIT_LINK;
    }
    pst_err err;
    do {
        p->socket.fd = accept(listener, NULL, NULL);
        if (p->socket.fd < 0) {
            tool_say(NAME, "accept: %s", strerror(errno));
            return PST_EXIT_LINK;
        }
        err = serve(p);
        (void)close(p->socket.fd);
        pst_spdm_wire_wipe(&p->wire);
    } while (!p->o->once && !p->shutdown);
    (void)close(listener);
    if (strncmp(link, "unix:", 5) == 0) {
        (void)unlink(link + 5);
    }
    if (err != PST_OK && err != PST_ERR_CLOSED) {
        tool_say(NAME, "%s", pst_err_text(err));
        return PST_EXIT_LOST;
    }
    return PST_EXIT_OK;
}
