//! The kernel's virtual ports, device nodes, the state folder and the settings, as this process may use them.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access};
use p2pusb_dbus::names::diagnosis::{SETTINGS, STATE_FILES, STATE_FOLDER, USB_NODES, VHCI_ATTACH, VHCI_PORTS};
use p2pusb_protocol::Speed;

use super::{Finding, State};
use crate::{
    attach,
    config::{Config, Source},
    store::Store,
};

/// Through this the kernel is given a device.
const ATTACH: &str = "/sys/devices/platform/vhci_hcd.0/attach";
/// Below it are the nodes by which devices are driven.
const NODES: &str = "/dev/bus/usb";

pub(super) fn findings(source: &Source, started_with: &Config, store: &Store) -> Vec<Finding> {
    let mut all = vec![ports(), attribute(Path::new(ATTACH)), nodes(Path::new(NODES)), folder(store)];
    all.push(settings(source, started_with));
    all.extend(files(store));
    all
}

fn ports() -> Finding {
    match attach::kernel().ports() {
        Err(error) => Finding::new(VHCI_PORTS, State::Problem, error.to_string()),
        Ok(ports) => {
            let free = |speed| ports.iter().filter(|port| port.is_free_for(speed)).count();
            let (high, super_) = (free(Speed::High), free(Speed::Super));
            let state = if high == 0 || super_ == 0 { State::Note } else { State::Ok };
            let detail =
                format!("{high} ports up to high speed and {super_} of SuperSpeed are free, of {}", ports.len());
            Finding::new(VHCI_PORTS, state, detail)
        }
    }
}

/// Opening it changes nothing; the kernel and the sandbox say whether it may be written.
fn attribute(path: &Path) -> Finding {
    match OpenOptions::new().write(true).open(path) {
        Ok(_) => Finding::new(VHCI_ATTACH, State::Ok, "the kernel may be given devices"),
        Err(error) => {
            let detail = format!(
                "{} can't be written ({error}): is vhci_hcd loaded (modprobe vhci_hcd), and was p2pusbd restarted since?",
                path.display()
            );
            Finding::new(VHCI_ATTACH, State::Problem, detail)
        }
    }
}

fn nodes(folder: &Path) -> Finding {
    let buses = fs::read_dir(folder).into_iter().flatten().flatten();
    let nodes = buses.flat_map(|bus| fs::read_dir(bus.path()).into_iter().flatten().flatten());
    let (open, closed): (Vec<PathBuf>, Vec<PathBuf>) =
        nodes.map(|node| node.path()).partition(|path| access(path, AccessFlags::R_OK | AccessFlags::W_OK).is_ok());
    if closed.is_empty() {
        return Finding::new(USB_NODES, State::Ok, format!("{} USB devices may be opened", open.len()));
    }
    let closed: Vec<_> = closed.iter().map(|path| path.display().to_string()).collect();
    let detail = format!(
        "p2pusbd may not open {}: an udev rule gives them to somebody else, so they can't be shared (p2pusbd(8), NOTES)",
        closed.join(", ")
    );
    Finding::new(USB_NODES, State::Note, detail)
}

fn folder(store: &Store) -> Finding {
    match store.probe() {
        Ok(()) => Finding::new(STATE_FOLDER, State::Ok, "the state folder can be written"),
        Err(error) => {
            let detail =
                format!("what is shared and paired can't be remembered: {error}; is the disk full, or read-only?");
            Finding::new(STATE_FOLDER, State::Problem, detail)
        }
    }
}

fn settings(source: &Source, started_with: &Config) -> Finding {
    match source.read() {
        Err(wrong) => Finding::new(SETTINGS, State::Problem, wrong.to_string()),
        Ok(loaded) => match &loaded.config.need_a_restart(started_with)[..] {
            [] => Finding::new(SETTINGS, State::Ok, "the settings are good"),
            keys => {
                let detail = format!("{} will count after `systemctl restart p2pusbd`", keys.join(", "));
                Finding::new(SETTINGS, State::Note, detail)
            }
        },
    }
}

fn files(store: &Store) -> Vec<Finding> {
    match store.problems() {
        Ok(problems) if problems.is_empty() => vec![Finding::new(STATE_FILES, State::Ok, "no state file is damaged")],
        Ok(problems) => problems.into_iter().map(|text| Finding::new(STATE_FILES, State::Problem, text)).collect(),
        Err(error) => vec![Finding::new(STATE_FILES, State::Problem, error.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_a_problem_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let (state, path) = (folder.path().join("state"), folder.path().join("p2pusb.toml"));
        let store = Store::open(&state).unwrap();
        let source = Source::new(&path, false);
        let find = |id: &str| {
            let all = findings(&source, &Config::default(), &store);
            all.into_iter().find(|finding| finding.id == id).unwrap()
        };
        for id in [STATE_FOLDER, SETTINGS, STATE_FILES] {
            assert_eq!(find(id).state, State::Ok, "{id}");
        }
        fs::write(&path, "[network]\nrelay = \"public\"").unwrap();
        assert_eq!((find(SETTINGS).state, find(SETTINGS).detail.contains("network.relay")), (State::Note, true));
        fs::write(&path, "[network]\nrelay = 5").unwrap();
        assert_eq!((find(SETTINGS).state, find(SETTINGS).detail.contains("line 2")), (State::Problem, true));
        fs::write(state.join("port.damaged"), "").unwrap();
        assert_eq!(
            (find(STATE_FILES).state, find(STATE_FILES).detail.contains("port.damaged")),
            (State::Problem, true)
        );
        fs::remove_dir_all(&state).unwrap();
        assert_eq!(find(STATE_FOLDER).state, State::Problem);
        let nowhere = attribute(&folder.path().join("attach"));
        assert!(nowhere.state == State::Problem && nowhere.detail.contains("modprobe vhci_hcd"), "{}", nowhere.detail);
    }
}
