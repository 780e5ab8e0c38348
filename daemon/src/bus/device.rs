//! `org.p2pusb1.Device`

use p2pusb_dbus::path;
use zbus::{OwnedObjectPath, interface};

use super::{paths, shown::Shown};
use crate::engine::view::DeviceView;

#[derive(Debug)]
pub(super) struct Device {
    pub(super) view: Shown<DeviceView>,
}

#[interface(name = "org.p2pusb1.Device", introspection_docs = false)]
impl Device {
    #[zbus(property(emits_changed_signal = "const"))]
    fn stable_id(&self) -> String {
        self.view.now().stable_id.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn bus_path(&self) -> String {
        self.view.now().bus_path.to_string()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn sysfs_path(&self) -> String {
        self.view.now().sysfs.to_string_lossy().into_owned()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn vendor_id(&self) -> u16 {
        self.view.now().facts.vendor_id
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn product_id(&self) -> u16 {
        self.view.now().facts.product_id
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn manufacturer(&self) -> String {
        self.view.now().facts.manufacturer.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn product(&self) -> String {
        self.view.now().facts.product.clone()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn class(&self) -> u8 {
        self.view.now().facts.class
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn interfaces(&self) -> Vec<(u8, u8, u8)> {
        self.view.now().facts.interface_triples()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn speed(&self) -> &'static str {
        self.view.now().facts.speed.as_str()
    }

    #[zbus(property)]
    fn state(&self) -> &'static str {
        self.view.now().state
    }

    #[zbus(property)]
    fn excluded(&self) -> &'static str {
        self.view.now().excluded
    }

    #[zbus(property)]
    fn share(&self) -> OwnedObjectPath {
        paths::or_none(self.view.now().share.as_ref(), |id| path::share_path(id))
    }
}
