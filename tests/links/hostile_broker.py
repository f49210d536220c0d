#!/usr/bin/env python3
"""hostile_broker.py PORT: a hostile MQTT broker. The first line of the file `broker.does` names the
attack on every client that connects. The broker prints a line for each connection."""
import re
import socket
import struct
import sys
import threading
import time


def packet(kind, body):
    length, n = b"", len(body)
    while True:
        length += bytes([n % 128 | (128 if n >= 128 else 0)])
        n //= 128
        if n == 0:
            return bytes([kind]) + length + body


CONNACK = packet(0x20, b"\0\0\0")
TOPIC = b"\0\3a/b"
THINGS = {
    "unknown-property": bytes.fromhex("20050000027e00"),
    "property-in-publish": CONNACK + packet(0x30, TOPIC + b"\2\x7e\0x"),
    "huge": CONNACK + b"\x30\xff\xff\xff\x7f" + TOPIC + b"\0",
    "garbage": bytes(range(251)) * 40,
    "connacks": CONNACK * 5000,
    "subacks": CONNACK + b"".join(packet(0x90, struct.pack(">HB", i, 0) + b"\0") for i in range(3000)),
    "pubacks": CONNACK + b"".join(packet(0x40, struct.pack(">HBB", i, 0x87, 0)) for i in range(3000)),
    "long-topic": CONNACK + packet(0x30, b"\xff\x00" + b"a" * 0xff00 + b"\0x"),
    "truncated": CONNACK + packet(0x30, TOPIC + b"\0" + b"x" * 500)[:40],
    "nothing": b"",
}


def publish(topic, message):
    return packet(0x30, struct.pack(">H", len(topic)) + topic + b"\0" + message)


def subscribed(s, again=0):
    """Serves a listener until it listens, and acknowledges that `again` more times. Returns the topic
    where it listens."""
    heard = b""
    s.sendall(CONNACK)
    while not (at := re.search(rb"\0[^\0]([\w/]+)/\+/up", heard)):
        if not (more := s.recv(65536)):
            raise OSError
        heard += more
    for mid in [1, 2] + [2] * again:
        s.sendall(packet(0x90, struct.pack(">HB", mid, 0) + b"\0"))
    return at[1]


def asks(s):
    """Opens calls and sends in each an endless number of chunks whose answers are never read."""
    at = subscribed(s)
    for call in range(1 << 40):
        up = at + b"/%032x/up" % call
        s.sendall(publish(up, b"\xb1MDBG" + PROFILE + b"\x00\x40\x20"))
        for i in range(0, 20000, 100):
            s.sendall(b"".join(publish(up, struct.pack("<BQQB", 0xB4, n, 32, 1)) for n in range(i, i + 100)))


def hangs_up(s):
    """Ends the connection of every listener, as some brokers do when a client may not publish."""
    subscribed(s)
    raise OSError


PROFILE = b"\1"
DOES = {"asks": asks, "subscribed-again": lambda s: subscribed(s, 3000), "hangs-up": hangs_up}


def serve(s):
    with open("broker.does") as f:
        what = f.read().strip()
    print("called:", what, flush=True)
    try:
        s.recv(65536)
        s.settimeout(30)
        DOES.get(what, lambda s: s.sendall(THINGS[what]))(s)
        if what == "huge":
            for _ in range(3000):  # up to the announced length: 187 MiB
                s.sendall(bytes(65536))
        s.settimeout(3)
        while s.recv(65536):
            pass
    except OSError:
        pass
    time.sleep(0.1)
    s.close()


def main():
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print("running", flush=True)
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    if sys.argv[1] == "list":
        print(*THINGS)
    else:
        main()
