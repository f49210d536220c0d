#!/usr/bin/env bash
# A hostile broker: what it sends may end the process that runs libmosquitto, but nothing else. Also
# checks what that process has access to.
. "$SRC/tests/tools/lib.sh"
PATH="$PATH:/usr/sbin"
command -v mosquitto >/dev/null || {
    echo 'skipped: no mosquitto'
    exit 77
}
postern links | grep -A 2 '^mqtt ' | grep -q 'not built in' && {
    echo 'skipped: built without libmosquitto'
    exit 77
}
make_keys
head -c 65536 /dev/urandom >ram.bin
p=$(free_port)
link=mqtt:127.0.0.1:$p/$device
hostile() {
    python3 "$SRC/tests/links/hostile_broker.py" "$p" >hostile.log 2>&1 &
    broker_pid=$!
    pids+=("$broker_pid")
    await_text hostile.log running
}
honest() {
    printf '%s\n' "listener $p 127.0.0.1" 'allow_anonymous true' 'set_tcp_nodelay true' 'user root' >b.conf
    mosquitto -c b.conf >>b.log 2>&1 &
    broker_pid=$!
    pids+=("$broker_pid")
    for _ in $(seq 50); do
        (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null && return
        sleep 0.1
    done
}
die() { kill -9 "$1" 2>/dev/null && wait "$1" 2>/dev/null; }
workers() { # PID: prints the worker processes of this process
    pgrep -P "$1" -f mqtt-worker
}

# --- a debugger at a hostile broker: an error message and exit code 2, without delay ---
echo nothing >broker.does
hostile
for what in $(python3 "$SRC/tests/links/hostile_broker.py" list); do
    echo "$what" >broker.does
    expect 2 "link '$link': (broker 127.0.0.1:$p: |'$device' does not answer|no '$device'|cannot connect: no answer in time)" \
        as_ada mem read "$link" 0x80000000 4 --timeout 3
done
echo unknown-property >broker.does
expect 2 'crashed on data from the broker \(signal 6\)' as_ada mem read "$link" 0x80000000 4

# --- a target at a hostile broker: it keeps running, with its other links, and reconnects ---
cat >t.conf <<CONF
[target]
identity = pump
trust = ca/engineers.pem
policy = debug
listen = mqtt-listen:127.0.0.1:$p/$device
listen = unix-listen:$dir/t.sock
[file ram]
path = ram.bin
base = 0x80000000
CONF
echo asks >broker.does
postern target --config t.conf --audit t.jsonl >flood.log 2>&1 &
target_pid=$!
pids+=("$target_pid")
await_text flood.log 'it accepts no data' && ok 'answers that nobody takes are not kept'
die "$target_pid"
echo subscribed-again >broker.does
postern target --config t.conf --audit t.jsonl >again.log 2>&1 &
target_pid=$!
pids+=("$target_pid")
await_text again.log 'is announced'
sleep 1
die "$target_pid"
count=$(grep -c 'is announced' again.log)
[ "$count" = 1 ] && ok 'it is announced once' || fail "announced $count times"
echo hangs-up >broker.does
postern target --config t.conf --audit t.jsonl >hangs-up.log 2>&1 &
target_pid=$!
pids+=("$target_pid")
sleep 10
die "$target_pid"
count=$(grep -c 'called: hangs-up' hostile.log)
[ "$count" -ge 2 ] && [ "$count" -le 6 ] && ok "called $count times in 10 s" || fail "called $count times in 10 s"
echo unknown-property >broker.does
postern target --config t.conf --audit t.jsonl >t.log 2>&1 &
target_pid=$!
pids+=("$target_pid")
await_text t.log 'crashed on data from the broker' || cat t.log
for what in huge property-in-publish connacks; do
    echo "$what" >broker.does
    calls=$(grep -c "called: $what" hostile.log)
    for _ in $(seq 100); do
        [ "$(grep -c "called: $what" hostile.log)" -gt "$calls" ] && break
        sleep 0.1
    done
    expect 0 '^80000000 ' as_ada mem read "unix:$dir/t.sock" 0x80000000 4
done
kill -0 $target_pid && ok 'the target goes on' || fail "the target has ended: $(cat t.log)"
die "$broker_pid"
honest
for _ in $(seq 300); do
    grep -q 'is announced at broker' t.log && break
    sleep 0.1
done
expect 0 '^80000000 ' as_ada mem read "$link" 0x80000000 4

# --- the worker process: holds nothing of the session, and ends with its parent ---
agent=$(pgrep -P $target_pid | head -n 1)
worker=$(workers "${agent:-0}")
[ -n "$worker" ] || { agent=$target_pid; worker=$(workers $target_pid); }
if [ "$(wc -w <<<"$worker")" = 1 ]; then
    held=$(ls -l "/proc/$worker/fd" | sed -n 's/.* -> //p' | grep -v -e '^socket:' -e '^/dev/null$' -e 't\.log$' -e '^pipe:' -e '/dev/urandom')
    [ -z "$held" ] && ok 'the worker holds no file of ours' || fail "the worker holds: $held"
    sockets=$(ls -l "/proc/$worker/fd" | grep -c socket:)
    # Sockets: to the parent, to the broker, and a pair of the library's own.
    [ "$sockets" -le 4 ] || fail "the worker holds $sockets sockets"
    grep -E 'Max (core file|data) size' "/proc/$worker/limits" | tr -s ' '
    grep -qE 'Max (core file|data) size +unlimited' "/proc/$worker/limits" && fail 'the worker may have all memory'
else
    fail "workers of the target: $worker"
fi
sleep 5 # after a connection that lasted for a while, the next attempt is immediate
kill -9 "$worker"
await_text t.log 'the process of the MQTT library has ended' && ok 'a worker that is killed is noticed'
await_that() { for _ in $(seq 100); do "$@" && return; sleep 0.1; done; fail "not: $*"; }
announced() { [ "$(grep -c 'is announced at broker' t.log)" = "$1" ]; }
await_that announced 2
expect 0 '^80000000 ' as_ada mem read "$link" 0x80000000 4
worker=$(workers "$agent")
kill -9 "$agent" $target_pid
gone() { ! kill -0 "$worker" 2>/dev/null; }
await_that gone && ok 'the worker goes with its parent'
present() { postern find "mqtt:127.0.0.1:$p" 2>&1 | grep -q ': 0 announced'; }
await_that present && ok 'the last will was published'
expect 1 'started by postern itself' postern mqtt-worker </dev/null
finish
