#!/usr/bin/env python3
"""Compiles every file of the core for a processor without a C library, with the warnings of
cmake/warnings.cmake as errors. On Cortex-M3 no function may use more than 512 bytes of stack.

    core.py cortex-m3 | rv32

Exit code 77: the compiler is not installed."""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
STACK = 512
MACHINES = {
    "cortex-m3": ("arm-none-eabi-gcc", ["-mcpu=cortex-m3", "-mthumb"], STACK),
    "rv32": ("riscv64-unknown-elf-gcc", ["-march=rv32imac", "-mabi=ilp32"], None),
}
FLAGS = ["-std=c11", "-Os", "-ffreestanding", "-isystem", "bench/size", "-Iinclude", "-Isrc"]


def warnings():
    text = (ROOT / "cmake/warnings.cmake").read_text()
    return sorted(set(re.findall(r"-W[a-z][\w=+-]*", re.sub(r"#.*", "", text))))


def compile_file(command, source, directory):
    """(what the compiler said, [(function, bytes of stack)])"""
    made = pathlib.Path(directory, str(source).replace("/", "-") + ".o")
    result = subprocess.run([*command, "-c", str(source), "-o", str(made)], cwd=ROOT,
                            capture_output=True, text=True)
    usage = made.with_suffix(".su")
    lines = usage.read_text().splitlines() if usage.exists() else []
    frames = [(fields[0], int(fields[1])) for fields in (line.split("\t") for line in lines)]
    said = result.stderr.strip()
    return said or ("failed" if result.returncode else ""), frames


def main():
    machine = sys.argv[1]
    compiler, flags, limit = MACHINES[machine]
    if not shutil.which(compiler):
        print(f"{compiler} is not installed")
        return 77
    sources = sorted(path.relative_to(ROOT) for path in (ROOT / "src").rglob("*.c"))
    command = [compiler, *FLAGS, *flags, *warnings(), "-fstack-usage"]
    failed, frames = 0, []
    with tempfile.TemporaryDirectory() as directory, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(compile_file, command, source, directory) for source in sources]
        for source, job in zip(sources, jobs):
            said, used = job.result()
            frames += used
            if said:
                print(f"{source}: {said}")
                failed += 1
    frames.sort(key=lambda frame: -frame[1])
    for place, used in frames:
        if limit and used > limit:
            print(f"stack: {place}: {used} bytes, more than {limit}")
            failed += 1
    print(f"{machine}: {len(sources)} files, largest frame {frames[0][1]} bytes ({frames[0][0]}), "
          f"{failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
