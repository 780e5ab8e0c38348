//! Importers that go on with a session somewhere else than where it stopped.

use p2pusb_protocol::{MAX_LANES, Resume};

use super::*;

fn resume(lanes: &[(u8, u64)]) -> ControlMessage {
    let lanes = lanes.iter().map(|&(endpoint, position)| LanePosition { endpoint, position }).collect();
    ControlMessage::Resume(Resume { session: SESSION, lanes })
}

/// Two URBs have run; the first one's completion is acknowledged.
async fn begun() -> (Claimed, Lane) {
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(SOURCE).await;
    lane.works(1..2).await;
    lane.submit(2, 8, &[]).await;
    lane.completion().await;
    (claimed, lane)
}

#[tokio::test]
async fn a_position_that_can_not_be_ends_the_session_and_not_the_link() {
    // More than was sent, less than was said to have come, and completions of a lane that never had any.
    for lanes in [[(SOURCE, 3)], [(SOURCE, u64::MAX)], [(SOURCE, 0)], [(SINK, 1)]] {
        let (mut claimed, _lane) = begun().await;
        claimed.say(&resume(&lanes)).await;
        let expected = ControlMessage::Ended { session: SESSION, reason: EndReason::ProtocolError };
        assert_eq!(claimed.news().await, expected);
        must("the device", async {
            let mut session = 2;
            while !attach(&mut claimed.tx, &mut claimed.rx, &claimed.share, SessionId(session)).await {
                session += 1;
            }
        })
        .await;
        claimed.stop().await;
    }
}

#[tokio::test]
async fn lanes_of_an_earlier_connection_are_over() {
    let (mut claimed, mut lane) = begun().await;
    claimed.say(&resume(&[(SOURCE, 1)])).await;
    let ControlMessage::Resumed(resumed) = claimed.news().await else { panic!("it does not go on") };
    assert_eq!(resumed.lanes, [LanePosition { endpoint: SOURCE, position: 2 }]);
    let end = must("the end of the lane", lane.rx.read_to_end(1)).await;
    assert!(end.is_ok_and(|bytes| bytes.is_empty()));
    // What it has not received comes again; what it submits again has run already.
    let mut again = Lane { received: 1, ..claimed.lane(SOURCE).await };
    assert_eq!(again.completion().await.0.seq, 2);
    again.submit(2, 8, &[]).await;
    claimed.ends_over("URB 2 came where 3 was due").await;
}

#[tokio::test]
async fn going_on_again_and_again_leads_nowhere_and_costs_nothing() {
    let (mut claimed, _lane) = begun().await;
    let before = resident();
    for _ in 0..2000 {
        claimed.say(&resume(&[(SOURCE, 1)])).await;
        assert!(matches!(claimed.news().await, ControlMessage::Resumed(_)));
    }
    let mut lane = Lane { received: 1, ..claimed.lane(SOURCE).await };
    assert_eq!(lane.completion().await.0.seq, 2);
    lane.acknowledge(2).await;
    lane.works(3..100).await;
    assert!(resident() < before + (16 << 20), "{before} bytes became {}", resident());
    claimed.stop().await;
}

#[tokio::test]
async fn a_lane_that_is_named_twice_stands_where_it_stands() {
    let (mut claimed, _lane) = begun().await;
    claimed.say(&resume(&[(SOURCE, 1); MAX_LANES])).await;
    let ControlMessage::Resumed(resumed) = claimed.news().await else { panic!("it does not go on") };
    assert!(resumed.lanes.iter().all(|lane| *lane == LanePosition { endpoint: SOURCE, position: 2 }));
    claimed.stop().await;
}
