#!/usr/bin/env bash
# Runs every benchmark, prints a table and writes build/bench.json. `make bench` sets POSTERN, BUILD
# (the optimised build) and SRC. A missed goal is shown, but does not fail the run.
set -eu
: "${POSTERN:?}" "${BUILD:?}" "${SRC:?}"
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for program in "$BUILD"/bench/*; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    echo "== ${program##*/}" >&2
    "$program" >>"$lines"
done
for script in size gdb; do
    echo "== $script" >&2
    python3 "$SRC/bench/$script.py" >>"$lines"
done
mkdir -p "$SRC/build"
python3 - "$lines" "$SRC/build/bench.json" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1]) if line.strip()]
json.dump(rows, open(sys.argv[2], "w"), indent=1)
width = max(len(row["name"]) for row in rows)
for row in rows:
    goal = "" if row["goal"] is None else f"goal {row['goal']:g}: {'met' if row['holds'] else 'MISSED'}"
    print(f"{row['name']:<{width}}  {row['value']:>10} {row['unit']:<12} {goal}")
print(f"{sum(row['holds'] is True for row in rows)} goals met, {sum(row['holds'] is False for row in rows)} missed")
PY
