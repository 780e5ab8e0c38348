//! The processes of one pair, and how the parent talks to them.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use crate::{Result, usage::Usage};

/// A process that is one side.
#[derive(Debug)]
pub(crate) struct Side {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Side {
    /// Starts one; `words` say which.
    pub(crate) fn start(words: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("side").args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let to = process.stdin.take();
        let from = BufReader::new(process.stdout.take().ok_or("no pipe")?);
        Ok(Self { process, to, from })
    }

    /// The next line that it says.
    pub(crate) fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err("one side has ended".into());
        }
        Ok(line.trim_end().to_owned())
    }

    pub(crate) fn ask(&mut self, line: &str) -> Result<String> {
        let to = self.to.as_mut().ok_or("one side has been ended")?;
        writeln!(to, "{line}")?;
        self.hear()
    }

    pub(crate) fn usage(&mut self) -> Result<Usage> {
        self.ask("usage")?.parse()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.to = None;
        let _ = self.process.wait();
    }
}

/// Says a line to the parent.
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The parent's questions, on a thread of their own, until it asks no more.
pub(crate) fn questions() -> tokio::sync::mpsc::Receiver<String> {
    let (tx, rx) = tokio::sync::mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(std::result::Result::ok) {
            if tx.blocking_send(line).is_err() {
                return;
            }
        }
    });
    rx
}
