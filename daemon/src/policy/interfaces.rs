//! Which interfaces a device may have, in the words of usbguard-rules.conf(5): `08:06:50`, `08:*:*`, `*:*:*`.

use std::{fmt, str::FromStr};

use p2pusb_protocol::InterfaceClass;
use serde::{Deserialize, Serialize};

/// A set of interface types: class, subclass and protocol in hexadecimal digits, where `*` stands for every number. Behind
/// a `*` there are only more of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct InterfacePattern {
    class: Option<u8>,
    subclass: Option<u8>,
    protocol: Option<u8>,
}

impl InterfacePattern {
    /// All there are.
    pub const ANY: Self = Self { class: None, subclass: None, protocol: None };

    /// The type of this interface alone.
    pub fn exactly(interface: InterfaceClass) -> Self {
        let InterfaceClass { class, subclass, protocol } = interface;
        Self { class: Some(class), subclass: Some(subclass), protocol: Some(protocol) }
    }

    /// Whether an interface is of one of these types.
    pub fn matches(self, interface: InterfaceClass) -> bool {
        let is = |wanted: Option<u8>, number| wanted.is_none_or(|wanted| wanted == number);
        is(self.class, interface.class)
            && is(self.subclass, interface.subclass)
            && is(self.protocol, interface.protocol)
    }
}

impl FromStr for InterfacePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "“{text}” is no interface type: it is class:subclass:protocol, each of them two hexadecimal digits or *, \
                 and only * behind a *, such as 08:06:50, 03:*:* or *:*:*"
            )
        };
        let number = |text: &str| match text {
            "*" => Some(None),
            // from_str_radix takes a sign, too.
            digits if digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                u8::from_str_radix(digits, 16).ok().map(Some)
            }
            _ => None,
        };
        let mut parts = text.split(':').map(number);
        let mut next = || parts.next().flatten().ok_or_else(wrong);
        let pattern = Self { class: next()?, subclass: next()?, protocol: next()? };
        match pattern {
            _ if parts.next().is_some() => Err(wrong()),
            Self { class: None, subclass, protocol } if subclass.is_some() || protocol.is_some() => Err(wrong()),
            Self { subclass: None, protocol: Some(_), .. } => Err(wrong()),
            pattern => Ok(pattern),
        }
    }
}

impl TryFrom<String> for InterfacePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InterfacePattern> for String {
    fn from(pattern: InterfacePattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for InterfacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |number: Option<u8>| number.map_or_else(|| "*".to_owned(), |number| format!("{number:02x}"));
        write!(f, "{}:{}:{}", part(self.class), part(self.subclass), part(self.protocol))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn disk() -> InterfaceClass {
        InterfaceClass { class: 8, subclass: 6, protocol: 0x50 }
    }

    #[test]
    fn a_pattern_matches_what_it_says() {
        let matches = |text: &str| text.parse::<InterfacePattern>().unwrap().matches(disk());
        for text in ["08:06:50", "08:06:*", "08:*:*", "*:*:*"] {
            assert!(matches(text), "{text}");
        }
        for text in ["03:06:50", "08:05:50", "08:06:51", "03:*:*", "08:07:*"] {
            assert!(!matches(text), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_told_how_one_looks() {
        for text in
            ["", "08", "08:06", "08:06:50:00", "8:6:50", "0x08:06:50", "+8:06:50", "*:06:50", "08:*:50", "hid", " "]
        {
            let error = text.parse::<InterfacePattern>().unwrap_err();
            assert!(error.contains("08:06:50") && error.contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_reads_back(class: u8, subclass: Option<u8>, protocol: Option<u8>) {
            let protocol = subclass.and(protocol);
            let pattern = InterfacePattern { class: Some(class), subclass, protocol };
            prop_assert_eq!(pattern.to_string().parse::<InterfacePattern>(), Ok(pattern));
            let one = InterfaceClass { class, subclass: subclass.unwrap_or(7), protocol: protocol.unwrap_or(9) };
            prop_assert!(pattern.matches(one));
        }
    }
}
