//! The exporter's end of a link: says what is offered, and takes what the importer asks for to its sessions.

use std::{collections::HashMap, sync::OnceLock, time::Duration};

use bytes::Bytes;
use iroh::{
    Endpoint,
    endpoint::{Connection, RecvStream, SendStream},
};
use p2pusb_protocol::{
    CloseCode, ControlMessage, FrameLimits, Hello, LaneMessage, MAJOR, MINOR, OfferedDevice, PeerAddress, ShownPin,
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tracing::{debug, info, warn};

use super::{
    Admission, BLOCKED, Standing, close, final_reason,
    frames::{self, read_frame, write_frame},
    link::{own_version, read_control},
    own_addresses,
};
use crate::{
    engine::EngineHandle,
    peer::PeerId,
    share::{Claims, Line, Outgoing},
};

/// How long a peer may take to open its control stream and say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Control messages that may wait to be written.
const OUTBOX: usize = 256;
/// Sessions that may be about to go on at a time, on one link.
const MAX_RESUMES: usize = 64;
/// PINs that may wait for the `attach` that they are for, on one link.
const MAX_PINS: usize = 64;

/// What this machine says of itself.
pub(crate) fn own_hello(addresses: Vec<PeerAddress>) -> Hello {
    Hello {
        major: MAJOR,
        minor: MINOR,
        features: 0,
        instance: own_instance(),
        software: concat!("p2pusb ", env!("CARGO_PKG_VERSION")).to_owned(),
        label: own_label(),
        addresses,
    }
}

/// The number of this process.
fn own_instance() -> u64 {
    static INSTANCE: OnceLock<u64> = OnceLock::new();
    *INSTANCE.get_or_init(|| {
        let mut bytes = [0; 8];
        if let Err(error) = getrandom::fill(&mut bytes) {
            warn!("the kernel gives no random bytes: {error}");
            return std::process::id().into();
        }
        u64::from_le_bytes(bytes)
    })
}

/// What this machine is called: its host name.
pub(crate) fn own_label() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    p2pusb_protocol::clip(if name.is_empty() { "unnamed" } else { &name })
}

struct Serve {
    line: Line,
    connection: Connection,
    engine: EngineHandle,
    claims: Claims,
}

/// Serves a paired peer's link until it ends.
pub(crate) async fn serve(
    endpoint: Endpoint,
    peer: PeerId,
    connection: Connection,
    admission: Admission,
    engine: EngineHandle,
    claims: Claims,
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
    if engine.peer_seen(peer, hello.addresses).await {
        close(&connection, CloseCode::Replaced, "you have moved; connect again");
        return;
    }

    let (outbox, queue) = mpsc::channel(OUTBOX);
    let line = Line { peer, instance: hello.instance, minor: hello.minor, connection: connection.stable_id(), outbox };
    claims.greet(&line, connection.clone());
    let serve = Serve { line, connection, engine, claims };
    let why = tokio::select! {
        // Why it ends comes first: with the engine, what it tells of its offers ends, too, which would be taken for a
        // violation.
        biased;
        () = serve.engine.closing() => {
            close(&serve.connection, CloseCode::ShuttingDown, "this machine's p2pusbd was stopped");
            "stopping".to_owned()
        }
        standing = admission.dismissed(peer) => match standing {
            Standing::Blocked => {
                close(&serve.connection, CloseCode::Blocked, BLOCKED);
                "the peer was blocked".to_owned()
            }
            _ => {
                close(&serve.connection, CloseCode::Forgotten, "this machine has forgotten you; pair again");
                "the peer was forgotten".to_owned()
            }
        },
        error = serve.connection.closed() => error.to_string(),
        why = serve.read_control(control_rx) => why,
        why = write_control(control_tx, queue) => why,
        why = serve.tell_offers() => why,
        why = serve.accept_lanes() => why,
    };
    info!(P2PUSB_PEER = peer.short(), "{} is disconnected: {why}", hello.label);
    close(&serve.connection, CloseCode::ProtocolViolation, &why);
    serve.claims.lost(&serve.line, final_reason(&serve.connection));
}

async fn write_control(mut to: SendStream, mut queue: mpsc::Receiver<Outgoing>) -> String {
    while let Some((message, payload)) = queue.recv().await {
        let head = message.encode_with_payload_len(payload.len() as u32);
        if let Err(error) = frames::write_control(&mut to, head, payload).await {
            return error;
        }
    }
    "stopped".to_owned()
}

impl Serve {
    /// Keeps the peer's list of our devices true.
    async fn tell_offers(&self) -> String {
        let mut offers = self.engine.offers();
        let mut told: HashMap<String, OfferedDevice> = HashMap::new();
        let mut complete = false;
        loop {
            let mut wanted: HashMap<String, OfferedDevice> =
                offers.borrow_and_update().to(self.line.peer).map(|device| (device.id.clone(), device)).collect();
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
        self.line.say(message, Bytes::new()).await;
    }

    async fn read_control(&self, mut from: RecvStream) -> String {
        let mut resumes = JoinSet::new();
        let mut pins = HashMap::new();
        loop {
            let message = match read_control(&mut from).await {
                Ok(Some((message, _))) => message,
                Ok(None) => return "it ended the control stream".to_owned(),
                Err(error) => return error.to_string(),
            };
            while resumes.try_join_next().is_some() {}
            let done = match message {
                ControlMessage::Pin(_) if pins.len() >= MAX_PINS => {
                    Err(format!("more than {MAX_PINS} PINs for sessions that it does not ask for"))
                }
                ControlMessage::Pin(ShownPin { session, pin }) => {
                    pins.insert(session, pin);
                    Ok(())
                }
                ControlMessage::Attach(attach) => {
                    let pin = pins.remove(&attach.session);
                    self.claims.attach(&self.line, attach, pin)
                }
                ControlMessage::Detach { session } => {
                    self.claims.detach(&self.line, session);
                    Ok(())
                }
                ControlMessage::Unlink { session, endpoint, seq } => self
                    .claims
                    .unlink(&self.line, session, endpoint, seq)
                    .map_err(|error| format!("unlink on endpoint {endpoint:#04x}: {error}")),
                ControlMessage::Queue { id, waits } => {
                    self.engine.wait_for_share(self.line.peer, id, waits).await;
                    Ok(())
                }
                ControlMessage::Resume(_) if resumes.len() >= MAX_RESUMES => {
                    Err(format!("more than {MAX_RESUMES} sessions are to go on at a time"))
                }
                ControlMessage::Resume(resume) => {
                    let (claims, line) = (self.claims.clone(), self.line.clone());
                    // In a task of its own: a request that the device is still busy with is waited for.
                    resumes.spawn(async move { claims.resume(line, resume).await });
                    Ok(())
                }
                _ => Err("it sent a message out of order".to_owned()),
            };
            if let Err(error) = done {
                return error;
            }
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
            lanes.spawn(run_lane(self.claims.clone(), self.line.clone(), tx, rx));
        }
    }
}

/// An error ends the link: the peer broke the protocol.
async fn run_lane(claims: Claims, line: Line, tx: SendStream, mut rx: RecvStream) -> Result<(), String> {
    let frame = match read_frame(&mut rx, FrameLimits::LANE_OPEN).await {
        Ok(Some(frame)) => frame,
        Ok(None) => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let Ok(Some(LaneMessage::Open { session, endpoint })) = LaneMessage::decode(frame.kind, &frame.header) else {
        return Err("a stream that does not begin with a lane's opening".to_owned());
    };
    match claims.session(&line, session) {
        // The session has ended on our side while the stream was on its way.
        None => Ok(()),
        Some(session) => session.run_lane(endpoint, tx, rx).await,
    }
}
