//! The terms on which a device is shared: until when, at which hours, for how long at a time, and how fast.

use std::time::Duration;

use p2pusb_dbus::names::{SESSION_LIMIT_MAX_SECONDS, SESSION_LIMIT_MIN_SECONDS};
use serde::{Deserialize, Serialize};

use super::{Bandwidth, Windows};

/// All of them. The default is no terms at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Terms {
    /// When the share ends, in microseconds since the epoch; `None` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// Whether the share ends with its first claim.
    pub once: bool,
    /// Whether somebody is asked about each claim.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ask: bool,
    /// When it may be claimed.
    #[serde(skip_serializing_if = "Windows::is_empty")]
    pub windows: Windows,
    /// How long one claim may last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_limit: Option<SessionLimit>,
    /// How fast it may be used, in both directions together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

/// How long one claim may last, in whole seconds: 10 to 2678400, which is 31 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SessionLimit(u32);

impl SessionLimit {
    /// In seconds, as the bus has it.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl From<SessionLimit> for Duration {
    fn from(limit: SessionLimit) -> Self {
        Self::from_secs(limit.0.into())
    }
}

impl From<SessionLimit> for u64 {
    fn from(limit: SessionLimit) -> Self {
        limit.0.into()
    }
}

impl TryFrom<u64> for SessionLimit {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        let (min, max) = (SESSION_LIMIT_MIN_SECONDS, SESSION_LIMIT_MAX_SECONDS);
        match u32::try_from(seconds) {
            Ok(limit) if (min..=max).contains(&limit) => Ok(Self(limit)),
            _ => Err(format!("{seconds} is no session limit: it is a number of seconds from {min} to {max}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_kept_as_they_are_and_those_that_are_none_say_nothing() {
        let text = "expires = 5\nonce = true\nwindows = [\"mon-fri 08:00-18:00\"]\nsession_limit = 3600\n";
        let terms: Terms = toml::from_str(text).unwrap();
        assert_eq!((terms.expires, terms.once), (Some(5), true));
        assert_eq!(
            (terms.windows.to_string().as_str(), terms.session_limit.unwrap().seconds()),
            ("mon-fri 08:00-18:00", 3600)
        );
        assert_eq!(toml::to_string(&terms).unwrap(), text);
        assert_eq!(toml::to_string(&Terms::default()).unwrap(), "once = false\n");
        assert_eq!(toml::from_str::<Terms>("").unwrap(), Terms::default());
    }

    #[test]
    fn a_session_limit_has_a_range() {
        for (seconds, is_one) in [(9, false), (10, true), (2_678_400, true), (2_678_401, false), (1 << 32, false)] {
            assert_eq!(SessionLimit::try_from(seconds).is_ok(), is_one, "{seconds}");
        }
    }
}
