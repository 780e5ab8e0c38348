//! The XML files are the documentation: nothing in them may be undocumented, or contradict the crate.

mod common;

use std::collections::BTreeSet;

use p2pusb_dbus::{
    ErrorName,
    names::{action, interface, option},
    values, xml,
};

/// The comment that stands directly in front of `tag` (such as `<method name="Attach"`).
fn comment<'a>(text: &'a str, tag: &str) -> &'a str {
    let before = &text[..text.find(tag).unwrap_or_else(|| panic!("no {tag}"))];
    let before = before.trim_end().strip_suffix("-->").unwrap_or_else(|| panic!("no comment in front of {tag}"));
    before[before.rfind("<!--").expect("a comment has a beginning") + 4..].trim()
}

/// Every element that has to be documented: its tag, its name and the names of its arguments.
fn members() -> Vec<(&'static str, String, String, Vec<String>)> {
    let mut all = Vec::new();
    for (name, text) in xml::ALL {
        let interface = common::interface(name, text);
        all.push((text, format!("<interface name=\"{name}\""), name.to_owned(), vec![]));
        for method in interface.methods() {
            let arguments =
                method.args().iter().map(|a| a.name().expect("an argument without a name").to_owned()).collect();
            all.push((text, format!("<method name=\"{}\"", method.name()), method.name().to_string(), arguments));
        }
        for property in interface.properties() {
            let tag = format!("<property name=\"{}\"", property.name());
            all.push((text, tag, property.name().to_string(), vec![]));
        }
    }
    all
}

/// The words of a text that start with `prefix`.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
        .map(|word| word.trim_end_matches(['.', '-']))
        .filter(|word| word.starts_with(prefix))
        .collect()
}

#[test]
fn every_file_describes_its_interface_and_has_no_signals() {
    for (name, text) in xml::ALL {
        let interface = common::interface(name, text);
        assert_eq!(interface.signals().count(), 0, "{name}: ObjectManager and PropertiesChanged do");
        for property in interface.properties() {
            assert!(!property.access().write(), "{name}.{}: writing takes a method", property.name());
            let emits = common::emits(property);
            assert!(["true", "false", "const"].contains(&emits.as_str()), "{name}.{}", property.name());
        }
        // What the daemon calls has no options of a caller.
        for method in interface.methods().filter(|_| name != interface::AGENT) {
            let inputs: Vec<_> = method
                .args()
                .iter()
                .filter(|a| a.direction() == Some(zbus_xml::ArgDirection::In))
                .map(|a| (a.name().unwrap().to_owned(), a.ty().to_string()))
                .collect();
            assert_eq!(
                inputs.last(),
                Some(&("options".to_owned(), "a{sv}".to_owned())),
                "{name}.{}: options come last",
                method.name()
            );
        }
    }
}

#[test]
fn every_member_and_argument_is_documented() {
    for (text, tag, name, arguments) in members() {
        let comment = comment(text, &tag);
        assert!(comment.starts_with(&format!("{name}:")), "{tag}: the comment in front of it is about something else");
        assert!(comment.contains("@since: "), "{tag}: no @since");
        let documented: Vec<_> = comment
            .lines()
            .filter_map(|line| line.trim().strip_prefix('@')?.split_once(':'))
            .map(|(argument, _)| argument.to_owned())
            .filter(|argument| argument != "since")
            .collect();
        assert_eq!(documented, arguments, "{tag}: documented arguments and real ones");
    }
}

/// Methods that everybody may call: they change nothing, or what the caller itself has said.
const FREE: [&str; 2] = ["Diagnose", "UnregisterAgent"];
/// Those that the daemon calls: nobody is asked about it.
const CALLED_BY_THE_DAEMON: [&str; 4] = ["RequestPairing", "RequestAttach", "Cancel", "Release"];

#[test]
fn every_method_names_its_polkit_action_and_errors() {
    let changing = |name: &String| ![&FREE[..], &CALLED_BY_THE_DAEMON].concat().contains(&name.as_str());
    for (text, tag, ..) in members().iter().filter(|(_, tag, name, _)| tag.starts_with("<method") && changing(name)) {
        let comment = comment(text, tag);
        let actions: Vec<_> = action::ALL.into_iter().filter(|a| words(comment, "org.p2pusb1.").contains(a)).collect();
        assert!(!actions.is_empty(), "{tag}: no action is named");
        for name in [ErrorName::AccessDenied, ErrorName::InteractiveAuthorizationRequired, ErrorName::InvalidArgs] {
            assert!(words(comment, name.as_str()).contains(name.as_str()), "{tag}: {name} is not named");
        }
    }
}

#[test]
fn errors_in_the_files_and_in_the_crate_are_the_same() {
    let mut documented = BTreeSet::new();
    for (_, text) in xml::ALL {
        documented.append(&mut words(text, "org.p2pusb1.Error."));
        documented.append(&mut words(text, "org.freedesktop.DBus.Error."));
    }
    let known: BTreeSet<_> = ErrorName::ALL.iter().map(|name| name.as_str()).collect();
    assert_eq!(documented, known);
}

#[test]
fn every_value_is_documented_and_unknown_ones_are_allowed_for() {
    fn check(text: &str, property: &str, values: &[&str]) {
        let comment = comment(text, &format!("<property name=\"{property}\""));
        for value in values {
            assert!(comment.contains(&format!("\"{value}\"")), "{property}: {value:?} is missing");
        }
        let flat = comment.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains("Treat other values as \"unknown\""), "{property}: nothing about unknown values");
        // And the other way round: no value is documented that the crate does not have.
        let quoted: BTreeSet<_> = comment.split('"').skip(1).step_by(2).collect();
        let mut known: BTreeSet<_> = values.iter().copied().collect();
        known.extend(["unknown", ""]);
        assert!(quoted.is_subset(&known), "{property}: {quoted:?}");
    }
    macro_rules! check {
        ($($text:ident $property:literal $values:ident;)*) => {$(
            check(
                xml::$text,
                $property,
                &values::$values::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>(),
            );
        )*};
    }
    check! {
        MANAGER "State" ManagerState;
        MANAGER "RelayMode" RelayMode;
        MANAGER "RecentlyEnded" EndReason;
        DEVICE "Speed" Speed;
        DEVICE "State" DeviceState;
        DEVICE "Excluded" Exclusion;
        SHARE "State" ShareState;
        SHARE "Origin" ShareOrigin;
        PEER "State" PeerState;
        PEER "Trust" Trust;
        PEER "Path" PathKind;
        REMOTE_DEVICE "Speed" Speed;
        ATTACHMENT "State" AttachmentState;
        ATTACHMENT "LastError" EndReason;
    }
}

#[test]
fn everything_that_is_diagnosed_is_documented() {
    let comment = comment(xml::MANAGER, "<method name=\"Diagnose\"");
    for id in p2pusb_dbus::names::diagnosis::ALL {
        assert!(comment.contains(&format!("\"{id}\"")), "{id}");
    }
}

#[test]
fn every_option_is_documented_with_its_type() {
    for (text, method, key, kind) in [
        (xml::MANAGER, "CreateTicket", option::EXPIRES_USEC, "t"),
        (xml::MANAGER, "CreateTicket", option::SHARE, "o"),
        (xml::MANAGER, "CreateTicket", option::ACCESS_USEC, "t"),
        (xml::MANAGER, "ShareDevice", option::PEERS, "ao"),
        (xml::MANAGER, "ShareDevice", option::FORCE, "b"),
        (xml::MANAGER, "ShareDevice", option::GRACE, "u"),
        (xml::MANAGER, "ShareDevice", option::EXPIRES_USEC, "t"),
        (xml::MANAGER, "ShareDevice", option::ONCE, "b"),
        (xml::MANAGER, "ShareDevice", option::WINDOWS, "as"),
        (xml::MANAGER, "ShareDevice", option::ASK, "b"),
        (xml::MANAGER, "ShareDevice", option::SESSION_LIMIT, "u"),
        (xml::MANAGER, "ShareDevice", option::BANDWIDTH, "t"),
        (xml::MANAGER, "ShareDevice", option::FOLLOWS, "as"),
        (xml::REMOTE_DEVICE, "Attach", option::FOLLOW, "as"),
        (xml::MANAGER, "ShareDevice", option::PIN, "h"),
        (xml::REMOTE_DEVICE, "Attach", option::GRACE, "u"),
        (xml::REMOTE_DEVICE, "Attach", option::PIN, "h"),
        (xml::REMOTE_DEVICE, "Attach", option::KEEP, "b"),
    ] {
        let comment = comment(text, &format!("<method name=\"{method}\""));
        assert!(comment.contains(&format!("\"{key}\" (type {kind})")), "{method}: {key}");
    }
}

#[test]
fn the_readme_names_every_interface_and_only_members_that_exist() {
    let readme = include_str!("../README.md");
    let mut known = BTreeSet::new();
    for (name, text) in xml::ALL {
        assert!(readme.contains(name), "{name} is missing");
        known.insert(name.to_owned());
        let interface = common::interface(name, text);
        for member in interface.methods().map(|m| m.name().to_string()) {
            known.insert(format!("{name}.{member}"));
        }
        for member in interface.properties().map(|p| p.name().to_string()) {
            known.insert(format!("{name}.{member}"));
        }
    }
    known.extend(ErrorName::ALL.iter().map(|name| name.as_str().to_owned()));
    known.extend(action::ALL.map(str::to_owned));
    for word in words(readme, "org.p2pusb1.") {
        let word = word.trim_end_matches(".xml");
        assert!(known.contains(word) || word == "org.p2pusb1.Error", "{word} does not exist");
    }
}
