//! The exporter's side of a lane.

use std::collections::{BTreeSet, VecDeque};

use crate::{
    error::LaneError,
    lane::Complete,
    limits::{MAX_LANE_BYTES, MAX_URB_LEN, MAX_URBS_PER_LANE},
    numbered::Numbered,
};

/// Decides what becomes of each submit and each unlink, so that a URB runs at most once, in whatever order
/// the two streams deliver; and keeps each completion, with its data `D`, until the importer is known to
/// have it.
///
/// A URB takes up room from [`accept`](Self::accept) until its completion is acknowledged, and the room is
/// bounded: [`MAX_URBS_PER_LANE`] URBs and [`MAX_LANE_BYTES`] bytes. So is what is remembered of unlinks that
/// overtook their submit. After an error the session is to be ended.
///
/// ```
/// use p2pusb_protocol::{Accept, Complete, ExporterLane, UnlinkOutcome, UrbStatus};
///
/// let mut lane = ExporterLane::new();
/// assert_eq!(lane.accept(1, 512, 0)?, Accept::Run);
/// // The unlink of the second URB overtakes it: it does not run.
/// assert_eq!(lane.unlink(2)?, UnlinkOutcome::Remembered);
/// assert_eq!(lane.accept(2, 512, 0)?, Accept::Cancelled);
/// // Each one is completed, once.
/// let cancelled = Complete { seq: 2, status: UrbStatus::Cancelled, actual_length: 0, packets: 0 };
/// assert!(lane.complete(cancelled, ""));
/// assert!(!lane.complete(cancelled, ""));
/// assert_eq!(lane.send(), Some((cancelled, "")));
/// assert_eq!(lane.send(), None);
/// // The connection is lost, and the completion did not come: it is sent again.
/// lane.resume(0)?;
/// assert_eq!(lane.send(), Some((cancelled, "")));
/// # Ok::<(), p2pusb_protocol::LaneError>(())
/// ```
#[derive(Debug)]
pub struct ExporterLane<D> {
    /// The number of the last submit, 0 before the first.
    last: u64,
    running: Numbered<Running>,
    /// The sum of what takes up room.
    bytes: usize,
    /// Numbers after `last` that have been unlinked already.
    unlinked_early: BTreeSet<u64>,
    /// Completions that are not acknowledged, in the order in which they are sent.
    kept: VecDeque<Kept<D>>,
    /// How many completions are acknowledged: those before the first that is kept.
    acknowledged: u64,
    /// How many of those that are kept have been sent over this connection.
    sent: usize,
    /// How many completions have ever been sent.
    most_sent: u64,
}

#[derive(Debug)]
struct Running {
    bytes: u32,
    cancelled: bool,
}

#[derive(Debug)]
struct Kept<D> {
    complete: Complete,
    data: D,
    /// The room that the URB takes up.
    bytes: u32,
}

/// What becomes of a URB that was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// It goes to the device.
    Run,
    /// Its unlink came first: it does not run and is completed as
    /// [`UrbStatus::Cancelled`](crate::UrbStatus::Cancelled), through [`ExporterLane::complete`] like any
    /// other.
    Cancelled,
}

/// What an unlink has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnlinkOutcome {
    /// The URB is on the device: its transfer is to be cancelled. The completion follows from that, and
    /// says what really happened to it.
    CancelInFlight,
    /// The URB has not come yet and will not run when it comes.
    Remembered,
    /// The URB is completed or cancelled already: nothing.
    AlreadyDone,
}

impl<D: Clone> ExporterLane<D> {
    /// A lane on which nothing has been submitted.
    pub const fn new() -> Self {
        Self {
            last: 0,
            running: Numbered::new(),
            bytes: 0,
            unlinked_early: BTreeSet::new(),
            kept: VecDeque::new(),
            acknowledged: 0,
            sent: 0,
            most_sent: 0,
        }
    }

    /// Takes the submit with number `seq` and a length of `bytes`, IN or OUT, from an importer that has
    /// `received` so many completions.
    ///
    /// # Errors
    ///
    /// Those of [`acknowledge`](Self::acknowledge), [`LaneError::OutOfOrder`] unless it is the one after the
    /// last, [`LaneError::TooManyUrbs`] and [`LaneError::TooManyBytes`]. An importer that keeps to an
    /// [`ImporterLane`](crate::ImporterLane) never causes any of them.
    pub fn accept(&mut self, seq: u64, bytes: u32, received: u64) -> Result<Accept, LaneError> {
        self.acknowledge(received)?;
        let expected = self.last + 1;
        if seq != expected {
            return Err(LaneError::OutOfOrder { expected, got: seq });
        }
        self.check_room(bytes)?;
        self.last = seq;
        self.bytes += bytes as usize;
        let cancelled = self.unlinked_early.remove(&seq);
        self.running.push(seq, Running { bytes, cancelled });
        Ok(if cancelled { Accept::Cancelled } else { Accept::Run })
    }

    /// Whether there is room for a URB of that length: what [`accept`](Self::accept) will say of it, for a reader that
    /// does not want to wait for its data in vain.
    ///
    /// # Errors
    ///
    /// [`LaneError::TooManyUrbs`] and [`LaneError::TooManyBytes`].
    pub fn check_room(&self, bytes: u32) -> Result<(), LaneError> {
        if self.in_flight() >= MAX_URBS_PER_LANE {
            return Err(LaneError::TooManyUrbs);
        }
        if bytes > MAX_URB_LEN || self.bytes + bytes as usize > MAX_LANE_BYTES {
            return Err(LaneError::TooManyBytes);
        }
        Ok(())
    }

    /// The importer has received so many completions on this lane: they are forgotten, and make room.
    ///
    /// # Errors
    ///
    /// [`LaneError::Acknowledged`] where it says fewer than before, or more than were sent.
    pub fn acknowledge(&mut self, received: u64) -> Result<(), LaneError> {
        let (acknowledged, sent) = (self.acknowledged, self.most_sent);
        if received < acknowledged || received > sent {
            return Err(LaneError::Acknowledged { received, acknowledged, sent });
        }
        for kept in self.kept.drain(..(received - acknowledged) as usize) {
            self.bytes -= kept.bytes as usize;
        }
        // After a resume more may be acknowledged than was sent again.
        self.sent = self.sent.saturating_sub((received - acknowledged) as usize);
        self.acknowledged = received;
        Ok(())
    }

    /// The lane goes on over another connection, to an importer that has `received` so many completions. What
    /// it does not have is sent again. Returns the number of the last submit that came, 0 before the first.
    ///
    /// # Errors
    ///
    /// [`LaneError::Acknowledged`] as in [`acknowledge`](Self::acknowledge).
    pub fn resume(&mut self, received: u64) -> Result<u64, LaneError> {
        self.acknowledge(received)?;
        self.sent = 0;
        Ok(self.last)
    }

    /// Takes the unlink of URB `seq`.
    ///
    /// # Errors
    ///
    /// [`LaneError::UnlinkTooFar`] where the number is more than [`MAX_URBS_PER_LANE`] after the last
    /// submit, and can't have been given yet.
    pub fn unlink(&mut self, seq: u64) -> Result<UnlinkOutcome, LaneError> {
        let last = self.last;
        if seq > last {
            if seq - last > MAX_URBS_PER_LANE as u64 {
                return Err(LaneError::UnlinkTooFar { seq, last });
            }
            self.unlinked_early.insert(seq);
            return Ok(UnlinkOutcome::Remembered);
        }
        Ok(match self.running.get_mut(seq) {
            Some(urb) if !urb.cancelled => {
                urb.cancelled = true;
                UnlinkOutcome::CancelInFlight
            }
            _ => UnlinkOutcome::AlreadyDone,
        })
    }

    /// Takes a URB that has ended, with the data of an IN transfer. `false` where no such URB is running, and
    /// no completion is to be sent.
    #[must_use = "a completion is sent only if this is true"]
    pub fn complete(&mut self, complete: Complete, data: D) -> bool {
        let Some(Running { bytes, .. }) = self.running.remove(complete.seq) else {
            return false;
        };
        self.kept.push_back(Kept { complete, data, bytes });
        true
    }

    /// The next completion to send over this connection, `None` until there is another one.
    pub fn send(&mut self) -> Option<(Complete, D)> {
        let next = self.kept.get(self.sent)?;
        self.sent += 1;
        self.most_sent = self.most_sent.max(self.acknowledged + self.sent as u64);
        Some((next.complete, next.data.clone()))
    }

    /// The number of the last submit, 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last
    }

    /// How many URBs take up room.
    pub fn in_flight(&self) -> usize {
        self.running.len() + self.kept.len()
    }

    /// The sum of the lengths of the URBs that take up room, in bytes.
    pub fn bytes_in_flight(&self) -> usize {
        self.bytes
    }

    /// How many unlinks wait for their submit.
    pub fn remembered(&self) -> usize {
        self.unlinked_early.len()
    }

    /// The numbers of the URBs that run, lowest first: what there is to cancel when the session ends.
    pub fn seqs(&self) -> impl Iterator<Item = u64> + '_ {
        self.running.iter().map(|(seq, _)| seq)
    }
}

impl<D: Clone> Default for ExporterLane<D> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::urb::UrbStatus;

    fn ok(seq: u64) -> Complete {
        Complete { seq, status: UrbStatus::Ok, actual_length: 0, packets: 0 }
    }

    #[test]
    fn submits_come_in_order_from_one() {
        let mut lane = ExporterLane::new();
        let wrong = |expected, got| Err(LaneError::OutOfOrder { expected, got });
        assert_eq!(lane.accept(0, 0, 0), wrong(1, 0));
        assert_eq!(lane.accept(2, 0, 0), wrong(1, 2));
        assert_eq!(lane.accept(1, 0, 0), Ok(Accept::Run));
        assert_eq!(lane.accept(1, 0, 0), wrong(2, 1));
        assert_eq!(lane.accept(2, 0, 0), Ok(Accept::Run));
        assert!(lane.complete(ok(1), ()));
        assert_eq!(lane.accept(1, 0, 0), wrong(3, 1));
        assert_eq!(lane.last_seq(), 2);
    }

    #[test]
    fn urbs_take_up_room_until_they_are_acknowledged() {
        let mut lane = ExporterLane::new();
        let full = MAX_URBS_PER_LANE as u64;
        for seq in 1..=full {
            assert_eq!(lane.accept(seq, 0, 0), Ok(Accept::Run));
        }
        assert_eq!(lane.accept(full + 1, 0, 0), Err(LaneError::TooManyUrbs));
        assert!(lane.complete(ok(7), ()));
        assert_eq!(lane.send(), Some((ok(7), ())));
        assert_eq!(lane.accept(full + 1, 0, 0), Err(LaneError::TooManyUrbs));
        assert_eq!(lane.accept(full + 1, 0, 1), Ok(Accept::Run));
    }

    #[test]
    fn bytes_take_up_room_until_they_are_acknowledged() {
        let mut lane = ExporterLane::new();
        assert_eq!(lane.accept(1, MAX_URB_LEN + 1, 0), Err(LaneError::TooManyBytes));
        assert_eq!(lane.accept(1, MAX_URB_LEN, 0), Ok(Accept::Run));
        assert_eq!(lane.accept(2, MAX_URB_LEN, 0), Ok(Accept::Run));
        assert_eq!(lane.bytes_in_flight(), MAX_LANE_BYTES);
        assert_eq!(lane.accept(3, 1, 0), Err(LaneError::TooManyBytes));
        assert_eq!(lane.accept(3, 0, 0), Ok(Accept::Run));
        assert!(lane.complete(ok(1), ()));
        assert!(lane.send().is_some());
        assert_eq!(lane.accept(4, MAX_URB_LEN, 0), Err(LaneError::TooManyBytes));
        assert_eq!(lane.accept(4, MAX_URB_LEN, 1), Ok(Accept::Run));
    }

    #[test]
    fn an_unlink_cancels_once() {
        let mut lane = ExporterLane::new();
        assert_eq!(lane.accept(1, 8, 0), Ok(Accept::Run));
        assert_eq!(lane.unlink(1), Ok(UnlinkOutcome::CancelInFlight));
        assert_eq!(lane.unlink(1), Ok(UnlinkOutcome::AlreadyDone));
        assert!(lane.complete(ok(1), ()));
        assert_eq!(lane.unlink(1), Ok(UnlinkOutcome::AlreadyDone));
        assert!(lane.send().is_some());
        assert_eq!(lane.acknowledge(1), Ok(()));
        assert_eq!(lane.bytes_in_flight(), 0);
    }

    #[test]
    fn an_unlink_that_overtakes_its_submit_keeps_it_from_running() {
        let mut lane = ExporterLane::new();
        assert_eq!(lane.unlink(2), Ok(UnlinkOutcome::Remembered));
        assert_eq!(lane.unlink(2), Ok(UnlinkOutcome::Remembered));
        assert_eq!(lane.remembered(), 1);
        assert_eq!(lane.accept(1, 8, 0), Ok(Accept::Run));
        assert_eq!(lane.accept(2, 8, 0), Ok(Accept::Cancelled));
        assert_eq!(lane.remembered(), 0);
        assert_eq!(lane.unlink(2), Ok(UnlinkOutcome::AlreadyDone));
        assert_eq!(lane.seqs().collect::<Vec<_>>(), [1, 2]);
        assert!(lane.complete(ok(2), ()));
    }

    #[test]
    fn an_unlink_of_what_can_not_have_been_submitted_is_an_error() {
        let mut lane = ExporterLane::<()>::new();
        let far = MAX_URBS_PER_LANE as u64;
        assert_eq!(lane.unlink(far), Ok(UnlinkOutcome::Remembered));
        assert_eq!(lane.unlink(far + 1), Err(LaneError::UnlinkTooFar { seq: far + 1, last: 0 }));
    }

    #[test]
    fn completions_are_sent_again_until_they_are_acknowledged() {
        let mut lane = ExporterLane::new();
        for seq in 1..=4 {
            assert_eq!(lane.accept(seq, 8, 0), Ok(Accept::Run));
        }
        for (seq, data) in [(3, 'c'), (1, 'a'), (2, 'b')] {
            assert!(lane.complete(ok(seq), data));
        }
        assert_eq!(lane.send(), Some((ok(3), 'c')));
        assert_eq!(lane.send(), Some((ok(1), 'a')));
        // Two were sent, one came, the connection is lost.
        assert_eq!(lane.resume(1), Ok(4));
        assert_eq!(lane.send(), Some((ok(1), 'a')));
        // The acknowledgement may name what was sent over the first connection and not yet over this one.
        assert_eq!(lane.resume(1), Ok(4));
        assert_eq!(lane.acknowledge(2), Ok(()));
        assert_eq!(lane.send(), Some((ok(2), 'b')));
        assert_eq!(lane.send(), None);
        assert_eq!(lane.bytes_in_flight(), 16);
    }

    #[test]
    fn nobody_has_received_what_was_not_sent_or_forgets_what_came() {
        let mut lane = ExporterLane::new();
        assert_eq!(lane.accept(1, 8, 0), Ok(Accept::Run));
        let wrong = |received, acknowledged, sent| Err(LaneError::Acknowledged { received, acknowledged, sent });
        assert!(lane.complete(ok(1), ()));
        assert_eq!(lane.acknowledge(1), wrong(1, 0, 0));
        assert!(lane.send().is_some());
        assert_eq!(lane.acknowledge(1), Ok(()));
        assert_eq!(lane.resume(0).map(drop), wrong(0, 1, 1).map(drop));
        assert_eq!(lane.accept(2, 8, u64::MAX), wrong(u64::MAX, 1, 1).map(|()| Accept::Run));
    }
}
