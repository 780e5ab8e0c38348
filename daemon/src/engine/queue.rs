//! Who waits for a device of this machine that another peer has; and an owner who takes it back for now.

use std::{collections::VecDeque, time::Duration};

use p2pusb_protocol::EndReason;
use tokio::time::sleep;
use tracing::info;

use super::Engine;
use crate::{
    error::{Error, Result},
    peer::PeerId,
    store::ShareRecord,
};

/// How long a peer whose turn it is may take to claim the device. Then it loses its place: it may be asleep.
const TURN: Duration = Duration::from_secs(10);

/// The peers that wait for a share, the first of them at the front. Each has one place, so there are no more than peers.
#[derive(Debug, Default)]
pub(super) struct Queue(VecDeque<PeerId>);

impl Queue {
    /// Gives a peer a place, behind all others; whoever has one keeps it. Whether it is a new one.
    pub(super) fn enter(&mut self, peer: PeerId) -> bool {
        let new = !self.0.contains(&peer);
        if new {
            self.0.push_back(peer);
        }
        new
    }

    /// Whether the peer had a place.
    pub(super) fn leave(&mut self, peer: PeerId) -> bool {
        let before = self.0.len();
        self.0.retain(|other| *other != peer);
        self.0.len() != before
    }

    /// Whose turn it is when the device is free.
    pub(super) fn first(&self) -> Option<PeerId> {
        self.0.front().copied()
    }

    /// All, in their order.
    pub(super) fn peers(&self) -> Vec<PeerId> {
        self.0.iter().copied().collect()
    }
}

impl Engine {
    /// A peer waits for a share, or does not any longer.
    pub(super) async fn wait_for_share(&mut self, peer: PeerId, id: &str, waits: bool) {
        if !waits {
            self.forget_shown(peer, id).await;
        }
        let may = self.shares.get(id).is_some_and(|share| self.may_use(peer, share) && share.admits(peer));
        let Some(share) = self.shares.get_mut(id) else { return };
        // One whose own claim is just ending may wait already.
        let changed = if waits && may { share.queue.enter(peer) } else { share.queue.leave(peer) };
        if changed {
            info!(
                P2PUSB_SHARE = id,
                P2PUSB_PEER = peer.short(),
                "{} for it",
                if waits { "waits" } else { "no longer waits" }
            );
            self.publish_share(id).await;
            self.next_turn(id);
        }
    }

    /// The device is free, or somebody else is the first who waits for it now.
    pub(super) fn next_turn(&self, id: &str) {
        self.publish_offers();
        let Some(share) = self.shares.get(id).filter(|share| share.is_free()) else { return };
        let Some(peer) = share.queue.first() else { return };
        let (handle, id) = (self.handle.clone(), id.to_owned());
        tokio::spawn(async move {
            sleep(TURN).await;
            handle.turn_over(id, peer).await;
        });
    }

    /// A peer has had its time to claim a share.
    pub(super) async fn turn_over(&mut self, id: &str, peer: PeerId) {
        let Some(share) = self.shares.get_mut(id) else { return };
        if share.is_free() && share.queue.first() == Some(peer) {
            info!(P2PUSB_SHARE = id, P2PUSB_PEER = peer.short(), "did not take it in its turn");
            share.queue.leave(peer);
            self.publish_share(id).await;
            self.next_turn(id);
        }
    }

    /// Nobody waits here any longer.
    pub(super) async fn leave_queues(&mut self, peer: PeerId) {
        for id in self.shares.keys().cloned().collect::<Vec<_>>() {
            self.wait_for_share(peer, &id, false).await;
        }
    }

    /// The owner takes a device back for now, or gives it again.
    pub(super) async fn set_share_paused(&mut self, id: &str, paused: bool) -> Result<()> {
        let share = self.shares.get(id).ok_or_else(|| Error::NotShared(id.to_owned()))?;
        let record = ShareRecord { paused, ..share.record.clone() };
        if share.origin.is_derived() {
            let mut all = self.paused.clone();
            if paused {
                all.insert(id.to_owned())
            } else {
                all.remove(id)
            };
            let kept = all.clone();
            self.keep(move |store| store.save_paused(&kept)).await?;
            self.paused = all;
        } else {
            let record = record.clone();
            self.keep(move |store| store.save_share(&record)).await?;
        }
        if let Some(share) = self.shares.get_mut(id) {
            share.record = record;
            if paused {
                share.stop(EndReason::TakenBack);
            }
        }
        info!(P2PUSB_SHARE = id, "{}", if paused { "taken back for now" } else { "given again" });
        self.publish_share(id).await;
        self.next_turn(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_one_place_and_keeps_it() {
        let [a, b, c] = [1, 2, 3].map(|seed| PeerId::from(iroh::SecretKey::from_bytes(&[seed; 32]).public()));
        let mut queue = Queue::default();
        assert_eq!([a, b, a, c].map(|peer| queue.enter(peer)), [true, true, false, true]);
        assert_eq!((queue.first(), queue.peers()), (Some(a), vec![a, b, c]));
        assert!(queue.leave(a) && !queue.leave(a));
        queue.enter(a);
        assert_eq!(queue.peers(), [b, c, a]);
    }
}
