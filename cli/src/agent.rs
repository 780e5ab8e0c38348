//! Letting polkit ask for a password where there is no desktop that would: `pkttyagent` does it on the
//! terminal, for as long as a call takes.

use std::{
    io::{IsTerminal as _, pipe, stdin},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver, time::timeout};

/// polkit's agent for terminals.
const PKTTYAGENT: &str = "pkttyagent";

/// How long the agent may take to register with polkit. Without it the call goes on: polkit may need none.
const REGISTRATION_MAX: Duration = Duration::from_secs(5);

/// The running agent; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Agent(Child);

impl Agent {
    /// Start the agent, if there is a terminal to ask on and somebody who may have to be asked.
    ///
    /// Returns when polkit knows the agent. Where there is no polkit there is no agent either, and root is never
    /// asked; the answer to the call itself then says what is the matter.
    pub(crate) async fn start() -> Option<Self> {
        if !stdin().is_terminal() || is_root() {
            return None;
        }
        let (registered, notify) = pipe().ok()?;
        // The agent closes the descriptor that it is told as soon as it is registered. It talks to /dev/tty, so
        // its standard input is free to be that descriptor. The fallback option leaves the asking to an agent of
        // the desktop where there is one.
        let child = Command::new(PKTTYAGENT)
            .args(["--notify-fd", "0", "--fallback"])
            .arg("--process")
            .arg(std::process::id().to_string())
            .stdin(Stdio::from(notify))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let agent = Self(child);
        let mut registered = Receiver::from_owned_fd(OwnedFd::from(registered)).ok()?;
        // Nothing is ever written: what ends the reading is that the other end is closed, by registering or by
        // ending.
        let _ = timeout(REGISTRATION_MAX, registered.read(&mut [0])).await;
        Some(agent)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // The agent restores the terminal when it is asked to end, not when it is killed.
        if let Ok(pid) = libc::pid_t::try_from(self.0.id()) {
            // SAFETY: kill() takes two numbers. The child has not been waited for, so the number is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
        let _ = self.0.wait();
    }
}

fn is_root() -> bool {
    // SAFETY: geteuid() takes nothing, changes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}
