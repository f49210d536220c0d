/* guest_fault LINK LINK: `postern bridge` with the faults of guest/faults.h between a carrier and
 * its device: for usb between the carrier and libusb (parts/usb_faults.c), for pcie between the
 * carrier and configuration space (parts/pcie_faults.c). Both replace functions of a library by
 * defining them first.
 */
#include <signal.h>
#include <stdio.h>

#include "guest/faults.h"
#include "posix/bridge/bridge.h"
#include "posix/links/table.h"

static void note(void *ctx, const char *text)
{
    (void)ctx;
    faults_tell();
    fprintf(stderr, "guest_fault: %s\n", text);
}

int main(int argc, char **argv)
{
    struct pst_bridge_config config = {.note = note};
    uv_loop_t loop;
    char why[512] = "expected two links";

    (void)signal(SIGPIPE, SIG_IGN);
    if (argc != 3 || uv_loop_init(&loop) != 0 ||
        pst_address_parse(&config.a, pst_schemes, argv[1], why, sizeof why) != PST_OK ||
        pst_address_parse(&config.b, pst_schemes, argv[2], why, sizeof why) != PST_OK ||
        pst_bridge_run(&loop, &config, why, sizeof why) != PST_OK) {
        fprintf(stderr, "guest_fault: %s\n", why);
        return 1;
    }
    return 0;
}
