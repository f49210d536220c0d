/* What the files of `postern pki` share. */
#ifndef POSTERN_TOOLS_PKI_CMD_H
#define POSTERN_TOOLS_PKI_CMD_H

#include <popt.h>
#include <stdarg.h>

#include "tools/tool.h"

int pst_pki_run_show(int argc, const char **argv);
int pst_pki_run_lint(int argc, const char **argv);

/* Reports a usage error; returns its exit code. */
int pst_pki_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Parses the options and exactly one argument, `what`. Returns an exit code otherwise. */
int pst_pki_parse(poptContext popt, const char **argument, const char *what);

#endif
