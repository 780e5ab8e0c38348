//! What an administrator's rules say of a device: shared by itself, or never.

use std::{fmt, sync::Arc};

use p2pusb_protocol::InterfaceClass;

use super::{Follows, Glob, InterfaceSet, PeerNames, Terms, UsbIdPattern};

/// What rules look at.
pub struct Attributes<'a> {
    /// idVendor and idProduct
    pub id: (u16, u16),
    /// The serial number; it must not be shown.
    pub serial: Option<&'a [u8]>,
    /// What it is called.
    pub name: &'a str,
    /// Where it is plugged.
    pub port: &'a str,
    /// All its interfaces: those of every configuration, in every alternate setting.
    pub interfaces: &'a [InterfaceClass],
}

/// What a device must be like for a rule to be about it: everything that is there must be met.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Vendor and product.
    pub id: Option<UsbIdPattern>,
    /// The serial number, exactly.
    pub serial: Option<String>,
    /// The product's name.
    pub name: Option<Glob>,
    /// The bus path.
    pub via_port: Option<Glob>,
    /// Its interfaces.
    pub with_interface: Option<InterfaceSet>,
}

impl Conditions {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a device meets all of them.
    pub fn met_by(&self, device: &Attributes<'_>) -> bool {
        let (vendor, product) = device.id;
        self.id.is_none_or(|id| id.matches(vendor, product))
            && self.serial.as_ref().is_none_or(|serial| device.serial == Some(serial.as_bytes()))
            && self.name.as_ref().is_none_or(|name| name.matches(device.name))
            && self.via_port.as_ref().is_none_or(|port| port.matches(device.port))
            && self.with_interface.as_ref().is_none_or(|set| set.matches(device.interfaces))
    }
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (vendor, product) = self.id;
        f.debug_struct("Attributes")
            .field("id", &format_args!("{vendor:04x}:{product:04x}"))
            // It must not get into a log.
            .field("serial", &self.serial.map(|_| "redacted"))
            .field("name", &self.name)
            .field("port", &self.port)
            .field("interfaces", &self.interfaces)
            .finish()
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conditions")
            .field("id", &self.id)
            // It must not get into a log.
            .field("serial", &self.serial.as_ref().map(|_| "redacted"))
            .field("name", &self.name)
            .field("via_port", &self.via_port)
            .field("with_interface", &self.with_interface)
            .finish()
    }
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The device is shared by itself.
    Share {
        /// With whom; `None` means every paired peer.
        peers: Option<PeerNames>,
        /// At which hours, and for how long at a time.
        terms: Terms,
        /// Under which ids it may come back.
        follows: Follows,
    },
    /// The device is never shared, whatever else is said.
    NeverShare,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What people call it.
    pub label: Option<String>,
    /// Where it begins in the text of all settings, in bytes …
    pub at: usize,
    /// … and what people call that place; empty before somebody has said it.
    pub place: String,
    /// Which devices it is about.
    pub conditions: Conditions,
    /// What it does.
    pub action: Action,
}

impl fmt::Display for Rule {
    /// Writes what people find it by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.label, self.place.as_str()) {
            (Some(label), "") => write!(f, "the rule “{label}”"),
            (Some(label), place) => write!(f, "the rule “{label}” ({place})"),
            (None, "") => f.write_str("a rule of the settings"),
            (None, place) => write!(f, "the rule in {place}"),
        }
    }
}

/// All rules, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(Vec<Arc<Rule>>);

impl Rules {
    /// The rule that decides about a device: the first one that never shares it, else the first one that shares it.
    pub fn about(&self, device: &Attributes<'_>) -> Option<Arc<Rule>> {
        let met = || self.0.iter().filter(|rule| rule.conditions.met_by(device));
        met().find(|rule| rule.action == Action::NeverShare).or_else(|| met().next()).cloned()
    }

    /// Says where each of them is written, in words for people.
    pub fn name_places(&mut self, place: impl Fn(usize) -> String) {
        for rule in &mut self.0 {
            let rule = Arc::make_mut(rule);
            rule.place = place(rule.at);
        }
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Self(rules.into_iter().map(Arc::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn disk() -> Attributes<'static> {
        Attributes {
            id: (0x0781, 0x5567),
            serial: Some(b"4C530001"),
            name: "Cruzer Blade",
            port: "1-2.3",
            interfaces: &[InterfaceClass { class: 8, subclass: 6, protocol: 0x50 }],
        }
    }

    fn rule(conditions: Conditions, action: Action) -> Rule {
        Rule { label: None, at: 0, place: String::new(), conditions, action }
    }

    fn id(text: &str) -> Option<UsbIdPattern> {
        Some(text.parse().unwrap())
    }

    fn glob(text: &str) -> Option<Glob> {
        Some(text.parse().unwrap())
    }

    fn interface(text: &str) -> Option<InterfaceSet> {
        Some(InterfaceSet::OneOf(vec![text.parse().unwrap()]))
    }

    #[test]
    fn every_condition_counts() {
        let all = Conditions {
            id: id("0781:*"),
            serial: Some("4C530001".to_owned()),
            name: glob("Cruzer*"),
            via_port: glob("1-2.*"),
            with_interface: interface("08:*:*"),
        };
        assert!(all.met_by(&disk()));
        for other in [
            Conditions { id: id("0782:*"), ..all.clone() },
            Conditions { serial: Some("4c530001".to_owned()), ..all.clone() },
            Conditions { name: glob("Blade"), ..all.clone() },
            Conditions { via_port: glob("2-*"), ..all.clone() },
            Conditions { with_interface: interface("03:*:*"), ..all.clone() },
        ] {
            assert!(!other.met_by(&disk()), "{other:?}");
        }
        assert!(!all.met_by(&Attributes { serial: None, ..disk() }));
    }

    #[test]
    fn a_serial_number_is_in_no_log() {
        let conditions = Conditions { serial: Some("4C530001".to_owned()), ..Conditions::default() };
        assert!(!format!("{conditions:?}").contains("4C53"), "{conditions:?}");
        assert!(!format!("{:?}", disk()).contains("52, 67"), "{:?}", disk());
    }

    #[test]
    fn a_rule_is_called_by_its_label_and_its_place() {
        let rule = |label: Option<&str>, place: &str| {
            let label = label.map(str::to_owned);
            Rule { label, place: place.to_owned(), ..self::rule(Conditions::default(), Action::NeverShare) }.to_string()
        };
        assert_eq!(rule(Some("keys"), "p2pusb.toml, line 3"), "the rule “keys” (p2pusb.toml, line 3)");
        assert_eq!(rule(None, "p2pusb.toml, line 3"), "the rule in p2pusb.toml, line 3");
    }

    fn any_rule() -> impl Strategy<Value = Rule> {
        let id = prop::option::of(prop::sample::select(vec!["0781:*", "0781:5567", "0403:*", "*:*"]));
        let class = prop::option::of(prop::sample::select(vec!["08:*:*", "03:*:*"]));
        (id, class, any::<bool>()).prop_map(|(id, class, never)| {
            let conditions = Conditions {
                id: id.map(|id| id.parse().unwrap()),
                with_interface: class.and_then(interface),
                ..Conditions::default()
            };
            rule(
                conditions,
                if never {
                    Action::NeverShare
                } else {
                    Action::Share { peers: None, terms: Terms::default(), follows: Follows::default() }
                },
            )
        })
    }

    proptest! {
        #[test]
        fn never_wins_wherever_it_stands_and_the_first_share_wins_else(rules in prop::collection::vec(any_rule(), 0..8)) {
            let about = rules.iter().cloned().collect::<Rules>().about(&disk());
            let met: Vec<&Rule> = rules.iter().filter(|rule| rule.conditions.met_by(&disk())).collect();
            let never = met.iter().find(|rule| rule.action == Action::NeverShare);
            prop_assert_eq!(about.as_deref(), never.or_else(|| met.first()).copied());
        }

        #[test]
        fn another_condition_never_makes_a_rule_meet_more(rule in any_rule()) {
            let narrower = Conditions { name: glob("Cruzer*"), ..rule.conditions.clone() };
            prop_assert!(!narrower.met_by(&disk()) || rule.conditions.met_by(&disk()));
        }
    }
}
