//! Runs the two ends of a lane against each other, over streams that deliver when they like, and against
//! a model that knows everything that ever happened.

use std::collections::{BTreeMap, VecDeque};

use p2pusb_protocol::{
    Accept, ExporterLane, ImporterLane, LaneError, MAX_LANE_BYTES, MAX_URB_LEN, MAX_URBS_PER_LANE, UnlinkOutcome,
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
    /// The exporter has sent its completion.
    completed: bool,
    /// How often its completion reached the importer.
    delivered: u32,
}

/// A lane with its two ends, and the streams between them.
#[derive(Debug, Default)]
struct World {
    importer: ImporterLane<u64>,
    exporter: ExporterLane,
    /// The lane's stream, each way, and the unlinks on the control stream. Each keeps its own order.
    submits: VecDeque<u64>,
    completes: VecDeque<u64>,
    unlinks: VecDeque<u64>,
    /// Every URB that was ever submitted; the first has number 1.
    urbs: Vec<Urb>,
}

impl World {
    fn urb(&mut self, seq: u64) -> &mut Urb {
        &mut self.urbs[seq as usize - 1]
    }

    /// The numbers of the URBs for which `filter` is true.
    fn seqs(&self, filter: impl Fn(&Urb) -> bool) -> Vec<u64> {
        let urbs = self.urbs.iter().zip(1..);
        urbs.filter(|(urb, _)| filter(urb)).map(|(_, seq)| seq).collect()
    }

    fn submit(&mut self, bytes: u32) {
        let pending = self.seqs(|urb| urb.delivered == 0);
        let pending_bytes: usize = pending.iter().map(|&seq| self.urb(seq).bytes as usize).sum();
        let room = pending.len() < MAX_URBS_PER_LANE
            && pending_bytes + bytes as usize <= MAX_LANE_BYTES
            && bytes <= MAX_URB_LEN;
        assert_eq!(self.importer.has_room(bytes), room);
        let seq = self.urbs.len() as u64 + 1;
        if !room {
            assert_eq!(self.importer.submit(seq, bytes), Err(seq));
            return;
        }
        assert_eq!(self.importer.submit(seq, bytes), Ok(seq));
        self.urbs.push(Urb { bytes, ..Urb::default() });
        self.submits.push_back(seq);
    }

    /// Unlinks one of the pending URBs, possibly again.
    fn unlink(&mut self, choice: usize) {
        let pending = self.seqs(|urb| urb.delivered == 0);
        if let Some(&seq) = pending.get(choice % pending.len().max(1)) {
            assert_eq!(self.importer.get(seq), Some(&seq));
            self.unlinks.push_back(seq);
        }
    }

    fn deliver_submit(&mut self) {
        let Some(seq) = self.submits.pop_front() else { return };
        let bytes = self.urb(seq).bytes;
        let accept = self.exporter.accept(seq, bytes).expect("the importer keeps to its window");
        let urb = self.urb(seq);
        urb.arrived = true;
        match accept {
            Accept::Run => urb.runs += 1,
            Accept::Cancelled => {}
        }
        assert_eq!(accept == Accept::Cancelled, urb.unlinked);
    }

    fn deliver_unlink(&mut self) {
        let Some(seq) = self.unlinks.pop_front() else { return };
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

    /// One of the URBs on the exporter ends, whether it ran or was cancelled.
    fn finish(&mut self, choice: usize) {
        let running = self.seqs(|urb| urb.arrived && !urb.completed);
        if let Some(&seq) = running.get(choice % running.len().max(1)) {
            assert!(self.exporter.complete(seq));
            assert!(!self.exporter.complete(seq));
            self.urb(seq).completed = true;
            self.completes.push_back(seq);
        }
    }

    fn deliver_complete(&mut self) {
        let Some(seq) = self.completes.pop_front() else { return };
        let bytes = self.urb(seq).bytes;
        assert_eq!(self.importer.length(seq), Some(bytes));
        assert_eq!(self.importer.complete(seq), Some(seq));
        assert_eq!(self.importer.complete(seq), None);
        self.urb(seq).delivered += 1;
    }

    /// Both ends count what the model counts, within their limits.
    fn check(&self) {
        let sum = |urbs: &[u64]| -> usize { urbs.iter().map(|&seq| self.urbs[seq as usize - 1].bytes as usize).sum() };
        let pending = self.seqs(|urb| urb.delivered == 0);
        assert_eq!(self.importer.in_flight(), pending.len());
        assert_eq!(self.importer.bytes_in_flight(), sum(&pending));
        let running = self.seqs(|urb| urb.arrived && !urb.completed);
        assert_eq!(self.exporter.seqs().collect::<Vec<_>>(), running);
        assert_eq!(self.exporter.in_flight(), running.len());
        assert_eq!(self.exporter.bytes_in_flight(), sum(&running));
        let remembered = self.seqs(|urb| urb.unlinked && !urb.arrived);
        assert_eq!(self.exporter.remembered(), remembered.len());
        assert!(pending.len() <= MAX_URBS_PER_LANE && sum(&pending) <= MAX_LANE_BYTES);
        assert!(self.exporter.remembered() <= MAX_URBS_PER_LANE);
    }

    /// Lets everything arrive that is under way.
    fn settle(&mut self) {
        while !self.submits.is_empty() {
            self.deliver_submit();
        }
        while !self.unlinks.is_empty() {
            self.deliver_unlink();
        }
        while self.exporter.in_flight() > 0 {
            self.finish(0);
        }
        while !self.completes.is_empty() {
            self.deliver_complete();
        }
    }
}

/// Two daemons that keep to the rules: each byte says what happens next. Every URB runs at most once, not
/// at all if its unlink came first, and is completed once.
pub(crate) fn run_together(steps: &[u8]) {
    let mut world = World::default();
    for (index, &step) in steps.iter().enumerate() {
        let choice = usize::from(step >> 3) * 7 + index;
        match step & 7 {
            // Lengths from nothing to one URB more than the longest, so that both limits are reached.
            0 | 1 => world.submit(1 << (step >> 3)),
            2 => world.submit(match step >> 3 {
                0..=9 => 0,
                10..=20 => 64 * 1024 + u32::from(step),
                21..=30 => MAX_URB_LEN,
                _ => MAX_URB_LEN + 1,
            }),
            3 => world.deliver_submit(),
            4 => world.unlink(choice),
            5 => world.deliver_unlink(),
            6 => world.finish(choice),
            _ => world.deliver_complete(),
        }
        world.check();
    }
    world.settle();
    world.check();
    for urb in &world.urbs {
        assert!(urb.runs <= 1);
        assert!(urb.completed);
        assert_eq!(urb.delivered, 1);
        assert!(urb.runs == 1 || urb.unlinked);
    }
    assert_eq!((world.importer.in_flight(), world.importer.bytes_in_flight()), (0, 0));
    assert_eq!((world.exporter.in_flight(), world.exporter.bytes_in_flight()), (0, 0));
    assert_eq!(world.exporter.remembered(), 0);
    assert_eq!(world.importer.drain(), Vec::<u64>::new());
}

/// What the exporter should know about a number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    UnlinkedEarly,
    Running(u32),
    Cancelled(u32),
    Done,
}

/// An importer that keeps to no rule, against the exporter's end. Each call takes four bytes. The exporter
/// says what the rules say, and what it keeps is bounded.
pub(crate) fn run_hostile(calls: &[u8]) {
    let mut lane = ExporterLane::new();
    let mut last = 0_u64;
    let mut model: BTreeMap<u64, Number> = BTreeMap::new();
    for call in calls.chunks_exact(4) {
        let &[what, low, high, size] = call else { unreachable!("chunks of four") };
        let near = last + u64::from(low);
        let seq = match what >> 4 {
            0..=9 => last + 1,
            10..=12 => near,
            13 | 14 => u64::from(u16::from_le_bytes([low, high])),
            _ => u64::MAX - u64::from(low),
        };
        let known = model.get(&seq).copied();
        let live = |number: &Number| match number {
            Number::Running(bytes) | Number::Cancelled(bytes) => Some(*bytes as usize),
            _ => None,
        };
        match what & 3 {
            0 | 1 => {
                let bytes = match size {
                    0..=9 => 0,
                    10..=99 => u32::from(size) << 8,
                    100..=199 => u32::from(size) << 14,
                    200..=249 => MAX_URB_LEN,
                    _ => MAX_URB_LEN + u32::from(size),
                };
                let in_flight: Vec<usize> = model.values().filter_map(live).collect();
                let expected = if seq != last + 1 {
                    Err(LaneError::OutOfOrder { expected: last + 1, got: seq })
                } else if in_flight.len() == MAX_URBS_PER_LANE {
                    Err(LaneError::TooManyUrbs)
                } else if bytes > MAX_URB_LEN || in_flight.iter().sum::<usize>() + bytes as usize > MAX_LANE_BYTES {
                    Err(LaneError::TooManyBytes)
                } else if known == Some(Number::UnlinkedEarly) {
                    Ok(Accept::Cancelled)
                } else {
                    Ok(Accept::Run)
                };
                assert_eq!(lane.accept(seq, bytes), expected);
                if let Ok(accept) = expected {
                    last = seq;
                    let number = match accept {
                        Accept::Run => Number::Running(bytes),
                        Accept::Cancelled => Number::Cancelled(bytes),
                    };
                    model.insert(seq, number);
                }
            }
            2 => {
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
            _ => {
                let expected = known.as_ref().and_then(live).is_some();
                assert_eq!(lane.complete(seq), expected);
                if expected {
                    model.insert(seq, Number::Done);
                }
            }
        }
        assert_eq!(lane.last_seq(), last);
        assert!(lane.in_flight() <= MAX_URBS_PER_LANE);
        assert!(lane.bytes_in_flight() <= MAX_LANE_BYTES);
        assert!(lane.remembered() <= MAX_URBS_PER_LANE);
    }
}
