/* A size that the package was built with reaches everybody who uses the package. */
#include "postern/parts/spdm.h"

_Static_assert(PST_SPDM_SESSIONS == 1, "the size that the package was built with");
