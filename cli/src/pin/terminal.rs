//! Reading a line from the terminal without showing it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    mem::MaybeUninit,
    os::fd::AsRawFd as _,
};

use zeroize::Zeroizing;

use super::LONGEST;
use crate::exit::Failure;

/// The terminal of this program, wherever its standard input is, which shows nothing of what is typed until this is dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    file: File,
    before: Settings,
}

impl Terminal {
    /// Fails where there is no terminal.
    pub(super) fn open() -> Result<Self, Failure> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| Failure::NoTerminal)?;
        let before = Settings::of(&file).map_err(Failure::Terminal)?;
        let terminal = Self { file, before };
        before.quiet().apply(&terminal.file).map_err(Failure::Terminal)?;
        Ok(terminal)
    }

    /// Asks a question; the line that is typed then, without its end.
    pub(super) fn ask(&mut self, question: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
        self.file.write_all(question.as_bytes()).map_err(Failure::Terminal)?;
        // It does not grow: what grows leaves a copy behind.
        let mut line = Zeroizing::new(Vec::with_capacity(2 * LONGEST));
        let mut buffer = Zeroizing::new([0; LONGEST]);
        while line.len() < LONGEST {
            let read = match self.file.read(&mut buffer[..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(Failure::Terminal)?,
            };
            line.extend_from_slice(&buffer[..read]);
            match line.last() {
                Some(b'\n') => {
                    line.pop();
                    break;
                }
                // The end of the input, or a key that would have ended this program.
                _ if read == 0 || line.last().is_some_and(|last| self.before.is_interrupt(*last)) => {
                    return Err(Failure::NotTyped);
                }
                _ => {}
            }
        }
        if line.is_empty() { Err(Failure::NotTyped) } else { Ok(line) }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs no settings.
        let _ = self.before.apply(&self.file);
    }
}

/// How a terminal behaves.
#[derive(Clone, Copy)]
struct Settings(libc::termios);

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Settings(..)")
    }
}

impl Settings {
    fn of(terminal: &File) -> io::Result<Self> {
        let mut settings = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the descriptor is open, and tcgetattr() writes a whole termios before it returns 0.
        let settings = unsafe {
            if libc::tcgetattr(terminal.as_raw_fd(), settings.as_mut_ptr()) != 0 {
                return Err(io::Error::last_os_error());
            }
            settings.assume_init()
        };
        Ok(Self(settings))
    }

    /// The same without an echo, but for the end of the line. The keys that would end the program end the line instead: then
    /// there is a way back to an echo.
    fn quiet(mut self) -> Self {
        self.0.c_lflag &= !(libc::ECHO | libc::ISIG);
        self.0.c_lflag |= libc::ICANON | libc::ECHONL;
        self.0.c_cc[libc::VEOL] = self.0.c_cc[libc::VINTR];
        self.0.c_cc[libc::VEOL2] = self.0.c_cc[libc::VQUIT];
        self
    }

    fn is_interrupt(&self, byte: u8) -> bool {
        // 0 stands for no key.
        byte != 0 && [libc::VINTR, libc::VQUIT].iter().any(|key| self.0.c_cc[*key] == byte)
    }

    /// What was typed before counts no longer.
    fn apply(&self, terminal: &File) -> io::Result<()> {
        // SAFETY: the descriptor is open and the settings outlive the call.
        match unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSAFLUSH, &raw const self.0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
