#!/usr/bin/env python3
"""Measures the speed of links with and without the security layer.

Environment: POSTERN, BUILD (an optimised build) and SRC, as for the tests; TURNS and SECONDS. Writes
build/bench-links.json, a list of {"name", "value", "unit", "goal", "holds"}, and prints a table.

Goodput: link_load reads memory, which is a file, over each link for SECONDS, alternately from a
`postern target` and from a server with the same framing but no security. The result is the median of
the ratios of TURNS turns. On loopback links the CPU is the limit. There the ratio has no goal;
instead tcp must be faster than the same bytes through `ssh -L` and through a TLS tunnel. Round trips
are reads of 64 bytes, one after the other.

usb, pcie and pcie-shm need a kernel of their own and are measured in a guest (guest.sh). For usb
both ends are in the guest; for the others the reader is in the guest and the server on this machine.
The guest is emulated, so its CPU is the limit and the results have no goal. pcie has no ratio: a
mailbox carries only SPDM, so there is no framing without security to compare with.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.environ["SRC"], "tests/links"))
import rig as r  # noqa: E402

TURNS = int(os.environ.get("TURNS", "3"))
SECONDS = os.environ.get("SECONDS", "10")
TRIPS = "3000"
LOAD = os.path.join(r.BUILD, "bench/links/link_load")
PACED = {  # options that limit the speed to that of real hardware; on a bus only the listener sets them
    "i3c": ",khz=12500",
    "mctp-i3c": ",khz=12500",
    "serial": ",baud=921600",
    "mctp-serial": ",baud=921600",
}
KINDS = ["tcp", "unix", "udp", "mqtt", "i3c", "mctp-i3c", "serial", "mctp-serial"]
CPU_BOUND = {"tcp", "unix", "udp", "mqtt"}
MEMORY = 1 << 20
GUEST_KINDS = ["usb", "pcie-shm", "pcie"]
GUEST_SECONDS = 5  # limit for each read, so that a guest ends before GUEST_TIMEOUT
GUEST_TIMEOUT = 175
rows = []
servers = {}  # link -> function that restarts the server without security behind it


def say(text):
    print(text, file=sys.stderr, flush=True)


def row(name, value, unit, goal=None, at_least=True):
    holds = None if goal is None else bool(value >= goal if at_least else value <= goal)
    rows.append({"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "holds": holds})
    say(f"{name}: {value:.3f} {unit}" + ("" if holds is not False else "  MISSED"))


def load(what, link, amount, secure):
    argv = [LOAD, what, link, amount] + (["ada", "ca/devices.pem"] if secure else [])
    for _ in range(20):  # the previous reader may not be gone yet
        p = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                           timeout=float(SECONDS) + 60)
        if p.returncode == 0:
            return float(p.stdout)
        if b"no answer in time" in p.stderr and link in servers:
            say(f"{link}: {p.stderr.decode().strip()}; starting a new server")
            servers[link]()
        time.sleep(0.5)
    raise r.Failure(f"{' '.join(argv)}: {p.stderr.decode().strip()}")


def turns(what, amount, *links, count=TURNS):
    """Measures each (link, secure) of `links` in alternating turns; returns one list for each."""
    got = [[] for _ in links]
    for _ in range(count):
        for figures, (link, secure) in zip(got, links):
            figures.append(load(what, link, amount, secure))
    return got


def quotient(ours, theirs):
    return statistics.median(a / b for a, b in zip(ours, theirs))


def goodput_rows(kind, ours, theirs, goal):
    row(f"{kind}: goodput", statistics.median(ours) / 1e6, "MB/s")
    if theirs:
        row(f"{kind}: goodput against no security", quotient(ours, theirs), "x", goal)


class Bench:
    def __init__(self):
        self.rig = r.Rig()
        self.links = r.Links(self.rig)
        self.rig.make_keys()
        pathlib.Path("ram.bin").write_bytes(os.urandom(MEMORY))
        self.kinds = [k for k in KINDS if k in self.links.built_in()]
        self.secure = {k: self.link(k, "target") for k in self.kinds}
        self.plain = {k: self.link(k, "plain") for k in self.kinds}
        self.rig.start_target("target", [l.listen for l in self.secure.values()],
                              files=[("ram.bin", 0x80000000)])
        for kind, link in self.plain.items():
            self.serve_plain(kind, link)
        time.sleep(1)

    def serve_plain(self, kind, link):
        """Starts a server without security. If its reader left in the middle of a read, the server
        may wait for free buffer space forever; then load() restarts it."""
        p = self.rig.start("plain-" + kind, LOAD, "serve", link.listen)
        self.rig.await_log("plain-" + kind, "listens at")

        def again():
            self.rig.stop(p)
            self.serve_plain(kind, link)
        servers[link.call] = again

    def link(self, kind, where):
        made = self.links.get(kind, where)
        pace = PACED.get(kind, "")
        return r.Link(kind, made.listen + pace, made.call + ("" if "i3c" in kind else pace))

    def goodput(self):
        for kind in self.kinds:
            ours, theirs = turns("read", SECONDS, (self.secure[kind].call, True),
                                 (self.plain[kind].call, False))
            goodput_rows(kind, ours, theirs, None if kind in CPU_BOUND else 0.9)

    def ssh(self):
        """Returns a link to the plain server through `ssh -L`."""
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name], check=True)
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        door, way = r.free_port(), r.free_port()
        pathlib.Path("sshd.conf").write_text(
            f"Port {door}\nListenAddress 127.0.0.1\nHostKey {self.rig.dir}/host\nUsePAM no\n"
            f"AuthorizedKeysFile {self.rig.dir}/user.pub\nStrictModes no\nPidFile none\n"
            "PermitRootLogin prohibit-password\n")
        self.rig.start("sshd", r.which("sshd"), "-D", "-e", "-f", f"{self.rig.dir}/sshd.conf")
        r.await_that("sshd", lambda: r.can_connect(door))
        self.rig.start("ssh", "ssh", "-N", "-F", "none", "-p", str(door), "-i", "user", "-o",
                       "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-L",
                       f"127.0.0.1:{way}:{self.plain_place()}", "127.0.0.1")
        r.await_that("ssh -L", lambda: r.can_connect(way))
        return f"tcp:127.0.0.1:{way}"

    def tls(self):
        """Returns a link to the plain server through two stunnels."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=bench", "-days", "2",
                        "-keyout", "tls.key", "-out", "tls.pem"], check=True,
                       stderr=subprocess.DEVNULL)
        door, way = r.free_port(), r.free_port()
        common = "foreground = yes\npid =\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
        for name, body in (
            ("tls-server", f"[s]\naccept = 127.0.0.1:{door}\nconnect = {self.plain_place()}\n"
                           "cert = tls.pem\nkey = tls.key\n"),
            ("tls-client", f"[c]\nclient = yes\naccept = 127.0.0.1:{way}\n"
                           f"connect = 127.0.0.1:{door}\nCAfile = tls.pem\nverifyChain = yes\n"),
        ):
            pathlib.Path(name + ".conf").write_text(common + body)
            self.rig.start(name, r.which("stunnel4"), name + ".conf")
        r.await_that("stunnel", lambda: r.can_connect(way))
        return f"tcp:127.0.0.1:{way}"

    def plain_place(self):
        return self.plain["tcp"].call.removeprefix("tcp:")

    def tunnels(self):
        ways = {"ssh -L": self.ssh(), "a TLS tunnel": self.tls()}
        time.sleep(1)  # until the connections that checked the tunnels are closed
        links = [(self.secure["tcp"].call, True)] + [(way, False) for way in ways.values()]
        ours, *theirs = turns("read", SECONDS, *links)
        for name, figures in zip(ways, theirs):
            row(f"tcp: goodput against {name}", quotient(ours, figures), "x", 1.0)
        # Many short runs: the result of a run depends on how the scheduler placed its processes.
        ours, *theirs = turns("rtt", TRIPS, *links, count=5 * TURNS)
        row("tcp: round trip of 64 bytes", statistics.median(ours), "us")
        for name, figures in zip(ways, theirs):
            row(f"tcp: round trip of 64 bytes against {name}", quotient(ours, figures), "x", 0.7,
                at_least=False)

    def bridge(self):
        """Compares `postern bridge` with socat between the same two ends."""
        ours, theirs = r.free_port(), r.free_port()
        self.rig.bridge("bridge", f"tcp-listen:127.0.0.1:{ours}", self.plain["tcp"].call)
        self.rig.start("socat", "socat", f"TCP-LISTEN:{theirs},bind=127.0.0.1,fork,reuseaddr,nodelay",
                       f"TCP:{self.plain_place()},nodelay")
        r.await_that("socat", lambda: r.can_connect(theirs))
        time.sleep(1)
        a, b = turns("read", SECONDS, (f"tcp:127.0.0.1:{ours}", False),
                     (f"tcp:127.0.0.1:{theirs}", False))
        row("bridge: goodput against socat", quotient(a, b), "x", 0.9)


class Guest:
    """The kinds of link that are measured in a guest, if a guest can run here."""

    def __init__(self, bench):
        self.rig = bench.rig
        self.built_in = bench.links.built_in()
        self.served = []

    def shared_file(self):
        fd, path = tempfile.mkstemp(prefix="postern-bench.", dir="/dev/shm")
        os.truncate(fd, 1 << 20)
        os.close(fd)
        self.rig.files.append(path)
        return path

    def serve(self, name, kinds):
        """Starts the servers on this machine; returns their environment variables for guest.sh."""
        env, listens = {}, []
        if "pcie" in kinds:
            env["SPDM_PORT"] = str(r.free_port())
            listens.append(f"pcie-listen:127.0.0.1:{env['SPDM_PORT']}")
        if "pcie-shm" in kinds:
            env["SHM_SECURE"], env["SHM_PLAIN"] = self.shared_file(), self.shared_file()
            listens.append(f"pcie-shm-listen:{env['SHM_SECURE']}")
            self.served.append(self.rig.start(name + "-plain", LOAD, "serve",
                                              f"pcie-shm-listen:{env['SHM_PLAIN']}"))
            self.rig.await_log(name + "-plain", "listens at")
        if listens:
            self.served.append(self.rig.start_target(name + "-secure", listens,
                                                     files=[("ram.bin", 0x80000000)]))
        return env

    def boot(self, name, kinds):
        """Returns (exit code of guest.sh, last line of its output, {(kind, server): results},
        {kind: problem})."""
        seconds = min(int(SECONDS), GUEST_SECONDS)
        env = dict(os.environ, **self.serve(name, kinds), GUEST_NAME=name, GUEST_SHARE=self.rig.dir,
                   GUEST_TIMEOUT=str(GUEST_TIMEOUT), TURNS=str(TURNS), SECONDS_EACH=str(seconds))
        p = self.rig.start(name, "bash", os.path.join(r.SRC, "bench/links/guest.sh"), *kinds, env=env)
        code = p.wait()
        self.rig.stop(*self.served)
        self.served = []
        words = self.rig.log(name).strip().splitlines()
        figures, problems = {}, {}
        file = pathlib.Path(name + ".figures")
        for line in file.read_text().splitlines() if file.exists() else []:
            kind, what, value = line.split(" ", 2)
            if what == "failed":
                problems[kind] = value
            else:
                figures.setdefault((kind, what), []).append(float(value))
        return code, words[-1] if words else "", figures, problems

    def goodput(self):
        """Returns False if a guest ran and a measurement failed. A guest that cannot run is only
        reported. If it is pcie that prevents it, the other kinds run alone: a pcie mailbox needs a
        newer QEMU."""
        kinds = [k for k in GUEST_KINDS if k in self.built_in]
        code, words, figures, problems = self.boot("guest", kinds)
        if code == 77 and "pcie" in kinds:
            say(f"pcie: not measured: {words}")
            kinds.remove("pcie")
            code, words, figures, problems = self.boot("guest-other", kinds)
        if code == 77:
            say(f"{', '.join(kinds)}: not measured: {words}")
            return True
        missing = []
        for kind in kinds:
            ours, theirs = (figures.get((kind, what), []) for what in ("secure", "plain"))
            if kind in problems or not ours or (kind != "pcie" and not theirs):
                why = problems.get(kind, f"the guest ended with {code}: {words}")
                say(f"{kind}: NOT MEASURED: {why}")
                missing.append(kind)
            else:
                goodput_rows(kind, ours, theirs, None)
        return not missing


def efficiency():
    program = pathlib.Path(r.BUILD, "bench/links/efficiency")
    for line in subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout.splitlines():
        rows.append(json.loads(line))


def main():
    bench = Bench()
    bench.goodput()
    bench.tunnels()
    bench.bridge()
    whole = Guest(bench).goodput()
    efficiency()
    out = pathlib.Path(r.SRC, "build")
    out.mkdir(exist_ok=True)
    (out / "bench-links.json").write_text(json.dumps(rows, indent=1) + "\n")
    width = max(len(one["name"]) for one in rows)
    for one in rows:
        goal = "" if one["goal"] is None else \
            f"goal {one['goal']:g}: {'met' if one['holds'] else 'MISSED'}"
        print(f"{one['name']:<{width}}  {one['value']:>10} {one['unit']:<12} {goal}")
    missed = sum(one["holds"] is False for one in rows)
    print(f"{sum(one['holds'] is True for one in rows)} goals met, {missed} missed")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
