//! Runs the two ends of a lane against each other, over streams that deliver when they like and connections
//! that are lost at any time, and against a model that knows everything that ever happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use p2pusb_protocol::{
    Accept, Complete, ExporterLane, ImporterLane, LaneError, MAX_LANE_BYTES, MAX_URB_LEN, MAX_URBS_PER_LANE,
    UnlinkOutcome, UrbStatus,
};

/// What is true about one URB.
#[derive(Debug, Default)]
struct Urb {
    bytes: u32,
    /// Its submit has reached the exporter.
    arrived: bool,
    /// An unlink has reached the exporter.
    unlinked: bool,
    /// How often it went to the device.
    runs: u32,
    /// It has ended on the exporter.
    completed: bool,
    /// How often its completion reached the importer.
    delivered: u32,
    /// The exporter knows that it did.
    acknowledged: bool,
}

/// What the importer keeps of a URB, in order to send it again.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Record {
    seq: u64,
    unlinked: bool,
}

/// A frame from the importer on the lane's stream.
#[derive(Debug)]
enum LaneFrame {
    Open,
    Submit { seq: u64, received: u64 },
    Acknowledge { received: u64 },
}

/// A message from the importer on the control stream.
#[derive(Debug)]
enum Control {
    Resume { received: u64 },
    Unlink { seq: u64 },
}

/// A connection. Each stream keeps its own order.
#[derive(Debug, Default)]
struct Link {
    lane: VecDeque<LaneFrame>,
    control: VecDeque<Control>,
    completes: VecDeque<(Complete, u64)>,
    /// The `Resumed` from the exporter, with the number of the last URB.
    resumed: VecDeque<u64>,
    /// The lane's stream has come to the exporter, which can answer on it.
    opened: bool,
    /// The importer has lost it: what comes to it is lost.
    lost_by_importer: bool,
    /// The exporter has lost it.
    lost_by_exporter: bool,
}

impl Link {
    fn say_on_lane(&mut self, frame: LaneFrame) {
        if !self.lost_by_exporter {
            self.lane.push_back(frame);
        }
    }

    fn say(&mut self, message: Control) {
        if !self.lost_by_exporter {
            self.control.push_back(message);
        }
    }
}

/// How the importer stands to its newest connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    /// The session goes on over it.
    Up,
    /// It has sent `Resume` and waits for the answer.
    Asking,
    /// There is none.
    Lost,
}

/// A lane with its two ends, and the connections between them.
#[derive(Debug)]
struct World {
    importer: ImporterLane<Record>,
    exporter: ExporterLane<u64>,
    stage: Stage,
    /// The first is the one that the exporter has the session on, the last the one that the importer made last.
    /// Neither end sees the other one lose a connection: what is under way may come for a while.
    links: VecDeque<Link>,
    /// Every URB that was ever submitted; the first has number 1.
    urbs: Vec<Urb>,
    /// Every completion, in the order in which the URBs ended.
    ended: Vec<Complete>,
    /// How many of them have come, how many the importer has spoken of on a stream, and how many the exporter
    /// knows of.
    received: u64,
    told: u64,
    acknowledged: u64,
}

/// The data that a URB brings back.
fn data_of(seq: u64) -> u64 {
    !seq
}

impl World {
    fn new() -> Self {
        Self {
            importer: ImporterLane::new(),
            exporter: ExporterLane::new(),
            stage: Stage::Up,
            links: [Link { opened: true, ..Link::default() }].into(),
            urbs: Vec::new(),
            ended: Vec::new(),
            received: 0,
            told: 0,
            acknowledged: 0,
        }
    }

    fn urb(&mut self, seq: u64) -> &mut Urb {
        &mut self.urbs[seq as usize - 1]
    }

    /// The numbers of the URBs for which `filter` is true.
    fn seqs(&self, filter: impl Fn(&Urb) -> bool) -> Vec<u64> {
        let urbs = self.urbs.iter().zip(1..);
        urbs.filter(|(urb, _)| filter(urb)).map(|(_, seq)| seq).collect()
    }

    fn sum(&self, urbs: &[u64]) -> usize {
        urbs.iter().map(|&seq| self.urbs[seq as usize - 1].bytes as usize).sum()
    }

    /// The connection that the importer made last.
    fn newest(&mut self) -> &mut Link {
        self.links.back_mut().expect("a connection")
    }

    // The importer.

    fn submit(&mut self, bytes: u32) {
        let pending = self.seqs(|urb| urb.delivered == 0);
        let room = pending.len() < MAX_URBS_PER_LANE
            && self.sum(&pending) + bytes as usize <= MAX_LANE_BYTES
            && bytes <= MAX_URB_LEN;
        assert_eq!(self.importer.has_room(bytes), room);
        let seq = self.urbs.len() as u64 + 1;
        let record = Record { seq, unlinked: false };
        if !room {
            assert_eq!(self.importer.submit(record, bytes), Err(record));
            return;
        }
        assert_eq!(self.importer.submit(record, bytes), Ok(seq));
        self.urbs.push(Urb { bytes, ..Urb::default() });
        // Without a connection it is kept for the next one.
        if self.stage == Stage::Up {
            self.send_submit(seq);
        }
    }

    fn send_submit(&mut self, seq: u64) {
        let received = self.tell();
        self.newest().say_on_lane(LaneFrame::Submit { seq, received });
    }

    fn tell(&mut self) -> u64 {
        self.told = self.received;
        assert_eq!(self.importer.acknowledge(), self.received);
        self.received
    }

    /// Tells the exporter what has come, where it does not know.
    fn acknowledge(&mut self) {
        if self.stage == Stage::Up && self.importer.owes_acknowledgement() {
            let received = self.tell();
            self.newest().say_on_lane(LaneFrame::Acknowledge { received });
        }
    }

    /// Unlinks one of the pending URBs, possibly again.
    fn unlink(&mut self, choice: usize) {
        let pending = self.seqs(|urb| urb.delivered == 0);
        if let Some(&seq) = pending.get(choice % pending.len().max(1)) {
            let record = self.importer.get_mut(seq).expect("a pending URB");
            assert_eq!(record.seq, seq);
            record.unlinked = true;
            if self.stage == Stage::Up {
                self.newest().say(Control::Unlink { seq });
            }
        }
    }

    fn deliver_complete(&mut self) {
        let Some((complete, data)) = self.newest().completes.pop_front() else { return };
        let seq = complete.seq;
        let bytes = self.urb(seq).bytes;
        assert_eq!(self.ended[self.received as usize], complete, "in the order in which they ended");
        assert_eq!(data, data_of(seq));
        assert_eq!(self.importer.length(seq), Some(bytes));
        assert_eq!(self.importer.complete(seq).map(|record| record.seq), Some(seq));
        assert_eq!(self.importer.complete(seq), None);
        self.urb(seq).delivered += 1;
        self.received += 1;
    }

    /// The importer finds its connection lost. What it has sent may still come.
    fn importer_loses(&mut self) {
        self.stage = Stage::Lost;
        let link = self.newest();
        link.lost_by_importer = true;
        link.completes.clear();
        link.resumed.clear();
    }

    /// Connects again, and asks to go on.
    fn dial(&mut self) {
        if self.stage == Stage::Lost {
            let received = self.importer.received();
            self.links.push_back(Link { control: [Control::Resume { received }].into(), ..Link::default() });
            self.stage = Stage::Asking;
        }
    }

    /// The exporter's answer comes: what it lacks is sent again, no more and no less, and every unlink.
    fn deliver_resumed(&mut self) {
        let Some(last) = self.newest().resumed.pop_front() else { return };
        assert_eq!(self.stage, Stage::Asking);
        let missing: Vec<u64> =
            self.importer.resume(last).expect("a position that can be").map(|(seq, _)| seq).collect();
        assert_eq!(missing, self.seqs(|urb| !urb.arrived));
        let pending: Vec<Record> = self.importer.pending().map(|(_, record)| *record).collect();
        assert_eq!(pending.iter().map(|record| record.seq).collect::<Vec<_>>(), self.seqs(|urb| urb.delivered == 0));
        self.stage = Stage::Up;
        self.newest().say_on_lane(LaneFrame::Open);
        for seq in missing {
            self.send_submit(seq);
        }
        for record in pending.iter().filter(|record| record.unlinked) {
            self.newest().say(Control::Unlink { seq: record.seq });
        }
    }

    // The exporter.

    fn deliver_on_lane(&mut self) {
        let Some(frame) = self.links[0].lane.pop_front() else { return };
        match frame {
            LaneFrame::Open => self.links[0].opened = true,
            LaneFrame::Submit { seq, received } => {
                let bytes = self.urb(seq).bytes;
                let accept = self.exporter.accept(seq, bytes, received).expect("the importer keeps to its window");
                self.acknowledged_up_to(received);
                let urb = self.urb(seq);
                assert!(!urb.arrived, "a submit is taken once");
                urb.arrived = true;
                match accept {
                    Accept::Run => urb.runs += 1,
                    Accept::Cancelled => {}
                }
                assert_eq!(accept == Accept::Cancelled, urb.unlinked);
            }
            LaneFrame::Acknowledge { received } => {
                self.exporter.acknowledge(received).expect("the importer tells the truth");
                self.acknowledged_up_to(received);
            }
        }
    }

    fn acknowledged_up_to(&mut self, received: u64) {
        for index in self.acknowledged..received {
            let seq = self.ended[index as usize].seq;
            self.urb(seq).acknowledged = true;
        }
        self.acknowledged = received;
    }

    /// An unlink comes on the connection of the session, or a `Resume` on a newer one.
    fn deliver_control(&mut self, choice: usize) {
        let index = choice % self.links.len();
        match self.links[index].control.pop_front() {
            None => {}
            Some(Control::Unlink { seq }) => {
                assert_eq!(index, 0, "a session is on one connection");
                self.deliver_unlink(seq);
            }
            Some(Control::Resume { received }) => {
                // The older connections count no longer, whatever is still under way on them.
                self.links.drain(..index);
                let last = self.exporter.resume(received).expect("the importer tells the truth");
                self.acknowledged_up_to(received);
                assert_eq!(last, self.seqs(|urb| urb.arrived).len() as u64);
                let link = &mut self.links[0];
                if !link.lost_by_importer {
                    link.resumed.push_back(last);
                }
            }
        }
    }

    fn deliver_unlink(&mut self, seq: u64) {
        let outcome = self.exporter.unlink(seq).expect("the importer unlinks what it submitted");
        let urb = self.urb(seq);
        let expected = match urb {
            Urb { arrived: false, .. } => UnlinkOutcome::Remembered,
            Urb { completed: false, unlinked: false, .. } => UnlinkOutcome::CancelInFlight,
            _ => UnlinkOutcome::AlreadyDone,
        };
        assert_eq!(outcome, expected);
        urb.unlinked = true;
    }

    /// One of the URBs on the exporter ends, whether it ran or was cancelled, and whether there is a connection
    /// or not.
    fn finish(&mut self, choice: usize) {
        let running = self.seqs(|urb| urb.arrived && !urb.completed);
        if let Some(&seq) = running.get(choice % running.len().max(1)) {
            let urb = self.urb(seq);
            urb.completed = true;
            let status = if urb.unlinked { UrbStatus::Cancelled } else { UrbStatus::Ok };
            let complete = Complete { seq, status, actual_length: urb.bytes, packets: 0 };
            assert!(self.exporter.complete(complete, data_of(seq)));
            assert!(!self.exporter.complete(complete, data_of(seq)));
            self.ended.push(complete);
        }
    }

    /// The exporter sends the next completion, where it sees a lane to send it on.
    fn send(&mut self) {
        let link = &mut self.links[0];
        if link.opened && !link.lost_by_exporter {
            let Some(complete) = self.exporter.send() else { return };
            if !link.lost_by_importer {
                link.completes.push_back(complete);
            }
        }
    }

    /// The exporter finds a connection lost: that of the session, or a newer one on which nothing has come yet.
    /// What it has sent may still come.
    fn exporter_loses(&mut self, choice: usize) {
        let index = choice % self.links.len();
        let link = &mut self.links[index];
        link.lost_by_exporter = true;
        link.lane.clear();
        link.control.clear();
    }

    // Everything.

    /// Both ends count what the model counts, within their limits.
    fn check(&self) {
        let pending = self.seqs(|urb| urb.delivered == 0);
        assert_eq!(self.importer.in_flight(), pending.len());
        assert_eq!(self.importer.bytes_in_flight(), self.sum(&pending));
        assert_eq!(self.importer.received(), self.received);
        assert_eq!(self.importer.owes_acknowledgement(), self.told < self.received);
        assert!(pending.len() <= MAX_URBS_PER_LANE && self.sum(&pending) <= MAX_LANE_BYTES);
        let running = self.seqs(|urb| urb.arrived && !urb.completed);
        assert_eq!(self.exporter.seqs().collect::<Vec<_>>(), running);
        let kept = self.seqs(|urb| urb.arrived && !urb.acknowledged);
        assert_eq!(self.exporter.in_flight(), kept.len());
        assert_eq!(self.exporter.bytes_in_flight(), self.sum(&kept));
        assert!(kept.len() <= MAX_URBS_PER_LANE && self.sum(&kept) <= MAX_LANE_BYTES);
        let remembered = self.seqs(|urb| urb.unlinked && !urb.arrived);
        assert_eq!(self.exporter.remembered(), remembered.len());
        assert!(remembered.len() <= MAX_URBS_PER_LANE);
    }

    /// Makes a connection that both ends see, where there is none.
    fn reconnect(&mut self) {
        if self.newest().lost_by_exporter {
            self.importer_loses();
        }
        self.dial();
        if self.stage == Stage::Asking {
            self.deliver_control(self.links.len() - 1);
            self.deliver_resumed();
        }
        assert_eq!((self.stage, self.links.len()), (Stage::Up, 1));
    }

    /// Lets some of what is under way arrive.
    fn go_on(&mut self, choice: usize) {
        self.deliver_on_lane();
        self.deliver_control(0);
        self.finish(choice);
        self.send();
        self.deliver_complete();
    }

    /// Lets everything arrive that is under way, and everything end.
    fn settle(&mut self) {
        self.reconnect();
        while !self.links[0].lane.is_empty() {
            self.deliver_on_lane();
        }
        while !self.links[0].control.is_empty() {
            self.deliver_control(0);
        }
        while self.exporter.seqs().next().is_some() {
            self.finish(0);
        }
        for _ in 0..MAX_URBS_PER_LANE {
            self.send();
        }
        while !self.newest().completes.is_empty() {
            self.deliver_complete();
        }
        self.acknowledge();
        self.deliver_on_lane();
        self.check();
    }
}

/// Two daemons that keep to the rules, and connections that keep to none: the low half of each byte says what
/// happens next, the high half says more about it. Every URB runs once, or not at all if its unlink came first,
/// and its completion comes once.
pub(crate) fn run_together(steps: &[u8]) {
    let mut world = World::new();
    for (index, &step) in steps.iter().enumerate() {
        let more = step >> 4;
        let choice = usize::from(more) * 7 + index;
        match step & 15 {
            // Lengths from nothing to more than the longest, so that both limits are reached.
            0 => world.submit(1 << (2 * more)),
            1 => world.submit(match more {
                0..=4 => 0,
                5..=9 => 64 * 1024 + u32::from(step),
                10..=14 => MAX_URB_LEN,
                _ => MAX_URB_LEN + 1,
            }),
            2 => world.unlink(choice),
            3 => world.deliver_on_lane(),
            4 => world.deliver_control(more.into()),
            5 => world.finish(choice),
            6 => world.send(),
            7 => world.deliver_complete(),
            8 => world.acknowledge(),
            9 => world.deliver_resumed(),
            10 => world.importer_loses(),
            // One end alone, or both at once.
            11 => {
                world.exporter_loses(more.into());
                if more >= 8 {
                    world.importer_loses();
                }
            }
            12 => world.dial(),
            13 => world.reconnect(),
            14 => (0..=more).for_each(|_| world.go_on(choice)),
            _ => (0..=more).for_each(|_| world.submit(more.into())),
        }
        world.check();
    }
    world.settle();
    for urb in &world.urbs {
        assert!(urb.runs <= 1);
        assert!(urb.completed);
        assert_eq!(urb.delivered, 1);
        assert!(urb.runs == 1 || urb.unlinked);
    }
    assert_eq!((world.importer.in_flight(), world.importer.bytes_in_flight()), (0, 0));
    assert_eq!((world.exporter.in_flight(), world.exporter.bytes_in_flight()), (0, 0));
    assert_eq!(world.exporter.remembered(), 0);
    assert_eq!(world.exporter.send(), None);
    assert_eq!(world.importer.drain(), []);
}

/// What the exporter should know about a number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    UnlinkedEarly,
    Running(u32),
    Cancelled(u32),
    /// Its completion is not acknowledged.
    Kept(u32),
    Done,
}

impl Number {
    fn room(&self) -> Option<usize> {
        match self {
            Self::Running(bytes) | Self::Cancelled(bytes) | Self::Kept(bytes) => Some(*bytes as usize),
            _ => None,
        }
    }
}

/// What the exporter should have of completions, counted from the first that there ever was.
#[derive(Debug, Default)]
struct Completions {
    ended: Vec<u64>,
    acknowledged: u64,
    /// The next to send.
    next: u64,
    most_sent: u64,
}

impl Completions {
    fn acknowledge(&mut self, received: u64, model: &mut BTreeMap<u64, Number>) -> Result<(), LaneError> {
        let (acknowledged, sent) = (self.acknowledged, self.most_sent);
        if received < acknowledged || received > sent {
            return Err(LaneError::Acknowledged { received, acknowledged, sent });
        }
        for &seq in &self.ended[acknowledged as usize..received as usize] {
            model.insert(seq, Number::Done);
        }
        self.acknowledged = received;
        self.next = self.next.max(received);
        Ok(())
    }
}

/// An importer that keeps to no rule, against the exporter's end. Each call takes five bytes. The exporter
/// says what the rules say, and what it keeps is bounded.
pub(crate) fn run_hostile(calls: &[u8]) {
    let mut lane = ExporterLane::new();
    let mut last = 0_u64;
    let mut model: BTreeMap<u64, Number> = BTreeMap::new();
    let mut completions = Completions::default();
    for call in calls.chunks_exact(5) {
        let &[what, low, high, size, lie] = call else { unreachable!("chunks of five") };
        let seq = match what >> 4 {
            // The next one is submitted, and one of the last is unlinked or ends.
            0..=9 if what & 7 <= 2 => last + 1,
            0..=9 => last.saturating_sub(u64::from(low % 16)),
            10..=12 => last + u64::from(low),
            13 | 14 => u64::from(u16::from_le_bytes([low, high])),
            _ => u64::MAX - u64::from(low),
        };
        let received = match lie {
            0..=99 => completions.acknowledged,
            100..=219 => completions.most_sent.min(completions.acknowledged + u64::from(lie - 99)),
            220..=239 => completions.most_sent + u64::from(lie - 219),
            240..=249 => completions.acknowledged.saturating_sub(u64::from(lie - 239)),
            _ => u64::MAX - u64::from(lie - 250),
        };
        let known = model.get(&seq).copied();
        match what & 7 {
            0..=2 => {
                let bytes = match size {
                    0..=9 => 0,
                    10..=99 => u32::from(size) << 8,
                    100..=199 => u32::from(size) << 14,
                    200..=249 => MAX_URB_LEN,
                    _ => MAX_URB_LEN + u32::from(size),
                };
                // It counts even where the submit is wrong: the session ends anyway.
                let expected = completions.acknowledge(received, &mut model).and_then(|()| {
                    let in_flight: Vec<usize> = model.values().filter_map(Number::room).collect();
                    if seq != last + 1 {
                        Err(LaneError::OutOfOrder { expected: last + 1, got: seq })
                    } else if in_flight.len() == MAX_URBS_PER_LANE {
                        Err(LaneError::TooManyUrbs)
                    } else if bytes > MAX_URB_LEN || in_flight.iter().sum::<usize>() + bytes as usize > MAX_LANE_BYTES {
                        Err(LaneError::TooManyBytes)
                    } else if known == Some(Number::UnlinkedEarly) {
                        Ok(Accept::Cancelled)
                    } else {
                        Ok(Accept::Run)
                    }
                });
                assert_eq!(lane.accept(seq, bytes, received), expected);
                if let Ok(accept) = expected {
                    last = seq;
                    let number = match accept {
                        Accept::Run => Number::Running(bytes),
                        Accept::Cancelled => Number::Cancelled(bytes),
                    };
                    model.insert(seq, number);
                }
            }
            3 => {
                let expected = match known {
                    _ if seq > last + MAX_URBS_PER_LANE as u64 => Err(LaneError::UnlinkTooFar { seq, last }),
                    _ if seq > last => Ok(UnlinkOutcome::Remembered),
                    Some(Number::Running(_)) => Ok(UnlinkOutcome::CancelInFlight),
                    _ => Ok(UnlinkOutcome::AlreadyDone),
                };
                assert_eq!(lane.unlink(seq), expected);
                match known {
                    _ if expected == Ok(UnlinkOutcome::Remembered) => {
                        model.insert(seq, Number::UnlinkedEarly);
                    }
                    Some(Number::Running(bytes)) => {
                        model.insert(seq, Number::Cancelled(bytes));
                    }
                    _ => {}
                }
            }
            4 => {
                let complete = Complete { seq, status: UrbStatus::Ok, actual_length: 0, packets: 0 };
                let running = match known {
                    Some(Number::Running(bytes) | Number::Cancelled(bytes)) => Some(bytes),
                    _ => None,
                };
                assert_eq!(lane.complete(complete, data_of(seq)), running.is_some());
                if let Some(bytes) = running {
                    model.insert(seq, Number::Kept(bytes));
                    completions.ended.push(seq);
                }
            }
            5 => {
                let expected = completions.ended.get(completions.next as usize).copied();
                let sent = lane.send().map(|(complete, data)| (complete.seq, data));
                assert_eq!(sent, expected.map(|seq| (seq, data_of(seq))));
                if expected.is_some() {
                    completions.next += 1;
                    completions.most_sent = completions.most_sent.max(completions.next);
                }
            }
            6 => assert_eq!(lane.acknowledge(received), completions.acknowledge(received, &mut model)),
            _ => {
                let expected = completions.acknowledge(received, &mut model);
                if expected.is_ok() {
                    completions.next = received;
                }
                assert_eq!(lane.resume(received), expected.map(|()| last));
            }
        }
        assert_eq!(lane.last_seq(), last);
        let in_flight: Vec<usize> = model.values().filter_map(Number::room).collect();
        assert_eq!(lane.in_flight(), in_flight.len());
        assert_eq!(lane.bytes_in_flight(), in_flight.iter().sum());
        assert!(lane.in_flight() <= MAX_URBS_PER_LANE);
        assert!(lane.bytes_in_flight() <= MAX_LANE_BYTES);
        assert!(lane.remembered() <= MAX_URBS_PER_LANE);
    }
}

/// An exporter that keeps to no rule, against the importer's end. Each call takes two bytes. It completes
/// nothing twice, and has nothing sent again that it has completed.
pub(crate) fn run_hostile_exporter(calls: &[u8]) {
    let mut lane = ImporterLane::new();
    let mut last = 0_u64;
    let mut pending: BTreeSet<u64> = BTreeSet::new();
    for call in calls.chunks_exact(2) {
        let &[what, low] = call else { unreachable!("chunks of two") };
        let number = match what >> 4 {
            0..=9 => last.saturating_sub(low.into()),
            10..=13 => last + u64::from(low),
            _ => u64::MAX - u64::from(low),
        };
        match what & 3 {
            0 => {
                let bytes = u32::from(low) << 9;
                if lane.has_room(bytes) {
                    last += 1;
                    assert_eq!(lane.submit(last, bytes), Ok(last));
                    pending.insert(last);
                } else {
                    assert_eq!(lane.submit(0, bytes), Err(0));
                }
            }
            1 => {
                let received = lane.received();
                let known = pending.remove(&number);
                assert_eq!(lane.complete(number), known.then_some(number));
                assert_eq!(lane.received(), received + u64::from(known));
            }
            _ => {
                // It can lack what was submitted, and not what it has completed.
                let missing: Vec<u64> = pending.iter().copied().filter(|&seq| seq > number).collect();
                let possible = number <= last && (number + 1..=last).all(|seq| pending.contains(&seq));
                let resumed = lane.resume(number).map(|urbs| urbs.map(|(seq, &urb)| (seq, urb)).collect::<Vec<_>>());
                let expected = missing.into_iter().map(|seq| (seq, seq)).collect();
                let wrong = LaneError::Position { said: number, last };
                assert_eq!(resumed, if possible { Ok(expected) } else { Err(wrong) });
            }
        }
        assert!(lane.pending().map(|(seq, _)| seq).eq(pending.iter().copied()));
        assert!(lane.in_flight() <= MAX_URBS_PER_LANE && lane.bytes_in_flight() <= MAX_LANE_BYTES);
    }
}
