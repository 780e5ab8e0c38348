//! The way to the engine for everybody else: a cheap clone, one method per command.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use p2pusb_protocol::{EndReason, OfferedDevice, PairRefusal, PeerAddress, Pin, Refusal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use zbus::names::OwnedUniqueName;

use super::{
    command::{Command, Reply},
    pins::not_looked_at,
    terms::Due,
};
use crate::{
    attach::Place,
    config::{Config, Grace},
    counters::Counters,
    error::{Error, Result},
    net::{link::LinkEvent, pairing::Paired, ticket::Secret},
    peer::{PeerId, Trust},
    people::{People, Question},
    pin::{Hasher, PinHash},
    policy::{Bandwidth, Follows, Terms},
    share::Pace,
    stop::Stop,
    usb::{BusPath, DeviceInfo, HotplugEvent},
};

/// Commands that may wait for the engine.
pub(super) const COMMAND_QUEUE: usize = 256;

/// A device that is offered, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// As the peers are told.
    pub(crate) device: OfferedDevice,
    /// Who is told of it; `None` means every paired peer.
    pub(crate) audience: Option<Vec<PeerId>>,
    /// The only one for whom it is available, while others wait for it, too.
    pub(crate) turn: Option<PeerId>,
}

/// All offers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Offers {
    /// One for each device.
    pub(crate) all: Arc<Vec<Offer>>,
    /// The only share of which some peers are told, by its id.
    pub(crate) scopes: Arc<BTreeMap<PeerId, String>>,
}

impl Offers {
    /// What this peer is told of.
    pub(crate) fn to(&self, peer: PeerId) -> impl Iterator<Item = OfferedDevice> {
        let scope = self.scopes.get(&peer);
        self.all
            .iter()
            .filter(move |offer| offer.audience.as_ref().is_none_or(|peers| peers.contains(&peer)))
            .filter(move |offer| scope.is_none_or(|scope| *scope == offer.device.id))
            .map(move |offer| {
                let available = offer.device.available && offer.turn.is_none_or(|turn| turn == peer);
                OfferedDevice { available, ..offer.device.clone() }
            })
    }
}

/// What a ticket is to be good for.
#[derive(Debug, Clone, Default)]
pub struct TicketWish {
    /// How long it can be used, in microseconds.
    pub lifetime_usec: u64,
    /// The only share that whoever uses it may use.
    pub scope: Option<String>,
    /// How long the pairing lasts, in microseconds; 0 for good.
    pub access_usec: u64,
}

/// How a device is to be shared.
#[derive(Debug, Default)]
pub struct ShareWish {
    /// Who may claim it; empty means every paired peer.
    pub peers: Vec<PeerId>,
    /// Although this machine depends on it.
    pub force: bool,
    /// How long a claim outlives its connection; `None` leaves it to the settings.
    pub grace: Option<Grace>,
    /// Until when, at which hours, and for how long at a time.
    pub terms: Terms,
    /// Under which ids the device may come back.
    pub follows: Follows,
    /// The PIN that it asks for.
    pub pin: Option<PinHash>,
}

/// How a peer's device is to be attached.
#[derive(Debug, Default)]
pub struct AttachWish {
    /// How long it outlives its connection; `None` leaves it to the settings.
    pub grace: Option<Grace>,
    /// Whether it is attached again by itself, until somebody ends it.
    pub keep: bool,
    /// Whether it waits for the device where another one has it.
    pub queue: bool,
    /// Under which ids it is attached again by itself, besides its own.
    pub follow: Follows,
    /// What to show where the device asks for a PIN. It is not kept.
    pub pin: Option<Pin>,
}

/// The right to open a device for a peer.
#[derive(Debug)]
pub(crate) struct Grant {
    /// The share that it comes from.
    pub(crate) share: String,
    /// The device.
    pub(crate) info: DeviceInfo,
    /// How long the claim outlives its connection; it may change.
    pub(crate) grace: watch::Receiver<Grace>,
    /// Its end, once that is near.
    pub(crate) due: watch::Receiver<Option<Due>>,
    /// What goes through it.
    pub(crate) counters: Arc<Counters>,
    /// How fast that may be.
    pub(crate) pace: Pace,
    /// Where the claim is recorded, for the case that the daemon dies.
    pub(crate) runtime: PathBuf,
}

/// Whether somebody has been asked about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Not yet.
    NotAsked,
    /// Somebody has agreed.
    Given,
}

/// What comes of a claim that is not refused.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// It is the peer's.
    Granted(Box<Grant>),
    /// Somebody has to agree first.
    Ask(Ask),
}

/// A question about a claim, and the way to people.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) question: Question,
    pub(crate) people: People,
}

/// The way to the engine.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    commands: mpsc::Sender<Command>,
    offers: watch::Receiver<Offers>,
    accepting: watch::Receiver<bool>,
    closing: CancellationToken,
    hasher: Hasher,
}

impl EngineHandle {
    pub(super) fn new(
        commands: mpsc::Sender<Command>,
        offers: watch::Receiver<Offers>,
        accepting: watch::Receiver<bool>,
        closing: CancellationToken,
    ) -> Self {
        Self { commands, offers, accepting, closing, hasher: Hasher::default() }
    }

    async fn tell(&self, command: Command) {
        // The engine ends last; whoever still talks to it then has nothing to say that matters.
        let _ = self.commands.send(command).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await;
        answer.await.ok()
    }

    async fn call<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        self.ask(command)
            .await
            .unwrap_or_else(|| Err(Error::Cancelled("the request, because p2pusbd stops,".to_owned())))
    }

    /// Shares a device; answers the share's id.
    pub async fn share_device(&self, device: BusPath, wish: ShareWish, uid: u32) -> Result<String> {
        self.call(|reply| Command::ShareDevice { device, wish, uid, reply }).await
    }

    /// Changes who may claim a share.
    pub async fn set_share_peers(&self, share: String, peers: Vec<PeerId>) -> Result<()> {
        self.call(|reply| Command::SetSharePeers { share, peers, reply }).await
    }

    /// Changes how long a claim on a share outlives its connection, one that is waited for now included.
    pub async fn set_share_grace(&self, share: String, grace: Grace) -> Result<()> {
        self.call(|reply| Command::SetShareGrace { share, grace, reply }).await
    }

    /// Takes a shared device back for now, or gives it again.
    pub async fn set_share_paused(&self, share: String, paused: bool) -> Result<()> {
        self.call(|reply| Command::SetSharePaused { share, paused, reply }).await
    }

    /// Changes how fast a share may be used, its claim included.
    pub async fn set_share_bandwidth(&self, share: String, bandwidth: Option<Bandwidth>) -> Result<()> {
        self.call(|reply| Command::SetShareBandwidth { share, bandwidth, reply }).await
    }

    /// Changes how fast a peer may use what is shared with it.
    pub async fn set_peer_bandwidth(&self, peer: PeerId, bandwidth: Option<Bandwidth>) -> Result<()> {
        self.call(|reply| Command::SetPeerBandwidth { peer, bandwidth, reply }).await
    }

    /// What is kept of a new PIN. It takes some time, which the engine does not wait for.
    pub async fn hash_pin(&self, pin: Pin) -> Result<PinHash> {
        self.hasher.place()?.hash(pin).await
    }

    /// Has a share ask for this PIN.
    pub async fn set_pin(&self, share: String, hash: PinHash) -> Result<()> {
        self.call(|reply| Command::SetPin { share, hash, reply }).await
    }

    /// Has a share ask for no PIN.
    pub async fn clear_pin(&self, share: String) -> Result<()> {
        self.call(|reply| Command::ClearPin { share, reply }).await
    }

    /// Ends a share; answers when the device is back with its drivers.
    pub async fn revoke(&self, share: String) -> Result<()> {
        self.call(|reply| Command::Revoke { share, reply }).await
    }

    /// Makes a ticket.
    pub async fn create_ticket(&self, wish: TicketWish) -> Result<String> {
        self.call(|reply| Command::CreateTicket { wish, reply }).await
    }

    /// Redeems a ticket; answers when each side knows the other.
    pub async fn add_peer(&self, ticket: String) -> Result<PeerId> {
        self.call(|reply| Command::AddPeer { ticket, reply }).await
    }

    /// Asks a machine to be paired with this one, by its endpoint id; answers when both sides have agreed and each knows
    /// the other. `by` is asked here before others are.
    pub async fn propose_pairing(&self, peer: String, by: Option<OwnedUniqueName>) -> Result<PeerId> {
        self.call(|reply| Command::ProposePairing { peer, by, reply }).await
    }

    /// Lets machines ask to be paired for so long, or no longer.
    pub async fn set_accepting(&self, wait: Option<Duration>) -> Result<()> {
        self.call(|reply| Command::SetAccepting { wait, reply }).await
    }

    pub(super) async fn accepting_over(&self) {
        self.tell(Command::AcceptingOver).await;
    }

    /// A machine wants to be paired: whether somebody shall be asked.
    pub(crate) async fn hear_proposal(&self, peer: PeerId) -> Result<(), PairRefusal> {
        let answer = self.ask(|reply| Command::HearProposal { peer, reply }).await;
        answer.unwrap_or(Err(PairRefusal::NotAccepting))
    }

    /// Somebody does not want to be paired with this machine.
    pub(crate) async fn declined(&self, peer: PeerId) {
        self.tell(Command::Declined { peer }).await;
    }

    /// Both sides have agreed.
    pub(crate) async fn agreed(&self, paired: Paired) -> Result<()> {
        self.call(|reply| Command::Paired { paired, reply }).await.map(|_| ())
    }

    /// Calls a peer something else.
    pub async fn set_label(&self, peer: PeerId, label: String) -> Result<()> {
        self.call(|reply| Command::SetLabel { peer, label, reply }).await
    }

    /// Blocks a peer, and ends what goes on with it; or ends that.
    pub async fn set_trust(&self, peer: PeerId, trust: Trust) -> Result<()> {
        self.call(|reply| Command::SetTrust { peer, trust, reply }).await
    }

    /// Forgets a peer, and ends what goes on with it.
    pub async fn forget(&self, peer: PeerId) -> Result<()> {
        self.call(|reply| Command::Forget { peer, reply }).await
    }

    /// Attaches a peer's device; answers its number when the kernel has enumerated it.
    pub async fn attach(&self, peer: PeerId, device: String, wish: AttachWish, uid: u32) -> Result<u32> {
        self.call(|reply| Command::Attach { peer, device, wish, uid, reply }).await
    }

    /// Detaches; answers when the port is free and the peer has its device back.
    pub async fn detach(&self, attachment: u32) -> Result<()> {
        self.call(|reply| Command::Detach { attachment, reply }).await
    }

    /// New settings, or what is wrong with them; answers when they count.
    pub(crate) async fn apply(&self, config: Result<Config, String>) {
        self.ask(|reply| Command::Apply { config: config.map(Box::new), reply }).await;
    }

    /// Waits until everything that has happened so far can be seen.
    pub async fn sync(&self) {
        self.ask(|reply| Command::Sync { reply }).await;
    }

    /// Whether the engine still answers; the watchdog asks.
    pub async fn ping(&self) -> bool {
        self.ask(|reply| Command::Ping { reply }).await.is_some()
    }

    /// Ends everything; answers when every device is back and every port is free.
    pub async fn shutdown(&self) {
        self.ask(|reply| Command::Shutdown { reply }).await;
    }

    /// Links close when this is over: after the last session.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// Whether machines may ask to be paired.
    pub(crate) fn accepting(&self) -> watch::Receiver<bool> {
        self.accepting.clone()
    }

    pub(crate) fn offers(&self) -> watch::Receiver<Offers> {
        self.offers.clone()
    }

    pub(crate) async fn hotplug(&self, event: HotplugEvent) {
        self.tell(Command::Hotplug(event)).await;
    }

    /// A peer has connected to us and says where it can be found. True: it has moved, and both ends had better begin anew.
    pub(crate) async fn peer_seen(&self, peer: PeerId, addresses: Vec<PeerAddress>) -> bool {
        self.ask(|reply| Command::PeerSeen { peer, addresses, reply }).await.unwrap_or(false)
    }

    /// This machine has other addresses than before: all links are left and dialled anew.
    pub(crate) async fn moved(&self) {
        self.tell(Command::Moved).await;
    }

    pub(crate) async fn refused_version(&self, peer: PeerId, theirs: String) {
        self.tell(Command::PeerRefused { peer, theirs }).await;
    }

    pub(crate) async fn redeem(
        &self,
        peer: PeerId,
        secret: Secret,
        label: String,
        addresses: Vec<PeerAddress>,
    ) -> Result<(), PairRefusal> {
        let answer = self.ask(|reply| Command::Redeem { peer, secret, label, addresses, reply }).await;
        answer.unwrap_or(Err(PairRefusal::Unknown))
    }

    pub(crate) async fn claim(
        &self,
        peer: PeerId,
        share: String,
        stop: Stop,
        consent: Consent,
    ) -> Result<Claimed, (Refusal, String)> {
        let answer = self.ask(|reply| Command::Claim { peer, share, stop, consent, reply }).await;
        answer.unwrap_or_else(|| Err((Refusal::Failed, "p2pusbd stops there".to_owned())))
    }

    /// A peer shows a PIN, before it claims the share. Where it has to be looked at, that is done here and not in the engine.
    pub(crate) async fn show_pin(&self, peer: PeerId, share: String, pin: Pin) -> Result<(), (Refusal, String)> {
        // The place comes first: a try counts from when it is allowed, and there must be no reason left not to look.
        let place = self.hasher.place().map_err(|error| not_looked_at(&error))?;
        let stops = || Err((Refusal::Failed, "p2pusbd stops there".to_owned()));
        let shown = self.ask(|reply| Command::PinShown { peer, share: share.clone(), reply }).await;
        let Some(against) = shown.unwrap_or_else(stops)? else { return Ok(()) };
        let is_right = place.verify(pin, against.clone()).await.map_err(|error| {
            warn!(P2PUSB_SHARE = share, P2PUSB_PEER = peer.short(), "{error}");
            not_looked_at(&error)
        })?;
        let tried = self.ask(|reply| Command::PinTried { peer, share, against, is_right, reply }).await;
        tried.unwrap_or_else(|| Err((Refusal::Failed, "p2pusbd stops there".to_owned())))
    }

    pub(crate) async fn wait_for_share(&self, peer: PeerId, share: String, waits: bool) {
        self.tell(Command::WaitForShare { peer, share, waits }).await;
    }

    pub(super) async fn turn_over(&self, share: String, peer: PeerId) {
        self.tell(Command::TurnOver { share, peer }).await;
    }

    pub(crate) async fn claim_paused(&self, share: String, wait: Option<Duration>) {
        self.tell(Command::ClaimPaused { share, wait }).await;
    }

    pub(crate) async fn claim_ended(&self, share: String, reason: EndReason) {
        self.tell(Command::ClaimEnded { share, reason }).await;
    }

    pub(crate) async fn link(&self, peer: PeerId, event: LinkEvent) {
        self.tell(Command::Link { peer, event }).await;
    }

    pub(super) async fn paired(&self, paired: Paired, reply: Reply<PeerId>) {
        self.tell(Command::Paired { paired, reply }).await;
    }

    /// Somebody says that this machine is on the local network.
    pub(crate) async fn found(&self, peer: PeerId, label: String, addresses: Vec<PeerAddress>) {
        self.tell(Command::Found { peer, label, addresses }).await;
    }

    /// It is there no longer.
    pub(crate) async fn lost(&self, peer: PeerId) {
        self.tell(Command::Lost { peer }).await;
    }

    /// The local network is another one.
    pub(crate) async fn nobody_found(&self) {
        self.tell(Command::NobodyFound).await;
    }

    pub(super) async fn access_over(&self, peer: PeerId) {
        self.tell(Command::AccessOver { peer }).await;
    }

    pub(crate) async fn attachment_placed(&self, id: u32, place: Place) {
        self.tell(Command::AttachmentPlaced { id, place }).await;
    }

    pub(crate) async fn attachment_paused(&self, id: u32, wait: Option<Duration>) {
        self.tell(Command::AttachmentPaused { id, wait }).await;
    }

    pub(crate) async fn attachment_due(&self, id: u32, left: Duration, reason: EndReason) {
        self.tell(Command::AttachmentDue { id, left, reason }).await;
    }

    pub(super) async fn attachment_ended(&self, id: u32, result: Result<EndReason>) {
        self.tell(Command::AttachmentEnded { id, result }).await;
    }
}
