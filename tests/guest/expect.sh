# Check functions for scripts in the guest, which source it as /etc/expect.sh.
await_text() { # FILE TEXT: waits at most 20 s until the file contains the text
    local i=0
    while [ $i -lt 200 ]; do
        grep -qE -- "$2" "$1" 2>/dev/null && return 0
        sleep 0.1
        i=$((i + 1))
    done
    fail "'$2' did not appear in $1:"
    tail -n 20 "$1"
    return 1
}
bad=0
fail() {
    echo "FAILED: $*"
    bad=1
}
# expect CODE PATTERN COMMAND...: checks the exit code and the output of the command.
expect() {
    local code=$1 pattern=$2 got
    shift 2
    "$@" >expect.out 2>&1 </dev/null
    got=$?
    if [ $got != "$code" ]; then
        fail "exit $got, expected $code: $*"
        cat expect.out
    elif [ -n "$pattern" ] && ! grep -qiE -- "$pattern" expect.out; then
        fail "the output does not match '$pattern': $*"
        cat expect.out
    else
        echo "ok: $code, $(grep -m 1 . expect.out | cut -c 1-110)"
    fi
}
device=Acme:Pump:0042
as_ada() {
    local command=$1
    shift
    timeout 60 postern "$command" --identity ada --trust ca/devices.pem --device $device "$@"
}
