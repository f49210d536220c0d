/* In a replay an engine gets recorded values instead of random numbers, private keys and a device.
 */
#ifndef REPLAY_FAKES_H
#define REPLAY_FAKES_H

#include "case.h"
#include "openssl/openssl_port.h"
#include "postern/parts/spdm.h"

#define FAKES_SESSION 0xFFFFFFFFu /* what every recording has */
#define FAKES_BLOCKS 32

struct fakes {
    struct recording *c;
    const struct pst_crypto *real;
    bool responder;                 /* which engine this is for */
    const struct message *outgoing; /* the recorded message that the engine must send next */
    int sessions;                   /* ephemeral keys given so far */
    int placed[2];                  /* application keys in this session, by direction */
    unsigned keys;                  /* keys placed at all */
    unsigned exports;               /* Export Master Secrets handed over */
    struct pst_crypto crypto;
    struct pst_signer signer;
    struct pst_slot slots[PST_MAX_SLOTS], known_peer;
    struct pst_trust trust;
    struct pst_measurement blocks[FAKES_BLOCKS];
    size_t block_count;
    struct pst_measurements measurements;
    uint8_t summary_made[PST_MAX_HASH], summary_recorded[PST_MAX_HASH];
    bool substitute; /* a recorded summary of unknown blocks replaces the computed one */
    uint8_t hashes[2], sigs[2], peer_sigs[2], dhs[2], aeads[2];
    struct pst_spdm_config config;
};

/* Makes a configuration with which the engine of this role behaves like its side of the recording.
 */
bool fakes_init(struct recording *c, bool responder, struct fakes *f);
void fakes_free(struct fakes *f);
/* Every traffic key of the recording was placed. */
bool fakes_complete(struct fakes *f);

/* measured.c: the blocks of the device, gathered from its answers. */
void measured_gather(struct fakes *f);
/* chance.c: the port with recorded random values and exchange keys. */
void chance_init(struct fakes *f);

#endif
