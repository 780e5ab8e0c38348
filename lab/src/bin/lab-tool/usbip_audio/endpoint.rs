//! An isochronous endpoint: its URBs stand in a queue, one packet is transferred in each frame, and a frame for which there
//! is none has passed for good.

use std::collections::VecDeque;
use std::fmt;

use super::descriptors::RATE;
use super::wire::Urb;
use crate::samples::{self, Heard, SAMPLE};

/// What an endpoint does with a packet.
#[derive(Debug)]
enum Work {
    /// The loudspeaker listens to what comes.
    Play(Heard),
    /// The microphone makes up samples, in each frame those of that time: what is not fetched is lost.
    Record,
}

#[derive(Debug)]
struct Queued {
    urb: Urb,
    /// The frame of the first packet.
    start: u64,
    /// How many of its packets are over.
    done: usize,
    /// What was read.
    read: Vec<u8>,
}

impl Queued {
    fn end(&self) -> u64 {
        self.start + self.urb.packets.len() as u64
    }
}

#[derive(Debug)]
pub(super) struct Endpoint {
    work: Work,
    frames_per_second: u32,
    queue: VecDeque<Queued>,
    /// The frame of the first packet of all, once there was one.
    first: Option<u64>,
    /// The first frame that no packet is meant for yet.
    next: u64,
    packets: u64,
    /// Frames without a packet since the first one.
    missed: u64,
    /// The fewest and the most frames that the queue was ahead when another URB came.
    ahead: Option<(u64, u64)>,
}

/// A URB that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) urb: Urb,
    pub(super) start: u64,
    pub(super) read: Vec<u8>,
}

impl Endpoint {
    pub(super) fn loudspeaker(frames_per_second: u32) -> Self {
        Self::new(Work::Play(Heard::default()), frames_per_second)
    }

    pub(super) fn microphone(frames_per_second: u32) -> Self {
        Self::new(Work::Record, frames_per_second)
    }

    fn new(work: Work, frames_per_second: u32) -> Self {
        let queue = VecDeque::new();
        Self { work, frames_per_second, queue, first: None, next: 0, packets: 0, missed: 0, ahead: None }
    }

    /// Queues a URB in frame `now`; it begins in the next one, or when those before it are over.
    pub(super) fn submit(&mut self, urb: Urb, now: u64) {
        self.advance(now);
        let start = self.next.max(now + 1);
        if self.first.is_some() {
            self.missed += start - self.next;
            let ahead = self.next.saturating_sub(now + 1);
            let (least, most) = self.ahead.unwrap_or((ahead, ahead));
            self.ahead = Some((least.min(ahead), most.max(ahead)));
        }
        self.first.get_or_insert(start);
        self.next = start + urb.packets.len() as u64;
        self.queue.push_back(Queued { urb, start, done: 0, read: Vec::new() });
    }

    /// Whether there was any packet.
    pub(super) fn was_used(&self) -> bool {
        self.packets > 0
    }

    /// The frame with whose beginning the next URB is over.
    pub(super) fn due(&self) -> Option<u64> {
        self.queue.front().map(Queued::end)
    }

    /// The next URB that is over before frame `now`.
    pub(super) fn finish(&mut self, now: u64) -> Option<Over> {
        self.advance(now);
        if self.due()? > now {
            return None;
        }
        self.queue.pop_front().map(|Queued { urb, start, read, .. }| Over { urb, start, read })
    }

    /// Takes a URB off the queue. Its packets of earlier frames were transferred.
    pub(super) fn cancel(&mut self, number: u32, now: u64) -> bool {
        self.advance(now);
        let place = self.queue.iter().position(|queued| queued.urb.number == number);
        place.and_then(|place| self.queue.remove(place)).is_some()
    }

    /// Transfers the packets of the frames before `now`.
    fn advance(&mut self, now: u64) {
        for queued in &mut self.queue {
            let frames = now.saturating_sub(queued.start).min(queued.urb.packets.len() as u64) as usize;
            while queued.done < frames {
                let frame = queued.start + queued.done as u64;
                let first = self.first.unwrap_or(frame);
                let packet = &mut queued.urb.packets[queued.done];
                match &mut self.work {
                    Work::Play(heard) => {
                        let range = packet.offset as usize..(packet.offset + packet.length) as usize;
                        match queued.urb.data.get(range) {
                            Some(data) => {
                                heard.listen(data);
                                packet.actual = packet.length;
                            }
                            None => packet.status = -libc::EINVAL,
                        }
                    }
                    Work::Record => {
                        let [from, to] = [frame - first, frame + 1 - first]
                            .map(|frames| (frames * u64::from(RATE) / u64::from(self.frames_per_second)) as u32);
                        let length = (to - from) * SAMPLE as u32;
                        if length > packet.length {
                            packet.status = -libc::EOVERFLOW;
                        } else {
                            samples::append(&mut queued.read, from + 1, to - from);
                            packet.actual = length;
                        }
                    }
                }
                queued.done += 1;
                self.packets += 1;
            }
        }
    }
}

/// What went on since the endpoint was switched on.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.work {
            Work::Play(heard) => write!(f, "played {heard}")?,
            Work::Record => write!(f, "recorded")?,
        }
        let (least, most) = self.ahead.unwrap_or_default();
        write!(f, "; {} packets, {} frames missed, {least} to {most} ahead", self.packets, self.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Packet;
    use super::*;

    fn urb(number: u32, packets: u32, data: Vec<u8>) -> Urb {
        let length = 180;
        let packets =
            (0..packets).map(|index| Packet { offset: index * length, length, actual: 0, status: 0 }).collect();
        Urb { number, input: data.is_empty(), endpoint: 2, setup: [0; 8], data, packets }
    }

    #[test]
    fn a_urb_takes_its_frames_and_comes_after_the_one_before() {
        let mut endpoint = Endpoint::microphone(1_000);
        endpoint.submit(urb(1, 6, Vec::new()), 10);
        endpoint.submit(urb(2, 6, Vec::new()), 10);
        assert_eq!(endpoint.due(), Some(17));
        assert!(endpoint.finish(16).is_none());
        let over = endpoint.finish(17).expect("over");
        assert_eq!((over.urb.number, over.start), (1, 11));
        // 264.6 samples in six frames.
        assert_eq!(over.read.len(), 264 * SAMPLE);
        assert_eq!(endpoint.finish(23).expect("over").start, 17);
        assert_eq!(endpoint.missed, 0);
    }

    #[test]
    fn what_is_not_fetched_in_time_is_lost() {
        let mut endpoint = Endpoint::microphone(1_000);
        let mut heard = Heard::default();
        for (number, now) in [(1, 0), (2, 0), (3, 5)] {
            endpoint.submit(urb(number, 1, Vec::new()), now);
        }
        while let Some(over) = endpoint.finish(9) {
            heard.listen(&over.read);
        }
        assert_eq!(
            heard.to_string(),
            "samples 1 to 264, with 1 gaps and repetitions: after 88 and 0 silent ones comes 221"
        );
        assert_eq!(endpoint.missed, 3);
    }

    #[test]
    fn a_cancelled_urb_has_played_as_far_as_it_came() {
        let mut endpoint = Endpoint::loudspeaker(1_000);
        let mut data = Vec::new();
        samples::append(&mut data, 1, 90);
        endpoint.submit(urb(1, 2, data), 0);
        assert!(endpoint.cancel(1, 2));
        assert!(!endpoint.cancel(1, 2));
        assert!(endpoint.to_string().starts_with("played samples 1 to 45, every one"), "{endpoint}");
    }
}
