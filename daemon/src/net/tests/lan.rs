//! What is made of machines that were found on the local network. That they are found is shown in the lab.

use iroh::SecretKey;
use p2pusb_protocol::{MAJOR, PeerAddress};

use super::{Daemon, address, bare, export, must, record};
use crate::{peer::PeerId, store::PeerRecord};

fn stranger(number: u8) -> PeerId {
    SecretKey::from_bytes(&[number; 32]).public().into()
}

#[tokio::test]
async fn a_peer_that_was_found_is_dialled_there_and_what_is_known_of_it_stays() {
    let exporter = bare(SecretKey::generate()).await;
    let id = PeerId::from(exporter.id());
    let nowhere = bare(SecretKey::generate()).await;
    let known = PeerRecord { addresses: vec![address(&nowhere).to_string()], ..record(&exporter, None) };
    let daemon = Daemon::start(&[known]).await;
    daemon.engine.found(id, "another name".to_owned(), vec![PeerAddress::Ip(address(&exporter))]).await;
    let (_connection, _tx, _rx) = export(&exporter, MAJOR).await;
    daemon.shown("online", |view| view.state == "online").await;
    assert!(daemon.seen.borrow().iter().all(|view| view.label == "tester"));
    daemon.stop().await;
}

#[tokio::test]
async fn strangers_are_shown_while_they_are_there_and_not_without_end() {
    let daemon = Daemon::start(&[]).await;
    let mut strangers = daemon.strangers.clone();
    let number = strangers.clone();
    let number = move || number.borrow().len();
    daemon.engine.found(stranger(1), " work\u{1b}shop ".to_owned(), Vec::new()).await;
    must("it is shown", strangers.wait_for(|all| *all == [(stranger(1), "workshop".to_owned())])).await.unwrap();
    for other in 2..=u8::MAX {
        daemon.engine.found(stranger(other), String::new(), Vec::new()).await;
    }
    daemon.engine.sync().await;
    assert_eq!(number(), 64);
    daemon.engine.found(daemon.endpoint.id().into(), "myself".to_owned(), Vec::new()).await;
    daemon.engine.lost(stranger(1)).await;
    daemon.engine.sync().await;
    assert_eq!(number(), 63);
    daemon.engine.nobody_found().await;
    must("all are gone", strangers.wait_for(Vec::is_empty)).await.unwrap();
    daemon.stop().await;
}
