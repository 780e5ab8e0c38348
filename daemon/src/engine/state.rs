//! The state itself, and the loop that changes it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use iroh::Endpoint;
use p2pusb_protocol::{CloseCode, EndReason};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    agreement::Accepting,
    attachments::Attachment,
    command::Command,
    derived,
    discovered::Found,
    handle::{COMMAND_QUEUE, EngineHandle, Offers},
    peers::Peer,
    shares::Share,
    terms::moment,
    view::{Change, EndedView, ManagerView, Object, ObjectId},
};
use crate::{
    attach::VirtualHost,
    config::Grace,
    error::{Error, Result},
    net::Admission,
    peer::PeerId,
    people::People,
    policy::{Accept, Rule, Rules},
    store::{Store, StoreError, TicketRecord},
    usb::{BusPath, DeviceInfo},
};

/// When no device has come for so long, there are no more of those that were plugged in together.
const SETTLE_TIME: Duration = Duration::from_millis(500);
/// Changes that may wait to be shown.
const CHANGE_QUEUE: usize = 256;

/// What the engine is made of.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// What outlives the process.
    pub(crate) store: Store,
    /// The network.
    pub(crate) endpoint: Endpoint,
    /// Who may connect; the engine keeps it.
    pub(crate) admission: Admission,
    /// What does not outlive the boot.
    pub(crate) runtime: PathBuf,
    /// none, custom, public
    pub(crate) relay_mode: &'static str,
    /// Where attachments go.
    pub(crate) kernel: Arc<dyn VirtualHost>,
    /// How long sessions outlive their connections, where nobody has said otherwise.
    pub(crate) grace: Grace,
    /// What peers' devices may be here.
    pub(crate) accept: Accept,
    /// What the settings say of devices.
    pub(crate) rules: Rules,
    /// Who can be asked here.
    pub(crate) people: People,
    /// What is plugged in at the start.
    pub(crate) devices: Vec<DeviceInfo>,
}

/// The one owner of state.
#[derive(Debug)]
pub struct Engine {
    pub(super) store: Store,
    pub(super) endpoint: Endpoint,
    pub(super) admission: Admission,
    pub(super) runtime: PathBuf,
    pub(super) handle: EngineHandle,
    pub(super) devices: BTreeMap<BusPath, DeviceInfo>,
    pub(super) rules: Rules,
    /// The rule that is about a device, for each that there is one for.
    pub(super) judged: BTreeMap<BusPath, Arc<Rule>>,
    pub(super) shares: BTreeMap<String, Share>,
    /// What the ids of derived shares are made with.
    pub(super) id_key: [u8; 32],
    pub(super) peers: BTreeMap<PeerId, Peer>,
    pub(super) attachments: BTreeMap<u32, Attachment>,
    pub(super) last_attachment: u32,
    pub(super) last_session: u64,
    pub(super) tickets: Vec<TicketRecord>,
    /// Derived shares that their owner has taken back for now, plugged in or not.
    pub(super) paused: BTreeSet<String>,
    /// Machines that were found on the local network and are not paired, by their keys.
    pub(super) discovered: BTreeMap<PeerId, Found>,
    /// Machines may ask to be paired.
    pub(super) accepting: Option<Accepting>,
    /// Whether they may, for others.
    pub(super) is_accepting: watch::Sender<bool>,
    /// Who can be asked here.
    pub(super) people: People,
    pub(super) recently_ended: VecDeque<EndedView>,
    pub(super) offers: watch::Sender<Offers>,
    pub(super) kernel: Arc<dyn VirtualHost>,
    pub(super) grace: Grace,
    pub(super) accept: Accept,
    /// What somebody has to see to, a sentence each.
    pub(super) problems: Vec<String>,
    relay_mode: &'static str,
    stopping: Option<oneshot::Sender<()>>,
    is_stopping: bool,
    /// Devices are being found out about, until then unless there are more.
    settling: Option<Instant>,
    closing: CancellationToken,
    commands: mpsc::Receiver<Command>,
    changes: mpsc::Sender<Change>,
}

/// Waits until then; for ever where that is never.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Microseconds since the epoch.
pub(crate) fn now_usec() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// The moment that lies so far ahead, in microseconds since the epoch.
pub(super) fn until_usec(wait: Duration) -> u64 {
    now_usec().saturating_add(wait.as_micros() as u64)
}

impl Engine {
    /// Reads what is kept, and gives the way to the engine and the stream of what it shows.
    pub(crate) fn new(inputs: Inputs) -> Result<(Self, EngineHandle, mpsc::Receiver<Change>), StoreError> {
        let (commands_tx, commands) = mpsc::channel(COMMAND_QUEUE);
        let (changes, changes_rx) = mpsc::channel(CHANGE_QUEUE);
        let (offers, offers_rx) = watch::channel(Offers::default());
        let closing = CancellationToken::new();
        let (is_accepting, accepting_rx) = watch::channel(false);
        let handle = EngineHandle::new(commands_tx, offers_rx, accepting_rx, closing.clone());
        let Inputs { store, endpoint, admission, runtime, relay_mode, kernel, grace, accept, rules, people, devices } =
            inputs;
        let shares = store.shares()?.into_iter().map(|record| (record.id.clone(), Share::new(record, grace)));
        let id_key = derived::id_key(endpoint.secret_key());
        let mut engine = Self {
            id_key,
            rules,
            judged: BTreeMap::new(),
            tickets: store.tickets()?,
            paused: store.paused()?,
            store,
            endpoint,
            admission,
            runtime,
            handle: handle.clone(),
            devices: devices.into_iter().map(|info| (info.bus_path.clone(), info)).collect(),
            shares: shares.collect(),
            peers: BTreeMap::new(),
            attachments: BTreeMap::new(),
            last_attachment: 0,
            last_session: 0,
            discovered: BTreeMap::new(),
            accepting: None,
            is_accepting,
            people,
            recently_ended: VecDeque::new(),
            offers,
            kernel,
            grace,
            accept,
            problems: Vec::new(),
            relay_mode,
            stopping: None,
            is_stopping: false,
            // Others may be on their way at a start.
            settling: Some(Instant::now() + SETTLE_TIME),
            closing,
            commands,
            changes,
        };
        for record in engine.store.peers()? {
            engine.load_peer(record);
        }
        engine.load_pins()?;
        for record in engine.store.attachments()? {
            engine.load_attachment(record)?;
        }
        // The files have been read, and the damaged ones among them set aside.
        engine.problems = engine.store.problems()?;
        engine.judge_all();
        Ok((engine, handle, changes_rx))
    }

    /// Runs until [`EngineHandle::shutdown`] has been answered.
    pub async fn run(mut self) {
        self.look_at_clock().await;
        self.publish_all().await;
        self.derive_shares().await;
        loop {
            let next_look = self.next_look();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.execute(command).await,
                    None => break,
                },
                () = moment(next_look) => self.look_at_clock().await,
                () = until(self.settling) => {
                    self.settling = None;
                    self.publish_manager().await;
                }
            }
            if self.is_stopping && self.is_idle() {
                break;
            }
        }
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.keep_last_seen(peer).await;
        }
        for peer in self.peers.values() {
            peer.close_link(CloseCode::ShuttingDown, "this machine's p2pusbd was stopped");
        }
        self.closing.cancel();
        if let Some(reply) = self.stopping {
            // The supervisor waits for it; without one, nobody does.
            let _ = reply.send(());
        }
    }

    async fn execute(&mut self, command: Command) {
        match command {
            Command::ShareDevice { device, wish, uid, reply } => {
                let result = self.share_device(device, wish, uid).await;
                let _ = reply.send(result);
            }
            Command::SetSharePeers { share, peers, reply } => {
                let result = self.set_share_peers(&share, peers).await;
                let _ = reply.send(result);
            }
            Command::SetShareGrace { share, grace, reply } => {
                let result = self.set_share_grace(&share, grace).await;
                let _ = reply.send(result);
            }
            Command::SetSharePaused { share, paused, reply } => {
                let result = self.set_share_paused(&share, paused).await;
                let _ = reply.send(result);
            }
            Command::SetShareBandwidth { share, bandwidth, reply } => {
                let result = self.set_share_bandwidth(&share, bandwidth).await;
                let _ = reply.send(result);
            }
            Command::SetPeerBandwidth { peer, bandwidth, reply } => {
                let result = self.set_peer_bandwidth(peer, bandwidth).await;
                let _ = reply.send(result);
            }
            Command::SetPin { share, hash, reply } => {
                let result = self.set_pin(&share, hash).await;
                let _ = reply.send(result);
            }
            Command::ClearPin { share, reply } => {
                let result = self.clear_pin(&share).await;
                let _ = reply.send(result);
            }
            Command::PinShown { peer, share, reply } => {
                let _ = reply.send(self.pin_shown(peer, &share));
            }
            Command::PinTried { peer, share, against, is_right, reply } => {
                let _ = reply.send(self.pin_tried(peer, &share, against, is_right).await);
            }
            Command::WaitForShare { peer, share, waits } => self.wait_for_share(peer, &share, waits).await,
            Command::TurnOver { share, peer } => self.turn_over(&share, peer).await,
            Command::Revoke { share, reply } => self.revoke(share, reply).await,
            Command::CreateTicket { wish, reply } => {
                let result = self.create_ticket(wish).await;
                let _ = reply.send(result);
            }
            Command::AddPeer { ticket, reply } => self.add_peer(&ticket, reply),
            Command::ProposePairing { peer, by, reply } => self.propose_pairing(&peer, by, reply),
            Command::SetAccepting { wait, reply } => {
                let result = self.set_accepting(wait).await;
                let _ = reply.send(result);
            }
            Command::AcceptingOver => self.accepting_over().await,
            Command::HearProposal { peer, reply } => {
                let _ = reply.send(self.hear_proposal(peer));
            }
            Command::Declined { peer } => self.declined(peer).await,
            Command::SetLabel { peer, label, reply } => {
                let result = self.set_label(peer, &label).await;
                let _ = reply.send(result);
            }
            Command::SetTrust { peer, trust, reply } => {
                let result = self.set_trust(peer, trust).await;
                let _ = reply.send(result);
            }
            Command::Forget { peer, reply } => {
                let result = self.forget(peer).await;
                let _ = reply.send(result);
            }
            Command::Attach { peer, device, wish, uid, reply } => self.attach(peer, device, wish, uid, reply).await,
            Command::Detach { attachment, reply } => self.detach(attachment, reply).await,
            Command::Apply { config, reply } => {
                self.apply(config).await;
                let _ = reply.send(());
            }
            Command::Sync { reply } => self.say(Change::Barrier(reply)).await,
            Command::Hotplug(event) => self.hotplug(event).await,
            Command::PeerSeen { peer, addresses, reply } => {
                let _ = reply.send(self.peer_seen(peer, addresses).await);
            }
            Command::Moved => self.moved(),
            Command::PeerRefused { peer, theirs } => self.refused_version(peer, theirs).await,
            Command::Redeem { peer, secret, label, addresses, reply } => {
                let result = self.redeem(peer, secret, label, addresses).await;
                let _ = reply.send(result);
            }
            Command::Claim { peer, share, stop, consent, reply } => {
                let result = self.claim(peer, &share, stop, consent).await;
                // A link that broke meanwhile ends the claim itself, through its task's stop.
                let _ = reply.send(result);
            }
            Command::ClaimPaused { share, wait } => self.claim_paused(&share, wait).await,
            Command::ClaimEnded { share, reason } => self.claim_ended(&share, reason).await,
            Command::Link { peer, event } => self.link_event(peer, event).await,
            Command::Paired { paired, reply } => {
                let result = self.paired(paired).await;
                let _ = reply.send(result);
            }
            Command::Found { peer, label, addresses } => self.found(peer, label, addresses).await,
            Command::Lost { peer } => self.lost(peer).await,
            Command::NobodyFound => self.nobody_found().await,
            Command::AccessOver { peer } => self.access_over(peer).await,
            Command::AttachmentPlaced { id, place } => self.attachment_placed(id, place).await,
            Command::AttachmentPaused { id, wait } => self.attachment_paused(id, wait).await,
            Command::AttachmentDue { id, left, reason } => self.attachment_due(id, left, reason).await,
            Command::AttachmentEnded { id, result } => self.attachment_ended(id, result).await,
            Command::Ping { reply } => {
                let _ = reply.send(());
            }
            Command::Shutdown { reply } => self.shutdown(reply).await,
        }
    }

    /// Asks everything to end; [`Self::run`] answers when it has.
    async fn shutdown(&mut self, reply: oneshot::Sender<()>) {
        info!("stopping: {} claims and {} attachments to end", self.claims(), self.attachments.len());
        self.stopping = Some(reply);
        self.is_stopping = true;
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.stop_waiting(peer).await;
        }
        for share in self.shares.values() {
            share.stop(EndReason::PeerStopped);
        }
        for attachment in self.attachments.values() {
            attachment.stop(EndReason::Stopped);
        }
        self.publish_manager().await;
    }

    /// A device has come, and others may with it.
    pub(super) async fn probe(&mut self) {
        if self.settling.replace(Instant::now() + SETTLE_TIME).is_none() {
            self.publish_manager().await;
        }
    }

    pub(super) fn refuse_while_stopping(&self) -> Result<()> {
        if self.is_stopping { Err(Error::Cancelled("the request, because p2pusbd stops,".to_owned())) } else { Ok(()) }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    fn is_idle(&self) -> bool {
        self.claims() == 0 && self.attachments.is_empty()
    }

    fn claims(&self) -> usize {
        self.shares.values().filter(|share| share.is_claimed()).count()
    }

    /// Runs something on the store where it stops nobody: a sync to a slow disk takes its time.
    pub(super) async fn keep(
        &self,
        what: impl FnOnce(&Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<()> {
        let store = self.store.clone();
        match spawn_blocking(move || what(&store)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::failed("the state can't be kept", error)),
            Err(error) => Err(Error::failed("the state can't be kept", error)),
        }
    }

    pub(super) async fn say(&self, change: Change) {
        // Without a bus, nobody is shown anything.
        if self.changes.send(change).await.is_err() {
            warn!("a change could not be shown: the bus is gone");
        }
    }

    pub(super) async fn show(&self, object: Object) {
        self.say(Change::Set(Box::new(object))).await;
    }

    pub(super) async fn hide(&self, object: ObjectId) {
        self.say(Change::Removed(object)).await;
    }

    pub(super) async fn publish_manager(&self) {
        let view = ManagerView {
            state: if self.is_stopping { "stopping" } else { "running" },
            probing: self.settling.is_some(),
            accepting_peers: self.accepting.is_some(),
            endpoint_id: self.endpoint.id().into(),
            relay_mode: self.relay_mode,
            discovered: self.strangers(),
            recently_ended: self.recently_ended.iter().cloned().collect(),
            problems: self.problems.clone(),
        };
        self.show(Object::Manager(view)).await;
    }

    /// Shows everything anew; nobody hears of what is as it was.
    pub(super) async fn publish_all(&mut self) {
        self.publish_manager().await;
        for peer in self.peers.keys().copied().collect::<Vec<_>>() {
            self.publish_peer(peer).await;
        }
        for share in self.shares.keys().cloned().collect::<Vec<_>>() {
            self.publish_share(&share).await;
        }
        for device in self.devices.keys().cloned().collect::<Vec<_>>() {
            self.publish_device(&device).await;
        }
        for attachment in self.attachments.keys().copied().collect::<Vec<_>>() {
            self.publish_attachment(attachment).await;
        }
        self.publish_offers();
    }

    pub(super) fn set_offers(&self, offers: Offers) {
        self.offers.send_replace(offers);
    }
}
