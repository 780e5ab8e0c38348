//! The exporter's side of a lane.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    error::LaneError,
    limits::{MAX_LANE_BYTES, MAX_URB_LEN, MAX_URBS_PER_LANE},
};

/// Decides what becomes of each submit and each unlink, so that a URB runs at most once and is completed
/// exactly once, in whatever order the two streams deliver.
///
/// A URB is in flight from [`accept`](Self::accept) to [`complete`](Self::complete), and what is in
/// flight is bounded: [`MAX_URBS_PER_LANE`] URBs and [`MAX_LANE_BYTES`] bytes. So is what is remembered
/// of unlinks that overtook their submit. After an error the session is to be ended; the lane is as it
/// was before the call.
///
/// ```
/// use p2pusb_protocol::{Accept, ExporterLane, UnlinkOutcome};
///
/// let mut lane = ExporterLane::new();
/// assert_eq!(lane.accept(1, 512)?, Accept::Run);
/// // The unlink of the second URB overtakes it: it does not run.
/// assert_eq!(lane.unlink(2)?, UnlinkOutcome::Remembered);
/// assert_eq!(lane.accept(2, 512)?, Accept::Cancelled);
/// // Each one is completed, once.
/// assert!(lane.complete(2));
/// assert!(lane.complete(1));
/// assert!(!lane.complete(1));
/// # Ok::<(), p2pusb_protocol::LaneError>(())
/// ```
#[derive(Debug, Default)]
pub struct ExporterLane {
    /// The number of the last submit, 0 before the first.
    last: u64,
    in_flight: BTreeMap<u64, InFlight>,
    /// The sum of what is in flight.
    bytes: usize,
    /// Numbers after `last` that have been unlinked already.
    unlinked_early: BTreeSet<u64>,
}

#[derive(Debug)]
struct InFlight {
    bytes: u32,
    cancelled: bool,
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

impl ExporterLane {
    /// A lane on which nothing has been submitted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the submit with number `seq` and a length of `bytes`, IN or OUT.
    ///
    /// # Errors
    ///
    /// [`LaneError::OutOfOrder`] unless it is the one after the last, [`LaneError::TooManyUrbs`] and
    /// [`LaneError::TooManyBytes`]. An importer that keeps to an [`ImporterLane`](crate::ImporterLane)
    /// never causes any of them.
    pub fn accept(&mut self, seq: u64, bytes: u32) -> Result<Accept, LaneError> {
        let expected = self.last + 1;
        if seq != expected {
            return Err(LaneError::OutOfOrder { expected, got: seq });
        }
        if self.in_flight.len() >= MAX_URBS_PER_LANE {
            return Err(LaneError::TooManyUrbs);
        }
        if bytes > MAX_URB_LEN || self.bytes + bytes as usize > MAX_LANE_BYTES {
            return Err(LaneError::TooManyBytes);
        }
        self.last = seq;
        self.bytes += bytes as usize;
        let cancelled = self.unlinked_early.remove(&seq);
        self.in_flight.insert(seq, InFlight { bytes, cancelled });
        Ok(if cancelled { Accept::Cancelled } else { Accept::Run })
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
        Ok(match self.in_flight.get_mut(&seq) {
            Some(urb) if !urb.cancelled => {
                urb.cancelled = true;
                UnlinkOutcome::CancelInFlight
            }
            _ => UnlinkOutcome::AlreadyDone,
        })
    }

    /// Takes URB `seq` out of flight. `false` where it is not in flight, and no completion is to be sent.
    ///
    /// To be called when the turn of the completion has come, right before its frame is written to the
    /// stream. Earlier, and a peer that reads nothing piles up completions that count nowhere; later, and
    /// the importer may have received the completion and sent the next submit before there is room for it
    /// here.
    #[must_use = "a completion is sent only if this is true"]
    pub fn complete(&mut self, seq: u64) -> bool {
        let Some(urb) = self.in_flight.remove(&seq) else {
            return false;
        };
        self.bytes -= urb.bytes as usize;
        true
    }

    /// The number of the last submit, 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.last
    }

    /// How many URBs are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The sum of the lengths of the URBs in flight, in bytes.
    pub fn bytes_in_flight(&self) -> usize {
        self.bytes
    }

    /// How many unlinks wait for their submit.
    pub fn remembered(&self) -> usize {
        self.unlinked_early.len()
    }

    /// The numbers of the URBs in flight, lowest first: what there is to cancel when the session ends.
    pub fn seqs(&self) -> impl Iterator<Item = u64> + '_ {
        self.in_flight.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submits_come_in_order_from_one() {
        let mut lane = ExporterLane::new();
        let wrong = |expected, got| Err(LaneError::OutOfOrder { expected, got });
        assert_eq!(lane.accept(0, 0), wrong(1, 0));
        assert_eq!(lane.accept(2, 0), wrong(1, 2));
        assert_eq!(lane.accept(1, 0), Ok(Accept::Run));
        assert_eq!(lane.accept(1, 0), wrong(2, 1));
        assert_eq!(lane.accept(2, 0), Ok(Accept::Run));
        assert!(lane.complete(1));
        assert_eq!(lane.accept(1, 0), wrong(3, 1));
        assert_eq!(lane.last_seq(), 2);
    }

    #[test]
    fn urbs_in_flight_are_bounded() {
        let mut lane = ExporterLane::new();
        let full = MAX_URBS_PER_LANE as u64;
        for seq in 1..=full {
            assert_eq!(lane.accept(seq, 0), Ok(Accept::Run));
        }
        assert_eq!(lane.accept(full + 1, 0), Err(LaneError::TooManyUrbs));
        assert!(lane.complete(7));
        assert_eq!(lane.accept(full + 1, 0), Ok(Accept::Run));
    }

    #[test]
    fn bytes_in_flight_are_bounded() {
        let mut lane = ExporterLane::new();
        assert_eq!(lane.accept(1, MAX_URB_LEN + 1), Err(LaneError::TooManyBytes));
        assert_eq!(lane.accept(1, MAX_URB_LEN), Ok(Accept::Run));
        assert_eq!(lane.accept(2, MAX_URB_LEN), Ok(Accept::Run));
        assert_eq!(lane.bytes_in_flight(), MAX_LANE_BYTES);
        assert_eq!(lane.accept(3, 1), Err(LaneError::TooManyBytes));
        assert_eq!(lane.accept(3, 0), Ok(Accept::Run));
        assert!(lane.complete(1));
        assert_eq!(lane.accept(4, MAX_URB_LEN), Ok(Accept::Run));
    }

    #[test]
    fn an_unlink_cancels_once() {
        let mut lane = ExporterLane::new();
        assert_eq!(lane.accept(1, 8), Ok(Accept::Run));
        assert_eq!(lane.unlink(1), Ok(UnlinkOutcome::CancelInFlight));
        assert_eq!(lane.unlink(1), Ok(UnlinkOutcome::AlreadyDone));
        assert!(lane.complete(1));
        assert_eq!(lane.unlink(1), Ok(UnlinkOutcome::AlreadyDone));
        assert_eq!(lane.bytes_in_flight(), 0);
    }

    #[test]
    fn an_unlink_that_overtakes_its_submit_keeps_it_from_running() {
        let mut lane = ExporterLane::new();
        assert_eq!(lane.unlink(2), Ok(UnlinkOutcome::Remembered));
        assert_eq!(lane.unlink(2), Ok(UnlinkOutcome::Remembered));
        assert_eq!(lane.remembered(), 1);
        assert_eq!(lane.accept(1, 8), Ok(Accept::Run));
        assert_eq!(lane.accept(2, 8), Ok(Accept::Cancelled));
        assert_eq!(lane.remembered(), 0);
        assert_eq!(lane.unlink(2), Ok(UnlinkOutcome::AlreadyDone));
        assert_eq!(lane.seqs().collect::<Vec<_>>(), [1, 2]);
        assert!(lane.complete(2));
    }

    #[test]
    fn an_unlink_of_what_can_not_have_been_submitted_is_an_error() {
        let mut lane = ExporterLane::new();
        let far = MAX_URBS_PER_LANE as u64;
        assert_eq!(lane.unlink(far), Ok(UnlinkOutcome::Remembered));
        let too_far = |seq, last| Err(LaneError::UnlinkTooFar { seq, last });
        assert_eq!(lane.unlink(far + 1), too_far(far + 1, 0));
        assert_eq!(lane.unlink(u64::MAX), too_far(u64::MAX, 0));
        assert_eq!(lane.accept(1, 0), Ok(Accept::Run));
        assert_eq!(lane.unlink(far + 1), Ok(UnlinkOutcome::Remembered));
    }
}
