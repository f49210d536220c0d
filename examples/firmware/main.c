/* A complete target (TS) in firmware: this file, and the vendor's drivers (board.h). */
#include "board.h"
#include "postern/stream.h"

static struct pst_chain chain;
static struct pst_chain_verifier chains;
static struct pst_cert_verifier verifier;
static struct pst_spdm_config spdm;
static struct pst_policy policy;
static struct pst_stream stream;
static uint8_t certificate[1024], buffer[PST_STREAM_BUFFER(512, 2048)], bytes[64];

static const struct pst_target_config config = {
    .spdm = &spdm,
    .policy = &policy,
    .device = "Acme:Pump:0042",
    .spaces = {[PST_AS_MEMORY] = &board_memory},
    .audit = {.line = board_log},
};

int main(void)
{
    const struct pst_profile_parts parts = {
        .crypto = board_crypto, .slot = &board_slot, .verifier = &verifier, .now_ms = board_ms};

    board_check(pst_chain_verifier_init(&chains, &board_trust, &chain, 1, certificate,
                                        sizeof certificate, &verifier));
    board_check(pst_grants_parse(&policy.allow, "debug", 5, false, NULL));
    pst_profile_target(&spdm, &parts);
    spdm.transfer_size = 512;
    board_check(pst_stream_init(&stream, &config, NULL, buffer, sizeof buffer));
    for (;;) {
        pst_stream_carrier(&stream, uart_connected());
        const struct pst_bytes out = pst_stream_pending(&stream);
        if (out.len > 0) {
            pst_stream_sent(&stream, uart_write(out.at, out.len));
        } else {
            (void)pst_stream_receive(&stream, bytes, uart_read(bytes, sizeof bytes));
        }
        if (pst_stream_poll(&stream) == PST_STREAM_HANG_UP) {
            uart_hang_up();
        }
    }
}
