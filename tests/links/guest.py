"""usb, pcie-shm and pcie for tests: guests with bridges in them, and the ways in and out.

In the guest a bridge for each takes TCP from this machine and calls the device; usb has one more at
the gadget's end, which calls this machine again. What is behind mailbox and shared memory is on
this machine. Two devices of each kind: one for the target, one to be anywhere else on the way. The
bridge at the debugger's end of a device may be another program, for faults.py.

The machine with the mailbox stands still until the mailbox answers, so nothing that is to carry the
answer can be in it: pcie has a guest of its own.
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
        """A bridge in the guest, from TCP to the device; the link that leads there."""
        outer, inner = r.free_port(), 7000 + len(self.forward)
        self.forward.append(f"{outer}:{inner}")
        self.arguments.append(f"{kind} {where} {inner} {more}")
        return f"tcp:127.0.0.1:{outer}"

    def make_usb(self, where):
        port = r.free_port()
        return r.Link("usb", f"tcp-listen:127.0.0.1:{port}", self.way_in("usb", where, str(port)))

    def behind(self, kind, where, listen):
        """Where the device's other side listens for good, since QEMU connects but once."""
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
        """Waits until it is up; {kind: why it is not there}."""
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
            except Exception:  # it is terminated with the rest
                pass
