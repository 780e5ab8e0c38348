//! The importer's side of a lane.

use crate::{
    error::LaneError,
    limits::{MAX_LANE_BYTES, MAX_URB_LEN, MAX_URBS_PER_LANE},
    numbered::Numbered,
};

/// Numbers the URBs of a lane, keeps the importer's own record `U` of each until it is completed, and
/// tells how many the exporter has room for.
///
/// The record is what it takes to send the URB again, because a connection may be lost at any time.
///
/// ```
/// use p2pusb_protocol::ImporterLane;
///
/// let mut lane = ImporterLane::new();
/// assert_eq!(lane.submit("read 512 bytes", 512), Ok(1));
/// assert_eq!(lane.submit("read 64 bytes", 64), Ok(2));
/// assert_eq!(lane.complete(1), Some("read 512 bytes"));
/// assert_eq!(lane.complete(1), None);
/// // On the next connection: the exporter has seen the first one only.
/// assert_eq!(lane.received(), 1);
/// assert_eq!(lane.resume(1)?.collect::<Vec<_>>(), [(2, &"read 64 bytes")]);
/// # Ok::<(), p2pusb_protocol::LaneError>(())
/// ```
#[derive(Debug)]
pub struct ImporterLane<U> {
    /// The number of the last submit, 0 before the first.
    last: u64,
    pending: Numbered<Pending<U>>,
    /// The sum of what is pending.
    bytes: usize,
    /// How many completions have come.
    received: u64,
    /// How many of them the exporter has been told of.
    acknowledged: u64,
}

#[derive(Debug)]
struct Pending<U> {
    urb: U,
    bytes: u32,
}

impl<U> ImporterLane<U> {
    /// A lane on which nothing has been submitted.
    pub const fn new() -> Self {
        Self { last: 0, pending: Numbered::new(), bytes: 0, received: 0, acknowledged: 0 }
    }

    /// Whether a URB of that length, IN or OUT, can be submitted now.
    ///
    /// One longer than [`MAX_URB_LEN`] never can; the caller does not let it wait and ends it with
    /// [`UrbStatus::NoMemory`](crate::UrbStatus::NoMemory).
    pub fn has_room(&self, bytes: u32) -> bool {
        bytes <= MAX_URB_LEN && self.pending.len() < MAX_URBS_PER_LANE && self.bytes + bytes as usize <= MAX_LANE_BYTES
    }

    /// Takes a URB with a length of `bytes`, IN or OUT, and gives it the number that its `Submit` is to
    /// carry. The submits must be sent in the order of these calls.
    ///
    /// # Errors
    ///
    /// The URB itself, where there is [no room](Self::has_room) for it until others are completed.
    pub fn submit(&mut self, urb: U, bytes: u32) -> Result<u64, U> {
        if !self.has_room(bytes) {
            return Err(urb);
        }
        self.last += 1;
        self.bytes += bytes as usize;
        self.pending.push(self.last, Pending { urb, bytes });
        Ok(self.last)
    }

    /// Takes the completion of URB `seq`. `None` where no such URB is pending: the peer completed one
    /// twice or one that was never submitted, which the protocol does not allow.
    pub fn complete(&mut self, seq: u64) -> Option<U> {
        let Pending { urb, bytes } = self.pending.remove(seq)?;
        self.bytes -= bytes as usize;
        self.received += 1;
        Some(urb)
    }

    /// How many completions have come: what a [`Resume`](crate::Resume) says of this lane.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many completions have come, to be told to the exporter now, in a
    /// [`Submit`](crate::Submit::received) or an [`Acknowledge`](crate::LaneMessage::Acknowledge).
    pub fn acknowledge(&mut self) -> u64 {
        self.acknowledged = self.received;
        self.received
    }

    /// Whether completions have come that the exporter has not been told of. It keeps their data until it is.
    pub fn owes_acknowledgement(&self) -> bool {
        self.acknowledged < self.received
    }

    /// The lane goes on over another connection, and the exporter says which URB came last. Gives what is to be
    /// submitted again, in order and under the same numbers, before anything new is.
    ///
    /// # Errors
    ///
    /// [`LaneError::Position`] where that can't be; the lane is as it was.
    pub fn resume(&mut self, last: u64) -> Result<impl Iterator<Item = (u64, &U)>, LaneError> {
        let missing = self.last.checked_sub(last).ok_or(LaneError::Position { said: last, last: self.last })?;
        // What did not come has not been completed.
        if self.pending.after(last).len() as u64 != missing {
            return Err(LaneError::Position { said: last, last: self.last });
        }
        Ok(self.pending.after(last).map(|(seq, pending)| (seq, &pending.urb)))
    }

    /// The URBs that are pending, in order.
    pub fn pending(&self) -> impl Iterator<Item = (u64, &U)> {
        self.pending.iter().map(|(seq, pending)| (seq, &pending.urb))
    }

    /// The record of URB `seq`, where it is pending.
    pub fn get(&self, seq: u64) -> Option<&U> {
        self.pending.get(seq).map(|pending| &pending.urb)
    }

    /// The record of URB `seq`, where it is pending.
    pub fn get_mut(&mut self, seq: u64) -> Option<&mut U> {
        self.pending.get_mut(seq).map(|pending| &mut pending.urb)
    }

    /// The length that URB `seq` was submitted with, where it is pending: what its completion must not
    /// exceed.
    pub fn length(&self, seq: u64) -> Option<u32> {
        self.pending.get(seq).map(|pending| pending.bytes)
    }

    /// Takes all pending URBs, in the order in which they were submitted, for the end of the session.
    pub fn drain(&mut self) -> Vec<U> {
        self.bytes = 0;
        self.pending.drain().map(|pending| pending.urb).collect()
    }

    /// The number of the last submit, 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last
    }

    /// How many URBs are pending.
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// The sum of the lengths of the pending URBs, in bytes.
    pub fn bytes_in_flight(&self) -> usize {
        self.bytes
    }
}

impl<U> Default for ImporterLane<U> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_bounded_by_urbs() {
        let mut lane = ImporterLane::new();
        for expected in 1..=MAX_URBS_PER_LANE as u64 {
            assert_eq!(lane.submit(expected, 0), Ok(expected));
        }
        assert!(!lane.has_room(0));
        assert_eq!(lane.submit(999, 0), Err(999));
        assert_eq!(lane.complete(3), Some(3));
        assert_eq!(lane.submit(999, 0), Ok(MAX_URBS_PER_LANE as u64 + 1));
    }

    #[test]
    fn the_window_is_bounded_by_bytes() {
        let mut lane = ImporterLane::new();
        assert!(lane.has_room(MAX_URB_LEN));
        assert!(!lane.has_room(MAX_URB_LEN + 1));
        assert_eq!(lane.submit('a', MAX_URB_LEN), Ok(1));
        assert_eq!(lane.submit('b', MAX_URB_LEN - 1), Ok(2));
        assert_eq!(lane.submit('c', 2), Err('c'));
        assert_eq!(lane.submit('c', 1), Ok(3));
        assert_eq!(lane.bytes_in_flight(), MAX_LANE_BYTES);
        assert_eq!(lane.length(2), Some(MAX_URB_LEN - 1));
        assert_eq!(lane.complete(2), Some('b'));
        assert_eq!(lane.length(2), None);
        assert_eq!(lane.bytes_in_flight(), MAX_URB_LEN as usize + 1);
    }

    #[test]
    fn draining_leaves_an_empty_lane_that_counts_on() {
        let mut lane = ImporterLane::new();
        for urb in ['a', 'b', 'c'] {
            assert!(lane.submit(urb, 10).is_ok());
        }
        *lane.get_mut(3).unwrap() = 'd';
        assert_eq!(lane.get(3), Some(&'d'));
        assert_eq!(lane.complete(2), Some('b'));
        assert_eq!(lane.drain(), ['a', 'd']);
        assert_eq!((lane.in_flight(), lane.bytes_in_flight()), (0, 0));
        assert_eq!(lane.complete(1), None);
        assert_eq!(lane.submit('e', 10), Ok(4));
    }

    #[test]
    fn what_did_not_come_is_sent_again() {
        let mut lane = ImporterLane::new();
        for urb in ['a', 'b', 'c', 'd'] {
            assert!(lane.submit(urb, 10).is_ok());
        }
        assert_eq!(lane.complete(2), Some('b'));
        let resumed = |lane: &mut ImporterLane<char>, last| {
            lane.resume(last).map(|urbs| urbs.map(|(seq, urb)| (seq, *urb)).collect::<Vec<_>>())
        };
        assert_eq!(resumed(&mut lane, 2), Ok(vec![(3, 'c'), (4, 'd')]));
        assert_eq!(resumed(&mut lane, 4), Ok(vec![]));
        // It has completed the second one, and no fifth was submitted.
        assert_eq!(resumed(&mut lane, 1), Err(LaneError::Position { said: 1, last: 4 }));
        assert_eq!(resumed(&mut lane, 5), Err(LaneError::Position { said: 5, last: 4 }));
        assert_eq!(resumed(&mut lane, u64::MAX), Err(LaneError::Position { said: u64::MAX, last: 4 }));
        assert_eq!(lane.pending().map(|(seq, _)| seq).collect::<Vec<_>>(), [1, 3, 4]);
    }

    #[test]
    fn what_came_is_acknowledged_once() {
        let mut lane = ImporterLane::new();
        assert_eq!(lane.submit('a', 10), Ok(1));
        assert!(!lane.owes_acknowledgement());
        assert_eq!(lane.complete(1), Some('a'));
        assert_eq!(lane.complete(1), None);
        assert!(lane.owes_acknowledgement());
        assert_eq!((lane.received(), lane.acknowledge()), (1, 1));
        assert!(!lane.owes_acknowledgement());
    }
}
