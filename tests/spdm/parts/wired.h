/* A requester and a responder, connected directly. Every message of a session is checked to use the
 * same key on both sides, as a record would require. */
#ifndef TESTS_SPDM_WIRED_H
#define TESTS_SPDM_WIRED_H

#include "pst_test.h"

#include "openssl/openssl_port.h"
#include "postern/parts/requester.h"
#include "postern/parts/responder.h"
#include "spdm/codes.h"
#include "strict.h"

#define WIRED_BUFFER 5000
#define WIRED_DEVICE "Acme:Pump:0042"

/* A key port that records the keys. */
struct wired_keys {
    struct {
        uint32_t id;
        bool live[2];
        struct pst_traffic_key key[2];
        pst_key_phase phase[2];
        bool encrypt;
    } session[4];
    unsigned placed, dropped;
};

struct wired_side {
    struct pst_spdm_config config;
    struct strict strict; /* its crypto port and verifier; checked by wired_end */
    struct wired_keys keys;
    struct wired_peer_log {
        unsigned accepted, established, ended;
        pst_err refuse, why;
        uint32_t id;
        char name[PST_MAX_NAME];
    } log;
};

/* A signer that is pending so many times first. */
struct wired_signer {
    struct pst_signer signer;
    const struct pst_signer *real;
    unsigned pending, cancelled, calls;
    unsigned asked, waits; /* PST_PENDING answers of the current signature; 1: it waits */
    const struct wired *of;
    bool broken;
};

struct wired {
    struct wired_side dts, ts;
    struct pst_requester q;
    struct pst_responder r;
    struct pst_slot ts_slot, dts_slot, ts_slot1;
    struct wired_signer ts_signer, dts_signer;
    uint8_t defer[WIRED_BUFFER];
    uint64_t now;
    uint8_t hashes[3], sigs[4], peer_sigs[4], dhs[3], aeads[4];
    unsigned messages, in_session;
    bool tolerant; /* unequal keys: the record does not open, instead of a failed test */
    /* called with every message before it is handed over; may change it. `to`: who receives. */
    void (*tap)(struct wired *w, pst_role to, uint32_t context, uint8_t *msg, size_t *len);
    void *tap_ctx;
    unsigned slow_signers; /* each signature answers PST_PENDING so often first */
    /* called while an operation is pending; true: stop the run and leave everything as it is */
    bool (*turn)(struct wired *w);
    uint8_t last_error; /* of an ERROR that went to the requester */
};

struct wired_options {
    uint8_t minor;
    pst_hash_id hash;
    pst_sig_id rsp_sig, req_sig;
    pst_dh_id dh;
    pst_aead_id aead;
    pst_mutual mutual;
    bool clear_handshake, mac_only, multi_key, defer;
    uint16_t portion;
    uint32_t transfer;
    unsigned dts_slot, ts_slot; /* which slot holds the identity */
};

struct wired_options wired_defaults(void);
/* Sets up both sides. The caller may change the configurations before wired_start. */
void wired_setup(struct wired *w, const struct wired_options *o);
void wired_start(struct wired *w);
void wired_end(struct wired *w);
/* Runs one operation to its end and returns its result. */
pst_err wired_run(struct wired *w, const struct pst_op *op);
pst_err wired_op(struct wired *w, pst_op_kind kind);
/* Runs CONNECT, DIGESTS, CERTIFICATE and SESSION, which must succeed. Returns the session id. */
uint32_t wired_session(struct wired *w);
pst_err wired_try_session(struct wired *w);
/* Passes a request made by the test to the responder. Returns the length of the response. */
size_t wired_request(struct wired *w, uint32_t context, const void *req, size_t len, uint8_t *out);
const struct pst_identity *wired_identity(pst_role role, pst_sig_id sig);

#endif
