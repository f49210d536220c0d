#!/usr/bin/env bash
# SPDM as MCTP messages on a serial line: sessions on that line alone, and sessions with their debug
# data on another link; through a good cable, bad cables and a dead one.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 65536 /dev/urandom >ram.bin
cable() { # NAME OPTION...: starts a cable with the ends NAME.t and NAME.d; sets $cable_pid
    local name=$1
    shift
    python3 "$SRC/tests/links/cable.py" "$name.t" "$name.d" "$@" 2>cable.log &
    cable_pid=$!
    pids+=("$cable_pid")
    await "$name.d"
}
cable good
good=$cable_pid
cable bad --spoil 20
cable awful --spoil 4000 --seed 3
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
heartbeat = 2
listen = mctp-spdm-listen:$dir/good.t
listen = mctp-spdm-listen:$dir/bad.t,mtu=1024
listen = mctp-spdm-listen:$dir/awful.t
listen = unix:data.sock
[file ram]
path = ram.bin
base = 0x80000000
CONF
postern target --config t.conf --audit t.jsonl >t.log 2>&1 &
pids+=($!)
await_text t.log 'listens at unix:data.sock' || exit 1
same() { # SIZE OPTION...
    local size=$1
    shift
    rm -f got.bin
    expect 0 '' as_ada mem "$@" dump 0x80000000 "$size" -o got.bin
    cmp -s got.bin <(head -c "$size" ram.bin) || fail "$*: other bytes"
}
line=mctp-spdm:$dir/good.d

# Management on MCTP with debug on a Unix socket; then the line alone, with debug inside SPDM.
same 65536 --scm "$line" --data unix:data.sock
expect 0 '80000000' as_ada mem read "$line" 0x80000000
expect 0 '80000000' as_ada mem read "$line,eid=29,peer=9,unit=251,mtu=2048" 0x80000000
expect 0 '80000000' as_ada mem read "$line,baud=115200" 0x80000000
expect 0 'Acme:Pump:0042' as_ada info --scm "$line" --data unix:data.sock
# Records on this link are SPDM messages, so it cannot be a data link.
expect 2 'carries SPDM only' as_ada mem --scm "$line" --data "mctp-spdm:$dir/bad.d" read 0x80000000

# The exact bytes, as another requester would send and expect them: GET_VERSION twice,
# GET_CAPABILITIES twice.
python3 - "$dir/good.d" <<'PY' || fail 'the bytes on the line'
import os, select, sys
def fcs(data):
    c = 0xFFFF
    for byte in data:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ 0x8408 if c & 1 else c >> 1
    return c.to_bytes(2, "big")
def frame(packet):
    head = bytes([1, len(packet)])
    escaped = packet.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    return b"\x7e" + head + escaped + fcs(head + packet) + b"\x7e"
line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
def ask(tag, body):
    """Sends one packet and returns the body of the answer."""
    os.write(line, frame(bytes([1, 9, 33, 0xC8 | tag]) + body))
    got = b""
    while got.count(b"\x7e") < 2:
        assert select.select([line], [], [], 5)[0], got
        got += os.read(line, 4096)
    inner = got.split(b"\x7e")[1]
    packet = inner[2:-2].replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
    assert inner[0] == 1 and inner[1] == len(packet) and inner[-2:] == fcs(inner[:2] + packet), got
    assert packet[:4] == bytes([1, 33, 9, 0xC0 | tag]), packet
    return packet[4:]
version = ask(1, bytes.fromhex("0510840000"))
assert version[:3] == bytes.fromhex("051004"), version
assert ask(1, bytes.fromhex("0510840000")) == version
ask_capabilities = bytes.fromhex("0513e1000000000000c6f700000010000000100000")
first = ask(2, ask_capabilities)
assert first[:3] == bytes.fromhex("051361"), first.hex()
assert ask(2, ask_capabilities) == first
PY

# A bridge: a caller over TCP learns the record format of the line from HELLO.
postern bridge -v tcp-listen:127.0.0.1:0 "$line" >b.log 2>&1 &
bridge=$!
pids+=("$bridge")
await_text b.log 'tcp:127.0.0.1:[0-9]+'
expect 0 '80000000' as_ada mem read "$(grep -o 'tcp:127.0.0.1:[1-9][0-9]*' b.log | head -1)" 0x80000000
kill "$bridge"
wait "$bridge" 2>/dev/null

# Too many bytes are lost: the session ends with a message. (This takes as long as all retries.)
as_ada mem read "mctp-spdm:$dir/awful.d" 0x80000000 >awful.log 2>&1 &
awful=$!

# Fewer bytes are lost: the requester's retries are enough.
rm -f got.bin
expect 0 '' as_ada mem dump "mctp-spdm:$dir/bad.d,mtu=1024" 0x80000000 16384 -o got.bin
cmp -s got.bin <(head -c 16384 ram.bin) || fail 'other bytes through a bad cable'

# The line goes dead during a session, which ends on both sides. Then the line works again.
before=$(grep -c '"open"' t.jsonl)
as_ada mem dump "$line,baud=115200" 0x80000000 65536 -o got.bin >dead.log 2>&1 &
dead=$!
for _ in $(seq 100); do
    [ "$(grep -c '"open"' t.jsonl)" -gt "$before" ] && break
    sleep 0.05
done
kill -STOP "$good"
wait "$dead" && fail 'it does not notice that nobody answers'
grep -q 'no answer to an SPDM message' dead.log || fail "says: $(cat dead.log)"
kill -CONT "$good"
same 65536 --scm "$line" --data unix:data.sock
wait "$awful" && fail 'a session through that cable'
grep -qE 'loses too|nobody answers|no answer|damaged' awful.log || fail "says: $(cat awful.log)"

# The cable is unplugged and plugged in again.
as_ada mem dump "$line,baud=9600" 0x80000000 65536 -o got.bin >pulled.log 2>&1 &
pulled=$!
sleep 1
kill "$good"
wait "$pulled" && fail 'it does not notice that the line is gone'
grep -q 'line was closed' pulled.log || fail "says: $(cat pulled.log)"
await_text t.log 'waiting for it to come back'
rm -f good.t good.d
cable good
await_text t.log 'the device is back'
same 65536 --scm "$line" --data unix:data.sock

expect 2 'no such device' as_ada mem read mctp-spdm:/dev/no-such-tty 0x80000000
expect 1 'eid' as_ada mem read mctp-spdm:/dev/x,eid=255 0x80000000
finish
