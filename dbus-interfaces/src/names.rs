//! Every name that crosses a process boundary: the bus, its objects and interfaces, errors, polkit
//! actions, journal fields and environment variables. Nothing else in the project spells them out.

/// The well-known name that p2pusbd owns on the system bus.
pub const BUS_NAME: &str = "org.p2pusb1";

/// The root object: `org.freedesktop.DBus.ObjectManager` and [`interface::MANAGER`].
pub const ROOT_PATH: &str = "/org/p2pusb1";

/// Below it, one object for each USB device that is plugged into this machine.
pub const DEVICES_PATH: &str = "/org/p2pusb1/devices";

/// Below it, one object for each grant that offers a device to peers.
pub const SHARES_PATH: &str = "/org/p2pusb1/shares";

/// Below it, one object for each paired peer, and below that its remote devices.
pub const PEERS_PATH: &str = "/org/p2pusb1/peers";

/// Below it, one object for each remote device that is in use here.
pub const ATTACHMENTS_PATH: &str = "/org/p2pusb1/attachments";

/// The object path that stands for "none" in a property of type `o`.
pub const NO_OBJECT: &str = "/";

/// Interface names, one for each XML file of this folder.
pub mod interface {
    /// The root object.
    pub const MANAGER: &str = "org.p2pusb1.Manager";
    /// The root object: programs that ask people on the daemon's behalf.
    pub const AGENT_MANAGER: &str = "org.p2pusb1.AgentManager";
    /// A USB device plugged into this machine.
    pub const DEVICE: &str = "org.p2pusb1.Device";
    /// A grant that offers a device to peers.
    pub const SHARE: &str = "org.p2pusb1.Share";
    /// Another p2pusbd, known by its endpoint id.
    pub const PEER: &str = "org.p2pusb1.Peer";
    /// A device that a peer offers.
    pub const REMOTE_DEVICE: &str = "org.p2pusb1.RemoteDevice";
    /// A remote device in use here.
    pub const ATTACHMENT: &str = "org.p2pusb1.Attachment";

    /// A program that asks people on the daemon's behalf. The daemon calls it, and nobody calls the daemon by it.
    pub const AGENT: &str = "org.p2pusb1.Agent";

    /// Those of the daemon's objects, in the order in which they are documented.
    pub const SERVED: [&str; 7] = [MANAGER, AGENT_MANAGER, DEVICE, SHARE, PEER, REMOTE_DEVICE, ATTACHMENT];

    /// All of them.
    pub const ALL: [&str; 8] = [MANAGER, AGENT_MANAGER, DEVICE, SHARE, PEER, REMOTE_DEVICE, ATTACHMENT, AGENT];
}

/// The daemon's unit of systemd.
pub const UNIT: &str = "p2pusbd.service";

/// The prefix, with its dot, of the project's own D-Bus errors; see [`crate::ErrorName`].
pub const ERROR_PREFIX: &str = "org.p2pusb1.Error.";

/// The prefix, with its dot, of the standard D-Bus errors.
pub const FDO_ERROR_PREFIX: &str = "org.freedesktop.DBus.Error.";

/// polkit actions. Root may do all of them; without polkit nobody else may.
pub mod action {
    /// `Manager.ShareDevice`, `Share.SetPeers`, `Share.SetGrace`, `Share.SetPaused`, `Share.SetPin`, `Share.ClearPin`,
    /// `Share.SetBandwidth`, `Share.Revoke`.
    pub const SHARE_DEVICE: &str = "org.p2pusb1.share-device";
    /// `Manager.ShareDevice` with the option `force`.
    pub const SHARE_DEVICE_SENSITIVE: &str = "org.p2pusb1.share-device-sensitive";
    /// `RemoteDevice.Attach`, `RemoteDevice.AttachWithGuard`, `Attachment.Detach`.
    pub const ATTACH_DEVICE: &str = "org.p2pusb1.attach-device";
    /// `Manager.CreateTicket`, `Manager.AddPeer`, `Manager.ProposePairing`, `Manager.SetAcceptingPeers`, `Peer.Forget`,
    /// `Peer.SetLabel`, `Peer.SetTrust`, `Peer.SetBandwidth`; and whoever agrees to a pairing through an agent.
    pub const MANAGE_PEERS: &str = "org.p2pusb1.manage-peers";
    /// `Manager.Reload`.
    pub const CONFIGURE: &str = "org.p2pusb1.configure";
    /// Every method of a share or an attachment that somebody else has made, on top of its own action.
    pub const MANAGE_OTHERS: &str = "org.p2pusb1.manage-others";

    /// `AgentManager.RegisterAgent`.
    pub const REGISTER_AGENT: &str = "org.p2pusb1.register-agent";

    /// All of them.
    pub const ALL: [&str; 7] =
        [SHARE_DEVICE, SHARE_DEVICE_SENSITIVE, ATTACH_DEVICE, MANAGE_PEERS, CONFIGURE, MANAGE_OTHERS, REGISTER_AGENT];
}

/// Keys of the `a{sv}` options that methods take. A key that a method does not know is an error.
pub mod option {
    /// `Manager.CreateTicket`, type `t`: how long the ticket is good for, in microseconds. `Manager.ShareDevice`, type
    /// `t`: how long the device is shared, in microseconds. `Manager.SetAcceptingPeers`, type `t`: how long machines may
    /// ask, in microseconds.
    pub const EXPIRES_USEC: &str = "expires-usec";
    /// `Manager.CreateTicket`, type `o`: the only share that the paired machine may use.
    pub const SHARE: &str = "share";
    /// `Manager.CreateTicket`, type `t`: how long the pairing lasts, in microseconds.
    pub const ACCESS_USEC: &str = "access-usec";
    /// `Manager.ShareDevice`, type `ao`: the peers that may claim the device; empty for all.
    pub const PEERS: &str = "peers";
    /// `Manager.ShareDevice`, type `b`: share it although this machine depends on it.
    pub const FORCE: &str = "force";
    /// `Manager.ShareDevice` and `RemoteDevice.Attach`, type `u`: the grace time in seconds, at most
    /// [`super::GRACE_MAX_SECONDS`].
    pub const GRACE: &str = "grace";
    /// `Manager.ShareDevice`, type `b`: the share ends with its first claim.
    pub const ONCE: &str = "once";
    /// `Manager.ShareDevice`, type `b`: somebody here is asked about each claim.
    pub const ASK: &str = "ask";
    /// `Manager.ShareDevice`, type `as`: when the device may be claimed, at most [`super::WINDOWS_MAX`] of them.
    pub const WINDOWS: &str = "windows";
    /// `Manager.ShareDevice`, type `u`: how long one claim may last, in seconds, from
    /// [`super::SESSION_LIMIT_MIN_SECONDS`] to [`super::SESSION_LIMIT_MAX_SECONDS`].
    pub const SESSION_LIMIT: &str = "session-limit";
    /// `Manager.ShareDevice`, type `t`: how fast the device may be used, in bytes in a second, from
    /// [`super::BANDWIDTH_MIN`] to [`super::BANDWIDTH_MAX`].
    pub const BANDWIDTH: &str = "bandwidth";
    /// `Manager.ShareDevice`, type `as`: the ids under which the device may come back, at most [`super::FOLLOWS_MAX`].
    pub const FOLLOWS: &str = "follows";
    /// `RemoteDevice.Attach`, type `as`: the ids under which the device is attached again by itself, at most
    /// [`super::FOLLOWS_MAX`].
    pub const FOLLOW: &str = "follow";
    /// `Manager.ShareDevice`, `RemoteDevice.Attach` and `RemoteDevice.AttachWithGuard`, type `h`: a file descriptor from
    /// which the PIN is read, up to its end.
    pub const PIN: &str = "pin";
    /// `RemoteDevice.Attach`, type `b`: attach it again by itself when its peer or this daemon is back.
    pub const KEEP: &str = "keep";
    /// `RemoteDevice.Attach`, type `b`: wait for the device where another machine has it.
    pub const QUEUE: &str = "queue";
}

/// Keys of what an agent is told beside its question.
pub mod detail {
    /// `Agent.RequestAttach`, type `s`: what the peer is called here.
    pub const LABEL: &str = "label";
    /// `Agent.RequestAttach`, type `s`: the device's name.
    pub const PRODUCT: &str = "product";
}

/// Lifetime of a ticket when `expires-usec` is not given: ten minutes, in microseconds.
pub const TICKET_LIFETIME_DEFAULT_USEC: u64 = 600_000_000;
/// The shortest lifetime that a ticket can have: one second, in microseconds.
pub const TICKET_LIFETIME_MIN_USEC: u64 = 1_000_000;
/// The longest lifetime that a ticket can have: seven days, in microseconds.
pub const TICKET_LIFETIME_MAX_USEC: u64 = 7 * 24 * 3600 * 1_000_000;

/// The shortest time for which a machine can be paired: one second, in microseconds.
pub const ACCESS_MIN_USEC: u64 = 1_000_000;
/// The longest time for which a machine can be paired, but for good: a year, in microseconds.
pub const ACCESS_MAX_USEC: u64 = 365 * 24 * 3600 * 1_000_000;

/// How long machines may ask to be paired when `expires-usec` is not given: five minutes, in microseconds.
pub const ACCEPTING_DEFAULT_USEC: u64 = 300_000_000;
/// The shortest time for which machines may ask to be paired: one second, in microseconds.
pub const ACCEPTING_MIN_USEC: u64 = 1_000_000;
/// The longest time for which machines may ask to be paired: one hour, in microseconds.
pub const ACCEPTING_MAX_USEC: u64 = 3600 * 1_000_000;

/// What an agent can do: show a code, and have somebody say yes or no. See `AgentManager.RegisterAgent`.
pub const AGENT_CAPABILITY_CONFIRM: &str = "confirm";
/// How many agents can be registered at a time.
pub const AGENTS_MAX: usize = 16;

/// The shortest time for which a device can be shared: one second, in microseconds.
pub const SHARE_LIFETIME_MIN_USEC: u64 = 1_000_000;
/// The longest time for which a device can be shared, other than for good: 366 days, in microseconds.
pub const SHARE_LIFETIME_MAX_USEC: u64 = 366 * 24 * 3600 * 1_000_000;

/// The shortest session limit: ten seconds. A device is no use to anybody for less.
pub const SESSION_LIMIT_MIN_SECONDS: u32 = 10;
/// The longest session limit: 31 days, in seconds.
pub const SESSION_LIMIT_MAX_SECONDS: u32 = 31 * 24 * 3600;

/// The lowest limit of bandwidth, in bytes in a second: with less, drivers give up.
pub const BANDWIDTH_MIN: u64 = 10_000;
/// The highest limit of bandwidth, in bytes in a second.
pub const BANDWIDTH_MAX: u64 = 10_000_000_000;

/// How many windows of time a share has at most.
pub const WINDOWS_MAX: usize = 16;

/// How many ids a share follows at most, and how many an attachment.
pub const FOLLOWS_MAX: usize = 8;

/// The longest grace time: one hour, in seconds. A device that nobody has heard of for longer is a ghost.
pub const GRACE_MAX_SECONDS: u32 = 3600;

/// How many entries `Manager.RecentlyEnded` holds at most.
pub const RECENTLY_ENDED_MAX: usize = 16;

/// How many characters of the endpoint id (64 hexadecimal digits) make a peer's object path.
pub const PEER_PATH_DIGITS: usize = 16;

/// How many characters of the endpoint id stand for a peer in the journal.
pub const PEER_SHORT_DIGITS: usize = 10;

/// Fields of the daemon's journal entries.
pub mod journal {
    /// The device's bus path, `1-2.3`.
    pub const DEVICE: &str = "P2PUSB_DEVICE";
    /// The first [`super::PEER_SHORT_DIGITS`] digits of the peer's endpoint id.
    pub const PEER: &str = "P2PUSB_PEER";
    /// The attachment's number, as in its object path.
    pub const ATTACHMENT: &str = "P2PUSB_ATTACHMENT";
    /// The share's id, as in its object path.
    pub const SHARE: &str = "P2PUSB_SHARE";

    /// All of them.
    pub const ALL: [&str; 4] = [DEVICE, PEER, ATTACHMENT, SHARE];
}

/// What `Manager.Diagnose` looks at.
pub mod diagnosis {
    /// UDP ports and addresses.
    pub const UDP: &str = "udp";
    /// The relay of the settings.
    pub const RELAY: &str = "relay";
    /// How this machine looks from outside.
    pub const NAT: &str = "nat";
    /// Free ports of the virtual host controller.
    pub const VHCI_PORTS: &str = "vhci-ports";
    /// Whether the kernel may be given devices.
    pub const VHCI_ATTACH: &str = "vhci-attach";
    /// Whether USB devices may be opened.
    pub const USB_NODES: &str = "usb-nodes";
    /// Whether the state folder can be written.
    pub const STATE_FOLDER: &str = "state-folder";
    /// Damaged state files.
    pub const STATE_FILES: &str = "state-files";
    /// The settings as they are now.
    pub const SETTINGS: &str = "settings";

    /// All of them.
    pub const ALL: [&str; 9] =
        [UDP, RELAY, NAT, VHCI_PORTS, VHCI_ATTACH, USB_NODES, STATE_FOLDER, STATE_FILES, SETTINGS];
}

/// Environment variables.
pub mod env {
    /// Where the daemon keeps its state; systemd sets it. Default `/var/lib/p2pusb`.
    pub const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
    /// Where the daemon records what it must give back; systemd sets it. Default `/run/p2pusb`.
    pub const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";
    /// The socket of the service manager; systemd sets it.
    pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
    /// Address of the system bus, for daemon and client, where it is not the usual one.
    pub const DBUS_SYSTEM_BUS_ADDRESS: &str = "DBUS_SYSTEM_BUS_ADDRESS";
    /// What the daemon logs, as a filter of the `tracing` crate. Default `info`.
    pub const LOG: &str = "P2PUSB_LOG";
    /// The client writes no colours when this is set and not empty.
    pub const NO_COLOR: &str = "NO_COLOR";
}

/// The daemon's state folder where the environment names none.
pub const STATE_DIRECTORY_DEFAULT: &str = "/var/lib/p2pusb";
/// The daemon's runtime folder where the environment names none.
pub const RUNTIME_DIRECTORY_DEFAULT: &str = "/run/p2pusb";
/// The daemon's settings where `--config` names none.
pub const CONFIG_FILE_DEFAULT: &str = "/etc/p2pusb/p2pusb.toml";
