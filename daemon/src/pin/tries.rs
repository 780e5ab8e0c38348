//! How often a PIN may be tried. Each peer has its own count, so that nobody locks others out; the peers are known by their
//! keys, so that none begins anew by calling itself something else.
//!
//! The counts do not outlive the process. A peer can't end it, and whoever can has no need for a PIN.

use std::time::{Duration, Instant};

/// Wrong PINs that cost a peer nothing but the last of them a pause …
const FREE_TRIES: u32 = 3;
/// … of this length, which doubles with each further one …
const PAUSE_MIN: Duration = Duration::from_secs(60);
/// … up to this length.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// What one peer has tried since it last was right.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tries {
    wrong: u32,
    locked_until: Option<Instant>,
}

impl Tries {
    /// How long nothing is looked at yet.
    pub(crate) fn locked(&self, now: Instant) -> Option<Duration> {
        self.locked_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Counts a try, as a wrong one until it was looked at: many at a time are no more than many one after the other. An
    /// error says how long nothing is looked at yet, and then this one does not count either.
    pub(crate) fn begin(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(left) = self.locked(now) {
            return Err(left);
        }
        self.wrong = self.wrong.saturating_add(1);
        self.locked_until = self.pause().map(|pause| now + pause);
        Ok(())
    }

    /// It was looked at, and was wrong: the pause begins now.
    pub(crate) fn was_wrong(&mut self, now: Instant) {
        self.locked_until = self.pause().map(|pause| now + pause);
    }

    /// How many tries are left before there is a pause.
    pub(crate) fn left(&self) -> u32 {
        FREE_TRIES.saturating_sub(self.wrong)
    }

    /// The pause that follows the last wrong one.
    fn pause(&self) -> Option<Duration> {
        let beyond = self.wrong.checked_sub(FREE_TRIES)?;
        Some(PAUSE_MIN.saturating_mul(2_u32.saturating_pow(beyond)).min(PAUSE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_begin_with_the_third_wrong_pin_and_double_up_to_an_hour() {
        let mut now = Instant::now();
        let mut tries = Tries::default();
        for left in [2, 1] {
            tries.begin(now).unwrap();
            assert_eq!((tries.left(), tries.locked(now)), (left, None));
        }
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            tries.begin(now).unwrap();
            let pause = Duration::from_secs(60 * minutes);
            assert_eq!((tries.left(), tries.locked(now)), (0, Some(pause)));
            // To look at it took a second.
            now += Duration::from_secs(1);
            tries.was_wrong(now);
            assert_eq!(tries.locked(now), Some(pause));
            // What is tried meanwhile makes it no longer.
            let last = pause - Duration::from_millis(1);
            assert_eq!(tries.begin(now + last), Err(Duration::from_millis(1)));
            now += pause;
            assert_eq!(tries.locked(now), None);
        }
    }

    #[test]
    fn many_at_a_time_are_no_more_than_many_one_after_the_other() {
        let (now, mut tries) = (Instant::now(), Tries::default());
        let begun = (0..64).filter(|_| tries.begin(now).is_ok()).count();
        assert_eq!(begun, 3);
    }

    #[test]
    fn a_count_does_not_run_over() {
        let mut tries = Tries { wrong: u32::MAX, locked_until: None };
        tries.begin(Instant::now()).unwrap();
        assert_eq!(tries.pause(), Some(PAUSE_MAX));
    }
}
