//! Exporters that do not listen, that stop in the middle of what they say, and that say too much; and a kernel that does
//! not listen.

use p2pusb_protocol::MAX_URBS_PER_LANE;

use super::*;

/// -ENOMEM
const NO_MEMORY: i32 = -12;
/// URBs of one endpoint that wait here, beside those that are in its window.
const WAITING: u32 = 4096;

#[tokio::test]
async fn a_frame_that_stops_in_the_middle_holds_up_its_own_lane_only() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut stuck = bench.lane().await;
    stuck.submit().await;
    let complete = Complete { seq: 1, status: UrbStatus::Ok, actual_length: 64, packets: 0 };
    stuck.say(&LaneMessage::Complete(complete).encode(64), &[1; 20]).await;
    bench.kernel.submit_out(2, 2, b"data").await;
    let mut other = bench.lane().await;
    other.submit().await;
    other.complete(1, 4, &[]).await;
    assert_eq!(bench.kernel.answer(false).await.seqnum, 2);
    for seqnum in 3..100 {
        bench.works(&mut other, seqnum).await;
    }
    // The rest comes after all.
    stuck.say(&[1; 44], &[]).await;
    assert_eq!(bench.kernel.answer(true).await.data, [1; 64]);
    bench.works(&mut stuck, 100).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_lane_that_nobody_reads_holds_a_window_and_no_more() {
    let mut bench = Bench::with(narrow(SecretKey::generate(), 4096).await).await;
    bench.kernel.submit_in(1, 1, 8).await;
    let mut other = bench.lane().await;
    other.submit().await;
    other.complete(1, 0, &[]).await;
    bench.kernel.answer(true).await;

    bench.kernel.submit_out(2, 2, &[2; 512]).await;
    let _unread = bench.lane().await;
    let before = resident();
    let most = MAX_URBS_PER_LANE as u32 + WAITING;
    for number in 1..most {
        bench.kernel.submit_out(2 + number, 2, &[2; 512]).await;
    }
    // There is no room for more, and the kernel is told.
    for number in 0..100 {
        bench.kernel.submit_out(2 + most + number, 2, &[2; 512]).await;
        let answer = bench.kernel.answer(false).await;
        assert_eq!((answer.seqnum, answer.status), (2 + most + number, NO_MEMORY));
    }
    bench.works(&mut other, 2 + most + 100).await;
    let kept = u64::from(most) * (512 + 512);
    assert!(resident() < before + kept + (16 << 20), "{before} bytes became {}", resident());
    bench.stop().await;
}

/// The kernel gives up URB after URB, and the exporter does not even read that.
#[tokio::test]
async fn unlinks_that_nobody_reads_are_bounded() {
    let mut bench = Bench::with(narrow(SecretKey::generate(), 1024).await).await;
    bench.kernel.submit_in(1, 1, 8).await;
    let mut lane = bench.lane().await;
    lane.submit().await;
    // More than fit into the control stream and its queue; the lane is read.
    for number in 2..=MAX_URBS_PER_LANE as u32 {
        bench.kernel.submit_in(number, 1, 8).await;
        lane.submit().await;
    }
    let before = resident();
    for number in 1..=MAX_URBS_PER_LANE as u32 {
        bench.kernel.unlink(10_000 + number, number).await;
    }
    // The link is given up; a session would wait for the next one now.
    must("the end of the link", bench.connection.closed()).await;
    assert!(resident() < before + (16 << 20), "{before} bytes became {}", resident());
    let (reply, positions) = oneshot::channel();
    must("the pump's ear", bench.switches.send(Switch::Pause { reply })).await.unwrap();
    let expected = LanePosition { endpoint: 0x81, position: 0 };
    assert_eq!(must("where the lanes stand", positions).await.unwrap(), [expected]);
    bench.stop().await;
}

/// Each in a packet of its own: see `net/tests/gaps.rs`.
#[tokio::test]
async fn small_frames_in_numbers_are_read_and_stepped_over() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 8).await;
    let mut lane = bench.lane().await;
    lane.submit().await;
    let later = [&Prefix { kind: 0x02ff, header_len: 40, payload_len: 16 }.encode()[..], &[7; 56]].concat();
    assert_eq!(later.len(), PREFIX_LEN + 56);
    let before = resident();
    let mut pace = tokio::time::interval(std::time::Duration::from_millis(1));
    for _ in 0..4000 {
        pace.tick().await;
        lane.tx.write_all(&later).await.unwrap();
    }
    lane.complete(1, 8, &[3; 8]).await;
    assert_eq!(bench.kernel.answer(true).await.data, [3; 8]);
    bench.works(&mut lane, 2).await;
    assert!(bench.connection.close_reason().is_none());
    assert!(resident() < before + (16 << 20), "{before} bytes became {}", resident());
    bench.stop().await;
}

/// All completions that there can be, while the kernel's socket is full: they wait, and the link lives.
#[tokio::test]
async fn a_kernel_that_reads_nothing_costs_a_window() {
    let mut bench = Bench::new().await;
    let window = MAX_URBS_PER_LANE as u32;
    for number in 1..=window {
        bench.kernel.submit_in(number, 1, 4096).await;
    }
    let mut lane = bench.lane().await;
    let before = resident();
    for _ in 1..=window {
        let (submit, _) = lane.submit().await;
        lane.complete(submit.seq, 4096, &[5; 4096]).await;
    }
    assert!(bench.connection.close_reason().is_none());
    for number in 1..=window {
        let answer = bench.kernel.answer(true).await;
        assert_eq!((answer.seqnum, answer.data.len()), (number, 4096));
    }
    bench.works(&mut lane, window + 1).await;
    assert!(resident() < before + (32 << 20), "{before} bytes became {}", resident());
    bench.stop().await;
}
