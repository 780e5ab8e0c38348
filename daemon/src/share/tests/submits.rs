//! Submits that can't be.

use p2pusb_protocol::{MAX_ISO_PACKETS, MAX_LANE_HEADER, MAX_URB_LEN, MAX_URBS_PER_LANE, iso};

use super::*;

#[tokio::test]
async fn numbers_come_one_after_the_other() {
    for (numbers, why) in [
        (vec![2], "URB 2 came where 1 was due"),
        (vec![1, 1], "URB 1 came where 2 was due"),
        (vec![1, 2, 1], "URB 1 came where 3 was due"),
        (vec![1, u64::MAX], "came where 2 was due"),
        (vec![0], "the sequence number is 0"),
    ] {
        let claimed = Claimed::new().await;
        let mut lane = claimed.lane(STUCK_IN).await;
        for seq in numbers {
            lane.submit(seq, 8, &[]).await;
        }
        claimed.ends_over(why).await;
    }
}

#[tokio::test]
async fn data_is_as_long_as_it_is_said_to_be() {
    for (endpoint, length, payload) in [(SINK, 64, 63), (SINK, 64, 65), (SINK, 0, 1), (SINK, 1, 0), (SOURCE, 64, 64)] {
        let claimed = Claimed::new().await;
        let mut lane = claimed.lane(endpoint).await;
        lane.submit(1, length, &vec![7; payload]).await;
        claimed.ends_over(&format!("a payload of {payload} bytes where")).await;
    }
}

#[tokio::test]
async fn nothing_is_longer_than_a_urb_can_be() {
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(SOURCE).await;
    lane.submit(1, MAX_URB_LEN + 1, &[]).await;
    claimed.ends_over("a transfer of 16777217 bytes").await;
}

#[tokio::test]
async fn a_setup_packet_is_where_it_belongs() {
    for endpoint in [SINK, 0] {
        let claimed = Claimed::new().await;
        let mut lane = claimed.lane(endpoint).await;
        let setup = (endpoint != 0).then_some([0, 9, 1, 0, 0, 0, 0, 0]);
        let submit = Submit { setup, ..lane.plain() };
        lane.say(&LaneMessage::Submit(submit).encode(0), &[]).await;
        claimed.ends_over("a setup packet belongs").await;
    }
}

#[tokio::test]
async fn the_packets_of_a_urb_are_its_length() {
    let table = |lengths: &[u32]| iso::encode_lengths(lengths).to_vec();
    for (endpoint, packets, length, payload, why) in [
        (SOURCE, 2, 10, table(&[5, 6]), "packets"),
        (SOURCE, 2, 10, table(&[u32::MAX, 11]), "packets"),
        (SOURCE, 2, 10, table(&[10]), "a payload of 4 bytes"),
        (SOURCE, 0, 10, table(&[10]), "a payload of 4 bytes"),
        (SINK, 2, 10, [table(&[5, 6]), vec![7; 10]].concat(), "packets"),
        (SINK, 2, 10, [table(&[5, 5]), vec![7; 9]].concat(), "a payload of 17 bytes"),
        (SOURCE, MAX_ISO_PACKETS + 1, 0, table(&[0; 1025]), "packets"),
    ] {
        let claimed = Claimed::new().await;
        let mut lane = claimed.lane(endpoint).await;
        let submit = Submit { packets, length, ..lane.plain() };
        lane.say(&LaneMessage::Submit(submit).encode(payload.len() as u32), &payload).await;
        claimed.ends_over(why).await;
    }
}

#[tokio::test]
async fn a_window_has_an_end() {
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(STUCK_IN).await;
    for seq in 1..=MAX_URBS_PER_LANE as u64 + 1 {
        lane.submit(seq, 8, &[]).await;
    }
    claimed.ends_over("more than 512 URBs in flight").await;

    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(STUCK_IN).await;
    for seq in 1..=3 {
        lane.submit(seq, MAX_URB_LEN, &[]).await;
    }
    claimed.ends_over("more bytes in flight").await;
}

/// Data that there is no room for is not waited for.
#[tokio::test]
async fn data_beyond_the_window_is_refused_before_it_has_come() {
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(STUCK_OUT).await;
    let most = vec![7; MAX_URB_LEN as usize];
    for seq in 1..=2 {
        lane.submit(seq, MAX_URB_LEN, &most).await;
    }
    let submit = Submit { seq: 3, length: MAX_URB_LEN, ..lane.plain() };
    lane.say(&LaneMessage::Submit(submit).encode(MAX_URB_LEN), &[7; 100]).await;
    claimed.ends_over("more bytes in flight").await;
}

#[tokio::test]
async fn what_was_not_sent_is_not_acknowledged() {
    for (acknowledged, why) in
        [(vec![2], "2 completions are said"), (vec![1, 0], "0 completions"), (vec![u64::MAX], "completions")]
    {
        let claimed = Claimed::new().await;
        let mut lane = claimed.lane(SOURCE).await;
        lane.submit(1, 8, &[]).await;
        lane.completion().await;
        for received in acknowledged {
            lane.acknowledge(received).await;
        }
        claimed.ends_over(why).await;
    }
    // The same in a submit.
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(STUCK_IN).await;
    let submit = Submit { received: 1, ..lane.plain() };
    lane.say(&LaneMessage::Submit(submit).encode(0), &[]).await;
    claimed.ends_over("1 completions are said").await;
}

#[tokio::test]
async fn broken_frames_on_a_lane_end_the_link() {
    let prefix = |kind, header_len, payload_len| Prefix { kind, header_len, payload_len }.encode().to_vec();
    let complete = Complete { seq: 1, status: UrbStatus::Ok, actual_length: 0, packets: 0 };
    for (bytes, why) in [
        (prefix(0x0202, MAX_LANE_HEADER + 1, 0), "a header of"),
        (prefix(0x02ff, 0, u32::MAX), "a payload of"),
        (prefix(0x0001, 0, 0), "has no place on this stream"),
        ([prefix(0x0202, 2, 0), vec![0xff; 2]].concat(), "malformed"),
        (LaneMessage::Complete(complete).encode(0).to_vec(), "out of order"),
        (LaneMessage::Open { session: SESSION, endpoint: SINK }.encode(0).to_vec(), "out of order"),
    ] {
        let claimed = Claimed::new().await;
        let mut lane = claimed.lane(SINK).await;
        lane.works(1..3).await;
        lane.say(&bytes, &[]).await;
        claimed.ends_over(why).await;
    }
}

#[tokio::test]
async fn a_lane_is_opened_once() {
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(SINK).await;
    lane.works(1..3).await;
    let _again = claimed.lane(SINK).await;
    claimed.ends_over("the lane of endpoint 0x01 was opened twice").await;
}

#[tokio::test]
async fn endpoints_that_are_not_there_answer_and_do_no_harm() {
    let claimed = Claimed::new().await;
    let mut lanes = Vec::new();
    for endpoint in (0x02..0x10).chain(0x82..0x90).filter(|endpoint| ![STUCK_IN, STUCK_OUT].contains(endpoint)) {
        let mut lane = claimed.lane(endpoint).await;
        lane.submit(1, 0, &[]).await;
        let (complete, _) = lane.completion().await;
        assert_eq!((complete.seq, complete.status), (1, UrbStatus::NoEndpoint), "{endpoint:#04x}");
        lanes.push(lane);
    }
    claimed.lane(SINK).await.works(1..100).await;
    claimed.stop().await;
}

#[tokio::test]
async fn a_session_is_its_peers_alone() {
    let claimed = Claimed::new().await;
    let mut lane = claimed.lane(SINK).await;
    lane.works(1..3).await;
    let (connection, mut tx, mut rx) = claimed.daemon.link(&claimed.friend).await;
    let mut foreign = Lane::open(&connection, SESSION, SINK).await;
    foreign.submit(3, 8, &[9; 8]).await;
    let end = must("the end of the lane", foreign.rx.read_to_end(1)).await;
    assert!(end.is_ok_and(|bytes| bytes.is_empty()));
    // Nor can it be ended, unlinked or taken over.
    let foreign = [
        ControlMessage::Detach { session: SESSION },
        ControlMessage::Unlink { session: SESSION, endpoint: SINK, seq: 3 },
        ControlMessage::Resume(p2pusb_protocol::Resume { session: SESSION, lanes: Vec::new() }),
    ];
    for message in foreign {
        tx.write_all(&message.encode()).await.unwrap();
    }
    assert!(!attach(&mut tx, &mut rx, &claimed.share, SessionId(2)).await);
    lane.works(3..100).await;
    assert!(claimed.device.counts(SINK).numbers.iter().all(|number| *number == 0), "data of somebody else");
    claimed.stop().await;
}
