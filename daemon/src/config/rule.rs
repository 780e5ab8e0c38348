//! `[[rule]]`: which devices are shared by themselves, and which never are. The words are those of usbguard-rules.conf(5).

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::policy::{
    Action, Bandwidth, Conditions, Follows, Glob, InterfaceSet, PeerNames, Rule, Rules, SessionLimit, Terms,
    UsbIdPattern, Windows,
};

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    action: WrittenAction,
    label: Option<String>,
    id: Option<UsbIdPattern>,
    serial: Option<String>,
    name: Option<Glob>,
    via_port: Option<Glob>,
    with_interface: Option<InterfaceSet>,
    peers: Option<Vec<String>>,
    windows: Option<Windows>,
    session_limit: Option<SessionLimit>,
    bandwidth: Option<Bandwidth>,
    ask: Option<bool>,
    follows: Option<Follows>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenAction {
    Share,
    NeverShare,
}

impl TryFrom<Written> for Read {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { action, label, id, serial, name, via_port, with_interface, peers, windows, .. } = written;
        let (session_limit, bandwidth, ask, follows) =
            (written.session_limit, written.bandwidth, written.ask, written.follows);
        let conditions = Conditions { id, serial, name, via_port, with_interface };
        if conditions.is_empty() {
            return Err(
                "this rule is about no device in particular: give it one or more of id, serial, name, via-port and \
                        with-interface; id = \"*:*\" stands for every device",
            );
        }
        if peers.as_ref().is_some_and(|peers| peers.iter().all(|name| name.trim().is_empty())) {
            return Err("peers names nobody; without peers the device is shared with every paired peer");
        }
        let has_terms = peers.is_some()
            || windows.is_some()
            || session_limit.is_some()
            || bandwidth.is_some()
            || ask.is_some()
            || follows.is_some();
        let action = match action {
            WrittenAction::NeverShare if has_terms => {
                return Err(
                    "a rule that says never-share has no peers, windows, session-limit, bandwidth, ask or follows: it counts \
                            for everybody, always",
                );
            }
            WrittenAction::NeverShare => Action::NeverShare,
            WrittenAction::Share => Action::Share {
                peers: peers.map(PeerNames::from_iter),
                terms: Terms {
                    windows: windows.unwrap_or_default(),
                    session_limit,
                    bandwidth,
                    ask: ask.unwrap_or(false),
                    ..Terms::default()
                },
                follows: follows.unwrap_or_default(),
            },
        };
        Ok(Self(Rule { label, at: 0, place: String::new(), conditions, action }))
    }
}

/// A rule that was read.
#[derive(Deserialize)]
#[serde(try_from = "Written")]
struct Read(Rule);

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rules = Vec::<Spanned<Read>>::deserialize(deserializer)?;
        Ok(rules.into_iter().map(|rule| Rule { at: rule.span().start, ..rule.into_inner().0 }).collect())
    }
}

#[cfg(test)]
mod tests {
    use p2pusb_protocol::InterfaceClass;

    use crate::{
        config::Config,
        policy::{Action, Attributes},
    };

    fn read(text: &str) -> Result<Config, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    fn keyboard() -> Attributes<'static> {
        Attributes {
            id: (0x046d, 0xc31c),
            serial: Some(b"A50285BI"),
            name: "USB Keyboard",
            port: "1-2",
            interfaces: &[InterfaceClass { class: 3, subclass: 1, protocol: 1 }],
        }
    }

    #[test]
    fn rules_are_read_with_all_their_words() {
        let mut rules = read(
            "[[rule]]\nlabel = \"keys\"\naction = \"never-share\"\nwith-interface = \"03:*:*\"\n\n\
             [[rule]]\naction = \"share\"\nid = \"046d:*\"\nserial = \"A50285BI\"\nname = \"USB*\"\n\
             via-port = \"1-*\"\nwith-interface = { all-of = [\"03:01:01\"] }\npeers = [\"desk\", \"old laptop\"]\n",
        )
        .unwrap()
        .rules;
        rules.name_places(|at| format!("byte {at}"));
        let about = rules.about(&keyboard()).unwrap();
        assert_eq!((about.to_string().as_str(), &about.action), ("the rule “keys” (byte 0)", &Action::NeverShare));
        let second = read(
            "[[rule]]\naction = \"share\"\nid = \"046d:*\"\nserial = \"A50285BI\"\nname = \"USB*\"\nvia-port = \"1-*\"\n\
             with-interface = { all-of = [\"03:01:01\"] }\npeers = [\"desk\", \"old laptop\"]\n\
             windows = [\"mon-fri 08:00-18:00\"]\nsession-limit = 7200\nbandwidth = \"10M\"\nask = true\nfollows = [\"046d:*\"]\n",
        );
        let about = second.unwrap().rules.about(&keyboard()).unwrap();
        let Action::Share { peers: Some(peers), terms, follows } = &about.action else { panic!("{about:?}") };
        assert_eq!(
            (terms.windows.texts(), terms.session_limit),
            (vec!["mon-fri 08:00-18:00".to_owned()], 7200.try_into().ok())
        );
        assert_eq!((terms.bandwidth, terms.ask), (10_000_000.try_into().ok(), true));
        assert_eq!(follows.texts(), ["046d:*"]);
        assert_eq!(peers.as_slice(), ["desk", "old laptop"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_would_be_right() {
        for (line, said) in [
            ("id = \"781:5567\"", "0781:*"),
            ("name = \"\"", "*"),
            ("with-interface = \"hid\"", "08:06:50"),
            ("with-interface = { any-of = [\"03:*:*\"] }", "one-of"),
            ("interface = \"03:*:*\"", "with-interface"),
            ("peers = \"desk\"", "sequence"),
            ("windows = [\"office hours\"]", "mon-fri 08:00-18:00"),
            ("session-limit = 5", "from 10 to"),
            ("bandwidth = \"fast\"", "10M"),
            ("follows = [\"2e8a\"]", "0781:5567"),
        ] {
            let error = read(&format!("[[rule]]\naction = \"share\"\n{line}\n")).unwrap_err();
            assert!(error.contains("line 3") && error.contains(said), "{line}: {error}");
        }
        for (rule, said) in [
            ("action = \"allow\"\nid = \"*:*\"", "never-share"),
            ("id = \"*:*\"", "action"),
            ("action = \"share\"", "id = \"*:*\""),
            ("action = \"share\"\nid = \"*:*\"\npeers = []", "nobody"),
            ("action = \"share\"\nid = \"*:*\"\npeers = [\" \"]", "nobody"),
            ("action = \"never-share\"\nid = \"*:*\"\npeers = [\"desk\"]", "never-share"),
            ("action = \"never-share\"\nid = \"*:*\"\nsession-limit = 60", "never-share"),
            ("action = \"never-share\"\nid = \"*:*\"\nfollows = [\"046d:c31c\"]", "never-share"),
        ] {
            let error = read(&format!("[session]\n[[rule]]\n{rule}\n")).unwrap_err();
            assert!(error.contains("line") && error.contains(said), "{rule}: {error}");
        }
    }
}
