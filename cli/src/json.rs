//! The shapes that `--json` writes. They are documented in p2pusb(1): fields may be added, none is removed and
//! none changes its meaning. Object paths, states and reasons are those of the D-Bus API.

use p2pusb_dbus::{InterfaceClass, path};
use serde::Serialize;

use crate::snapshot::{self, Snapshot};

/// A device plugged in here.
#[derive(Debug, Serialize)]
pub(crate) struct Device {
    object: String,
    bus_path: String,
    usb_id: String,
    manufacturer: String,
    product: String,
    class: u8,
    interfaces: Vec<String>,
    speed: String,
    state: String,
    excluded: Option<String>,
    share: Option<String>,
    stable_id: String,
}

/// A grant.
#[derive(Debug, Serialize)]
pub(crate) struct Share {
    object: String,
    id: String,
    bus_path: Option<String>,
    product: String,
    state: String,
    peers: Vec<PeerName>,
    peer_names: Vec<String>,
    origin: String,
    expires_usec: u64,
    once: bool,
    windows: Vec<String>,
    session_limit: u32,
    ask: bool,
    bandwidth: u64,
    follows: Vec<String>,
    pin_protected: bool,
    claimed_by: Option<PeerName>,
    queue: Vec<PeerName>,
    grace: u32,
    reconnect_deadline_usec: u64,
    bytes_in: u64,
    bytes_out: u64,
    urbs: u64,
    urb_errors: u64,
    lost_usec: u64,
    owner_uid: u32,
    stable_id: String,
}

/// A paired machine.
#[derive(Debug, Serialize)]
pub(crate) struct Peer {
    object: String,
    endpoint_id: String,
    label: String,
    trust: String,
    scope: Option<String>,
    until_usec: u64,
    state: String,
    last_error: Option<String>,
    path: String,
    rtt_usec: u64,
    last_seen_usec: u64,
    bandwidth: u64,
}

/// A paired machine, where it is mentioned.
#[derive(Debug, Serialize)]
pub(crate) struct PeerName {
    object: String,
    endpoint_id: Option<String>,
    label: String,
}

/// A device that a peer offers.
#[derive(Debug, Serialize)]
pub(crate) struct RemoteDevice {
    object: String,
    id: String,
    peer: PeerName,
    usb_id: String,
    manufacturer: String,
    product: String,
    class: u8,
    interfaces: Vec<String>,
    speed: String,
    available: bool,
    attachment: Option<u32>,
}

/// A remote device in use here.
#[derive(Debug, Serialize)]
pub(crate) struct Attachment {
    object: String,
    number: u32,
    remote_device: String,
    peer: PeerName,
    product: String,
    state: String,
    last_error: Option<String>,
    bus_path: Option<String>,
    controller: u32,
    port: u32,
    since_usec: u64,
    grace: u32,
    reconnect_deadline_usec: u64,
    ends_at_usec: u64,
    keep: bool,
    follow: Vec<String>,
    bytes_in: u64,
    bytes_out: u64,
    urbs: u64,
    urb_errors: u64,
    lost_usec: u64,
    owner_uid: u32,
}

/// An attachment that is over.
#[derive(Debug, Serialize)]
pub(crate) struct Ended {
    time_usec: u64,
    peer: String,
    product: String,
    reason: String,
}

/// The daemon.
#[derive(Debug, Serialize)]
pub(crate) struct Daemon {
    version: String,
    endpoint_id: String,
    state: String,
    probing: bool,
    relay_mode: String,
    problems: Vec<String>,
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn classes(interfaces: &[InterfaceClass]) -> Vec<String> {
    interfaces.iter().map(|(class, sub, protocol)| format!("{class:02x}:{sub:02x}:{protocol:02x}")).collect()
}

impl From<&snapshot::Device> for Device {
    fn from(device: &snapshot::Device) -> Self {
        Self {
            object: device.path.clone(),
            bus_path: device.bus_path.clone(),
            usb_id: device.usb_id.to_string(),
            manufacturer: device.manufacturer.clone(),
            product: device.product.clone(),
            class: device.class,
            interfaces: classes(&device.interfaces),
            speed: device.speed.clone(),
            state: device.state.clone(),
            excluded: some(&device.excluded),
            share: device.share.as_deref().and_then(path::share_id).map(str::to_owned),
            stable_id: device.stable_id.clone(),
        }
    }
}

impl From<&snapshot::Peer> for Peer {
    fn from(peer: &snapshot::Peer) -> Self {
        Self {
            object: peer.path.clone(),
            endpoint_id: peer.endpoint_id.clone(),
            label: peer.label.clone(),
            trust: peer.trust.clone(),
            scope: peer.scope.as_deref().and_then(path::share_id).map(str::to_owned),
            until_usec: peer.until,
            state: peer.state.clone(),
            last_error: some(&peer.last_error),
            path: peer.path_kind.clone(),
            rtt_usec: peer.rtt_usec,
            last_seen_usec: peer.last_seen,
            bandwidth: peer.bandwidth,
        }
    }
}

impl From<&snapshot::Manager> for Daemon {
    fn from(manager: &snapshot::Manager) -> Self {
        Self {
            version: manager.version.clone(),
            endpoint_id: manager.endpoint_id.clone(),
            state: manager.state.clone(),
            probing: manager.probing,
            relay_mode: manager.relay_mode.clone(),
            problems: manager.problems.clone(),
        }
    }
}

/// The attachments that ended lately, as the daemon keeps them.
pub(crate) fn recently_ended(manager: &snapshot::Manager) -> Vec<Ended> {
    let entries = manager.recently_ended.iter().cloned();
    entries.map(|(time_usec, peer, product, reason)| Ended { time_usec, peer, product, reason }).collect()
}

impl PeerName {
    /// The peer with this object path; one that is gone is named by what its path tells.
    pub(crate) fn new(all: &Snapshot, object: &str) -> Self {
        Self {
            object: object.to_owned(),
            endpoint_id: all.peer(object).map(|peer| peer.endpoint_id.clone()),
            label: all.peer_name(object),
        }
    }
}

impl Share {
    /// A share, with the names of what it refers to.
    pub(crate) fn new(all: &Snapshot, share: &snapshot::Share) -> Self {
        Self {
            object: share.path.clone(),
            id: share.id.clone(),
            bus_path: share.device.as_deref().and_then(|path| all.device(path)).map(|d| d.bus_path.clone()),
            product: share.product.clone(),
            state: share.state.clone(),
            peers: share.peers.iter().map(|peer| PeerName::new(all, peer)).collect(),
            peer_names: share.peer_names.clone(),
            origin: share.origin.clone(),
            expires_usec: share.expires,
            once: share.once,
            windows: share.windows.clone(),
            session_limit: share.session_limit,
            ask: share.ask,
            bandwidth: share.bandwidth,
            bytes_in: share.bytes_in,
            bytes_out: share.bytes_out,
            urbs: share.urbs,
            urb_errors: share.urb_errors,
            lost_usec: share.lost_usec,
            follows: share.follows.clone(),
            pin_protected: share.pin_protected,
            claimed_by: share.claimed_by.as_deref().map(|peer| PeerName::new(all, peer)),
            queue: share.queue.iter().map(|peer| PeerName::new(all, peer)).collect(),
            grace: share.grace,
            reconnect_deadline_usec: share.reconnect_deadline,
            owner_uid: share.owner_uid,
            stable_id: share.stable_id.clone(),
        }
    }
}

impl RemoteDevice {
    /// A remote device, with the name of its peer.
    pub(crate) fn new(all: &Snapshot, device: &snapshot::RemoteDevice) -> Self {
        Self {
            object: device.path.clone(),
            id: device.remote_id.clone(),
            peer: PeerName::new(all, &device.peer),
            usb_id: device.usb_id.to_string(),
            manufacturer: device.manufacturer.clone(),
            product: device.product.clone(),
            class: device.class,
            interfaces: classes(&device.interfaces),
            speed: device.speed.clone(),
            available: device.available,
            attachment: device.attachment.as_deref().and_then(path::attachment_number),
        }
    }
}

impl Attachment {
    /// An attachment, with the name of its peer.
    pub(crate) fn new(all: &Snapshot, attachment: &snapshot::Attachment) -> Self {
        Self {
            object: attachment.path.clone(),
            number: attachment.number,
            remote_device: attachment.remote_device.clone(),
            peer: PeerName::new(all, &attachment.peer),
            product: attachment.product.clone(),
            state: attachment.state.clone(),
            last_error: some(&attachment.last_error),
            bus_path: some(&attachment.local_bus_path),
            controller: attachment.controller,
            port: attachment.port,
            since_usec: attachment.since,
            grace: attachment.grace,
            reconnect_deadline_usec: attachment.reconnect_deadline,
            ends_at_usec: attachment.ends_at,
            keep: attachment.keep,
            follow: attachment.follow.clone(),
            bytes_in: attachment.bytes_in,
            bytes_out: attachment.bytes_out,
            urbs: attachment.urbs,
            urb_errors: attachment.urb_errors,
            lost_usec: attachment.lost_usec,
            owner_uid: attachment.owner_uid,
        }
    }
}
