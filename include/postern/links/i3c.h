/* MIPI Debug over I3C, SDR only: private writes and reads of at most 255 bytes, the command codes
 * DBGACTION and DBGOPCODE, in-band interrupts, and the Debug Network Adaptor Reset. HDR modes are
 * left out. docs/wire.md says what is fixed (seen in public code) and what is provisional
 * (mipi_profile.h).
 *
 * A target has *ports*. The SPP port carries SPP packets and nothing else: each _send is one
 * private write or read. It is not protected against loss; a NACK is retried, because nothing was
 * taken then. The MESSAGES port carries link messages of any length: their bytes, framed as on a
 * byte stream (link.h), travel in fragments with a sequence number, an acknowledgement and an FCS.
 * A bus does one transfer after another, so each fragment that arrives shows what was lost before
 * it, and the sender repeats from there. No timers are needed.
 *
 * The DTS is the controller of the bus. Its engine finds the target's dynamic address, brings the
 * adaptor up (drain, capabilities, start, status, clear, select, configure), then writes, reads
 * after an IBI, and polls slowly in case an IBI was lost. Without IBIs it polls at a growing
 * interval. After a NACK it retries with a growing pause. If the target stays silent, or the bus
 * was reset, the engine looks for it again and continues the stream if the adaptor still has it;
 * otherwise the link ends with PST_ERR_CLOSED. If the bring-up fails, the engine uses the Debug
 * Network Adaptor Reset once.
 *
 * Both engines are sans-I/O and keep the caller's buffers. Neither is reentrant: in firmware the
 * interrupt handler and the main loop must exclude each other.
 */
#ifndef POSTERN_LINKS_I3C_H
#define POSTERN_LINKS_I3C_H

#include "postern/link.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_I3C_MAX 255 /* bytes of one private write or read */

enum pst_i3c_code { /* common command codes */
                    PST_I3C_DBGACTION_ALL = 0x58,
                    PST_I3C_DBGOPCODE = 0xD7,
                    PST_I3C_DBGACTION = 0xD8,
                    PST_I3C_RSTACT_ALL = 0x2A,
                    PST_I3C_RSTACT = 0x9A,
};
enum pst_i3c_opcode {                              /* what DBGOPCODE does */
                      PST_I3C_CAPABILITIES = 0x00, /* get, 4 bytes */
                      PST_I3C_CONFIGURE = 0x01,    /* set, 1 byte: enum pst_i3c_mode */
                      PST_I3C_START = 0x02,        /* set, 1 byte: port; get: status, 4 bytes */
                      PST_I3C_SELECT = 0x06,       /* set, 1 byte: port; get: the current one */
};
enum pst_i3c_mode { PST_I3C_POLLING = 1, PST_I3C_INTERRUPT = 3 };
#define PST_I3C_CLEAR 0xFD      /* DBGACTION: clear error, start */
#define PST_I3C_RESET 0x03      /* RSTACT: Debug Network Adaptor Reset */
#define PST_I3C_RESET_TIME 0x83 /* RSTACT, get: the time that it takes */
#define PST_I3C_STATUS_LEN 4
enum pst_i3c_mdb { PST_I3C_IBI_DATA = 0xAD, PST_I3C_IBI_STATUS = 0x5C };
enum pst_i3c_ibi_status {
    PST_I3C_IBI_READY = 0x00, /* threshold, handshake: also after PST_I3C_IBI_DATA */
    PST_I3C_IBI_OVERFLOW = 0xFF,
};

/* Shared: a secondary controller can write to a target as well. */
extern const struct pst_link_traits pst_i3c_traits;

/* The caller's memory; outlives the engine. `receive_cap` is the `largest` to tell in HELLO. */
struct pst_i3c_buffers {
    uint8_t *send;      /* messages wait here, with their headers, until they are acknowledged */
    size_t send_cap;    /* >= PST_LINK_HEADER + PST_LINK_MIN_MESSAGE */
    uint8_t *receive;   /* one message */
    size_t receive_cap; /* >= PST_LINK_MIN_MESSAGE */
};

struct pst_i3c_pipe { /* private: what both engines share, one direction's bytes and the other's */
    uint8_t *send;
    size_t send_cap, head, tail; /* send[head..tail) has no acknowledgement */
    uint16_t first;              /* sequence of send[head] */
    uint16_t sent, high;         /* bytes from head on their way; ever sent */
    uint16_t next;               /* sequence expected */
    uint8_t id;                  /* of the stream; 0: none */
    bool plain;                  /* the SPP port: send[] holds {length u8, packet}... */
    uint8_t in[PST_I3C_MAX];
    uint8_t in_at, in_len;
    struct pst_framing stream;
};

/* --- TS: for firmware, driven by the bus --- */

struct pst_i3c_target_config {
    struct pst_i3c_buffers buffers;
    uint8_t ports;      /* 1: SPP only; PST_I3C_PORTS: MESSAGES too */
    uint8_t reset_time; /* answer to RSTACT 0x83, in the encoding of I3C */
};
struct pst_i3c_target { /* private */
    struct pst_i3c_target_config config;
    struct pst_i3c_pipe pipe;
    uint8_t port, mode;
    uint8_t started;  /* bit n: port n */
    bool armed;       /* a Target Reset Pattern now is for the adaptor */
    bool live, ended; /* something came in; what came in has ended and the owner must know */
    bool told;        /* an IBI for what is to be read was accepted */
    bool refused, overflow;
};

/* PST_ERR_ARGUMENT: buffers too small, or no such number of ports. */
PST_MUST_CHECK pst_err pst_i3c_target_init(struct pst_i3c_target *t,
                                           const struct pst_i3c_target_config *config);

/* From the driver. A command code with its defining byte (DBGOPCODE's opcode, DBGACTION's action,
 * RSTACT's reset action), direct to us or broadcast, and what follows it. PST_ERR_UNSUPPORTED: not
 * ours, or no such port or value: NACK. PST_ERR_DECODE: wrong length, nothing was done: NACK. */
PST_MUST_CHECK pst_err pst_i3c_target_ccc(struct pst_i3c_target *t, uint8_t code, uint8_t defining,
                                          const uint8_t *data, size_t len);
/* The same for a direct command that reads; `out` has PST_I3C_STATUS_LEN bytes. */
PST_MUST_CHECK pst_err pst_i3c_target_ccc_read(struct pst_i3c_target *t, uint8_t code,
                                               uint8_t defining, uint8_t out[PST_I3C_STATUS_LEN],
                                               size_t *len);
/* Whether a private write would be taken now: otherwise NACK it. That is remembered, and an IBI
 * tells the DTS when there is room again. */
bool pst_i3c_target_ready(struct pst_i3c_target *t);
/* A private write. PST_ERR_STATE: no port was started. PST_ERR_BUSY: there was no room, nothing
 * was taken: offer it again, or NACK. PST_ERR_DECODE: dropped (damaged, of another stream, or
 * longer than PST_I3C_MAX); the DTS will see that. */
PST_MUST_CHECK pst_err pst_i3c_target_write(struct pst_i3c_target *t, const uint8_t *data,
                                            size_t len);
/* A private read: what to send, and that it is on its way now (so it may be loaded into the
 * hardware early, but not offered twice). 0: NACK. */
size_t pst_i3c_target_read(struct pst_i3c_target *t, uint8_t out[PST_I3C_MAX]);
/* The IBI to raise: mandatory data byte and one more; 0 when there is none. Ask again after each
 * call of this engine, and at any rate once the bus is up again. */
size_t pst_i3c_target_ibi(const struct pst_i3c_target *t, uint8_t out[2]);
/* That IBI was accepted by the controller. */
void pst_i3c_target_ibi_done(struct pst_i3c_target *t, const uint8_t ibi[2]);
/* The Target Reset Pattern was seen. true: it was for the adaptor, which is now as after init, and
 * nothing else is to be reset. false: the driver's business. RSTACT holds until the next START:
 * what the driver hands in here tells the engine of one, transfers with others do not. */
bool pst_i3c_target_pattern(struct pst_i3c_target *t);

/* For the owner. Queues a message: on the SPP port `kind` is PST_LINK_CLEAR and `len` at most
 * PST_I3C_MAX. PST_ERR_STATE: there is no DTS, or an end that pst_i3c_target_receive has still to
 * tell. PST_ERR_BUSY: no room now. PST_ERR_SPACE, PST_ERR_ARGUMENT: it could never be sent. */
PST_MUST_CHECK pst_err pst_i3c_target_send(struct pst_i3c_target *t, uint8_t kind,
                                           const uint8_t *payload, size_t len);
/* A message; `payload` is writable and valid until the next call. PST_PENDING: none now.
 * PST_ERR_CLOSED, once: the DTS restarted or the adaptor was reset; forget the session.
 * PST_ERR_DECODE: not our framing, until the DTS restarts. Take messages even while nothing can
 * be sent: the bus is refused meanwhile. */
PST_MUST_CHECK pst_err pst_i3c_target_receive(struct pst_i3c_target *t, uint8_t *kind,
                                              uint8_t **payload, size_t *len);
/* The same as bytes, for owners who frame messages themselves or only pass them on; MESSAGES port
 * only, and not to be mixed with the two above. _put: how many were taken, 0 while there is no DTS
 * or no room. _get: PST_OK with at least one byte, PST_PENDING, PST_ERR_CLOSED as above. */
size_t pst_i3c_target_put(struct pst_i3c_target *t, const uint8_t *bytes, size_t len);
size_t pst_i3c_target_room(const struct pst_i3c_target *t); /* for how many */
PST_MUST_CHECK pst_err pst_i3c_target_get(struct pst_i3c_target *t, uint8_t *out, size_t cap,
                                          size_t *len);
/* A DTS has begun, and its end has not come. */
bool pst_i3c_target_is_open(const struct pst_i3c_target *t);
/* Everything that was put has arrived. */
bool pst_i3c_target_is_sent(const struct pst_i3c_target *t);
/* Ends the stream from our side; what has not arrived is gone. The DTS learns of it by an IBI, or
 * when it reads. It is not told to the owner. */
void pst_i3c_target_close(struct pst_i3c_target *t);

/* --- DTS: the controller --- */

struct pst_i3c_ccc {
    uint8_t code, defining;
    const uint8_t *write;
    size_t write_len; /* a command writes, reads, or neither */
    uint8_t *read;
    size_t read_cap, read_len; /* read_len: how many came */
};
struct pst_i3c_ibi {
    uint8_t bytes[PST_I3C_MAX]; /* mandatory data byte first */
    size_t len;
};
/* A bus, as one engine sees it: each engine has its own, for after a bus reset an address may
 * belong to another target, so every function but `find` then answers PST_ERR_CLOSED (poll_ibi:
 * PST_PENDING) until `find` was called on this one.
 *
 * Each may answer PST_PENDING: it is then called again with the same
 * arguments until it answers otherwise, and no other is called meanwhile but `poll_ibi`. Further
 * answers: PST_ERR_BUSY: NACK, nothing was taken. PST_ERR_IO: it broke off, and what arrived is not
 * known. PST_ERR_CLOSED: the bus had been reset, addresses are void, nothing was taken. Anything
 * else ends the link. */
struct pst_i3c_bus {
    void *ctx;
    /* Assigns dynamic addresses where that is needed, after freeing a bus that hangs, and gives the
     * one of the target with this 48-bit provisioned id. PST_ERR_BUSY: it did not answer. */
    pst_err (*find)(void *ctx, uint64_t id, uint8_t *address);
    pst_err (*ccc)(void *ctx, uint8_t address, struct pst_i3c_ccc *ccc);
    pst_err (*write)(void *ctx, uint8_t address, const uint8_t *data, size_t len);
    pst_err (*read)(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len);
    /* The oldest IBI of this target. PST_PENDING: none. PST_ERR_UNSUPPORTED: there will never be
     * one. PST_ERR_FAULT: the bus is gone. May be NULL, which says that there will never be one. */
    pst_err (*poll_ibi)(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi);
    /* RSTACT direct with this action, and the Target Reset Pattern right after it. May be NULL. */
    pst_err (*reset)(void *ctx, uint8_t address, uint8_t action);
};

struct pst_i3c_debugger_config {
    const struct pst_i3c_bus *bus; /* outlives the engine */
    struct pst_i3c_buffers buffers;
    uint64_t id;         /* of the target */
    uint8_t port;        /* enum pst_i3c_port */
    uint8_t stream;      /* MESSAGES port: a random number, so that two debuggers of one target
                            do not choose the same; 0: 1 */
    uint32_t poll_ms;    /* longest pause between polls without IBIs; 0: 16 */
    uint32_t watch_ms;   /* the same with IBIs; 0: 128 */
    uint32_t give_up_ms; /* the bring-up, or what was sent, makes no progress; 0: never */
};
struct pst_i3c_debugger { /* private but for `counts` */
    struct pst_i3c_debugger_config config;
    struct pst_i3c_pipe pipe;
    struct {
        uint32_t nacks, faults, damaged, recoveries, polls, ibis;
    } counts;
    pst_err dead;
    uint8_t stage, action, address;
    bool resuming, was_reset, interrupts; /* was_reset: the adaptor, in this bring-up */
    bool opening, opened;                 /* OPEN is to be written; was answered */
    bool want_read, must_ack, wrote_last;
    bool stuck;            /* the target has bytes, but waits for our acknowledgement */
    bool missed;           /* bytes came when there was no room for them */
    bool closing, flushed; /* flushed: the target's owner has taken the last byte */
    bool ours;             /* the stream, as a read after the last write has shown */
    unsigned tries, recoveries, reads, drained;
    uint64_t now, write_at, read_at, hold_at, progress_at; /* hold_at: no read before */
    uint32_t write_pause_ms, read_pause_ms, poll_ms;
    uint16_t before; /* pipe.sent before the write under way */
    uint8_t out[PST_I3C_MAX], in[PST_I3C_MAX];
    size_t out_len, in_len;
    struct pst_i3c_ccc ccc;
};

/* PST_ERR_ARGUMENT: buffers too small, no such port, or a bus without find, ccc, write or read. */
PST_MUST_CHECK pst_err pst_i3c_debugger_init(struct pst_i3c_debugger *d,
                                             const struct pst_i3c_debugger_config *config,
                                             uint64_t now_ms);
/* Does one transfer at most. `*wait_ms`: call again after so long, or sooner when the bus has
 * something new (a transfer done, an IBI), a message was queued or one was taken; 0: at once.
 * After an error the link has ended, and says so for ever. PST_ERR_TIMEOUT: nobody answers.
 * PST_ERR_UNSUPPORTED: a device that we do not know, or one without this port. PST_ERR_PEER: its
 * status says no. PST_ERR_CLOSED: it lost the stream. PST_ERR_IO: on the SPP port, a transfer
 * broke off. PST_ERR_LIMIT: on the SPP port, the target says that it lost something. */
PST_MUST_CHECK pst_err pst_i3c_debugger_step(struct pst_i3c_debugger *d, uint64_t now_ms,
                                             uint32_t *wait_ms);
/* The bring-up is over and, on the MESSAGES port, the target answered. */
bool pst_i3c_debugger_is_up(const struct pst_i3c_debugger *d);
/* As for the TS; messages may be queued before the link is up. Errors of the link come from
 * pst_i3c_debugger_step and here as PST_ERR_CLOSED. */
PST_MUST_CHECK pst_err pst_i3c_debugger_send(struct pst_i3c_debugger *d, uint8_t kind,
                                             const uint8_t *payload, size_t len);
/* What arrived before the end of the link can still be taken. */
PST_MUST_CHECK pst_err pst_i3c_debugger_receive(struct pst_i3c_debugger *d, uint8_t *kind,
                                                uint8_t **payload, size_t *len);
/* The same as bytes, as for the TS. _get: 0 when there are none now. */
size_t pst_i3c_debugger_put(struct pst_i3c_debugger *d, const uint8_t *bytes, size_t len);
size_t pst_i3c_debugger_room(const struct pst_i3c_debugger *d);
size_t pst_i3c_debugger_get(struct pst_i3c_debugger *d, uint8_t *out, size_t cap);
bool pst_i3c_debugger_has_bytes(const struct pst_i3c_debugger *d); /* for _get */
/* MESSAGES port: once everything that was put has been taken by the target's owner the stream is
 * ended with DBGACTION "clear", and _step says PST_ERR_CLOSED. Nothing can be put any more. */
void pst_i3c_debugger_close(struct pst_i3c_debugger *d);

#ifdef __cplusplus
}
#endif

#endif
