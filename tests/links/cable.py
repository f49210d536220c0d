#!/usr/bin/env python3
"""A serial cable: two connected pseudo-terminals with the names A and B.

cable.py A B [--spoil N] [--seed N]: of one million bytes, N are lost, N are changed and N are added.
SIGTERM ends it, as if the cable were unplugged."""
import argparse, os, pty, random, select, termios, tty

parser = argparse.ArgumentParser()
parser.add_argument("names", nargs=2)
parser.add_argument("--spoil", type=int, default=0)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()
chance = random.Random(args.seed)


def spoil(data):
    if args.spoil == 0:
        return data
    out = bytearray()
    at = 0
    while at < len(data):
        step = int(chance.expovariate(3 * args.spoil / 1e6))
        out += data[at : at + step]
        at += step
        if at < len(data):
            what = chance.randrange(3)
            if what == 1:
                out.append(data[at] ^ 1 << chance.randrange(8))
            elif what == 2:
                out += bytes([data[at], chance.randrange(256)])
            at += 1
    return bytes(out)


masters, kept = [], []
for name in args.names:
    master, slave = pty.openpty()
    tty.setraw(slave, termios.TCSANOW)
    os.set_blocking(master, False)
    if os.path.islink(name):
        os.unlink(name)
    os.symlink(os.ttyname(slave), name)
    masters.append(master)
    kept.append(slave)
waiting = [b"", b""]  # bytes to write to masters[i]
while True:
    readers = [m for i, m in enumerate(masters) if not waiting[1 - i]]
    writers = [m for i, m in enumerate(masters) if waiting[i]]
    ready, room, _ = select.select(readers, writers, [])
    for i, master in enumerate(masters):
        if master in ready:
            waiting[1 - i] = spoil(os.read(master, 65536))
    for i, master in enumerate(masters):
        if waiting[i]:
            try:
                waiting[i] = waiting[i][os.write(master, waiting[i]) :]
            except BlockingIOError:
                pass
