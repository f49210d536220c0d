/* Every value that stands in for MIPI text which is not public.
 *
 * The MIPI Security Specification for Debug, FullSPP, the SCM access space and the "Debug over"
 * adaptor headers are for MIPI members. What follows are *our* choices for them, PROVISIONAL, all
 * in this one place: a MIPI member aligns Postern with the member text by editing this file.
 * docs/wire.md says the same in prose. Nothing provisional may stand anywhere else.
 *
 * Both sides compare PST_PROFILE_VERSION when a link comes up; change it with any value here.
 */
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
 * Event:    a response whose opcode is PST_SPP_EVENT, whose tag counts events and whose error code
 *           names the access space.
 * Several responses to one command: all but the last lack Last Response Packet (bit 5). TinySPP,
 * where a sole response has a zero byte 1 (public), marks all but the last with bit 4. */
#define PST_SPP_FULL_HEADER 16
#define PST_SPP_EVENT 0x0F

/* TinySPP system packets: the public material shows only JTAG (a 4-byte word). For every other
 * space the word is an 8-byte little-endian address (provisional). */
#define PST_SPP_TINY_ADDRESS 8

/* Response error types (byte 1, bits 3:0; 0 = OK is public, the rest provisional); the error code
 * is the low byte of the negated pst_err. */
enum pst_spp_error_type {
    PST_SPP_OK = 0,
    PST_SPP_BAD_COMMAND = 1, /* malformed or unknown opcode */
    PST_SPP_BAD_SPACE = 2,   /* access space absent or not enabled */
    PST_SPP_DENIED = 3,      /* no grant */
    PST_SPP_FAULT = 4,       /* the access itself failed */
    PST_SPP_BLOCKED = 5,     /* engine blocked by an earlier fault; UnblockSPEngine clears it */
    PST_SPP_TIMEOUT = 6,     /* a polling loop ran out */
};

/* LoopTrigSystem operand, after the address (provisional): width u8 (1, 2, 4, 8), reserved u8,
 * attempts u16 (0: 65,536), mask u64, match u64. The response carries the last value, u64. */
#define PST_SPP_LOOP_OPERAND 20

/* SP configuration space beyond the public registers: our profile version, and how many bytes of
 * commands the engine queues (its credit). */
#define PST_SPC_PROFILE 0x1F0
#define PST_SPC_CREDIT 0x1F4

/* SCM access space: the mailbox. Writes at DATA append to the request (any number of packets);
 * a write of u32 to GO says how long it is and runs it. A read of RESPONSE+offset returns bytes
 * of the answer; it stays pending until there is one. STATUS: u32 length of the answer, 0 when
 * none yet. */
enum pst_scm_register {
    PST_SCM_STATUS = 0x0000,
    PST_SCM_GO = 0x0008,
    PST_SCM_HOLD = 0x000C,   /* w: u32 1 holds events back (around a key update), 0 lets them go */
    PST_SCM_WHO = 0x0010,    /* text: why this session may do nothing, such as who holds the
                                target and since when; empty when it may. Only after FINISH */
    PST_SCM_GRANTS = 0x0014, /* text: the effective grants of this session */
    PST_SCM_DEVICE = 0x0018, /* text: this device's id */
    PST_SCM_DATA = 0x10000,  /* + offset */
    PST_SCM_RESPONSE = 0x20000, /* + offset; reads shorter when the answer ends */
};

/* RUN access space. All integers little-endian. A hart is named by the stub's thread id, u32. */
enum pst_run_register {
    PST_RUN_STATUS = 0x0000,    /* r: a stop report (see docs/wire.md), state first */
    PST_RUN_INTERRUPT = 0x0010, /* w: u32 hart or 0; halts; never waits behind other commands */
    PST_RUN_RESUME = 0x0020,    /* w: n × {hart u32, action, signal u8, 0 u16, first, end u64} */
    PST_RUN_BREAK = 0x0030,     /* w: n × {set u8, type u8, kind u16, 0 u32, address u64} */
    PST_RUN_GATHER = 0x0040,    /* w: n × {base u8, size u8, offset u16, length u32, add i64} */
    PST_RUN_HARTS = 0x0050,     /* r: n × u32 */
    PST_RUN_DETACH = 0x0060,    /* w: u8 0 = resume as policy says */
    PST_RUN_ARCH = 0x0070,      /* r: architecture text of the target description */
    PST_RUN_REGISTERS = 0x1000000,    /* + hart << 16: the register file as in the stub's g */
    PST_RUN_REGISTER = 0x2000000,     /* + hart << 16 + number << 4: one register as in p */
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
    PST_GATHER_REGISTER = 1 /* offset in the g block */
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
/* Stop report, the payload of a RUN event and of a read of STATUS:
 * state u8, reason u8, signal u8, 0 u8, hart u32, address u64 (watch), harts u16, registers u16
 * (bytes), then harts × u32, the register block of `hart`, then gathered memory:
 * n × {address u64, length u32, bytes}. */
#define PST_STOP_REPORT_HEAD 20

/* Link message on byte streams (TCP, Unix sockets): length u24 (of what follows the header), kind
 * u8, payload. The first message each way is HELLO. Port 7606 is IANA's mipi-debug. */
#define PST_LINK_HEADER 4
#define PST_LINK_PORT 7606
enum pst_link_kind {
    PST_LINK_CONTROL = 0xD1,
    PST_LINK_CLEAR = 0xD2,  /* SPP packets for the bootstrap engine */
    PST_LINK_RECORD = 0xD3, /* one secured message */
    PST_LINK_SPDM = 0xD4,   /* one SPDM message in the clear, as it is */
};
enum pst_link_control { /* the first byte; then */
                        PST_CONTROL_HELLO =
                            1, /* "MDBG", profile u8, flags u8, 0 u8, largest message u32 */
                        PST_CONTROL_BYE = 2, /* reason u8 (negated pst_err): a hint only, it is not
                                                authenticated */
};
/* HELLO: what the sender is, and what its own hop is like. */
#define PST_LINK_FLAG_TARGET 0x01 /* a TS */
#define PST_LINK_FLAG_SHARED 0x02 /* others can write to it: records carry 8-byte numbers */
#define PST_LINK_FLAG_NATIVE 0x04 /* it carries SPDM messages and records only */
#define PST_LINK_FLAG_POLLED 0x08 /* the TS cannot speak unasked on it */
#define PST_LINK_FLAG_MCTP 0x10   /* records are as MCTP's binding has them (DSP0276) */
#define PST_LINK_FLAGS 0x1F
#define PST_LINK_MAX_MESSAGE 65551 /* a record of the largest size, and its head */

/* SPDM by itself: on links that carry SPDM messages and records only, and where management has a
 * link of its own, debug travels in VENDOR_DEFINED messages. The StandardID is the DMTF registry's
 * for MIPI; the vendor id (two bytes, the registry says) is provisional, and so is the payload: in
 * a request one batch of SPP packets, or nothing; in the response what is ready by then. */
#define PST_VENDOR_STANDARD 6
#define PST_VENDOR_ID                                                                              \
    {                                                                                              \
        0x00, 0x00                                                                                 \
    }
#define PST_VENDOR_ID_LEN 2

/* A data link beside the one on which a session is managed (data.h): labels under which the Export
 * Master Secret becomes the first secret of each direction, and how many records one key protects
 * before the direction's secret becomes the next. */
#define PST_DATA_TO_RESPONDER "mipi data req"
#define PST_DATA_TO_REQUESTER "mipi data rsp"
#define PST_DATA_RATCHET 16384u

/* Datagrams made reliable (UDP, and inside serial frames; a stand-in for MRUDP): type u8, then as
 * below, then CRC-32C of all that. `id` is the one that the receiver chose, but for HELLO's, which
 * the sender chose, and RESET's, which is echoed. Offsets count bytes of a stream of link messages
 * and, like numbers, begin at `start`. */
enum pst_datagram {
    PST_DATAGRAM_HELLO = 0xE1,  /* id u32, "MDBG", profile u8, flags u8 (as HELLO), largest datagram
                                   u16, largest message u32, start u32, credit u32, cookie u64 */
    PST_DATAGRAM_COOKIE = 0xE2, /* id u32, cookie u64 */
    PST_DATAGRAM_WELCOME = 0xE3, /* id u32, sender's id u32, profile u8, flags u8, largest datagram
                                    u16, largest message u32, start u32, credit u32 */
    PST_DATAGRAM_DATA = 0xE4,    /* id u32, flags u8, then what they say, in this order */
    PST_DATAGRAM_CLOSE = 0xE5,   /* id u32, reason u8 (negated pst_err) */
    PST_DATAGRAM_RESET = 0xE6,   /* id u32 */
};
enum pst_datagram_flag {
    PST_DATAGRAM_ASK = 0x80,   /* number u32: to be acknowledged */
    PST_DATAGRAM_ACK = 0x40,   /* largest number seen u32, limit of credit as an offset u32, then
                                  flags & 0x0F bytes: bit i set: number largest - 1 - i is missing */
    PST_DATAGRAM_BYTES = 0x20, /* offset u32, and the rest is the stream's; only with ASK */
    PST_DATAGRAM_PAD = 0x10,   /* the rest is zeros, to try a size; not with BYTES */
};

/* The same over MCTP: a message is type u8 (public: "vendor defined, IANA"), enterprise number u32
 * big-endian, what follows u8, datagram. We have no number of our own: this is the one that IANA
 * keeps for documentation. */
#define PST_MCTP_VENDOR 0x7F
#define PST_MCTP_ENTERPRISE 32473
#define PST_MCTP_DATAGRAM 0x01

/* Debug over I3C. The command codes and the order of the bring-up are public (i3c.h); which port
 * carries what is ours, and so is the fragment in which the bytes of link messages (as on byte
 * streams, above) travel on PST_I3C_PORT_MESSAGES, one a private write or read:
 * flags u8, stream u8, sequence u16, acknowledgement u16, bytes, FCS-16 u16 (of all before it,
 * complemented, as in PPP). Sequence: number of the first byte, modulo 65536, from 0 in
 * each stream; acknowledgement: the next byte expected. */
enum pst_i3c_port {
    PST_I3C_PORT_SPP = 0,      /* plain SPP packets, one or more a transfer */
    PST_I3C_PORT_MESSAGES = 1, /* fragments of link messages */
    PST_I3C_PORTS = 2,
};
#define PST_I3C_FRAGMENT_HEAD 6
#define PST_I3C_FRAGMENT_TAIL 2
#define PST_I3C_WINDOW 8 /* fragments that may be on their way without an acknowledgement */
enum pst_i3c_fragment_flag {
    PST_I3C_OPEN = 0x01, /* DTS: a new stream begins, both ways from 0 */
    PST_I3C_MORE = 0x02, /* the sender has more bytes than these */
    PST_I3C_WAIT = 0x04, /* bytes before these have no acknowledgement yet */
    PST_I3C_NONE = 0x08, /* TS: it has no stream, or lost it */
};
#define PST_I3C_STATUS_STOPPED 0x00 /* first byte of the status before a port was started */

/* Through a message broker (MQTT): topics PREFIX/ID/here (presence, retained), PREFIX/ID/CALL/up
 * and PREFIX/ID/CALL/down, where ID is the device's rendezvous id and CALL the connection's random
 * id, 32 hex digits each. Messages of a connection: type u8, then as below; with a shared secret a
 * tag of 16 bytes at the end of all but LOST, DATA's bytes encrypted, the rest under the tag. */
enum pst_broker_type {
    PST_BROKER_OPEN = 0xB1,   /* "MDBG", profile u8, largest chunk u16, window u8 */
    PST_BROKER_OPENED = 0xB2, /* profile u8, nonce (16), largest chunk u16, window u8 */
    PST_BROKER_DATA = 0xB3,   /* number u64, limit u64 (of chunks taken), bytes */
    PST_BROKER_CREDIT = 0xB4, /* number u64 (of CREDIT), limit u64, flags u8 */
    PST_BROKER_CLOSE = 0xB5,  /* chunks sent u64, reason u8 (negated pst_err) */
    PST_BROKER_LOST = 0xB6,   /* a last will: a hint only */
    PST_BROKER_HERE = 0xB7,   /* presence: profile u8, instance (8), expiry in seconds u32 */
};
#define PST_BROKER_ASK 0x01 /* flag of CREDIT: answer with CREDIT */
#define PST_BROKER_MAGIC "MDBG"
#define PST_BROKER_PREFIX "postern/1" /* of topics, when none is given */

/* Debug over USB. Codes and request numbers are public (usb.h). GET_INFO answers "MDBG", profile
 * u8, 0 u8, largest transfer u16 (0: 65,536); GET_OPERATING_MODE and GET_ERROR a u8. The bulk pipes
 * of a DvC.GP function carry transfers: kind u8, 'U', bytes u16 (after this head), stream u32,
 * number u32 (of DATA transfers of this stream and direction, from 0; else 0), the bytes, and one
 * zero more when all that would be a multiple of PST_USB_PACKET. The bytes of DATA are those of
 * link messages (as on byte streams, above). */
#define PST_USB_INFO_LEN 8
#define PST_USB_HEAD 12
#define PST_USB_PACKET 64 /* divides the packet size of bulk endpoints at every speed */
enum pst_usb_transfer {
    PST_USB_OPEN = 0xC1,  /* host: begins a stream, both ways from 0 */
    PST_USB_OPENS = 0xC2, /* device: takes it */
    PST_USB_DATA = 0xC3,
    PST_USB_CLOSE = 0xC4, /* no more bytes from here */
    PST_USB_GONE = 0xC5,  /* device: that stream is not open (any more) */
};
enum pst_usb_mode { PST_USB_MODE_DEBUG = 0 }; /* the only one */
enum pst_usb_error { PST_USB_NO_ERROR = 0, PST_USB_BAD_REQUEST = 1, PST_USB_BAD_VALUE = 2 };

/* Shared memory (a PCIe BAR): two rings of bytes of link messages, as on byte streams. The block of
 * the side that listens is at 0, the caller's at PST_RING_BLOCK, each of u32 as below; the
 * listener's ring is at PST_RING_RINGS, the caller's behind it. Each side writes nothing but its
 * own block and ring. */
#define PST_RING_BLOCK 0x100
#define PST_RING_RINGS 0x1000
#define PST_RING_MAGIC_VALUE 0x52545350 /* "PSTR" */
enum pst_ring_word {
    PST_RING_MAGIC = 0x00,
    PST_RING_PROFILE = 0x04,
    PST_RING_SIZE = 0x08,       /* bytes of one ring: the largest power of two that fits twice */
    PST_RING_GENERATION = 0x0C, /* random; 0: nobody is there. A listener's: for one connection */
    PST_RING_PEER = 0x10,       /* the other side's, as accepted */
    PST_RING_STATE = 0x14,      /* enum pst_ring_state */
    PST_RING_BEAT = 0x18,       /* counts turns */
    PST_RING_HEAD = 0x40,       /* bytes written to the own ring, modulo 2^32 */
    PST_RING_TAIL = 0x80,       /* bytes read from the other's */
};
enum pst_ring_state { PST_RING_IS_OPEN = 0, PST_RING_IS_FINISHED = 1 };

/* The grant extension of an engineer's certificate: an OCTET STRING holding the grant's text
 * (policy.h). The OID lies under a UUID of our own (ITU-T X.667). */
#define PST_OID_GRANT "2.25.202011302387462331894211907532914862771"
/* the same as the contents of a DER OBJECT IDENTIFIER */
#define PST_OID_GRANT_DER                                                                          \
    0x69, 0x82, 0xAF, 0xF9, 0xFB, 0x8B, 0xBB, 0xC2, 0xBF, 0xF9, 0xC3, 0xD4, 0xE2, 0xD5, 0xCA,      \
        0x97, 0xB5, 0xDA, 0xD5, 0x33

#endif
