//! Importers that do not listen, that stop in the middle of what they say, and that say a lot that means nothing.

use p2pusb_protocol::MAX_URBS_PER_LANE;

use super::*;

#[tokio::test]
async fn a_lane_that_nobody_reads_holds_a_window_and_no_other() {
    const LENGTH: u32 = 16 * 1024;
    let claimed = Claimed::by(narrow(SecretKey::generate(), 64 * 1024).await).await;
    let mut unread = claimed.lane(SOURCE).await;
    let before = resident();
    let window = MAX_URBS_PER_LANE as u64;
    for seq in 1..=window {
        unread.submit(seq, LENGTH, &[]).await;
    }
    claimed.lane(SINK).await.works(1..100).await;
    let kept = window * u64::from(LENGTH);
    assert!(resident() < before + kept + (32 << 20), "{before} bytes became {}", resident());
    assert!(claimed.connection.close_reason().is_none());
    // It may be read after all.
    for _ in 1..=window {
        assert_eq!(unread.completion().await.1.len(), LENGTH as usize);
    }
    claimed.stop().await;
}

#[tokio::test]
async fn a_frame_that_stops_in_the_middle_holds_up_its_own_lane_only() {
    let claimed = Claimed::new().await;
    let mut stuck = claimed.lane(SINK).await;
    let submit = Submit { length: 4096, ..stuck.plain() };
    stuck.say(&LaneMessage::Submit(submit).encode(4096), &[0; 1000]).await;
    claimed.lane(SOURCE).await.works(1..100).await;
    assert_eq!(claimed.device.counts(SINK).done, 0);
    // The rest comes after all.
    stuck.say(&[], &[0; 3096]).await;
    assert_eq!(stuck.completion().await.0.actual_length, 4096);
    claimed.stop().await;
}

/// It ends in the middle: that is not the loss of a connection.
#[tokio::test]
async fn a_frame_that_ends_in_the_middle_ends_the_link() {
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(SINK).await;
    let submit = Submit { length: 4096, ..lane.plain() };
    lane.say(&LaneMessage::Submit(submit).encode(4096), &[0; 1000]).await;
    lane.tx.finish().unwrap();
    claimed.ends_over("ended in the middle of a frame").await;
}

/// Each in a packet of its own: see `net/tests/gaps.rs`.
#[tokio::test]
async fn small_frames_in_numbers_are_read_and_stepped_over() {
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(STUCK_OUT).await;
    let mut other = claimed.lane(SINK).await;
    let later = [&Prefix { kind: 0x02ff, header_len: 40, payload_len: 16 }.encode()[..], &[7; 56]].concat();
    let before = resident();
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    for number in 0..4000 {
        pace.tick().await;
        lane.tx.write_all(&later).await.unwrap();
        if number % 100 == 0 {
            other.works(1 + number / 100..2 + number / 100).await;
        }
    }
    assert!(resident() < before + (16 << 20), "{before} bytes became {}", resident());
    claimed.stop().await;
}
