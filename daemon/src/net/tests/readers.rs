//! Peers that do not listen, and peers that stop in the middle of what they say.

use super::*;

#[tokio::test]
async fn an_importer_that_leaves_its_control_stream_unread_is_given_up() {
    let (peer, friend) = (narrow(SecretKey::generate(), 1024).await, bare(SecretKey::generate()).await);
    let daemon = Daemon::start(&[record(&peer, None), record(&friend, None)]).await;
    let (connection, mut tx, _rx) = daemon.link(&peer).await;
    // More answers than fit into the stream, and fewer than may wait.
    for session in 1..=200 {
        let attach = Attach { session: SessionId(session), device: "nothing".to_owned() };
        tx.write_all(&ControlMessage::Attach(attach).encode()).await.unwrap();
    }
    daemon.serves(&friend).await;
    let expected = (CloseCode::ProtocolViolation, "it does not read its control stream".to_owned());
    assert_eq!(closed(&connection).await, expected);
    daemon.stop().await;
}

#[tokio::test]
async fn an_exporter_that_leaves_its_control_stream_unread_is_given_up() {
    let exporter = narrow(SecretKey::generate(), 1024).await;
    let daemon = Daemon::start(&[record(&exporter, Some(address(&exporter)))]).await;
    let (connection, _tx, _rx) = export(&exporter, MAJOR).await;
    let link = daemon.connected().await;
    let saying = tokio::spawn(async move {
        for seq in 1..=100_000 {
            if link.is_closed() {
                return seq;
            }
            link.send(ControlMessage::Unlink { session: SessionId(1), endpoint: 0x81, seq }).await;
        }
        panic!("it never had to wait");
    });
    let expected = (CloseCode::ProtocolViolation, "it does not read its control stream".to_owned());
    assert_eq!(closed(&connection).await, expected);
    daemon.shown("why", |view| view.last_error.contains("does not read")).await;
    // Nobody waits for it for ever.
    let said = must("the end", saying).await.unwrap();
    assert!(said < 2000, "{said} messages were kept for it");
    daemon.stop().await;
}

#[tokio::test]
async fn who_stops_in_the_middle_of_a_frame_keeps_nobody_waiting() {
    let (peer, exporter, friend) =
        (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let peers = [record(&peer, None), record(&exporter, Some(address(&exporter))), record(&friend, None)];
    let daemon = Daemon::start(&peers).await;
    let (importing, mut tx, _rx) = daemon.link(&peer).await;
    let (exporting, mut exporter_tx, _exporter_rx) = export(&exporter, MAJOR).await;
    let cut =
        [&Prefix { kind: 0x00ff, header_len: 100, payload_len: MAX_CONTROL_PAYLOAD }.encode()[..], &[1; 50]].concat();
    tx.write_all(&cut).await.unwrap();
    exporter_tx.write_all(&cut).await.unwrap();
    daemon.serves(&friend).await;
    // The same in the middle of an opening.
    let (mut lane, _lane_rx) = importing.open_bi().await.unwrap();
    lane.write_all(&Prefix { kind: 0x0201, header_len: 9, payload_len: 0 }.encode()).await.unwrap();
    daemon.serves(&friend).await;
    // Silence is not forbidden, and it does not keep the daemon from stopping.
    assert!(importing.close_reason().is_none() && exporting.close_reason().is_none());
    daemon.stop().await;
    assert_eq!(closed(&importing).await.0, CloseCode::ShuttingDown);
}
