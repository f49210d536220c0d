#!/usr/bin/env bash
# How a target's link treats clients that are not Postern peers. None of them may disturb an
# engineer with an open session. TCP, also by host name and over IPv6.
. "$SRC/tests/tools/lib.sh"
make_keys
head -c 65536 /dev/urandom >ram.bin
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
listen = tcp:127.0.0.1:0
listen = tcp:[::1]:0

[file ram]
path = ram.bin
base = 0x80000000
CONF
postern target --config t.conf --audit t.jsonl >t.log 2>&1 &
target_pid=$!
pids+=($target_pid)
await_text t.log 'listens at tcp:\[::1\]:' || exit 1
port=$(sed -n 's/.*listens at tcp:127.0.0.1://p' t.log)
port6=$(sed -n 's/.*listens at tcp:\[::1\]://p' t.log)
expect 0 '80000000' as_ada mem read tcp:127.0.0.1:$port 0x80000000
# A container without a hosts file may not know the name.
if getent hosts localhost >/dev/null; then
    expect 0 '80000000' as_ada mem read tcp:localhost:$port 0x80000000
fi
expect 0 '80000000' as_ada mem read "tcp:[::1]:$port6" 0x80000000

python3 - $port <<'PY' || fail 'strangers'
import os, socket, struct, sys, time
port = int(sys.argv[1])
hello = b"\x0c\x00\x00\xd1" + b"\x01MDBG"
def dial():
    return socket.create_connection(("127.0.0.1", port), timeout=10)
def closed(s):
    """Checks that the target closes within 8 s and sends only HELLO and BYE."""
    got = b""
    try:
        while True:
            data = s.recv(4096)
            if not data:
                return len(got) < 64
            got += data
    except (ConnectionResetError, BrokenPipeError):
        return True
strangers = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + os.urandom(500),
    "clear traffic before HELLO": b"\x10\x00\x00\xd2" + bytes(16),
    "a flood of records before HELLO": (b"\x00\x10\x00\xd3" + os.urandom(4096)) * 50,
    "an endless length": b"\xff\xff\xff\xd3" + os.urandom(4096),
    "a short HELLO": b"\x02\x00\x00\xd1\x01M",
    "noise": os.urandom(4096),
}
for name, data in strangers.items():
    s = dial()
    try:
        s.sendall(data)
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert closed(s), name
s = dial()
began = time.time()
assert closed(s), "silence"
assert 3 < time.time() - began < 8, "silence is ended after five seconds"
# The target's own HELLO, sent back to it: it must notice that the peer claims to be a target.
s = dial()
s.sendall(s.recv(64))
assert closed(s), "a mirror"
PY
expect 0 '80000000' as_ada mem read tcp:127.0.0.1:$port 0x80000000

# a peer that is not a target
python3 - >other.port <<'PY' &
import socket, sys
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1], flush=True)
for answer in (b"SSH-2.0-OpenSSH\r\n", b""):
    c, _ = s.accept()
    c.sendall(answer)
    c.recv(64)
    c.close()
c, _ = s.accept()
c.recv(64)
import time; time.sleep(20)
PY
pids+=($!)
await_text other.port '[0-9]' && other=$(cat other.port)
expect 2 "tcp:127.0.0.1:$other.: (not Postern|.*framing)" as_ada mem read tcp:127.0.0.1:$other 0
expect 2 'closed by the peer before HELLO' as_ada mem read tcp:127.0.0.1:$other 0
expect 2 'no HELLO in time' as_ada mem --timeout 2 read tcp:127.0.0.1:$other 0

# only loopback is allowed
if command -v ss >/dev/null; then
    ss -ltnp 2>/dev/null | grep "pid=$target_pid," | grep -vqE '127\.0\.0\.1:|\[::1\]:' &&
        fail 'it listens beyond loopback'
fi

# A device that calls a bridge keeps its connection while it waits for an engineer.
postern bridge -v "unix-listen:$dir/meet.sock" "unix-listen:$dir/in.sock" >meet.log 2>&1 &
pids+=($!)
await meet.sock
sed "/^listen/d; s|^policy.*|&\ncall = unix:$dir/meet.sock|" t.conf >call.conf
postern target --config call.conf --audit call.jsonl >call.log 2>&1 &
pids+=($!)
await_text meet.log 'waits for the other side'
sleep 7
[ "$(grep -c waits meet.log)" = 1 ] || fail "it went away: $(cat meet.log call.log)"
expect 0 '80000000' as_ada mem read "unix:$dir/in.sock" 0x80000000

# strangers occupy every link: an open session continues, and soon there is room again
as_ada mem dump tcp:127.0.0.1:$port 0x80000000 64K -o dump.bin 2>/dev/null
python3 - $port <<'PY'
import socket, sys, time
held = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(40)]
time.sleep(1)
PY
expect 0 '80000000' as_ada mem read tcp:127.0.0.1:$port 0x80000000
kill -0 $target_pid || fail 'the target has died'
grep -iE 'sanitizer|runtime error' t.log && fail 'sanitizer'
finish
