#!/usr/bin/env bash
# The demo: an engineer finds and fixes a bug in a running pump controller. The debug traffic passes
# a bridge that records every byte and can read none of the debug data. The script explains each
# step and checks its result. `make demo` runs it and sets POSTERN (the program), BUILD (the build
# directory with pump.elf) and SRC (the source directory).
set -u
: "${POSTERN:?}" "${BUILD:?}" "${SRC:?}"
here=$SRC/examples
elf=$BUILD/examples/pump.elf
device=Acme:Pump:0042
marker=POSTERN-PUMP-MARKER-7f3a91c2e5d8
export PATH="$(dirname "$POSTERN"):$PATH"

dir=$(mktemp -d "${TMPDIR:-/tmp}/postern-demo.XXXXXX")
pids=()
cleanup() {
    [ ${#pids[@]} -gt 0 ] && kill "${pids[@]}" 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

failures=0
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
tell() { printf '   %s\n' "$*"; }
die() {
    printf '\nFAILED: %s\n' "$*" >&2
    for log in "$dir"/*.log; do
        [ -s "$log" ] && { printf -- '--- %s\n' "${log##*/}"; tail -n 20 "$log"; } >&2
    done
    exit 1
}
# Waits at most 10 s until the file exists, or until the socket listens.
await() {
    for _ in $(seq 200); do
        [ -S "$1" ] && grep -q " 00010000 .* \($dir/\)\?${1#$dir/}\$" /proc/net/unix && return 0
        [ -e "$1" ] && [ ! -S "$1" ] && return 0
        sleep 0.05
    done
    die "$1 did not appear"
}
start_qemu() { # NAME: starts another pump; its gdb stub is at $dir/NAME.gdb
    qemu-system-riscv32 -M virt -accel tcg -display none -serial "file:$dir/$1.uart" -monitor none \
        -bios none -kernel "$elf" -gdb "unix:$dir/$1.gdb,server=on,wait=off" >"$dir/$1.log" 2>&1 &
    pids+=($!)
    await "$dir/$1.gdb"
}
run_gdb() { # OUTPUT TARGET-COMMAND [GDB-OPTION...]
    local output=$1 target=$2
    shift 2
    timeout 60 gdb-multiarch -batch -nx "$@" -ex 'set pagination off' -ex 'set remotetimeout 20' \
        -ex "$target" -x "$here/pump/pump.gdb" "$elf" >"$output" 2>&1 </dev/null
}

say '1. Create the keys: a CA for devices and engineers, one device, two engineers'
cd "$dir" || exit 1
{
    postern pki init ca &&
        postern pki target --ca ca --id $device pump &&
        postern pki target --ca ca --id Acme:Pump:0043 pump43 &&
        postern pki engineer --ca ca --name ada --grant debug ada &&
        postern pki engineer --ca ca --name olga --grant observe --grant halt olga &&
        postern pki init other &&
        postern pki target --ca other --id $device impostor &&
        postern pki engineer --ca other --name eve --grant debug eve
} >pki.log 2>&1 || die 'postern pki could not create the keys'
tell "The device is $device. Engineer ada may debug it."
tell 'Engineer olga may stop the CPU and read, but not write.'

say '2. Start the pump: a bare-metal RISC-V program in QEMU'
start_qemu pump
cat >target.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
audit = audit.jsonl
listen = unix:$dir/target.sock

[stub]
address = unix:$dir/pump.gdb

[memory ram]
first = 0x80000000
last = 0x8001ffff
kind = ram
CONF
postern target --config target.conf >target.log 2>&1 &
pids+=($!)
await target.sock
tell 'postern target is running. It alone uses the gdb stub, and it has not connected to it yet.'

say '3. Start an untrusted bridge that records everything it forwards'
postern bridge --capture bridge.pcapng "unix-listen:$dir/bridge.sock" "unix:$dir/target.sock" \
    >bridge.log 2>&1 &
pids+=($!)
await bridge.sock

say '4. Debug the pump with gdb through the bridge'
link=unix:$dir/bridge.sock
dts="postern gdb --trust ca/devices.pem --device $device"
run_gdb gdb.out "target extended-remote | $dts --identity ada --summary summary.json $link"
python3 "$here/check_answers.py" "$here/pump/expected.txt" gdb.out >answers.txt || {
    tail -n 25 gdb.out >&2
    die "$(cat answers.txt)"
}
tell 'gdb used: breakpoint, backtrace, finish, step, watchpoint, registers, struct, set var, x/, continue.'
tell "$(cat answers.txt). The bug is fixed: the pump left the alarm and is running."

say '5. Search the recordings: can the bridge read the debug data?'
start_qemu bare
postern bridge --capture bare.pcapng "unix-listen:$dir/bare.sock" "unix:$dir/bare.gdb" \
    >bare-bridge.log 2>&1 &
pids+=($!)
await bare.sock
run_gdb bare.out "target extended-remote $dir/bare.sock" -ex 'set osabi none'
if ! found=$(python3 "$here/search_capture.py" bare.pcapng $marker); then
    die "the marker must be in the recording of the unprotected stub, but is not: $found"
fi
tell 'The same gdb session ran once more without Postern, through a second bridge to a second pump.'
tell "Both recordings were searched for the pump's marker string, as text and in hex:"
tell "without Postern: $found"
found=$(python3 "$here/search_capture.py" bridge.pcapng $marker)
[ $? -eq 1 ] || die "the bridge saw the marker in the clear, or its recording cannot be read: $found"
tell "with Postern:    $found"

say '6. Five attempts that must be refused'
refused() { # WHAT EXPECTED-TEXT COMMAND...: the command must fail and print the expected text
    local what=$1 text=$2
    shift 2
    if timeout 30 "$@" >refusal.log 2>&1; then
        tell "NOT REFUSED: $what"
        failures=$((failures + 1))
    elif ! grep -qiE "$text" refusal.log; then
        tell "refused, but without the expected text ($text): $what: $(tail -n 1 refusal.log)"
        failures=$((failures + 1))
    else
        tell "refused: $what: $(grep -iE "$text" refusal.log | head -n 1)"
    fi
}
read_word() { # IDENTITY TRUST DEVICE LINK
    postern mem read --identity "$1" --trust "$2" --device "$3" "$4" 0x80000000 4
}
export -f read_word
refused 'an engineer of another CA' 'certificate|refused|closed|authenti' \
    bash -c "read_word eve ca/devices.pem $device $link"
start_device() { # IDENTITY TRUST
    postern target --identity "$1" --trust "$2" --policy debug --audit "$1.jsonl" \
        --debug "unix:$dir/bare.gdb" --listen "unix:$dir/$1.sock" >"$1.log" 2>&1 &
    pids+=($!)
    await "$1.sock"
}
start_device impostor ca/engineers.pem
refused 'a device of another CA' 'certificate' \
    bash -c "read_word ada ca/devices.pem $device unix:$dir/impostor.sock"
start_device pump43 ca/engineers.pem
refused 'another genuine device of the same CA' 'device|identity' \
    bash -c "read_word ada ca/devices.pem $device unix:$dir/pump43.sock"
head -c 65536 /dev/zero >zeros.bin
python3 "$here/flip.py" "$dir/flip.sock" "$dir/target.sock" 20000 >flip.log 2>&1 &
pids+=($!)
await flip.sock
refused 'data that the bridge changed' 'closed|lost|ended|tag|match' \
    postern mem load --identity ada --trust ca/devices.pem --device $device \
    "unix:$dir/flip.sock" 0x80010000 -f zeros.bin
grep -q flipped flip.log || { tell 'the hostile bridge changed no byte, so the test shows nothing'; failures=$((failures + 1)); }
read_word olga ca/devices.pem $device $link >olga.log 2>&1 || die 'olga may read, but her read failed'
refused 'a write by an engineer who may only read' 'grant|denied|refused|not allowed' \
    postern mem write --identity olga --trust ca/devices.pem --device $device $link 0x80000000 --hex 00000000
read_word ada ca/devices.pem $device $link >after.log 2>&1 ||
    die 'ada is authorised, but her read failed after the refused attempts'
[ $failures -eq 0 ] || die "$failures of the attempts were not refused as expected"

say 'Summary'
python3 - summary.json audit.jsonl <<'PY' || die 'could not print the summary'
import json, sys
s = json.load(open(sys.argv[1]))
lines = [json.loads(line) for line in open(sys.argv[2])]
print(f"   {s['engineer']} and {s['device']} authenticated each other")
print(f"   with SPDM {s['spdm']}, {s['suite']}.")
print(f"   gdb sent {s['gdb_packets']} packets. The target ran {s['commands']} debug commands in {s['round_trips']} round trips.")
print(f"   The device's audit log has {len(lines)} lines. {sum(l['event'] == 'effect' for l in lines)} of them are effects, each logged or announced before it ran.")
print("   The marker is in the recording of the unprotected stub, and not in the recording of the Postern bridge.")
PY
