//! How fast a peer may use what is shared.

use std::fmt;

use p2pusb_dbus::names::{BANDWIDTH_MAX, BANDWIDTH_MIN};
use serde::{Deserialize, Serialize};

/// Bytes in a second, from 10,000 to 10,000,000,000; in settings a number, or a text such as `10M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "Written", into = "u64")]
pub struct Bandwidth(u64);

/// As people write it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a bandwidth is a number of bytes in a second, or a text such as \"10M\"")]
enum Written {
    Number(u64),
    Text(String),
}

impl Bandwidth {
    /// Bytes in a second.
    pub fn bytes_per_second(self) -> u64 {
        self.0
    }
}

impl From<Bandwidth> for u64 {
    fn from(bandwidth: Bandwidth) -> Self {
        bandwidth.0
    }
}

impl TryFrom<u64> for Bandwidth {
    type Error = String;

    fn try_from(bytes: u64) -> Result<Self, Self::Error> {
        if (BANDWIDTH_MIN..=BANDWIDTH_MAX).contains(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(format!("{bytes} is no bandwidth: it is from {BANDWIDTH_MIN} to {BANDWIDTH_MAX} bytes in a second"))
        }
    }
}

impl TryFrom<Written> for Bandwidth {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Number(bytes) => bytes.try_into(),
            Written::Text(text) => p2pusb_dbus::bandwidth::parse(&text)?.try_into(),
        }
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in a second", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Setting {
        bandwidth: Bandwidth,
    }

    #[test]
    fn a_bandwidth_is_a_number_or_a_text_and_is_kept_as_a_number() {
        let read = |text: &str| toml::from_str::<Setting>(&format!("bandwidth = {text}\n"));
        for (text, bytes) in [("10000", 10_000), ("\"10k\"", 10_000), ("\"10M\"", 10_000_000), ("\"1.5M\"", 1_500_000)]
        {
            assert_eq!(read(text).unwrap().bandwidth.bytes_per_second(), bytes, "{text}");
        }
        for (text, said) in [("9999", "from 10000"), ("\"20G\"", "from 10000"), ("\"fast\"", "10M"), ("-5", "10M")] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert_eq!(toml::to_string(&read("\"10M\"").unwrap()).unwrap(), "bandwidth = 10000000\n");
    }
}
