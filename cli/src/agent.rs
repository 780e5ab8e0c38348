//! The program as an agent: p2pusbd asks, and whoever sits in front of the terminal answers.

use std::{
    collections::HashMap,
    io::{BufRead as _, IsTerminal as _, Read as _, Write as _, stderr, stdin},
    sync::{Mutex, MutexGuard, PoisonError},
};

use p2pusb_dbus::{
    Options,
    names::{AGENT_CAPABILITY_CONFIRM, PEER_SHORT_DIGITS, ROOT_PATH, detail, interface},
};
use tokio::sync::{Notify, mpsc, oneshot};
use zbus::{ObjectPath, OwnedVariant};

use crate::{bus::Bus, exit::Failure, format::clean};

/// Where the agent is on this program's connection.
const AGENT_PATH: &str = "/org/p2pusb1/agent";
/// Answers that may wait to be heard of; there is one question at a time.
const ANSWERS: usize = 8;
/// More than a yes or a no takes.
const LINE_MAX: u64 = 1024;

/// What somebody has said about a machine.
#[derive(Debug)]
pub(crate) struct Answered {
    /// Its endpoint id.
    pub(crate) endpoint_id: String,
    /// Whether to pair with it.
    pub(crate) agreed: bool,
}

/// Registers an agent with the daemon, for as long as this program is on the bus; what it is told.
pub(crate) async fn register(bus: &mut Bus) -> Result<mpsc::Receiver<Answered>, Failure> {
    let (answers, answered) = mpsc::channel(ANSWERS);
    let agent = Agent { answers, taken_back: Notify::new(), lines: Lines::default() };
    bus.connection().object_server().at(AGENT_PATH, agent).await.map_err(Failure::Bus)?;
    let arguments = (ObjectPath::from_static_str_unchecked(AGENT_PATH), AGENT_CAPABILITY_CONFIRM, Options::new());
    let what = "Registering with p2pusbd";
    bus.call::<_, ()>(what, ROOT_PATH, interface::AGENT_MANAGER, "RegisterAgent", &arguments).await?;
    Ok(answered)
}

struct Agent {
    answers: mpsc::Sender<Answered>,
    /// Nobody waits for the answer any longer.
    taken_back: Notify,
    lines: Lines,
}

impl Agent {
    /// What somebody says to the question that stands there.
    async fn answer(&self) -> bool {
        tokio::select! {
            line = self.lines.next() => is_yes(&line),
            () = self.taken_back.notified() => {
                say("\nThe other side has called it off, or it took too long.\n");
                false
            }
        }
    }
}

#[zbus::interface(name = "org.p2pusb1.Agent")]
impl Agent {
    #[zbus(out_args("agreed"))]
    async fn request_pairing(
        &self,
        endpoint_id: String,
        label: String,
        code: String,
        _details: HashMap<String, OwnedVariant>,
    ) -> bool {
        say(&question(&endpoint_id, &label, &code));
        let agreed = self.answer().await;
        // Who listens no longer has ended.
        let _ = self.answers.send(Answered { endpoint_id, agreed }).await;
        agreed
    }

    #[zbus(out_args("agreed"))]
    async fn request_attach(
        &self,
        peer: ObjectPath<'_>,
        _share: ObjectPath<'_>,
        details: HashMap<String, OwnedVariant>,
    ) -> bool {
        let text = |name: &str| details.get(name).and_then(|value| <&str>::try_from(&**value).ok()).map(clean);
        let label = text(detail::LABEL).unwrap_or_else(|| peer.to_string());
        let product = text(detail::PRODUCT).unwrap_or_else(|| "a device".to_owned());
        say(&format!("{label} wants to use {product}. Let it? [y/N] "));
        self.answer().await
    }

    async fn cancel(&self) {
        self.taken_back.notify_one();
    }

    async fn release(&self) {
        self.taken_back.notify_one();
    }
}

/// Standard output is the result's, and may be read by a program.
fn say(text: &str) {
    // Where nobody can read the question, nobody answers it.
    let _ = write!(stderr(), "{text}");
    let _ = stderr().flush();
}

fn question(endpoint_id: &str, label: &str, code: &str) -> String {
    let (label, code) = (clean(label), clean(code));
    let id = clean(endpoint_id).chars().take(PEER_SHORT_DIGITS).collect::<String>();
    let name = if label.is_empty() { "A machine that does not say its name".to_owned() } else { label };
    let (first, second) = code.split_at_checked(code.len() / 2).unwrap_or((&code, ""));
    let asked = format!("{name} ({id}) is to be paired with this machine. Does it show the same code?");
    format!("{asked}\n\n    {first} {second}\n\nPair? [y/N] ")
}

fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.trim().to_lowercase().as_str())
}

/// Lines of standard input, each read when it is wanted and not before: somebody else may have to read a password.
#[derive(Default)]
struct Lines(Mutex<Option<oneshot::Receiver<String>>>);

impl Lines {
    /// One that was begun for a question that was taken back.
    fn begun(&self) -> MutexGuard<'_, Option<oneshot::Receiver<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next line; nothing at the end.
    async fn next(&self) -> String {
        let begun = self.begun().take();
        let mut reading = Reading { lines: self, line: begun.or_else(|| Some(read_line())) };
        let line = match &mut reading.line {
            Some(line) => line.await.unwrap_or_default(),
            None => String::new(),
        };
        reading.line = None;
        line
    }
}

/// A line that somebody waits for. Who no longer does leaves it to the next.
struct Reading<'a> {
    lines: &'a Lines,
    line: Option<oneshot::Receiver<String>>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        *self.lines.begun() = self.line.take();
    }
}

/// Begins to read a line, on a thread of its own: the program can end meanwhile.
fn read_line() -> oneshot::Receiver<String> {
    let (read, line) = oneshot::channel();
    std::thread::spawn(move || {
        if stdin().is_terminal() {
            // What was typed before the question is no answer to it.
            // SAFETY: tcflush() takes two numbers; where standard input is no terminal any more, it fails.
            unsafe { libc::tcflush(libc::STDIN_FILENO, libc::TCIFLUSH) };
        }
        let mut text = String::new();
        // What can't be read is no yes.
        let _ = stdin().lock().take(LINE_MAX).read_line(&mut text);
        // Nobody may wait for it any longer.
        let _ = read.send(text);
    });
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for yes in ["y\n", " Yes \n", "YES"] {
            assert!(is_yes(yes), "{yes}");
        }
        for no in ["", "\n", "n\n", "yess", "j", "y y"] {
            assert!(!is_yes(no), "{no}");
        }
    }

    #[test]
    fn a_question_shows_the_code_and_no_tricks() {
        let asked = question(&"ab".repeat(32), "work\u{1b}[2Jshop", "012345");
        assert!(asked.contains("\n    012 345\n") && asked.contains("(ababababab)"), "{asked}");
        assert!(!asked.contains('\u{1b}'));
        assert!(question("", "", "").contains("does not say its name"));
    }

    #[tokio::test]
    async fn a_line_that_was_begun_for_another_question_is_not_lost() {
        let (lines, (read, line)) = (Lines::default(), oneshot::channel());
        *lines.begun() = Some(line);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(1), lines.next()).await;
        assert!(waiting.is_err());
        read.send("y\n".to_owned()).unwrap();
        assert_eq!(lines.next().await, "y\n");
    }
}
