//! What the engine shows of its state: plain values, made anew at each change.

use std::{path::PathBuf, sync::Arc, time::Duration};

use p2pusb_protocol::{EndReason, InterfaceClass, Speed};
use tokio::sync::oneshot;

use crate::{
    config::Grace,
    counters::Counters,
    net::link::Connected,
    peer::{PeerId, Trust},
    policy::{Bandwidth, Follows, PeerNames, Terms},
    usb::BusPath,
};

/// A change of what can be seen. Sent in order, over a bounded queue.
#[derive(Debug)]
pub enum Change {
    /// The object is there, and is like this.
    Set(Box<Object>),
    /// It is gone.
    Removed(ObjectId),
    /// Everything before this has been said: the receiver answers when it has shown it.
    Barrier(oneshot::Sender<()>),
}

/// The name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectId {
    /// The manager.
    Manager,
    /// A device, by its bus path.
    Device(BusPath),
    /// A share, by its id.
    Share(String),
    /// A peer.
    Peer(PeerId),
    /// A peer's device, by the id of its share there.
    RemoteDevice(PeerId, String),
    /// An attachment, by its number.
    Attachment(u32),
}

/// An object as it is now.
#[derive(Debug, Clone)]
pub enum Object {
    /// The daemon itself.
    Manager(ManagerView),
    /// A local device.
    Device(DeviceView),
    /// A share.
    Share(ShareView),
    /// A peer.
    Peer(PeerView),
    /// A peer's device.
    RemoteDevice(RemoteDeviceView),
    /// An attachment.
    Attachment(AttachmentView),
}

/// The daemon itself.
#[derive(Debug, Clone)]
pub struct ManagerView {
    /// starting, running, stopping
    pub state: &'static str,
    /// The list of devices is not settled yet.
    pub probing: bool,
    /// Machines may ask to be paired.
    pub accepting_peers: bool,
    /// This machine's public key.
    pub endpoint_id: PeerId,
    /// none, custom, public
    pub relay_mode: &'static str,
    /// Machines on the local network that are not paired, with what they call themselves.
    pub discovered: Vec<(PeerId, String)>,
    /// The last attachments that ended, newest last.
    pub recently_ended: Vec<EndedView>,
    /// What somebody has to see to, a sentence each.
    pub problems: Vec<String>,
}

/// An attachment that has ended.
#[derive(Debug, Clone)]
pub struct EndedView {
    /// Microseconds since the epoch.
    pub when: u64,
    /// The peer's label.
    pub peer: String,
    /// The device.
    pub product: String,
    /// Why.
    pub reason: EndReason,
}

/// What a device says of itself, ours or a peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// idVendor
    pub vendor_id: u16,
    /// idProduct
    pub product_id: u16,
    /// iManufacturer
    pub manufacturer: String,
    /// iProduct
    pub product: String,
    /// bDeviceClass
    pub class: u8,
    /// The speed it runs at.
    pub speed: Speed,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceClass>,
}

impl DeviceFacts {
    /// The interfaces as the bus has them: class, subclass, protocol.
    pub fn interface_triples(&self) -> Vec<(u8, u8, u8)> {
        self.interfaces.iter().map(|interface| (interface.class, interface.subclass, interface.protocol)).collect()
    }
}

/// A local device.
#[derive(Debug, Clone)]
pub struct DeviceView {
    /// Where it is plugged.
    pub bus_path: BusPath,
    /// Its folder in sysfs.
    pub sysfs: PathBuf,
    /// Its identity across plugs.
    pub stable_id: String,
    /// What it is.
    pub facts: DeviceFacts,
    /// available, shared, in-use, excluded
    pub state: &'static str,
    /// Why it can never be shared.
    pub excluded: &'static str,
    /// Its share.
    pub share: Option<String>,
}

/// A share.
#[derive(Debug, Clone)]
pub struct ShareView {
    /// Its id.
    pub id: String,
    /// The device, while it is plugged.
    pub device: Option<BusPath>,
    /// The device's identity.
    pub stable_id: String,
    /// The device's name.
    pub product: String,
    /// Who may claim it; empty means every paired peer, unless there are names.
    pub peers: Vec<PeerId>,
    /// The same as a udev rule or the settings say it; empty where they don't.
    pub names: PeerNames,
    /// Until when, at which hours, and for how long at a time.
    pub terms: Arc<Terms>,
    /// Under which ids the device may come back.
    pub follows: Follows,
    /// person, udev, rule
    pub origin: &'static str,
    /// waiting, available, in-use, reconnecting, paused
    pub state: &'static str,
    /// Who waits for it, in this order.
    pub queue: Vec<PeerId>,
    /// Who has it.
    pub claimed_by: Option<PeerId>,
    /// How long a claim outlives its connection.
    pub grace: Grace,
    /// Until when a lost connection is waited for, in microseconds since the epoch; 0 where none is.
    pub lost_until: u64,
    /// Who shared it.
    pub owner_uid: u32,
    /// What has gone through its claim; nothing where there is none.
    pub counters: Arc<Counters>,
    /// Whether it asks for a PIN.
    pub pin_protected: bool,
}

/// A peer.
#[derive(Debug, Clone)]
pub struct PeerView {
    /// Its public key.
    pub id: PeerId,
    /// What people call it.
    pub label: String,
    /// What this machine thinks of it.
    pub trust: Trust,
    /// The id of the only share that it may use.
    pub scope: Option<String>,
    /// When the pairing ends, in microseconds since the epoch; 0 for never.
    pub until: u64,
    /// offline, connecting, online, refused
    pub state: &'static str,
    /// What was wrong last.
    pub last_error: String,
    /// none, direct, relay
    pub path: &'static str,
    /// When it was heard last, in microseconds since the epoch; 0 for never.
    pub last_seen: u64,
    /// How fast it may use what is shared with it.
    pub bandwidth: Option<Bandwidth>,
    /// In a box: it is larger than all the rest.
    pub(crate) link: Option<Box<Connected>>,
}

impl PeerView {
    /// How long a round trip takes now.
    pub fn rtt(&self) -> Option<Duration> {
        self.link.as_ref()?.path().map(|(_, rtt)| rtt)
    }
}

/// A peer's device.
#[derive(Debug, Clone)]
pub struct RemoteDeviceView {
    /// Whose.
    pub peer: PeerId,
    /// The id of its share there.
    pub remote_id: String,
    /// What it is.
    pub facts: DeviceFacts,
    /// Nobody has claimed it.
    pub available: bool,
    /// Our attachment.
    pub attachment: Option<u32>,
}

/// An attachment.
#[derive(Debug, Clone)]
pub struct AttachmentView {
    /// Its number.
    pub id: u32,
    /// Whose device.
    pub peer: PeerId,
    /// The id of its share there.
    pub remote_id: String,
    /// The device's name.
    pub product: String,
    /// connecting, attached, reconnecting, waiting, detaching, ended
    pub state: &'static str,
    /// Why it ended, or waits.
    pub last_error: String,
    /// Where the device is here; empty before the kernel has enumerated it.
    pub local_bus_path: String,
    /// The same as a device's name, while udev knows it.
    pub local_device: Option<BusPath>,
    /// Which `vhci_hcd.N`.
    pub controller: u32,
    /// Which of its ports.
    pub port: u32,
    /// When it was attached, in microseconds since the epoch; 0 before.
    pub since: u64,
    /// How long it outlives its connection.
    pub grace: Grace,
    /// Until when a lost connection is waited for, in microseconds since the epoch; 0 where none is.
    pub lost_until: u64,
    /// When it is going to end by itself, in microseconds since the epoch; 0 where that is not near.
    pub ends_at: u64,
    /// Whether it is attached again by itself.
    pub keep: bool,
    /// Under which ids, besides its own.
    pub follow: Follows,
    /// Who attached it.
    pub owner_uid: u32,
    /// What went through it.
    pub counters: Arc<Counters>,
}
