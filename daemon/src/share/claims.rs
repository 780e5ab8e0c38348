//! All claims of all peers, and the life of each.
//!
//! A claim is made over a connection and outlives it: when the connection is lost, the device stays claimed and
//! its URBs run on for a grace time, in which the importer may come back over another connection.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry as Slot},
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use iroh::endpoint::Connection;
use p2pusb_protocol::{
    ASKING_MAX, Attach, AttachRefused, Attached, CloseCode, ControlMessage, EndReason, Ending, LaneError, PIN_MINOR,
    Pin, Refusal, Resume, Resumed, SessionId,
};
use tokio::{
    join,
    sync::{
        mpsc::{self, error::TrySendError},
        watch,
    },
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{ShareSession, session::Books};
use crate::{
    config::Grace,
    engine::{Claimed, Consent, Due, EngineHandle, Grant, now_usec},
    net::close,
    peer::PeerId,
    people::Answer,
    stop::Stop,
    usb::Host,
};

/// Devices that one peer may hold at a time.
const MAX_SESSIONS: usize = 64;
/// Ends of sessions that are remembered for importers that were not there to hear of them.
const MAX_ENDED: usize = 64;

/// A control message and the raw bytes behind it.
pub(crate) type Outgoing = (ControlMessage, Bytes);

/// The connection that a session uses now.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The importer.
    pub(crate) peer: PeerId,
    /// The number of the importer's process.
    pub(crate) instance: u64,
    /// The minor version of the protocol that it speaks.
    pub(crate) minor: u16,
    /// Which of its connections.
    pub(crate) connection: usize,
    /// What is said on its control stream.
    pub(crate) outbox: mpsc::Sender<Outgoing>,
}

impl Line {
    pub(crate) async fn say(&self, message: ControlMessage, payload: Bytes) {
        // The queue closes only when the connection ends; then nobody listens.
        let _ = self.outbox.send((message, payload)).await;
    }

    /// Says something to whoever asked for it, who must not be waited for. An error means that it asks for more
    /// answers than it reads.
    fn answer(&self, message: ControlMessage) -> Result<(), String> {
        match self.outbox.try_send((message, Bytes::new())) {
            Err(TrySendError::Full(_)) => Err("it does not read the answers to what it asks for".to_owned()),
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
        }
    }

    fn key(&self, session: SessionId) -> Key {
        Key { peer: self.peer, instance: self.instance, session }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    peer: PeerId,
    instance: u64,
    session: SessionId,
}

#[derive(Debug)]
struct Entry {
    stop: Stop,
    /// `None` while there is no connection.
    line: watch::Sender<Option<Line>>,
    /// There once the device is open.
    session: Option<Arc<ShareSession>>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Key, Entry>,
    /// The connection of each peer that is served: the newest one.
    connections: HashMap<PeerId, Connection>,
    ended: VecDeque<(Key, EndReason)>,
}

/// All claims. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    engine: EngineHandle,
    host: Arc<dyn Host>,
    table: Arc<Mutex<Table>>,
    tasks: TaskTracker,
}

impl Claims {
    /// No claims yet.
    pub(crate) fn new(engine: EngineHandle, host: Arc<dyn Host>) -> Self {
        Self { engine, host, table: Arc::default(), tasks: TaskTracker::new() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every device is given back, once no connection is left to make claims.
    pub(crate) async fn finished(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A peer has connected: from now on no earlier connection of it counts. Where it comes as another process, its
    /// earlier one can't come back, and what that one held is free.
    pub(crate) fn greet(&self, line: &Line, connection: Connection) {
        let mut table = self.table();
        for (key, entry) in table.entries.iter().filter(|(key, _)| key.peer == line.peer) {
            entry.line.send_replace(None);
            if key.instance != line.instance {
                entry.stop.stop(EndReason::PeerLost);
            }
        }
        if let Some(earlier) = table.connections.insert(line.peer, connection) {
            close(&earlier, CloseCode::Replaced, "a newer connection has taken its place");
        }
    }

    /// A connection has ended; for good, if there is a reason.
    pub(crate) fn lost(&self, line: &Line, reason: Option<EndReason>) {
        let mut table = self.table();
        if table.connections.get(&line.peer).is_some_and(|newest| newest.stable_id() == line.connection) {
            table.connections.remove(&line.peer);
        }
        for entry in table.entries.values() {
            if entry.line.borrow().as_ref().is_none_or(|current| current.connection != line.connection) {
                continue;
            }
            match reason {
                Some(reason) => entry.stop.stop(reason),
                None => drop(entry.line.send_replace(None)),
            }
        }
    }

    /// This machine has moved: no connection counts any longer, and what is claimed waits for the next one.
    pub(crate) fn leave_all(&self) {
        let mut table = self.table();
        for entry in table.entries.values() {
            entry.line.send_replace(None);
        }
        for (_, connection) in table.connections.drain() {
            close(&connection, CloseCode::Replaced, "this machine has moved; connect again");
        }
    }

    /// The importer asks for a device. An error means that it broke the protocol.
    pub(crate) fn attach(&self, line: &Line, attach: Attach, pin: Option<Pin>) -> Result<(), String> {
        let key = line.key(attach.session);
        let stop = Stop::default();
        let (sender, current) = watch::channel(Some(line.clone()));
        let full = {
            let entries = &mut self.table().entries;
            let full = entries.keys().filter(|key| key.peer == line.peer).count() >= MAX_SESSIONS;
            match entries.entry(key) {
                Slot::Occupied(_) => return Err("it used a session's number twice".to_owned()),
                Slot::Vacant(_) if full => {}
                Slot::Vacant(slot) => {
                    slot.insert(Entry { stop: stop.clone(), line: sender, session: None });
                }
            }
            full
        };
        if full {
            let detail = format!("it lends at most {MAX_SESSIONS} devices to one peer");
            let refused = AttachRefused { session: attach.session, reason: Refusal::LimitReached, detail };
            return line.answer(ControlMessage::AttachRefused(refused));
        }
        self.tasks.spawn(self.clone().lend(key, attach.device, pin, stop, current));
        Ok(())
    }

    /// The importer is done with a device.
    pub(crate) fn detach(&self, line: &Line, session: SessionId) {
        if let Some(entry) = self.table().entries.get(&line.key(session)) {
            entry.stop.stop(EndReason::Detached);
        }
    }

    /// The session that a stream or a message of this connection is meant for, where it uses this connection.
    pub(crate) fn session(&self, line: &Line, session: SessionId) -> Option<Arc<ShareSession>> {
        let table = self.table();
        let entry = table.entries.get(&line.key(session))?;
        let current = entry.line.borrow().as_ref().is_some_and(|current| current.connection == line.connection);
        entry.session.clone().filter(|_| current)
    }

    /// The importer cancels a URB. A session that has ended needs no unlink: all its URBs are cancelled.
    pub(crate) fn unlink(&self, line: &Line, session: SessionId, endpoint: u8, seq: u64) -> Result<(), LaneError> {
        self.session(line, session).map_or(Ok(()), |session| session.unlink(endpoint, seq))
    }

    /// The importer goes on with a session over this connection.
    pub(crate) async fn resume(&self, line: Line, resume: Resume) {
        let Resume { session: id, lanes } = resume;
        let key = line.key(id);
        let ended = |reason: EndReason| ControlMessage::Ended { session: id, reason: reason.for_peer() };
        let entry = match &*self.table() {
            // What a connection says late, that is none any longer, is not heard.
            table if table.connections.get(&line.peer).is_none_or(|now| now.stable_id() != line.connection) => return,
            table => table.entries.get(&key).and_then(|entry| Some((entry.session.clone()?, entry.stop.clone()))),
        };
        let Some((session, stop)) = entry else {
            let reason = self.table().ended.iter().find(|(other, _)| *other == key).map(|(_, reason)| *reason);
            return line.say(ended(reason.unwrap_or(EndReason::PeerLost)), Bytes::new()).await;
        };
        let lanes = match session.resume(&lanes).await {
            Ok(Some(lanes)) => lanes,
            // There is a newer connection.
            Ok(None) => return,
            Err(error) => {
                warn!(P2PUSB_PEER = line.peer.short(), "the peer broke the protocol: {error}");
                stop.stop(EndReason::ProtocolError);
                return line.say(ended(EndReason::ProtocolError), Bytes::new()).await;
            }
        };
        // Lanes are taken from this connection only, and not before now.
        if let Some(entry) = self.table().entries.get(&key) {
            entry.line.send_replace(Some(line.clone()));
        }
        info!(P2PUSB_DEVICE = %session.bus_path(), P2PUSB_PEER = line.peer.short(), "the session goes on");
        line.say(ControlMessage::Resumed(Resumed { session: id, lanes }), Bytes::new()).await;
    }

    /// The right to have the device. A PIN may have to be right, and somebody may have to be asked.
    async fn granted(
        &self,
        Key { peer, session, .. }: Key,
        device: String,
        pin: Option<Pin>,
        stop: &Stop,
        current: &watch::Receiver<Option<Line>>,
    ) -> Result<Grant, (Refusal, String)> {
        if let Some(pin) = pin {
            self.engine.show_pin(peer, device.clone(), pin).await?;
        }
        let ask = match self.engine.claim(peer, device.clone(), stop.clone(), Consent::NotAsked).await? {
            Claimed::Granted(grant) => return Ok(*grant),
            Claimed::Ask(ask) => ask,
        };
        say(current, ControlMessage::Asking { session }, Bytes::new()).await;
        let declined = |detail: &str| Err((Refusal::Declined, detail.to_owned()));
        let answer = tokio::select! {
            answer = timeout(ASKING_MAX, ask.people.ask(ask.question, None)) => answer.unwrap_or(Answer::No),
            _ = stop.stopped() => return declined("it is not wanted any more"),
        };
        match answer {
            Answer::Yes => match self.engine.claim(peer, device, stop.clone(), Consent::Given).await? {
                Claimed::Granted(grant) => Ok(*grant),
                Claimed::Ask(_) => declined("nobody there has agreed"),
            },
            Answer::No => declined("nobody there has agreed"),
            Answer::NobodyThere => {
                declined("somebody has to be asked there, and nobody can be; run `p2pusb agent` there")
            }
        }
    }

    /// The life of one claim: open the device, wait for the end, give it back.
    async fn lend(
        self,
        key: Key,
        device: String,
        pin: Option<Pin>,
        stop: Stop,
        mut current: watch::Receiver<Option<Line>>,
    ) {
        let Key { peer, session: id, .. } = key;
        let refuse = |reason, detail| ControlMessage::AttachRefused(AttachRefused { session: id, reason, detail });
        let grant = match self.granted(key, device, pin, &stop, &current).await {
            Ok(grant) => grant,
            Err((reason, mut detail)) => {
                let minor = current.borrow().as_ref().map(|line| line.minor);
                if reason == Refusal::PinRequired && minor.is_some_and(|minor| minor < PIN_MINOR) {
                    detail += ", and the p2pusb that asks for it is too old to show one";
                }
                info!(P2PUSB_PEER = peer.short(), "refused a device: {detail}");
                say(&current, refuse(reason, detail), Bytes::new()).await;
                // Not before it is said: a peer that does not listen has only so many answers wait for it.
                self.table().entries.remove(&key);
                return;
            }
        };
        let Grant { share, info, grace, due, runtime, counters, pace } = grant;
        let books = Books { counters, pace };
        let (speed, vendor_id, product_id) = (info.speed, info.vendor_id, info.product_id);
        let descriptors = info.descriptors.clone();
        let bus_path = info.bus_path.to_string();
        let session = match ShareSession::open(self.host.clone(), info, books, runtime, stop.clone()).await {
            Ok(session) => session,
            Err(error) => {
                warn!(P2PUSB_DEVICE = bus_path, P2PUSB_PEER = peer.short(), "can't lend the device: {error}");
                self.engine.claim_ended(share, EndReason::DeviceFailed).await;
                say(&current, refuse(Refusal::Failed, error.to_string()), Bytes::new()).await;
                self.table().entries.remove(&key);
                return;
            }
        };
        info!(P2PUSB_DEVICE = bus_path, P2PUSB_PEER = peer.short(), "claimed");
        if let Some(entry) = self.table().entries.get_mut(&key) {
            entry.session = Some(session.clone());
        }
        let attached = ControlMessage::Attached(Attached { session: id, speed, vendor_id, product_id });
        say(&current, attached, descriptors).await;
        let connections = current.clone();
        let reason = tokio::select! {
            reason = stop.stopped() => reason,
            never = forewarn(id, due, connections) => match never {},
            () = self.abandoned(&mut current, grace, &share, &bus_path) => EndReason::PeerLost,
        };
        // Whoever comes back from now on hears that it is over.
        self.remove(key, reason);
        // A peer that detaches may want the device again at once, so it hears of the end when the device
        // is back. In every other case the end is news that its kernel should have without delay.
        let ended = ControlMessage::Ended { session: id, reason: reason.for_peer() };
        if reason == EndReason::Detached {
            session.close().await;
            self.engine.claim_ended(share, reason).await;
            say(&current, ended, Bytes::new()).await;
        } else {
            // Nor does the device wait for a peer that does not listen.
            let give_back = async {
                session.close().await;
                self.engine.claim_ended(share, reason).await;
            };
            join!(biased; say(&current, ended, Bytes::new()), give_back);
        }
        info!(P2PUSB_DEVICE = bus_path, P2PUSB_PEER = peer.short(), "given back: {reason}");
    }

    /// Waits until the session has been without a connection for the whole grace time.
    async fn abandoned(
        &self,
        current: &mut watch::Receiver<Option<Line>>,
        mut grace: watch::Receiver<Grace>,
        share: &str,
        bus_path: &str,
    ) {
        // The sender is in the table for as long as this is waited for.
        while current.wait_for(Option::is_none).await.is_ok() {
            let lost = Instant::now();
            loop {
                let whole = Duration::from(*grace.borrow_and_update());
                warn!(P2PUSB_DEVICE = bus_path, "the connection is lost; the device stays claimed for {whole:?}");
                self.engine.claim_paused(share.to_owned(), Some(whole.saturating_sub(lost.elapsed()))).await;
                tokio::select! {
                    _ = current.wait_for(Option::is_some) => break,
                    () = sleep_until(lost + whole) => return,
                    // Somebody wants it to be another time, counted from the loss as well.
                    Ok(()) = grace.changed() => {}
                }
            }
            self.engine.claim_paused(share.to_owned(), None).await;
        }
    }

    fn remove(&self, key: Key, reason: EndReason) {
        let mut table = self.table();
        table.entries.remove(&key);
        table.ended.push_back((key, reason));
        if table.ended.len() > MAX_ENDED {
            table.ended.pop_front();
        }
    }
}

/// Tells the importer when the end of its session is near, over each connection anew.
async fn forewarn(
    session: SessionId,
    mut due: watch::Receiver<Option<Due>>,
    mut current: watch::Receiver<Option<Line>>,
) -> Infallible {
    loop {
        let (end, line) = (*due.borrow_and_update(), current.borrow_and_update().clone());
        if let (Some(Due { at, reason }), Some(line)) = (end, line) {
            let ending = Ending { session, reason: reason.for_peer(), left_usec: at.saturating_sub(now_usec()) };
            line.say(ControlMessage::Ending(ending), Bytes::new()).await;
        }
        tokio::select! {
            Ok(()) = due.changed() => {}
            Ok(()) = current.changed() => {}
            // The claim is over, of which its task hears otherwise.
            else => std::future::pending().await,
        }
    }
}

/// Says something to the importer, where it can be reached.
async fn say(current: &watch::Receiver<Option<Line>>, message: ControlMessage, payload: Bytes) {
    let line = current.borrow().clone();
    if let Some(line) = line {
        line.say(message, payload).await;
    }
}
