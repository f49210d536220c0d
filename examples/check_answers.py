#!/usr/bin/env python3
"""check_answers.py EXPECTED OUTPUT: checks gdb's answers line by line.

Each line of EXPECTED is an extended regular expression as in grep. The expressions must match lines
of OUTPUT in the same order. Prints the number of answers if all match. Otherwise prints the first
expression without a match and exits with code 1."""
import re
import sys

expected = [line.rstrip("\n").replace("[[:space:]]", r"\s") for line in open(sys.argv[1])]
output = iter(open(sys.argv[2], errors="replace").read().splitlines())
for number, pattern in enumerate(expected, 1):
    if not any(re.search(pattern, line) for line in output):
        print(f"answer {number} of {len(expected)} is missing: {pattern}")
        sys.exit(1)
print(f"{len(expected)} of {len(expected)} answers as expected")
