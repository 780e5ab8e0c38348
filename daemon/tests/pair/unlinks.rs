//! Unlinks that race with completions, under real threads.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use p2pusbd::sim::{Done, Driver, Model, SimPort, Urb, pattern};

use crate::{ECONNRESET, Pair};

/// Unlinks that the kernel sends.
const UNLINKS: u64 = 10_000;
/// URBs that each thread keeps in flight.
const IN_FLIGHT: usize = 24;
const THREADS: u64 = 4;

/// Takes note of each URB's end.
#[derive(Default)]
struct Ends {
    /// By the number in the URB's context: its status, once for each time that it was given back.
    statuses: Mutex<HashMap<u64, Vec<i32>>>,
    /// What came from the source, in order.
    source: AtomicU64,
    wrong: AtomicU64,
}

impl Driver for Ends {
    fn complete(&self, _port: &SimPort, done: Done<'_>) {
        self.statuses.lock().unwrap().entry(done.context).or_default().push(done.status);
        if done.endpoint == 0x81 && done.status == 0 {
            let number = self.source.fetch_add(1, Ordering::Relaxed);
            self.wrong.fetch_add(u64::from(*done.data != *pattern(number, LENGTH)), Ordering::Relaxed);
        }
    }
}

const LENGTH: usize = 600;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        // xorshift
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Each URB is given back once, an OUT URB ran if and only if it was given back as done, and vhci would have nothing
/// to complain of.
#[tokio::test]
async fn ten_thousand_random_unlinks() {
    let pair = Pair::start(Model::everything("everything", Duration::from_micros(500))).await;
    let ends = Arc::new(Ends::default());
    let (numbers, unlinks) = (AtomicU64::new(0), AtomicU64::new(0));
    let port = &pair.attached.port;
    let work = |seed: u64| {
        let driver: Arc<dyn Driver> = ends.clone();
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut flying = Vec::new();
        while unlinks.load(Ordering::Relaxed) < UNLINKS {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let urb = match random.below(5) {
                0 => Urb::input(0x81, LENGTH as u32),
                1 | 2 => Urb::output(0x03, Bytes::copy_from_slice(&number.to_le_bytes())),
                3 => Urb::input(0x84, 64),
                _ => Urb::input(0x85, 16),
            };
            flying.push(port.submit(urb.with_context(number), &driver).expect("the device is there"));
            // Sometimes at once, sometimes later, sometimes too late.
            if random.below(3) == 0 || flying.len() >= IN_FLIGHT {
                let at = random.below(flying.len() as u64) as usize;
                unlinks.fetch_add(u64::from(port.unlink(flying.swap_remove(at))), Ordering::Relaxed);
            }
            for _ in 0..random.below(4) {
                std::thread::yield_now();
            }
        }
        for seqnum in flying {
            unlinks.fetch_add(u64::from(port.unlink(seqnum)), Ordering::Relaxed);
        }
    };
    // The daemons have threads of their own, so this one may wait.
    std::thread::scope(|scope| (1..=THREADS).for_each(|seed| drop(scope.spawn(move || work(seed)))));
    assert!(port.settled());
    assert_eq!(port.complaints(), [""; 0]);

    let statuses = std::mem::take(&mut *ends.statuses.lock().unwrap());
    assert_eq!(statuses.len() as u64, numbers.load(Ordering::Relaxed), "some were not given back");
    let mut done = 0;
    for (number, statuses) in &statuses {
        assert!(matches!(statuses[..], [0 | ECONNRESET]), "URB {number}: {statuses:?}");
        done += usize::from(statuses[0] == 0);
    }
    println!("{} unlinks, {done} of {} URBs done", unlinks.load(Ordering::Relaxed), statuses.len());
    // Both ways to end have been met, or this shows nothing.
    assert!(done > 500 && statuses.len() - done > 500);
    assert_eq!(ends.wrong.load(Ordering::Relaxed), 0, "the source's data did not come in order");
    let ran = pair.device.counts(0x03).numbers;
    let mut once = ran.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ran.len(), "some ran twice");
    let cancelled = ran.iter().filter(|number| statuses[number] != [0]).count();
    assert_eq!(cancelled, 0, "some ran and were given back as cancelled");
    pair.stop().await;
}
