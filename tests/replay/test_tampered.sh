#!/usr/bin/env bash
# The replay must detect one changed digit in any kind of value, a broken file, and an empty directory.
set -u
replay="$BUILD/tests/replay"
vectors="$SRC/tests/vectors"
case=hs-v13-p384-mut-w-encap-tcp
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

# expect_failure WHAT: checks that the replay of the directory fails with a message.
expect_failure() {
    local out
    if out=$("$replay" "$dir") || ! grep -q ': failed: ' <<<"$out"; then
        echo "not noticed: $1"
        echo "$out"
        bad=1
    fi
}

# flip LINE KEY: changes the last digit of the value of KEY in the first line that contains LINE.
flip() {
    awk -v line="$1" -v key="\"$2\": \"" '
        !done && index($0, line) && (at = index($0, key)) {
            at += length(key)
            end = at + index(substr($0, at), "\"") - 2
            digit = substr($0, end, 1)
            $0 = substr($0, 1, end - 1) (digit == "0" ? "1" : "0") substr($0, end + 1)
            done = 1
        }
        { print }' "$vectors/$case.json" >"$dir/$case.json"
    if cmp -s "$vectors/$case.json" "$dir/$case.json"; then
        echo "nothing to change: $1 $2"
        bad=1
    fi
}

for name in GET_VERSION VERSION ALGORITHMS KEY_EXCHANGE KEY_EXCHANGE_RSP FINISH FINISH_RSP \
    DELIVER_ENCAPSULATED_RESPONSE KEY_UPDATE KEY_UPDATE_ACK END_SESSION_ACK; do
    for key in wire_hex spdm_hex; do
        flip "\"name\": \"$name\"" "$key"
        expect_failure "$key of $name"
    done
done
for name in th1 shared_secret handshake_secret request_finished_key response_handshake_iv th2 master_secret \
    export_master_secret request_data_key response_data_iv request_data_key_updated; do
    flip "\"name\": \"$name\"" hex
    expect_failure "$name"
done
for name in key_exchange_rsp finish; do
    for key in transcript_hash signature; do
        flip "\"purpose\": \"$name\"" "$key"
        expect_failure "$key of $name"
    done
done
for key in responder_chain_hex requester_chain_hex; do
    flip "$key" "$key"
    expect_failure "$key"
done

rm -f "$dir"/*.json
head -c 5000 "$vectors/$case.json" >"$dir/cut.json"
expect_failure "a cut file"
rm -f "$dir"/*.json
if "$replay" "$dir" >/dev/null; then
    echo "an empty directory passes"
    bad=1
fi
cp "$vectors/psk-v12-p384-pcidoe.json" "$dir"
if "$replay" "$dir" >/dev/null; then
    echo "a directory with nothing in scope passes"
    bad=1
fi
exit "$bad"
