/* What the files of this module share. */
#ifndef PST_CERT_FACTS_H
#define PST_CERT_FACTS_H

#include "cert/der.h"
#include "postern/parts/certificate.h"

/* UTCTime or GeneralizedTime, whole seconds and Z. False: neither, no such day, or before 1970. */
bool psti_cert_time(struct pst_reader *r, uint64_t *seconds);
/* Walks a Name; fails `r` when it is malformed. For each common name `c` learns of it, when `c` is
 * not NULL. */
void psti_cert_name(struct pst_reader *r, struct pst_certificate *c);
/* Takes the facts out of the SEQUENCE OF Extension that `r` stands at. */
void psti_cert_extensions(struct pst_reader *r, struct pst_certificate *c);

#endif
