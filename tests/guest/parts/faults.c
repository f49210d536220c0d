#include "guest/faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const names[] = {"drop",  "duplicate", "reorder", "corrupt",
                                    "delay", "truncate",  "stall",   "reset"};

static struct {
    const char *kind;
    uint64_t random;
    unsigned seed, rates[NONE], skip, units, done;
    bool records, replays;
    struct said *first, **last;
} faults = {.last = &faults.first};

unsigned faults_below(unsigned n)
{
    faults.random ^= faults.random << 13;
    faults.random ^= faults.random >> 7;
    faults.random ^= faults.random << 17;
    return n > 0 ? (unsigned)(faults.random >> 16) % n : 0;
}

static void take_word(const char *word)
{
    const char *value = strchr(word, '=');

    faults.records = faults.records || strcmp(word, "record") == 0;
    faults.replays = faults.replays || strcmp(word, "replay") == 0;
    for (size_t i = 0; value != NULL && i < NONE; i++) {
        if (strlen(names[i]) == (size_t)(value - word) &&
            memcmp(names[i], word, strlen(names[i])) == 0) {
            faults.rates[i] = (unsigned)strtoul(value + 1, NULL, 10);
        }
    }
}

void faults_begin(const char *kind)
{
    char path[32], word[32];
    unsigned seed = 0, skip = 0;

    snprintf(path, sizeof path, "%s.faults", kind);
    faults.kind = kind;
    faults.records = faults.replays = false;
    memset(faults.rates, 0, sizeof faults.rates);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return;
    }
    if (fscanf(f, "%u %u", &seed, &skip) == 2 && (faults.random == 0 || seed != faults.seed)) {
        faults.seed = seed;
        faults.skip = skip;
        faults.units = faults.done = 0;
        faults.random = UINT64_C(0x9E3779B97F4A7C15) * (2 * (uint64_t)seed + 1);
    }
    while (fscanf(f, " %31s", word) == 1) {
        take_word(word);
    }
    (void)fclose(f);
}

enum fault faults_choose(void)
{
    unsigned at, i = 0;

    if (faults.random == 0 || ++faults.units <= faults.skip) {
        return NONE;
    }
    for (at = faults_below(1000); i < NONE && at >= faults.rates[i]; i++) {
        at -= faults.rates[i];
    }
    faults.done += i < NONE;
    return (enum fault)i;
}

void faults_pause(unsigned ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL);
}

void faults_delay(void)
{
    faults_pause(10 + faults_below(300));
}

void faults_tell(void)
{
    char path[32], new[40];

    if (faults.kind == NULL) {
        return;
    }
    snprintf(path, sizeof path, "%s.done", faults.kind);
    snprintf(new, sizeof new, "%s.new", path);
    FILE *f = fopen(new, "w");
    if (f != NULL) {
        fprintf(f, "%u %u %u\n", faults.seed, faults.done, faults.units);
        (void)fclose(f);
        (void)rename(new, path);
    }
}

void faults_record(const uint8_t *bytes, size_t len)
{
    struct said *s = faults.records ? malloc(sizeof *s + len) : NULL;

    if (s != NULL) {
        s->next = NULL;
        s->len = len;
        memcpy(s->bytes, bytes, len);
        *faults.last = s;
        faults.last = &s->next;
    }
}

const struct said *faults_replay(void)
{
    if (!faults.replays) {
        return NULL;
    }
    faults.replays = false;
    for (const struct said *s = faults.first; s != NULL; s = s->next) {
        faults.done++;
    }
    return faults.first;
}
