//! The program as it is run, where there is no daemon.

// The helpers belong to the tests: what they don't expect is a failure.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test uses some of it.
mod common;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use common::{PrivateBus, p2pusb, run};

/// Arguments that are right, for every verb that needs the daemon.
const WITH_DAEMON: [&[&str]; 21] = [
    &["list"],
    &["share", "1-2"],
    &["unshare", "1-2"],
    &["change", "1-2", "--every-peer"],
    &["pause", "1-2"],
    &["resume", "1-2"],
    &["limit", "2M", "1-2"],
    &["pin", "1-2", "--clear"],
    &["agent"],
    &["invite"],
    &["pair", "ticket"],
    &["forget", "peer"],
    &["rename", "peer", "other"],
    &["block", "peer"],
    &["unblock", "peer"],
    &["peers"],
    &["attach", "1-2"],
    &["with", "1-2", "true"],
    &["detach", "1-2"],
    &["status"],
    &["reload"],
];

/// The verbs that have something to say without it.
const WITHOUT_DAEMON: [&str; 4] = ["logs", "monitor", "doctor", "bugreport"];

/// All verbs, from what the program says of itself.
fn verbs() -> Vec<String> {
    let (_, help, _) = run(program().arg("help"));
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    // What does not fit into a line goes on further in.
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(' '));
    let names: Vec<_> =
        names.map(|(name, _)| name.to_owned()).filter(|name| !name.is_empty() && name != "help").collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

fn program() -> Command {
    p2pusb("unix:path=/nonexistent")
}

#[test]
fn no_verb_is_forgotten_here() {
    let mut known: Vec<_> = WITH_DAEMON.iter().map(|arguments| arguments[0]).chain(WITHOUT_DAEMON).collect();
    known.sort_unstable();
    let mut verbs = verbs();
    verbs.sort_unstable();
    assert_eq!(known, verbs);
}

#[test]
fn without_a_bus_every_verb_that_needs_it_exits_with_5() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = format!("unix:path={}/nowhere", folder.path().display());
    for verb in WITH_DAEMON.into_iter().chain([&[][..]]) {
        let (code, stdout, stderr) = run(p2pusb(&nowhere).args(verb));
        assert_eq!((code, stdout.as_str()), (5, ""), "{verb:?}: {stderr}");
        assert!(stderr.starts_with("p2pusb: the D-Bus system bus can't be reached"), "{verb:?}: {stderr}");
    }
}

#[test]
fn without_the_daemon_every_verb_that_needs_it_exits_with_5_and_says_how_to_start_it() {
    let bus = PrivateBus::start();
    for verb in WITH_DAEMON.into_iter().chain([&[][..]]) {
        let (code, stdout, stderr) = run(p2pusb(&bus.address).args(verb));
        assert_eq!((code, stdout.as_str()), (5, ""), "{verb:?}: {stderr}");
        assert!(stderr.starts_with("p2pusb: p2pusbd is not running"), "{verb:?}: {stderr}");
        assert!(stderr.contains("systemctl start p2pusbd"), "{verb:?}: {stderr}");
    }
}

#[test]
fn a_failure_can_be_read_by_programs() {
    let bus = PrivateBus::start();
    let (code, stdout, stderr) = run(p2pusb(&bus.address).args(["--json", "status"]));
    assert_eq!((code, stdout.as_str()), (5, ""));
    let json: serde_json::Value = serde_json::from_str(&stderr).unwrap();
    assert_eq!(json["error"]["exit_code"], 5);
    assert_eq!(json["error"]["name"], serde_json::Value::Null);
    assert!(json["error"]["advice"].as_str().unwrap().contains("systemctl"));
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &["no-such-verb"][..],
        &["--no-such-option"],
        &["share"],
        &["share", "a", "b"],
        &["list", "--force"],
        &["pair"],
        &["detach"],
        &["detach", "1-2", "--all"],
        &["invite", "--expires", "10"],
        &["invite", "--expires", "8d"],
        &["pin"],
        &["pin", "1-2", "73905518"],
        &["attach"],
        &["attach", "1-2", "--once", "--follow", "2e8a:0003"],
        &["share", "1-2", "--once", "--follow", "2e8a:0003"],
        &["peers", "extra"],
    ] {
        let (code, stdout, stderr) = run(program().args(arguments));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains("--help"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn help_and_version_need_no_daemon() {
    for verb in verbs().iter().map(|verb| Some(verb.as_str())).chain([None]) {
        for flag in ["-h", "--help"] {
            let (code, stdout, stderr) = run(program().args(verb).arg(flag));
            assert_eq!((code, stderr.as_str()), (0, ""), "{verb:?} {flag}");
            assert!(stdout.contains("Usage: p2pusb") && stdout.contains("--no-ask-password"), "{verb:?}: {stdout}");
        }
        let (_, long, _) = run(program().args(verb).arg("--help"));
        let (code, stdout, _) = run(program().arg("help").args(verb));
        assert_eq!((code, stdout), (0, long), "{verb:?}");
    }
    let (code, stdout, _) = run(program().arg("--version"));
    assert_eq!((code, stdout), (0, format!("p2pusb {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn the_help_lists_the_exit_codes_and_an_example() {
    let (_, stdout, _) = run(program().arg("--help"));
    for text in ["Exit codes: 0 done", "5 p2pusbd is not running", "p2pusb pair TICKET", "DEVICE is a bus path"] {
        assert!(stdout.contains(text), "{text}");
    }
}

#[test]
fn pair_reads_standard_input_before_it_asks_anybody() {
    // No ticket is a matter of usage; with one it is the missing bus that ends it.
    for (input, expected) in [("", 2), (" \n", 2), ("ticket\n", 5)] {
        let mut child = program()
            .args(["pair", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(expected), "{input:?}");
    }
}
