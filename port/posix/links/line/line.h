/* Carriers on serial lines: the device, and one of the engines that run on it.

   A line has two ends. The listening end serves one caller after another, resets its engine for
   each, and waits for its device to return when it was unplugged. */
#ifndef POSTERN_POSIX_LINKS_LINE_LINE_H
#define POSTERN_POSIX_LINKS_LINE_LINE_H

#include "posix/loop/carrier_reliable.h"
#include "posix/loop/tty.h"

/* The parsed address, and what follows from it. */
struct pst_line_setup {
    struct pst_tty_settings tty;
    bool listens;
    uint32_t baud; /* for pacing; 0: none */
    uint16_t mtu;
    uint8_t eid, peer; /* MCTP */
    size_t unit;
    /* For a listener: kept from one caller to the next, since a cookie may come in between. */
    struct pst_reliable_door door;
};

struct pst_line_kind { /* const */
    const char *name;
    const struct pst_link_traits *traits;
    size_t engine_size;
    /* What belongs to this kind, from the options; `mtu` and `baud` are set. */
    pst_err (*options)(const struct pst_address *a, struct pst_line_setup *s, char *why,
                       size_t why_cap);
    uint16_t (*default_mtu)(uint32_t baud);
    struct pst_reliable_timing (*timing)(const struct pst_line_setup *s);
    size_t (*work_len)(const struct pst_line_setup *s);
    pst_err (*open)(void *engine, const struct pst_line_setup *s,
                    const struct pst_reliable_config *link, uint8_t *work, size_t work_len,
                    uint64_t now_ms);
    void (*input)(void *engine, const uint8_t *bytes, size_t len, uint64_t now_ms);
    size_t (*output)(void *engine, uint8_t *out, size_t cap, uint64_t now_ms);
    uint64_t (*wake)(const void *engine);
    struct pst_reliable *(*link)(void *engine);
    /* Frames that were good, and damaged ones. */
    void (*heard)(const void *engine, uint64_t *good, uint64_t *bad);
};

pst_err pst_line_check(const struct pst_line_kind *kind, const struct pst_address *a, char *why,
                       size_t why_cap);
pst_err pst_line_connect(const struct pst_line_kind *kind, uv_loop_t *loop,
                         const struct pst_address *to, const struct pst_carrier_events *events,
                         void *ctx, struct pst_carrier **carrier, char *why, size_t why_cap);
pst_err pst_line_listen(const struct pst_line_kind *kind, uv_loop_t *loop,
                        const struct pst_address *at, const struct pst_listener_events *events,
                        void *ctx, struct pst_listener **listener, char *why, size_t why_cap);

#endif
