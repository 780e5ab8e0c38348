//! Importers that say too much.

use std::collections::HashSet;

use tokio::runtime::Handle;

use super::*;

/// What an importer can keep busy here: a task for each session that it asks for or goes on with.
const TASKS: usize = 64;
/// Tasks that come and go with a connection.
const SLACK: usize = 32;

fn attach(session: u64) -> Bytes {
    ControlMessage::Attach(Attach { session: SessionId(session), device: "nothing".to_owned() }).encode()
}

fn resume(session: u64) -> Bytes {
    ControlMessage::Resume(p2pusb_protocol::Resume { session: SessionId(session), lanes: Vec::new() }).encode()
}

/// Says this until the link is closed or everything is said; how many tasks there were at most.
async fn flood(tx: &mut SendStream, messages: impl Iterator<Item = Bytes>) -> usize {
    let metrics = Handle::current().metrics();
    let mut most = 0;
    for message in messages {
        if tx.write_all(&message).await.is_err() {
            break;
        }
        most = most.max(metrics.num_alive_tasks());
    }
    most
}

#[tokio::test]
async fn each_attach_of_many_is_answered() {
    // As many as a daemon can have attachments.
    const AT_ONCE: u64 = 256;
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    let (_connection, mut tx, mut rx) = daemon.link(&peer).await;
    for round in 0..8 {
        let sessions: Vec<u64> = (1..=AT_ONCE).map(|number| round * AT_ONCE + number).collect();
        flood(&mut tx, sessions.iter().copied().map(attach)).await;
        let mut waited_for: HashSet<u64> = sessions.into_iter().collect();
        while !waited_for.is_empty() {
            match must("an answer", read_control(&mut rx)).await.unwrap() {
                Some((ControlMessage::AttachRefused(refused), _)) => {
                    assert!(matches!(refused.reason, Refusal::NotShared | Refusal::LimitReached), "{refused:?}");
                    assert!(waited_for.remove(&refused.session.0), "not asked, or answered twice: {refused:?}");
                }
                Some((ControlMessage::DevicesComplete, _)) => {}
                other => panic!("not an answer: {other:?}"),
            }
        }
    }
    daemon.stop().await;
}

#[tokio::test]
async fn who_asks_and_does_not_read_the_answers_is_sent_away() {
    let (peer, friend) = (narrow(SecretKey::generate(), 4096).await, bare(SecretKey::generate()).await);
    let daemon = Daemon::start(&[record(&peer, None), record(&friend, None)]).await;
    let (connection, mut tx, _rx) = daemon.link(&peer).await;
    let before = Handle::current().metrics().num_alive_tasks();
    let most = flood(&mut tx, (1..=100_000).map(attach)).await;
    let (code, reason) = closed(&connection).await;
    assert_eq!(code, CloseCode::ProtocolViolation);
    assert!(reason.contains("does not read the answers"), "{reason}");
    assert!(most <= before + TASKS + SLACK, "{before} tasks became {most}");
    daemon.serves(&friend).await;
    daemon.stop().await;
}

#[tokio::test]
async fn who_goes_on_with_more_sessions_than_it_can_have_is_sent_away() {
    let (peer, friend) = (narrow(SecretKey::generate(), 4096).await, bare(SecretKey::generate()).await);
    let daemon = Daemon::start(&[record(&peer, None), record(&friend, None)]).await;
    let (connection, mut tx, _rx) = daemon.link(&peer).await;
    let before = Handle::current().metrics().num_alive_tasks();
    let most = flood(&mut tx, (1..=100_000).map(resume)).await;
    let (code, reason) = closed(&connection).await;
    assert_eq!(code, CloseCode::ProtocolViolation);
    assert!(reason.contains("sessions are to go on at a time"), "{reason}");
    assert!(most <= before + TASKS + SLACK, "{before} tasks became {most}");
    daemon.serves(&friend).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_session_that_is_not_there_can_be_ended_and_unlinked_as_often_as_one_likes() {
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    let (_connection, mut tx, mut rx) = daemon.link(&peer).await;
    answers(&mut tx, &mut rx, 1).await;
    let before = (Handle::current().metrics().num_alive_tasks(), resident());
    let most = flood(
        &mut tx,
        (0..100_000).map(|number| {
            let session = SessionId(1 + number % 7);
            match number % 2 {
                0 => ControlMessage::Unlink { session, endpoint: 0x81, seq: u64::MAX }.encode(),
                _ => ControlMessage::Detach { session }.encode(),
            }
        }),
    )
    .await;
    answers(&mut tx, &mut rx, 2).await;
    assert!(most <= before.0 + SLACK, "{} tasks became {most}", before.0);
    // What was under way is in the window of the stream; the rest is noise.
    assert!(resident() < before.1 + (32 << 20), "{} bytes became {}", before.1, resident());
    daemon.stop().await;
}

#[tokio::test]
async fn a_session_is_not_asked_for_twice() {
    let peer = bare(SecretKey::generate()).await;
    let daemon = Daemon::start(&[record(&peer, None)]).await;
    let (connection, mut tx, _rx) = daemon.link(&peer).await;
    // In one piece, so that the first one is not over when the second one comes.
    tx.write_all(&[attach(1), attach(1)].concat()).await.unwrap();
    let (code, reason) = closed(&connection).await;
    assert_eq!((code, reason.as_str()), (CloseCode::ProtocolViolation, "it used a session's number twice"));
    daemon.serves(&peer).await;
    daemon.stop().await;
}

#[tokio::test]
async fn one_peer_does_not_take_the_places_of_all() {
    const PLACES: usize = 8;
    let (peer, friend) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let daemon = Daemon::start(&[record(&peer, None), record(&friend, None)]).await;
    // They say nothing, not even hello.
    let mut silent = Vec::new();
    for _ in 0..PLACES {
        silent.push(daemon.dial(&peer, ALPN).await);
    }
    for _ in 0..3 {
        let (code, reason) = closed(&daemon.dial(&peer, ALPN).await).await;
        assert_eq!((code, reason.as_str()), (CloseCode::ProtocolViolation, "you have too many connections here"));
    }
    assert!(silent.iter().all(|connection| connection.close_reason().is_none()));
    daemon.serves(&friend).await;
    // Places are given back.
    close(&silent.pop().unwrap(), CloseCode::Normal, "");
    must("a place", async {
        loop {
            let connection = daemon.dial(&peer, ALPN).await;
            let (mut tx, mut rx) = connection.open_bi().await.unwrap();
            let _ = tx.write_all(&hello(MAJOR)).await;
            if let Ok(Some((ControlMessage::Hello(_), _))) = read_control(&mut rx).await {
                return;
            }
        }
    })
    .await;
    daemon.stop().await;
}
