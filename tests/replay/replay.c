/* replay DIR: replays every recorded session of a directory.
 *
 * Each file is checked twice. First independently of the engines: transcripts, key schedule,
 * records and signatures are recomputed from the wire bytes and the recorded secrets. Then the
 * engines themselves take part, each against the recording of its peer. A line for each case says
 * `replayed`, `out of scope` and why, or `failed` and where. The exit status is 1 if any failed or
 * none was replayed. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/case.h"
#include "parts/check.h"
#include "parts/engines.h"

struct tally {
    unsigned replayed, out_of_scope, failed;
};

static bool run_engines(struct recording *c)
{
    return engines_left_out(c) || (engines_responder(c) && engines_requester(c));
}

static void replay(const char *dir, const char *file, struct tally *tally)
{
    char path[1024];
    struct recording c;

    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    if (!case_load(&c, path)) {
        printf("%s: failed: %s\n", file, c.why);
        tally->failed++;
    } else if (c.scope != NULL) {
        printf("%s: out of scope: %s\n", c.name, c.scope);
        tally->out_of_scope++;
    } else if (!check_case(&c) || !run_engines(&c)) {
        printf("%s: failed: %s\n", c.name, c.why);
        tally->failed++;
    } else {
        printf("%s: replayed%s%s\n", c.name, c.partly[0] != '\0' ? ", but for " : "", c.partly);
        tally->replayed++;
    }
    case_free(&c);
}

static int is_json(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

int main(int argc, char **argv)
{
    struct dirent **files = NULL;
    struct tally tally = {0, 0, 0};

    if (argc != 2) {
        fputs("usage: replay DIR\n", stderr);
        return 2;
    }
    int count = scandir(argv[1], &files, is_json, alphasort);
    if (count < 0) {
        perror(argv[1]);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        replay(argv[1], files[i]->d_name, &tally);
        free(files[i]);
    }
    free(files);
    printf("%u replayed, %u out of scope, %u failed\n", tally.replayed, tally.out_of_scope,
           tally.failed);
    return tally.failed > 0 || tally.replayed == 0 ? 1 : 0;
}
