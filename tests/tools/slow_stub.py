#!/usr/bin/env python3
"""slow_stub.py LISTEN [CONNECT SECONDS]: a debug stub that is of little help.

Without CONNECT it takes connections and never says a word. With it, everything passes between both
sides, what the stub says so many SECONDS late."""
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
