"""A fault bridge between the two ends of pcie-shm. Each end has a shared-memory file of its own.

The bridge copies to the file of each end what the other end wrote, except for the faults: Faults
changes messages and, with "words", the words of the blocks (postern/links/ring.h). Ring positions are
counted separately for each file, so a lost or duplicated message shifts all later positions.
"""
import mmap
import os
import threading
import time

from mangle import Messages

# Indices of words, and the offsets of blocks and rings (mipi_profile.h: PST_RING_...).
BLOCKS, RINGS = (0x100 // 4, 0), 0x1000  # the caller's (side 0), the listener's (side 1)
MAGIC, PROFILE, SIZE, GENERATION, PEER, STATE, BEAT, HEAD, TAIL = 0, 1, 2, 3, 4, 5, 6, 16, 32
MOD = 1 << 32


class Memory:
    """A shared-memory file. Words are read and written in one access."""

    def __init__(self, path, size):
        self.path = path
        with open(path, "wb") as f:
            f.truncate(size)
        fd = os.open(path, os.O_RDWR)
        self.bytes = memoryview(mmap.mmap(fd, size))
        os.close(fd)
        self.words = self.bytes.cast("I")  # host byte order; the test runs only on little-endian hosts
        self.ring = 1 << ((size - RINGS) // 2).bit_length() - 1

    def get(self, side, word):
        return self.words[BLOCKS[side] + word]

    def put(self, side, word, value):
        self.words[BLOCKS[side] + word] = value % MOD

    def place(self, side, at, count):
        """Returns the one or two pieces of the ring that hold `count` bytes from `at` on."""
        base, at = RINGS + (0 if side else self.ring), at % self.ring
        first = min(count, self.ring - at)
        return [p for p in (self.bytes[base + at:base + at + first],
                            self.bytes[base:base + count - first]) if len(p)]

    def take_bytes(self, side, at, count):
        return b"".join(bytes(p) for p in self.place(side, at, count))

    def put_bytes(self, side, at, data):
        for piece in self.place(side, at, len(data)):
            piece[:] = data[:len(piece)]
            data = data[len(piece):]


class Way:
    """One direction: how much was taken from the sender, and how much was given to the receiver."""

    def __init__(self, generation):
        self.generation = generation
        self.taken = self.given = self.acked = 0
        self.told = {}  # the words last written for the other side
        self.cutter = Messages()
        self.waits = b""  # bytes that wait for room in the ring


class Mirror(threading.Thread):
    def __init__(self, rig, name, size=1 << 18):
        super().__init__(daemon=True)
        self.memory = [Memory(f"{rig.dir}/{name}-{side}.shm", size) for side in ("caller", "listener")]
        self.paths = [m.path for m in self.memory]
        self.faults = self.tap = None
        self.ways = [Way(0), Way(0)]
        self.number = 0
        self.lock = threading.Lock()
        self.running = True
        rig.threads.append(self)
        self.start()

    # --- bytes ---

    def out(self, side, data):
        if self.tap is not None:
            self.tap.append((self.number, side, data))
        self.ways[side].waits += data

    def take(self, side, head):
        way, own = self.ways[side], self.memory[side]
        data = own.take_bytes(side, way.taken, min((head - way.taken) % MOD, own.ring))
        way.taken = head
        for unit in way.cutter.cut(data):
            if self.faults is None:
                self.out(side, unit)
            else:
                self.faults.take(side, unit, self.out)

    def knows(self, side):
        """Returns whether the other side has seen this side's generation. Only then its tail refers to
        it."""
        return self.memory[1 - side].get(1 - side, PEER) == self.ways[side].generation != 0

    def give(self, side):
        way, there = self.ways[side], self.memory[1 - side]
        tail = there.get(1 - side, TAIL) if self.knows(side) else 0
        room = there.ring - (way.given - tail) % MOD
        if way.waits and room > 0:
            data, way.waits = way.waits[:room], way.waits[room:]
            there.put_bytes(side, way.given, data)
            way.given += len(data)
            self.tell(side, HEAD, way.given)
        return way.waits or (self.faults is not None and
                             (self.faults.queues[side] or self.faults.held[side]))

    # --- words ---

    def begin(self, side, generation):
        """Handles a side that restarted (new generation) or left (generation 0)."""
        self.ways[side] = Way(generation)
        if self.faults is not None and generation != 0:
            self.faults.deaf = False
            self.faults.queues[side], self.faults.held[side] = [], None
        self.number += side == 0
        there = self.memory[1 - side]
        there.put(side, GENERATION, 0)
        if generation != 0:
            for word in (MAGIC, PROFILE, SIZE, PEER, STATE, BEAT):
                self.tell(side, word, self.memory[side].get(side, word))
            self.tell(side, HEAD, 0)
            self.tell(side, TAIL, 0)
            there.put(side, GENERATION, generation)

    def tell(self, side, word, value):
        """Writes a word only if it changed, so that a word changed by a fault stays until then."""
        told = self.ways[side].told
        if told.get(word) != value:
            told[word] = value
            self.memory[1 - side].put(side, word, value)

    def put_tail(self, side):
        """Updates the tail: how far this side has read, counted in the positions of the sender."""
        way = self.ways[1 - side]
        if self.knows(1 - side):
            owed = len(way.waits) + (way.given - self.memory[side].get(side, TAIL)) % MOD
            if self.faults is not None:
                owed += sum(len(data) for _, data in self.faults.queues[1 - side])
            way.acked = max(way.acked, way.taken - owed)
            self.tell(side, TAIL, way.acked)

    def scribble(self, side):
        """Changes a random word of a block in the file of the other side."""
        rng, there = self.faults.rng, self.memory[1 - side]
        word = rng.choice((MAGIC, SIZE, GENERATION, PEER, STATE, BEAT, HEAD, HEAD, TAIL, TAIL))
        value = there.get(side, word)
        there.put(side, word, rng.choice((
            value ^ 1 << rng.randrange(32), value + rng.randrange(1, 5000),
            value - rng.randrange(1, 5000), there.get(1 - side, word), rng.getrandbits(32), 0)))

    def reset(self, side):
        """Clears the words of both files, or changes the generation of one side."""
        if self.faults.rng.randrange(2):
            for memory in self.memory:
                memory.bytes[:RINGS] = bytes(RINGS)
        else:
            self.memory[1 - side].put(side, GENERATION, self.faults.rng.getrandbits(32))

    def look(self, side):
        """Forwards all changes of a side. Returns whether anything but the heartbeat changed."""
        own, way, faults = self.memory[side], self.ways[side], self.faults
        generation, state, head = (own.get(side, w) for w in (GENERATION, STATE, HEAD))
        if own.get(side, GENERATION) != generation:
            return True
        if generation != way.generation:
            self.begin(side, generation)
            return True
        if generation == 0 or (faults is not None and faults.deaf):
            return False
        moved = head != way.taken
        if moved:
            self.take(side, head)
        if faults is not None:
            faults.due(self.out)
            if faults.cut:
                faults.cut = False
                self.reset(side)
                return True
        if not self.give(side):
            self.tell(side, STATE, state)
        self.put_tail(side)
        for word in (PEER, BEAT):
            self.tell(side, word, own.get(side, word))
        if side == 0 and own.get(0, PEER) != 0:
            self.former = (generation, own.get(0, PEER))
        if faults is not None and faults.scribble:
            faults.scribble = False
            self.scribble(side)
        return moved

    def run(self):
        moved = 0.0
        while self.running:
            with self.lock:
                if any([self.look(0), self.look(1)]):
                    moved = time.monotonic()
            time.sleep(0 if time.monotonic() - moved < 0.002 else 0.0005)

    # --- replay ---

    def say_again(self, units):
        """Replays units to the listener: first with the recorded words, then with its current
        generation as the peer. Returns how many bytes the listener read the second time."""
        there = self.memory[1]
        with self.lock:
            then = self.former
            for anew in (False, True):
                peer = there.get(1, GENERATION) if anew else then[1]
                there.put(0, GENERATION, 0)
                for word, value in ((PEER, peer), (HEAD, 0), (TAIL, 0), (STATE, 0), (GENERATION, then[0])):
                    there.put(0, word, value)
                head = read = 0
                for unit in units:
                    time.sleep(0.03)
                    read = max(read, there.get(1, TAIL))  # until the listener ends the connection and starts again
                    there.put_bytes(0, head, unit)
                    head += len(unit)
                    there.put(0, BEAT, there.get(0, BEAT) + 1)
                    there.put(0, HEAD, head)
                time.sleep(1.0)
                read = max(read, there.get(1, TAIL))
                there.put(0, GENERATION, 0)
        return read

    def stop(self):
        self.running = False
        self.join()
