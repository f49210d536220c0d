/* postern mem: reads, writes, dumps and loads memory of a device. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/tool.h"

#define USAGE                                                                                      \
    "[OPTION...] read LINK ADDRESS [SIZE]\n"                                                       \
    "       postern mem [OPTION...] write LINK ADDRESS --hex BYTES\n"                              \
    "       postern mem [OPTION...] dump LINK ADDRESS SIZE -o FILE\n"                              \
    "       postern mem [OPTION...] load LINK ADDRESS -f FILE"
#define PIECE (256u * 1024u) /* bytes in one operation, and one step of the progress display */
#define SIZE_MOST ((uint64_t)1 << 32)
#define READ_MAX (1024u * 1024u) /* limit of `read`, which prints them; `dump` takes more */

struct job {
    struct tool_session session;
    struct tool_session_options options;
    const char *verb;
    char *hex, *out, *in;
    int json;
    uint64_t address;
    size_t size;
    uint8_t *data;
};

static int fail(const struct job *j, uint64_t at, pst_err err)
{
    if (j->session.over) {
        tool_say("mem", "%s", j->session.text);
        return j->session.exit_code;
    }
    tool_say("mem", "%s at 0x%" PRIx64 ": %s", j->verb, at, pst_err_text(err));
    return err == PST_ERR_FAULT || err == PST_ERR_ARGUMENT ? PST_EXIT_REFUSED : tool_exit_of(err);
}

static void progress(uint64_t done, uint64_t size)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " bytes%s", done, size,
                done == size ? "\n" : "");
    }
}

/* One piece of at most PIECE bytes. */
static int move(struct job *j, bool write, uint64_t at, uint8_t *data, uint32_t len)
{
    struct pst_spp_op op = {
        .opcode = write ? PST_SPP_WRITE : PST_SPP_READ,
        .space = PST_AS_MEMORY,
        .address = at,
        .data = data,
        .len = len,
    };
    pst_err err = tool_session_do(&j->session, &op);
    if (err == PST_OK && op.moved < len) {
        err = PST_ERR_FAULT;
        at += op.moved;
    }
    return err == PST_OK ? PST_EXIT_OK : fail(j, at, err);
}

static int move_all(struct job *j, bool write)
{
    for (size_t done = 0; done < j->size;) {
        size_t left = j->size - done;
        uint32_t len = (uint32_t)(left < PIECE ? left : PIECE);
        int code = move(j, write, j->address + done, j->data + done, len);
        if (code != PST_EXIT_OK) {
            return code;
        }
        done += len;
        progress(done, j->size);
    }
    return PST_EXIT_OK;
}

static void print_json(const struct job *j)
{
    char address[24];
    json_t *o = json_object();
    snprintf(address, sizeof address, "0x%" PRIx64, j->address);
    json_object_set_new(o, "address", json_string(address));
    json_object_set_new(o, "size", json_integer((json_int_t)j->size));
    if (strcmp(j->verb, "read") == 0) {
        char *hex = calloc(1, j->size * 2 + 1);
        for (size_t i = 0; hex != NULL && i < j->size; i++) {
            snprintf(hex + 2 * i, 3, "%02x", j->data[i]);
        }
        json_object_set_new(o, "hex", json_string(hex != NULL ? hex : ""));
        free(hex);
    }
    json_dumpf(o, stdout, JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(o);
}

static void print_hex(const struct job *j)
{
    for (size_t at = 0; at < j->size; at += 16) {
        size_t n = j->size - at < 16 ? j->size - at : 16;
        printf("%08" PRIx64 " ", j->address + at);
        for (size_t i = 0; i < 16; i++) {
            if (i < n) {
                printf(" %02x", j->data[at + i]);
            } else {
                fputs("   ", stdout);
            }
        }
        fputs("  ", stdout);
        for (size_t i = 0; i < n; i++) {
            uint8_t c = j->data[at + i];
            putchar(c >= 0x20 && c < 0x7F ? c : '.');
        }
        putchar('\n');
    }
}

/* Writes to a temporary file in the same directory, which replaces the output when complete. */
static int write_file(const struct job *j)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.part", j->out) >= (int)sizeof temporary) {
        tool_say("mem", "%s: the name is too long", j->out);
        return PST_EXIT_LOCAL;
    }
    FILE *f = fopen(temporary, "wb");
    bool ok = f != NULL && fwrite(j->data, 1, j->size, f) == j->size;
    ok = (f == NULL || fclose(f) == 0) && ok && rename(temporary, j->out) == 0;
    if (!ok) {
        tool_say("mem", "%s: %s", j->out, strerror(errno));
        (void)remove(temporary);
    }
    return ok ? PST_EXIT_OK : PST_EXIT_LOCAL;
}

static int deliver(const struct job *j)
{
    int code = PST_EXIT_OK;
    if (j->out != NULL && strcmp(j->out, "-") == 0) {
        code = fwrite(j->data, 1, j->size, stdout) == j->size ? PST_EXIT_OK : PST_EXIT_LOCAL;
    } else if (j->out != NULL) {
        code = write_file(j);
    } else if (strcmp(j->verb, "read") == 0 && !j->json) {
        print_hex(j);
    }
    if (code == PST_EXIT_OK && j->json) {
        print_json(j);
    }
    return fflush(stdout) == 0 ? code : PST_EXIT_LOCAL;
}

/* --- the command line --- */

static int nibble(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static int take_hex(struct job *j)
{
    size_t len = strlen(j->hex);
    j->size = len / 2;
    j->data = calloc(1, len / 2 + 1);
    for (size_t i = 0; j->data != NULL && i < len / 2; i++) {
        int high = nibble(j->hex[2 * i]), low = nibble(j->hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            len = 1;
            break;
        }
        j->data[i] = (uint8_t)(high << 4 | low);
    }
    if (len == 0 || len % 2 != 0 || j->data == NULL) {
        tool_say("mem", "--hex '%.60s': expected pairs of hexadecimal digits", j->hex);
        return PST_EXIT_USAGE;
    }
    return PST_EXIT_OK;
}

static int take_file(struct job *j)
{
    struct stat st;
    FILE *f = fopen(j->in, "rb");
    bool ok = f != NULL && fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode);
    if (ok && (uint64_t)st.st_size < SIZE_MAX) {
        j->size = (size_t)st.st_size;
        j->data = malloc(j->size + 1);
        ok = j->data != NULL && fread(j->data, 1, j->size, f) == j->size;
    } else if (f != NULL) {
        errno = ok ? EFBIG : EINVAL;
        ok = false;
    }
    if (!ok) {
        tool_say("mem", "%s: %s", j->in, strerror(errno));
    }
    if (f != NULL) {
        fclose(f);
    }
    return ok ? PST_EXIT_OK : PST_EXIT_LOCAL;
}

static int usage(const char *what)
{
    tool_say("mem", "%s; see postern mem --help", what);
    return PST_EXIT_USAGE;
}

static int take_size(struct job *j, const char *text)
{
    char line[128];
    uint64_t size = 4;
    if (text == NULL && strcmp(j->verb, "read") != 0) {
        return usage("dump: expected a size, such as 4096, 0x1000 or 64K");
    }
    if (text != NULL && (!tool_parse_size(text, &size) || size == 0 || size > SIZE_MOST)) {
        snprintf(line, sizeof line, "size '%.40s': expected 1 to 4G, such as 4096, 0x1000 or 64K",
                 text);
        return usage(line);
    }
    if (strcmp(j->verb, "read") == 0 && size > READ_MAX) {
        return usage("read prints at most 1M; use dump");
    }
    j->size = (size_t)size;
    j->data = size <= SIZE_MAX ? calloc(1, j->size) : NULL;
    if (j->data == NULL) {
        tool_say("mem", "out of memory: cannot allocate %" PRIu64 " bytes", size);
        return PST_EXIT_LOCAL;
    }
    return PST_EXIT_OK;
}

static int take_arguments(struct job *j, poptContext popt, const char **link)
{
    char line[128];
    j->verb = poptGetArg(popt);
    *link = j->options.scm == NULL ? poptGetArg(popt) : NULL;
    const char *address = poptGetArg(popt);
    bool reads = j->verb != NULL && (strcmp(j->verb, "read") == 0 || strcmp(j->verb, "dump") == 0);
    bool writes = j->verb != NULL && strcmp(j->verb, "write") == 0;
    int code = PST_EXIT_OK;

    if (j->verb == NULL || (!reads && !writes && strcmp(j->verb, "load") != 0)) {
        return usage("expected read, write, dump or load");
    }
    if (address == NULL) {
        return usage("expected a link and an address");
    }
    if (!tool_parse_u64(address, &j->address)) {
        snprintf(line, sizeof line, "address '%.40s': expected a number such as 0x80000000",
                 address);
        return usage(line);
    }
    if (reads) {
        code = take_size(j, poptGetArg(popt));
        if (code == PST_EXIT_OK && strcmp(j->verb, "dump") == 0 && j->out == NULL) {
            return usage("dump: expected -o FILE, or -o - for stdout");
        }
    } else if (writes) {
        code = j->hex != NULL ? take_hex(j) : usage("write: expected --hex BYTES");
    } else {
        code = j->in != NULL ? take_file(j) : usage("load: expected -f FILE");
    }
    if (code == PST_EXIT_OK && poptPeekArg(popt) != NULL) {
        return usage("too many arguments");
    }
    if (code == PST_EXIT_OK && j->size > 0 && j->address + (j->size - 1) < j->address) {
        return usage("the range goes past the last address");
    }
    return code;
}

static int run(struct job *j, const char *link)
{
    bool reads = strcmp(j->verb, "read") == 0 || strcmp(j->verb, "dump") == 0;
    int code = tool_session_init(&j->session, "mem", &j->options, link, 1u << PST_AS_MEMORY);
    code = code == PST_EXIT_OK ? tool_session_open(&j->session) : code;
    code = code == PST_EXIT_OK ? tool_session_wait(&j->session) : code;
    if (code == PST_EXIT_OK) {
        if ((j->session.info.spaces & 1u << PST_AS_MEMORY) == 0) {
            tool_say("mem", "refused: no access to memory is granted; granted: %s",
                     j->session.host->debugger.grants);
            code = PST_EXIT_REFUSED;
        }
    }
    code = code == PST_EXIT_OK ? move_all(j, !reads) : code;
    tool_session_close(&j->session);
    return code == PST_EXIT_OK ? deliver(j) : code;
}

int pst_cmd_mem(int argc, char **argv)
{
    struct job j = {0};
    const char *link = NULL;
    struct poptOption session[] = {TOOL_SESSION_OPTIONS(&j.options), POPT_TABLEEND};
    const struct poptOption options[] = {
        {"output", 'o',  POPT_ARG_STRING,        &j.out,  0, "write the dump to this file ('-': stdout)",
         "FILE"                                                                                                  },
        {"file",   'f',  POPT_ARG_STRING,        &j.in,   0, "load this file",                            "FILE" },
        {"hex",    '\0', POPT_ARG_STRING,        &j.hex,  0, "the bytes to write",                        "BYTES"},
        {"json",   '\0', POPT_ARG_NONE,          &j.json, 0, "report the result as JSON",                 NULL   },
        {NULL,     '\0', POPT_ARG_INCLUDE_TABLE, session, 0, "Session:",                                  NULL   },
        POPT_AUTOHELP POPT_TABLEEND,
    };
    poptContext popt = tool_options("mem", argc, argv, options, USAGE);
    int code = tool_take_options("mem", popt);
    code = code == PST_EXIT_OK ? take_arguments(&j, popt, &link) : code;
    code = code == PST_EXIT_OK ? run(&j, link) : code;
    poptFreeContext(popt);
    tool_session_options_free(&j.options);
    free(j.data);
    free(j.hex);
    free(j.out);
    free(j.in);
    return code;
}
