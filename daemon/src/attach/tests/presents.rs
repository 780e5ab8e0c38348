//! Devices that present other interfaces than those that they were offered with.

use super::*;
use crate::policy::Unaccepted;

const ESHUTDOWN: i32 = -108;
const KEYBOARD: InterfaceClass = InterfaceClass { class: 3, subclass: 1, protocol: 1 };

/// A configuration with these interfaces, which have no endpoints.
fn configuration(interfaces: &[InterfaceClass]) -> Vec<u8> {
    let total = 9 + 9 * interfaces.len() as u8;
    let mut raw = vec![9, 2, total, 0, interfaces.len() as u8, 1, 0, 0x80, 50];
    for (number, interface) in (0..).zip(interfaces) {
        raw.extend([9, 4, number, 0, 0, interface.class, interface.subclass, interface.protocol, 0]);
    }
    raw
}

/// Has the kernel ask for a configuration, and the exporter answer so.
async fn present(bench: &mut Bench, lane: &mut Option<Lane>, seqnum: u32, raw: &[u8]) {
    bench.kernel.ask_configuration(seqnum, raw.len() as u32).await;
    if lane.is_none() {
        *lane = Some(bench.lane().await);
    }
    let lane = lane.as_mut().unwrap();
    let (submit, _) = lane.submit().await;
    lane.complete(submit.seq, raw.len() as u32, raw).await;
}

#[tokio::test]
async fn the_kernel_sees_what_was_offered_and_nothing_else() {
    let mut bench = Bench::new().await;
    let mut lane = None;
    let disk = configuration(&[DISK]);
    present(&mut bench, &mut lane, 1, &disk).await;
    assert_eq!(bench.kernel.answer(true).await.data, disk);

    // The second time it shows another face.
    present(&mut bench, &mut lane, 2, &configuration(&[DISK, KEYBOARD])).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.seqnum, answer.status, answer.actual_length), (2, ESHUTDOWN, 0));
    // The kernel tries again, and is told the same, by nobody but us.
    bench.kernel.ask_configuration(3, 9).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.seqnum, answer.status), (3, ESHUTDOWN));
    let stopped = must("the end of the session", &mut bench.pump).await.unwrap();
    assert_eq!(stopped, Stopped::Unaccepted(Unaccepted::NotOffered(KEYBOARD)));
    bench.kernel.hears_no_more().await;
    bench.stop().await;
}

#[tokio::test]
async fn an_interface_that_only_a_kernel_would_see_is_seen() {
    // Its number is out of range, and it is a second description of interface 0: our own parser leaves both out.
    for number in [0, 200] {
        let mut bench = Bench::new().await;
        let mut raw = configuration(&[DISK, KEYBOARD]);
        raw[9 + 9 + 2] = number;
        present(&mut bench, &mut None, 1, &raw).await;
        assert_eq!(bench.kernel.answer(true).await.status, ESHUTDOWN);
        let stopped = must("the end of the session", &mut bench.pump).await.unwrap();
        assert_eq!(stopped, Stopped::Unaccepted(Unaccepted::NotOffered(KEYBOARD)));
        bench.stop().await;
    }
}

#[tokio::test]
async fn what_comes_in_parts_is_looked_at_in_the_same_way() {
    // Nine bytes of the configuration say nothing of its interfaces; with 18, the first is there.
    let mut bench = Bench::new().await;
    let mut lane = None;
    let raw = configuration(&[KEYBOARD]);
    present(&mut bench, &mut lane, 1, &raw[..9]).await;
    assert_eq!(bench.kernel.answer(true).await.data, raw[..9]);
    present(&mut bench, &mut lane, 2, &raw).await;
    assert_eq!(bench.kernel.answer(true).await.status, ESHUTDOWN);
    bench.stop().await;
}
