//! The verbs, one file for each.

mod agent;
mod agree;
mod attach;
mod block;
mod bugreport;
mod change;
mod detach;
mod discovered;
mod doctor;
mod forget;
mod invite;
mod limit;
mod list;
mod logs;
mod monitor;
mod pair;
mod pause;
mod peers;
mod pin;
mod reload;
mod rename;
mod share;
mod status;
mod unblock;
mod unshare;
mod with;

use p2pusb_dbus::values::{AttachmentState, DeviceState, EndReason, Exclusion, PeerState, ShareState, Trust};

use crate::{
    args::{Cli, List, Pair, Verb},
    bus::Bus,
    exit::Failure,
    format::{Cell, Tone, left},
    report::Report,
    snapshot::{Attachment, Device, Peer, Share, Snapshot},
};

/// Do what was asked for.
pub(crate) async fn run(cli: &Cli) -> Result<Report, Failure> {
    // What can be wrong without the daemon comes first.
    let ticket = match &cli.verb {
        Some(Verb::Pair(Pair { ticket: Some(ticket), .. })) => Some(pair::ticket(ticket, std::io::stdin().lock())?),
        _ => None,
    };
    let bus = || Bus::connect(cli.no_ask_password);
    match &cli.verb {
        None => list::run(&bus().await?, &List::default()).await,
        Some(Verb::List(args)) => list::run(&bus().await?, args).await,
        Some(Verb::Share(args)) => share::run(&mut bus().await?, args).await,
        Some(Verb::Unshare(args)) => unshare::run(&mut bus().await?, args).await,
        Some(Verb::Change(args)) => change::run(&mut bus().await?, args).await,
        Some(Verb::Limit(args)) => limit::run(&mut bus().await?, args).await,
        Some(Verb::Pause(args)) => pause::run(&mut bus().await?, &args.device, true).await,
        Some(Verb::Resume(args)) => pause::run(&mut bus().await?, &args.device, false).await,
        Some(Verb::Pin(args)) => pin::run(&mut bus().await?, args).await,
        Some(Verb::Invite(args)) => invite::run(&mut bus().await?, args).await,
        Some(Verb::Pair(Pair { with: Some(machine), .. })) => agree::propose(&mut bus().await?, machine).await,
        Some(Verb::Pair(Pair { accept: true, wait, .. })) => agree::accept(&mut bus().await?, *wait).await,
        Some(Verb::Pair(_)) => pair::run(&mut bus().await?, ticket.as_deref().unwrap_or_default()).await,
        Some(Verb::Agent) => agent::run(&mut bus().await?).await,
        Some(Verb::Forget(args)) => forget::run(&mut bus().await?, args).await,
        Some(Verb::Rename(args)) => rename::run(&mut bus().await?, args).await,
        Some(Verb::Block(args)) => block::run(&mut bus().await?, args).await,
        Some(Verb::Unblock(args)) => unblock::run(&mut bus().await?, args).await,
        Some(Verb::Peers(args)) if args.discovered => discovered::run(&bus().await?).await,
        Some(Verb::Peers(_)) => peers::run(&bus().await?).await,
        Some(Verb::Attach(args)) => attach::run(&mut bus().await?, args).await,
        Some(Verb::With(args)) => with::run(&mut bus().await?, args).await,
        Some(Verb::Detach(args)) => detach::run(&mut bus().await?, args).await,
        Some(Verb::Status(args)) => status::run(&bus().await?, args, cli.json).await,
        Some(Verb::Logs(args)) => logs::run(args, cli.json).await,
        Some(Verb::Monitor) => monitor::run(&bus().await?, cli.json).await,
        Some(Verb::Doctor) => doctor::run().await,
        Some(Verb::Bugreport(args)) => bugreport::run(args).await,
        Some(Verb::Reload) => reload::run(&mut bus().await?).await,
    }
}

/// The state of a local device, in words.
fn device_state(all: &Snapshot, device: &Device) -> Cell {
    let claimed_by = device.share.as_ref().and_then(|path| all.share(path)).and_then(|s| s.claimed_by.as_ref());
    match (DeviceState::from_value(&device.state), claimed_by) {
        (DeviceState::Available, _) => Cell::from("available"),
        (DeviceState::Shared, _) => Cell::new("shared", Tone::Good),
        (DeviceState::InUse, Some(peer)) => Cell::new(format!("in use by {}", all.peer_name(peer)), Tone::Busy),
        (DeviceState::InUse, None) => Cell::new("in use", Tone::Busy),
        (DeviceState::Excluded, _) => Cell::new(exclusion(all, device), Tone::Dim),
        _ => Cell::from("unknown"),
    }
}

/// Why a local device is not shared, in words.
fn exclusion(all: &Snapshot, device: &Device) -> String {
    match Exclusion::from_value(&device.excluded) {
        Exclusion::RootHub => "root hub".to_owned(),
        Exclusion::Hub => "hub".to_owned(),
        Exclusion::AttachedHere => {
            let attachment = all.attachments.iter().find(|a| a.local_device.as_ref() == Some(&device.path));
            match attachment {
                Some(attachment) => format!("attached from {}", all.peer_name(&attachment.peer)),
                None => "attached here".to_owned(),
            }
        }
        Exclusion::Ignored => "ignored by a udev rule".to_owned(),
        Exclusion::Rule => "never shared, says a rule".to_owned(),
        _ => "can't be shared".to_owned(),
    }
}

/// The state of a share, in words.
fn share_state(all: &Snapshot, share: &Share, now_usec: u64) -> Cell {
    match (ShareState::from_value(&share.state), &share.claimed_by) {
        (ShareState::Waiting, _) => Cell::new("not plugged in", Tone::Dim),
        (ShareState::Available, _) => Cell::new("available", Tone::Good),
        (ShareState::Paused, _) => Cell::new("taken back for now", Tone::Dim),
        (ShareState::Closed, _) => Cell::new("not at this hour", Tone::Dim),
        (ShareState::InUse, Some(peer)) => Cell::new(format!("in use by {}", all.peer_name(peer)), Tone::Busy),
        (ShareState::InUse, None) => Cell::new("in use", Tone::Busy),
        (ShareState::Reconnecting, peer) => {
            let whom = peer.as_ref().map(|peer| format!(" to {}", all.peer_name(peer))).unwrap_or_default();
            Cell::new(format!("reconnecting{whom}, {}", left(share.reconnect_deadline, now_usec)), Tone::Busy)
        }
        _ => Cell::from("unknown"),
    }
}

/// The state of a peer, in words.
fn peer_state(peer: &Peer) -> Cell {
    if Trust::from_value(&peer.trust) == Trust::Blocked {
        return Cell::new("blocked", Tone::Bad);
    }
    let tone = match PeerState::from_value(&peer.state) {
        PeerState::Online => Tone::Good,
        PeerState::Connecting => Tone::Busy,
        PeerState::Refused => Tone::Bad,
        PeerState::Offline => Tone::Dim,
        _ => Tone::Plain,
    };
    Cell::new(PeerState::from_value(&peer.state).as_str(), tone)
}

/// The state of an attachment, in words.
fn attachment_state(attachment: &Attachment, now_usec: u64) -> Cell {
    match AttachmentState::from_value(&attachment.state) {
        AttachmentState::Attached if attachment.ends_at != 0 => {
            Cell::new(format!("attached, {}", left(attachment.ends_at, now_usec)), Tone::Busy)
        }
        AttachmentState::Attached => Cell::new("attached", Tone::Good),
        AttachmentState::Connecting => Cell::new("connecting", Tone::Busy),
        AttachmentState::Reconnecting => {
            Cell::new(format!("reconnecting, {}", left(attachment.reconnect_deadline, now_usec)), Tone::Busy)
        }
        AttachmentState::Waiting => Cell::new("waiting for the peer", Tone::Busy),
        AttachmentState::Detaching => Cell::new("detaching", Tone::Busy),
        AttachmentState::Ended => Cell::new(end_reason(&attachment.last_error), Tone::Bad),
        _ => Cell::from("unknown"),
    }
}

/// Why an attachment ended, in words.
fn end_reason(reason: &str) -> &'static str {
    match EndReason::from_value(reason) {
        EndReason::Detached => "detached",
        EndReason::DeviceUnplugged => "the device was unplugged there",
        EndReason::ShareRevoked => "the peer does not share it any more",
        EndReason::PeerStopped => "p2pusbd was stopped there",
        EndReason::PeerLost => "the peer could not be reached for too long",
        EndReason::PeerForgotten => "the pairing was ended",
        EndReason::KernelDetached => "this machine's kernel let go of it",
        EndReason::DeviceFailed => "the device stopped working there",
        EndReason::ProtocolError => "the peer sent something that it must not",
        EndReason::Stopped => "p2pusbd was stopped here",
        EndReason::SessionLimit => "the peer lends it for no longer at a time",
        EndReason::HoursOver => "the hours are over at which the peer lends it",
        EndReason::PeerBlocked => "one of the machines has blocked the other",
        EndReason::TakenBack => "its owner has taken it back for now",
        EndReason::NotAccepted => "it presented what it must not be here",
        _ => "unknown",
    }
}

/// "1 peer", "2 peers".
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_reason_has_words() {
        for reason in EndReason::ALL {
            assert_ne!(end_reason(reason.as_str()), "unknown", "{reason}");
        }
        assert_eq!(end_reason("of-the-future"), "unknown");
    }
}
