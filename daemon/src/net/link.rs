//! The importer's end of a link: dials a paired peer, keeps the connection, and dials again when it is lost.
//!
//! One task per peer, for as long as the peer is paired.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_lite::StreamExt as _;
use iroh::{
    Endpoint, TransportAddr,
    endpoint::{Connection, ConnectionError, RecvStream, SendStream},
};
use p2pusb_protocol::{
    ALPN, Attach, AttachRefused, CloseCode, ControlMessage, EndReason, Ending, FrameLimits, Hello, LanePosition, MAJOR,
    MAX_OFFERED_DEVICES, MINOR, OfferedDevice, PIN_MINOR, PeerAddress, Pin, Resume, SessionId, ShownPin,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tracing::{debug, info};

use super::{
    close, endpoint_addr, final_reason,
    frames::{FrameError, read_frame, write_control, write_frame},
    own_addresses,
};
use crate::{engine::EngineHandle, error::Error, net::serve::own_hello, peer::PeerId};

/// The first pause between two attempts to reach a peer …
const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// … which doubles up to this one …
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// … but not above this one while sessions may wait for the link …
const BACKOFF_EAGER: Duration = Duration::from_secs(1);
/// … which is for so long after it was lost.
const EAGER_TIME: Duration = Duration::from_secs(120);
/// How long one attempt may take. A handshake that began in the dark repeats itself ever more rarely: a new one is
/// through sooner once there is light.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a peer may take to say hello once the connection stands.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Control messages that may wait to be written.
const CONTROL_QUEUE: usize = 256;
/// Notices that may wait for one session: an answer, that the end is near, and an end.
const NOTICE_QUEUE: usize = 4;

/// What the engine is told about a link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The connection stands and both sides speak the same protocol.
    Online(Connected, Hello),
    /// The peer offers a device, or offers it with other facts.
    Offered(OfferedDevice),
    /// It does not any more.
    Withdrawn(String),
    /// All that it offers has been named once.
    Listed,
    /// Packets travel on another kind of path.
    Path(PathKind),
    /// There is no connection.
    Offline(LinkFailure),
}

/// Why there is no connection.
#[derive(Debug, Clone)]
pub(crate) enum LinkFailure {
    /// Nobody answered, or the connection broke.
    Unreachable(String),
    /// The peer does not want us.
    Refused(String),
    /// The peer stopped properly.
    Stopped,
    /// It speaks another protocol.
    Version {
        /// Which.
        theirs: String,
    },
}

impl LinkFailure {
    /// As an error for somebody who wanted something of this peer.
    pub(crate) fn into_error(self, peer: &str) -> Error {
        let peer = peer.to_owned();
        match self {
            Self::Unreachable(detail) => Error::PeerUnreachable { peer, detail },
            Self::Stopped => Error::PeerUnreachable { peer, detail: "its p2pusbd was stopped".to_owned() },
            Self::Refused(detail) => Error::PeerRefused { peer, detail },
            Self::Version { theirs } => Error::ProtocolMismatch { peer, theirs, ours: own_version() },
        }
    }
}

/// This release's protocol version, for people.
pub(crate) fn own_version() -> String {
    format!("{MAJOR}.{MINOR}")
}

/// What a session hears over the control stream.
#[derive(Debug)]
pub(crate) enum Notice {
    /// The device is ours.
    Attached,
    /// It is not.
    Refused(AttachRefused),
    /// The session goes on; so much of what was submitted has come.
    Resumed(Vec<LanePosition>),
    /// Somebody is being asked there; the answer takes longer.
    Asking,
    /// It is going to end by itself.
    Ending(Ending),
    /// It was, until now.
    Ended(EndReason),
}

type Sessions = Arc<Mutex<HashMap<SessionId, mpsc::Sender<Notice>>>>;

/// A standing connection to an exporter.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    connection: Connection,
    control: mpsc::Sender<ControlMessage>,
    sessions: Sessions,
    /// The minor version of the protocol that the exporter speaks.
    minor: u16,
    /// Set when we leave it for another one.
    left: Arc<AtomicBool>,
}

impl Connected {
    /// Asks for a device, and shows a PIN for it; an exporter that is too old to ask for one is not told it. The answer, and
    /// later the end, come on the returned channel; when the link breaks, the channel closes.
    pub(crate) async fn attach(&self, session: SessionId, device: String, pin: Option<Pin>) -> mpsc::Receiver<Notice> {
        if let Some(pin) = pin.filter(|_| self.minor >= PIN_MINOR) {
            self.send(ControlMessage::Pin(ShownPin { session, pin })).await;
        }
        self.begin(session, ControlMessage::Attach(Attach { session, device })).await
    }

    /// Goes on with a session whose connection was lost. The answer comes as for [`attach`](Self::attach).
    pub(crate) async fn resume(&self, session: SessionId, lanes: Vec<LanePosition>) -> mpsc::Receiver<Notice> {
        self.begin(session, ControlMessage::Resume(Resume { session, lanes })).await
    }

    async fn begin(&self, session: SessionId, message: ControlMessage) -> mpsc::Receiver<Notice> {
        let (tx, notices) = mpsc::channel(NOTICE_QUEUE);
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(session, tx);
        self.send(message).await;
        // When the link has broken meanwhile, nobody will.
        if self.is_closed() {
            self.forget(session);
        }
        notices
    }

    /// Nothing more is to be heard of this session.
    pub(crate) fn forget(&self, session: SessionId) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(&session);
    }

    /// Whether the connection is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Waits until the connection is gone.
    pub(crate) async fn closed(&self) {
        self.connection.closed().await;
    }

    /// Says something on the control stream that can be said again: where there is no room for it, it is lost.
    pub(crate) fn hint(&self, message: ControlMessage) {
        let _ = self.control.try_send(message);
    }

    /// Says something on the control stream. When the link is down it is lost, and the session hears of that.
    pub(crate) async fn send(&self, message: ControlMessage) {
        // An error means that the link's task has ended, which closes every session's channel.
        let _ = self.control.send(message).await;
    }

    /// Opens a lane's stream.
    pub(crate) async fn open_lane(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        self.connection.open_bi().await
    }

    /// How the packets travel now, and how long a round trip takes.
    pub(crate) fn path(&self) -> Option<(PathKind, Duration)> {
        let paths = self.connection.paths();
        let path = paths.iter().find(|path| path.is_selected())?;
        Some((if path.is_relay() { PathKind::Relay } else { PathKind::Direct }, path.rtt()))
    }

    /// Whether packets may reach the peer at one of these addresses. Through a relay they may.
    pub(crate) fn leads_to(&self, addresses: &[PeerAddress]) -> bool {
        self.connection.paths().iter().any(|path| match path.remote_addr() {
            TransportAddr::Ip(address) => addresses.contains(&PeerAddress::Ip(*address)),
            _ => true,
        })
    }

    /// Closes the link, whose sessions go on over the next one. The link's task dials it at once when it is nudged.
    pub(crate) fn leave(&self, why: &str) {
        self.left.store(true, Ordering::Relaxed);
        self.close(CloseCode::Replaced, why);
    }

    /// Once the connection is gone: why its sessions are over, `None` where they may go on over the next one.
    pub(crate) fn final_reason(&self) -> Option<EndReason> {
        if self.left.load(Ordering::Relaxed) { None } else { final_reason(&self.connection) }
    }

    /// Closes the link, for good or until the link's task dials again.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        close(&self.connection, code, reason);
    }
}

/// How packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathKind {
    /// From machine to machine.
    Direct,
    /// Through a relay.
    Relay,
}

/// The engine's hold on a link's task.
#[derive(Debug)]
pub(crate) struct Link {
    addresses: watch::Sender<Vec<PeerAddress>>,
    connected: watch::Receiver<Option<Connected>>,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    /// Starts to dial.
    pub(crate) fn start(endpoint: Endpoint, peer: PeerId, addresses: Vec<PeerAddress>, engine: EngineHandle) -> Self {
        let (tx, rx) = watch::channel(addresses);
        let (connected_tx, connected) = watch::channel(None);
        Self { addresses: tx, connected, task: tokio::spawn(run(endpoint, peer, rx, connected_tx, engine)) }
    }

    /// The connection as it comes and goes.
    pub(crate) fn connected(&self) -> watch::Receiver<Option<Connected>> {
        self.connected.clone()
    }

    /// Dials now rather than later, where it did before.
    pub(crate) fn redial(&self) {
        self.addresses.send_modify(|_| ());
    }

    /// Dials now rather than later: the peer has just been heard, perhaps from elsewhere.
    pub(crate) fn nudge(&self, addresses: Vec<PeerAddress>) {
        self.addresses.send_replace(addresses);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    endpoint: Endpoint,
    peer: PeerId,
    mut addresses: watch::Receiver<Vec<PeerAddress>>,
    connections: watch::Sender<Option<Connected>>,
    engine: EngineHandle,
) {
    let mut pause = BACKOFF_MIN;
    let mut eager_until = Instant::now();
    loop {
        let target = endpoint_addr(peer, &addresses.borrow_and_update());
        let connected = tokio::select! {
            connected = timeout(CONNECT_TIMEOUT, endpoint.connect(target, ALPN)) => connected,
            changed = addresses.changed() => if changed.is_ok() { continue } else { return },
        };
        let failure = match connected {
            Ok(Ok(connection)) => {
                let (failure, was_online) = serve(&endpoint, peer, connection, &connections, &engine).await;
                connections.send_replace(None);
                if was_online {
                    pause = BACKOFF_MIN;
                    eager_until = Instant::now() + EAGER_TIME;
                }
                failure
            }
            Ok(Err(error)) => connect_failure(error),
            Err(_) => LinkFailure::Unreachable("it does not answer".to_owned()),
        };
        debug!(P2PUSB_PEER = peer.short(), "the link is down: {failure:?}");
        engine.link(peer, LinkEvent::Offline(failure)).await;
        let most = if Instant::now() < eager_until { BACKOFF_EAGER } else { BACKOFF_MAX };
        tokio::select! {
            () = sleep(jitter(pause.min(most))) => pause = (pause * 2).min(BACKOFF_MAX),
            changed = addresses.changed() => if changed.is_err() { return },
        }
    }
}

/// Spreads attempts by up to a quarter, so that machines that lost each other do not dial in step.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without random bytes the pause is merely not spread.
    let _ = getrandom::fill(&mut byte);
    pause + pause * u32::from(byte[0]) / 1024
}

fn connect_failure(error: iroh::endpoint::ConnectError) -> LinkFailure {
    use iroh::endpoint::{ConnectError, ConnectingError};
    match error {
        ConnectError::Connection { source, .. } => connection_failure(&source),
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. } => {
            connection_failure(&source)
        }
        other => LinkFailure::Unreachable(other.to_string()),
    }
}

/// What a lost connection means: the exporter's close code tells.
pub(crate) fn connection_failure(error: &ConnectionError) -> LinkFailure {
    /// TLS alert 120, no_application_protocol, as a QUIC error (RFC 9001, 4.8): the peer speaks no ALPN of ours.
    const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;
    match error {
        ConnectionError::ApplicationClosed(closed) => {
            let reason = String::from_utf8_lossy(&closed.reason).into_owned();
            match CloseCode::from_u64(closed.error_code.into_inner()) {
                Some(CloseCode::NotPaired | CloseCode::Forgotten | CloseCode::Blocked) => LinkFailure::Refused(reason),
                Some(CloseCode::VersionMismatch) => LinkFailure::Version { theirs: reason },
                Some(CloseCode::ShuttingDown) => LinkFailure::Stopped,
                _ => LinkFailure::Unreachable(format!("it closed the connection: {reason}")),
            }
        }
        ConnectionError::ConnectionClosed(closed) if u64::from(closed.error_code) == NO_APPLICATION_PROTOCOL => {
            LinkFailure::Version { theirs: "another one (no common protocol)".to_owned() }
        }
        ConnectionError::TimedOut => LinkFailure::Unreachable("it does not answer".to_owned()),
        other => LinkFailure::Unreachable(other.to_string()),
    }
}

/// Serves one connection until it ends; says why it ended and whether it ever was of use.
async fn serve(
    endpoint: &Endpoint,
    peer: PeerId,
    connection: Connection,
    connections: &watch::Sender<Option<Connected>>,
    engine: &EngineHandle,
) -> (LinkFailure, bool) {
    let (mut control_tx, mut control_rx) = match connection.open_bi().await {
        Ok(streams) => streams,
        Err(error) => return (connection_failure(&error), false),
    };
    let hello = timeout(HELLO_TIMEOUT, async {
        let hello = ControlMessage::Hello(own_hello(own_addresses(endpoint)));
        write_frame(&mut control_tx, hello.encode(), Bytes::new()).await.ok()?;
        match read_control(&mut control_rx).await {
            Ok(Some((ControlMessage::Hello(hello), _))) => Some(hello),
            _ => None,
        }
    })
    .await;
    let hello = match hello {
        Ok(Some(hello)) => hello,
        Ok(None) => return (lost(&connection, "it did not say hello"), false),
        Err(_) => {
            close(&connection, CloseCode::ProtocolViolation, "no hello");
            return (LinkFailure::Unreachable("it did not say hello in time".to_owned()), false);
        }
    };
    if hello.major != MAJOR {
        close(&connection, CloseCode::VersionMismatch, &own_version());
        return (LinkFailure::Version { theirs: format!("{}.{}", hello.major, hello.minor) }, false);
    }

    let (control, outbox) = mpsc::channel(CONTROL_QUEUE);
    let sessions = Sessions::default();
    let left = Arc::default();
    let connected =
        Connected { connection: connection.clone(), control, sessions: sessions.clone(), minor: hello.minor, left };
    info!(P2PUSB_PEER = peer.short(), "connected to {} ({})", hello.label, hello.software);
    engine.link(peer, LinkEvent::Online(connected.clone(), hello)).await;
    connections.send_replace(Some(connected.clone()));

    let reason = tokio::select! {
        reason = read_loop(&mut control_rx, peer, &sessions, engine) => reason,
        reason = write_loop(&mut control_tx, outbox) => reason,
        // Streams are the importer's to open. What came on one would never be read.
        Ok(_) = connection.accept_bi() => "it opened a stream".to_owned(),
        error = connection.closed() => error.to_string(),
        () = watch_path(&connected, peer, engine) => "its paths are gone".to_owned(),
    };
    let failure = lost(&connection, &reason);
    debug!(P2PUSB_PEER = peer.short(), "{reason}; {:?}", connection.close_reason());
    close(&connection, CloseCode::ProtocolViolation, &reason);
    // Every session's channel closes with its sender.
    sessions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    (failure, true)
}

/// Tells when packets take another kind of path.
async fn watch_path(connected: &Connected, peer: PeerId, engine: &EngineHandle) {
    let mut events = connected.connection.path_events();
    let mut told = None;
    loop {
        let path = connected.path().map(|(kind, _)| kind);
        if let Some(kind) = path
            && path != told
        {
            let way = match kind {
                PathKind::Direct => "directly",
                PathKind::Relay => "through a relay",
            };
            info!(P2PUSB_PEER = peer.short(), "reached {way}");
            engine.link(peer, LinkEvent::Path(kind)).await;
            told = path;
        }
        if events.next().await.is_none() {
            // The connection is closing; who watches that says why.
            std::future::pending::<()>().await;
        }
    }
}

fn lost(connection: &Connection, reason: &str) -> LinkFailure {
    match connection.close_reason() {
        Some(error) => connection_failure(&error),
        None => LinkFailure::Unreachable(reason.to_owned()),
    }
}

/// Reads the next control message that this release knows.
pub(crate) async fn read_control(from: &mut RecvStream) -> Result<Option<(ControlMessage, Bytes)>, FrameError> {
    while let Some(frame) = read_frame(from, FrameLimits::CONTROL).await? {
        if let Some(message) = ControlMessage::decode(frame.kind, &frame.header)? {
            return Ok(Some((message, frame.payload)));
        }
        debug!("ignoring a control message of kind {}: a later release knows it", frame.kind);
    }
    Ok(None)
}

/// Writes what the queue holds until the queue or the stream ends; says which.
async fn write_loop(to: &mut SendStream, mut outbox: mpsc::Receiver<ControlMessage>) -> String {
    while let Some(message) = outbox.recv().await {
        if let Err(error) = write_control(to, message.encode(), Bytes::new()).await {
            return error;
        }
    }
    "nobody uses the link any longer".to_owned()
}

async fn read_loop(from: &mut RecvStream, peer: PeerId, sessions: &Sessions, engine: &EngineHandle) -> String {
    let mut offered = std::collections::HashSet::new();
    loop {
        let (message, _) = match read_control(from).await {
            Ok(Some(message)) => message,
            Ok(None) => return "it ended the control stream".to_owned(),
            Err(error) => return error.to_string(),
        };
        let notify = |session: SessionId, notice: Notice, last: bool| {
            let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = if last { sessions.remove(&session) } else { sessions.get(&session).cloned() };
            // A session that is gone here already needs no notice; a peer that repeats itself gets no room.
            tx.is_none_or(|tx| tx.try_send(notice).is_ok() || tx.is_closed())
        };
        let in_order = match message {
            ControlMessage::DeviceOffered(device) => {
                offered.insert(device.id.clone());
                if offered.len() > MAX_OFFERED_DEVICES {
                    return format!("it offers more than {MAX_OFFERED_DEVICES} devices");
                }
                engine.link(peer, LinkEvent::Offered(device)).await;
                true
            }
            ControlMessage::DeviceWithdrawn { id } => {
                offered.remove(&id);
                engine.link(peer, LinkEvent::Withdrawn(id)).await;
                true
            }
            ControlMessage::Attached(attached) => notify(attached.session, Notice::Attached, false),
            ControlMessage::AttachRefused(refused) => notify(refused.session, Notice::Refused(refused), true),
            ControlMessage::Resumed(resumed) => notify(resumed.session, Notice::Resumed(resumed.lanes), false),
            ControlMessage::Asking { session } => notify(session, Notice::Asking, false),
            ControlMessage::Ending(ending) => notify(ending.session, Notice::Ending(ending), false),
            ControlMessage::Ended { session, reason } => notify(session, Notice::Ended(reason), true),
            ControlMessage::DevicesComplete => {
                engine.link(peer, LinkEvent::Listed).await;
                true
            }
            ControlMessage::Hello(_)
            | ControlMessage::Attach(_)
            | ControlMessage::Detach { .. }
            | ControlMessage::Unlink { .. }
            | ControlMessage::Resume(_)
            | ControlMessage::Pin(_)
            | ControlMessage::Queue { .. } => false,
        };
        if !in_order {
            return "it sent a message out of order".to_owned();
        }
    }
}
