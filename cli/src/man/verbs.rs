//! A page of the manual for each verb, packaging/man/p2pusb-VERB.1. They are written from args.rs, so that
//! `man p2pusb-VERB` and `p2pusb help VERB` say the same: with P2PUSB_UPDATE=1 in the environment the test below writes
//! what it otherwise expects.

use std::{collections::BTreeSet, env, fs, path::PathBuf};

use clap::Command;
use clap_mangen::Man;

use super::{PAGE, built, section};

/// Pages that each of them points to.
const SEE_ALSO: [(&str, u8); 4] = [("p2pusb", 1), ("p2pusbd", 8), ("p2pusb.toml", 5), ("org.p2pusb1", 5)];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../packaging/man")
}

fn file_name(verb: &Command) -> String {
    format!("p2pusb-{}.1", verb.get_name())
}

/// The verbs that have pages: all but clap's own `help`.
fn verbs() -> Vec<Command> {
    built().get_subcommands().filter(|verb| verb.get_name() != "help").cloned().collect()
}

/// The date of p2pusb(1).
fn date() -> &'static str {
    let title = PAGE.lines().find_map(|line| line.strip_prefix(".TH ")).unwrap();
    title.split(' ').nth(2).unwrap()
}

/// A line of text as roff reads it.
fn roff(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if escaped.starts_with('.') { format!("\\&{escaped}") } else { escaped }
}

/// The commands of its help's last section, as a section of their own.
fn examples(verb: &Command) -> String {
    let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (title, commands) = help.split_once('\n').unwrap();
    assert!(["Example:", "Examples:"].contains(&title), "{} has no examples", verb.get_name());
    let lines: Vec<_> = commands.lines().map(|line| roff(line.trim_start())).collect();
    format!(".SH EXAMPLES\n.EX\n{}\n.EE\n", lines.join("\n"))
}

fn page(verb: &Command) -> String {
    let name = format!("p2pusb-{}", verb.get_name());
    let source = format!("p2pusb {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(verb.clone()).title(name.to_uppercase()).section("1").date(date()).source(source);
    let man = man.manual("User Commands");
    let mut text = b".\\\" SPDX-License-Identifier: MIT OR Apache-2.0\n.\\\" Written from cli/src/args.rs.\n".to_vec();
    man.render_title(&mut text).unwrap();
    man.render_name_section(&mut text).unwrap();
    man.render_synopsis_section(&mut text).unwrap();
    man.render_description_section(&mut text).unwrap();
    man.render_options_section(&mut text).unwrap();
    let mut text = String::from_utf8(text).unwrap();
    text.push_str(&examples(verb));
    text.push_str(".SH EXIT STATUS\nAs of\n.BR p2pusb (1).\n.SH SEE ALSO\n");
    let pages = SEE_ALSO.map(|(name, section)| format!(".BR {name} ({section})"));
    text.push_str(&pages.join(",\n"));
    text.push('\n');
    text
}

#[test]
fn each_verb_has_its_page_and_no_page_is_left_over() {
    let update = env::var_os("P2PUSB_UPDATE").is_some();
    for verb in verbs() {
        let path = folder().join(file_name(&verb));
        if update {
            fs::write(&path, page(&verb)).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == page(&verb), "{} is not what args.rs says; see above how it is written", path.display());
    }
    let expected: BTreeSet<_> = verbs().iter().map(file_name).collect();
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let found: BTreeSet<_> = names.filter(|name| name.starts_with("p2pusb-")).collect();
    assert_eq!(found, expected);
}

#[test]
fn each_verb_says_more_than_one_line_and_the_page_has_all_of_it() {
    for verb in verbs() {
        let short = verb.get_about().unwrap().to_string();
        let long = verb.get_long_about().unwrap_or_else(|| panic!("{} says no more", verb.get_name())).to_string();
        assert!(long.starts_with(&short) && long.len() > short.len(), "{}", verb.get_name());
    }
}

#[test]
fn the_page_of_the_program_names_those_of_the_verbs() {
    let found: BTreeSet<_> = section("SEE ALSO").iter().filter_map(|line| line.split(' ').nth(1)).collect();
    let missing: Vec<_> = verbs()
        .iter()
        .map(|verb| format!("p2pusb\\-{}", verb.get_name()))
        .filter(|name| !found.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
