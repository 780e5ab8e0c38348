//! Local devices: what is plugged in, and which share is for it.

use std::borrow::Cow;

use p2pusb_protocol::{EndReason, InterfaceClass, OfferedDevice};
use tracing::{debug, info};

use super::{
    Engine,
    view::{DeviceFacts, DeviceView, Object, ObjectId},
};
use crate::usb::{BusPath, DeviceInfo, DeviceKind, HotplugEvent};

/// A udev property that keeps a device from ever being shared, see udev-rules/README.md.
const IGNORE_PROPERTY: &str = "P2PUSB_IGNORE";

/// Why a device can never be shared: the word on the bus, and the sentence for people.
pub(super) type Exclusion = (&'static str, Cow<'static, str>);

impl From<&DeviceInfo> for DeviceFacts {
    fn from(info: &DeviceInfo) -> Self {
        Self {
            vendor_id: info.vendor_id,
            product_id: info.product_id,
            manufacturer: info.manufacturer.clone(),
            product: info.product.clone(),
            class: info.class,
            speed: info.speed,
            interfaces: info.interfaces.clone(),
        }
    }
}

impl From<&OfferedDevice> for DeviceFacts {
    fn from(device: &OfferedDevice) -> Self {
        Self {
            vendor_id: device.vendor_id,
            product_id: device.product_id,
            manufacturer: device.manufacturer.clone(),
            product: device.product.clone(),
            class: device.class,
            speed: device.speed,
            interfaces: device.interfaces.clone(),
        }
    }
}

impl DeviceFacts {
    /// What to call it: its product name, or its numbers.
    pub(super) fn name(&self) -> String {
        if self.product.is_empty() {
            format!("device {:04x}:{:04x}", self.vendor_id, self.product_id)
        } else {
            self.product.clone()
        }
    }

    /// As a peer is told, within the protocol's limits.
    pub(super) fn offered(&self, id: String, available: bool) -> OfferedDevice {
        OfferedDevice {
            id,
            vendor_id: self.vendor_id,
            product_id: self.product_id,
            class: self.class,
            manufacturer: p2pusb_protocol::clip(&self.manufacturer),
            product: p2pusb_protocol::clip(&self.name()),
            speed: self.speed,
            interfaces: self
                .interfaces
                .iter()
                .copied()
                .take(p2pusb_protocol::MAX_INTERFACES)
                .collect::<Vec<InterfaceClass>>(),
            available,
        }
    }
}

impl Engine {
    /// The identity of a plugged device: its stable id, with the bus path where another one claims the same.
    pub(super) fn identity(&self, info: &DeviceInfo) -> String {
        let id = info.stable_id();
        let twins = self.devices.values().filter(|other| other.stable_id() == id).count();
        if twins > 1 { format!("{id}@{}", info.bus_path) } else { id }
    }

    /// Why this device can never be shared.
    pub(super) fn exclusion(&self, info: &DeviceInfo) -> Option<Exclusion> {
        let always = |word: &'static str, why: &'static str| Some((word, Cow::Borrowed(why)));
        match info.kind {
            DeviceKind::RootHub => always("root-hub", "it is a root hub, a part of this machine's USB controller"),
            DeviceKind::Hub => always("hub", "it is a hub; share the devices that are plugged into it"),
            DeviceKind::Vhci if self.is_attached_here(info) => {
                always("attached-here", "it is attached here from another machine; share it there")
            }
            DeviceKind::Vhci | DeviceKind::Ordinary
                if info.properties.get(IGNORE_PROPERTY).is_some_and(|value| value == "1") =>
            {
                always("ignored", "a udev rule of this machine says P2PUSB_IGNORE")
            }
            // On a port that another program has taken: for that, sharing has to be forced.
            DeviceKind::Vhci | DeviceKind::Ordinary => {
                self.forbidding_rule(info).map(|rule| ("rule", format!("{rule} says never-share").into()))
            }
        }
    }

    /// Whether a device on a virtual port is one of our attachments. They have their port before the kernel sees the
    /// device.
    fn is_attached_here(&self, info: &DeviceInfo) -> bool {
        let port = self.kernel.port_of(&info.bus_path);
        port.is_some() && self.attachments.values().any(|attachment| attachment.port() == port)
    }

    /// The plugged device with this identity, where it can be shared.
    pub(super) fn plugged(&self, stable_id: &str) -> Option<&DeviceInfo> {
        self.devices.values().find(|info| self.identity(info) == stable_id && self.exclusion(info).is_none())
    }

    pub(super) async fn hotplug(&mut self, event: HotplugEvent) {
        match event {
            HotplugEvent::Bound(ref info) | HotplugEvent::Added(ref info) | HotplugEvent::Changed(ref info) => {
                let bus_path = info.bus_path.clone();
                if matches!(event, HotplugEvent::Added(_)) {
                    self.probe().await;
                }
                debug!(P2PUSB_DEVICE = %bus_path, "plugged: {:04x}:{:04x}", info.vendor_id, info.product_id);
                self.devices.insert(bus_path.clone(), info.clone());
                self.judge(&bus_path);
                self.publish_device(&bus_path).await;
                self.publish_attachments_at(&bus_path).await;
                if matches!(event, HotplugEvent::Bound(_)) {
                    self.attachment_bound(&bus_path).await;
                }
            }
            HotplugEvent::Removed(bus_path) => {
                if self.devices.remove(&bus_path).is_none() {
                    return;
                }
                self.judge(&bus_path);
                debug!(P2PUSB_DEVICE = %bus_path, "unplugged");
                for (id, share) in &self.shares {
                    if share.claimed_device() == Some(&bus_path) {
                        info!(P2PUSB_DEVICE = %bus_path, P2PUSB_SHARE = id, "unplugged while a peer uses it");
                        share.stop(EndReason::DeviceUnplugged);
                    }
                }
                self.hide(ObjectId::Device(bus_path.clone())).await;
                self.publish_attachments_at(&bus_path).await;
            }
            HotplugEvent::Disk(sysfs) => return self.disk_found(sysfs),
        }
        self.derive_shares().await;
        for share in self.shares.keys().cloned().collect::<Vec<_>>() {
            self.publish_share(&share).await;
        }
        self.publish_offers();
    }

    pub(super) async fn publish_device(&self, bus_path: &BusPath) {
        let Some(info) = self.devices.get(bus_path) else { return };
        let stable_id = self.identity(info);
        let excluded = self.exclusion(info).map_or("", |(word, _)| word);
        let share = self.share_of(info);
        let state = match share {
            _ if !excluded.is_empty() => "excluded",
            Some(share) if share.is_claimed() => "in-use",
            Some(_) => "shared",
            None => "available",
        };
        let view = DeviceView {
            bus_path: bus_path.clone(),
            sysfs: info.sysfs.clone(),
            stable_id,
            facts: info.into(),
            state,
            excluded,
            share: share.map(|share| share.record.id.clone()),
        };
        self.show(Object::Device(view)).await;
    }
}
