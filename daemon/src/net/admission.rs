//! Who may connect: the paired peers, and nobody else.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::watch;

use crate::peer::{PeerId, Trust};

/// What a blocked machine is told, in the words of those who read it there. It is no secret: the silence would tell it as well,
/// after a while.
pub(crate) const BLOCKED: &str = "it has blocked this machine";

/// How a machine is met at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may come in.
    Paired,
    /// It is sent away, with a ticket as without one.
    Blocked,
    /// It may show a ticket.
    Stranger,
}

/// The list of peers as the accept loop sees it. Empty means nobody.
#[derive(Debug, Clone)]
pub struct Admission {
    peers: Arc<watch::Sender<HashMap<PeerId, Trust>>>,
}

impl Default for Admission {
    fn default() -> Self {
        Self { peers: Arc::new(watch::Sender::new(HashMap::new())) }
    }
}

fn standing(peers: &HashMap<PeerId, Trust>, peer: PeerId) -> Standing {
    match peers.get(&peer) {
        Some(Trust::Paired) => Standing::Paired,
        Some(Trust::Blocked) => Standing::Blocked,
        None => Standing::Stranger,
    }
}

impl Admission {
    /// How this machine is met now.
    pub(crate) fn standing(&self, peer: PeerId) -> Standing {
        standing(&self.peers.borrow(), peer)
    }

    /// Waits until this peer may not come in any longer; what it is then.
    pub(crate) async fn dismissed(&self, peer: PeerId) -> Standing {
        let mut peers = self.peers.subscribe();
        // An error means that the sender is gone, which we hold ourselves.
        match peers.wait_for(|peers| standing(peers, peer) != Standing::Paired).await {
            Ok(peers) => standing(&peers, peer),
            Err(_) => Standing::Stranger,
        }
    }

    /// Replaces the list. Only the engine does.
    pub(crate) fn set(&self, peers: impl IntoIterator<Item = (PeerId, Trust)>) {
        self.peers.send_replace(peers.into_iter().collect());
    }
}
