#!/usr/bin/env python3
"""flip.py LISTEN CONNECT AFTER: a hostile bridge between two Unix sockets, for the demo.

Serves one connection and copies both directions. Flips one bit of what the caller sends: in the byte
at offset AFTER."""
import os
import select
import socket
import sys


def main():
    listen, connect, after = sys.argv[1], sys.argv[2], int(sys.argv[3])
    server = socket.socket(socket.AF_UNIX)
    server.bind(listen)
    os.chmod(listen, 0o600)
    server.listen(1)
    caller = server.accept()[0]
    called = socket.socket(socket.AF_UNIX)
    called.connect(connect)
    passed = 0
    while True:
        for ready in select.select([caller, called], [], [])[0]:
            data = bytearray(ready.recv(65536))
            if not data:
                return
            if ready is caller:
                if passed <= after < passed + len(data):
                    data[after - passed] ^= 0x01
                    print(f"flipped a bit of byte {after}", flush=True)
                passed += len(data)
            (called if ready is caller else caller).sendall(data)


try:
    main()
except ConnectionError:
    pass
