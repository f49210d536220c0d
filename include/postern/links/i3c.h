/* MIPI Debug over I3C, SDR only: private writes and reads of at most 255 bytes, the command codes
 * DBGACTION and DBGOPCODE, in-band interrupts, and the Debug Network Adaptor Reset. HDR modes are
 * not supported. docs/wire.md says what is fixed (seen in public code) and what is provisional
 * (mipi_profile.h).
 *
 * A target has *ports*. The SPP port carries SPP packets and nothing else: each _send is one
 * private write or read. It is not protected against loss; only a NACK is retried, because then
 * nothing was taken. The MESSAGES port carries link messages of any length: their bytes, framed as
 * on a byte stream (link.h), travel in fragments with a sequence number, an acknowledgement and an
 * FCS. A bus does one transfer at a time, so each fragment that arrives shows what was lost before
 * it, and the sender resends from there. No timers are needed.
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
enum pst_i3c_opcode {                              /* opcodes of DBGOPCODE */
                      PST_I3C_CAPABILITIES = 0x00, /* get, 4 bytes */
                      PST_I3C_CONFIGURE = 0x01,    /* set, 1 byte: enum pst_i3c_mode */
                      PST_I3C_START = 0x02,        /* set, 1 byte: port; get: status, 4 bytes */
                      PST_I3C_SELECT = 0x06,       /* set, 1 byte: port; get: the current one */
};
enum pst_i3c_mode { PST_I3C_POLLING = 1, PST_I3C_INTERRUPT = 3 };
#define PST_I3C_CLEAR 0xFD      /* DBGACTION: clear error, start */
#define PST_I3C_RESET 0x03      /* RSTACT: Debug Network Adaptor Reset */
#define PST_I3C_RESET_TIME 0x83 /* RSTACT, get: the time that the reset takes */
#define PST_I3C_STATUS_LEN 4
enum pst_i3c_mdb { PST_I3C_IBI_DATA = 0xAD, PST_I3C_IBI_STATUS = 0x5C };
enum pst_i3c_ibi_status {
    PST_I3C_IBI_READY = 0x00, /* threshold, handshake; also follows PST_I3C_IBI_DATA */
    PST_I3C_IBI_OVERFLOW = 0xFF,
};

/* `shared`, because a secondary controller can write to a target too. */
extern const struct pst_link_traits pst_i3c_traits;

/* The caller's memory; it outlives the engine. `receive_cap` is the `largest` to state in HELLO. */
struct pst_i3c_buffers {
    uint8_t *send;      /* messages wait here, with their headers, until they are acknowledged */
    size_t send_cap;    /* >= PST_LINK_HEADER + PST_LINK_MIN_MESSAGE */
    uint8_t *receive;   /* one message */
    size_t receive_cap; /* >= PST_LINK_MIN_MESSAGE */
};

struct pst_i3c_pipe { /* private: the bytes of both directions, in both engines */
    uint8_t *send;
    size_t send_cap, head, tail; /* send[head..tail) is not acknowledged */
    uint16_t first;              /* sequence of send[head] */
    uint16_t sent, high;         /* bytes after head that are under way; that were ever sent */
    uint16_t next;               /* sequence expected */
    uint8_t id;                  /* number of the stream; 0: none */
    bool plain;                  /* the SPP port: send[] holds {length u8, packet}... */
    uint8_t in[PST_I3C_MAX];
    uint8_t in_at, in_len;
    struct pst_framing stream;
};

/* --- TS: for firmware, driven by the bus --- */

struct pst_i3c_target_config {
    struct pst_i3c_buffers buffers;
    uint8_t ports;      /* number of ports; 1: SPP only; PST_I3C_PORTS: MESSAGES too */
    uint8_t reset_time; /* answer to RSTACT 0x83, in the encoding of I3C */
};
struct pst_i3c_target { /* private */
    struct pst_i3c_target_config config;
    struct pst_i3c_pipe pipe;
    uint8_t port, mode;
    uint8_t started;  /* bit n: port n is started */
    bool armed;       /* a Target Reset Pattern would now reset the adaptor */
    bool live, ended; /* the stream has carried input; it has ended, and the owner must be told */
    bool told;        /* the controller accepted an IBI for the data to read */
    bool refused, overflow;
};

/* PST_ERR_ARGUMENT: buffers too small, or no such number of ports. */
PST_MUST_CHECK pst_err pst_i3c_target_init(struct pst_i3c_target *t,
                                           const struct pst_i3c_target_config *config);

/* The next functions are called by the driver. This one takes a command code, direct to us or
 * broadcast, with its defining byte (DBGOPCODE's opcode, DBGACTION's action, RSTACT's reset action)
 * and the data after it. PST_ERR_UNSUPPORTED: not ours, or no such port or value: NACK.
 * PST_ERR_DECODE: wrong length, nothing was done: NACK. */
PST_MUST_CHECK pst_err pst_i3c_target_ccc(struct pst_i3c_target *t, uint8_t code, uint8_t defining,
                                          const uint8_t *data, size_t len);
/* The same for a direct command that reads; `out` has PST_I3C_STATUS_LEN bytes. */
PST_MUST_CHECK pst_err pst_i3c_target_ccc_read(struct pst_i3c_target *t, uint8_t code,
                                               uint8_t defining, uint8_t out[PST_I3C_STATUS_LEN],
                                               size_t *len);
/* True if a private write would be taken now. Otherwise NACK it: the engine remembers that, and an
 * IBI tells the DTS when there is room again. */
bool pst_i3c_target_ready(struct pst_i3c_target *t);
/* Takes a private write. PST_ERR_STATE: no port was started. PST_ERR_BUSY: there was no room and
 * nothing was taken: offer it again, or NACK. PST_ERR_DECODE: dropped (damaged, of another stream,
 * or longer than PST_I3C_MAX); the DTS will notice. */
PST_MUST_CHECK pst_err pst_i3c_target_write(struct pst_i3c_target *t, const uint8_t *data,
                                            size_t len);
/* Gives the bytes for a private read, which then count as sent: they may be loaded into the
 * hardware early, but not sent twice. 0: NACK. */
size_t pst_i3c_target_read(struct pst_i3c_target *t, uint8_t out[PST_I3C_MAX]);
/* Gives the IBI to raise: the mandatory data byte and one more; 0: none. Ask again after each call
 * of this engine, and in any case when the bus is up again. */
size_t pst_i3c_target_ibi(const struct pst_i3c_target *t, uint8_t out[2]);
/* Call this when the controller has accepted that IBI. */
void pst_i3c_target_ibi_done(struct pst_i3c_target *t, const uint8_t ibi[2]);
/* Call this when the Target Reset Pattern was seen. True: it was meant for the adaptor, which is
 * now as after init; reset nothing else. False: the driver must handle it. RSTACT is valid until
 * the next START: the engine learns of a START from the driver's calls above, but not of transfers
 * with other targets. */
bool pst_i3c_target_pattern(struct pst_i3c_target *t);

/* The next functions are called by the owner. This one queues a message. On the SPP port `kind` is
 * PST_LINK_CLEAR and `len` at most PST_I3C_MAX. PST_ERR_STATE: there is no DTS, or the stream has
 * ended and pst_i3c_target_receive has not yet reported it. PST_ERR_BUSY: no room now.
 * PST_ERR_SPACE, PST_ERR_ARGUMENT: the message can never be sent. */
PST_MUST_CHECK pst_err pst_i3c_target_send(struct pst_i3c_target *t, uint8_t kind,
                                           const uint8_t *payload, size_t len);
/* Gives the next message; `payload` is writable and valid until the next call. PST_PENDING: none
 * now. PST_ERR_CLOSED, once: the DTS restarted or the adaptor was reset; forget the session.
 * PST_ERR_DECODE: not our framing, until the DTS restarts. Take messages even while nothing can be
 * sent: until then the bus gets NACKs. */
PST_MUST_CHECK pst_err pst_i3c_target_receive(struct pst_i3c_target *t, uint8_t *kind,
                                              uint8_t **payload, size_t *len);
/* The same for bytes, for owners that frame messages themselves or only copy bytes. MESSAGES port
 * only; do not mix with the two functions above. _put returns how many bytes were taken, 0 while
 * there is no DTS or no room. _get: PST_OK with at least one byte; PST_PENDING and PST_ERR_CLOSED
 * as above. */
size_t pst_i3c_target_put(struct pst_i3c_target *t, const uint8_t *bytes, size_t len);
size_t pst_i3c_target_room(const struct pst_i3c_target *t); /* for how many bytes */
PST_MUST_CHECK pst_err pst_i3c_target_get(struct pst_i3c_target *t, uint8_t *out, size_t cap,
                                          size_t *len);
/* True while a DTS has a stream open. */
bool pst_i3c_target_is_open(const struct pst_i3c_target *t);
/* True if everything that was put has arrived. */
bool pst_i3c_target_is_sent(const struct pst_i3c_target *t);
/* Ends the stream from our side. Bytes that have not arrived are lost. The DTS learns of it from an
 * IBI, or when it reads. The owner is not told. */
void pst_i3c_target_close(struct pst_i3c_target *t);

/* --- DTS: the controller --- */

struct pst_i3c_ccc {
    uint8_t code, defining;
    const uint8_t *write;
    size_t write_len; /* a command writes, reads, or neither */
    uint8_t *read;
    size_t read_cap, read_len; /* read_len: how many were read */
};
struct pst_i3c_ibi {
    uint8_t bytes[PST_I3C_MAX]; /* mandatory data byte first */
    size_t len;
};
/* A bus as one engine sees it. Each engine has its own, because after a bus reset an address may
 * belong to another target. Then every function except `find` returns PST_ERR_CLOSED (poll_ibi:
 * PST_PENDING) until `find` was called on this struct.
 *
 * Each may return PST_PENDING: it is then called again with the same arguments until it returns
 * something else, and meanwhile only `poll_ibi` is called. PST_ERR_BUSY: NACK, nothing was taken.
 * PST_ERR_IO: the transfer broke off, and it is not known what arrived. PST_ERR_CLOSED: the bus was
 * reset, addresses are void, nothing was taken. Any other error ends the link. */
struct pst_i3c_bus {
    void *ctx;
    /* Frees a bus that hangs, assigns dynamic addresses if needed, and gives the address of the
     * target with this 48-bit provisioned id. PST_ERR_BUSY: the target did not answer. */
    pst_err (*find)(void *ctx, uint64_t id, uint8_t *address);
    pst_err (*ccc)(void *ctx, uint8_t address, struct pst_i3c_ccc *ccc);
    pst_err (*write)(void *ctx, uint8_t address, const uint8_t *data, size_t len);
    pst_err (*read)(void *ctx, uint8_t address, uint8_t *out, size_t cap, size_t *len);
    /* Gives the oldest IBI of this target. PST_PENDING: none. PST_ERR_UNSUPPORTED: the bus has no
     * IBIs. PST_ERR_FAULT: the bus is gone. May be NULL if the bus has no IBIs. */
    pst_err (*poll_ibi)(void *ctx, uint8_t address, struct pst_i3c_ibi *ibi);
    /* Sends RSTACT, direct, with this action, and the Target Reset Pattern right after it. May be
     * NULL. */
    pst_err (*reset)(void *ctx, uint8_t address, uint8_t action);
};

struct pst_i3c_debugger_config {
    const struct pst_i3c_bus *bus; /* outlives the engine */
    struct pst_i3c_buffers buffers;
    uint64_t id;      /* of the target */
    uint8_t port;     /* enum pst_i3c_port */
    uint8_t stream;   /* number of the stream on the MESSAGES port: random, so that two debuggers of
                         one target use different ones; 0 means 1 */
    uint32_t poll_ms; /* longest pause between polls without IBIs; 0: 16 */
    uint32_t watch_ms;   /* pause between polls with IBIs; 0: 128 */
    uint32_t give_up_ms; /* ends the link after so long without progress in the bring-up or in
                            sending; 0: never */
};
struct pst_i3c_debugger { /* private but for `counts` */
    struct pst_i3c_debugger_config config;
    struct pst_i3c_pipe pipe;
    struct {
        uint32_t nacks, faults, damaged, recoveries, polls, ibis;
    } counts;
    pst_err dead;
    uint8_t stage, action, address;
    bool resuming, was_reset, interrupts; /* was_reset: the adaptor was reset in this bring-up */
    bool opening, opened;                 /* OPEN must be written; was answered */
    bool want_read, must_ack, wrote_last;
    bool stuck;            /* the target has bytes but waits for our acknowledgement */
    bool missed;           /* bytes came when there was no room for them */
    bool closing, flushed; /* flushed: the target's owner has taken the last byte */
    bool ours;             /* a read since the last write showed that the stream is ours */
    unsigned tries, recoveries, reads, drained;
    uint64_t now, write_at, read_at, hold_at, progress_at; /* hold_at: no read before this time */
    uint32_t write_pause_ms, read_pause_ms, poll_ms;
    uint16_t before; /* pipe.sent before the current write */
    uint8_t out[PST_I3C_MAX], in[PST_I3C_MAX];
    size_t out_len, in_len;
    struct pst_i3c_ccc ccc;
};

/* PST_ERR_ARGUMENT: buffers are too small, no such port, or a bus without find, ccc, write or
 * read. */
PST_MUST_CHECK pst_err pst_i3c_debugger_init(struct pst_i3c_debugger *d,
                                             const struct pst_i3c_debugger_config *config,
                                             uint64_t now_ms);
/* Does at most one transfer. Call again after `*wait_ms` (0: at once), or sooner if a transfer is
 * done, an IBI came, or a message was queued or taken. After an error the link has ended, and later
 * calls return the same error. PST_ERR_TIMEOUT: the target does not answer. PST_ERR_UNSUPPORTED: an
 * unknown device, or one without this port. PST_ERR_PEER: its status is not the expected one.
 * PST_ERR_CLOSED: it lost the stream. PST_ERR_IO: a transfer broke off on the SPP port.
 * PST_ERR_LIMIT: the target reports an overflow on the SPP port. */
PST_MUST_CHECK pst_err pst_i3c_debugger_step(struct pst_i3c_debugger *d, uint64_t now_ms,
                                             uint32_t *wait_ms);
/* True if the bring-up is complete and, on the MESSAGES port, the target has answered. */
bool pst_i3c_debugger_is_up(const struct pst_i3c_debugger *d);
/* As for the TS, but messages may be queued before the link is up. If the link has ended:
 * PST_ERR_CLOSED; pst_i3c_debugger_step returns the reason. */
PST_MUST_CHECK pst_err pst_i3c_debugger_send(struct pst_i3c_debugger *d, uint8_t kind,
                                             const uint8_t *payload, size_t len);
/* Messages that arrived before the end of the link can still be taken. */
PST_MUST_CHECK pst_err pst_i3c_debugger_receive(struct pst_i3c_debugger *d, uint8_t *kind,
                                                uint8_t **payload, size_t *len);
/* The same for bytes, as for the TS. _get returns 0 if there are none now. */
size_t pst_i3c_debugger_put(struct pst_i3c_debugger *d, const uint8_t *bytes, size_t len);
size_t pst_i3c_debugger_room(const struct pst_i3c_debugger *d);
size_t pst_i3c_debugger_get(struct pst_i3c_debugger *d, uint8_t *out, size_t cap);
bool pst_i3c_debugger_has_bytes(const struct pst_i3c_debugger *d); /* something for _get */
/* MESSAGES port: ends the stream with DBGACTION "clear" once the target's owner has taken
 * everything that was put; _step then returns PST_ERR_CLOSED. Nothing more can be put. */
void pst_i3c_debugger_close(struct pst_i3c_debugger *d);

#ifdef __cplusplus
}
#endif

#endif
