#!/usr/bin/env bash
# When a chain is refused, the engineer's error message, the target's audit log and postern pki lint
# all name the same certificate and rule.
. "$SRC/tests/tools/lib.sh"
command -v openssl >/dev/null || { echo 'skipped: no openssl'; exit 77; }
make_keys

# odd NAME KIND EXTENSION...: makes an identity whose leaf is issued by ca/KIND with these
# extensions
odd() {
    local name=$1 kind=$2
    shift 2
    mkdir -m 700 "$name"
    printf '%s\n' "$@" >"$name.ext"
    {
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$name/key.pem" &&
            chmod 600 "$name/key.pem" &&
            openssl req -new -key "$name/key.pem" -subj "/CN=$name" -out "$name.csr" &&
            openssl x509 -req -in "$name.csr" -CA "ca/$kind.pem" -CAkey "ca/$kind.key" \
                -set_serial 5 -days 5 -extfile "$name.ext" -out "$name.pem" &&
            cat "ca/$kind.pem" "$name.pem" >"$name/chain.pem"
    } >"$name.log" 2>&1 || {
        cat "$name.log" >&2
        fail "making $name"
        exit 1
    }
}
id='subjectAltName = otherName:1.3.6.1.4.1.412.274.1;UTF8:Acme:Pump:0042'
odd mute devices 'basicConstraints = critical,CA:FALSE' 'keyUsage = critical,keyAgreement' \
    'extendedKeyUsage = 1.3.6.1.4.1.412.274.3' "$id"
odd ghost engineers 'basicConstraints = critical,CA:FALSE' 'keyUsage = critical,digitalSignature' \
    'extendedKeyUsage = clientAuth'
missing='certificate 1: keyUsage: digitalSignature is missing'
no_role='certificate 1: extendedKeyUsage: SPDM requester authentication is missing'
stranger='certificate 0: not issued by a trusted CA'

conf() { # IDENTITY
    printf '[target]\nidentity = %s\ntrust = ca/engineers.pem\npolicy = debug\n' "$1"
    printf '[file ram]\npath = ram.bin\nbase = 0x1000\n'
}
head -c 4096 /dev/urandom >ram.bin
for who in pump mute impostor; do
    conf $who >$who.conf
    start_target $who --config $who.conf
done

# the engineer's error message
expect 3 "$missing" as_ada info unix:$dir/mute.sock
expect 3 "$stranger" as_ada info unix:$dir/impostor.sock
mkfifo in && exec 9<>in
as_gdb() { # runs postern gdb on pipes, as gdb does
    as_ada gdb "$@" <&9 | cat
    return "${PIPESTATUS[0]}"
}
expect 3 "$missing" as_gdb unix:$dir/mute.sock

# the target's audit log
logged() { # ENGINEER TEXT
    expect 3 '.' with_identity "$1" info unix:$dir/pump.sock
    await_text pump.jsonl "\"event\":\"refused\".*\"reason\":\"$2\""
}
logged ghost "$no_role"
logged eve "$stranger"

# postern pki lint
expect 3 "^$missing\$" postern pki lint mute
expect 3 "^$no_role\$" postern pki lint --role engineer ghost
expect 3 '"index":1,.*"field":"keyUsage","rule":"digitalSignature is missing"' \
    postern pki lint --json mute
exit $bad
