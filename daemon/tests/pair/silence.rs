//! A device that talks, and a kernel that does not listen.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use p2pusbd::sim::{Behaviour, Done, Driver, Model, OneByOne, SimPort, Urb, report_age};
use p2pusbd::usb::TransferType;
use tokio::sync::watch;

use crate::{Pair, flood::Reader};

/// Reports that the device makes while nobody listens.
const REPORTS: u64 = 100_000;
/// URBs that the driver has pending: more than a lane's window, the pump's queues and the socket hold together.
const PENDING: u64 = 4000;
/// By how much the process may grow meanwhile, in bytes.
const MAX_GROWTH: u64 = 16 << 20;

/// Holds reports against the order in which they were made.
struct Reports {
    come: watch::Sender<u64>,
    next: AtomicU64,
    wrong: AtomicU64,
}

impl Driver for Reports {
    fn complete(&self, _port: &SimPort, done: Done<'_>) {
        let number = report_age(done.data).map(|(number, _)| number).filter(|_| done.status == 0);
        // The device drops those that no URB is there for, so there may be gaps.
        let right = number.is_some_and(|number| self.next.swap(number + 1, Ordering::Relaxed) <= number);
        self.wrong.fetch_add(u64::from(!right), Ordering::Relaxed);
        self.come.send_modify(|come| *come += 1);
    }
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// A pair with one device that makes reports, and another one with a disk's traffic.
async fn talker(pace: Duration) -> (Pair, p2pusbd::sim::SimAttachment) {
    let model = Model::new("talker").with(0x85, TransferType::Interrupt, Behaviour::Reports, pace);
    let pair = Pair::start(model).await;
    let disk = Model::new("disk").with(0x81, TransferType::Bulk, Behaviour::Source, Duration::ZERO);
    pair.exporter.lend("1-2", disk).await.unwrap();
    let disk = pair.importer.attach(pair.exporter.id, "disk").await.unwrap();
    (pair, disk)
}

/// The device makes 100,000 reports, the driver has URBs for some of them, and the kernel reads none of the answers.
#[tokio::test]
async fn a_kernel_that_reads_nothing_holds_up_its_own_device_only() {
    let (pair, disk) = talker(Duration::from_micros(5)).await;
    let port = &pair.attached.port;
    port.set_deaf(true);
    let (come, next, wrong) = (watch::Sender::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let reports = Arc::new(Reports { come, next, wrong });
    let driver: Arc<dyn Driver> = reports.clone();
    for _ in 0..PENDING {
        port.submit(Urb::input(0x85, 16), &driver).expect("the device is there");
    }
    let before = resident();
    // Meanwhile the other device works.
    let reader = Reader::start(&disk.port, 0x81, 16 * 1024, 16, u64::MAX);
    let mut count = 0;
    while pair.device.counts(0x85).dropped < REPORTS {
        count += 16;
        reader.reaches(count).await;
    }
    reader.stop();
    assert_eq!(reader.wrong(), [""; 0]);
    let made = pair.device.counts(0x85).done;
    let growth = resident().saturating_sub(before);
    println!("{made} reports under way, {count} transfers beside them, {} KiB more than before", growth >> 10);
    assert!(made < PENDING, "the kernel has read something");
    assert!(growth <= MAX_GROWTH, "{growth} bytes more than before");
    assert_eq!(*reports.come.borrow(), 0);
    // It listens again: nothing that was made for a URB is lost.
    port.set_deaf(false);
    reports.come.subscribe().wait_for(|come| *come == PENDING).await.unwrap();
    assert_eq!(reports.wrong.load(Ordering::Relaxed), 0);
    assert_eq!(pair.device.counts(0x85).done, PENDING);
    pair.stop().await;
}

/// The device makes 100,000 reports, and no driver has asked for any.
#[tokio::test]
async fn reports_that_nobody_asks_for_stay_in_the_device() {
    let (pair, disk) = talker(Duration::from_micros(5)).await;
    let driver = OneByOne::new();
    // The daemons have threads of their own, so this one may wait.
    let read = |urb| driver.run(&pair.attached.port, urb);
    // The clock runs from the first one on.
    assert_eq!(read(Urb::input(0x85, 16)).status, 0);
    let before = resident();
    let reader = Reader::start(&disk.port, 0x81, 16 * 1024, 16, u64::MAX);
    let mut count = 0;
    while pair.device.counts(0x85).dropped < REPORTS {
        count += 16;
        reader.reaches(count).await;
    }
    reader.stop();
    assert!(resident().saturating_sub(before) <= MAX_GROWTH);
    assert_eq!(reader.wrong(), [""; 0]);
    let next = read(Urb::input(0x85, 16));
    assert!(report_age(&next.data).unwrap().0 > REPORTS);
    pair.stop().await;
}
