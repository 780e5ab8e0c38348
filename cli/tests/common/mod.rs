//! A system bus of the test's own, and the program on it.

pub(crate) mod recorder;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// A bus daemon that ends with the test.
pub(crate) struct PrivateBus {
    daemon: Child,
    /// Where it listens.
    pub(crate) address: String,
    _folder: TempDir,
}

impl PrivateBus {
    /// Start one that is a system bus in all but its address, on which anybody may do anything.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("bus.conf");
        fs::write(
            &config,
            format!(
                r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
  "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={}/socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="false"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"#,
                folder.path().display()
            ),
        )
        .unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .args(["--nofork", "--print-address", "--nopidfile"])
            .arg(format!("--config-file={}", config.display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is needed by this test (package dbus-daemon)");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        assert!(address.starts_with("unix:"), "dbus-daemon gave no address: {address:?}");
        Self { daemon, address, _folder: folder }
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// The program, on the bus at this address, with nothing of the environment that changes what it does.
pub(crate) fn p2pusb(address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2pusb"));
    command.env("DBUS_SYSTEM_BUS_ADDRESS", address).env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// What a run has written and how it ended.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("the program was killed"), text(stdout), text(stderr))
}
