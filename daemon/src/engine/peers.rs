//! Peers: pairing, and the link to each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use p2pusb_protocol::{CloseCode, EndReason, OfferedDevice, PeerAddress, clip};
use tokio::{sync::watch, time::Instant};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{
    Engine,
    guests::{self, Limits},
    state::now_usec,
    view::{DeviceFacts, Object, ObjectId, PeerView},
};
use crate::{
    error::{Error, Result},
    net::{
        address_from_text, address_to_text,
        link::{Connected, Link, LinkEvent, LinkFailure, PathKind},
        pairing::Paired,
    },
    peer::{PeerId, Trust},
    share::Limit,
    store::PeerRecord,
};

/// Peers that one machine keeps.
const MAX_PEERS: usize = 256;

/// A paired peer.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) record: PeerRecord,
    /// When it was last dialled because it was found on the local network.
    pub(super) found: Option<Instant>,
    /// Ends the pairing in time, where it has an end.
    expiry: Option<AbortOnDropHandle<()>>,
    /// Dials it; a blocked one is not dialled.
    link: Option<Link>,
    pub(super) connected: Option<Connected>,
    state: &'static str,
    last_error: String,
    last_failure: Option<LinkFailure>,
    /// How fast it may use what is shared with it.
    pub(super) limit: Arc<Limit>,
    last_seen: u64,
    path: &'static str,
    /// What it offers, by the id of its share.
    pub(super) offers: BTreeMap<String, OfferedDevice>,
    /// Those of them that it offered over an earlier connection and has not named over this one. They are kept as long
    /// as they are attached.
    stale: BTreeSet<String>,
}

impl Peer {
    pub(super) fn label(&self) -> &str {
        &self.record.label
    }

    /// The connection as it comes and goes; `None` where the peer is not dialled.
    pub(super) fn links(&self) -> Option<watch::Receiver<Option<Connected>>> {
        self.link.as_ref().map(Link::connected)
    }

    pub(super) fn close_link(&self, code: CloseCode, reason: &str) {
        if let Some(connected) = &self.connected {
            connected.close(code, reason);
        }
    }

    /// It is not dialled any longer, and what its link still has to say counts no more.
    pub(super) fn hang_up(&mut self) {
        (self.link, self.connected) = (None, None);
        (self.state, self.path) = ("offline", "none");
        self.last_error.clear();
        self.last_failure = None;
        self.stale.clear();
    }

    /// Where it was last found.
    pub(super) fn addresses(&self) -> Vec<PeerAddress> {
        self.record.addresses.iter().filter_map(|text| address_from_text(text)).collect()
    }

    /// Dials now rather than later, unless it is blocked.
    pub(super) fn dial_at(&self, addresses: Vec<PeerAddress>) {
        if let Some(link) = &self.link {
            link.nudge(addresses);
        }
    }

    /// Why nothing can be had of it now.
    pub(super) fn unreachable(&self) -> Error {
        if self.record.trust == Trust::Blocked {
            return Error::PeerBlocked(self.label().to_owned());
        }
        let failure = self.last_failure.clone();
        failure.unwrap_or(LinkFailure::Unreachable("it is not connected yet".to_owned())).into_error(self.label())
    }
}

impl Engine {
    /// Takes a peer into the state and starts to dial it, unless it is blocked.
    pub(super) fn load_peer(&mut self, record: PeerRecord) {
        let id: PeerId = match record.endpoint_id.parse() {
            Ok(id) => id,
            Err(error) => return warn!("a peer's file is ignored: {error}"),
        };
        let peer = Peer {
            found: None,
            expiry: guests::watch(id, record.until, self.handle.clone()),
            limit: Limit::new(record.bandwidth),
            last_seen: record.last_seen,
            record,
            link: None,
            connected: None,
            state: "offline",
            last_error: String::new(),
            last_failure: None,
            path: "none",
            offers: BTreeMap::new(),
            stale: BTreeSet::new(),
        };
        self.peers.insert(id, peer);
        self.dial(id);
        self.publish_admission();
    }

    /// Starts to dial a peer, unless it is blocked.
    pub(super) fn dial(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.record.trust == Trust::Paired) else { return };
        peer.link = Some(Link::start(self.endpoint.clone(), id, peer.addresses(), self.handle.clone()));
        peer.state = "connecting";
    }

    /// Says anew at the door who may come in.
    pub(super) fn publish_admission(&self) {
        let there = self.peers.iter().filter(|(_, peer)| !guests::is_over(peer.record.until));
        self.admission.set(there.map(|(id, peer)| (*id, peer.record.trust)));
    }

    /// A peer that is blocked is paired with no more by a ticket than in any other way.
    pub(super) fn refuse_blocked(&self, id: PeerId) -> Result<()> {
        match self.peers.get(&id).filter(|peer| peer.record.trust == Trust::Blocked) {
            Some(peer) => Err(Error::PeerBlocked(peer.label().to_owned())),
            None => Ok(()),
        }
    }

    pub(super) async fn paired(&mut self, paired: Paired) -> Result<PeerId> {
        let id = paired.peer;
        // What this machine has limited by a ticket of its own stays so.
        self.add(paired, None).await?;
        Ok(id)
    }

    /// The other side has proved its key and one of us a ticket: from now on it is a peer.
    /// Without `limits`, one that is known keeps those that it has.
    pub(super) async fn add(&mut self, paired: Paired, limits: Option<Limits>) -> Result<()> {
        let Paired { peer: id, label, addresses } = paired;
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&id) {
            return Err(Error::LimitReached { limit: MAX_PEERS, what: "peers" });
        }
        self.refuse_blocked(id)?;
        let label = match self.peers.get(&id) {
            // It may have been given another one here.
            Some(known) => known.label().to_owned(),
            None if label.trim().is_empty() => self.free_label(id, id.short()),
            None => self.free_label(id, clip(label.trim())),
        };
        let known = self.peers.get(&id).map(|peer| peer.record.clone()).unwrap_or_default();
        let Limits { scope, until } =
            limits.unwrap_or_else(|| Limits { scope: known.scope.clone(), until: known.until });
        let record = PeerRecord {
            endpoint_id: id.to_string(),
            label,
            addresses: addresses.iter().map(address_to_text).collect(),
            paired: now_usec(),
            trust: Trust::Paired,
            scope,
            until,
            ..known
        };
        self.keep({
            let record = record.clone();
            move |store| store.save_peer(&record)
        })
        .await?;
        info!(P2PUSB_PEER = id.short(), "paired with {}", record.label);
        match self.peers.get_mut(&id) {
            Some(peer) => {
                peer.expiry = guests::watch(id, record.until, self.handle.clone());
                peer.record = record;
                peer.dial_at(addresses);
            }
            None => self.load_peer(record),
        }
        self.limits_changed(id).await;
        if self.discovered.remove(&id).is_some() {
            self.publish_manager().await;
        }
        self.publish_peer(id).await;
        // A rule may have named it before it was there.
        self.derive_shares().await;
        Ok(())
    }

    /// Labels name peers on the command line, so no two are the same.
    fn free_label(&self, id: PeerId, label: String) -> String {
        if self.is_label_taken(id, &label) { clip(&format!("{} {label}", id.short())) } else { label }
    }

    /// Whether another peer has this label. Upper and lower case are the same to whoever types one.
    pub(super) fn is_label_taken(&self, id: PeerId, label: &str) -> bool {
        let label = label.to_lowercase();
        self.peers.iter().any(|(other, peer)| *other != id && peer.label().to_lowercase() == label)
    }

    pub(super) async fn forget(&mut self, id: PeerId) -> Result<()> {
        if !self.peers.contains_key(&id) {
            return Err(Error::PeerUnknown(id.short()));
        }
        self.keep(move |store| store.remove_peer(&id.to_string())).await?;
        self.end_all(id, EndReason::PeerForgotten).await;
        self.forget_tries(id);
        if let Some(peer) = self.peers.remove(&id) {
            peer.close_link(CloseCode::Forgotten, "the other machine has forgotten you; pair again");
        }
        self.publish_admission();
        info!(P2PUSB_PEER = id.short(), "forgotten");
        self.hide(ObjectId::Peer(id)).await;
        self.derive_shares().await;
        Ok(())
    }

    /// Ends everything that goes on with a peer, but for the connections.
    pub(super) async fn end_all(&mut self, id: PeerId, reason: EndReason) {
        for share in self.shares.values().filter(|share| share.claimed_by() == Some(id)) {
            share.stop(reason);
        }
        for attachment in self.attachments.values().filter(|attachment| attachment.peer == id) {
            attachment.stop(reason);
        }
        self.stop_waiting(id).await;
        self.leave_queues(id).await;
        self.withdraw_all(id).await;
    }

    /// A peer has connected to us, and says where it can be found. Answers whether it has moved there from where our own
    /// link to it leads. Such a link is left at once: it would be dark for long, and iroh would send whatever is new on the
    /// same dark path as long as there is any connection to the peer.
    pub(super) async fn peer_seen(&mut self, id: PeerId, seen: Vec<PeerAddress>) -> bool {
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        peer.last_seen = now_usec();
        let known: BTreeSet<&String> = peer.record.addresses.iter().collect();
        let news = seen.iter().any(|address| !known.contains(&address_to_text(address)));
        let moved = peer.connected.as_ref().filter(|link| news && !link.leads_to(&seen));
        if let Some(link) = moved {
            info!(P2PUSB_PEER = id.short(), "{} has moved", peer.record.label);
            link.leave("you have moved");
        }
        let moved = moved.is_some();
        if let Some(link) = peer.link.as_ref().filter(|_| moved || peer.connected.is_none()) {
            link.nudge(seen.clone());
        }
        self.learn(id, seen).await;
        self.publish_peer(id).await;
        moved
    }

    /// This machine has other addresses than before: all links are left and dialled anew.
    pub(super) fn moved(&mut self) {
        for peer in self.peers.values() {
            if let (Some(connected), Some(link)) = (&peer.connected, &peer.link) {
                connected.leave("this machine has moved");
                link.redial();
            }
        }
    }

    /// Remembers where a peer was found.
    async fn learn(&mut self, id: PeerId, found: Vec<PeerAddress>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let texts: Vec<String> = found.iter().map(address_to_text).collect();
        if texts.is_empty() || texts == peer.record.addresses {
            return;
        }
        peer.record.addresses = texts;
        let record = peer.record.clone();
        if let Err(error) = self.keep(move |store| store.save_peer(&record)).await {
            warn!(P2PUSB_PEER = id.short(), "where the peer was found is not remembered: {error}");
        }
    }

    /// We have closed the door on a peer that speaks another protocol.
    pub(super) async fn refused_version(&mut self, id: PeerId, theirs: String) {
        if let Some(peer) = self.peers.get_mut(&id) {
            let failure = LinkFailure::Version { theirs };
            peer.last_error = failure.clone().into_error(&peer.record.label).to_string();
            peer.last_failure = Some(failure);
            self.publish_peer(id).await;
        }
    }

    pub(super) async fn link_event(&mut self, id: PeerId, event: LinkEvent) {
        // What a link has said before it was given up counts no longer.
        let Some(peer) = self.peers.get_mut(&id).filter(|peer| peer.link.is_some()) else { return };
        match event {
            LinkEvent::Online(connected, hello) => {
                peer.connected = Some(connected);
                peer.state = "online";
                peer.last_error.clear();
                peer.last_failure = None;
                peer.last_seen = now_usec();
                self.learn(id, hello.addresses).await;
                self.publish_peer(id).await;
            }
            LinkEvent::Path(path) => {
                peer.path = match path {
                    PathKind::Direct => "direct",
                    PathKind::Relay => "relay",
                };
                self.publish_peer(id).await;
            }
            LinkEvent::Offered(device) => {
                let remote_id = device.id.clone();
                peer.stale.remove(&remote_id);
                let facts = DeviceFacts::from(&device);
                let before = peer.offers.insert(remote_id.clone(), device).map(|before| DeviceFacts::from(&before));
                if before.as_ref() != Some(&facts) {
                    self.offered_anew(id, &remote_id);
                    if before.is_some() {
                        // Another device, so another object: what it says of itself never changes.
                        self.hide(ObjectId::RemoteDevice(id, remote_id.clone())).await;
                    }
                }
                self.publish_remote_device(id, &remote_id).await;
                self.attach_again(id, &remote_id).await;
            }
            LinkEvent::Withdrawn(remote_id) => {
                peer.stale.remove(&remote_id);
                if peer.offers.remove(&remote_id).is_some() {
                    self.hide(ObjectId::RemoteDevice(id, remote_id)).await;
                }
            }
            LinkEvent::Listed => self.withdraw_stale(id).await,
            LinkEvent::Offline(failure) => {
                let was_connected = peer.connected.take().is_some();
                if was_connected {
                    peer.last_seen = now_usec();
                }
                peer.state = match failure {
                    LinkFailure::Refused(_) | LinkFailure::Version { .. } => "refused",
                    LinkFailure::Unreachable(_) | LinkFailure::Stopped => "offline",
                };
                peer.last_error = failure.clone().into_error(&peer.record.label).to_string();
                peer.last_failure = Some(failure);
                peer.path = "none";
                peer.stale = peer.offers.keys().cloned().collect();
                self.withdraw_stale(id).await;
                self.publish_peer(id).await;
                if was_connected {
                    self.keep_last_seen(id).await;
                }
            }
        }
    }

    /// Keeps when peers were last there. It is done when they leave, and when this daemon does.
    pub(super) async fn keep_last_seen(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.connected.is_some() {
            peer.last_seen = now_usec();
        }
        peer.record.last_seen = peer.last_seen;
        let record = peer.record.clone();
        if let Err(error) = self.keep(move |store| store.save_peer(&record)).await {
            warn!(P2PUSB_PEER = id.short(), "when the peer was last there is not remembered: {error}");
        }
    }

    /// Withdraws what the peer does not offer any longer, or can't, except what is attached.
    pub(super) async fn withdraw_stale(&mut self, id: PeerId) {
        let attached: BTreeSet<&String> =
            self.attachments.values().filter(|other| other.peer == id).map(|other| &other.remote_id).collect();
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let gone: Vec<String> = peer.stale.iter().filter(|remote_id| !attached.contains(remote_id)).cloned().collect();
        peer.stale.retain(|remote_id| attached.contains(remote_id));
        peer.offers.retain(|remote_id, _| !gone.contains(remote_id));
        for remote_id in gone {
            self.hide(ObjectId::RemoteDevice(id, remote_id)).await;
        }
    }

    async fn withdraw_all(&mut self, id: PeerId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        for remote_id in std::mem::take(&mut peer.offers).into_keys() {
            self.hide(ObjectId::RemoteDevice(id, remote_id)).await;
        }
    }

    pub(super) async fn publish_peer(&self, id: PeerId) {
        let Some(peer) = self.peers.get(&id) else { return };
        let view = PeerView {
            id,
            label: peer.record.label.clone(),
            trust: peer.record.trust,
            scope: peer.record.scope.clone(),
            until: peer.record.until,
            state: peer.state,
            last_error: peer.last_error.clone(),
            path: peer.path,
            last_seen: peer.last_seen,
            bandwidth: peer.record.bandwidth,
            link: peer.connected.clone().map(Box::new),
        };
        self.show(Object::Peer(view)).await;
    }
}
