//! `p2pusb bugreport`: one text with what somebody needs who looks into a problem, and without what is nobody's business.

mod redact;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use p2pusb_dbus::names::{CONFIG_FILE_DEFAULT, UNIT};
use serde::Serialize;

use self::redact::Redactor;
use super::doctor;
use crate::{
    args::Bugreport,
    bus::Bus,
    exit::Failure,
    format::{Colours, clean, now_usec},
    report::Report,
    snapshot::Snapshot,
};

/// How many of the newest entries of the journal are in it.
const JOURNAL_LINES: u32 = 1000;

#[derive(Serialize)]
struct Json {
    file: Option<String>,
    report: Option<String>,
}

pub(super) async fn run(args: &Bugreport) -> Result<Report, Failure> {
    let report = Redactor::new(serials(Path::new("/sys/bus/usb/devices"))).redact(&collect().await);
    let Some(path) = &args.output else {
        return Ok(Report::new(report.clone(), &Json { file: None, report: Some(report) }));
    };
    // Nobody else's until its owner has looked at it, and nothing that is there already is lost.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(report.as_bytes()));
    let name = path.display().to_string();
    written.map_err(|error| Failure::File(name.clone(), error))?;
    let text = format!("{name} is written. Look through it before you give it to anybody.\n");
    Ok(Report::new(text, &Json { file: Some(name), report: None }))
}

/// Serial numbers are in no other place that a report is made of, but names of device nodes are made of them.
fn serials(devices: &Path) -> Vec<String> {
    let devices = fs::read_dir(devices).into_iter().flatten().flatten();
    let serials = devices.filter_map(|device| fs::read_to_string(device.path().join("serial")).ok());
    serials.map(|serial| serial.trim().to_owned()).collect()
}

async fn collect() -> String {
    let mut text = String::new();
    section(&mut text, "versions", &versions());
    let checks = doctor::checks().await;
    section(&mut text, "doctor", &crate::report::pretty(&checks));
    let state = match Bus::connect(true).await {
        Ok(bus) => match bus.look().await {
            Ok(all) => everything(&all),
            Err(failure) => failure.to_string(),
        },
        Err(failure) => failure.to_string(),
    };
    section(&mut text, "status", &state);
    for (name, settings) in settings(Path::new(CONFIG_FILE_DEFAULT)) {
        section(&mut text, &name, &settings);
    }
    let lines = format!("--lines={JOURNAL_LINES}");
    let unit = format!("--unit={UNIT}");
    section(
        &mut text,
        "journal",
        &said("journalctl", &[&unit, &lines, "--no-pager", "--output=short-iso-precise", "--no-hostname"]),
    );
    text
}

/// All lists, as programs get them.
fn everything(all: &Snapshot) -> String {
    let status = crate::report::pretty(&super::status::json(all));
    let list = super::list::report(all, true, Colours::none()).json;
    let peers = super::peers::report(all, now_usec(), Colours::none()).json;
    [status, list, peers].concat()
}

fn section(text: &mut String, title: &str, what: &str) {
    text.push_str(&format!("== {title}\n"));
    // Control characters of a log have no business in a mail.
    for line in what.lines() {
        text.push_str(&clean(line));
        text.push('\n');
    }
    text.push('\n');
}

fn versions() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system =
        release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown").trim_matches('"');
    let kernel = fs::read_to_string("/proc/version").unwrap_or_default();
    format!("p2pusb {}\n{system}\n{kernel}", env!("CARGO_PKG_VERSION"))
}

/// Every file of settings with its text.
fn settings(file: &Path) -> Vec<(String, String)> {
    let mut paths = vec![file.to_owned()];
    let folder = fs::read_dir(file.with_extension("d")).into_iter().flatten().flatten();
    let mut more: Vec<_> =
        folder.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    more.sort();
    paths.append(&mut more);
    let text = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
    paths.iter().map(|path| (path.display().to_string(), text(path))).collect()
}

/// What a program says, or why it can't be run.
fn said(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        Err(error) => format!("{program} can't be run: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_settings_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("p2pusb.toml");
        fs::write(&main, "# first").unwrap();
        fs::create_dir(folder.path().join("p2pusb.d")).unwrap();
        for name in ["b.toml", "a.toml", "c.txt"] {
            fs::write(folder.path().join("p2pusb.d").join(name), name).unwrap();
        }
        let texts: Vec<_> = settings(&main).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["# first", "a.toml", "b.toml"]);
    }

    #[test]
    fn sections_have_titles_and_no_control_characters() {
        let mut text = String::new();
        section(&mut text, "journal", "one\x1b[2J\ntwo");
        assert_eq!(text, "== journal\none\u{fffd}[2J\ntwo\n\n");
    }
}
