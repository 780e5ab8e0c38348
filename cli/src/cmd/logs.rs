//! `p2pusb logs`: what the daemon has said, of one peer, device or attachment, by journalctl(1).

use std::{os::unix::process::CommandExt as _, process::Command};

use p2pusb_dbus::names::{PEER_SHORT_DIGITS, UNIT, journal};

use crate::{args::Logs, bus::Bus, exit::Failure, report::Report, select, snapshot::Snapshot};

/// The program that reads the journal.
const JOURNALCTL: &str = "journalctl";

/// Becomes journalctl; returns only where that can't be.
pub(super) async fn run(args: &Logs, json: bool) -> Result<Report, Failure> {
    // The journal is there without the daemon, which knows what people call things; it is not started for that.
    let all = match Bus::connect(true).await {
        Ok(bus) => bus.look().await.unwrap_or_default(),
        Err(_) => Snapshot::default(),
    };
    let error = Command::new(JOURNALCTL).args(arguments(args, &all, json)?).exec();
    Err(Failure::Program(JOURNALCTL.to_owned(), error))
}

fn arguments(args: &Logs, all: &Snapshot, json: bool) -> Result<Vec<String>, Failure> {
    let mut arguments = vec![format!("--unit={UNIT}")];
    if args.follow {
        arguments.push("--follow".to_owned());
    }
    if let Some(lines) = args.lines {
        arguments.push(format!("--lines={lines}"));
    }
    if json {
        arguments.push("--output=json".to_owned());
    }
    if let Some(typed) = &args.peer {
        arguments.push(format!("{}={}", journal::PEER, peer(all, typed)?));
    }
    if let Some(typed) = &args.device {
        arguments.push(format!("{}={}", journal::DEVICE, device(all, typed)?));
    }
    if let Some(number) = args.attachment {
        arguments.push(format!("{}={number}", journal::ATTACHMENT));
    }
    Ok(arguments)
}

/// As the journal names a peer; one that is not paired any more is still known there by its id.
fn peer(all: &Snapshot, typed: &str) -> Result<String, Failure> {
    match select::peer(all, typed) {
        Ok(peer) => Ok(peer.short_id().to_owned()),
        Err(_) if typed.len() >= PEER_SHORT_DIGITS && typed.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(typed[..PEER_SHORT_DIGITS].to_lowercase())
        }
        Err(error) => Err(error.into()),
    }
}

/// As the journal names a device: by its bus path, where something else may be plugged in by now, or nothing.
fn device(all: &Snapshot, typed: &str) -> Result<String, Failure> {
    let is_bus_path = typed.split_once('-').is_some_and(|(bus, ports)| {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        number(bus) && ports.split('.').all(number)
    });
    if is_bus_path {
        return Ok(typed.to_owned());
    }
    Ok(select::device(all, typed)?.bus_path.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::example;

    fn logs(peer: Option<&str>, device: Option<&str>, attachment: Option<u32>) -> Logs {
        Logs {
            peer: peer.map(str::to_owned),
            device: device.map(str::to_owned),
            attachment,
            follow: false,
            lines: None,
        }
    }

    #[test]
    fn names_become_the_journals() {
        let all = example();
        let ask = |logs: &Logs| arguments(logs, &all, false).map(|arguments| arguments[1..].to_vec());
        assert_eq!(ask(&logs(None, None, None)).unwrap(), [""; 0]);
        assert_eq!(
            ask(&logs(Some("workshop"), None, Some(3))).unwrap(),
            ["P2PUSB_PEER=8f0c6a1d2b", "P2PUSB_ATTACHMENT=3"]
        );
        assert_eq!(ask(&logs(None, Some("1-2"), None)).unwrap(), ["P2PUSB_DEVICE=1-2"]);
        assert_eq!(ask(&logs(None, Some("3-1.4"), None)).unwrap(), ["P2PUSB_DEVICE=3-1.4"], "unplugged long ago");
        assert_eq!(ask(&logs(None, Some("cruzer"), None)).unwrap(), ["P2PUSB_DEVICE=9-1"]);
        assert_eq!(ask(&logs(Some("ABCDEF012345"), None, None)).unwrap(), ["P2PUSB_PEER=abcdef0123"], "forgotten");
        assert!(matches!(ask(&logs(Some("nobody"), None, None)), Err(Failure::Select(_))));
        assert!(matches!(ask(&logs(None, Some("scanner"), None)), Err(Failure::Select(_))));
    }

    #[test]
    fn the_rest_is_handed_on() {
        let logs = Logs { follow: true, lines: Some(20), ..logs(None, None, None) };
        let expected = ["--unit=p2pusbd.service", "--follow", "--lines=20", "--output=json"];
        assert_eq!(arguments(&logs, &Snapshot::default(), true).unwrap(), expected);
    }
}
