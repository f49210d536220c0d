/* An I3C bus that is not there: a model of one, for tests, benchmarks and `i3c:model:`.
 *
 * On it are *devices*, each a few functions: what it says to a private write or read, to a command
 * code, and whether it wants to interrupt. pst_i3c_adaptor is such a device around the TS engine.
 * Controllers reach the bus through *views*, each a struct pst_i3c_bus, one per DTS engine.
 *
 * Modelled are dynamic addresses (ENTDAA in the order of the provisioned ids, hot-join), NACK, IBIs
 * (the lowest address wins the arbitration), the Target Reset Pattern, a bus reset that takes all
 * addresses away, and SCL bits: a START, repeated START or STOP counts as one, every byte as nine
 * (address and acknowledgement; data and T-bit), a private transfer and a command begin with the
 * header 7E, as controllers do so that targets may arbitrate. Time is not: see `bits`. Not modelled
 * are HDR, I2C devices and other controllers.
 *
 * Faults are seeded and say how often, in a thousand. Sans-I/O and deterministic.
 */
#ifndef POSTERN_POSIX_LINKS_I3C_MODEL_H
#define POSTERN_POSIX_LINKS_I3C_MODEL_H

#include "postern/links/i3c.h"

enum { PST_I3C_DEVICES = 11, PST_I3C_MODEL_IBIS = 8, PST_I3C_MODEL_LOG = 64 };

/* A bus at its fastest: 12.5 MHz. */
#define PST_I3C_MODEL_KHZ 12500

struct pst_i3c_faults {
    unsigned nack, pend;
    unsigned lose;        /* a write that was acknowledged and went nowhere */
    unsigned twice;       /* a write that arrives twice */
    unsigned broken;      /* a transfer that breaks off, after it worked or not */
    unsigned write, read; /* one bit changed */
    unsigned cut;         /* a read that ends early */
    unsigned drop_ibi;    /* accepted, then forgotten */
    unsigned refuse_ibi;  /* not accepted */
    unsigned bus_reset;
};

/* What a device does. `address` is its dynamic address at that moment. */
struct pst_i3c_device_ops {
    bool (*ready)(void *ctx); /* would a private write be acknowledged? */
    void (*write)(void *ctx, uint8_t address, const uint8_t *data, size_t len);
    /* A private read; 0: NACK. */
    size_t (*read)(void *ctx, uint8_t address, uint8_t out[PST_I3C_MAX]);
    pst_err (*ccc)(void *ctx, uint8_t code, uint8_t defining, const uint8_t *data, size_t len);
    pst_err (*ccc_read)(void *ctx, uint8_t code, uint8_t defining, uint8_t out[PST_I3C_STATUS_LEN],
                        size_t *len);
    /* The IBI that it wants to raise; 0: none. */
    size_t (*ibi)(void *ctx, uint8_t out[2]);
    void (*ibi_done)(void *ctx, const uint8_t ibi[2]);
    bool (*pattern)(void *ctx); /* the Target Reset Pattern; true: it was for it */
};

struct pst_i3c_device { /* the caller's; on one bus at most */
    const struct pst_i3c_device_ops *ops;
    void *ctx;
    uint64_t id;                                  /* provisioned, 48 bits */
    uint8_t address;                              /* 0: none */
    bool absent;                                  /* unplugged: it answers nothing */
    struct pst_i3c_ibi queue[PST_I3C_MODEL_IBIS]; /* accepted, for the controller to look at */
    size_t queued;
    unsigned lost_arbitration, ibis;
};

/* A device around the TS engine, which the caller has initialised. */
struct pst_i3c_adaptor {
    struct pst_i3c_device device;
    struct pst_i3c_target engine;
};
void pst_i3c_adaptor_init(struct pst_i3c_adaptor *a, uint64_t id);

enum pst_i3c_bits { /* what bits were spent on */
                    PST_I3C_BITS_WRITE,
                    PST_I3C_BITS_READ,
                    PST_I3C_BITS_CCC,
                    PST_I3C_BITS_IBI,
                    PST_I3C_BITS_NACK, /* transfers without an acknowledgement */
                    PST_I3C_BITS_DAA,  /* addresses, hot-joins, resets */
                    PST_I3C_BITS_KINDS,
};

struct pst_i3c_model {
    struct pst_i3c_device *devices[PST_I3C_DEVICES];
    size_t count;
    struct pst_i3c_faults faults;
    uint64_t random;
    unsigned generation; /* of addresses */
    unsigned resets, finds, writes, reads, patterns, joins;
    unsigned misused;                  /* calls that struct pst_i3c_bus forbids */
    uint64_t bits[PST_I3C_BITS_KINDS]; /* SCL periods */
    bool along;                        /* the reply comes inside the IBI */
    uint16_t log[PST_I3C_MODEL_LOG];   /* of commands: code << 8 | defining byte */
    size_t logged;
    uint8_t last_write[PST_I3C_MAX];
    size_t last_len;
};

struct pst_i3c_view {
    struct pst_i3c_model *model;
    struct pst_i3c_bus bus;
    unsigned generation;
    const void *pending; /* what the call that is under way was given */
};

void pst_i3c_model_init(struct pst_i3c_model *m, uint64_t seed);
/* PST_ERR_LIMIT: the bus is full. PST_ERR_BUSY: that id is on it. On a bus in use the device joins
 * by itself. */
PST_MUST_CHECK pst_err pst_i3c_model_attach(struct pst_i3c_model *m, struct pst_i3c_device *d);
void pst_i3c_model_detach(struct pst_i3c_model *m, struct pst_i3c_device *d);
/* Takes all addresses away; what waited in the controller is gone. */
void pst_i3c_model_reset(struct pst_i3c_model *m);
/* The Target Reset Pattern by itself; every device sees it. How many it was for. */
unsigned pst_i3c_model_pattern(struct pst_i3c_model *m);
/* `bus` of the view is for one engine; without `interrupts` it has no IBIs. */
void pst_i3c_model_look(struct pst_i3c_view *v, struct pst_i3c_model *m, bool interrupts);
uint64_t pst_i3c_model_bits(const struct pst_i3c_model *m);

#endif
