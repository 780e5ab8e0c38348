"""p2pusbd as a Python program sees it: over D-Bus, by its signals, without asking twice.

Nothing of this belongs to the lab: with Debian's python3-dbus and python3-gi,

    daemon = Daemon()
    disk = wait_for("a disk", lambda: daemon.find("RemoteDevice", Product="Flash Disk", Available=True))
    attachment = daemon.call(disk, "RemoteDevice", "Attach", options())

waits until a peer offers such a device, and attaches it. The API is described in org.p2pusb1(5).
"""

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "org.p2pusb1"
ROOT = "/org/p2pusb1"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"

# Attaching takes as long as the other machine and the kernel need for it.
CALL_SECONDS = 60


class Daemon:
    """The p2pusbd of one machine: its objects, as they are after the signals that have come so far."""

    def __init__(self, address=None):
        """`address` is that of its system bus; without one it is this machine's."""
        loop = dbus.mainloop.glib.DBusGMainLoop()
        self.bus = dbus.bus.BusConnection(address, mainloop=loop) if address else dbus.SystemBus(mainloop=loop)
        self.objects = {}
        # First listen, then look: what happens in between is told twice.
        for member, interface, receive in (
            ("InterfacesAdded", OBJECT_MANAGER, self._added),
            ("InterfacesRemoved", OBJECT_MANAGER, self._removed),
            ("PropertiesChanged", PROPERTIES, self._changed),
        ):
            self.bus.add_signal_receiver(receive, member, interface, NAME, path_keyword="sender_path")
        everything = self.bus.call_blocking(NAME, ROOT, OBJECT_MANAGER, "GetManagedObjects", "", ())
        for path, interfaces in everything.items():
            self._added(path, interfaces)

    def _added(self, path, interfaces, sender_path=None):
        self.objects.setdefault(str(path), {}).update(interfaces)

    def _removed(self, path, interfaces, sender_path=None):
        for interface in interfaces:
            self.objects.get(path, {}).pop(interface, None)

    def _changed(self, interface, changed, invalidated, sender_path=None):
        self.objects.get(sender_path, {}).get(interface, {}).update(changed)

    def all(self, kind, **properties):
        """The paths of all objects with the interface org.p2pusb1.`kind` whose properties have these values."""
        found = []
        for path, interfaces in self.objects.items():
            has = interfaces.get(f"{NAME}.{kind}")
            if has is not None and all(has.get(name) == value for name, value in properties.items()):
                found.append(path)
        return found

    def find(self, kind, **properties):
        """The first of them, or None."""
        return next(iter(self.all(kind, **properties)), None)

    def is_there(self, path):
        """Whether there is such an object now."""
        return bool(self.objects.get(path))

    def get(self, path, kind, name):
        """A property of an object as it is now, or None where the object is gone."""
        return self.objects.get(path, {}).get(f"{NAME}.{kind}", {}).get(name)

    def manager(self, name):
        """A property of the daemon itself."""
        return self.bus.call_blocking(NAME, ROOT, PROPERTIES, "Get", "ss", (f"{NAME}.Manager", name))

    def call(self, path, kind, method, *arguments):
        """Calls a method and waits for its answer. A refusal is a `dbus.DBusException`, see `error_name`."""
        return self._method(path, kind, method)(*arguments, timeout=CALL_SECONDS)

    def begin(self, path, kind, method, *arguments):
        """Calls a method and does not wait. What comes of it is appended to the list that is returned."""
        outcome = []
        handlers = {"reply_handler": lambda *answer: outcome.append(answer), "error_handler": outcome.append}
        self._method(path, kind, method)(*arguments, timeout=CALL_SECONDS, **handlers)
        return outcome

    def _method(self, path, kind, method):
        # Arguments say by themselves of which type they are.
        proxy = self.bus.get_object(NAME, path, introspect=False)
        return proxy.get_dbus_method(method, f"{NAME}.{kind}")


class Agent(dbus.service.Object):
    """Asks somebody on the daemon's behalf: `pairing(endpoint_id, label, code)` and `attach(peer, share)` say yes or no."""

    PATH = "/org/example/agent"

    def __init__(self, daemon, pairing=None, attach=None):
        super().__init__(daemon.bus, self.PATH)
        self.pairing, self.attach = pairing, attach
        self.cancelled = 0
        path = dbus.ObjectPath(self.PATH)
        daemon.call(ROOT, "AgentManager", "RegisterAgent", path, "confirm", options())

    @dbus.service.method(f"{NAME}.Agent", in_signature="sssa{sv}", out_signature="b")
    def RequestPairing(self, endpoint_id, label, code, details):
        return self.pairing(endpoint_id, label, code)

    @dbus.service.method(f"{NAME}.Agent", in_signature="ooa{sv}", out_signature="b")
    def RequestAttach(self, peer, share, details):
        return self.attach(peer, share)

    @dbus.service.method(f"{NAME}.Agent")
    def Cancel(self):
        self.cancelled += 1

    @dbus.service.method(f"{NAME}.Agent")
    def Release(self):
        pass


def options(**values):
    """The options that each method takes last: `options(expires_usec=dbus.UInt64(1000000))`."""
    return dbus.Dictionary({key.replace("_", "-"): value for key, value in values.items()}, signature="sv")


def error_name(error):
    """What a `dbus.DBusException` is called, without what all names begin with: "TicketUsed"."""
    return error.get_dbus_name().rsplit(".", 1)[-1]


def wait_for(what, condition, seconds=10):
    """Waits until `condition()` has a value, which is the answer. It is looked at again after each signal."""
    over = []
    timer = GLib.timeout_add(int(seconds * 1000), over.append, True)
    try:
        while not (value := condition()):
            if over:
                raise TimeoutError(f"not within {seconds} s: {what}")
            GLib.MainContext.default().iteration(True)
        return value
    finally:
        if not over:
            GLib.source_remove(timer)


def wait_out(seconds):
    """Lets time pass, in which signals are received."""
    over = []
    GLib.timeout_add(int(seconds * 1000), over.append, True)
    while not over:
        GLib.MainContext.default().iteration(True)
