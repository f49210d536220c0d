#!/usr/bin/env python3
"""backpressure.py [ROW...]: checks that a path whose receiver does not read makes the sender wait.

A row is a LINK or a chain LINK+LINK+... Bridges join a socket of this script, the links, and a second
socket of this script. One end sends as much as it can, the other does not read. The number of bytes
accepted must be bounded, and so must the memory of every process on the path, the broker included.
When the receiver starts reading, every byte must arrive. The test is repeated in the other direction.
At last both ends send without reading, and both disconnect.
"""
import os
import random
import selectors
import socket
import sys
import threading
import time

import rig as r

ROWS = ["unix", "udp", "serial", "mctp-serial", "i3c", "mctp-i3c", "mqtt", "pcie-shm",
        "udp+mqtt+serial"]
MOST_TAKEN = 8 << 20  # bytes: a few hundred KiB of buffers for each hop, and the kernel's buffers
MOST_GROWN = 8192  # KiB, for each process
QUIET = 1.5  # after so many seconds without an accepted byte the sender is blocked
LIMIT = 60


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]


def memory(pids):
    """Returns the peak memory of each process and its children in KiB."""
    peaks = {}
    for pid in pids + [child for pid in pids for child in children(pid)]:
        with open(f"/proc/{pid}/status") as f:
            peaks[pid] = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    return peaks


class Row:
    def __init__(self, rig, links, name):
        self.rig, self.name = rig, name
        place = f"{rig.dir}/{name}"
        server = socket.socket(socket.AF_UNIX)
        server.bind(place + ".end")
        server.listen(1)
        server.settimeout(LIMIT)
        hops = [r.Link("unix", f"unix-listen:{place}.begin", "")]
        hops += [links.get(kind, f"{name.replace('+', '-')}-{i}") for i, kind in enumerate(name.split("+"))]
        hops.append(r.Link("unix", "", f"unix:{place}.end"))
        self.bridges = [rig.bridge(f"{name}-{i}", here.listen, there.call)
                        for i, (here, there) in reversed(list(enumerate(zip(hops, hops[1:]))))]
        self.begin = socket.socket(socket.AF_UNIX)
        self.begin.connect(place + ".begin")
        self.begin.sendall(b"x")
        self.end = server.accept()[0]
        if self.end.recv(1) != b"x":
            raise r.Failure("the first byte does not arrive")
        server.close()
        self.pids = [b.pid for b in self.bridges]
        if "mqtt" in name:
            self.pids.append(links.broker().process.pid)

    def flood(self, into, seed):
        """Sends bytes of a generator until none is accepted for a while. Returns their number."""
        rng, taken, left = random.Random(seed), 0, b""
        into.setblocking(False)
        quiet = time.monotonic() + QUIET
        while time.monotonic() < quiet:
            left = left or rng.randbytes(65536)
            try:
                n = into.send(left)
                left, taken, quiet = left[n:], taken + n, time.monotonic() + QUIET
            except BlockingIOError:
                time.sleep(0.01)
            if taken > MOST_TAKEN:
                raise r.Failure(f"{taken} bytes were taken, and nobody reads")
        return taken

    def drain(self, out, taken, seed):
        rng, want = random.Random(seed), b""
        out.settimeout(LIMIT / 2)
        while taken > 0:
            got = out.recv(min(taken, 65536))
            while len(want) < len(got):
                want += rng.randbytes(65536)
            if got == b"" or got != want[:len(got)]:
                raise r.Failure(f"{taken} bytes before the end: they are not those that were sent")
            want, taken = want[len(got):], taken - len(got)

    def run(self):
        told = []
        for into, out, seed in ((self.begin, self.end, 1), (self.end, self.begin, 2)):
            before = memory(self.pids)
            taken = self.flood(into, seed)
            after = memory(self.pids)
            grown = max(after[pid] - before.get(pid, 0) for pid in after)
            if grown > MOST_GROWN:
                raise r.Failure(f"a process has grown by {grown} KiB, of {taken} bytes")
            self.drain(out, taken, seed)
            told.append(f"{taken >> 10} KiB taken, {grown} KiB grown")
        return "; back: ".join(told) + f"; gone after {self.leave():.1f} s"

    def leave(self):
        """Floods both directions, then disconnects both ends. Every bridge must notice it."""
        for end in (self.begin, self.end):
            self.flood(end, 3)
        for end in (self.begin, self.end):
            end.close()
        began = time.monotonic()
        for bridge in self.bridges:
            name = os.path.basename(bridge.log)[:-len(".log")]
            r.await_that(f"{name} is rid of it", lambda name=name: any(
                f"connection 1: {how}" in self.rig.log(name) for how in ("ended", "broken")), LIMIT)
        return time.monotonic() - began


def main():
    rig = r.Rig()
    links = r.Links(rig)
    built_in = links.built_in()
    results = []

    def run(row):
        began = time.monotonic()
        try:
            state, text = "ok", row.run()
        except (r.Failure, OSError) as why:
            state, text = "FAILED", str(why)
        results.append(state)
        print(f"{state:<7} {row.name:<16} {time.monotonic() - began:5.1f} s  {text}", flush=True)

    threads = []
    for name in sys.argv[1:] or ROWS:
        kinds = set(name.split("+"))
        if not kinds <= set(built_in) or ("mqtt" in kinds and r.which(r.BROKER) is None):
            print(f"MISSING {name}")
            continue
        threads.append(threading.Thread(target=run, args=(Row(rig, links, name),)))
    for thread in threads:  # in parallel, because the rows mostly wait
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{results.count('ok')} ok, {results.count('FAILED')} FAILED")
    return 1 if "FAILED" in results else 0


sys.exit(main())
