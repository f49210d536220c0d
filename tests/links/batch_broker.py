#!/usr/bin/env python3
"""batch_broker.py PORT CERTIFICATE KEY: an MQTT broker over TLS that stops reading for a while and then
sends ten packets in one TLS record. It sends nothing more and prints how many of them the client
acknowledges."""
import re
import socket
import ssl
import struct
import sys
import time

from hostile_broker import CONNACK, PROFILE, packet, publish

COUNT = 10


def packets(s):
    f = s.makefile("rb")
    while head := f.read(1):
        length = shift = 0
        while True:
            n = f.read(1)[0]
            length |= (n & 127) << shift
            shift += 7
            if n < 128:
                break
        yield head[0], f.read(length)


def listens(said, s):
    """Serves a listener until it listens. Returns the topic where it does."""
    for kind, body in said:
        if kind == 0x10:
            s.sendall(CONNACK)
        elif kind == 0x82:
            s.sendall(packet(0x90, body[:2] + b"\0\0"))
            if at := re.fullmatch(rb"(.*)/\+/up", body[5:-1], re.S):
                return at[1]
    raise OSError


def serve(s):
    said = packets(s)
    at = listens(said, s)
    up = at + b"/" + b"a" * 32 + b"/up"
    s.sendall(publish(up, b"\xb1MDBG" + PROFILE + b"\x00\x40\x20"))
    for i in range(0, 40000, 100):  # chunks that need an answer, until the answers fill all buffers
        s.sendall(b"".join(publish(up, struct.pack("<BQQB", 0xB4, n, 32, 1)) for n in range(i, i + 100)))
    time.sleep(1)
    topic = struct.pack(">H", len(at) + 5) + at + b"/here"
    s.sendall(b"".join(packet(0x32, topic + struct.pack(">H", i + 1) + b"\0x") for i in range(COUNT)))
    time.sleep(1)
    s.settimeout(5)
    acknowledged = 0
    try:
        for kind, _ in said:
            acknowledged += kind == 0x40
            if acknowledged == COUNT:
                break
    except OSError:
        pass
    print("acknowledged:", acknowledged, flush=True)


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    print("running", flush=True)
    while True:
        try:
            with context.wrap_socket(server.accept()[0], server_side=True) as s:
                serve(s)
        except OSError as e:
            print(e, flush=True)


main()
