/* usb: the pipes of a device with a hostile host. The test decides when transfers end.
 *
 * pst-link: all */
#include "posix/links/carriers.h"
#include "posix/links/usb/bulk.h"

enum { STREAM = 0x1234 };

static uv_loop_t loop;
static struct pst_usb_bulk bulk;
static struct end owner;
static bool no_room;
static struct pst_usb_slot *reads[PST_USB_READS], *writes[PST_USB_WRITES]; /* under way */
static unsigned read_count, write_count;

static bool start_read(void *ctx, struct pst_usb_slot *slot)
{
    (void)ctx;
    reads[read_count++] = slot;
    return true;
}

static bool start_write(void *ctx, struct pst_usb_slot *slot)
{
    (void)ctx;
    writes[write_count++] = slot;
    return true;
}

static void opened(void *ctx, struct pst_carrier *c)
{
    (void)ctx;
    if (no_room) {
        return;
    }
    CHECK(owner.carrier == NULL);
    end_init(&owner, &loop);
    owner.carrier = c;
    pst_carrier_own(c, &end_events, &owner);
    end_open(&owner);
}

static void ended(void *ctx, struct pst_carrier *c, bool told)
{
    (void)ctx;
    (void)told;
    pst_usb_carrier_down(c, NULL);
}

static void no_news(void *ctx)
{
    (void)ctx;
}

static const struct pst_usb_mover mover = {
    .read = start_read, .write = start_write, .opened = opened, .ended = ended, .news = no_news};

/* The host sends one transfer: of a kind without bytes, or so many zeros. */
static void host_says(uint8_t kind, uint32_t stream)
{
    struct pst_usb_slot *slot = reads[0];

    CHECK(read_count > 0);
    memmove(reads, reads + 1, --read_count * sizeof *reads);
    memset(slot->buffer, 0, PST_USB_HEAD);
    slot->buffer[0] = kind;
    slot->buffer[1] = 'U';
    pst_poke_u32(slot->buffer + 4, stream);
    pst_usb_bulk_moved(slot, false, PST_USB_HEAD);
}

/* It reads one; the kind. */
static uint8_t host_hears(void)
{
    struct pst_usb_slot *slot = writes[0];

    CHECK(write_count > 0);
    memmove(writes, writes + 1, --write_count * sizeof *writes);
    const uint8_t kind = slot->buffer[0];
    pst_usb_bulk_moved(slot, false, slot->len);
    return kind;
}

static void start(void)
{
    CHECK_EQ(uv_loop_init(&loop), 0);
    CHECK_EQ(pst_usb_bulk_init(&bulk, &loop, &mover, NULL, "usb:"), PST_OK);
    pst_usb_pipe_listen(&bulk.pipe);
    pst_usb_bulk_go(&bulk);
    UNTIL(&loop, read_count == PST_USB_READS, 1000);
}

static void stop(void)
{
    pst_usb_bulk_end(&bulk, PST_OK, "");
    pst_usb_bulk_close(&bulk, NULL);
    loop_end(&loop);
    memset(&owner, 0, sizeof owner);
    read_count = write_count = 0;
    no_room = false;
}

/* A host has opened a stream and does not read: all writes are in progress. */
static void start_stuck(void)
{
    start();
    host_says(PST_USB_OPEN, STREAM);
    CHECK_EQ(host_hears(), PST_USB_OPENS);
    owner.to_send = 1000000;
    end_push(&owner);
    CHECK_EQ(write_count, PST_USB_WRITES);
}

/* A host that reads slowly gets the end of a stream, however late. */
static void test_late(void **state)
{
    (void)state;
    start_stuck();
    pst_carrier_finish(owner.carrier);
    UNTIL(&loop, owner.down, PST_CARRIER_FINISH_MS + 1000);
    for (int i = 0; i < PST_USB_WRITES; i++) {
        CHECK_EQ(host_hears(), PST_USB_DATA);
    }
    CHECK_EQ(write_count, 1);
    CHECK_EQ(host_hears(), PST_USB_CLOSE);
    stop();
}

/* A host disappears before it has read anything. All writes are blocked, and the answer to its OPEN
 * waits behind them. */
static void test_dead(void **state)
{
    (void)state;
    start_stuck();
    host_says(PST_USB_OPEN, STREAM + 1);
    CHECK(owner.carrier != NULL && !owner.down);
    UNTIL(&loop, owner.down, PST_USB_DEAD_MS + 2000);
    CHECK_EQ(owner.why, PST_ERR_TIMEOUT);
    stop();
}

/* A device without room for a host refuses it at once. */
static void test_no_room(void **state)
{
    (void)state;
    start();
    no_room = true;
    host_says(PST_USB_OPEN, STREAM);
    UNTIL(&loop, write_count == 1, 1000);
    CHECK_EQ(host_hears(), PST_USB_CLOSE);
    CHECK_EQ(write_count, 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_late), cmocka_unit_test(test_dead),
                                       cmocka_unit_test(test_no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
