"""Bridges for tests that change the traffic: with seeded random faults, or as a script says."""
import os
import random
import select
import socket
import threading
import time


class Faults:
    """Decides what happens to each unit. One object serves both directions of a path."""

    def __init__(self, seed, rates, skip=0):
        self.rng = random.Random(seed)
        self.rates = rates
        self.skip = skip
        self.units = self.done = 0
        self.off = self.cut = self.deaf = self.scribble = False
        self.queues = [[], []]  # for each side: (due time, bytes) in order
        self.held = [None, None]

    def choose(self):
        self.units += 1
        if self.off or self.units <= self.skip:
            return None
        at = self.rng.random() * 1000
        for kind, rate in self.rates.items():
            at -= rate
            if at < 0:
                self.done += 1
                return kind
        return None

    def take(self, side, data, out):
        """Takes a unit. Calls `out(side, bytes)` for what is sent now; `due` does so for the rest."""
        kind = self.choose()
        if self.deaf and not self.off:
            return
        pieces, wait = [data], 0.0
        if kind == "drop":
            pieces = []
        elif kind == "duplicate":
            pieces = [data, data]
        elif kind == "corrupt":
            at, bit = self.rng.randrange(len(data)), 1 << self.rng.randrange(8)
            pieces = [data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]]
        elif kind == "truncate":
            pieces = [data[:self.rng.randrange(len(data))]]
        elif kind == "reorder" and self.held[side] is None:
            self.held[side] = (time.monotonic() + 0.05, data)
            return
        elif kind == "delay":
            wait = self.rng.uniform(0.01, 0.4)
        elif kind == "stall":
            self.deaf = True
            return
        elif kind == "reset":
            self.cut = True
            return
        elif kind == "words":  # faults in shared memory, which mirror.py makes
            self.scribble = True
        if self.held[side] is not None:
            pieces.append(self.held[side][1])
            self.held[side] = None
        queue = self.queues[side]
        when = max([time.monotonic() + wait] + [queue[-1][0]] if queue else [time.monotonic() + wait])
        queue += [(when, piece) for piece in pieces if piece]
        self.due(out)

    def due(self, out):
        """Calls `out` for every unit that is due. Returns the seconds until the next one."""
        now, wait = time.monotonic(), 1.0
        for side in (0, 1):
            if self.held[side] is not None and self.held[side][0] <= now:
                self.queues[side].append((now, self.held[side][1]))
                self.held[side] = None
            queue = self.queues[side]
            while queue and queue[0][0] <= now:
                out(side, queue.pop(0)[1])
            if queue:
                wait = min(wait, queue[0][0] - now)
            if self.held[side] is not None:
                wait = min(wait, self.held[side][0] - now)
        return max(wait, 0.001)


class GuestFaults:
    """Like Faults, but tests/guest/guest_fault.c makes the faults in a guest. Both communicate through
    shared files."""

    def __init__(self, kind, seed, *words, skip=0):
        self.seed, self.path = seed, kind + ".done"
        with open(kind + ".faults.new", "w") as f:
            f.write(f"{seed} {skip} {' '.join(words)}\n")
        os.replace(kind + ".faults.new", kind + ".faults")

    def told(self):
        try:
            with open(self.path) as f:
                seed, done, units = map(int, f.read().split())
            return (done, units) if seed == self.seed else (0, 0)
        except (OSError, ValueError):
            return 0, 0

    @property
    def done(self):
        return self.told()[0]

    @property
    def units(self):
        return self.told()[1]


class Messages:
    """Splits a stream of link messages into messages. Any other stream passes unchanged."""

    def __init__(self):
        self.have = b""

    def cut(self, data):
        self.have += data
        units = []
        while len(self.have) >= 4:
            end = 4 + int.from_bytes(self.have[:3], "little")
            if not 0xD1 <= self.have[3] <= 0xD4:
                units.append(self.have)
                self.have = b""
            elif len(self.have) >= end:
                units.append(self.have[:end])
                self.have = self.have[end:]
            else:
                break
        return units


class Chunks:
    def cut(self, data):
        return [data]


class Proxy(threading.Thread):
    """A bridge between stream sockets. Each caller gets a connection to `to`. If `tap` is a list, it
    gets (connection, side, bytes) for all traffic; side 0 is the caller, side 1 the called end."""

    def __init__(self, rig, to, faults=None, cutter=Chunks, listen=None):
        super().__init__(daemon=True)
        self.to, self.faults, self.cutter = to, faults, cutter
        self.tap = None
        self.running = True
        self.connections = 0
        if listen is None:
            self.server = socket.create_server(("127.0.0.1", 0))
            self.port = self.server.getsockname()[1]
        else:
            self.server = socket.socket(socket.AF_UNIX)
            self.server.bind(listen)
            self.server.listen(16)
        rig.threads.append(self)
        self.start()

    def run(self):
        while self.running:
            if select.select([self.server], [], [], 0.1)[0]:
                caller = self.server.accept()[0]
                self.connections += 1
                threading.Thread(target=self.serve, args=(caller, self.connections), daemon=True).start()

    def dial(self):
        s = socket.socket(socket.AF_UNIX if isinstance(self.to, str) else socket.AF_INET)
        s.connect(self.to)
        return s

    def serve(self, caller, number):
        try:
            ends = [caller, self.dial()]
            self.copy(ends, number)
        except OSError:
            pass
        finally:
            for s in ends:
                s.close()

    def copy(self, ends, number):
        cutters = [self.cutter(), self.cutter()]
        faults = self.faults
        if faults is not None:
            faults.cut = faults.deaf = False
            faults.queues, faults.held = [[], []], [None, None]

        def out(side, data):
            if self.tap is not None:
                self.tap.append((number, side, data))
            ends[1 - side].sendall(data)
        for s in ends:
            s.settimeout(5)
        while self.running:
            wait = faults.due(out) if faults is not None else 1.0
            for s in select.select(ends, [], [], wait)[0]:
                side = ends.index(s)
                data = s.recv(65536)
                if not data:
                    while faults is not None and (any(faults.queues) or any(faults.held)) and not faults.cut:
                        time.sleep(faults.due(out))
                    return
                for unit in cutters[side].cut(data):
                    if faults is None:
                        out(side, unit)
                    else:
                        faults.take(side, unit, out)
                        if faults.cut:
                            return

    def stop(self):
        self.running = False
        self.join()
        self.server.close()


class Datagrams(threading.Thread):
    """A bridge between UDP sockets on loopback."""

    def __init__(self, rig, port, faults=None):
        super().__init__(daemon=True)
        self.faults, self.tap, self.running = faults, None, True
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.to = ("127.0.0.1", port)
        self.ways = {}  # caller -> socket to the other side
        rig.threads.append(self)
        self.start()

    def out(self, side, unit):
        source, data = unit
        if self.tap is not None:
            self.tap.append((0, side, data))
        try:
            if side == 0:
                self.ways[source].send(data)
            else:
                self.server.sendto(data, source)
        except OSError:
            pass

    def pass_on(self, side, source, data):
        if self.faults is None:
            self.out(side, (source, data))
        else:
            self.faults.take(side, data, lambda s, d: self.out(s, (self.source, d)))

    def run(self):
        self.source = None
        while self.running:
            wait = 0.2
            if self.faults is not None:
                wait = min(wait, self.faults.due(lambda s, d: self.out(s, (self.source, d))))
            sockets = [self.server, *self.ways.values()]
            for s in select.select(sockets, [], [], wait)[0]:
                try:
                    if s is self.server:
                        data, source = s.recvfrom(65536)
                        if source not in self.ways:
                            way = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                            way.connect(self.to)
                            self.ways[source] = way
                        self.source = source  # one caller at a time
                        self.pass_on(0, source, data)
                    else:
                        data = s.recv(65536)
                        source = next(a for a, w in self.ways.items() if w is s)
                        if source == self.source:
                            self.pass_on(1, source, data)
                except OSError:
                    pass

    def stop(self):
        self.running = False
        self.join()
