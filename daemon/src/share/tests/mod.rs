//! Importers that mean ill, once they have a device: a session with a simulated device, and an endpoint that says whatever
//! it likes on its lanes.

mod readers;
mod resume;
mod submits;
mod unlinks;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use iroh::{
    Endpoint, SecretKey,
    endpoint::{Connection, RecvStream, SendStream},
};
use p2pusb_protocol::{
    Attach, CloseCode, Complete, ControlMessage, EndReason, FrameLimits, LaneMessage, LanePosition, Prefix, SessionId,
    Submit, UrbFlags, UrbStatus,
};

use crate::{
    engine::ShareWish,
    net::{
        frames::read_frame,
        link::read_control,
        tests::{Daemon, bare, closed, must, narrow, record, resident},
    },
    usb::{
        TransferType,
        sim::{Behaviour, Model, SimDevice, SimHost},
    },
};

const SESSION: SessionId = SessionId(1);
/// Gives whatever is asked for.
const SOURCE: u8 = 0x81;
/// Takes everything.
const SINK: u8 = 0x01;
/// Never has anything.
const STUCK_IN: u8 = 0x84;
/// Never takes anything.
const STUCK_OUT: u8 = 0x04;

fn model() -> Model {
    let bulk = |model: Model, (address, behaviour)| model.with(address, TransferType::Bulk, behaviour, Duration::ZERO);
    [
        (SOURCE, Behaviour::Source),
        (SINK, Behaviour::Recorder),
        (STUCK_IN, Behaviour::Stuck),
        (STUCK_OUT, Behaviour::Stuck),
    ]
    .into_iter()
    .fold(Model::new("victim"), bulk)
}

/// A daemon with a device that a peer has claimed, and another peer that would like it.
struct Claimed {
    daemon: Daemon,
    device: Arc<SimDevice>,
    share: String,
    /// It stays open.
    _peer: Endpoint,
    friend: Endpoint,
    connection: Connection,
    tx: SendStream,
    rx: RecvStream,
}

impl Claimed {
    async fn new() -> Self {
        Self::by(bare(SecretKey::generate()).await).await
    }

    async fn by(peer: Endpoint) -> Self {
        let friend = bare(SecretKey::generate()).await;
        let host = SimHost::start().unwrap();
        let (device, info) = host.plug("9-1".parse().unwrap(), model());
        let bus_path = info.bus_path.clone();
        let daemon = Daemon::with(&[record(&peer, None), record(&friend, None)], host, vec![info]).await;
        let share = daemon.engine.share_device(bus_path, ShareWish::default(), 0).await.unwrap();
        let (connection, mut tx, mut rx) = daemon.link(&peer).await;
        assert!(attach(&mut tx, &mut rx, &share, SESSION).await, "the device can't be had");
        Self { daemon, device, share, _peer: peer, friend, connection, tx, rx }
    }

    async fn lane(&self, endpoint: u8) -> Lane {
        Lane::open(&self.connection, SESSION, endpoint).await
    }

    async fn say(&mut self, message: &ControlMessage) {
        // The link may be closed over what was said before.
        let _ = self.tx.write_all(&message.encode()).await;
    }

    /// The next thing that is said of the session.
    async fn news(&mut self) -> ControlMessage {
        loop {
            match must("news of the session", read_control(&mut self.rx)).await.unwrap() {
                Some((news @ (ControlMessage::Ended { .. } | ControlMessage::Resumed(_)), _)) => return news,
                Some(_) => {}
                None => panic!("it ended the control stream"),
            }
        }
    }

    /// The link is closed over it, for a reason that says what it was; the device is free for somebody else.
    async fn ends_over(self, why: &str) {
        let (code, reason) = closed(&self.connection).await;
        assert_eq!(code, CloseCode::ProtocolViolation, "{reason}");
        assert!(reason.contains(why), "{reason}");
        let (_connection, mut tx, mut rx) = self.daemon.link(&self.friend).await;
        // Giving back takes a moment, and until then it is somebody else's.
        must("the device", async {
            let mut session = 1;
            while !attach(&mut tx, &mut rx, &self.share, SessionId(session)).await {
                session += 1;
            }
        })
        .await;
        self.daemon.is_well();
    }

    /// It goes on to here.
    async fn stop(self) {
        assert!(self.connection.close_reason().is_none(), "{:?}", self.connection.close_reason());
        self.daemon.stop().await;
    }
}

/// Asks for a device; whether it can be had.
async fn attach(tx: &mut SendStream, rx: &mut RecvStream, share: &str, session: SessionId) -> bool {
    let attach = ControlMessage::Attach(Attach { session, device: share.to_owned() });
    tx.write_all(&attach.encode()).await.unwrap();
    loop {
        match must("an answer", read_control(rx)).await.unwrap() {
            Some((ControlMessage::Attached(attached), _)) if attached.session == session => return true,
            Some((ControlMessage::AttachRefused(refused), _)) if refused.session == session => return false,
            Some(_) => {}
            None => panic!("it ended the control stream"),
        }
    }
}

/// The importer's end of a lane.
struct Lane {
    tx: SendStream,
    rx: RecvStream,
    endpoint: u8,
    /// How many completions have come.
    received: u64,
}

impl Lane {
    async fn open(connection: &Connection, session: SessionId, endpoint: u8) -> Self {
        let (tx, rx) = must("a stream", connection.open_bi()).await.unwrap();
        let mut lane = Self { tx, rx, endpoint, received: 0 };
        lane.say(&LaneMessage::Open { session, endpoint }.encode(0), &[]).await;
        lane
    }

    async fn say(&mut self, head: &[u8], payload: &[u8]) {
        // The link may be closed over what was said before.
        let _ = self.tx.write_all(&[head, payload].concat()).await;
    }

    async fn submit(&mut self, seq: u64, length: u32, payload: &[u8]) {
        let submit = Submit { seq, length, ..self.plain() };
        self.say(&LaneMessage::Submit(submit).encode(payload.len() as u32), payload).await;
    }

    /// An empty URB with the number 1.
    fn plain(&self) -> Submit {
        let setup = (self.endpoint == 0).then_some([0x80, 6, 0, 1, 0, 0, 18, 0]);
        Submit { seq: 1, received: self.received, flags: UrbFlags::empty(), length: 0, setup, packets: 0 }
    }

    async fn acknowledge(&mut self, received: u64) {
        self.say(&LaneMessage::Acknowledge { received }.encode(0), &[]).await;
    }

    async fn completion(&mut self) -> (Complete, Bytes) {
        let frame = must("a completion", read_frame(&mut self.rx, FrameLimits::LANE)).await.unwrap().unwrap();
        match LaneMessage::decode(frame.kind, &frame.header).unwrap() {
            Some(LaneMessage::Complete(complete)) => {
                self.received += 1;
                (complete, frame.payload)
            }
            other => panic!("not a completion: {other:?}"),
        }
    }

    /// URBs run on it, from this number on.
    async fn works(&mut self, seqs: std::ops::Range<u64>) {
        for seq in seqs {
            let (length, payload) = if self.endpoint & 0x80 != 0 { (8, &[][..]) } else { (8, &[0; 8][..]) };
            self.submit(seq, length, payload).await;
            let (complete, _) = self.completion().await;
            assert_eq!((complete.seq, complete.status, complete.actual_length), (seq, UrbStatus::Ok, 8));
            self.acknowledge(seq).await;
        }
    }
}
