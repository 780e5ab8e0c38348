//! Importers that open streams which are no lanes.

use super::*;

fn open(session: u64, endpoint: u8) -> Bytes {
    p2pusb_protocol::LaneMessage::Open { session: SessionId(session), endpoint }.encode(0)
}

#[tokio::test]
async fn a_lane_of_a_session_that_is_not_there_ends_and_nothing_else() {
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    let (connection, mut tx, mut rx) = daemon.link(&peer).await;
    // More than may be open at a time: they do end.
    for number in 0..3000_u64 {
        let (mut lane, mut answers) = must("a stream", connection.open_bi()).await.unwrap();
        lane.write_all(&open(1 + number % 9, (number % 16) as u8)).await.unwrap();
        if number % 100 == 0 {
            let end = must("the end of the lane", answers.read_to_end(1)).await;
            assert!(end.is_ok_and(|bytes| bytes.is_empty()));
        }
    }
    answers(&mut tx, &mut rx, 2).await;
    daemon.stop().await;
}

#[tokio::test]
async fn an_opening_has_no_payload() {
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    let (connection, _tx, _rx) = daemon.link(&peer).await;
    let (mut lane, _answers) = connection.open_bi().await.unwrap();
    let head = p2pusb_protocol::LaneMessage::Open { session: SessionId(1), endpoint: 0x81 }.encode(1);
    lane.write_all(&[&head[..], &[0]].concat()).await.unwrap();
    let (code, reason) = closed(&connection).await;
    assert_eq!(code, CloseCode::ProtocolViolation);
    assert!(reason.contains("a payload of 1 bytes"), "{reason}");
    daemon.serves(&peer).await;
    daemon.stop().await;
}

/// As many streams as it may have, each one with a byte less than an opening, or with nothing but a start.
#[tokio::test]
async fn streams_that_say_nothing_cost_little() {
    let (peer, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let daemon = Daemon::start(&[record(&peer, None), record(&friend, None)]).await;
    let (connection, mut tx, mut rx) = daemon.link(&peer).await;
    let before = resident();
    let mut silent = Vec::new();
    for number in 0..2000 {
        let (mut lane, answers) = must("a stream", connection.open_bi()).await.unwrap();
        let opening = open(1, 0x81);
        let said = if number % 2 == 0 { &opening[..opening.len() - 1] } else { &opening[..1] };
        lane.write_all(said).await.unwrap();
        silent.push((lane, answers));
    }
    answers(&mut tx, &mut rx, 2).await;
    daemon.serves(&friend).await;
    // Both ends of them are in this process.
    assert!(resident() < before + (64 << 20), "{before} bytes became {}", resident());
    assert!(connection.close_reason().is_none());
    daemon.stop().await;
}
