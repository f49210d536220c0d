/* The faults that guest_fault makes in the transfers of a device. It reads them from KIND.faults,
 * which faults.py writes, each time a device is opened:
 *
 *     SEED SKIP [record] [replay] [FAULT=RATE...]
 *
 * A rate is per thousand units. If the seed is unchanged, the random sequence continues. The counts
 * of faults and units, or of replayed units, are written to KIND.done. */
#ifndef POSTERN_TESTS_GUEST_FAULTS_H
#define POSTERN_TESTS_GUEST_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault { DROP, DUPLICATE, REORDER, CORRUPT, DELAY, TRUNCATE, STALL, RESET, NONE };

struct said { /* a unit that was recorded */
    struct said *next;
    size_t len;
    uint8_t bytes[];
};

/* A device of the kind is opened: "usb" or "pcie". */
void faults_begin(const char *kind);
/* Chooses the fault of the next unit. */
enum fault faults_choose(void);
unsigned faults_below(unsigned n); /* a random number */
void faults_pause(unsigned ms);
void faults_delay(void);
/* Writes the counts. */
void faults_tell(void);
/* Records a unit if recording is on. */
void faults_record(const uint8_t *bytes, size_t len);
/* Returns the next unit to replay, or NULL; once after each faults_begin. Counts the units. */
const struct said *faults_replay(void);

#endif
