//! Exporters that go on with a session somewhere else than where it stopped.

use super::*;

/// The kernel has three URBs out, of which the second one is completed; then the connection is said to be lost.
async fn paused() -> (Bench, Lane) {
    let mut bench = Bench::new().await;
    let mut lane = None;
    for number in 1..=3 {
        bench.kernel.submit_in(number, 1, 64).await;
        if lane.is_none() {
            lane = Some(bench.lane().await);
        }
        lane.as_mut().unwrap().submit().await;
    }
    let mut lane = lane.unwrap();
    lane.complete(2, 1, &[2]).await;
    assert_eq!(bench.kernel.answer(true).await.seqnum, 2);
    let (reply, positions) = oneshot::channel();
    bench.switches.send(Switch::Pause { reply }).await.unwrap();
    assert_eq!(must("where the lanes stand", positions).await.unwrap(), [position(0x81, 1)]);
    (bench, lane)
}

fn position(endpoint: u8, position: u64) -> LanePosition {
    LanePosition { endpoint, position }
}

async fn resume(bench: &Bench, lanes: Vec<LanePosition>) {
    bench.switches.send(Switch::Resume { link: bench.link.clone(), lanes }).await.unwrap();
}

#[tokio::test]
async fn a_position_that_can_not_be_ends_the_session() {
    // More than was submitted, and less than was completed.
    for said in [4, u64::MAX, 1, 0] {
        let (bench, _lane) = paused().await;
        resume(&bench, vec![position(0x81, said)]).await;
        bench.ends().await;
    }
}

#[tokio::test]
async fn a_lane_that_is_forgotten_ends_the_session() {
    for lanes in [vec![], vec![position(0x01, 3)]] {
        let (bench, _lane) = paused().await;
        resume(&bench, lanes).await;
        bench.ends().await;
    }
}

#[tokio::test]
async fn lanes_that_never_were_are_not_heard_of() {
    let (mut bench, _lane) = paused().await;
    let more = (1..=15).map(|endpoint| position(endpoint, u64::MAX));
    resume(&bench, more.chain([position(0x81, 2)]).collect()).await;
    let mut lane = bench.lane().await;
    // What it says it does not have comes again, under its number, and is completed once.
    assert_eq!(lane.submit().await.0.seq, 3);
    lane.complete(3, 1, &[3]).await;
    assert_eq!(bench.kernel.answer(true).await.seqnum, 3);
    lane.complete(1, 1, &[1]).await;
    assert_eq!(bench.kernel.answer(true).await.seqnum, 1);
    bench.works(&mut lane, 4).await;
    bench.stop().await;
}

#[tokio::test]
async fn what_came_before_is_not_completed_again() {
    let (mut bench, _lane) = paused().await;
    resume(&bench, vec![position(0x81, 3)]).await;
    let mut lane = bench.lane().await;
    lane.complete(1, 1, &[1]).await;
    assert_eq!(bench.kernel.answer(true).await.seqnum, 1);
    lane.complete(2, 1, &[2]).await;
    bench.ends().await;
}

/// What an exporter still says over the connection that is left is not heard.
#[tokio::test]
async fn the_connection_that_was_left_is_not_heard() {
    let (mut bench, mut left) = paused().await;
    left.complete(3, 1, &[9]).await;
    resume(&bench, vec![position(0x81, 3)]).await;
    let mut lane = bench.lane().await;
    lane.complete(3, 1, &[3]).await;
    assert_eq!(bench.kernel.answer(true).await.data, [3]);
    bench.stop().await;
}
