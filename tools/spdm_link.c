/* The socket that both roles of `postern spdm` speak over. */
#include <errno.h>
#include <string.h>

#include "posix/links/table.h"
#include "tools/spdm.h"

int spdm_open_link(const char *text, bool listening)
{
    struct pst_address a;
    char why[512];
    if (pst_address_parse_socket(&a, pst_schemes, text, why, sizeof why) != PST_OK) {
        tool_say(SPDM_NAME, "%s", why);
        return -1;
    }
    int fd = pst_spdm_socket_open(&a, listening);
    if (fd < 0) {
        tool_say(SPDM_NAME, "%s: %s", text, strerror(errno));
    }
    return fd;
}
