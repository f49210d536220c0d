#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/tool.h"

void tool_say(const char *name, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c != '\0';
         c++) { /* one line without control characters for the terminal */
        if ((unsigned char)*c < 0x20 || *c == 0x7F) {
            *c = ' ';
        }
    }
    fprintf(stderr, "postern %s: %s\n", name, line);
}

bool tool_parse_u64(const char *text, uint64_t *value)
{
    char *end;
    int base = strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0 ? 16 : 10;

    if (text[0] < '0' || text[0] > '9') {
        return false; /* strtoull would accept blanks and signs */
    }
    errno = 0;
    *value = strtoull(text, &end, base);
    return errno == 0 && *end == '\0' && end != text;
}

bool tool_parse_size(const char *text, uint64_t *value)
{
    static const char units[] = "KMG";
    char digits[32];
    size_t len = strlen(text);
    unsigned shift = 0;

    if (len == 0 || len >= sizeof digits) {
        return false;
    }
    const char *unit = strchr(units, text[len - 1]);
    if (unit != NULL) {
        shift = 10 * (unsigned)(unit - units + 1);
        len--;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (!tool_parse_u64(digits, value) || *value > UINT64_MAX >> shift) {
        return false;
    }
    *value <<= shift;
    return true;
}

int tool_exit_of(pst_err err)
{
    switch ((int)err) {
    case PST_OK:
        return PST_EXIT_OK;
    case PST_ERR_DENIED:
    case PST_ERR_BUSY:
    case PST_ERR_AUDIT:
        return PST_EXIT_REFUSED;
    case PST_ERR_CONFIG:
    case PST_ERR_IO:
        return PST_EXIT_LOCAL;
    default:
        return PST_EXIT_LOST;
    }
}

poptContext tool_options(const char *name, int argc, char **argv, const struct poptOption *options,
                         const char *usage)
{
    static char full[64]; /* outlives the context: --help prints it as the command's name */
    const char **args;

    snprintf(full, sizeof full, "postern %s", name);
    argv[0] = full;
    memcpy(&args, &argv, sizeof args); /* popt declares them const and does not write to them */
    poptContext popt = poptGetContext(full, argc, args, options, 0);
    poptSetOtherOptionHelp(popt, usage);
    return popt;
}

int tool_take_options(const char *name, poptContext popt)
{
    int rc = poptGetNextOpt(popt);
    if (rc == -1) {
        return PST_EXIT_OK;
    }
    tool_say(name, "%s: %s; see postern %s --help", poptBadOption(popt, POPT_BADOPTION_NOALIAS),
             poptStrerror(rc), name);
    return PST_EXIT_USAGE;
}

void tool_humanise_since(char *text, size_t cap)
{
    static const char since[] = ", since ";
    char when[64];
    struct tm tm;
    char *at = strstr(text, since);
    char *number = at != NULL ? at + strlen(since) : NULL;

    if (number == NULL || strspn(number, "0123456789") != strlen(number)) {
        return;
    }
    time_t seconds = (time_t)strtoll(number, NULL, 10);
    if (localtime_r(&seconds, &tm) != NULL && strftime(when, sizeof when, "%F %T", &tm) > 0) {
        snprintf(number, cap - (size_t)(number - text), "%s", when);
    }
}
