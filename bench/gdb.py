#!/usr/bin/env python3
"""Compares gdb through Postern with gdb connected directly to QEMU's stub.

Environment: POSTERN (the program), BUILD (the build directory with pump.elf), TURNS (default 11).
Prints one JSON object per line: {"name", "value", "unit", "goal", "holds"}. Progress goes to stderr.
Both connections are timed alternately, TURNS times each. A speed is the median of the ratios of all
turns; the best and the worst ratio are reported too. All files of a session, the audit log included,
are in TMPDIR. delay_link.py counts the round trips on a link with 100 ms delay."""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

POSTERN, BUILD = os.environ["POSTERN"], os.environ["BUILD"]
HERE = pathlib.Path(__file__).parent
ELF = f"{BUILD}/examples/pump.elf"
DEVICE = "Acme:Pump:0042"
TURNS = int(os.environ.get("TURNS", "11"))
RAM = 0x80000000

CONF = """[target]
identity = {d}/pump
trust = {d}/ca/engineers.pem
policy = debug
audit = {d}/audit.jsonl
listen = unix:{d}/target.sock
[stub]
address = unix:{d}/secured.gdb
[memory ram]
first = 0x80000000
last = 0x87ffffff
kind = ram
"""

INSTRUCTIONS = """
python
import time
begin = time.monotonic()
for _ in range(1000):
    gdb.execute("stepi", to_string=True)
print("SECONDS", time.monotonic() - begin)
end
"""
# Steps 25 source lines inside a recursion, 40 times. Running to the breakpoint is not timed.
LINES = """
python
import time
total = 0
for _ in range(40):
    gdb.execute("tbreak history_sum", to_string=True)
    gdb.execute("continue", to_string=True)
    begin = time.monotonic()
    for _ in range(25):
        gdb.execute("step", to_string=True)
    total += time.monotonic() - begin
print("SECONDS", total)
end
"""
READ = """
python
import time
begin = time.monotonic()
gdb.selected_inferior().read_memory(0x80010000, 1 << 20)
print("SECONDS", time.monotonic() - begin)
end
"""


def report(name, value, unit, goal=None, holds=None):
    print(json.dumps({"name": name, "value": value, "unit": unit, "goal": goal, "holds": holds}),
          flush=True)


def wait_for(path):
    """Waits until the socket listens. A Unix socket exists after bind(), but refuses connections
    until listen()."""
    for _ in range(200):
        listening = (l for l in open("/proc/net/unix") if l.split()[3] == "00010000")
        if any(l.rstrip().endswith(f" {path}") for l in listening):
            return
        time.sleep(0.05)
    sys.exit(f"{path} did not appear")


def gdb(target, script, directory):
    path = directory / "bench.gdb"
    path.write_text(f"set pagination off\nset confirm off\nset remotetimeout 60\nset osabi none\n{target}\n{script}\n")
    done = subprocess.run(["gdb-multiarch", "-batch", "-nx", "-x", str(path), ELF],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, timeout=300)
    return done.stdout


def seconds(output):
    for line in output.splitlines():
        if line.startswith("SECONDS"):
            return float(line.split()[1])
    sys.exit("gdb did not finish:\n" + output[-2000:])


def speed(name, script, straight, secured, directory, goal=None):
    ratios = []
    for turn in range(TURNS):
        plain = seconds(gdb(straight, script, directory))
        ours = seconds(gdb(secured, script, directory))
        print(f"{name}: turn {turn + 1} of {TURNS}: {plain:.3f} s straight, {ours:.3f} s secured",
              file=sys.stderr)
        ratios.append(ours / plain)
    value = round(statistics.median(ratios), 3)
    report(name, value, "times", goal, None if goal is None else value <= goal)
    report(f"{name}, best turn", round(min(ratios), 3), "times")
    report(f"{name}, worst turn", round(max(ratios), 3), "times")


def sync_cost(directory):
    """Measures how long this disk takes to make one audit line durable. Postern can only reduce this
    cost by syncing less often."""
    with open(directory / "sync", "ab", buffering=0) as f:
        costs = []
        for _ in range(100):
            f.write(b"x" * 106)
            begin = time.monotonic()
            os.fdatasync(f.fileno())
            costs.append(time.monotonic() - begin)
    report("fdatasync of one audit line, here", round(statistics.median(costs) * 1e6), "us")


TRIPS = """
set height 0
shell echo attach $(cat {count}) >> {log}
break history_sum if len == 1
shell echo break $(cat {count}) >> {log}
continue
delete
shell echo start $(cat {count}) >> {log}
backtrace
shell echo bt $(cat {count}) >> {log}
info locals
shell echo info-locals $(cat {count}) >> {log}
finish
shell echo finish $(cat {count}) >> {log}
next
shell echo next $(cat {count}) >> {log}
tbreak sensor_read
shell echo tbreak $(cat {count}) >> {log}
continue
shell echo continue $(cat {count}) >> {log}
step
shell echo step $(cat {count}) >> {log}
step
shell echo step-2 $(cat {count}) >> {log}
"""


def trips(target, count, directory):
    log = directory / "trips.log"
    log.unlink(missing_ok=True)
    output = gdb(target, TRIPS.format(count=count, log=log), directory)
    found, before = {}, 0
    for line in log.read_text().splitlines():
        name, total = line.split()
        found[name] = int(total) - before
        before = int(total)
    if "step-2" not in found:
        sys.exit("gdb did not finish:\n" + output[-2000:])
    return found


def main():
    with contextlib.ExitStack() as stack:
        d = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postern-bench-")))

        def start(*command):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)

        def qemu(name):
            start("qemu-system-riscv32", "-M", "virt", "-accel", "tcg", "-display", "none",
                  "-serial", "null", "-monitor", "none", "-bios", "none", "-kernel", ELF,
                  "-gdb", f"unix:{d}/{name}.gdb,server=on,wait=off")
            wait_for(f"{d}/{name}.gdb")

        for command in ("init ca", f"target --ca ca --id {DEVICE} pump",
                        "engineer --ca ca --name ada --grant debug ada"):
            subprocess.run([POSTERN, "pki", *command.split()], cwd=d, check=True,
                           stdout=subprocess.DEVNULL)
        qemu("plain")
        qemu("secured")
        (d / "target.conf").write_text(CONF.format(d=d))
        start(POSTERN, "target", "--config", f"{d}/target.conf")
        wait_for(f"{d}/target.sock")

        def secured(socket, options=""):
            return (f"target extended-remote | {POSTERN} gdb {options} --identity {d}/ada --trust "
                    f"{d}/ca/devices.pem --device {DEVICE} unix:{d}/{socket}")

        sync_cost(d)
        straight = f"target extended-remote {d}/plain.gdb"
        speed("gdb: 1,000 step, Postern / straight", LINES, straight, secured("target.sock"), d,
              1.3)
        # The shortest resume that gdb can ask for: one instruction, no range. It has no goal.
        speed("gdb: 1,000 stepi, Postern / straight", INSTRUCTIONS, straight,
              secured("target.sock"), d)
        speed("gdb: reading 1 MiB, Postern / straight", READ, straight, secured("target.sock"), d,
              1.5)

        for name, far in (("plain", f"{d}/plain.gdb"), ("secured", f"{d}/target.sock")):
            start(sys.executable, str(HERE / "delay_link.py"), f"{d}/{name}.far", far, "100",
                  f"{d}/{name}.count")
            wait_for(f"{d}/{name}.far")
        plain = trips(f"target extended-remote {d}/plain.far", d / "plain.count", d)
        ours = trips(secured("secured.far", f"--summary {d}/summary.json"), d / "secured.count", d)
        summary = json.loads((d / "summary.json").read_text())
        for name in ("attach", "bt", "info-locals", "finish", "next", "step"):
            goal = 1 if name == "step" else 0 if name in ("bt", "info-locals") else None
            report(f"round trips: {name}, tunnel to the stub", plain[name], "round trips")
            report(f"round trips: {name}, Postern", ours[name], "round trips", goal,
                   None if goal is None else ours[name] <= goal)
        resuming = ("start", "finish", "next", "continue", "step", "step-2")
        extra = sum(ours[name] for name in resuming) - summary["resumes"]
        report("round trips beyond one for each vCont, Postern", extra, "round trips", 0, extra <= 0)


main()
