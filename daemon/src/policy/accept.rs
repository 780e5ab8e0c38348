//! What peers' devices may be here, before this machine's kernel sees them.

use std::{collections::BTreeMap, fmt};

use p2pusb_protocol::InterfaceClass;

use super::{Follows, InterfacePattern};
use crate::peer::PeerId;

/// The rule for all peers, and the rules for some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// What a device may present, whoever offers it.
    pub everyone: Vec<InterfacePattern>,
    /// What it may present instead where one of these offers it, by label or by the whole endpoint id.
    pub from: BTreeMap<String, Vec<InterfacePattern>>,
    /// Under which ids an attached device may come back, whichever it is.
    pub follow: Follows,
}

impl Default for Accept {
    fn default() -> Self {
        Self { everyone: vec![InterfacePattern::ANY], from: BTreeMap::new(), follow: Follows::default() }
    }
}

impl Accept {
    /// What a device of this peer that was offered as this may present. An id counts before a label.
    pub(crate) fn device(&self, peer: PeerId, label: &str, offered: &[InterfaceClass]) -> Presentable {
        let own = self.from.get(&peer.to_string()).or_else(|| self.from.get(label));
        Presentable { accepted: own.unwrap_or(&self.everyone).clone(), offered: offered.to_vec() }
    }
}

/// What one device may present to the kernel: no more than it was offered as, and of that what this machine accepts.
#[derive(Debug, Clone)]
pub(crate) struct Presentable {
    accepted: Vec<InterfacePattern>,
    offered: Vec<InterfaceClass>,
}

/// An interface that a peer's device must not have here, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unaccepted {
    /// The settings do not accept it.
    ByRule(InterfaceClass),
    /// The peer has not said that the device has it.
    NotOffered(InterfaceClass),
}

impl Presentable {
    /// Before the peer is asked: what the device was offered as.
    pub(crate) fn check_offer(&self) -> Result<(), Unaccepted> {
        self.offered.iter().try_for_each(|interface| self.check(*interface))
    }

    /// What the device presents now.
    pub(crate) fn check(&self, interface: InterfaceClass) -> Result<(), Unaccepted> {
        if !self.offered.contains(&interface) {
            return Err(Unaccepted::NotOffered(interface));
        }
        if !self.accepted.iter().any(|pattern| pattern.matches(interface)) {
            return Err(Unaccepted::ByRule(interface));
        }
        Ok(())
    }
}

impl fmt::Display for Unaccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByRule(interface) => {
                write!(f, "it has {}, which the settings ([attach] in p2pusb.toml) do not accept", Named(*interface))
            }
            Self::NotOffered(interface) => {
                write!(f, "it presents {}, and was offered as a device without one", Named(*interface))
            }
        }
    }
}

/// An interface as people call it, where they have a word for it, and as rules write it.
struct Named(InterfaceClass);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InterfaceClass { class, subclass, protocol } = self.0;
        // https://www.usb.org/defined-class-codes, and appendix B of the HID specification for 3.
        let word = match (class, subclass, protocol) {
            (0x03, 1, 1) => "a keyboard",
            (0x03, 1, 2) => "a mouse",
            (0x03, ..) => "an input device",
            (0x01, ..) => "an audio interface",
            (0x02, ..) => "a modem or network interface",
            (0x08, ..) => "a disk",
            (0x09, ..) => "a hub",
            (0xe0, ..) => "a radio",
            _ => "an interface",
        };
        write!(f, "{word} ({class:02x}:{subclass:02x}:{protocol:02x})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: InterfaceClass = InterfaceClass { class: 8, subclass: 6, protocol: 0x50 };
    const KEYBOARD: InterfaceClass = InterfaceClass { class: 3, subclass: 1, protocol: 1 };

    fn peer() -> PeerId {
        iroh::SecretKey::from_bytes(&[3; 32]).public().into()
    }

    fn accept(everyone: &[&str], from: &[(&str, &[&str])]) -> Accept {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let from = from.iter().map(|(name, texts)| ((*name).to_owned(), patterns(texts))).collect();
        Accept { everyone: patterns(everyone), from, follow: Follows::default() }
    }

    #[test]
    fn a_device_is_no_more_than_it_was_offered_as() {
        let disk = Accept::default().device(peer(), "a", &[DISK]);
        assert_eq!(disk.check_offer(), Ok(()));
        assert_eq!(disk.check(DISK), Ok(()));
        let no = disk.check(KEYBOARD).unwrap_err();
        assert_eq!(no.to_string(), "it presents a keyboard (03:01:01), and was offered as a device without one");
    }

    #[test]
    fn of_what_it_was_offered_as_the_rule_decides() {
        let both = accept(&["08:*:*"], &[]).device(peer(), "a", &[DISK, KEYBOARD]);
        assert_eq!(both.check_offer(), Err(Unaccepted::ByRule(KEYBOARD)));
        assert_eq!(both.check(DISK), Ok(()));
        // An empty list is an answer: nothing.
        assert_eq!(accept(&[], &[]).device(peer(), "a", &[DISK]).check_offer(), Err(Unaccepted::ByRule(DISK)));
    }

    #[test]
    fn a_peer_of_its_own_has_its_own_rule() {
        let id = peer().to_string();
        let rules = accept(&[], &[("workshop", &["03:*:*"]), (&id, &["08:*:*"])]);
        assert_eq!(rules.device(peer(), "workshop", &[DISK]).check_offer(), Ok(()));
        let other = iroh::SecretKey::from_bytes(&[4; 32]).public().into();
        assert_eq!(rules.device(other, "workshop", &[KEYBOARD]).check_offer(), Ok(()));
        assert!(rules.device(other, "home", &[KEYBOARD]).check_offer().is_err());
    }
}
