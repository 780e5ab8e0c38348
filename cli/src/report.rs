//! What a verb has to say when it is done, and how it is written.

use std::io::{self, Write as _, stderr, stdout};

use serde::Serialize;

use crate::exit::Failure;

/// The result of a verb.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// For people, on standard output.
    pub(crate) text: String,
    /// For people, on standard error: what a script that reads standard output does not want.
    pub(crate) note: String,
    /// For programs, on standard output, in place of both.
    pub(crate) json: String,
    /// The exit status where nothing failed: that of a command that was run.
    pub(crate) status: u8,
    /// What did not work, where other things did.
    pub(crate) failure: Option<Failure>,
}

impl Report {
    /// A report with its shape for programs.
    pub(crate) fn new(text: impl Into<String>, json: &impl Serialize) -> Self {
        Self { text: text.into(), json: pretty(json), ..Self::default() }
    }

    /// Write it. Nobody who stops reading (`p2pusb list | head -1`) is told of it.
    pub(crate) fn write(&self, json: bool) -> io::Result<()> {
        let (out, note) = if json { (&self.json, "") } else { (&self.text, self.note.as_str()) };
        // The note explains what standard output shows, so it goes first.
        write_all(stderr(), note)?;
        write_all(stdout(), out)
    }
}

/// Write one more of many to standard output, for as long as somebody reads.
pub(crate) fn stream(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::Output(error),
    })
}

/// A line of JSON, one of many.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).unwrap_or_else(|error| unreachable!("{error}"));
    text.push('\n');
    text
}

/// Write a failure to standard error.
pub(crate) fn write_failure(failure: &Failure, json: bool) -> io::Result<()> {
    if json {
        return write_all(stderr(), &pretty(&failure.json()));
    }
    let mut text = String::new();
    for line in failure.to_string().lines() {
        // The lines of a list are indented already, and belong to the line above them.
        let prefix = if line.starts_with(' ') { "" } else { "p2pusb: " };
        text.push_str(&format!("{prefix}{line}\n"));
    }
    if let Some(advice) = failure.advice() {
        text.push_str(&format!("{advice}\n"));
    }
    write_all(stderr(), &text)
}

pub(crate) fn pretty(value: &impl Serialize) -> String {
    // Nothing that is written here can fail to serialise: plain structures with names for keys.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|error| unreachable!("{error}"));
    text.push('\n');
    text
}

fn write_all(mut to: impl io::Write, text: &str) -> io::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
