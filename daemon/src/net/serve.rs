//! The exporter's end of a link: says what is offered, hands out claims, and takes lanes to their sessions.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use iroh::{
    Endpoint,
    endpoint::{Connection, RecvStream, SendStream},
};
use p2pusb_protocol::{
    AttachRefused, Attached, CloseCode, ControlMessage, EndReason, FrameLimits, Hello, LaneMessage, MAJOR, MINOR,
    OfferedDevice, PeerAddress, Refusal, SessionId,
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tracing::{debug, info, warn};

use super::{
    Admission, close,
    frames::{read_frame, write_frame},
    link::{own_version, read_control},
    own_addresses,
};
use crate::{
    engine::{EngineHandle, Grant},
    peer::PeerId,
    share::ShareSession,
    stop::Stop,
    usb::UsbHost,
};

/// How long a peer may take to open its control stream and say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Control messages that may wait to be written.
const OUTBOX: usize = 256;
/// Devices that one peer may hold at a time over one link.
const MAX_SESSIONS: usize = 64;

/// What this machine says of itself.
pub(crate) fn own_hello(addresses: Vec<PeerAddress>) -> Hello {
    Hello {
        major: MAJOR,
        minor: MINOR,
        features: 0,
        software: concat!("p2pusb ", env!("CARGO_PKG_VERSION")).to_owned(),
        label: own_label(),
        addresses,
    }
}

/// What this machine is called: its host name.
pub(crate) fn own_label() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    p2pusb_protocol::clip(if name.is_empty() { "unnamed" } else { &name })
}

/// A control message and the raw bytes behind it.
type Outgoing = (ControlMessage, Bytes);

#[derive(Debug)]
struct Entry {
    stop: Stop,
    /// There once the device is open.
    session: Option<Arc<ShareSession>>,
}

type Sessions = Arc<Mutex<HashMap<SessionId, Entry>>>;

struct Serve {
    peer: PeerId,
    connection: Connection,
    engine: EngineHandle,
    host: Arc<UsbHost>,
    sessions: Sessions,
    outbox: mpsc::Sender<Outgoing>,
}

/// Serves a paired peer's link until it ends.
pub(crate) async fn serve(
    endpoint: Endpoint,
    peer: PeerId,
    connection: Connection,
    admission: Admission,
    engine: EngineHandle,
    host: Arc<UsbHost>,
) {
    let greeted = timeout(HELLO_TIMEOUT, async {
        let (mut tx, mut rx) = connection.accept_bi().await.ok()?;
        let Ok(Some((ControlMessage::Hello(hello), _))) = read_control(&mut rx).await else { return None };
        let own = ControlMessage::Hello(own_hello(own_addresses(&endpoint)));
        write_frame(&mut tx, own.encode(), Bytes::new()).await.ok()?;
        Some((tx, rx, hello))
    });
    let Ok(Some((control_tx, control_rx, hello))) = greeted.await else {
        debug!(P2PUSB_PEER = peer.short(), "the peer said no hello");
        close(&connection, CloseCode::ProtocolViolation, "the first message must be a hello");
        return;
    };
    if hello.major != MAJOR {
        let theirs = format!("{}.{}", hello.major, hello.minor);
        warn!(
            P2PUSB_PEER = peer.short(),
            "refused {}: it speaks protocol {theirs}, we speak {}",
            hello.label,
            own_version()
        );
        engine.refused_version(peer, theirs).await;
        close(&connection, CloseCode::VersionMismatch, &own_version());
        return;
    }
    info!(P2PUSB_PEER = peer.short(), "{} ({}) connected to us", hello.label, hello.software);
    engine.peer_seen(peer, hello.addresses).await;

    let (outbox, queue) = mpsc::channel(OUTBOX);
    let serve = Serve { peer, connection, engine, host, sessions: Sessions::default(), outbox };
    let mut tasks = JoinSet::new();
    let why = tokio::select! {
        why = serve.read_control(control_rx, &mut tasks) => why,
        why = write_control(control_tx, queue) => why,
        why = serve.tell_offers() => why,
        why = serve.accept_lanes() => why,
        error = serve.connection.closed() => error.to_string(),
        () = serve.engine.closing() => {
            close(&serve.connection, CloseCode::ShuttingDown, "this machine's p2pusbd was stopped");
            "stopping".to_owned()
        }
        () = admission.removed(peer) => {
            close(&serve.connection, CloseCode::Forgotten, "this machine has forgotten you; pair again");
            "the peer was forgotten".to_owned()
        }
    };
    info!(P2PUSB_PEER = peer.short(), "{} is disconnected: {why}", hello.label);
    close(&serve.connection, CloseCode::ProtocolViolation, &why);
    for entry in serve.lock().values() {
        entry.stop.stop(EndReason::PeerLost);
    }
    drop(serve);
    // Every device is given back before the link is forgotten.
    while tasks.join_next().await.is_some() {}
}

async fn write_control(mut to: SendStream, mut queue: mpsc::Receiver<Outgoing>) -> String {
    while let Some((message, payload)) = queue.recv().await {
        if let Err(error) = write_frame(&mut to, message.encode_with_payload_len(payload.len() as u32), payload).await {
            return error.to_string();
        }
    }
    "stopped".to_owned()
}

impl Serve {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the peer's list of our devices true.
    async fn tell_offers(&self) -> String {
        let mut offers = self.engine.offers();
        let mut told: HashMap<String, OfferedDevice> = HashMap::new();
        let mut complete = false;
        loop {
            let mut wanted: HashMap<String, OfferedDevice> = offers
                .borrow_and_update()
                .iter()
                .filter(|offer| offer.is_for(self.peer))
                .map(|offer| (offer.device.id.clone(), offer.device.clone()))
                .collect();
            let gone: Vec<String> = told.keys().filter(|id| !wanted.contains_key(*id)).cloned().collect();
            wanted.retain(|id, device| told.get(id) != Some(device));
            for id in gone {
                told.remove(&id);
                self.say(ControlMessage::DeviceWithdrawn { id }).await;
            }
            for (id, device) in wanted {
                self.say(ControlMessage::DeviceOffered(device.clone())).await;
                told.insert(id, device);
            }
            if !std::mem::replace(&mut complete, true) {
                self.say(ControlMessage::DevicesComplete).await;
            }
            if offers.changed().await.is_err() {
                return "stopped".to_owned();
            }
        }
    }

    async fn say(&self, message: ControlMessage) {
        // The queue closes only when the link ends.
        let _ = self.outbox.send((message, Bytes::new())).await;
    }

    async fn read_control(&self, mut from: RecvStream, tasks: &mut JoinSet<()>) -> String {
        loop {
            let message = match read_control(&mut from).await {
                Ok(Some((message, _))) => message,
                Ok(None) => return "it ended the control stream".to_owned(),
                Err(error) => return error.to_string(),
            };
            // Ended sessions' tasks are collected here, so that the set does not grow.
            while tasks.try_join_next().is_some() {}
            match message {
                ControlMessage::Attach(attach) => {
                    let stop = Stop::default();
                    let refusal = {
                        let mut sessions = self.lock();
                        let full = sessions.len() >= MAX_SESSIONS;
                        match sessions.entry(attach.session) {
                            Slot::Occupied(_) => return "it used a session's number twice".to_owned(),
                            Slot::Vacant(_) if full => Some((
                                Refusal::LimitReached,
                                format!("it lends at most {MAX_SESSIONS} devices to one peer"),
                            )),
                            Slot::Vacant(slot) => {
                                slot.insert(Entry { stop: stop.clone(), session: None });
                                None
                            }
                        }
                    };
                    match refusal {
                        Some((reason, detail)) => {
                            let refused = AttachRefused { session: attach.session, reason, detail };
                            self.say(ControlMessage::AttachRefused(refused)).await;
                        }
                        None => {
                            tasks.spawn(self.lend(attach.session, attach.device, stop));
                        }
                    }
                }
                ControlMessage::Detach { session } => {
                    if let Some(entry) = self.lock().get(&session) {
                        entry.stop.stop(EndReason::Detached);
                    }
                }
                ControlMessage::Unlink { session, endpoint, seq } => {
                    let target = self.lock().get(&session).and_then(|entry| entry.session.clone());
                    // A session that has ended needs no unlink: all its URBs are cancelled.
                    if let Some(Err(error)) = target.map(|session| session.unlink(endpoint, seq)) {
                        return format!("unlink on endpoint {endpoint:#04x}: {error}");
                    }
                }
                _ => return "it sent a message out of order".to_owned(),
            }
        }
    }

    /// The life of one claim, in a task of its own: open the device, wait for the end, give it back.
    fn lend(&self, id: SessionId, device: String, stop: Stop) -> impl Future<Output = ()> + Send + 'static {
        let peer = self.peer;
        let engine = self.engine.clone();
        let host = self.host.clone();
        let sessions = self.sessions.clone();
        let outbox = self.outbox.clone();
        async move {
            let say = |message: ControlMessage, payload: Bytes| {
                let outbox = outbox.clone();
                async move {
                    let _ = outbox.send((message, payload)).await;
                }
            };
            let remove = || sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            let grant = match engine.claim(peer, device, stop.clone()).await {
                Ok(grant) => grant,
                Err((reason, detail)) => {
                    remove();
                    info!(P2PUSB_PEER = peer.short(), "refused a device: {detail}");
                    return say(
                        ControlMessage::AttachRefused(AttachRefused { session: id, reason, detail }),
                        Bytes::new(),
                    )
                    .await;
                }
            };
            let Grant { share, info, runtime } = grant;
            let (speed, vendor_id, product_id) = (info.speed, info.vendor_id, info.product_id);
            let descriptors = info.descriptors.clone();
            let bus_path = info.bus_path.to_string();
            let session = match ShareSession::open(host, info, runtime, stop.clone()).await {
                Ok(session) => session,
                Err(error) => {
                    remove();
                    warn!(P2PUSB_DEVICE = bus_path, P2PUSB_PEER = peer.short(), "can't lend the device: {error}");
                    engine.claim_ended(share, EndReason::DeviceFailed).await;
                    let refused = AttachRefused { session: id, reason: Refusal::Failed, detail: error.to_string() };
                    return say(ControlMessage::AttachRefused(refused), Bytes::new()).await;
                }
            };
            info!(P2PUSB_DEVICE = bus_path, P2PUSB_PEER = peer.short(), "claimed");
            if let Some(entry) = sessions.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&id) {
                entry.session = Some(session.clone());
            }
            say(ControlMessage::Attached(Attached { session: id, speed, vendor_id, product_id }), descriptors).await;
            let reason = stop.stopped().await;
            remove();
            // A peer that detaches may want the device again at once, so it hears of the end when the device
            // is back. In every other case the end is news that its kernel should have without delay.
            let ended = say(ControlMessage::Ended { session: id, reason }, Bytes::new());
            if reason == EndReason::Detached {
                session.close().await;
                engine.claim_ended(share, reason).await;
                ended.await;
            } else {
                ended.await;
                session.close().await;
                engine.claim_ended(share, reason).await;
            }
            info!(P2PUSB_DEVICE = bus_path, P2PUSB_PEER = peer.short(), "given back: {reason}");
        }
    }

    /// Each further stream is a lane of one of the sessions.
    async fn accept_lanes(&self) -> String {
        let mut lanes = JoinSet::new();
        loop {
            let (tx, rx) = tokio::select! {
                stream = self.connection.accept_bi() => match stream {
                    Ok(stream) => stream,
                    Err(error) => return error.to_string(),
                },
                Some(done) = lanes.join_next() => match done {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => return error,
                    Err(error) => return error.to_string(),
                },
            };
            lanes.spawn(run_lane(self.sessions.clone(), tx, rx));
        }
    }
}

/// An error ends the link: the peer broke the protocol.
async fn run_lane(sessions: Sessions, tx: SendStream, mut rx: RecvStream) -> Result<(), String> {
    let frame = match read_frame(&mut rx, FrameLimits::LANE).await {
        Ok(Some(frame)) => frame,
        Ok(None) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let Ok(Some(LaneMessage::Open { session, endpoint })) = LaneMessage::decode(frame.kind, &frame.header) else {
        return Err("a stream that does not begin with a lane's opening".to_owned());
    };
    let target =
        sessions.lock().unwrap_or_else(PoisonError::into_inner).get(&session).and_then(|entry| entry.session.clone());
    match target {
        // The session has ended on our side while the stream was on its way.
        None => Ok(()),
        Some(session) => session.run_lane(endpoint, tx, rx).await,
    }
}
