//! Object paths of the engine's objects, and back.

use p2pusb_dbus::{names::NO_OBJECT, path};
use zbus::{ObjectPath, OwnedObjectPath};

use crate::{engine::view::ObjectId, peer::PeerId, usb::BusPath};

pub(super) fn of(id: &ObjectId) -> OwnedObjectPath {
    match id {
        ObjectId::Manager => {
            OwnedObjectPath::from(ObjectPath::from_static_str_unchecked(p2pusb_dbus::names::ROOT_PATH))
        }
        ObjectId::Device(bus_path) => device(bus_path),
        ObjectId::Share(id) => path::share_path(id),
        ObjectId::Peer(id) => peer(*id),
        ObjectId::RemoteDevice(peer, id) => path::remote_device_path(&peer.to_string(), id),
        ObjectId::Attachment(number) => path::attachment_path(*number),
    }
}

pub(super) fn none() -> OwnedObjectPath {
    OwnedObjectPath::from(ObjectPath::from_static_str_unchecked(NO_OBJECT))
}

pub(super) fn device(bus_path: &BusPath) -> OwnedObjectPath {
    path::device_path(bus_path.as_str())
}

pub(super) fn peer(id: PeerId) -> OwnedObjectPath {
    path::peer_path(&id.to_string())
}

pub(super) fn or_none<T>(object: Option<T>, path: impl FnOnce(T) -> OwnedObjectPath) -> OwnedObjectPath {
    object.map_or_else(none, path)
}
