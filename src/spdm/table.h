/* The dispatch tables: which message may come when. One row a message, one table a role, and the
 * only place where version, phase, capability, session and size are checked; handlers do the work
 * of their message only.
 *
 * The responder's table lists requests. The requester has two: one for what it sends, a row for
 * each step, and one for the encapsulated requests that it answers. docs/spdm-table.md is printed
 * from all three.
 *
 * A new version or kind of session adds rows: 1.4 by `since` and `until`, PSK by a second bit of
 * `kinds`.
 */
#ifndef PST_SPDM_TABLE_H
#define PST_SPDM_TABLE_H

#include "spdm/engine.h"

enum {
    PST_ROW_EXACT = 1,    /* `size` is the size; otherwise the least */
    PST_ROW_IN_FLOW = 2,  /* also while an encapsulated request awaits its answer */
    PST_ROW_CLEARS_M = 4, /* clears M before the first CHALLENGE_AUTH */
    PST_ROW_KEEPS_L = 8,  /* does not clear L of its context */
    PST_ROW_KEEPS_D = 16, /* may be the first message after ALGORITHMS and be remembered as D */
};

struct pst_row {
    uint8_t code;
    uint8_t since, until; /* minor versions, inclusive */
    uint8_t flags;
    uint8_t phases; /* enum pst_phase */
    uint8_t kinds;
    uint16_t size;
    uint32_t ours, theirs; /* at least one of these capability bits; 0: none needed */
    pst_handler *run;
};

/* What the requester sends: `row.size` is that of the answer, `row.run` writes the request. */
struct pst_step_row {
    struct pst_row row;
    uint8_t answer; /* response code */
    pst_handler *accept;
};

extern const struct pst_row psti_responder_rows[];
extern const size_t psti_responder_row_count;
extern const struct pst_row psti_encap_rows[];
extern const size_t psti_encap_row_count;
extern const struct pst_step_row psti_step_rows[]; /* by enum pst_step */

const struct pst_row *psti_row_find(const struct pst_row *rows, size_t count, uint8_t code);
/* 0, or the ERROR code for a message of this row now. `minor` 0: not agreed on. */
uint8_t psti_row_gate(const struct pst_row *row, uint8_t minor, const struct pst_exchange *x);
bool psti_row_fits(const struct pst_row *row, struct pst_exchange *x);
/* What sending or receiving a message of this row does to the transcripts of its context. */
void psti_row_note(const struct pst_row *row, struct pst_spdm *c, struct pst_spdm_session *s);

#endif
