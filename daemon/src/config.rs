//! The settings file, `/etc/p2pusb/p2pusb.toml`: see p2pusb.toml(5).

use std::{io, net::SocketAddr, path::Path};

use iroh::RelayUrl;
use serde::Deserialize;

/// Where the settings are, unless `--config` names another file.
pub const DEFAULT_PATH: &str = "/etc/p2pusb/p2pusb.toml";

/// All settings. An unknown key is an error: a misspelt setting that is silently ignored protects nobody.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[network]`
    pub network: Network,
}

/// How this machine is reached.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The relay that helps when no direct path can be found. Default: none.
    pub relay: Relay,
    /// The local addresses that the endpoint binds. Default: any UDP port on every address.
    pub bind: Vec<SocketAddr>,
}

impl Default for Network {
    fn default() -> Self {
        Self { relay: Relay::None, bind: vec![SocketAddr::from(([0, 0, 0, 0], 0)), SocketAddr::from(([0u16; 8], 0))] }
    }
}

/// Which relay to use.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Relay {
    /// None: peers are reached directly or not at all.
    #[default]
    None,
    /// The public relays of the iroh project.
    Public,
    /// One's own.
    Url(RelayUrl),
}

impl Relay {
    /// As the property `RelayMode` has it.
    pub fn mode(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Public => "public",
            Self::Url(_) => "custom",
        }
    }
}

impl TryFrom<String> for Relay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "none" => Ok(Self::None),
            "public" => Ok(Self::Public),
            url if url.starts_with("https://") || url.starts_with("http://") => {
                url.parse().map(Self::Url).map_err(|error| format!("“{url}” is not a relay's URL: {error}"))
            }
            other => Err(format!("“{other}” is no relay: write \"none\", \"public\" or \"https://…\"")),
        }
    }
}

/// What is wrong with a settings file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("{path} can't be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It can't be understood. The source names the line and the valid choices.
    #[error("{path} is wrong:\n{source}")]
    Parse {
        /// The file.
        path: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads the settings. A missing file means the defaults, unless `required`.
    pub fn load(path: &Path, required: bool) -> Result<Self, ConfigError> {
        let name = || path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Read { path: name(), source }),
        };
        toml::from_str(&text).map_err(|source| ConfigError::Parse { path: name(), source: Box::new(source) })
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
    fn a_relay_is_none_public_or_a_url() {
        let relay =
            |text: &str| toml::from_str::<Config>(&format!("[network]\nrelay = \"{text}\"")).map(|c| c.network.relay);
        assert_eq!(relay("public").unwrap().mode(), "public");
        assert_eq!(relay("https://relay.example.org").unwrap().mode(), "custom");
        let error = relay("yes").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("\"none\""), "{error}");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_line_and_the_choices() {
        let error = toml::from_str::<Config>("[network]\nrely = \"none\"").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("relay"), "{error}");
    }
}
