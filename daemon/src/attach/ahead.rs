//! Makes the queue of an isochronous endpoint longer than its driver does, so that a round trip fits in.
//!
//! What a driver has queued is all that can be under way, and drivers queue little: snd-usb-audio 18 ms of what is played
//! and 12 ms of what is recorded, whatever buffer a program asks for. Over a longer way the device would be left with
//! nothing to do: playback would pause, and what is recorded in the meantime would be lost. So this stands between the
//! kernel and the lanes:
//!
//! * **Playback.** A URB goes to the device at once, and its driver has its answer before the device is done: so many are
//!   answered early that a round trip and [`MARGIN`] are under way, beside those that the driver waits for. As soon as that
//!   much is, the driver gets an answer for each one that the device has done, and so keeps the device's pace. Nothing is
//!   acknowledged that the device could still refuse: isochronous OUT has no handshake. When a URB as a whole fails, the
//!   driver hears of it with the next one.
//! * **Recording.** As many URBs more as that are submitted on the driver's behalf, and their results are handed to the
//!   driver's URBs in order. They are cancelled when the driver cancels its own.
//!
//! An alternate setting or a configuration that is chosen while URBs play that were answered early waits for them, or the
//! end of what was played would be cut off.
//!
//! A state machine without I/O: commands of the kernel and answers to it go in, and come out as they are to be passed on.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use p2pusb_protocol::{IsoPacket, Speed, UrbStatus};
use tokio::time::Instant;

use super::{
    iso::Packets,
    usbip::{self, CANCELLED, Command, Reply, Submit},
};

/// How much more than a round trip is under way: so much may the network be late at times.
const MARGIN: Duration = Duration::from_millis(20);

/// The most that is under way beyond the driver's own queue, however slow the network is.
const MAX_AHEAD: Duration = Duration::from_millis(500);

/// So many times faster than it plays is the queue of a device built up. A driver that had to fill it at once would ask its
/// program for more than that has.
const BUILD_UP: u32 = 2;

/// The kernel counts its URBs from 1. Ours are numbered from half the range away, and so never meet those that are near.
const HALF: u32 = 1 << 31;

/// Requests on endpoint 0 that end the transfers of an interface: type and request.
const SET_CONFIGURATION: [u8; 2] = [0x00, 9];
const SET_INTERFACE: [u8; 2] = [0x01, 11];

/// See the module.
#[derive(Debug)]
pub(super) struct Ahead {
    /// How long a frame, or at high speed a microframe, takes.
    frame: Duration,
    playing: BTreeMap<u8, Playing>,
    recording: BTreeMap<u8, Recording>,
    /// What was submitted and unlinked here and not by the kernel, by its number.
    ours: HashMap<u32, Ours>,
    /// The next number for it.
    number: u32,
    /// What the kernel wants of endpoint 0 while the end is still playing.
    held: VecDeque<Submit>,
    commands: VecDeque<Command>,
    replies: VecDeque<Reply>,
}

/// An isochronous OUT endpoint.
#[derive(Debug, Default)]
struct Playing {
    /// The URBs whose driver waits, in order.
    waiting: VecDeque<Waiting>,
    /// Those that were answered and are not over, with their time.
    answered: HashMap<u32, Duration>,
    /// When the next one may be answered.
    next: Option<Instant>,
    /// So much may be answered and not over.
    most: Duration,
    /// One has failed as a whole: the driver hears from the device itself until one succeeds.
    failing: bool,
}

#[derive(Debug)]
struct Waiting {
    seqnum: u32,
    time: Duration,
    start_frame: u32,
    packets: Packets,
}

/// An isochronous IN endpoint.
#[derive(Debug)]
struct Recording {
    /// How its driver's URBs look.
    form: Submit,
    /// The driver's URBs, in order.
    asking: VecDeque<u32>,
    /// What has come before somebody asked for it.
    ready: VecDeque<Reply>,
    /// How many are under way for this endpoint.
    fetching: usize,
}

#[derive(Debug)]
enum Ours {
    /// A URB whose result is for the driver of this endpoint.
    Fetch(u8),
    /// A URB that nobody wants any more.
    Dropped,
    /// An unlink of a dropped URB.
    Unlink(u32),
}

impl Playing {
    /// How much was answered and is not over.
    fn ahead(&self) -> Duration {
        self.answered.values().sum()
    }

    /// When the next URB is to be answered early.
    fn due(&self) -> Option<Instant> {
        let first = self.waiting.front().filter(|first| !self.failing && self.ahead() + first.time <= self.most)?;
        self.next.filter(|_| !first.time.is_zero())
    }
}

impl Ahead {
    pub(super) fn new(speed: Speed) -> Self {
        let frame = match speed {
            Speed::Low | Speed::Full => Duration::from_millis(1),
            Speed::High | Speed::Super | Speed::SuperPlus | Speed::Unknown => Duration::from_micros(125),
        };
        Self {
            frame,
            playing: BTreeMap::new(),
            recording: BTreeMap::new(),
            ours: HashMap::new(),
            number: HALF,
            held: VecDeque::new(),
            commands: VecDeque::new(),
            replies: VecDeque::new(),
        }
    }

    /// Takes a command of the kernel. A round trip takes as long as `round_trip` says, and `taken` are the numbers of the
    /// URBs that are under way.
    pub(super) fn command(
        &mut self,
        command: Command,
        now: Instant,
        round_trip: impl FnOnce() -> Duration,
        taken: impl Fn(u32) -> bool,
    ) {
        match command {
            Command::Submit(urb) if urb.endpoint == 0 => self.control(urb, taken),
            Command::Submit(urb) if urb.packets.is_empty() => self.commands.push_back(Command::Submit(urb)),
            Command::Submit(urb) => {
                let ahead = (round_trip() + MARGIN).min(MAX_AHEAD);
                if urb.input { self.record(urb, ahead, taken) } else { self.play(urb, now, ahead) }
            }
            Command::Unlink { seqnum, unlink } => self.unlink(seqnum, unlink, taken),
        }
    }

    /// Takes an answer to a command that was passed on.
    pub(super) fn reply(&mut self, reply: Reply) {
        let seqnum = reply.seqnum();
        match self.ours.remove(&seqnum) {
            Some(Ours::Fetch(endpoint)) => {
                if let Some(recording) = self.recording.get_mut(&endpoint) {
                    recording.fetching -= 1;
                    recording.ready.push_back(reply);
                    self.deliver(endpoint);
                }
                return;
            }
            Some(Ours::Dropped) => return,
            Some(Ours::Unlink(victim)) => {
                // Where it has cancelled the URB, nothing else is said of that.
                self.ours.remove(&victim);
                return;
            }
            None => {}
        }
        if !reply.is_unlink() {
            for playing in self.playing.values_mut() {
                if playing.answered.remove(&seqnum).is_some() {
                    playing.failing |= reply.errno() != 0;
                    self.let_go();
                    return;
                }
                if let Some(place) = playing.waiting.iter().position(|waiting| waiting.seqnum == seqnum) {
                    playing.waiting.remove(place);
                    playing.failing = reply.errno() != 0;
                }
            }
        }
        self.replies.push_back(reply);
    }

    /// The next command to pass on.
    pub(super) fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next answer for the kernel.
    pub(super) fn next_reply(&mut self, now: Instant) -> Option<Reply> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        let playing = self.playing.values_mut().find(|playing| playing.due().is_some_and(|due| due <= now))?;
        let Waiting { seqnum, time, start_frame, packets } = playing.waiting.pop_front()?;
        playing.answered.insert(seqnum, time);
        playing.next = Some(now + time / BUILD_UP);
        let outcomes: Vec<IsoPacket> =
            packets.lengths().map(|actual_length| IsoPacket { actual_length, status: UrbStatus::Ok }).collect();
        Some(usbip::ret_submit_iso(seqnum, 0, start_frame, &packets, &outcomes, bytes::Bytes::new()))
    }

    /// When [`next_reply`](Self::next_reply) is to be asked again, if nothing happens before.
    pub(super) fn due(&self) -> Option<Instant> {
        self.playing.values().filter_map(Playing::due).min()
    }

    fn control(&mut self, urb: Submit, taken: impl Fn(u32) -> bool) {
        let ends = [SET_CONFIGURATION, SET_INTERFACE].iter().any(|request| urb.setup.starts_with(request));
        if ends {
            let asks = |(endpoint, recording): (&u8, &Recording)| recording.asking.is_empty().then_some(*endpoint);
            for endpoint in self.recording.iter().filter_map(asks).collect::<Vec<_>>() {
                self.drop_fetches(endpoint, &taken);
            }
        }
        let plays = self.playing.values().any(|playing| !playing.answered.is_empty());
        if !self.held.is_empty() || (ends && plays) {
            return self.held.push_back(urb);
        }
        self.commands.push_back(Command::Submit(urb));
    }

    /// Passes on what was held, once nothing plays that was answered early.
    fn let_go(&mut self) {
        if self.playing.values().all(|playing| playing.answered.is_empty()) {
            self.commands.extend(self.held.drain(..).map(Command::Submit));
        }
    }

    fn time(&self, urb: &Submit) -> Duration {
        // An interval is at most 2^15 frames.
        self.frame * urb.interval.clamp(1, 1 << 15) * u32::from(urb.packets.count())
    }

    fn play(&mut self, urb: Submit, now: Instant, most: Duration) {
        let time = self.time(&urb);
        let playing = self.playing.entry(urb.endpoint).or_default();
        playing.most = most;
        if playing.waiting.is_empty() && playing.answered.is_empty() {
            playing.next = Some(now + time / BUILD_UP);
        }
        let (seqnum, start_frame, packets) = (urb.seqnum, urb.start_frame, urb.packets.clone());
        playing.waiting.push_back(Waiting { seqnum, time, start_frame, packets });
        self.commands.push_back(Command::Submit(urb));
    }

    fn record(&mut self, urb: Submit, ahead: Duration, taken: impl Fn(u32) -> bool) {
        let (endpoint, time) = (urb.endpoint, self.time(&urb));
        let other = |recording: &Recording| {
            // What has come before the driver was away for longer than the queue is no use to it either.
            !recording.form.packets.same_places(&urb.packets) || recording.asking.len() + recording.fetching == 0
        };
        if self.recording.get(&endpoint).is_some_and(other) {
            self.drop_fetches(endpoint, &taken);
        }
        let seqnum = urb.seqnum;
        let recording = self.recording.entry(endpoint).or_insert_with(|| Recording {
            form: urb.clone(),
            asking: VecDeque::new(),
            ready: VecDeque::new(),
            fetching: 0,
        });
        recording.form = urb;
        recording.asking.push_back(seqnum);
        let more = ahead.as_nanos().div_ceil(time.as_nanos().max(1)) as usize;
        let wanted = (recording.asking.len() + more).saturating_sub(recording.ready.len() + recording.fetching);
        recording.fetching += wanted;
        let form = recording.form.clone();
        for _ in 0..wanted {
            let seqnum = self.new_number(form.seqnum, &taken);
            self.ours.insert(seqnum, Ours::Fetch(endpoint));
            self.commands.push_back(Command::Submit(Submit { seqnum, ..form.clone() }));
        }
        self.deliver(endpoint);
    }

    /// Hands what has come to whoever has asked.
    fn deliver(&mut self, endpoint: u8) {
        let Some(recording) = self.recording.get_mut(&endpoint) else { return };
        while !recording.ready.is_empty()
            && let Some(asking) = recording.asking.pop_front()
            && let Some(mut reply) = recording.ready.pop_front()
        {
            reply.renumber(asking);
            self.replies.push_back(reply);
        }
    }

    /// Cancels what is under way for an endpoint and forgets what has come.
    fn drop_fetches(&mut self, endpoint: u8, taken: &impl Fn(u32) -> bool) {
        let Some(recording) = self.recording.get_mut(&endpoint) else { return };
        recording.ready.clear();
        recording.fetching = 0;
        let near = recording.form.seqnum;
        let fetches: Vec<u32> = self
            .ours
            .iter()
            .filter(|(_, ours)| matches!(ours, Ours::Fetch(of) if *of == endpoint))
            .map(|(number, _)| *number)
            .collect();
        for unlink in fetches {
            let seqnum = self.new_number(near, taken);
            self.ours.insert(unlink, Ours::Dropped);
            self.ours.insert(seqnum, Ours::Unlink(unlink));
            self.commands.push_back(Command::Unlink { seqnum, unlink });
        }
    }

    fn unlink(&mut self, seqnum: u32, unlink: u32, taken: impl Fn(u32) -> bool) {
        if self.playing.values().any(|playing| playing.answered.contains_key(&unlink)) {
            // Its answer is on its way to the kernel.
            return self.replies.push_back(usbip::ret_unlink(seqnum, 0));
        }
        for playing in self.playing.values_mut() {
            playing.waiting.retain(|waiting| waiting.seqnum != unlink);
        }
        let held = self.held.len();
        self.held.retain(|urb| urb.seqnum != unlink);
        let mut cancelled = held > self.held.len();
        let mut idle = None;
        for (endpoint, recording) in &mut self.recording {
            if let Some(place) = recording.asking.iter().position(|asking| *asking == unlink) {
                recording.asking.remove(place);
                cancelled = true;
                idle = recording.asking.is_empty().then_some(*endpoint);
            }
        }
        if cancelled {
            self.replies.push_back(usbip::ret_unlink(seqnum, CANCELLED));
        } else {
            self.commands.push_back(Command::Unlink { seqnum, unlink });
        }
        if let Some(endpoint) = idle {
            self.drop_fetches(endpoint, &taken);
        }
    }

    /// A number that the kernel, which is at `near`, will not come to soon.
    fn new_number(&mut self, near: u32, taken: &impl Fn(u32) -> bool) -> u32 {
        if self.number.wrapping_sub(near) < HALF / 2 {
            self.number = near.wrapping_add(HALF);
        }
        while self.ours.contains_key(&self.number) || taken(self.number) {
            self.number = self.number.wrapping_add(1);
        }
        let number = self.number;
        self.number = self.number.wrapping_add(1);
        number
    }
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut as _, Bytes, BytesMut};

    use super::*;

    const OUT: u8 = 0x01;
    const IN: u8 = 0x82;
    /// Of the URBs here, at full speed.
    const URB_TIME: Duration = Duration::from_millis(6);

    struct Test {
        ahead: Ahead,
        now: Instant,
        round_trip: Duration,
    }

    impl Test {
        fn new(round_trip: u64) -> Self {
            let round_trip = Duration::from_millis(round_trip);
            Self { ahead: Ahead::new(Speed::Full), now: Instant::now(), round_trip }
        }

        fn command(&mut self, command: Command) {
            self.ahead.command(command, self.now, || self.round_trip, |_| false);
        }

        fn submit(&mut self, endpoint: u8, seqnum: u32) {
            self.command(Command::Submit(urb(endpoint, seqnum, 8)));
        }

        fn unlink(&mut self, seqnum: u32, unlink: u32) {
            self.command(Command::Unlink { seqnum, unlink });
        }

        /// The numbers of what is passed on: of URBs, and of URBs to unlink.
        fn passed_on(&mut self) -> (Vec<u32>, Vec<(u32, u32)>) {
            let (mut submits, mut unlinks) = (Vec::new(), Vec::new());
            while let Some(command) = self.ahead.next_command() {
                match command {
                    Command::Submit(urb) => submits.push(urb.seqnum),
                    Command::Unlink { seqnum, unlink } => unlinks.push((seqnum, unlink)),
                }
            }
            (submits, unlinks)
        }

        /// What the kernel is told: the numbers, with the status.
        fn told(&mut self) -> Vec<(u32, i32)> {
            std::iter::from_fn(|| self.ahead.next_reply(self.now))
                .map(|reply| (reply.seqnum(), reply.errno()))
                .collect()
        }

        fn device_says(&mut self, seqnum: u32, errno: i32) {
            self.ahead.reply(usbip::ret_submit(seqnum, errno, 0, Bytes::new()));
        }
    }

    fn urb(endpoint: u8, seqnum: u32, packet: u32) -> Submit {
        let mut packets = BytesMut::new();
        for number in 0..6 {
            for word in [number * packet, packet, 7, 7] {
                packets.put_u32(word);
            }
        }
        let packets = if endpoint == 0 { Bytes::new() } else { packets.freeze() };
        Submit {
            seqnum,
            endpoint,
            input: endpoint & 0x80 != 0,
            short_not_ok: false,
            zero_packet: false,
            length: 6 * packet,
            start_frame: 0,
            interval: 1,
            setup: [0; 8],
            data: Bytes::new(),
            packets: Packets::new(packets),
        }
    }

    fn set_interface(seqnum: u32) -> Command {
        Command::Submit(Submit { setup: [1, 11, 0, 0, 1, 0, 0, 0], ..urb(0, seqnum, 0) })
    }

    #[test]
    fn a_driver_is_answered_early_until_enough_is_under_way() {
        let mut test = Test::new(20);
        for seqnum in 1..=20 {
            test.submit(OUT, seqnum);
        }
        assert_eq!(test.passed_on().0, (1..=20).collect::<Vec<_>>());
        assert_eq!(test.told(), []);
        // Built up at twice the pace of the bus.
        let mut answered = 0;
        while let Some(due) = test.ahead.due() {
            test.now += URB_TIME / BUILD_UP;
            assert!(due <= test.now);
            answered += 1;
            assert_eq!(test.told(), [(answered, 0)]);
        }
        // 36 ms of the 40.
        assert_eq!(answered, 6);
        // From here on, one for each that the device has done.
        test.now += URB_TIME;
        test.device_says(1, 0);
        assert_eq!(test.told(), [(7, 0)]);
        test.device_says(2, 0);
        test.now += URB_TIME;
        assert_eq!(test.told(), [(8, 0)]);
    }

    #[test]
    fn a_failure_comes_with_the_next_urb_and_ends_early_answers() {
        let mut test = Test::new(20);
        (1..=3).for_each(|seqnum| test.submit(OUT, seqnum));
        test.now += URB_TIME;
        assert_eq!(test.told(), [(1, 0)]);
        test.device_says(1, -71);
        test.now += URB_TIME;
        assert_eq!(test.told(), []);
        test.device_says(2, -71);
        assert_eq!(test.told(), [(2, -71)]);
        test.device_says(3, 0);
        test.submit(OUT, 4);
        test.now += URB_TIME;
        assert_eq!(test.told(), [(3, 0), (4, 0)]);
    }

    #[test]
    fn the_end_of_what_plays_is_waited_for() {
        let mut test = Test::new(20);
        (1..=2).for_each(|seqnum| test.submit(OUT, seqnum));
        test.now += URB_TIME;
        assert_eq!(test.told(), [(1, 0)]);
        test.passed_on();
        // The second is cancelled on the device; the first is over as far as the kernel knows.
        test.unlink(3, 2);
        test.unlink(4, 1);
        assert_eq!((test.passed_on().1, test.told()), (vec![(3, 2)], vec![(4, 0)]));
        test.command(set_interface(5));
        test.submit(0, 6);
        assert!(test.passed_on().0.is_empty());
        test.unlink(7, 6);
        assert_eq!(test.told(), [(7, CANCELLED)]);
        test.device_says(1, 0);
        assert_eq!((test.passed_on().0, test.told()), (vec![5], vec![]));
        // Nothing plays: at once.
        test.command(set_interface(8));
        assert_eq!(test.passed_on().0, [8]);
    }

    #[test]
    fn results_are_fetched_before_they_are_asked_for() {
        let mut test = Test::new(20);
        test.submit(IN, 1);
        let (fetches, _) = test.passed_on();
        // One that was asked for, and 42 ms more.
        assert_eq!(fetches.len(), 8);
        test.submit(IN, 2);
        let (more, _) = test.passed_on();
        assert_eq!(more.len(), 1);
        for fetch in &fetches[..3] {
            test.device_says(*fetch, 0);
        }
        assert_eq!(test.told(), [(1, 0), (2, 0)]);
        // The third is there already. With one URB of the driver instead of two, seven are to be under way after it.
        test.submit(IN, 3);
        assert_eq!((test.passed_on().0.len(), test.told()), (1, vec![(3, 0)]));
        test.submit(IN, 4);
        assert_eq!(test.passed_on().0.len(), 1);
    }

    #[test]
    fn a_driver_that_cancels_all_its_urbs_has_all_cancelled() {
        let mut test = Test::new(0);
        (1..=2).for_each(|seqnum| test.submit(IN, seqnum));
        let (fetches, _) = test.passed_on();
        test.unlink(3, 1);
        assert_eq!((test.passed_on().1, test.told()), (vec![], vec![(3, CANCELLED)]));
        test.unlink(4, 2);
        let (_, unlinks) = test.passed_on();
        assert_eq!(test.told(), [(4, CANCELLED)]);
        let mut victims: Vec<u32> = unlinks.iter().map(|(_, victim)| *victim).collect();
        victims.sort_unstable();
        assert_eq!(victims, fetches);
        // One was over before, the others were cancelled; the kernel hears of neither.
        for (index, (seqnum, victim)) in unlinks.into_iter().enumerate() {
            if index == 0 {
                test.device_says(victim, 0);
            }
            test.ahead.reply(usbip::ret_unlink(seqnum, if index == 0 { 0 } else { CANCELLED }));
        }
        assert_eq!(test.told(), []);
        assert!(test.ahead.ours.is_empty());
    }

    #[test]
    fn what_was_fetched_for_another_time_is_not_handed_out() {
        let mut test = Test::new(0);
        test.submit(IN, 1);
        for fetch in test.passed_on().0 {
            test.device_says(fetch, 0);
        }
        assert_eq!(test.told(), [(1, 0)]);
        // The driver comes back when all of that is old.
        test.submit(IN, 2);
        let (fetches, _) = test.passed_on();
        assert_eq!((fetches.len(), test.told()), (5, vec![]));
        // Packets of another size are fetched anew.
        test.command(Command::Submit(urb(IN, 3, 16)));
        let (again, unlinks) = test.passed_on();
        assert_eq!((again.len(), unlinks.len()), (6, 5));
        // Another alternate setting, while nobody asks.
        for fetch in &again[..2] {
            test.device_says(*fetch, 0);
        }
        assert_eq!(test.told(), [(2, 0), (3, 0)]);
        test.command(set_interface(4));
        assert_eq!(test.passed_on().1.len(), 4);
    }

    #[test]
    fn other_urbs_pass() {
        let mut test = Test::new(20);
        test.submit(0, 1);
        test.command(Command::Submit(Submit { packets: Packets::default(), ..urb(IN, 2, 8) }));
        test.unlink(3, 2);
        assert_eq!(test.passed_on(), (vec![1, 2], vec![(3, 2)]));
        test.device_says(1, -32);
        test.ahead.reply(usbip::ret_unlink(3, CANCELLED));
        assert_eq!(test.told(), [(1, -32), (3, CANCELLED)]);
        assert_eq!(test.ahead.due(), None);
    }
}
