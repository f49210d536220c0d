#!/usr/bin/env python3
"""examples/firmware keeps its promises: the user's own code is at most 40 lines, not counting blank
lines and comments, and includes entry headers only. Environment: SRC."""
import os
import pathlib
import re
import sys

EXAMPLE = pathlib.Path(os.environ["SRC"]) / "examples/firmware"
MOST = 40


def code_lines(text):
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return [line for line in text.splitlines() if line.strip()]


def main():
    wrong = []
    count = len(code_lines((EXAMPLE / "main.c").read_text()))
    print(f"main.c: {count} lines of code")
    if count > MOST:
        wrong.append(f"main.c has {count} lines of code, at most {MOST} are promised")
    for path in sorted(EXAMPLE.glob("*.[ch]")):
        for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
            if not re.fullmatch(r"postern/\w+\.h", name) and not (EXAMPLE / name).is_file():
                wrong.append(f"{path.name} includes {name}: only headers in include/postern are for users")
    print("\n".join(wrong))
    sys.exit(bool(wrong))


main()
