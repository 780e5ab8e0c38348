//! What the daemon knows, as plain lists: read from one GetManagedObjects answer and put in an order.
//!
//! Reading is lenient. A property that is missing or has another type reads as nothing, an interface that
//! is not known is passed over: the daemon may be older or newer than this program.

use std::collections::HashMap;

use p2pusb_dbus::{
    EndedEntry, InterfaceClass,
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
    pub(crate) state: String,
    pub(crate) claimed_by: Option<String>,
    pub(crate) owner_uid: u32,
}

/// `org.p2pusb1.Peer`
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) path: String,
    pub(crate) endpoint_id: String,
    pub(crate) label: String,
    pub(crate) state: String,
    pub(crate) last_error: String,
    pub(crate) path_kind: String,
    pub(crate) rtt_usec: u64,
    pub(crate) last_seen: u64,
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
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) urbs: u64,
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

    /// An object path; `None` for the one that stands for none.
    fn object(&self, name: &str) -> Option<String> {
        let path: OwnedObjectPath = self.value(name);
        (path.as_str() != NO_OBJECT).then(|| path.to_string())
    }

    fn usb_id(&self) -> UsbId {
        UsbId { vendor: self.value("VendorId"), product: self.value("ProductId") }
    }
}

impl Manager {
    fn read(p: &Reader<'_>) -> Self {
        let clean_entry =
            |(when, peer, product, reason): EndedEntry| (when, clean(&peer), clean(&product), clean(&reason));
        Self {
            version: p.text("Version"),
            endpoint_id: p.text("EndpointId"),
            state: p.text("State"),
            probing: p.value("Probing"),
            relay_mode: p.text("RelayMode"),
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
            peers: p.value::<Vec<OwnedObjectPath>>("Peers").iter().map(|path| path.to_string()).collect(),
            state: p.text("State"),
            claimed_by: p.object("ClaimedBy"),
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
            state: p.text("State"),
            last_error: p.text("LastError"),
            path_kind: p.text("Path"),
            rtt_usec: p.value("RttUsec"),
            last_seen: p.value("LastSeen"),
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
            bytes_in: p.value("BytesIn"),
            bytes_out: p.value("BytesOut"),
            urbs: p.value("Urbs"),
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
pub(crate) mod tests {
    use p2pusb_dbus::{attachment_path, device_path, peer_path, remote_device_path, share_path};
    use zbus::{ObjectPath, Variant, names::OwnedInterfaceName};

    use super::*;

    pub(crate) const WORKSHOP: &str = "8f0c6a1d2b3e4f50617283940a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d";
    pub(crate) const LAPTOP: &str = "8f99000000000000617283940a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d";

    fn properties<const N: usize>(list: [(&str, Variant<'_>); N]) -> Properties {
        list.into_iter().map(|(name, value)| (name.to_owned(), value.try_into().unwrap())).collect()
    }

    fn object(interface: &str, properties: Properties) -> HashMap<OwnedInterfaceName, Properties> {
        HashMap::from([(OwnedInterfaceName::try_from(interface).unwrap(), properties)])
    }

    fn o(path: &OwnedObjectPath) -> Variant<'static> {
        ObjectPath::from(path.clone()).into_owned().into()
    }

    /// A machine with four devices (one shared with the workshop, one attached from there), two peers, and
    /// three remote devices, two of which are alike.
    pub(crate) fn example() -> Snapshot {
        let mut objects = ManagedObjects::new();
        let none = ObjectPath::from_static_str("/").unwrap();
        let mut device = |bus_path: &str, ids: (u16, u16), names: (&str, &str), excluded: &str, share: Variant<'_>| {
            let state = if excluded.is_empty() { "available" } else { "excluded" };
            objects.insert(
                device_path(bus_path),
                object(
                    interface::DEVICE,
                    properties([
                        ("StableId", format!("{:04x}:{:04x}@{bus_path}", ids.0, ids.1).into()),
                        ("BusPath", bus_path.into()),
                        ("VendorId", ids.0.into()),
                        ("ProductId", ids.1.into()),
                        ("Manufacturer", names.0.into()),
                        ("Product", names.1.into()),
                        ("Interfaces", vec![(0xffu8, 0xffu8, 0xffu8)].into()),
                        ("Speed", "full".into()),
                        ("State", state.into()),
                        ("Excluded", excluded.into()),
                        ("Share", share),
                    ]),
                ),
            );
        };
        device("1-10", (0x0403, 0x6001), ("FTDI", "FT232R USB UART"), "", none.clone().into());
        device("1-2", (0x0403, 0x6001), ("FTDI", "FT232R USB UART"), "", o(&share_path("00c0ffee")));
        device("usb1", (0x1d6b, 0x0002), ("Linux", "USB root hub"), "root-hub", none.clone().into());
        device("9-1", (0x0781, 0x5567), ("SanDisk", "Cruzer Blade"), "attached-here", none.clone().into());

        for (id, label, state, path) in
            [(WORKSHOP, "Workshop", "online", "direct"), (LAPTOP, "laptop", "offline", "none")]
        {
            objects.insert(
                peer_path(id),
                object(
                    interface::PEER,
                    properties([
                        ("EndpointId", id.into()),
                        ("Label", label.into()),
                        ("State", state.into()),
                        ("Path", path.into()),
                        ("RttUsec", 20_500u64.into()),
                        ("LastSeen", 1_000_000u64.into()),
                    ]),
                ),
            );
        }

        for (id, ids, product, available, attachment) in [
            ("0000000a", (0x0781u16, 0x5567u16), "Cruzer Blade", false, Some(1)),
            ("0000000b", (0x046d, 0x0825), "Webcam C270", true, None),
            ("0000000c", (0x046d, 0x0825), "Webcam C270", true, None),
        ] {
            objects.insert(
                remote_device_path(WORKSHOP, id),
                object(
                    interface::REMOTE_DEVICE,
                    properties([
                        ("Peer", o(&peer_path(WORKSHOP))),
                        ("RemoteId", id.into()),
                        ("VendorId", ids.0.into()),
                        ("ProductId", ids.1.into()),
                        ("Product", product.into()),
                        ("Available", available.into()),
                        ("Attachment", attachment.map_or(none.clone().into(), |n| o(&attachment_path(n)))),
                    ]),
                ),
            );
        }

        objects.insert(
            share_path("00c0ffee"),
            object(
                interface::SHARE,
                properties([
                    ("Device", o(&device_path("1-2"))),
                    ("StableId", "0403:6001@1-2".into()),
                    ("Product", "FT232R USB UART".into()),
                    ("Peers", vec![ObjectPath::from(peer_path(WORKSHOP))].into()),
                    ("State", "in-use".into()),
                    ("ClaimedBy", o(&peer_path(WORKSHOP))),
                    ("OwnerUid", 1000u32.into()),
                ]),
            ),
        );
        objects.insert(
            share_path("00000bad"),
            object(
                interface::SHARE,
                properties([
                    ("Device", none.clone().into()),
                    ("StableId", "0529:0001:0123456789abcdef".into()),
                    ("Product", "Dongle".into()),
                    ("State", "waiting".into()),
                ]),
            ),
        );
        objects.insert(
            attachment_path(1),
            object(
                interface::ATTACHMENT,
                properties([
                    ("RemoteDevice", o(&remote_device_path(WORKSHOP, "0000000a"))),
                    ("Peer", o(&peer_path(WORKSHOP))),
                    ("Product", "Cruzer Blade".into()),
                    ("State", "attached".into()),
                    ("LocalBusPath", "9-1".into()),
                    ("LocalDevice", o(&device_path("9-1"))),
                    ("Since", 1_000_000u64.into()),
                    ("BytesIn", 1_500_000u64.into()),
                ]),
            ),
        );
        // A folder of the tree without interfaces, and an interface that this program does not know.
        objects.insert(OwnedObjectPath::try_from("/org/p2pusb1/devices").unwrap(), HashMap::new());
        objects.insert(
            OwnedObjectPath::try_from("/org/p2pusb1/future/1").unwrap(),
            object("org.p2pusb1.Future", Properties::new()),
        );
        let manager = properties([
            ("Version", "0.1.0".into()),
            ("State", "running".into()),
            ("RelayMode", "none".into()),
            ("RecentlyEnded", vec![(1_000_000u64, "Workshop", "Scanner\x1b[2J", "peer-lost")].into()),
        ]);
        Snapshot::read(&objects, &manager)
    }

    #[test]
    fn every_interface_is_read_and_sorted() {
        let all = example();
        let bus_paths: Vec<_> = all.devices.iter().map(|d| d.bus_path.as_str()).collect();
        assert_eq!(bus_paths, ["usb1", "1-2", "1-10", "9-1"]);
        assert_eq!(all.devices[1].usb_id.to_string(), "0403:6001");
        assert_eq!(all.devices[1].interfaces, [(0xff, 0xff, 0xff)]);
        assert_eq!(all.devices[1].share.as_deref(), Some("/org/p2pusb1/shares/00c0ffee"));
        assert_eq!(all.devices[2].share, None);
        let labels: Vec<_> = all.peers.iter().map(|p| p.label.as_str()).collect();
        assert_eq!(labels, ["laptop", "Workshop"]);
        assert_eq!(all.peers[1].rtt_usec, 20_500);
        let ids: Vec<_> = all.remote_devices.iter().map(|d| d.remote_id.as_str()).collect();
        assert_eq!(ids, ["0000000a", "0000000b", "0000000c"]);
        assert_eq!(all.shares.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["00000bad", "00c0ffee"]);
        assert_eq!(all.shares[1].peers, [peer_path(WORKSHOP).to_string()]);
        assert_eq!(all.shares[1].owner_uid, 1000);
        assert_eq!(all.attachments[0].number, 1);
        assert_eq!(all.attachments[0].bytes_in, 1_500_000);
        assert_eq!(all.manager.version, "0.1.0");
    }

    #[test]
    fn texts_from_elsewhere_are_cleaned() {
        assert_eq!(example().manager.recently_ended[0].2, "Scanner\u{fffd}[2J");
    }

    #[test]
    fn a_property_that_is_missing_or_of_another_type_reads_as_nothing() {
        let properties = properties([("BusPath", 7u32.into()), ("Interfaces", "none".into())]);
        let device = Device::read("/org/p2pusb1/devices/1_2", &Reader(&properties));
        assert_eq!((device.bus_path.as_str(), device.interfaces.len(), device.share), ("", 0, None));
    }

    #[test]
    fn a_name_does_not_repeat_the_manufacturer() {
        assert_eq!(full_name("FTDI", "FT232R"), "FTDI FT232R");
        assert_eq!(full_name("SanDisk", "Sandisk Ultra"), "Sandisk Ultra");
        assert_eq!(full_name("", "Ultra"), "Ultra");
        assert_eq!(full_name("ACME", ""), "ACME");
    }

    #[test]
    fn a_peer_that_is_gone_still_has_a_name() {
        let all = example();
        assert_eq!(all.peer_name(&peer_path(WORKSHOP)), "Workshop");
        assert_eq!(all.peer_name("/org/p2pusb1/peers/0123456789abcdef"), "0123456789abcdef");
    }
}
