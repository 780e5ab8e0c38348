//! The settings about peers' devices.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::policy::{Accept, InterfacePattern};

/// `[attach]`: what peers' devices may be here, before the kernel sees them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attach {
    /// The interface types that a device may have, whoever offers it. Default: all, `*:*:*`. Whatever this says, a device
    /// may have no others than those that it was offered with.
    pub interfaces: Vec<InterfacePattern>,
    /// `[attach.from]`: the same for one peer, by its label or its whole endpoint id, instead of `interfaces`.
    pub from: BTreeMap<String, Vec<InterfacePattern>>,
}

impl Default for Attach {
    fn default() -> Self {
        Self { interfaces: vec![InterfacePattern::ANY], from: BTreeMap::new() }
    }
}

impl From<Attach> for Accept {
    fn from(attach: Attach) -> Self {
        Self { everyone: attach.interfaces, from: attach.from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn rules_are_read_and_a_wrong_one_is_told_with_its_line() {
        let config: Config =
            toml::from_str("[attach]\ninterfaces = [\"08:*:*\"]\n[attach.from]\nworkshop = [\"*:*:*\"]").unwrap();
        assert_eq!(config.attach.from["workshop"], [InterfacePattern::ANY]);
        assert_eq!(config.attach.interfaces[0].to_string(), "08:*:*");
        let error = toml::from_str::<Config>("[attach]\ninterfaces = [\"8\"]").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("08:06:50"), "{error}");
    }
}
