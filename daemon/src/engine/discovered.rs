//! Machines that were found on the local network.

use std::time::Duration;

use p2pusb_protocol::{MAX_ADDRESSES, PeerAddress, clip};
use tokio::time::Instant;
use tracing::debug;

use super::Engine;
use crate::peer::PeerId;

/// A machine that was found on the local network and is not paired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What it calls itself.
    pub(super) label: String,
    /// Where it says that it is.
    pub(super) addresses: Vec<PeerAddress>,
}

/// Machines that are not paired and are shown as found. Who floods the network hides others at most.
const MAX_DISCOVERED: usize = 64;
/// A paired peer is dialled at most this often for being found, or a flood would have every attempt begin anew.
const DIAL_PAUSE: Duration = Duration::from_secs(5);

impl Engine {
    /// Somebody says that this machine is on the local network.
    pub(super) async fn found(&mut self, id: PeerId, label: String, addresses: Vec<PeerAddress>) {
        if id == PeerId::from(self.endpoint.id()) {
            return;
        }
        if self.peers.contains_key(&id) {
            return self.found_peer(id, addresses);
        }
        let label = clip(label.trim()).trim().to_owned();
        let found = Found { label, addresses };
        let is_news = self.discovered.get(&id) != Some(&found);
        if is_news && (self.discovered.contains_key(&id) || self.discovered.len() < MAX_DISCOVERED) {
            debug!(P2PUSB_PEER = id.short(), "{} is on the local network", found.label);
            self.discovered.insert(id, found);
            self.publish_manager().await;
        }
    }

    /// A peer that is not connected is dialled there as well. Where it is remembered to be stays as it is: nothing is proven
    /// yet.
    fn found_peer(&mut self, id: PeerId, found: Vec<PeerAddress>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.connected.is_some() || peer.found.is_some_and(|found| found.elapsed() < DIAL_PAUSE) {
            return;
        }
        peer.found = Some(Instant::now());
        let known = peer.addresses();
        let new = found.into_iter().filter(|address| !known.contains(address));
        let all = new.chain(known.iter().cloned()).take(MAX_ADDRESSES).collect();
        peer.dial_at(all);
    }

    /// It is there no longer.
    pub(super) async fn lost(&mut self, id: PeerId) {
        if self.discovered.remove(&id).is_some() {
            self.publish_manager().await;
        }
    }

    /// The network is another one: all of them may be gone.
    pub(super) async fn nobody_found(&mut self) {
        if !std::mem::take(&mut self.discovered).is_empty() {
            self.publish_manager().await;
        }
    }

    /// Those that are not paired, with what they call themselves.
    pub(super) fn strangers(&self) -> Vec<(PeerId, String)> {
        let strangers = self.discovered.iter().filter(|(id, _)| !self.peers.contains_key(id));
        strangers.map(|(id, found)| (*id, found.label.clone())).collect()
    }
}
