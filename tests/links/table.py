#!/usr/bin/env python3
"""table.py quick|heavy [ROW...]: runs the main job over every link, bridged pairs, chains, outbound.

Each row runs the gdb session of `make demo` against a pump just after reset. gdb's answers must match
examples/pump/expected.txt. One target listens at all links. The rows are

    NAME  one link                             DTS -- NAME --> TS
    A+B   two links and a bridge               DTS -- A --> bridge -- B --> TS
    A+B+C+... a chain
    NAME! outbound: the target calls, the debugger listens
    A/B   out of band: management on A, debug data on B

usb, pcie and pcie-shm are in guests (guest.py): one TCP connection leads from here into the guest and
another one out of it. A row fails if something it needs is missing. The kinds of link in $SKIP_LINKS
("usb pcie") are skipped, and the summary lists them.
"""
import itertools
import os
import sys
import time

import guest
import rig as r

QUICK = ["tcp", "unix", "udp", "serial", "mctp-serial", "i3c", "mctp-i3c", "mqtt", "tcp!", "spdm/tcp", "mqtt+serial",
         "mctp-spdm", "udp+i3c", "tcp+mqtt+mctp-serial+i3c+serial"]
HERE = ["tcp", "unix", "udp", "serial", "mctp-serial", "mctp-spdm", "i3c", "mctp-i3c", "mqtt"]
GUEST = ["usb", "pcie", "pcie-shm"]
OUT_OF_BAND = ["spdm/tcp", "spdm/udp", "spdm/i3c", "spdm/mqtt", "mctp-spdm/serial", "spdm/usb", "pcie/usb"]
CHAINS = ["tcp+mqtt+usb+i3c+serial", "udp+pcie+mqtt+usb+mctp-serial", "serial+i3c+usb+mqtt+tcp"]


def heavy_rows():
    kinds = HERE + GUEST
    outbound = [k + "!" for k in HERE if k != "mctp-spdm"]  # its caller is always the requester
    pairs = ["+".join(p) for p in itertools.permutations(kinds, 2) if "unix" not in p]
    return kinds + outbound + OUT_OF_BAND + CHAINS + pairs


class Table:
    def __init__(self, rows):
        self.rows = rows
        self.rig = r.Rig()
        self.links = r.Links(self.rig)
        self.skip = os.environ.get("SKIP_LINKS", "").split()
        self.results = []
        self.missing = {}  # kind of link -> why it is not available
        self.guests = []

    def kinds(self, row):
        return row.rstrip("!").replace("/", "+").split("+")

    def find_missing(self):
        used = {k for row in self.rows for k in self.kinds(row)} - set(self.skip)
        built_in = self.links.built_in()
        for kind in sorted(used):
            if kind not in built_in:
                self.missing[kind] = "not built in"
        if "mqtt" in used and r.which(r.BROKER) is None:
            self.missing["mqtt"] = f"no {r.BROKER}"
        return used - set(self.missing)

    def set_up(self):
        used = self.find_missing()
        self.rig.make_keys()
        self.pump = r.Pump(self.rig)
        last = {kind for row in self.rows if not row.endswith("!")
                for kind in (self.kinds(row) if "/" in row else self.kinds(row)[-1:])} & used
        here = sorted(last - set(GUEST))
        if used & set(GUEST):
            self.guests = guest.guests(self.rig, self.links, used & set(GUEST))
        listens = [self.links.get(k, "target").listen for k in here]
        listens += [link.listen for (kind, where), link in self.links.made.items()
                    if kind in GUEST and where == "target" and kind not in self.missing]
        self.target = self.rig.start_target("target", listens, stub=self.pump.stub)
        if "mqtt" in here:
            self.rig.await_log("target", "announced")
        if self.guests:
            self.boot_guests()

    def boot_guests(self):
        began = time.monotonic()
        for each in self.guests:
            each.start()
        for each in self.guests:
            self.missing.update(each.ready())
        print(f"the guests were up after {time.monotonic() - began:.0f} s", flush=True)

    def run_row(self, row):
        """Runs the main job over a row. Returns the result of the check of gdb's answers."""
        kinds = self.kinds(row)
        self.pump.reset()
        if row.endswith("!"):
            return self.run_outbound(kinds[0])
        if "/" in row:
            scm, data = (self.links.get(k, "target").call for k in kinds)
            return r.main_job(self.rig, f"--scm {scm} --data {data}")
        bridges = []
        try:
            # Starts at the target's end, so that each caller finds a listener.
            hops = [self.links.get(k, "target" if i == len(kinds) - 1 else f"hop{i}")
                    for i, k in enumerate(kinds)]
            for here, there in reversed(list(zip(hops, hops[1:]))):
                bridges.append(self.rig.bridge(f"bridge{len(bridges)}", here.listen, there.call))
            time.sleep(max(hop.settle for hop in hops))
            return r.main_job(self.rig, hops[0].call)
        finally:
            self.rig.stop(*reversed(bridges))

    def run_outbound(self, kind):
        link = self.links.get(kind, "outbound")
        caller = self.rig.start_target("caller", calls=[link.call], stub=self.pump.stub)
        try:
            return r.main_job(self.rig, link.listen)
        finally:
            self.rig.stop(caller)

    def report(self, state, row, seconds, text):
        self.results.append(state)
        print(f"{state:<7} {row:<34} {seconds:5.1f} s  {text}", flush=True)

    def run(self):
        for row in self.rows:
            left_out = [k for k in self.kinds(row) if k in self.skip]
            gone = [k for k in self.kinds(row) if k in self.missing]
            if left_out:
                self.report("skipped", row, 0, f"SKIP_LINKS names {' '.join(left_out)}")
                continue
            if gone:
                self.report("MISSING", row, 0, "; ".join(f"{k}: {self.missing[k]}" for k in gone))
                continue
            began = time.monotonic()
            try:
                text = self.run_row(row)
                state = "ok"
            except r.Failure as why:
                state, text = "FAILED", str(why)
            self.report(state, row, time.monotonic() - began, text)
            if state == "FAILED":
                self.show_logs()

    def show_logs(self):
        for name in ("target", "bridge0", "bridge1", "bridge2", "bridge3", "caller"):
            for line in self.rig.log(name).splitlines()[-8:]:
                print(f"        {name}.log: {line}")

    def end(self):
        if self.target.poll() is not None:
            self.report("FAILED", "target", 0, "it has ended")
            self.show_logs()
        for each in self.guests:
            each.stop()
        self.rig.stop(self.target)
        for name in ("target", "caller"):
            if "Sanitizer" in self.rig.log(name) or "runtime error" in self.rig.log(name):
                self.report("FAILED", name, 0, self.rig.log(name)[-3000:])
        count = {s: self.results.count(s) for s in ("ok", "FAILED", "MISSING", "skipped")}
        print(", ".join(f"{n} {s}" for s, n in count.items() if n))
        # Quick mode is part of `make check`, which installs what it needs. A kind that is still missing
        # there is no failure.
        bad = count["FAILED"] + (count["MISSING"] if sys.argv[1] == "heavy" else 0)
        return 1 if bad else 0


def main():
    rows = sys.argv[2:] or (QUICK if sys.argv[1] == "quick" else heavy_rows())
    for tool in (r.QEMU_RISCV, r.GDB):
        if r.which(tool) is None or not os.path.exists(r.ELF):
            print(f"skipped: no {tool}, or no pump.elf")
            return 77
    began = time.monotonic()
    table = Table(rows)
    table.set_up()
    table.run()
    code = table.end()
    print(f"{time.monotonic() - began:.0f} s")
    return code


sys.exit(main())
