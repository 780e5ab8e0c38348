//! Shares and claims: which device is offered to whom, and who has it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use p2pusb_protocol::{EndReason, MAX_OFFERED_DEVICES, Refusal, clip};
use tokio::sync::watch;
use tracing::info;

use super::{
    Engine,
    command::Reply,
    derived::Origin,
    handle::{Ask, Claimed, Consent, Grant, Offer, Offers, ShareWish},
    peers::Peer,
    pins::PinLock,
    queue::Queue,
    state::{now_usec, until_usec},
    terms::Due,
    view::{DeviceFacts, Object, ObjectId, ShareView},
};
use crate::{
    config::Grace,
    counters::Counters,
    error::{Error, Result},
    peer::PeerId,
    people::Question,
    policy::{Bandwidth, PeerNames},
    share::{Limit, Pace},
    stop::Stop,
    store::ShareRecord,
    usb::{self, BusPath, DeviceInfo},
};

/// A share.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) record: ShareRecord,
    /// Where it comes from.
    pub(super) origin: Origin,
    /// The peers as a rule names them, where one does; then `peers` says nothing.
    pub(super) names: Option<PeerNames>,
    /// Empty means every paired peer. A forgotten peer stays in the list, or forgetting the only one would
    /// open the share to all.
    peers: Vec<PeerId>,
    /// How long a claim outlives its connection. The claim watches it.
    grace: watch::Sender<Grace>,
    /// How fast it may be used.
    pub(super) limit: Arc<Limit>,
    /// Its own device as it was seen last, where it is followed: what rules are asked about while it is gone.
    pub(super) last: Option<DeviceInfo>,
    /// Who waits for it.
    pub(super) queue: Queue,
    /// The PIN that it asks for.
    pub(super) pin: Option<PinLock>,
    pub(super) claim: Option<Claim>,
    /// Whether this is an hour in which it may be claimed.
    pub(super) is_open: bool,
    /// When the clock says something new about it, in microseconds since the epoch.
    pub(super) next_look: Option<u64>,
    /// It is offered no longer, and ends with its claim.
    pub(super) ending: bool,
    /// These want to know when it has ended.
    revoked: Vec<Reply<()>>,
}

#[derive(Debug)]
pub(super) struct Claim {
    peer: PeerId,
    device: BusPath,
    /// Whether that is one that stands in for the share's own.
    is_stand_in: bool,
    /// In microseconds since the epoch.
    pub(super) begun: u64,
    pub(super) stop: Stop,
    /// Its end, once that is near. The claim tells its peer.
    pub(super) due: watch::Sender<Option<Due>>,
    /// Its connection is lost, and waited for until then, in microseconds since the epoch.
    lost_until: Option<u64>,
    counters: Arc<Counters>,
}

impl Share {
    /// A share as it is kept; `grace` is what the settings say.
    pub(super) fn new(record: ShareRecord, grace: Grace) -> Self {
        let peers = record.peers.iter().filter_map(|peer| peer.parse().ok()).collect();
        let grace = watch::Sender::new(record.grace.unwrap_or(grace));
        let origin = Origin::Person;
        Self {
            limit: Limit::new(record.terms.bandwidth),
            record,
            origin,
            names: None,
            peers,
            grace,
            claim: None,
            last: None,
            pin: None,
            queue: Queue::default(),
            is_open: true,
            next_look: None,
            ending: false,
            revoked: Vec::new(),
        }
    }

    /// The same, as it follows from something.
    pub(super) fn derived(self, origin: Origin, names: Option<PeerNames>) -> Self {
        Self { origin, names, ..self }
    }

    /// The settings say something else now; a share with a grace time of its own does not care.
    pub(super) fn follow_settings(&self, grace: Grace) {
        if self.record.grace.is_none() {
            self.grace.send_replace(grace);
        }
    }

    /// Has somebody claim it.
    #[cfg(test)]
    pub(super) fn claim_for_test(&mut self, peer: PeerId, begun: u64, stop: Stop) {
        let device = "1-1".parse().expect("a bus path");
        let due = watch::Sender::new(None);
        let counters = Arc::default();
        self.claim = Some(Claim { peer, device, is_stand_in: false, begun, stop, due, lost_until: None, counters });
    }

    pub(super) fn is_claimed(&self) -> bool {
        self.claim.is_some()
    }

    /// Whether it could be claimed now.
    pub(super) fn is_free(&self) -> bool {
        self.claim.is_none() && self.is_open && !self.record.paused && !self.ending
    }

    /// The device that a peer has claimed.
    pub(super) fn claimed_device(&self) -> Option<&BusPath> {
        self.claim.as_ref().map(|claim| &claim.device)
    }

    /// The same, where it stands in for another one.
    pub(super) fn claimed_stand_in(&self) -> Option<&BusPath> {
        self.claim.as_ref().filter(|claim| claim.is_stand_in).map(|claim| &claim.device)
    }

    pub(super) fn claimed_by(&self) -> Option<PeerId> {
        self.claim.as_ref().map(|claim| claim.peer)
    }

    /// Whether a peer need not show a PIN.
    pub(super) fn admits(&self, peer: PeerId) -> bool {
        self.pin.as_ref().is_none_or(|pin| pin.admit(peer, Instant::now()).is_ok())
    }

    /// Ends the claim, if there is one.
    pub(super) fn stop(&self, reason: EndReason) {
        if let Some(claim) = &self.claim {
            claim.stop.stop(reason);
        }
    }
}

impl Engine {
    /// Who may claim a share: `None` means every paired peer.
    fn audience(&self, share: &Share) -> Option<Vec<PeerId>> {
        match &share.names {
            Some(names) => {
                // Whoever was invited to use this device and no other is named by that.
                let is_guest = |peer: &Peer| peer.record.scope.as_ref() == Some(&share.record.id);
                let is_named = |(id, peer): &(&PeerId, &Peer)| names.name(**id, peer.label()) || is_guest(peer);
                let named = self.peers.iter().filter(is_named);
                Some(named.map(|(id, _)| *id).collect())
            }
            // Asked of the record: a list of names that can't be read is not an empty list.
            None if share.record.peers.is_empty() => None,
            None => Some(share.peers.clone()),
        }
    }

    pub(super) fn is_for(&self, share: &Share, peer: PeerId) -> bool {
        !share.ending && self.audience(share).is_none_or(|peers| peers.contains(&peer))
    }

    /// Ends a share's claim where its peer may not claim it any longer.
    pub(super) fn stop_stranger(&self, id: &str) {
        let Some(share) = self.shares.get(id) else { return };
        if share.claimed_by().is_some_and(|peer| !self.may_use(peer, share)) {
            share.stop(EndReason::ShareRevoked);
        }
    }

    /// A share that may be changed by hand.
    pub(super) fn by_hand(&self, id: &str) -> Result<&Share> {
        let share = self.shares.get(id).ok_or_else(|| Error::NotShared(id.to_owned()))?;
        if share.origin.is_derived() { Err(self.not_by_hand(share)) } else { Ok(share) }
    }

    pub(super) async fn share_device(&mut self, device: BusPath, wish: ShareWish, uid: u32) -> Result<String> {
        self.refuse_while_stopping()?;
        let ShareWish { peers, force, grace, terms, follows, pin } = wish;
        let info = self.devices.get(&device).ok_or_else(|| Error::DeviceGone(device.to_string()))?;
        let name = format!("{} ({device})", DeviceFacts::from(info).name());
        if let Some((_, reason)) = self.exclusion(info) {
            return Err(Error::DeviceExcluded { device: name, reason: reason.into_owned() });
        }
        let stable_id = self.identity(info);
        let its = |share: &&Share| share.record.stable_id == stable_id;
        match self.shares.values().find(its).or_else(|| self.share_of(info)) {
            Some(share) if share.origin.is_derived() => return Err(self.not_by_hand(share)),
            Some(_) => return Err(Error::AlreadyShared(name)),
            None => {}
        }
        if self.shares.len() >= MAX_OFFERED_DEVICES {
            return Err(Error::LimitReached { limit: MAX_OFFERED_DEVICES, what: "shares" });
        }
        let uses = usb::dependence(info);
        if !uses.is_empty() && !force {
            return Err(Error::DeviceSensitive { device: name, reasons: uses.join(", and ") });
        }
        self.known(&peers)?;
        let mut id = [0; 4];
        getrandom::fill(&mut id).map_err(|error| Error::failed("the kernel gives no random bytes", error))?;
        let record = ShareRecord {
            id: data_encoding::HEXLOWER.encode(&id),
            stable_id,
            product: DeviceFacts::from(info).name(),
            peers: peers.iter().map(PeerId::to_string).collect(),
            force,
            grace,
            terms,
            owner_uid: uid,
            paused: false,
            port: (!follows.is_empty()).then(|| device.clone()),
            follows,
            pin: pin.is_some(),
        };
        let pin = pin.map(PinLock::new);
        self.keep({
            let (record, pin) = (record.clone(), pin.as_ref().and_then(|pin| pin.record(&record.id)));
            move |store| pin.iter().try_for_each(|pin| store.save_pin(pin)).and_then(|()| store.save_share(&record))
        })
        .await?;
        let id = record.id.clone();
        info!(P2PUSB_DEVICE = %device, P2PUSB_SHARE = id, "shared by uid {uid}");
        self.shares.insert(id.clone(), Share { pin, ..Share::new(record, self.grace) });
        self.look_at(&id);
        self.publish_share(&id).await;
        self.publish_offers();
        Ok(id)
    }

    fn known(&self, peers: &[PeerId]) -> Result<()> {
        match peers.iter().find(|peer| !self.peers.contains_key(peer)) {
            Some(stranger) => Err(Error::PeerUnknown(stranger.short())),
            None => Ok(()),
        }
    }

    /// Keeps a share's record, and goes by it from then on. Answers the share, to bring in line what follows from it.
    async fn keep_share(&mut self, record: ShareRecord) -> Result<Option<&mut Share>> {
        self.keep({
            let record = record.clone();
            move |store| store.save_share(&record)
        })
        .await?;
        let mut share = self.shares.get_mut(&record.id);
        if let Some(share) = &mut share {
            share.record = record;
        }
        Ok(share)
    }

    pub(super) async fn set_share_peers(&mut self, id: &str, peers: Vec<PeerId>) -> Result<()> {
        self.known(&peers)?;
        let mut record = self.by_hand(id)?.record.clone();
        record.peers = peers.iter().map(PeerId::to_string).collect();
        if let Some(share) = self.keep_share(record).await? {
            share.peers = peers;
        }
        self.stop_stranger(id);
        self.publish_share(id).await;
        self.publish_offers();
        Ok(())
    }

    pub(super) async fn set_share_grace(&mut self, id: &str, grace: Grace) -> Result<()> {
        let share = self.by_hand(id)?;
        let record = ShareRecord { grace: Some(grace), ..share.record.clone() };
        if let Some(share) = self.keep_share(record).await? {
            share.grace.send_replace(grace);
        }
        self.publish_share(id).await;
        Ok(())
    }

    pub(super) async fn set_share_bandwidth(&mut self, id: &str, bandwidth: Option<Bandwidth>) -> Result<()> {
        let mut record = self.by_hand(id)?.record.clone();
        record.terms.bandwidth = bandwidth;
        if let Some(share) = self.keep_share(record).await? {
            share.limit.set(bandwidth);
        }
        self.publish_share(id).await;
        Ok(())
    }

    pub(super) async fn revoke(&mut self, id: String, reply: Reply<()>) {
        if let Err(error) = self.by_hand(&id) {
            // The caller may be gone; then nobody needs to know.
            let _ = reply.send(Err(error));
            return;
        }
        let Some(share) = self.shares.get_mut(&id) else { return };
        share.stop(EndReason::ShareRevoked);
        share.ending = true;
        share.revoked.push(reply);
        self.publish_offers();
        if self.shares.get(&id).is_some_and(|share| !share.is_claimed()) {
            self.remove_share(&id).await;
            self.derive_shares().await;
        }
    }

    pub(super) async fn remove_share(&mut self, id: &str) {
        let Some(share) = self.shares.get(id) else { return };
        let kept = if share.origin.is_derived() {
            Ok(())
        } else {
            let id = id.to_owned();
            self.keep(move |store| store.remove_share(&id).and_then(|()| store.remove_pin(&id))).await
        };
        let Some(share) = self.shares.get_mut(id) else { return };
        let replies = std::mem::take(&mut share.revoked);
        if let Err(error) = kept {
            share.ending = share.record.terms.expires.is_some_and(|at| at <= now_usec());
            // It would be back after a restart: then it has not ended.
            let error = error.to_string();
            for reply in replies {
                let _ = reply.send(Err(Error::failed("the share can't be removed", error.clone())));
            }
            self.publish_offers();
            return;
        }
        let device = self.shares.get(id).and_then(|share| self.bus_path_of(share));
        self.shares.remove(id);
        info!(P2PUSB_SHARE = id, "no longer shared");
        self.hide(ObjectId::Share(id.to_owned())).await;
        self.publish_offers();
        if let Some(device) = device {
            self.publish_device(&device).await;
        }
        for reply in replies {
            let _ = reply.send(Ok(()));
        }
    }

    fn bus_path_of(&self, share: &Share) -> Option<BusPath> {
        self.device_of(share).map(|info| info.bus_path.clone())
    }

    pub(super) async fn claim(
        &mut self,
        peer: PeerId,
        id: &str,
        stop: Stop,
        consent: Consent,
    ) -> Result<Claimed, (Refusal, String)> {
        let no = |reason: Refusal, detail: &str| Err((reason, detail.to_owned()));
        if self.refuse_while_stopping().is_err() {
            return no(Refusal::Failed, "p2pusbd stops there");
        }
        self.catch_up().await;
        let share = match self.shares.get(id) {
            Some(share) if self.may_use(peer, share) => share,
            _ => return no(Refusal::NotShared, "the device is not shared with this peer"),
        };
        // Before what changes by itself: whoever has shown it need not show it again when the device is free.
        if let Some(pin) = &share.pin {
            pin.admit(peer, Instant::now())?;
        }
        if share.is_claimed() {
            return no(Refusal::Busy, "it is in use by another peer, and free again when that peer detaches it");
        }
        if share.record.paused {
            return no(Refusal::Busy, "its owner has taken it back for now");
        }
        if share.queue.first().is_some_and(|first| first != peer) {
            return no(Refusal::Busy, "others wait for it");
        }
        if !share.is_open {
            return no(
                Refusal::Busy,
                &clip(&format!("it is lent at certain hours only: {}", share.record.terms.windows)),
            );
        }
        let Some(info) = self.device_of(share).cloned() else {
            return no(Refusal::Gone, "the device is not plugged in");
        };
        if self.shares.values().any(|other| other.claimed_device() == Some(&info.bus_path)) {
            return no(Refusal::Busy, "it is in use there already, by way of another share");
        }
        // Asked again: it may have been mounted since it was shared.
        let uses = if share.record.force { Vec::new() } else { usb::dependence(&info) };
        if !uses.is_empty() {
            return no(Refusal::Busy, &clip(&format!("its machine depends on it: {}", uses.join(", and "))));
        }
        if share.record.terms.ask && consent == Consent::NotAsked {
            let question = Question::Claim {
                peer,
                label: self.peers.get(&peer).map_or_else(|| peer.short(), |peer| peer.label().to_owned()),
                share: id.to_owned(),
                product: DeviceFacts::from(&info).name(),
                owner_uid: share.record.owner_uid,
            };
            return Ok(Claimed::Ask(Ask { question, people: self.people.clone() }));
        }
        let grace = share.grace.subscribe();
        let is_stand_in = self.identity(&info) != share.record.stable_id;
        let (due, is_due) = watch::channel(None);
        let counters = Arc::<Counters>::default();
        let peers = self.peers.get(&peer).map_or_else(|| Limit::new(None), |peer| peer.limit.clone());
        let pace = Pace([share.limit.clone(), peers]);
        if let Some(share) = self.shares.get_mut(id) {
            share.queue.leave(peer);
            let device = info.bus_path.clone();
            let (begun, counters) = (now_usec(), counters.clone());
            share.claim = Some(Claim { peer, device, is_stand_in, begun, stop, due, lost_until: None, counters });
        }
        self.look_at(id);
        self.publish_share(id).await;
        self.publish_offers();
        let (share, runtime) = (id.to_owned(), self.runtime.clone());
        let grant = Grant { share, info, grace, due: is_due, runtime, counters, pace };
        Ok(Claimed::Granted(Box::new(grant)))
    }

    /// A claim's connection is lost, and waited for for so long; or it is there again.
    pub(super) async fn claim_paused(&mut self, id: &str, wait: Option<Duration>) {
        let Some(claim) = self.shares.get_mut(id).and_then(|share| share.claim.as_mut()) else { return };
        claim.lost_until = wait.map(until_usec);
        claim.counters.set_lost(wait.is_some());
        self.publish_share(id).await;
    }

    pub(super) async fn claim_ended(&mut self, id: &str, reason: EndReason) {
        let Some(share) = self.shares.get_mut(id) else { return };
        let Some(claim) = share.claim.take() else { return };
        info!(P2PUSB_SHARE = id, P2PUSB_DEVICE = %claim.device, P2PUSB_PEER = claim.peer.short(), "the claim has ended: {reason}");
        share.ending |= share.record.terms.once;
        if share.ending {
            self.remove_share(id).await;
        } else {
            self.look_at(id);
            self.publish_share(id).await;
        }
        self.derive_shares().await;
        self.next_turn(id);
    }

    pub(super) async fn publish_share(&self, id: &str) {
        let Some(share) = self.shares.get(id) else { return };
        let device = self.bus_path_of(share);
        let view = ShareView {
            id: id.to_owned(),
            state: match (&share.claim, &device) {
                (Some(claim), _) if claim.lost_until.is_some() => "reconnecting",
                (Some(_), _) => "in-use",
                (None, _) if share.record.paused => "paused",
                (None, Some(_)) if !share.is_open => "closed",
                (None, Some(_)) => "available",
                (None, None) => "waiting",
            },
            stable_id: share.record.stable_id.clone(),
            product: share.record.product.clone(),
            peers: self.audience(share).unwrap_or_default(),
            terms: Arc::new(share.record.terms.clone()),
            follows: share.record.follows.clone(),
            names: share.names.clone().unwrap_or_default(),
            origin: share.origin.as_str(),
            claimed_by: share.claimed_by(),
            queue: share.queue.peers(),
            grace: *share.grace.borrow(),
            lost_until: share.claim.as_ref().and_then(|claim| claim.lost_until).unwrap_or(0),
            owner_uid: share.record.owner_uid,
            counters: share.claim.as_ref().map(|claim| claim.counters.clone()).unwrap_or_default(),
            pin_protected: share.pin.is_some(),
            device: device.clone(),
        };
        self.show(Object::Share(view)).await;
        if let Some(device) = device {
            self.publish_device(&device).await;
        }
    }

    /// Says anew what is offered; links tell their peers what has changed of it.
    pub(super) fn publish_offers(&self) {
        let offers = self.shares.values().filter(|share| !share.ending).filter_map(|share| {
            let info = self.device_of(share)?;
            let device = DeviceFacts::from(info).offered(share.record.id.clone(), share.is_free());
            Some(Offer { device, audience: self.audience(share), turn: share.queue.first() })
        });
        let scopes = self.peers.iter().filter_map(|(id, peer)| Some((*id, peer.record.scope.clone()?)));
        self.set_offers(Offers { all: Arc::new(offers.collect()), scopes: Arc::new(scopes.collect()) });
    }
}
