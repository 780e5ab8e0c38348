//! PINs: a share may ask for one, beside naming its peers. Whether one is right is found out elsewhere, because that takes
//! time; here is who has shown the right one, and who may try.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use p2pusb_protocol::Refusal;
use tracing::{info, warn};

use super::Engine;
use crate::{
    error::{Error, Result},
    peer::PeerId,
    pin::{PinHash, Tries},
    store::{PinRecord, ShareRecord, StoreError},
};

/// A refusal, with more about it for people.
type Refused = (Refusal, String);

/// The PIN that a share asks for.
#[derive(Debug)]
pub(super) struct PinLock {
    /// What is kept of it; `None` where that was lost, and nobody has the right one until another one is set.
    hash: Option<PinHash>,
    /// The peers that have shown it and are not asked again.
    shown: BTreeSet<PeerId>,
    /// The peers that have tried since they were right last. Only paired ones may, so there are no more than peers.
    tries: BTreeMap<PeerId, Tries>,
}

impl PinLock {
    /// A new PIN, which nobody has shown.
    pub(super) fn new(hash: PinHash) -> Self {
        Self { hash: Some(hash), shown: BTreeSet::new(), tries: BTreeMap::new() }
    }

    /// As it is kept. A share that asks for a PIN goes on to, although the PIN is not there.
    fn kept(record: Option<PinRecord>) -> Self {
        let (hash, shown) = record.map_or((None, Vec::new()), |record| (Some(record.hash), record.shown));
        Self { hash, shown: shown.iter().filter_map(|peer| peer.parse().ok()).collect(), tries: BTreeMap::new() }
    }

    /// The same to be kept.
    pub(super) fn record(&self, share: &str) -> Option<PinRecord> {
        let shown = self.shown.iter().map(PeerId::to_string).collect();
        Some(PinRecord { share: share.to_owned(), hash: self.hash.clone()?, shown })
    }

    /// Whether a peer has shown the PIN, and if not, what it is told.
    pub(super) fn admit(&self, peer: PeerId, now: Instant) -> Result<(), Refused> {
        if self.shown.contains(&peer) {
            return Ok(());
        }
        let locked = self.tries.get(&peer).and_then(|tries| tries.locked(now));
        Err(match (&self.hash, locked) {
            (None, _) => {
                (Refusal::PinLocked, "the PIN was lost there, and its owner has to set another one".to_owned())
            }
            (_, Some(left)) => locked_for(left),
            (_, None) => (Refusal::PinRequired, "it asks for a PIN".to_owned()),
        })
    }

    /// A peer shows a PIN: what to hold it against, where it has to be looked at.
    fn begin(&mut self, peer: PeerId, now: Instant) -> Result<Option<PinHash>, Refused> {
        match &self.hash {
            Some(hash) if !self.shown.contains(&peer) => {
                self.tries.entry(peer).or_default().begin(now).map_err(locked_for)?;
                Ok(Some(hash.clone()))
            }
            _ => Ok(None),
        }
    }

    /// It was looked at.
    fn tried(&mut self, peer: PeerId, against: &PinHash, is_right: bool, now: Instant) -> Result<(), Refused> {
        if self.hash.as_ref() != Some(against) {
            return Err((Refusal::PinWrong, "another one was set just now".to_owned()));
        }
        if is_right {
            self.tries.remove(&peer);
            self.shown.insert(peer);
            return Ok(());
        }
        let tries = self.tries.entry(peer).or_default();
        tries.was_wrong(now);
        let detail = match (tries.locked(now), tries.left()) {
            (Some(left), _) => format!("the next one is looked at in {}", words(left)),
            (None, 1) => "1 try is left before a pause".to_owned(),
            (None, left) => format!("{left} tries are left before a pause"),
        };
        Err((Refusal::PinWrong, detail))
    }
}

fn locked_for(left: Duration) -> Refused {
    (Refusal::PinLocked, format!("there were too many wrong ones, and the next one is looked at in {}", words(left)))
}

/// A length of time, rounded up: whoever tries then is not too early.
fn words(left: Duration) -> String {
    match left.as_millis().div_ceil(1000) {
        1 => "1 second".to_owned(),
        seconds @ ..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

impl Engine {
    /// Takes the PINs into the state that are kept. What is left of a share that is gone, or asks for none, is removed.
    pub(super) fn load_pins(&mut self) -> Result<(), StoreError> {
        let mut kept: BTreeMap<String, PinRecord> =
            self.store.pins()?.into_iter().map(|record| (record.share.clone(), record)).collect();
        for share in self.shares.values_mut().filter(|share| share.record.pin) {
            share.pin = Some(PinLock::kept(kept.remove(&share.record.id)));
        }
        kept.keys().try_for_each(|share| self.store.remove_pin(share))
    }

    /// Has a share ask for a PIN from now on, or for another one. Whoever has the device keeps it.
    pub(super) async fn set_pin(&mut self, id: &str, hash: PinHash) -> Result<()> {
        let record = ShareRecord { pin: true, ..self.by_hand(id)?.record.clone() };
        let lock = PinLock::new(hash);
        self.keep({
            let (record, pin) = (record.clone(), lock.record(id));
            // In this order: a share that says so without a PIN could be used by nobody.
            move |store| pin.iter().try_for_each(|pin| store.save_pin(pin)).and_then(|()| store.save_share(&record))
        })
        .await?;
        self.pin_is(id, record, Some(lock)).await;
        info!(P2PUSB_SHARE = id, "asks for a PIN from now on");
        Ok(())
    }

    /// Has a share ask for no PIN any longer.
    pub(super) async fn clear_pin(&mut self, id: &str) -> Result<()> {
        let record = ShareRecord { pin: false, ..self.by_hand(id)?.record.clone() };
        self.keep({
            let record = record.clone();
            move |store| store.save_share(&record).and_then(|()| store.remove_pin(&record.id))
        })
        .await?;
        self.pin_is(id, record, None).await;
        info!(P2PUSB_SHARE = id, "asks for no PIN any longer");
        Ok(())
    }

    async fn pin_is(&mut self, id: &str, record: ShareRecord, lock: Option<PinLock>) {
        let Some(share) = self.shares.get_mut(id) else { return };
        (share.record, share.pin) = (record, lock);
        // Who waits has not shown this one, and would have nothing from its turn.
        if share.pin.is_some() {
            share.queue = Default::default();
        }
        self.publish_share(id).await;
        self.next_turn(id);
    }

    /// A peer shows a PIN before it claims a share. Answers what to hold it against, where it has to be looked at; an error
    /// says that it is not.
    pub(super) fn pin_shown(&mut self, peer: PeerId, id: &str) -> Result<Option<PinHash>, Refused> {
        // Whoever may not have it hears that from the claim, and nothing from here.
        let may = self.shares.get(id).is_some_and(|share| self.may_use(peer, share));
        let Some(lock) = self.shares.get_mut(id).filter(|_| may).and_then(|share| share.pin.as_mut()) else {
            return Ok(None);
        };
        let begun = lock.begin(peer, Instant::now());
        if begun.is_err() {
            info!(
                P2PUSB_SHARE = id,
                P2PUSB_PEER = peer.short(),
                "a PIN was not looked at: there were too many wrong ones"
            );
        }
        begun
    }

    /// The PIN that a peer has shown was held against this.
    pub(super) async fn pin_tried(
        &mut self,
        peer: PeerId,
        id: &str,
        against: PinHash,
        is_right: bool,
    ) -> Result<(), Refused> {
        let may = self.shares.get(id).is_some_and(|share| self.may_use(peer, share));
        let Some(lock) = self.shares.get_mut(id).filter(|_| may).and_then(|share| share.pin.as_mut()) else {
            return Ok(());
        };
        let tried = lock.tried(peer, &against, is_right, Instant::now());
        match &tried {
            Ok(()) => {
                info!(P2PUSB_SHARE = id, P2PUSB_PEER = peer.short(), "has shown the PIN");
                self.keep_shown(id).await;
            }
            Err((_, detail)) => {
                warn!(P2PUSB_SHARE = id, P2PUSB_PEER = peer.short(), "has shown a wrong PIN: {detail}");
            }
        }
        tried
    }

    /// A peer is done with a share: it is asked for the PIN the next time.
    pub(super) async fn forget_shown(&mut self, peer: PeerId, id: &str) {
        let lock = self.shares.get_mut(id).and_then(|share| share.pin.as_mut());
        if lock.is_some_and(|lock| lock.shown.remove(&peer)) {
            self.keep_shown(id).await;
        }
    }

    /// A peer is forgotten, and so is what it has tried.
    pub(super) fn forget_tries(&mut self, peer: PeerId) {
        for lock in self.shares.values_mut().filter_map(|share| share.pin.as_mut()) {
            lock.tries.remove(&peer);
        }
    }

    async fn keep_shown(&self, id: &str) {
        let Some(record) = self.shares.get(id).and_then(|share| share.pin.as_ref()?.record(id)) else { return };
        if let Err(error) = self.keep(move |store| store.save_pin(&record)).await {
            warn!(P2PUSB_SHARE = id, "who has shown the PIN is not remembered: {error}");
        }
    }
}

/// What a peer is told whose PIN could not be looked at.
pub(super) fn not_looked_at(error: &Error) -> Refused {
    match error {
        Error::LimitReached { .. } => (Refusal::Busy, "too many PINs are being looked at there; try again".to_owned()),
        _ => (Refusal::Failed, "the PIN could not be looked at there".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up() {
        let told = [1, 1000, 1001, 59_000, 119_001, 121_000, 3_600_000].map(|ms| words(Duration::from_millis(ms)));
        assert_eq!(told, ["1 second", "1 second", "2 seconds", "59 seconds", "2 minutes", "3 minutes", "60 minutes"]);
    }
}
