//! Which rule of the settings is about each device that is plugged in.

use std::sync::Arc;

use super::Engine;
use crate::{
    policy::{Action, Attributes, Rule},
    usb::{BusPath, DeviceInfo},
};

impl<'a> From<&'a DeviceInfo> for Attributes<'a> {
    fn from(info: &'a DeviceInfo) -> Self {
        Self {
            id: (info.vendor_id, info.product_id),
            serial: info.serial(),
            name: &info.product,
            port: info.bus_path.as_str(),
            interfaces: &info.interfaces,
        }
    }
}

impl Engine {
    /// Holds a device against the rules, when it is plugged in or is different from before.
    pub(super) fn judge(&mut self, bus_path: &BusPath) {
        match self.devices.get(bus_path).and_then(|info| self.rules.about(&info.into())) {
            Some(rule) => drop(self.judged.insert(bus_path.clone(), rule)),
            None => drop(self.judged.remove(bus_path)),
        }
    }

    /// Holds all devices against the rules.
    pub(super) fn judge_all(&mut self) {
        for bus_path in self.devices.keys().cloned().collect::<Vec<_>>() {
            self.judge(&bus_path);
        }
    }

    /// The rule by which a device is shared.
    pub(super) fn sharing_rule(&self, info: &DeviceInfo) -> Option<&Arc<Rule>> {
        self.judged.get(&info.bus_path).filter(|rule| rule.action != Action::NeverShare)
    }

    /// The rule by which a device is never shared.
    pub(super) fn forbidding_rule(&self, info: &DeviceInfo) -> Option<&Arc<Rule>> {
        self.judged.get(&info.bus_path).filter(|rule| rule.action == Action::NeverShare)
    }
}
