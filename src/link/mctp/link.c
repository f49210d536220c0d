/* The reliable link inside MCTP messages, whatever carries the packets. */
#include "postern/links/mctp_link.h"

#include <string.h>

#include "link/reliable/reliable.h"

pst_err pst_mctp_link_open(struct pst_mctp_link *l, const struct pst_mctp_link_config *cfg,
                           uint64_t now_ms)
{
    const size_t message = (size_t)cfg->link.mtu_most + PST_MCTP_LINK_HEAD;

    if (cfg->work_len < PST_MCTP_LINK_WORK(cfg->link.mtu_most) || cfg->unit < PST_MCTP_BASELINE) {
        return PST_ERR_ARGUMENT;
    }
    memset(l, 0, sizeof *l);
    /* A listener's configuration too is checked here, so that errors show now and not when a client
     * connects. */
    PST_TRY(pst_reliable_connect(&l->link, &cfg->link, now_ms));
    l->cfg = *cfg;
    l->peer = cfg->peer;
    for (size_t i = 0; i < PST_MCTP_LINK_SLOTS; i++) {
        l->slots[i] =
            (struct pst_mctp_slot){.buffer = cfg->work + (1 + i) * message, .cap = message};
    }
    l->in = (struct pst_mctp_receiver){.eid = cfg->eid,
                                       .slots = l->slots,
                                       .slot_count = PST_MCTP_LINK_SLOTS,
                                       .timeout_ms = cfg->pause_ms};
    return PST_OK;
}

static bool waiting(const struct pst_mctp_link *l)
{
    return l->cfg.listens && l->link.state == PST_PENDING;
}

static bool from_peer(const struct pst_mctp_link *l)
{
    return l->peer == PST_MCTP_EID_NULL || l->peer == l->from.source;
}

/* A stranger with a good cookie is the client after a restart, or another client, which is
 * ignored. */
static void stranger(struct pst_mctp_link *l, struct pst_bytes d, uint64_t now_ms)
{
    const struct pst_bytes from = {&l->from.source, 1};
    const pst_err err =
        pst_reliable_greet(&l->cfg.door, from, d.at, d.len, now_ms, l->reply, &l->reply_len);

    if (err == PST_WANT_MORE) {
        l->reply_to = l->from.source;
    }
    if (err != PST_OK || !from_peer(l)) {
        return;
    }
    if (!waiting(l)) {
        if (l->link.state == PST_OK) { /* otherwise it had already ended, and the reason stays */
            l->link.forgotten = true;
        }
        pst_reliable_abort(&l->link, PST_ERR_CLOSED);
        l->link.last_words = false; /* the old peer no longer exists, so there is nobody to tell */
    } else if (pst_reliable_accept(&l->link, &l->cfg.link, d.at, d.len, now_ms) == PST_OK) {
        l->peer = l->from.source;
    } else {
        l->link.state = PST_PENDING;
    }
}

static void on_datagram(struct pst_mctp_link *l, struct pst_bytes d, uint64_t now_ms)
{
    uint8_t type;
    struct pst_reader r;

    if (psti_datagram_open(l->cfg.link.crc32c, d.at, d.len, &type, &r) != PST_OK) {
        l->damaged++;
    } else if (!waiting(l) && from_peer(l) && pst_reliable_mine(&l->link, d.at, d.len)) {
        (void)pst_reliable_input(&l->link, d.at, d.len, now_ms);
        if (l->link.state == PST_OK) {
            l->peer = l->from.source;
        }
    } else if (l->cfg.listens) {
        stranger(l, d, now_ms);
    }
}

static bool is_ours(struct pst_bytes message)
{
    struct pst_reader r = pst_reader_of(message.at, message.len);

    return pst_get_u8(&r) == PST_MCTP_VENDOR && pst_get_be32(&r) == PST_MCTP_ENTERPRISE &&
           pst_get_u8(&r) == PST_MCTP_DATAGRAM && pst_reader_ok(&r);
}

pst_err pst_mctp_link_input(struct pst_mctp_link *l, const uint8_t *packet, size_t len,
                            uint64_t now_ms)
{
    struct pst_bytes message = {0};

    PST_TRY(pst_mctp_receive(&l->in, packet, len, now_ms, &l->from, &message));
    if (!is_ours(message)) {
        l->foreign++;
        l->other = message;
        return PST_ERR_UNSUPPORTED;
    }
    message.at += PST_MCTP_LINK_HEAD;
    message.len -= PST_MCTP_LINK_HEAD;
    on_datagram(l, message, now_ms);
    return PST_OK;
}

/* Starts to send the next message, if there is one. */
static bool next_message(struct pst_mctp_link *l, uint64_t now_ms)
{
    struct pst_mctp_header to = {.destination = l->peer, .source = l->cfg.eid, .owner = true};
    struct pst_writer w = pst_writer_of(l->cfg.work, PST_MCTP_LINK_HEAD);
    uint8_t *datagram = l->cfg.work + PST_MCTP_LINK_HEAD;
    size_t n = l->reply_len;

    if (n > 0) {
        memcpy(datagram, l->reply, n);
        to.destination = l->reply_to;
        l->reply_len = 0;
    } else if (!waiting(l)) {
        n = pst_reliable_output(&l->link, datagram, l->cfg.link.mtu_most, now_ms);
    }
    pst_put_u8(&w, PST_MCTP_VENDOR);
    pst_put_be32(&w, PST_MCTP_ENTERPRISE);
    pst_put_u8(&w, PST_MCTP_DATAGRAM);
    return n > 0 &&
           pst_mctp_send(&l->out, &to, l->cfg.work, PST_MCTP_LINK_HEAD + n, l->cfg.unit) == PST_OK;
}

size_t pst_mctp_link_output(struct pst_mctp_link *l, uint8_t *out, size_t cap, uint64_t now_ms)
{
    size_t n = 0;

    if (l->out.message.len == 0 && !next_message(l, now_ms)) {
        return 0;
    }
    return pst_mctp_next(&l->out, out, cap, &n) == PST_OK ? n : 0;
}

uint64_t pst_mctp_link_wake(const struct pst_mctp_link *l)
{
    return waiting(l) ? UINT64_MAX : pst_reliable_wake(&l->link);
}
