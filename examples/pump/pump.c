/* A pump controller with a real bug, to be found and fixed with a debugger.
 *
 * Each millisecond the controller samples the outlet pressure, keeps the last eight raw readings,
 * steers the motor towards a setpoint and checks that the setpoint is safe for the pipes. Every 32
 * samples it reads the setpoint from the operator's panel again. If the setpoint leaves the safe
 * band the pump enters PUMP_ALARM and idles. It runs again after the setpoint has stayed inside the
 * band for 16 samples. Both changes are reported on the UART.
 *
 * Shortly after reset the pump goes into alarm and never leaves it. The session in pump.gdb finds
 * the cause and fixes it while the program runs.
 *
 * Bare metal: RV32, QEMU `virt`, machine mode, no library. */

#include <stdbool.h>
#include <stdint.h>

#define UART_TX (*(volatile uint8_t *)0x10000000u)
#define UART_STATUS (*(volatile uint8_t *)0x10000005u)
#define UART_TX_EMPTY 0x20u
#define MTIMECMP_LO (*(volatile uint32_t *)0x02004000u)
#define MTIMECMP_HI (*(volatile uint32_t *)0x02004004u)
#define MTIME_LO (*(volatile uint32_t *)0x0200bff8u)
#define MTIME_HI (*(volatile uint32_t *)0x0200bffcu)

#define MTIME_PER_TICK 10000u /* one millisecond of the 10 MHz clock */
#define MIE_TIMER (1u << 7)
#define MSTATUS_MIE (1u << 3)

#define HISTORY_LEN 8u
#define PANEL_PERIOD 32u  /* samples between two reads of the panel */
#define SETTLE_SAMPLES 16 /* good samples before an alarm is lifted */

enum pump_state {
    PUMP_STOPPED,
    PUMP_RUNNING,
    PUMP_ALARM,
};

struct sensor {
    uint16_t counts;         /* last reading of the converter */
    uint16_t zero_counts;    /* its reading at no pressure */
    uint16_t counts_per_kpa; /* its slope */
    int32_t kpa;             /* the filtered pressure */
};

struct pump_config {
    int32_t setpoint_kpa; /* what the operator's panel asks for */
    int32_t idle_kpa;     /* kept while in alarm */
    int32_t min_kpa;      /* the safe band of setpoints */
    int32_t max_kpa;
};

struct pump {
    enum pump_state state;
    int32_t pressure_kpa; /* the simulated plant: true outlet pressure */
    int32_t settled;      /* good samples in a row */
    uint32_t samples;
    uint32_t alarms; /* times PUMP_ALARM was entered */
    struct sensor outlet;
    struct pump_config config;
};

struct history {
    int32_t counts[HISTORY_LEN];
};

/* The text that the demo searches recordings for. Not const: a debugger may read read-only sections
 * from the ELF file instead of asking the pump. */
char pump_marker[] = "POSTERN-PUMP-MARKER-7f3a91c2e5d8";

__attribute__((section(".data.plant.history"))) struct history history = {{0}};
__attribute__((section(".data.plant.setpoint"))) int32_t setpoint_kpa = 400;

uint32_t history_next;
uint32_t history_last = HISTORY_LEN; /* the highest index to fill before starting over */

volatile uint32_t ticks;

struct pump pump = {
    .state = PUMP_RUNNING,
    .pressure_kpa = 250,
    .outlet = {.zero_counts = 200, .counts_per_kpa = 8, .kpa = 250},
    .config = {.setpoint_kpa = 400, .idle_kpa = 250, .min_kpa = 100, .max_kpa = 600},
};

/* --- clock --------------------------------------------------------------------------------- */

static void timer_arm(void)
{
    uint32_t high, low;

    do {
        high = MTIME_HI;
        low = MTIME_LO;
    } while (high != MTIME_HI);

    uint32_t next = low + MTIME_PER_TICK;
    MTIMECMP_HI = UINT32_MAX; /* no early interrupt from a half-written pair */
    MTIMECMP_LO = next;
    MTIMECMP_HI = high + (next < low);
}

__attribute__((interrupt("machine"), aligned(4))) void timer_interrupt(void)
{
    ticks++;
    timer_arm();
}

static void timer_start(void)
{
    timer_arm();
    __asm__ volatile("csrw mtvec, %0" ::"r"(timer_interrupt));
    __asm__ volatile("csrs mie, %0" ::"r"(MIE_TIMER));
    __asm__ volatile("csrs mstatus, %0" ::"r"(MSTATUS_MIE));
}

static void tick_wait(uint32_t seen)
{
    while (ticks == seen) {
        __asm__ volatile("wfi");
    }
}

/* --- operator ------------------------------------------------------------------------------ */

static void say(const char *line)
{
    for (; *line != '\0'; line++) {
        while ((UART_STATUS & UART_TX_EMPTY) == 0) {
        }
        UART_TX = (uint8_t)*line;
    }
}

void panel_poll(const struct pump_config *config)
{
    setpoint_kpa = config->setpoint_kpa;
}

/* --- sensor -------------------------------------------------------------------------------- */

void history_push(int32_t counts)
{
    history.counts[history_next] = counts;
    history_next++;
    if (history_next > history_last) {
        history_next = 0;
    }
}

/* Adds `len` readings by halves, which keeps each partial sum small if the window is wide. */
int32_t history_sum(uint32_t first, uint32_t len)
{
    if (len == 1) {
        return history.counts[first];
    }
    uint32_t half = len / 2;
    int32_t left = history_sum(first, half);
    int32_t right = history_sum(first + half, len - half);
    return left + right;
}

static uint16_t sensor_convert(const struct sensor *sensor, int32_t kpa, uint32_t sample)
{
    uint32_t noise = (sample * 5u) % 7u;
    return (uint16_t)(sensor->zero_counts + (uint32_t)kpa * sensor->counts_per_kpa + noise);
}

void sensor_read(struct sensor *sensor, int32_t kpa, uint32_t sample)
{
    sensor->counts = sensor_convert(sensor, kpa, sample);
    history_push(sensor->counts);
    int32_t sum = history_sum(0, HISTORY_LEN);
    int32_t mean = sum / (int32_t)HISTORY_LEN;
    sensor->kpa = (mean - sensor->zero_counts) / sensor->counts_per_kpa;
}

/* --- control ------------------------------------------------------------------------------- */

static bool setpoint_safe(const struct pump_config *config)
{
    return setpoint_kpa >= config->min_kpa && setpoint_kpa <= config->max_kpa;
}

void pump_enter(struct pump *p, enum pump_state state)
{
    p->state = state;
    if (state == PUMP_ALARM) {
        p->alarms++;
        say("pump: ALARM, setpoint outside the safe band\r\n");
    } else {
        say("pump: running\r\n");
    }
}

static void pump_check(struct pump *p)
{
    p->settled = setpoint_safe(&p->config) ? p->settled + 1 : 0;
    if (p->state == PUMP_RUNNING && p->settled == 0) {
        pump_enter(p, PUMP_ALARM);
    } else if (p->state == PUMP_ALARM && p->settled >= SETTLE_SAMPLES) {
        pump_enter(p, PUMP_RUNNING);
    }
}

static void pump_drive(struct pump *p)
{
    int32_t goal = p->state == PUMP_RUNNING ? setpoint_kpa : p->config.idle_kpa;
    if (p->pressure_kpa < goal) {
        p->pressure_kpa++;
    } else if (p->pressure_kpa > goal) {
        p->pressure_kpa--;
    }
}

void pump_step(struct pump *p)
{
    p->samples++;
    sensor_read(&p->outlet, p->pressure_kpa, p->samples);
    if (p->samples % PANEL_PERIOD == 0) {
        panel_poll(&p->config);
    }
    pump_check(p);
    pump_drive(p);
}

int main(void)
{
    timer_start();
    for (;;) {
        uint32_t seen = ticks;
        pump_step(&pump);
        tick_wait(seen);
    }
}
