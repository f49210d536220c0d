"""A fault bridge between the two ends of pcie-shm: two files of shared memory, one end in each.

An end sees in its file what the other one wrote into its own, but for what Faults does to the
messages that pass, and ("words") to the words of the blocks (postern/ring.h). The places in a ring
are counted anew on each side, so what is lost or said twice moves all that follows.
"""
import mmap
import os
import threading
import time

from mangle import Messages

# Words, and where blocks and rings are (mipi_profile.h: PST_RING_...).
BLOCKS, RINGS = (0x100 // 4, 0), 0x1000  # the caller's (side 0), the listener's (side 1)
MAGIC, PROFILE, SIZE, GENERATION, PEER, STATE, BEAT, HEAD, TAIL = 0, 1, 2, 3, 4, 5, 6, 16, 32
MOD = 1 << 32


class Memory:
    """A file of shared memory, whose words are read and written as a whole."""

    def __init__(self, path, size):
        self.path = path
        with open(path, "wb") as f:
            f.truncate(size)
        fd = os.open(path, os.O_RDWR)
        self.bytes = memoryview(mmap.mmap(fd, size))
        os.close(fd)
        self.words = self.bytes.cast("I")  # of this host's order: there is no big-endian one
        self.ring = 1 << ((size - RINGS) // 2).bit_length() - 1

    def get(self, side, word):
        return self.words[BLOCKS[side] + word]

    def put(self, side, word, value):
        self.words[BLOCKS[side] + word] = value % MOD

    def place(self, side, at, count):
        """The one or two pieces that `count` bytes from `at` on are in."""
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
    """What one side says: how much of it was taken, and how much was given to the other one."""

    def __init__(self, generation):
        self.generation = generation
        self.taken = self.given = self.acked = 0
        self.told = {}  # words, as the other side has last seen them from us
        self.cutter = Messages()
        self.waits = b""  # until there is room


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

    # --- what is said ---

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
        """Whether the other side has heard of this one's generation: then its tail is about it."""
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
        """A side has begun anew, or left."""
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
        """Once: what became of a word stays until there is news."""
        told = self.ways[side].told
        if told.get(word) != value:
            told[word] = value
            self.memory[1 - side].put(side, word, value)

    def put_tail(self, side):
        """What the other side said was read up to here, in its own way of counting."""
        way = self.ways[1 - side]
        if self.knows(1 - side):
            owed = len(way.waits) + (way.given - self.memory[side].get(side, TAIL)) % MOD
            if self.faults is not None:
                owed += sum(len(data) for _, data in self.faults.queues[1 - side])
            way.acked = max(way.acked, way.taken - owed)
            self.tell(side, TAIL, way.acked)

    def scribble(self, side):
        """Some word of a block becomes another one, as the other side sees it."""
        rng, there = self.faults.rng, self.memory[1 - side]
        word = rng.choice((MAGIC, SIZE, GENERATION, PEER, STATE, BEAT, HEAD, HEAD, TAIL, TAIL))
        value = there.get(side, word)
        there.put(side, word, rng.choice((
            value ^ 1 << rng.randrange(32), value + rng.randrange(1, 5000),
            value - rng.randrange(1, 5000), there.get(1 - side, word), rng.getrandbits(32), 0)))

    def reset(self, side):
        """The memory is as if new, or one side as if another."""
        if self.faults.rng.randrange(2):
            for memory in self.memory:
                memory.bytes[:RINGS] = bytes(RINGS)
        else:
            self.memory[1 - side].put(side, GENERATION, self.faults.rng.getrandbits(32))

    def look(self, side):
        """Whether anything but beats has moved."""
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

    # --- what was said, again ---

    def say_again(self, units):
        """To the listener: as it was, word by word; and by one who names the right generation, of
        whom so many bytes were read."""
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
                    read = max(read, there.get(1, TAIL))  # until it ends this, and begins anew
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
