#!/usr/bin/env python3
"""Measures code size and RAM of a TS on each architecture.

Compiles the core with -Os and links it with bench/size/ts.c. The linker removes everything that
ts.c does not reach. Crypto and the C library are not counted. Prints one JSON object per line:
{"name", "value", "unit", "goal", "holds"}.

Environment: SRC (the checkout)."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

SRC = pathlib.Path(os.environ["SRC"])
MODULES = ("wire", "crypto", "cert", "record", "spdm", "spp", "link", "ts")
FLAGS = ["-std=c11", "-Os", "-DPST_SPDM_SESSIONS=1", "-ffreestanding", "-ffunction-sections", "-fdata-sections",
         f"-I{SRC}/include", f"-I{SRC}/src"]
TARGETS = {
    "x86-64": ("gcc", [], ["-fno-pic", "-no-pie", "-fno-asynchronous-unwind-tables",
                           "-fno-stack-protector"]),
    "RV32": ("riscv64-unknown-elf-gcc", [f"-isystem{SRC}/bench/size"],
             ["-march=rv32imac", "-mabi=ilp32"]),
    "Cortex-M3": ("arm-none-eabi-gcc", [f"-isystem{SRC}/bench/size"],
                  ["-mcpu=cortex-m3", "-mthumb"]),
}


def report(name, value, unit, goal=None):
    print(json.dumps({"name": name, "value": value, "unit": unit, "goal": goal,
                      "holds": None if goal is None else value <= goal}), flush=True)


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(name, compiler, include, machine):
    with tempfile.TemporaryDirectory() as directory:
        objects = []
        for module in MODULES:
            for source in sorted((SRC / "src" / module).rglob("*.c")):
                made = f"{directory}/{module}-{source.stem}.o"
                run(compiler, *FLAGS, *include, *machine, "-c", str(source), "-o", made)
                objects.append(made)
        ts = f"{directory}/ts.o"
        run(compiler, *FLAGS, *include, *machine, "-c", str(SRC / "bench/size/ts.c"), "-o", ts)
        run("ar", "rcs", f"{directory}/core.a", *objects)
        image = f"{directory}/ts.elf"
        run(compiler, *machine, "-nostdlib", "-static", "-Wl,--gc-sections", "-Wl,-e,entry",
            "-Wl,--unresolved-symbols=ignore-all", "-Wl,--build-id=none", ts,
            f"{directory}/core.a", "-o", image)
        sections = dict(re.findall(r"^(\.\S+)\s+(\d+)", run("size", "-A", image), re.M))
        code = sum(int(sections.get(s, 0)) for s in (".text", ".rodata", ".data"))
        code += sum(int(n) for s, n in sections.items()
                    if s.startswith((".text.", ".rodata.", ".data.", ".ARM.exidx")))
        report(f"code of the TS side, {name}", code, "bytes", 40960 if name == "Cortex-M3" else None)
        # The sizeof_ arrays are read from the object: the linker drops them, as nothing uses them.
        for line in run("nm", "-S", ts).splitlines():
            fields = line.split()
            if len(fields) == 4 and fields[3].startswith("sizeof_"):
                what, size = fields[3][len("sizeof_"):], int(fields[1], 16)
                if what == "ram":
                    report(f"RAM of one session and one pending context, {name}", size, "bytes",
                           12288 if name == "Cortex-M3" else None)
                else:
                    report(f"sizeof {what}, {name}", size, "bytes")


for target, (compiler, include, machine) in TARGETS.items():
    try:
        measure(target, compiler, include, machine)
    except FileNotFoundError:
        print(f"size: {compiler} is not installed, so {target} is not measured", file=sys.stderr)
