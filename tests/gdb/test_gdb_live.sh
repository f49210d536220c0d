#!/bin/bash
# Real gdb, the gdb server, the stub client and real QEMU, without link, records and session. The
# gdb session of examples/pump must get the expected answers with the minimal number of round trips.
# pst-needs: gdb-multiarch qemu-system-riscv32
set -u
harness=$BUILD/tests/gdb_harness
elf=$BUILD/examples/pump.elf
for tool in gdb-multiarch qemu-system-riscv32; do
    command -v "$tool" >/dev/null || { echo "$tool is missing"; exit 77; }
done
[ -x "$harness" ] && [ -f "$elf" ] || { echo "no harness or no pump.elf"; exit 77; }

dir=$(mktemp -d)
qemu=
cleanup() {
    [ -n "$qemu" ] && kill "$qemu" 2>/dev/null && wait "$qemu" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

fail() {
    echo "FAILED: $1"
    tail -n 40 "$dir/out"
    exit 1
}

start_qemu() {
    qemu-system-riscv32 -M virt -accel tcg -display none -monitor none -serial null -bios none \
        -kernel "$elf" -gdb "unix:$dir/stub,server=on,wait=off" &
    qemu=$!
    for _ in $(seq 100); do
        grep -q " 00010000 .* $dir/stub\$" /proc/net/unix && break # after bind() alone it refuses connections
        sleep 0.05
    done
    sleep 0.3 # until the pump is in alarm
}

stop_qemu() {
    kill "$qemu" 2>/dev/null
    wait "$qemu" 2>/dev/null
    qemu=
    rm -f "$dir/stub"
}

# gdb_session SCRIPT [RTT-MS]
gdb_session() {
    start_qemu
    timeout 120 gdb-multiarch -batch -nx \
        -ex "target extended-remote | $harness $dir/stub $dir/counts ${2:-}" \
        -x "$1" "$elf" >"$dir/out" 2>&1 || fail "gdb ended with $?"
    for _ in $(seq 40); do # the harness writes its counts after gdb has ended
        [ -s "$dir/counts" ] && break
        sleep 0.05
    done
    stop_qemu
}

count() { awk -v what="$1" '$1 == what {print $2}' "$dir/counts"; }

# Each line of a file is a regular expression. They must match lines of the output in this order.
check_answers() {
    local n=0 re line found
    mapfile -t lines <"$dir/out"
    while IFS= read -r re; do
        found=
        while [ "$n" -lt "${#lines[@]}" ]; do
            line=${lines[$n]}
            n=$((n + 1))
            [[ $line =~ $re ]] && { found=1; break; }
        done
        [ -n "$found" ] || fail "no answer like: $re"
    done <"$1"
}

gdb_session "$SRC/examples/pump/pump.gdb"
check_answers "$SRC/examples/pump/expected.txt"
echo "pump.gdb: $(count packets) packets, $(count round_trips) round trips, $(count resumes) of them resumes"
[ $(($(count round_trips) - $(count resumes))) -le 20 ] || fail "too many round trips beside resumes"

# Typical commands at a stop: a resume takes one round trip, and all commands until the next resume
# none.
cat >"$dir/steps" <<'STEPS'
set pagination off
tbreak pump_step
continue
monitor stats
step
monitor stats
backtrace
info locals
info registers
monitor stats
next
monitor stats
stepi
monitor stats
detach
STEPS
gdb_session "$dir/steps"
trips=($(sed -n 's/^round trips awaited: *//p' "$dir/out"))
resumes=($(sed -n 's/^resumes: *//p' "$dir/out"))
echo "round trips ${trips[*]}, resumes ${resumes[*]}"
[ "${#trips[@]}" = 5 ] || fail "no counts"
for i in 1 2 3 4; do
    [ $((trips[i] - trips[i - 1])) = $((resumes[i] - resumes[i - 1])) ] ||
        fail "a round trip beside the resumes, before stats $((i + 1))"
done
[ $((trips[2] - trips[1])) = 0 ] || fail "looking around was not free"

# A distant target: with 100 ms for each round trip gdb must not time out.
gdb_session "$dir/steps" 100
grep -q 'Inferior 1 .* detached' "$dir/out" || fail "no session at a distance"
grep -Eqi 'timed out|ignoring packet' "$dir/out" && fail "gdb lost its patience"

# The stub disappears while the program runs: gdb gets an error and does not hang.
cat >"$dir/lost" <<LOST
set pagination off
shell (sleep 1; kill -9 \$(cat $dir/pid)) &
continue
info registers pc
LOST
start_qemu
echo "$qemu" >"$dir/pid"
timeout 20 gdb-multiarch -batch -nx -ex "target extended-remote | $harness $dir/stub" \
    -x "$dir/lost" "$elf" >"$dir/out" 2>&1
[ $? -ne 124 ] || fail "gdb hangs after the stub has gone"
grep -q 'lost its debug stub' "$dir/out" || fail "gdb was not told"
stop_qemu
echo "all passed"
