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
pub(crate) struct Pkttyagent(Child);

impl Pkttyagent {
    /// Start the agent, if there is a terminal to ask on and somebody who may have to be asked.
    ///
    /// Returns when polkit knows the agent. Where there is no polkit there is no agent either, and root is never
    /// asked; the answer to the call itself then says what is the matter.
    pub(crate) async fn start() -> Option<Self> {
        if !stdin().is_terminal() || is_root() {
            return None;
        }
        let mut command = Command::new(PKTTYAGENT);
        command.arg("--process").arg(std::process::id().to_string());
        command.args(["--notify-fd", "0"]);
        if on_desktop() {
            command.arg("--fallback");
        }
        Self::launch(command).await
    }

    /// Run the agent, and wait until it closes its standard input. That is the descriptor that it is told to close
    /// when it is registered; it talks to /dev/tty, so it has no other use for it.
    async fn launch(mut command: Command) -> Option<Self> {
        let (registered, notify) = pipe().ok()?;
        command.stdin(Stdio::from(notify)).stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Self(command.spawn().ok()?);
        // Our copy of the descriptor goes with the command: then the agent has the only one.
        drop(command);
        let mut registered = Receiver::from_owned_fd(OwnedFd::from(registered)).ok()?;
        // Nothing is ever written: what ends the reading is that the other end is closed, by registering or by
        // ending.
        let _ = timeout(REGISTRATION_MAX, registered.read(&mut [0])).await;
        Some(agent)
    }
}

impl Drop for Pkttyagent {
    fn drop(&mut self) {
        // The agent restores the terminal when it is asked to end, not when it is killed.
        if let Ok(pid) = libc::pid_t::try_from(self.0.id()) {
            // SAFETY: kill() takes two numbers. The child has not been waited for, so the number is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
            // SAFETY: as above. One that the terminal has stopped would not end.
            unsafe { libc::kill(pid, libc::SIGCONT) };
        }
        let _ = self.0.wait();
    }
}

/// Whether there may be an agent of the desktop, which then should ask rather than ours. Elsewhere ours must not
/// step back: polkit does not even look at a fallback agent where there is no login session (cron, containers).
fn on_desktop() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn is_root() -> bool {
    // SAFETY: geteuid() takes nothing, changes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn registering_is_waited_for_and_the_agent_ends_with_us() {
        // One that registers, one that fails, and one that the terminal stops after it has registered.
        for script in ["exec 0<&-; exec sleep 60", "exit 1", "exec 0<&-; kill -STOP $$; exec sleep 60"] {
            let started = Instant::now();
            let agent = Pkttyagent::launch(shell(script)).await.expect("sh runs");
            drop(agent);
            assert!(started.elapsed() < REGISTRATION_MAX, "{script}");
        }
    }

    #[tokio::test]
    async fn without_the_program_there_is_no_agent() {
        assert!(Pkttyagent::launch(Command::new("/nonexistent/pkttyagent")).await.is_none());
    }
}
