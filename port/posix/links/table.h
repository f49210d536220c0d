/* The table of links: every kind that this program knows, for whoever reads a link that a person
 * has written. Nothing but this table knows the folders beside it. */
#ifndef POSTERN_POSIX_LINKS_TABLE_H
#define POSTERN_POSIX_LINKS_TABLE_H

#include "posix/loop/carrier.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In the order of `postern links`; ends with NULL. A kind whose library was not there at build time
 * stays in the table, and says so when it is used. */
extern const struct pst_scheme *const pst_schemes[];

#ifdef __cplusplus
}
#endif

#endif
