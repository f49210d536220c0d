/* A gate that allows everything, for tests and benchmarks of an engine without security. */
#ifndef PST_TESTS_OPEN_GATE_H
#define PST_TESTS_OPEN_GATE_H

#include "postern/parts/spp.h"

static inline bool open_covers(void *ctx, uint8_t space, uint8_t rights, uint64_t address,
                               uint64_t len)
{
    (void)ctx, (void)space, (void)rights, (void)address, (void)len;
    return true;
}

static inline pst_err open_announce(void *ctx, struct pst_spp_batch batch)
{
    (void)ctx, (void)batch;
    return PST_OK;
}

static inline pst_err open_admit(void *ctx, const struct pst_spp_command *c)
{
    (void)ctx, (void)c;
    return PST_OK;
}

static inline pst_err open_allow(void *ctx, uint8_t space, uint8_t rights, uint64_t address,
                                 uint64_t len)
{
    (void)ctx, (void)space, (void)rights, (void)address, (void)len;
    return PST_OK;
}

static const struct pst_gate open_gate = {
    .covers = open_covers, .announce = open_announce, .admit = open_admit, .allow = open_allow};

#endif
