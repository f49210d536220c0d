/* Private to the command engine: engine.c decides what runs, access.c performs it. */
#ifndef PST_SPP_ENGINE_H
#define PST_SPP_ENGINE_H

#include "packet.h"

#define PST_OUTPUT_MIN 64
#define PST_SHORT_RESPONSE (PST_SPP_FULL_HEADER + 8) /* the longest response without read data */
#define PST_LOOP_BURST 16                            /* attempts of a polling loop in one turn */

struct psti_output {
    uint8_t *at;
    size_t cap, used;
};

enum psti_step {
    PST_STEP_DONE, /* answered, or needs no answer */
    PST_STEP_PART, /* a part was answered, and the output is full */
    PST_STEP_ROOM, /* needs more room in the output */
    PST_STEP_WAIT, /* the access space is not ready */
};

static inline bool psti_has_bit(uint8_t bits, uint8_t number)
{
    return (bits & (1U << number)) != 0;
}

/* Only the SCM is reachable: the bootstrap engine, or an engine without a gate. */
static inline bool psti_engine_limited(const struct pst_spp_engine *e)
{
    return e->config.bootstrap || e->config.gate == NULL;
}

/* Puts the header of a good response to `p`. The caller puts its data, `count` bytes if it has any.
 */
void psti_output_head(struct psti_output *o, const struct pst_spp_packet *p, uint32_t count,
                      bool last);
/* Puts a whole error response. Always PST_STEP_DONE. */
enum psti_step psti_output_fail(struct psti_output *o, const struct pst_spp_packet *p,
                                uint8_t status, pst_err err);
/* Puts the header of an event whose `len` bytes are already behind it. */
void psti_output_event(struct psti_output *o, const struct pst_spp_packet *p, uint8_t space,
                       uint32_t len);

bool psti_engine_urgent(const struct pst_spp_engine *e, const struct pst_spp_packet *p);
/* Decides about a command that arrives, and turns it into a queued one where it stands, at `at`. */
void psti_engine_decide(const struct pst_spp_engine *e, const struct pst_spp_packet *p,
                        uint8_t *at);
/* Starts or continues the system command `c`, queued at `at`. */
enum psti_step psti_engine_access(struct pst_spp_engine *e, struct psti_output *o, size_t at,
                                  const struct pst_spp_command *c);

#endif
