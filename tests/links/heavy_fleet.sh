#!/usr/bin/env bash
# A fleet behind one broker: FLEET devices announce themselves. Each gets one session, mutually
# authenticated for its device id, FLEET_AT_ONCE at a time. Then the devices are listed.
. "$SRC/tests/tools/lib.sh"
PATH="$PATH:/usr/sbin"
command -v mosquitto >/dev/null || {
    echo 'skipped: no mosquitto'
    exit 77
}
fleet=$BUILD/tests/fleet
count=${FLEET:-1000}
at_once=${FLEET_AT_ONCE:-50}
ulimit -n "$(ulimit -Hn)"
p=$(free_port)
printf '%s\n' "listener $p 127.0.0.1" 'allow_anonymous true' 'set_tcp_nodelay true' 'user root' >broker.conf
mosquitto -c broker.conf >broker.log 2>&1 &
broker_pid=$!
pids+=("$broker_pid")
await_text broker.log running || exit 1
openssl rand -hex 32 >secret && chmod 600 secret
link=127.0.0.1:$p,secret=secret

begin=$SECONDS
"$fleet" targets "$link" "$count" >targets.log 2>&1 &
targets_pid=$!
pids+=("$targets_pid")
for _ in $(seq 600); do
    grep -q "^$count announced" targets.log && break
    kill -0 "$targets_pid" 2>/dev/null || break
    sleep 0.1
done
grep -q "^$count announced" targets.log && ok "$count announced after $((SECONDS - begin)) s" || {
    fail 'not all are announced'
    tail -5 targets.log >&2
}
for i in $(seq 0 $((count - 1))); do printf 'Acme:Pump:%04u\n' "$i"; done >names
listed() { postern find "mqtt:$link" --names names 2>find.log | grep -c 'Acme:Pump:[0-9]* .*unverified'; }
[ "$(listed)" = "$count" ] && ok "postern find lists $count" || fail "postern find: $(listed); $(cat find.log)"

begin=$SECONDS
timeout 300 "$fleet" sessions "$link" "$count" "$at_once" >sessions.log 2>&1
code=$?
if [ $code = 0 ] && grep -q "^$count sessions, $at_once at once" sessions.log; then
    ok "$(tail -n 1 sessions.log), in $((SECONDS - begin)) s"
else
    fail "sessions: exit $code: $(tail -n 5 sessions.log)"
fi
grep VmHWM "/proc/$broker_pid/status" | tr -s '\t ' ' '
kill "$targets_pid" && wait "$targets_pid"
code=$?
[ $code = 0 ] && ok "$(tail -n 1 targets.log)" || fail "targets: exit $code: $(tail -n 5 targets.log)"
[ "$(listed)" = 0 ] && ok 'nobody is left' || fail "postern find: $(listed) are left"
finish
