//! Devices that ask for a PIN, and importers that have none, guess, or are of an earlier version.

use std::sync::Arc;

use iroh::{
    Endpoint, SecretKey,
    endpoint::{RecvStream, SendStream},
};
use p2pusb_protocol::{Attach, CloseCode, ControlMessage, Hello, MAJOR, Pin, Refusal, SessionId, ShownPin};

use super::{ALPN, Daemon, address, bare, closed, must, record};
use crate::{
    engine::ShareWish,
    net::link::read_control,
    store::PeerRecord,
    usb::sim::{Model, SimHost},
};

fn pin(text: &str) -> Pin {
    Pin::new(text.to_owned()).unwrap()
}

/// A daemon that shares a device with two peers, who need a PIN; the id of the share.
async fn sharing(peers: [&Endpoint; 2]) -> (Daemon, String) {
    let host = SimHost::start().unwrap();
    let (_device, info) = host.plug("9-1".parse().unwrap(), Model::new("token"));
    let records = ["one", "two"].map(str::to_owned).into_iter().zip(peers);
    let records: Vec<_> = records.map(|(label, peer)| PeerRecord { label, ..record(peer, None) }).collect();
    let path = info.bus_path.clone();
    let daemon = Daemon::with(&records, Arc::clone(&host), vec![info]).await;
    let hash = daemon.engine.hash_pin(pin("73905518")).await.unwrap();
    let share = daemon.engine.share_device(path, ShareWish { pin: Some(hash), ..ShareWish::default() }, 0).await;
    (daemon, share.unwrap())
}

/// An importer's link.
struct Importer<'a> {
    tx: SendStream,
    rx: RecvStream,
    share: &'a str,
    session: u64,
    _connection: iroh::endpoint::Connection,
}

impl<'a> Importer<'a> {
    async fn new(daemon: &Daemon, from: &Endpoint, share: &'a str) -> Self {
        let (connection, tx, rx) = daemon.link(from).await;
        Self { tx, rx, share, session: 0, _connection: connection }
    }

    async fn say(&mut self, message: ControlMessage) {
        self.tx.write_all(&message.encode()).await.unwrap();
    }

    /// Asks for the device; why it can't be had.
    async fn attach(&mut self, text: Option<&str>) -> Result<(), (Refusal, String)> {
        self.session += 1;
        let session = SessionId(self.session);
        if let Some(text) = text {
            self.say(ControlMessage::Pin(ShownPin { session, pin: pin(text) })).await;
        }
        self.say(ControlMessage::Attach(Attach { session, device: self.share.to_owned() })).await;
        self.answer(session).await
    }

    async fn answer(&mut self, session: SessionId) -> Result<(), (Refusal, String)> {
        loop {
            match must("an answer", read_control(&mut self.rx)).await.unwrap() {
                Some((ControlMessage::Attached(attached), _)) if attached.session == session => return Ok(()),
                Some((ControlMessage::AttachRefused(refused), _)) if refused.session == session => {
                    return Err((refused.reason, refused.detail));
                }
                Some(_) => {}
                None => panic!("it ended the control stream"),
            }
        }
    }

    /// Gives the device back, and waits until that is done.
    async fn detach(&mut self) {
        let session = SessionId(self.session);
        self.say(ControlMessage::Detach { session }).await;
        loop {
            match must("the end", read_control(&mut self.rx)).await.unwrap() {
                Some((ControlMessage::Ended { session: ended, .. }, _)) if ended == session => return,
                Some(_) => {}
                None => panic!("it ended the control stream"),
            }
        }
    }

    /// Is done with the device.
    async fn done(&mut self) {
        self.say(ControlMessage::Queue { id: self.share.to_owned(), waits: false }).await;
    }
}

#[tokio::test]
async fn wrong_pins_lock_out_whoever_shows_them_and_nobody_else() {
    let (guesser, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let (daemon, share) = sharing([&guesser, &friend]).await;
    let mut importer = Importer::new(&daemon, &guesser, &share).await;
    assert_eq!(importer.attach(None).await, Err((Refusal::PinRequired, "it asks for a PIN".to_owned())));
    for left in
        ["2 tries are left before a pause", "1 try is left before a pause", "the next one is looked at in 60 seconds"]
    {
        assert_eq!(importer.attach(Some("73905519")).await, Err((Refusal::PinWrong, left.to_owned())));
    }
    // Neither the right one nor a new connection helps; and whoever has none need not type one in vain.
    for shown in [Some("73905518"), None] {
        let (reason, detail) = importer.attach(shown).await.unwrap_err();
        assert_eq!(reason, Refusal::PinLocked);
        assert!(detail.contains("looked at in 60 seconds") || detail.contains("looked at in 59 seconds"), "{detail}");
        importer = Importer::new(&daemon, &guesser, &share).await;
    }
    let mut other = Importer::new(&daemon, &friend, &share).await;
    assert_eq!(other.attach(Some("73905518")).await, Ok(()));
    daemon.is_well();
}

#[tokio::test]
async fn many_guesses_at_a_time_are_as_many_as_one_after_the_other() {
    let (guesser, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let (daemon, share) = sharing([&guesser, &friend]).await;
    let mut importer = Importer::new(&daemon, &guesser, &share).await;
    // All of them before any answer is read.
    for session in (1..=20).map(SessionId) {
        importer.say(ControlMessage::Pin(ShownPin { session, pin: pin("0000") })).await;
        importer.say(ControlMessage::Attach(Attach { session, device: share.clone() })).await;
    }
    let mut answers = Vec::new();
    while answers.len() < 20 {
        match must("an answer", read_control(&mut importer.rx)).await.unwrap() {
            Some((ControlMessage::AttachRefused(refused), _)) => answers.push(refused.reason),
            Some(_) => {}
            None => panic!("it ended the control stream"),
        }
    }
    let count = |reason| answers.iter().filter(|answer| **answer == reason).count();
    assert_eq!((count(Refusal::PinWrong), count(Refusal::PinLocked)), (3, 17), "{answers:?}");
    daemon.is_well();
}

#[tokio::test]
async fn a_pin_counts_until_the_importer_is_done_with_the_device_and_for_nobody_else() {
    let (peer, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let (daemon, share) = sharing([&peer, &friend]).await;
    let mut importer = Importer::new(&daemon, &peer, &share).await;
    // A PIN for another session is none for this one, and does not count as a try.
    importer.say(ControlMessage::Pin(ShownPin { session: SessionId(77), pin: pin("73905518") })).await;
    assert_eq!(importer.attach(None).await.unwrap_err().0, Refusal::PinRequired);
    assert_eq!(importer.attach(Some("73905518")).await, Ok(()));
    // Whoever has not shown it does not hear that the device is in use, and who has need not do it again for its turn.
    let mut other = Importer::new(&daemon, &friend, &share).await;
    assert_eq!(other.attach(None).await.unwrap_err().0, Refusal::PinRequired);
    assert_eq!(other.attach(Some("73905518")).await.unwrap_err().0, Refusal::Busy);
    assert_eq!(other.attach(None).await.unwrap_err().0, Refusal::Busy);
    other.done().await;
    assert_eq!(other.attach(None).await.unwrap_err().0, Refusal::PinRequired);

    importer.detach().await;
    assert_eq!(importer.attach(None).await, Ok(()));
    importer.detach().await;
    // As another process, over another connection.
    let session = importer.session;
    let mut importer = Importer::new(&daemon, &peer, &share).await;
    importer.session = session;
    assert_eq!(importer.attach(None).await, Ok(()));
    importer.detach().await;
    importer.done().await;
    assert_eq!(importer.attach(None).await.unwrap_err().0, Refusal::PinRequired);
    // A forgotten or blocked peer has shown nothing.
    assert_eq!(importer.attach(Some("73905518")).await, Ok(()));
    importer.detach().await;
    daemon.engine.set_trust(peer.id().into(), crate::peer::Trust::Blocked).await.unwrap();
    daemon.engine.set_trust(peer.id().into(), crate::peer::Trust::Paired).await.unwrap();
    let mut importer = Importer::new(&daemon, &peer, &share).await;
    assert_eq!(importer.attach(None).await.unwrap_err().0, Refusal::PinRequired);
    daemon.is_well();
}

#[tokio::test]
async fn pins_for_sessions_that_are_never_asked_for_end_the_link() {
    let (peer, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let (daemon, _share) = sharing([&peer, &friend]).await;
    let (connection, mut tx, _rx) = daemon.link(&peer).await;
    for session in (1..=65).map(SessionId) {
        // It may be closed before the last one.
        let _ = tx.write_all(&ControlMessage::Pin(ShownPin { session, pin: pin("1234") }).encode()).await;
    }
    let (code, reason) = closed(&connection).await;
    assert_eq!(code, CloseCode::ProtocolViolation, "{reason}");
    assert!(reason.contains("more than 64 PINs"), "{reason}");
    daemon.is_well();
}

fn hello_of(minor: u16) -> ControlMessage {
    ControlMessage::Hello(Hello {
        major: MAJOR,
        minor,
        features: 0,
        instance: 1,
        software: "tester".to_owned(),
        label: "tester".to_owned(),
        addresses: Vec::new(),
    })
}

#[tokio::test]
async fn an_importer_that_is_too_old_for_pins_is_told_so() {
    let (peer, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let (daemon, share) = sharing([&peer, &friend]).await;
    let connection = daemon.dial(&peer, ALPN).await;
    let (mut tx, rx) = connection.open_bi().await.unwrap();
    tx.write_all(&hello_of(1).encode()).await.unwrap();
    let mut importer = Importer { tx, rx, share: &share, session: 0, _connection: connection };
    let (reason, detail) = importer.attach(None).await.unwrap_err();
    assert_eq!(reason, Refusal::PinRequired);
    assert!(detail.contains("too old to show one"), "{detail}");
    daemon.is_well();
}

/// What an exporter of this minor version hears when a device of its is asked for with a PIN.
async fn heard_by(minor: u16) -> Vec<ControlMessage> {
    let exporter = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&exporter, Some(address(&exporter)))]).await;
    let incoming = must("the daemon's dial", exporter.accept()).await.unwrap();
    let connection = must("a connection", incoming.accept().unwrap()).await.unwrap();
    let (mut tx, mut rx) = must("the control stream", connection.accept_bi()).await.unwrap();
    tx.write_all(&hello_of(minor).encode()).await.unwrap();
    must("the daemon's hello", read_control(&mut rx)).await.unwrap();
    let link = daemon.connected().await;
    let _notices = link.attach(SessionId(7), "token".to_owned(), Some(pin("73905518"))).await;
    let mut heard = Vec::new();
    while !matches!(heard.last(), Some(ControlMessage::Attach(_))) {
        heard.push(must("what it asks for", read_control(&mut rx)).await.unwrap().unwrap().0);
    }
    daemon.is_well();
    heard
}

#[tokio::test]
async fn a_pin_goes_before_what_it_is_for_and_to_nobody_who_does_not_know_pins() {
    let session = SessionId(7);
    let asked = ControlMessage::Attach(Attach { session, device: "token".to_owned() });
    let shown = ControlMessage::Pin(ShownPin { session, pin: pin("73905518") });
    assert_eq!(heard_by(2).await, [shown, asked.clone()]);
    assert_eq!(heard_by(1).await, [asked]);
}
