//! What the engine can be asked.

use p2pusb_protocol::{EndReason, PeerAddress, Refusal, TicketRefusal};
use tokio::sync::oneshot;

use super::handle::Grant;
use crate::{
    attach::Place,
    error::Result,
    net::{link::LinkEvent, pairing::Paired, ticket::Secret},
    peer::PeerId,
    stop::Stop,
    usb::{BusPath, HotplugEvent},
};

pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

#[derive(Debug)]
pub(super) enum Command {
    // People, through the bus.
    ShareDevice {
        device: BusPath,
        peers: Vec<PeerId>,
        force: bool,
        uid: u32,
        reply: Reply<String>,
    },
    SetSharePeers {
        share: String,
        peers: Vec<PeerId>,
        reply: Reply<()>,
    },
    Revoke {
        share: String,
        reply: Reply<()>,
    },
    CreateTicket {
        lifetime_usec: u64,
        reply: Reply<String>,
    },
    AddPeer {
        ticket: String,
        reply: Reply<PeerId>,
    },
    Forget {
        peer: PeerId,
        reply: Reply<()>,
    },
    Attach {
        peer: PeerId,
        device: String,
        uid: u32,
        reply: Reply<u32>,
    },
    Detach {
        attachment: u32,
        reply: Reply<()>,
    },
    /// Answered when everything so far has been published and shown.
    Sync {
        reply: oneshot::Sender<()>,
    },

    // The kernel.
    Hotplug(HotplugEvent),

    // The network: peers that use our devices.
    PeerSeen {
        peer: PeerId,
        addresses: Vec<PeerAddress>,
    },
    PeerRefused {
        peer: PeerId,
        theirs: String,
    },
    Redeem {
        peer: PeerId,
        secret: Secret,
        label: String,
        addresses: Vec<PeerAddress>,
        reply: oneshot::Sender<Result<(), TicketRefusal>>,
    },
    Claim {
        peer: PeerId,
        share: String,
        stop: Stop,
        reply: oneshot::Sender<Result<Grant, (Refusal, String)>>,
    },
    ClaimEnded {
        share: String,
        reason: EndReason,
    },

    // The network: peers whose devices we use.
    Link {
        peer: PeerId,
        event: LinkEvent,
    },
    Paired {
        paired: Paired,
        reply: Reply<PeerId>,
    },

    // Attachments' tasks.
    AttachmentPlaced {
        id: u32,
        place: Place,
    },
    /// Its connection is lost, or there again.
    AttachmentPaused {
        id: u32,
        paused: bool,
    },
    AttachmentEnded {
        id: u32,
        result: Result<EndReason>,
    },

    // The supervisor.
    Ping {
        reply: oneshot::Sender<()>,
    },
    Shutdown {
        reply: oneshot::Sender<()>,
    },
}
