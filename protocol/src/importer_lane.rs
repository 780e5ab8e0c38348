//! The importer's side of a lane.

use std::collections::BTreeMap;

use crate::limits::{MAX_LANE_BYTES, MAX_URB_LEN, MAX_URBS_PER_LANE};

/// Numbers the URBs of a lane, keeps the importer's own record `U` of each until it is completed, and
/// tells how many the exporter has room for.
///
/// ```
/// use p2pusb_protocol::ImporterLane;
///
/// let mut lane = ImporterLane::new();
/// assert_eq!(lane.submit("read 512 bytes", 512), Ok(1));
/// assert_eq!(lane.complete(1), Some("read 512 bytes"));
/// assert_eq!(lane.complete(1), None);
/// ```
#[derive(Debug)]
pub struct ImporterLane<U> {
    /// The number of the last submit, 0 before the first.
    last: u64,
    pending: BTreeMap<u64, Pending<U>>,
    /// The sum of what is pending.
    bytes: usize,
}

#[derive(Debug)]
struct Pending<U> {
    urb: U,
    bytes: u32,
}

impl<U> ImporterLane<U> {
    /// A lane on which nothing has been submitted.
    pub const fn new() -> Self {
        Self { last: 0, pending: BTreeMap::new(), bytes: 0 }
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
        self.pending.insert(self.last, Pending { urb, bytes });
        Ok(self.last)
    }

    /// Takes the completion of URB `seq`. `None` where no such URB is pending: the peer completed one
    /// twice or one that was never submitted, which the protocol does not allow.
    pub fn complete(&mut self, seq: u64) -> Option<U> {
        let Pending { urb, bytes } = self.pending.remove(&seq)?;
        self.bytes -= bytes as usize;
        Some(urb)
    }

    /// The record of URB `seq`, where it is pending.
    pub fn get(&self, seq: u64) -> Option<&U> {
        self.pending.get(&seq).map(|pending| &pending.urb)
    }

    /// The record of URB `seq`, where it is pending.
    pub fn get_mut(&mut self, seq: u64) -> Option<&mut U> {
        self.pending.get_mut(&seq).map(|pending| &mut pending.urb)
    }

    /// The length that URB `seq` was submitted with, where it is pending: what its completion must not
    /// exceed.
    pub fn length(&self, seq: u64) -> Option<u32> {
        self.pending.get(&seq).map(|pending| pending.bytes)
    }

    /// Takes all pending URBs, in the order in which they were submitted, for the end of the session.
    pub fn drain(&mut self) -> Vec<U> {
        self.bytes = 0;
        std::mem::take(&mut self.pending).into_values().map(|pending| pending.urb).collect()
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
}
