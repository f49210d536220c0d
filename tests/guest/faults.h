/* What guest_fault does to the transfers of a device, and how much of it: read from KIND.faults
 * each time a device is opened, where faults.py put it,
 *
 *     SEED SKIP [record] [replay] [FAULT=RATE...]
 *
 * a rate in a thousand units. While the seed stays, it goes on where it was. How many faults there
 * were in how many units goes to KIND.done, or how many units were said again.
 */
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
/* What befalls the next unit. */
enum fault faults_choose(void);
unsigned faults_below(unsigned n); /* a random number */
void faults_pause(unsigned ms);
void faults_delay(void);
/* Says how many there were. */
void faults_tell(void);
/* Recorded, if it was asked for. */
void faults_record(const uint8_t *bytes, size_t len);
/* What is to be said again, or NULL: once after each faults_begin. Each is counted. */
const struct said *faults_replay(void);

#endif
