#!/usr/bin/env bash
# gdb-multiarch and the pump in QEMU with all of Postern in between: the complete debug session of
# examples/pump, and the errors that gdb shows when an access is refused.
. "$SRC/tests/tools/lib.sh"
need_gdb
start_qemu pump
make_keys
start_pump_target t pump
link=unix:$dir/t.sock

run_gdb gdb.out "--summary $dir/summary.json $link" ada -x "$SRC/examples/pump/pump.gdb" ||
    fail "gdb ended with $?"
python3 "$SRC/examples/check_answers.py" "$SRC/examples/pump/expected.txt" gdb.out ||
    { fail 'the answers of gdb'; cat gdb.out >&2; }
grep -q 'postern gdb: ada and Acme:Pump:0042 have authenticated each other' gdb.out ||
    fail 'it does not say who authenticated whom'
python3 - summary.json <<'PY' || fail 'the summary'
import json, sys
s = json.load(open(sys.argv[1]))
assert s["engineer"] == "ada" and s["device"] == "Acme:Pump:0042" and s["exit"] == 0, s
assert s["gdb_packets"] > 50 and 0 < s["round_trips"] < s["gdb_packets"], s
assert s["commands"] > 10 and s["link"]["records_out"] > 10 and s["link"]["bytes_in"] > 1000, s
PY

# what the device reports about the session
run_gdb monitor.out $link ada -ex 'monitor whoami' -ex 'monitor session' -ex 'monitor policy' -ex detach
for text in 'engineer ada debugs device Acme:Pump:0042' 'SPDM 1\.3' 'granted: '; do
    grep -q "$text" monitor.out || { fail "monitor does not say '$text'"; cat monitor.out >&2; }
done

# the info command, and memory of a running CPU
expect 0 'memory map +0x80000000-0x8001ffff ram' as_ada info $link
as_ada info --json $link >info.json && python3 - info.json <<'PY' || fail 'info --json'
import json, sys
i = json.load(open(sys.argv[1]))
assert i["device"] == "Acme:Pump:0042" and i["engineer"] == "ada", i
assert i["spaces"] == ["memory", "run"] and i["memory_map"][0]["kind"] == "ram", i
assert i["suite"]["encrypted"] is True and i["spdm"] == "1.3", i
PY
expect 0 '' as_ada mem dump $link 0x80000000 128K -o ram.bin
grep -aq POSTERN-PUMP-MARKER ram.bin || fail 'the marker is not in the dump'

# refusals as gdb reports them
refused_gdb() { # PATTERN ENGINEER OPTION...
    local pattern=$1 who=$2 link=$3
    run_gdb refused.out "$link" "$who" -ex 'print pump'
    grep -qE "postern gdb: .*$pattern" refused.out || {
        fail "gdb does not show '$pattern'"
        cat refused.out >&2
    }
    grep -q 'Remote connection closed' refused.out || fail 'gdb believes that it is connected'
    ok "gdb shows: $(grep -m 1 'postern gdb: ' refused.out | cut -c 1-110)"
}
refused_gdb 'refused the connection' eve $link
refused_gdb 'cannot connect' ada unix:$dir/nobody.sock
refused_gdb 'another device' ada "--device Acme:Pump:0043 $link"

# over a TCP port, and over a Unix socket
as_ada gdb --port 0 $link >port.log 2>&1 &
gdb_pid=$!
pids+=($gdb_pid)
await_text port.log 'waiting for gdb' || exit 1
timeout 60 gdb-multiarch -batch -nx -ex "$(sed -n 's/.*waiting for gdb: //p' port.log)" \
    -ex 'print pump.state' -ex 'detach' "$BUILD/examples/pump.elf" >port.out 2>&1 </dev/null
grep -q '^\$1 = PUMP_' port.out || { fail 'over a port'; cat port.out port.log >&2; }
wait $gdb_pid || fail "postern gdb --port ended with $?"
as_ada gdb --unix $dir/own.sock $link >own.log 2>&1 &
pids+=($!)
await own.sock
[ "$(stat -c %a own.sock)" = 600 ] || fail "the mode of --unix is $(stat -c %a own.sock)"
timeout 60 gdb-multiarch -batch -nx -ex "target extended-remote $dir/own.sock" \
    -ex 'print pump.state' -ex 'detach' "$BUILD/examples/pump.elf" >own.out 2>&1 </dev/null
grep -q '^\$1 = PUMP_' own.out || { fail 'over a Unix socket'; cat own.out own.log >&2; }
expect 1 'not a pipe' as_ada gdb $link
finish
