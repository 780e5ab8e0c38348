//! Attachments that are wanted: what nobody has ended is attached again when its peer offers it, after a restart of this
//! daemon as well.

use p2pusb_protocol::{ControlMessage, OfferedDevice, Speed};
use tracing::{info, warn};

use super::{
    Engine,
    attachments::{Attachment, MAX_ATTACHMENTS},
    handle::AttachWish,
    view::DeviceFacts,
};
use crate::{
    peer::PeerId,
    policy::{Follows, Unlike},
    store::{AttachmentRecord, StoreError},
};

impl Attachment {
    /// As it is kept.
    fn record(&self) -> AttachmentRecord {
        AttachmentRecord {
            endpoint_id: self.peer.to_string(),
            remote_id: self.remote_id.clone(),
            product: self.facts.name(),
            grace: self.grace,
            owner_uid: self.owner_uid,
            known: self.known.clone(),
            follow: self.follow.clone(),
        }
    }
}

impl Engine {
    /// Takes one that an earlier process had attached into the state: it waits for its peer.
    pub(super) fn load_attachment(&mut self, record: AttachmentRecord) -> Result<(), StoreError> {
        let known = record.endpoint_id.parse().ok().and_then(|id: PeerId| Some((id, self.peers.get(&id)?.label())));
        let Some((peer, label)) = known else {
            // The daemon ended between forgetting the peer and what was wanted of it.
            return self.store.remove_attachment(&record.endpoint_id, &record.remote_id);
        };
        if self.attachments.len() >= MAX_ATTACHMENTS {
            warn!(P2PUSB_PEER = peer.short(), "{} is one too many and not waited for", record.product);
            return Ok(());
        }
        // Its peer tells the rest.
        let facts = DeviceFacts {
            vendor_id: 0,
            product_id: 0,
            manufacturer: String::new(),
            product: record.product,
            class: 0,
            speed: Speed::Unknown,
            interfaces: Vec::new(),
        };
        let wish = AttachWish { grace: record.grace, keep: true, queue: true, follow: record.follow, pin: None };
        let attachment = Attachment::new(peer, record.remote_id, label.to_owned(), facts, wish, record.owner_uid);
        self.last_attachment += 1;
        self.attachments.insert(self.last_attachment, attachment.remembered(record.known));
        Ok(())
    }

    /// From now on it is wanted after a restart, too, or, where it is to be used once, not any longer.
    pub(super) async fn remember_attachment(&mut self, number: u32) {
        let Some(attachment) = self.attachments.get(&number) else { return };
        if !attachment.keep {
            return self.forget_attachment(attachment.peer, &attachment.remote_id).await;
        }
        let record = attachment.record();
        if let Err(error) = self.keep(move |store| store.save_attachment(&record)).await {
            warn!(P2PUSB_ATTACHMENT = number, "it will not be attached again after a restart: {error}");
        }
    }

    /// It is not wanted any longer.
    pub(super) async fn forget_attachment(&self, peer: PeerId, remote_id: &str) {
        let (endpoint_id, remote_id) = (peer.to_string(), remote_id.to_owned());
        if let Err(error) = self.keep(move |store| store.remove_attachment(&endpoint_id, &remote_id)).await {
            warn!(P2PUSB_PEER = peer.short(), "what was detached will be attached again after a restart: {error}");
        }
    }

    /// A peer offers a device. If it is wanted here, it is attached again.
    pub(super) async fn attach_again(&mut self, id: PeerId, remote_id: &str) {
        let Some(offered) = self.peers.get(&id).and_then(|peer| peer.offers.get(remote_id)) else { return };
        let available = offered.available;
        if self.is_stopping() {
            return;
        }
        let waiting = self
            .attachments
            .iter()
            .find(|(_, other)| other.waits() && other.peer == id && other.remote_id == remote_id);
        let Some((&number, attachment)) = waiting else { return };
        if let Err(unlike) = self.is_what_it_was(attachment, offered) {
            return self.wait_for_what_it_was(number, unlike).await;
        }
        if !available {
            // Somebody else has it. What is offered next may be for us.
            return self.tell_whether_we_wait(id, remote_id, true);
        }
        let name = format!("{} of {}", attachment.facts.name(), attachment.peer_label);
        info!(P2PUSB_ATTACHMENT = number, P2PUSB_PEER = id.short(), "{name} is there again");
        if let Err(error) = self.start(number, None) {
            // The link has broken again meanwhile; the next offer comes with the next one.
            info!(P2PUSB_ATTACHMENT = number, "{name} is not attached again yet: {error}");
        }
        self.publish_attachment(number).await;
    }

    /// Whether what is offered is the device that somebody has attached, or one as which it may come back.
    fn is_what_it_was(&self, attachment: &Attachment, offered: &OfferedDevice) -> Result<(), Unlike> {
        let OfferedDevice { vendor_id, product_id, interfaces, .. } = offered;
        let is_named = |follow: &Follows| follow.matches(*vendor_id, *product_id);
        if is_named(&attachment.follow) || is_named(&self.accept.follow) {
            return Ok(());
        }
        attachment.known.check(*vendor_id, *product_id, interfaces)
    }

    /// A peer offers another device in place of the one that is wanted. Nobody here has said that it may be that.
    async fn wait_for_what_it_was(&mut self, number: u32, unlike: Unlike) {
        let Some(attachment) = self.attachments.get_mut(&number) else { return };
        let (peer, remote_id) = (attachment.peer, attachment.remote_id.clone());
        let id = attachment.known.id;
        let why = format!(
            "{} was attached as {id}, and what {} offers in its place {unlike}; to use that, attach it by hand, with \
             --follow if it is to come by itself",
            attachment.facts.name(),
            attachment.peer_label
        );
        if attachment.waits_because(why.clone()) {
            warn!(P2PUSB_ATTACHMENT = number, P2PUSB_PEER = peer.short(), "{why}");
            self.publish_attachment(number).await;
        }
        // Nor is a place kept for what is not taken. Where it asks for a PIN, it does so again.
        self.tell_whether_we_wait(peer, &remote_id, false);
    }

    /// A device that was gone is offered again, perhaps as another one. A session that is about to end with the one before
    /// must not wait for the next offer.
    pub(super) fn offered_anew(&mut self, id: PeerId, remote_id: &str) {
        let same = |other: &&mut Attachment| other.peer == id && other.remote_id == remote_id;
        if let Some(attachment) = self.attachments.values_mut().find(same) {
            attachment.offered_anew = true;
        }
    }

    /// Tells a peer whether a device of its is waited for here, so that it keeps a place for us. It is told anew with each
    /// offer that is not for us. Where it is neither waited for nor attached any longer, the peer asks for its PIN the next
    /// time.
    pub(super) fn tell_whether_we_wait(&self, id: PeerId, remote_id: &str, waits: bool) {
        if let Some(link) = self.peers.get(&id).and_then(|peer| peer.connected.as_ref()) {
            link.hint(ControlMessage::Queue { id: remote_id.to_owned(), waits });
        }
    }

    /// Nobody waits for this peer's devices any longer: it is forgotten, or this daemon stops. The next one waits again.
    pub(super) async fn stop_waiting(&mut self, id: PeerId) {
        let of = |other: &Attachment| other.waits() && other.peer == id;
        let waiting = self.attachments.iter().filter(|(_, other)| of(other));
        let waiting: Vec<_> = waiting.map(|(number, other)| (*number, other.remote_id.clone())).collect();
        for (number, remote_id) in waiting {
            if !self.is_stopping() {
                self.forget_attachment(id, &remote_id).await;
            }
            self.remove_attachment(number).await;
        }
    }
}
