//! Peers as an administrator names them, in a udev property or a rule: by label, or by the beginning of the endpoint id.

use crate::peer::PeerId;

/// The shortest beginning of an endpoint id that names a peer, in hexadecimal digits. Shorter ones might be somebody else's
/// as well.
const PEER_PREFIX_MIN: usize = 8;

/// Names of peers. One that is nobody's yet counts as soon as somebody of that name is paired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerNames(Vec<String>);

impl PeerNames {
    /// Names that are separated by spaces or commas.
    pub fn parse(text: &str) -> Self {
        text.split([' ', '\t', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Whether a peer is among them.
    pub fn name(&self, id: PeerId, label: &str) -> bool {
        let (id, label) = (id.to_string(), label.to_lowercase());
        let begins = |name: &str| name.len() >= PEER_PREFIX_MIN && id.starts_with(&name.to_ascii_lowercase());
        self.0.iter().any(|name| name.to_lowercase() == label || begins(name))
    }

    /// As they are written.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl FromIterator<String> for PeerNames {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(key: u8) -> PeerId {
        iroh::SecretKey::from_bytes(&[key; 32]).public().into()
    }

    #[test]
    fn a_peer_is_named_by_its_label_or_by_enough_of_its_id() {
        let id = peer(9).to_string();
        for text in ["desk", "laptop, desk", "laptop desk", &id, &id[..8], &id[..20].to_uppercase(), ",,desk ", "DESK"]
        {
            assert!(PeerNames::parse(text).name(peer(9), "desk"), "{text}");
        }
        for text in ["", ",", "des", "desk2", &id[..7], &id[1..], &peer(8).to_string()] {
            assert!(!PeerNames::parse(text).name(peer(9), "desk"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(names in prop::collection::vec("[a-z0-9.-]{1,20}", 0..8), separator in "[ ,]{1,3}") {
            let read = PeerNames::parse(&names.join(&separator));
            prop_assert_eq!(read.as_slice(), names.as_slice());
        }

        #[test]
        fn no_short_name_is_an_id(key: u8, length in 0..PEER_PREFIX_MIN) {
            let id = peer(key).to_string();
            prop_assert!(!PeerNames::parse(&id[..length]).name(peer(key), "desk"));
        }
    }
}
