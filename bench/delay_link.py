#!/usr/bin/env python3
"""delay_link.py LISTEN CONNECT RTT_MS COUNT: a link with delay, between two Unix sockets.

Delays every byte by half of RTT_MS in each direction. Counts round trips in the file COUNT: a new
round trip begins when the caller sends for the first time, or for the first time after an answer."""
import asyncio
import os
import sys

LISTEN, CONNECT, RTT, COUNT = sys.argv[1], sys.argv[2], float(sys.argv[3]) / 1000, sys.argv[4]


class Trips:
    def __init__(self):
        self.count, self.answered = 0, True
        self.write()

    def write(self):
        with open(COUNT + ".new", "w") as f:
            f.write(f"{self.count}\n")
        os.replace(COUNT + ".new", COUNT)

    def asked(self):
        if self.answered:
            self.count += 1
            self.answered = False
            self.write()

    def was_answered(self):
        self.answered = True


async def copy(reader, writer, seen):
    """Reads without delay. Writes each piece half a round trip after it arrived."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()

    async def deliver():
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    data = b"x"
    while data:
        try:
            data = await reader.read(1 << 20)
        except ConnectionError:
            data = b""
        if data:
            seen()
        await queue.put((loop.time() + RTT / 2, data))
    await asyncio.gather(delivery, return_exceptions=True)


async def serve(reader, writer):
    trips = Trips()
    far_reader, far_writer = await asyncio.open_unix_connection(CONNECT)
    await asyncio.gather(copy(reader, far_writer, trips.asked),
                         copy(far_reader, writer, trips.was_answered))


async def main():
    server = await asyncio.start_unix_server(serve, LISTEN)
    async with server:
        await server.serve_forever()


asyncio.run(main())
