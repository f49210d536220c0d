#!/usr/bin/env python3
"""faults.py quick|heavy [LINK[:FAULT]...]: tests every link through a bridge that makes faults.

The bridge drops, duplicates, reorders, corrupts, delays, truncates, stalls and resets. The faults are
random with the seed $FAULT_SEED; each kind has a rate.

Faults are made at the lowest layer of each link: chunks or whole messages of sockets, datagrams, bytes
on a serial line, transfers on a modelled bus, the stream between a client and its broker, words of
shared memory (mirror.py), and, in guests, USB transfers and words of configuration space
(tests/guest/guest_fault.c). In each permutation engineers read and write memory through the faults.
The test checks that

  * a read without an error returned the bytes in memory;
  * a write without an error is in memory; a failed write is there completely or not at all; and
    nothing else has changed;
  * the audit log has effects only in sessions that an engineer of the test opened, and no more
    sessions than the test asked for;
  * no command takes longer than its timeouts, and each ends with a message and a known exit code;
  * a link that retransmits delivers everything, unless the fault is a stall or a reset;
  * the next engineer, on a link without faults, gets a session;
  * a recorded session that is sent again ("replay") opens no session;
  * gdb's main job ("gdb") has the right answers on a link that retransmits.

A row fails if something it needs is missing. The kinds of link in $SKIP_LINKS ("usb pcie") are
skipped.
"""
import os
import random
import signal
import socket
import sys
import time

import guest
import rig as r
from mangle import Datagrams, Faults, GuestFaults, Messages, Proxy
from mirror import Mirror

KINDS = ("drop", "duplicate", "reorder", "corrupt", "delay", "truncate", "stall", "reset")
# Faults per thousand units. Chunks and messages are few, and one fault ends a session.
RATES = {"stream": 25, "datagram": 40, "bytes": 25, "object": 50}
WORDS = "words"  # a further fault, on shared memory only: changes the words that describe the bytes
CODES = (0, 2, 3, 5)  # success; no link; authentication failed; connection lost
BASE = 0x90000000  # outside the pump's memory
SIZE = 65536
WAIT = 4  # --timeout of the commands
GUEST = ("usb", "pcie")
LINES = ("serial", "mctp-serial", "mctp-spdm")
MANAGEMENT = ("spdm", "mctp-spdm")  # debug goes over another link, without faults
LIMIT = 30  # seconds: no command may take longer
READY = 45  # seconds: until the target has noticed that an engineer is gone


def kinds_of(name):
    return KINDS + ((WORDS,) if name == "pcie-shm" else ())


# --- links with a fault in them ---


class Paths:
    """For each link, the address that the target listens at and a way to call it through Faults."""

    def __init__(self, rig, links):
        self.rig, self.links = rig, links
        self.serials = {}
        self.buses = {}
        self.mirror = None  # the Mirror of pcie-shm

    def target_link(self, name):
        """Returns the link that the target listens at as long as it runs."""
        if name in LINES:
            cable = r.Ptys(self.rig)
            self.serials[name] = cable
            return f"{name}-listen:{cable.paths[0]}"
        if name in ("i3c", "mctp-i3c"):
            return f"{name}-listen:model:{self.bus(name)}"
        if name == "pcie-shm":
            self.mirror = Mirror(self.rig, name)
            return f"{name}-listen:{self.mirror.paths[1]}"
        return self.links.get(name, "target").listen

    def bus(self, name):
        return f"{self.rig.dir}/{name}-fault.bus"

    def kind_of(self, name):
        return "bytes" if name in LINES else {"udp": "datagram", "pcie": "object"}.get(name, "stream")

    def start(self, name, faults):
        """Inserts `faults` and returns the link to call. `stop` removes them."""
        link = self.start_link(name, faults)
        return f"--scm {link} --data {self.links.get('unix', 'clean').call}" if name in MANAGEMENT else link

    def start_link(self, name, faults):
        if name in ("tcp", "udp", "spdm"):
            port = int(self.links.get(name, "target").call.rsplit(":", 1)[-1])
        if name in ("tcp", "spdm"):
            self.proxy = Proxy(self.rig, ("127.0.0.1", port), faults)
            return f"{name}:127.0.0.1:{self.proxy.port}"
        if name == "unix":
            place = f"{self.rig.dir}/fault.sock"
            self.proxy = Proxy(self.rig, self.links.get("unix", "target").call[5:], faults, Messages,
                               place)
            return f"unix:{place}"
        if name == "udp":
            self.proxy = Datagrams(self.rig, port, faults)
            return f"udp:127.0.0.1:{self.proxy.port}"
        if name == "mqtt":
            self.proxy = Proxy(self.rig, ("127.0.0.1", self.links.broker().port), faults)
            return f"mqtt:127.0.0.1:{self.proxy.port}/{r.DEVICE}"
        if name == "pcie-shm":
            self.proxy, self.mirror.faults = self.mirror, faults
            return f"{name}:{self.mirror.paths[0]}"
        if name in GUEST:
            self.proxy = None
            GuestFaults(name, 1, "record")
            return self.links.get(name, "target").call
        if name in self.serials:
            self.proxy = None
            self.serials[name].mangle = faults
            return f"{name}:{self.serials[name].paths[1]}"
        raise r.Failure(f"no faults for {name}")

    def stop(self, name):
        if name in GUEST:
            GuestFaults(name, 0)
        elif name == "pcie-shm":
            self.mirror.faults = self.mirror.tap = None
        elif name in self.serials:
            self.serials[name].mangle = None
        elif self.proxy is not None:
            self.proxy.stop()
            self.rig.threads.remove(self.proxy)
            if name == "unix":
                os.unlink("fault.sock")


class Test:
    """A target whose memory is a file, and the expected contents of that memory."""

    def __init__(self, rows, seed):
        self.rows, self.rng = rows, random.Random(seed)
        self.rig = r.Rig()
        self.links = r.Links(self.rig)
        self.paths = Paths(self.rig, self.links)
        self.names = sorted({name for name, _ in rows})
        self.asked = 0  # sessions asked for
        self.results = []
        self.guests = []

    def set_up(self):
        self.rig.make_keys()
        self.memory = bytearray(self.rng.randbytes(SIZE))
        with open("ram.bin", "wb") as f:
            f.write(self.memory)
        listens = []
        if set(self.names) & set(GUEST):
            self.guests = guest.guests(self.rig, self.links, set(self.names) & set(GUEST), ["target"],
                                       os.path.join(r.BUILD, "tests/guest_fault"))
        for name in self.names:
            if "i3c" in name:
                self.start_bus(name)
            listens.append(self.paths.target_link(name))
        self.clean = self.links.get("unix", "clean")
        self.pump = r.Pump(self.rig) if any(kind == "gdb" for _, kind in self.rows) else None
        self.target = self.rig.start_target("target", listens + [self.clean.listen],
                                            stub=self.pump.stub if self.pump else None,
                                            files=[("ram.bin", BASE)])
        if "mqtt" in self.names:
            self.rig.await_log("target", "announced")
        for each in self.guests:
            each.start()
        self.leave_out({name: why for each in self.guests for name, why in each.ready().items()})

    def leave_out(self, missing, state="MISSING"):
        """Removes the rows of the kinds of link in `missing` and reports why they are missing."""
        self.rows = [row for row in self.rows if row[0] not in missing]
        self.names = [name for name in self.names if name not in missing]
        for name, why in sorted(missing.items()):
            self.report(state, name, 0, why)

    def start_bus(self, name, *faults):
        program = os.path.join(r.BUILD, "tests/fault_bus")
        log = f"{name}-bus"
        bus = self.rig.start(log, program, self.paths.bus(name), str(self.rng.getrandbits(32)), *faults)
        self.rig.await_log(log, "ready")
        self.paths.buses[name] = bus

    def restart_bus(self, name, *faults):
        self.rig.stop(self.paths.buses[name])
        self.start_bus(name, *faults)
        time.sleep(1.2)  # until the target has found the bus again

    # --- what an engineer does ---

    def mem(self, command, link, *argv):
        self.asked += 1
        code, text, seconds = self.rig.mem(command, *link.split(), *argv, timeout=LIMIT, wait=WAIT)
        if code not in CODES and not (code == 4 and "held by ada" in text):  # held by the session that was cut off
            raise r.Failure(f"mem {command}: exit {code} after {seconds:.0f} s: {text.strip()[-300:]}")
        if code != 0 and "postern mem: " not in text:
            raise r.Failure(f"mem {command}: exit {code} without a message: {text!r}")
        return code, text

    def dump(self, link, first, size):
        if os.path.exists("dump.bin"):
            os.unlink("dump.bin")
        code, text = self.mem("dump", link, hex(BASE + first), str(size), "-o", "dump.bin")
        data = b""
        if os.path.exists("dump.bin"):
            with open("dump.bin", "rb") as f:
                data = f.read()
        return code, text, data

    def try_dump(self, link):
        first, size = self.rng.randrange(0, SIZE - 16384, 16), self.rng.choice((64, 4096, 16384))
        code, text, data = self.dump(link, first, size)
        there = self.take_writes(first, data)
        if data != there[:len(data)] or (code == 0 and len(data) != size):
            raise r.Failure(f"WRONG DATA: {size} bytes at {first:#x} are not what is there")
        return code, text

    def take_writes(self, first, data):
        """Returns the expected bytes. A failed write may have been performed or not: `data` decides."""
        for at, new, sure in self.unsure:
            low, high = max(at, first), min(at + 16, first + len(data))
            if sure or (low < high and data[low - first:high - first] == new[low - at:high - at]):
                self.memory[at:at + 16] = new
        return bytes(self.memory[first:first + len(data)])

    def try_write(self, link):
        at, new = self.rng.randrange(0, SIZE, 16), self.rng.randbytes(16)
        code, text = self.mem("write", link, hex(BASE + at), "--hex", new.hex())
        self.unsure = [w for w in self.unsure if w[0] != at] + [(at, new, code == 0)]
        return code, text

    def settle(self):
        """Checks without faults that the next engineer gets a session and that memory is as expected.
        Returns the seconds until the session opened."""
        began = time.monotonic()
        while True:
            code, text, read = self.dump(self.clean.call, 0, 1024)
            if code == 0:
                break
            if time.monotonic() - began > READY:
                raise r.Failure(f"the next engineer is not let in: {text.strip()[-200:]}")
            time.sleep(0.3)
        with open("ram.bin", "rb") as file:
            data = file.read()
        self.take_writes(0, data)
        if data != bytes(self.memory) or read != data[:1024]:
            raise r.Failure("memory is not what was written")
        return time.monotonic() - began

    def check_audit(self):
        opened = {}
        for line in self.rig.audit("target"):
            if line["event"] == "open":
                if line["engineer"] != "ada" or line["session"] in opened:
                    raise r.Failure(f"audit log: {line}")
                opened[line["session"]] = True
            elif line["event"] == "effect" and line["session"] not in opened:
                raise r.Failure(f"audit log: an effect of no session: {line}")
        if len(opened) > self.asked:
            raise r.Failure(f"{len(opened)} sessions opened, {self.asked} asked for")

    # --- permutations ---

    def must_recover(self, name, kind):
        if name == "pcie-shm" or name in GUEST:
            return kind == "delay"
        return name in ("udp", "serial", "mctp-serial", "i3c", "mctp-i3c") and kind in (
            "drop", "duplicate", "reorder", "corrupt", "delay", "truncate")

    def begin(self, name, kind):
        """Starts faults. Returns (link, function that stops the faults, counts of faults or None)."""
        kind = "all" if kind == "gdb" else kind
        rates = {k: (RATES[self.paths.kind_of(name)] / (4 if kind == "all" else 1)) for k in kinds_of(name)
                 if kind in (k, "all") and not (kind == "all" and k in ("stall", "reset"))}
        if kind in ("stall", "reset", WORDS):
            rates[kind] = 100
        if name in ("i3c", "mctp-i3c"):
            table = {"drop": ("lose", "drop_ibi"), "duplicate": ("twice",), "corrupt": ("write", "read"),
                     "delay": ("nack", "pend", "refuse_ibi"), "truncate": ("cut", "broken"),
                     "reset": ("bus_reset",)}
            faults = [f"{f}={30 if kind != 'all' else 8}" for k in table for f in table[k]
                      if kind in (k, "all")]
            self.restart_bus(name, *faults)
            bus = self.paths.buses[name]
            return f"{name}:model:{self.paths.bus(name)}", lambda: bus.send_signal(signal.SIGUSR1), None
        if name in GUEST:
            words = [f"{k}={rate:.0f}" for k, rate in rates.items()]
            faults = GuestFaults(name, self.rng.getrandbits(30) + 2, *words, skip=self.rng.randrange(12))
            return self.links.get(name, "target").call, lambda: self.paths.stop(name), faults
        faults = Faults(self.rng.getrandbits(32), rates, skip=self.rng.randrange(12))
        return self.paths.start(name, faults), lambda: self.paths.stop(name), faults

    def run_gdb(self, name):
        self.unsure = []
        link, stop, faults = self.begin(name, "gdb")
        self.pump.reset()
        self.asked += 1
        try:
            text = r.main_job(self.rig, link)
        finally:
            stop()
        self.settle()
        self.check_audit()
        return f"{faults.done} faults in {faults.units}; {text}" if faults is not None else text

    def say_again(self, name, said):
        """Sends the recorded units of the debugger's end to the target again. Returns their number."""
        if name in GUEST:
            return self.say_again_there(name)
        if name in self.paths.serials:
            for unit in said:
                self.paths.serials[name].inject(0, unit)
                time.sleep(0.005)
            time.sleep(1.0)
            return len(said)
        if name == "udp":
            to = self.links.get("udp", "target").call.rsplit(":", 1)[-1]
            ways = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)] + list(self.paths.proxy.ways.values())
            for way in ways:  # from a new address, and from the original one
                for unit in said:
                    way.sendto(unit, ("127.0.0.1", int(to))) if way is ways[0] else way.send(unit)
                    time.sleep(0.002)
            time.sleep(1.0)
            return len(said)
        if name == "pcie-shm":
            if self.paths.mirror.say_again(said) == 0:
                raise r.Failure("the target did not read the replayed bytes")
            return len(said)
        s = self.paths.proxy.dial()
        s.settimeout(1.0)
        try:
            for unit in said:
                s.sendall(unit)
                time.sleep(0.02)
            while s.recv(65536):
                pass
        except OSError:
            pass
        s.close()
        return len(said)

    def say_again_there(self, name):
        """Replays in a guest: the program that recorded the session sends it again as soon as it has a
        device."""
        faults = GuestFaults(name, self.rng.getrandbits(30) + 2, "replay")
        port = int(self.links.get(name, "target").call.rsplit(":", 1)[-1])
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.settimeout(6.0)
            try:
                while s.recv(65536):
                    pass
            except OSError:
                pass
        r.await_that("the recorded session", lambda: faults.done > 0, LIMIT)
        return faults.done

    def replay(self, name):
        self.unsure = []
        link = self.paths.start(name, None)
        tap = self.paths.proxy or self.paths.serials.get(name)  # None: a guest records its own
        said = []
        if tap is not None:
            tap.tap = said
        side = 1 if name in self.paths.serials else 0
        code, text = self.try_write(link)
        if tap is not None:
            tap.tap = None
        try:
            if code != 0:
                raise r.Failure(f"the session to be recorded: {text}")
            at, new, _ = self.unsure[-1]
            old = bytes(self.memory[at:at + 16])
            self.unsure = []
            self.try_restore(at, old)
            lines = len(self.rig.audit("target"))
            count = self.say_again(name, [unit[-1] for unit in said if unit[-2] == side])
            for line in self.rig.audit("target")[lines:]:
                if line["event"] in ("open", "effect"):
                    raise r.Failure(f"the replay had an effect: {line}")
        finally:
            self.paths.stop(name)
        self.settle()
        self.check_audit()
        return f"{count} pieces said again, nothing opened"

    def try_restore(self, at, old):
        code, text = self.mem("write", self.clean.call, hex(BASE + at), "--hex", old.hex())
        if code != 0:
            raise r.Failure(f"cannot be restored: {text}")

    def run_row(self, name, kind, rounds):
        if kind == "gdb":
            return self.run_gdb(name)
        if kind == "replay":
            return self.replay(name)
        self.unsure = []
        link, stop, faults = self.begin(name, kind)
        codes = []
        try:
            for _ in range(rounds):
                for attempt in (self.try_dump, self.try_write):
                    code, text = attempt(link)
                    codes.append(code)
                    if code != 0 and self.must_recover(name, kind):
                        raise r.Failure(f"does not recover: exit {code}: {text.strip()[-200:]}")
        finally:
            stop()
        ready = self.settle()
        self.check_audit()
        if self.target.poll() is not None:
            raise r.Failure(f"the target has ended: {self.rig.log('target')[-2000:]}")
        told = f"{faults.done} faults in {faults.units}" if faults is not None else "faults on the bus"
        return f"{told}; exit {' '.join(map(str, codes))}; ready again after {ready:.1f} s"

    def report(self, state, row, seconds, text):
        self.results.append(state)
        print(f"{state:<7} {row:<24} {seconds:5.1f} s  {text}", flush=True)

    def run(self, rounds):
        for name, kind in self.rows:
            began = time.monotonic()
            try:
                state, text = "ok", self.run_row(name, kind, rounds)
            except r.Failure as why:
                state, text = "FAILED", str(why)
            self.report(state, f"{name}:{kind}", time.monotonic() - began, text)
            if state != "ok":
                with open("ram.bin", "rb") as file:
                    self.memory = bytearray(file.read())
                for log in ("target", f"{name}-target-host", f"{name}-target-device", f"{name}-target"):
                    for line in self.rig.log(log).splitlines()[-6:]:
                        print(f"        {log}.log: {line}")

    def end(self):
        for each in self.guests:
            each.stop()


QUICK = [("tcp", "all"), ("unix", "reorder"), ("udp", "all"), ("udp", "corrupt"), ("serial", "all"),
         ("mctp-serial", "all"), ("i3c", "all"), ("mqtt", "drop"), ("tcp", "replay"),
         ("udp", "replay"), ("serial", "replay"), ("pcie-shm", "all"), ("pcie-shm", "corrupt"),
         ("pcie-shm", WORDS), ("pcie-shm", "replay")]
LINKS = ("tcp", "unix", "udp", "serial", "mctp-serial", "i3c", "mctp-i3c", "mqtt", "pcie-shm",
         "usb", "pcie") + MANAGEMENT


def heavy_rows():
    again = [(name, "replay") for name in LINKS if "i3c" not in name]
    gdb = [(name, "gdb") for name in ("udp", "serial", "mctp-serial", "i3c", "mctp-i3c")]
    return gdb + again + [
        (name, kind) for name in LINKS for kind in kinds_of(name) + ("all",)
        if not (kind in ("stall", "reorder") and "i3c" in name)
        and not (kind == "reset" and (name == "udp" or name in LINES))]


def main():
    seed = int(os.environ.get("FAULT_SEED", "1"))
    rows = [tuple(a.split(":")) for a in sys.argv[2:]] or (QUICK if sys.argv[1] == "quick" else heavy_rows())
    rows = [row if len(row) == 2 else (row[0], "all") for row in rows]
    began = time.monotonic()
    test = Test(rows, seed)
    built_in = test.links.built_in()
    skip = os.environ.get("SKIP_LINKS", "").split()
    test.leave_out({n: f"SKIP_LINKS names {n}" for n in test.names if n in skip}, "skipped")
    test.leave_out({n: "not built in" for n in test.names if n not in built_in})
    if r.which(r.BROKER) is None:
        test.leave_out({n: f"no {r.BROKER}" for n in test.names if n == "mqtt"})
    test.set_up()
    test.run(1 if sys.argv[1] == "quick" else 3)
    test.end()
    states = [s for s in ("ok", "FAILED", "MISSING", "skipped") if s in test.results]
    print(f"seed {seed}; " + ", ".join(f"{test.results.count(s)} {s}" for s in states) +
          f"; {time.monotonic() - began:.0f} s")
    bad = test.results.count("FAILED") + (test.results.count("MISSING") if sys.argv[1] == "heavy" else 0)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
