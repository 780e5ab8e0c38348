//! Which ids a device may come back under: a board that is being flashed leaves the bus, and is another device until that is
//! done.

use std::fmt;

use p2pusb_dbus::names::FOLLOWS_MAX;
use p2pusb_protocol::InterfaceClass;
use serde::{Deserialize, Serialize};

use super::{InterfacePattern, UsbIdPattern};

/// The ids that somebody has named. None of them means that a device is only ever itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Follows(Vec<UsbIdPattern>);

impl Follows {
    /// Whether a device may come back as this one.
    pub fn matches(&self, vendor: u16, product: u16) -> bool {
        self.0.iter().any(|pattern| pattern.matches(vendor, product))
    }

    /// As they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(UsbIdPattern::to_string).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Vec<String>> for Follows {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        if texts.len() > FOLLOWS_MAX {
            return Err(format!("there are {} ids to follow; it can be {FOLLOWS_MAX} at most", texts.len()));
        }
        Ok(Self(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?))
    }
}

impl From<Follows> for Vec<String> {
    fn from(follows: Follows) -> Self {
        follows.texts()
    }
}

/// What a peer's device was offered as when somebody attached it. The share's id alone would let the peer put another device
/// in its place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Known {
    /// Vendor and product.
    pub id: UsbIdPattern,
    /// Its interfaces' types.
    pub interfaces: Vec<InterfacePattern>,
}

/// What a device that is offered now has, and the one that was attached had not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlike {
    /// Another vendor or product.
    Id(UsbIdPattern),
    /// An interface of another type.
    Interface(InterfacePattern),
}

impl Known {
    /// A device as it is now.
    pub fn new(vendor: u16, product: u16, interfaces: &[InterfaceClass]) -> Self {
        Self {
            id: UsbIdPattern::exactly(vendor, product),
            interfaces: interfaces.iter().copied().map(InterfacePattern::exactly).collect(),
        }
    }

    /// Whether a device is no other than this one: its id, and no interface of a type that this one had not.
    pub(crate) fn check(&self, vendor: u16, product: u16, interfaces: &[InterfaceClass]) -> Result<(), Unlike> {
        if !self.id.matches(vendor, product) {
            return Err(Unlike::Id(UsbIdPattern::exactly(vendor, product)));
        }
        let is_known = |interface| self.interfaces.iter().any(|known| known.matches(interface));
        match interfaces.iter().find(|interface| !is_known(**interface)) {
            Some(new) => Err(Unlike::Interface(InterfacePattern::exactly(*new))),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Unlike {
    /// Writes the end of a sentence about what it is unlike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "has the id {id}"),
            Self::Interface(interface) => write!(f, "has an interface that it had not, {interface}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SERIAL: InterfaceClass = InterfaceClass { class: 2, subclass: 2, protocol: 1 };
    const DISK: InterfaceClass = InterfaceClass { class: 8, subclass: 6, protocol: 0x50 };
    const KEYBOARD: InterfaceClass = InterfaceClass { class: 3, subclass: 1, protocol: 1 };

    fn follows(texts: &[&str]) -> Result<Follows, String> {
        texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn only_what_is_named_is_followed() {
        let named = follows(&["2e8a:0003", "1209:*"]).unwrap();
        for (vendor, product, expected) in
            [(0x2e8a, 0x0003, true), (0x2e8a, 0x000a, false), (0x1209, 0xdb42, true), (0x046d, 0xc31c, false)]
        {
            assert_eq!(named.matches(vendor, product), expected, "{vendor:04x}:{product:04x}");
        }
        assert!(!follows(&[]).unwrap().matches(0x2e8a, 0x0003));
    }

    #[test]
    fn what_is_no_id_and_what_is_too_much_is_told() {
        assert!(follows(&["2e8a"]).unwrap_err().contains("0781:5567"));
        assert!(follows(&["2e8a:0003"; FOLLOWS_MAX]).is_ok());
        let many = follows(&["2e8a:0003"; FOLLOWS_MAX + 1]).unwrap_err();
        assert!(many.contains("9 ids") && many.contains("8 at most"), "{many}");
    }

    #[test]
    fn they_are_kept_as_they_are_written() {
        let kept = toml::to_string(&toml::Table::from_iter([(
            "follows".to_owned(),
            toml::Value::try_from(follows(&["2E8A:0003", "*:*"]).unwrap()).unwrap(),
        )]));
        assert_eq!(kept.unwrap(), "follows = [\"2e8a:0003\", \"*:*\"]\n");
    }

    #[test]
    fn a_camera_that_comes_back_as_a_keyboard_is_another_device() {
        let board = Known::new(0x2e8a, 0x000a, &[SERIAL, DISK]);
        assert_eq!(board.check(0x2e8a, 0x000a, &[SERIAL, DISK]), Ok(()));
        assert_eq!(board.check(0x2e8a, 0x000a, &[DISK]), Ok(()));
        let other = board.check(0x2e8a, 0x0003, &[DISK]).unwrap_err();
        assert_eq!(other.to_string(), "has the id 2e8a:0003");
        // The id is only what the peer says.
        let keyboard = board.check(0x2e8a, 0x000a, &[SERIAL, KEYBOARD]).unwrap_err();
        assert_eq!(keyboard.to_string(), "has an interface that it had not, 03:01:01");
    }

    proptest! {
        #[test]
        fn a_device_is_like_itself_and_like_nothing_with_another_id(vendor: u16, product: u16, other: (u16, u16)) {
            let known = Known::new(vendor, product, &[DISK]);
            let kept: Known = toml::from_str(&toml::to_string(&known).unwrap()).unwrap();
            prop_assert_eq!(&kept, &known);
            prop_assert_eq!(kept.check(vendor, product, &[DISK]), Ok(()));
            prop_assert_eq!(kept.check(other.0, other.1, &[DISK]).is_ok(), other == (vendor, product));
        }
    }
}
