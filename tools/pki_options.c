/* postern pki: parsing of its command lines. */
#include <stdio.h>

#include "tools/pki_cmd.h"

int pst_pki_refuse(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("postern pki: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return PST_EXIT_USAGE;
}

/* Options and exactly one argument, which stays valid until the context is freed. */
int pst_pki_parse(poptContext popt, const char **argument, const char *what)
{
    int rc = poptGetNextOpt(popt);

    if (rc < -1) {
        return pst_pki_refuse("%s: %s", poptBadOption(popt, POPT_BADOPTION_NOALIAS),
                              poptStrerror(rc));
    }
    *argument = poptGetArg(popt);
    if (*argument == NULL) {
        return pst_pki_refuse("expected %s", what);
    }
    const char *more = poptPeekArg(popt);
    if (more != NULL) {
        return pst_pki_refuse("'%s': nothing more was expected after %s", more, what);
    }
    return PST_EXIT_OK;
}
