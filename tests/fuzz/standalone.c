/* A main for fuzz targets where there is no libFuzzer.
 *
 *     fuzz_<name> [directory or file]...
 *
 * Runs every file as it is, then mutations of each: every truncation, and every byte changed in
 * several ways. The same inputs come in the same order on every run. The number of runs is bounded:
 * large files are mutated at evenly spaced places. When the target crashes, the last line on stderr
 * says on which input. */
#include "fuzz.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RUNS_IN_ALL = 100000, RUNS_PER_FILE_MIN = 200, RUNS_PER_FILE_MAX = 10000 };

static char running[512]; /* which input is being run, for the crash report */
static size_t runs;

static void say_running(void)
{
    static const char head[] = "\ninput: ";

    if (write(STDERR_FILENO, head, sizeof head - 1) < 0 ||
        write(STDERR_FILENO, running, strlen(running)) < 0 || write(STDERR_FILENO, "\n", 1) < 0) {
        return;
    }
}

static void on_signal(int number)
{
    say_running();
    signal(number, SIG_DFL);
    raise(number);
}

/* There when a sanitizer is linked. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void report_crashes(void)
{
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(say_running);
    } else {
        signal(SIGSEGV, on_signal);
    }
    signal(SIGABRT, on_signal);
}

/* The input is copied to a block of exactly its size, so that reading past its end is noticed. */
static void run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    runs++;
}

static void run_changed(const char *path, uint8_t *data, size_t len, size_t at)
{
    const uint8_t was = data[at];
    const uint8_t values[] = {(uint8_t)(was ^ 0x01),
                              (uint8_t)(was ^ 0x80),
                              (uint8_t)(was + 1),
                              (uint8_t)(was - 1),
                              0x00,
                              0xff};

    for (size_t i = 0; i < sizeof values; i++) {
        snprintf(running, sizeof running, "%s, byte %zu set to 0x%02x", path, at, values[i]);
        data[at] = values[i];
        if (values[i] != was) {
            run(data, len);
        }
    }
    data[at] = was;
}

static void run_mutations(const char *path, uint8_t *data, size_t len, size_t budget)
{
    const size_t places = budget / 7;
    const size_t step = len > places ? (len + places - 1) / places : 1;

    for (size_t at = 0; at < len; at += step) {
        snprintf(running, sizeof running, "%s, cut to %zu bytes", path, at);
        run(data, at);
        run_changed(path, data, len, at);
    }
}

/* Returns NULL if the file cannot be read. */
static uint8_t *load(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    uint8_t *data = NULL;

    if (file == NULL) {
        return NULL;
    }
    if (fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode)) {
        *len = (size_t)info.st_size;
        data = malloc(*len + 1);
        if (data != NULL && fread(data, 1, *len, file) != *len) {
            free(data);
            data = NULL;
        }
    }
    fclose(file);
    return data;
}

static int run_file(const char *path, size_t budget)
{
    size_t len = 0;
    uint8_t *data = load(path, &len);

    if (data == NULL) {
        fprintf(stderr, "%s: cannot read this input\n", path);
        return 1;
    }
    snprintf(running, sizeof running, "%s", path);
    run(data, len);
    run_mutations(path, data, len, budget);
    free(data);
    return 0;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* With a budget of 0 the files are only counted. A directory that is not there counts as empty. */
static int each_file(const char *path, size_t budget, size_t *files)
{
    struct dirent **entries = NULL;
    struct stat info;
    int failed = 0;

    if (stat(path, &info) != 0) {
        return 0;
    }
    if (!S_ISDIR(info.st_mode)) {
        (*files)++;
        return budget > 0 ? run_file(path, budget) : 0;
    }
    int count = scandir(path, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        (*files)++;
        if (budget > 0) {
            failed |= run_file(inner, budget);
        }
        free(entries[i]);
    }
    free(entries);
    return failed;
}

static void run_without_corpus(void)
{
    uint8_t byte = 0;

    snprintf(running, sizeof running, "the empty input");
    run(&byte, 0);
    for (unsigned value = 0; value < 256; value++) {
        snprintf(running, sizeof running, "the one byte 0x%02x", value);
        byte = (uint8_t)value;
        run(&byte, 1);
    }
}

int main(int argc, char **argv)
{
    size_t files = 0;
    size_t again = 0;
    int failed = 0;

    report_crashes();
    for (int i = 1; i < argc; i++) {
        each_file(argv[i], 0, &files);
    }
    size_t budget = RUNS_IN_ALL / (files > 0 ? files : 1);
    if (budget > RUNS_PER_FILE_MAX) {
        budget = RUNS_PER_FILE_MAX;
    }
    if (budget < RUNS_PER_FILE_MIN) {
        budget = RUNS_PER_FILE_MIN;
    }
    run_without_corpus();
    for (int i = 1; i < argc; i++) {
        failed |= each_file(argv[i], budget, &again);
    }
    printf("%zu files, %zu runs\n", files, runs);
    return failed;
}
