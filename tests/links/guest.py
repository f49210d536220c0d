"""usb, pcie-shm and pcie for tests: guests that contain the devices and bridges.

For each device a bridge in the guest accepts TCP from this machine and calls the device. usb has a
second bridge at the gadget, which calls this machine. The listeners behind the mailbox and behind the
shared memory run on this machine. Each kind has two devices: one for the target, one for any other hop
of a path. faults.py replaces the bridge at the debugger's end of a device by another program.

The virtual machine with the mailbox stops until the mailbox answers, so nothing on the path of the
answer may run in it. Therefore pcie has a guest of its own.
"""
import os
import tempfile

import rig as r

UP_SECONDS = 180


def guests(rig, links, kinds, places=("target", "hop"), program=None):
    return [Guest(rig, links, mine, name, places, program) for name, mine in
            (("usb", kinds - {"pcie"}), ("pcie", kinds & {"pcie"})) if mine]


class Guest:
    def __init__(self, rig, links, kinds, name, places, program):
        self.rig, self.kinds, self.process = rig, sorted(kinds), None
        self.name = "guest-" + name
        self.arguments = []
        self.forward = []
        self.env = dict(os.environ, GUEST_NAME=self.name, GUEST_TIMEOUT="3000", GUEST_SHARE=rig.dir)
        if program is not None:
            self.env.update(GUEST_PROGRAMS=program, GUEST_BRIDGE=os.path.basename(program))
        for kind in self.kinds:
            for where in places:
                links.made[kind, where] = getattr(self, "make_" + kind.replace("-", "_"))(where)

    def way_in(self, kind, where, more=""):
        """Adds a bridge from TCP to the device in the guest. Returns the link to it."""
        outer, inner = r.free_port(), 7000 + len(self.forward)
        self.forward.append(f"{outer}:{inner}")
        self.arguments.append(f"{kind} {where} {inner} {more}")
        return f"tcp:127.0.0.1:{outer}"

    def make_usb(self, where):
        port = r.free_port()
        return r.Link("usb", f"tcp-listen:127.0.0.1:{port}", self.way_in("usb", where, str(port)))

    def behind(self, kind, where, listen):
        """Makes the listener at the other side of the device. It keeps listening all the time, because
        QEMU connects only once."""
        if where == "target":
            return listen
        port = r.free_port()
        self.rig.bridge(kind + "-hop", listen, f"tcp:127.0.0.1:{port}")
        return f"tcp-listen:127.0.0.1:{port}"

    def make_pcie(self, where):
        port = r.free_port()
        self.env["SPDM_" + where.upper()] = str(port)
        return r.Link("pcie", self.behind("pcie", where, f"pcie-listen:127.0.0.1:{port}"),
                      self.way_in("pcie", where))

    def make_pcie_shm(self, where):
        fd, path = tempfile.mkstemp(prefix="postern-table.", dir="/dev/shm")
        os.truncate(fd, 1 << 20)
        os.close(fd)
        self.rig.files.append(path)
        self.env["SHM_" + where.upper()] = path
        return r.Link("pcie-shm", self.behind("pcie-shm", where, f"pcie-shm-listen:{path}"),
                      self.way_in("pcie-shm", where))

    def start(self):
        self.env["GUEST_FORWARD"] = " ".join(self.forward)
        with open(self.name + ".bridges", "w") as f:
            f.write("\n".join(self.arguments) + "\n")
        here = os.path.join(r.SRC, "tests/links")
        self.process = self.rig.start(self.name, "bash", f"{here}/table_guest.sh", env=self.env)

    def ready(self):
        """Waits until the guest is up. Returns {kind: why it is not available}."""
        up = self.name + ".up"
        try:
            r.await_that("the guest", lambda: os.path.exists(up) or self.process.poll() is not None,
                         UP_SECONDS)
        except r.Failure as why:
            return {kind: str(why) for kind in self.kinds}
        if not os.path.exists(up):
            why = "no guest: " + self.rig.log(self.name).strip()[-400:]
            return {kind: why for kind in self.kinds}
        with open(up) as f:
            return dict(line.strip().split(": ", 1) for line in f if ": " in line)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            open(self.name + ".stop", "w").close()
            try:
                self.process.wait(20)
            except Exception:  # it is terminated with the other processes
                pass
