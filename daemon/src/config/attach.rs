//! The settings about peers' devices.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::policy::{Accept, Follows, InterfacePattern};

/// `[attach]`: what peers' devices may be here, before the kernel sees them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attach {
    /// The interface types that a device may have, whoever offers it. Default: all, `*:*:*`. Whatever this says, a device
    /// may have no others than those that it was offered with.
    pub interfaces: Vec<InterfacePattern>,
    /// `[attach.from]`: the same for one peer, by its label or its whole endpoint id, instead of `interfaces`.
    pub from: BTreeMap<String, Vec<InterfacePattern>>,
    /// The ids, `2e8a:0003` or `2e8a:*`, under which any attached device may come back and is attached again by itself, at most
    /// 8. Default: none.
    pub follow: Follows,
}

impl Default for Attach {
    fn default() -> Self {
        Self { interfaces: vec![InterfacePattern::ANY], from: BTreeMap::new(), follow: Follows::default() }
    }
}

impl From<Attach> for Accept {
    fn from(attach: Attach) -> Self {
        Self { everyone: attach.interfaces, from: attach.from, follow: attach.follow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn rules_are_read_and_a_wrong_one_is_told_with_its_line() {
        let config: Config = toml::from_str(
            "[attach]\ninterfaces = [\"08:*:*\"]\nfollow = [\"2e8a:0003\"]\n[attach.from]\nworkshop = [\"*:*:*\"]",
        )
        .unwrap();
        assert_eq!(config.attach.from["workshop"], [InterfacePattern::ANY]);
        assert_eq!(config.attach.interfaces[0].to_string(), "08:*:*");
        assert_eq!(config.attach.follow.texts(), ["2e8a:0003"]);
        let error = toml::from_str::<Config>("[attach]\nfollow = [\"2e8a\"]").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("0781:5567"), "{error}");
        let error = toml::from_str::<Config>("[attach]\ninterfaces = [\"8\"]").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("08:06:50"), "{error}");
    }
}
