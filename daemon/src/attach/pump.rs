//! The way of the URBs of one attachment, between the kernel's socket and the lanes.
//!
//! One task owns all state and never waits for a slow lane: a lane takes as many URBs as its window holds
//! ([`ImporterLane`]), further ones wait here. Around it stand small tasks that only move bytes: a reader
//! and a writer for the kernel's socket, and one for each lane.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use iroh::endpoint::SendStream;
use p2pusb_protocol::{
    Complete, ControlMessage, EndReason, FrameLimits, ImporterLane, LaneMessage, MAX_LANES, MAX_URBS_PER_LANE,
    SessionId, Submit, UrbFlags, UrbStatus,
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
    task::JoinSet,
    time::sleep,
};
use tracing::{debug, warn};

use super::{
    Counters,
    usbip::{self, Command, Reply},
};
use crate::net::{
    frames::{FrameError, read_frame, write_frame},
    link::Connected,
};

/// Commands of the kernel that wait for the pump.
const COMMAND_QUEUE: usize = 64;
/// Answers that wait for the kernel.
const REPLY_QUEUE: usize = 64;
/// Completions that wait for the pump, over all lanes.
const COMPLETION_QUEUE: usize = 64;
/// URBs of one endpoint that may wait for room in their lane. Drivers keep a handful in flight; one that
/// submits thousands gets -ENOMEM, which is what a kernel without memory says, too.
const MAX_WAITING: usize = 4096;
/// A lane that the peer closes is followed by the session's end. This is how long that may take.
const LANE_END_TIMEOUT: Duration = Duration::from_secs(5);

/// -ECONNRESET: the answer to an unlink that cancelled something, Documentation/usb/usbip_protocol.rst.
const CANCELLED: i32 = -nix::libc::ECONNRESET;

/// What a lane's task tells the pump.
enum LaneEvent {
    Complete {
        endpoint: u8,
        complete: Complete,
        data: Bytes,
    },
    /// The stream is over.
    Closed,
    /// The peer broke the protocol.
    Violation(String),
}

/// A URB between the kernel's submit and its answer.
#[derive(Debug)]
struct Urb {
    seqnum: u32,
    input: bool,
    length: u32,
    /// The number of the kernel's unlink command, once there is one.
    unlinked: Option<u32>,
}

struct Lane {
    state: ImporterLane<Urb>,
    waiting: VecDeque<(Urb, Submit, Bytes)>,
    frames: mpsc::Sender<(Bytes, Bytes)>,
}

/// Where the kernel's URB with a certain number is now.
#[derive(Clone, Copy)]
enum Whereabouts {
    /// In this lane's queue, not sent yet.
    Waiting(u8),
    /// On its way, as this lane's sequence number.
    Sent(u8, u64),
}

/// Why the pump stops.
enum Fault {
    /// The kernel closed the port, or its socket failed.
    Kernel,
    Protocol(String),
}

pub(super) struct Pump {
    session: SessionId,
    link: Connected,
    counters: Arc<Counters>,
    lanes: HashMap<u8, Lane>,
    urbs: HashMap<u32, Whereabouts>,
    tasks: JoinSet<()>,
}

impl Pump {
    pub(super) fn new(session: SessionId, link: Connected, counters: Arc<Counters>) -> Self {
        Self { session, link, counters, lanes: HashMap::new(), urbs: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Pumps until the kernel or the peer stops. Dropping the future stops it, too.
    pub(super) async fn run(mut self, socket: UnixStream) -> EndReason {
        let (from_kernel, mut to_kernel) = socket.into_split();
        let (commands_tx, mut commands) = mpsc::channel(COMMAND_QUEUE);
        let (replies, mut replies_rx) = mpsc::channel::<Reply>(REPLY_QUEUE);
        let (events_tx, mut events) = mpsc::channel(COMPLETION_QUEUE);
        self.tasks.spawn(read_commands(from_kernel, commands_tx));
        self.tasks.spawn(async move {
            while let Some(reply) = replies_rx.recv().await {
                let mut bytes = reply.header.as_slice().chain(reply.data).chain(reply.iso_packets);
                if let Err(error) = to_kernel.write_all_buf(&mut bytes).await {
                    return debug!("the kernel's socket failed: {error}");
                }
            }
        });
        let fault = loop {
            let result = tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Submit(urb)) => self.submit(urb, &replies, &events_tx).await,
                    Some(Command::Unlink { seqnum, unlink }) => self.unlink(seqnum, unlink, &replies).await,
                    None => Err(Fault::Kernel),
                },
                Some(event) = events.recv() => match event {
                    LaneEvent::Complete { endpoint, complete, data } => {
                        self.complete(endpoint, complete, data, &replies).await
                    }
                    LaneEvent::Violation(what) => Err(Fault::Protocol(what)),
                    LaneEvent::Closed => {
                        // Whoever runs the pump hears of the session's end and drops it before this is over.
                        sleep(LANE_END_TIMEOUT).await;
                        Err(Fault::Protocol("it closed a lane of a session that goes on".to_owned()))
                    }
                },
            };
            if let Err(fault) = result {
                break fault;
            }
        };
        match fault {
            Fault::Kernel => EndReason::KernelDetached,
            Fault::Protocol(what) => {
                warn!("the peer broke the protocol: {what}");
                EndReason::ProtocolError
            }
        }
    }

    async fn submit(
        &mut self,
        command: usbip::Submit,
        replies: &mpsc::Sender<Reply>,
        events: &mpsc::Sender<LaneEvent>,
    ) -> Result<(), Fault> {
        if !command.iso_packets.is_empty() {
            return reply(replies, usbip::ret_submit_iso_failed(&command, UrbStatus::Invalid.errno())).await;
        }
        let usbip::Submit { seqnum, endpoint, input, length, setup, data, .. } = command;
        if self.lanes.len() >= MAX_LANES && !self.lanes.contains_key(&endpoint) {
            return reply(replies, usbip::ret_submit(seqnum, UrbStatus::NoEndpoint.errno(), 0, Bytes::new())).await;
        }
        let flag = |set: bool, flag: UrbFlags| if set { flag } else { UrbFlags::empty() };
        let flags =
            flag(command.short_not_ok, UrbFlags::SHORT_NOT_OK) | flag(command.zero_packet, UrbFlags::ZERO_PACKET);
        let setup = (endpoint == 0).then_some(setup);
        let urb = Urb { seqnum, input, length, unlinked: None };
        // The sequence number is the lane's to give.
        let submit = Submit { seq: 0, flags, length, setup };
        let lane = self.lanes.entry(endpoint).or_insert_with(|| {
            let (frames, queue) = mpsc::channel(MAX_URBS_PER_LANE);
            self.tasks.spawn(run_lane(self.link.clone(), self.session, endpoint, queue, events.clone()));
            Lane { state: ImporterLane::new(), waiting: VecDeque::new(), frames }
        });
        if lane.waiting.len() >= MAX_WAITING {
            return reply(replies, usbip::ret_submit(seqnum, UrbStatus::NoMemory.errno(), 0, Bytes::new())).await;
        }
        lane.waiting.push_back((urb, submit, data));
        self.urbs.insert(seqnum, Whereabouts::Waiting(endpoint));
        lane.send(endpoint, &mut self.urbs);
        Ok(())
    }

    async fn unlink(&mut self, seqnum: u32, unlink: u32, replies: &mpsc::Sender<Reply>) -> Result<(), Fault> {
        match self.urbs.get(&unlink).copied() {
            // Its completion has been sent to the kernel already.
            None => reply(replies, usbip::ret_unlink(seqnum, 0)).await,
            Some(Whereabouts::Waiting(endpoint)) => {
                self.urbs.remove(&unlink);
                if let Some(lane) = self.lanes.get_mut(&endpoint) {
                    lane.waiting.retain(|(urb, ..)| urb.seqnum != unlink);
                }
                reply(replies, usbip::ret_unlink(seqnum, CANCELLED)).await
            }
            Some(Whereabouts::Sent(endpoint, seq)) => {
                if let Some(urb) = self.lanes.get_mut(&endpoint).and_then(|lane| lane.state.get_mut(seq)) {
                    urb.unlinked = Some(seqnum);
                }
                self.link.send(ControlMessage::Unlink { session: self.session, endpoint, seq }).await;
                Ok(())
            }
        }
    }

    async fn complete(
        &mut self,
        endpoint: u8,
        complete: Complete,
        mut data: Bytes,
        replies: &mpsc::Sender<Reply>,
    ) -> Result<(), Fault> {
        let Complete { seq, status, actual_length } = complete;
        let lane = self.lanes.get_mut(&endpoint);
        let Some((lane, urb)) = lane.and_then(|lane| lane.state.complete(seq).map(|urb| (lane, urb))) else {
            // vhci would drop the device for an answer to a URB that it never submitted.
            return Err(Fault::Protocol(format!(
                "it completed URB {seq} of endpoint {endpoint:#04x}, which is not out"
            )));
        };
        self.urbs.remove(&urb.seqnum);
        lane.send(endpoint, &mut self.urbs);
        // Clamped to what was submitted, whatever the peer says: the kernel trusts these numbers.
        let actual_length = if urb.input {
            data.truncate(urb.length.min(actual_length) as usize);
            data.len() as u32
        } else {
            data.clear();
            actual_length.min(urb.length)
        };
        self.counters.count(urb.input, actual_length);
        if let (Some(seqnum), UrbStatus::Cancelled) = (urb.unlinked, status) {
            return reply(replies, usbip::ret_unlink(seqnum, CANCELLED)).await;
        }
        reply(replies, usbip::ret_submit(urb.seqnum, status.errno(), actual_length, data)).await?;
        match urb.unlinked {
            Some(seqnum) => reply(replies, usbip::ret_unlink(seqnum, 0)).await,
            None => Ok(()),
        }
    }
}

async fn reply(replies: &mpsc::Sender<Reply>, reply: Reply) -> Result<(), Fault> {
    replies.send(reply).await.map_err(|_| Fault::Kernel)
}

impl Lane {
    /// Sends what the window has room for.
    fn send(&mut self, endpoint: u8, urbs: &mut HashMap<u32, Whereabouts>) {
        while let Some((urb, mut submit, data)) = self.waiting.pop_front() {
            let seqnum = urb.seqnum;
            match self.state.submit(urb, submit.length) {
                Err(urb) => return self.waiting.push_front((urb, submit, data)),
                Ok(seq) => {
                    submit.seq = seq;
                    urbs.insert(seqnum, Whereabouts::Sent(endpoint, seq));
                    let head = LaneMessage::Submit(submit).encode(data.len() as u32);
                    // The queue is as long as the window, and every frame in it belongs to a URB in the
                    // window. So there is room, unless the lane's task has ended; the pump hears of that.
                    let _ = self.frames.try_send((head, data));
                }
            }
        }
    }
}

async fn read_commands(mut socket: impl AsyncRead + Unpin, commands: mpsc::Sender<Command>) {
    loop {
        match usbip::read_command(&mut socket).await {
            Ok(command) => {
                if commands.send(command).await.is_err() {
                    return;
                }
            }
            Err(usbip::UsbIpError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return,
            Err(error) => return warn!("{error}"),
        }
    }
}

/// Moves one lane's frames, both ways.
async fn run_lane(
    link: Connected,
    session: SessionId,
    endpoint: u8,
    mut queue: mpsc::Receiver<(Bytes, Bytes)>,
    events: mpsc::Sender<LaneEvent>,
) {
    let end = match link.open_lane().await {
        Ok((mut to, mut from)) => {
            if endpoint == 0 {
                // A closed stream has no priority; its lane ends at once anyway.
                let _ = to.set_priority(1);
            }
            let open = LaneMessage::Open { session, endpoint }.encode(0);
            let write = async {
                write_frame(&mut to, open, Bytes::new()).await?;
                write_frames(&mut to, &mut queue).await
            };
            tokio::select! {
                Err(error) = write => {
                    debug!("a lane's stream failed: {error}");
                    LaneEvent::Closed
                }
                event = read_completions(&mut from, endpoint, &events) => event,
            }
        }
        Err(error) => {
            debug!("no lane for endpoint {endpoint:#04x}: {error}");
            LaneEvent::Closed
        }
    };
    // The pump may be gone; then nobody needs to know.
    let _ = events.send(end).await;
}

async fn write_frames(
    to: &mut SendStream,
    queue: &mut mpsc::Receiver<(Bytes, Bytes)>,
) -> Result<(), iroh::endpoint::WriteError> {
    while let Some((head, payload)) = queue.recv().await {
        write_frame(to, head, payload).await?;
    }
    Ok(())
}

async fn read_completions(
    from: &mut iroh::endpoint::RecvStream,
    endpoint: u8,
    events: &mpsc::Sender<LaneEvent>,
) -> LaneEvent {
    loop {
        let frame = match read_frame(from, FrameLimits::LANE).await {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(FrameError::Stream(_)) => return LaneEvent::Closed,
            Err(error) => return LaneEvent::Violation(error.to_string()),
        };
        match LaneMessage::decode(frame.kind, &frame.header) {
            Ok(Some(LaneMessage::Complete(complete))) => {
                if events.send(LaneEvent::Complete { endpoint, complete, data: frame.payload }).await.is_err() {
                    return LaneEvent::Closed;
                }
            }
            Ok(Some(_)) => return LaneEvent::Violation("a lane's message out of order".to_owned()),
            Ok(None) => {}
            Err(error) => return LaneEvent::Violation(error.to_string()),
        }
    }
}
