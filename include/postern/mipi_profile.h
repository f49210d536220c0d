/* Every value that replaces MIPI text that is not public.
 *
 * The MIPI Security Specification for Debug, FullSPP, the SCM access space and the "Debug over"
 * adaptor headers are only available to MIPI members. The values below are *our* choices and
 * PROVISIONAL. A MIPI member aligns Postern with the member text by editing this file: nothing
 * provisional may be defined anywhere else. docs/wire.md describes the same in prose.
 *
 * Both ends compare PST_PROFILE_VERSION when a link comes up. Change it whenever a value here
 * changes. */
#ifndef POSTERN_MIPI_PROFILE_H
#define POSTERN_MIPI_PROFILE_H

#define PST_PROFILE_VERSION 1

/* Access space numbers. JTAG = 0 is public (TinySPP); the others are provisional. */
enum pst_space_number {
    PST_AS_JTAG = 0,
    PST_AS_MEMORY = 1, /* the TS's 64-bit system addresses */
    PST_AS_RUN = 2,    /* run control of harts, map below */
    PST_AS_TRACE = 3,
    PST_AS_STREAM = 4,
    PST_AS_SCM = 7, /* the security agent's mailbox, map below */
    PST_AS_COUNT = 8,
};

/* FullSPP packet (provisional): a 16-byte header, then the data.
 * Command:  version|opcode u8, flags u8 (as TinySPP byte 1), tag u16, byte count u32, address u64.
 * Response: echo u8, status u8 (as TinySPP byte 1), tag u16, byte count u32, error code u32,
 *           reserved u32. Data follows a response when the command reads.
 * Event:    a response with opcode PST_SPP_EVENT; its tag counts events, and its error code
 *           names the access space.
 * If a command has several responses, all but the last lack Last Response Packet (bit 5). In
 * TinySPP a single response has a zero byte 1 (public), so there all but the last set bit 4. */
#define PST_SPP_FULL_HEADER 16
#define PST_SPP_EVENT 0x0F

/* TinySPP system packets: the public material only shows JTAG, with a 4-byte word. For all other
 * spaces an 8-byte little-endian address takes its place (provisional). */
#define PST_SPP_TINY_ADDRESS 8

/* Response error types (byte 1, bits 3:0; 0 = OK is public, the rest is provisional). The error
 * code is the low byte of the negated pst_err. */
enum pst_spp_error_type {
    PST_SPP_OK = 0,
    PST_SPP_BAD_COMMAND = 1, /* malformed or unknown opcode */
    PST_SPP_BAD_SPACE = 2,   /* access space absent or not enabled */
    PST_SPP_DENIED = 3,      /* no grant allows it */
    PST_SPP_FAULT = 4,       /* the access itself failed */
    PST_SPP_BLOCKED = 5,     /* engine blocked by an earlier fault; UnblockSPEngine clears it */
    PST_SPP_TIMEOUT = 6,     /* a polling loop used up its attempts */
};

/* LoopTrigSystem operand, after the address (provisional): width u8 (1, 2, 4, 8), reserved u8,
 * attempts u16 (0: 65,536), mask u64, match u64. The response carries the last value read, u64. */
#define PST_SPP_LOOP_OPERAND 20

/* Registers of the SP configuration space that are not public: our profile version, and the
 * engine's credit (how many bytes of commands it queues). */
#define PST_SPC_PROFILE 0x1F0
#define PST_SPC_CREDIT 0x1F4

/* SCM access space: the mailbox. Writes at DATA+offset fill in the request, in any number of
 * packets. A write to GO gives its length, u32, and runs it. A read of RESPONSE+offset returns
 * bytes of the answer, and stays pending until there is an answer. STATUS: length of the answer,
 * u32; 0 while there is none. */
enum pst_scm_register {
    PST_SCM_STATUS = 0x0000,
    PST_SCM_GO = 0x0008,
    PST_SCM_HOLD = 0x000C, /* w: u32 1 holds events back (during a key update), 0 releases them */
    PST_SCM_WHO = 0x0010,  /* text: why this session has no rights, such as who holds the target and
                              since when; empty if it has. Only after FINISH */
    PST_SCM_GRANTS = 0x0014,    /* text: the effective grants of this session */
    PST_SCM_DEVICE = 0x0018,    /* text: this device's id */
    PST_SCM_DATA = 0x10000,     /* + offset */
    PST_SCM_RESPONSE = 0x20000, /* + offset; a read returns less at the end of the answer */
};

/* RUN access space. All integers little-endian. A hart is named by the stub's thread id, u32. */
enum pst_run_register {
    PST_RUN_STATUS = 0x0000,    /* r: a stop report (see docs/wire.md), state first */
    PST_RUN_INTERRUPT = 0x0010, /* w: u32 hart or 0; halts, without waiting for earlier commands */
    PST_RUN_RESUME = 0x0020,    /* w: n × {hart u32, action, signal u8, 0 u16, first, end u64} */
    PST_RUN_BREAK = 0x0030,     /* w: n × {set u8, type u8, kind u16, 0 u32, address u64} */
    PST_RUN_GATHER = 0x0040,    /* w: n × {base u8, size u8, offset u16, length u32, add i64} */
    PST_RUN_HARTS = 0x0050,     /* r: n × u32 */
    PST_RUN_DETACH = 0x0060,    /* w: u8 0: resume or stay halted, as the policy says */
    PST_RUN_ARCH = 0x0070,      /* r: architecture in the target description, text */
    PST_RUN_REGISTERS = 0x1000000,    /* + hart << 16: the register block, as in RSP's g */
    PST_RUN_REGISTER = 0x2000000,     /* + hart << 16 + number << 4: one register, as in RSP's p */
    PST_RUN_DESCRIPTION = 0x40000000, /* + offset: n × {name length u8, name, length u32, XML} */
    PST_RUN_MEMORY_MAP = 0x50000000,  /* + offset: n × {first u64, last u64, kind u8, 0 × 7} */
};
enum pst_run_action {
    PST_RUN_CONTINUE = 0,
    PST_RUN_STEP = 1,
    PST_RUN_STEP_RANGE = 2, /* while first <= pc < end */
    PST_RUN_STAY = 3,
};
enum pst_gather_base {
    PST_GATHER_ABSOLUTE = 0,
    PST_GATHER_REGISTER = 1 /* relative to the register at this offset in the g block */
};
enum pst_run_state { PST_RUN_RUNNING = 0, PST_RUN_HALTED = 1, PST_RUN_LOST = 2 };
enum pst_stop_reason {
    PST_STOP_SIGNAL = 0,
    PST_STOP_SW_BREAK = 1,
    PST_STOP_HW_BREAK = 2,
    PST_STOP_WATCH = 3,
    PST_STOP_READ_WATCH = 4,
    PST_STOP_ACCESS_WATCH = 5,
    PST_STOP_EXITED = 6,
};
enum pst_region_kind { PST_REGION_RAM = 1, PST_REGION_ROM = 2, PST_REGION_FLASH = 3 };
/* Stop report: the payload of a RUN event, and what a read of STATUS returns:
 * state u8, reason u8, signal u8, 0 u8, hart u32, address u64 (watch), harts u16, registers u16
 * (bytes), then harts × u32, the register block of `hart`, then gathered memory:
 * n × {address u64, length u32, bytes}. */
#define PST_STOP_REPORT_HEAD 20

/* Link message on byte streams (TCP, Unix sockets): length u24 (of the payload), kind u8, payload.
 * The first message each way is HELLO. Port 7606 is IANA's mipi-debug. */
#define PST_LINK_HEADER 4
#define PST_LINK_PORT 7606
enum pst_link_kind {
    PST_LINK_CONTROL = 0xD1,
    PST_LINK_CLEAR = 0xD2,  /* SPP packets for the bootstrap engine */
    PST_LINK_RECORD = 0xD3, /* one secured message */
    PST_LINK_SPDM = 0xD4,   /* one SPDM message in the clear, unchanged */
};
enum pst_link_control { /* the first byte; then */
                        PST_CONTROL_HELLO =
                            1, /* "MDBG", profile u8, flags u8, 0 u8, largest message u32 */
                        PST_CONTROL_BYE = 2, /* reason u8 (negated pst_err): a hint only, it is not
                                                authenticated */
};
/* Flags of HELLO: what the sender is, and the properties of its own hop. */
#define PST_LINK_FLAG_TARGET 0x01 /* the sender is a TS */
#define PST_LINK_FLAG_SHARED 0x02 /* others can write to it: records carry 8-byte numbers */
#define PST_LINK_FLAG_NATIVE 0x04 /* it carries SPDM messages and records only */
#define PST_LINK_FLAG_POLLED 0x08 /* the TS cannot send on it without being asked */
#define PST_LINK_FLAG_MCTP 0x10   /* records have the form of MCTP's binding (DSP0276) */
#define PST_LINK_FLAGS 0x1F
#define PST_LINK_MAX_MESSAGE 65551 /* the largest record, with its head */

/* Debug data in SPDM: on links that carry SPDM messages and records only, and where a session is
 * managed out of band, debug data travels in VENDOR_DEFINED messages. StandardID is MIPI's in the
 * DMTF registry. The vendor id has two bytes, as the registry says; its value is provisional. So is
 * the payload: a request carries one batch of SPP packets or nothing, the response whatever is
 * ready by then. */
#define PST_VENDOR_STANDARD 6
#define PST_VENDOR_ID                                                                              \
    {                                                                                              \
        0x00, 0x00                                                                                 \
    }
#define PST_VENDOR_ID_LEN 2

/* A data link (data.h): the labels with which the first secret of each direction is derived from
 * the Export Master Secret, and how many records one key protects before the direction's secret is
 * replaced by the next one. */
#define PST_DATA_TO_RESPONDER "mipi data req"
#define PST_DATA_TO_REQUESTER "mipi data rsp"
#define PST_DATA_RATCHET 16384u

/* The reliable link over datagrams (UDP, and inside serial frames; a stand-in for MRUDP): type u8,
 * the fields below, then CRC-32C of all before it. `id` was chosen by the receiver, except in
 * HELLO, where the sender chose it, and in RESET, where it is echoed. Offsets count bytes of a
 * stream of link messages. Offsets and numbers begin at `start`. */
enum pst_datagram {
    PST_DATAGRAM_HELLO = 0xE1,  /* id u32, "MDBG", profile u8, flags u8 (as HELLO), largest datagram
                                   u16, largest message u32, start u32, credit u32, cookie u64 */
    PST_DATAGRAM_COOKIE = 0xE2, /* id u32, cookie u64 */
    PST_DATAGRAM_WELCOME = 0xE3, /* id u32, sender's id u32, profile u8, flags u8, largest datagram
                                    u16, largest message u32, start u32, credit u32 */
    PST_DATAGRAM_DATA = 0xE4,    /* id u32, flags u8, then the flags' fields in this order */
    PST_DATAGRAM_CLOSE = 0xE5,   /* id u32, reason u8 (negated pst_err) */
    PST_DATAGRAM_RESET = 0xE6,   /* id u32 */
};
enum pst_datagram_flag {
    PST_DATAGRAM_ASK = 0x80,   /* number u32: an acknowledgement is requested */
    PST_DATAGRAM_ACK = 0x40,   /* largest number seen u32, end of the credit as an offset u32, then
                                  flags & 0x0F bytes; bit i: number largest - 1 - i is missing */
    PST_DATAGRAM_BYTES = 0x20, /* offset u32, then bytes of the stream; only with ASK */
    PST_DATAGRAM_PAD = 0x10,   /* the rest is zeros, to probe a size; not with BYTES */
};

/* The same datagrams over MCTP. A message is: type u8 (public: "vendor defined, IANA"), enterprise
 * number u32 big-endian, kind of payload u8, datagram. We have no enterprise number: this one is
 * reserved by IANA for documentation. */
#define PST_MCTP_VENDOR 0x7F
#define PST_MCTP_ENTERPRISE 32473
#define PST_MCTP_DATAGRAM 0x01

/* Debug over I3C. The command codes and the order of the bring-up are public (i3c.h). The use of
 * the ports is provisional, and so is the fragment: on PST_I3C_PORT_MESSAGES the bytes of link
 * messages (as on byte streams, above) travel in fragments, one in each private write or read:
 * flags u8, stream u8, sequence u16, acknowledgement u16, bytes, FCS-16 u16 (of all before it,
 * complemented, as in PPP). Sequence: number of the first byte, modulo 65536, counted from 0 in
 * each stream. Acknowledgement: the next byte expected. */
enum pst_i3c_port {
    PST_I3C_PORT_SPP = 0,      /* plain SPP packets, one or more in each transfer */
    PST_I3C_PORT_MESSAGES = 1, /* fragments of link messages */
    PST_I3C_PORTS = 2,
};
#define PST_I3C_FRAGMENT_HEAD 6
#define PST_I3C_FRAGMENT_TAIL 2
#define PST_I3C_WINDOW 8 /* most fragments under way without an acknowledgement */
enum pst_i3c_fragment_flag {
    PST_I3C_OPEN = 0x01, /* DTS: a new stream begins, at 0 in both directions */
    PST_I3C_MORE = 0x02, /* the sender has more bytes than these */
    PST_I3C_WAIT = 0x04, /* earlier bytes are not acknowledged yet */
    PST_I3C_NONE = 0x08, /* TS: it has no stream, or has lost it */
};
#define PST_I3C_STATUS_STOPPED 0x00 /* first byte of the status before any port is started */

/* Through a message broker (MQTT): topics PREFIX/ID/here (presence, retained), PREFIX/ID/CALL/up
 * and PREFIX/ID/CALL/down, where ID is the device's rendezvous id and CALL the connection's random
 * id, 32 hex digits each. Messages of a connection: type u8, then the fields below. With a shared
 * secret all but LOST end in a tag of 16 bytes; the bytes of DATA are encrypted, and the tag
 * protects everything. */
enum pst_broker_type {
    PST_BROKER_OPEN = 0xB1,   /* "MDBG", profile u8, largest chunk u16, window u8 */
    PST_BROKER_OPENED = 0xB2, /* profile u8, nonce (16), largest chunk u16, window u8 */
    PST_BROKER_DATA = 0xB3,   /* number u64, limit u64 (accepts chunks below this number), bytes */
    PST_BROKER_CREDIT = 0xB4, /* number u64 (counts CREDIT messages), limit u64, flags u8 */
    PST_BROKER_CLOSE = 0xB5,  /* chunks sent u64, reason u8 (negated pst_err) */
    PST_BROKER_LOST = 0xB6,   /* sent by the broker as a last will: only a hint */
    PST_BROKER_HERE = 0xB7,   /* presence: profile u8, instance (8), expiry in seconds u32 */
};
#define PST_BROKER_ASK 0x01 /* flag of CREDIT: answer with CREDIT */
#define PST_BROKER_MAGIC "MDBG"
#define PST_BROKER_PREFIX "postern/1" /* of topics, unless another one is configured */

/* Debug over USB. Codes and request numbers are public (usb.h). GET_INFO returns "MDBG", profile
 * u8, 0 u8, largest transfer u16 (0: 65,536). GET_OPERATING_MODE and GET_ERROR return a u8. The
 * bulk pipes of a DvC.GP function carry transfers: kind u8, 'U', bytes u16 (after this head),
 * stream u32, number u32 (counts the DATA transfers of this stream and direction from 0; 0 in other
 * transfers), the bytes, and one more zero byte if the length would be a multiple of
 * PST_USB_PACKET. DATA carries bytes of link messages (as on byte streams, above). */
#define PST_USB_INFO_LEN 8
#define PST_USB_HEAD 12
#define PST_USB_PACKET 64 /* divides the packet size of bulk endpoints at every speed */
enum pst_usb_transfer {
    PST_USB_OPEN = 0xC1,  /* host: begins a stream, at 0 in both directions */
    PST_USB_OPENS = 0xC2, /* device: accepts the stream */
    PST_USB_DATA = 0xC3,
    PST_USB_CLOSE = 0xC4, /* the sender has no more bytes */
    PST_USB_GONE = 0xC5,  /* device: that stream is not open, or no longer */
};
enum pst_usb_mode { PST_USB_MODE_DEBUG = 0 }; /* the only one */
enum pst_usb_error { PST_USB_NO_ERROR = 0, PST_USB_BAD_REQUEST = 1, PST_USB_BAD_VALUE = 2 };

/* Shared memory (a PCIe BAR): two rings of bytes of link messages, as on byte streams. The
 * listener's block is at 0, the caller's at PST_RING_BLOCK; each holds the u32 words below. The
 * listener's ring is at PST_RING_RINGS, the caller's behind it. Each side writes only its own block
 * and ring. */
#define PST_RING_BLOCK 0x100
#define PST_RING_RINGS 0x1000
#define PST_RING_MAGIC_VALUE 0x52545350 /* "PSTR" */
enum pst_ring_word {
    PST_RING_MAGIC = 0x00,
    PST_RING_PROFILE = 0x04,
    PST_RING_SIZE = 0x08,       /* bytes of one ring: the largest power of two that fits twice */
    PST_RING_GENERATION = 0x0C, /* random; 0: not there. A listener's lasts one connection */
    PST_RING_PEER = 0x10,       /* the other side's generation, as confirmed */
    PST_RING_STATE = 0x14,      /* enum pst_ring_state */
    PST_RING_BEAT = 0x18,       /* counts polls */
    PST_RING_HEAD = 0x40,       /* bytes written to its own ring, modulo 2^32 */
    PST_RING_TAIL = 0x80,       /* bytes read from the other side's ring, modulo 2^32 */
};
enum pst_ring_state { PST_RING_IS_OPEN = 0, PST_RING_IS_FINISHED = 1 };

/* The grant extension of an engineer's certificate: an OCTET STRING holding the grant's text
 * (policy.h). The OID is derived from a UUID of our own (ITU-T X.667). */
#define PST_OID_GRANT "2.25.202011302387462331894211907532914862771"
/* The same OID, as the contents of a DER OBJECT IDENTIFIER. */
#define PST_OID_GRANT_DER                                                                          \
    0x69, 0x82, 0xAF, 0xF9, 0xFB, 0x8B, 0xBB, 0xC2, 0xBF, 0xF9, 0xC3, 0xD4, 0xE2, 0xD5, 0xCA,      \
        0x97, 0xB5, 0xDA, 0xD5, 0x33

#endif
