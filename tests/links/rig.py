"""Common parts of the link tests: keys, a pump, a target, ptys, a broker, and each kind of link.

All files are in one temporary directory, which is removed when the process ends. $POSTERN, $BUILD
and $SRC name the program, the build directory and the sources, as for the scripts of tests/tools.
"""
import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty

POSTERN, BUILD, SRC = (os.environ[name] for name in ("POSTERN", "BUILD", "SRC"))
DEVICE = "Acme:Pump:0042"
ELF = os.path.join(BUILD, "examples/pump.elf")
PUMP = os.path.join(SRC, "examples/pump")
QEMU_RISCV, GDB, BROKER = "qemu-system-riscv32", "gdb-multiarch", "mosquitto"


class Failure(Exception):
    """A check failed. The text says which, for the person who reads the output."""


def which(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


_ports = set()


def free_port(kind=socket.SOCK_STREAM):
    while True:
        with socket.socket(socket.AF_INET, kind) as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port not in _ports:
            _ports.add(port)
            return port


def await_that(what, true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


def listens(path):
    """Returns whether the socket listens. A Unix socket exists after bind(), but refuses connections
    until listen()."""
    with open("/proc/net/unix") as f:
        return any(line.split()[3] == "00010000" and line.rstrip().endswith(" " + path) for line in f)


class Rig:
    """A temporary directory and the processes started in it."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="postern-links.")
        self.processes = []
        self.threads = []
        self.files = []  # files outside the directory, to be removed too
        os.chdir(self.dir)
        atexit.register(self.close)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(130))

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.terminate()
        for p in self.processes:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
        for t in self.threads:
            t.stop()
        for path in self.files:
            os.unlink(path)
        os.chdir("/")
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, name, *argv, **options):
        """Starts a process that writes its output to NAME.log."""
        with open(name + ".log", "wb") as log:
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        p.log = os.path.join(self.dir, name + ".log")
        self.processes.append(p)
        return p

    def stop(self, *processes):
        for p in processes:
            if p is not None and p.poll() is None:
                p.terminate()
        for p in processes:
            if p is not None:
                try:
                    p.wait(6)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
                self.processes.remove(p)

    def log(self, name):
        try:
            with open(name + ".log", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def await_log(self, name, text, seconds=10.0):
        try:
            await_that(f"'{text}' in {name}.log", lambda: text in self.log(name), seconds)
        except Failure as failure:
            raise Failure(f"{failure}: {self.log(name)[-600:]}") from None

    def postern(self, *argv, timeout=60):
        """Returns (exit code, stdout and stderr, seconds)."""
        began = time.monotonic()
        try:
            p = subprocess.run([POSTERN, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, timeout=timeout, check=False)
            code, text = p.returncode, p.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as e:
            code, text = 124, (e.stdout or b"").decode(errors="replace") + f"[killed after {timeout} s]"
        return code, text, time.monotonic() - began

    def mem(self, *argv, who="ada", device=DEVICE, trust="ca/devices.pem", timeout=60, wait=None):
        session = ["--identity", who, "--trust", trust, "--device", device]
        if wait is not None:
            session += ["--timeout", str(wait)]
        return self.postern("mem", *session, *argv, timeout=timeout)

    def make_keys(self):
        """Makes the same keys as make_keys of tests/tools/lib.sh."""
        for line in (
            "init ca", f"target --ca ca --id {DEVICE} pump", "target --ca ca --id Acme:Pump:0043 pump43",
            "engineer --ca ca --name ada --grant debug ada",
            "engineer --ca ca --name olga --grant observe olga",
            "init other", f"target --ca other --id {DEVICE} impostor",
            "engineer --ca other --name eve --grant debug eve",
        ):
            code, text, _ = self.postern("pki", *line.split())
            if code != 0:
                raise Failure(f"postern pki {line}: {text}")

    def start_target(self, name, listens=(), calls=(), stub=None, files=(), identity="pump", extra=()):
        """Starts a target. `files` is a list of (path, base). The audit log is NAME.jsonl."""
        lines = ["[target]", f"identity = {identity}", "trust = ca/engineers.pem", "policy = debug"]
        lines += [f"listen = {l}" for l in listens] + [f"call = {l}" for l in calls] + list(extra)
        if stub is not None:
            lines += ["[stub]", f"address = {stub}", "[memory ram]", "first = 0x80000000",
                      "last = 0x8001ffff", "kind = ram"]
        for path, base in files:
            lines += [f"[file {path.split('.')[0]}]", f"path = {path}", f"base = {base:#x}",
                      "write = yes"]
        with open(name + ".conf", "w") as f:
            f.write("\n".join(lines) + "\n")
        p = self.start(name, POSTERN, "target", "--config", name + ".conf", "--audit", name + ".jsonl")
        await_that(f"target {name}", lambda: p.poll() is not None or
                   self.log(name).count("listens at") >= len(listens))
        if p.poll() is not None:
            raise Failure(f"target {name} ended: {self.log(name)}")
        return p

    def audit(self, name):
        with open(name + ".jsonl") as f:
            return [json.loads(line) for line in f]

    def bridge(self, name, a, b):
        """Starts a bridge and waits until it listens where it has to."""
        mark = "postern bridge: "
        listens = sum("-listen:" in l for l in (a, b))
        p = self.start(name, POSTERN, "bridge", "--verbose", a, b)
        await_that(f"bridge {a} {b}", lambda: p.poll() is not None or
                   self.log(name).count(mark) >= listens)
        if p.poll() is not None:
            raise Failure(f"bridge {a} {b} ended: {self.log(name)}")
        if a.startswith("mqtt-listen:") or b.startswith("mqtt-listen:"):
            self.await_log(name, "announced")
        return p


class Pump:
    """The pump controller in QEMU; its stub is at `stub`."""

    def __init__(self, rig, name="qemu"):
        self.rig = rig
        self.stub = f"unix:{rig.dir}/{name}.gdb"
        rig.start(name, QEMU_RISCV, "-M", "virt", "-accel", "tcg", "-display", "none",
                  "-serial", f"file:{name}.uart", "-monitor", "none", "-bios", "none", "-kernel", ELF,
                  "-gdb", f"unix:{rig.dir}/{name}.gdb,server=on,wait=off",
                  "-qmp", f"unix:{rig.dir}/{name}.qmp,server=on,wait=off")
        await_that("QEMU", lambda: listens(f"{rig.dir}/{name}.gdb") and listens(f"{rig.dir}/{name}.qmp"))
        self.qmp = socket.socket(socket.AF_UNIX)
        self.qmp.connect(f"{name}.qmp")
        self.words = self.qmp.makefile("rb")
        self.words.readline()
        self.ask("qmp_capabilities")

    def ask(self, command):
        self.qmp.sendall(json.dumps({"execute": command}).encode() + b"\n")
        while True:
            answer = json.loads(self.words.readline())
            if "return" in answer or "error" in answer:
                return answer

    def reset(self):
        """Resets the pump to its state after power-on: the main job's session fixes its bug."""
        self.ask("system_reset")
        self.ask("cont")


def main_job(rig, link, output="gdb.out", timeout=90, who="ada"):
    """Runs the gdb session of `make demo` over `link`. Returns the number of correct answers as text.
    Raises Failure with the first answer that is missing."""
    call = (f"target extended-remote | {POSTERN} gdb --identity {who} --trust ca/devices.pem "
            f"--device {DEVICE} --timeout 30 {link}")
    with open(output, "wb") as out:
        p = subprocess.Popen([GDB, "-batch", "-nx", "-ex", "set pagination off", "-ex",
                              "set remotetimeout 20", "-ex", call, "-x", f"{PUMP}/pump.gdb", ELF],
                             stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            p.wait(timeout)
        except subprocess.TimeoutExpired:
            p.terminate()
            p.wait()
    check = subprocess.run([sys.executable, f"{SRC}/examples/check_answers.py",
                            f"{PUMP}/expected.txt", output], stdout=subprocess.PIPE, check=False)
    text = check.stdout.decode().strip()
    if check.returncode != 0:
        with open(output, errors="replace") as f:
            raise Failure(f"{text}; gdb's last output: {f.read()[-500:].strip()}")
    return text


class Ptys:
    """A cable made of two connected pseudo-terminals. `mangle` (mangle.Faults) may change the bytes on
    the way."""

    def __init__(self, rig, mangle=None):
        self.masters, slaves = zip(*(os.openpty() for _ in range(2)))
        self.slaves = slaves  # kept open, so that the line survives when an end is closed
        for fd in slaves + self.masters:
            tty.setraw(fd)
            os.set_blocking(fd, False)
        self.paths = [os.ttyname(fd) for fd in slaves]
        self.mangle = mangle
        self.queues = [b"", b""]
        self.tap = None  # if it is a list, it gets (side it came from, bytes) for all traffic
        self.running = True
        self.wake = os.pipe()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        rig.threads.append(self)

    def pass_on(self, side, data):
        if self.tap is not None:
            self.tap.append((side, data))
        self.queues[1 - side] += data

    def inject(self, side, data):
        """Injects bytes for the end at `side`, as if the other end had sent them."""
        self.queues[side] += data
        os.write(self.wake[1], b"x")

    def run(self):
        while self.running:
            wait = 1.0
            if self.mangle is not None:
                wait = min(wait, self.mangle.due(self.pass_on))
            reads = [fd for i, fd in enumerate(self.masters) if len(self.queues[1 - i]) < 4096]
            writes = [fd for i, fd in enumerate(self.masters) if self.queues[i]]
            readable, writable, _ = select.select(reads + [self.wake[0]], writes, [], wait)
            if self.wake[0] in readable:
                os.read(self.wake[0], 64)
            for side, fd in enumerate(self.masters):
                try:
                    if fd in readable:
                        data = os.read(fd, 1024)
                        if self.mangle is None:
                            self.pass_on(side, data)
                        else:
                            self.mangle.take(side, data, self.pass_on)
                    if fd in writable:
                        self.queues[side] = self.queues[side][os.write(fd, self.queues[side]):]
                except BlockingIOError:
                    pass

    def stop(self):
        self.running = False
        os.write(self.wake[1], b"x")
        self.thread.join()


class Broker:
    """A mosquitto broker on loopback."""

    def __init__(self, rig, name="broker"):
        self.port = free_port()
        with open(name + ".conf", "w") as f:
            f.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                    "set_tcp_nodelay true\nmax_queued_messages 2000\n")
        self.process = rig.start(name, which(BROKER), "-c", name + ".conf")
        await_that("mosquitto", lambda: can_connect(self.port))


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


# --- the kinds of link ---


class Link:
    """The two addresses of one instance of a link: where to listen and what to call."""

    def __init__(self, name, listen, call, settle=0.0):
        self.name, self.listen, self.call, self.settle = name, listen, call, settle


class Links:
    """Makes instances of each kind of link. `where` names the instance."""

    def __init__(self, rig):
        self.rig = rig
        self.made = {}
        self.the_broker = None

    def broker(self):
        if self.the_broker is None:
            self.the_broker = Broker(self.rig)
        return self.the_broker

    def get(self, name, where):
        if (name, "hop") in self.made and where.startswith("hop"):
            where = "hop"  # a guest has only one
        if (name, where) not in self.made:
            self.made[name, where] = getattr(self, "make_" + name.replace("-", "_"))(where)
        return self.made[name, where]

    def built_in(self):
        code, text, _ = self.rig.postern("links", "--json")
        if code != 0:
            raise Failure(f"postern links: {text}")
        return [l["scheme"] for l in json.loads(text) if l["built_in"]]

    def make_tcp(self, where):
        place = f"127.0.0.1:{free_port()}"
        return Link("tcp", f"tcp-listen:{place}", f"tcp:{place}")

    def make_unix(self, where):
        place = f"{self.rig.dir}/{where}.sock"
        return Link("unix", f"unix-listen:{place}", f"unix:{place}")

    def make_udp(self, where):
        place = f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
        return Link("udp", f"udp-listen:{place}", f"udp:{place}")

    def make_serial(self, where, scheme="serial"):
        cable = Ptys(self.rig)
        return Link(scheme, f"{scheme}-listen:{cable.paths[0]}", f"{scheme}:{cable.paths[1]}")

    def make_mctp_serial(self, where):
        return self.make_serial(where, "mctp-serial")

    def make_mctp_spdm(self, where):
        return self.make_serial(where, "mctp-spdm")

    def make_i3c(self, where, scheme="i3c"):
        place = f"model:{self.rig.dir}/{scheme}-{where}.bus"
        return Link(scheme, f"{scheme}-listen:{place}", f"{scheme}:{place}")

    def make_mctp_i3c(self, where):
        return self.make_i3c(where, "mctp-i3c")

    def make_spdm(self, where):
        place = f"127.0.0.1:{free_port()}"
        return Link("spdm", f"spdm-listen:{place}", f"spdm:{place}")

    def make_pcie_shm(self, where):
        """Makes a link with both ends on this machine. guest.py overrides this."""
        place = f"{self.rig.dir}/{where}.shm"
        with open(place, "wb") as f:
            f.truncate(256 << 10)
        return Link("pcie-shm", f"pcie-shm-listen:{place}", f"pcie-shm:{place}")

    def make_mqtt(self, where):
        device = DEVICE if where == "target" else f"Acme:{where}:1"
        place = f"127.0.0.1:{self.broker().port}/{device}"
        return Link("mqtt", f"mqtt-listen:{place}", f"mqtt:{place}")
