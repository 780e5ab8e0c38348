//! A driver that keeps an endpoint busy, and a flood beside which everything else goes on.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use p2pusbd::sim::{Done, Driver, Model, OneByOne, SimPort, Urb, pattern};
use tokio::sync::watch;

use crate::Pair;

/// Submits IN URBs, so many at a time, each from the completion of an earlier one.
pub(crate) struct Reader {
    endpoint: u8,
    length: u32,
    /// How many there shall be.
    total: u64,
    submitted: AtomicU64,
    stop: AtomicBool,
    /// What was not as it should be.
    wrong: Mutex<Vec<String>>,
    done: watch::Sender<u64>,
}

impl Reader {
    pub(crate) fn start(port: &SimPort, endpoint: u8, length: u32, depth: u64, total: u64) -> Arc<Self> {
        let (submitted, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let (wrong, done) = (Mutex::default(), watch::Sender::new(0));
        let reader = Arc::new(Self { endpoint, length, total, submitted, stop, wrong, done });
        let driver: Arc<dyn Driver> = reader.clone();
        for _ in 0..depth.min(total) {
            reader.submit(port, &driver);
        }
        reader
    }

    fn submit(&self, port: &SimPort, driver: &Arc<dyn Driver>) {
        if !self.stop.load(Ordering::Relaxed) && self.submitted.fetch_add(1, Ordering::Relaxed) < self.total {
            port.submit(Urb::input(self.endpoint, self.length), driver).expect("the device is there");
        }
    }

    /// How many have come.
    pub(crate) fn done(&self) -> u64 {
        *self.done.borrow()
    }

    /// Waits until so many have come.
    pub(crate) async fn reaches(&self, count: u64) {
        self.done.subscribe().wait_for(|done| *done >= count).await.expect("the sender is here");
    }

    /// Submits nothing any longer.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }
}

impl Driver for Reader {
    fn complete(&self, port: &SimPort, done: Done<'_>) {
        let number = self.done();
        // A URB that was unlinked has brought nothing.
        if done.status != 0 {
            if !self.stop.load(Ordering::Relaxed) {
                self.wrong.lock().unwrap().push(format!("{done:?}"));
            }
            return;
        }
        if *done.data != *pattern(number, self.length as usize) {
            self.wrong.lock().unwrap().push(format!("the data of {number}"));
        }
        self.submit(port, done.driver);
        self.done.send_modify(|done| *done += 1);
    }
}

/// Bulk URBs that may go by while a request on another lane is under way. It is what the windows hold and some more;
/// a request that had to wait for the flood's end would see many thousands.
const MAX_OVERTAKEN: u64 = 512;

/// 100 control requests and 100 reports, one by one, beside a flood of bulk that never pauses.
#[tokio::test]
async fn control_and_interrupt_go_on_beside_a_flood() {
    let pair = Pair::start(Model::everything("everything", Duration::from_micros(100))).await;
    let port = &pair.attached.port;
    let flood = Reader::start(port, 0x81, 65_536, 64, u64::MAX);
    flood.reaches(64).await;
    // The daemons have threads of their own, so this one may wait.
    let driver = OneByOne::new();
    let get_descriptor = [0x80, 6, 0, 1, 0, 0, 18, 0];
    let mut most = [0, 0];
    for _ in 0..100 {
        let urbs = [Urb::control(get_descriptor, Bytes::new()), Urb::input(0x85, 16)];
        for (urb, most) in urbs.into_iter().zip(&mut most) {
            let before = flood.done();
            assert_eq!(driver.run(port, urb).status, 0);
            *most = (flood.done() - before).max(*most);
        }
    }
    println!("at most {most:?} bulk URBs went by during a control request and an interrupt transfer");
    assert!(most.iter().all(|most| *most <= MAX_OVERTAKEN), "{most:?}");
    // The flood has not ended meanwhile.
    let so_far = flood.done();
    flood.reaches(so_far + 64).await;
    flood.stop();
    assert!(port.settled());
    assert_eq!(flood.wrong(), [""; 0]);
    pair.stop().await;
}
