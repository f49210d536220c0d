#!/usr/bin/env bash
# postern spdm requester against postern spdm responder: every version, binding, algorithm, and form
# of mutual authentication and handshake, with the emulator's socket framing.
. "$SRC/tests/tools/lib.sh"

for alg in ecdsa-p256 ecdsa-p384 ed25519; do
    postern pki init --alg $alg ca-$alg && postern pki target --alg $alg --ca ca-$alg --id $device pump-$alg &&
        postern pki engineer --alg $alg --ca ca-$alg --name ada --grant debug ada-$alg || exit 1
done >pki.log 2>&1
head -c 100000 /dev/urandom >firmware.bin
digest=$(sha256sum firmware.bin | cut -d ' ' -f 1)

steps=connect,digests,certificate,challenge,measurement-count,measurements-unsigned,measurements
steps+=,session,heartbeat,session-measurements,key-update,heartbeat,key-update-all,heartbeat
steps+=,responder-key-update,heartbeat,session-measurements,end

# respond ALG OPTION...: starts a responder for one connection
respond() {
    local alg=$1
    shift
    rm -f r.sock
    postern spdm responder --once --heartbeat 30 --identity pump-$alg --trust ca-$alg/engineers.pem \
        --measure firmware.bin "$@" "unix:$dir/r.sock" >r.out 2>&1 &
    responder=$!
    pids+=($responder)
    await r.sock
}
# request ALG OPTION...
request() {
    local alg=$1
    shift
    timeout 60 postern spdm requester --identity ada-$alg --trust ca-$alg/devices.pem \
        --steps $steps "$@" "unix:$dir/r.sock"
}
# run ALG MUTUAL OPTION...: runs both sides with the same options
run() {
    local alg=$1 mutual=$2 known=() what="$*"
    shift 2
    [ "$mutual" = plain ] && known=(--peer-chain ada-$alg)
    respond $alg --mutual $mutual "${known[@]}" "$@" || return
    request $alg "$@" >q.out 2>&1
    local got=$?
    wait $responder || fail "$what: the responder ends with $?"
    local says='is authenticated'
    [ "$mutual" = none ] && says='is not authenticated'
    if [ $got != 0 ] || [ "$(grep -cE '^[a-z-]+ +ok' q.out)" != 18 ] || ! grep -q "peer $says" r.out; then
        fail "$what: exit $got"
        cat q.out r.out >&2
        return
    fi
    ok "$what"
}

for versions in 1.2 1.3; do
    for binding in mctp doe; do
        for mutual in none plain encap digests; do
            run ecdsa-p256 $mutual --versions $versions --binding $binding
            run ecdsa-p256 $mutual --versions $versions --binding $binding --clear-handshake
        done
        run ecdsa-p256 encap --versions $versions --binding $binding --mac-only
    done
    run ecdsa-p256 encap --versions $versions --portion 64
    run ecdsa-p256 digests --versions $versions --algorithms sha256,secp256r1,aes-128-gcm
    run ecdsa-p384 encap --versions $versions --algorithms sha384,secp384r1,aes-256-gcm
    run ed25519 plain --versions $versions --algorithms sha384,secp384r1,chacha20-poly1305
done

# Measurements: two blocks, the digest of the file and the version
respond ecdsa-p256
request ecdsa-p256 --json >q.out 2>q.err
wait $responder
python3 - "$digest" <<'PY' || fail 'the measurements'
import json, sys
steps = {s["step"]: s for s in map(json.loads, open("q.out"))}
assert steps["measurement-count"]["answer"] == "02", steps
want = "01 01 2300 01 2000".replace(" ", "") + sys.argv[1]
for step in ("measurements-unsigned", "measurements", "session-measurements"):
    record = bytes.fromhex(steps[step]["answer"])
    assert record.hex().startswith(want), (want, record.hex())
    block = record[len(want) // 2:]
    assert block[:2] == b"\x02\x01" and block[4] == 0x86 and block[7:].startswith(b"postern "), block
PY
ok "measured $digest"

# Sessions that must fail
respond ecdsa-p256 --versions 1.2
expect 3 '^connect +.*version' request ecdsa-p256 --versions 1.3
wait $responder
respond ecdsa-p256 --algorithms aes-128-gcm
expect 3 '^connect ' request ecdsa-p256 --algorithms aes-256-gcm
wait $responder
respond ecdsa-p256
expect 3 'certificate +' timeout 60 postern spdm requester --identity ada-ecdsa-p256 \
    --trust ca-ed25519/devices.pem "unix:$dir/r.sock"
grep -q '^challenge' expect.out && fail 'went on after a certificate that nobody vouches for'
wait $responder
respond ecdsa-p256 # the responder does not trust the engineer's identity
mv ada-ecdsa-p256 right && postern pki engineer --ca ca-ed25519 --name eve --grant debug ada-ecdsa-p256 >>pki.log 2>&1
expect 3 '^session +' request ecdsa-p256
rm -r ada-ecdsa-p256 && mv right ada-ecdsa-p256
wait $responder
grep -q 'is authenticated' r.out && fail 'an impostor is authenticated'

expect 2 'No such device or address' postern spdm requester --identity ada-ecdsa-p256 --trust ca-ecdsa-p256/devices.pem tcp:nowhere.invalid:5
expect 1 'steps: dance' postern spdm requester --steps dance --identity ada-ecdsa-p256 \
    --trust ca-ed25519/devices.pem "unix:$dir/r.sock"
expect 1 'binding none: expected mctp or doe' postern spdm requester --binding none \
    --identity ada-ecdsa-p256 --trust ca-ed25519/devices.pem "unix:$dir/r.sock"
expect 1 'mutual plain: expected --peer-chain' postern spdm responder --mutual plain \
    --identity pump-ecdsa-p256 --trust ca-ecdsa-p256/engineers.pem "unix:$dir/x.sock"
expect 1 'sha1 is not known' postern spdm responder --algorithms sha1 --identity pump-ecdsa-p256 \
    --trust ca-ecdsa-p256/engineers.pem "unix:$dir/x.sock"
grep -iE 'sanitizer|runtime error' ./*.out && fail 'sanitizer'
finish
