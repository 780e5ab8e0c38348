//! An example of what a daemon knows, for the tests of this program, and tests of reading it.

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

    for (id, label, state, path) in [(WORKSHOP, "Workshop", "online", "direct"), (LAPTOP, "laptop", "offline", "none")]
    {
        objects.insert(
            peer_path(id),
            object(
                interface::PEER,
                properties([
                    ("EndpointId", id.into()),
                    ("Label", label.into()),
                    ("Trust", "paired".into()),
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
                ("Origin", "person".into()),
                ("State", "in-use".into()),
                ("ClaimedBy", o(&peer_path(WORKSHOP))),
                ("Grace", 5u32.into()),
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
                ("Grace", 200u32.into()),
                ("Keep", true.into()),
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
    assert_eq!((all.attachments[0].grace, all.attachments[0].keep), (200, true));
    assert_eq!((all.shares[1].grace, all.shares[1].reconnect_deadline), (5, 0));
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
