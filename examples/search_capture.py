#!/usr/bin/env python3
"""search_capture.py CAPTURE TEXT: searches a recording for TEXT, as text and in hex.

Reads the pcapng file of `postern bridge --capture`, which holds one synthetic TCP stream for each
direction. Reassembles each direction first, so a match may cross packet boundaries. Prints the
number of bytes searched and of matches. Exit code 0: found; 1: not found; 2: the recording cannot
be read."""
import struct
import sys


def streams(path):
    data = open(path, "rb").read()
    found, at = {}, 0
    while at + 12 <= len(data):
        kind, total = struct.unpack_from("<II", data, at)
        if total < 12 or at + total > len(data):
            raise ValueError(f"block of {total} bytes at {at}")
        if kind == 6:
            length = struct.unpack_from("<I", data, at + 20)[0]
            packet = data[at + 28:at + 28 + length]
            key = packet[12:24]  # addresses and ports
            found[key] = found.get(key, b"") + packet[40:]
        at += total
    return found


def main():
    try:
        text = sys.argv[2].encode()
        searched = streams(sys.argv[1])
    except (IndexError, OSError, ValueError, struct.error) as error:
        print(f"search_capture: {error}", file=sys.stderr)
        return 2
    total = sum(map(len, searched.values()))
    if total == 0:
        print("search_capture: the recording is empty", file=sys.stderr)
        return 2
    needles = (text, text.hex().encode(), text.hex().upper().encode())
    hits = sum(stream.count(needle) for stream in searched.values() for needle in needles)
    print(f"{hits} matches in {total} bytes")
    return 0 if hits else 1


sys.exit(main())
