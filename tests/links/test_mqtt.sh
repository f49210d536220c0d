#!/usr/bin/env bash
# Sessions through a real mosquitto: what an eavesdropper at the broker sees, presence and last
# will, a broker that disappears and comes back, TLS with client certificates, and the error
# messages.
. "$SRC/tests/tools/lib.sh"
for program in mosquitto mosquitto_sub openssl; do
    PATH="$PATH:/usr/sbin" command -v $program >/dev/null || {
        echo "skipped: no $program"
        exit 77
    }
done
postern links | grep -A 2 '^mqtt ' | grep -q 'not built in' && {
    echo 'skipped: built without libmosquitto'
    exit 77
}
PATH="$PATH:/usr/sbin"
make_keys
engineer=Wilhelmina # long enough not to occur in ciphertext or hex by chance
postern pki engineer --ca ca --name $engineer --grant debug wilma >pki.log 2>&1 || fail 'postern pki'
as_wilma() { with_identity wilma "$@"; }
broker() { # NAME LINE...: starts a broker; sets $broker_pid
    local name=$1
    shift
    printf '%s\n' "$@" 'set_tcp_nodelay true' 'user root' >"$name.conf"
    mosquitto -c "$name.conf" >>"$name.log" 2>&1 &
    broker_pid=$!
    pids+=("$broker_pid")
    await_text "$name.log" 'running'
}
target() { # NAME LINK MEMORY: starts a target with that file as memory
    printf '[target]\nidentity = pump\ntrust = ca/engineers.pem\npolicy = debug\nlisten = %s\n' "$2" >"$1.conf"
    printf '[file ram]\npath = %s\nbase = 0x80000000\n' "$3" >>"$1.conf"
    postern target --config "$1.conf" --audit "$1.jsonl" >"$1.log" 2>&1 &
    target_pid=$!
    pids+=("$target_pid")
    await_text "$1.log" 'is announced at broker' || cat "$1.log"
}
die() { kill -9 "$1" 2>/dev/null && wait "$1" 2>/dev/null; }

marker=KXQJZWVBKXQJZWVB
yes $marker | tr -d '\n' | head -c 320000 >ram.bin
truncate -s 2G large.bin
openssl rand -hex 32 >secret && openssl rand -hex 32 >other-secret && chmod 600 secret other-secret
p=$(free_port)
here=127.0.0.1:$p/$device
broker plain "listener $p 127.0.0.1" 'allow_anonymous true'

# --- sessions, with an eavesdropper at '#' ---
listen_in() { # NAME FORMAT
    mosquitto_sub -h 127.0.0.1 -p "$p" -t '#' -F "$2" >"$1.seen" 2>/dev/null &
    ear=$!
    pids+=("$ear")
    sleep 0.3
}
seen() { # NAME: prints the number of chunks, and which plaintext words are in topics or contents
    python3 - "$1.seen" $marker $device $engineer <<'PY'
import sys
topics, data = b"", b""
lines = open(sys.argv[1]).read().splitlines()
for line in lines:
    topic, _, hexed = line.partition(" ")
    topics += topic.encode() + b"\n"
    data += bytes.fromhex(hexed)
print(len(lines) > 20, len(data) > 320000, *[word.encode() in topics or word.encode() in data for word in sys.argv[2:]])
PY
}
for kind in sealed bare; do
    options=$([ $kind = sealed ] && echo ,secret=secret)
    target $kind "mqtt-listen:$here$options" ram.bin
    listen_in $kind '%t %x'
    expect 0 'KXQJ' as_wilma mem read "mqtt:$here$options" 0x80000000 16
    expect 0 '' as_wilma mem dump "mqtt:$here$options" 0x80000000 320000 -o got.bin
    cmp got.bin ram.bin || fail "$kind: other bytes"
    sleep 0.3
    die "$ear"
    # Without the fleet secret the device's certificate is in the clear, as SPDM sends it.
    want=$([ $kind = sealed ] && echo 'True True False False False' || echo 'True True False True False')
    got=$(seen $kind)
    [ "$got" = "$want" ] && ok "$kind: an eavesdropper sees: $got" || fail "$kind: an eavesdropper sees: $got"
    [ $kind = sealed ] && sealed_pid=$target_pid
done
bare_pid=$target_pid

# --- finding devices ---
echo $device >names
expect 0 '[0-9a-f]{32}  -  ' postern find "mqtt:127.0.0.1:$p"
expect 0 'Acme:Pump:0042 .*unverified' postern find "mqtt:127.0.0.1:$p" --names names
postern find "mqtt:127.0.0.1:$p,secret=secret" --device $device --device No:Such:1 --json >found.json 2>&1
python3 - found.json $device <<'PY' || fail 'find --json'
import json, sys
found = json.load(open(sys.argv[1]))
assert found["absent"] == ["No:Such:1"], found
assert len(found["devices"]) == 2 and all(d["presence"] == "unverified" for d in found["devices"]), found
assert [d["device"] for d in found["devices"]].count(sys.argv[2]) == 1, found # only under the fleet secret
assert all(0 <= d["age_s"] < 60 for d in found["devices"]), found
PY

# --- errors ---
expect 2 "no 'Acme:Pump:9999' at broker 127.0.0.1:$p" as_ada mem read "mqtt:127.0.0.1:$p/Acme:Pump:9999" 0
expect 2 "no 'Acme:Pump:0042' at broker .* another secret" as_ada mem read "mqtt:$here,secret=other-secret" 0
expect 2 'Connection refused' as_ada mem read "mqtt:127.0.0.1:1/$device" 0
expect 1 'no device id' as_ada mem read "mqtt:127.0.0.1:$p" 0
expect 1 "unknown option 'password'" as_ada mem read "mqtt:$here,password=x" 0
long=$(printf ',user=uu%.0s' {1..75}) # with what comes after it, longer than a link may be
expect 1 'characters; expected at most' postern find "mqtt:127.0.0.1:$p$long,cafile=nowhere.pem"
cp secret open-secret && chmod 644 open-secret
expect 2 'other users can read it' as_ada mem read "mqtt:$here,secret=open-secret" 0
expect 2 "announces another device than this one, 'Acme:Pump:0042'" postern target --config bare.conf \
    --listen "mqtt-listen:127.0.0.1:$p/Acme:Pump:0043" --audit other.jsonl
# Another device under this name: the handshake detects it.
printf '[target]\nidentity = impostor\ntrust = other/engineers.pem\npolicy = debug\n' >impostor.conf
printf '[file ram]\npath = ram.bin\nbase = 0x80000000\n' >>impostor.conf
die "$bare_pid"
postern target --config impostor.conf --listen "mqtt-listen:$here" --audit impostor.jsonl >impostor.log 2>&1 &
impostor_pid=$!
pids+=("$impostor_pid")
await_text impostor.log 'is announced'
expect 3 '' as_ada mem read "mqtt:$here" 0x80000000
die "$impostor_pid"

# --- a target that is killed, a broker that is restarted ---
await_gone() { # SECONDS: waits until the presence of the device is gone
    for _ in $(seq $(($1 * 4))); do
        postern find "mqtt:127.0.0.1:$p" --device $device 2>/dev/null | grep -q 'not announced' && return 0
        sleep 0.1
    done
    return 1
}
await_gone 3 && ok 'the last will takes presence away' || fail 'presence of a target that was killed'
die "$sealed_pid"
touch large.jsonl
target large "mqtt-listen:$here,secret=secret" large.bin
# The presence is removed right after it was published (by the last will of an older connection,
# say).
topic=$(mosquitto_sub -h 127.0.0.1 -p "$p" -t 'postern/1/+/+/here' -C 1 -W 5 -F %t)
mosquitto_pub -h 127.0.0.1 -p "$p" -t "$topic" -n -r -q 1
for _ in $(seq 20); do
    sleep 0.5
    postern find "mqtt:127.0.0.1:$p" 2>&1 | grep -q ': 1 announced' && break
done
expect 0 ': 1 announced' postern find "mqtt:127.0.0.1:$p"
long_read() { # reads in the background; the result goes to long.code and long.out
    local lines
    rm -f long.code
    lines=$(wc -l <large.jsonl)
    {
        as_ada mem dump "mqtt:$here,secret=secret" 0x80000000 2G -o - 2>long.out
        echo $? >long.code
    } >/dev/null &
    for _ in $(seq 300); do # until the log shows that the session is open
        [ "$(wc -l <large.jsonl)" -gt "$lines" ] && break
        sleep 0.05
    done
    sleep 0.5
    [ ! -e long.code ] || fail "the long read has ended: $(cat long.out)"
}
await_end() { # WHAT CODE PATTERN
    local start=$SECONDS
    for _ in $(seq 300); do
        [ -e long.code ] && break
        sleep 0.1
    done
    if [ "$(cat long.code 2>/dev/null)" = "$2" ] && grep -qE "$3" long.out; then
        ok "$1: $(cat long.out) ($((SECONDS - start)) s)"
    else
        fail "$1: $(cat long.code) $(cat long.out)"
    fi
}
# An attacker who sees all topics at the broker publishes to those of a running connection. The
# messages are sealed, so forged ones have no effect.
listen_in calls %t
long_read
die "$ear"
grep -E '/(up|down)$' calls.seen | sort -u >topics
[ "$(wc -l <topics)" = 2 ] || fail "topics of one connection: $(cat topics)"
for topic in $(cat topics); do
    yes 'nothing that was sealed' | head -n 50 | mosquitto_pub -h 127.0.0.1 -p "$p" -t "$topic" -l -q 1
    for byte in 2 3 5 6; do
        { printf "\\xb$byte" && head -c 40 /dev/urandom; } >forged.bin
        mosquitto_pub -h 127.0.0.1 -p "$p" -t "$topic" -f forged.bin -q 1
    done
    mosquitto_pub -h 127.0.0.1 -p "$p" -t "$topic" -n -q 1
done
sleep 0.5
[ ! -e long.code ] && ok 'forged messages change nothing' || fail "forged messages: $(cat long.out)"
die "$target_pid"
await_end 'the target is killed' 5 'nothing is received from the peer any more'
target large "mqtt-listen:$here,secret=secret" large.bin
long_read
die "$broker_pid"
await_end 'the broker is killed' 5 "broker 127.0.0.1:$p: .*(lost|reset)"
await_text large.log "broker 127.0.0.1:$p: .*; trying again in"
: >plain.log
broker plain "listener $p 127.0.0.1" 'allow_anonymous true'
for _ in $(seq 100); do
    [ "$(grep -c 'is announced at broker' large.log)" = 2 ] && break
    sleep 0.1
done
expect 0 '80000000' as_ada mem read "mqtt:$here,secret=secret" 0x80000000
kill "$target_pid" && wait "$target_pid" 2>/dev/null
expect 0 'not announced' postern find "mqtt:127.0.0.1:$p,secret=secret" --device $device
grep -qE 'ERROR|Sanitizer' ./*.log && fail "$(grep -lE 'ERROR|Sanitizer' ./*.log)"

# --- TLS, client certificates, passwords ---
{
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls-ca.key -out tls-ca.pem -subj /CN=broker-ca -days 2
    for who in server client; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $who.key -out $who.csr -subj /CN=$who
        printf 'subjectAltName = IP:127.0.0.1\n' >$who.ext
        openssl x509 -req -in $who.csr -CA tls-ca.pem -CAkey tls-ca.key -CAcreateserial -days 2 \
            -extfile $who.ext -out $who.pem
    done
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout wrong.key -out wrong-ca.pem -subj /CN=wrong -days 2
    mosquitto_passwd -c -b passwords fleet right-password
} >openssl.log 2>&1
printf 'right-password\n' >pass && printf 'wrong-password\n' >badpass && chmod 600 pass badpass
t=$(free_port)
broker tls "listener $t 127.0.0.1" "cafile $dir/tls-ca.pem" "certfile $dir/server.pem" \
    "keyfile $dir/server.key" 'require_certificate true' 'allow_anonymous false' "password_file $dir/passwords"
there=127.0.0.1:$t/$device
tls=cafile=tls-ca.pem,cert=client.pem,key=client.key
good=$tls,user=fleet,passfile=pass,secret=secret
target tls-target "mqtt-listen:$there,$good" ram.bin
expect 0 'KXQJ' as_ada mem read "mqtt:$there,$good" 0x80000000 16
expect 0 '' as_ada mem dump "mqtt:$there,$good" 0x80000000 320000 -o got-tls.bin
cmp got-tls.bin ram.bin || fail 'TLS: other bytes'
expect 2 'refuses us: .*(authori|user)' as_ada mem read "mqtt:$there,$tls,user=fleet,passfile=badpass,secret=secret" 0
expect 2 'refuses us: .*(authori|user)' as_ada mem read "mqtt:$there,$tls,secret=secret" 0
expect 2 '(TLS: .*|wants a client )certificate' as_ada mem read "mqtt:$there,cafile=tls-ca.pem,secret=secret" 0
expect 2 'TLS: .*certificate verify failed' as_ada mem read "mqtt:$there,cafile=wrong-ca.pem,secret=secret" 0
openssl pkey -in client.key -aes256 -passout pass:hello -out locked.key
expect 2 'TLS: locked.key wants a passphrase' setsid postern mem read --identity ada --trust ca/devices.pem --device $device \
    "mqtt:$there,cafile=tls-ca.pem,cert=client.pem,key=locked.key" 0
expect 2 "broker 127.0.0.1:$t: .*expects TLS" as_ada mem read "mqtt:$there,secret=secret" 0
expect 2 'nowhere.pem: No such file' as_ada mem read "mqtt:$there,cafile=nowhere.pem" 0
# A broker that lets a device subscribe, but not publish.
r=$(free_port)
echo 'topic read postern/#' >acl
broker readonly "listener $r 127.0.0.1" 'allow_anonymous true' "acl_file $dir/acl"
target readonly "mqtt-listen:127.0.0.1:$r/$device" ram.bin
await_text readonly.log "broker 127.0.0.1:$r does not allow writing to topics under 'postern/1'" && ok 'a target says that it is not let write'
# A broker that stops reading for a while and then sends several packets in one TLS record.
b=$(free_port)
python3 "$SRC/tests/links/batch_broker.py" "$b" server.pem server.key >batch.log 2>&1 &
pids+=("$!")
await_text batch.log running
target batch "mqtt-listen:127.0.0.1:$b/$device,cafile=tls-ca.pem" ram.bin
for _ in $(seq 600); do grep -q acknowledged batch.log && break; sleep 0.1; done
grep -q 'acknowledged: 10' batch.log && ok 'all of a TLS record is read' || fail "of ten packets in a TLS record: $(cat batch.log)"
finish
