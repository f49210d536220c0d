/* What the two roles of `postern spdm` share. */
#ifndef POSTERN_TOOLS_SPDM_H
#define POSTERN_TOOLS_SPDM_H

#include "posix/loop/spdm_socket.h"
#include "tools/spdm_measure.h"
#include "tools/tool.h"

#define SPDM_NAME "spdm"
#define SPDM_TRANSFER 4608 /* what the reference implementation uses */
#define SPDM_MAX_ALGORITHMS 8

struct spdm_options {
    char *identity, **trust, *binding, *mutual, *peer_chain, *versions, *algorithms, *steps,
        *measure;
    int lenient, clear_handshake, mac_only, once, json, heartbeat, portion;
};

struct spdm_peer { /* the state of one run */
    struct spdm_options *o;
    struct pst_spdm_config config;
    struct pst_identity identity;
    struct pst_trust trust;
    struct pst_slot known_peer;
    uint8_t *known_chain; /* freed by this tool */
    struct spdm_measured measured;
    struct pst_spdm_socket socket;
    struct pst_spdm_wire wire;
    uint8_t hashes[SPDM_MAX_ALGORITHMS], sigs[SPDM_MAX_ALGORITHMS], dhs[SPDM_MAX_ALGORITHMS],
        aeads[SPDM_MAX_ALGORITHMS];
    uint8_t own_sigs[2]; /* the operations of the private key, and the end */
    bool shutdown;       /* the requester asked for it */
};

/* Opens the link `text`. On failure prints the reason and returns -1. */
int spdm_open_link(const char *text, bool listening);
/* The responder: serves `link`; an exit code. */
int spdm_run_responder(struct spdm_peer *p, const char *link);
/* The requester: runs the steps at `link`; an exit code. */
int spdm_run_requester(struct spdm_peer *p, const char *link);

#endif
