/* What a debugger is made of. Private: use debugger.h; this is public only so that callers can own
 * the memory. */
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
    uint8_t peer_error;    /* SPDM ERROR code behind PST_ERR_PEER */
    uint8_t step;          /* of the current state: index into its table */
    bool protected_;       /* batches travel in records */
    bool exchanging;       /* an SPDM message is on its way */
    bool handed;           /* it was handed to the link */
    uint8_t exchange_left; /* operations of it that are not done */
    size_t answer_len;     /* bytes of the answer that were read */
    bool rekeying;         /* operations of the caller wait meanwhile */
    bool stopping;
    struct pst_spp_op *waiting,
        **waiting_end; /* the caller's, until READY, or until new keys are in use */
    struct pst_spp_op spdm_data, spdm_go, spdm_read; /* one SPDM exchange */
    uint8_t go[4];
    uint8_t *request, *answer;
    size_t half;
    struct pst_spp_op setup[8]; /* bootstrap, or enabling */
    uint8_t setup_count, setup_left;
    uint8_t words[8][4];
    pst_err setup_err;
    pst_err exchange_err;
    uint64_t sent_ms, heard_ms;  /* the last message; the last record that opened */
    uint64_t asked_ms, setup_ms; /* when the SPDM message, or the setup batch, was begun */
    uint8_t enabled;
    struct { /* SPDM messages as link messages: dts/native.c */
        bool on;
        bool vendor;  /* the SPDM operation under way carries a batch */
        bool running; /* a CPU was resumed: its stop is awaited */
        uint16_t pause_ms;
        size_t room;    /* of one SPDM message to the TS, in its link message */
        size_t waiting; /* bytes of the SPDM message that is to be sent; 0: none */
        uint8_t *batch;
        uint64_t poll_ms; /* when to ask next */
    } native;
    struct { /* debug data on a link of its own: dts/data_watch.c */
        const struct pst_link_traits *traits; /* NULL: none */
        struct pst_data records;
        uint64_t heard_ms, asked_ms;
        struct pst_spp_op ask; /* a read that shows whether the link is alive */
        uint8_t answer[4];
    } data;
    struct pst_cert_refusal refusal; /* of the device's chain */
    char who[PST_DEBUGGER_TEXT];
    char grants[PST_DEBUGGER_TEXT];
};

#ifdef __cplusplus
}
#endif

#endif
