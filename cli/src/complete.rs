//! What the shell offers when Tab is pressed: names of things that there are now, asked of the daemon. The rest is clap's.

use std::time::Duration;

use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use p2pusb_dbus::DiscoveredEntry;
use tokio::time::timeout;

use crate::{bus::Bus, snapshot::Snapshot};

/// Whoever types does not wait longer than this.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// A name, and what it stands for.
type Name = (String, String);

fn candidates(names: impl Fn(&Snapshot) -> Vec<Name> + Send + Sync + 'static) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let names = look().map(|all| names(&all)).unwrap_or_default();
        names.into_iter().map(|(name, help)| CompletionCandidate::new(name).help(Some(help.into()))).collect()
    })
}

/// Everything, if the daemon runs and answers soon. It is not started for this.
fn look() -> Option<Snapshot> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async {
        let look = async { Bus::connect(true).await.ok()?.look().await.ok() };
        timeout(ANSWER_MAX, look).await.ok().flatten()
    })
}

/// Paired machines, by their labels.
pub(crate) fn peers() -> ArgValueCandidates {
    candidates(peer_names)
}

/// Machines on the local network that are not paired, by what they call themselves.
pub(crate) fn machines() -> ArgValueCandidates {
    candidates(machine_names)
}

/// Devices that can be shared, by their bus paths.
pub(crate) fn devices() -> ArgValueCandidates {
    candidates(device_names)
}

/// Shares, by their ids.
pub(crate) fn shares() -> ArgValueCandidates {
    candidates(share_names)
}

/// Devices that peers offer, by their ids.
pub(crate) fn remote_devices() -> ArgValueCandidates {
    candidates(remote_device_names)
}

/// What is attached here, by its numbers.
pub(crate) fn attachments() -> ArgValueCandidates {
    candidates(attachment_names)
}

fn peer_names(all: &Snapshot) -> Vec<Name> {
    all.peers.iter().map(|peer| (peer.name().to_owned(), format!("{} {}", peer.short_id(), peer.state))).collect()
}

fn machine_names(all: &Snapshot) -> Vec<Name> {
    let name = |(id, label): &DiscoveredEntry| match label.as_str() {
        "" => (id.clone(), String::new()),
        label => (label.to_owned(), id.clone()),
    };
    all.manager.discovered.iter().map(name).collect()
}

fn device_names(all: &Snapshot) -> Vec<Name> {
    let devices = all.devices.iter().filter(|device| device.excluded.is_empty());
    devices.map(|device| (device.bus_path.clone(), format!("{} {}", device.usb_id, device.name()))).collect()
}

fn share_names(all: &Snapshot) -> Vec<Name> {
    all.shares.iter().map(|share| (share.id.clone(), share.product.clone())).collect()
}

fn remote_device_names(all: &Snapshot) -> Vec<Name> {
    let devices = all.remote_devices.iter().filter(|device| device.available);
    devices
        .map(|device| (device.remote_id.clone(), format!("{} of {}", device.name(), all.peer_name(&device.peer))))
        .collect()
}

fn attachment_names(all: &Snapshot) -> Vec<Name> {
    let name = |a: &crate::snapshot::Attachment| format!("{} of {}", a.product, all.peer_name(&a.peer));
    all.attachments.iter().map(|attachment| (attachment.number.to_string(), name(attachment))).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::{args::Cli, select, snapshot::tests::example};

    #[test]
    fn every_name_that_is_offered_is_understood_where_it_is_offered() {
        let all = example();
        let names =
            |names: fn(&Snapshot) -> Vec<Name>| names(&all).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(peer_names), ["laptop", "Workshop"]);
        assert_eq!(names(device_names), ["1-2", "1-10"]);
        assert_eq!(names(remote_device_names), ["0000000b", "0000000c"]);
        for name in names(peer_names) {
            select::peer(&all, &name).unwrap();
        }
        for name in names(machine_names) {
            select::machine(&all, &name).unwrap();
        }
        for name in names(device_names) {
            select::device(&all, &name).unwrap();
        }
        for name in names(share_names) {
            select::share(&all, &name).unwrap();
        }
        for name in names(remote_device_names) {
            select::remote_device(&all, &name, None).unwrap();
        }
        for name in names(attachment_names) {
            select::attachment(&all, &name).unwrap();
        }
    }

    #[test]
    fn whatever_stands_for_a_thing_that_there_is_can_be_completed() {
        let mut named = 0;
        for verb in Cli::command().get_subcommands() {
            for argument in verb.get_arguments() {
                if ["peer", "peers", "device", "attachment", "with"].contains(&argument.get_id().as_str()) {
                    named += 1;
                    assert!(
                        argument.get::<ArgValueCandidates>().is_some(),
                        "{} {}",
                        verb.get_name(),
                        argument.get_id()
                    );
                }
            }
        }
        assert!(named > 8, "{named}");
    }
}
