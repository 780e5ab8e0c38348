//! Serial ports without the line discipline's help.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Opens a serial port in raw mode: bytes go through unchanged, nothing is echoed.
pub(crate) fn open_raw(path: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(path)?;
    let mut settings = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: the descriptor is open, and tcgetattr writes a whole termios before it returns 0.
    let settings = unsafe {
        if libc::tcgetattr(file.as_raw_fd(), settings.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        libc::cfmakeraw(settings.as_mut_ptr());
        settings.assume_init()
    };
    // SAFETY: the descriptor is open and `settings` outlives the call.
    if unsafe { libc::tcsetattr(file.as_raw_fd(), libc::TCSAFLUSH, &raw const settings) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}
