/* A program outside Postern's tree: a target and a debugger in one process, with real identities.
 * The debugger reads a text from the target's memory. Exit code 0 when it came through. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "openssl/openssl_port.h"
#include "openssl/pki.h"
#include "postern/debugger.h"
#include "postern/profile.h"
#include "postern/target.h"
#include "postern/version.h"

#define DEVICE "Acme:Pump:0042"
#define TRANSFER PST_PROFILE_TRANSFER

static char memory[] = "hello from the pump";
static uint64_t now;
static char why[256];

static void must(pst_err err, const char *what)
{
    if (err != PST_OK) {
        fprintf(stderr, "talk: %s: %s (%s)\n", what, pst_err_text(err), why);
        exit(1);
    }
}

static uint64_t milliseconds(void *ctx)
{
    (void)ctx;
    return now;
}

static uint64_t no_wall(void *ctx)
{
    (void)ctx;
    return 0;
}

static pst_err log_line(void *ctx, const char *line, size_t len, enum pst_audit_when when)
{
    (void)ctx;
    (void)line;
    (void)len;
    (void)when;
    return PST_OK;
}

static uint8_t right_of(void *ctx, uint64_t address, bool write)
{
    (void)ctx;
    (void)address;
    return write ? PST_RIGHT_WRITE : PST_RIGHT_READ;
}

static pst_err perform(void *ctx, struct pst_access *a)
{
    (void)ctx;
    if (a->write || a->address > sizeof memory || a->len > sizeof memory - a->address) {
        return PST_ERR_FAULT;
    }
    memcpy(a->data, memory + a->address, a->len);
    return PST_OK;
}

static void make_identity(struct pst_identity *id, const char *dir)
{
    must(pst_identity_load(id, dir, why, sizeof why), dir);
}

static void make_trust(struct pst_trust *trust, const char *path)
{
    must(pst_trust_init(trust), "trust");
    must(pst_trust_add(trust, path, why, sizeof why), path);
}

static void configure(struct pst_spdm_config *config, const struct pst_identity *id,
                      struct pst_trust *trust, bool target)
{
    const struct pst_profile_parts parts = {
        .crypto = pst_openssl_crypto(),
        .slot = &id->slot,
        .verifier = &trust->verifier,
        .now_ms = milliseconds,
    };
    (target ? pst_profile_target : pst_profile_debugger)(config, &parts);
}

/* Every message that there is, both ways. */
static void move(struct pst_debugger *d, struct pst_target *t)
{
    static uint8_t msg[65600];
    uint8_t kind;
    size_t len;

    for (unsigned i = 0; i < 100; i++, now++) {
        while ((len = pst_debugger_output(d, &kind, msg, sizeof msg)) > 0) {
            must(pst_target_receive(t, 1, kind, msg, len), "target");
        }
        while ((len = pst_target_output(t, 1, &kind, msg, sizeof msg)) > 0) {
            must(pst_debugger_receive(d, kind, msg, len), "debugger");
        }
        (void)pst_target_poll(t);
        (void)pst_debugger_poll(d);
    }
}

static void make_files(void)
{
    const struct pst_pki_options o = {.algorithm = PST_ECDSA_P256};

    must(pst_pki_init("ca", &o, why, sizeof why), "pki init");
    must(pst_pki_target("ca", DEVICE, "pump", &o, why, sizeof why), "pki target");
    must(pst_pki_engineer("ca", "ada", "observe", "ada", &o, why, sizeof why), "pki engineer");
}

int main(void)
{
    static struct pst_target target;
    static struct pst_target_context contexts[2];
    static struct pst_debugger debugger;
    static uint8_t queue[2][4096], mailbox[2][2 * TRANSFER], debugger_mailbox[2 * TRANSFER];
    static struct pst_identity pump, ada;
    static struct pst_trust devices, engineers;
    struct pst_spdm_config of_target, of_debugger;
    struct pst_policy policy = {0};
    char text[sizeof memory] = "";

    make_files();
    make_identity(&pump, "pump");
    make_identity(&ada, "ada");
    make_trust(&devices, "ca/devices.pem");
    make_trust(&engineers, "ca/engineers.pem");
    configure(&of_target, &pump, &engineers, true);
    configure(&of_debugger, &ada, &devices, false);
    must(pst_grants_parse(&policy.allow, "debug", 5, false, NULL), "policy");

    const struct pst_space space = {.right = right_of, .perform = perform};
    const struct pst_target_config config = {
        .spdm = &of_target,
        .policy = &policy,
        .device = DEVICE,
        .spaces = {[PST_AS_MEMORY] = &space},
        .audit = {.line = log_line, .wall_s = no_wall},
    };
    const struct pst_target_buffers buffers[2] = {
        {queue[0], sizeof queue[0], mailbox[0], sizeof mailbox[0]},
        {queue[1], sizeof queue[1], mailbox[1], sizeof mailbox[1]},
    };
    const struct pst_debugger_config debugger_config = {
        .spdm = &of_debugger,
        .device = DEVICE,
        .spaces = 1u << PST_AS_MEMORY,
        .mailbox = debugger_mailbox,
        .mailbox_len = sizeof debugger_mailbox,
    };
    must(pst_target_init(&target, &config, contexts, buffers, 2), "target");
    must(pst_target_link_up(&target, 1, &pst_stream_traits), "link");
    must(pst_debugger_init(&debugger, &debugger_config), "debugger");
    must(pst_debugger_start(&debugger, &pst_stream_traits), "start");
    move(&debugger, &target);
    must(pst_debugger_why(&debugger), "session");

    struct pst_spp_op op = {
        .space = PST_AS_MEMORY, .data = (uint8_t *)text, .len = (uint32_t)sizeof text};
    pst_debugger_read(&debugger, &op);
    move(&debugger, &target);
    must(op.result, "read");
    printf("postern %s: %s\n", PST_VERSION, text);

    pst_debugger_wipe(&debugger);
    while (pst_target_stop(&target, PST_OK) == PST_PENDING) {
    }
    pst_identity_free(&pump);
    pst_identity_free(&ada);
    pst_trust_free(&devices);
    pst_trust_free(&engineers);
    return strcmp(text, memory) == 0 ? 0 : 1;
}
