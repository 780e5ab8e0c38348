//! Reading a PIN from a file descriptor, which may be anything: a pipe, a file, or a socket whose other end never says a word.

use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};
use p2pusb_protocol::{MAX_PIN, MIN_PIN, Pin, pin_from_bytes};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// How long a caller may take to write a PIN and to close its end.
const READ_TIME: Duration = Duration::from_secs(5);
/// How much later the call is answered when the reading itself hangs: on a file of a network that is gone.
const HANGS_AFTER: Duration = Duration::from_secs(1);
/// Callers whose PINs may be read at a time. A reading that hangs keeps its place, and a thread.
const MAX_READERS: usize = 8;
/// A PIN, the line feed behind it, and one byte by which a longer one is known.
const ROOM: usize = MAX_PIN + 2;

static READERS: Semaphore = Semaphore::const_new(MAX_READERS);

/// Reads a PIN up to the end of the file, pipe or socket.
pub(crate) async fn read(from: OwnedFd) -> Result<Pin> {
    let place = READERS
        .try_acquire()
        .map_err(|_| Error::LimitReached { limit: MAX_READERS, what: "callers whose PINs are being read" })?;
    let reading = spawn_blocking(move || {
        let _place = place;
        read_within(from.as_fd(), READ_TIME)
    });
    match timeout(READ_TIME + HANGS_AFTER, reading).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(Error::failed("the PIN can't be read", error)),
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> Error {
    Error::TimedOut(
        "reading the PIN up to the end of the file descriptor, which has to be closed behind it,".to_owned(),
    )
}

fn read_within(from: BorrowedFd<'_>, time: Duration) -> Result<Pin> {
    let until = Instant::now() + time;
    // Neither grows: what grows leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
    let mut buffer = Zeroizing::new([0; ROOM]);
    loop {
        wait(from, until)?;
        let room = ROOM - bytes.len();
        match unistd::read(from, &mut buffer[..room]) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            // The file description is the caller's, who may have made it non-blocking, or read from it as well.
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => return Err(unreadable(error)),
        }
        if bytes.len() == ROOM {
            let wrong = format!("a PIN has {MIN_PIN} to {MAX_PIN} bytes, and this one has more");
            return Err(Error::InvalidArgs(wrong));
        }
    }
    pin_from_bytes(std::mem::take(&mut *bytes)).map_err(|error| Error::InvalidArgs(error.to_string()))
}

/// Waits until there is something to read, or the end.
fn wait(from: BorrowedFd<'_>, until: Instant) -> Result<()> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_slow());
        }
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(from, PollFlags::POLLIN)], left) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        }
    }
}

fn unreadable(error: Errno) -> Error {
    Error::InvalidArgs(format!("no PIN can be read from the file descriptor: {}", error.desc()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Seek as _, Write as _, pipe},
        os::unix::net::UnixStream,
    };

    use super::*;

    fn through_a_pipe(bytes: &[u8]) -> Result<Pin> {
        let (from, mut to) = pipe().unwrap();
        to.write_all(bytes).unwrap();
        drop(to);
        read_within(from.as_fd(), READ_TIME)
    }

    #[test]
    fn a_pin_comes_through_a_pipe_a_file_and_a_socket() {
        let expected = Pin::new("73 90".to_owned()).unwrap();
        assert_eq!(through_a_pipe(b"73 90\n").unwrap(), expected);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"73 90").unwrap();
        file.rewind().unwrap();
        assert_eq!(read_within(file.as_fd(), READ_TIME).unwrap(), expected);
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.write_all(b"73").unwrap();
        let writer = std::thread::spawn(move || theirs.write_all(b" 90").unwrap());
        assert_eq!(read_within(ours.as_fd(), READ_TIME).unwrap(), expected);
        writer.join().unwrap();
    }

    #[test]
    fn what_is_no_pin_is_refused_with_what_one_is() {
        let said = |bytes: &[u8]| match through_a_pipe(bytes) {
            Err(Error::InvalidArgs(said)) => said,
            other => panic!("{other:?}"),
        };
        assert!(said(b"").contains("4 to 64 bytes"));
        assert!(said(b"123\n").contains("this one has 3"));
        assert!(through_a_pipe(&[&[b'7'; 64][..], b"\n"].concat()).is_ok());
        for len in [66, 4096] {
            assert!(said(&vec![b'7'; len]).contains("this one has more"), "{len}");
        }
        assert!(said(&[b'7'; 65]).contains("this one has 65"));
        assert!(said(b"1234\r\n").contains("control character"));
        assert!(said(b"\xff\xfe12").contains("UTF-8"));
        let folder = std::fs::File::open("/").unwrap();
        assert!(matches!(read_within(folder.as_fd(), READ_TIME), Err(Error::InvalidArgs(_))));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn nobody_is_waited_for_who_never_writes_and_nobody_else_waits() {
        let (from, _held) = pipe().unwrap();
        let reading = tokio::task::spawn_blocking(move || read_within(from.as_fd(), Duration::from_millis(50)));
        assert!(matches!(reading.await.unwrap(), Err(Error::TimedOut(_))));
        // As many as may hang, and one more.
        let (held, _ends): (Vec<_>, Vec<_>) = (0..MAX_READERS).map(|_| pipe().unwrap()).unzip();
        let readings: Vec<_> = held.into_iter().map(|from| tokio::spawn(read(from.into()))).collect();
        while READERS.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let (from, _) = pipe().unwrap();
        assert!(matches!(read(from.into()).await, Err(Error::LimitReached { limit: MAX_READERS, .. })));
        for reading in readings {
            assert!(matches!(reading.await.unwrap(), Err(Error::TimedOut(_))));
        }
    }
}
