//! The man page and the program say the same: tests only.

mod verbs;

use std::collections::BTreeSet;

use clap::{Command, CommandFactory as _};

use crate::{args::Cli, exit::Exit, json};

const PAGE: &str = include_str!("../../packaging/man/p2pusb.1");

/// The lines of one section.
fn section(title: &str) -> Vec<&'static str> {
    let heading = format!(".SH {title}");
    let mut lines = PAGE.lines().skip_while(|line| *line != heading).skip(1);
    let found: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with(".SH ")).collect();
    assert!(!found.is_empty(), "no section {title}");
    found
}

/// The page without its markup of fonts, dashes and blanks.
fn plain(text: &str) -> String {
    [("\\-", "-"), ("\\~", " "), ("\\fR", ""), ("\\fB", ""), ("\\|", "")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The items of a section: what follows each `.TP` that is not within `.RS` and `.RE`, without its macro.
fn items(title: &str) -> Vec<String> {
    let mut depth = 0;
    let mut items = Vec::new();
    let lines = section(title);
    for pair in lines.windows(2) {
        match pair[0] {
            ".RS" => depth += 1,
            ".RE" => depth -= 1,
            ".TP" if depth == 0 => {
                let text = pair[1].split_once(' ').map_or("", |(_, text)| text);
                items.push(plain(text));
            }
            _ => {}
        }
    }
    items
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

/// Every long option of the program, `help` and `version` included.
fn long_options(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned);
    own.chain(command.get_subcommands().flat_map(long_options)).collect()
}

/// Every long option that the page mentions.
fn options_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter_map(|word| word.strip_prefix("--"))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn built() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

#[test]
fn verbs_are_the_same() {
    let program: BTreeSet<_> = built().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let page: BTreeSet<_> = items("VERBS").iter().map(|item| first_word(item)).collect();
    assert_eq!(page, program);
}

#[test]
fn each_verb_has_its_options_and_no_others() {
    for verb in built().get_subcommands() {
        let own: BTreeSet<_> = verb
            .get_arguments()
            .filter(|argument| !argument.is_global_set() && !["help", "version"].contains(&argument.get_id().as_str()))
            .filter_map(|argument| argument.get_long())
            .map(str::to_owned)
            .collect();
        let mut page = BTreeSet::new();
        for item in items("VERBS").iter().filter(|item| first_word(item) == verb.get_name()) {
            page.append(&mut options_in(item));
        }
        assert_eq!(page, own, "{}", verb.get_name());
    }
}

#[test]
fn every_option_is_in_the_page_and_every_option_in_the_page_exists() {
    let program = long_options(&built());
    let page = options_in(&plain(PAGE));
    assert_eq!(page, program);
    let global: BTreeSet<_> = items("OPTIONS").iter().flat_map(|item| options_in(item)).collect();
    assert_eq!(global, ["json", "no-ask-password", "help", "version"].map(str::to_owned).into());
}

#[test]
fn exit_codes_are_the_same() {
    let program = [
        Exit::Done,
        Exit::Failed,
        Exit::Usage,
        Exit::NotFound,
        Exit::NotAuthorized,
        Exit::NoDaemon,
        Exit::PeerRefused,
        Exit::PeerUnreachable,
    ];
    let page: Vec<_> = items("EXIT STATUS");
    assert_eq!(page, program.map(|exit| (exit as u8).to_string()));
}

#[test]
fn every_verb_has_a_json_shape() {
    let page: BTreeSet<_> = items("JSON").iter().map(|item| first_word(item)).filter(|item| !item.is_empty()).collect();
    for verb in built().get_subcommands().filter(|verb| verb.get_name() != "help") {
        assert!(page.contains(verb.get_name()), "{}", verb.get_name());
    }
}

#[test]
fn the_version_in_the_page_is_this_one() {
    let title = PAGE.lines().find(|line| line.starts_with(".TH ")).unwrap();
    assert!(title.contains(&format!("p2pusb {}", env!("CARGO_PKG_VERSION"))), "{title}");
}

#[test]
fn every_field_of_the_json_is_documented() {
    /// The names of all fields, at any depth.
    fn fields(value: &serde_json::Value, into: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (name, value) in map {
                    into.insert(name.clone());
                    fields(value, into);
                }
            }
            serde_json::Value::Array(list) => list.iter().for_each(|value| fields(value, into)),
            _ => {}
        }
    }
    let all = crate::snapshot::tests::example();
    let failure = crate::exit::Failure::NoAnswer;
    let mut program = BTreeSet::new();
    for value in [
        serde_json::to_value(json::Daemon::from(&all.manager)),
        serde_json::to_value(json::Device::from(&all.devices[0])),
        serde_json::to_value(json::Share::new(&all, &all.shares[1])),
        serde_json::to_value(json::Peer::from(&all.peers[0])),
        serde_json::to_value(json::RemoteDevice::new(&all, &all.remote_devices[0])),
        serde_json::to_value(json::Attachment::new(&all, &all.attachments[0])),
        serde_json::to_value(json::recently_ended(&all.manager)),
        serde_json::to_value(failure.json()),
    ] {
        fields(&value.unwrap(), &mut program);
    }
    let section = plain(&section("JSON").join("\n"));
    let page: BTreeSet<_> =
        section.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(str::to_owned).collect();
    let missing: Vec<_> = program.difference(&page).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn whatever_the_daemon_diagnoses_is_in_the_page() {
    let section = plain(&section("VERBS").join("\n"));
    let words: BTreeSet<_> = section.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
    let missing: Vec<_> = p2pusb_dbus::names::diagnosis::ALL.into_iter().filter(|id| !words.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
