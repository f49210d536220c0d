/* The configuration of a target agent: one INI file, then what the command line overrides.
 *
 *     [target]                  identity, trust*, policy*, audit, listen*, call*, device, epoch,
 *                               share-read-only, hold-on-end, fenced, heartbeat, session, handshake
 *     [stub]                    address
 *     [memory NAME]             first, last, kind
 *     [file NAME]               path, base, size, offset, write
 *
 * Keys with * may stand several times. Paths are relative to the current directory. A key, a
 * section or a value that is not understood is an error that names file, line and what was
 * expected: a mistyped restriction is never ignored.
 */
#ifndef POSTERN_POSIX_HOST_TARGET_CONFIG_H
#define POSTERN_POSIX_HOST_TARGET_CONFIG_H

#include "posix/loop/address.h"
#include "postern/policy.h"
#include "postern/space.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PST_CONFIG_LISTS 16 /* entries of a list */
#define PST_CONFIG_REGIONS 32
#define PST_CONFIG_FILES 4
#define PST_CONFIG_NAME 32
#define PST_CONFIG_PATH 512
/* The defaults: everything that a certificate grants is allowed, and the log is written here. */
#define PST_CONFIG_POLICY "debug"
#define PST_CONFIG_AUDIT "postern-audit.jsonl"

struct pst_config_region {
    char name[PST_CONFIG_NAME];
    uint64_t first, last;
    uint8_t kind;
    bool has_first, has_last;
};

struct pst_config_file {
    char name[PST_CONFIG_NAME];
    char path[PST_CONFIG_PATH];
    uint64_t base, size, offset; /* size 0: to the end of the file */
    bool write, has_base;
};

struct pst_target_settings {
    char identity[PST_CONFIG_PATH], audit[PST_CONFIG_PATH];
    char trust[PST_CONFIG_LISTS][PST_CONFIG_PATH];
    size_t trusts;
    struct pst_address listen[PST_CONFIG_LISTS];
    size_t listens;
    struct pst_address call[PST_CONFIG_LISTS];
    size_t calls;
    char device[PST_MAX_NAME]; /* "": taken from the identity */
    char policy_text[1024];
    struct pst_policy policy; /* `allow` after pst_target_settings_finish */
    uint32_t heartbeat_s, session_s, handshake_ms, audit_ahead;
    bool has_stub;
    struct pst_address stub;
    struct pst_config_region regions[PST_CONFIG_REGIONS];
    struct pst_region map[PST_CONFIG_REGIONS]; /* sorted, after finish */
    size_t map_len;
    struct pst_config_file files[PST_CONFIG_FILES];
    size_t file_count;
    bool default_policy, default_audit; /* none was configured: warn */
};

void pst_target_settings_init(struct pst_target_settings *s);
/* PST_ERR_IO: the file cannot be read. PST_ERR_DECODE: see `why`, which quotes `path` and the line.
 */
PST_MUST_CHECK pst_err pst_target_settings_load(struct pst_target_settings *s, const char *path,
                                                char *why, size_t why_cap);
/* Sets one key of [target] or [stub], as the file does. */
PST_MUST_CHECK pst_err pst_target_settings_set(struct pst_target_settings *s, const char *section,
                                               const char *key, const char *value, char *why,
                                               size_t why_cap);
/* Checks that the configuration is complete and consistent; fills in the defaults. */
PST_MUST_CHECK pst_err pst_target_settings_finish(struct pst_target_settings *s, char *why,
                                                  size_t why_cap);

#ifdef __cplusplus
}
#endif

#endif
