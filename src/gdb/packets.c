#include "gdb/gdb.h"

#include <string.h>

/* --- packets that need no target --- */

static void on_supported(struct pst_gdb_server *g, struct pst_reader *r)
{
    static const uint8_t target_xml[] = "target.xml";
    struct psti_gdb_reply reply;
    (void)pst_rsp_take_char(r, ':');
    while (r->left > 0) {
        struct pst_bytes word = pst_rsp_get_until(r, ';');
        if (word.len == 8 && memcmp(word.at, "swbreak+", 8) == 0) {
            g->gdb_swbreak = true;
        } else if (word.len == 8 && memcmp(word.at, "hwbreak+", 8) == 0) {
            g->gdb_hwbreak = true;
        }
    }
    psti_gdb_reply_begin(g, &reply);
    pst_rsp_put_text(&reply.p, "PacketSize=");
    pst_rsp_put_number(&reply.p, g->config.packet_size);
    pst_rsp_put_text(&reply.p, ";QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+"
                               ";qXfer:threads:read+");
    if (psti_gdb_annex(g, (struct pst_bytes){target_xml, sizeof target_xml - 1}).at != NULL) {
        pst_rsp_put_text(&reply.p, ";qXfer:features:read+");
    }
    if (g->cache.map_len > 0) {
        pst_rsp_put_text(&reply.p, ";qXfer:memory-map:read+");
    }
    psti_gdb_reply_end(g, &reply);
}

static void on_no_ack(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_text(g, "OK");
    g->no_ack = true;
}

static void on_ok(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_text(g, "OK");
}

static void on_empty(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_text(g, "");
}

static void on_attached(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_text(g, "1"); /* gdb did not start the program: it detaches and does not kill */
}

static void on_offsets(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_text(g, "Text=0;Data=0;Bss=0");
}

static void on_vcont_query(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_text(g, "vCont;c;C;s;S;t;r");
}

static void on_file(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_text(g, "F-1,d"); /* EACCES: there is no access to files */
}

static void on_non_stop(struct pst_gdb_server *g, struct pst_reader *r)
{
    if (pst_rsp_take(r, "0") && r->left == 0) {
        psti_gdb_reply_text(g, "OK");
    } else {
        psti_gdb_reply_error(g, "non-stop mode is not supported", PST_OK);
    }
}

static void on_refused(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_notice(g, "a session debugs the device that it was opened for; run, start and attach "
                       "are not supported");
    psti_gdb_reply_error(g, "run and attach are not supported", PST_OK);
}

static void on_restart(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_notice(g, "restarting the device is not supported");
    g->asked = false; /* R has no reply */
}

static void on_why(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_stop(g);
}

/* --- threads --- */

static void on_current(struct pst_gdb_server *g, struct pst_reader *r)
{
    struct psti_gdb_reply reply;
    (void)r;
    psti_gdb_reply_begin(g, &reply);
    pst_rsp_put_text(&reply.p, "QC");
    pst_rsp_put_number(&reply.p, g->hart);
    psti_gdb_reply_end(g, &reply);
}

static void on_first_threads(struct pst_gdb_server *g, struct pst_reader *r)
{
    struct psti_gdb_reply reply;
    (void)r;
    psti_gdb_reply_begin(g, &reply);
    for (size_t i = 0; i < g->hart_count; i++) {
        pst_rsp_put_char(&reply.p, i == 0 ? 'm' : ',');
        pst_rsp_put_number(&reply.p, g->harts[i]);
    }
    if (g->hart_count == 0) {
        pst_rsp_put_char(&reply.p, 'l');
    }
    psti_gdb_reply_end(g, &reply);
}

static void on_more_threads(struct pst_gdb_server *g, struct pst_reader *r)
{
    (void)r;
    psti_gdb_reply_text(g, "l");
}

/* Takes a thread id. `hart` 0: any, or all. False: there is no such hart. */
static bool get_hart(struct pst_gdb_server *g, struct pst_reader *r, uint32_t *hart)
{
    struct pst_rsp_thread t = pst_rsp_get_thread(r);
    bool any = t.tid == 0 || t.tid == PST_RSP_ALL;
    if (pst_finish(r) != PST_OK || (!any && !psti_gdb_has_hart(g, t.tid))) {
        return false;
    }
    *hart = any ? 0 : (uint32_t)t.tid;
    return true;
}

static void on_alive(struct pst_gdb_server *g, struct pst_reader *r)
{
    uint32_t hart = 0;
    psti_gdb_reply_text(g, get_hart(g, r, &hart) ? "OK" : "E16");
}

static void on_select(struct pst_gdb_server *g, struct pst_reader *r)
{
    uint8_t use = pst_get_u8(r);
    uint32_t hart = 0;
    if ((use != 'g' && use != 'c') || !get_hart(g, r, &hart)) {
        psti_gdb_reply_text(g, "E16");
        return;
    }
    if (use == 'g') {
        g->hart_g = hart;
    } else {
        g->hart_c = hart;
    }
    psti_gdb_reply_text(g, "OK");
}

static void on_thread_info(struct pst_gdb_server *g, struct pst_reader *r)
{
    struct psti_gdb_reply reply;
    uint32_t hart = 0;
    if (!get_hart(g, r, &hart)) {
        psti_gdb_reply_text(g, "E16");
        return;
    }
    bool stopped = g->state == PST_GDB_HALTED;
    psti_gdb_reply_begin(g, &reply);
    pst_rsp_put_hex(&reply.p, stopped ? "halted " : "running", stopped ? 6 : 7);
    psti_gdb_reply_end(g, &reply);
}

/* --- monitor --- */

static void put(struct pst_writer *w, const char *text)
{
    pst_put_bytes(w, text, strlen(text));
}

static void put_count(struct pst_writer *w, const char *what, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    put(w, what);
    pst_put_bytes(w, digits + at, sizeof digits - at);
    put(w, "\n");
}

static void put_counts(const struct pst_gdb_server *g, struct pst_writer *w)
{
    put_count(w, "packets of gdb:       ", g->counters.packets);
    put_count(w, "round trips awaited:  ", g->counters.round_trips);
    put_count(w, "resumes:              ", g->counters.resumes);
    put_count(w, "memory reads, cached: ", g->counters.hits);
    put_count(w, "memory reads, asked:  ", g->counters.misses);
}

static const char help[] = "monitor help      this text\n"
                           "monitor whoami    the engineer, the device and its certificate\n"
                           "monitor session   the session's algorithms and age\n"
                           "monitor policy    what this session may do\n"
                           "monitor stats     packets and round trips\n";

static bool is(const uint8_t *at, size_t len, const char *word)
{
    return len == strlen(word) && memcmp(at, word, len) == 0;
}

static void on_monitor(struct pst_gdb_server *g, struct pst_reader *r)
{
    static const char *const topics[] = {"whoami", "session", "policy"};
    uint8_t word[64];
    size_t len = pst_rsp_get_hex(r, word, sizeof word);
    struct pst_writer w = pst_writer_of(g->work, g->config.packet_size / 2);
    bool known = false;
    if (pst_finish(r) != PST_OK) {
        len = 0;
    }
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        if (is(word, len, topics[i])) {
            known = true;
            if (g->config.backend.monitor != NULL) {
                g->config.backend.monitor(g->config.backend.ctx, topics[i], &w);
            } else {
                put(&w, "not available\n");
            }
        }
    }
    if (is(word, len, "stats")) {
        put_counts(g, &w);
    } else if (!known) {
        put(&w, is(word, len, "help") ? "" : "unknown command; expected one of\n");
        put(&w, help);
    }
    psti_gdb_tell(g);
    psti_gdb_console(g, (const char *)g->work, w.used);
    psti_gdb_reply_text(g, "OK");
}

/* --- the table --- */

enum need {
    NOTHING,   /* answered in every state */
    REACHABLE, /* the target must be there, halted or not */
    HALTED,    /* all harts must be halted */
};

/* The first row whose text begins the packet is taken, so longer texts stand before shorter ones.
 */
static const struct {
    const char *text;
    bool whole; /* nothing may follow the text */
    enum need need;
    psti_gdb_handler run;
} packets[] = {
    {"qSupported",        false, NOTHING,   on_supported            },
    {"QStartNoAckMode",   true,  NOTHING,   on_no_ack               },
    {"vMustReplyEmpty",   true,  NOTHING,   on_empty                },
    {"!",                 true,  NOTHING,   on_ok                   },
    {"?",                 true,  NOTHING,   on_why                  },
    {"g",                 true,  REACHABLE, psti_gdb_on_regs        },
    {"G",                 false, HALTED,    psti_gdb_on_set_regs    },
    {"p",                 false, REACHABLE, psti_gdb_on_reg         },
    {"P",                 false, HALTED,    psti_gdb_on_set_reg     },
    {"m",                 false, REACHABLE, psti_gdb_on_read        },
    {"M",                 false, REACHABLE, psti_gdb_on_write       },
    {"X",                 false, REACHABLE, psti_gdb_on_binary      },
    {"vCont?",            true,  NOTHING,   on_vcont_query          },
    {"vCont",             false, HALTED,    psti_gdb_on_vcont       },
    {"c",                 false, HALTED,    psti_gdb_on_continue    },
    {"C",                 false, HALTED,    psti_gdb_on_continue_sig},
    {"s",                 false, HALTED,    psti_gdb_on_step        },
    {"S",                 false, HALTED,    psti_gdb_on_step_sig    },
    {"Z",                 false, HALTED,    psti_gdb_on_insert      },
    {"z",                 false, HALTED,    psti_gdb_on_remove      },
    {"H",                 false, NOTHING,   on_select               },
    {"T",                 false, NOTHING,   on_alive                },
    {"qC",                true,  NOTHING,   on_current              },
    {"qCRC:",             false, REACHABLE, psti_gdb_on_crc         },
    {"qfThreadInfo",      true,  NOTHING,   on_first_threads        },
    {"qsThreadInfo",      true,  NOTHING,   on_more_threads         },
    {"qThreadExtraInfo,", false, NOTHING,   on_thread_info          },
    {"qXfer:",            false, NOTHING,   psti_gdb_on_xfer        },
    {"qAttached",         false, NOTHING,   on_attached             },
    {"qRcmd,",            false, NOTHING,   on_monitor              },
    {"qOffsets",          true,  NOTHING,   on_offsets              },
    {"qSymbol:",          false, NOTHING,   on_ok                   },
    {"QNonStop:",         false, NOTHING,   on_non_stop             },
    {"vAttach;",          false, NOTHING,   on_refused              },
    {"vRun;",             false, NOTHING,   on_refused              },
    {"vKill",             false, NOTHING,   psti_gdb_on_detach      },
    {"k",                 true,  NOTHING,   psti_gdb_on_kill        },
    {"R",                 false, NOTHING,   on_restart              },
    {"D",                 false, NOTHING,   psti_gdb_on_detach      },
    {"vFile:",            false, NOTHING,   on_file                 },
};

static bool allowed(struct pst_gdb_server *g, enum need need)
{
    if (need == NOTHING || g->state == PST_GDB_HALTED) {
        return true;
    }
    if (g->state == PST_GDB_ENDED || g->state == PST_GDB_DETACHED) {
        psti_gdb_reply_error(g, "the session with the target has ended", PST_OK);
        return false;
    }
    if (need == REACHABLE) {
        return true;
    }
    psti_gdb_reply_error(g, "the CPU is running", PST_OK);
    return false;
}

void psti_gdb_dispatch(struct pst_gdb_server *g)
{
    if (!g->held || g->state == PST_GDB_IDLE || g->state == PST_GDB_ATTACHING) {
        return; /* the packet waits until the CPU is halted */
    }
    g->held = false;
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        struct pst_reader r = pst_reader_of(g->in.buffer, g->in.len);
        if (pst_rsp_take(&r, packets[i].text) && (!packets[i].whole || r.left == 0)) {
            if (allowed(g, packets[i].need)) {
                packets[i].run(g, &r);
            }
            return;
        }
    }
    psti_gdb_reply_text(g, ""); /* an unknown packet is not supported */
}
