//! Object paths: how they are built from what they stand for, and read back.
//!
//! A path element holds nothing but ASCII letters, digits and `_`. Every other character of a name
//! becomes `_`, so what these functions build is always a valid object path, whatever they are given.

use zbus::{ObjectPath, OwnedObjectPath};

use crate::names::{ATTACHMENTS_PATH, DEVICES_PATH, PEER_PATH_DIGITS, PEERS_PATH, SHARES_PATH};

/// A name as one element of a path: `1-2.3` becomes `1_2_3`.
fn element(name: &str) -> String {
    if name.is_empty() {
        return "_".to_owned();
    }
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn object(path: String) -> OwnedObjectPath {
    // Each caller joins a valid constant and results of element(): see the test below, which holds
    // hostile input against the check that is left out here.
    ObjectPath::from_string_unchecked(path).into()
}

/// The part of an endpoint id that its object path carries.
fn peer_element(endpoint_id: &str) -> String {
    element(&endpoint_id.chars().take(PEER_PATH_DIGITS).collect::<String>())
}

/// The object of the device that is plugged at `bus_path` (`1-2.3`, or `usb1` for a root hub).
pub fn device_path(bus_path: &str) -> OwnedObjectPath {
    object(format!("{DEVICES_PATH}/{}", element(bus_path)))
}

/// The object of the share with this id (8 hexadecimal digits).
pub fn share_path(id: &str) -> OwnedObjectPath {
    object(format!("{SHARES_PATH}/{}", element(id)))
}

/// The object of the peer with this endpoint id. Only the first 16 of the 64 digits count, so the
/// element of a peer's path may be given as well.
pub fn peer_path(endpoint_id: &str) -> OwnedObjectPath {
    object(format!("{PEERS_PATH}/{}", peer_element(endpoint_id)))
}

/// The object of a device that a peer offers: the peer's endpoint id, and the id of the share on
/// the peer's machine.
pub fn remote_device_path(endpoint_id: &str, share_id: &str) -> OwnedObjectPath {
    object(format!("{PEERS_PATH}/{}/devices/{}", peer_element(endpoint_id), element(share_id)))
}

/// The object of the attachment with this number.
pub fn attachment_path(number: u32) -> OwnedObjectPath {
    object(format!("{ATTACHMENTS_PATH}/{number}"))
}

/// The single element that `path` has below `parent`.
fn child<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(parent)?.strip_prefix('/')?;
    (!rest.is_empty() && !rest.contains('/')).then_some(rest)
}

/// The bus path of a device's object: the inverse of [`device_path`]. It relies on the form of a bus
/// path, where only the first separator is a dash. `None` if it is no device's path.
pub fn device_bus_path(path: &str) -> Option<String> {
    let name = child(path, DEVICES_PATH)?;
    Some(match name.split_once('_') {
        Some((bus, ports)) => format!("{bus}-{}", ports.replace('_', ".")),
        None => name.to_owned(),
    })
}

/// The id of a share's object: the inverse of [`share_path`]. `None` if it is no share's path.
pub fn share_id(path: &str) -> Option<&str> {
    child(path, SHARES_PATH)
}

/// The first 16 digits of the endpoint id of a peer's object: the inverse of [`peer_path`]. `None`
/// if it is no peer's path; the path of a remote device is not.
pub fn peer_id(path: &str) -> Option<&str> {
    child(path, PEERS_PATH)
}

/// What [`remote_device_path`] was given: the first 16 digits of the peer's endpoint id, and the
/// share's id. `None` if it is no remote device's path.
pub fn remote_device_ids(path: &str) -> Option<(&str, &str)> {
    let (peer, device) = path.strip_prefix(PEERS_PATH)?.strip_prefix('/')?.split_once("/devices/")?;
    let plain = |s: &str| !s.is_empty() && !s.contains('/');
    (plain(peer) && plain(device)).then_some((peer, device))
}

/// The number of an attachment's object: the inverse of [`attachment_path`]. `None` if it is no
/// attachment's path.
pub fn attachment_number(path: &str) -> Option<u32> {
    child(path, ATTACHMENTS_PATH)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "8f0c6a1d2b3e4f50617283940a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d";

    #[test]
    fn paths_have_the_documented_form() {
        assert_eq!(device_path("1-2.3").as_str(), "/org/p2pusb1/devices/1_2_3");
        assert_eq!(device_path("usb1").as_str(), "/org/p2pusb1/devices/usb1");
        assert_eq!(share_path("00c0ffee").as_str(), "/org/p2pusb1/shares/00c0ffee");
        assert_eq!(peer_path(ID).as_str(), "/org/p2pusb1/peers/8f0c6a1d2b3e4f50");
        assert_eq!(remote_device_path(ID, "00c0ffee").as_str(), "/org/p2pusb1/peers/8f0c6a1d2b3e4f50/devices/00c0ffee");
        assert_eq!(attachment_path(7).as_str(), "/org/p2pusb1/attachments/7");
    }

    #[test]
    fn paths_round_trip() {
        for bus_path in ["1-1", "1-2.3", "12-4.1.2.3", "usb1", "usb10"] {
            assert_eq!(device_bus_path(&device_path(bus_path)).as_deref(), Some(bus_path));
        }
        assert_eq!(share_id(&share_path("00c0ffee")), Some("00c0ffee"));
        assert_eq!(peer_id(&peer_path(ID)), Some(&ID[..16]));
        assert_eq!(peer_path(&ID[..16]), peer_path(ID));
        assert_eq!(remote_device_ids(&remote_device_path(ID, "00c0ffee")), Some((&ID[..16], "00c0ffee")));
        for number in [0, 1, 15, u32::MAX] {
            assert_eq!(attachment_number(&attachment_path(number)), Some(number));
        }
    }

    #[test]
    fn a_path_of_another_kind_is_not_read() {
        let remote = remote_device_path(ID, "00c0ffee");
        assert_eq!(peer_id(&remote), None);
        assert_eq!(share_id(&remote), None);
        assert_eq!(remote_device_ids(&peer_path(ID)), None);
        assert_eq!(device_bus_path(DEVICES_PATH), None);
        assert_eq!(device_bus_path("/org/p2pusb1/devicesx/1_1"), None);
        assert_eq!(attachment_number("/org/p2pusb1/attachments/x"), None);
        assert_eq!(attachment_number("/"), None);
    }

    #[test]
    fn whatever_comes_in_the_path_is_valid() {
        for hostile in ["", "/", "//", "a/../b", "ä", "\0", "1-2.3\n", " ", "_", "-", ID] {
            for path in
                [device_path(hostile), share_path(hostile), peer_path(hostile), remote_device_path(hostile, hostile)]
            {
                ObjectPath::try_from(path.as_str()).unwrap_or_else(|e| panic!("{hostile:?} gave {path:?}: {e}"));
            }
        }
    }
}
