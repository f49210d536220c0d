#!/bin/bash
# postern pki on the command line: the files it makes, what it refuses, its messages and exit codes.
set -u
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
cd "$top" || exit 1
failed=0

# expect CODE PATTERN ARGUMENT...: runs postern pki; stdout or stderr must match PATTERN
expect() {
    local code=$1 pattern=$2 out got
    shift 2
    out=$("$POSTERN" pki "$@" 2>&1)
    got=$?
    if [ $got -ne "$code" ] || ! grep -qE -- "$pattern" <<<"$out"; then
        printf 'postern pki %s\n  exit %d, expected %d\n  output: %s\n  expected: %s\n' \
            "$*" $got "$code" "$out" "$pattern"
        failed=1
    fi
}

expect 0 '^$' init ca
expect 0 '^$' target --ca ca --id Acme:Pump:0042 pump
expect 0 '^$' engineer --ca ca --name ada --grant debug ada
expect 0 '^$' engineer --ca ca --name bob --grant memory:rw:0x1000-0x1fff --device 'Acme:*' \
    --epoch 3 --session 60 --alg ed25519 --days 5 bob
[ "$(stat -c %a ca ca/devices.key ca/engineers.key pump pump/key.pem ada/key.pem | tr '\n' ' ')" = \
    "700 600 600 700 600 600 " ] || { echo "modes are wrong"; failed=1; }

# OpenSSL's own verifier accepts the chains too.
if command -v openssl >/dev/null; then
    for who in devices:pump engineers:ada engineers:bob; do
        awk '/BEGIN/ {n++} n == 2' "${who#*:}/chain.pem" >leaf.pem
        openssl verify -CAfile "ca/${who%:*}.pem" leaf.pem >verify.txt 2>&1 || {
            cat verify.txt
            failed=1
        }
    done
fi

expect 0 'device     Acme:Pump:0042' show pump
expect 0 'grant      memory:rw:0x1000-0x1fff; device=Acme:\*; epoch=3; session=60' show bob
expect 0 '"schema":"postern.pki.show/1".*"spdm_usage":"requester"' show --json ada
expect 0 'no rule is broken \(device\)' lint pump
expect 0 'no rule is broken \(engineer\)' lint bob/chain.pem
expect 0 '"broken":\[\]' lint --json ada
expect 3 '^certificate 1: extendedKeyUsage: SPDM requester authentication is missing$' \
    lint --role engineer pump
expect 3 '"field":"extendedKeyUsage"' lint --json --role device ada
expect 3 'there is no leaf' lint ca/devices.pem

# Existing files are not replaced without --force.
cp pump/key.pem before
expect 6 'pump/key.pem: exists already' target --ca ca --id Acme:Pump:0043 pump
expect 6 'ca/devices.key: exists already' init ca
cmp -s before pump/key.pem || { echo "the key was replaced"; failed=1; }
expect 0 '^$' target --ca ca --id Acme:Pump:0043 --force pump
cmp -s before pump/key.pem && { echo "the key was not replaced"; failed=1; }
expect 0 'Acme:Pump:0043' show pump

# Errors quote the wrong value and name what was expected.
expect 1 "'Acme:Pump': expected Manufacturer:Product:Serial" target --ca ca --id Acme:Pump x
expect 1 "'rsa': expected ecdsa-p256" init --alg rsa x
expect 1 "10000 days: the CA itself" target --ca ca --id A:B:C --days 10000 x
expect 1 "days -1: expected" target --ca ca --id A:B:C --days -1 x
expect 1 "'fly': not understood at 'fly'" engineer --ca ca --name eve --grant fly x
expect 1 'expected one or the other' \
    engineer --ca ca --name eve --grant run --grant memory:r:0x0-0xff x
expect 1 'grants nothing' engineer --ca ca --name eve --grant device=A:B:C x
# postern pki issues nothing that a verifier would refuse: here a character that changes the writing
# direction.
expect 1 "verifiers would refuse this chain: certificate 1: subject" \
    engineer --ca ca --name "$(printf 'ada\342\200\256evil')" --grant debug x
expect 1 "verifiers would refuse this chain: certificate 1: s" \
    target --ca ca --id "$(printf 'Acme:Pump:\342\200\25642')" x
expect 1 'grant GRANT is missing' engineer --ca ca --name eve x
expect 1 'ca DIR is missing' engineer --name eve --grant debug x
expect 1 'expected a directory' target --ca ca --id A:B:C
expect 1 "'y': nothing more" target --ca ca --id A:B:C x y
expect 1 'bad: unknown option' show --bad x
expect 1 "'fly': expected init, target" fly
expect 1 "'pilot': expected device or engineer" lint --role pilot pump
expect 6 'nothing: No such file' show nothing
expect 6 'no PEM certificate' lint pump/key.pem
expect 6 'nowhere/devices.pem: No such file' target --ca nowhere --id A:B:C x
expect 0 'usage: postern pki' --help
expect 0 'Usage: postern pki target' target --help
[ -e x ] && { echo "a refused command left something behind"; failed=1; }
exit $failed
