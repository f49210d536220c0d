#!/usr/bin/env python3
"""Checks the rules of the house: which file may use which. Reads the includes of the sources and
the linker symbols of their object files, and prints each violation in one line:

    rule: file: what is wrong

    check.py --build DIR              check; exit code 1 if there is a violation
    check.py --build DIR --self-test  plant violations of every rule in a copy; each must be found

The rules themselves are in rules.py."""
import argparse
import collections
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import rules  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("include", "src", "port", "tools", "examples", "bench")
SEARCH = ("include", "src", "", "port")  # in the order of the compiler's -I

Symbols = collections.namedtuple("Symbols", "defined used writable")


# --- what is there -----------------------------------------------------------------------------

def object_files(build):
    """Source path (relative) -> newest object file that was made from it."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if not source.is_relative_to(ROOT):
            continue
        words = shlex.split(entry["command"])
        made = pathlib.Path(entry["directory"], words[words.index("-o") + 1])
        path = source.relative_to(ROOT).as_posix()
        if made.exists() and (path not in found
                              or made.stat().st_mtime > found[path].stat().st_mtime):
            found[path] = made
    return found


def read_symbols(objects):
    """{name: object file} -> {name: Symbols}."""
    result = {}
    names = list(objects)
    for at in range(0, len(names), 200):
        chunk = names[at:at + 200]
        command = ["nm", "-f", "sysv", *(str(objects[name]) for name in chunk)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        # One object alone gets its heading, too.
        parts = re.split(r"^Symbols from .*:$", text, flags=re.M)[1:]
        for name, part in zip(chunk, parts, strict=True):
            result[name] = parse_symbols(part)
    return result


def parse_symbols(text):
    defined, used, writable = set(), set(), set()
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 7 or fields[0] == "Name":
            continue
        name, kind, section = fields[0], fields[2], fields[6]
        if name.startswith(rules.COMPILER_SYMBOLS) or name.startswith("."):
            continue
        if kind == "U":
            used.add(name)
        elif kind.isupper() and kind != "N":
            defined.add(name)
        if kind in "dDbBC" and not section.startswith(".data.rel.ro"):
            writable.add(name)
    return Symbols(defined, used, writable)


@functools.cache
def strip(text):
    """C text without comments and strings, line for line."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


class Tree:
    """A checkout and the symbols of its object files."""

    def __init__(self, root, symbols):
        self.root = root
        self.symbols = symbols
        self.files = sorted(
            path.relative_to(root).as_posix() for room in ROOMS
            for path in (root / room).rglob("*.[ch]"))
        self.known = set(self.files)
        self.text = {path: (root / path).read_text() for path in self.files}
        self.code = {path: strip(text) for path, text in self.text.items()}
        self.includes = {path: [self.resolve(path, name) for name in
                                re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)', text, re.M)]
                         for path, text in self.text.items()}
        self.definer = {name: path for path, s in sorted(symbols.items()) for name in s.defined}

    def resolve(self, path, name):
        """The path of an included file in the tree, or <name>."""
        for place in (os.path.dirname(path), *SEARCH):
            candidate = os.path.normpath(os.path.join(place, name))
            if candidate in self.known:
                return candidate
        return f"<{name}>"

    def of(self, *places):
        return [path for path in self.files if path.startswith(places)]

    def references(self, path):
        """(symbol, file that defines it) of what an object file uses."""
        s = self.symbols.get(path)
        for name in sorted(s.used) if s else ():
            if name in self.definer and self.definer[name] != path:
                yield name, self.definer[name]


def folder(path):
    """The folder of src/ that a file is in."""
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def declared(code):
    """The functions and objects that a header declares."""
    names = set()
    for line in code.splitlines():
        if re.match(r"[A-Za-z_]", line) and not line.startswith(("static", "typedef")):
            names.update(re.findall(r"\b(psti?_\w+)\s*\(", line))
            if line.startswith("extern"):
                names.update(re.findall(r"\b(psti?_\w+)\s*(?:\[[^]]*\])?\s*;", line))
    return names


# --- the rules ---------------------------------------------------------------------------------

def check_built(tree):
    """Every source of src/, port/ and tools/ has an object file, or the rules below see nothing."""
    for path in tree.of("src/", "port/posix", "port/openssl", "tools/"):
        if path.endswith(".c") and path not in tree.symbols:
            yield path, "has no object file in the build directory: build everything first"


def check_arrows(tree):
    """Folders of src/ use only what the table of arrows allows."""
    owners = {header: {folder(tree.definer[name]) for name in declared(tree.code[header])
                       if name in tree.definer} - {None}
              for header in tree.of("include/")}
    for path in tree.of("src/"):
        own = folder(path)
        if own not in rules.ARROWS:
            yield path, f"src/{own}/ is not in the table of arrows"
            continue
        allowed = {own, *rules.ARROWS[own]}
        public_only = rules.PUBLIC_ONLY.get(own, ())
        for header in tree.includes[path]:
            used = owners.get(header, {folder(header)} - {None})
            for name in sorted(used - allowed):
                yield path, f"includes {header} of src/{name}/, which src/{own}/ may not use"
            if folder(header) in public_only:
                yield path, f"includes {header}, which is private to src/{folder(header)}/"
        for name, other in tree.references(path):
            if folder(other) and folder(other) not in allowed:
                yield path, f"uses {name} of {other}, which src/{own}/ may not use"
            elif folder(other) in public_only and name.startswith("psti_"):
                yield path, f"uses {name}, which is private to src/{folder(other)}/"


def components(graph):
    """Strongly connected components of more than one node (Tarjan, without recursion)."""
    index, low, stack, on_stack, found = {}, {}, [], set(), []
    for start in sorted(graph):
        work = [(start, iter(sorted(graph[start])))] if start not in index else []
        if work:
            index[start] = low[start] = len(index)
            stack.append(start)
            on_stack.add(start)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(sorted(graph.get(other, ())))))
                    break
                if other in on_stack:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    group = stack[at:]
                    del stack[at:]
                    on_stack.difference_update(group)
                    if len(group) > 1:
                        found.append(sorted(group))
    return found


def check_circles(tree):
    """No circle among files but that of a dispatch table and its handlers; none among headers,
    none among the folders in the table of arrows."""
    why = {path: {other: name for name, other in tree.references(path)} for path in tree.symbols}
    for group in components({path: set(used) for path, used in why.items()
                             if path not in rules.TABLES}):
        links = "; ".join(f"{path} uses {name} of {other}" for path in group
                          for other, name in sorted(why[path].items()) if other in group)
        yield group[0], f"circle of {', '.join(group)}: {links}"
    whole = {path for group in components(why) for path in group}
    for table in rules.TABLES:
        if table in tree.symbols and table not in whole:
            yield table, "is listed as a dispatch table, but is in no circle: remove it there"
    # A body in state/ is part of the header that it belongs to, which each of the two includes.
    headers = {path: set(tree.includes[path]) - {path} for path in tree.files
               if path.endswith(".h") and not path.startswith(rules.STATE)}
    for group in components(headers):
        yield group[0], f"circle of headers: {', '.join(group)}"
    for group in components({name: set(used) for name, used in rules.ARROWS.items()}):
        yield "tests/house/rules.py", f"circle of folders: {', '.join(group)}"


def room(path):
    """The room of port/posix that a file is in: loop, host, bridge, links/X; or None."""
    parts = path.split("/")
    if parts[:2] != ["port", "posix"] or len(parts) < 4:
        return None
    return f"links/{parts[3]}" if parts[2] == "links" else parts[2]


def check_rooms(tree):
    """The rooms of port/posix."""
    for path in tree.of("port/"):
        own = room(path)
        uses = [(other, f"includes {other}") for other in tree.includes[path]]
        uses += [(other, f"uses {name} of {other}") for name, other in tree.references(path)]
        for other, text in uses:
            reason = room_reason(path, own, other, text)
            if reason:
                yield path, f"{text}: {reason}"


def room_reason(path, own, other, text):
    their = room(other)
    if path.startswith("port/openssl/"):
        return "port/openssl stands below port/posix" if other.startswith("port/posix/") else None
    if other.startswith("tools/"):
        return "port/ does not use tools/"
    if own is None or their is None or own == their:
        return None
    if own == "loop":
        return "loop uses nothing above it"
    if path == rules.CARRIER_TABLE:
        return "the table of links uses loop and links only" if their in ("host", "bridge") else None
    if own.startswith("links/"):
        return None if their == "loop" else "a link uses loop only"
    if their.startswith("links/") and other not in rules.CARRIER_VIEW | {rules.CARRIER_TABLE}:
        return "host and bridge see links through links/table only"
    if their == "loop" and text.startswith("includes") and other not in rules.CARRIER_VIEW:
        return "host and bridge see carriers through loop/carrier.h only"
    if {own, their} == {"host", "bridge"}:
        return "host and bridge do not use each other"
    return None


def check_private(tree):
    """port/, tools/, examples/ and bench/ use nothing private of src/; include/ neither."""
    for path in tree.of("port/", "tools/", "examples/", "bench/", "include/"):
        for header in tree.includes[path]:
            if header.startswith("src/"):
                yield path, f"includes {header}, which is private to src/"
    for path in tree.symbols:
        if not path.startswith("src/"):
            for name, other in tree.references(path):
                if name.startswith("psti_"):
                    yield path, f"uses {name}, which is private to src/ ({other})"


def check_core(tree):
    """The core includes freestanding headers and string.h, and calls nothing else; it has no
    variables of its own."""
    text = tree.root / rules.STRING_LIST
    library = set(re.findall(r"\b(\w+)\(", strip(text.read_text()))) if text.exists() else set()
    for path in tree.of("src/", "include/"):
        for header in tree.includes[path]:
            if header.startswith("<") and header[1:-1] not in rules.CORE_HEADERS:
                yield path, f"includes {header}: the core may include freestanding headers and string.h"
            elif not header.startswith(("<", "src/", "include/")):
                yield path, f"includes {header}, which is not of the core"
        s = tree.symbols.get(path)
        if s:
            for name in sorted(s.used - library):
                if not tree.definer.get(name, "").startswith("src/"):
                    yield path, f"calls {name}, which is not of the core or in {rules.STRING_LIST}"
            for name in sorted(s.writable):
                yield path, f"has a variable, {name}: the core has no globals"


def check_names(tree):
    """Public symbols are pst_ and declared in include/; shared ones are psti_ and are not."""
    public = {word for path in tree.of("include/")
              for word in re.findall(r"\bpsti?_\w+", tree.code[path])}
    used_by = collections.defaultdict(set)
    for path, s in tree.symbols.items():
        for name in s.used:
            used_by[name].add(path)
    for path in tree.of("src/"):
        s = tree.symbols.get(path)
        for name in sorted(s.defined) if s else ():
            if name.startswith("psti_"):
                if name in public:
                    yield path, f"{name} is declared in include/: call it pst_, or keep it private"
                elif not used_by[name] - {path}:
                    yield path, f"{name} is used in no other file: make it static"
            elif not name.startswith("pst_"):
                yield path, f"{name} begins with neither pst_ nor psti_"
            elif name not in public:
                yield path, f"{name} is declared nowhere in include/: call it psti_"


def check_state(tree):
    """include/postern/state/ is for the headers of include/."""
    for path in tree.files:
        for header in tree.includes[path]:
            if header.startswith(rules.STATE) and not path.startswith("include/"):
                yield path, f"includes {header}: include the header that needs it instead"


def macros(code):
    names = set(re.findall(r"^\s*#\s*define\s+(\w+)", code, re.M))
    for body in re.findall(r"\benum\b[^{};()]*\{([^}]*)\}", code):
        names.update(re.findall(r"(?:^|,)\s*(\w+)", body))
    return names


def check_provisional(tree):
    """Provisional values are in mipi_profile.h: no other file defines one of its names, a name of
    one of its families, or a value that a comment calls provisional."""
    profile = macros(tree.code[rules.PROFILE]) - {"POSTERN_MIPI_PROFILE_H"}
    for path in tree.of("src/", "include/", "port/", "tools/"):
        if path == rules.PROFILE:
            continue
        for name in sorted(macros(tree.code[path])):
            if name in profile or (path.startswith(("src/", "include/"))
                                   and name.startswith(rules.PROFILE_FAMILIES)):
                yield path, f"defines {name}: values of the profile are in {rules.PROFILE}"
        for number, line in enumerate(tree.text[path].splitlines(), 1):
            if re.search(r"(?:#define|=).*\d.*\bprovisional\b", line, re.I) and "PST_ERR_PROFILE" not in line:
                yield path, f"line {number} has a provisional value: it belongs in {rules.PROFILE}"


def functions(code):
    """(name, line, lines) of each function: our format has its braces in column 0."""
    lines = code.splitlines()
    for at, line in enumerate(lines):
        if line != "{":
            continue
        start = at - 1
        while start > 0 and lines[start][:1].isspace() and lines[start].strip():
            start -= 1
        end = next((n for n in range(at, len(lines)) if lines[n] == "}"), len(lines) - 1)
        name = re.search(r"(\w+)\s*\(", lines[start])
        yield name[1] if name else "?", start + 1, end - start + 1


def check_sizes(tree):
    """Files and functions that a reader can take in."""
    for path in tree.of("src/", "include/", "port/", "tools/", "examples/"):
        count = tree.text[path].count("\n")
        if count > rules.FILE_LINES:
            yield path, f"has {count} lines, more than {rules.FILE_LINES}"
        for name, line, count in functions(tree.code[path]):
            if count > rules.FUNCTION_LINES:
                yield path, f"{name}() has {count} lines, more than {rules.FUNCTION_LINES}"


CHECKS = {name[len("check_"):]: run for name, run in list(globals().items())
          if name.startswith("check_")}


def violations(tree):
    return [(rule, path, text) for rule, run in CHECKS.items()
            for path, text in dict.fromkeys(run(tree))]


# --- planted violations ------------------------------------------------------------------------

def self_test(symbols):
    import plants
    baseline = set(violations(Tree(ROOT, symbols)))
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        for place in ROOMS:
            shutil.copytree(ROOT / place, root / place, ignore=not_c)
        for plant in plants.PLANTS:
            new = planted_violations(root, symbols, plant) - baseline
            new = {v for v in new if v[0] == plant.rule}
            hit = [v for v in new if all(part in f"{v[1]}: {v[2]}" for part in plant.finds)]
            if bool(hit) != bool(plant.finds):
                print(f"FAILED: {plant.rule}: {plant.what}; the check said: {sorted(new)}")
                failed += 1
            else:
                print(f"{'found' if plant.finds else 'allowed'}: {plant.rule}: {plant.what}")
    print(f"{len(plants.PLANTS)} planted, {failed} failed")
    untested = set(CHECKS) - {plant.rule for plant in plants.PLANTS}
    if untested:
        print(f"rules that no planted violation tests: {', '.join(sorted(untested))}")
    return 1 if failed or untested else 0


def not_c(_, names):
    return [name for name in names if "." in name and not name.endswith((".c", ".h"))]


def planted_violations(root, symbols, plant):
    """What the check says of the tree in `root` with one plant, which is gone afterwards."""
    before = {path: (root / path).read_text() if (root / path).exists() else None
              for path in plant.files}
    for path, text in plant.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text((before[path] or "") + (text or ""))
    compiled = [path for path, text in plant.files.items()
                if path.endswith(".c") and text is not None and before[path] is None]
    tables = dict(rules.TABLES)
    rules.TABLES.update(dict.fromkeys(plant.tables, "planted"))
    try:
        return set(violations(Tree(root, symbols | compile_planted(root, compiled))))
    finally:
        rules.TABLES.clear()
        rules.TABLES.update(tables)
        for path, text in before.items():
            if text is None:
                (root / path).unlink()
            else:
                (root / path).write_text(text)


def compile_planted(root, sources):
    objects = {}
    for number, path in enumerate(sources):
        made = root / f"planted{number}.o"
        include = [f"-I{root / place}" for place in SEARCH]
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-w", *include, "-c",
                        str(root / path), "-o", str(made)], check=True)
        objects[path] = made
    return read_symbols(objects) if objects else {}


def main():
    parser = argparse.ArgumentParser(description="Checks the rules of the house.")
    parser.add_argument("--build", required=True, type=pathlib.Path,
                        help="a build directory in which everything is built")
    parser.add_argument("--self-test", action="store_true",
                        help="plant violations in a copy and expect each to be found")
    arguments = parser.parse_args()
    objects = {path: made for path, made in object_files(arguments.build).items()
               if path.startswith(("src/", "port/", "tools/"))}
    symbols = read_symbols(objects)
    if arguments.self_test:
        return self_test(symbols)
    found = violations(Tree(ROOT, symbols))
    for rule, path, text in found:
        print(f"{rule}: {path}: {text}")
    print(f"{len(symbols)} object files, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
