/* Shared by grants.c and policy.c. */
#ifndef PST_TS_GRANTS_H
#define PST_TS_GRANTS_H

#include "postern/policy.h"

/* Adds `r`, unless a range of `g` contains it. PST_ERR_LIMIT: `g` is full. */
PST_MUST_CHECK pst_err psti_grants_add(struct pst_grants *g, struct pst_grant_range r);

#endif
