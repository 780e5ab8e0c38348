//! Peers: pairing, tickets, and the link to each.

use std::collections::{BTreeMap, BTreeSet};

use p2pusb_protocol::{CloseCode, EndReason, OfferedDevice, PeerAddress, TicketRefusal, clip};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    Engine,
    command::Reply,
    state::now_usec,
    view::{Object, ObjectId, PeerView},
};
use crate::{
    error::{Error, Result},
    net::{
        address_from_text, address_to_text,
        link::{Connected, Link, LinkEvent, LinkFailure, PathKind},
        own_addresses,
        pairing::{self, Paired},
        ticket::{Secret, Ticket},
    },
    peer::PeerId,
    store::{PeerRecord, TicketRecord, TicketState},
};

/// Peers that one machine keeps.
const MAX_PEERS: usize = 256;
/// Tickets that may be open at a time, with the used ones that have not expired.
const MAX_TICKETS: usize = 256;

/// A paired peer.
#[derive(Debug)]
pub(super) struct Peer {
    record: PeerRecord,
    link: Link,
    pub(super) connected: Option<Connected>,
    state: &'static str,
    last_error: String,
    last_failure: Option<LinkFailure>,
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

    /// The connection as it comes and goes.
    pub(super) fn links(&self) -> watch::Receiver<Option<Connected>> {
        self.link.connected()
    }

    pub(super) fn close_link(&self, code: CloseCode, reason: &str) {
        if let Some(connected) = &self.connected {
            connected.close(code, reason);
        }
    }

    /// Why nothing can be had of it now.
    pub(super) fn unreachable(&self) -> Error {
        let failure = self.last_failure.clone();
        failure.unwrap_or(LinkFailure::Unreachable("it is not connected yet".to_owned())).into_error(self.label())
    }
}

fn addresses(record: &PeerRecord) -> Vec<PeerAddress> {
    record.addresses.iter().filter_map(|text| address_from_text(text)).collect()
}

impl Engine {
    /// Takes a peer into the state and starts to dial it.
    pub(super) fn load_peer(&mut self, record: PeerRecord) {
        let id: PeerId = match record.endpoint_id.parse() {
            Ok(id) => id,
            Err(error) => return warn!("a peer's file is ignored: {error}"),
        };
        let link = Link::start(self.endpoint.clone(), id, addresses(&record), self.handle.clone());
        let peer = Peer {
            record,
            link,
            connected: None,
            state: "connecting",
            last_error: String::new(),
            last_failure: None,
            last_seen: 0,
            path: "none",
            offers: BTreeMap::new(),
            stale: BTreeSet::new(),
        };
        self.peers.insert(id, peer);
        self.admission.set(self.peers.keys().copied());
    }

    pub(super) async fn create_ticket(&mut self, lifetime_usec: u64) -> Result<String> {
        self.refuse_while_stopping()?;
        let now = now_usec();
        self.tickets.retain(|ticket| ticket.expires > now);
        if self.tickets.len() >= MAX_TICKETS {
            return Err(Error::LimitReached { limit: MAX_TICKETS, what: "tickets" });
        }
        let secret = Secret::generate()?;
        let expires = now.saturating_add(lifetime_usec);
        self.tickets.push(TicketRecord { digest: secret.digest(), expires, state: TicketState::Open });
        self.keep_tickets().await?;
        let ticket = Ticket { peer: self.endpoint.id().into(), addresses: own_addresses(&self.endpoint), secret };
        info!("a ticket was made");
        Ok(ticket.to_text())
    }

    async fn keep_tickets(&self) -> Result<()> {
        let tickets = self.tickets.clone();
        self.keep(move |store| store.save_tickets(&tickets)).await
    }

    /// Somebody shows a ticket of ours.
    pub(super) async fn redeem(
        &mut self,
        peer: PeerId,
        secret: Secret,
        label: String,
        addresses: Vec<PeerAddress>,
    ) -> Result<(), TicketRefusal> {
        let digest = secret.digest();
        let Some(at) = self.tickets.iter().position(|ticket| ticket.digest == digest) else {
            return Err(TicketRefusal::Unknown);
        };
        let ticket = &mut self.tickets[at];
        if ticket.state == TicketState::Used {
            return Err(TicketRefusal::Used);
        }
        if ticket.expires <= now_usec() {
            return Err(TicketRefusal::Expired);
        }
        ticket.state = TicketState::Used;
        // Kept before the peer is: a ticket that might work twice is worse than one that is lost.
        let kept = match self.keep_tickets().await {
            Ok(()) => self.add(Paired { peer, label, addresses }).await,
            Err(error) => Err(error),
        };
        kept.map_err(|error| {
            warn!(P2PUSB_PEER = peer.short(), "a ticket was lost: {error}");
            TicketRefusal::Unknown
        })
    }

    /// Redeems a ticket of another machine.
    pub(super) fn add_peer(&mut self, text: &str, reply: Reply<PeerId>) {
        let ticket = self.refuse_while_stopping().and_then(|()| Ticket::parse(text)).and_then(|ticket| {
            if ticket.peer == PeerId::from(self.endpoint.id()) {
                return Err(Error::TicketInvalid("this machine made it; use it on the other one".to_owned()));
            }
            Ok(ticket)
        });
        match ticket {
            // The caller may be gone; then nobody needs to know.
            Err(error) => drop(reply.send(Err(error))),
            Ok(ticket) => {
                let (endpoint, handle) = (self.endpoint.clone(), self.handle.clone());
                tokio::spawn(async move {
                    match pairing::redeem(&endpoint, ticket).await {
                        Ok(paired) => handle.paired(paired, reply).await,
                        Err(error) => drop(reply.send(Err(error))),
                    }
                });
            }
        }
    }

    pub(super) async fn paired(&mut self, paired: Paired) -> Result<PeerId> {
        let id = paired.peer;
        self.add(paired).await?;
        Ok(id)
    }

    /// The other side has proved its key and one of us a ticket: from now on it is a peer.
    async fn add(&mut self, paired: Paired) -> Result<()> {
        let Paired { peer: id, label, addresses } = paired;
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&id) {
            return Err(Error::LimitReached { limit: MAX_PEERS, what: "peers" });
        }
        let label = if label.trim().is_empty() { id.short() } else { clip(label.trim()) };
        let record = PeerRecord {
            endpoint_id: id.to_string(),
            label: self.free_label(id, label),
            addresses: addresses.iter().map(address_to_text).collect(),
            paired: now_usec(),
        };
        self.keep({
            let record = record.clone();
            move |store| store.save_peer(&record)
        })
        .await?;
        info!(P2PUSB_PEER = id.short(), "paired with {}", record.label);
        match self.peers.get_mut(&id) {
            Some(peer) => {
                peer.record = record;
                peer.link.nudge(addresses);
            }
            None => self.load_peer(record),
        }
        self.publish_peer(id).await;
        Ok(())
    }

    /// Labels name peers on the command line, so no two are the same.
    fn free_label(&self, id: PeerId, label: String) -> String {
        let taken = |label: &str| self.peers.iter().any(|(other, peer)| *other != id && peer.label() == label);
        if taken(&label) { clip(&format!("{} {label}", id.short())) } else { label }
    }

    pub(super) async fn forget(&mut self, id: PeerId) -> Result<()> {
        if !self.peers.contains_key(&id) {
            return Err(Error::PeerUnknown(id.short()));
        }
        self.keep(move |store| store.remove_peer(&id.to_string())).await?;
        for share in self.shares.values().filter(|share| share.claimed_by() == Some(id)) {
            share.stop(EndReason::PeerForgotten);
        }
        for attachment in self.attachments.values().filter(|attachment| attachment.peer == id) {
            attachment.stop(EndReason::PeerForgotten);
        }
        self.stop_waiting(id).await;
        self.withdraw_all(id).await;
        if let Some(peer) = self.peers.remove(&id) {
            peer.close_link(CloseCode::Forgotten, "the other machine has forgotten you; pair again");
        }
        self.admission.set(self.peers.keys().copied());
        info!(P2PUSB_PEER = id.short(), "forgotten");
        self.hide(ObjectId::Peer(id)).await;
        Ok(())
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
        if moved || peer.connected.is_none() {
            peer.link.nudge(seen.clone());
        }
        self.learn(id, seen).await;
        self.publish_peer(id).await;
        moved
    }

    /// This machine has other addresses than before: all links are left and dialled anew.
    pub(super) fn moved(&mut self) {
        for peer in self.peers.values() {
            if let Some(link) = &peer.connected {
                link.leave("this machine has moved");
                peer.link.redial();
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
        let Some(peer) = self.peers.get_mut(&id) else { return };
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
                peer.offers.insert(remote_id.clone(), device);
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
                if peer.connected.take().is_some() {
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
            }
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
            state: peer.state,
            last_error: peer.last_error.clone(),
            path: peer.path,
            last_seen: peer.last_seen,
            link: peer.connected.clone(),
        };
        self.show(Object::Peer(view)).await;
    }
}
