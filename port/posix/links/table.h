/* The table of links: every scheme that this program supports, for code that parses a link which a
   person wrote. Nothing but this table knows the folders beside it. */
#ifndef POSTERN_POSIX_LINKS_TABLE_H
#define POSTERN_POSIX_LINKS_TABLE_H

#include "posix/loop/carrier.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In the order of `postern links`; ends with NULL. A scheme whose library was missing at build time
   stays in the table and reports that when it is used. */
extern const struct pst_scheme *const pst_schemes[];

#ifdef __cplusplus
}
#endif

#endif
