"""What by-python.sh runs: three machines, from the first ticket to the end of the pairing, over D-Bus alone.

The machines are the hosts of the lab, so each is given by a process in its namespaces. How a program on an ordinary
machine talks to p2pusbd is in ../lib/bus.py, and what it can ask for is here, a function for each subject.
"""

import datetime
import os
import pwd
import socket
import subprocess
import sys
import time

import dbus
from gi.repository import GLib

from bus import Agent, NAME, ROOT, Daemon, error_name, options, wait_for, wait_out

DISK = "Lab disk"
MEDIUM = "/dev/shm/disk.img"
FREE_SOCKET = "dummy_udc.7"
GADGET = "/sys/kernel/config/usb_gadget/disk/UDC"
SECOND = 1_000_000


class Host(Daemon):
    """A host of the lab."""

    def __init__(self, process):
        self.process = process
        self.root = f"/proc/{process}/root"
        super().__init__(f"unix:path={self.root}/run/dbus/system_bus_socket")
        self.id = self.manager("EndpointId")

    def run(self, *command, text=None):
        """Runs a program there."""
        enter = ["nsenter", f"--target={self.process}", "--mount", "--net", "--uts", "--"]
        return subprocess.run([*enter, *command], input=text, text=True, check=True, stdout=subprocess.DEVNULL)

    def peer(self, other):
        """The object of another host on this one's bus."""
        return dbus.ObjectPath(f"{ROOT}/peers/{other.id[:16]}")

    def peer_is(self, other, state):
        """Whether it is online, or offline, or refuses this one."""
        return self.get(self.peer(other), "Peer", "State") == state

    def device(self, product=DISK):
        """A device of that name that is plugged in there and known to its daemon."""
        return wait_for(f"the device {product}", lambda: self.find("Device", Product=product))

    def invite(self, **values):
        """A ticket."""
        return self.call(ROOT, "Manager", "CreateTicket", options(**values))

    def pair(self, ticket):
        """Pairs with whoever made the ticket."""
        return self.call(ROOT, "Manager", "AddPeer", ticket, options())

    def share(self, device=None, **values):
        """Shares a device."""
        device = dbus.ObjectPath(device or self.device())
        share = self.call(ROOT, "Manager", "ShareDevice", device, options(**values))
        wait_for("it is there", lambda: self.is_there(share), 2)
        return share

    def offered(self, **values):
        """What the peers of this host offer, by the disk's name."""
        return self.find("RemoteDevice", Product=DISK, **values)

    def seen(self):
        """The disk as peers offer it, free or not."""
        return wait_for("the disk is there", self.offered)

    def attach(self, **values):
        """Attaches the disk as soon as it is free."""
        remote = wait_for("the disk is offered", lambda: self.offered(Available=True))
        attachment = self.call(remote, "RemoteDevice", "Attach", options(**values))
        wait_for("it is attached", lambda: self.attachment_is(attachment, "attached"), 2)
        return attachment

    def detach(self, attachment):
        """Gives it back."""
        self.call(attachment, "Attachment", "Detach", options())
        wait_for("it is gone", lambda: not self.is_there(attachment), 2)

    def attachment_is(self, attachment, state):
        """Whether it is attached, or waits."""
        return self.get(attachment, "Attachment", "State") == state

    def ended(self, reason):
        """Holds that the attachment that ended last did so for this reason, and that there is no other."""
        wait_for("the attachment is gone", lambda: not self.all("Attachment"), 5)
        expect("why it ended", reason, self.manager("RecentlyEnded")[-1][3])

    def refuses(self, error, path, kind, method, *arguments):
        """Holds that a call fails with an error of that name."""
        try:
            answer = self.call(path, kind, method, *arguments)
        except dbus.DBusException as refusal:
            print(f"   {method}\n   -> {error_name(refusal)}: {refusal.get_dbus_message()}")
            expect(f"the error of {method}", error, error_name(refusal))
        else:
            raise AssertionError(f"{method} is not refused: {answer}")


class Disks:
    """The disks that the kernel has found since, told by the kernel itself."""

    def __init__(self):
        self.nodes = {}
        self.kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)  # NETLINK_KOBJECT_UEVENT
        self.kernel.bind((0, 1))
        GLib.io_add_watch(self.kernel, GLib.PRIORITY_DEFAULT, GLib.IO_IN, self._event)

    def _event(self, *_):
        said = dict(field.split("=", 1) for field in self.kernel.recv(8192).decode().split("\0") if "=" in field)
        if said.get("SUBSYSTEM") == "block" and said.get("DEVTYPE") == "disk":
            if said["ACTION"] == "remove":
                self.nodes.pop(said["DEVPATH"], None)
            else:
                self.nodes[said["DEVPATH"]] = f"/dev/{said['DEVNAME']}"
        return True

    def of(self, host, attachment):
        """The device node of a disk that is attached, once it is there."""
        usb = host.get(host.get(attachment, "Attachment", "LocalDevice"), "Device", "SysfsPath")
        below = os.path.realpath(usb).removeprefix("/sys") + "/"
        found = lambda: next((node for at, node in self.nodes.items() if at.startswith(below)), None)
        return wait_for("the disk", found)


def step(text):
    """Says what comes next."""
    print(f"== {time.monotonic() - STARTED:6.2f} s  {text}", flush=True)


def expect(what, expected, actual):
    """Holds that something is as expected."""
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}")


def uint(number):
    """A number where the API has type u."""
    return dbus.UInt32(number)


def microseconds(seconds):
    """A time where the API has type t."""
    return dbus.UInt64(seconds * SECOND)


def refused_shares(a):
    """What can't be shared, and options that are none."""
    a.refuses("DeviceExcluded", ROOT, "Manager", "ShareDevice", dbus.ObjectPath(f"{ROOT}/devices/usb1"), options())
    a.refuses("DeviceGone", ROOT, "Manager", "ShareDevice", dbus.ObjectPath(f"{ROOT}/devices/9_9"), options())
    for wrong in (
        {"color": "red"},
        {"force": "yes"},
        {"grace": uint(3601)},
        {"expires_usec": dbus.UInt64(999_999)},
        {"session_limit": uint(9)},
        {"windows": dbus.Array(["noon"], signature="s")},
    ):
        a.refuses("InvalidArgs", ROOT, "Manager", "ShareDevice", dbus.ObjectPath(a.device()), options(**wrong))
    expect("shares of A", [], a.all("Share"))


def tickets(a, b, c):
    """Every ticket that does not pair, and one that does."""
    ticket = a.invite()
    middle = len(ticket) // 2
    forged = ticket[:middle] + ("b" if ticket[middle] == "a" else "a") + ticket[middle + 1 :]
    b.refuses("TicketInvalid", ROOT, "Manager", "AddPeer", "nonsense", options())
    b.refuses("TicketInvalid", ROOT, "Manager", "AddPeer", forged, options())
    a.refuses("TicketInvalid", ROOT, "Manager", "AddPeer", ticket, options())
    short = a.invite(expires_usec=microseconds(1))
    wait_out(2)
    b.refuses("TicketExpired", ROOT, "Manager", "AddPeer", short, options())
    expect("the object of A on B", b.peer(a), b.pair(ticket))
    c.refuses("TicketUsed", ROOT, "Manager", "AddPeer", ticket, options())
    c.pair(a.invite())
    for host in (b, c):
        wait_for("A is online", lambda: host.peer_is(a, "online"))
        wait_for("it is online for A", lambda: a.peer_is(host, "online"))


def every_option(a, b, c, disks):
    """A share with all that can be said of it, and one use of it: every byte, in both directions."""
    said = {
        "Peers": [a.peer(b)],
        "Grace": 20,
        "Once": True,
        "Windows": ["00:00-24:00"],
        "SessionLimit": 600,
        "Device": a.device(),
        "Product": DISK,
        "Origin": "person",
        "OwnerUid": 0,
    }
    share = a.share(
        peers=dbus.Array([a.peer(b)], signature="o"),
        force=True,
        grace=uint(20),
        expires_usec=microseconds(3600),
        once=True,
        windows=dbus.Array(["00:00-24:00"], signature="s"),
        session_limit=uint(600),
    )
    for name, expected in said.items():
        expect(name, expected, a.get(share, "Share", name))
    expect("it ends in an hour", True, a.get(share, "Share", "Expires") > (time.time() + 3500) * SECOND)
    a.refuses("AlreadyShared", ROOT, "Manager", "ShareDevice", dbus.ObjectPath(a.device()), options())

    attachment = b.attach(keep=False, grace=uint(30))
    expect("C is not offered it", None, c.offered())
    expect("its grace time", 30, b.get(attachment, "Attachment", "Grace"))
    wait_for("A says to whom", lambda: a.get(share, "Share", "ClaimedBy") == a.peer(b), 2)
    with open(disks.of(b, attachment), "r+b") as disk, open(MEDIUM, "rb") as medium:
        expect("the whole disk is read", True, disk.read() == medium.read())
        disk.seek(0)
        disk.write(b"written by python" * 1000)
        disk.flush()
        os.fsync(disk.fileno())
        medium.seek(0)
        expect("what is on it then", b"written by python" * 1000, medium.read(17_000))
    b.refuses("AlreadyAttached", b.seen(), "RemoteDevice", "Attach", options())
    b.detach(attachment)
    wait_for("the share ends after its first use", lambda: not a.is_there(share), 2)


def called_off(a, b):
    """An attachment that is called off while it is made."""
    share = a.share()
    remote = wait_for("the disk is offered", lambda: b.offered(Available=True))
    outcome = b.begin(remote, "RemoteDevice", "Attach", options())
    attachment = wait_for("it begins", lambda: b.find("Attachment", State="connecting"))
    b.call(attachment, "Attachment", "Detach", options())
    wait_for("there is an answer", lambda: outcome)
    expect("what came of it", "Cancelled", error_name(outcome[0]))
    return share


def guard(a, b):
    """A device for as long as a program runs."""
    remote = wait_for("the disk is free", lambda: b.offered(Available=True))
    attachment, handle = b.call(remote, "RemoteDevice", "AttachWithGuard", options())
    handle = handle.take()
    # The guard goes to another program; while that has it, it does not matter that this one closes its own.
    other = subprocess.Popen(["sleep", "1000"], pass_fds=[handle])
    os.close(handle)
    wait_out(1)
    expect("the state", "attached", b.get(attachment, "Attachment", "State"))
    other.kill()
    other.wait()
    b.ended("detached")


def queue(a, b, c, share):
    """Two want it: each has it in its turn, and the owner in between."""
    first = b.attach()
    c.refuses("DeviceBusy", c.seen(), "RemoteDevice", "Attach", options())
    second = c.call(c.seen(), "RemoteDevice", "Attach", options(queue=True))
    wait_for("C has to wait", lambda: c.attachment_is(second, "waiting"), 2)
    wait_for("A knows of it", lambda: a.get(share, "Share", "Queue") == [a.peer(c)])
    b.detach(first)
    wait_for("it is the turn of C", lambda: c.attachment_is(second, "attached"))
    third = b.call(b.seen(), "RemoteDevice", "Attach", options(queue=True))
    wait_for("B waits", lambda: a.get(share, "Share", "Queue") == [a.peer(b)])

    a.call(share, "Share", "SetPaused", True, options())
    wait_for("A has it", lambda: a.get(share, "Share", "State") == "paused")
    wait_for("C waits", lambda: c.attachment_is(second, "waiting"))
    expect("why C lost it", "taken-back", c.manager("RecentlyEnded")[-1][3])
    wait_for("C waits behind B", lambda: a.get(share, "Share", "Queue") == [a.peer(b), a.peer(c)])
    a.call(share, "Share", "SetPaused", False, options())
    wait_for("B has it", lambda: b.attachment_is(third, "attached"))
    c.detach(second)


def changed_shares(a, b, c, share):
    """Another grace time, and another peer: B has it, and loses it."""
    a.refuses("InvalidArgs", share, "Share", "SetGrace", uint(3601), options())
    a.call(share, "Share", "SetGrace", uint(45), options())
    wait_for("the grace time", lambda: a.get(share, "Share", "Grace") == 45, 2)
    nobody = dbus.Array([f"{ROOT}/peers/0123456789abcdef"], signature="o")
    a.refuses("PeerUnknown", share, "Share", "SetPeers", nobody, options())
    a.call(share, "Share", "SetPeers", dbus.Array([a.peer(c)], signature="o"), options())
    b.ended("share-revoked")
    wait_for("C is offered it", lambda: c.offered(Available=True))
    revoke(a, b, share)


def revoke(a, b, share):
    """Ends a share; B sees the device no longer."""
    a.call(share, "Share", "Revoke", options())
    wait_for("it is gone", lambda: not a.is_there(share), 2)
    wait_for("B knows it", lambda: not b.find("RemoteDevice", RemoteId=os.path.basename(share)), 2)


def limits(a, b):
    """Ten seconds at a time, with a warning; and hours of the day."""
    share = a.share(session_limit=uint(10))
    attachment = b.attach()
    expect("the end is not near", 0, b.get(attachment, "Attachment", "EndsAt"))
    ends = wait_for("B knows of the end", lambda: b.get(attachment, "Attachment", "EndsAt"), 11)
    expect("it is near", True, 0 < ends / SECOND - time.time() <= 1)
    b.ended("session-limit")
    revoke(a, b, share)

    now = datetime.datetime.now()
    end = (now + datetime.timedelta(seconds=120)).strftime("%H:%M").replace("00:00", "24:00")
    share = a.share(windows=dbus.Array([f"{now:%H:%M}-{end}"], signature="s"))
    attachment = b.attach()
    wait_for("the hours are over", lambda: b.attachment_is(attachment, "waiting"), 125)
    expect("why", "hours-over", b.manager("RecentlyEnded")[-1][3])
    wait_for("it is closed", lambda: a.get(share, "Share", "State") == "closed", 5)
    b.detach(attachment)
    b.refuses("DeviceBusy", b.seen(), "RemoteDevice", "Attach", options())
    revoke(a, b, share)


def guest(a, b):
    """A ticket for the disk alone, for half a minute."""
    share = a.share()
    b.pair(a.invite(share=dbus.ObjectPath(share), access_usec=microseconds(30)))
    wait_for("A knows what B may have", lambda: a.get(a.peer(b), "Peer", "Scope") == share)
    b.attach()
    wait_for("A has forgotten B", lambda: not a.is_there(a.peer(b)), 35)
    b.ended("peer-forgotten")
    ticket = a.invite(share=dbus.ObjectPath(share))
    revoke(a, b, share)
    b.refuses("NotShared", ROOT, "Manager", "AddPeer", ticket, options())
    b.pair(a.invite())
    wait_for("A is online", lambda: b.peer_is(a, "online"))


def labels_and_blocking(a, b):
    """What B calls A; B is blocked, and comes back."""
    b.call(b.peer(a), "Peer", "SetLabel", "workshop", options())
    wait_for("the label", lambda: b.get(b.peer(a), "Peer", "Label") == "workshop", 2)
    a.refuses("LabelTaken", a.peer(b), "Peer", "SetLabel", "host-c", options())
    a.refuses("InvalidArgs", a.peer(b), "Peer", "SetLabel", " ", options())
    share = a.share()
    b.attach()
    a.refuses("InvalidArgs", a.peer(b), "Peer", "SetTrust", "perhaps", options())
    a.call(a.peer(b), "Peer", "SetTrust", "blocked", options())
    b.ended("peer-blocked")
    a.refuses("PeerBlocked", ROOT, "Manager", "AddPeer", b.invite(), options())
    wait_for("B is refused", lambda: b.peer_is(a, "refused"), 40)
    a.call(a.peer(b), "Peer", "SetTrust", "paired", options())
    wait_for("A is online", lambda: b.peer_is(a, "online"), 40)
    b.detach(b.attach())
    revoke(a, b, share)


def udev(a, b):
    """A rule of udev shares the disk; B has it, also when it was pulled out."""
    rule = (
        'ACTION!="remove", SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="0525", '
        'ENV{P2PUSB_SHARE}="1", ENV{P2PUSB_PEERS}="host-b"\n'
    )
    file = "/run/udev/rules.d/91-p2pusb-local.rules"
    a.run("mkdir", "-p", os.path.dirname(file))
    a.run("tee", file, text=rule)
    a.run("udevadm", "control", "--reload")
    a.run("udevadm", "trigger", "--subsystem-match=usb")
    wait_for("B is offered the disk", lambda: b.offered(Available=True), 2)
    share = wait_for("A says where that comes from", lambda: a.find("Share", Origin="udev"))
    a.refuses("ShareDerived", share, "Share", "Revoke", options())
    attachment = b.attach()
    with open(GADGET, encoding="ascii") as gadget:
        cable = gadget.read()
    with open(GADGET, "w", encoding="ascii") as gadget:
        gadget.write("\n")
    wait_for("B waits for it", lambda: b.attachment_is(attachment, "waiting"), 2)
    expect("why", "device-unplugged", b.manager("RecentlyEnded")[-1][3])
    with open(GADGET, "w", encoding="ascii") as gadget:
        gadget.write(cable)
    wait_for("B has it again", lambda: b.attachment_is(attachment, "attached"), 5)
    b.detach(attachment)
    a.run("rm", file)
    a.run("udevadm", "control", "--reload")
    a.run("udevadm", "trigger", "--subsystem-match=usb")
    wait_for("A shares nothing", lambda: not a.all("Share"), 5)


def liar(a, b):
    """A disk that turns into a keyboard when it is looked at for the second time."""
    program = subprocess.Popen(["lab-tool", "lying-device", FREE_SOCKET, "two-faced"])
    device = wait_for("A has it", lambda: a.find("Device", VendorId=0x0525, ProductId=0xA4AC, State="available"))
    share = a.share(device)
    remote = wait_for("B is offered it", lambda: b.find("RemoteDevice", ProductId=0xA4AC))
    b.refuses("DeviceNotAccepted", remote, "RemoteDevice", "Attach", options())
    revoke(a, b, share)
    program.kill()
    program.wait()


def rights(a):
    """Somebody without rights may look, and is refused everything else."""
    # Nobody may not even follow a process into its namespaces, so this is the path from there.
    os.chdir(f"{a.root}/run/dbus")
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    nobody = Daemon("unix:path=system_bus_socket")
    os.seteuid(0)
    expect("what nobody sees", DISK, nobody.get(a.device(), "Device", "Product"))
    try:
        nobody.call(ROOT, "Manager", "CreateTicket", options())
    except dbus.DBusException as refusal:
        expect("why not", True, error_name(refusal) in ("InteractiveAuthorizationRequired", "AccessDenied"))
        print(f"   CreateTicket as nobody\n   -> {error_name(refusal)}: {refusal.get_dbus_message()}")
    else:
        raise AssertionError("nobody may make a ticket")


def settings(a):
    """Settings are read anew, wrong ones are refused, and the daemon says how it is."""
    share = a.share()
    file = f"{a.root}/etc/p2pusb/p2pusb.toml"

    def write(text):
        with open(file, "w", encoding="utf-8") as toml:
            toml.write(text)

    write('[session]\ngrace = "long"\n')
    a.refuses("SettingsInvalid", ROOT, "Manager", "Reload", options())
    expect("the grace time", 60, a.get(share, "Share", "Grace"))
    write('[session]\ngrace = 33\n[network]\nbind = ["0.0.0.0:47800"]\n')
    expect("what needs a restart", ["network.bind"], a.call(ROOT, "Manager", "Reload", options()))
    wait_for("the grace time", lambda: a.get(share, "Share", "Grace") == 33, 2)
    findings = a.call(ROOT, "Manager", "Diagnose", options())
    expect("what is looked at", True, {"udp", "vhci-ports", "state-folder"} <= {str(name) for name, _, _ in findings})
    return share


def forgetting(a, b, share):
    """A forgets B, which has the disk."""
    b.attach()
    a.call(a.peer(b), "Peer", "Forget", options())
    b.ended("peer-forgotten")
    wait_for("B is refused", lambda: b.peer_is(a, "refused"), 40)
    revoke(a, b, share)
    wait_for("A has its disk", lambda: a.get(a.device(), "Device", "State") == "available", 5)


def agents(a, b):
    """A and B are paired again without a ticket, and A is asked about its disk."""
    codes, answers = [], []

    def pairing(endpoint_id, label, code):
        codes.append(str(code))
        return True

    def attach(peer, share):
        return answers.pop(0)

    propose = (ROOT, "Manager", "ProposePairing", str(a.id), options())
    b.refuses("NobodyToAsk", *propose)
    agent = Agent(a, pairing, attach)
    Agent(b, pairing)
    b.refuses("PeerRefused", *propose)
    a.refuses("InvalidArgs", ROOT, "Manager", "SetAcceptingPeers", True, options(expires_usec=microseconds(0)))
    a.call(ROOT, "Manager", "SetAcceptingPeers", True, options())
    expect("AcceptingPeers", True, a.manager("AcceptingPeers"))
    paired = b.begin(*propose)
    wait_for("they are paired", lambda: paired)
    expect("what it is answered with", b.peer(a), paired[0][0])
    expect("codes that are different", 1, len(set(codes)))
    expect("people who were asked", 2, len(codes))
    wait_for("B is connected", lambda: b.peer_is(a, "online"))
    a.call(ROOT, "Manager", "SetAcceptingPeers", False, options())
    expect("AcceptingPeers", False, a.manager("AcceptingPeers"))

    share = a.share(ask=True, bandwidth=dbus.UInt64(50_000_000))
    expect("Ask", True, a.get(share, "Share", "Ask"))
    remote = wait_for("the disk is offered", lambda: b.offered(Available=True))
    answers[:] = [False, True]
    # The agent is in this very program, which must not wait for B meanwhile.
    refused = b.begin(remote, "RemoteDevice", "Attach", options())
    wait_for("an answer", lambda: refused)
    expect("the error of Attach", "PeerRefused", error_name(refused[0]))
    attached = b.begin(remote, "RemoteDevice", "Attach", options())
    wait_for("it is attached", lambda: attached)
    attachment = attached[0][0]
    for limit in (1_000_000, 0):
        a.call(share, "Share", "SetBandwidth", dbus.UInt64(limit), options())
        wait_for("the limit", lambda: a.get(share, "Share", "Bandwidth") == limit, 2)
    a.refuses("InvalidArgs", a.peer(b), "Peer", "SetBandwidth", dbus.UInt64(1), options())
    b.detach(attachment)
    a.call(ROOT, "AgentManager", "UnregisterAgent", dbus.ObjectPath(agent.PATH), options())
    b.refuses("PeerRefused", remote, "RemoteDevice", "Attach", options())
    return share


def secret(text):
    """A file descriptor from which a PIN can be read, once: what is in it is seen by nobody on the bus."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    handle = dbus.types.UnixFd(reading)
    os.close(reading)
    return handle


def pins(a, b):
    """A's disk asks for a PIN."""
    share = a.share(pin=secret("2468 kestrel"))
    expect("PinProtected", True, a.get(share, "Share", "PinProtected"))
    remote = wait_for("the disk is offered", lambda: b.offered(Available=True))
    attach = (remote, "RemoteDevice", "Attach")
    b.refuses("PinRequired", *attach, options())
    b.refuses("PinWrong", *attach, options(pin=secret("2469 kestrel")))
    b.detach(b.attach(pin=secret("2468 kestrel")))
    b.refuses("PinRequired", *attach, options())
    a.refuses("InvalidArgs", share, "Share", "SetPin", secret("1"), options())
    a.call(share, "Share", "SetPin", secret("1357 kestrel"), options())
    b.refuses("PinWrong", *attach, options(pin=secret("2468 kestrel")))
    a.call(share, "Share", "ClearPin", options())
    b.detach(b.attach())
    revoke(a, b, share)


def main():
    """The walk."""
    a, b, c = (Host(process) for process in sys.argv[1:])
    disks = Disks()
    step(f"A, B and C are up as {NAME}; what A can't share, and what it is asked for wrongly")
    refused_shares(a)
    step("tickets: nonsense, forged, of this very machine, expired, used")
    tickets(a, b, c)
    step("a share with every option, used once")
    every_option(a, b, c, disks)
    step("an attachment that is called off")
    share = called_off(a, b)
    step("a guard: the device is there for as long as somebody has it")
    guard(a, b)
    step("a queue, and the owner who takes it back for now")
    queue(a, b, c, share)
    step("another grace time, another peer")
    changed_shares(a, b, c, share)
    step("a session limit, and hours")
    limits(a, b)
    step("a guest")
    guest(a, b)
    step("labels and blocking")
    labels_and_blocking(a, b)
    step("a rule of udev")
    udev(a, b)
    step("a device that lies")
    liar(a, b)
    step("who may")
    rights(a)
    step("settings and diagnosis")
    share = settings(a)
    step("forgetting")
    forgetting(a, b, share)
    step("agents: two codes that are the same, and a device of which somebody is asked")
    share = agents(a, b)
    revoke(a, b, share)
    step("a PIN, which is not on the bus")
    pins(a, b)
    step("done: by-python.py")


STARTED = time.monotonic()
if __name__ == "__main__":
    main()
