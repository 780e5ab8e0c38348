//! PINs: typed on a terminal, or read from a file or standard input. None is ever an argument, which every user of the
//! machine can see, nor in the environment. The daemon reads it from a pipe, so it is on no bus either.

mod terminal;

use std::{
    fmt,
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _, pipe, stdin},
    os::fd::OwnedFd,
    path::Path,
};

use tokio::task::spawn_blocking;
use zbus::Fd;
use zeroize::Zeroizing;

use self::terminal::Terminal;
use crate::{args::PinFrom, exit::Failure};

/// More than the longest PIN, and less than a pipe holds. What is longer the daemon refuses.
const LONGEST: usize = 256;

/// What was typed or read, which only the daemon looks at. It is overwritten when it is dropped.
#[derive(PartialEq, Eq)]
pub(crate) struct Pin(Zeroizing<Vec<u8>>);

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

impl Pin {
    /// The end of a pipe from which the daemon reads it.
    pub(crate) fn for_daemon(&self) -> Result<Fd<'static>, Failure> {
        let through_a_pipe = || {
            let (from, mut to) = pipe()?;
            to.write_all(&self.0)?;
            Ok(OwnedFd::from(from))
        };
        through_a_pipe().map(Fd::from).map_err(Failure::Pipe)
    }

    fn read(from: impl Read) -> io::Result<Self> {
        // What has to grow leaves a copy behind, and there is some room that reading to the end asks for.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
        from.take(LONGEST as u64).read_to_end(&mut bytes)?;
        Ok(Self(bytes))
    }
}

/// The PIN that the options speak of, if they do.
pub(crate) async fn given(from: &PinFrom, whose: &str) -> Result<Option<Pin>, Failure> {
    match (&from.pin_file, from.pin) {
        (Some(file), _) => from_file(file).map(Some),
        (None, true) => ask(whose).await.map(Some),
        (None, false) => Ok(None),
    }
}

/// The same for a new PIN, which has to be typed twice.
pub(crate) async fn new(from: &PinFrom, whose: &str) -> Result<Option<Pin>, Failure> {
    if from.pin && from.pin_file.is_none() { choose(whose).await.map(Some) } else { given(from, whose).await }
}

/// Whether somebody is there who can be asked.
pub(crate) fn may_ask() -> bool {
    stdin().is_terminal()
}

/// Asks for a PIN on the terminal.
pub(crate) async fn ask(whose: &str) -> Result<Pin, Failure> {
    let question = format!("PIN for {whose}: ");
    on_terminal(move |terminal| terminal.ask(&question)).await
}

/// Asks for a new PIN on the terminal, twice: nobody sees what was typed.
async fn choose(whose: &str) -> Result<Pin, Failure> {
    let question = format!("New PIN for {whose}: ");
    on_terminal(move |terminal| {
        let first = terminal.ask(&question)?;
        let again = terminal.ask("The same again: ")?;
        if first == again { Ok(first) } else { Err(Failure::PinsDiffer) }
    })
    .await
}

async fn on_terminal(
    ask: impl FnOnce(&mut Terminal) -> Result<Zeroizing<Vec<u8>>, Failure> + Send + 'static,
) -> Result<Pin, Failure> {
    let asked = spawn_blocking(move || ask(&mut Terminal::open()?)).await;
    asked.map_err(|error| Failure::Terminal(error.into()))?.map(Pin)
}

fn from_file(file: &Path) -> Result<Pin, Failure> {
    if file.as_os_str() == "-" {
        return Pin::read(stdin().lock()).map_err(Failure::Input);
    }
    let read = File::open(file).and_then(Pin::read);
    read.map_err(|error| Failure::Unreadable(file.display().to_string(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_reads_what_was_read_here_and_then_the_end() {
        let pin = Pin::read(&b"73905518\n"[..]).unwrap();
        let mut read = Vec::new();
        File::from(OwnedFd::try_from(pin.for_daemon().unwrap()).unwrap()).read_to_end(&mut read).unwrap();
        assert_eq!(read, b"73905518\n");
        assert_eq!(format!("{pin:?}"), "Pin(..)");
    }

    #[test]
    fn endless_input_is_not_read_to_its_end() {
        assert_eq!(Pin::read(io::repeat(b'7')).unwrap().0.len(), LONGEST);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let failure = from_file(Path::new("/nonexistent/pin")).unwrap_err();
        assert!(failure.to_string().starts_with("/nonexistent/pin can't be read: "), "{failure}");
    }
}
