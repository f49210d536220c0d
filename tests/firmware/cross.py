#!/usr/bin/env python3
"""Builds and links examples/firmware for a microcontroller and prints what it takes: code, constants
and initial data in flash, and memory. With what a firmware would compile: one SPDM session an
engine, one link.

Usage: cross.py cortex-m3|rv32   Environment: SRC. Exit code 77: the compiler is not installed."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SRC = pathlib.Path(os.environ["SRC"])
EXAMPLE = SRC / "examples/firmware"
CORE = ("wire", "crypto", "cert", "record", "spdm", "spp", "link", "ts")
TARGETS = {
    "cortex-m3": ("arm-none-eabi-gcc", ["-mcpu=cortex-m3", "-mthumb"]),
    "rv32": ("riscv64-unknown-elf-gcc", ["-march=rv32imac", "-mabi=ilp32"]),
}
FLAGS = ["-std=c11", "-Os", "-g", "-Wall", "-Wextra", "-Werror", "-ffreestanding",
         "-ffunction-sections", "-fdata-sections", "-DPST_SPDM_SESSIONS=1", "-DPST_TARGET_LINKS=1",
         f"-isystem{SRC}/bench/size", f"-I{SRC}/include"]


def compile_all(compiler, machine, at):
    objects = []
    for folder in CORE:
        for source in sorted((SRC / "src" / folder).rglob("*.c")):
            made = f"{at}/{folder}-{source.parent.name}-{source.stem}.o"
            subprocess.run([compiler, *FLAGS, *machine, f"-I{SRC}/src", "-c", str(source), "-o", made],
                           check=True)
            objects.append(made)
    for name in ("main", "board", "fake_crypto", "bare"):
        # Ours to write: nothing but include/postern is on the path. bare.c brings string.h's own.
        extra = ["-fno-tree-loop-distribute-patterns"] if name == "bare" else []
        made = f"{at}/{name}.o"
        subprocess.run([compiler, *FLAGS, *extra, *machine, "-c", str(EXAMPLE / f"{name}.c"), "-o", made],
                       check=True)
        objects.append(made)
    return objects


def main():
    compiler, machine = TARGETS[sys.argv[1]]
    if shutil.which(compiler) is None:
        print(f"skipped: {compiler} is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as at:
        objects = compile_all(compiler, machine, at)
        image = f"{at}/firmware.elf"
        subprocess.run([compiler, *machine, "-nostdlib", "-static", "-Wl,--gc-sections",
                        "-Wl,--fatal-warnings", "-Wl,--build-id=none", "-T", str(EXAMPLE / "firmware.ld"),
                        *objects, "-lgcc", "-o", image], check=True)
        sizes = subprocess.run(["size", "-A", image], check=True, stdout=subprocess.PIPE, text=True).stdout
        section = {name: int(n) for name, n in re.findall(r"^(\.\S+)\s+(\d+)", sizes, re.M)}
    flash = section.get(".text", 0) + section.get(".data", 0)
    memory = section.get(".data", 0) + section.get(".bss", 0)
    print(f"{sys.argv[1]}: {flash} bytes of flash, {memory} bytes of memory without the stack")


main()
