#!/usr/bin/env python3
"""Makes certs.h: chains of `postern pki`, signed anew with the pretended signatures of
fake_crypto.c, so that the example verifies real certificates without a crypto library.

Usage: make_certs.py POSTERN > certs.h"""
import base64
import pathlib
import re
import subprocess
import sys
import tempfile

MASK = (1 << 64) - 1


def mix(state, data):
    for byte in data:
        state = ((state ^ byte) * 0x100000001B3) & MASK
    return state


def spread(state, length):
    out = bytearray()
    for i in range(length):
        if i % 8 == 0:
            state = ((state + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9) & MASK
        out.append(state >> (56 - 8 * (i % 8)) & 0xFF)
    return bytes(out)


def tlv(at):
    """(tag, header length, content length) of the DER value at the start."""
    first = at[1]
    if first < 0x80:
        return at[0], 2, first
    count = first & 0x7F
    return at[0], 2 + count, int.from_bytes(at[2:2 + count], "big")


def wrap(tag, content):
    n = len(content)
    size = bytes([n]) if n < 0x80 else bytes([0x81, n]) if n < 0x100 else bytes([0x82, n >> 8, n & 0xFF])
    return bytes([tag]) + size + content


def integer(raw):
    raw = raw.lstrip(b"\0") or b"\0"
    return wrap(2, b"\0" + raw if raw[0] & 0x80 else raw)


def parts(der):
    """The signed part and the algorithm of a certificate."""
    _, head, length = tlv(der)
    body = der[head:head + length]
    _, h, n = tlv(body)
    tbs, rest = body[:h + n], body[h + n:]
    _, h, n = tlv(rest)
    return tbs, rest[:h + n]


def point(tbs):
    """X and Y of the P-256 key: the BIT STRING behind its algorithm."""
    at = tbs.index(bytes.fromhex("06082a8648ce3d030107" "034200" "04")) + 14
    return tbs[at:at + 64]


def sign(der, key):
    tbs, algorithm = parts(der)
    raw = spread(mix(mix(0xCBF29CE484222325, key), tbs), 64)
    signature = wrap(0x30, integer(raw[:32]) + integer(raw[32:]))
    return wrap(0x30, tbs + algorithm + wrap(3, b"\0" + signature))


def certificates(path):
    text = pathlib.Path(path).read_text()
    found = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END", text, re.S)
    return [base64.b64decode(one) for one in found]


def chain(path):
    """Signed anew from the root down; and the public key of the leaf."""
    out, key = [], None
    for der in certificates(path):
        own = point(parts(der)[0])
        out.append(sign(der, key or own))
        key = own
    return out, key


def array(name, data):
    print(f"static const uint8_t {name}[] = {{")
    for i in range(0, len(data), 16):
        print("    " + " ".join(f"0x{b:02X}," for b in data[i:i + 16]))
    print("};")


def main():
    postern = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as at:
        for args in (["init", "ca"],
                     ["target", "--ca", "ca", "--id", "Acme:Pump:0042", "pump"],
                     ["engineer", "--ca", "ca", "--name", "ada", "--grant", "debug", "ada"]):
            subprocess.run([postern, "pki", *args], cwd=at, check=True, stdout=subprocess.DEVNULL)
        print("/* Made by make_certs.py: real certificates with pretended signatures (fake_crypto.c). */")
        print("/* clang-format off */\n#ifndef FIRMWARE_CERTS_H\n#define FIRMWARE_CERTS_H\n\n#include <stdint.h>\n")
        for name, key_name in (("pump", "device"), ("ada", "engineer")):
            made, key = chain(f"{at}/{name}/chain.pem")
            array(f"{key_name}_chain", b"".join(made))
            print(f"enum {{ {key_name.upper()}_ROOT_LEN = {len(made[0])} }}; /* of these, the root */")
            array(f"{key_name}_public", key)
            print()
        print("#endif")


main()
