/* A program outside Postern's tree, on the POSIX port: the kinds of link. */
#include <stdio.h>

#include "posix/links/table.h"

int main(void)
{
    struct pst_address address;
    char why[256] = "";

    if (pst_address_parse(&address, pst_schemes, "tcp:127.0.0.1:7606", why, sizeof why) != PST_OK) {
        fprintf(stderr, "links: %s\n", why);
        return 1;
    }
    for (size_t i = 0; pst_schemes[i] != NULL; i++) {
        puts(pst_schemes[i]->name);
    }
    return 0;
}
