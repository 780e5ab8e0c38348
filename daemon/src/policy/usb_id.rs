//! Vendors and products, in the words of usbguard-rules.conf(5): `0781:5567`, `0781:*`, `*:*`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A set of devices by vendor and product, each four hexadecimal digits or `*`. Behind a `*` there is only another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UsbIdPattern {
    vendor: Option<u16>,
    product: Option<u16>,
}

impl UsbIdPattern {
    /// Only this one.
    pub fn exactly(vendor: u16, product: u16) -> Self {
        Self { vendor: Some(vendor), product: Some(product) }
    }

    /// Whether a device is in it.
    pub fn matches(self, vendor: u16, product: u16) -> bool {
        self.vendor.is_none_or(|wanted| wanted == vendor) && self.product.is_none_or(|wanted| wanted == product)
    }
}

impl FromStr for UsbIdPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "“{text}” is no USB id: it is vendor:product, each of them four hexadecimal digits or *, and only * behind \
                 a *, such as 0781:5567, 0781:* or *:*"
            )
        };
        let number = |text: &str| match text {
            "*" => Ok(None),
            // from_str_radix takes a sign, too.
            digits if digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                u16::from_str_radix(digits, 16).map(Some).map_err(|_| wrong())
            }
            _ => Err(wrong()),
        };
        let (vendor, product) = text.split_once(':').ok_or_else(wrong)?;
        match (number(vendor)?, number(product)?) {
            (None, Some(_)) => Err(wrong()),
            (vendor, product) => Ok(Self { vendor, product }),
        }
    }
}

impl TryFrom<String> for UsbIdPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<UsbIdPattern> for String {
    fn from(pattern: UsbIdPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for UsbIdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |number: Option<u16>| number.map_or_else(|| "*".to_owned(), |number| format!("{number:04x}"));
        write!(f, "{}:{}", part(self.vendor), part(self.product))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_none_is_told_how_one_looks() {
        for text in
            ["", "0781", "0781:", ":5567", "781:5567", "0781:5567:", "+781:5567", "*:5567", "0781:556g", "0x0781:*"]
        {
            let error = text.parse::<UsbIdPattern>().unwrap_err();
            assert!(error.contains("0781:*") && error.contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_reads_back_and_matches_what_it_says(vendor: u16, product: u16, other: (u16, u16)) {
            for (pattern, expected) in [
                (UsbIdPattern { vendor: Some(vendor), product: Some(product) }, other == (vendor, product)),
                (UsbIdPattern { vendor: Some(vendor), product: None }, other.0 == vendor),
                (UsbIdPattern { vendor: None, product: None }, true),
            ] {
                prop_assert_eq!(pattern.to_string().parse::<UsbIdPattern>(), Ok(pattern));
                prop_assert!(pattern.matches(vendor, product));
                prop_assert_eq!(pattern.matches(other.0, other.1), expected);
            }
        }
    }
}
