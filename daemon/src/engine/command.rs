//! What the engine can be asked.

use std::time::Duration;

use p2pusb_protocol::{EndReason, PairRefusal, PeerAddress, Refusal};
use tokio::sync::oneshot;
use zbus::names::OwnedUniqueName;

use super::handle::{AttachWish, Claimed, Consent, ShareWish, TicketWish};
use crate::{
    attach::Place,
    config::{Config, Grace},
    error::Result,
    net::{link::LinkEvent, pairing::Paired, ticket::Secret},
    peer::{PeerId, Trust},
    pin::PinHash,
    policy::Bandwidth,
    stop::Stop,
    usb::{BusPath, HotplugEvent},
};

pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

#[derive(Debug)]
pub(super) enum Command {
    // People, through the bus.
    ShareDevice {
        device: BusPath,
        wish: ShareWish,
        uid: u32,
        reply: Reply<String>,
    },
    SetSharePeers {
        share: String,
        peers: Vec<PeerId>,
        reply: Reply<()>,
    },
    SetShareGrace {
        share: String,
        grace: Grace,
        reply: Reply<()>,
    },
    SetSharePaused {
        share: String,
        paused: bool,
        reply: Reply<()>,
    },
    SetShareBandwidth {
        share: String,
        bandwidth: Option<Bandwidth>,
        reply: Reply<()>,
    },
    SetPeerBandwidth {
        peer: PeerId,
        bandwidth: Option<Bandwidth>,
        reply: Reply<()>,
    },
    SetPin {
        share: String,
        hash: PinHash,
        reply: Reply<()>,
    },
    ClearPin {
        share: String,
        reply: Reply<()>,
    },
    Revoke {
        share: String,
        reply: Reply<()>,
    },
    CreateTicket {
        wish: TicketWish,
        reply: Reply<String>,
    },
    AddPeer {
        ticket: String,
        reply: Reply<PeerId>,
    },
    /// Asks a machine to be paired with this one, by its endpoint id as it was typed.
    ProposePairing {
        peer: String,
        by: Option<OwnedUniqueName>,
        reply: Reply<PeerId>,
    },
    /// Machines may ask to be paired, for so long; or no longer.
    SetAccepting {
        wait: Option<Duration>,
        reply: Reply<()>,
    },
    SetLabel {
        peer: PeerId,
        label: String,
        reply: Reply<()>,
    },
    SetTrust {
        peer: PeerId,
        trust: Trust,
        reply: Reply<()>,
    },
    Forget {
        peer: PeerId,
        reply: Reply<()>,
    },
    Attach {
        peer: PeerId,
        device: String,
        wish: AttachWish,
        uid: u32,
        reply: Reply<u32>,
    },
    Detach {
        attachment: u32,
        reply: Reply<()>,
    },
    /// New settings, or what is wrong with them.
    Apply {
        config: Result<Box<Config>, String>,
        reply: oneshot::Sender<()>,
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
        reply: oneshot::Sender<bool>,
    },
    Moved,
    PeerRefused {
        peer: PeerId,
        theirs: String,
    },
    Redeem {
        peer: PeerId,
        secret: Secret,
        label: String,
        addresses: Vec<PeerAddress>,
        reply: oneshot::Sender<Result<(), PairRefusal>>,
    },
    /// A peer shows a PIN. Answered with what to hold it against, where it has to be looked at …
    PinShown {
        peer: PeerId,
        share: String,
        reply: oneshot::Sender<Result<Option<PinHash>, (Refusal, String)>>,
    },
    /// … which was done.
    PinTried {
        peer: PeerId,
        share: String,
        against: PinHash,
        is_right: bool,
        reply: oneshot::Sender<Result<(), (Refusal, String)>>,
    },
    Claim {
        peer: PeerId,
        share: String,
        stop: Stop,
        consent: Consent,
        reply: oneshot::Sender<Result<Claimed, (Refusal, String)>>,
    },
    /// Its connection is lost, and waited for for so long; or it is there again.
    ClaimPaused {
        share: String,
        wait: Option<Duration>,
    },
    /// A peer waits for a share that another one has, or does not any longer.
    WaitForShare {
        peer: PeerId,
        share: String,
        waits: bool,
    },
    /// A peer has had its time to claim a share that it waited for.
    TurnOver {
        share: String,
        peer: PeerId,
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

    // The network: machines in the neighbourhood.
    Found {
        peer: PeerId,
        label: String,
        addresses: Vec<PeerAddress>,
    },
    Lost {
        peer: PeerId,
    },
    NobodyFound,

    // The network: machines that want to be paired.
    HearProposal {
        peer: PeerId,
        reply: oneshot::Sender<Result<(), PairRefusal>>,
    },
    Declined {
        peer: PeerId,
    },

    /// The time may be over for which machines may ask to be paired.
    AcceptingOver,
    /// The time may be over for which a peer was paired.
    AccessOver {
        peer: PeerId,
    },

    // Attachments' tasks.
    AttachmentPlaced {
        id: u32,
        place: Place,
    },
    /// Its connection is lost, and waited for for so long; or it is there again.
    AttachmentPaused {
        id: u32,
        wait: Option<Duration>,
    },
    /// Its peer says that it is going to end by itself.
    AttachmentDue {
        id: u32,
        left: Duration,
        reason: EndReason,
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
