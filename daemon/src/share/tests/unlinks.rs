//! Unlinks that can't be, and unlinks in numbers.

use p2pusb_protocol::MAX_URBS_PER_LANE;

use super::*;

fn unlink(endpoint: u8, seq: u64) -> ControlMessage {
    ControlMessage::Unlink { session: SESSION, endpoint, seq }
}

#[tokio::test]
async fn what_can_not_have_been_submitted_is_not_unlinked() {
    for seq in [MAX_URBS_PER_LANE as u64 + 1, u64::MAX] {
        let mut claimed = Claimed::new().await;
        claimed.say(&unlink(SOURCE, seq)).await;
        claimed.ends_over(&format!("URB {seq} is unlinked and 0 was the last one")).await;
    }
}

#[tokio::test]
async fn a_urb_is_cancelled_once_however_often_it_is_unlinked() {
    let mut claimed = Claimed::new().await;
    let mut lane = claimed.lane(STUCK_IN).await;
    lane.submit(1, 8, &[]).await;
    lane.submit(2, 8, &[]).await;
    let before = resident();
    for _ in 0..50_000 {
        claimed.say(&unlink(STUCK_IN, 1)).await;
    }
    let (complete, _) = lane.completion().await;
    assert_eq!((complete.seq, complete.status), (1, UrbStatus::Cancelled));
    claimed.say(&unlink(STUCK_IN, 2)).await;
    assert_eq!(lane.completion().await.0.seq, 2);
    // The device counts after it has told.
    assert!(claimed.device.counts(STUCK_IN).cancelled <= 2);
    assert!(resident() < before + (32 << 20), "{before} bytes became {}", resident());
    claimed.lane(SINK).await.works(1..10).await;
    claimed.stop().await;
}

#[tokio::test]
async fn unlinks_that_come_first_are_remembered_up_to_a_window() {
    let mut claimed = Claimed::new().await;
    let window = MAX_URBS_PER_LANE as u64;
    for seq in (1..=window).chain(1..=window) {
        claimed.say(&unlink(SOURCE, seq)).await;
    }
    // What is said next on the control stream is heard after them.
    let resume = p2pusb_protocol::Resume { session: SESSION, lanes: Vec::new() };
    claimed.say(&ControlMessage::Resume(resume)).await;
    assert!(matches!(claimed.news().await, ControlMessage::Resumed(_)));
    let mut lane = claimed.lane(SOURCE).await;
    for seq in 1..=window {
        lane.submit(seq, 8, &[]).await;
        let (complete, _) = lane.completion().await;
        assert_eq!((complete.seq, complete.status), (seq, UrbStatus::Cancelled));
        lane.acknowledge(seq).await;
    }
    assert_eq!(claimed.device.counts(SOURCE).done, 0);
    lane.works(window + 1..window + 10).await;
    claimed.stop().await;
}
