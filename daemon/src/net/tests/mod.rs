//! What the network refuses, over real endpoints on the loopback interface: the daemon's own accept loop and
//! engine on one side, an endpoint that says whatever it likes on the other.
//!
//! Here is what all of them need, and the tests of the door itself. The files beside it are about peers that got in and
//! mean ill.

mod agreement;
mod exporters;
mod floods;
mod gaps;
mod guests;
mod lan;
mod pins;
mod readers;
mod streams;
mod trust;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr, SecretKey, TransportAddr,
    endpoint::{
        Connection, ConnectionError, PortmapperConfig, QuicTransportConfig, RecvStream, SendStream, VarInt, presets,
    },
};
use p2pusb_protocol::{
    ALPN, Attach, CloseCode, ControlMessage, FrameLimits, Hello, MAJOR, MAX_CONTROL_HEADER, MAX_CONTROL_PAYLOAD,
    MAX_LANE_HEADER, MINOR, PAIRING_ALPN, PairRefusal, PairRequest, PairingMessage, PeerAddress, Prefix, Refusal,
    SessionId,
};
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{
    Admission,
    accept::accept_loop,
    bind, close,
    frames::{read_frame, write_frame},
    link::{Connected, read_control},
    ticket::{Secret, Ticket},
};
use crate::{
    attach,
    config::Network,
    engine::{
        Engine, EngineHandle, Inputs, TicketWish,
        view::{Change, Object, PeerView},
    },
    error::Error,
    peer::PeerId,
    people::{Asked, People},
    share::Claims,
    store::{PeerRecord, Store},
    usb::{DeviceInfo, sim::SimHost},
};

/// What must happen, happens long before; this only ends a test in which it does not.
const GUARD: Duration = Duration::from_secs(30);
const OTHER_MAJOR: u16 = 99;
const OTHER_MINOR: u16 = 3;

/// Waits for something that must happen.
pub(crate) async fn must<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(GUARD, event).await.unwrap_or_else(|_| panic!("it did not happen: {what}"))
}

/// An endpoint on the loopback interface, and nothing behind it.
pub(crate) async fn bare(key: SecretKey) -> Endpoint {
    let network = Network { bind: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))], ..Network::default() };
    bind(key, &network, None).await.unwrap()
}

/// One that takes no more than `window` bytes of a stream before it reads them. Whoever says more has to wait.
pub(crate) async fn narrow(key: SecretKey, window: u32) -> Endpoint {
    let transport = QuicTransportConfig::builder().stream_receive_window(VarInt::from_u32(window)).build();
    Endpoint::builder(presets::Minimal)
        .secret_key(key)
        .alpns(vec![ALPN.to_vec()])
        .relay_mode(iroh::RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .transport_config(transport)
        .clear_ip_transports()
        .bind_addr(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .unwrap()
        .bind()
        .await
        .unwrap()
}

/// The memory of this process, in bytes.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

pub(crate) fn address(endpoint: &Endpoint) -> SocketAddr {
    endpoint.bound_sockets()[0]
}

/// A paired peer that can be found at an address, or dials only.
pub(crate) fn record(endpoint: &Endpoint, address: Option<SocketAddr>) -> PeerRecord {
    PeerRecord {
        endpoint_id: PeerId::from(endpoint.id()).to_string(),
        label: "tester".to_owned(),
        addresses: address.iter().map(SocketAddr::to_string).collect(),
        paired: 1,
        ..PeerRecord::default()
    }
}

/// Network and engine of a daemon, as the supervisor puts them together.
pub(crate) struct Daemon {
    endpoint: Endpoint,
    pub(crate) engine: EngineHandle,
    /// Every view of a peer that has been published, oldest first.
    seen: watch::Receiver<Vec<PeerView>>,
    /// Who has been found on the local network and is not paired.
    strangers: watch::Receiver<Vec<(PeerId, String)>>,
    /// What people are asked.
    questions: Mutex<mpsc::Receiver<Asked>>,
    running: JoinHandle<()>,
    accepting: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Daemon {
    /// One without devices.
    pub(crate) async fn start(peers: &[PeerRecord]) -> Self {
        Self::with(peers, SimHost::start().unwrap(), Vec::new()).await
    }

    pub(crate) async fn with(peers: &[PeerRecord], host: Arc<SimHost>, devices: Vec<DeviceInfo>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for peer in peers {
            store.save_peer(peer).unwrap();
        }
        let endpoint = bare(store.identity().unwrap()).await;
        let admission = Admission::default();
        let (people, questions) = People::new();
        let inputs = Inputs {
            store,
            endpoint: endpoint.clone(),
            admission: admission.clone(),
            runtime: folder.path().to_owned(),
            relay_mode: "none",
            kernel: attach::kernel(),
            grace: crate::config::Grace::default(),
            accept: crate::policy::Accept::default(),
            rules: Default::default(),
            people: people.clone(),
            devices,
        };
        let (engine, handle, changes) = Engine::new(inputs).unwrap();
        let (tx, seen) = watch::channel(Vec::new());
        let (strangers_tx, strangers) = watch::channel(Vec::new());
        tokio::spawn(collect(changes, tx, strangers_tx));
        let running = tokio::spawn(engine.run());
        let claims = Claims::new(handle.clone(), host);
        let accepting = tokio::spawn(accept_loop(endpoint.clone(), admission, handle.clone(), people, claims));
        let questions = Mutex::new(questions);
        Self { endpoint, engine: handle, seen, strangers, questions, running, accepting, _folder: folder }
    }

    /// The daemon's link to the exporter that it has dialled.
    pub(crate) async fn connected(&self) -> Connected {
        let mut seen = self.seen.clone();
        let event = seen.wait_for(|views| views.last().is_some_and(|view| view.link.is_some()));
        *must("a link", event).await.unwrap().last().and_then(|view| view.link.clone()).unwrap()
    }

    /// Waits until a peer has been shown like this.
    pub(crate) async fn shown(&self, what: &str, like: impl Fn(&PeerView) -> bool) {
        let mut seen = self.seen.clone();
        let event = seen.wait_for(|views| views.iter().any(&like));
        must(what, event).await.unwrap();
    }

    async fn dial(&self, from: &Endpoint, alpn: &[u8]) -> Connection {
        let target = EndpointAddr::from_parts(self.endpoint.id(), [TransportAddr::Ip(address(&self.endpoint))]);
        must("a connection", from.connect(target, alpn)).await.unwrap()
    }

    /// The link of a paired peer, up to the two hellos.
    pub(crate) async fn link(&self, from: &Endpoint) -> (Connection, SendStream, RecvStream) {
        let connection = self.dial(from, ALPN).await;
        let (mut tx, mut rx) = connection.open_bi().await.unwrap();
        tx.write_all(&hello(MAJOR)).await.unwrap();
        match must("a hello", read_control(&mut rx)).await.unwrap() {
            Some((ControlMessage::Hello(hello), _)) => assert_eq!((hello.major, hello.minor), (MAJOR, MINOR)),
            other => panic!("not a hello: {other:?}"),
        }
        (connection, tx, rx)
    }

    /// A peer that keeps to the rules is served.
    pub(crate) async fn serves(&self, from: &Endpoint) {
        let (connection, mut tx, mut rx) = self.link(from).await;
        // A message of a later release is stepped over.
        let later = Prefix { kind: 0x00ff, header_len: 3, payload_len: 2 };
        tx.write_all(&[&later.encode()[..], b"later"].concat()).await.unwrap();
        let attach = Attach { session: SessionId(1), device: "nothing".to_owned() };
        tx.write_all(&ControlMessage::Attach(attach).encode()).await.unwrap();
        let mut complete = false;
        loop {
            match must("an answer", read_control(&mut rx)).await.unwrap() {
                Some((ControlMessage::DevicesComplete, _)) => complete = true,
                Some((ControlMessage::AttachRefused(refused), _)) => {
                    assert_eq!((refused.session, refused.reason), (SessionId(1), Refusal::NotShared));
                    if complete {
                        break;
                    }
                    panic!("the list of devices did not come first");
                }
                other => panic!("neither the list nor a refusal: {other:?}"),
            }
        }
        close(&connection, CloseCode::Normal, "");
    }

    /// No part of it has ended. For tests with many daemons: stopping one takes three seconds.
    pub(crate) fn is_well(&self) {
        assert!(!self.running.is_finished() && !self.accepting.is_finished());
    }

    /// Stops it as the supervisor does. A part that has panicked meanwhile is found here.
    pub(crate) async fn stop(self) {
        must("the engine's end", self.engine.shutdown()).await;
        must("the engine's end", self.running).await.unwrap();
        must("the endpoint's end", self.endpoint.close()).await;
        must("the accept loop's end", self.accepting).await.unwrap();
    }
}

async fn collect(
    mut changes: mpsc::Receiver<Change>,
    seen: watch::Sender<Vec<PeerView>>,
    strangers: watch::Sender<Vec<(PeerId, String)>>,
) {
    while let Some(change) = changes.recv().await {
        match change {
            Change::Set(object) => match *object {
                Object::Peer(view) => seen.send_modify(|views| views.push(view)),
                Object::Manager(view) => drop(strangers.send_replace(view.discovered)),
                _ => {}
            },
            Change::Barrier(reply) => drop(reply.send(())),
            _ => {}
        }
    }
}

fn hello(major: u16) -> Bytes {
    let hello = Hello {
        major,
        minor: if major == MAJOR { MINOR } else { OTHER_MINOR },
        features: 0,
        instance: 1,
        software: "tester".to_owned(),
        label: "tester".to_owned(),
        addresses: Vec::new(),
    };
    ControlMessage::Hello(hello).encode()
}

/// Waits until the other side has closed the connection; how and why it did.
pub(crate) async fn closed(connection: &Connection) -> (CloseCode, String) {
    match must("the close", connection.closed()).await {
        ConnectionError::ApplicationClosed(closed) => {
            let code = CloseCode::from_u64(closed.error_code.into_inner()).unwrap();
            (code, String::from_utf8(closed.reason.to_vec()).unwrap())
        }
        other => panic!("not closed, but lost: {other}"),
    }
}

fn names_both_versions(error: &str) -> bool {
    error.contains(&format!("{OTHER_MAJOR}.{OTHER_MINOR}")) && error.contains(&format!("{MAJOR}.{MINOR}"))
}

#[tokio::test]
async fn a_stranger_is_told_nothing() {
    let (stranger, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let daemon = Daemon::start(&[record(&friend, None)]).await;
    let connection = daemon.dial(&stranger, ALPN).await;
    // It may be closed already.
    if let Ok((mut tx, mut rx)) = connection.open_bi().await {
        let _ = tx.write_all(&hello(MAJOR)).await;
        let mut answer = [0];
        let answer = must("the end of the stream", rx.read(&mut answer)).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    assert_eq!(closed(&connection).await.0, CloseCode::NotPaired);
    daemon.serves(&friend).await;
    let id = PeerId::from(stranger.id());
    assert!(daemon.seen.borrow().iter().all(|view| view.id != id));
    daemon.stop().await;
}

#[tokio::test]
async fn an_importer_of_another_version_is_refused_by_name() {
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    let connection = daemon.dial(&peer, ALPN).await;
    let (mut tx, _rx) = connection.open_bi().await.unwrap();
    tx.write_all(&hello(OTHER_MAJOR)).await.unwrap();
    let expected = (CloseCode::VersionMismatch, format!("{MAJOR}.{MINOR}"));
    assert_eq!(closed(&connection).await, expected);
    daemon.shown("an error with both versions", |view| names_both_versions(&view.last_error)).await;
    daemon.serves(&peer).await;
    daemon.stop().await;
}

/// Asks for a device that is not there over a link that is up, and waits for the answer: the link is of use.
async fn answers(tx: &mut SendStream, rx: &mut RecvStream, session: u64) {
    let session = SessionId(session);
    let attach = Attach { session, device: "nothing".to_owned() };
    tx.write_all(&ControlMessage::Attach(attach).encode()).await.unwrap();
    loop {
        match must("an answer", read_control(rx)).await.unwrap() {
            Some((ControlMessage::AttachRefused(refused), _)) if refused.session == session => return,
            Some(_) => {}
            None => panic!("it ended the control stream"),
        }
    }
}

/// Takes the daemon's next link, and says hello.
pub(crate) async fn export(endpoint: &Endpoint, major: u16) -> (Connection, SendStream, RecvStream) {
    let incoming = must("the daemon's dial", endpoint.accept()).await.unwrap();
    let connection = must("a connection", incoming.accept().unwrap()).await.unwrap();
    let (mut tx, mut rx) = must("the control stream", connection.accept_bi()).await.unwrap();
    let first = must("the daemon's hello", read_control(&mut rx)).await.unwrap();
    assert!(matches!(first, Some((ControlMessage::Hello(_), _))), "{first:?}");
    tx.write_all(&hello(major)).await.unwrap();
    (connection, tx, rx)
}

#[tokio::test]
async fn an_exporter_of_another_version_is_refused_by_name() {
    let exporter = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&exporter, Some(address(&exporter)))]).await;
    let (connection, _tx, _rx) = export(&exporter, OTHER_MAJOR).await;
    let expected = (CloseCode::VersionMismatch, format!("{MAJOR}.{MINOR}"));
    assert_eq!(closed(&connection).await, expected);
    let refused = |view: &PeerView| view.state == "refused" && names_both_versions(&view.last_error);
    daemon.shown("refused, with both versions", refused).await;
    assert!(daemon.seen.borrow().iter().all(|view| view.state != "online"));
    daemon.stop().await;
}

#[tokio::test]
async fn an_exporter_that_breaks_the_protocol_is_left_and_dialled_again() {
    let exporter = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&exporter, Some(address(&exporter)))]).await;
    let (connection, mut tx, _rx) = export(&exporter, MAJOR).await;
    daemon.shown("online", |view| view.state == "online").await;
    tx.write_all(&Prefix { kind: 2, header_len: 0, payload_len: MAX_CONTROL_PAYLOAD + 1 }.encode()).await.unwrap();
    assert_eq!(closed(&connection).await.0, CloseCode::ProtocolViolation);
    daemon.shown("offline", |view| view.state == "offline" && view.last_error.contains("payload")).await;

    let online = daemon.seen.borrow().len();
    let (_connection, _tx, _rx) = export(&exporter, MAJOR).await;
    let again = |views: &Vec<PeerView>| views[online..].iter().any(|view| view.state == "online");
    must("online again", daemon.seen.clone().wait_for(again)).await.unwrap();
    daemon.stop().await;
}

/// Shows a secret; the daemon's answer.
async fn show_ticket(daemon: &Daemon, from: &Endpoint, secret: Secret, major: u16) -> PairingMessage {
    let connection = daemon.dial(from, PAIRING_ALPN).await;
    let (mut tx, mut rx) = connection.open_bi().await.unwrap();
    let request = PairRequest {
        major,
        minor: 0,
        secret: secret.to_wire(),
        label: "tester".to_owned(),
        addresses: vec![PeerAddress::Ip(address(from))],
    };
    write_frame(&mut tx, PairingMessage::Request(request).encode(), Bytes::new()).await.unwrap();
    let frame = must("an answer", read_frame(&mut rx, FrameLimits::PAIRING)).await.unwrap().unwrap();
    close(&connection, CloseCode::Normal, "");
    PairingMessage::decode(frame.kind, &frame.header).unwrap().unwrap()
}

#[tokio::test]
async fn a_ticket_is_genuine_fresh_and_used_once() {
    let daemon = Daemon::start(&[]).await;
    let (first, second) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let hour = 3_600_000_000;
    let good = Ticket::parse(&daemon.engine.create_ticket(lasting(hour)).await.unwrap()).unwrap().secret;
    let late = Ticket::parse(&daemon.engine.create_ticket(lasting(0)).await.unwrap()).unwrap().secret;
    let mut forged = good.to_wire();
    forged.0[0] ^= 1;
    let forged = Secret::from_wire(&forged);

    let refused = PairingMessage::Refused;
    assert_eq!(show_ticket(&daemon, &first, forged, MAJOR).await, refused(PairRefusal::Unknown));
    assert_eq!(show_ticket(&daemon, &first, late, MAJOR).await, refused(PairRefusal::Expired));
    assert_eq!(show_ticket(&daemon, &first, good, OTHER_MAJOR).await, refused(PairRefusal::Version));
    assert!(daemon.seen.borrow().is_empty(), "somebody was paired");

    // None of that has spoilt it.
    let accepted = show_ticket(&daemon, &first, good, MAJOR).await;
    assert!(matches!(accepted, PairingMessage::Accepted { .. }), "{accepted:?}");
    assert_eq!(show_ticket(&daemon, &second, good, MAJOR).await, refused(PairRefusal::Used));
    daemon.serves(&first).await;
    assert_eq!(closed(&daemon.dial(&second, ALPN).await).await.0, CloseCode::NotPaired);
    daemon.stop().await;
}

#[tokio::test]
async fn the_redeemer_is_told_what_is_wrong_with_its_ticket() {
    let (inviter, redeemer) = (Daemon::start(&[]).await, Daemon::start(&[]).await);
    let found_at = vec![PeerAddress::Ip(address(&inviter.endpoint))];
    let forged =
        Ticket { peer: inviter.endpoint.id().into(), addresses: found_at.clone(), secret: Secret::generate().unwrap() };
    let good = Ticket { addresses: found_at.clone(), ..Ticket::parse(&make(&inviter, 3_600_000_000).await).unwrap() };
    let late = Ticket { addresses: found_at, ..Ticket::parse(&make(&inviter, 0).await).unwrap() };
    let redeem = async |ticket: &Ticket| must("an answer", redeemer.engine.add_peer(ticket.to_text())).await;
    assert!(matches!(redeem(&forged).await, Err(Error::TicketInvalid(_))));
    assert!(matches!(redeem(&late).await, Err(Error::TicketExpired)));
    assert_eq!(redeem(&good).await.unwrap(), good.peer);
    assert!(matches!(redeem(&good).await, Err(Error::TicketUsed)));
    redeemer.stop().await;
    inviter.stop().await;
}

/// A ticket of this daemon, with no other address than the one on the loopback interface.
fn local(daemon: &Daemon, ticket: &str) -> String {
    let addresses = vec![PeerAddress::Ip(address(&daemon.endpoint))];
    Ticket { addresses, ..Ticket::parse(ticket).unwrap() }.to_text()
}

fn lasting(lifetime_usec: u64) -> TicketWish {
    TicketWish { lifetime_usec, ..TicketWish::default() }
}

async fn make(daemon: &Daemon, lifetime_usec: u64) -> String {
    daemon.engine.create_ticket(lasting(lifetime_usec)).await.unwrap()
}

/// How a sender leaves its stream.
#[derive(Clone, Copy)]
enum Then {
    Wait,
    Finish,
    Reset,
}

async fn send(tx: &mut SendStream, bytes: &[u8], then: Then) {
    // The receiver may have closed the connection already.
    let _ = tx.write_all(bytes).await;
    match then {
        Then::Wait => {}
        Then::Finish => drop(tx.finish()),
        Then::Reset => drop(tx.reset(0u32.into())),
    }
}

/// What no peer may send on the control stream.
fn bad_frames() -> Vec<(&'static str, Vec<u8>, Then)> {
    let prefix = |kind, header_len, payload_len| Prefix { kind, header_len, payload_len }.encode().to_vec();
    let header_too_long = prefix(5, MAX_CONTROL_HEADER + 1, 0);
    let payload_too_long = prefix(5, 0, MAX_CONTROL_PAYLOAD + 1);
    let unknown_too_long = prefix(0xffff, 0, u32::MAX);
    let malformed = [prefix(5, 10, 0), vec![0xff; 10]].concat();
    let cut = [prefix(5, 100, 0), vec![1; 10]].concat();
    vec![
        ("a long header", header_too_long, Then::Wait),
        ("a long payload", payload_too_long, Then::Wait),
        ("a long payload of an unknown kind", unknown_too_long, Then::Wait),
        ("garbage", vec![0xff; 4096], Then::Wait),
        ("a malformed message", malformed, Then::Wait),
        ("a message that belongs on a lane", prefix(0x0202, 0, 0), Then::Wait),
        ("a cut prefix", vec![5, 0, 1], Then::Finish),
        ("a cut frame", cut.clone(), Then::Finish),
        ("a reset in a frame", cut, Then::Reset),
    ]
}

#[tokio::test]
async fn broken_frames_end_the_link_and_nothing_else() {
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    for (what, bytes, then) in bad_frames() {
        // As the first thing …
        let connection = daemon.dial(&peer, ALPN).await;
        let (mut tx, _rx) = connection.open_bi().await.unwrap();
        send(&mut tx, &bytes, then).await;
        assert_eq!(closed(&connection).await.0, CloseCode::ProtocolViolation, "{what}, first");
        // … and later.
        let (connection, mut tx, _rx) = daemon.link(&peer).await;
        send(&mut tx, &bytes, then).await;
        assert_eq!(closed(&connection).await.0, CloseCode::ProtocolViolation, "{what}, after the hello");
        daemon.serves(&peer).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_second_hello_ends_the_link() {
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    let (connection, mut tx, _rx) = daemon.link(&peer).await;
    send(&mut tx, &hello(MAJOR), Then::Wait).await;
    assert_eq!(closed(&connection).await.0, CloseCode::ProtocolViolation);
    daemon.serves(&peer).await;
    daemon.stop().await;
}

#[tokio::test]
async fn broken_lanes_end_the_link_and_nothing_else() {
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    let prefix = |kind, header_len| Prefix { kind, header_len, payload_len: 0 }.encode().to_vec();
    let cases = [
        ("a long header", prefix(0x0201, MAX_LANE_HEADER + 1), Then::Wait),
        ("no opening", prefix(0x0202, 0), Then::Wait),
        ("garbage", vec![0xff; 4096], Then::Wait),
        ("a cut opening", [prefix(0x0201, 9), vec![1]].concat(), Then::Finish),
    ];
    for (what, bytes, then) in cases {
        let (connection, _tx, _rx) = daemon.link(&peer).await;
        let (mut lane, _lane_rx) = connection.open_bi().await.unwrap();
        send(&mut lane, &bytes, then).await;
        assert_eq!(closed(&connection).await.0, CloseCode::ProtocolViolation, "{what}");
        daemon.serves(&peer).await;
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_stranger_that_shows_no_ticket_is_sent_away() {
    let (stranger, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let daemon = Daemon::start(&[record(&friend, None)]).await;
    let pairing_payload = Prefix { kind: 0x0101, header_len: 0, payload_len: 1 }.encode();
    for bytes in [&pairing_payload[..], &[0xff; 64], &hello(MAJOR)] {
        let connection = daemon.dial(&stranger, PAIRING_ALPN).await;
        let (mut tx, _rx) = connection.open_bi().await.unwrap();
        send(&mut tx, bytes, Then::Wait).await;
        assert_eq!(closed(&connection).await.0, CloseCode::ProtocolViolation);
    }
    daemon.serves(&friend).await;
    daemon.stop().await;
}
