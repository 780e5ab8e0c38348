//! What programs read: the JSON of every verb has the fields that tests/json-shapes.txt lists, with these types. It is the
//! promise of p2pusb(1): fields may be added, none is removed and none changes its type. With P2PUSB_UPDATE=1 in the
//! environment the test writes the list anew; whatever line of it goes or changes breaks programs of others.

// The helpers belong to the tests: what they don't expect is a failure.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)] // Each test uses some of it.
mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::Arc,
};

use common::{
    PrivateBus, p2pusb,
    recorder::{ask, recorder},
    run,
};
use serde_json::Value;

const SHAPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/json-shapes.txt");

/// Every verb, by calls that together show all that it can write.
const CALLS: [&[&str]; 31] = [
    &["list", "--all"],
    &["share", "1-2"],
    &["unshare", "1-2"],
    &["unshare", "webcam"],
    &["change", "1-2", "--grace", "5m", "--peer", "desk"],
    &["pause", "1-2"],
    &["resume", "1-2"],
    &["limit", "2M", "1-2"],
    &["limit", "none", "--peer", "desk"],
    &["pin", "1-2", "--clear"],
    &["invite"],
    &["invite", "--device", "1-2", "--access", "2h"],
    &["pair", "ticket"],
    &["forget", "workshop"],
    &["forget", "desk"],
    &["rename", "desk", "table"],
    &["block", "workshop"],
    &["block", "desk"],
    &["unblock", "workshop"],
    &["unblock", "desk"],
    &["peers"],
    &["peers", "--discovered"],
    &["attach", "disk"],
    &["with", "disk", "true"],
    &["detach", "9-1"],
    &["status"],
    &["doctor"],
    &["bugreport"],
    &["reload"],
    &["attach", "scanner"],
    &["share", "usb1"],
];

/// What goes on until it is stopped: so many lines of it.
const STREAMS: [(&[&str], usize); 2] = [(&["status", "--watch"], 1), (&["monitor"], 13)];

/// Those that write none: the journal's own is not ours, and an agent talks to people.
const WITHOUT: [&str; 2] = ["logs", "agent"];

/// For each field of each verb the types that it has.
type Shapes = BTreeMap<String, BTreeSet<&'static str>>;

fn look(path: &str, value: &Value, shapes: &mut Shapes) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    shapes.entry(path.to_owned()).or_default().insert(kind);
    match value {
        Value::Array(list) => list.iter().for_each(|value| look(&format!("{path}[]"), value, shapes)),
        Value::Object(map) => map.iter().for_each(|(name, value)| look(&format!("{path}.{name}"), value, shapes)),
        _ => {}
    }
}

/// What a program writes that never ends, line by line.
fn lines(bus: &PrivateBus, arguments: &[&str], count: usize) -> Vec<Value> {
    let mut child = p2pusb(&bus.address).arg("--json").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(count);
    let values = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    values
}

async fn shapes() -> Shapes {
    let mut shapes = Shapes::new();
    for arguments in CALLS {
        let ((code, stdout, stderr), _) = ask(&[&["--json"], arguments].concat()).await;
        let json: Value = match (stdout.as_str(), stderr.as_str()) {
            ("", json) => serde_json::from_str(json).unwrap(),
            (json, _) => serde_json::from_str(json).unwrap(),
        };
        let name = if code == 0 || arguments[0] == "doctor" { arguments[0] } else { "failure" };
        look(name, &json, &mut shapes);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report");
    let ((_, stdout, _), _) = ask(&["--json", "bugreport", "--output", file.to_str().unwrap()]).await;
    look("bugreport", &serde_json::from_str(&stdout).unwrap(), &mut shapes);
    let (_, _, stderr) = run(p2pusb("unix:path=/nonexistent").args(["--json", "list"]));
    look("failure", &serde_json::from_str(&stderr).unwrap(), &mut shapes);
    for (arguments, count) in STREAMS {
        let bus = PrivateBus::start();
        let recorder = recorder(&bus, &Arc::default()).await;
        let values = tokio::task::spawn_blocking(move || lines(&bus, arguments, count)).await.unwrap();
        recorder.abort();
        for value in &values {
            // The kinds of things that monitor tells of have fields of their own.
            let kind = value["kind"].as_str().map(|kind| format!(" {kind}")).unwrap_or_default();
            look(&format!("{}{kind}", arguments.join(" ")), value, &mut shapes);
        }
    }
    shapes
}

fn written(shapes: &Shapes) -> String {
    let line = |(path, kinds): (&String, &BTreeSet<&str>)| {
        format!("{path}: {}\n", kinds.iter().copied().collect::<Vec<_>>().join("|"))
    };
    shapes.iter().map(line).collect()
}

#[tokio::test]
async fn no_field_goes_and_none_changes_its_type() {
    let shapes = shapes().await;
    if env::var_os("P2PUSB_UPDATE").is_some() {
        fs::write(SHAPES, written(&shapes)).unwrap();
    }
    let list = fs::read_to_string(SHAPES).unwrap();
    let promised: BTreeMap<_, _> = list.lines().filter_map(|line| line.split_once(": ")).collect();
    for (path, kinds) in &promised {
        let found = shapes.get(*path).unwrap_or_else(|| panic!("{path} is not written any more"));
        let promised: BTreeSet<_> = kinds.split('|').collect();
        assert!(found.iter().all(|kind| promised.contains(kind)), "{path} was {kinds}, and is {found:?}");
    }
    let new: Vec<_> = shapes.keys().filter(|path| !promised.contains_key(path.as_str())).collect();
    assert!(new.is_empty(), "not in tests/json-shapes.txt yet: {new:?}");
}

#[test]
fn every_verb_is_among_them() {
    let (_, help, _) = run(p2pusb("unix:path=/nonexistent").arg("help"));
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let known: BTreeSet<_> =
        CALLS.iter().map(|call| call[0]).chain(STREAMS.map(|(call, _)| call[0])).chain(WITHOUT).collect();
    for verb in list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()) {
        assert!(verb.is_empty() || verb == "help" || known.contains(verb), "{verb}");
    }
}
