/* Private to the command engine: engine.c decides what runs, access.c performs it. */
#ifndef PST_SPP_ENGINE_H
#define PST_SPP_ENGINE_H

#include "packet.h"

#define PST_OUTPUT_MIN 64
#define PST_SHORT_RESPONSE (PST_SPP_FULL_HEADER + 8) /* the longest that is not a read */
#define PST_LOOP_BURST 16 /* attempts of a polling loop before others get their turn */

struct pst_output {
    uint8_t *at;
    size_t cap, used;
};

enum pst_step {
    PST_STEP_DONE, /* answered, or needs no answer */
    PST_STEP_PART, /* a part was answered, and the output is full */
    PST_STEP_ROOM, /* needs more room than is left */
    PST_STEP_WAIT, /* something outside is not ready */
};

static inline bool pst_has_bit(uint8_t bits, uint8_t number)
{
    return (bits & (1U << number)) != 0;
}

/* Nothing but the SCM is reached: before a session, and without a gate. */
static inline bool pst_engine_limited(const struct pst_spp_engine *e)
{
    return e->config.bootstrap || e->config.gate == NULL;
}

/* The head of a good response to `p`; its data, `count` bytes where it has any, comes next. */
void psti_output_head(struct pst_output *o, const struct pst_spp_packet *p, uint32_t count,
                      bool last);
/* The whole of a bad one. Always PST_STEP_DONE. */
enum pst_step psti_output_fail(struct pst_output *o, const struct pst_spp_packet *p, uint8_t status,
                               pst_err err);
/* The head of an event whose `len` bytes stand behind it already. */
void psti_output_event(struct pst_output *o, const struct pst_spp_packet *p, uint8_t space,
                       uint32_t len);

bool psti_engine_urgent(const struct pst_spp_engine *e, const struct pst_spp_packet *p);
/* Decides about a command that arrives, and turns it into a queued one where it stands, at `at`. */
void psti_engine_decide(const struct pst_spp_engine *e, const struct pst_spp_packet *p,
                        uint8_t *at);
/* Performs or goes on performing the system command `c`, queued at `at`. */
enum pst_step psti_engine_access(struct pst_spp_engine *e, struct pst_output *o, size_t at,
                                 const struct pst_spp_command *c);

#endif
