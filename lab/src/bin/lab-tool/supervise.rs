//! Starts a service as systemd does with `Type=notify`, for guests without systemd.

use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Instant;

use crate::Outcome;

/// The longest notification that is understood, in bytes.
const MAX_NOTIFICATION: usize = 4096;

/// Runs `program` until it ends. In `folder` it leaves `pid` at once, `ready` with the milliseconds that `READY=1` took,
/// `status` with the last `STATUS=`, and `exit-status` at the end (128 and the signal's number for one that was killed).
pub(crate) fn run(folder: &str, program: &str, arguments: &[&str]) -> Outcome {
    let folder = Path::new(folder);
    let address = folder.join("notify");
    for name in ["notify", "pid", "ready", "status", "exit-status"] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let socket = UnixDatagram::bind(&address)?;
    let start = Instant::now();
    let mut child = Command::new(program).args(arguments).env("NOTIFY_SOCKET", &address).spawn()?;
    publish(folder, "pid", &child.id().to_string())?;
    let listening = folder.to_path_buf();
    // Ends with this process: nobody closes a datagram socket from the other side.
    thread::spawn(move || {
        if let Err(error) = listen(&socket, &listening, start) {
            eprintln!("lab-tool supervise: {error}");
        }
    });
    let status = child.wait()?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    publish(folder, "exit-status", &code.to_string())?;
    Ok(ExitCode::from(u8::try_from(code)?))
}

fn listen(socket: &UnixDatagram, folder: &Path, start: Instant) -> Result<(), Box<dyn Error>> {
    let mut buffer = [0; MAX_NOTIFICATION];
    loop {
        let length = socket.recv(&mut buffer)?;
        for line in String::from_utf8_lossy(&buffer[..length]).lines() {
            if line == "READY=1" {
                publish(folder, "ready", &start.elapsed().as_millis().to_string())?;
            } else if let Some(status) = line.strip_prefix("STATUS=") {
                publish(folder, "status", status)?;
            }
        }
    }
}

/// Writes a file that whoever waits for it never sees half-written.
fn publish(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let unfinished = folder.join(format!(".{name}"));
    fs::write(&unfinished, format!("{text}\n"))?;
    fs::rename(unfinished, folder.join(name))
}
