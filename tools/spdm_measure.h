/* The measurements of `postern spdm responder`. */
#ifndef POSTERN_TOOLS_SPDM_MEASURE_H
#define POSTERN_TOOLS_SPDM_MEASURE_H

#include "postern/parts/spdm.h"

/* Block 1: the digest of a file's whole contents, type mutable firmware, part of the TCB. Block 2:
   the firmware's version as raw text. spdm_measure reads the file once and later changes of it are
   not measured, which is why the tool does not offer fresh measurements. */
struct spdm_measured {
    pst_hash_id hash;
    uint8_t digest[PST_MAX_HASH];
    struct pst_measurements source; /* for pst_spdm_config.measurements; points here */
};

/* PST_ERR_IO: the file cannot be read, errno says why. */
PST_MUST_CHECK pst_err spdm_measure(struct spdm_measured *m, const struct pst_crypto *crypto,
                                    pst_hash_id hash, const char *path);

#endif
