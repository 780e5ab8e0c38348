//! Attachments: peers' devices in use here.

use std::{io::ErrorKind, path::PathBuf, sync::Arc, time::Duration};

use p2pusb_dbus::names::RECENTLY_ENDED_MAX;
use p2pusb_protocol::{EndReason, Pin, SessionId};
use tokio::{sync::Notify, task::spawn_blocking};
use tracing::{debug, info, warn};

use super::{
    Engine,
    command::Reply,
    handle::AttachWish,
    state::{now_usec, until_usec},
    view::{AttachmentView, DeviceFacts, EndedView, Object, ObjectId, RemoteDeviceView},
};
use crate::{
    attach::{self, Place},
    config::Grace,
    counters::Counters,
    error::{Error, Result},
    peer::PeerId,
    policy::{Follows, Known},
    stop::Stop,
    usb::BusPath,
};

/// Attachments at a time: Debian's kernel has 240 vhci ports.
pub(super) const MAX_ATTACHMENTS: usize = 256;

/// A peer's device in use here.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) peer: PeerId,
    pub(super) remote_id: String,
    pub(super) peer_label: String,
    pub(super) facts: DeviceFacts,
    /// What it was offered as when somebody attached it.
    pub(super) known: Known,
    /// Under which other ids it is attached again.
    pub(super) follow: Follows,
    state: &'static str,
    last_error: String,
    place: Option<Place>,
    since: u64,
    /// Whether its device was gone and offered anew since its session began.
    pub(super) offered_anew: bool,
    /// Whether it ever was in use.
    was_attached: bool,
    /// How long it outlives its connection; `None` leaves it to the settings.
    pub(super) grace: Option<Grace>,
    /// How long its session does: what was true when that began.
    session_grace: Grace,
    /// Its connection is lost, and waited for until then, in microseconds since the epoch.
    lost_until: Option<u64>,
    /// It is going to end then, says its peer, in microseconds since the epoch.
    ends_at: Option<u64>,
    /// Whether it is attached again by itself, until somebody ends it.
    pub(super) keep: bool,
    /// Whether it waits for the device where another peer has it.
    queue: bool,
    pub(super) owner_uid: u32,
    stop: Stop,
    bound: Arc<Notify>,
    counters: Arc<Counters>,
    attaching: Option<Reply<u32>>,
    detaching: Vec<Reply<()>>,
}

impl Attachment {
    pub(super) fn new(
        peer: PeerId,
        remote_id: String,
        peer_label: String,
        facts: DeviceFacts,
        wish: AttachWish,
        uid: u32,
    ) -> Self {
        Self {
            peer,
            remote_id,
            peer_label,
            known: Known::new(facts.vendor_id, facts.product_id, &facts.interfaces),
            follow: wish.follow,
            facts,
            state: "connecting",
            last_error: String::new(),
            place: None,
            since: 0,
            offered_anew: false,
            was_attached: false,
            grace: wish.grace,
            session_grace: Grace::default(),
            lost_until: None,
            ends_at: None,
            keep: wish.keep,
            queue: wish.queue,
            owner_uid: uid,
            stop: Stop::default(),
            bound: Arc::default(),
            counters: Arc::default(),
            attaching: None,
            detaching: Vec::new(),
        }
    }

    /// The same, as an earlier process of this daemon had attached it: it waits to be attached again.
    pub(super) fn remembered(self, known: Known) -> Self {
        let last_error = EndReason::Stopped.as_str().to_owned();
        Self { state: "waiting", last_error, was_attached: true, known, ..self }
    }

    /// Whether it waits for its peer to come back. Nothing is attached, and nothing runs for it.
    pub(super) fn waits(&self) -> bool {
        self.state == "waiting"
    }

    /// It goes on waiting, for a reason that somebody has to know. Whether it is a new one.
    pub(super) fn waits_because(&mut self, reason: String) -> bool {
        let new = self.last_error != reason;
        self.last_error = reason;
        new
    }

    pub(super) fn stop(&self, reason: EndReason) {
        self.stop.stop(reason);
    }

    /// The vhci port that it has, once it has one.
    pub(super) fn port(&self) -> Option<u32> {
        self.place.as_ref().map(|place| place.port)
    }
}

impl Engine {
    pub(super) async fn attach(
        &mut self,
        id: PeerId,
        remote_id: String,
        wish: AttachWish,
        uid: u32,
        reply: Reply<u32>,
    ) {
        match self.begin_attach(id, remote_id, wish, uid) {
            Ok(number) => {
                if let Some(attachment) = self.attachments.get_mut(&number) {
                    attachment.attaching = Some(reply);
                }
                self.publish_attachment(number).await;
            }
            // The caller may be gone; then nobody needs to know.
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn begin_attach(&mut self, id: PeerId, remote_id: String, mut wish: AttachWish, uid: u32) -> Result<u32> {
        self.refuse_while_stopping()?;
        let peer = self.peers.get(&id).ok_or_else(|| Error::PeerUnknown(id.short()))?;
        if peer.connected.is_none() {
            return Err(peer.unreachable());
        }
        let device =
            peer.offers.get(&remote_id).ok_or_else(|| Error::NotShared(format!("{remote_id} of {}", peer.label())))?;
        let facts = DeviceFacts::from(device);
        let same = |other: &&Attachment| other.peer == id && other.remote_id == remote_id;
        if self.attachments.values().filter(same).any(|other| !other.waits()) {
            return Err(Error::AlreadyAttached(format!("{} of {}", facts.name(), peer.label())));
        }
        if self.attachments.len() >= MAX_ATTACHMENTS {
            return Err(Error::LimitReached { limit: MAX_ATTACHMENTS, what: "attachments" });
        }
        let peer_label = peer.label().to_owned();
        self.accept.device(id, &peer_label, &facts.interfaces).check_offer().map_err(|unaccepted| {
            Error::DeviceNotAccepted {
                device: format!("{} of {peer_label}", facts.name()),
                reason: unaccepted.to_string(),
            }
        })?;
        // Whoever asks now need not wait for what was to come by itself, and gets the same one.
        let waiting = self.attachments.iter().find(|(_, other)| other.peer == id && other.remote_id == remote_id);
        let number = match waiting {
            Some((&number, _)) => number,
            None => {
                self.last_attachment += 1;
                self.last_attachment
            }
        };
        let pin = wish.pin.take();
        self.attachments.insert(number, Attachment::new(id, remote_id, peer_label, facts, wish, uid));
        self.start(number, pin)?;
        Ok(number)
    }

    /// Starts a session for an attachment that has none. One that comes back by itself has shown its PIN before.
    pub(super) fn start(&mut self, number: u32, pin: Option<Pin>) -> Result<()> {
        let no_such = || Error::NotAttached(format!("attachment {number}"));
        let attachment = self.attachments.get_mut(&number).ok_or_else(no_such)?;
        let peer = self.peers.get(&attachment.peer).ok_or_else(|| Error::PeerUnknown(attachment.peer.short()))?;
        let link = peer.connected.clone().ok_or_else(|| peer.unreachable())?;
        self.last_session += 1;
        attachment.state = "connecting";
        attachment.last_error.clear();
        attachment.offered_anew = false;
        attachment.session_grace = attachment.grace.unwrap_or(self.grace);
        attachment.stop = Stop::default();
        attachment.bound = Arc::default();
        // An earlier process knew no more of it than its name.
        if let Some(device) = peer.offers.get(&attachment.remote_id) {
            attachment.facts = device.into();
        }
        let request = attach::Request {
            id: number,
            peer: attachment.peer,
            runtime: self.runtime.clone(),
            // Unique as long as this process lives, which peers tell apart by its instance.
            session: SessionId(self.last_session),
            kernel: self.kernel.clone(),
            link,
            links: peer.links().ok_or_else(|| peer.unreachable())?,
            grace: attachment.session_grace.into(),
            peer_label: attachment.peer_label.clone(),
            device: attachment.remote_id.clone(),
            pin,
            product: attachment.facts.name(),
            speed: attachment.facts.speed,
            presentable: self.accept.device(attachment.peer, &attachment.peer_label, &attachment.facts.interfaces),
            stop: attachment.stop.clone(),
            bound: attachment.bound.clone(),
            counters: attachment.counters.clone(),
        };
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let result = attach::run(request, handle.clone()).await;
            handle.attachment_ended(number, result).await;
        });
        Ok(())
    }

    /// Removes one that waits.
    pub(super) async fn remove_attachment(&mut self, number: u32) {
        let Some(attachment) = self.attachments.remove(&number) else { return };
        self.hide(ObjectId::Attachment(number)).await;
        self.withdraw_stale(attachment.peer).await;
        self.publish_remote_device(attachment.peer, &attachment.remote_id).await;
    }

    /// It has a port, and the kernel starts to look at it.
    pub(super) async fn attachment_placed(&mut self, number: u32, place: Place) {
        if let Some(attachment) = self.attachments.get_mut(&number) {
            attachment.place = Some(place);
            self.publish_attachment(number).await;
        }
    }

    /// The kernel has configured a device and found its drivers. If it is one of ours, it is attached.
    pub(super) async fn attachment_bound(&mut self, bus_path: &BusPath) {
        let new = self.attachments.iter_mut().find(|(_, attachment)| {
            attachment.state == "connecting"
                && attachment.place.as_ref().is_some_and(|place| place.bus_path == bus_path.as_str())
        });
        let Some((&number, attachment)) = new else { return };
        attachment.state = "attached";
        attachment.since = now_usec();
        attachment.bound.notify_one();
        let reply = attachment.attaching.take();
        let new = !attachment.was_attached;
        info!(P2PUSB_ATTACHMENT = number, P2PUSB_DEVICE = %bus_path, P2PUSB_PEER = attachment.peer.short(), "{} of {} is attached", attachment.facts.name(), attachment.peer_label);
        self.publish_attachment(number).await;
        if new {
            self.remember_attachment(number).await;
        }
        if let Some(reply) = reply {
            let _ = reply.send(Ok(number));
        }
    }

    /// There is a disk, on which udev's rules have just run. If it is one of ours, it may be silent for as long as its
    /// attachment outlives its connection.
    pub(super) fn disk_found(&self, sysfs: PathBuf) {
        let of = |place: &Place| sysfs.components().any(|folder| folder.as_os_str() == place.bus_path.as_str());
        let ours = self.attachments.iter().find(|(_, attachment)| attachment.place.as_ref().is_some_and(of));
        let Some((&number, attachment)) = ours else { return };
        let grace = attachment.session_grace.into();
        spawn_blocking(move || match attach::wait_longer(&sysfs, grace) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => debug!("{} is gone already", sysfs.display()),
            Err(error) => warn!(
                P2PUSB_ATTACHMENT = number,
                "the kernel may give the disk up before the grace time is over: {}: {error}",
                sysfs.display()
            ),
        });
    }

    /// Its connection is lost, and waited for for so long; or it is there again.
    pub(super) async fn attachment_paused(&mut self, number: u32, wait: Option<Duration>) {
        let Some(attachment) = self.attachments.get_mut(&number) else { return };
        attachment.state = match (attachment.state, wait) {
            ("attached", Some(_)) => "reconnecting",
            ("reconnecting", None) => "attached",
            // One that the kernel still looks at, or that is on its way out, stays what it is.
            _ => return,
        };
        attachment.lost_until = wait.map(until_usec);
        attachment.counters.set_lost(wait.is_some());
        self.publish_attachment(number).await;
    }

    /// Its peer says that it is going to end by itself, in so much time.
    pub(super) async fn attachment_due(&mut self, number: u32, left: Duration, reason: EndReason) {
        let Some(attachment) = self.attachments.get_mut(&number) else { return };
        attachment.ends_at = Some(until_usec(left));
        warn!(
            P2PUSB_ATTACHMENT = number,
            P2PUSB_PEER = attachment.peer.short(),
            "{} of {} goes in {} s: {reason}",
            attachment.facts.name(),
            attachment.peer_label,
            left.as_secs()
        );
        self.publish_attachment(number).await;
    }

    pub(super) async fn detach(&mut self, number: u32, reply: Reply<()>) {
        let Some(attachment) = self.attachments.get(&number) else {
            let _ = reply.send(Err(Error::NotAttached(format!("attachment {number}"))));
            return;
        };
        // First of all: whatever becomes of this process, nobody wants it any longer.
        self.forget_attachment(attachment.peer, &attachment.remote_id).await;
        let Some(attachment) = self.attachments.get_mut(&number) else { return };
        if attachment.waits() {
            info!(P2PUSB_ATTACHMENT = number, "{} is not waited for any longer", attachment.facts.name());
            let (peer, remote_id) = (attachment.peer, attachment.remote_id.clone());
            self.tell_whether_we_wait(peer, &remote_id, false);
            self.remove_attachment(number).await;
            // The caller may be gone; then nobody needs to know.
            let _ = reply.send(Ok(()));
            return;
        }
        attachment.stop.stop(EndReason::Detached);
        attachment.state = "detaching";
        attachment.lost_until = None;
        attachment.detaching.push(reply);
        self.publish_attachment(number).await;
    }

    /// Its task is over: the port is free.
    pub(super) async fn attachment_ended(&mut self, number: u32, result: Result<EndReason>) {
        let stopping = self.is_stopping();
        let Some(attachment) = self.attachments.get_mut(&number) else { return };
        let was_attached = attachment.since != 0;
        attachment.was_attached |= was_attached;
        // Nobody wanted it to end; so it is attached again when the peer is back, or this daemon. While somebody waits for
        // an answer, or has asked for its end, the answer is the end.
        let may_come_back = match &result {
            Ok(
                EndReason::PeerLost
                | EndReason::PeerStopped
                | EndReason::Stopped
                | EndReason::DeviceUnplugged
                | EndReason::TakenBack,
            ) => true,
            // It is lent again when its hours come; what has lasted for long enough makes room for others.
            Ok(EndReason::HoursOver) => true,
            Ok(_) => false,
            Err(Error::NotShared(_) | Error::DeviceNotAccepted { .. }) => false,
            // Its owner has set another one, which somebody here has to type.
            Err(Error::PinRequired(_) | Error::PinWrong { .. } | Error::PinLocked { .. }) => false,
            Err(Error::Cancelled(_)) => stopping,
            Err(_) => true,
        };
        let asked = attachment.attaching.is_some() || !attachment.detaching.is_empty();
        let wanted = attachment.keep
            && attachment.was_attached
            && !asked
            && may_come_back
            && self.peers.contains_key(&attachment.peer);
        // Another peer has it, and whoever asked for it said that it would wait.
        let queued = attachment.queue
            && attachment.detaching.is_empty()
            && matches!(result, Err(Error::DeviceBusy { .. }))
            && self.peers.contains_key(&attachment.peer);
        let waits = (wanted || queued) && !stopping;
        attachment.state = if waits { "waiting" } else { "ended" };
        attachment.last_error = match &result {
            Ok(reason) => reason.as_str().to_owned(),
            Err(error) => error.to_string(),
        };
        attachment.since = 0;
        attachment.lost_until = None;
        attachment.ends_at = None;
        attachment.place = None;
        self.publish_attachment(number).await;
        let Some(attachment) = self.attachments.get_mut(&number) else { return };
        let offered_anew = attachment.offered_anew;
        let name = format!("{} of {}", attachment.facts.name(), attachment.peer_label);
        match &result {
            Ok(reason) => info!(
                P2PUSB_ATTACHMENT = number,
                P2PUSB_PEER = attachment.peer.short(),
                "{name} is no longer attached: {reason}"
            ),
            Err(error) => warn!(
                P2PUSB_ATTACHMENT = number,
                P2PUSB_PEER = attachment.peer.short(),
                "{name} was not attached: {error}"
            ),
        }
        let reason = match &result {
            Ok(reason) => Some(*reason),
            Err(Error::DeviceNotAccepted { .. }) => Some(EndReason::NotAccepted),
            Err(_) => None,
        };
        if let (Some(reason), true) = (reason, was_attached) {
            let ended = EndedView {
                when: now_usec(),
                peer: attachment.peer_label.clone(),
                product: attachment.facts.name(),
                reason,
            };
            self.recently_ended.push_back(ended);
            if self.recently_ended.len() > RECENTLY_ENDED_MAX {
                self.recently_ended.pop_front();
            }
            self.publish_manager().await;
        }
        if waits {
            let Some(attachment) = self.attachments.get(&number) else { return };
            let (peer, remote_id) = (attachment.peer, attachment.remote_id.clone());
            if queued && let Some(reply) = self.attachments.get_mut(&number).and_then(|it| it.attaching.take()) {
                // The caller may be gone; then nobody needs to know.
                let _ = reply.send(Ok(number));
            }
            self.publish_remote_device(peer, &remote_id).await;
            // It may have been offered again before this one was over.
            return if result.is_ok() || queued || offered_anew {
                self.attach_again(peer, &remote_id).await
            };
        }
        let Some(attachment) = self.attachments.remove(&number) else { return };
        if !wanted {
            self.forget_attachment(attachment.peer, &attachment.remote_id).await;
            self.tell_whether_we_wait(attachment.peer, &attachment.remote_id, false);
        }
        self.hide(ObjectId::Attachment(number)).await;
        self.withdraw_stale(attachment.peer).await;
        self.publish_remote_device(attachment.peer, &attachment.remote_id).await;
        if let Some(reply) = attachment.attaching {
            let error = match result {
                Err(error) => error,
                Ok(reason) => Error::PeerRefused {
                    peer: attachment.peer_label,
                    detail: format!(
                        "the session ended while the kernel looked at {}: {reason}",
                        attachment.facts.name()
                    ),
                },
            };
            let _ = reply.send(Err(error));
        }
        for reply in attachment.detaching {
            let _ = reply.send(Ok(()));
        }
    }

    /// A device came or went at this bus path; an attachment's `LocalDevice` may have changed.
    pub(super) async fn publish_attachments_at(&self, bus_path: &BusPath) {
        let at = |attachment: &Attachment| attachment.place.as_ref().is_some_and(|p| p.bus_path == bus_path.as_str());
        for (number, _) in self.attachments.iter().filter(|(_, attachment)| at(attachment)) {
            self.publish_attachment(*number).await;
        }
    }

    pub(super) async fn publish_attachment(&self, number: u32) {
        let Some(attachment) = self.attachments.get(&number) else { return };
        let place = attachment.place.clone().unwrap_or_default();
        let view = AttachmentView {
            id: number,
            peer: attachment.peer,
            remote_id: attachment.remote_id.clone(),
            product: attachment.facts.name(),
            state: attachment.state,
            last_error: attachment.last_error.clone(),
            local_device: self.devices.keys().find(|path| path.as_str() == place.bus_path).cloned(),
            // The port has one from the beginning, but nothing is there yet.
            local_bus_path: if attachment.since == 0 { String::new() } else { place.bus_path },
            controller: place.controller,
            port: place.port,
            since: attachment.since,
            grace: if attachment.waits() { attachment.grace.unwrap_or(self.grace) } else { attachment.session_grace },
            lost_until: attachment.lost_until.unwrap_or(0),
            ends_at: attachment.ends_at.unwrap_or(0),
            keep: attachment.keep,
            follow: attachment.follow.clone(),
            owner_uid: attachment.owner_uid,
            counters: attachment.counters.clone(),
        };
        self.show(Object::Attachment(view)).await;
        self.publish_remote_device(attachment.peer, &attachment.remote_id).await;
    }

    pub(super) async fn publish_remote_device(&self, id: PeerId, remote_id: &str) {
        let Some(peer) = self.peers.get(&id) else { return };
        let Some(device) = peer.offers.get(remote_id) else { return };
        let attachment = self
            .attachments
            .iter()
            .find(|(_, attachment)| attachment.peer == id && attachment.remote_id == remote_id && !attachment.waits())
            .map(|(number, _)| *number);
        let view = RemoteDeviceView {
            peer: id,
            remote_id: remote_id.to_owned(),
            facts: device.into(),
            available: device.available && attachment.is_none() && peer.connected.is_some(),
            attachment,
        };
        self.show(Object::RemoteDevice(view)).await;
    }
}
