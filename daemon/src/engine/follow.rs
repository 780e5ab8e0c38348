//! Devices that leave the bus and come back under another id, as a board does that is being flashed. A share follows them by the
//! port: what is plugged in where its own device was, under an id that somebody has named, is its device until that one is
//! back.

use p2pusb_protocol::EndReason;
use tracing::{info, warn};

use super::{Engine, derived::Origin, shares::Share};
use crate::usb::{BusPath, DeviceInfo};

impl Engine {
    /// The plugged device that a share is for: its own, or the one that stands in for it.
    pub(super) fn device_of(&self, share: &Share) -> Option<&DeviceInfo> {
        self.plugged(&share.record.stable_id).or_else(|| {
            let info = self.devices.get(share.record.port.as_ref()?)?;
            (self.stands_in(share, info) && self.exclusion(info).is_none()).then_some(info)
        })
    }

    /// The share that a plugged device is offered by.
    pub(super) fn share_of(&self, info: &DeviceInfo) -> Option<&Share> {
        let is = |share: &&Share| self.device_of(share).is_some_and(|device| device.bus_path == info.bus_path);
        self.shares.values().find(is)
    }

    /// Whether a device is followed, and so is not to be shared as what it is now.
    pub(super) fn is_followed(&self, info: &DeviceInfo) -> bool {
        self.shares.values().any(|share| !share.ending && self.stands_in(share, info))
    }

    /// Whether a device stands in for the one that a share is for.
    fn stands_in(&self, share: &Share, info: &DeviceInfo) -> bool {
        share.record.port.as_ref() == Some(&info.bus_path)
            && self.own_port(share).is_none()
            && self.may_stand_in(share, info)
    }

    /// Whether it may: it has one of the ids, and nobody has shared it as what it is.
    fn may_stand_in(&self, share: &Share, info: &DeviceInfo) -> bool {
        share.record.follows.matches(info.vendor_id, info.product_id) && {
            let id = self.identity(info);
            !self.shares.values().any(|other| other.origin == Origin::Person && other.record.stable_id == id)
        }
    }

    /// Where a share's own device is plugged in, shareable or not.
    fn own_port(&self, share: &Share) -> Option<&BusPath> {
        self.own(share).map(|info| &info.bus_path)
    }

    fn own(&self, share: &Share) -> Option<&DeviceInfo> {
        self.devices.values().find(|info| self.identity(info) == share.record.stable_id)
    }

    /// Where a share's own device was seen last. Whatever else is plugged in there has taken its place for good, even if it goes
    /// again: only one share can be about a port.
    fn last_port(&self, share: &Share) -> Option<BusPath> {
        if let Some(port) = self.own_port(share) {
            return Some(port.clone());
        }
        let port = share.record.port.as_ref()?;
        let is_taken = self.devices.get(port).is_some_and(|info| !self.may_stand_in(share, info));
        (!is_taken).then(|| port.clone())
    }

    /// Remembers where the devices of shares that follow are plugged in; over a restart as well, which may come between.
    pub(super) async fn see_ports(&mut self) {
        let follow = self.shares.iter().filter(|(_, share)| !share.record.follows.is_empty());
        let ports = follow.map(|(id, share)| (id.clone(), self.last_port(share), self.own(share).cloned()));
        for (id, port, own) in ports.collect::<Vec<_>>() {
            let Some(share) = self.shares.get_mut(&id) else { continue };
            if own.is_some() {
                share.last = own;
            }
            if share.record.port == port {
                continue;
            }
            share.record.port = port;
            if share.origin.is_derived() {
                continue;
            }
            let record = share.record.clone();
            if let Err(error) = self.keep(move |store| store.save_share(&record)).await {
                warn!(P2PUSB_SHARE = id, "after a restart its device may not be followed: {error}");
            }
        }
    }

    /// Ends claims on devices that stood in for another one and do so no longer, although they are still there.
    pub(super) fn stop_stand_ins(&self) {
        for (id, share) in &self.shares {
            // One that was pulled out has been told so already.
            let Some(device) = share.claimed_stand_in().filter(|device| self.devices.contains_key(device)) else {
                continue;
            };
            if self.device_of(share).is_none_or(|now| now.bus_path != *device) {
                info!(P2PUSB_DEVICE = %device, P2PUSB_SHARE = id, "it does not stand in for the shared device any longer");
                share.stop(EndReason::DeviceUnplugged);
            }
        }
    }
}
