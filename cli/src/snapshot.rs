//! What the daemon knows, as plain lists: read from one GetManagedObjects answer and put in an order.
//!
//! Reading is lenient. A property that is missing or has another type reads as nothing, an interface that
//! is not known is passed over: the daemon may be older or newer than this program.

use std::collections::HashMap;

use p2pusb_dbus::{
    DiscoveredEntry, EndedEntry, InterfaceClass,
    names::{NO_OBJECT, interface},
    path,
};
use zbus::{OwnedObjectPath, OwnedVariant, fdo::ManagedObjects};

use crate::format::clean;

/// The properties of one interface.
pub(crate) type Properties = HashMap<String, OwnedVariant>;

/// `org.p2pusb1.Manager`
#[derive(Clone, Debug, Default)]
pub(crate) struct Manager {
    pub(crate) version: String,
    pub(crate) endpoint_id: String,
    pub(crate) state: String,
    pub(crate) probing: bool,
    pub(crate) relay_mode: String,
    pub(crate) problems: Vec<String>,
    pub(crate) discovered: Vec<DiscoveredEntry>,
    pub(crate) recently_ended: Vec<EndedEntry>,
}

/// `org.p2pusb1.Device`
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    pub(crate) path: String,
    pub(crate) stable_id: String,
    pub(crate) bus_path: String,
    pub(crate) sysfs_path: String,
    pub(crate) usb_id: UsbId,
    pub(crate) manufacturer: String,
    pub(crate) product: String,
    pub(crate) class: u8,
    pub(crate) interfaces: Vec<InterfaceClass>,
    pub(crate) speed: String,
    pub(crate) state: String,
    pub(crate) excluded: String,
    pub(crate) share: Option<String>,
}

/// `org.p2pusb1.Share`
#[derive(Clone, Debug, Default)]
pub(crate) struct Share {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) device: Option<String>,
    pub(crate) stable_id: String,
    pub(crate) product: String,
    pub(crate) peers: Vec<String>,
    pub(crate) peer_names: Vec<String>,
    pub(crate) origin: String,
    pub(crate) expires: u64,
    pub(crate) once: bool,
    pub(crate) windows: Vec<String>,
    pub(crate) session_limit: u32,
    pub(crate) ask: bool,
    pub(crate) bandwidth: u64,
    pub(crate) follows: Vec<String>,
    pub(crate) pin_protected: bool,
    pub(crate) state: String,
    pub(crate) claimed_by: Option<String>,
    pub(crate) queue: Vec<String>,
    pub(crate) grace: u32,
    pub(crate) reconnect_deadline: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) urbs: u64,
    pub(crate) urb_errors: u64,
    pub(crate) lost_usec: u64,
    pub(crate) owner_uid: u32,
}

/// `org.p2pusb1.Peer`
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) path: String,
    pub(crate) endpoint_id: String,
    pub(crate) label: String,
    pub(crate) trust: String,
    pub(crate) scope: Option<String>,
    pub(crate) until: u64,
    pub(crate) state: String,
    pub(crate) last_error: String,
    pub(crate) path_kind: String,
    pub(crate) rtt_usec: u64,
    pub(crate) last_seen: u64,
    pub(crate) bandwidth: u64,
}

/// `org.p2pusb1.RemoteDevice`
#[derive(Clone, Debug, Default)]
pub(crate) struct RemoteDevice {
    pub(crate) path: String,
    pub(crate) peer: String,
    pub(crate) remote_id: String,
    pub(crate) usb_id: UsbId,
    pub(crate) manufacturer: String,
    pub(crate) product: String,
    pub(crate) class: u8,
    pub(crate) interfaces: Vec<InterfaceClass>,
    pub(crate) speed: String,
    pub(crate) available: bool,
    pub(crate) attachment: Option<String>,
}

/// `org.p2pusb1.Attachment`
#[derive(Clone, Debug, Default)]
pub(crate) struct Attachment {
    pub(crate) path: String,
    pub(crate) number: u32,
    pub(crate) remote_device: String,
    pub(crate) peer: String,
    pub(crate) product: String,
    pub(crate) state: String,
    pub(crate) last_error: String,
    pub(crate) local_bus_path: String,
    pub(crate) local_device: Option<String>,
    pub(crate) controller: u32,
    pub(crate) port: u32,
    pub(crate) since: u64,
    pub(crate) grace: u32,
    pub(crate) reconnect_deadline: u64,
    pub(crate) ends_at: u64,
    pub(crate) keep: bool,
    pub(crate) follow: Vec<String>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) urbs: u64,
    pub(crate) urb_errors: u64,
    pub(crate) lost_usec: u64,
    pub(crate) owner_uid: u32,
}

/// Vendor and product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UsbId {
    pub(crate) vendor: u16,
    pub(crate) product: u16,
}

impl std::fmt::Display for UsbId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)
    }
}

/// Everything, each list in the order in which people read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) manager: Manager,
    pub(crate) devices: Vec<Device>,
    pub(crate) shares: Vec<Share>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) remote_devices: Vec<RemoteDevice>,
    pub(crate) attachments: Vec<Attachment>,
}

/// One interface of one object.
struct Reader<'a>(&'a Properties);

impl Reader<'_> {
    fn value<T: TryFrom<OwnedVariant> + Default>(&self, name: &str) -> T {
        self.0.get(name).and_then(|value| T::try_from(value.clone()).ok()).unwrap_or_default()
    }

    fn text(&self, name: &str) -> String {
        clean(&self.value::<String>(name))
    }

    /// A list of texts.
    fn texts(&self, name: &str) -> Vec<String> {
        self.value::<Vec<String>>(name).iter().map(|text| clean(text)).collect()
    }

    /// An object path; `None` for the one that stands for none.
    fn object(&self, name: &str) -> Option<String> {
        let path: OwnedObjectPath = self.value(name);
        (path.as_str() != NO_OBJECT).then(|| path.to_string())
    }

    /// A list of object paths.
    fn objects(&self, name: &str) -> Vec<String> {
        self.value::<Vec<OwnedObjectPath>>(name).iter().map(|path| path.to_string()).collect()
    }

    fn usb_id(&self) -> UsbId {
        UsbId { vendor: self.value("VendorId"), product: self.value("ProductId") }
    }
}

impl Manager {
    fn read(p: &Reader<'_>) -> Self {
        let clean_machine = |(id, label): DiscoveredEntry| (clean(&id), clean(&label));
        let clean_entry =
            |(when, peer, product, reason): EndedEntry| (when, clean(&peer), clean(&product), clean(&reason));
        Self {
            version: p.text("Version"),
            endpoint_id: p.text("EndpointId"),
            state: p.text("State"),
            probing: p.value("Probing"),
            relay_mode: p.text("RelayMode"),
            problems: p.texts("Problems"),
            discovered: p.value::<Vec<DiscoveredEntry>>("Discovered").into_iter().map(clean_machine).collect(),
            recently_ended: p.value::<Vec<EndedEntry>>("RecentlyEnded").into_iter().map(clean_entry).collect(),
        }
    }
}

impl Device {
    fn read(path: &str, p: &Reader<'_>) -> Self {
        Self {
            path: path.to_owned(),
            stable_id: p.text("StableId"),
            bus_path: p.text("BusPath"),
            sysfs_path: p.text("SysfsPath"),
            usb_id: p.usb_id(),
            manufacturer: p.text("Manufacturer"),
            product: p.text("Product"),
            class: p.value("Class"),
            interfaces: p.value("Interfaces"),
            speed: p.text("Speed"),
            state: p.text("State"),
            excluded: p.text("Excluded"),
            share: p.object("Share"),
        }
    }

    /// Manufacturer and product in one line.
    pub(crate) fn name(&self) -> String {
        full_name(&self.manufacturer, &self.product)
    }
}

impl Share {
    fn read(path: &str, p: &Reader<'_>) -> Self {
        Self {
            path: path.to_owned(),
            id: path::share_id(path).unwrap_or_default().to_owned(),
            device: p.object("Device"),
            stable_id: p.text("StableId"),
            product: p.text("Product"),
            peers: p.objects("Peers"),
            peer_names: p.texts("PeerNames"),
            origin: p.text("Origin"),
            expires: p.value("Expires"),
            once: p.value("Once"),
            windows: p.texts("Windows"),
            session_limit: p.value("SessionLimit"),
            ask: p.value("Ask"),
            bandwidth: p.value("Bandwidth"),
            bytes_in: p.value("BytesIn"),
            bytes_out: p.value("BytesOut"),
            urbs: p.value("Urbs"),
            urb_errors: p.value("UrbErrors"),
            lost_usec: p.value("LostUsec"),
            follows: p.texts("Follows"),
            pin_protected: p.value("PinProtected"),
            state: p.text("State"),
            claimed_by: p.object("ClaimedBy"),
            queue: p.objects("Queue"),
            grace: p.value("Grace"),
            reconnect_deadline: p.value("ReconnectDeadline"),
            owner_uid: p.value("OwnerUid"),
        }
    }
}

impl Peer {
    fn read(path: &str, p: &Reader<'_>) -> Self {
        Self {
            path: path.to_owned(),
            endpoint_id: p.text("EndpointId"),
            label: p.text("Label"),
            trust: p.text("Trust"),
            scope: p.object("Scope"),
            until: p.value("Until"),
            state: p.text("State"),
            last_error: p.text("LastError"),
            path_kind: p.text("Path"),
            rtt_usec: p.value("RttUsec"),
            last_seen: p.value("LastSeen"),
            bandwidth: p.value("Bandwidth"),
        }
    }

    /// Its label, or the beginning of its id where it has none.
    pub(crate) fn name(&self) -> &str {
        if self.label.is_empty() { self.short_id() } else { &self.label }
    }

    /// The beginning of its id, enough to type.
    pub(crate) fn short_id(&self) -> &str {
        self.endpoint_id.get(..p2pusb_dbus::names::PEER_SHORT_DIGITS).unwrap_or(&self.endpoint_id)
    }
}

impl RemoteDevice {
    fn read(path: &str, p: &Reader<'_>) -> Self {
        Self {
            path: path.to_owned(),
            peer: p.object("Peer").unwrap_or_default(),
            remote_id: p.text("RemoteId"),
            usb_id: p.usb_id(),
            manufacturer: p.text("Manufacturer"),
            product: p.text("Product"),
            class: p.value("Class"),
            interfaces: p.value("Interfaces"),
            speed: p.text("Speed"),
            available: p.value("Available"),
            attachment: p.object("Attachment"),
        }
    }

    /// Manufacturer and product in one line.
    pub(crate) fn name(&self) -> String {
        full_name(&self.manufacturer, &self.product)
    }
}

impl Attachment {
    fn read(path: &str, p: &Reader<'_>) -> Self {
        Self {
            path: path.to_owned(),
            number: path::attachment_number(path).unwrap_or_default(),
            remote_device: p.object("RemoteDevice").unwrap_or_default(),
            peer: p.object("Peer").unwrap_or_default(),
            product: p.text("Product"),
            state: p.text("State"),
            last_error: p.text("LastError"),
            local_bus_path: p.text("LocalBusPath"),
            local_device: p.object("LocalDevice"),
            controller: p.value("Controller"),
            port: p.value("Port"),
            since: p.value("Since"),
            grace: p.value("Grace"),
            reconnect_deadline: p.value("ReconnectDeadline"),
            ends_at: p.value("EndsAt"),
            keep: p.value("Keep"),
            follow: p.texts("Follow"),
            bytes_in: p.value("BytesIn"),
            bytes_out: p.value("BytesOut"),
            urbs: p.value("Urbs"),
            urb_errors: p.value("UrbErrors"),
            lost_usec: p.value("LostUsec"),
            owner_uid: p.value("OwnerUid"),
        }
    }
}

/// Manufacturer and product in one line; the product alone where it begins with the manufacturer.
fn full_name(manufacturer: &str, product: &str) -> String {
    let repeats = product.to_lowercase().starts_with(&manufacturer.to_lowercase());
    match (manufacturer, product) {
        ("", product) => product.to_owned(),
        (manufacturer, "") => manufacturer.to_owned(),
        (_, product) if repeats => product.to_owned(),
        (manufacturer, product) => format!("{manufacturer} {product}"),
    }
}

/// The numbers of a bus path, by which people sort: 1-2 before 1-10, `usb1` before 1-1.
fn bus_order(bus_path: &str) -> (Vec<u32>, String) {
    let numbers = bus_path.trim_start_matches("usb").split(['-', '.']).map(|n| n.parse().unwrap_or(u32::MAX)).collect();
    (numbers, bus_path.to_owned())
}

impl Snapshot {
    /// Read the answers of GetManagedObjects and of GetAll for the root object.
    pub(crate) fn read(objects: &ManagedObjects, manager: &Properties) -> Self {
        let mut all = Self { manager: Manager::read(&Reader(manager)), ..Self::default() };
        for (path, interfaces) in objects {
            let path = path.as_str();
            for (name, properties) in interfaces {
                let p = Reader(properties);
                match name.as_str() {
                    interface::DEVICE => all.devices.push(Device::read(path, &p)),
                    interface::SHARE => all.shares.push(Share::read(path, &p)),
                    interface::PEER => all.peers.push(Peer::read(path, &p)),
                    interface::REMOTE_DEVICE => all.remote_devices.push(RemoteDevice::read(path, &p)),
                    interface::ATTACHMENT => all.attachments.push(Attachment::read(path, &p)),
                    _ => {}
                }
            }
        }
        all.sort();
        all
    }

    fn sort(&mut self) {
        self.devices.sort_by_cached_key(|device| bus_order(&device.bus_path));
        self.peers.sort_by_cached_key(|peer| (peer.label.to_lowercase(), peer.endpoint_id.clone()));
        self.shares.sort_by_cached_key(|share| (share.product.to_lowercase(), share.id.clone()));
        self.attachments.sort_by_key(|attachment| attachment.number);
        let rank: HashMap<String, usize> =
            self.peers.iter().enumerate().map(|(rank, peer)| (peer.path.clone(), rank)).collect();
        self.remote_devices.sort_by_cached_key(|device| {
            let rank = rank.get(&device.peer).copied().unwrap_or(usize::MAX);
            (rank, device.name().to_lowercase(), device.remote_id.clone())
        });
    }

    /// The device with this object path.
    pub(crate) fn device(&self, path: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.path == path)
    }

    /// The share with this object path.
    pub(crate) fn share(&self, path: &str) -> Option<&Share> {
        self.shares.iter().find(|share| share.path == path)
    }

    /// The remote device with this object path.
    pub(crate) fn remote_device(&self, path: &str) -> Option<&RemoteDevice> {
        self.remote_devices.iter().find(|device| device.path == path)
    }

    /// The attachment with this object path.
    pub(crate) fn attachment(&self, path: &str) -> Option<&Attachment> {
        self.attachments.iter().find(|attachment| attachment.path == path)
    }

    /// The peer with this object path.
    pub(crate) fn peer(&self, path: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.path == path)
    }

    /// The name of the peer with this object path; a share may name a peer that is gone.
    pub(crate) fn peer_name(&self, path: &str) -> String {
        match self.peer(path) {
            Some(peer) => peer.name().to_owned(),
            None => path::peer_id(path).unwrap_or("?").to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
