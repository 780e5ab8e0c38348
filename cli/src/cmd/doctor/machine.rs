//! What can be seen of this machine without the daemon: its kernel, udev, systemd, the installed files and the clock.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use p2pusb_dbus::names::UNIT;

use super::{Check, State};
use crate::format::now_usec;

/// Where the package puts the daemon.
const DAEMON: &str = "/usr/libexec/p2pusbd";

/// No clock is right that shows an earlier time than this: the day of the release, in microseconds since the epoch.
const RELEASED_USEC: u64 = 1_795_478_400_000_000;

/// The folders in which a file may be, first the package's.
const BUS_POLICIES: [&str; 2] =
    ["/usr/share/dbus-1/system.d/org.p2pusb1.conf", "/etc/dbus-1/system.d/org.p2pusb1.conf"];
const POLKIT_ACTIONS: &str = "/usr/share/polkit-1/actions/org.p2pusb1.policy";

pub(super) async fn checks() -> Vec<Check> {
    vec![
        kernel_module(Path::new("/")),
        udev(Path::new("/proc")),
        bus_policy(),
        polkit_actions(),
        unit(),
        settings(),
        clock(),
    ]
}

fn kernel_module(root: &Path) -> Check {
    const ID: &str = "kernel-module";
    if root.join("sys/devices/platform/vhci_hcd.0").exists() {
        return Check::ok(ID, "vhci_hcd is there: devices can be attached");
    }
    let release = fs::read_to_string(root.join("proc/sys/kernel/osrelease")).unwrap_or_default();
    let release = release.trim();
    let modules = fs::read_to_string(root.join("lib/modules").join(release).join("modules.dep")).unwrap_or_default();
    if modules.contains("/vhci-hcd.ko") {
        let advice = "Load it: modprobe vhci_hcd; then: systemctl restart p2pusbd";
        return Check::problem(ID, "vhci_hcd is not loaded: devices can be shared but not attached", advice);
    }
    let detail = format!("the kernel {release} has no vhci_hcd: devices can be shared but not attached");
    Check::problem(ID, detail, "Boot a kernel that has it. Debian: linux-image-amd64 rather than a cloud kernel.")
}

/// Whether udevd runs, by the names of all processes.
fn udev(proc: &Path) -> Check {
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    let names = processes.filter_map(|process| fs::read_to_string(process.path().join("comm")).ok());
    if names.into_iter().any(|name| matches!(name.trim(), "systemd-udevd" | "udevd" | "(udev-worker)")) {
        return Check::ok("udev", "udevd runs");
    }
    let detail = "udevd does not run: devices that are plugged in are not noticed";
    Check::problem("udev", detail, "Start it: systemctl start systemd-udevd")
}

fn bus_policy() -> Check {
    const ID: &str = "bus-policy";
    match BUS_POLICIES.iter().find(|path| Path::new(path).exists()) {
        Some(path) => Check::ok(ID, format!("{path} is there")),
        None => {
            let detail = format!("the bus has no policy for p2pusbd: {} is missing", BUS_POLICIES[0]);
            Check::problem(ID, detail, "Install the package again; then: systemctl reload dbus")
        }
    }
}

fn polkit_actions() -> Check {
    const ID: &str = "polkit-actions";
    if Path::new(POLKIT_ACTIONS).exists() {
        return Check::ok(ID, format!("{POLKIT_ACTIONS} is there"));
    }
    let detail = format!("polkit does not know p2pusb, so only root may change anything: {POLKIT_ACTIONS} is missing");
    Check::problem(ID, detail, "Install the package again.")
}

fn unit() -> Check {
    const ID: &str = "unit";
    if !Path::new("/run/systemd/system").exists() {
        return Check::new(ID, State::Unknown, "systemd does not run here: something else starts p2pusbd");
    }
    let show = ["show", "--property=LoadState,UnitFileState,ActiveState", "--value", UNIT];
    let Some(said) = output(Command::new("systemctl").args(show)) else {
        return Check::new(ID, State::Unknown, "systemctl can't be run");
    };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let has = |word: &str| said.lines().any(|line| line == word);
    if has("not-found") {
        return Check::problem(ID, format!("there is no {UNIT}"), "Install the package again.");
    }
    if has("failed") {
        return Check::problem(ID, format!("{UNIT} has failed"), "Look why: p2pusb logs --lines 20");
    }
    if has("enabled") {
        return Check::ok(ID, format!("{UNIT} is enabled"));
    }
    let detail = format!("{UNIT} is not enabled: it does not start with the machine");
    Check::note(ID, detail, "If it should: systemctl enable p2pusbd")
}

/// Whether a daemon would start with the settings as they are.
fn settings() -> Check {
    const ID: &str = "settings";
    let installed = Path::new(DAEMON);
    let program = if installed.exists() { installed } else { Path::new("p2pusbd") };
    // Without the journal, where what it says would go otherwise.
    let mut command = Command::new(program);
    command.arg("--check-config").env_remove("JOURNAL_STREAM");
    match output(&mut command) {
        None => Check::new(ID, State::Unknown, format!("{DAEMON} can't be run")),
        Some(Output { status, .. }) if status.success() => Check::ok(ID, "the settings are good"),
        Some(Output { stderr, .. }) => {
            let said = String::from_utf8_lossy(&stderr);
            let said = said.split_once("ERROR ").map_or(&*said, |(_, said)| said).trim();
            Check::problem(ID, said, "Correct it; then: p2pusb reload, or systemctl restart p2pusbd")
        }
    }
}

fn clock() -> Check {
    if now_usec() < RELEASED_USEC {
        let detail =
            "the clock shows a time before the release of this program: tickets and certificates seem not valid yet";
        return Check::problem("clock", detail, "Set it: timedatectl set-ntp true");
    }
    Check::ok("clock", "the clock shows a time that can be")
}

fn output(command: &mut Command) -> Option<Output> {
    command.stdin(std::process::Stdio::null()).output().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_is_there_not_loaded_and_missing_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/sys/kernel/osrelease", "6.12.1-cloud\n");
        let check = kernel_module(root.path());
        assert!(check.state == State::Problem && check.detail.contains("6.12.1-cloud has no vhci_hcd"), "{check:?}");
        write("lib/modules/6.12.1-cloud/modules.dep", "kernel/drivers/usb/usbip/vhci-hcd.ko.xz: kernel/x\n");
        let check = kernel_module(root.path());
        assert!(check.advice.unwrap().contains("modprobe vhci_hcd"));
        write("sys/devices/platform/vhci_hcd.0/nports", "16");
        assert_eq!(kernel_module(root.path()).state, State::Ok);
    }

    #[test]
    fn udevd_is_known_by_its_name() {
        let proc = tempfile::tempdir().unwrap();
        let process = |id: &str, name: &str| {
            fs::create_dir(proc.path().join(id)).unwrap();
            fs::write(proc.path().join(id).join("comm"), name).unwrap();
        };
        process("7", "bash\n");
        assert_eq!(udev(proc.path()).state, State::Problem);
        process("8", "systemd-udevd\n");
        assert_eq!(udev(proc.path()).state, State::Ok);
    }
}
