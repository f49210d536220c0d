#!/bin/bash
# The stub client against a real gdbserver.
set -eu
[ "$(uname -m)" = x86_64 ] || { echo "not x86-64"; exit 77; }
for tool in gdbserver cc nm; do
    command -v $tool >/dev/null || { echo "no $tool"; exit 77; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/ticker.c" <<'C'
#include <unistd.h>
volatile int counter;
__attribute__((noinline)) int tick(int x)
{
    counter += x;
    return counter;
}
int main(void)
{
    int parent = getppid(); /* gdbserver: without it there is nothing to do */
    while (getppid() == parent) {
        tick(1);
        usleep(1000);
    }
}
C
cc -g -O0 -static -no-pie -o "$dir/ticker" "$dir/ticker.c"
address() { nm "$dir/ticker" | sed -n "s/^0*\([0-9a-f]*\) . $1\$/\1/p"; }
"$BUILD/tests/live_gdbserver" "$dir/ticker" "$(address tick)" "$(address counter)"
