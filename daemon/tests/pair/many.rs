//! Many devices at once: one daemon lends to three peers and borrows from them.

use std::{sync::Arc, time::Duration};

use p2pusbd::sim::{Behaviour, Model, SimAttachment, SimDaemon, SimDevice};
use p2pusbd::usb::TransferType;
use tempfile::TempDir;

use crate::flood::Reader;

/// Devices that go from the one daemon to each peer, and as many that come from there.
const EACH_WAY: usize = 5;
const PEERS: usize = 3;
const URBS: u64 = 200;
const LENGTH: u32 = 16 * 1024;
const DEPTH: u64 = 16;

/// A device whose one endpoint gives data as fast as it is asked, slowly, or never.
fn model(product: &str, behaviour: Behaviour, pace: Duration) -> Model {
    Model::new(product).with(0x81, TransferType::Bulk, behaviour, pace)
}

async fn daemon(folders: &mut Vec<TempDir>) -> SimDaemon {
    let folder = tempfile::tempdir().unwrap();
    let daemon = SimDaemon::start(folder.path(), || ()).await.unwrap();
    folders.push(folder);
    daemon
}

/// Lends a device here and attaches it there.
async fn use_there(here: &SimDaemon, there: &SimDaemon, at: usize, model: Model) -> (Arc<SimDevice>, SimAttachment) {
    let product = model.product.clone();
    let device = here.lend(&format!("1-{}", at + 1), model).await.unwrap();
    (device, there.attach(here.id, &product).await.unwrap())
}

/// 30 devices over three peers, in both directions from one daemon. One is stuck and one is slow: all others do all
/// their work meanwhile.
#[tokio::test]
async fn many_at_once() {
    let mut folders = Vec::new();
    let hub = daemon(&mut folders).await;
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let peer = daemon(&mut folders).await;
        peer.accept(hub.invite().await.unwrap()).await.unwrap();
        hub.accept(peer.invite().await.unwrap()).await.unwrap();
        peers.push(peer);
    }
    let (mut stuck, mut slow, mut fast) = (None, None, Vec::new());
    for (number, peer) in peers.iter().enumerate() {
        for at in 0..EACH_WAY {
            let there = number * EACH_WAY + at;
            // A stuck one among those that the hub lends, a slow one among those that it uses.
            let out = match (number, at) {
                (0, 0) => model("stuck", Behaviour::Stuck, Duration::ZERO),
                _ => model(&format!("lent {there}"), Behaviour::Source, Duration::ZERO),
            };
            let back = match (number, at) {
                (1, 1) => model("slow", Behaviour::Source, Duration::from_millis(50)),
                _ => model(&format!("used {there}"), Behaviour::Source, Duration::ZERO),
            };
            let lent = use_there(&hub, peer, there, out).await;
            let used = use_there(peer, &hub, at, back).await;
            match (number, at) {
                (0, 0) => stuck = Some(lent),
                _ => fast.push(lent),
            }
            match (number, at) {
                (1, 1) => slow = Some(used),
                _ => fast.push(used),
            }
        }
    }
    assert_eq!(fast.len(), 2 * EACH_WAY * PEERS - 2);
    // They begin first, so whatever they hold up, they hold up from the beginning.
    let (stuck, slow) = (stuck.unwrap(), slow.unwrap());
    let stuck_reader = Reader::start(&stuck.1.port, 0x81, LENGTH, DEPTH, u64::MAX);
    let slow_reader = Reader::start(&slow.1.port, 0x81, LENGTH, DEPTH, u64::MAX);
    slow_reader.reaches(1).await;
    let readers: Vec<_> = fast.iter().map(|(_, used)| Reader::start(&used.port, 0x81, LENGTH, DEPTH, URBS)).collect();
    for reader in &readers {
        reader.reaches(URBS).await;
        assert_eq!(reader.wrong(), [""; 0]);
    }
    println!("the slow device has given {} meanwhile, the stuck one {}", slow_reader.done(), stuck_reader.done());
    // All that was asked of the stuck device is there and waits, and the slow one goes on.
    assert_eq!((stuck_reader.done(), stuck.0.in_flight(0x81)), (0, DEPTH as usize));
    let so_far = slow_reader.done();
    slow_reader.reaches(so_far + 3).await;
    assert_eq!(slow_reader.wrong(), [""; 0]);
    stuck_reader.stop();
    slow_reader.stop();
    // The stuck device's driver lets go of it when it is detached.
    peers[0].engine.detach(stuck.1.number).await.unwrap();
    assert_eq!(stuck.0.counts(0x81).cancelled, DEPTH);
    for (device, used) in &fast {
        assert_eq!(device.counts(0x81).done, URBS);
        assert!(!used.port.has_ended());
    }
    for daemon in peers.into_iter().chain([hub]) {
        assert_eq!(daemon.kernel.complaints(), [""; 0]);
        daemon.stop().await;
    }
}
