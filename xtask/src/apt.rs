//! Debian packages that the build and the tests need.

use std::process::{Command, Stdio};

use crate::run::{Result, run, say};

/// To build.
const BUILD: &[&str] = &["gcc", "libc6-dev", "libudev-dev", "libusb-1.0-0-dev", "pkg-config"];

/// To build libFuzzer.
const FUZZING: &[&str] = &["g++"];

/// To run scenarios. The guests run on this machine's own files, so what they need is installed here.
const LAB: &[&str] = &[
    "alsa-utils",
    "busybox-static",
    "cpio",
    "dbus",
    "e2fsprogs",
    "iproute2",
    "jq",
    "kmod",
    "nftables",
    "polkitd",
    "procps",
    "python3-dbus",
    "python3-gi",
    "qemu-system-x86",
    "systemd",
    "systemd-sysv",
    "udev",
    "usbip",
    "util-linux",
    "xz-utils",
];

/// Installs what is missing to build.
pub(crate) fn for_build() -> Result {
    install(BUILD)
}

/// Installs what is missing to fuzz.
pub(crate) fn for_fuzzing() -> Result {
    install(FUZZING)
}

/// Installs what is missing to run scenarios.
pub(crate) fn for_lab() -> Result {
    install(LAB)
}

fn is_installed(package: &str) -> bool {
    let query = Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]).output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

fn install(packages: &[&str]) -> Result {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    say(&format!("installing Debian packages: {}", missing.join(" ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    };
    run(&mut apt(&["update", "--quiet"]))?;
    let mut command = apt(&["install", "--yes", "--no-install-recommends"]);
    run(command.args(missing)).map_err(|error| format!("{error}; are you root?"))
}
