/* A debugger over a stream of bytes, with the pretended cryptography and the certificates of
 * examples/firmware. The test moves the bytes and the time. */
#ifndef PST_TESTS_FIRMWARE_DTS_H
#define PST_TESTS_FIRMWARE_DTS_H

#include "examples/firmware/certs.h"
#include "examples/firmware/fake_crypto.h"
#include "postern/debugger.h"
#include "postern/profile.h"
#include "pst_test.h"

enum { DTS_MESSAGE = 4096 };

struct dts {
    struct pst_debugger debugger;
    struct pst_link_end end;
    pst_link_event last;
    struct pst_debugger_config config;
    struct pst_spdm_config spdm;
    struct pst_chain chain;
    struct pst_chain_verifier chains;
    struct pst_chain_config trust;
    struct pst_cert_verifier verifier;
    struct pst_bytes root;
    struct pst_slot slot;
    struct pst_signer signer;
    uint8_t certs[sizeof engineer_chain];
    uint8_t certificate[1024], mailbox[2 * PST_PROFILE_TRANSFER];
    uint8_t in[DTS_MESSAGE], out[PST_LINK_HEADER + DTS_MESSAGE];
};

static inline pst_err dts_sign(void *ctx, pst_hash_id hash, const void *message, size_t len,
                               uint8_t *signature)
{
    (void)ctx;
    return fake_crypto_sign(engineer_public, hash, message, len, signature);
}

/* The carrier is connected at `now`. */
static inline void dts_open(struct dts *d, uint64_t (*now_ms)(void *ctx), void *now_ctx)
{
    memset(d, 0, sizeof *d);
    memcpy(d->certs, engineer_chain, sizeof d->certs);
    d->root = (struct pst_bytes){device_chain, DEVICE_ROOT_LEN};
    d->trust =
        (struct pst_chain_config){.crypto = &fake_crypto, .anchors = &d->root, .anchor_count = 1};
    CHECK_EQ(pst_chain_verifier_init(&d->chains, &d->trust, &d->chain, 1, d->certificate,
                                     sizeof d->certificate, &d->verifier),
             PST_OK);
    d->signer = (struct pst_signer){.sig_id = PST_ECDSA_P256, .sign = dts_sign};
    d->slot = (struct pst_slot){.certs = d->certs,
                                .certs_len = sizeof d->certs,
                                .root_len = ENGINEER_ROOT_LEN,
                                .signer = &d->signer,
                                .model = 1};
    pst_profile_debugger(&d->spdm, &(const struct pst_profile_parts){.crypto = &fake_crypto,
                                                                     .slot = &d->slot,
                                                                     .verifier = &d->verifier,
                                                                     .now_ms = now_ms,
                                                                     .now_ctx = now_ctx});
    d->config = (struct pst_debugger_config){
        .spdm = &d->spdm,
        .device = "Acme:Pump:0042",
        .spaces = 1u << PST_AS_MEMORY,
        .mailbox = d->mailbox,
        .mailbox_len = sizeof d->mailbox,
    };
    CHECK_EQ(pst_debugger_init(&d->debugger, &d->config), PST_OK);
    CHECK_EQ(pst_link_end_init(&d->end, false, d->in, sizeof d->in, d->out, sizeof d->out), PST_OK);
    pst_link_end_open(&d->end, &pst_stream_traits, 0, now_ms(now_ctx) + 5000);
}

/* Bytes for the target; give them to it and say how many with pst_link_end_sent. */
static inline struct pst_bytes dts_pending(struct dts *d)
{
    size_t cap;
    uint8_t kind, *at = pst_link_end_room(&d->end, &cap);

    if (at != NULL) {
        const size_t len = pst_debugger_output(&d->debugger, &kind, at, cap);

        if (len > 0) {
            CHECK_EQ(pst_link_end_send(&d->end, kind, len), PST_OK);
        }
    }
    return pst_link_end_pending(&d->end);
}

/* Bytes from the target. */
static inline void dts_input(struct dts *d, const uint8_t *bytes, size_t len)
{
    size_t used;

    for (size_t at = 0; at < len; at += used) {
        const pst_link_event event = pst_link_end_receive(&d->end, bytes + at, len - at, &used);

        if (event == PST_LINK_UP) {
            CHECK_EQ(pst_debugger_start(&d->debugger, &d->end.traits), PST_OK);
        } else if (event == PST_LINK_MESSAGE) {
            (void)!pst_debugger_receive(&d->debugger, d->end.kind, d->end.message, d->end.len);
        } else if (event == PST_LINK_DOWN) {
            pst_debugger_link_down(&d->debugger);
        }
        d->last = event != PST_LINK_IDLE ? event : d->last;
    }
}

#endif
