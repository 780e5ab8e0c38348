//! What went through a session, counted on both of its ends.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// A URB that has been completed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    /// Whether it read from the device.
    pub(crate) input: bool,
    /// What was moved.
    pub(crate) bytes: u32,
    /// Whether it failed; one that was cancelled has not.
    pub(crate) failed: bool,
}

/// The counters of one session.
#[derive(Debug, Default)]
pub struct Counters {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    urbs: AtomicU64,
    errors: AtomicU64,
    lost: Mutex<Lost>,
}

/// How long it has been without a connection.
#[derive(Debug, Default)]
struct Lost {
    before: Duration,
    since: Option<Instant>,
}

impl Counters {
    pub(crate) fn count(&self, urb: Counted) {
        self.urbs.fetch_add(1, Ordering::Relaxed);
        if urb.failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        let counter = if urb.input { &self.bytes_in } else { &self.bytes_out };
        counter.fetch_add(urb.bytes.into(), Ordering::Relaxed);
    }

    fn time(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection is lost, or there again. To say it twice changes nothing.
    pub(crate) fn set_lost(&self, is_lost: bool) {
        let mut lost = self.time();
        match (is_lost, lost.since) {
            (true, None) => lost.since = Some(Instant::now()),
            (false, Some(since)) => *lost = Lost { before: lost.before + since.elapsed(), since: None },
            _ => {}
        }
    }

    /// Bytes read from the device.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes written to the device.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// URBs completed.
    pub fn urbs(&self) -> u64 {
        self.urbs.load(Ordering::Relaxed)
    }

    /// Those of them that failed.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// How long it has been without a connection, in microseconds.
    pub fn lost_usec(&self) -> u64 {
        let lost = self.time();
        let all = lost.before + lost.since.map_or(Duration::ZERO, |since| since.elapsed());
        u64::try_from(all.as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lost_time_is_the_sum_of_all_losses() {
        let counters = Counters::default();
        for seconds in [3, 4] {
            counters.set_lost(true);
            counters.set_lost(true);
            tokio::time::advance(Duration::from_secs(seconds)).await;
            counters.set_lost(false);
            counters.set_lost(false);
            tokio::time::advance(Duration::from_secs(100)).await;
        }
        assert_eq!(counters.lost_usec(), 7_000_000);
        counters.set_lost(true);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(counters.lost_usec(), 12_000_000);
    }

    #[test]
    fn failures_are_counted_beside_all() {
        let counters = Counters::default();
        counters.count(Counted { input: true, bytes: 5, failed: false });
        counters.count(Counted { input: false, bytes: 7, failed: true });
        assert_eq!((counters.bytes_in(), counters.bytes_out(), counters.urbs(), counters.errors()), (5, 7, 2, 1));
    }
}
