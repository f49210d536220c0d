/* A TS as firmware would link it, to measure its size: all code that target.h reaches and no other.
 * Crypto is a struct of functions, so no crypto code is included. size.py reads the sizes of the
 * sizeof_ arrays with nm and compiles with one SPDM session per engine, which is all that the SCM
 * uses. tests/ts/test_small.c runs sessions with the same sizes. */
#include "postern/link.h"
#include "postern/parts/requester.h"
#include "postern/target.h"

#define MESSAGE 2048

struct whole_ram { /* one live session and one pending context, 2 KiB messages */
    struct pst_target target;
    struct pst_target_context contexts[2];
    struct pst_framing stream;
    /* Both directions in turn: a message is used up before it is answered, and nothing is received
     * while something is sent (postern/stream.h does the same). */
    uint8_t message[MESSAGE];
    uint8_t queue[2][512];
    uint8_t mailbox[2][2 * 512];
};

extern struct whole_ram ram;
extern const struct pst_target_config config;
extern const struct pst_target_buffers buffers[2];
void entry(const uint8_t *in, size_t len);

char sizeof_ram[sizeof(struct whole_ram)];
char sizeof_pst_target[sizeof(struct pst_target)];
char sizeof_pst_target_context[sizeof(struct pst_target_context)];
char sizeof_pst_responder[sizeof(struct pst_responder)];
char sizeof_pst_requester[sizeof(struct pst_requester)];
char sizeof_pst_record[sizeof(struct pst_record)];
char sizeof_pst_spp_engine[sizeof(struct pst_spp_engine)];
char sizeof_pst_spp_client[sizeof(struct pst_spp_client)];

void entry(const uint8_t *in, size_t len)
{
    uint8_t kind, *payload;
    size_t used, payload_len;
    uint8_t header[PST_LINK_HEADER];

    if (pst_target_init(&ram.target, &config, ram.contexts, buffers, 2) != PST_OK ||
        pst_target_link_up(&ram.target, 1, &pst_stream_traits) != PST_OK) {
        return;
    }
    pst_framing_init(&ram.stream, ram.message, sizeof ram.message);
    while (pst_framing_receive(&ram.stream, in, len, &used, &kind, &payload, &payload_len) ==
           PST_OK) {
        if (pst_target_receive(&ram.target, 1, kind, payload, payload_len) != PST_OK) {
            pst_target_link_down(&ram.target, 1);
        }
        size_t out = pst_target_output(&ram.target, 1, &kind, ram.message, sizeof ram.message);
        (void)!pst_framing_header(header, kind, out);
        (void)pst_target_poll(&ram.target);
    }
    (void)pst_target_stop(&ram.target, PST_OK);
}
