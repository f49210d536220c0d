#!/usr/bin/env bash
# The parts of PCIe that need no device: shared memory in a file, with dead and living peers; and
# the server behind an emulated mailbox, with a foreign SPDM requester, and with clients that are
# not an emulator. heavy_pcie.sh tests with devices.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 1048576 /dev/urandom >ram.bin
truncate -s 256K shm
truncate -s 4K small
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
listen = pcie-shm-listen:./shm
listen = pcie-listen:127.0.0.1:0

[file ram]
path = ram.bin
base = 0x80000000
CONF
run_target() {
    postern target --config t.conf --audit t.jsonl >>t.log 2>&1 &
    target_pid=$!
    pids+=($target_pid)
}
run_target
await_text t.log 'listens at pcie:' || exit 1
port=$(sed -n 's/.*listens at pcie:127.0.0.1://p' t.log)
shm=pcie-shm:./shm

# --- shared memory ---
expect 0 '^80000000 ' as_ada mem read $shm 0x80000000 4
expect 0 '' as_ada mem dump $shm 0x80000000 0x100000 -o got.bin
cmp got.bin ram.bin && ok '1 MiB' || fail 'not the same bytes'

python3 -c '
import fcntl, time
f = open("shm", "r+b")
fcntl.lockf(f, fcntl.LOCK_EX, 1, 1)
open("held", "w")
time.sleep(60)' &
holder=$!
pids+=($holder)
await held
expect 2 'another program on this machine' as_ada mem read $shm 0x80000000 4
kill $holder
postern bridge --verbose tcp-listen:127.0.0.1:0 $shm >bridge.log 2>&1 & # one process serves two callers
bridge_pid=$!
pids+=($bridge_pid)
await_text bridge.log 'tcp:127.0.0.1:' || exit 1
python3 - "$(sed -n 's/.*tcp:127.0.0.1://p' bridge.log)" <<'PY' || fail 'a second caller through a bridge'
import socket, struct, sys
hello = struct.pack("<I", 12 | 0xD1 << 24) + b"\x01MDBG" + bytes([1, 0, 0]) + struct.pack("<I", 65551)
def call():
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
    s.sendall(hello)
    return s
first = call()
assert first.recv(100)[4:9] == b"\x01MDBG"
second = call()
assert second.recv(100) == b"", "the second one is served"
first.settimeout(1)
try:
    sys.exit(f"the first one heard {first.recv(100)}")
except TimeoutError:
    print("ok: a second caller through a bridge leaves the first one alone")
PY
kill $bridge_pid
wait $bridge_pid

truncate -s 256K away # memory that is removed and comes back
postern bridge --verbose pcie-shm-listen:./away $shm >bridge.log 2>&1 &
bridge_pid=$!
pids+=($bridge_pid)
await_text bridge.log 'pcie-shm:./away' || exit 1
expect 0 '^80000000 ' as_ada mem read pcie-shm:./away 0x80000000 4
truncate -s 0 away
await_text bridge.log 'memory is gone; waiting' || tail -n 5 bridge.log
truncate -s 256K away
await_text bridge.log 'memory is back'
expect 0 '^80000000 ' as_ada mem read pcie-shm:./away 0x80000000 4
kill $bridge_pid
wait $bridge_pid

pci=sysfs/0000:00:05.0 # a device's memory that is in use: its "enable" is a count
mkdir -p $pci
echo 0x1af4 >$pci/vendor
echo 0x1110 >$pci/device
: >$pci/enable
truncate -s 256K $pci/resource2
python3 -c '
import fcntl, sys, time
f = open(sys.argv[1], "r+b")
fcntl.lockf(f, fcntl.LOCK_EX, 1, 1)
open("held.device", "w")
time.sleep(60)' $pci/resource2 &
holder=$!
pids+=($holder)
await held.device
expect 2 'another program on this machine' as_ada mem read pcie-shm:00:05.0,sysfs=./sysfs 0x80000000 4
[ "$(cat $pci/enable)" = 10 ] && ok 'no longer enabled' || fail "enable: $(cat $pci/enable)"
kill $holder
for _ in 1 2 3; do # killed at any moment, without BYE
    timeout -s KILL "0.0$((RANDOM % 9 + 1))" postern mem dump --identity ada --trust ca/devices.pem \
        --device $device $shm 0x80000000 0x100000 -o /dev/null 2>/dev/null
    expect 0 '^80000000 ' as_ada mem read $shm 0x80000000 4
done

kill -9 $target_pid
wait $target_pid 2>/dev/null
expect 2 'no peer uses the other side' as_ada mem read $shm 0x80000000 4
expect 2 'No such file' as_ada mem read pcie-shm:./none 0x80000000 4
expect 2 'too small' as_ada mem read pcie-shm:./small 0x80000000 4
expect 1 "neither the name of a PCI device nor a file" as_ada mem read pcie-shm:none 0x80000000 4
expect 1 'not the name of a PCI device' as_ada mem read pcie:00:20.0 0x80000000 4
: >t.log
run_target
await_text t.log 'listens at pcie:' || exit 1
port=$(sed -n 's/.*listens at pcie:127.0.0.1://p' t.log)
expect 0 '^80000000 ' as_ada mem read $shm 0x80000000 4

# --- the mailbox's server ---
ask() {
    timeout 60 postern spdm requester --binding doe --identity ada --trust ca/devices.pem \
        --steps connect,digests,certificate,session,heartbeat,key-update-all,key-update,end "tcp:127.0.0.1:$port"
}
expect 0 '^end +ok' ask
expect 0 '^end +ok' ask
postern bridge --verbose pcie-listen:127.0.0.1:0 tcp-listen:127.0.0.1:0 >bridge.log 2>&1 &
pids+=($!)
await_text bridge.log ' tcp:127.0.0.1:' || exit 1
python3 - $port "$(sed -n 's/.*pcie:127.0.0.1://p' bridge.log)" "$(sed -n 's/.* tcp:127.0.0.1://p' bridge.log)" <<'PY' || fail 'the server behind the mailbox'
import socket, struct, sys, time
port, at_bridge, to_bridge = map(int, sys.argv[1:])
def dial(port=port):
    s = socket.create_connection(("127.0.0.1", port), timeout=10)
    s.settimeout(10)
    return s
def doe(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<HBBI", 1, kind, 0, 2 + len(body) // 4) + body
def read(s, n):
    data = b""
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data
def ask(s, obj, command=1, transport=2):
    s.sendall(struct.pack(">III", command, transport, len(obj)) + obj)
    head = struct.unpack(">III", read(s, 12))
    assert head[:2] == (1, 2), head
    return read(s, head[2])
def closes(s, data):
    s.sendall(data)
    try:
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True
def control(data):
    return doe(1, bytes.fromhex("10fe0000 0600 02 0000") + struct.pack("<H", len(data)) + data)
hello = b"\x01MDBG" + bytes([1, 0, 0]) + struct.pack("<I", 65551)
bye = bytes.fromhex("107e0000 0600 02 0000 0200 02")

s = dial()
types = [ask(s, doe(0, bytes([i, 0, 0, 0])))[8:12] for i in range(3)]
assert types == [bytes([1, 0, 0, 1]), bytes([1, 0, 1, 2]), bytes([1, 0, 2, 0])], types
assert ask(s, doe(0, bytes([3, 0, 0, 0]))) == b""
assert ask(s, doe(7, b"what is this")) == b""
assert ask(s, b"shrt") == b"" and ask(s, b"") == b""
assert ask(s, doe(1, bytes(8))[:12]) == b""           # length field larger than the object
assert ask(s, doe(2, bytes(5000))) == b""             # larger than agreed
assert ask(s, doe(2, bytes(64)))[8:20] == bye         # a record of an unknown session
assert ask(s, doe(1, bytes.fromhex("13e10000")))[8:20] == bye
for _ in range(5):                                    # each starts again
    answer = ask(s, control(hello))
    assert answer[8:10] == b"\x10\x7e" and b"MDBG" in answer, answer
    assert answer[answer.index(b"MDBG") + 5] == 0x0d  # flags: a target, native SPDM, polled
    version = ask(s, doe(1, bytes.fromhex("10840000")))
    assert version[8:10] == b"\x10\x04", version
assert ask(s, control(b"\x02\x00"))[8:20] == bye      # BYE, and the connection is over
assert ask(s, doe(1, bytes.fromhex("13e10000")))[8:20] == bye
version = ask(s, doe(1, bytes.fromhex("10840000")))   # a requester without HELLO
assert version[8:10] == b"\x10\x04", version
assert ask(s, control(hello[:-1])) == b"" or True     # a truncated HELLO does no harm
assert b"MDBG" in ask(s, control(hello))
assert ask(s, b"", command=0xDEAD) == b""
for data in (struct.pack(">III", 1, 1, 4) + bytes(4), struct.pack(">III", 1, 2, 1 << 20),
             b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", struct.pack(">III", 0xFFFE, 2, 0)):
    assert closes(dial(), data)
two = [dial(), dial()]                                # two emulators, each with a mailbox
for t in two:
    assert b"MDBG" in ask(t, control(hello))

many, served = [dial() for _ in range(64)], 0         # more connections than the server has room for
for m in many:
    try:
        served += len(ask(m, doe(0, bytes(4)))) == 12
    except (EOFError, OSError):
        pass
assert 0 < served <= 16, served
for m in many:
    m.close()
assert b"MDBG" in ask(two[0], control(hello))

def framed(kind, data):
    return struct.pack("<I", len(data) | kind << 24) + data
ts = dial(to_bridge)                                  # a target that sends more than its HELLO
ts.sendall(framed(0xD1, b"\x01MDBG" + bytes([1, 1, 0]) + struct.pack("<I", 65551)) + 2 * framed(0xD4, b"\x10\x04\0\0"))
time.sleep(0.5)
s = dial(at_bridge)
assert b"MDBG" in ask(s, control(hello))
assert len(ask(s, doe(0, bytes(4)))) == 12
print("ok: the server behind the mailbox")
PY
expect 0 '^end +ok' ask
expect 0 '^80000000 ' as_ada mem read $shm 0x80000000 4
kill -0 $target_pid || fail 'the target has ended'
finish
