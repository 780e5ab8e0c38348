//! noq 1.4 gives up a whole connection when some two thousand small frames lie unread in one stream: "too many gaps in
//! stream buffer". (A frame of 33 to about 600 bytes is kept in the packet that brought it, and the list of those may have
//! 1024 entries.) So no stream is ever left unread here; what can't be taken further is counted against a window
//! that both ends know.

use tokio::time::{MissedTickBehavior, interval};

use super::*;

/// More than it takes.
const FRAMES: usize = 4000;

/// Sends small messages, each in a packet of its own, until the connection is lost or all are sent. How many were.
async fn send_small(tx: &mut SendStream, message: &[u8]) -> usize {
    // The packet of one is on its way before the next one is there.
    let mut pace = interval(Duration::from_millis(1));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for sent in 0..FRAMES {
        pace.tick().await;
        if tx.write_all(message).await.is_err() {
            return sent;
        }
    }
    FRAMES
}

/// What noq does, without a daemon. When this fails, noq has been mended, and the windows and this page can be looked at
/// anew.
#[tokio::test]
async fn small_frames_that_nobody_reads_are_the_end_of_a_connection() {
    let (from, to) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let target = EndpointAddr::from_parts(to.id(), [TransportAddr::Ip(address(&to))]);
    let accepting = tokio::spawn(async move {
        let connection = to.accept().await.unwrap().accept().unwrap().await.unwrap();
        let unread = connection.accept_bi().await.unwrap();
        (to, connection, unread)
    });
    let connection = must("a connection", from.connect(target, ALPN)).await.unwrap();
    let (mut tx, _rx) = connection.open_bi().await.unwrap();
    tx.write_all(&[0; 64]).await.unwrap();
    let (_to, _accepted, _unread) = must("the other end", accepting).await.unwrap();
    let sent = send_small(&mut tx, &[0; 64]).await;
    let reason = must("the end", connection.closed()).await.to_string();
    assert!(reason.contains("too many gaps"), "{reason}");
    assert!((1000..FRAMES).contains(&sent), "{sent}");
}

/// Frames of a later release, which are stepped over.
fn later() -> Vec<u8> {
    [&Prefix { kind: 0x00ff, header_len: 40, payload_len: 16 }.encode()[..], &[7; 56]].concat()
}

#[tokio::test]
async fn the_control_streams_are_always_read() {
    let (peer, exporter) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let daemon = Daemon::start(&[record(&peer, None), record(&exporter, Some(address(&exporter)))]).await;
    let (_connection, mut tx, mut rx) = daemon.link(&peer).await;
    let (exporting, mut exporter_tx, _exporter_rx) = export(&exporter, MAJOR).await;
    let (to_exporter, to_importer) = (later(), later());
    let sent = tokio::join!(send_small(&mut tx, &to_exporter), send_small(&mut exporter_tx, &to_importer));
    assert_eq!(sent, (FRAMES, FRAMES));
    answers(&mut tx, &mut rx, 2).await;
    assert!(exporting.close_reason().is_none());
    daemon.stop().await;
}
