#!/usr/bin/env python3
"""errors.py [NAME...]: checks exit codes and error messages of the commands when a link has a problem.

The problems: unplugged, permission denied, broker not reachable, wrong baud rate, target in use, and a
peer with another protocol. Each is tested on every link where it can occur.
"""
import concurrent.futures
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import rig as r

BASE = 0x80000000
SIZE = 1 << 28
NOBODY = 65534
LINK, REFUSED, LOST = "2", "4", "5"


class Garbler:
    """A line with different baud rates at its ends: other bytes arrive than were sent."""

    def take(self, side, data, out):
        out(side, bytes((b * 167 + 13) % 256 for b in data[:len(data) // 2 + 1]))

    def due(self, out):
        return 1.0


class Stranger(threading.Thread):
    """A TCP server that answers every caller with another protocol."""

    def __init__(self, rig, words):
        super().__init__(daemon=True)
        self.words, self.server = words, socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.start()

    def run(self):
        while True:
            s = self.server.accept()[0]
            s.sendall(self.words)
            threading.Thread(target=self.listen, args=(s,), daemon=True).start()

    @staticmethod
    def listen(s):
        try:
            while s.recv(4096):
                pass
        except OSError:
            pass
        s.close()


class Test:
    def __init__(self):
        self.rig = r.Rig()
        self.links = r.Links(self.rig)
        self.bad = 0
        self.pool = concurrent.futures.ThreadPoolExecutor(8)  # the tests mostly wait
        self.open = []

    def set_up(self):
        self.rig.make_keys()
        with open("ram.bin", "wb") as f:
            f.truncate(SIZE)
        built_in = self.links.built_in()
        kinds = ("tcp", "udp", "serial", "mctp-serial", "i3c", "mctp-i3c", "mqtt")
        self.kinds = [k for k in kinds if k in built_in and (k != "mqtt" or r.which(r.BROKER))]
        self.start_target()

    def start_target(self):
        listens = [self.links.get(k, "target").listen for k in self.kinds]
        self.target = self.rig.start_target("target", listens, files=[("ram.bin", BASE)])
        if "mqtt" in self.kinds:
            self.rig.await_log("target", "announced")

    def check(self, name, codes, words, result, most=15):
        """Checks `result`, which may be a future. `settle` waits for it."""
        if isinstance(result, concurrent.futures.Future):
            self.open.append((name, codes, words, result, most))
        else:
            self.judge(name, codes, words, result, most)

    def settle(self):
        while self.open:
            name, codes, words, result, most = self.open.pop(0)
            self.judge(name, codes, words, result.result(), most)

    def judge(self, name, codes, words, result, most):
        code, text, seconds = result
        right = re.fullmatch(codes, str(code)) and re.search(words, text) and seconds < most
        if re.search("Sanitizer|runtime error|Assertion", text):
            right = False
        print(f"{'ok' if right else 'FAILED'}: {name}: {code}, {text.strip()[-150:]}", flush=True)
        if not right:
            self.bad += 1
            print(f"        expected exit {codes} and '{words}' within {most} s, it took {seconds:.1f} s:\n{text}")

    def read(self, link, wait=3):
        return self.pool.submit(self.rig.mem, "read", link, hex(BASE), "16", wait=wait, timeout=30)

    def hold(self, link):
        """Opens a session with `postern gdb` and keeps it open. This script stands in for gdb and
        sends nothing."""
        opens = self.opens()
        with open("hold.log", "wb") as out:
            p = subprocess.Popen([r.POSTERN, "gdb", "--identity", "ada", "--trust", "ca/devices.pem", "--device",
                                  r.DEVICE, "--unix", "hold.gdb", link], stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=out)
        self.rig.processes.append(p)
        r.await_that("postern gdb", lambda: r.listens("hold.gdb") or p.poll() is not None)
        self.gdb = socket.socket(socket.AF_UNIX)
        self.gdb.connect("hold.gdb")
        r.await_that("a session", lambda: self.opens() > opens or p.poll() is not None)
        return p

    def let_go(self, p):
        self.gdb.close()
        p.wait(10)
        if os.path.exists("hold.gdb"):
            os.unlink("hold.gdb")

    def begin_dump(self, link):
        """Starts a dump that takes long and waits until it has made progress."""
        p = subprocess.Popen([r.POSTERN, "mem", "--identity", "ada", "--trust", "ca/devices.pem", "--device",
                              r.DEVICE, "--timeout", "3", "dump", link, hex(BASE), str(SIZE), "-o", "/dev/null"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        opens = self.opens()
        r.await_that("a session", lambda: self.opens() > opens or p.poll() is not None)
        time.sleep(0.2)
        return p

    @staticmethod
    def outcome(p):
        began = time.monotonic()
        try:
            text = p.communicate(timeout=25)[0].decode()
        except subprocess.TimeoutExpired:
            p.kill()
            text = p.communicate()[0].decode() + "[killed]"
        return p.returncode, text, time.monotonic() - began

    def opens(self):
        try:
            return sum(line["event"] == "open" for line in self.rig.audit("target"))
        except (FileNotFoundError, ValueError):
            return 0

    # --- one function for each problem ---

    def nobody_there(self):
        tcp, udp = r.free_port(), r.free_port(socket.SOCK_DGRAM)
        self.check("tcp, nobody there", LINK, "refused", self.read(f"tcp:127.0.0.1:{tcp}"))
        self.check("udp, nobody there", LINK, "nothing listens|refused|no answer|timed out|no HELLO", self.read(f"udp:127.0.0.1:{udp}"))
        self.check("unix, no such socket", LINK, "no such file", self.read("unix:./nothing.sock"))
        for kind in ("serial", "mctp-serial"):
            self.check(f"{kind}, no such device", LINK, "[Nn]o such (file|device)", self.read(f"{kind}:/dev/ttyNONE7"))
            cable = r.Ptys(self.rig)
            self.check(f"{kind}, silence", LINK, "no answer|nobody|no HELLO|timed out|not heard|silent",
                       self.read(f"{kind}:{cable.paths[0]}"))
        for kind in ("i3c", "mctp-i3c"):
            self.check(f"{kind}, no such bus", LINK, "no modelled bus|no bus|no device|[Nn]o such|no adaptor|not on|no target",
                       self.read(f"{kind}:model:{self.rig.dir}/nothing.bus"))
            self.check(f"{kind}, no such device node", LINK + "|1", "[Nn]o such|expected", self.read(f"{kind}:/dev/i3c-debug-77"))
        if "mqtt" in self.kinds:
            self.check("mqtt, no such device at the broker", LINK, "no 'Acme:None:1' at broker", self.read(
                f"mqtt:127.0.0.1:{self.links.broker().port}/Acme:None:1"))
        self.check("pcie, no such device", LINK, "no such device|cannot|[Nn]o PCI|No such", self.read("pcie:ff:1e.7"))
        self.check("pcie-shm, no such device", LINK, "no such device|cannot|No such|[Nn]o PCI", self.read("pcie-shm:ff:1e.7"))
        self.check("usb, nothing plugged in", LINK, "no .*device|not .*found|no device|no USB", self.read("usb:1209:7777", wait=8))

    def written_wrong(self):
        for link, words in (("tcp:host:99999", "port"), ("serial:", "expected"), ("serial:/dev/ttyS0,baud=99999999", "baud"),
                            ("mqtt:127.0.0.1", "expected|device"), ("i3c:model:", "expected"), ("pcie:zz", "expected"),
                            ("udp:127.0.0.1:7606,speed=9", "speed"), ("smoke:signals", "smoke"), ("usb:12", "expected")):
            self.check(f"written wrong: {link}", "1", words, self.read(link))

    def permission(self):
        """Runs the command as a user without permission."""
        cable = r.Ptys(self.rig)
        os.chmod(cable.paths[0], 0)
        os.chmod(self.rig.dir, 0o755)
        shutil.copytree("ada", "nobody")
        socks = socket.socket(socket.AF_UNIX)
        socks.bind("theirs.sock")
        os.chmod("theirs.sock", 0)
        if os.geteuid() == 0:
            for path in ("nobody", "nobody/key.pem", "nobody/chain.pem"):
                os.chown(path, NOBODY, NOBODY)
            os.chmod("ca", 0o755)
            os.chmod("ca/devices.pem", 0o644)
        postern = shutil.copy(r.POSTERN, "postern")  # other users may have no access to the build directory
        drop = (lambda: (os.setgroups([]), os.setgid(NOBODY), os.setuid(NOBODY))) if os.geteuid() == 0 else None
        for link in (f"serial:{cable.paths[0]}", f"mctp-serial:{cable.paths[0]}",
                     f"unix:{self.rig.dir}/theirs.sock", f"i3c:model:{self.rig.dir}/theirs.sock"):
            p = subprocess.run([f"{self.rig.dir}/{postern}", "mem", "--identity", "nobody", "--trust", "ca/devices.pem", "--device",
                                r.DEVICE, "--timeout", "3", "read", link, "0"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=20, preexec_fn=drop,
                               check=False)
            self.check(f"permission, {link.split(':')[0]}", LINK, "[Pp]ermission denied",
                       (p.returncode, p.stdout.decode(), 0))
        p = subprocess.run([f"{self.rig.dir}/{postern}", "bridge", f"tcp-listen:127.0.0.1:{r.free_port()}",
                            f"serial-listen:{cable.paths[0]}"], stdin=subprocess.DEVNULL, timeout=20,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=drop, check=False)
        self.check("permission, a listener", LINK, "[Pp]ermission denied", (p.returncode, p.stdout.decode(), 0))

    def strangers(self):
        ssh = Stranger(self.rig, b"SSH-2.0-OpenSSH_9.2\r\n")
        self.check("tcp, an SSH server", LINK, "not Postern|framing|not a Postern", self.read(f"tcp:127.0.0.1:{ssh.port}"))
        mute = Stranger(self.rig, b"")
        self.check("tcp, somebody who listens only", LINK, "no HELLO", self.read(f"tcp:127.0.0.1:{mute.port}"))
        if "mqtt" in self.kinds:
            self.check("mqtt, an SSH server", LINK, "broker 127.0.0.1", self.read(f"mqtt:127.0.0.1:{ssh.port}/A:B:C", wait=8))
            self.check("tcp, a broker", LINK, "closed|not Postern|framing|reset|no HELLO", self.read(f"tcp:127.0.0.1:{self.links.broker().port}"))
        echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo.bind(("127.0.0.1", 0))

        def mirror():
            while True:
                data, who = echo.recvfrom(65536)
                echo.sendto(data, who)
        threading.Thread(target=mirror, daemon=True).start()
        self.check("udp, an echo", LINK, "no answer|no HELLO|timed out|not Postern|nobody",
                   self.read(f"udp:127.0.0.1:{echo.getsockname()[1]}"))
        for kind in ("serial", "mctp-serial"):
            cable = r.Ptys(self.rig)
            stop = threading.Event()

            def console(cable=cable, stop=stop):
                while not stop.wait(0.02):
                    cable.inject(0, b"[ 12.3456] random: crng init done, and a console goes on talking\r\nlogin: ")
            threading.Thread(target=console, daemon=True).start()
            self.check(f"{kind}, a console", LINK, "speak|speaks|baud|something else|no frame|not Postern",
                       self.read(f"{kind}:{cable.paths[0]}", wait=8))
        other = f"{self.rig.dir}/no-bus.sock"
        server = socket.socket(socket.AF_UNIX)
        server.bind(other)
        server.listen(4)
        self.check("i3c, a socket that is no bus", LINK, "no bus|bus|no answer|timed out|no HELLO",
                   self.read(f"i3c:model:{other}"))

    def wrong_speed(self):
        for kind in ("serial", "mctp-serial"):
            cable = r.Ptys(self.rig)
            self.rig.bridge("speed-" + kind, f"{kind}-listen:{cable.paths[0]},baud=115200",
                            self.links.get("tcp", "target").call)
            cable.mangle = Garbler()
            self.check(f"{kind}, another speed", LINK, "at 9600 baud.*that rate|same at both ends", self.read(f"{kind}:{cable.paths[1]},baud=9600", wait=10))

    def busy(self):
        holder = self.hold(self.links.get("tcp", "target").call)
        for kind in self.kinds:
            self.check(f"busy, {kind}", REFUSED, "held by ada for .*since",
                       self.read(self.links.get(kind, "target").call, wait=8))
        self.settle()
        self.let_go(holder)
        for kind in ("serial", "mctp-serial"):
            if kind in self.kinds:
                holder = self.hold(self.links.get(kind, "target").call)
                self.check(f"the line is in use, {kind}", LINK, "busy: postern .* has it open",
                           self.read(self.links.get(kind, "target").call))
                self.settle()
                self.let_go(holder)

    def unplugged(self):
        """The target's process, or what carries the link, disappears during a session."""
        self.settle()
        for kind in self.kinds:
            job = self.begin_dump(self.links.get(kind, "target").call)
            self.target.send_signal(signal.SIGKILL)
            self.check(f"the target dies, {kind}", LOST, "closed|not heard|no answer|gone|lost|reset|timed out",
                       self.outcome(job), most=25)
            self.rig.stop(self.target)
            self.start_target()
        if "mqtt" in self.kinds:
            job = self.begin_dump(self.links.get("mqtt", "target").call)
            broker = self.links.broker()
            broker.process.kill()
            self.check("the broker goes away", LOST, "broker", self.outcome(job), most=25)
            self.check("the broker is away", LINK, "broker .*refused", self.read(self.links.get("mqtt", "target").call))
            r.await_that("the target to notice", lambda: "broker" in self.rig.log("target").split("announced", 1)[1])
            self.check("the target without its broker goes on", "0", "80000000",
                       self.read(self.links.get("tcp", "target").call))


def main():
    began = time.monotonic()
    test = Test()
    test.set_up()
    for name in sys.argv[1:] or ("nobody_there", "written_wrong", "permission", "strangers", "wrong_speed", "busy",
                                 "unplugged"):
        getattr(test, name)()
        if name in ("permission", "busy"):
            test.settle()
    test.settle()
    if "Sanitizer" in test.rig.log("target") or test.target.poll() is not None:
        test.check("the target", "0", "is there", (1, test.rig.log("target")[-3000:], 0))
    print(f"{test.bad} failed; {time.monotonic() - began:.0f} s")
    return 1 if test.bad else 0


if __name__ == "__main__":
    sys.exit(main())
