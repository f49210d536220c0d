/* The state of a debugger. Private: use debugger.h; this is public only so that callers can own the
 * memory. */
#ifndef POSTERN_STATE_DEBUGGER_H
#define POSTERN_STATE_DEBUGGER_H

#include "postern/debugger.h"
#include "postern/parts/data.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_DEBUGGER_TEXT 256

struct pst_debugger {
    const struct pst_debugger_config *config;
    struct pst_spdm_config spdm; /* config->spdm with our keys and hooks */
    struct pst_requester requester;
    struct pst_record record;
    struct pst_spp_client client;
    const struct pst_link_traits *traits;
    pst_debugger_state_id state;
    pst_err why;
    uint8_t peer_error;    /* the SPDM ERROR code, after PST_ERR_PEER */
    uint8_t step;          /* index into the table of the current state */
    bool protected_;       /* batches are sent in records */
    bool exchanging;       /* an SPDM exchange is under way */
    bool handed;           /* its message was handed to the link */
    uint8_t exchange_left; /* its operations that are not done */
    size_t answer_len;     /* bytes of the answer read so far */
    bool rekeying;         /* the caller's operations wait meanwhile */
    bool stopping;
    struct pst_spp_op *waiting,
        **waiting_end; /* the caller's operations, until READY or until new keys are in use */
    struct pst_spp_op spdm_data, spdm_go, spdm_read; /* the operations of one SPDM exchange */
    uint8_t go[4];
    uint8_t *request, *answer;
    size_t half;
    struct pst_spp_op setup[8]; /* for bootstrap, or to enable access spaces */
    uint8_t setup_count, setup_left;
    uint8_t words[8][4];
    pst_err setup_err;
    pst_err exchange_err;
    uint64_t sent_ms, heard_ms;  /* last message sent; last record that opened */
    uint64_t asked_ms, setup_ms; /* when the SPDM exchange or the setup batch began */
    uint8_t enabled;
    struct { /* SPDM messages as link messages: dts/native.c */
        bool on;
        bool vendor;  /* the current SPDM message carries a batch */
        bool running; /* a CPU was resumed, and its stop is awaited */
        uint16_t pause_ms;
        size_t room;    /* most bytes of one SPDM message to the TS */
        size_t waiting; /* bytes of the SPDM message to send; 0: none */
        uint8_t *batch;
        uint64_t poll_ms; /* when to send the next request */
    } native;
    struct { /* debug data on a link of its own: dts/data_watch.c */
        const struct pst_link_traits *traits; /* NULL: none */
        struct pst_data records;
        uint64_t heard_ms, asked_ms;
        struct pst_spp_op ask; /* a read that tests whether the link is alive */
        uint8_t answer[4];
    } data;
    struct pst_cert_refusal refusal; /* why the device's chain was refused */
    char who[PST_DEBUGGER_TEXT];
    char grants[PST_DEBUGGER_TEXT];
};

#ifdef __cplusplus
}
#endif

#endif
