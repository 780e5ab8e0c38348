//! Peers that are blocked, and what they are called.

use iroh::SecretKey;
use p2pusb_protocol::{ALPN, CloseCode, MAJOR, MAX_TEXT, PAIRING_ALPN};

use super::{Daemon, address, bare, closed, export, must, record};
use crate::{
    engine::view::PeerView,
    error::Error,
    net::BLOCKED,
    peer::{PeerId, Trust},
    store::PeerRecord,
};

fn is_blocked(view: &PeerView) -> bool {
    (view.trust, view.state, view.path) == (Trust::Blocked, "offline", "none") && view.link.is_none()
}

#[tokio::test]
async fn a_blocked_peer_is_refused_at_every_door_until_it_is_unblocked() {
    let (friend, laptop) = (bare(SecretKey::generate()).await, bare(SecretKey::generate()).await);
    let id = PeerId::from(laptop.id());
    let peers = [record(&friend, None), PeerRecord { label: "laptop".into(), ..record(&laptop, None) }];
    let daemon = Daemon::start(&peers).await;
    let (connection, _tx, _rx) = daemon.link(&laptop).await;

    daemon.engine.set_trust(id, Trust::Blocked).await.unwrap();
    let expected = (CloseCode::Blocked, BLOCKED.to_owned());
    assert_eq!(closed(&connection).await, expected);
    for alpn in [ALPN, PAIRING_ALPN] {
        assert_eq!(closed(&daemon.dial(&laptop, alpn).await).await, expected);
    }
    daemon.shown("blocked", is_blocked).await;
    daemon.serves(&friend).await;

    daemon.engine.set_trust(id, Trust::Paired).await.unwrap();
    daemon.serves(&laptop).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_blocked_peer_is_left_and_not_dialled() {
    let exporter = bare(SecretKey::generate()).await;
    let id = PeerId::from(exporter.id());
    let known = PeerRecord { trust: Trust::Blocked, ..record(&exporter, Some(address(&exporter))) };
    // As it was kept by an earlier process.
    let daemon = Daemon::start(&[known]).await;
    daemon.engine.sync().await;
    assert!(daemon.seen.borrow().iter().all(is_blocked));

    daemon.engine.set_trust(id, Trust::Paired).await.unwrap();
    let (connection, _tx, _rx) = export(&exporter, MAJOR).await;
    daemon.shown("online", |view| view.state == "online").await;

    daemon.engine.set_trust(id, Trust::Blocked).await.unwrap();
    assert_eq!(closed(&connection).await.0, CloseCode::Blocked);
    let last = daemon.seen.borrow().last().cloned();
    assert!(last.as_ref().is_some_and(is_blocked), "{last:?}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_ticket_of_a_blocked_machine_is_not_redeemed() {
    let (inviter, redeemer) = (Daemon::start(&[]).await, Daemon::start(&[]).await);
    let pair = async || {
        let ticket = super::local(&inviter, &super::make(&inviter, 3_600_000_000).await);
        must("an answer", redeemer.engine.add_peer(ticket)).await
    };
    let peer = pair().await.unwrap();
    redeemer.engine.set_trust(peer, Trust::Blocked).await.unwrap();
    let refused = pair().await;
    assert!(matches!(refused, Err(Error::PeerBlocked(_))), "{refused:?}");
    redeemer.engine.set_trust(peer, Trust::Paired).await.unwrap();
    assert_eq!(pair().await.unwrap(), peer);
    redeemer.stop().await;
    inviter.stop().await;
}

#[tokio::test]
async fn a_label_is_one_peers_alone_and_stays_when_it_is_paired_again() {
    let (inviter, redeemer) = (Daemon::start(&[]).await, Daemon::start(&[]).await);
    let other = bare(SecretKey::generate()).await;
    let third = Daemon::start(&[PeerRecord { label: "Desk".into(), ..record(&other, None) }]).await;
    let pair = async |with: &Daemon| {
        let ticket = super::local(&inviter, &super::make(&inviter, 3_600_000_000).await);
        must("an answer", with.engine.add_peer(ticket)).await.unwrap()
    };
    let id = pair(&third).await;
    let name = async |label: &str| third.engine.set_label(id, label.to_owned()).await;
    let taken = name("dESK").await;
    assert!(matches!(taken, Err(Error::LabelTaken(_))), "{taken:?}");
    for empty in ["", " \t", "\u{7}"] {
        assert!(matches!(name(empty).await, Err(Error::InvalidArgs(_))), "{empty:?}");
    }
    name(&"x".repeat(2 * MAX_TEXT)).await.unwrap();
    third.shown("a label that was cut", |view| view.label.len() == MAX_TEXT).await;
    name(" work\u{1b}shop ").await.unwrap();
    pair(&third).await;
    let last = third.seen.borrow().iter().rev().find(|view| view.id == id).cloned().unwrap();
    assert_eq!(last.label, "workshop");
    let unknown = redeemer.engine.set_label(id, "workshop".to_owned()).await;
    assert!(matches!(unknown, Err(Error::PeerUnknown(_))), "{unknown:?}");
    for daemon in [inviter, redeemer, third] {
        daemon.stop().await;
    }
}
