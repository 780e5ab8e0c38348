//! The settings, `/etc/p2pusb/p2pusb.toml` and `/etc/p2pusb/p2pusb.d/*.toml`: see p2pusb.toml(5).

mod attach;
mod files;
mod relay;
mod rule;

use std::{net::SocketAddr, time::Duration};

use p2pusb_dbus::names::GRACE_MAX_SECONDS;
use serde::{Deserialize, Serialize};

pub(crate) use self::relay::own as own_relay;
pub use self::{
    attach::Attach,
    files::{ConfigError, Loaded, Source},
    relay::{Relay, RelayCa, RelayQuicPort},
};
use crate::policy::Rules;

/// All settings. An unknown key is an error: a misspelt setting that is silently ignored protects nobody.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[network]`
    pub network: Network,
    /// `[session]`
    pub session: Session,
    /// `[attach]`
    pub attach: Attach,
    /// `[[rule]]`
    #[serde(rename = "rule")]
    pub rules: Rules,
}

/// How sessions behave, both those that this machine lends and those that it uses.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// How long a session outlives its connection, where neither its share nor its attachment says otherwise.
    pub grace: Grace,
}

/// How long a session outlives its connection, in whole seconds: 0 to 3600. Default: 60.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "toml::Value", into = "u64")]
pub struct Grace(u32);

impl Grace {
    /// In seconds, as the bus has it.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for Grace {
    fn default() -> Self {
        Self(60)
    }
}

impl From<Grace> for Duration {
    fn from(grace: Grace) -> Self {
        Self::from_secs(grace.0.into())
    }
}

impl From<Grace> for u64 {
    fn from(grace: Grace) -> Self {
        grace.0.into()
    }
}

/// What is no grace time, and what would be one.
fn no_grace(written: impl std::fmt::Display) -> String {
    format!("{written} is no grace time: it is a number of seconds from 0 to {GRACE_MAX_SECONDS}")
}

impl TryFrom<u64> for Grace {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        match u32::try_from(seconds) {
            Ok(short) if short <= GRACE_MAX_SECONDS => Ok(Self(short)),
            _ => Err(no_grace(seconds)),
        }
    }
}

/// As it is written in a file.
impl TryFrom<toml::Value> for Grace {
    type Error = String;

    fn try_from(written: toml::Value) -> Result<Self, Self::Error> {
        let seconds = written.as_integer().and_then(|seconds| u64::try_from(seconds).ok());
        seconds.ok_or_else(|| no_grace(&written))?.try_into()
    }
}

/// How this machine is reached.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "WrittenNetwork")]
pub struct Network {
    /// The relay that helps when no direct path can be found. Default: none.
    pub relay: Relay,
    /// Certificates by which relays are known.
    pub relay_ca: RelayCa,
    /// Where a relay of one's own tells public addresses.
    pub relay_quic_port: RelayQuicPort,
    /// What is done to find machines on the local network. Default: this one looks.
    pub mdns: Mdns,
    /// The local addresses that the endpoint binds. Default: any UDP port on every address.
    pub bind: Vec<SocketAddr>,
}

/// What is done to find machines on the local network, by mDNS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mdns {
    /// Nothing.
    Off,
    /// This machine asks who is there, and says nothing of itself.
    #[default]
    Look,
    /// It answers as well, with its endpoint id, its host name and its addresses.
    Announce,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            relay: Relay::None,
            relay_ca: RelayCa::default(),
            relay_quic_port: RelayQuicPort::default(),
            mdns: Mdns::default(),
            bind: vec![SocketAddr::from(([0, 0, 0, 0], 0)), SocketAddr::from(([0u16; 8], 0))],
        }
    }
}

/// `[network]` as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct WrittenNetwork {
    relay: Relay,
    relay_ca: Option<RelayCa>,
    relay_quic_port: Option<RelayQuicPort>,
    mdns: Mdns,
    bind: Option<Vec<SocketAddr>>,
}

impl TryFrom<WrittenNetwork> for Network {
    type Error = &'static str;

    fn try_from(written: WrittenNetwork) -> Result<Self, Self::Error> {
        relay::check(&written.relay, written.relay_ca.is_some(), written.relay_quic_port.is_some())?;
        Ok(Self {
            relay: written.relay,
            relay_ca: written.relay_ca.unwrap_or_default(),
            relay_quic_port: written.relay_quic_port.unwrap_or_default(),
            mdns: written.mdns,
            bind: written.bind.unwrap_or(Self::default().bind),
        })
    }
}

impl Config {
    /// The settings in which these differ from what the daemon was started with, and which it can't change as it runs.
    pub fn need_a_restart(&self, running: &Self) -> Vec<&'static str> {
        let (new, old) = (&self.network, &running.network);
        let all = [
            ("network.relay", new.relay != old.relay),
            ("network.relay-ca", new.relay_ca != old.relay_ca),
            ("network.relay-quic-port", new.relay_quic_port != old.relay_quic_port),
            ("network.mdns", new.mdns != old.mdns),
            ("network.bind", new.bind != old.bind),
        ];
        all.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config.network.relay, Relay::None);
        assert_eq!(config.network.bind.len(), 2);
    }

    #[test]
    fn the_grace_time_has_an_end() {
        let grace =
            |text: &str| toml::from_str::<Config>(&format!("[session]\ngrace = {text}")).map(|c| c.session.grace);
        assert_eq!(Duration::from(grace("0").unwrap()), Duration::ZERO);
        assert_eq!(Duration::from(grace("3600").unwrap()), Duration::from_secs(3600));
        assert_eq!(Duration::from(toml::from_str::<Config>("").unwrap().session.grace), Duration::from_secs(60));
        for wrong in ["3601", "70000", "-1", "\"long\"", "1.5"] {
            let error = grace(wrong).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{error}");
        }
    }

    #[test]
    fn this_machine_looks_for_others_unless_it_is_told_otherwise() {
        let mdns = |text: &str| toml::from_str::<Config>(text).map(|config| config.network.mdns);
        assert_eq!(mdns("").unwrap(), Mdns::Look);
        assert_eq!(mdns("[network]\nmdns = \"off\"").unwrap(), Mdns::Off);
        assert_eq!(mdns("[network]\nmdns = \"announce\"").unwrap(), Mdns::Announce);
        let error = mdns("[network]\nmdns = true").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        let error = mdns("[network]\nmdns = \"on\"").unwrap_err().to_string();
        assert!(error.contains("`off`, `look`, `announce`"), "{error}");
    }

    #[test]
    fn what_needs_a_restart_is_told_by_its_key() {
        let old = Config::default();
        let read = |text: &str| toml::from_str::<Config>(text).unwrap();
        assert_eq!(read("[session]\ngrace = 7").need_a_restart(&old), [""; 0]);
        assert_eq!(
            read("[network]\nrelay = \"public\"\nbind = []").need_a_restart(&old),
            ["network.relay", "network.bind"]
        );
        let port = read("[network]\nrelay = \"https://a/\"\nrelay-quic-port = 5");
        assert_eq!(port.need_a_restart(&read("[network]\nrelay = \"https://a/\"")), ["network.relay-quic-port"]);
    }
}
