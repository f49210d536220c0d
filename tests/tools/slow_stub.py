#!/usr/bin/env python3
"""slow_stub.py LISTEN [CONNECT SECONDS]: a silent or slow debug stub.

Without CONNECT it accepts connections and never answers. With CONNECT it forwards both directions and
delays what the stub sends by SECONDS."""
import select
import socket
import sys
import threading
import time


def late(caller, called, seconds):
    while True:
        for ready in select.select([caller, called], [], [])[0]:
            data = ready.recv(65536)
            if not data:
                return
            if ready is called:
                time.sleep(seconds)
            (called if ready is caller else caller).sendall(data)


def serve(caller):
    try:
        if len(sys.argv) == 2:
            while caller.recv(65536):
                pass
        else:
            called = socket.socket(socket.AF_UNIX)
            called.connect(sys.argv[2])
            with called:
                late(caller, called, float(sys.argv[3]))
    except OSError:
        pass
    caller.close()


server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
