//! What the interfaces of a device are together, with the operators of usbguard-rules.conf(5).

use std::fmt;

use p2pusb_protocol::InterfaceClass;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

use super::InterfacePattern;

/// A condition for all interfaces of a device. A device without any meets [`NoneOf`](Self::NoneOf) only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceSet {
    /// Some interface is of one of these types.
    OneOf(Vec<InterfacePattern>),
    /// For each of these types there is an interface.
    AllOf(Vec<InterfacePattern>),
    /// No interface is of any of these types.
    NoneOf(Vec<InterfacePattern>),
    /// For each of these types there is an interface, and there are no others.
    Equals(Vec<InterfacePattern>),
}

impl InterfaceSet {
    /// Whether a device with these interfaces meets it.
    pub fn matches(&self, interfaces: &[InterfaceClass]) -> bool {
        let is_there = |pattern: &InterfacePattern| interfaces.iter().any(|interface| pattern.matches(*interface));
        match self {
            Self::OneOf(patterns) => patterns.iter().any(is_there),
            Self::AllOf(patterns) => patterns.iter().all(is_there),
            Self::NoneOf(patterns) => !patterns.iter().any(is_there),
            Self::Equals(patterns) => {
                let is_named = |interface: &InterfaceClass| patterns.iter().any(|pattern| pattern.matches(*interface));
                patterns.iter().all(is_there) && interfaces.iter().all(is_named)
            }
        }
    }
}

/// How one is written.
const FORMS: &str = "an interface type such as \"08:06:50\" or \"03:*:*\", a list of them, of which one has to be there, or \
                     a table with one of the keys one-of, all-of, none-of and equals, such as { all-of = [\"08:*:*\"] }";

impl<'de> Deserialize<'de> for InterfaceSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

fn not_empty<E: de::Error>(patterns: Vec<InterfacePattern>) -> Result<Vec<InterfacePattern>, E> {
    if patterns.is_empty() {
        Err(E::custom(format!("an empty list says nothing; write {FORMS}")))
    } else {
        Ok(patterns)
    }
}

impl<'de> Visitor<'de> for Written {
    type Value = InterfaceSet;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FORMS)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<InterfaceSet, E> {
        Ok(InterfaceSet::OneOf(vec![text.parse().map_err(E::custom)?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<InterfaceSet, A::Error> {
        Ok(InterfaceSet::OneOf(not_empty(Vec::deserialize(SeqAccessDeserializer::new(list))?)?))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InterfaceSet, A::Error> {
        let operator: Option<Operator> = map.next_key()?;
        let Some(operator) = operator else { return Err(de::Error::custom(format!("it is empty; write {FORMS}"))) };
        let patterns = not_empty(map.next_value()?)?;
        if map.next_key::<Operator>()?.is_some() {
            return Err(de::Error::custom("there is more than one operator; write one, or several rules"));
        }
        Ok(match operator {
            Operator::OneOf => InterfaceSet::OneOf(patterns),
            Operator::AllOf => InterfaceSet::AllOf(patterns),
            Operator::NoneOf => InterfaceSet::NoneOf(patterns),
            Operator::Equals => InterfaceSet::Equals(patterns),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Operator {
    OneOf,
    AllOf,
    NoneOf,
    Equals,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DISK: InterfaceClass = InterfaceClass { class: 8, subclass: 6, protocol: 0x50 };
    const KEYBOARD: InterfaceClass = InterfaceClass { class: 3, subclass: 1, protocol: 1 };

    fn read(text: &str) -> Result<InterfaceSet, String> {
        #[derive(Deserialize)]
        struct Line {
            with: InterfaceSet,
        }
        toml::from_str::<Line>(&format!("with = {text}")).map(|line| line.with).map_err(|error| error.to_string())
    }

    #[test]
    fn operators_are_usbguards() {
        // Which of: a disk, a keyboard, both, nothing.
        for (text, expected) in [
            ("\"03:*:*\"", [false, true, true, false]),
            ("[\"03:*:*\", \"07:*:*\"]", [false, true, true, false]),
            ("{ one-of = [\"03:*:*\", \"08:*:*\"] }", [true, true, true, false]),
            ("{ all-of = [\"03:*:*\", \"08:06:50\"] }", [false, false, true, false]),
            ("{ none-of = [\"03:*:*\"] }", [true, false, false, true]),
            ("{ equals = [\"08:06:50\"] }", [true, false, false, false]),
            ("{ equals = [\"*:*:*\"] }", [true, true, true, false]),
        ] {
            let set = read(text).unwrap();
            let devices = [&[DISK][..], &[KEYBOARD], &[DISK, KEYBOARD], &[]];
            assert_eq!(devices.map(|interfaces| set.matches(interfaces)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_right_forms() {
        for (text, said) in [
            ("5", "one-of"),
            ("[]", "one-of"),
            ("{}", "one-of"),
            ("[\"3:*:*\"]", "08:06:50"),
            ("\"hid\"", "08:06:50"),
            ("{ any-of = [\"03:*:*\"] }", "one-of"),
            ("{ one-of = [\"03:*:*\"], none-of = [\"08:*:*\"] }", "more than one"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said) && error.contains("line 1"), "{text}: {error}");
        }
    }

    fn interfaces() -> impl Strategy<Value = Vec<InterfaceClass>> {
        let one = (0..3u8, 0..3u8, 0..3u8).prop_map(|(class, subclass, protocol)| InterfaceClass {
            class,
            subclass,
            protocol,
        });
        prop::collection::vec(one, 0..5)
    }

    fn patterns() -> impl Strategy<Value = Vec<InterfacePattern>> {
        let one = (0..3u8, prop::option::of((0..3u8, prop::option::of(0..3u8)))).prop_map(|(class, rest)| {
            let (subclass, protocol) = rest.map_or((None, None), |(subclass, protocol)| (Some(subclass), protocol));
            let part = |part: Option<u8>| part.map_or("*".to_owned(), |number| format!("{number:02x}"));
            format!("{class:02x}:{}:{}", part(subclass), part(protocol)).parse().unwrap()
        });
        prop::collection::vec(one, 1..4)
    }

    proptest! {
        #[test]
        fn operators_agree_with_each_other(interfaces in interfaces(), patterns in patterns()) {
            let met = |set: fn(Vec<InterfacePattern>) -> InterfaceSet| set(patterns.clone()).matches(&interfaces);
            prop_assert_eq!(met(InterfaceSet::OneOf), !met(InterfaceSet::NoneOf));
            prop_assert!(!met(InterfaceSet::AllOf) || met(InterfaceSet::OneOf));
            prop_assert!(!met(InterfaceSet::Equals) || met(InterfaceSet::AllOf));
        }

        #[test]
        fn no_interface_hides_behind_others(interfaces in interfaces(), patterns in patterns(), more in interfaces()) {
            // What a rule has found in some of the interfaces, it finds in more of them.
            let all = [interfaces.clone(), more].concat();
            let found = |interfaces: &[InterfaceClass]| InterfaceSet::OneOf(patterns.clone()).matches(interfaces);
            prop_assert!(!found(&interfaces) || found(&all));
        }
    }
}
