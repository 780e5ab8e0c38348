//! The way of the URBs of one attachment, between the kernel's socket and the lanes.
//!
//! One task owns all state and never waits for a slow lane: a lane takes as many URBs as its window holds
//! ([`ImporterLane`]), further ones wait here. Around it stand small tasks that only move bytes: a reader
//! and a writer for the kernel's socket, and one for each lane. Those of the lanes last as long as their
//! connection; without one, URBs wait, and the kernel sees no more than a device that takes its time.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use iroh::endpoint::{RecvStream, SendStream, WriteError};
use p2pusb_protocol::{
    Complete, ControlMessage, EndReason, FieldError, ImporterLane, InterfaceClass, LaneMessage, LanePosition,
    MAX_LANES, MAX_URBS_PER_LANE, ProtocolError, SessionId, Speed, Submit, UrbFlags, UrbStatus, iso,
};
use tokio::{
    io::{AsyncRead, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tracing::{debug, warn};

use super::{
    ahead::Ahead,
    iso::Packets,
    usbip::{self, CANCELLED, Command, Reply},
};
use crate::{
    buffers::Buffers,
    counters::{Counted, Counters},
    net::{
        frames::{
            FrameError, Head, PRIORITY_URGENT, Payload, read_lane_head, read_lane_payload, skip_payload,
            write_lane_frame,
        },
        link::Connected,
    },
    policy::{Presentable, Unaccepted},
    usb,
};

/// Commands of the kernel that wait for the pump.
const COMMAND_QUEUE: usize = 64;
/// What is read of the kernel's socket at once, in bytes; longer data goes straight to where it belongs.
const READ_AHEAD: usize = 4096;
/// Answers that wait for the kernel, or for being looked at first; one command has no more than two.
const REPLY_QUEUE: usize = 64;
/// Completions that wait for the pump, over all lanes.
const COMPLETION_QUEUE: usize = 64;
/// URBs of one endpoint that may wait for room in their lane. Drivers keep a handful in flight; one that
/// submits thousands gets -ENOMEM, which is what a kernel without memory says, too.
const MAX_WAITING: usize = 4096;
/// Frames that wait for one lane's stream: a whole window of URBs, and as many acknowledgements.
const FRAME_QUEUE: usize = 2 * MAX_URBS_PER_LANE;
/// How long a completion may stay unacknowledged. A submit that comes before acknowledges it by the way.
const ACKNOWLEDGE_DELAY: Duration = Duration::from_millis(100);
/// How long no request may come on endpoint 0 until the kernel is taken to have given up a device that is gone. Its hub
/// driver asks again at once, a few times, and then resets the port, which takes longer than this.
const GONE_QUIET: Duration = Duration::from_millis(10);
/// A configuration is asked for with these, in table 9-4 of the USB 2.0 specification: bmRequestType, bRequest, and the upper
/// half of wValue.
const GET_DESCRIPTOR_TYPE: u8 = 0x80;
const GET_DESCRIPTOR: u8 = 6;
const CONFIGURATION: u8 = 2;
/// A lane that the peer closes is followed by the end of the session or the connection. This is how long that may take.
const LANE_END_TIMEOUT: Duration = Duration::from_secs(5);

/// What a lane's task tells the pump.
enum LaneEvent {
    Complete {
        endpoint: u8,
        complete: Complete,
        data: Bytes,
    },
    /// The peer broke the protocol.
    Violation(String),
}

/// The pump's connection comes and goes, and the device goes.
#[derive(Debug)]
pub(super) enum Switch {
    /// It is lost. Answered with what has come on each lane; nothing comes until there is another one.
    Pause { reply: oneshot::Sender<Vec<LanePosition>> },
    /// There is another one, and so much of what was submitted on each lane has come to the peer.
    Resume { link: Connected, lanes: Vec<LanePosition> },
    /// The device is gone, and there will be no other. Says when nothing in the kernel waits for an answer on endpoint 0.
    Gone { quiet: oneshot::Sender<()> },
}

/// The device is gone.
struct Gone {
    /// When nothing has been asked for long enough.
    due: Option<Instant>,
    last: Option<Last>,
}

/// What is to be done when the kernel has given up a device that is gone.
enum Last {
    /// Say so.
    Word(oneshot::Sender<()>),
    /// Stop for this reason.
    Stop(Unaccepted),
}

/// A URB between the kernel's submit and its answer, with all that it takes to send it again.
#[derive(Debug)]
struct Urb {
    seqnum: u32,
    input: bool,
    flags: UrbFlags,
    length: u32,
    setup: Option<[u8; 8]>,
    /// The data of an OUT transfer; that of isochronous packets without gaps.
    data: Bytes,
    /// The packets of an isochronous URB; none otherwise.
    packets: Packets,
    /// The frame in which it was to begin.
    start_frame: u32,
    /// The number of the kernel's unlink command, once there is one.
    unlinked: Option<u32>,
}

struct Lane {
    /// Its URBs go before those of other lanes: control, interrupt, isochronous.
    urgent: bool,
    state: ImporterLane<Urb>,
    waiting: VecDeque<Urb>,
    /// To the stream; `None` without a connection.
    frames: Option<mpsc::Sender<Frame>>,
    longest: Longest,
}

/// The longest payload that a completion on a lane can have, in bytes: that of the longest URB so far. A peer that
/// announces more is not waited for.
type Longest = Arc<AtomicU32>;

/// The connection that the lanes use now.
struct Line {
    link: Connected,
    buffers: Arc<Buffers>,
    events: mpsc::Sender<LaneEvent>,
    /// The lanes' tasks, which end with this.
    tasks: JoinSet<()>,
}

impl Line {
    fn new(link: Connected, buffers: Arc<Buffers>) -> (Self, mpsc::Receiver<LaneEvent>) {
        let (events, receiver) = mpsc::channel(COMPLETION_QUEUE);
        (Self { link, buffers, events, tasks: JoinSet::new() }, receiver)
    }

    /// Opens a lane's stream.
    fn open(&mut self, session: SessionId, endpoint: u8, urgent: bool, longest: &Longest) -> mpsc::Sender<Frame> {
        let (frames, queue) = mpsc::channel(FRAME_QUEUE);
        let (events, buffers) = (self.events.clone(), self.buffers.clone());
        let lane = LaneEnds { endpoint, urgent, queue, events, buffers, longest: longest.clone() };
        self.tasks.spawn(lane.run(self.link.clone(), session));
        frames
    }
}

/// Where the kernel's URB with a certain number is now.
#[derive(Clone, Copy)]
enum Whereabouts {
    /// In this lane's queue, not sent yet.
    Waiting(u8),
    /// On its way, as this lane's sequence number.
    Sent(u8, u64),
}

/// What is to be said on a lane.
type Frame = (LaneMessage, Payload);

/// Why the pump stops.
enum Fault {
    /// The kernel closed the port, or its socket failed.
    Kernel,
    Protocol(String),
    Unaccepted(Unaccepted),
}

/// What became of the pump.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The session is over.
    Over(EndReason),
    /// The device presents what it must not be here. The kernel has not seen it.
    Unaccepted(Unaccepted),
}

pub(super) struct Pump {
    session: SessionId,
    presentable: Presentable,
    counters: Arc<Counters>,
    buffers: Arc<Buffers>,
    line: Option<Line>,
    /// What the lanes of the connection say.
    events: mpsc::Receiver<LaneEvent>,
    lanes: HashMap<u8, Lane>,
    urbs: HashMap<u32, Whereabouts>,
    /// Between the kernel and all this.
    ahead: Ahead,
    /// How long a round trip took when it was last asked for.
    round_trip: Duration,
    /// When the peer is to be told what has come.
    acknowledge: Option<Instant>,
    gone: Option<Gone>,
}

impl Pump {
    pub(super) fn new(
        session: SessionId,
        speed: Speed,
        link: Connected,
        presentable: Presentable,
        counters: Arc<Counters>,
    ) -> Self {
        let buffers = Arc::new(Buffers::new());
        let (line, events) = Line::new(link, buffers.clone());
        let (lanes, urbs) = (HashMap::new(), HashMap::new());
        let (ahead, round_trip, line) = (Ahead::new(speed), Duration::ZERO, Some(line));
        let (acknowledge, gone) = (None, None);
        Self {
            session,
            presentable,
            counters,
            buffers,
            line,
            events,
            lanes,
            urbs,
            ahead,
            round_trip,
            acknowledge,
            gone,
        }
    }

    /// Pumps until the kernel stops or the peer breaks the protocol. Dropping the future stops it, too.
    pub(super) async fn run(mut self, socket: UnixStream, mut switches: mpsc::Receiver<Switch>) -> Stopped {
        let (from_kernel, mut to_kernel) = socket.into_split();
        let (commands_tx, mut commands) = mpsc::channel(COMMAND_QUEUE);
        let (replies, mut replied) = mpsc::channel::<Reply>(REPLY_QUEUE);
        let (answers, mut answers_rx) = mpsc::channel::<Reply>(REPLY_QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(read_commands(from_kernel, commands_tx, self.buffers.clone()));
        tasks.spawn(async move {
            while let Some(reply) = answers_rx.recv().await {
                let mut bytes = reply.header.as_slice().chain(reply.data).chain(reply.iso_packets);
                if let Err(error) = to_kernel.write_all_buf(&mut bytes).await {
                    return debug!("the kernel's socket failed: {error}");
                }
            }
        });
        let fault = loop {
            let result = tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => {
                        self.take(command);
                        Ok(())
                    }
                    None => Err(Fault::Kernel),
                },
                Some(event) = self.events.recv() => match event {
                    LaneEvent::Complete { endpoint, complete, data } => {
                        self.complete(endpoint, complete, data, &replies).await
                    }
                    LaneEvent::Violation(what) => Err(Fault::Protocol(what)),
                },
                Some(switch) = switches.recv() => match switch {
                    Switch::Pause { reply } => {
                        // Whoever asked may be gone; then nobody needs to know.
                        let _ = reply.send(self.pause());
                        Ok(())
                    }
                    Switch::Resume { link, lanes } => self.resume(link, &lanes).await,
                    Switch::Gone { quiet } => {
                        self.give_up(Last::Word(quiet));
                        Ok(())
                    }
                },
                () = moment(self.acknowledge) => {
                    self.acknowledge();
                    Ok(())
                }
                () = moment(self.ahead.due()) => Ok(()),
                () = moment(self.gone.as_ref().and_then(|gone| gone.due)) => self.quiet(),
            };
            let result = match result {
                Ok(()) => self.settle(&replies, &mut replied, &answers).await,
                failed => failed,
            };
            if let Err(fault) = result {
                break fault;
            }
        };
        match fault {
            Fault::Kernel => Stopped::Over(EndReason::KernelDetached),
            Fault::Protocol(what) => {
                warn!("the peer broke the protocol: {what}");
                Stopped::Over(EndReason::ProtocolError)
            }
            Fault::Unaccepted(unaccepted) => Stopped::Unaccepted(unaccepted),
        }
    }

    /// Takes a command of the kernel.
    fn take(&mut self, command: Command) {
        let Self { ahead, line, round_trip, urbs, .. } = self;
        let link = line.as_ref().map(|line| &line.link);
        let round_trip = || {
            if let Some((_, now)) = link.and_then(Connected::path) {
                *round_trip = now;
            }
            *round_trip
        };
        ahead.command(command, Instant::now(), round_trip, |number| urbs.contains_key(&number));
    }

    /// Does what is to be done after a command or an event: carries out commands, and answers the kernel.
    async fn settle(
        &mut self,
        replies: &mpsc::Sender<Reply>,
        replied: &mut mpsc::Receiver<Reply>,
        answers: &mpsc::Sender<Reply>,
    ) -> Result<(), Fault> {
        loop {
            while let Ok(reply) = replied.try_recv() {
                self.ahead.reply(reply);
            }
            if let Some(answer) = self.ahead.next_reply(Instant::now()) {
                reply(answers, answer).await?;
                continue;
            }
            match self.ahead.next_command() {
                Some(Command::Submit(urb)) => self.submit(urb, replies).await?,
                Some(Command::Unlink { seqnum, unlink }) => self.unlink(seqnum, unlink, replies).await?,
                None => return Ok(()),
            }
        }
    }

    /// Leaves the connection. What its lanes still had to say is said again on the next one.
    fn pause(&mut self) -> Vec<LanePosition> {
        self.line = None;
        // Nothing comes from here any longer: the senders were the line's.
        self.events.close();
        while self.events.try_recv().is_ok() {}
        self.acknowledge = None;
        let stand = |(&endpoint, lane): (&u8, &mut Lane)| {
            lane.frames = None;
            LanePosition { endpoint, position: lane.state.received() }
        };
        self.lanes.iter_mut().map(stand).collect()
    }

    /// The device is gone. vhci lets go of a port without answering what is out there, and waiting for that is up to
    /// whoever submitted it: drivers are told to stop, but a reset of the device that the hub's driver is about waits for
    /// its own requests, on endpoint 0, for five seconds each (USB_CTRL_GET_TIMEOUT). So these are answered; the
    /// drivers' are not, because a driver that sees an error begins to repair the device.
    fn give_up(&mut self, last: Last) {
        self.pause();
        let mut due = Instant::now();
        if matches!(last, Last::Stop(_)) {
            // The kernel has just been told for the first time.
            due += GONE_QUIET;
        }
        if let Some(mut control) = self.lanes.remove(&0) {
            let sent = control.state.pending().map(|(_, urb)| urb.refused());
            let waiting = control.waiting.drain(..).map(|urb| urb.refused());
            for (seqnum, answer) in sent.chain(waiting) {
                due = Instant::now() + GONE_QUIET;
                self.urbs.remove(&seqnum);
                self.ahead.reply(answer);
            }
        }
        self.gone = Some(Gone { due: Some(due), last: Some(last) });
    }

    /// The kernel has given up the device that is gone.
    fn quiet(&mut self) -> Result<(), Fault> {
        let Some(Gone { due, last }) = &mut self.gone else { return Ok(()) };
        *due = None;
        match last.take() {
            // Whoever asked may be gone; then nobody needs to know.
            Some(Last::Word(quiet)) => drop(quiet.send(())),
            Some(Last::Stop(unaccepted)) => return Err(Fault::Unaccepted(unaccepted)),
            None => {}
        }
        Ok(())
    }

    /// Goes on over another connection: sends what did not come to the peer, then what has waited.
    async fn resume(&mut self, link: Connected, positions: &[LanePosition]) -> Result<(), Fault> {
        let (mut line, events) = Line::new(link, self.buffers.clone());
        self.events = events;
        let mut unlinks = Vec::new();
        for (&endpoint, lane) in &mut self.lanes {
            let said = positions.iter().find(|position| position.endpoint == endpoint);
            let said = said.ok_or_else(|| Fault::Protocol(format!("it has lost the lane of {endpoint:#04x}")))?;
            let frames = line.open(self.session, endpoint, lane.urgent, &lane.longest);
            let received = lane.state.acknowledge();
            let again = lane.state.resume(said.position).map_err(|error| Fault::Protocol(error.to_string()))?;
            for (seq, urb) in again {
                // The queue holds a window, and all these are in the window.
                let _ = frames.try_send(urb.frame(seq, received));
            }
            let unlinked = lane.state.pending().filter(|(_, urb)| urb.unlinked.is_some());
            unlinks.extend(unlinked.map(|(seq, _)| (endpoint, seq)));
            lane.frames = Some(frames);
            lane.send(endpoint, &mut self.urbs);
        }
        for (endpoint, seq) in unlinks {
            line.link.send(ControlMessage::Unlink { session: self.session, endpoint, seq }).await;
        }
        self.line = Some(line);
        Ok(())
    }

    /// Tells the peer what has come on the lanes on which nothing was submitted since.
    fn acknowledge(&mut self) {
        self.acknowledge = None;
        for lane in self.lanes.values_mut().filter(|lane| lane.state.owes_acknowledgement()) {
            // A place for each URB of the window stays free. Where there is no other, the submits that take up
            // the queue say it.
            if let Some(frames) = lane.frames.as_ref().filter(|frames| frames.capacity() > MAX_URBS_PER_LANE) {
                let received = lane.state.acknowledge();
                let _ = frames.try_send((LaneMessage::Acknowledge { received }, Payload::default()));
            }
        }
    }

    async fn submit(&mut self, command: usbip::Submit, replies: &mpsc::Sender<Reply>) -> Result<(), Fault> {
        let usbip::Submit { seqnum, endpoint, input, mut length, setup, mut data, packets, start_frame, .. } = command;
        if let (0, Some(gone)) = (endpoint, &mut self.gone) {
            gone.due = Some(Instant::now() + GONE_QUIET);
            return reply(replies, usbip::ret_submit_failed(seqnum, UrbStatus::Gone, &packets)).await;
        }
        if self.lanes.len() >= MAX_LANES && !self.lanes.contains_key(&endpoint) {
            return reply(replies, usbip::ret_submit_failed(seqnum, UrbStatus::NoEndpoint, &packets)).await;
        }
        if !packets.is_empty() {
            let Some(carried) = packets.length(length) else {
                return reply(replies, usbip::ret_submit_failed(seqnum, UrbStatus::Invalid, &packets)).await;
            };
            length = carried;
            if !input {
                data = packets.gather(data);
            }
        }
        let flag = |set: bool, flag: UrbFlags| if set { flag } else { UrbFlags::empty() };
        let flags =
            flag(command.short_not_ok, UrbFlags::SHORT_NOT_OK) | flag(command.zero_packet, UrbFlags::ZERO_PACKET);
        let setup = (endpoint == 0).then_some(setup);
        let urb = Urb { seqnum, input, flags, length, setup, data, packets, start_frame, unlinked: None };
        let lane = self.lanes.entry(endpoint).or_insert_with(|| {
            let urgent = endpoint == 0 || command.interval != 0;
            let longest = Longest::default();
            let frames = self.line.as_mut().map(|line| line.open(self.session, endpoint, urgent, &longest));
            Lane { urgent, state: ImporterLane::new(), waiting: VecDeque::new(), frames, longest }
        });
        if lane.waiting.len() >= MAX_WAITING {
            return reply(replies, usbip::ret_submit_failed(seqnum, UrbStatus::NoMemory, &urb.packets)).await;
        }
        lane.waiting.push_back(urb);
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
                    lane.waiting.retain(|urb| urb.seqnum != unlink);
                }
                reply(replies, usbip::ret_unlink(seqnum, CANCELLED)).await
            }
            Some(Whereabouts::Sent(endpoint, seq)) => {
                if let Some(urb) = self.lanes.get_mut(&endpoint).and_then(|lane| lane.state.get_mut(seq)) {
                    urb.unlinked = Some(seqnum);
                }
                // Without a connection it is said on the next one.
                if let Some(line) = &self.line {
                    line.link.send(ControlMessage::Unlink { session: self.session, endpoint, seq }).await;
                }
                Ok(())
            }
        }
    }

    async fn complete(
        &mut self,
        endpoint: u8,
        complete: Complete,
        payload: Bytes,
        replies: &mpsc::Sender<Reply>,
    ) -> Result<(), Fault> {
        let Complete { seq, status, .. } = complete;
        let lane = self.lanes.get_mut(&endpoint);
        let Some((lane, urb)) = lane.and_then(|lane| lane.state.complete(seq).map(|urb| (lane, urb))) else {
            // vhci would drop the device for an answer to a URB that it never submitted.
            return Err(Fault::Protocol(format!(
                "it completed URB {seq} of endpoint {endpoint:#04x}, which is not out"
            )));
        };
        self.urbs.remove(&urb.seqnum);
        lane.send(endpoint, &mut self.urbs);
        if self.acknowledge.is_none() && lane.state.owes_acknowledgement() {
            self.acknowledge = Some(Instant::now() + ACKNOWLEDGE_DELAY);
        }
        // The answer to an unlink has no room for what was moved before; a completion has.
        if let (Some(seqnum), UrbStatus::Cancelled, 0) = (urb.unlinked, status, complete.actual_length) {
            self.counters.count(Counted { input: urb.input, bytes: 0, failed: false });
            return reply(replies, usbip::ret_unlink(seqnum, CANCELLED)).await;
        }
        if let Err(unaccepted) = urb.presents(&payload).try_for_each(|interface| self.presentable.check(interface)) {
            let (_, answer) = urb.refused();
            self.give_up(Last::Stop(unaccepted));
            return reply(replies, answer).await;
        }
        let (answer, actual_length) =
            urb.answer(complete, payload).map_err(|error| Fault::Protocol(error.to_string()))?;
        let failed = !matches!(status, UrbStatus::Ok | UrbStatus::Cancelled);
        self.counters.count(Counted { input: urb.input, bytes: actual_length, failed });
        reply(replies, answer).await?;
        match urb.unlinked {
            Some(seqnum) => reply(replies, usbip::ret_unlink(seqnum, 0)).await,
            None => Ok(()),
        }
    }
}

async fn reply(replies: &mpsc::Sender<Reply>, reply: Reply) -> Result<(), Fault> {
    replies.send(reply).await.map_err(|_| Fault::Kernel)
}

impl Urb {
    /// Its submit, as a frame.
    fn frame(&self, seq: u64, received: u64) -> Frame {
        let Self { flags, length, setup, .. } = *self;
        let lengths: Vec<u32> = self.packets.lengths().collect();
        let submit = Submit { seq, received, flags, length, setup, packets: self.packets.count() };
        let payload = Payload { table: iso::encode_lengths(&lengths), data: self.data.clone() };
        (LaneMessage::Submit(submit), payload)
    }

    /// The interfaces of the configuration that a completion shows to the kernel, where that is what was asked for. The
    /// kernel binds drivers to those of the last one that it has read whole.
    fn presents<'a>(&self, payload: &'a [u8]) -> impl Iterator<Item = InterfaceClass> + use<'a> {
        let asked = matches!(self.setup, Some([GET_DESCRIPTOR_TYPE, GET_DESCRIPTOR, _, CONFIGURATION, ..]));
        usb::interfaces_of(if asked { payload } else { &[] })
    }

    /// What the kernel is told where there is no device any longer, and the number of what that answers.
    fn refused(&self) -> (u32, Reply) {
        let answer = match self.unlinked {
            Some(seqnum) => usbip::ret_unlink(seqnum, CANCELLED),
            None => usbip::ret_submit_failed(self.seqnum, UrbStatus::Gone, &self.packets),
        };
        (self.seqnum, answer)
    }

    /// The longest payload that its completion can have.
    fn longest_answer(&self) -> u32 {
        iso::complete_table_len(self.packets.count()) + if self.input { self.length } else { 0 }
    }

    /// What the kernel is told of its end, and how many bytes were moved. Clamped to what was submitted, whatever the
    /// peer says: the kernel trusts these numbers. An error means that the packets are not those that were submitted.
    fn answer(&self, complete: Complete, mut payload: Bytes) -> Result<(Reply, u32), ProtocolError> {
        let Complete { status, actual_length, packets, .. } = complete;
        if !self.packets.is_empty() {
            if packets == 0 {
                return Ok((usbip::ret_submit_failed(self.seqnum, status, &self.packets), 0));
            }
            let outcomes = iso::decode_packets(packets, actual_length, self.packets.lengths(), &mut payload)?;
            let expected = if self.input { actual_length } else { 0 };
            if payload.len() != expected as usize {
                let got = payload.len() as u32;
                return Err(ProtocolError::Invalid {
                    message: "complete",
                    source: FieldError::Payload { expected, got },
                });
            }
            let (seqnum, errno) = (self.seqnum, status.errno());
            let reply = usbip::ret_submit_iso(seqnum, errno, self.start_frame, &self.packets, &outcomes, payload);
            return Ok((reply, actual_length));
        }
        let actual_length = if self.input {
            payload.truncate(self.length.min(actual_length) as usize);
            payload.len() as u32
        } else {
            payload.clear();
            actual_length.min(self.length)
        };
        Ok((usbip::ret_submit(self.seqnum, status.errno(), actual_length, payload), actual_length))
    }
}

impl Lane {
    /// Sends what the window has room for.
    fn send(&mut self, endpoint: u8, urbs: &mut HashMap<u32, Whereabouts>) {
        let Some(frames) = &self.frames else { return };
        while let Some(urb) = self.waiting.pop_front() {
            let (seqnum, length) = (urb.seqnum, urb.length);
            match self.state.submit(urb, length) {
                Err(urb) => return self.waiting.push_front(urb),
                Ok(seq) => {
                    urbs.insert(seqnum, Whereabouts::Sent(endpoint, seq));
                    let received = self.state.acknowledge();
                    // The queue has a place for each URB in the window. There is room, then, unless the lane's
                    // task has ended; whoever runs the pump hears of that, and it is sent again.
                    if let Some(urb) = self.state.get(seq) {
                        self.longest.fetch_max(urb.longest_answer(), Ordering::Relaxed);
                        let _ = frames.try_send(urb.frame(seq, received));
                    }
                }
            }
        }
    }
}

/// Waits for that moment, or for ever.
async fn moment(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn read_commands(socket: impl AsyncRead + Unpin, commands: mpsc::Sender<Command>, buffers: Arc<Buffers>) {
    // A command and its data in one system call, where it is a short one, and none to find out that there is no other.
    let mut socket = BufReader::with_capacity(READ_AHEAD, socket);
    loop {
        match usbip::read_command(&mut socket, &buffers).await {
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

/// What moves one lane's frames, between the pump and the stream.
struct LaneEnds {
    endpoint: u8,
    urgent: bool,
    queue: mpsc::Receiver<Frame>,
    events: mpsc::Sender<LaneEvent>,
    buffers: Arc<Buffers>,
    longest: Longest,
}

impl LaneEnds {
    /// Moves both ways until the connection is gone.
    async fn run(mut self, link: Connected, session: SessionId) {
        let endpoint = self.endpoint;
        let violation = match link.open_lane().await {
            Ok((to, from)) => {
                if self.urgent {
                    // A closed stream has no priority; its lane ends at once anyway.
                    let _ = to.set_priority(PRIORITY_URGENT);
                }
                let open = LaneMessage::Open { session, endpoint };
                tokio::select! {
                    Err(error) = write_frames(to, open, &mut self.queue, &self.buffers) => {
                        debug!("a lane's stream failed: {error}");
                        None
                    }
                    violation = read_completions(from, endpoint, &self.events, &self.longest, &self.buffers) => violation,
                }
            }
            Err(error) => {
                debug!("no lane for endpoint {endpoint:#04x}: {error}");
                None
            }
        };
        let violation = match violation {
            Some(violation) => violation,
            None => {
                // Whoever runs the pump hears of the end, of the session or of the connection, and drops this.
                sleep(LANE_END_TIMEOUT).await;
                "it closed a lane of a session that goes on".to_owned()
            }
        };
        // The pump may be gone; then nobody needs to know.
        let _ = self.events.send(LaneEvent::Violation(violation)).await;
    }
}

async fn write_frames(
    mut to: SendStream,
    open: LaneMessage,
    queue: &mut mpsc::Receiver<Frame>,
    buffers: &Buffers,
) -> Result<(), WriteError> {
    write_lane_frame(&mut to, open, Payload::default(), buffers).await?;
    while let Some((message, payload)) = queue.recv().await {
        write_lane_frame(&mut to, message, payload, buffers).await?;
    }
    Ok(())
}

/// Reads until the stream ends; says what the peer did that the protocol does not allow.
async fn read_completions(
    mut from: RecvStream,
    endpoint: u8,
    events: &mpsc::Sender<LaneEvent>,
    longest: &AtomicU32,
    buffers: &Buffers,
) -> Option<String> {
    loop {
        match read_completion(&mut from, longest, buffers).await {
            Ok(Read::Completion(complete, data)) => {
                if events.send(LaneEvent::Complete { endpoint, complete, data }).await.is_err() {
                    return None;
                }
            }
            Ok(Read::Unknown) => {}
            Ok(Read::Violation(what)) => return Some(what),
            Ok(Read::End) | Err(FrameError::Stream(_)) => return None,
            Err(error) => return Some(error.to_string()),
        }
    }
}

/// What was read of a lane.
enum Read {
    Completion(Complete, Bytes),
    /// A message that a later release knows.
    Unknown,
    /// Something that the protocol does not allow.
    Violation(String),
    End,
}

async fn read_completion(from: &mut RecvStream, longest: &AtomicU32, buffers: &Buffers) -> Result<Read, FrameError> {
    let Some(Head { kind, header, payload_len }) = read_lane_head(from, buffers).await? else { return Ok(Read::End) };
    match LaneMessage::decode(kind, &header)? {
        Some(LaneMessage::Complete(complete)) => {
            let most = longest.load(Ordering::Relaxed);
            if payload_len > most {
                return Ok(Read::Violation(format!("a completion of {payload_len} bytes where {most} were asked for")));
            }
            Ok(Read::Completion(complete, read_lane_payload(from, payload_len, buffers).await?))
        }
        Some(_) => Ok(Read::Violation("a lane's message out of order".to_owned())),
        None => skip_payload(from, payload_len).await.map(|()| Read::Unknown),
    }
}
