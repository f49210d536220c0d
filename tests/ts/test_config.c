/* A configuration with a missing field is refused at init with a sentence that names the field. */
#include "ts/net.h"

/* A good configuration, all of it in one place so that a test can spoil any part. */
struct parts {
    struct net *n;
    struct pst_target_config config;
    struct pst_spdm_config spdm;
    struct pst_policy policy;
    struct pst_space memory;
    struct pst_slot slot;
    struct pst_signer signer;
    struct pst_target_buffers buffers[NET_CONTEXTS];
    size_t count;
};

static void good(struct parts *p, struct net *n)
{
    memset(p, 0, sizeof *p);
    p->n = n;
    p->config = n->config;
    p->spdm = n->spdm;
    p->policy = n->policy;
    p->memory = n->memory;
    p->slot = *n->spdm.slots[0];
    p->signer = *p->slot.signer;
    p->slot.signer = &p->signer;
    p->spdm.slots[0] = &p->slot;
    p->config.spdm = &p->spdm;
    p->config.policy = &p->policy;
    p->config.spaces[PST_AS_MEMORY] = &p->memory;
    memcpy(p->buffers, n->buffers, sizeof p->buffers);
    p->count = NET_CONTEXTS;
}

#define FORGET(name, what)                                                                         \
    static void name(struct parts *p)                                                              \
    {                                                                                              \
        what;                                                                                      \
    }
FORGET(spdm, p->config.spdm = NULL)
FORGET(crypto, p->spdm.crypto = NULL)
FORGET(now_ms, p->spdm.now_ms = NULL)
FORGET(verifier, p->spdm.verifier = NULL)
FORGET(mutual, p->spdm.mutual = PST_MUTUAL_NONE)
FORGET(known_peer, p->spdm.mutual = PST_MUTUAL_PLAIN)
FORGET(capabilities, p->spdm.capabilities = 0)
FORGET(no_mutual_auth, p->spdm.capabilities &= ~PST_CAP_MUT_AUTH)
FORGET(min_minor, p->spdm.min_minor = 0)
FORGET(max_minor, p->spdm.max_minor = 0)
FORGET(max_minor_4, p->spdm.max_minor = 4)
FORGET(transfer_size, p->spdm.transfer_size = 0)
FORGET(short_transfer, p->spdm.transfer_size = 125)
FORGET(ct_exponent, p->spdm.ct_exponent = 32)
FORGET(slot, p->spdm.slots[0] = NULL)
FORGET(certs, p->slot.certs = NULL)
FORGET(certs_len, p->slot.certs_len = 0)
FORGET(root_len, p->slot.root_len = 0)
FORGET(long_root, p->slot.root_len = p->slot.certs_len + 1)
FORGET(signer, p->slot.signer = NULL)
FORGET(sign, p->signer.sign = NULL)
FORGET(hashes, p->spdm.hashes = NULL)
FORGET(sigs, p->spdm.sigs = NULL)
FORGET(peer_sigs, p->spdm.peer_sigs = NULL)
FORGET(dhs, p->spdm.dhs = NULL)
FORGET(aeads, p->spdm.aeads = (const uint8_t *)"")
FORGET(policy, p->config.policy = NULL)
FORGET(ranges, p->policy.allow.count = PST_MAX_RANGES + 1)
FORGET(device, p->config.device = NULL)
FORGET(empty_device, p->config.device = "")
FORGET(audit, p->config.audit.line = NULL)
FORGET(scm, p->config.spaces[PST_AS_SCM] = &p->memory)
FORGET(right, p->memory.right = NULL)
FORGET(perform, p->memory.perform = NULL)
FORGET(native, p->config.native = NULL)
FORGET(path_count, p->config.path_count = 0)
FORGET(paths, p->config.paths = NULL)
FORGET(one_context, p->count = 1)
FORGET(queue, p->buffers[1].queue = NULL)
FORGET(queue_len, p->buffers[1].queue_len = 255)
FORGET(mailbox, p->buffers[2].mailbox = NULL)
FORGET(short_mailbox, p->spdm.transfer_size = 126; p->buffers[0].mailbox_len = 2 * 214 - 1)
FORGET(mailbox_len, p->buffers[2].mailbox_len = 2 * NET_TRANSFER - 1)

static const struct {
    void (*forget)(struct parts *p);
    const char *names;
} rows[] = {
    {spdm,           "spdm is not set"       },
    {crypto,         "crypto is not set"     },
    {now_ms,         "spdm.now_ms"           },
    {verifier,       "spdm.verifier"         },
    {mutual,         "spdm.mutual"           },
    {known_peer,     "spdm.known_peer"       },
    {capabilities,   "spdm.capabilities"     },
    {no_mutual_auth, "spdm.capabilities"     },
    {min_minor,      "spdm.min_minor"        },
    {max_minor,      "max_minor"             },
    {max_minor_4,    "max_minor"             },
    {transfer_size,  "spdm.transfer_size"    },
    {short_transfer, "KEY_EXCHANGE"          },
    {ct_exponent,    "spdm.ct_exponent"      },
    {slot,           "spdm.slots[0]"         },
    {certs,          "spdm.slots"            },
    {certs_len,      "spdm.slots"            },
    {root_len,       "root_len"              },
    {long_root,      "root_len"              },
    {signer,         "no signer"             },
    {sign,           "no signer"             },
    {hashes,         "spdm.hashes"           },
    {sigs,           "spdm.sigs"             },
    {peer_sigs,      "spdm.peer_sigs"        },
    {dhs,            "spdm.dhs"              },
    {aeads,          "spdm.aeads"            },
    {policy,         "policy is not set"     },
    {ranges,         "policy.allow.count"    },
    {device,         "device is not set"     },
    {empty_device,   "device is not set"     },
    {audit,          "audit.line"            },
    {scm,            "spaces[PST_AS_SCM]"    },
    {right,          "no right or no perform"},
    {perform,        "no right or no perform"},
    {native,         "native"                },
    {path_count,     "path_count"            },
    {paths,          "paths"                 },
    {one_context,    "two contexts"          },
    {queue,          "queue"                 },
    {queue_len,      "queue"                 },
    {mailbox,        "mailbox"               },
    {short_mailbox,  "mailbox"               },
    {mailbox_len,    "mailbox"               },
};

static void test_each_field_forgotten(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct pst_target target, before;
    struct pst_target_context contexts[NET_CONTEXTS];
    struct parts p;
    (void)state;

    good(&p, n);
    CHECK(pst_target_config_check(&p.config, p.buffers, p.count) == NULL);
    CHECK_EQ(pst_target_init(&target, &p.config, contexts, p.buffers, p.count), PST_OK);
    memset(&target, 0x5A, sizeof target);
    before = target;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        good(&p, n);
        rows[i].forget(&p);
        const char *why = pst_target_config_check(&p.config, p.buffers, p.count);
        if (why == NULL || strstr(why, rows[i].names) == NULL) {
            fprintf(stderr, "%s: %s\n", rows[i].names, why != NULL ? why : "accepted");
        }
        CHECK(why != NULL && strstr(why, rows[i].names) != NULL);
        CHECK_EQ(pst_target_init(&target, &p.config, contexts, p.buffers, p.count), PST_ERR_CONFIG);
        CHECK_BYTES(&target, &before, sizeof target);
    }
    net_free(n);
}

/* Data that the configuration points to as const does not change during a session. */
static void test_nothing_const_is_written(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct parts before, after;
    uint8_t word[4] = {1};
    (void)state;

    good(&before, n);
    struct net_side *s = net_connect(n, 0, &net_keys.ada);
    CHECK_EQ(pst_debugger_state(&s->dts), PST_DEBUGGER_READY);
    CHECK_EQ(net_op(s, true, PST_AS_MEMORY, NET_RAM_AT, word, 4), PST_OK);
    pst_debugger_stop(&s->dts);
    net_run_for(n, 1000);
    good(&after, n);
    CHECK_BYTES(&after.config.audit, &before.config.audit, sizeof after.config.audit);
    CHECK_BYTES(&after.policy, &before.policy, sizeof after.policy);
    CHECK_BYTES(&after.memory, &before.memory, sizeof after.memory);
    CHECK_BYTES(&after.signer, &before.signer, sizeof after.signer);
    CHECK(after.spdm.keys.place == before.spdm.keys.place);
    CHECK(after.spdm.hooks.established == NULL && after.spdm.hooks.vendor == NULL);
    CHECK(!after.spdm.require_mutual);
    net_free(n);
}

static void test_links_without_sense(void **state)
{
    struct net *n = net_new(&net_keys.pump, "debug");
    struct pst_link_traits traits = pst_stream_traits;
    (void)state;

    traits.mtu = PST_LINK_MIN_MESSAGE - 1;
    CHECK_EQ(pst_target_link_up(&n->target, 7, &traits), PST_ERR_ARGUMENT);
    traits.mtu = PST_LINK_MIN_MESSAGE;
    for (unsigned len = 0; len < 16; len++) {
        const bool fits = len == 0 || len == 2 || len == 8;
        traits.sequence_len = (uint8_t)len;
        traits.lossy = false;
        CHECK_EQ(pst_target_link_up(&n->target, len, &traits), fits ? PST_OK : PST_ERR_ARGUMENT);
        traits.lossy = true;
        CHECK_EQ(pst_target_link_up(&n->target, 100 + len, &traits),
                 fits && len != 0 ? PST_OK : PST_ERR_ARGUMENT);
    }
    net_free(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_field_forgotten),
        cmocka_unit_test(test_nothing_const_is_written),
        cmocka_unit_test(test_links_without_sense),
    };
    return cmocka_run_group_tests(tests, net_keys_make, net_keys_free);
}
