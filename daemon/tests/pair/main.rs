//! Two daemons, natively, from the simulated kernel to the simulated device and back.

#![allow(clippy::unwrap_used)]

mod flood;
mod many;
mod pins;
mod silence;
mod unlinks;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use p2pusbd::sim::{Model, OneByOne, SimAttachment, SimDaemon, SimDevice, Urb, pattern};

const EPIPE: i32 = -32;
const ECONNRESET: i32 = -104;

/// Two daemons, a device on the one, attached on the other.
struct Pair {
    exporter: SimDaemon,
    importer: SimDaemon,
    device: Arc<SimDevice>,
    attached: SimAttachment,
    _folders: [tempfile::TempDir; 2],
}

impl Pair {
    async fn start(model: Model) -> Self {
        let product = model.product.clone();
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let exporter = SimDaemon::start(folders[0].path(), || ()).await.unwrap();
        let importer = SimDaemon::start(folders[1].path(), || ()).await.unwrap();
        let device = exporter.lend("1-1", model).await.unwrap();
        let peer = importer.accept(exporter.invite().await.unwrap()).await.unwrap();
        let attached = importer.attach(peer, &product).await.unwrap();
        Self { exporter, importer, device, attached, _folders: folders }
    }

    async fn stop(self) {
        assert_eq!(self.importer.kernel.complaints(), [""; 0]);
        self.importer.engine.detach(self.attached.number).await.unwrap();
        assert!(self.attached.port.has_ended());
        assert!(!self.device.is_open());
        self.importer.stop().await;
        self.exporter.stop().await;
    }
}

fn everything() -> Model {
    Model::everything("everything", Duration::from_millis(1))
}

async fn each_kind_of_transfer(model: Model) {
    let pair = Pair::start(model).await;
    let (port, driver) = (&pair.attached.port, OneByOne::new());
    for number in 0..3 {
        let done = driver.run(port, Urb::input(0x81, 70_000));
        assert_eq!((done.status, done.data == pattern(number, 70_000)), (0, true));
        let done = driver.run(port, Urb::output(0x01, pattern(number, 1 << 20)));
        assert_eq!((done.status, done.actual_length), (0, 1 << 20));
    }
    let counts = pair.device.counts(0x01);
    assert_eq!((counts.done, counts.bytes, counts.wrong), (3, 3 << 20, 0));
    // What was sent comes back, and a short packet is no error unless the driver says so.
    driver.run(port, Urb::output(0x02, Bytes::from_static(b"loop")));
    assert_eq!(driver.run(port, Urb::input(0x82, 512)).data, b"loop");
    let report = driver.run(port, Urb::input(0x85, 16));
    assert_eq!((report.status, report.actual_length), (0, 16));
    // An endpoint that stalls says so until its halt is cleared, and the others go on.
    pair.device.stall(0x81);
    assert_eq!(driver.run(port, Urb::input(0x81, 64)).status, EPIPE);
    assert_eq!(driver.run(port, Urb::output(0x01, pattern(3, 64))).status, 0);
    let clear_halt = [0x02, 1, 0, 0, 0x81, 0, 0, 0];
    assert_eq!(driver.run(port, Urb::control(clear_halt, Bytes::new())).status, 0);
    assert_eq!(driver.run(port, Urb::input(0x81, 64)).data, pattern(3, 64));
    pair.stop().await;
}

#[tokio::test]
async fn each_kind_of_transfer_passes() {
    each_kind_of_transfer(everything()).await;
}

#[tokio::test]
async fn each_kind_of_transfer_passes_without_a_device_thread() {
    each_kind_of_transfer(everything().inline()).await;
}

#[tokio::test]
async fn a_stuck_transfer_is_cancelled_at_the_device() {
    let pair = Pair::start(everything()).await;
    let (port, driver) = (pair.attached.port.clone(), OneByOne::new());
    let stuck = std::thread::spawn({
        let (port, driver) = (port.clone(), driver.clone());
        move || driver.run(&port, Urb::input(0x84, 512))
    });
    // Another endpoint's answer comes later than the stuck submit, so it has been sent.
    while pair.device.in_flight(0x84) == 0 {
        OneByOne::new().run(&port, Urb::output(0x03, Bytes::from_static(&[0; 8])));
    }
    let seqnum = port.pending_on(0x84)[0];
    assert!(port.unlink(seqnum));
    assert!(!port.unlink(seqnum), "unlinked twice");
    assert_eq!(stuck.join().unwrap().status, ECONNRESET);
    assert_eq!(pair.device.counts(0x84).cancelled, 1);
    pair.stop().await;
}

/// What is simulated is for tests: the program that users get does not have it.
#[test]
fn the_program_has_nothing_of_this() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_p2pusbd")).unwrap();
    let has = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    // The search finds what is there.
    assert!(has("usb-events"));
    for text in ["sim-usb", "sim-port-", "sim-daemon"] {
        assert!(!has(text), "{text}");
    }
}
