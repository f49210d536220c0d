#!/usr/bin/env python3
"""hostile.py quick|heavy [SCENARIO...]: attacks by a hostile bridge that knows the protocol.

The bridge parses link messages (docs/wire.md). It splices two sessions, swaps two devices, answers as
either side, downgrades, replays an old session, reflects messages, inserts clear messages into a
session, and truncates it. Each attack must be refused with the expected exit code and message. It
must have no effect on the target, the audit log must stay correct, and the next engineer must get a
session. One attack of each kind also runs through every link (any_link); usb, pcie and pcie-shm are in
guests (guest.py). The kinds of link in $SKIP_LINKS ("usb pcie") are skipped; in heavy mode any other
missing kind is a failure.
"""
import os
import re
import select
import socket
import struct
import sys
import time

import guest
import mangle
import rig as r

BASE = 0x80000000
SIZE = 65536
DTS, TS = 0, 1
CONTROL, CLEAR, RECORD, SPDM = 0xD1, 0xD2, 0xD3, 0xD4
SHARED, NATIVE, POLLED = 2, 4, 8
QUICK = ("udp", "i3c", "spdm")
HERE = ("tcp", "udp", "serial", "mctp-serial", "mctp-spdm", "i3c", "mctp-i3c", "mqtt", "spdm")
GUEST = ("usb", "pcie", "pcie-shm")


class Cut(Exception):
    """Raised by a script to close both ends."""


def kind(message):
    return message[3]


def records(said, side):
    return [m for m in said[side] if kind(m) == RECORD]


def in_clear(m, pattern):
    """Finds an SPDM message in clear: in a batch of SPP, or by itself on a native link."""
    return re.search(pattern, m, re.S) if kind(m) in (CLEAR, SPDM) else None


def message(what, payload):
    return struct.pack("<I", len(payload) | what << 24) + payload


def spp(opcode, space, address, count, data=b"", tag=99, flags=0):
    return struct.pack("<BBHIQ", 3 | opcode << 4, space | flags, tag, count, address) + data


def put(m, at, data):
    return m[:at] + data + m[at + len(data):]


class Hostile(mangle.Proxy):
    """A bridge that a script controls. `script(bridge, side, number, message)` is called for each
    message, with its sender and its number; it returns a list of (receiver, message) to send. `said`
    records all messages."""

    def __init__(self, rig, to, script, listen):
        self.script = script
        self.said = [[], []]
        self.memo = {}
        self.touched = False  # whether the attack took place
        super().__init__(rig, to, cutter=mangle.Messages, listen=listen)

    def copy(self, ends, number):
        cutters = [self.cutter(), self.cutter()]
        self.said, self.memo = [[], []], {}
        for s in ends:
            s.settimeout(5)
        while self.running:
            for s in select.select(ends, [], [], 1.0)[0]:
                side = ends.index(s)
                data = s.recv(65536)
                if not data:
                    return
                for m in cutters[side].cut(data):
                    self.said[side].append(m)
                    try:
                        out = self.script(self, side, len(self.said[side]) - 1, m)
                    except Cut:
                        return
                    for whom, what in out:
                        ends[whom].sendall(what)


def honest(bridge, side, number, m):
    return [(1 - side, m)]


def edit(side, pattern, change):
    """Changes the first clear SPDM message of `side` that contains `pattern`: `change` gets the bytes
    from the pattern on and returns their replacement."""
    def script(bridge, from_, number, m):
        if from_ == side and "done" not in bridge.memo:
            found = in_clear(m, pattern)
            if found:
                bridge.memo["done"] = True
                at = found.start()
                changed = m[:at] + change(m[at:])
                bridge.touched = changed != m
                m = changed
        return [(1 - from_, m)]
    return script


def hello(side, change):
    def script(bridge, from_, number, m):
        if from_ == side and number == 0:
            bridge.touched = True
            m = change(m)
        return [(1 - from_, m)]
    return script


def flag(side, bits):
    return hello(side, lambda m: put(m, 10, bytes([m[10] | bits])))


def on_record(side, number, action):
    """Calls action(bridge, message) for one record of `side`; the records are counted from 0."""
    def script(bridge, from_, _, m):
        if from_ == side and kind(m) == RECORD and len(records(bridge.said, side)) - 1 == number:
            bridge.touched = True
            return action(bridge, m)
        return [(1 - from_, m)]
    return script


def cut(bridge, m):
    raise Cut


def back_to(whom):
    return lambda bridge, m: [(whom, m)]


def flip(side, number):
    return on_record(side, number, lambda b, m: [(1 - side, put(m, 20, bytes([m[20] ^ 1])))])


def splice(said, side, number, more=lambda m: []):
    """Replaces a record by one of another session with this session's id; `more` messages follow."""
    other = records(said, side)[number]
    return on_record(side, number, lambda b, m: [(1 - side, put(other, 4, m[4:8]))] + more(m))


def foreign_exchange(said):
    answer = next(m for m in said[TS] if in_clear(m, KEY_EXCHANGE_RSP))
    return edit(TS, KEY_EXCHANGE_RSP, lambda m: answer[-len(m):])


def older(bridge, side, number, m):
    """Removes 1.3 from VERSION. The attack took place if the debugger continues with 1.2."""
    if side == DTS and in_clear(m, rb"\x12\xe1\x00\x00"):
        bridge.touched = True
    found = in_clear(m, VERSION) if side == TS else None
    return [(1 - side, put(m, found.start() + 8, b"\0\x12") if found else m)]


def turned(bridge, side, number, m):
    """Connects the DTS to another device in the middle of the handshake."""
    if side != DTS or not in_clear(m, KEY_EXCHANGE):
        return [(1 - side, m)]
    other = socket.socket(socket.AF_UNIX)
    other.connect("second.sock")
    other.settimeout(5)
    # Its HELLO gets the traits that the debugger knows, which say how SPDM messages are sent.
    first = bridge.said[DTS][0]
    other.sendall(put(first, 10, bytes([first[10] | bridge.said[TS][0][10] & ~1])))
    cutter, answers = mangle.Messages(), []
    for old in bridge.said[DTS][1:]:
        other.sendall(old)
        time.sleep(0.05)
    while not answers:
        answers = [(DTS, a) for a in cutter.cut(other.recv(65536)) if in_clear(a, KEY_EXCHANGE_RSP)]
    other.close()
    bridge.touched = True
    return answers


# Patterns of SPDM messages: version and code, then bytes that make the match unambiguous.
VERSION = rb"\x10\x04\x00\x00\x00\x02"
GET_CAPABILITIES = rb"[\x12\x13]\xe1\x00\x00"
CAPABILITIES = rb"\x13\x61\x00\x00"
NEGOTIATE = rb"\x13\xe3\x04\x00"
ALGORITHMS = rb"\x13\x63\x04\x00"
KEY_EXCHANGE = rb"\x13\xe4.\x00"
KEY_EXCHANGE_RSP = rb"\x13\x64\x05\x00"
DIGESTS = rb"\x13\x01[\x00\x01]\x01"
# Numbers of records: after FINISH and what follows it; the first record of the command.
FINISHED = 4
COMMAND = 6
AUTH = "3"
EITHER = "[35]"
LOST = "[235]"


class Test:
    def __init__(self, quick, scenarios):
        self.quick, self.scenarios = quick, scenarios
        self.rig = r.Rig()
        self.links = r.Links(self.rig)
        self.count = self.asked = self.bad = 0

    def set_up(self):
        self.rig.make_keys()
        self.memory = os.urandom(SIZE)
        with open("ram.bin", "wb") as f:
            f.write(self.memory)
        self.choose_links()
        self.clean = self.links.get("unix", "target")
        listens = [self.clean.listen] + [self.links.get(k, "target").listen for k in self.others]
        self.target = self.rig.start_target("target", listens, files=[("ram.bin", BASE)])
        self.rig.start_target("second", [f"unix-listen:{self.rig.dir}/second.sock"], identity="pump43",
                              files=[("ram.bin", BASE)])
        self.rig.start_target("impostor", [f"unix-listen:{self.rig.dir}/impostor.sock"],
                              identity="impostor", files=[("ram.bin", BASE)])
        if "mqtt" in self.others:
            self.rig.await_log("target", "announced")

    def choose_links(self):
        """Chooses the kinds of link for any_link, and the guests that they need."""
        self.others, self.guests = [], []
        kinds = () if "any_link" not in self.scenarios else QUICK if self.quick else HERE + GUEST
        built_in, skip = self.links.built_in(), os.environ.get("SKIP_LINKS", "").split()
        for k in kinds:
            if k in skip:
                print(f"skipped: {k}: SKIP_LINKS names it", flush=True)
            elif k in built_in and (k != "mqtt" or r.which(r.BROKER)):
                self.others.append(k)
            elif not self.quick:
                self.check(k, False, "MISSING: not built in, or no broker")
        self.guests = guest.guests(self.rig, self.links, set(self.others) & set(GUEST))

    def boot_guests(self):
        for each in self.guests:
            each.start()
        for k, why in (item for each in self.guests for item in each.ready().items()):
            self.others.remove(k)
            self.check(k, False, "MISSING: " + why)

    def bridge(self, script, to=None):
        self.count += 1
        place = f"{self.rig.dir}/hostile-{self.count}.sock"
        return Hostile(self.rig, to or self.clean.call[5:], script, place), f"unix:{place}"

    def opens(self):
        return sum(line["event"] == "open" for line in self.rig.audit("target"))

    def effects(self):
        return sum(line["event"] == "effect" for line in self.rig.audit("target"))

    def read(self, link, size=64, **options):
        self.asked += 1
        return self.rig.mem("read", link, hex(BASE), str(size), wait=2, timeout=30, **options)

    def write(self, link, **options):
        self.asked += 1
        return self.rig.mem("write", link, hex(BASE + 0x8000), "--hex", "ee" * 64, wait=2, timeout=30,
                            **options)

    def check(self, name, ok, text):
        print(f"{'ok' if ok else 'FAILED'}: {name}: {text.strip().splitlines()[-1][-150:] if text.strip() else text}",
              flush=True)
        if not ok:
            self.bad += 1
            print(text)

    def nothing_happened(self, name, to=None):
        """Checks that memory is unchanged and that the next engineer gets a session on the same link."""
        with open("ram.bin", "rb") as f:
            if f.read() != self.memory:
                self.check(name, False, "MEMORY HAS CHANGED")
        with open("ram.bin", "rb") as f:
            self.memory = f.read()
        if self.quick and self.count % 4 != 0:
            return
        began = time.monotonic()
        while True:
            code, text, _ = self.read(f"unix:{to}" if to else self.clean.call, 16)
            if code == 0:
                break
            if time.monotonic() - began > 20:
                self.check(name, False, "the next engineer is not let in: " + text)
                break
            time.sleep(0.2)
        if text.split("  ")[0:1] != ["80000000"] or self.memory[:16].hex() not in text.replace(" ", ""):
            self.check(name, False, "the next engineer reads something else: " + text)
        if self.opens() > self.asked:
            self.check(name, False, f"{self.opens()} sessions in the audit log, {self.asked} asked for")

    def refused(self, name, script, codes, words, to=None, after=None, job=None, touch=True, **options):
        """Checks that a command through the bridge fails. `after` is the socket that the next engineer
        calls."""
        bridge, link = self.bridge(script, to)
        before = self.effects()
        code, text, seconds = (job or self.write)(link, **options)
        bridge.stop()
        self.rig.threads.remove(bridge)
        right = re.fullmatch(codes, str(code)) and re.search(words, text) and seconds < 20
        if touch and not bridge.touched:
            right, text = False, "the attack did not take place; " + text
        self.check(name, right, f"exit {code} (expected {codes}) after {seconds:.1f} s: {text}")
        if job is None and self.effects() != before:
            self.check(name, False, "an effect in the audit log")
        self.nothing_happened(name, after)

    def truth(self, name, script, job=None):
        """Checks that a read through the bridge either fails or returns the right bytes."""
        bridge, link = self.bridge(script)
        code, text, _ = self.read(link)
        bridge.stop()
        self.rig.threads.remove(bridge)
        right = code in (0, 2, 3, 5) and bridge.touched
        if code == 0 and right:
            shown = "".join(re.findall(r"^[0-9a-f]{8}  ((?:[0-9a-f]{2} +)+)", text, re.M)).replace(" ", "")
            right = shown == self.memory[:64].hex()
        self.check(name, right, f"exit {code}: {text}")
        self.nothing_happened(name)

    # --- scenarios ---

    def downgrades(self):
        swap = lambda at, data: lambda m: put(m, at, data)
        self.refused("VERSION: 1.3 hidden", older, AUTH, "authenti")
        self.refused("VERSION: only 1.1", edit(TS, VERSION, swap(6, b"\0\x11\0\x11")), AUTH, "version|authenti")
        self.refused("GET_CAPABILITIES: no MUT_AUTH", edit(
            DTS, GET_CAPABILITIES, lambda m: put(m, 9, bytes([m[9] & ~1]))), EITHER, "authenti")
        self.refused("CAPABILITIES: no MUT_AUTH", edit(
            TS, CAPABILITIES, lambda m: put(m, 9, bytes([m[9] & ~1]))), AUTH, "authenti|capab")
        self.refused("CAPABILITIES: no ENCRYPT", edit(
            TS, CAPABILITIES, lambda m: put(m, 8, bytes([m[8] & ~0x40]))), AUTH, "authenti|capab")
        self.refused("CAPABILITIES: handshake in the clear", edit(
            TS, CAPABILITIES, lambda m: put(m, 9, bytes([m[9] | 0x80]))), AUTH, "authenti|capab")
        self.refused("NEGOTIATE_ALGORITHMS: other hash", edit(
            DTS, NEGOTIATE, lambda m: put(m, 12, b"\x01\0\0\0")), AUTH, "authenti|algorithm")
        self.refused("ALGORITHMS: none that was offered", edit(
            TS, ALGORITHMS, lambda m: put(m, 12, b"\x80\0\0\0")), AUTH,
                     "authenti|algorithm|certificate")
        for at, what in ((36, "key exchange"), (40, "AEAD"), (44, "engineer's signature")):
            self.refused(f"ALGORITHMS: no {what}", edit(
                TS, ALGORITHMS, lambda m, at=at: put(m, at + 2, b"\0\0")), AUTH, "authenti|algorithm")
        self.refused("DIGESTS: another certificate", edit(
            TS, DIGESTS, lambda m: put(m, 10, bytes([m[10] ^ 1]))), AUTH, "certificate|authenti")
        self.refused("KEY_EXCHANGE: another key", edit(
            DTS, KEY_EXCHANGE, lambda m: put(m, 60, bytes([m[60] ^ 1]))), AUTH, "authenti")
        self.refused("KEY_EXCHANGE_RSP: another key", edit(
            TS, KEY_EXCHANGE_RSP, lambda m: put(m, 60, bytes([m[60] ^ 1]))), AUTH, "authenti")
        self.refused("KEY_EXCHANGE_RSP: no engineer wanted", edit(
            TS, KEY_EXCHANGE_RSP, lambda m: put(m, 6, b"\0")), AUTH, "authenti")

    def hellos(self):
        self.refused("HELLO: another profile, from the target", hello(TS, swap_profile), "2", "profile")
        self.refused("HELLO: another profile, from the debugger", hello(DTS, swap_profile), "2",
                     "closed by the peer: incompatible Postern wire profile")
        self.refused("HELLO: the target says it is none", hello(TS, lambda m: put(m, 10, b"\0")), "2",
                     "debugger too")
        self.refused("HELLO: the debugger says it is a target", hello(DTS, lambda m: put(m, 10, b"\1")), "2",
                     "closed by the peer: unexpected")
        # The ends have different views of the link. A session may work or fail.
        for side, name in ((DTS, "debugger's"), (TS, "target's")):
            for bits, what in ((NATIVE, "native"), (14, "all three"), (SHARED, "shared"), (POLLED, "polled"))[
                    :2 if self.quick else 4]:
                self.truth(f"HELLO, the {name}: {what}", flag(side, bits))
            self.truth(f"HELLO, the {name}: smallest messages",
                       hello(side, lambda m: put(m, 12, struct.pack("<I", 256))))

    def impostors(self):
        self.refused("another genuine device", honest, AUTH, "another device: Acme:Pump:0043",
                     to=f"{self.rig.dir}/second.sock", touch=False)
        self.refused("a device of another CA", honest, AUTH, "certif", to=f"{self.rig.dir}/impostor.sock", touch=False)
        self.refused("an engineer of another CA", honest, EITHER, "refused|authenti|let us in", who="eve",
                     touch=False)
        self.refused("another genuine device, from KEY_EXCHANGE on", turned, EITHER, "authenti|peer|time")

    def record_session(self, job=None, to=None):
        """Returns the messages of both sides in a session through an honest bridge."""
        bridge, link = self.bridge(honest, to)
        code, text, _ = (job or self.read)(link)
        bridge.stop()
        self.rig.threads.remove(bridge)
        if code != 0:
            raise r.Failure("a session through an honest bridge: " + text)
        return bridge.said

    def speak(self, place, messages):
        """Sends messages to the target, each after an answer. Returns the target's messages."""
        s = socket.socket(socket.AF_UNIX)
        s.connect(place)
        s.settimeout(0.5 if self.quick else 2)
        heard = b""
        for m in messages:
            try:
                s.sendall(m)
                heard += s.recv(65536)
            except socket.timeout:
                s.settimeout(0.1)  # the target no longer answers
            except ConnectionError:
                break
        s.close()
        return mangle.Messages().cut(heard)

    def replay_to(self, name, place, said, after=None):
        before = self.opens(), self.effects()
        self.speak(place, said[DTS])
        self.speak(place, [b"".join(said[DTS]), b"", b""])
        if (self.opens(), self.effects()) != before:
            self.check(name, False, "the recording has opened a session")
        else:
            self.check(name, True, "opens nothing")
        self.nothing_happened(name, after)

    def replays(self):
        said = self.record_session()
        self.replay_to("yesterday's session, to the target", self.clean.call[5:], said)
        old = records(said, DTS)
        self.speak(self.clean.call[5:], said[DTS][:1] + old)
        self.nothing_happened("yesterday's records alone")

        def fake(bridge, side, number, m):
            """A fake target that replays the messages of the real one."""
            if side != DTS:
                return []
            return [(DTS, said[TS][min(number, len(said[TS]) - 1)])]
        self.refused("yesterday's session, to the debugger", fake, EITHER, "authenti|peer|framing|time", touch=False)

        for n in (0, FINISHED, len(old) - 1):
            self.refused(f"one of yesterday's records, number {n}", on_record(DTS, n, lambda b, m, n=n: [(TS, old[n])]),
                         LOST if n < len(old) - 1 else "[0-5]", "", job=None if n < len(old) - 1 else self.read)

    def fakes(self):
        """Attacks without any key."""
        noise = lambda n: os.urandom(n)

        hello_only = message(CONTROL, bytes.fromhex("014d4442470101000f000100"))
        for name, make in (("noise in clear messages", lambda b, m: message(CLEAR, noise(64))),
                           ("noise in records", lambda b, m: message(RECORD, noise(80))),
                           ("its own words", lambda b, m: m),
                           ("SPDM errors", lambda b, m: message(SPDM, b"\x13\x7f\x07\0"))):
            def script(bridge, side, number, m, make=make):
                if side == TS:
                    return []
                return [(DTS, hello_only if number == 0 else make(bridge, m))]
            self.refused("a fake target: " + name, script, "[235]", ".", touch=False)
        greeting = message(CONTROL, bytes.fromhex("014d4442470100000f000100"))
        before = self.opens(), self.effects()
        write = spp(7, 1, BASE, 16, b"\xee" * 16)
        for what in (CLEAR, RECORD, SPDM):
            self.speak(self.clean.call[5:], [greeting, message(what, write)])
            self.speak(self.clean.call[5:], [greeting] + [message(what, noise(n)) for n in (1, 16, 64, 4096)])
        every = b"".join(spp(op, space, BASE, 16, b"\xee" * 16 if op in (3, 5, 7, 8) else b"", tag=op)
                         for op in range(16) for space in range(8))
        self.speak(self.clean.call[5:], [greeting, message(CLEAR, every)])
        self.check("a fake debugger", (self.opens(), self.effects()) == before, "no session, no effect")
        self.nothing_happened("a fake debugger")

    def reflections(self):
        for n in (0, FINISHED) if self.quick else (0, 2, FINISHED):
            self.refused(f"the debugger hears its own record {n}", on_record(DTS, n, back_to(DTS)), EITHER, ".")
            self.refused(f"the target hears its own record {n}", on_record(TS, n, back_to(TS)), EITHER, ".")

        def own_exchange(bridge, side, number, m):
            if side == DTS and in_clear(m, KEY_EXCHANGE):
                return [(DTS, m)]
            return [(1 - side, m)]
        self.refused("the debugger hears its own KEY_EXCHANGE", own_exchange, EITHER, ".", touch=False)

    def splices(self):
        other = self.record_session(self.write_same)
        for side, name in ((DTS, "to the target"), (TS, "to the debugger")):
            for n in (FINISHED,) if self.quick else (1, FINISHED, 5):
                self.refused(f"a record of another session, {name}, number {n}", splice(other, side, n), EITHER, ".")
                self.refused(f"the same one before the right one, {name}, number {n}", splice(
                    other, side, n, lambda m, s=side: [(1 - s, m)]), EITHER, ".")
        self.refused("an answer of another session", splice(other, TS, COMMAND), "5", "session was lost: authenti",
                     job=self.read)
        self.refused("KEY_EXCHANGE_RSP of another session", foreign_exchange(other), EITHER, ".")
        for side, name in ((DTS, "the debugger's"), (TS, "the target's")):
            twice = lambda b, m, s=side: [(1 - s, m), (1 - s, m)]
            self.refused(f"{name} record twice", on_record(side, FINISHED, twice), EITHER, ".")
            self.refused(f"{name} record withheld, the next comes", on_record(
                side, FINISHED, lambda b, m: []), "[2-5]", ".")

    def write_same(self, link):
        """Writes the bytes that are already there."""
        self.asked += 1
        return self.rig.mem("write", link, hex(BASE + 0x9000), "--hex", self.memory[0x9000:0x9040].hex(),
                            wait=2, timeout=30)

    def injections(self):
        write = spp(7, 1, BASE + 0x100, 16, b"\xee" * 16)
        read = spp(6, 1, BASE, 64)
        version = b"\x10\x84\0\0"
        end = b"\x13\xec\0\0"
        mailbox = spp(7, 7, 0x10000, 4, version) + spp(7, 7, 8, 4, struct.pack("<I", 4)) + spp(6, 7, 0x20000, 4096)
        for name, m in (("a clear write", message(CLEAR, write)), ("a clear read", message(CLEAR, read)),
                        ("clear GET_VERSION", message(CLEAR, mailbox)),
                        ("GET_VERSION by itself", message(SPDM, version)),
                        ("END_SESSION by itself", message(SPDM, end)),
                        ("HELLO again", message(CONTROL, bytes.fromhex("014d4442470100000f000100"))),
                        ("a record of nothing", message(RECORD, b"")),
                        ("a record of another session", message(RECORD, os.urandom(4) + b"\x10\0" + bytes(32)))):
            self.truth(f"injected to the target: {name}", on_record(
                DTS, FINISHED, lambda b, own, m=m: [(TS, m), (TS, own)]))
        answer = struct.pack("<BBHIII", 0x63, 0x20, 9, 64, 0, 0) + b"\xee" * 64
        event = struct.pack("<BBHIII", 0xF3, 0x60, 0, 16, 2, 0) + bytes(16)
        for name, m in (("a clear answer", message(CLEAR, answer)), ("a clear event", message(CLEAR, event)),
                        ("SPDM ERROR by itself", message(SPDM, b"\x13\x7f\x07\0")),
                        ("BYE", message(CONTROL, b"\2\0")),
                        ("a record of nothing", message(RECORD, b""))):
            self.truth(f"injected to the debugger: {name}", on_record(
                TS, FINISHED, lambda b, own, m=m: [(DTS, m), (DTS, own)]))

    def ends(self):
        whole = len(records(self.record_session(), TS))
        for n in (FINISHED, whole - 2) if self.quick else range(FINISHED, whole - 1):
            self.refused(f"cut off at the target's record {n} of {whole}", on_record(TS, n, cut), LOST, ".",
                         job=self.read)
        # The last record only ends the session.
        self.truth("cut off at the goodbye", on_record(TS, whole - 1, cut))
        self.refused("a dump cut off in the middle", on_record(TS, FINISHED + 3, cut), "5", ".", job=self.dump)

    def dump(self, link):
        self.asked += 1
        return self.rig.mem("dump", link, hex(BASE), str(SIZE), "-o", "cut.bin", wait=2, timeout=30)

    def one_of_each(self, said):
        """Yields (name, script, exit codes, text, job) of each attack for any_link."""
        yield "VERSION without 1.3", older, AUTH, "authenti", None
        if self.quick:
            return
        yield "another genuine device, from KEY_EXCHANGE on", turned, AUTH, "authenti", None
        yield "KEY_EXCHANGE_RSP of another session", foreign_exchange(said), AUTH, "authenti", None
        yield "the debugger hears its own record", on_record(DTS, FINISHED, back_to(DTS)), LOST, ".", None
        yield "the target hears its own record", on_record(TS, FINISHED, back_to(TS)), LOST, ".", None
        for side, job, who in ((DTS, None, "target"), (TS, self.read, "debugger")):
            for what, script in (("a record of another session", splice(said, side, COMMAND)),
                                 ("a bit in a record", flip(side, COMMAND))):
                yield f"{what}, to the {who}", script, "5", "session was lost", job
        yield "a dump cut off in the middle", on_record(TS, FINISHED + 3, cut), "5", ".", self.dump

    def any_link(self):
        """Runs the attacks through each link: no carrier may stop them before they reach the ends."""
        self.boot_guests()
        for name in self.others:
            place = f"{self.rig.dir}/to-{name}.sock"
            bridge = self.rig.bridge("to-" + name, f"unix-listen:{place}", self.links.get(name, "target").call)
            try:
                said = self.record_session(self.write_same, place)
                self.replay_to(f"{name}: yesterday's session", place, said, after=place)
                for what, script, codes, words, job in self.one_of_each(said):
                    self.refused(f"{name}: {what}", script, codes, words, to=place, after=place, job=job)
            except r.Failure as why:
                self.check(name, False, str(why))
            self.rig.stop(bridge)
        for each in self.guests:
            each.stop()


def swap_profile(m):
    return put(m, 9, bytes([m[9] ^ 0x40]))


SCENARIOS = ("downgrades", "hellos", "impostors", "replays", "fakes", "reflections", "splices", "injections",
             "ends", "any_link")


def main():
    began = time.monotonic()
    test = Test(sys.argv[1] == "quick", sys.argv[2:] or SCENARIOS)
    test.set_up()
    for name in test.scenarios:
        try:
            getattr(test, name)()
        except r.Failure as why:
            test.check(name, False, str(why))
    for name in ("target", "second", "impostor"):
        log = test.rig.log(name)
        if "Sanitizer" in log or "runtime error" in log:
            test.check(name, False, log[-3000:])
    if test.target.poll() is not None:
        test.check("the target", False, "it has ended")
    for line in test.rig.audit("target"):
        if line["event"] == "effect" and line.get("engineer") != "ada":
            test.check("audit log", False, str(line))
    print(f"{test.count} bridges, {test.bad} failed; {time.monotonic() - began:.0f} s")
    return 1 if test.bad else 0


if __name__ == "__main__":
    sys.exit(main())
