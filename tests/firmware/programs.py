#!/usr/bin/env python3
"""The program that opens each entry header compiles as it is written there.

Usage: programs.py COMPILER   Environment: SRC"""
import os
import pathlib
import subprocess
import sys
import tempfile

SRC = pathlib.Path(os.environ["SRC"])
HEADERS = ("target.h", "debugger.h", "stream.h")
FLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]


def program_of(header):
    """The lines of the first comment that are indented like code, up to the end of main()."""
    lines = []
    for line in (SRC / "include/postern" / header).read_text().splitlines():
        if line.endswith("*/"):
            break
        if line.startswith(" *     "):
            lines.append(line[len(" *     "):])
            if line == " *     }" and any("int main(" in one for one in lines):
                return "\n".join(lines) + "\n"
        elif line == " *" and lines:
            lines.append("")
    sys.exit(f"{header}: its first comment has no complete program")


def main():
    with tempfile.TemporaryDirectory() as at:
        for header in HEADERS:
            source = pathlib.Path(at, header.replace(".h", ".c"))
            source.write_text(program_of(header))
            subprocess.run([sys.argv[1], *FLAGS, f"-I{SRC}/include", "-c", str(source), "-o",
                            f"{at}/program.o"], check=True)
            print(f"{header}: {len(source.read_text().splitlines())} lines")


main()
