//! Pairings with limits: peers that may use one share and no other, or for a time only.

use std::time::Duration;

use p2pusb_protocol::EndReason;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{Engine, EngineHandle, shares::Share, state::now_usec};
use crate::{
    error::{Error, Result},
    peer::{PeerId, Trust},
    store::ShareRecord,
};

/// The clock is looked at after this time at the latest: a timer stands still while the machine sleeps, and somebody may
/// set the clock.
pub(super) const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// What a pairing is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// The only share that the peer may use.
    pub(super) scope: Option<String>,
    /// When the pairing ends, in microseconds since the epoch; 0 for never.
    pub(super) until: u64,
}

/// Whether a moment has come; 0 never comes.
pub(super) fn is_over(until: u64) -> bool {
    until != 0 && until <= now_usec()
}

/// Tells the engine when a pairing is over.
pub(super) fn watch(peer: PeerId, until: u64, engine: EngineHandle) -> Option<AbortOnDropHandle<()>> {
    let wait = async move {
        while !is_over(until) {
            sleep(Duration::from_micros(until.saturating_sub(now_usec())).min(LOOK_AT_CLOCK)).await;
        }
        engine.access_over(peer).await;
    };
    (until != 0).then(|| AbortOnDropHandle::new(tokio::spawn(wait)))
}

impl Engine {
    /// Whether this is a peer that may use what is shared with it.
    pub(super) fn is_trusted(&self, id: PeerId) -> bool {
        self.peers.get(&id).is_some_and(|peer| peer.record.trust == Trust::Paired && !is_over(peer.record.until))
    }

    /// Whether a peer may claim this share.
    pub(super) fn may_use(&self, id: PeerId, share: &Share) -> bool {
        let scope = self.peers.get(&id).and_then(|peer| peer.record.scope.as_ref());
        self.is_trusted(id) && scope.is_none_or(|scope| *scope == share.record.id) && self.is_for(share, id)
    }

    /// A peer has been paired with limits, perhaps others than before.
    pub(super) async fn limits_changed(&mut self, id: PeerId) {
        let scope = self.peers.get(&id).and_then(|peer| peer.record.scope.clone());
        if let Some(scope) = scope
            && let Err(error) = self.name_in_share(id, &scope).await
        {
            warn!(P2PUSB_PEER = id.short(), P2PUSB_SHARE = scope, "the share does not name its guest: {error}");
        }
        for share in self.shares.values().filter(|share| share.claimed_by() == Some(id) && !self.may_use(id, share)) {
            share.stop(EndReason::ShareRevoked);
        }
        self.publish_offers();
    }

    /// A share that names its peers names this one, too. One for every paired peer stays so.
    async fn name_in_share(&mut self, id: PeerId, share: &str) -> Result<()> {
        let Some(share) = self.shares.get(share) else { return Ok(()) };
        let ShareRecord { id: share, peers, .. } = share.record.clone();
        let mut named: Vec<PeerId> = peers.iter().filter_map(|peer| peer.parse().ok()).collect();
        if peers.is_empty() || named.contains(&id) {
            return Ok(());
        }
        named.push(id);
        // One that was forgotten is not missed, but counts: an empty list would mean everybody.
        named.retain(|peer| self.peers.contains_key(peer));
        self.set_share_peers(&share, named).await
    }

    /// The time is over for which a peer was paired.
    pub(super) async fn access_over(&mut self, id: PeerId) {
        // It may have been paired again meanwhile, for longer.
        if !self.peers.get(&id).is_some_and(|peer| is_over(peer.record.until)) {
            return;
        }
        info!(P2PUSB_PEER = id.short(), "the time is over for which it was paired");
        match self.forget(id).await {
            Ok(()) | Err(Error::PeerUnknown(_)) => {}
            Err(error) => {
                self.publish_admission();
                warn!(P2PUSB_PEER = id.short(), "it is refused, but still in the list: {error}");
            }
        }
    }
}
