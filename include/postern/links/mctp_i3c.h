/* MCTP over I3C (spec: DSP0233): one packet in each private write or read.
 *
 * A transfer is an MCTP packet (mctp.h) and a PEC: the CRC-8 of SMBus over the address byte
 * (dynamic address and direction) and the packet. A target with something to send raises an IBI
 * with only the mandatory data byte AE; the controller then reads one packet. A damaged packet is
 * dropped. This follows Linux's driver, because the text of the binding was not available. Packets
 * longer than the baseline's 68 bytes need configuration at both ends.
 *
 * Both ends are sans-I/O queues of packets. Only a transfer that was refused with NACK is
 * repeated. */
#ifndef POSTERN_LINKS_MCTP_I3C_H
#define POSTERN_LINKS_MCTP_I3C_H

#include "postern/links/i3c.h"
#include "postern/links/mctp.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_MCTP_I3C_IBI 0xAE
#define PST_MCTP_I3C_PACKET (PST_I3C_MAX - 1) /* the longest packet that fits into a transfer */
#define PST_MCTP_I3C_QUEUE 8                  /* packets that can wait */

/* Makes a transfer. `out` must not overlap the packet. PST_ERR_ARGUMENT: not a packet, or too
 * long. */
PST_MUST_CHECK pst_err pst_mctp_i3c_put(uint8_t address, bool read, const uint8_t *packet,
                                        size_t len, uint8_t out[PST_I3C_MAX], size_t *out_len);
/* Gets the packet from a transfer. `packet` aliases `in`. PST_ERR_DECODE: too short, too long, or a
 * wrong PEC. */
PST_MUST_CHECK pst_err pst_mctp_i3c_get(uint8_t address, bool read, const uint8_t *in, size_t len,
                                        struct pst_bytes *packet);

struct pst_mctp_i3c_queue { /* private */
    uint8_t packets[PST_MCTP_I3C_QUEUE][PST_MCTP_I3C_PACKET];
    uint8_t len[PST_MCTP_I3C_QUEUE];
    uint8_t head, count;
};

/* --- TS: for firmware, driven by the bus --- */

struct pst_mctp_i3c_target { /* private but for `damaged` */
    struct pst_mctp_i3c_queue in, out;
    uint32_t damaged;
    bool told; /* the controller accepted an IBI for the oldest packet */
};
void pst_mctp_i3c_target_init(struct pst_mctp_i3c_target *t);
/* True if a private write would be taken. Otherwise NACK it. */
bool pst_mctp_i3c_target_ready(const struct pst_mctp_i3c_target *t);
/* Takes a private write to our address. PST_ERR_DECODE: damaged, dropped. PST_ERR_BUSY: not
 * taken. */
PST_MUST_CHECK pst_err pst_mctp_i3c_target_write(struct pst_mctp_i3c_target *t, uint8_t address,
                                                 const uint8_t *data, size_t len);
/* Gives the bytes for a private read, which then count as sent. 0: NACK. */
size_t pst_mctp_i3c_target_read(struct pst_mctp_i3c_target *t, uint8_t address,
                                uint8_t out[PST_I3C_MAX]);
/* As pst_i3c_target_ibi and _ibi_done, with one byte. */
size_t pst_mctp_i3c_target_ibi(const struct pst_mctp_i3c_target *t, uint8_t out[1]);
void pst_mctp_i3c_target_ibi_done(struct pst_mctp_i3c_target *t);
bool pst_mctp_i3c_target_room(const struct pst_mctp_i3c_target *t); /* for a packet */
/* For the owner: queues a packet. PST_ERR_BUSY: no room now. PST_ERR_ARGUMENT: it can never be
 * sent. */
PST_MUST_CHECK pst_err pst_mctp_i3c_target_send(struct pst_mctp_i3c_target *t,
                                                const uint8_t *packet, size_t len);
/* Gives the next packet, valid until the next call of this engine. PST_PENDING: none. */
PST_MUST_CHECK pst_err pst_mctp_i3c_target_receive(struct pst_mctp_i3c_target *t,
                                                   struct pst_bytes *packet);

/* --- the controller's side --- */

struct pst_mctp_i3c_controller {   /* private but for the counters */
    const struct pst_i3c_bus *bus; /* outlives this */
    uint64_t id;
    struct pst_mctp_i3c_queue in, out;
    uint32_t damaged, nacks, recoveries;
    pst_err dead;
    uint8_t action, address, promised; /* promised: an IBI announced something to read */
    bool known, interrupts, want_read, wrote_last; /* known: the address is known */
    unsigned tries;
    uint32_t pause_ms, poll_ms;
    uint64_t now, hold_at, read_at;
    uint8_t write[PST_I3C_MAX], read[PST_I3C_MAX];
    size_t write_len, read_len;
};
/* PST_ERR_ARGUMENT: a bus without find, write or read. */
PST_MUST_CHECK pst_err pst_mctp_i3c_controller_init(struct pst_mctp_i3c_controller *c,
                                                    const struct pst_i3c_bus *bus, uint64_t id);
/* As pst_i3c_debugger_step. PST_ERR_TIMEOUT: the target does not answer. After an error the engine
 * has ended. */
PST_MUST_CHECK pst_err pst_mctp_i3c_controller_step(struct pst_mctp_i3c_controller *c,
                                                    uint64_t now_ms, uint32_t *wait_ms);
bool pst_mctp_i3c_controller_room(const struct pst_mctp_i3c_controller *c); /* for a packet */
PST_MUST_CHECK pst_err pst_mctp_i3c_controller_send(struct pst_mctp_i3c_controller *c,
                                                    const uint8_t *packet, size_t len);
PST_MUST_CHECK pst_err pst_mctp_i3c_controller_receive(struct pst_mctp_i3c_controller *c,
                                                       struct pst_bytes *packet);

#ifdef __cplusplus
}
#endif

#endif
