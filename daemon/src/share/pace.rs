//! Keeping to a bandwidth: whoever moves bytes is told how long to wait before it goes on.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::policy::Bandwidth;

/// What may be moved at once, as a part of a second: so short that nobody notices, so long that a timer is worth it.
const BURST_PART: u64 = 20;

/// One limit. All that is under it shares it, in both directions.
#[derive(Debug)]
pub(crate) struct Limit {
    /// Whoever waits watches it.
    rate: watch::Sender<Option<Bandwidth>>,
    debt: Mutex<Debt>,
}

#[derive(Debug)]
struct Debt {
    /// Bytes that were moved and for which there has not been time yet.
    owed: u64,
    /// When that was so.
    at: Instant,
}

impl Limit {
    pub(crate) fn new(rate: Option<Bandwidth>) -> Arc<Self> {
        let debt = Mutex::new(Debt { owed: 0, at: Instant::now() });
        Arc::new(Self { rate: watch::Sender::new(rate), debt })
    }

    fn debt(&self) -> MutexGuard<'_, Debt> {
        self.debt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another limit from now on, or none. Nobody waits any longer for what the earlier one was.
    pub(crate) fn set(&self, rate: Option<Bandwidth>) {
        if *self.rate.borrow() != rate {
            *self.debt() = Debt { owed: 0, at: Instant::now() };
            self.rate.send_replace(rate);
        }
    }

    /// So many bytes are moved. Answers how long whoever can wait has to.
    fn take(&self, bytes: u64) -> Duration {
        let Some(rate) = self.rate.borrow().map(Bandwidth::bytes_per_second) else { return Duration::ZERO };
        let mut debt = self.debt();
        let now = Instant::now();
        let elapsed = u64::try_from(now.duration_since(debt.at).as_micros()).unwrap_or(u64::MAX);
        // In whole bytes; what is left of the time counts the next time.
        let paid = u64::try_from(u128::from(rate) * u128::from(elapsed) / 1_000_000).unwrap_or(u64::MAX);
        if paid >= debt.owed {
            (debt.owed, debt.at) = (0, now);
        } else if paid > 0 {
            debt.owed -= paid;
            debt.at += Duration::from_micros(paid.saturating_mul(1_000_000) / rate);
        }
        debt.owed = debt.owed.saturating_add(bytes);
        let late = debt.owed.saturating_sub(rate / BURST_PART);
        Duration::from_micros(u64::try_from(u128::from(late) * 1_000_000 / u128::from(rate)).unwrap_or(u64::MAX))
    }
}

/// The limits that a claim is under: its share's and its peer's.
#[derive(Debug, Clone)]
pub(crate) struct Pace(pub(crate) [Arc<Limit>; 2]);

impl Pace {
    /// None at all.
    #[cfg(test)]
    pub(crate) fn unlimited() -> Self {
        Self([Limit::new(None), Limit::new(None)])
    }

    /// So many bytes are moved; waits until it is their turn.
    pub(super) async fn wait(&self, bytes: usize) {
        // The way of almost every URB.
        if bytes == 0 || self.0.iter().all(|limit| limit.rate.borrow().is_none()) {
            return;
        }
        let [mut share, mut peer] = self.0.each_ref().map(|limit| limit.rate.subscribe());
        let wait = self.take(bytes);
        if wait.is_zero() {
            return;
        }
        tokio::select! {
            () = sleep(wait) => {}
            _ = share.changed() => {}
            _ = peer.changed() => {}
        }
    }

    /// So many bytes are moved by what can't wait: others wait the longer.
    pub(super) fn count(&self, bytes: usize) {
        self.take(bytes);
    }

    fn take(&self, bytes: usize) -> Duration {
        let bytes = bytes as u64;
        self.0.iter().map(|limit| limit.take(bytes)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mega(number: u64) -> Option<Bandwidth> {
        Bandwidth::try_from(number * 1_000_000).ok()
    }

    /// How long it takes to move 10 MB in pieces.
    async fn moved(pace: &Pace, piece: usize) -> f64 {
        let began = Instant::now();
        for _ in 0..10_000_000 / piece {
            pace.wait(piece).await;
        }
        began.elapsed().as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn the_lower_of_two_limits_counts_whatever_the_size_of_the_pieces() {
        for piece in [500, 65_536, 1_000_000] {
            let pace = Pace([Limit::new(mega(50)), Limit::new(mega(5))]);
            let took = moved(&pace, piece).await;
            assert!((1.8..=2.1).contains(&took), "{piece}: {took}");
        }
        assert_eq!(moved(&Pace::unlimited(), 65_536).await, 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn two_who_share_a_limit_get_half_of_it_and_idle_time_is_not_saved_up() {
        let limit = Limit::new(mega(10));
        let pace = Pace([limit.clone(), Limit::new(None)]);
        tokio::time::advance(Duration::from_secs(3600)).await;
        let (first, second) = tokio::join!(moved(&pace, 65_536), moved(&pace, 65_536));
        assert!((1.9..=2.1).contains(&first.max(second)), "{first} {second}");
        limit.set(None);
        assert_eq!(moved(&pace, 65_536).await, 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_goes_on_when_the_limit_is_another_one() {
        let limit = Limit::new(mega(1));
        let pace = Pace([Limit::new(None), limit.clone()]);
        let began = Instant::now();
        let lift = async {
            sleep(Duration::from_secs(5)).await;
            limit.set(None);
        };
        tokio::join!(pace.wait(1_000_000_000), lift);
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_not_wait_has_others_wait() {
        let pace = Pace([Limit::new(mega(10)), Limit::new(None)]);
        pace.count(20_000_000);
        let began = Instant::now();
        pace.wait(1).await;
        assert!((1.9..=2.0).contains(&began.elapsed().as_secs_f64()));
    }
}
