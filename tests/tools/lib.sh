# Functions for the tests of the commands; to be sourced. It creates the temporary directory $dir,
# changes into it, and removes it at exit together with all processes that it started.
set -u
: "${POSTERN:?}" "${BUILD:?}" "${SRC:?}"
PATH="$(dirname "$POSTERN"):$PATH"
dir=$(mktemp -d "${TMPDIR:-/tmp}/postern-test.XXXXXX")
pids=()
cleanup() {
    for pid in "${pids[@]:-}"; do
        [ -n "$pid" ] && kill "$pid" 2>/dev/null
    done
    wait 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cd "$dir" || exit 1

bad=0
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    bad=1
}
ok() { printf 'ok: %s\n' "$*"; }

# await FILE: waits at most 10 s until the file exists. A socket must also listen: after bind()
# alone it refuses connections.
await() {
    for _ in $(seq 200); do
        [ -S "$1" ] && grep -q " 00010000 .* \($dir/\)\?${1#$dir/}\$" /proc/net/unix && return 0
        [ -e "$1" ] && [ ! -S "$1" ] && return 0
        sleep 0.05
    done
    fail "$1 did not appear"
    return 1
}
# await_text FILE TEXT: waits at most 10 s until the file contains the text.
await_text() {
    for _ in $(seq 200); do
        grep -qE -- "$2" "$1" 2>/dev/null && return 0
        sleep 0.05
    done
    fail "'$2' did not appear in $1:"
    cat "$1" >&2
    return 1
}
# expect CODE PATTERN COMMAND...: checks the exit code of the command, and that its output (stdout
# or stderr) matches the pattern.
expect() {
    local code=$1 pattern=$2 got
    shift 2
    if declare -F "$1" >/dev/null; then
        "$@" >expect.out 2>&1 </dev/null
    else
        timeout 60 "$@" >expect.out 2>&1 </dev/null
    fi
    got=$?
    if [ "$got" != "$code" ]; then
        fail "exit $got, expected $code: $*"
        cat expect.out >&2
    elif [ -n "$pattern" ] && ! grep -qiE -- "$pattern" expect.out; then
        fail "the output does not match '$pattern': $*"
        cat expect.out >&2
    else
        ok "$code, $(grep -m 1 . expect.out | cut -c 1-110)"
    fi
}

free_port() { # prints a free TCP port on loopback
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
device=Acme:Pump:0042
# Makes one CA with two devices and two engineers, and another CA with an impostor of the first
# device and an engineer.
make_keys() {
    {
        postern pki init ca && postern pki target --ca ca --id $device pump &&
            postern pki target --ca ca --id Acme:Pump:0043 pump43 &&
            postern pki engineer --ca ca --name ada --grant debug ada &&
            postern pki engineer --ca ca --name olga --grant observe olga &&
            postern pki init other && postern pki target --ca other --id $device impostor &&
            postern pki engineer --ca other --name eve --grant debug eve
    } >pki.log 2>&1 || {
        cat pki.log >&2
        fail 'postern pki could not make the keys'
        exit 1
    }
}
# start_target NAME OPTION...: starts a target that listens at NAME.sock. Sets $target_pid.
start_target() {
    local name=$1
    shift
    rm -f "$name.sock"
    postern target --listen "unix:$dir/$name.sock" --audit "$name.jsonl" "$@" >"$name.log" 2>&1 &
    target_pid=$!
    pids+=("$target_pid")
    await "$name.sock" || {
        cat "$name.log" >&2
        exit 1
    }
}
# with_identity ENGINEER COMMAND ARG...: runs a postern command for $device as this engineer.
with_identity() {
    local who=$1 command=$2
    shift 2
    timeout 60 postern "$command" --identity "$who" --trust ca/devices.pem --device $device "$@"
}
as_ada() { with_identity ada "$@"; }
as_olga() { with_identity olga "$@"; }
# start_qemu NAME: starts a pump in QEMU with its gdb stub at NAME.gdb. Sets $qemu_pid.
start_qemu() {
    command -v qemu-system-riscv32 >/dev/null && [ -e "$BUILD/examples/pump.elf" ] || {
        echo 'skipped: no qemu-system-riscv32, or no pump.elf'
        exit 77
    }
    rm -f "$1.gdb"
    qemu-system-riscv32 -M virt -accel tcg -display none -serial "file:$1.uart" -monitor none \
        -bios none -kernel "$BUILD/examples/pump.elf" \
        -gdb "unix:$dir/$1.gdb,server=on,wait=off" >"$1.qemu.log" 2>&1 &
    qemu_pid=$!
    pids+=("$qemu_pid")
    await "$1.gdb"
}
# start_pump_target NAME STUB LINE... [-- OPTION...]: starts a target in front of the stub at
# STUB.gdb. The LINEs are added to the section [target] of its configuration NAME.conf, the OPTIONs
# to its command line.
start_pump_target() {
    local name=$1 stub=$2 lines=()
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        lines+=("$1")
        shift
    done
    shift
    {
        printf '[target]\nidentity = pump\ntrust = ca/engineers.pem\npolicy = debug\n'
        printf '%s\n' "${lines[@]:-}"
        printf '[stub]\naddress = unix:%s\n' "$dir/$stub.gdb"
        printf '[memory ram]\nfirst = 0x80000000\nlast = 0x8001ffff\nkind = ram\n'
    } >"$name.conf"
    start_target "$name" --config "$name.conf" "$@"
}
need_gdb() {
    command -v gdb-multiarch >/dev/null || {
        echo 'skipped: no gdb-multiarch'
        exit 77
    }
}
# run_gdb OUTPUT LINK ENGINEER GDB-OPTION...: runs gdb-multiarch, connected through postern gdb.
run_gdb() {
    local output=$1 link=$2 who=$3
    shift 3
    timeout 90 gdb-multiarch -batch -nx -ex 'set pagination off' -ex 'set remotetimeout 20' \
        -ex "target extended-remote | postern gdb --identity $who --trust ca/devices.pem --device $device $link" \
        "$@" "$BUILD/examples/pump.elf" >"$output" 2>&1 </dev/null
}
# main_job WHAT LINK: runs the gdb session of `make demo` over the link and checks gdb's answers.
main_job() {
    run_gdb gdb.out "$2" ada -x "$SRC/examples/pump/pump.gdb"
    if python3 "$SRC/examples/check_answers.py" "$SRC/examples/pump/expected.txt" gdb.out >answers.txt; then
        ok "the main job over $1: $(cat answers.txt)"
    else
        fail "the main job over $1: $(cat answers.txt)"
        tail -n 25 gdb.out >&2
    fi
}
finish() {
    [ $bad = 0 ] && echo "all passed"
    exit $bad
}
