//! Completions that are not what was asked for.

use p2pusb_protocol::{MAX_LANE_HEADER, MAX_LANE_PAYLOAD, MAX_URB_LEN};

use super::*;

#[tokio::test]
async fn more_than_was_asked_for_is_cut_off() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut lane = bench.lane().await;
    assert_eq!(lane.submit().await.0.length, 64);
    lane.complete(1, 64 + 36, &[7; 64]).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.status, answer.actual_length, answer.data), (0, 64, vec![7; 64]));
    bench.works(&mut lane, 2).await;

    bench.kernel.submit_out(3, 2, &[1; 64]).await;
    let mut out = bench.lane().await;
    assert_eq!(out.submit().await.1.len(), 64);
    out.complete(1, MAX_URB_LEN, &[]).await;
    assert_eq!(bench.kernel.answer(false).await.actual_length, 64);
    bench.works(&mut out, 4).await;
    bench.stop().await;
}

#[tokio::test]
async fn the_kernel_gets_as_much_as_it_is_told() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut lane = bench.lane().await;
    lane.submit().await;
    // More is said than comes, and the other way round.
    lane.complete(1, 64, &[7; 10]).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.actual_length, answer.data.len()), (10, 10));
    bench.kernel.submit_in(2, 1, 64).await;
    lane.submit().await;
    lane.complete(2, 10, &[7; 64]).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.actual_length, answer.data.len()), (10, 10));
    bench.works(&mut lane, 3).await;
    bench.stop().await;
}

#[tokio::test]
async fn data_where_none_belongs_ends_the_session() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_out(1, 2, &[1; 64]).await;
    let mut out = bench.lane().await;
    out.submit().await;
    out.complete(1, 64, &[9; 48]).await;
    bench.ends().await;
}

#[tokio::test]
async fn what_was_never_submitted_is_not_completed() {
    for seq in [2, 3, 513, u64::MAX] {
        let mut bench = Bench::new().await;
        bench.kernel.submit_in(1, 1, 64).await;
        let mut lane = bench.lane().await;
        lane.submit().await;
        lane.complete(seq, 0, &[]).await;
        bench.ends().await;
    }
}

#[tokio::test]
async fn nothing_is_completed_twice() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut lane = bench.lane().await;
    lane.submit().await;
    lane.complete(1, 1, &[1]).await;
    assert_eq!(bench.kernel.answer(true).await.data, [1]);
    lane.complete(1, 1, &[2]).await;
    bench.ends().await;
}

#[tokio::test]
async fn an_unlink_is_answered_once_whatever_the_peer_says_of_it() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut lane = bench.lane().await;
    lane.submit().await;
    bench.kernel.unlink(2, 1).await;
    lane.cancel(1).await;
    let answer = bench.kernel.answer(false).await;
    assert_eq!((answer.command, answer.seqnum, answer.status), (RET_UNLINK, 2, CANCELLED));
    // A URB that nobody unlinked is said to be cancelled: the kernel hears it as its end.
    bench.kernel.submit_in(3, 1, 64).await;
    lane.submit().await;
    lane.cancel(2).await;
    let answer = bench.kernel.answer(true).await;
    assert_eq!((answer.command, answer.seqnum, answer.status), (RET_SUBMIT, 3, CANCELLED));
    bench.works(&mut lane, 4).await;
    bench.stop().await;
}

/// What no exporter may send on a lane.
#[tokio::test]
async fn broken_frames_end_the_session() {
    let prefix = |kind, header_len, payload_len| Prefix { kind, header_len, payload_len }.encode().to_vec();
    let submit = Submit { seq: 1, received: 0, flags: Default::default(), length: 0, setup: None, packets: 0 };
    let cases = [
        ("a long header", prefix(0x0203, MAX_LANE_HEADER + 1, 0)),
        ("a long payload", prefix(0x0203, 3, MAX_LANE_PAYLOAD + 1)),
        ("a long payload of an unknown kind", prefix(0x02ff, 0, u32::MAX)),
        ("garbage", vec![0xff; 4096]),
        ("a header that is cut", [prefix(0x0203, 1, 0), vec![1]].concat()),
        ("the sequence number 0", [prefix(0x0203, 3, 0), vec![0, 0, 0]].concat()),
        ("a message of the control stream", prefix(0x0004, 0, 0)),
        ("a submit", LaneMessage::Submit(submit).encode(0).to_vec()),
        ("an opening", LaneMessage::Open { session: SESSION, endpoint: 0x81 }.encode(0).to_vec()),
        ("an acknowledgement", LaneMessage::Acknowledge { received: 0 }.encode(0).to_vec()),
    ];
    for (what, bytes) in cases {
        println!("{what}");
        let mut bench = Bench::new().await;
        bench.kernel.submit_in(1, 1, 64).await;
        let mut lane = bench.lane().await;
        lane.submit().await;
        lane.say(&bytes, &[]).await;
        bench.ends().await;
    }
}

/// A completion that is longer than anything that was asked for is not waited for.
#[tokio::test]
async fn a_payload_beyond_every_urb_ends_the_session_before_it_has_come() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut lane = bench.lane().await;
    lane.submit().await;
    let complete = Complete { seq: 1, status: UrbStatus::Ok, actual_length: 64, packets: 0 };
    // The payload stays away.
    lane.say(&LaneMessage::Complete(complete).encode(MAX_URB_LEN), &[]).await;
    bench.ends().await;
}

#[tokio::test]
async fn a_lane_that_the_peer_closes_ends_the_session() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut lane = bench.lane().await;
    lane.submit().await;
    lane.tx.finish().unwrap();
    bench.ends().await;
}

#[tokio::test]
async fn a_frame_that_ends_in_the_middle_ends_the_session() {
    let mut bench = Bench::new().await;
    bench.kernel.submit_in(1, 1, 64).await;
    let mut lane = bench.lane().await;
    lane.submit().await;
    let complete = Complete { seq: 1, status: UrbStatus::Ok, actual_length: 64, packets: 0 };
    lane.say(&LaneMessage::Complete(complete).encode(64), &[1; 20]).await;
    lane.tx.finish().unwrap();
    bench.ends().await;
}
