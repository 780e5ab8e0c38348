//! Who may connect: the paired peers, and nobody else.

use std::{collections::HashSet, sync::Arc};

use tokio::sync::watch;

use crate::peer::PeerId;

/// The list of paired peers as the accept loop sees it. Empty means nobody.
#[derive(Debug, Clone)]
pub struct Admission {
    paired: Arc<watch::Sender<HashSet<PeerId>>>,
}

impl Default for Admission {
    fn default() -> Self {
        Self { paired: Arc::new(watch::Sender::new(HashSet::new())) }
    }
}

impl Admission {
    /// Whether this peer is paired.
    pub fn admits(&self, peer: PeerId) -> bool {
        self.paired.borrow().contains(&peer)
    }

    /// Waits until this peer is paired no longer.
    pub(crate) async fn removed(&self, peer: PeerId) {
        // An error means that the sender is gone, which we hold ourselves.
        let _ = self.paired.subscribe().wait_for(|paired| !paired.contains(&peer)).await;
    }

    /// Replaces the list. Only the engine does.
    pub(crate) fn set(&self, peers: impl IntoIterator<Item = PeerId>) {
        self.paired.send_replace(peers.into_iter().collect());
    }
}
