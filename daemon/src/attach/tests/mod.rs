//! Exporters that mean ill, from the first URB on: the pump between a kernel and an endpoint that says whatever it likes.
//!
//! The kernel of these tests writes USB/IP commands and reads the answers byte by byte, as the real one does: an answer
//! that is longer or shorter than it says is found out by the next one.

mod completions;
mod gone;
mod presents;
mod readers;
mod resume;

use std::sync::Arc;

use bytes::Bytes;
use iroh::{
    Endpoint, SecretKey,
    endpoint::{Connection, RecvStream, SendStream},
};
use p2pusb_protocol::{
    Complete, EndReason, FrameLimits, InterfaceClass, LaneMessage, LanePosition, MAJOR, PREFIX_LEN, Prefix, SessionId,
    Speed, Submit, UrbStatus,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::pump::{Pump, Stopped, Switch};
use crate::{
    net::{
        frames::read_frame,
        link::Connected,
        tests::{Daemon, address, bare, export, must, narrow, record, resident},
    },
    policy::Accept,
};

const SESSION: SessionId = SessionId(7);
/// What the device of these tests was offered as.
const DISK: InterfaceClass = InterfaceClass { class: 8, subclass: 6, protocol: 0x50 };
const CANCELLED: i32 = -104;
const RET_SUBMIT: u32 = 3;
const RET_UNLINK: u32 = 4;

/// The kernel's end of the socket.
struct Kernel(UnixStream);

/// What the kernel hears of a URB.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    command: u32,
    seqnum: u32,
    status: i32,
    actual_length: u32,
    data: Vec<u8>,
}

impl Kernel {
    async fn say(&mut self, words: [u32; 10], setup: [u8; 8], data: &[u8]) {
        let mut bytes = Vec::with_capacity(48 + data.len());
        for word in words {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&setup);
        bytes.extend_from_slice(data);
        self.0.write_all(&bytes).await.unwrap();
    }

    async fn submit_in(&mut self, seqnum: u32, endpoint: u32, length: u32) {
        self.say([1, seqnum, 1, 1, endpoint, 0, length, 0, 0, 0], [0x80, 6, 0, 1, 0, 0, 64, 0], &[]).await;
    }

    /// Asks for a configuration, as the kernel does before it binds drivers.
    async fn ask_configuration(&mut self, seqnum: u32, length: u32) {
        self.say([1, seqnum, 1, 1, 0, 0, length, 0, 0, 0], [0x80, 6, 0, 2, 0, 0, length as u8, 0], &[]).await;
    }

    async fn submit_out(&mut self, seqnum: u32, endpoint: u32, data: &[u8]) {
        self.say([1, seqnum, 1, 0, endpoint, 0, data.len() as u32, 0, 0, 0], [0; 8], data).await;
    }

    async fn unlink(&mut self, seqnum: u32, unlink: u32) {
        self.say([2, seqnum, 1, 0, 0, unlink, 0, 0, 0, 0], [0; 8], &[]).await;
    }

    /// Reads one answer, of which it knows that it is to a URB whose data goes that way.
    async fn answer(&mut self, input: bool) -> Answer {
        let read = async {
            let mut header = [0; 48];
            self.0.read_exact(&mut header).await.unwrap();
            let word = |at: usize| u32::from_be_bytes(header[at * 4..at * 4 + 4].try_into().unwrap());
            let (command, actual_length) = (word(0), word(6));
            assert!(matches!(command, RET_SUBMIT | RET_UNLINK), "not an answer: {header:?}");
            let mut data = vec![0; if input && command == RET_SUBMIT { actual_length as usize } else { 0 }];
            self.0.read_exact(&mut data).await.unwrap();
            Answer { command, seqnum: word(1), status: word(5) as i32, actual_length, data }
        };
        must("an answer to the kernel", read).await
    }

    /// The pump has let go of the socket, and has said nothing more.
    async fn hears_no_more(&mut self) {
        let mut rest = Vec::new();
        let read = must("the end of the socket", self.0.read_to_end(&mut rest)).await;
        // The kernel's commands may be unread at the other end.
        assert!(read.is_ok_and(|_| rest.is_empty()) || rest.is_empty(), "{rest:?}");
    }
}

/// The exporter's end of a lane.
struct Lane {
    tx: SendStream,
    rx: RecvStream,
    endpoint: u8,
}

impl Lane {
    /// The next submit and its data.
    async fn submit(&mut self) -> (Submit, Bytes) {
        loop {
            let frame = must("a submit", read_frame(&mut self.rx, FrameLimits::LANE)).await.unwrap().unwrap();
            match LaneMessage::decode(frame.kind, &frame.header).unwrap() {
                Some(LaneMessage::Submit(submit)) => return (submit, frame.payload),
                Some(LaneMessage::Acknowledge { .. }) => {}
                other => panic!("not a submit: {other:?}"),
            }
        }
    }

    async fn complete(&mut self, seq: u64, actual_length: u32, data: &[u8]) {
        let complete = Complete { seq, status: UrbStatus::Ok, actual_length, packets: 0 };
        self.say(&LaneMessage::Complete(complete).encode(data.len() as u32), data).await;
    }

    async fn say(&mut self, head: &[u8], data: &[u8]) {
        // The stream may have been closed over what was said before.
        let _ = self.tx.write_all(&[head, data].concat()).await;
    }

    async fn cancel(&mut self, seq: u64) {
        let complete = Complete { seq, status: UrbStatus::Cancelled, actual_length: 0, packets: 0 };
        self.say(&LaneMessage::Complete(complete).encode(0), &[]).await;
    }
}

/// A daemon with a pump that is at work for an attachment, and the two that it stands between.
struct Bench {
    daemon: Daemon,
    endpoint: Endpoint,
    connection: Connection,
    /// It stays open.
    _control: (SendStream, RecvStream),
    link: Connected,
    kernel: Kernel,
    switches: mpsc::Sender<Switch>,
    pump: JoinHandle<Stopped>,
}

impl Bench {
    async fn new() -> Self {
        Self::with(bare(SecretKey::generate()).await).await
    }

    async fn with(exporter: Endpoint) -> Self {
        let daemon = Daemon::start(&[record(&exporter, Some(address(&exporter)))]).await;
        let (connection, tx, rx) = export(&exporter, MAJOR).await;
        let link = daemon.connected().await;
        let (ours, kernel) = UnixStream::pair().unwrap();
        let (switches, switched) = mpsc::channel(1);
        let disk = Accept::default().device(exporter.id().into(), "", &[DISK]);
        let pump = Pump::new(SESSION, Speed::High, link.clone(), disk, Arc::default());
        let pump = tokio::spawn(pump.run(ours, switched));
        let kernel = Kernel(kernel);
        Self { daemon, endpoint: exporter, connection, _control: (tx, rx), link, kernel, switches, pump }
    }

    /// Takes the next lane that the pump opens.
    async fn lane(&self) -> Lane {
        let (tx, mut rx) = must("a lane", self.connection.accept_bi()).await.unwrap();
        let frame = must("its opening", read_frame(&mut rx, FrameLimits::LANE_OPEN)).await.unwrap().unwrap();
        match LaneMessage::decode(frame.kind, &frame.header).unwrap() {
            Some(LaneMessage::Open { session: SESSION, endpoint }) => Lane { tx, rx, endpoint },
            other => panic!("not an opening: {other:?}"),
        }
    }

    /// A URB goes from the kernel to the exporter and back: the way is clear.
    async fn works(&mut self, lane: &mut Lane, seqnum: u32) {
        let input = lane.endpoint & 0x80 != 0;
        let number = u32::from(lane.endpoint & 0x0f);
        match input {
            true => self.kernel.submit_in(seqnum, number, 8).await,
            false => self.kernel.submit_out(seqnum, number, b"12345678").await,
        }
        let (submit, _) = lane.submit().await;
        lane.complete(submit.seq, 8, if input { b"abcdefgh" } else { &[] }).await;
        let answer = self.kernel.answer(input).await;
        assert_eq!((answer.seqnum, answer.status, answer.actual_length), (seqnum, 0, 8));
        assert_eq!(answer.data, if input { b"abcdefgh".to_vec() } else { Vec::new() });
    }

    /// The session is over, and it is the peer's fault. The link, with what else goes on over it, is not.
    async fn ends(mut self) {
        assert_eq!(
            must("the end of the session", &mut self.pump).await.unwrap(),
            Stopped::Over(EndReason::ProtocolError)
        );
        self.kernel.hears_no_more().await;
        assert!(self.connection.close_reason().is_none(), "the link is closed");
        self.stop().await;
    }

    /// It goes on to here.
    async fn stop(self) {
        self.pump.abort();
        self.daemon.stop().await;
        self.endpoint.close().await;
    }
}
